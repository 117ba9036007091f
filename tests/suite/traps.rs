//! Mistakes that were found in other programs of this field. Each was planted in the sources, to see which test turns red: those that
//! stand elsewhere, and here the ones that were missing.
//!
//! - **T1, seeds that collide** (one of a million seeds for each batch or particle). Planted: the id of a trial hashed to a million
//!   words. [`no_two_trials_share_their_random_numbers`]: 19807 of 20000 proposals are distinct. Planted: no generation in the
//!   address. The same: 20000 of 80000 first numbers.
//! - **T2, bias at a bound** (a proposal drawn anew from the same ancestor, its weight that of any). Planted so.
//!   `exact_posteriors::a_coin_that_never_fell_on_tails_is_unbiased_at_the_bound`: z = −5.8;
//!   `weights_are_exact_at_the_bounds_of_uniform_and_loguniform_priors`: z = ±5.9, χ² 63 of at most 49.
//! - **T3, fast simulations preferred** (the first to finish are accepted). Planted: the sink is fed arrivals.
//!   `reproducible::threads_and_their_speed_do_not_matter`: another run; `slow_trials_are_not_at_a_disadvantage`: another run;
//!   [`each_id_is_computed_once_and_shown_once`]: id 348017 in the place of 282481.
//! - **T4, work sent twice** (a message inside the loop that fills it). Planted: each chunk is given out twice.
//!   [`each_id_is_computed_once_and_shown_once`]: 281281 of 300000 ids computed more than once. No other test saw it: results do not
//!   change. `schedule::every_id_once` holds for the policy.
//! - **T5, looking ahead** (trials begun before the end of a generation are used in the next; pyABC #568). Planted: acceptances
//!   beyond the end of a generation, from its proposal, are the first of the next. `reproducible::threads_and_their_speed_do_not_matter`
//!   and `slow_trials_are_not_at_a_disadvantage`: another run. Exact posteriors do not see it where trials cost the same.
//! - **T6, a resumed run that starts from less than it had** (pyABC #594, abcpy #78). Planted: the weights of the last generation are
//!   forgotten when a file is opened. [`a_run_goes_on_from_its_file_as_if_it_had_not_stopped`]: another run, cut after 2 of 9.
//!   Planted: its tolerance is measured again. The same: after 1 of 9.
//! - **T7, weights that change their meaning** (normalised over all, or for each model). Planted: scaled to a largest of 1.
//!   [`the_file_holds_weights_as_they_are_and_normalised`]: weights sum to 89.
//! - **T8, a benchmark that is another** (sbibm #54, sbi #1781). Planted in the tasks, seen by
//!   [`benchmark_tasks_have_the_published_law`]: a component for each coordinate (both near: 0.376, published 0.525), one for a
//!   thousand simulations (0.652, published 0.617), variance taken for standard deviation (variance 0.010).

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU32, Ordering};

use nicho::exec::threads::Threads;
use nicho::exec::{Executor, Outcome, Sink};
use nicho::job::Job;
use nicho::model::reference::{GaussianLinear, GaussianMixture};
use nicho::model::{Model, Parameter, Stages, Summary, Unsimulable};
use nicho::population::Run;
use nicho::rng::{Key, Purpose};
use nicho::sampler::smc::{Schedule, Smc};
use nicho::sampler::{Problem, infer};
use nicho::store::Store;

use crate::support::{self, Blind};

/// A job as it is shipped, with another population.
fn shipped(name: &str, population: usize) -> (Job, Smc) {
    let job = Job::load(&support::repository(name)).unwrap();
    let sampler = Smc { population, ..job.sampler() };
    (job, sampler)
}

/// Says the first random number of its trial.
struct Echo(Box<dyn Model>);

impl Model for Echo {
    fn parameters(&self) -> &[Parameter] {
        self.0.parameters()
    }
    fn summaries(&self) -> &[Summary] {
        self.0.summaries()
    }
    fn simulate(&self, _: &[f64], key: Key, out: &mut dyn Stages) -> Result<(), Unsimulable> {
        let first = [key.stream(Purpose::Simulate).uniform()];
        let _ = out.stage(1.0, &first, &first);
        Ok(())
    }
}

/// T1. Null: the first numbers of 80 000 trials in four generations are distinct, and so are their proposals; of 52 bits each, so
/// that a pair is equal by chance with probability 7e-7.
#[test]
fn no_two_trials_share_their_random_numbers() {
    let (job, sampler) = shipped("jobs/normal.toml", 20_000);
    // Every number is within 2 of 1.2: generations differ in their address alone.
    let tolerances = vec![4.0, 3.0, 2.0];
    let sampler = Smc { schedule: Schedule::List(tolerances), tolerance: 2.0, ..sampler };
    let problem = job.problem().unwrap();
    let problem = Problem { model: Box::new(Echo(problem.model)), ..problem };
    let run = support::run(&sampler, &problem, &Threads::new(2));
    let mut echoes = HashSet::new();
    for generation in &run.generations {
        echoes.extend(generation.summaries.iter().map(|x| x.to_bits()));
        let proposals: HashSet<u64> = generation.theta.iter().map(|x| x.to_bits()).collect();
        // Proposals are rounded to 53 bits after a sum: a few may meet.
        assert!(proposals.len() >= 20_000 - 3, "{} of 20000 proposals are distinct", proposals.len());
    }
    assert_eq!((run.generations.len(), echoes.len()), (4, 80_000), "distinct first numbers of trials");
}

