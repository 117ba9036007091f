//! The numbers of a report: pure functions of a stored run, its priors and its observations.

use serde::Serialize;

use crate::error::{Error, Result};
use crate::population::{Generation, Mode, Run, Stop};
use crate::report::adjusted::Adjustment;
use crate::report::checks::Checks;
use crate::report::informed::Informed;
use crate::report::models::{self, ModelLine};
use crate::report::profiles::{self, ProfileLine};
use crate::report::ranks::Calibrated;
use crate::report::rows::{RowLine, Totals, Use, lines};
use crate::report::verdict::Verdict;
use crate::report::{Input, density};

/// The posterior of one parameter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParameterLine {
    /// Name.
    pub name: String,
    /// Unit; `-` for a pure number.
    pub unit: String,
    /// What it is.
    pub meaning: String,
    /// Mean, natural units.
    pub mean: f64,
    /// Standard deviation, natural units.
    pub sd: f64,
    /// 5 % quantile.
    pub q05: f64,
    /// 95 % quantile.
    pub q95: f64,
    /// At the best refined mode, or, if modes were not looked for, at the particle where the posterior is densest.
    pub mode: f64,
    /// 1 − posterior variance / prior variance, both on the coordinate of the prior (the logarithm of a positive parameter, the
    /// logit of a proportion): 0 if the data said nothing, 1 if they said all; negative if the posterior is wider. (Schad,
    /// Betancourt and Vasishth 2021, Psychol Methods 26:103.)
    pub contraction: f64,
}

/// One generation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct GenerationLine {
    /// Number, from 0.
    pub number: usize,
    /// Largest accepted distance; infinite for a sample of the prior.
    pub tolerance: f64,
    /// Accepted per simulated.
    pub acceptance: f64,
    /// Effective sample size.
    pub ess: f64,
    /// Simulations.
    pub simulated: u64,
    /// Simulations that were [asked](crate::population::asked) whether they failed.
    pub asked: u64,
    /// Those of them that did.
    pub failed: u64,
}

/// A run in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Name of the job.
    pub name: String,
    /// Parameters, in the order of the run; without the number of a model.
    pub parameters: Vec<ParameterLine>,
    /// Models, in the order of the job; empty if there is one.
    pub models: Vec<ModelLine>,
    /// Predictive checks of the fitted rows; none without predictive simulations.
    pub checks: Checks,
    /// Directions of parameter space, and which of them the data inform.
    pub informed: Informed,
    /// Profiles, in the order of the parameters; empty if they were not asked for.
    pub profiles: Vec<ProfileLine>,
    /// The adjusted posterior; `None` if the job asks for none.
    pub adjusted: Option<Adjustment>,
    /// A calibration of the job; `None` if the file has none.
    pub calibration: Option<Calibrated>,
    /// Simulations of the run, those of an unfinished last generation included.
    pub simulated: u64,
    /// Whether [`ParameterLine::mode`] is a refined mode.
    pub refined: bool,
    /// Rows of the data, in the order of the run.
    pub rows: Vec<RowLine>,
    /// Whether the rows are predictive simulations; otherwise they are the summaries of the accepted particles.
    pub predictive: bool,
    /// Totals over fitted rows.
    pub fitted: Totals,
    /// Totals over held-out rows.
    pub held_out: Totals,
    /// Generations.
    pub generations: Vec<GenerationLine>,
    /// Particles of the last generation.
    pub particles: usize,
    /// Modes, best first.
    pub modes: Vec<Mode>,
    /// Distances between replicate cohorts: 5 %, 50 % and 95 % quantiles; `None` if not measured.
    pub noise_floor: Option<(f64, f64, f64)>,
    /// Why the run ended.
    pub stopped: Option<Stop>,
    /// Whether the noise of the data decided on what was accepted: tolerances are temperatures.
    pub tempered: bool,
    /// Whether to trust it.
    pub verdict: Verdict,
}

