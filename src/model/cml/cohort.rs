//! A virtual trial: a cohort is drawn, followed and observed, and the rows of a publication are estimated from it as the
//! publication did.

use super::course;
use super::observe::Observer;
use super::parameters::{Population, TABLE};
use super::state;
use crate::error::Result;
use crate::integrate::Width;
use crate::model::{Model, Parameter, Stages, Summary, Unsimulable};
use crate::rng::Key;
use crate::trial::estimate::Estimator;
use crate::trial::history::{History, Plan};
use crate::trial::table::Row;

/// The model `cml` with its trial: how many patients, which visits, which rows.
pub struct Cml {
    patients: usize,
    plan: Plan,
    estimator: Estimator,
    summaries: Vec<Summary>,
    width: Width,
}

impl Cml {
    /// A trial of `patients` that is followed until the last of `rows` and estimates each of them.
    ///
    /// # Errors
    /// [`Error::Input`](crate::error::Error::Input) if a row asks for something that the visits of the trial cannot give.
    pub fn new(patients: usize, rows: &[&Row]) -> Result<Self> {
        let horizon = rows.iter().map(|row| row.month).fold(0.0, f64::max);
        let plan = Plan::iris(horizon);
        let estimator = Estimator::new(rows, &plan)?;
        let summaries = rows.iter().map(|row| Summary { name: row.id.clone(), unit: "-".into() }).collect();
        Ok(Cml { patients, plan, estimator, summaries, width: Width::Best })
    }

    /// The same trial with another SIMD width; no result depends on it.
    #[must_use]
    pub fn with_width(self, width: Width) -> Self {
        Cml { width, ..self }
    }

    /// The trial's visits.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What the trial sees of each patient. Patient *j* depends on `theta`, `key` and *j* alone.
    ///
    /// # Errors
    /// [`Unsimulable`] if the population is outside its ranges or a patient cannot be integrated.
    pub fn histories(&self, theta: &[f64], key: Key) -> Result<Vec<History>, Unsimulable> {
        let population = Population::new(theta)?;
        let observer = Observer::new(&self.plan, &population)?;
        let patients: Vec<_> = (0..self.patients).map(|j| population.patient(key.child(j as u64))).collect();
        let mut histories = vec![History::default(); self.patients];
        let mut failure = None;
        course::follow(&patients, &self.plan.months, self.width, &mut |j, states| match states {
            Ok(states) => histories[j] = observer.history(states, &patients[j], key.child(j as u64)),
            // The smallest index, whatever the order in which lanes finish.
            Err(problem) if failure.as_ref().is_none_or(|(first, _)| j < *first) => failure = Some((j, problem)),
            Err(_) => {}
        });
        match failure {
            None => Ok(histories),
            Some((j, problem)) => Err(Unsimulable(format!(
                "patient {j} cannot be integrated beyond day {:.0}: {:?} in {}",
                problem.time,
                problem.cause,
                state::NAMES[problem.component]
            ))),
        }
    }
}

impl Model for Cml {
    fn parameters(&self) -> &[Parameter] {
        TABLE
    }

    fn summaries(&self) -> &[Summary] {
        &self.summaries
    }

    fn simulate(&self, theta: &[f64], key: Key, out: &mut dyn Stages) -> Result<(), Unsimulable> {
        let histories = self.histories(theta, key)?;
        let mut rows = vec![0.0; self.summaries.len()];
        self.estimator.estimate(&histories, &mut rows);
        let _ = out.stage(&rows, &rows);
        Ok(())
    }
}
