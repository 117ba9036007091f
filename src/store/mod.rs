//! A run on disk: one HDF5 file that is result, checkpoint and record at once, in the form of ArviZ's `InferenceData`.
//!
//! ```text
//! /                      status, stop_reason, spent, inference_digest, random-number scheme, version, format
//! ├─ posterior           (chain, draw)       a variable per parameter: equal-weight draws, resampled from /population
//! ├─ sample_stats        (chain, draw)       distance, trial, particle; tolerance as attribute
//! ├─ posterior_predictive(chain, draw, row)  value: simulations at the posterior draws
//! ├─ prior               (chain, draw)       a variable per parameter
//! ├─ prior_predictive    (chain, draw, row)  value: simulations at the prior draws
//! ├─ observed_data       (row)               value, se, n, month, role, label, unit; of several trials trial
//! ├─ constant_data                           fixed parameters
//! ├─ population          (particle)          the last generation: a variable per parameter, weight, ln_weight, distance, trial
//! ├─ generations         (generation)        tolerance, simulated, failed, acceptance_rate, ess; names, units, observed
//! │  └─ 0000, 0001, …    (particle, …)       theta, summaries, distance, ln_weight, trial
//! ├─ distance            (summary)           scale, weight and outlying of each, where a pilot scaled the distance; slope and explained where it
//! │                                            learnt to foretell the parameters
//! ├─ noise_floor         (pair)              distances between replicate data sets at one posterior draw
//! ├─ modes               (mode, …)           theta, curvature_sd, objective, distance, start, weight, evaluations, converged
//! ├─ profile             (parameter, point)  value, objective, misfit: profiles of the objective about the first mode
//! ├─ adjusted            (chain, draw)       a variable per parameter: equal-weight draws of an adjusted posterior; as attributes
//! │                                          its method and, of a surrogate, shape, bandwidth and score, of a regression what
//! │                                          it explained of each parameter
//! ├─ calibration         (parameter, replicate)  rank, true_value, posterior_mean; inside (parameter, interval): a calibration of the
//! │  └─ adjusted                               job; the same of its adjusted posterior
//! ├─ scenarios                               other arms; one group for each scenario
//! │  └─ <name>           (chain, draw, arm, row)  posterior_predictive, prior_predictive: each arm on the same random numbers;
//! │                                          particle; label, endpoint, kind, given, month of each row; the file word for word;
//! │                      (rule)              rule_arm, rule_acted, rule_acted_prior: on how many patients each rule acted
//! ├─ job                                     the job file and the observations word for word, the job as parsed
//! └─ provenance          (session)           a JSON record per session: when, where, with what; outside every digest
//! ```
//! Where the noise of the data decides on what is accepted, `acceptance = "noise"` is an attribute of whatever has a tolerance, which is
//! a temperature then, and distances are roots of deviances; no noise floor is measured.
//!
//! Groups that a run does not have (yet) are absent. It is netCDF-4 as well, with dimension scales, units and long names:
//! `arviz.from_netcdf`, `xarray.open_dataset(path, group=…)`, `xarray.open_datatree`, h5py and netCDF-C open it as it is.
//!
//! **Durability.** Every change encodes the whole file in memory, writes it beside, syncs, renames it over and syncs the
//! folder. Nothing is ever changed in place, so that a kill at any instant leaves a file with complete generations, and a
//! file without dead space. The price is O(file) per generation, about 7 ms for each generation of 1000 particles with 10
//! parameters and 31 summaries that the file holds; generations take minutes.
//!
//! **Identity.** `inference_digest` covers the job as parsed, the content of the observations and every generation;
//! derived groups carry a `digest` of their own. [`Store::open`] checks them all: a result that was changed is refused.
//! Behind the end of the HDF5 file stands a checksum of its bytes, which readers ignore: damage is found before HDF5, which
//! may crash on it, sees the file.

use std::fs;
use std::path::{Path, PathBuf};

use crate::distance::Parts;
use crate::error::{Error, Result};
use crate::population::{Adjusted, Calibration, Generation, Mode, Predictive, Profile, Run, Stop};
use crate::spelling::misspelt;

