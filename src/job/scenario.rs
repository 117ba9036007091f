//! A scenario file: arms of a trial as rules over time, its visits and the endpoints to be predicted. It holds no biology and
//! no posterior: `nicho predict` takes those from a result file.
//!
//! ```text
//! name, title, patients, months      what it is called, how many virtual patients (as many as the job's cohort has), how
//!                                    long they are followed
//! [visits] molecular, marrow         months, or segments { every = 3, until = 24 }; without it those of IRIS
//! [[arm]] name, leave                whose rules follow, if any; the reasons for which its patients leave (all)
//! [[arm.rule]] name, after           what others call it; the rule from whose action its months count (the start)
//!              at | from, until      its months; without them the start, or from then on if it has a condition
//!              share, lot            of the patients (1), see below; the lot by which they are chosen (the rule's name)
//!              if                    a condition, see below
//!              give, stop, block     { imatinib = 400 }, ["all"], { wnt = 0.8 }
//!              relapse               whether it is a relapse; the rule waits for a stop
//! [[endpoint]] of, kind, given       the words of an observation table (`src/trial/vocabulary.rs`)
//!              months
//! ```
//! The first arm is the reference with which the others are compared. A condition is terms joined by `&`, each `[not] RESPONSE`
//! (at the last assessment), `[not] ever RESPONSE`, or `[not] RESPONSE for MONTHS` (at every assessment of that time, two at
//! least). There is no "or": two rules that do the same are one, and each acts once on a patient. Rules of one visit are tried
//! in their order, and where two set one dose the later wins; where that would be so for all patients of either, they are
//! refused.
//!
//! A patient has one number from 0 to 1 in each lot, the same in every arm and whatever other rules there are. `share = 0.3`
//! takes those below 0.3, `share = [0.5, 1]` those from 0.5 on: two rules with one lot and shares `[0, 0.5]` and `[0.5, 1]`
//! randomise one to one. A rule without a name draws from the lot that is called as `nicho check` words the rule.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::definition::{Meant, Source};
use super::legal;
use super::spanned::Spanned;
use crate::error::{Error, Result};
use crate::model::cml::cohort::Trial;
use crate::trial::estimate::Estimator;
use crate::trial::history::Plan;
use crate::trial::schedule::{Schedule, Segment, Times};
use crate::trial::table::Row;
use crate::trial::vocabulary::{Endpoint, Kind, Term, Word, words};
use rules::{ArmDef, protocol};

pub(super) mod rules;

/// Longest name of a scenario.
const MOST_NAME: usize = 60;

/// A whole scenario file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Definition {
    /// Name of the prediction in the result file: at most 60 letters, digits, hyphens, underscores and blanks.
    #[schemars(example = &"early-switch")]
    name: Spanned<String>,
    /// What it is about, in one line.
    #[serde(default = "untitled")]
    #[schemars(example = &"Switch to nilotinib without CCyR at 12 months")]
    title: Spanned<String>,
    /// Virtual patients in an arm; without it as many as the job's cohort has.
    #[serde(default)]
    #[schemars(transform = legal::PATIENTS.schema(), example = 500)]
    patients: Option<Spanned<usize>>,
    /// Length of follow-up.
    #[schemars(transform = legal::MONTHS.schema(), extend("x-unit" = "months"), example = 60.0)]
    months: Spanned<f64>,
    /// Months of the visits; without it those of IRIS.
    #[serde(default)]
    visits: Option<VisitsDef>,
    /// The arms, one at least; the first is the reference with which the others are compared.
    #[serde(default)]
    arm: Vec<ArmDef>,
    /// What is predicted in each arm, one at least.
    #[serde(default)]
    endpoint: Vec<EndpointDef>,
}

fn untitled() -> Spanned<String> {
    Spanned::new(0..0, String::new())
}

/// Visits as they are written.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VisitsDef {
    /// Visits with a blood count and BCR-ABL, after month 0 and ascending: their months, or segments, each `every` so many months
    /// from where the one before ends `until` a month.
    #[schemars(extend("x-unit" = "months"), example = [json!({ "every": 3.0, "until": 24.0 })])]
    molecular: Spanned<TimesDef>,
    /// Those with a look at the marrow, written alike.
    #[schemars(extend("x-unit" = "months"), example = [6.0, 12.0, 24.0])]
    marrow: Spanned<TimesDef>,
}

/// Months, or segments.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged, expecting = "expected a list of months, or of segments like { every = 3, until = 24 }")]
enum TimesDef {
    Months(Vec<f64>),
    Segments(Vec<SegmentDef>),
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SegmentDef {
    /// Months between two visits.
    every: f64,
    /// Month at which the segment ends.
    until: f64,
}

/// One `[[endpoint]]`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EndpointDef {
    /// What is observed.
    #[schemars(transform = legal::one_of(words::<Endpoint>()), example = &"mmr")]
    of: Spanned<String>,
    /// How it is estimated; not each kind can be formed for each endpoint.
    #[schemars(transform = legal::one_of(words::<Kind>()), example = &"km_incidence")]
    kind: Spanned<String>,
    /// Among whom: responses joined by `&`, as in `ccyr@12` (in it at month 12) or `not mmr@18`; without it all patients.
    #[serde(default)]
    #[schemars(example = &"not ccyr@12")]
    given: Option<Spanned<String>>,
    /// When, above 0 and within the follow-up.
    #[schemars(transform = legal::POSITIVE.schema(), extend("x-unit" = "months"), example = [12.0, 24.0, 60.0])]
    months: Spanned<Vec<f64>>,
}

