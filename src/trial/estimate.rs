//! The estimators: what the trial would have published, had these been its patients.
//!
//! * Curves are Kaplan-Meier's: S(t) = ∏ (1 − dᵤ / rᵤ) over times u ≤ t. A response is reached at the visit that finds it;
//!   who leaves without it is censored after the last visit attended. Events of survival on treatment end with treatment;
//!   death is followed after it, to the horizon. An event and a censoring at one time: the event comes first. Beyond the
//!   last patient at risk a curve stays where it is.
//! * The clock of a relapse starts at each patient's stop of treatment. Those who stopped by the horizon count; leaving,
//!   death and the horizon censor, so that Kaplan-Meier's survival is treatment-free remission.
//! * An annual rate is the actuarial one: events / (at risk at the start of the year − half of those censored within it).
//! * A status "at" a month asks for the last assessment up to then (metaphases: the last marrow) and for treatment to go on
//!   beyond the month.
//! * Loss of a response stands unless the next assessment shows the response again: one positive metaphase of 20 that
//!   the next marrow does not confirm is sampling noise.
//!
//! A share of an empty subgroup is 0: no patient showed it. A landmark curve without patients has no such reading;
//! the estimate is then NaN: a fit counts the simulation as failed, a prediction leaves the row out.

use crate::error::Result;
use crate::trial::history::{History, Plan, Visits};
use crate::trial::table::Row;
use crate::trial::visits::{Condition, condition, last, meets, pairs, relevant, since_first};
use crate::trial::vocabulary::{Endpoint, Kind, Term, Word};

/// Estimates of a list of rows, prepared for one plan of visits.
#[derive(Clone, Debug)]
pub struct Estimator {
    plan: Plan,
    rows: usize,
    shares: Vec<Share>,
    curves: Vec<Curve>,
    annuals: Vec<Annual>,
}

/// A Kaplan-Meier curve and the rows that are read from it.
#[derive(Clone, Debug)]
struct Curve {
    of: Endpoint,
    given: Vec<Condition>,
    /// Where it starts: the latest month of its condition, or 0.
    start: f64,
    reads: Vec<Read>,
}

#[derive(Clone, Copy, Debug)]
struct Read {
    row: usize,
    month: f64,
    incidence: bool,
    /// A product multiplies what stands in its place already.
    product: bool,
}

/// A share of those who meet a condition.
#[derive(Clone, Debug)]
struct Share {
    row: usize,
    given: Vec<Condition>,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// A finding at any visit of the set; counted only from the first visit of `from` on, if given.
    Ever { of: Endpoint, visits: Visits, from: Option<Endpoint> },
    /// A finding at both visits of a pair.
    Confirmed { of: Endpoint, pairs: Vec<Visits> },
    /// A finding at the last assessment of the set, on treatment beyond the month.
    Last { of: Endpoint, visits: Visits, month: f64 },
    /// An event by the month.
    Event { of: Endpoint, month: f64 },
    /// On treatment beyond the month.
    Staying { month: f64 },
    /// Stopped treatment as planned by the month.
    Stopped { month: f64 },
    /// Left for the reason of the endpoint by the month.
    Left { of: Endpoint, month: f64 },
}

/// Life-table rates of one endpoint.
#[derive(Clone, Debug)]
struct Annual {
    of: Endpoint,
    /// Row and end of its year.
    years: Vec<(usize, f64)>,
}

