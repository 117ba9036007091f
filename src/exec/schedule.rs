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
//! neighbours, and some time before: id *i* of predicted time *c* (in units of the mean) in order of `i / lanes − h c`.
//! With `h = 1` the last ones would be late, since those that were started before their turn have taken the lanes; with a
//! large *h* more is begun that lies beyond the end. *h* grows with the uncertainty of predictions. The next ids are all
//! sorted so; farther ahead only those are looked for whose turn would be over before they are sorted.
//!
//! **End.** Where the stream ends is an estimate that moves. Ids beyond it, and beyond a margin for its error, are started
//! only when nothing else is left, in order of id.
//!
//! **Memory.** Nothing is started farther ahead of the completed prefix than a bounded number of chunks for each lane.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::ops::Range;
use std::time::Duration;

pub use super::cost::Cost;

/// Work that a chunk should hold, in seconds.
const CHUNK: f64 = 1e-3;
/// The same for each lane: rank 0 sees one chunk in this time, whatever their number.
const CHUNK_PER_LANE: f64 = 20e-6;
/// Seconds of a chunk below which each thread gets a second one in advance, so that it need not wait for an answer.
const SHORT: f64 = 20e-3;
/// Shortest and longest time between two looks at messages, in seconds.
const LOOK: (f64, f64) = (20e-6, 1e-3);
/// Largest chunk, in ids.
const CHUNK_MAX: u64 = 1 << 16;
/// A chunk is at most so many times as large as the largest that is done: the first ones find out what an id costs.
const GROWTH: u64 = 4;
/// How far ids are started ahead of the prefix, in chunks of each lane; and how far long ones are looked for.
const AHEAD: u64 = 128;
/// How far ahead of the prefix all ids are sorted by their predictions, in ids of each lane.
const OUTLOOK: u64 = 16;
/// Predictions that rank 0 makes in a second, at most: a few tenths of its time.
const LOOKS: f64 = 2e5;
/// Mean seconds of an id from which predictions are worth their cost.
const PREDICTED: f64 = 2e-3;
/// How much earlier than at the latest moment ids are started, as a multiple of their predicted run time. With 16 lanes in
/// `benches/scale.rs`, 1 lost two per cent against 2 at acceptance 1, and 4 lost two per cent at acceptance 0.3.
const HASTE: f64 = 2.0;
/// For each unit of standard deviation of the logarithm of run time about its prediction, this times the e-fold of it.
const WARY: f64 = 1.5;
/// The expected end of the stream is taken so many of its standard deviations too late.
const MARGIN: f64 = 1.0;

/// How long a rank with so many `lanes` may sleep between two looks at its messages. Where each thread has a second chunk,
/// nobody waits for an answer sooner than a chunk takes, and each look costs the thread beside it some 10 µs; else a tenth of
/// the time between two results.
pub fn patience(chunk_seconds: f64, lanes: usize) -> Duration {
    let seconds = if chunk_seconds < SHORT { chunk_seconds / 4.0 } else { 0.1 * chunk_seconds / lanes as f64 };
    Duration::from_secs_f64(seconds.clamp(LOOK.0, LOOK.1))
}

/// What the schedule asks of the tasks: appends the features of an id.
pub type Features<'a> = &'a dyn Fn(u64, &mut Vec<f64>);

/// The schedule of one stream.
pub struct Schedule<'a> {
    lanes: u64,
    features: Features<'a>,
    cost: &'a mut Cost,
    first: u64,
    /// Lowest id that was neither handed out nor looked at.
    next: u64,
    /// Ids below were looked at in search of long ones.
    scout: u64,
    /// Every id below is done.
    prefix: u64,
    end: Expected,
    /// Ids that are known from before, handed out or looked at: first to the one after the last.
    known: BTreeMap<u64, u64>,
    /// Ids done, and the seconds they took.
    done: (u64, f64),
    largest: u64,
    /// Ids with predictions, by the moment of their start.
    ready: BinaryHeap<Reverse<(Moment, u64)>>,
    /// Those of them beyond the expected end.
    late: BTreeMap<u64, Moment>,
    /// Features of ids that were looked at and are not done.
    looked: HashMap<u64, Vec<f64>>,
}

