//! ABC-SMC: a population moves towards the posterior through a falling sequence of tolerances (Sisson, Fan and Tanaka 2007,
//! PNAS 104:1760; Toni et al. 2009, J R Soc Interface 6:187; weights as in Beaumont et al. 2009, Biometrika 96:983).
//!
//! Generation 0 is a sample of the prior. A later one draws from the mixture of normals around its predecessor's particles
//! (covariance of Filippi et al. 2013, shrunk in high dimension) until `population` proposals have come within the tolerance, and weighs each by
//! `prior / mixture`. A proposal outside the prior's support is drawn anew, ancestor included.
//!
//! Where generation 0 already has the final tolerance, it is the whole run: rejection from the prior (Pritchard et al. 1999,
//! Mol Biol Evol 16:1791).
//!
//! Where all simulations are kept, a generation is so many trials, not so many acceptances: its tolerance is a quantile of
//! their distances, found when they are there, and those beyond have weight 0. What is accepted is the same kind of sample;
//! the rest is for whoever learns from simulations that came out otherwise.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use ndarray::Array2;

use super::accept::{Accept, Gate, next_temperature};
use super::proposal::{Moves, Proposal};
use super::{Judge, Problem, Progress, Sampler, Step, Watch, describe_failures, trial_key};
use crate::error::{Error, Result};
use crate::exec::{Enough, Executor, Outcome, Sink, Work};
use crate::population::{Generation, Run, Stop, WHOLE, asked};
use crate::rng::{Key, Purpose};

/// How the tolerance falls.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// To this weighted quantile of the last generation's distances; of temperatures, until particles are worth this share.
    Quantile(f64),
    /// To the tolerance at which the particles that meet it have this share of the effective sample size of all (Del Moral, Doucet
    /// and Jasra 2012, Stat Comput 22:1009).
    Ess(f64),
    /// Through these values, one a generation, from generation 1 on.
    List(Vec<f64>),
}

/// What becomes of simulations beyond the tolerance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// They are gone.
    #[default]
    Accepted,
    /// They stay, with weight 0: a generation is so many trials, however many of them are accepted, and its tolerance is
    /// that quantile of their distances that the schedule asks for.
    All,
}

/// Settings of the sampler.
#[derive(Clone, Debug, PartialEq)]
pub struct Smc {
    /// Particles in a generation; trials, where all are kept.
    pub population: usize,
    /// What becomes of simulations beyond the tolerance.
    pub keep: Keep,
    /// How a simulation is accepted; where noise decides, each tolerance here is a temperature.
    pub accept: Accept,
    /// Tolerance of generation 0: infinite for a sample of the prior, the final one for rejection.
    pub start: f64,
    /// The tolerance schedule.
    pub schedule: Schedule,
    /// How a generation proposes from the one before.
    pub moves: Moves,
    /// End when a generation at this tolerance is finished.
    pub tolerance: f64,
    /// End when a generation's acceptance rate falls below this; also cuts a generation short.
    pub acceptance_rate: f64,
    /// End when this many simulations are spent; also cuts a generation short.
    pub simulations: u64,
    /// End after this many generations.
    pub generations: usize,
    /// Error when more than this share of a generation's simulations fails (looked at from 100 simulations on).
    pub failures: f64,
    /// Whether a simulation ends as soon as its distance can only exceed the tolerance; changes no result.
    pub early_rejection: bool,
}

/// From the prior down by halves, for as long as it takes: what a caller sets besides says where it ends.
impl Default for Smc {
    fn default() -> Self {
        Smc {
            population: 1000,
            keep: Keep::Accepted,
            accept: Accept::Tolerance,
            start: f64::INFINITY,
            schedule: Schedule::Quantile(0.5),
            moves: Moves::default(),
            tolerance: 0.0,
            acceptance_rate: 0.0,
            simulations: u64::MAX,
            generations: usize::MAX,
            failures: 0.0,
            early_rejection: true,
        }
    }
}