impl Estimator {
    /// Prepares the rows for histories recorded over `plan`.
    ///
    /// # Errors
    /// A row lies after the horizon, or asks for the status at a month without a visit.
    pub fn new(rows: &[&Row], plan: &Plan) -> Result<Estimator> {
        let mut all =
            Estimator { plan: plan.clone(), rows: rows.len(), shares: Vec::new(), curves: Vec::new(), annuals: Vec::new() };
        for (at, row) in rows.iter().enumerate() {
            all.check(row)?;
            all.add(at, row);
        }
        Ok(all)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The month from which on nothing later changes the estimate of a row; infinite if it may change until the horizon.
    pub fn settled(row: &Row) -> f64 {
        match row.endpoint {
            // A loss may be taken back at the next marrow; a relapse is asked of those who stop by the horizon.
            Endpoint::CcyrLoss | Endpoint::Relapse => f64::INFINITY,
            _ => row.given.iter().filter_map(|term| term.month).fold(row.month, f64::max),
        }
    }

    fn check(&self, row: &Row) -> Result<()> {
        let horizon = self.plan.horizon;
        // That of a relapse too, though it counts from the stop: nobody is followed for longer.
        if row.month > horizon {
            let problem = format!("row {} at month {} lies after the horizon {horizon}", row.id, row.month);
            return Err(row.error("month", problem, "raise the horizon of the trial, or drop the row".into()));
        }
        let here =
            (row.kind == Kind::At && row.endpoint.is_response() && !row.given.is_empty()).then_some((row.endpoint, row.month));
        let terms = row.given.iter().filter_map(|term| term.month.map(|month| (term.response, month)));
        for (of, month) in terms.chain(here) {
            let visit = self.plan.visit(month).filter(|v| relevant(&self.plan, of) >> v & 1 == 1);
            if visit.is_none() {
                let what = if of.is_cytogenetic() { "marrow" } else { "visit" };
                let problem = format!("row {} needs a {what} at month {month}, the plan has none", row.id);
                return Err(row.error("month", problem, "choose a planned month, or drop the row".into()));
            }
        }
        Ok(())
    }

    fn add(&mut self, at: usize, row: &Row) {
        let plan = &self.plan;
        let given: Vec<Condition> = row.given.iter().map(|term| condition(plan, term, row.month)).collect();
        let (of, month) = (row.endpoint, row.month);
        let visits = plan.by(month) & relevant(plan, of);
        let share = |given, what| Share { row: at, given, what };
        match row.kind {
            Kind::KmIncidence | Kind::KmSurvival => {
                let incidence = row.kind == Kind::KmIncidence;
                self.curve(of, &row.given, given, Read { row: at, month, incidence, product: false });
            }
            Kind::Product => {
                let reached = Term { response: Endpoint::Ccyr, month: None, not: false };
                let within = vec![condition(plan, &reached, month)];
                self.shares.push(share(within, What::Ever { of, visits, from: Some(Endpoint::Ccyr) }));
                self.curve(Endpoint::Ccyr, &[], Vec::new(), Read { row: at, month, incidence: true, product: true });
            }
            Kind::Annual => match self.annuals.iter_mut().find(|annual| annual.of == of) {
                Some(annual) => annual.years.push((at, month)),
                None => self.annuals.push(Annual { of, years: vec![(at, month)] }),
            },
            Kind::Ever if of.is_event() => self.shares.push(share(given, What::Event { of, month })),
            Kind::Ever | Kind::At if of == Endpoint::Stopped => self.shares.push(share(given, What::Stopped { month })),
            Kind::Ever => {
                let from = row.given.iter().find(|t| t.month.is_none() && !t.not).map(|t| t.response);
                self.shares.push(share(given, What::Ever { of, visits, from }));
            }
            Kind::Confirmed => {
                let pairs = pairs(plan, visits);
                self.shares.push(share(given, What::Confirmed { of, pairs }));
            }
            Kind::At if of == Endpoint::OnTreatment => self.shares.push(share(given, What::Staying { month })),
            Kind::At if of.reason().is_some() => self.shares.push(share(given, What::Left { of, month })),
            Kind::At => self.shares.push(share(given, What::Last { of, visits, month })),
        }
    }

    fn curve(&mut self, of: Endpoint, terms: &[Term], given: Vec<Condition>, read: Read) {
        let start = terms.iter().filter_map(|term| term.month).fold(0.0, f64::max);
        // A condition without a month is taken at the row's month, so only those curves that have none are shared.
        let shared = given.is_empty();
        match self.curves.iter_mut().find(|curve| shared && curve.of == of && curve.given.is_empty()) {
            Some(curve) => curve.reads.push(read),
            None => self.curves.push(Curve { of, given, start, reads: vec![read] }),
        }
        for curve in &mut self.curves {
            curve.reads.sort_by(|a, b| a.month.total_cmp(&b.month));
        }
    }

    /// Writes the estimate of row *i* to `out[i]`, a number in [0, 1], or NaN for a curve without patients.
    pub fn estimate(&self, histories: &[History], out: &mut [f64]) {
        for share in &self.shares {
            out[share.row] = self.share(share, histories);
        }
        let mut times = Vec::new();
        for curve in &self.curves {
            if curve.of.is_response() && curve.given.is_empty() {
                self.response_curve(curve, histories, out);
            } else {
                self.event_curve(curve, histories, &mut times, out);
            }
        }
        for annual in &self.annuals {
            self.life_table(annual, histories, out);
        }
    }

    fn share(&self, share: &Share, histories: &[History]) -> f64 {
        let (mut among, mut shown) = (0u32, 0u32);
        for history in histories {
            if !meets(&share.given, history) {
                continue;
            }
            // A status among a subgroup is asked of those who are still there to be asked.
            let asked = match share.what {
                What::Last { month, .. } if !share.given.is_empty() => history.left > month,
                What::Event { of, .. } => self.followed(of, history),
                _ => true,
            };
            among += u32::from(asked);
            shown += u32::from(asked && self.shows(&share.what, history));
        }
        ratio(shown, among)
    }

    fn shows(&self, what: &What, history: &History) -> bool {
        let seen = |of: &Endpoint| of.found(&history.found).unwrap_or(0) & history.attended;
        match what {
            What::Ever { of, visits, from } => {
                let since = match from {
                    None => Visits::MAX,
                    Some(first) => since_first(seen(first) & relevant(&self.plan, *first)),
                };
                seen(of) & visits & since != 0
            }
            What::Confirmed { of, pairs } => {
                let seen = seen(of);
                pairs.iter().any(|pair| seen & pair == *pair)
            }
            What::Last { of, visits, month } => history.left > *month && last(seen(of), history.attended & visits) == Some(true),
            What::Event { of, month } => {
                let (time, happened) = self.event(*of, history, 0.0);
                happened && time <= *month
            }
            What::Stopped { month } => history.stopped_by(*month),
            What::Staying { month } => history.left > *month,
            What::Left { of, month } => history.left <= *month && of.reason() == Some(history.reason),
        }
    }

    /// Whether the clock of an event ever starts: that of a relapse at the stop of treatment, any other at the start.
    fn followed(&self, of: Endpoint, history: &History) -> bool {
        of != Endpoint::Relapse || history.stopped_by(self.plan.horizon)
    }

    /// Time of an event or of censoring, and which of the two. A loss of response is looked for from `start` on.
    fn event(&self, of: Endpoint, history: &History, start: f64) -> (f64, bool) {
        let end = history.left.min(self.plan.horizon);
        let on_treatment = |time: f64| {
            if time <= end { (time, true) } else { (end, false) }
        };
        let since_stop = |end: f64| {
            let relapsed = history.relapsed <= end;
            (if relapsed { history.relapsed } else { end } - history.stopped, relapsed)
        };
        match of {
            Endpoint::Efs => on_treatment(history.event),
            Endpoint::Ffp => on_treatment(history.progressed),
            Endpoint::CcyrLoss => on_treatment(self.loss(history, start)),
            Endpoint::Relapse => since_stop(end.min(history.died)),
            _ if history.died > self.plan.horizon => (self.plan.horizon, false),
            _ => (history.died, of == Endpoint::Os || history.died_of_cml),
        }
    }

    /// Month of the first loss of CCyR at or after `start` that the next marrow does not take back.
    fn loss(&self, history: &History, start: f64) -> f64 {
        let marrow = history.attended & self.plan.marrow;
        let reached = history.found.ccyr & marrow;
        let mut rest = marrow & since_first(reached) & !self.plan.before(start);
        let mut lost = f64::INFINITY;
        while rest != 0 {
            let visit = rest.trailing_zeros();
            rest &= rest - 1;
            if reached >> visit & 1 == 1 {
                lost = f64::INFINITY;
            } else if lost.is_finite() {
                return lost;
            } else {
                lost = self.plan.months[visit as usize];
            }
        }
        lost
    }

    /// Kaplan-Meier on the grid of visits: counts per visit, no sorting.
    fn response_curve(&self, curve: &Curve, histories: &[History], out: &mut [f64]) {
        let visits = relevant(&self.plan, curve.of);
        let (mut reached, mut ended) = ([0u32; Plan::MOST], [0u32; Plan::MOST]);
        let mut risk = 0u32;
        for history in histories {
            let attended = history.attended & visits;
            let Some(last) = attended.checked_ilog2() else { continue };
            risk += 1;
            let found = curve.of.found(&history.found).unwrap_or(0) & attended;
            if found == 0 {
                ended[last as usize] += 1;
            } else {
                reached[found.trailing_zeros() as usize] += 1;
            }
        }
        let (mut without, mut visit) = (1.0, 0);
        for read in &curve.reads {
            while visit < self.plan.months.len() && self.plan.months[visit] <= read.month {
                if reached[visit] > 0 {
                    without *= 1.0 - f64::from(reached[visit]) / f64::from(risk);
                }
                risk -= reached[visit] + ended[visit];
                visit += 1;
            }
            read.put(without, out);
        }
    }

    /// Kaplan-Meier of an event, or of a response with a condition, by sorted times.
    fn event_curve(&self, curve: &Curve, histories: &[History], times: &mut Vec<(f64, bool)>, out: &mut [f64]) {
        times.clear();
        let all = histories.iter().filter(|history| self.followed(curve.of, history) && meets(&curve.given, history));
        if curve.of.is_response() {
            times.extend(all.filter_map(|history| self.first_response(curve, history)));
        } else {
            let timed = all.map(|history| self.event(curve.of, history, curve.start));
            times.extend(timed.filter(|(time, _)| *time > curve.start || curve.start == 0.0));
        }
        if times.is_empty() {
            curve.reads.iter().for_each(|read| out[read.row] = f64::NAN);
            return;
        }
        // Events before censorings of the same time.
        times.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let (mut free, mut at) = (1.0, 0);
        for read in &curve.reads {
            while at < times.len() && times[at].0 <= read.month {
                let risk = times.len() - at;
                // One factor per event: d events of one time telescope to 1 − d / r.
                if times[at].1 {
                    free *= (risk - 1) as f64 / risk as f64;
                }
                at += 1;
            }
            read.put(free, out);
        }
    }

    fn first_response(&self, curve: &Curve, history: &History) -> Option<(f64, bool)> {
        let attended = history.attended & relevant(&self.plan, curve.of);
        let found = curve.of.found(&history.found).unwrap_or(0) & attended;
        let visit = if found == 0 { attended.checked_ilog2()? } else { found.trailing_zeros() };
        let month = self.plan.months[visit as usize];
        (month > curve.start || curve.start == 0.0).then_some((month, found != 0))
    }

    fn life_table(&self, annual: &Annual, histories: &[History], out: &mut [f64]) {
        // Per year: at risk at its start, events, censored within.
        let mut counts = vec![[0u32; 3]; annual.years.len()];
        for history in histories {
            let (time, happened) = self.event(annual.of, history, 0.0);
            for (count, (_, end)) in counts.iter_mut().zip(&annual.years) {
                let within = time < *end || (happened && time == *end);
                count[0] += u32::from(time > end - 12.0);
                count[1] += u32::from(time > end - 12.0 && within && happened);
                count[2] += u32::from(time > end - 12.0 && within && !happened);
            }
        }
        for (count, (row, _)) in counts.iter().zip(&annual.years) {
            let exposed = f64::from(count[0]) - 0.5 * f64::from(count[2]);
            out[*row] = if exposed > 0.0 { (f64::from(count[1]) / exposed).min(1.0) } else { 0.0 };
        }
    }
}

impl Read {
    fn put(&self, free: f64, out: &mut [f64]) {
        let value = if self.incidence { 1.0 - free } else { free };
        out[self.row] = if self.product { out[self.row] * value } else { value };
    }
}

fn ratio(shown: u32, among: u32) -> f64 {
    if among == 0 { 0.0 } else { f64::from(shown) / f64::from(among) }
}

impl std::fmt::Display for Estimator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let curves: Vec<&str> = self.curves.iter().map(|curve| curve.of.name()).collect();
        write!(f, "{} rows; curves: {}", self.len(), curves.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::history::{Event, Leaving};
    use crate::trial::table::Table;
    use std::path::Path;

    const NEVER: f64 = f64::INFINITY;
    const HEADER: &str =
        "id,fit_role,group,endpoint,kind,given,month,value,n,se,level,level_se,se_basis,definition,reason,source\n";

    /// Visits 1, 2, 3, 6, …, 24: marrow at 3, 6, 9, 12, 18, 24.
    fn plan() -> Plan {
        Plan::iris(24.0)
    }

    fn visits(months: &[f64]) -> Visits {
        months.iter().fold(0, |set, m| set | 1 << plan().visit(*m).unwrap())
    }

    fn patient(left: f64) -> History {
        let attended = plan().months.iter().enumerate().filter(|(_, m)| **m < left).fold(0, |set, (i, _)| set | 1 << i);
        History { left, attended, ..History::default() }
    }

    fn in_ccyr(left: f64, months: &[f64]) -> History {
        let mut history = patient(left);
        history.found.ccyr = visits(months);
        history
    }

    fn all(rows: &str, histories: &[History]) -> std::result::Result<Vec<f64>, String> {
        let body: String = rows
            .lines()
            .enumerate()
            .map(|(i, row)| {
                // endpoint kind given month
                let mut part = row.split(',');
                let (of, kind, given, month) =
                    (part.next().unwrap(), part.next().unwrap(), part.next().unwrap(), part.next().unwrap());
                let level = if kind == "product" { "0.5,0.1" } else { "," };
                format!("r{i},fit,g,{of},{kind},{given},{month},0.5,100,,{level},b,d,,s\n")
            })
            .collect();
        let table = Table::parse(&format!("{HEADER}{body}"), Path::new("t.csv")).unwrap();
        let estimator = Estimator::new(&table.fitted(), &plan()).map_err(|e| e.to_string())?;
        let mut out = vec![f64::NAN; estimator.len()];
        estimator.estimate(histories, &mut out);
        Ok(out)
    }

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (i, (x, y)) in found.iter().zip(expected).enumerate() {
            assert!((x - y).abs() < 1e-12, "row {i}: {x} instead of {y}; all: {found:?}");
        }
    }

