//! Scaling beyond this machine: the schedule of `nicho::exec::schedule`, as it is, in a discrete-event model of up to 10,000
//! ranks of one simulation thread each.
//!
//! The model follows `exec/lead.rs` and `exec/mpi.rs`: rank 0 puts results in order of id, hands out chunks, sleeps for its
//! *patience* and takes what messages have come; a rank that has finished reports at once, and finds new work when it looks
//! next. A generation ends at its N-th acceptance in order of id. Whether an id is accepted and how long it runs are functions
//! of the id alone.
//!
//! ```text
//! cargo bench --bench scale                       # the tables
//! cargo bench --bench scale -- plot scaling.svg   # and the scaling curve as a figure
//! cargo bench --bench scale -- times FILE         # with measured run times (seconds, one a line) in place of log-normal ones
//! ```
//! Useful efficiency is the work of the ids up to the last one needed over ranks × wall time (*raw*). No schedule can have a
//! wall time below the *bound*, the larger of that work / ranks and the longest of those simulations; *of bound* is the bound
//! over the wall time. Rows are medians over several seeds, with the worst of them beside.

#![allow(clippy::expect_used, missing_docs)]

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::ops::Range;
use std::time::Instant;

use kuva::plot::legend::LegendPosition;
use kuva::plot::line::LinePlot;
use kuva::render::layout::Layout;
use kuva::render::plots::Plot;
use kuva::render::theme::Theme;
use nicho::density::{Kernel, covariance_towards};
use nicho::exec::schedule::{Cost, Schedule, patience};
use nicho::population::Weights;
use nicho::rng::{Key, Purpose};

/// One-way latency of a small message, seconds: 1 to 2 µs on InfiniBand within a rack, more between racks.
const LATENCY: f64 = 5e-6;
/// Bytes per second of a large broadcast: below what one link of 100 Gbit/s carries.
const BANDWIDTH: f64 = 5e9;
/// Rank 0 takes one result in, seconds: 2.1 µs for probe and receive (Open MPI, shared memory, two busy cores), and decoding.
const MESSAGE_IN: f64 = 2.5e-6;
/// Rank 0 sends one chunk, seconds: 2.1 µs, measured the same way.
const MESSAGE_OUT: f64 = 2.5e-6;
/// Rank 0 shows one id to the sink, seconds.
const SHOW: f64 = 0.1e-6;
/// Rank 0 takes one chunk from the schedule and gives it back, seconds; the last column shows what this machine needs.
const SCHEDULE: f64 = 2e-6;
/// Rank 0 works out the features of one id, seconds: draws its proposal and maps it.
const FEATURES: f64 = 2e-6;
/// An idle rank looks for work this often, seconds (`Mpi::serve`).
const HUNGRY: f64 = 100e-6;
/// The rate of the last generation counts as this many trials in the expected end (`smc::Collect`).
const GUESS: f64 = 10.0;
/// It was so many times that of this generation.
const LAST_RATE: f64 = 1.2;
/// Trials of the last generation that predictions are learnt from.
const LEARNT: u64 = 1000;
/// A simulation looks this often whether it is still wanted, seconds.
const LOOKS: f64 = 10e-3;
/// Parameters of the job.
const DIMENSION: usize = 10;
/// Writing the result file, seconds for each particle that it holds (`store`: 7 ms for 1000, with 31 summaries).
const SAVE: f64 = 7e-6;
/// Generations that the file holds.
const GENERATIONS: f64 = 10.0;
/// Trials for each rank in a generation are this over the acceptance rate.
const PARTICLES_PER_RANK: u64 = 10;

/// What is known of run times.
#[derive(Clone, Copy, PartialEq)]
enum Knowledge {
    /// The features say all: logarithm of the run time.
    Exact,
    /// The same with an error of this standard deviation.
    Noisy(f64),
    /// No features.
    None,
}

impl Knowledge {
    fn name(self) -> String {
        match self {
            Knowledge::Exact => "predictable".into(),
            Knowledge::Noisy(sd) => format!("± {sd} in ln"),
            Knowledge::None => "unknown".into(),
        }
    }
}

