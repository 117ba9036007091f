//! Approximate Bayesian computation: the loop, and why its result cannot depend on where it runs.
//!
//! # Guarantees
//! 1. Trial *i* of generation *t* draws only from its own address: its outcome is a function of (job, t, i).
//! 2. A generation is the first N acceptances *by id* of that infinite sequence. Scheduling and stragglers change only how
//!    much is computed in vain, so fast simulations gain no advantage (taking the first to finish biases the posterior).
//! 3. Budgets and counters are cut at an id too. Wall time may end a run, never shape it.
//! 4. No floating-point reduction crosses threads or ranks in order of arrival: rows are gathered, then summed in order of id.
//! 5. A sampler's only state is what is stored; resuming is point 1 again.
//!
//! # The loop
//! [`infer`] asks a [`Sampler`] for the next generation as a function of the run so far, has it saved, and goes on until a
//! stopping rule of the job is met.

use std::ops::ControlFlow;

use crate::density::Prior;
use crate::distance::Distance;
use crate::error::{Error, Result};
use crate::exec::{self, Enough, Executor, Outcome};
use crate::model::{Model, Stages, Unsimulable};
use crate::population::{Generation, Run, Stop};
use crate::rng::Key;

pub mod accept;
pub mod proposal;
pub mod reuse;
pub mod smc;

/// Names of the samplers that a job can ask for.
pub const CATALOGUE: &[&str] = &["smc", "rejection"];

/// What is inferred: a model with some of its parameters free, their prior, and the distance from the data.
pub struct Problem {
    /// Root of all randomness.
    pub key: Key,
    /// The simulator.
    pub model: Box<dyn Model>,
    /// Every parameter of the model, fixed values in place.
    pub base: Vec<f64>,
    /// Indices into `base` of the inferred parameters, ascending.
    pub free: Vec<usize>,
    /// Prior of the inferred parameters.
    pub prior: Prior,
    /// Distance of simulated summaries from the observed ones.
    pub distance: Box<dyn Distance>,
    /// Where models are compared: of each the coordinates of `theta` that act in it; the last coordinate is its number. Empty if
    /// there is one model.
    pub models: Vec<Vec<usize>>,
}

impl Problem {
    /// The model's full parameter vector with `theta` in the free places.
    pub fn full(&self, theta: &[f64]) -> Vec<f64> {
        let mut full = Vec::new();
        self.fill(theta, &mut full);
        full
    }

    fn fill(&self, theta: &[f64], full: &mut Vec<f64>) {
        full.clone_from(&self.base);
        for (&index, &value) in self.free.iter().zip(theta) {
            full[index] = value;
        }
    }

    /// Simulates at `theta` to the end and writes the summaries into `out`.
    ///
    /// # Errors
    /// [`Unsimulable`] if the model says so, or if a summary is not finite.
    pub fn simulate(&self, theta: &[f64], key: Key, out: &mut [f64]) -> Result<(), Unsimulable> {
        let mut judge = Judge::of(out);
        self.simulate_before(&mut Vec::new(), theta, key, &mut judge).map(|_| ())
    }

    /// Simulates at `theta` before a judge; whether its summaries are complete. The full vector is written into `full`, whatever
    /// was in there: a caller that keeps it does not allocate.
    fn simulate_before(&self, full: &mut Vec<f64>, theta: &[f64], key: Key, judge: &mut Judge<'_>) -> Result<bool, Unsimulable> {
        self.fill(theta, full);
        judge.summaries.fill(f64::NAN);
        self.model.simulate(full, key, judge)?;
        if judge.broken {
            return Ok(false);
        }
        match judge.summaries.iter().position(|x| !x.is_finite()) {
            None => Ok(true),
            Some(k) => Err(Unsimulable(format!("{} cannot be estimated: no patient is left", self.model.summaries()[k].name))),
        }
    }
}

/// Simulates `model` at the full vector `theta` to the end and writes the summaries into `out`; NaN where one cannot be
/// estimated.
///
/// # Errors
/// [`Unsimulable`] if the model says so.
pub fn simulate(model: &dyn Model, theta: &[f64], key: Key, out: &mut [f64]) -> Result<(), Unsimulable> {
    out.fill(f64::NAN);
    model.simulate(theta, key, &mut Judge::of(out))
}

