//! The leading rank: hands out ids, puts results in order, feeds the sink.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::{Duration, Instant};

use super::crew::{Crew, Done};
use super::schedule::{Cost, Schedule, patience};
use super::{Chunk, Sink, Tally, Work};
use crate::error::{Error, Result};

/// Longest time between two calls of [`Sink::idle`].
pub(super) const IDLE: Duration = Duration::from_millis(100);

/// The other ranks, as the leading one sees them. Rank 0 is itself.
pub(super) trait Others {
    /// Simulation threads of each rank, rank 0 included.
    fn threads(&self) -> &[usize];
    /// Sends a chunk of ids to a rank above 0.
    fn give(&mut self, rank: usize, range: Range<u64>);
    /// Takes what has come from the other ranks; whether one of them was asked to end, by a signal say.
    fn poll(&mut self, visit: &mut dyn FnMut(usize, Done)) -> bool;
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The sink has what it wants.
    Full,
    /// The sink broke it off while it was idle.
    Broken,
}

/// What the leading rank works with.
pub(super) struct Lead<'a> {
    pub first: u64,
    pub width: usize,
    pub work: &'a dyn Work,
    pub crew: &'a Crew<'a>,
    pub cost: &'a mut Cost,
    pub sink: &'a mut dyn Sink,
    pub tally: &'a Tally,
}

/// Leads a stream to its end.
///
/// # Errors
/// [`Error::Panicked`] when the prefix reaches the id of a panic, [`Error::Simulator`] at that of an [`abort`](super::abort).
pub(super) fn lead(lead: Lead<'_>, others: &mut dyn Others) -> Result<End> {
    let Lead { first, width, work, crew, cost, sink, tally } = lead;
    let known: Vec<Chunk> = sink.known().into_iter().filter(|chunk| chunk.first >= first).collect();
    let features = |id: u64, out: &mut Vec<f64>| work.features(id, out);
    let lanes = others.threads().iter().sum();
    tally.begin(others.threads().len());
    let ranges = known.iter().map(|chunk| chunk.first..chunk.first + chunk.len());
    let mut schedule = Schedule::new(first, lanes, ranges, &features, cost);
    schedule.prefix(first, sink.remaining());
    let mut waiting: BTreeMap<u64, Chunk> = known.into_iter().map(|chunk| (chunk.first, chunk)).collect();
    let mut panics: BTreeMap<u64, String> = BTreeMap::new();
    let mut hands = Hands::new(others.threads());
    let mut next = first;
    let mut broken = false;
    // Looked at once in the shortest stream, so that a signal is heard in a thousand of them.
    let mut idle: Option<Instant> = None;
    let mut arrivals: Vec<(usize, Done)> = Vec::new();
    loop {
        while let Some(chunk) = waiting.remove(&next) {
            for (id, outcome, row) in chunk.iter(width) {
                if sink.next(id, outcome, row).is_break() {
                    return Ok(End::Full);
                }
            }
            next += chunk.len();
            schedule.prefix(next, sink.remaining());
        }
        if let Some(message) = panics.remove(&next) {
            return Err(match message.strip_prefix(super::ABORTED) {
                Some(message) => Error::Simulator { id: next, message: message.into() },
                None => Error::Panicked { id: next, message },
            });
        }
        hands.fill(&mut schedule, work.count(), |rank, range| {
            tally.give(rank, range.end - range.start);
            if rank == 0 { crew.give(range) } else { others.give(rank, range) }
        });
        if idle.is_none_or(|last| last.elapsed() >= IDLE) {
            idle = Some(Instant::now());
            broken |= sink.idle().is_break();
        }
        if broken {
            return Ok(End::Broken);
        }
        // The first wait ends with the first result of this rank's own threads; the others are looked at now and then.
        let patience = if others.threads().len() == 1 { IDLE } else { patience(schedule.chunk_seconds(), lanes) };
        arrivals.extend(crew.next(patience).map(|done| (0, done)));
        while let Some(done) = crew.next(Duration::ZERO) {
            arrivals.push((0, done));
        }
        broken |= others.poll(&mut |rank, done| arrivals.push((rank, done)));
        for (rank, done) in arrivals.drain(..) {
            hands.free(rank);
            let Done { chunk, panic } = done;
            panics.extend(panic.map(|message| (chunk.first + chunk.len(), message)));
            if !chunk.is_empty() {
                tally.add(rank, &chunk);
                sink.arrived(&chunk);
                schedule.done(chunk.first, chunk.len(), chunk.seconds);
                waiting.insert(chunk.first, chunk);
            }
        }
    }
}

/// Who has work, and who wants some.
struct Hands {
    threads: Vec<usize>,
    busy: Vec<usize>,
    /// Ranks that may want work, each once.
    wanting: VecDeque<usize>,
    listed: Vec<bool>,
}

impl Hands {
    fn new(threads: &[usize]) -> Self {
        let ranks = threads.len();
        Hands { threads: threads.to_vec(), busy: vec![0; ranks], wanting: (0..ranks).collect(), listed: vec![true; ranks] }
    }

    /// A chunk has come back from a rank.
    fn free(&mut self, rank: usize) {
        self.busy[rank] = self.busy[rank].saturating_sub(1);
        if !self.listed[rank] {
            self.listed[rank] = true;
            self.wanting.push_back(rank);
        }
    }

    /// Gives one chunk after the other to the ranks in turn, as long as there is work below `count` and somebody wants it.
    fn fill(&mut self, schedule: &mut Schedule<'_>, count: u64, mut give: impl FnMut(usize, Range<u64>)) {
        let depth = schedule.depth();
        while let Some(rank) = self.wanting.pop_front() {
            if self.busy[rank] >= depth * self.threads[rank] {
                self.listed[rank] = false;
                continue;
            }
            let range = schedule.take().map(|range| range.start..range.end.min(count));
            let Some(range) = range.filter(|range| !range.is_empty()) else {
                self.wanting.push_front(rank);
                return;
            };
            self.busy[rank] += 1;
            give(rank, range);
            self.wanting.push_back(rank);
        }
    }
}
