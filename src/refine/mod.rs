//! Posterior modes, polished from the best particles by argmin.
//!
//! Clusters of the weighted posterior give the starts. The objective, on the coordinates of the prior, is
//!
//! `U(u) = ½ (d(s̄(u)) / c)² − ln π(u)`
//!
//! where `s̄` is the mean of the summaries over a few replicate simulations on common random numbers, so that the objective
//! is a deterministic function, `d` the job's distance, and `c` is 1 for a distance that knows the errors of the observations (half its
//! square is minus their normal log-likelihood), and the final tolerance otherwise.
//! CMA-ES minimises it from each start. The ends are judged on more and other replicates than the search used, since a
//! minimum found on frozen noise flatters itself: there the objective, the curvature (second differences of `U`) and the
//! question whether two ends are one mode (no barrier between them) are decided.

mod cmaes;
mod objective;
mod profile;

use std::cell::Cell;
use std::ops::ControlFlow;

use argmin::core::{Executor as Driver, State, TerminationReason, TerminationStatus};

use crate::density::{cholesky, covariance_towards, whiten};
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::population::{Generation, Mode, Profile, Run};
use crate::rng::{Branch, Key, Purpose};
use crate::sampler::Problem;
use cmaes::{CmaEs, Search};
use objective::{Interrupted, Objective};

/// Settings of the refinement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refine {
    /// Modes looked for at most.
    pub modes: usize,
    /// Simulations for each mode.
    pub simulations: u64,
    /// Replicate simulations in one value of the objective.
    pub replicates: usize,
    /// Points of the profile along each parameter, on each side of the best mode; 0 for no profiles. Each is a search that
    /// takes as many simulations as a mode, at most.
    pub profile: usize,
}

impl Refine {
    /// Simulations that the refinement of so many parameters takes, at most, without judging the modes.
    pub fn most(&self, parameters: usize) -> u64 {
        self.simulations * (self.modes + 2 * self.profile * parameters) as u64
    }
}

/// What a refinement finds.
#[derive(Clone, Debug, PartialEq)]
pub struct Refined {
    /// Modes, best first.
    pub modes: Vec<Mode>,
    /// Profiles about the best of them, if they were asked for.
    pub profile: Option<Profile>,
}

/// Width of the first search, in posterior standard deviations.
const FIRST: f64 = 0.5;
/// Width at which the search has converged, in posterior standard deviations.
const LAST: f64 = 0.03;
/// The ends are judged on this many times the replicates of the search.
const JUDGE: usize = 4;
/// Two ends are one mode unless the objective rises by more than this above the higher end between them.
const BARRIER: f64 = 1.0;
/// Points between two ends at which a barrier is looked for.
const BETWEEN: usize = 5;
/// Particles that are clustered, at most.
const CLUSTERED: usize = 4000;
/// A cluster with less of the posterior weight gives no start.
const LEAST_WEIGHT: f64 = 0.02;

/// What a distance is measured in whose observations have no known errors: the tolerance, or where that is 0 the unit of the summaries.
fn scale_of(last: &Generation) -> f64 {
    if last.tolerance > 0.0 { last.tolerance } else { 1.0 }
}

