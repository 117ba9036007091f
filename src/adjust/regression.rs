//! Regression adjustment of the simulations within the last tolerance, those of earlier generations too ([`reuse`]): each is moved to where it would lie had its summaries been the observed ones.
//!
//! With `t` the parameters on scales without bounds ([`Marginal::unbounded`](crate::density::Marginal::unbounded)) and `s` the
//! summaries, both of particle i,
//!
//! ```text
//! tᵢ* = m(s_obs) + (tᵢ − m(sᵢ)) σ(s_obs) / σ(sᵢ),    weight wᵢ (1 − dᵢ² / ε²)
//! ```
//! where m is linear (Beaumont, Zhang and Balding 2002, Genetics 162:2025), ln σ² too, fitted to the log squared residuals
//! (Blum and François 2010, Stat Comput 20:63), wᵢ is the importance weight over the mixture of
//! all proposals and the rest Epanechnikov's kernel of the distance.
//! With [`Regressor::Network`] m and ln σ² are linear plus what small [networks](crate::density::network) add, fitted to what the line leaves
//! (Blum and François 2010, section 3); the residual of each particle is then from a network that was fitted without it.
//!
//! A draw moved back from its scale lies within the bounds of the prior whatever the regression says.
//!
//! **How many summaries.** All of them, each in units of its standard deviation, with a ridge on the slopes. The ridge of each
//! parameter, of location and of scale, is the one that foretells left-out particles best, of nine from 10⁻⁶ to 10 (in units
//! of the variance of a summary) and an infinite one, no slope at all. So with few particles and many summaries slopes shrink,
//! and a parameter of which the summaries say nothing stays as ABC left it. [`Regressed::explained`] says for each what share
//! of its variance was foretold.
//!
//! **Early rejection stays exact.** Only simulations that were accepted enter, those have run to their end, and which
//! are accepted does not depend on whether others were broken off: the draws are the same bits with `--no-early-rejection`.
//!
//! [`reuse`]: crate::sampler::reuse

use ndarray::Array2;

use crate::density::least_squares::{RIDGES, Regression};
use crate::density::network::Network;
use crate::error::{Error, Result};
use crate::population::{Adjusted, Generation, Learnt, Regressed, Regressor, Reused, Weights};
use crate::rng::{Branch, Key, Purpose};
use crate::sampler::Problem;

/// Particles, in effective number, with which there is nothing to regress on.
const LEAST: f64 = 10.0;
/// Largest leverage that the residual of a particle is corrected for.
const MOST_LEVERAGE: f64 = 0.9;
/// Added to squared residuals, in units of their mean, before the logarithm is taken.
const LEAST_SQUARE: f64 = 1e-6;

/// `count` equal-weight draws, by systematic resampling of the particles of `pool` that were moved; `reused` says where they are from.
///
/// # Errors
/// [`Error::Usage`] if the particles are worth fewer than ten.
pub fn adjust(problem: &Problem, pool: &Generation, reused: Reused, count: usize, by: Regressor) -> Result<Adjusted> {
    let (particles, weights) = near(pool);
    if weights.ess() < LEAST {
        return Err(Error::Usage {
            problem: format!(
                "the posterior cannot be adjusted: {} particles near the observations are worth {:.1}, and a regression needs {LEAST}",
                particles.len(),
                weights.ess()
            ),
            fix: "raise sampler.population, or leave [adjust] out; what the sampler found is stored".into(),
        });
    }
    let priors = &problem.prior.0;
    let d = priors.len();
    let t: Vec<f64> =
        particles.iter().flat_map(|i| priors.iter().zip(pool.theta.row(*i)).map(|(p, x)| p.unbounded(*x))).collect();
    let summaries = Summaries::of(pool, &particles, &weights, problem.distance.observed());
    let key = problem.key.branch(Branch::Adjust);
    let (moved, explained) = moved(d, &t, &summaries, &weights, (by == Regressor::Network).then_some(key));
    let mut rng = key.stream(Purpose::Resample);
    let mut picked = weights.resample(count, &mut rng);
    rng.shuffle(&mut picked);
    let theta = Array2::from_shape_fn((count, d), |(i, k)| priors[k].bounded(moved[picked[i] * d + k]));
    let learnt = Learnt::Regression(Regressed { by, reused: Some(reused), ess: weights.ess(), explained });
    Ok(Adjusted { theta, learnt, fitted: particles.len() as u64 })
}

