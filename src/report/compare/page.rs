//! The page of a comparison: runs over each other in one file, with no script and no network.

use super::text::cells;
use super::{Comparison, Of, ParameterOfAll, RowOfAll};
use crate::report::chart::{Axis, Chart, Ink, Mark, Ticks};
use crate::report::curves::{curve_name, round_range, words};
use crate::report::figures::{Figure, Glyph};
use crate::report::format::{NONE, escape, number, plural, value, with_unit};
use crate::report::page::{document, folded, grid, key, line, section, table};
use crate::report::rows::{Band, RowLine, Use};
use crate::report::tables::{column, csv, plain};
use crate::store::slug;

/// Size of a marginal and of a panel; width of a forest.
const SMALL: (f64, f64) = (330.0, 230.0);
const PANEL: (f64, f64) = (400.0, 270.0);
/// Most runs whose bands can be told apart.
const MOST_BANDS: usize = 3;
/// Rows of one forest.
const FOREST_ROWS: usize = 8;

/// Colour of a run.
fn ink(k: usize) -> Ink {
    Ink::Arm((k % Ink::ARMS) as u8)
}

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

/// The names of the runs in their colours.
fn run_key(c: &Comparison) -> Vec<(Glyph, String)> {
    c.names.iter().enumerate().map(|(k, name)| (Glyph::Line(ink(k), false), name.clone())).collect()
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
             said to differ is about 1 % for all parameters together (more where few particles count). Another tolerance, model or \
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
        ("Mean", ""),
        ("sd", ""),
        ("5 %", ""),
        ("95 %", ""),
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
                Err(why) => [vec![escape(why)], vec![NONE.to_string(); 6]].concat(),
            };
            body += &line("", &[vec![escape(&c.names[k])], cells].concat(), 1);
        }
    }
    let figures: Vec<Figure> = both.iter().map(|p| marginal(c, p)).collect();
    let mut signs = vec![(Glyph::Patch(Ink::Prior, 30), "prior".to_string())];
    signs.extend(run_key(c));
    format!(
        "<p>Each run against the first that has the parameter; after ± the Monte-Carlo standard error. Shift and spread are on the scale on \
         which the prior is set (the logarithm of a positive parameter). Overlap is the area that both densities cover.</p>\n{}{}{}",
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
    let y = Axis { ticks: Ticks::Hidden, ..Axis::linear("", (-step * (have.len() as f64 + 1.0), top)) };
    let mut chart = Chart::new(p.axis.clone(), y, SMALL).bare().margins([24.0, 24.0, 10.0, 46.0]);
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
    let head = ["run".into(), value, column("prior_density", "drawn axis"), column("posterior_density", "drawn axis")];
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
         predictions; the table says for which.</p>\n{}",
        key(&signs)
    );
    for figures in [curves, forests] {
        if !figures.is_empty() {
            body += &grid("grid", &figures);
        }
    }
    let head = [("Run", ""), ("Use", ""), ("Observed", "± se"), ("Median", ""), ("5 to 95 %", ""), ("In band", "")];
    let mut lines = String::new();
    for row in &rows {
        let Some(first) = row.first() else { continue };
        let unit = if first.share { " (%)".to_string() } else { with_unit("", &first.unit) };
        lines += &format!(
            "</tbody><tbody><tr><th scope=\"rowgroup\" colspan=\"{}\">{}{} <small>{}</small></th></tr>\n",
            head.len(),
            escape(&words(first)),
            escape(&unit),
            escape(&row.id)
        );
        for (k, one) in row.runs.iter().enumerate().filter_map(|(k, one)| Some((k, one.as_ref()?))) {
            lines += &prediction(&c.names[k], one);
        }
    }
    body + &folded("All rows as a table", &table("Predictions of the runs", &head, 2, &lines))
}

fn prediction(name: &str, row: &RowLine) -> String {
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
    let panels = curves.iter().map(|(name, rows)| panel(c, name, rows)).collect();
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
            forests.push(forest(c, &title, rows));
        }
    }
    (panels, forests)
}

/// What is on display of rows: bands and intervals.
fn extent(rows: &[&RowOfAll]) -> (f64, f64) {
    let all = rows.iter().flat_map(|row| row.runs.iter().flatten());
    let shown = all.flat_map(|row| {
        let bands = row.posterior.into_iter().flat_map(|b| [b.q05, b.q95]);
        bands.chain(row.interval().into_iter().flat_map(|i| [i.0, i.1])).chain([row.observed])
    });
    let range = shown.filter(|x| x.is_finite()).fold((f64::INFINITY, f64::NEG_INFINITY), |r, x| (r.0.min(x), r.1.max(x)));
    if range.0 <= range.1 { range } else { (0.0, 1.0) }
}

fn axis(rows: &[&RowOfAll], label: &str) -> Axis {
    let share = rows.iter().filter_map(|row| row.first()).all(|row| row.share);
    let (range, step) = round_range(extent(rows), share);
    Axis { step: Some(step), ticks: if share { Ticks::Percent } else { Ticks::Number }, ..Axis::linear(label, range) }
}

