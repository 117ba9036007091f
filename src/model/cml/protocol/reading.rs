//! A protocol before any patient is treated: its rules in words, and what follows from them alone.

use std::collections::BTreeSet;

use super::{Action, Case, DRUGS, Finding, Protocol, Rule, Scope, Share};
use crate::model::cml::drugs::Drug;
use crate::model::cml::targets::Target;
use crate::trial::history::Plan;
use crate::trial::vocabulary::{Endpoint, Word};

/// Months at which each rule can act.
pub type Chances = Vec<Vec<f64>>;

impl Protocol {
    /// Each rule in words, in a line.
    pub fn words(&self) -> Vec<String> {
        self.rules.iter().map(|rule| rule.words(&self.rules)).collect()
    }

    /// Months at which each rule can act on somebody, as far as windows, visits and what is examined at them allow it.
    pub fn chances(&self, plan: &Plan) -> Chances {
        let mut all: Chances = Vec::new();
        for rule in &self.rules {
            let can = |k: &usize| {
                let open = |since: f64| rule.is_open(plan.months[*k], since);
                rule.after.map_or(open(0.0), |j| all[j].iter().any(|since| open(*since)))
                    && rule.when.iter().all(|finding| finding.assessed(plan, *k))
            };
            let visits = (0..plan.months.len()).filter(can).map(|k| plan.months[k]);
            let months = if rule.starts() { vec![0.0] } else { visits.collect() };
            all.push(months);
        }
        all
    }

    /// Whether a rule waits for another, at first or second hand.
    pub fn waits(&self, rule: usize, other: usize) -> bool {
        let mut after = self.rules[rule].after;
        while after.is_some_and(|j| j != other) {
            after = after.and_then(|j| self.rules[j].after);
        }
        after.is_some()
    }

    /// The rules with which treatment can end. Whether conditions go together is not known, except where they are the same: then
    /// so are the visits at which rules act.
    pub fn ends(&self, chances: &Chances) -> Vec<usize> {
        let mut months: Vec<f64> = chances.iter().flatten().copied().collect();
        months.sort_by(f64::total_cmp);
        months.dedup();
        let mut ends = BTreeSet::new();
        // Sets of drugs, as bits, that somebody can have.
        let mut had = BTreeSet::from([0u32]);
        for month in months {
            for (index, rule) in self.rules.iter().enumerate().filter(|(index, _)| chances[*index].contains(&month)) {
                let change = |drugs: &u32| self.with_it(index).fold(*drugs, |drugs, rule| rule.then.changed(drugs));
                if had.iter().any(|drugs| *drugs != 0 && change(drugs) == 0) {
                    ends.insert(index);
                }
                let after: BTreeSet<u32> = had.iter().map(change).collect();
                let certain = rule.is_certain() && chances[index].first() == Some(&month);
                had = if certain { after } else { had.union(&after).copied().collect() };
            }
        }
        ends.into_iter().collect()
    }

    /// A rule and those that act whenever it acts.
    fn with_it(&self, index: usize) -> impl Iterator<Item = &Rule> {
        let rule = &self.rules[index];
        self.rules.iter().filter(move |other| {
            (other.after, other.window, &other.when) == (rule.after, rule.window, &rule.when) && other.share.holds(&rule.share)
        })
    }

    /// What is given once a rule has acted, in words, if those that must have acted by then have, and no other.
    pub fn regimen(&self, index: usize, chances: &Chances) -> String {
        let (Some(first), Some(last)) = (chances[index].first(), chances[index].last()) else { return "nothing".into() };
        let sure = |j: &usize| {
            let other = &self.rules[*j];
            *j == index || self.waits(index, *j) || (other.is_certain() && chances[*j].first() <= Some(first))
        };
        let (mut acted, others): (Vec<usize>, Vec<usize>) = (0..self.rules.len()).partition(sure);
        acted.sort_by(|a, b| chances[*a].first().partial_cmp(&chances[*b].first()).unwrap_or(std::cmp::Ordering::Equal));
        let mut case = Case::default();
        acted.iter().for_each(|j| case.change(&self.rules[*j].then));
        // Another rule in between matters if what it changes is not set anew.
        let may_matter = |j: &usize| {
            let mut other = case.clone();
            [*j, index].iter().for_each(|k| other.change(&self.rules[*k].then));
            chances[*j].first() <= Some(last) && !self.waits(*j, index) && other.words() != case.words()
        };
        let unless = if others.iter().any(may_matter) { ", unless another rule has changed it before" } else { "" };
        format!("{}{unless}", case.words())
    }
}

