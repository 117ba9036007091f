//! The page of a run: which sections it has, and what each shows.

use crate::report::chart::{Ink, Mark};
use crate::report::curves::BAND_KEY;
use crate::report::figure::{Figure, Glyph};
use crate::report::figures::{DENSITY_KEY, Sections};
use crate::report::format::{NONE, count, escape, number, plural};
use crate::report::page::{self, Section, document, facts, folded, grid, key, section, verbatim, wide};
use crate::report::ranks::{Calibrated, RankedLine};
use crate::report::sections;
use crate::report::summary::Summary;
use crate::report::verdict::Level;
use crate::report::{Input, arms, asked, checks, informed, profiles, timeline};
use crate::store::Scenario;

/// The whole page.
pub(super) fn page(input: &Input<'_>, s: &Summary, figures: &Sections) -> String {
    let mut parts = vec![asked(input, s), verdict(s)];
    if !figures.curves.is_empty() || !figures.forests.is_empty() {
        parts.push(endpoints(figures));
    }
    parts.push(section("rows", "Row by row", "Row by row", sections::rows(s)));
    if !s.models.is_empty() {
        parts.push(section(
            "models",
            "Models",
            "Models",
            sections::models(s) + &key(figures.models.first().map_or(&[][..], |f| &f.key)) + &grid("grid small", &figures.models),
        ));
    }
    if !s.checks.checks.is_empty() {
        parts.push(section("checks", "Predictive checks", "Predictive checks", checks::html(s)));
    }
    parts.extend([posterior(s, figures), information(s, figures), generations(input, s, figures)]);
    parts.extend(s.calibration.as_ref().map(|calibrated| calibration(calibrated, figures)));
    if !s.modes.is_empty() {
        parts.push(section("modes", "Modes", "Modes", sections::modes(s)));
    }
    let scenarios = input.store.scenarios().iter().zip(&figures.scenarios);
    parts.extend(scenarios.map(|(scenario, drawn)| other_arms(scenario, drawn)));
    parts.push(section("provenance", "Where this comes from", "Where this comes from", sections::provenance(input)));
    let head = format!("<p class=\"quiet\">{}</p>\n{}", escape(&asked::headline(s)), judgement(s));
    document(&s.name, "posterior and predictions", &head, &parts)
}

fn asked(input: &Input<'_>, s: &Summary) -> Section {
    let question: String = asked::question(&input.store.header().job_text)
        .iter()
        .map(|paragraph| format!("<p>{}</p>\n", escape(paragraph)))
        .collect();
    section("asked", "What was asked", "What was asked", question + &facts(&asked::facts(input, s)) + &asked::priors(input, s))
}

fn verdict(s: &Summary) -> Section {
    let sign = |level: Level| match level {
        Level::Good => ("good", "\u{2713}", "good"),
        Level::Note => ("note", "\u{2022}", "to keep in mind"),
        Level::Warning => ("warning", "!", "warning"),
    };
    let mut findings: Vec<_> = s.verdict.findings.iter().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    let items: String = findings
        .iter()
        .map(|f| {
            let (class, sign, word) = sign(f.level);
            format!(
                "<li class=\"{class}\"><span class=\"sign\" role=\"img\" aria-label=\"{word}\">{sign}</span><b>{}</b>\
                 <span>{}</span></li>\n",
                f.about,
                escape(&f.text)
            )
        })
        .collect();
    let beyond = match s.calibration {
        Some(_) => "",
        None => {
            "<p class=\"quiet\">Whether the engine finds what it should in simulated data of this job is another question, which a run \
             does not ask: <code>nicho validate sbc</code> with this result file.</p>\n"
        }
    };
    let body = format!("<ul class=\"verdict\">\n{items}</ul>\n{beyond}");
    section("trust", "Whether to trust it", "Whether to trust it", body)
}

/// The verdict in a sentence or two.
fn judgement(s: &Summary) -> String {
    let about = |level: Level| {
        let names: Vec<String> = s.verdict.findings.iter().filter(|f| f.level == level).map(|f| f.about.to_lowercase()).collect();
        names.join(", ")
    };
    let (warnings, notes) = (s.verdict.count(Level::Warning), s.verdict.count(Level::Note));
    let (class, short) = match (warnings, notes) {
        (0, 0) => ("good", "Nothing speaks against these numbers, as far as it was checked."),
        (0, _) => ("good", "No warning."),
        (1..3, _) => ("warning", "With reserve."),
        _ => ("warning", "Not to be relied on as it is."),
    };
    let of = |n: usize, noun: &str, level: Level| {
        if n == 0 { String::new() } else { format!(" {}: {}.", plural(n, noun), about(level)) }
    };
    let warned = of(warnings, "warning", Level::Warning);
    let noted = of(notes, "point to keep in mind", Level::Note).replace("point to keep in minds", "points to keep in mind");
    format!("<p class=\"judgement {class}\"><b>{short}</b>{}{}</p>\n", escape(&warned), escape(&noted))
}

