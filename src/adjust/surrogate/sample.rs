//! Draws of a density that is cheap to evaluate: sequential Monte Carlo along a path of tempered densities.

use std::ops::ControlFlow;

use crate::population::Weights;
use crate::rng::Stream;

/// A density to be drawn from, and one near it that can be.
pub trait Path {
    /// One draw of the start into `u`.
    fn draw(&mut self, rng: &mut Stream, u: &mut [f64]);
    /// Natural log of the density of the start, up to a constant.
    fn ln_start(&mut self, u: &[f64]) -> f64;
    /// Natural log of the density wanted, up to a constant; `-inf` outside its support.
    fn ln_end(&mut self, u: &[f64]) -> f64;
}

/// Share of walkers that a step of temperature leaves effective.
const EFFECTIVE: f64 = 0.5;
/// Moves of each walker at each temperature on the way, and at the end.
const MOVES: usize = 10;
const LAST_MOVES: usize = 80;
/// Walkers at least: their differences are the steps.
const LEAST_WALKERS: usize = 1000;
/// Steps of temperature after which it is given up.
const STEPS: u64 = 1000;
/// Share of moves whose length is drawn log-uniformly from a hundredth of the usual one to the whole.
const SHORT: f64 = 0.3;

struct Walkers<'a> {
    d: usize,
    u: Vec<f64>,
    /// Log density of the start, and what the end has more.
    ln_start: Vec<f64>,
    ln_more: Vec<f64>,
    path: &'a mut dyn Path,
}

