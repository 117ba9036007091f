//! The `[distance]` table: the definition to a distance, whose scales may have to be learnt from simulations first.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::Job;
use super::legal;
use super::spanned::Spanned;
use crate::distance::energy::Energy;
use crate::distance::euclidean::{Euclidean, Pilot};
use crate::distance::learned::Learned;
use crate::distance::{self, Distance, trial::Trial};
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::model::Model;
use crate::rng::{Branch, Key};
use crate::sampler::accept::Accept;
use crate::sampler::{Piloted, Problem, pilot};

/// Names of the ways to scale summaries.
pub(super) const SCALES: &[&str] = &["none", "mad"];
/// Exponent of a job that does not give it.
pub(super) const EXPONENT: f64 = 2.0;
/// Draws of the prior in a pilot at most; a small population has a small pilot.
const MOST_PILOT: usize = 1000;
/// Summaries of which one can be an outlier, at least: no more than a third are taken for such.
const LEAST_ROBUST: usize = 3;
/// Simulations of a pilot that must succeed.
const LEAST_PILOT: usize = 10;

impl Job {
    /// Simulations of the pilot from which the distance learns; `None` if it needs none.
    pub fn pilot(&self) -> Option<usize> {
        let is = |key: &Option<Spanned<String>>, word: &str| key.as_ref().is_some_and(|key| key.get_ref() == word);
        let def = &self.definition.distance;
        let learns = is(&def.scale, "mad") || is(&def.name, "learned");
        learns.then(|| (*self.definition.sampler.population.get_ref()).min(MOST_PILOT))
    }

    /// The inference problem, with what the distance has to learn learnt from a pilot where the job asks for that: a function of job and
    /// seed. `idle` is told how many simulations of the pilot are done. Collective.
    ///
    /// # Errors
    /// Those of [`Job::problem`] and of the executor; [`Error::Input`] if there is nothing to learn or hardly any simulation succeeds;
    /// [`Error::Stopped`] if `idle` breaks it off.
    pub fn problem_on(&self, exec: &dyn Executor, idle: &mut dyn FnMut(u64) -> ControlFlow<()>) -> Result<Problem> {
        let mut problem = self.problem()?;
        if let Some(count) = self.pilot() {
            let rows = pilot(&problem, count, exec, idle)?.ok_or(Error::Stopped)?;
            problem.distance = self.distance(problem.model.as_ref(), Some(&rows))?;
        }
        Ok(problem)
    }

    /// The distance from the observed values; `pilot` is what it learns from.
    ///
    /// # Errors
    /// [`Error::Input`] for an unknown distance, row, weight or scale, for a summary that does not vary in the pilot, and for noise that is not known.
    pub fn distance(&self, model: &dyn Model, pilot: Option<&Piloted>) -> Result<Box<dyn Distance>> {
        let def = &self.definition.distance;
        let trial = self.table.is_some();
        if self.accept() == Accept::Noise && !trial {
            return Ok(Box::new(self.noise(model)?));
        }
        let usual = Spanned::new(0..0, String::from(if trial { "trial" } else { "euclidean" }));
        let name = def.name.as_ref().unwrap_or(&usual);
        let placed = |error: Error| match error {
            Error::Usage { problem, fix } => {
                let span = def.weights.first_key_value().map_or(name.span(), |(name, _)| name.span());
                self.source.error(span, "distance.weights", &problem, &fix)
            }
            other => other,
        };
        let reason = match name.get_ref().as_str() {
            "trial" if trial => Some("it knows the errors of the published figures"),
            "energy" => Some("it compares samples, whose numbers all count alike"),
            "learned" => Some("a regression says what each summary counts for"),
            _ => None,
        };
        if let Some(regression) = def.regression.as_ref().filter(|_| name.get_ref() != "learned") {
            let problem = format!("the distance '{}' has no regression: it compares summaries, not predictions", name.get_ref());
            let fix = "add name = \"learned\" under [distance], or leave the key out";
            return Err(self.source.error(regression.span(), "distance.regression", &problem, fix));
        }
        let keys = [
            ("scale", def.scale.as_ref().map(Spanned::span)),
            ("robust", def.robust.as_ref().map(Spanned::span)),
            ("p", def.p.as_ref().map(Spanned::span)),
            ("weights", def.weights.first_key_value().map(|(name, _)| name.span()).filter(|_| name.get_ref() != "trial")),
        ];
        if let (Some(reason), Some((key, Some(span)))) = (reason, keys.into_iter().find(|(_, span)| span.is_some())) {
            let problem = format!("the distance '{}' has no {key}: {reason}", name.get_ref());
            let fix = "leave the key out, or use the distance 'euclidean'";
            return Err(self.source.error(span, &format!("distance.{key}"), &problem, fix));
        }
        match name.get_ref().as_str() {
            "trial" if trial => {
                let weights = def.weights.iter().map(|(name, w)| (name.get_ref().clone(), *w.get_ref())).collect();
                let distance = Trial::new(&self.fitted_rows(), &weights);
                distance.map(|d| Box::new(d) as Box<dyn Distance>).map_err(placed)
            }
            "energy" => {
                let distance = Energy::new(self.observed(model)?);
                distance.map(|d| Box::new(d) as Box<dyn Distance>).map_err(|error| match error {
                    Error::Usage { problem, fix } => self.source.error(name.span(), "distance.name", &problem, &fix),
                    other => other,
                })
            }
            "learned" => {
                let unknown = |by: &&Spanned<String>| !distance::REGRESSIONS.contains(&by.get_ref().as_str());
                if let Some(by) = def.regression.as_ref().filter(unknown) {
                    return Err(self.source.unknown(by, "distance.regression", "regression", distance::REGRESSIONS));
                }
                match pilot {
                    Some(pilot) => self.learned(model, pilot, name),
                    // In the place of one that has learnt nothing yet.
                    None => self.euclidean(model, None, &placed),
                }
            }
            "euclidean" => self.euclidean(model, pilot, &placed),
            "trial" => {
                let fix = "name a table under [observations], or use euclidean";
                Err(self.source.error(name.span(), "distance.name", "the distance 'trial' needs an observation table", fix))
            }
            _ => Err(self.source.unknown(name, "distance.name", "distance", distance::CATALOGUE)),
        }
    }

