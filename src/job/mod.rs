//! A job: what is inferred, from which data, by which sampler. *What* stands here; *where* it runs (threads, ranks, nodes,
//! output path) is flags, and cannot change the answer.

pub mod definition;
mod distances;
mod header;
mod legal;
mod noise;
mod priors;
pub mod program;
pub mod reference;
pub mod scenario;
mod settings;
mod spanned;
pub mod template;
pub mod trials;
mod variants;

use std::path::{Path, PathBuf};

use crate::adjust::Method;
use crate::density::{Marginal, Prior, Reach};
use crate::error::Result;
use crate::model::cml::cohort::{Cml, Part, Trial};
use crate::model::cml::course::FewCells;
use crate::model::cml::parameters::{self, ASSAY_OFFSET, OF_OTHER_DRUGS};
use crate::model::cml::trials::shared;
use crate::model::{self, Model, Parameter};
use crate::population::Regressor;
use crate::refine::Refine;
use crate::rng::Key;
use crate::sampler::Problem;
use crate::sampler::accept::Accept;
use crate::sampler::proposal::Moves;
use crate::sampler::smc::{Keep, Schedule, Smc};
use crate::spelling::{nearest, similar_file};
use crate::trial::table::{Row, Table};
use crate::trial::vocabulary::{Role, Word, words};
use definition::{Definition, Meant, Source};
use spanned::Spanned;
use trials::largest;

/// A job file that has been read and found sound.
pub struct Job {
    /// The file as it is written.
    pub source: Source,
    /// Its content.
    pub definition: Definition,
    /// The observation table, if the job names one.
    pub table: Option<Table>,
    base: Vec<f64>,
    inferred: Inferred,
    /// Where the files that an external program is made of are looked for: the folder of the job file, if nobody knows better.
    folders: Vec<PathBuf>,
}

/// Indices of the inferred parameters in the model's table, ascending, with their priors.
type Inferred = Vec<(usize, Marginal)>;

impl Job {
    /// Reads a job file and the observation table that it names.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) for files that cannot be read, [`Error::Input`](crate::error::Error::Input) for anything in them that cannot be meant.
    pub fn load(file: &Path) -> Result<Self> {
        let source = Source::read(file)?;
        if let Some((Meant::Scenario, span)) = source.meant() {
            let fix = "nicho predict RESULT.h5 takes it, and nicho check; a job has [model], [priors] and [observations]";
            return Err(source.error(span, "file", "this is a scenario, not a job", fix));
        }
        Self::build(source, None)
    }

    /// The same job with another seed, as if the file said so.
    ///
    /// # Errors
    /// Those of [`Job::load`].
    pub fn with_seed(mut self, seed: u64) -> Result<Self> {
        let place = self.definition.seed.span();
        self.source.text.replace_range(place, &seed.to_string());
        let observations = self.table.as_ref().map(|table| table.text().to_string());
        Self::build(self.source, observations)
    }

    /// Takes job and observations from their texts, as a result file embeds them. `name` stands in for the file name in
    /// errors.
    ///
    /// # Errors
    /// Those of [`Job::load`].
    pub fn embedded(name: &Path, text: String, observations: String) -> Result<Self> {
        Self::build(Source { file: name.to_path_buf(), text }, Some(observations))
    }

    /// The same job, whose external program is looked for in these folders, the likeliest first: a result file has a job, and not the
    /// folder of its file.
    #[must_use]
    pub fn with_program_in(self, folders: Vec<PathBuf>) -> Self {
        Job { folders, ..self }
    }

    fn build(source: Source, observations: Option<String>) -> Result<Self> {
        let definition: Definition = source.parse()?;
        let table = match (&definition.observations.get_ref().file, observations) {
            (None, _) => None,
            (Some(name), Some(text)) => Some(Table::parse(&text, name.get_ref())?),
            (Some(name), None) => Some(load_table(&source, name)?),
        };
        let folders = vec![source.file.parent().unwrap_or(Path::new("")).to_path_buf()];
        let mut job = Job { source, definition, table, base: Vec::new(), inferred: Vec::new(), folders };
        job.check_settings()?;
        let model = job.fit_model()?;
        (job.base, job.inferred) = job.parameters(model.parameters())?;
        let known = job.distance(model.as_ref(), None)?.scale().is_some();
        let profile = &job.definition.refine.profile;
        if *profile.get_ref() > 0 && !known {
            let problem = "an interval needs the errors of the observations, and this distance does not know them";
            let fix = "leave the key out, or give the errors: an observation table, or accept = \"noise\" with [noise]";
            return Err(job.source.error(profile.span(), "refine.profile", problem, fix));
        }
        Ok(job)
    }

