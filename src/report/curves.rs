//! Endpoints over months, and the rows that are no curve: landmarks, reasons for leaving, single figures.
//!
//! Rows make a curve if they are of one endpoint, estimated in one way among the same patients, in two months or more:
//! a Kaplan-Meier incidence and a share that is "current" have different denominators and are never joined by a line.

use crate::report::chart::{Axis, Chart, Ink, Mark, Ticks};
use crate::report::figure::{Figure, Glyph, KeyItem, broken, own};
use crate::report::format::{escape, number, percent, plural, with_unit};
use crate::report::rows::{Band, RowLine, Use};
use crate::report::summary::Summary;
use crate::report::tables;
use crate::store::slug;
use crate::trial::table::Row;
use crate::trial::vocabulary::{Endpoint, Kind, Term};

/// Signs of the panels and forests.
pub(super) const BAND_KEY: &[KeyItem] = &[
    (Glyph::Patch(Ink::Prior, 22), "prior, 90 %"),
    (Glyph::Patch(Ink::Posterior, 25), "posterior predictive, 90 %"),
    (Glyph::Patch(Ink::Posterior, 55), "50 %"),
    (Glyph::Line(Ink::Posterior, false), "median"),
    (Glyph::Point(Ink::Data, Mark::Dot), "observed, fitted"),
    (Glyph::Point(Ink::Data, Mark::Ring), "observed, held out"),
    (Glyph::Point(Ink::Text, Mark::Cross), "observed, shown only"),
];

/// Size of a panel.
const PANEL: (f64, f64) = (400.0, 270.0);
/// Width of a forest plot, and height of one of its rows.
const FOREST: (f64, f64) = (400.0, 42.0);
/// Rows of one forest plot; a longer list is cut into several.
const FOREST_ROWS: usize = 12;