mod calibration;
mod digest;
mod durable;
pub mod journal;
mod netcdf;
mod read;
mod scenario;
mod write;

pub use durable::{check_file, check_folder};
pub use scenario::{ActedRule, AskedRow, Scenario, slug};

#[cfg(test)]
mod tests;

/// Layout and version of the file; the root attribute `format`.
pub const FORMAT: &str = "nicho-run/1";

/// The first bytes of an HDF5 file.
const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// The digest of what is the job's and not the run's: no state of a run depends on it, and no repetition of the run has it.
pub const CALIBRATION: &str = "calibration";

/// Names that variables beside the parameters have, so that no parameter can.
const RESERVED: [&str; 8] = ["chain", "draw", "row", "particle", "weight", "ln_weight", "distance", "trial"];

/// Whether a file is a result, by its first bytes; not whether it is a whole one.
pub fn is_result(file: &Path) -> bool {
    use std::io::Read;
    let mut first = [0; SIGNATURE.len()];
    fs::File::open(file).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first == SIGNATURE
}

/// In words the job of a file that is a result; `None` if it is none.
pub fn job_of_result(file: &Path) -> Option<String> {
    let of = || Store::open(file).map_or(" file (HDF5)".into(), |store| format!(" of the job '{}'", store.header().job_name));
    is_result(file).then(of)
}

/// Name, unit and meaning of a parameter or summary.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Name in results.
    pub name: String,
    /// Unit; `-` for a pure number. In the singular: xarray before 2025 takes `days` (not `day`) for a time difference.
    pub unit: String,
    /// What it is, in words.
    pub long_name: String,
}

/// A row that predictive simulations cover, fitted or not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PredictedRow {
    /// Unique name, the coordinate `row`.
    pub id: String,
    /// Text for figures.
    pub label: String,
    /// The trial that it is of; empty in a run of one.
    pub trial: String,
    /// What the row is used for: fitted, validation, ...
    pub role: String,
    /// Unit of `value` and `se`; `-` for a proportion.
    pub unit: String,
    /// Months since the start of treatment; NaN where that means nothing.
    pub month: f64,
    /// Observed value; NaN if there is none.
    pub value: f64,
    /// Standard error of the observed value; NaN if there is none.
    pub se: f64,
    /// Patients behind the observed value; 0 if not known.
    pub n: u64,
    /// What is counted, how it was estimated and among whom, in the words of a table of observations; empty without one.
    pub endpoint: String,
    /// See [`PredictedRow::endpoint`].
    pub kind: String,
    /// See [`PredictedRow::endpoint`]; empty: all patients.
    pub given: String,
    /// Where the value was published; empty if that is not known.
    pub source: String,
}

/// Everything about a run that is known before it starts; with the file alone it can be run again.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Name of the job.
    pub job_name: String,
    /// The job file, word for word.
    pub job_text: String,
    /// The job as parsed, in canonical form (JSON); enters the digest.
    pub job_canonical: String,
    /// Name of the observations.
    pub observations_name: String,
    /// The table of observations, word for word; empty if there is none.
    pub observations_text: String,
    /// SHA-256 of the content of the observations; enters the digest.
    pub observations_sha256: String,
    /// Inferred parameters, in the order of every `theta`.
    pub parameters: Vec<Column>,
    /// Fitted summaries, in the order of [`Generation::summaries`].
    pub summaries: Vec<Column>,
    /// Observed values of the fitted summaries.
    pub observed: Vec<f64>,
    /// Parameters that the job fixes, with their values.
    pub fixed: Vec<(Column, f64)>,
    /// Rows of predictive simulations, in the order of [`Predictive::values`].
    pub rows: Vec<PredictedRow>,
}

