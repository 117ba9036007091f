//! One virtual patient as tables and figures.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::model::cml::signaling::Signals;
use crate::model::cml::state::{CH, CL, CR, E, M, QH, QL, QR, X};
use crate::model::cml::trajectory::{Happening, Trajectory};
use crate::report::chart::{Axis, Chart, Ink, Mark, Ticks};
use crate::report::curves::round_range;
use crate::report::figure::{Figure, Glyph};
use crate::report::format::escape;
use crate::report::tables::{column, csv, plain, quoted};
use crate::report::{put_all, text};
use crate::trial::history::Event;
use crate::trial::vocabulary::Word;

/// Width of a figure, and height of its plot.
const SIZE: (f64, f64) = (560.0, 300.0);
/// Margins of the plot: left, right, top, bottom.
const MARGINS: [f64; 4] = [72.0, 14.0, 22.0, 46.0];
/// Height of the bar of one drug.
const BAR: f64 = 16.0;
/// Longest text of an event in a key.
const MARK: usize = 70;

/// Writes the trajectory, events and traits of a patient, and its figures, into `folder`; what was written.
///
/// # Errors
/// `Io` if the folder cannot be written.
pub fn write_patient(of: &Trajectory, name: &str, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<(String, String)> =
        [("trajectory.csv", trajectory(of)), ("events.csv", events(of)), ("patient.csv", traits(of))]
            .map(|(file, text)| (file.into(), text))
            .into();
    files.extend(figures(of, name).iter().map(|figure| (format!("{}.svg", figure.id), figure.standalone())));
    put_all(folder, files)
}

/// What happened to a patient, as a table of the terminal.
pub fn patient_events(of: &Trajectory) -> String {
    let line = |h: &Happening| vec![tenths(h.month).to_string(), h.event.to_string(), text::ascii(&h.what)];
    let lines: Vec<Vec<String>> = of.happenings().iter().map(line).collect();
    text::table(&["month", "event", "what"], lines, 3)
}

/// Comma-separated values, each column with its unit.
fn trajectory(of: &Trajectory) -> String {
    let names: Vec<String> = of.columns().iter().map(|(name, unit)| quoted(&format!("{name} [{unit}]"))).collect();
    let mut text = names.join(",") + "\n";
    for i in 0..of.months.len() {
        let row: Vec<String> = of.row(i).iter().map(|x| plain(*x)).collect();
        text += &(row.join(",") + "\n");
    }
    text
}

fn events(of: &Trajectory) -> String {
    let line = |h: &Happening| format!("{},{},{}\n", plain(h.month), h.event, quoted(&h.what));
    let lines: String = of.happenings().iter().map(line).collect();
    format!("month [month],event,what\n{lines}")
}

fn traits(of: &Trajectory) -> String {
    let traits = of.traits();
    let lines: String = traits.iter().map(|t| format!("{},{},{},{}\n", t.name, t.value, t.unit, quoted(t.meaning))).collect();
    format!("trait,value,unit,meaning\n{lines}")
}

/// How a curve goes from visit to visit.
#[derive(Clone, Copy, PartialEq)]
enum Course {
    /// Straight.
    Line,
    /// As it has been since the visit before.
    Steps,
}

struct Curve<'a> {
    what: &'a str,
    course: Course,
    value: Box<dyn Fn(usize) -> f64 + 'a>,
}

fn line<'a>(what: &'a str, value: impl Fn(usize) -> f64 + 'a) -> Curve<'a> {
    Curve { what, course: Course::Line, value: Box::new(value) }
}

