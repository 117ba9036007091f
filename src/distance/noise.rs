//! Distance by a noise model: d² = 2 Σ ln(L*ᵢ/Lᵢ), the deviance, where Lᵢ is the probability of observation i at its simulated
//! summary and L*ᵢ the largest that any summary gives. Observations are independent.
//!
//! | noise | observation y at the summary s | deviance |
//! |---|---|---|
//! | normal | s + N(0, sd²) | ((y − s)/sd)² |
//! | lognormal | s exp(N(0, sd²)), s > 0 | ((ln y − ln s)/sd)² |
//! | the same, not above a limit of detection | known to be that only | −2 ln Φ((limit − s)/sd) |
//! | binomial | k/n, k of n at probability s | 2 n (y ln(y/s) + (1 − y) ln((1 − y)/(1 − s))) |
//! | Poisson | a count with mean s | 2 (s − y + y ln(y/s)) |
//!
//! The deviances are those of McCullagh and Nelder (1989, Generalized Linear Models, 2nd ed., section 2.3). Each falls to its least
//! value and rises from there as s grows, so that it has a bound over an interval of s.

use super::{Distance, IMPOSSIBLE};
use crate::rng::Stream;

/// Noise of one observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Noise {
    /// Additive; `limit` is that of detection, minus infinity if there is none.
    Normal {
        /// Standard deviation, in the unit of the summary.
        sd: f64,
        /// Limit of detection.
        limit: f64,
    },
    /// Multiplicative; `limit` is that of detection, 0 if there is none.
    LogNormal {
        /// Standard deviation of the natural logarithm.
        sd: f64,
        /// Limit of detection.
        limit: f64,
    },
    /// A share of `n`, of which the summary is the probability.
    Binomial {
        /// Denominator.
        n: u64,
    },
    /// A count, of which the summary is the mean.
    Poisson,
}

impl Noise {
    /// Deviance of the observation `y` at the summary `s`; infinite where it is impossible.
    fn deviance(self, y: f64, s: f64) -> f64 {
        let term = |y: f64, s: f64| if y == 0.0 { 0.0 } else { y * libm::log(y / s) };
        let square = |z: f64| z * z;
        match self {
            Noise::Normal { sd, limit } if y <= limit => -2.0 * ln_phi((limit - s) / sd),
            Noise::Normal { sd, .. } => square((y - s) / sd),
            Noise::LogNormal { limit, .. } if s < 0.0 || (s == 0.0 && y > limit) => f64::INFINITY,
            Noise::LogNormal { sd, limit } if y <= limit => -2.0 * ln_phi(libm::log(limit / s) / sd),
            Noise::LogNormal { sd, .. } => square(libm::log(y / s) / sd),
            Noise::Binomial { .. } | Noise::Poisson if s < 0.0 || (s == 0.0 && y > 0.0) => f64::INFINITY,
            Noise::Binomial { .. } if s > 1.0 || (s == 1.0 && y < 1.0) => f64::INFINITY,
            // Rounding may leave a little less than nothing.
            Noise::Binomial { n } => (2.0 * n as f64 * (term(y, s) + term(1.0 - y, 1.0 - s))).max(0.0),
            Noise::Poisson => (2.0 * (s - y + term(y, s))).max(0.0),
        }
    }

    /// The summary between `low` and `high` at which the observation is likeliest.
    fn likeliest(self, y: f64, low: f64, high: f64) -> f64 {
        match self {
            // What was not detected is the likelier the lower.
            Noise::Normal { limit, .. } if y <= limit => low,
            Noise::LogNormal { limit, .. } if y <= limit => low.max(0.0).min(high),
            _ => y.max(low).min(high),
        }
    }

    /// An observation at the summary `s`; `None` if it gives none.
    fn draw(self, s: f64, rng: &mut Stream) -> Option<f64> {
        match self {
            Noise::Normal { sd, limit } => Some((s + sd * rng.normal()).max(limit)),
            Noise::LogNormal { sd, limit } => {
                (s > 0.0 || (s == 0.0 && limit > 0.0)).then(|| (s * libm::exp(sd * rng.normal())).max(limit))
            }
            Noise::Binomial { n } => (0.0..=1.0).contains(&s).then(|| rng.binomial(n, s) as f64 / n as f64),
            Noise::Poisson => (s >= 0.0).then(|| rng.poisson(s) as f64),
        }
    }

