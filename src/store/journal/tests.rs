//! What a journal keeps, what it refuses, and what outlives a kill.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::exec::gather;
use crate::exec::threads::Threads;
use crate::population::{Calibration, Generation, Ranked, Stop};
use crate::store::{Column, Header};
use ndarray::Array2;

fn header(seed: u64) -> Header {
    let column = |name: &str| Column { name: name.into(), unit: "-".into(), long_name: name.into() };
    Header {
        job_name: "journal".into(),
        job_text: String::new(),
        job_canonical: format!("{{\"seed\":{seed}}}"),
        observations_name: String::new(),
        observations_text: String::new(),
        observations_sha256: String::new(),
        parameters: vec![column("k")],
        summaries: vec![column("s")],
        observed: vec![0.0],
        fixed: vec![],
        rows: vec![],
    }
}

fn generation(distance: f64) -> Generation {
    Generation {
        tolerance: 1.0,
        theta: Array2::zeros((1, 1)),
        distance: vec![distance],
        ln_weight: vec![0.0],
        trial: vec![0],
        summaries: Array2::zeros((1, 1)),
        simulated: 1,
        failed: 0,
    }
}

/// A result file without a generation, and its folder.
fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path().join("run.h5"), &header(1)).unwrap();
    (folder, store)
}

/// Two numbers a row; every third id is kept.
fn two(id: u64, row: &mut [f64]) -> Outcome {
    row.copy_from_slice(&[id as f64, -0.5 * id as f64]);
    [Outcome::Kept, Outcome::Rejected, Outcome::Failed][(id % 3) as usize]
}

/// Wants so many ids, and remembers them.
#[derive(Default)]
struct Upto {
    count: u64,
    seen: Vec<(u64, Outcome, Vec<f64>)>,
}

