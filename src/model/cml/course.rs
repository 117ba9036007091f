//! The course of a cohort under treatment: the right-hand side of the model and the driver that integrates patients side by
//! side.
//!
//! The right-hand side is assembled from [`niche`] and `immune` and evaluated on the
//! positive part of the state. Its five divisions share one reciprocal. Beside the cells it carries the cumulative hazard
//! `H' = PL·drive + PR·drive_R` (per year).
//!
//! At a visit the [`Bedside`] may change what acts on the patient. Clones of few stem cells leave the equations for a step that
//! counts them one by one ([`FewCells`]); mutant clones are born at random, as often as stem cells divide.
//!
//! Bits depend on the patient, its key, its treatment and the months only: see [`integrate`].

use pulp::Simd;

use super::drugs::{Exposure, UNMUTATED};
use super::immune;
use super::niche::{self, CloneRates, Marrow};
use super::patient::Patient;
use super::signaling::{self, Signals};
use super::state::{CH, CL, COUNT, CR, DAYS_PER_MONTH, DL, DR, E, H, M, PL, PR, QH, QL, QR, X};
use super::targets::Target;
use crate::integrate::birth_death::{Rates as Moves, two_places};
use crate::integrate::{self, Failure, Field, Lanes, Next, Problems, Task, Tolerance, Width};
use crate::rng::{Key, Purpose, Stream};
use crate::trial::vocabulary::Word;

/// Days in a year.
pub(super) const DAYS_PER_YEAR: f64 = 12.0 * DAYS_PER_MONTH;
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
/// Stem cells below which a clone is counted cell by cell; from twice as many on it follows the equations again. At 200 the
/// standard deviation of what chance does to a clone in one generation of its cells is 7 %.
pub const COUNTED: f64 = 200.0;
/// Days after which counted stem cells are looked at anew: each has an event in it with a probability of some 0.3.
const LEAP: f64 = 10.0;
/// First step, days.
const FIRST_STEP: f64 = 1.0;

/// Error control of a course: the error of log10 (D + D_R) stays below 0.005 against a relative tolerance of 1e-10 (tested on
/// diverse patients).
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
    /// First of the eight rates of the unmutated clone.
    pub const LEUKAEMIC: usize = 0;
    /// First of the eight rates of the mutant clone.
    pub const MUTANT: usize = 8;
    /// Rates of a clone, and the places of those that counting needs, from its first on.
    pub const CLONE: usize = 8;
    pub const ATTACH: usize = 0;
    pub const RELEASE: usize = 1;
    pub const RENEWAL: usize = 2;
    pub const LOSS: usize = 3;
    pub const FLUID: usize = 7;
    pub const NORMAL_ATTACH: usize = 16;
    pub const NORMAL_RELEASE: usize = 17;
    pub const NORMAL_RENEWAL: usize = 18;
    pub const STROMA_DEFECT: usize = 19;
    pub const NORMAL_LOSS: usize = 20;
    pub const PER_OSTEOBLASTIC: usize = 21;
    pub const PER_VASCULAR: usize = 22;
    pub const FEED: usize = 23;
    pub const INFLOW: usize = 24;
    pub const TURNOVER: usize = 25;
    pub const KILL: usize = 26;
    pub const EFFECTOR_DECAY: usize = 27;
    pub const STIMULUS: usize = 28;
    pub const UNBLOCKED: usize = 29;
    pub const BLOCK: usize = 30;
    pub const PER_EFFECTOR_MAX: usize = 31;
    pub const WINDOW_SQUARED: usize = 32;
    pub const EXHAUSTION_HALF: usize = 33;
    pub const PER_EXHAUSTION_TIME: usize = 34;
    pub const PER_STROMA_TIME: usize = 35;
    pub const COUNT: usize = 36;
}

/// The rates of a patient.
type Rates = [f64; rate::COUNT];

