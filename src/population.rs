//! What an inference leaves behind: weighted populations, generation by generation, and what is derived from the last.
//!
//! Everything that shapes the next generation is in here and is stored; a stored run is therefore its own checkpoint.

use ndarray::Array2;

use crate::rng::Stream;

/// Normalised importance weights: an immutable value, computed once from unnormalised logarithms.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    normalised: Vec<f64>,
    ess: f64,
}

impl Weights {
    /// Normalises `ln_weight` (natural logarithms, any offset); sums run in index order, so that the bits do not depend
    /// on threads. All `-inf` or an empty slice gives zero weights and an effective sample size of 0.
    pub fn from_ln(ln_weight: &[f64]) -> Self {
        let top = ln_weight.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if top == f64::NEG_INFINITY {
            return Weights { normalised: vec![0.0; ln_weight.len()], ess: 0.0 };
        }
        let raw: Vec<f64> = ln_weight.iter().map(|w| libm::exp(w - top)).collect();
        let sum: f64 = raw.iter().sum();
        let squares: f64 = raw.iter().map(|w| w * w).sum();
        Weights { normalised: raw.iter().map(|w| w / sum).collect(), ess: sum * sum / squares }
    }

    /// The weights; they sum to 1.
    pub fn as_slice(&self) -> &[f64] {
        &self.normalised
    }

    /// Kish's effective sample size, (Σw)² / Σw².
    pub fn ess(&self) -> f64 {
        self.ess
    }

    /// Indices of `count` equal-weight draws by systematic resampling (one uniform number), in ascending order.
    pub fn resample(&self, count: usize, rng: &mut Stream) -> Vec<usize> {
        let offset = rng.uniform();
        let mut picked = Vec::with_capacity(count);
        let (mut index, mut below) = (0, self.normalised.first().copied().unwrap_or(0.0));
        for k in 0..count {
            let level = (k as f64 + offset) / count as f64;
            while below < level && index + 1 < self.normalised.len() {
                index += 1;
                below += self.normalised[index];
            }
            picked.push(index);
        }
        picked
    }

    /// Weighted quantile of `values`: the least value whose cumulative weight reaches `q`.
    pub fn quantile(&self, values: impl Iterator<Item = f64>, q: f64) -> f64 {
        let mut pairs: Vec<(f64, f64)> = values.zip(self.normalised.iter().copied()).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut below = 0.0;
        for (value, weight) in &pairs {
            below += weight;
            if below >= q - 1e-12 {
                return *value;
            }
        }
        pairs.last().map_or(f64::NAN, |p| p.0)
    }

    /// Weighted mean.
    pub fn mean(&self, values: impl Iterator<Item = f64>) -> f64 {
        values.zip(&self.normalised).map(|(x, w)| x * w).sum()
    }

    /// Weighted standard deviation (population form).
    pub fn sd(&self, values: impl Iterator<Item = f64> + Clone) -> f64 {
        let mean = self.mean(values.clone());
        self.mean(values.map(|x| (x - mean) * (x - mean))).sqrt()
    }
}

/// One generation: the first accepted particles, in order of trial id; with all others of its trials between them, of weight 0,
/// where the sampler keeps all.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// Largest distance that was accepted, or the temperature at which it was; infinite for a sample of the prior.
    pub tolerance: f64,
    /// Parameters in natural units, (particle, inferred parameter).
    pub theta: Array2<f64>,
    /// Distance of each particle's summaries from the observed ones.
    pub distance: Vec<f64>,
    /// Unnormalised natural-log importance weights.
    pub ln_weight: Vec<f64>,
    /// Id of the trial that each particle came from; ascending.
    pub trial: Vec<u64>,
    /// Simulated summaries, (particle, summary).
    pub summaries: Array2<f64>,
    /// Trials up to and including the last accepted one, failed ones included.
    pub simulated: u64,
    /// How many of those [`asked`] could not be simulated.
    pub failed: u64,
}

