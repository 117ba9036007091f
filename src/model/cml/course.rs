//! The course of a cohort under treatment: the right-hand side of the model and the driver that integrates patients side by
//! side.
//!
//! The right-hand side is assembled from [`niche`] and `immune` and evaluated on the
//! positive part of the state. Its five divisions share one reciprocal. Beside the cells it carries the cumulative hazard
//! `H' = PL·drive + PR·drive_R` (per year).
//!
//! Bits depend on the patient and on the months only: see [`integrate`].

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

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;
    use crate::integrate::Cause;
    use crate::rng::{Key, Purpose};

    const VISITS: [f64; 22] = [
        1.0, 2.0, 3.0, 6.0, 9.0, 12.0, 15.0, 18.0, 21.0, 24.0, 27.0, 30.0, 33.0, 36.0, 39.0, 42.0, 45.0, 48.0, 51.0, 54.0, 57.0,
        60.0,
    ];

    /// Diverse patients: spreads near those between patients of the model, mutants and bypasses included.
    fn varied(n: u64) -> Vec<Patient> {
        let median = Patient::median();
        let draw = |i| {
            let mut rng = Key::root(2).child(i).stream(Purpose::Patient);
            let mut spread = |sd: f64| libm::exp(sd * rng.normal());
            Patient {
                concentration: median.concentration * spread(0.31),
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
                mutant_fold: (14.0 * spread(1.0)).max(2.0),
                ..median
            }
        };
        (0..n).map(draw).collect()
    }

    type Rows = Vec<[f64; COUNT]>;

    fn all(patients: &[Patient], months: &[f64], relative: f64, width: Width) -> Vec<Result<Rows, Failure>> {
        let tolerance = Tolerance { relative, attempts: 1e6, ..TOLERANCE };
        let mut out = vec![Ok(Vec::new()); patients.len()];
        follow_within(patients, months, &tolerance, width, &mut |i, rows| out[i] = rows.map(<[_]>::to_vec));
        out
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
        for ([q, c, m, b], fold) in [([QL, CL, PL, DL], 1.0), ([QR, CR, PR, DR], p.mutant_fold)] {
            let pot = p.concentration / p.ic50 / fold;
            let k = 1.0 / (1.0 + (p.uptake_mature * pot).powf(p.hill));
            let ks = 1.0 / (1.0 + (p.uptake_stem * pot).powf(p.hill));
            let a = (p.adhesion_min + (1.0 - p.adhesion_min) * (1.0 - ks)) * (1.0 - p.cxcr4_block);
            let survival = ks + (1.0 - ks) * p.niche_bypass * a;
            let drive = k + (1.0 - k) * p.bypass;
            let moved = p.attach * a * room * y[c] - p.release * (1.0 + p.detachment_gain * (1.0 - a)) * y[q];
            let division = p.renewal * (1.0 + p.renewal_gain * ks) * crowding;
            d[q] = moved;
            d[c] = (division - p.stem_loss * (1.0 + p.death_gain * (1.0 - survival)) - kill) * y[c] - moved;
            let amplify = p.progenitor_growth * drive * (1.0 - y[m] / (chi * y[c] + 1e-9));
            let fed = p.progenitor_loss * chi / p.amplification * y[c];
            d[m] = fed + y[m] * (amplify - p.progenitor_loss * (1.0 - drive) - kill);
            d[b] = p.maturing_turnover * (y[m] - y[b]) - kill * y[b];
            d[H] += y[m] * drive / 365.25;
        }
        let a = 1.0 - p.cxcr4_block;
        let moved = p.attach * a * room * y[CH] - p.release * (1.0 + p.detachment_gain * (1.0 - a)) * y[QH];
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
    fn the_median_patient_responds_as_published_with_the_model() {
        let months = [1.0, 2.0, 3.0, 6.0, 12.0, 24.0, 48.0, 96.0];
        let rows = &sound(&[Patient::median()], &months, TOLERANCE.relative, Width::Best)[0];
        let is = |y: &[f64; COUNT]| {
            let x = Patient::median().leukaemic_ratio * (y[DL] + y[DR]);
            100.0 * x / (x + 2.0)
        };
        for (y, expected) in rows.iter().zip([74.0, 36.0, 6.5, 1.1, 0.21, 0.10, 0.027, 0.013, 0.0039]) {
            assert!((is(y) / expected - 1.0).abs() < 0.04, "{} for {expected}", is(y));
        }
    }

    #[test]
    fn without_drug_the_disease_doubles_and_the_niche_limits_it() {
        let untreated = Patient { concentration: 0.0, ..Patient::median() };
        let rows = &sound(&[untreated], &[6.0, 12.0, 24.0], TOLERANCE.relative, Width::Best)[0];
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
    }

    #[test]
    fn a_broken_patient_is_reported_and_disturbs_nobody() {
        let (patients, rows) = forty();
        let mut mixed = patients.clone();
        let median = Patient::median();
        mixed[3] = Patient { ic50: f64::NAN, ..median };
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
        let dying = Patient { mutant_cells: 1.5, mutant_fold: 2.0, ..Patient::median() };
        let rows = &sound(&[dying], &VISITS, TOLERANCE.relative, Width::Best)[0];
        let gone = rows.iter().position(|y| y[QR] + y[CR] == 0.0).unwrap();
        assert!(gone > 0 && rows[gone - 1][PR] > 0.0);
        assert!(rows[gone..].iter().all(|y| y[QR] == 0.0 && y[CR] == 0.0));
        assert!(rows[VISITS.len()][PR] < 1e-8);
    }

    #[test]
    fn without_visits_there_is_the_diagnosis_alone() {
        let rows = &sound(&[Patient::median()], &[], TOLERANCE.relative, Width::Best)[0];
        assert_eq!(rows[..], [diagnosis(&Patient::median())]);
    }
}
