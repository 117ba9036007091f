//! The page of a comparison: runs over each other in one file, with no script and no network.

use std::collections::BTreeSet;

use super::drawn::{Drawing, Drawn, MOST_BANDS, forest, ink, panel, run_key};
use super::text::{cells, difference, ensembles};
use super::{ArmOfAll, Comparison, Foreseen, Measured, Of, ParameterOfAll, RowOfAll, ScenarioOfAll};
use crate::report::chart::{Chart, Ink, Mark};
use crate::report::curves::{curve_name, words};
use crate::report::figure::{Figure, Glyph};
use crate::report::figures::{DENSITY_MARGINS, density_axis, density_columns};
use crate::report::format::{NONE, escape, number, plural, value, with_unit};
use crate::report::page::{Section, document, folded, grid, key, line, section, table};
use crate::report::rows::{Band, RowLine};
use crate::report::tables::{column, csv, plain};
use crate::store::slug;

/// Size of a marginal.
const SMALL: (f64, f64) = (330.0, 230.0);
/// Rows of one forest.
const FOREST_ROWS: usize = 8;

/// The whole page.
pub fn comparison_page(c: &Comparison) -> String {
    let part = |id: &str, title: &str, body: String| section(id, title, title, body);
    let mut parts = vec![part("runs", "The runs", runs(c)), part("posteriors", "Posteriors", posteriors(c))];
    if !c.models().is_empty() {
        parts.push(part("models", "Models", models(c)));
    }
    if c.rows.iter().any(shared) {
        parts.push(part("predictions", "Predictions", predictions(c)));
    }
    let scenarios = c.scenarios.iter().filter(|s| s.is_shared()).enumerate();
    parts.extend(scenarios.map(|(k, s)| scenario(c, s, k + 1)));
    let missing = c.missing();
    if !missing.is_empty() {
        let items: String = missing.iter().map(|text| format!("<li>{}</li>\n", escape(text))).collect();
        parts.push(part("missing", "Not in every run", format!("<ul>\n{items}</ul>\n")));
    }
    let names = c.names.join(", ");
    let head = format!("<p class=\"quiet\">{}</p>\n", escape(&names));
    document(&format!("{} compared", plural(c.names.len(), "run")), &names, &head, &parts)
}

fn shared(row: &RowOfAll) -> bool {
    row.runs.iter().flatten().count() > 1
}

fn runs(c: &Comparison) -> String {
    let fall = if c.summaries.iter().all(|s| s.tempered) { "Temperature" } else { "Tolerance" };
    let head = [("Run", "digest"), ("Job", ""), ("Seed", ""), ("Generations", ""), (fall, ""), ("ESS", ""), ("Simulations", "")];
    let run = |k: usize| {
        let name = format!("{}<small><code>{}</code></small>", escape(&c.names[k]), c.digests[k]);
        let facts = c.facts(k).map(|cell| escape(&cell));
        line("", &[vec![name], facts.to_vec()].concat(), 2)
    };
    let mut body = table("The runs", &head, 2, &(0..c.names.len()).map(run).collect::<String>());
    let items: Vec<String> = c.agreement.iter().flatten().map(|a| {
        let (class, sign, word) = if a.agrees { ("good", "\u{2713}", "agrees") } else { ("note", "\u{2260}", "differs") };
        format!(
            "<li class=\"{class}\"><span class=\"sign\" role=\"img\" aria-label=\"{word}\">{sign}</span><b>{word}</b><span>{}</span></li>",
            escape(&a.text)
        )
    }).collect();
    if !items.is_empty() {
        body += &format!(
            "<h3>Do they agree?</h3>\n<ul class=\"verdict\">\n{}\n</ul>\n<p>Two seeds of one job must agree; the chance that they are \
             said to differ is about 1 % for all of them together (more where few particles count). Another tolerance, model or \
             choice of data is a real difference, if maybe a small one: look at its size, not only at its standard errors.</p>\n",
            items.join("\n")
        );
    }
    if c.keys.is_empty() {
        return body + "<p>The jobs do not differ in any key.</p>\n";
    }
    let head: Vec<(&str, &str)> = [("Key", "")].into_iter().chain(c.names.iter().map(|name| (name.as_str(), ""))).collect();
    let key = |(name, values): &(String, Vec<String>)| {
        let cells: Vec<String> = [name].into_iter().chain(values).map(|text| format!("<code>{}</code>", escape(text))).collect();
        line("", &cells, cells.len())
    };
    body + &table("Keys of the job that differ", &head, head.len(), &c.keys.iter().map(key).collect::<String>())
}

