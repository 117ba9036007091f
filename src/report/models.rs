//! Posterior probabilities of the models that a job compares.

use crate::population::Generation;

/// One of the models.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelLine {
    /// Its name.
    pub name: String,
    /// Posterior probability, where each model had the same one before the data.
    pub probability: f64,
    /// Its Monte-Carlo standard error.
    pub error: f64,
    /// Particles of the last generation.
    pub particles: usize,
    /// Natural log of the Bayes factor of this model over the likeliest; `-inf` without a particle.
    pub ln_bayes: f64,
    /// Its Monte-Carlo standard error.
    pub ln_bayes_error: f64,
}

/// A line for each of `names`, the number of which is the last coordinate of a particle.
///
/// A probability is a self-normalised importance estimate, p = Σ w 1, with variance Σ w² (1 − p)²; a log Bayes factor ln (p / q)
/// has Σ w² (1 / p − 1′ / q)² by the delta method, where 1 and 1′ mark the particles of the two models.
pub(super) fn lines(last: &Generation, names: &[String]) -> Vec<ModelLine> {
    let weights = last.weights();
    let w = weights.as_slice();
    let Some(column) = last.theta.columns().into_iter().next_back().filter(|_| !names.is_empty()) else { return Vec::new() };
    let number: Vec<usize> = column.iter().map(|x| *x as usize).collect();
    let share = |k: usize| number.iter().zip(w).filter(|(n, _)| **n == k).map(|(_, w)| w).sum::<f64>();
    let shares: Vec<f64> = (0..names.len()).map(share).collect();
    let best = (0..names.len()).fold(0, |best, k| if shares[k] > shares[best] { k } else { best });
    let of = |(k, name): (usize, &String)| {
        let mark = |n: usize, of: usize| f64::from(u8::from(n == of));
        let spread = |term: &dyn Fn(usize) -> f64| number.iter().zip(w).map(|(n, w)| (w * term(*n)).powi(2)).sum::<f64>().sqrt();
        ModelLine {
            name: name.clone(),
            probability: shares[k],
            error: spread(&|n| mark(n, k) - shares[k]),
            particles: last.accepted().filter(|i| number[*i] == k).count(),
            ln_bayes: libm::log(shares[k] / shares[best]),
            ln_bayes_error: if shares[k] > 0.0 {
                spread(&|n| mark(n, k) / shares[k] - mark(n, best) / shares[best])
            } else {
                0.0
            },
        }
    };
    names.iter().enumerate().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn probabilities_and_their_errors_are_those_of_a_binomial_where_weights_are_equal() {
        let n = 400;
        let last = Generation {
            tolerance: 1.0,
            theta: Array2::from_shape_fn((n, 2), |(i, k)| if k == 1 { f64::from(u8::from(i < 100)) } else { 0.3 }),
            distance: vec![0.5; n],
            ln_weight: vec![-3.0; n],
            trial: (0..n as u64).collect(),
            summaries: Array2::zeros((n, 1)),
            simulated: 1000,
            failed: 0,
        };
        let lines = lines(&last, &["a".into(), "b".into(), "c".into()]);
        assert!((lines[1].probability - 0.25).abs() < 1e-12 && (lines[1].error - (0.25f64 * 0.75 / 400.0).sqrt()).abs() < 1e-12);
        assert_eq!([lines[0].particles, lines[1].particles, lines[2].particles], [300, 100, 0]);
        assert!((lines[1].ln_bayes - (1.0f64 / 3.0).ln()).abs() < 1e-12 && lines[2].ln_bayes == f64::NEG_INFINITY);
        // Two shares of a multinomial: variance 1 / (n p) + 1 / (n q) of the log ratio.
        assert!((lines[1].ln_bayes_error - (1.0 / 100.0f64 + 1.0 / 300.0).sqrt()).abs() < 1e-12);
        assert_eq!((lines[0].ln_bayes, lines[0].ln_bayes_error), (0.0, 0.0));
    }
}