impl Header {
    /// Whether the noise of the data decides on what is accepted, by the job as parsed: tolerances are temperatures then, and
    /// distances roots of deviances.
    pub fn tempered(&self) -> bool {
        serde_json::from_str(&self.job_canonical)
            .is_ok_and(|job: serde_json::Value| job["sampler"]["accept"].as_str() == Some("noise"))
    }
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
struct Contents {
    header: Header,
    run: Run,
    distance: Option<Parts>,
    prior: Option<Predictive>,
    posterior: Option<Predictive>,
    noise_floor: Option<Vec<f64>>,
    modes: Option<Vec<Mode>>,
    profile: Option<Profile>,
    adjusted: Option<Adjusted>,
    calibration: Option<Calibration>,
    scenarios: Vec<Scenario>,
    /// One JSON text per session.
    sessions: Vec<String>,
}

/// A run on disk, and the same in memory. A change that cannot be written is not made in memory either.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    contents: Contents,
    /// Whether the last of the session records is that of this session.
    recorded: bool,
}

impl Store {
    /// Starts a run, and replaces what is at `path`: whoever calls has made sure that this is meant.
    ///
    /// # Errors
    /// `Store` if the header contradicts itself (names that are empty, double or reserved; counts that differ) or holds
    /// text with a NUL; `Io` if the folder is missing or not writable, or the disk is full.
    pub fn create(path: impl Into<PathBuf>, header: &Header) -> Result<Self> {
        let path = path.into();
        check_header(header).map_err(refuse(&path))?;
        let contents = Contents {
            header: header.clone(),
            run: Run::default(),
            distance: None,
            prior: None,
            posterior: None,
            noise_floor: None,
            modes: None,
            profile: None,
            adjusted: None,
            calibration: None,
            scenarios: Vec::new(),
            sessions: Vec::new(),
        };
        let mut store = Store { path, contents: contents.clone(), recorded: false };
        store.replace(contents)?;
        Ok(store)
    }

