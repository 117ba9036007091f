//! What a session says of itself in `/provenance`, and how a signal ends it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};

use super::heartbeat::{Beat, Heartbeat};
use crate::error::complain;
use crate::exec::{self, Executor, Place, Share, Tally};
use crate::report::{ByRank, Work};

/// Exit code of what was interrupted and can go on.
pub const INTERRUPTED: u8 = 75;
/// Time after a signal at which the process ends, whatever keeps it: a rank that is gone, a file system that hangs.
const LAST_CALL: Duration = Duration::from_secs(12);

/// Seconds over which the pace of ranks is taken, at least those of some tasks, and moments within them.
const WINDOW: f64 = 30.0;
const FEWEST: f64 = 10.0;
const LAPS: f64 = 6.0;

/// Says that a run is left in the middle of a simulation; the exit code for that.
pub fn leave() -> u8 {
    if exec::rank() == 0 {
        let fix = "fix: the same command with --resume goes on from there";
        complain(format_args!("interrupted; what is finished is stored, a simulation that did not end is not\n  {fix}"));
    }
    INTERRUPTED
}

/// Ends the process some time after it was asked to end and did not. Nothing is lost: results are in the journal.
fn leave_in_time(asked: Arc<AtomicBool>) {
    let watch = move || {
        while !asked.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(200));
        }
        std::thread::sleep(LAST_CALL);
        if exec::rank() == 0 {
            let (seconds, fix) = (LAST_CALL.as_secs(), "fix: the same command again; nicho run with --resume");
            complain(format_args!("interrupted {seconds} s ago, and something does not end; what is finished stands\n  {fix}"));
        }
        std::process::exit(INTERRUPTED.into());
    };
    // Without this thread the process may take longer to end.
    let _ = std::thread::Builder::new().name("last call".into()).spawn(watch);
}

/// One session of a verb that works: when it began, and whether a signal has asked it to end.
pub struct Session {
    begun: Instant,
    started: u64,
    verb: &'static str,
    place: Place,
    asked: Arc<AtomicBool>,
    work: RefCell<Vec<Value>>,
    stages: RefCell<Vec<(String, f64)>>,
    heartbeat: RefCell<Option<Heartbeat>>,
    tally: Tally,
    /// What the ranks had done at some moments of the stage under way, the last [`WINDOW`] of it.
    laps: RefCell<VecDeque<(Instant, Vec<Share>)>>,
}

impl Session {
    /// Starts the clock and listens to Ctrl-C, SIGTERM and SIGUSR1; a second Ctrl-C ends the process at once.
    pub fn new(verb: &'static str, exec: &dyn Executor) -> Self {
        let asked = Arc::new(AtomicBool::new(false));
        // A handler that cannot be set leaves the default: the process ends, and file and journal stand.
        let _ = signal_hook::flag::register_conditional_shutdown(SIGINT, INTERRUPTED.into(), asked.clone());
        for signal in [SIGINT, SIGTERM, SIGUSR1] {
            let _ = signal_hook::flag::register(signal, asked.clone());
        }
        leave_in_time(asked.clone());
        let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
        Session {
            begun: Instant::now(),
            started,
            verb,
            place: exec.place(),
            asked,
            work: RefCell::default(),
            stages: RefCell::default(),
            heartbeat: RefCell::default(),
            tally: exec.tally(),
            laps: RefCell::default(),
        }
    }

    /// Begins the heartbeat of a run, on rank 0.
    pub fn live(&self, result: &Path, job: &Path) {
        if exec::rank() == 0 {
            self.heartbeat.replace(Some(Heartbeat::begin(result, job, &self.place)));
        }
    }

    /// A generation begins, or another stage: the pace of the ranks counts from here.
    pub fn begin_stage(&self) {
        self.laps.replace([(Instant::now(), self.tally.shares(self.place.ranks))].into());
    }

    /// Says in the heartbeat, if there is one, how far the run is.
    pub fn beat(&self, beat: &Beat) {
        self.heartbeat.borrow_mut().iter_mut().for_each(|heartbeat| heartbeat.beat(beat, || self.by_rank()));
    }

    /// The pace of the ranks of late: long enough to count tasks, short enough to see one that hangs.
    fn by_rank(&self) -> Option<ByRank> {
        let now = self.tally.shares(self.place.ranks);
        let (tasks, seconds) = now.iter().fold((0, 0.0), |sum, share| (sum.0 + share.tasks, sum.1 + share.seconds));
        let window = WINDOW.max(FEWEST * seconds / tasks.max(1) as f64);
        let mut laps = self.laps.borrow_mut();
        while laps.get(1).is_some_and(|(then, _)| then.elapsed().as_secs_f64() >= window) {
            laps.pop_front();
        }
        let (begun, before) = laps.front()?;
        let elapsed = begun.elapsed().as_secs_f64();
        let work = |((now, before), threads): ((&Share, &Share), &usize)| Work {
            rate: (now.tasks - before.tasks) as f64 / elapsed,
            busy: (now.seconds - before.seconds) / (*threads as f64 * elapsed),
            owes: now.owed > 0,
        };
        let work: Vec<Work> = now.iter().zip(before).zip(&self.place.threads).map(work).collect();
        if laps.back().is_some_and(|(then, _)| then.elapsed().as_secs_f64() >= window / LAPS) {
            laps.push_back((Instant::now(), now));
        }
        ByRank::of(&self.place.hosts, &work)
    }

