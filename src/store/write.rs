//! From a run to the bytes of its file.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

use super::netcdf::{self, Scope, about};
use super::{Column, Contents, FORMAT, Header, calibration, digest, scenario};
use crate::density::network::Network;
use crate::distance::Parts;
use crate::population::{Adjusted, Generation, Learnt, Mode, Predictive, Profile, Regressed, Regressor, Reused, Run, Surrogated};
use crate::rng::SCHEME;

/// The file, byte for byte a function of `contents` (and of the HDF5 library).
pub(super) fn bytes(contents: &Contents) -> hdf5::Result<Vec<u8>> {
    netcdf::encode(|root| {
        attributes(root, contents)?;
        let Contents {
            header,
            run,
            distance,
            prior,
            posterior,
            noise_floor,
            modes,
            profile,
            adjusted,
            calibration: calibrated,
            scenarios,
            sessions,
        } = contents;
        if let (Some(posterior), Some(last)) = (posterior, run.last()) {
            draws(root.group("posterior", POSTERIOR)?, header, &posterior.draws.theta)?;
            sample_stats(root, header, posterior, last)?;
            predictions(root, "posterior_predictive", header, posterior)?;
        }
        if let Some(prior) = prior {
            draws(root.group("prior", "independent draws of the prior")?, header, &prior.draws.theta)?;
            predictions(root, "prior_predictive", header, prior)?;
        }
        observed_data(root, header)?;
        constant_data(root, header)?;
        if let Some(last) = run.last() {
            population(root, header, last, run.generations.len() - 1)?;
        }
        generations(root, header, run)?;
        if let Some(parts) = distance {
            scaled_distance(root, header, parts)?;
        }
        if let Some(distances) = noise_floor {
            replicate_distances(root, distances)?;
        }
        if let Some(modes) = modes {
            posterior_modes(root, header, modes)?;
        }
        if let Some(profile) = profile {
            profiles(root, header, profile)?;
        }
        if let Some(adjusted) = adjusted {
            adjusted_posterior(root, header, adjusted)?;
        }
        if let Some(calibration) = calibrated {
            calibration::write(root, header, calibration)?;
        }
        scenario::write(root, scenarios)?;
        job(root, header)?;
        provenance(root, sessions)
    })
}

const POSTERIOR: &str = "equal-weight draws of the posterior, resampled (systematic resampling) from the weighted particles \
     in /population; particles of high weight repeat, see sample_stats/particle";

fn attributes(root: &Scope, contents: &Contents) -> hdf5::Result<()> {
    let Contents { header, run, .. } = contents;
    root.text_attribute("title", &format!("approximate Bayesian computation: {}", header.job_name))?;
    root.text_attribute("Conventions", "InferenceData")?;
    root.text_attribute("format", FORMAT)?;
    root.text_attribute("created_by", concat!("nicho ", env!("CARGO_PKG_VERSION")))?;
    library(root)?;
    root.text_attribute("random_numbers", SCHEME)?;
    root.text_attribute("status", if run.stopped.is_some() { "finished" } else { "running" })?;
    let reason = serde_json::to_value(run.stopped).map_err(|e| e.to_string())?;
    root.text_attribute("stop_reason", reason.as_str().unwrap_or("none"))?;
    root.attribute("spent", run.spent)?;
    root.text_attribute("inference_digest", &digest::inference(header, &run.generations))
}

/// What the schema of `InferenceData` asks of every group; without the date, which stands in /provenance.
fn library(scope: &Scope) -> hdf5::Result<()> {
    scope.text_attribute("inference_library", "nicho")?;
    scope.text_attribute("inference_library_version", env!("CARGO_PKG_VERSION"))?;
    scope.text_attribute("creation_library", "nicho")?;
    scope.text_attribute("creation_library_version", env!("CARGO_PKG_VERSION"))?;
    scope.text_attribute("creation_library_language", "Rust")
}

/// (chain, draw), the shape of everything that ArviZ summarises.
pub(super) fn chain_and_draw(scope: &mut Scope, draws: usize) -> hdf5::Result<()> {
    library(scope)?;
    scope.index("chain", 1, "chain; an ABC sample has one")?;
    scope.index("draw", draws, "draw")
}

