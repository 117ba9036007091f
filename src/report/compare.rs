//! Several runs against each other: what differs between their jobs, how far their posteriors lie apart, what each predicts.
//!
//! Every run is compared with the first one that has the parameter. Means and spreads are compared on the coordinate of the prior (the
//! logarithm of a positive parameter), each with its Monte-Carlo error: of a weighted mean m the variance is Σ w² (x − m)² (Geweke 1989,
//! Econometrica 57:1317, eq. 9), of a weighted variance s² it is Σ w² ((x − m)² − s²)², and ln s has a quarter of that over s⁴ by the
//! delta method (at 500 particles a tenth too small, as tests/suite/results.rs measures). Two seeds of one job must agree within that
//! error; a subset of the data, another model or another tolerance need not. *Overlap* is the area under both densities, ∫ min(p, q)
//! (Weitzman 1970, Technical Paper 22, US Bureau of the Census), by the kernel estimates of the figures.

use serde::Serialize;

use serde_json::Value;

use crate::density::Marginal;
use crate::error::{Error, Result};
use crate::population::{Generation, Weights};
use crate::report::density::{self, Sample};
use crate::report::figures::{self, Scale};
use crate::report::format::{NONE, count, number, signed, significant, value, with_unit};
use crate::report::models::ModelLine;
use crate::report::rows::RowLine;
use crate::report::summary::{ParameterLine, Summary};
use crate::report::text::{self, ascii, cut, distinct};
use crate::report::{Input, chart::Axis};
use crate::rng::normal_quantile;

/// Chance that a run of the same job with another seed is said to differ, over all of its parameters.
const FALSE_ALARM: f64 = 0.01;
/// Points of a density.
const GRID: usize = 240;
/// Widest name in the terminal.
const NAME: usize = 24;
/// Widest value of a key in the terminal.
const VALUE: usize = 60;

/// A run that is compared.
pub struct Compared<'a> {
    /// What it is called.
    pub name: String,
    /// The run.
    pub input: Input<'a>,
}

/// A figure with its Monte-Carlo standard error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// The figure.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
}

impl Measured {
    /// In standard errors.
    fn z(self) -> f64 {
        if self.value == 0.0 { 0.0 } else { self.value / self.error }
    }
}

/// A posterior against that of the first run which has the parameter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Apart {
    /// Difference of the means, in standard deviations (the root of the mean of both variances).
    pub shift: Measured,
    /// Natural logarithm of the ratio of the standard deviations.
    pub spread: Measured,
    /// Area under both densities, in [0, 1].
    pub overlap: f64,
}

/// A parameter in one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Of {
    /// Its posterior.
    pub line: ParameterLine,
    /// Against the first run that has it; `None` of that run.
    pub apart: Option<Apart>,
}

/// A parameter in all runs.
#[derive(Serialize)]
pub struct ParameterOfAll {
    /// Name and unit.
    pub title: String,
    /// What it is.
    pub meaning: String,
    /// In each run; where it is not inferred, why.
    #[serde(serialize_with = "present")]
    pub runs: Vec<std::result::Result<Of, String>>,
    /// How its axis is drawn.
    #[serde(skip)]
    pub(super) axis: Axis,
    /// Density of each run and of its prior along the drawn axis: natural value, posterior, prior.
    #[serde(skip)]
    pub(super) curves: Vec<Vec<(f64, f64, f64)>>,
}

/// Where a run has no such parameter, why stands under `absent`.
fn present<S: serde::Serializer>(runs: &[std::result::Result<Of, String>], to: S) -> std::result::Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Run<'a> {
        Of(&'a Of),
        None { absent: &'a str },
    }
    to.collect_seq(runs.iter().map(|run| run.as_ref().map_or_else(|absent| Run::None { absent }, Run::Of)))
}

/// A row in all runs.
#[derive(Serialize)]
pub struct RowOfAll {
    /// Unique name.
    pub id: String,
    /// In each run that has it.
    pub runs: Vec<Option<RowLine>>,
}

