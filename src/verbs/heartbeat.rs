//! The heartbeat of a run, `<result>.progress`: a line every few seconds that says how far it is, for `tail -f` and `nicho watch`.
//!
//! ```text
//! 2026-11-28T17:07:08Z running generation=3 accepted=412/1000 trials=5121 failed=0 acceptance=8.05% tolerance=3.21 ess=512 total=60321 rate=120.0/s eta=340s by_rank=0@n01:61.204:98%,1@n02:58.839:97% slowest=1@n02:58.839:97% ranks=2 threads=4 host=n01 pid=4711 slurm=77 job=jobs/iris.toml
//! ```
//! Time (UTC), state, then words `key=value`; `job` is the last, and alone can hold blanks. States are `starting`, `running`,
//! `interrupted` by a signal, `failed`. A finished run takes the file away, after a last line `finished` for whoever follows it; a run
//! that is killed leaves `running`, and the age of the file says so.
//!
//! It is for people only: nothing reads it back into a run, no digest knows it, and a run that cannot write it says so once and goes on.
//! At [`MOST`] bytes the file begins anew, so that a run of weeks does not fill a disk.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tracing::warn;

use crate::error::Error;
use crate::exec::{self, Place};
use crate::report::ByRank;
use crate::store::beside;

/// Time between two lines.
const EVERY: Duration = Duration::from_secs(5);
/// Size at which the file begins anew: some hours of lines.
const MOST: u64 = 1 << 20;
/// More than a line has.
const LINE: u64 = 4096;

/// Where the heartbeat of a result file is.
pub fn path_of(result: &Path) -> PathBuf {
    beside(result, ".progress")
}

/// How far a run is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Beat {
    /// The generation under way; `None` in the work before and after.
    pub generation: Option<usize>,
    /// That work, in words.
    pub stage: String,
    /// Accepted particles, or pieces of that work.
    pub done: u64,
    /// How many there are to be.
    pub of: u64,
    /// Simulations of the generation.
    pub trials: u64,
    /// Those that failed.
    pub failed: u64,
    /// What the tolerance is called, and its value.
    pub tolerance: (&'static str, f64),
    /// Effective sample size of the generation before.
    pub ess: Option<f64>,
    /// Simulations of the run.
    pub total: u64,
    /// Simulations, or pieces of work, a second.
    pub rate: f64,
    /// Seconds to the end of the inference, or of the work.
    pub eta: Option<f64>,
}

impl Beat {
    /// Accepted per simulated, in per cent.
    pub fn acceptance(&self) -> f64 {
        100.0 * self.done as f64 / self.trials.max(1) as f64
    }
}

impl Display for Beat {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.generation {
            Some(generation) => {
                let (word, tolerance) = self.tolerance;
                write!(f, "generation={generation} accepted={}/{} trials={}", self.done, self.of, self.trials)?;
                write!(f, " failed={} acceptance={:.2}% {word}={tolerance:.4}", self.failed, self.acceptance())?;
                if let Some(ess) = self.ess {
                    write!(f, " ess={ess:.0}")?;
                }
                write!(f, " total={}", self.total)?;
            }
            None => write!(f, "stage={} done={}/{}", self.stage.replace(' ', "-"), self.done, self.of)?,
        }
        write!(f, " rate={:.1}/s", self.rate)?;
        self.eta.map_or(Ok(()), |eta| write!(f, " eta={eta:.0}s"))
    }
}

/// The file, while the run goes on.
pub struct Heartbeat {
    path: PathBuf,
    /// `None` after a write has failed.
    file: Option<File>,
    written: u64,
    last: Instant,
    /// What stands in every line: where the run is.
    place: String,
    ended: bool,
}

impl Heartbeat {
    /// Begins that of a run, in place of one that an earlier session has left.
    pub fn begin(result: &Path, job: &Path, place: &Place) -> Heartbeat {
        let path = path_of(result);
        let slurm = std::env::var("SLURM_JOB_ID").map_or(String::new(), |id| format!(" slurm={id}"));
        let threads: usize = place.threads.iter().sum();
        let place = format!(
            "ranks={} threads={threads} host={} pid={}{slurm} job={}",
            place.ranks,
            exec::host(),
            std::process::id(),
            job.display()
        );
        let file = OpenOptions::new().append(true).create(true).open(&path);
        let mut heartbeat = Heartbeat {
            path,
            file: None,
            written: MOST,
            last: Instant::now(),
            place: place.replace(['\n', '\r'], " "),
            ended: false,
        };
        match file {
            Ok(file) => heartbeat.file = Some(file),
            Err(error) => heartbeat.give_up(error),
        }
        heartbeat.put("starting", "");
        heartbeat
    }