/// Fall of the tolerance, as a share, below which it counts as stalled.
const LEAST_FALL: f64 = 1e-6;
/// Particles for each coordinate, where all trials are kept, at least.
const PER_COORDINATE: usize = 4;
/// Simulations are counted in millionths.
const PARTS: f64 = 1e6;

impl Smc {
    /// The tolerance of the next generation, or the rule that ends the run.
    fn next_tolerance(&self, run: &Run) -> Result<f64, Stop> {
        let Some(last) = run.last() else { return Ok(self.start) };
        if last.tolerance <= self.tolerance {
            return Err(Stop::Tolerance);
        }
        // Where all are kept a generation has its size whatever the rate is.
        let few = self.keep == Keep::Accepted && last.acceptance_rate() < self.acceptance_rate;
        if run.generations.len() > 1 && few {
            return Err(Stop::AcceptanceRate);
        }
        if run.generations.len() >= self.generations {
            return Err(Stop::Generations);
        }
        if run.simulated() >= self.simulations {
            return Err(Stop::Simulations);
        }
        if self.keep == Keep::All {
            return Ok(f64::INFINITY);
        }
        let wanted = match &self.schedule {
            Schedule::Quantile(share) | Schedule::Ess(share) if self.accept == Accept::Noise => {
                next_temperature(last, *share, self.tolerance)
            }
            Schedule::Quantile(q) => fall(last, last.weights().quantile(last.distance.iter().copied(), *q)),
            Schedule::Ess(share) => fall(last, tolerance_of_ess(last, *share)),
            Schedule::List(values) => *values.get(run.generations.len() - 1).ok_or(Stop::Tolerance)?,
        };
        let next = wanted.max(self.tolerance);
        if next >= last.tolerance * (1.0 - LEAST_FALL) { Err(Stop::Stalled) } else { Ok(next) }
    }
}

impl Smc {
    /// What a generation at `tolerance` is proposed from: kernels around the particles of the one before, or the prior, `None`.
    pub(super) fn proposal(&self, problem: &Problem, before: Option<&Generation>, tolerance: f64) -> Option<Proposal> {
        // Where all are kept, or noise decides, no particle before is known to be nearer than the next.
        let known = self.keep == Keep::Accepted && self.accept == Accept::Tolerance;
        before.map(|before| Proposal::new(problem, self.moves, before, if known { tolerance } else { f64::INFINITY }))
    }

    /// The tolerance of a generation with these distances, of which none is beyond `most`: where all trials are kept, the
    /// quantile of the schedule, or more, so that there are particles enough to give a covariance of `d` coordinates.
    fn tolerance_of(&self, distance: &[f64], most: f64, d: usize) -> f64 {
        let (Keep::All, Schedule::Quantile(q)) = (self.keep, &self.schedule) else { return most };
        let mut sorted = distance.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let wanted = ((q * n as f64).ceil() as usize).max((PER_COORDINATE * d).min(n / 2)).clamp(1, n);
        sorted[wanted - 1].max(self.tolerance)
    }
}

/// What the schedule wants; where ties at the tolerance would hold it up (counts are such distances), the largest distance below.
fn fall(last: &Generation, wanted: f64) -> f64 {
    let below = last.distance.iter().copied().filter(|x| *x < last.tolerance).fold(f64::NEG_INFINITY, f64::max);
    if wanted < last.tolerance || below == f64::NEG_INFINITY { wanted } else { below }
}

/// The least distance up to which the particles of a generation have this share of its effective sample size.
fn tolerance_of_ess(last: &Generation, share: f64) -> f64 {
    let weights = last.weights();
    let mut order: Vec<usize> = (0..last.len()).collect();
    order.sort_by(|a, b| last.distance[*a].total_cmp(&last.distance[*b]));
    let (mut sum, mut squares) = (0.0, 0.0);
    let enough = |i: &usize| {
        let w = weights.as_slice()[*i];
        (sum, squares) = (sum + w, squares + w * w);
        squares > 0.0 && sum * sum / squares >= share * weights.ess()
    };
    order.into_iter().find(enough).map_or(last.tolerance, |i| last.distance[i])
}