/// The first trials of a generation always run to their end: nothing that is learnt from them has passed a selection.
pub const WHOLE: u64 = 100;

/// How many of `simulated` trials are asked whether they failed: all in a sample of the prior, else the first [`WHOLE`], since a
/// trial that is rejected before its end can hide a failure.
pub fn asked(simulated: u64, tolerance: f64) -> u64 {
    if tolerance == f64::INFINITY { simulated } else { simulated.min(WHOLE) }
}

impl Generation {
    /// Number of particles.
    pub fn len(&self) -> usize {
        self.trial.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.trial.is_empty()
    }

    /// The particles that were accepted: all, unless the sampler keeps the others too, with weight 0.
    pub fn accepted(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).filter(|i| self.ln_weight[*i] > f64::NEG_INFINITY)
    }

    /// Accepted per simulated.
    pub fn acceptance_rate(&self) -> f64 {
        self.accepted().count() as f64 / self.simulated.max(1) as f64
    }

    /// Trials that were asked whether they failed, see [`asked`]. Where every trial is a particle or failed, all were.
    pub fn asked(&self) -> u64 {
        let whole = self.len() as u64 + self.failed == self.simulated;
        if whole { self.simulated } else { asked(self.simulated, self.tolerance) }
    }

    /// The normalised weights.
    pub fn weights(&self) -> Weights {
        Weights::from_ln(&self.ln_weight)
    }

    /// All but the summaries, as numbers: what another rank needs to propose the next generation. Counts travel as bits.
    pub fn words(&self) -> Vec<f64> {
        let (n, d) = self.theta.dim();
        let counts = [n as u64, d as u64, self.simulated, self.failed].map(f64::from_bits);
        let mut words = vec![self.tolerance];
        words.extend(counts);
        words.extend(&self.theta);
        words.extend(&self.distance);
        words.extend(&self.ln_weight);
        words.extend(self.trial.iter().map(|id| f64::from_bits(*id)));
        words
    }

    /// The inverse of [`Generation::words`], with no summaries; `None` if these are not such words.
    pub fn from_words(words: &[f64]) -> Option<Generation> {
        let (head, rest) = words.split_at_checked(5)?;
        let [n, d, simulated, failed] = [1, 2, 3, 4].map(|k| head[k].to_bits());
        let (n, d) = (usize::try_from(n).ok()?, usize::try_from(d).ok()?);
        if rest.len() != n.checked_mul(d.checked_add(3)?)? {
            return None;
        }
        let (theta, rest) = rest.split_at(n * d);
        Some(Generation {
            tolerance: head[0],
            theta: Array2::from_shape_vec((n, d), theta.to_vec()).ok()?,
            distance: rest[..n].to_vec(),
            ln_weight: rest[n..2 * n].to_vec(),
            summaries: Array2::zeros((n, 0)),
            trial: rest[2 * n..].iter().map(|word| word.to_bits()).collect(),
            simulated,
            failed,
        })
    }

    /// Drops the particles and keeps the counts.
    fn forget(&mut self) {
        (self.theta, self.summaries) = (Array2::zeros((0, 0)), Array2::zeros((0, 0)));
        (self.distance, self.ln_weight, self.trial) = (Vec::new(), Vec::new(), Vec::new());
    }
}

/// Why an inference ended. Every reason is a function of job and seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The tolerance asked for was reached.
    Tolerance,
    /// The acceptance rate fell below the limit.
    AcceptanceRate,
    /// The budget of simulations is used up.
    Simulations,
    /// The number of generations asked for was reached.
    Generations,
    /// The tolerance, or the temperature, no longer falls.
    Stalled,
}

impl Stop {
    /// Every reason.
    pub const ALL: [Stop; 5] = [Stop::Tolerance, Stop::AcceptanceRate, Stop::Simulations, Stop::Generations, Stop::Stalled];
}

