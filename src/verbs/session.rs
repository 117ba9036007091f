//! What a session says of itself in `/provenance`, and how a signal ends it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};

/// One session of a verb that works: when it began, and whether a signal has asked it to end.
pub struct Session {
    begun: Instant,
    started: u64,
    verb: &'static str,
    threads: usize,
    asked: Arc<AtomicBool>,
}

impl Session {
    /// Starts the clock and listens to Ctrl-C, SIGTERM and SIGUSR1; a second Ctrl-C ends the process at once.
    pub fn new(verb: &'static str, threads: usize) -> Self {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGUSR1] {
            // A handler that cannot be set leaves the default: the process ends and the last generation stands.
            let _ = signal_hook::flag::register_conditional_shutdown(signal, 75, asked.clone());
            let _ = signal_hook::flag::register(signal, asked.clone());
        }
        let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
        Session { begun: Instant::now(), started, verb, threads, asked }
    }

    /// `Break` once a signal has come.
    pub fn go_on(&self) -> ControlFlow<()> {
        if self.asked.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Seconds since the session began.
    pub fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    /// The record of this session.
    pub fn record(&self) -> Value {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
        json!({
            "verb": self.verb,
            "version": env!("CARGO_PKG_VERSION"),
            "started_unix": self.started,
            "seconds": (self.seconds() * 10.0).round() / 10.0,
            "threads": self.threads,
            "ranks": 1,
            "host": read("/proc/sys/kernel/hostname").trim(),
            "cpu": cpu.trim_start_matches([' ', '\t', ':']),
            "simd": format!("{:?}", crate::integrate::Width::available().last().copied().unwrap_or_default()),
            "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            "slurm_job": std::env::var("SLURM_JOB_ID").ok(),
        })
    }
}
