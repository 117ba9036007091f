//! A posterior from every simulation of a run, near the observations or not: what the simulations say about the law of the
//! summaries given the parameters is a surrogate likelihood, and the posterior is prior times that.
//!
//! ABC keeps the few simulations that came near the observations and takes the tolerance as part of the answer. Here each
//! simulation counts, wherever it came to lie, and there is no tolerance; what there is instead is a model of the residuals,
//! chosen by how well it foretells simulations that it has not seen (see `choose`), among shapes that reach from a synthetic
//! likelihood to a kernel density (see `fit`). Simulations that were *selected* by their summaries would bend the
//! regressions, so that only a sampler that keeps all of them will do.
//!
//! Everything happens in one thread in a fixed order: draws are a function of the run and its key.

use std::ops::ControlFlow;

use ndarray::Array2;

use crate::error::{Error, Result};
use crate::population::{Adjusted, Learnt, Run, Surrogated, Weights};
use crate::rng::{Branch, Purpose, Stream};
use crate::sampler::Problem;
use choose::{ALL_RESIDUALS, choose};
use fit::{Law, Simulations, Surrogate, Work};
use sample::{Path, sample};

mod cells;
mod choose;
mod fit;
mod sample;

/// `count` equal-weight draws of prior times surrogate likelihood. `idle` is called now and then; `None` if it broke off.
///
/// # Errors
/// [`Error::Usage`] if there are too few simulations for the simplest surrogate, or the observations are impossible under
/// the one chosen.
pub fn adjust(
    problem: &Problem,
    run: &Run,
    count: usize,
    idle: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Option<Adjusted>> {
    let refuse = |problem: &str| Error::Usage {
        problem: format!("the posterior cannot be adjusted: {problem}"),
        fix: "raise stop.simulations, or leave [adjust] out; what the sampler found is stored".into(),
    };
    let all = simulations(problem, run);
    let Some(last) = run.last() else { return Ok(None) };
    let particles: Vec<f64> = last.accepted().flat_map(|i| problem.prior.coordinates(&last.theta.row(i).to_vec())).collect();
    let weights = Weights::from_ln(&last.accepted().map(|i| last.ln_weight[i]).collect::<Vec<f64>>());
    let choice = choose(&all, &particles, &weights).ok_or_else(|| refuse("there are too few simulations"))?;
    let rows: Vec<usize> = (0..all.generation.len()).filter(|i| all.generation[*i] >= choice.shape.first).collect();
    let surrogate =
        Surrogate::fit(&all, &rows, &choice.cells, &choice.shape).ok_or_else(|| refuse("the simulations are degenerate"))?;
    let law = Law::new(all.m, &surrogate.residuals, choice.shape.bandwidth, ALL_RESIDUALS);
    let observed = problem.distance.observed();
    let mut posterior = Posterior { problem, surrogate, law, observed, white: Vec::new(), work: Work::default() };
    let mut rng = problem.key.branch(Branch::Adjust).stream(Purpose::Resample);
    let mut broken = false;
    let mut watch = |step| {
        let flow = idle(step);
        broken |= flow.is_break();
        flow
    };
    let draws = sample(all.d, count, &mut posterior, &mut rng, &mut watch);
    if broken {
        return Ok(None);
    }
    let draws = draws.ok_or_else(|| refuse("the observations are impossible under every surrogate"))?;
    let natural: Vec<f64> = draws.chunks_exact(all.d).flat_map(|u| problem.prior.natural(u)).collect();
    let theta = Array2::from_shape_vec((count, all.d), natural).map_err(|_| refuse("draws are missing"))?;
    Ok(Some(Adjusted {
        theta,
        learnt: Learnt::Surrogate(Surrogated { shape: choice.shape, score: choice.score.0, score_error: choice.score.1 }),
        fitted: rows.len() as u64,
    }))
}

/// Every simulation of a run.
fn simulations(problem: &Problem, run: &Run) -> Simulations {
    let m = problem.model.summaries().len();
    let mut all = Simulations { d: problem.prior.dimension(), m, u: Vec::new(), x: Vec::new(), generation: Vec::new() };
    for (t, generation) in run.generations.iter().enumerate() {
        for (theta, x) in generation.theta.rows().into_iter().zip(generation.summaries.rows()) {
            all.u.extend(problem.prior.coordinates(&theta.to_vec()));
            all.x.extend(x);
            all.generation.push(t);
        }
    }
    all
}

/// Prior times surrogate likelihood, where there were simulations.
struct Posterior<'a> {
    problem: &'a Problem,
    surrogate: Surrogate,
    law: Law,
    observed: &'a [f64],
    white: Vec<f64>,
    work: Work,
}

impl Path for Posterior<'_> {
    fn draw(&mut self, rng: &mut Stream, u: &mut [f64]) {
        self.surrogate.draw(rng, u);
    }

    fn ln_start(&mut self, u: &[f64]) -> f64 {
        self.surrogate.ln_draw(u, &mut self.work)
    }

    fn ln_end(&mut self, u: &[f64]) -> f64 {
        let prior = self.problem.prior.ln_density_at(u);
        if prior == f64::NEG_INFINITY || !self.surrogate.reaches(u, &mut self.work) {
            return f64::NEG_INFINITY;
        }
        self.white.clear();
        self.white.extend_from_slice(self.observed);
        let jacobian = self.surrogate.whiten(u, &mut self.white, &mut self.work);
        prior + jacobian + self.law.ln_density(&self.white)
    }
}
