//! The page: one file, no network, no script; readable on a telephone, in light and dark, and on paper.

use crate::report::curves::BAND_KEY;
use crate::report::figures::{DENSITY_KEY, Figure, Glyph, Sections, key_glyph};
use crate::report::format::{count, escape, plural};
use crate::report::rows::Use;
use crate::report::sections;
use crate::report::summary::Summary;
use crate::report::verdict::Level;
use crate::report::{Input, arms, checks, informed, profiles};
use crate::store::Scenario;

pub(super) const STYLE: &str = include_str!("style.css");

/// The whole page.
pub(super) fn page(input: &Input<'_>, s: &Summary, figures: &Sections) -> String {
    let mut parts = vec![asked(input, s), verdict(s)];
    if !figures.curves.is_empty() || !figures.forests.is_empty() {
        parts.push(endpoints(figures));
    }
    parts.push(section("rows", "Row by row", &sections::rows(s)));
    if !s.models.is_empty() {
        parts.push(section("models", "Models", &sections::models(s)));
    }
    if !s.checks.checks.is_empty() {
        parts.push(section("checks", "Predictive checks", &checks::html(s)));
    }
    parts.push(posterior(s, figures));
    parts.push(information(s, figures));
    parts.push(generations(s, figures));
    if !s.modes.is_empty() {
        parts.push(section("modes", "Modes", &sections::modes(s)));
    }
    for (scenario, drawn) in input.store.scenarios().iter().zip(&figures.scenarios) {
        parts.push(other_arms(scenario, drawn));
    }
    parts.push(section("provenance", "Where this comes from", &sections::provenance(input)));
    let name = escape(&s.name);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>{name}: posterior and predictions</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{name}</h1>\n<p class=\"quiet\">{}</p>\n{}</header>\n<main>\n{}</main>\n\
         </body>\n</html>\n",
        escape(&sections::headline(s)),
        contents(input, s, figures),
        parts.join("\n")
    )
}

fn contents(input: &Input<'_>, s: &Summary, figures: &Sections) -> String {
    let mut links = vec![("asked", "What was asked"), ("trust", "Whether to trust it")];
    if !figures.curves.is_empty() || !figures.forests.is_empty() {
        links.push(("endpoints", "Observed against predicted"));
    }
    links.push(("rows", "Row by row"));
    if !s.models.is_empty() {
        links.push(("models", "Models"));
    }
    if !s.checks.checks.is_empty() {
        links.push(("checks", "Predictive checks"));
    }
    links.extend([("posterior", "Posterior"), ("information", "What the data say"), ("generations", "Generations")]);
    if !s.modes.is_empty() {
        links.push(("modes", "Modes"));
    }
    let link = |id: &str, text: &str| format!("<a href=\"#{id}\">{text}</a>");
    let mut links: Vec<String> = links.iter().map(|(id, text)| link(id, text)).collect();
    let scenarios = input.store.scenarios().iter();
    links.extend(scenarios.map(|s| link(&format!("scenario-{}", s.key()), &format!("Arms: {}", escape(&s.name)))));
    links.push(link("provenance", "Where this comes from"));
    format!("<nav>{}</nav>\n", links.join(" "))
}

pub(super) fn section(id: &str, title: &str, body: &str) -> String {
    format!("<section id=\"{id}\">\n<h2>{title}</h2>\n{body}</section>\n")
}

/// A long text behind a summary of its length.
fn folded(text: &str) -> String {
    const LONG: usize = 400;
    let items = text.split(", ").count();
    if text.len() < LONG { text.into() } else { format!("<details><summary>{items} values</summary>{text}</details>") }
}

fn asked(input: &Input<'_>, s: &Summary) -> String {
    let facts = sections::facts(input, s);
    let items: Vec<String> =
        facts.iter().map(|(term, text)| format!("<dt>{}</dt><dd>{}</dd>", escape(term), folded(&escape(text)))).collect();
    let question: String = sections::question(&input.store.header().job_text)
        .iter()
        .map(|paragraph| format!("<p>{}</p>\n", escape(paragraph)))
        .collect();
    section("asked", "What was asked", &format!("{question}<dl class=\"facts\">{}</dl>\n", items.join("\n")))
}

fn verdict(s: &Summary) -> String {
    let items: Vec<String> = s
        .verdict
        .findings
        .iter()
        .map(|f| {
            let (class, sign, word) = match f.level {
                Level::Good => ("good", "\u{2713}", "good"),
                Level::Note => ("note", "\u{2022}", "to keep in mind"),
                Level::Warning => ("warning", "!", "warning"),
            };
            format!(
                "<li class=\"{class}\"><span class=\"sign\" title=\"{word}\" aria-label=\"{word}\">{sign}</span><b>{}</b>\
                 <span>{}</span></li>",
                f.about,
                escape(&f.text)
            )
        })
        .collect();
    let (warnings, notes) = (s.verdict.count(Level::Warning), s.verdict.count(Level::Note));
    let head = match (warnings, notes) {
        (0, 0) => "Nothing speaks against the numbers below, as far as it was checked.".to_string(),
        (0, n) => format!("No warning; {} to keep in mind.", plural(n, "point")),
        (w, n) => format!(
            "{} against relying on this run as it is; {} to keep in mind.",
            plural(w, "warning"),
            plural(n, "further point")
        ),
    };
    let body = format!("<p>{head}</p>\n<ul class=\"verdict\">\n{}\n</ul>\n", items.join("\n"));
    section("trust", "Whether to trust it", &body)
}

