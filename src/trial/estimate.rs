//! The estimators: what the trial would have published, had these been its patients.
//!
//! * Curves are Kaplan-Meier's: S(t) = ∏ (1 − dᵤ / rᵤ) over times u ≤ t. A response is reached at the visit that finds it;
//!   who leaves without it is censored after the last visit attended. Events of survival on treatment end with treatment;
//!   death is followed after it, to the horizon. An event and a censoring at one time: the event comes first. Beyond the
//!   last patient at risk a curve stays where it is.
//! * An annual rate is the actuarial one: events / (at risk at the start of the year − half of those censored within it).
//! * A status "at" a month asks for the last assessment up to then (metaphases: the last marrow) and for treatment to go on
//!   beyond the month.
//! * Loss of a response stands unless the next assessment shows the response again: one positive metaphase of 20 that
//!   the next marrow does not confirm is sampling noise.
//!
//! A share of an empty subgroup is 0: no patient showed it. A landmark curve without patients has no such reading;
//! [`Estimator::estimate`] then answers with the id of the row, and the simulation counts as failed.

use crate::error::Result;
use crate::trial::history::{History, Plan};
use crate::trial::table::Row;
use crate::trial::vocabulary::{Endpoint, Kind, Term, Word};

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

/// Estimates of a list of rows, prepared for one plan of visits.
#[derive(Clone, Debug)]
pub struct Estimator {
    plan: Plan,
    ids: Vec<String>,
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
    Ever { of: Endpoint, visits: u64, from: Option<Endpoint> },
    /// A finding at both visits of a pair.
    Confirmed { of: Endpoint, pairs: Vec<u64> },
    /// A finding at the last assessment of the set, on treatment beyond the month.
    Last { of: Endpoint, visits: u64, month: f64 },
    /// An event by the month.
    Event { of: Endpoint, month: f64 },
    /// On treatment beyond the month.
    Staying { month: f64 },
    /// Left for the reason of the endpoint by the month.
    Left { of: Endpoint, month: f64 },
}