    #[test]
    fn incidence_of_response_censors_leavers_and_best_observed_does_not() {
        let cohort = [
            in_ccyr(NEVER, &[6.0, 9.0, 12.0, 18.0, 24.0]),
            in_ccyr(NEVER, &[12.0, 18.0, 24.0]),
            in_ccyr(NEVER, &[]),
            // Would be found at 12, but has left: censored after the visit at 6.
            in_ccyr(8.0, &[12.0]),
            // Left before any marrow: never at risk.
            in_ccyr(2.5, &[3.0]),
        ];
        // At 6: 1 of 4. At 12: 1 of 2. S = 3/4, then 3/8.
        let found = all(
            "ccyr,km_incidence,,3\nccyr,km_incidence,,6\nccyr,km_incidence,,12\nccyr,km_incidence,,24\nccyr,ever,,24\nccyr,ever,,6",
            &cohort,
        );
        close(&found.unwrap(), &[0.0, 0.25, 0.625, 0.625, 0.4, 0.2]);
    }

    #[test]
    fn confirmation_needs_the_next_assessment_four_weeks_later() {
        let mut cohort = [
            in_ccyr(NEVER, &[6.0, 12.0, 24.0]), // not at 9, not at 18
            in_ccyr(NEVER, &[18.0, 24.0]),      // consecutive marrows, though visit 21 lies between
            in_ccyr(20.0, &[18.0, 24.0]),       // left before the confirmation
            in_ccyr(NEVER, &[6.0, 9.0]),
        ];
        cohort[0].found.chr = visits(&[1.0, 2.0]);
        cohort[1].found.chr = visits(&[1.0, 3.0]);
        let found = all("ccyr,confirmed,,24\nccyr,confirmed,,18\nccyr,ever,,24\nchr,confirmed,,24", &cohort);
        close(&found.unwrap(), &[0.5, 0.25, 1.0, 0.25]);
    }