/// An inference as far as it has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Finished generations.
    pub generations: Vec<Generation>,
    /// Why it ended, if it has.
    pub stopped: Option<Stop>,
    /// Trials of an unfinished last generation that were spent when the budget ran out (not part of any generation).
    pub spent: u64,
}

impl Run {
    /// All simulations so far.
    pub fn simulated(&self) -> u64 {
        self.generations.iter().map(|g| g.simulated).sum::<u64>() + self.spent
    }

    /// The last finished generation.
    pub fn last(&self) -> Option<&Generation> {
        self.generations.last()
    }

    /// Drops the particles of all generations but the last, which alone shapes the next: ranks without a file need no more.
    pub fn forget(&mut self) {
        if let Some((_, before)) = self.generations.split_last_mut() {
            before.iter_mut().for_each(Generation::forget);
        }
    }

    /// What another rank needs to go on with this run, as numbers.
    pub fn words(&self) -> Vec<f64> {
        let stopped = Stop::ALL.iter().position(|stop| Some(*stop) == self.stopped).map_or(u64::MAX, |k| k as u64);
        let mut words = [stopped, self.spent, self.generations.len() as u64].map(f64::from_bits).to_vec();
        let (last, before) = self.generations.split_last().map_or((None, [].as_slice()), |(last, before)| (Some(last), before));
        for generation in before {
            words.push(generation.tolerance);
            words.extend([generation.simulated, generation.failed].map(f64::from_bits));
        }
        words.extend(last.map(Generation::words).unwrap_or_default());
        words
    }

    /// The inverse of [`Run::words`], with particles in the last generation only; `None` if these are not such words.
    pub fn from_words(words: &[f64]) -> Option<Run> {
        let (head, mut rest) = words.split_at_checked(3)?;
        let [stopped, spent, count] = [0, 1, 2].map(|k| head[k].to_bits());
        let mut run = Run { generations: Vec::new(), stopped: Stop::ALL.get(stopped as usize).copied(), spent };
        for _ in 1..count {
            let (counts, more) = rest.split_at_checked(3)?;
            rest = more;
            let mut generation = Generation::from_words(&[counts[0], 0.0, 0.0, counts[1], counts[2]])?;
            generation.forget();
            run.generations.push(generation);
        }
        if count > 0 {
            run.generations.push(Generation::from_words(rest)?);
        }
        Some(run)
    }
}

/// Equal-weight draws of parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Draws {
    /// Parameters in natural units, (draw, inferred parameter).
    pub theta: Array2<f64>,
    /// The particle of the last generation that each draw repeats; empty for draws from the prior.
    pub particle: Vec<usize>,
}

/// Simulations at draws of the prior or the posterior.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictive {
    /// The draws.
    pub draws: Draws,
    /// Simulated values, (draw, row); NaN where a row could not be estimated, or the whole draw not be simulated.
    pub values: Array2<f64>,
}

/// A mode of the posterior, polished by an optimiser.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Mode {
    /// Parameters in natural units.
    pub theta: Vec<f64>,
    /// Objective at the mode: half the squared scaled distance of the mean summaries, less the log prior density.
    pub objective: f64,
    /// Distance of the mean summaries at the mode.
    pub distance: f64,
    /// Objective at the start.
    pub start: f64,
    /// Share of the posterior weight in the cluster that the start came from.
    pub weight: f64,
    /// Simulations used.
    pub evaluations: u64,
    /// Whether the optimiser met its own criterion before its budget.
    pub converged: bool,
    /// Standard deviation that the local curvature implies along each parameter, in natural units; NaN where the
    /// objective is flat or falls.
    pub curvature_sd: Vec<f64>,
}

