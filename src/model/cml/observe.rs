//! What a trial sees of a patient: states at visits become a [`History`].
//!
//! **Progression.** Clones that end in accelerated phase or blast crisis are born in proportion to the driven progenitors, before
//! diagnosis as after, and take a latency to show: self-renewing progenitors (Jamieson 2004, N Engl J Med 351:657) double every
//! 9 days (Branford 2012, Blood 119:4264), which inhibitors slow a little and a block of beta-catenin stops. So progressions
//! under treatment come from clones that were there at entry, most of them in the first two years.
//!
//! **Blood and marrow.** `x = leukaemic_ratio · (DL + DR)` is leukaemic per normal blood cells. Two normal control
//! alleles stand against one fusion gene, so the International Scale reads `100 x / (x + 2) %`, times
//! `10^(pcr_sd · z)`, and `10^assay_offset` where one of several trials has an assay of its own. In marrow the odds of a Ph+ metaphase are `marrow_odds · x`; of `metaphases` cells a binomial number
//! is Ph+: none is a complete, at most 35 % a major cytogenetic response.
//!
//! **Counts.** Leukaemic cells displace normal ones: with as many leukaemic cells as `l` times the 7e9/L of a healthy person
//! there are `1 / (1 + l)` normal ones in place of 1 (assumption), so that `x = l (1 + l)` and white cells are
//! `7e9/L (l + 1 / (1 + l))`. So a count can be normal where four of five metaphases are Ph+, as in patients who have a
//! haematological response and no cytogenetic one.
//!
//! **Detection.** A level below the detection limit is reported as the limit: with an assay that ends at 0.01 % nobody
//! can be seen in MR4.5.
//!
//! **Loss of response** is judged on the *underlying* marrow odds and blood ratio, not on counted metaphases. With 20
//! cells a patient at a steady 30 % Ph+ counts 8 or more every fourth time, so a rule on counts would call losses that are
//! noise, and trials confirm a loss by a second examination. The price is that a true loss is dated at the first visit
//! after it, without the delay of a confirmation.
//!
//! **Causality.** What is found or decided at a visit depends on nothing later, noise is drawn in the order of visits and
//! the clocks of death and leaving are drawn once: a longer horizon never changes what was seen before.
//!
//! **Limits.** Death is followed after leaving, and progression too, at the load *as on treatment*: second-line treatment
//! and transplant change neither. Transplant has no mortality of its own. A transformed clone is not seen in blood before it is
//! called accelerated phase. A visit finds blood and marrow alike; between visits load is linear and the response is that of the last visit.

use super::equations::DAYS_PER_YEAR;
use super::parameters::Population;
use super::patient::Patient;
#[cfg(doc)]
use super::state::H;
use super::state::{COUNT, DL, DR};
use crate::model::Unsimulable;
use crate::rng::{Key, Purpose, Stream};
use crate::trial::history::{Event, Findings, History, Leaving, Plan, Visits};

const MONTHS_PER_YEAR: f64 = 12.0;
/// Age for which the hazard of death unrelated to CML is given, years.
const REFERENCE_AGE: f64 = 50.0;
/// Control transcripts of a normal cell per fusion transcript of a leukaemic one.
const CONTROL_ALLELES: f64 = 2.0;
/// Leukaemic per normal blood cells at white cells of 10e9/L, below which blood counts are normal.
const CHR_RATIO: f64 = 1.719;
/// Leukaemic per normal blood cells at white cells of 20e9/L: the threshold of IRIS for a lost haematological response and for
/// a rising count.
const HIGH_COUNT_RATIO: f64 = 9.222;
/// Share of Ph+ metaphases up to which a cytogenetic response is major.
const MAJOR: f64 = 0.35;
/// Months from which a response is unsatisfactory without, in this order, a haematological, a major cytogenetic and a
/// complete cytogenetic response (European LeukemiaNet 2006, Blood 108:1809: "failure"). Until the first, a rising count
/// is no event either.
const FAILURE_MONTHS: [f64; 3] = [6.0, 12.0, 18.0];