/// The expected end of a stream.
#[derive(Clone, Copy, Debug)]
struct Expected {
    /// First id that the stream will likely not need.
    end: u64,
    /// The same, and a margin for what is uncertain in it.
    due: u64,
    /// Sum of the squared changes of `end`, each scaled to what it would have been at the end of the stream, and the number
    /// of ids in which they came about: their ratio is the variance that one id brings.
    changes: (f64, f64),
}

impl Expected {
    const UNKNOWN: Expected = Expected { end: u64::MAX, due: u64::MAX, changes: (0.0, 0.0) };

    /// `seen` ids of the stream are done in order, up to `prefix`, `new` of them since the last time; `remaining` more are
    /// likely needed.
    ///
    /// An expected value moves in the time to come as it has moved until now. Where the end is estimated from a rate that was
    /// seen in `s` of `m` ids, what one id changes in it falls as `m / s`, so that the variance to come is `v m (m − s) / s`,
    /// with `v` that of one id at the end.
    fn update(&mut self, prefix: u64, seen: u64, new: u64, remaining: u64) {
        let end = prefix.saturating_add(remaining);
        let all = (seen as f64 + remaining as f64).max(1.0);
        if self.end < u64::MAX && new > 0 {
            let change = (end as f64 - self.end as f64) * seen as f64 / all;
            self.changes = (self.changes.0 + change * change, self.changes.1 + new as f64);
        }
        self.end = end;
        let variance = self.changes.0 / self.changes.1.max(1.0) * all * remaining as f64 / seen.max(1) as f64;
        self.due = end.saturating_add((MARGIN * variance.sqrt()) as u64);
    }
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
            first,
            next: first,
            scout: first,
            prefix: first,
            end: Expected::UNKNOWN,
            known: known.map(|range| (range.start, range.end)).collect(),
            done: (0, 0.0),
            largest: 0,
            ready: BinaryHeap::new(),
            late: BTreeMap::new(),
            looked: HashMap::new(),
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

    /// Chunks for each thread at once. Before anything is known about run times, one finds out.
    pub fn depth(&self) -> usize {
        if self.mean().is_some() && self.chunk_seconds() < SHORT { 2 } else { 1 }
    }

    /// A chunk of `count` ids from `first` is done, in so many seconds of one lane.
    pub fn done(&mut self, first: u64, count: u64, seconds: f64) {
        self.done = (self.done.0 + count, self.done.1 + seconds);
        self.largest = self.largest.max(count);
        if count == 1
            && let Some(features) = self.looked.remove(&first)
        {
            self.cost.learn(&features, seconds);
            if self.cost.refit() {
                self.sort();
            }
        }
    }

    /// Every id below `prefix` is done, and the stream will likely need `remaining` more, as far as is known.
    pub fn prefix(&mut self, prefix: u64, remaining: Option<u64>) {
        let new = prefix - self.prefix;
        self.prefix = prefix;
        match remaining {
            Some(remaining) => self.end.update(prefix, prefix - self.first, new, remaining),
            None => self.end = Expected::UNKNOWN,
        }
        // The end has moved up: what was late is due.
        while let Some(entry) = self.late.first_entry()
            && *entry.key() < self.end.due
        {
            let (id, moment) = entry.remove_entry();
            self.ready.push(Reverse((moment, id)));
        }
    }