/// Looks on while a simulation goes on, and ends it where nobody needs the rest.
struct Judge<'a> {
    /// What is known of the summaries: of those that are not, the least that they can be.
    summaries: &'a mut [f64],
    /// Says that the whole simulation is not needed any more.
    enough: Option<&'a Enough>,
    /// A simulation that can only end at a greater distance is rejected already.
    limit: Option<(&'a dyn Distance, f64)>,
    /// Share of the work that was done.
    done: f64,
    /// Whether it was ended before it was complete.
    broken: bool,
}

impl<'a> Judge<'a> {
    /// One that lets a simulation run to its end.
    fn of(summaries: &'a mut [f64]) -> Self {
        Judge { summaries, enough: None, limit: None, done: 0.0, broken: false }
    }
}

impl Stages for Judge<'_> {
    fn stage(&mut self, done: f64, lower: &[f64], upper: &[f64]) -> ControlFlow<()> {
        self.summaries.copy_from_slice(lower);
        self.done = done;
        let beyond = |(distance, tolerance): (&dyn Distance, f64)| distance.lower_bound(lower, upper) > tolerance;
        if self.enough.is_some_and(Enough::is_said) || (done < 1.0 && self.limit.is_some_and(beyond)) {
            self.broken = done < 1.0;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn looks(&self) -> bool {
        self.limit.is_some()
    }
}

/// How far a generation has come; shown to the user, never used for a result.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Index of the generation.
    pub generation: usize,
    /// Its tolerance.
    pub tolerance: f64,
    /// Particles accepted so far.
    pub accepted: usize,
    /// Particles wanted.
    pub population: usize,
    /// Trials looked at in this generation.
    pub simulated: u64,
    /// Those that failed.
    pub failed: u64,
    /// Trials of the whole run so far.
    pub total: u64,
}

/// Watches an inference: shows progress, says when to stop early.
pub trait Watch {
    /// Several times a second. `Break` interrupts the run; finished generations are kept.
    fn progress(&mut self, progress: &Progress) -> ControlFlow<()>;
    /// After a generation is finished, and saved or on its way to the disk.
    fn generation(&mut self, run: &Run);
    /// How many simulations of a generation were begun in this process, and how many whole ones that work is worth:
    /// less, where they were rejected early.
    fn worked(&mut self, _generation: usize, _begun: u64, _worth: f64) {}
    /// The run was interrupted seconds ago, and a simulation still does not end. A watcher that has nothing to lose says
    /// with which exit code the process may end; else the run waits.
    fn abandon(&mut self) -> Option<u8> {
        None
    }
}

/// What a step of a sampler came to.
#[derive(Debug)]
pub enum Step {
    /// A new generation.
    Generation(Box<Generation>),
    /// A stopping rule is met; `spent` trials belong to no generation.
    Stop {
        /// The rule.
        reason: Stop,
        /// Trials of an unfinished generation.
        spent: u64,
    },
    /// The watcher broke it off.
    Interrupted,
}

/// The next generation as a function of the run so far; no state of its own, so a stored run is a checkpoint.
pub trait Sampler {
    /// Makes the next generation, or says why there is none.
    ///
    /// # Errors
    /// [`Error::Failures`] above the failure budget; those of the executor.
    fn step(&self, run: &Run, problem: &Problem, exec: &dyn Executor, watch: &mut dyn Watch) -> Result<Step>;
}

/// Runs an inference to its end. `save` makes each state durable, if need be while the next generation is under way. Returns `false` if the
/// watcher interrupted it. Collective; on ranks above 0 only the last generation has particles, and no summaries.
///
/// # Errors
/// Those of the sampler and of `save`.
pub fn infer(
    sampler: &dyn Sampler,
    problem: &Problem,
    run: &mut Run,
    exec: &dyn Executor,
    watch: &mut dyn Watch,
    save: &mut dyn FnMut(&Run) -> Result<()>,
) -> Result<bool> {
    while run.stopped.is_none() {
        match sampler.step(run, problem, exec, watch)? {
            Step::Generation(generation) => {
                run.generations.push(*generation);
                if exec::rank() > 0 {
                    run.forget();
                }
                save(run)?;
                watch.generation(run);
            }
            Step::Stop { reason, spent } => {
                run.stopped = Some(reason);
                run.spent = spent;
                save(run)?;
            }
            Step::Interrupted => return Ok(false),
        }
    }
    Ok(true)
}

