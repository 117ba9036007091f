//! The job file as it is written: typed, strict, and able to say where a mistake stands.
//!
//! Definition types mirror the TOML one to one; [`super::Job`] turns them into the values that the engine works with.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::program::ProgramDef;
use super::spanned::Spanned;
use super::trials::TrialDef;
use super::{legal, priors, settings};
use crate::error::{Error, Result};
use crate::model::cml::cohort::Part;
use crate::model::cml::course::FewCells;
use crate::spelling::{misspelt, nearest};
use crate::trial::vocabulary::{Word, words};
use crate::{distance, model, sampler, store};

/// A whole job file.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Name of the run; the default output is `<name>.h5`.
    #[schemars(example = &"iris")]
    pub name: Spanned<String>,
    /// Seed: with the job it fixes every number of the result.
    #[schemars(example = 20140601)]
    pub seed: Spanned<u64>,
    /// The simulator.
    pub model: ModelDef,
    /// Models that are compared, two or more; none if there is one model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variant: Vec<VariantDef>,
    /// Trials that are fitted together; none if there is one trial.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trial: Vec<TrialDef>,
    /// Prior of each inferred parameter, one at least: its name as in the parameter table (`nicho check JOB --parameters`),
    /// then its distribution.
    pub priors: BTreeMap<Spanned<String>, Spanned<PriorDef>>,
    /// The data: a table, or values of a model's own summaries.
    pub observations: Spanned<ObservationsDef>,
    /// How far simulated summaries are from the data.
    #[serde(default)]
    pub distance: DistanceDef,
    /// Noise of each observed value, by the name of its summary, where `sampler.accept` is `noise`; that of a table follows from
    /// its standard errors.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub noise: BTreeMap<Spanned<String>, Spanned<NoiseDef>>,
    /// The sampler.
    #[serde(default)]
    pub sampler: SamplerDef,
    /// When to stop: whichever comes first.
    #[serde(default)]
    pub stop: StopDef,
    /// Polishing of the posterior modes.
    #[serde(default)]
    pub refine: RefineDef,
    /// A posterior beside that of ABC, from the same simulations.
    #[serde(default, skip_serializing_if = "AdjustDef::is_default")]
    pub adjust: AdjustDef,
    /// What is derived from the posterior, and where it goes.
    #[serde(default)]
    pub output: OutputDef,
}

/// `[model]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelDef {
    /// Name in the catalogue of models.
    #[schemars(transform = legal::one_of(model::names()), example = &"cml")]
    pub name: Spanned<String>,
    /// Virtual patients in a cohort, of the model `cml`; without it as many as the largest denominator of the fitted rows. Of
    /// several trials each has its own.
    #[serde(default)]
    #[schemars(transform = legal::PATIENTS.schema(), example = 553)]
    pub patients: Option<Spanned<usize>>,
    /// How few stem cells of a clone are followed, of the model `cml`: `counted` one by one, or `fluid`, by the equations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = legal::one_of(words::<FewCells>()), extend("default" = FewCells::default().name()), example = &"fluid")]
    pub few_cells: Option<Spanned<String>>,
    /// Parts of the model `cml` that are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = legal::one_of(words::<Part>()), example = ["quiescence"])]
    pub without: Vec<Spanned<String>>,
    /// The external program, of the model `program`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Spanned<ProgramDef>>,
    /// Values that differ from the parameter table's defaults, by name, each in the table's unit and legal range.
    #[serde(default)]
    #[schemars(extend("x-unit" = "of the parameter"), example = json!({ "hill": 2.0 }))]
    pub fixed: BTreeMap<Spanned<String>, Spanned<f64>>,
}

/// One `[[variant]]`: what it has in place of `[model]`, or beside it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VariantDef {
    /// What it is called in results; each has a name of its own.
    #[schemars(example = &"no quiescence")]
    pub name: Spanned<String>,
    /// Name in the catalogue of models, if another than that of `[model]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = legal::one_of(model::names()), example = &"coin")]
    pub model: Option<Spanned<String>>,
    /// Parts of the model `cml` that it does without, beside those of `[model]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = legal::one_of(words::<Part>()), example = ["quiescence"])]
    pub without: Vec<Spanned<String>>,
    /// Values of parameters that it does not share with the others, by name, each in the table's unit and legal range.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-unit" = "of the parameter"), example = json!({ "p_heads": 0.5 }))]
    pub fixed: BTreeMap<Spanned<String>, Spanned<f64>>,
}

