//! Prior densities and proposal kernels.
//!
//! Every marginal has a *coordinate* on which kernels act: the logarithm for positive parameters, the logit for
//! proportions, the value itself otherwise. Bounds at 0 or at 0 and 1 thereby vanish; bounds of a uniform prior remain, and
//! the sampler meets them by drawing ancestor and perturbation anew, whose density is the untruncated mixture up to one
//! constant for all particles, so that weights are exact at the bounds.

mod eigen;
mod kernel;
pub mod least_squares;
mod mixture;
pub mod network;

pub use eigen::eigen;
pub use kernel::{
    Kernel, Reach, backward, cholesky, colour, covariance_towards, covariances_of_each, forward, safe_cholesky, whiten,
};
pub use mixture::Mixture;

use crate::rng::Stream;
use std::f64::consts::PI;

/// A one-dimensional prior.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Marginal {
    /// Flat between two bounds.
    Uniform {
        /// Lower bound.
        lower: f64,
        /// Upper bound.
        upper: f64,
    },
    /// Flat in the logarithm between two positive bounds.
    LogUniform {
        /// Lower bound.
        lower: f64,
        /// Upper bound.
        upper: f64,
    },
    /// Normal.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        sd: f64,
    },
    /// The logarithm is normal.
    LogNormal {
        /// Median.
        median: f64,
        /// Standard deviation of the natural logarithm.
        sd: f64,
    },
    /// Beta on (0, 1).
    Beta {
        /// First shape.
        a: f64,
        /// Second shape.
        b: f64,
    },
    /// Each whole number between two, both included, as likely as any other. Its coordinate is that of a uniform number within half
    /// of it either way, which kernels move and of which the whole number is kept: weights are exact, since a proposal may start from
    /// anywhere.
    Integer {
        /// Least.
        lower: f64,
        /// Greatest.
        upper: f64,
    },
}

impl std::fmt::Display for Marginal {
    /// As in `lognormal(median = 0.6, sd = 0.5)`, in the words of a job file.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Marginal::Uniform { lower, upper } => write!(f, "uniform(lower = {lower}, upper = {upper})"),
            Marginal::LogUniform { lower, upper } => write!(f, "loguniform(lower = {lower}, upper = {upper})"),
            Marginal::Normal { mean, sd } => write!(f, "normal(mean = {mean}, sd = {sd})"),
            Marginal::LogNormal { median, sd } => write!(f, "lognormal(median = {median}, sd = {sd})"),
            Marginal::Beta { a, b } => write!(f, "beta(a = {a}, b = {b})"),
            Marginal::Integer { lower, upper } => write!(f, "integer(lower = {lower}, upper = {upper})"),
        }
    }
}

impl Marginal {
    /// Variance of the coordinate that a stored value does not show: that of a uniform number where whole ones are kept.
    pub fn grain(&self) -> f64 {
        if matches!(self, Marginal::Integer { .. }) { 1.0 / 12.0 } else { 0.0 }
    }

