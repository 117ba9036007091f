//! Where a generation draws its parameters from: kernels around the particles of the one before.
//!
//! Where a job compares models, each has a kernel of its own over the parameters that act in it; those that do not are drawn
//! from the prior, which leaves weights alone (Toni et al. 2009, J R Soc Interface 6:187, who perturb the model too; here a model is drawn
//! from a mixture of its share and an even one, so that none dies of bad luck). A defensive share of draws from the prior
//! bounds every weight (Hesterberg 1995, Technometrics 37:185).
//!
//! A draw outside the prior's support is drawn anew, model and ancestor included: the density is then that of the mixture up to one
//! constant for all, so that weights are exact at the bounds and between models.

use super::Problem;
use crate::density::{Kernel, Prior, Reach, covariance_towards, covariances_of_each, safe_cholesky};
use crate::population::{Generation, Weights};
use crate::rng::Stream;

/// How proposals are made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moves {
    /// Which particles shape the step of one.
    pub reach: Reach,
    /// Share of draws from the prior.
    pub defensive: f64,
}

/// A distribution on coordinates.
pub struct Proposal {
    /// One for each model that is compared; one if there is but one model.
    strata: Vec<Stratum>,
    defensive: f64,
}

/// What is proposed of one model.
struct Stratum {
    /// Coordinates that act in it.
    acts: Vec<usize>,
    /// Those that do not, without the one that names the model.
    rest: Vec<usize>,
    /// Its share of proposals.
    share: f64,
    /// Particles that the kernel is around, ascending.
    members: Vec<usize>,
    /// Of the coordinates that act; the prior where there are too few particles to make one.
    kernel: Option<Kernel>,
}

/// Optimal step of a random walk in units of standard deviations over √d (Roberts, Gelman and Gilks 1997, Ann Appl Probab
/// 7:110). Filippi's covariance, about twice that of the target, is multiplied by `WALK² / d` where that is below 1: the
/// whole of it proposes ever farther outside the target as dimension grows. Half of this, the optimum for acceptance,
/// leaves weights with heavy tails: it made posterior variances of 1000 particles in eight dimensions a few per cent low.
const WALK: f64 = 2.38;
/// Share of proposals that are spread evenly over models, however well each does: an unlikely model is accepted rarely, and it is
/// the number of its particles that its probability stands on.
const EVEN: f64 = 0.5;
/// Neighbours that shape a local step: this share of those that meet the next tolerance, and for each coordinate at least so many. On the
/// problems of `benches/proposals.rs`, 3 for each coordinate left 500 particles in ten dimensions worth 3, and 20 made steps across a ring too
/// long; nor are local steps shortened by [`WALK`], since the tails of weights are what neighbours get wrong.
const NEIGHBOURS: f64 = 0.1;
const PER_COORDINATE: usize = 10;

/// Draws of a proposal until one lies in the prior's support; more means that something is wrong, not bad luck.
const REDRAWS: u64 = 1_000_000;

impl Proposal {
    /// Made from a generation for the next tolerance.
    pub fn new(problem: &Problem, moves: Moves, last: &Generation, tolerance: f64) -> Self {
        let d = problem.prior.dimension();
        let accepted: Vec<usize> = last.accepted().collect();
        let weights = Weights::from_ln(&accepted.iter().map(|&i| last.ln_weight[i]).collect::<Vec<f64>>());
        if problem.models.is_empty() {
            let kernel = kernel(problem, moves.reach, last, &accepted, &(0..d).collect::<Vec<_>>(), tolerance);
            let stratum = Stratum { acts: (0..d).collect(), rest: Vec::new(), share: 1.0, members: accepted, kernel };
            return Proposal { strata: vec![stratum], defensive: moves.defensive };
        }
        let count = problem.models.len() as f64;
        let stratum = |(number, acts): (usize, &Vec<usize>)| {
            let own = |i: &usize| last.theta[(*i, d - 1)] as usize == number;
            let own_share: f64 = accepted.iter().zip(weights.as_slice()).filter(|(i, _)| own(i)).map(|(_, w)| w).sum();
            let members: Vec<usize> = accepted.iter().copied().filter(own).collect();
            Stratum {
                rest: (0..d - 1).filter(|k| !acts.contains(k)).collect(),
                acts: acts.clone(),
                share: (1.0 - EVEN) * own_share + EVEN / count,
                kernel: kernel(problem, moves.reach, last, &members, acts, tolerance),
                members,
            }
        };
        Proposal { strata: problem.models.iter().enumerate().map(stratum).collect(), defensive: moves.defensive }
    }

    /// Draws coordinates in the prior's support into `u`. How many draws that took, those outside included; `None` if it was given up,
    /// with the last of them in `u`.
    pub fn draw_within(&self, prior: &Prior, rng: &mut Stream, u: &mut [f64]) -> Option<u64> {
        (1..=REDRAWS).find(|_| {
            self.draw(prior, rng, u);
            prior.supports(u)
        })
    }