fn row(values: &[f64]) -> hdf5::Result<ArrayView2<'_, f64>> {
    Ok(ArrayView2::from_shape((1, values.len()), values)?)
}

fn draws(mut group: Scope, header: &Header, theta: &Array2<f64>) -> hdf5::Result<()> {
    chain_and_draw(&mut group, theta.nrows())?;
    for (column, values) in header.parameters.iter().zip(theta.columns()) {
        let values = values.to_vec();
        group.variable(&column.name, &["chain", "draw"], row(&values)?, describe(column))?;
    }
    group.finish()
}

fn describe(column: &Column) -> netcdf::About<'_> {
    about(&column.unit, &column.long_name)
}

fn sample_stats(root: &Scope, header: &Header, posterior: &Predictive, last: &Generation) -> hdf5::Result<()> {
    let mut group = root.group("sample_stats", "where each draw of /posterior comes from")?;
    let particles = &posterior.draws.particle;
    chain_and_draw(&mut group, particles.len())?;
    tolerance(&group, header, last)?;
    let axes = ["chain", "draw"];
    let distance: Vec<f64> = particles.iter().map(|p| last.distance[*p]).collect();
    group.variable("distance", &axes, row(&distance)?, about("", distance_is(header)))?;
    let shape = (1, particles.len());
    let trial: Vec<u64> = particles.iter().map(|p| last.trial[*p]).collect();
    group.variable("trial", &axes, ArrayView2::from_shape(shape, &trial)?, about("", "id of the trial"))?;
    let particle: Vec<u64> = particles.iter().map(|p| *p as u64).collect();
    let meaning = about("", "index of the particle in /population");
    group.variable("particle", &axes, ArrayView2::from_shape(shape, &particle)?, meaning)?;
    group.finish()
}

fn predictions(root: &Scope, name: &str, header: &Header, predictive: &Predictive) -> hdf5::Result<()> {
    let of = name.trim_end_matches("_predictive");
    let mut group = root.group(name, &format!("a simulation at each draw of /{of}; NaN where it failed"))?;
    group.text_attribute("digest", &digest::predictive(name, predictive))?;
    chain_and_draw(&mut group, predictive.values.nrows())?;
    if !header.rows.is_empty() {
        row_labels(&mut group, header)?;
        let values = predictive.values.as_standard_layout();
        let axes = ["chain", "draw", "row"];
        group.variable(
            "value",
            &axes,
            values.view().insert_axis(Axis(0)),
            about("", "simulated value, in the unit of its row"),
        )?;
    }
    group.finish()
}

fn row_labels(group: &mut Scope, header: &Header) -> hdf5::Result<()> {
    let ids: Vec<&str> = header.rows.iter().map(|r| r.id.as_str()).collect();
    group.labels("row", &ids, "row of the table of observations")
}

fn observed_data(root: &Scope, header: &Header) -> hdf5::Result<()> {
    if header.rows.is_empty() {
        return Ok(());
    }
    let rows = &header.rows;
    let mut group = root.group("observed_data", "published observations, fitted or not")?;
    library(&group)?;
    row_labels(&mut group, header)?;
    let column = |get: fn(&super::PredictedRow) -> f64| rows.iter().map(get).collect::<Vec<f64>>();
    for (name, values, meaning) in [
        ("value", column(|r| r.value), about("", "observed value, in the unit of its row")),
        ("se", column(|r| r.se), about("", "standard error of the observed value, in the unit of its row")),
        ("month", column(|r| r.month), about("month", "months since the start of treatment")),
    ] {
        group.variable(name, &["row"], ArrayView1::from(&values), meaning)?;
    }
    let n: Vec<u64> = rows.iter().map(|r| r.n).collect();
    group.variable("n", &["row"], ArrayView1::from(&n), about("", "patients behind the value; 0 if not known"))?;
    type Get = fn(&super::PredictedRow) -> &str;
    let texts = |get: Get| rows.iter().map(get).collect::<Vec<&str>>();
    group.texts("role", "row", &texts(|r| &r.role), about("", "what the row is used for"))?;
    group.texts("label", "row", &texts(|r| &r.label), about("", "text for figures"))?;
    group.texts("unit", "row", &texts(|r| &r.unit), about("", "unit of value and standard error"))?;
    let words: [(&str, Get, &str); 5] = [
        ("trial", |r| &r.trial, "trial that the row is of"),
        ("endpoint", |r| &r.endpoint, "what is counted"),
        ("kind", |r| &r.kind, "how it was estimated"),
        ("given", |r| &r.given, "among whom; empty: all patients"),
        ("source", |r| &r.source, "where the value was published"),
    ];
    for (name, get, meaning) in words {
        if rows.iter().any(|row| !get(row).is_empty()) {
            group.texts(name, "row", &texts(get), about("", meaning))?;
        }
    }
    group.finish()
}