impl Sink for Upto {
    fn next(&mut self, id: u64, outcome: Outcome, row: &[f64]) -> ControlFlow<()> {
        self.seen.push((id, outcome, row.to_vec()));
        if self.seen.len() as u64 == self.count { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
    fn remaining(&self) -> Option<u64> {
        Some(self.count - self.seen.len() as u64)
    }
}

fn chunks(journal: &Journaled<'_>) -> BTreeMap<u64, Vec<Chunk>> {
    journal.journal.borrow().as_ref().unwrap().known.clone()
}

fn text(result: Result<()>) -> String {
    result.unwrap_err().to_string()
}

/// The bytes of a journal with these records, and where each of its parts ends: head, then record by record.
fn written(store: &Store, records: &[(u64, Chunk)]) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = Identity::of(store).bytes();
    let mut ends = vec![bytes.len()];
    for (stream, chunk) in records {
        bytes.extend(encode(*stream, 2, chunk));
        ends.push(bytes.len());
    }
    (bytes, ends)
}

fn record_of(stream: u64, first: u64, count: u64) -> (u64, Chunk) {
    let mut chunk = Chunk { first, seconds: 0.5, ..Chunk::default() };
    for id in first..first + count {
        let mut row = [0.0; 2];
        chunk.outcomes.push(two(id, &mut row));
        if *chunk.outcomes.last().unwrap() != Outcome::Rejected {
            chunk.rows.extend(row);
        }
    }
    (stream, chunk)
}

fn recalled(store: &Store, bytes: &[u8]) -> Result<(BTreeMap<u64, Vec<Chunk>>, u64)> {
    let path = beside(store.path());
    std::fs::write(&path, bytes).unwrap();
    let threads = Threads::new(1);
    let journal = Journaled::passing(&threads);
    journal.open(store, true)?;
    Ok((chunks(&journal), std::fs::metadata(&path).unwrap().len()))
}

fn by_stream(records: &[(u64, Chunk)]) -> BTreeMap<u64, Vec<Chunk>> {
    let mut known: BTreeMap<u64, Vec<Chunk>> = BTreeMap::new();
    for (stream, chunk) in records {
        known.entry(*stream).or_default().push(chunk.clone());
    }
    known
}

#[test]
fn a_journal_that_is_cut_anywhere_is_whole_up_to_its_last_whole_record() {
    let (_folder, store) = store();
    let records = [record_of(0, 0, 3), record_of(0, 7, 1), record_of(2, 0, 5)];
    let (bytes, ends) = written(&store, &records);
    for cut in 0..=bytes.len() {
        let (known, length) = recalled(&store, &bytes[..cut]).unwrap();
        let whole = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(known, by_stream(&records[..whole.saturating_sub(1)]), "cut at {cut} of {}", bytes.len());
        assert_eq!(length, ends[whole.saturating_sub(1)] as u64, "cut at {cut} of {}", bytes.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// No flipped bit gives a result that was not written; those before it stand. In the head it makes the journal that of
    /// another run, or of none.
    ///
    /// Planted: a checksum that nobody looks at. Seen: ids from 10 in the place of those from 0.
    #[test]
    fn a_flipped_bit_is_no_result(counts in prop::collection::vec((0u64..3, 1u64..5), 1..5), at: prop::sample::Index, bit in 0u8..8) {
        let (_folder, store) = store();
        let records: Vec<(u64, Chunk)> = counts.iter().zip(0..).map(|((stream, n), k)| record_of(*stream, 10 * k, *n)).collect();
        let (mut bytes, ends) = written(&store, &records);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let whole = ends.iter().filter(|end| **end <= at).count();
        match recalled(&store, &bytes) {
            Ok((known, _)) if whole > 0 => prop_assert_eq!(known, by_stream(&records[..whole - 1])),
            Ok((known, _)) => prop_assert!(known.is_empty()),
            Err(error) => {
                prop_assert!(whole == 0, "{}", error);
                prop_assert!(matches!(error, Error::Output { .. }), "{}", error);
            }
        }
    }
}

#[test]
fn after_a_cut_the_next_record_follows_the_last_whole_one() {
    let (_folder, store) = store();
    let (bytes, ends) = written(&store, &[record_of(0, 0, 4), record_of(0, 4, 4)]);
    std::fs::write(beside(store.path()), &bytes[..ends[2] - 1]).unwrap();
    let threads = Threads::new(2);
    let journal = Journaled::passing(&threads);
    journal.open(&store, true).unwrap();
    journal.stream(0, 2, &two, &mut Upto { count: 30, ..Upto::default() }).unwrap();
    drop(journal);
    let journal = Journaled::passing(&threads);
    journal.open(&store, true).unwrap();
    let mut ids: Vec<u64> = chunks(&journal)[&0].iter().flat_map(|c| c.first..c.first + c.len()).collect();
    ids.sort_unstable();
    ids.truncate(30);
    assert_eq!(ids, (0..30).collect::<Vec<_>>());
}

/// Planted: a journal of any job is taken. Seen: no refusal.
#[test]
fn a_journal_of_another_run_is_refused_and_one_of_an_earlier_state_dropped() {
    let (folder, mut store) = store();
    let path = beside(store.path());
    let other = Store::create(folder.path().join("other.h5"), &header(2)).unwrap();
    let mut later = Store::create(folder.path().join("later.h5"), &header(1)).unwrap();
    later.append(generation(0.5)).unwrap();
    let mut twin = Store::create(folder.path().join("twin.h5"), &header(1)).unwrap();
    twin.append(generation(0.25)).unwrap();
    let open = |store: &Store, recall: bool| {
        let threads = Threads::new(1);
        let journal = Journaled::passing(&threads);
        journal.open(store, recall).map(|()| chunks(&journal))
    };
    let put = |of: &Store| std::fs::write(&path, written(of, &[record_of(0, 0, 3)]).0).unwrap();
    let of = |known: Result<BTreeMap<u64, Vec<Chunk>>>| text(known.map(|_| ()));
    put(&other);
    assert!(of(open(&store, true)).contains("run.h5.journal: is the journal of another job than that in "));
    put(&later);
    assert!(of(open(&store, true)).contains("a later state of this job than that in "));
    // What was refused is as it was.
    assert_eq!(std::fs::read(&path).unwrap(), written(&later, &[record_of(0, 0, 3)]).0);
    put(&other);
    std::fs::write(second_of(&path), Identity::of(&other).bytes()).unwrap();
    assert!(of(open(&store, true)).contains("another job"));
    assert_eq!(std::fs::read(second_of(&path)).unwrap(), Identity::of(&other).bytes());
    // Nothing of it is wanted: a run that begins anew.
    assert!(open(&store, false).unwrap().is_empty());
    assert_eq!(std::fs::read(&path).unwrap(), Identity::of(&store).bytes());
    assert!(!second_of(&path).exists());
    // The file has moved on.
    put(&store);
    assert_eq!(open(&store, true).unwrap().len(), 1);
    store.append(generation(0.5)).unwrap();
    assert!(open(&store, true).unwrap().is_empty());
    assert_eq!(std::fs::read(&path).unwrap(), Identity::of(&store).bytes());
    // The inference does not depend on what was derived in between.
    put(&store);
    store.put_modes(&[], None).unwrap();
    assert_eq!(open(&store, true).unwrap().len(), 1);
    // Same number of changes, another result.
    put(&twin);
    assert!(of(open(&store, true)).contains("another state of this job than that in "));
    for foreign in ["Dear diary,\n", "nicho journal 2\n and so on"] {
        for recall in [true, false] {
            std::fs::write(&path, foreign).unwrap();
            assert!(of(open(&store, recall)).contains("is no journal of this version of nicho"), "{foreign}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), foreign);
        }
    }
}

/// After the inference the journal holds what is derived, one thing after the other; a calibration of the job is none of it.
///
/// Planted: it counts as a change of the run. Seen: nothing is known.
#[test]
fn a_calibration_of_the_job_leaves_the_journal_of_its_run() {
    let (_folder, mut store) = store();
    store.append(generation(0.5)).unwrap();
    store.finish(Stop::Generations, 0).unwrap();
    std::fs::write(beside(store.path()), written(&store, &[record_of(0, 0, 3)]).0).unwrap();
    let line = Ranked { name: "k".into(), ranks: vec![7], inside: [1, 1], whole: false, recovery: vec![(0.5, 0.25)] };
    store.put_calibration(&Calibration { tolerance: 1.0, population: 1, lines: vec![line], adjusted: None }).unwrap();
    let threads = Threads::new(1);
    let journal = Journaled::passing(&threads);
    journal.open(&store, true).unwrap();
    assert_eq!(chunks(&journal).len(), 1);
}

/// Planted: the file that is locked is not looked for at its path. Seen: it is not there.
#[test]
fn a_lock_that_another_holds_is_waited_for() {
    let (_folder, store) = store();
    let held = Journal::hold(store.path(), Duration::ZERO).unwrap().unwrap();
    let begun = Instant::now();
    let refused = Journal::hold(store.path(), Duration::from_millis(300)).map(|_| ()).unwrap_err();
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(refused.exit_code(), 4);
    let said = refused.to_string();
    assert!(said.contains("run.h5: another process works on this run (it holds the lock of "), "{said}");
    assert!(said.contains("run.h5.journal)\n  fix: wait for it to end, or give another path with -o"), "{said}");
    // It ends: the waiting one goes on, and not with the file that the other has removed.
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| Journal::hold(store.path(), Duration::from_secs(20)).unwrap().unwrap());
        std::thread::sleep(Duration::from_millis(250));
        std::fs::remove_file(&held.path).unwrap();
        drop(held);
        let journal = waiting.join().unwrap();
        let there = std::fs::metadata(beside(store.path())).unwrap();
        assert_eq!(journal.file.metadata().unwrap().ino(), there.ino());
    });
    // Nothing was written: nothing stays.
    assert!(!beside(store.path()).exists());
}

#[test]
fn a_complete_run_keeps_no_journal_of_its_own() {
    let (_folder, mut store) = store();
    let threads = Threads::new(1);
    let path = beside(store.path());
    let (before, _) = written(&store, &[record_of(0, 0, 3)]);
    store.append(generation(0.5)).unwrap();
    store.finish(Stop::Tolerance, 0).unwrap();
    for (bytes, stays) in [(before, false), (vec![], false), (b"Dear diary,\n".to_vec(), true)] {
        std::fs::write(&path, bytes).unwrap();
        let journal = Journaled::passing(&threads);
        journal.hold(store.path()).unwrap();
        journal.settle(&store).unwrap();
        drop(journal);
        assert_eq!(path.exists(), stays);
    }
}

/// An executor whose simulations never end.
struct Stuck(Cell<Option<u8>>);

impl Executor for Stuck {
    fn stream(&self, _: u64, _: usize, _: &dyn Work, sink: &mut dyn Sink) -> Result<()> {
        self.0.set(sink.abandon());
        Ok(())
    }
    fn once(&self, action: &mut dyn FnMut() -> Result<Vec<f64>>) -> Result<Vec<f64>> {
        action()
    }
    fn lanes(&self) -> usize {
        1
    }
    fn place(&self) -> Place {
        Place::default()
    }
    fn tally(&self) -> Tally {
        Tally::default()
    }
}

/// Predictions and modes come from sinks that know of no journal.
///
/// Planted: the failure of a journal is lost where a simulation does not end. Seen: 75 in place of 6.
#[test]
fn a_process_may_leave_a_simulation_that_does_not_end() {
    let (_folder, store) = store();
    let stuck = Stuck(Cell::new(None));
    let journal = Journaled::passing(&stuck);
    let run = || gather(&journal, 3, 2, &two, &mut |_| ControlFlow::Break(())).unwrap();
    assert_eq!(run(), None);
    assert_eq!(stuck.0.get(), None, "without a journal it would be lost");
    journal.open(&store, false).unwrap();
    journal.may_leave(|| 75);
    assert_eq!(run(), None);
    assert_eq!(stuck.0.get(), Some(75));
    // What could not be written is the reason to tell.
    let Ok(file) = OpenOptions::new().write(true).open("/dev/full") else { return };
    let mut full = Journal::of(beside(store.path()), file, false);
    full.writer = Some(Writer::start(&full).unwrap());
    full.writer.as_ref().unwrap().records.send((vec![0], 1)).unwrap();
    journal.journal.replace(Some(full));
    assert_eq!(run(), None);
    assert_eq!(stuck.0.get(), Some(6));
}

/// A device that is always full stands in for the disk.
///
/// Planted: a failure of the writer that only the end of the stream looks for. Seen: the stream does not end. Planted: one that
/// nobody asks for. Seen: no error.
#[test]
fn a_journal_that_cannot_be_written_ends_the_stream() {
    let (_folder, store) = store();
    let Ok(file) = OpenOptions::new().read(true).write(true).open("/dev/full") else { return };
    let threads = Threads::new(2);
    let journaled = Journaled::passing(&threads);
    let mut journal = Journal::of(beside(store.path()), file, false);
    journal.writer = Some(Writer::start(&journal).unwrap());
    journaled.journal.replace(Some(journal));
    let work = |id: u64, row: &mut [f64]| {
        std::thread::sleep(Duration::from_millis(1));
        two(id, row)
    };
    let error = journaled.stream(0, 2, &work, &mut Upto { count: u64::MAX, ..Upto::default() }).unwrap_err();
    assert!(matches!(&error, Error::Io { source, .. } if source.kind() == ErrorKind::StorageFull), "{error}");
    assert!(error.to_string().contains("run.h5.journal: cannot write the journal of the run"), "{error}");
}

/// Looks at every arrival.
struct Spy<'a>(Upto, &'a mut dyn FnMut());

