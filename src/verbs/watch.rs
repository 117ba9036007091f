//! `nicho watch`: a run at a glance, while it goes on and after.
//!
//! It reads the result file and its heartbeat as any reader does: whole, with no lock of HDF5 or of the journal. A run replaces its file
//! by a rename, so that what is read is always one whole state of it. The file is read again only after it was replaced.

use std::io::{IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use console::Term;
use serde_json::{Value, json};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::describe::describe;
use super::heartbeat::Sign;
use super::progress::clock;
use super::say::{self, document};
use super::shared::Have;
use super::stored::{embedded, with_input};
use crate::error::{Error, Result};
use crate::exec;
use crate::report::{self, ByRank, GenerationLine, Glance};
use crate::spelling::misspelt;
use crate::store::Store;

/// Seconds without a line after which a run gives no sign of life; of a process of this host that is gone, after two lines that are
/// missing.
const SILENT: f64 = 120.0;
const GONE: f64 = 12.0;
/// Width of the bar of a generation.
const BAR: usize = 32;

/// Flags of `nicho watch`.
#[derive(Clone, Debug)]
pub struct WatchFlags {
    /// The result file.
    pub file: PathBuf,
    /// Seconds between two looks.
    pub every: u64,
    /// Look once.
    pub once: bool,
}

/// Shows a run, again and again on a terminal until it ends or Ctrl-C, else once.
///
/// # Errors
/// Those of [`Store::open`]; a file that is not there yet is waited for on a terminal.
pub fn watch(flags: &WatchFlags) -> Result<()> {
    let mut eye = Eye { file: flags.file.clone(), seen: None };
    let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    if flags.once || dumb || say::to_program() || !std::io::stdout().is_terminal() {
        let view = eye.look()?;
        document(|| view.document);
        text!("{}", view.text);
        return Ok(());
    }
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // A handler that cannot be set leaves the default, which ends the process.
        let _ = signal_hook::flag::register(signal, asked.clone());
    }
    let screen = Screen::enter();
    let last = loop {
        let view = eye.wait()?;
        screen.show(&view.text);
        let (looked, every) = (Instant::now(), Duration::from_secs(flags.every));
        while !view.ended && looked.elapsed() < every && !asked.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(50));
        }
        if view.ended || asked.load(Ordering::Relaxed) {
            break view;
        }
    };
    drop(screen);
    text!("{}", last.text);
    Ok(())
}

/// The other screen of a terminal, which is left whatever happens.
struct Screen(Term);

impl Screen {
    fn enter() -> Screen {
        let screen = Screen(Term::stdout());
        screen.put("\x1b[?1049h\x1b[?25l");
        screen
    }

    fn put(&self, text: &str) {
        // A terminal that is gone sends a signal.
        let _ = (&self.0).write_all(text.as_bytes()).and_then(|()| self.0.flush());
    }

    fn show(&self, text: &str) {
        let (rows, columns) = self.0.size();
        let (rows, lines) = (usize::from(rows).max(2), text.lines().count());
        let mut out = String::from("\x1b[H");
        let room = if lines > rows { rows - 1 } else { lines };
        for line in text.lines().take(room) {
            out.extend(line.chars().take(usize::from(columns)));
            out.push_str("\x1b[K\r\n");
        }
        if lines > rows {
            out += &format!("... {} more lines in a taller window\x1b[K", lines - room);
        } else {
            // No line feed after the last line of a full screen: it would scroll.
            out.truncate(out.len() - 2);
        }
        self.put(&(out + "\x1b[J"));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.put("\x1b[?25h\x1b[?1049l");
    }
}

/// What is to be seen.
struct View {
    text: String,
    document: Value,
    /// Whether nothing more will come.
    ended: bool,
}