impl RowOfAll {
    /// The row in the first run that has it.
    pub(super) fn first(&self) -> Option<&RowLine> {
        self.runs.iter().flatten().next()
    }
}

/// What a run came to against the first ones.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// Whether it is within the Monte-Carlo error.
    pub agrees: bool,
    /// In words.
    pub text: String,
}

/// Runs against each other.
#[derive(Serialize)]
pub struct Comparison {
    /// Their names, in order.
    pub names: Vec<String>,
    /// What they came to, in the same order.
    pub summaries: Vec<Summary>,
    /// Digest of each inference.
    pub digests: Vec<String>,
    /// Seed of each job.
    pub seeds: Vec<String>,
    /// Keys of the job that differ, with the value of each run.
    pub keys: Vec<(String, Vec<String>)>,
    /// Parameters that two runs or more have, then others.
    pub parameters: Vec<ParameterOfAll>,
    /// Rows that two runs or more have, then others.
    pub rows: Vec<RowOfAll>,
    /// Of each run but the first, if it shares a parameter with an earlier one.
    pub agreement: Vec<Option<Agreement>>,
}

impl Comparison {
    /// Forms all numbers. `keys` are the keys of the jobs that differ, with the value of each run.
    ///
    /// # Errors
    /// `Usage` if there are fewer than two runs, a run has no finished generation, or no two share a parameter or row.
    pub fn of(runs: &[Compared<'_>], keys: Vec<(String, Vec<String>)>) -> Result<Comparison> {
        let summaries = runs.iter().map(|run| Summary::of(&run.input)).collect::<Result<Vec<Summary>>>()?;
        let parameters = parameters(runs, &summaries);
        let rows = rows(&summaries);
        let shared = |have: usize| have > 1;
        let in_common = parameters.iter().any(|p| shared(p.runs.iter().flatten().count()))
            || rows.iter().any(|r| shared(r.runs.iter().flatten().count()));
        if !in_common {
            return Err(Error::Usage {
                problem:
                    "these runs have nothing in common: no two infer the same parameter in the same unit, or predict the same row"
                        .into(),
                fix: "name runs of one model, or of one table of observations".into(),
            });
        }
        let digest = |run: &Compared<'_>| run.input.store.digests().into_iter().next().map_or(String::new(), |(_, hex)| hex);
        let seed = |run: &Compared<'_>| {
            let job: Value = serde_json::from_str(&run.input.store.header().job_canonical).unwrap_or_default();
            job["seed"].to_string()
        };
        let names: Vec<String> = runs.iter().map(|run| run.name.clone()).collect();
        let digests: Vec<String> = runs.iter().map(digest).collect();
        let agreement = (1..runs.len()).map(|k| agreement(k, &names, &digests, &parameters)).collect();
        let seeds = runs.iter().map(seed).collect();
        Ok(Comparison { names, summaries, digests, seeds, keys, parameters, rows, agreement })
    }

    /// Names of models that are compared within runs, with their line in each run.
    pub(super) fn models(&self) -> Vec<(String, Vec<Option<&ModelLine>>)> {
        let mut names: Vec<&str> = Vec::new();
        for model in self.summaries.iter().flat_map(|s| &s.models) {
            if !names.contains(&model.name.as_str()) {
                names.push(&model.name);
            }
        }
        let of = |name: &str| self.summaries.iter().map(|s| s.models.iter().find(|m| m.name == name)).collect();
        names.into_iter().map(|name| (name.into(), of(name))).collect()
    }

