//! Two simulators on which ABC is tried in the literature, against their exact ABC posteriors, window of the tolerance and all: null,
//! statistics and false alarms as in [`exact_posteriors`](crate::exact_posteriors), some twenty statistics more.
//!
//! Planted: weights without the density of the proposal. Both fail, z to −20 and −22.

use nicho::density::Marginal;
use nicho::distance::euclidean::Euclidean;
use nicho::model::{Model, Parameter, Stages, Summary, Unsimulable};
use nicho::rng::{Key, Purpose};
use nicho::sampler::Problem;

use crate::exact_posteriors::{Expectation, Function, Grid, judge, parameters, problem, replicates, smc};

/// A model of two parameters and two summaries.
struct Plane {
    parameters: Vec<Parameter>,
    summaries: Vec<Summary>,
    simulate: fn(&[f64], Key) -> [f64; 2],
}

impl Model for Plane {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }
    fn summaries(&self) -> &[Summary] {
        &self.summaries
    }
    fn simulate(&self, theta: &[f64], key: Key, out: &mut dyn Stages) -> Result<(), Unsimulable> {
        let s = (self.simulate)(theta, key);
        let _ = out.stage(1.0, &s, &s);
        Ok(())
    }
}

fn in_plane(simulate: fn(&[f64], Key) -> [f64; 2], prior: [Marginal; 2], observed: [f64; 2], seed: u64) -> Problem {
    let summaries = ["s", "t"].map(|name| Summary { name: name.into(), unit: "-".into() }).to_vec();
    let model = Plane { parameters: parameters(2), summaries, simulate };
    let distance = Box::new(Euclidean::new(observed.to_vec(), vec![1.0; 2], 2.0, None).unwrap());
    Problem { distance, ..problem(Box::new(model), prior.to_vec(), 0.0, seed) }
}