    #[test]
    fn rates_among_responders_have_their_own_denominators() {
        let mut cohort = [
            in_ccyr(NEVER, &[6.0, 9.0, 12.0, 18.0, 24.0]),
            in_ccyr(NEVER, &[12.0, 18.0]),
            in_ccyr(NEVER, &[6.0]),
            in_ccyr(6.0, &[3.0, 6.0]),
            in_ccyr(NEVER, &[]),
        ];
        cohort[0].found.mmr = visits(&[3.0, 12.0]); // at 3: before CCyR, no PCR then
        cohort[1].found.mmr = visits(&[6.0, 15.0]);
        cohort[2].found.mmr = visits(&[6.0]);
        cohort[4].found.mmr = visits(&[12.0]);
        let rows = "mmr,at,ccyr@6,6\nmmr,at,ccyr@12,12\nmmr,ever,ccyr,12\nmmr,ever,ccyr,24\nmmr,product,,12\nmmr,at,ccyr & not ccyr@12,12\nmmr,ever,,12";
        // In CCyR at 6 and there: 0 and 2, MMR 2. At 12: 0, 1; MMR 0. Reached CCyR by 12: 0, 1, 2, 3; MMR from then on by 12: 0, 2;
        // by 24 also 1. KM of CCyR by 12: at 3 1 of 5, at 6 2 of 4, at 12 1 of 2: S = .8 · .5 · .5 = .2.
        let found = all(rows, &cohort).unwrap();
        close(&found, &[0.5, 0.5, 0.5, 0.75, 0.8 * 0.5, 0.0, 0.8]);
    }