    /// Whether the result is a function of (job, seed) alone; an external program whose time limit rejects makes it one of the
    /// clock too.
    pub fn is_reproducible(&self) -> bool {
        self.definition.model.program.as_ref().is_none_or(|program| program.get_ref().is_reproducible())
    }

    /// Default output path.
    pub fn output(&self) -> PathBuf {
        self.definition.output.file.clone().unwrap_or_else(|| PathBuf::from(format!("{}.h5", self.definition.name.get_ref())))
    }

    /// The model with the fitted rows as its summaries, integrated no further than the last of them.
    ///
    /// # Errors
    /// [`Error::Input`](crate::error::Error::Input) if the model is unknown or cannot give a row.
    pub fn fit_model(&self) -> Result<Box<dyn Model>> {
        let known = self.table.as_ref().map(Table::fitted).unwrap_or_default();
        for name in &self.definition.observations.get_ref().exclude {
            if !known.iter().any(|row| row.id == *name.get_ref()) {
                let near = nearest(name.get_ref(), known.iter().map(|r| r.id.as_str()));
                let fix = match &self.table {
                    Some(_) => format!("did you mean '{near}'? Only rows whose fit_role is fit can be excluded"),
                    None => "name a table, as in file = \"data/iris.csv\"; without one there is nothing to exclude".into(),
                };
                let problem = format!("no fitted row is called '{}'", name.get_ref());
                return Err(self.source.error(name.span(), "observations.exclude", &problem, &fix));
            }
        }
        self.model(&self.fitted_rows())
    }

    /// The model with every fitted and held-out row as its summaries; `None` without a table.
    ///
    /// # Errors
    /// Those of [`Job::fit_model`].
    pub fn forecast_model(&self) -> Result<Option<Box<dyn Model>>> {
        self.table.as_ref().map(|_| self.model(&self.predicted_rows())).transpose()
    }

    fn model(&self, rows: &[&Row]) -> Result<Box<dyn Model>> {
        self.compare(&|variant| self.model_of(rows, variant))
    }

    /// The model of a variant, which is 0 if there are none.
    fn model_of(&self, rows: &[&Row], variant: usize) -> Result<Box<dyn Model>> {
        let def = &self.definition.model;
        let asked = self.definition.variant.get(variant).and_then(|variant| variant.model.as_ref()).unwrap_or(&def.name);
        let name = asked.get_ref();
        let patients = def.patients.as_ref();
        let (few_cells, without) = (def.few_cells.as_ref(), def.without.first());
        let foreign = [
            ("patients", patients.map(Spanned::span), "cml"),
            ("few_cells", few_cells.map(Spanned::span), "cml"),
            ("without", without.map(Spanned::span), "cml"),
            ("program", def.program.as_ref().map(Spanned::span), "program"),
        ];
        for (key, span, of) in foreign {
            let alone = self.definition.variant.is_empty();
            if let Some(span) = span.filter(|_| alone && name != of && model::names().contains(&name.as_str())) {
                let problem = format!("the model '{name}' has no {key}");
                return Err(self.source.error(span, &format!("model.{key}"), &problem, "leave the key out"));
            }
        }
        match name.as_str() {
            "cml" => {
                let Some(table) = &self.table else {
                    let span = self.definition.observations.span();
                    let fix = "name a table: file = \"data/iris.csv\"";
                    return Err(self.source.error(span, "observations.file", "the model 'cml' needs trial data", fix));
                };
                if !self.definition.trial.is_empty() {
                    return Ok(Box::new(self.trials(rows, variant)?));
                }
                let size = patients.map_or(largest(table.fitted()), |p| *p.get_ref());
                if !legal::PATIENTS.holds(size as f64) {
                    let span = patients.map_or(0..0, Spanned::span);
                    let problem = format!("{size} patients; the legal range is {}", legal::PATIENTS);
                    return Err(self.source.error(span, "model.patients", &problem, "give the size of the trial's arm"));
                }
                let horizon = rows.iter().map(|row| row.month).fold(0.0, f64::max);
                Ok(Box::new(self.arm(Trial::iris(size, horizon), rows, variant)?))
            }
            "program" => match &def.program {
                Some(program) => Ok(Box::new(program.get_ref().build(&self.source, &self.folders)?)),
                None => {
                    let fix = "add [model.program] with command, summaries and parameters; jobs/program.toml is an example";
                    Err(self.source.error(asked.span(), "model.program", "the model 'program' names no program", fix))
                }
            },
            name => model::plain(name).ok_or_else(|| self.source.unknown(asked, "model.name", "model", &model::names())),
        }
    }