/// Run times by id.
struct Times {
    key: Key,
    mean: f64,
    /// Measured ones, to draw from; else log-normal with sigma 1.
    measured: Vec<f64>,
    drawn: RefCell<Vec<f64>>,
}

impl Times {
    fn new(seed: u64, mean: f64, measured: &[f64]) -> Self {
        let scale = mean * measured.len() as f64 / measured.iter().sum::<f64>();
        let measured = measured.iter().map(|x| x * scale).collect();
        Times { key: Key::root(seed), mean, measured, drawn: RefCell::default() }
    }

    fn of(&self, id: u64) -> f64 {
        let mut drawn = self.drawn.borrow_mut();
        while drawn.len() as u64 <= id {
            let mut rng = self.key.child(drawn.len() as u64).stream(Purpose::Simulate);
            drawn.push(match self.measured.len() {
                0 => self.mean * (rng.normal() - 0.5).exp(),
                n => self.measured[(rng.uniform() * n as f64) as usize],
            });
        }
        drawn[id as usize]
    }

    fn noise(&self, id: u64) -> f64 {
        self.key.child(id).stream(Purpose::Visit).normal()
    }

    fn accepted(&self, id: u64, rate: f64) -> bool {
        rate >= 1.0 || self.key.child(id).stream(Purpose::Propose).uniform() < rate
    }
}

/// One generation to be simulated.
#[derive(Clone, Copy)]
struct Case {
    ranks: usize,
    population: u64,
    acceptance: f64,
    mean: f64,
    knowledge: Knowledge,
}

/// What came of it.
#[derive(Clone, Copy, Default)]
struct Outcome {
    wall: f64,
    /// Work of the ids up to the last one needed, lane seconds.
    useful: f64,
    /// The longest of them, seconds.
    longest: f64,
    /// Work that was finished in vain, or under way at the end.
    vain: f64,
    messages: f64,
    /// Seconds that rank 0 was busy with messages, ids and predictions.
    busy: f64,
    /// Seconds that the schedule itself took, on this machine.
    schedule: f64,
    /// Seconds that the longest simulation under way at the end would go on.
    residual: f64,
    ids: u64,
}

impl Outcome {
    fn raw(&self, ranks: usize) -> f64 {
        self.useful / (ranks as f64 * self.wall)
    }
    fn bound(&self, ranks: usize) -> f64 {
        (self.useful / ranks as f64).max(self.longest)
    }
    fn relative(&self, ranks: usize) -> f64 {
        self.bound(ranks) / self.wall
    }
}