/// A term of a condition with its visits.
#[derive(Clone, Copy, Debug)]
struct Condition {
    of: Endpoint,
    visits: u64,
    /// On treatment beyond this month, and the last assessment counts; `None`: ever.
    at: Option<f64>,
    not: bool,
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
        let ids = rows.iter().map(|row| row.id.clone()).collect();
        let mut all =
            Estimator { plan: plan.clone(), ids, shares: Vec::new(), curves: Vec::new(), annuals: Vec::new() };
        for (at, row) in rows.iter().enumerate() {
            all.check(row)?;
            all.add(at, row);
        }
        Ok(all)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    fn check(&self, row: &Row) -> Result<()> {
        let horizon = self.plan.horizon;
        if row.month > horizon {
            let problem = format!("row {} at month {} lies after the horizon {horizon}", row.id, row.month);
            return Err(row.error("month", problem, "raise the horizon of the trial, or drop the row".into()));
        }
        let here = (row.kind == Kind::At && row.endpoint.is_response() && !row.given.is_empty())
            .then_some((row.endpoint, row.month));
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

    /// Writes the estimate of row *i* to `out[i]`, a number in [0, 1] (see the module for empty subgroups).
    ///
    /// # Errors
    /// The id of a landmark row that has no patients.
    pub fn estimate(&self, histories: &[History], out: &mut [f64]) -> std::result::Result<(), &str> {
        for share in &self.shares {
            out[share.row] = self.share(share, histories);
        }
        let mut times = Vec::new();
        for curve in &self.curves {
            if curve.of.is_response() && curve.given.is_empty() {
                self.response_curve(curve, histories, out);
            } else {
                self.event_curve(curve, histories, &mut times, out)?;
            }
        }
        for annual in &self.annuals {
            self.life_table(annual, histories, out);
        }
        Ok(())
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
                    None => u64::MAX,
                    Some(first) => since_first(seen(first) & relevant(&self.plan, *first)),
                };
                seen(of) & visits & since != 0
            }
            What::Confirmed { of, pairs } => {
                let seen = seen(of);
                pairs.iter().any(|pair| seen & pair == *pair)
            }
            What::Last { of, visits, month } => {
                history.left > *month && last(seen(of), history.attended & visits) == Some(true)
            }
            What::Event { of, month } => {
                let (time, happened) = self.event(*of, history, 0.0);
                happened && time <= *month
            }
            What::Staying { month } => history.left > *month,
            What::Left { of, month } => history.left <= *month && of.reason() == Some(history.reason),
        }
    }

    /// Time of an event or of censoring, and which of the two. A loss of response is looked for from `start` on.
    fn event(&self, of: Endpoint, history: &History, start: f64) -> (f64, bool) {
        let end = history.left.min(self.plan.horizon);
        let on_treatment = |time: f64| {
            if time <= end { (time, true) } else { (end, false) }
        };
        match of {
            Endpoint::Efs => on_treatment(history.event),
            Endpoint::Ffp => on_treatment(history.progressed),
            Endpoint::CcyrLoss => on_treatment(self.loss(history, start)),
            _ if history.died > self.plan.horizon => (self.plan.horizon, false),
            _ => (history.died, of == Endpoint::Os || history.died_of_cml),
        }
    }

    /// Month of the first loss of CCyR at or after `start` that the next marrow does not take back.
    fn loss(&self, history: &History, start: f64) -> f64 {
        let marrow = history.attended & self.plan.marrow;
        let reached = history.found.ccyr & marrow;
        let before = self.plan.months.iter().take_while(|m| **m < start).count() as u32;
        let mut rest = marrow & since_first(reached) & !low(before);
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
        let (mut reached, mut ended) = ([0u32; 64], [0u32; 64]);
        let mut risk = 0u32;
        for history in histories {
            let attended = history.attended & visits;
            if attended == 0 {
                continue;
            }
            risk += 1;
            let found = curve.of.found(&history.found).unwrap_or(0) & attended;
            if found == 0 {
                ended[63 - attended.leading_zeros() as usize] += 1;
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
    fn event_curve(
        &self,
        curve: &Curve,
        histories: &[History],
        times: &mut Vec<(f64, bool)>,
        out: &mut [f64],
    ) -> std::result::Result<(), &str> {
        times.clear();
        let all = histories.iter().filter(|history| meets(&curve.given, history));
        if curve.of.is_response() {
            times.extend(all.filter_map(|history| self.first_response(curve, history)));
        } else {
            let timed = all.map(|history| self.event(curve.of, history, curve.start));
            times.extend(timed.filter(|(time, _)| *time > curve.start || curve.start == 0.0));
        }
        if times.is_empty() {
            return Err(curve.reads.first().map_or("", |read| &self.ids[read.row]));
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
        Ok(())
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
        let mut counts = [[0u32; 3]; 64];
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

/// The lowest `count` bits.
fn low(count: u32) -> u64 {
    1u64.checked_shl(count).map_or(u64::MAX, |bit| bit - 1)
}

/// All visits from the first of the set on; none if it is empty.
fn since_first(set: u64) -> u64 {
    if set == 0 { 0 } else { u64::MAX << set.trailing_zeros() }
}

/// The visits at which an endpoint is assessed.
fn relevant(plan: &Plan, of: Endpoint) -> u64 {
    if of.is_cytogenetic() { plan.marrow } else { low(plan.months.len() as u32) }
}

/// What the last of the `assessed` visits showed.
fn last(seen: u64, assessed: u64) -> Option<bool> {
    assessed.checked_ilog2().map(|visit| seen >> visit & 1 == 1)
}

/// Each visit of the set with the next one that is at least four weeks later.
fn pairs(plan: &Plan, visits: u64) -> Vec<u64> {
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

fn condition(plan: &Plan, term: &Term, month: f64) -> Condition {
    // Half a month of tolerance, as for a visit.
    let until = term.month.map_or(month, |m| m + 0.5);
    Condition {
        of: term.response,
        visits: plan.by(until) & relevant(plan, term.response),
        at: term.month,
        not: term.not,
    }
}

fn meets(given: &[Condition], history: &History) -> bool {
    given.iter().all(|term| {
        let seen = term.of.found(&history.found).unwrap_or(0) & history.attended;
        match term.at {
            None => (seen & term.visits != 0) != term.not,
            Some(month) => {
                history.left > month
                    && last(seen, history.attended & term.visits).is_some_and(|shown| shown != term.not)
            }
        }
    })
}

impl std::fmt::Display for Estimator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let curves: Vec<&str> = self.curves.iter().map(|curve| curve.of.name()).collect();
        write!(f, "{} rows; curves: {}", self.len(), curves.join(", "))
    }
}
