//! CMA-ES as a solver of argmin: covariance matrix adaptation for objectives that are piecewise constant or noisy, where
//! line searches hang (Hansen 2016, arXiv:1604.00772; Cholesky factor in place of the eigenbasis as in Krause, Arbonès and
//! Igel 2016, NIPS 29).
//!
//! A generation is evaluated through [`argmin::core::Problem::bulk_cost`], which is where the executor spreads it.

use argmin::core::{CostFunction, Error, IterState, KV, Problem, Solver, State, TerminationReason, TerminationStatus};

use crate::density::{cholesky, whiten};
use crate::rng::Stream;

/// State that argmin drives: the parameter is the *mean* of the search distribution, the cost is the cost at the mean.
pub type Search = IterState<Vec<f64>, (), (), (), (), f64>;

/// The solver.
pub struct CmaEs {
    rng: Stream,
    /// Offspring of an iteration.
    lambda: usize,
    step: f64,
    /// Converged when the step times the largest standard deviation is below this.
    tolerance: f64,
    covariance: Vec<f64>,
    factor: Vec<f64>,
    path_step: Vec<f64>,
    path_covariance: Vec<f64>,
    strategy: Strategy,
}

/// Hansen's default strategy parameters, equations 49 to 58.
struct Strategy {
    weights: Vec<f64>,
    mu_eff: f64,
    c_step: f64,
    damping: f64,
    c_path: f64,
    c_one: f64,
    c_mu: f64,
    expected_norm: f64,
}

impl Strategy {
    fn new(n: usize, lambda: usize) -> Self {
        let n = n as f64;
        let mu = lambda / 2;
        let raw: Vec<f64> = (0..mu).map(|i| libm::log(mu as f64 + 0.5) - libm::log(i as f64 + 1.0)).collect();
        let sum: f64 = raw.iter().sum();
        let weights: Vec<f64> = raw.iter().map(|w| w / sum).collect();
        let mu_eff = 1.0 / weights.iter().map(|w| w * w).sum::<f64>();
        let c_step = (mu_eff + 2.0) / (n + mu_eff + 5.0);
        let c_one = 2.0 / ((n + 1.3) * (n + 1.3) + mu_eff);
        Strategy {
            c_step,
            damping: 1.0 + 2.0 * f64::max(0.0, ((mu_eff - 1.0) / (n + 1.0)).sqrt() - 1.0) + c_step,
            c_path: (4.0 + mu_eff / n) / (n + 4.0 + 2.0 * mu_eff / n),
            c_one,
            c_mu: f64::min(1.0 - c_one, 2.0 * (mu_eff - 2.0 + 1.0 / mu_eff) / ((n + 2.0) * (n + 2.0) + mu_eff)),
            expected_norm: n.sqrt() * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n)),
            weights,
            mu_eff,
        }
    }
}

impl CmaEs {
    /// A search in `n` dimensions from an isotropic distribution with standard deviation `step`, until the distribution is
    /// narrower than `tolerance` in every direction.
    pub fn new(n: usize, step: f64, tolerance: f64, rng: Stream) -> Self {
        let lambda = Self::offspring(n);
        let identity: Vec<f64> = (0..n * n).map(|k| if k / n == k % n { 1.0 } else { 0.0 }).collect();
        CmaEs {
            rng,
            lambda,
            step,
            tolerance,
            covariance: identity.clone(),
            factor: identity,
            path_step: vec![0.0; n],
            path_covariance: vec![0.0; n],
            strategy: Strategy::new(n, lambda),
        }
    }

    /// Offspring of an iteration in `n` dimensions.
    pub fn offspring(n: usize) -> usize {
        4 + (3.0 * libm::log(n as f64)) as usize
    }

