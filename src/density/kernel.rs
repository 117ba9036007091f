//! The proposal kernel: a mixture of equal-shaped normals around the particles of the last generation.

use super::mixture::Mixture;
use crate::integrate::Width;
use crate::population::Weights;
use crate::rng::Stream;

/// A mixture of normals with one covariance: `u ~ Σ w_j N(u_j, Σ)`.
///
/// Stored whitened: with `Σ = L Lᵀ` it keeps `L` and the mixture of standard normals at `L⁻¹ u_j`, so that the density at a
/// point costs `O(N d)`.
#[derive(Clone, Debug)]
pub struct Kernel {
    dimension: usize,
    centres: Vec<f64>,
    mixture: Mixture,
    cumulative: Vec<f64>,
    factor: Vec<f64>,
}

impl Kernel {
    /// From centres (row after row, `dimension` numbers each), their weights and the covariance (row-major). The
    /// covariance is shrunk towards its diagonal until it is positive definite; a coordinate without spread gets a
    /// standard deviation of 10⁻⁹.
    pub fn new(dimension: usize, centres: Vec<f64>, weights: &Weights, covariance: &[f64]) -> Self {
        let factor = safe_cholesky(dimension, covariance);
        let whitened: Vec<f64> = centres.chunks_exact(dimension).flat_map(|row| whiten(&factor, row)).collect();
        let mut below = 0.0;
        let cumulative = weights
            .as_slice()
            .iter()
            .map(|w| {
                below += w;
                below
            })
            .collect();
        let ln_weight: Vec<f64> = weights.as_slice().iter().map(|w| libm::log(*w)).collect();
        Kernel { dimension, centres, mixture: Mixture::new(dimension, &whitened, &ln_weight), cumulative, factor }
    }

    /// One draw: an ancestor by weight, then a normal step.
    pub fn draw(&self, rng: &mut Stream, out: &mut [f64]) {
        let level = rng.uniform() * self.cumulative.last().copied().unwrap_or(1.0);
        let ancestor = self.cumulative.partition_point(|c| *c < level).min(self.cumulative.len() - 1);
        let d = self.dimension;
        out.iter_mut().for_each(|z| *z = rng.normal());
        colour(&self.factor, out);
        out.iter_mut().zip(&self.centres[ancestor * d..]).for_each(|(z, centre)| *z += centre);
    }

    /// Natural log of the mixture density at `u`, up to a constant that is the same for every `u`.
    pub fn ln_density(&self, u: &[f64]) -> f64 {
        self.mixture.ln_density(&whiten(&self.factor, u), Width::Best)
    }
}

/// The covariance of the step from one generation to the next that minimises the Kullback–Leibler divergence between
/// proposal and target (Filippi, Barnes, Cornebise and Stumpf 2013, Stat Appl Genet Mol Biol 12:87, section 3.1):
/// `Σ = Σ_i Σ_k w_i v_k (u_k − u_i)(u_k − u_i)ᵀ`, where `k` runs over the particles that already meet the next tolerance.
/// `u` holds `dimension` numbers a row; `target` marks the rows `k`. With all rows marked it is twice the covariance.
pub fn covariance_towards(dimension: usize, u: &[f64], weights: &Weights, target: &[bool]) -> Vec<f64> {
    let w = weights.as_slice();
    let reach: f64 = w.iter().zip(target).filter(|(_, t)| **t).map(|(w, _)| w).sum();
    let v: Vec<f64> = w.iter().zip(target).map(|(w, t)| if *t && reach > 0.0 { w / reach } else { 0.0 }).collect();
    let rows = || u.chunks_exact(dimension);
    let near: Vec<f64> = (0..dimension).map(|i| rows().zip(&v).map(|(row, v)| v * row[i]).sum()).collect();
    let mut sigma = vec![0.0; dimension * dimension];
    for (row, (w, v)) in rows().zip(w.iter().zip(&v)) {
        for i in 0..dimension {
            for j in 0..dimension {
                // Both scatters about the centre of the target; their sum is the double sum of the docs.
                sigma[i * dimension + j] += (w + v) * (row[i] - near[i]) * (row[j] - near[j]);
            }
        }
    }
    sigma
}

/// `L⁻¹ u` for a lower-triangular row-major `L`.
pub fn whiten(factor: &[f64], u: &[f64]) -> Vec<f64> {
    let mut z = u.to_vec();
    forward(factor, z.len(), &mut z);
    z
}

/// `L⁻¹ b` in place, for a lower-triangular row-major `L` of which a row has `size` numbers; of a shorter `b` only the leading
/// part of `L` is used.
pub fn forward(factor: &[f64], size: usize, b: &mut [f64]) {
    for i in 0..b.len() {
        let row = &factor[i * size..=i * size + i];
        let known: f64 = row.iter().zip(&b[..i]).map(|(l, b)| l * b).sum();
        b[i] = (b[i] - known) / row[i];
    }
}

/// `L⁻ᵀ b` in place, for a lower-triangular row-major `L` as long as `b`.
pub fn backward(factor: &[f64], b: &mut [f64]) {
    let p = b.len();
    for i in (0..p).rev() {
        let known: f64 = (i + 1..p).map(|j| factor[j * p + i] * b[j]).sum();
        b[i] = (b[i] - known) / factor[i * p + i];
    }
}

