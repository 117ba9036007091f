//! Posterior modes, polished from the best particles by argmin.
//!
//! Clusters of the weighted posterior give the starts. The objective, on the coordinates of the prior, is
//!
//! `U(u) = ½ (d(s̄(u)) / c)² − ln π(u)`
//!
//! where `s̄` is the mean of the summaries over a few replicate simulations on common random numbers, so that the objective
//! is a deterministic function, `d` the job's distance, and `c` is 1 for a distance that knows the errors of the observations (half its
//! square is minus their normal log-likelihood), and the final tolerance otherwise.
//! CMA-ES minimises it from each start; the second difference of `U` about the end gives the local curvature.

mod cmaes;

use std::ops::ControlFlow;

use argmin::core::{CostFunction, Error as ArgminError, Executor as Driver, State, TerminationReason, TerminationStatus};

use crate::density::{cholesky, covariance_towards, whiten};
use crate::error::Result;
use crate::exec::{Executor, Outcome, gather};
use crate::population::{Generation, Mode, Run};
use crate::rng::{Key, Purpose};
use crate::sampler::Problem;
use cmaes::{CmaEs, Search};

/// Settings of the refinement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refine {
    /// Modes looked for at most.
    pub modes: usize,
    /// Simulations for each mode.
    pub simulations: u64,
    /// Replicate simulations in one value of the objective.
    pub replicates: usize,
}

/// Word of the tree of randomness below which refinement lives; generations count upwards from 0 and never reach it.
const BRANCH: u64 = u64::MAX - 1;
/// Objective where the prior density is zero or the simulation fails: worse than anything, and still a number.
const IMPOSSIBLE: f64 = 1e12;
/// Width of the first search, in posterior standard deviations.
const FIRST: f64 = 0.5;
/// Width at which the search has converged, in posterior standard deviations.
const LAST: f64 = 0.03;
/// Step of the second difference that measures the curvature, in posterior standard deviations.
const CURVATURE: f64 = 0.7;
/// Modes nearer than this are one, in posterior standard deviations.
const SAME: f64 = 1.0;
/// A cluster with less of the posterior weight gives no start.
const LEAST_WEIGHT: f64 = 0.02;

/// The objective in whitened coordinates: `u = centre + L x`, with the posterior covariance `L Lᵀ`.
struct Objective<'a> {
    problem: &'a Problem,
    exec: &'a dyn Executor,
    idle: &'a dyn Fn(u64) -> ControlFlow<()>,
    /// Simulations of the modes before this one.
    before: u64,
    evaluations: &'a std::cell::Cell<u64>,
    key: Key,
    replicates: usize,
    scale: f64,
    centre: Vec<f64>,
    factor: Vec<f64>,
}

impl Objective<'_> {
    fn coordinates(&self, x: &[f64]) -> Vec<f64> {
        let d = x.len();
        (0..d).map(|i| self.centre[i] + (0..=i).map(|j| self.factor[i * d + j] * x[j]).sum::<f64>()).collect()
    }

    /// Mean summaries at each point, on common random numbers; `None` where a simulation fails.
    fn means(&self, thetas: &[Vec<f64>]) -> Result<Option<Vec<Option<Vec<f64>>>>> {
        let (m, r) = (self.problem.model.summaries().len(), self.replicates);
        let (problem, key) = (self.problem, self.key);
        let task = |id: u64, row: &mut [f64]| {
            let (point, replicate) = (id as usize / r, id % r as u64);
            match problem.simulate(&thetas[point], key.child(replicate), row) {
                Ok(()) => Outcome::Kept,
                Err(_) => Outcome::Failed,
            }
        };
        let count = (thetas.len() * r) as u64;
        let before = self.before + self.evaluations.get();
        self.evaluations.set(self.evaluations.get() + count);
        let rows = gather(self.exec, count, m, &task, &mut |done| (self.idle)(before + done))?;
        let mean = |rows: &[Option<Vec<f64>>]| -> Option<Vec<f64>> {
            let rows: Vec<&Vec<f64>> = rows.iter().map(Option::as_ref).collect::<Option<_>>()?;
            Some((0..m).map(|k| rows.iter().map(|row| row[k]).sum::<f64>() / r as f64).collect())
        };
        Ok(rows.map(|rows| rows.chunks(r).map(mean).collect()))
    }

    fn values(&self, xs: &[&Vec<f64>]) -> Result<Option<Vec<f64>>> {
        let us: Vec<Vec<f64>> = xs.iter().map(|x| self.coordinates(x)).collect();
        let priors: Vec<f64> = us.iter().map(|u| self.problem.prior.ln_density_at(u)).collect();
        let thetas: Vec<Vec<f64>> = us.iter().map(|u| self.problem.prior.natural(u)).collect();
        let value = |mean: &Option<Vec<f64>>, ln_prior: f64| match mean {
            Some(mean) if ln_prior > f64::NEG_INFINITY => {
                let d = self.problem.distance.distance(mean) / self.scale;
                (0.5 * d * d - ln_prior).min(IMPOSSIBLE)
            }
            _ => IMPOSSIBLE,
        };
        Ok(self.means(&thetas)?.map(|means| means.iter().zip(priors).map(|(m, p)| value(m, p)).collect()))
    }

    /// Standard deviation along each parameter, natural units, from second differences along the whitened axes.
    fn curvature(&self, x: &[f64], at: f64) -> Result<Option<Vec<f64>>> {
        let d = x.len();
        let mut points = Vec::with_capacity(2 * d);
        for axis in 0..d {
            for side in [-CURVATURE, CURVATURE] {
                let mut point = x.to_vec();
                point[axis] += side;
                points.push(point);
            }
        }
        let Some(values) = self.values(&points.iter().collect::<Vec<_>>())? else { return Ok(None) };
        let second = |axis: usize| (values[2 * axis] - 2.0 * at + values[2 * axis + 1]) / (CURVATURE * CURVATURE);
        let u = self.coordinates(x);
        let sd = |i: usize| {
            let variance: f64 = (0..=i).map(|j| self.factor[i * d + j].powi(2) / second(j).max(0.0)).sum();
            let marginal = &self.problem.prior.0[i];
            let half = 0.5e-3;
            // Delta method: the slope of natural units over the coordinate.
            let slope = (marginal.natural(u[i] + half) - marginal.natural(u[i] - half)) / (2.0 * half);
            if variance.is_finite() { variance.sqrt() * slope } else { f64::NAN }
        };
        Ok(Some((0..d).map(sd).collect()))
    }
}

