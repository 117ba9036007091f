//! The command line: parses flags and calls one function for each verb. A program of one's own gives it models of its own.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::error::{EXIT_CODES, Error, Result, complain};
use crate::exec::{self, Launch};
use crate::model::{self, Own};
use crate::validate::mechanisms;
use crate::verbs::{
    self, CalibrationFlags, Draw, Followed, InitFlags, Keep, LogFlags, LogFormat, MechanismFlags, Point, PredictFlags, RunFlags,
    SchemaOf, ScreenFlags, WatchFlags,
};
use clap::{Args, CommandFactory, Parser, Subcommand};

/// Calibrates the bone-marrow niche and BCR-ABL signaling model of chronic myeloid leukaemia to trial data by approximate
/// Bayesian computation.
#[derive(Parser)]
#[command(version, after_help = after_help())]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// One JSON document in place of text on standard output: names that stay, numbers in full. Logs go to standard error
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    logs: Logs,
}

#[derive(Args)]
struct Logs {
    /// More log lines: -v details, -vv everything. RUST_LOG comes before it.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
    /// Warnings and errors only.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Form of the log lines on standard error.
    #[arg(long, value_enum, default_value_t, global = true)]
    log_format: LogFormat,
    /// Write the log lines of each rank into a file of this folder, those of ranks above 0 too.
    #[arg(long, value_name = "FOLDER", global = true)]
    log_dir: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  nicho check jobs/iris.toml                 is the job sound, and what will it cost?
  nicho run jobs/iris.toml -o iris.h5        infer, predict, refine, report
  nicho run jobs/iris.toml -o iris.h5 --resume
  mpirun -n 8 nicho run jobs/iris.toml -o iris.h5 --threads 1      (built with --features mpi)
  sbatch slurm/run.sbatch jobs/iris.toml -o iris.h5
  nicho predict iris.h5 jobs/scenarios/second-generation.toml
  nicho digest iris.h5";

/// Examples, and what exit codes mean.
fn after_help() -> String {
    let codes = EXIT_CODES.map(|(code, meaning)| format!("\n  {code:<3} {meaning}"));
    format!("{EXAMPLES}\n\nExit codes:{}", codes.concat())
}

/// Shells that completions can be made for.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Subcommand)]
enum Verb {
    /// Run a job: ABC-SMC, predictions, modes, report.
    #[command(after_help = "Example:\n  nicho run jobs/iris.toml -o iris.h5 --threads 4")]
    Run {
        /// The job file (TOML).
        job: PathBuf,
        /// Result file (HDF5); by default the job's own, or <name>.h5 in the current folder.
        #[arg(short, long)]
        output: Option<PathBuf>,
        /// Another seed than the job's.
        #[arg(long, value_name = "N")]
        seed: Option<u64>,
        /// Worker threads (of each rank, if started by mpirun or srun); 0 is one for each CPU. The result does not depend on it.
        #[arg(long, default_value_t = 0)]
        threads: usize,
        /// Go on with the run that is in the result file.
        #[arg(long, conflicts_with = "overwrite")]
        resume: bool,
        /// Replace the run that is in the result file.
        #[arg(long)]
        overwrite: bool,
        /// Let every simulation run to its end, also where its distance can already only exceed the tolerance. Changes no
        /// result, only its price
        #[arg(long)]
        no_early_rejection: bool,
    },
    /// Validate a job or a scenario and price it; infer nothing.
    #[command(after_help = "Example:\n  nicho check jobs/iris.toml --parameters")]
    Check {
        /// The job file, or a scenario file with [[arm]] (TOML).
        job: PathBuf,
        /// Worker threads to price for; 0 is one for each CPU.
        #[arg(long, default_value_t = 0)]
        threads: usize,
        /// List every parameter of the model with value, unit and meaning.
        #[arg(long)]
        parameters: bool,
    },
    /// Simulate one virtual trial at given parameters and print its endpoints beside the observed ones.
    #[command(
        after_help = "Examples:\n  nicho simulate jobs/iris.toml --set ic50=0.4 --set bypass_fraction=0 --csv\n  nicho simulate jobs/iris.toml \
                            --patient 3 -o patient-3\n  nicho simulate jobs/iris.toml --patient 3 --scenario jobs/scenarios/stim1.toml -o patient-3"
    )]
    Simulate {
        /// The job file (TOML).
        job: PathBuf,
        /// Value of a parameter, name=value; others keep the job's fixed value or the centre of their prior.
        #[arg(long = "set", value_name = "NAME=VALUE")]
        set: Vec<String>,
        /// Take inferred parameters from this result file of the job, not from the centres of their priors.
        #[arg(long, value_name = "RESULT")]
        fit: Option<PathBuf>,
        /// What of its posterior: the number of a draw, from 0, the refined mode, or the mean.
        #[arg(long, value_name = "K|mode|mean", requires = "fit", default_value = "mean")]
        draw: Draw,
        /// Which replicate: another number, other random numbers.
        #[arg(long, default_value_t = 0)]
        replicate: u64,
        /// Comma-separated values in place of a table.
        #[arg(long, conflicts_with = "json")]
        csv: bool,
        /// Follow this patient (from 0) instead: what happened, and all states, doses and signaling nodes, as CSV and figures.
        #[arg(long, value_name = "J", requires = "output", conflicts_with = "csv")]
        patient: Option<u64>,
        /// Folder of what is written about the patient.
        #[arg(short, long, value_name = "FOLDER", requires = "patient")]
        output: Option<PathBuf>,
        /// Treat the patient as in this scenario file.
        #[arg(long, value_name = "FILE", requires = "patient")]
        scenario: Option<PathBuf>,
        /// In this arm of it; by default the first.
        #[arg(long, value_name = "NAME", requires = "scenario")]
        arm: Option<String>,
    },
    /// Polish the posterior modes of a result file again.
    #[command(after_help = "Example:\n  nicho refine iris.h5")]
    Refine {
        /// The result file (HDF5).
        file: PathBuf,
        /// Worker threads; 0 is one for each CPU.
        #[arg(long, default_value_t = 0)]
        threads: usize,
    },
    /// Predict the arms of a scenario from a result file, beside what the prior says.
    #[command(after_help = "Example:\n  nicho predict iris.h5 jobs/scenarios/second-generation.toml")]
    Predict {
        /// The result file (HDF5).
        file: PathBuf,
        /// The scenario file (TOML).
        scenario: PathBuf,
        /// Draws of the posterior, and as many of the prior; by default those of the job.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
        draws: Option<u32>,
        /// Worker threads; 0 is one for each CPU. The result does not depend on it.
        #[arg(long, default_value_t = 0)]
        threads: usize,
        /// Store it in place of another scenario of that name, or of the same with more draws.
        #[arg(long)]
        replace: bool,
        /// Print it only; the result file stays as it is.
        #[arg(long, conflicts_with = "replace")]
        no_store: bool,
    },
    /// Write the report (HTML, SVG, CSV) of a result file.
    #[command(after_help = "Example:\n  nicho report iris.h5 -o iris-report")]
    Report {
        /// The result file (HDF5).
        file: PathBuf,
        /// Folder of the report; by default <file>.report beside it.
        #[arg(short, long)]
        output: Option<PathBuf>,
    },
    /// Show a run at a glance while it goes on: generations, progress, marginals. Disturbs nothing.
    #[command(after_help = "Example:\n  nicho watch iris.h5 --every 10")]
    Watch {
        /// The result file (HDF5), of a run that goes on or has ended.
        file: PathBuf,
        /// Seconds between two looks, on a terminal.
        #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
        every: u64,
        /// Look once, as where standard output is no terminal.
        #[arg(long)]
        once: bool,
    },
    /// Lay several runs over each other: what differs between their jobs, posteriors and predictions.
    #[command(after_help = "Example:\n  nicho compare iris-1.h5 iris-2.h5 -o seeds.html")]
    Compare {
        /// The result files (HDF5), two or more; the others are compared with the first.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The page (HTML, one file).
        #[arg(short, long, value_name = "PAGE", default_value = "compare.html")]
        output: PathBuf,
        /// Replace the page that is there.
        #[arg(long)]
        overwrite: bool,
    },
    /// Write everything in a result file as tidy tables (CSV).
    #[command(after_help = "Example:\n  nicho export iris.h5 iris-tables")]
    Export {
        /// The result file (HDF5).
        file: PathBuf,
        /// Folder of the tables, new or empty.
        folder: PathBuf,
        /// Replace the export that is in the folder.
        #[arg(long)]
        overwrite: bool,
    },
    /// Print the digest of the inference and of each derived group.
    #[command(after_help = "Example:\n  nicho digest iris.h5 | head -1")]
    Digest {
        /// The result file (HDF5).
        file: PathBuf,
    },
    /// Run the job inside a result file again, from the file alone, and compare the digests.
    #[command(after_help = "Example:\n  nicho reproduce iris.h5 --threads 1")]
    Reproduce {
        /// The result file (HDF5).
        file: PathBuf,
        /// Worker threads; 0 is one for each CPU.
        #[arg(long, default_value_t = 0)]
        threads: usize,
    },
    /// Test the model against what is known of the disease, and the engine against itself.
    #[command(
        after_help = "Examples:\n  nicho validate mechanisms --cohort 4000\n  nicho validate sbc jobs/coin.toml --tolerance 1\n\nExit code 1 if it fails."
    )]
    Validate {
        #[command(subcommand)]
        what: What,
    },
    /// Write a commented job file to begin with.
    #[command(
        after_help = "Examples:\n  nicho init -o my.toml                                 of the model cml, with the figures of IRIS\n  nicho init --model cml --data my.csv -o my.toml"
    )]
    Init {
        /// The model, by its name in the catalogue.
        #[arg(long, value_name = "NAME", default_value = "cml")]
        model: String,
        /// Its observation table (CSV); without one the figures of IRIS are written beside the job.
        #[arg(long, value_name = "FILE")]
        data: Option<PathBuf>,
        /// The job file; none is overwritten.
        #[arg(short, long, value_name = "FILE", default_value = "job.toml")]
        output: PathBuf,
    },
    /// Print completions of verbs and flags for a shell.
    #[command(
        after_help = "Examples:\n  nicho completions bash > ~/.local/share/bash-completion/completions/nicho\n  nicho completions zsh > ~/.zfunc/_nicho                 with fpath+=~/.zfunc before compinit\n  nicho completions fish > ~/.config/fish/completions/nicho.fish"
    )]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write manual pages, one of the program and one of each verb.
    #[command(after_help = "Example:\n  nicho man ~/.local/share/man/man1    then man nicho, man nicho-run")]
    Man {
        /// The folder, made if it is missing.
        folder: PathBuf,
    },
    /// Print what a job or scenario file may say: a JSON Schema, with which an editor completes and checks what is typed.
    #[command(
        after_help = "Example:\n  nicho schema job > job.schema.json\n\nThe first line of a job then is #:schema ./job.schema.json (taplo, and VS Code with Even Better TOML)."
    )]
    Schema {
        /// Of which files.
        of: SchemaOf,
        /// Every key on a page in Markdown in place of it.
        #[arg(long, conflicts_with = "json")]
        markdown: bool,
    },
}

