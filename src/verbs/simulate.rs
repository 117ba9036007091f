//! `nicho simulate`: one virtual data set at given parameters.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::json;

use super::say::document;
use super::stored::embedded;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::job::scenario::Scenario;
use crate::model::cml::cohort::Trial;
use crate::model::cml::trajectory::Happening;
use crate::model::variants::VARIANT;
use crate::predict::posterior_draws;
use crate::report;
use crate::rng::{Branch, Key};
use crate::sampler::{Problem, simulate as simulate_model};
use crate::spelling::{nearest, similar};
use crate::store::{PredictedRow, Store, check_folder};

/// Where parameters come from.
pub struct Point {
    /// The job file: its fixed values, and the centres of its priors.
    pub job: PathBuf,
    /// In place of the centres, a result file of such a job, and what of its posterior.
    pub fit: Option<(PathBuf, Draw)>,
    /// Values in place of any of these, `name=value`.
    pub settings: Vec<String>,
    /// Which replicate: another number, other random numbers.
    pub replicate: u64,
}

/// What of a posterior.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    /// A draw, one of those from which `nicho predict` simulates if it is not asked for another number of them.
    Number(usize),
    /// The refined mode of most weight.
    Mode,
    /// The mean of every parameter.
    Mean,
}

impl FromStr for Draw {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "mode" => Ok(Draw::Mode),
            "mean" => Ok(Draw::Mean),
            number => number.parse().map(Draw::Number).map_err(|_| "give mode, mean or the number of a draw, from 0".into()),
        }
    }
}

/// Which patient, treated how.
pub struct Followed {
    /// The patient, from 0.
    pub patient: u64,
    /// A scenario file, and which of its arms; by default the first.
    pub scenario: Option<(PathBuf, Option<String>)>,
    /// Where tables and figures go.
    pub folder: PathBuf,
}

/// Simulates once at a point and prints the summaries beside the observed values: as a table, or as CSV.
///
/// # Errors
/// [`Error::Usage`] for a setting that names no parameter, is no number, or is out of range, for a draw that the result file
/// does not have, and if this point cannot be simulated.
pub fn simulate(point: &Point, csv: bool) -> Result<()> {
    let job = Job::load(&point.job)?;
    let problem = job.problem()?;
    let theta = theta(&job, &problem, point)?;
    let forecast = job.forecast_model()?;
    let model = forecast.as_ref().unwrap_or(&problem.model).as_ref();
    let mut out = vec![0.0; model.summaries().len()];
    let key = Key::root(*job.definition.seed.get_ref()).branch(Branch::Simulate).child(point.replicate);
    simulate_model(model, &theta, key, &mut out).map_err(|reason| Error::Usage {
        problem: format!("this point cannot be simulated: {}", reason.0),
        fix: "choose other values with --set".into(),
    })?;
    let rows = job.header()?.rows;
    if csv {
        line!("row,role,month,simulated,observed,se");
    } else {
        line!("{:<34} {:<9} {:>6} {:>10} {:>10} {:>8}", "row", "role", "month", "simulated", "observed", "se");
    }
    for (row, value) in rows.iter().zip(&out) {
        // A row without patients has no estimate: empty in CSV, a dash in the table.
        let known = value.is_finite();
        if csv {
            let value = if known { value.to_string() } else { String::new() };
            line!("{},{},{},{value},{},{}", row.id, row.role, row.month, row.value, row.se);
        } else {
            let value = if known { format!("{value:.4}") } else { "-".into() };
            line!("{:<34} {:<9} {:>6} {value:>10} {:>10.4} {:>8.4}", row.id, row.role, row.month, row.value, row.se);
        }
    }
    document(|| {
        let of = |(row, value): (&PredictedRow, &f64)| {
            let PredictedRow { id, role, month, unit, value: observed, se, .. } = row;
            json!({ "id": id, "role": role, "month": month, "unit": unit, "simulated": value, "observed": observed, "se": se })
        };
        json!({ "replicate": point.replicate, "rows": rows.iter().zip(&out).map(of).collect::<Vec<_>>() })
    });
    Ok(())
}