/// The state of the result file that was read last.
struct Seen {
    /// Device, inode, length and time: another file has others.
    version: (u64, u64, u64, i64, i64),
    tables: String,
    name: String,
    described: String,
    generations: usize,
    lines: Vec<GenerationLine>,
    parameters: Vec<Glance>,
    /// Of the last session of several ranks, whole.
    by_rank: Option<ByRank>,
    blocks: bool,
    complete: bool,
}

struct Eye {
    file: PathBuf,
    seen: Option<Seen>,
}

impl Eye {
    /// As [`Eye::look`], but a file that is not there yet is no error where its folder is.
    fn wait(&mut self) -> Result<View> {
        let parent = self.file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let expected = parent.is_none_or(Path::is_dir) && !self.file.exists();
        match self.look() {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound && expected => {
                let text =
                    format!("{} is not there yet: a run makes it when it starts. Waiting; Ctrl-C ends.\n", self.file.display());
                Ok(View { text, document: Value::Null, ended: false })
            }
            other => other,
        }
    }

    fn look(&mut self) -> Result<View> {
        let about =
            std::fs::metadata(&self.file).map_err(|error| Error::io(&self.file, "read")(misspelt(&self.file, "h5", error)))?;
        let version = (about.dev(), about.ino(), about.len(), about.mtime(), about.mtime_nsec());
        // The heartbeat first: what it says may already be in the file, but a file is never older than what it says.
        let sign = Sign::last(&self.file);
        if self.seen.as_ref().is_none_or(|seen| seen.version != version) {
            self.seen = Some(Seen::read(&self.file, version)?);
        }
        let Some(seen) = &self.seen else { return Err(Error::Stopped) };
        let alive = |pid: &str| Path::new("/proc").join(pid).exists();
        let life = Life::of(seen.complete, sign.as_ref(), &exec::host(), alive);
        let paces = sign.as_ref().filter(|_| life != Life::Finished).and_then(by_rank);
        let over = if paces.is_some() { "of late" } else { "over the last session on several ranks" };
        let paces = paces.or_else(|| seen.by_rank.clone());
        // Below the rest: of many ranks it is long.
        let text = format!(
            "{}: {}, {}\n{}\n{}{}",
            self.file.display(),
            seen.name,
            seen.described,
            life.text(sign.as_ref(), &self.file, seen.generations),
            seen.tables,
            paces.as_ref().map_or(String::new(), |paces| format!("\nTasks by rank, {over}\n{}", paces.text(seen.blocks)))
        );
        let document = json!({
            "file": self.file, "job": seen.name, "state": life.word(), "generations": seen.lines, "parameters": seen.parameters,
            "by_rank": paces,
            // The last words of the run, as its heartbeat has them.
            "heartbeat": sign.as_ref().map(|sign| json!({ "seconds_ago": sign.age, "words": sign.words })),
        });
        // What a queue has interrupted it starts again.
        let queued = life == Life::Interrupted && sign.as_ref().is_some_and(|sign| !sign.text("slurm").is_empty());
        Ok(View { text, document, ended: !queued && !matches!(life, Life::Runs | Life::Silent) })
    }
}

impl Seen {
    fn read(file: &Path, version: (u64, u64, u64, i64, i64)) -> Result<Seen> {
        let store = Store::open(file)?;
        let job = embedded(&store)?;
        let mut seconds = vec![None; store.run().generations.len()];
        for work in store.sessions().iter().filter_map(|session| session["simulations"].as_array()).flatten() {
            let place = work["generation"].as_u64().and_then(|k| seconds.get_mut(usize::try_from(k).ok()?));
            place.into_iter().for_each(|place| *place = work["seconds"].as_f64());
        }
        let spelt =
            ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| std::env::var(name).ok().filter(|text| !text.is_empty()));
        let blocks = spelt.is_some_and(|locale| locale.to_lowercase().replace('-', "").contains("utf8"));
        let (tables, parameters) = with_input(&store, &job, |input| {
            let parameters = report::glance(input);
            Ok((report::dashboard(input, &parameters, &seconds, blocks, clock), parameters))
        })?;
        Ok(Seen {
            version,
            tables,
            parameters,
            by_rank: store.sessions().iter().rev().find_map(ByRank::of_session),
            blocks,
            name: store.header().job_name.clone(),
            described: describe(store.run()),
            generations: store.run().generations.len(),
            lines: report::generations(store.run()),
            complete: store.run().stopped.is_some() && (store.run().last().is_none() || Have::of(&store).all(&job)),
        })
    }
}