    /// One draw, in natural units.
    pub fn draw(&self, rng: &mut Stream) -> f64 {
        match *self {
            Marginal::Uniform { lower, upper } => lower + (upper - lower) * rng.uniform(),
            Marginal::LogUniform { lower, upper } => {
                let (a, b) = (libm::log(lower), libm::log(upper));
                libm::exp(a + (b - a) * rng.uniform()).clamp(lower, upper)
            }
            Marginal::Normal { mean, sd } => mean + sd * rng.normal(),
            Marginal::LogNormal { median, sd } => median * libm::exp(sd * rng.normal()),
            Marginal::Beta { a, b } => {
                let x = rng.gamma(a);
                let y = rng.gamma(b);
                (x / (x + y)).clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON)
            }
            Marginal::Integer { lower, upper } => lower + rng.below((upper - lower) as usize + 1) as f64,
        }
    }

    /// Natural units to coordinate.
    pub fn coordinate(&self, x: f64) -> f64 {
        match self {
            Marginal::Uniform { .. } | Marginal::Normal { .. } | Marginal::Integer { .. } => x,
            Marginal::LogUniform { .. } | Marginal::LogNormal { .. } => libm::log(x),
            Marginal::Beta { .. } => libm::log(x / (1.0 - x)),
        }
    }

    /// Coordinate to natural units.
    pub fn natural(&self, u: f64) -> f64 {
        match self {
            Marginal::Uniform { .. } | Marginal::Normal { .. } => u,
            Marginal::LogUniform { .. } | Marginal::LogNormal { .. } => libm::exp(u),
            Marginal::Beta { .. } => (1.0 / (1.0 + libm::exp(-u))).clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON),
            Marginal::Integer { lower, upper } => u.round().clamp(*lower, *upper),
        }
    }

    /// Natural units to a scale without bounds: the coordinate, or, where that has bounds, the logit of its place between them.
    pub fn unbounded(&self, x: f64) -> f64 {
        let u = self.coordinate(x);
        let Some((a, b)) = self.bounds() else { return u };
        let share = ((u - a) / (b - a)).clamp(f64::EPSILON, 1.0 - f64::EPSILON);
        libm::log(share / (1.0 - share))
    }

    /// The inverse of [`Marginal::unbounded`]; within the support whatever `t` is.
    pub fn bounded(&self, t: f64) -> f64 {
        let Some((a, b)) = self.bounds() else { return self.natural(t) };
        let x = self.natural(a + (b - a) / (1.0 + libm::exp(-t)));
        match *self {
            Marginal::Uniform { lower, upper } | Marginal::LogUniform { lower, upper } => x.clamp(lower, upper),
            _ => x,
        }
    }

    /// Bounds of the coordinate.
    fn bounds(&self) -> Option<(f64, f64)> {
        match *self {
            Marginal::Uniform { lower, upper } => Some((lower, upper)),
            Marginal::LogUniform { lower, upper } => Some((libm::log(lower), libm::log(upper))),
            _ => None,
        }
    }

    /// Whether the density at coordinate `u` is above 0, which costs less than the density.
    pub fn supports(&self, u: f64) -> bool {
        match *self {
            Marginal::Uniform { lower, upper } => (lower..=upper).contains(&u),
            Marginal::LogUniform { lower, upper } => (libm::log(lower)..=libm::log(upper)).contains(&u),
            Marginal::Integer { lower, upper } => (lower - 0.5..=upper + 0.5).contains(&u),
            _ => u.is_finite(),
        }
    }

    /// Natural log of the density *with respect to the coordinate*; `-inf` outside the support, never NaN.
    pub fn ln_density_at(&self, u: f64) -> f64 {
        let gauss = |z: f64, sd: f64| -0.5 * z * z - libm::log(sd) - 0.5 * libm::log(2.0 * PI);
        match *self {
            Marginal::Uniform { lower, upper } if (lower..=upper).contains(&u) => -libm::log(upper - lower),
            Marginal::LogUniform { lower, upper } => {
                let (a, b) = (libm::log(lower), libm::log(upper));
                if (a..=b).contains(&u) { -libm::log(b - a) } else { f64::NEG_INFINITY }
            }
            Marginal::Integer { lower, upper } if self.supports(u) => -libm::log(upper - lower + 1.0),
            Marginal::Normal { mean, sd } if u.is_finite() => gauss((u - mean) / sd, sd),
            Marginal::LogNormal { median, sd } if u.is_finite() => gauss((u - libm::log(median)) / sd, sd),
            Marginal::Beta { a, b } if u.is_finite() => {
                // ln x = -ln(1 + e^-u), ln(1 - x) = -ln(1 + e^u); the Jacobian x (1 - x) raises both exponents by one.
                let soft = |v: f64| if v > 0.0 { v + libm::log1p(libm::exp(-v)) } else { libm::log1p(libm::exp(v)) };
                -a * soft(-u) - b * soft(u) - (libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b))
            }
            _ => f64::NEG_INFINITY,
        }
    }

    /// Natural log of the density in natural units, of a whole number of its probability; `-inf` outside the support.
    pub fn ln_density(&self, x: f64) -> f64 {
        if !x.is_finite() {
            return f64::NEG_INFINITY;
        }
        let (u, jacobian) = match self {
            Marginal::Uniform { .. } | Marginal::Normal { .. } => (x, 0.0),
            Marginal::Integer { .. } if x.fract() != 0.0 => return f64::NEG_INFINITY,
            Marginal::Integer { .. } => (x, 0.0),
            _ if x <= 0.0 => return f64::NEG_INFINITY,
            Marginal::LogUniform { .. } | Marginal::LogNormal { .. } => (libm::log(x), -libm::log(x)),
            Marginal::Beta { .. } if x >= 1.0 => return f64::NEG_INFINITY,
            Marginal::Beta { .. } => (self.coordinate(x), -libm::log(x) - libm::log1p(-x)),
        };
        self.ln_density_at(u) + jacobian
    }

    /// Mean in natural units.
    pub fn mean(&self) -> f64 {
        match *self {
            Marginal::Uniform { lower, upper } | Marginal::Integer { lower, upper } => 0.5 * (lower + upper),
            Marginal::LogUniform { lower, upper } => (upper - lower) / libm::log(upper / lower),
            Marginal::Normal { mean, .. } => mean,
            Marginal::LogNormal { median, sd } => median * libm::exp(0.5 * sd * sd),
            Marginal::Beta { a, b } => a / (a + b),
        }
    }

    /// Median in natural units; of a beta the mean, of whole numbers the one below it.
    pub fn centre(&self) -> f64 {
        match *self {
            Marginal::Uniform { lower, upper } => 0.5 * (lower + upper),
            Marginal::Integer { lower, upper } => (0.5 * (lower + upper)).floor(),
            Marginal::LogUniform { lower, upper } => libm::sqrt(lower * upper),
            Marginal::Normal { mean, .. } => mean,
            Marginal::LogNormal { median, .. } => median,
            Marginal::Beta { a, b } => a / (a + b),
        }
    }

    /// Standard deviation of the coordinate, by which contraction from the prior is measured.
    pub fn coordinate_sd(&self) -> f64 {
        match *self {
            Marginal::Uniform { lower, upper } => (upper - lower) / libm::sqrt(12.0),
            Marginal::LogUniform { lower, upper } => libm::log(upper / lower) / libm::sqrt(12.0),
            Marginal::Normal { sd, .. } | Marginal::LogNormal { sd, .. } => sd,
            Marginal::Beta { a, b } => libm::sqrt(trigamma(a) + trigamma(b)),
            Marginal::Integer { lower, upper } => libm::sqrt(((upper - lower + 1.0) * (upper - lower + 1.0) - 1.0) / 12.0),
        }
    }
}

