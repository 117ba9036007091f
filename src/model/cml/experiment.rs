//! Experiments on the model itself: what no trial sees. Patients are followed as in a trial, with anything about them altered,
//! from diagnosis or from another state, and beside its history each of them leaves its states and what acts on it.

use std::ops::Range;

use super::clinic::Clinic;
use super::cohort::{Part, lost};
use super::course::{Bedside, Cohort, FewCells};
use super::drugs::{Exposure, UNMUTATED};
use super::equations::TOLERANCE;
use super::observe::international_scale;
use super::parameters::Population;
use super::patient::Patient;
use super::protocol::{DRUGS, Protocol};
use super::signaling::{self, Signals};
use super::state::{COUNT, DL, DR};
use crate::integrate::{Failure, Width};
use crate::model::Unsimulable;
use crate::rng::Key;
use crate::trial::history::{History, Plan};

/// How patients are made and what is done with them.
pub struct Experiment<'a> {
    /// A full `theta`.
    pub theta: &'a [f64],
    /// Visits.
    pub plan: &'a Plan,
    /// Treatment.
    pub protocol: &'a Protocol,
    /// Parts of the model that are left out.
    pub without: &'a [Part],
    /// How few stem cells are followed.
    pub few_cells: FewCells,
    /// What is altered about each patient.
    pub alter: fn(&mut Patient),
    /// The state from which a patient starts.
    pub begin: fn(&Patient) -> [f64; COUNT],
}

/// Everything about one patient.
pub struct Witness<'a> {
    /// The visits.
    pub plan: &'a Plan,
    /// The rules of treatment.
    pub protocol: &'a Protocol,
    /// Traits.
    pub patient: Patient,
    /// What acts on the patient from the start of treatment and from each visit on.
    pub exposures: Vec<Exposure>,
    /// What acted up to each visit; between visits it can change once more.
    pub until: Vec<Exposure>,
    /// Daily doses from the start of treatment and from each visit on, in the order of [`Drug::ALL`](super::drugs::Drug).
    pub doses: Vec<[f64; DRUGS]>,
    /// Month at which each rule acted; infinite if it has not.
    pub acted: Vec<f64>,
    /// What a trial sees.
    pub history: History,
    /// States at the start and at every visit.
    pub states: Vec<[f64; COUNT]>,
}

impl Witness<'_> {
    /// The state at month 0 or at a visit; `None` without a visit within half a month.
    pub fn at(&self, month: f64) -> Option<&[f64; COUNT]> {
        let row = if month == 0.0 { 0 } else { self.plan.visit(month)? + 1 };
        self.states.get(row)
    }

    /// Signals of the unmutated clone from the start of treatment.
    pub fn signals(&self) -> Signals {
        Signals::of(&self.patient, &self.exposures[0], &UNMUTATED)
    }

    /// Adhesion of normal stem cells from the start of treatment.
    pub fn normal_adhesion(&self) -> f64 {
        signaling::normal_adhesion(&self.patient, &self.exposures[0].blocks)
    }

    /// BCR-ABL on the International Scale, %, in a state, free of the noise of the assay.
    pub fn is(&self, state: &[f64; COUNT]) -> f64 {
        international_scale(self.patient.leukaemic_ratio * (state[DL] + state[DR]))
    }

    /// Its log10 at a month.
    pub fn log_is(&self, month: f64) -> Option<f64> {
        self.at(month).map(|state| libm::log10(self.is(state)))
    }
}

/// A clinic that lets patients start where the experiment wants them to, and keeps what it sees.
struct Laboratory<'a> {
    clinic: Clinic<'a>,
    begin: fn(&Patient) -> [f64; COUNT],
    /// What acts on each patient now.
    now: Vec<Exposure>,
    exposures: Vec<Vec<Exposure>>,
    until: Vec<Vec<Exposure>>,
    doses: Vec<Vec<[f64; DRUGS]>>,
    states: Vec<Vec<[f64; COUNT]>>,
}

impl Laboratory<'_> {
    /// Notes what is given and acts from a visit on.
    fn note(&mut self, j: usize, state: &[f64; COUNT], changed: Option<Exposure>) {
        self.now[j] = changed.unwrap_or(self.now[j]);
        self.exposures[j].push(self.now[j]);
        self.doses[j].push(self.clinic.case(j).doses());
        self.states[j].push(*state);
    }
}

impl Bedside for Laboratory<'_> {
    fn admit(&mut self, j: usize, state: &[f64; COUNT]) -> Exposure {
        let exposure = self.clinic.admit(j, state);
        self.note(j, state, Some(exposure));
        exposure
    }

    fn begin(&mut self, _: usize, patient: &Patient) -> [f64; COUNT] {
        (self.begin)(patient)
    }

    fn visit(&mut self, j: usize, visit: usize, state: &[f64; COUNT]) -> Option<Exposure> {
        self.until[j].push(self.now[j]);
        let changed = self.clinic.visit(j, visit, state);
        self.note(j, state, changed);
        changed
    }

    fn pause(&mut self, j: usize, month: f64) -> Option<Exposure> {
        let changed = self.clinic.pause(j, month);
        self.now[j] = changed.unwrap_or(self.now[j]);
        changed
    }

    fn lose(&mut self, j: usize, failure: Failure) {
        self.clinic.lose(j, failure);
    }
}

impl Experiment<'_> {
    /// Patients of a cohort. Patient *j* depends on the experiment, `key` and *j* alone: two experiments under the same key are
    /// compared on common random numbers.
    ///
    /// # Errors
    /// [`Unsimulable`] if the population is outside its ranges or a patient cannot be integrated.
    pub fn follow(&self, key: Key, patients: Range<u64>) -> Result<Vec<Witness<'_>>, Unsimulable> {
        let population = Population::new(self.theta)?;
        let first = patients.start as usize;
        let keys: Vec<Key> = patients.map(|j| key.child(j)).collect();
        let mut patients: Vec<Patient> = keys.iter().map(|&key| population.patient(key)).collect();
        for patient in &mut patients {
            self.without.iter().for_each(|part| part.leave_out(patient));
            (self.alter)(patient);
        }
        let mut laboratory = Laboratory {
            clinic: Clinic::new(&population, self.plan, self.protocol, &patients, &keys)?,
            begin: self.begin,
            now: vec![Exposure::default(); keys.len()],
            exposures: vec![Vec::new(); keys.len()],
            until: vec![Vec::new(); keys.len()],
            doses: vec![Vec::new(); keys.len()],
            states: vec![Vec::new(); keys.len()],
        };
        let pauses = laboratory.clinic.pauses();
        let cohort = Cohort {
            patients: &patients,
            keys: &keys,
            months: &self.plan.months,
            pauses: &pauses,
            few_cells: self.few_cells,
            tolerance: &TOLERANCE,
            width: Width::Best,
        };
        cohort.follow(&mut laboratory);
        let Laboratory { clinic, exposures, until, doses, states, .. } = laboratory;
        if let Some((j, problem)) = clinic.failure {
            return Err(lost(first + j, &problem));
        }
        let acting = exposures.into_iter().zip(until);
        let seen = clinic.histories(self.plan)?.into_iter().zip(states).zip(doses).zip(acting);
        let witness = |(j, (((history, states), doses), (exposures, until)))| Witness {
            plan: self.plan,
            protocol: self.protocol,
            patient: patients[j],
            exposures,
            until,
            doses,
            acted: clinic.case(j).acted().to_vec(),
            history,
            states,
        };
        Ok(seen.enumerate().map(witness).collect())
    }
}
