//! Which visits count: the plan of IRIS, the assessments of an endpoint, confirmation, conditions on a patient.

use crate::trial::history::{History, Plan};
use crate::trial::vocabulary::{Endpoint, Term};

/// Four weeks in months: the least time between a response and its confirmation.
const FOUR_WEEKS: f64 = 28.0 / 30.437_5;

impl Plan {
    /// The visits of IRIS: months 1, 2, 3, then every 3 months; marrow at 3, 6, 9, 12 and then every 6 months.
    ///
    /// Haematology was seen more often in the first months and PCR every 3 months from CCyR on. The marrow schedule is an
    /// *assumption*: the published rates at 3, 6, 12 and 18 months demand marrow then, and the later interval is the one
    /// usual in trials of that time. Holds at most 64 visits, that is, 183 months; later ones are left out.
    pub fn iris(horizon: f64) -> Plan {
        let mut months: Vec<f64> = [1.0, 2.0].into_iter().filter(|m| *m <= horizon).collect();
        let mut marrow = 0u64;
        let mut month = 3.0;
        while month <= horizon && months.len() < 64 {
            if month <= 12.0 || month % 6.0 == 0.0 {
                marrow |= 1 << months.len();
            }
            months.push(month);
            month += 3.0;
        }
        Plan { months, marrow, horizon }
    }
}

/// A term of a condition with its visits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    pub(super) of: Endpoint,
    pub(super) visits: u64,
    /// On treatment beyond this month, and the last assessment counts; `None`: ever.
    pub(super) at: Option<f64>,
    pub(super) not: bool,
}

/// The lowest `count` bits.
pub(super) fn low(count: u32) -> u64 {
    1u64.checked_shl(count).map_or(u64::MAX, |bit| bit - 1)
}

/// All visits from the first of the set on; none if it is empty.
pub(super) fn since_first(set: u64) -> u64 {
    if set == 0 { 0 } else { u64::MAX << set.trailing_zeros() }
}

/// The visits at which an endpoint is assessed.
pub(super) fn relevant(plan: &Plan, of: Endpoint) -> u64 {
    if of.is_cytogenetic() { plan.marrow } else { low(plan.months.len() as u32) }
}

/// What the last of the `assessed` visits showed.
pub(super) fn last(seen: u64, assessed: u64) -> Option<bool> {
    assessed.checked_ilog2().map(|visit| seen >> visit & 1 == 1)
}

/// Each visit of the set with the next one that is at least four weeks later.
pub(super) fn pairs(plan: &Plan, visits: u64) -> Vec<u64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_of_iris_has_marrow_where_rates_are_published() {
        let plan = Plan::iris(96.0);
        assert_eq!(&plan.months[..6], &[1.0, 2.0, 3.0, 6.0, 9.0, 12.0]);
        for month in [3.0, 6.0, 9.0, 12.0, 18.0, 24.0, 96.0] {
            assert_eq!(plan.marrow >> plan.visit(month).unwrap() & 1, 1);
        }
        for month in [1.0, 2.0, 15.0, 21.0, 93.0] {
            assert_eq!(plan.marrow >> plan.visit(month).unwrap() & 1, 0);
        }
        assert_eq!((plan.months.len(), plan.marrow.count_ones()), (34, 18));
    }
}
