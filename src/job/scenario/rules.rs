//! Arms and rules of a scenario: from their tables to a protocol that can act and does not contradict itself.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::definition::Source;
use super::super::legal;
use super::super::spanned::Spanned;
use super::label;
use crate::error::{Error, Result};
use crate::model::cml::drugs::Drug;
use crate::model::cml::protocol::reading::Chances;
use crate::model::cml::protocol::{Action, Finding, MOST_RULES, Protocol, Rule, Scope, Share};
use crate::model::cml::targets::Target;
use crate::spelling::{nearest, similar};
use crate::trial::history::{Leaving, Plan};
use crate::trial::vocabulary::{Endpoint, Word, words};

/// Largest dose, as a multiple of the standard one; more is taken for a slip of the pen.
const MOST_DOSES: f64 = 4.0;
/// Smallest one; less is taken for another unit.
const LEAST_DOSES: f64 = 0.125;

/// One `[[arm]]`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::job) struct ArmDef {
    /// What it is called; each has a name of its own.
    #[schemars(example = &"imatinib 400")]
    pub(in crate::job) name: Spanned<String>,
    /// The reasons for which its patients leave treatment before its end; without it all that there are.
    #[serde(default)]
    #[schemars(transform = legal::one_of(reasons()), example = ["adverse", "other"])]
    pub(in crate::job) leave: Option<Vec<Spanned<String>>>,
    /// What is done with its patients, in their order; without a rule nothing is given.
    #[serde(default)]
    pub(in crate::job) rule: Vec<Spanned<RuleDef>>,
}

/// A rule as it is written.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleDef {
    /// What other rules call it.
    #[schemars(example = &"stop")]
    #[serde(default)]
    name: Option<Spanned<String>>,
    /// The rule above, by name, from whose action its months count; without it they count from the start of treatment.
    #[serde(default)]
    #[schemars(example = &"stop")]
    after: Option<Spanned<String>>,
    /// The month at which it acts, of a visit. Without `at`, `from` and `until` it acts at the start, or, if it has a condition or
    /// waits, from then on.
    #[serde(default)]
    #[schemars(transform = legal::NOT_NEGATIVE.schema(), extend("x-unit" = "months"), example = 12.0)]
    at: Option<Spanned<f64>>,
    /// The first month at which it can act.
    #[serde(default)]
    #[schemars(transform = legal::NOT_NEGATIVE.schema(), extend("x-unit" = "months"), example = 36.0)]
    from: Option<Spanned<f64>>,
    /// The last; without it the end of the follow-up.
    #[serde(default)]
    #[schemars(transform = legal::NOT_NEGATIVE.schema(), extend("x-unit" = "months"), example = 60.0)]
    until: Option<Spanned<f64>>,
    /// The share of the patients to whom it applies, or a part of a lot, from which to which of their numbers in it; without it
    /// all.
    #[serde(default)]
    #[schemars(example = 0.3, example = [0.5, 1.0])]
    share: Option<Spanned<ShareDef>>,
    /// The lot by which that share is chosen: rules of one lot share its numbers; without it one of the rule's own.
    #[serde(default)]
    #[schemars(example = &"randomisation")]
    lot: Option<Spanned<String>>,
    /// A condition: terms joined by `&`, each `[not] RESPONSE` (at the last assessment), `[not] ever RESPONSE`, or
    /// `[not] RESPONSE for MONTHS` (at every assessment of that time, two at least). Without it the rule acts on everybody.
    #[serde(default, rename = "if")]
    #[schemars(example = &"not mmr", example = &"mr45 for 24")]
    when: Option<Spanned<String>>,
    /// What is given from then on, by drug: its daily dose, from an eighth to four times the standard one (`nicho check SCENARIO`
    /// says that and the unit).
    #[serde(default)]
    #[schemars(transform = legal::one_of(words::<Drug>()), extend("x-unit" = "of the drug"), example = json!({ "imatinib": 400.0 }))]
    give: BTreeMap<Spanned<String>, Spanned<f64>>,
    /// The drugs that are stopped, or `all` alone.
    #[serde(default)]
    #[schemars(transform = legal::one_of(stoppable()), example = ["all"])]
    stop: Vec<Spanned<String>>,
    /// Targets that are blocked from then on, by name: the share that is blocked; below 0 the target is driven up.
    #[serde(default)]
    #[schemars(
        transform = legal::BLOCK.schema(),
        transform = legal::one_of(words::<Target>()),
        example = json!({ "wnt": 0.8 })
    )]
    block: BTreeMap<Spanned<String>, Spanned<f64>>,
    /// Whether its action is a relapse after a planned stop; it then waits for one.
    #[serde(default)]
    #[schemars(example = true)]
    relapse: bool,
}