/// The particles that the kernel leaves a weight, and their weights. Its width is the tolerance, or, in a sample of the prior,
/// the largest distance; where all lie just there, as counts may, the kernel is flat.
fn near(pool: &Generation) -> (Vec<usize>, Weights) {
    let largest = pool.accepted().map(|i| pool.distance[i]).fold(0.0, f64::max);
    let width = if pool.tolerance.is_finite() { pool.tolerance } else { largest };
    let kernel = |i: usize| if width > 0.0 { 1.0 - (pool.distance[i] / width) * (pool.distance[i] / width) } else { 1.0 };
    let flat = pool.accepted().all(|i| kernel(i) <= 0.0);
    let weighed = |i: &usize| (flat || kernel(*i) > 0.0) && pool.ln_weight[*i] > f64::NEG_INFINITY;
    let particles: Vec<usize> = pool.accepted().filter(weighed).collect();
    let ln = |i: &usize| pool.ln_weight[*i] + if flat { 0.0 } else { libm::log(kernel(*i)) };
    let weights = Weights::from_ln(&particles.iter().map(ln).collect::<Vec<f64>>());
    (particles, weights)
}

/// Summaries in units of their standard deviation, about their mean; those that do not vary are left out.
struct Summaries {
    /// How many there are.
    p: usize,
    /// Row after row.
    z: Vec<f64>,
    observed: Vec<f64>,
}

impl Summaries {
    fn of(pool: &Generation, particles: &[usize], weights: &Weights, observed: &[f64]) -> Self {
        let column = |k: usize| particles.iter().map(move |i| pool.summaries[(*i, k)]);
        let spread: Vec<(usize, f64, f64)> = (0..observed.len())
            .map(|k| (k, weights.mean(column(k)), weights.sd(column(k))))
            .filter(|(_, mean, sd)| *sd > 1e-12 * mean.abs())
            .collect();
        let row = |i: &usize| spread.iter().map(|(k, mean, sd)| (pool.summaries[(*i, *k)] - mean) / sd).collect::<Vec<f64>>();
        Summaries {
            p: spread.len(),
            z: particles.iter().flat_map(row).collect(),
            observed: spread.iter().map(|(k, mean, sd)| (observed[*k] - mean) / sd).collect(),
        }
    }
}

/// The moved particles, row after row of `d` numbers, and the share of the variance of each parameter that was foretold.
/// `network` is the address of networks, where there are any.
fn moved(d: usize, t: &[f64], summaries: &Summaries, weights: &Weights, network: Option<Key>) -> (Vec<f64>, Vec<f64>) {
    let mut residual = t.to_vec();
    let mut location = Fit::choose(d, &mut residual, summaries, weights);
    // Of a particle that bends its own regression the residual is too small.
    for ((row, leverage), w) in residual.chunks_exact_mut(d).zip(location.leverage.chunks_exact(d)).zip(weights.as_slice()) {
        row.iter_mut().zip(leverage).for_each(|(e, h)| *e /= (1.0 - (h + w).min(MOST_LEVERAGE)).sqrt());
    }
    if let Some(key) = network {
        location.refine(key.child(0), d, &mut residual, summaries, weights);
    }
    let mean_square = |k: usize| weights.mean(residual.iter().skip(k).step_by(d).map(|e| e * e)).max(f64::MIN_POSITIVE);
    let mean_square: Vec<f64> = (0..d).map(mean_square).collect();
    let mut logs: Vec<f64> =
        residual.iter().enumerate().map(|(j, e)| libm::log(e * e / mean_square[j % d] + LEAST_SQUARE)).collect();
    let before = logs.clone();
    let mut scale = Fit::choose(d, &mut logs, summaries, weights);
    if let Some(key) = network {
        scale.refine(key.child(1), d, &mut logs, summaries, weights);
    }
    for k in 0..d {
        let fitted = |j: usize| before[j] - logs[j];
        let places = || (k..residual.len()).step_by(d);
        // No extrapolation of exponentials.
        let low = places().map(fitted).fold(f64::INFINITY, f64::min);
        let high = places().map(fitted).fold(f64::NEG_INFINITY, f64::max);
        let observed = scale.observed[k].clamp(low, high);
        for j in places() {
            residual[j] = location.observed[k] + residual[j] * libm::exp(0.5 * (observed - fitted(j)));
        }
    }
    (residual, location.explained)
}