/// Panels of the curves, and forest plots of the rest.
pub(super) fn figures(s: &Summary) -> (Vec<Figure>, Vec<Figure>) {
    if !s.predictive {
        return (Vec::new(), Vec::new());
    }
    let mut groups: Vec<(String, Vec<&RowLine>)> = Vec::new();
    let mut rest: Vec<&RowLine> = Vec::new();
    for row in &s.rows {
        let Some(name) = row.source.as_ref().filter(|r| r.endpoint.reason().is_none()).map(curve_name) else {
            rest.push(row);
            continue;
        };
        match groups.iter_mut().find(|g| g.0 == name) {
            Some(group) => group.1.push(row),
            None => groups.push((name, vec![row])),
        }
    }
    let (mut curves, mut single): (Vec<_>, Vec<_>) = groups.into_iter().partition(|g| is_curve(&g.1));
    curves.sort_by_key(|g| g.1[0].source.as_ref().map(|r| r.endpoint));
    rest.extend(single.drain(..).flat_map(|g| g.1));
    let panels = curves.iter().map(|(name, rows)| panel(name, rows)).collect();
    let mut forests = Vec::new();
    // Figures of different units do not share an axis.
    let (shares, others): (Vec<&RowLine>, Vec<&RowLine>) = rest.into_iter().partition(|r| r.share);
    rest = shares;
    let mut units: Vec<&str> = others.iter().map(|r| r.unit.as_str()).collect();
    units.sort_unstable();
    units.dedup();
    for unit in units {
        let mine: Vec<&RowLine> = others.iter().filter(|r| r.unit == unit).copied().collect();
        forests.push(forest(&with_unit("Summaries", unit), &mine));
    }
    type Group = (&'static str, fn(&RowLine) -> bool);
    let kinds: [Group; 3] = [
        ("Landmarks", |r| r.source.as_ref().is_some_and(is_landmark)),
        ("Reasons for leaving study treatment", |r| r.source.as_ref().is_some_and(|r| r.endpoint.reason().is_some())),
        ("Single figures", |_| true),
    ];
    for (title, belongs) in kinds {
        let (mine, others): (Vec<&RowLine>, Vec<&RowLine>) = rest.into_iter().partition(|r| belongs(r));
        rest = others;
        let parts = mine.len().div_ceil(FOREST_ROWS).max(1);
        for (k, rows) in mine.chunks(mine.len().div_ceil(parts).max(1)).enumerate() {
            let title = if parts > 1 { format!("{title} ({} of {parts})", k + 1) } else { title.to_string() };
            forests.push(forest(&title, rows));
        }
    }
    (panels, forests)
}

fn is_curve(rows: &[&RowLine]) -> bool {
    rows.iter().any(|r| r.month != rows[0].month) && rows.iter().filter(|r| r.posterior.is_some()).count() > 1
}

fn is_landmark(row: &Row) -> bool {
    row.given.iter().any(|t| t.month.is_some_and(|m| m != row.month))
}

/// Name of the curve that a row belongs to.
pub(super) fn curve_name(row: &Row) -> String {
    let endpoint = match (row.endpoint, row.kind) {
        (Endpoint::Efs, Kind::KmSurvival) => "Event-free survival (EFS)",
        (Endpoint::Efs, _) => "EFS events",
        (Endpoint::Ffp, Kind::KmSurvival) => "Freedom from AP/BC",
        (Endpoint::Ffp, _) => "Progression to AP/BC",
        (Endpoint::Os, Kind::KmSurvival) => "Overall survival",
        (Endpoint::Os, _) => "Deaths",
        (Endpoint::OsCml, Kind::KmSurvival) => "Survival, CML-related deaths only",
        (Endpoint::OsCml, _) => "CML-related deaths",
        (Endpoint::Relapse, Kind::KmSurvival) => "Treatment-free remission",
        (other, _) => short(other),
    };
    let kind = match row.kind {
        Kind::KmIncidence => "cumulative incidence",
        Kind::KmSurvival => "Kaplan-Meier",
        Kind::Ever => "ever reached",
        Kind::Confirmed => "confirmed",
        Kind::At if matches!(row.endpoint, Endpoint::OnTreatment | Endpoint::Stopped) => "all patients",
        Kind::At if row.given.is_empty() => "current",
        Kind::At => "at that month",
        Kind::Product => "all patients",
        Kind::Annual => "rate of each year",
    };
    let kind = if row.kind == Kind::Ever && !row.endpoint.is_response() { "ever" } else { kind };
    let given: Vec<String> = row.given.iter().map(|t| condition(t, row.month)).collect();
    let given = if given.is_empty() { String::new() } else { format!(", {}", given.join(" and ")) };
    row.of_trial(&format!("{endpoint}: {kind}{given}"))
}

fn short(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Chr => "Complete haematological response (CHR)",
        Endpoint::Mcyr => "Major cytogenetic response (MCyR)",
        Endpoint::Ccyr => "Complete cytogenetic response (CCyR)",
        Endpoint::Is10 => "BCR-ABL at most 10 % IS",
        Endpoint::Is1 => "BCR-ABL at most 1 % IS",
        Endpoint::Mmr => "Major molecular response (MMR)",
        Endpoint::Mr4 => "Deep molecular response (MR4)",
        Endpoint::Mr45 => "Deep molecular response (MR4.5)",
        Endpoint::Umrd => "BCR-ABL undetectable",
        Endpoint::CcyrLoss => "Loss of CCyR",
        Endpoint::Efs => "EFS",
        Endpoint::Ffp => "Freedom from AP/BC",
        Endpoint::Os => "Overall survival",
        Endpoint::OsCml => "Survival, CML deaths",
        Endpoint::Relapse => "Relapse after stopping",
        Endpoint::OnTreatment => "Still on study drug",
        Endpoint::Stopped => "Stopped treatment",
        Endpoint::LeftAdverse => "Left for an adverse event",
        Endpoint::LeftUnsatisfactory => "Left for unsatisfactory effect",
        Endpoint::LeftTransplant => "Left for a transplant",
        Endpoint::LeftDeath => "Left by death",
        Endpoint::LeftOther => "Left for other reasons",
    }
}

fn condition(term: &Term, month: f64) -> String {
    let not = if term.not { "not " } else { "" };
    let name = match term.response {
        Endpoint::Chr => "CHR",
        Endpoint::Mcyr => "MCyR",
        Endpoint::Ccyr => "CCyR",
        Endpoint::Mmr => "MMR",
        Endpoint::Mr4 => "MR4",
        Endpoint::Mr45 => "MR4.5",
        Endpoint::Umrd => "undetectable BCR-ABL",
        Endpoint::Is10 => "IS 10 %",
        _ => "IS 1 %",
    };
    match term.month {
        None => format!("of those who {}reached {name}", if term.not { "never " } else { "" }),
        Some(m) if m == month => format!("of those {not}in {name} then"),
        Some(m) => format!("{not}in {name} at month {m}"),
    }
}

