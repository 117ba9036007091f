//! Ranks of MPI: the only file that names it.
//!
//! Rank 0 leads ([`lead`]) and simulates; the others [serve](Mpi::serve). Messages are bytes of fixed layout (u64 and f64,
//! little-endian), one of three kinds: ids to a rank, results to rank 0, the end of a stream to all along a binomial tree.
//! Each carries the number of its stream, so that what arrives late is known as such.
//!
//! Only the first thread of a rank calls MPI, and never in a call that blocks while others work: it looks, and sleeps for
//! its [`patience`]. Small messages are sent by standard sends, which every library
//! buffers; large results may wait until rank 0 takes them, which it does whenever it waits.
//!
//! **Trouble.** What fails on rank 0 in [`Executor::once`] or [`Executor::stream`] is known to every rank in the same call. A
//! panic outside of a task, and an error that only some ranks see, end all of them by `MPI_Abort`.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mpi::Threading;
use mpi::collective::{CommunicatorCollectives, Root, SystemOperation};
use mpi::datatype::Equivalence;
use mpi::environment::Universe;
use mpi::point_to_point::{Destination, Source};
use mpi::request::{Request, scope};
use mpi::topology::{Communicator, SimpleCommunicator};

use super::crew::{Board, Crew, Done, in_task, panicked_at};
use super::lead::{End, IDLE, Lead, Others, lead};
use super::schedule::{Cost, patience};
use super::{Chunk, Executor, Launch, Place, RANK, Sink, Tally, Work, affordable, host};
use crate::error::{Error, Result};

/// To a rank: stream, first id, one after the last id.
const WORK: i32 = 1;
/// To rank 0: stream, then a chunk, then the message of a panic, if any.
const DONE: i32 = 2;
/// To all: stream, how it ended.
const STOP: i32 = 3;
/// To rank 0: stream; this rank was asked to end, and asks the others.
const ASK: i32 = 4;

/// Ends of a stream, as they travel. A larger number is the exit code of an error, and this.
const FULL: u64 = 0;
const BROKEN: u64 = 1;
const FAILED: u64 = 2;

/// Numbers that are sent to all without everybody being there first.
const SMALL: usize = 512;
/// Longest sleep between two looks at something that rank 0 does alone.
const NAP: Duration = Duration::from_millis(1);
/// How long a rank that has failed alone waits for the others.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long a rank waits for others that know of the failure: rank 0 may be writing what it has.
const LONG_FAREWELL: Duration = Duration::from_secs(60);

/// An executor over the ranks of `MPI_COMM_WORLD`.
pub struct Mpi {
    /// Freed before MPI ends with the next field.
    farewell: SimpleCommunicator,
    universe: RefCell<Option<Universe>>,
    world: SimpleCommunicator,
    rank: usize,
    place: Place,
    stream: Cell<u64>,
    /// Work for a stream that this rank has not entered yet.
    early: RefCell<Vec<(u64, Range<u64>)>>,
    cost: RefCell<Cost>,
    tally: Tally,
}

impl Mpi {
    /// Joins the ranks that `launch` started, with `threads` each; 0 is a fair share of the CPUs of each host.
    ///
    /// # Errors
    /// [`Error::Usage`] if MPI cannot be had, if the ranks are not those that the launcher started, or for too many threads.
    pub fn open(threads: usize, launch: Option<Launch>) -> Result<Self> {
        let unusable = |problem: &str, fix: &str| Error::Usage { problem: problem.into(), fix: fix.into() };
        let Some((universe, threading)) = mpi::initialize_with_threading(Threading::Funneled) else {
            return Err(unusable("MPI was started already in this process", "open one executor"));
        };
        let world = universe.world();
        let (rank, ranks) = (world.rank() as usize, world.size() as usize);
        let library = mpi::environment::library_version().unwrap_or_default();
        let library = library.split(['\n', ',']).next().unwrap_or_default().trim_end_matches('\0').trim().to_string();
        if let Some(launch) = launch.filter(|launch| launch.size.is_some_and(|size| size != ranks)) {
            let _ = RANK.set(launch.rank);
            return Err(launch.mismatch(ranks, &library));
        }
        let _ = RANK.set(rank);
        if threading < Threading::Funneled {
            return Err(unusable("this MPI library allows no threads", "use one that was built with thread support"));
        }
        abort_on_panic();
        let beside = world.split_shared(rank as i32).size() as usize;
        let mine = affordable(threads, beside);
        // A rank that cannot go on takes the others with it, before they wait for it.
        let (mut worst, code) = (0, mine.as_ref().map_or_else(Error::exit_code, |_| 0));
        world.all_reduce_into(&code, &mut worst, SystemOperation::max());
        if let (Err(error), 1..) = (&mine, rank) {
            crate::error::complain(format_args!("rank {rank} on {}: {error}", host()));
        }
        let mine = mine?;
        if worst > 0 {
            return Err(Error::Elsewhere { code: worst });
        }
        let mut executor = Mpi {
            universe: RefCell::new(Some(universe)),
            farewell: world.duplicate(),
            world,
            rank,
            place: Place { ranks, mpi: library, ..Place::default() },
            stream: Cell::new(0),
            early: RefCell::default(),
            cost: RefCell::default(),
            tally: Tally::default(),
        };
        // Everybody knows how much everybody has: rank 0 to hand out work, all to count lanes.
        let mut all = vec![0u64; ranks];
        executor.world.all_gather_into(&(mine as u64), &mut all[..]);
        executor.place.threads = all.into_iter().map(|n| n as usize).collect();
        let hosts = executor.hear(host().as_bytes())?;
        executor.place.hosts = hosts.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        Ok(executor)
    }

