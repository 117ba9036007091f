//! The course of a cohort under treatment: the right-hand side of the model and the driver that integrates patients side by
//! side.
//!
//! The right-hand side is assembled from [`niche`](super::niche) and [`immune`](super::immune) and evaluated on the
//! positive part of the state. Its five divisions share one reciprocal. Beside the cells it carries the cumulative hazard
//! `H' = PL·drive + PR·drive_R` (per year).
//!
//! Bits depend on the patient and on the months only: see [`integrate`](crate::integrate).

use pulp::Simd;

use super::immune;
use super::niche::{self, CloneRates, Marrow};
use super::patient::Patient;
use super::signaling::Signals;
use super::state::{CH, CL, COUNT, CR, DAYS_PER_MONTH, DL, DR, E, H, M, PL, PR, QH, QL, QR, X};
use crate::integrate::{self, Failure, Field, Lanes, Next, Problems, Task, Tolerance, Width};

/// Days in a year.
const DAYS_PER_YEAR: f64 = 12.0 * DAYS_PER_MONTH;
/// Share of the osteoblastic niche that normal quiescent stem cells hold at diagnosis (assumption).
const NORMAL_QUIESCENT: f64 = 0.6;
/// Share of the vascular niche that normal cycling stem cells hold at diagnosis (assumption).
const NORMAL_CYCLING: f64 = 0.12;
/// Stromal remodelling at diagnosis (assumption).
const REMODELLED: f64 = 0.9;
/// Immune exhaustion at diagnosis (assumption).
const EXHAUSTED: f64 = 0.99;
/// A clone with fewer stem cells than this at a visit is extinct, cells.
const EXTINCT: f64 = 1.0;
/// First step, days.
const FIRST_STEP: f64 = 1.0;

/// Error control of a course: by default the error of log10 of the burden stays below 0.005 (see the tests).
pub const TOLERANCE: Tolerance<COUNT> =
    Tolerance { relative: 5e-4, floor: floors(), smallest_step: 1e-8, largest_step: 90.0, attempts: 20_000.0 };

const fn floors() -> [f64; COUNT] {
    let mut floor = [1.0; COUNT];
    floor[PL] = 1e-8;
    floor[DL] = 1e-8;
    floor[PR] = 1e-8;
    floor[DR] = 1e-8;
    floor[E] = 0.01;
    floor[M] = 0.01;
    floor[X] = 0.01;
    floor[H] = 1e-3;
    floor
}

/// Positions in the array of rates.
mod rate {
    /// First of the seven rates of the unmutated clone.
    pub const LEUKAEMIC: usize = 0;
    /// First of the seven rates of the mutant clone.
    pub const MUTANT: usize = 7;
    pub const NORMAL_ATTACH: usize = 14;
    pub const NORMAL_RELEASE: usize = 15;
    pub const NORMAL_RENEWAL: usize = 16;
    pub const STROMA_DEFECT: usize = 17;
    pub const NORMAL_LOSS: usize = 18;
    pub const PER_OSTEOBLASTIC: usize = 19;
    pub const PER_VASCULAR: usize = 20;
    pub const FEED: usize = 21;
    pub const INFLOW: usize = 22;
    pub const TURNOVER: usize = 23;
    pub const KILL: usize = 24;
    pub const EFFECTOR_DECAY: usize = 25;
    pub const STIMULUS: usize = 26;
    pub const UNBLOCKED: usize = 27;
    pub const BLOCK: usize = 28;
    pub const PER_EFFECTOR_MAX: usize = 29;
    pub const WINDOW_SQUARED: usize = 30;
    pub const EXHAUSTION_HALF: usize = 31;
    pub const PER_EXHAUSTION_TIME: usize = 32;
    pub const PER_STROMA_TIME: usize = 33;
    pub const COUNT: usize = 34;
}

