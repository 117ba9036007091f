//! MPI ranks: the same digests on any number of them and after kills, and what a launch that went wrong gets.
//!
//! `NICHO_MPIRUN` is the launcher of the MPI library that the binary was built with (`mpirun` if unset), `NICHO_OTHER_MPIRUN`
//! one of another library. `tests/run` sets both, and runs these tests on two libraries and without MPI. Every test on ranks
//! takes their number from the record in the file, so that N processes that each run alone cannot pass.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::support::{Said, folder, left_out};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nicho");

/// No run of these tests takes longer, on a busy machine either; one that does hangs.
const PATIENCE: Duration = Duration::from_secs(180);

/// One launch at a time: ranks beyond the CPUs wait for each other, and the limits on time mean something.
static TURN: Mutex<()> = Mutex::new(());

/// Processes under a launcher. What is left of them ends when this is dropped.
struct Launched {
    launcher: Child,
    folder: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

/// Starts `command` (in the words of a shell, `nicho` being the binary) on so many ranks.
fn launch(mpirun: &str, folder: &Path, ranks: usize, command: &str) -> Launched {
    let turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let script = format!("nicho() {{ exec '{PROGRAM}' \"$@\"; }}; {command}");
    let mut launcher = Command::new(mpirun);
    launcher.args(["-n", &ranks.to_string(), "sh", "-c", &script]).current_dir(folder).process_group(0);
    // Open MPI wants to be told that it may run as root, and on fewer cores than ranks; MPICH does not ask.
    for (name, value) in [
        ("OMPI_ALLOW_RUN_AS_ROOT", "1"),
        ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"),
        ("OMPI_MCA_rmaps_base_oversubscribe", "1"),
        ("OMPI_MCA_mpi_yield_when_idle", "1"),
        ("OMPI_MCA_btl_vader_single_copy_mechanism", "none"),
    ] {
        launcher.env(name, value);
    }
    launcher.env_remove("RUST_LOG").env("NO_COLOR", "1").env("COLUMNS", "120");
    let file = |name: &str| std::fs::File::create(folder.join(name)).unwrap();
    launcher.stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
    let launcher = launcher.spawn().unwrap_or_else(|error| panic!("{mpirun}: {error}"));
    Launched { launcher, folder: folder.canonicalize().unwrap(), _turn: turn }
}

impl Launched {
    /// The processes of this launch, which all work in its folder; with `ranks`, only those that run the binary.
    fn processes(&self, ranks: bool) -> Vec<u32> {
        let program = Path::new(PROGRAM).canonicalize().unwrap();
        let process = |entry: std::fs::DirEntry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            let here = std::fs::read_link(entry.path().join("cwd")).ok()? == self.folder;
            let wanted = !ranks || std::fs::read_link(entry.path().join("exe")).ok()? == program;
            (here && wanted).then_some(number)
        };
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| process(entry.ok()?)).collect()
    }

    /// Waits for the launcher, which must end, and leave no rank behind.
    #[track_caller]
    fn end(mut self, within: Duration) -> Said {
        let begun = Instant::now();
        let text = |name: &str| String::from_utf8_lossy(&std::fs::read(self.folder.join(name)).unwrap()).into_owned();
        let status = loop {
            match self.launcher.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(begun.elapsed() < within, "it hangs\n{}\n{}", text("out"), text("err")),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        while !self.processes(true).is_empty() {
            assert!(begun.elapsed() < within, "the launcher has ended, ranks have not\n{}", text("err"));
            std::thread::sleep(Duration::from_millis(20));
        }
        Said { code: status.code().unwrap_or(-1), out: text("out"), err: text("err") }
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        let _ = self.launcher.kill();
        let _ = self.launcher.wait();
        signal("KILL", &self.processes(false));
    }
}

fn signal(name: &str, processes: &[u32]) {
    let numbers: Vec<String> = processes.iter().map(u32::to_string).collect();
    // One that has just ended is no fault.
    let _ = Command::new("sh").args(["-c", &format!("kill -{name} {}", numbers.join(" "))]).stderr(Stdio::null()).status();
}

fn mpirun() -> String {
    std::env::var("NICHO_MPIRUN").unwrap_or_else(|_| "mpirun".into())
}

/// How often a piece stands in a text.
fn times(text: &str, piece: &str) -> usize {
    text.matches(piece).count()
}