    /// The run is finished, and needs no heartbeat any more.
    pub fn finish(&self) {
        self.heartbeat.take().into_iter().for_each(Heartbeat::finish);
    }

    /// Says in the heartbeat that a signal has ended the run.
    pub fn interrupted(&self) {
        self.heartbeat.borrow_mut().iter_mut().for_each(|heartbeat| heartbeat.end("interrupted"));
    }

    /// `Break` once a signal has come.
    pub fn go_on(&self) -> ControlFlow<()> {
        if self.asked.load(Ordering::Relaxed) {
            // Whichever way the process ends after this.
            self.interrupted();
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// Seconds since the session began.
    pub fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    /// Notes how many simulations of a generation were begun in this process, how many whole ones that work is worth, and how long
    /// it took.
    pub fn worked(&self, generation: usize, begun: u64, worth: f64) {
        let before = self.stages.borrow().last().map_or(0.0, |(_, until)| *until);
        self.noted(&format!("generation {generation}"));
        let seconds = hundredths(self.seconds() - before);
        let work = json!({ "generation": generation, "begun": begun, "worth": worth.round(), "seconds": seconds });
        self.work.borrow_mut().push(work);
    }

    /// Notes a sign of life of a stage of the work; the last one is when it ended.
    pub fn noted(&self, stage: &str) {
        let mut stages = self.stages.borrow_mut();
        if stages.last().is_none_or(|(last, _)| last != stage) {
            stages.push((stage.into(), 0.0));
        }
        if let Some((_, until)) = stages.last_mut() {
            *until = self.seconds();
        }
    }

    /// The record of this session.
    pub fn record(&self) -> Value {
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
        let shares = self.tally.shares(self.place.ranks);
        let threads: usize = self.place.threads.iter().sum();
        let busy = shares.iter().map(|share| share.seconds).sum::<f64>() / (threads as f64 * self.seconds()).max(1e-9);
        let by_rank = (shares.len() > 1).then(|| {
            let column = |value: fn(&Share) -> Value| shares.iter().map(value).collect::<Vec<_>>();
            json!({ "tasks": column(|share| share.tasks.into()), "busy_seconds": column(|share| hundredths(share.seconds).into()),
                "threads": self.place.threads })
        });
        let slurm = |name: &str| std::env::var(format!("SLURM_{name}")).ok();
        json!({
            "verb": self.verb,
            "simulations": *self.work.borrow(),
            "stages": self.stages.borrow().iter().map(|(what, until)| json!({ "what": what, "until": hundredths(*until) })).collect::<Vec<_>>(),
            "version": env!("CARGO_PKG_VERSION"),
            "commit": env!("NICHO_COMMIT"),
            "lock_sha256": env!("NICHO_LOCK_SHA256"),
            "compiler": env!("NICHO_COMPILER"),
            "features": env!("NICHO_FEATURES"),
            "started_unix": self.started,
            "seconds": hundredths(self.seconds()),
            "ranks": self.place.ranks,
            "threads": self.place.threads.first(),
            "tasks": shares.iter().map(|share| share.tasks).sum::<u64>(),
            "busy": hundredths(busy),
            "work_by_rank": by_rank,
            "hosts": runs(&self.place.hosts),
            "cpu": cpu.trim_start_matches([' ', '\t', ':']),
            "simd": format!("{:?}", crate::integrate::Width::available().last().copied().unwrap_or_default()),
            "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            "mpi": Some(&self.place.mpi).filter(|mpi| !mpi.is_empty()),
            "mpi_compiler": Some(env!("NICHO_MPI_COMPILER")).filter(|compiler| !compiler.is_empty()),
            "slurm_job": slurm("JOB_ID"),
            "slurm_restarts": slurm("RESTART_COUNT"),
            "slurm_partition": slurm("JOB_PARTITION"),
            "slurm_nodes": slurm("JOB_NUM_NODES"),
            "slurm_nodelist": slurm("JOB_NODELIST"),
            "slurm_tasks": slurm("NTASKS"),
        })
    }
}

fn hundredths(seconds: f64) -> f64 {
    (seconds * 100.0).round() / 100.0
}

/// A list with its repetitions counted, as in `n1*4, n2*3`: a thousand ranks sit on few hosts.
fn runs(names: &[String]) -> String {
    let run = |run: &[String]| if run.len() == 1 { run[0].clone() } else { format!("{}*{}", run[0], run.len()) };
    names.chunk_by(|a, b| a == b).map(run).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn hosts_are_listed_by_runs() {
        let hosts = |text: &str| super::runs(&text.split(' ').map(String::from).collect::<Vec<_>>());
        assert_eq!(hosts("a"), "a");
        assert_eq!(hosts("a a a b a a"), "a*3, b, a*2");
        assert_eq!(super::runs(&[]), "");
    }
}
