//! Where work runs. An executor knows ids, rows of numbers and seconds, nothing of inference.
//!
//! It evaluates a [`Work`], a pure function of an id, for ascending ids until the [`Sink`] has seen enough. The sink sees
//! chunks as they arrive (for a journal, for progress) and the completed *prefix in order of id* (for acceptance and
//! budgets). Only the prefix may shape a result; that is why neither the number of workers nor their speed can.
//!
//! ```text
//!                     ┌ schedule: which ids next, how many at once ┐
//! rank 0   sink ◀── lead ──▶ crew of threads                        │ pure policy; benches replay it for 10,000 ranks
//!                     ▲▼     └──────────────────────────────────────┘
//!                    MPI     ids out, kept rows back, as bytes of fixed layout
//!                     ▲▼
//! rank k            serve ──▶ crew of threads
//! ```
//! Every rank runs the same program on the same job and calls the same methods in the same order: [`Executor::stream`] and
//! [`Executor::once`] are collective. Only rank 0 has a sink that is fed, and files. One thread of each rank, its first,
//! calls MPI; it has no simulation to do, so that nobody waits for an answer behind a long one.

use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

mod chunk;
mod cost;
mod crew;
mod launch;
mod lead;
#[cfg(feature = "mpi")]
mod mpi;
pub mod schedule;
mod tally;
pub mod threads;

pub use chunk::Chunk;
pub use launch::Launch;
pub use tally::{Share, Tally};

/// What became of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// The row is wanted.
    Kept = 1,
    /// It is not, and does not travel.
    Rejected = 0,
    /// The point could not be simulated; the row says where it was.
    Failed = 2,
}

/// Says to a task that nobody needs its result any more.
#[derive(Debug, Default)]
pub struct Enough(AtomicBool);