/// The watcher asked to stop; travels through argmin as an error.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
struct Interrupted;

impl CostFunction for Objective<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, x: &Vec<f64>) -> Result<f64, ArgminError> {
        Ok(self.bulk_cost(&[x])?[0])
    }

    fn bulk_cost<P: std::borrow::Borrow<Vec<f64>>>(&self, xs: &[P]) -> Result<Vec<f64>, ArgminError> {
        let xs: Vec<&Vec<f64>> = xs.iter().map(std::borrow::Borrow::borrow).collect();
        self.values(&xs)?.ok_or_else(|| Interrupted.into())
    }
}

/// Polishes the modes of the last generation. `idle` is told how many simulations are done; `None` if it broke it off.
///
/// # Errors
/// Those of the executor.
pub fn refine(
    settings: Refine,
    problem: &Problem,
    run: &Run,
    exec: &dyn Executor,
    idle: &dyn Fn(u64) -> ControlFlow<()>,
) -> Result<Option<Vec<Mode>>> {
    let Some(last) = run.last() else { return Ok(Some(Vec::new())) };
    let d = problem.prior.dimension();
    let u: Vec<f64> = last.theta.rows().into_iter().flat_map(|row| problem.prior.coordinates(&row.to_vec())).collect();
    // The covariance towards all is twice the posterior covariance.
    let twice = covariance_towards(d, &u, &last.weights(), &vec![true; last.len()]);
    let half: Vec<f64> = twice.iter().map(|c| 0.5 * c).collect();
    let diagonal = || (0..d * d).map(|k| if k / d == k % d { half[k].max(1e-18).sqrt() } else { 0.0 }).collect();
    let factor = cholesky(d, &half).unwrap_or_else(diagonal);
    let mut modes: Vec<(Vec<f64>, Mode)> = Vec::new();
    let mut before = 0;
    for (number, (start, weight)) in starts(d, &u, &factor, last, settings.modes).into_iter().enumerate() {
        let evaluations = std::cell::Cell::new(0);
        let objective = Objective {
            problem,
            exec,
            idle,
            before,
            evaluations: &evaluations,
            key: problem.key.child(BRANCH),
            replicates: settings.replicates,
            scale: if problem.distance.scale().is_some() { 1.0 } else { last.tolerance.max(1e-12) },
            centre: u[start * d..(start + 1) * d].to_vec(),
            factor: factor.clone(),
        };
        let Some((shift, mut mode)) = polish(settings, &objective, number as u64)? else { return Ok(None) };
        mode.weight = weight;
        mode.evaluations = evaluations.get();
        before += mode.evaluations;
        let place = whiten(&factor, &objective.coordinates(&shift));
        let twin = modes.iter_mut().find(|(other, _)| distance(other, &place) < SAME);
        match twin {
            Some((_, known)) => known.weight += weight,
            None => modes.push((place, mode)),
        }
    }
    let mut modes: Vec<Mode> = modes.into_iter().map(|(_, mode)| mode).collect();
    modes.sort_by(|a, b| a.objective.total_cmp(&b.objective));
    Ok(Some(modes))
}