/// Places of a row: parameters, distance, log weight, summaries.
#[derive(Clone, Copy)]
struct Layout {
    d: usize,
    m: usize,
}

impl Layout {
    fn width(self) -> usize {
        self.d + 2 + self.m
    }
}

impl Sampler for Smc {
    fn step(&self, run: &Run, problem: &Problem, exec: &dyn Executor, watch: &mut dyn Watch) -> Result<Step> {
        let tolerance = match self.next_tolerance(run) {
            Ok(tolerance) => tolerance,
            Err(reason) => return Ok(Step::Stop { reason, spent: 0 }),
        };
        let generation = run.generations.len();
        let layout = Layout { d: problem.prior.dimension(), m: problem.model.summaries().len() };
        let gate = Gate::new(self.accept, problem.key, run, tolerance);
        let proposal = self.proposal(problem, run.last(), tolerance);
        let early = self.early_rejection && tolerance < f64::INFINITY;
        let (begun, done) = Default::default();
        let trials = Trials { problem, proposal: proposal.as_ref(), gate, early, generation, layout, begun, done };
        let mut sink = Collect::new(self, run, tolerance, layout, watch);
        exec.stream(0, layout.width(), &trials, &mut sink).map_err(|error| trials.place(error))?;
        let [begun, done] = [&trials.begun, &trials.done].map(|count| count.load(Ordering::Relaxed));
        // What became of it, and what the other ranks need to propose next.
        let mut made = None;
        let words = exec.once(&mut || {
            let end = match sink.end {
                End::Open => vec![],
                End::Rule(reason) => vec![reason as u64],
                End::Full => vec![u64::MAX],
                End::Failures => {
                    let asked = asked(sink.progress.simulated, tolerance);
                    return Err(describe_failures(problem, generation, &sink.failed, asked, self.failures));
                }
            };
            let mut words: Vec<f64> = end.into_iter().chain([sink.progress.simulated]).map(f64::from_bits).collect();
            if sink.end == End::Full {
                let generation = sink.finish();
                words.extend(generation.words());
                made = Some(generation);
            }
            Ok(words)
        })?;
        // Of this process alone: a collective call here would have ranks spin for each other.
        sink.watch.worked(generation, begun, done as f64 / PARTS);
        Ok(match &words[..] {
            [end, _, particles @ ..] if end.to_bits() == u64::MAX => match made.or_else(|| Generation::from_words(particles)) {
                Some(generation) => Step::Generation(Box::new(generation)),
                None => Step::Interrupted,
            },
            [reason, spent] => match Stop::ALL.get(reason.to_bits() as usize) {
                Some(reason) => Step::Stop { reason: *reason, spent: spent.to_bits() },
                None => Step::Interrupted,
            },
            _ => Step::Interrupted,
        })
    }
}

/// The trials of one generation: propose, simulate, judge. Each is a function of (problem, generations so far, id).
struct Trials<'a> {
    problem: &'a Problem,
    proposal: Option<&'a Proposal>,
    gate: Gate,
    /// Whether trials are rejected early.
    early: bool,
    generation: usize,
    layout: Layout,
    /// Trials begun in this process, and their work in [`PARTS`] of a whole one. For the record only.
    begun: AtomicU64,
    done: AtomicU64,
}

/// What a trial needs beside its row; one after the other uses it, so that none allocates.
#[derive(Default)]
struct Scratch {
    /// Coordinates of the proposal.
    u: Vec<f64>,
    /// The model's full parameter vector.
    full: Vec<f64>,
}

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

