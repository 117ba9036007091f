//! Cost of integrating patients: one patient, and trial-sized cohorts to 60 and 120 months, at every width of this CPU; and
//! of a whole virtual trial of the main job: drawing, integrating and observing 553 patients, and estimating its rows.

#![allow(clippy::expect_used, missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use nicho::integrate::Width;
use nicho::job::Job;
use nicho::model::cml::course::follow;
use nicho::model::cml::parameters::{Population, defaults};
use nicho::model::cml::patient::Patient;
use nicho::model::cml::state::DL;
use nicho::rng::Key;

/// Patients of the IRIS imatinib arm (O'Brien et al. 2003, N Engl J Med 348:994).
const COHORT: u64 = 553;

/// Patients drawn from the parameter table's defaults.
fn cohort() -> Vec<Patient> {
    let population = Population::new(&defaults()).expect("the table's defaults are legal");
    (0..COHORT).map(|j| population.patient(Key::root(1).child(j))).collect()
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

fn trial(c: &mut Criterion) {
    let problem = Job::load("jobs/iris.toml".as_ref()).and_then(|job| job.problem()).expect("the main job is sound");
    let theta: Vec<f64> = problem.prior.0.iter().map(|marginal| marginal.centre()).collect();
    let mut rows = vec![0.0; problem.model.summaries().len()];
    let mut replicate = 0;
    c.bench_function("trial of jobs/iris.toml", |b| {
        b.iter(|| {
            replicate += 1;
            problem.simulate(&theta, Key::root(replicate), &mut rows)
        });
    });
}

criterion_group!(benches, patients, trial);
criterion_main!(benches);