fn posteriors(c: &Comparison) -> String {
    let both: Vec<&ParameterOfAll> = c.parameters.iter().filter(|p| p.runs.iter().flatten().count() > 1).collect();
    if both.is_empty() {
        return "<p>No two runs infer the same parameter.</p>\n".into();
    }
    let head = [
        ("Parameter", "run"),
        ("Mean", "in the unit"),
        ("sd", "in the unit"),
        ("5 %", "in the unit"),
        ("95 %", "in the unit"),
        ("Scale", "of the next two"),
        ("Shift", "of the mean, in sd"),
        ("Spread", "ratio of the sd"),
        ("Overlap", ""),
    ];
    let mut body = String::new();
    for p in &both {
        let meaning = if p.meaning.is_empty() { String::new() } else { format!(" <small>{}</small>", escape(&p.meaning)) };
        body += &format!(
            "</tbody><tbody><tr><th scope=\"rowgroup\" colspan=\"{}\">{}{meaning}</th></tr>\n",
            head.len(),
            escape(&p.title)
        );
        for (k, run) in p.runs.iter().enumerate() {
            let cells = match run {
                Ok(Of { line, apart }) => {
                    [[line.mean, line.sd, line.q05, line.q95].map(number).to_vec(), cells(*apart).to_vec()].concat()
                }
                Err(why) => [vec![escape(why)], vec![NONE.to_string(); 7]].concat(),
            };
            body += &line("", &[vec![escape(&c.names[k])], cells].concat(), 1);
        }
    }
    let figures: Vec<Figure> = both.iter().map(|p| marginal(c, p)).collect();
    let mut signs = vec![(Glyph::Patch(Ink::Prior, 30), "prior".to_string())];
    signs.extend(run_key(c));
    format!(
        "<p>Each run against the first that has the parameter; after ± the Monte-Carlo standard error. Mean, sd and quantiles are in the \
         unit of the parameter. Shift and spread are on the scale on which the prior is set, which the table names (ln: natural logarithm of \
         a positive parameter), so that the spread is no ratio of the column sd. Overlap is the area that both densities cover.</p>\n{}{}{}",
        key(&signs),
        grid("grid small", &figures),
        table("Posteriors of the runs", &head, 1, &body)
    )
}

fn marginal(c: &Comparison, p: &ParameterOfAll) -> Figure {
    let have: Vec<(usize, &Of)> = p.runs.iter().enumerate().filter_map(|(k, run)| Some((k, run.as_ref().ok()?))).collect();
    let peak = |of: fn(&(f64, f64, f64)) -> f64| p.curves.iter().flatten().map(of).fold(0.0, f64::max);
    let (after, before) = (peak(|point| point.1), peak(|point| point.2));
    let top = 1.12 * after.max(before.min(1.5 * after));
    let step = 0.055 * top;
    let unit = have.first().map_or("", |(_, of)| &of.line.unit);
    let y = density_axis(unit, p.axis.log, (-step * (have.len() as f64 + 1.0), top));
    let mut chart = Chart::new(p.axis.clone(), y, SMALL).bare().margins(DENSITY_MARGINS);
    let first = p.curves.first().map_or(&[][..], Vec::as_slice);
    let prior = |curve: &[(f64, f64, f64)]| curve.iter().map(|point| (point.0, point.2)).collect::<Vec<(f64, f64)>>();
    chart.band(&first.iter().map(|point| (point.0, 0.0, point.2)).collect::<Vec<_>>(), Ink::Prior, 0.3);
    chart.line(&prior(first), Ink::Prior, 1.2, false);
    let mut other_priors = false;
    for ((k, of), (i, curve)) in have.iter().zip(p.curves.iter().enumerate()) {
        // Another prior than that of the first run.
        if curve.iter().zip(first).any(|(a, b)| (a.2 - b.2).abs() > 1e-9 * before) {
            chart.line(&prior(curve), ink(*k), 1.0, true);
            other_priors = true;
        }
        if have.len() <= MOST_BANDS {
            chart.band(&curve.iter().map(|point| (point.0, 0.0, point.1)).collect::<Vec<_>>(), ink(*k), 0.14);
        }
        chart.line(&curve.iter().map(|point| (point.0, point.1)).collect::<Vec<_>>(), ink(*k), 2.0, false);
        let at = -step * (i as f64 + 1.0);
        chart.bar((of.line.q05, at), (of.line.q95, at), ink(*k), 3.0);
    }
    let mut caption = String::from("Bars below: 5 to 95 % of each run.");
    if other_priors {
        caption += " Grey: the prior of the first run; dashed: priors of others.";
    }
    let lacking: Vec<String> =
        p.runs.iter().zip(&c.names).filter_map(|(run, name)| Some(format!("{name}: {}", run.as_ref().err()?))).collect();
    if !lacking.is_empty() {
        caption += &format!(" Not inferred by {}.", lacking.join(", "));
    }
    let point = |k: usize, p: &(f64, f64, f64)| [vec![c.names[k].clone()], [p.0, p.2, p.1].map(plain).into()].concat();
    let curves = have.iter().map(|(k, _)| *k).zip(&p.curves);
    let lines = curves.flat_map(|(k, curve)| curve.iter().map(move |p| point(k, p)));
    // The title has the unit.
    let value = if p.title.ends_with(']') { p.title.clone() } else { column(&p.title, "1") };
    let [prior, posterior] = density_columns(unit, p.axis.log);
    let head = ["run".into(), value, prior, posterior];
    let data = csv(&head, lines);
    let id = format!("marginal-{}", slug(&p.title));
    let svg = chart.draw(&id, &format!("Posteriors of {}", p.title), &caption);
    Figure { id, title: p.title.clone(), caption, svg, size: SMALL, key: run_key(c), data }
}

