//! Weighted kernel density estimates on the coordinate of a prior.
//!
//! Gaussian kernels, bandwidth 0.9 min(sd, IQR / 1.34) ESS^(−1/5) (Silverman 1986, eq. 3.31, with the effective sample
//! size for the number of points); reflected at the bounds of a flat prior, where a plain estimate would sink to half.

use crate::density::Marginal;
use crate::population::{Generation, Weights};

/// A weighted sample on its coordinate.
pub(super) struct Sample {
    points: Vec<f64>,
    weights: Vec<f64>,
    bounds: Option<(f64, f64)>,
    bandwidth: f64,
}

impl Sample {
    /// Parameter `k` of a generation.
    pub(super) fn of(generation: &Generation, weights: &Weights, k: usize, prior: &Marginal) -> Sample {
        let points: Vec<f64> = generation.theta.column(k).iter().map(|x| prior.coordinate(*x)).collect();
        let sd = weights.sd(points.iter().copied());
        let iqr = weights.quantile(points.iter().copied(), 0.75) - weights.quantile(points.iter().copied(), 0.25);
        let spread = if iqr > 0.0 { sd.min(iqr / 1.34) } else { sd };
        let bandwidth = 0.9 * spread * libm::pow(weights.ess().max(1.0), -0.2);
        let bandwidth = if bandwidth > 0.0 { bandwidth } else { 1e-3 * prior.coordinate_sd() };
        Sample { points, weights: weights.as_slice().to_vec(), bounds: bounds(prior), bandwidth }
    }

    /// Density at `u`, with respect to the coordinate.
    pub(super) fn density(&self, u: f64) -> f64 {
        let kernel = |x: f64| libm::exp(-0.5 * ((u - x) / self.bandwidth) * ((u - x) / self.bandwidth));
        let sum: f64 = self
            .points
            .iter()
            .zip(&self.weights)
            .map(|(x, w)| {
                let mirrored = self.bounds.map_or(0.0, |(a, b)| kernel(2.0 * a - x) + kernel(2.0 * b - x));
                w * (kernel(*x) + mirrored)
            })
            .sum();
        let inside = self.bounds.is_none_or(|(a, b)| (a..=b).contains(&u));
        if inside { sum / (self.bandwidth * (2.0 * std::f64::consts::PI).sqrt()) } else { 0.0 }
    }

    /// The weighted quantile of the coordinate.
    pub(super) fn quantile(&self, weights: &Weights, q: f64) -> f64 {
        weights.quantile(self.points.iter().copied(), q)
    }
}

/// Bounds of a flat prior on its coordinate.
pub(super) fn bounds(prior: &Marginal) -> Option<(f64, f64)> {
    match *prior {
        Marginal::Uniform { lower, upper } => Some((lower, upper)),
        Marginal::Integer { lower, upper } => Some((lower - 0.5, upper + 0.5)),
        Marginal::LogUniform { lower, upper } => Some((libm::log(lower), libm::log(upper))),
        _ => None,
    }
}

/// Whether the coordinate is the logarithm.
pub(super) fn is_log(prior: &Marginal) -> bool {
    matches!(prior, Marginal::LogUniform { .. } | Marginal::LogNormal { .. })
}

/// A central range of the prior on its coordinate, three standard deviations each way or its bounds.
pub(super) fn prior_range(prior: &Marginal) -> (f64, f64) {
    let centre = match *prior {
        Marginal::Uniform { .. } | Marginal::LogUniform { .. } | Marginal::Integer { .. } => {
            return bounds(prior).unwrap_or((0.0, 1.0));
        }
        Marginal::Normal { mean, .. } => mean,
        Marginal::LogNormal { median, .. } => libm::log(median),
        Marginal::Beta { a, b } => libm::log(a / b),
    };
    let half = 3.0 * prior.coordinate_sd();
    (centre - half, centre + half)
}

/// Largest number of particles that are candidates for the densest one.
const CANDIDATES: usize = 1000;

/// Index of the particle where the weighted joint density (product kernels on the coordinates) is highest, among at most
/// [`CANDIDATES`] particles, evenly spaced; `None` without particles.
pub(super) fn densest(generation: &Generation, weights: &Weights, priors: &[Marginal]) -> Option<usize> {
    let d = priors.len();
    let power = -1.0 / (d as f64 + 4.0);
    let columns: Vec<Vec<f64>> = priors
        .iter()
        .enumerate()
        .map(|(k, prior)| {
            let u: Vec<f64> = generation.theta.column(k).iter().map(|x| prior.coordinate(*x)).collect();
            let h = weights.sd(u.iter().copied()) * libm::pow(weights.ess().max(1.0), power);
            let h = if h > 0.0 { h } else { 1.0 };
            u.into_iter().map(|x| x / h).collect()
        })
        .collect();
    let density = |i: usize| -> f64 {
        let squares = |j: usize| columns.iter().map(|c| (c[i] - c[j]) * (c[i] - c[j])).sum::<f64>();
        weights.as_slice().iter().enumerate().map(|(j, w)| w * libm::exp(-0.5 * squares(j))).sum()
    };
    let step = generation.len().div_ceil(CANDIDATES).max(1);
    (0..generation.len()).step_by(step).map(|i| (i, density(i))).max_by(|a, b| a.1.total_cmp(&b.1)).map(|best| best.0)
}
