//! Useful efficiency of a real executor: 16 lanes, more than there are cores, whose simulations sleep (log-normal run times,
//! sigma 1), so that what is lost is lost to the schedule and to its messages.
//!
//! ```text
//! cargo bench --bench efficiency                            # 16 threads
//! cargo build --release --features mpi --bench efficiency   # says where the program is
//! mpirun --oversubscribe -n 16 target/release/deps/efficiency-…   # 16 ranks of one thread
//! ```
//! A stream ends at the 160th acceptance in order of id. *raw* is the work of the ids up to that one over lanes × wall time,
//! the *bound* the larger of that work / lanes and the longest of those simulations, *of bound* the bound over the wall time.
//! Run times count as they were measured: a sleep lasts longer than it was asked to. The executor learns run times from one
//! stream in advance, as a run does in its first generation.

#![allow(clippy::expect_used, missing_docs)]

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nicho::exec::{self, Chunk, Enough, Executor, Outcome, Sink, Work};
use nicho::rng::{Key, Purpose};

/// Lanes if no launcher started several ranks.
const LANES: usize = 16;
/// Acceptances that end a stream.
const POPULATION: u64 = 160;
/// Mean run time, seconds.
const MEAN: f64 = 50e-3;
/// A simulation looks this often whether it is still wanted.
const SLICE: Duration = Duration::from_millis(5);
/// The first guess of the acceptance rate counts as this many trials, as in `smc::Collect`.
const GUESS: f64 = 10.0;
/// Ids whose work is added up; no stream is longer.
const MOST: usize = 1 << 15;

/// Simulations that sleep.
struct Sleeps {
    key: Key,
    acceptance: f64,
    /// Whether the features say how long.
    predictable: bool,
    /// Seconds that the lanes of this process spent in simulations, in nanoseconds.
    busy: AtomicU64,
}

impl Sleeps {
    fn seconds(&self, id: u64) -> f64 {
        MEAN * (self.key.child(id).stream(Purpose::Simulate).normal() - 0.5).exp()
    }
}

impl Work for Sleeps {
    /// The row: seconds that it took.
    fn run(&self, id: u64, row: &mut [f64], enough: &Enough) -> Outcome {
        let begun = Instant::now();
        let until = begun + Duration::from_secs_f64(self.seconds(id));
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if enough.is_said() {
                break;
            }
            sleep(left.min(SLICE));
        }
        row[0] = begun.elapsed().as_secs_f64();
        self.busy.fetch_add(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
        let accepted = self.key.child(id).stream(Purpose::Propose).uniform() < self.acceptance;
        if accepted { Outcome::Kept } else { Outcome::Rejected }
    }

    fn features(&self, id: u64, out: &mut Vec<f64>) {
        if self.predictable {
            out.push(self.seconds(id).ln());
        }
    }
}

/// Ends at the last acceptance that is wanted, and adds up what arrived.
struct Collect<'a> {
    acceptance: f64,
    accepted: u64,
    simulated: u64,
    /// Seconds of each id, as they arrived.
    seconds: &'a [AtomicU64],
    begun: Instant,
    wall: f64,
}