/// Says where in parameter space simulations fail, and why: a line per parameter with the range of the failed points
/// beside that of the prior.
fn describe_failures(problem: &Problem, generation: usize, failed: &[(u64, Vec<f64>)], simulated: u64, budget: f64) -> Error {
    let mut reasons: Vec<(String, usize)> = Vec::new();
    let mut out = vec![0.0; problem.model.summaries().len()];
    for (id, theta) in failed.iter().take(20) {
        // Outcomes are functions of their address: the reason is had by simulating again, and never has to travel.
        let Err(Unsimulable(reason)) = problem.simulate(theta, trial_key(problem.key, generation, *id), &mut out) else {
            continue;
        };
        match reasons.iter_mut().find(|(r, _)| *r == reason) {
            Some((_, count)) => *count += 1,
            None => reasons.push((reason, 1)),
        }
    }
    let reason = reasons.iter().max_by_key(|(_, count)| *count).map_or("the distance is not finite".into(), |(r, _)| r.clone());
    // Where all fail there is no place that is different.
    let some = (failed.len() as u64) < simulated;
    let mut place = String::new();
    let range = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        let at = |q: f64| values[((values.len() - 1) as f64 * q) as usize];
        format!("{:.4} .. {:.4} .. {:.4}", at(0.05), at(0.5), at(0.95))
    };
    let mut rng = problem.key.stream(crate::rng::Purpose::Pilot);
    for (k, &index) in problem.free.iter().enumerate().filter(|_| some) {
        let parameter = &problem.model.parameters()[index];
        place += &format!(
            "  {}{}: failed at {}, prior {} (5, 50, 95 %)\n",
            parameter.name,
            parameter.unit_after(),
            range(failed.iter().map(|(_, theta)| theta[k]).collect()),
            range((0..1000).map(|_| problem.prior.0[k].draw(&mut rng)).collect()),
        );
    }
    Error::Failures { generation, failed: failed.len() as u64, simulated, budget: 100.0 * budget, reason, place }
}

/// Simulations at draws of the prior from which a distance learns.
pub struct Piloted {
    /// Coordinates of the parameters, by draw.
    pub coordinates: Vec<Vec<f64>>,
    /// Summaries, by draw.
    pub summaries: Vec<Vec<f64>>,
}

/// `count` simulations at draws of the prior, in order of draw and without those that failed, on an address of their own. Each runs
/// to its end. `None` if `idle` broke it off. Collective.
///
/// # Errors
/// Those of the executor.
pub fn pilot(
    problem: &Problem,
    count: usize,
    exec: &dyn Executor,
    idle: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Option<Piloted>> {
    let root = problem.key.branch(crate::rng::Branch::Pilot);
    let d = problem.prior.dimension();
    let task = |id: u64, row: &mut [f64]| {
        let (theta, summaries) = row.split_at_mut(d);
        problem.prior.draw(&mut root.child(id).stream(crate::rng::Purpose::Propose), theta);
        match problem.simulate(theta, root.child(id), summaries) {
            Ok(()) => Outcome::Kept,
            Err(_) => Outcome::Failed,
        }
    };
    let Some(rows) = exec::gather(exec, count as u64, d + problem.model.summaries().len(), &task, idle)? else { return Ok(None) };
    let mut piloted = Piloted { coordinates: Vec::new(), summaries: Vec::new() };
    for mut row in rows.into_iter().flatten() {
        piloted.summaries.push(row.split_off(d));
        piloted.coordinates.push(row.iter().zip(&problem.prior.0).map(|(x, marginal)| marginal.coordinate(*x)).collect());
    }
    Ok(Some(piloted))
}

/// The address of trial `id` of a generation.
pub fn trial_key(root: Key, generation: usize, id: u64) -> Key {
    root.child(generation as u64).child(id)
}