    fn root(&self) -> mpi::topology::Process<'_> {
        self.world.process_at_rank(0)
    }

    /// Sends the end of this stream on to the ranks that hear it from this one.
    fn pass_on(&self, end: u64) {
        let bytes = words(&[self.stream.get(), end]);
        for child in children(self.rank, self.place.ranks) {
            self.world.process_at_rank(child as i32).send_with_tag(&bytes[..], STOP);
        }
    }

    /// The next message, if one is here: its tag, its stream, the rest.
    fn receive(&self) -> Option<(i32, usize, u64, Vec<u8>)> {
        // One thread calls MPI: what was found is still there when it is received.
        let status = self.world.any_process().immediate_probe()?;
        let mut bytes = vec![0u8; status.count(u8::equivalent_datatype()) as usize];
        self.world.process_at_rank(status.source_rank()).receive_into_with_tag(&mut bytes[..], status.tag());
        let stream = word(&bytes, 0)?;
        Some((status.tag(), status.source_rank() as usize, stream, bytes.split_off(8)))
    }

    /// Works for rank 0 until it says that the stream has ended, and how.
    fn serve(&self, crew: &Crew<'_>, sink: &mut dyn Sink) -> u64 {
        let stream = self.stream.get();
        let mut given = 0usize;
        let mut seconds = 0.0f64;
        let (now, later) = self.early.take().into_iter().partition::<Vec<_>, _>(|(of, _)| *of == stream);
        self.early.replace(later);
        for (_, range) in now {
            given += 1;
            crew.give(range);
        }
        let (mut idle, mut asked) = (None::<Instant>, false);
        loop {
            if !asked && idle.is_none_or(|last| last.elapsed() >= IDLE) {
                idle = Some(Instant::now());
                asked = sink.idle().is_break();
                if asked {
                    self.root().send_with_tag(&words(&[stream])[..], ASK);
                }
            }
            let hungry = given < crew.threads;
            let mut wait = if hungry { Duration::from_micros(100) } else { patience(seconds, crew.threads) };
            while let Some(done) = crew.next(wait) {
                wait = Duration::ZERO;
                given = given.saturating_sub(1);
                if !done.chunk.is_empty() {
                    seconds = if seconds > 0.0 { 0.8 * seconds + 0.2 * done.chunk.seconds } else { done.chunk.seconds };
                }
                self.root().send_with_tag(&report(stream, &done)[..], DONE);
            }
            while let Some((tag, _, of, rest)) = self.receive() {
                match (tag, word(&rest, 0), word(&rest, 1)) {
                    (STOP, Some(end), _) if of == stream => return end,
                    (WORK, Some(first), Some(last)) if of == stream => {
                        given += 1;
                        crew.give(first..last);
                    }
                    (WORK, Some(first), Some(last)) if of > stream => self.early.borrow_mut().push((of, first..last)),
                    _ => {}
                }
            }
        }
    }

    /// Waits for a request without burning a core.
    ///
    /// Rank 0 takes what still comes from streams that have ended: a rank may be in the middle of sending it, and would be
    /// missed in what is waited for here.
    fn rest_until_done<'a, D: ?Sized, S: mpi::request::Scope<'a>>(&self, mut request: Request<'a, D, S>) {
        let mut nap = Duration::from_micros(20);
        while let Err(waiting) = request.test() {
            request = waiting;
            while self.rank == 0 && self.receive().is_some() {}
            sleep(nap);
            nap = (2 * nap).min(NAP);
        }
    }

    /// Whether any rank says so. Collective; nobody spins.
    fn any(&self, mine: bool) -> bool {
        let (mine, mut all) = (u8::from(mine), 0u8);
        scope(|scope| {
            let request = self.world.immediate_all_reduce_into(scope, &mine, &mut all, SystemOperation::max());
            self.rest_until_done(request);
        });
        all > 0
    }

    /// Sends bits of rank 0 to all. Collective; nobody spins for long.
    fn broadcast(&self, values: &mut [f64]) {
        if values.len() > SMALL {
            // Libraries send much data in many pieces, each of which would wait for somebody to look. All are here, and
            // nobody is in the middle of sending a result: now it may block.
            self.rest_until_done(self.world.immediate_barrier());
            return self.root().broadcast_into(values);
        }
        scope(|scope| self.rest_until_done(self.root().immediate_broadcast_into(scope, values)));
    }
}