#[cfg(feature = "mpi")]
mod with_mpi {
    use super::*;
    use crate::bad_input::Tiny;
    use crate::support::succeed;
    use nicho::rng::{Key, Purpose};
    use nicho::store::Store;
    use serde_json::Value;

    fn has_ended(job: &mut Launched) -> bool {
        job.launcher.try_wait().unwrap().is_some()
    }

    fn on(folder: &Path, ranks: usize, command: &str) -> Launched {
        launch(&mpirun(), folder, ranks, command)
    }

    /// Runs a command on ranks to its end, which must be a good one.
    #[track_caller]
    fn succeed_on(folder: &Path, ranks: usize, command: &str) -> Said {
        let said = on(folder, ranks, command).end(PATIENCE);
        assert_eq!(said.code, 0, "{command} on {ranks} ranks\n{}\n{}", said.out, said.err);
        said
    }

    /// The records of the sessions in a file.
    fn sessions(folder: &Path, file: &str) -> Vec<Value> {
        Store::open(folder.join(file)).unwrap().sessions()
    }

    /// A folder, and the digests of the smoke job in it, run on threads.
    fn on_threads() -> (tempfile::TempDir, String) {
        let folder = folder();
        succeed(folder.path(), &["run", "jobs/iris-smoke.toml", "-o", "threads.h5", "--threads", "2"]);
        let digests = succeed(folder.path(), &["digest", "threads.h5"]);
        (folder, digests)
    }

    #[test]
    fn ranks_and_threads_give_one_answer() {
        let (folder, whole) = on_threads();
        for (ranks, threads) in [(1, 1), (2, 1), (3, 1), (4, 1), (7, 1), (2, 2), (3, 2)] {
            let file = format!("{ranks}x{threads}.h5");
            let said = succeed_on(folder.path(), ranks, &format!("nicho run jobs/iris-smoke.toml -o {file} --threads {threads}"));
            assert_eq!(succeed(folder.path(), &["digest", &file]), whole, "{ranks} ranks with {threads} threads");
            let session = sessions(folder.path(), &file).pop().unwrap();
            assert_eq!((&session["ranks"], &session["threads"]), (&ranks.into(), &threads.into()), "{session}");
            assert!(session["mpi"].as_str().is_some_and(|mpi| mpi.contains("MPI")), "{session}");
            let hosts = session["hosts"].as_str().unwrap();
            assert!(ranks == 1 || hosts.ends_with(&format!("*{ranks}")), "{session}");
            // Rank 0 speaks, and it alone.
            assert_eq!((times(&said.out, "\nResult "), times(&said.err, "starting")), (1, 1), "{}{}", said.out, said.err);
        }
    }

    /// What each rank does can be seen while a run goes on, in its heartbeat and by `watch`, and after, in the file and on the page.
    ///
    /// Planted: every chunk counts as one of rank 0. Seen: `1@…:0.000:0%` in the heartbeat.
    #[test]
    fn the_pace_of_each_rank_is_seen() {
        let folder = folder();
        let path = folder.path();
        let job = std::fs::read_to_string(path.join("jobs/iris-smoke.toml")).unwrap();
        std::fs::write(path.join("jobs/endless.toml"), job.replace("population = 60", "population = 50000")).unwrap();
        let mut run = on(path, 3, "nicho run jobs/endless.toml -o endless.h5 --threads 1");
        let beats = || std::fs::read_to_string(path.join("endless.h5.progress")).unwrap_or_default();
        let begun = Instant::now();
        while !beats().contains(" by_rank=0@") {
            assert!(begun.elapsed() < PATIENCE && !has_ended(&mut run), "{}", beats());
            std::thread::sleep(Duration::from_millis(50));
        }
        let line = beats().lines().last().unwrap().to_string();
        let groups = line.split(" by_rank=").nth(1).unwrap().split(' ').next().unwrap();
        let rate = |word: &str| word.split(':').nth(1).unwrap().parse::<f64>().unwrap();
        let rates: Vec<f64> = groups.split(',').map(rate).collect();
        assert!(rates.len() == 3 && rates.iter().all(|rate| *rate > 0.0), "{line}");
        let whole =
            rate(line.split(" rate=").nth(1).unwrap().split("/s").next().map(|rate| format!(":{rate}")).as_deref().unwrap());
        let sum: f64 = rates.iter().sum();
        // Results that have come, and those among them that are there in order.
        assert!((sum / whole - 1.0).abs() < 0.2, "{line}");
        let said = succeed(path, &["watch", "endless.h5"]);
        assert!(said.contains("\nTasks by rank, of late\nrank  host") && said.contains("\n2     "), "{said}");
        let of: Value = serde_json::from_str(&succeed(path, &["watch", "endless.h5", "--json"])).unwrap();
        assert_eq!(of["by_rank"]["groups"].as_array().unwrap().len(), 3, "{of:#}");
        drop(run);
        succeed_on(path, 2, "nicho run jobs/iris-smoke.toml -o two.h5 --threads 1");
        let session = sessions(path, "two.h5").pop().unwrap();
        let of = |name: &str| {
            session["work_by_rank"][name].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<_>>()
        };
        let (tasks, busy) = (of("tasks"), of("busy_seconds"));
        assert!(tasks.len() == 2 && tasks.iter().chain(&busy).all(|x| *x > 0.0), "{session}");
        let simulated = Store::open(path.join("two.h5")).unwrap().run().simulated();
        assert!(tasks.iter().sum::<f64>() >= simulated as f64, "{simulated}: {session}");
        let share = session["busy"].as_f64().unwrap();
        assert!((share - busy.iter().sum::<f64>() / (2.0 * session["seconds"].as_f64().unwrap())).abs() < 0.02, "{session}");
        let said = succeed(path, &["watch", "two.h5"]);
        assert!(
            said.contains("\nTasks by rank, over the last session on several ranks\nrank  host") && said.contains("\n1     "),
            "{said}"
        );
        let page = std::fs::read_to_string(path.join("two.report/report.html")).unwrap();
        assert!(page.contains("Throughput by rank"));
    }

