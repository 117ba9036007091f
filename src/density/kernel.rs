//! The proposal kernel: a mixture of normals around the particles of the last generation.

use super::mixture::Mixture;
use crate::integrate::Width;
use crate::population::Weights;
use crate::rng::Stream;

/// A mixture of normals: `u ~ Σ w_j N(u_j, Σ_j)`.
#[derive(Clone, Debug)]
pub struct Kernel {
    dimension: usize,
    centres: Vec<f64>,
    cumulative: Vec<f64>,
    steps: Steps,
}

/// The covariances.
#[derive(Clone, Debug)]
enum Steps {
    /// One for all, `Σ = L Lᵀ`. Stored whitened: `L`, and the mixture of standard normals at `L⁻¹ u_j`, so that the density at a
    /// point costs `O(N d)`.
    Alike { factor: Vec<f64>, mixture: Mixture },
    /// One for each particle: their factors one after the other, and `ln w_j − ln det L_j`. A density costs `O(N d²)`.
    Own { factors: Vec<f64>, ln_height: Vec<f64> },
}

/// Which particles shape the step of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// All that meet the next tolerance, for every particle alike.
    #[default]
    Global,
    /// The nearest of those that meet it: steps follow a bent or parted posterior (Filippi et al. 2013, section 3.3).
    Nearest,
}

impl Kernel {
    /// From centres (row after row, `dimension` numbers each), their weights and the covariance (row-major). The
    /// covariance is shrunk towards its diagonal until it is positive definite; a coordinate without spread gets a
    /// standard deviation of 10⁻⁹.
    pub fn new(dimension: usize, centres: Vec<f64>, weights: &Weights, covariance: &[f64]) -> Self {
        let factor = safe_cholesky(dimension, covariance);
        let whitened: Vec<f64> = centres.chunks_exact(dimension).flat_map(|row| whiten(&factor, row)).collect();
        let ln_weight: Vec<f64> = weights.as_slice().iter().map(|w| libm::log(*w)).collect();
        let steps = Steps::Alike { mixture: Mixture::new(dimension, &whitened, &ln_weight), factor };
        Kernel { dimension, centres, cumulative: cumulative(weights), steps }
    }

    /// The same with a covariance of its own for each centre, row-major and one after the other.
    pub fn with_own_steps(dimension: usize, centres: Vec<f64>, weights: &Weights, covariances: &[f64]) -> Self {
        let size = dimension * dimension;
        let factors: Vec<f64> = covariances.chunks_exact(size).flat_map(|c| safe_cholesky(dimension, c)).collect();
        let ln_height = weights.as_slice().iter().zip(factors.chunks_exact(size));
        let ln_height = ln_height.map(|(w, factor)| libm::log(*w) - ln_determinant(dimension, factor)).collect();
        Kernel { dimension, centres, cumulative: cumulative(weights), steps: Steps::Own { factors, ln_height } }
    }

    /// One draw: an ancestor by weight, then a normal step.
    pub fn draw(&self, rng: &mut Stream, out: &mut [f64]) {
        let level = rng.uniform() * self.cumulative.last().copied().unwrap_or(1.0);
        let ancestor = self.cumulative.partition_point(|c| *c < level).min(self.cumulative.len() - 1);
        let d = self.dimension;
        out.iter_mut().for_each(|z| *z = rng.normal());
        match &self.steps {
            Steps::Alike { factor, .. } => colour(factor, out),
            Steps::Own { factors, .. } => colour(&factors[ancestor * d * d..], out),
        }
        out.iter_mut().zip(&self.centres[ancestor * d..]).for_each(|(z, centre)| *z += centre);
    }

    /// Natural log of the mixture density at `u`, less [`Kernel::ln_constant`].
    pub fn ln_density(&self, u: &[f64]) -> f64 {
        match &self.steps {
            Steps::Alike { factor, mixture } => mixture.ln_density(&whiten(factor, u), Width::Best),
            Steps::Own { factors, ln_height } => {
                let d = self.dimension;
                let mut z = vec![0.0; d];
                // The largest term so far, and the sum of all in its units.
                let (mut top, mut sum) = (f64::NEG_INFINITY, 0.0);
                for ((centre, factor), height) in self.centres.chunks_exact(d).zip(factors.chunks_exact(d * d)).zip(ln_height) {
                    z.iter_mut().zip(u.iter().zip(centre)).for_each(|(z, (u, c))| *z = u - c);
                    forward(factor, d, &mut z);
                    let term = height - 0.5 * z.iter().map(|z| z * z).sum::<f64>();
                    if term > top {
                        sum = sum * libm::exp(top - term) + 1.0;
                        top = term;
                    } else if term > f64::NEG_INFINITY {
                        sum += libm::exp(term - top);
                    }
                }
                if top == f64::NEG_INFINITY { top } else { top + libm::log(sum) }
            }
        }
    }