/// The rates of a patient under an exposure.
fn rates(patient: &Patient, exposure: &Exposure) -> Rates {
    let blocks = &exposure.blocks;
    let mut r = [0.0; rate::COUNT];
    for (first, folds) in [(rate::LEUKAEMIC, UNMUTATED), (rate::MUTANT, patient.mutant_folds)] {
        let clone = CloneRates::of(patient, &Signals::of(patient, exposure, &folds), blocks);
        let CloneRates { attach, release, renewal, loss, growth, net_growth, drive, fluid } = clone;
        let clone = [attach, release, renewal, loss, growth, net_growth, drive, fluid];
        r[first..first + rate::CLONE].copy_from_slice(&clone);
    }
    let normal_adhesion = signaling::normal_adhesion(patient, blocks);
    r[rate::NORMAL_ATTACH] = patient.attach * normal_adhesion;
    r[rate::NORMAL_RELEASE] = niche::release(patient, normal_adhesion, blocks);
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
    r[rate::STIMULUS] = 2.0 * patient.effector_window * patient.effector_stimulus * blocks.left(Target::Effector);
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
        fluid: r[first + 7],
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

/// How stem cells of a clone are followed when few are left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FewCells {
    /// By the equations; below one cell at a visit the clone is gone.
    Fluid,
    /// One by one: below [`COUNTED`] they divide, die and move at random, so that extinction is an event with a probability.
    #[default]
    Counted,
}

impl Word for FewCells {
    const ALL: &'static [(&'static str, Self)] = &[("fluid", FewCells::Fluid), ("counted", FewCells::Counted)];
}

/// Whoever looks after the patients of a cohort on their course. Calls of one lane belong to one patient after the other.
pub trait Bedside {
    /// Patient `j` enters lane `lane`: what acts on it from the start.
    fn admit(&mut self, lane: usize, j: usize) -> Exposure;

    /// The state from which patient `j` starts, at diagnosis unless an experiment asks for another.
    fn begin(&mut self, _j: usize, patient: &Patient) -> [f64; COUNT] {
        diagnosis(patient)
    }

    /// The state of patient `j` at visit `visit` (index into the months); what acts on it from now on, if that changes.
    fn visit(&mut self, lane: usize, j: usize, visit: usize, state: &[f64; COUNT]) -> Option<Exposure>;

    /// The states at diagnosis and at every visit (one row more than there are months), or why there are none.
    fn discharge(&mut self, lane: usize, j: usize, states: Result<&[[f64; COUNT]], Failure>);
}

/// The patients of a cohort, and how they are followed.
#[derive(Clone, Copy)]
pub struct Cohort<'a> {
    /// The patients.
    pub patients: &'a [Patient],
    /// The address of each patient's randomness.
    pub keys: &'a [Key],
    /// Months of the visits, ascending and above 0.
    pub months: &'a [f64],
    /// How few stem cells are followed.
    pub few_cells: FewCells,
    /// Error control.
    pub tolerance: &'a Tolerance<COUNT>,
    /// Instruction set; no result depends on it.
    pub width: Width,
}

impl Cohort<'_> {
    /// Follows the patients from diagnosis through all visits. Patients are discharged in the order in which they finish. The
    /// time of a [`Failure`] is in days and its component is one of [`state`](super::state).
    pub fn follow(&self, bedside: &mut dyn Bedside) {
        if self.months.is_empty() {
            for (j, patient) in self.patients.iter().enumerate() {
                bedside.admit(0, j);
                let state = bedside.begin(j, patient);
                bedside.discharge(0, j, Ok(&[state]));
            }
            return;
        }
        let rows = vec![[0.0; COUNT]; (self.months.len() + 1) * integrate::MOST_LANES];
        let lanes = std::array::from_fn(|_| Lane::default());
        let mut ward = Ward { cohort: self, waiting: 0, lanes, rows, bedside };
        integrate::run::<Course, COUNT, { rate::COUNT }>(&mut ward, self.tolerance, self.width);
    }
}

/// What is known of the patient in a lane.
#[derive(Default)]
struct Lane {
    /// Visits made.
    visits: usize,
    /// Day up to which stem cells were counted, or mutants looked for.
    day: f64,
    /// Whether the unmutated and the mutant clone are counted one by one.
    counted: [bool; 2],
    /// Births of mutant clones to come until one is born, from now on.
    unborn: f64,
    /// The patient's randomness, once it is needed.
    rng: Option<Stream>,
}

