//! Predictions of several runs in one drawing: curves over months, or bars below each other.

use super::{ArmOfAll, Comparison, RowOfAll};
use crate::report::chart::{Axis, Chart, Ink, Mark, Ticks};
use crate::report::curves::{round_range, words};
use crate::report::figure::{Figure, Glyph};
use crate::report::format::{escape, with_unit};
use crate::report::rows::{Band, Use};

/// Size of a panel; width of a forest.
const PANEL: (f64, f64) = (400.0, 270.0);
/// Most runs whose bands can be told apart.
pub(super) const MOST_BANDS: usize = 3;

/// Colour of a run.
pub(super) fn ink(k: usize) -> Ink {
    Ink::Arm((k % Ink::ARMS) as u8)
}

/// The names of the runs in their colours.
pub(super) fn run_key(c: &Comparison) -> Vec<(Glyph, String)> {
    c.names.iter().enumerate().map(|(k, name)| (Glyph::Line(ink(k), false), name.clone())).collect()
}

/// What is drawn of one row.
pub(super) struct Drawn<'a> {
    label: String,
    month: f64,
    share: bool,
    unit: &'a str,
    /// Of each run.
    bands: Vec<Option<Band>>,
    /// The row of the data, if it is one.
    row: Option<&'a RowOfAll>,
}

impl<'a> Drawn<'a> {
    /// A row of the data, as the first run that has it calls it.
    pub(super) fn row(row: &'a RowOfAll) -> Drawn<'a> {
        let first = row.first();
        Drawn {
            label: first.map(words).unwrap_or_default(),
            month: first.map_or(f64::NAN, |one| one.month),
            share: first.is_some_and(|one| one.share),
            unit: first.map_or("", |one| &one.unit),
            bands: row.runs.iter().map(|one| one.as_ref()?.posterior).collect(),
            row: Some(row),
        }
    }

    /// A row of an arm.
    pub(super) fn arm(row: &'a ArmOfAll) -> Drawn<'a> {
        let bands = row.runs.iter().map(|one| one.as_ref()?.band).collect();
        Drawn { label: row.arm.clone(), month: row.month, share: true, unit: "", bands, row: None }
    }
}

/// What is on display: bands and intervals.
fn extent(rows: &[Drawn<'_>]) -> (f64, f64) {
    let observed = |row: &RowOfAll| -> Vec<f64> {
        let all = row.runs.iter().flatten();
        all.flat_map(|one| one.interval().into_iter().flat_map(|i| [i.0, i.1]).chain([one.observed])).collect()
    };
    let shown = rows.iter().flat_map(|row| {
        let bands = row.bands.iter().flatten().flat_map(|b| [b.q05, b.q95]);
        bands.chain(row.row.map(observed).unwrap_or_default())
    });
    let range = shown.filter(|x| x.is_finite()).fold((f64::INFINITY, f64::NEG_INFINITY), |r, x| (r.0.min(x), r.1.max(x)));
    if range.0 <= range.1 { range } else { (0.0, 1.0) }
}

fn axis(rows: &[Drawn<'_>], label: &str) -> Axis {
    let share = rows.iter().all(|row| row.share);
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

/// A chart, its size, and texts that stand in it.
pub(super) struct Drawing {
    chart: Chart,
    size: (f64, f64),
    labels: String,
}

impl Drawing {
    /// The figure that it is, with the numbers behind it.
    pub(super) fn figure(self, c: &Comparison, id: String, title: &str, caption: &str, data: String) -> Figure {
        let svg = self.chart.draw(&id, title, caption).replacen("</svg>", &format!("{}</svg>", self.labels), 1);
        Figure { id, title: title.into(), caption: caption.into(), svg, size: self.size, key: run_key(c), data }
    }
}

/// Curves over months.
pub(super) fn panel(runs: usize, rows: &[Drawn<'_>]) -> Drawing {
    let last = rows.iter().map(|row| row.month).fold(0.0, f64::max);
    let step = [1.0, 3.0, 6.0, 12.0, 24.0, 48.0].into_iter().find(|step| last / step <= 6.0).unwrap_or(60.0);
    let x = Axis { step: Some(step), ..Axis::linear("Months", (0.0, 1.06 * last)) };
    let y = axis(rows, if rows.iter().all(|row| row.share) { "Patients, %" } else { "Value" });
    let mut chart = Chart::new(x, y, PANEL).margins([58.0, 12.0, 10.0, 50.0]);
    let points = |k: usize| -> Vec<(f64, Band)> {
        let mut points: Vec<(f64, Band)> = rows.iter().filter_map(|row| Some((row.month, row.bands[k]?))).collect();
        points.dedup_by_key(|(month, _)| *month);
        points
    };
    for k in 0..if runs > MOST_BANDS { 1 } else { runs } {
        chart.band(&points(k).iter().map(|(m, b)| (*m, b.q05, b.q95)).collect::<Vec<_>>(), ink(k), 0.2);
    }
    for k in 0..runs {
        let medians: Vec<(f64, f64)> = points(k).iter().map(|(m, b)| (*m, b.median)).collect();
        chart.line(&medians, ink(k), 2.0, false);
        chart.points(&medians, Mark::Dot, 2.0, ink(k));
    }
    for (of, month) in rows.iter().filter_map(|row| Some((row.row?, row.month))) {
        observed(&mut chart, of, |v| (month, v));
    }
    Drawing { chart, size: PANEL, labels: String::new() }
}

/// Rows below each other, a bar for each run.
pub(super) fn forest(runs: usize, rows: &[Drawn<'_>]) -> Drawing {
    const TOP: f64 = 4.0;
    const BOTTOM: f64 = 48.0;
    const NAME: f64 = 22.0;
    const BAR: f64 = 11.0;
    let strip = NAME + BAR * (runs as f64 + 1.5);
    let n = rows.len() as f64;
    let size = (PANEL.0, strip * n + TOP + BOTTOM);
    let label = match rows.first() {
        Some(first) if !first.share => with_unit("Value", first.unit),
        _ => "Patients, %".into(),
    };
    let y = Axis { ticks: Ticks::Hidden, ..Axis::linear("", (0.0, strip * n)) };
    let mut chart = Chart::new(axis(rows, &label), y, size).bare().margins([16.0, 16.0, TOP, BOTTOM]);
    let mut labels = String::new();
    for (i, row) in rows.iter().enumerate() {
        let top = strip * (n - i as f64) - NAME;
        for (k, band) in row.bands.iter().enumerate() {
            if let Some(b) = band {
                let at = top - BAR * k as f64;
                chart.bar((b.q05, at), (b.q95, at), ink(k), 2.4);
                chart.points(&[(b.median, at)], Mark::Dot, 3.2, ink(k));
            }
        }
        if let Some(of) = row.row {
            observed(&mut chart, of, |v| (v, top - BAR * runs as f64));
        }
        let at = TOP + strip * i as f64 + 13.0;
        labels += &format!("<text x=\"18\" y=\"{at}\" font-size=\"12\">{}</text>", escape(&row.label));
    }
    Drawing { chart, size, labels }
}
