//! `nicho predict`: the arms of a scenario, simulated at draws of a stored posterior and of the prior.

use std::path::PathBuf;

use ndarray::{Array3, Axis};

use super::progress::{Budget, Show};
use super::say::document;
use super::session::Session;
use super::shared::{Shared, agree, agree_on, on_ranks};
use super::stored::embedded;
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::job::Job;
use crate::job::scenario::Scenario;
use crate::model::cml::parameters::TABLE;
use crate::model::cml::protocol::Rule;
use crate::population::Run;
use crate::predict::{Of, posterior_draws, predict as simulate, prior_draws};
use crate::report;
use crate::sampler::Problem;
use crate::store::{self, ActedRule, AskedRow, Store, check_file};
use crate::trial::table::Row;
use crate::trial::vocabulary::Word;

/// Flags of `nicho predict`.
pub struct PredictFlags {
    /// The result file.
    pub file: PathBuf,
    /// The scenario file.
    pub scenario: PathBuf,
    /// Draws of the posterior, and as many of the prior; by default as many as the job asks for.
    pub draws: Option<usize>,
    /// Worker threads.
    pub threads: usize,
    /// What becomes of the prediction.
    pub keep: Keep,
}

/// What becomes of a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Stored, unless that would cost another one.
    Store,
    /// Stored in place of one of that name, whatever it is.
    Replace,
    /// Printed only.
    Print,
}

/// Predicts the arms of a scenario from a stored run, stores them in its file and prints them.
///
/// # Errors
/// Those of the store and of the scenario file; [`Error::Usage`] if the run's model has no patients; [`Error::Output`] if the
/// file holds no posterior yet, or another scenario of that name; [`Error::Broken`] after a signal.
pub fn predict(flags: &PredictFlags) -> Result<()> {
    let file = &flags.file;
    on_ranks(flags.threads, |exec| {
        let job = agree(exec, Store::open(file).and_then(|store| embedded(&store)))?;
        let patients = patients(&job)?;
        let scenario = agree_on(exec, Scenario::load(&flags.scenario, patients), |scenario| scenario.source.text.clone())?;
        let draws = flags.draws.unwrap_or(*job.definition.output.draws.get_ref());
        let shared = Shared::open(exec, |journaled| {
            // A run that is under way would write over it.
            if flags.keep != Keep::Print {
                journaled.hold(file)?;
                check_file(file)?;
            }
            let store = Store::open(file)?;
            if store.run().last().is_none() {
                let problem = "the run in it has no finished generation: there is no posterior to predict from".into();
                return Err(Error::Output { path: file.clone(), problem, fix: "finish it first: nicho run JOB --resume".into() });
            }
            if flags.keep == Keep::Store {
                spare(&store, &scenario, draws)?;
            }
            Ok(store)
        })?;
        if shared.run.stopped.is_none() {
            let generations = shared.run.generations.len();
            tracing::warn!(
                generations,
                "the run has not ended: this predicts from its last generation, not from the posterior asked for"
            );
        }
        let session = Session::new("predict", exec);
        let sampler = job.sampler();
        let budget = Budget::of(sampler.population);
        let mut show = Show::new(&session, budget);
        let arms = arms(&job, &job.problem()?, &shared.run, &scenario, draws, &shared.exec, &mut show)?;
        drop(show);
        let Some(arms) = arms else { return Err(Error::Broken { path: file.clone() }) };
        if flags.keep != Keep::Print {
            shared.change(|store| {
                store.record(&session.record());
                store.put_scenario(&arms)
            })?;
        }
        shared.at_file(|store| {
            document(|| {
                let (_, inference) = store.digests().into_iter().next().unwrap_or_default();
                report::scenario_json(&arms, *job.definition.seed.get_ref(), &inference)
            });
            text!("{}", report::scenario_tables(&arms));
            let given = |name: &str| {
                let rules = scenario.trials.iter().flat_map(|trial| &trial.protocol.rules);
                rules.flat_map(|rule| &rule.then.give).any(|(drug, _)| name.starts_with(drug.name()))
            };
            let open: Vec<&str> = job.open().into_iter().map(|at| TABLE[at].name).filter(|name| given(name)).collect();
            if !open.is_empty() {
                line!("\nThe job says nothing of these; they are drawn from the priors that the parameter table proposes:");
                line!("  {}", open.join(", "));
            }
            if flags.keep != Keep::Print {
                line!("\nStored in {} as /scenarios/{}; `nicho report` shows it.", store.path().display(), arms.key());
            }
            Ok(())
        })
    })
}

/// Refuses to store a scenario in place of another one, or of the same with more draws.
fn spare(store: &Store, scenario: &Scenario, draws: usize) -> Result<()> {
    let Some(stored) = store.scenario(&scenario.name) else { return Ok(()) };
    let problem = if stored.text != scenario.source.text {
        format!("another scenario file was predicted in it as /scenarios/{}", stored.key())
    } else if stored.particle.len() > draws {
        format!("/scenarios/{} in it has {} draws, more than {draws}", stored.key(), stored.particle.len())
    } else {
        return Ok(());
    };
    let fix = "--replace puts this one in its place, --no-store only prints it, and another name in the file keeps both";
    Err(Error::Output { path: store.path().into(), problem, fix: fix.into() })
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
    let open = job.open();
    let mut before = 0;
    let mut all = Vec::new();
    for draws_of in [posterior, prior] {
        let mut values = Array3::zeros((draws, scenario.arms.len(), rows.len()));
        let mut acted = Vec::new();
        for (trial, mut arm) in scenario.trials.iter().zip(values.axis_iter_mut(Axis(1))) {
            let model = job.compare(&|variant| {
                Ok(Box::new(job.arm(trial.clone(), &rows, variant)?.counting_rules().drawing(open.clone())))
            })?;
            let idle = &mut |done| show.work("arms of the scenario", before + done, total);
            let Some(simulated) = simulate(problem, model.as_ref(), draws_of.clone(), Of::Scenario, exec, idle)? else {
                return Ok(None);
            };
            let (asked, rules) = simulated.values.view().split_at(Axis(1), rows.len());
            arm.assign(&asked);
            acted.extend(rules.columns().into_iter().map(|shares| median(shares.iter().copied())));
            before += draws as u64;
        }
        all.push((values, acted));
    }
    let (Some((prior, acted_prior)), Some((posterior, acted))) = (all.pop(), all.pop()) else { return Ok(None) };
    let names = scenario.trials.iter().enumerate().flat_map(|(arm, trial)| trial.protocol.rules.iter().map(move |r| (arm, r)));
    let rule = |((arm, rule), (posterior, prior)): ((usize, &Rule), (f64, f64))| ActedRule {
        arm,
        name: rule.name.clone(),
        posterior,
        prior,
    };
    let rules = names.zip(acted.into_iter().zip(acted_prior)).map(rule).collect();
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
        rules,
    }))
}

/// The median of the numbers among them; not a number, if there is none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    report::Band::of(values).map_or(f64::NAN, |band| band.median)
}
