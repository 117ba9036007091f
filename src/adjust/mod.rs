//! A second posterior beside that of ABC, from simulations that are there already.
//!
//! | method | from | in place of the tolerance it assumes |
//! |---|---|---|
//! | [`regression`] | the particles within the last tolerance | near the data, parameters are linear in the summaries, up to a scale |
//! | the same, with a network | the same particles | near the data, they are a smooth function of the summaries, up to a scale |
//! | [`surrogate`] | every simulation of the run, which must all be kept | near the data, residuals of the summaries are alike, up to a scale |
//!
//! All are functions of the run and its key: one thread, sums in order of id. None takes the place of ABC's own posterior,
//! whose error is understood; where the two disagree, that is worth knowing.

use std::ops::ControlFlow;

use crate::error::Result;
use crate::population::{Adjusted, Regressor, Run};
use crate::sampler::Problem;

pub mod regression;
pub mod surrogate;

/// Names of the methods that a job can ask for, beside `none`.
pub const CATALOGUE: &[&str] = &["regression", "network", "surrogate"];

/// How a posterior is adjusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// By a regression of the parameters on the summaries, among the accepted particles.
    Regression(Regressor),
    /// By a likelihood that is learnt from all simulations.
    Surrogate,
}

impl Method {
    /// `count` equal-weight draws of the adjusted posterior of a finished `run`. `idle` is called now and then; `None` if it
    /// broke off, or there is no generation yet.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) if there are too few simulations, or the observations are impossible.
    pub fn adjust(
        self,
        problem: &Problem,
        run: &Run,
        count: usize,
        idle: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Option<Adjusted>> {
        match self {
            Method::Regression(regressor) => regression::adjust(problem, run, count, regressor),
            Method::Surrogate => surrogate::adjust(problem, run, count, idle),
        }
    }
}
