//! The journal: results that are not in the HDF5 file yet, as they arrive, so that a killed run loses only the simulations
//! that were in flight.
//!
//! A run is a function of its stored state, and so is the sequence of its [streams](Executor::stream) from there. The journal
//! belongs to one stored state, and holds chunks of results, each with the number of its stream since then: another session
//! goes through the same streams, and is handed what is known instead of computing it. That serves the inference and what
//! is derived from it alike.
//!
//! **Order.** Results go to the journal as they come, by a thread of its own: into the system's cache at once, where the death
//! of a process cannot touch them, and to the disk every second, in case of a power cut. When the HDF5 file is written
//! (beside, synced, renamed, folder synced) the journal is emptied, and belongs to the new state. A kill in between leaves
//! a journal of an older state, which is known as such and dropped.
//!
//! A large file takes a while, and nobody waits for it: the results of the next generation go to a second journal, of the new
//! state, and take the place of the first one when the file is there. Whoever resumes before that has the older file and
//! both journals, and comes to the new state by the first one, where it takes up the second.
//!
//! **Lock.** The journal is locked from before the result file is looked at until the process ends, so that two processes do
//! not work on one run: who comes second waits a little, and then looks at what the first has left.
//!
//! **Form.** `nicho journal 1\n`, then SHA-256 of the job, number and SHA-256 of the state; then records: length (u64), that
//! many bytes (stream, width of rows, chunk), and the first eight bytes of their SHA-256. All integers little-endian. A record
//! that is not whole ends the journal.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::Store;
use crate::error::{Error, Result};
use crate::exec::{Chunk, Executor, Outcome, Place, Sink, Tally, Work};
use crate::population::Run;

const MAGIC: &[u8; 16] = b"nicho journal 1\n";
/// Length of the head: magic, job, number and hash of the state.
const HEAD: usize = 16 + 32 + 8 + 32;
/// Results of another version may be others.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " ", env!("NICHO_COMMIT"));
/// Time between two syncs.
const SYNC: Duration = Duration::from_secs(1);
/// How long the lock of another process is waited for: one that was killed on another host may hold it a little longer.
const LOCKED: Duration = Duration::from_secs(20);

/// An executor that journals what arrives and knows what was journalled. On ranks without a file it passes everything on.
pub struct Journaled<'a> {
    exec: &'a dyn Executor,
    journal: RefCell<Option<Journal>>,
    /// Number of the next stream since the stored state.
    stream: Cell<u64>,
    leave: Cell<Option<fn() -> u8>>,
}

/// What a journal belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    job: [u8; 32],
    /// Changes of the stored state so far; grows with each.
    step: u64,
    state: [u8; 32],
}

/// What is left to do when a state is stored: the second journal takes the place of the first.
#[derive(Debug)]
pub struct Promotion {
    from: PathBuf,
    to: PathBuf,
}

impl Promotion {
    /// Does it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn promote(self) -> Result<()> {
        std::fs::rename(&self.from, &self.to).map_err(Error::io(&self.from, "rename the journal of the run"))
    }
}

struct Journal {
    path: PathBuf,
    file: File,
    identity: Identity,
    /// The second journal of a session that was killed before its result file was written.
    second: Option<Box<Journal>>,
    /// The file before this one, for its lock.
    held: Option<File>,
    /// Nobody had a journal here before, and nothing was written yet: it goes as it came.
    blank: bool,
    known: BTreeMap<u64, Vec<Chunk>>,
    writer: Option<Writer>,
}

/// The thread that writes.
struct Writer {
    /// The bytes of a record, and how many results are in it.
    records: Sender<(Vec<u8>, u64)>,
    thread: JoinHandle<()>,
    failure: Arc<Mutex<Option<std::io::Error>>>,
}

