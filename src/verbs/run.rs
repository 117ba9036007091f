//! `nicho run`: from a job file to a posterior, and on to what is derived from it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tracing::{info, warn};

use super::check::{bytes, memory};
use super::describe::{describe, differences};
use super::heartbeat;
use super::progress::{Budget, Show};
use super::session::{Session, leave};
use super::shared::{Have, Shared, agree, on_ranks};
use super::stored::{print_result, report_folder};
use crate::error::{Error, Result};
use crate::exec::{Executor, Place};
use crate::job::Job;
use crate::population::{Predictive, Run};
use crate::predict::{Of, noise_floor, noise_key, posterior_draws, predict, prior_draws};
use crate::refine::refine;
use crate::rng::Purpose;
use crate::sampler::accept::Accept;
use crate::sampler::smc::Smc;
use crate::sampler::{Problem, infer};
use crate::store::{Header, Store, check_file, check_folder};

/// Flags of `nicho run`.
#[derive(Clone, Debug, Default)]
pub struct RunFlags {
    /// The job file.
    pub job: PathBuf,
    /// Result file; the job's own, or `<name>.h5`, if absent.
    pub output: Option<PathBuf>,
    /// Another seed than the job's.
    pub seed: Option<u64>,
    /// Threads of each rank; all CPUs if 0.
    pub threads: usize,
    /// Go on with what is there.
    pub resume: bool,
    /// Replace what is there.
    pub overwrite: bool,
    /// Let every simulation run to its end.
    pub no_early_rejection: bool,
}

/// Pairs of replicate data sets that measure the noise floor of the distance.
const PAIRS: usize = 100;

/// The key of a session's record that says where the job file was.
pub const JOB_FILE: &str = "job_file";

/// The record of a session of a job.
fn record(session: &Session, job: &Job) -> Value {
    let mut record = session.record();
    record[JOB_FILE] = std::path::absolute(&job.source.file).unwrap_or_default().display().to_string().into();
    record
}

/// Runs a job to its end and prints the result.
///
/// # Errors
/// Everything that [`Error`] lists.
pub fn run(flags: &RunFlags) -> Result<()> {
    on_ranks(flags.threads, |exec| run_on(exec, flags))
}

fn run_on(exec: &dyn Executor, flags: &RunFlags) -> Result<()> {
    let job = Job::load(&flags.job).and_then(|job| match flags.seed {
        Some(seed) => job.with_seed(seed),
        None => Ok(job),
    });
    let job = agree(exec, job)?;
    let path = flags.output.clone().unwrap_or_else(|| job.output());
    let header = job.header()?;
    let session = Session::new("run", exec);
    let mut shared = Shared::open(exec, |journaled| {
        if report_folder(&path) == path {
            let fix = format!("name it with another ending, as in -o {}", path.with_extension("h5").display());
            return Err(Error::Output {
                path: path.clone(),
                problem: "its report would go into a folder of that name".into(),
                fix,
            });
        }
        journaled.hold(&path)?;
        let mut store = open_output(&path, &header, flags)?;
        if complete(&store, &job) {
            journaled.settle(&store)?;
            heartbeat::clear(&heartbeat::path_of(&path));
        } else {
            check_file(&path)?;
            check_report(&path)?;
            journaled.open(&store, flags.resume)?;
            store.record(&record(&session, &job));
        }
        Ok(store)
    })?;
    shared.exec.may_leave(leave);
    let Shared { run, have, .. } = &shared;
    if run.stopped.is_some() && have.all(&job) {
        line!("{} is finished already ({}); nothing to do", path.display(), describe(run));
        let reported = report_folder(&path).join("report.html").exists();
        return shared.at_file(|store| print_result(store, &job, !reported));
    }
    session.live(&path, &flags.job);
    let problem = scaled_problem(&job, exec, &session)?;
    work(&job, &problem, &mut shared, &session, !flags.no_early_rejection)?;
    shared.at_file(|store| {
        shared.exec.remove()?;
        session.finish();
        print_result(store, &job, true)
    })
}

/// The inference problem of a job, after the pilot that its distance may need. That runs past the journal, whose streams count
/// from a stored state, and is made again by whoever goes on: it is a function of job and seed.
///
/// # Errors
/// Those of [`Job::problem_on`].
pub fn scaled_problem(job: &Job, exec: &dyn Executor, session: &Session) -> Result<Problem> {
    let Some(count) = job.pilot() else { return job.problem() };
    let mut show = Show::new(session, Budget::of(count));
    job.problem_on(exec, &mut |done| show.work("pilot of the distance", done, count as u64))
}

