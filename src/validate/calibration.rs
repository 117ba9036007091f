//! Is the uncertainty of a posterior the right one? Simulation-based calibration (Cook, Gelman and Rubin 2006, J Comput Graph
//! Stat 15:675; Talts et al. 2018, arXiv:1804.06788) and coverage of intervals.
//!
//! Parameters are drawn from the prior, data are simulated at them, and the job is run on these data. If the run samples the
//! posterior, then the rank of the true value among posterior draws is uniform, and an interval of 90 % holds it in 90 % of the
//! replicates.
//!
//! A finite tolerance ε widens a posterior, so that this test of the bare data would fail by construction. It is the posterior
//! of other data, though: of data that were moved to a point that is uniform in the ball of radius ε around the simulated ones
//! (Wilkinson 2013, Stat Appl Genet Mol Biol 12:129). With such data ABC is exact, and what the test then finds is an error of
//! the engine: of kernel, weights, bounds, tolerance schedule or resampling.
//!
//! Where the noise of the data decides on what is accepted, there is no tolerance: data are drawn from the noise at the simulated
//! summaries, and the posterior at temperature 1 is exact.
//!
//! An adjusted posterior is tested beside that of the sampler. One by regression or by a surrogate likelihood is meant to have no
//! tolerance in it: each data set is used once more as it was simulated, in a run of its own. One of simulations of all generations
//! has the tolerance, and the run of the sampler.
//!
//! Everything is a function of (job, seed, tolerance, replicates).

use std::ops::ControlFlow;

use ndarray::Array2;

use crate::density::Marginal;
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::population::{Calibration, Ranked, Run, Weights};
use crate::rng::{Branch, Purpose};
use crate::sampler::accept::Accept;
use crate::sampler::smc::Smc;
use crate::sampler::{Problem, Progress, Watch, infer};

/// Bins of a histogram of ranks.
pub const BINS: usize = 10;
/// Probability that an engine without error is called miscalibrated, over all parameters and tests.
pub const FALSE_ALARM: f64 = 0.01;
/// Draws of the prior until one can be simulated.
const REDRAWS: u64 = 1000;

impl Ranked {
    /// Counts of ranks in [`BINS`] bins.
    pub fn histogram(&self) -> [usize; BINS] {
        let mut counts = [0; BINS];
        self.ranks.iter().for_each(|rank| counts[rank * BINS / (Ranked::DRAWS + 1)] += 1);
        counts
    }

    /// Share of the variance of the true values that posterior means account for: 1 if every value is recovered, 0 if the data
    /// say nothing, below 0 if it were better to guess the prior's mean.
    pub fn recovered(&self) -> f64 {
        let n = self.recovery.len() as f64;
        let mean = self.recovery.iter().map(|(truth, _)| truth).sum::<f64>() / n;
        let left: f64 = self.recovery.iter().map(|(truth, found)| (truth - found).powi(2)).sum();
        1.0 - left / self.recovery.iter().map(|(truth, _)| (truth - mean).powi(2)).sum::<f64>()
    }

    /// Probability of a histogram at least as uneven, if ranks are uniform: Pearson's chi-square, by Wilson and Hilferty's cube
    /// root (1931).
    pub fn p_uniform(&self) -> f64 {
        let expected = self.ranks.len() as f64 / BINS as f64;
        let chi: f64 = self.histogram().iter().map(|count| (*count as f64 - expected).powi(2) / expected).sum();
        let free = (BINS - 1) as f64;
        let spread = 2.0 / (9.0 * free);
        let z = (libm::cbrt(chi / free) - (1.0 - spread)) / spread.sqrt();
        0.5 * libm::erfc(z / std::f64::consts::SQRT_2)
    }

