//! What a trial does with its patients: the drugs from the start, and rules that change them at visits.
//!
//! A rule looks at what was found so far, never at the state behind it. It acts once on each patient, at the first visit in
//! its window at which its conditions hold; rules of one visit are tried in their order, and of two that set one dose the later
//! wins. A window counts from the start of treatment, or from the visit at which another rule acted.
//!
//! Treatment has stopped when nothing is given any more once all rules of a visit have been tried: two rules that change one
//! drug for another are a switch, not a stop.

use super::drugs::{Drug, Exposure};
use super::parameters::Population;
use super::patient::Patient;
use super::targets::Target;
use crate::rng::{Key, Purpose};
use crate::trial::history::{Findings, Leaving, Plan, Visits};
use crate::trial::visits::{last, relevant};
use crate::trial::vocabulary::{Endpoint, Word};

pub mod reading;

/// Number of drugs.
pub const DRUGS: usize = Drug::ALL.len();
/// A visit so many months after another one counts as a month later, as everywhere in a trial's windows.
const SLACK: f64 = 0.5;
/// Most rules of a protocol.
pub const MOST_RULES: usize = 64;

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
    /// To whom it applies.
    pub share: Share,
    /// What must hold, all of it.
    pub when: Vec<Finding>,
    /// What happens.
    pub then: Action,
}

/// A part of the patients. Each draws one number from 0 to 1 of every lot, the same in all arms: what draws of one lot takes
/// the same patients, or, in ranges side by side, divides them.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// Name of the lot.
    pub lot: String,
    /// Lowest number that is taken.
    pub from: f64,
    /// Lowest number above those.
    pub until: f64,
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
#[derive(Clone, Debug)]
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

impl Default for Case {
    fn default() -> Self {
        Case {
            doses: [0.0; DRUGS],
            blocks: [0.0; super::targets::COUNT],
            acted: Vec::new(),
            stopped: f64::INFINITY,
            relapsed: f64::INFINITY,
        }
    }
}

impl Protocol {
    /// A constant daily dose of one drug.
    pub fn constant(drug: Drug, dose: f64) -> Self {
        let then = Action { give: vec![(drug, dose)], ..Action::default() };
        let (name, share) = (drug.name().into(), Share::all());
        Protocol { rules: vec![Rule { name, after: None, window: (0.0, 0.0), share, when: Vec::new(), then }], stays: Vec::new() }
    }

    /// The start of treatment.
    pub fn start(&self, key: Key) -> Case {
        let mut case = Case { acted: vec![f64::INFINITY; self.rules.len()], ..Case::default() };
        for (i, rule) in self.rules.iter().enumerate() {
            if rule.starts() && rule.share.takes(key) {
                case.act(i, rule, 0.0);
            }
        }
        case
    }

    /// Tries the rules at visit `k` with what has been found so far; true if the treatment changed.
    pub fn visit(&self, case: &mut Case, plan: &Plan, k: usize, found: &Findings, key: Key) -> bool {
        let month = plan.months[k];
        let before = (case.doses, case.blocks);
        for (i, rule) in self.rules.iter().enumerate() {
            let since = rule.after.map_or(0.0, |j| case.acted[j]);
            let open = case.acted[i] == f64::INFINITY && rule.is_open(month, since);
            if open && rule.when.iter().all(|finding| finding.holds(plan, k, found)) && rule.share.takes(key) {
                case.act(i, rule, month);
            }
        }
        if case.stopped == f64::INFINITY && before.0 != [0.0; DRUGS] && case.doses == [0.0; DRUGS] {
            case.stopped = month;
        }
        before != (case.doses, case.blocks)
    }

    /// Whether a visit can change anything.
    pub fn watches(&self) -> bool {
        self.rules.iter().any(|rule| !rule.starts())
    }
}

impl Rule {
    /// Whether it acts at the start of treatment, if at all.
    pub fn starts(&self) -> bool {
        self.after.is_none() && self.when.is_empty() && self.window.0 <= 0.0
    }

    /// Whether its window, which counts from month `since`, is open at a visit.
    fn is_open(&self, month: f64, since: f64) -> bool {
        since < month && (self.window.0..=self.window.1).contains(&(month - since))
    }
}

impl Share {
    /// All patients.
    pub fn all() -> Self {
        Share { lot: String::new(), from: 0.0, until: 1.0 }
    }

    /// Whether it is all patients.
    pub fn is_all(&self) -> bool {
        self.from <= 0.0 && self.until >= 1.0
    }

    /// Whether the patient of that key is in it.
    fn takes(&self, key: Key) -> bool {
        self.is_all() || (self.from..self.until).contains(&key.named(&self.lot).stream(Purpose::Exposure).uniform())
    }
}

