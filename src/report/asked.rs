//! What was asked: the job in words.

use serde_json::Value;

use crate::density::Marginal;
use crate::report::Input;
use crate::report::format::{NONE, count, escape, number, percent, plural, with_unit};
use crate::report::page::{folded, line, table};
use crate::report::rows::Use;
use crate::report::summary::Summary;

/// What the run came to, in a line under the title.
pub(super) fn headline(s: &Summary) -> String {
    let mut text =
        format!("{}, {} ({})", plural(s.parameters.len(), "parameter"), plural(s.rows.len(), "data row"), row_counts(s));
    if s.held_out.rows > 0 {
        text.push_str(&format!("; {} of {} held-out rows in their 90 % band", s.held_out.inside, s.held_out.rows));
    }
    format!("{text}.")
}

/// The opening comment of a job file, where it states its question, its data and its cost, a string for each paragraph. A
/// paragraph begins after an empty line or with a word that ends in a colon.
pub(super) fn question(job_text: &str) -> Vec<String> {
    let mut paragraphs: Vec<String> = Vec::new();
    let mut fresh = true;
    for line in job_text.lines().map_while(|line| line.strip_prefix('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        fresh |= words.first().is_some_and(|word| word.ends_with(':'));
        match paragraphs.last_mut() {
            _ if words.is_empty() => {}
            Some(last) if !fresh => *last = format!("{last} {}", words.join(" ")),
            _ => paragraphs.push(words.join(" ")),
        }
        fresh = words.is_empty();
    }
    paragraphs
}

/// How many rows are fitted, held out and shown only, in words.
pub(super) fn row_counts(s: &Summary) -> String {
    let mut text = format!("{} fitted", s.count(Use::Fitted));
    for (role, word) in [(Use::HeldOut, "held out"), (Use::Context, "shown only")] {
        if s.count(role) > 0 {
            text.push_str(&format!(", {} {word}", s.count(role)));
        }
    }
    text
}

/// Terms and what the job says of them, in markup.
pub(super) fn facts(input: &Input<'_>, s: &Summary) -> Vec<(String, String)> {
    let header = input.store.header();
    let job: Value = serde_json::from_str(&header.job_canonical).unwrap_or(Value::Null);
    let mut facts: Vec<(&str, String)> = vec![("Job", escape(&header.job_name)), ("Model", escape(&model(&job)))];
    if !s.models.is_empty() {
        let names: Vec<&str> = s.models.iter().map(|m| m.name.as_str()).collect();
        facts.push(("Compared", escape(&format!("{}: {}", plural(names.len(), "model"), names.join(", ")))));
    }
    facts.push(("Data", data(input, s)));
    facts.push(("Inferred", format!("{}, in the table below", plural(s.parameters.len(), "parameter"))));
    if !header.fixed.is_empty() {
        let fixed = header.fixed.iter().map(|(c, v)| {
            let unit = if c.unit == "-" { String::new() } else { format!(" {}", c.unit) };
            escape(&format!("{} = {}{unit}", c.name, number(*v)))
        });
        facts.push(("Held fixed", short(fixed.collect(), "value")));
    }
    facts.push(("Distance", escape(&distance(input, s, &job))));
    facts.push(("Sampler", escape(&sampler(s, &job))));
    facts.extend(stop(&job).map(|text| ("Ends", text)));
    facts.extend(scalar(&job["seed"]).map(|seed| ("Seed", seed)));
    facts.into_iter().map(|(term, text)| (term.to_string(), text)).collect()
}

/// A list, or how many there are and the list behind it.
fn short(items: Vec<String>, noun: &str) -> String {
    const FEW: usize = 6;
    let text = items.join(", ");
    if items.len() <= FEW { text } else { folded(&plural(items.len(), noun), &text) }
}

fn model(job: &Value) -> String {
    let name = job["model"]["name"].as_str().unwrap_or(NONE);
    let words = if name == "cml" { "chronic myeloid leukaemia in the bone-marrow niche (cml)" } else { name };
    match job["model"]["patients"].as_u64() {
        Some(patients) => format!("{words}, in virtual trials of {} patients", count(patients)),
        None => words.into(),
    }
}

/// Where the data are from, how many patients and rows, and who published them.
fn data(input: &Input<'_>, s: &Summary) -> String {
    let header = input.store.header();
    let name = Some(escape(&header.observations_name)).filter(|name| !name.is_empty());
    let mut text = format!("{}: {}", name.unwrap_or("in the job file".into()), row_counts(s));
    let values = job_values(&header.job_canonical);
    if !values.is_empty() {
        text += &format!(" ({})", escape(&values.join(", ")));
    }
    if let Some(most) = s.rows.iter().map(|row| row.n).max().filter(|n| *n > 0) {
        text += &format!("; up to {} patients behind a row", count(most));
    }
    if let Some(table) = input.table {
        let mut sources: Vec<String> =
            table.rows().iter().map(|row| escape(&row.source)).filter(|text| !text.is_empty()).collect();
        sources.sort_unstable();
        sources.dedup();
        let items: String = sources.iter().map(|source| format!("<li>{source}</li>")).collect();
        if !sources.is_empty() {
            text += &folded(&format!("Published in {}", plural(sources.len(), "place")), &format!("<ul>{items}</ul>"));
        }
    }
    text
}

/// Observed values that stand in the job itself.
fn job_values(canonical: &str) -> Vec<String> {
    let job: Value = serde_json::from_str(canonical).unwrap_or(Value::Null);
    let values = job["observations"]["values"].as_object().into_iter().flatten();
    values.filter_map(|(name, value)| Some(format!("{name} = {}", scalar(value)?))).collect()
}

fn distance(input: &Input<'_>, s: &Summary, job: &Value) -> String {
    if s.tempered {
        return "none: the noise of the data decides what is accepted".into();
    }
    match (job["distance"]["name"].as_str(), input.table) {
        (Some("trial"), _) | (None, Some(_)) => "of all fitted rows, in the covariance of their published errors (trial)".into(),
        (Some("euclidean"), _) | (None, None) => "Euclidean, each summary on its own scale (euclidean)".into(),
        (Some(name), _) => name.into(),
    }
}

fn sampler(s: &Summary, job: &Value) -> String {
    let of = &job["sampler"];
    let how = match (of["schedule"].as_str(), of["quantile"].as_f64()) {
        (Some("quantile"), Some(quantile)) if !s.tempered => {
            format!(
                "; the tolerance falls to the {} % quantile of the distances from generation to generation",
                plain(100.0 * quantile)
            )
        }
        _ => String::new(),
    };
    let name = match of["name"].as_str() {
        Some("smc") => "ABC-SMC",
        Some("rejection") => "ABC by rejection",
        other => other.unwrap_or(NONE),
    };
    format!("{name} with {} particles{how}", count(s.particles as u64))
}

/// Without needless digits.
fn plain(x: f64) -> String {
    format!("{}", (1e6 * x).round() / 1e6)
}

/// What ends the run, whichever comes first.
fn stop(job: &Value) -> Option<String> {
    let of = job["stop"].as_object()?;
    let whole = |key: &str, noun: &str| of.get(key).and_then(Value::as_u64).map(|n| format!("{} {noun}", count(n)));
    let rate = of
        .get("acceptance_rate")
        .and_then(Value::as_f64)
        .map(|rate| format!("an acceptance rate below {} %", plain(100.0 * rate)));
    let tolerance = of.get("tolerance").and_then(Value::as_f64).map(|tolerance| format!("a tolerance of {}", number(tolerance)));
    let ends: Vec<String> = [whole("generations", "generations"), whole("simulations", "simulations"), rate, tolerance]
        .into_iter()
        .flatten()
        .collect();
    (!ends.is_empty()).then(|| format!("at the first of {}", ends.join(", ")))
}

/// The parameters with what was assumed of each before the data.
pub(super) fn priors(input: &Input<'_>, s: &Summary) -> String {
    let text = &input.store.header().job_text;
    let row = |(p, prior): (&crate::report::summary::ParameterLine, &Marginal)| {
        let meaning = if p.meaning.is_empty() { String::new() } else { format!("<small>{}</small>", escape(&p.meaning)) };
        let name = format!("{}{meaning}", escape(&with_unit(&p.name, &p.unit)));
        line("", &[name, in_words(prior), escape(source(text, &p.name))], 3)
    };
    let body: String = s.parameters.iter().zip(input.priors).map(row).collect();
    table("Parameters and their priors", &[("Parameter", "unit"), ("Prior", ""), ("Source", "as the job file says")], 3, &body)
}

fn in_words(prior: &Marginal) -> String {
    match *prior {
        Marginal::Uniform { lower, upper } => format!("flat, {lower} to {upper}"),
        Marginal::LogUniform { lower, upper } => format!("flat in the logarithm, {lower} to {upper}"),
        Marginal::Normal { mean, sd } => format!("normal, mean {mean}, sd {sd}"),
        Marginal::LogNormal { median, sd } => {
            format!("log-normal, median {median}, sd of the logarithm {sd}")
        }
        Marginal::Beta { a, b } => format!("Beta({a}, {b}), mean {} %", percent(a / (a + b))),
        Marginal::Integer { lower, upper } => format!("whole number, {lower} to {upper}"),
    }
}

/// The comment behind a prior in a job file.
fn source<'a>(job_text: &'a str, name: &str) -> &'a str {
    let of = |line: &'a str| line.trim_start().strip_prefix(name).filter(|rest| rest.trim_start().starts_with('='));
    let priors = job_text.lines().skip_while(|line| line.trim() != "[priors]").skip(1);
    let mut found = priors.take_while(|line| !line.starts_with('[')).filter_map(of);
    found.next().and_then(|line| line.rsplit_once("# ")).map_or(NONE, |(_, comment)| comment.trim())
}

/// A value that is no list or table.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}
