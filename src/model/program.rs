//! An external program as the simulator: any language that reads and writes lines.
//!
//! The program is started once for each thread and answers one line with one line, until its standard input ends. It may also
//! end after every answer; it is then started anew.
//!
//! ```text
//! nicho -> program   SEED VALUE VALUE ...       a whole number below 2^63, then the parameters, in the order of NICHO_PARAMETERS:
//!                                              that of their names
//! program -> nicho   VALUE VALUE ...            the summaries, in the order of the job file
//!                    failed REASON              this point cannot be simulated: counted and reported, like any other failure
//! ```
//! An answer must leave the program at once: `print(..., flush=True)` in Python, `flush(stdout())` in R, `fflush()` in C; mawk must
//! be told to read line by line (`-W interactive`). Numbers are decimal and read back to the same bits. The names stand in the environment, as `NICHO_PARAMETERS` and
//! `NICHO_SUMMARIES`, separated by blanks. Answers must be functions of their line alone: the same line may be asked twice, and
//! lines come in another order on other machines. What the program says on standard error is shown when it fails. A program that
//! is ended is killed; those that it has started itself are not, so that a shell should `exec` the last of them.
//!
//! The clock must not shape a result. A program that is silent for longer than its limit is killed, and asked again or the run
//! ends, unless the job says that it counts as a failure; such a run is marked as not reproducible.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Model, Parameter, Stages, Summary, Unsimulable};
use crate::exec::abort;
use crate::rng::{Key, Purpose};
use crate::trial::vocabulary::Word;

/// Times that a program which exceeds its limit is asked again before the run ends.
const RETRIES: u32 = 2;
/// Time after which it is asked whether the answer is still wanted.
const GLANCE: Duration = Duration::from_millis(200);
/// What an answer begins with that says why there is none.
const FAILED: &str = "failed";
/// Lines of standard error that are kept.
const LAST_WORDS: usize = 5;

/// What becomes of a simulation that does not end well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The run ends.
    Abort,
    /// The point counts as one that cannot be simulated.
    Reject,
    /// The same line is asked again; after two times the run ends.
    Retry,
}

impl Word for Policy {
    const ALL: &'static [(&'static str, Self)] =
        &[("abort", Policy::Abort), ("reject", Policy::Reject), ("retry", Policy::Retry)];
}

/// An external program.
pub struct Program {
    parameters: Vec<Parameter>,
    summaries: Vec<Summary>,
    command: Vec<String>,
    /// Where it is started.
    folder: PathBuf,
    /// Where its files were looked for.
    folders: Vec<PathBuf>,
    limit: Duration,
    on_timeout: Policy,
    on_failure: Policy,
    /// Started programs that nobody waits for.
    idle: Mutex<Vec<Started>>,
}

/// A program that runs.
struct Started {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    last_words: Arc<Mutex<VecDeque<String>>>,
    /// Whether it has answered before: one that then ends has done nothing wrong.
    answered: bool,
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Why there is no answer.
enum Silence {
    /// It ended after an earlier answer.
    Ended,
    /// It ended without an answer.
    Crashed(String),
    /// It is silent for too long.
    Late,
    /// Nobody waits for it any more.
    Unwanted,
}

/// A folder by a name that a system knows: that of a file without a folder is empty.
fn here_if_empty(folder: &Path) -> PathBuf {
    if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_path_buf() }
}

/// Whether a word of a command is likely to be the name of a file: it has an ending of letters, or a folder before it.
fn looks_like_a_file(word: &str) -> bool {
    let ending = Path::new(word).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    word.contains('/') || ending.starts_with(char::is_alphabetic)
}

/// The lines that a program says, whatever their bytes are.
fn lines_of(said: impl Read) -> impl Iterator<Item = String> {
    let text = |line: Vec<u8>| String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line)).into_owned();
    BufReader::new(said).split(b'\n').map_while(Result::ok).map(text)
}

impl Program {
    /// A program that is started by `command` in that of the `folders` which holds most of the files that it names, in the first of
    /// those that are alike.
    pub fn new(parameters: Vec<Parameter>, summaries: Vec<Summary>, command: Vec<String>, folders: &[PathBuf]) -> Self {
        let mut folders: Vec<PathBuf> = folders.iter().map(|folder| here_if_empty(folder)).collect();
        folders.dedup();
        // Backwards: of folders that are alike the last that it sees is taken.
        let held = |folder: &&PathBuf| (folder.is_dir(), command.iter().filter(|word| folder.join(word).is_file()).count());
        let folder = folders.iter().rev().max_by_key(held).cloned().unwrap_or_else(|| PathBuf::from("."));
        Program {
            parameters,
            summaries,
            command,
            folder,
            folders,
            limit: Duration::from_secs(600),
            on_timeout: Policy::Retry,
            on_failure: Policy::Reject,
            idle: Mutex::default(),
        }
    }

