//! The `[[trial]]` tables: several trials in one fit.
//!
//! ```text
//! [[trial]] name            what the column `trial` of the observation table calls it
//!           patients        of its virtual cohort; without it as many as the largest denominator of its fitted rows
//!           own             parameters that it does not share; each then is NAME@TRIAL, with the prior of NAME or one of its own.
//!                           assay_offset (log10), by which its readings of BCR-ABL are off those of another trial, is always one
//!           months          of follow-up; without it to the last of its rows
//!           visits          molecular, marrow, as in a scenario; without it those of IRIS
//!           leave           the reasons for which its patients leave (all)
//! [[trial.rule]]            its treatment, as the rules of an arm in a scenario; without them 400 mg of imatinib
//! ```
//! It stands in the job and not in a scenario file, so that a result file holds all that it is made of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Job;
use super::definition::Definition;
use super::legal;
use super::scenario::rules::{ArmDef, RuleDef, protocol, reasons};
use super::scenario::{VisitsDef, plan};
use super::spanned::Spanned;
use crate::error::{Error, Result};
use crate::model::Parameter;
use crate::model::cml::cohort::Trial;
use crate::model::cml::parameters::{ASSAY_OFFSET, TABLE, own as parameter};
use crate::model::cml::trials::{Arm, OF, Trials};
use crate::spelling::nearest;
use crate::trial::table::{Row, TRIAL};
use crate::trial::vocabulary::{Endpoint, Role};

/// Longest name of a trial.
const MOST_NAME: usize = 40;

/// One `[[trial]]`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrialDef {
    /// What the column `trial` of the observation table and results call it: at most 40 letters, digits, hyphens and points.
    #[schemars(example = &"IRIS")]
    pub name: Spanned<String>,
    /// Virtual patients in its cohort; without it as many as the largest denominator of its fitted rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = legal::PATIENTS.schema(), example = 553)]
    pub patients: Option<Spanned<usize>>,
    /// Parameters that it does not share with the others; each then is `NAME@TRIAL`, with the prior of `NAME` or one of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = ["hazard_other_leaving"])]
    pub own: Vec<Spanned<String>>,
    /// Length of follow-up; without it to the last of its rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = legal::MONTHS.schema(), extend("x-unit" = "months"), example = 60.0)]
    pub months: Option<Spanned<f64>>,
    /// Months of its visits; without it those of IRIS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visits: Option<VisitsDef>,
    /// The reasons for which its patients leave treatment before its end; without it all that there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = legal::one_of(reasons()), example = ["adverse", "other"])]
    pub leave: Option<Vec<Spanned<String>>>,
    /// Its treatment, as the rules of an arm in a scenario; without them 400 mg of imatinib a day from the start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rule: Vec<Spanned<RuleDef>>,
}

impl TrialDef {
    /// Whether a row is one of this trial.
    fn has(&self, row: &Row) -> bool {
        row.trial == *self.name.get_ref()
    }

    /// Name of a parameter of its own.
    fn own_name(&self, name: &str) -> String {
        format!("{name}{OF}{}", self.name.get_ref())
    }
}

/// A trial of several, as a job means it.
pub struct JobTrial<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many patients are treated how, and when they are seen.
    pub trial: Trial,
    /// Rows that are fitted, and held out.
    pub rows: (usize, usize),
    /// Names of the parameters that are its own.
    pub own: Vec<String>,
}

/// Number of patients behind the rows: the largest denominator.
pub(super) fn largest<'a>(rows: impl IntoIterator<Item = &'a Row>) -> usize {
    rows.into_iter().filter_map(|row| row.n).fold(0.0, f64::max) as usize
}

fn last_month<'a>(rows: impl IntoIterator<Item = &'a Row>) -> f64 {
    rows.into_iter().map(|row| row.month).fold(0.0, f64::max)
}

impl Job {
    /// The model of all trials, with these rows of theirs as its summaries.
    pub(super) fn trials(&self, rows: &[&Row], variant: usize) -> Result<Trials> {
        let arms = self.definition.trial.iter().map(|def| {
            let at: Vec<usize> = (0..rows.len()).filter(|&at| def.has(rows[at])).collect();
            let of: Vec<&Row> = at.iter().map(|&at| rows[at]).collect();
            let own = def.own.iter().map(|name| name.get_ref().clone()).collect();
            let model = self.arm(self.followed(def, &of)?, &of, variant)?;
            Ok(Arm { name: def.name.get_ref().clone(), model, rows: at, own })
        });
        Ok(Trials::new(arms.collect::<Result<_>>()?))
    }

