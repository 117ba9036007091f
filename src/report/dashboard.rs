//! A run at a glance, for a terminal: its generations, and the marginals of its last one as sparklines against the prior.

use serde::Serialize;

use crate::population::Generation;
use crate::report::density::Sample;
use crate::report::format::{NONE, count, number, with_unit};
use crate::report::text::{cut, table};
use crate::report::{Input, figures, models};

/// Points of a sparkline.
const POINTS: usize = 24;
/// Widest name.
const NAME: usize = 24;

/// Tables of generations and of the `parameters` that [`glance`] gives. `seconds` are what each generation took, where that is known; `blocks` draws with Unicode's
/// block elements in place of ASCII.
pub fn dashboard(
    input: &Input<'_>,
    parameters: &[Glance],
    seconds: &[Option<f64>],
    blocks: bool,
    clock: fn(f64) -> String,
) -> String {
    let run = input.store.run();
    let Some(last) = run.last() else { return "No generation is finished yet.\n".into() };
    let fall = if input.store.header().tempered() { "temperature" } else { "tolerance" };
    let head = ["generation", fall, "acceptance", "ESS", "simulations", "failed", "time"];
    let line = |(k, g): (usize, &Generation)| {
        vec![
            k.to_string(),
            if g.tolerance.is_finite() { number(g.tolerance) } else { "prior".into() },
            format!("{:.1} %", 100.0 * g.acceptance_rate()),
            format!("{:.0}", g.weights().ess()),
            count(g.simulated),
            g.failed.to_string(),
            seconds.get(k).copied().flatten().map_or(NONE.into(), clock),
        ]
    };
    let generations = table(&head, run.generations.iter().enumerate().map(line).collect(), 0);
    let marginals: Vec<Vec<String>> = parameters.iter().enumerate().map(|(k, m)| marginal(input, last, k, m, blocks)).collect();
    let marginals = table(&["parameter", "mean", "5 %", "95 %", "posterior", "prior"], marginals, 1);
    let odds = models::lines(run, input.models).iter().map(|m| m.cells()[..3].to_vec()).collect::<Vec<_>>();
    let odds = if odds.is_empty() { String::new() } else { format!("\n{}", table(&["model", "probability", "+/-"], odds, 1)) };
    format!("{generations}\n{marginals}{odds}")
}

/// A parameter in the last generation that is finished.
#[derive(Clone, Debug, Serialize)]
pub struct Glance {
    name: String,
    unit: String,
    mean: f64,
    q05: f64,
    q95: f64,
}

/// The parameters in the last generation that is finished; none before there is one.
pub fn glance(input: &Input<'_>) -> Vec<Glance> {
    let Some(last) = input.store.run().last() else { return Vec::new() };
    // Of models that are compared the last coordinate is the number of one, which is no parameter.
    let parameters = input.priors.len() - usize::from(!input.models.is_empty());
    let glance = |k: usize| {
        let (column, weights) = (&input.store.header().parameters[k], input.weights_of(last, k));
        let values = || last.theta.column(k).to_vec().into_iter();
        let [q05, q95] = [0.05, 0.95].map(|q| weights.quantile(values(), q));
        Glance { name: column.name.clone(), unit: column.unit.clone(), mean: weights.mean(values()), q05, q95 }
    };
    (0..parameters).map(glance).collect()
}

fn marginal(input: &Input<'_>, last: &Generation, k: usize, glance: &Glance, blocks: bool) -> Vec<String> {
    let prior = &input.priors[k];
    let weights = input.weights_of(last, k);
    let sample = Sample::of(last, &weights, k, prior);
    let (axis, _) = figures::axis(input, k);
    let (from, to) = (prior.coordinate(axis.range.0), prior.coordinate(axis.range.1));
    let at = |i: usize| from + (to - from) * (i as f64 + 0.5) / POINTS as f64;
    let line = |density: &dyn Fn(f64) -> f64| spark(&(0..POINTS).map(|i| density(at(i))).collect::<Vec<f64>>(), blocks);
    vec![
        cut(&with_unit(&glance.name, &glance.unit), NAME),
        number(glance.mean),
        number(glance.q05),
        number(glance.q95),
        line(&|u| sample.density(u)),
        line(&|u| libm::exp(prior.ln_density_at(u))),
    ]
}

/// Heights as a line of characters, the tallest as high as a line is.
fn spark(heights: &[f64], blocks: bool) -> String {
    const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const ASCII: [char; 9] = [' ', '.', ':', '-', '=', '+', '*', '%', '#'];
    let top = heights.iter().copied().fold(0.0, f64::max);
    let steps = if blocks { BLOCKS } else { ASCII };
    let step = |height: &f64| if top > 0.0 { steps[(8.0 * height / top).round().clamp(0.0, 8.0) as usize] } else { ' ' };
    heights.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::spark;

    #[test]
    fn sparklines_are_as_high_as_what_they_show() {
        assert_eq!(spark(&[0.0, 1.0, 2.0, 4.0, 8.0, f64::NAN], true), " ▁▂▄█ ");
        assert_eq!(spark(&[0.0, 1.0, 2.0, 4.0, 8.0], false), " .:=#");
        assert_eq!(spark(&[0.0, 0.0], true), "  ");
    }
}
