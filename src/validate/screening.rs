//! Which parameters move which summaries.

use ndarray::Array2;

/// Draws in a bin of a parameter, at least, and most bins: enough to see a bend, few enough to know a mean.
const LEAST_IN_BIN: usize = 20;
const MOST_BINS: usize = 20;

/// How much each parameter moves each summary over the prior, in shares of the variance of the summary's ranks.
pub struct Screen {
    /// Draws that the shares rest on: those of which every summary is known.
    pub used: usize,
    /// Share that a monotone effect explains, the squared rank correlation (Spearman 1904, Am J Psychol 15:72); (parameter,
    /// summary). Shares below about `4 / used` are noise.
    pub monotone: Array2<f64>,
    /// Share that an effect of any shape explains, the first-order sensitivity index (Sobol' 1993, Math Model Comput Exp 1:407);
    /// (parameter, summary). The means of equally full bins of the parameter estimate it from given draws (Plischke, Borgonovo and
    /// Smith 2013, Eur J Oper Res 226:536); what bins of noise would have is taken off (Kelley 1935, PNAS 21:554), so that
    /// it is 0 on average where there is no effect, and can be below.
    pub any_shape: Array2<f64>,
}

impl Screen {
    /// From `theta`, (draw, parameter), and `summaries`, (draw, summary). Draws with a summary that is not finite are left out.
    pub fn of(theta: &Array2<f64>, summaries: &Array2<f64>) -> Screen {
        let whole: Vec<usize> = (0..theta.nrows()).filter(|i| summaries.row(*i).iter().all(|x| x.is_finite())).collect();
        let columns = |of: &Array2<f64>| -> Vec<Vec<f64>> {
            of.columns().into_iter().map(|column| ranks(&whole.iter().map(|i| column[*i]).collect::<Vec<_>>())).collect()
        };
        let (causes, effects) = (columns(theta), columns(summaries));
        let shape = (causes.len(), effects.len());
        Screen {
            used: whole.len(),
            monotone: Array2::from_shape_fn(shape, |(k, m)| correlation(&causes[k], &effects[m]).powi(2)),
            any_shape: Array2::from_shape_fn(shape, |(k, m)| between_bins(&causes[k], &effects[m])),
        }
    }

    /// Share of a summary that no parameter explains by itself: interactions, and the chance that is left at given parameters.
    pub fn rest(&self, summary: usize) -> f64 {
        // The share of any shape is estimated in bins, and falls short of a steep monotone one.
        let own = self.any_shape.column(summary).into_iter().zip(self.monotone.column(summary));
        (1.0 - own.map(|(any, monotone)| any.max(*monotone)).sum::<f64>()).max(0.0)
    }

    /// Mean share of a parameter over the summaries, of a monotone effect.
    pub fn mean(&self, parameter: usize) -> f64 {
        self.monotone.row(parameter).mean().unwrap_or(0.0)
    }

    /// Parameters, those that move most first.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.monotone.nrows()).collect();
        order.sort_by(|a, b| self.mean(*b).total_cmp(&self.mean(*a)).then(a.cmp(b)));
        order
    }
}

/// Ranks from 0, ties averaged.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    while from < order.len() {
        let mut to = from;
        while to + 1 < order.len() && values[order[to + 1]] == values[order[from]] {
            to += 1;
        }
        order[from..=to].iter().for_each(|i| ranks[*i] = (from + to) as f64 / 2.0);
        from = to + 1;
    }
    ranks
}

fn correlation(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len() as f64;
    let mean = |v: &[f64]| v.iter().sum::<f64>() / n;
    let (mx, my) = (mean(x), mean(y));
    let sum = |f: &dyn Fn(f64, f64) -> f64| x.iter().zip(y).map(|(x, y)| f(x - mx, y - my)).sum::<f64>();
    let spread = (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt();
    if spread > 0.0 { sum(&|x, y| x * y) / spread } else { 0.0 }
}

/// Share of the variance of `y` between equally full bins of `x`, less what chance gives; 0 with fewer than two bins.
fn between_bins(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len();
    let bins = (n / LEAST_IN_BIN).min(MOST_BINS);
    let mean = y.iter().sum::<f64>() / n as f64;
    let all: f64 = y.iter().map(|y| (y - mean) * (y - mean)).sum();
    if bins < 2 || all <= 0.0 {
        return 0.0;
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| x[*a].total_cmp(&x[*b]));
    let of_bin = |k: usize| {
        let bin = &order[k * n / bins..(k + 1) * n / bins];
        let own = bin.iter().map(|i| y[*i]).sum::<f64>() / bin.len() as f64;
        bin.iter().map(|i| (y[*i] - own) * (y[*i] - own)).sum::<f64>()
    };
    let within: f64 = (0..bins).map(of_bin).sum();
    1.0 - within / all * (n - 1) as f64 / (n - bins) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Purpose};

    /// Summaries: a monotone function of the first parameter; one that turns back; a product of both, which neither explains.
    #[test]
    fn the_screen_sees_what_moves_a_summary_and_nothing_else() {
        let (n, idle) = (2000, 20);
        let mut rng = Key::root(1).stream(Purpose::Pilot);
        let theta = Array2::from_shape_fn((n, 2 + idle), |_| rng.normal());
        let summaries = Array2::from_shape_fn((n, 4), |(i, m)| match m {
            0 => theta[(i, 0)].exp(),
            1 => theta[(i, 0)].powi(2),
            2 => theta[(i, 0)] * theta[(i, 1)],
            _ => f64::from(i > 7),
        });
        let screen = Screen::of(&theta, &summaries);
        assert!((screen.monotone[(0, 0)] - 1.0).abs() < 1e-9 && screen.any_shape[(0, 0)] > 0.99);
        // Null: independent, squared correlation about 1/n; 15/n has probability 1e-4. Between 20 bins chance has mean 0 and
        // sd √(2 · 19) / n; the mean over idle parameters within six standard errors. With what bins of noise have left in,
        // it was 0.0107, and the limit is 0.0041.
        let few = 15.0 / n as f64;
        assert!([0, 1, 3].iter().all(|m| screen.monotone[(1, *m)] < few));
        let mean = (2..2 + idle).map(|k| screen.any_shape[(k, 0)]).sum::<f64>() / idle as f64;
        assert!(mean.abs() < 6.0 * 38f64.sqrt() / n as f64 / (idle as f64).sqrt(), "{mean}");
        // A bend is no monotone effect, and still one; a product is an interaction.
        assert!(screen.monotone[(0, 1)] < few && screen.any_shape[(0, 1)] > 0.95);
        assert!(screen.any_shape[(0, 2)] < 0.05 && screen.any_shape[(1, 2)] < 0.05 && screen.rest(2) > 0.9);
        assert_eq!((screen.used, screen.order()[0]), (n, 0));
    }
}