impl Sink for Spy<'_> {
    fn next(&mut self, id: u64, outcome: Outcome, row: &[f64]) -> ControlFlow<()> {
        self.0.next(id, outcome, row)
    }
    fn remaining(&self) -> Option<u64> {
        self.0.remaining()
    }
    fn arrived(&mut self, _: &Chunk) {
        (self.1)();
    }
}

/// Ids of a stream.
const COUNT: u64 = 120;

/// Streams and ids.
type Ids = Vec<(u64, u64)>;

/// What three streams came to.
struct Session {
    seen: Vec<Vec<(u64, Outcome, Vec<f64>)>>,
    /// Stream and id of what was known, and of what was computed.
    known: BTreeSet<(u64, u64)>,
    computed: Ids,
    /// What was computed when the journal was read, and what was in it.
    killed: Option<(Ids, Vec<u8>)>,
}

fn session(store: &Store, threads: usize, recall: bool, kill_after: usize) -> Session {
    let threads = Threads::new(threads);
    let journal = Journaled::passing(&threads);
    journal.open(store, recall).unwrap();
    let known = chunks(&journal);
    let known = known.iter().flat_map(|(stream, chunks)| chunks.iter().map(|c| (*stream, c.first..c.first + c.len())));
    let known = known.flat_map(|(stream, ids)| ids.map(move |id| (stream, id))).collect();
    let computed = Mutex::new(Vec::new());
    let (mut seen, mut killed) = (Vec::new(), None);
    for stream in 0..3u64 {
        let work = |id: u64, row: &mut [f64]| {
            std::thread::sleep(Duration::from_millis(2));
            let outcome = two(id, row);
            row[1] += stream as f64;
            computed.lock().unwrap().push((stream, id));
            outcome
        };
        let mut look = || {
            let done = computed.lock().unwrap().clone();
            if killed.is_none() && done.len() >= kill_after {
                // The thread of the journal has its turn, on a busy machine too.
                std::thread::sleep(Duration::from_millis(200));
                killed = Some((done, std::fs::read(beside(store.path())).unwrap()));
            }
        };
        let mut sink = Spy(Upto { count: COUNT, ..Upto::default() }, &mut look);
        journal.stream(0, 2, &work, &mut sink).unwrap();
        seen.push(sink.0.seen);
    }
    Session { seen, known, computed: computed.into_inner().unwrap(), killed }
}