impl Identity {
    fn of(store: &Store) -> Identity {
        let header = store.header();
        let job = Sha256::digest([header.job_canonical.as_str(), &header.observations_sha256].join("\n"));
        let run = store.run();
        let mut identity = Identity::at(job.into(), run);
        // Generations follow from generations alone: modes that somebody has had polished meanwhile change nothing, and a calibration
        // nothing at all.
        if run.stopped.is_some() {
            for (name, digest) in store.digests()[1..].iter().filter(|(name, _)| name != super::CALIBRATION) {
                identity.step += 1;
                identity.state = Sha256::digest([&identity.state, name.as_bytes(), digest.as_bytes()].concat()).into();
            }
        }
        identity
    }

    /// The state of a run of this job, without what is derived. What came before the last generation is in its trials.
    fn at(job: [u8; 32], run: &Run) -> Identity {
        let mut sha = Sha256::new();
        sha.update(VERSION);
        if let Some(last) = run.last() {
            sha.update(last.tolerance.to_bits().to_le_bytes());
            last.trial.iter().for_each(|id| sha.update(id.to_le_bytes()));
            last.distance.iter().for_each(|distance| sha.update(distance.to_bits().to_le_bytes()));
        }
        let step = run.generations.len() + usize::from(run.stopped.is_some());
        Identity { job, step: step as u64, state: sha.finalize().into() }
    }

    fn bytes(&self) -> Vec<u8> {
        [MAGIC.as_slice(), &self.job, &self.step.to_le_bytes(), &self.state].concat()
    }

    fn read(head: &[u8]) -> Option<Identity> {
        let rest = head.strip_prefix(MAGIC)?;
        let (job, rest) = rest.split_first_chunk()?;
        let (step, rest) = rest.split_first_chunk()?;
        Some(Identity { job: *job, step: u64::from_le_bytes(*step), state: *rest.first_chunk()? })
    }
}

impl<'a> Journaled<'a> {
    /// Without a journal: everything is passed on.
    pub fn passing(exec: &'a dyn Executor) -> Self {
        Journaled { exec, journal: RefCell::default(), stream: Cell::new(0), leave: Cell::new(None) }
    }

    /// What arrives is journalled, on rank 0: where a stream was broken off and its sink does not decide, the process may end
    /// at once, with the exit code that `leave` returns. To be called on every rank.
    pub fn may_leave(&self, leave: fn() -> u8) {
        self.leave.set(Some(leave));
    }

    /// Takes the lock of a run, to be called before its result file is looked at. Where there can be no journal this does
    /// nothing, and [`Journaled::open`] says why.
    ///
    /// # Errors
    /// [`Error::Output`] if another process has it and does not end.
    pub fn hold(&self, result: &Path) -> Result<()> {
        self.journal.replace(Journal::hold(result, LOCKED)?.ok());
        Ok(())
    }

    /// Opens, or makes, the journal beside a result file. With `recall`, what it holds of the file's state is known from
    /// here on; without, it is emptied.
    ///
    /// # Errors
    /// [`Error::Output`] if another process writes it, if it belongs to another job or to a later state of this one, or if it
    /// is no journal; [`Error::Io`].
    pub fn open(&self, store: &Store, recall: bool) -> Result<()> {
        let mut journal = match self.journal.take() {
            Some(journal) => journal,
            None => {
                Journal::hold(store.path(), LOCKED)?.map_err(Error::io(&beside(store.path()), "open the journal of the run"))?
            }
        };
        journal.begin(store, recall)?;
        tracing::debug!(step = Identity::of(store).step, "journal open");
        journal.writer = Some(Writer::start(&journal)?);
        self.journal.replace(Some(journal));
        self.stream.set(0);
        Ok(())
    }