impl Summary {
    /// Forms all numbers.
    ///
    /// # Errors
    /// `Usage` if there are not as many priors as parameters, or no generation is finished.
    pub fn of(input: &Input<'_>) -> Result<Summary> {
        let (header, run) = (input.store.header(), input.store.run());
        if header.parameters.len() != input.priors.len() {
            return Err(Error::Usage {
                problem: format!("{} priors for {} parameters", input.priors.len(), header.parameters.len()),
                fix: "give the priors of the job that this run belongs to".into(),
            });
        }
        let Some(last) = run.last() else {
            let fix = match run.stopped {
                Some(_) => "its simulations did not suffice: raise stop.simulations, or stop.tolerance",
                None => "let the run finish its first generation",
            };
            return Err(Error::Usage {
                problem: format!("{}: no generation is finished, so there is no posterior yet", input.store.path().display()),
                fix: fix.into(),
            });
        };
        let mut modes = input.store.modes().unwrap_or_default().to_vec();
        modes.sort_by(|a, b| a.objective.total_cmp(&b.objective));
        let rows = lines(input);
        let floor = crate::report::rows::Band::of(input.noise_floor.iter().copied());
        let mut summary = Summary {
            simulated: input.store.run().simulated(),
            name: header.job_name.clone(),
            parameters: parameters(input, last, &modes),
            models: models::lines(run, input.models),
            checks: Checks::of(input),
            informed: Informed::of(input),
            profiles: profiles::lines(input),
            adjusted: Adjustment::of(input),
            calibration: input.store.calibration().map(Calibrated::of),
            refined: !modes.is_empty(),
            predictive: rows.iter().any(|r| r.crps.is_some() || r.prior.is_some()),
            fitted: Totals::of(&rows, Use::Fitted),
            held_out: Totals::of(&rows, Use::HeldOut),
            rows,
            generations: generations(run),
            particles: last.accepted().count(),
            modes,
            noise_floor: floor.map(|f| (f.q05, f.median, f.q95)),
            stopped: run.stopped,
            tempered: header.tempered(),
            verdict: Verdict::default(),
        };
        summary.verdict = Verdict::of(&summary);
        Ok(summary)
    }

    /// How many rows have a role.
    pub fn count(&self, role: Use) -> usize {
        self.rows.iter().filter(|r| r.role == role).count()
    }
}

/// A line for each generation.
pub fn generations(run: &Run) -> Vec<GenerationLine> {
    run.generations.iter().enumerate().map(generation).collect()
}

fn generation((number, g): (usize, &Generation)) -> GenerationLine {
    GenerationLine {
        number,
        tolerance: g.tolerance,
        acceptance: g.acceptance_rate(),
        ess: g.weights().ess(),
        simulated: g.simulated,
        asked: g.asked(),
        failed: g.failed,
    }
}

fn parameters(input: &Input<'_>, last: &Generation, modes: &[Mode]) -> Vec<ParameterLine> {
    let densest = if modes.is_empty() { density::densest(last, &last.weights(), input.priors) } else { None };
    let line = |(k, column): (usize, &crate::store::Column)| {
        let weights = input.weights_of(last, k);
        let values = || last.theta.column(k).to_vec().into_iter();
        let prior = &input.priors[k];
        let coordinates: Vec<f64> = values().map(|x| prior.coordinate(x)).collect();
        let mode = modes.first().map(|m| m.theta[k]).or(densest.map(|i| last.theta[(i, k)]));
        ParameterLine {
            name: column.name.clone(),
            unit: column.unit.clone(),
            meaning: column.long_name.clone(),
            mean: weights.mean(values()),
            sd: weights.sd(values()),
            q05: weights.quantile(values(), 0.05),
            q95: weights.quantile(values(), 0.95),
            mode: mode.unwrap_or(f64::NAN),
            contraction: 1.0 - (weights.sd(coordinates.into_iter()) / prior.coordinate_sd()).powi(2),
        }
    };
    // Behind the parameters stands the number of the model, which is no parameter.
    let count = input.store.header().parameters.len() - usize::from(!input.models.is_empty());
    input.store.header().parameters.iter().take(count).enumerate().map(line).collect()
}
