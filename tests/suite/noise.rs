//! Acceptance with the probability of the data under their noise, against posteriors that are known exactly: null, statistics and false
//! alarms as in [`exact_posteriors`](crate::exact_posteriors), some sixty statistics more. No tolerance is in the exact posteriors:
//! there is none.
//!
//! Planted in `src/sampler/accept.rs`: no weight where the likelihood is above its reference. With one observation that moves a
//! posterior by less than can be seen; with six it is seen, at the test. Planted: one random number for all trials of a generation.
//! Every posterior fails (z to −41, variances of a fraction of their size), and so does the calibration. Planted: the reference left
//! out of acceptance, not of weights. The test of data out of reach does not end.

use nicho::density::Marginal;
use nicho::distance::noise::{Noise, NoiseModel};
use nicho::exec::threads::Threads;
use nicho::job::Job;
use nicho::model::{Model, Parameter, Stages, Summary, Unsimulable};
use nicho::population::{Run, Stop};
use nicho::rng::{Key, Purpose};
use nicho::sampler::Problem;
use nicho::sampler::accept::Accept;
use nicho::sampler::smc::{Schedule, Smc};
use nicho::store::Store;

use crate::exact_posteriors::{Expectation, Grid, judge, one_summary, parameters, problem, replicates, smc};
use crate::support::{self, folder, succeed};

/// Its summary is a function of its parameter, and `scatter` times a normal number.
struct Curve {
    parameters: Vec<Parameter>,
    summaries: Vec<Summary>,
    of: fn(f64) -> f64,
    scatter: f64,
}

impl Model for Curve {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }
    fn summaries(&self) -> &[Summary] {
        &self.summaries
    }
    fn simulate(&self, theta: &[f64], key: Key, out: &mut dyn Stages) -> Result<(), Unsimulable> {
        let y = (self.of)(theta[0]) + self.scatter * key.stream(Purpose::Simulate).normal();
        // All that can come, and then what came: where a simulation is rejected early, this is where.
        let _ = out.stage(0.5, &[y - 0.01], &[y + 0.01]).is_continue() && out.stage(1.0, &[y], &[y]).is_continue();
        Ok(())
    }
}

/// Its summaries are its parameters.
struct Identity {
    parameters: Vec<Parameter>,
    summaries: Vec<Summary>,
}

impl Identity {
    fn new(d: usize) -> Identity {
        let summaries = (0..d).map(|k| Summary { name: format!("y{k}"), unit: "-".into() }).collect();
        Identity { parameters: parameters(d), summaries }
    }
}

impl Model for Identity {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }
    fn summaries(&self) -> &[Summary] {
        &self.summaries
    }
    fn simulate(&self, theta: &[f64], _: Key, out: &mut dyn Stages) -> Result<(), Unsimulable> {
        let _ = out.stage(1.0, theta, theta);
        Ok(())
    }
}

fn tempered(population: usize) -> Smc {
    Smc { accept: Accept::Noise, ..smc(population, 1.0) }
}

/// Twelve runs on `y` with its noise.
fn runs(sampler: &Smc, of: fn(f64) -> f64, scatter: f64, prior: Marginal, y: f64, noise: Noise) -> Vec<Run> {
    replicates(12, sampler, |seed| {
        let model = Curve { parameters: parameters(1), summaries: one_summary(), of, scatter };
        let distance = Box::new(NoiseModel::new(vec![y], vec![noise]));
        Problem { distance, ..problem(Box::new(model), vec![prior], y, seed) }
    })
}

fn normal(sd: f64) -> Noise {
    Noise::Normal { sd, limit: f64::NEG_INFINITY }
}

fn gauss(z: f64) -> f64 {
    libm::exp(-0.5 * z * z)
}

/// θ ~ N(0, 2²), y = 1.2 = θ + N(0, 0.3²), by a simulator without noise, down a ladder of temperatures and by rejection from the
/// prior; and with a simulator that scatters by 0.4, so that the likelihood is N(0, 0.3² + 0.4²).
#[test]
fn a_normal_error_gives_the_conjugate_posterior() {
    let prior = Marginal::Normal { mean: 0.0, sd: 2.0 };
    let rejection = Smc { start: 1.0, generations: 1, ..tempered(1500) };
    for (sampler, scatter) in [(tempered(1500), 0.0), (tempered(1500), 0.4), (rejection, 0.0)] {
        let runs = runs(&sampler, |theta| theta, scatter, prior, 1.2, normal(0.3));
        let variance = 0.09 + scatter * scatter;
        let exact = Grid::new(-4.0, 6.0, |theta| gauss(theta / 2.0) * gauss((theta - 1.2) / variance.sqrt()));
        assert!((exact.mean - 1.2 / variance / (0.25 + 1.0 / variance)).abs() < 1e-8);
        judge(&runs, &exact.expectations("theta", |theta| theta[0]));
    }
}