    /// The facts of each run, as tables show them: job, seed, generations, tolerance, ESS, simulations.
    pub(super) fn facts(&self, k: usize) -> [String; 6] {
        let s = &self.summaries[k];
        let last = s.generations.last();
        let unfinished = if s.stopped.is_none() { " (unfinished)" } else { "" };
        [
            s.name.clone(),
            self.seeds[k].clone(),
            format!("{}{unfinished}", s.generations.len()),
            last.map_or(NONE.into(), |g| number(g.tolerance)),
            last.map_or(NONE.into(), |g| format!("{:.0}", g.ess)),
            count(s.simulated),
        ]
    }

    /// What is not in every run, a line for each parameter, and one for the rows of each run that no other has.
    pub(super) fn missing(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for p in &self.parameters {
            let absent =
                p.runs.iter().zip(&self.names).filter_map(|(run, name)| Some(format!("{} in {name}", run.as_ref().err()?)));
            let absent: Vec<String> = absent.collect();
            if !absent.is_empty() {
                lines.push(format!("{}: {}.", p.title, absent.join(", ")));
            }
        }
        for (k, name) in self.names.iter().enumerate() {
            let lone = self.rows.iter().filter(|r| r.runs[k].is_some() && r.runs.iter().flatten().count() == 1);
            let lone: Vec<&str> = lone.map(|r| r.id.as_str()).collect();
            if !lone.is_empty() {
                lines.push(format!("Rows that only {name} predicts: {}.", lone.join(", ")));
            }
        }
        lines
    }
}

/// Mean and logarithm of the standard deviation of a weighted sample, with their Monte-Carlo errors.
fn moments(values: &[f64], weights: &Weights) -> [Measured; 2] {
    let (w, mean) = (weights.as_slice(), weights.mean(values.iter().copied()));
    let variance = weights.sd(values.iter().copied()).powi(2);
    let spread = |term: &dyn Fn(f64) -> f64| values.iter().zip(w).map(|(x, w)| (w * term(*x)).powi(2)).sum::<f64>().sqrt();
    let error = spread(&|x| x - mean);
    let of_variance = spread(&|x| (x - mean) * (x - mean) - variance);
    let ln_sd = Measured { value: 0.5 * libm::log(variance), error: 0.5 * of_variance / variance };
    [Measured { value: mean, error }, ln_sd]
}

/// Whether two priors have one coordinate.
fn alike(a: &Marginal, b: &Marginal) -> bool {
    let beta = |m: &Marginal| matches!(m, Marginal::Beta { .. });
    density::is_log(a) == density::is_log(b) && beta(a) == beta(b)
}

/// Difference of two posteriors in mean and spread; `None` if one has no width.
fn apart(
    here: (&Generation, &Weights, usize, &Marginal),
    first: (&Generation, &Weights, usize, &Marginal),
) -> Option<[Measured; 2]> {
    let same = alike(here.3, first.3);
    let of = |(generation, weights, k, prior): (&Generation, &Weights, usize, &Marginal)| {
        let on = |x: &f64| if same { prior.coordinate(*x) } else { *x };
        moments(&generation.theta.column(k).iter().map(on).collect::<Vec<f64>>(), weights)
    };
    let ([mean, ln_sd], [first_mean, first_ln_sd]) = (of(here), of(first));
    let both = |a: f64, b: f64| (a * a + b * b).sqrt();
    let unit = both(libm::exp(ln_sd.value), libm::exp(first_ln_sd.value)) / 2f64.sqrt();
    let shift = Measured { value: (mean.value - first_mean.value) / unit, error: both(mean.error, first_mean.error) / unit };
    let spread = Measured { value: ln_sd.value - first_ln_sd.value, error: both(ln_sd.error, first_ln_sd.error) };
    [shift, spread].iter().all(|m| m.value.is_finite()).then_some([shift, spread])
}