/// Brings a stored run to its end: the inference, with or without early rejection, then whatever of the derived groups is
/// missing.
///
/// # Errors
/// Those of the sampler, the store and the executor; [`Error::Interrupted`] after a signal.
pub fn work(job: &Job, problem: &Problem, shared: &mut Shared<'_>, session: &Session, early_rejection: bool) -> Result<()> {
    let sampler = Smc { early_rejection, ..job.sampler() };
    let budget = Budget {
        population: sampler.population,
        accept: sampler.accept,
        acceptance_rate: sampler.acceptance_rate,
        simulations: sampler.simulations,
        generations: sampler.generations,
    };
    let mut show = Show::new(session, budget);
    let begin =
        if shared.run.generations.is_empty() { "starting".into() } else { format!("going on from {}", describe(&shared.run)) };
    let place = shared.exec.place();
    info!(
        job = job.definition.name.get_ref(),
        seed = job.definition.seed.get_ref(),
        ranks = place.ranks,
        threads = shared.exec.lanes(),
        "{begin}"
    );
    if let Some(parts) = problem.distance.learnt() {
        let names =
            || problem.model.summaries().iter().zip(&parts.outlying).filter(|(_, out)| **out).map(|(s, _)| s.name.as_str());
        if names().next().is_some() {
            warn!("observed far outside what the model gives, and counted for less: {}", names().collect::<Vec<_>>().join(", "));
        }
        if !shared.have.distance {
            shared.change(|store| store.put_distance(parts))?;
        }
    }
    check_memory(&sampler, problem, &place);
    let done = infer_and_derive(job, problem, &sampler, shared, session, &mut show)?;
    drop(show);
    if !done {
        // The signal may have come to another rank.
        session.interrupted();
        shared.note(&record(session, job))?;
        return Err(Error::Interrupted { path: shared.path() });
    }
    shared.change(|store| {
        store.record(&record(session, job));
        store.write()
    })
}

/// Warns where Slurm has given this node less memory than its ranks will need.
fn check_memory(sampler: &Smc, problem: &Problem, place: &Place) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let Some(given) = number("SLURM_MEM_PER_NODE").filter(|megabytes| *megabytes > 0) else { return };
    let (file, others) = memory(sampler, problem.free.len(), problem.model.summaries().len());
    let beside = place.hosts.iter().filter(|host| Some(*host) == place.hosts.first()).count().max(1) as u64;
    let needed = file + others * (beside - 1);
    if needed > given << 20 {
        warn!(
            "Slurm gives this node {}; its {beside} rank(s) may need {}: ask for more by --mem",
            bytes(given << 20),
            bytes(needed)
        );
    }
}

/// `false` if a signal broke it off.
fn infer_and_derive(
    job: &Job,
    problem: &Problem,
    sampler: &Smc,
    shared: &mut Shared<'_>,
    session: &Session,
    show: &mut Show<'_>,
) -> Result<bool> {
    let mut run = std::mem::take(&mut shared.run);
    let save = &mut |run: &Run| match run.stopped {
        None => shared.append(run, &record(session, job)),
        Some(reason) => shared.change(|store| {
            store.record(&record(session, job));
            store.finish(reason, run.spent)
        }),
    };
    let ended = infer(sampler, problem, &mut run, &shared.exec, show, save);
    shared.run = run;
    if !ended? { Ok(false) } else { derive(job, problem, sampler, shared, show) }
}

/// Makes the derived groups that are missing; `false` if a signal broke it off.
fn derive(job: &Job, problem: &Problem, sampler: &Smc, shared: &Shared<'_>, show: &mut Show<'_>) -> Result<bool> {
    let draws = *job.definition.output.draws.get_ref();
    let forecast = job.forecast_model()?;
    let model = forecast.as_ref().unwrap_or(&problem.model).as_ref();
    let (exec, have) = (&shared.exec, shared.have);
    let Some(last) = shared.run.last() else { return Ok(true) };
    if !have.prior {
        let of = prior_draws(problem, draws);
        let idle = &mut |done| show.work("prior predictive", done, draws as u64);
        let Some(mut prior) = predict(problem, model, of, Of::Prior, exec, idle)? else { return Ok(false) };
        add_noise(job, problem, Of::Prior, &mut prior);
        shared.change(|store| store.put_prior(&prior))?;
    }
    if !have.posterior {
        let of = posterior_draws(problem, last, draws);
        let idle = &mut |done| show.work("posterior predictive", done, draws as u64);
        let Some(mut posterior) = predict(problem, model, of, Of::Posterior, exec, idle)? else { return Ok(false) };
        add_noise(job, problem, Of::Posterior, &mut posterior);
        shared.change(|store| store.put_posterior(&posterior))?;
    }
    // Where noise decides there is no tolerance to compare with it.
    if !have.noise_floor && job.accept() == Accept::Tolerance {
        let of = posterior_draws(problem, last, draws);
        let idle = &mut |done| show.work("noise floor of the distance", done, PAIRS as u64);
        let Some(floor) = noise_floor(problem, &of, PAIRS, exec, idle)? else { return Ok(false) };
        shared.change(|store| store.put_noise_floor(&floor))?;
    }
    if let Some((method, draws)) = job.adjust().filter(|_| !have.adjusted) {
        // One thread does it, on the rank that has every generation.
        let idle = &mut |_| show.work("adjusted posterior", 0, 0);
        shared.change(|store| match method.adjust(problem, sampler, store.run(), draws, idle)? {
            Some(adjusted) => store.put_adjusted(&adjusted),
            None => Err(Error::Interrupted { path: store.path().into() }),
        })?;
    }
    if !have.modes && job.refine().modes > 0 {
        let budget = job.refine().most(problem.free.len());
        let show = std::cell::RefCell::new(show);
        let idle = |done| show.borrow_mut().work("posterior modes", done, budget);
        let Some(refined) = refine(job.refine(), problem, &shared.run, exec, &idle)? else { return Ok(false) };
        shared.change(|store| store.put_modes(&refined.modes, refined.profile.as_ref()))?;
    }
    Ok(true)
}