/// The cohort on its way.
struct Ward<'a> {
    cohort: &'a Cohort<'a>,
    /// Index of the next patient to start.
    waiting: usize,
    lanes: [Lane; integrate::MOST_LANES],
    /// Rows of the patients on their way, lane after lane.
    rows: Vec<[f64; COUNT]>,
    bedside: &'a mut dyn Bedside,
}

/// Quiescent and cycling stem cells of the two leukaemic clones, and where their rates begin.
const CLONES: [(usize, usize, usize); 2] = [(QL, CL, rate::LEUKAEMIC), (QR, CR, rate::MUTANT)];

impl Ward<'_> {
    fn rows(&mut self, lane: usize) -> &mut [[f64; COUNT]] {
        let length = self.cohort.months.len() + 1;
        &mut self.rows[lane * length..(lane + 1) * length]
    }

    /// Lets a mutant clone be born; true if one was. As many are expected as stem cells divide.
    fn mutate(&mut self, lane: usize, task: &mut Task<COUNT, { rate::COUNT }>) -> bool {
        let patient = &self.cohort.patients[task.id];
        let y = &mut task.state;
        let at = &mut self.lanes[lane];
        if y[QR] + y[CR] > 0.0 || at.unborn == f64::INFINITY {
            return false;
        }
        let r = &task.rates;
        let crowding = (1.0 - (y[CL] + y[CR] + y[CH]) * r[rate::PER_VASCULAR]).max(0.0);
        let divisions = r[rate::LEUKAEMIC + rate::RENEWAL] / patient.renewal * crowding * y[CL] / patient.stem_cells;
        at.unborn -= patient.mutation * divisions * (task.time - at.day);
        if at.unborn > 0.0 {
            return false;
        }
        // One clone at a time: resistance of a second one makes no difference to the first.
        at.unborn = f64::INFINITY;
        y[CR] = 1.0;
        true
    }

    /// Moves, divides and kills the counted stem cells since the last time, at the rates of now; true if any are counted.
    fn count(&mut self, lane: usize, task: &mut Task<COUNT, { rate::COUNT }>) -> bool {
        let at = &mut self.lanes[lane];
        let y = &mut task.state;
        let r = &mut task.rates;
        let room = (1.0 - (y[QL] + y[QR] + y[QH]) * r[rate::PER_OSTEOBLASTIC]).max(0.0);
        let crowding = (1.0 - (y[CL] + y[CR] + y[CH]) * r[rate::PER_VASCULAR]).max(0.0);
        let kill = (r[rate::KILL] * (y[E] - 1.0)).max(0.0);
        let key = self.cohort.keys[task.id];
        for (counted, (q, c, first)) in at.counted.iter_mut().zip(CLONES) {
            let cells = y[q] + y[c];
            if *counted {
                let places = Moves {
                    attach: r[first + rate::ATTACH] * room,
                    release: r[first + rate::RELEASE],
                    birth: r[first + rate::RENEWAL] * crowding,
                    death: r[first + rate::LOSS] + kill,
                };
                let rng = at.rng.get_or_insert_with(|| key.stream(Purpose::StemCells));
                let [quiescent, cycling] = two_places(rng, [y[q] as u64, y[c] as u64], &places, task.time - at.day);
                (y[q], y[c]) = (quiescent as f64, cycling as f64);
                *counted = y[q] + y[c] < 2.0 * COUNTED;
            } else if cells > 0.0 && cells < COUNTED {
                let rng = at.rng.get_or_insert_with(|| key.stream(Purpose::StemCells));
                for place in [q, c] {
                    y[place] = y[place].floor() + f64::from(u8::from(rng.uniform() < y[place].fract()));
                }
                *counted = true;
            }
            r[first + rate::FLUID] = if *counted { 0.0 } else { 1.0 };
        }
        at.counted.contains(&true)
    }
}