    #[test]
    fn survival_on_treatment_ends_with_treatment_and_death_does_not() {
        let event = |time: f64, left: f64| History { event: time, event_kind: Event::LostMcyr, ..patient(left) };
        let mut cohort = [
            event(5.0, NEVER),
            event(20.0, 10.0), // after leaving: censored at 10
            event(14.0, 14.0), // ended treatment: counts
            patient(12.0),
            patient(NEVER),
        ];
        cohort[1].progressed = 11.0;
        cohort[2].progressed = 14.0;
        cohort[0].died = 22.0;
        cohort[3].died = 16.0;
        cohort[3].died_of_cml = true;
        cohort[4].died = 25.0; // after the horizon
        let rows = "efs,km_survival,,4\nefs,km_survival,,24\nffp,km_survival,,24\nos,km_survival,,12\nos,km_survival,,24\nos_cml,km_survival,,24\nefs,annual,,12\nefs,annual,,24\nffp,annual,,24\nffp,ever,,24\nos_cml,km_incidence,,24";
        // EFS: 4/5 at 5; at 14 two at risk. FFP: at 14 three at risk (the first is still on treatment).
        // Year 1: 5 at risk, 1 event, censored within at 10: 1/4.5 (12 is the end of the year). Year 2: 2 at risk.
        let found = all(rows, &cohort).unwrap();
        let expected = [1.0, 0.4, 2.0 / 3.0, 1.0, 0.6, 0.8, 1.0 / 4.5, 0.5, 1.0 / 3.0, 0.2, 0.2];
        close(&found, &expected);
    }