/// A row in words, with its month: short enough for a forest plot.
pub(super) fn words(row: &RowLine) -> String {
    match &row.source {
        Some(source) => row_words(source),
        None => {
            if row.label.is_empty() {
                row.id.clone()
            } else {
                row.label.clone()
            }
        }
    }
}

/// A row of a table in words, with its month.
pub(super) fn row_words(source: &Row) -> String {
    let survival = source.kind == Kind::KmSurvival;
    let name = match source.endpoint {
        Endpoint::Chr => "CHR",
        Endpoint::Mcyr => "MCyR",
        Endpoint::Ccyr => "CCyR",
        Endpoint::Is10 => "BCR-ABL at most 10 %",
        Endpoint::Is1 => "BCR-ABL at most 1 %",
        Endpoint::Mmr => "MMR",
        Endpoint::Mr4 => "MR4",
        Endpoint::Mr45 => "MR4.5",
        Endpoint::Efs if !survival => "EFS event",
        Endpoint::Ffp if survival => "Free of AP/BC",
        Endpoint::Ffp => "AP/BC",
        Endpoint::Os if !survival => "Death",
        Endpoint::OsCml if survival => "Free of CML-related death",
        Endpoint::OsCml => "CML-related death",
        Endpoint::Relapse if survival => "Treatment-free remission",
        Endpoint::Relapse => "Relapse",
        other => short(other),
    };
    let when = match source.kind {
        Kind::KmIncidence => format!("by month {:.0}", source.month),
        Kind::Ever => format!("ever, by month {:.0}", source.month),
        Kind::Confirmed => format!("confirmed, by month {:.0}", source.month),
        Kind::Annual => format!("in the year to month {:.0}", source.month),
        _ => format!("at month {:.0}", source.month),
    };
    let given: Vec<String> = source.given.iter().map(|t| condition(t, source.month).replace("month ", "")).collect();
    let given = if given.is_empty() { String::new() } else { format!(", {}", given.join(" and ")) };
    let since = if source.endpoint == Endpoint::Relapse { " after stopping" } else { "" };
    source.of_trial(&format!("{name} {when}{since}{given}"))
}

fn extent(rows: &[&RowLine]) -> (f64, f64) {
    let mut range = (f64::INFINITY, f64::NEG_INFINITY);
    let mut take = |x: f64| {
        if x.is_finite() {
            range = (range.0.min(x), range.1.max(x));
        }
    };
    for row in rows {
        take(row.observed);
        row.posterior.iter().for_each(|b| [b.q05, b.q95].into_iter().for_each(&mut take));
        row.interval().iter().for_each(|i| [i.0, i.1].into_iter().for_each(&mut take));
    }
    if range.0 <= range.1 { range } else { (0.0, 1.0) }
}

/// A range of round numbers about that of what is shown, and the distance of its ticks.
pub(super) fn round_range((least, most): (f64, f64), share: bool) -> ((f64, f64), f64) {
    let (low, high) = (least, most);
    let span = (high - low).max(1e-9) * 1.15;
    let base = libm::pow(10.0, libm::floor(libm::log10(span / 4.0)));
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|m| m * base).find(|s| span / s <= 5.0).unwrap_or(10.0 * base);
    let pad = 0.05 * (high - low);
    let (mut low, mut high) = (libm::floor((low - pad) / step) * step, libm::ceil((high + pad) / step) * step);
    if share {
        (low, high) = (low.max(0.0), high.min(1.0));
        // Points at 0 or 100 % are not cut by the frame.
        let room = 0.03 * (high - low);
        low -= if low == 0.0 && least < room { room } else { 0.0 };
        high += if high == 1.0 && most > 1.0 - room { room } else { 0.0 };
    }
    ((low, high), step)
}

fn axis(rows: &[&RowLine], label: &str) -> Axis {
    let share = rows.iter().all(|r| r.share);
    let (range, step) = round_range(extent(rows), share);
    let ticks = if share { Ticks::Percent } else { Ticks::Number };
    Axis { step: Some(step), ticks, ..Axis::linear(label, range) }
}