/// The observation is out of reach, 5 standard deviations below what any parameter gives: y = −1 = θ² + N(0, 0.2²). The largest
/// likelihood that there is, e^−12.5 of what could be, is found as temperature falls.
#[test]
fn a_model_that_cannot_reach_the_data() {
    let runs = runs(&tempered(1500), |theta| theta * theta, 0.0, Marginal::Normal { mean: 0.3, sd: 1.0 }, -1.0, normal(0.2));
    let exact = Grid::new(-3.0, 3.0, |theta| gauss(theta - 0.3) * gauss((theta * theta + 1.0) / 0.2) * libm::exp(12.5));
    judge(&runs, &exact.expectations("theta", |theta| theta[0]));
}

/// Six observations of six parameters N(0, 2²), with noise N(0, 1) each: normal about 0.8 of the observations with variance 0.8.
/// Among many observations likelihoods differ much, and what is above the reference matters: the tenth of the posterior where it is
/// highest, δ = |y − θ|²/2 below 1.1 or so, is one of the statistics; its exact share is that of a sum of squares about another centre,
/// by quadrature over the length and the cosine.
///
/// Planted: no weight above the reference. Seen: shares within 1, 2.2 and 4 low by 0.011, 0.034 and
/// 0.021, z −16, −16 and −5.
#[test]
fn many_observations_are_weighed_right() {
    const D: usize = 6;
    let observed: [f64; D] = [1.5, -0.8, 0.4, 0.0, -1.2, 0.6];
    let runs = replicates(12, &tempered(1500), |seed| {
        let distance = Box::new(NoiseModel::new(observed.to_vec(), vec![normal(1.0); D]));
        let base = problem(Box::new(Identity::new(D)), vec![Marginal::Normal { mean: 0.0, sd: 2.0 }; D], 0.0, seed);
        Problem { distance, ..base }
    });
    // θ − y = −y/5 + √0.8 z: its square is 0.8 times a noncentral χ² with λ = |y|²/20, a Poisson mixture of central ones.
    let half = 0.025 * observed.iter().map(|y| y * y).sum::<f64>();
    let central = |x: f64, pairs: usize| {
        1.0 - (0..pairs).map(|k| libm::exp(-0.5 * x) * (0.5 * x).powi(k as i32) / libm::tgamma(k as f64 + 1.0)).sum::<f64>()
    };
    let share = |x: f64| {
        let term = |k: usize| libm::exp(-half) * half.powi(k as i32) / libm::tgamma(k as f64 + 1.0) * central(x / 0.8, D / 2 + k);
        (0..30).map(term).sum::<f64>()
    };
    let mut expectations = Vec::new();
    for square in [1.0, 2.2, 4.0, 8.0] {
        let of = move |theta: &[f64]| {
            let s: f64 = theta.iter().zip(&observed).map(|(t, y)| (t - y) * (t - y)).sum();
            f64::from(u8::from(s <= square))
        };
        let name = format!("within {square} of the data, squared");
        expectations.push(Expectation { name, of: Box::new(of), exact: share(square) });
    }
    for (k, y) in observed.into_iter().enumerate() {
        let name = |what: &str| format!("{what} of {k}");
        expectations.push(Expectation { name: name("mean"), of: Box::new(move |t: &[f64]| t[k]), exact: 0.8 * y });
        let of = move |t: &[f64]| (t[k] - 0.8 * y).powi(2);
        expectations.push(Expectation { name: name("variance"), of: Box::new(of), exact: 0.8 });
    }
    judge(&runs, &expectations);
}