#[derive(clap::Args)]
struct Calibration {
    /// The job file (TOML), or a result file: then the job in it is calibrated, and the result and its report keep what was found.
    job: PathBuf,
    /// Data sets, made at draws of the prior, on which the job is run.
    #[arg(long, default_value_t = 200, value_name = "N")]
    replicates: usize,
    /// Tolerance at which every run ends; that at which the run of a result file ended, stop.tolerance of a job, if not given.
    #[arg(long, value_name = "DISTANCE")]
    tolerance: Option<f64>,
    /// Particles in a generation; those of the job if not given.
    #[arg(long, value_name = "N")]
    population: Option<usize>,
    /// Write ranks (CSV) and their histograms (SVG) into this folder.
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Worker threads; 0 is one for each CPU. The result does not depend on it.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

#[derive(Subcommand)]
enum What {
    /// Simulation-based calibration: are true values ranked evenly among posterior draws, and held by intervals as often as they say?
    #[command(
        visible_alias = "coverage",
        after_help = "Example:\n  nicho validate sbc jobs/iris-smoke.toml --tolerance 40 --population 300 -o sbc\n  nicho validate sbc smoke.h5 --tolerance 40   # and nicho report smoke.h5 shows it\n\nExit code 1 if a parameter is not calibrated."
    )]
    Sbc(Calibration),
    /// Which parameters move which fitted rows, over the prior?
    #[command(after_help = "Example:\n  nicho validate screen jobs/iris-full.toml --draws 2000 -o screen")]
    Screen {
        /// The job file (TOML).
        job: PathBuf,
        /// Draws of the prior at which is simulated.
        #[arg(long, default_value_t = 1000, value_name = "N")]
        draws: usize,
        /// Write the shares (CSV) and a heat map (SVG) into this folder.
        #[arg(short, long, value_name = "FOLDER")]
        output: Option<PathBuf>,
        /// Worker threads; 0 is one for each CPU. The result does not depend on it.
        #[arg(long, default_value_t = 0)]
        threads: usize,
        /// A line for each parameter and row, as comma-separated values, in place of a table.
        #[arg(long, conflicts_with = "json")]
        csv: bool,
    },
    /// Does each mechanism of the source review act in the model as stated?
    #[command(
        after_help = "Example:\n  nicho validate mechanisms --markdown > jobs/mechanisms.md\n\nExit code 1 if a statement fails."
    )]
    Mechanisms {
        /// Patients of each cohort.
        #[arg(long, default_value_t = mechanisms::COHORT, value_name = "N")]
        cohort: usize,
        /// The seed.
        #[arg(long, default_value_t = mechanisms::SEED, value_name = "N")]
        seed: u64,
        /// Worker threads; 0 is one for each CPU. The result does not depend on it.
        #[arg(long, default_value_t = 0)]
        threads: usize,
        /// Markdown in place of a table.
        #[arg(long, conflicts_with = "json")]
        markdown: bool,
    },
}