fn endpoints(figures: &Sections) -> Section {
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
    section("endpoints", "Observed against predicted", "Observed against predicted", body)
}

fn posterior(s: &Summary, figures: &Sections) -> Section {
    let mut body = sections::parameters(s);
    body.extend(s.adjusted.as_ref().map(|adjusted| adjusted.html(&s.parameters)));
    body.push_str("<h3>Marginals against priors</h3>\n");
    body.push_str(&key(DENSITY_KEY));
    body.push_str(&grid("grid small", &figures.marginals));
    if let Some(pairs) = &figures.pairs {
        body.push_str(&wide(pairs));
    }
    section("posterior", "Posterior", "Posterior", body)
}

/// Which directions of parameter space the data inform.
fn information(s: &Summary, figures: &Sections) -> Section {
    let mut body = match &figures.directions {
        Some(directions) => informed::html(s) + &wide(directions),
        None => "<p>There is one parameter; its contraction says what the data say about it.</p>\n".into(),
    };
    if let Some(first) = figures.profiles.first() {
        body += &(profiles::html(s) + &key(&first.key) + &grid("grid small", &figures.profiles));
    }
    section("information", "What the data say", "What the data say about the parameters", body)
}

fn generations(input: &Input<'_>, s: &Summary, figures: &Sections) -> Section {
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
    section("generations", "Generations", "How the run went", body + &grid("grid", &figures.timeline) + &timeline::html(input))
}

/// Whether the job finds what it should in data of its own.
fn calibration(c: &Calibrated, figures: &Sections) -> Section {
    let line = |line: &RankedLine| {
        let inside = |k: usize| line.inside.map_or(NONE.into(), |inside| inside[k].to_string());
        let cells = [
            escape(&line.parameter),
            number(line.p_uniform),
            inside(0),
            inside(1),
            format!("{:.2}", line.recovered),
            if line.calibrated { "yes" } else { "no" }.into(),
        ];
        page::line("", &cells, 1)
    };
    let head = [
        ("Parameter", ""),
        ("p of ranks", "if uniform"),
        ("In 50 %", "data sets"),
        ("In 90 %", "data sets"),
        ("Recovered", "of the variance"),
        ("Calibrated", ""),
    ];
    let table = |title: &str, lines: &[RankedLine]| page::table(title, &head, 1, &lines.iter().map(line).collect::<String>());
    let adjusted = c.adjusted.as_ref().map_or(String::new(), |lines| table("Of the adjusted posterior", lines));
    let body = format!(
        "<p>The job was run on {} data sets that were simulated at draws of its prior, to the tolerance {} with {} particles. If it samples \
         the posterior, true values rank evenly among its draws, and an interval holds them as often as it says (Talts et al. 2018). \
         Recovered is the share of the variance of true values that posterior means account for.</p>\n{}{adjusted}{}{}",
        c.replicates,
        number(c.tolerance),
        count(c.population as u64),
        table("Of the sampler's posterior", &c.parameters),
        key(&[
            (Glyph::Line(Ink::Posterior, false), "data sets"),
            (Glyph::Patch(Ink::Prior, 30), "99 % of counts, if ranks are uniform"),
            (Glyph::Point(Ink::Posterior, Mark::Dot), "a data set"),
            (Glyph::Line(Ink::Prior, true), "found as it was")
        ]),
        grid("grid small", &figures.calibration)
    );
    section("calibration", "Calibration", "Whether the job finds what it should", body)
}

/// A scenario: its arms, predicted.
fn other_arms(scenario: &Scenario, figures: &[Figure]) -> Section {
    let reference = scenario.arms.first().map_or("", String::as_str);
    let question: String =
        asked::question(&scenario.text).iter().map(|paragraph| format!("<p>{}</p>\n", escape(paragraph))).collect();
    let body = format!(
        "{question}<p>Predicted, not observed: {} virtual patients in each arm, {} draws of the posterior and as many of the prior. \
         Arms of one draw have the same patients, so that differences to {} are those of the treatment alone. What the posterior \
         says and the prior did not is what the data taught; the rest is assumption.</p>\n{}{}{}{}",
        scenario.patients,
        scenario.particle.len(),
        escape(reference),
        key(figures.iter().max_by_key(|f| f.key.len()).map_or(&[][..], |f| &f.key)),
        grid("grid", figures),
        arms::html(scenario),
        folded("The scenario file", &verbatim("The scenario file", &scenario.text))
    );
    let title = if scenario.title.is_empty() { &scenario.name } else { &scenario.title };
    let link = format!("Arms: {}", scenario.name);
    section(&format!("scenario-{}", scenario.key()), &link, &format!("Other arms: {title}"), body)
}