/// T4. Ids of a stream whose chunks grow: each is computed once and shown once, in order.
#[test]
fn each_id_is_computed_once_and_shown_once() {
    const COUNT: u64 = 300_000;
    struct Shown(u64);
    impl Sink for Shown {
        fn next(&mut self, id: u64, _: Outcome, row: &[f64]) -> ControlFlow<()> {
            assert_eq!((id, row[0]), (self.0, id as f64));
            self.0 += 1;
            if self.0 == COUNT { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    for workers in [1, 2, 5] {
        let computed: Vec<AtomicU32> = (0..2 * COUNT).map(|_| AtomicU32::new(0)).collect();
        let task = |id: u64, row: &mut [f64]| {
            if let Some(count) = computed.get(id as usize) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            row[0] = id as f64;
            Outcome::Kept
        };
        let mut sink = Shown(0);
        Threads::new(workers).stream(0, 1, &task, &mut sink).unwrap();
        let times: Vec<u32> = computed.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let twice = times.iter().filter(|times| **times > 1).count();
        assert!(times[..COUNT as usize].iter().all(|times| *times > 0));
        assert_eq!((sink.0, twice), (COUNT, 0), "{workers} workers: ids shown, ids computed more than once");
    }
}

/// T6. A run that stops after any of its generations, is read from its file and goes on, on another number of threads, is the run
/// that never stopped: tolerance, weights and kernel follow from what is stored.
#[test]
fn a_run_goes_on_from_its_file_as_if_it_had_not_stopped() {
    let (job, sampler) = shipped("jobs/normal.toml", 200);
    let problem = job.problem().unwrap();
    let whole = support::run(&sampler, &problem, &Threads::new(2));
    assert!(whole.generations.len() > 4);
    let folder = tempfile::tempdir().unwrap();
    for cut in 1..whole.generations.len() {
        let path = folder.path().join(format!("{cut}.h5"));
        let mut store = Store::create(&path, &job.header().unwrap()).unwrap();
        for generation in &whole.generations[..cut] {
            store.append(generation.clone()).unwrap();
        }
        drop(store);
        let mut run: Run = Store::open(&path).unwrap().run().clone();
        assert!(infer(&sampler, &problem, &mut run, &Threads::new(1), &mut Blind, &mut |_| Ok(())).unwrap());
        assert!(run == whole, "cut after {cut} of {} generations: another run", whole.generations.len());
    }
}

/// T7. A job has one model, so that its weights have one normalisation. The file holds them as they are, `ln_weight`, and so that they
/// sum to 1, `weight`: to be told apart by whoever compares models, each of which has its own sum.
#[test]
fn the_file_holds_weights_as_they_are_and_normalised() {
    let (job, sampler) = shipped("jobs/normal.toml", 200);
    let run = support::run(&sampler, &job.problem().unwrap(), &Threads::new(2));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("normal.h5");
    let mut store = Store::create(&path, &job.header().unwrap()).unwrap();
    run.generations.iter().for_each(|generation| store.append(generation.clone()).unwrap());
    let file = hdf5::File::open(&path).unwrap();
    let read = |name: &str| file.dataset(name).unwrap().read_raw::<f64>().unwrap();
    let (weight, ln_weight) = (read("population/weight"), read("population/ln_weight"));
    assert_eq!(ln_weight, run.last().unwrap().ln_weight);
    assert!((weight.iter().sum::<f64>() - 1.0).abs() < 1e-12, "weights sum to {}", weight.iter().sum::<f64>());
    let ratio = |i: usize| weight[i] / ln_weight[i].exp();
    assert!((0..weight.len()).all(|i| (ratio(i) / ratio(0) - 1.0).abs() < 1e-12));
}

/// T8. The tasks that methods are compared on have the law that was published (Lueckmann et al. 2021, AISTATS, PMLR 130:343,
/// appendix T). Nulls over n = 40 000 simulations at 0, each within 5 standard errors (false alarm 6e-7): the variance of a mean of
/// `gaussian_linear` is 0.1; in `gaussian_mixture` half of the points are narrow, each anew, and both of their coordinates are.
#[test]
fn benchmark_tasks_have_the_published_law() {
    const N: u64 = 40_000;
    let simulate = |model: &dyn Model, id: u64| {
        let mut out = vec![0.0; model.summaries().len()];
        nicho::sampler::simulate(model, &vec![0.0; model.parameters().len()], Key::root(8).child(id), &mut out).unwrap();
        out
    };
    let share = |of: &dyn Fn(u64) -> f64| (0..N).map(of).sum::<f64>() / N as f64;
    let linear = GaussianLinear::default();
    let variance = share(&|id| simulate(&linear, id)[3].powi(2));
    assert!((variance - 0.1).abs() < 5.0 * 0.1 * (2.0 / N as f64).sqrt(), "variance {variance}");
    let mixture = GaussianMixture::default();
    let normal = |x: f64| 1.0 - libm::erfc(x / std::f64::consts::SQRT_2);
    let (narrow, wide) = (normal(3.0), normal(0.3));
    let near = |id: u64, k: usize| simulate(&mixture, id)[k].abs() < 0.3;
    for (what, of, exact) in [
        ("one", &(|id| f64::from(near(id, 0))) as &dyn Fn(u64) -> f64, 0.5 * (narrow + wide)),
        ("both", &|id| f64::from(near(id, 0) && near(id, 1)), 0.5 * (narrow * narrow + wide * wide)),
        // Of two points one after the other: their components are independent.
        ("pair", &|id| f64::from(near(2 * id, 0) && near(2 * id + 1, 0)), 0.25 * (narrow + wide).powi(2)),
    ] {
        let found = share(of);
        assert!((found - exact).abs() < 5.0 * (exact * (1.0 - exact) / N as f64).sqrt(), "{what}: {found}, published {exact}");
    }
}
