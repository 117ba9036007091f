//! Verbs that begin with a result file: `digest`, `refine`, `report`, `reproduce`.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::predict::{arms, patients};
use super::progress::{Budget, Show};
use super::run::{JOB_FILE, scaled_problem, work};
use super::say::document;
use super::session::Session;
use super::shared::{Shared, agree, on_ranks, open_to_change};
use crate::density::Marginal;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::job::definition::Source;
use crate::job::scenario::Scenario;
use crate::report::{self, Input};
use crate::store::{CALIBRATION, Store, check_folder};

/// The job inside a result file. An external program of it is looked for where the job file was, then beside the result, then in the
/// current folder.
pub fn embedded(store: &Store) -> Result<Job> {
    let header = store.header();
    let file = store.path().file_name().unwrap_or_default();
    let name = store.path().with_file_name(format!("job in {}", file.display()));
    let job = Job::embedded(&name, header.job_text.clone(), header.observations_text.clone())?;
    let folder = |file: &Path| file.parent().map(Path::to_path_buf);
    let was = store.sessions().iter().rev().find_map(|session| session[JOB_FILE].as_str().map(PathBuf::from));
    let mut folders: Vec<PathBuf> = Vec::new();
    for place in [was, std::path::absolute(store.path()).ok(), std::path::absolute("x").ok()].into_iter().flatten() {
        folders.extend(folder(&place).filter(|folder| !folders.contains(folder)));
    }
    Ok(job.with_program_in(folders))
}

/// Prints the digest of the inference, then one line for each derived group.
///
/// # Errors
/// Those of [`Store::open`].
pub fn digest(file: &Path) -> Result<()> {
    let store = Store::open(file)?;
    let reproducible = embedded(&store)?.is_reproducible();
    for (name, hex) in store.digests() {
        line!("{name} {hex}");
    }
    document(|| {
        let digest = |(name, hex): (String, String)| json!({ "group": name, "sha256": hex });
        json!({ "digests": store.digests().into_iter().map(digest).collect::<Vec<_>>(), "reproducible": reproducible })
    });
    if !reproducible {
        line!("not reproducible: a time limit can decide an outcome (model.program.on_timeout = \"reject\")");
    }
    Ok(())
}

/// Polishes the posterior modes again and stores them.
///
/// # Errors
/// Those of the store and of the refinement.
pub fn refine(file: &Path, threads: usize) -> Result<()> {
    on_ranks(threads, |exec| {
        let job = agree(exec, Store::open(file).and_then(|store| embedded(&store)))?;
        if !job.models().is_empty() {
            let problem = format!("{}: a mode is one of a model, and this run compares several", file.display());
            return Err(Error::Usage { problem, fix: "refine a run of the model that was found".into() });
        }
        let shared = Shared::open(exec, |journaled| open_to_change(journaled, file))?;
        let session = Session::new("refine", exec);
        let problem = scaled_problem(&job, exec, &session)?;
        let sampler = job.sampler();
        let settings = job.refine();
        let budget = Budget::of(sampler.population);
        let show = std::cell::RefCell::new(Show::new(&session, budget));
        let total = settings.most(problem.free.len());
        let idle = |done| show.borrow_mut().work("posterior modes", done, total);
        let Some(refined) = crate::refine::refine(settings, &problem, &shared.run, exec, &idle)? else {
            return Err(Error::Broken { path: file.into() });
        };
        drop(show);
        shared.change(|store| {
            store.record(&session.record());
            store.put_modes(&refined.modes, refined.profile.as_ref())
        })?;
        shared.at_file(|store| print_result(store, &job, false))
    })
}

/// Writes the report of a result file into `folder`, by default `<name>.report` beside it.
///
/// # Errors
/// Those of the store; [`Error::Io`] if the folder cannot be written.
pub fn report_of(file: &Path, folder: Option<&Path>) -> Result<()> {
    let store = Store::open(file)?;
    let job = embedded(&store)?;
    let folder = folder.map_or_else(|| report_folder(file), Path::to_path_buf);
    check_folder(&folder)?;
    let written = with_input(&store, &job, |input| report::write(input, &folder))?;
    written.iter().for_each(|path| line!("{}", path.display()));
    document(|| json!({ "files": written }));
    Ok(())
}

