//! Which visits count: the assessments of an endpoint, confirmation, conditions on a patient.

use crate::trial::history::{History, Plan, Visits, low};
use crate::trial::vocabulary::{Endpoint, Term};

/// Four weeks in months: the least time between a response and its confirmation.
const FOUR_WEEKS: f64 = 28.0 / 30.437_5;

/// A term of a condition with its visits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    pub(super) of: Endpoint,
    pub(super) visits: Visits,
    /// On treatment beyond this month, and the last assessment counts; `None`: ever.
    pub(super) at: Option<f64>,
    pub(super) not: bool,
}

/// All visits from the first of the set on; none if it is empty.
pub(super) fn since_first(set: Visits) -> Visits {
    if set == 0 { 0 } else { Visits::MAX << set.trailing_zeros() }
}

/// The visits at which an endpoint is assessed.
pub(crate) fn relevant(plan: &Plan, of: Endpoint) -> Visits {
    if of.is_cytogenetic() { plan.marrow } else { low(plan.months.len()) }
}

/// What the last of the `assessed` visits showed.
pub(crate) fn last(seen: Visits, assessed: Visits) -> Option<bool> {
    assessed.checked_ilog2().map(|visit| seen >> visit & 1 == 1)
}

/// Each visit of the set with the next one that is at least four weeks later.
pub(super) fn pairs(plan: &Plan, visits: Visits) -> Vec<Visits> {
    let set: Vec<usize> = (0..plan.months.len()).filter(|v| visits >> v & 1 == 1).collect();
    set.iter()
        .enumerate()
        .filter_map(|(at, first)| {
            let far = set[at + 1..].iter().position(|next| plan.months[*next] - plan.months[*first] >= FOUR_WEEKS)?;
            // Every assessment from the first to the confirming one has to qualify.
            Some(set[at..=at + 1 + far].iter().fold(0, |bits, visit| bits | 1 << visit))
        })
        .collect()
}

/// A term with its visits, in a row of that month.
pub(super) fn condition(plan: &Plan, term: &Term, month: f64) -> Condition {
    // Half a month of tolerance, as for a visit.
    let until = term.month.map_or(month, |m| m + 0.5);
    Condition { of: term.response, visits: plan.by(until) & relevant(plan, term.response), at: term.month, not: term.not }
}

/// Whether a patient meets every term.
pub(super) fn meets(given: &[Condition], history: &History) -> bool {
    given.iter().all(|term| {
        let seen = term.of.found(&history.found).unwrap_or(0) & history.attended;
        match term.at {
            None => (seen & term.visits != 0) != term.not,
            Some(month) => {
                history.left > month && last(seen, history.attended & term.visits).is_some_and(|shown| shown != term.not)
            }
        }
    })
}
