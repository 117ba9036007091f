//! Arms and rules of a scenario: from their tables to a protocol that can act and does not contradict itself.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::super::definition::Source;
use super::MOST_MONTHS;
use crate::error::Result;
use crate::model::cml::drugs::Drug;
use crate::model::cml::protocol::{Action, Finding, Protocol, Rule, Scope};
use crate::model::cml::targets::Target;
use crate::trial::history::{Leaving, Plan};
use crate::trial::vocabulary::{Endpoint, Word, nearest, words};

/// Largest dose, as a multiple of the standard one; more is taken for a slip of the pen.
const MOST_DOSES: f64 = 4.0;
/// Most that a target can be driven up: three times as much of it as normally.
const MOST_DRIVE: f64 = -2.0;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ArmDef {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    leave: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    pub(super) rule: Vec<Spanned<RuleDef>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleDef {
    #[serde(default)]
    name: Option<Spanned<String>>,
    #[serde(default)]
    after: Option<Spanned<String>>,
    #[serde(default)]
    at: Option<Spanned<f64>>,
    #[serde(default)]
    from: Option<Spanned<f64>>,
    #[serde(default)]
    until: Option<Spanned<f64>>,
    #[serde(default)]
    share: Option<Spanned<f64>>,
    #[serde(default, rename = "if")]
    when: Option<Spanned<String>>,
    #[serde(default)]
    give: BTreeMap<Spanned<String>, Spanned<f64>>,
    #[serde(default)]
    pub(super) stop: Vec<Spanned<String>>,
    #[serde(default)]
    block: BTreeMap<Spanned<String>, Spanned<f64>>,
    #[serde(default)]
    relapse: bool,
}

/// The protocol of an arm.
pub(super) fn protocol(source: &Source, arm: &ArmDef, plan: &Plan) -> Result<Protocol> {
    let mut rules: Vec<Rule> = Vec::new();
    for def in &arm.rule {
        let rule = rule(source, def, &rules, plan)?;
        if let Some(name) = &def.get_ref().name
            && rules.iter().any(|other| other.name == rule.name)
        {
            let problem = format!("two rules of this arm are called '{}'", rule.name);
            return Err(source.error(name.span(), "arm.rule.name", &problem, "give each rule a name of its own"));
        }
        contradiction(source, def, &rule, &rules, plan)?;
        rules.push(rule);
    }
    for (index, def) in arm.rule.iter().enumerate() {
        stop_can_act(source, def, index, &rules)?;
        if def.get_ref().relapse && rules.iter().all(|rule| rule.then.stop.is_empty()) {
            let fix = "add a rule with stop = [\"all\"], or drop this one";
            let problem = "a relapse comes after a stop, and this arm never stops";
            return Err(source.error(def.span(), "arm.rule.relapse", problem, fix));
        }
    }
    let all = [Leaving::Adverse, Leaving::Other, Leaving::Unsatisfactory, Leaving::Transplant];
    let mut stays = Vec::new();
    if let Some(leave) = &arm.leave {
        stays.extend(all);
        for name in leave {
            let reason = Leaving::parse(name.get_ref());
            let Some(reason) = reason.filter(|reason| all.contains(reason)) else {
                let known: Vec<&str> = all.into_iter().map(Word::name).collect();
                return Err(source.unknown(name, "arm.leave", "reason", &known));
            };
            stays.retain(|other| *other != reason);
        }
    }
    Ok(Protocol { rules, stays })
}

/// Refuses a stop of what is never given, or only once the stop has acted.
fn stop_can_act(source: &Source, def: &Spanned<RuleDef>, index: usize, rules: &[Rule]) -> Result<()> {
    let waits = |rule: &Rule| {
        let mut after = rule.after;
        while after.is_some_and(|j| j != index) {
            after = after.and_then(|j| rules[j].after);
        }
        after.is_some()
    };
    let gives = |rule: &Rule, drug: &Drug| rule.then.give.iter().any(|(other, dose)| other == drug && *dose > 0.0);
    let given = |drug: &Drug| rules.iter().any(|rule| gives(rule, drug) && !waits(rule));
    let stops = &rules[index].then.stop;
    let span = def.get_ref().stop.first().map_or(def.span(), Spanned::span);
    let fix = "add a rule that gives it, as in give = { imatinib = 400 }, or drop this stop";
    if !stops.is_empty() && !stops.iter().any(given) {
        let problem = "what it stops is not given before it in this arm, so the rule can never act";
        return Err(source.error(span, "arm.rule.stop", problem, fix));
    }
    if let Some(drug) = stops.iter().find(|drug| stops.len() < Drug::ALL.len() && !given(drug)) {
        let problem = format!("{} is not given before it in this arm", drug.name());
        return Err(source.error(span, "arm.rule.stop", &problem, fix));
    }
    Ok(())
}

/// A value in its range.
fn within(source: &Source, value: &Spanned<f64>, key: &str, (low, high): (f64, f64), unit: &str) -> Result<f64> {
    if (low..=high).contains(value.get_ref()) {
        return Ok(*value.get_ref());
    }
    let problem = format!("{} is outside the legal range [{low}, {high}]{unit}", value.get_ref());
    Err(source.error(value.span(), key, &problem, "give a value in the range"))
}

fn rule(source: &Source, spanned: &Spanned<RuleDef>, before: &[Rule], plan: &Plan) -> Result<Rule> {
    let def = spanned.get_ref();
    let after = after(source, def, before)?;
    let when = def.when.as_ref().map_or(Ok(Vec::new()), |text| findings(source, text))?;
    let window = window(source, spanned, after.is_none() && when.is_empty(), plan)?;
    if after.is_none() {
        can_act(source, spanned, window, &when, plan)?;
    }
    let share = def.share.as_ref().map_or(Ok(1.0), |share| within(source, share, "arm.rule.share", (0.0, 1.0), ""))?;
    let name = def.name.as_ref().map_or(format!("rule {}", before.len() + 1), |name| name.get_ref().clone());
    Ok(Rule { name, after, window, share, when, then: action(source, spanned)? })
}

/// The rule that a rule waits for.
fn after(source: &Source, def: &RuleDef, before: &[Rule]) -> Result<Option<usize>> {
    let Some(name) = &def.after else { return Ok(None) };
    if let Some(at) = &def.at {
        let fix = "write from = MONTHS: the rule acts at the first visit then";
        let problem = "counted from another rule, no visit need fall on that month";
        return Err(source.error(at.span(), "arm.rule.at", problem, fix));
    }
    let found = before.iter().position(|rule| rule.name == *name.get_ref());
    found.map(Some).ok_or_else(|| {
        let near = nearest(name.get_ref(), before.iter().map(|rule| rule.name.as_str()));
        let fix = if near.is_empty() {
            "name a rule above this one with name = \"...\"".to_string()
        } else {
            format!("did you mean '{near}'? Only rules above this one can be waited for")
        };
        source.error(name.span(), "arm.rule.after", &format!("no rule above is called '{}'", name.get_ref()), &fix)
    })
}

/// First and last month of a rule; one that neither waits nor has a condition is of the `start` unless it says otherwise.
fn window(source: &Source, spanned: &Spanned<RuleDef>, start: bool, plan: &Plan) -> Result<(f64, f64)> {
    let def = spanned.get_ref();
    let month = |value: &Option<Spanned<f64>>, key: &str| {
        let unit = " months: the follow-up ends there";
        value.as_ref().map(|value| within(source, value, key, (0.0, plan.horizon), unit)).transpose()
    };
    let (at, from, until) =
        (month(&def.at, "arm.rule.at")?, month(&def.from, "arm.rule.from")?, month(&def.until, "arm.rule.until")?);
    if let (Some(at), true) = (&def.at, from.is_some() || until.is_some()) {
        let fix = "write either at = MONTH, or from = MONTH and until = MONTH";
        return Err(source.error(at.span(), "arm.rule.at", "a single month and a window contradict each other", fix));
    }
    let window = match (at, from, until) {
        (Some(at), _, _) => (at, at),
        (None, None, None) if start => (0.0, 0.0),
        (None, from, until) => (from.unwrap_or(0.0), until.unwrap_or(f64::INFINITY)),
    };
    if window.0 <= window.1 {
        return Ok(window);
    }
    let problem = "the window ends before it begins, so the rule can never act";
    Err(source.error(spanned.span(), "arm.rule.from", problem, "give from a month that is not later than until"))
}

/// Refuses a rule that no visit of its window, which counts from the start of treatment, can call up.
fn can_act(source: &Source, spanned: &Spanned<RuleDef>, window: (f64, f64), when: &[Finding], plan: &Plan) -> Result<()> {
    let visits: Vec<usize> = (0..plan.months.len()).filter(|k| (window.0..=window.1).contains(&plan.months[*k])).collect();
    if visits.is_empty() && (window.0 > 0.0 || !when.is_empty()) {
        let months = match window {
            (from, until) if from == until => format!("falls on month {from}"),
            (from, until) => format!("lies between month {from} and {}", until.min(plan.horizon)),
        };
        let problem = format!("no visit {months}, so the rule can never act");
        let fix = "choose the month of a visit, or widen the window, or add visits under [visits]";
        return Err(source.error(spanned.span(), "arm.rule.at", &problem, fix));
    }
    let Some(finding) = when.iter().find(|finding| !visits.iter().any(|k| finding.assessed(plan, *k))) else { return Ok(()) };
    let last = window.1.min(plan.horizon);
    let problem = format!("'{}' cannot have been seen by month {last}, so the rule can never act", finding.words());
    let fix = match finding.scope {
        Scope::For(_) => "make the time shorter or the window later",
        _ => "add marrow under [visits], or make the window later",
    };
    let span = spanned.get_ref().when.as_ref().map_or(spanned.span(), Spanned::span);
    Err(source.error(span, "arm.rule.if", &problem, fix))
}

fn action(source: &Source, spanned: &Spanned<RuleDef>) -> Result<Action> {
    let def = spanned.get_ref();
    let mut then = Action { relapse: def.relapse, ..Action::default() };
    for (name, dose) in &def.give {
        let Some(drug) = Drug::parse(name.get_ref()) else {
            return Err(source.unknown(name, "arm.rule.give", "drug", &words::<Drug>()));
        };
        let profile = drug.profile();
        let key = format!("arm.rule.give.{}", name.get_ref());
        let unit = format!(" {}; the standard dose is {}", profile.unit, profile.standard);
        then.give.push((drug, within(source, dose, &key, (0.0, MOST_DOSES * profile.standard), &unit)?));
    }
    for name in &def.stop {
        match Drug::parse(name.get_ref()) {
            Some(drug) => then.stop.push(drug),
            None if name.get_ref() == "all" => then.stop.extend(Drug::ALL.iter().map(|(_, drug)| *drug)),
            None => return Err(source.unknown(name, "arm.rule.stop", "drug", &[words::<Drug>(), vec!["all"]].concat())),
        }
    }
    for (name, share) in &def.block {
        let Some(target) = Target::parse(name.get_ref()) else {
            return Err(source.unknown(name, "arm.rule.block", "target", &words::<Target>()));
        };
        let key = format!("arm.rule.block.{}", name.get_ref());
        let unit = "; 1 blocks all of it, below 0 drives it up";
        then.block.push((target, within(source, share, &key, (MOST_DRIVE, 1.0), unit)?));
    }
    if then == Action::default() {
        let fix = "say what it does: give, stop, block or relapse";
        return Err(source.error(spanned.span(), "arm.rule", "the rule does nothing", fix));
    }
    Ok(then)
}

/// Refuses rules that give and take one drug at once, or set it twice at one moment for the same patients.
fn contradiction(source: &Source, def: &Spanned<RuleDef>, rule: &Rule, before: &[Rule], plan: &Plan) -> Result<()> {
    let given = |rule: &Rule| -> Vec<Drug> { rule.then.give.iter().map(|(drug, _)| *drug).collect() };
    let all = rule.then.stop.len() == Drug::ALL.len();
    if let Some(drug) = given(rule).into_iter().find(|drug| !all && rule.then.stop.contains(drug)) {
        let problem = format!("the rule gives {0} and stops {0} at once", drug.name());
        return Err(source.error(def.span(), "arm.rule", &problem, "keep one of the two"));
    }
    // The visit at which a rule can act first; after another rule only its window is known.
    let first = |rule: &Rule| match rule.after {
        None if rule.window.0 <= 0.0 && rule.when.is_empty() => 0.0,
        None => plan.months.iter().copied().find(|month| *month >= rule.window.0).unwrap_or(f64::INFINITY),
        Some(_) => rule.window.0,
    };
    for other in before {
        let together = other.after == rule.after && other.when == rule.when && other.share >= 1.0 && rule.share >= 1.0;
        let same = together && first(other) == first(rule);
        let both = |drug: &Drug| given(other).contains(drug) || other.then.stop.contains(drug);
        let touched: Vec<Drug> = given(rule).into_iter().chain(rule.then.stop.iter().copied()).collect();
        if let Some(drug) = touched.into_iter().find(both).filter(|_| same) {
            let (one, two, drug) = (&other.name, &rule.name, drug.name());
            let problem = format!("'{one}' and '{two}' act at the same visit on {drug} and contradict each other");
            return Err(source.error(
                def.span(),
                "arm.rule",
                &problem,
                "keep one of them, or give them other months or conditions",
            ));
        }
    }
    Ok(())
}

/// Reads a condition: terms joined by `&`, each `[not] [ever] RESPONSE [for MONTHS]`.
fn findings(source: &Source, text: &Spanned<String>) -> Result<Vec<Finding>> {
    let complain = |problem: String, fix: &str| source.error(text.span(), "arm.rule.if", &problem, fix);
    let example = "write terms like \"ccyr\", \"not mmr\", \"ever mr4\" or \"umrd for 24\", joined by &";
    text.get_ref()
        .split('&')
        .map(|term| {
            let mut words: Vec<&str> = term.split_whitespace().collect();
            let mut take = |word: &str| {
                words.first() == Some(&word) && {
                    words.remove(0);
                    true
                }
            };
            let not = take("not");
            let ever = take("ever");
            let (name, scope) = match (words.as_slice(), ever) {
                ([name], true) => (*name, Scope::Ever),
                ([name], false) => (*name, Scope::Now),
                ([name, "for", months], false) => match months.parse::<f64>() {
                    Ok(months) if months > 0.0 && months <= MOST_MONTHS => (*name, Scope::For(months)),
                    _ => return Err(complain(format!("'{months}' is not a number of months"), example)),
                },
                _ => return Err(complain(format!("'{}' cannot be read as a condition", term.trim()), example)),
            };
            match Endpoint::parse(name).filter(|endpoint| endpoint.is_response()) {
                Some(of) => Ok(Finding { of, not, scope }),
                None => {
                    let known = Endpoint::ALL.iter().filter(|(_, e)| e.is_response()).map(|(name, _)| *name);
                    let near = nearest(name, known);
                    Err(complain(format!("'{name}' is not a response"), &format!("did you mean '{near}'? Or {example}")))
                }
            }
        })
        .collect()
}