#[derive(Clone, Copy, PartialEq)]
struct At(f64);
impl Eq for At {}
impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for At {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// A rank with one thread.
#[derive(Default)]
struct Rank {
    /// What it is at, since when, and whether it was told.
    at: Option<(Range<u64>, f64)>,
    /// Chunks that it has, or that are on the way, and when it sees them at the earliest.
    queue: VecDeque<(Range<u64>, f64)>,
    given: usize,
    listed: bool,
}

/// The part of one look of rank 0 at its messages that falls into [0, 1), without a pattern.
fn phase(rank: usize, at: f64) -> f64 {
    let z = (rank as u64 ^ at.to_bits()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((z ^ (z >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11) as f64 / (1u64 << 53) as f64
}

/// A result on its way to rank 0: its arrival, the rank, its ids, their seconds.
type Mail = (At, usize, u64, u64, At);

fn generation(case: &Case, times: &Times) -> Outcome {
    let &Case { ranks, population, acceptance, mean, knowledge } = case;
    let looked = RefCell::new(0u64);
    let feature = |id: u64| match knowledge {
        Knowledge::Exact => times.of(id).ln(),
        Knowledge::Noisy(sd) => times.of(id).ln() + sd * times.noise(id),
        Knowledge::None => 0.0,
    };
    let features = |id: u64, out: &mut Vec<f64>| {
        if knowledge != Knowledge::None {
            *looked.borrow_mut() += 1;
            out.push(feature(id));
        }
    };
    let mut cost = Cost::default();
    if knowledge != Knowledge::None {
        // The generation before: other ids.
        let before = Times::new(u64::MAX, mean, &times.measured);
        for id in 0..LEARNT {
            let ln = before.of(id).ln();
            let error = if let Knowledge::Noisy(sd) = knowledge { sd * before.noise(id) } else { 0.0 };
            cost.learn(&[ln + error], ln.exp());
            cost.refit();
        }
    }
    let mut schedule = Schedule::new(0, ranks, std::iter::empty(), &features, &mut cost);
    let remaining = |accepted: u64, simulated: u64| {
        let rate = (accepted as f64 + GUESS * (LAST_RATE * acceptance).min(1.0)) / (simulated as f64 + GUESS);
        Some((((population - accepted) as f64 / rate).ceil() as u64).max(1))
    };
    schedule.prefix(0, remaining(0, 0));

    let mut out = Outcome::default();
    let mut team: Vec<Rank> = (0..ranks).map(|_| Rank { listed: true, ..Rank::default() }).collect();
    let mut wanting: VecDeque<usize> = (0..ranks).collect();
    // Chunks that end, by time; results on their way to rank 0, by arrival.
    let mut ends: BinaryHeap<Reverse<(At, usize)>> = BinaryHeap::new();
    let mut inbox: BinaryHeap<Reverse<Mail>> = BinaryHeap::new();
    let mut waiting: BTreeMap<u64, u64> = BTreeMap::new();
    let (mut next, mut accepted) = (0u64, 0u64);
    let mut now = 0.0f64;
    let work = |range: &Range<u64>| range.clone().map(|id| times.of(id)).sum::<f64>();
    loop {
        let begun = now;
        // Results in order of id.
        while let Some(end) = waiting.remove(&next) {
            for id in next..end {
                out.useful += times.of(id);
                out.longest = out.longest.max(times.of(id));
                now += SHOW;
                accepted += u64::from(times.accepted(id, acceptance));
                if accepted == population {
                    out.ids = id + 1;
                    out.wall = now;
                    out.busy += now - begun;
                    out.vain += (id + 1..end).map(|id| times.of(id)).sum::<f64>();
                    out.vain += waiting.iter().map(|(a, b)| work(&(*a..*b))).sum::<f64>();
                    let under_way = team.iter().filter_map(|rank| rank.at.as_ref().map(|(_, since)| (now - since).max(0.0)));
                    out.vain += under_way.sum::<f64>();
                    out.residual = ends.iter().map(|Reverse((At(end), _))| end - now).fold(0.0, f64::max);
                    return out;
                }
            }
            next = end;
            let clock = Instant::now();
            schedule.prefix(next, remaining(accepted, next));
            out.schedule += clock.elapsed().as_secs_f64();
        }
        // Work for those who want some.
        let depth = schedule.depth();
        let looked_before = *looked.borrow();
        let mut charged = 0;
        while let Some(rank) = wanting.pop_front() {
            if team[rank].given >= depth {
                team[rank].listed = false;
                continue;
            }
            let clock = Instant::now();
            let taken = schedule.take();
            out.schedule += clock.elapsed().as_secs_f64();
            now += FEATURES * (*looked.borrow() - looked_before - charged) as f64;
            charged = *looked.borrow() - looked_before;
            now += SCHEDULE;
            let Some(range) = taken else {
                wanting.push_front(rank);
                break;
            };
            let sees = if rank == 0 {
                now
            } else {
                now += MESSAGE_OUT;
                out.messages += 1.0;
                now + LATENCY
            };
            let worker = &mut team[rank];
            worker.given += 1;
            if worker.at.is_none() && worker.queue.is_empty() {
                let start = if rank == 0 { sees } else { sees + HUNGRY * phase(rank, sees) };
                ends.push(Reverse((At(start + work(&range)), rank)));
                worker.at = Some((range, start));
            } else {
                worker.queue.push_back((range, sees));
            }
            wanting.push_back(rank);
        }
        out.busy += now - begun;
        // Sleep, until there is a result of its own or for its patience.
        let patience = patience(schedule.chunk_seconds(), ranks).as_secs_f64();
        let mut wake = now + patience;
        // With nothing on the way the looks until the next event change nothing.
        if inbox.is_empty()
            && let Some(Reverse((At(end), _))) = ends.peek()
            && *end > wake
        {
            wake += ((end - wake) / patience).floor() * patience;
        }
        loop {
            // Ranks that finish until then.
            while let Some(&Reverse((At(end), rank))) = ends.peek()
                && end <= wake.max(now)
            {
                ends.pop();
                let worker = &mut team[rank];
                let (range, since) = worker.at.take().expect("it was at something");
                let arrival = if rank == 0 { end } else { end + MESSAGE_OUT + LATENCY };
                inbox.push(Reverse((At(arrival), rank, range.start, range.end, At(end - since))));
                if rank == 0 {
                    wake = wake.min(end);
                }
                if let Some((range, sees)) = worker.queue.pop_front() {
                    let start = if sees <= end { end } else { sees + HUNGRY * phase(rank, sees) };
                    ends.push(Reverse((At(start + work(&range)), rank)));
                    worker.at = Some((range, start));
                }
            }
            now = now.max(wake);
            let Some(&Reverse((At(arrival), rank, first, end, At(seconds)))) = inbox.peek() else { break };
            if arrival > now {
                break;
            }
            inbox.pop();
            if rank > 0 {
                now += MESSAGE_IN;
                out.busy += MESSAGE_IN;
                out.messages += 1.0;
            }
            let clock = Instant::now();
            schedule.done(first, end - first, seconds);
            out.schedule += clock.elapsed().as_secs_f64();
            waiting.insert(first, end);
            let worker = &mut team[rank];
            worker.given -= 1;
            if !worker.listed {
                worker.listed = true;
                wanting.push_back(rank);
            }
        }
    }
}

/// Seconds from the end of one generation to the first proposals of the next, by part.
struct Switch {
    /// "It is over" along a binomial tree, at the worst moment of each rank's looks.
    stop: f64,
    /// Simulations under way notice.
    notice: f64,
    /// Parameters, distances, weights and ids of the particles travel to all.
    broadcast: f64,
    /// Every rank makes its proposal from them.
    kernel: f64,
    /// Rank 0 writes the file, and all wait.
    save: f64,
}

impl Switch {
    /// `kernel` is what making the proposal takes for each particle.
    fn new(case: &Case, kernel: f64) -> Self {
        let hops = (case.ranks as f64).log2().ceil();
        let look = patience(case.mean, 1).as_secs_f64();
        let particles = case.population as f64;
        // Scatter and allgather: each byte crosses a link twice.
        let bytes = 2.0 * 8.0 * (DIMENSION + 3) as f64 * particles;
        Switch {
            stop: hops * (look + LATENCY + MESSAGE_OUT),
            notice: LOOKS.min(case.mean),
            broadcast: if case.ranks > 1 { bytes / BANDWIDTH + 2.0 * hops * LATENCY } else { 0.0 },
            kernel: kernel * particles,
            save: SAVE * particles * GENERATIONS,
        }
    }

    fn sum(&self) -> f64 {
        self.stop + self.notice + self.broadcast + self.kernel + self.save
    }
}

/// Seconds for each particle of making a proposal, on this machine.
fn measure_kernel() -> f64 {
    const PARTICLES: usize = 20_000;
    let mut rng = Key::root(1).stream(Purpose::Propose);
    let u: Vec<f64> = (0..PARTICLES * DIMENSION).map(|_| rng.normal()).collect();
    let weights = Weights::from_ln(&vec![0.0; PARTICLES]);
    let runs = (0..5).map(|_| {
        let begun = Instant::now();
        let covariance = covariance_towards(DIMENSION, &u, &weights, &[true; PARTICLES]);
        std::hint::black_box(Kernel::new(DIMENSION, u.clone(), &weights, &covariance));
        begun.elapsed().as_secs_f64() / PARTICLES as f64
    });
    runs.fold(f64::INFINITY, f64::min)
}

/// Several seeds of a case; the outcome with the median wall time relative to the bound, and the worst.
fn seeds(case: &Case, times: &[Times]) -> (Outcome, Outcome) {
    let mut all: Vec<Outcome> = times.iter().map(|times| generation(case, times)).collect();
    all.sort_by(|a, b| a.relative(case.ranks).total_cmp(&b.relative(case.ranks)));
    (all[all.len() / 2], all[0])
}

/// Fewer seeds where one takes long; there are more ids to average over.
fn draw(ranks: usize, mean: f64, measured: &[f64]) -> Vec<Times> {
    let count = match ranks {
        0..=300 => 15,
        301..=3000 => 7,
        _ => 3,
    };
    (0..count).map(|seed| Times::new(seed, mean, measured)).collect()
}

fn bar(measured: &[f64]) {
    println!("Efficiency of a generation: {PARTICLES_PER_RANK} particles for each rank, simulations of 1 s in the mean");
    println!(
        "{:6} {:>5}  {:12} {:>7} {:>7} {:>7} {:>6} {:>9} {:>6} {:>6} {:>10} {:>12} {:>12} {:>13}",
        "ranks",
        "acc.",
        "run times",
        "ids",
        "wall s",
        "bound s",
        "raw %",
        "of bound %",
        "worst",
        "vain %",
        "messages/s",
        "rank 0 busy %",
        "longest rest",
        "schedule us/id"
    );
    for ranks in [100, 1000, 10_000] {
        let times = draw(ranks, 1.0, measured);
        for acceptance in [1.0, 0.3, 0.1] {
            for knowledge in [Knowledge::Exact, Knowledge::Noisy(0.5), Knowledge::None] {
                let case = Case { ranks, population: PARTICLES_PER_RANK * ranks as u64, acceptance, mean: 1.0, knowledge };
                let (out, worst) = seeds(&case, &times);
                println!(
                    "{ranks:<6} {acceptance:>5}  {:12} {:>7} {:>7.1} {:>7.1} {:>6.1} {:>9.1} {:>6.1} {:>6.1} {:>10.0} {:>12.1} {:>12.1} {:>13.2}",
                    knowledge.name(),
                    out.ids,
                    out.wall,
                    out.bound(ranks),
                    100.0 * out.raw(ranks),
                    100.0 * out.relative(ranks),
                    100.0 * worst.relative(ranks),
                    100.0 * out.vain / out.useful,
                    out.messages / out.wall,
                    100.0 * out.busy / out.wall,
                    out.residual,
                    1e6 * out.schedule / out.ids as f64
                );
            }
        }
    }
}

/// Percent of the bound below which something is a bottleneck.
const LEAST: f64 = 95.0;

/// Where it ends: cheaper simulations, more ranks. Names what is lost to what.
fn bottlenecks(measured: &[f64], kernel: f64) {
    println!();
    println!("The same with cheaper simulations, acceptance 0.1, predictable; ms from the end of a generation to the next,");
    println!("by part; the file holds {GENERATIONS} generations");
    println!(
        "{:>6} {:>6} {:>9} {:>10} {:>13} | {:>5} {:>6} {:>9} {:>6} {:>7} | {:>10} {:>8}",
        "mean s",
        "ranks",
        "wall s",
        "of bound %",
        "rank 0 busy %",
        "stop",
        "notice",
        "broadcast",
        "kernel",
        "save",
        "and switch",
        "and save"
    );
    let mut summary = Vec::new();
    for mean in [1.0, 0.1, 0.01, 0.001] {
        let mut bites: [Option<usize>; 3] = [None; 3];
        for ranks in [10, 30, 100, 300, 1000, 3000, 10_000] {
            let population = PARTICLES_PER_RANK * ranks as u64;
            let case = Case { ranks, population, acceptance: 0.1, mean, knowledge: Knowledge::Exact };
            let (out, _) = seeds(&case, &draw(ranks, mean, measured)[..if ranks > 3000 { 1 } else { 3 }]);
            let switch = Switch::new(&case, kernel);
            let with = |switch: f64| 100.0 * out.bound(ranks) / (out.wall + switch);
            let losses = [with(0.0), with(switch.sum() - switch.save), with(switch.sum())];
            println!(
                "{mean:>6} {ranks:>6} {:>9.3} {:>10.1} {:>13.1} | {:>5.1} {:>6.1} {:>9.1} {:>6.1} {:>7.0} | {:>10.1} {:>8.1}",
                out.wall,
                losses[0],
                100.0 * out.busy / out.wall,
                1e3 * switch.stop,
                1e3 * switch.notice,
                1e3 * switch.broadcast,
                1e3 * switch.kernel,
                1e3 * switch.save,
                losses[1],
                losses[2]
            );
            for (bite, loss) in bites.iter_mut().zip(losses) {
                // From the last rank count that was good enough on.
                *bite = if loss >= LEAST { None } else { bite.or(Some(ranks)) };
            }
        }
        summary.push((mean, bites));
    }
    println!();
    println!("Ranks (of those above) from which less than {LEAST} % of the bound is reached");
    println!("{:>6} {:>18} {:>12} {:>10}", "mean s", "in the generation", "and switch", "and save");
    for (mean, bites) in summary {
        let [stream, switch, save] = bites.map(|bite| bite.map_or("-".into(), |ranks| ranks.to_string()));
        println!("{mean:>6} {stream:>18} {switch:>12} {save:>10}");
    }
}

/// The scaling curve as SVG.
fn plot(path: &str, measured: &[f64], kernel: f64) {
    let ranks = [16, 30, 60, 100, 200, 300, 600, 1000, 2000, 3000, 6000, 10_000];
    let mut curves: [Vec<(f64, f64)>; 5] = Default::default();
    for ranks in ranks {
        let times = draw(ranks, 1.0, measured);
        for (known, knowledge) in [Knowledge::Exact, Knowledge::None].into_iter().enumerate() {
            let population = PARTICLES_PER_RANK * ranks as u64;
            let case = Case { ranks, population, acceptance: 0.1, mean: 1.0, knowledge };
            let (out, _) = seeds(&case, &times);
            curves[2 * known].push((ranks as f64, 100.0 * out.relative(ranks)));
            curves[2 * known + 1].push((ranks as f64, 100.0 * out.raw(ranks)));
            if known == 0 {
                let whole = 100.0 * out.bound(ranks) / (out.wall + Switch::new(&case, kernel).sum());
                curves[4].push((ranks as f64, whole));
            }
        }
    }
    let line = |index: usize, colour: &str, name: &str| {
        let line = LinePlot::new().with_data(curves[index].clone()).with_color(colour).with_stroke_width(2.2).with_legend(name);
        match index {
            1 | 3 => line.with_dashed(),
            4 => line.with_dotted(),
            _ => line,
        }
    };
    // Okabe and Ito's palette, as in the report.
    let plots: Vec<Plot> = vec![
        line(0, "#0072b2", "predictable run times, of the bound").into(),
        line(4, "#1f2328", "the same, with the switch and save after it").into(),
        line(1, "#0072b2", "predictable, raw").into(),
        line(2, "#d55e00", "unknown run times, of the bound").into(),
        line(3, "#d55e00", "unknown, raw").into(),
    ];
    let theme = Theme { grid_color: "#e3e6ea".into(), ..Theme::light() };
    let layout = Layout::auto_from_plots(&plots)
        .with_width(760.0)
        .with_height(440.0)
        .with_theme(theme)
        .with_title("Simulated scaling: trials of 1 s (log-normal, sigma 1), 100 trials a rank, acceptance 0.1")
        .with_title_size(14)
        .with_x_label("ranks of one simulation thread each")
        .with_y_label("useful efficiency, %")
        .with_label_size(13)
        .with_tick_size(12)
        .with_log_x()
        .with_x_axis_min(10.0)
        .with_x_axis_max(10_000.0)
        .with_y_axis_min(0.0)
        .with_y_axis_max(100.0)
        .with_y_tick_step(20.0)
        .with_force_margins(64.0, 36.0)
        .with_legend_position(LegendPosition::InsideBottomLeft);
    std::fs::write(path, kuva::render_to_svg(plots, layout)).expect("the figure can be written");
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| args.iter().position(|a| a == name).and_then(|at| args.get(at + 1));
    let measured: Vec<f64> = after("times").map_or(Vec::new(), |path| {
        let text = std::fs::read_to_string(path).expect("the file of run times can be read");
        text.lines().filter_map(|line| line.trim().parse().ok()).collect()
    });
    let kernel = measure_kernel();
    bar(&measured);
    bottlenecks(&measured, kernel);
    if let Some(path) = after("plot") {
        plot(path, &measured, kernel);
    }
}
