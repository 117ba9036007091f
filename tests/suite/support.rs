//! What several kinds of test need: the binary as its user runs it, and the engine as a library.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nicho::exec::Executor;
use nicho::model::Stages;
use nicho::population::Run;
use nicho::sampler::{Problem, Progress, Sampler, Watch, infer};

/// A path below the root of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text of a file below the root of the repository.
pub fn text(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap()
}

/// Every shipped job, by path, in order of name.
pub fn shipped_jobs() -> Vec<PathBuf> {
    let files = std::fs::read_dir(repository("jobs")).unwrap().map(|entry| entry.unwrap().path());
    let mut jobs: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    jobs.sort();
    jobs
}

/// Every shipped scenario, by path, in order of name.
pub fn shipped_scenarios() -> Vec<PathBuf> {
    let files = std::fs::read_dir(repository("jobs/scenarios")).unwrap().map(|entry| entry.unwrap().path());
    let mut scenarios: Vec<PathBuf> = files.collect();
    scenarios.sort();
    scenarios
}

/// A temporary folder with a copy of `jobs/` in it, so that commands can name files as a user does.
pub fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("jobs/data")).unwrap();
    std::fs::create_dir_all(folder.path().join("jobs/scenarios")).unwrap();
    for scenario in shipped_scenarios() {
        std::fs::copy(&scenario, folder.path().join("jobs/scenarios").join(scenario.file_name().unwrap())).unwrap();
    }
    for file in ["stop.toml", "two-trials.toml", "two-trials.csv"] {
        std::fs::copy(repository("tests/suite").join(file), folder.path().join(file)).unwrap();
    }
    for job in shipped_jobs() {
        std::fs::copy(&job, folder.path().join("jobs").join(job.file_name().unwrap())).unwrap();
    }
    std::fs::copy(repository("jobs/program.py"), folder.path().join("jobs/program.py")).unwrap();
    std::fs::copy(repository("jobs/data/iris.csv"), folder.path().join("jobs/data/iris.csv")).unwrap();
    folder
}

/// The binary in a folder, deaf to the environment of whoever runs the tests.
pub fn nicho(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nicho"));
    command.current_dir(folder).args(args).stdin(Stdio::null());
    command.env_remove("RUST_LOG").env("NO_COLOR", "1").env("COLUMNS", "120");
    command
}

/// What a command came to.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Said {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs a command to its end, whatever that is.
pub fn say(folder: &Path, args: &[&str]) -> Said {
    nicho(folder, args).output().unwrap().into()
}

/// Runs a command that must succeed, and returns its standard output.
#[track_caller]
pub fn succeed(folder: &Path, args: &[&str]) -> String {
    let said = say(folder, args);
    assert_eq!(said.code, 0, "nicho {}\n{}{}", args.join(" "), said.out, said.err);
    said.out
}

/// Says that a test was left out, past the harness, which hides what a passing test prints.
pub fn left_out(test: &str, why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "LEFT OUT: {test}: {why}");
}

/// A watcher that sees nothing and never stops.
pub struct Blind;

impl Watch for Blind {
    fn progress(&mut self, _: &Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
    fn generation(&mut self, _: &Run) {}
}

/// An inference from its beginning to its end, in memory.
pub fn run(sampler: &dyn Sampler, problem: &Problem, exec: &dyn Executor) -> Run {
    let mut run = Run::default();
    assert!(infer(sampler, problem, &mut run, exec, &mut Blind, &mut |_| Ok(())).unwrap());
    run
}

/// Every stage of a simulation, as (share of the work, lower bounds, upper bounds).
#[derive(Default)]
pub struct Witness(pub Vec<(f64, Vec<f64>, Vec<f64>)>);

impl Stages for Witness {
    fn stage(&mut self, done: f64, lower: &[f64], upper: &[f64]) -> ControlFlow<()> {
        self.0.push((done, lower.to_vec(), upper.to_vec()));
        ControlFlow::Continue(())
    }
    fn looks(&self) -> bool {
        true
    }
}