fn models(c: &Comparison) -> String {
    let head: Vec<(&str, &str)> = [("Model", "")].into_iter().chain(c.names.iter().map(|name| (name.as_str(), ""))).collect();
    let mut body = String::new();
    for (name, lines) in c.models() {
        let cell =
            |m: &Option<&crate::report::ModelLine>| m.map_or(NONE.into(), |m| format!("{} ± {}", m.cells()[1], m.cells()[2]));
        let cells: Vec<String> = [name].into_iter().chain(lines.iter().map(cell)).map(|cell| escape(&cell)).collect();
        body += &line("", &cells, 1);
    }
    format!(
        "<p>Posterior probabilities, after ± the Monte-Carlo standard error.</p>\n{}",
        table("Probabilities of the models", &head, 1, &body)
    )
}

fn predictions(c: &Comparison) -> String {
    let rows: Vec<&RowOfAll> = c.rows.iter().filter(|row| shared(row)).collect();
    let (curves, forests) = figures(c, &rows);
    let mut signs = run_key(c);
    signs.extend(
        [
            (Glyph::Point(Ink::Text, Mark::Dot), "observed, fitted by all"),
            (Glyph::Point(Ink::Text, Mark::Ring), "observed, held out by one or more"),
            (Glyph::Point(Ink::Text, Mark::Cross), "observed, shown only"),
        ]
        .map(|(glyph, text)| (glyph, text.to_string())),
    );
    let of = if c.names.len() > MOST_BANDS { "the first run alone" } else { "each run" };
    let mut body = format!(
        "<p>Median of each run, and 5 to 95 % of {of}, by its posterior. Rings were held out by a run at least: for that run they are real \
         predictions; the table says for which, and by how much the means differ (± Monte-Carlo standard error).</p>\n{}",
        key(&signs)
    );
    for figures in [curves, forests] {
        if !figures.is_empty() {
            body += &grid("grid", &figures);
        }
    }
    let head = [
        ("Run", ""),
        ("Use", ""),
        ("Observed", "± se"),
        ("Median", ""),
        ("5 to 95 %", ""),
        ("In band", ""),
        ("Difference", "of the means, to the first run"),
    ];
    let mut lines = String::new();
    for row in &rows {
        let Some(first) = row.first() else { continue };
        let unit = if first.share { " (%)".to_string() } else { with_unit("", &first.unit) };
        lines += &group(head.len(), &format!("{}{unit}", words(first)), &row.id);
        for (k, one) in row.runs.iter().enumerate().filter_map(|(k, one)| Some((k, one.as_ref()?))) {
            lines += &prediction(&c.names[k], one, row.apart[k]);
        }
    }
    body + &folded("All rows as a table", &table("Predictions of the runs", &head, 2, &lines))
}

fn prediction(name: &str, row: &RowLine, apart: Option<Measured>) -> String {
    let show = |x: f64| value(x, row.share);
    let cells = [
        escape(name),
        row.role.name().into(),
        if row.se.is_finite() { format!("{} ± {}", show(row.observed), show(row.se)) } else { show(row.observed) },
        row.posterior.map_or(NONE.into(), |b| show(b.median)),
        row.posterior.map_or(NONE.into(), |b| format!("{} to {}", show(b.q05), show(b.q95))),
        match row.inside {
            Some(true) => "yes".into(),
            Some(false) => "<span class=\"no\">no</span>".into(),
            None => NONE.into(),
        },
        difference(apart, row.share),
    ];
    line(if row.inside == Some(false) { "outside" } else { "" }, &cells, 2)
}

