//! Threads of this process.

use std::cell::RefCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::crew::{Board, Crew, Done};
use super::lead::{End, Lead, Others, lead};
use super::schedule::Cost;
use super::{Executor, Place, Sink, Tally, Work, host};
use crate::error::Result;

/// An executor over a fixed number of threads.
#[derive(Debug, Default)]
pub struct Threads {
    workers: usize,
    cost: RefCell<Cost>,
    tally: Tally,
}

impl Threads {
    /// `workers` threads; at least one.
    pub fn new(workers: usize) -> Self {
        Threads { workers: workers.max(1), ..Threads::default() }
    }
}

/// There are no others.
struct Alone([usize; 1]);

impl Others for Alone {
    fn threads(&self) -> &[usize] {
        &self.0
    }
    fn give(&mut self, _: usize, _: Range<u64>) {}
    fn poll(&mut self, _: &mut dyn FnMut(usize, Done)) -> bool {
        false
    }
}

impl Executor for Threads {
    fn stream(&self, first: u64, width: usize, work: &dyn Work, sink: &mut dyn Sink) -> Result<()> {
        let board = Board::new(work, width);
        std::thread::scope(|scope| {
            let crew = Crew::start(scope, &board, self.workers)?;
            let cost = &mut *self.cost.borrow_mut();
            let task = Lead { first, width, work, crew: &crew, cost, sink: &mut *sink, tally: &self.tally };
            // The flag is set also when the sink panics, so that the scope can end.
            let result = catch_unwind(AssertUnwindSafe(|| lead(task, &mut Alone([crew.threads]))));
            board.enough();
            let end = result.unwrap_or_else(|panic| resume_unwind(panic))?;
            if end == End::Broken
                && board.stuck()
                && let Some(code) = sink.abandon()
            {
                std::process::exit(code.into());
            }
            Ok(())
        })
    }

    fn once(&self, action: &mut dyn FnMut() -> Result<Vec<f64>>) -> Result<Vec<f64>> {
        action()
    }

    fn lanes(&self) -> usize {
        self.workers
    }

    fn place(&self) -> Place {
        Place { ranks: 1, threads: vec![self.workers], hosts: vec![host()], mpi: String::new() }
    }

