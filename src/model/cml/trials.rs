//! Several trials as one model: one biology, and of each trial a cohort of its own, followed by its own visits and rules. Its rows
//! are those of all trials.
//!
//! What a trial does not share with the others (an assay, how strictly its patients were counted) is a parameter of its own,
//! `NAME@TRIAL`, behind those of the table. What is asked of the model beside its trials, as another arm, has the shared values.

use std::ops::ControlFlow;

use super::cohort::Cml;
use super::parameters::{TABLE, own};
use crate::model::{Model, Parameter, Stages, Summary, Unsimulable};
use crate::rng::Key;

/// Between a parameter's name and that of the trial whose own it is.
pub const OF: char = '@';

/// The name in the parameter table of a parameter that may be a trial's own.
pub fn shared(name: &str) -> &str {
    name.split_once(OF).map_or(name, |(shared, _)| shared)
}

/// One of the trials.
pub struct Arm {
    /// Its name.
    pub name: String,
    /// Its cohort, with its rows as summaries: proportions.
    pub model: Cml,
    /// Where each of its rows stands among those of all trials.
    pub rows: Vec<usize>,
    /// Parameters that it does not share.
    pub own: Vec<String>,
}

/// Trials with one biology.
pub struct Trials {
    parameters: Vec<Parameter>,
    summaries: Vec<Summary>,
    arms: Vec<Arm>,
}

impl Trials {
    /// From its trials, each row of which is another one of all rows; names of no parameter are left out of `own`.
    pub fn new(mut arms: Vec<Arm>) -> Self {
        let mut parameters = TABLE.to_vec();
        let mut rows: Vec<(usize, Summary)> = Vec::new();
        for arm in &mut arms {
            rows.extend(arm.rows.iter().copied().zip(arm.model.summaries().iter().cloned()));
            for (at, parameter) in arm.own.iter().filter_map(|name| own(name)) {
                arm.model.read_from(at, parameters.len());
                let name = lasting(format!("{}{OF}{}", parameter.name, arm.name));
                let meaning = lasting(format!("{}, in the trial {} alone", parameter.meaning, arm.name));
                parameters.push(Parameter { name, meaning, ..parameter.clone() });
            }
        }
        rows.sort_by_key(|(at, _)| *at);
        Trials { parameters, summaries: rows.into_iter().map(|(_, summary)| summary).collect(), arms }
    }
}

/// A text that lasts as long as the program does, as parameter tables do.
fn lasting(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// What a simulation of all trials knows so far. A row of a trial that has not begun is a proportion that can be anything.
struct Known<'a> {
    out: &'a mut dyn Stages,
    lower: Vec<f64>,
    upper: Vec<f64>,
    enough: bool,
}

/// One trial of it: its rows, the share of the work before it, and its own.
struct Part<'a, 'b> {
    known: &'a mut Known<'b>,
    rows: &'a [usize],
    before: f64,
    share: f64,
    last: bool,
}

impl Stages for Part<'_, '_> {
    fn stage(&mut self, done: f64, lower: &[f64], upper: &[f64]) -> ControlFlow<()> {
        let Known { out, lower: all_lower, upper: all_upper, enough } = &mut *self.known;
        for (k, &row) in self.rows.iter().enumerate() {
            (all_lower[row], all_upper[row]) = (lower[k], upper[k]);
        }
        let done = if self.last && done == 1.0 { 1.0 } else { self.before + self.share * done };
        let flow = out.stage(done, all_lower, all_upper);
        *enough = flow.is_break();
        flow
    }

    fn looks(&self) -> bool {
        self.known.out.looks()
    }
}

impl Model for Trials {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn summaries(&self) -> &[Summary] {
        &self.summaries
    }

    /// One trial after the other, in their order. The cohort of each follows from its name: it is the same whatever other trials
    /// there are.
    fn simulate(&self, theta: &[f64], key: Key, out: &mut dyn Stages) -> Result<(), Unsimulable> {
        // A trial without rows is one that is only predicted, and this is the fit.
        let arms: Vec<&Arm> = self.arms.iter().filter(|arm| !arm.rows.is_empty()).collect();
        let work = |arm: &Arm| arm.model.trial().patients as f64 * arm.model.trial().plan.horizon;
        let all: f64 = arms.iter().map(|arm| work(arm)).sum();
        let rows = self.summaries.len();
        let mut known = Known { out, lower: vec![0.0; rows], upper: vec![1.0; rows], enough: false };
        let mut before = 0.0;
        for (k, arm) in arms.iter().enumerate() {
            let share = work(arm) / all;
            let mut part = Part { known: &mut known, rows: &arm.rows, before, share, last: k + 1 == arms.len() };
            arm.model.simulate(theta, key.named(&arm.name), &mut part)?;
            if known.enough {
                break;
            }
            before += share;
        }
        Ok(())
    }
}