/// How a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// Everything is in the file.
    Finished,
    /// It gives signs of life.
    Runs,
    /// It gives none any more, or its process is gone.
    Silent,
    Gone,
    /// It said that it ends.
    Interrupted,
    Failed,
    /// It is not finished, and has no heartbeat.
    Unknown,
}

impl Life {
    fn of(complete: bool, sign: Option<&Sign>, host: &str, alive: impl Fn(&str) -> bool) -> Life {
        match sign {
            _ if complete => Life::Finished,
            None => Life::Unknown,
            Some(sign) => match sign.state.as_str() {
                "interrupted" => Life::Interrupted,
                "failed" => Life::Failed,
                _ if sign.age > GONE && sign.text("host") == host && !alive(sign.text("pid")) => Life::Gone,
                _ if sign.age > SILENT => Life::Silent,
                _ => Life::Runs,
            },
        }
    }

    /// The state in a word, for programs.
    fn word(self) -> &'static str {
        match self {
            Life::Finished => "finished",
            Life::Runs => "runs",
            Life::Silent => "silent",
            Life::Gone => "killed",
            Life::Interrupted => "interrupted",
            Life::Failed => "failed",
            Life::Unknown => "unknown",
        }
    }

    /// The state of a run in some lines.
    fn text(self, sign: Option<&Sign>, file: &Path, generations: usize) -> String {
        let Some(sign) = sign.filter(|_| self != Life::Finished) else {
            return match self {
                Life::Finished => "finished\n".into(),
                _ => format!("not finished, and no heartbeat beside it: nothing runs; {}\n", resume("JOB", file, 1.0)),
            };
        };
        let of =
            |key: &str, word: &str| if sign.text(key).is_empty() { String::new() } else { format!("{word}{}", sign.text(key)) };
        let place = format!("host {}, process {}{}", sign.text("host"), sign.text("pid"), of("slurm", ", Slurm job "));
        let ago = clock(sign.age);
        let known = progress(sign, generations);
        let resume = resume(sign.text("job"), file, sign.number("ranks").unwrap_or(1.0));
        match self {
            Life::Runs => format!("{known}{place}; last sign of life {ago} ago\n"),
            Life::Silent => format!("! no sign of life for {ago} ({place}); last known:\n{known}if it is gone, {resume}\n"),
            Life::Gone => {
                format!("! killed: its process is gone, no sign of life for {ago} ({place}); last known:\n{known}{resume}\n")
            }
            Life::Failed => format!("! ended by an error {ago} ago ({place}), which its log names; mend that, then {resume}\n"),
            _ if sign.text("slurm").is_empty() => format!("interrupted {ago} ago ({place}); {resume}\n"),
            _ => format!("interrupted {ago} ago ({place}); Slurm starts it again if it can, else {resume}\n"),
        }
    }
}

/// What goes on with a run.
fn resume(job: &str, file: &Path, ranks: f64) -> String {
    let job = if job.contains(' ') { format!("'{job}'") } else { job.to_string() };
    let launcher = if ranks > 1.0 { format!("mpirun -n {ranks:.0} ") } else { String::new() };
    format!("resume with  {launcher}nicho run {job} -o {} --resume  (under Slurm: submit the same again)", file.display())
}

/// The pace of the ranks, of a heartbeat.
fn by_rank(sign: &Sign) -> Option<ByRank> {
    ByRank::parse(sign.text("by_rank"), sign.text("slowest"))
}