    /// Why `y` cannot be an observation; `None` if it can.
    pub fn refuses(self, y: f64) -> Option<String> {
        let whole = |x: f64| (x - x.round()).abs() <= 1e-6 * x.abs().max(1.0);
        match self {
            Noise::LogNormal { limit, .. } if y <= 0.0 && limit <= 0.0 => Some("a lognormal observation is above 0".into()),
            Noise::Binomial { n } if !((0.0..=1.0).contains(&y) && whole(y * n as f64)) => {
                Some(format!("a binomial observation is a share k/{n}, with k a whole number from 0 to {n}"))
            }
            Noise::Poisson if !(y >= 0.0 && whole(y)) => Some("a Poisson observation is a whole number, 0 or more".into()),
            _ => None,
        }
    }
}

/// ln Φ(z), also far out, where Φ is no number any more: there by the asymptotic series, right to 10⁻⁷ of its value.
fn ln_phi(z: f64) -> f64 {
    if z > -20.0 {
        return libm::log(0.5 * libm::erfc(-z / std::f64::consts::SQRT_2));
    }
    let r = 1.0 / (z * z);
    -0.5 * z * z - libm::log(-z) - 0.5 * libm::log(2.0 * std::f64::consts::PI)
        + libm::log1p(-r * (1.0 - 3.0 * r * (1.0 - 5.0 * r)))
}

/// The noise of all observations, in the order of the summaries.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseModel {
    observed: Vec<f64>,
    noise: Vec<Noise>,
}

impl NoiseModel {
    /// From observations that [`Noise::refuses`] none of, and as many noises.
    pub fn new(observed: Vec<f64>, noise: Vec<Noise>) -> NoiseModel {
        NoiseModel { observed, noise }
    }
}

fn root(deviances: impl Iterator<Item = f64>) -> f64 {
    deviances.sum::<f64>().sqrt().min(IMPOSSIBLE)
}

impl Distance for NoiseModel {
    /// Of observations `b` from the summaries `a`.
    fn between(&self, a: &[f64], b: &[f64]) -> f64 {
        root(self.noise.iter().zip(a.iter().zip(b)).map(|(noise, (s, y))| noise.deviance(*y, *s)))
    }

    fn observed(&self) -> &[f64] {
        &self.observed
    }

    fn with_observed(&self, observed: Vec<f64>) -> Box<dyn Distance> {
        Box::new(NoiseModel { observed, ..self.clone() })
    }

    fn lower_bound(&self, lower: &[f64], upper: &[f64]) -> f64 {
        let each = self.noise.iter().zip(&self.observed).zip(lower.iter().zip(upper));
        // A bound may be too low, never too high: leave room for rounding.
        root(each.map(|((noise, y), (low, high))| noise.deviance(*y, noise.likeliest(*y, *low, *high)))) * (1.0 - 1e-9)
    }

    fn scale(&self) -> Option<f64> {
        Some((self.observed.len() as f64).sqrt())
    }

