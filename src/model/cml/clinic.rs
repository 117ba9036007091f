//! The bedside of a trial: what is found at a visit, what the protocol makes of it, and the history at the end.

use super::course::Bedside;
use super::drugs::{Drug, Exposure};
use super::observe::{Observer, Seen, Treatment};
use super::parameters::Population;
use super::patient::Patient;
use super::protocol::{Case, Protocol};
use super::signaling::kinase_mature;
use super::state::COUNT;
use super::targets::Target;
use crate::integrate::{Failure, MOST_LANES};
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
    /// The patients' charts, by lane.
    charts: [Option<Chart>; MOST_LANES],
    /// What is known at the end of each patient who is through.
    pub histories: Vec<History>,
    /// The patient of lowest index who could not be followed, whatever the order in which lanes finish.
    pub failure: Option<(usize, Failure)>,
}

/// What is known of a patient on the way.
pub struct Chart {
    seen: Seen,
    case: Case,
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
            charts: std::array::from_fn(|_| None),
            histories: vec![History::default(); patients.len()],
            failure: None,
        })
    }

    /// Months between visits at which what acts on a patient changes.
    pub fn pauses(&self) -> Vec<f64> {
        let changes = self.population.clearance_first != 1.0 && !self.plan.months.contains(&FIRST);
        if changes { vec![FIRST] } else { Vec::new() }
    }

    /// What acts on the patient now, and from `month` on how fast a transformed clone grows.
    fn expose(&self, chart: &mut Chart, j: usize, month: f64) -> Exposure {
        let (population, patient) = (self.population, &self.patients[j]);
        let varied = chart.varying.as_mut().map_or(1.0, |rng| libm::exp(population.exposure_sd * rng.normal()));
        let first = if month < FIRST { population.clearance_first } else { 1.0 };
        let factor = |drug| if drug == Drug::Imatinib { varied / first } else { varied };
        let exposure = chart.case.exposure(population, patient, factor);
        let kinase = kinase_mature(patient, &exposure);
        let slowed = 1.0 - population.transformed_sensitivity * (1.0 - kinase);
        chart.growth.push((month, slowed * exposure.blocks.left(Target::Wnt)));
        exposure
    }
}

impl Bedside for Clinic<'_> {
    fn admit(&mut self, lane: usize, j: usize) -> Exposure {
        // The lists of the patient before in this lane are used again.
        let (case, mut growth) = self.charts[lane].take().map(|chart| (chart.case, chart.growth)).unwrap_or_default();
        growth.clear();
        let varying = (self.population.exposure_sd > 0.0).then(|| self.keys[j].stream(Purpose::Exposure));
        let mut chart = Chart { seen: self.observer.begin(&self.patients[j], self.keys[j]), case, growth, varying };
        self.protocol.start(&mut chart.case, self.keys[j]);
        let exposure = self.expose(&mut chart, j, 0.0);
        self.charts[lane] = Some(chart);
        exposure
    }

    fn visit(&mut self, lane: usize, j: usize, visit: usize, state: &[f64; COUNT]) -> Option<Exposure> {
        let mut chart = self.charts[lane].take()?;
        self.observer.visit(&mut chart.seen, visit, state, &self.patients[j]);
        let mut changed = chart.varying.is_some() || self.plan.months[visit] == FIRST;
        if self.protocol.watches() {
            changed |= self.protocol.visit(&mut chart.case, self.plan, visit, &chart.seen.found, self.keys[j]);
        }
        let exposure = changed.then(|| self.expose(&mut chart, j, self.plan.months[visit]));
        self.charts[lane] = Some(chart);
        exposure
    }

    fn pause(&mut self, lane: usize, j: usize, month: f64) -> Option<Exposure> {
        let mut chart = self.charts[lane].take()?;
        let exposure = self.expose(&mut chart, j, month);
        self.charts[lane] = Some(chart);
        Some(exposure)
    }

    fn discharge(&mut self, lane: usize, j: usize, states: Result<&[[f64; COUNT]], Failure>) {
        match (states, &self.charts[lane]) {
            (Ok(states), Some(chart)) => {
                let how = Treatment {
                    growth: &chart.growth,
                    stopped: chart.case.stopped,
                    relapsed: chart.case.relapsed,
                    stays: &self.protocol.stays,
                };
                self.histories[j] = self.observer.history(&chart.seen, states, &self.patients[j], &how, self.keys[j]);
            }
            (Err(failure), _) if self.failure.as_ref().is_none_or(|(first, _)| j < *first) => self.failure = Some((j, failure)),
            _ => {}
        }
    }
}
