//! The job file that `nicho init` writes: a job that is sound as it stands, with every key of sampler and stop in a comment beside
//! what is taken without it. What it says of keys comes from the [reference](mod@super::reference), what it says of parameters from
//! their table.

use super::definition::Meant;
use super::reference::{self, toml};
use crate::error::{Error, Result};
use crate::model::cml::parameters::TABLE;
use crate::model::{self, Model, Parameter, Proposed};
use crate::rng::Key;
use crate::sampler::simulate;
use crate::spelling::nearest;
use crate::trial::table::Table;

/// The job whose priors are those that a new job of the model `cml` has; of the others it has the lines in comments.
const IRIS: &str = include_str!("../../jobs/iris.toml");
/// The figures of the IRIS trial with their sources.
pub const IRIS_TABLE: &str = include_str!("../../jobs/data/iris.csv");
/// Tables of a job whose keys all stand in comments.
const SETTINGS: [&str; 6] = ["distance", "sampler", "stop", "refine", "adjust", "output"];
/// Width of a comment.
const WIDTH: usize = 110;

/// A job file for a model, with its observations in the table `data`, as the job names it.
///
/// # Errors
/// [`Error::Usage`] for a model that there is not or that no job can be written for, and for data that it does not take.
pub fn template(name: &str, model: &str, data: Option<(&str, &Table)>) -> Result<String> {
    let usage = |problem: String, fix: String| Error::Usage { problem, fix };
    let plain = model::plain(model);
    match (model, &plain, data) {
        ("cml", _, None) => return Err(usage("the model 'cml' needs trial data".into(), "name a table with --data".into())),
        ("program", ..) => {
            let fix = "begin with jobs/program.toml; docs/job-keys.md lists the keys of [model.program]".into();
            return Err(usage("what the model 'program' starts and asks is for you to say".into(), fix));
        }
        ("cml", ..) | (_, Some(_), None) => {}
        (_, Some(_), Some(_)) => {
            let fix = "leave --data out; the values to be edited stand under [observations]".into();
            return Err(usage(format!("the model '{model}' takes no table"), fix));
        }
        _ => {
            let names = model::names();
            let near = nearest(model, names.iter().copied());
            let fix = format!("did you mean '{near}'? The models are {}", names.join(", "));
            return Err(usage(format!("unknown model '{model}'"), fix));
        }
    }
    let table = plain.as_ref().map_or(TABLE, |plain| plain.parameters());
    let mut out = format!(
        "# Question: what is asked.\n# Data:     {}.\n# Cost:     `nicho check` says it for this machine.\n#\n\
         # A line that begins with #key = value says what is taken without it: change the value and take the # away.\n\
         name = {name:?}\nseed = 1\n\n[model]\nname = {model:?}\n",
        data.map_or("put your own in the place of those simulated below", |(file, _)| file)
    );
    if let Some((file, of)) = data {
        let table = reference::tables(Meant::Job).into_iter().find(|table| table.path == "model");
        out += &table.map(|table| keys(&table, |key| !key.required)).unwrap_or_default();
        out += &trials(of);
        out += &format!("\n[observations]\nfile = {}\n", toml(&file.into()));
    } else if let Some(plain) = &plain {
        out += &format!(
            "\n# Simulated at the defaults of the parameters: put your own in their place.\n[observations]\n{}",
            values(plain.as_ref())
        );
    }
    out += &priors(table);
    SETTINGS.iter().for_each(|path| out += &settings(path));
    Ok(out)
}

/// A `[[trial]]` for each trial that a table names.
fn trials(table: &Table) -> String {
    let mut names: Vec<&str> = table.rows().iter().map(|row| row.trial.as_str()).filter(|name| !name.is_empty()).collect();
    names.dedup();
    let named = |(k, name): (usize, &&str)| !names[..k].contains(name);
    let each = names.iter().enumerate().filter(|one| named(*one)).map(|(_, name)| format!("\n[[trial]]\nname = {name:?}\n"));
    each.collect()
}

