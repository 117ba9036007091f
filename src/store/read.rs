//! From the bytes of a file to the run, bit for bit.

use hdf5::{Group, H5Type};
use ndarray::{Array2, Ix2};

use super::netcdf::{self, members, read_text, read_text_attribute, read_texts};
use super::{Column, Contents, FORMAT, Header, PredictedRow, calibration, scenario};
use crate::density::network::Network;
use crate::distance::{Foretold, Parts};
use crate::population::{
    Adjusted, Draws, Generation, Learnt, Mode, Predictive, Profile, Regressed, Regressor, Reused, Run, Shape, Stop, Surrogated,
};

/// The contents of a file, checked against its digests.
pub(super) fn contents(bytes: &[u8]) -> hdf5::Result<Contents> {
    let file = netcdf::decode(bytes).map_err(|e| {
        let size = bytes.len();
        format!("damaged or truncated ({size} bytes, but HDF5 cannot open it: {e})")
    })?;
    let format = read_text_attribute(&file, "format")
        .map_err(|_| format!("an HDF5 file, but not a result of nicho (no attribute `format = {FORMAT:?}`)"))?;
    if format != FORMAT {
        return Err(format!("its format is {format:?}; this version of nicho reads {FORMAT:?}").into());
    }
    let contents = body(&file).map_err(|e| format!("damaged, or changed by another program: {e}"))?;
    for (name, digest) in contents.digests() {
        let group = |path: &str| file.group(path).and_then(|g| read_text_attribute(&g, "digest"));
        let stored = match name.split_once(' ') {
            Some((_, scenario)) => group(&format!("scenarios/{scenario}")),
            None if name == "inference" => read_text_attribute(&file, "inference_digest"),
            None => group(&name),
        };
        if stored.ok().as_ref() != Some(&digest) {
            return Err(format!("damaged, or changed by another program: the digest `{name}` does not fit").into());
        }
    }
    Ok(contents)
}

fn body(root: &Group) -> hdf5::Result<Contents> {
    let header = header(root)?;
    let run = run(root)?;
    let prior = predictive(root, "prior", &header)?;
    let mut posterior = predictive(root, "posterior", &header)?;
    if let Some(posterior) = &mut posterior {
        let particle: Vec<u64> = numbers(&root.group("sample_stats")?, "particle")?;
        posterior.draws.particle = particle.into_iter().map(|p| p as usize).collect();
    }
    let modes = if root.link_exists("modes") { Some(modes(&root.group("modes")?)?) } else { None };
    let profile = if root.link_exists("profile") { Some(profile(&root.group("profile")?)?) } else { None };
    let adjusted = if root.link_exists("adjusted") { Some(adjusted(&root.group("adjusted")?, &header)?) } else { None };
    let noise_floor =
        if root.link_exists("noise_floor") { Some(numbers(&root.group("noise_floor")?, "distance")?) } else { None };
    let distance = if root.link_exists("distance") { Some(parts(&root.group("distance")?)?) } else { None };
    let calibration = calibration::read(root)?;
    let scenarios = scenario::read(root)?;
    let provenance = root.group("provenance")?;
    let sessions = if provenance.link_exists("record") { read_texts(&provenance, "record")? } else { Vec::new() };
    Ok(Contents {
        header,
        run,
        distance,
        prior,
        posterior,
        noise_floor,
        modes,
        profile,
        adjusted,
        calibration,
        scenarios,
        sessions,
    })
}

pub(super) fn numbers<T: H5Type>(group: &Group, name: &str) -> hdf5::Result<Vec<T>> {
    group.dataset(name)?.read_raw()
}

pub(super) fn matrix<T: H5Type>(group: &Group, name: &str) -> hdf5::Result<Array2<T>> {
    group.dataset(name)?.read::<T, Ix2>()
}

pub(super) fn attribute<T: H5Type>(group: &Group, name: &str) -> hdf5::Result<T> {
    group.attr(name)?.read_scalar()
}

fn header(root: &Group) -> hdf5::Result<Header> {
    let (job, generations) = (root.group("job")?, root.group("generations")?);
    Ok(Header {
        job_name: read_text_attribute(&job, "name")?,
        job_text: read_text(&job, "text")?,
        job_canonical: read_text(&job, "canonical")?,
        observations_name: read_text_attribute(&job, "observations_name")?,
        observations_text: read_text(&job, "observations")?,
        observations_sha256: read_text_attribute(&job, "observations_sha256")?,
        parameters: columns(&generations, "parameter")?,
        summaries: columns(&generations, "summary")?,
        observed: numbers(&generations, "observed")?,
        fixed: fixed(&root.group("constant_data")?)?,
        rows: rows(root)?,
    })
}

