//! What a trial does with its patients: the drugs from the start, and rules that change them at visits.
//!
//! A rule looks at what was found so far, never at the state behind it. It acts once on each patient, at the first visit in
//! its window at which its conditions hold; rules of one visit are tried in their order. A window counts from the start of
//! treatment, or from the visit at which another rule acted.

use super::drugs::{Drug, Exposure};
use super::parameters::Population;
use super::patient::Patient;
use super::targets::Target;
use crate::rng::{Key, Purpose};
use crate::trial::history::{Findings, Leaving, Plan, Visits};
use crate::trial::visits::{last, relevant};
use crate::trial::vocabulary::{Endpoint, Word};

/// Number of drugs.
const DRUGS: usize = Drug::ALL.len();
/// A visit so many months after another one counts as a month later, as everywhere in a trial's windows.
const SLACK: f64 = 0.5;

/// A treatment plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Protocol {
    /// The rules, in the order in which they are tried at a visit.
    pub rules: Vec<Rule>,
    /// Reasons of leaving that play no part.
    pub stays: Vec<Leaving>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name, for other rules and for people.
    pub name: String,
    /// The rule from whose action the window counts; `None`: from the start of treatment.
    pub after: Option<usize>,
    /// First and last month of the window; a rule at month 0 without conditions acts at the start.
    pub window: (f64, f64),
    /// Share of the patients to whom it applies, tossed once for each.
    pub share: f64,
    /// What must hold, all of it.
    pub when: Vec<Finding>,
    /// What happens.
    pub then: Action,
}

/// Something found at visits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// A response.
    pub of: Endpoint,
    /// The contrary.
    pub not: bool,
    /// At which visits.
    pub scope: Scope,
}

/// At which visits something must have been found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scope {
    /// At the last assessment.
    Now,
    /// At any assessment so far.
    Ever,
    /// At every assessment of so many months up to now, that with which they begin included: two at least.
    For(f64),
}

/// What a rule does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Action {
    /// Drugs that are taken away.
    pub stop: Vec<Drug>,
    /// Daily doses, each in the unit of its drug, in place of what was given of it before.
    pub give: Vec<(Drug, f64)>,
    /// Shares of targets that are blocked from now on, besides what drugs block.
    pub block: Vec<(Target, f64)>,
    /// Counts as a relapse after a stop.
    pub relapse: bool,
}

/// What one patient gets, and how it came to that.
#[derive(Clone, Debug, Default)]
pub struct Case {
    doses: [f64; DRUGS],
    blocks: [f64; super::targets::COUNT],
    /// Month at which each rule acted; infinite if it has not.
    acted: Vec<f64>,
    /// First month from which nothing is given any more; infinite if that never came.
    pub stopped: f64,
    /// Month of relapse after it.
    pub relapsed: f64,
}

impl Protocol {
    /// A constant daily dose of one drug.
    pub fn constant(drug: Drug, dose: f64) -> Self {
        let then = Action { give: vec![(drug, dose)], ..Action::default() };
        let rule = Rule { name: drug.name().into(), after: None, window: (0.0, 0.0), share: 1.0, when: Vec::new(), then };
        Protocol { rules: vec![rule], stays: Vec::new() }
    }

    /// The start of treatment.
    pub fn start(&self, case: &mut Case, key: Key) {
        case.doses = [0.0; DRUGS];
        case.blocks = [0.0; super::targets::COUNT];
        case.acted.clear();
        case.acted.resize(self.rules.len(), f64::INFINITY);
        (case.stopped, case.relapsed) = (f64::INFINITY, f64::INFINITY);
        for (i, rule) in self.rules.iter().enumerate() {
            if rule.after.is_none() && rule.when.is_empty() && rule.window.0 <= 0.0 && rule.applies(i, key) {
                case.act(i, rule, 0.0);
            }
        }
    }

    /// Tries the rules at visit `k` with what has been found so far; true if the treatment changed.
    pub fn visit(&self, case: &mut Case, plan: &Plan, k: usize, found: &Findings, key: Key) -> bool {
        let month = plan.months[k];
        let mut changed = false;
        for (i, rule) in self.rules.iter().enumerate() {
            let since = rule.after.map_or(0.0, |j| case.acted[j]);
            let clock = month - since;
            let open = case.acted[i] == f64::INFINITY && since < month && rule.window.0 <= clock && clock <= rule.window.1;
            if open && rule.when.iter().all(|finding| finding.holds(plan, k, found)) && rule.applies(i, key) {
                changed |= case.act(i, rule, month);
            }
        }
        changed
    }

    /// Each rule in words, in a line.
    pub fn words(&self) -> Vec<String> {
        self.rules.iter().map(|rule| rule.words(&self.rules)).collect()
    }

