//! Threads of this process.

use std::cell::RefCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::crew::{Board, Crew, Done};
use super::lead::{End, Lead, Others, lead};
use super::schedule::Cost;
use super::{Executor, Place, Sink, Work, host};
use crate::error::Result;

/// An executor over a fixed number of threads.
#[derive(Debug, Default)]
pub struct Threads {
    workers: usize,
    cost: RefCell<Cost>,
}

impl Threads {
    /// `workers` threads; at least one.
    pub fn new(workers: usize) -> Self {
        Threads { workers: workers.max(1), cost: RefCell::default() }
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
            let task = Lead { first, width, work, crew: &crew, cost, sink: &mut *sink };
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
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::time::Duration;

    use super::super::{Chunk, Outcome};
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
}