    #[test]
    fn landmarks_start_with_those_who_are_there_and_free_of_events() {
        let with = |mmr: &[f64], event: f64, left: f64| {
            let mut history = in_ccyr(left, &[6.0, 9.0, 12.0, 18.0, 24.0]);
            history.found.mmr = visits(mmr);
            history.event = event;
            history
        };
        let mut cohort = [
            with(&[12.0], 20.0, NEVER),
            with(&[12.0], NEVER, NEVER),
            with(&[12.0], 11.0, NEVER), // event before the landmark: not in it
            with(&[9.0], 15.0, NEVER),  // MMR before, not at 12
            with(&[12.0], NEVER, 12.0), // left at the landmark
            with(&[], NEVER, 17.0),
        ];
        cohort[0].found.ccyr = visits(&[12.0]); // lost at 18, confirmed at 24
        cohort[1].found.ccyr = visits(&[12.0, 24.0]); // not at 18, back at 24: no loss
        cohort[5].found.ccyr = visits(&[6.0, 12.0]);
        let rows = "efs,km_survival,mmr@12,24\nefs,km_survival,not mmr@12,24\nccyr_loss,km_incidence,ccyr@12 & mmr@12,24\nccyr_loss,ever,ccyr,24\nefs,km_survival,mmr@12,18";
        // Loss among those in CCyR and MMR at 12, still on treatment: patients 0, 1, 2; 0 loses at 18, censored otherwise.
        // Not MMR at 12: event at 15 of two.
        close(&all(rows, &cohort).unwrap(), &[0.5, 0.5, 1.0 / 3.0, 1.0 / 6.0, 1.0]);
        assert!(all("efs,km_survival,mmr@12,24", &cohort[3..4]).unwrap()[0].is_nan());
        assert_eq!(all("mmr,at,ccyr@3,3", &cohort[3..4]), Ok(vec![0.0]));
    }

    #[test]
    fn staying_and_leaving_count_all_patients() {
        let left = |time: f64, reason: Leaving| History { reason, ..in_ccyr(time, &[6.0, 9.0, 12.0]) };
        let mut cohort = [
            left(NEVER, Leaving::Stayed),
            left(10.0, Leaving::Adverse),
            left(12.0, Leaving::Unsatisfactory),
            left(24.0, Leaving::Death),
        ];
        cohort[3].found.ccyr = visits(&[6.0, 9.0, 18.0]);
        let rows = "on_treatment,at,,9\non_treatment,at,,12\non_treatment,at,,24\nccyr,at,,15\nccyr,at,,18\nleft_adverse,at,,12\nleft_unsatisfactory,at,,12\nleft_death,at,,24\nleft_transplant,at,,24\nleft_death,at,,12";
        close(&all(rows, &cohort).unwrap(), &[1.0, 0.5, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.0, 0.0]);
    }