/// Nodes and weights of Gauss and Legendre on [0, 1]: zeros of the Legendre polynomial by Newton's method.
fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    let node = |i: usize| {
        let mut x = (std::f64::consts::PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
        let mut slope = 0.0;
        for _ in 0..50 {
            let (mut p, mut before) = (1.0, 0.0);
            for k in 1..=n {
                let k = k as f64;
                (p, before) = (((2.0 * k - 1.0) * x * p - (k - 1.0) * before) / k, p);
            }
            slope = n as f64 * (x * p - before) / (x * x - 1.0);
            x -= p / slope;
        }
        (0.5 * (1.0 - x), 1.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..n).map(node).collect()
}

// ---------------------------------------------------------------------------------------------- MA(2)

/// Length of the series.
const LENGTH: usize = 20;
/// Terms of noise behind it.
const TERMS: usize = LENGTH + 2;

/// The moving average y_t = e_t + a e_(t−1) + b e_(t−2) of a point of the unit square, whose image is the triangle in which it can be
/// inverted, −2 < a < 2, a + b > −1, a − b < 1, with uniform density.
fn moving_average(theta: &[f64]) -> [f64; 2] {
    let root = theta[0].sqrt();
    [root * (4.0 * theta[1] - 2.0), 2.0 * root - 1.0]
}

/// Autocovariances at lag 1 and 2, as sums over the series divided by its length.
fn autocovariances(theta: &[f64], key: Key) -> [f64; 2] {
    let [a, b] = moving_average(theta);
    let mut rng = key.stream(Purpose::Simulate);
    let e: Vec<f64> = (0..TERMS).map(|_| rng.normal()).collect();
    let y: Vec<f64> = (0..LENGTH).map(|t| e[t + 2] + a * e[t + 1] + b * e[t]).collect();
    let lag = |lag: usize| (lag..LENGTH).map(|t| y[t] * y[t - lag]).sum::<f64>() / LENGTH as f64;
    [lag(1), lag(2)]
}

/// The autocovariances as quadratic forms e′Me of the noise: row i of M, columns i to i + 4.
fn forms(theta: &[f64]) -> [Vec<[f64; 5]>; 2] {
    let [a, b] = moving_average(theta);
    let filter = [b, a, 1.0];
    [1, 2].map(|lag| {
        let mut rows = vec![[0.0; 5]; TERMS];
        for t in lag..LENGTH {
            for (j, f) in filter.iter().enumerate() {
                for (k, g) in filter.iter().enumerate() {
                    // y_t y_(t−lag), half on either side of the diagonal.
                    let (at, other) = (t + j, t - lag + k);
                    let (low, high) = (at.min(other), at.max(other));
                    rows[low][high - low] += f * g / LENGTH as f64 * if low == high { 1.0 } else { 0.5 };
                }
            }
        }
        rows
    })
}

type Complex = (f64, f64);

fn times(a: Complex, b: Complex) -> Complex {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

/// E exp(i w·s) = det(1 − 2i (w₁M₁ + w₂M₂))^(−1/2) by elimination in the band. Every pivot has a positive real part, so that the root
/// of each is the principal one.
fn characteristic(forms: &[Vec<[f64; 5]>; 2], w: [f64; 2]) -> Complex {
    let mut rows: Vec<[Complex; 5]> = (0..TERMS)
        .map(|i| std::array::from_fn(|k| (f64::from(u8::from(k == 0)), -2.0 * (w[0] * forms[0][i][k] + w[1] * forms[1][i][k]))))
        .collect();
    let (mut ln, mut angle) = (0.0, 0.0);
    for i in 0..TERMS {
        let pivot = rows[i][0];
        let size = pivot.0 * pivot.0 + pivot.1 * pivot.1;
        (ln, angle) = (ln + 0.5 * size.ln(), angle + pivot.1.atan2(pivot.0));
        let inverse = (pivot.0 / size, -pivot.1 / size);
        for j in 1..5.min(TERMS - i) {
            let factor = times(rows[i][j], inverse);
            for k in j..5 {
                let step = times(factor, rows[i][k]);
                let to = &mut rows[i + j][k - j];
                *to = (to.0 - step.0, to.1 - step.1);
            }
        }
    }
    let (size, angle) = ((-0.5 * ln).exp(), -0.5 * angle);
    (size * angle.cos(), size * angle.sin())
}

/// P(|s − o| ≤ ε), by the transform of the disc, 2πε J₁(ε|w|)/|w|, in polar coordinates of w.
fn in_disc(theta: &[f64], observed: [f64; 2], epsilon: f64, (turns, steps): (usize, usize)) -> f64 {
    let forms = forms(theta);
    let [a, b] = moving_average(theta);
    // Beyond this frequency the characteristic function has no weight.
    let most = 70.0 / (1.0 + a * a + b * b).sqrt();
    let radii: Vec<(f64, f64)> = gauss_legendre(steps).into_iter().map(|(x, w)| (most * x, most * w)).collect();
    let mut sum = 0.0;
    for turn in 0..turns {
        let direction = std::f64::consts::PI * turn as f64 / turns as f64;
        let (sin, cos) = direction.sin_cos();
        for (r, weight) in &radii {
            let w = [r * cos, r * sin];
            let phase = -(w[0] * observed[0] + w[1] * observed[1]);
            let real = times(characteristic(&forms, w), (phase.cos(), phase.sin())).0;
            sum += weight * libm::j1(epsilon * r) * real;
        }
    }
    epsilon * sum / turns as f64
}

/// MA(2) under the uniform prior of the triangle, by autocovariances of a series of 20, (0.7, 0.2) within 0.15 (after Marin, Pudlo,
/// Robert and Ryder 2012, Stat Comput 22:1167): R = 12 runs of N = 1000. The exact ABC posterior is prior times the probability of the
/// disc, which their characteristic function gives; quadrature is right to 10⁻⁵ (about twice
/// the nodes in each direction say so).
#[test]
fn moving_averages_have_their_abc_posterior() {
    const OBSERVED: [f64; 2] = [0.7, 0.2];
    const EPSILON: f64 = 0.15;
    let square = [Marginal::Uniform { lower: 0.0, upper: 1.0 }; 2];
    let runs = replicates(12, &smc(1000, EPSILON), |seed| in_plane(autocovariances, square, OBSERVED, seed));
    let posterior = |nodes: usize, fine: (usize, usize)| {
        let nodes = gauss_legendre(nodes);
        let mut sums = [0.0; 6];
        for (root, w) in &nodes {
            for (across, v) in &nodes {
                // Smooth in the root of the first parameter, whose density is twice that root.
                let theta = [root * root, *across];
                let weight = w * v * 2.0 * root * in_disc(&theta, OBSERVED, EPSILON, fine);
                let [a, b] = moving_average(&theta);
                for (sum, f) in sums.iter_mut().zip([1.0, a, b, a * a, b * b, a * b]) {
                    *sum += weight * f;
                }
            }
        }
        sums
    };
    let sums = posterior(14, (40, 60));
    let [_, a, b, aa, bb, ab] = sums.map(|sum| sum / sums[0]);
    let one = |name: &str, of: fn([f64; 2]) -> f64, exact: f64| Expectation {
        name: name.into(),
        of: Box::new(move |theta: &[f64]| of(moving_average(theta))) as Function,
        exact,
    };
    judge(
        &runs,
        &[
            one("a", |t| t[0], a),
            one("b", |t| t[1], b),
            one("a squared", |t| t[0] * t[0], aa),
            one("b squared", |t| t[1] * t[1], bb),
            one("a times b", |t| t[0] * t[1], ab),
        ],
    );
}

// ---------------------------------------------------------------------------------------------- g and k

/// Draws, and which of them in order of size are the summaries.
const DRAWS: usize = 19;
const ORDERS: [usize; 2] = [4, 16];

/// Quantile of a g-and-k law at the standard normal quantile z, and its slope in z: location 3, scale 1, c = 0.8 (Rayner and
/// MacGillivray 2002, Stat Comput 12:57).
pub fn quantile(theta: &[f64], z: f64) -> (f64, f64) {
    let (g, k) = (theta[0], theta[1]);
    let tanh = libm::tanh(0.5 * g * z);
    let (skew, tails) = (1.0 + 0.8 * tanh, libm::pow(1.0 + z * z, k));
    let rise = 0.4 * g * (1.0 - tanh * tanh) * z + skew * (1.0 + 2.0 * k * z * z / (1.0 + z * z));
    (3.0 + skew * tails * z, tails * rise)
}

fn order_statistics(theta: &[f64], key: Key) -> [f64; 2] {
    let mut rng = key.stream(Purpose::Simulate);
    let mut z: Vec<f64> = (0..DRAWS).map(|_| rng.normal()).collect();
    z.sort_by(f64::total_cmp);
    ORDERS.map(|order| quantile(theta, z[order - 1]).0)
}

/// The standard normal quantile at which the law has the quantile x.
pub fn inverse(theta: &[f64], x: f64) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..52 {
        let middle = 0.5 * (low + high);
        if quantile(theta, middle).0 < x { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

fn phi(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

fn choose(n: usize, k: usize) -> f64 {
    (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product()
}

/// P that both order statistics are in the disc: over the first in its interval, the second given the first.
fn both_in_disc(theta: &[f64], observed: [f64; 2], epsilon: f64, nodes: &[(f64, f64)]) -> f64 {
    let [i, j] = ORDERS;
    let (rest, wanted) = (DRAWS - i, j - i);
    let mut sum = 0.0;
    for (node, weight) in nodes {
        let angle = std::f64::consts::PI * (node - 0.5);
        let (x, chord) = (observed[0] + epsilon * angle.sin(), epsilon * angle.cos());
        let z = inverse(theta, x);
        let density =
            i as f64 * choose(DRAWS, i) * phi(z).powi(i as i32 - 1) * phi(-z).powi(rest as i32) * libm::exp(-0.5 * z * z)
                / (2.0 * std::f64::consts::PI).sqrt();
        // At least so many of the draws beyond the first are below: the second is, too.
        let below = |x: f64| {
            let p = 1.0 - phi(-inverse(theta, x)) / phi(-z);
            (wanted..=rest).map(|k| choose(rest, k) * p.powi(k as i32) * (1.0 - p).powi((rest - k) as i32)).sum::<f64>()
        };
        let both = density * (below(observed[1] + chord) - below(observed[1] - chord));
        sum += weight * std::f64::consts::PI * chord * both / quantile(theta, z).1;
    }
    sum
}

/// g and k of a g-and-k law by two order statistics of 19 draws, about its quantiles at 20 and 80 %, (2.45, 5.3) within 0.4: R = 12 runs
/// of N = 1000. The exact ABC posterior is prior times the probability of the disc, from the law of two order statistics and the
/// inverse of the quantile function, on a grid of 60 × 60 (after Allingham, King and Mengersen 2009, Stat Comput 19:189, who take all).
#[test]
fn g_and_k_has_its_abc_posterior() {
    const OBSERVED: [f64; 2] = [2.45, 5.3];
    const EPSILON: f64 = 0.4;
    const CELLS: usize = 60;
    let (g_most, k_most) = (4.0, 1.5);
    let prior = [Marginal::Uniform { lower: 0.0, upper: g_most }, Marginal::Uniform { lower: 0.0, upper: k_most }];
    let runs = replicates(12, &smc(1000, EPSILON), |seed| in_plane(order_statistics, prior, OBSERVED, seed));
    let nodes = gauss_legendre(12);
    let middle = |most: f64, cell: usize| most * (cell as f64 + 0.5) / CELLS as f64;
    let (mut of_g, mut of_k) = (vec![0.0; CELLS], vec![0.0; CELLS]);
    for (row, column) in (0..CELLS * CELLS).map(|cell| (cell / CELLS, cell % CELLS)) {
        let p = both_in_disc(&[middle(g_most, row), middle(k_most, column)], OBSERVED, EPSILON, &nodes);
        of_g[row] += p;
        of_k[column] += p;
    }
    let middles = |most: f64| (0..CELLS).map(|cell| middle(most, cell)).collect();
    let mut expectations = Grid::of(middles(g_most), of_g).expectations("g", |theta| theta[0]);
    expectations.extend(Grid::of(middles(k_most), of_k).expectations("k", |theta| theta[1]));
    judge(&runs, &expectations);
}