/// Where the noise of the data decides, a prediction is of data: what is simulated, with noise. That of rows that were not fitted is
/// normal, by their own standard errors.
fn add_noise(job: &Job, problem: &Problem, of: Of, predictive: &mut Predictive) {
    if job.accept() == Accept::Tolerance {
        return;
    }
    let fitted = problem.model.summaries().len();
    let rows = job.predicted_rows();
    for (i, mut values) in predictive.values.rows_mut().into_iter().enumerate() {
        let mut rng = noise_key(problem, of, i as u64).stream(Purpose::Accept);
        let simulated: Vec<f64> = values.iter().take(fitted).copied().collect();
        let noisy = problem.distance.noisy(&simulated, &mut rng).unwrap_or(vec![f64::NAN; fitted]);
        values.iter_mut().zip(noisy).for_each(|(value, noisy)| *value = noisy);
        for (value, row) in values.iter_mut().zip(&rows).skip(fitted) {
            *value += row.variance().map_or(0.0, f64::sqrt) * rng.normal();
        }
    }
}

fn complete(store: &Store, job: &Job) -> bool {
    Have::of(store).all(job)
}

/// Makes sure that the report of a run can be written, which comes last.
fn check_report(path: &Path) -> Result<()> {
    let folder = report_folder(path);
    if folder.exists() && !folder.is_dir() {
        let (problem, fix) = (
            "is a file, and the report of this run goes into a folder of that name",
            "move it away, or name another result with -o",
        );
        return Err(Error::Output { path: folder, problem: problem.into(), fix: fix.into() });
    }
    check_folder(&folder)
}

/// Decides what becomes of a file that is already at the output path.
fn open_output(path: &Path, header: &Header, flags: &RunFlags) -> Result<Store> {
    if !path.exists() {
        if flags.resume {
            info!("nothing to resume at {}; starting afresh", path.display());
        }
        return Store::create(path, header);
    }
    if path.is_dir() {
        let fix = format!("name a file, as in -o {}", path.join("run.h5").display());
        return Err(Error::Output { path: path.into(), problem: "is a folder".into(), fix });
    }
    let there = match Store::open(path) {
        Ok(store) => store,
        Err(error) => {
            // Its own fix is not that of who writes.
            let why = match &error {
                Error::Store { problem, .. } => problem.clone(),
                other => other.to_string(),
            };
            let problem = format!("a file is there that cannot be used: {why}");
            return Err(Error::Output {
                path: path.into(),
                problem,
                fix: "give another path with -o, or move the file away".into(),
            });
        }
    };
    let mut changed = differences(&there.header().job_canonical, &header.job_canonical);
    if there.header().observations_sha256 != header.observations_sha256 {
        changed.push("    observations: the content of the table differs".into());
    }
    if flags.overwrite {
        check_file(path)?;
        return Store::create(path, header);
    }
    if !changed.is_empty() {
        return Err(Error::Output {
            path: path.into(),
            problem: format!("holds a run of another job:\n{}", changed.join("\n")),
            fix: "give another path with -o, or --overwrite to replace it".into(),
        });
    }
    if flags.resume {
        return Ok(there);
    }
    let state = if there.run().stopped.is_some() { "a finished run" } else { "an unfinished run" };
    Err(Error::Output {
        path: path.into(),
        problem: format!("holds {state} of this job ({})", describe(there.run())),
        fix: "add --resume to go on with it, --overwrite to replace it, or -o to write elsewhere".into(),
    })
}
