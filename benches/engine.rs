//! What the engine costs per trial, simulator aside: whole runs of an identity simulator on one worker thread, divided by
//! their trials. `taskset -c 0 cargo bench --bench engine` pins worker and collector to one core.
//!
//! Wall time is that of the fastest run; CPU time is the mean of all runs and holds on a machine that is shared. The weights
//! are the O(N²) part of ABC-SMC: their share is the time of one mixture density, measured apart, times the particles that
//! needed one. In vain are the trials that the worker ran beyond the last one of a generation.

#![allow(clippy::expect_used, missing_docs)]

use std::fs::read_to_string;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use nicho::density::{Kernel, Marginal, Prior, covariance_towards};
use nicho::distance::euclidean::Euclidean;
use nicho::exec::threads::Threads;
use nicho::integrate::Width;
use nicho::model::{Model, Parameter, Proposed, Stages, Summary, Unsimulable};
use nicho::population::{Generation, Run};
use nicho::rng::Key;
use nicho::sampler::smc::{Schedule, Smc};
use nicho::sampler::{Problem, Progress, Watch, infer};

const POPULATION: usize = 1000;

/// Returns its parameters as summaries, and counts how often.
struct Identity(Vec<Parameter>, Vec<Summary>, Arc<AtomicU64>);

impl Model for Identity {
    fn parameters(&self) -> &[Parameter] {
        &self.0
    }
    fn summaries(&self) -> &[Summary] {
        &self.1
    }
    fn simulate(&self, theta: &[f64], _: Key, out: &mut dyn Stages) -> Result<(), Unsimulable> {
        // One worker: no other thread counts.
        self.2.store(self.2.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let _ = out.stage(1.0, theta, theta);
        Ok(())
    }
}

/// The middle of the unit cube is observed; the prior is flat in it.
fn problem(d: usize, seed: u64, calls: &Arc<AtomicU64>) -> Problem {
    let range = (0.0, 1.0);
    let parameter = Parameter { name: "x", unit: "-", meaning: "", default: 0.5, range, source: "", prior: Proposed::Fixed };
    let summary = Summary { name: "x".into(), unit: "-".into() };
    Problem {
        key: Key::root(seed),
        model: Box::new(Identity(vec![parameter; d], vec![summary; d], calls.clone())),
        base: vec![0.5; d],
        free: (0..d).collect(),
        prior: Prior(vec![Marginal::Uniform { lower: 0.0, upper: 1.0 }; d]),
        models: Vec::new(),
        distance: Box::new(Euclidean::new(vec![0.5; d], vec![1.0; d], 2.0, None).expect("a distance")),
    }
}

fn smc(schedule: Schedule, generations: usize) -> Smc {
    Smc { population: POPULATION, schedule, generations, ..Smc::default() }
}

/// `count` tolerances from `first` on, each half of the one before.
fn halved(first: f64, count: usize) -> Smc {
    smc(Schedule::List((0..count as i32).map(|k| first * 0.5f64.powi(k)).collect()), count + 1)
}

struct Blind;

impl Watch for Blind {
    fn progress(&mut self, _: &Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
    fn generation(&mut self, _: &Run) {}
}

/// Seconds of CPU that this process has used, from ticks of 10 ms.
fn cpu() -> f64 {
    let stat = read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    fields.iter().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Seconds of one mixture density, as the last step needed it.
fn one_weight(d: usize, before: &Generation, last: &Generation) -> f64 {
    let rows = |g: &Generation| g.theta.iter().copied().collect::<Vec<f64>>();
    let (u, weights) = (rows(before), before.weights());
    let covariance = covariance_towards(d, &u, &weights, &vec![true; u.len() / d]);
    let kernel = Kernel::new(d, u, &weights, &covariance);
    let points = rows(last);
    let pass = || {
        let begun = Instant::now();
        black_box(points.chunks_exact(d).map(|point| kernel.ln_density(point)).sum::<f64>());
        begun.elapsed().as_secs_f64() / POPULATION as f64
    };
    (0..20).map(|_| pass()).fold(f64::INFINITY, f64::min)
}

/// Runs `repeats` seeds and prints a line.
fn line(name: &str, d: usize, sampler: &Smc, repeats: u64, bar: f64) {
    let (mut wall, mut trials, mut accepted, mut weight) = (f64::INFINITY, 0, 0, 0.0);
    let (began, calls) = (cpu(), Arc::default());
    for seed in 1..=repeats {
        let problem = problem(d, seed, &calls);
        let (mut run, begun) = (Run::default(), Instant::now());
        infer(sampler, &problem, &mut run, &Threads::new(1), &mut Blind, &mut |_| Ok(())).expect("a run");
        wall = f64::min(wall, begun.elapsed().as_secs_f64() / run.simulated() as f64);
        (trials, accepted) = (trials + run.simulated(), accepted + run.generations.len() * POPULATION);
        if let ([.., before, last], true) = (&run.generations[..], seed == repeats) {
            // Generation 0 has no weights to compute.
            let share = run.simulated() as f64 / ((run.generations.len() - 1) * POPULATION) as f64;
            weight = one_weight(d, before, last) / share;
        }
    }
    let cpu = (cpu() - began) / trials as f64;
    let share = |part: f64, whole: f64| 100.0 * part / whole;
    println!(
        "{name:<42}{:>10}{:>10.3}{:>9.1}{:>8.3}{:>8.3}{:>9.1}{bar:>6.1}",
        trials / repeats,
        share(accepted as f64, trials as f64),
        share((calls.load(Ordering::Relaxed) - trials) as f64, trials as f64),
        1e6 * wall,
        1e6 * cpu,
        share(weight, cpu),
    );
}

fn main() {
    let field = |file: &str, key: &str| {
        let text = read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).and_then(|line| line.split_once(':'));
        line.map_or_else(|| "unknown".into(), |(_, value)| value.trim().to_string())
    };
    println!("CPU            {}, SIMD {:?}", field("/proc/cpuinfo", "model name"), Width::available().last());
    println!("pinned to CPU  {}", field("/proc/self/status", "Cpus_allowed_list"));
    println!("load           {}", read_to_string("/proc/loadavg").unwrap_or_default().trim());
    let head = |row: [&str; 7]| {
        let [trials, accepted, vain, wall, cpu, weights, bar] = row;
        println!("{:<42}{trials:>10}{accepted:>10}{vain:>9}{wall:>8}{cpu:>8}{weights:>9}{bar:>6}", "");
    };
    println!();
    head(["trials", "accepted", "in vain", "wall", "CPU", "weights", "bar"]);
    head(["", "%", "%", "us", "us", "% CPU", "us"]);
    let rejection = Smc { start: 5e-5, tolerance: 5e-5, ..smc(Schedule::Quantile(0.5), 1) };
    line("rejection, d = 1", 1, &rejection, 3, 0.2);
    line("ABC-SMC, d = 1, tolerance halved", 1, &halved(0.25, 24), 10, 2.0);
    line("ABC-SMC, d = 10, tolerance halved", 10, &halved(0.8, 3), 1, 4.0);
    line("ABC-SMC, d = 10, tolerance to the median", 10, &smc(Schedule::Quantile(0.5), 20), 5, 4.0);
}
