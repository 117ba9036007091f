//! The one error type. Every variant carries the path, key or id that it is about, and says what to do.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

/// What each exit code of the command line means: `--help` says it, and the pages.
pub const EXIT_CODES: [(u8, &str); 9] = [
    (0, "done"),
    (1, "not reproduced, not calibrated, or a mechanism fails"),
    (2, "wrong flags"),
    (3, "wrong job file, scenario file or observations"),
    (4, "the output file is in the way: another job's, finished already, or with another scenario of that name"),
    (5, "too many simulations fail, or a simulator ends the run"),
    (6, "input or output failed, or the file is damaged"),
    (70, "a defect of nicho"),
    (75, "interrupted; what is finished stands, and nicho run --resume goes on"),
];

/// Whether standard error takes colours: a terminal does, unless `NO_COLOR` is set (no-color.org); `CLICOLOR_FORCE` has them anywhere
/// (bixense.com/clicolors).
pub fn colours() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let forced = set("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    let dumb = set("TERM").is_some_and(|value| value == "dumb");
    set("NO_COLOR").is_none() && (forced || (std::io::stderr().is_terminal() && !dumb))
}

/// Says on standard error what is wrong.
pub fn complain(what: impl std::fmt::Display) {
    let (red, plain) = if colours() { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    // A reader that has gone hears nothing.
    let _ = writeln!(std::io::stderr(), "{red}error:{plain} {what}");
}

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can stop a command. A point of parameter space that cannot be simulated is not among these: it is data, see
/// [`Unsimulable`](crate::model::Unsimulable).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A job file or an observation table says something that cannot be meant.
    #[error("{}:{line}:{column}: {key}: {problem}\n  fix: {fix}", file.display())]
    Input {
        /// The file.
        file: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// Key of a job file, or column of a table.
        key: String,
        /// What is wrong, with the legal range.
        problem: String,
        /// What to do.
        fix: String,
    },

    /// A file or folder cannot be read or written.
    #[error("{}: cannot {action}: {source}\n  fix: {}", path.display(), remedy(action, source.kind()))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as in "cannot ...".
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },

    /// The output exists and no flag says what to do with it, or it belongs to another job.
    #[error("{}: {problem}\n  fix: {fix}", path.display())]
    Output {
        /// The output file.
        path: PathBuf,
        /// What is there.
        problem: String,
        /// What to do.
        fix: String,
    },

    /// A result file is damaged, or not one of ours.
    #[error("{}: {problem}\n  fix: name a whole result file of nicho, or run its job again", path.display())]
    Store {
        /// The result file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },

    /// The model fails too often.
    #[error(
        "{failed} of {simulated} simulations of generation {generation} failed, above the failure budget of {budget:.0} %\n  most frequent reason: {reason}\n{place}  fix: {}", remedy_of_failures(*failed == *simulated)
    )]
    Failures {
        /// Generation.
        generation: usize,
        /// Simulations that failed.
        failed: u64,
        /// Simulations.
        simulated: u64,
        /// The budget in percent.
        budget: f64,
        /// The reason given most often.
        reason: String,
        /// Where in parameter space, a line per parameter; empty if it is everywhere.
        place: String,
    },

    /// A signal asked the run to end; what is finished is stored.
    #[error("interrupted; {} holds every finished generation\n  fix: the same command with --resume goes on from there", path.display())]
    Interrupted {
        /// The result file.
        path: PathBuf,
    },

    /// A signal ended a verb that leaves nothing half done.
    #[error("interrupted; {} is as it was\n  fix: start it again", path.display())]
    Broken {
        /// The result file.
        path: PathBuf,
    },

    /// A signal ended a verb that writes no file.
    #[error("interrupted; nothing was written\n  fix: start it again")]
    Stopped,

    /// A value is wrong in a way that has no file: a flag, an argument.
    #[error("{problem}\n  fix: {fix}")]
    Usage {
        /// What is wrong.
        problem: String,
        /// What to do.
        fix: String,
    },

    /// A repeated run has another digest.
    #[error("{} was not reproduced: {groups} differ\n  fix: compare the versions in /provenance; the same version must give the same digests on any machine", path.display())]
    Different {
        /// The result file.
        path: PathBuf,
        /// Groups with another digest.
        groups: String,
    },

    /// A mechanism does not act in the model as the literature says that it does.
    #[error(
        "{failed} of {tested} tested statements fail: {ids}\n  fix: see in the table what was changed and measured; a larger --cohort is surer"
    )]
    Refuted {
        /// Statements that fail.
        failed: usize,
        /// Statements that were tested.
        tested: usize,
        /// Their ids.
        ids: String,
    },

    /// The uncertainty of a posterior is not the right one.
    #[error(
        "not calibrated: {parameters}\n  fix: a larger population makes weights and quantiles surer; if that does not help, report it with the job file"
    )]
    Miscalibrated {
        /// Parameters whose ranks or intervals say so.
        parameters: String,
    },

    /// The simulator is out of order.
    #[error("simulation {id} ended the run: {message}{}", remedy_of_a_simulator(message))]
    Simulator {
        /// Id of the simulation.
        id: u64,
        /// What happened; with a fix of its own on a line of its own, if there is a better one than that of all.
        message: String,
    },

    /// A task panicked: a defect of this program, with the trial that shows it.
    #[error("simulation {id} panicked: {message}\n  this is a defect of nicho; please report it with the job file and this id")]
    Panicked {
        /// Id of the task.
        id: u64,
        /// Panic message, and where in parameter space.
        message: String,
    },

    /// Something is wrong on one rank, and not on rank 0.
    #[error("rank {rank} on {host}: {message}")]
    Rank {
        /// The rank.
        rank: usize,
        /// Its host.
        host: String,
        /// What it says.
        message: String,
        /// The exit code of that.
        code: u8,
    },

    /// Rank 0 has failed and said why; the other ranks leave with its exit code.
    #[error("rank 0 has said why")]
    Elsewhere {
        /// The exit code.
        code: u8,
    },
}