    /// Probability, on both sides, of as many replicates or fewer inside the interval `k` (or of as many or more), if its coverage
    /// is right.
    pub fn p_coverage(&self, k: usize) -> f64 {
        let (n, inside) = (self.ranks.len(), self.inside[k]);
        let below: f64 = (0..=inside).map(|i| binomial(n, i, Ranked::INTERVALS[k])).sum();
        let above: f64 = (inside..=n).map(|i| binomial(n, i, Ranked::INTERVALS[k])).sum();
        (2.0 * below.min(above)).min(1.0)
    }

    /// Whether no test of this parameter says otherwise, at [`FALSE_ALARM`] over all tests of `parameters` parameters (Bonferroni).
    pub fn calibrated(&self, parameters: usize) -> bool {
        let limit = FALSE_ALARM / (parameters * (1 + Ranked::INTERVALS.len())) as f64;
        self.p_uniform() >= limit && (self.whole || (0..Ranked::INTERVALS.len()).all(|k| self.p_coverage(k) >= limit))
    }
}

/// Probability of `i` successes of `n` at probability `p`.
fn binomial(n: usize, i: usize, p: f64) -> f64 {
    let (n, i) = (n as f64, i as f64);
    let ways = libm::lgamma(n + 1.0) - libm::lgamma(i + 1.0) - libm::lgamma(n - i + 1.0);
    libm::exp(ways + i * libm::log(p) + (n - i) * libm::log1p(-p))
}

/// Least and greatest count that lie within the central `share` of Binomial(`n`, `p`).
pub fn binomial_band(n: usize, p: f64, share: f64) -> (usize, usize) {
    let tail = 0.5 * (1.0 - share);
    let mut below = 0.0;
    let mut low = None;
    for i in 0..=n {
        below += binomial(n, i, p);
        if low.is_none() && below > tail {
            low = Some(i);
        }
        if below >= 1.0 - tail {
            return (low.unwrap_or(i), i);
        }
    }
    (low.unwrap_or(n), n)
}

/// A replicate: the true parameters, the summaries that were simulated at them, and the problem with the data made of these.
struct Replicate {
    truth: Vec<f64>,
    summaries: Vec<f64>,
    problem: Problem,
}

/// Draws a replicate of a job's problem. `problem` is used up: its model is that of the replicate.
fn replicate(problem: Problem, number: u64, sampler: &Smc) -> Result<Replicate> {
    let key = problem.key.branch(Branch::Calibrate).child(number);
    let mut truth = vec![0.0; problem.prior.dimension()];
    let mut summaries = vec![0.0; problem.model.summaries().len()];
    for attempt in 0..REDRAWS {
        let key = key.child(attempt);
        problem.prior.draw(&mut key.stream(Purpose::Propose), &mut truth);
        if problem.simulate(&truth, key, &mut summaries).is_ok() {
            let rng = &mut key.stream(Purpose::Pilot);
            let data = match sampler.accept {
                Accept::Tolerance => problem.distance.near(&summaries, sampler.tolerance, rng).ok_or_else(no_ball)?,
                Accept::Noise => problem.distance.noisy(&summaries, rng).ok_or_else(|| no_data(&summaries))?,
            };
            let distance = problem.distance.with_observed(data);
            return Ok(Replicate { truth, summaries, problem: Problem { key: key.child(REDRAWS), distance, ..problem } });
        }
    }
    let problem = format!("{REDRAWS} draws of the prior cannot be simulated");
    Err(Error::Usage { problem, fix: "narrow the priors: see nicho check".into() })
}

fn no_ball() -> Error {
    Error::Usage {
        problem: "calibration needs a distance in whose ball a point can be drawn".into(),
        fix: "use the distance trial or euclidean".into(),
    }
}

fn no_data(summaries: &[f64]) -> Error {
    Error::Usage {
        problem: format!("the noise gives no data at the simulated summaries {summaries:?}"),
        fix: "give a noise under [noise] that fits what the model simulates: a probability for binomial, 0 or more for poisson"
            .into(),
    }
}

/// Looks on quietly; lets the session break it off.
struct Quiet<'a>(&'a dyn Fn() -> ControlFlow<()>);

