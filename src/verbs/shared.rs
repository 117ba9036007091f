//! A run as every rank sees it: rank 0 has the file, the others what they need to take part.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use super::describe::differences;
use crate::error::{Error, Result, complain};
use crate::exec::{self, Executor};
use crate::job::Job;
use crate::population::Run;
use crate::sampler::accept::Accept;
use crate::store::journal::{Journaled, Promotion};
use crate::store::{Store, check_file, check_folder};

/// Runs a verb on the executor that flags and launcher ask for; all ranks end together.
///
/// # Errors
/// Those of the verb, and of [`exec::open`].
pub fn on_ranks(threads: usize, verb: impl FnOnce(&dyn Executor) -> Result<()>) -> Result<()> {
    let exec = exec::open(threads)?;
    let result = exec::heed(|| verb(exec.as_ref()));
    // Before the ranks wait for each other, so that whatever comes then, it was said.
    let alone = exec.place().ranks == 1;
    let said = result.map_err(|error| if alone || exec::rank() > 0 { error } else { say(&error) });
    exec.close(said)
}

/// Makes sure, before the work, that its results can be written into a folder, if one is named.
///
/// # Errors
/// Those of [`check_folder`], on every rank.
pub fn prepare(exec: &dyn Executor, folder: Option<&Path>) -> Result<()> {
    exec.once(&mut || folder.map_or(Ok(()), check_folder).map(|()| Vec::new())).map(drop)
}

/// Opens a result file that is to be changed: not one that a run under way would write over, nor one that is read-only.
///
/// # Errors
/// Those of [`Journaled::hold`], [`check_file`] and [`Store::open`].
pub fn open_to_change(journaled: &Journaled<'_>, file: &Path) -> Result<Store> {
    journaled.hold(file)?;
    check_file(file)?;
    Store::open(file)
}

fn say(error: &Error) -> Error {
    complain(error);
    Error::Elsewhere { code: error.exit_code() }
}

/// The job that this rank has read, once it is sure that every rank has read the same.
///
/// # Errors
/// What this rank's reading came to; [`Error::Rank`] where another rank's came to something else.
pub fn agree(exec: &dyn Executor, job: Result<Job>) -> Result<Job> {
    let words = |job: &Job| {
        let observations = job.table.as_ref().map(|table| table.sha256()).unwrap_or_default();
        format!("{}\n{observations}", job.canonical())
    };
    agree_by(exec, job, words, another_job)
}

/// What this rank has read, once it is sure that every rank has read what has the same text.
///
/// # Errors
/// Those of [`agree`].
pub fn agree_on<T>(exec: &dyn Executor, read: Result<T>, text: impl Fn(&T) -> String) -> Result<T> {
    let another = |_: &str, _: &str| {
        "has read another file than rank 0\n  fix: put it where every node sees the same, and do not edit it meanwhile".into()
    };
    agree_by(exec, read, text, another)
}

/// `another` says in which way what a rank has read is not what rank 0 has, from the `words` of the two.
fn agree_by<T>(
    exec: &dyn Executor,
    read: Result<T>,
    words: impl Fn(&T) -> String,
    another: impl Fn(&str, &str) -> String,
) -> Result<T> {
    // Zero, and what was read; or the exit code, and the error.
    let said = match &read {
        Ok(read) => format!("\0{}", words(read)),
        Err(error) => format!("{}{error}", char::from(error.exit_code())),
    };
    let hosts = exec.hear(exec::host().as_bytes())?;
    let heard = exec.hear(said.as_bytes())?;
    let mut job = Some(read);
    exec.once(&mut || {
        if let Some(Err(error)) = job.take_if(|job| job.is_err()) {
            return Err(error);
        }
        let Some(rank) = heard.iter().position(|said| *said != heard[0]) else { return Ok(Vec::new()) };
        let (code, message) = match heard[rank].as_slice() {
            [0, there @ ..] => (3, another(&text(there), &text(&heard[0][1..]))),
            [code, message @ ..] => (*code, text(message)),
            [] => (3, "has read nothing".into()),
        };
        Err(Error::Rank { rank, host: text(&hosts[rank]), message, code })
    })?;
    job.unwrap_or(Err(Error::Elsewhere { code: 3 }))
}

