//! Logs, and a progress bar where a person watches.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tracing::info;
use tracing::span::EnteredSpan;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::heartbeat::Beat;
use super::session::{Session, leave};
use crate::error::{self, Error, Result};
use crate::exec::{self, Launch};
use crate::population::Run;
use crate::sampler::accept::Accept;
use crate::sampler::{Progress, Watch};

/// Form of the log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A line of text.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// Time between two log lines of progress where there is no bar.
const LINE: Duration = Duration::from_secs(10);

/// The bar on display, so that log lines go above it.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Where log lines go.
#[derive(Clone)]
enum Lines {
    /// To standard error, above the bar if there is one.
    AboveBar,
    /// To a file of this rank.
    File(Arc<File>),
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Lines::File(file) => file.as_ref().write_all(bytes)?,
            Lines::AboveBar => match BAR.lock().map(|bar| bar.clone()).unwrap_or_default() {
                // A reader that has gone (`nicho run JOB 2>&1 | head`) is no reason to end a run.
                Some(bar) => drop(bar.suspend(|| std::io::stderr().write_all(bytes))),
                None => drop(std::io::stderr().write_all(bytes)),
            },
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Lines;
    fn make_writer(&self) -> Lines {
        self.clone()
    }
}

/// What is logged, and where to.
#[derive(Clone, Debug, Default)]
pub struct LogFlags {
    /// Number of `-v`; −1 is `--quiet`.
    pub verbosity: i8,
    /// Form of the lines.
    pub format: LogFormat,
    /// Folder of a file for each rank; standard error if absent.
    pub folder: Option<PathBuf>,
}

/// Starts logging, and returns the span that every record of this thread belongs to. `RUST_LOG` comes before the flags. Where
/// a launcher started several processes, every record carries the rank; rank 0 speaks, the others only warn, unless each
/// has a file of its own.
///
/// # Errors
/// [`Error::Io`] if a log file cannot be written.
pub fn init_logs(flags: &LogFlags) -> Result<EnteredSpan> {
    let launch = Launch::detect();
    let rank = launch.as_ref().map_or(0, |launch| launch.rank);
    let level = match flags.verbosity {
        0 if rank > 0 && flags.folder.is_none() => "warn",
        i8::MIN..=-1 => "warn",
        0 => "info",
        1 => "debug",
        _ => "trace",
    };
    let lines = match &flags.folder {
        None => Lines::AboveBar,
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(Error::io(folder, "make the folder of the log files"))?;
            let path = folder.join(format!("rank-{rank:05}.log"));
            let file = File::options().append(true).create(true).open(&path);
            Lines::File(Arc::new(file.map_err(Error::io(&path, "write the log file"))?))
        }
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let colour = flags.folder.is_none() && flags.format == LogFormat::Text && error::colours();
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines).with_ansi(colour).with_target(false);
    match flags.format {
        LogFormat::Text => logs.with_timer(tracing_subscriber::fmt::time::uptime()).init(),
        LogFormat::Json => logs.json().init(),
    }
    // Of the highest level, or a filter would drop the rank with it.
    let span = if launch.is_some() { tracing::error_span!("of", rank) } else { tracing::Span::none() };
    Ok(span.entered())
}

/// Shows an inference: a bar on a terminal, log lines elsewhere.
pub struct Show<'a> {
    session: &'a Session,
    bar: Option<ProgressBar>,
    line: Instant,
    generation: (usize, Instant),
    /// Acceptance rates of the finished generations after the first, for the ETA.
    rates: Vec<f64>,
    /// Effective sample size of the last finished generation.
    ess: Option<f64>,
    /// Share of the work of the last generation that early rejection has spared.
    spared: f64,
    /// The work that follows the inference, and since when it goes on.
    stage: (String, Instant),
    /// Simulations a second, smoothed.
    speed: f64,
    budget: Budget,
}

/// What the job's stopping rules say about the end.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Particles in a generation.
    pub population: usize,
    /// What decides on acceptance, hence what the tolerance is called.
    pub accept: Accept,
    /// Least acceptance rate.
    pub acceptance_rate: f64,
    /// Most simulations.
    pub simulations: u64,
    /// Most generations.
    pub generations: usize,
}

impl Budget {
    /// That of work beside an inference of so many particles.
    pub fn of(population: usize) -> Self {
        Budget { population, accept: Accept::Tolerance, acceptance_rate: 0.0, simulations: 0, generations: 0 }
    }
}

