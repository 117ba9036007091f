//! Which simulations are accepted: those within a tolerance; or, where the noise of the data is known, each with the probability that
//! the noise gives to the data at it, which leaves no tolerance in the posterior (Wilkinson 2013, Stat Appl Genet Mol Biol 12:129;
//! Schälte and Hasenauer 2020, Bioinformatics 36:i551).
//!
//! Let L be the likelihood of the data at simulated summaries, L* its largest value at any, and d = √(2 ln(L*/L)) the distance: the root
//! of the deviance. At temperature T a generation targets prior × L^(1/T); T falls from infinity, the prior, to 1, the posterior.
//! A simulation is accepted with probability min(1, (L/c)^(1/T)), that is, where
//! ```text
//! d²/2 ≤ r + T E,   r = ln(L*/c),   E exponential with mean 1
//! ```
//! E comes from the trial's own address, before it is simulated, so that a trial has a tolerance of its own, and early rejection is as
//! exact as in the case of one for all. Where L is above c the trial weighs (L/c)^(1/T): the product of both is (L/c)^(1/T), whatever
//! c is, so that c need not bound L (rejection control; Liu, Chen and Wong 1998, J Am Stat Assoc 93:1022).

use super::trial_key;
use crate::distance::IMPOSSIBLE;
use crate::population::{Generation, Run, Weights};
use crate::rng::{Key, Purpose};

/// How a simulation is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accept {
    /// Within the tolerance.
    #[default]
    Tolerance,
    /// With the probability of the data under their noise; the tolerance is a temperature.
    Noise,
}

impl Accept {
    /// What falls from generation to generation.
    pub fn word(self) -> &'static str {
        match self {
            Accept::Tolerance => "tolerance",
            Accept::Noise => "temperature",
        }
    }
}

/// Share of the re-weighted particles whose likelihood is above c. A higher c spares weights and costs acceptances.
const ABOVE: f64 = 0.1;
/// Halvings that find a temperature: more than a `f64` tells apart between 0 and 1.
const HALVINGS: usize = 60;

/// What decides on the trials of one generation; made from the run so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gate {
    accept: Accept,
    root: Key,
    generation: usize,
    /// Tolerance, or temperature.
    tolerance: f64,
    /// ln(L*/c); 0 before anything is known of L.
    reference: f64,
}

impl Gate {
    pub fn new(accept: Accept, root: Key, run: &Run, tolerance: f64) -> Gate {
        let reference = match (accept, run.last()) {
            (Accept::Noise, Some(last)) => {
                tempered(last, 1.0 / tolerance).quantile(last.distance.iter().copied().map(half_deviance), ABOVE)
            }
            _ => 0.0,
        };
        Gate { accept, root, generation: run.generations.len(), tolerance, reference }
    }

    /// The largest distance at which a trial is accepted.
    pub fn limit(&self, id: u64) -> f64 {
        match self.accept {
            Accept::Tolerance => self.tolerance,
            Accept::Noise => {
                let key = trial_key(self.root, self.generation, id);
                (2.0 * (self.reference + self.tolerance * key.stream(Purpose::Accept).exponential())).sqrt()
            }
        }
    }

    /// Natural log of the weight that an accepted trial owes to where it came to lie.
    pub fn ln_weight(&self, distance: f64) -> f64 {
        match self.accept {
            Accept::Tolerance => 0.0,
            Accept::Noise => ((self.reference - half_deviance(distance)) / self.tolerance).max(0.0),
        }
    }
}

/// ln(L*/L).
fn half_deviance(distance: f64) -> f64 {
    0.5 * distance * distance
}

/// The weights of a generation at another temperature, 1 / `inverse`.
fn tempered(last: &Generation, inverse: f64) -> Weights {
    let change = inverse - 1.0 / last.tolerance;
    let ln = |(w, d): (&f64, &f64)| if *d < IMPOSSIBLE { w - change * half_deviance(*d) } else { f64::NEG_INFINITY };
    Weights::from_ln(&last.ln_weight.iter().zip(&last.distance).map(ln).collect::<Vec<f64>>())
}

/// The lowest temperature, `least` at the least, at which the particles of the last generation are still worth `share` of what they
/// are worth now: (Σw)²/Σw² of the weights that they would have.
pub(super) fn next_temperature(last: &Generation, share: f64, least: f64) -> f64 {
    let (mut low, mut high) = (1.0 / last.tolerance, 1.0 / least);
    let wanted = share * tempered(last, low).ess();
    if tempered(last, high).ess() >= wanted {
        return least;
    }
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if tempered(last, middle).ess() >= wanted { low = middle } else { high = middle }
    }
    1.0 / low
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn generation(tolerance: f64, distance: Vec<f64>) -> Generation {
        let n = distance.len();
        Generation {
            tolerance,
            theta: Array2::zeros((n, 1)),
            ln_weight: vec![0.0; n],
            trial: (0..n as u64).collect(),
            summaries: Array2::zeros((n, 1)),
            distance,
            simulated: n as u64,
            failed: 0,
        }
    }

    /// Normal data with half-deviances x²/2 at x = −5 … 5: at temperature T the particles are worth what a sum over them says, which
    /// a temperature a little lower no longer keeps. Those at which the data are impossible count for nothing, now or then.
    #[test]
    fn a_temperature_keeps_its_share() {
        let mut distance: Vec<f64> = (0..1000).map(|i| (f64::from(i) - 499.5).abs() / 100.0).collect();
        let last = generation(f64::INFINITY, distance.clone());
        let worth = |t: f64| {
            let w = |power: f64| distance.iter().map(|d| (-power * 0.5 * d * d / t).exp()).sum::<f64>();
            w(1.0) * w(1.0) / w(2.0)
        };
        let t = next_temperature(&last, 0.8, 1.0);
        assert!((worth(t) / 800.0 - 1.0).abs() < 1e-6, "temperature {t} keeps {}", worth(t));
        assert_eq!(next_temperature(&last, 0.1, 1.0), 1.0);
        distance.extend([IMPOSSIBLE; 2000]);
        assert_eq!(next_temperature(&generation(f64::INFINITY, distance), 0.8, 1.0), t);
    }

    /// Null: min(1, e^(r−δ)/T) of 10^5 trials are accepted at each δ, within 5 standard errors (false alarm 6e-7 each), and acceptance
    /// times weight is e^((r−δ)/T) on both sides of r. Planted: no weight. Seen at δ = 0.2: 1 for 1.58. Planted: r left out of acceptance. Seen
    /// there: a rate of 0.89.
    #[test]
    fn acceptance_times_weight_is_the_tempered_likelihood() {
        let (n, t, reference) = (100_000, 1.75, 1.0);
        let gate = Gate { accept: Accept::Noise, root: Key::root(4), generation: 3, tolerance: t, reference };
        for half in [0.2, 0.9, 1.1, 2.0, 5.0] {
            let distance = (2.0f64 * half).sqrt();
            let rate = (0..n).filter(|id| distance <= gate.limit(*id)).count() as f64 / n as f64;
            let exact = ((reference - half) / t).exp();
            let error = (exact.min(1.0) * (1.0 - exact.min(1.0)) / n as f64).sqrt();
            assert!((rate - exact.min(1.0)).abs() <= 5.0 * error, "{half}: {rate}");
            let product = exact.min(1.0) * gate.ln_weight(distance).exp();
            assert!((product / exact - 1.0).abs() < 1e-12, "{half}: {product} for {exact}");
        }
    }
}