impl Enough {
    /// Whether the task may return at once, with any outcome: it will be thrown away.
    pub fn is_said(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn say(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a message of [`abort`] starts with on its way to the first rank.
const ABORTED: char = '\u{1}';

/// What [`abort`] unwinds with.
struct Abort(String);

/// Ends the stream with an error from within a task, when the prefix reaches its id: a simulator is out of order, and going on makes
/// no sense. For a point that cannot be simulated there is [`Outcome::Failed`].
pub fn abort(message: String) -> ! {
    std::panic::resume_unwind(Box::new(Abort(message)))
}

/// Does something outside of a stream that may [`abort`].
///
/// # Errors
/// Those of `action`; [`Error::Simulator`] if it aborts.
pub fn heed<T>(action: impl FnOnce() -> Result<T>) -> Result<T> {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(action));
    caught.unwrap_or_else(|panic| match panic.downcast::<Abort>() {
        Ok(abort) => Err(Error::Simulator { id: 0, message: abort.0 }),
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// A pure function of an id. Closures are such functions.
pub trait Work: Sync {
    /// Fills one row and says what became of it. A long task may look at `enough` now and then.
    fn run(&self, id: u64, row: &mut [f64], enough: &Enough) -> Outcome;

    /// Ids from this one on do not exist.
    fn count(&self) -> u64 {
        u64::MAX
    }

    /// Appends the numbers that the run time of this id may depend on, equally many for every id, and at a cost far below
    /// that of running it. The executor learns from them which ids take long, and starts those earlier. By default there
    /// are none.
    fn features(&self, _id: u64, _out: &mut Vec<f64>) {}
}

impl<F: Fn(u64, &mut [f64]) -> Outcome + Sync> Work for F {
    fn run(&self, id: u64, row: &mut [f64], _: &Enough) -> Outcome {
        self(id, row)
    }
}

/// What is done with results, on one thread. Only the sink of rank 0 is shown any.
pub trait Sink {
    /// The next result in order of id, without gaps. The row is empty if the outcome is [`Outcome::Rejected`]. `Break`
    /// ends the stream; no later id is shown.
    fn next(&mut self, id: u64, outcome: Outcome, row: &[f64]) -> ControlFlow<()>;

    /// How many more ids, from the last one shown, the stream will likely need. A hint for the schedule.
    fn remaining(&self) -> Option<u64> {
        None
    }

    /// Called several times a second, for progress and interrupts, on every rank. `Break` ends the stream at an arbitrary
    /// place.
    fn idle(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// Results that are known from an earlier session, disjoint, in any order: they are shown to `next`, not computed.
    fn known(&mut self) -> Vec<Chunk> {
        Vec::new()
    }

    /// Results as they arrive, in any order. It must not shape a result.
    fn arrived(&mut self, _chunk: &Chunk) {}

    /// The stream was broken off by `idle`, and seconds later a simulation still runs, on some rank. A sink that can lose
    /// nothing says with which exit code the process may end; else the stream waits for the simulation. Called on every rank.
    fn abandon(&mut self) -> Option<u8> {
        None
    }
}

/// A place where work runs. Deliberately not `Sync`: nothing collective is called inside a task.
pub trait Executor {
    /// Runs `work` for ids upwards from `first`, with rows of `width` numbers, until the sink breaks. Collective; the sink
    /// of rank 0 is fed.
    ///
    /// # Errors
    /// [`Error::Panicked`] if a task panics whose id the prefix reaches. On every rank, as all errors of this trait.
    fn stream(&self, first: u64, width: usize, work: &dyn Work, sink: &mut dyn Sink) -> Result<()>;

    /// Runs `action` on rank 0 and returns what it returned on every rank. Collective.
    ///
    /// # Errors
    /// What `action` returned; on other ranks [`Error::Elsewhere`] with the same exit code.
    fn once(&self, action: &mut dyn FnMut() -> Result<Vec<f64>>) -> Result<Vec<f64>>;

    /// What each rank says, in order of rank, on rank 0; empty on the others. Collective.
    ///
    /// # Errors
    /// None of its own.
    fn hear(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>> {
        Ok(vec![mine.to_vec()])
    }

    /// How many tasks run at once, over all ranks: a hint for progress and prices. No result may depend on it.
    fn lanes(&self) -> usize;

    /// What runs here, for the record.
    fn place(&self) -> Place;

    /// What each rank has done, for the record.
    fn tally(&self) -> Tally;

    /// Ends the process's part in the work with the result of it all. Where other ranks may wait for this one in vain, it
    /// ends them too.
    ///
    /// # Errors
    /// Those of `result`.
    fn close(self: Box<Self>, result: Result<()>) -> Result<()> {
        result
    }
}

/// Where work runs, for the record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Number of ranks.
    pub ranks: usize,
    /// Simulation threads of each rank.
    pub threads: Vec<usize>,
    /// Host of each rank.
    pub hosts: Vec<String>,
    /// The MPI library in its own words; empty without MPI.
    pub mpi: String,
}

/// The rank of this process, once there is more than one.
static RANK: OnceLock<usize> = OnceLock::new();

/// The rank of this process; 0 if it runs alone.
pub fn rank() -> usize {
    RANK.get().copied().unwrap_or(0)
}

/// Opens the executor that flags and launcher ask for: `threads` of this process, or of each rank where `mpirun` or `srun`
/// started several. With `threads` 0 there are as many as CPUs for each rank.
///
/// # Errors
/// [`Error::Usage`] for more than 64 threads on each CPU, which would only stop the machine; if a launcher started several
/// processes and they cannot be ranks of one run.
pub fn open(threads: usize) -> Result<Box<dyn Executor>> {
    let launch = Launch::detect();
    #[cfg(feature = "mpi")]
    if launch.is_some() {
        return Ok(Box::new(mpi::Mpi::open(threads, launch)?));
    }
    if let Some(launch) = launch.filter(|l| l.size != Some(1)) {
        let _ = RANK.set(launch.rank);
        return Err(launch.without_mpi());
    }
    Ok(Box::new(threads::Threads::new(affordable(threads, 1)?)))
}

/// The name of this machine.
pub fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map_or_else(|_| "unknown".into(), |name| name.trim().to_string())
}

/// CPUs of one rank, where so many ranks share this machine: what the queue gave it; else those that it is bound to; else its
/// share of all.
fn cpus(ranks: usize) -> usize {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
    let mine = std::thread::available_parallelism().map_or(1, |n| n.get());
    let all = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let all = all.lines().filter(|line| line.starts_with("processor")).count();
    number("SLURM_CPUS_PER_TASK").unwrap_or(if mine < all { mine } else { mine / ranks }).clamp(1, mine)
}

/// The number of threads for a rank where so many ranks share this machine.
fn affordable(threads: usize, ranks: usize) -> Result<usize> {
    let each = cpus(ranks);
    let most = 64 * each;
    if threads > most {
        let fix = format!("give at most {most}, best {each}; 0 is one for each CPU");
        return Err(Error::Usage { problem: format!("{threads} threads on {each} CPUs"), fix });
    }
    if threads > each && rank() == 0 {
        let rank = if ranks > 1 { " of this rank" } else { "" };
        tracing::warn!("{threads} threads on {each} CPUs{rank}: no faster than {each} of them");
    }
    Ok(if threads > 0 { threads } else { each })
}

/// Runs the ids `0..count` and returns their rows in order of id, on every rank; a row that was not kept is `None`.
///
/// # Errors
/// Those of [`Executor::stream`]; [`None`] in place of the rows if `idle` broke it off.
pub fn gather(
    exec: &dyn Executor,
    count: u64,
    width: usize,
    work: &dyn Work,
    idle: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Option<Vec<Option<Vec<f64>>>>> {
    struct Gather<'a> {
        /// Row after row, each with a 1 before it if it was kept and a 0 if not.
        rows: Vec<f64>,
        width: usize,
        seen: u64,
        count: u64,
        idle: &'a mut dyn FnMut(u64) -> ControlFlow<()>,
    }
    impl Sink for Gather<'_> {
        fn next(&mut self, id: u64, outcome: Outcome, row: &[f64]) -> ControlFlow<()> {
            let kept = outcome == Outcome::Kept;
            self.rows.push(f64::from(u8::from(kept)));
            let end = self.rows.len() + self.width;
            self.rows.extend(row.iter().filter(|_| kept));
            self.rows.resize(end, 0.0);
            self.seen = id + 1;
            if self.seen == self.count { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
        fn remaining(&self) -> Option<u64> {
            Some(self.count - self.seen)
        }
        fn idle(&mut self) -> ControlFlow<()> {
            (self.idle)(self.seen)
        }
    }
    if count == 0 {
        return Ok(Some(Vec::new()));
    }
    struct Upto<'a>(&'a dyn Work, u64);
    impl Work for Upto<'_> {
        fn run(&self, id: u64, row: &mut [f64], enough: &Enough) -> Outcome {
            self.0.run(id, row, enough)
        }
        fn count(&self) -> u64 {
            self.1
        }
    }
    let mut sink = Gather { rows: Vec::new(), width, seen: 0, count, idle };
    exec.stream(0, width, &Upto(work, count), &mut sink)?;
    let rows = exec.once(&mut || Ok(if sink.seen == count { std::mem::take(&mut sink.rows) } else { Vec::new() }))?;
    if rows.is_empty() {
        return Ok(None);
    }
    Ok(Some(rows.chunks_exact(width + 1).map(|row| (row[0] == 1.0).then(|| row[1..].to_vec())).collect()))
}