    #[test]
    fn a_relapse_counts_from_the_stop_among_those_who_stopped() {
        let stop = |stopped: f64, relapsed: f64, left: f64| History { stopped, relapsed, ..patient(left) };
        let mut cohort = [
            stop(6.0, 9.0, NEVER),    // relapse at 3
            stop(12.0, 18.0, NEVER),  // relapse at 6
            stop(12.0, NEVER, 15.0),  // left: censored at 3, after the relapse of that time
            stop(20.0, NEVER, NEVER), // censored at the horizon, at 4
            stop(2.0, 25.0, NEVER),   // relapse after the horizon: censored at 22
            stop(8.0, 20.0, NEVER),   // died before: censored at 5
            stop(16.0, NEVER, 16.0),  // left at the stop: no planned stop
            stop(25.0, NEVER, NEVER), // stops after the horizon
            patient(NEVER),
            patient(10.0),
        ];
        cohort[5].died = 13.0;
        let rows = "relapse,km_survival,,2\nrelapse,km_survival,,3\nrelapse,km_survival,,5\nrelapse,km_survival,,6\n\
            relapse,km_survival,,24\nrelapse,km_incidence,,6\nrelapse,ever,,3\nrelapse,ever,,24\n\
            stopped,ever,,6\nstopped,at,,12\nstopped,ever,,24\non_treatment,at,,23";
        // Six stopped, at 6, 12, 12, 20, 2, 8. In months since the stop: 3 (relapse), 3, 4, 5, 6 (relapse), 22 (all others
        // censored). S = 5/6 at 3; two are at risk at 6, so 5/12 there. Stopped by 6 two of ten, by 12 five, in all six.
        let s = [1.0, 5.0 / 6.0, 5.0 / 6.0, 5.0 / 12.0, 5.0 / 12.0];
        let expected = [s[0], s[1], s[2], s[3], s[4], 7.0 / 12.0, 1.0 / 6.0, 1.0 / 3.0, 0.2, 0.5, 0.6, 0.7];
        close(&all(rows, &cohort).unwrap(), &expected);
        // Where nobody stopped there is no curve; a share of nobody is 0.
        let found = all("relapse,km_survival,,12\nrelapse,ever,,12\nstopped,at,,12", &cohort[6..]).unwrap();
        assert!(found[0].is_nan());
        close(&found[1..], &[0.0, 0.0]);
    }

    #[test]
    fn a_relapse_at_the_end_of_observation_counts() {
        let stop = |stopped: f64, relapsed: f64, left: f64| History { stopped, relapsed, ..patient(left) };
        let mut cohort = [stop(12.0, 24.0, NEVER), stop(6.0, 10.0, 10.0), stop(6.0, 10.0, NEVER), stop(23.0, 23.0, NEVER)];
        cohort[2].died = 10.0;
        // At the horizon, with leaving, with death, at once: 4 of 4 by 12 months; at 0 one of four, at 4 two of three.
        let found = all("relapse,km_survival,,1\nrelapse,km_survival,,4\nrelapse,km_survival,,12\nrelapse,ever,,4", &cohort);
        close(&found.unwrap(), &[0.75, 0.25, 0.0, 0.75]);
    }

    #[test]
    fn stopping_is_asked_of_responders_too() {
        let mut cohort = [in_ccyr(NEVER, &[6.0]), in_ccyr(NEVER, &[6.0]), in_ccyr(NEVER, &[])];
        cohort[0].stopped = 12.0;
        cohort[2].stopped = 12.0;
        close(&all("stopped,at,ccyr@6,12\nstopped,ever,not ccyr,12", &cohort).unwrap(), &[0.5, 1.0]);
    }

    #[test]
    fn undetectable_is_a_response_like_the_others() {
        let mut cohort = [in_ccyr(NEVER, &[12.0]), in_ccyr(NEVER, &[]), in_ccyr(13.0, &[12.0]), in_ccyr(NEVER, &[12.0])];
        cohort[0].found.umrd = visits(&[12.0, 15.0]);
        cohort[1].found.umrd = visits(&[18.0]);
        cohort[2].found.umrd = visits(&[15.0]);
        let rows = "umrd,km_incidence,,12\numrd,km_incidence,,18\numrd,ever,,24\numrd,at,,15\n\
            umrd,confirmed,,24\numrd,at,ccyr@12,12\nefs,ever,umrd@12,24";
        // At 12 one of 4; the third leaves after that visit; at 18 one of 2.
        close(&all(rows, &cohort).unwrap(), &[0.25, 0.625, 0.5, 0.25, 0.25, 1.0 / 3.0, 0.0]);
    }

