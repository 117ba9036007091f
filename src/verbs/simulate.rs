//! `nicho simulate`: one virtual data set at given parameters.

use std::path::Path;

use crate::error::{Error, Result};
use crate::job::Job;
use crate::job::scenario::Scenario;
use crate::model::Parameter;
use crate::model::cml::cohort::Trial;
use crate::report;
use crate::rng::Key;
use crate::sampler::{Problem, simulate as simulate_model};
use crate::trial::vocabulary::nearest;

/// Simulates once at the job's fixed values, the centres of its priors and the `settings` (`name=value`), and prints the
/// summaries beside the observed values: as a table, or as CSV.
///
/// # Errors
/// [`Error::Usage`] for a setting that names no parameter, is no number, or is out of range, and if this point cannot be
/// simulated.
pub fn simulate(file: &Path, settings: &[String], replicate: u64, csv: bool) -> Result<()> {
    let job = Job::load(file)?;
    let problem = job.problem()?;
    let theta = theta(&job, &problem, settings)?;
    let forecast = job.forecast_model()?;
    let model = forecast.as_ref().unwrap_or(&problem.model).as_ref();
    let mut out = vec![0.0; model.summaries().len()];
    let key = Key::root(*job.definition.seed.get_ref()).child(u64::MAX - 3).child(replicate);
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
    Ok(())
}

/// Follows one patient of the virtual trial of [`simulate`], or of an arm of a scenario, and writes its trajectory into `folder`:
/// all states and signaling nodes at every visit, as CSV and figures.
///
/// # Errors
/// Those of [`simulate`]; [`Error::Usage`] for a model without patients, a patient beyond the cohort, or an unknown arm.
pub fn simulate_patient(
    file: &Path,
    settings: &[String],
    replicate: u64,
    patient: u64,
    arm: Option<(&Path, Option<&str>)>,
    folder: &Path,
) -> Result<()> {
    let usage = |problem: String, fix: &str| Error::Usage { problem, fix: fix.into() };
    let job = Job::load(file)?;
    let problem = job.problem()?;
    let size = job.patients().ok_or_else(|| usage("this model has no patients".into(), "use a job whose model is cml"))?;
    if patient >= size as u64 {
        return Err(usage(format!("--patient {patient}: there are {size}"), &format!("give a number from 0 to {}", size - 1)));
    }
    let theta = theta(&job, &problem, settings)?;
    let (trial, name) = match arm {
        None => (Trial::iris(size, 96.0), "imatinib 400".to_string()),
        Some((path, arm)) => {
            let mut scenario = Scenario::load(path, size)?;
            let at = match arm {
                None => 0,
                Some(arm) => scenario.arms.iter().position(|name| name == arm).ok_or_else(|| {
                    usage(format!("the scenario has no arm '{arm}'"), &format!("its arms are {}", scenario.arms.join(", ")))
                })?,
            };
            (scenario.trials.swap_remove(at), scenario.arms.swap_remove(at))
        }
    };
    let key = Key::root(*job.definition.seed.get_ref()).child(u64::MAX - 3).child(replicate);
    let trajectory = job
        .arm(trial, &[])?
        .trajectory(&theta, key, patient)
        .map_err(|reason| usage(format!("this point cannot be simulated: {}", reason.0), "choose other values with --set"))?;
    for path in report::write_patient(&trajectory, &format!("patient {patient}, {name}"), folder)? {
        line!("{}", path.display());
    }
    Ok(())
}

/// The job's fixed values and the centres of its priors, with the settings in place.
fn theta(job: &Job, problem: &Problem, settings: &[String]) -> Result<Vec<f64>> {
    let centre: Vec<f64> = job.priors().iter().map(|m| m.centre()).collect();
    let mut theta = problem.full(&centre);
    for setting in settings {
        let (index, value) = parse(setting, problem.model.parameters())?;
        theta[index] = value;
    }
    Ok(theta)
}

fn parse(setting: &str, table: &[Parameter]) -> Result<(usize, f64)> {
    let complain = |problem: String, fix: String| Error::Usage { problem, fix };
    let example = || "write --set name=value, for example --set ic50=0.5".to_string();
    let (name, value) =
        setting.split_once('=').ok_or_else(|| complain(format!("--set {setting}: there is no '='"), example()))?;
    let index = table.iter().position(|p| p.name == name.trim()).ok_or_else(|| {
        let near = nearest(name.trim(), table.iter().map(|p| p.name));
        complain(format!("--set {setting}: the model has no parameter '{name}'"), format!("did you mean '{near}'?"))
    })?;
    let (low, high) = table[index].range;
    let number: f64 =
        value.trim().parse().map_err(|_| complain(format!("--set {setting}: '{value}' is not a number"), example()))?;
    if !(low..=high).contains(&number) {
        let problem = format!("--set {setting}: outside the legal range [{low}, {high}]{}", table[index].unit_after());
        return Err(complain(problem, "give a value in the range".into()));
    }
    Ok((index, number))
}