    /// The same with a limit for the time of one simulation, and with what becomes of one that exceeds it or fails.
    #[must_use]
    pub fn with_limits(self, limit: Duration, on_timeout: Policy, on_failure: Policy) -> Self {
        Program { limit, on_timeout, on_failure, ..self }
    }

    fn start(&self) -> Started {
        let (name, arguments) = self.command.split_first().map_or(("", &[][..]), |(name, rest)| (name.as_str(), rest));
        let names = |list: &mut dyn Iterator<Item = &str>| list.collect::<Vec<_>>().join(" ");
        let started = Command::new(name)
            .args(arguments)
            .current_dir(&self.folder)
            .env("NICHO_PARAMETERS", names(&mut self.parameters.iter().map(|p| p.name)))
            .env("NICHO_SUMMARIES", names(&mut self.summaries.iter().map(|s| s.name.as_str())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for nicho, which saves and then ends its programs.
            .process_group(0)
            .spawn();
        let mut child = match started {
            Ok(child) => child,
            Err(error) => abort(self.cannot_be_started(&error)),
        };
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
            abort("the program has no standard input and output".into());
        };
        let (sender, lines) = channel();
        std::thread::spawn(move || lines_of(stdout).all(|line| sender.send(line).is_ok()));
        let last_words = Arc::new(Mutex::new(VecDeque::new()));
        let words = last_words.clone();
        std::thread::spawn(move || {
            for line in lines_of(stderr) {
                let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
                words.push_back(line);
                if words.len() > LAST_WORDS {
                    words.pop_front();
                }
            }
        });
        Started { child, stdin, lines, last_words, answered: false }
    }

    /// Says why, and what to do.
    fn cannot_be_started(&self, error: &std::io::Error) -> String {
        let missing = if self.folder.is_dir() { self.missing() } else { "; that folder is not there".into() };
        let fix = "install what is missing, or mend model.program.command: it is started in the folder of the job file";
        let (command, folder) = (self.command.join(" "), self.folder.display());
        format!("the program '{command}' cannot be started in {folder}: {error}{missing}\n  fix: {fix}")
    }

    /// Says which words of the command look like files and are none in any of the folders; empty if there is no such word.
    fn missing(&self) -> String {
        let is_file = |word: &&String| !word.starts_with('-') && !word.contains(char::is_whitespace) && looks_like_a_file(word);
        let there = |word: &&String| self.folders.iter().any(|folder| folder.join(word).exists());
        // A bare name at the first place is one of the search path.
        let words = self.command.iter().enumerate().filter(|(k, word)| *k > 0 || word.contains('/')).map(|(_, word)| word);
        let words: Vec<&str> = words.filter(is_file).filter(|word| !there(word)).map(String::as_str).collect();
        if words.is_empty() {
            return String::new();
        }
        let folders: Vec<String> = self.folders.iter().map(|folder| folder.display().to_string()).collect();
        format!("; looked for {} in {}: it is not there", words.join(", "), folders.join(", "))
    }

    /// Asks a program that is idle, or a new one. One whose answer is none is not asked again: what it says next may belong to
    /// an earlier question.
    fn ask(&self, question: &str, wanted: &mut dyn FnMut() -> bool) -> Result<String, Silence> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let next = idle().pop();
        let mut program = next.unwrap_or_else(|| self.start());
        let answer = program.ask(question, self.limit, wanted)?;
        if answer.starts_with(FAILED) || self.values(&answer).is_some() {
            idle().push(program);
        }
        Ok(answer)
    }

    /// The summaries of an answer, if it is one.
    fn values(&self, answer: &str) -> Option<Vec<f64>> {
        let values: Vec<f64> = answer.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
        (values.len() == self.summaries.len() && values.iter().all(|x| x.is_finite())).then_some(values)
    }

    /// The answer to a line, by the policies of the job; `None` once nobody wants it any more.
    fn answer(&self, question: &str, wanted: &mut dyn FnMut() -> bool) -> Result<Option<String>, Unsimulable> {
        let mut late = 0;
        loop {
            match self.ask(question, wanted) {
                Ok(answer) => return Ok(Some(answer)),
                Err(Silence::Unwanted) => return Ok(None),
                Err(Silence::Ended) => {}
                Err(Silence::Crashed(reason)) => return self.fail(reason + &self.missing(), question),
                Err(Silence::Late) => {
                    late += 1;
                    let reason = format!("no answer within {} s", self.limit.as_secs_f64());
                    match self.on_timeout {
                        Policy::Reject => return Err(Unsimulable(reason)),
                        Policy::Retry if late <= RETRIES => {}
                        _ => abort(format!("{reason}, asked {late} time(s), to: {question}")),
                    }
                }
            }
        }
    }

