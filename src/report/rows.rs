//! Row by row: what the trial observed against what prior and posterior predict, and what that prediction is worth.
//!
//! A 90 % band that is wide enough always covers, and a curve that has flattened predicts itself. So a row also has
//! * its width, in that of an interval that held nothing but the row's own sampling error: (q95 − q05) / (2 · 1.645 · se);
//! * skills, 1 − CRPS / CRPS of a baseline: 1 is perfect, 0 no better than the baseline, negative worse. The baselines
//!   are [`carried_forward`], [`constant_hazard`], and the prior predictive.
//!
//! Skill over several rows is 1 − Σ CRPS / Σ CRPS of the baseline, over the rows that have it: a mean of ratios would be
//! ruled by the one row whose baseline happens to be right.

use serde::Serialize;

use crate::population::Predictive;
use crate::report::Input;
use crate::rng::{Key, Purpose, Stream};
use crate::store::PredictedRow;
use crate::trial::skill::{carried_forward, constant_hazard, crps};
use crate::trial::table::Row;
use crate::trial::vocabulary::Role;

/// Members of a baseline ensemble: its CRPS is then known to about 1 %.
const BASELINE_DRAWS: usize = 4000;
/// Seed of the baselines, fixed, so that a report of a run is always the same.
const BASELINE_SEED: u64 = 0x6261_7365_6c69_6e65;
/// 95 % quantile of the standard normal distribution.
const Z90: f64 = 1.644_853_626_951_472_6;
/// 97.5 % quantile.
pub(super) const Z95: f64 = 1.959_963_984_540_054;

/// What a row is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// Entered the distance.
    Fitted,
    /// Predicted, never fitted.
    HeldOut,
    /// Shown only; neither fitted nor scored.
    Context,
}

impl Use {
    /// Reads the role of a stored row; what is neither fitted nor context was held out.
    pub fn of(role: &str) -> Self {
        match role {
            "fit" | "fitted" => Use::Fitted,
            "context" => Use::Context,
            _ => Use::HeldOut,
        }
    }

    /// The word in tables.
    pub fn name(self) -> &'static str {
        match self {
            Use::Fitted => "fitted",
            Use::HeldOut => "held out",
            Use::Context => "context",
        }
    }
}

/// Quantiles of an ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Band {
    /// Median.
    pub median: f64,
    /// 5 % quantile.
    pub q05: f64,
    /// 25 % quantile.
    pub q25: f64,
    /// 75 % quantile.
    pub q75: f64,
    /// 95 % quantile.
    pub q95: f64,
}

impl Band {
    /// Quantiles of the finite members, interpolated between order statistics (type 7); `None` if there are none.
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Band> {
        let mut sorted: Vec<f64> = values.filter(|x| x.is_finite()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let quantile = |q: f64| {
            let at = q * last as f64;
            let below = at as usize;
            let above = (below + 1).min(last);
            sorted[below] + (at - below as f64) * (sorted[above] - sorted[below])
        };
        let (q05, q25, median, q75, q95) = (quantile(0.05), quantile(0.25), quantile(0.5), quantile(0.75), quantile(0.95));
        Some(Band { median, q05, q25, q75, q95 })
    }

    /// Whether the value lies in the 90 % band, its ends included.
    pub fn holds(&self, value: f64) -> bool {
        (self.q05..=self.q95).contains(&value)
    }
}

/// One row of the data and its predictions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RowLine {
    /// Unique name.
    pub id: String,
    /// In words.
    pub label: String,
    /// The trial that it is of; empty in a run of one.
    pub trial: String,
    /// What it is for.
    pub role: Use,
    /// Whether the value is a share, printed in per cent.
    pub share: bool,
    /// Unit of the value; `-` for a share or a pure number.
    pub unit: String,
    /// Months since the start of treatment; NaN where that means nothing.
    pub month: f64,
    /// Observed value; NaN if there is none.
    pub observed: f64,
    /// Standard error of the observed value; NaN if there is none.
    pub se: f64,
    /// Patients behind it; 0 if not known.
    pub n: u64,
    /// Prior predictive.
    pub prior: Option<Band>,
    /// Posterior predictive; in a run without predictive simulations the weighted summaries of the last generation.
    pub posterior: Option<Band>,
    /// Whether the observed value lies in the posterior predictive 90 % band; `None` for context.
    pub inside: Option<bool>,
    /// CRPS of the posterior predictive, in the unit of the row.
    pub crps: Option<f64>,
    /// CRPS of the last fitted value carried forward.
    pub crps_last: Option<f64>,
    /// CRPS of a constant hazard.
    pub crps_hazard: Option<f64>,
    /// CRPS of the prior predictive.
    pub crps_prior: Option<f64>,
    /// Width of the 90 % band over that of the row's own sampling error.
    pub width_ratio: Option<f64>,
    /// The row of the observation table.
    #[serde(skip)]
    pub source: Option<Row>,
}