impl Trials<'_> {
    /// Draws the proposal of a trial, in natural units into `theta`; from a kernel also its coordinates, into `u`. Whether
    /// one was found in the prior's support.
    fn propose(&self, key: Key, theta: &mut [f64], u: &mut [f64]) -> bool {
        let mut rng = key.stream(Purpose::Propose);
        let prior = &self.problem.prior;
        let Some(proposal) = self.proposal else {
            prior.draw(&mut rng, theta);
            return true;
        };
        let inside = proposal.draw_within(prior, &mut rng, u).is_some();
        for ((x, marginal), u) in theta.iter_mut().zip(&prior.0).zip(u) {
            *x = marginal.natural(*u);
        }
        inside
    }

    fn attempt(&self, id: u64, row: &mut [f64], scratch: &mut Scratch, enough: &Enough) -> Outcome {
        let problem = self.problem;
        let key = trial_key(problem.key, self.generation, id);
        let (theta, rest) = row.split_at_mut(self.layout.d);
        let (judged, summaries) = rest.split_at_mut(2);
        let Scratch { u, full } = scratch;
        u.resize(self.layout.d, 0.0);
        if !self.propose(key, theta, u) {
            return Outcome::Failed;
        }
        let tolerance = self.gate.limit(id);
        let limit = (self.early && id >= WHOLE).then_some((problem.distance.as_ref(), tolerance));
        let mut judge = Judge { enough: Some(enough), limit, ..Judge::of(summaries) };
        let simulated = problem.simulate_before(full, theta, key, &mut judge);
        if !enough.is_said() {
            self.begun.fetch_add(1, Ordering::Relaxed);
            self.done.fetch_add((PARTS * judge.done) as u64, Ordering::Relaxed);
        }
        match simulated {
            Err(_) => return Outcome::Failed,
            Ok(false) => return Outcome::Rejected,
            Ok(true) => {}
        }
        judged[0] = problem.distance.distance(summaries);
        match judged[0] {
            distance if !distance.is_finite() => Outcome::Failed,
            distance if distance <= tolerance => {
                // Only an accepted proposal pays for its weight, O(N d).
                judged[1] = self.proposal.map_or(0.0, |proposal| {
                    let prior = &problem.prior;
                    prior.ln_density_at(u) - proposal.ln_density(prior, u, None)
                });
                judged[1] += self.gate.ln_weight(distance);
                Outcome::Kept
            }
            _ => Outcome::Rejected,
        }
    }

    /// Says where in parameter space a task has panicked.
    fn place(&self, error: Error) -> Error {
        let Error::Panicked { id, message } = error else { return error };
        let mut theta = vec![0.0; self.layout.d];
        self.propose(trial_key(self.problem.key, self.generation, id), &mut theta, &mut vec![0.0; self.layout.d]);
        let name = |k: usize| self.problem.model.parameters()[self.problem.free[k]].name;
        let place: Vec<String> = theta.iter().enumerate().map(|(k, x)| format!("{} = {x}", name(k))).collect();
        Error::Panicked { id, message: format!("{message}\n  in generation {} at {}", self.generation, place.join(", ")) }
    }
}

impl Work for Trials<'_> {
    fn run(&self, id: u64, row: &mut [f64], enough: &Enough) -> Outcome {
        let mut scratch = SCRATCH.take();
        let outcome = self.attempt(id, row, &mut scratch, enough);
        SCRATCH.set(scratch);
        outcome
    }

    /// The coordinates of the proposal: what a model costs follows from its parameters, if from anything.
    fn features(&self, id: u64, out: &mut Vec<f64>) {
        let (mut theta, mut u) = (vec![0.0; self.layout.d], vec![0.0; self.layout.d]);
        if !self.propose(trial_key(self.problem.key, self.generation, id), &mut theta, &mut u) {
            return out.resize(self.layout.d, 0.0);
        }
        if self.proposal.is_none() {
            u = self.problem.prior.coordinates(&theta);
        }
        out.append(&mut u);
    }
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    Open,
    Full,
    Rule(Stop),
    Failures,
}

/// Collects the first acceptances by id.
struct Collect<'a> {
    settings: &'a Smc,
    layout: Layout,
    progress: Progress,
    /// Acceptance rate of the generation before, a first guess of this one's.
    rate: f64,
    trial: Vec<u64>,
    rows: Vec<f64>,
    failed: Vec<(u64, Vec<f64>)>,
    end: End,
    watch: &'a mut dyn Watch,
}