fn columns(group: &Group, dimension: &str) -> hdf5::Result<Vec<Column>> {
    let names = read_texts(group, dimension)?;
    let units = read_texts(group, &format!("{dimension}_unit"))?;
    let long_names = read_texts(group, &format!("{dimension}_long_name"))?;
    let columns = names.into_iter().zip(units).zip(long_names);
    Ok(columns.map(|((name, unit), long_name)| Column { name, unit, long_name }).collect())
}

fn fixed(group: &Group) -> hdf5::Result<Vec<(Column, f64)>> {
    let one = |name: String| {
        let dataset = group.dataset(&name)?;
        let unit = if dataset.attr("units").is_ok() { read_text_attribute(&dataset, "units")? } else { String::new() };
        let long_name = read_text_attribute(&dataset, "long_name")?;
        Ok((Column { name, unit, long_name }, dataset.read_scalar()?))
    };
    members(group)?.into_iter().map(one).collect()
}

fn rows(root: &Group) -> hdf5::Result<Vec<PredictedRow>> {
    if !root.link_exists("observed_data") {
        return Ok(Vec::new());
    }
    let group = root.group("observed_data")?;
    let (mut labels, mut roles) = (read_texts(&group, "label")?.into_iter(), read_texts(&group, "role")?.into_iter());
    let mut units = read_texts(&group, "unit")?.into_iter();
    // Those that hold nothing, or were not yet known when the file was written, are not there.
    let words = |name: &str| if group.link_exists(name) { read_texts(&group, name) } else { Ok(Vec::new()) };
    let (trials, endpoints, kinds) = (words("trial")?, words("endpoint")?, words("kind")?);
    let (givens, sources) = (words("given")?, words("source")?);
    let word = |of: &[String], i: usize| of.get(i).cloned().unwrap_or_default();
    let (month, value): (Vec<f64>, Vec<f64>) = (numbers(&group, "month")?, numbers(&group, "value")?);
    let (se, n): (Vec<f64>, Vec<u64>) = (numbers(&group, "se")?, numbers(&group, "n")?);
    let one = |(i, id)| -> Option<PredictedRow> {
        Some(PredictedRow {
            id,
            label: labels.next()?,
            trial: word(&trials, i),
            role: roles.next()?,
            unit: units.next()?,
            month: *month.get(i)?,
            value: *value.get(i)?,
            se: *se.get(i)?,
            n: *n.get(i)?,
            endpoint: word(&endpoints, i),
            kind: word(&kinds, i),
            given: word(&givens, i),
            source: word(&sources, i),
        })
    };
    let rows: Option<Vec<PredictedRow>> = read_texts(&group, "row")?.into_iter().enumerate().map(one).collect();
    rows.ok_or_else(|| "observed_data: columns of different lengths".into())
}

fn run(root: &Group) -> hdf5::Result<Run> {
    let all = root.group("generations")?;
    let count = all.dataset("generation")?.size();
    let generations: hdf5::Result<Vec<Generation>> =
        (0..count).map(|index| generation(&all.group(&format!("{index:04}"))?)).collect();
    let reason = match read_text_attribute(root, "stop_reason")?.as_str() {
        "none" => serde_json::Value::Null,
        reason => reason.into(),
    };
    let stopped: Option<Stop> = serde_json::from_value(reason).map_err(|e| e.to_string())?;
    Ok(Run { generations: generations?, stopped, spent: attribute(root, "spent")? })
}

fn generation(group: &Group) -> hdf5::Result<Generation> {
    Ok(Generation {
        tolerance: attribute(group, "tolerance")?,
        theta: matrix(group, "theta")?,
        distance: numbers(group, "distance")?,
        ln_weight: numbers(group, "ln_weight")?,
        trial: numbers(group, "trial")?,
        summaries: matrix(group, "summaries")?,
        simulated: attribute(group, "simulated")?,
        failed: attribute(group, "failed")?,
    })
}

/// Draws of the parameters, each a variable of the group.
fn draws(group: &Group, of: &str, header: &Header) -> hdf5::Result<Array2<f64>> {
    let draws = group.dataset("draw")?.size();
    let mut theta = Array2::zeros((draws, header.parameters.len()));
    for (mut to, column) in theta.columns_mut().into_iter().zip(&header.parameters) {
        let from: Vec<f64> = numbers(group, &column.name)?;
        if from.len() != draws {
            return Err(format!("{of}/{}: {} values for {draws} draws", column.name, from.len()).into());
        }
        to.iter_mut().zip(from).for_each(|(to, from)| *to = from);
    }
    Ok(theta)
}