/// The observed points of a row, each value once, with intervals.
fn observed(chart: &mut Chart, row: &RowOfAll, place: impl Fn(f64) -> (f64, f64)) {
    let mut seen: Vec<f64> = Vec::new();
    for one in row.runs.iter().flatten().filter(|one| one.observed.is_finite()) {
        if seen.contains(&one.observed) {
            continue;
        }
        seen.push(one.observed);
        let has = |role: Use| row.runs.iter().flatten().any(|run| run.role == role);
        // In the colour of text: that of data is too near one of a run.
        let mark = match (has(Use::Context), has(Use::HeldOut)) {
            (true, _) => Mark::Cross,
            (_, true) => Mark::Ring,
            _ => Mark::Dot,
        };
        if let Some((low, high)) = one.interval().filter(|_| mark != Mark::Cross) {
            chart.bar(place(low), place(high), Ink::Text, 1.4);
        }
        chart.points(&[place(one.observed)], mark, 4.0, Ink::Text);
    }
}

fn panel(c: &Comparison, name: &str, rows: &[&RowOfAll]) -> Figure {
    let month = |row: &RowOfAll| row.first().map_or(0.0, |one| one.month);
    let last = rows.iter().map(|row| month(row)).fold(0.0, f64::max);
    let step = [1.0, 3.0, 6.0, 12.0, 24.0, 48.0].into_iter().find(|step| last / step <= 6.0).unwrap_or(60.0);
    let x = Axis { step: Some(step), ..Axis::linear("Months", (0.0, 1.06 * last)) };
    let share = rows.iter().filter_map(|row| row.first()).all(|row| row.share);
    let y = axis(rows, if share { "Patients, %" } else { "Value" });
    let mut chart = Chart::new(x, y, PANEL).margins([58.0, 12.0, 10.0, 50.0]);
    let points = |k: usize| -> Vec<(f64, Band)> {
        let mut points: Vec<(f64, Band)> =
            rows.iter().filter_map(|row| Some((month(row), row.runs[k].as_ref()?.posterior?))).collect();
        points.dedup_by_key(|(month, _)| *month);
        points
    };
    let banded = if c.names.len() > MOST_BANDS { 1 } else { c.names.len() };
    for k in 0..banded {
        chart.band(&points(k).iter().map(|(m, b)| (*m, b.q05, b.q95)).collect::<Vec<_>>(), ink(k), 0.2);
    }
    for k in 0..c.names.len() {
        let medians: Vec<(f64, f64)> = points(k).iter().map(|(m, b)| (*m, b.median)).collect();
        chart.line(&medians, ink(k), 2.0, false);
        chart.points(&medians, Mark::Dot, 2.0, ink(k));
    }
    rows.iter().for_each(|row| observed(&mut chart, row, |v| (month(row), v)));
    finish(c, name, rows, chart, PANEL, "")
}

fn forest(c: &Comparison, title: &str, rows: &[&RowOfAll]) -> Figure {
    const TOP: f64 = 4.0;
    const BOTTOM: f64 = 48.0;
    const NAME: f64 = 22.0;
    const BAR: f64 = 11.0;
    let strip = NAME + BAR * (c.names.len() as f64 + 1.5);
    let n = rows.len() as f64;
    let size = (PANEL.0, strip * n + TOP + BOTTOM);
    let label = match rows[0].first() {
        Some(first) if !first.share => with_unit("Value", &first.unit),
        _ => "Patients, %".into(),
    };
    let y = Axis { ticks: Ticks::Hidden, ..Axis::linear("", (0.0, strip * n)) };
    let mut chart = Chart::new(axis(rows, &label), y, size).bare().margins([16.0, 16.0, TOP, BOTTOM]);
    let mut labels = String::new();
    for (i, row) in rows.iter().enumerate() {
        let top = strip * (n - i as f64) - NAME;
        for (k, one) in row.runs.iter().enumerate() {
            if let Some(b) = one.as_ref().and_then(|one| one.posterior) {
                let at = top - BAR * k as f64;
                chart.bar((b.q05, at), (b.q95, at), ink(k), 2.4);
                chart.points(&[(b.median, at)], Mark::Dot, 3.2, ink(k));
            }
        }
        observed(&mut chart, row, |v| (v, top - BAR * c.names.len() as f64));
        let text = row.first().map(words).unwrap_or_default();
        labels += &format!("<text x=\"18\" y=\"{}\" font-size=\"12\">{}</text>", TOP + strip * i as f64 + 13.0, escape(&text));
    }
    finish(c, title, rows, chart, size, &labels)
}

fn finish(c: &Comparison, title: &str, rows: &[&RowOfAll], chart: Chart, size: (f64, f64), labels: &str) -> Figure {
    let id = format!("rows-{}", slug(title));
    let caption =
        "Median of each run by its posterior, with 5 to 95 %; observed in the colour of text, with 95 % intervals.".to_string();
    let svg = chart.draw(&id, title, &caption).replacen("</svg>", &format!("{labels}</svg>"), 1);
    Figure { id, title: title.into(), caption, svg, size, key: run_key(c), data: data(c, rows) }
}

/// A line for each row and run.
fn data(c: &Comparison, rows: &[&RowOfAll]) -> String {
    const HEAD: [&str; 9] = [
        "run",
        "row",
        "use",
        "month [months]",
        "observed [share or unit]",
        "se [same]",
        "posterior_q05 [same]",
        "posterior_median [same]",
        "posterior_q95 [same]",
    ];
    let line = |(name, one): (&String, &Option<RowLine>)| {
        let one = one.as_ref()?;
        let band = one.posterior.map_or([f64::NAN; 3], |b| [b.q05, b.median, b.q95]);
        let numbers = [vec![one.month, one.observed, one.se], band.into()].concat();
        let words = vec![name.clone(), one.id.clone(), one.role.name().to_string()];
        Some([words, numbers.into_iter().map(plain).collect()].concat())
    };
    csv(&HEAD, rows.iter().flat_map(|row| c.names.iter().zip(&row.runs).filter_map(line)))
}
