//! Which kernel and which schedule wins where: simulations to one tolerance, and what the particles are worth there. Nothing is timed; the
//! table is a function of the jobs below and their seeds.
//!
//! ```text
//! cargo bench --bench proposals              # all
//! cargo bench --bench proposals -- two_moons # a problem whose name has this in it
//! ```
//! *simulations* and *ESS* (Kish) are means over seeds, *per 1000* is the ratio of their sums × 1000, with its standard error. *between* is the
//! same with what seeds say of one another in place of Kish's ESS: posterior variance over the variance of posterior means between
//! seeds, the harmonic mean over parameters. It sees what weights cannot: a mode that a run has lost, a tail that no kernel reaches. It is known to
//! about √(2 / (seeds × parameters)), a third at worst.

#![allow(clippy::expect_used, missing_docs)]

use std::ops::ControlFlow;
use std::path::Path;

use nicho::density::Reach;
use nicho::exec::{self, Executor};
use nicho::job::Job;
use nicho::model::{Model, Own, Parameter, Proposed, Stages, Summary, Unsimulable};
use nicho::population::Run;
use nicho::rng::{Key, Purpose};
use nicho::sampler::proposal::Moves;
use nicho::sampler::smc::{Schedule, Smc};
use nicho::sampler::{self, Progress, Watch};

/// The distance of a point of the plane from the origin, measured with noise: a posterior that is a thin ring.
struct Ring {
    parameters: [Parameter; 2],
    summaries: [Summary; 1],
}

impl Model for Ring {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }
    fn summaries(&self) -> &[Summary] {
        &self.summaries
    }
    fn simulate(&self, theta: &[f64], key: Key, out: &mut dyn Stages) -> Result<(), Unsimulable> {
        let x = [libm::hypot(theta[0], theta[1]) + 0.02 * key.stream(Purpose::Simulate).normal()];
        let _ = out.stage(1.0, &x, &x);
        Ok(())
    }
}

fn ring() -> Box<dyn Model> {
    let place = |name| Parameter {
        name,
        unit: "-",
        meaning: "place",
        default: 0.0,
        range: (-9.0, 9.0),
        source: "",
        prior: Proposed::Fixed,
    };
    Box::new(Ring { parameters: ["x", "y"].map(place), summaries: [Summary { name: "radius".into(), unit: "-".into() }] })
}

struct Blind;

