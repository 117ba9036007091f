//! The `[noise]` table: definitions to a noise model of the data, with every mistake placed.

use super::Job;
use super::definition::NoiseDef;
use super::spanned::Spanned;
use crate::distance::noise::{Noise, NoiseModel};
use crate::error::Result;
use crate::model::Model;

/// What each distribution takes: what it must be given, and what it may.
const TAKES: [(&str, &[&str], &[&str]); 4] =
    [("normal", &["sd"], &["limit"]), ("lognormal", &["sd"], &["limit"]), ("binomial", &["n"], &[]), ("poisson", &[], &[])];

/// Names of the distributions.
pub(super) fn distributions() -> [&'static str; TAKES.len()] {
    TAKES.map(|(name, ..)| name)
}

impl Job {
    /// The noise model of the observed values of a model's own summaries.
    ///
    /// # Errors
    /// [`Error::Input`](crate::error::Error::Input) for a summary that there is not or that has no noise, an unknown distribution,
    /// keys that it does not take, numbers out of range, and an observation that it cannot give.
    pub(super) fn noise(&self, model: &dyn Model) -> Result<NoiseModel> {
        let given = &self.definition.noise;
        let names: Vec<&str> = model.summaries().iter().map(|s| s.name.as_str()).collect();
        if let Some(name) = given.keys().find(|name| !names.contains(&name.get_ref().as_str())) {
            let key = format!("noise.{}", name.get_ref());
            let problem = format!("the model has no summary '{}'", name.get_ref());
            return Err(self.source.error(name.span(), &key, &problem, &format!("the summaries are {}", names.join(", "))));
        }
        let observed = self.observed(model)?;
        let mut noise = Vec::new();
        for (name, y) in names.iter().zip(&observed) {
            let Some((_, def)) = given.iter().find(|(n, _)| n.get_ref() == name) else {
                let problem = format!("the noise of '{name}' is not given");
                let fix = format!("add {name} = {{ distribution = \"normal\", sd = … }} under [noise]");
                return Err(self.source.error(self.definition.sampler.accept.span(), "noise", &problem, &fix));
            };
            let one = self.noise_of(name, def)?;
            if let Some(problem) = one.refuses(*y) {
                let fix = "give another distribution under [noise], or mend the value under [observations]";
                return Err(self.source.error(def.span(), &format!("noise.{name}"), &format!("{problem}, not {y}"), fix));
            }
            noise.push(one);
        }
        Ok(NoiseModel::new(observed, noise))
    }

    fn noise_of(&self, summary: &str, def: &Spanned<NoiseDef>) -> Result<Noise> {
        let key = format!("noise.{summary}");
        let NoiseDef { distribution, sd, n, limit } = def.get_ref();
        let name = distribution.get_ref().as_str();
        let Some((_, needs, may)) = TAKES.iter().find(|(known, ..)| *known == name) else {
            return Err(self.source.unknown(distribution, &key, "distribution", &distributions()));
        };
        let keys = [
            ("sd", sd.as_ref().map(Spanned::span)),
            ("n", n.as_ref().map(Spanned::span)),
            ("limit", limit.as_ref().map(Spanned::span)),
        ];
        let words: Vec<String> = needs.iter().map(|key| format!(", {key} = …")).collect();
        let fix = format!("write {summary} = {{ distribution = \"{name}\"{} }}", words.concat());
        for (key_of, span) in keys {
            match span {
                Some(span) if !needs.contains(&key_of) && !may.contains(&key_of) => {
                    return Err(self.source.error(span, &key, &format!("{name} noise does not take '{key_of}'"), &fix));
                }
                None if needs.contains(&key_of) => {
                    return Err(self.source.error(def.span(), &key, &format!("{name} noise needs '{key_of}'"), &fix));
                }
                _ => {}
            }
        }
        let range = |ok: bool, span: std::ops::Range<usize>, of: &str, legal: &str| {
            let problem = format!("{of} is outside the legal range: {legal}");
            if ok { Ok(()) } else { Err(self.source.error(span, &key, &problem, "give a value in the range")) }
        };
        if let Some(sd) = sd {
            range(*sd.get_ref() > 0.0 && sd.get_ref().is_finite(), sd.span(), &format!("sd = {}", sd.get_ref()), "above 0")?;
        }
        if let Some(n) = n {
            range(*n.get_ref() > 0, n.span(), &format!("n = {}", n.get_ref()), "1 or more")?;
        }
        if let Some(limit) = limit {
            let ok = limit.get_ref().is_finite() && (name == "normal" || *limit.get_ref() > 0.0);
            let legal = if name == "normal" { "any number" } else { "above 0" };
            range(ok, limit.span(), &format!("limit = {}", limit.get_ref()), legal)?;
        }
        let sd = sd.as_ref().map_or(1.0, |sd| *sd.get_ref());
        let limit = limit.as_ref().map(|limit| *limit.get_ref());
        Ok(match name {
            "normal" => Noise::Normal { sd, limit: limit.unwrap_or(f64::NEG_INFINITY) },
            "lognormal" => Noise::LogNormal { sd, limit: limit.unwrap_or(0.0) },
            "binomial" => Noise::Binomial { n: n.as_ref().map_or(1, |n| *n.get_ref()) },
            _ => Noise::Poisson,
        })
    }
}
