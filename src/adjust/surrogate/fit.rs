//! A surrogate of the simulator: the law of the summaries at any parameters, learnt from simulations.
//!
//! In the cell k of the parameters (coordinates u, in units about the centre of the cell: v)
//!
//! ```text
//! x = B_k φ(v) + s_k(v) ∘ L_k z,    z ~ Σ_i N(√(1 − b²) z_i, b² I) / n
//! ```
//! with φ linear or quadratic, `s_k` one or the exponential of a quadratic, and the `z_i` the whitened residuals of the
//! simulations. The law of z keeps their mean and covariance whatever b is (West 1993, J R Stat Soc B 55:409): with b = 1 it
//! is normal and the whole a synthetic likelihood (Wood 2010, Nature 466:1102), with b near 0 it has any shape.

use super::cells::Cells;
use crate::density::least_squares::{Regression, count, features};
use crate::density::{Mixture, cholesky, colour, forward};
use crate::integrate::Width;
use crate::population::Shape;
use crate::rng::Stream;

/// Simulations: coordinates of the parameters, summaries, and the generation of each; row after row.
#[derive(Clone, Debug)]
pub struct Simulations {
    /// Coordinates in a row.
    pub d: usize,
    /// Summaries in a row.
    pub m: usize,
    /// Coordinates of the parameters.
    pub u: Vec<f64>,
    /// Summaries.
    pub x: Vec<f64>,
    /// Generation; ascending.
    pub generation: Vec<usize>,
}

impl Simulations {
    /// Coordinates of row `i`.
    pub fn u(&self, i: usize) -> &[f64] {
        &self.u[i * self.d..(i + 1) * self.d]
    }

    /// Summaries of row `i`.
    pub fn x(&self, i: usize) -> &[f64] {
        &self.x[i * self.m..(i + 1) * self.m]
    }
}

/// Largest leverage that the residual of a fitted row is corrected for.
const MOST_LEVERAGE: f64 = 0.9;
/// Ridge of the regression of log squared residuals, whose noise is strong.
const SCALE_RIDGE: f64 = 1e-3;
/// Added to squared residuals, in units of their mean, before the logarithm is taken.
const LEAST_SQUARE: f64 = 1e-6;

/// What the simulations of one cell say.
#[derive(Clone, Debug)]
struct Cell {
    location: Regression,
    /// Log squared scale of each summary, with the range that it had among the simulations: no extrapolation of exponentials.
    scale: Option<(Regression, Vec<(f64, f64)>)>,
    factor: Vec<f64>,
    ln_factor: f64,
    /// The normal that has the moments of the parameters that were simulated, and the largest squared distance from its
    /// mean among them.
    reach: Normal,
    farthest: f64,
    share: f64,
}

/// A normal distribution.
#[derive(Clone, Debug)]
struct Normal {
    mean: Vec<f64>,
    factor: Vec<f64>,
}

impl Normal {
    fn of<'a>(d: usize, rows: impl Iterator<Item = &'a [f64]> + Clone) -> Option<Self> {
        let n = rows.clone().count() as f64;
        let mut mean = vec![0.0; d];
        rows.clone().for_each(|row| mean.iter_mut().zip(row).for_each(|(sum, u)| *sum += u / n));
        let mut scatter = vec![0.0; d * d];
        rows.for_each(|row| {
            (0..d * d).for_each(|ij| scatter[ij] += (row[ij / d] - mean[ij / d]) * (row[ij % d] - mean[ij % d]) / n)
        });
        (0..d).for_each(|k| scatter[k * d + k] *= 1.0 + 1e-9);
        Some(Normal { mean, factor: cholesky(d, &scatter)? })
    }

    fn square(&self, u: &[f64], work: &mut Vec<f64>) -> f64 {
        work.clear();
        work.extend(u.iter().zip(&self.mean).map(|(u, mean)| u - mean));
        forward(&self.factor, u.len(), work);
        work.iter().map(|z| z * z).sum()
    }
}

/// The surrogate.
#[derive(Clone, Debug)]
pub struct Surrogate {
    cells: Cells,
    quadratic: bool,
    cell: Vec<Cell>,
    m: usize,
    /// Whitened residuals, row after row.
    pub residuals: Vec<f64>,
}

/// Vectors that evaluations use one after the other.
#[derive(Clone, Debug, Default)]
pub struct Work {
    v: Vec<f64>,
    f: Vec<f64>,
}