    /// The run has reached a new state, which is on its way to the disk: results go to a second journal from here on. To be
    /// called where the file is. What is returned is to be done when the state is stored.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn reached(&self, run: &Run) -> Result<Option<Promotion>> {
        self.stream.set(0);
        let mut current = self.journal.borrow_mut();
        let Some(first) = current.as_mut() else { return Ok(None) };
        first.stop()?;
        let here = Identity::at(first.identity.job, run);
        let promotion = Promotion { from: second_of(&first.path), to: first.path.clone() };
        let mut second = match first.second.take() {
            Some(second) if second.identity == here => *second,
            _ => Journal::fresh(&promotion.from, here)?,
        };
        // It will have this name, and until then the lock of the file that has it.
        second.path.clone_from(&first.path);
        second.held = first.file.try_clone().ok();
        second.writer = Some(Writer::start(&second)?);
        tracing::debug!(step = here.step, "a second journal");
        current.replace(second);
        Ok(Some(promotion))
    }

    /// The state is stored: what led to it is dropped. To be called on every rank, with the store where there is one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn restart(&self, store: &Store) -> Result<()> {
        self.stream.set(0);
        let mut journal = self.journal.borrow_mut();
        // A verb that only holds the lock of a run leaves its journal alone.
        let Some(journal) = journal.as_mut().filter(|journal| journal.writer.is_some()) else { return Ok(()) };
        journal.stop()?;
        let here = Identity::of(store);
        journal.empty(here)?;
        tracing::debug!(step = here.step, "stored; the journal is empty");
        journal.writer = Some(Writer::start(journal)?);
        Ok(())
    }

    /// The same on a rank without a file.
    pub fn follow(&self) {
        self.stream.set(0);
    }

    /// The run is complete: the journal goes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove(&self) -> Result<()> {
        if let Some(mut journal) = self.journal.take() {
            journal.stop()?;
            let _ = std::fs::remove_file(second_of(&journal.path));
            match std::fs::remove_file(&journal.path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Error::io(&journal.path, "remove the journal of the run")(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The run was complete before: a journal that a kill has left after the last change of the file goes, too. One that
    /// does not belong to the run stays.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn settle(&self, store: &Store) -> Result<()> {
        let Some(mut journal) = self.journal.take() else { return Ok(()) };
        let here = Identity::of(store);
        let bytes = journal.read()?;
        let stale = Identity::read(&bytes).is_some_and(|there| there.job == here.job && there.step <= here.step);
        if !(stale || bytes.is_empty()) {
            return Ok(());
        }
        self.journal.replace(Some(journal));
        self.remove()
    }
}

/// The path of the journal of a result file.
fn beside(result: &Path) -> PathBuf {
    super::beside(result, ".journal")
}

/// The path of the second journal.
fn second_of(journal: &Path) -> PathBuf {
    let mut path = journal.as_os_str().to_owned();
    path.push(".next");
    PathBuf::from(path)
}

/// Two processes must not write one run: waits for the end of another. A file system without locks is taken at its word.
fn lock(file: &File, path: &Path, result: &Path, patience: Duration) -> Result<()> {
    let begun = Instant::now();
    let mut said = false;
    loop {
        match file.try_lock() {
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(()),
            Err(TryLockError::WouldBlock) if begun.elapsed() > patience => {
                return Err(Error::Output {
                    path: result.to_path_buf(),
                    problem: format!("another process works on this run (it holds the lock of {})", path.display()),
                    fix: "wait for it to end, or give another path with -o".into(),
                });
            }
            Err(TryLockError::WouldBlock) => {
                if !said {
                    let seconds = patience.as_secs();
                    tracing::info!(
                        "{}: another process works on this run; waiting up to {seconds} s for its end",
                        result.display()
                    );
                    said = true;
                }
                std::thread::sleep(patience.min(Duration::from_millis(100)));
            }
        }
    }
}

impl Journal {
    /// The journal of a result file, locked; what is in it was not looked at yet. The inner error is the system's: there can
    /// be no journal.
    fn hold(result: &Path, patience: Duration) -> Result<std::io::Result<Journal>> {
        let path = beside(result);
        let open = |new: bool| OpenOptions::new().read(true).write(true).create_new(new).open(&path);
        loop {
            let (opened, blank) = match open(true) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => (open(false), false),
                opened => (opened, true),
            };
            let file = match opened {
                Ok(file) => file,
                // The process that had it has ended in this instant.
                Err(error) if !blank && error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Ok(Err(error)),
            };
            lock(&file, &path, result, patience)?;
            // Whoever had the lock may have removed the file with it: then this is nobody's.
            let (ours, there) = (file.metadata(), std::fs::metadata(&path));
            if ours.is_ok_and(|a| there.is_ok_and(|b| (a.dev(), a.ino()) == (b.dev(), b.ino()))) {
                return Ok(Ok(Journal::of(path, file, blank)));
            }
        }
    }

    fn of(path: PathBuf, file: File, blank: bool) -> Journal {
        let identity = Identity { job: [0; 32], step: 0, state: [0; 32] };
        Journal { path, file, identity, second: None, held: None, blank, known: BTreeMap::new(), writer: None }
    }

    /// An empty journal at `path`, whatever was there.
    fn fresh(path: &Path, identity: Identity) -> Result<Journal> {
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
        let file = open.map_err(Error::io(path, "write the journal of the run"))?;
        // Nobody looks for this lock before the file has the name of the first journal.
        let _ = file.try_lock();
        let mut journal = Journal::of(path.to_path_buf(), file, false);
        journal.empty(identity)?;
        Ok(journal)
    }

    /// The second journal beside this one, if there is one for this state or a later one, with what it holds.
    fn find_second(&self, here: Identity) -> Result<Option<Journal>> {
        let path = second_of(&self.path);
        let Ok(file) = OpenOptions::new().read(true).write(true).open(&path) else { return Ok(None) };
        let _ = file.try_lock();
        let mut journal = Journal::of(path, file, false);
        let bytes = journal.read()?;
        let Some(there) = Identity::read(&bytes) else { return Ok(None) };
        if there != here && (there.job != here.job || there.step <= here.step) {
            return Ok(None);
        }
        journal.identity = there;
        journal.recall(&bytes)?;
        Ok(Some(journal))
    }

    fn read(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.read_to_end(&mut bytes));
        read.map_err(Error::io(&self.path, "read the journal of the run"))?;
        Ok(bytes)
    }

    /// Takes what belongs to the state of `store`, drops what is of no use, refuses what somebody may still want.
    fn begin(&mut self, store: &Store, recall: bool) -> Result<()> {
        let bytes = self.read()?;
        let here = Identity::of(store);
        self.identity = here;
        if recall && let Some(second) = self.find_second(here)? {
            if second.identity == here {
                // The result file was written, and the session killed before it renamed the journal.
                Promotion { from: second.path.clone(), to: self.path.clone() }.promote()?;
                self.held = self.file.try_clone().ok();
                self.blank = false;
                (self.file, self.known) = (
                    second.file.try_clone().map_err(Error::io(&self.path, "open the journal of the run"))?,
                    second.known.clone(),
                );
                return Ok(());
            }
            self.second = Some(Box::new(second));
        }
        let result = store.path().display();
        let refuse = |problem: String| Error::Output {
            path: self.path.clone(),
            problem,
            fix: "move it away if you do not need it, or give another path with -o".into(),
        };
        match Identity::read(&bytes) {
            None if bytes.is_empty() => {}
            // A power cut may leave a file that is too short, or zeros in the place of what was not on disk yet.
            None if MAGIC.starts_with(&bytes[..bytes.len().min(MAGIC.len())]) || bytes.iter().all(|byte| *byte == 0) => {
                tracing::warn!("{}: not even its head is whole; dropped", self.path.display());
            }
            None => return Err(refuse("is no journal of this version of nicho".into())),
            Some(_) if !recall => {
                if bytes.len() > HEAD {
                    tracing::info!(
                        "{}: results of an unfinished session; dropped, since --resume was not asked for",
                        self.path.display()
                    );
                }
            }
            Some(there) if there.job != here.job => {
                return Err(refuse(format!("is the journal of another job than that in {result}")));
            }
            Some(there) if there.step < here.step => {
                tracing::info!("{}: of an earlier state than the result file; dropped", self.path.display());
            }
            Some(there) if there.step > here.step => {
                return Err(refuse(format!("is the journal of a later state of this job than that in {result}")));
            }
            Some(there) if there != here => {
                return Err(refuse(format!(
                    "is the journal of another state of this job than that in {result}, or of another version of nicho"
                )));
            }
            Some(_) => {
                self.drop_useless_second();
                return self.recall(&bytes);
            }
        }
        self.drop_useless_second();
        self.empty(here)
    }

    /// To be called once nothing is refused any more: what is refused stays as it was.
    fn drop_useless_second(&self) {
        if self.second.is_none() {
            let _ = std::fs::remove_file(second_of(&self.path));
        }
    }

    fn empty(&mut self, identity: Identity) -> Result<()> {
        self.known.clear();
        self.blank = false;
        self.identity = identity;
        let written = self
            .file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .and_then(|_| self.file.write_all(&identity.bytes()));
        written.map_err(Error::io(&self.path, "write the journal of the run"))
    }

    /// Takes every whole record, and cuts off what follows the last one.
    fn recall(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = &bytes[HEAD..];
        let (mut records, mut ids) = (0u64, 0);
        while let Some((stream, chunk)) = record(&mut rest) {
            records += 1;
            ids += chunk.len();
            self.known.entry(stream).or_default().push(chunk);
        }
        if !rest.is_empty() {
            tracing::warn!("{}: its last {} bytes are no whole record, and are dropped", self.path.display(), rest.len());
        }
        if records > 0 {
            tracing::info!("{}: {ids} results of an unfinished session are taken from it", self.path.display());
        }
        let end = (bytes.len() - rest.len()) as u64;
        let cut = self.file.set_len(end).and_then(|()| self.file.seek(SeekFrom::Start(end)));
        cut.map(|_| ()).map_err(Error::io(&self.path, "write the journal of the run"))
    }

    /// Waits until everything is on disk.
    fn stop(&mut self) -> Result<()> {
        let Some(Writer { records, thread, failure }) = self.writer.take() else { return Ok(()) };
        drop(records);
        let ended = thread.join().is_ok();
        let failure = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        match failure {
            Some(error) => Err(Error::io(&self.path, "write the journal of the run")(error)),
            None if !ended => {
                Err(Error::io(&self.path, "write the journal of the run")(std::io::Error::other("its thread died")))
            }
            None => Ok(()),
        }
    }

    fn failed(&self) -> Result<()> {
        let failure = self.writer.as_ref().and_then(|w| w.failure.lock().unwrap_or_else(PoisonError::into_inner).take());
        failure.map_or(Ok(()), |error| Err(Error::io(&self.path, "write the journal of the run")(error)))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Best effort: whoever wants to know has called `stop`.
        let _ = self.stop();
        if self.blank {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The next whole record, taken from the front of `bytes`.
fn record(bytes: &mut &[u8]) -> Option<(u64, Chunk)> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (body, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let (check, rest) = rest.split_first_chunk::<8>()?;
    if Sha256::digest(body)[..8] != *check {
        return None;
    }
    let (stream, body) = body.split_first_chunk::<8>()?;
    let (width, mut body) = body.split_first_chunk::<8>()?;
    let chunk = Chunk::decode(&mut body, usize::try_from(u64::from_le_bytes(*width)).ok()?)?;
    *bytes = rest;
    Some((u64::from_le_bytes(*stream), chunk))
}

fn encode(stream: u64, width: usize, chunk: &Chunk) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    bytes.extend_from_slice(&stream.to_le_bytes());
    bytes.extend_from_slice(&(width as u64).to_le_bytes());
    chunk.encode(&mut bytes);
    let length = (bytes.len() - 8) as u64;
    bytes[..8].copy_from_slice(&length.to_le_bytes());
    let check = Sha256::digest(&bytes[8..]);
    bytes.extend_from_slice(&check[..8]);
    bytes
}

impl Writer {
    fn start(journal: &Journal) -> Result<Writer> {
        let mut file = journal.file.try_clone().map_err(Error::io(&journal.path, "write the journal of the run"))?;
        let (records, arriving) = channel::<(Vec<u8>, u64)>();
        let failure = Arc::new(Mutex::new(None));
        let told = failure.clone();
        let work = move || {
            let mut unsynced = false;
            let mut written = 0;
            let mut synced = Instant::now();
            let mut write = || -> std::io::Result<()> {
                loop {
                    match arriving.recv_timeout(SYNC) {
                        Ok((record, results)) => {
                            file.write_all(&record)?;
                            unsynced = true;
                            written += results;
                            tracing::trace!(written, "journalled");
                        }
                        Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => return if unsynced { file.sync_data() } else { Ok(()) },
                    }
                    if unsynced && synced.elapsed() >= SYNC {
                        file.sync_data()?;
                        (unsynced, synced) = (false, Instant::now());
                    }
                }
            };
            if let Err(error) = write() {
                told.lock().unwrap_or_else(PoisonError::into_inner).replace(error);
            }
        };
        let thread = std::thread::Builder::new().name("journal".into()).spawn(work);
        let thread = thread.map_err(Error::io(&journal.path, "start a thread for the journal of the run"))?;
        Ok(Writer { records, thread, failure })
    }
}

/// The sink of a stream, with the journal beside it.
struct Beside<'a> {
    sink: &'a mut dyn Sink,
    journal: &'a RefCell<Option<Journal>>,
    stream: u64,
    width: usize,
    /// Results that were known before, and that have arrived.
    count: (u64, u64),
    leave: Option<fn() -> u8>,
}

