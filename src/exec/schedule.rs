//! Which ids to start next, and how many at once: pure policy, without threads, clocks or messages, so that a bench can
//! replay it for more ranks than there are machines.
//!
//! **Chunks.** Ids are handed out in runs that hold about a millisecond of work, and more on many ranks, so that neither a
//! simulator of nanoseconds pays for a message nor rank 0 drowns in them; towards the expected end of the stream in smaller
//! ones.
//!
//! **Order.** A stream ends when every id up to some last one is done, so that an id of many times the mean run time that is
//! started last keeps all others waiting. Where run times can be predicted (see [`Work::features`](super::Work::features))
//! and a chunk is one id, ids are started in order of the latest moment at which they would still be done with their
//! neighbours: id *i* of predicted time *c* (in units of the mean) at `i / lanes − c`. Ids beyond the expected end come last.
//!
//! **Memory.** Nothing is started farther ahead of the completed prefix than a bounded number of chunks for each lane.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;

pub use super::cost::Cost;

/// Work that a chunk should hold, in seconds.
const CHUNK: f64 = 1e-3;
/// The same for each lane: rank 0 sees one chunk in this time, whatever their number.
const CHUNK_PER_LANE: f64 = 20e-6;
/// Largest chunk, in ids.
const CHUNK_MAX: u64 = 1 << 16;
/// A chunk is at most so many times as large as the largest that is done: the first ones find out what an id costs.
const GROWTH: u64 = 4;
/// How far ids are started ahead of the prefix, in chunks of each lane.
const AHEAD: u64 = 64;
/// How far predictions look ahead of the ids that were started, in ids of each lane: the longest prediction that is met in time.
const OUTLOOK: u64 = 32;
/// Predictions made for each id that is handed out, until they reach as far as that.
const OUTLOOK_STEP: usize = 4;
/// Mean seconds of an id from which predictions are worth their cost.
const PREDICTED: f64 = 2e-3;

/// What the schedule asks of the tasks: appends the features of an id.
pub type Features<'a> = &'a dyn Fn(u64, &mut Vec<f64>);

/// The schedule of one stream.
pub struct Schedule<'a> {
    lanes: u64,
    features: Features<'a>,
    cost: &'a mut Cost,
    /// Lowest id that was neither handed out nor looked at.
    next: u64,
    /// Every id below is done.
    prefix: u64,
    /// First id that the stream will likely not need.
    end: u64,
    /// Ids that are known from before: first to the one after the last.
    known: BTreeMap<u64, u64>,
    /// Ids done, and the seconds they took.
    done: (u64, f64),
    largest: u64,
    /// Ids with predictions, by the moment of their start.
    ready: BinaryHeap<Reverse<(Moment, u64)>>,
    /// Those of them beyond the expected end.
    late: BTreeMap<u64, Moment>,
    /// Features of ids that were looked at and are not done.
    known_features: BTreeMap<u64, Vec<f64>>,
}

/// A moment in units of the mean run time; totally ordered.
#[derive(Clone, Copy, Debug)]
struct Moment(f64);

impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Moment {}
impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Moment {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl<'a> Schedule<'a> {
    /// A schedule of ids from `first` upwards on so many `lanes`, without those in `known`.
    pub fn new(
        first: u64,
        lanes: usize,
        known: impl Iterator<Item = Range<u64>>,
        features: Features<'a>,
        cost: &'a mut Cost,
    ) -> Self {
        Schedule {
            lanes: lanes.max(1) as u64,
            features,
            cost,
            next: first,
            prefix: first,
            end: u64::MAX,
            known: known.map(|range| (range.start, range.end)).collect(),
            done: (0, 0.0),
            largest: 0,
            ready: BinaryHeap::new(),
            late: BTreeMap::new(),
            known_features: BTreeMap::new(),
        }
    }

    /// Mean seconds of an id so far, if one is done.
    pub fn mean(&self) -> Option<f64> {
        (self.done.0 > 0).then(|| self.done.1 / self.done.0 as f64)
    }

    /// Seconds that a chunk takes.
    pub fn chunk_seconds(&self) -> f64 {
        self.mean().map_or(0.0, |mean| mean * self.size() as f64)
    }

    /// A chunk of `count` ids from `first` is done, in so many seconds of one lane.
    pub fn done(&mut self, first: u64, count: u64, seconds: f64) {
        self.done = (self.done.0 + count, self.done.1 + seconds);
        self.largest = self.largest.max(count);
        if count == 1
            && let Some(features) = self.known_features.remove(&first)
        {
            self.cost.learn(&features, seconds);
            if self.cost.refit() {
                self.sort();
            }
        }
    }

    /// Every id below `prefix` is done, and the stream will likely need `remaining` more, as far as is known.
    pub fn prefix(&mut self, prefix: u64, remaining: Option<u64>) {
        self.prefix = prefix;
        self.end = remaining.map_or(u64::MAX, |n| prefix.saturating_add(n));
        // The end has moved up: what was late is due.
        while let Some(entry) = self.late.first_entry()
            && *entry.key() < self.end
        {
            let (id, moment) = entry.remove_entry();
            self.ready.push(Reverse((moment, id)));
        }
    }

    /// The next ids to start; `None` as long as too many are under way.
    pub fn take(&mut self) -> Option<Range<u64>> {
        let size = self.size();
        if size == 1 && self.mean().is_some_and(|mean| mean >= PREDICTED) && self.look_ahead(OUTLOOK_STEP) {
            return self.take_predicted();
        }
        // Ids that were looked at come first, or they would be left behind.
        if !(self.ready.is_empty() && self.late.is_empty()) {
            return self.take_predicted();
        }
        self.skip_known();
        if self.next > self.prefix.saturating_add(AHEAD * size * self.lanes) {
            return None;
        }
        let end = self.known.range(self.next..).next().map_or(u64::MAX, |(first, _)| *first).min(self.next + size);
        let range = self.next..end;
        self.next = end;
        Some(range)
    }

    fn size(&self) -> u64 {
        let Some(mean) = self.mean() else { return 1 };
        let target = CHUNK.max(CHUNK_PER_LANE * self.lanes as f64) / mean.max(1e-9);
        // The last chunks are small, but hold some work.
        let left = self.end.saturating_sub(self.next) as f64 / (2 * self.lanes) as f64;
        let size = target.min(left.max(target / 8.0)) as u64;
        size.clamp(1, CHUNK_MAX.min(self.largest.saturating_mul(GROWTH)))
    }

    fn skip_known(&mut self) {
        while let Some(end) = self.known.remove(&self.next) {
            self.next = end;
        }
    }

    fn moment(&self, id: u64, features: &[f64]) -> Moment {
        Moment(id as f64 / self.lanes as f64 - self.cost.predict(features))
    }

    /// Predicts the cost of up to `count` more ids; whether there are predictions at all.
    fn look_ahead(&mut self, count: usize) -> bool {
        for _ in 0..count {
            self.skip_known();
            let outlook = (self.ready.len() + self.late.len()) as u64 >= OUTLOOK * self.lanes;
            if outlook || self.next > self.prefix.saturating_add((AHEAD + OUTLOOK) * self.lanes) {
                break;
            }
            let mut features = Vec::new();
            (self.features)(self.next, &mut features);
            if features.is_empty() {
                return false;
            }
            let (id, moment) = (self.next, self.moment(self.next, &features));
            self.known_features.insert(id, features);
            self.put(id, moment);
            self.next += 1;
        }
        true
    }

    fn put(&mut self, id: u64, moment: Moment) {
        if id < self.end {
            self.ready.push(Reverse((moment, id)));
        } else {
            self.late.insert(id, moment);
        }
    }

    fn take_predicted(&mut self) -> Option<Range<u64>> {
        while let Some(&Reverse((moment, id))) = self.ready.peek() {
            if id > self.prefix.saturating_add((AHEAD + OUTLOOK) * self.lanes) {
                break;
            }
            self.ready.pop();
            if id < self.end {
                return Some(id..id + 1);
            }
            self.late.insert(id, moment);
        }
        let (id, _) = self.late.pop_first()?;
        Some(id..id + 1)
    }

    /// Sorts what was looked at and not handed out by the new predictions.
    fn sort(&mut self) {
        let ready = std::mem::take(&mut self.ready).into_iter().map(|Reverse((_, id))| id);
        let ids: Vec<u64> = ready.chain(std::mem::take(&mut self.late).into_keys()).collect();
        for id in ids {
            let moment = self.known_features.get(&id).map_or(Moment(id as f64 / self.lanes as f64), |f| self.moment(id, f));
            self.put(id, moment);
        }
    }
}