/// Follows one patient of the virtual trial of [`simulate`], or of an arm of a scenario, writes its trajectory, events, traits and
/// figures, and prints the events.
///
/// # Errors
/// Those of [`simulate`]; [`Error::Usage`] for a model without patients, a patient beyond the cohort, or an unknown arm.
pub fn simulate_patient(point: &Point, followed: &Followed) -> Result<()> {
    let usage = |problem: String, fix: &str| Error::Usage { problem, fix: fix.into() };
    let job = Job::load(&point.job)?;
    let problem = job.problem()?;
    let size = job.patients().ok_or_else(|| usage("this model has no patients".into(), "use a job whose model is cml"))?;
    let patient = followed.patient;
    if patient >= size as u64 {
        return Err(usage(format!("--patient {patient}: there are {size}"), &format!("give a number from 0 to {}", size - 1)));
    }
    let theta = theta(&job, &problem, point)?;
    check_folder(&followed.folder)?;
    let (trial, name) = match &followed.scenario {
        None => (Trial::iris(size, 96.0), "imatinib 400".to_string()),
        Some((path, arm)) => {
            let mut scenario = Scenario::load(path, size)?;
            let at = match arm {
                None => 0,
                Some(arm) => scenario.arms.iter().position(|name| name == arm.trim()).ok_or_else(|| {
                    let near = nearest(arm.trim(), scenario.arms.iter().map(String::as_str));
                    let fix = format!("did you mean '{near}'? Its arms are {}", scenario.arms.join(", "));
                    usage(format!("the scenario has no arm '{arm}'"), &fix)
                })?,
            };
            (scenario.trials.swap_remove(at), scenario.arms.swap_remove(at))
        }
    };
    let key = Key::root(*job.definition.seed.get_ref()).branch(Branch::Simulate).child(point.replicate);
    let variant = theta.last().filter(|_| !job.models().is_empty()).map_or(0, |number| *number as usize);
    let trajectory = job
        .arm(trial, &[], variant)?
        .trajectory(&job.of_variant(&theta, variant), key, patient)
        .map_err(|reason| usage(format!("this point cannot be simulated: {}", reason.0), "choose other values with --set"))?;
    let written = report::write_patient(&trajectory, &format!("patient {patient}, {name}"), &followed.folder)?;
    line!("patient {patient}, {name}\n");
    text!("{}", report::patient_events(&trajectory));
    line!();
    written.iter().for_each(|path| line!("{}", path.display()));
    let happened = trajectory.happenings();
    let event = |h: &Happening| json!({ "month": h.month, "event": h.event, "what": h.what });
    document(|| {
        let events = happened.iter().map(event).collect::<Vec<_>>();
        json!({ "patient": patient, "arm": name, "events": events, "files": written })
    });
    Ok(())
}

/// The job's fixed values and the centres of its priors or what was fitted, with the settings in place.
fn theta(job: &Job, problem: &Problem, point: &Point) -> Result<Vec<f64>> {
    let free = match &point.fit {
        None => job.priors().iter().map(|m| m.centre()).collect(),
        Some((file, draw)) => fitted(problem, file, *draw)?,
    };
    let mut theta = problem.full(&free);
    for setting in &point.settings {
        let (index, value) = parse(setting, problem)?;
        if problem.model.parameters()[index].name == VARIANT && value.fract() != 0.0 {
            let names = job.models().join(", ");
            let fix = format!("give a whole number from 0, in the order of {names}");
            return Err(Error::Usage { problem: format!("--set {setting}: it is the number of a model"), fix });
        }
        theta[index] = value;
    }
    Ok(theta)
}

