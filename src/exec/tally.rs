//! What each rank has done, for people who look for the slow one. No result knows it.

use std::cell::RefCell;
use std::rc::Rc;

use super::Chunk;

/// Tasks that came back from one rank.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share {
    /// How many.
    pub tasks: u64,
    /// Seconds of one thread that they took, summed.
    pub seconds: f64,
}

/// A handle on what the ranks of an executor have done since it was opened. Only that of rank 0 counts.
#[derive(Clone, Debug, Default)]
pub struct Tally(Rc<RefCell<Vec<Share>>>);

impl Tally {
    /// A chunk has come back.
    pub(super) fn add(&self, rank: usize, chunk: &Chunk) {
        let mut shares = self.0.borrow_mut();
        if rank >= shares.len() {
            shares.resize(rank + 1, Share::default());
        }
        shares[rank].tasks += chunk.len();
        shares[rank].seconds += chunk.seconds;
    }

    /// The share of each of so many ranks.
    pub fn shares(&self, ranks: usize) -> Vec<Share> {
        let mut shares = self.0.borrow().clone();
        shares.resize(ranks, Share::default());
        shares
    }
}