/// Minimises from one start; the end in whitened coordinates about the start, and the mode.
fn polish(settings: Refine, objective: &Objective<'_>, number: u64) -> Result<Option<(Vec<f64>, Mode)>> {
    let d = objective.centre.len();
    let each = ((CmaEs::offspring(d) + 1) * settings.replicates) as u64;
    let rng = objective.key.child(u64::MAX - number).stream(Purpose::Refine);
    let origin = vec![0.0; d];
    let Some(start) = objective.values(&[&origin])? else { return Ok(None) };
    let driver = Driver::new(Borrowed(objective), CmaEs::new(d, FIRST, LAST, rng))
        .configure(|state: Search| state.param(origin).max_iters((settings.simulations / each).max(1)))
        .timer(false);
    let result = match driver.run() {
        Ok(result) => result,
        Err(error) if error.is::<Interrupted>() => return Ok(None),
        Err(error) => {
            return Err(error.downcast::<crate::error::Error>().unwrap_or_else(|other| crate::error::Error::Usage {
                problem: format!("the optimiser stopped: {other}"),
                fix: "report this with the job file".into(),
            }));
        }
    };
    let state = result.state();
    let Some(x) = state.get_best_param().cloned() else { return Ok(None) };
    let value = state.get_best_cost();
    let theta = objective.problem.prior.natural(&objective.coordinates(&x));
    let Some(means) = objective.means(std::slice::from_ref(&theta))? else { return Ok(None) };
    let Some(curvature_sd) = objective.curvature(&x, value)? else { return Ok(None) };
    let converged = TerminationStatus::Terminated(TerminationReason::SolverConverged);
    let mode = Mode {
        theta,
        objective: value,
        distance: means[0].as_ref().map_or(f64::NAN, |mean| objective.problem.distance.distance(mean)),
        start: start[0],
        weight: 0.0,
        evaluations: 0,
        converged: *state.get_termination_status() == converged,
        curvature_sd,
    };
    Ok(Some((x, mode)))
}

/// argmin owns its problem; this lends it ours.
struct Borrowed<'a, 'b>(&'a Objective<'b>);

impl CostFunction for Borrowed<'_, '_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, x: &Vec<f64>) -> Result<f64, ArgminError> {
        self.0.cost(x)
    }

    fn bulk_cost<P: std::borrow::Borrow<Vec<f64>>>(&self, xs: &[P]) -> Result<Vec<f64>, ArgminError> {
        self.0.bulk_cost(xs)
    }
}

/// Clusters of the weighted particles by quick shift (Vedaldi and Soatto 2008): each particle points to the nearest one of
/// higher density; a particle with none within reach is the peak of a cluster. Returns the peaks and the posterior weight
/// of their clusters, heaviest first, at most `count`, always at least one.
fn starts(d: usize, u: &[f64], factor: &[f64], last: &Generation, count: usize) -> Vec<(usize, f64)> {
    let points: Vec<Vec<f64>> = u.chunks_exact(d).map(|row| whiten(factor, row)).collect();
    let weights = last.weights();
    let w = weights.as_slice();
    // Silverman's width for a normal in d dimensions, on the effective number of particles.
    let width = libm::pow(4.0 / ((d as f64 + 2.0) * weights.ess().max(1.0)), 1.0 / (d as f64 + 4.0));
    let density: Vec<f64> = points
        .iter()
        .map(|p| points.iter().zip(w).map(|(q, w)| w * libm::exp(-0.5 * (distance(p, q) / width).powi(2))).sum())
        .collect();
    // Half the typical distance between two draws of one normal: farther peaks are different clusters.
    let reach = (d as f64).sqrt().max(1.0);
    let higher = |i: usize, j: usize| density[j] > density[i] || (density[j] == density[i] && j < i);
    let parent: Vec<usize> = (0..points.len())
        .map(|i| {
            let nearest = (0..points.len())
                .filter(|&j| higher(i, j))
                .map(|j| (distance(&points[i], &points[j]), j))
                .min_by(|a, b| a.0.total_cmp(&b.0));
            nearest.filter(|(far, _)| *far < reach).map_or(i, |(_, j)| j)
        })
        .collect();
    let mut weight = vec![0.0; points.len()];
    for (i, w) in w.iter().enumerate() {
        let mut root = i;
        while parent[root] != root {
            root = parent[root];
        }
        weight[root] += w;
    }
    let mut peaks: Vec<(usize, f64)> = weight.iter().copied().enumerate().filter(|(_, w)| *w > 0.0).collect();
    peaks.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let heavy = peaks.iter().filter(|(_, w)| *w >= LEAST_WEIGHT).count();
    peaks.truncate(heavy.clamp(1, count.max(1)));
    peaks
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}