    /// The same of the mixture without its centre `j`.
    pub fn ln_density_without(&self, j: usize, u: &[f64]) -> f64 {
        let d = self.dimension;
        let weight = self.cumulative[j] - if j > 0 { self.cumulative[j - 1] } else { 0.0 };
        let mut z: Vec<f64> = u.iter().zip(&self.centres[j * d..]).map(|(u, c)| u - c).collect();
        let height = match &self.steps {
            Steps::Alike { factor, .. } => {
                forward(factor, d, &mut z);
                libm::log(weight)
            }
            Steps::Own { factors, ln_height } => {
                forward(&factors[j * d * d..(j + 1) * d * d], d, &mut z);
                ln_height[j]
            }
        };
        let whole = self.ln_density(u);
        let part = height - 0.5 * z.iter().map(|z| z * z).sum::<f64>();
        // Rounding can leave less than nothing.
        let left = -libm::expm1(part - whole);
        if left > 0.0 && weight < 1.0 { whole + libm::log(left) - libm::log1p(-weight) } else { f64::NEG_INFINITY }
    }

    /// What [`Kernel::ln_density`] lacks, the same for every `u`: of no account between particles of one kernel, but of two.
    pub fn ln_constant(&self) -> f64 {
        let d = self.dimension;
        let normal = -0.5 * d as f64 * libm::log(2.0 * std::f64::consts::PI);
        match &self.steps {
            Steps::Alike { factor, .. } => normal - ln_determinant(d, factor),
            Steps::Own { .. } => normal,
        }
    }
}

fn cumulative(weights: &Weights) -> Vec<f64> {
    let mut below = 0.0;
    let add = |w: &f64| {
        below += w;
        below
    };
    weights.as_slice().iter().map(add).collect()
}

