//! Several runs against each other: what differs between their jobs, how far their posteriors lie apart, what each predicts.
//!
//! Every run is compared with the first one that has the parameter. Means and spreads are compared on the coordinate of the prior (the
//! logarithm of a positive parameter; [`On`] names it), each with its Monte-Carlo error: of a weighted mean m the variance is Σ w² (x − m)² (Geweke 1989,
//! Econometrica 57:1317, eq. 9), of a weighted variance s² it is Σ w² ((x − m)² − s²)², and ln s has a quarter of that over s⁴ by the
//! delta method (at 500 particles a tenth too small, as tests/suite/results.rs measures). Two seeds of one job must agree within that
//! error; a subset of the data, another model or another tolerance need not. *Overlap* is the area under both densities, ∫ min(p, q)
//! (Weitzman 1970, Technical Paper 22, US Bureau of the Census), by the kernel estimates of the figures.

use serde::Serialize;

use serde_json::Value;

use self::posteriors::{agreement, parameters};
use self::predictions::{rows, scenarios};
use crate::error::{Error, Result};
use crate::report::format::{NONE, count, number};
use crate::report::models::ModelLine;
use crate::report::rows::{Band, RowLine};
use crate::report::summary::{ParameterLine, Summary};
use crate::report::{Input, chart::Axis};

mod drawn;
mod page;
mod posteriors;
mod predictions;
mod text;

pub use self::page::comparison_page;
pub use self::text::comparison_tables;

/// A run that is compared.
pub struct Compared<'a> {
    /// What it is called.
    pub name: String,
    /// The run.
    pub input: Input<'a>,
}

/// A figure with its Monte-Carlo standard error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// The figure.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
}

impl Measured {
    /// In standard errors.
    fn z(self) -> f64 {
        if self.value == 0.0 { 0.0 } else { self.value / self.error }
    }
}

/// The scale on which two posteriors of a parameter are compared: that on which both priors are set, or the natural one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// Natural units.
    Natural,
    /// Natural logarithm, of a positive parameter.
    Ln,
    /// Logit, of a proportion.
    Logit,
}

impl On {
    /// The word in tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            On::Natural => "natural",
            On::Ln => "ln",
            On::Logit => "logit",
        }
    }

    /// What is compared, of a parameter of that name.
    pub(super) fn of(self, name: &str) -> String {
        if self == On::Natural { name.into() } else { format!("{} {name}", self.name()) }
    }
}

/// A posterior against that of the first run which has the parameter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Apart {
    /// The scale of shift and spread; those of [`ParameterLine`] are natural.
    pub on: On,
    /// Difference of the means, in standard deviations (the root of the mean of both variances), all on that scale.
    pub shift: Measured,
    /// Natural logarithm of the ratio of the standard deviations on that scale.
    #[serde(rename = "ln_spread")]
    pub spread: Measured,
    /// Area under both densities, in [0, 1].
    pub overlap: f64,
}

/// A parameter in one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Of {
    /// Its posterior.
    pub line: ParameterLine,
    /// Against the first run that has it; `None` of that run.
    pub apart: Option<Apart>,
}

/// A parameter in all runs.
#[derive(Serialize)]
pub struct ParameterOfAll {
    /// Name and unit.
    pub title: String,
    /// What it is.
    pub meaning: String,
    /// In each run; where it is not inferred, why.
    #[serde(serialize_with = "present")]
    pub runs: Vec<std::result::Result<Of, String>>,
    /// How its axis is drawn.
    #[serde(skip)]
    pub(super) axis: Axis,
    /// Density of each run and of its prior along the drawn axis: natural value, posterior, prior.
    #[serde(skip)]
    pub(super) curves: Vec<Vec<(f64, f64, f64)>>,
}

/// Where a run has no such thing, why stands under `absent`.
fn present<T: Serialize, S: serde::Serializer>(
    runs: &[std::result::Result<T, String>],
    to: S,
) -> std::result::Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Run<'a, T> {
        Of(&'a T),
        None { absent: &'a str },
    }
    to.collect_seq(runs.iter().map(|run| run.as_ref().map_or_else(|absent| Run::None { absent }, Run::Of)))
}