/// A verb that changes a result file and computes nothing for its run keeps others out, and leaves the journal alone.
#[test]
fn a_lock_alone_leaves_the_journal_as_it_was() {
    let (_folder, mut store) = store();
    let path = beside(store.path());
    let threads = Threads::new(1);
    for there in [None, Some(written(&store, &[record_of(0, 0, 3)]).0)] {
        there.iter().for_each(|bytes| std::fs::write(&path, bytes).unwrap());
        let journal = Journaled::passing(&threads);
        journal.hold(store.path()).unwrap();
        assert!(Journal::hold(store.path(), Duration::ZERO).is_err());
        journal.stream(0, 2, &two, &mut Upto { count: 5, ..Upto::default() }).unwrap();
        store.put_modes(&[], None).unwrap();
        journal.restart(&store).unwrap();
        drop(journal);
        assert_eq!(std::fs::read(&path).ok(), there);
    }
}

/// What an unfinished session has left is not computed again, on any number of threads, in any stream of the state; the
/// result is that of a session that was not disturbed. What is lost with a session that is killed is what was in flight:
/// the journal is read here while the session is at work, as it would be found after a kill.
///
/// Planted: arrivals that are not written. Seen: "40 of 40 results are lost". Planted: known results of stream 0 given to every
/// stream. Seen: another result.
#[test]
fn a_killed_session_loses_what_was_in_flight() {
    let (_folder, store) = store();
    let whole = session(&store, 1, false, usize::MAX).seen;
    for (threads, other, at) in [(1, 3, 40), (3, 1, 200), (2, 5, 300), (4, 2, 350)] {
        let (done, bytes) = session(&store, threads, false, at).killed.unwrap();
        std::fs::write(beside(store.path()), bytes).unwrap();
        let again = session(&store, other, true, usize::MAX);
        assert!(again.seen == whole, "{threads} threads, killed after {at}, then {other}");
        // What was computed in vain, beyond the end of a stream, may be lost.
        let lost = done.iter().filter(|(stream, id)| *id < COUNT && !again.known.contains(&(*stream, *id))).count();
        // Short tasks are handed out two for each thread.
        assert!(lost <= 2 * threads, "{lost} of {} results are lost", done.len());
        assert!(again.computed.iter().all(|id| !again.known.contains(id)), "what is known was computed again");
    }
}

