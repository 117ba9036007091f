//! Profiles of the objective: its least value over all other parameters, as a function of one (Raue and others 2009,
//! Bioinformatics 25:1923).
//!
//! Where the curvature at a mode sees a bell, a profile sees what is there: a side that does not rise, a second valley, a bound.
//! Every point is a search of its own, on the common random numbers of the search for the modes, so that a profile is that of one
//! deterministic function; it begins where its neighbour ended, and walks outwards from the mode.

use ndarray::Array2;

use super::cmaes::CmaEs;
use super::objective::{IMPOSSIBLE, Objective, Replicates};
use super::{Refine, minimise};
use crate::density::{cholesky, whiten};
use crate::error::Result;
use crate::population::Profile;
use crate::rng::Purpose;

/// How far a profile goes to each side of the mode, in posterior standard deviations.
const REACH: f64 = 3.0;
/// Width of the first search of a point, and at which it has converged, in conditional standard deviations of the posterior.
const FIRST: f64 = 0.3;
const LAST: f64 = 0.1;
/// Below this word of the refinement's key lie the streams of these searches.
const STREAMS: u64 = 1 << 63;

/// Profiles along every parameter about the mode at `x`, in whitened coordinates; `None` if the watcher broke it off.
pub(super) fn profile(settings: Refine, objective: &Objective<'_>, x: &[f64]) -> Result<Option<Profile>> {
    let (d, side, before) = (x.len(), settings.profile, objective.evaluations.get());
    let nothing = || Array2::from_elem((d, 2 * side + 1), f64::NAN);
    let mut profile = Profile { value: nothing(), objective: nothing(), misfit: nothing(), evaluations: 0 };
    let replicates = Replicates { first: 0, count: objective.replicates };
    let Some(at_mode) = objective.values(&[x], replicates)? else { return Ok(None) };
    let mode = objective.coordinates(x);
    for k in 0..d {
        let mut along = objective.first(k);
        let own: Vec<f64> = order(d, k).map(|i| mode[i]).collect();
        let factor: Vec<f64> = order(d, k).flat_map(|i| along.factor[i * d..(i + 1) * d].to_vec()).collect();
        let (at, rest) = {
            let whitened = whiten(&factor, &own);
            (whitened[0], whitened[1..].to_vec())
        };
        let marginal = &objective.problem.prior.0[k];
        let mut put = |point: usize, u: &[f64], value: f64| {
            profile.value[(k, point)] = marginal.natural(u[k]);
            if value < IMPOSSIBLE {
                profile.objective[(k, point)] = value;
                profile.misfit[(k, point)] = value + objective.problem.prior.ln_density_at(u);
            }
        };
        put(side, &mode, at_mode[0]);
        for outwards in [-1.0, 1.0] {
            let mut begin = rest.clone();
            for step in 1..=side {
                let shift = outwards * REACH * step as f64 / side as f64;
                let point = if outwards < 0.0 { side - step } else { side + step };
                along.pinned = Some(at + shift);
                let u = along.coordinates(&begin);
                if !marginal.supports(u[k]) {
                    put(point, &u, IMPOSSIBLE);
                    continue;
                }
                let number = (k * (2 * side + 1) + point) as u64;
                let Some((end, value)) = least(settings, &along, &begin, number)? else { return Ok(None) };
                put(point, &along.coordinates(&end), value);
                begin = end;
            }
        }
    }
    profile.evaluations = objective.evaluations.get() - before;
    Ok(Some(profile))
}

/// The parameters with number `k` first.
fn order(d: usize, k: usize) -> impl Iterator<Item = usize> {
    std::iter::once(k).chain((0..d).filter(move |i| *i != k))
}

/// The least objective over all coordinates but the pinned one, and where; `None` if the watcher broke it off.
fn least(settings: Refine, along: &Objective<'_>, begin: &[f64], number: u64) -> Result<Option<(Vec<f64>, f64)>> {
    if begin.is_empty() {
        let value = along.values(&[begin], Replicates { first: 0, count: along.replicates })?;
        return Ok(value.map(|value| (Vec::new(), value[0])));
    }
    let rng = along.key.child(STREAMS).child(number).stream(Purpose::Refine);
    let end = minimise(settings, along, CmaEs::new(begin.len(), FIRST, LAST, rng), begin)?;
    Ok(end.map(|end| (end.x, end.cost)))
}

impl<'a> Objective<'a> {
    /// The same in whitened coordinates of which the first moves parameter `k`, and the others along with it as the posterior has
    /// them; the rest move the others at a given `k`.
    fn first(&self, k: usize) -> Objective<'a> {
        let d = self.problem.prior.dimension();
        let row = |i: usize| &self.factor[i * d..(i + 1) * d];
        let order: Vec<usize> = order(d, k).collect();
        let covariance = |i: usize, j: usize| row(i).iter().zip(row(j)).map(|(a, b)| a * b).sum::<f64>();
        let permuted: Vec<f64> = (0..d * d).map(|at| covariance(order[at / d], order[at % d])).collect();
        let diagonal = || (0..d * d).map(|at| if at / d == at % d { permuted[at].sqrt() } else { 0.0 }).collect();
        let lower = cholesky(d, &permuted).unwrap_or_else(diagonal);
        let mut factor = vec![0.0; d * d];
        for (place, i) in order.into_iter().enumerate() {
            factor[i * d..(i + 1) * d].copy_from_slice(&lower[place * d..(place + 1) * d]);
        }
        Objective { factor, ..*self }
    }
}
