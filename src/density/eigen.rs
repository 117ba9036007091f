//! Eigenvalues of symmetric matrices.

/// Sweeps at most; a matrix of 100 rows needs about ten.
const SWEEPS: usize = 60;

/// Eigenvalues of a symmetric row-major matrix of `n` rows, ascending, each with its eigenvector of length 1, by cyclic Jacobi
/// rotations (Golub and Van Loan 2013, Matrix Computations, algorithm 8.5.3).
pub fn eigen(n: usize, matrix: &[f64]) -> Vec<(f64, Vec<f64>)> {
    let mut a = matrix.to_vec();
    // Row k is the k-th eigenvector in the end.
    let mut v: Vec<f64> = (0..n * n).map(|k| if k / n == k % n { 1.0 } else { 0.0 }).collect();
    let size: f64 = a.iter().map(|x| x * x).sum();
    for _ in 0..SWEEPS {
        let off: f64 = (0..n * n).filter(|k| k / n != k % n).map(|k| a[k] * a[k]).sum();
        // Also where a number is not finite.
        if off.is_nan() || off <= 1e-28 * size {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(n, &mut a, &mut v, (p, q));
            }
        }
    }
    let mut pairs: Vec<(f64, Vec<f64>)> = (0..n).map(|k| (a[k * n + k], v[k * n..(k + 1) * n].to_vec())).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    pairs
}

/// Turns the plane of two axes so that their element off the diagonal vanishes.
fn rotate(n: usize, a: &mut [f64], v: &mut [f64], (p, q): (usize, usize)) {
    let off = a[p * n + q];
    if off == 0.0 {
        return;
    }
    let tau = (a[q * n + q] - a[p * n + p]) / (2.0 * off);
    let t = tau.signum() / (tau.abs() + (1.0 + tau * tau).sqrt());
    let c = 1.0 / (1.0 + t * t).sqrt();
    let s = t * c;
    for k in 0..n {
        let (x, y) = (a[k * n + p], a[k * n + q]);
        (a[k * n + p], a[k * n + q]) = (c * x - s * y, s * x + c * y);
    }
    for k in 0..n {
        let (x, y) = (a[p * n + k], a[q * n + k]);
        (a[p * n + k], a[q * n + k]) = (c * x - s * y, s * x + c * y);
        let (x, y) = (v[p * n + k], v[q * n + k]);
        (v[p * n + k], v[q * n + k]) = (c * x - s * y, s * x + c * y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Purpose};

    #[test]
    fn a_symmetric_matrix_is_put_together_again_from_its_eigenvectors() {
        let n = 12;
        let mut rng = Key::root(2).stream(Purpose::Pilot);
        let raw: Vec<f64> = (0..n * n).map(|_| rng.normal()).collect();
        let matrix: Vec<f64> = (0..n * n).map(|k| raw[k] + raw[k % n * n + k / n]).collect();
        let pairs = eigen(n, &matrix);
        for i in 0..n {
            for j in 0..n {
                let again: f64 = pairs.iter().map(|(value, v)| value * v[i] * v[j]).sum();
                let product: f64 = pairs[i].1.iter().zip(&pairs[j].1).map(|(a, b)| a * b).sum();
                assert!((again - matrix[i * n + j]).abs() < 1e-12);
                assert!((product - f64::from(u8::from(i == j))).abs() < 1e-13);
            }
        }
        assert!(pairs.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        // [[2, 1], [1, 2]]: 1 along (1, -1), 3 along (1, 1).
        let two = eigen(2, &[2.0, 1.0, 1.0, 2.0]);
        assert!((two[0].0 - 1.0).abs() < 1e-15 && (two[1].0 - 3.0).abs() < 1e-15 && two[0].1[0] * two[0].1[1] < 0.0);
    }
}
