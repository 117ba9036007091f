//! Scales, exponents and outliers of the distance that general models have, distances of samples and of learned summaries: each on a
//! problem of its own where it wins, by the true value or the width of the posterior, at the same number of simulations.
//!
//! Every comparison is over 16 fixed seeds. What the loser gave stands at each test: it is the planted bug, too, of a key that
//! is read and has no effect.

use nicho::density::{Marginal, Prior};
use nicho::distance::Distance;
use nicho::distance::energy::Energy;
use nicho::distance::euclidean::{Euclidean, Pilot};
use nicho::distance::learned::Learned;
use nicho::exec::threads::Threads;
use nicho::model::{Model, Parameter, Proposed, Stages, Summary, Unsimulable};
use nicho::population::Generation;
use nicho::rng::{Key, Purpose};
use nicho::sampler::smc::{Keep, Schedule, Smc};
use nicho::sampler::{Problem, pilot};

use crate::support;

/// What noise each summary has.
type Noise = fn(usize, f64) -> f64;

/// Summaries that are the location, if they tell of it, plus noise: a function of their index and a uniform number.
struct Located {
    parameters: [Parameter; 1],
    summaries: Vec<Summary>,
    tells: fn(usize) -> bool,
    noise: Noise,
}

impl Model for Located {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }
    fn summaries(&self) -> &[Summary] {
        &self.summaries
    }
    fn simulate(&self, theta: &[f64], key: Key, out: &mut dyn Stages) -> Result<(), Unsimulable> {
        let mut rng = key.stream(Purpose::Simulate);
        let one = |k: usize| f64::from(u8::from((self.tells)(k))) * theta[0] + (self.noise)(k, rng.uniform());
        let x: Vec<f64> = (0..self.summaries.len()).map(one).collect();
        let _ = out.stage(1.0, &x, &x);
        Ok(())
    }
}

fn normal(u: f64) -> f64 {
    nicho::rng::normal_quantile(u)
}

/// 100 draws of the prior nearest to the data, of 4000.
fn nearest(problem: &Problem, exec: &Threads) -> Generation {
    let sampler = Smc {
        population: 4000,
        keep: Keep::All,
        schedule: Schedule::Quantile(0.025),
        simulations: 4000,
        generations: 1,
        failures: 1.0,
        ..Smc::default()
    };
    support::run(&sampler, problem, exec).last().unwrap().clone()
}

/// What gives the distance its scales.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scaled {
    No,
    Mad { robust: bool },
    Learned,
}

/// Root mean square error of the posterior mean and mean posterior standard deviation of a location that is 0, uniform
/// between −10 and 10 before: 100 draws of the prior nearest to `observed`, of 4000, over 16 seeds.
fn error_and_sd(m: usize, tells: fn(usize) -> bool, noise: Noise, observed: &[f64], p: f64, scaled: Scaled) -> (f64, f64) {
    let (mut error, mut sd) = (0.0, 0.0);
    for seed in 1..=16 {
        let parameter = Parameter {
            name: "location",
            unit: "-",
            meaning: "",
            default: 0.0,
            range: (-10.0, 10.0),
            source: "",
            prior: Proposed::Fixed,
        };
        let summaries = (0..m).map(|k| Summary { name: format!("x_{k}"), unit: "-".into() }).collect();
        let distance =
            |pilot| -> Box<dyn Distance> { Box::new(Euclidean::new(observed.to_vec(), vec![1.0; m], p, pilot).unwrap()) };
        let mut problem = Problem {
            key: Key::root(seed),
            model: Box::new(Located { parameters: [parameter], summaries, tells, noise }),
            base: vec![0.0],
            free: vec![0],
            prior: Prior(vec![Marginal::Uniform { lower: -10.0, upper: 10.0 }]),
            distance: distance(None),
            models: Vec::new(),
        };
        let exec = Threads::new(2);
        if scaled != Scaled::No {
            let rows = pilot(&problem, 500, &exec, &mut |_| std::ops::ControlFlow::Continue(())).unwrap().unwrap();
            problem.distance = match scaled {
                Scaled::Mad { robust } => distance(Some(Pilot::of(&rows.summaries, m, &vec![false; m], robust).unwrap())),
                _ => Box::new(Learned::new(observed.to_vec(), &rows.coordinates, &rows.summaries, None).unwrap()),
            };
        }
        let last = nearest(&problem, &exec);
        let values = || last.theta.column(0).to_vec().into_iter();
        let (mean, spread) = (last.weights().mean(values()), last.weights().sd(values()));
        error += mean * mean / 16.0;
        sd += spread / 16.0;
    }
    (error.sqrt(), sd)
}

/// One summary tells of the location, with noise of 0.1; another is noise of 1000. Posterior sd 0.85 with scales, 5.6 without, where
/// that of the prior is 5.8.
#[test]
fn scales_of_a_pilot_have_a_small_summary_heard() {
    let noise: Noise = |k, u| [0.1, 1000.0][k] * normal(u);
    let of = |scaled| error_and_sd(2, |k| k == 0, noise, &[0.0, 0.0], 2.0, scaled);
    let (plain, scaled) = (of(Scaled::No), of(Scaled::Mad { robust: false }));
    assert!(plain.1 > 5.0 && scaled.1 < 1.0, "{plain:?} {scaled:?}");
}