    /// Opens a run, finished or not.
    ///
    /// # Errors
    /// `Io` if the file cannot be read; `Store` if it is not HDF5, not ours, of another format, truncated, or if a digest
    /// does not fit its content.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let bytes = fs::read(&path).map_err(|error| Error::io(&path, "read")(misspelt(&path, "h5", error)))?;
        if !bytes.starts_with(SIGNATURE) {
            let toml = path.extension().is_some_and(|ending| ending == "toml");
            let what = if toml {
                "a job or scenario, and no result: nicho run makes one of a job"
            } else {
                "not an HDF5 file, hence not a result of nicho"
            };
            return Err(refuse(&path)(what.into()));
        }
        let damaged = "damaged: its bytes do not fit the checksum at their end";
        let bytes = digest::unseal(&bytes).ok_or_else(|| refuse(&path)(damaged.into()))?;
        let contents = read::contents(bytes).map_err(|e| refuse(&path)(e.to_string()))?;
        Ok(Store { path, contents, recorded: false })
    }

    /// Appends a generation. What was derived from the generation before (posterior, modes, scenarios) and a reason to stop go.
    ///
    /// # Errors
    /// `Store` if its shape does not fit the header; `Io` as for [`Store::create`].
    pub fn append(&mut self, generation: Generation) -> Result<()> {
        check_generation(&self.contents.header, &generation).map_err(refuse(&self.path))?;
        self.change(|contents| {
            contents.run.generations.push(generation);
            contents.run.stopped = None;
            contents.run.spent = 0;
            contents.posterior = None;
            contents.noise_floor = None;
            contents.modes = None;
            contents.profile = None;
            contents.adjusted = None;
            contents.scenarios.clear();
        })
    }

    /// Ends the run: why, and how many trials of an unfinished generation were spent.
    ///
    /// # Errors
    /// `Io` as for [`Store::create`].
    pub fn finish(&mut self, stop: Stop, spent: u64) -> Result<()> {
        self.change(|contents| {
            contents.run.stopped = Some(stop);
            contents.run.spent = spent;
        })
    }

    /// Stores what each summary counts for in a distance that was scaled by a pilot, in place of what was there.
    ///
    /// # Errors
    /// `Store` if the shape does not fit the header; `Io` as for [`Store::create`].
    pub fn put_distance(&mut self, parts: &Parts) -> Result<()> {
        let m = self.contents.header.summaries.len();
        if [parts.scale.len(), parts.weight.len(), parts.outlying.len()] != [m; 3] {
            return Err(refuse(&self.path)(format!("a distance needs a scale and a weight for each of {m} summaries")));
        }
        let d = self.contents.header.parameters.len();
        if parts.foretold.as_ref().is_some_and(|f| f.slope.dim() != (d, m) || f.explained.len() != d) {
            return Err(refuse(&self.path)(format!("a learned distance needs {m} slopes for each of {d} parameters")));
        }
        if parts.foretold.as_ref().and_then(|f| f.network.as_ref()).is_some_and(|network| !network.is_of(m, d)) {
            return Err(refuse(&self.path)(format!(
                "a network of a learned distance leads from {m} summaries to {d} parameters"
            )));
        }
        self.change(|contents| contents.distance = Some(parts.clone()))
    }

    /// Stores draws of the prior and their simulations, in place of earlier ones.
    ///
    /// # Errors
    /// `Store` if the shape does not fit the header; `Io` as for [`Store::create`].
    pub fn put_prior(&mut self, prior: &Predictive) -> Result<()> {
        check_predictive(&self.contents.header, prior).map_err(refuse(&self.path))?;
        self.change(|contents| contents.prior = Some(prior.clone()))
    }

    /// Stores draws of the posterior and their simulations, in place of earlier ones.
    ///
    /// # Errors
    /// `Store` if the shape does not fit the header, or a draw names no particle of the last generation; `Io` as for
    /// [`Store::create`].
    pub fn put_posterior(&mut self, posterior: &Predictive) -> Result<()> {
        let particles = self.contents.run.last().map_or(0, Generation::len);
        let draws = &posterior.draws;
        check_predictive(&self.contents.header, posterior).map_err(refuse(&self.path))?;
        if particles == 0 || draws.particle.len() != draws.theta.nrows() || draws.particle.iter().any(|p| *p >= particles) {
            let problem = format!("posterior draws must each name one of the {particles} particles of the last generation");
            return Err(refuse(&self.path)(problem));
        }
        self.change(|contents| contents.posterior = Some(posterior.clone()))
    }

    /// Stores the distances between replicate data sets at one parameter, in place of earlier ones.
    ///
    /// # Errors
    /// `Io` as for [`Store::create`].
    pub fn put_noise_floor(&mut self, distances: &[f64]) -> Result<()> {
        self.change(|contents| contents.noise_floor = Some(distances.to_vec()))
    }

    /// Stores the modes of the posterior, and profiles about the first of them, in place of earlier ones.
    ///
    /// # Errors
    /// `Store` if the shape does not fit the header; `Io` as for [`Store::create`].
    pub fn put_modes(&mut self, modes: &[Mode], profile: Option<&Profile>) -> Result<()> {
        let width = self.contents.header.parameters.len();
        if modes.iter().any(|m| m.theta.len() != width || m.curvature_sd.len() != width) {
            return Err(refuse(&self.path)(format!("a mode does not have {width} parameters")));
        }
        let fits =
            |p: &Profile| p.value.nrows() == width && p.objective.dim() == p.value.dim() && p.misfit.dim() == p.value.dim();
        if !profile.is_none_or(fits) {
            return Err(refuse(&self.path)(format!("a profile does not have {width} parameters")));
        }
        self.change(|contents| {
            contents.modes = Some(modes.to_vec());
            contents.profile = profile.cloned();
        })
    }

    /// Stores a calibration of the job, in place of an earlier one. It is one of the job, not of the run: new generations leave it.
    ///
    /// # Errors
    /// `Store` if it is not whole, or of other parameters; `Io` as for [`Store::create`].
    pub fn put_calibration(&mut self, calibration: &Calibration) -> Result<()> {
        calibration::check(calibration, &self.contents.header).map_err(refuse(&self.path))?;
        self.change(|contents| contents.calibration = Some(calibration.clone()))
    }

    /// Stores the adjusted posterior, in place of an earlier one.
    ///
    /// # Errors
    /// `Store` if the shape does not fit the header; `Io` as for [`Store::create`].
    pub fn put_adjusted(&mut self, adjusted: &Adjusted) -> Result<()> {
        let width = self.contents.header.parameters.len();
        if adjusted.theta.ncols() != width {
            return Err(refuse(&self.path)(format!("an adjusted draw does not have {width} parameters")));
        }
        self.change(|contents| contents.adjusted = Some(adjusted.clone()))
    }

    /// Stores a scenario, in place of an earlier one of the same [key](Scenario::key).
    ///
    /// # Errors
    /// `Store` if it is not whole, or not of the last generation; `Io` as for [`Store::create`].
    pub fn put_scenario(&mut self, scenario: &Scenario) -> Result<()> {
        let particles = self.contents.run.last().map_or(0, Generation::len);
        scenario::check(scenario, particles).map_err(refuse(&self.path))?;
        self.change(|contents| match contents.scenarios.iter_mut().find(|other| other.key() == scenario.key()) {
            Some(earlier) => earlier.clone_from(scenario),
            None => contents.scenarios.push(scenario.clone()),
        })
    }

    /// Takes the record of this session, which the next change writes: the first call adds one, each later call of the same
    /// `Store` replaces it, so that a session that is killed leaves the record of its last change.
    pub fn record(&mut self, record: &serde_json::Value) {
        if self.recorded {
            self.contents.sessions.pop();
        }
        self.contents.sessions.push(record.to_string());
        self.recorded = true;
    }

    /// Writes the file as it is, with the record of this session.
    ///
    /// # Errors
    /// `Io` as for [`Store::create`].
    pub fn write(&mut self) -> Result<()> {
        self.change(|_| {})
    }

    /// Name and lower-case hex SHA-256: first `inference`, then each derived group that there is.
    pub fn digests(&self) -> Vec<(String, String)> {
        self.contents.digests()
    }

    /// Where the run is stored.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was known before the run.
    pub fn header(&self) -> &Header {
        &self.contents.header
    }

    /// The inference as far as it has come.
    pub fn run(&self) -> &Run {
        &self.contents.run
    }

    /// What each summary counts for in the distance, if a pilot had to say.
    pub fn distance(&self) -> Option<&Parts> {
        self.contents.distance.as_ref()
    }

    /// Draws of the prior.
    pub fn prior(&self) -> Option<&Predictive> {
        self.contents.prior.as_ref()
    }

    /// Draws of the posterior.
    pub fn posterior(&self) -> Option<&Predictive> {
        self.contents.posterior.as_ref()
    }

    /// Distances between replicate data sets at one parameter.
    pub fn noise_floor(&self) -> Option<&[f64]> {
        self.contents.noise_floor.as_deref()
    }

    /// Modes of the posterior; `None` if they were never looked for.
    pub fn modes(&self) -> Option<&[Mode]> {
        self.contents.modes.as_deref()
    }

    /// Profiles about the best mode; `None` if they were not asked for.
    pub fn profile(&self) -> Option<&Profile> {
        self.contents.profile.as_ref()
    }

    /// The scenario that one of that name would be stored in place of.
    pub fn scenario(&self, name: &str) -> Option<&Scenario> {
        self.contents.scenarios.iter().find(|scenario| scenario.key() == slug(name))
    }

    /// The calibration of the job; `None` if none was put here.
    pub fn calibration(&self) -> Option<&Calibration> {
        self.contents.calibration.as_ref()
    }

    /// The adjusted posterior; `None` if it was never asked for.
    pub fn adjusted(&self) -> Option<&Adjusted> {
        self.contents.adjusted.as_ref()
    }

    /// The scenarios, in the order in which they were first predicted.
    pub fn scenarios(&self) -> &[Scenario] {
        &self.contents.scenarios
    }

    /// The records of all sessions, in order.
    pub fn sessions(&self) -> Vec<serde_json::Value> {
        self.contents.sessions.iter().filter_map(|s| serde_json::from_str(s).ok()).collect()
    }

    fn change(&mut self, change: impl FnOnce(&mut Contents)) -> Result<()> {
        let mut next = self.contents.clone();
        change(&mut next);
        self.replace(next)
    }

    fn replace(&mut self, next: Contents) -> Result<()> {
        let mut bytes = write::bytes(&next).map_err(|e| refuse(&self.path)(format!("cannot be put in HDF5 form: {e}")))?;
        digest::seal(&mut bytes);
        durable::replace(&self.path, &bytes)?;
        self.contents = next;
        Ok(())
    }
}