/// Turns the states of patients into their histories.
#[derive(Clone, Debug)]
pub struct Observer<'a> {
    plan: &'a Plan,
    population: Population,
    /// Noise and offset of the natural logarithm of a level.
    ln_noise: f64,
    ln_offset: f64,
    /// Natural logarithm of the detection limit as a fraction of 1.
    ln_limit: f64,
    /// Metaphases counted, and the most of them that may be Ph+ in a major response.
    metaphases: u32,
    major: u32,
}

/// Natural logarithms of the levels 10, 1, 0.1, 0.01 and 0.0032 % as fractions of 1.
const LN_LEVELS: [f64; 5] = [
    -std::f64::consts::LN_10,
    -2.0 * std::f64::consts::LN_10,
    -3.0 * std::f64::consts::LN_10,
    -4.0 * std::f64::consts::LN_10,
    -10.349_774_655_164_548,
];

/// What is known of a patient's response from visit to visit.
#[derive(Default)]
struct Course {
    /// Responses ever found.
    chr: bool,
    mcyr: bool,
    ccyr: bool,
    /// Underlying marrow ever within a major response, and lost at the last marrow visit.
    major: bool,
    major_lost: bool,
    /// Least ratio in blood so far.
    least: f64,
}

/// The visits' part of a history, before anybody has left.
pub struct Seen {
    /// What was found.
    pub found: Findings,
    /// Visits at which the underlying response is lost or the count rises, by kind.
    lost_chr: Visits,
    lost_mcyr: Visits,
    rising: Visits,
    /// Visits after which the response is unsatisfactory.
    failing: Visits,
    course: Course,
    rng: Stream,
}

/// How the treatment of a patient went.
#[derive(Clone, Copy, Debug)]
pub struct Treatment<'a> {
    /// Months from which a transformed clone grows, each with its speed relative to the untreated one.
    pub growth: &'a [(f64, f64)],
    /// Month of a planned stop; infinite if there was none.
    pub stopped: f64,
    /// Month of relapse after it.
    pub relapsed: f64,
    /// Reasons of leaving that play no part.
    pub stays: &'a [Leaving],
}

impl<'a> Observer<'a> {
    /// An observer with the plan of a trial and the measurement and hazards of a population.
    ///
    /// # Errors
    /// [`Unsimulable`] if the number of metaphases is not whole.
    pub fn new(plan: &'a Plan, population: &Population) -> Result<Self, Unsimulable> {
        if population.metaphases.fract() != 0.0 {
            return Err(Unsimulable(format!("metaphases = {} is not a whole number", population.metaphases)));
        }
        Ok(Observer {
            plan,
            population: *population,
            ln_noise: population.pcr_sd * std::f64::consts::LN_10,
            ln_offset: population.assay_offset * std::f64::consts::LN_10,
            ln_limit: libm::log(population.detection_limit / 100.0),
            metaphases: population.metaphases as u32,
            major: (population.metaphases * MAJOR) as u32,
        })
    }

    /// A patient at diagnosis, of whom nothing is found yet.
    pub fn begin(&self, patient: &Patient, key: Key) -> Seen {
        let ratio = patient.leukaemic_ratio * (1.0 + patient.mutant_cells / patient.stem_cells);
        Seen {
            found: Findings::default(),
            lost_chr: 0,
            lost_mcyr: 0,
            rising: 0,
            failing: 0,
            course: Course { least: ratio, ..Course::default() },
            rng: key.stream(Purpose::Visit),
        }
    }