/// Profiles of the objective about the best mode: along each parameter, its least value over all the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Where the parameter is held, in natural units, (parameter, point); the mode is the middle point.
    pub value: Array2<f64>,
    /// Objective, (parameter, point), on the random numbers of the search; NaN outside the support of the prior, and where
    /// nothing can be simulated.
    pub objective: Array2<f64>,
    /// The part of the data in it, half the squared scaled distance, (parameter, point).
    pub misfit: Array2<f64>,
    /// Simulations used.
    pub evaluations: u64,
}

/// The shape of a surrogate likelihood.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// First generation whose simulations it is fitted to.
    pub first: usize,
    /// Cells of parameter space, each with a regression of its own; a power of 2.
    pub cells: usize,
    /// Whether summaries are quadratic in the parameters, not linear.
    pub quadratic: bool,
    /// Whether the scale of each summary changes with the parameters.
    pub scaled: bool,
    /// Whether each cell has a covariance of its own.
    pub local: bool,
    /// Bandwidth of the law of the residuals, in (0, 1]; normal at 1.
    pub bandwidth: f64,
}

/// What a surrogate likelihood came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surrogated {
    /// The surrogate that was chosen.
    pub shape: Shape,
    /// Its mean log density at simulations of the last generation that it had not seen.
    pub score: f64,
    /// Standard error of the score.
    pub score_error: f64,
}

/// What simulations of earlier generations have added to the last one.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Reused {
    /// How many of them came within the last tolerance.
    pub earlier: u64,
    /// Effective number of the particles of the last generation.
    pub before: f64,
    /// Effective number of all together, by the weights that they have then.
    pub after: f64,
}

/// What foretells parameters from summaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Regressor {
    /// A linear regression.
    Linear,
    /// A linear regression, and a small neural network for what that leaves.
    Network,
}

/// What a regression of the parameters on the summaries came to.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Regressed {
    /// Of which kind it was.
    pub by: Regressor,
    /// What of earlier generations it was learnt from; `None` in files from before that was done.
    pub reused: Option<Reused>,
    /// Effective number of the particles, weighed by their distance too.
    pub ess: f64,
    /// For each parameter, the share of its variance among the particles that their summaries foretell, left-out particles
    /// by the others, in [0, 1]; 0 where they foretell nothing, and the parameter is left as it is.
    pub explained: Vec<f64>,
}

/// How an adjusted posterior was learnt.
#[derive(Clone, Debug, PartialEq)]
pub enum Learnt {
    /// By a surrogate likelihood from all simulations.
    Surrogate(Surrogated),
    /// By regression among the simulations within the last tolerance.
    Regression(Regressed),
    /// Not at all: the simulations of all generations within the last tolerance, as they are.
    Reuse(Reused),
}

/// A posterior beside that of ABC, from the same simulations.
#[derive(Clone, Debug, PartialEq)]
pub struct Adjusted {
    /// Equal-weight draws in natural units, (draw, inferred parameter).
    pub theta: Array2<f64>,
    /// How it was learnt.
    pub learnt: Learnt,
    /// Simulations that it was learnt from.
    pub fitted: u64,
}

/// Where the true values of one parameter come in posteriors of data that were simulated at them.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// Its name.
    pub name: String,
    /// Rank of the true value among [`Ranked::DRAWS`] posterior draws, in each replicate: from 0 to that.
    pub ranks: Vec<usize>,
    /// In how many replicates each of [`Ranked::INTERVALS`] holds the true value.
    pub inside: [usize; 2],
    /// Whether it is a whole number: an interval of such holds more than it says, and only ranks, with ties tossed, are judged.
    pub whole: bool,
    /// The true value of each replicate and the mean of its posterior, on the coordinate of the prior (the logarithm of a positive
    /// parameter, the logit of a proportion).
    pub recovery: Vec<(f64, f64)>,
}

impl Ranked {
    /// Draws of each posterior among which the true value is ranked.
    pub const DRAWS: usize = 99;
    /// Central intervals whose coverage is counted.
    pub const INTERVALS: [f64; 2] = [0.5, 0.9];
}