    /// Parameters of drugs beside imatinib that the job neither infers nor fixes, by their index: a prediction draws them from
    /// the prior that the table proposes, since no row of a trial of imatinib says anything of them.
    pub fn open(&self) -> Vec<usize> {
        let fixed = |name: &str| self.definition.model.fixed.keys().any(|key| key.get_ref() == name);
        let inferred = |index: usize| self.inferred.iter().any(|(free, _)| *free == index);
        let of_cml = self.definition.model.name.get_ref() == "cml";
        let names = OF_OTHER_DRUGS.iter().filter(|name| of_cml && !fixed(name));
        names.filter_map(|name| parameters::index(name)).filter(|&at| !inferred(at)).collect()
    }

    /// Virtual patients in a cohort, of several trials that of the first; `None` of a model without patients.
    pub fn patients(&self) -> Option<usize> {
        let asked = self.definition.model.patients.as_ref().map(|patients| *patients.get_ref());
        let first = self.definition.trial.first().map(|trial| self.size(trial));
        let table = || self.table.as_ref().map(|table| largest(table.fitted()));
        asked.or(first).or_else(table).filter(|_| self.definition.model.name.get_ref() == "cml")
    }

    /// The model in another trial: few cells are followed as in the job, and the same parts are left out, those of a variant
    /// too; its number is 0 if there are none.
    ///
    /// # Errors
    /// [`Error::Input`](crate::error::Error::Input) if a row asks for something that the visits of the trial cannot give.
    pub fn arm(&self, trial: Trial, rows: &[&Row], variant: usize) -> Result<Cml> {
        let mut without = self.parts_left_out()?;
        without.extend(self.parts_of(variant)?);
        Ok(Cml::new(trial, rows)?.with_few_cells(self.few_cells()?).without(without))
    }

    /// How few stem cells are followed.
    fn few_cells(&self) -> Result<FewCells> {
        let Some(asked) = &self.definition.model.few_cells else { return Ok(FewCells::default()) };
        FewCells::parse(asked.get_ref())
            .ok_or_else(|| self.source.unknown(asked, "model.few_cells", "choice", &words::<FewCells>()))
    }