    /// Measures at visit `k` and follows the rules of response.
    pub fn visit(&self, seen: &mut Seen, k: usize, state: &[f64; COUNT], patient: &Patient) {
        // Two numbers for each visit, used or not, so that no finding shifts the next.
        let (z, u) = (seen.rng.normal(), seen.rng.uniform());
        let (month, visit) = (self.plan.months[k], 1 << k);
        let course = &mut seen.course;
        let x = patient.leukaemic_ratio * (state[DL] + state[DR]);
        self.measure_blood(&mut seen.found, visit, x, z);
        if self.plan.marrow & visit != 0 {
            self.measure_marrow(&mut seen.found, visit, patient.marrow_odds * x, u);
            let major = patient.marrow_odds * x <= MAJOR / (1.0 - MAJOR);
            course.major_lost = course.major && !major;
            course.major |= major;
        }
        let lost_chr = course.chr && x > HIGH_COUNT_RATIO;
        let doubled = || white_cells(x) >= 2.0 * white_cells(course.least);
        let rising = !course.chr && month >= FAILURE_MONTHS[0] && x > HIGH_COUNT_RATIO && doubled();
        course.chr |= seen.found.chr & visit != 0;
        course.mcyr |= seen.found.mcyr & visit != 0;
        course.ccyr |= seen.found.ccyr & visit != 0;
        course.least = course.least.min(x);
        let late = FAILURE_MONTHS.map(|from| month >= from);
        let lacking = late[0] && !course.chr || late[1] && !course.mcyr || late[2] && !course.ccyr;
        let major_lost = course.major_lost;
        let mark = |set: &mut Visits, yes: bool| *set |= if yes { visit } else { 0 };
        mark(&mut seen.lost_chr, lost_chr);
        mark(&mut seen.lost_mcyr, major_lost);
        mark(&mut seen.rising, rising);
        mark(&mut seen.failing, lacking || lost_chr || major_lost || rising);
    }

    /// The history of a patient whose loads ([`H`]) are given at month 0 and at every visit of the plan, all of them
    /// [seen](Self::visit). What was seen and loaded later makes no difference.
    pub fn history(&self, seen: &Seen, loads: &[f64], patient: &Patient, how: &Treatment<'_>, key: Key) -> History {
        let (progressed, died, died_of_cml) = self.fate(loads, patient, how, key);
        let (left, reason) = self.leaving(seen, progressed, died, how, key);
        let attended = self.plan.before(left);
        let (event, event_kind) = self.event(seen, attended, left, progressed, died);
        let by_horizon = |month: f64| if month <= self.plan.horizon { month } else { f64::INFINITY };
        let stopped = if how.stopped < left { how.stopped } else { f64::INFINITY };
        let relapsed = if stopped < f64::INFINITY && how.relapsed <= left { how.relapsed } else { f64::INFINITY };
        History {
            found: seen.found,
            attended,
            left,
            reason,
            event,
            event_kind,
            progressed: by_horizon(progressed),
            died: by_horizon(died),
            died_of_cml: died_of_cml && died <= self.plan.horizon,
            stopped,
            relapsed,
        }
    }

    fn measure_blood(&self, found: &mut Findings, visit: Visits, x: f64, z: f64) {
        let measured = libm::log(x / (x + CONTROL_ALLELES)) + self.ln_noise * z + self.ln_offset;
        // Not `max`, which would turn a level that is not a number into the deepest response.
        let undetectable = measured < self.ln_limit;
        let level = if undetectable { self.ln_limit } else { measured };
        if undetectable {
            found.umrd |= visit;
        }
        let sets = [&mut found.is10, &mut found.is1, &mut found.mmr, &mut found.mr4, &mut found.mr45];
        for (set, threshold) in sets.into_iter().zip(LN_LEVELS) {
            // A limit that stands at the threshold counts as within it, whatever the rounding of the logarithms.
            if level <= threshold + 1e-9 {
                *set |= visit;
            }
        }
        if x < CHR_RATIO {
            found.chr |= visit;
        }
    }