fn panel(name: &str, rows: &[&RowLine]) -> Figure {
    let last = rows.iter().map(|r| r.month).fold(0.0, f64::max);
    let first = rows.iter().map(|r| r.month).fold(last, f64::min);
    let step = if last > 72.0 {
        24.0
    } else if last > 24.0 {
        12.0
    } else {
        6.0
    };
    // A curve that starts late is not squeezed into the right half.
    let from = if first > 0.55 * last { libm::floor((first - 1.0) / 12.0) * 12.0 } else { 0.0 };
    let step = if last - from <= 24.0 { 6.0 } else { step };
    let stopped = rows.iter().all(|r| r.source.as_ref().is_some_and(|row| row.endpoint == Endpoint::Relapse));
    let since = if stopped { "Months since the stop of treatment" } else { "Months since start of treatment" };
    let x = Axis { step: Some(step), ..Axis::linear(since, (from, last + 0.06 * (last - from).max(12.0))) };
    let y = axis(rows, if rows.iter().all(|r| r.share) { "Patients, %" } else { "Value" });
    let starts = y.range.0;
    let mut chart = Chart::new(x, y, PANEL).margins([58.0, 12.0, 10.0, 50.0]);
    let ribbon = |pick: &dyn Fn(&RowLine) -> Option<Band>, low: fn(&Band) -> f64, high: fn(&Band) -> f64| {
        let mut points: Vec<(f64, f64, f64)> = Vec::new();
        for row in rows {
            if let Some(band) = pick(row).filter(|_| points.iter().all(|p| p.0 != row.month)) {
                points.push((row.month, low(&band), high(&band)));
            }
        }
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    };
    let posterior = |r: &RowLine| r.posterior;
    chart.band(&ribbon(&|r| r.prior, |b| b.q05, |b| b.q95), Ink::Prior, 0.22);
    chart.band(&ribbon(&posterior, |b| b.q05, |b| b.q95), Ink::Posterior, 0.25);
    chart.band(&ribbon(&posterior, |b| b.q25, |b| b.q75), Ink::Posterior, 0.35);
    let median: Vec<(f64, f64)> = ribbon(&posterior, |b| b.median, |b| b.median).iter().map(|p| (p.0, p.1)).collect();
    chart.line(&median, Ink::Posterior, 2.0, false);
    let mut seen: Vec<f64> = Vec::new();
    for row in rows {
        // Figures of one month stand side by side.
        let twins = seen.iter().filter(|m| **m == row.month).count() as f64;
        seen.push(row.month);
        observed(&mut chart, row, |v| (row.month + 0.022 * (last - from) * twins, v));
    }
    let id = format!("curve-{}", slug(name));
    let caption = panel_caption(rows, Some(starts));
    let svg = chart.draw(&id, name, &caption);
    Figure { id, title: name.into(), caption, svg, size: PANEL, key: own(BAND_KEY), data: tables::rows(rows.iter().copied()) }
}

/// The observed point with its interval; `place` puts a value into the chart.
fn observed(chart: &mut Chart, row: &RowLine, place: impl Fn(f64) -> (f64, f64)) {
    if !row.observed.is_finite() {
        return;
    }
    let (mark, ink, size) = match row.role {
        Use::Fitted => (Mark::Dot, Ink::Data, 4.5),
        Use::HeldOut => (Mark::Ring, Ink::Data, 4.5),
        Use::Context => (Mark::Cross, Ink::Text, 4.0),
    };
    if let Some((low, high)) = row.interval().filter(|_| row.role != Use::Context) {
        chart.bar(place(low), place(high), ink, 1.6);
    }
    chart.points(&[place(row.observed)], mark, size, ink);
}

/// How many points are covered; of a panel, where its axis starts, also which are not.
fn panel_caption(rows: &[&RowLine], starts: Option<f64>) -> String {
    let mut text = String::new();
    for role in [Use::Fitted, Use::HeldOut] {
        let scored: Vec<&&RowLine> = rows.iter().filter(|r| r.role == role && r.inside.is_some()).collect();
        if !scored.is_empty() {
            let inside = scored.iter().filter(|r| r.inside == Some(true)).count();
            let noun = if role == Use::Fitted { "fitted point" } else { "held-out point" };
            text.push_str(&format!("{inside} of {} in the 90 % band. ", plural(scored.len(), noun)));
        }
    }
    if text.is_empty() {
        text.push_str("Shown only: neither fitted nor scored. ");
    }
    let outside: Vec<String> = rows.iter().filter(|r| r.inside == Some(false)).map(|r| format!("{:.0}", r.month)).collect();
    if !outside.is_empty() && starts.is_some() {
        text.push_str(&format!("Outside: month {}. ", outside.join(", ")));
    }
    if let Some(starts) = starts.filter(|s| *s > 0.0) {
        let share = rows.iter().all(|r| r.share);
        let from = if share { format!("{} %", percent(starts).trim_end_matches(".0")) } else { number(starts) };
        text.push_str(&format!("The axis starts at {from}."));
    }
    text.trim_end().to_string()
}