    /// Says how far the run is, and at which pace each rank goes, if it has not done so for a while.
    pub fn beat(&mut self, beat: &Beat, by_rank: impl Fn() -> Option<ByRank>) {
        if self.last.elapsed() >= EVERY {
            let by_rank = by_rank().map_or(String::new(), |all| format!(" {all}"));
            self.put("running", &format!("{beat}{by_rank} "));
        }
    }

    /// Says how the run ended, once.
    pub fn end(&mut self, state: &str) {
        if !std::mem::replace(&mut self.ended, true) {
            self.put(state, "");
        }
    }

    /// The run is finished: says so, and takes the file away.
    pub fn finish(mut self) {
        self.ended = true;
        self.put("finished", "");
        clear(&self.path);
    }

    fn put(&mut self, state: &str, what: &str) {
        self.last = Instant::now();
        let line = format!("{} {state} {what}{}\n", utc(SystemTime::now()), self.place);
        let Some(file) = &mut self.file else { return };
        let begin = if self.written >= MOST { file.set_len(0).map(|()| self.written = 0) } else { Ok(()) };
        match begin.and_then(|()| file.write_all(line.as_bytes())) {
            Ok(()) => self.written += line.len() as u64,
            Err(error) => self.give_up(error),
        }
    }

    fn give_up(&mut self, error: std::io::Error) {
        self.file = None;
        let error = Error::io(&self.path, "write")(error).to_string();
        warn!("no heartbeat from here on, the run itself goes on: {}", error.lines().next().unwrap_or_default());
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        // Whoever ends in another way than by a signal or well has failed.
        self.end("failed");
    }
}

/// Takes away what a killed session has left.
pub fn clear(path: &Path) {
    // It is for people only: one that stays does no harm.
    let _ = std::fs::remove_file(path);
}

/// A sign of life: the last line of a heartbeat, and its age.
#[derive(Clone, Debug, PartialEq)]
pub struct Sign {
    /// Seconds since it was written.
    pub age: f64,
    /// What the run did then.
    pub state: String,
    /// What it said of itself.
    pub words: BTreeMap<String, String>,
}

impl Sign {
    /// The last whole line of the heartbeat beside a result file; `None` if there is none.
    pub fn last(result: &Path) -> Option<Sign> {
        let mut file = File::open(path_of(result)).ok()?;
        let about = file.metadata().ok()?;
        let age = about.modified().ok()?.elapsed().map_or(0.0, |age| age.as_secs_f64());
        file.seek(SeekFrom::Start(about.len().saturating_sub(LINE))).ok()?;
        let mut tail = Vec::new();
        file.take(LINE).read_to_end(&mut tail).ok()?;
        let tail = String::from_utf8_lossy(&tail);
        let (whole, _) = tail.rsplit_once('\n')?;
        Sign::parse(whole.rsplit('\n').next()?, age)
    }

    /// Reads a line.
    pub fn parse(line: &str, age: f64) -> Option<Sign> {
        let (line, job) = line.split_once(" job=").unwrap_or((line, ""));
        let mut words = line.split(' ').skip(1);
        let state = words.next()?.to_string();
        let mut words: BTreeMap<String, String> =
            words.filter_map(|word| word.split_once('=')).map(|(key, value)| (key.into(), value.into())).collect();
        words.insert("job".into(), job.into());
        Some(Sign { age, state, words })
    }

    /// A word of the line; empty if it does not have it.
    pub fn text(&self, key: &str) -> &str {
        self.words.get(key).map_or("", String::as_str)
    }

    /// The number that a word begins with.
    pub fn number(&self, key: &str) -> Option<f64> {
        let text = self.text(key);
        let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        text[..end].parse().ok()
    }

