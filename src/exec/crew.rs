//! The threads of one rank: they take chunks of ids from a queue and put results into a channel.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::{Builder, Scope, sleep};
use std::time::{Duration, Instant};

use super::{Chunk, Enough, Work};
use crate::error::{Error, Result};

/// How long a stream that was broken off waits for simulations before it offers the sink to abandon them.
const GRACE: Duration = Duration::from_secs(2);

/// What a thread sends: the results of a chunk, as far as they go.
#[derive(Default)]
pub(super) struct Done {
    /// The results.
    pub chunk: Chunk,
    /// The message of a panic at the id after the last of the chunk. It counts when the prefix reaches that id.
    pub panic: Option<String>,
}

thread_local! {
    static IN_TASK: Cell<bool> = const { Cell::new(false) };
    static PLACE: Cell<Option<String>> = const { Cell::new(None) };
}

/// Remembers where in the source the task of this thread panicked.
#[cfg(feature = "mpi")]
pub(super) fn panicked_at(place: Option<String>) {
    PLACE.set(place);
}

/// Whether this thread is in a task, where a panic is caught.
#[cfg(feature = "mpi")]
pub(super) fn in_task() -> bool {
    IN_TASK.get()
}

/// What a crew shares. Lives outside the scope of its threads.
pub(super) struct Board<'a> {
    work: &'a dyn Work,
    width: usize,
    queue: Mutex<VecDeque<Range<u64>>>,
    filled: Condvar,
    enough: Enough,
    /// Threads in a chunk.
    busy: AtomicUsize,
}

impl<'a> Board<'a> {
    pub fn new(work: &'a dyn Work, width: usize) -> Self {
        let (queue, filled) = (Mutex::default(), Condvar::new());
        Board { work, width, queue, filled, enough: Enough::default(), busy: AtomicUsize::new(0) }
    }

    /// Tells the threads to end. What they are at is thrown away.
    pub fn enough(&self) {
        self.enough.say();
        // With the lock held, so that no thread is between its look at the flag and its sleep.
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner));
        self.filled.notify_all();
    }

    /// Waits some seconds for the threads to leave their simulations; whether one is still in its own.
    pub fn stuck(&self) -> bool {
        let begun = Instant::now();
        while self.busy.load(Ordering::Relaxed) > 0 {
            if begun.elapsed() > GRACE {
                return true;
            }
            sleep(Duration::from_millis(2));
        }
        false
    }

    fn take(&self) -> Option<Range<u64>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if self.enough.is_said() {
                return None;
            }
            if let Some(range) = queue.pop_front() {
                self.busy.fetch_add(1, Ordering::Relaxed);
                return Some(range);
            }
            queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The threads at work.
pub(super) struct Crew<'a> {
    board: &'a Board<'a>,
    results: Receiver<Done>,
    /// How many there are.
    pub threads: usize,
}

impl<'a> Crew<'a> {
    /// Starts up to `threads` threads.
    ///
    /// # Errors
    /// [`Error::Usage`] if the system starts none.
    pub fn start<'scope>(scope: &'scope Scope<'scope, 'a>, board: &'a Board<'a>, threads: usize) -> Result<Self> {
        let (sender, results) = channel();
        let mut started = 0;
        while started < threads {
            let (sender, span) = (sender.clone(), tracing::Span::current());
            match Builder::new().spawn_scoped(scope, move || span.in_scope(|| work(board, &sender))) {
                Ok(_) => started += 1,
                Err(source) if started == 0 => {
                    let problem = format!("the system does not start a thread: {source}");
                    return Err(Error::Usage { problem, fix: "raise the limits of processes and memory".into() });
                }
                // No result depends on how many there are.
                Err(_) => {
                    tracing::warn!("the system starts {started} threads only, of {threads}");
                    break;
                }
            }
        }
        Ok(Crew { board, results, threads: started })
    }

    /// Gives the crew a chunk.
    pub fn give(&self, range: Range<u64>) {
        self.board.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(range);
        self.board.filled.notify_one();
    }

    /// The next result, if there is one within `patience`.
    pub fn next(&self, patience: Duration) -> Option<Done> {
        match self.results.recv_timeout(patience) {
            Ok(done) => Some(done),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                // Every thread has panicked; what they said has been taken.
                sleep(patience);
                None
            }
        }
    }
}

fn work(board: &Board<'_>, sender: &Sender<Done>) {
    let mut row = vec![0.0; board.width];
    while let Some(range) = board.take() {
        let done = run(board, range, &mut row);
        board.busy.fetch_sub(1, Ordering::Relaxed);
        let Some(done) = done else { return };
        if sender.send(done).is_err() {
            return;
        }
    }
}

/// Runs a chunk; `None` if it was told to end on the way.
fn run(board: &Board<'_>, range: Range<u64>, row: &mut [f64]) -> Option<Done> {
    let begun = Instant::now();
    let mut chunk =
        Chunk { first: range.start, outcomes: Vec::with_capacity((range.end - range.start) as usize), ..Chunk::default() };
    for id in range {
        IN_TASK.set(true);
        let outcome = catch_unwind(AssertUnwindSafe(|| board.work.run(id, row, &board.enough)));
        IN_TASK.set(false);
        // A task that saw the flag may have returned anything.
        if board.enough.is_said() {
            return None;
        }
        match outcome {
            Ok(outcome) => {
                tracing::trace!(trial = id, ?outcome, "done");
                chunk.outcomes.push(outcome);
                if outcome != super::Outcome::Rejected {
                    chunk.rows.extend_from_slice(row);
                }
            }
            Err(panic) => {
                if let Some(super::Abort(message)) = panic.downcast_ref() {
                    return Some(Done { chunk, panic: Some(format!("{}{message}", super::ABORTED)) });
                }
                let text = panic.downcast_ref::<&str>().map(ToString::to_string);
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
                let place = PLACE.take().map(|place| format!(" at {place}")).unwrap_or_default();
                return Some(Done { chunk, panic: Some(text.unwrap_or_else(|| "no message".into()) + &place) });
            }
        }
    }
    chunk.seconds = begun.elapsed().as_secs_f64();
    Some(Done { chunk, panic: None })
}
