//! A second posterior beside that of ABC, from simulations that are there already.
//!
//! | method | from | in place of the tolerance it assumes |
//! |---|---|---|
//! | [`reuse`] | the simulations of all generations within the last tolerance | nothing: it keeps the tolerance, and has more particles |
//! | [`regression`] | the same | near the data, parameters are linear in the summaries, up to a scale |
//! | the same, with a network | the same | near the data, they are a smooth function of the summaries, up to a scale |
//! | [`surrogate`] | every simulation of the run, which must all be kept | near the data, residuals of the summaries are alike, up to a scale |
//!
//! All are functions of the run and its key: one thread, sums in order of id. None takes the place of ABC's own posterior,
//! whose error is understood; where two disagree, that is worth knowing.

use std::ops::ControlFlow;

use ndarray::Axis;

use crate::error::Result;
use crate::population::{Adjusted, Learnt, Regressor, Run};
use crate::rng::{Branch, Purpose};
use crate::sampler::smc::Smc;
use crate::sampler::{Problem, reuse};

pub mod regression;
pub mod surrogate;

/// Names of the methods that a job can ask for, beside `none`.
pub const CATALOGUE: &[&str] = &["reuse", "regression", "network", "surrogate"];

/// How a posterior is adjusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// By the simulations of all generations within the last tolerance, as they are.
    Reuse,
    /// By a regression of the parameters on the summaries, among those.
    Regression(Regressor),
    /// By a likelihood that is learnt from all simulations.
    Surrogate,
}

impl Method {
    /// `count` equal-weight draws of the adjusted posterior of a finished `run` of `sampler`. `idle` is called now and then; `None` if it
    /// broke off, or there is no generation yet.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) if there are too few simulations, or the observations are impossible.
    pub fn adjust(
        self,
        problem: &Problem,
        sampler: &Smc,
        run: &Run,
        count: usize,
        idle: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Option<Adjusted>> {
        if self == Method::Surrogate {
            return surrogate::adjust(problem, run, count, idle);
        }
        let Some((pool, reused)) = reuse::pool(problem, sampler, run, idle) else { return Ok(None) };
        if let Method::Regression(by) = self {
            return regression::adjust(problem, &pool, reused, count, by).map(Some);
        }
        let mut rng = problem.key.branch(Branch::Adjust).stream(Purpose::Resample);
        let mut picked = pool.weights().resample(count, &mut rng);
        rng.shuffle(&mut picked);
        let theta = pool.theta.select(Axis(0), &picked);
        Ok(Some(Adjusted { theta, learnt: Learnt::Reuse(reused), fitted: pool.len() as u64 }))
    }
}