impl<'a> Show<'a> {
    /// A display for `session`; a bar only if standard error is a terminal.
    pub fn new(session: &'a Session, budget: Budget) -> Self {
        let bar = (exec::rank() == 0 && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(budget.population as u64);
            let style = ProgressStyle::with_template("{spinner} {bar:24} {pos}/{len} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        if let Ok(mut shown) = BAR.lock() {
            shown.clone_from(&bar);
        }
        let now = Instant::now();
        Show {
            spared: 0.0,
            session,
            bar,
            line: now,
            // None yet: the first begins a stage, as each does.
            generation: (usize::MAX, now),
            stage: (String::new(), now),
            rates: vec![],
            ess: None,
            speed: 0.0,
            budget,
        }
    }

    /// Seconds to the end of the run if the acceptance rate goes on falling as it fell.
    fn eta(&self, progress: &Progress) -> Option<f64> {
        if self.speed <= 0.0 {
            return None;
        }
        let n = self.budget.population as f64;
        let rate_now = match (progress.accepted, self.rates.last()) {
            (0..20, Some(rate)) => rate * 0.7,
            (0..20, None) => 1.0,
            (accepted, _) => accepted as f64 / progress.simulated as f64,
        };
        let before = self.rates.last().copied().unwrap_or(1.0);
        let fall = if self.rates.len() > 1 { (rate_now / before).clamp(0.4, 0.95) } else { 0.7 };
        let mut simulations = (n / rate_now - progress.simulated as f64).max(0.0);
        let mut rate = rate_now;
        let left = self.budget.simulations.saturating_sub(progress.total) as f64;
        for _ in progress.generation + 1..self.budget.generations {
            if rate < self.budget.acceptance_rate || simulations >= left {
                break;
            }
            rate *= fall;
            simulations += n / rate;
        }
        Some(simulations.min(left) / self.speed)
    }

    fn beat(&mut self, progress: &Progress) -> Beat {
        if self.generation.0 != progress.generation {
            self.generation = (progress.generation, Instant::now());
            self.session.begin_stage();
        }
        let elapsed = self.generation.1.elapsed().as_secs_f64();
        if elapsed > 0.2 {
            self.speed = progress.simulated as f64 / elapsed;
        }
        Beat {
            generation: Some(progress.generation),
            stage: String::new(),
            done: progress.accepted as u64,
            of: progress.population as u64,
            trials: progress.simulated,
            failed: progress.failed,
            tolerance: (self.budget.accept.word(), progress.tolerance),
            ess: self.ess,
            total: progress.total,
            rate: self.speed,
            eta: self.eta(progress),
        }
    }

    /// Shows the work that follows the inference.
    pub fn work(&mut self, what: &str, done: u64, of: u64) -> ControlFlow<()> {
        if self.stage.0 != what {
            self.stage = (what.into(), Instant::now());
            self.session.begin_stage();
        }
        self.session.noted(what);
        let elapsed = self.stage.1.elapsed().as_secs_f64();
        let eta = (done > 0).then(|| elapsed * of.saturating_sub(done) as f64 / done as f64);
        let rate = if elapsed > 0.0 { done as f64 / elapsed } else { 0.0 };
        self.session.beat(&Beat { stage: what.into(), done, of, rate, eta, ..Beat::default() });
        let eta = eta.map_or("?".into(), clock);
        match &self.bar {
            Some(bar) => {
                bar.set_length(of);
                bar.set_position(done);
                bar.set_message(format!("{what} ETA ~{eta}"));
            }
            None if self.line.elapsed() >= LINE => {
                self.line = Instant::now();
                info!(done, of, "{what}, ETA ~{eta}");
            }
            None => {}
        }
        self.session.go_on()
    }
}

impl Drop for Show<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if let Ok(mut shown) = BAR.lock() {
            *shown = None;
        }
    }
}

impl Watch for Show<'_> {
    fn progress(&mut self, progress: &Progress) -> ControlFlow<()> {
        let beat = self.beat(progress);
        self.session.beat(&beat);
        let message = message(&beat);
        match &self.bar {
            Some(bar) => {
                bar.set_length(progress.population as u64);
                bar.set_position(progress.accepted as u64);
                bar.set_message(message);
            }
            None if self.line.elapsed() >= LINE => {
                self.line = Instant::now();
                info!(accepted = progress.accepted, of = progress.population, "{message}");
            }
            None => {}
        }
        self.session.go_on()
    }

    fn abandon(&mut self) -> Option<u8> {
        // The bar, which rank 0 alone has, would stand above the shell's next line.
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.session.interrupted();
        Some(leave())
    }

    fn worked(&mut self, generation: usize, begun: u64, worth: f64) {
        self.spared = if begun > 0 { 1.0 - worth / begun as f64 } else { 0.0 };
        self.session.worked(generation, begun, worth);
    }

    fn generation(&mut self, run: &Run) {
        let Some(last) = run.last() else { return };
        self.ess = Some(last.weights().ess());
        if run.generations.len() > 1 {
            self.rates.push(last.acceptance_rate());
        }
        // The field that does not apply is left out of the record.
        let tempered = (self.budget.accept == Accept::Noise).then(|| format!("{:.4}", last.tolerance));
        let within = (self.budget.accept == Accept::Tolerance).then(|| format!("{:.4}", last.tolerance));
        info!(
            generation = run.generations.len() - 1,
            tolerance = within.map(tracing::field::display),
            temperature = tempered.map(tracing::field::display),
            acceptance = %format_args!("{:.1} %", 100.0 * last.acceptance_rate()),
            ess = %format_args!("{:.0}", last.weights().ess()),
            simulated = run.simulated(),
            failed = last.failed,
            spared = %format_args!("{:.0} %", 100.0 * self.spared),
            seconds = %format_args!("{:.0}", self.session.seconds()),
            "generation done"
        );
    }
}

/// How far a generation is, in words.
fn message(beat: &Beat) -> String {
    let (word, tolerance) = beat.tolerance;
    let ess = beat.ess.map_or("-".into(), |ess| format!("{ess:.0}"));
    format!(
        "generation {} {word} {tolerance:.3} acceptance {:.1} % ESS {ess} failed {} {:.0} sim/s ETA ~{}",
        beat.generation.unwrap_or_default(),
        beat.acceptance(),
        beat.failed,
        beat.rate,
        beat.eta.map_or("?".into(), clock)
    )
}

/// Seconds as a person says them.
pub fn clock(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} d", s / 86_400.0),
    }
}