/// Rows of one endpoint in several months as curves; the others as forests.
fn figures(c: &Comparison, rows: &[&RowOfAll]) -> (Vec<Figure>, Vec<Figure>) {
    let mut families: Vec<(String, Vec<&RowOfAll>)> = Vec::new();
    let mut rest: Vec<&RowOfAll> = Vec::new();
    for row in rows {
        let source = row.first().and_then(|one| one.source.as_ref()).filter(|source| source.endpoint.reason().is_none());
        let Some(name) = source.map(curve_name) else {
            rest.push(row);
            continue;
        };
        match families.iter_mut().find(|family| family.0 == name) {
            Some(family) => family.1.push(row),
            None => families.push((name, vec![row])),
        }
    }
    let month = |row: &RowOfAll| row.first().map_or(f64::NAN, |one| one.month);
    let (mut curves, single): (Vec<_>, Vec<_>) =
        families.into_iter().partition(|(_, rows)| rows.iter().any(|row| month(row) != month(rows[0])));
    rest.extend(single.into_iter().flat_map(|(_, rows)| rows));
    curves.sort_by_key(|(_, rows)| rows[0].first().and_then(|one| one.source.as_ref()).map(|source| source.endpoint));
    for (_, rows) in &mut curves {
        rows.sort_by(|a, b| month(a).total_cmp(&month(b)));
    }
    let panels = curves.iter().map(|(name, rows)| figure(c, name, rows, |rows| panel(c.names.len(), rows))).collect();
    fn scale(row: &RowOfAll) -> (bool, &str) {
        row.first().map_or((false, ""), |one| (one.share, one.unit.as_str()))
    }
    rest.sort_by_key(|row| scale(row));
    let mut forests = Vec::new();
    for alike in rest.chunk_by(|a, b| scale(a) == scale(b)) {
        let (share, unit) = scale(alike[0]);
        let title = if share { "Single figures, %".into() } else { with_unit("Rows", unit) };
        let parts = alike.len().div_ceil(FOREST_ROWS);
        for (k, rows) in alike.chunks(alike.len().div_ceil(parts)).enumerate() {
            let title = if parts > 1 { format!("{title} ({} of {parts})", k + 1) } else { title.clone() };
            forests.push(figure(c, &title, rows, |rows| forest(c.names.len(), rows)));
        }
    }
    (panels, forests)
}

