//! One virtual patient from visit to visit: states, signaling nodes, what a visit measures.

use super::drugs::{Exposure, UNMUTATED};
use super::experiment::Witness;
use super::patient::Patient;
use super::signaling::{self, Signals};
use super::state::{self, COUNT};
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
    /// Traits.
    pub patient: Patient,
    /// What the trial saw.
    pub history: History,
}

impl Trajectory {
    /// The trajectory of a patient.
    pub fn of(witness: &Witness<'_>) -> Self {
        let patient = &witness.patient;
        let untreated = Exposure::default();
        let given = std::iter::once(&untreated).chain(&witness.exposures).take(witness.states.len());
        Trajectory {
            months: std::iter::once(0.0).chain(witness.plan.months.iter().copied()).collect(),
            is: witness.states.iter().map(|state| witness.is(state)).collect(),
            states: witness.states.clone(),
            signals: given
                .map(|given| [UNMUTATED, patient.mutant_folds].map(|folds| Signals::of(patient, given, &folds)))
                .collect(),
            patient: *patient,
            history: witness.history,
        }
    }

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