/// Skill over several rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Skill {
    /// 1 − Σ CRPS / Σ CRPS of the baseline.
    pub skill: f64,
    /// Rows with that baseline.
    pub rows: usize,
    /// Rows on which the prediction is better than the baseline.
    pub better: usize,
    /// Median of the skills of the rows; where it is far from `skill`, a few rows rule the sum.
    pub median: f64,
}

/// Totals over the rows of one role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Rows with a prediction and an observation.
    pub rows: usize,
    /// How many lie in their 90 % band.
    pub inside: usize,
    /// Against the last fitted value carried forward.
    pub last: Option<Skill>,
    /// Against a constant hazard.
    pub hazard: Option<Skill>,
    /// Against the prior predictive.
    pub prior: Option<Skill>,
    /// Mean of the width ratios; NaN without any.
    pub width_ratio: f64,
    /// Rows whose band is narrower than the sampling error of the row alone (width ratio below 0.8): the virtual cohort is
    /// larger than the group behind the figure, which can lie outside by chance alone.
    pub narrow: usize,
}

impl RowLine {
    /// Skill against the last fitted value carried forward.
    pub fn skill_last(&self) -> Option<f64> {
        skill(self.crps, self.crps_last)
    }

    /// Skill against a constant hazard.
    pub fn skill_hazard(&self) -> Option<f64> {
        skill(self.crps, self.crps_hazard)
    }

    /// Skill against the prior predictive.
    pub fn skill_prior(&self) -> Option<f64> {
        skill(self.crps, self.crps_prior)
    }

    /// 95 % interval of the observed value. Of a share Wilson's, with the number of patients that the standard error
    /// stands for, so that it stays in [0, 1]; otherwise ± 1.96 se.
    pub fn interval(&self) -> Option<(f64, f64)> {
        let (p, se) = (self.observed, self.se);
        if !p.is_finite() || !se.is_finite() || se <= 0.0 {
            return None;
        }
        if !self.share || !(0.0..=1.0).contains(&p) {
            return Some((p - Z95 * se, p + Z95 * se));
        }
        let n = if p > 0.0 && p < 1.0 { p * (1.0 - p) / (se * se) } else { self.n as f64 };
        if n < 1.0 {
            return Some(((p - Z95 * se).max(0.0), (p + Z95 * se).min(1.0)));
        }
        let z2 = Z95 * Z95;
        let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let half = Z95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
        Some(((centre - half).max(0.0), (centre + half).min(1.0)))
    }
}

fn skill(crps: Option<f64>, baseline: Option<f64>) -> Option<f64> {
    let (crps, baseline) = (crps?, baseline?);
    (baseline > 0.0).then(|| 1.0 - crps / baseline)
}

impl Totals {
    /// Totals of the rows of one role.
    pub fn of(rows: &[RowLine], role: Use) -> Totals {
        let scored: Vec<&RowLine> = rows.iter().filter(|r| r.role == role && r.inside.is_some()).collect();
        let widths: Vec<f64> = scored.iter().filter_map(|r| r.width_ratio).collect();
        Totals {
            rows: scored.len(),
            inside: scored.iter().filter(|r| r.inside == Some(true)).count(),
            last: pooled(&scored, |r| r.crps_last),
            hazard: pooled(&scored, |r| r.crps_hazard),
            prior: pooled(&scored, |r| r.crps_prior),
            width_ratio: widths.iter().sum::<f64>() / widths.len() as f64,
            narrow: widths.iter().filter(|w| **w < 0.8).count(),
        }
    }
}

fn pooled(rows: &[&RowLine], baseline: impl Fn(&RowLine) -> Option<f64>) -> Option<Skill> {
    let pairs: Vec<(f64, f64)> = rows.iter().filter_map(|r| Some((r.crps?, baseline(r)?))).collect();
    let (ours, theirs) = pairs.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
    let better = pairs.iter().filter(|pair| pair.0 < pair.1).count();
    let median = Band::of(pairs.iter().filter(|p| p.1 > 0.0).map(|p| 1.0 - p.0 / p.1)).map_or(0.0, |b| b.median);
    (theirs > 0.0).then(|| Skill { skill: 1.0 - ours / theirs, rows: pairs.len(), better, median })
}