    /// One draw of coordinates into `u`; it may lie outside the prior's support.
    fn draw(&self, prior: &Prior, rng: &mut Stream, u: &mut [f64]) {
        let from_prior = |rng: &mut Stream, k: usize| {
            let marginal = &prior.0[k];
            // Anywhere in the cell of a whole number, as its coordinate is.
            let within = if marginal.grain() > 0.0 { rng.uniform() - 0.5 } else { 0.0 };
            marginal.coordinate(marginal.draw(rng)) + within
        };
        if self.defensive > 0.0 && rng.uniform() < self.defensive {
            return (0..u.len()).for_each(|k| u[k] = from_prior(rng, k));
        }
        let number = if self.strata.len() > 1 { self.choose(rng.uniform()) } else { 0 };
        let stratum = &self.strata[number];
        match &stratum.kernel {
            None => stratum.acts.iter().for_each(|&k| u[k] = from_prior(rng, k)),
            Some(kernel) if stratum.acts.len() == u.len() => kernel.draw(rng, u),
            Some(kernel) => {
                let mut own = vec![0.0; stratum.acts.len()];
                kernel.draw(rng, &mut own);
                stratum.acts.iter().zip(own).for_each(|(&k, x)| u[k] = x);
            }
        }
        stratum.rest.iter().for_each(|&k| u[k] = from_prior(rng, k));
        if self.strata.len() > 1 {
            u[u.len() - 1] = number as f64;
        }
    }

    /// The model whose part of [0, 1) holds `level`, each as wide as its share.
    fn choose(&self, mut level: f64) -> usize {
        let above = |stratum: &Stratum| {
            level -= stratum.share;
            level < 0.0
        };
        self.strata.iter().position(above).unwrap_or(self.strata.len() - 1)
    }

    /// Natural log of the density of draws at coordinates `u`, less [`Proposal::ln_constant`]; those outside the prior's support are
    /// draws too. With the index of a particle in `without`, of what would be proposed without it.
    pub fn ln_density(&self, prior: &Prior, u: &[f64], without: Option<usize>) -> f64 {
        // The model as a whole number: a draw of the prior lies anywhere in its cell.
        let number = if self.strata.len() > 1 { u[u.len() - 1].round() as usize } else { 0 };
        let stratum = &self.strata[number];
        let density = |kernel: &Kernel, own: &[f64]| {
            let centre = without.and_then(|particle| stratum.members.binary_search(&particle).ok());
            centre.map_or_else(|| kernel.ln_density(own), |j| kernel.ln_density_without(j, own))
        };
        if let Some(kernel) = self.alone() {
            return density(kernel, u);
        }
        let of_prior = |k: &usize| prior.0[*k].ln_density_at(u[*k]);
        let acting = match &stratum.kernel {
            Some(kernel) => {
                let own: Vec<f64> = stratum.acts.iter().map(|&k| u[k]).collect();
                density(kernel, &own) + kernel.ln_constant()
            }
            None => stratum.acts.iter().map(of_prior).sum(),
        };
        let ln = libm::log(stratum.share) + acting + stratum.rest.iter().map(of_prior).sum::<f64>();
        if self.defensive == 0.0 {
            return ln;
        }
        let (a, b) = (libm::log1p(-self.defensive) + ln, libm::log(self.defensive) + prior.ln_density_at(u));
        let top = a.max(b);
        top + libm::log(libm::exp(a - top) + libm::exp(b - top))
    }

    /// What [`Proposal::ln_density`] lacks, the same for every `u`: of no account between draws of one proposal, but of two.
    pub fn ln_constant(&self) -> f64 {
        self.alone().map_or(0.0, Kernel::ln_constant)
    }

    /// The kernel that is all there is.
    fn alone(&self) -> Option<&Kernel> {
        match &self.strata[..] {
            [Stratum { kernel: Some(kernel), .. }] if self.defensive == 0.0 => Some(kernel),
            _ => None,
        }
    }
}

/// A kernel around `members` of a generation, over the coordinates that act; `None` if they are too few to have a covariance.
fn kernel(
    problem: &Problem,
    reach: Reach,
    last: &Generation,
    members: &[usize],
    acts: &[usize],
    tolerance: f64,
) -> Option<Kernel> {
    let d = acts.len();
    let several = !problem.models.is_empty();
    if d == 0 || several && members.len() <= 2 * d {
        return None;
    }
    let of = |i: &usize| acts.iter().map(|&k| problem.prior.0[k].coordinate(last.theta[(*i, k)])).collect::<Vec<f64>>();
    let u: Vec<f64> = members.iter().flat_map(of).collect();
    let weights = Weights::from_ln(&members.iter().map(|&i| last.ln_weight[i]).collect::<Vec<f64>>());
    let mut target: Vec<bool> = members.iter().map(|&i| last.distance[i] <= tolerance).collect();
    if target.iter().filter(|t| **t).count() <= d {
        // Too few to give a covariance: aim at all.
        target.fill(true);
    }
    let scaled = |covariance: &[f64], scale: f64| -> Vec<f64> {
        let grain = |k: usize| if k % (d * d) / d == k % d { problem.prior.0[acts[k % d]].grain() } else { 0.0 };
        covariance.iter().enumerate().map(|(k, c)| scale * c + grain(k)).collect()
    };
    let common = scaled(&covariance_towards(d, &u, &weights, &target), (WALK * WALK / d as f64).min(1.0));
    if reach == Reach::Global {
        return Some(Kernel::new(d, u, &weights, &common));
    }
    let reached = target.iter().filter(|t| **t).count();
    let count = ((NEIGHBOURS * reached as f64).ceil() as usize).max(PER_COORDINATE * d).min(reached);
    let own = covariances_of_each(d, &u, &weights, &target, count, &safe_cholesky(d, &common));
    Some(Kernel::with_own_steps(d, u, &weights, &scaled(&own, 1.0)))
}