    /// Whether a visit can change anything.
    pub fn watches(&self) -> bool {
        self.rules.iter().any(|rule| rule.after.is_some() || !rule.when.is_empty() || rule.window.0 > 0.0)
    }
}

impl Rule {
    fn words(&self, all: &[Rule]) -> String {
        let (from, until) = self.window;
        let after = self.after.map(|j| format!("'{}'", all[j].name));
        let often = if self.when.is_empty() { "at the first visit" } else { "at every visit" };
        let open = until == f64::INFINITY;
        let when = match after {
            None if self.when.is_empty() && from <= 0.0 => "at the start".into(),
            None if from == until => format!("at month {from}"),
            None if from <= 0.0 && open => often.into(),
            None if open => format!("from month {from}, {often}"),
            None => format!("from month {from} to {until}, {often}"),
            Some(rule) if from <= 0.0 && open => format!("after {rule}, {often}"),
            Some(rule) if open => format!("from {from} months after {rule}, {often}"),
            Some(rule) => format!("from {from} to {until} months after {rule}, {often}"),
        };
        let mut parts = Vec::new();
        if self.share < 1.0 {
            parts.push(format!("in {} % of the patients", percent(self.share)));
        }
        if !self.when.is_empty() {
            let terms: Vec<String> = self.when.iter().map(Finding::words).collect();
            parts.push(format!("if {}", terms.join(" and ")));
        }
        parts.extend(self.then.words());
        format!("{when}: {}", parts.join(", "))
    }

    /// Whether the patient is among those to whom the rule applies.
    fn applies(&self, index: usize, key: Key) -> bool {
        self.share >= 1.0 || key.child(index as u64).stream(Purpose::Exposure).uniform() < self.share
    }
}

impl Action {
    fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if self.stop.len() == DRUGS {
            words.push("stop all".into());
        } else {
            words.extend(self.stop.iter().map(|drug| format!("stop {}", drug.name())));
        }
        words.extend(self.give.iter().map(|(drug, dose)| format!("give {} {dose} {}", drug.name(), drug.profile().unit)));
        words.extend(self.block.iter().map(|(target, share)| match share {
            share if *share < 0.0 => format!("drive {} up by {} %", target.name(), percent(-share)),
            share => format!("block {} % of {}", percent(*share), target.name()),
        }));
        if self.relapse {
            words.push("count it as a relapse".into());
        }
        words
    }
}

/// A share in per cent, without the sign.
fn percent(share: f64) -> f64 {
    (1e4 * share).round() / 1e2
}

impl Finding {
    /// The finding in words.
    pub fn words(&self) -> String {
        let name = self.of.name();
        match (self.not, self.scope) {
            (false, Scope::Ever) => format!("ever {name}"),
            (true, Scope::Ever) => format!("never {name}"),
            (not, Scope::Now) => format!("{}{name}", if not { "not " } else { "" }),
            (not, Scope::For(months)) => {
                let plural = if months == 1.0 { "" } else { "s" };
                format!("{}{name} for {months} month{plural}", if not { "not " } else { "" })
            }
        }
    }

    fn holds(&self, plan: &Plan, k: usize, found: &Findings) -> bool {
        let assessed = relevant(plan, self.of) & plan.by(plan.months[k]);
        let seen = self.of.found(found).unwrap_or(0);
        match self.scope {
            Scope::Now => last(seen, assessed).is_some_and(|shown| shown != self.not),
            Scope::Ever => (seen & assessed != 0) != self.not,
            Scope::For(months) => {
                let within = self.during(plan, k, months);
                let shown = if self.not { !seen } else { seen };
                within.count_ones() > 1 && shown & within == within
            }
        }
    }

    /// The assessments of so many months up to visit `k`. They begin with that at their beginning, or else the last one before:
    /// visits that are further apart would otherwise make a time of a single one. None, if nothing was assessed by then.
    fn during(&self, plan: &Plan, k: usize, months: f64) -> Visits {
        let (now, relevant) = (plan.months[k], relevant(plan, self.of));
        let begun = relevant & plan.by(now - months + SLACK.min(0.5 * months));
        let first = begun.checked_ilog2().map(|visit| plan.months[visit as usize]);
        first.map_or(0, |first| relevant & plan.by(now) & !plan.before(first))
    }

    /// Whether enough has been examined by visit `k` to know.
    pub fn assessed(&self, plan: &Plan, k: usize) -> bool {
        match self.scope {
            Scope::For(months) => self.during(plan, k, months).count_ones() > 1,
            Scope::Now | Scope::Ever => relevant(plan, self.of) & plan.by(plan.months[k]) != 0,
        }
    }
}