/// `L z` in place, for a lower-triangular row-major `L` as long as `z`: what [`whiten`] undoes.
pub fn colour(factor: &[f64], z: &mut [f64]) {
    let d = z.len();
    // From the last row up, so that the numbers of the rows above are still there.
    for i in (0..d).rev() {
        z[i] = (0..=i).map(|j| factor[i * d + j] * z[j]).sum();
    }
}

/// Lower Cholesky factor of a row-major matrix, or `None` if it is not positive definite.
pub fn cholesky(d: usize, matrix: &[f64]) -> Option<Vec<f64>> {
    let mut l = vec![0.0; d * d];
    for i in 0..d {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| l[i * d + k] * l[j * d + k]).sum();
            let rest = matrix[i * d + j] - dot;
            if i == j {
                if rest.is_nan() || rest <= 1e-14 * matrix[i * d + i].abs() {
                    return None;
                }
                l[i * d + i] = libm::sqrt(rest);
            } else {
                l[i * d + j] = rest / l[j * d + j];
            }
        }
    }
    Some(l)
}

fn safe_cholesky(d: usize, covariance: &[f64]) -> Vec<f64> {
    let mut matrix = covariance.to_vec();
    for i in 0..d {
        let diagonal = &mut matrix[i * d + i];
        if !diagonal.is_finite() || *diagonal < 1e-18 {
            *diagonal = 1e-18;
        }
    }
    for _ in 0..60 {
        if let Some(factor) = cholesky(d, &matrix) {
            return factor;
        }
        for k in (0..d * d).filter(|k| k / d != k % d) {
            matrix[k] *= 0.9;
        }
    }
    (0..d * d).map(|k| if k / d == k % d { libm::sqrt(matrix[k]) } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Purpose};

    #[test]
    fn filippis_covariance_is_the_double_sum() {
        let u = [0.0, 1.0, 2.0, -1.0, 0.5, 4.0];
        let weights = Weights::from_ln(&[0.2f64.ln(), 0.5f64.ln(), 0.3f64.ln()]);
        let sigma = covariance_towards(2, &u, &weights, &[true, false, true]);
        let (w, v) = ([0.2, 0.5, 0.3], [0.4, 0.0, 0.6]);
        for i in 0..2 {
            for j in 0..2 {
                let mut sum = 0.0;
                for a in 0..3 {
                    for b in 0..3 {
                        sum += w[a] * v[b] * (u[2 * b + i] - u[2 * a + i]) * (u[2 * b + j] - u[2 * a + j]);
                    }
                }
                assert!((sigma[2 * i + j] - sum).abs() < 1e-12, "{i}{j}: {} {sum}", sigma[2 * i + j]);
            }
        }
    }

    #[test]
    fn draws_follow_the_density_up_to_its_constant() {
        // Null: for u ~ q, the mean of p(u)/q(u) with a normal p inside q's reach is 1; n = 2e5, 5 standard errors. The
        // kernel's density leaves out the constant of N(0, 1), ln sqrt(2 pi), and so does p.
        let kernel = Kernel::new(1, vec![0.0, 2.0], &Weights::from_ln(&[0.0, 0.0]), &[1.0]);
        let mut rng = Key::root(2).stream(Purpose::Propose);
        let n = 200_000;
        let mut u = [0.0];
        let ratios: Vec<f64> = (0..n)
            .map(|_| {
                kernel.draw(&mut rng, &mut u);
                let p = -0.5 * ((u[0] - 1.0) / 0.7).powi(2) - 0.7f64.ln();
                (p - kernel.ln_density(&u)).exp()
            })
            .collect();
        let mean = ratios.iter().sum::<f64>() / f64::from(n);
        let sd = (ratios.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / f64::from(n)).sqrt();
        assert!((mean - 1.0).abs() < 5.0 * sd / f64::from(n).sqrt(), "{mean}");
    }

    #[test]
    fn a_correlated_covariance_shapes_the_steps() {
        let kernel = Kernel::new(2, vec![0.0, 0.0], &Weights::from_ln(&[0.0]), &[1.0, 0.8, 0.8, 1.0]);
        let mut rng = Key::root(4).stream(Purpose::Propose);
        // Null: correlation 0.8; n = 1e5; standard error (1 - 0.64)/sqrt(n) = 0.0011; five of them.
        let mut u = [0.0; 2];
        let product: f64 = (0..100_000)
            .map(|_| {
                kernel.draw(&mut rng, &mut u);
                u[0] * u[1]
            })
            .sum();
        assert!((product / 1e5 - 0.8).abs() < 0.02, "{product}");
    }

    #[test]
    fn a_degenerate_covariance_still_gives_a_kernel() {
        let kernel = Kernel::new(2, vec![1.0, 1.0, 2.0, 2.0], &Weights::from_ln(&[0.0, 0.0]), &[1.0, 1.0, 1.0, 1.0]);
        assert!(kernel.ln_density(&[1.5, 1.4]).is_finite());
        let none = Kernel::new(2, vec![1.0, 1.0], &Weights::from_ln(&[0.0]), &[0.0; 4]);
        assert!(none.ln_density(&[1.0, 1.0]).is_finite());
    }
}
