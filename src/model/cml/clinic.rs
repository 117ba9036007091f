//! The bedside of a trial: what is found at a visit, what the protocol makes of it, and the history at the end.

use super::course::Bedside;
use super::drugs::{Drug, Exposure};
use super::observe::{Observer, Seen, Treatment};
use super::parameters::Population;
use super::patient::Patient;
use super::protocol::{Case, Protocol};
use super::signaling::kinase_mature;
use super::state::{COUNT, H};
use super::targets::Target;
use crate::integrate::Failure;
use crate::model::Unsimulable;
use crate::rng::{Key, Purpose, Stream};
use crate::trial::history::{History, Plan};

/// Months after which the clearance of imatinib is at its later level.
const FIRST: f64 = 1.0;

/// Follows patients through a trial.
pub struct Clinic<'a> {
    /// The population.
    population: &'a Population,
    /// The trial's visits.
    plan: &'a Plan,
    /// What is done with the patients.
    protocol: &'a Protocol,
    /// What is found of them.
    observer: Observer<'a>,
    /// The patients.
    patients: &'a [Patient],
    /// The address of each patient's randomness.
    keys: &'a [Key],
    /// The patients' charts.
    charts: Vec<Chart>,
    /// The patient of lowest index who could not be followed, whatever the order in which lanes finish.
    pub failure: Option<(usize, Failure)>,
}

/// What is known of a patient on the way.
struct Chart {
    seen: Seen,
    case: Case,
    /// Load of driven progenitors at diagnosis and at each visit, see [`H`].
    loads: Vec<f64>,
    /// See [`Treatment::growth`].
    growth: Vec<(f64, f64)>,
    /// Exposure that varies.
    varying: Option<Stream>,
}

impl<'a> Clinic<'a> {
    /// A clinic for these patients.
    ///
    /// # Errors
    /// As for [`Observer::new`].
    pub fn new(
        population: &'a Population,
        plan: &'a Plan,
        protocol: &'a Protocol,
        patients: &'a [Patient],
        keys: &'a [Key],
    ) -> Result<Self, Unsimulable> {
        Ok(Clinic {
            population,
            plan,
            protocol,
            observer: Observer::new(plan, population)?,
            patients,
            keys,
            charts: Vec::with_capacity(patients.len()),
            failure: None,
        })
    }

    /// Months between visits at which what acts on a patient changes.
    pub fn pauses(&self) -> Vec<f64> {
        let changes = self.population.clearance_first != 1.0 && !self.plan.months.contains(&FIRST);
        if changes { vec![FIRST] } else { Vec::new() }
    }

    /// What a patient gets.
    pub fn case(&self, j: usize) -> &Case {
        &self.charts[j].case
    }

    /// What is known of every patient by the end of `plan`, which is that of the trial or a shorter one.
    ///
    /// # Errors
    /// As for [`Observer::new`].
    pub fn histories(&self, plan: &Plan) -> Result<Vec<History>, Unsimulable> {
        let observer = Observer::new(plan, self.population)?;
        let history = |((chart, patient), key): ((&Chart, &Patient), &Key)| {
            let Chart { seen, loads, growth, case, .. } = chart;
            let how = Treatment { growth, stopped: case.stopped, relapsed: case.relapsed, stays: &self.protocol.stays };
            observer.history(seen, loads, patient, &how, *key)
        };
        Ok(self.charts.iter().zip(self.patients).zip(self.keys).map(history).collect())
    }
}

impl Chart {
    /// What acts on the patient now, and from `month` on how fast a transformed clone grows.
    fn expose(&mut self, population: &Population, patient: &Patient, month: f64) -> Exposure {
        let varied = self.varying.as_mut().map_or(1.0, |rng| libm::exp(population.exposure_sd * rng.normal()));
        let first = if month < FIRST { population.clearance_first } else { 1.0 };
        let factor = |drug| if drug == Drug::Imatinib { varied / first } else { varied };
        let exposure = self.case.exposure(population, patient, factor);
        let kinase = kinase_mature(patient, &exposure);
        let slowed = 1.0 - population.transformed_sensitivity * (1.0 - kinase);
        self.growth.push((month, slowed * exposure.blocks.left(Target::Wnt)));
        exposure
    }
}

impl Bedside for Clinic<'_> {
    fn admit(&mut self, j: usize, state: &[f64; COUNT]) -> Exposure {
        let (patient, key) = (&self.patients[j], self.keys[j]);
        let mut loads = Vec::with_capacity(self.plan.months.len() + 1);
        loads.push(state[H]);
        let mut chart = Chart {
            seen: self.observer.begin(patient, key),
            case: self.protocol.start(key),
            loads,
            growth: Vec::new(),
            varying: (self.population.exposure_sd > 0.0).then(|| key.stream(Purpose::Exposure)),
        };
        let exposure = chart.expose(self.population, patient, 0.0);
        self.charts.push(chart);
        exposure
    }

    fn visit(&mut self, j: usize, visit: usize, state: &[f64; COUNT]) -> Option<Exposure> {
        let (chart, patient) = (&mut self.charts[j], &self.patients[j]);
        self.observer.visit(&mut chart.seen, visit, state, patient);
        chart.loads.push(state[H]);
        let mut changed = chart.varying.is_some() || self.plan.months[visit] == FIRST;
        if self.protocol.watches() {
            changed |= self.protocol.visit(&mut chart.case, self.plan, visit, &chart.seen.found, self.keys[j]);
        }
        changed.then(|| chart.expose(self.population, patient, self.plan.months[visit]))
    }

    fn pause(&mut self, j: usize, month: f64) -> Option<Exposure> {
        Some(self.charts[j].expose(self.population, &self.patients[j], month))
    }

    fn lose(&mut self, j: usize, failure: Failure) {
        if self.failure.as_ref().is_none_or(|(first, _)| j < *first) {
            self.failure = Some((j, failure));
        }
    }
}
