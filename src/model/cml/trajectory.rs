//! One virtual patient from visit to visit: states, doses, signaling nodes, what a visit finds, what happened.

use super::drugs::{Drug, Exposure, IMATINIB_MASS, UNMUTATED};
use super::experiment::Witness;
use super::parameters::{Population, TABLE};
use super::patient::Patient;
use super::signaling::{self, Signals};
use super::state::{self, COUNT};
use crate::trial::history::{Event, History, Leaving, Plan};
use crate::trial::visits::relevant;
use crate::trial::vocabulary::{Endpoint, Word};

/// A patient at diagnosis and at each visit.
#[derive(Clone, Debug)]
pub struct Trajectory {
    /// The visits.
    pub plan: Plan,
    /// Months since the start of treatment, from 0.
    pub months: Vec<f64>,
    /// States, see [`state`].
    pub states: Vec<[f64; COUNT]>,
    /// Underlying BCR-ABL on the International Scale, %, without the noise of the assay.
    pub is: Vec<f64>,
    /// Signals of the unmutated and of the mutant clone under what was given up to the visit; at month 0 without drug.
    pub signals: Vec<[Signals; 2]>,
    /// Drugs that were ever given, each with the daily dose from month 0 and from each visit on.
    pub doses: Vec<(Drug, Vec<f64>)>,
    /// The rules of treatment, each with the month at which it acted; infinite if it has not.
    pub rules: Vec<(String, f64)>,
    /// Traits.
    pub patient: Patient,
    /// What the trial saw.
    pub history: History,
    population: Population,
}

/// Something that happened to a patient.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// Months since the start of treatment.
    pub month: f64,
    /// What it is: `rule`, `stop`, `relapse`, `progression`, `event` (of event-free survival), `left` or `death`.
    pub event: &'static str,
    /// Which rule, which event, for which reason.
    pub what: String,
}

/// A trait of a patient in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Trait {
    /// Its name, that of the parameter of which it is drawn if there is one.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// Unit; `-` for a pure number or a word.
    pub unit: &'static str,
    /// What it is.
    pub meaning: &'static str,
}

impl Trajectory {
    /// The trajectory of a patient of a population.
    pub fn of(witness: &Witness<'_>, population: &Population) -> Self {
        let patient = &witness.patient;
        let untreated = Exposure::default();
        let given = std::iter::once(&untreated).chain(&witness.until);
        let doses = |&(_, drug): &(&str, Drug)| {
            let doses: Vec<f64> = witness.doses.iter().map(|doses| doses[drug as usize]).collect();
            doses.iter().any(|dose| *dose > 0.0).then_some((drug, doses))
        };
        let rules = witness.protocol.rules.iter().zip(&witness.acted);
        Trajectory {
            plan: witness.plan.clone(),
            months: std::iter::once(0.0).chain(witness.plan.months.iter().copied()).collect(),
            is: witness.states.iter().map(|state| witness.is(state)).collect(),
            states: witness.states.clone(),
            signals: given
                .map(|given| [UNMUTATED, patient.mutant_folds].map(|folds| Signals::of(patient, given, &folds)))
                .collect(),
            doses: Drug::ALL.iter().filter_map(doses).collect(),
            rules: rules.map(|(rule, month)| (rule.name.clone(), *month)).collect(),
            patient: *patient,
            history: witness.history,
            population: *population,
        }
    }

    /// Names of the columns, each with its unit, in the order of [`Trajectory::row`].
    pub fn columns(&self) -> Vec<(String, &'static str)> {
        let mut columns = vec![("month".to_string(), "month"), ("bcr_abl".to_string(), "% IS")];
        columns.extend(self.doses.iter().map(|(drug, _)| (format!("dose.{}", drug.name()), drug.profile().unit)));
        columns.push(("attended".into(), "0/1"));
        columns.extend(responses().map(|(name, _)| (format!("found.{name}"), "0/1")));
        columns.extend(state::NAMES.iter().zip(state::UNITS).map(|(name, unit)| ((*name).to_string(), unit)));
        for clone in ["unmutated", "mutant"] {
            columns.extend(signaling::NAMES.iter().map(|name| (format!("{clone}.{name}"), "-")));
        }
        columns
    }

    /// The numbers of one visit; not a number where nothing was examined.
    pub fn row(&self, i: usize) -> Vec<f64> {
        let mut row = vec![self.months[i], self.is[i]];
        row.extend(self.doses.iter().map(|(_, doses)| doses[i]));
        let visit = i.checked_sub(1);
        row.push(visit.map_or(f64::NAN, |k| bit(self.history.attended, k)));
        row.extend(responses().map(|(_, of)| match visit.filter(|k| relevant(&self.plan, of) >> k & 1 == 1) {
            Some(k) => bit(of.found(&self.history.found).unwrap_or(0), k),
            None => f64::NAN,
        }));
        row.extend(self.states[i]);
        row.extend(self.signals[i].iter().flat_map(Signals::values));
        row
    }

