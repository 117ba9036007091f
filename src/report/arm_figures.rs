//! Figures of a scenario: each endpoint over months, a curve for each arm; or, of a single month, a dot for each arm.

use crate::report::arms::{Arm, Line, lines};
use crate::report::chart::{Axis, Chart, Ink, Mark, Ticks};
use crate::report::curves::round_range;
use crate::report::figure::{Figure, Glyph};
use crate::report::format::escape;
use crate::report::rows::Band;
use crate::report::tables::{csv, plain};
use crate::store::{Scenario, slug};
use crate::trial::vocabulary::Endpoint;

/// Size of a panel.
const PANEL: (f64, f64) = (400.0, 270.0);
/// Most arms whose bands can be told apart.
const MOST_BANDS: usize = 4;
/// Height of the strip of one arm where there is one month.
const STRIP: f64 = 36.0;

/// A figure for each endpoint.
pub(super) fn figures(scenario: &Scenario) -> Vec<Figure> {
    let all = lines(scenario);
    let mut families: Vec<(String, Vec<&Line<'_>>)> = Vec::new();
    for line in &all {
        let name = line.family();
        match families.iter_mut().find(|family| family.0 == name) {
            Some(family) => family.1.push(line),
            None => families.push((name, vec![line])),
        }
    }
    let draw = |(name, mut lines): (String, Vec<&Line<'_>>)| {
        lines.sort_by(|a, b| a.asked.month.total_cmp(&b.asked.month));
        if lines.len() > 1 { panel(scenario, &name, &lines) } else { strips(scenario, &name, lines[0]) }
    };
    families.into_iter().map(draw).collect()
}

fn ink(arm: usize) -> Ink {
    Ink::Arm((arm % Ink::ARMS) as u8)
}

/// What is on display of the arms: the posterior's bands and the prior's medians.
fn extent<'a>(arms: impl Iterator<Item = &'a Arm>) -> (f64, f64) {
    let shown = arms.flat_map(|arm| {
        let prior = arm.prior.map(|b| b.median);
        arm.posterior.into_iter().flat_map(|b| [b.q05, b.q95]).chain(prior)
    });
    let range = shown.fold((f64::INFINITY, f64::NEG_INFINITY), |r, x| (r.0.min(x), r.1.max(x)));
    if range.0 <= range.1 { range } else { (0.0, 1.0) }
}

fn y_axis(range: (f64, f64), label: &str) -> Axis {
    let (range, step) = round_range(range, true);
    Axis { step: Some(step), ticks: Ticks::Percent, ..Axis::linear(label, range) }
}

