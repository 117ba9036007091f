//! What a task will cost, learnt from those that are done: `ln seconds ≈ β₀ + β · features`, by ridge regression.
//!
//! Only the order in which tasks are *started* follows from it, so that nothing here can touch a result. Where run time does
//! not follow from the features the slopes are near 0, and the order is that of the ids.

/// Ridge: as if each slope had been seen to be 0 this many times, on features scaled to variance 1.
const RIDGE: f64 = 2.0;
/// Predictions count as changed from this change of their logarithm on.
const CHANGE: f64 = 0.1;
/// A prediction is at most so many times the mean.
const MOST: f64 = 100.0;

/// The regression, from running sums.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    /// Rows seen.
    seen: f64,
    /// Sum of seconds.
    seconds: f64,
    /// Sums over rows of `x xᵀ`, `x` being 1 and the features, row-major.
    square: Vec<f64>,
    /// Sums of `x ln seconds`.
    product: Vec<f64>,
    /// Sum of `(ln seconds)²`.
    variance: f64,
    /// Intercept and slopes of the last fit, with half the residual variance in the intercept.
    coefficients: Vec<f64>,
    /// Residual standard deviation.
    spread: f64,
    /// Rows at which it is fitted next.
    due: f64,
}

impl Cost {
    /// Takes the seconds of one task.
    pub fn learn(&mut self, features: &[f64], seconds: f64) {
        let n = features.len() + 1;
        if self.product.len() != n {
            *self = Cost { square: vec![0.0; n * n], product: vec![0.0; n], due: 2.0 * n as f64 + 6.0, ..Cost::default() };
        }
        if !features.iter().all(|x| x.is_finite()) {
            return;
        }
        let y = seconds.max(1e-9).ln();
        let x = |i: usize| if i == 0 { 1.0 } else { features[i - 1] };
        for i in 0..n {
            for j in 0..n {
                self.square[i * n + j] += x(i) * x(j);
            }
            self.product[i] += x(i) * y;
        }
        self.variance += y * y;
        self.seen += 1.0;
        self.seconds += seconds;
    }

    /// Fits again if enough has come since the last time; whether predictions have changed.
    pub fn refit(&mut self) -> bool {
        let n = self.product.len();
        if n < 2 || self.seen < self.due {
            return false;
        }
        self.due = (1.5 * self.seen).ceil();
        // Centred and scaled, so that the ridge means the same for every feature.
        let count = self.seen;
        let mean: Vec<f64> = self.square[..n].iter().map(|sum| sum / count).collect();
        let mean = |i: usize| mean[i];
        let sd: Vec<f64> =
            (1..n).map(|i| (self.square[i * n + i] / count - mean(i) * mean(i)).max(0.0).sqrt().max(1e-12)).collect();
        let y = self.product[0] / count;
        let m = n - 1;
        let mut matrix = vec![0.0; m * m];
        let mut right = vec![0.0; m];
        for i in 0..m {
            for j in 0..m {
                let covariance = self.square[(i + 1) * n + j + 1] - count * mean(i + 1) * mean(j + 1);
                matrix[i * m + j] = covariance / (sd[i] * sd[j]) + if i == j { RIDGE } else { 0.0 };
            }
            right[i] = (self.product[i + 1] - count * mean(i + 1) * y) / sd[i];
        }
        let explained = right.clone();
        let Some(slopes) = solve(m, matrix, right) else { return false };
        let total = self.variance - count * y * y;
        let rest: f64 = (total - slopes.iter().zip(&explained).map(|(b, r)| b * r).sum::<f64>()).max(0.0) / count;
        let slopes: Vec<f64> = slopes.iter().zip(&sd).map(|(b, sd)| b / sd).collect();
        let intercept = y + 0.5 * rest - slopes.iter().enumerate().map(|(i, b)| b * mean(i + 1)).sum::<f64>();
        let before = std::mem::replace(&mut self.coefficients, std::iter::once(intercept).chain(slopes).collect());
        self.spread = rest.sqrt();
        if before.len() != n {
            return true;
        }
        // The change at the mean of the features, and at a standard deviation from it in each.
        let change = |i: usize| self.coefficients[i] - before[i];
        let middle = change(0) + (1..n).map(|i| change(i) * mean(i)).sum::<f64>();
        middle.abs() + (1..n).map(|i| (change(i) * sd[i - 1]).abs()).sum::<f64>() > CHANGE
    }

    /// Standard deviation of the logarithm of the seconds about its prediction.
    pub fn spread(&self) -> f64 {
        self.spread
    }

    /// Mean seconds of the tasks that it has learnt from, if predictions follow from them.
    pub fn mean(&self) -> Option<f64> {
        (!self.coefficients.is_empty()).then(|| self.seconds / self.seen)
    }

    /// Expected seconds of a task over the mean of all; 1 as long as nothing is known.
    pub fn predict(&self, features: &[f64]) -> f64 {
        if self.coefficients.len() != features.len() + 1 || self.seconds <= 0.0 {
            return 1.0;
        }
        let ln: f64 = self.coefficients[0] + self.coefficients[1..].iter().zip(features).map(|(b, x)| b * x).sum::<f64>();
        let relative = ln.exp() * self.seen / self.seconds;
        if relative.is_finite() { relative.min(MOST) } else { 1.0 }
    }
}

/// Solves a positive definite system by elimination; `None` if it is not one.
fn solve(m: usize, mut a: Vec<f64>, mut b: Vec<f64>) -> Option<Vec<f64>> {
    for k in 0..m {
        let pivot = a[k * m + k];
        if pivot.is_nan() || pivot <= 0.0 {
            return None;
        }
        for i in k + 1..m {
            let factor = a[i * m + k] / pivot;
            for j in k..m {
                a[i * m + j] -= factor * a[k * m + j];
            }
            b[i] -= factor * b[k];
        }
    }
    for k in (0..m).rev() {
        let known: f64 = (k + 1..m).map(|j| a[k * m + j] * b[j]).sum();
        b[k] = (b[k] - known) / a[k * m + k];
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Purpose};

    /// Two features, of which one counts: after 400 tasks with noise of sd 0.1 predictions are within 10 % of the truth.
    #[test]
    fn it_learns_which_tasks_take_long() {
        let mut rng = Key::root(1).stream(Purpose::Simulate);
        let mut cost = Cost::default();
        assert_eq!(cost.predict(&[1.0, 2.0]), 1.0);
        let mut mean = 0.0;
        for _ in 0..400 {
            let (a, b) = (rng.normal(), 40.0 + rng.normal());
            let seconds = (0.8 * a + 0.1 * rng.normal() - 3.0).exp();
            cost.learn(&[a, b], seconds);
            cost.refit();
            mean += seconds / 400.0;
        }
        for a in [-2.0, 0.0, 2.0] {
            let truth = (0.8f64 * a - 3.0).exp() / mean;
            assert!((cost.predict(&[a, 40.0]) / truth).ln().abs() < 0.1, "{a}: {} {truth}", cost.predict(&[a, 40.0]));
        }
        // Other features: another job. It starts anew.
        cost.learn(&[1.0], 1.0);
        assert_eq!(cost.predict(&[1.0]), 1.0);
    }
}