impl Finding {
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
    /// Does what a rule says.
    fn act(&mut self, index: usize, rule: &Rule, month: f64) {
        self.acted[index] = month;
        self.change(&rule.then);
        if rule.then.relapse && self.stopped < month {
            self.relapsed = self.relapsed.min(month);
        }
    }

    /// Changes what is given.
    fn change(&mut self, then: &Action) {
        for &drug in &then.stop {
            self.doses[drug as usize] = 0.0;
        }
        for &(drug, dose) in &then.give {
            self.doses[drug as usize] = dose;
        }
        for &(target, share) in &then.block {
            self.blocks[target as usize] = share;
        }
    }

    /// Daily doses, in the order of [`Drug::ALL`].
    pub fn doses(&self) -> [f64; DRUGS] {
        self.doses
    }

    /// Month at which each rule acted; infinite if it has not.
    pub fn acted(&self) -> &[f64] {
        &self.acted
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

    fn rule(name: &str, at: f64, then: Action) -> Rule {
        Rule { name: name.into(), after: None, window: (at, at), share: Share::all(), when: Vec::new(), then }
    }

    fn give(drug: Drug, dose: f64) -> Action {
        Action { give: vec![(drug, dose)], ..Action::default() }
    }

    /// Month of the stop of a patient who visits at 6, 12 and 18 months.
    fn stopped(rules: Vec<Rule>) -> f64 {
        let (protocol, plan) = (Protocol { rules, stays: Vec::new() }, plan(&[6.0, 12.0, 18.0]));
        let mut case = protocol.start(Key::root(1));
        for k in 0..3 {
            protocol.visit(&mut case, &plan, k, &Findings::default(), Key::root(1));
        }
        case.stopped
    }

    #[test]
    fn a_switch_is_no_stop_however_many_rules_it_takes() {
        let stop = Action { stop: vec![Drug::Imatinib], ..Action::default() };
        let start = || rule("start", 0.0, give(Drug::Imatinib, 400.0));
        let switch = |at| vec![start(), rule("off", 12.0, stop.clone()), rule("on", at, give(Drug::Nilotinib, 600.0))];
        assert_eq!(stopped(switch(12.0)), f64::INFINITY);
        assert_eq!(stopped(switch(18.0)), 12.0, "six months of nothing are a stop");
        assert_eq!(stopped(switch(6.0)), f64::INFINITY);
    }

    /// Patients of 2000 to whom a share applies.
    fn taken(lot: &str, from: f64, until: f64) -> Vec<u64> {
        let share = Share { lot: lot.into(), from, until };
        (0..2000).filter(|j| share.takes(Key::root(3).child(*j))).collect()
    }

    #[test]
    fn who_is_taken_follows_from_the_lot_alone_and_ranges_divide_the_patients() {
        let (low, high) = (taken("a", 0.0, 0.5), taken("a", 0.5, 1.0));
        assert!((900..1100).contains(&low.len()), "{}", low.len());
        let mut both = [low.clone(), high].concat();
        both.sort_unstable();
        assert_eq!(both, (0..2000).collect::<Vec<u64>>());
        assert!(taken("a", 0.0, 0.3).iter().all(|j| low.contains(j)));
        // Of another lot they are others: half of the first half, 500 +- 20.
        let common = taken("b", 0.0, 0.5).iter().filter(|j| low.contains(j)).count();
        assert!((400..600).contains(&common), "{common}");
        // A rule before it, of whatever kind, changes nothing.
        let half =
            Rule { share: Share { lot: "a".into(), from: 0.0, until: 0.5 }, ..rule("half", 0.0, give(Drug::Imatinib, 1.0)) };
        let block = Action { block: vec![(Target::Wnt, 0.1)], ..Action::default() };
        for rules in [vec![half.clone()], vec![rule("before", 0.0, block), half]] {
            let protocol = Protocol { rules, stays: Vec::new() };
            let doses = |j| {
                let case = protocol.start(Key::root(3).child(j));
                case.doses()[0]
            };
            assert_eq!((0..2000).filter(|j| doses(*j) > 0.0).collect::<Vec<u64>>(), low);
        }
    }

    #[test]
    fn the_rules_that_acted_are_bits_in_their_order() {
        let case = Case { acted: vec![0.0, f64::INFINITY, 12.0, 3.0], ..Case::default() };
        let before = |month: f64| case.acted().iter().map(|acted| *acted < month).collect::<Vec<_>>();
        assert_eq!(before(12.0), [true, false, false, true]);
        assert_eq!(before(12.5), [true, false, true, true]);
        assert_eq!(before(0.0), [false; 4]);
    }
}
