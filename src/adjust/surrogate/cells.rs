//! A partition of parameter space by nearest centres.

use crate::population::Weights;

/// Centres, and the scale of each coordinate.
#[derive(Clone, Debug)]
pub struct Cells {
    /// Standard deviation of each coordinate in the sample that the partition was made for; above 0.
    scale: Vec<f64>,
    /// Centres in units of `scale`, row after row.
    centres: Vec<f64>,
}

/// Rounds of Lloyd's iteration.
const ROUNDS: usize = 30;

impl Cells {
    /// One cell, about the weighted mean of `u` (rows of `d` coordinates).
    pub fn one(d: usize, u: &[f64], weights: &Weights) -> Self {
        let column = |k: usize| u.iter().skip(k).step_by(d).copied();
        let scale: Vec<f64> = (0..d).map(|k| weights.sd(column(k)).max(1e-12)).collect();
        let centres = (0..d).map(|k| weights.mean(column(k)) / scale[k]).collect();
        Cells { scale, centres }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.centres.len() / self.scale.len()
    }

    /// The cell of `u`.
    pub fn of(&self, u: &[f64]) -> usize {
        let square = |c: &[f64]| c.iter().zip(u).zip(&self.scale).map(|((c, u), s)| (u / s - c) * (u / s - c)).sum::<f64>();
        let mut best = (0, f64::INFINITY);
        for (k, centre) in self.centres.chunks_exact(self.scale.len()).enumerate() {
            let distance = square(centre);
            if distance < best.1 {
                best = (k, distance);
            }
        }
        best.0
    }

    /// Writes where `u` is from the centre of a cell, in units of the scales.
    pub fn place(&self, cell: usize, u: &[f64], out: &mut Vec<f64>) {
        let d = self.scale.len();
        out.clear();
        out.extend(self.centres[cell * d..(cell + 1) * d].iter().zip(u).zip(&self.scale).map(|((c, u), s)| u / s - c));
    }

    /// Twice as many cells: each is split along the principal axis of the sample in it, then centres are moved to the means
    /// of their cells (Linde, Buzo and Gray 1980, IEEE Trans Commun 28:84).
    pub fn split(&self, u: &[f64], weights: &Weights) -> Self {
        let d = self.scale.len();
        let members = |cells: &Cells| u.chunks_exact(d).map(|row| cells.of(row)).collect::<Vec<usize>>();
        let old = members(self);
        let mut centres = Vec::new();
        for k in 0..self.count() {
            let axis = self.principal_axis(k, u, weights, &old);
            for sign in [-1.0, 1.0] {
                centres.extend(self.centres[k * d..(k + 1) * d].iter().zip(&axis).map(|(c, a)| c + sign * a));
            }
        }
        let mut cells = Cells { scale: self.scale.clone(), centres };
        for _ in 0..ROUNDS {
            let of = members(&cells);
            let (mut sums, mut total) = (vec![0.0; cells.centres.len()], vec![0.0; cells.count()]);
            for ((row, w), k) in u.chunks_exact(d).zip(weights.as_slice()).zip(of) {
                total[k] += w;
                sums[k * d..(k + 1) * d].iter_mut().zip(row).zip(&self.scale).for_each(|((sum, u), s)| *sum += w * u / s);
            }
            for (k, total) in total.into_iter().enumerate().filter(|(_, total)| *total > 0.0) {
                (k * d..(k + 1) * d).for_each(|j| cells.centres[j] = sums[j] / total);
            }
        }
        cells
    }

    /// The first principal axis of the sample in cell `k`, one standard deviation long, by power iteration.
    fn principal_axis(&self, k: usize, u: &[f64], weights: &Weights, of: &[usize]) -> Vec<f64> {
        let d = self.scale.len();
        let (mut scatter, mut total, mut v) = (vec![0.0; d * d], 0.0, Vec::new());
        let rows = u.chunks_exact(d).zip(weights.as_slice()).zip(of).filter(|(_, of)| **of == k);
        for ((row, w), _) in rows {
            self.place(k, row, &mut v);
            total += w;
            (0..d * d).for_each(|ij| scatter[ij] += w * v[ij / d] * v[ij % d]);
        }
        // Not orthogonal to any axis that a symmetric problem would have.
        let mut axis: Vec<f64> = (0..d).map(|k| 1.0 / (1.0 + 0.37 * k as f64)).collect();
        let mut length = 0.0;
        for _ in 0..100 {
            let next: Vec<f64> = scatter.chunks_exact(d).map(|row| row.iter().zip(&axis).map(|(s, a)| s * a).sum()).collect();
            length = next.iter().map(|a: &f64| a * a).sum::<f64>().sqrt();
            if length <= 0.0 {
                break;
            }
            axis = next.iter().map(|a| a / length).collect();
        }
        let sd = if total > 0.0 { (length / total).sqrt() } else { 0.0 };
        axis.iter().map(|a| sd * a).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clouds_are_told_apart() {
        let u: Vec<f64> = (0..40)
            .flat_map(|i| {
                let side = if i % 2 == 0 { -1.0 } else { 1.0 };
                [side * 3.0 + 0.01 * f64::from(i), side * 3.0 - 0.02 * f64::from(i)]
            })
            .collect();
        let weights = Weights::from_ln(&[0.0; 40]);
        let cells = Cells::one(2, &u, &weights).split(&u, &weights);
        assert_eq!(cells.count(), 2);
        let of: Vec<usize> = u.chunks_exact(2).map(|row| cells.of(row)).collect();
        assert!(of.iter().enumerate().all(|(i, k)| *k == of[i % 2]) && of[0] != of[1], "{of:?}");
    }
}