/// Values of all summaries that the model can give.
fn values(model: &dyn Model) -> String {
    let theta: Vec<f64> = model.parameters().iter().map(|parameter| parameter.default).collect();
    let mut out = vec![0.0; model.summaries().len()];
    // A point that cannot be simulated leaves values that no simulation gives: people have their own.
    let _ = simulate(model, &theta, Key::root(1), &mut out);
    let pair = |(summary, value): (&model::Summary, &f64)| {
        let unit = if summary.unit == "-" { String::new() } else { format!(" # {}", summary.unit) };
        let bare = summary.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let name = if bare { summary.name.clone() } else { format!("{:?}", summary.name) };
        format!("values.{name} = {}{unit}\n", if value.is_finite() { *value } else { 0.0 })
    };
    model.summaries().iter().zip(&out).map(pair).collect()
}

/// A line for each parameter that deserves a prior, those that are not inferred in comments.
fn priors(table: &[Parameter]) -> String {
    let proposed = |parameter: &&Parameter| parameter.prior != Proposed::Fixed;
    let usual: toml::Table = toml::from_str(IRIS).unwrap_or_default();
    let usual = |parameter: &Parameter| usual.get("priors").is_some_and(|priors| priors.get(parameter.name).is_some());
    let some = table.iter().any(|parameter| proposed(&parameter) && usual(parameter));
    let any = table.iter().any(|parameter| proposed(&parameter));
    let mut out = String::from(
        "\n# What is inferred. A parameter without a prior keeps its default, or what it has under [model.fixed].\n[priors]\n",
    );
    if any {
        out += "# Sources: P read in a publication, C in published code, m from memory, a assumption.\n";
    }
    for (k, parameter) in table.iter().enumerate().filter(|(_, parameter)| !any || proposed(parameter)) {
        let Parameter { name, meaning, default, range: (low, high), source, .. } = parameter;
        let unit = parameter.unit_after();
        let inferred = if any { !some || usual(parameter) } else { k == 0 };
        out += &comment(&format!("{meaning}; {default}{unit} without a prior, {low} to {high} legal. {source}."));
        out += &format!("{}{name} = {}\n", if inferred { "" } else { "#" }, prior(parameter));
    }
    out
}

/// The prior that the table proposes, or one made of its default and legal range.
fn prior(parameter: &Parameter) -> String {
    let Parameter { default, range: (low, high), unit, .. } = parameter;
    let prior = match parameter.prior {
        Proposed::Fixed if low.is_finite() && *low >= -100.0 && *high <= 100.0 => {
            format!(r#"{{ distribution = "uniform", lower = {low}, upper = {high} }}"#)
        }
        Proposed::Fixed if *low >= 0.0 && *default > 0.0 => Proposed::LogNormal { median: *default, sd: 0.5 }.to_string(),
        Proposed::Fixed => format!(r#"{{ distribution = "normal", mean = {default}, sd = 1 }}"#),
        proposed => proposed.to_string(),
    };
    if *unit == "-" { prior } else { format!("{}, unit = {unit:?} }}", prior.trim_end_matches(" }")) }
}

/// A table with each of its keys in a comment.
fn settings(path: &str) -> String {
    let table = reference::tables(Meant::Job).into_iter().find(|table| table.path == path);
    table.map(|table| format!("\n{}{}\n{}", comment(&table.meaning), table.header, keys(&table, |_| true))).unwrap_or_default()
}

/// Some keys of a table, in comments: what they are, then what is taken without them or, where that is nothing, an example.
fn keys(table: &reference::Table, some: impl Fn(&reference::Key) -> bool) -> String {
    let mut out = String::new();
    for key in table.keys.iter().filter(|key| some(key)) {
        let legal = [key.legal(), key.unit()].into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>().join("; unit ");
        let legal = if legal.is_empty() { legal } else { format!(" Legal: {legal}.") };
        out += &comment(&format!("{}{legal}", key.meaning().replace('`', "'")));
        match (key.default(), key.examples().first()) {
            (Some(default), _) => out += &format!("#{} = {default}\n", key.name),
            (None, Some(example)) => out += &format!("# for example: {example}\n"),
            _ => {}
        }
    }
    out
}

/// A text as lines of a comment.
fn comment(text: &str) -> String {
    let mut out = String::from("#");
    let mut width = 1;
    for word in text.split_whitespace() {
        let long = word.chars().count() + 1;
        if width + long > WIDTH {
            out += "\n#";
            width = 1;
        }
        out += &format!(" {word}");
        width += long;
    }
    out + "\n"
}