/// One line of `[priors]`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriorDef {
    /// Name of the distribution; the keys that it takes, and no others, stand beside it. Median, mean and bounds lie in the legal
    /// range of the parameter.
    #[schemars(transform = legal::one_of(priors::distributions()), example = &"lognormal")]
    pub distribution: Spanned<String>,
    /// Unit, as in the model's parameter table; required unless the parameter is a pure number.
    #[serde(default)]
    #[schemars(example = &"uM")]
    pub unit: Option<Spanned<String>>,
    /// Median (lognormal).
    #[serde(default)]
    #[schemars(transform = legal::POSITIVE.schema(), extend("x-unit" = "of the parameter"), example = 0.6)]
    pub median: Option<Spanned<f64>>,
    /// Mean (normal).
    #[serde(default)]
    #[schemars(extend("x-unit" = "of the parameter"), example = 0.5)]
    pub mean: Option<Spanned<f64>>,
    /// Standard deviation: of the value (normal), of its natural logarithm (lognormal).
    #[serde(default)]
    #[schemars(transform = legal::POSITIVE.schema(), extend("x-unit" = "of the parameter (normal), 1 (lognormal)"), example = 0.5)]
    pub sd: Option<Spanned<f64>>,
    /// Lower bound (uniform, loguniform: above 0, integer: whole).
    #[serde(default)]
    #[schemars(extend("x-unit" = "of the parameter"), example = 0.1)]
    pub lower: Option<Spanned<f64>>,
    /// Upper bound (uniform, loguniform, integer: whole), above `lower`.
    #[serde(default)]
    #[schemars(extend("x-unit" = "of the parameter"), example = 5.0)]
    pub upper: Option<Spanned<f64>>,
    /// First shape (beta).
    #[serde(default)]
    #[schemars(transform = legal::SHAPE.schema(), example = 3.0)]
    pub a: Option<Spanned<f64>>,
    /// Second shape (beta).
    #[serde(default)]
    #[schemars(transform = legal::SHAPE.schema(), example = 17.0)]
    pub b: Option<Spanned<f64>>,
}

/// `[observations]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObservationsDef {
    /// Table of published figures, relative to the job file; the model `cml` needs one. Its content enters the digest, its path
    /// does not.
    #[serde(default, skip_serializing)]
    #[schemars(example = &"data/iris.csv")]
    pub file: Option<Spanned<PathBuf>>,
    /// Ids of rows of role `fit` that are left out of the fit; they are predicted like rows held out.
    #[serde(default)]
    #[schemars(example = ["os_60"])]
    pub exclude: Vec<Spanned<String>>,
    /// Observed values of a model's own summaries, each of them by name, for models without a trial.
    #[serde(default)]
    #[schemars(extend("x-unit" = "of the summary"), example = json!({ "heads": 3.0 }))]
    pub values: BTreeMap<Spanned<String>, Spanned<f64>>,
}

/// `[distance]`
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DistanceDef {
    /// Name in the catalogue of distances; by default `trial` for trial data and `euclidean` otherwise. It follows from the noise
    /// where `sampler.accept` is `noise`.
    #[serde(default)]
    #[schemars(transform = legal::one_of(distance::CATALOGUE), example = &"trial")]
    pub name: Option<Spanned<String>>,
    /// Weights of rows or groups (`trial`), or summaries (`euclidean`), by name; 1 where none is given, 0 leaves out.
    #[serde(default)]
    #[schemars(transform = legal::NOT_NEGATIVE.schema(), example = json!({ "response": 0.5 }))]
    pub weights: BTreeMap<Spanned<String>, Spanned<f64>>,
    /// Scales of the summaries, of `euclidean`: `none`, or `mad`, the median absolute deviation in a pilot of the prior.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = legal::one_of(super::distances::SCALES), extend("default" = super::distances::SCALES[0]), example = &"mad")]
    pub scale: Option<Spanned<String>>,
    /// Whether summaries that are observed far outside what the pilot gave count for less; needs `scale = "mad"` and three
    /// summaries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = false), example = true)]
    pub robust: Option<Spanned<bool>>,
    /// Exponent of `euclidean`: 1 sums absolute differences, 2 squares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = legal::FROM_ONE.schema(), extend("default" = super::distances::EXPONENT), example = 1.0)]
    pub p: Option<Spanned<f64>>,
    /// What foretells the parameters, of `learned`: `linear`, as if not given, or `network`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = legal::one_of(distance::REGRESSIONS), example = &"network")]
    pub regression: Option<Spanned<String>>,
}