/// The line of a heartbeat for people, where so many generations are in the file.
fn progress(sign: &Sign, generations: usize) -> String {
    let [rate, ranks, threads] = ["rate", "ranks", "threads"].map(|key| sign.number(key));
    let threads = threads.unwrap_or(1.0).max(1.0);
    let on = match ranks.unwrap_or(1.0) {
        ranks if ranks > 1.0 => format!(" ({ranks:.0} ranks, {threads:.0} threads in all)"),
        _ if threads > 1.0 => format!(" ({threads:.0} threads)"),
        _ => String::new(),
    };
    let each = rate.filter(|_| threads > 1.0).map_or(String::new(), |rate| format!(", {:.1} a thread{on}", rate / threads));
    let eta = sign.number("eta").map(|eta| eta - sign.age).filter(|eta| *eta >= 1.0);
    let eta = eta.map_or(String::new(), |eta| format!(", about {} to the end", clock(eta)));
    let bar = |(done, of): (f64, f64)| {
        let full = ((BAR as f64 * done / of.max(1.0)) as usize).min(BAR);
        format!("[{}{}] {done:.0} of {of:.0}", "#".repeat(full), "-".repeat(BAR - full))
    };
    let speed = |what: &str| rate.map_or(String::new(), |rate| format!("{rate:.1} {what} a second{each}{eta}\n"));
    if let Some(accepted) = sign.share("accepted") {
        // The file may be ahead of the line by some seconds.
        if sign.number("generation").is_some_and(|number| number < generations as f64) {
            return format!("generation {} is done\n{}", sign.text("generation"), speed("simulations"));
        }
        let word = if sign.text("temperature").is_empty() { "tolerance" } else { "temperature" };
        return format!(
            "generation {} {} accepted, acceptance {}, {word} {}, {} simulations\n{}",
            sign.text("generation"),
            bar(accepted),
            sign.text("acceptance").replace('%', " %"),
            sign.text(word),
            sign.text("trials"),
            speed("simulations")
        );
    }
    match sign.share("done") {
        Some(done) => format!("{} {}\n{}", sign.text("stage").replace('-', " "), bar(done), speed("pieces of work")),
        None if generations > 0 => format!("{}{on}, to go on after generation {}\n", sign.state, generations - 1),
        None => format!("{}{on}\n", sign.state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_run_is_told_from_one_that_runs() {
        let sign = |state: &str, age: f64| Sign::parse(&format!("T {state} rate=2.0/s host=here pid=7 job=a.toml"), age).unwrap();
        let life =
            |state: &str, age: f64, alive: bool| Life::of(false, Some(&sign(state, age)), "here", |pid| pid == "7" && alive);
        assert_eq!(life("running", 3.0, true), Life::Runs);
        assert_eq!(life("running", 8.0, false), Life::Runs, "a new process may not be seen yet");
        assert_eq!(life("running", 20.0, false), Life::Gone);
        assert_eq!(life("running", 100.0, true), Life::Runs);
        assert_eq!(life("running", 720.0, true), Life::Silent);
        assert_eq!((life("interrupted", 720.0, true), life("failed", 0.0, true)), (Life::Interrupted, Life::Failed));
        // Of another host one cannot know.
        assert_eq!(Life::of(false, Some(&sign("running", 40.0)), "there", |_| false), Life::Runs);
        assert_eq!(Life::of(true, Some(&sign("running", 720.0)), "here", |_| false), Life::Finished);
        assert_eq!(Life::of(false, None, "here", |_| true), Life::Unknown);
        let said = Life::Silent.text(Some(&sign("running", 720.0)), "out.h5".as_ref(), 0);
        assert!(said.starts_with("! no sign of life for 12 min (host here, process 7)"), "{said}");
        assert!(said.contains("resume with  nicho run a.toml -o out.h5 --resume"), "{said}");
    }
}
