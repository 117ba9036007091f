//! Settings that a job may have, one by one and together.

use super::Job;
use super::definition::Definition;
use super::legal;
use super::spanned::Spanned;
use crate::adjust::{self, Method};
use crate::error::Result;
use crate::sampler;
use crate::sampler::accept::Accept;

/// Names of the simulations that a generation can hold.
pub(super) const KEEP: &[&str] = &["accepted", "all"];

/// What can decide whether a simulation is accepted.
pub(super) const ACCEPT: &[&str] = &["tolerance", "noise"];

/// Particles of a job that asks for a regression, at least: weights and distances leave it fewer.
const LEAST_REGRESSED: usize = 50;

/// Names of the tolerance schedules.
pub(super) const SCHEDULES: &[&str] = &["quantile", "ess", "list"];

/// Names of what shapes a proposal's step.
pub(super) const KERNELS: &[&str] = &["global", "nearest"];

/// Names of the ways to adjust a posterior, none among them.
pub(super) fn methods() -> Vec<&'static str> {
    [&["none"], adjust::CATALOGUE].concat()
}

/// Particles of a generation, at most, where each has a step of its own: to find its neighbours costs their square.
const MOST_STEPS: usize = 20_000;

impl Job {
    /// Checks of single values that have a legal range of their own.
    pub(super) fn check_settings(&self) -> Result<()> {
        let Definition { sampler, stop, refine, adjust, output, .. } = &self.definition;
        macro_rules! within {
            ($field:expr, $key:literal, $legal:expr) => {
                if !$legal.holds(*$field.get_ref() as f64) {
                    let problem = format!("{} is outside the legal range: {}", $field.get_ref(), $legal);
                    return Err(self.source.error($field.span(), $key, &problem, "give a value in the range"));
                }
            };
        }
        if !sampler::CATALOGUE.contains(&sampler.name.get_ref().as_str()) {
            return Err(self.source.unknown(&sampler.name, "sampler.name", "sampler", sampler::CATALOGUE));
        }
        let schedule = sampler.schedule.get_ref();
        if !SCHEDULES.contains(&schedule.as_str()) {
            return Err(self.source.unknown(&sampler.schedule, "sampler.schedule", "schedule", SCHEDULES));
        }
        let list = sampler.tolerances.get_ref();
        let falling = list.iter().all(|t| *t >= 0.0) && list.windows(2).all(|w| w[1] < w[0]);
        if schedule == "list" && (list.is_empty() || !falling) {
            let problem = "the tolerances must be a list of falling numbers, 0 or more";
            let fix = "for example tolerances = [8, 4, 2]";
            return Err(self.source.error(sampler.tolerances.span(), "sampler.tolerances", problem, fix));
        }
        let spare = match schedule.as_str() {
            "list" => (sampler.quantile.span(), "quantile"),
            _ => (sampler.tolerances.span(), "tolerances"),
        };
        if !spare.0.is_empty() {
            let problem = format!("the schedule '{schedule}' takes no '{}'", spare.1);
            return Err(self.source.error(spare.0, &format!("sampler.{}", spare.1), &problem, "leave the key out"));
        }
        within!(sampler.population, "sampler.population", legal::MANY);
        let kernel = sampler.kernel.get_ref();
        if !KERNELS.contains(&kernel.as_str()) {
            return Err(self.source.unknown(&sampler.kernel, "sampler.kernel", "kernel", KERNELS));
        }
        if kernel != "global" && *sampler.population.get_ref() > MOST_STEPS {
            let problem = format!("a step for each of more than {MOST_STEPS} particles takes too long to find");
            let fix = "use the kernel 'global', or lower sampler.population";
            return Err(self.source.error(sampler.kernel.span(), "sampler.kernel", &problem, fix));
        }
        within!(sampler.defensive, "sampler.defensive", legal::PART);
        within!(sampler.quantile, "sampler.quantile", legal::WITHIN);
        within!(stop.tolerance, "stop.tolerance", legal::NOT_NEGATIVE);
        within!(stop.acceptance_rate, "stop.acceptance_rate", legal::PART);
        within!(stop.simulations, "stop.simulations", legal::FROM_ONE);
        let least = *sampler.population.get_ref() as u64;
        if *stop.simulations.get_ref() < least {
            let problem = format!("{} simulations cannot fill one generation of {least} particles", stop.simulations.get_ref());
            let fix = "raise stop.simulations, or lower sampler.population";
            return Err(self.source.error(stop.simulations.span(), "stop.simulations", &problem, fix));
        }
        within!(stop.generations, "stop.generations", legal::FROM_ONE);
        self.check_accept()?;
        if sampler.name.get_ref() == "rejection" {
            self.check_rejection()?;
        }
        within!(stop.failures, "stop.failures", legal::SHARE);
        within!(refine.modes, "refine.modes", legal::FEW);
        within!(refine.replicates, "refine.replicates", legal::REPLICATES);
        within!(refine.profile, "refine.profile", legal::FEW);
        if *refine.profile.get_ref() > 0 && *refine.modes.get_ref() == 0 {
            let problem = "profiles are taken about a posterior mode, and this job looks for none";
            let fix = "set refine.modes to 1 or more, or leave refine.profile out";
            return Err(self.source.error(refine.profile.span(), "refine.profile", problem, fix));
        }
        within!(refine.simulations, "refine.simulations", legal::FROM_ONE);
        within!(adjust.draws, "adjust.draws", legal::MANY);
        self.check_adjust()?;
        self.check_variants()?;
        self.check_trials()?;
        within!(output.draws, "output.draws", legal::MANY);
        if self.definition.priors.is_empty() {
            let fix = "give at least one parameter a prior";
            return Err(self.source.error(0..0, "priors", "nothing is to be inferred", fix));
        }
        Ok(())
    }

