//! Threads of this process.
//!
//! Workers claim chunks of ids from a counter; the calling thread puts the chunks in order and feeds the sink. A chunk
//! holds about a millisecond of work, so that neither a simulator of nanoseconds pays for a message nor one of minutes
//! waits for its neighbours. Workers may run ahead of the prefix by a bounded window.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::{Executor, Outcome, Sink, Task};
use crate::error::{Error, Result};

/// Work that a chunk should hold.
const CHUNK: Duration = Duration::from_millis(1);
/// Largest chunk, in ids.
const CHUNK_MAX: u64 = 4096;
/// How far workers may run ahead of the prefix, in chunks of each worker.
const AHEAD: u64 = 64;
/// Longest time between two calls of [`Sink::idle`].
const IDLE: Duration = Duration::from_millis(100);

/// An executor over a fixed number of threads.
#[derive(Clone, Copy, Debug)]
pub struct Threads {
    workers: usize,
}

/// The results of a run of consecutive ids: all outcomes, and the rows of those that travel, in order.
struct Chunk {
    first: u64,
    outcomes: Vec<Outcome>,
    rows: Vec<f64>,
}

/// What is done with each result of a chunk: id, outcome, row.
type Visit<'a> = &'a mut dyn FnMut(u64, Outcome, &[f64]) -> ControlFlow<()>;

enum Message {
    Done(Chunk),
    Panicked(u64, String),
}

/// What the workers share.
struct Board<'a> {
    task: Task<'a>,
    width: usize,
    next: AtomicU64,
    prefix: AtomicU64,
    enough: AtomicBool,
    workers: u64,
}

impl Threads {
    /// `workers` threads; at least one.
    pub fn new(workers: usize) -> Self {
        Threads { workers: workers.max(1) }
    }
}