/// Inferred parameters from a result file, in the order of the job.
fn fitted(problem: &Problem, file: &Path, draw: Draw) -> Result<Vec<f64>> {
    let refuse = |problem: String, fix: &str| Error::Output { path: file.into(), problem, fix: fix.into() };
    let store = Store::open(file)?;
    let inferred: Vec<&str> = problem.free.iter().map(|index| problem.model.parameters()[*index].name).collect();
    let there: Vec<&str> = store.header().parameters.iter().map(|column| column.name.as_str()).collect();
    if there != inferred {
        let problem = format!("other parameters are inferred in it than in the job: {}", there.join(", "));
        return Err(refuse(problem, "name a result of this job, or the job of this result"));
    }
    let Some(last) = store.run().last() else {
        let problem = "the run in it has no finished generation: there is no posterior".into();
        return Err(refuse(problem, "finish it first: nicho run JOB --resume"));
    };
    match draw {
        Draw::Mean if !problem.models.is_empty() => Err(refuse("several models have no mean".into(), "name a draw: --draw 0")),
        Draw::Mean => {
            let weights = last.weights();
            Ok(last.theta.columns().into_iter().map(|values| weights.mean(values.iter().copied())).collect())
        }
        Draw::Mode => {
            let modes = store.modes().unwrap_or_default();
            let best = modes.iter().max_by(|a, b| a.weight.total_cmp(&b.weight));
            best.map(|mode| mode.theta.clone()).ok_or_else(|| {
                refuse(
                    "no mode of its posterior has been refined".into(),
                    &format!("nicho refine {}, or --draw mean", file.display()),
                )
            })
        }
        Draw::Number(number) => {
            // Those of the run: its seed and its number of draws.
            let own = embedded(&store)?;
            let count = *own.definition.output.draws.get_ref();
            if number >= count {
                return Err(Error::Usage {
                    problem: format!("--draw {number}: the job has {count} draws"),
                    fix: format!("give a number from 0 to {}, mode or mean", count - 1),
                });
            }
            let draws = posterior_draws(&own.problem()?, last, count);
            Ok(draws.theta.row(number).to_vec())
        }
    }
}

/// Index and value of a setting `name=value`.
fn parse(setting: &str, problem: &Problem) -> Result<(usize, f64)> {
    let table = problem.model.parameters();
    let refuse = |problem: String, fix: String| Err(Error::Usage { problem: format!("--set {setting}: {problem}"), fix });
    // What could be meant, with the value that it has without a setting.
    let example = |name: &str| {
        let near = similar(name, table.iter().map(|parameter| parameter.name));
        let first = || problem.free.first().map_or("", |index| table[*index].name);
        let of = table.iter().find(|parameter| parameter.name == near.unwrap_or_else(first));
        of.map_or(String::new(), |of| format!("write --set NAME=VALUE, for example --set {}={}", of.name, of.default))
    };
    let Some((name, value)) = setting.split_once('=') else {
        return refuse("there is no '='".into(), example(setting.trim()));
    };
    let (name, value) = (name.trim(), value.trim());
    let Some(index) = table.iter().position(|parameter| parameter.name == name) else {
        let list = "`nicho check JOB --parameters` lists what can be set";
        if problem.model.summaries().iter().any(|summary| summary.name == name) {
            return refuse(format!("'{name}' is simulated and not set"), format!("set a parameter: {list}"));
        }
        let near = similar(name, table.iter().map(|parameter| parameter.name));
        let fix = near.map_or(list.into(), |near| format!("did you mean '{near}'? {list}"));
        return refuse(format!("the model has no parameter '{name}'"), fix);
    };
    let unit = if table[index].unit == "-" { String::new() } else { format!(", in {}", table[index].unit) };
    let Ok(number) = value.parse::<f64>() else {
        return refuse(
            format!("'{value}' is not a number"),
            format!("write a number alone{unit}: {name}={}", table[index].default),
        );
    };
    let (low, high) = table[index].range;
    if !(low..=high).contains(&number) {
        let problem = format!("outside the legal range [{low}, {high}]{}", table[index].unit_after());
        return refuse(problem, "give a value in the range".into());
    }
    Ok((index, number))
}
