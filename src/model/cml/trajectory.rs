//! One virtual patient from visit to visit: states, signaling nodes, what a visit measures.

use super::clinic::Clinic;
use super::course::Bedside;
use super::drugs::{Exposure, UNMUTATED};
use super::observe::international_scale;
use super::signaling::{self, Signals};
use super::state::{self, COUNT, DL, DR};
use crate::integrate::Failure;
use crate::trial::history::History;

/// A patient at diagnosis and at each visit.
#[derive(Clone, Debug)]
pub struct Trajectory {
    /// Months since the start of treatment, from 0.
    pub months: Vec<f64>,
    /// States, see [`state`].
    pub states: Vec<[f64; COUNT]>,
    /// Underlying BCR-ABL on the International Scale, %, without the noise of the assay.
    pub is: Vec<f64>,
    /// Signals of the unmutated and of the mutant clone under what was given up to the visit; at month 0 without drug.
    pub signals: Vec<[Signals; 2]>,
    /// What the trial saw.
    pub history: History,
}

impl Trajectory {
    /// Names of the columns, each with its unit, in the order of [`Trajectory::row`].
    pub fn columns() -> Vec<(String, &'static str)> {
        let mut columns = vec![("month".to_string(), "month"), ("bcr_abl".to_string(), "% IS")];
        columns.extend(state::NAMES.iter().zip(state::UNITS).map(|(name, unit)| ((*name).to_string(), unit)));
        for clone in ["unmutated", "mutant"] {
            columns.extend(signaling::NAMES.iter().map(|name| (format!("{clone}.{name}"), "-")));
        }
        columns
    }

    /// The numbers of one visit.
    pub fn row(&self, i: usize) -> Vec<f64> {
        let mut row = vec![self.months[i], self.is[i]];
        row.extend(self.states[i]);
        row.extend(self.signals[i].iter().flat_map(Signals::values));
        row
    }
}

/// A clinic that writes down what happens to its only patient.
pub(super) struct Recorder<'a> {
    clinic: Clinic<'a>,
    exposure: Exposure,
    signals: Vec<[Signals; 2]>,
    states: Vec<[f64; COUNT]>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(clinic: Clinic<'a>) -> Self {
        Recorder { clinic, exposure: Exposure::default(), signals: Vec::new(), states: Vec::new() }
    }

    fn signals(&self) -> [Signals; 2] {
        let patient = &self.clinic.patients[0];
        [UNMUTATED, patient.mutant_folds].map(|folds| Signals::of(patient, &self.exposure, &folds))
    }

    pub(super) fn trajectory(mut self) -> Result<Trajectory, Failure> {
        if let Some((_, failure)) = self.clinic.failure {
            return Err(failure);
        }
        let ratio = self.clinic.patients[0].leukaemic_ratio;
        Ok(Trajectory {
            months: std::iter::once(0.0).chain(self.clinic.plan.months.iter().copied()).collect(),
            is: self.states.iter().map(|y| international_scale(ratio * (y[DL] + y[DR]))).collect(),
            states: self.states,
            signals: self.signals,
            history: self.clinic.histories.pop().unwrap_or_default(),
        })
    }
}

impl Bedside for Recorder<'_> {
    fn admit(&mut self, lane: usize, j: usize) -> Exposure {
        self.signals.push(self.signals());
        self.exposure = self.clinic.admit(lane, j);
        self.exposure
    }

    fn visit(&mut self, lane: usize, j: usize, visit: usize, state: &[f64; COUNT]) -> Option<Exposure> {
        self.signals.push(self.signals());
        let next = self.clinic.visit(lane, j, visit, state);
        self.exposure = next.unwrap_or(self.exposure);
        next
    }

    fn discharge(&mut self, lane: usize, j: usize, states: Result<&[[f64; COUNT]], Failure>) {
        self.states = states.map(<[_]>::to_vec).unwrap_or_default();
        self.clinic.discharge(lane, j, states);
    }
}

#[cfg(test)]
mod tests {
    use super::super::cohort::{Cml, Trial};
    use super::super::parameters::nominal;
    use crate::rng::Key;

    /// The patient of a trajectory is the one of the cohort, whoever is followed beside; seen to fail with another key.
    #[test]
    fn a_trajectory_is_that_of_the_patient_in_the_cohort() {
        let model = Cml::new(Trial::iris(40, 60.0), &[]).unwrap();
        let histories = model.histories(&nominal(), Key::root(4)).unwrap();
        for j in [0, 7, 39] {
            let alone = model.trajectory(&nominal(), Key::root(4), j).unwrap();
            assert_eq!(alone.history, histories[j as usize], "patient {j}");
            assert_eq!((alone.months.len(), alone.states.len(), alone.signals.len()), (23, 23, 23));
            assert_eq!(alone.row(0).len(), super::Trajectory::columns().len());
            assert_eq!(alone.signals[0][0].mek, 1.0);
            assert!(alone.signals[3][0].kinase_mature < 1.0 && alone.is[0] > 10.0);
        }
    }
}