impl Rule {
    /// Whether it acts on everybody, at the first visit in its window.
    fn is_certain(&self) -> bool {
        self.after.is_none() && self.when.is_empty() && self.share.is_all()
    }

    /// The rule in words.
    fn words(&self, all: &[Rule]) -> String {
        let mut parts = Vec::new();
        if !self.share.is_all() {
            let Share { lot, from, until } = &self.share;
            let whose = format!(" ({} to {} % of lot '{lot}')", percent(*from), percent(*until));
            let whose = if *from > 0.0 || *lot != self.name { whose.as_str() } else { "" };
            parts.push(format!("in {} % of the patients{whose}", percent(until - from)));
        }
        self.sentence(all, parts)
    }

    /// What an unnamed rule is called: what it does, to whomever.
    pub fn usual_name(&self, all: &[Rule]) -> String {
        self.sentence(all, Vec::new())
    }

    fn sentence(&self, all: &[Rule], mut parts: Vec<String>) -> String {
        let (from, until) = self.window;
        let after = self.after.map(|j| format!("'{}'", all[j].name));
        let often = if self.when.is_empty() { "at the first visit" } else { "at every visit" };
        let open = until == f64::INFINITY;
        let when = match after {
            None if self.starts() => "at the start".into(),
            None if from == until => format!("at month {from}"),
            None if from <= 0.0 && open => often.into(),
            None if open => format!("from month {from}, {often}"),
            None => format!("from month {from} to {until}, {often}"),
            Some(rule) if from <= 0.0 && open => format!("after {rule}, {often}"),
            Some(rule) if open => format!("from {} after {rule}, {often}", months(from)),
            Some(rule) => format!("from {from} to {} after {rule}, {often}", months(until)),
        };
        if !self.when.is_empty() {
            let terms: Vec<String> = self.when.iter().map(Finding::words).collect();
            parts.push(format!("if {}", terms.join(" and ")));
        }
        parts.extend(self.then.words());
        format!("{when}: {}", parts.join(", "))
    }

    /// Whether the rule acts on everybody on whom the other does, as far as conditions and shares tell.
    pub fn holds(&self, other: &Rule) -> bool {
        self.share.holds(&other.share) && self.when.iter().all(|finding| other.when.iter().any(|more| more.implies(finding)))
    }
}

impl Share {
    /// Whether everybody in the other share is in this one.
    fn holds(&self, other: &Share) -> bool {
        self.is_all() || (self.lot == other.lot && self.from <= other.from && other.until <= self.until)
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
        words.extend(self.give.iter().map(|(drug, dose)| format!("give {}", dose_words(*drug, *dose))));
        words.extend(self.block.iter().map(|(target, share)| match share {
            0.0 => format!("block {} no longer", target.name()),
            share if *share < 0.0 => format!("drive {} up by {} %", target.name(), percent(-share)),
            share => format!("block {} % of {}", percent(*share), target.name()),
        }));
        if self.relapse {
            words.push("count it as a relapse".into());
        }
        words
    }

    /// The drugs that somebody has after it, as bits.
    fn changed(&self, drugs: u32) -> u32 {
        let bits = |drugs: &mut dyn Iterator<Item = Drug>| drugs.fold(0, |set, drug| set | 1 << drug as u32);
        drugs & !bits(&mut self.stop.iter().copied()) | bits(&mut self.give.iter().map(|(drug, _)| *drug))
    }

    /// What it sets: each drug that it gives or stops with its dose, each target with the share that is blocked.
    pub fn settings(&self) -> Vec<(&'static str, f64)> {
        let given = |drug: &Drug| self.give.iter().any(|(other, _)| other == drug);
        let stopped = self.stop.iter().filter(|drug| !given(drug)).map(|drug| (drug.name(), 0.0));
        let given = self.give.iter().map(|(drug, dose)| (drug.name(), *dose));
        stopped.chain(given).chain(self.block.iter().map(|(target, share)| (target.name(), *share))).collect()
    }
}

impl Case {
    /// What is given and blocked, in words.
    fn words(&self) -> String {
        let given = Drug::ALL.iter().map(|(_, drug)| (*drug, self.doses[*drug as usize])).filter(|(_, dose)| *dose > 0.0);
        let mut parts: Vec<String> = given.map(|(drug, dose)| dose_words(drug, dose)).collect();
        let blocked = Target::ALL.iter().map(|(_, target)| (*target, self.blocks[*target as usize]));
        parts.extend(blocked.filter(|(_, share)| *share != 0.0).map(|(target, share)| block_words(target, share)));
        if parts.is_empty() { "nothing".into() } else { parts.join(" + ") }
    }
}

