//! Weighted L_p distance: (Σ wᵢ |xᵢ − oᵢ|ᵖ / sᵢᵖ)^(1/p), p = 2 unless said otherwise.
//!
//! Scales are 1, or learnt from a pilot, simulations at draws of the prior that all run to their end: 1.4826 times the median
//! absolute deviation (MAD) from the median, which is the standard deviation of a normal and does not heed outliers
//! (Prangle 2017, Bayesian Anal 12:289), or the standard deviation where more than half of the values are one.
//!
//! **Outliers of the observations.** A summary that the model cannot bring about weighs most where it says nothing. If asked
//! to, the distance adds |median − observed| to the scale of each summary that is observed beyond every simulation of the
//! pilot and farther than [`FAR`] scales from their median, unless these are more than a third: then the model is wrong, not
//! the data (after the combined MAD of Schälte, Alamoudi and Hasenauer 2021, bioRxiv 2021.07.29.454327, who add the
//! deviation to all scales; here summaries that fit keep theirs).

use crate::distance::{Distance, Parts, in_ball};
use crate::error::{Error, Result};
use crate::rng::Stream;

/// Scales from the median beyond which an observed value can be an outlier.
pub const FAR: f64 = 4.0;
/// Share of the summaries that may be outliers.
const MOST_OUTLYING: f64 = 1.0 / 3.0;
/// MAD to standard deviation, of a normal.
const NORMAL: f64 = 1.482_602_218_505_602;

/// L_p distance with a scale and a weight per summary.
#[derive(Clone, Debug, PartialEq)]
pub struct Euclidean {
    observed: Vec<f64>,
    parts: Parts,
    p: f64,
    pilot: Option<Pilot>,
}

/// What simulations at draws of the prior say of the summaries.
#[derive(Clone, Debug, PartialEq)]
pub struct Pilot {
    /// Median of each.
    centre: Vec<f64>,
    /// Scale of each.
    scale: Vec<f64>,
    /// Least and greatest value of each.
    range: Vec<(f64, f64)>,
    /// Whether outliers of the observations are counted for less.
    robust: bool,
}

impl Pilot {
    /// From rows of summaries, one a simulation.
    ///
    /// # Errors
    /// The index of a summary that never varies.
    pub fn of(rows: &[Vec<f64>], m: usize, left_out: &[bool], robust: bool) -> Result<Self, usize> {
        let mut pilot = Pilot { centre: Vec::new(), scale: Vec::new(), range: Vec::new(), robust };
        for (k, left_out) in left_out.iter().enumerate().take(m) {
            let values: Vec<f64> = rows.iter().map(|row| row[k]).collect();
            let centre = median(values.clone());
            let mad = NORMAL * median(values.iter().map(|x| (x - centre).abs()).collect());
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let sd = (values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / values.len() as f64).sqrt();
            let scale = if mad > 0.0 { mad } else { sd };
            if !left_out && (scale.is_nan() || scale <= 1e-12 * centre.abs()) {
                return Err(k);
            }
            pilot.centre.push(centre);
            pilot.scale.push(if *left_out { 1.0 } else { scale });
            let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
            pilot.range.push(values.iter().fold((low, high), |(low, high), x| (x.min(low), x.max(high))));
        }
        Ok(pilot)
    }

    /// The scales for these observations, and which of them are outliers.
    fn scales(&self, observed: &[f64], weight: &[f64]) -> (Vec<f64>, Vec<bool>) {
        let outlying = |k: usize| {
            let (low, high) = self.range[k];
            let far = (observed[k] - self.centre[k]).abs() > FAR * self.scale[k];
            self.robust && weight[k] > 0.0 && far && !(low..=high).contains(&observed[k])
        };
        let mut outlying: Vec<bool> = (0..observed.len()).map(outlying).collect();
        let most = MOST_OUTLYING * weight.iter().filter(|w| **w > 0.0).count() as f64;
        if outlying.iter().filter(|o| **o).count() as f64 > most {
            outlying.fill(false);
        }
        let scale = |(k, out): (usize, &bool)| self.scale[k] + if *out { (self.centre[k] - observed[k]).abs() } else { 0.0 };
        (outlying.iter().enumerate().map(scale).collect(), outlying)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    if n == 0 { f64::NAN } else { 0.5 * (values[(n - 1) / 2] + values[n / 2]) }
}

impl Euclidean {
    /// From observed summaries, a weight for each, p in [1, infinity), and the pilot that gives scales; without one they are 1.
    ///
    /// # Errors
    /// [`Error::Usage`]: lengths differ, a weight is below 0 or all are 0, p is below 1, or an observation is not finite.
    pub fn new(observed: Vec<f64>, weights: Vec<f64>, p: f64, pilot: Option<Pilot>) -> Result<Euclidean> {
        let refuse = |problem: &str, fix: &str| Err(Error::Usage { problem: problem.into(), fix: fix.into() });
        if weights.len() != observed.len() || pilot.as_ref().is_some_and(|pilot| pilot.scale.len() != observed.len()) {
            return refuse("a distance needs one scale and one weight per summary", "make the lists equally long");
        }
        if !observed.iter().all(|x| x.is_finite()) {
            return refuse("an observed summary is not finite", "check the observations");
        }
        if !weights.iter().all(|w| w.is_finite() && *w >= 0.0) || weights.iter().all(|w| *w == 0.0) {
            return refuse("weights lie in [0, infinity), one at least above 0", "use 0 to leave a summary out");
        }
        if !(p.is_finite() && p >= 1.0) {
            return refuse("the exponent p of a distance lies in [1, infinity)", "use p = 2");
        }
        let none = (vec![1.0; observed.len()], vec![false; observed.len()]);
        let (scale, outlying) = pilot.as_ref().map_or(none, |pilot| pilot.scales(&observed, &weights));
        Ok(Euclidean { observed, parts: Parts { scale, weight: weights, outlying, foretold: None }, p, pilot })
    }