impl<'a> Collect<'a> {
    fn new(settings: &'a Smc, run: &Run, tolerance: f64, layout: Layout, watch: &'a mut dyn Watch) -> Self {
        let (population, generation, total) = (settings.population, run.generations.len(), run.simulated());
        let progress = Progress { generation, tolerance, accepted: 0, population, simulated: 0, failed: 0, total };
        let rate = run.last().map_or(1.0, Generation::acceptance_rate);
        Collect { settings, layout, progress, rate, trial: vec![], rows: vec![], failed: vec![], end: End::Open, watch }
    }

    /// The rule that the counters meet, if any. Depends on nothing but the ids seen so far.
    fn rule(&self) -> Option<End> {
        let Progress { generation, accepted, population, simulated, failed, total, .. } = self.progress;
        let full = match self.settings.keep {
            Keep::Accepted => accepted == population,
            Keep::All => simulated >= population as u64 && accepted > 0,
        };
        if full {
            return Some(End::Full);
        }
        let asked = asked(simulated, self.progress.tolerance);
        if asked >= WHOLE && failed as f64 > self.settings.failures * asked as f64 {
            return Some(End::Failures);
        }
        if total >= self.settings.simulations {
            return Some(End::Rule(Stop::Simulations));
        }
        let hopeless = generation > 0
            && self.settings.keep == Keep::Accepted
            && simulated as f64 * self.settings.acceptance_rate > population as f64;
        hopeless.then_some(End::Rule(Stop::AcceptanceRate))
    }

    fn finish(&mut self) -> Generation {
        let Layout { d, m } = self.layout;
        let n = self.trial.len();
        let row = |i: usize| &self.rows[i * self.layout.width()..(i + 1) * self.layout.width()];
        let distance: Vec<f64> = (0..n).map(|i| row(i)[d]).collect();
        let tolerance = self.settings.tolerance_of(&distance, self.progress.tolerance, d);
        let beyond = |distance: f64| self.settings.keep == Keep::All && distance > tolerance;
        Generation {
            tolerance,
            theta: Array2::from_shape_fn((n, d), |(i, k)| row(i)[k]),
            ln_weight: (0..n).map(|i| if beyond(distance[i]) { f64::NEG_INFINITY } else { row(i)[d + 1] }).collect(),
            distance,
            summaries: Array2::from_shape_fn((n, m), |(i, k)| row(i)[d + 2 + k]),
            trial: std::mem::take(&mut self.trial),
            simulated: self.progress.simulated,
            failed: self.progress.failed,
        }
    }
}

impl Sink for Collect<'_> {
    fn next(&mut self, id: u64, outcome: Outcome, row: &[f64]) -> ControlFlow<()> {
        self.progress.simulated += 1;
        self.progress.total += 1;
        match outcome {
            Outcome::Kept => {
                self.progress.accepted += 1;
                self.trial.push(id);
                self.rows.extend_from_slice(row);
            }
            Outcome::Failed if id < asked(id + 1, self.progress.tolerance) => {
                self.progress.failed += 1;
                self.failed.push((id, row[..self.layout.d].to_vec()));
            }
            Outcome::Failed | Outcome::Rejected => {}
        }
        match self.rule() {
            None => ControlFlow::Continue(()),
            Some(end) => {
                self.end = end;
                ControlFlow::Break(())
            }
        }
    }

    fn remaining(&self) -> Option<u64> {
        /// How many trials the first guess is worth.
        const GUESS: f64 = 10.0;
        let Progress { accepted, population, simulated, total, .. } = self.progress;
        let more = match self.settings.keep {
            Keep::All => (population as u64).saturating_sub(simulated),
            Keep::Accepted => {
                let rate = (accepted as f64 + GUESS * self.rate) / (simulated as f64 + GUESS);
                ((population - accepted) as f64 / rate.max(1e-9)).ceil() as u64
            }
        };
        Some(more.min(self.settings.simulations.saturating_sub(total)).max(1))
    }

    fn idle(&mut self) -> ControlFlow<()> {
        self.watch.progress(&self.progress)
    }

    fn abandon(&mut self) -> Option<u8> {
        self.watch.abandon()
    }
}