fn constant_data(root: &Scope, header: &Header) -> hdf5::Result<()> {
    let group = root.group("constant_data", "parameters that the job fixes")?;
    library(&group)?;
    for (column, value) in &header.fixed {
        group.scalar(&column.name, *value, describe(column))?;
    }
    Ok(())
}

/// The tolerance, or temperature, of a generation, and which of the two it is.
fn tolerance(group: &Scope, header: &Header, g: &Generation) -> hdf5::Result<()> {
    group.attribute("tolerance", g.tolerance)?;
    if header.tempered() { group.text_attribute("acceptance", "noise") } else { Ok(()) }
}

fn distance_is(header: &Header) -> &'static str {
    if header.tempered() {
        "root of the deviance of the observations at the simulated summaries"
    } else {
        "distance of the simulated summaries from the observed ones"
    }
}

/// The variables that a generation and the population share.
fn particles(group: &mut Scope, header: &Header, g: &Generation) -> hdf5::Result<()> {
    let axis = ["particle"];
    group.variable("distance", &axis, ArrayView1::from(&g.distance), about("", distance_is(header)))?;
    let meaning = about("", "natural logarithm of the importance weight, not normalised");
    group.variable("ln_weight", &axis, ArrayView1::from(&g.ln_weight), meaning)?;
    group.variable("trial", &axis, ArrayView1::from(&g.trial), about("", "id of the trial")).map(drop)
}

fn population(root: &Scope, header: &Header, last: &Generation, index: usize) -> hdf5::Result<()> {
    let mut group = root.group("population", "the last generation: weighted particles that stand for the posterior")?;
    let weights = last.weights();
    library(&group)?;
    group.attribute("generation", index as u64)?;
    tolerance(&group, header, last)?;
    group.attribute("ess", weights.ess())?;
    group.index("particle", last.len(), "particle, in order of trial id")?;
    for (column, values) in header.parameters.iter().zip(last.theta.columns()) {
        group.variable(&column.name, &["particle"], ArrayView1::from(&values.to_vec()), describe(column))?;
    }
    let meaning = about("", "normalised importance weight; the weights sum to 1");
    group.variable("weight", &["particle"], ArrayView1::from(weights.as_slice()), meaning)?;
    particles(&mut group, header, last)?;
    group.finish()
}

