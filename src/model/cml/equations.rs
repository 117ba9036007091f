//! The equations of a patient: the state at diagnosis, the rates under an exposure, and the right-hand side.
//!
//! The right-hand side is assembled from [`niche`] and `immune` and evaluated on the positive part of the state. Its five
//! divisions share one reciprocal. Beside the cells it carries the cumulative hazard `H' = PL·drive + PR·drive_R` (per year).

use pulp::Simd;

use super::drugs::{Exposure, UNMUTATED};
use super::immune;
use super::niche::{self, CloneRates, Marrow};
use super::patient::Patient;
use super::signaling::{self, Signals};
use super::state::{CH, CL, COUNT, CR, DAYS_PER_MONTH, DL, DR, E, H, M, PL, PR, QH, QL, QR, X};
use super::targets::Target;
use crate::integrate::{Field, Lanes, Tolerance};

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
pub(super) mod rate {
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
pub(super) type Rates = [f64; rate::COUNT];

/// The rates of a patient under an exposure.
pub(super) fn rates(patient: &Patient, exposure: &Exposure) -> Rates {
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
    r[rate::NORMAL_LOSS] = patient.stem_loss + niche::roaming(patient, normal_adhesion);
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
pub(super) struct Course;

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