    /// A prediction too: its tables and digests are those of threads, and one that would cost another is refused on all ranks.
    #[test]
    fn a_prediction_on_ranks_is_that_of_threads() {
        let (folder, _) = on_threads();
        let predict = "predict threads.h5 jobs/scenarios/early-switch.toml --draws 4 --json -q";
        let words: Vec<&str> = predict.split(' ').collect();
        let said = succeed(folder.path(), &[&words[..], &["--no-store"]].concat());
        for (ranks, threads) in [(2, 1), (3, 2)] {
            let on_ranks = succeed_on(folder.path(), ranks, &format!("nicho {predict} --threads {threads}"));
            assert_eq!(on_ranks.out, said, "{ranks} ranks with {threads} threads");
            assert_eq!(sessions(folder.path(), "threads.h5").pop().unwrap()["ranks"], ranks);
        }
        let digests = succeed(folder.path(), &["digest", "threads.h5"]);
        succeed(folder.path(), &words);
        assert_eq!(succeed(folder.path(), &["digest", "threads.h5"]), digests);
        let fewer = "nicho predict threads.h5 jobs/scenarios/early-switch.toml --draws 2 -q";
        refused(folder.path(), &mpirun(), 3, fewer, 4, &["more than 2", "--replace"]);
    }

    /// SIGKILL of one rank, whichever, at any time: the job ends at once, the file opens, and any number of ranks goes on from
    /// there, or threads.
    #[test]
    fn a_rank_that_is_killed_ends_the_job_and_costs_no_answer() {
        let (folder, whole) = on_threads();
        let begun = Instant::now();
        succeed_on(folder.path(), 2, "nicho run jobs/iris-smoke.toml -o two.h5 --threads 1");
        let mut length = begun.elapsed().as_secs_f64();
        let seed = u64::from(std::process::id());
        let mut dice = Key::root(seed).stream(Purpose::Simulate);
        let file = folder.path().join("killed.h5");
        let numbers = [2, 3, 4, 2, 7, 3];
        let mut kills: Vec<(usize, usize, u64)> = Vec::new();
        while kills.len() < numbers.len() {
            let ranks = numbers[kills.len()];
            let mut job = on(folder.path(), ranks, "nicho run jobs/iris-smoke.toml -o killed.h5 --resume --threads 1");
            let wait = length * dice.uniform();
            std::thread::sleep(Duration::from_secs_f64(wait));
            while job.processes(true).is_empty() && !has_ended(&mut job) {
                std::thread::sleep(Duration::from_millis(5));
            }
            let running = job.processes(true);
            if running.is_empty() || has_ended(&mut job) {
                // It came to its end before the kill: once more from the beginning, with shorter waits.
                assert_eq!(job.end(PATIENCE).code, 0);
                std::fs::remove_file(&file).unwrap();
                (kills, length) = (Vec::new(), 0.7 * length);
                continue;
            }
            let victim = (dice.uniform() * running.len() as f64) as usize;
            signal("KILL", &[running[victim]]);
            let said = job.end(Duration::from_secs(30));
            kills.push((ranks, victim, (wait * 1e3) as u64));
            // A rank that is killed on its way out may have done all its work.
            assert!(said.code != 0 || file.exists(), "seed {seed}, (ranks, victim, ms) {kills:?}: {}", said.err);
            if file.exists() {
                succeed(folder.path(), &["digest", "killed.h5"]);
            }
        }
        println!("seed {seed}: killed (ranks, victim, ms) {kills:?}");
        succeed_on(folder.path(), 3, "nicho run jobs/iris-smoke.toml -o killed.h5 --resume --threads 2");
        assert_eq!(succeed(folder.path(), &["digest", "killed.h5"]), whole, "seed {seed}, (ranks, victim, ms) {kills:?}");
        let last = sessions(folder.path(), "killed.h5").pop().unwrap();
        assert_eq!(last["ranks"], 3, "{last}");
    }

