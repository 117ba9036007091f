//! The objective whose minimum is a posterior mode, see [`refine`](super).

use std::cell::Cell;
use std::ops::ControlFlow;

use argmin::core::{CostFunction, Error as ArgminError};

use crate::error::Result;
use crate::exec::{Executor, Outcome, gather};
use crate::rng::Key;
use crate::sampler::Problem;

/// Objective where the prior density is zero or the simulation fails: worse than anything, and still a number.
pub(super) const IMPOSSIBLE: f64 = 1e12;
/// Step of the second difference that measures the curvature, in posterior standard deviations.
const CURVATURE: f64 = 0.7;

/// The objective in whitened coordinates: `u = L x`, with the posterior covariance `L Lᵀ`.
pub(super) struct Objective<'a> {
    pub problem: &'a Problem,
    pub exec: &'a dyn Executor,
    /// Told how many simulations are done.
    pub idle: &'a dyn Fn(u64) -> ControlFlow<()>,
    /// Simulations so far.
    pub evaluations: &'a Cell<u64>,
    /// Address of the common random numbers.
    pub key: Key,
    /// Replicates that an optimiser's evaluation averages.
    pub replicates: usize,
    /// `c` of the objective.
    pub scale: f64,
    /// `L`, row by row.
    pub factor: Vec<f64>,
    /// The first of the whitened coordinates, where it is held fast and points have the others only.
    pub pinned: Option<f64>,
}

/// Which replicates are averaged: `count` of them, from number `first`.
#[derive(Clone, Copy)]
pub(super) struct Replicates {
    pub first: u64,
    pub count: usize,
}

/// The watcher asked to stop; travels through argmin as an error.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(super) struct Interrupted;

impl Objective<'_> {
    /// The replicates that judge what the search has found: others than it was fitted to.
    pub fn judges(&self, times: usize) -> Replicates {
        Replicates { first: self.replicates as u64, count: self.replicates * times }
    }

    /// The point in natural units.
    pub fn theta(&self, x: &[f64]) -> Vec<f64> {
        self.problem.prior.natural(&self.coordinates(x))
    }

    /// The point on the coordinates of the prior.
    pub fn coordinates(&self, x: &[f64]) -> Vec<f64> {
        let x: Vec<f64> = self.pinned.into_iter().chain(x.iter().copied()).collect();
        self.factor.chunks_exact(x.len()).map(|row| row.iter().zip(&x).map(|(l, x)| l * x).sum()).collect()
    }

    /// Distance of the mean summaries at each point over replicate simulations on common random numbers; `None` where
    /// one fails. The whole is `None` if the watcher broke it off.
    pub fn distances(
        &self,
        xs: &[&[f64]],
        Replicates { first, count: replicates }: Replicates,
    ) -> Result<Option<Vec<Option<f64>>>> {
        let (problem, key, m) = (self.problem, self.key, self.problem.model.summaries().len());
        let thetas: Vec<Vec<f64>> = xs.iter().map(|x| self.theta(x)).collect();
        let task = |id: u64, row: &mut [f64]| {
            let (point, replicate) = (id as usize / replicates, id % replicates as u64);
            match problem.simulate(&thetas[point], key.child(first + replicate), row) {
                Ok(()) => Outcome::Kept,
                Err(_) => Outcome::Failed,
            }
        };
        let count = (xs.len() * replicates) as u64;
        let before = self.evaluations.get();
        self.evaluations.set(before + count);
        let rows = gather(self.exec, count, m, &task, &mut |done| (self.idle)(before + done))?;
        let distance = |rows: &[Option<Vec<f64>>]| -> Option<f64> {
            let rows: Vec<&[f64]> = rows.iter().map(Option::as_deref).collect::<Option<_>>()?;
            Some(problem.distance.distance(&problem.distance.middle(&rows)))
        };
        Ok(rows.map(|rows| rows.chunks(replicates).map(distance).collect()))
    }

    /// The objective at each point; `None` if the watcher broke it off.
    pub fn values(&self, xs: &[&[f64]], replicates: Replicates) -> Result<Option<Vec<f64>>> {
        let value = |x: &[f64], distance: Option<f64>| {
            let ln_prior = self.problem.prior.ln_density_at(&self.coordinates(x));
            match distance {
                Some(d) if ln_prior > f64::NEG_INFINITY => (0.5 * (d / self.scale) * (d / self.scale) - ln_prior).min(IMPOSSIBLE),
                _ => IMPOSSIBLE,
            }
        };
        let distances = self.distances(xs, replicates)?;
        Ok(distances.map(|ds| xs.iter().zip(ds).map(|(x, d)| value(x, d)).collect()))
    }

    /// Standard deviation along each parameter, natural units, from second differences along the whitened axes about `x`,
    /// where the objective is `at`. NaN where the objective does not rise on both sides.
    pub fn curvature(&self, x: &[f64], at: f64, replicates: Replicates) -> Result<Option<Vec<f64>>> {
        let d = x.len();
        let beside = |axis: usize, step: f64| {
            let mut point = x.to_vec();
            point[axis] += step;
            point
        };
        let points: Vec<Vec<f64>> = (0..d).flat_map(|k| [beside(k, -CURVATURE), beside(k, CURVATURE)]).collect();
        let points: Vec<&[f64]> = points.iter().map(Vec::as_slice).collect();
        let Some(values) = self.values(&points, replicates)? else { return Ok(None) };
        let second = |axis: usize| (values[2 * axis] - 2.0 * at + values[2 * axis + 1]) / (CURVATURE * CURVATURE);
        let u = self.coordinates(x);
        let sd = |i: usize| {
            let variance: f64 = (0..=i).map(|j| self.factor[i * d + j].powi(2) / second(j).max(0.0)).sum();
            let marginal = &self.problem.prior.0[i];
            // Delta method: the slope of natural units over the coordinate, by a central difference.
            let half = 0.5e-3;
            let slope = (marginal.natural(u[i] + half) - marginal.natural(u[i] - half)) / (2.0 * half);
            if variance.is_finite() { variance.sqrt() * slope } else { f64::NAN }
        };
        Ok(Some((0..d).map(sd).collect()))
    }
}

/// argmin owns its problem, so it gets a reference.
impl CostFunction for &Objective<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, x: &Vec<f64>) -> Result<f64, ArgminError> {
        Ok(self.bulk_cost(&[x])?[0])
    }

    fn bulk_cost<P: std::borrow::Borrow<Vec<f64>>>(&self, xs: &[P]) -> Result<Vec<f64>, ArgminError> {
        let xs: Vec<&[f64]> = xs.iter().map(|x| x.borrow().as_slice()).collect();
        self.values(&xs, Replicates { first: 0, count: self.replicates })?.ok_or_else(|| Interrupted.into())
    }
}