/// All rows of a run: those of its predictive simulations, or, where it has none, its fitted summaries.
pub(super) fn lines(input: &Input<'_>) -> Vec<RowLine> {
    let header = input.store.header();
    if header.rows.is_empty() || (input.store.posterior().is_none() && input.store.prior().is_none()) {
        return fitted_summaries(input);
    }
    let fitted: Vec<&Row> = input.table.map_or(Vec::new(), |table| {
        let used = |row: &&Row| header.rows.iter().any(|r| r.id == row.id && Use::of(&r.role) == Use::Fitted);
        table.rows().iter().filter(used).collect()
    });
    let key = Key::root(BASELINE_SEED);
    header.rows.iter().enumerate().map(|(k, row)| line(input, row, k, &fitted, key.child(k as u64))).collect()
}

/// A forecast that a row is scored against: from the fitted rows, that many draws.
type Baseline = fn(&[&Row], &Row, usize, &mut Stream) -> Option<Vec<f64>>;

fn line(input: &Input<'_>, row: &PredictedRow, k: usize, fitted: &[&Row], key: Key) -> RowLine {
    let ensemble = |p: Option<&Predictive>| -> Vec<f64> {
        p.map_or(Vec::new(), |p| p.values.column(k).iter().copied().filter(|x| x.is_finite()).collect())
    };
    let (before, after) = (ensemble(input.store.prior()), ensemble(input.store.posterior()));
    let source = input.table.and_then(|t| t.rows().iter().find(|r| r.id == row.id));
    // A row of context is never scored, whatever the run calls it.
    let context = source.is_some_and(|r| r.role == Role::Context);
    let role = if context { Use::Context } else { Use::of(&row.role) };
    let scored = role != Use::Context && row.value.is_finite();
    let score = |members: &[f64]| if scored { crps(members, row.value) } else { None };
    let baseline = |make: Baseline, word: u64| {
        make(fitted, source?, BASELINE_DRAWS, &mut key.child(word).stream(Purpose::Predict)).and_then(|e| score(&e))
    };
    let posterior = Band::of(after.iter().copied());
    RowLine {
        id: row.id.clone(),
        label: row.label.clone(),
        trial: row.trial.clone(),
        role,
        share: row.unit == "-" && input.table.is_some(),
        unit: row.unit.clone(),
        month: row.month,
        observed: row.value,
        se: row.se,
        n: row.n,
        prior: Band::of(before.iter().copied()),
        posterior,
        inside: posterior.filter(|_| scored).map(|band| band.holds(row.value)),
        crps: score(&after),
        crps_last: baseline(carried_forward, 1),
        crps_hazard: baseline(constant_hazard, 2),
        crps_prior: score(&before),
        width_ratio: width_ratio(posterior, row.se),
        source: source.cloned(),
    }
}

fn width_ratio(band: Option<Band>, se: f64) -> Option<f64> {
    band.filter(|_| se > 0.0).map(|b| (b.q95 - b.q05) / (2.0 * Z90 * se))
}

/// Rows of a run without predictive simulations: summaries of the accepted particles, weighted. They were accepted
/// because they are near the observed values, so that they carry no score.
fn fitted_summaries(input: &Input<'_>) -> Vec<RowLine> {
    let header = input.store.header();
    let Some(last) = input.store.run().last() else { return Vec::new() };
    let weights = last.weights();
    let line = |(k, column): (usize, &crate::store::Column)| {
        let quantile = |q: f64| weights.quantile(last.summaries.column(k).iter().copied(), q);
        let band =
            Band { median: quantile(0.5), q05: quantile(0.05), q25: quantile(0.25), q75: quantile(0.75), q95: quantile(0.95) };
        RowLine {
            id: column.name.clone(),
            label: if column.long_name.is_empty() { column.name.clone() } else { column.long_name.clone() },
            trial: String::new(),
            role: Use::Fitted,
            share: false,
            unit: column.unit.clone(),
            month: f64::NAN,
            observed: header.observed[k],
            se: f64::NAN,
            n: 0,
            prior: None,
            posterior: Some(band),
            inside: Some(band.holds(header.observed[k])),
            crps: None,
            crps_last: None,
            crps_hazard: None,
            crps_prior: None,
            width_ratio: None,
            source: None,
        }
    };
    header.summaries.iter().enumerate().map(line).collect()
}