/// The rates of a patient at the patient's concentration.
fn rates(patient: &Patient) -> [f64; rate::COUNT] {
    let mut r = [0.0; rate::COUNT];
    for (first, fold) in [(rate::LEUKAEMIC, 1.0), (rate::MUTANT, patient.mutant_fold)] {
        let clone = CloneRates::of(patient, &Signals::of(patient, fold));
        let CloneRates { attach, release, renewal, loss, growth, net_growth, drive } = clone;
        r[first..first + 7].copy_from_slice(&[attach, release, renewal, loss, growth, net_growth, drive]);
    }
    let normal_adhesion = 1.0 - patient.cxcr4_block;
    r[rate::NORMAL_ATTACH] = patient.attach * normal_adhesion;
    r[rate::NORMAL_RELEASE] = niche::detachment(patient, normal_adhesion);
    r[rate::NORMAL_RENEWAL] = patient.renewal;
    r[rate::STROMA_DEFECT] = patient.stroma_defect;
    r[rate::NORMAL_LOSS] = patient.stem_loss;
    r[rate::PER_OSTEOBLASTIC] = 1.0 / patient.capacity_osteoblastic;
    r[rate::PER_VASCULAR] = 1.0 / patient.capacity_vascular;
    r[rate::FEED] = 1.0 / patient.stem_cells;
    r[rate::INFLOW] = patient.progenitor_loss / (patient.stem_cells * patient.amplification);
    r[rate::TURNOVER] = patient.maturing_turnover;
    r[rate::KILL] = patient.effector_kill;
    r[rate::EFFECTOR_DECAY] = patient.effector_decay;
    r[rate::STIMULUS] = 2.0 * patient.effector_window * patient.effector_stimulus;
    r[rate::UNBLOCKED] = 1.0 - patient.stroma_block;
    r[rate::BLOCK] = patient.stroma_block;
    r[rate::PER_EFFECTOR_MAX] = 1.0 / patient.effector_max;
    r[rate::WINDOW_SQUARED] = patient.effector_window * patient.effector_window;
    r[rate::EXHAUSTION_HALF] = patient.exhaustion_half;
    r[rate::PER_EXHAUSTION_TIME] = 1.0 / patient.exhaustion_time;
    r[rate::PER_STROMA_TIME] = 1.0 / patient.stroma_time;
    r
}

/// The state of a patient at diagnosis.
pub fn diagnosis(patient: &Patient) -> [f64; COUNT] {
    let mut y = [0.0; COUNT];
    y[QL] = patient.quiescent_ratio * patient.stem_cells;
    y[CL] = patient.stem_cells;
    y[PL] = 1.0;
    y[DL] = 1.0;
    y[QH] = NORMAL_QUIESCENT * patient.capacity_osteoblastic;
    y[CH] = NORMAL_CYCLING * patient.capacity_vascular;
    y[CR] = patient.mutant_cells;
    y[PR] = patient.mutant_cells / patient.stem_cells;
    y[DR] = y[PR];
    y[E] = 1.0;
    y[M] = REMODELLED;
    y[X] = EXHAUSTED;
    y
}

/// The model as a right-hand side.
struct Course;

#[inline(always)]
fn clone_rates<S: Simd>(r: &[Lanes<S>; rate::COUNT], first: usize) -> CloneRates<Lanes<S>> {
    CloneRates {
        attach: r[first],
        release: r[first + 1],
        renewal: r[first + 2],
        loss: r[first + 3],
        growth: r[first + 4],
        net_growth: r[first + 5],
        drive: r[first + 6],
    }
}

impl Field<COUNT, { rate::COUNT }> for Course {
    #[inline(always)]
    fn slope<S: Simd>(y: &[Lanes<S>; COUNT], r: &[Lanes<S>; rate::COUNT], slope: &mut [Lanes<S>; COUNT]) {
        let zero = y[0].constant(0.0);
        let (e, m, x) = (y[E].at_least(zero), y[M].at_least(zero), y[X].at_least(zero));
        let (qh, ch) = (y[QH].at_least(zero), y[CH].at_least(zero));
        let l = [y[QL].at_least(zero), y[CL].at_least(zero), y[PL].at_least(zero), y[DL].at_least(zero)];
        let u = [y[QR].at_least(zero), y[CR].at_least(zero), y[PR].at_least(zero), y[DR].at_least(zero)];
        let burden = l[3] + u[3];

        // 1/a, 1/b, ... of five positive numbers from one division.
        let (fed, fed_mutant) = (niche::fed(l[1], r[rate::FEED]), niche::fed(u[1], r[rate::FEED]));
        let bell = immune::bell(burden, r[rate::WINDOW_SQUARED]);
        let (stroma, exhaustion) = (niche::stroma_half(burden), burden + r[rate::EXHAUSTION_HALF]);
        let (feds, halves) = (fed * fed_mutant, stroma * exhaustion);
        let rest = bell * halves;
        let reciprocal = zero.constant(1.0) / (feds * rest);
        let (per_feds, per_rest) = (reciprocal * rest, reciprocal * feds);
        let per_halves = per_rest * bell;

        let marrow = Marrow {
            room: niche::free(l[0], u[0], qh, r[rate::PER_OSTEOBLASTIC]).at_least(zero),
            crowding: niche::free(l[1], u[1], ch, r[rate::PER_VASCULAR]),
            kill: immune::kill(e, r[rate::KILL]),
            inflow: r[rate::INFLOW],
            turnover: r[rate::TURNOVER],
        };
        let (rates, rates_mutant) = (clone_rates(r, rate::LEUKAEMIC), clone_rates(r, rate::MUTANT));
        [slope[QL], slope[CL], slope[PL], slope[DL]] = niche::clone_slope(l, &rates, &marrow, per_feds * fed_mutant);
        [slope[QR], slope[CR], slope[PR], slope[DR]] = niche::clone_slope(u, &rates_mutant, &marrow, per_feds * fed);

        let moved = niche::exchange(qh, ch, r[rate::NORMAL_ATTACH], r[rate::NORMAL_RELEASE], marrow.room);
        let supported = zero.constant(1.0) - r[rate::STROMA_DEFECT] * m;
        slope[QH] = moved;
        slope[CH] = (r[rate::NORMAL_RENEWAL] * supported * marrow.crowding - r[rate::NORMAL_LOSS]) * ch - moved;

        let response = immune::Response {
            decay: r[rate::EFFECTOR_DECAY],
            stimulus: r[rate::STIMULUS],
            unblocked: r[rate::UNBLOCKED],
            block: r[rate::BLOCK],
            per_max: r[rate::PER_EFFECTOR_MAX],
        };
        slope[E] = immune::effector_slope([e, m, x], burden, per_rest * halves, &response);
        slope[M] = niche::stroma_slope(m, burden, per_halves * exhaustion, r[rate::PER_STROMA_TIME]);
        slope[X] = immune::exhaustion_slope(x, burden, per_halves * stroma, r[rate::PER_EXHAUSTION_TIME]);
        slope[H] = (l[2] * rates.drive + u[2] * rates_mutant.drive) * zero.constant(1.0 / DAYS_PER_YEAR);
    }
}