/// One line of `[noise]`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoiseDef {
    /// Name of the distribution; the keys that it takes stand beside it.
    #[schemars(transform = legal::one_of(super::noise::distributions()), example = &"normal")]
    pub distribution: Spanned<String>,
    /// Standard deviation: of the value (normal), of its natural logarithm (lognormal).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = legal::POSITIVE.schema(), extend("x-unit" = "of the summary (normal), 1 (lognormal)"), example = 0.5)]
    pub sd: Option<Spanned<f64>>,
    /// Denominator (binomial).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = legal::FROM_ONE.schema(), example = 20)]
    pub n: Option<Spanned<u64>>,
    /// Limit of detection (normal; lognormal: above 0): a value that is not above it says no more than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-unit" = "of the summary"), example = 0.01)]
    pub limit: Option<Spanned<f64>>,
}

/// `[sampler]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SamplerDef {
    /// Name in the catalogue of samplers: `smc`, generations at falling tolerances, or `rejection`, one from the prior.
    #[schemars(transform = legal::one_of(sampler::CATALOGUE), example = &"smc")]
    pub name: Spanned<String>,
    /// Particles in a generation; where all simulations are kept, simulations in a generation.
    #[schemars(transform = legal::MANY.schema(), example = 1000)]
    pub population: Spanned<usize>,
    /// Which simulations a generation holds: those `accepted`, or `all`, which takes the sampler `smc` with the schedule
    /// `quantile`.
    #[serde(skip_serializing_if = "is_accepted")]
    #[schemars(transform = legal::one_of(settings::KEEP), extend("default" = SamplerDef::default().keep), example = &"all")]
    pub keep: Spanned<String>,
    /// What decides whether a simulation is accepted: a `tolerance` of its distance, or the `noise` of the data, for which the
    /// posterior is exact at temperature 1.
    #[serde(skip_serializing_if = "is_tolerance")]
    #[schemars(transform = legal::one_of(settings::ACCEPT), extend("default" = SamplerDef::default().accept), example = &"noise")]
    pub accept: Spanned<String>,
    /// How the tolerance falls: by `quantile` or `ess`, both at the rate of the key `quantile`, or along a `list`; not at all in
    /// rejection.
    #[schemars(transform = legal::one_of(settings::SCHEDULES), example = &"ess")]
    pub schedule: Spanned<String>,
    /// The next tolerance is this quantile of the last distances, or leaves this share of their effective sample size, as the next
    /// temperature does; not for the schedule `list`, nor for rejection.
    #[schemars(transform = legal::WITHIN.schema(), example = 0.5)]
    pub quantile: Spanned<f64>,
    /// The tolerances, or temperatures, of the schedule `list`, falling.
    #[schemars(transform = legal::NOT_NEGATIVE.schema(), extend("x-unit" = "of the distance"), example = [8.0, 4.0, 2.0])]
    pub tolerances: Spanned<Vec<f64>>,
    /// Which particles shape the step of a proposal: `global`, all of them alike, or `nearest`, of each its neighbours, with
    /// 20000 particles at most; not for rejection.
    #[serde(skip_serializing_if = "is_global")]
    #[schemars(transform = legal::one_of(settings::KERNELS), extend("default" = SamplerDef::default().kernel), example = &"nearest")]
    pub kernel: Spanned<String>,
    /// Share of proposals that are draws of the prior, which bounds every weight; not for rejection.
    #[serde(skip_serializing_if = "is_none")]
    #[schemars(transform = legal::PART.schema(), extend("default" = SamplerDef::default().defensive), example = 0.05)]
    pub defensive: Spanned<f64>,
}