/// A generation is under way to the disk, and results of the next one arrive. A kill before the file is written leaves
/// the older file and both journals, a kill after it the newer file and both: from either, all of them are known.
///
/// Planted: a second journal that belongs to the older state. Seen: the second results are computed again.
#[test]
fn results_of_the_next_generation_outlive_the_one_that_is_being_saved() {
    let threads = Threads::new(2);
    let computed = AtomicU64::new(0);
    let work = |id: u64, row: &mut [f64]| {
        computed.fetch_add(1, Ordering::Relaxed);
        two(id, row)
    };
    let stream = |journal: &Journaled<'_>, count: u64| {
        let before = computed.load(Ordering::Relaxed);
        let mut sink = Upto { count, ..Upto::default() };
        journal.stream(0, 2, &work, &mut sink).unwrap();
        (sink.seen, computed.load(Ordering::Relaxed) - before)
    };
    let run = |store: &Store| {
        let mut run = store.run().clone();
        run.generations.push(generation(0.25));
        run
    };
    for saved in [false, true] {
        let (_folder, mut store) = store();
        let (first, second);
        {
            let journal = Journaled::passing(&threads);
            journal.open(&store, false).unwrap();
            first = stream(&journal, 20).0;
            let promotion = journal.reached(&run(&store)).unwrap().unwrap();
            second = stream(&journal, 30).0;
            // Killed here: nobody promotes.
            drop(promotion);
        }
        if saved {
            store.append(generation(0.25)).unwrap();
        }
        for _ in 0..2 {
            let journal = Journaled::passing(&threads);
            journal.open(&store, true).unwrap();
            if store.run().generations.is_empty() {
                assert_eq!(stream(&journal, 20), (first.clone(), 0), "the generation that was being saved");
                let promotion = journal.reached(&run(&store)).unwrap().unwrap();
                assert_eq!(stream(&journal, 30), (second.clone(), 0), "the one after it");
                store.append(generation(0.25)).unwrap();
                promotion.promote().unwrap();
            } else {
                assert_eq!(stream(&journal, 30), (second.clone(), 0), "the one after it, saved: {saved}");
            }
            assert!(store.run().generations.len() == 1 && !second_of(&beside(store.path())).exists());
        }
    }
}
