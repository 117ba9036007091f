//! Which parameters move which summaries.

use ndarray::Array2;

/// How much each parameter moves each summary over the prior: the squared rank correlation (Spearman), the share of a
/// summary's rank variance that a monotone effect of the parameter explains. `theta` is (draw, parameter), `summaries` is
/// (draw, summary); the result is (parameter, summary). Draws whose summaries are NaN are left out. Shares below about
/// `4 / draws` are noise.
pub fn screen(theta: &Array2<f64>, summaries: &Array2<f64>) -> Array2<f64> {
    let whole: Vec<usize> = (0..theta.nrows()).filter(|i| summaries.row(*i).iter().all(|x| x.is_finite())).collect();
    let columns = |of: &Array2<f64>| -> Vec<Vec<f64>> {
        of.columns().into_iter().map(|column| ranks(&whole.iter().map(|i| column[*i]).collect::<Vec<_>>())).collect()
    };
    let (causes, effects) = (columns(theta), columns(summaries));
    Array2::from_shape_fn((causes.len(), effects.len()), |(k, m)| correlation(&causes[k], &effects[m]).powi(2))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Purpose};

    #[test]
    fn the_screen_sees_what_moves_a_summary_and_nothing_else() {
        let mut rng = Key::root(1).stream(Purpose::Pilot);
        let theta = Array2::from_shape_fn((2000, 2), |_| rng.normal());
        let summaries = Array2::from_shape_fn((2000, 2), |(i, m)| if m == 0 { theta[(i, 0)].exp() } else { f64::from(i > 7) });
        let shares = screen(&theta, &summaries);
        assert!((shares[(0, 0)] - 1.0).abs() < 1e-9);
        // Null: independent, squared correlation about 1/n; 15/n has probability 1e-4.
        assert!(shares[(1, 0)] < 15.0 / 2000.0 && shares[(1, 1)] < 15.0 / 2000.0);
    }
}