impl Executor for Mpi {
    fn stream(&self, first: u64, width: usize, work: &dyn Work, sink: &mut dyn Sink) -> Result<()> {
        self.stream.set(self.stream.get() + 1);
        let board = Board::new(work, width);
        std::thread::scope(|threads| {
            let crew = Crew::start(threads, &board, self.place.threads[self.rank]);
            let crew = crew.unwrap_or_else(|error| {
                // Nothing can be done here, and nobody knows. The system is at its limits.
                crate::error::complain(format_args!("rank {} on {}: {error}", self.rank, host()));
                self.world.abort(error.exit_code().into())
            });
            let result = if self.rank == 0 {
                let cost = &mut *self.cost.borrow_mut();
                let mut ranks = Ranks { mpi: self, width };
                let task = Lead { first, width, work, crew: &crew, cost, sink: &mut *sink, tally: &self.tally };
                let result = lead(task, &mut ranks);
                self.pass_on(match &result {
                    Ok(End::Full) => FULL,
                    Ok(End::Broken) => BROKEN,
                    Err(error) => FAILED + u64::from(error.exit_code()),
                });
                result
            } else {
                let end = self.serve(&crew, &mut *sink);
                self.pass_on(end);
                match end {
                    FULL => Ok(End::Full),
                    BROKEN => Ok(End::Broken),
                    code => Err(Error::Elsewhere { code: (code - FAILED) as u8 }),
                }
            };
            board.enough();
            if matches!(result, Ok(End::Broken)) && self.any(board.stuck()) {
                // Rank 0 says how it ends; the others follow.
                let mine = sink.abandon();
                let code = self.once(&mut || Ok(vec![mine.map_or(-1.0, f64::from)]))?[0];
                if code >= 0.0 {
                    // All ranks are here: they leave together, though a simulation still runs in some.
                    while self.receive().is_some() {}
                    drop(self.universe.take());
                    std::process::exit(code as i32);
                }
            }
            result.map(|_| ())
        })
    }

    fn once(&self, action: &mut dyn FnMut() -> Result<Vec<f64>>) -> Result<Vec<f64>> {
        let result = if self.rank == 0 { action() } else { Ok(Vec::new()) };
        let code = result.as_ref().map_or_else(Error::exit_code, |_| 0);
        let length = result.as_ref().map_or(0, |values| values.len() as u64);
        let mut head = [u64::from(code), length].map(f64::from_bits);
        self.broadcast(&mut head);
        let [code, length] = head.map(f64::to_bits);
        if code > 0 {
            return result.and(Err(Error::Elsewhere { code: code as u8 }));
        }
        let mut values = result?;
        values.resize(length as usize, 0.0);
        if !values.is_empty() {
            self.broadcast(&mut values);
        }
        Ok(values)
    }