/// 14 of 20 at probability θ ~ U(0, 1): Beta(15, 7). 3 counted at mean θ, 1/θ flat: Gamma(3, 1), cut at 0.1 and 30.
#[test]
fn shares_and_counts_give_theirs() {
    let flat = Marginal::Uniform { lower: 0.0, upper: 1.0 };
    let coin = runs(&tempered(1500), |theta| theta, 0.0, flat, 0.7, Noise::Binomial { n: 20 });
    let exact = Grid::new(0.0, 1.0, |p| libm::pow(p, 14.0) * libm::pow(1.0 - p, 6.0));
    judge(&coin, &exact.expectations("probability", |theta| theta[0]));
    let scale = Marginal::LogUniform { lower: 0.1, upper: 30.0 };
    let count = runs(&tempered(1500), |theta| theta, 0.0, scale, 3.0, Noise::Poisson);
    let exact = Grid::new(0.1, 30.0, |mean| mean * mean * libm::exp(-mean));
    judge(&count, &exact.expectations("mean", |theta| theta[0]));
}

/// Not above the limit of detection: θ ~ N(0, 1), and all that is known is θ + N(0, 0.5²) ≤ −1. The same with logarithms.
#[test]
fn what_was_not_detected_counts_as_that() {
    let below = |x: f64| 0.5 * libm::erfc((x + 1.0) / 0.5 / std::f64::consts::SQRT_2);
    let exact = Grid::new(-6.0, 3.0, |theta| gauss(theta) * below(theta));
    let limit = Noise::Normal { sd: 0.5, limit: -1.0 };
    let runs_normal = runs(&tempered(1500), |theta| theta, 0.0, Marginal::Normal { mean: 0.0, sd: 1.0 }, -1.0, limit);
    judge(&runs_normal, &exact.expectations("theta", |theta| theta[0]));
    let limit = Noise::LogNormal { sd: 0.5, limit: libm::exp(-1.0) };
    let runs_log = runs(&tempered(1500), |theta| theta, 0.0, Marginal::LogNormal { median: 1.0, sd: 1.0 }, 0.0, limit);
    judge(&runs_log, &exact.expectations("ln theta", |theta| libm::log(theta[0])));
}

/// Heads of twenty tosses, which come one by one, counted with an error of standard deviation 1.5.
const NOISY: &str = "name = \"noisy\"\nseed = 3\n[model]\nname = \"coin\"\n[priors]\n\
    p_heads = { distribution = \"uniform\", lower = 0, upper = 1 }\n[observations]\nvalues = { heads = 14.2 }\n[noise]\n\
    heads = { distribution = \"normal\", sd = 1.5 }\n[sampler]\npopulation = 500\naccept = \"noise\"\n[refine]\nmodes = 0\n";

/// The digest is that of job and seed: on one thread and on three, with and without early rejection, which spares work, and for a run
/// that was cut after its second generation and resumed. The file and whoever prints it speak of temperatures.
#[test]
fn the_digest_is_one_and_the_words_are_those_of_temperature() {
    let folder = folder();
    std::fs::write(folder.path().join("noisy.toml"), NOISY).unwrap();
    let digest = |name: &str, flags: &[&str]| {
        let said = succeed(folder.path(), &[&["run", "noisy.toml", "-o", name], flags].concat());
        let words = said.split_whitespace().collect::<Vec<&str>>().join(" ");
        assert!(words.contains("The final temperature is 1.00: simulations were accepted with the probability"), "{said}");
        assert!(words.contains("reached the temperature asked for") && !words.contains("Tolerance"), "{said}");
        succeed(folder.path(), &["digest", name])
    };
    let one = digest("one.h5", &["--threads", "1"]);
    assert_eq!(one, digest("three.h5", &["--threads", "3"]));
    assert_eq!(one, digest("whole.h5", &["--threads", "2", "--no-early-rejection"]));
    let store = Store::open(folder.path().join("one.h5")).unwrap();
    let record = store.sessions().pop().unwrap();
    let sum = |key: &str| record["simulations"].as_array().unwrap().iter().map(|g| g[key].as_f64().unwrap()).sum::<f64>();
    assert!(sum("worth") < 0.95 * sum("begun"), "{} of {}", sum("worth"), sum("begun"));
    assert!(store.run().generations.iter().map(|g| g.tolerance).is_sorted_by(|a, b| a > b));
    let job = Job::load(&folder.path().join("noisy.toml")).unwrap();
    let mut cut = Store::create(folder.path().join("cut.h5"), &job.header().unwrap()).unwrap();
    store.run().generations[..2].iter().for_each(|generation| cut.append(generation.clone()).unwrap());
    drop(cut);
    assert_eq!(one, digest("cut.h5", &["--resume"]));
    let file = hdf5::File::open(folder.path().join("one.h5")).unwrap();
    let text = |location: &hdf5::Location, name: &str| {
        location.attr(name).unwrap().read_scalar::<hdf5::types::VarLenUnicode>().unwrap().to_string()
    };
    for group in ["population", "sample_stats", "generations/0001"] {
        assert_eq!(text(&file.group(group).unwrap(), "acceptance"), "noise", "{group}");
    }
    assert_eq!(text(&file.dataset("generations/tolerance").unwrap(), "long_name"), "temperature of the likelihood");
    assert!(!file.link_exists("noise_floor"));
}