/// What helps against a refusal of the system.
fn remedy(action: &str, kind: std::io::ErrorKind) -> &'static str {
    use std::io::ErrorKind;
    match kind {
        ErrorKind::NotFound if action.starts_with("read") => "check the path; relative paths start in the current folder",
        ErrorKind::NotFound => "check the path, or make the folder first; relative paths start in the current folder",
        ErrorKind::NotADirectory => "a file stands in the path where a folder is due; name another path",
        ErrorKind::IsADirectory => "name a file, not a folder",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "name a path that you have the right to",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "make room or name another place; what is finished stands, and --resume goes on from there"
        }
        ErrorKind::InvalidData => "save it as UTF-8 text",
        _ => "see to the system's reason, then try again; --resume goes on with a run",
    }
}

/// What helps where too many simulations fail. Where `all` do, no region of the priors is better than another.
fn remedy_of_failures(all: bool) -> &'static str {
    if all {
        "mend what that reason names; it holds all over the priors, so that narrower ones do not help"
    } else {
        "narrow the priors away from that region, or raise stop.failures"
    }
}

/// What helps where a simulator ends a run, if its message does not say that.
fn remedy_of_a_simulator(message: &str) -> &'static str {
    if message.contains("\n  fix: ") {
        ""
    } else {
        "\n  fix: mend the simulator, or let the job file say what becomes of such a simulation; then --resume"
    }
}

impl Error {
    /// Wraps an I/O error with its path; `action` completes "cannot ...".
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { path, action, source }
    }

    /// The exit code of the command line, one of [`EXIT_CODES`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Different { .. } | Error::Refuted { .. } | Error::Miscalibrated { .. } => 1,
            Error::Usage { .. } => 2,
            Error::Input { .. } => 3,
            Error::Output { .. } => 4,
            Error::Failures { .. } | Error::Simulator { .. } => 5,
            Error::Io { .. } | Error::Store { .. } => 6,
            Error::Panicked { .. } => 70,
            Error::Interrupted { .. } | Error::Broken { .. } | Error::Stopped => 75,
            Error::Rank { code, .. } | Error::Elsewhere { code } => *code,
        }
    }
}
