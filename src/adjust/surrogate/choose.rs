//! Which surrogate: forward selection by the cross-validated log score.

use super::cells::Cells;
use super::fit::{Law, Simulations, Surrogate, Work};
use crate::population::{Shape, Weights};

/// Bandwidths of the law of residuals that are tried, widest first.
const BANDWIDTHS: [f64; 16] = [1.0, 0.85, 0.7, 0.55, 0.45, 0.35, 0.27, 0.2, 0.15, 0.11, 0.08, 0.06, 0.045, 0.033, 0.025, 0.018];
/// Narrower bandwidths are not tried once this many in a row have lost.
const LOSSES: usize = 3;
/// Parts of the simulations; each is scored by what the others say.
const FOLDS: usize = 4;
/// Simulations that selection fits to, and those that it scores, at most.
const MOST_FITTED: usize = 20_000;
const MOST_SCORED: usize = 1000;
/// Residuals that the law is made of at most while a shape is chosen.
const MOST_RESIDUALS: usize = 3000;
/// The same for the bandwidth of the shape that was chosen, and for the surrogate at work: more of them allow a narrower one.
pub const ALL_RESIDUALS: usize = 12_000;
/// Standard errors by which a step must gain.
const GAIN: f64 = 2.0;
/// Cells at most, and particles for each at least.
const MOST_CELLS: usize = 16;
const LEAST_PARTICLES: usize = 4;

/// What was chosen.
pub struct Choice {
    /// The shape.
    pub shape: Shape,
    /// Its cells.
    pub cells: Cells,
    /// Mean and standard error of the log score.
    pub score: (f64, f64),
}

/// Log scores of the scored simulations under a shape with its best bandwidth.
struct Scored {
    shape: Shape,
    scores: Vec<f64>,
}

struct Selection<'a> {
    all: &'a Simulations,
    /// Rows that are fitted to, and which of them are scored.
    rows: Vec<usize>,
    scored: Vec<bool>,
}

/// Chooses a shape: begins with one linear, homoscedastic piece through all generations, takes the step towards more that
/// gains most on the simulations of the last generation, and ends when none gains two standard errors. The score is proper,
/// for whichever simulations are scored is decided by their place in the run alone. `particles` (rows of coordinates) with their
/// weights say where cells are of use.
///
/// `None` if even the simplest cannot be fitted.
pub fn choose(all: &Simulations, particles: &[f64], weights: &Weights) -> Option<Choice> {
    let last = *all.generation.last()?;
    let n = all.generation.len();
    let rows: Vec<usize> = (0..n).step_by(n.div_ceil(MOST_FITTED).max(1)).collect();
    let mut scored: Vec<bool> = rows.iter().map(|i| all.generation[*i] == last).collect();
    let every = scored.iter().filter(|s| **s).count().div_ceil(MOST_SCORED).max(1);
    for (seen, scored) in scored.iter_mut().filter(|s| **s).enumerate() {
        *scored = seen % every == 0;
    }
    let selection = Selection { all, rows, scored };
    let mut partitions = vec![Cells::one(all.d, particles, weights)];
    let room = weights.as_slice().iter().filter(|w| **w > 0.0).count() / LEAST_PARTICLES;
    while let Some(finest) = partitions.last().filter(|c| 2 * c.count() <= MOST_CELLS.min(room)) {
        partitions.push(finest.split(particles, weights));
    }
    let cells = |shape: &Shape| &partitions[shape.cells.ilog2() as usize];
    let start = Shape { first: 0, cells: 1, quadratic: false, scaled: false, local: false, bandwidth: 1.0 };
    let mut best = selection.score(start, cells(&start), MOST_RESIDUALS)?;
    loop {
        let Shape { first, cells: count, .. } = best.shape;
        let steps = [
            (first < last).then_some(Shape { first: first + 1, ..best.shape }),
            (2 * count <= 1 << (partitions.len() - 1)).then_some(Shape { cells: 2 * count, ..best.shape }),
            (!best.shape.quadratic).then_some(Shape { quadratic: true, ..best.shape }),
            (!best.shape.scaled).then_some(Shape { scaled: true, ..best.shape }),
            (!best.shape.local && count > 1).then_some(Shape { local: true, ..best.shape }),
        ];
        let mut next: Option<(f64, Scored)> = None;
        for shape in steps.into_iter().flatten() {
            let Some(other) = selection.score(shape, cells(&shape), MOST_RESIDUALS) else { continue };
            let gains: Vec<f64> = other.scores.iter().zip(&best.scores).map(|(new, old)| new - old).collect();
            let (gain, error) = mean_and_error(&gains);
            if gain > GAIN * error && gain > next.as_ref().map_or(0.0, |(gain, _)| *gain) {
                next = Some((gain, other));
            }
        }
        match next {
            Some((_, other)) => best = other,
            None => break,
        }
    }
    let best = selection.score(best.shape, cells(&best.shape), ALL_RESIDUALS)?;
    Some(Choice { shape: best.shape, cells: cells(&best.shape).clone(), score: mean_and_error(&best.scores) })
}

impl Selection<'_> {
    /// Scores of the scored rows, each under a surrogate that was fitted without its fold.
    fn score(&self, shape: Shape, cells: &Cells, residuals: usize) -> Option<Scored> {
        let mut scores = vec![Vec::new(); BANDWIDTHS.len()];
        for fold in 0..FOLDS {
            let judged = |k: &usize| self.scored[*k] && k % FOLDS == fold;
            let judged: Vec<usize> = (0..self.rows.len()).filter(judged).map(|k| self.rows[k]).collect();
            if judged.is_empty() {
                continue;
            }
            let fitted = |(k, i): (usize, &usize)| (k % FOLDS != fold && self.all.generation[*i] >= shape.first).then_some(*i);
            let rows: Vec<usize> = self.rows.iter().enumerate().filter_map(fitted).collect();
            let surrogate = Surrogate::fit(self.all, &rows, cells, &shape)?;
            let (mut work, mut white) = (Work::default(), Vec::new());
            for i in judged {
                let mut z = self.all.x(i).to_vec();
                let ln = surrogate.whiten(self.all.u(i), &mut z, &mut work);
                white.push((z, ln));
            }
            let (mut most, mut losses) = (f64::NEG_INFINITY, 0);
            for (b, bandwidth) in BANDWIDTHS.into_iter().enumerate() {
                if losses == LOSSES {
                    scores[b].extend(vec![f64::NEG_INFINITY; white.len()]);
                    continue;
                }
                let mut law = Law::new(self.all.m, &surrogate.residuals, bandwidth, residuals);
                let found: Vec<f64> = white.iter().map(|(z, ln)| law.ln_density(z) + ln).collect();
                let sum: f64 = found.iter().sum();
                losses = if sum < most { losses + 1 } else { 0 };
                most = most.max(sum);
                scores[b].extend(found);
            }
        }
        let sums = scores.iter().map(|s| s.iter().sum::<f64>()).enumerate();
        let (b, sum) = sums.max_by(|a, b| a.1.total_cmp(&b.1))?;
        sum.is_finite().then(|| Scored { shape: Shape { bandwidth: BANDWIDTHS[b], ..shape }, scores: scores.swap_remove(b) })
    }
}

/// Mean, and its standard error.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let square = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    (mean, (square / n).sqrt())
}
