//! A cohort of an experiment: the nominal one, and what is done to it.

use std::ops::Range;

use crate::model::Unsimulable;
use crate::model::cml::cohort::Part;
use crate::model::cml::course::FewCells;
use crate::model::cml::drugs::Drug;
use crate::model::cml::equations::diagnosis;
use crate::model::cml::experiment::{Experiment, Witness};
use crate::model::cml::parameters::{index, nominal};
use crate::model::cml::patient::Patient;
use crate::model::cml::protocol::{Action, Finding, Protocol, Rule, Scope, Share};
use crate::model::cml::state::{CH, CL, COUNT, DL, M, PL, QH, QL, X};
use crate::model::cml::targets::Target;
use crate::rng::Key;
use crate::trial::history::{Leaving, Plan};
use crate::trial::vocabulary::Endpoint;

/// What is done to a cohort.
#[derive(Clone, Copy)]
pub struct Arm {
    /// Daily doses from the start, in standard doses.
    pub drugs: &'static [(Drug, f64)],
    /// Shares of targets that are blocked from the start.
    pub blocks: &'static [(Target, f64)],
    /// Values of parameters other than the nominal ones.
    pub set: &'static [(&'static str, f64)],
    /// What is altered about each patient.
    pub alter: fn(&mut Patient),
    /// Parts of the model that are left out.
    pub without: &'static [Part],
    /// The state from which a patient starts.
    pub begin: fn(&Patient) -> [f64; COUNT],
    /// Whether all drugs are stopped after two years in MR4, from month 60 on and by month 72, and the first one is taken up
    /// again when MMR is lost.
    pub stop: bool,
    /// Whether patients leave as in a trial.
    pub leave: bool,
    /// Months for which they are followed, at the visits of IRIS.
    pub months: f64,
}

/// Imatinib 400 mg a day for five years.
pub const IMATINIB: Arm = Arm {
    drugs: &[(Drug::Imatinib, 1.0)],
    blocks: &[],
    set: &[],
    alter: |_| {},
    without: &[],
    begin: diagnosis,
    stop: false,
    leave: false,
    months: 60.0,
};

/// No treatment for two years.
pub const UNTREATED: Arm = Arm { drugs: &[], months: 24.0, ..IMATINIB };

/// A treatment stop, and two years and more after it.
pub const STOPPED: Arm = Arm { stop: true, months: 96.0, ..IMATINIB };

/// Cells of a clone at onset.
const ONSET: f64 = 1000.0;

/// A small leukaemic clone in a healthy marrow, as many stem cells of it quiescent as of normal ones; no progenitors of it yet.
pub fn onset(patient: &Patient) -> [f64; COUNT] {
    let mut y = healthy(patient);
    let share = ONSET / (y[QH] + y[CH]);
    (y[QL], y[CL]) = (share * y[QH], share * y[CH]);
    y
}

/// A marrow without leukaemia, near its rest.
pub fn healthy(patient: &Patient) -> [f64; COUNT] {
    let mut y = diagnosis(patient);
    (y[QL], y[CL], y[PL], y[DL]) = (0.0, 0.0, 0.0, 0.0);
    (y[M], y[X]) = (0.0, 0.0);
    // Where renewal balances loss, and release attachment.
    let cycling = 1.0 - patient.stem_loss / patient.renewal;
    y[CH] = cycling * patient.capacity_vascular;
    let attached = patient.attach * cycling * patient.capacity_vascular / patient.capacity_osteoblastic;
    y[QH] = attached / (attached + patient.release) * patient.capacity_osteoblastic;
    y
}

/// A diagnosis with every leukaemic cell but 99 of 100 stem cells. Without any, progenitors would be gone within the hour, which
/// is the model's own extreme.
pub fn few_stem_cells(patient: &Patient) -> [f64; COUNT] {
    let mut y = diagnosis(patient);
    (y[QL], y[CL]) = (0.01 * y[QL], 0.01 * y[CL]);
    y
}

impl Arm {
    /// Follows patients of a cohort and shows each of them.
    ///
    /// # Errors
    /// [`Unsimulable`] if one cannot be integrated.
    pub fn follow(&self, key: Key, patients: Range<u64>, show: &mut dyn FnMut(&Witness<'_>)) -> Result<(), Unsimulable> {
        let mut theta = nominal();
        for (name, value) in self.set {
            let at = index(name).ok_or_else(|| Unsimulable(format!("there is no parameter {name}")))?;
            theta[at] = *value;
        }
        let (plan, protocol) = (Plan::iris(self.months), self.protocol());
        let experiment = Experiment {
            theta: &theta,
            plan: &plan,
            protocol: &protocol,
            without: self.without,
            few_cells: FewCells::default(),
            alter: self.alter,
            begin: self.begin,
        };
        experiment.follow(key, patients)?.iter().for_each(show);
        Ok(())
    }

    fn protocol(&self) -> Protocol {
        let doses: Vec<(Drug, f64)> = self.drugs.iter().map(|&(drug, doses)| (drug, doses * drug.profile().standard)).collect();
        let rule =
            |name: &str, after, window, when, then| Rule { name: name.into(), after, window, share: Share::all(), when, then };
        let finding = |of, not, scope| vec![Finding { of, not, scope }];
        let start = Action { give: doses.clone(), block: self.blocks.to_vec(), ..Action::default() };
        let mut rules = vec![rule("start", None, (0.0, 0.0), Vec::new(), start)];
        if self.stop {
            let stop = Action { stop: doses.iter().map(|(drug, _)| *drug).collect(), ..Action::default() };
            let again = Action { give: doses.into_iter().take(1).collect(), relapse: true, ..Action::default() };
            rules.push(rule("stop", None, (60.0, 72.0), finding(Endpoint::Mr4, false, Scope::For(24.0)), stop));
            rules.push(rule("relapse", Some(1), (0.5, self.months), finding(Endpoint::Mmr, true, Scope::Now), again));
        }
        let stays = Leaving::AVOIDABLE;
        Protocol { rules, stays: if self.leave { Vec::new() } else { stays.to_vec() } }
    }
}
