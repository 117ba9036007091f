//! Cost of integrating patients: one patient, and trial-sized cohorts to 60 and 96 months, at every width of this CPU, with few
//! stem cells followed by the equations or counted; and
//! of a whole virtual trial of the main job: drawing, integrating and observing 553 patients, and estimating its rows.

#![allow(clippy::expect_used, missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use nicho::integrate::Failure;
use nicho::integrate::Width;
use nicho::job::Job;
use nicho::model::cml::course::{Bedside, Cohort, FewCells};
use nicho::model::cml::drugs::{Drug, Exposure};
use nicho::model::cml::equations::TOLERANCE;
use nicho::model::cml::parameters::{Population, defaults};
use nicho::model::cml::patient::Patient;
use nicho::model::cml::state::{COUNT, DL};
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

/// Imatinib 400 mg a day, and a sum over the states.
struct Constant<'a> {
    population: Population,
    patients: &'a [Patient],
    sum: f64,
}

impl Bedside for Constant<'_> {
    fn admit(&mut self, j: usize, _: &[f64; COUNT]) -> Exposure {
        let mut exposure = Exposure::default();
        self.population.expose(&mut exposure, Drug::Imatinib, 400.0, &self.patients[j], 1.0);
        exposure
    }
    fn visit(&mut self, _: usize, _: usize, state: &[f64; COUNT]) -> Option<Exposure> {
        self.sum += state[DL];
        None
    }
    fn lose(&mut self, _: usize, _: Failure) {}
}

fn burden(patients: &[Patient], months: &[f64], few_cells: FewCells, width: Width) -> f64 {
    let population = Population::new(&defaults()).expect("the table's defaults are legal");
    let keys: Vec<Key> = (0..patients.len() as u64).map(|j| Key::root(2).child(j)).collect();
    let mut bedside = Constant { population, patients, sum: 0.0 };
    Cohort { patients, keys: &keys, months, pauses: &[], few_cells, tolerance: &TOLERANCE, width }.follow(&mut bedside);
    bedside.sum
}

fn patients(c: &mut Criterion) {
    let cohort = cohort();
    let median = [Patient::median(&Population::new(&defaults()).expect("the table's defaults are legal"))];
    for (name, patients, last) in
        [("median patient, 60 months", &median[..], 60), ("cohort, 60 months", &cohort, 60), ("cohort, 96 months", &cohort, 96)]
    {
        let months = visits(last);
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(patients.len() as u64));
        for width in Width::available() {
            for few_cells in [FewCells::Fluid, FewCells::Counted] {
                group.bench_function(BenchmarkId::from_parameter(format!("{few_cells:?} {width:?}")), |b| {
                    b.iter(|| burden(patients, &months, few_cells, width));
                });
            }
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