    /// Both numbers of a share, as in `accepted=412/1000`.
    pub fn share(&self, key: &str) -> Option<(f64, f64)> {
        let (done, of) = self.text(key).split_once('/')?;
        Some((done.parse().ok()?, of.parse().ok()?))
    }
}

/// A time as `2026-11-28T17:07:08Z`, by the civil calendar of H. Hinnant (days from 0000-03-01, in eras of 400 years).
fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, of_day) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + 400 * era + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { ranks: 2, threads: vec![4, 4], hosts: vec!["n01".into(); 2], mpi: String::new() }
    }

    fn beat() -> Beat {
        Beat {
            generation: Some(3),
            done: 412,
            of: 1000,
            trials: 5121,
            tolerance: ("tolerance", 3.214_56),
            ess: Some(512.3),
            total: 60_321,
            rate: 120.04,
            eta: Some(340.2),
            ..Beat::default()
        }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        let at = |seconds| utc(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_764_349_628), "2025-11-28T17:07:08Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn a_sign_of_life_says_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let result = folder.path().join("run.h5");
        let mut heartbeat = Heartbeat::begin(&result, "my jobs/a job.toml".as_ref(), &place());
        assert_eq!(Sign::last(&result).unwrap().state, "starting");
        heartbeat.beat(&beat(), || None);
        assert_eq!(Sign::last(&result).unwrap().state, "starting", "no line before its time");
        heartbeat.put("running", &format!("{} ", beat()));
        let sign = Sign::last(&result).unwrap();
        assert_eq!((sign.state.as_str(), sign.text("job")), ("running", "my jobs/a job.toml"));
        assert_eq!((sign.share("accepted"), sign.number("acceptance")), (Some((412.0, 1000.0)), Some(8.05)));
        assert_eq!((sign.number("rate"), sign.number("eta"), sign.number("threads")), (Some(120.0), Some(340.0), Some(8.0)));
        // A line that is being written is none yet.
        let mut file = OpenOptions::new().append(true).open(path_of(&result)).unwrap();
        file.write_all(b"2026-11-28T17:07:08Z inter").unwrap();
        assert_eq!(Sign::last(&result).unwrap().state, "running");
        file.write_all(b"rupted x=1\n").unwrap();
        assert_eq!(Sign::last(&result).unwrap().state, "interrupted");
        heartbeat.end("interrupted");
        drop(heartbeat);
        assert_eq!(Sign::last(&result).unwrap().state, "interrupted");
        drop(Heartbeat::begin(&result, "job.toml".as_ref(), &place()));
        assert_eq!(Sign::last(&result).unwrap().state, "failed");
        Heartbeat::begin(&result, "job.toml".as_ref(), &place()).finish();
        assert_eq!((Sign::last(&result), path_of(&result).exists()), (None, false));
    }

    /// Planted: no new beginning: it grows beyond the limit by the line that reaches it, and on.
    #[test]
    fn a_heartbeat_of_weeks_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let result = folder.path().join("run.h5");
        let mut heartbeat = Heartbeat::begin(&result, "job.toml".as_ref(), &place());
        for _ in 0..20_000 {
            heartbeat.put("running", &format!("{} ", beat()));
            let length = std::fs::metadata(path_of(&result)).unwrap().len();
            assert!(length > 0 && length < MOST + LINE, "{length}");
        }
        assert_eq!(Sign::last(&result).unwrap().number("trials"), Some(5121.0));
    }

    #[test]
    fn a_run_goes_on_without_its_heartbeat() {
        let folder = tempfile::tempdir().unwrap();
        let result = folder.path().join("no/such/run.h5");
        let mut heartbeat = Heartbeat::begin(&result, "job.toml".as_ref(), &place());
        heartbeat.put("running", "");
        heartbeat.end("interrupted");
        assert!(heartbeat.file.is_none() && Sign::last(&result).is_none());
        // A full disk.
        let full = File::options().append(true).open("/dev/full").ok();
        let mut heartbeat = Heartbeat::begin(&folder.path().join("run.h5"), "job.toml".as_ref(), &place());
        heartbeat.file = full;
        heartbeat.put("running", "");
        assert!(heartbeat.file.is_none());
    }
}
