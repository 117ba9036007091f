//! A calibration of the job, beside its run: ranks of true values in posteriors of data that were simulated at them.

use hdf5::Group;
use ndarray::Array2;

use super::netcdf::{Scope, about, read_texts};
use super::read::{attribute, matrix, numbers};
use super::write::columns;
use super::{Header, digest};
use crate::population::{Calibration, Ranked};

const REPLICATES: &str = "data set that was simulated at a draw of the prior";

/// Whether a calibration is whole, and of this run.
pub(super) fn check(calibration: &Calibration, header: &Header) -> Result<(), String> {
    let replicates = calibration.lines.first().map_or(0, |line| line.ranks.len());
    let whole = |lines: &[Ranked]| {
        let names = lines.iter().map(|line| &line.name).eq(header.parameters.iter().map(|column| &column.name));
        names && lines.iter().all(|line| line.ranks.len() == replicates && line.recovery.len() == replicates)
    };
    if replicates > 0 && [Some(&calibration.lines), calibration.adjusted.as_ref()].into_iter().flatten().all(|lines| whole(lines))
    {
        return Ok(());
    }
    Err("a calibration needs a rank and a recovered value of every parameter in every replicate".into())
}

/// Writes a calibration.
pub(super) fn write(root: &Scope, header: &Header, calibration: &Calibration) -> hdf5::Result<()> {
    let text = "simulation-based calibration of the job (Talts et al. 2018): its inference on data sets of its own";
    let mut group = root.group("calibration", text)?;
    group.text_attribute("digest", &digest::calibration(calibration))?;
    group.attribute("tolerance", calibration.tolerance)?;
    group.attribute("population", calibration.population as u64)?;
    lines(&mut group, header, &calibration.lines)?;
    if let Some(adjusted) = &calibration.adjusted {
        let mut group = group.group("adjusted", "the same of the adjusted posterior")?;
        lines(&mut group, header, adjusted)?;
        group.finish()?;
    }
    group.finish()
}

fn lines(group: &mut Scope, header: &Header, lines: &[Ranked]) -> hdf5::Result<()> {
    let replicates = lines.first().map_or(0, |line| line.ranks.len());
    columns(group, "parameter", "inferred parameter", &header.parameters)?;
    group.index("replicate", replicates, REPLICATES)?;
    let intervals = Ranked::INTERVALS.map(|share| format!("{:.0} %", 100.0 * share));
    group.labels("interval", &intervals, "central interval of a posterior")?;
    let table = |get: &dyn Fn(&Ranked) -> Vec<u64>, width: usize| {
        Array2::from_shape_vec((lines.len(), width), lines.iter().flat_map(get).collect())
    };
    let ranks = table(&|line| line.ranks.iter().map(|rank| *rank as u64).collect(), replicates)?;
    let meaning = format!("rank of the true value among {} posterior draws, from 0", Ranked::DRAWS);
    group.variable("rank", &["parameter", "replicate"], ranks.view(), about("", &meaning))?;
    let inside = table(&|line| line.inside.iter().map(|count| *count as u64).collect(), 2)?;
    let meaning = about("", "replicates whose interval holds the true value");
    group.variable("inside", &["parameter", "interval"], inside.view(), meaning)?;
    let whole = table(&|line| vec![u64::from(line.whole)], 1)?;
    let meaning = about("", "1 if the parameter is a whole number, whose intervals are not judged");
    group.variable("whole", &["parameter"], whole.column(0), meaning)?;
    let recovered = |get: fn(&(f64, f64)) -> f64| {
        Array2::from_shape_vec((lines.len(), replicates), lines.iter().flat_map(|line| line.recovery.iter().map(get)).collect())
    };
    let of = "on the coordinate of the prior (logarithm of a positive parameter, logit of a proportion)";
    for (name, values, what) in
        [("true_value", recovered(|pair| pair.0)?, "true value"), ("posterior_mean", recovered(|pair| pair.1)?, "posterior mean")]
    {
        group.variable(name, &["parameter", "replicate"], values.view(), about("", &format!("{what}, {of}")))?;
    }
    Ok(())
}

/// Reads the calibration, if there is one.
pub(super) fn read(root: &Group) -> hdf5::Result<Option<Calibration>> {
    if !root.link_exists("calibration") {
        return Ok(None);
    }
    let group = root.group("calibration")?;
    let adjusted = if group.link_exists("adjusted") { Some(ranked(&group.group("adjusted")?)?) } else { None };
    let population = attribute::<u64>(&group, "population")? as usize;
    Ok(Some(Calibration { tolerance: attribute(&group, "tolerance")?, population, lines: ranked(&group)?, adjusted }))
}

fn ranked(group: &Group) -> hdf5::Result<Vec<Ranked>> {
    let (truth, found) = (matrix::<f64>(group, "true_value")?, matrix::<f64>(group, "posterior_mean")?);
    let (rank, inside) = (matrix::<u64>(group, "rank")?, matrix::<u64>(group, "inside")?);
    let (names, whole) = (read_texts(group, "parameter")?, numbers::<u64>(group, "whole")?);
    let shape = (names.len(), rank.ncols());
    if rank.dim() != shape
        || truth.dim() != shape
        || found.dim() != shape
        || inside.dim() != (shape.0, 2)
        || whole.len() != shape.0
    {
        return Err("calibration: variables of different shapes".into());
    }
    let line = |(k, name): (usize, String)| Ranked {
        name,
        ranks: rank.row(k).iter().map(|rank| *rank as usize).collect(),
        inside: [inside[(k, 0)] as usize, inside[(k, 1)] as usize],
        whole: whole[k] != 0,
        recovery: truth.row(k).iter().copied().zip(found.row(k).iter().copied()).collect(),
    };
    Ok(names.into_iter().enumerate().map(line).collect())
}