/// Polishes the modes of the last generation, and profiles the best. `idle` is told how many simulations are done; `None` if it broke it off.
///
/// # Errors
/// Those of the executor.
pub fn refine(
    settings: Refine,
    problem: &Problem,
    run: &Run,
    exec: &dyn Executor,
    idle: &dyn Fn(u64) -> ControlFlow<()>,
) -> Result<Option<Refined>> {
    let Some(last) = run.last() else { return Ok(Some(Refined { modes: Vec::new(), profile: None })) };
    let d = problem.prior.dimension();
    let u: Vec<f64> = last.theta.rows().into_iter().flat_map(|row| problem.prior.coordinates(&row.to_vec())).collect();
    // The covariance towards all is twice the posterior covariance.
    let twice = covariance_towards(d, &u, &last.weights(), &vec![true; last.len()]);
    let half: Vec<f64> = twice.iter().map(|c| 0.5 * c).collect();
    let diagonal = || (0..d * d).map(|k| if k / d == k % d { half[k].max(1e-18).sqrt() } else { 0.0 }).collect();
    let evaluations = Cell::new(0);
    let objective = Objective {
        problem,
        exec,
        idle,
        evaluations: &evaluations,
        key: problem.key.branch(Branch::Refine),
        replicates: settings.replicates,
        scale: if problem.distance.scale().is_some() { 1.0 } else { scale_of(last) },
        factor: cholesky(d, &half).unwrap_or_else(diagonal),
        pinned: None,
    };
    let points: Vec<Vec<f64>> = u.chunks_exact(d).map(|row| whiten(&objective.factor, row)).collect();
    let mut modes: Vec<(Vec<f64>, Mode)> = Vec::new();
    for (number, (start, weight)) in
        starts(&points, last, settings.modes, problem.key.branch(Branch::Refine)).into_iter().enumerate()
    {
        let before = objective.evaluations.get();
        let Some((x, mut mode)) = polish(settings, &objective, &points[start], number as u64)? else { return Ok(None) };
        mode.weight = weight;
        mode.evaluations = objective.evaluations.get() - before;
        let Some(twin) = same_mode(&objective, &x, &mode, &modes)? else { return Ok(None) };
        match twin {
            None => modes.push((x, mode)),
            Some(k) => {
                mode.weight += modes[k].1.weight;
                mode.evaluations += modes[k].1.evaluations;
                if mode.objective < modes[k].1.objective {
                    modes[k] = (x, mode);
                } else {
                    (modes[k].1.weight, modes[k].1.evaluations) = (mode.weight, mode.evaluations);
                }
            }
        }
    }
    modes.sort_by(|a, b| a.1.objective.total_cmp(&b.1.objective));
    let mut found = None;
    if let Some((x, _)) = modes.first().filter(|_| settings.profile > 0) {
        let Some(profile) = profile::profile(settings, &objective, x)? else { return Ok(None) };
        found = Some(profile);
    }
    Ok(Some(Refined { modes: modes.into_iter().map(|(_, mode)| mode).collect(), profile: found }))
}

/// Index of a known mode from which no barrier parts this end; the outer `None` if the watcher broke it off.
fn same_mode(objective: &Objective<'_>, x: &[f64], mode: &Mode, known: &[(Vec<f64>, Mode)]) -> Result<Option<Option<usize>>> {
    for (k, (other, its)) in known.iter().enumerate() {
        let at = |i: usize| (i + 1) as f64 / (BETWEEN + 1) as f64;
        let path: Vec<Vec<f64>> = (0..BETWEEN).map(|i| x.iter().zip(other).map(|(a, b)| a + at(i) * (b - a)).collect()).collect();
        let path: Vec<&[f64]> = path.iter().map(Vec::as_slice).collect();
        let Some(values) = objective.values(&path, objective.judges(JUDGE))? else { return Ok(None) };
        let highest = values.into_iter().fold(f64::NEG_INFINITY, f64::max);
        if highest <= mode.objective.max(its.objective) + BARRIER {
            return Ok(Some(Some(k)));
        }
    }
    Ok(Some(None))
}

/// Minimises from one start; the end in whitened coordinates, and the mode.
fn polish(settings: Refine, objective: &Objective<'_>, start: &[f64], number: u64) -> Result<Option<(Vec<f64>, Mode)>> {
    let rng = objective.key.child(u64::MAX - number).stream(Purpose::Refine);
    let Some(End { x, converged, .. }) = minimise(settings, objective, CmaEs::new(start.len(), FIRST, LAST, rng), start)? else {
        return Ok(None);
    };
    let replicates = objective.judges(JUDGE);
    let Some(values) = objective.values(&[start, &x], replicates)? else { return Ok(None) };
    let Some(distances) = objective.distances(&[&x], replicates)? else { return Ok(None) };
    let Some(curvature_sd) = objective.curvature(&x, values[1], replicates)? else { return Ok(None) };
    let mode = Mode {
        theta: objective.theta(&x),
        objective: values[1],
        distance: distances[0].unwrap_or(f64::NAN),
        start: values[0],
        weight: 0.0,
        evaluations: 0,
        converged,
        curvature_sd,
    };
    Ok(Some((x, mode)))
}