    fn learned(&self, model: &dyn Model, pilot: &Piloted, name: &Spanned<String>) -> Result<Box<dyn Distance>> {
        self.enough(pilot, name, "distance.name")?;
        let Piloted { coordinates, summaries } = pilot;
        let network = self.definition.distance.regression.as_ref().is_some_and(|by| by.get_ref() == "network");
        let nothing = || {
            let problem = format!("no summary says anything of any parameter in {} simulations of the pilot", summaries.len());
            let mut fixes = vec!["use the distance 'euclidean'"];
            fixes.extend((!network).then_some("add regression = \"network\", which hears more than what is linear"));
            fixes.extend((self.pilot() < Some(MOST_PILOT)).then_some("raise sampler.population to 1000"));
            fixes.reverse();
            self.source.error(name.span(), "distance.name", &problem, &fixes.join(", or "))
        };
        let key = network.then_some(Key::root(*self.definition.seed.get_ref()).branch(Branch::Pilot));
        let learned = Learned::new(self.observed(model)?, coordinates, summaries, key).ok_or_else(nothing)?;
        Ok(Box::new(learned))
    }

    /// Refuses a pilot of which too few simulations succeeded, by the key that asked for it.
    fn enough(&self, pilot: &Piloted, asked: &Spanned<String>, key: &str) -> Result<()> {
        let count = pilot.summaries.len();
        if count >= LEAST_PILOT {
            return Ok(());
        }
        let problem = format!("only {count} simulations of the pilot at draws of the prior succeeded");
        let fix = "narrow the priors to where the model can be simulated";
        Err(self.source.error(asked.span(), key, &problem, fix))
    }

    fn euclidean(
        &self,
        model: &dyn Model,
        pilot: Option<&Piloted>,
        placed: &dyn Fn(Error) -> Error,
    ) -> Result<Box<dyn Distance>> {
        let def = &self.definition.distance;
        let names: Vec<&str> = model.summaries().iter().map(|s| s.name.as_str()).collect();
        if let Some(name) = def.weights.keys().find(|name| !names.contains(&name.get_ref().as_str())) {
            let problem = format!("the model has no summary '{}'", name.get_ref());
            let fix = format!("the summaries are {}", names.join(", "));
            return Err(self.source.error(name.span(), "distance.weights", &problem, &fix));
        }
        let scale = def.scale.as_ref();
        if let Some(scale) = scale.filter(|scale| !SCALES.contains(&scale.get_ref().as_str())) {
            return Err(self.source.unknown(scale, "distance.scale", "scale", SCALES));
        }
        let p = def.p.as_ref().map_or(EXPONENT, |p| *p.get_ref());
        if let Some(given) = def.p.as_ref().filter(|_| !(p.is_finite() && legal::FROM_ONE.holds(p))) {
            let problem = format!("{p} is outside the legal range: {}, and finite", legal::FROM_ONE);
            return Err(self.source.error(given.span(), "distance.p", &problem, "give 1, 2 or another number from 1 on"));
        }
        let robust = def.robust.as_ref().filter(|robust| *robust.get_ref());
        if let Some(robust) = robust.filter(|_| self.pilot().is_none()) {
            let problem = "which observations are outliers is learnt from a pilot, and this job has none";
            return Err(self.source.error(robust.span(), "distance.robust", problem, "add scale = \"mad\""));
        }
        let weighed =
            names.iter().filter(|name| def.weights.iter().all(|(n, w)| n.get_ref() != *name || *w.get_ref() > 0.0)).count();
        if let Some(robust) = robust.filter(|_| weighed < LEAST_ROBUST) {
            let problem = format!("of {weighed} summaries none can be told to be the outlier");
            let fix = format!("leave the key out: it takes {LEAST_ROBUST} summaries or more");
            return Err(self.source.error(robust.span(), "distance.robust", &problem, &fix));
        }
        let given: BTreeMap<&str, f64> = def.weights.iter().map(|(name, w)| (name.get_ref().as_str(), *w.get_ref())).collect();
        let weights: Vec<f64> = names.iter().map(|name| given.get(name).copied().unwrap_or(1.0)).collect();
        let learnt = match (pilot, scale) {
            (Some(pilot), Some(scale)) => {
                self.enough(pilot, scale, "distance.scale")?;
                let rows = &pilot.summaries;
                let refuse = |problem: String, fix: &str| self.source.error(scale.span(), "distance.scale", &problem, fix);
                let left_out: Vec<bool> = weights.iter().map(|w| *w == 0.0).collect();
                let constant = |k: usize| {
                    let problem =
                        format!("the summary '{}' was the same in all {} simulations of the pilot", names[k], rows.len());
                    refuse(problem, &format!("leave it out: weights = {{ {} = 0 }}", names[k]))
                };
                Some(Pilot::of(rows, names.len(), &left_out, robust.is_some()).map_err(constant)?)
            }
            _ => None,
        };
        let distance = Euclidean::new(self.observed(model)?, weights, p, learnt);
        distance.map(|d| Box::new(d) as Box<dyn Distance>).map_err(placed)
    }
}