impl Watch for Blind {
    fn progress(&mut self, _: &Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
    fn generation(&mut self, _: &Run) {}
}

/// A problem: name, seeds, and job file, whose tolerance all settings come to.
struct Case {
    name: &'static str,
    seeds: u64,
    job: String,
}

fn job(model: &str, priors: &[(&str, &str)], observed: &str, tolerance: f64) -> String {
    let priors: Vec<String> = priors.iter().map(|(name, law)| format!("{name} = {{ {law} }}\n")).collect();
    format!(
        "name = \"case\"\nseed = 1\n[model]\nname = \"{model}\"\n[priors]\n{}[observations]\nvalues = {{ {observed} }}\n\
         [sampler]\npopulation = 500\n[stop]\ntolerance = {tolerance}\nacceptance_rate = 0\nsimulations = 10_000_000\ngenerations = 100\n",
        priors.concat()
    )
}

fn values(observed: &[f64]) -> String {
    observed.iter().enumerate().map(|(k, x)| format!("x_{k} = {x}")).collect::<Vec<_>>().join(", ")
}

fn cases() -> Vec<Case> {
    let uniform = |half: f64| format!("distribution = \"uniform\", lower = -{half}, upper = {half}");
    let plain = |name: &'static str, job: String| Case { name, seeds: 10, job };
    let theta = ["theta_0", "theta_1", "theta_2", "theta_3", "theta_4"];
    let [one, three, ten, two] = [1.0, 3.0, 10.0, 2.0].map(uniform);
    let means: Vec<String> = (0..10).map(|k| format!("mean_{k}")).collect();
    let normal = "distribution = \"normal\", mean = 0, sd = 0.316";
    let smoke = include_str!("../jobs/iris-smoke.toml")
        .replace("generations = 4", "tolerance = 15\nacceptance_rate = 0\nsimulations = 10_000_000\ngenerations = 100");
    let linear: Vec<f64> = (0..10).map(|k| 0.1 * f64::from(k) - 0.45).collect();
    vec![
        plain(
            "gaussian_linear",
            job("gaussian_linear", &means.iter().map(|m| (m.as_str(), normal)).collect::<Vec<_>>(), &values(&linear), 1.0),
        ),
        plain(
            "gaussian_mixture",
            job(
                "gaussian_mixture",
                &theta[..2].iter().map(|t| (*t, ten.as_str())).collect::<Vec<_>>(),
                &values(&[0.0, 0.0]),
                0.3,
            ),
        ),
        plain(
            "two_moons",
            job("two_moons", &theta[..2].iter().map(|t| (*t, one.as_str())).collect::<Vec<_>>(), &values(&[0.0, 0.0]), 0.03),
        ),
        plain("ring", job("ring", &["x", "y"].map(|p| (p, two.as_str())), "radius = 1", 0.02)),
        plain("slcp", job("slcp", &theta.map(|t| (t, three.as_str())), &values(&SLCP), 2.5)),
        Case { name: "iris-smoke", seeds: 5, job: smoke },
    ]
}

/// Points that the model gives at (0.7, −2.9, −0.9, 1.2, 0.3), about.
const SLCP: [f64; 8] = [0.5, -3.6, 1.4, -1.3, -0.4, -4.1, 1.2, -2.4];

/// Every setting: what it is called, and what it changes in the default, a global kernel and the median of the last distances.
fn settings() -> Vec<(&'static str, Moves, Schedule)> {
    let of = |reach, defensive| Moves { reach, defensive };
    let (global, median) = (of(Reach::Global, 0.0), Schedule::Quantile(0.5));
    let near = of(Reach::Nearest, 0.0);
    vec![
        ("global, quantile 0.5", global, median.clone()),
        ("global, quantile 0.75", global, Schedule::Quantile(0.75)),
        ("global, quantile 0.25", global, Schedule::Quantile(0.25)),
        ("global, ess 0.25", global, Schedule::Ess(0.25)),
        ("global, prior 0.1", of(Reach::Global, 0.1), Schedule::Quantile(0.25)),
        ("nearest, quantile 0.5", near, median),
        ("nearest, quantile 0.25", near, Schedule::Quantile(0.25)),
        ("nearest, ess 0.25", near, Schedule::Ess(0.25)),
        ("nearest, prior 0.1", of(Reach::Nearest, 0.1), Schedule::Ess(0.25)),
    ]
}

/// What a run came to.
struct Came {
    simulations: f64,
    ess: f64,
    means: Vec<f64>,
    variances: Vec<f64>,
}

fn run(case: &Case, seed: u64, moves: Moves, schedule: Schedule, exec: &dyn Executor) -> Came {
    let observations = include_str!("../jobs/data/iris.csv").to_string();
    let job = Job::embedded(Path::new(case.name), case.job.clone(), observations);
    let job = job.and_then(|job| job.with_seed(seed)).expect("a sound job");
    let problem = job.problem().expect("a sound problem");
    let sampler = Smc { moves, schedule, ..job.sampler() };
    let mut run = Run::default();
    sampler::infer(&sampler, &problem, &mut run, exec, &mut Blind, &mut |_| Ok(())).expect("a run");
    let last = run.last().expect("a generation");
    assert!(last.tolerance <= sampler.tolerance, "{}: ended at {}, {:?}", case.name, last.tolerance, run.stopped);
    let weights = last.weights();
    // On the scale of the prior, where no long tail says all.
    let marginals = problem.prior.0.iter().zip(last.theta.columns());
    let columns: Vec<Vec<f64>> = marginals.map(|(m, column)| column.iter().map(|x| m.coordinate(*x)).collect()).collect();
    Came {
        simulations: run.simulated() as f64,
        ess: weights.ess(),
        means: columns.iter().map(|column| weights.mean(column.iter().copied())).collect(),
        variances: columns.iter().map(|column| weights.sd(column.iter().copied()).powi(2)).collect(),
    }
}

fn row(name: &str, runs: &[Came]) {
    let n = runs.len() as f64;
    let mean = |of: &dyn Fn(&Came) -> f64| runs.iter().map(of).sum::<f64>() / n;
    let (simulations, ess) = (mean(&|run| run.simulations), mean(&|run| run.ess));
    let rate = ess / simulations;
    let error = (mean(&|run| (run.ess - rate * run.simulations).powi(2)) / (n - 1.0)).sqrt() / simulations;
    let d = runs[0].means.len();
    // 1 / effective number, by parameter.
    let inverse = |k: usize| {
        let centre = mean(&|run| run.means[k]);
        let between = mean(&|run| (run.means[k] - centre).powi(2));
        between * n / (n - 1.0) / (mean(&|run| run.variances[k]) + between)
    };
    let between = d as f64 / (0..d).map(inverse).sum::<f64>() / simulations;
    println!("{name:<26}{simulations:>12.0}{ess:>7.0}{:>10.2} ±{:>5.2}{:>10.2}", 1000.0 * rate, 1000.0 * error, 1000.0 * between);
}

fn main() {
    nicho::model::bring(vec![Own { name: "ring", make: ring }]);
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let exec = exec::open(2).expect("threads");
    println!("{:<26}{:>12}{:>7}{:>17}{:>10}", "", "simulations", "ESS", "per 1000", "between");
    for case in cases().iter().filter(|case| asked.is_empty() || asked.iter().any(|part| case.name.contains(part.as_str()))) {
        println!("{}", case.name);
        for (name, moves, schedule) in settings() {
            let runs: Vec<Came> = (1..=case.seeds).map(|seed| run(case, seed, moves, schedule.clone(), exec.as_ref())).collect();
            row(&format!("  {name}"), &runs);
        }
    }
}
