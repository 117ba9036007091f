//! Semi-automatic summaries: the parameters as the summaries foretell them, by a linear regression on a pilot of the prior (Fearnhead and
//! Prangle 2012, J R Stat Soc B 74:419). The distance is that between predicted parameters,
//!
//! ```text
//! d(a, b)² = Σₖ (βₖ·(a − b))²
//! ```
//! with βₖ the slopes of coordinate k in units of its standard deviation in the pilot. So many summaries, most of which may say
//! nothing, become as many numbers as there are parameters.
//!
//! Summaries enter in units of their standard deviation, with a ridge on the slopes; for each parameter that one of nine is taken
//! that foretells left-out draws best, or no slope at all. A parameter of which nothing is foretold has no part in the distance, and
//! its posterior is its prior, or what comes with the others.

use ndarray::Array2;

use super::trial::gap;
use super::{Distance, Foretold, Parts};
use crate::density::least_squares::{RIDGES, Regression};

/// Distance between predicted parameters.
#[derive(Clone, Debug)]
pub struct Learned {
    observed: Vec<f64>,
    /// (parameter, summary).
    slope: Array2<f64>,
    parts: Parts,
}

impl Learned {
    /// From observed summaries and a pilot: for each draw the coordinates of its parameters, and its summaries. `None` if nothing is
    /// foretold of any parameter.
    pub fn new(observed: Vec<f64>, coordinates: &[Vec<f64>], summaries: &[Vec<f64>]) -> Option<Learned> {
        let (d, m, n) = (coordinates.first()?.len(), observed.len(), coordinates.len() as f64);
        let (_, y) = standardised(coordinates, d);
        let (scale, z) = standardised(summaries, m);
        // Squared errors at left-out draws, of their mean alone: reckoned as below, so that slopes of 0 are no gain by rounding.
        let alone = |y: &f64| (y / (1.0 - 1.0 / n).max(1e-9)) * (y / (1.0 - 1.0 / n).max(1e-9));
        let flat: Vec<f64> =
            (0..d).map(|k| y.iter().skip(k).step_by(d).map(alone).fold(0.0, |sum, square| sum + square)).collect();
        let mut least = flat.clone();
        let mut slope = Array2::zeros((d, m));
        for ridge in RIDGES {
            let Some(fit) = Regression::fit(m, d, &z, &y, Some(ridge)) else { continue };
            let mut error = vec![0.0; d];
            for (z, y) in z.chunks_exact(m).zip(y.chunks_exact(d)) {
                let mut left = y.to_vec();
                fit.subtract(z, &mut left);
                let rest = (1.0 - fit.leverage(&mut z.to_vec()) - 1.0 / n).max(1e-9);
                error.iter_mut().zip(left).for_each(|(sum, e)| *sum += (e / rest) * (e / rest));
            }
            for k in 0..d {
                if error[k] < least[k] {
                    least[k] = error[k];
                    (0..m).for_each(|j| slope[(k, j)] = fit.slope(j, k) / scale[j]);
                }
            }
        }
        let explained: Vec<f64> =
            least.iter().zip(&flat).map(|(least, flat)| if least < flat { 1.0 - least / flat } else { 0.0 }).collect();
        let told = explained.iter().any(|share| *share > 0.0);
        let foretold = Some(Foretold { slope: slope.clone(), explained });
        let parts = Parts { scale, weight: vec![1.0; m], outlying: vec![false; m], foretold };
        told.then_some(Learned { observed, slope, parts })
    }

    /// The root of the sum of squares of what `change` says of each parameter's slopes.
    fn norm(&self, change: impl Fn(&[f64]) -> f64) -> f64 {
        let square = |slope: &[f64]| change(slope) * change(slope);
        self.slope.as_slice().into_iter().flat_map(|all| all.chunks_exact(self.observed.len())).map(square).sum::<f64>().sqrt()
    }
}

/// The standard deviation of each of `width` columns, 1 where it does not vary, and the rows in these units about their means.
fn standardised(rows: &[Vec<f64>], width: usize) -> (Vec<f64>, Vec<f64>) {
    let n = rows.len() as f64;
    let mean: Vec<f64> = (0..width).map(|k| rows.iter().map(|row| row[k]).sum::<f64>() / n).collect();
    let sd = |k: usize| (rows.iter().map(|row| (row[k] - mean[k]) * (row[k] - mean[k])).sum::<f64>() / n).sqrt();
    let scale: Vec<f64> = (0..width).map(|k| if sd(k) > 1e-12 * mean[k].abs() { sd(k) } else { 1.0 }).collect();
    let z = rows.iter().flat_map(|row| (0..width).map(|k| (row[k] - mean[k]) / scale[k]).collect::<Vec<f64>>()).collect();
    (scale, z)
}