fn forest(title: &str, rows: &[&RowLine]) -> Figure {
    const TOP: f64 = 4.0;
    const BOTTOM: f64 = 48.0;
    // The widest letters that a browser may put in give a line so many characters.
    const CHARACTERS: usize = 52;
    const LINE: f64 = 14.0;
    let n = rows.len() as f64;
    let label_of = |row: &RowLine| {
        let flag = if row.inside == Some(false) { " (outside)" } else { "" };
        broken(&format!("{}{flag}", words(row)), CHARACTERS)
    };
    let most = rows.iter().map(|row| label_of(row).len()).max().unwrap_or(1);
    let strip = FOREST.1 + LINE * (most - 1) as f64;
    let size = (FOREST.0, strip * n + TOP + BOTTOM);
    let label = if rows.iter().all(|r| r.share) { "Patients, %".into() } else { with_unit("Value", &rows[0].unit) };
    let x = axis(rows, &label);
    let y = Axis { ticks: Ticks::Hidden, ..Axis::linear("", (0.0, n)) };
    let mut chart = Chart::new(x, y, size).bare().margins([16.0, 16.0, TOP, BOTTOM]);
    let mut labels = String::new();
    for (k, row) in rows.iter().enumerate() {
        // From the top of its strip: the name, the predictions, the observation.
        let below = n - k as f64 - 1.0;
        let up = |share: f64| share * FOREST.1 / strip;
        let (prediction, observation) = (below + up(0.42), below + up(0.18));
        let mut slab = |from: f64, to: f64, half: f64, ink: Ink, opacity: f64| {
            chart.band(&[(from, prediction - half, prediction + half), (to, prediction - half, prediction + half)], ink, opacity);
        };
        if let Some(b) = row.prior {
            slab(b.q05, b.q95, up(0.13), Ink::Prior, 0.22);
        }
        if let Some(b) = row.posterior {
            slab(b.q05, b.q95, up(0.09), Ink::Posterior, 0.25);
            slab(b.q25, b.q75, up(0.09), Ink::Posterior, 0.55);
            chart.bar((b.median, prediction - up(0.13)), (b.median, prediction + up(0.13)), Ink::Posterior, 2.4);
        }
        observed(&mut chart, row, |v| (v, observation));
        let lines = label_of(row);
        for (i, line) in lines.iter().enumerate() {
            let y = TOP + strip * k as f64 + LINE * (1 + i + most - lines.len()) as f64;
            labels.push_str(&format!("<text x=\"18\" y=\"{y}\" font-size=\"12\">{}</text>", escape(line)));
        }
    }
    let id = format!("forest-{}", slug(title));
    let caption = panel_caption(rows, None);
    let svg = chart.draw(&id, title, &caption).replacen("</svg>", &format!("{labels}</svg>"), 1);
    Figure { id, title: title.into(), caption, svg, size, key: own(BAND_KEY), data: tables::rows(rows.iter().copied()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_stopping_is_named() {
        let name = |of, kind, given: &str| {
            let given = Term::parse_all(given).unwrap();
            curve_name(&Row::asked(of, kind, given, 24.0).unwrap())
        };
        assert_eq!(name(Endpoint::Relapse, Kind::KmSurvival, ""), "Treatment-free remission: Kaplan-Meier");
        assert_eq!(name(Endpoint::Relapse, Kind::KmIncidence, ""), "Relapse after stopping: cumulative incidence");
        assert_eq!(name(Endpoint::Stopped, Kind::At, ""), "Stopped treatment: all patients");
        assert_eq!(name(Endpoint::Stopped, Kind::Ever, ""), "Stopped treatment: ever");
        assert_eq!(name(Endpoint::Umrd, Kind::At, ""), "BCR-ABL undetectable: current");
        let given = "EFS events: ever, of those in undetectable BCR-ABL then";
        assert_eq!(name(Endpoint::Efs, Kind::Ever, "umrd@24"), given);
    }
}
