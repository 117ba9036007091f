//! `nicho validate sbc` and `nicho validate coverage`: is the uncertainty of a job's posterior the right one?

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::PathBuf;

use ndarray::Array2;
use serde_json::json;

use super::progress::{Budget, Show};
use super::run::scaled_problem;
use super::say::document;
use super::session::Session;
use super::shared::{Shared, agree, on_ranks, open_to_change, prepare};
use super::stored::embedded;
use crate::adjust::Method;
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::job::Job;
use crate::population::{Calibration, Ranked, Run};
use crate::report::{self, Calibrated};
use crate::sampler::Problem;
use crate::sampler::accept::Accept;
use crate::sampler::smc::Smc;
use crate::store::{self, Store};
use crate::validate::calibration::{self, Adjusting, BINS, FALSE_ALARM, binomial_band};

/// Flags of both verbs.
pub struct CalibrationFlags {
    /// The job file, or a result file.
    pub job: PathBuf,
    /// Data sets of its own on which the job is run.
    pub replicates: usize,
    /// Tolerance at which every run ends; that at which the run of a result file ended, or that of the job's stopping
    /// rule if absent.
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
    let of_result = store::is_result(&flags.job);
    let mut ended = None;
    let job = if of_result {
        Store::open(&flags.job).and_then(|store| {
            ended = store.run().last().map(|last| last.tolerance).filter(|tolerance| tolerance.is_finite());
            embedded(&store)
        })
    } else {
        Job::load(&flags.job)
    };
    let job = agree(exec, job)?;
    let shared = if of_result { Some(Shared::open(exec, |journaled| open_to_change(journaled, &flags.job))?) } else { None };
    let asked = job.sampler();
    let tolerance = flags.tolerance.or(ended).unwrap_or(asked.tolerance);
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
    prepare(exec, flags.output.as_deref())?;
    // Data of the prior may be far from those of the job: neither rate nor generations end a run. Rejection starts where it ends.
    let population = flags.population.unwrap_or(asked.population);
    let start = if asked.start < f64::INFINITY { tolerance } else { asked.start };
    let sampler = Smc { start, tolerance, population, acceptance_rate: 0.0, generations: usize::MAX, ..asked };
    let session = Session::new("validate", exec);
    let budget = Budget::of(population);
    let show = RefCell::new(Show::new(&session, budget));
    let done = |number: usize| show.borrow_mut().work("data sets", number as u64, flags.replicates as u64);
    let scaled = scaled_problem(&job, exec, &session)?;
    let distance = || scaled.distance.with_observed(scaled.distance.observed().to_vec());
    let problem = || Ok(Problem { distance: distance(), ..job.problem()? });
    // Rank 0 alone has every generation.
    let draws = |problem: &Problem, run: &Run| {
        let Some((method, count)) = job.adjust() else { return Ok(None) };
        let idle = &mut |_| ControlFlow::Continue(());
        let words = exec.once(&mut || {
            let adjusted = method.adjust(problem, &sampler, run, count, idle)?;
            Ok(adjusted.map(|adjusted| adjusted.theta.into_iter().collect()).unwrap_or_default())
        })?;
        Ok(Array2::from_shape_vec((count, problem.prior.dimension()), words).ok())
    };
    let method = job.adjust().map(|(method, _)| method);
    let adjusting = method.map(|method| Adjusting { draws: &draws, bare: method != Method::Reuse });
    let calibrated = calibration::calibrate(&problem, &sampler, adjusting.as_ref(), flags.replicates, exec, &done)?;
    drop(show);
    let Some(calibration) = calibrated else { return Err(Error::Stopped) };
    if let Some(shared) = &shared {
        shared.change(|store| {
            store.record(&session.record());
            store.put_calibration(&calibration)
        })?;
    }
    document(|| as_json(&calibration));
    let Calibration { lines, adjusted, .. } = calibration;
    text!("{}", as_text(&lines, adjusted.as_deref(), flags, &sampler));
    match method {
        None => {}
        Some(Method::Reuse) => line!("adjusted: the simulations of all generations of the same runs"),
        Some(_) => line!(
            "adjusted: by the method of the job, on the same data before they were moved, in runs of their own. It is an approximation;\n\
             what the sampler did decides on the exit code."
        ),
    }
    if of_result {
        line!("stored in {}; nicho report writes its page anew", flags.job.display());
    }
    if let Some(folder) = &flags.output {
        exec.once(&mut || {
            let mut written = report::write_ranks(&lines, folder)?;
            if let Some(adjusted) = &adjusted {
                written.extend(report::write_ranks(adjusted, &folder.join("adjusted"))?);
            }
            written.iter().for_each(|path| line!("{}", path.display()));
            Ok(Vec::new())
        })?;
    }
    let off: Vec<&str> = lines.iter().filter(|line| !line.calibrated(lines.len())).map(|line| line.name.as_str()).collect();
    if off.is_empty() { Ok(()) } else { Err(Error::Miscalibrated { parameters: off.join(", ") }) }
}