impl Sink for Collect<'_> {
    fn next(&mut self, _: u64, outcome: Outcome, _: &[f64]) -> ControlFlow<()> {
        self.simulated += 1;
        self.accepted += u64::from(outcome == Outcome::Kept);
        self.wall = self.begun.elapsed().as_secs_f64();
        if self.accepted == POPULATION { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn remaining(&self) -> Option<u64> {
        let rate = (self.accepted as f64 + GUESS * self.acceptance) / (self.simulated as f64 + GUESS);
        Some((((POPULATION - self.accepted) as f64 / rate).ceil() as u64).max(1))
    }

    fn arrived(&mut self, chunk: &Chunk) {
        for id in chunk.first..chunk.first + chunk.len() {
            if let Some(place) = self.seconds.get(id as usize) {
                place.store((chunk.seconds / chunk.len() as f64).to_bits(), Ordering::Relaxed);
            }
        }
    }
}

/// Efficiencies of one stream.
#[derive(Clone, Copy)]
struct Row {
    wall: f64,
    bound: f64,
    raw: f64,
    relative: f64,
    /// Work of ids beyond the last one that were finished, over useful work.
    vain: f64,
    /// Share of lane time in which nothing ran.
    idle: f64,
    /// Seconds that a sleep took longer than asked, in the mean.
    over: f64,
}

fn stream(executor: &dyn Executor, seed: u64, acceptance: f64, predictable: bool) -> Row {
    let work = Sleeps { key: Key::root(seed), acceptance, predictable, busy: AtomicU64::new(0) };
    let seconds: Vec<AtomicU64> = (0..MOST).map(|_| AtomicU64::new(0)).collect();
    let begun = Instant::now();
    let mut sink = Collect { acceptance, accepted: 0, simulated: 0, seconds: &seconds, begun, wall: 0.0 };
    executor.stream(0, 1, &work, &mut sink).expect("sleeping does not fail");
    let call = begun.elapsed().as_secs_f64();
    let busy = executor.hear(&work.busy.load(Ordering::Relaxed).to_le_bytes()).expect("everybody says it");
    let busy = busy.into_iter().filter_map(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?) as f64 * 1e-9)).sum::<f64>();
    let (wall, used) = (sink.wall, sink.simulated as usize);
    let all: Vec<f64> = seconds.iter().map(|bits| f64::from_bits(bits.load(Ordering::Relaxed))).collect();
    let useful: f64 = all[..used].iter().sum();
    let longest = all[..used].iter().copied().fold(0.0, f64::max);
    let asked: f64 = (0..used as u64).map(|id| work.seconds(id)).sum();
    let bound = longest.max(useful / executor.lanes() as f64);
    Row {
        wall,
        bound,
        raw: useful / (executor.lanes() as f64 * wall),
        relative: bound / wall,
        vain: all[used..].iter().sum::<f64>() / useful,
        idle: 1.0 - busy / (executor.lanes() as f64 * call),
        over: (useful - asked) / used as f64,
    }
}

fn main() {
    let seeds: u64 = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(7);
    let several = exec::Launch::detect().is_some();
    let executor = exec::open(if several { 1 } else { LANES }).expect("an executor");
    let speaks = exec::rank() == 0;
    let place = executor.place();
    if speaks {
        let library = if place.mpi.is_empty() { "threads" } else { &place.mpi };
        println!(
            "{} lanes: {} rank(s), {library}; {POPULATION} acceptances, run times log-normal, sigma 1, mean {} ms; median of {seeds} seeds",
            executor.lanes(),
            place.ranks,
            1e3 * MEAN
        );
        println!(
            "{:12} {:>5} {:>7} {:>7} {:>6} {:>10} {:>6} {:>6} {:>6} {:>6} {:>12}",
            "run times", "acc.", "wall s", "bound s", "raw %", "of bound %", "worst", "best", "vain %", "idle %", "overslept ms"
        );
    }
    for predictable in [true, false] {
        stream(&*executor, 1000, 0.3, predictable);
        for acceptance in [1.0, 0.3, 0.1] {
            let mut rows: Vec<Row> = (0..seeds).map(|seed| stream(&*executor, seed, acceptance, predictable)).collect();
            if !speaks {
                continue;
            }
            rows.sort_by(|a, b| a.relative.total_cmp(&b.relative));
            let median = rows[rows.len() / 2];
            println!(
                "{:12} {acceptance:>5} {:>7.3} {:>7.3} {:>6.1} {:>10.1} {:>6.1} {:>6.1} {:>6.1} {:>6.1} {:>12.2}",
                if predictable { "predictable" } else { "unknown" },
                median.wall,
                median.bound,
                100.0 * median.raw,
                100.0 * median.relative,
                100.0 * rows[0].relative,
                100.0 * rows[rows.len() - 1].relative,
                100.0 * median.vain,
                100.0 * median.idle,
                1e3 * median.over
            );
        }
    }
    executor.close(Ok(())).expect("nothing failed");
}