/// Where a search ended.
struct End {
    /// The best mean of the search distribution, and the objective there.
    x: Vec<f64>,
    cost: f64,
    /// Whether it met its own criterion before its budget.
    converged: bool,
}

/// Runs a search from `start`; `None` if the watcher broke it off.
fn minimise(settings: Refine, objective: &Objective<'_>, search: CmaEs, start: &[f64]) -> Result<Option<End>> {
    let each = ((CmaEs::offspring(start.len()) + 1) * settings.replicates) as u64;
    let driver = Driver::new(objective, search)
        .configure(|state: Search| state.param(start.to_vec()).max_iters((settings.simulations / each).max(1)))
        .timer(false);
    let result = match driver.run() {
        Ok(result) => result,
        Err(error) if error.is::<Interrupted>() => return Ok(None),
        Err(error) => {
            return Err(error.downcast::<Error>().unwrap_or_else(|other| Error::Usage {
                problem: format!("the optimiser stopped: {other}"),
                fix: "report this with the job file".into(),
            }));
        }
    };
    let state = result.state();
    let done = TerminationStatus::Terminated(TerminationReason::SolverConverged);
    let (cost, converged) = (state.get_best_cost(), *state.get_termination_status() == done);
    Ok(state.get_best_param().cloned().map(|x| End { x, cost, converged }))
}