    /// A simulation that failed, by the policy of the job.
    fn fail<T>(&self, reason: String, question: &str) -> Result<T, Unsimulable> {
        match self.on_failure {
            Policy::Abort => abort(format!("{reason}, to: {question}")),
            _ => Err(Unsimulable(reason)),
        }
    }
}

impl Started {
    fn ask(&mut self, question: &str, limit: Duration, wanted: &mut dyn FnMut() -> bool) -> Result<String, Silence> {
        if let Ok(more) = self.lines.try_recv() {
            abort(format!("the program answers one line with more than one, such as '{more}'"));
        }
        // A broken pipe shows as the end of its answers.
        let _ = writeln!(self.stdin, "{question}").and_then(|()| self.stdin.flush());
        let begun = Instant::now();
        loop {
            match self.lines.recv_timeout(GLANCE.min(limit.saturating_sub(begun.elapsed()))) {
                Ok(answer) => {
                    self.answered = true;
                    return Ok(answer);
                }
                Err(RecvTimeoutError::Timeout) if begun.elapsed() >= limit => return Err(Silence::Late),
                Err(RecvTimeoutError::Timeout) if !wanted() => return Err(Silence::Unwanted),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) if self.answered => return Err(Silence::Ended),
                Err(RecvTimeoutError::Disconnected) => return Err(self.crash()),
            }
        }
    }

    /// How it ended without an answer.
    fn crash(&mut self) -> Silence {
        // It may have closed its output and live on.
        for _ in 0..50 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let status = self.child.wait().map_or("unknown status".to_string(), |status| status.to_string());
        // What it said last may still be on its way.
        std::thread::sleep(Duration::from_millis(20));
        let words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = if words.is_empty() { String::new() } else { format!("; it said: {}", words.join(" / ")) };
        Silence::Crashed(format!("the program ended without an answer ({status}){said}"))
    }
}

impl Model for Program {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn summaries(&self) -> &[Summary] {
        &self.summaries
    }