fn figures(of: &Trajectory, name: &str) -> Vec<Figure> {
    let y = &of.states;
    let sum = |a: usize, b: usize| move |i: usize| y[i][a] + y[i][b];
    let node = |what, node: fn(&Signals) -> f64| Curve {
        what,
        course: Course::Steps,
        value: Box::new(move |i: usize| node(&of.signals[i][0])),
    };
    let figure = |id: &str, title: &str, label: &str, log, curves| figure(of, [id, title, label, name], log, curves);
    vec![
        figure(
            "bcr-abl",
            "BCR-ABL",
            "% IS",
            Some((1e-4, 200.0)),
            vec![line("underlying level, without the noise of the assay", |i| of.is[i])],
        ),
        figure(
            "stem-cells",
            "Stem cells",
            "Cells",
            Some((1.0, 2e5)),
            vec![
                line("leukaemic, unmutated", sum(QL, CL)),
                line("mutant", sum(QR, CR)),
                line("leukaemic, quiescent", sum(QL, QR)),
                line("normal", sum(QH, CH)),
            ],
        ),
        figure(
            "niche",
            "Niche and exhaustion of T cells",
            "0 none, 1 full or normal",
            None,
            vec![
                line("stromal remodelling", |i| y[i][M]),
                line("immune exhaustion", |i| y[i][X]),
                node("adhesion of leukaemic stem cells", |s| s.adhesion),
            ],
        ),
        figure("effectors", "Immune effectors", "Activity, 1 = at rest", None, vec![line("effectors", |i| y[i][E])]),
        figure(
            "signaling",
            "Signaling of the unmutated clone",
            "Activity, 1 = untreated",
            None,
            vec![
                node("kinase, progenitors", |s| s.kinase_mature),
                node("kinase, stem cells", |s| s.kinase_stem),
                node("MEK", |s| s.mek),
                node("AKT", |s| s.akt),
                node("beta-catenin", |s| s.wnt),
                node("STAT5, progenitors", |s| s.stat5),
            ],
        ),
    ]
}

/// Curves over months, what happened as upright marks, doses as bars below; a logarithmic axis has its range given.
fn figure(of: &Trajectory, [id, title, label, name]: [&str; 4], log: Option<(f64, f64)>, curves: Vec<Curve<'_>>) -> Figure {
    let end = of.months.last().copied().unwrap_or(1.0);
    let step = [3.0, 6.0, 12.0, 24.0].into_iter().find(|step| end / step <= 8.0).unwrap_or(48.0);
    let x = Axis { step: Some(step), ..Axis::linear("Months since start of treatment", (0.0, end)) };
    let most = curves.iter().flat_map(|curve| (0..of.months.len()).map(&curve.value)).fold(1.0, f64::max);
    let y = match log {
        Some(range) => Axis { log: true, ticks: Ticks::Few, ..Axis::linear(label, range) },
        None => {
            let ((_, high), step) = round_range((0.0, most), false);
            Axis { step: Some(step), ..Axis::linear(label, (0.0, high)) }
        }
    };
    let (low, high) = y.range;
    let [left, right, top, _] = MARGINS;
    let size = (SIZE.0, SIZE.1 + 6.0 + BAR * of.doses.len() as f64);
    let mut chart = Chart::new(x, y, SIZE).margins(MARGINS);
    let mut key = Vec::new();
    let mut extra = String::new();
    for (number, (month, what)) in marks(of).into_iter().enumerate() {
        chart.line(&[(month, low), (month, high)], Ink::Prior, 1.0, true);
        let at = left + (SIZE.0 - left - right) * month / end;
        let number = number + 1;
        extra.push_str(&format!(
            "<text x=\"{at:.1}\" y=\"{}\" font-size=\"11\" text-anchor=\"middle\">{number}</text>",
            top - 6.0
        ));
        key.push((Glyph::Line(Ink::Prior, true), format!("{number}: {what}")));
    }
    let mut curves_key = Vec::new();
    for (k, curve) in curves.iter().enumerate() {
        let ink = Ink::Arm((k % Ink::ARMS) as u8);
        // The model goes on after death; its figure does not.
        let alive = of.months.iter().enumerate().filter(|(_, month)| **month <= of.history.died);
        let values: Vec<(f64, f64)> = alive.map(|(i, month)| (*month, (curve.value)(i))).collect();
        let Some(first) = values.first().filter(|_| values.iter().any(|(_, value)| *value > low)) else { continue };
        let values = if curve.course == Course::Steps { steps(*first, &values) } else { values };
        // What is too low for a logarithm has no line; where it is still there, a cross at the edge says so.
        let drawn = |value: f64| log.is_none() || value >= low;
        for piece in values.split(|(_, value)| !drawn(*value)) {
            match piece {
                [] => {}
                [alone] => chart.points(&[*alone], Mark::Dot, 2.5, ink),
                more => chart.line(more, ink, 2.0, false),
            }
        }
        let below: Vec<(f64, f64)> =
            values.iter().filter(|(_, value)| !drawn(*value) && *value > 0.0).map(|(month, _)| (*month, 1.4 * low)).collect();
        curves_key.push((Glyph::Line(ink, false), curve.what.to_string()));
        if !below.is_empty() {
            chart.points(&below, Mark::Cross, 4.0, ink);
            curves_key.push((Glyph::Point(ink, Mark::Cross), format!("{}: below {low}", curve.what)));
        }
    }
    for (row, (drug, doses)) in of.doses.iter().enumerate() {
        let y = SIZE.1 + 4.0 + BAR * row as f64;
        extra.push_str(&bars(of, end, y, drug.name(), drug.profile().unit, doses));
    }
    key.splice(0..0, curves_key);
    let head: Vec<String> =
        std::iter::once("month [months]".into()).chain(curves.iter().map(|curve| column(curve.what, label))).collect();
    let visit =
        |i: usize| std::iter::once(plain(of.months[i])).chain(curves.iter().map(|curve| plain((curve.value)(i)))).collect();
    let data = csv(&head, (0..of.months.len()).map(visit));
    let title = format!("{title}: {name}");
    let svg = chart.draw(id, &title, "One virtual patient at its visits.");
    let svg = svg
        .replacen(&format!("viewBox=\"0 0 {} {}\"", SIZE.0, SIZE.1), &format!("viewBox=\"0 0 {} {}\"", size.0, size.1), 1)
        .replacen(&format!("height=\"{}\"", SIZE.1), &format!("height=\"{}\"", size.1), 1)
        .replacen("</svg>", &format!("{extra}</svg>"), 1);
    Figure { id: id.into(), title, caption: String::new(), svg, size, key, data }
}