impl Executor for Threads {
    fn stream(&self, first: u64, width: usize, task: Task<'_>, sink: &mut dyn Sink) -> Result<()> {
        let board = Board {
            task,
            width,
            next: AtomicU64::new(first),
            prefix: AtomicU64::new(first),
            enough: AtomicBool::new(false),
            workers: self.workers as u64,
        };
        std::thread::scope(|scope| {
            let (sender, receiver) = channel();
            for started in 0..self.workers {
                let (board, sender) = (&board, sender.clone());
                match std::thread::Builder::new().spawn_scoped(scope, move || work(board, &sender)) {
                    Ok(_) => {}
                    Err(source) if started == 0 => {
                        let problem = format!("the system does not start a thread: {source}");
                        return Err(Error::Usage { problem, fix: "raise the limits of processes and memory".into() });
                    }
                    // No result depends on how many there are.
                    Err(_) => {
                        tracing::warn!("the system starts {started} threads only, of {}", self.workers);
                        break;
                    }
                }
            }
            drop(sender);
            // The flag is set also when the sink panics, so that the scope can end.
            let result = catch_unwind(AssertUnwindSafe(|| collect(&board, &receiver, first, sink)));
            board.enough.store(true, Ordering::Relaxed);
            result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn lanes(&self) -> usize {
        self.workers
    }
}

fn work(board: &Board<'_>, sender: &Sender<Message>) {
    let mut size = 1;
    while !board.enough.load(Ordering::Relaxed) {
        let first = board.next.fetch_add(size, Ordering::Relaxed);
        while first > board.prefix.load(Ordering::Relaxed) + AHEAD * size * board.workers {
            if board.enough.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        let begun = Instant::now();
        let message = run_chunk(board, first, size);
        let spent = begun.elapsed().as_secs_f64().max(1e-9) / size as f64;
        let panicked = matches!(message, Message::Panicked(..));
        if sender.send(message).is_err() || panicked {
            return;
        }
        size = ((CHUNK.as_secs_f64() / spent) as u64).clamp(1, CHUNK_MAX).min(size * 4);
    }
}

fn run_chunk(board: &Board<'_>, first: u64, size: u64) -> Message {
    let mut chunk = Chunk { first, outcomes: Vec::with_capacity(size as usize), rows: Vec::new() };
    let mut row = vec![0.0; board.width];
    for id in first..first + size {
        if board.enough.load(Ordering::Relaxed) {
            break;
        }
        match catch_unwind(AssertUnwindSafe(|| (board.task)(id, &mut row))) {
            Ok(outcome) => {
                chunk.outcomes.push(outcome);
                if outcome != Outcome::Rejected {
                    chunk.rows.extend_from_slice(&row);
                }
            }
            Err(panic) => {
                let text = panic.downcast_ref::<&str>().map(ToString::to_string);
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
                return Message::Panicked(id, text.unwrap_or_else(|| "no message".into()));
            }
        }
    }
    Message::Done(chunk)
}

/// Feeds the sink: arrivals at once, the prefix in order.
fn collect(board: &Board<'_>, receiver: &Receiver<Message>, first: u64, sink: &mut dyn Sink) -> Result<()> {
    let mut waiting: BTreeMap<u64, Chunk> = BTreeMap::new();
    let mut panicked: BTreeMap<u64, String> = BTreeMap::new();
    let mut next = first;
    let mut idle = Instant::now();
    loop {
        match receiver.recv_timeout(IDLE) {
            Ok(Message::Done(chunk)) => {
                let _ = chunk.each(board.width, &mut |id, outcome, row| {
                    sink.arrived(id, outcome, row);
                    ControlFlow::Continue(())
                });
                waiting.insert(chunk.first, chunk);
            }
            Ok(Message::Panicked(id, message)) => {
                panicked.insert(id, message);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        while let Some(chunk) = waiting.remove(&next) {
            if chunk.each(board.width, &mut |id, outcome, row| sink.next(id, outcome, row)).is_break() {
                return Ok(());
            }
            next += chunk.outcomes.len() as u64;
            board.prefix.store(next, Ordering::Relaxed);
        }
        if let Some((&id, _)) = panicked.first_key_value() {
            // A panic beyond the prefix might never be reached by a run that ends earlier, but it is a defect either way.
            let message = panicked.remove(&id).unwrap_or_default();
            return Err(Error::Panicked { id, message });
        }
        if idle.elapsed() >= IDLE {
            idle = Instant::now();
            if sink.idle().is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

impl Chunk {
    fn each(&self, width: usize, visit: Visit<'_>) -> ControlFlow<()> {
        let mut rows = self.rows.chunks_exact(width.max(1));
        for (id, &outcome) in (self.first..).zip(&self.outcomes) {
            let row = if outcome == Outcome::Rejected { &[] } else { rows.next().unwrap_or(&[]) };
            visit(id, outcome, row)?;
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct First {
        wanted: usize,
        kept: Vec<(u64, f64)>,
        seen: Vec<u64>,
        arrived: usize,
    }

    impl Sink for First {
        fn next(&mut self, id: u64, outcome: Outcome, row: &[f64]) -> ControlFlow<()> {
            self.seen.push(id);
            if outcome == Outcome::Kept {
                self.kept.push((id, row[0]));
            }
            if self.kept.len() == self.wanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
        fn arrived(&mut self, _: u64, _: Outcome, _: &[f64]) {
            self.arrived += 1;
        }
    }

    fn first(workers: usize, wanted: usize, delay: bool) -> First {
        let mut sink = First { wanted, kept: vec![], seen: vec![], arrived: 0 };
        let task = |id: u64, row: &mut [f64]| {
            if delay && id % 7 == 3 {
                std::thread::sleep(Duration::from_millis(3));
            }
            row[0] = id as f64 * 0.5;
            if id.is_multiple_of(3) { Outcome::Kept } else { Outcome::Rejected }
        };
        Threads::new(workers).stream(5, 1, &task, &mut sink).unwrap();
        sink
    }

    #[test]
    fn the_first_kept_by_id_are_the_same_for_any_number_of_workers_and_any_delay() {
        let expected: Vec<(u64, f64)> = (2..42).map(|k| (3 * k, 1.5 * k as f64)).collect();
        for workers in [1, 2, 5] {
            for delay in [false, true] {
                let sink = first(workers, 40, delay);
                assert_eq!(sink.kept, expected);
                assert_eq!(sink.seen, (5..=123).collect::<Vec<_>>());
                assert!(sink.arrived >= sink.seen.len());
            }
        }
    }

    #[test]
    fn a_million_small_tasks_arrive_in_order() {
        assert_eq!(first(2, 333_333, false).kept.len(), 333_333);
    }

    #[test]
    fn a_panic_is_an_error_with_its_id() {
        let mut sink = First { wanted: 10, kept: vec![], seen: vec![], arrived: 0 };
        let task = |id: u64, _: &mut [f64]| if id == 12 { panic!("no such niche") } else { Outcome::Rejected };
        let error = Threads::new(3).stream(0, 1, &task, &mut sink).unwrap_err();
        assert!(matches!(&error, Error::Panicked { id: 12, message } if message == "no such niche"), "{error}");
    }

    #[test]
    fn idle_can_end_a_stream_that_waits() {
        struct Never;
        impl Sink for Never {
            fn next(&mut self, _: u64, _: Outcome, _: &[f64]) -> ControlFlow<()> {
                ControlFlow::Continue(())
            }
            fn idle(&mut self) -> ControlFlow<()> {
                ControlFlow::Break(())
            }
        }
        let slow = |_: u64, _: &mut [f64]| {
            std::thread::sleep(Duration::from_millis(2));
            Outcome::Rejected
        };
        Threads::new(2).stream(0, 1, &slow, &mut Never).unwrap();
    }
}