impl Case {
    /// Does what a rule says; true if that changes what is given.
    fn act(&mut self, index: usize, rule: &Rule, month: f64) -> bool {
        self.acted[index] = month;
        let before = (self.doses, self.blocks);
        for &drug in &rule.then.stop {
            self.doses[drug as usize] = 0.0;
        }
        for &(drug, dose) in &rule.then.give {
            self.doses[drug as usize] = dose;
        }
        for &(target, share) in &rule.then.block {
            self.blocks[target as usize] = share;
        }
        if self.stopped == f64::INFINITY && before.0 != [0.0; DRUGS] && self.doses == [0.0; DRUGS] {
            self.stopped = month;
        }
        if rule.then.relapse && self.stopped < month {
            self.relapsed = self.relapsed.min(month);
        }
        before != (self.doses, self.blocks)
    }

    /// What acts on the patient's cells, if exposure to a drug is `factor` times its usual one.
    pub fn exposure(&self, population: &Population, patient: &Patient, factor: impl Fn(Drug) -> f64) -> Exposure {
        let mut exposure = Exposure::default();
        for &(_, drug) in Drug::ALL {
            let dose = self.doses[drug as usize];
            if dose > 0.0 {
                population.expose(&mut exposure, drug, dose, patient, factor(drug));
            }
        }
        for &(_, target) in Target::ALL {
            let share = self.blocks[target as usize];
            if share != 0.0 {
                exposure.blocks.add(target, share);
            }
        }
        exposure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(months: &[f64]) -> Plan {
        Plan { months: months.to_vec(), marrow: 0, horizon: 100.0 }
    }

    fn holds(finding: Finding, plan: &Plan, umrd: &[f64], k: usize) -> bool {
        let seen = umrd.iter().fold(0, |set, month| set | 1 << plan.visit(*month).unwrap());
        finding.holds(plan, k, &Findings { umrd: seen, ..Findings::default() })
    }

    #[test]
    fn for_some_months_asks_every_assessment_from_their_beginning_on() {
        let positive = Finding { of: Endpoint::Umrd, not: true, scope: Scope::For(1.0) };
        // Monthly, then every three months: two in a row in either part, never one alone.
        let plan = plan(&[1.0, 2.0, 3.0, 6.0, 9.0]);
        assert!(holds(positive, &plan, &[1.0], 2));
        assert!(!holds(positive, &plan, &[2.0], 2));
        assert!(!holds(positive, &plan, &[6.0], 4));
        assert!(holds(positive, &plan, &[3.0], 4));
        assert!(!holds(positive, &plan, &[], 0), "nothing is known of the month before the first visit");
        let lasting = Finding { of: Endpoint::Umrd, not: false, scope: Scope::For(6.0) };
        assert!(holds(lasting, &plan, &[3.0, 6.0, 9.0], 4));
        assert!(!holds(lasting, &plan, &[3.0, 9.0], 4) && !holds(lasting, &plan, &[6.0, 9.0], 4));
        assert!(!holds(lasting, &plan, &[1.0, 2.0, 3.0], 2));
    }

    #[test]
    fn rules_are_said_in_words() {
        let give = |drug, dose| Action { give: vec![(drug, dose)], ..Action::default() };
        let rule = |name: &str, after, window, when, then| Rule { name: name.into(), after, window, share: 1.0, when, then };
        let umrd = |not, scope| Finding { of: Endpoint::Umrd, not, scope };
        let stop = Action { stop: Drug::ALL.iter().map(|(_, drug)| *drug).collect(), ..Action::default() };
        let relapse = Action { relapse: true, give: vec![(Drug::Imatinib, 400.0)], ..Action::default() };
        let block = Action { block: vec![(Target::Wnt, 0.8), (Target::Effector, -0.5)], ..Action::default() };
        let protocol = Protocol {
            rules: vec![
                rule("start", None, (0.0, 0.0), vec![], give(Drug::Imatinib, 400.0)),
                rule("stop", None, (36.0, f64::INFINITY), vec![umrd(false, Scope::For(24.0))], stop),
                rule("back", Some(1), (0.0, f64::INFINITY), vec![umrd(true, Scope::Now)], relapse),
                Rule { share: 0.3, ..rule("wnt", None, (12.0, 12.0), vec![], block) },
                rule("more", Some(2), (6.0, 12.0), vec![umrd(true, Scope::Ever)], give(Drug::Dasatinib, 100.0)),
            ],
            stays: Vec::new(),
        };
        assert_eq!(
            protocol.words(),
            [
                "at the start: give imatinib 400 mg/d",
                "from month 36, at every visit: if umrd for 24 months, stop all",
                "after 'stop', at every visit: if not umrd, give imatinib 400 mg/d, count it as a relapse",
                "at month 12: in 30 % of the patients, block 80 % of wnt, drive effector up by 50 %",
                "from 6 to 12 months after 'back', at every visit: if never umrd, give dasatinib 100 mg/d",
            ]
        );
    }
}