fn as_text(lines: &[Ranked], adjusted: Option<&[Ranked]>, flags: &CalibrationFlags, sampler: &Smc) -> String {
    let n = flags.replicates;
    let made = match sampler.accept {
        Accept::Tolerance => {
            // In four digits: a run ends at whatever a quantile was.
            let tolerance = format!("{:.3e}", sampler.tolerance).parse().unwrap_or(sampler.tolerance);
            format!("each moved to a uniform point within the tolerance, {tolerance}, for which ABC is exact")
        }
        Accept::Noise => "each with the noise of the job".into(),
    };
    let mut out = format!(
        "{n} data sets at draws of the prior, {made}.\n\
         Ranks of the true value among {} posterior draws: p if they are uniform ({BINS} bins). Intervals: data sets whose central\n\
         interval holds it. Recovered: share of the variance of true values that posterior means account for; 0 or less is nothing.\n\
         An engine without error is called miscalibrated in {} % of such tables.\n\n",
        Ranked::DRAWS,
        100.0 * FALSE_ALARM
    );
    let width = lines.iter().map(|line| line.name.len()).max().unwrap_or(0).max("parameter".len());
    let share = 1.0 - FALSE_ALARM / (lines.len() * (1 + Ranked::INTERVALS.len())) as f64;
    let [half, most] = Ranked::INTERVALS.map(|p| binomial_band(n, p, share));
    let head = ["p of ranks", "in 50 %", "in 90 %", "calibrated", "recovered"];
    let of = |line: &Ranked| {
        let verdict = if line.calibrated(lines.len()) { "yes" } else { "NO" };
        let [a, b] = line.inside.map(|inside| if line.whole { "-".into() } else { inside.to_string() });
        [format!("{:.3}", line.p_uniform()), a, b, verdict.into(), format!("{:.2}", line.recovered())]
    };
    // Each column of the sampler, and beside it that of the adjusted posterior.
    let row = |name: &str, of: [String; 5], adjusted: Option<[String; 5]>| {
        let mut row = format!("{name:width$}");
        for (k, cell) in of.iter().enumerate() {
            row += &format!("  {cell:>0$}", head[k].len());
            row.extend(adjusted.iter().map(|adjusted| format!("  {:>8}", adjusted[k])));
        }
        row + "\n"
    };
    let beside = |text: &str| adjusted.map(|_| [(); 5].map(|()| text.to_string()));
    out += &row("parameter", head.map(str::to_string), beside("adjusted"));
    out += &format!("{}\n", "-".repeat(width + if adjusted.is_some() { 103 } else { 53 }));
    for (k, line) in lines.iter().enumerate() {
        out += &row(&line.name, of(line), adjusted.map(|adjusted| of(&adjusted[k])));
    }
    let (low, high) = (format!("{} to {}", half.0, half.1), format!("{} to {}", most.0, most.1));
    out + &format!("\nexpected in 50 %: {low}; in 90 %: {high}; p of ranks at least {:.5}\n", 1.0 - share)
}

fn as_json(calibration: &Calibration) -> serde_json::Value {
    let mut document = json!(Calibrated::of(calibration));
    let mut add = |key: &str, lines: &[Ranked]| {
        for (line, of) in lines.iter().zip(document[key].as_array_mut().into_iter().flatten()) {
            of["ranks"] = json!(line.ranks);
        }
    };
    add("parameters", &calibration.lines);
    calibration.adjusted.iter().for_each(|lines| add("adjusted", lines));
    document["draws"] = Ranked::DRAWS.into();
    document["intervals"] = json!(Ranked::INTERVALS);
    document["false_alarm"] = FALSE_ALARM.into();
    document
}