fn generations(root: &Scope, header: &Header, run: &Run) -> hdf5::Result<()> {
    let mut group = root.group("generations", "every generation of the sampler; one group for each, and a table of all")?;
    columns(&mut group, "parameter", "inferred parameter", &header.parameters)?;
    columns(&mut group, "summary", "fitted summary", &header.summaries)?;
    let meaning = about("", "observed value of the fitted summary, in its unit");
    group.variable("observed", &["summary"], ArrayView1::from(&header.observed), meaning)?;
    group.index("generation", run.generations.len(), "generation")?;
    let figure = |get: fn(&Generation) -> f64| run.generations.iter().map(get).collect::<Vec<f64>>();
    let tolerance_is = if header.tempered() { "temperature of the likelihood" } else { "largest accepted distance" };
    for (name, values, meaning) in [
        ("tolerance", figure(|g| g.tolerance), tolerance_is),
        ("acceptance_rate", figure(Generation::acceptance_rate), "accepted per simulated"),
        ("ess", figure(|g| g.weights().ess()), "effective sample size (Kish)"),
    ] {
        group.variable(name, &["generation"], ArrayView1::from(&values), about("", meaning))?;
    }
    let count = |get: fn(&Generation) -> u64| run.generations.iter().map(get).collect::<Vec<u64>>();
    for (name, values, meaning) in [
        ("simulated", count(|g| g.simulated), "trials up to and including the last accepted one"),
        (
            "failed",
            count(|g| g.failed),
            "trials that could not be simulated, of the first 100, or of all where all ran to their end",
        ),
    ] {
        group.variable(name, &["generation"], ArrayView1::from(&values), about("", meaning))?;
    }
    for (index, generation) in run.generations.iter().enumerate() {
        let child = group.group(&format!("{index:04}"), "particles, in order of trial id")?;
        one_generation(child, header, generation)?;
    }
    group.finish()
}

/// A dimension of names with their units and meanings.
pub(super) fn columns(group: &mut Scope, dimension: &str, what: &str, columns: &[Column]) -> hdf5::Result<()> {
    let list = |get: fn(&Column) -> &str| columns.iter().map(get).collect::<Vec<&str>>();
    group.labels(dimension, &list(|c| &c.name), what)?;
    let (unit, meaning) = (format!("unit of the {what}"), format!("meaning of the {what}"));
    group.texts(&format!("{dimension}_unit"), dimension, &list(|c| &c.unit), about("", &unit))?;
    group.texts(&format!("{dimension}_long_name"), dimension, &list(|c| &c.long_name), about("", &meaning))
}

fn one_generation(mut group: Scope, header: &Header, g: &Generation) -> hdf5::Result<()> {
    tolerance(&group, header, g)?;
    group.attribute("simulated", g.simulated)?;
    group.attribute("failed", g.failed)?;
    group.attribute("acceptance_rate", g.acceptance_rate())?;
    group.attribute("ess", g.weights().ess())?;
    let names = |columns: &[Column]| columns.iter().map(|c| c.name.clone()).collect::<Vec<String>>();
    group.index("particle", g.len(), "particle, in order of trial id")?;
    group.labels("parameter", &names(&header.parameters), "inferred parameter")?;
    group.labels("summary", &names(&header.summaries), "fitted summary")?;
    let (theta, summaries) = (g.theta.as_standard_layout(), g.summaries.as_standard_layout());
    let meaning = about("", "parameters in natural units");
    group.variable("theta", &["particle", "parameter"], theta.view(), meaning)?;
    let meaning = about("", "simulated summaries, each in its unit");
    group.variable("summaries", &["particle", "summary"], summaries.view(), meaning)?;
    particles(&mut group, header, g)?;
    group.finish()
}

fn scaled_distance(root: &Scope, header: &Header, parts: &Parts) -> hdf5::Result<()> {
    let mut group = root.group("distance", "what each summary counts for, learnt from simulations at draws of the prior")?;
    group.text_attribute("digest", &digest::distance(parts))?;
    columns(&mut group, "summary", "fitted summary", &header.summaries)?;
    let meaning = about("", "what a difference is divided by, in the unit of the summary");
    group.variable("scale", &["summary"], ArrayView1::from(&parts.scale), meaning)?;
    group.variable("weight", &["summary"], ArrayView1::from(&parts.weight), about("", "weight; 0 leaves it out"))?;
    let outlying: Vec<u8> = parts.outlying.iter().map(|out| u8::from(*out)).collect();
    let meaning = about("", "1 if it is observed far outside the simulations, and its scale wider for that, else 0");
    group.variable("outlying", &["summary"], ArrayView1::from(&outlying), meaning)?;
    if let Some(foretold) = &parts.foretold {
        columns(&mut group, "parameter", "inferred parameter", &header.parameters)?;
        let meaning =
            "change of the predicted coordinate of each parameter, in standard deviations of the prior, with each summary";
        group.variable("slope", &["parameter", "summary"], foretold.slope.view(), about("", meaning))?;
        let meaning = about("", "share of the prior variance of each parameter that is foretold, left-out draws by the others");
        group.variable("explained", &["parameter"], ArrayView1::from(&foretold.explained), meaning)?;
        if let Some(network) = &foretold.network {
            what_a_network_adds(&mut group, network)?;
        }
    }
    group.finish()
}

