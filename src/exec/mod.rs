//! Where work runs. An executor knows ids and rows of numbers, nothing of inference.
//!
//! It evaluates a [`Task`], a pure function of an id, for ascending ids until the [`Sink`] has seen enough. The sink sees
//! arrivals as they come (for a journal, for progress) and the completed *prefix in order of id* (for acceptance and
//! budgets). Only the prefix may shape a result; that is why neither the number of workers nor their speed can.
//!
//! An executor over MPI ranks goes beside [`threads`], as `mpi.rs`, and takes its arm in [`open`].

use std::ops::ControlFlow;

use crate::error::{Error, Result};

pub mod threads;

/// What became of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// The row is wanted.
    Kept,
    /// It is not, and does not travel.
    Rejected,
    /// The point could not be simulated; the row says where it was.
    Failed,
}

/// A pure function of its id: fills one row and says what became of it.
pub type Task<'a> = &'a (dyn Fn(u64, &mut [f64]) -> Outcome + Sync);

/// What is done with results. Runs on one thread.
pub trait Sink {
    /// The next result in order of id, without gaps. The row is empty if the outcome is [`Outcome::Rejected`]. `Break`
    /// ends the stream; no later id is shown.
    fn next(&mut self, id: u64, outcome: Outcome, row: &[f64]) -> ControlFlow<()>;

    /// A result as it arrives, in any order. It must not shape a result.
    fn arrived(&mut self, _id: u64, _outcome: Outcome, _row: &[f64]) {}

    /// Called at least five times a second, for progress and interrupts. `Break` ends the stream at an arbitrary place.
    fn idle(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// A place where work runs.
pub trait Executor {
    /// Runs `task` for ids upwards from `first`, with rows of `width` numbers, until the sink breaks.
    ///
    /// # Errors
    /// [`Error::Panicked`] if a task panics.
    fn stream(&self, first: u64, width: usize, task: Task<'_>, sink: &mut dyn Sink) -> Result<()>;

    /// How many tasks run at once: a hint for progress and prices. No result may depend on it.
    fn lanes(&self) -> usize;
}

/// Opens the executor that the flags ask for: threads of this process, as many as there are CPUs if `threads` is 0.
///
/// # Errors
/// [`Error::Usage`] for more than 64 threads on each CPU, which would only stop the machine.
pub fn open(threads: usize) -> Result<Box<dyn Executor>> {
    let cpus = std::thread::available_parallelism().map_or(1, |n| n.get());
    let most = 64 * cpus;
    if threads > most {
        let fix = format!("give at most {most}, best {cpus}; 0 is one for each CPU");
        return Err(Error::Usage { problem: format!("{threads} threads on {cpus} CPUs"), fix });
    }
    if threads > cpus {
        tracing::warn!("{threads} threads on {cpus} CPUs: no faster than {cpus}");
    }
    Ok(Box::new(threads::Threads::new(if threads > 0 { threads } else { cpus })))
}

/// Runs the ids `0..count` and returns their rows in order of id; a row that was not kept is `None`.
///
/// # Errors
/// Those of [`Executor::stream`]; [`None`] in place of the rows if `idle` broke it off.
pub fn gather(
    exec: &dyn Executor,
    count: u64,
    width: usize,
    task: Task<'_>,
    idle: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Option<Vec<Option<Vec<f64>>>>> {
    struct Gather<'a> {
        rows: Vec<Option<Vec<f64>>>,
        count: u64,
        idle: &'a mut dyn FnMut(u64) -> ControlFlow<()>,
    }
    impl Sink for Gather<'_> {
        fn next(&mut self, id: u64, outcome: Outcome, row: &[f64]) -> ControlFlow<()> {
            self.rows.push((outcome == Outcome::Kept).then(|| row.to_vec()));
            if id + 1 == self.count { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
        fn idle(&mut self) -> ControlFlow<()> {
            (self.idle)(self.rows.len() as u64)
        }
    }
    if count == 0 {
        return Ok(Some(Vec::new()));
    }
    let mut sink = Gather { rows: Vec::with_capacity(count as usize), count, idle };
    // Ids beyond the last one may be started before the sink has seen it; they cost nothing.
    exec.stream(0, width, &|id, row| if id < count { task(id, row) } else { Outcome::Rejected }, &mut sink)?;
    Ok((sink.rows.len() as u64 == count).then_some(sink.rows))
}