impl Watch for Quiet<'_> {
    fn progress(&mut self, _: &Progress) -> ControlFlow<()> {
        (self.0)()
    }
    fn generation(&mut self, _: &Run) {}
}

/// Equal-weight draws of an adjusted posterior, (draw, parameter), from a finished run; `None` if that was broken off.
pub type Adjusted<'a> = dyn Fn(&Problem, &Run) -> Result<Option<Array2<f64>>> + 'a;

/// How an adjusted posterior is had.
pub struct Adjusting<'a> {
    /// Its draws.
    pub draws: &'a Adjusted<'a>,
    /// Whether it is one of the data as they were simulated, in place of those that were moved.
    pub bare: bool,
}

/// Runs the job on `replicates` data sets of its own and ranks the true values. `job` gives the problem anew for each; `done` is
/// told how many are through and may break it off, for which the result is `None`.
///
/// # Errors
/// Those of the sampler; [`Error::Usage`] if a run ends before it has come to the tolerance: its posterior would be another one.
pub fn calibrate(
    job: &dyn Fn() -> Result<Problem>,
    sampler: &Smc,
    adjusting: Option<&Adjusting<'_>>,
    replicates: usize,
    exec: &dyn Executor,
    done: &dyn Fn(usize) -> ControlFlow<()>,
) -> Result<Option<Calibration>> {
    let problem = job()?;
    let name = |index: &usize| problem.model.parameters()[*index].name;
    let line = |(index, prior): (&usize, &Marginal)| {
        let whole = prior.grain() > 0.0;
        Ranked { name: name(index).into(), ranks: Vec::new(), inside: [0; 2], whole, recovery: Vec::new() }
    };
    let mut lines: Vec<Ranked> = problem.free.iter().zip(&problem.prior.0).map(line).collect();
    let mut adjusted = adjusting.map(|_| lines.clone());
    for number in 0..replicates {
        let Replicate { truth, summaries, problem } = replicate(job()?, number as u64, sampler)?;
        let reach = |problem: &Problem| reach(problem, sampler, number, exec, done);
        let Some(run) = reach(&problem)? else { return Ok(None) };
        if let Some(last) = run.last() {
            add(&mut lines, &problem, &last.theta, &last.weights(), &truth);
        }
        if let (Some(adjusting), Some(lines)) = (adjusting, &mut adjusted) {
            let bare = |problem: &Problem| -> Result<Problem> {
                Ok(Problem { key: problem.key.child(0), distance: problem.distance.with_observed(summaries), ..job()? })
            };
            let (problem, run) = if adjusting.bare {
                let problem = bare(&problem)?;
                let Some(run) = reach(&problem)? else { return Ok(None) };
                (problem, run)
            } else {
                (problem, run)
            };
            let Some(theta) = (adjusting.draws)(&problem, &run)? else { return Ok(None) };
            add(lines, &problem, &theta, &Weights::from_ln(&vec![0.0; theta.nrows()]), &truth);
        }
    }
    Ok(Some(Calibration { tolerance: sampler.tolerance, population: sampler.population, lines, adjusted }))
}

/// A run of one replicate, to the tolerance; `None` if it was broken off.
fn reach(
    problem: &Problem,
    sampler: &Smc,
    number: usize,
    exec: &dyn Executor,
    done: &dyn Fn(usize) -> ControlFlow<()>,
) -> Result<Option<Run>> {
    let mut run = Run::default();
    let go_on = || done(number);
    if !infer(sampler, problem, &mut run, exec, &mut Quiet(&go_on), &mut |_| Ok(()))? {
        return Ok(None);
    }
    let reached = run.last().map_or(f64::INFINITY, |last| last.tolerance);
    if reached != sampler.tolerance {
        let problem = format!("replicate {number} ended at tolerance {reached:.4} in place of {}", sampler.tolerance);
        let fix = "give a larger --tolerance, raise stop.simulations, or use the schedule quantile".into();
        return Err(Error::Usage { problem, fix });
    }
    Ok(Some(run))
}