    /// Moves paths, covariance and step after the mean moved by `step · y`, where the selected offspring moved by
    /// `step · ys` from the old mean.
    fn adapt(&mut self, y: &[f64], ys: &[&[f64]], iteration: u64) {
        let n = y.len();
        let s = &self.strategy;
        let (cs, cc) = (s.c_step, s.c_path);
        for (p, z) in self.path_step.iter_mut().zip(whiten(&self.factor, y)) {
            *p = (1.0 - cs) * *p + (cs * (2.0 - cs) * s.mu_eff).sqrt() * z;
        }
        let norm = self.path_step.iter().map(|p| p * p).sum::<f64>().sqrt();
        let decay = (1.0 - libm::pow(1.0 - cs, 2.0 * (iteration + 1) as f64)).sqrt();
        let steady = norm / decay < (1.4 + 2.0 / (n as f64 + 1.0)) * s.expected_norm;
        for (p, y) in self.path_covariance.iter_mut().zip(y) {
            *p = (1.0 - cc) * *p + if steady { (cc * (2.0 - cc) * s.mu_eff).sqrt() * y } else { 0.0 };
        }
        let keep = 1.0 - s.c_one - s.c_mu + if steady { 0.0 } else { s.c_one * cc * (2.0 - cc) };
        for i in 0..n {
            for j in 0..n {
                let rank_mu: f64 = s.weights.iter().zip(ys).map(|(w, y)| w * y[i] * y[j]).sum();
                let rank_one = self.path_covariance[i] * self.path_covariance[j];
                self.covariance[i * n + j] = keep * self.covariance[i * n + j] + s.c_one * rank_one + s.c_mu * rank_mu;
            }
        }
        self.step *= libm::exp((cs / s.damping) * (norm / s.expected_norm - 1.0));
        // A covariance that has lost its rank to rounding keeps the last factor.
        if let Some(factor) = cholesky(n, &self.covariance) {
            self.factor = factor;
        }
    }
}

impl<O: CostFunction<Param = Vec<f64>, Output = f64>> Solver<O, Search> for CmaEs {
    fn name(&self) -> &str {
        "CMA-ES"
    }

    fn init(&mut self, problem: &mut Problem<O>, mut state: Search) -> Result<(Search, Option<KV>), Error> {
        let mean = state.take_param().ok_or_else(argmin::argmin_error_closure!(NotInitialized, "CMA-ES needs a start"))?;
        let cost = problem.cost(&mean)?;
        Ok((state.param(mean).cost(cost), None))
    }

    fn next_iter(&mut self, problem: &mut Problem<O>, mut state: Search) -> Result<(Search, Option<KV>), Error> {
        let mean = state.take_param().ok_or_else(argmin::argmin_error_closure!(NotInitialized, "CMA-ES lost its mean"))?;
        let n = mean.len();
        let moves: Vec<Vec<f64>> = (0..self.lambda)
            .map(|_| {
                let z: Vec<f64> = (0..n).map(|_| self.rng.normal()).collect();
                (0..n).map(|i| (0..=i).map(|j| self.factor[i * n + j] * z[j]).sum()).collect()
            })
            .collect();
        let at = |y: &[f64]| -> Vec<f64> { mean.iter().zip(y).map(|(m, y)| m + self.step * y).collect() };
        let points: Vec<Vec<f64>> = moves.iter().map(|y| at(y)).collect();
        let costs = problem.bulk_cost(&points)?;
        let mut order: Vec<usize> = (0..self.lambda).collect();
        order.sort_by(|a, b| costs[*a].total_cmp(&costs[*b]).then(a.cmp(b)));
        let selected: Vec<&[f64]> = order.iter().take(self.strategy.weights.len()).map(|i| moves[*i].as_slice()).collect();
        let y: Vec<f64> = (0..n).map(|k| self.strategy.weights.iter().zip(&selected).map(|(w, y)| w * y[k]).sum()).collect();
        let next = at(&y);
        self.adapt(&y, &selected, state.get_iter());
        let cost = problem.cost(&next)?;
        Ok((state.param(next).cost(cost), None))
    }

    fn terminate(&mut self, state: &Search) -> TerminationStatus {
        let n = self.path_step.len();
        let widest = (0..n).map(|i| self.covariance[i * n + i].sqrt()).fold(0.0, f64::max) * self.step;
        if widest < self.tolerance && state.get_iter() > 0 {
            TerminationStatus::Terminated(TerminationReason::SolverConverged)
        } else {
            TerminationStatus::NotTerminated
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Purpose};
    use argmin::core::Executor;

    struct Valley;
    impl CostFunction for Valley {
        type Param = Vec<f64>;
        type Output = f64;
        fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
            // Rosenbrock's valley, minimum 0 at (1, …, 1).
            Ok(x.windows(2).map(|w| 100.0 * (w[1] - w[0] * w[0]).powi(2) + (1.0 - w[0]).powi(2)).sum())
        }
    }

    #[test]
    fn it_finds_the_floor_of_rosenbrocks_valley() {
        let solver = CmaEs::new(5, 0.5, 1e-8, Key::root(1).stream(Purpose::Refine));
        let result = Executor::new(Valley, solver)
            .configure(|s: Search| s.param(vec![-0.5; 5]).max_iters(2000))
            .timer(false)
            .run()
            .unwrap();
        let best = result.state().get_best_param().unwrap();
        assert!(best.iter().all(|x| (x - 1.0).abs() < 1e-5), "{best:?}");
    }
}