    /// Noise decides on what is accepted: then it must be all that does, and every tolerance is a temperature.
    fn check_accept(&self) -> Result<()> {
        let Definition { sampler, stop, distance, noise, adjust, .. } = &self.definition;
        if !ACCEPT.contains(&sampler.accept.get_ref().as_str()) {
            return Err(self.source.unknown(&sampler.accept, "sampler.accept", "choice", ACCEPT));
        }
        let unused = noise.first_key_value().map(|(name, _)| name);
        if self.accept() == Accept::Tolerance {
            let Some(name) = unused else { return Ok(()) };
            let problem = "a tolerance decides on what is accepted, so that noise is not used";
            return Err(self.source.error(
                name.span(),
                "noise",
                problem,
                "add accept = \"noise\" under [sampler], or leave it out",
            ));
        }
        if let Some(name) = unused.filter(|_| self.table.is_some()) {
            let problem = "the noise of a table is that of its standard errors";
            return Err(self.source.error(name.span(), "noise", problem, "leave [noise] out"));
        }
        let foreign = distance.name.as_ref().filter(|name| self.table.is_none() || name.get_ref() != "trial");
        if let Some(name) = foreign {
            let problem = format!("the distance '{}' is not that of a noise model", name.get_ref());
            return Err(self.source.error(
                name.span(),
                "distance.name",
                &problem,
                "leave the key out: it follows from the noise",
            ));
        }
        let unused = [
            ("scale", distance.scale.as_ref().map(Spanned::span)),
            ("robust", distance.robust.as_ref().map(Spanned::span)),
            ("p", distance.p.as_ref().map(Spanned::span)),
            ("regression", distance.regression.as_ref().map(Spanned::span)),
        ];
        if let Some((key, Some(span))) = unused.into_iter().find(|(_, span)| span.is_some()) {
            let problem = format!("the distance follows from the noise, and takes no {key}");
            return Err(self.source.error(span, &format!("distance.{key}"), &problem, "leave the key out"));
        }
        if !matches!(adjust.method.get_ref().as_str(), "none") {
            let problem = "the posterior is exact where noise decides, and a regression on summaries without noise would bend it";
            return Err(self.source.error(adjust.method.span(), "adjust.method", problem, "leave [adjust] out"));
        }
        if let Some((name, _)) = distance.weights.first_key_value() {
            let problem = "with weights the acceptance is no longer the probability of the data";
            return Err(self.source.error(name.span(), "distance.weights", problem, "leave them out; exclude rows instead"));
        }
        if sampler.keep.get_ref() == "all" {
            let problem =
                "all simulations can be kept where a tolerance decides, found when they are there, not where noise does";
            return Err(self.source.error(sampler.keep.span(), "sampler.keep", problem, "leave the key out"));
        }
        let list = sampler.tolerances.get_ref().iter().map(|t| (*t, sampler.tolerances.span(), "sampler.tolerances"));
        let last = [(*stop.tolerance.get_ref(), stop.tolerance.span(), "stop.tolerance")];
        let cold = list.chain(last).find(|(t, span, _)| *t < 1.0 && !span.is_empty());
        if let Some((t, span, key)) = cold {
            let problem = format!("{t} is outside the legal range: where noise decides, it is a temperature, 1 or more");
            let fix = "leave the key out, or end at 1, where the posterior is exact";
            return Err(self.source.error(span, key, &problem, fix));
        }
        Ok(())
    }