    fn simulate(&self, theta: &[f64], key: Key, out: &mut dyn Stages) -> Result<(), Unsimulable> {
        let mut question = (key.stream(Purpose::Simulate).bits() >> 1).to_string();
        theta.iter().for_each(|value| question += &format!(" {value:?}"));
        let m = self.summaries.len();
        let mut wanted = || out.stage(0.0, &vec![f64::NEG_INFINITY; m], &vec![f64::INFINITY; m]).is_continue();
        let Some(answer) = self.answer(&question, &mut wanted)? else { return Ok(()) };
        if let Some(reason) = answer.strip_prefix(FAILED) {
            return self.fail(format!("the program says: {}", reason.trim()), &question);
        }
        match self.values(&answer) {
            Some(values) => {
                let _ = out.stage(1.0, &values, &values);
                Ok(())
            }
            None => {
                let shown: String = answer.chars().take(60).collect();
                self.fail(
                    format!("the program answers '{shown}' where {} finite numbers are due", self.summaries.len()),
                    &question,
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Proposed;

    fn program(script: &str, limit: f64, on_timeout: Policy, on_failure: Policy) -> Program {
        let parameter = |name| Parameter {
            name,
            unit: "-",
            meaning: "",
            default: 0.0,
            range: (-1e9, 1e9),
            source: "",
            prior: Proposed::Fixed,
        };
        let summaries = vec![Summary { name: "sum".into(), unit: "-".into() }];
        let command = ["sh", "-c", script].map(String::from).to_vec();
        Program::new(vec![parameter("a"), parameter("b")], summaries, command, &[]).with_limits(
            Duration::from_secs_f64(limit),
            on_timeout,
            on_failure,
        )
    }

    fn ask(program: &Program, theta: [f64; 2], key: u64) -> Result<f64, String> {
        let mut out = [0.0];
        crate::sampler::simulate(program, &theta, Key::root(key), &mut out).map(|()| out[0]).map_err(|e| e.0)
    }

    const ADD: &str = "while read seed a b; do echo $((${a%.0} + ${b%.0})); done";

    #[test]
    fn a_program_answers_line_by_line_from_many_threads() {
        let adder = program(ADD, 20.0, Policy::Retry, Policy::Abort);
        std::thread::scope(|scope| {
            for k in 0..4 {
                let adder = &adder;
                scope.spawn(move || {
                    (0..50).for_each(|i| assert_eq!(ask(adder, [f64::from(k), f64::from(i)], 1), Ok(f64::from(k + i))))
                });
            }
        });
        assert!(adder.idle.lock().unwrap().len() <= 4, "one program for each thread");
    }

    #[test]
    fn one_that_ends_after_each_answer_is_started_anew() {
        let once = program("read seed a b; echo ${a%.0}${b%.0}", 60.0, Policy::Retry, Policy::Abort);
        for i in 0..5 {
            assert_eq!(ask(&once, [f64::from(i), 7.0], 1), Ok(f64::from(10 * i + 7)));
        }
    }

    #[test]
    fn seeds_and_names_arrive() {
        let seed = program(r#"while read seed rest; do echo $seed; done"#, 60.0, Policy::Retry, Policy::Abort);
        assert!(ask(&seed, [0.0, 0.0], 1) != ask(&seed, [0.0, 0.0], 2));
        assert_eq!(ask(&seed, [0.0, 0.0], 1), ask(&seed, [1.0, 0.0], 1));
        let names = program(
            r#"while read line; do echo "failed $NICHO_PARAMETERS to $NICHO_SUMMARIES"; done"#,
            60.0,
            Policy::Retry,
            Policy::Reject,
        );
        assert_eq!(ask(&names, [0.0, 0.0], 1), Err("the program says: a b to sum".into()));
    }

    #[test]
    fn what_is_no_answer_is_a_failure_that_says_why() {
        let failed = |script: &str| ask(&program(script, 60.0, Policy::Abort, Policy::Reject), [1.0, 2.0], 1).unwrap_err();
        assert!(failed("read line; echo garbage").contains("answers 'garbage' where 1 finite numbers are due"));
        assert!(failed("read line; echo nan").contains("answers 'nan'"));
        assert!(failed("read line; echo 1 2").contains("answers '1 2'"));
        let crash = failed("read line; echo 'no such gene' >&2; exit 3");
        assert!(crash.contains("exit status: 3") && crash.contains("it said: no such gene"), "{crash}");
    }

    /// A banner before the answers, a second line after one, bytes that are no text. Planted: programs that are asked again after
    /// what was no answer. Seen: each answer is that to the question before.
    #[test]
    fn an_answer_belongs_to_its_question() {
        let banner = program(&format!("echo welcome; {ADD}"), 20.0, Policy::Retry, Policy::Reject);
        assert!(ask(&banner, [1.0, 2.0], 1).unwrap_err().contains("answers 'welcome'"));
        assert!(ask(&banner, [3.0, 4.0], 1).unwrap_err().contains("answers 'welcome'"), "it was started anew");
        let twice = program("while read l; do echo 1; echo 2; done", 20.0, Policy::Retry, Policy::Reject);
        assert_eq!(ask(&twice, [1.0, 2.0], 1), Ok(1.0));
        std::thread::sleep(Duration::from_millis(100));
        assert!(std::panic::catch_unwind(|| ask(&twice, [1.0, 2.0], 1)).is_err(), "two lines for one end the run");
        let latin = program(r"read l; printf '\351t\351\n'; sleep 100", 20.0, Policy::Retry, Policy::Reject);
        assert!(ask(&latin, [1.0, 2.0], 1).unwrap_err().contains("where 1 finite numbers are due"));
        let silent = program("exec >&-; sleep 100", 20.0, Policy::Retry, Policy::Reject);
        assert!(ask(&silent, [1.0, 2.0], 1).unwrap_err().contains("ended without an answer"));
    }

    /// Who does not wait any more is not kept waiting.
    #[test]
    fn a_program_whose_answer_nobody_wants_is_ended() {
        let begun = Instant::now();
        let slow = program("sleep 100", 100.0, Policy::Abort, Policy::Abort);
        assert!(matches!(slow.answer("1", &mut || false), Ok(None)));
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_program_that_hangs_is_killed_and_the_policy_decides() {
        let reject = program("sleep 1000", 0.2, Policy::Reject, Policy::Reject);
        assert_eq!(ask(&reject, [1.0, 2.0], 1), Err("no answer within 0.2 s".into()));
        let panic = std::panic::catch_unwind(|| ask(&program("sleep 1000", 0.1, Policy::Retry, Policy::Reject), [1.0, 2.0], 1));
        assert!(panic.is_err(), "asked three times, then the run ends");
        let missing = Program::new(Vec::new(), Vec::new(), vec!["no-such-program".into()], &[]);
        assert!(std::panic::catch_unwind(|| missing.answer("1", &mut || true)).is_err());
    }
}