    /// The parts that the model is to do without.
    fn parts_left_out(&self) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for asked in &self.definition.model.without {
            let part = self.part(asked, "model.without")?;
            let silent = |name: &&Spanned<String>| part.silences().contains(&shared(name.get_ref()));
            if let Some(name) = self.definition.priors.keys().find(silent) {
                let key = format!("priors.{}", name.get_ref());
                let problem = format!("without {} this parameter has no effect", asked.get_ref());
                return Err(self.source.error(name.span(), &key, &problem, "take away its prior"));
            }
            parts.push(part);
        }
        Ok(parts)
    }

    fn part(&self, asked: &Spanned<String>, key: &str) -> Result<Part> {
        Part::parse(asked.get_ref()).ok_or_else(|| self.source.unknown(asked, key, "part", &words::<Part>()))
    }

    /// Full default vector with the fixed values in place, and the inferred parameters with their priors.
    fn parameters(&self, table: &[Parameter]) -> Result<(Vec<f64>, Inferred)> {
        let find = |name: &Spanned<String>, key: &str| {
            table.iter().position(|p| p.name == name.get_ref()).ok_or_else(|| {
                let near = nearest(name.get_ref(), table.iter().map(|p| p.name));
                let fix = match name.get_ref() == ASSAY_OFFSET.name {
                    true => "it is one trial's own: write \"assay_offset@TRIAL\", and own = [\"assay_offset\"] in that [[trial]]"
                        .into(),
                    false => format!("did you mean '{near}'? `nicho check JOB --parameters` lists all of them"),
                };
                let problem =
                    format!("the model '{}' has no parameter '{}'", self.definition.model.name.get_ref(), name.get_ref());
                self.source.error(name.span(), key, &problem, &fix)
            })
        };
        let mut base: Vec<f64> = table.iter().map(|p| p.default).collect();
        for (name, value) in &self.definition.model.fixed {
            let key = format!("model.fixed.{}", name.get_ref());
            let index = find(name, &key)?;
            let (low, high) = table[index].range;
            if !(low..=high).contains(value.get_ref()) {
                let unit = table[index].unit_after();
                let problem = format!("{} is outside the legal range [{low}, {high}]{unit}", value.get_ref());
                return Err(self.source.error(value.span(), &key, &problem, "move it into the range"));
            }
            base[index] = *value.get_ref();
        }
        let mut inferred = Vec::new();
        for (name, def) in &self.definition.priors {
            let key = format!("priors.{}", name.get_ref());
            let index = find(name, &key)?;
            if self.definition.model.fixed.contains_key(name) {
                let fix = "keep it under [priors] to infer it, or under [model.fixed] to fix it";
                return Err(self.source.error(
                    name.span(),
                    &key,
                    "the parameter is named twice: it also stands under [model.fixed]",
                    fix,
                ));
            }
            inferred.push((index, priors::marginal(&self.source, &table[index], def)?));
        }
        for (shared, own) in self.sharing_a_prior() {
            let of = |name: &str| table.iter().position(|parameter| parameter.name == name);
            let def = self.definition.priors.iter().find(|(name, _)| name.get_ref() == shared);
            if let (Some(index), Some((_, def))) = (of(&own), def) {
                inferred.push((index, priors::marginal(&self.source, &table[index], def)?));
            }
        }
        inferred.sort_by_key(|(index, _)| *index);
        if !self.definition.variant.is_empty() {
            // The last of the table, and so the last coordinate.
            inferred.push((table.len() - 1, Marginal::Integer { lower: 0.0, upper: self.definition.variant.len() as f64 - 1.0 }));
        }
        Ok((base, inferred))
    }

    /// The rows of the table that are fitted, in the order of the model's summaries.
    pub fn fitted_rows(&self) -> Vec<&Row> {
        let excluded = &self.definition.observations.get_ref().exclude;
        let rows = self.table.as_ref().map(Table::fitted).unwrap_or_default();
        rows.into_iter().filter(|row| !excluded.iter().any(|e| *e.get_ref() == row.id)).collect()
    }

    /// The rows that are predicted: the fitted ones, then those held out and those that the job excludes.
    pub fn predicted_rows(&self) -> Vec<&Row> {
        let mut rows = self.fitted_rows();
        let rest: Vec<&Row> = self.table.iter().flat_map(Table::rows).filter(|row| row.role != Role::Context).collect();
        rows.extend(rest.into_iter().filter(|row| !self.fitted_rows().iter().any(|fitted| fitted.id == row.id)));
        rows
    }

    /// Observed values in the order of the model's summaries.
    ///
    /// # Errors
    /// [`Error::Input`](crate::error::Error::Input) if a value is missing or belongs to no summary.
    pub fn observed(&self, model: &dyn Model) -> Result<Vec<f64>> {
        if self.table.is_some() {
            return Ok(self.fitted_rows().iter().map(|row| row.value).collect());
        }
        let def = &self.definition.observations;
        let values = &def.get_ref().values;
        let names: Vec<&str> = model.summaries().iter().map(|s| s.name.as_str()).collect();
        for name in values.keys() {
            if !names.contains(&name.get_ref().as_str()) {
                let problem = format!("the model has no summary '{}'", name.get_ref());
                let fix = format!("the summaries are {}", names.join(", "));
                return Err(self.source.error(name.span(), "observations.values", &problem, &fix));
            }
        }
        let value = |name: &&str| {
            values.iter().find(|(n, _)| n.get_ref() == name).map(|(_, v)| *v.get_ref()).ok_or_else(|| {
                let problem = format!("the observed value of '{name}' is missing");
                let fix = format!("add values = {{ {name} = … }} under [observations]");
                self.source.error(def.span(), "observations.values", &problem, &fix)
            })
        };
        names.iter().map(value).collect()
    }

    /// The inference problem. Where the distance has to learn its scales they are 1 still: [`Job::problem_on`] has them learnt.
    ///
    /// # Errors
    /// Those of [`Job::fit_model`] and [`Job::distance`].
    pub fn problem(&self) -> Result<Problem> {
        let model = self.fit_model()?;
        let distance = self.distance(model.as_ref(), None)?;
        Ok(Problem {
            key: Key::root(*self.definition.seed.get_ref()),
            distance,
            base: self.base.clone(),
            free: self.inferred.iter().map(|(index, _)| *index).collect(),
            prior: Prior(self.priors()),
            models: self.acting(model.as_ref())?,
            model,
        })
    }

    /// Priors of the inferred parameters, in the order of every `theta`.
    pub fn priors(&self) -> Vec<Marginal> {
        self.inferred.iter().map(|(_, marginal)| *marginal).collect()
    }

    /// What decides whether a simulation is accepted.
    pub fn accept(&self) -> Accept {
        if self.definition.sampler.accept.get_ref() == "noise" { Accept::Noise } else { Accept::Tolerance }
    }

    /// The sampler.
    pub fn sampler(&self) -> Smc {
        let (sampler, stop) = (&self.definition.sampler, &self.definition.stop);
        let rejection = sampler.name.get_ref() == "rejection";
        let tolerance = match self.accept() {
            Accept::Noise if stop.tolerance.span().is_empty() => 1.0,
            _ => *stop.tolerance.get_ref(),
        };
        Smc {
            early_rejection: true,
            start: if rejection { tolerance } else { f64::INFINITY },
            population: *sampler.population.get_ref(),
            accept: self.accept(),
            keep: if sampler.keep.get_ref() == "all" { Keep::All } else { Keep::Accepted },
            schedule: match sampler.schedule.get_ref().as_str() {
                "list" => Schedule::List(sampler.tolerances.get_ref().clone()),
                "ess" => Schedule::Ess(*sampler.quantile.get_ref()),
                _ => Schedule::Quantile(*sampler.quantile.get_ref()),
            },
            moves: Moves {
                reach: match sampler.kernel.get_ref().as_str() {
                    "nearest" => Reach::Nearest,
                    _ => Reach::Global,
                },
                defensive: *sampler.defensive.get_ref(),
            },
            tolerance,
            acceptance_rate: if rejection { 0.0 } else { *stop.acceptance_rate.get_ref() },
            simulations: *stop.simulations.get_ref(),
            generations: if rejection { 1 } else { *stop.generations.get_ref() },
            failures: *stop.failures.get_ref(),
        }
    }

    /// How the posterior is adjusted, and how many draws of that are made; `None` if the job does not ask for it.
    pub fn adjust(&self) -> Option<(Method, usize)> {
        let def = &self.definition.adjust;
        let method = match def.method.get_ref().as_str() {
            "reuse" => Method::Reuse,
            "regression" => Method::Regression(Regressor::Linear),
            "network" => Method::Regression(Regressor::Network),
            "surrogate" => Method::Surrogate,
            _ => return None,
        };
        Some((method, *def.draws.get_ref()))
    }

    /// Settings of the refinement.
    pub fn refine(&self) -> Refine {
        let def = &self.definition.refine;
        // A mode is one of a model, not of several.
        let modes = if self.definition.variant.is_empty() { *def.modes.get_ref() } else { 0 };
        Refine {
            modes,
            simulations: *def.simulations.get_ref(),
            replicates: *def.replicates.get_ref(),
            profile: *def.profile.get_ref(),
        }
    }

    /// The job as parsed, with every default and every parameter value, in a canonical form: what enters the digest.
    pub fn canonical(&self) -> String {
        let mut value = serde_json::to_value(&self.definition).unwrap_or_default();
        let fixed: Vec<f64> = self.base.clone();
        value["parameter_values"] = serde_json::json!(fixed);
        value.to_string()
    }
}

fn load_table(source: &Source, name: &Spanned<PathBuf>) -> Result<Table> {
    let folder = source.file.parent().unwrap_or(Path::new(""));
    let path = folder.join(name.get_ref());
    if !path.is_file() {
        let problem = format!("there is no file {}", path.display());
        // As the job would name it.
        let near = similar_file(&path, "csv").and_then(|near| Some(name.get_ref().with_file_name(near.file_name()?)));
        let near = near.map_or("name an existing table".into(), |near| format!("did you mean \"{}\"?", near.display()));
        let fix = format!("{near} (paths are relative to the job file)");
        return Err(source.error(name.span(), "observations.file", &problem, &fix));
    }
    Table::load(&path)
}
