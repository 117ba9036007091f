//! How far posteriors of one parameter lie apart, and whether that is more than chance.

use super::text::error;
use super::{Agreement, Apart, Compared, Measured, Of, On, ParameterOfAll};
use crate::density::Marginal;
use crate::population::{Generation, Weights};
use crate::report::density::{self, Sample};
use crate::report::figures::{self, Scale};
use crate::report::format::{number, signed, with_unit};
use crate::report::models::ModelLine;
use crate::report::summary::Summary;
use crate::report::{Input, chart::Axis};
use crate::rng::normal_quantile;

/// Chance that a run of the same job with another seed is said to differ, over all that is compared.
const FALSE_ALARM: f64 = 0.01;
/// Points of a density.
const GRID: usize = 240;

/// Mean and logarithm of the standard deviation of a weighted sample, with their Monte-Carlo errors.
pub(super) fn moments(values: &[f64], weights: &Weights) -> [Measured; 2] {
    let (w, mean) = (weights.as_slice(), weights.mean(values.iter().copied()));
    let variance = weights.sd(values.iter().copied()).powi(2);
    let spread = |term: &dyn Fn(f64) -> f64| values.iter().zip(w).map(|(x, w)| (w * term(*x)).powi(2)).sum::<f64>().sqrt();
    let error = spread(&|x| x - mean);
    let of_variance = spread(&|x| (x - mean) * (x - mean) - variance);
    let ln_sd = Measured { value: 0.5 * libm::log(variance), error: 0.5 * of_variance / variance };
    [Measured { value: mean, error }, ln_sd]
}

/// The scale on which posteriors of two priors are compared.
fn common(a: &Marginal, b: &Marginal) -> On {
    let of = |prior: &Marginal| match prior {
        Marginal::Beta { .. } => On::Logit,
        prior if density::is_log(prior) => On::Ln,
        _ => On::Natural,
    };
    if of(a) == of(b) { of(a) } else { On::Natural }
}

/// Difference of two posteriors in mean and spread, on a scale; `None` if one has no width.
fn apart(
    on: On,
    here: (&Generation, &Weights, usize, &Marginal),
    first: (&Generation, &Weights, usize, &Marginal),
) -> Option<[Measured; 2]> {
    let of = |(generation, weights, k, prior): (&Generation, &Weights, usize, &Marginal)| {
        let place = |x: &f64| if on == On::Natural { *x } else { prior.coordinate(*x) };
        moments(&generation.theta.column(k).iter().map(place).collect::<Vec<f64>>(), weights)
    };
    let ([mean, ln_sd], [first_mean, first_ln_sd]) = (of(here), of(first));
    let both = |a: f64, b: f64| (a * a + b * b).sqrt();
    let unit = both(libm::exp(ln_sd.value), libm::exp(first_ln_sd.value)) / 2f64.sqrt();
    let shift = Measured { value: (mean.value - first_mean.value) / unit, error: both(mean.error, first_mean.error) / unit };
    let spread = Measured { value: ln_sd.value - first_ln_sd.value, error: both(ln_sd.error, first_ln_sd.error) };
    [shift, spread].iter().all(|m| m.value.is_finite()).then_some([shift, spread])
}

pub(super) fn parameters(runs: &[Compared<'_>], summaries: &[Summary]) -> Vec<ParameterOfAll> {
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
        let on = common(pa, pb);
        let moved = if i > 0 { apart(on, (a, wa, *ka, pa), (b, wb, *kb, pb)) } else { None };
        let apart = moved.map(|[shift, spread]| Apart { on, shift, spread, overlap: overlap(&curves[i], &curves[0]) });
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

/// Whether run `k` agrees with those before it in its parameters and, where models are compared, in their probabilities.
pub(super) fn agreement(
    k: usize,
    names: &[String],
    digests: &[String],
    parameters: &[ParameterOfAll],
    models: &[(String, Vec<Option<&ModelLine>>)],
) -> Option<Agreement> {
    if let Some(twin) = (0..k).find(|other| digests[*other] == digests[k]) {
        let text = format!("{} is the same inference as {}: their digests are equal.", names[k], names[twin]);
        return Some(Agreement { agrees: true, text });
    }
    let mut all: Vec<(f64, String)> = Vec::new();
    let mut firsts: Vec<&str> = Vec::new();
    // Probabilities sum to one: that of the last model follows.
    for (name, lines) in &models[..models.len().saturating_sub(1)] {
        let Some(first) = lines[..k].iter().position(Option::is_some) else { continue };
        let (Some(before), Some(here)) = (lines[first], lines[k]) else { continue };
        let error_of_both = (before.error * before.error + here.error * here.error).sqrt();
        let by = Measured { value: here.probability - before.probability, error: error_of_both };
        let first = names[first].as_str();
        firsts.extend((!firsts.contains(&first)).then_some(first));
        all.push((by.z(), format!("probability of {name} by {} ± {}", signed(Some(by.value)), error(by.error))));
    }
    for p in parameters {
        let Ok(Of { apart: Some(Apart { on, shift, spread, .. }), .. }) = &p.runs[k] else { continue };
        let first = p.runs.iter().position(|run| run.is_ok()).map(|first| names[first].as_str());
        firsts.extend(first.filter(|first| !firsts.contains(first)));
        let name = on.of(p.title.split(" [").next().unwrap_or_default());
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
            "{} agrees with {} in its posterior within Monte-Carlo error: of {} differences the largest is {:.1} standard errors ({what}).",
            names[k],
            firsts.join(" and "),
            all.len(),
            largest.abs()
        )
    } else {
        const SHOWN: usize = 3;
        let more = if beyond.len() > SHOWN { format!(", and {} more", beyond.len() - SHOWN) } else { String::new() };
        format!(
            "{} differs from {} in its posterior by more than Monte-Carlo error: {}{more} (the largest is {:.1} standard errors).",
            names[k],
            firsts.join(" and "),
            beyond[..beyond.len().min(SHOWN)].join("; "),
            largest.abs()
        )
    };
    Some(Agreement { agrees: beyond.is_empty(), text })
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
}