    /// What a queue sends. Launchers hand SIGUSR1 on: exit code 75. At SIGTERM each has a way of its own to end its ranks,
    /// with more time or less.
    #[test]
    fn a_job_that_is_asked_to_end_does_and_resumes() {
        let (folder, whole) = on_threads();
        for (name, ranks, others) in [("USR1", 3, 2), ("TERM", 2, 4)] {
            let file = format!("{name}.h5");
            let mut job = on(folder.path(), ranks, &format!("nicho run jobs/iris-smoke.toml -o {file} --threads 1"));
            let said = |job: &Launched| std::fs::read_to_string(job.folder.join("err")).unwrap();
            let begun = Instant::now();
            while !said(&job).contains("generation done") && !has_ended(&mut job) {
                assert!(begun.elapsed() < PATIENCE, "{}", said(&job));
                std::thread::sleep(Duration::from_millis(10));
            }
            signal(name, &[job.launcher.id()]);
            let said = job.end(Duration::from_secs(20));
            if name == "USR1" {
                assert_eq!(said.code, 75, "{}", said.err);
                assert_eq!(times(&said.err, "error: interrupted"), 1, "{}", said.err);
            }
            assert_ne!(said.code, 0, "{name}: {}", said.err);
            succeed(folder.path(), &["digest", &file]);
            if name == "USR1" {
                // Whichever rank the signal came to first; and the time that it took is on record.
                let beats = std::fs::read_to_string(folder.path().join(format!("{file}.progress"))).unwrap();
                assert!(beats.lines().last().unwrap().contains("Z interrupted ranks="), "{beats}");
                let session = sessions(folder.path(), &file).pop().unwrap();
                assert!(session["tasks"].as_u64().unwrap() > 60 && session["seconds"].as_f64().unwrap() > 0.0, "{session}");
            }
            succeed_on(folder.path(), others, &format!("nicho run jobs/iris-smoke.toml -o {file} --resume --threads 1"));
            assert_eq!(succeed(folder.path(), &["digest", &file]), whole, "{name}");
            let ranks: Vec<Value> = sessions(folder.path(), &file).iter().map(|session| session["ranks"].clone()).collect();
            assert_eq!(ranks.last(), Some(&others.into()), "{ranks:?}");
        }
    }

    /// Runs what must be refused: with this exit code, said once, in seconds.
    #[track_caller]
    fn refused(folder: &Path, mpirun: &str, ranks: usize, command: &str, code: i32, words: &[&str]) {
        let said = launch(mpirun, folder, ranks, command).end(Duration::from_secs(60));
        assert_eq!(said.code, code, "{command}\n{}\n{}", said.out, said.err);
        assert_eq!(times(&said.err, "error: "), 1, "{command}: said once?\n{}", said.err);
        for word in words {
            assert!(said.err.contains(word), "{command}: no '{word}' in\n{}", said.err);
        }
    }