    /// The next ids to start; `None` as long as too many are under way.
    pub fn take(&mut self) -> Option<Range<u64>> {
        let size = self.size();
        // What an earlier stream has taught counts until the first id is done.
        let mean = self.mean().or(self.cost.mean()).filter(|mean| size == 1 && *mean >= PREDICTED);
        if let Some(mean) = mean
            && self.look_ahead((LOOKS * mean / self.lanes as f64) as u64)
        {
            return self.take_predicted();
        }
        // Ids that were looked at come first, or they would be left behind.
        if !self.ready.is_empty() || self.late.first_key_value().is_some_and(|(id, _)| *id < self.next) {
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
        let left = self.end.end.saturating_sub(self.next) as f64 / (2 * self.lanes) as f64;
        let size = target.min(left.max(target / 8.0)) as u64;
        size.clamp(1, CHUNK_MAX.min(self.largest.saturating_mul(GROWTH)))
    }

    fn skip_known(&mut self) {
        while let Some(end) = self.known.remove(&self.next) {
            self.next = end;
        }
    }

    /// Predicts the cost of up to `count` more ids, at least of one; whether there are predictions at all.
    fn look_ahead(&mut self, count: u64) -> bool {
        let mut left = count.max(1);
        let farthest = self.prefix.saturating_add(AHEAD * self.lanes);
        loop {
            self.skip_known();
            // Beyond the expected end only if there is nothing else to do.
            let idle = self.ready.is_empty() && self.late.first_key_value().is_none_or(|(id, _)| *id > self.next);
            let wanted = left > 0 && self.next < self.end.due && (self.ready.len() as u64) < OUTLOOK * self.lanes;
            if self.next >= farthest || !(wanted || idle) {
                break;
            }
            if self.look(self.next, 0.0).is_none() {
                return false;
            }
            self.next += 1;
            left = left.saturating_sub(1);
        }
        self.scout = self.scout.max(self.next);
        while left > 0 && self.scout < farthest.min(self.end.due) {
            match self.known.range(..=self.scout).next_back() {
                Some((_, end)) if *end > self.scout => self.scout = *end,
                _ => {
                    if self.look(self.scout, OUTLOOK as f64 / HASTE) == Some(true) {
                        self.known.insert(self.scout, self.scout + 1);
                    }
                    self.scout += 1;
                }
            }
            left -= 1;
        }
        true
    }

    /// Sorts one id in if it takes at least so many times the mean, and says so; `None` if it has no features.
    fn look(&mut self, id: u64, least: f64) -> Option<bool> {
        let mut features = Vec::new();
        (self.features)(id, &mut features);
        if features.is_empty() {
            return None;
        }
        let cost = self.cost.predict(&features);
        if cost >= least {
            self.looked.insert(id, features);
            self.put(id, self.moment(id, cost));
        }
        Some(cost >= least)
    }

    fn moment(&self, id: u64, cost: f64) -> Moment {
        Moment(id as f64 / self.lanes as f64 - HASTE * (WARY * self.cost.spread()).exp() * cost)
    }

    fn put(&mut self, id: u64, moment: Moment) {
        if id < self.end.due {
            self.ready.push(Reverse((moment, id)));
        } else {
            self.late.insert(id, moment);
        }
    }

    fn take_predicted(&mut self) -> Option<Range<u64>> {
        while let Some(Reverse((moment, id))) = self.ready.pop() {
            if id < self.end.due {
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
            let cost = self.looked.get(&id).map_or(1.0, |features| self.cost.predict(features));
            self.put(id, self.moment(id, cost));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Purpose};

    /// What is known after 200 runs whose time is `exp(feature)`; the mean is 1 if the features are standard normal − 1/2.
    fn taught() -> Cost {
        let mut rng = Key::root(3).stream(Purpose::Pilot);
        let mut cost = Cost::default();
        for _ in 0..200 {
            let feature = rng.normal() - 0.5;
            cost.learn(&[feature], feature.exp());
            cost.refit();
        }
        cost
    }

    /// A feature that is drawn for each id.
    fn drawn(id: u64) -> f64 {
        Key::root(9).child(id).stream(Purpose::Simulate).normal() - 0.5
    }

    /// With and without predictions, short and long ids, and results in any order: each id is handed out once, known ones
    /// never, and none so far ahead of the prefix that memory grows.
    #[test]
    fn every_id_once() {
        for (seconds, predictable) in [(1e-6, false), (1e-6, true), (0.5, false), (0.5, true)] {
            let mut cost = taught();
            let features = |id: u64, out: &mut Vec<f64>| out.extend(predictable.then(|| drawn(id)));
            let known = [5..9u64, 40..41, 41..60, 1000..1500];
            let mut schedule = Schedule::new(2, 7, known.iter().cloned(), &features, &mut cost);
            let mut rng = Key::root(1).stream(Purpose::Simulate);
            let mut state: BTreeMap<u64, bool> = known.iter().flat_map(Clone::clone).map(|id| (id, true)).collect();
            let mut under_way: Vec<Range<u64>> = Vec::new();
            let mut prefix = 2;
            while prefix < 4000 {
                while under_way.len() < 14
                    && let Some(range) = schedule.take()
                {
                    let size = range.end - range.start;
                    assert!(range.end <= prefix + (AHEAD + 1) * 7 * size.max(schedule.size()), "{range:?} at {prefix}");
                    for id in range.clone() {
                        assert!(state.insert(id, false).is_none(), "{id} for the second time");
                    }
                    under_way.push(range);
                }
                let done = under_way.swap_remove((rng.uniform() * under_way.len() as f64) as usize);
                done.clone().for_each(|id| *state.get_mut(&id).unwrap() = true);
                schedule.done(done.start, done.end - done.start, seconds * (done.end - done.start) as f64);
                while state.get(&prefix) == Some(&true) {
                    prefix += 1;
                }
                schedule.prefix(prefix, (prefix < 3000).then(|| 3200 - prefix));
            }
        }
    }

    /// One id is not done: the window ends, and nothing more is handed out.
    #[test]
    fn the_window_ends() {
        for predictable in [false, true] {
            let mut cost = taught();
            let features = |id: u64, out: &mut Vec<f64>| out.extend(predictable.then(|| drawn(id)));
            let mut schedule = Schedule::new(0, 4, std::iter::empty(), &features, &mut cost);
            schedule.prefix(0, Some(1 << 40));
            let mut count = 0;
            while let Some(range) = schedule.take() {
                count += 1;
                assert!(range.end <= 4 * AHEAD + 2);
                if range.start > 0 {
                    schedule.done(range.start, 1, 1.0);
                }
            }
            assert!(count + 2 >= 4 * AHEAD, "{count}");
        }
    }

    /// Ids that take long come early, those beyond the end last, in order of id.
    #[test]
    fn long_ones_first_and_late_ones_last() {
        let mut cost = taught();
        let ln = |id: u64| match id {
            // Far beyond what is sorted, and of 60 means.
            300 => 60f64.ln(),
            25 | 35 | 405 => 3.0,
            _ => -0.5,
        };
        let features = |id: u64, out: &mut Vec<f64>| out.push(ln(id));
        let mut schedule = Schedule::new(0, 4, std::iter::empty(), &features, &mut cost);
        schedule.prefix(0, Some(400));
        let order: Vec<u64> = std::iter::from_fn(|| schedule.take()).map(|range| range.start).take(410).collect();
        assert_eq!(order[..3], [300, 25, 35], "{order:?}");
        assert!(order[3..400].is_sorted(), "{order:?}");
        assert_eq!(order[400..], (400..410).collect::<Vec<u64>>());
        // The end moves up: what is due again comes in order of its moment.
        schedule.prefix(0, Some(500));
        assert_eq!(schedule.take(), Some(410..411));
    }

    /// The margin is the error of the expected end: over 400 streams of 300 acceptances at a rate of 0.2, seen at 500 of about
    /// 1500 ids, the root mean square of error over margin is 1 within 15 % (its standard error is 3.5 %, plus that of the
    /// margins, some 5 %).
    #[test]
    fn the_margin_is_the_error_of_the_end() {
        let (wanted, rate) = (300u64, 0.2);
        let mut sum = 0.0;
        for stream in 0..400 {
            let mut rng = Key::root(stream).stream(Purpose::Simulate);
            let (mut end, mut at, mut accepted, mut id) = (Expected::UNKNOWN, None, 0, 0);
            while accepted < wanted {
                accepted += u64::from(rng.uniform() < rate);
                id += 1;
                let seen = (accepted as f64 + 10.0 * rate) / (id as f64 + 10.0);
                end.update(id, id, 1, ((wanted - accepted) as f64 / seen).ceil() as u64);
                if id == 500 {
                    at = Some(end);
                }
            }
            let at = at.unwrap();
            sum += ((id as f64 - at.end as f64) / (at.due - at.end) as f64).powi(2);
        }
        let rms = MARGIN * (sum / 400.0f64).sqrt();
        assert!((rms - 1.0).abs() < 0.15, "{rms}");
    }
}