    fn norm(&self, residual: impl Fn(usize) -> f64) -> f64 {
        let Parts { scale, weight, .. } = &self.parts;
        let part = |i: usize| residual(i) / scale[i];
        let power = |x: f64| if self.p == 2.0 { x * x } else { libm::pow(x.abs(), self.p) };
        let sum: f64 = (0..self.observed.len()).map(|i| weight[i] * power(part(i))).sum();
        if self.p == 2.0 { sum.sqrt() } else { libm::pow(sum, 1.0 / self.p) }
    }
}

impl Distance for Euclidean {
    fn between(&self, a: &[f64], b: &[f64]) -> f64 {
        self.norm(|i| a[i] - b[i])
    }

    fn observed(&self) -> &[f64] {
        &self.observed
    }

    fn with_observed(&self, observed: Vec<f64>) -> Box<dyn Distance> {
        let mut other = Euclidean { observed, ..self.clone() };
        if let Some(pilot) = &self.pilot {
            (other.parts.scale, other.parts.outlying) = pilot.scales(&other.observed, &other.parts.weight);
        }
        Box::new(other)
    }

    fn near(&self, summaries: &[f64], radius: f64, rng: &mut Stream) -> Option<Vec<f64>> {
        let Parts { scale, weight, .. } = &self.parts;
        let weighed = weight.iter().filter(|w| **w > 0.0).count();
        let mut ball = in_ball(weighed, self.p, rng).into_iter();
        let root = |weight: f64| if self.p == 2.0 { weight.sqrt() } else { libm::pow(weight, 1.0 / self.p) };
        let moved = |i: usize| {
            let step = if weight[i] > 0.0 { ball.next().unwrap_or(0.0) * radius } else { 0.0 };
            if step == 0.0 { summaries[i] } else { summaries[i] + step * scale[i] / root(weight[i]) }
        };
        Some((0..summaries.len()).map(moved).collect())
    }

    fn learnt(&self) -> Option<&Parts> {
        self.pilot.as_ref().map(|_| &self.parts)
    }