fn endpoints(figures: &Sections) -> String {
    let mut body = if figures.curves.is_empty() {
        String::from(
            "<p>What the model predicts with the posterior (blue) and with the prior (grey), and what was observed (orange).</p>\n",
        )
    } else {
        String::from(
            "<p>What the calibrated model predicts for a trial of this size (blue), what was published (orange) and what the \
             model allowed before it saw the data (grey). Filled points were fitted; <b>rings were held out and are real \
             predictions</b>. Bars are 95 % intervals of the published figures. Predictions exist at the months of the \
             rows; bands between them only guide the eye.</p>\n",
        )
    };
    body.push_str(&key(BAND_KEY));
    if figures.curves.is_empty() {
        body.push_str(&grid("grid", &figures.forests));
    } else {
        body.push_str(&grid("grid", &figures.curves));
    }
    if !figures.forests.is_empty() && !figures.curves.is_empty() {
        body.push_str(
            "<h3>Rows that are not curves</h3>\n<p>Landmark analyses, reasons for leaving and single figures: the \
                       prediction above, the published figure with its interval below it.</p>\n",
        );
        body.push_str(&grid("grid", &figures.forests));
    }
    section("endpoints", "Observed against predicted", &body)
}

fn posterior(s: &Summary, figures: &Sections) -> String {
    let mut body = sections::parameters(s);
    body.extend(s.adjusted.as_ref().map(|adjusted| adjusted.html(&s.parameters)));
    body.push_str("<h3>Marginals against priors</h3>\n");
    body.push_str(&key(DENSITY_KEY));
    body.push_str(&grid("grid small", &figures.marginals));
    if let Some(pairs) = &figures.pairs {
        body.push_str("<h3>Pairs of parameters</h3>\n");
        body.push_str(&wide(pairs));
    }
    section("posterior", "Posterior", &body)
}

/// A figure that needs the width of the page.
fn wide(figure: &Figure) -> String {
    format!(
        "{}<figure id=\"{}\"><div class=\"wide\">{}</div><figcaption><span>{}</span></figcaption></figure>\n",
        key(&figure.key),
        figure.id,
        figure.svg,
        escape(&figure.caption)
    )
}

/// Which directions of parameter space the data inform.
fn information(s: &Summary, figures: &Sections) -> String {
    let mut body = match &figures.directions {
        Some(directions) => informed::html(s) + &wide(directions),
        None => "<p>There is one parameter; its contraction says what the data say about it.</p>\n".into(),
    };
    if let Some(first) = figures.profiles.first() {
        body += &(profiles::html(s) + &key(&first.key) + &grid("grid small", &figures.profiles));
    }
    section("information", "What the data say about the parameters", &body)
}

fn generations(s: &Summary, figures: &Sections) -> String {
    let simulated = s.generations.iter().map(|g| g.simulated).sum();
    let mut body = format!(
        "<p>{}, {} simulations. {}</p>\n",
        plural(s.generations.len(), "generation"),
        count(simulated),
        if s.tempered {
            "The likelihood entered to the power of 1 over the temperature."
        } else {
            "The tolerance is the largest accepted distance from the data."
        }
    );
    if s.noise_floor.is_some() {
        body.push_str(&key(figures.generations.first().map_or(&[][..], |f| &f.key)));
    }
    body.push_str(&grid("grid small", &figures.generations));
    let falls = if s.tempered { "Temperature" } else { "Tolerance" };
    section("generations", &format!("{falls}, acceptance and sample size by generation"), &body)
}

/// A scenario: its arms, predicted.
fn other_arms(scenario: &Scenario, figures: &[Figure]) -> String {
    let reference = scenario.arms.first().map_or("", String::as_str);
    let question: String =
        sections::question(&scenario.text).iter().map(|paragraph| format!("<p>{}</p>\n", escape(paragraph))).collect();
    let body = format!(
        "{question}<p>Predicted, not observed: {} virtual patients in each arm, {} draws of the posterior and as many of the prior. \
         Arms of one draw have the same patients, so that differences to {} are those of the treatment alone. What the posterior \
         says and the prior did not is what the data taught; the rest is assumption.</p>\n{}{}{}\
         <details><summary>The scenario file</summary><pre>{}</pre></details>\n",
        scenario.patients,
        scenario.particle.len(),
        escape(reference),
        key(figures.iter().max_by_key(|f| f.key.len()).map_or(&[][..], |f| &f.key)),
        grid("grid", figures),
        arms::html(scenario),
        escape(&scenario.text)
    );
    let title = if scenario.title.is_empty() { &scenario.name } else { &scenario.title };
    section(&format!("scenario-{}", scenario.key()), &format!("Other arms: {}", escape(title)), &body)
}

pub(super) fn grid(class: &str, figures: &[Figure]) -> String {
    let items: Vec<String> = figures.iter().map(figure).collect();
    format!("<div class=\"{class}\">\n{}\n</div>\n", items.join("\n"))
}

fn figure(f: &Figure) -> String {
    format!(
        "<figure id=\"{}\"><figcaption><b>{}</b></figcaption>\n{}\n<figcaption><span>{}</span></figcaption></figure>",
        f.id,
        escape(&f.title),
        f.svg,
        escape(&f.caption)
    )
}

pub(super) fn key<S: AsRef<str>>(items: &[(Glyph, S)]) -> String {
    let items: Vec<String> =
        items.iter().map(|(glyph, text)| format!("<li>{}{}</li>", key_glyph(*glyph), escape(text.as_ref()))).collect();
    if items.is_empty() { String::new() } else { format!("<ul class=\"key\">{}</ul>\n", items.join("")) }
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