fn parameters(runs: &[Compared<'_>], summaries: &[Summary]) -> Vec<ParameterOfAll> {
    let mut known: Vec<(&str, &str)> = Vec::new();
    for line in summaries.iter().flat_map(|s| &s.parameters) {
        if !known.contains(&(&line.name, &line.unit)) {
            known.push((&line.name, &line.unit));
        }
    }
    let mut all: Vec<ParameterOfAll> = known.iter().filter_map(|(name, unit)| parameter(runs, summaries, name, unit)).collect();
    all.sort_by_key(|p| p.runs.iter().flatten().count() < 2);
    all
}

fn parameter(runs: &[Compared<'_>], summaries: &[Summary], name: &str, unit: &str) -> Option<ParameterOfAll> {
    let place = |k: usize| summaries[k].parameters.iter().position(|p| p.name == name && p.unit == unit);
    let have: Vec<(usize, usize)> = (0..runs.len()).filter_map(|k| Some((k, place(k)?))).collect();
    // One axis for all, logarithmic where all can be.
    let axes: Vec<(Axis, Scale)> = have.iter().map(|(k, at)| figures::axis(&runs[*k].input, *at)).collect();
    let low = axes.iter().map(|(axis, _)| axis.range.0).fold(f64::INFINITY, f64::min);
    let high = axes.iter().map(|(axis, _)| axis.range.1).fold(f64::NEG_INFINITY, f64::max);
    let logs = have.iter().all(|(k, at)| density::is_log(&runs[*k].input.priors[*at]));
    let log = logs && axes.iter().any(|(axis, _)| axis.log);
    let scale = if log { Scale::Log } else { Scale::Linear };
    let axis = Axis { log, ..Axis::linear(with_unit(name, unit), (low, high)) };
    let (from, to) = (scale.to(low), scale.to(high));
    let grid: Vec<f64> = (0..=GRID).map(|i| scale.from(from + (to - from) * i as f64 / GRID as f64)).collect();
    let lasts: Vec<(&Generation, Weights, usize, &Marginal)> = have
        .iter()
        .filter_map(|(k, at)| {
            let input = &runs[*k].input;
            let last = input.store.run().last()?;
            Some((last, input.weights_of(last, *at), *at, &input.priors[*at]))
        })
        .collect();
    let curve = |(last, weights, at, prior): &(&Generation, Weights, usize, &Marginal)| -> Vec<(f64, f64, f64)> {
        let sample = Sample::of(last, weights, *at, prior);
        let finite = |x: f64| if x.is_finite() { x } else { 0.0 };
        let point = |x: &f64| {
            let (u, jacobian) = (prior.coordinate(*x), scale.jacobian(prior, *x));
            (*x, finite(sample.density(u) * jacobian), finite(libm::exp(prior.ln_density_at(u)) * jacobian))
        };
        grid.iter().map(point).collect()
    };
    let curves: Vec<Vec<(f64, f64, f64)>> = lasts.iter().map(curve).collect();
    let of = |k: usize| -> std::result::Result<Of, String> {
        let i = have.iter().position(|(run, _)| *run == k).ok_or_else(|| absence(&runs[k].input, name))?;
        let line = summaries[k].parameters[have[i].1].clone();
        let [(a, wa, ka, pa), (b, wb, kb, pb)] = [i, 0].map(|i| &lasts[i]);
        let moved = if i > 0 { apart((a, wa, *ka, pa), (b, wb, *kb, pb)) } else { None };
        let apart = moved.map(|[shift, spread]| Apart { shift, spread, overlap: overlap(&curves[i], &curves[0]) });
        Ok(Of { line, apart })
    };
    let all = (0..runs.len()).map(of).collect();
    let meaning = have.first().map(|(k, at)| summaries[*k].parameters[*at].meaning.clone())?;
    Some(ParameterOfAll { title: with_unit(name, unit), meaning, runs: all, axis, curves })
}

/// Why a run does not infer a parameter.
fn absence(input: &Input<'_>, name: &str) -> String {
    let header = input.store.header();
    if let Some((column, value)) = header.fixed.iter().find(|(column, _)| column.name == name) {
        let unit = if column.unit == "-" { String::new() } else { format!(" {}", column.unit) };
        return format!("fixed at {}{unit}", number(*value));
    }
    match header.parameters.iter().find(|column| column.name == name) {
        Some(column) => format!("in another unit ({})", column.unit),
        None => "absent".into(),
    }
}

/// Area under both densities, over the mean of their areas.
fn overlap(a: &[(f64, f64, f64)], b: &[(f64, f64, f64)]) -> f64 {
    let both = |f: fn(f64, f64) -> f64| a.iter().zip(b).map(|(a, b)| f(a.1, b.1)).sum::<f64>();
    both(f64::min) / (0.5 * both(|a, b| a + b))
}

fn rows(summaries: &[Summary]) -> Vec<RowOfAll> {
    let mut ids: Vec<&str> = Vec::new();
    let mut known = std::collections::BTreeSet::new();
    ids.extend(summaries.iter().flat_map(|s| &s.rows).map(|r| r.id.as_str()).filter(|id| known.insert(*id)));
    let of = |id: &str| RowOfAll {
        id: id.into(),
        runs: summaries.iter().map(|s| s.rows.iter().find(|r| r.id == id).cloned()).collect(),
    };
    let mut all: Vec<RowOfAll> = ids.into_iter().map(of).collect();
    all.sort_by_key(|r| r.runs.iter().flatten().count() < 2);
    all
}

fn agreement(k: usize, names: &[String], digests: &[String], parameters: &[ParameterOfAll]) -> Option<Agreement> {
    if let Some(twin) = (0..k).find(|other| digests[*other] == digests[k]) {
        let text = format!("{} is the same inference as {}: their digests are equal.", names[k], names[twin]);
        return Some(Agreement { agrees: true, text });
    }
    let mut all: Vec<(f64, String)> = Vec::new();
    let mut firsts: Vec<&str> = Vec::new();
    for p in parameters {
        let Ok(Of { apart: Some(Apart { shift, spread, .. }), .. }) = &p.runs[k] else { continue };
        let first = p.runs.iter().position(|run| run.is_ok()).map(|first| names[first].as_str());
        firsts.extend(first.filter(|first| !firsts.contains(first)));
        let name = p.title.split(" [").next().unwrap_or_default();
        all.push((shift.z(), format!("mean of {name} by {} ± {} sd", signed(Some(shift.value)), error(shift.error))));
        let ratio = libm::exp(spread.value);
        all.push((spread.z(), format!("sd of {name} by a factor of {ratio:.2} ± {}", error(ratio * spread.error))));
    }
    all.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
    let (largest, what) = all.first()?;
    let limit = normal_quantile(1.0 - 0.5 * FALSE_ALARM / all.len() as f64);
    let beyond: Vec<&str> = all.iter().filter(|(z, _)| z.abs() > limit).map(|(_, what)| what.as_str()).collect();
    let text = if beyond.is_empty() {
        format!(
            "{} agrees with {} within Monte-Carlo error: of {} differences the largest is {:.1} standard errors ({what}).",
            names[k],
            firsts.join(" and "),
            all.len(),
            largest.abs()
        )
    } else {
        const SHOWN: usize = 3;
        let more = if beyond.len() > SHOWN { format!(", and {} more", beyond.len() - SHOWN) } else { String::new() };
        format!(
            "{} differs from {} by more than Monte-Carlo error: {}{more} (the largest is {:.1} standard errors).",
            names[k],
            firsts.join(" and "),
            beyond[..beyond.len().min(SHOWN)].join("; "),
            largest.abs()
        )
    };
    Some(Agreement { agrees: beyond.is_empty(), text })
}

/// A standard error, which nobody needs to three digits.
fn error(x: f64) -> String {
    significant(x, 2)
}

/// Shift, spread and overlap as tables show them.
pub(super) fn cells(apart: Option<Apart>) -> [String; 3] {
    apart.map_or([NONE; 3].map(String::from), |Apart { shift, spread, overlap }| {
        let ratio = libm::exp(spread.value);
        [
            format!("{} ± {}", signed(Some(shift.value)), error(shift.error)),
            format!("{ratio:.2} ± {}", error(ratio * spread.error)),
            format!("{:.0} %", 100.0 * overlap),
        ]
    })
}

/// Runs of one value of a key, as in `1 (a, b), 2 (c)`.
pub(super) fn grouped(names: &[String], values: &[String]) -> String {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, value) in names.iter().zip(values) {
        match groups.iter_mut().find(|(other, _)| other == value) {
            Some((_, of)) => of.push(name),
            None => groups.push((value, vec![name])),
        }
    }
    groups.iter().map(|(value, of)| format!("{} ({})", cut(value, VALUE), of.join(", "))).collect::<Vec<_>>().join("; ")
}

/// Tables of the terminal.
pub fn comparison_tables(c: &Comparison) -> String {
    let names = distinct(&c.names, NAME);
    let mut out = String::new();
    let facts = |k: usize| {
        [vec![names[k].clone()], c.facts(k).to_vec(), vec![c.digests[k][..16.min(c.digests[k].len())].into()]].concat()
    };
    let fall = if c.summaries.iter().all(|s| s.tempered) { "temperature" } else { "tolerance" };
    let head = ["run", "job", "seed", "generations", fall, "ESS", "simulations", "digest"];
    out += &text::table(&head, (0..names.len()).map(|k| facts(k).iter().map(|cell| cut(cell, NAME)).collect()).collect(), 2);
    let keys: Vec<String> = c.keys.iter().map(|(key, values)| format!("  {key}: {}\n", grouped(&names, values))).collect();
    out += &if keys.is_empty() {
        "\nThe jobs do not differ in any key.\n".to_string()
    } else {
        format!("\nKeys of the job that differ\n{}", ascii(&keys.concat()))
    };
    out.push('\n');
    for agreement in c.agreement.iter().flatten() {
        out += &text::wrap(&ascii(&agreement.text), if agreement.agrees { " " } else { "!" });
    }
    out += &format!("\n{}", parameter_table(c, &names));
    let models = c.models();
    if !models.is_empty() {
        let mut head = vec!["model"];
        head.extend(names.iter().map(String::as_str));
        let line = |(name, lines): &(String, Vec<Option<&ModelLine>>)| {
            let cell = |m: &Option<&ModelLine>| m.map_or(NONE.into(), |m| format!("{} +/- {}", m.cells()[1], m.cells()[2]));
            [cut(name, NAME)].into_iter().chain(lines.iter().map(cell)).collect()
        };
        out += &format!("\nPosterior probability of each model\n{}", text::table(&head, models.iter().map(line).collect(), 1));
    }
    out += &row_table(c, &names);
    let missing: String = c.missing().iter().map(|line| text::wrap(&ascii(line), " ")).collect();
    if missing.is_empty() { out } else { format!("{out}\nNot in every run\n{missing}") }
}

fn parameter_table(c: &Comparison, names: &[String]) -> String {
    let head = ["parameter", "run", "mean", "sd", "5 %", "95 %", "shift", "spread", "overlap"];
    let mut lines = Vec::new();
    for p in c.parameters.iter().filter(|p| p.runs.iter().flatten().count() > 1) {
        for (k, of) in p.runs.iter().enumerate().filter_map(|(k, run)| Some((k, run.as_ref().ok()?))) {
            let first = p.runs[..k].iter().all(|run| run.is_err());
            let mut line = vec![if first { cut(&p.title, NAME) } else { String::new() }, names[k].clone()];
            line.extend([of.line.mean, of.line.sd, of.line.q05, of.line.q95].map(number));
            line.extend(cells(of.apart).map(|cell| ascii(&cell)));
            lines.push(line);
        }
    }
    if lines.is_empty() {
        return "No two runs infer the same parameter.\n".into();
    }
    format!(
        "Posteriors (shift of the mean in sd, and ratio of the sd, to the first run, +/- Monte-Carlo error)\n{}",
        text::table(&head, lines, 2)
    )
}

fn row_table(c: &Comparison, names: &[String]) -> String {
    let mut lines = Vec::new();
    for row in c.rows.iter().filter(|r| r.runs.iter().flatten().count() > 1) {
        for (k, line) in row.runs.iter().enumerate().filter_map(|(k, line)| Some((k, line.as_ref()?))) {
            let first = row.runs[..k].iter().all(Option::is_none);
            let show = |x: f64| value(x, line.share);
            let band = line.posterior.map_or([NONE; 3].map(String::from), |b| [b.median, b.q05, b.q95].map(show));
            let mut cells =
                vec![if first { cut(&row.id, NAME) } else { String::new() }, names[k].clone(), line.role.name().into()];
            cells.push(show(line.observed));
            cells.extend(band);
            cells.push(text::inside(line).into());
            lines.push(cells);
        }
    }
    let shares = c.rows.iter().filter_map(RowOfAll::first).any(|row| row.share);
    let unit = if shares { " (in %)" } else { "" };
    let head = ["row", "run", "use", "observed", "median", "5 %", "95 %", "in"];
    if lines.is_empty() { String::new() } else { format!("\nPredictions{unit}\n{}", text::table(&head, lines, 3)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of equal weights the errors are those of a plain sample: s / √n, and √((κ − 1) / 4n) of ln s. Planted: the weight left
    /// unsquared: 0.999 in place of 0.0447.
    #[test]
    fn errors_are_those_of_a_plain_sample_where_weights_are_equal() {
        let n = 500;
        let values: Vec<f64> = (0..n).map(|i| normal_quantile((i as f64 + 0.5) / n as f64)).collect();
        let [mean, ln_sd] = moments(&values, &Weights::from_ln(&vec![-7.0; n]));
        let sd = libm::exp(ln_sd.value);
        assert!(mean.value.abs() < 1e-12 && (mean.error - sd / (n as f64).sqrt()).abs() < 1e-12, "{mean:?}");
        let kurtosis = values.iter().map(|x| x.powi(4)).sum::<f64>() / n as f64 / sd.powi(4);
        assert!((ln_sd.error - ((kurtosis - 1.0) / (4.0 * n as f64)).sqrt()).abs() < 1e-12, "{ln_sd:?}");
        // Particles of no weight change nothing.
        let more: Vec<f64> = values.iter().copied().chain([40.0; 3]).collect();
        let ln: Vec<f64> = [0.0].repeat(n).into_iter().chain([f64::NEG_INFINITY; 3]).collect();
        let [again, _] = moments(&more, &Weights::from_ln(&ln));
        assert!((again.error - mean.error).abs() < 1e-12);
    }

    #[test]
    fn densities_that_are_one_overlap_whole_and_apart_not_at_all() {
        let bell = |at: f64| -> Vec<(f64, f64, f64)> {
            let point = |x: f64| (x, libm::exp(-0.5 * (x - at) * (x - at)), 0.0);
            (0..400).map(|i| point(-10.0 + 0.05 * f64::from(i))).collect()
        };
        assert!((overlap(&bell(0.0), &bell(0.0)) - 1.0).abs() < 1e-12);
        // Two normals one sd apart: 2 Φ(−1/2).
        assert!((overlap(&bell(0.0), &bell(1.0)) - 0.617_075).abs() < 1e-3);
        assert!(overlap(&bell(-6.0), &bell(6.0)) < 1e-6);
    }

    #[test]
    fn runs_of_one_value_stand_together() {
        let texts = |of: &[&str]| of.iter().map(|text| text.to_string()).collect::<Vec<String>>();
        assert_eq!(grouped(&texts(&["a", "b", "c"]), &texts(&["1", "2", "1"])), "1 (a, c); 2 (b)");
    }
}