    /// What each trial is, followed as far as any row of it asks; none if there is one trial.
    ///
    /// # Errors
    /// Those of [`Job::fit_model`].
    pub fn several(&self) -> Result<Vec<JobTrial<'_>>> {
        let (all, fitted) = (self.predicted_rows(), self.fitted_rows());
        let one = |def| {
            let of = |rows: &[&Row]| rows.iter().filter(|row| TrialDef::has(def, row)).count();
            let whole: Vec<&Row> = all.iter().copied().filter(|row| TrialDef::has(def, row)).collect();
            Ok(JobTrial {
                name: def.name.get_ref(),
                trial: self.followed(def, &whole)?,
                rows: (of(&fitted), of(&all) - of(&fitted)),
                own: def.own.iter().map(|name| def.own_name(name.get_ref())).collect(),
            })
        };
        self.definition.trial.iter().map(one).collect()
    }

    /// What is done in a trial, followed as far as these rows of it ask.
    fn followed(&self, def: &TrialDef, rows: &[&Row]) -> Result<Trial> {
        let source = &self.source;
        let all: Vec<&Row> = self.predicted_rows().into_iter().filter(|row| def.has(row)).collect();
        let patients = self.size(def);
        if !legal::PATIENTS.holds(patients as f64) {
            let span = def.patients.as_ref().map_or(def.name.span(), Spanned::span);
            let problem = format!("{patients} patients; the legal range is {}", legal::PATIENTS);
            return Err(source.error(span, "trial.patients", &problem, "give the size of the trial's arm"));
        }
        let whole = match &def.months {
            Some(months) => *months.get_ref(),
            None => last_month(all),
        };
        if !legal::MONTHS.holds(whole) {
            let span = def.months.as_ref().map_or(def.name.span(), Spanned::span);
            let problem = format!("{whole} months; the legal range is {}", legal::MONTHS);
            return Err(source.error(span, "trial.months", &problem, "give the length of follow-up in months"));
        }
        // A fit need not follow patients to the last row that is predicted, but a rule may come between the two.
        let asked = last_month(rows.iter().copied());
        let horizon = if def.months.is_some() || asked == 0.0 { whole } else { asked };
        let trial = Trial::iris(patients, horizon);
        let visits = |months| plan(source, def.visits.as_ref(), months).map_err(of_a_trial);
        let plan = visits(horizon)?;
        if def.rule.is_empty() && def.leave.is_none() {
            return Ok(Trial { plan, ..trial });
        }
        let arm = ArmDef { name: def.name.clone(), leave: def.leave.clone(), rule: def.rule.clone() };
        let mut protocol = protocol(source, &arm, &visits(whole)?).map_err(of_a_trial)?;
        if arm.rule.is_empty() {
            protocol.rules = trial.protocol.rules;
        }
        Ok(Trial { plan, protocol, ..trial })
    }

    /// Virtual patients in the cohort of a trial.
    pub(super) fn size(&self, def: &TrialDef) -> usize {
        let rows = self.predicted_rows();
        let of =
            |role: Option<Role>| rows.iter().copied().filter(move |row| def.has(row) && role.is_none_or(|role| row.role == role));
        def.patients.as_ref().map_or_else(|| largest(of(Some(Role::Fit))).max(largest(of(None))), |patients| *patients.get_ref())
    }

    /// Parameters of trials' own that take the prior of the shared one, as (its name, theirs).
    pub(super) fn sharing_a_prior(&self) -> Vec<(&str, String)> {
        let Definition { trial, priors, model, .. } = &self.definition;
        let own = trial.iter().flat_map(|def| def.own.iter().map(|name| (name.get_ref().as_str(), def.own_name(name.get_ref()))));
        let said = |own: &str| priors.keys().chain(model.fixed.keys()).any(|key| key.get_ref() == own);
        own.filter(|(_, own)| !said(own)).collect()
    }

    /// What cannot be asked of trials, and rows of none of them.
    pub(super) fn check_trials(&self) -> Result<()> {
        let Definition { trial, model, .. } = &self.definition;
        let refuse = |span, key: &str, problem: &str, fix: &str| Err(self.source.error(span, key, problem, fix));
        if let Some(first) = trial.first().filter(|_| model.name.get_ref() != "cml" || self.table.is_none()) {
            let problem = "trials are those of the model 'cml', with their rows in an observation table";
            return refuse(first.name.span(), "trial", problem, "leave [[trial]] out, or name that model and observations.file");
        }
        if let Some(patients) = model.patients.as_ref().filter(|_| !trial.is_empty()) {
            let fix = "move the key under each [[trial]], or leave it out: the largest denominator of a trial is then its size";
            return refuse(patients.span(), "model.patients", "each trial has a number of patients of its own", fix);
        }
        for (number, def) in trial.iter().enumerate() {
            let name = def.name.get_ref();
            let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.is_empty() || !name.chars().all(legal) || name.len() > MOST_NAME {
                let problem = format!("{name:?} cannot be the name of a trial");
                let fix = format!("give one of letters, digits, hyphens and points, at most {MOST_NAME} of them");
                return refuse(def.name.span(), "trial.name", &problem, &fix);
            }
            if trial[..number].iter().any(|other| other.name.get_ref() == name) {
                let problem = format!("two trials are called '{name}'");
                return refuse(def.name.span(), "trial.name", &problem, "give each a name of its own");
            }
        }
        let counted = self.predicted_rows();
        counted.iter().try_for_each(|row| self.check_row(row))?;
        for def in trial {
            let of: Vec<&&Row> = counted.iter().filter(|row| def.has(row)).collect();
            if of.is_empty() {
                let problem = format!("the table has no row of the trial '{}' that is fitted or held out", def.name.get_ref());
                let fix = "write the name as in the column trial, or leave the trial out";
                return refuse(def.name.span(), "trial.name", &problem, fix);
            }
            if def.months.is_none() && of.iter().any(|row| row.endpoint == Endpoint::Relapse) {
                let problem = "it has rows about relapse, which count from the stop and do not say how long it is followed";
                return refuse(def.name.span(), "trial.months", problem, "add months = …, from the start of treatment");
            }
            for (at, own) in def.own.iter().enumerate() {
                self.check_own(def, own, &def.own[..at])?;
            }
        }
        Ok(())
    }

    /// Refuses a row of a trial that the job does not name.
    fn check_row(&self, row: &Row) -> Result<()> {
        let trials = &self.definition.trial;
        if trials.iter().any(|def| def.has(row)) || (trials.is_empty() && row.trial.is_empty()) {
            return Ok(());
        }
        let known: Vec<&str> = trials.iter().map(|def| def.name.get_ref().as_str()).collect();
        let (problem, fix) = match (row.trial.as_str(), known.is_empty()) {
            ("", _) => {
                (format!("the row {} is of none of the trials of the job", row.id), format!("write {}", known.join(" or ")))
            }
            (name, true) => (
                format!("the row is of a trial, \"{name}\", and the job names none"),
                format!("add [[trial]] with name = \"{name}\" to the job"),
            ),
            (name, false) => (
                format!("the job names no trial \"{name}\""),
                format!("did you mean \"{}\"? Else add it as [[trial]], or make the row context", nearest(name, known)),
            ),
        };
        Err(row.error(TRIAL, problem, fix))
    }

    /// Refuses a parameter that a trial cannot have of its own.
    fn check_own(&self, def: &TrialDef, own: &Spanned<String>, before: &[Spanned<String>]) -> Result<()> {
        let Definition { trial, priors, model, .. } = &self.definition;
        let name = own.get_ref();
        let refuse = |problem: &str, fix: &str| Err(self.source.error(own.span(), "trial.own", problem, fix));
        if parameter(name).is_none() {
            let near = nearest(name, TABLE.iter().chain([&ASSAY_OFFSET]).map(|parameter: &Parameter| parameter.name));
            let fix = format!("did you mean '{near}'? `nicho check JOB --parameters` lists all of them");
            return refuse(&format!("the model 'cml' has no parameter '{name}'"), &fix);
        }
        if before.iter().any(|other| other.get_ref() == name) {
            return refuse(&format!("'{name}' stands in it twice"), "name it once");
        }
        if trial.iter().all(|def| def.own.iter().any(|other| other.get_ref() == name)) {
            let problem = format!("every trial has its own '{name}', so that nothing would follow from the shared one");
            return refuse(&problem, "leave it out in one of them: its value is then the one that other arms are predicted with");
        }
        let mine = def.own_name(name);
        let said = priors.keys().any(|key| [name, &mine].contains(&key.get_ref()))
            || model.fixed.keys().any(|key| *key.get_ref() == mine);
        if !said {
            let problem = format!("'{mine}' has neither a prior nor a value, so that it would not differ from '{name}'");
            let shared = if TABLE.iter().any(|parameter| parameter.name == name) { format!("{name} or ") } else { String::new() };
            return refuse(&problem, &format!("give {shared}\"{mine}\" a prior under [priors]"));
        }
        Ok(())
    }
}

/// The same error, of a trial and not of a scenario.
fn of_a_trial(mut error: Error) -> Error {
    if let Error::Input { key, .. } = &mut error {
        *key = match key.strip_prefix("arm.") {
            Some(rest) => format!("trial.{rest}"),
            None => format!("trial.{key}"),
        };
    }
    error
}