/// All of `nicho`, with `own` models beside those of the catalogue: parses the command line, does what it asks and says how it
/// ended. A job file names a model of one's own like any other; every verb, sampler and launcher takes it.
///
/// ```no_run
/// # use nicho::model::Own;
/// # fn make() -> Box<dyn nicho::model::Model> { Box::new(nicho::model::reference::Coin::default()) }
/// fn main() -> std::process::ExitCode {
///     nicho::cli::main(vec![Own { name: "penny", make }])
/// }
/// ```
pub fn main(own: Vec<Own>) -> ExitCode {
    model::bring(own);
    let Cli { verb, json, logs } = Cli::parse();
    if json {
        verbs::speak_json();
    }
    let verbosity = if logs.quiet { -1 } else { i8::try_from(logs.verbose).unwrap_or(2) };
    let result = verbs::init_logs(&LogFlags { verbosity, format: logs.log_format, folder: logs.log_dir }).and_then(|span| {
        let result = exec::heed(|| work(verb));
        drop(span);
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // What is wrong everywhere is said once.
            if exec::rank() == 0 && !matches!(error, Error::Elsewhere { .. }) {
                complain(&error);
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// The parser, called as this program is: one with models of its own has a name of its own.
fn parser() -> clap::Command {
    let called = std::env::args_os().next().unwrap_or_default();
    let name = PathBuf::from(called).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let parser = Cli::command();
    // A name lasts as long as the process, which has one.
    if name.is_empty() { parser } else { parser.name(&*name.leak()) }
}

/// What a shell reads to complete verbs and flags.
fn completions(shell: Shell) -> String {
    let (mut parser, mut script) = (parser(), Vec::new());
    let name = parser.get_name().to_string();
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    clap_complete::generate(shell, &mut parser, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Names and texts of the manual pages, that of the program first.
fn manual() -> Result<Vec<(String, String)>> {
    let mut parser = parser().disable_help_subcommand(true);
    // Flags of all verbs become those of each, and verbs are called as their pages are.
    parser.build();
    let mut pages = Vec::new();
    page(&parser, &mut pages).map_err(Error::io(Path::new("manual page"), "write"))?;
    Ok(pages)
}

/// The page of a verb and those of the verbs below it.
fn page(parser: &clap::Command, pages: &mut Vec<(String, String)>) -> std::io::Result<()> {
    let mut text = Vec::new();
    clap_mangen::Man::new(parser.clone()).render(&mut text)?;
    let name = parser.get_display_name().unwrap_or(parser.get_name());
    pages.push((format!("{name}.1"), String::from_utf8_lossy(&text).into_owned()));
    parser.get_subcommands().try_for_each(|verb| page(verb, pages))
}

fn work(verb: Verb) -> Result<()> {
    // Of several processes that a launcher started, one does what is no work for ranks.
    let once = matches!(
        verb,
        Verb::Simulate { .. }
            | Verb::Report { .. }
            | Verb::Watch { .. }
            | Verb::Compare { .. }
            | Verb::Export { .. }
            | Verb::Digest { .. }
            | Verb::Init { .. }
            | Verb::Schema { .. }
    );
    if once && Launch::detect().is_some_and(|launch| launch.rank > 0) {
        return Ok(());
    }
    match verb {
        Verb::Run { job, output, seed, threads, resume, overwrite, no_early_rejection } => {
            verbs::run(&RunFlags { job, output, seed, threads, resume, overwrite, no_early_rejection })
        }
        Verb::Check { job, threads, parameters } => verbs::check(&job, threads, parameters),
        Verb::Simulate { job, set, fit, draw, replicate, csv, patient, output, scenario, arm } => {
            let point = Point { job, fit: fit.map(|file| (file, draw)), settings: set, replicate };
            match (patient, output) {
                (Some(patient), Some(folder)) => {
                    let scenario = scenario.map(|scenario| (scenario, arm));
                    verbs::simulate_patient(&point, &Followed { patient, scenario, folder })
                }
                _ => verbs::simulate(&point, csv),
            }
        }
        Verb::Refine { file, threads } => verbs::refine(&file, threads),
        Verb::Predict { file, scenario, draws, threads, replace, no_store } => {
            let keep = match (replace, no_store) {
                (true, _) => Keep::Replace,
                (_, true) => Keep::Print,
                _ => Keep::Store,
            };
            let draws = draws.map(|draws| draws as usize);
            verbs::predict(&PredictFlags { file, scenario, draws, threads, keep })
        }
        Verb::Report { file, output } => verbs::report_of(&file, output.as_deref()),
        Verb::Watch { file, every, once } => verbs::watch(&WatchFlags { file, every, once }),
        Verb::Compare { files, output, overwrite } => verbs::compare(&files, &output, overwrite),
        Verb::Export { file, folder, overwrite } => verbs::export(&file, &folder, overwrite),
        Verb::Digest { file } => verbs::digest(&file),
        Verb::Reproduce { file, threads } => verbs::reproduce(&file, threads),
        Verb::Init { model, data, output } => verbs::init(&InitFlags { model, data, output }),
        Verb::Completions { shell } => {
            verbs::print_completions(&completions(shell));
            Ok(())
        }
        Verb::Man { folder } => verbs::write_manual(&folder, &manual()?),
        Verb::Schema { of, markdown } => {
            verbs::schema(of, markdown);
            Ok(())
        }
        Verb::Validate { what: What::Sbc(flags) } => {
            let Calibration { job, replicates, tolerance, population, output, threads } = flags;
            verbs::validate_calibration(&CalibrationFlags { job, replicates, tolerance, population, output, threads })
        }
        Verb::Validate { what: What::Screen { job, draws, output, threads, csv } } => {
            verbs::validate_screen(&ScreenFlags { job, draws, output, threads, csv })
        }
        Verb::Validate { what: What::Mechanisms { cohort, seed, threads, markdown } } => {
            verbs::validate_mechanisms(&MechanismFlags { cohort, seed, threads, markdown })
        }
    }
}