impl Surrogate {
    /// Fits one to `rows` of the simulations; `None` if a cell has too few of them or they are degenerate.
    pub fn fit(all: &Simulations, rows: &[usize], cells: &Cells, shape: &Shape) -> Option<Self> {
        let (d, m) = (all.d, all.m);
        let mut members = vec![Vec::new(); cells.count()];
        rows.iter().for_each(|i| members[cells.of(all.u(*i))].push(*i));
        let p = count(d, shape.quadratic);
        let least = 2 * if shape.scaled { count(d, true) } else { p } + m;
        if members.iter().any(|rows| rows.len() < least) {
            return None;
        }
        let (mut residual, mut located) = (Vec::with_capacity(members.len()), Vec::new());
        for (k, rows) in members.iter().enumerate() {
            let mut design = design(all, rows, cells, k, shape.quadratic);
            let mut y: Vec<f64> = rows.iter().flat_map(|i| all.x(*i)).copied().collect();
            let location = Regression::fit(p, m, &design, &y, None)?;
            for (f, y) in design.chunks_exact_mut(p).zip(y.chunks_exact_mut(m)) {
                location.subtract(f, y);
                let spread = (1.0 - location.leverage(f).min(MOST_LEVERAGE)).sqrt();
                y.iter_mut().for_each(|y| *y /= spread);
            }
            residual.push(y);
            located.push(location);
        }
        let mut scales = vec![None; members.len()];
        if shape.scaled {
            let mean = mean_squares(m, &residual);
            for (k, rows) in members.iter().enumerate() {
                scales[k] = Some(scale(&design(all, rows, cells, k, true), count(d, true), &mut residual[k], &mean)?);
            }
        }
        let pooled = covariance(m, &residual.concat());
        let mut cell = Vec::new();
        let mut z = Vec::new();
        for (((rows, location), scale), residual) in members.iter().zip(located).zip(scales).zip(&mut residual) {
            let factor = cholesky(m, &if shape.local { covariance(m, residual) } else { pooled.clone() })?;
            residual.chunks_exact_mut(m).for_each(|r| forward(&factor, m, r));
            let reach = Normal::of(d, rows.iter().map(|i| all.u(*i)))?;
            let mut work = Vec::new();
            let farthest = rows.iter().map(|i| reach.square(all.u(*i), &mut work)).fold(0.0, f64::max);
            let ln_factor = (0..m).map(|k| libm::log(factor[k * m + k])).sum();
            let share = rows.len() as f64 / members.iter().map(Vec::len).sum::<usize>() as f64;
            cell.push(Cell { location, scale, factor, ln_factor, reach, farthest, share });
            z.extend_from_slice(residual);
        }
        Some(Surrogate { cells: cells.clone(), quadratic: shape.quadratic, cell, m, residuals: z })
    }

    /// Whitens the summaries `z` as seen from parameters `u`, in place, and returns the log Jacobian of that. The variance of
    /// what the regression predicts counts as variance of the summaries.
    pub fn whiten(&self, u: &[f64], z: &mut [f64], work: &mut Work) -> f64 {
        let k = self.cells.of(u);
        let cell = &self.cell[k];
        self.cells.place(k, u, &mut work.v);
        let mut ln = cell.ln_factor;
        features(&work.v, self.quadratic, &mut work.f);
        cell.location.subtract(&work.f, z);
        let spread = (1.0 + cell.location.leverage(&mut work.f)).sqrt();
        if let Some((scale, range)) = &cell.scale {
            features(&work.v, true, &mut work.f);
            work.v.clear();
            work.v.resize(self.m, 0.0);
            scale.subtract(&work.f, &mut work.v);
            for ((z, log), (low, high)) in z.iter_mut().zip(&work.v).zip(range) {
                let half = 0.5 * (-log).clamp(*low, *high);
                *z *= libm::exp(-half);
                ln += half;
            }
        }
        forward(&cell.factor, self.m, z);
        z.iter_mut().for_each(|z| *z /= spread);
        -ln - self.m as f64 * libm::log(spread)
    }

    /// Whether parameters lie where there were simulations; beyond, regressions extrapolate.
    pub fn reaches(&self, u: &[f64], work: &mut Work) -> bool {
        let cell = &self.cell[self.cells.of(u)];
        cell.reach.square(u, &mut work.v) <= cell.farthest
    }

    /// One draw of a mixture of normals that lies over the parameters that were simulated.
    pub fn draw(&self, rng: &mut Stream, out: &mut [f64]) {
        let (mut level, mut k) = (rng.uniform(), 0);
        while k + 1 < self.cell.len() && level > self.cell[k].share {
            level -= self.cell[k].share;
            k += 1;
        }
        let Normal { mean, factor } = &self.cell[k].reach;
        out.iter_mut().for_each(|z| *z = rng.normal());
        colour(factor, out);
        out.iter_mut().zip(mean).for_each(|(z, mean)| *z += mean);
    }