/// A scenario that has been read and found sound.
pub struct Scenario {
    /// The file as it is written.
    pub source: Source,
    /// Its name.
    pub name: String,
    /// What it is about.
    pub title: String,
    /// Patients in an arm, if the file says so.
    pub patients: Option<usize>,
    /// Names of the arms; the first is the reference.
    pub arms: Vec<String>,
    /// The trial of each arm.
    pub trials: Vec<Trial>,
    /// What is predicted in each arm.
    pub rows: Vec<Row>,
}

impl Scenario {
    /// Reads a scenario file; where it gives no number of patients, an arm has `patients`.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Input`] for anything in it that cannot be meant.
    pub fn load(file: &Path, patients: usize) -> Result<Self> {
        let source = Source::read(file)?;
        if let Some((Meant::Job, span)) = source.meant() {
            let fix = "nicho run takes it, and nicho check; a scenario has [[arm]] and [[endpoint]]";
            return Err(source.error(span, "file", "this is a job, not a scenario", fix));
        }
        Self::build(source, patients)
    }

    /// Takes a scenario from its text.
    ///
    /// # Errors
    /// Those of [`Scenario::load`].
    pub fn build(source: Source, patients: usize) -> Result<Self> {
        let def: Definition = source.parse()?;
        let name = check_name(&source, &def.name)?;
        let title = label_of(&source, &def.title, "title")?;
        let months = *def.months.get_ref();
        if !legal::MONTHS.holds(months) {
            let problem = format!("{months} months; the legal range is {}", legal::MONTHS);
            return Err(source.error(def.months.span(), "months", &problem, "give the length of follow-up in months"));
        }
        let size = def.patients.as_ref().map_or(patients, |p| *p.get_ref());
        if !legal::PATIENTS.holds(size as f64) {
            let span = def.patients.as_ref().map_or(0..0, Spanned::span);
            let problem = format!("{size} patients; the legal range is {}", legal::PATIENTS);
            return Err(source.error(span, "patients", &problem, "give the number of patients in an arm"));
        }
        if def.arm.is_empty() || def.endpoint.is_empty() {
            let (key, fix) = match def.arm.is_empty() {
                true => ("arm", "add [[arm]] with name = \"…\" and, below it, its rules as [[arm.rule]]"),
                false => ("endpoint", "add [[endpoint]] with of, kind and months"),
            };
            let end = source.text.trim_end().len();
            return Err(source.error(end..end, key, &format!("the scenario has no {key}"), fix));
        }
        let plan = plan(&source, def.visits.as_ref(), months)?;
        let (mut arms, mut trials) = (Vec::new(), Vec::new());
        for arm in &def.arm {
            let name = label(&source, &arm.name, "arm.name")?;
            if arms.contains(&name) {
                let problem = format!("another arm is called '{name}'");
                return Err(source.error(arm.name.span(), "arm.name", &problem, "give each arm a name of its own"));
            }
            arms.push(name);
            trials.push(Trial { patients: size, plan: plan.clone(), protocol: protocol(&source, arm, &plan)? });
        }
        let mut rows: Vec<Row> = Vec::new();
        for endpoint in &def.endpoint {
            for row in self::rows(&source, endpoint, &plan, &arms, &trials)? {
                if rows.iter().any(|other| other.id == row.id) {
                    let problem = format!("{} is asked for twice", row.id);
                    return Err(source.error(endpoint.months.span(), "endpoint.months", &problem, "ask for it once"));
                }
                rows.push(row);
            }
        }
        let patients = def.patients.map(Spanned::into_inner);
        Ok(Scenario { source, name, title, patients, arms, trials, rows })
    }
}

/// The name becomes that of a group of the result file.
fn check_name(source: &Source, name: &Spanned<String>) -> Result<String> {
    let text = name.get_ref().trim();
    let known = |c: char| c.is_ascii_alphanumeric() || "-_ ".contains(c);
    if text.chars().any(|c| c.is_ascii_alphanumeric()) && text.chars().all(known) && text.len() <= MOST_NAME {
        return Ok(text.into());
    }
    let problem = format!("{text:?} cannot be the name of a group in a result file");
    let fix = format!("give a name of letters, digits, hyphens and blanks, at most {MOST_NAME} of them");
    Err(source.error(name.span(), "name", &problem, &fix))
}

/// A name that people give, without the blanks around it.
fn label(source: &Source, name: &Spanned<String>, key: &str) -> Result<String> {
    let text = label_of(source, name, key)?;
    if text.is_empty() {
        return Err(source.error(
            name.span(),
            key,
            "there is no name in it",
            "give a name, or leave the key out where it may be",
        ));
    }
    Ok(text)
}

