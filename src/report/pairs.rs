//! The pair plot: how parameters trade off against one another.

use crate::density::Marginal;
use crate::population::{Generation, Weights};
use crate::report::Input;
use crate::report::chart::{Axis, Chart, Ink, Mark, Ticks};
use crate::report::density::{Sample, is_log};
use crate::report::figure::{Figure, Glyph, KeyItem, own};
use crate::report::format::{escape, with_unit};
use crate::report::summary::Summary;
use crate::report::tables::{self, csv, plain};
use crate::rng::{Key, Purpose};

const PAIR_KEY: &[KeyItem] =
    &[(Glyph::Point(Ink::Posterior, Mark::Dot), "posterior draw"), (Glyph::Point(Ink::Data, Mark::Cross), "best mode")];
/// Most parameters that are paired.
const MOST: usize = 8;
/// Points in a cell.
const POINTS: usize = 300;
/// Side of a cell, and room for ticks and names at the left and below.
const CELL: f64 = 104.0;
const EDGE: f64 = 76.0;
const GAP: f64 = 4.0;

struct Column<'a> {
    index: usize,
    name: String,
    axis: Axis,
    prior: &'a Marginal,
}

/// The pair plot of the parameters that the data inform most; `None` for a single parameter.
pub(super) fn figure(input: &Input<'_>, s: &Summary) -> Option<Figure> {
    let last = input.store.run().last()?;
    let d = s.parameters.len();
    if d < 2 {
        return None;
    }
    let mut order: Vec<usize> = (0..d).collect();
    order.sort_by(|a, b| s.parameters[*b].contraction.total_cmp(&s.parameters[*a].contraction));
    order.truncate(MOST);
    order.sort_unstable();
    let weights = last.weights();
    let columns: Vec<Column<'_>> = order.iter().map(|k| column(input, s, last, &weights, *k)).collect();
    let picked = weights.resample(POINTS, &mut Key::root(0x7061_6972).stream(Purpose::Resample));
    let n = columns.len();
    let side = EDGE + n as f64 * (CELL + GAP);
    let mut body = String::new();
    for (i, row) in columns.iter().enumerate() {
        for (j, col) in columns.iter().enumerate() {
            let at = (EDGE + j as f64 * (CELL + GAP), i as f64 * (CELL + GAP));
            if j > i {
                body.push_str(&correlation(last, &weights, col, row, at));
            } else {
                body.push_str(&cell(last, &weights, s, (row, col), (i, j, n), at, &picked));
            }
        }
        let middle = (EDGE + i as f64 * (CELL + GAP) + CELL / 2.0, i as f64 * (CELL + GAP) + CELL / 2.0);
        // Below the name its unit, at the lower edge and, turned, at the left one.
        let unit = with_unit("", &s.parameters[row.index].unit);
        for (text, below) in [(row.name.as_str(), 0.0), (unit.trim(), 12.0)].into_iter().filter(|(text, _)| !text.is_empty()) {
            let (text, x, left) = (escape(text), middle.0, 12.0 + below);
            body.push_str(&format!(
                "<text x=\"{x}\" y=\"{}\" font-size=\"11\" text-anchor=\"middle\">{text}</text>\
                 <text x=\"{left}\" y=\"{1}\" font-size=\"11\" text-anchor=\"middle\" transform=\"rotate(-90 {left} {1})\">{text}</text>",
                side - EDGE + 40.0 + below,
                middle.1
            ));
        }
    }
    let cut = if n < d { format!(" The {n} of {d} parameters that the data inform most are shown.") } else { String::new() };
    let caption = format!(
        "Lower half: {POINTS} posterior draws. Diagonal: posterior density. Upper half: correlation. An elongated cloud is a \
         trade-off: the data fix a combination of the two better than either.{cut}"
    );
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" width=\"{side}\" height=\"{side}\" \
         font-family=\"system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif\" fill=\"{}\" role=\"img\">\
         <title>Pairs of parameters</title><desc>{}</desc>{body}</svg>",
        Ink::Text.css(),
        escape(&caption)
    );
    let title = "Pairs of parameters".to_string();
    let head: Vec<String> =
        columns.iter().map(|c| tables::column(&s.parameters[c.index].name, &s.parameters[c.index].unit)).collect();
    let draw = |particle: &usize| columns.iter().map(|c| plain(last.theta[(*particle, c.index)])).collect();
    let data = csv(&head, picked.iter().map(draw));
    Some(Figure {
        id: "pairs".into(),
        title,
        caption,
        svg,
        size: (side, side),
        key: own(&PAIR_KEY[..1 + usize::from(s.refined)]),
        data,
    })
}