    fn hear(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>> {
        let mut longest = 0u64;
        self.world.all_reduce_into(&(mine.len() as u64), &mut longest, SystemOperation::max());
        let width = longest as usize + 8;
        let mut padded = (mine.len() as u64).to_le_bytes().to_vec();
        padded.extend_from_slice(mine);
        padded.resize(width, 0);
        if self.rank > 0 {
            self.root().gather_into(&padded[..]);
            return Ok(Vec::new());
        }
        let mut all = vec![0u8; width * self.place.ranks];
        self.root().gather_into_root(&padded[..], &mut all[..]);
        let said = |padded: &[u8]| padded[8..8 + word(padded, 0).unwrap_or(0) as usize].to_vec();
        Ok(all.chunks_exact(width).map(said).collect())
    }

    fn lanes(&self) -> usize {
        self.place.threads.iter().sum()
    }

    fn place(&self) -> Place {
        self.place.clone()
    }

    fn tally(&self) -> Tally {
        self.tally.clone()
    }

    fn close(self: Box<Self>, result: Result<()>) -> Result<()> {
        let shared = matches!(
            result,
            Ok(()) | Err(Error::Elsewhere { .. } | Error::Interrupted { .. } | Error::Broken { .. } | Error::Rank { .. })
        );
        let patience = if shared || self.rank == 0 { LONG_FAREWELL } else { FAREWELL };
        let begun = Instant::now();
        // On a communicator of its own: the others may be in any call on the first one.
        let mut barrier = self.farewell.immediate_barrier();
        let mut nap = Duration::from_micros(20);
        while let Err(waiting) = barrier.test() {
            barrier = waiting;
            while self.receive().is_some() {}
            if let Err(error) = &result
                && begun.elapsed() > patience
            {
                if !shared && self.rank > 0 {
                    crate::error::complain(format_args!("rank {} on {}: {error}", self.rank, host()));
                }
                self.world.abort(error.exit_code().into());
            }
            sleep(nap);
            nap = (2 * nap).min(NAP);
        }
        result
    }
}

/// The other ranks, as rank 0 sees them.
struct Ranks<'a> {
    mpi: &'a Mpi,
    width: usize,
}

impl Others for Ranks<'_> {
    fn threads(&self) -> &[usize] {
        &self.mpi.place.threads
    }

    fn give(&mut self, rank: usize, range: Range<u64>) {
        let bytes = words(&[self.mpi.stream.get(), range.start, range.end]);
        self.mpi.world.process_at_rank(rank as i32).send_with_tag(&bytes[..], WORK);
    }

    fn poll(&mut self, visit: &mut dyn FnMut(usize, Done)) -> bool {
        let mut asked = false;
        while let Some((tag, rank, stream, rest)) = self.mpi.receive() {
            asked |= tag == ASK;
            // Results of a stream that has ended were computed in vain.
            if tag != DONE || stream != self.mpi.stream.get() {
                continue;
            }
            let mut rest = rest.as_slice();
            let Some(chunk) = Chunk::decode(&mut rest, self.width) else { continue };
            let panic = (!rest.is_empty()).then(|| String::from_utf8_lossy(rest).into_owned());
            visit(rank, Done { chunk, panic });
        }
        asked
    }
}

fn report(stream: u64, done: &Done) -> Vec<u8> {
    let mut bytes = words(&[stream]);
    done.chunk.encode(&mut bytes);
    if let Some(message) = &done.panic {
        bytes.extend_from_slice(format!("{message} (rank {} on {})", super::rank(), host()).as_bytes());
    }
    bytes
}

fn words(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn word(bytes: &[u8], index: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(8 * index..8 * index + 8)?.try_into().ok()?))
}

/// Ranks that hear from `rank` in the binomial tree with root 0.
fn children(rank: usize, ranks: usize) -> impl Iterator<Item = usize> {
    let first = if rank == 0 { 0 } else { rank.ilog2() + 1 };
    (first..usize::BITS).map(move |k| rank + (1usize << k)).take_while(move |child| *child < ranks)
}

/// A panic would unwind into `MPI_Finalize`, where it waits for ranks that wait for it. In a task it is caught; anywhere else
/// it ends every rank.
fn abort_on_panic() {
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if in_task() {
            panicked_at(panic.location().map(ToString::to_string));
        } else {
            say(panic);
            eprintln!("rank {} on {}: this is a defect of nicho; all ranks end", super::rank(), host());
            SimpleCommunicator::world().abort(70);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_stream_reaches_every_rank_once() {
        for ranks in [1, 2, 3, 7, 16, 10_000] {
            let mut heard = vec![0; ranks];
            let mut at = vec![0];
            while let Some(rank) = at.pop() {
                heard[rank] += 1;
                at.extend(children(rank, ranks));
            }
            assert!(heard.iter().all(|times| *times == 1), "{ranks}");
        }
    }
}