/// A row in all runs.
#[derive(Serialize)]
pub struct RowOfAll {
    /// Unique name.
    pub id: String,
    /// In each run that has it.
    pub runs: Vec<Option<RowLine>>,
    /// Mean of the posterior predictive less that of the first run which has the row, in the unit of the row.
    pub apart: Vec<Option<Measured>>,
}

impl RowOfAll {
    /// The row in the first run that has it.
    pub(super) fn first(&self) -> Option<&RowLine> {
        self.runs.iter().flatten().next()
    }
}

/// How a run has predicted a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ensemble {
    /// Virtual patients in an arm.
    pub patients: u64,
    /// Draws of the posterior.
    pub draws: usize,
}

/// A row of an arm in one run, a share in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Foreseen {
    /// Posterior predictive; `None` where no draw has an estimate.
    pub band: Option<Band>,
    /// Its mean less that of the first run which has the scenario.
    pub apart: Option<Measured>,
}

/// A row of an arm in all runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmOfAll {
    /// Unique name of the row.
    pub id: String,
    /// The row in words.
    pub label: String,
    /// Its month.
    pub month: f64,
    /// The arm.
    pub arm: String,
    /// The curve that the row belongs to.
    #[serde(skip)]
    pub(super) family: String,
    /// In each run that has the scenario.
    pub runs: Vec<Option<Foreseen>>,
}

/// A scenario, one file, in all runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScenarioOfAll {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub title: String,
    /// How each run has predicted it; or why there is nothing to compare.
    #[serde(serialize_with = "present")]
    pub runs: Vec<std::result::Result<Ensemble, String>>,
    /// Arms by row.
    pub rows: Vec<ArmOfAll>,
}

impl ScenarioOfAll {
    /// Whether two runs or more have it.
    pub(super) fn is_shared(&self) -> bool {
        self.runs.iter().flatten().count() > 1
    }
}

/// What a run came to against the first ones.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// Whether it is within the Monte-Carlo error.
    pub agrees: bool,
    /// In words.
    pub text: String,
}

/// Runs against each other.
#[derive(Serialize)]
pub struct Comparison {
    /// Their names, in order.
    pub names: Vec<String>,
    /// What they came to, in the same order.
    pub summaries: Vec<Summary>,
    /// Digest of each inference.
    pub digests: Vec<String>,
    /// Seed of each job.
    pub seeds: Vec<String>,
    /// Keys of the job that differ, with the value of each run.
    pub keys: Vec<(String, Vec<String>)>,
    /// Parameters that two runs or more have, then others.
    pub parameters: Vec<ParameterOfAll>,
    /// Rows that two runs or more have, then others.
    pub rows: Vec<RowOfAll>,
    /// Scenarios that a run at least has predicted.
    pub scenarios: Vec<ScenarioOfAll>,
    /// Of each run but the first, if it shares a parameter with an earlier one.
    pub agreement: Vec<Option<Agreement>>,
}

impl Comparison {
    /// Forms all numbers. `keys` are the keys of the jobs that differ, with the value of each run.
    ///
    /// # Errors
    /// `Usage` if there are fewer than two runs, a run has no finished generation, or no two share a parameter, row or scenario.
    pub fn of(runs: &[Compared<'_>], keys: Vec<(String, Vec<String>)>) -> Result<Comparison> {
        let summaries = runs.iter().map(|run| Summary::of(&run.input)).collect::<Result<Vec<Summary>>>()?;
        let parameters = parameters(runs, &summaries);
        let rows = rows(runs, &summaries);
        let scenarios = scenarios(runs);
        let shared = |have: usize| have > 1;
        let in_common = parameters.iter().any(|p| shared(p.runs.iter().flatten().count()))
            || rows.iter().any(|r| shared(r.runs.iter().flatten().count()))
            || scenarios.iter().any(ScenarioOfAll::is_shared);
        if !in_common {
            return Err(Error::Usage {
                problem:
                    "these runs have nothing in common: no two infer the same parameter in the same unit, or predict the same row"
                        .into(),
                fix: "name runs of one model, or of one table of observations".into(),
            });
        }
        let digest = |run: &Compared<'_>| run.input.store.digests().into_iter().next().map_or(String::new(), |(_, hex)| hex);
        let seed = |run: &Compared<'_>| {
            let job: Value = serde_json::from_str(&run.input.store.header().job_canonical).unwrap_or_default();
            job["seed"].to_string()
        };
        let names: Vec<String> = runs.iter().map(|run| run.name.clone()).collect();
        let digests: Vec<String> = runs.iter().map(digest).collect();
        let models = models(&summaries);
        let agreement = (1..runs.len()).map(|k| agreement(k, &names, &digests, &parameters, &models)).collect();
        let seeds = runs.iter().map(seed).collect();
        Ok(Comparison { names, summaries, digests, seeds, keys, parameters, rows, scenarios, agreement })
    }