fn what_a_network_adds(group: &mut Scope, network: &Network) -> hdf5::Result<()> {
    let Network { centre, bias, hidden, offset, output } = network;
    let meaning =
        "unit of a network: prediction = slope . summaries + offset + output . tanh(bias + hidden . (summaries - centre))";
    group.index("unit", bias.len(), meaning)?;
    let of = |text| about("", text);
    group.variable("centre", &["summary"], ArrayView1::from(centre), of("mean of each summary in the pilot, in its unit"))?;
    group.variable("bias", &["unit"], ArrayView1::from(bias), of("argument of each unit at the centre"))?;
    let meaning = "change of the argument of each unit with each summary, in its unit";
    group.variable("hidden", &["summary", "unit"], hidden.view(), of(meaning))?;
    let meaning = "what is added to each predicted coordinate, in standard deviations of the prior";
    group.variable("offset", &["parameter"], ArrayView1::from(offset), of(meaning))?;
    let meaning = "change of each predicted coordinate, in standard deviations of the prior, with each unit";
    group.variable("output", &["unit", "parameter"], output.view(), of(meaning)).map(drop)
}

fn replicate_distances(root: &Scope, distances: &[f64]) -> hdf5::Result<()> {
    let mut group = root.group("noise_floor", "how far two replicate data sets at one posterior draw are from each other")?;
    group.text_attribute("digest", &digest::noise_floor(distances))?;
    group.index("pair", distances.len(), "pair of replicates")?;
    let meaning = about("", "distance between the two; a tolerance much below the median asks for too much");
    group.variable("distance", &["pair"], ArrayView1::from(distances), meaning)?;
    group.finish()
}

fn posterior_modes(root: &Scope, header: &Header, modes: &[Mode]) -> hdf5::Result<()> {
    let mut group = root.group("modes", "modes of the posterior, polished by an optimiser from the best particles")?;
    group.text_attribute("digest", &digest::modes(modes))?;
    group.index("mode", modes.len(), "mode")?;
    columns(&mut group, "parameter", "inferred parameter", &header.parameters)?;
    let matrix = |get: fn(&Mode) -> &[f64]| {
        let flat = modes.iter().flat_map(get).copied().collect();
        Array2::from_shape_vec((modes.len(), header.parameters.len()), flat)
    };
    let axes = ["mode", "parameter"];
    group.variable("theta", &axes, matrix(|m| &m.theta)?.view(), about("", "parameters in natural units"))?;
    let meaning = about("", "standard deviation that the local curvature implies, in natural units; NaN where there is none");
    group.variable("curvature_sd", &axes, matrix(|m| &m.curvature_sd)?.view(), meaning)?;
    let figure = |get: fn(&Mode) -> f64| modes.iter().map(get).collect::<Vec<f64>>();
    for (name, values, meaning) in [
        ("objective", figure(|m| m.objective), "half the squared scaled distance, less the log prior density"),
        ("distance", figure(|m| m.distance), "distance of the mean summaries"),
        ("start", figure(|m| m.start), "objective at the start"),
        ("weight", figure(|m| m.weight), "share of the posterior weight in the cluster of the start"),
    ] {
        group.variable(name, &["mode"], ArrayView1::from(&values), about("", meaning))?;
    }
    let evaluations: Vec<u64> = modes.iter().map(|m| m.evaluations).collect();
    group.variable("evaluations", &["mode"], ArrayView1::from(&evaluations), about("", "simulations used"))?;
    let converged: Vec<u8> = modes.iter().map(|m| u8::from(m.converged)).collect();
    let meaning = about("", "1 if the optimiser met its own criterion before its budget, else 0");
    group.variable("converged", &["mode"], ArrayView1::from(&converged), meaning)?;
    group.finish()
}