    #[test]
    fn ranks_that_read_different_jobs_are_refused() {
        let folder = folder();
        let job = std::fs::read_to_string(folder.path().join("jobs/coin.toml")).unwrap();
        std::fs::write(folder.path().join("jobs/other.toml"), job.replace("seed = 1\n", "seed = 2\n")).unwrap();
        std::fs::write(folder.path().join("jobs/broken.toml"), job.replace("seed = 1\n", "seed = one\n")).unwrap();
        for (ranks, odd, name, words) in [
            (2, 1, "other", &["rank 1 on ", "seed: 2 there, 1 here"][..]),
            (3, 2, "other", &["rank 2 on ", "another job"]),
            (3, 0, "other", &["rank 1 on ", "seed: 1 there, 2 here"]),
            (3, 1, "broken", &["rank 1 on ", "broken.toml:"]),
            (3, 0, "broken", &["broken.toml:", "fix: "]),
            (2, 1, "missing", &["rank 1 on ", "missing.toml", "No such file"]),
        ] {
            let code = if name == "missing" { 6 } else { 3 };
            let choose = format!("[ ${{OMPI_COMM_WORLD_RANK:-$PMI_RANK}} = {odd} ] && job={name} || job=coin");
            refused(folder.path(), &mpirun(), ranks, &format!("{choose}; nicho run jobs/$job.toml -o coin.h5 -q"), code, words);
        }
        assert!(!folder.path().join("coin.h5").exists());
    }

    /// Only rank 0 has the file; the others hear what became of it.
    #[test]
    fn an_output_that_cannot_be_written_is_one_error_on_all_ranks() {
        let folder = folder();
        refused(
            folder.path(),
            &mpirun(),
            3,
            "nicho run jobs/coin.toml -o none/coin.h5 -q",
            6,
            &["none", "No such file", "fix: "],
        );
        // A full disk: the file is begun, and its generations do not fit.
        let Some(_tiny) = Tiny::mount(folder.path().join("full"), 240) else {
            return left_out("a full disk under ranks", "no right to mount a small tmpfs (root has it)");
        };
        let command = "nicho run jobs/coin.toml -o full/coin.h5 -q";
        refused(folder.path(), &mpirun(), 3, command, 6, &["full/coin.h5", "No space left", "fix: make room"]);
        std::fs::copy(folder.path().join("full/coin.h5"), folder.path().join("small.h5")).unwrap();
        succeed_on(folder.path(), 2, "nicho run jobs/coin.toml -o small.h5 -q --resume");
        assert_eq!(sessions(folder.path(), "small.h5").pop().unwrap()["ranks"], 2);
        succeed(folder.path(), &["run", "jobs/coin.toml", "-o", "whole.h5", "-q"]);
        assert_eq!(succeed(folder.path(), &["digest", "small.h5"]), succeed(folder.path(), &["digest", "whole.h5"]));
    }

    /// The launcher of another library: each process would be rank 0 of 1, and all of them write one file.
    #[test]
    fn a_launcher_that_does_not_fit_is_refused() {
        let Ok(other) = std::env::var("NICHO_OTHER_MPIRUN") else {
            return left_out("a_launcher_that_does_not_fit_is_refused", "NICHO_OTHER_MPIRUN names no launcher of another MPI");
        };
        let folder = folder();
        let words = ["2 processes", "do not fit", "fix: "];
        refused(folder.path(), &other, 2, "nicho run jobs/coin.toml -o coin.h5 -q", 2, &words);
        assert!(!folder.path().join("coin.h5").exists());
    }
}

#[cfg(not(feature = "mpi"))]
#[test]
fn a_build_without_mpi_says_so_under_mpirun() {
    let mpirun = mpirun();
    if Command::new(&mpirun).arg("--version").output().is_err() {
        return left_out("a_build_without_mpi_says_so_under_mpirun", "there is no mpirun");
    }
    let folder = folder();
    let said = launch(&mpirun, folder.path(), 2, "nicho run jobs/coin.toml -o coin.h5 -q").end(PATIENCE);
    assert_eq!(said.code, 2, "{}", said.err);
    assert_eq!(times(&said.err, "error: "), 1, "{}", said.err);
    for word in ["2 processes", "built without MPI", "--features mpi"] {
        assert!(said.err.contains(word), "no '{word}' in {}", said.err);
    }
    assert!(!folder.path().join("coin.h5").exists());
    // One process is no fault: `mpirun -n 1` in a script that sizes itself.
    let said = launch(&mpirun, folder.path(), 1, "nicho run jobs/coin.toml -o coin.h5 -q").end(PATIENCE);
    assert_eq!(said.code, 0, "{}", said.err);
}
