//! `nicho run`: from a job file to a posterior, and on to what is derived from it.

use std::path::{Path, PathBuf};

use tracing::info;

use super::progress::{Budget, Show};
use super::session::{Place, Session};
use super::stored::{print_result, report_folder};
use crate::error::{Error, Result};
use crate::exec::{self, Executor};
use crate::job::Job;
use crate::population::Run;
use crate::predict::{Of, noise_floor, posterior_draws, predict, prior_draws};
use crate::refine::refine;
use crate::sampler::{Problem, infer};
use crate::store::{Header, Store};

/// Flags of `nicho run`.
#[derive(Clone, Debug, Default)]
pub struct RunFlags {
    /// The job file.
    pub job: PathBuf,
    /// Result file; the job's own, or `<name>.h5`, if absent.
    pub output: Option<PathBuf>,
    /// Threads; all CPUs if 0.
    pub threads: usize,
    /// Go on with what is there.
    pub resume: bool,
    /// Replace what is there.
    pub overwrite: bool,
}

/// Pairs of replicate data sets that measure the noise floor of the distance.
const PAIRS: usize = 100;

/// Runs a job to its end and prints the result.
///
/// # Errors
/// Everything that [`Error`] lists.
pub fn run(flags: &RunFlags) -> Result<()> {
    let job = Job::load(&flags.job)?;
    let path = flags.output.clone().unwrap_or_else(|| job.output());
    let header = job.header()?;
    let executor = exec::open(flags.threads)?;
    let mut store = open_output(&path, &header, flags)?;
    let mut session = Session::new("run", Place::threads(executor.lanes()));
    if store.run().stopped.is_some() && complete(&store, &job) {
        line!("{} is finished already ({}); nothing to do", path.display(), describe(store.run()));
        let reported = report_folder(&path).join("report.html").exists();
        return print_result(&store, &job, !reported);
    }
    work(&job, &mut store, executor.as_ref(), &mut session)?;
    print_result(&store, &job, true)
}

/// Brings a stored run to its end: the inference, then whatever of the derived groups is missing.
///
/// # Errors
/// Those of the sampler, the store and the executor; [`Error::Interrupted`] after a signal.
pub fn work(job: &Job, store: &mut Store, exec: &dyn Executor, session: &mut Session) -> Result<()> {
    let problem = job.problem()?;
    let sampler = job.sampler();
    let budget = Budget {
        population: sampler.population,
        acceptance_rate: sampler.acceptance_rate,
        simulations: sampler.simulations,
        generations: sampler.generations,
    };
    let mut show = Show::new(session, budget);
    let interrupted = |store: &Store| Error::Interrupted { path: store.path().to_path_buf() };
    let begin =
        if store.run().generations.is_empty() { "starting".into() } else { format!("going on from {}", describe(store.run())) };
    info!(job = job.definition.name.get_ref(), seed = job.definition.seed, threads = exec.lanes(), "{begin}");
    let mut run = store.run().clone();
    let mut save = |run: &Run| -> Result<()> {
        store.provenance(&session.record())?;
        match (run.stopped, run.last()) {
            (Some(reason), _) => store.finish(reason, run.spent),
            (None, Some(last)) => store.append(last.clone()),
            (None, None) => Ok(()),
        }
    };
    if !infer(&sampler, &problem, &mut run, exec, &mut show, &mut save)? {
        return Err(interrupted(store));
    }
    let derived = derive(job, &problem, store, exec, &mut show)?;
    drop(show);
    if !derived {
        return Err(interrupted(store));
    }
    store.provenance(&session.record())
}

/// Makes the derived groups that are missing; `false` if a signal broke it off.
fn derive(job: &Job, problem: &Problem, store: &mut Store, exec: &dyn Executor, show: &mut Show<'_>) -> Result<bool> {
    let draws = *job.definition.output.draws.get_ref();
    let forecast = job.forecast_model()?;
    let model = forecast.as_ref().unwrap_or(&problem.model).as_ref();
    let Some(last) = store.run().last().cloned() else { return Ok(true) };
    if store.prior().is_none() {
        let of = prior_draws(problem, draws);
        let idle = &mut |done| show.work("prior predictive", done, draws as u64);
        let Some(prior) = predict(problem, model, of, Of::Prior, exec, idle)? else { return Ok(false) };
        store.put_prior(&prior)?;
    }
    if store.posterior().is_none() {
        let of = posterior_draws(problem, &last, draws);
        let idle = &mut |done| show.work("posterior predictive", done, draws as u64);
        let Some(posterior) = predict(problem, model, of, Of::Posterior, exec, idle)? else { return Ok(false) };
        store.put_posterior(&posterior)?;
    }
    if store.noise_floor().is_none() {
        let of = posterior_draws(problem, &last, draws);
        let idle = &mut |done| show.work("noise floor of the distance", done, PAIRS as u64);
        let Some(floor) = noise_floor(problem, &of, PAIRS, exec, idle)? else { return Ok(false) };
        store.put_noise_floor(&floor)?;
    }
    if store.modes().is_none() && job.refine().modes > 0 {
        let budget = job.refine().simulations * job.refine().modes as u64;
        let show = std::cell::RefCell::new(show);
        let idle = |done| show.borrow_mut().work("posterior modes", done, budget);
        let Some(modes) = refine(job.refine(), problem, store.run(), exec, &idle)? else { return Ok(false) };
        store.put_modes(&modes)?;
    }
    Ok(true)
}

fn complete(store: &Store, job: &Job) -> bool {
    let refined = store.modes().is_some() || job.refine().modes == 0;
    store.prior().is_some() && store.posterior().is_some() && store.noise_floor().is_some() && refined
}

/// A run in a few words.
pub fn describe(run: &Run) -> String {
    let generations = run.generations.len();
    match (run.stopped, generations) {
        (_, 0) => "no generation yet".into(),
        (None, n) => format!("{n} generations, {} simulations so far", run.simulated()),
        (Some(stop), n) => {
            let reason = serde_json::to_string(&stop).unwrap_or_default().replace(['"', '_'], " ");
            format!("{n} generations, {} simulations, stopped by {}", run.simulated(), reason.trim())
        }
    }
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
            let problem = format!("a file is there that cannot be used: {error}");
            return Err(Error::Output {
                path: path.into(),
                problem,
                fix: "give another path with -o, or move the file away".into(),
            });
        }
    };
    let changed = differences(there.header(), header);
    if flags.overwrite {
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

/// What differs between the job in a file and this one, a line each.
fn differences(there: &Header, here: &Header) -> Vec<String> {
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
    let mut lines = Vec::new();
    compare("", &parse(&there.job_canonical), &parse(&here.job_canonical), &mut lines);
    if there.observations_sha256 != here.observations_sha256 {
        lines.push("    observations: the content of the table differs".into());
    }
    lines
}

fn compare(key: &str, a: &serde_json::Value, b: &serde_json::Value, lines: &mut Vec<String>) {
    if let (Some(x), Some(y)) = (a.as_object(), b.as_object()) {
        let keys: std::collections::BTreeSet<&String> = x.keys().chain(y.keys()).collect();
        for name in keys {
            let dotted = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            compare(&dotted, &a[name], &b[name], lines);
        }
    } else if a != b {
        lines.push(format!("    {key}: {a} there, {b} here"));
    }
}