    /// Names of models that are compared within runs, with their line in each run.
    pub(super) fn models(&self) -> Vec<(String, Vec<Option<&ModelLine>>)> {
        models(&self.summaries)
    }

    /// The facts of each run, as tables show them: job, seed, generations, tolerance, ESS, simulations.
    pub(super) fn facts(&self, k: usize) -> [String; 6] {
        let s = &self.summaries[k];
        let last = s.generations.last();
        let unfinished = if s.stopped.is_none() { " (unfinished)" } else { "" };
        [
            s.name.clone(),
            self.seeds[k].clone(),
            format!("{}{unfinished}", s.generations.len()),
            last.map_or(NONE.into(), |g| number(g.tolerance)),
            last.map_or(NONE.into(), |g| format!("{:.0}", g.ess)),
            count(s.simulated),
        ]
    }

    /// What is not in every run, a line for each parameter, model and scenario, and one for the rows of each run that no other has.
    pub(super) fn missing(&self) -> Vec<String> {
        let line = |name: &str, absent: &mut dyn Iterator<Item = Option<&str>>| {
            let told = absent.zip(&self.names).filter_map(|(why, run)| Some(format!("{} in {run}", why?)));
            let told = told.collect::<Vec<String>>().join(", ");
            (!told.is_empty()).then(|| format!("{name}: {told}."))
        };
        let why = |k: usize, of: &Option<&ModelLine>| match of {
            Some(_) => None,
            None if self.summaries[k].models.is_empty() => Some("no models compared"),
            None => Some("absent"),
        };
        let mut missing = Vec::new();
        for p in &self.parameters {
            missing.extend(line(&p.title, &mut p.runs.iter().map(|run| run.as_ref().err().map(String::as_str))));
        }
        for (name, lines) in self.models() {
            missing.extend(line(&format!("Model {name}"), &mut lines.iter().enumerate().map(|(k, of)| why(k, of))));
        }
        for s in &self.scenarios {
            let runs = &mut s.runs.iter().map(|run| run.as_ref().err().map(String::as_str));
            missing.extend(line(&format!("Scenario {}", s.name), runs));
        }
        for (k, name) in self.names.iter().enumerate() {
            let lone = self.rows.iter().filter(|r| r.runs[k].is_some() && r.runs.iter().flatten().count() == 1);
            let lone: Vec<&str> = lone.map(|r| r.id.as_str()).collect();
            if !lone.is_empty() {
                missing.push(format!("Rows that only {name} predicts: {}.", lone.join(", ")));
            }
        }
        missing
    }
}

/// Models by name, in the order in which the runs have them.
fn models(summaries: &[Summary]) -> Vec<(String, Vec<Option<&ModelLine>>)> {
    let mut names: Vec<&str> = Vec::new();
    for model in summaries.iter().flat_map(|s| &s.models) {
        if !names.contains(&model.name.as_str()) {
            names.push(&model.name);
        }
    }
    let of = |name: &str| summaries.iter().map(|s| s.models.iter().find(|m| m.name == name)).collect();
    names.into_iter().map(|name| (name.into(), of(name))).collect()
}
