//! Profiles of the refined objective, and the intervals that they give beside those of the curvature.
//!
//! The 95 % interval of a profile holds the values at which the objective is less than 1.92 above its least, half the 95 %
//! quantile of χ² with one degree of freedom (Venzon and Moolgavkar 1988, J R Stat Soc C 37:87). Between points the root of the
//! rise is interpolated on the coordinate of the prior, which is exact where the objective is a parabola.

use ndarray::ArrayView1;
use serde::Serialize;

use crate::density::Marginal;
use crate::report::Input;
use crate::report::chart::{Axis, Chart, Ink, Mark};
use crate::report::figure::{Figure, Glyph, KeyItem, own};
use crate::report::format::{NONE, escape, number, with_unit};
use crate::report::page;
use crate::report::rows::Z95;
use crate::report::summary::{ParameterLine, Summary};
use crate::report::tables::{self, plain};
use crate::report::text;
use crate::store::slug;

/// Rise of the objective at the ends of a 95 % interval.
const RISE: f64 = 0.5 * Z95 * Z95;
/// Highest rise that a figure shows.
const TOP: f64 = 6.0;
const SIZE: (f64, f64) = (330.0, 220.0);
const KEY: &[KeyItem] = &[
    (Glyph::Line(Ink::Posterior, false), "objective"),
    (Glyph::Line(Ink::Data, true), "its part from the data"),
    (Glyph::Line(Ink::Text, true), "95 % limit, 1.92"),
];

/// The profile of a parameter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProfileLine {
    /// Where it is held, natural units; the mode is in the middle.
    pub values: Vec<f64>,
    /// Rise of the objective above its least there; NaN where it is not known.
    pub rise: Vec<f64>,
    /// Rise of half the squared distance above its least there.
    pub misfit: Vec<f64>,
    /// 95 % interval of the objective, natural units; an end is `None` where the profile does not reach the limit.
    pub interval: [Option<f64>; 2],
    /// Whether the part from the data reaches the limit, below and above.
    pub bounded: [bool; 2],
    /// Whether some point lies below the middle one by more than 1: the mode is not the lowest.
    pub lower_elsewhere: bool,
}

/// The profiles of a run, in the order of its parameters; empty if there are none.
pub(super) fn lines(input: &Input<'_>) -> Vec<ProfileLine> {
    let Some(profile) = input.store.profile() else { return Vec::new() };
    let line =
        |(k, prior): (usize, &Marginal)| line(prior, profile.value.row(k), profile.objective.row(k), profile.misfit.row(k));
    input.priors.iter().enumerate().map(line).collect()
}

fn line(prior: &Marginal, value: ArrayView1<f64>, objective: ArrayView1<f64>, misfit: ArrayView1<f64>) -> ProfileLine {
    let values = value.to_vec();
    let u: Vec<f64> = values.iter().map(|x| prior.coordinate(*x)).collect();
    let (rise, misfit) = (above_least(objective), above_least(misfit));
    let ends = [-1, 1].map(|outwards| crossing(&u, &rise, outwards).map(|u| prior.natural(u)));
    ProfileLine {
        lower_elsewhere: rise[rise.len() / 2] > 1.0,
        bounded: [-1, 1].map(|outwards| crossing(&u, &misfit, outwards).is_some()),
        interval: ends,
        values,
        rise,
        misfit,
    }
}

fn above_least(of: ArrayView1<f64>) -> Vec<f64> {
    let least = of.iter().copied().fold(f64::INFINITY, f64::min);
    of.iter().map(|x| x - least).collect()
}

/// The coordinate at which the rise first reaches the limit from the lowest point in a direction.
fn crossing(u: &[f64], rise: &[f64], outwards: isize) -> Option<f64> {
    let lowest = (0..rise.len()).filter(|i| rise[*i].is_finite()).min_by(|a, b| rise[*a].total_cmp(&rise[*b]))?;
    let mut at = lowest;
    loop {
        let next = at.checked_add_signed(outwards).filter(|next| *next < rise.len() && rise[*next].is_finite())?;
        if rise[next] >= RISE {
            let [from, to, limit] = [rise[at], rise[next], RISE].map(|rise| rise.max(0.0).sqrt());
            return Some(u[at] + (limit - from) / (to - from) * (u[next] - u[at]));
        }
        at = next;
    }
}

