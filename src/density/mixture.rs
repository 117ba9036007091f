//! The density of a mixture of standard normals, `ln Σ_j w_j exp(−½ |c_j − z|²)`: the O(N²) part of ABC-SMC.
//!
//! Its bits do not depend on the width of the registers: a term is computed in one lane by operations of IEEE 754, and
//! terms are added in a fixed order. Eight partial sums, of the centres 0, 8, 16, … and 1, 9, 17, … and so on, are added
//! as `((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7))`.

use pulp::{Simd, WithSimd};

use crate::integrate::{Lanes, MOST_LANES, Width};

/// One number for each of eight centres: as many as the widest register holds.
type Eight = [f64; MOST_LANES];

/// Groups of eight centres whose largest exponent is looked for before their terms are added, all of it on the stack.
const CHUNK: usize = 64;
/// Least exponent of a term, relative to the largest; what is below adds nothing to a sum that is 1 or more.
const LEAST: f64 = -700.0;

/// Centres and weights.
#[derive(Clone, Debug)]
pub struct Mixture {
    dimension: usize,
    /// Eight centres after eight centres: their log weights, then their first coordinates, and so on. The last eight are
    /// filled up with centres of weight 0.
    groups: Vec<Eight>,
}

impl Mixture {
    /// From centres (row after row, `dimension` numbers each) and the natural log of each one's weight.
    pub fn new(dimension: usize, centres: &[f64], ln_weight: &[f64]) -> Self {
        let mut groups = Vec::new();
        for (centres, ln_weight) in centres.chunks(MOST_LANES * dimension).zip(ln_weight.chunks(MOST_LANES)) {
            groups.push(std::array::from_fn(|j| ln_weight.get(j).copied().unwrap_or(f64::NEG_INFINITY)));
            for k in 0..dimension {
                groups.push(std::array::from_fn(|j| centres.get(j * dimension + k).copied().unwrap_or(0.0)));
            }
        }
        Mixture { dimension, groups }
    }

    /// Natural log of the density at `z`, without the constant of the normals.
    pub fn ln_density(&self, z: &[f64], width: Width) -> f64 {
        width.run(At { mixture: self, z })
    }
}

struct At<'a> {
    mixture: &'a Mixture,
    z: &'a [f64],
}

impl WithSimd for At<'_> {
    type Output = f64;

    // Free of closures: they would not be compiled for the wide instruction sets.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let size = self.mixture.dimension + 1;
        let (mut top, mut sum) = (f64::NEG_INFINITY, 0.0);
        let mut exponents = [[0.0; MOST_LANES]; CHUNK];
        for groups in self.mixture.groups.chunks(CHUNK * size) {
            let exponents = &mut exponents[..groups.len() / size];
            let largest = fill(simd, groups, self.z, exponents);
            if largest == f64::NEG_INFINITY {
                continue;
            }
            let terms = add(simd, exponents, largest);
            if largest > top {
                sum = sum * libm::exp(top - largest) + terms;
                top = largest;
            } else {
                sum += terms * libm::exp(largest - top);
            }
        }
        if top == f64::NEG_INFINITY { top } else { top + libm::log(sum) }
    }
}

/// Writes `ln w_j − ½ |c_j − z|²` of each centre and returns the largest.
#[inline(always)]
fn fill<S: Simd>(simd: S, groups: &[Eight], z: &[f64], exponents: &mut [Eight]) -> f64 {
    let half = Lanes::splat(simd, 0.5);
    let mut tops = Lanes::splat(simd, f64::NEG_INFINITY);
    for (group, exponents) in groups.chunks_exact(z.len() + 1).zip(exponents) {
        for at in (0..MOST_LANES).step_by(S::F64_LANES) {
            let mut square = Lanes::splat(simd, 0.0);
            for (coordinates, z) in group[1..].iter().zip(z) {
                let step = Lanes::load(simd, &coordinates[at..]) - Lanes::splat(simd, *z);
                square = square + step * step;
            }
            let exponent = Lanes::load(simd, &group[0][at..]) - half * square;
            exponent.store(&mut exponents[at..]);
            tops = exponent.at_least(tops);
        }
    }
    let mut top = f64::NEG_INFINITY;
    for lane in 0..S::F64_LANES {
        top = top.max(tops.get(lane));
    }
    top
}