/// `[stop]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StopDef {
    /// When a generation at this tolerance is finished; rejection needs it, above 0. Of temperatures, 1 or more, and 1 if it is
    /// not given.
    #[schemars(transform = legal::NOT_NEGATIVE.schema(), extend("x-unit" = "of the distance"), example = 1.0)]
    pub tolerance: Spanned<f64>,
    /// When the acceptance rate falls below this; not for rejection.
    #[schemars(transform = legal::PART.schema(), example = 0.01)]
    pub acceptance_rate: Spanned<f64>,
    /// When this many simulations are spent; as many as a generation has particles at least.
    #[schemars(transform = legal::FROM_ONE.schema(), example = 100_000)]
    pub simulations: Spanned<u64>,
    /// After this many generations; not for rejection, which makes one.
    #[schemars(transform = legal::FROM_ONE.schema(), example = 9)]
    pub generations: Spanned<usize>,
    /// Error when more than this share of simulations fails.
    #[schemars(transform = legal::SHARE.schema(), example = 0.2)]
    pub failures: Spanned<f64>,
}

/// `[refine]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RefineDef {
    /// Modes looked for at most; 0 leaves refinement out, as where models are compared.
    #[schemars(transform = legal::FEW.schema(), example = 3)]
    pub modes: Spanned<usize>,
    /// Simulations for each mode.
    #[schemars(transform = legal::FROM_ONE.schema(), example = 10_000)]
    pub simulations: Spanned<u64>,
    /// Replicate simulations, on common random numbers, that are averaged into one value of the objective.
    #[schemars(transform = legal::REPLICATES.schema(), example = 8)]
    pub replicates: Spanned<usize>,
    /// Points of the profile along each parameter, on each side of the best mode; 0 leaves profiles out. Each costs at most as many
    /// simulations as a mode.
    #[serde(skip_serializing_if = "is_none")]
    #[schemars(transform = legal::FEW.schema(), extend("default" = RefineDef::default().profile), example = 4)]
    pub profile: Spanned<usize>,
}

/// `[adjust]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdjustDef {
    /// `none`; `reuse`: the simulations of all generations within the last tolerance; `regression`: those, moved to where their
    /// summaries would be those observed, 50 of them at least; `network`: the same, with a small neural network for what is not
    /// linear; or `surrogate`: prior times a likelihood that is learnt from all simulations, which takes `keep = "all"`.
    #[schemars(transform = legal::one_of(settings::methods()), example = &"regression")]
    pub method: Spanned<String>,
    /// Equal-weight draws.
    #[schemars(transform = legal::MANY.schema(), example = 4000)]
    pub draws: Spanned<usize>,
}

impl AdjustDef {
    /// Whether nothing is asked for: jobs from before there was such a table keep their digest.
    fn is_default(&self) -> bool {
        self.method.get_ref() == "none"
    }
}

fn is_global(kernel: &Spanned<String>) -> bool {
    kernel.get_ref() == "global"
}

fn is_none<T: Default + PartialEq>(amount: &Spanned<T>) -> bool {
    *amount.get_ref() == T::default()
}

fn is_tolerance(accept: &Spanned<String>) -> bool {
    accept.get_ref() == "tolerance"
}

fn is_accepted(keep: &Spanned<String>) -> bool {
    keep.get_ref() == "accepted"
}

/// `[output]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutputDef {
    /// Result file, relative to the current folder; the flag `-o` comes before it. `<name>.h5` if neither is given.
    #[serde(skip_serializing)]
    #[schemars(example = &"iris.h5")]
    pub file: Option<PathBuf>,
    /// Equal-weight draws of prior and posterior, each with one predictive simulation.
    #[schemars(transform = legal::MANY.schema(), example = 400)]
    pub draws: Spanned<usize>,
}

fn unplaced<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