/// `count` draws, row after row, of equal weight and in no order. `idle` is told the step of temperature. `None` if it
/// breaks off, or if no walker finds the support.
///
/// Densities go from start to end geometrically, in steps that halve the effective number of walkers (Del Moral, Doucet and
/// Jasra 2006, J R Stat Soc B 68:411). Walkers move by differences of two others (ter Braak 2006, Stat Comput 16:239) that are
/// taken from the other half of them, as they must be for the move to leave the density as it is when all move at once
/// (Goodman and Weare 2010, Commun Appl Math Comput Sci 5:65).
pub fn sample(
    d: usize,
    count: usize,
    path: &mut dyn Path,
    rng: &mut Stream,
    idle: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Option<Vec<f64>> {
    let n = count.max(LEAST_WALKERS);
    let mut u = vec![0.0; n * d];
    u.chunks_exact_mut(d).for_each(|u| path.draw(rng, u));
    let ln_start: Vec<f64> = u.chunks_exact(d).map(|u| path.ln_start(u)).collect();
    let ln_more = u.chunks_exact(d).zip(&ln_start).map(|(u, start)| path.ln_end(u) - start).collect();
    let mut walkers = Walkers { d, u, ln_start, ln_more, path };
    let mut heat = 0.0;
    for step in 0..STEPS {
        let rise = walkers.rise(1.0 - heat);
        let weights = walkers.weights(rise);
        if weights.ess() == 0.0 {
            return None;
        }
        walkers.resample(&weights, rng);
        heat = if rise == 1.0 - heat { 1.0 } else { heat + rise };
        for _ in 0..if heat == 1.0 { LAST_MOVES } else { MOVES } {
            if idle(step).is_break() {
                return None;
            }
            walkers.shift(heat, rng);
        }
        if heat == 1.0 {
            walkers.u.truncate(count * d);
            return Some(walkers.u);
        }
    }
    None
}

impl Walkers<'_> {
    fn weights(&self, rise: f64) -> Weights {
        let ln: Vec<f64> = self.ln_more.iter().map(|more| rise * more).collect();
        Weights::from_ln(&ln)
    }

    /// How far the temperature may go, `most` at most.
    fn rise(&self, most: f64) -> f64 {
        // Where the density is 0 no temperature helps: the share of the others is what can be effective.
        let inside = self.ln_more.iter().filter(|more| **more > f64::NEG_INFINITY).count() as f64;
        let enough = |rise: f64| self.weights(rise).ess() >= EFFECTIVE * inside;
        if enough(most) {
            return most;
        }
        let (mut low, mut high) = (0.0, most);
        for _ in 0..40 {
            let middle = 0.5 * (low + high);
            if enough(middle) { low = middle } else { high = middle }
        }
        high
    }

    /// Equal weights, and walkers in random order.
    fn resample(&mut self, weights: &Weights, rng: &mut Stream) {
        let mut picked = weights.resample(self.ln_more.len(), rng);
        rng.shuffle(&mut picked);
        self.u = picked.iter().flat_map(|i| self.u[i * self.d..(i + 1) * self.d].iter().copied()).collect();
        self.ln_start = picked.iter().map(|i| self.ln_start[*i]).collect();
        self.ln_more = picked.iter().map(|i| self.ln_more[*i]).collect();
    }

    /// One move of each walker, by Metropolis and Hastings.
    fn shift(&mut self, heat: f64, rng: &mut Stream) {
        let (d, n) = (self.d, self.ln_more.len());
        let half = n / 2;
        let whole = 2.38 / (2.0 * d as f64).sqrt();
        let mut u = vec![0.0; d];
        for (own, others) in [(0..half, half..n), (half..n, 0..half)] {
            for i in own {
                let [a, b] = [0, 1].map(|_| others.start + rng.below(others.len()));
                let short = rng.uniform() < SHORT;
                let length = if short { whole * libm::exp(libm::log(0.01) * rng.uniform()) } else { whole };
                for (k, u) in u.iter_mut().enumerate() {
                    *u = self.u[i * d + k] + length * (self.u[a * d + k] - self.u[b * d + k]);
                }
                let start = self.path.ln_start(&u);
                let more = self.path.ln_end(&u) - start;
                let gain = start - self.ln_start[i] + heat * (more - self.ln_more[i]);
                if more > f64::NEG_INFINITY && libm::log(rng.uniform()) < gain {
                    self.u[i * d..(i + 1) * d].copy_from_slice(&u);
                    (self.ln_start[i], self.ln_more[i]) = (start, more);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Purpose};

    /// Starts at N(0, 1) in each of D coordinates; ends at two normals of standard deviation 0.2 about (1, 1, …) and, with a
    /// quarter of the weight, (−1, −1, …), of which only what lies below 1 in the first coordinate is kept.
    struct Two;
    const D: usize = 3;

    impl Path for Two {
        fn draw(&mut self, rng: &mut Stream, u: &mut [f64]) {
            u.iter_mut().for_each(|u| *u = rng.normal());
        }
        fn ln_start(&mut self, u: &[f64]) -> f64 {
            -0.5 * u.iter().map(|u| u * u).sum::<f64>()
        }
        fn ln_end(&mut self, u: &[f64]) -> f64 {
            if u[0] > 1.0 {
                return f64::NEG_INFINITY;
            }
            let at = |c: f64| libm::exp(-0.5 * u.iter().map(|u| (u - c) * (u - c)).sum::<f64>() / 0.04);
            libm::log(0.75 * at(1.0) + 0.25 * at(-1.0))
        }
    }

    #[test]
    fn modes_keep_their_shares_and_their_shape() {
        // Null: independent draws. The mode at 1 is cut in half: shares 0.375 to 0.25, that is 0.6; its second coordinate has
        // mean 1 and standard deviation 0.2, its first mean 1 - 0.2 sqrt(2/pi). n = 20 000; five standard errors of as many
        // draws, of which the walkers' common ancestors leave about a third.
        let mut rng = Key::root(5).stream(Purpose::Resample);
        let n = 20_000;
        let draws = sample(D, n, &mut Two, &mut rng, &mut |_| ControlFlow::Continue(())).unwrap();
        let high: Vec<&[f64]> = draws.chunks_exact(D).filter(|u| u[1] > 0.0).collect();
        let share = high.len() as f64 / n as f64;
        assert!((share - 0.6).abs() < 0.03, "{share}");
        let mean = |of: &dyn Fn(&[f64]) -> f64| high.iter().map(|u| of(u)).sum::<f64>() / high.len() as f64;
        let (first, second) = (mean(&|u| u[0]), mean(&|u| u[1]));
        let variance = mean(&|u| (u[1] - 1.0) * (u[1] - 1.0));
        assert!((first - (1.0 - 0.2 * (2.0 / std::f64::consts::PI).sqrt())).abs() < 0.01, "{first}");
        assert!((second - 1.0).abs() < 0.015 && (variance / 0.04 - 1.0).abs() < 0.1, "{second} {variance}");
        assert!(high.iter().all(|u| u[0] <= 1.0));
    }
}