/// Linear regressions of `d` outputs on the summaries, each with the ridge that foretells best what is left out.
struct Fit {
    /// Prediction at the observed summaries.
    observed: Vec<f64>,
    /// Leverage of each row in the regression of each output, beside that of the mean.
    leverage: Vec<f64>,
    /// 1 − mean squared error of foretelling a left-out row / that of the mean of the others; 0 without slopes.
    explained: Vec<f64>,
}

impl Fit {
    /// Fits to the outputs `y`, row after row, and leaves their residuals in it.
    fn choose(d: usize, y: &mut [f64], summaries: &Summaries, weights: &Weights) -> Self {
        let (p, w) = (summaries.p, weights.as_slice());
        let mean: Vec<f64> = (0..d).map(|k| weights.mean(y.iter().skip(k).step_by(d).copied())).collect();
        y.chunks_exact_mut(d).for_each(|row| row.iter_mut().zip(&mean).for_each(|(y, mean)| *y -= mean));
        let n = w.len() as f64;
        let root = |w: f64| (n * w).sqrt();
        let weighed = |width: usize, rows: &[f64]| -> Vec<f64> {
            rows.chunks_exact(width).zip(w).flat_map(|(row, w)| row.iter().map(move |x| root(*w) * x)).collect()
        };
        // Mean squared errors at left-out rows: e / (1 − h), where h counts the mean as well.
        let error = |k: usize, left: &[f64], leverage: &dyn Fn(usize) -> f64| -> f64 {
            let at = |(i, w): (usize, &f64)| {
                let e = left[i * d + k] / (1.0 - (leverage(i) + w)).max(1e-9);
                w * e * e
            };
            w.iter().enumerate().map(at).sum()
        };
        let flat: Vec<f64> = (0..d).map(|k| error(k, y, &|_| 0.0)).collect();
        let mut best = flat.clone();
        let mut residual = y.to_vec();
        let mut fit = Fit { observed: mean.clone(), leverage: vec![0.0; y.len()], explained: vec![0.0; d] };
        let (features, outputs) = if p == 0 { (Vec::new(), Vec::new()) } else { (weighed(p, &summaries.z), weighed(d, y)) };
        for ridge in RIDGES.into_iter().filter(|_| p > 0) {
            let Some(regression) = Regression::fit(p, d, &features, &outputs, Some(ridge)) else { continue };
            let mut left = y.to_vec();
            for (z, left) in summaries.z.chunks_exact(p).zip(left.chunks_exact_mut(d)) {
                regression.subtract(z, left);
            }
            let leverage: Vec<f64> = features.chunks_exact(p).map(|f| regression.leverage(&mut f.to_vec())).collect();
            let mut observed = vec![0.0; d];
            regression.subtract(&summaries.observed, &mut observed);
            for k in 0..d {
                let error = error(k, &left, &|i| leverage[i]);
                if error < best[k] {
                    best[k] = error;
                    fit.observed[k] = mean[k] - observed[k];
                    fit.explained[k] = 1.0 - error / flat[k];
                    for (i, h) in leverage.iter().enumerate() {
                        fit.leverage[i * d + k] = *h;
                        residual[i * d + k] = left[i * d + k];
                    }
                }
            }
        }
        y.copy_from_slice(&residual);
        fit
    }

