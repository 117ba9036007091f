//! Whole numbers from a [`Stream`]: binomial, Poisson and negative binomial.
//!
//! All by inversion of one uniform: from 0 upwards where few are expected, and otherwise from the mode outwards, right and
//! left in turn, which ends after about as many terms as the standard deviation is wide. The probability of the mode is
//! the saddle-point form of Loader (2000, "Fast and accurate computation of binomial probabilities"), in which nothing
//! large cancels; the other way, a difference of `lgamma`s, loses nine digits at n = 10⁶.
//!
//! Guarantees: the bits of a draw depend on the stream and the arguments alone (IEEE operations and `libm`, no fused ones);
//! probabilities are right to about 10⁻¹² of their value, and whatever is rarer than the 2⁻⁵² of a uniform is not resolved.

use std::f64::consts::PI;

use super::Stream;

/// Expected number from which inversion starts at the mode. At 10 the Stirling series below is good to the last bit, and
/// the search from 0 has become the longer one.
const MANY: f64 = 10.0;
/// Whole numbers above this, 2⁵³, are not all numbers of `f64`.
const WHOLE: f64 = 9_007_199_254_740_992.0;

impl Stream {
    /// Binomial number of successes in `n` trials that succeed with probability `p` each; taken as 0 below 0 and as 1
    /// above 1, `n` at most 2⁵³. Consumes one uniform, whatever `n` and `p`.
    ///
    /// Time O(n p) for n p < 10, O(√(n p (1 - p))) above. The draw rises with its uniform only for n p < 10.
    pub fn binomial(&mut self, n: u64, p: f64) -> u64 {
        binomial(self.uniform(), n, p)
    }

    /// Poisson number with the given mean, which must be finite; 0 for a mean of 0 or less. Consumes one uniform.
    ///
    /// Time O(mean) below 10, O(√mean) above. From a mean of 2⁵³ on it is the mean itself, rounded down.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        let u = self.uniform();
        if mean <= 0.0 {
            return 0;
        }
        if mean >= WHOLE {
            return mean as u64;
        }
        let up = |k: u64| mean / (k + 1) as f64;
        if mean < MANY {
            return upwards(u, u64::MAX, libm::exp(-mean), up);
        }
        let mode = mean as u64;
        let m = mode as f64;
        let beyond = mean - m;
        let exponent = m * libm::log1p(beyond / m) - beyond - stirling(m);
        let top = libm::exp(exponent) / libm::sqrt(2.0 * PI * m);
        outwards(u, mode, u64::MAX, top, up, |k| k as f64 / mean)
    }

    /// Negative binomial number of failures before success number `successes`, when failure and success stand `odds` to 1;
    /// its mean is `successes · odds`. `odds` must be finite; 0 for odds of 0 or less, and for no successes.
    ///
    /// Consumes one uniform for a mean below 10, in time O(mean). Above it is Poisson with a mean that is gamma distributed:
    /// time O(√mean), and as many uniforms as [`Stream::gamma`] takes, plus one.
    pub fn negative_binomial(&mut self, successes: u64, odds: f64) -> u64 {
        let shape = successes as f64;
        let mean = shape * odds;
        if mean >= MANY {
            let mean = self.gamma(shape) * odds;
            return self.poisson(mean);
        }
        let u = self.uniform();
        if mean <= 0.0 {
            return 0;
        }
        let failure = odds / (1.0 + odds);
        let none = libm::exp(-shape * libm::log1p(odds));
        upwards(u, u64::MAX, none, |k| failure * (shape + k as f64) / (k + 1) as f64)
    }
}

/// Binomial number at the uniform `u`.
fn binomial(u: f64, n: u64, p: f64) -> u64 {
    if p <= 0.0 {
        return 0;
    }
    if p >= 1.0 {
        return n;
    }
    // Where many are expected the rarer outcome is counted: 1 - p is exact for p in [1/2, 1].
    if p > 0.5 && n as f64 * p >= MANY { n - rarer(u, n, 1.0 - p) } else { rarer(u, n, p) }
}

/// The same for p of at most 1/2 or few expected successes.
fn rarer(u: f64, n: u64, p: f64) -> u64 {
    /// Trials up to which `(1 - p)^n` is taken as a power, to the bit what this stream has always given; beyond, the
    /// rounding of 1 - p would count n times.
    const FEW: u64 = 512;
    let trials = n as f64;
    let mean = trials * p;
    if mean < MANY {
        let none = if n <= FEW { libm::pow(1.0 - p, trials) } else { libm::exp(trials * libm::log1p(-p)) };
        return upwards(u, n, none, successes(n, p));
    }
    let mode = ((trials + 1.0) * p) as u64;
    let (m, rest) = (mode as f64, (n - mode) as f64);
    // Less than 1 in size, so that the two logarithms stay near 0 and their sum is exact.
    let beyond = mean - m;
    let distance = m * libm::log1p(beyond / m) + rest * libm::log1p(-beyond / rest);
    let top = libm::exp(distance + stirling(trials) - stirling(m) - stirling(rest));
    let top = top * libm::sqrt(trials / (2.0 * PI * m * rest));
    let odds = p / (1.0 - p);
    outwards(u, mode, n, top, successes(n, p), |k| k as f64 / (odds * (n - k + 1) as f64))
}

/// Probability of k + 1 successes in `n` trials over that of k.
fn successes(n: u64, p: f64) -> impl Fn(u64) -> f64 {
    let odds = p / (1.0 - p);
    move |k| odds * (n - k) as f64 / (k + 1) as f64
}

/// Smallest k at which the distribution function, summed from 0, reaches `u`. `none` is the probability of 0, `up(k)` that
/// of k + 1 over that of k.
#[inline(always)]
fn upwards(u: f64, most: u64, none: f64, up: impl Fn(u64) -> f64) -> u64 {
    let mut term = none;
    let mut below = none;
    let mut k = 0;
    while u > below && k < most {
        term *= up(k);
        let next = below + term;
        // The sum may round to less than the largest uniform; without this such a draw runs away to `most`.
        if next == below {
            break;
        }
        below = next;
        k += 1;
    }
    k
}

/// The k at which the probabilities, summed from the mode outwards, reach `u`. `top` is the probability of the mode, `up(k)`
/// and `down(k)` those of k + 1 and k - 1 over that of k.
#[inline(always)]
fn outwards(u: f64, mode: u64, most: u64, top: f64, up: impl Fn(u64) -> f64, down: impl Fn(u64) -> f64) -> u64 {
    let (mut low, mut high) = (mode, mode);
    let (mut left, mut right) = (top, top);
    let mut sum = top;
    while u > sum {
        let before = sum;
        if high < most {
            right *= up(high);
            high += 1;
            sum += right;
            if u <= sum {
                return high;
            }
        }
        if low > 0 {
            left *= down(low);
            low -= 1;
            sum += left;
            if u <= sum {
                return low;
            }
        }
        // As in `upwards`; here the far end of the right tail.
        if sum == before {
            return high;
        }
    }
    mode
}

/// ln n! less Stirling's ln(√(2 π n) (n / e)^n), for n of at least 10: absolute error below 10⁻¹⁵.
fn stirling(n: f64) -> f64 {
    const SERIES: [f64; 7] =
        [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360_360.0, 1.0 / 156.0];
    let per_square = 1.0 / (n * n);
    SERIES.iter().rev().fold(0.0, |sum, c| sum * per_square + c) / n
}

#[cfg(test)]
mod tests;