    /// A regression needs some particles; a surrogate needs all simulations, and those a sampler that makes a generation of so many trials.
    fn check_adjust(&self) -> Result<()> {
        let Definition { sampler, adjust, .. } = &self.definition;
        let methods = methods();
        if !methods.contains(&adjust.method.get_ref().as_str()) {
            return Err(self.source.unknown(&adjust.method, "adjust.method", "method", &methods));
        }
        if !KEEP.contains(&sampler.keep.get_ref().as_str()) {
            return Err(self.source.unknown(&sampler.keep, "sampler.keep", "choice", KEEP));
        }
        let all = sampler.keep.get_ref() == "all";
        if all && (sampler.name.get_ref() != "smc" || sampler.schedule.get_ref() != "quantile") {
            let problem = "all simulations can be kept where the tolerance is a quantile of their distances, and only there";
            let fix = "leave the key out, or use the sampler 'smc' with the schedule 'quantile'";
            return Err(self.source.error(sampler.keep.span(), "sampler.keep", problem, fix));
        }
        let method = self.adjust().map(|(method, _)| method);
        let population = *sampler.population.get_ref();
        if matches!(method, Some(Method::Regression(_))) && population < LEAST_REGRESSED {
            let problem = format!("a regression needs {LEAST_REGRESSED} particles at least, and this job has {population}");
            let fix = format!("raise sampler.population to {LEAST_REGRESSED} or more, or leave [adjust] out");
            return Err(self.source.error(adjust.method.span(), "adjust.method", &problem, &fix));
        }
        if method == Some(Method::Surrogate) && !all {
            let problem = "a surrogate is learnt from all simulations, and this job keeps those accepted";
            let fix = "add keep = \"all\" under [sampler], or use the method 'regression'";
            return Err(self.source.error(adjust.method.span(), "adjust.method", problem, fix));
        }
        Ok(())
    }

    /// Rejection makes one generation at the final tolerance: it needs that, and nothing that says how to get there.
    fn check_rejection(&self) -> Result<()> {
        let Definition { sampler, stop, .. } = &self.definition;
        let tolerance = &stop.tolerance;
        if *tolerance.get_ref() <= 0.0 && self.accept() == Accept::Tolerance {
            let span = if tolerance.span().is_empty() { sampler.name.span() } else { tolerance.span() };
            let problem = "the sampler 'rejection' needs a tolerance above 0";
            let fix = "add tolerance = … under [stop]: draws of the prior whose distance is at most that are kept";
            return Err(self.source.error(span, "stop.tolerance", problem, fix));
        }
        let falls = [
            (sampler.schedule.span(), "sampler.schedule"),
            (sampler.quantile.span(), "sampler.quantile"),
            (sampler.tolerances.span(), "sampler.tolerances"),
            (sampler.kernel.span(), "sampler.kernel"),
            (sampler.defensive.span(), "sampler.defensive"),
            (stop.generations.span(), "stop.generations"),
        ];
        let no_use = |span, key: &str, fix: &str| {
            let (_, name) = key.rsplit_once('.').unwrap_or_default();
            let problem = format!("the sampler 'rejection' takes no '{name}': it makes one generation, at stop.tolerance");
            self.source.error(span, key, &problem, fix)
        };
        if let Some((span, key)) = falls.into_iter().find(|(span, _)| !span.is_empty()) {
            return Err(no_use(span, key, "leave the key out, or use the sampler 'smc'"));
        }
        if !stop.acceptance_rate.span().is_empty() {
            // A rate r would cut it after population / r simulations, with nothing to show.
            let fix = "leave the key out; stop.simulations limits the cost";
            return Err(no_use(stop.acceptance_rate.span(), "stop.acceptance_rate", fix));
        }
        Ok(())
    }
}