fn profiles(root: &Scope, header: &Header, profile: &Profile) -> hdf5::Result<()> {
    let text = "profiles of the objective about the first mode: its least value over all other parameters";
    let mut group = root.group("profile", text)?;
    group.text_attribute("digest", &digest::profile(profile))?;
    group.attribute("evaluations", profile.evaluations)?;
    columns(&mut group, "parameter", "inferred parameter", &header.parameters)?;
    group.index("point", profile.value.ncols(), "point of the profile, from below; the middle one is the mode")?;
    for (name, values, meaning) in [
        ("value", &profile.value, "where the parameter is held, in its natural unit"),
        ("objective", &profile.objective, "least objective; NaN outside the support of the prior or of the model"),
        ("misfit", &profile.misfit, "half the squared scaled distance there: the objective without the prior"),
    ] {
        group.variable(name, &["parameter", "point"], values.view(), about("", meaning))?;
    }
    group.finish()
}

fn adjusted_posterior(root: &Scope, header: &Header, adjusted: &Adjusted) -> hdf5::Result<()> {
    let (method, text) = match adjusted.learnt {
        Learnt::Surrogate(_) => {
            ("surrogate", "equal-weight draws of prior times a surrogate likelihood, which was learnt from all simulations")
        }
        Learnt::Regression(Regressed { by, .. }) => (
            if by == Regressor::Network { "network" } else { "regression" },
            "equal-weight draws of the simulations within the last tolerance, moved by regression to where the summaries are the observed",
        ),
        Learnt::Reuse(_) => ("reuse", "equal-weight draws of the simulations of all generations within the last tolerance"),
    };
    let group = root.group("adjusted", text)?;
    group.text_attribute("digest", &digest::adjusted(adjusted))?;
    group.text_attribute("method", method)?;
    group.attribute("fitted", adjusted.fitted)?;
    match &adjusted.learnt {
        Learnt::Surrogate(Surrogated { shape, score, score_error }) => {
            group.attribute("first_generation", shape.first as u64)?;
            group.attribute("cells", shape.cells as u64)?;
            group.attribute("quadratic", u8::from(shape.quadratic))?;
            group.attribute("scaled", u8::from(shape.scaled))?;
            group.attribute("local", u8::from(shape.local))?;
            group.attribute("bandwidth", shape.bandwidth)?;
            group.attribute("score", *score)?;
            group.attribute("score_error", *score_error)?;
        }
        Learnt::Regression(Regressed { reused, ess, explained, .. }) => {
            group.attribute("ess", *ess)?;
            group.list_attribute("explained", explained)?;
            reused.iter().try_for_each(|reused| reuse(&group, reused))?;
        }
        Learnt::Reuse(reused) => reuse(&group, reused)?,
    }
    draws(group, header, &adjusted.theta)
}

fn reuse(group: &Scope, Reused { earlier, before, after }: &Reused) -> hdf5::Result<()> {
    group.attribute("reused", *earlier)?;
    group.attribute("ess_before_reuse", *before)?;
    group.attribute("ess_after_reuse", *after)
}

fn job(root: &Scope, header: &Header) -> hdf5::Result<()> {
    let group = root.group("job", "what was asked for: enough to run it again")?;
    group.text_attribute("name", &header.job_name)?;
    group.text_attribute("observations_name", &header.observations_name)?;
    group.text_attribute("observations_sha256", &header.observations_sha256)?;
    group.text("text", &header.job_text, "the job file, word for word")?;
    group.text("canonical", &header.job_canonical, "the job as parsed, in canonical form (JSON)")?;
    group.text("observations", &header.observations_text, "the table of observations, word for word")
}

fn provenance(root: &Scope, sessions: &[String]) -> hdf5::Result<()> {
    let mut group = root.group("provenance", "when, where and with what; outside every digest")?;
    if !sessions.is_empty() {
        group.index("session", sessions.len(), "session")?;
        group.texts("record", "session", sessions, about("", "record of the session (JSON)"))?;
    }
    group.finish()
}