    fn tally(&self) -> Tally {
        self.tally.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use super::super::{Chunk, Enough, Outcome, gather};
    use super::*;
    use crate::error::Error;

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
        fn arrived(&mut self, chunk: &Chunk) {
            self.arrived += chunk.outcomes.len();
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

    /// The panic is in the system's hands before the prefix is near it, and beyond what the sink wants.
    ///
    /// Planted: a panic ends the stream when it arrives. Seen: `Panicked { id: 12 }`, which nobody asked for.
    #[test]
    fn a_panic_that_the_prefix_never_reaches_ends_nothing() {
        for workers in [2, 5] {
            let panicked = AtomicBool::new(false);
            let task = |id: u64, row: &mut [f64]| {
                let begun = Instant::now();
                while id == 3 && !panicked.load(Ordering::SeqCst) && begun.elapsed() < Duration::from_secs(20) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                if id == 12 {
                    panicked.store(true, Ordering::SeqCst);
                    panic!("nobody asked for this");
                }
                row[0] = id as f64;
                Outcome::Kept
            };
            let mut sink = First { wanted: 10, kept: vec![], seen: vec![], arrived: 0 };
            Threads::new(workers).stream(0, 1, &task, &mut sink).unwrap();
            assert_eq!(sink.seen, (0..10).collect::<Vec<_>>());
            assert!(panicked.into_inner(), "{workers} workers: id 12 was not run, so this test shows nothing");
        }
    }

    /// Several tasks panic, and a later one first: the first by id is told, whatever runs it.
    ///
    /// Planted: the first panic that arrives is told. Seen: id 17 on 2 workers.
    #[test]
    fn the_first_panic_by_id_is_told_on_any_number_of_workers() {
        for workers in [1, 2, 5] {
            let task = |id: u64, _: &mut [f64]| match id {
                12 => {
                    std::thread::sleep(Duration::from_millis(50));
                    panic!("niche {id}")
                }
                17 | 40 => panic!("niche {id}"),
                _ => Outcome::Rejected,
            };
            let mut sink = First { wanted: 10, kept: vec![], seen: vec![], arrived: 0 };
            let error = Threads::new(workers).stream(0, 1, &task, &mut sink).unwrap_err();
            assert!(matches!(&error, Error::Panicked { id: 12, message } if message == "niche 12"), "{workers}: {error}");
            assert_eq!(sink.seen, (0..12).collect::<Vec<_>>());
        }
    }

    /// Chunks of every size and distance are known, among them the first ids and some beyond the end.
    ///
    /// Planted: a schedule that is not told of them. Seen: 58 ids computed again.
    #[test]
    fn what_is_known_is_not_computed_again() {
        struct Knows(First, Vec<Chunk>);
        impl Sink for Knows {
            fn next(&mut self, id: u64, outcome: Outcome, row: &[f64]) -> ControlFlow<()> {
                self.0.next(id, outcome, row)
            }
            fn known(&mut self) -> Vec<Chunk> {
                std::mem::take(&mut self.1)
            }
            fn arrived(&mut self, chunk: &Chunk) {
                self.0.arrived(chunk);
            }
        }
        let result = |id: u64| if id.is_multiple_of(3) { Outcome::Kept } else { Outcome::Rejected };
        let ranges = [5..6, 9..13, 13..14, 40..90, 91..92, 120..300];
        let known = || {
            let chunk = |ids: &Range<u64>| Chunk {
                first: ids.start,
                outcomes: ids.clone().map(result).collect(),
                rows: ids.clone().filter(|id| id.is_multiple_of(3)).map(|id| id as f64 * 0.5).collect(),
                seconds: 1.0,
            };
            let mut chunks: Vec<Chunk> = ranges.iter().map(chunk).collect();
            chunks.reverse();
            chunks
        };
        let expected = first(1, 40, false);
        for workers in [1, 2, 5] {
            let computed = Mutex::new(Vec::new());
            let task = |id: u64, row: &mut [f64]| {
                std::thread::sleep(Duration::from_micros(300));
                row[0] = id as f64 * 0.5;
                computed.lock().unwrap().push(id);
                result(id)
            };
            let mut sink = Knows(First { wanted: 40, kept: vec![], seen: vec![], arrived: 0 }, known());
            Threads::new(workers).stream(5, 1, &task, &mut sink).unwrap();
            assert_eq!((sink.0.kept, sink.0.seen), (expected.kept.clone(), expected.seen.clone()));
            let again: Vec<u64> = computed.into_inner().unwrap();
            let again = again.iter().filter(|id| ranges.iter().any(|known| known.contains(id)));
            assert_eq!(again.count(), 0, "{workers} workers: computed again");
        }
    }

    /// Tasks beyond the end would run for ever.
    ///
    /// Planted: `enough` is not said. Seen: the stream does not end.
    #[test]
    fn a_long_task_that_looks_at_enough_does_not_hold_up_the_end() {
        struct Long;
        impl Work for Long {
            fn run(&self, id: u64, row: &mut [f64], enough: &Enough) -> Outcome {
                row[0] = id as f64;
                // Slow enough for chunks of one id: what stands behind an endless task in its chunk is never seen.
                std::thread::sleep(Duration::from_millis(5));
                while id >= 5 && !enough.is_said() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Outcome::Kept
            }
        }
        for workers in [1, 2, 5] {
            let begun = Instant::now();
            let mut sink = First { wanted: 5, kept: vec![], seen: vec![], arrived: 0 };
            Threads::new(workers).stream(0, 1, &Long, &mut sink).unwrap();
            assert_eq!(sink.seen, [0, 1, 2, 3, 4]);
            assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        }
    }

    #[test]
    fn what_is_gathered_is_the_same_on_any_number_of_workers() {
        let task = |id: u64, row: &mut [f64]| {
            if id % 11 == 4 {
                std::thread::sleep(Duration::from_millis(2));
            }
            row.copy_from_slice(&[id as f64, 1.0 / id as f64]);
            if id % 5 == 2 { Outcome::Failed } else { Outcome::Kept }
        };
        let go_on = &mut |_| ControlFlow::Continue(());
        for count in [0, 1, 7, 200] {
            let row = |id: u64| (id % 5 != 2).then(|| vec![id as f64, 1.0 / id as f64]);
            let expected: Vec<Option<Vec<f64>>> = (0..count).map(row).collect();
            for workers in [1, 2, 5] {
                let rows = gather(&Threads::new(workers), count, 2, &task, go_on).unwrap();
                assert_eq!(rows, Some(expected.clone()), "{count} on {workers} workers");
            }
        }
        let slow = |_: u64, _: &mut [f64]| {
            std::thread::sleep(Duration::from_millis(1));
            Outcome::Kept
        };
        let stop = &mut |_| ControlFlow::Break(());
        assert_eq!(gather(&Threads::new(2), 1_000_000, 1, &slow, stop).unwrap(), None);
    }
}
