//! Least squares on few features, and the features.

use super::kernel::{backward, cholesky, forward};

/// Share of the number of rows that is added to the diagonal of the normal matrix: keeps it positive definite.
const RIDGE: f64 = 1e-9;

/// Ridges to choose from, in units of the variance of a feature; no slopes at all (an infinite one) come beside them.
pub const RIDGES: [f64; 9] = [1e-6, 1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0];

/// Number of features of `d` coordinates: 1, each of them and, if `quadratic`, each product of two.
pub fn count(d: usize, quadratic: bool) -> usize {
    1 + d + if quadratic { d * (d + 1) / 2 } else { 0 }
}

/// Writes the features of `v`.
pub fn features(v: &[f64], quadratic: bool, out: &mut Vec<f64>) {
    out.clear();
    out.push(1.0);
    out.extend_from_slice(v);
    if quadratic {
        for (i, a) in v.iter().enumerate() {
            out.extend(v[i..].iter().map(|b| a * b));
        }
    }
}

/// A regression of `m` outputs on `p` features.
#[derive(Clone, Debug)]
pub struct Regression {
    p: usize,
    m: usize,
    /// Coefficients, (feature, output).
    coefficients: Vec<f64>,
    /// Cholesky factor of the normal matrix.
    factor: Vec<f64>,
}

impl Regression {
    /// From rows of features (`p` numbers each) and of outputs (`m` numbers each); `ridge` is that of the module, or more,
    /// as a share of the number of rows. `None` if the normal matrix is not positive definite.
    pub fn fit(p: usize, m: usize, features: &[f64], outputs: &[f64], ridge: Option<f64>) -> Option<Self> {
        let (mut normal, mut right) = (vec![0.0; p * p], vec![0.0; p * m]);
        for (f, y) in features.chunks_exact(p).zip(outputs.chunks_exact(m)) {
            for i in 0..p {
                normal[i * p..=i * p + i].iter_mut().zip(f).for_each(|(sum, fj)| *sum += f[i] * fj);
                right[i * m..(i + 1) * m].iter_mut().zip(y).for_each(|(sum, y)| *sum += f[i] * y);
            }
        }
        let rows = (features.len() / p) as f64;
        (0..p).for_each(|i| normal[i * p + i] += ridge.unwrap_or(RIDGE) * rows);
        let factor = cholesky(p, &normal)?;
        for k in 0..m {
            let mut column: Vec<f64> = (0..p).map(|i| right[i * m + k]).collect();
            forward(&factor, p, &mut column);
            backward(&factor, &mut column);
            (0..p).for_each(|i| right[i * m + k] = column[i]);
        }
        Some(Regression { p, m, coefficients: right, factor })
    }

    /// Change of an output with a feature.
    pub fn slope(&self, feature: usize, output: usize) -> f64 {
        self.coefficients[feature * self.m + output]
    }

    /// Subtracts what it predicts at `features` from `y`.
    pub fn subtract(&self, features: &[f64], y: &mut [f64]) {
        for (f, row) in features.iter().zip(self.coefficients.chunks_exact(self.m)) {
            y.iter_mut().zip(row).for_each(|(y, b)| *y -= f * b);
        }
    }

    /// Variance of the prediction at `features` over that of an output: fᵀ (FᵀF)⁻¹ f. Overwrites the features.
    pub fn leverage(&self, features: &mut [f64]) -> f64 {
        debug_assert_eq!(features.len(), self.p);
        forward(&self.factor, self.p, features);
        features.iter().map(|f| f * f).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quadratic_is_found_and_leverages_add_up_to_the_number_of_features() {
        let truth = [1.0, -2.0, 0.5, 3.0, 0.25, -1.0];
        let (mut all, mut y, mut f) = (Vec::new(), Vec::new(), Vec::new());
        for k in 0..60 {
            let v = [f64::from(k % 7) - 3.0, f64::from(k % 11) * 0.3];
            features(&v, true, &mut f);
            y.push(f.iter().zip(truth).map(|(f, b)| f * b).sum::<f64>());
            all.extend_from_slice(&f);
        }
        let p = count(2, true);
        let fit = Regression::fit(p, 1, &all, &y, None).unwrap();
        assert!(fit.coefficients.iter().zip(truth).all(|(a, b)| (a - b).abs() < 1e-5), "{:?}", fit.coefficients);
        let sum: f64 = all.chunks_exact(p).map(|f| fit.leverage(&mut f.to_vec())).sum();
        assert!((sum - p as f64).abs() < 1e-5, "{sum}");
    }
}
