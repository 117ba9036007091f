//! Weighted L_p distance: (Σ wᵢ |xᵢ − oᵢ|ᵖ / sᵢᵖ)^(1/p), p = 2 unless said otherwise.

use crate::distance::{Distance, in_ball};
use crate::error::{Error, Result};
use crate::rng::Stream;

/// L_p distance with a scale and a weight per summary.
#[derive(Clone, Debug, PartialEq)]
pub struct Euclidean {
    observed: Vec<f64>,
    scales: Vec<f64>,
    weights: Vec<f64>,
    p: f64,
}

impl Euclidean {
    /// From observed summaries, a scale for each (in the unit of the summary), a weight for each, and p in [1, infinity).
    ///
    /// # Errors
    /// [`Error::Usage`]: lengths differ, a scale is not above 0, a weight is below 0 or all are 0, p is below 1, or a
    /// number is not finite.
    pub fn new(observed: Vec<f64>, scales: Vec<f64>, weights: Vec<f64>, p: f64) -> Result<Euclidean> {
        let refuse = |problem: &str, fix: &str| Err(Error::Usage { problem: problem.into(), fix: fix.into() });
        if scales.len() != observed.len() || weights.len() != observed.len() {
            return refuse("a distance needs one scale and one weight per summary", "make the lists equally long");
        }
        if !observed.iter().all(|x| x.is_finite()) {
            return refuse("an observed summary is not finite", "check the observations");
        }
        if !scales.iter().all(|s| s.is_finite() && *s > 0.0) {
            return refuse("a scale is outside (0, infinity)", "a summary that never varies should be left out");
        }
        if !weights.iter().all(|w| w.is_finite() && *w >= 0.0) || weights.iter().all(|w| *w == 0.0) {
            return refuse("weights lie in [0, infinity), one at least above 0", "use 0 to leave a summary out");
        }
        if !(p.is_finite() && p >= 1.0) {
            return refuse("the exponent p of a distance lies in [1, infinity)", "use p = 2");
        }
        Ok(Euclidean { observed, scales, weights, p })
    }

    fn norm(&self, residual: impl Fn(usize) -> f64) -> f64 {
        let power = |x: f64| if self.p == 2.0 { x * x } else { libm::pow(x.abs(), self.p) };
        let sum: f64 = (0..self.observed.len()).map(|i| self.weights[i] * power(residual(i) / self.scales[i])).sum();
        if self.p == 2.0 { sum.sqrt() } else { libm::pow(sum, 1.0 / self.p) }
    }
}

impl Distance for Euclidean {
    fn between(&self, a: &[f64], b: &[f64]) -> f64 {
        self.norm(|i| a[i] - b[i])
    }

    fn observed(&self) -> &[f64] {
        &self.observed
    }

    fn with_observed(&self, observed: Vec<f64>) -> Box<dyn Distance> {
        Box::new(Euclidean { observed, ..self.clone() })
    }

    fn near(&self, summaries: &[f64], radius: f64, rng: &mut Stream) -> Option<Vec<f64>> {
        let weighed = self.weights.iter().filter(|w| **w > 0.0).count();
        let mut ball = in_ball(weighed, rng).into_iter();
        let moved = |i: usize| {
            let step = if self.weights[i] > 0.0 { ball.next().unwrap_or(0.0) * radius } else { 0.0 };
            if step == 0.0 { summaries[i] } else { summaries[i] + step * self.scales[i] / self.weights[i].sqrt() }
        };
        (self.p == 2.0).then(|| (0..summaries.len()).map(moved).collect())
    }

    fn lower_bound(&self, lower: &[f64], upper: &[f64]) -> f64 {
        self.norm(|i| super::trial::gap(self.observed[i], lower[i], upper[i]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_its_closed_form_and_an_exact_bound() {
        let two = Euclidean::new(vec![1.0, 2.0], vec![1.0, 2.0], vec![1.0, 4.0], 2.0).unwrap();
        assert!((two.distance(&[4.0, 6.0]) - 25.0f64.sqrt()).abs() < 1e-14);
        let one = Euclidean::new(vec![1.0, 2.0], vec![1.0, 2.0], vec![1.0, 4.0], 1.0).unwrap();
        assert!((one.distance(&[-2.0, 6.0]) - 11.0).abs() < 1e-14);
        assert_eq!(two.lower_bound(&[0.0, 0.0], &[3.0, 9.0]), 0.0);
        // Nearest point of the box is (4, 2).
        assert!((two.lower_bound(&[4.0, 0.0], &[5.0, 9.0]) - 3.0).abs() < 1e-14);
    }

    #[test]
    fn it_refuses_what_is_no_distance() {
        for (scales, weights, p) in
            [(vec![0.0], vec![1.0], 2.0), (vec![1.0], vec![0.0], 2.0), (vec![1.0], vec![1.0], 0.5), (vec![], vec![1.0], 2.0)]
        {
            assert!(Euclidean::new(vec![0.5], scales, weights, p).is_err());
        }
    }
}