fn panel(scenario: &Scenario, name: &str, lines: &[&Line<'_>]) -> Figure {
    let last = lines.last().map_or(1.0, |line| line.asked.month);
    let step = [1.0, 3.0, 6.0, 12.0, 24.0, 48.0].into_iter().find(|step| last / step <= 6.0).unwrap_or(60.0);
    let relapse = lines.iter().all(|line| line.row.as_ref().is_some_and(|row| row.endpoint == Endpoint::Relapse));
    let since = if relapse { "Months since the stop of treatment" } else { "Months since start of treatment" };
    let x = Axis { step: Some(step), ..Axis::linear(since, (0.0, 1.06 * last)) };
    let y = y_axis(extent(lines.iter().flat_map(|line| &line.arms)), "Patients, %");
    let mut chart = Chart::new(x, y, PANEL).margins([58.0, 12.0, 10.0, 50.0]);
    type Pick = fn(&Arm) -> Option<Band>;
    let points = |arm: usize, pick: Pick| -> Vec<(f64, Band)> {
        lines.iter().filter_map(|line| Some((line.asked.month, pick(line.arms.get(arm)?)?))).collect()
    };
    // Bands first, so that none hides a median; of many arms only that of the reference.
    let banded = if scenario.arms.len() > MOST_BANDS { 1 } else { scenario.arms.len() };
    for arm in 0..banded {
        let band: Vec<(f64, f64, f64)> = points(arm, |arm| arm.posterior).iter().map(|(m, b)| (*m, b.q05, b.q95)).collect();
        chart.band(&band, ink(arm), 0.18);
    }
    let medians = |of: &[(f64, Band)]| of.iter().map(|(m, b)| (*m, b.median)).collect::<Vec<(f64, f64)>>();
    for arm in 0..scenario.arms.len() {
        chart.line(&medians(&points(arm, |arm| arm.prior)), ink(arm), 1.2, true);
        let after = medians(&points(arm, |arm| arm.posterior));
        chart.line(&after, ink(arm), 2.0, false);
        chart.points(&after, Mark::Dot, 3.0, ink(arm));
    }
    let glyph = |(k, arm): (usize, &String)| (Glyph::Line(ink(k), false), arm.clone());
    let mut key: Vec<(Glyph, String)> = scenario.arms.iter().enumerate().map(glyph).collect();
    key.push((Glyph::Line(Ink::Text, true), "median of the prior".into()));
    let of = if banded < scenario.arms.len() { "the reference alone" } else { "each arm" };
    let caption = format!(
        "Median of each arm, and 5 to 95 % of {of}, by the posterior. A dashed line near its full one: the prior said \
         so already. Bands overlap more than arms do, which share their patients: see the differences below."
    );
    Figure { data: data(scenario, lines), ..finish(scenario, name, chart, PANEL, key, &caption, "") }
}

fn strips(scenario: &Scenario, name: &str, line: &Line<'_>) -> Figure {
    const TOP: f64 = 4.0;
    const BOTTOM: f64 = 48.0;
    let n = scenario.arms.len() as f64;
    let size = (PANEL.0, STRIP * n + TOP + BOTTOM);
    let y = Axis { ticks: Ticks::Hidden, ..Axis::linear("", (0.0, n)) };
    let x = y_axis(extent(line.arms.iter()), "Patients, %");
    let (low, high) = x.range;
    let mut chart = Chart::new(x, y, size).bare().margins([16.0, 16.0, TOP, BOTTOM]);
    let mut labels = String::new();
    for (k, (name, arm)) in scenario.arms.iter().zip(&line.arms).enumerate() {
        let (after, before) = (n - k as f64 - 0.62, n - k as f64 - 0.82);
        let mut bar = |band: Option<Band>, at: f64, ink: Ink, width: f64| {
            if let Some(b) = band {
                chart.bar((b.q05.max(low), at), (b.q95.min(high), at), ink, width);
                chart.points(&[(b.median, at)], Mark::Dot, 1.5 + width, ink);
            }
        };
        bar(arm.prior, before, Ink::Prior, 1.2);
        bar(arm.posterior, after, ink(k), 2.4);
        let y = TOP + STRIP * k as f64 + 10.0;
        labels.push_str(&format!("<text x=\"18\" y=\"{y}\" font-size=\"11.5\">{}</text>", escape(name)));
    }
    let key = vec![
        (Glyph::Line(ink(0), false), "posterior, 5 to 95 %".into()),
        (Glyph::Line(Ink::Prior, false), "prior, 5 to 95 %".into()),
    ];
    let caption = format!(
        "{}: median and 5 to 95 % for each arm, with those of the prior (grey) below. Where the two are alike, the prior said so \
         already.",
        line.asked.label
    );
    Figure { data: data(scenario, &[line]), ..finish(scenario, name, chart, size, key, &caption, &labels) }
}

fn finish(
    scenario: &Scenario,
    name: &str,
    chart: Chart,
    size: (f64, f64),
    key: Vec<(Glyph, String)>,
    caption: &str,
    labels: &str,
) -> Figure {
    let id = format!("scenario-{}-{}", scenario.key(), slug(name));
    let svg = chart.draw(&id, name, caption).replacen("</svg>", &format!("{labels}</svg>"), 1);
    Figure { id, title: name.into(), caption: caption.into(), svg, size, key, data: String::new() }
}

/// A line for each month and arm.
fn data(scenario: &Scenario, lines: &[&Line<'_>]) -> String {
    const HEAD: [&str; 11] = [
        "arm",
        "month [months]",
        "posterior_q05 [share]",
        "posterior_median [share]",
        "posterior_q95 [share]",
        "prior_q05 [share]",
        "prior_median [share]",
        "prior_q95 [share]",
        "difference_q05 [share]",
        "difference_median [share]",
        "difference_q95 [share]",
    ];
    let three = |band: Option<Band>| band.map_or([f64::NAN; 3], |b| [b.q05, b.median, b.q95]).map(plain);
    let month = |line: &&Line<'_>| {
        let when = plain(line.asked.month);
        let of = |(name, arm): (&String, &Arm)| {
            let bands = [arm.posterior, arm.prior, arm.difference].map(three).concat();
            [vec![name.clone(), when.clone()], bands].concat()
        };
        scenario.arms.iter().zip(&line.arms).map(of).collect::<Vec<Vec<String>>>()
    };
    csv(&HEAD, lines.iter().flat_map(month))
}