/// Clusters of the weighted particles by quick shift (Vedaldi and Soatto 2008): each particle points to the nearest one of
/// higher density; a particle with none within reach is the peak of a cluster. Returns the peaks and the posterior weight
/// of their clusters, heaviest first, at most `count`, always at least one. The cost is quadratic, so that a sample stands
/// for a large generation.
fn starts(points: &[Vec<f64>], last: &Generation, count: usize, key: Key) -> Vec<(usize, f64)> {
    let d = points.first().map_or(1, Vec::len);
    let weights = last.weights();
    let chosen: Vec<(usize, f64)> = if points.len() <= CLUSTERED {
        weights.as_slice().iter().copied().enumerate().collect()
    } else {
        let drawn = weights.resample(CLUSTERED, &mut key.stream(Purpose::Resample));
        drawn.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as f64 / CLUSTERED as f64)).collect()
    };
    let (w, points): (Vec<f64>, Vec<&Vec<f64>>) = chosen.iter().map(|(index, weight)| (*weight, &points[*index])).unzip();
    // Silverman's width for a normal in d dimensions, on the effective number of particles.
    let width = libm::pow(4.0 / ((d as f64 + 2.0) * weights.ess().min(CLUSTERED as f64).max(1.0)), 1.0 / (d as f64 + 4.0));
    let density: Vec<f64> = points
        .iter()
        .map(|p| points.iter().zip(&w).map(|(q, w)| w * libm::exp(-0.5 * (distance(p, q) / width).powi(2))).sum())
        .collect();
    // Half the typical distance between two draws of one normal: farther peaks are different clusters.
    let reach = (d as f64).sqrt().max(1.0);
    let higher = |i: usize, j: usize| density[j] > density[i] || (density[j] == density[i] && j < i);
    let parent: Vec<usize> = (0..points.len())
        .map(|i| {
            let nearest = (0..points.len())
                .filter(|&j| higher(i, j))
                .map(|j| (distance(points[i], points[j]), j))
                .min_by(|a, b| a.0.total_cmp(&b.0));
            nearest.filter(|(far, _)| *far < reach).map_or(i, |(_, j)| j)
        })
        .collect();
    let mut weight = vec![0.0; points.len()];
    for (i, w) in w.iter().enumerate() {
        let mut root = i;
        while parent[root] != root {
            root = parent[root];
        }
        weight[root] += w;
    }
    let mut peaks: Vec<(usize, f64)> = weight.iter().copied().enumerate().filter(|(_, w)| *w > 0.0).collect();
    peaks.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let heavy = peaks.iter().filter(|(_, w)| *w >= LEAST_WEIGHT).count();
    peaks.truncate(heavy.clamp(1, count.max(1)));
    peaks.into_iter().map(|(place, weight)| (chosen[place].0, weight)).collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::density::{Marginal, Prior};
    use crate::distance::euclidean::Euclidean;
    use crate::model::{Model, Parameter, Proposed, Stages, Summary, Unsimulable};
    use crate::population::Run;
    use crate::rng::Key;
    use crate::sampler::{
        self, Progress, Watch,
        smc::{Schedule, Smc},
    };

    /// `y = shape(x) + 0.05 z` with one parameter `x`.
    struct Curve(fn(f64) -> f64, [Parameter; 1], [Summary; 1]);

    impl Model for Curve {
        fn parameters(&self) -> &[Parameter] {
            &self.1
        }
        fn summaries(&self) -> &[Summary] {
            &self.2
        }
        fn simulate(&self, theta: &[f64], key: Key, out: &mut dyn Stages) -> Result<(), Unsimulable> {
            let y = [self.0(theta[0]) + 0.05 * key.stream(Purpose::Simulate).normal()];
            let _ = out.stage(1.0, &y, &y);
            Ok(())
        }
    }

    struct Quiet;
    impl Watch for Quiet {
        fn progress(&mut self, _: &Progress) -> ControlFlow<()> {
            ControlFlow::Continue(())
        }
        fn generation(&mut self, _: &Run) {}
    }

    fn modes_of(shape: fn(f64) -> f64) -> Refined {
        let range = (-10.0, 10.0);
        let parameter = Parameter { name: "x", unit: "-", meaning: "", default: 0.0, range, source: "", prior: Proposed::Fixed };
        let model = Curve(shape, [parameter], [Summary { name: "y".into(), unit: "-".into() }]);
        let problem = Problem {
            key: Key::root(3),
            model: Box::new(model),
            base: vec![0.0],
            free: vec![0],
            prior: Prior(vec![Marginal::Uniform { lower: -3.0, upper: 3.0 }]),
            models: Vec::new(),
            distance: Box::new(Euclidean::new(vec![1.0], vec![1.0], 2.0, None).unwrap()),
        };
        let smc = Smc {
            population: 400,
            schedule: Schedule::List(vec![1.0, 0.3, 0.1]),
            simulations: 1_000_000,
            generations: 10,
            failures: 0.1,
            ..Smc::default()
        };
        let (exec, mut run) = (crate::exec::open(2).unwrap(), Run::default());
        sampler::infer(&smc, &problem, &mut run, exec.as_ref(), &mut Quiet, &mut |_| Ok(())).unwrap();
        let settings = Refine { modes: 4, simulations: 4000, replicates: 4, profile: 3 };
        refine(settings, &problem, &run, exec.as_ref(), &|_| ControlFlow::Continue(())).unwrap().unwrap()
    }

    /// `y = (a + b, a)`, without noise.
    struct Plane([Parameter; 2], [Summary; 2]);

    impl Model for Plane {
        fn parameters(&self) -> &[Parameter] {
            &self.0
        }
        fn summaries(&self) -> &[Summary] {
            &self.1
        }
        fn simulate(&self, theta: &[f64], _: Key, out: &mut dyn Stages) -> Result<(), Unsimulable> {
            let y = [theta[0] + theta[1], theta[0]];
            let _ = out.stage(1.0, &y, &y);
            Ok(())
        }
    }

    /// With priors N(0, 1) and c = 1/2 the objective is a parabola with Hessian 4 [[2, 1], [1, 1]] + 1 = [[9, 4], [4, 5]], and its
    /// profiles are ½ (a − â)² 29/5 and ½ (b − b̂)² 29/9. Where the other parameter stayed at the mode, the planted bug, the
    /// outermost point was 2.1 above the 4.1 that it should have risen.
    #[test]
    fn a_profile_is_the_least_over_the_other_parameters() {
        let range = (-10.0, 10.0);
        let parameter =
            |name| Parameter { name, unit: "-", meaning: "", default: 0.0, range, source: "", prior: Proposed::Fixed };
        let summary = |name: &str| Summary { name: name.into(), unit: "-".into() };
        let problem = Problem {
            key: Key::root(4),
            model: Box::new(Plane([parameter("a"), parameter("b")], [summary("sum"), summary("a")])),
            base: vec![0.0; 2],
            models: Vec::new(),
            free: vec![0, 1],
            prior: Prior(vec![Marginal::Normal { mean: 0.0, sd: 1.0 }; 2]),
            distance: Box::new(Euclidean::new(vec![1.0, 0.3], vec![1.0; 2], 2.0, None).unwrap()),
        };
        // A generation with the spreads of the posterior, the roots of 5/29 and 9/29, and without its correlation: a profile must not
        // rest on the particles' own.
        let mut rng = Key::root(5).stream(Purpose::Pilot);
        let n = 300;
        let theta = ndarray::Array2::from_shape_fn((n, 2), |(_, k)| {
            [0.5, 0.3][k] + [5.0, 9.0].map(|v: f64| (v / 29.0).sqrt())[k] * rng.normal()
        });
        let last = Generation {
            tolerance: 0.5,
            theta,
            distance: vec![0.1; n],
            ln_weight: vec![0.0; n],
            trial: (0..n as u64).collect(),
            summaries: ndarray::Array2::zeros((n, 2)),
            simulated: n as u64,
            failed: 0,
        };
        let (exec, run) = (crate::exec::open(2).unwrap(), Run { generations: vec![last], ..Run::default() });
        let settings = Refine { modes: 1, simulations: 2000, replicates: 1, profile: 4 };
        let found = refine(settings, &problem, &run, exec.as_ref(), &|_| ControlFlow::Continue(())).unwrap().unwrap();
        let profile = found.profile.unwrap();
        for (k, precision) in [(0, 29.0 / 5.0), (1, 29.0 / 9.0)] {
            let mode = profile.value[(k, 4)];
            for i in 0..9 {
                let rise = 0.5 * precision * (profile.value[(k, i)] - mode).powi(2);
                let off = profile.objective[(k, i)] - profile.objective[(k, 4)] - rise;
                assert!(off.abs() < 0.1, "parameter {k}, point {i}: {off} beside {rise}");
                assert!(profile.misfit[(k, i)] < profile.objective[(k, i)]);
            }
            assert!(0.5 * precision * (profile.value[(k, 8)] - mode).powi(2) > 3.0);
        }
    }

    #[test]
    fn two_modes_are_found_where_there_are_two_and_one_where_there_is_one() {
        let mut two: Vec<f64> = modes_of(|x| x * x).modes.iter().map(|m| m.theta[0]).collect();
        two.sort_by(f64::total_cmp);
        assert!(two.len() == 2 && (two[0] + 1.0).abs() < 0.05 && (two[1] - 1.0).abs() < 0.05, "{two:?}");
        let one = modes_of(|x| x).modes;
        assert!(one.len() == 1 && (one[0].theta[0] - 1.0).abs() < 0.05, "{one:?}");
        assert!(one[0].curvature_sd[0].is_finite() && (one[0].weight - 1.0).abs() < 1e-9);
    }
}