/// A drawing of rows with all that belongs to it.
fn figure(c: &Comparison, title: &str, rows: &[&RowOfAll], draw: impl Fn(&[Drawn<'_>]) -> Drawing) -> Figure {
    let drawn: Vec<Drawn<'_>> = rows.iter().map(|row| Drawn::row(row)).collect();
    let caption = "Median of each run by its posterior, with 5 to 95 %; observed in the colour of text, with 95 % intervals.";
    draw(&drawn).figure(c, format!("rows-{}", slug(title)), title, caption, data(c, rows))
}

/// A line for each row and run; rows of one drawing have one unit.
fn data(c: &Comparison, rows: &[&RowOfAll]) -> String {
    let unit = match rows.first().and_then(|row| row.first()) {
        Some(first) if !first.share => first.unit.as_str(),
        _ => "share",
    };
    let mut head = ["run", "row", "use", "month [months]"].map(String::from).to_vec();
    head.extend(["observed", "se", "q05", "median", "q95", "difference", "difference_error"].map(|name| column(name, unit)));
    let line = |name: &String, one: &RowLine, apart: Option<Measured>| {
        let words = vec![name.clone(), one.id.clone(), one.role.name().to_string()];
        let numbers = [one.month, one.observed, one.se].into_iter().chain(predicted(one.posterior, apart));
        words.into_iter().chain(numbers.map(plain)).collect()
    };
    let of = |row: &&RowOfAll| -> Vec<Vec<String>> {
        let runs = c.names.iter().zip(&row.runs).zip(&row.apart);
        runs.filter_map(|((name, one), apart)| Some(line(name, one.as_ref()?, *apart))).collect()
    };
    csv(&head, rows.iter().flat_map(of))
}

/// Quantiles of a prediction, and its difference to the first run.
fn predicted(band: Option<Band>, apart: Option<Measured>) -> [f64; 5] {
    let [q05, median, q95] = band.map_or([f64::NAN; 3], |b| [b.q05, b.median, b.q95]);
    let [difference, error] = apart.map_or([f64::NAN; 2], |apart| [apart.value, apart.error]);
    [q05, median, q95, difference, error]
}

/// A scenario of several runs: each endpoint of each arm, and all rows in numbers.
fn scenario(c: &Comparison, s: &ScenarioOfAll, number: usize) -> Section {
    let id = format!("scenario-{number}");
    let mut families: Vec<(&str, Vec<&ArmOfAll>)> = Vec::new();
    for row in &s.rows {
        match families.iter_mut().find(|family| family.0 == row.family) {
            Some(family) => family.1.push(row),
            None => families.push((&row.family, vec![row])),
        }
    }
    let mut figures = Vec::new();
    for (name, rows) in &families {
        let mut draw = |title: &str, rows: &[&ArmOfAll], curve: bool| {
            let drawn: Vec<Drawn<'_>> = rows.iter().map(|row| Drawn::arm(row)).collect();
            let runs = c.names.len();
            let drawing = if curve { panel(runs, &drawn) } else { forest(runs, &drawn) };
            let of = format!("{id}-{}", slug(title));
            figures.push(drawing.figure(c, of, title, "Median of each run by its posterior, with 5 to 95 %.", arm_data(c, rows)));
        };
        if rows.iter().any(|row| row.month != rows[0].month) {
            let mut arms: Vec<&str> = rows.iter().map(|row| row.arm.as_str()).collect();
            let mut known = BTreeSet::new();
            arms.retain(|arm| known.insert(*arm));
            for arm in arms {
                let mut of: Vec<&ArmOfAll> = rows.iter().copied().filter(|row| row.arm == arm).collect();
                of.sort_by(|a, b| a.month.total_cmp(&b.month));
                draw(&format!("{name}: {arm}"), &of, true);
            }
        } else {
            draw(name, rows, false);
        }
    }
    let head = [("Run", ""), ("Median", "%"), ("5 to 95 %", ""), ("Difference", "of the means, to the first run")];
    let mut lines = String::new();
    for row in &s.rows {
        lines += &group(head.len(), &format!("{}: {}", row.label, row.arm), &row.id);
        for (name, of) in c.names.iter().zip(&row.runs).filter_map(|(name, of)| Some((name, of.as_ref()?))) {
            let cells = [
                escape(name),
                of.band.map_or(NONE.into(), |b| value(b.median, true)),
                of.band.map_or(NONE.into(), |b| format!("{} to {}", value(b.q05, true), value(b.q95, true))),
                difference(of.apart, true),
            ];
            lines += &line("", &cells, 1);
        }
    }
    let title = if s.title.is_empty() { &s.name } else { &s.title };
    let body = format!(
        "<p>What each run that was asked this predicts, which nobody observed; {}. After ± the Monte-Carlo standard error.</p>\n{}{}{}",
        escape(&ensembles(s, &c.names)),
        key(&run_key(c)),
        grid("grid", &figures),
        folded("All rows as a table", &table(&format!("Arms of {}", s.name), &head, 1, &lines))
    );
    section(&id, &format!("Scenario: {}", s.name), &format!("Scenario: {title}"), body)
}

/// A line for each row of an arm and run.
fn arm_data(c: &Comparison, rows: &[&ArmOfAll]) -> String {
    let mut head = ["run", "row", "arm", "month [months]"].map(String::from).to_vec();
    head.extend(["q05", "median", "q95", "difference", "difference_error"].map(|name| column(name, "share")));
    let of = |row: &&ArmOfAll| -> Vec<Vec<String>> {
        let runs = c.names.iter().zip(&row.runs).filter_map(|(name, of)| Some((name, of.as_ref()?)));
        let line = |(name, of): (&String, &Foreseen)| {
            let numbers = [row.month].into_iter().chain(predicted(of.band, of.apart));
            [name.clone(), row.id.clone(), row.arm.clone()].into_iter().chain(numbers.map(plain)).collect()
        };
        runs.map(line).collect()
    };
    csv(&head, rows.iter().flat_map(of))
}

/// The line of a table that begins those of one thing, which is named in words and by its id.
fn group(width: usize, words: &str, id: &str) -> String {
    format!(
        "</tbody><tbody><tr><th scope=\"rowgroup\" colspan=\"{width}\">{} <small>{}</small></th></tr>\n",
        escape(words),
        escape(id)
    )
}