fn parts(group: &Group) -> hdf5::Result<Parts> {
    let outlying: Vec<u8> = numbers(group, "outlying")?;
    let outlying = outlying.into_iter().map(|out| out != 0).collect();
    let network = match group.link_exists("hidden") {
        true => Some(Network {
            centre: numbers(group, "centre")?,
            bias: numbers(group, "bias")?,
            hidden: matrix(group, "hidden")?,
            offset: numbers(group, "offset")?,
            output: matrix(group, "output")?,
        }),
        false => None,
    };
    let foretold = match group.link_exists("slope") {
        true => Some(Foretold { slope: matrix(group, "slope")?, network, explained: numbers(group, "explained")? }),
        false => None,
    };
    Ok(Parts { scale: numbers(group, "scale")?, weight: numbers(group, "weight")?, outlying, foretold })
}

fn adjusted(group: &Group, header: &Header) -> hdf5::Result<Adjusted> {
    let (count, truth) = (|name| attribute::<u64>(group, name), |name| attribute::<u8>(group, name).map(|b| b != 0));
    // Files from before there was a choice do not name it.
    let method = if group.attr("method").is_ok() { read_text_attribute(group, "method")? } else { "surrogate".into() };
    let learnt = match method.as_str() {
        "surrogate" => Learnt::Surrogate(Surrogated {
            shape: Shape {
                first: count("first_generation")? as usize,
                cells: count("cells")? as usize,
                quadratic: truth("quadratic")?,
                scaled: truth("scaled")?,
                local: truth("local")?,
                bandwidth: attribute(group, "bandwidth")?,
            },
            score: attribute(group, "score")?,
            score_error: attribute(group, "score_error")?,
        }),
        "regression" | "network" => Learnt::Regression(Regressed {
            by: if method == "network" { Regressor::Network } else { Regressor::Linear },
            // Files from before any were re-used do not say.
            reused: if group.attr("reused").is_ok() { Some(reused(group)?) } else { None },
            ess: attribute(group, "ess")?,
            explained: group.attr("explained")?.read_raw()?,
        }),
        "reuse" => Learnt::Reuse(reused(group)?),
        other => return Err(format!("adjusted: this version of nicho does not know the method {other:?}").into()),
    };
    Ok(Adjusted { theta: draws(group, "adjusted", header)?, learnt, fitted: count("fitted")? })
}

fn reused(group: &Group) -> hdf5::Result<Reused> {
    Ok(Reused {
        earlier: attribute(group, "reused")?,
        before: attribute(group, "ess_before_reuse")?,
        after: attribute(group, "ess_after_reuse")?,
    })
}

fn predictive(root: &Group, of: &str, header: &Header) -> hdf5::Result<Option<Predictive>> {
    if !root.link_exists(of) {
        return Ok(None);
    }
    let theta = draws(&root.group(of)?, of, header)?;
    let draws = theta.nrows();
    let values = if header.rows.is_empty() { Vec::new() } else { numbers(&root.group(&format!("{of}_predictive"))?, "value")? };
    let values = Array2::from_shape_vec((draws, header.rows.len()), values)?;
    Ok(Some(Predictive { draws: Draws { theta, particle: Vec::new() }, values }))
}

fn modes(group: &Group) -> hdf5::Result<Vec<Mode>> {
    let (theta, curvature) = (matrix(group, "theta")?, matrix(group, "curvature_sd")?);
    let count = theta.nrows();
    let figures = |name: &str| numbers::<f64>(group, name).and_then(|v| same_length(name, v, count));
    let (objective, distance) = (figures("objective")?, figures("distance")?);
    let (start, weight) = (figures("start")?, figures("weight")?);
    let evaluations: Vec<u64> = same_length("evaluations", numbers(group, "evaluations")?, count)?;
    let converged: Vec<u8> = same_length("converged", numbers(group, "converged")?, count)?;
    let one = |i: usize| Mode {
        theta: theta.row(i).to_vec(),
        objective: objective[i],
        distance: distance[i],
        start: start[i],
        weight: weight[i],
        evaluations: evaluations[i],
        converged: converged[i] != 0,
        curvature_sd: curvature.row(i).to_vec(),
    };
    if curvature.dim() != theta.dim() {
        return Err("modes: curvature_sd and theta differ in shape".into());
    }
    Ok((0..count).map(one).collect())
}

fn profile(group: &Group) -> hdf5::Result<Profile> {
    let (value, objective, misfit) = (matrix(group, "value")?, matrix(group, "objective")?, matrix(group, "misfit")?);
    if objective.dim() != value.dim() || misfit.dim() != value.dim() {
        return Err("profile: value, objective and misfit differ in shape".into());
    }
    Ok(Profile { value, objective, misfit, evaluations: attribute(group, "evaluations")? })
}

fn same_length<T>(name: &str, values: Vec<T>, count: usize) -> hdf5::Result<Vec<T>> {
    if values.len() == count { Ok(values) } else { Err(format!("modes: {name} has {} values", values.len()).into()) }
}