    /// Has a network foretell the residuals `y`, and leaves in it what is left of them, each row as foretold from others.
    fn refine(&mut self, key: Key, d: usize, y: &mut [f64], summaries: &Summaries, weights: &Weights) {
        let Some(fit) = Network::fit(key, summaries.p, d, &summaries.z, y, weights.as_slice()) else { return };
        for (k, more) in fit.network.foretell(&summaries.observed).into_iter().enumerate() {
            self.observed[k] += more;
            self.explained[k] = 1.0 - (1.0 - self.explained[k]) * (1.0 - fit.explained[k]);
        }
        y.copy_from_slice(&fit.left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Stream};

    fn rng(seed: u64) -> Stream {
        Key::root(seed).stream(Purpose::Simulate)
    }

    /// Adjusts `t` on `p` summaries, both row after row, to summaries that are all `observed`; of one parameter.
    fn one(p: usize, t: &[f64], z: Vec<f64>, observed: f64, network: Option<Key>) -> (Vec<f64>, f64) {
        let weights = Weights::from_ln(&vec![0.0; t.len()]);
        let (moved, explained) = moved(1, t, &Summaries { p, z, observed: vec![observed; p] }, &weights, network);
        (moved, explained[0])
    }

    fn mean_and_variance(values: &[f64]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        (mean, values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n)
    }

    /// Null: t = 2 s + e^(s/2) z with s and z standard normal. At s = 1 it has mean 2 and variance e. n = 4000; standard errors:
    /// of the mean about 0.03, of the log variance about 0.05 by the sample and the regression of the scale. Bounds are five of them.
    ///
    /// Planted: no scale. The log variance is 0.50 too low. Planted: the mean of t in place of what s = 1 foretells: 0.01.
    #[test]
    fn location_and_scale_are_those_at_the_observed_summary() {
        let mut rng = rng(1);
        let s: Vec<f64> = (0..4000).map(|_| rng.normal()).collect();
        let t: Vec<f64> = s.iter().map(|s| 2.0 * s + libm::exp(0.5 * s) * rng.normal()).collect();
        let (moved, explained) = one(1, &t, s, 1.0, None);
        let (mean, variance) = mean_and_variance(&moved);
        assert!((mean - 2.0).abs() < 0.15 && (libm::log(variance) - 1.0).abs() < 0.25, "{mean} {variance}");
        assert!((explained - 4.0 / (4.0 + libm::exp(0.5))).abs() < 0.05, "{explained}");
    }

    /// 60 particles with 200 summaries of which one tells of the first parameter, t = s + z / 2, and none of the second. The
    /// first must lie between the truth, variance 0.25, and what it was, 1.25; the second stays as it was.
    ///
    /// Planted: the smallest ridge alone, which is interpolation. The first variance comes to 4e-13 of what it was.
    #[test]
    fn more_summaries_than_particles_neither_interpolate_nor_invent() {
        let (n, p) = (60, 200);
        let mut rng = rng(2);
        let z: Vec<f64> = (0..n * p).map(|_| rng.normal()).collect();
        let told: Vec<f64> = (0..n).map(|i| z[i * p] + 0.5 * rng.normal()).collect();
        let untold: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
        let before = [&told, &untold].map(|t| mean_and_variance(t).1);
        for network in [None, Some(Key::root(2))] {
            let (first, explained) = one(p, &told, z.clone(), 0.0, network);
            let share = mean_and_variance(&first).1 / before[0];
            assert!(share > 0.2 && share < 1.1 && explained < 0.9, "{share} {explained}");
            let (second, explained) = one(p, &untold, z.clone(), 0.0, network);
            let share = mean_and_variance(&second).1 / before[1];
            assert!((share - 1.0).abs() < 0.15 && explained < 0.05, "{share} {explained}");
        }
    }

    /// Null: t = s² + e^(|s| − 1) z / 2 with s and z standard normal, n = 4000: at s = 0 mean 0 and variance 0.034, at s = 1.5 mean 2.25
    /// and variance 0.68. A line puts the mean at 1. The kink of the scale is rounded off: at 0 the log variance is 0.29 too high.
    ///
    /// Planted: no network of the scale. There it is 2.8 too high. Planted: what the network foretells at the observed left out. The mean at
    /// 1.5 is 0.94.
    #[test]
    fn a_network_finds_location_and_scale_where_neither_is_linear() {
        let mut rng = rng(3);
        let s: Vec<f64> = (0..4000).map(|_| rng.normal()).collect();
        let t: Vec<f64> = s.iter().map(|s| s * s + 0.5 * libm::exp(s.abs() - 1.0) * rng.normal()).collect();
        for at in [0.0, 1.5] {
            let (moved, _) = one(1, &t, s.clone(), at, Some(Key::root(3)));
            let (mean, variance) = mean_and_variance(&moved);
            let error = libm::log(variance) - 2.0 * (libm::log(0.5) + at - 1.0);
            assert!((mean - at * at).abs() < 0.2 && error.abs() < 0.5, "{at}: {mean} {variance} {error}");
        }
    }
}