impl Contents {
    fn digests(&self) -> Vec<(String, String)> {
        let mut all = vec![("inference".to_string(), digest::inference(&self.header, &self.run.generations))];
        all.extend(self.distance.as_ref().map(|d| ("distance".to_string(), digest::distance(d))));
        for (name, predictive) in [("prior_predictive", &self.prior), ("posterior_predictive", &self.posterior)] {
            all.extend(predictive.as_ref().map(|p| (name.to_string(), digest::predictive(name, p))));
        }
        all.extend(self.noise_floor.as_ref().map(|d| ("noise_floor".to_string(), digest::noise_floor(d))));
        all.extend(self.modes.as_ref().map(|m| ("modes".to_string(), digest::modes(m))));
        all.extend(self.profile.as_ref().map(|p| ("profile".to_string(), digest::profile(p))));
        all.extend(self.adjusted.as_ref().map(|a| ("adjusted".to_string(), digest::adjusted(a))));
        all.extend(self.calibration.as_ref().map(|c| (CALIBRATION.to_string(), digest::calibration(c))));
        all.extend(self.scenarios.iter().map(|s| (format!("scenario {}", s.key()), digest::scenario(s))));
        all
    }
}

/// Where a file that belongs to a result file is, with this ending behind the name of the file that a link names: that is the one which
/// is replaced. Else the path stays as its user wrote it.
pub fn beside(result: &Path, ending: &str) -> PathBuf {
    let linked = if result.is_symlink() { fs::canonicalize(result).ok() } else { None };
    let mut path = linked.unwrap_or_else(|| result.to_path_buf()).into_os_string();
    path.push(ending);
    PathBuf::from(path)
}