    /// What happened until the patient left, and what was seen of the patient after that, in its order.
    pub fn happenings(&self) -> Vec<Happening> {
        let History { left, reason, event, event_kind, progressed, died, died_of_cml, stopped, relapsed, .. } = self.history;
        let happening = |month: f64, event, what: String| Happening { month, event, what };
        let on_study = |month: f64| if month < left { month } else { f64::INFINITY };
        let mut all: Vec<Happening> =
            self.rules.iter().map(|(name, month)| happening(on_study(*month), "rule", name.clone())).collect();
        let of_what = if died_of_cml { "of CML" } else { "not of CML" };
        let reason = if reason == Leaving::Stayed { String::new() } else { reason.name().into() };
        let kind = if event_kind == Event::None { String::new() } else { event_kind.name().into() };
        all.extend([
            happening(on_study(stopped), "stop", "nothing is given any more".into()),
            happening(on_study(relapsed), "relapse", "after the stop".into()),
            happening(progressed, "progression", "accelerated phase or blast crisis".into()),
            happening(event, "event", kind),
            happening(left, "left", reason),
            happening(died, "death", of_what.into()),
        ]);
        all.retain(|happening| happening.month <= self.plan.horizon);
        all.sort_by(|a, b| a.month.total_cmp(&b.month));
        all
    }

    /// What this patient has that others of the population have otherwise.
    pub fn traits(&self) -> Vec<Trait> {
        let p = &self.patient;
        let drawn = [
            ("clearance", p.clearance),
            ("uptake_stem", p.uptake_stem),
            ("death_gain", p.death_gain),
            ("renewal_gain", p.renewal_gain),
            ("adhesion_min", p.adhesion_min),
            ("release", p.release),
            ("quiescent_ratio", p.quiescent_ratio),
            ("progenitor_growth", p.progenitor_growth),
            ("progenitor_loss", p.progenitor_loss),
            ("amplification", p.amplification),
            ("leukaemic_ratio", p.leukaemic_ratio),
            ("effector_window", p.effector_window),
        ];
        let known = |name: &'static str, value: f64| {
            let parameter = TABLE.iter().find(|parameter| parameter.name == name);
            let (unit, meaning) = parameter.map_or(("-", ""), |parameter| (parameter.unit, parameter.meaning));
            Trait { name, value: value.to_string(), unit, meaning }
        };
        let own = |name, value: f64, unit, meaning| Trait { name, value: value.to_string(), unit, meaning };
        let mut all: Vec<Trait> = drawn.map(|(name, value)| known(name, value)).into();
        all.extend([
            own("age", p.age, "y", "Age at diagnosis"),
            own("effector_stimulus", p.effector_stimulus, "1/d", "Maximal stimulation of effectors"),
            own(
                "latency",
                p.latency,
                "y",
                "From the birth of a transformed clone to accelerated phase or blast crisis, untreated",
            ),
            own("bypass", p.bypass, "-", "Progenitor drive that does not depend on the kinase"),
            own("mutant_cells", p.mutant_cells, "cells", "Stem cells of the mutant clone at diagnosis, 0 = none"),
            own("adherence", p.adherence, "-", "Share of the prescribed doses that is taken"),
            own("exposure_others", p.exposure_others, "-", "Exposure to the other inhibitors at a dose, 1 = median"),
            own("expression", p.expression, "-", "Expression of BCR-ABL, 1 = median: so much more inhibitor is needed"),
            own("uptake_mature", p.uptake_mature, "-", "Drug uptake of progenitors and mature cells, 1 = median"),
            own("stem_cells", p.stem_cells, "cells", "Cycling leukaemic stem cells at diagnosis"),
        ]);
        let mutant = "Mutation of the mutant clone, of that at diagnosis or, if there is none, of one born later";
        all.push(Trait { name: "mutant", value: p.mutant.into(), unit: "-", meaning: mutant });
        let folds = ["mutant_fold_imatinib", "mutant_fold_nilotinib", "mutant_fold_dasatinib"].into_iter().zip(p.mutant_folds);
        all.extend(folds.map(|(name, fold)| own(name, fold, "-", "IC50 of the mutant clone relative to the unmutated one")));
        all.extend(self.trough().map(|trough| {
            own("imatinib_trough", trough, "ng/mL", "Trough of imatinib at steady state under its first dose, all of it taken")
        }));
        all
    }

    /// Trough of imatinib in plasma under its first dose, ng/mL.
    fn trough(&self) -> Option<f64> {
        const NG_PER_ML_PER_UMOL_PER_L: f64 = IMATINIB_MASS;
        let (_, doses) = self.doses.iter().find(|(drug, _)| *drug == Drug::Imatinib)?;
        let dose = doses.iter().find(|dose| **dose > 0.0)?;
        let clearance = self.patient.clearance;
        let mean = self.population.concentration(*dose, clearance) * NG_PER_ML_PER_UMOL_PER_L;
        Some(mean * self.population.trough_ratio(clearance))
    }
}

/// The responses that visits look for.
fn responses() -> impl Iterator<Item = (&'static str, Endpoint)> {
    Endpoint::ALL.iter().copied().filter(|(_, endpoint)| endpoint.is_response())
}

