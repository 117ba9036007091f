//! Cost of integrating patients: one patient, and trial-sized cohorts to 60 and 120 months, at every width of this CPU.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use nicho::integrate::Width;
use nicho::model::cml::course::follow;
use nicho::model::cml::patient::Patient;
use nicho::model::cml::state::DL;
use nicho::rng::{Key, Purpose};

/// Patients of the IRIS imatinib arm (O'Brien et al. 2003, N Engl J Med 348:994).
const COHORT: u64 = 553;

/// Patients about as diverse as those of a trial.
fn cohort() -> Vec<Patient> {
    let median = Patient::median();
    let draw = |i| {
        let mut rng = Key::root(1).child(i).stream(Purpose::Patient);
        let mut spread = |sd: f64| libm::exp(sd * rng.normal());
        Patient {
            concentration: median.concentration * spread(0.31),
            uptake_mature: spread(0.9),
            uptake_stem: median.uptake_stem * spread(0.21),
            bypass: if i % 6 == 0 { (0.49 * spread(0.61)).min(0.9) } else { 0.0 },
            death_gain: median.death_gain * spread(0.67),
            release: median.release * spread(0.65),
            progenitor_growth: median.progenitor_growth * spread(0.19),
            progenitor_loss: median.progenitor_loss * spread(0.32),
            amplification: median.amplification * spread(0.92),
            effector_stimulus: (median.effector_stimulus * spread(2.0)).min(0.8),
            effector_window: median.effector_window * spread(0.45),
            mutant_cells: if i % 7 == 0 { 6.0 * spread(1.5) } else { 0.0 },
            mutant_fold: (14.0 * spread(1.0)).max(2.0),
            ..median
        }
    };
    (0..COHORT).map(draw).collect()
}

/// Months 1 and 2, then every third.
fn visits(last: u32) -> Vec<f64> {
    [1, 2].into_iter().chain((3..=last).step_by(3)).map(f64::from).collect()
}

fn burden(patients: &[Patient], months: &[f64], width: Width) -> f64 {
    let mut sum = 0.0;
    follow(patients, months, width, &mut |_, rows| {
        if let Ok(rows) = rows {
            sum += rows.iter().map(|y| y[DL]).sum::<f64>();
        }
    });
    sum
}

fn patients(c: &mut Criterion) {
    let cohort = cohort();
    let median = [Patient::median()];
    for (name, patients, last) in
        [("median patient, 60 months", &median[..], 60), ("cohort, 60 months", &cohort, 60), ("cohort, 120 months", &cohort, 120)]
    {
        let months = visits(last);
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(patients.len() as u64));
        for width in Width::available() {
            group.bench_function(BenchmarkId::from_parameter(format!("{width:?}")), |b| {
                b.iter(|| burden(patients, &months, width));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, patients);
criterion_main!(benches);