impl Distance for Learned {
    fn between(&self, a: &[f64], b: &[f64]) -> f64 {
        self.norm(|slope| slope.iter().zip(a.iter().zip(b)).map(|(s, (a, b))| s * (a - b)).sum())
    }

    fn observed(&self) -> &[f64] {
        &self.observed
    }

    fn with_observed(&self, observed: Vec<f64>) -> Box<dyn Distance> {
        Box::new(Learned { observed, ..self.clone() })
    }

    /// Each prediction lies between the sums of the least and of the greatest that its terms can be; rounding keeps their order.
    fn lower_bound(&self, lower: &[f64], upper: &[f64]) -> f64 {
        self.norm(|slope| {
            let term = |j: usize, x: &[f64]| if slope[j] == 0.0 { 0.0 } else { slope[j] * (x[j] - self.observed[j]) };
            let sum = |of: fn(f64, f64) -> f64| (0..slope.len()).map(|j| of(term(j, lower), term(j, upper))).sum();
            gap(0.0, sum(f64::min), sum(f64::max))
        })
    }

    fn learnt(&self) -> Option<&Parts> {
        Some(&self.parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Purpose, Stream};

    /// Draws of two parameters and four summaries: one tells of the first parameter, t = s + z / 2 in other units; one never varies.
    fn learned(rng: &mut Stream) -> Learned {
        let s: Vec<f64> = (0..1000).map(|_| rng.normal()).collect();
        let coordinates: Vec<Vec<f64>> = s.iter().map(|s| vec![3.0 * (s + 0.5 * rng.normal()), rng.normal()]).collect();
        let summaries: Vec<Vec<f64>> = s.iter().map(|s| vec![100.0 * s, 7.0, rng.normal(), 1e-3 * rng.normal()]).collect();
        Learned::new(vec![0.0; 4], &coordinates, &summaries).unwrap()
    }

    /// Null: 0.8 of the variance of the first parameter is foretold and none of the second; n = 1000, standard error about 0.01, five
    /// of them. The slope is 1 / (100 √1.25).
    #[test]
    fn it_finds_the_summary_that_tells() {
        let learned = learned(&mut Key::root(1).stream(Purpose::Simulate));
        let foretold = learned.parts.foretold.as_ref().unwrap();
        assert!((foretold.explained[0] - 0.8).abs() < 0.05 && foretold.explained[1] < 0.01, "{:?}", foretold.explained);
        let distance = learned.distance(&[100.0, 0.0, 0.0, 0.0]);
        assert!((distance - 1.0 / 1.25f64.sqrt()).abs() < 0.05, "{distance}");
        let nothing: Vec<Vec<f64>> = (0..50).map(|_| vec![1.0]).collect();
        let coordinates: Vec<Vec<f64>> = (0..50).map(|k| vec![f64::from(k)]).collect();
        assert!(Learned::new(vec![1.0], &coordinates, &nothing).is_none());
    }

    /// Planted: the lower end of every term in place of the least. Seen: 595 of 1000 bounds above the distance.
    #[test]
    fn the_bound_is_never_above_the_distance() {
        let mut rng = Key::root(2).stream(Purpose::Simulate);
        let learned = learned(&mut rng);
        let (mut high, mut positive) = (0, 0);
        for _ in 0..1000 {
            let point: Vec<f64> = (0..4).map(|_| 100.0 * rng.normal()).collect();
            let lower: Vec<f64> = point.iter().map(|x| x - 100.0 * rng.uniform()).collect();
            let upper: Vec<f64> = point.iter().map(|x| x + 100.0 * rng.uniform()).collect();
            let bound = learned.lower_bound(&lower, &upper);
            high += u32::from(bound > learned.distance(&point) || learned.lower_bound(&point, &point) > learned.distance(&point));
            positive += u32::from(bound > 0.0);
        }
        assert!(high == 0 && positive > 100, "{high} {positive}");
    }
}
