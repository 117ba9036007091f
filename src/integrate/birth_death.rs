//! Small clones, cell by cell: the linear birth–death process, the exchange of cells between two places, and both together.
//!
//! A cell divides at rate b and dies at rate d, by itself. With `e = exp((b - d) t)` and `x = (e - 1) / (b - d)` (`t` if
//! b = d), after time t one cell has left
//!
//! ```text
//! no cell           with probability  α = d x / (1 + b x)
//! k >= 1 cells      with probability  (1 - α) (1 - β) β^(k - 1),     β = b x / (1 + b x)
//! ```
//!
//! (Kendall 1948, Ann Math Stat 19:1; Bailey 1964, The Elements of Stochastic Processes, ch. 8). In this form nothing
//! cancels, not for b = d, b = 0 or d = 0, and not for a short t. Of n cells, Binomial(n, 1 - α) have descendants; s of
//! them have s more a negative binomial number.
//!
//! Rates are per cell and unit of time, must be finite and not negative, and are constant over a step; numbers of cells are
//! whole and at most 2⁵³. Samples are functions of the stream and the arguments alone, to the bit.

use crate::rng::Stream;

/// Growth `(b - d) t` at which the formulas are cut, lest they overflow; e^300 cells are no small clone.
const MOST_GROWTH: f64 = 300.0;

/// The descendants of one cell after a step.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Family {
    /// Probability that none are left, α.
    extinct: f64,
    /// Probability that some are left, 1 - α, to full precision where it is small.
    extant: f64,
    /// Mean number beyond the first, if some are left: β / (1 - β).
    further: f64,
}

impl Family {
    fn new(birth: f64, death: f64, dt: f64) -> Self {
        let growth = ((birth - death) * dt).min(MOST_GROWTH);
        let x = if growth == 0.0 { dt } else { libm::expm1(growth) / (birth - death) };
        let further = birth * x;
        Family { extinct: death * x / (1.0 + further), extant: libm::exp(growth) / (1.0 + further), further }
    }

    fn draw(&self, rng: &mut Stream, n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        // The rarer of the two is counted, by its own probability: 1 - α would have lost the digits of a small α.
        let extant = if self.extinct <= 0.5 { n - rng.binomial(n, self.extinct) } else { rng.binomial(n, self.extant) };
        if extant == 0 { 0 } else { extant.saturating_add(rng.negative_binomial(extant, self.further)) }
    }
}

/// Cells after `dt` of a linear birth–death process that starts with `n`: an exact sample.
///
/// Takes time O(1) for few cells and O(√n) for many. Consumes no random number if `n` is 0, one if all die, and otherwise
/// one and those of [`Stream::negative_binomial`].
pub fn birth_death(rng: &mut Stream, n: u64, birth: f64, death: f64, dt: f64) -> u64 {
    Family::new(birth, death, dt).draw(rng, n)
}

/// Probabilities that a cell which starts in the one or the other of two places is in the other one after a step.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Exchange {
    forth: f64,
    back: f64,
}

impl Exchange {
    fn new(forth: f64, back: f64, dt: f64) -> Self {
        let both = forth + back;
        if both <= 0.0 {
            return Exchange { forth: 0.0, back: 0.0 };
        }
        let moved = -libm::expm1(-both * dt);
        Exchange { forth: moved * (forth / both), back: moved * (back / both) }
    }

    fn draw(&self, rng: &mut Stream, a: u64, b: u64) -> (u64, u64) {
        let forth = if a == 0 { 0 } else { rng.binomial(a, self.forth) };
        let back = if b == 0 { 0 } else { rng.binomial(b, self.back) };
        (a - forth + back, b - back + forth)
    }
}

/// Cells in two places after `dt`, of `a` and `b` that each change place at the rates `forth` (a to b) and `back`, by
/// themselves: an exact sample, and no cell is lost.
///
/// Consumes one uniform for each place that is not empty at the start.
pub fn exchange(rng: &mut Stream, a: u64, b: u64, forth: f64, back: f64, dt: f64) -> (u64, u64) {
    Exchange::new(forth, back, dt).draw(rng, a, b)
}

/// Rates of a clone in two places, per cell and unit of time, finite and not negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Cycling cells become quiescent.
    pub attach: f64,
    /// Quiescent cells become cycling.
    pub release: f64,
    /// Cycling cells divide.
    pub birth: f64,
    /// Cycling cells die, whatever the cause.
    pub death: f64,
}

/// One step of a clone whose cycling cells divide and die and whose quiescent ones do neither, ready to be taken by any
/// number of clones that have the same rates.
///
/// Symmetric splitting (Strang 1968, SIAM J Numer Anal 5:506): half of the exchange, all births and deaths, the other half.
/// Each part is exact, so that numbers stay whole and never negative, and a clone that is extinct stays so. Errors of the
/// distribution over a given time are O(dt²); the mean has none if birth and death are equal.
///
/// With dt = 10 d, one cell to start with, and 54 sets of rates (attach 0.005 to 0.05, release 0.001 to 0.003, birth 0.005
/// to 0.04, death 0.01 to 0.035 per day), the errors, relative for the mean of either place, absolute for the probability
/// of extinction, are
///
/// ```text
/// after               10 d      100 d     360 d     3600 d
/// mean, median        0.16 %    0.20 %    0.41 %    1.0 %
/// mean, worst         1.3 %     2.7 %     3.1 %     15 % (where the clone has grown by e^12)
/// extinction, median  0.0011    0.0020    0.0018    0.0003
/// extinction, worst   0.0069    0.0097    0.0094    0.0051
/// ```
///
/// The worst are all at attach = 0.05, and a quarter of that at dt = 5 d. There the variance of the quiescent cells too was
/// seen 3.4 % too small after 200 d. A step is short enough where (attach + birth + death) dt is well below 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    half: Exchange,
    family: Family,
}

impl Step {
    /// The step of length `dt`, at least 0, at these rates.
    pub fn new(rates: &Rates, dt: f64) -> Self {
        Step { half: Exchange::new(rates.release, rates.attach, 0.5 * dt), family: Family::new(rates.birth, rates.death, dt) }
    }

    /// The cells of a clone, [quiescent, cycling], after the step.
    pub fn draw(&self, rng: &mut Stream, [q, c]: [u64; 2]) -> [u64; 2] {
        let (q, c) = self.half.draw(rng, q, c);
        let c = self.family.draw(rng, c);
        let (q, c) = self.half.draw(rng, q, c);
        [q, c]
    }
}

/// The cells of a clone, [quiescent, cycling], after one [`Step`] of length `dt`.
pub fn two_places(rng: &mut Stream, cells: [u64; 2], rates: &Rates, dt: f64) -> [u64; 2] {
    Step::new(rates, dt).draw(rng, cells)
}

#[cfg(test)]
mod tests;