/// ψ′(x): recurrence up to 12, then the asymptotic series; relative error below 10⁻¹⁰.
fn trigamma(mut x: f64) -> f64 {
    let mut sum = 0.0;
    while x < 12.0 {
        sum += 1.0 / (x * x);
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    sum + 1.0 / x + 0.5 * r + r / x * (1.0 / 6.0 - r * (1.0 / 30.0 - r * (1.0 / 42.0 - r / 30.0)))
}

/// The joint prior: independent marginals in the order of the inferred parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Prior(pub Vec<Marginal>);

impl Prior {
    /// Number of inferred parameters.
    pub fn dimension(&self) -> usize {
        self.0.len()
    }

    /// One draw in natural units into `theta`.
    pub fn draw(&self, rng: &mut Stream, theta: &mut [f64]) {
        for (marginal, x) in self.0.iter().zip(theta) {
            *x = marginal.draw(rng);
        }
    }

    /// Coordinates of a point in natural units.
    pub fn coordinates(&self, theta: &[f64]) -> Vec<f64> {
        self.0.iter().zip(theta).map(|(m, x)| m.coordinate(*x)).collect()
    }

    /// Natural units of a point in coordinates.
    pub fn natural(&self, u: &[f64]) -> Vec<f64> {
        self.0.iter().zip(u).map(|(m, x)| m.natural(*x)).collect()
    }

    /// Whether the joint density at coordinates `u` is above 0.
    pub fn supports(&self, u: &[f64]) -> bool {
        self.0.iter().zip(u).all(|(m, x)| m.supports(*x))
    }

    /// Natural log of the joint density with respect to the coordinates.
    pub fn ln_density_at(&self, u: &[f64]) -> f64 {
        self.0.iter().zip(u).map(|(m, x)| m.ln_density_at(*x)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Purpose};

    const ALL: [Marginal; 5] = [
        Marginal::Uniform { lower: -1.0, upper: 3.0 },
        Marginal::LogUniform { lower: 0.1, upper: 10.0 },
        Marginal::Normal { mean: 2.0, sd: 0.5 },
        Marginal::LogNormal { median: 0.6, sd: 0.4 },
        Marginal::Beta { a: 3.0, b: 5.0 },
    ];

    #[test]
    fn densities_integrate_to_one_in_the_coordinate_and_in_natural_units() {
        for marginal in ALL {
            let step = 1e-3;
            let coordinate: f64 =
                (-20_000..20_000).map(|i| libm::exp(marginal.ln_density_at((f64::from(i) + 0.5) * step)) * step).sum();
            let natural: f64 =
                (-20_000..20_000).map(|i| libm::exp(marginal.ln_density((f64::from(i) + 0.5) * step)) * step).sum();
            assert!((coordinate - 1.0).abs() < 1e-3, "{marginal:?} {coordinate}");
            assert!((natural - 1.0).abs() < 1e-3, "{marginal:?} {natural}");
        }
    }

    #[test]
    fn draws_have_the_mean_and_the_spread_that_are_stated() {
        // Null: draws follow the density; n = 1e5; mean and sd of the coordinate within 5 standard errors.
        let mut rng = Key::root(3).stream(Purpose::Propose);
        for marginal in ALL {
            let n = 100_000;
            let draws: Vec<f64> = (0..n).map(|_| marginal.draw(&mut rng)).collect();
            let mean = draws.iter().sum::<f64>() / f64::from(n);
            let spread = (draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n)).sqrt();
            assert!((mean - marginal.mean()).abs() < 5.0 * spread / f64::from(n).sqrt(), "{marginal:?} {mean}");
            let u: Vec<f64> = draws.iter().map(|x| marginal.coordinate(*x)).collect();
            let centre = u.iter().sum::<f64>() / f64::from(n);
            let sd = (u.iter().map(|x| (x - centre).powi(2)).sum::<f64>() / f64::from(n)).sqrt();
            assert!((sd / marginal.coordinate_sd() - 1.0).abs() < 0.02, "{marginal:?} {sd}");
            assert!(draws.iter().all(|x| (marginal.natural(marginal.coordinate(*x)) - x).abs() < 1e-12 * (1.0 + x.abs())));
            assert!(draws.iter().all(|x| (marginal.bounded(marginal.unbounded(*x)) - x).abs() < 1e-12 * (1.0 + x.abs())));
            assert!([-40.0, 40.0].iter().all(|t| marginal.supports(marginal.coordinate(marginal.bounded(*t)))), "{marginal:?}");
        }
    }

    #[test]
    fn whole_numbers_are_equally_likely_by_draw_and_by_coordinate() {
        let die = Marginal::Integer { lower: 1.0, upper: 6.0 };
        // Null: uniform on six numbers; n = 6e4 draws each way; counts within 5 standard errors (91) of 1e4.
        let mut rng = Key::root(8).stream(Purpose::Propose);
        let mut counts = [[0i64; 6]; 2];
        for _ in 0..60_000 {
            counts[0][die.draw(&mut rng) as usize - 1] += 1;
            counts[1][die.natural(0.5 + 6.0 * rng.uniform()) as usize - 1] += 1;
        }
        assert!(counts.iter().flatten().all(|count| (count - 10_000).abs() < 460), "{counts:?}");
        assert!((libm::exp(die.ln_density_at(6.4)) - 1.0 / 6.0).abs() < 1e-15 && (die.mean() - 3.5).abs() < 1e-15);
        assert_eq!([die.supports(0.4), die.supports(6.6), die.ln_density(2.5).is_finite()], [false; 3]);
        assert!((die.coordinate_sd().powi(2) - 35.0 / 12.0).abs() < 1e-12);
    }

    #[test]
    fn outside_the_support_the_density_is_zero_and_never_nan() {
        for marginal in ALL {
            for x in [f64::NEG_INFINITY, -5.0, 0.0, 1.0, 50.0, f64::INFINITY, f64::NAN] {
                assert!(!marginal.ln_density_at(x).is_nan() && !marginal.ln_density(x).is_nan(), "{marginal:?} at {x}");
                assert_eq!(marginal.supports(x), marginal.ln_density_at(x) > f64::NEG_INFINITY, "{marginal:?} at {x}");
            }
        }
        assert_eq!(ALL[0].ln_density_at(3.1), f64::NEG_INFINITY);
        assert_eq!(ALL[4].ln_density(1.0), f64::NEG_INFINITY);
    }
}
