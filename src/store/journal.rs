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
//! **Form.** `nicho journal 1\n`, then SHA-256 of the job, number and SHA-256 of the state; then records: length (u64), that
//! many bytes (stream, width of rows, chunk), and the first eight bytes of their SHA-256. All integers little-endian. A record
//! that is not whole ends the journal.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::Store;
use crate::error::{Error, Result};
use crate::exec::{Chunk, Executor, Outcome, Place, Sink, Work};

const MAGIC: &[u8; 16] = b"nicho journal 1\n";
/// Length of the head: magic, job, number and hash of the state.
const HEAD: usize = 16 + 32 + 8 + 32;
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
}

/// What a journal belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    job: [u8; 32],
    /// Changes of the stored state so far; grows with each.
    step: u64,
    state: [u8; 32],
}

struct Journal {
    path: PathBuf,
    file: File,
    known: BTreeMap<u64, Vec<Chunk>>,
    writer: Option<Writer>,
}

/// The thread that writes.
struct Writer {
    records: Sender<Vec<u8>>,
    thread: JoinHandle<()>,
    failure: Arc<Mutex<Option<std::io::Error>>>,
}

impl Identity {
    fn of(store: &Store) -> Identity {
        let header = store.header();
        let hash = |texts: &mut dyn Iterator<Item = &str>| -> [u8; 32] {
            let mut sha = Sha256::new();
            for text in texts {
                sha.update((text.len() as u64).to_le_bytes());
                sha.update(text);
            }
            sha.finalize().into()
        };
        let job = [header.job_canonical.as_str(), header.observations_sha256.as_str()];
        let digests = store.digests();
        let run = store.run();
        let mut state = digests.iter().flat_map(|(name, digest)| [name.as_str(), digest.as_str()]);
        Identity {
            job: hash(&mut job.into_iter()),
            step: (run.generations.len() + usize::from(run.stopped.is_some()) + digests.len()) as u64,
            state: hash(&mut state),
        }
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
        Journaled { exec, journal: RefCell::default(), stream: Cell::new(0) }
    }

    /// Opens, or makes, the journal beside a result file. With `recall`, what it holds of the file's state is known from
    /// here on; without, it is emptied.
    ///
    /// # Errors
    /// [`Error::Output`] if another process writes it, or if it belongs to another job or to a later state of this one;
    /// [`Error::Io`].
    pub fn open(&self, store: &Store, recall: bool) -> Result<()> {
        let path = beside(store.path());
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::io(&path, "open the journal of the run"))?;
        lock(&file, &path, store.path())?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(Error::io(&path, "read the journal of the run"))?;
        let here = Identity::of(store);
        let mut journal = Journal { path: path.clone(), file, known: BTreeMap::new(), writer: None };
        let refuse = |problem: &str| Error::Output {
            path: path.clone(),
            problem: format!("is the journal of {problem}"),
            fix: "move it away if you do not need it, or name the result file that it belongs to".into(),
        };
        match Identity::read(&bytes) {
            Some(there) if !recall || there.step < here.step && there.job == here.job => {
                if recall {
                    tracing::info!("{}: of an earlier state, all of it is in the result file; dropped", path.display());
                }
                journal.empty(here)?;
            }
            Some(there) if there.job != here.job => return Err(refuse("another job")),
            Some(there) if there != here => return Err(refuse("another state of this job than the one in the result file")),
            Some(_) => journal.recall(&bytes)?,
            None => journal.empty(here)?,
        }
        journal.writer = Some(Writer::start(&journal)?);
        self.journal.replace(Some(journal));
        self.stream.set(0);
        Ok(())
    }

    /// The state is stored: what led to it is dropped. To be called on every rank, with the store where there is one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn restart(&self, store: &Store) -> Result<()> {
        self.stream.set(0);
        let mut journal = self.journal.borrow_mut();
        let Some(journal) = journal.as_mut() else { return Ok(()) };
        journal.stop()?;
        journal.empty(Identity::of(store))?;
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
            std::fs::remove_file(&journal.path).map_err(Error::io(&journal.path, "remove the journal of the run"))?;
        }
        Ok(())
    }
}

/// The path of the journal of a result file.
fn beside(result: &Path) -> PathBuf {
    let target = std::fs::canonicalize(result).unwrap_or_else(|_| result.to_path_buf());
    let mut path = OsString::from(target);
    path.push(".journal");
    PathBuf::from(path)
}

/// Two processes must not write one run. A file system without locks is taken at its word.
fn lock(file: &File, path: &Path, result: &Path) -> Result<()> {
    let begun = Instant::now();
    let mut said = false;
    loop {
        match file.try_lock() {
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(()),
            Err(TryLockError::WouldBlock) if begun.elapsed() > LOCKED => {
                return Err(Error::Output {
                    path: result.to_path_buf(),
                    problem: format!("another process writes it (it holds the lock of {})", path.display()),
                    fix: "wait for it to end, or give another path with -o".into(),
                });
            }
            Err(TryLockError::WouldBlock) => {
                if !said {
                    tracing::info!("{}: another process writes it; waiting {} s for its end", result.display(), LOCKED.as_secs());
                    said = true;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

impl Journal {
    fn empty(&mut self, identity: Identity) -> Result<()> {
        self.known.clear();
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
        let (records, arriving) = channel::<Vec<u8>>();
        let failure = Arc::new(Mutex::new(None));
        let told = failure.clone();
        let work = move || {
            let mut unsynced = false;
            let mut synced = Instant::now();
            let mut write = || -> std::io::Result<()> {
                loop {
                    match arriving.recv_timeout(SYNC) {
                        Ok(record) => {
                            file.write_all(&record)?;
                            unsynced = true;
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
        known
    }

    fn arrived(&mut self, chunk: &Chunk) {
        if let Some(writer) = self.journal.borrow().as_ref().and_then(|journal| journal.writer.as_ref()) {
            // A writer that has failed has said so.
            let _ = writer.records.send(encode(self.stream, self.width, chunk));
        }
        self.sink.arrived(chunk);
    }

    fn abandon(&mut self) -> Option<u8> {
        if let Some(journal) = self.journal.borrow_mut().as_mut() {
            let _ = journal.stop();
        }
        self.sink.abandon()
    }
}

impl Executor for Journaled<'_> {
    fn stream(&self, first: u64, width: usize, work: &dyn Work, sink: &mut dyn Sink) -> Result<()> {
        let stream = self.stream.get();
        self.stream.set(stream + 1);
        let mut sink = Beside { sink, journal: &self.journal, stream, width };
        self.exec.stream(first, width, work, &mut sink)?;
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
}