/// Text of one line, without the blanks around it.
fn label_of(source: &Source, text: &Spanned<String>, key: &str) -> Result<String> {
    let trimmed = text.get_ref().trim();
    match trimmed.chars().find(|c| c.is_control()) {
        None => Ok(trimmed.into()),
        Some(c) => {
            let problem = format!("{trimmed:?} holds a control character, {c:?}");
            Err(source.error(text.span(), key, &problem, "write it in one line, without tabs and other signs that do not print"))
        }
    }
}

/// The visits of so many months; without any those of IRIS.
pub(super) fn plan(source: &Source, visits: Option<&VisitsDef>, months: f64) -> Result<Plan> {
    let Some(visits) = visits else { return Ok(Plan::iris(months)) };
    let times = |def: &Spanned<TimesDef>| match def.get_ref() {
        TimesDef::Months(months) => Times::Months(months.clone()),
        TimesDef::Segments(list) => Times::Segments(list.iter().map(|s| Segment { every: s.every, until: s.until }).collect()),
    };
    let schedule = Schedule { molecular: times(&visits.molecular), marrow: times(&visits.marrow) };
    Plan::of(&schedule, months).map_err(|refusal| {
        let span = if refusal.key == "marrow" { visits.marrow.span() } else { visits.molecular.span() };
        let key = if refusal.key == "horizon" { "visits".into() } else { format!("visits.{}", refusal.key) };
        source.error(span, &key, &refusal.problem, &refusal.fix)
    })
}

/// The rows of one `[[endpoint]]`, each with its place, and such as the visits can give.
fn rows(source: &Source, def: &EndpointDef, plan: &Plan, arms: &[String], trials: &[Trial]) -> Result<Vec<Row>> {
    let horizon = plan.horizon;
    let endpoint = Endpoint::parse(def.of.get_ref())
        .ok_or_else(|| source.unknown(&def.of, "endpoint.of", "endpoint", &words::<Endpoint>()))?;
    let kind =
        Kind::parse(def.kind.get_ref()).ok_or_else(|| source.unknown(&def.kind, "endpoint.kind", "kind", &words::<Kind>()))?;
    if matches!(endpoint, Endpoint::Relapse | Endpoint::Stopped) {
        stops_are_followed(source, def, endpoint, arms, trials)?;
    }
    if def.months.get_ref().is_empty() {
        return Err(source.error(def.months.span(), "endpoint.months", "no month is asked for", "give one, as in months = [12]"));
    }
    let given = match &def.given {
        None => Vec::new(),
        Some(text) => Term::parse_all(text.get_ref())
            .map_err(|(problem, _)| source.error(text.span(), "endpoint.given", &problem, "write for example \"ccyr@12\""))?,
    };
    let one = |month: f64| {
        if !(month > 0.0 && month <= horizon) {
            let problem = format!("month {month} is outside the follow-up, above 0 to {horizon}");
            return Err(source.error(def.months.span(), "endpoint.months", &problem, "raise months, or drop this one"));
        }
        let row = Row::asked(endpoint, kind, given.clone(), month).map_err(|(problem, fix)| {
            // What can be asked for without a condition goes wrong by the condition.
            match &def.given {
                Some(text) if Row::asked(endpoint, kind, Vec::new(), month).is_ok() => {
                    source.error(text.span(), "endpoint.given", &problem, &fix)
                }
                _ => source.error(def.kind.span(), "endpoint.kind", &problem, &fix),
            }
        })?;
        Estimator::new(&[&row], plan).map_err(|error| match error {
            Error::Usage { problem, fix } => source.error(def.months.span(), "endpoint.months", &problem, &fix),
            other => other,
        })?;
        Ok(row)
    };
    def.months.get_ref().iter().map(|month| one(*month)).collect()
}

/// Refuses what is asked of a stop where no arm has one, and a relapse that no rule of an arm would find.
fn stops_are_followed(source: &Source, def: &EndpointDef, endpoint: Endpoint, arms: &[String], trials: &[Trial]) -> Result<()> {
    let mut stops = false;
    for (arm, Trial { plan, protocol, .. }) in arms.iter().zip(trials) {
        for index in protocol.ends(&protocol.chances(plan)) {
            stops = true;
            let followed = |j: usize| protocol.rules[j].then.relapse && protocol.waits(j, index);
            if endpoint == Endpoint::Relapse && !(0..protocol.rules.len()).any(followed) {
                let problem = format!(
                    "patients of '{arm}' can stop by '{}', and no rule would find a relapse after it",
                    protocol.rules[index].name
                );
                let fix = "add [[arm.rule]] with after = \"…\" (the name of the rule that stops), relapse = true and a condition as \
                           in if = \"not mmr\", or drop the endpoint";
                return Err(source.error(def.of.span(), "endpoint.of", &problem, fix));
            }
        }
    }
    let fix = "add a rule with stop = [\"all\"], or drop the endpoint";
    if stops { Ok(()) } else { Err(source.error(def.of.span(), "endpoint.of", "no arm ever stops its treatment", fix)) }
}