/// A simulation-based calibration of a job: its inference, on data of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Tolerance at which every replicate ended.
    pub tolerance: f64,
    /// Particles in a generation.
    pub population: usize,
    /// What the posterior of the sampler came to, by parameter.
    pub lines: Vec<Ranked>,
    /// The same of the adjusted one, if there is one.
    pub adjusted: Option<Vec<Ranked>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Purpose};

    #[test]
    fn weights_survive_any_offset_and_count_themselves() {
        let w = Weights::from_ln(&[-1e5, -1e5, f64::NEG_INFINITY, -1e5]);
        assert_eq!(w.as_slice(), [1.0 / 3.0, 1.0 / 3.0, 0.0, 1.0 / 3.0]);
        assert!((w.ess() - 3.0).abs() < 1e-12);
        assert_eq!(Weights::from_ln(&[f64::NEG_INFINITY]).ess(), 0.0);
    }

    #[test]
    fn systematic_resampling_repeats_each_particle_as_often_as_its_weight_says() {
        let w = Weights::from_ln(&[0.5f64.ln(), 0.3f64.ln(), 0.2f64.ln()]);
        let picked = w.resample(1000, &mut Key::root(1).stream(Purpose::Resample));
        for (i, expected) in [500, 300, 200].into_iter().enumerate() {
            let count = picked.iter().filter(|&&p| p == i).count() as i64;
            assert!((count - expected).abs() <= 1);
        }
    }

    #[test]
    fn a_run_as_words_lacks_only_what_shapes_nothing() {
        let generation = |n: usize, tolerance: f64| Generation {
            tolerance,
            theta: Array2::from_shape_fn((n, 2), |(i, k)| i as f64 - 0.1 * k as f64),
            distance: (0..n).map(|i| 0.5 * i as f64).collect(),
            ln_weight: vec![-1.0; n],
            trial: (0..n as u64).map(|i| u64::MAX - n as u64 + i).collect(),
            summaries: Array2::ones((n, 3)),
            simulated: 1 << 60,
            failed: 7,
        };
        for (count, stopped) in [(0, None), (1, Some(Stop::Stalled)), (3, None)] {
            let generations = (0..count).map(|k| generation(4 + k, f64::INFINITY)).collect();
            let mut run = Run { generations, stopped, spent: 9 };
            let back = Run::from_words(&run.words()).unwrap();
            run.forget();
            if let Some(last) = run.generations.last_mut() {
                last.summaries = Array2::zeros((last.trial.len(), 0));
            }
            assert_eq!(back, run);
        }
        assert_eq!(Run::from_words(&[0.0]), None);
    }

    /// Planted: all trials of a generation that keeps all are asked as if some had been rejected early. Seen: 20 of 100.
    #[test]
    fn who_was_asked_and_who_was_accepted() {
        let generation = |kept: usize, simulated: u64, failed: u64| Generation {
            tolerance: 2.5,
            theta: Array2::zeros((kept, 1)),
            distance: (0..kept).map(|i| i as f64).collect(),
            ln_weight: (0..kept).map(|i| if i < 3 { 0.0 } else { f64::NEG_INFINITY }).collect(),
            trial: (0..kept as u64).collect(),
            summaries: Array2::zeros((kept, 1)),
            simulated,
            failed,
        };
        let all = generation(180, 200, 20);
        assert_eq!((all.asked(), all.accepted().count(), all.acceptance_rate()), (200, 3, 0.015));
        assert_eq!(generation(3, 200, 20).asked(), 100);
    }

    #[test]
    fn quantiles_weigh() {
        let w = Weights::from_ln(&[0.7f64.ln(), 0.2f64.ln(), 0.1f64.ln()]);
        assert_eq!(w.quantile([3.0, 1.0, 2.0].into_iter(), 0.25), 2.0);
        assert_eq!(w.quantile([3.0, 1.0, 2.0].into_iter(), 0.5), 3.0);
    }
}
