//! What each rank has done, for people who look for the slow one. No result knows it.

use std::cell::RefCell;
use std::rc::Rc;

use super::Chunk;

/// Tasks of one rank that came back, and others.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share {
    /// How many.
    pub tasks: u64,
    /// How many it has been given and not brought back.
    pub owed: u64,
    /// Seconds of one thread that they took, summed.
    pub seconds: f64,
}

/// A handle on what the ranks of an executor have done since it was opened. Only that of rank 0 counts.
#[derive(Clone, Debug, Default)]
pub struct Tally(Rc<RefCell<Vec<Share>>>);

impl Tally {
    /// A stream begins: what was owed to the one before is not wanted any more.
    pub(super) fn begin(&self, ranks: usize) {
        let mut shares = self.0.borrow_mut();
        shares.resize(ranks, Share::default());
        shares.iter_mut().for_each(|share| share.owed = 0);
    }

    /// A rank is given tasks.
    pub(super) fn give(&self, rank: usize, count: u64) {
        self.0.borrow_mut()[rank].owed += count;
    }

    /// A chunk has come back.
    pub(super) fn add(&self, rank: usize, chunk: &Chunk) {
        let share = &mut self.0.borrow_mut()[rank];
        share.tasks += chunk.len();
        share.owed = share.owed.saturating_sub(chunk.len());
        share.seconds += chunk.seconds;
    }

    /// The share of each of so many ranks.
    pub fn shares(&self, ranks: usize) -> Vec<Share> {
        let mut shares = self.0.borrow().clone();
        shares.resize(ranks, Share::default());
        shares
    }
}
