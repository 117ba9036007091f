//! Energy distance between two samples whose order means nothing: the root of 2 E|X − Y| − E|X − X′| − E|Y − Y′| over draws from
//! either, which is that of twice ∫ (F − G)² of their distribution functions (Székely and Rizzo 2013, J Stat Plan Inference
//! 143:1249). It is 0 where the samples are the same up to order, and a metric.
//!
//! The summaries of a simulation are the sample, scalars of one law, in any order. The integral is a sum over the merged samples: no
//! cancellation, O(n log n), by numbers in order of size, so that the bits do not depend on their order either.

use super::Distance;
use crate::error::{Error, Result};

/// Energy distance to an observed sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Energy {
    observed: Vec<f64>,
    /// The same in order of size.
    sorted: Vec<f64>,
}

impl Energy {
    /// From the observed sample, at least two numbers.
    ///
    /// # Errors
    /// [`Error::Usage`] if they are fewer, or one is not finite.
    pub fn new(observed: Vec<f64>) -> Result<Energy> {
        let refuse = |problem: String, fix: &str| Err(Error::Usage { problem, fix: fix.into() });
        if observed.len() < 2 {
            let problem = format!("the distance 'energy' compares samples, and the model has {} summary", observed.len());
            return refuse(problem, "use the distance 'euclidean'");
        }
        if !observed.iter().all(|x| x.is_finite()) {
            return refuse("an observed summary is not finite".into(), "check the observations");
        }
        Ok(Energy { sorted: sorted(&observed), observed })
    }
}

fn sorted(sample: &[f64]) -> Vec<f64> {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The root of 2 ∫ (F − G)² between samples of one size, each in order of size.
fn energy(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len();
    let (mut i, mut j, mut sum) = (0, 0, 0.0);
    let mut before = f64::NAN;
    while i < n && j < n {
        let x = a[i].min(b[j]);
        let step = (i as f64 - j as f64) / n as f64;
        if i != j {
            sum += step * step * (x - before);
        }
        (i, j) = (i + usize::from(a[i] == x), j + usize::from(b[j] == x));
        before = x;
    }
    // One is at its end: what is left of the other.
    let rest = if i < n { &a[i..] } else { &b[j..] };
    for (k, x) in rest.iter().enumerate() {
        let step = (rest.len() - k) as f64 / n as f64;
        sum += step * step * (x - before);
        before = *x;
    }
    (2.0 * sum).sqrt()
}

impl Distance for Energy {
    fn between(&self, a: &[f64], b: &[f64]) -> f64 {
        energy(&sorted(a), &sorted(b))
    }

    fn distance(&self, summaries: &[f64]) -> f64 {
        energy(&sorted(summaries), &self.sorted)
    }

    fn observed(&self) -> &[f64] {
        &self.observed
    }

    fn with_observed(&self, observed: Vec<f64>) -> Box<dyn Distance> {
        Box::new(Energy { sorted: sorted(&observed), observed })
    }

    /// The sample whose quantiles are the means of theirs: a mean number by number would shrink it.
    fn middle(&self, rows: &[&[f64]]) -> Vec<f64> {
        let rows: Vec<Vec<f64>> = rows.iter().map(|row| sorted(row)).collect();
        super::mean(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Purpose};

    /// Against the three double means of its definition, on samples with ties within and between them; and it heeds no order.
    /// Planted: |F − G| in place of its square. Seen: 3.5 for 3.25.
    #[test]
    fn it_is_the_double_mean_of_its_definition() {
        let mut rng = Key::root(5).stream(Purpose::Simulate);
        for n in [2, 3, 10, 41] {
            let mut sample = |shift: f64| (0..n).map(|_| (4.0 * rng.uniform()).round() / 2.0 + shift).collect::<Vec<f64>>();
            for (a, b) in [(sample(0.0), sample(0.5)), (sample(0.0), sample(9.0)), (sample(0.3), sample(0.0))] {
                let mean = |a: &[f64], b: &[f64]| {
                    a.iter().flat_map(|x| b.iter().map(move |y| (x - y).abs())).sum::<f64>() / (n * n) as f64
                };
                let by_hand = 2.0 * mean(&a, &b) - mean(&a, &a) - mean(&b, &b);
                let of = Energy::new(b.clone()).unwrap();
                let distance = of.distance(&a);
                assert!((distance * distance - by_hand).abs() < 1e-12, "{distance} {by_hand}");
                let turned: Vec<f64> = a.iter().rev().copied().collect();
                assert_eq!((of.distance(&turned), of.between(&b, &a)), (distance, distance));
                assert_eq!(of.distance(&b), 0.0);
            }
        }
    }

    #[test]
    fn replicates_are_averaged_by_quantile() {
        let of = Energy::new(vec![0.0, 1.0]).unwrap();
        assert_eq!(of.middle(&[&[0.0, 1.0], &[3.0, 2.0]]), [1.0, 2.0]);
        assert!(Energy::new(vec![0.0]).is_err() && Energy::new(vec![0.0, f64::NAN]).is_err());
    }
}
