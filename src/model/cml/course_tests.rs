use std::sync::OnceLock;

use super::super::drugs::Drug;
use super::super::equations::TOLERANCE;
use super::super::parameters::{Population, nominal};
use super::super::state::{DL, DR, H, M, PL, PR, X};
use super::*;
use crate::integrate::Cause;

const VISITS: [f64; 22] = [
    1.0, 2.0, 3.0, 6.0, 9.0, 12.0, 15.0, 18.0, 21.0, 24.0, 27.0, 30.0, 33.0, 36.0, 39.0, 42.0, 45.0, 48.0, 51.0, 54.0, 57.0, 60.0,
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
    population().expose(&mut exposure, Drug::Imatinib, 400.0, patient, 1.0);
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
    fn admit(&mut self, j: usize, state: &[f64; COUNT]) -> Exposure {
        self.out[j] = Ok(vec![*state]);
        (self.exposure)(&self.patients[j])
    }
    fn visit(&mut self, j: usize, _: usize, state: &[f64; COUNT]) -> Option<Exposure> {
        self.out[j].as_mut().unwrap().push(*state);
        None
    }
    fn lose(&mut self, j: usize, failure: Failure) {
        self.out[j] = Err(failure);
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
    Cohort { patients, keys: &keys, months, pauses: &[], few_cells, tolerance, width }.follow(&mut bedside);
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
        let loss = p.stem_loss * (1.0 + p.death_gain * (1.0 - survival)) + p.roaming_loss * (1.0 - a);
        let division = p.renewal * (1.0 + p.renewal_gain * renewing) * crowding;
        d[q] = moved;
        d[c] = (division - loss - kill) * y[c] - moved;
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
    assert!((rows[1][DL] / 1.74 - 1.0).abs() < 0.03, "{}", rows[1][DL]);
    assert!((rows[3][DL] / 1.87 - 1.0).abs() < 0.03, "{}", rows[3][DL]);
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

/// Followed to every visit in a go of its own, patients take the same course to the bit; seen to fail with the memory of the
/// step control forgotten between goes.
#[test]
fn a_course_in_many_goes_is_that_in_one() {
    let patients: Vec<Patient> = forty().0.iter().map(|p| Patient { mutation: 1e-3, ..*p }).collect();
    let keys: Vec<Key> = (0..patients.len() as u64).map(|j| Key::root(9).child(j)).collect();
    for few_cells in [FewCells::Fluid, FewCells::Counted] {
        let whole = under(imatinib, few_cells, &patients, &VISITS, TOLERANCE.relative, Width::Best);
        let tolerance = &Tolerance { attempts: 1e6, ..TOLERANCE };
        let cohort =
            Cohort { patients: &patients, keys: &keys, months: &VISITS, pauses: &[], few_cells, tolerance, width: Width::Best };
        let mut bedside = Constant { patients: &patients, exposure: imatinib, out: vec![Ok(Vec::new()); patients.len()] };
        let mut ward = Ward::admit(cohort, &mut bedside);
        for visits in 0..=VISITS.len() {
            ward.until(visits, &mut bedside);
            assert!(bedside.out.iter().all(|rows| rows.as_ref().unwrap().len() == visits + 1));
        }
        assert!(bedside.out == whole, "{few_cells:?}");
    }
}