/// Values as steps: each holds from the visit before on; the first, at diagnosis, is that without treatment.
fn steps(first: (f64, f64), values: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let held = values.windows(2).flat_map(|pair| [(pair[0].0, pair[1].1), pair[1]]);
    std::iter::once(first).chain(held).collect()
}

/// Months at which something happened after the start, each with all that did.
fn marks(of: &Trajectory) -> Vec<(f64, String)> {
    let mut marks: Vec<(f64, String)> = Vec::new();
    for Happening { month, event, what } in of.happenings().into_iter().filter(|h| h.month > 0.0) {
        let what = match event {
            "rule" => format!("'{what}'"),
            "stop" => what,
            "relapse" | "progression" => event.to_string(),
            // Said by what it is.
            "event" if what == Event::Death.name() || what == Event::Progression.name() => continue,
            "event" => what,
            _ => format!("{event}: {what}"),
        };
        match marks.last_mut().filter(|(last, _)| *last == month) {
            Some((_, all)) => *all += &format!(", {what}"),
            None => marks.push((month, format!("month {}, {what}", tenths(month)))),
        }
    }
    marks.into_iter().map(|(month, what)| (month, text::cut(&what, MARK))).collect()
}

fn tenths(month: f64) -> f64 {
    (10.0 * month).round() / 10.0
}

/// The doses of a drug as bars over the months, as high as they are to the highest.
fn bars(of: &Trajectory, end: f64, y: f64, drug: &str, unit: &str, doses: &[f64]) -> String {
    let [left, right, ..] = MARGINS;
    let x = |month: f64| left + (SIZE.0 - left - right) * month / end;
    let most = doses.iter().copied().fold(0.0, f64::max);
    let mut svg =
        format!("<text x=\"{}\" y=\"{}\" font-size=\"11\" text-anchor=\"end\">{}</text>", left - 6.0, y + 11.0, escape(drug));
    let mut from = 0;
    for until in 1..=doses.len() {
        if until < doses.len() && doses[until] == doses[from] {
            continue;
        }
        let last = end.min(of.history.died);
        let (begin, finish) = (x(of.months[from]), x(of.months.get(until).map_or(last, |month| month.min(last))));
        let height = (BAR - 3.0) * doses[from] / most;
        if height > 0.0 && finish > begin {
            svg.push_str(&format!(
                "<rect x=\"{begin:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"{}\" fill-opacity=\"0.3\"/>",
                y + BAR - 3.0 - height,
                finish - begin,
                Ink::Text.css()
            ));
            let words = format!("{} {unit}", doses[from]);
            if 6.2 * words.len() as f64 <= finish - begin {
                svg.push_str(&format!("<text x=\"{:.1}\" y=\"{}\" font-size=\"10.5\">{words}</text>", begin + 4.0, y + 10.0));
            }
        }
        from = until;
    }
    svg
}