/// Removes clones that have died out; true if there was one.
fn extinguish(y: &mut [f64; COUNT]) -> bool {
    let mut removed = false;
    for (q, c) in [(QL, CL), (QR, CR)] {
        if y[q] + y[c] < EXTINCT && (y[q] != 0.0 || y[c] != 0.0) {
            y[q] = 0.0;
            y[c] = 0.0;
            removed = true;
        }
    }
    removed
}

/// What [`follow`] calls for every patient: the patient's index, and the states at diagnosis and at each month of the plan
/// (one row more than there are months; see [`state`](super::state) for the columns) or why there are none.
pub type Each<'a> = &'a mut dyn FnMut(usize, Result<&[[f64; COUNT]], Failure>);

/// Follows untreated-at-diagnosis patients through treatment at constant [`Patient::concentration`].
///
/// `months` are the visits, ascending and above 0. At a visit a clone with less than one stem cell is removed. `each` is
/// called once per patient, in the order in which they finish. The time of a [`Failure`] is in days and its component is
/// one of [`state`](super::state).
pub fn follow(patients: &[Patient], months: &[f64], width: Width, each: Each<'_>) {
    follow_within(patients, months, &TOLERANCE, width, each);
}

/// [`follow`] with another error control.
pub fn follow_within(patients: &[Patient], months: &[f64], tolerance: &Tolerance<COUNT>, width: Width, each: Each<'_>) {
    if months.is_empty() {
        for (i, patient) in patients.iter().enumerate() {
            each(i, Ok(&[diagnosis(patient)]));
        }
        return;
    }
    let rows = vec![[0.0; COUNT]; (months.len() + 1) * integrate::MOST_LANES];
    let mut cohort = Cohort { patients, months, waiting: 0, visits: [0; integrate::MOST_LANES], rows, each };
    integrate::run::<Course, COUNT, { rate::COUNT }>(&mut cohort, tolerance, width);
}

struct Cohort<'a> {
    patients: &'a [Patient],
    months: &'a [f64],
    /// Index of the next patient to start.
    waiting: usize,
    /// Visits made, by lane.
    visits: [usize; integrate::MOST_LANES],
    /// Rows of the patients on their way, lane after lane.
    rows: Vec<[f64; COUNT]>,
    each: Each<'a>,
}

impl Cohort<'_> {
    fn rows(&mut self, lane: usize) -> &mut [[f64; COUNT]] {
        let length = self.months.len() + 1;
        &mut self.rows[lane * length..(lane + 1) * length]
    }
}

impl Problems<COUNT, { rate::COUNT }> for Cohort<'_> {
    fn start(&mut self, lane: usize) -> Option<Task<COUNT, { rate::COUNT }>> {
        let id = self.waiting;
        let patient = self.patients.get(id)?;
        self.waiting += 1;
        let state = diagnosis(patient);
        self.visits[lane] = 0;
        self.rows(lane)[0] = state;
        let until = self.months.first()? * DAYS_PER_MONTH;
        Some(Task { id, time: 0.0, until, step: FIRST_STEP, state, rates: rates(patient) })
    }

    fn visit(&mut self, lane: usize, task: &mut Task<COUNT, { rate::COUNT }>) -> Next {
        let altered = extinguish(&mut task.state);
        self.visits[lane] += 1;
        let visit = self.visits[lane];
        self.rows(lane)[visit] = task.state;
        match self.months.get(visit) {
            Some(month) => {
                task.until = month * DAYS_PER_MONTH;
                if altered { Next::Altered } else { Next::Onward }
            }
            None => {
                let length = self.months.len() + 1;
                (self.each)(task.id, Ok(&self.rows[lane * length..(lane + 1) * length]));
                Next::Finished
            }
        }
    }

    fn fail(&mut self, _lane: usize, id: usize, failure: Failure) {
        (self.each)(id, Err(failure));
    }
}
