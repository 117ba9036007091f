//! Scenarios: other arms than that of the data, predicted from the posterior and from the prior. One group for each.

use hdf5::Group;
use ndarray::{Array3, ArrayView1, ArrayView2, Axis, Ix4};

use super::netcdf::{Scope, about, members, read_text, read_text_attribute, read_texts};
use super::write::chain_and_draw;
use super::{digest, unique};

/// What a scenario asks for, in the words of an observation table.
#[derive(Clone, Debug, PartialEq)]
pub struct AskedRow {
    /// Unique name, the coordinate `row`.
    pub id: String,
    /// Text for figures.
    pub label: String,
    /// What is counted.
    pub endpoint: String,
    /// How it is estimated.
    pub kind: String,
    /// Among whom; empty: all patients.
    pub given: String,
    /// Months since the start of treatment; of a relapse since the stop.
    pub month: f64,
}

/// A rule of an arm, and on how many patients it acted.
#[derive(Clone, Debug, PartialEq)]
pub struct ActedRule {
    /// The arm.
    pub arm: usize,
    /// The rule's name, or what it does.
    pub name: String,
    /// Share of the patients on whom it acted before they left, median over the draws of the posterior.
    pub posterior: f64,
    /// The same over those of the prior.
    pub prior: f64,
}

/// The arms of a scenario, simulated at draws of the posterior and of the prior. Draw *i* has the same random numbers in
/// every arm: differences between arms are those of the same virtual patients.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub title: String,
    /// The scenario file, word for word.
    pub text: String,
    /// Virtual patients in an arm.
    pub patients: u64,
    /// Names of the arms; the first is the reference.
    pub arms: Vec<String>,
    /// What is predicted in each arm.
    pub rows: Vec<AskedRow>,
    /// The particle of the last generation that each posterior draw repeats.
    pub particle: Vec<usize>,
    /// Simulated values at posterior draws, (draw, arm, row); NaN where a row could not be estimated.
    pub posterior: Array3<f64>,
    /// The same at prior draws.
    pub prior: Array3<f64>,
    /// The rules of the arms; none in files of earlier versions.
    pub rules: Vec<ActedRule>,
}

impl Scenario {
    /// Its name as that of a group: lower-case letters, digits, hyphens.
    pub fn key(&self) -> String {
        slug(&self.name)
    }
}

/// A name as that of a group, a file or an id: lower-case letters, digits, hyphens.
pub fn slug(name: &str) -> String {
    let mut key = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            key.push(c.to_ascii_lowercase());
        } else if !key.ends_with('-') {
            key.push('-');
        }
    }
    key.trim_matches('-').to_string()
}

/// Whether a scenario is whole, and of a run whose last generation has so many particles.
pub(super) fn check(scenario: &Scenario, particles: usize) -> Result<(), String> {
    let shape = (scenario.particle.len(), scenario.arms.len(), scenario.rows.len());
    if scenario.key().is_empty() || shape.1 == 0 || shape.2 == 0 {
        return Err("a scenario needs a name of letters or digits, an arm and a row".into());
    }
    if scenario.posterior.dim() != shape || scenario.prior.dim() != shape {
        return Err(format!("scenario {}: values must be those of (draw, arm, row) = {shape:?}", scenario.name));
    }
    if scenario.particle.iter().any(|p| *p >= particles) {
        return Err(format!("scenario {}: its draws are of none of the {particles} particles", scenario.name));
    }
    if scenario.rules.iter().any(|rule| rule.arm >= shape.1) {
        return Err(format!("scenario {}: a rule is of none of the {} arms", scenario.name, shape.1));
    }
    unique("arm", scenario.arms.iter().map(String::as_str))?;
    unique("row", scenario.rows.iter().map(|row| row.id.as_str()))
}

/// Writes the scenarios, if there are any.
pub(super) fn write(root: &Scope, scenarios: &[Scenario]) -> hdf5::Result<()> {
    if scenarios.is_empty() {
        return Ok(());
    }
    let all =
        root.group("scenarios", "other arms, predicted from the posterior and from the prior; one group for each scenario")?;
    scenarios.iter().try_for_each(|scenario| one(&all, scenario))?;
    all.finish()
}