impl Default for SamplerDef {
    fn default() -> Self {
        SamplerDef {
            name: unplaced("smc".into()),
            population: unplaced(1000),
            keep: unplaced("accepted".into()),
            accept: unplaced("tolerance".into()),
            schedule: unplaced("quantile".into()),
            quantile: unplaced(0.5),
            tolerances: unplaced(Vec::new()),
            kernel: unplaced("global".into()),
            defensive: unplaced(0.0),
        }
    }
}

impl Default for StopDef {
    fn default() -> Self {
        StopDef {
            tolerance: unplaced(0.0),
            acceptance_rate: unplaced(0.01),
            simulations: unplaced(1_000_000),
            generations: unplaced(30),
            failures: unplaced(0.5),
        }
    }
}

impl Default for RefineDef {
    fn default() -> Self {
        RefineDef { modes: unplaced(3), simulations: unplaced(2000), replicates: unplaced(2), profile: unplaced(0) }
    }
}

impl Default for AdjustDef {
    fn default() -> Self {
        AdjustDef { method: unplaced("none".into()), draws: unplaced(4000) }
    }
}

impl Default for OutputDef {
    fn default() -> Self {
        OutputDef { file: None, draws: unplaced(400) }
    }
}

/// What a file is meant as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meant {
    /// A job.
    Job,
    /// A scenario.
    Scenario,
}

/// Keys that only scenarios have, and only jobs.
const SCENARIO_KEYS: &[&str] = &["arm", "endpoint"];
const JOB_KEYS: &[&str] = &[
    "seed",
    "model",
    "variant",
    "trial",
    "priors",
    "observations",
    "distance",
    "noise",
    "sampler",
    "stop",
    "refine",
    "adjust",
    "output",
];

/// A text with its name, able to turn a place in it into an error.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file, as the user named it.
    pub file: PathBuf,
    /// Its content.
    pub text: String,
}

impl Source {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read; [`Error::Input`] for a result file.
    pub fn read(file: &Path) -> Result<Self> {
        match std::fs::read_to_string(file) {
            Ok(text) => Ok(Source { file: file.to_path_buf(), text }),
            Err(error) => Err(match store::job_of_result(file) {
                Some(job) => {
                    let source = Source { file: file.to_path_buf(), text: String::new() };
                    let problem = format!("it is a result{job}; a job or a scenario is a text file (TOML)");
                    let name = file.display();
                    let fix = format!(
                        "nicho watch {name} shows it, nicho report {name} writes its report, the job file too, nicho reproduce {name} runs its job again"
                    );
                    source.error(0..0, "file", &problem, &fix)
                }
                None => Error::io(file, "read the file")(misspelt(file, "toml", error)),
            }),
        }
    }

    /// What the file is meant as by its keys of the top level, with the place of the first that tells; `None` if none does.
    pub fn meant(&self) -> Option<(Meant, Range<usize>)> {
        let keys: BTreeMap<Spanned<String>, toml::Value> = toml::from_str(&self.text).ok()?;
        let first = |names: &[&str]| {
            let known = keys.keys().filter(|key| names.contains(&key.get_ref().as_str()));
            known.map(Spanned::span).min_by_key(|span| span.start)
        };
        let scenario = first(SCENARIO_KEYS).map(|span| (Meant::Scenario, span));
        scenario.or_else(|| first(JOB_KEYS).map(|span| (Meant::Job, span)))
    }

    /// What the file is meant as.
    ///
    /// # Errors
    /// [`Error::Input`] if it is no TOML, or neither a job nor a scenario.
    pub fn kind(&self) -> Result<Meant> {
        let _: toml::Table = self.parse()?;
        let meant = self.meant().map(|(meant, _)| meant);
        let fix = "a job has [model], [priors] and [observations], a scenario [[arm]] and [[endpoint]]";
        meant.ok_or_else(|| self.error(0..0, "file", "it is neither a job nor a scenario", fix))
    }