fn column<'a>(input: &Input<'a>, s: &Summary, last: &Generation, weights: &Weights, k: usize) -> Column<'a> {
    let prior = &input.priors[k];
    let sample = Sample::of(last, weights, k, prior);
    let (a, b) = (sample.quantile(weights, 0.002), sample.quantile(weights, 0.998));
    let pad = (0.06 * (b - a)).max(1e-9);
    let (low, high) = (prior.natural(a - pad), prior.natural(b + pad));
    let log = is_log(prior) && high / low > 8.0;
    let parameter = &s.parameters[k];
    // Long numbers need room: two ticks, of which none is near the next.
    let step = (!log).then(|| round_step((high - low) / 2.5));
    let axis = Axis { log, step, ..Axis::linear("", (low, high)) };
    Column { index: k, name: shortened(&parameter.name), axis, prior }
}

/// The next larger of 1, 2 and 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    let decade = libm::pow(10.0, libm::floor(libm::log10(least)));
    [1.0, 2.0, 5.0].into_iter().map(|m| m * decade).find(|step| *step >= least).unwrap_or(10.0 * decade)
}

/// A name that fits beside a cell.
fn shortened(name: &str) -> String {
    let most = 14;
    if name.chars().count() <= most { name.into() } else { name.chars().take(most - 1).chain(['…']).collect() }
}

/// A cloud, or on the diagonal a density. Only the left column and the lowest row have ticks with numbers.
fn cell(
    last: &Generation,
    weights: &Weights,
    s: &Summary,
    (row, col): (&Column<'_>, &Column<'_>),
    (i, j, n): (usize, usize, usize),
    at: (f64, f64),
    picked: &[usize],
) -> String {
    let (left, bottom) = (if j == 0 { EDGE - 20.0 } else { 0.0 }, if i + 1 == n { EDGE - 20.0 } else { 0.0 });
    let ticks = |shown: bool| if shown { Ticks::Few } else { Ticks::Hidden };
    let x = Axis { ticks: ticks(bottom > 0.0), ..col.axis.clone() };
    let size = (CELL + left, CELL + bottom);
    let margins = [left + 2.0, 2.0, 2.0, bottom + 2.0];
    let chart = if i == j {
        let sample = Sample::of(last, weights, col.index, col.prior);
        let (from, to) = (x.range.0, x.range.1);
        let curve: Vec<(f64, f64, f64)> = (0..=80)
            .map(|k| {
                let t = f64::from(k) / 80.0;
                let v = if x.log { from * libm::pow(to / from, t) } else { from + (to - from) * t };
                (v, 0.0, sample.density(col.prior.coordinate(v)))
            })
            .collect();
        let top = 1.1 * curve.iter().map(|p| p.2).fold(1e-300, f64::max);
        let scaled: Vec<_> = curve.iter().map(|p| (p.0, 0.0, p.2 / top)).collect();
        let y = Axis { ticks: Ticks::Hidden, ..Axis::linear("", (0.0, 1.0)) };
        let mut chart = Chart::new(x, y, size).bare().sparse().margins(margins);
        chart.band(&scaled, Ink::Posterior, 0.4);
        chart
    } else {
        let y = Axis { ticks: ticks(left > 0.0), ..row.axis.clone() };
        let mut chart = Chart::new(x, y, size).bare().sparse().margins(margins);
        let points: Vec<(f64, f64)> = picked.iter().map(|p| (last.theta[(*p, col.index)], last.theta[(*p, row.index)])).collect();
        chart.cloud(&points, Ink::Posterior);
        if s.refined {
            let mode = (s.parameters[col.index].mode, s.parameters[row.index].mode);
            chart.points(&[mode], Mark::Cross, 5.0, Ink::Data);
        }
        chart
    };
    let svg = chart.draw(&format!("pairs-{i}-{j}"), &format!("{} and {}", row.name, col.name), "");
    svg.replacen("<svg ", &format!("<svg overflow=\"visible\" x=\"{}\" y=\"{}\" ", at.0 - left, at.1), 1)
}

/// Weighted correlation of the coordinates, in a tile that is the bluer the stronger it is.
fn correlation(last: &Generation, weights: &Weights, a: &Column<'_>, b: &Column<'_>, at: (f64, f64)) -> String {
    let coordinates =
        |c: &Column<'_>| -> Vec<f64> { last.theta.column(c.index).iter().map(|x| c.prior.coordinate(*x)).collect() };
    let (u, v) = (coordinates(a), coordinates(b));
    let (mu, mv) = (weights.mean(u.iter().copied()), weights.mean(v.iter().copied()));
    let product = weights.mean(u.iter().zip(&v).map(|(x, y)| (x - mu) * (y - mv)));
    let r = product / (weights.sd(u.iter().copied()) * weights.sd(v.iter().copied()));
    let (r, text) = if r.is_finite() { (r, format!("{r:+.2}")) } else { (0.0, "-".into()) };
    format!(
        "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\" fill-opacity=\"{:.3}\"/>\
         <text x=\"{}\" y=\"{}\" font-size=\"14\" text-anchor=\"middle\">{text}</text>",
        at.0 + 2.0,
        at.1 + 2.0,
        CELL - 4.0,
        CELL - 4.0,
        Ink::Posterior.css(),
        0.45 * r.abs(),
        at.0 + CELL / 2.0,
        at.1 + CELL / 2.0 + 5.0
    )
}