/// `Σ exp(e − top)`, by the eight partial sums of the head of this file.
#[inline(always)]
fn add<S: Simd>(simd: S, exponents: &[Eight], top: f64) -> f64 {
    let (top, least) = (Lanes::splat(simd, top), Lanes::splat(simd, LEAST));
    let mut sums = [0.0; MOST_LANES];
    for at in (0..MOST_LANES).step_by(S::F64_LANES) {
        let mut sum = Lanes::splat(simd, 0.0);
        for exponents in exponents {
            sum = sum + (Lanes::load(simd, &exponents[at..]) - top).at_least(least).exp();
        }
        sum.store(&mut sums[at..]);
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Purpose};

    /// Centres, log weights (one of them of weight 0) and points near and far from the centres.
    fn cloud(dimension: usize, count: usize) -> (Vec<f64>, Vec<f64>, Vec<Vec<f64>>) {
        let mut rng = Key::root(count as u64).stream(Purpose::Propose);
        let centres: Vec<f64> = (0..count * dimension).map(|_| 3.0 * rng.normal()).collect();
        let mut ln_weight: Vec<f64> = (0..count).map(|_| 4.0 * rng.normal()).collect();
        ln_weight[count / 2] = f64::NEG_INFINITY;
        let points = (0..20).map(|k| (0..dimension).map(|_| 0.5 * f64::from(k) * rng.normal()).collect()).collect();
        (centres, ln_weight, points)
    }

    const SIZES: [(usize, usize); 8] = [(1, 2), (1, 8), (3, 9), (10, 63), (2, 512), (1, 513), (10, 1000), (4, 2047)];

    #[test]
    fn every_width_gives_the_same_bits() {
        for (dimension, count) in SIZES {
            let (centres, ln_weight, points) = cloud(dimension, count);
            let mixture = Mixture::new(dimension, &centres, &ln_weight);
            for z in points {
                let scalar = mixture.ln_density(&z, Width::Scalar);
                for width in Width::available().into_iter().chain([Width::Best]) {
                    let wide = mixture.ln_density(&z, width);
                    assert_eq!(wide.to_bits(), scalar.to_bits(), "{width:?}, {count} centres: {wide} {scalar}");
                }
            }
        }
    }

    #[test]
    fn it_is_the_sum_of_its_terms() {
        for (dimension, count) in SIZES {
            let (centres, ln_weight, points) = cloud(dimension, count);
            let mixture = Mixture::new(dimension, &centres, &ln_weight);
            for z in points {
                let exponents: Vec<f64> = centres
                    .chunks_exact(dimension)
                    .zip(&ln_weight)
                    .map(|(c, w)| w - 0.5 * c.iter().zip(&z).map(|(c, z)| (c - z).powi(2)).sum::<f64>())
                    .collect();
                let top = exponents.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let plain = top + libm::log(exponents.iter().map(|e| libm::exp(e - top)).sum());
                let density = mixture.ln_density(&z, Width::Best);
                // A sum of n terms of one sign: relative error n ulp at most; those of the exponents grow with their size.
                let allowed = f64::EPSILON * (count as f64 + 8.0 * top.abs());
                assert!((density - plain).abs() < allowed, "{count} centres: {density} {plain}");
            }
        }
    }

    #[test]
    fn without_a_centre_of_weight_there_is_no_density() {
        let none = Mixture::new(2, &[1.0, 2.0], &[f64::NEG_INFINITY]);
        assert_eq!(none.ln_density(&[0.0, 0.0], Width::Best), f64::NEG_INFINITY);
        let far = Mixture::new(1, &[0.0; 600], &[0.0; 600]);
        assert_eq!(far.ln_density(&[1e200], Width::Best), f64::NEG_INFINITY);
        // A second chunk that is all there is.
        let mut ln_weight = [f64::NEG_INFINITY; 600];
        ln_weight[590] = -2.0;
        assert_eq!(Mixture::new(1, &[0.0; 600], &ln_weight).ln_density(&[2.0], Width::Best), -4.0);
    }
}