impl Sink for Beside<'_> {
    fn next(&mut self, id: u64, outcome: Outcome, row: &[f64]) -> ControlFlow<()> {
        self.sink.next(id, outcome, row)
    }

    fn remaining(&self) -> Option<u64> {
        self.sink.remaining()
    }

    fn idle(&mut self) -> ControlFlow<()> {
        let failed = |journal: &Journal| journal.writer.as_ref().is_some_and(|writer| writer.thread.is_finished());
        // A journal that cannot be written ends the stream; the executor says why.
        if self.journal.borrow().as_ref().is_some_and(failed) { ControlFlow::Break(()) } else { self.sink.idle() }
    }

    fn known(&mut self) -> Vec<Chunk> {
        let mut known = self.sink.known();
        let mut journal = self.journal.borrow_mut();
        known.extend(journal.as_mut().and_then(|journal| journal.known.remove(&self.stream)).unwrap_or_default());
        self.count.0 = known.iter().map(Chunk::len).sum();
        known
    }

    fn arrived(&mut self, chunk: &Chunk) {
        if let Some(writer) = self.journal.borrow().as_ref().and_then(|journal| journal.writer.as_ref()) {
            // A writer that has failed has said so.
            let _ = writer.records.send((encode(self.stream, self.width, chunk), chunk.len()));
        }
        self.count.1 += chunk.len();
        tracing::trace!(stream = self.stream, known = self.count.0, arrived = self.count.1, "results");
        self.sink.arrived(chunk);
    }

    fn abandon(&mut self) -> Option<u8> {
        if let Some(Err(error)) = self.journal.borrow_mut().as_mut().map(Journal::stop) {
            // The process may end here: nobody else would say so.
            crate::error::complain(&error);
            return Some(error.exit_code());
        }
        self.sink.abandon().or_else(|| self.leave.map(|leave| leave()))
    }
}

impl Executor for Journaled<'_> {
    fn stream(&self, first: u64, width: usize, work: &dyn Work, sink: &mut dyn Sink) -> Result<()> {
        let stream = self.stream.get();
        self.stream.set(stream + 1);
        let mut sink = Beside { sink, journal: &self.journal, stream, width, count: (0, 0), leave: self.leave.get() };
        self.exec.stream(first, width, work, &mut sink)?;
        let (known, arrived) = sink.count;
        tracing::debug!(stream, known, arrived, "end of a stream");
        self.exec.once(&mut || self.journal.borrow().as_ref().map_or(Ok(()), Journal::failed).map(|()| Vec::new()))?;
        Ok(())
    }

    fn once(&self, action: &mut dyn FnMut() -> Result<Vec<f64>>) -> Result<Vec<f64>> {
        self.exec.once(action)
    }

    fn hear(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.exec.hear(mine)
    }

    fn lanes(&self) -> usize {
        self.exec.lanes()
    }

    fn place(&self) -> Place {
        self.exec.place()
    }

    fn tally(&self) -> Tally {
        self.exec.tally()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