/// A share of the patients, or from which to which of their numbers in a lot.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged, expecting = "expected a share like 0.3, or a part of a lot like [0.5, 1]")]
enum ShareDef {
    Share(#[schemars(transform = legal::SOME.schema())] f64),
    Part(#[schemars(transform = legal::SHARE.schema())] [f64; 2]),
}

/// The reasons for which patients of an arm can be let stay.
pub(in crate::job) fn reasons() -> [&'static str; Leaving::AVOIDABLE.len()] {
    Leaving::AVOIDABLE.map(Word::name)
}

/// What can be stopped.
fn stoppable() -> Vec<&'static str> {
    [words::<Drug>(), vec!["all"]].concat()
}

/// The protocol of an arm.
pub(in crate::job) fn protocol(source: &Source, arm: &ArmDef, plan: &Plan) -> Result<Protocol> {
    if arm.rule.len() > MOST_RULES {
        let problem = format!("{} rules; the legal range is 0 to {MOST_RULES}", arm.rule.len());
        return Err(source.error(arm.name.span(), "arm.rule", &problem, "ask with fewer rules, or in several arms"));
    }
    let mut protocol = Protocol { rules: Vec::new(), stays: stays(source, arm)? };
    for (index, def) in arm.rule.iter().enumerate() {
        let rule = rule(source, arm, def, &protocol.rules, plan)?;
        if let Some(name) = &def.get_ref().name
            && protocol.rules.iter().any(|other| other.name == rule.name)
        {
            let problem = format!("two rules of this arm are called '{}'", rule.name);
            return Err(source.error(name.span(), "arm.rule.name", &problem, "give each rule a name of its own"));
        }
        protocol.rules.push(rule);
        let chances = protocol.chances(plan);
        if chances[index].is_empty() {
            return Err(cannot_act(source, def, &protocol, plan));
        }
        contradiction(source, def, &protocol.rules, &chances)?;
    }
    let chances = protocol.chances(plan);
    for (index, def) in arm.rule.iter().enumerate() {
        stop_can_act(source, def, index, &protocol, &chances)?;
        if def.get_ref().relapse {
            relapse_can_act(source, def, index, &protocol, &chances)?;
        }
    }
    Ok(protocol)
}

/// The reasons for which nobody leaves.
fn stays(source: &Source, arm: &ArmDef) -> Result<Vec<Leaving>> {
    let all = Leaving::AVOIDABLE;
    let Some(leave) = &arm.leave else { return Ok(Vec::new()) };
    let mut stays = all.to_vec();
    for name in leave {
        let reason = Leaving::parse(name.get_ref());
        let Some(reason) = reason.filter(|reason| all.contains(reason)) else {
            return Err(source.unknown(name, "arm.leave", "reason", &reasons()));
        };
        stays.retain(|other| *other != reason);
    }
    Ok(stays)
}

/// Refuses a stop of what is never given, or only once the stop has acted.
fn stop_can_act(source: &Source, def: &Spanned<RuleDef>, index: usize, protocol: &Protocol, chances: &Chances) -> Result<()> {
    let given = |drug: &Drug| {
        let gives = |rule: &Rule| rule.then.give.iter().any(|(other, _)| other == drug);
        let before = |j: usize| chances[j].first() < chances[index].last() && !protocol.waits(j, index);
        protocol.rules.iter().enumerate().any(|(j, rule)| gives(rule) && before(j))
    };
    let stops = &protocol.rules[index].then.stop;
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

/// Refuses a relapse that is no relapse after a stop: one of an arm that never stops, or that does not wait for its stop and could
/// act, once and for all, before it.
fn relapse_can_act(source: &Source, def: &Spanned<RuleDef>, index: usize, protocol: &Protocol, chances: &Chances) -> Result<()> {
    let ends = protocol.ends(chances);
    if ends.is_empty() {
        let fix = "add a rule with stop = [\"all\"], or drop this one";
        let problem = "a relapse comes after a stop, and this arm never stops";
        return Err(source.error(def.span(), "arm.rule.relapse", problem, fix));
    }
    if ends.iter().any(|stop| protocol.waits(index, *stop)) {
        return Ok(());
    }
    let problem = "it does not wait for a stop, before which there is no relapse";
    let fix = "write after = \"…\" with the name of the rule that stops; its months then count from the stop";
    Err(source.error(def.span(), "arm.rule.relapse", problem, fix))
}

/// A value in its range.
fn within(source: &Source, value: &Spanned<f64>, key: &str, (low, high): (f64, f64), unit: &str) -> Result<f64> {
    if (low..=high).contains(value.get_ref()) {
        return Ok(*value.get_ref());
    }
    let problem = format!("{} is outside the legal range [{low}, {high}]{unit}", value.get_ref());
    Err(source.error(value.span(), key, &problem, "give a value in the range"))
}

fn rule(source: &Source, arm: &ArmDef, spanned: &Spanned<RuleDef>, before: &[Rule], plan: &Plan) -> Result<Rule> {
    let def = spanned.get_ref();
    let after = after(source, arm, def, before)?;
    let when = def.when.as_ref().map_or(Ok(Vec::new()), |text| findings(source, text))?;
    let window = window(source, spanned, after.is_none() && when.is_empty(), plan)?;
    let then = action(source, spanned, before)?;
    let mut rule = Rule { name: String::new(), after, window, share: Share::all(), when, then };
    rule.name = match &def.name {
        Some(name) => label(source, name, "arm.rule.name")?,
        None => rule.usual_name(before),
    };
    rule.share = share(source, def, &rule.name)?;
    Ok(rule)
}

/// To whom a rule applies.
fn share(source: &Source, def: &RuleDef, name: &str) -> Result<Share> {
    let Some(share) = &def.share else {
        let Some(lot) = &def.lot else { return Ok(Share::all()) };
        let fix = "say which part of it, as in share = 0.5 or share = [0.5, 1], or drop the lot";
        return Err(source.error(lot.span(), "arm.rule.lot", "a lot without a share takes everybody", fix));
    };
    let (from, until) = match *share.get_ref() {
        ShareDef::Share(share) => (0.0, share),
        ShareDef::Part([from, until]) => (from, until),
    };
    if !(0.0 <= from && from < until && until <= 1.0) {
        let problem = match share.get_ref() {
            ShareDef::Share(share) => format!("{share} is outside the legal range: above 0, to 1"),
            ShareDef::Part(_) => format!("[{from}, {until}] is no part of [0, 1]"),
        };
        let fix = "give a share of the patients like 0.3, or a part of a lot like [0.5, 1]";
        return Err(source.error(share.span(), "arm.rule.share", &problem, fix));
    }
    let lot = def.lot.as_ref().map_or(Ok(name.to_string()), |lot| label(source, lot, "arm.rule.lot"))?;
    Ok(Share { lot, from, until })
}

/// The rule that a rule waits for: one above it that has a name.
fn after(source: &Source, arm: &ArmDef, def: &RuleDef, before: &[Rule]) -> Result<Option<usize>> {
    let Some(name) = &def.after else { return Ok(None) };
    if let Some(at) = &def.at {
        let fix = "write from = MONTHS: the rule acts at the first visit then";
        let problem = "counted from another rule, no visit need fall on that month";
        return Err(source.error(at.span(), "arm.rule.at", problem, fix));
    }
    let named = |j: &usize| arm.rule[*j].get_ref().name.is_some();
    let named: Vec<usize> = (0..before.len()).filter(named).collect();
    let found = named.iter().find(|j| before[**j].name == name.get_ref().trim());
    found.map(|j| Some(*j)).ok_or_else(|| {
        let names: Vec<&str> = named.iter().map(|j| before[*j].name.as_str()).collect();
        let fix = match similar(name.get_ref(), names.iter().copied()) {
            _ if names.is_empty() => "name a rule above this one with name = \"…\"".into(),
            Some(near) => format!("did you mean '{near}'? Only rules above this one can be waited for"),
            None => format!("only rules above this one can be waited for: {}", names.join(", ")),
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

/// Why no visit can call up the last of the rules.
fn cannot_act(source: &Source, spanned: &Spanned<RuleDef>, protocol: &Protocol, plan: &Plan) -> Error {
    let mut alone = protocol.clone();
    let Some(rule) = alone.rules.last_mut() else { return source.error(spanned.span(), "arm.rule", "no rule", "add one") };
    let (when, (from, until), after) = (std::mem::take(&mut rule.when), rule.window, rule.after);
    // Without conditions a rule of the start would act there; the window asks for a visit.
    rule.window.0 = from.max(f64::MIN_POSITIVE);
    let can = |protocol: &Protocol| protocol.chances(plan).pop().is_some_and(|months| !months.is_empty());
    if !can(&alone) {
        let last = until.min(plan.horizon);
        let months = match after {
            None if from == until => format!("falls on month {from}"),
            None => format!("lies between month {from} and {last}"),
            Some(j) if until == f64::INFINITY => {
                format!("lies {from} months or more after one at which '{}' can act", protocol.rules[j].name)
            }
            Some(j) => format!("lies {from} to {last} months after one at which '{}' can act", protocol.rules[j].name),
        };
        let problem = format!("no visit {months}, so the rule can never act");
        let fix = "choose the month of a visit, or widen the window, or add visits under [visits]";
        return source.error(spanned.span(), if after.is_some() { "arm.rule.from" } else { "arm.rule.at" }, &problem, fix);
    }
    let unseen = |finding: &&Finding| {
        let mut one = alone.clone();
        one.rules.iter_mut().rev().take(1).for_each(|rule| rule.when = vec![**finding]);
        !can(&one)
    };
    let finding = when.iter().find(unseen);
    let words = finding.map_or(String::from("all of this"), |finding| format!("'{}'", finding.words()));
    let problem = match after {
        None => format!("{words} cannot have been seen by month {}, so the rule can never act", until.min(plan.horizon)),
        Some(_) => format!("{words} cannot have been seen by then, so the rule can never act"),
    };
    let fix = match finding.map(|finding| finding.scope) {
        Some(Scope::For(_)) => "make the time shorter or the window later",
        _ => "add marrow under [visits], or make the window later",
    };
    let span = spanned.get_ref().when.as_ref().map_or(spanned.span(), Spanned::span);
    source.error(span, "arm.rule.if", &problem, fix)
}

fn action(source: &Source, spanned: &Spanned<RuleDef>, before: &[Rule]) -> Result<Action> {
    let def = spanned.get_ref();
    let mut then = Action { relapse: def.relapse, ..Action::default() };
    for (name, dose) in &def.give {
        let Some(drug) = Drug::parse(name.get_ref()) else {
            return Err(source.unknown(name, "arm.rule.give", "drug", &words::<Drug>()));
        };
        let profile = drug.profile();
        let key = format!("arm.rule.give.{}", name.get_ref());
        if *dose.get_ref() == 0.0 {
            let fix = format!("write stop = [\"{}\"]", name.get_ref());
            return Err(source.error(dose.span(), &key, "a dose of 0 is a stop", &fix));
        }
        let range = (LEAST_DOSES * profile.standard, MOST_DOSES * profile.standard);
        let unit = format!(" {}; the standard dose is {}", profile.unit, profile.standard);
        then.give.push((drug, within(source, dose, &key, range, &unit)?));
    }
    for name in &def.stop {
        if def.stop.len() > 1 && (name.get_ref() == "all" || def.stop.iter().filter(|other| *other == name).count() > 1) {
            let problem = match name.get_ref().as_str() {
                "all" => "'all' leaves nothing else to name".into(),
                drug => format!("'{drug}' is named twice"),
            };
            return Err(source.error(name.span(), "arm.rule.stop", &problem, "name each drug once, or \"all\" alone"));
        }
        match Drug::parse(name.get_ref()) {
            Some(drug) => then.stop.push(drug),
            None if name.get_ref() == "all" => then.stop.extend(Drug::ALL.iter().map(|(_, drug)| *drug)),
            None => return Err(source.unknown(name, "arm.rule.stop", "drug", &stoppable())),
        }
    }
    for (name, share) in &def.block {
        let Some(target) = Target::parse(name.get_ref()) else {
            return Err(source.unknown(name, "arm.rule.block", "target", &words::<Target>()));
        };
        let key = format!("arm.rule.block.{}", name.get_ref());
        let blocked = |rule: &Rule| rule.then.block.iter().any(|(other, _)| *other == target);
        if *share.get_ref() == 0.0 && !before.iter().any(blocked) {
            let problem = format!("0 blocks nothing, and no rule above blocks {}", name.get_ref());
            let fix = "give the share that is blocked, as in 0.8, or drop it";
            return Err(source.error(share.span(), &key, &problem, fix));
        }
        if !legal::BLOCK.holds(*share.get_ref()) {
            let range = format!("{}; 1 blocks all of it, below 0 drives it up", legal::BLOCK);
            let problem = format!("{} is outside the legal range: {range}", share.get_ref());
            return Err(source.error(share.span(), &key, &problem, "give a value in the range"));
        }
        then.block.push((target, *share.get_ref()));
    }
    if then == Action::default() {
        let fix = "say what it does: give, stop, block or relapse";
        return Err(source.error(spanned.span(), "arm.rule", "the rule does nothing", fix));
    }
    Ok(then)
}

/// Refuses a last rule that gives and takes one drug at once, or that at one visit sets what another sets otherwise for all of
/// its patients, or of the other's.
fn contradiction(source: &Source, def: &Spanned<RuleDef>, rules: &[Rule], chances: &Chances) -> Result<()> {
    let Some((rule, before)) = rules.split_last() else { return Ok(()) };
    let all = rule.then.stop.len() == Drug::ALL.len();
    if let Some((drug, _)) = rule.then.give.iter().find(|(drug, _)| !all && rule.then.stop.contains(drug)) {
        let problem = format!("the rule gives {0} and stops {0} at once", drug.name());
        return Err(source.error(def.span(), "arm.rule", &problem, "keep one of the two"));
    }
    let here = rule.then.settings();
    for (other, months) in before.iter().zip(chances) {
        let together = other.after == rule.after && months.first() == chances[before.len()].first();
        if !together || !(other.holds(rule) || rule.holds(other)) {
            continue;
        }
        let there = other.then.settings();
        let otherwise = |(name, value): &&(&str, f64)| there.iter().any(|(known, set)| known == name && set != value);
        if let Some((what, _)) = here.iter().find(otherwise) {
            let problem =
                format!("'{}' and '{}' act at the same visit on {what} and contradict each other", other.name, rule.name);
            let fix = "keep one of them, or give them other months or conditions";
            return Err(source.error(def.span(), "arm.rule", &problem, fix));
        }
    }
    Ok(())
}

/// Reads a condition: terms joined by `&`, each `[not] [ever] RESPONSE [for MONTHS]`.
fn findings(source: &Source, text: &Spanned<String>) -> Result<Vec<Finding>> {
    let complain = |problem: String, fix: &str| source.error(text.span(), "arm.rule.if", &problem, fix);
    let example = &"write terms like \"ccyr\", \"not mmr\", \"ever mr4\" or \"umrd for 24\", joined by &";
    let findings = text
        .get_ref()
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
                    Ok(months) if legal::MONTHS.holds(months) => (*name, Scope::For(months)),
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
        .collect::<Result<Vec<Finding>>>()?;
    for (k, one) in findings.iter().enumerate() {
        if let Some(other) = findings[..k].iter().find(|other| one.excludes(other)) {
            let problem = format!("'{}' and '{}' can never both hold, so the rule can never act", other.words(), one.words());
            return Err(complain(problem, "drop one of the two; for \"or\" write two rules"));
        }
    }
    Ok(findings)
}
