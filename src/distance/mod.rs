//! Distances between the summaries of a simulation and those observed.

use ndarray::Array2;

use crate::density::network::Network;
use crate::rng::Stream;

pub mod energy;
pub mod euclidean;
pub mod learned;
pub mod noise;
pub mod trial;

/// Names of the distances that a job can ask for.
pub const CATALOGUE: &[&str] = &["trial", "euclidean", "energy", "learned"];

/// Names of the regressions by which parameters are foretold.
pub const REGRESSIONS: &[&str] = &["linear", "network"];

/// Distance of observations that are impossible at the simulated summaries; half its square is still a number.
pub const IMPOSSIBLE: f64 = 1e150;

/// What each summary counts for in a distance that sums over summaries.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// What a difference is divided by, in the unit of the summary; above 0.
    pub scale: Vec<f64>,
    /// Weight; 0 leaves a summary out.
    pub weight: Vec<f64>,
    /// Which are observed far outside what the pilot gave, and counted for less.
    pub outlying: Vec<bool>,
    /// What foretells the parameters, where their predictions are compared in place of the summaries.
    pub foretold: Option<Foretold>,
}

/// A prediction of the parameters by the summaries.
#[derive(Clone, Debug, PartialEq)]
pub struct Foretold {
    /// Change of each parameter's coordinate, in units of its prior standard deviation, with each summary, in its unit: (parameter,
    /// summary).
    pub slope: Array2<f64>,
    /// What a network adds to that, in the same units: of summaries to parameters.
    pub network: Option<Network>,
    /// For each parameter the share of its prior variance that is foretold, draws left out by the others, in [0, 1].
    pub explained: Vec<f64>,
}

/// A distance between rows of summaries, which holds the observed one.
pub trait Distance: Send + Sync {
    /// Distance between two rows of summaries; finite and >= 0 for finite summaries.
    fn between(&self, a: &[f64], b: &[f64]) -> f64;

    /// The observed summaries.
    fn observed(&self) -> &[f64];

    /// Distance of simulated summaries from the observed ones.
    fn distance(&self, summaries: &[f64]) -> f64 {
        self.between(summaries, self.observed())
    }

    /// The least distance that any summaries between `lower` and `upper` can have, or a number below it; 0 is always
    /// allowed. Early rejection stops a simulation whose bound exceeds the tolerance.
    fn lower_bound(&self, _lower: &[f64], _upper: &[f64]) -> f64 {
        0.0
    }

    /// The same distance from other observations, `observed`, as long as the old ones.
    fn with_observed(&self, observed: Vec<f64>) -> Box<dyn Distance>;

    /// A point that is uniform in the ball of `radius` around `summaries`; `None` if no such point can be drawn.
    fn near(&self, _summaries: &[f64], _radius: f64, _rng: &mut Stream) -> Option<Vec<f64>> {
        None
    }

    /// What stands for replicates in place of one of them: the means of their summaries, unless these are not summed one by one.
    fn middle(&self, rows: &[&[f64]]) -> Vec<f64> {
        mean(rows)
    }

    /// What each summary counts for, where that was learnt from simulations.
    fn learnt(&self) -> Option<&Parts> {
        None
    }

    /// Where the errors of the observations are known: divide a distance by this and it is in units of their standard
    /// error, as a root mean square over the rows; half the squared distance is then minus their normal log-likelihood, up
    /// to a constant. `None` where they are not.
    fn scale(&self) -> Option<f64> {
        None
    }

    /// Observations that have these summaries and the known errors; `None` where errors are not known, or there are no such
    /// observations.
    fn noisy(&self, _summaries: &[f64], _rng: &mut Stream) -> Option<Vec<f64>> {
        None
    }
}

/// The mean of rows, number by number.
fn mean(rows: &[&[f64]]) -> Vec<f64> {
    let m = rows.first().map_or(0, |row| row.len());
    (0..m).map(|k| rows.iter().map(|row| row[k]).sum::<f64>() / rows.len() as f64).collect()
}

/// A point that is uniform in the unit ball of dimension `d` of the norm (Σ |xᵢ|ᵖ)^(1/p): x / (Σ |xᵢ|ᵖ + E)^(1/p), where the density of each
/// xᵢ is in proportion to exp(−|x|ᵖ) and E is exponential (Barthe, Guédon, Mendelson and Naor 2005, Ann Probab 33:480); where p = 2,
/// a direction and a radius.
fn in_ball(d: usize, p: f64, rng: &mut Stream) -> Vec<f64> {
    if p != 2.0 {
        let (mut powers, mut sum) = (Vec::with_capacity(d), rng.exponential());
        for _ in 0..d {
            let sign = if rng.uniform() < 0.5 { -1.0 } else { 1.0 };
            let power = rng.gamma(1.0 / p);
            sum += power;
            powers.push((sign, power));
        }
        return powers.into_iter().map(|(sign, power)| sign * libm::pow(power / sum, 1.0 / p)).collect();
    }
    let direction: Vec<f64> = (0..d).map(|_| rng.normal()).collect();
    let length = direction.iter().map(|z| z * z).sum::<f64>().sqrt();
    let radius = libm::pow(rng.uniform(), 1.0 / d as f64);
    direction.iter().map(|z| z * radius / length).collect()
}