fn one(all: &Scope, scenario: &Scenario) -> hdf5::Result<()> {
    let description = "simulations of each arm; draw i has the same random numbers in every arm, so that arms can be paired";
    let mut group = all.group(&scenario.key(), description)?;
    group.text_attribute("digest", &digest::scenario(scenario))?;
    group.text_attribute("name", &scenario.name)?;
    group.text_attribute("title", &scenario.title)?;
    group.attribute("patients", scenario.patients)?;
    chain_and_draw(&mut group, scenario.particle.len())?;
    group.labels("arm", &scenario.arms, "arm; the first is the reference")?;
    let rows = &scenario.rows;
    let texts = |get: fn(&AskedRow) -> &str| rows.iter().map(get).collect::<Vec<&str>>();
    group.labels("row", &texts(|r| &r.id), "what is predicted")?;
    let axes = ["chain", "draw", "arm", "row"];
    for (name, values, of) in
        [("posterior_predictive", &scenario.posterior, "posterior"), ("prior_predictive", &scenario.prior, "prior")]
    {
        let values = values.as_standard_layout();
        let meaning = format!("simulated share of patients at each draw of the {of}; NaN where it could not be estimated");
        group.variable(name, &axes, values.view().insert_axis(Axis(0)), about("", &meaning))?;
    }
    let particle: Vec<u64> = scenario.particle.iter().map(|p| *p as u64).collect();
    let meaning = about("", "index in /population of the particle behind each posterior draw");
    group.variable("particle", &["chain", "draw"], ArrayView2::from_shape((1, particle.len()), &particle)?, meaning)?;
    let months: Vec<f64> = rows.iter().map(|row| row.month).collect();
    let meaning = about("month", "months since the start of treatment; of a relapse since the stop");
    group.variable("month", &["row"], ArrayView1::from(&months), meaning)?;
    group.texts("label", "row", &texts(|r| &r.label), about("", "text for figures"))?;
    group.texts("endpoint", "row", &texts(|r| &r.endpoint), about("", "what is counted"))?;
    group.texts("kind", "row", &texts(|r| &r.kind), about("", "how it is estimated"))?;
    group.texts("given", "row", &texts(|r| &r.given), about("", "among whom; empty: all patients"))?;
    let rules = &scenario.rules;
    if !rules.is_empty() {
        let names: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
        group.labels("rule", &names, "rules of all arms, each by its name or by what it does")?;
        let arms: Vec<u64> = rules.iter().map(|rule| rule.arm as u64).collect();
        group.variable("rule_arm", &["rule"], ArrayView1::from(&arms), about("", "index of the arm that has the rule"))?;
        for (name, of) in [("rule_acted", "posterior"), ("rule_acted_prior", "prior")] {
            let shares: Vec<f64> = rules.iter().map(|r| if of == "prior" { r.prior } else { r.posterior }).collect();
            let meaning = format!("share of the patients on whom it acted before they left, median over the draws of the {of}");
            group.variable(name, &["rule"], ArrayView1::from(&shares), about("", &meaning))?;
        }
    }
    group.text("text", &scenario.text, "the scenario file, word for word")?;
    group.finish()
}

/// Reads all scenarios.
pub(super) fn read(root: &Group) -> hdf5::Result<Vec<Scenario>> {
    if !root.link_exists("scenarios") {
        return Ok(Vec::new());
    }
    let all = root.group("scenarios")?;
    members(&all)?.iter().map(|key| read_one(&all.group(key)?)).collect()
}

fn read_one(group: &Group) -> hdf5::Result<Scenario> {
    let texts = |name: &str| read_texts(group, name).map(Vec::into_iter);
    let (mut labels, mut endpoints, mut kinds, mut given) =
        (texts("label")?, texts("endpoint")?, texts("kind")?, texts("given")?);
    let months: Vec<f64> = group.dataset("month")?.read_raw()?;
    let row = |(id, month)| -> Option<AskedRow> {
        let (label, endpoint, kind, given) = (labels.next()?, endpoints.next()?, kinds.next()?, given.next()?);
        Some(AskedRow { id, label, endpoint, kind, given, month })
    };
    let rows: Option<Vec<AskedRow>> = texts("row")?.zip(months).map(row).collect();
    let values = |name: &str| -> hdf5::Result<Array3<f64>> {
        let values = group.dataset(name)?.read::<f64, Ix4>()?;
        if values.len_of(Axis(0)) == 1 { Ok(values.index_axis_move(Axis(0), 0)) } else { Err("more than one chain".into()) }
    };
    let particle: Vec<u64> = group.dataset("particle")?.read_raw()?;
    let rules = if group.link_exists("rule") { read_rules(group)? } else { Vec::new() };
    let scenario = Scenario {
        name: read_text_attribute(group, "name")?,
        title: read_text_attribute(group, "title")?,
        text: read_text(group, "text")?,
        patients: group.attr("patients")?.read_scalar()?,
        arms: read_texts(group, "arm")?,
        rows: rows.ok_or("columns of different lengths")?,
        particle: particle.into_iter().map(|p| p as usize).collect(),
        posterior: values("posterior_predictive")?,
        prior: values("prior_predictive")?,
        rules,
    };
    check(&scenario, usize::MAX)?;
    Ok(scenario)
}

fn read_rules(group: &Group) -> hdf5::Result<Vec<ActedRule>> {
    let arms: Vec<u64> = group.dataset("rule_arm")?.read_raw()?;
    let shares = |name: &str| group.dataset(name).and_then(|shares| shares.read_raw::<f64>());
    let shares = shares("rule_acted")?.into_iter().zip(shares("rule_acted_prior")?);
    let rule = |((name, arm), (posterior, prior))| ActedRule { arm: arm as usize, name, posterior, prior };
    Ok(read_texts(group, "rule")?.into_iter().zip(arms).zip(shares).map(rule).collect())
}