    /// Compares the binomial number of Ph+ metaphases, by inversion of `u`, with none and with the most in a major response.
    fn measure_marrow(&self, found: &mut Findings, visit: Visits, odds: f64, u: f64) {
        let mut term = 1.0 / power(1.0 + odds, self.metaphases);
        let mut below = term;
        if u <= below {
            found.ccyr |= visit;
            found.mcyr |= visit;
            return;
        }
        for k in 0..self.major {
            term *= odds * f64::from(self.metaphases - k) / f64::from(k + 1);
            below += term;
            if u <= below {
                found.mcyr |= visit;
                return;
            }
        }
    }

    /// Months of progression and death (infinite if never), and whether the death is of CML.
    fn fate(&self, loads: &[f64], patient: &Patient, how: &Treatment<'_>, key: Key) -> (f64, f64, bool) {
        let p = &self.population;
        let rng = &mut key.stream(Purpose::Event);
        let [transformation, other, cml, later] = [(); 4].map(|()| rng.exponential());
        let progressed = self.progression(loads, patient, how, [transformation, later]);
        // Gompertz: the hazard grows with age by `mortality_slope` a year.
        let slope = p.mortality_slope;
        let now = p.hazard_other_death * libm::exp(slope * (patient.age - REFERENCE_AGE));
        let years = if slope > 0.0 { libm::log1p(slope * other / now) / slope } else { other / now };
        let died_otherwise = MONTHS_PER_YEAR * years;
        let died_of_cml = progressed + MONTHS_PER_YEAR * cml / p.hazard_cml_death;
        if died_of_cml < died_otherwise {
            (progressed, died_of_cml, true)
        } else {
            let progressed = if progressed < died_otherwise { progressed } else { f64::INFINITY };
            (progressed, died_otherwise, false)
        }
    }

    /// Month of accelerated phase or blast crisis: a clone is born at a hazard in proportion to the driven progenitors, before
    /// diagnosis or after, and takes its latency to show. Two standard exponentials set its birth; the second is for those whose
    /// clone would have shown before diagnosis: a trial of the chronic phase has enrolled somebody else in their place.
    fn progression(&self, loads: &[f64], patient: &Patient, how: &Treatment<'_>, births: [f64; 2]) -> f64 {
        let p = &self.population;
        // The mass grew to 1 at diagnosis, years of exposure `before` in all.
        let before = 1.0 / (p.growth_before * DAYS_PER_YEAR);
        let due = births[0] / p.hazard_transformation;
        let latency = MONTHS_PER_YEAR * patient.latency;
        if due < before {
            let age = -MONTHS_PER_YEAR * libm::log(due / before) * before;
            if age < latency {
                return overt(how.growth, 0.0, latency - age);
            }
        }
        let due = if due < before { births[1] / p.hazard_transformation } else { due - before };
        let born = self.crossing(loads, due);
        overt(how.growth, born, latency)
    }

    /// Month at which the load reaches `target`, linear between visits and, from the last visit to the horizon, at the
    /// rate of the last interval.
    fn crossing(&self, loads: &[f64], target: f64) -> f64 {
        let Some(first) = loads.first() else { return f64::INFINITY };
        let (mut month, mut load, mut rate) = (0.0, 0.0, 0.0);
        for (&next, now) in self.plan.months.iter().zip(loads.iter().skip(1)) {
            let reached = now - first;
            if next > month {
                rate = (reached - load) / (next - month);
            }
            if reached > target {
                return if rate > 0.0 { month + (target - load) / rate } else { next };
            }
            (month, load) = (next, reached);
        }
        if rate > 0.0 { month + (target - load) / rate } else { f64::INFINITY }
    }

