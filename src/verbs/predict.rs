//! `nicho predict`: the arms of a scenario, simulated at draws of a stored posterior and of the prior.

use std::path::Path;

use ndarray::{Array3, Axis};

use super::progress::{Budget, Show};
use super::session::Session;
use super::shared::{Shared, agree, agree_on, on_ranks};
use super::stored::embedded;
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::job::Job;
use crate::job::scenario::Scenario;
use crate::population::Run;
use crate::predict::{Of, posterior_draws, predict as simulate, prior_draws};
use crate::report;
use crate::sampler::Problem;
use crate::store::{self, AskedRow, Store};
use crate::trial::table::Row;
use crate::trial::vocabulary::Word;

/// Predicts the arms of a scenario from a stored run, stores them in its file and prints them; `draws` of the posterior and as
/// many of the prior, by default as many as the job asks for.
///
/// # Errors
/// Those of the store and of the scenario file; [`Error::Usage`] if the run's model has no patients; [`Error::Output`] if the
/// file holds no posterior yet; [`Error::Broken`] after a signal.
pub fn predict(file: &Path, scenario: &Path, draws: Option<usize>, threads: usize, json: bool) -> Result<()> {
    on_ranks(threads, |exec| {
        let job = agree(exec, Store::open(file).and_then(|store| embedded(&store)))?;
        let patients = patients(&job)?;
        let scenario = agree_on(exec, Scenario::load(scenario, patients), |scenario| scenario.source.text.clone())?;
        let shared = Shared::open(exec, |journaled| {
            // A run that is under way would write over it.
            journaled.hold(file)?;
            let store = Store::open(file)?;
            if store.run().last().is_some() {
                return Ok(store);
            }
            let problem = "the run in it has no finished generation: there is no posterior to predict from".into();
            Err(Error::Output { path: file.into(), problem, fix: "finish it first: nicho run JOB --resume".into() })
        })?;
        let session = Session::new("predict", exec.place());
        let draws = draws.unwrap_or(*job.definition.output.draws.get_ref());
        let sampler = job.sampler();
        let budget = Budget { population: sampler.population, acceptance_rate: 0.0, simulations: 0, generations: 0 };
        let mut show = Show::new(&session, budget);
        let arms = arms(&job, &job.problem()?, &shared.run, &scenario, draws, &shared.exec, &mut show)?;
        drop(show);
        let Some(arms) = arms else { return Err(Error::Broken { path: file.into() }) };
        shared.change(|store| {
            store.record(&session.record());
            store.put_scenario(&arms)
        })?;
        shared.at_file(|store| {
            if json {
                line!("{}", report::scenario_json(&arms));
                return Ok(());
            }
            text!("{}", report::scenario_tables(&arms));
            line!("\nStored in {} as /scenarios/{}; `nicho report` shows it.", store.path().display(), arms.key());
            Ok(())
        })
    })
}

/// Patients in a cohort of the job.
pub fn patients(job: &Job) -> Result<usize> {
    job.patients().ok_or_else(|| Error::Usage {
        problem: format!("the model '{}' has no patients, and so no arms", job.definition.model.name.get_ref()),
        fix: "name the result of a job whose model is 'cml'".into(),
    })
}

/// Simulates every arm at draws of the posterior and of the prior; `None` if a signal broke it off.
///
/// # Errors
/// Those of the job and of the executor.
pub fn arms(
    job: &Job,
    problem: &Problem,
    run: &Run,
    scenario: &Scenario,
    draws: usize,
    exec: &dyn Executor,
    show: &mut Show<'_>,
) -> Result<Option<store::Scenario>> {
    let Some(last) = run.last() else { return Ok(None) };
    let rows: Vec<&Row> = scenario.rows.iter().collect();
    let (posterior, prior) = (posterior_draws(problem, last, draws), prior_draws(problem, draws));
    let particle = posterior.particle.clone();
    let total = (2 * draws * scenario.arms.len()) as u64;
    let mut before = 0;
    let mut all = Vec::new();
    for draws_of in [posterior, prior] {
        let mut values = Array3::zeros((draws, scenario.arms.len(), rows.len()));
        for (trial, mut arm) in scenario.trials.iter().zip(values.axis_iter_mut(Axis(1))) {
            let model = job.arm(trial.clone(), &rows)?;
            let idle = &mut |done| show.work("arms of the scenario", before + done, total);
            let Some(simulated) = simulate(problem, &model, draws_of.clone(), Of::Scenario, exec, idle)? else {
                return Ok(None);
            };
            arm.assign(&simulated.values);
            before += draws as u64;
        }
        all.push(values);
    }
    let (Some(prior), Some(posterior)) = (all.pop(), all.pop()) else { return Ok(None) };
    let asked = |row: &Row| AskedRow {
        id: row.id.clone(),
        label: report::row_words(row),
        endpoint: row.endpoint.name().into(),
        kind: row.kind.name().into(),
        given: row.given_text(),
        month: row.month,
    };
    Ok(Some(store::Scenario {
        name: scenario.name.clone(),
        title: scenario.title.clone(),
        text: scenario.source.text.clone(),
        patients: scenario.trials.first().map_or(0, |trial| trial.patients as u64),
        arms: scenario.arms.clone(),
        rows: scenario.rows.iter().map(asked).collect(),
        particle,
        posterior,
        prior,
    }))
}