impl Problems<COUNT, { rate::COUNT }> for Ward<'_> {
    fn start(&mut self, lane: usize) -> Option<Task<COUNT, { rate::COUNT }>> {
        let id = self.waiting;
        let patient = self.cohort.patients.get(id)?;
        self.waiting += 1;
        let state = self.bedside.begin(id, patient);
        let rates = rates(patient, &self.bedside.admit(lane, id));
        self.rows(lane)[0] = state;
        let until = self.cohort.months.first()? * DAYS_PER_MONTH;
        let mut unborn = f64::INFINITY;
        if patient.mutation > 0.0 {
            unborn = self.cohort.keys[id].stream(Purpose::Mutation).exponential();
        }
        self.lanes[lane] = Lane { unborn, ..Lane::default() };
        let mut task = Task { id, time: 0.0, until, step: FIRST_STEP, state, rates };
        if self.cohort.few_cells == FewCells::Counted && self.count(lane, &mut task) {
            task.until = task.until.min(LEAP);
        }
        Some(task)
    }

    fn visit(&mut self, lane: usize, task: &mut Task<COUNT, { rate::COUNT }>) -> Next {
        let mut altered = self.mutate(lane, task);
        let mut few = false;
        match self.cohort.few_cells {
            FewCells::Fluid => altered |= extinguish(&mut task.state),
            FewCells::Counted => {
                let before = self.lanes[lane].counted;
                few = self.count(lane, task);
                altered |= few || before != self.lanes[lane].counted;
            }
        }
        self.lanes[lane].day = task.time;
        let months = self.cohort.months;
        let mut visits = self.lanes[lane].visits;
        if task.time >= months[visits] * DAYS_PER_MONTH {
            self.rows(lane)[visits + 1] = task.state;
            if let Some(exposure) = self.bedside.visit(lane, task.id, visits, &task.state) {
                task.rates = rates(&self.cohort.patients[task.id], &exposure);
                for (counted, (_, _, first)) in self.lanes[lane].counted.iter().zip(CLONES) {
                    task.rates[first + rate::FLUID] = if *counted { 0.0 } else { 1.0 };
                }
                altered = true;
            }
            visits += 1;
            self.lanes[lane].visits = visits;
        }
        let Some(month) = months.get(visits) else {
            let length = months.len() + 1;
            self.bedside.discharge(lane, task.id, Ok(&self.rows[lane * length..(lane + 1) * length]));
            return Next::Finished;
        };
        let visit = month * DAYS_PER_MONTH;
        task.until = if few { visit.min(task.time + LEAP) } else { visit };
        if altered { Next::Altered } else { Next::Onward }
    }

    fn fail(&mut self, lane: usize, id: usize, failure: Failure) {
        self.bedside.discharge(lane, id, Err(failure));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::super::drugs::Drug;
    use super::super::parameters::{Population, nominal};
    use super::*;
    use crate::integrate::Cause;

    const VISITS: [f64; 22] = [
        1.0, 2.0, 3.0, 6.0, 9.0, 12.0, 15.0, 18.0, 21.0, 24.0, 27.0, 30.0, 33.0, 36.0, 39.0, 42.0, 45.0, 48.0, 51.0, 54.0, 57.0,
        60.0,
    ];

    fn population() -> Population {
        Population::new(&nominal()).unwrap()
    }

    /// The median patient of the nominal population, without new mutants.
    fn median() -> Patient {
        Patient { mutation: 0.0, ..Patient::median(&population()) }
    }

    /// Imatinib 400 mg a day, at a clearance and an IC50.
    fn imatinib(patient: &Patient) -> Exposure {
        let mut exposure = Exposure::default();
        population().expose(&mut exposure, Drug::Imatinib, 400.0, patient.clearance);
        exposure
    }

    /// Diverse patients: spreads near those between patients of the model, mutants and bypasses included.
    fn varied(n: u64) -> Vec<Patient> {
        let median = median();
        let draw = |i| {
            let mut rng = Key::root(2).child(i).stream(Purpose::Patient);
            let mut spread = |sd: f64| libm::exp(sd * rng.normal());
            Patient {
                clearance: median.clearance / spread(0.31),
                uptake_mature: spread(0.9),
                uptake_stem: median.uptake_stem * spread(0.3),
                bypass: if i % 6 == 0 { (0.4 * spread(0.6)).min(0.9) } else { 0.0 },
                renewal_gain: median.renewal_gain * spread(0.15),
                death_gain: median.death_gain * spread(0.67),
                adhesion_min: (median.adhesion_min * spread(0.25)).min(0.9),
                release: median.release * spread(0.65),
                progenitor_growth: median.progenitor_growth * spread(0.19),
                progenitor_loss: median.progenitor_loss * spread(0.32),
                amplification: median.amplification * spread(0.92),
                effector_stimulus: (median.effector_stimulus * spread(2.0)).min(0.8),
                effector_window: median.effector_window * spread(0.45),
                stem_cells: (median.stem_cells * spread(0.35)).min(6e4),
                quiescent_ratio: median.quiescent_ratio * spread(0.5),
                mutant_cells: if i % 5 == 0 { 6.0 * spread(1.5) } else { 0.0 },
                mutant_folds: [(14.0 * spread(1.0)).max(2.0); 3],
                ..median
            }
        };
        (0..n).map(draw).collect()
    }

    type Rows = Vec<[f64; COUNT]>;

    /// Constant treatment; keeps the states.
    struct Constant<'a> {
        patients: &'a [Patient],
        exposure: fn(&Patient) -> Exposure,
        out: Vec<Result<Rows, Failure>>,
    }

    impl Bedside for Constant<'_> {
        fn admit(&mut self, _: usize, j: usize) -> Exposure {
            (self.exposure)(&self.patients[j])
        }
        fn visit(&mut self, _: usize, _: usize, _: usize, _: &[f64; COUNT]) -> Option<Exposure> {
            None
        }
        fn discharge(&mut self, _: usize, j: usize, states: Result<&[[f64; COUNT]], Failure>) {
            self.out[j] = states.map(<[_]>::to_vec);
        }
    }

    fn under(
        exposure: fn(&Patient) -> Exposure,
        few_cells: FewCells,
        patients: &[Patient],
        months: &[f64],
        relative: f64,
        width: Width,
    ) -> Vec<Result<Rows, Failure>> {
        let tolerance = &Tolerance { relative, attempts: 1e6, ..TOLERANCE };
        let keys: Vec<Key> = (0..patients.len() as u64).map(|j| Key::root(9).child(j)).collect();
        let mut bedside = Constant { patients, exposure, out: vec![Ok(Vec::new()); patients.len()] };
        Cohort { patients, keys: &keys, months, few_cells, tolerance, width }.follow(&mut bedside);
        bedside.out
    }

    fn all(patients: &[Patient], months: &[f64], relative: f64, width: Width) -> Vec<Result<Rows, Failure>> {
        under(imatinib, FewCells::Fluid, patients, months, relative, width)
    }

    fn sound(patients: &[Patient], months: &[f64], relative: f64, width: Width) -> Vec<Rows> {
        all(patients, months, relative, width).into_iter().map(|rows| rows.unwrap()).collect()
    }

    /// Forty patients and their courses at the default tolerance.
    fn forty() -> &'static (Vec<Patient>, Vec<Rows>) {
        static FORTY: OnceLock<(Vec<Patient>, Vec<Rows>)> = OnceLock::new();
        FORTY.get_or_init(|| {
            let patients = varied(40);
            let rows = sound(&patients, &VISITS, TOLERANCE.relative, Width::Best);
            (patients, rows)
        })
    }

    /// The model written down a second time, formula by formula, without any of the code above.
    fn plain(y: &[f64; COUNT], p: &Patient) -> [f64; COUNT] {
        let y = y.map(|x| x.max(0.0));
        let room = (1.0 - (y[QL] + y[QR] + y[QH]) / p.capacity_osteoblastic).max(0.0);
        let crowding = 1.0 - (y[CL] + y[CR] + y[CH]) / p.capacity_vascular;
        let kill = p.effector_kill * (y[E] - 1.0);
        let chi = 1.0 / p.stem_cells;
        let mut d = [0.0; COUNT];
        let ras = |k: f64| 1.0 - (1.0 - 0.7 * k) * (1.0 - 0.3 * k) * (1.0 - 0.3 * k);
        for ([q, c, m, b], fold) in [([QL, CL, PL, DL], 1.0), ([QR, CR, PR, DR], p.mutant_folds[0])] {
            let pot = 400.0 / (24.0 * p.clearance) / 0.4936 / 0.61 / p.expression / fold;
            let k = 1.0 / (1.0 + (p.uptake_mature * pot).powf(p.hill));
            let ks = 1.0 / (1.0 + (p.uptake_stem * pot).powf(p.hill));
            let a = p.adhesion_min + (1.0 - p.adhesion_min) * (1.0 - ks);
            let survival = ks + (1.0 - ks) * p.niche_bypass * a;
            let stat = k + (1.0 - k) * p.bypass;
            let drive = 0.7 * stat + 0.3 * ras(stat) / ras(1.0);
            let catenin = (0.8 * ks + 0.2 * a) / (0.8 + 0.2 * p.adhesion_min);
            let renewing = 0.67 * ras(ks) / ras(1.0) + 0.33 * catenin;
            let moved = p.attach * a * room * y[c] - p.release * (1.0 + p.detachment_gain * (1.0 - a)) * y[q];
            let division = p.renewal * (1.0 + p.renewal_gain * renewing) * crowding;
            d[q] = moved;
            d[c] = (division - p.stem_loss * (1.0 + p.death_gain * (1.0 - survival)) - kill) * y[c] - moved;
            let amplify = p.progenitor_growth * drive * (1.0 - y[m] / (chi * y[c] + 1e-9));
            let fed = p.progenitor_loss * chi / p.amplification * y[c];
            d[m] = fed + y[m] * (amplify - p.progenitor_loss * (1.0 - stat) - kill);
            d[b] = p.maturing_turnover * (y[m] - y[b]) - kill * y[b];
            d[H] += y[m] * drive / 365.25;
        }
        let moved = p.attach * room * y[CH] - p.release * y[QH];
        d[QH] = moved;
        d[CH] = (p.renewal * (1.0 - p.stroma_defect * y[M]) * crowding - p.stem_loss) * y[CH] - moved;
        let b = y[DL] + y[DR];
        let phi = 2.0 * p.effector_window * b / (p.effector_window.powi(2) + b * b);
        let ready = (1.0 - p.stroma_block * (1.0 - y[M])) * (1.0 - y[X]);
        d[E] = p.effector_decay * (1.0 - y[E]);
        d[E] += p.effector_stimulus * ready * phi * y[E] * (1.0 - y[E] / p.effector_max);
        d[M] = (b / (b + 0.1) - y[M]) / p.stroma_time;
        d[X] = (b / (b + p.exhaustion_half) - y[X]) / p.exhaustion_time;
        d
    }

    /// Classical Runge-Kutta of order 4 with about `step` days.
    fn runge_kutta(p: &Patient, months: &[f64], step: f64) -> Rows {
        let along = |y: &[f64; COUNT], h: f64, k: &[f64; COUNT]| std::array::from_fn(|i| y[i] + h * k[i]);
        let mut y = diagnosis(p);
        let (mut rows, mut now) = (vec![y], 0.0);
        for month in months {
            let days = month * DAYS_PER_MONTH - now;
            now += days;
            let steps = (days / step).ceil();
            let h = days / steps;
            for _ in 0..steps as usize {
                let k1 = plain(&y, p);
                let k2 = plain(&along(&y, h / 2.0, &k1), p);
                let k3 = plain(&along(&y, h / 2.0, &k2), p);
                let k4 = plain(&along(&y, h, &k3), p);
                y = std::array::from_fn(|i| (y[i] + h / 6.0 * (k1[i] + 2.0 * (k2[i] + k3[i]) + k4[i])).max(0.0));
            }
            extinguish(&mut y);
            rows.push(y);
        }
        rows
    }

    /// Largest difference of log10 of the burden, while either is above 1e-9 of diagnosis.
    fn apart(a: &[[f64; COUNT]], b: &[[f64; COUNT]]) -> f64 {
        let burden = |y: &[f64; COUNT]| (y[DL] + y[DR]).max(1e-9);
        a.iter().zip(b).map(|(a, b)| (burden(a) / burden(b)).log10().abs()).fold(0.0, f64::max)
    }

    #[test]
    fn the_default_tolerance_keeps_the_burden_within_0_005_in_log10() {
        let (patients, rows) = forty();
        let tight = sound(patients, &VISITS, 1e-10, Width::Best);
        let worst = rows.iter().zip(&tight).map(|(a, b)| apart(a, b)).fold(0.0, f64::max);
        println!("largest error of log10(DL + DR) over 40 patients and 22 visits: {worst:.5}");
        assert!(worst < 0.005, "{worst}");
        let hazard = |rows: &Rows| rows[VISITS.len()][H];
        for (a, b) in rows.iter().zip(&tight) {
            assert!((hazard(a) - hazard(b)).abs() < 1e-5 + 0.005 * hazard(b), "{} {}", hazard(a), hazard(b));
        }
    }

    #[test]
    fn an_independent_solver_with_the_model_written_anew_agrees() {
        let (patients, _) = forty();
        let tight = sound(patients, &VISITS, 1e-10, Width::Best);
        for (i, (patient, rows)) in patients.iter().zip(&tight).enumerate() {
            let reference = runge_kutta(patient, &VISITS, 0.25);
            assert!(apart(rows, &reference) < 2e-5, "patient {i}: {}", apart(rows, &reference));
            for (a, b) in rows.iter().zip(&reference) {
                for component in [QL, CL, QH, CH, E, M, X, H] {
                    let scale = b[component].abs() + TOLERANCE.floor[component];
                    assert!((a[component] - b[component]).abs() < 1e-5 * scale, "patient {i}, component {component}");
                }
            }
        }
    }

    #[test]
    fn the_nominal_median_patient_responds_in_three_phases() {
        let months = [1.0, 2.0, 3.0, 6.0, 12.0, 24.0, 48.0, 96.0];
        let rows = &sound(&[median()], &months, TOLERANCE.relative, Width::Best)[0];
        let is = |y: &[f64; COUNT]| {
            let x = median().leukaemic_ratio * (y[DL] + y[DR]);
            100.0 * x / (x + 2.0)
        };
        // The IS of the model that the nominal point was made for, with one node for each arm of signaling.
        for (y, expected) in rows.iter().zip([74.0, 36.0, 6.5, 1.1, 0.21, 0.10, 0.027, 0.013, 0.0039]) {
            assert!((is(y) / expected - 1.0).abs() < 0.25, "{} for {expected}", is(y));
        }
        let slope = |from: usize, to: usize| {
            let days = (months[to - 1] - months[from - 1]) * DAYS_PER_MONTH;
            (rows[to][DL] / rows[from][DL]).ln() / days
        };
        println!("slopes per day: {:.4} {:.4} {:.5}", slope(1, 2), slope(4, 5), slope(6, 7));
    }

    #[test]
    fn without_drug_the_disease_doubles_and_the_niche_limits_it() {
        let untreated = |_: &Patient| Exposure::default();
        let all = under(untreated, FewCells::Fluid, &[median()], &[6.0, 12.0, 24.0], TOLERANCE.relative, Width::Best);
        let rows = all[0].as_ref().unwrap();
        assert!((rows[1][DL] / 1.8 - 1.0).abs() < 0.03, "{}", rows[1][DL]);
        assert!((rows[3][DL] / 1.95 - 1.0).abs() < 0.03, "{}", rows[3][DL]);
        assert!(rows[3][DL] > rows[2][DL] && rows[2][DL] > rows[1][DL]);
    }

    #[test]
    fn an_absent_mutant_stays_exactly_absent_and_nothing_is_negative() {
        let (patients, rows) = forty();
        for (patient, rows) in patients.iter().zip(rows) {
            for y in rows {
                assert!(y.iter().all(|&x| x >= 0.0), "{y:?}");
                if patient.mutant_cells == 0.0 {
                    assert_eq!([y[QR], y[CR], y[PR], y[DR]], [0.0; 4]);
                }
            }
        }
    }

    #[test]
    fn bits_are_those_of_the_patient_alone_at_every_width_and_in_every_order() {
        let (patients, rows) = forty();
        let bits = |rows: &Rows| rows.iter().flatten().map(|x| x.to_bits()).collect::<Vec<_>>();
        for width in Width::available() {
            let backwards: Vec<Patient> = patients.iter().rev().copied().collect();
            for (i, other) in sound(&backwards, &VISITS, TOLERANCE.relative, width).iter().rev().enumerate() {
                assert!(bits(other) == bits(&rows[i]), "patient {i}, {width:?}");
            }
            for i in [0, 7, 39] {
                let alone = &sound(&patients[i..=i], &VISITS, TOLERANCE.relative, width)[0];
                assert!(bits(alone) == bits(&rows[i]), "patient {i} alone, {width:?}");
            }
        }
        // Cells that are counted have the randomness of their patient; new mutants too.
        let mutable: Vec<Patient> = patients.iter().map(|p| Patient { mutation: 1e-3, ..*p }).collect();
        let counted = |width| under(imatinib, FewCells::Counted, &mutable, &VISITS, TOLERANCE.relative, width);
        let scalar = counted(Width::Scalar);
        assert!(scalar.iter().flatten().any(|rows| rows[0][CR] == 0.0 && rows[VISITS.len()][CR] > 0.0));
        for width in Width::available() {
            for (i, (a, b)) in counted(width).iter().zip(&scalar).enumerate() {
                assert!(bits(a.as_ref().unwrap()) == bits(b.as_ref().unwrap()), "patient {i}, counted, {width:?}");
            }
        }
    }

    #[test]
    fn a_broken_patient_is_reported_and_disturbs_nobody() {
        let (patients, rows) = forty();
        let mut mixed = patients.clone();
        let median = median();
        mixed[3] = Patient { expression: f64::NAN, ..median };
        mixed[11] = Patient { progenitor_growth: 1e300, ..median };
        mixed[12] = Patient { maturing_turnover: 1e7, ..median };
        mixed[30] = Patient { stem_cells: 0.0, ..median };
        for width in Width::available() {
            let out = all(&mixed, &VISITS, TOLERANCE.relative, width);
            for (i, result) in out.iter().enumerate() {
                match result {
                    Ok(other) => assert!(*other == rows[i], "patient {i}"),
                    Err(failure) => assert!([3, 11, 12, 30].contains(&i), "{i}: {failure:?}"),
                }
            }
            let failures: Vec<_> = out.iter().filter_map(|r| r.as_ref().err()).collect();
            assert_eq!(failures.len(), 4, "{failures:?}");
            assert_eq!((failures[0].cause, failures[0].time), (Cause::NotFinite, 0.0));
            assert_eq!(failures[2].component, DL);
        }
    }

    #[test]
    fn a_clone_below_one_stem_cell_is_gone_for_good() {
        let dying = Patient { mutant_cells: 1.5, mutant_folds: [2.0; 3], ..median() };
        let rows = &sound(&[dying], &VISITS, TOLERANCE.relative, Width::Best)[0];
        let gone = rows.iter().position(|y| y[QR] + y[CR] == 0.0).unwrap();
        assert!(gone > 0 && rows[gone - 1][PR] > 0.0);
        assert!(rows[gone..].iter().all(|y| y[QR] == 0.0 && y[CR] == 0.0));
        assert!(rows[VISITS.len()][PR] < 1e-8);
    }

    #[test]
    fn without_visits_there_is_the_diagnosis_alone() {
        let rows = &sound(&[median()], &[], TOLERANCE.relative, Width::Best)[0];
        assert_eq!(rows[..], [diagnosis(&median())]);
    }
}
