//! Posterior probabilities of the models that a job compares.

use serde::Serialize;

use crate::population::{Generation, Run};
use crate::report::format::{NONE, number, signed};

/// One of the models.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelLine {
    /// Its name.
    pub name: String,
    /// Posterior probability, where each model had the same one before the data; 0 without a particle.
    pub probability: f64,
    /// Its Monte-Carlo standard error.
    pub error: f64,
    /// Without a particle: what the probability is below, with 95 %: three over the effective sample size.
    pub below: f64,
    /// Particles of the last generation.
    pub particles: usize,
    /// Natural log of the Bayes factor of this model over the likeliest; NaN in a sample of the prior, `-inf` without a particle.
    pub ln_bayes: f64,
    /// Its Monte-Carlo standard error.
    pub ln_bayes_error: f64,
    /// Its probability in each generation, which says how much it depends on the tolerance.
    pub course: Vec<f64>,
}

/// Probabilities of so many models, whose number is the last coordinate of a particle.
fn shares(generation: &Generation, models: usize) -> Vec<f64> {
    let mut shares = vec![0.0; models];
    let Some(column) = generation.theta.columns().into_iter().next_back() else { return shares };
    for (number, w) in column.iter().zip(generation.weights().as_slice()) {
        shares[*number as usize] += w;
    }
    shares
}

/// A line for each of `models`; none before a generation is finished.
///
/// A probability is a self-normalised importance estimate, p = Σ w 1, with variance Σ w² (1 − p)²; a log Bayes factor ln (p / q)
/// has Σ w² (1 / p − 1′ / q)² by the delta method, where 1 and 1′ mark the particles of the two models.
pub(super) fn lines(run: &Run, models: &[(String, Vec<usize>)]) -> Vec<ModelLine> {
    let (Some(last), false) = (run.last(), models.is_empty()) else { return Vec::new() };
    let weights = last.weights();
    let w = weights.as_slice();
    let number: Vec<usize> =
        last.theta.columns().into_iter().next_back().map_or(Vec::new(), |c| c.iter().map(|x| *x as usize).collect());
    let courses: Vec<Vec<f64>> = run.generations.iter().map(|generation| shares(generation, models.len())).collect();
    let shares = shares(last, models.len());
    let best = (0..models.len()).fold(0, |best, k| if shares[k] > shares[best] { k } else { best });
    let fitted = last.tolerance.is_finite();
    let of = |(k, (name, _)): (usize, &(String, Vec<usize>))| {
        let mark = |n: usize, of: usize| f64::from(u8::from(n == of));
        let spread = |term: &dyn Fn(usize) -> f64| number.iter().zip(w).map(|(n, w)| (w * term(*n)).powi(2)).sum::<f64>().sqrt();
        let found = shares[k] > 0.0;
        ModelLine {
            name: name.clone(),
            probability: shares[k],
            error: spread(&|n| mark(n, k) - shares[k]),
            below: 3.0 / weights.ess().max(3.0),
            particles: last.accepted().filter(|i| number[*i] == k).count(),
            ln_bayes: if fitted { libm::log(shares[k] / shares[best]) } else { f64::NAN },
            ln_bayes_error: if found { spread(&|n| mark(n, k) / shares[k] - mark(n, best) / shares[best]) } else { 0.0 },
            course: courses.iter().map(|shares| shares[k]).collect(),
        }
    };
    models.iter().enumerate().map(of).collect()
}

impl ModelLine {
    /// Name, probability, log Bayes factor, each with its error, and particles, as tables show them.
    pub(super) fn cells(&self) -> [String; 6] {
        let found = self.particles > 0;
        let fitted = !self.ln_bayes.is_nan();
        let of = |known: bool, text: String| if known { text } else { NONE.into() };
        [
            self.name.clone(),
            if found { format!("{:.3}", self.probability) } else { format!("< {}", number(self.below)) },
            of(found, number(self.error)),
            signed(Some(self.ln_bayes)),
            of(found && fitted, number(self.ln_bayes_error)),
            self.particles.to_string(),
        ]
    }
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
        let run = Run { generations: vec![last], ..Run::default() };
        let lines = lines(&run, &["a", "b", "c"].map(|name| (name.to_string(), vec![0])));
        assert!((lines[1].probability - 0.25).abs() < 1e-12 && (lines[1].error - (0.25f64 * 0.75 / 400.0).sqrt()).abs() < 1e-12);
        assert_eq!([lines[0].particles, lines[1].particles, lines[2].particles], [300, 100, 0]);
        assert!((lines[1].ln_bayes - (1.0f64 / 3.0).ln()).abs() < 1e-12 && lines[2].ln_bayes == f64::NEG_INFINITY);
        // Two shares of a multinomial: variance 1 / (n p) + 1 / (n q) of the log ratio.
        assert!((lines[1].ln_bayes_error - (1.0 / 100.0f64 + 1.0 / 300.0).sqrt()).abs() < 1e-12);
        assert_eq!((lines[0].ln_bayes, lines[0].ln_bayes_error), (0.0, 0.0));
        assert!(lines[2].cells()[1].starts_with("< 0.0075") && lines[2].cells()[2] == "-", "{:?}", lines[2].cells());
    }
}