/// Calibration draws its data from the noise, of each kind that suits counts: 200 data sets each, false alarm 1 %, the seed is fixed.
#[test]
fn it_is_calibrated() {
    let folder = folder();
    let noises = ["\"normal\", sd = 1.5", "\"lognormal\", sd = 0.3, limit = 8", "\"poisson\""];
    for (noise, y) in noises.into_iter().zip(["14.2", "14.2", "14"]) {
        let text = NOISY.replace(noises[0], noise).replace("14.2", y);
        std::fs::write(folder.path().join("noisy.toml"), text).unwrap();
        let args = ["validate", "sbc", "noisy.toml", "--replicates", "200", "--population", "200"];
        let said = succeed(folder.path(), &args);
        println!("{said}");
        assert!(said.contains("200 data sets at draws of the prior, each with the noise of the job."), "{said}");
    }
}

/// The rows of a trial have the noise of their standard errors: `jobs/iris-smoke.toml` goes down the ladder. Far it does not come: its
/// cohorts of 100 scatter more than the data do.
#[test]
fn a_trial_has_the_noise_of_its_standard_errors() {
    let text = support::text("jobs/iris-smoke.toml").replace("[sampler]", "[sampler]\naccept = \"noise\"");
    let job = Job::embedded("iris-noise.toml".as_ref(), text, support::text("jobs/data/iris.csv")).unwrap();
    let sampler =
        Smc { population: 60, acceptance_rate: 0.0, simulations: 4000, schedule: Schedule::Quantile(0.7), ..job.sampler() };
    let run = support::run(&sampler, &job.problem().unwrap(), &Threads::new(2));
    let temperatures: Vec<f64> = run.generations.iter().map(|g| g.tolerance).collect();
    println!("{:?} after {} simulations, temperatures {temperatures:?}", run.stopped, run.simulated());
    assert!(temperatures.len() > 2 && temperatures.is_sorted_by(|a, b| a > b));
    assert!(matches!(run.stopped, Some(Stop::Tolerance | Stop::Simulations | Stop::Generations)));
}

/// A prediction is of data: its variance is that of what is simulated, and of the noise. Without the noise it was the posterior's alone, 0.11 of
/// 1.11 here. Null: variance of 400 draws, standard error 7 %; four of them.
#[test]
fn a_prediction_holds_the_noise() {
    let folder = crate::support::folder();
    let job = "name = \"n\"\nseed = 1\nmodel = { name = \"normal\", fixed = { sd = 1e-9, sample = 1 } }\n\
               priors.mean = { distribution = \"normal\", mean = 0, sd = 0.35 }\nobservations.values.sample_mean = 0.1\n\
               noise.sample_mean = { distribution = \"normal\", sd = 1 }\nsampler = { accept = \"noise\", population = 400 }\n\
               output.draws = 400\nrefine.modes = 0\n";
    std::fs::write(folder.path().join("n.toml"), job).unwrap();
    crate::support::succeed(folder.path(), &["run", "n.toml", "-o", "n.h5"]);
    let store = nicho::store::Store::open(folder.path().join("n.h5")).unwrap();
    for (predictive, variance) in
        [(store.prior(), 1.0 + 0.35f64.powi(2)), (store.posterior(), 1.0 + 1.0 / (1.0 + 0.35f64.powi(-2)))]
    {
        let values = predictive.unwrap().values.column(0).to_vec();
        let mean = values.iter().sum::<f64>() / 400.0;
        let found = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 399.0;
        assert!((found / variance - 1.0).abs() < 0.28, "{found} {variance}");
    }
}