    #[test]
    fn a_year_of_rates_for_each_month_is_no_limit() {
        let rows: String = (1..=80).map(|i| format!("efs,annual,,{}\n", 12.0 + f64::from(i) / 10.0)).collect();
        let event = History { event: 10.0, ..patient(NEVER) };
        // At risk for 12 months each; the event at 10 lies in the years that start before it.
        close(&all(&rows, &[event; 3]).unwrap(), &[1.0; 80]);
    }

    #[test]
    fn rows_that_the_plan_cannot_serve_are_refused() {
        for (row, problem) in [
            ("relapse,km_survival,,25", "lies after the horizon 24"),
            ("os,km_survival,,36", "lies after the horizon 24"),
            ("mmr,at,ccyr@15,15", "needs a marrow at month 15"),
            ("mmr,at,ccyr,16", "needs a visit at month 16"),
        ] {
            let message = all(row, &[]).unwrap_err();
            assert!(message.contains(problem), "{message}");
        }
    }

    /// Kaplan-Meier from its definition: for every event time, counts over all patients.
    fn plain_kaplan_meier(data: &[(f64, bool)], month: f64) -> f64 {
        let mut times: Vec<f64> = data.iter().filter(|d| d.1 && d.0 <= month).map(|d| d.0).collect();
        times.sort_by(f64::total_cmp);
        times.dedup();
        times.iter().fold(1.0, |s, t| {
            let risk = data.iter().filter(|d| d.0 >= *t).count() as f64;
            let events = data.iter().filter(|d| d.1 && d.0 == *t).count() as f64;
            s * (1.0 - events / risk)
        })
    }

    #[test]
    fn curves_agree_with_a_plain_kaplan_meier_on_random_cohorts() {
        let mut rng = crate::rng::Key::root(9).stream(crate::rng::Purpose::Simulate);
        for _ in 0..20 {
            let cohort: Vec<History> = (0..200)
                .map(|_| {
                    // Times on a grid of half months, so that there are ties.
                    let mut time = |mean: f64| (2.0 * mean * rng.exponential()).ceil() / 2.0;
                    let (left, event, died, first) = (time(25.0), time(30.0), time(40.0), time(10.0));
                    let mut history = patient(left);
                    (history.event, history.died) = (event, died);
                    history.died_of_cml = rng.uniform() < 0.5;
                    history.found.ccyr = plan().marrow & !plan().by(first);
                    history
                })
                .collect();
            let rows = "efs,km_survival,,12\nefs,km_survival,,20\nos,km_survival,,24\nos_cml,km_survival,,24\nccyr,km_incidence,,12\nccyr,km_incidence,,24";
            let found = all(rows, &cohort).unwrap();
            let efs: Vec<_> = cohort.iter().map(|h| (h.event.min(h.left).min(24.0), h.event <= h.left.min(24.0))).collect();
            let os: Vec<_> = cohort.iter().map(|h| (h.died.min(24.0), h.died <= 24.0)).collect();
            let cml: Vec<_> = cohort.iter().map(|h| (h.died.min(24.0), h.died <= 24.0 && h.died_of_cml)).collect();
            let marrow = [3.0, 6.0, 9.0, 12.0, 18.0, 24.0];
            let ccyr: Vec<_> = cohort
                .iter()
                .map(|h| {
                    let seen = marrow.iter().copied().filter(|m| *m < h.left);
                    let first = seen.clone().find(|m| h.found.ccyr >> plan().visit(*m).unwrap() & 1 == 1);
                    (first.unwrap_or(seen.max_by(f64::total_cmp).unwrap_or(0.0)), first.is_some())
                })
                .collect();
            let expected = [
                plain_kaplan_meier(&efs, 12.0),
                plain_kaplan_meier(&efs, 20.0),
                plain_kaplan_meier(&os, 24.0),
                plain_kaplan_meier(&cml, 24.0),
                1.0 - plain_kaplan_meier(&ccyr, 12.0),
                1.0 - plain_kaplan_meier(&ccyr, 24.0),
            ];
            close(&found, &expected);
        }
    }
}