/// Ranks the true values in one posterior.
fn add(lines: &mut [Ranked], problem: &Problem, theta: &Array2<f64>, weights: &Weights, truth: &[f64]) {
    let drawn = weights.resample(Ranked::DRAWS, &mut problem.key.stream(Purpose::Resample));
    let mut ties = problem.key.stream(Purpose::Pilot);
    for (k, (line, truth)) in lines.iter_mut().zip(truth).enumerate() {
        let column = theta.column(k);
        let prior = &problem.prior.0[k];
        let found = weights.mean(column.iter().map(|x| prior.coordinate(*x)));
        line.recovery.push((prior.coordinate(*truth), found));
        line.ranks.push(rank(drawn.iter().map(|&i| column[i]), *truth, &mut ties));
        for (inside, share) in line.inside.iter_mut().zip(Ranked::INTERVALS) {
            let quantile = |q| weights.quantile(column.iter().copied(), q);
            let (low, high) = (quantile(0.5 - 0.5 * share), quantile(0.5 + 0.5 * share));
            *inside += usize::from((low..=high).contains(truth));
        }
    }
}

/// How many of the values lie below the truth; a tie, as of counts, is tossed.
fn rank(values: impl Iterator<Item = f64>, truth: f64, rng: &mut crate::rng::Stream) -> usize {
    let mut below = 0;
    let mut ties = 0;
    for value in values {
        below += usize::from(value < truth);
        ties += usize::from(value == truth);
    }
    below + rng.below(ties + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Key;

    fn line(ranks: Vec<usize>, inside: [usize; 2]) -> Ranked {
        Ranked { name: "x".into(), ranks, inside, whole: false, recovery: Vec::new() }
    }

    #[test]
    fn even_ranks_are_calibrated_and_uneven_ones_are_not() {
        let even: Vec<usize> = (0..200).map(|i| i % 100).collect();
        assert!(line(even.clone(), [100, 180]).calibrated(4));
        assert!((line(even.clone(), [100, 180]).p_uniform() - 1.0).abs() < 1e-3);
        assert!(!line(even.clone(), [140, 180]).calibrated(4), "an interval that is too wide");
        assert!(!line(even, [100, 150]).calibrated(4), "one that is too narrow");
        let middle: Vec<usize> = (0..200).map(|i| 25 + i % 50).collect();
        assert!(!line(middle, [100, 180]).calibrated(4));
    }

    #[test]
    fn the_p_value_of_ranks_is_uniform_if_they_are() {
        // Null: 400 histograms of 100 uniform ranks; a share of 5 % of p-values below 0.05, within 4 standard errors (0.011).
        let mut rng = Key::root(5).stream(Purpose::Pilot);
        let mut ranks = || (0..100).map(|_| (100.0 * rng.uniform()) as usize).collect::<Vec<_>>();
        let low = (0..400).filter(|_| line(ranks(), [0; 2]).p_uniform() < 0.05).count();
        assert!((low as f64 / 400.0 - 0.05).abs() < 0.044, "{low}");
    }

    #[test]
    fn what_is_recovered_is_a_share_of_variance() {
        let of = |recovery: &[(f64, f64)]| Ranked { recovery: recovery.to_vec(), ..line(vec![], [0; 2]) }.recovered();
        assert_eq!(of(&[(1.0, 1.0), (3.0, 3.0)]), 1.0);
        assert_eq!(of(&[(1.0, 2.0), (3.0, 2.0)]), 0.0);
        assert!((of(&[(1.0, 1.5), (3.0, 2.5)]) - 0.75).abs() < 1e-15);
    }

    #[test]
    fn a_binomial_band_holds_its_share() {
        let (low, high) = binomial_band(100, 0.9, 0.99);
        let share: f64 = (low..=high).map(|i| binomial(100, i, 0.9)).sum();
        assert!((low, high) == (82, 97) && (0.99..0.998).contains(&share), "{low} {high} {share}");
    }
}
