//! The `[[variant]]` tables: models that one job compares.

use super::Job;
use super::spanned::Spanned;
use crate::error::Result;
use crate::model::Model;
use crate::model::cml::cohort::Part;
use crate::model::cml::parameters;
use crate::model::cml::trials::shared;
use crate::model::variants::{Member, VARIANT, Variants};
use crate::spelling::nearest;

impl Job {
    /// Names of the models that are compared, in the order of their numbers; empty if there is one model.
    pub fn models(&self) -> Vec<String> {
        self.definition.variant.iter().map(|variant| variant.name.get_ref().clone()).collect()
    }

    /// Name of each model that is compared, and the coordinates of `theta` that act in it; empty, and for nothing, if there is one model.
    ///
    /// # Errors
    /// Those of [`Job::fit_model`].
    pub fn compared(&self) -> Result<Vec<(String, Vec<usize>)>> {
        if self.definition.variant.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.models().into_iter().zip(self.acting(self.fit_model()?.as_ref())?).collect())
    }

    /// The full parameter vector `theta` as a variant of the model `cml` takes it, what it fixes in place.
    pub fn of_variant(&self, theta: &[f64], variant: usize) -> Vec<f64> {
        let mut own = theta[..parameters::TABLE.len().min(theta.len())].to_vec();
        for (name, value) in self.definition.variant.get(variant).into_iter().flat_map(|variant| &variant.fixed) {
            if let Some(at) = parameters::index(name.get_ref()) {
                own[at] = *value.get_ref();
            }
        }
        own
    }

    /// All variants as one model, each made by `one` from its number; the model itself, number 0, if there are none.
    ///
    /// # Errors
    /// Those of `one`; [`Error::Input`](crate::error::Error::Input) if there is but one variant, two have one name, one fixes what it
    /// does not have or beyond the legal range, or their summaries differ.
    pub fn compare(&self, one: &dyn Fn(usize) -> Result<Box<dyn Model>>) -> Result<Box<dyn Model>> {
        let variants = &self.definition.variant;
        let Some(first) = variants.first() else { return one(0) };
        if variants.len() == 1 {
            let fix = "add another [[variant]], or leave this one out";
            return Err(self.source.error(first.name.span(), "variant", "one model cannot be compared", fix));
        }
        let mut members = Vec::new();
        for (number, variant) in variants.iter().enumerate() {
            if variants[..number].iter().any(|other| other.name.get_ref() == variant.name.get_ref()) {
                let problem = format!("two variants are called '{}'", variant.name.get_ref());
                return Err(self.source.error(variant.name.span(), "variant.name", &problem, "give each a name of its own"));
            }
            let model = one(number)?;
            let table = model.parameters();
            let mut fixed = Vec::new();
            for (name, value) in &variant.fixed {
                let Some(parameter) = table.iter().find(|parameter| parameter.name == name.get_ref()) else {
                    let near = nearest(name.get_ref(), table.iter().map(|parameter| parameter.name));
                    let problem = format!("the variant '{}' has no parameter '{}'", variant.name.get_ref(), name.get_ref());
                    let fix = format!("did you mean '{near}'?");
                    return Err(self.source.error(name.span(), "variant.fixed", &problem, &fix));
                };
                let (low, high) = parameter.range;
                if !(low..=high).contains(value.get_ref()) {
                    let unit = parameter.unit_after();
                    let problem = format!("{} is outside the legal range [{low}, {high}]{unit}", value.get_ref());
                    return Err(self.source.error(value.span(), "variant.fixed", &problem, "move it into the range"));
                }
                fixed.push((name.get_ref().clone(), *value.get_ref()));
            }
            members.push(Member { model, fixed });
        }
        let names = |member: &Member| member.model.summaries().iter().map(|summary| summary.name.clone()).collect::<Vec<_>>();
        if let Some(other) = members.iter().position(|member| member.model.summaries() != members[0].model.summaries()) {
            let [here, there] = [&members[0], &members[other]].map(|member| names(member).join(", "));
            let problem = format!("its summaries are {there}; those of '{}' are {here}", first.name.get_ref());
            let fix = "compare models with the same summaries, and so with the same data";
            return Err(self.source.error(variants[other].name.span(), "variant", &problem, fix));
        }
        Variants::new(members)
            .map(|model| Box::new(model) as Box<dyn Model>)
            .ok_or_else(|| self.source.error(first.name.span(), "variant", "there is none", "name one"))
    }

    /// Of each variant the coordinates of `theta` that act in it.
    pub(super) fn acting(&self, model: &dyn Model) -> Result<Vec<Vec<usize>>> {
        let variants = &self.definition.variant;
        let mut all = Vec::new();
        for (number, variant) in variants.iter().enumerate() {
            let own = self.model_of(&self.fitted_rows(), number)?;
            let parts = self.parts_of(number)?;
            let acts = |name: &str| {
                own.parameters().iter().any(|parameter| parameter.name == name)
                    && !variant.fixed.keys().any(|fixed| fixed.get_ref() == name)
                    && !parts.iter().any(|part| part.silences().contains(&shared(name)))
            };
            let free = self.inferred.iter().enumerate();
            all.push(free.filter(|(_, (index, _))| acts(model.parameters()[*index].name)).map(|(k, _)| k).collect::<Vec<_>>());
        }
        let name = |index: usize| model.parameters()[index].name;
        let idle = |k: &usize| !variants.is_empty() && !all.iter().any(|acting| acting.contains(k));
        // The last is the number of the variant.
        if let Some(k) = (0..self.inferred.len() - usize::from(!variants.is_empty())).find(idle) {
            let name = name(self.inferred[k].0);
            let span = self.definition.priors.keys().find(|key| key.get_ref() == name).map_or(0..0, Spanned::span);
            let fix = "take its prior away, or let it act in a variant";
            return Err(self.source.error(span, &format!("priors.{name}"), "the parameter acts in no variant", fix));
        }
        Ok(all)
    }

    /// The parts of the model that a variant does without, beside those that the job leaves out.
    pub(super) fn parts_of(&self, variant: usize) -> Result<Vec<Part>> {
        let asked = self.definition.variant.get(variant).map(|variant| &variant.without);
        asked.into_iter().flatten().map(|name| self.part(name, "variant.without")).collect()
    }

    /// What cannot be asked of a comparison.
    pub(super) fn check_variants(&self) -> Result<()> {
        let super::definition::Definition { variant, model: def, refine, adjust, priors, .. } = &self.definition;
        for variant in variant {
            if variant.name.get_ref().is_empty() {
                return Err(self.source.error(variant.name.span(), "variant.name", "a variant needs a name", "give it one"));
            }
            let model = variant.model.as_ref().unwrap_or(&def.name);
            if let (Some(part), true) = (variant.without.first(), model.get_ref() != "cml") {
                let problem = format!("the model '{}' has no parts to leave out", model.get_ref());
                return Err(self.source.error(part.span(), "variant.without", &problem, "leave the key out"));
            }
        }
        if variant.is_empty() {
            return Ok(());
        }
        let refuse = |span, key: &str, problem: &str, fix: &str| Err(self.source.error(span, key, problem, fix));
        if let Some(name) = priors.keys().find(|name| name.get_ref() == VARIANT) {
            let problem = "every variant is as likely as any other before the data";
            return refuse(name.span(), "priors.variant", problem, "take the line away; other odds multiply the Bayes factors");
        }
        if *refine.profile.get_ref() > 0 {
            let fix = "leave [refine] out, and refine a job of the model that is found";
            return refuse(
                refine.profile.span(),
                "refine.profile",
                "a profile is one of a model, and this job compares several",
                fix,
            );
        }
        if let Some(name) = def.fixed.keys().find(|name| name.get_ref() == VARIANT) {
            let fix = "leave the key out, and [[variant]] too if one model is meant";
            return refuse(name.span(), "model.fixed.variant", "the models are compared, and none is fixed", fix);
        }
        if *refine.modes.get_ref() > 0 && !refine.modes.span().is_empty() {
            let fix = "leave [refine] out, and refine a job of the model that is found";
            return refuse(refine.modes.span(), "refine.modes", "a mode is one of a model, and this job compares several", fix);
        }
        if adjust.method.get_ref() != "none" {
            let fix = "leave [adjust] out, or adjust a job of the model that is found";
            return refuse(adjust.method.span(), "adjust.method", "several models have no regression in common", fix);
        }
        Ok(())
    }
}
