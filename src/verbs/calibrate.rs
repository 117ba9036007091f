//! `nicho validate sbc` and `nicho validate coverage`: is the uncertainty of a job's posterior the right one?

use std::cell::RefCell;
use std::path::PathBuf;

use serde_json::json;

use super::progress::{Budget, Show};
use super::run::scaled_problem;
use super::say::document;
use super::session::Session;
use super::shared::{agree, on_ranks};
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::job::Job;
use crate::report;
use crate::sampler::Problem;
use crate::sampler::accept::Accept;
use crate::sampler::smc::Smc;
use crate::validate::calibration::{self, BINS, DRAWS, FALSE_ALARM, INTERVALS, Line, binomial_band};

/// Flags of both verbs.
pub struct CalibrationFlags {
    /// The job file.
    pub job: PathBuf,
    /// Data sets of its own on which the job is run.
    pub replicates: usize,
    /// Tolerance at which every run ends; that of the job's stopping rule if absent.
    pub tolerance: Option<f64>,
    /// Particles in a generation; those of the job if absent.
    pub population: Option<usize>,
    /// Folder for ranks and figures.
    pub output: Option<PathBuf>,
    /// Worker threads.
    pub threads: usize,
}

/// Fewest replicates: with fewer no bin of ranks is expected to hold five.
const FEWEST: usize = 5 * BINS;

/// Runs the job on data sets of its own, and prints a line for each parameter.
///
/// # Errors
/// [`Error::Miscalibrated`] if a parameter is; [`Error::Usage`] without a tolerance or with too few replicates.
pub fn validate_calibration(flags: &CalibrationFlags) -> Result<()> {
    if flags.replicates < FEWEST {
        let problem = format!("--replicates {}: too few to tell even ranks from uneven ones", flags.replicates);
        return Err(Error::Usage { problem, fix: format!("give at least {FEWEST}, best 200 or more") });
    }
    on_ranks(flags.threads, |exec| on(exec, flags))
}

fn on(exec: &dyn Executor, flags: &CalibrationFlags) -> Result<()> {
    let job = agree(exec, Job::load(&flags.job))?;
    let asked = job.sampler();
    let tolerance = flags.tolerance.unwrap_or(asked.tolerance);
    if tolerance.is_nan() || tolerance <= 0.0 {
        return Err(Error::Usage {
            problem: "calibration needs one tolerance at which every run ends".into(),
            fix: "give --tolerance: that at which a run of the job ended, or a larger one, which is quicker".into(),
        });
    }
    if asked.accept == Accept::Noise && tolerance != 1.0 {
        let problem = format!("at temperature {tolerance} the posterior is not that of the data");
        return Err(Error::Usage { problem, fix: "leave --tolerance out, and stop.tolerance of the job".into() });
    }
    // Data of the prior may be far from those of the job: neither rate nor generations end a run. Rejection starts where it ends.
    let population = flags.population.unwrap_or(asked.population);
    let start = if asked.start < f64::INFINITY { tolerance } else { asked.start };
    let sampler = Smc { start, tolerance, population, acceptance_rate: 0.0, generations: usize::MAX, ..asked };
    let session = Session::new("validate", exec.place());
    let budget = Budget::of(population);
    let show = RefCell::new(Show::new(&session, budget));
    let done = |number: usize| show.borrow_mut().work("data sets", number as u64, flags.replicates as u64);
    let scaled = scaled_problem(&job, exec, &session)?;
    let distance = || scaled.distance.with_observed(scaled.distance.observed().to_vec());
    let problem = || Ok(Problem { distance: distance(), ..job.problem()? });
    let lines = calibration::calibrate(&problem, &sampler, flags.replicates, exec, &done)?;
    drop(show);
    let Some(lines) = lines else { return Err(Error::Stopped) };
    document(|| as_json(&lines, flags, tolerance));
    text!("{}", as_text(&lines, flags, &sampler));
    if job.adjust().is_some() {
        line!("This is the posterior of the sampler: the adjusted one of the job was not tested.");
    }
    if let Some(folder) = &flags.output {
        exec.once(&mut || {
            let written = report::write_ranks(&lines, folder)?;
            written.iter().for_each(|path| line!("{}", path.display()));
            Ok(Vec::new())
        })?;
    }
    let off: Vec<&str> = lines.iter().filter(|line| !line.calibrated(lines.len())).map(|line| line.name).collect();
    if off.is_empty() { Ok(()) } else { Err(Error::Miscalibrated { parameters: off.join(", ") }) }
}

fn as_text(lines: &[Line], flags: &CalibrationFlags, sampler: &Smc) -> String {
    let n = flags.replicates;
    let made = match sampler.accept {
        Accept::Tolerance => {
            format!("each moved to a uniform point within the tolerance, {}, for which ABC is exact", sampler.tolerance)
        }
        Accept::Noise => "each with the noise of the job".into(),
    };
    let mut out = format!(
        "{n} data sets at draws of the prior, {made}.\n\
         Ranks of the true value among {DRAWS} posterior draws: p if they are uniform ({BINS} bins). Intervals: data sets whose central\n\
         interval holds it. Recovered: share of the variance of true values that posterior means account for. An engine without error is called miscalibrated in {} % of such tables.\n\n",
        100.0 * FALSE_ALARM
    );
    let width = lines.iter().map(|line| line.name.len()).max().unwrap_or(0).max("parameter".len());
    let share = 1.0 - FALSE_ALARM / (lines.len() * (1 + INTERVALS.len())) as f64;
    let [half, most] = INTERVALS.map(|p| binomial_band(n, p, share));
    out += &format!("{:width$}  p of ranks  in 50 %  in 90 %  calibrated  recovered\n", "parameter");
    out += &format!("{}\n", "-".repeat(width + 53));
    for line in lines {
        let verdict = if line.calibrated(lines.len()) { "yes" } else { "NO" };
        let [a, b] = line.inside.map(|inside| if line.whole { "-".into() } else { inside.to_string() });
        out += &format!(
            "{:width$}  {:>10.3}  {a:>7}  {b:>7}  {verdict:>10}  {:>9.2}\n",
            line.name,
            line.p_uniform(),
            line.recovered()
        );
    }
    let (low, high) = (format!("{} to {}", half.0, half.1), format!("{} to {}", most.0, most.1));
    out + &format!("\nexpected in 50 %: {low}; in 90 %: {high}; p of ranks at least {:.5}\n", 1.0 - share)
}

fn as_json(lines: &[Line], flags: &CalibrationFlags, tolerance: f64) -> serde_json::Value {
    let of = |line: &Line| {
        json!({
            "parameter": line.name,
            "ranks": line.ranks,
            "p_uniform": line.p_uniform(),
            "inside": line.inside,
            "recovered": line.recovered(),
            "p_coverage": [line.p_coverage(0), line.p_coverage(1)],
            "calibrated": line.calibrated(lines.len()),
        })
    };
    json!({
        "replicates": flags.replicates,
        "tolerance": tolerance,
        "draws": DRAWS,
        "intervals": INTERVALS,
        "false_alarm": FALSE_ALARM,
        "parameters": lines.iter().map(of).collect::<Vec<_>>(),
    })
}