fn ln_determinant(d: usize, factor: &[f64]) -> f64 {
    (0..d).map(|i| libm::log(factor[i * d + i])).sum()
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

/// A covariance for the step of each particle, from the nearest `count` of those that meet the next tolerance (`target`): `Σ_j = Σ_k v_k (u_k − u_j)(u_k − u_j)ᵀ` with the weights `v` of those `k`. Row-major, one after the other. Nearness is
/// measured in units of `factor`, the Cholesky factor of some common covariance.
pub fn covariances_of_each(d: usize, u: &[f64], weights: &Weights, target: &[bool], count: usize, factor: &[f64]) -> Vec<f64> {
    let row = |i: usize| &u[i * d..(i + 1) * d];
    let aims: Vec<usize> = (0..target.len()).filter(|i| target[*i]).collect();
    let white: Vec<f64> = u.chunks_exact(d).flat_map(|row| whiten(factor, row)).collect();
    let mut all = Vec::with_capacity(u.len() * d);
    let mut near: Vec<(f64, usize)> = Vec::new();
    for j in 0..target.len() {
        let square = |k: usize| (0..d).map(|i| (white[k * d + i] - white[j * d + i]).powi(2)).sum::<f64>();
        near.clear();
        near.extend(aims.iter().map(|&k| (square(k), k)));
        if count < near.len() {
            // Ties by index, so that the choice is one; then in order of index, so that the sum is.
            near.select_nth_unstable_by(count - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            near.truncate(count);
        }
        near.sort_unstable_by_key(|(_, k)| *k);
        let reach: f64 = near.iter().map(|(_, k)| weights.as_slice()[*k]).sum();
        let mut sigma = vec![0.0; d * d];
        for &(_, k) in &near {
            let v = if reach > 0.0 { weights.as_slice()[k] / reach } else { 0.0 };
            for i in 0..d {
                for l in 0..d {
                    sigma[i * d + l] += v * (row(k)[i] - row(j)[i]) * (row(k)[l] - row(j)[l]);
                }
            }
        }
        all.append(&mut sigma);
    }
    all
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

/// The factor of a covariance, shrunk towards its diagonal until there is one.
pub fn safe_cholesky(d: usize, covariance: &[f64]) -> Vec<f64> {
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
    fn densities_of_kernels_with_steps_of_their_own_are_those_of_their_draws() {
        // Null as above, with the constant: the mean of p / q over draws of q is 1 for a normalised p; n = 1e5, 5 standard errors.
        let weights = Weights::from_ln(&[0.3f64.ln(), 0.7f64.ln()]);
        let kernel = Kernel::with_own_steps(2, vec![0.0, 0.0, 2.0, 1.0], &weights, &[1.0, 0.5, 0.5, 2.0, 0.5, 0.0, 0.0, 3.0]);
        let mut rng = Key::root(2).stream(Purpose::Propose);
        let (n, mut u) = (100_000, [0.0; 2]);
        let ratios: Vec<f64> = (0..n)
            .map(|_| {
                kernel.draw(&mut rng, &mut u);
                let p = -0.5 * ((u[0] - 0.5).powi(2) + u[1].powi(2)) / 0.25 - (2.0 * std::f64::consts::PI * 0.25).ln();
                (p - kernel.ln_density(&u) - kernel.ln_constant()).exp()
            })
            .collect();
        let mean = ratios.iter().sum::<f64>() / f64::from(n);
        let sd = (ratios.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / f64::from(n)).sqrt();
        assert!((mean - 1.0).abs() < 5.0 * sd / f64::from(n).sqrt(), "{mean} {sd}");
        // One covariance twice is the common one.
        let covariance = [1.0, 0.8, 0.8, 1.5];
        let twice: Vec<f64> = covariance.iter().chain(&covariance).copied().collect();
        let own = Kernel::with_own_steps(2, vec![0.0, 0.0, 2.0, 1.0], &weights, &twice);
        let alike = Kernel::new(2, vec![0.0, 0.0, 2.0, 1.0], &weights, &covariance);
        let whole = |kernel: &Kernel| kernel.ln_density(&[0.3, -1.0]) + kernel.ln_constant();
        assert!((whole(&own) - whole(&alike)).abs() < 1e-12);
    }

    #[test]
    fn without_a_centre_it_is_the_mixture_of_the_others() {
        let ln = |weights: &[f64]| Weights::from_ln(&weights.iter().map(|w| libm::log(*w)).collect::<Vec<_>>());
        let (all, two) = (ln(&[0.2, 0.5, 0.3]), ln(&[0.2, 0.3]));
        let (u, covariance) = ([0.0, 0.0, 2.0, 1.0, -1.0, 3.0], [1.0, 0.8, 0.8, 1.5]);
        let steps = [1.0, 0.5, 0.5, 2.0, 0.5, 0.0, 0.0, 3.0, 0.7, 0.1, 0.1, 0.9];
        let alike =
            [Kernel::new(2, u.to_vec(), &all, &covariance), Kernel::new(2, [&u[..2], &u[4..]].concat(), &two, &covariance)];
        let own = [
            Kernel::with_own_steps(2, u.to_vec(), &all, &steps),
            Kernel::with_own_steps(2, [&u[..2], &u[4..]].concat(), &two, &[&steps[..4], &steps[8..]].concat()),
        ];
        for [whole, rest] in [alike, own] {
            for at in [[2.0, 1.0], [0.3, -1.0], [1.5, 1.4]] {
                let (without, exact) = (whole.ln_density_without(1, &at), rest.ln_density(&at));
                assert!((without - exact).abs() < 1e-12, "{without} {exact}");
            }
        }
        let one = Kernel::new(1, vec![0.5], &ln(&[1.0]), &[1.0]);
        assert_eq!(one.ln_density_without(0, &[0.7]), f64::NEG_INFINITY);
    }

    #[test]
    fn local_covariances_see_their_own_neighbours() {
        // Two parted groups: the step of the nearest two stays within a group, that of all reaches across.
        let u = [0.0, 0.1, 0.2, 10.0, 10.1, 10.2];
        let (weights, all) = (Weights::from_ln(&[0.0; 6]), [true; 6]);
        let near = covariances_of_each(1, &u, &weights, &all, 3, &[1.0]);
        let far = covariances_of_each(1, &u, &weights, &all, 6, &[1.0]);
        assert!(near.iter().all(|c| *c < 0.03) && far.iter().all(|c| *c > 40.0), "{near:?} {far:?}");
        assert!((near[0] - (0.01 + 0.04) / 3.0).abs() < 1e-15, "{near:?}");
    }

    #[test]
    fn a_degenerate_covariance_still_gives_a_kernel() {
        let kernel = Kernel::new(2, vec![1.0, 1.0, 2.0, 2.0], &Weights::from_ln(&[0.0, 0.0]), &[1.0, 1.0, 1.0, 1.0]);
        assert!(kernel.ln_density(&[1.5, 1.4]).is_finite());
        let none = Kernel::new(2, vec![1.0, 1.0], &Weights::from_ln(&[0.0]), &[0.0; 4]);
        assert!(none.ln_density(&[1.0, 1.0]).is_finite());
    }
}