    /// Natural log of the density of [`Surrogate::draw`], up to a constant.
    pub fn ln_draw(&self, u: &[f64], work: &mut Work) -> f64 {
        let (mut top, mut terms) = (f64::NEG_INFINITY, Vec::with_capacity(self.cell.len()));
        for cell in &self.cell {
            let ln_factor: f64 = (0..u.len()).map(|k| libm::log(cell.reach.factor[k * u.len() + k])).sum();
            let term = libm::log(cell.share) - ln_factor - 0.5 * cell.reach.square(u, &mut work.v);
            top = term.max(top);
            terms.push(term);
        }
        top + libm::log(terms.iter().map(|term| libm::exp(term - top)).sum())
    }
}

fn design(all: &Simulations, rows: &[usize], cells: &Cells, cell: usize, quadratic: bool) -> Vec<f64> {
    let (mut design, mut v, mut f) = (Vec::with_capacity(rows.len() * count(all.d, quadratic)), Vec::new(), Vec::new());
    for i in rows {
        cells.place(cell, all.u(*i), &mut v);
        features(&v, quadratic, &mut f);
        design.extend_from_slice(&f);
    }
    design
}

fn mean_squares(m: usize, residual: &[Vec<f64>]) -> Vec<f64> {
    let n = (residual.iter().map(Vec::len).sum::<usize>() / m) as f64;
    (0..m).map(|k| residual.iter().flat_map(|r| r.iter().skip(k).step_by(m)).map(|r| r * r / n).sum()).collect()
}

/// Regression of the log squared residuals, and the residuals divided by the scale that it gives.
fn scale(design: &[f64], p: usize, residual: &mut [f64], mean: &[f64]) -> Option<(Regression, Vec<(f64, f64)>)> {
    let m = mean.len();
    let mut logs: Vec<f64> = Vec::with_capacity(residual.len());
    for r in residual.chunks_exact(m) {
        logs.extend(r.iter().zip(mean).map(|(r, mean)| libm::log(r * r / mean.max(f64::MIN_POSITIVE) + LEAST_SQUARE)));
    }
    let n = (logs.len() / m) as f64;
    let centre: Vec<f64> = (0..m).map(|k| logs.iter().skip(k).step_by(m).sum::<f64>() / n).collect();
    logs.chunks_exact_mut(m).for_each(|row| row.iter_mut().zip(&centre).for_each(|(log, centre)| *log -= centre));
    let fit = Regression::fit(p, m, design, &logs, Some(SCALE_RIDGE))?;
    let mut range = vec![(f64::INFINITY, f64::NEG_INFINITY); m];
    for (f, r) in design.chunks_exact(p).zip(residual.chunks_exact_mut(m)) {
        let mut log = vec![0.0; m];
        fit.subtract(f, &mut log);
        for ((r, log), range) in r.iter_mut().zip(log).zip(&mut range) {
            *range = (range.0.min(-log), range.1.max(-log));
            *r *= libm::exp(0.5 * log);
        }
    }
    Some((fit, range))
}

/// Mean product of residuals, with a little more on the diagonal: a summary may be the sum of others, or constant.
fn covariance(m: usize, residual: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; m * m];
    for r in residual.chunks_exact(m) {
        for i in 0..m {
            (0..=i).for_each(|j| sum[i * m + j] += r[i] * r[j]);
        }
    }
    let n = (residual.len() / m) as f64;
    sum.iter_mut().for_each(|s| *s /= n);
    (0..m).for_each(|k| sum[k * m + k] = sum[k * m + k] * (1.0 + 1e-10) + 1e-200);
    sum
}

/// The law of whitened residuals.
#[derive(Clone, Debug)]
pub struct Law {
    bandwidth: f64,
    mixture: Option<Mixture>,
    constant: f64,
    work: Vec<f64>,
}

impl Law {
    /// From rows of `m` residuals, of which it takes `most` or fewer, equally spaced; `bandwidth` in (0, 1].
    pub fn new(m: usize, residuals: &[f64], bandwidth: f64, most: usize) -> Self {
        let n = residuals.len() / m;
        let pull = (1.0 - bandwidth * bandwidth).sqrt() / bandwidth;
        let taken = residuals.chunks_exact(m).step_by(n.div_ceil(most).max(1));
        let centres: Vec<f64> = taken.flatten().map(|z| pull * z).collect();
        let count = centres.len() / m;
        let mixture = (bandwidth < 1.0).then(|| Mixture::new(m, &centres, &vec![-libm::log(count as f64); count]));
        let constant = -(m as f64) * (libm::log(bandwidth) + 0.5 * libm::log(std::f64::consts::TAU));
        Law { bandwidth, mixture, constant, work: Vec::new() }
    }

    /// Natural log of its density at `z`.
    pub fn ln_density(&mut self, z: &[f64]) -> f64 {
        let Some(mixture) = &self.mixture else { return self.constant - 0.5 * z.iter().map(|z| z * z).sum::<f64>() };
        self.work.clear();
        self.work.extend(z.iter().map(|z| z / self.bandwidth));
        self.constant + mixture.ln_density(&self.work, Width::Best)
    }
}