/// Ten summaries tell of the location with noise of 1; one of them is observed at 60, which no location gives. The posterior mean is off by
/// 0.12, or, drawn after the outlier, by 6.0.
#[test]
fn an_outlier_is_not_heard() {
    let noise: Noise = |_, u| normal(u);
    let mut observed = [0.0; 10];
    observed[3] = 60.0;
    let of = |robust| error_and_sd(10, |_| true, noise, &observed, 2.0, Scaled::Mad { robust });
    let (scaled, robust) = (of(false), of(true));
    assert!(scaled.0 > 5.0 && robust.0 < 0.3, "{scaled:?} {robust:?}");
}

/// Twenty summaries with Cauchy noise: what a square makes of the largest of them drowns the rest. Posterior sd 1.03,
/// with squares 1.41; the largest difference alone gives 3.1.
#[test]
fn heavy_tails_are_better_measured_by_absolute_differences() {
    let noise: Noise = |_, u| libm::tan(std::f64::consts::PI * (u - 0.5));
    // Quantiles of the noise, in another order.
    let observed: Vec<f64> = (0..20).map(|k| noise(k, (f64::from((7 * k as u32) % 20) + 0.5) / 20.0)).collect();
    let of = |p| error_and_sd(20, |_| true, noise, &observed, p, Scaled::No);
    let (absolute, square) = (of(1.0), of(2.0));
    assert!(absolute.1 < 0.8 * square.1 && absolute.0 < 0.2, "{absolute:?} {square:?}");
}

/// Fifty summaries with noise of 3, of which one tells of the location. Posterior sd 3.1 where a regression has learnt which, 5.3 with
/// scales, 4.2 without.
#[test]
fn a_regression_hears_the_one_summary_that_tells() {
    let noise: Noise = |_, u| 3.0 * normal(u);
    let of = |scaled| error_and_sd(50, |k| k == 7, noise, &[0.0; 50], 2.0, scaled);
    let (plain, scaled, learned) = (of(Scaled::No), of(Scaled::Mad { robust: false }), of(Scaled::Learned));
    assert!(learned.1 < 0.8 * plain.1.min(scaled.1) && learned.0 < 0.6, "{plain:?} {scaled:?} {learned:?}");
}

/// Draws of a g-and-k law, of location 0, scale 1 and c = 0.8 (Rayner and MacGillivray 2002, Stat Comput 12:57).
struct Sample {
    parameters: [Parameter; 2],
    summaries: Vec<Summary>,
}

fn g_and_k(theta: &[f64], z: f64) -> f64 {
    (1.0 + 0.8 * libm::tanh(0.5 * theta[0] * z)) * libm::pow(1.0 + z * z, theta[1]) * z
}

impl Model for Sample {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }
    fn summaries(&self) -> &[Summary] {
        &self.summaries
    }
    fn simulate(&self, theta: &[f64], key: Key, out: &mut dyn Stages) -> Result<(), Unsimulable> {
        let mut rng = key.stream(Purpose::Simulate);
        let x: Vec<f64> = (0..self.summaries.len()).map(|_| g_and_k(theta, rng.normal())).collect();
        let _ = out.stage(1.0, &x, &x);
        Ok(())
    }
}

/// g and k, (2, 0.5), of fifty draws as they come, uniform on (0, 4) and (0, 1.5) before. Root mean
/// square distance of the particles of 16 seeds from the truth, g and k: about 0.76 and 0.20 by the energy distance, 1.12 and 0.35 number by
/// number; it is 1.15 and 0.50 in the prior.
#[test]
fn a_sample_is_compared_whatever_its_order() {
    const SIZE: usize = 50;
    let truth = [2.0, 0.5];
    // Its quantiles, in another order.
    let observed: Vec<f64> = (0..SIZE).map(|k| g_and_k(&truth, normal(((7 * k) % SIZE) as f64 / 50.0 + 0.01))).collect();
    let exec = Threads::new(2);
    let of = |distance: &dyn Fn() -> Box<dyn Distance>| {
        let mut square = [0.0; 2];
        for seed in 1..=16 {
            let parameters = ["g", "k"].map(|name| Parameter {
                name,
                unit: "-",
                meaning: "",
                default: 0.0,
                range: (0.0, 4.0),
                source: "",
                prior: Proposed::Fixed,
            });
            let summaries = (0..SIZE).map(|k| Summary { name: format!("x_{k}"), unit: "-".into() }).collect();
            let problem = Problem {
                key: Key::root(seed),
                model: Box::new(Sample { parameters, summaries }),
                base: vec![0.0; 2],
                free: vec![0, 1],
                prior: Prior([4.0, 1.5].map(|upper| Marginal::Uniform { lower: 0.0, upper }).to_vec()),
                distance: distance(),
                models: Vec::new(),
            };
            let last = nearest(&problem, &exec);
            for k in 0..2 {
                square[k] += last.weights().mean(last.theta.column(k).iter().map(|x| (x - truth[k]).powi(2))) / 16.0;
            }
        }
        square.map(f64::sqrt)
    };
    let plain = of(&|| Box::new(Euclidean::new(observed.clone(), vec![1.0; SIZE], 2.0, None).unwrap()));
    let energy = of(&|| Box::new(Energy::new(observed.clone()).unwrap()));
    assert!((0..2).all(|k| energy[k] < 0.75 * plain[k]), "{plain:?} {energy:?}");
}