/// What a table says of a parameter: its mode, the interval of the curvature, that of the profile, whether the data bound it.
fn cells(s: &Summary, k: usize) -> [String; 4] {
    let profile = &s.profiles[k];
    let mode = s.parameters[k].mode;
    let curvature = match s.modes.first().map(|m| m.curvature_sd[k]) {
        Some(sd) if sd.is_finite() => format!("{} to {}", number(mode - Z95 * sd), number(mode + Z95 * sd)),
        _ => "flat".into(),
    };
    // An interval is about the least of the objective: of a search that has not found it there is none.
    let doubt = match s.modes.first() {
        Some(mode) if !mode.converged => Some("mode not converged"),
        _ if profile.lower_elsewhere => Some("lower elsewhere"),
        _ => None,
    };
    if let Some(doubt) = doubt {
        return [number(mode), curvature, doubt.into(), NONE.into()];
    }
    let [low, high] = profile.interval.map(|end| end.map_or("open".into(), number));
    let bounded = match profile.bounded {
        [true, true] => "both sides",
        [true, false] => "below only",
        [false, true] => "above only",
        [false, false] => "no",
    };
    [number(mode), curvature, format!("{low} to {high}"), bounded.into()]
}

/// In the terminal, a line per parameter; nothing without profiles.
pub(super) fn text(s: &Summary) -> String {
    if s.profiles.is_empty() {
        return String::new();
    }
    let line = |k: usize| {
        let parameter = &s.parameters[k];
        let mut line = vec![text::cut(&parameter.name, 24), text::cut(&parameter.unit, 12)];
        line.extend(cells(s, k));
        line
    };
    format!(
        "Profiles of the objective about the best mode (95 %; open: not within 3 posterior sd and the prior)\n{}",
        text::table(
            &["parameter", "unit", "mode", "by curvature", "by profile", "bounded by the data"],
            (0..s.profiles.len()).map(line).collect(),
            2
        )
    )
}

/// On the page, under what the data say.
pub(super) fn html(s: &Summary) -> String {
    let line = |k: usize| {
        let name = escape(&with_unit(&s.parameters[k].name, &s.parameters[k].unit));
        page::line("", &[vec![name], cells(s, k).into()].concat(), 1)
    };
    let body: String = (0..s.profiles.len()).map(line).collect();
    let head = [
        ("Parameter", "unit"),
        ("Mode", ""),
        ("95 % by curvature", "mode ± 1.96 sd"),
        ("95 % by profile", "objective rises by 1.92"),
        ("Bounded by the data", "without the prior"),
    ];
    format!(
        "<h3>Profiles</h3>\n<p>The parameter is held at a value and all others are fitted anew: what is left of the fit is the \
         profile. Where the two intervals differ, the peak is no bell. An end is open where the objective does not rise by 1.92 \
         within three posterior sd or the bounds of the prior. Where the data alone do not bound a parameter, its interval is the \
         prior's work.</p>\n{}",
        page::table("Intervals by curvature and by profile", &head, 1, &body)
    )
}

/// A line for each point.
pub(super) fn csv(s: &Summary) -> String {
    tables::csv(&CSV, s.parameters.iter().zip(&s.profiles).flat_map(|(parameter, profile)| points(parameter, profile)))
}

const CSV: [&str; 5] = ["parameter", "unit", "value", "objective_rise [1]", "misfit_rise [1]"];

fn points(parameter: &ParameterLine, profile: &ProfileLine) -> Vec<Vec<String>> {
    let numbers = |i: usize| [profile.values[i], profile.rise[i], profile.misfit[i]].map(plain).into();
    let line = |i: usize| [vec![parameter.name.clone(), tables::own_unit(&parameter.unit).into()], numbers(i)].concat();
    (0..profile.values.len()).map(line).collect()
}