fn refuse(path: &Path) -> impl Fn(String) -> Error {
    let path = path.to_path_buf();
    move |problem| Error::Store { path: path.clone(), problem }
}

fn check_header(header: &Header) -> Result<(), String> {
    if header.observed.len() != header.summaries.len() {
        return Err(format!("{} observed values for {} summaries", header.observed.len(), header.summaries.len()));
    }
    let parameters = || header.parameters.iter().chain(header.fixed.iter().map(|f| &f.0)).map(|c| c.name.as_str());
    if let Some(name) = parameters().find(|n| RESERVED.contains(n) || n.is_empty() || n.contains(['/', '\0']) || *n == ".") {
        return Err(format!("a parameter cannot have the name `{name}` in a result file"));
    }
    unique("parameter", parameters())?;
    unique("summary", header.summaries.iter().map(|c| c.name.as_str()))?;
    unique("row", header.rows.iter().map(|r| r.id.as_str()))
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two of the {what} names are `{}`", pair[0])),
        None => Ok(()),
    }
}

fn check_generation(header: &Header, g: &Generation) -> Result<(), String> {
    let n = g.len();
    let (parameters, summaries) = (header.parameters.len(), header.summaries.len());
    let fits = g.theta.dim() == (n, parameters)
        && g.summaries.dim() == (n, summaries)
        && g.distance.len() == n
        && g.ln_weight.len() == n;
    let problem =
        || format!("a generation must hold {parameters} parameters and {summaries} summaries for each of its {n} particles");
    if fits { Ok(()) } else { Err(problem()) }
}

fn check_predictive(header: &Header, p: &Predictive) -> Result<(), String> {
    let (parameters, rows) = (header.parameters.len(), header.rows.len());
    let draws = p.draws.theta.nrows();
    if p.draws.theta.dim() == (draws, parameters) && p.values.dim() == (draws, rows) {
        return Ok(());
    }
    Err(format!("predictive draws must hold {parameters} parameters and {rows} rows for each of the {draws} draws"))
}