    /// End of study treatment and its reason.
    fn leaving(&self, seen: &Seen, progressed: f64, died: f64, how: &Treatment<'_>, key: Key) -> (f64, Leaving) {
        let p = &self.population;
        let rng = &mut key.stream(Purpose::Dropout);
        let [adverse, other, unsatisfactory] = [rng.exponential(), rng.exponential(), rng.exponential()];
        let transplanted = rng.uniform() < p.transplant_share;
        let failed = if transplanted { Leaving::Transplant } else { Leaving::Unsatisfactory };
        // In units of the later hazard, the first year lasts `adverse_first_year` years.
        let due = adverse / p.hazard_adverse;
        let first = p.adverse_first_year;
        let adverse = MONTHS_PER_YEAR * if due <= first { due / first } else { 1.0 + due - first };
        let other = MONTHS_PER_YEAR * other / p.hazard_other_leaving;
        let unsatisfactory = self.exposure(seen.failing, MONTHS_PER_YEAR * unsatisfactory / p.hazard_unsatisfactory);
        [
            (adverse, Leaving::Adverse),
            (other, Leaving::Other),
            (unsatisfactory, failed),
            (progressed, failed),
            (died, Leaving::Death),
        ]
        .into_iter()
        .filter(|(_, reason)| !how.stays.contains(reason))
        .fold((f64::INFINITY, Leaving::Stayed), |least, next| {
            if next.0 < least.0 && next.0 <= self.plan.horizon { next } else { least }
        })
    }

    /// Month at which the time spent after visits of the set, each up to the next visit, reaches `target` months.
    fn exposure(&self, set: Visits, target: f64) -> f64 {
        let months = &self.plan.months;
        let (mut left, mut rest) = (target, set);
        while rest != 0 {
            let k = rest.trailing_zeros() as usize;
            let until = months.get(k + 1).copied().unwrap_or(f64::INFINITY);
            if months[k] + left < until {
                return months[k] + left;
            }
            left -= until - months[k];
            rest &= rest - 1;
        }
        f64::INFINITY
    }

    /// First event on treatment. A visit that finds more than one loss is named by the graver.
    fn event(&self, seen: &Seen, attended: Visits, left: f64, progressed: f64, died: f64) -> (f64, Event) {
        let on_treatment = |month: f64| if month <= left && month <= self.plan.horizon { month } else { f64::INFINITY };
        [
            (on_treatment(died), Event::Death),
            (on_treatment(progressed), Event::Progression),
            (self.plan.first(seen.lost_chr & attended), Event::LostChr),
            (self.plan.first(seen.lost_mcyr & attended), Event::LostMcyr),
            (self.plan.first(seen.rising & attended), Event::RisingCount),
        ]
        .into_iter()
        .fold((f64::INFINITY, Event::None), |least, next| if next.0 < least.0 { next } else { least })
    }
}

/// White cells of `x` leukaemic per normal ones, in units of the count of a healthy person.
fn white_cells(x: f64) -> f64 {
    let leukaemic = libm::sqrt(0.25 + x) - 0.5;
    leukaemic + 1.0 / (1.0 + leukaemic)
}

/// BCR-ABL on the International Scale, %, of `x` leukaemic per normal blood cells.
pub fn international_scale(x: f64) -> f64 {
    100.0 * x / (x + CONTROL_ALLELES)
}

/// Month at which a clone that was at the beginning of its latency in month `born` has come to the end of it.
fn overt(growth: &[(f64, f64)], born: f64, latency: f64) -> f64 {
    let (mut now, mut left) = (born, latency);
    if born == f64::INFINITY {
        return born;
    }
    for (i, &(_, speed)) in growth.iter().enumerate() {
        let until = growth.get(i + 1).map_or(f64::INFINITY, |next| next.0);
        if until <= now {
            continue;
        }
        if speed > 0.0 && now + left / speed <= until {
            return now + left / speed;
        }
        if until == f64::INFINITY {
            return until;
        }
        left -= speed * (until - now);
        now = until;
    }
    now + left
}

/// `base` to a whole power by squaring: the same bits on every machine.
fn power(mut base: f64, mut exponent: u32) -> f64 {
    let mut value = 1.0;
    while exponent > 0 {
        if exponent & 1 == 1 {
            value *= base;
        }
        base *= base;
        exponent >>= 1;
    }
    value
}

#[cfg(test)]
#[path = "observe_tests.rs"]
mod tests;