    fn lower_bound(&self, lower: &[f64], upper: &[f64]) -> f64 {
        self.norm(|i| super::trial::gap(self.observed[i], lower[i], upper[i]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scales of 1 and 2: half of the values are as far from the median.
    fn pilot(robust: bool) -> Pilot {
        let rows: Vec<Vec<f64>> = [-2.0, -1.0, 0.0, 1.0, 2.0].iter().map(|x| vec![x / NORMAL, 2.0 * x / NORMAL]).collect();
        Pilot::of(&rows, 2, &[false; 2], robust).unwrap()
    }

    #[test]
    fn it_has_its_closed_form_and_an_exact_bound() {
        let of = |p: f64| Euclidean::new(vec![1.0, 2.0], vec![1.0, 4.0], p, Some(pilot(false))).unwrap();
        let two = of(2.0);
        assert!((two.distance(&[4.0, 6.0]) - 25.0f64.sqrt()).abs() < 1e-14);
        assert!((of(1.0).distance(&[-2.0, 6.0]) - 11.0).abs() < 1e-14);
        assert_eq!(two.lower_bound(&[0.0, 0.0], &[3.0, 9.0]), 0.0);
        // Nearest point of the box is (4, 2).
        assert!((two.lower_bound(&[4.0, 0.0], &[5.0, 9.0]) - 3.0).abs() < 1e-14);
    }

    /// Null: a uniform point in the ball of radius 3 of dimension 4 (one summary of five is left out) is at a distance of 3 U^(1/4):
    /// mean 2.4, sd 0.49; and its first coordinate, in units of its scale, has a p-th absolute moment of 3ᵖ / (4 + p), since |x₁|ᵖ is one of
    /// four parts of that distance to the p, and the mean of it is 3ᵖ · 4 / (4 + p). n = 20 000 for each p; five standard errors.
    ///
    /// Planted: no exponential in the sum. All points lie on the sphere: a mean of 3. Planted: square roots of weights where p is 1. Points
    /// beyond the ball.
    #[test]
    fn a_point_near_by_is_uniform_in_the_ball_of_its_norm() {
        use crate::rng::{Key, Purpose};
        for p in [1.0, 1.5, 2.0, 4.0] {
            let there = Euclidean::new(vec![0.0; 5], vec![1.0, 4.0, 0.0, 0.5, 2.0], p, None).unwrap();
            let mut rng = Key::root(6).stream(Purpose::Pilot);
            let n = 20_000;
            let points: Vec<Vec<f64>> = (0..n).map(|_| there.near(&[0.0; 5], 3.0, &mut rng).unwrap()).collect();
            let check = |what: &str, values: Vec<f64>, exact: f64| {
                let mean = values.iter().sum::<f64>() / f64::from(n);
                let sd = (values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / f64::from(n)).sqrt();
                assert!((mean - exact).abs() < 5.0 * sd / f64::from(n).sqrt(), "p = {p}, {what}: {mean} for {exact}");
            };
            let distances: Vec<f64> = points.iter().map(|point| there.distance(point)).collect();
            assert!(distances.iter().all(|d| *d <= 3.0 + 1e-12) && points.iter().all(|point| point[2] == 0.0));
            check("distance", distances, 2.4);
            check("first", points.iter().map(|point| libm::pow(point[0].abs(), p)).collect(), libm::pow(3.0, p) / (4.0 + p));
            check("sign", points.iter().map(|point| point[0]).collect(), 0.0);
        }
    }

    #[test]
    fn it_refuses_what_is_no_distance() {
        for (weights, p) in [
            (vec![0.0], 2.0),
            (vec![1.0], 0.5),
            (vec![1.0], f64::NAN),
            (vec![1.0], f64::INFINITY),
            (vec![-1.0], 2.0),
            (vec![], 2.0),
        ] {
            assert!(Euclidean::new(vec![0.5], weights, p, None).is_err());
        }
    }

    #[test]
    fn scales_are_those_of_the_pilot_and_a_constant_is_named() {
        let rows = vec![vec![1.0, 5.0, 0.0], vec![2.0, 5.0, 0.0], vec![4.0, 5.0, 3.0]];
        assert_eq!(Pilot::of(&rows, 3, &[false; 3], false), Err(1));
        let pilot = Pilot::of(&rows, 3, &[false, true, false], false).unwrap();
        // Of the last more than half are one value: its standard deviation.
        assert_eq!((pilot.scale[0], pilot.scale[1]), (NORMAL, 1.0));
        assert!((pilot.scale[2] - 2.0f64.sqrt()).abs() < 1e-14);
        // A single value of many that is not a number is not a scale.
        assert_eq!(Pilot::of(&[vec![f64::NAN]], 1, &[false], false), Err(0));
    }

    #[test]
    fn outliers_count_for_less_unless_they_are_many() {
        let rows: Vec<Vec<f64>> = (-50..=50).map(|x| vec![f64::from(x) / 25.0; 3]).collect();
        let pilot = |robust| Pilot::of(&rows, 3, &[false; 3], robust).unwrap();
        let of = |robust, observed: [f64; 3]| Euclidean::new(observed.to_vec(), vec![1.0; 3], 2.0, Some(pilot(robust))).unwrap();
        let one = of(true, [0.0, 50.0, 1.0]);
        assert_eq!(one.parts.outlying, [false, true, false]);
        assert_eq!(one.parts.scale[1], 50.0 + one.parts.scale[0]);
        assert_eq!(of(false, [0.0, 50.0, 1.0]).parts.outlying, [false; 3]);
        // Two of three: the model is wrong. Other observations, other outliers.
        assert_eq!(of(true, [0.0, 50.0, -50.0]).parts.outlying, [false; 3]);
        let moved = one.with_observed(vec![0.0, 1.0, -50.0]);
        assert_eq!(moved.learnt().unwrap().outlying, [false, false, true]);
    }
}
