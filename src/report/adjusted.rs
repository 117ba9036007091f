//! The adjusted posterior beside that of ABC: before and after, a line per parameter.

use serde::Serialize;

use crate::population::{Adjusted, Learnt, Regressed, Regressor, Reused, Shape, Surrogated, Weights};
use crate::report::Input;
use crate::report::format::{count, escape, number, with_unit};
use crate::report::page;
use crate::report::summary::ParameterLine;
use crate::report::text::{cut, table};

/// Share of the variance of a parameter below which a regression has nothing to adjust by.
const UNEXPLAINED: f64 = 0.05;

/// The adjusted posterior in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Adjustment {
    /// How it was made.
    pub words: String,
    /// Mean, standard deviation, 5 and 95 % quantile of each parameter, natural units.
    pub after: Vec<[f64; 4]>,
    /// What a regression came to; `None` of another method.
    pub regression: Option<Regressed>,
    /// Of a regression, the summaries that are observed beyond those of all particles: it extrapolates there.
    pub beyond: Vec<String>,
}

impl Adjustment {
    /// What a run has of it.
    pub fn of(input: &Input<'_>) -> Option<Self> {
        let adjusted = input.store.adjusted()?;
        let equal = Weights::from_ln(&vec![0.0; adjusted.theta.nrows()]);
        let figures = |values: Vec<f64>| {
            let all = || values.iter().copied();
            [equal.mean(all()), equal.sd(all()), equal.quantile(all(), 0.05), equal.quantile(all(), 0.95)]
        };
        let (regression, beyond) = match &adjusted.learnt {
            Learnt::Surrogate(_) | Learnt::Reuse(_) => (None, Vec::new()),
            Learnt::Regression(regressed) => (Some(regressed.clone()), beyond(input)),
        };
        let after = adjusted.theta.columns().into_iter().map(|column| figures(column.to_vec())).collect();
        Some(Adjustment { words: words(adjusted), after, regression, beyond })
    }

    /// Names of the parameters that a regression leaves as they are.
    pub fn left<'a>(&self, parameters: &'a [ParameterLine]) -> Vec<&'a str> {
        let explained = self.regression.iter().flat_map(|regressed| &regressed.explained);
        parameters.iter().zip(explained).filter(|(_, share)| **share < UNEXPLAINED).map(|(p, _)| p.name.as_str()).collect()
    }

    /// The table of the terminal.
    pub(super) fn text(&self, parameters: &[ParameterLine]) -> String {
        let mut head = vec!["parameter", "unit", "mean", "adjusted", "sd", "adjusted", "5 %", "adjusted", "95 %", "adjusted"];
        head.extend(self.regression.is_some().then_some("explained"));
        let line = |(k, p): (usize, &ParameterLine)| {
            let mut line = vec![cut(&p.name, 24), cut(&p.unit, 12)];
            line.extend(self.pairs(k, p));
            line
        };
        let lines = parameters.iter().enumerate().map(line).collect();
        format!("Adjusted: {}\n{}", self.words, table(&head, lines, 2))
    }

    /// The table of the page.
    pub(super) fn html(&self, parameters: &[ParameterLine]) -> String {
        let mut head = vec![("Parameter", "unit")];
        head.extend(["Mean", "sd", "5 %", "95 %"].iter().flat_map(|name| [(*name, "of ABC"), (*name, "adjusted")]));
        head.extend(self.regression.is_some().then_some(("Explained", "share of variance")));
        let line = |(k, p): (usize, &ParameterLine)| {
            let mut cells = vec![escape(&with_unit(&p.name, &p.unit))];
            cells.extend(self.pairs(k, p));
            page::line("", &cells, 1)
        };
        let body: String = parameters.iter().enumerate().map(line).collect();
        format!(
            "<h3>Adjusted</h3>\n<p>{}.</p>\n{}",
            escape(&self.words),
            page::table("Posterior before and after adjustment", &head, 1, &body)
        )
    }

    /// Figures of ABC and adjusted in turn, and what was explained.
    fn pairs(&self, k: usize, p: &ParameterLine) -> Vec<String> {
        let before = [p.mean, p.sd, p.q05, p.q95];
        let mut cells: Vec<String> = before.iter().zip(&self.after[k]).flat_map(|(a, b)| [number(*a), number(*b)]).collect();
        cells.extend(self.regression.as_ref().map(|regressed| format!("{:.2}", regressed.explained[k])));
        cells
    }
}

/// How it was made, as a person says it.
fn words(adjusted: &Adjusted) -> String {
    let (draws, fitted) = (count(adjusted.theta.nrows() as u64), count(adjusted.fitted));
    match &adjusted.learnt {
        Learnt::Surrogate(Surrogated { shape, score, score_error }) => format!(
            "{draws} draws by a surrogate likelihood from {fitted} simulations, {}; log score {score:.3} +/- {score_error:.3}",
            shape_words(shape)
        ),
        Learnt::Regression(Regressed { by, reused, ess, .. }) => {
            let by = if *by == Regressor::Network { "a regression with a network" } else { "a regression" };
            let from = reused.as_ref().map_or_else(String::new, |reused| format!("{}; ", reuse_words(reused)));
            format!("{draws} draws by {by} on {fitted} simulations, {from}worth {ess:.0} once weighed by distance")
        }
        Learnt::Reuse(reused) => {
            format!("{draws} draws of {fitted} simulations within the last tolerance, {}", reuse_words(reused))
        }
    }
}

/// Where simulations come from, and what they are worth.
fn reuse_words(Reused { earlier, before, after }: &Reused) -> String {
    format!("{} of them re-used from earlier generations: ESS {after:.0}, {before:.0} without", count(*earlier))
}

fn shape_words(shape: &Shape) -> String {
    let degree = if shape.quadratic { "quadratic" } else { "linear" };
    let mut words = format!("{degree} in {} cell(s), generations from {}", shape.cells, shape.first);
    if shape.scaled {
        words += ", scales that follow the parameters";
    }
    if shape.local {
        words += ", a covariance for each cell";
    }
    words + &format!(", residuals of bandwidth {}", shape.bandwidth)
}

/// Summaries whose observed value lies outside the range of all simulations within the last tolerance.
fn beyond(input: &Input<'_>) -> Vec<String> {
    let (header, run) = (input.store.header(), input.store.run());
    let Some(last) = run.last() else { return Vec::new() };
    let outside = |k: usize| {
        let within = run.generations.iter().flat_map(|generation| {
            let near = (0..generation.len()).filter(|i| generation.distance[*i] <= last.tolerance);
            near.map(|i| generation.summaries[(i, k)])
        });
        let observed = header.observed[k];
        let (low, high) = within.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (x.min(low), x.max(high)));
        !(low..=high).contains(&observed)
    };
    (0..header.summaries.len()).filter(|k| outside(*k)).map(|k| header.summaries[k].name.clone()).collect()
}
