//! Equal-weight draws and what they predict: the model simulated at draws of the prior and of the posterior, for every row
//! of the data, fitted or held out, each draw with one fresh virtual cohort (so that bands hold the noise of counting); and
//! the arms of a scenario, all of one draw with the same virtual patients.

use std::ops::ControlFlow;

use ndarray::Array2;

use crate::error::Result;
use crate::exec::{Executor, Outcome, gather};
use crate::model::Model;
use crate::population::{Draws, Generation, Predictive};
use crate::rng::{Branch, Key, Purpose};
use crate::sampler::{Problem, simulate};

/// Which distribution draws come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Of {
    /// The prior.
    Prior = 1,
    /// The posterior.
    Posterior = 2,
    /// Pairs of replicates at one posterior draw.
    Replicates = 3,
    /// Arms of a scenario. The key of draw *i* is the same in every arm and every scenario, of prior and of posterior: patient
    /// *j* of draw *i* is one and the same person in all arms, and differences between arms are not those of two cohorts.
    Scenario = 4,
}

fn branch(problem: &Problem, of: Of) -> Key {
    problem.key.branch(Branch::Predict).child(of as u64)
}

/// Key of the noise of draw `i` of a prediction: the same as that of its simulation, which draws for other purposes.
pub fn noise_key(problem: &Problem, of: Of, i: u64) -> Key {
    branch(problem, of).child(i)
}

/// Draws from the prior.
pub fn prior_draws(problem: &Problem, count: usize) -> Draws {
    let d = problem.prior.dimension();
    let mut theta = Array2::zeros((count, d));
    for (i, mut row) in theta.rows_mut().into_iter().enumerate() {
        let mut rng = branch(problem, Of::Prior).child(i as u64).stream(Purpose::Propose);
        let mut draw = vec![0.0; d];
        problem.prior.draw(&mut rng, &mut draw);
        row.iter_mut().zip(draw).for_each(|(x, value)| *x = value);
    }
    Draws { theta, particle: Vec::new() }
}

/// Equal-weight draws from a weighted generation, by systematic resampling, shuffled so that any leading part is a sample.
pub fn posterior_draws(problem: &Problem, generation: &Generation, count: usize) -> Draws {
    let mut rng = branch(problem, Of::Posterior).stream(Purpose::Resample);
    let mut particle = generation.weights().resample(count, &mut rng);
    rng.shuffle(&mut particle);
    let d = problem.prior.dimension();
    let theta = Array2::from_shape_fn((count, d), |(i, k)| generation.theta[(particle[i], k)]);
    Draws { theta, particle }
}

/// Simulates `model` once at each draw. `idle` is told how many are done; `None` if it broke the work off.
///
/// # Errors
/// Those of the executor.
pub fn predict(
    problem: &Problem,
    model: &dyn Model,
    draws: Draws,
    of: Of,
    exec: &dyn Executor,
    idle: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Option<Predictive>> {
    let width = model.summaries().len();
    let count = draws.theta.nrows();
    let task = |id: u64, row: &mut [f64]| {
        let theta = draws.theta.row(id as usize).to_vec();
        match simulate(model, &problem.full(&theta), branch(problem, of).child(id), row) {
            Ok(()) => Outcome::Kept,
            Err(_) => Outcome::Failed,
        }
    };
    let Some(rows) = gather(exec, count as u64, width, &task, idle)? else { return Ok(None) };
    let values = Array2::from_shape_fn((count, width), |(i, k)| rows[i].as_ref().map_or(f64::NAN, |row| row[k]));
    Ok(Some(Predictive { draws, values }))
}

/// The noise floor of the distance: distances between pairs of replicate data sets simulated at one and the same posterior
/// draw. A tolerance much below its median asks the simulator to agree better with the data than with itself. Pairs that
/// fail are left out; `None` if `idle` broke the work off.
///
/// # Errors
/// Those of the executor.
pub fn noise_floor(
    problem: &Problem,
    draws: &Draws,
    pairs: usize,
    exec: &dyn Executor,
    idle: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Option<Vec<f64>>> {
    let pairs = pairs.min(draws.theta.nrows());
    let width = problem.model.summaries().len();
    let task = |id: u64, row: &mut [f64]| {
        let theta = draws.theta.row(id as usize).to_vec();
        let key = branch(problem, Of::Replicates).child(id);
        let (mut one, mut two) = (vec![0.0; width], vec![0.0; width]);
        let both =
            problem.simulate(&theta, key.child(0), &mut one).and_then(|()| problem.simulate(&theta, key.child(1), &mut two));
        row[0] = problem.distance.between(&one, &two);
        if both.is_ok() && row[0].is_finite() { Outcome::Kept } else { Outcome::Failed }
    };
    let rows = gather(exec, pairs as u64, 1, &task, idle)?;
    Ok(rows.map(|rows| rows.into_iter().flatten().map(|row| row[0]).collect()))
}