fn bit(set: u128, k: usize) -> f64 {
    (set >> k & 1) as f64
}

#[cfg(test)]
mod tests {
    use super::super::cohort::{Cml, Trial};
    use super::super::drugs::Drug;
    use super::super::parameters::nominal;
    use super::super::protocol::{Action, Finding, Rule, Scope, Share};
    use crate::rng::Key;
    use crate::trial::history::Plan;
    use crate::trial::vocabulary::Endpoint;

    /// The patient of a trajectory is the one of the cohort, whoever is followed beside; seen to fail with another key.
    #[test]
    fn a_trajectory_is_that_of_the_patient_in_the_cohort() {
        let model = Cml::new(Trial::iris(40, 60.0), &[]).unwrap();
        let histories = model.histories(&nominal(), Key::root(4)).unwrap();
        for j in [0, 7, 39] {
            let alone = model.trajectory(&nominal(), Key::root(4), j).unwrap();
            assert_eq!(alone.history, histories[j as usize], "patient {j}");
            assert_eq!((alone.months.len(), alone.states.len(), alone.signals.len()), (23, 23, 23));
            assert_eq!(alone.row(0).len(), alone.columns().len());
            assert_eq!(alone.signals[0][0].mek, 1.0);
            assert!(alone.signals[3][0].kinase_mature < 1.0 && alone.is[0] > 10.0);
            // Clearance has fallen by the second month, between visits: what acts up to the first is what acts later.
            let quarterly = Plan { months: vec![3.0, 6.0], marrow: 0, horizon: 6.0 };
            let rare = Cml::new(Trial { plan: quarterly, ..Trial::iris(40, 6.0) }, &[]).unwrap();
            let rare = rare.trajectory(&nominal(), Key::root(4), j).unwrap();
            assert_eq!(rare.signals[1][0], rare.signals[2][0]);
        }
    }

    /// Planted: events after leaving. Seen: those of the history, in order, and no rule that the trial did not see.
    #[test]
    fn what_happened_is_what_the_history_says() {
        let stop = Action { stop: vec![Drug::Imatinib], ..Action::default() };
        let again = Action { give: vec![(Drug::Imatinib, 400.0)], relapse: true, ..Action::default() };
        let mut trial = Trial::iris(200, 96.0);
        let rule = |name: &str, after, from, of, not, then| Rule {
            name: name.into(),
            after,
            window: (from, f64::INFINITY),
            share: Share::all(),
            when: vec![Finding { of, not, scope: Scope::Now }],
            then,
        };
        trial.protocol.rules.push(rule("off", None, 24.0, Endpoint::Mr4, false, stop));
        trial.protocol.rules.push(rule("on", Some(1), 0.0, Endpoint::Mmr, true, again));
        let model = Cml::new(trial, &[]).unwrap();
        let (mut seen, mut relapses) = (std::collections::BTreeSet::new(), 0);
        for j in 0..200 {
            let alone = model.trajectory(&nominal(), Key::root(4), j).unwrap();
            let (happened, history) = (alone.happenings(), alone.history);
            assert!(happened.windows(2).all(|pair| pair[0].month <= pair[1].month));
            let month = |event: &str| happened.iter().find(|h| h.event == event).map_or(f64::INFINITY, |h| h.month);
            assert_eq!((month("left"), month("event")), (history.left, history.event), "patient {j}");
            assert_eq!((month("stop"), month("relapse")), (history.stopped, history.relapsed), "patient {j}");
            assert_eq!((happened[0].event, happened[0].what.as_str(), happened[0].month), ("rule", "imatinib", 0.0));
            assert!(happened.iter().all(|h| h.event != "rule" || h.month < history.left));
            relapses += u32::from(month("relapse") < f64::INFINITY);
            seen.extend(happened.into_iter().map(|h| h.event));
            // The dose of every visit, and the column of a finding that was looked for there.
            let dose = |i: usize| alone.row(i)[2];
            for i in 1..alone.months.len() {
                let off = history.stopped <= alone.months[i] && alone.rules[2].1 > alone.months[i];
                assert!(history.left <= alone.months[i] || (dose(i) == 0.0) == off, "patient {j}, row {i}");
            }
        }
        assert!(relapses > 3 && seen.len() == 7, "{relapses} {seen:?}");
    }

    #[test]
    fn traits_have_units_and_a_meaning() {
        let model = Cml::new(Trial::iris(10, 12.0), &[]).unwrap();
        let traits = model.trajectory(&nominal(), Key::root(4), 0).unwrap().traits();
        assert!(traits.iter().all(|t| !t.meaning.is_empty() && !t.unit.is_empty() && !t.value.is_empty()), "{traits:?}");
        let value = |name: &str| traits.iter().find(|t| t.name == name).unwrap().value.clone();
        assert!(value("mutant").chars().next().unwrap().is_ascii_uppercase());
        // The label: 979 +- 530 ng/mL at 400 mg.
        let trough: f64 = value("imatinib_trough").parse().unwrap();
        assert!((200.0..3000.0).contains(&trough), "{trough}");
    }
}