fn another_job(there: &str, here: &str) -> String {
    let (there, here) = (there.split_once('\n').unwrap_or_default(), here.split_once('\n').unwrap_or_default());
    let mut differ = differences(there.0, here.0);
    if there.1 != here.1 {
        differ.push("    observations: the content of the table differs".into());
    }
    let fix = "put job file and observations where every node sees the same, and do not edit them while a run starts";
    format!("has read another job than rank 0 (here):\n{}\n  fix: {fix}", differ.join("\n"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A file that was written, or not.
type Saved = (Store, Result<()>);

/// A run that all ranks work on.
pub struct Shared<'a> {
    /// Where it runs; what arrives is journalled.
    pub exec: Journaled<'a>,
    /// The file, on rank 0, while it is not being written.
    store: RefCell<Option<Store>>,
    /// The thread that writes it, in the meantime.
    saving: RefCell<Option<JoinHandle<Saved>>>,
    path: PathBuf,
    /// The run as this rank needs it.
    pub run: Run,
    /// What of it is stored already.
    pub have: Have,
}

/// Which derived groups a file has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Have {
    /// Draws of the prior and their simulations.
    pub prior: bool,
    /// Draws of the posterior and their simulations.
    pub posterior: bool,
    /// Distances between replicates.
    pub noise_floor: bool,
    /// Posterior modes.
    pub modes: bool,
    /// The adjusted posterior.
    pub adjusted: bool,
    /// What a pilot scaled the distance by.
    pub distance: bool,
}

impl Have {
    /// What a file has.
    pub fn of(store: &Store) -> Self {
        Have {
            prior: store.prior().is_some(),
            posterior: store.posterior().is_some(),
            noise_floor: store.noise_floor().is_some(),
            modes: store.modes().is_some(),
            adjusted: store.adjusted().is_some(),
            distance: store.distance().is_some(),
        }
    }

    /// Whether that is everything that a job asks for.
    pub fn all(self, job: &Job) -> bool {
        let refined = self.modes || job.refine().modes == 0;
        let floor = self.noise_floor || job.accept() == Accept::Noise;
        self.prior && self.posterior && floor && refined && (self.adjusted || job.adjust().is_none())
    }
}

impl<'a> Shared<'a> {
    /// Opens a run: `open` is called on rank 0, and may open the journal.
    ///
    /// # Errors
    /// Those of `open`, on every rank.
    pub fn open(exec: &'a dyn Executor, open: impl FnOnce(&Journaled<'a>) -> Result<Store>) -> Result<Self> {
        let exec = Journaled::passing(exec);
        let (mut open, mut store) = (Some(open), None);
        let words = exec.once(&mut || {
            let Some(open) = open.take() else { return Ok(Vec::new()) };
            let opened = open(&exec)?;
            let Have { prior, posterior, noise_floor, modes, adjusted, distance } = Have::of(&opened);
            let have = [prior, posterior, noise_floor, modes, adjusted, distance];
            let words = have.into_iter().map(|have| f64::from(u8::from(have))).chain(opened.run().words()).collect();
            store = Some(opened);
            Ok(words)
        })?;
        let (have, run) = words.split_at_checked(6).unwrap_or_default();
        let has = |k: usize| have.get(k) == Some(&1.0);
        let [prior, posterior, noise_floor, modes, adjusted, distance] = [0, 1, 2, 3, 4, 5].map(has);
        let have = Have { prior, posterior, noise_floor, modes, adjusted, distance };
        let run = store.as_ref().map(|store| store.run().clone()).or_else(|| Run::from_words(run)).unwrap_or_default();
        let path = store.as_ref().map(|store| store.path().to_path_buf()).unwrap_or_default();
        Ok(Shared { exec, store: RefCell::new(store), saving: RefCell::default(), path, run, have })
    }

    /// Changes the file, on rank 0. What led to this state is in it then, and no longer in the journal.
    ///
    /// # Errors
    /// Those of `change`, on every rank.
    pub fn change(&self, change: impl FnOnce(&mut Store) -> Result<()>) -> Result<()> {
        let mut change = Some(change);
        self.exec.once(&mut || {
            self.settle()?;
            if let (Some(store), Some(change)) = (self.store.borrow_mut().as_mut(), change.take()) {
                change(store)?;
                self.exec.restart(store)?;
            }
            Ok(Vec::new())
        })?;
        self.exec.follow();
        Ok(())
    }

    /// Writes the record of a session into the file as it is, on rank 0. The journal stays.
    ///
    /// # Errors
    /// Those of [`Store::write`], on every rank.
    pub fn note(&self, record: &serde_json::Value) -> Result<()> {
        let write = &mut || {
            self.settle()?;
            if let Some(store) = self.store.borrow_mut().as_mut() {
                store.record(record);
                store.write()?;
            }
            Ok(Vec::new())
        };
        self.exec.once(write).map(drop)
    }

    /// Does something with the file, on rank 0.
    ///
    /// # Errors
    /// Those of `action`, on every rank.
    pub fn at_file(&self, action: impl Fn(&Store) -> Result<()>) -> Result<()> {
        self.exec.once(&mut || {
            self.settle()?;
            self.store.borrow().as_ref().map_or(Ok(()), &action).map(|()| Vec::new())
        })?;
        Ok(())
    }

    /// Has the last generation of `run` written into the file, on rank 0, by a thread of its own: a large file takes a while,
    /// and meanwhile its results are in the journal.
    ///
    /// # Errors
    /// Those of the generation before.
    pub fn append(&self, run: &Run, record: &serde_json::Value) -> Result<()> {
        self.exec.once(&mut || {
            self.settle()?;
            let Some(generation) = run.last().filter(|_| self.store.borrow().is_some()).cloned() else { return Ok(Vec::new()) };
            let promotion = self.exec.reached(run)?;
            let Some(mut store) = self.store.take() else { return Ok(Vec::new()) };
            store.record(record);
            let save = move || {
                let saved = store.append(generation).and_then(|()| promotion.map_or(Ok(()), Promotion::promote));
                (store, saved)
            };
            let thread = std::thread::Builder::new().name("save".into()).spawn(save);
            self.saving.replace(Some(thread.map_err(Error::io(&self.path, "start a thread that writes"))?));
            Ok(Vec::new())
        })?;
        self.exec.follow();
        Ok(())
    }

    /// Waits until the file is written.
    ///
    /// # Errors
    /// Those of writing it.
    pub fn settle(&self) -> Result<()> {
        let Some(thread) = self.saving.take() else { return Ok(()) };
        let (store, saved) = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        self.store.replace(Some(store));
        saved
    }

    /// Where the file is; empty on ranks above 0.
    pub fn path(&self) -> PathBuf {
        self.path.clone()
    }
}

impl Drop for Shared<'_> {
    fn drop(&mut self) {
        // A run that ends by an error or a signal still writes what it has.
        let _ = self.settle();
    }
}