    fn noisy(&self, summaries: &[f64], rng: &mut Stream) -> Option<Vec<f64>> {
        self.noise.iter().zip(summaries).map(|(noise, s)| noise.draw(*s, rng)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Purpose};

    const ALL: [Noise; 6] = [
        Noise::Normal { sd: 0.7, limit: f64::NEG_INFINITY },
        Noise::Normal { sd: 0.7, limit: 1.5 },
        Noise::LogNormal { sd: 0.4, limit: 0.0 },
        Noise::LogNormal { sd: 0.4, limit: 0.6 },
        Noise::Binomial { n: 5 },
        Noise::Poisson,
    ];

    /// Null: draws at one summary, weighed by the ratio of likelihoods, are draws at another: in the share of those that are no likelier
    /// there, and in their number; 10^5 draws each, within 5 standard errors (false alarm 6e-7 each). Planted: half of the deviance of
    /// the binomial. Seen: 0.186 and 0.311, z = −80.
    #[test]
    fn draws_have_the_likelihood() {
        let mut rng = Key::root(6).stream(Purpose::Simulate);
        let (s, t, n) = (0.5, 0.7, 100_000);
        for noise in ALL {
            // L(y | s) / L(y | t); L* is the same in both.
            let ratio = |y: f64| libm::exp(0.5 * (noise.deviance(y, t) - noise.deviance(y, s)));
            let mut draw = |at: f64| (0..n).map(|_| noise.draw(at, &mut rng).unwrap()).collect::<Vec<f64>>();
            let (own, other) = (draw(s), draw(t));
            let low = |y: f64| f64::from(u8::from(ratio(y) <= 1.0));
            let moments = |values: Vec<f64>| {
                let mean = values.iter().sum::<f64>() / f64::from(n);
                (mean, values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n) / f64::from(n))
            };
            for of in [&low as &dyn Fn(f64) -> f64, &|_| 1.0] {
                let (share, error) = moments(own.iter().map(|y| of(*y)).collect());
                let (weighed, spread) = moments(other.iter().map(|y| of(*y) * ratio(*y)).collect());
                let z = (share - weighed) / (error + spread).sqrt().max(1e-9);
                assert!(z.abs() < 5.0, "{noise:?}: {share} and {weighed}, z = {z}");
            }
        }
    }

    #[test]
    fn the_bound_is_never_above_the_distance_and_comes_to_it() {
        let mut rng = Key::root(7).stream(Purpose::Pilot);
        for noise in ALL {
            for _ in 0..2000 {
                let s = 0.3 + rng.uniform().min(0.7);
                let y = noise.draw(s, &mut rng).unwrap();
                let model = NoiseModel::new(vec![y], vec![noise]);
                let at = 0.5 + rng.uniform();
                let (low, high) = (at - 0.3 * rng.uniform(), at + 0.3 * rng.uniform());
                let bound = model.lower_bound(&[low], &[high]);
                assert!(bound <= model.distance(&[at]), "{noise:?}: {y} at {at} in {low} to {high}");
                // Where all of it is impossible, the bound is too, but for rounding.
                let least = (0..=1000).map(|i| model.distance(&[low + (high - low) * f64::from(i) / 1000.0]));
                assert!(
                    least.fold(f64::INFINITY, f64::min) <= bound + 0.1 + 1e-8 * bound,
                    "{noise:?}: {y} in {low} to {high}, bound {bound}"
                );
            }
        }
    }

    #[test]
    fn the_tail_of_the_normal_has_its_published_values() {
        // ln Φ(−5), ln Φ(−40); and the series where it begins.
        for (z, ln) in [(-5.0, -15.064_998_393_988_7), (-40.0, -804.608_442_013_754)] {
            assert!((ln_phi(z) / ln - 1.0).abs() < 1e-10, "{z}: {}", ln_phi(z));
        }
        assert!((ln_phi(-20.0) - ln_phi(-20.0f64.next_up())).abs() < 1e-6);
    }

    #[test]
    fn what_cannot_be_is_impossible_and_a_number() {
        let of = |noise: Noise, y: f64, s: f64| NoiseModel::new(vec![y], vec![noise]).distance(&[s]);
        let (share, count, log) = (Noise::Binomial { n: 5 }, Noise::Poisson, Noise::LogNormal { sd: 1.0, limit: 0.5 });
        for (noise, y, s) in [(share, 0.2, 0.0), (share, 0.8, 1.0), (share, 0.2, 1.1), (count, 1.0, 0.0), (log, 1.0, 0.0)] {
            assert_eq!(of(noise, y, s), IMPOSSIBLE, "{noise:?} {y} {s}");
        }
        for (noise, y, s) in [(share, 0.0, 0.0), (share, 1.0, 1.0), (count, 0.0, 0.0), (log, 0.5, 0.0)] {
            assert_eq!(of(noise, y, s), 0.0, "{noise:?} {y} {s}");
        }
    }
}
