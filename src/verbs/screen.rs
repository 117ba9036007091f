//! `nicho validate screen`: which parameters move which fitted rows.

use std::path::PathBuf;

use super::progress::{Budget, Show};
use super::say::document;
use super::session::Session;
use super::shared::{agree, on_ranks, prepare};
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::job::Job;
use crate::predict::{Of, predict, prior_draws};
use crate::report::Screened;
use crate::validate::Screen;

/// Flags of `nicho validate screen`.
pub struct ScreenFlags {
    /// The job file.
    pub job: PathBuf,
    /// Draws of the prior.
    pub draws: usize,
    /// Folder for table and heat map.
    pub output: Option<PathBuf>,
    /// Worker threads.
    pub threads: usize,
    /// Comma-separated values in place of a table.
    pub csv: bool,
}

/// Fewest draws with every row known: with fewer a share of 10 % is noise.
const FEWEST: usize = 40;

/// Simulates at draws of the prior and prints a line for each parameter.
///
/// # Errors
/// [`Error::Usage`] with too few draws, or too few that can be simulated; [`Error::Stopped`] after a signal.
pub fn validate_screen(flags: &ScreenFlags) -> Result<()> {
    if flags.draws < FEWEST {
        let problem = format!("--draws {}: too few to tell an effect from noise", flags.draws);
        return Err(Error::Usage { problem, fix: format!("give at least {FEWEST}, best 1000 or more") });
    }
    on_ranks(flags.threads, |exec| on(exec, flags))
}

fn on(exec: &dyn Executor, flags: &ScreenFlags) -> Result<()> {
    let problem = agree(exec, Job::load(&flags.job))?.problem()?;
    prepare(exec, flags.output.as_deref())?;
    let session = Session::new("validate", exec);
    let mut show = Show::new(&session, Budget::of(flags.draws));
    let idle = &mut |done| show.work("draws of the prior", done, flags.draws as u64);
    let prior = predict(&problem, problem.model.as_ref(), prior_draws(&problem, flags.draws), Of::Prior, exec, idle)?;
    drop(show);
    let Some(prior) = prior else { return Err(Error::Stopped) };
    let screen = Screen::of(&prior.draws.theta, &prior.values);
    if screen.used < FEWEST {
        let problem = format!("of {} draws of the prior only {} could be simulated with every row", flags.draws, screen.used);
        let fix = "give more --draws, narrow the priors, or exclude rows of few patients (observations.exclude)".into();
        return Err(Error::Usage { problem, fix });
    }
    let screened = Screened {
        screen: &screen,
        parameters: problem.free.iter().map(|index| problem.model.parameters()[*index].name).collect(),
        endpoints: problem.model.summaries().iter().map(|summary| summary.name.as_str()).collect(),
        draws: flags.draws,
    };
    document(|| screened.json());
    if flags.csv {
        text!("{}", screened.csv());
    } else {
        text!("{}", screened.text());
    }
    if let Some(folder) = &flags.output {
        exec.once(&mut || {
            let written = screened.write(folder)?;
            // CSV is nothing but that.
            written.iter().filter(|_| !flags.csv).for_each(|path| line!("{}", path.display()));
            Ok(Vec::new())
        })?;
    }
    Ok(())
}