/// A block or a drive in words.
pub fn block_words(target: Target, share: f64) -> String {
    let name = target.name();
    if share < 0.0 {
        format!("{name} driven up by {} %", percent(-share))
    } else {
        format!("{} % of {name} blocked", percent(share))
    }
}

fn dose_words(drug: Drug, dose: f64) -> String {
    format!("{} {dose} {}", drug.name(), drug.profile().unit)
}

/// A share in per cent, without the sign.
fn percent(share: f64) -> f64 {
    (1e4 * share).round() / 1e2
}

fn months(number: f64) -> String {
    format!("{number} month{}", if number == 1.0 { "" } else { "s" })
}

impl Finding {
    /// The finding in words.
    pub fn words(&self) -> String {
        let name = self.of.name();
        let not = if self.not { "not " } else { "" };
        match (self.not, self.scope) {
            (false, Scope::Ever) => format!("ever {name}"),
            (true, Scope::Ever) => format!("never {name}"),
            (_, Scope::Now) => format!("{not}{name}"),
            (_, Scope::For(time)) => format!("{not}{name} for {}", months(time)),
        }
    }

    /// Whether the two can never both hold: one asks at the last assessment, or at any, for what the other rules out there.
    pub fn excludes(&self, other: &Finding) -> bool {
        let (yes, no) = if other.not { (self, other) } else { (other, self) };
        let seen_where_it_must_not_be = yes.scope != Scope::Ever || no.scope == Scope::Ever;
        !yes.not && no.not && nested(yes.of, no.of) && seen_where_it_must_not_be
    }

    /// Whether the other holds wherever this one does.
    fn implies(&self, other: &Finding) -> bool {
        let (narrow, wide) = if self.not { (other, self) } else { (self, other) };
        let scope = match (self.scope, other.scope) {
            (Scope::For(long), Scope::For(short)) => long >= short,
            (Scope::For(_), Scope::Now) => true,
            // Never is more than not now; now, and for some time, are more than ever.
            (Scope::Ever, Scope::Now) => self.not,
            (Scope::Now | Scope::For(_), Scope::Ever) => !self.not,
            (one, two) => one == two,
        };
        self.not == other.not && nested(narrow.of, wide.of) && scope
    }
}