/// Runs the job inside a result file again, from the file alone, and compares the digests.
///
/// # Errors
/// [`Error::Different`] if a digest differs; those of the sampler and the store.
pub fn reproduce(file: &Path, threads: usize) -> Result<()> {
    on_ranks(threads, |exec| {
        // Every rank reads the file: the job in it is what they agree on.
        let mut original = None;
        let job = Store::open(file).and_then(|store| embedded(original.insert(store)));
        let (job, Some(original)) = (agree(exec, job)?, original) else { return Ok(()) };
        if original.run().stopped.is_none() {
            let problem = "the run in it is unfinished: there is nothing to compare with yet".into();
            return Err(Error::Output { path: file.into(), problem, fix: "finish it first: nicho run JOB --resume".into() });
        }
        let session = Session::new("reproduce", exec);
        let path = std::env::temp_dir().join(format!("nicho-reproduce-{}.h5", std::process::id()));
        let header = job.header()?;
        let mut shared = Shared::open(exec, |_| Store::create(&path, &header))?;
        let problem = scaled_problem(&job, exec, &session)?;
        let worked = work(&job, &problem, &mut shared, &session, true)
            .and_then(|()| predict_again(file, &original, &job, &shared, &session))
            .and(shared.settle());
        let _ = std::fs::remove_file(&path);
        // The file of the repetition is gone: what an interrupt leaves is the original.
        worked.map_err(|error| match error {
            Error::Interrupted { .. } => Error::Broken { path: file.into() },
            other => other,
        })?;
        shared.at_file(|again| compare(file, &original, again))
    })
}

/// Predicts the scenarios of the original from the repetition.
fn predict_again(file: &Path, original: &Store, job: &Job, shared: &Shared<'_>, session: &Session) -> Result<()> {
    let sampler = job.sampler();
    let budget = Budget::of(sampler.population);
    for stored in original.scenarios() {
        let name = PathBuf::from(format!("scenario {} in {}", stored.key(), file.display()));
        let scenario = Scenario::build(Source { file: name, text: stored.text.clone() }, patients(job)?)?;
        let draws = stored.particle.len();
        let mut show = Show::new(session, budget);
        let again = arms(job, &job.problem()?, &shared.run, &scenario, draws, &shared.exec, &mut show)?;
        drop(show);
        let Some(again) = again else { return Err(Error::Broken { path: file.into() }) };
        shared.change(|store| store.put_scenario(&again))?;
    }
    Ok(())
}

/// Prints which digests of a repetition are those of the original.
fn compare(file: &Path, original: &Store, again: &Store) -> Result<()> {
    let (mut differing, mut all) = (Vec::new(), Vec::new());
    let repeated = again.digests();
    for (name, hex) in original.digests() {
        if name == CALIBRATION {
            line!("{name} {hex} not repeated: nicho validate sbc does it");
            all.push(json!({ "group": name, "sha256": hex, "reproduced": null }));
            continue;
        }
        let same = repeated.iter().any(|(other, digest)| *other == name && *digest == hex);
        line!("{name} {hex} {}", if same { "reproduced" } else { "DIFFERS" });
        all.push(json!({ "group": name, "sha256": hex, "reproduced": same }));
        if !same {
            differing.push(name);
        }
    }
    document(|| json!({ "digests": all }));
    if differing.is_empty() { Ok(()) } else { Err(Error::Different { path: file.into(), groups: differing.join(", ") }) }
}

/// Where the report of a result file goes by default.
pub fn report_folder(file: &Path) -> PathBuf {
    file.with_extension("report")
}

/// What a report takes from the job of a run.
pub struct Basis {
    priors: Vec<Marginal>,
    models: Vec<(String, Vec<usize>)>,
}

impl Basis {
    /// That of a job.
    pub fn of(job: &Job) -> Result<Basis> {
        Ok(Basis { priors: job.priors(), models: job.compared()? })
    }

    /// With the run itself, all that a report is made of.
    pub fn input<'a>(&'a self, store: &'a Store, job: &'a Job) -> Input<'a> {
        let noise_floor = store.noise_floor().unwrap_or_default();
        Input { store, priors: &self.priors, noise_floor, models: &self.models, table: job.table.as_ref() }
    }
}

/// Calls `use_it` with what a report of this run is made of.
pub fn with_input<T>(store: &Store, job: &Job, use_it: impl FnOnce(&Input<'_>) -> Result<T>) -> Result<T> {
    use_it(&Basis::of(job)?.input(store, job))
}

/// Prints the tables of a finished run; with `write`, writes the report beside it and names the files.
///
/// # Errors
/// Those of the report.
pub fn print_result(store: &Store, job: &Job, write: bool) -> Result<()> {
    with_input(store, job, |input| {
        let folder = report_folder(store.path());
        // Before anything is printed: a reader that has gone ends the process.
        let written = if write { report::write(input, &folder)? } else { Vec::new() };
        let summary = report::Summary::of(input)?;
        text!("{}", report::tables(&summary));
        document(|| {
            let files: &[PathBuf] = &written;
            json!({ "result": store.path(), "files": files, "summary": summary })
        });
        if write {
            line!("\nResult  {}", store.path().display());
            line!("Report  {}", written.first().unwrap_or(&folder).display());
            line!("        {} files in {}", written.len(), folder.display());
        }
        Ok(())
    })
}