/// A figure per parameter.
pub(super) fn figures(s: &Summary) -> Vec<Figure> {
    (0..s.profiles.len()).map(|k| figure(s, k)).collect()
}

fn figure(s: &Summary, k: usize) -> Figure {
    let (parameter, profile) = (&s.parameters[k], &s.profiles[k]);
    let title = with_unit(&parameter.name, &parameter.unit);
    let known: Vec<usize> = (0..profile.values.len()).filter(|i| profile.rise[*i].is_finite()).collect();
    let (low, high) = (profile.values[0], profile.values[profile.values.len() - 1]);
    let log = low > 0.0 && high / low > 8.0;
    let x = Axis { log, ..Axis::linear(title.clone(), if low < high { (low, high) } else { (low - 1.0, high + 1.0) }) };
    let mut chart = Chart::new(x, Axis::linear("Rise", (0.0, TOP)), SIZE);
    chart.line(&[(low, RISE), (high, RISE)], Ink::Text, 1.2, true);
    let below =
        |of: &[f64]| -> Vec<(f64, f64)> { clipped(&known.iter().map(|i| (profile.values[*i], of[*i])).collect::<Vec<_>>()) };
    let (rise, misfit) = (below(&profile.rise), below(&profile.misfit));
    chart.line(&misfit, Ink::Data, 2.0, true);
    chart.line(&rise, Ink::Posterior, 2.0, false);
    let dots: Vec<(f64, f64)> = rise.iter().copied().filter(|point| profile.values.contains(&point.0)).collect();
    chart.points(&dots, Mark::Dot, 3.0, Ink::Posterior);
    let [low, high] = profile.interval.map(|end| end.map_or(NONE.into(), number));
    let caption = match profile.interval {
        [None, None] => "The objective rises by 1.92 on neither side.".into(),
        [Some(_), None] => format!("95 %: from {low}, open above."),
        [None, Some(_)] => format!("95 %: open below, to {high}."),
        _ => format!("95 %: {low} to {high}."),
    };
    let id = format!("profile-{}", slug(&parameter.name));
    let svg = chart.draw(&id, &format!("Profile of {title}"), &caption);
    let data = tables::csv(&CSV, points(parameter, profile));
    Figure { id, title, caption, svg, size: SIZE, key: own(KEY), data }
}

/// A line up to the top of the figure, where it leaves it.
fn clipped(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut out: Vec<(f64, f64)> = Vec::new();
    for (i, &(x, y)) in points.iter().enumerate() {
        let edge = |from: (f64, f64), to: (f64, f64)| (from.0 + (TOP - from.1) / (to.1 - from.1) * (to.0 - from.0), TOP);
        match i.checked_sub(1).map(|before| points[before]) {
            Some(before) if before.1 > TOP && y <= TOP => out.push(edge(before, (x, y))),
            Some(before) if before.1 <= TOP && y > TOP => out.push(edge(before, (x, y))),
            _ => {}
        }
        if y <= TOP {
            out.push((x, y));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A parabola with sd 0.5 about 2 crosses 1.92 at 2 ± 1.96 · 0.5, from four points a side; a side that ends before is open.
    #[test]
    fn the_interval_of_a_parabola_is_exact_and_a_side_that_does_not_rise_is_open() {
        let prior = Marginal::Normal { mean: 0.0, sd: 10.0 };
        let value = ndarray::Array1::from_shape_fn(9, |i| 2.0 + 0.4 * (i as f64 - 4.0));
        let parabola = value.mapv(|x| 7.0 + 0.5 * ((x - 2.0) / 0.5).powi(2));
        let flat_below = ndarray::Zip::from(&value).and(&parabola).map_collect(|x, y| if *x < 2.0 { 7.5 } else { *y });
        let line = line(&prior, value.view(), parabola.view(), flat_below.view());
        let [low, high] = line.interval.map(Option::unwrap);
        assert!((low - (2.0 - 0.5 * Z95)).abs() < 1e-12 && (high - (2.0 + 0.5 * Z95)).abs() < 1e-12, "{low} {high}");
        assert!(line.bounded == [false, true] && !line.lower_elsewhere);
    }
}