    /// Parses the file as what it is meant to be.
    ///
    /// # Errors
    /// [`Error::Input`] with the place, the legal keys or type, and the nearest known key.
    pub fn parse<D: serde::de::DeserializeOwned>(&self) -> Result<D> {
        toml::from_str(&self.text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            let key = self.key_at(span.start);
            let message = in_words(&error.message().replace('`', "'"));
            match unknown_key(&message, &key) {
                Some((problem, fix)) => self.error(span, &key, &problem, &fix),
                None => self.error(span, &key, &message, &missing_or_type(&message)),
            }
        })
    }

    /// An error at a place of this text.
    pub fn error(&self, span: Range<usize>, key: &str, problem: &str, fix: &str) -> Error {
        let before = &self.text[..span.start.min(self.text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Error::Input { file: self.file.clone(), line, column, key: key.into(), problem: problem.into(), fix: fix.into() }
    }

    /// An error about a name that is none of those `known`, of which it gives the nearest.
    pub fn unknown(&self, name: &Spanned<String>, key: &str, what: &str, known: &[&str]) -> Error {
        let near = nearest(name.get_ref(), known.iter().copied());
        let fix = format!("did you mean '{near}'? The {what}s are {}", known.join(", "));
        self.error(name.span(), key, &format!("unknown {what} '{}'", name.get_ref()), &fix)
    }

    /// The dotted key that the line at `offset` sets: its table's header and what stands before `=`.
    fn key_at(&self, offset: usize) -> String {
        let start = self.text[..offset.min(self.text.len())].rfind('\n').map_or(0, |n| n + 1);
        let line = self.text[start..].lines().next().unwrap_or("");
        if line.trim_start().starts_with('[') {
            return line.trim().trim_matches(['[', ']']).to_string();
        }
        let header = self.text[..start].lines().rev().find(|l| l.trim_start().starts_with('['));
        let table = header.map(|l| l.trim().trim_matches(['[', ']']).to_string() + ".").unwrap_or_default();
        match line.split_once('=') {
            _ if line.trim().is_empty() || line.trim_start().starts_with('#') => "file".into(),
            Some((key, _)) if key.trim().is_empty() => "file".into(),
            Some((key, _)) => table + key.trim(),
            None => table + line.trim(),
        }
    }
}

fn quoted(message: &str) -> Vec<&str> {
    message.split('\'').skip(1).step_by(2).collect()
}

/// A message of the parser in the words of a job file, not of its types.
fn in_words(message: &str) -> String {
    let words = [
        ("expected usize", "expected a whole number, 0 or more"),
        ("expected u64", "expected a whole number, 0 or more"),
        ("expected f64", "expected a number"),
        ("expected a string", "expected a text in quotes"),
        ("expected a sequence", "expected a list"),
        ("expected a map", "expected a table"),
    ];
    if let Some((head, _)) = message.split_once("expected struct ") {
        return format!("{head}expected a table");
    }
    words.iter().fold(message.to_string(), |text, (from, to)| text.replace(from, to))
}

/// Problem and fix if the message is about an unknown key.
fn unknown_key(message: &str, key: &str) -> Option<(String, String)> {
    let rest = message.strip_prefix("unknown field ")?;
    let names = quoted(rest);
    let (wrong, known) = names.split_first()?;
    let near = nearest(wrong, known.iter().copied());
    let table = match key.rsplit_once('.') {
        Some(("priors", _)) => "a prior".into(),
        Some((table, _)) => format!("[{table}]"),
        None => "the top level".into(),
    };
    Some((format!("unknown key '{wrong}'"), format!("did you mean '{near}'? {table} knows: {}", known.join(", "))))
}

fn missing_or_type(message: &str) -> String {
    if let Some(name) = message.strip_prefix("missing field ") {
        format!("add the key {name}; a complete job is jobs/iris.toml, a complete scenario jobs/scenarios/early-switch.toml")
    } else if message.contains("duplicate key") {
        "name it once".into()
    } else if message.starts_with("invalid type") && message.ends_with("table") {
        "open it as a table, as in [model] and, on the next line, name = \"cml\"".into()
    } else if message.starts_with("invalid type") {
        "write a value of the expected type: numbers without quotes, names and units in quotes".into()
    } else if message.starts_with("expected a ") {
        "write it in one of these forms".into()
    } else if message.starts_with("invalid value") {
        "give a value of the expected kind".into()
    } else {
        "mend the TOML syntax at this place".into()
    }
}