/// Whether whoever shows one response shows the other at the same assessment. A haematological response is looked for at other
/// visits than a cytogenetic one.
fn nested(narrow: Endpoint, wide: Endpoint) -> bool {
    narrow == wide || (narrow.within(wide) && wide != Endpoint::Chr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_said_in_words() {
        let give = |drug, dose| Action { give: vec![(drug, dose)], ..Action::default() };
        let share = |lot: &str, from, until| Share { lot: lot.into(), from, until };
        let rule =
            |name: &str, after, window, when, then| Rule { name: name.into(), after, window, share: Share::all(), when, then };
        let umrd = |not, scope| Finding { of: Endpoint::Umrd, not, scope };
        let stop = Action { stop: Drug::ALL.iter().map(|(_, drug)| *drug).collect(), ..Action::default() };
        let relapse = Action { relapse: true, give: vec![(Drug::Imatinib, 400.0)], ..Action::default() };
        let block = Action { block: vec![(Target::Wnt, 0.8), (Target::Effector, -0.5)], ..Action::default() };
        let protocol = Protocol {
            rules: vec![
                rule("start", None, (0.0, 0.0), vec![], give(Drug::Imatinib, 400.0)),
                rule("stop", None, (36.0, f64::INFINITY), vec![umrd(false, Scope::For(24.0))], stop),
                rule("back", Some(1), (0.0, f64::INFINITY), vec![umrd(true, Scope::Now)], relapse),
                Rule { share: share("wnt", 0.0, 0.3), ..rule("wnt", None, (12.0, 12.0), vec![], block) },
                rule("more", Some(2), (6.0, 12.0), vec![umrd(true, Scope::Ever)], give(Drug::Dasatinib, 100.0)),
                Rule {
                    share: share("side", 0.5, 1.0),
                    ..rule("late", Some(2), (1.0, f64::INFINITY), vec![], give(Drug::Nilotinib, 600.0))
                },
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
                "from 1 month after 'back', at the first visit: in 50 % of the patients (50 to 100 % of lot 'side'), give nilotinib 600 mg/d",
            ]
        );
    }

    #[test]
    fn treatment_ends_where_nothing_can_be_left_and_not_with_a_switch() {
        let give = |drug| Action { give: vec![(drug, 1.0)], ..Action::default() };
        let stop = |drugs: &[Drug]| Action { stop: drugs.to_vec(), ..Action::default() };
        let all: Vec<Drug> = Drug::ALL.iter().map(|(_, drug)| *drug).collect();
        let not_mmr = || vec![Finding { of: Endpoint::Mmr, not: true, scope: Scope::Now }];
        let rule = |at: f64, when: Vec<Finding>, then| Rule {
            name: String::new(),
            after: None,
            window: (at, at),
            share: Share::all(),
            when,
            then,
        };
        let ends = |rules: Vec<Rule>| {
            let protocol = Protocol { rules, stays: Vec::new() };
            let chances = protocol.chances(&Plan { months: vec![6.0, 12.0, 18.0, 24.0], marrow: 0, horizon: 24.0 });
            protocol.ends(&chances)
        };
        use Drug::{Imatinib, Nilotinib, Plerixafor};
        let start = || vec![rule(0.0, vec![], give(Imatinib)), rule(0.0, vec![], give(Plerixafor))];
        let with = |more: Vec<Rule>| ends([start(), more].concat());
        // A switch in one rule or two, and the end of a drug that was given beside another.
        let switch = || Action { stop: vec![Imatinib], ..give(Nilotinib) };
        assert!(with(vec![rule(6.0, not_mmr(), switch()), rule(12.0, vec![], stop(&[Plerixafor]))]).is_empty());
        let off = || rule(12.0, not_mmr(), stop(&[Imatinib, Plerixafor]));
        assert!(with(vec![off(), rule(12.0, not_mmr(), give(Nilotinib))]).is_empty());
        assert!(with(vec![rule(6.0, vec![], give(Nilotinib)), off()]).is_empty());
        // Stops: of all, of the last of two, of what somebody has alone.
        assert_eq!(with(vec![rule(6.0, not_mmr(), switch()), rule(24.0, vec![], stop(&all))]), [3]);
        assert_eq!(with(vec![rule(6.0, vec![], stop(&[Imatinib])), rule(12.0, vec![], stop(&[Plerixafor]))]), [3]);
        assert_eq!(with(vec![rule(6.0, not_mmr(), give(Nilotinib)), off()]), [3]);
        assert_eq!(with(vec![off(), rule(18.0, not_mmr(), give(Nilotinib))]), [2]);
    }

    #[test]
    fn conditions_that_rule_each_other_out_are_known() {
        use Endpoint::{Ccyr, Chr, Is10, Mcyr, Mmr, Mr4, Mr45, Umrd};
        use Scope::{Ever, For, Now};
        let yes = |of, scope| Finding { of, not: false, scope };
        let no = |of, scope| Finding { of, not: true, scope };
        for (one, two) in [
            (yes(Mmr, Now), no(Mmr, Now)),
            (yes(Mr45, Now), no(Mr4, Now)),
            (yes(Mr45, For(12.0)), no(Is10, For(6.0))),
            (yes(Ccyr, Now), no(Mcyr, Now)),
            (yes(Mmr, Now), no(Mmr, Ever)),
            (yes(Mr4, Ever), no(Mmr, Ever)),
            (yes(Mmr, For(6.0)), no(Mmr, Now)),
        ] {
            assert!(one.excludes(&two) && two.excludes(&one), "{} and {}", one.words(), two.words());
        }
        for (one, two) in [
            (yes(Mmr, Now), no(Mr4, Now)),
            (yes(Mmr, Ever), no(Mmr, Now)),
            (yes(Mmr, Ever), no(Mmr, For(6.0))),
            (yes(Mcyr, Now), no(Chr, Now)),
            (yes(Umrd, Now), no(Mr45, Now)),
            (yes(Mmr, Now), yes(Mmr, Now)),
        ] {
            assert!(!one.excludes(&two) && !two.excludes(&one), "{} and {}", one.words(), two.words());
        }
        assert!(yes(Mr4, For(12.0)).implies(&yes(Mmr, For(6.0))) && !yes(Mmr, Now).implies(&yes(Mr4, Now)));
        assert!(no(Mmr, Now).implies(&no(Mr4, Now)) && !no(Mr4, Now).implies(&no(Mmr, Now)));
        assert!(no(Mmr, Ever).implies(&no(Mmr, Now)) && !no(Mmr, Now).implies(&no(Mmr, Ever)));
    }
}
