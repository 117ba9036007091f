//! Embedded Runge-Kutta pairs: one attempted step over a register of lanes.

// Several arrays are walked at once, and adaptors with closures would not be compiled for the wide instruction sets.
#![allow(clippy::needless_range_loop)]

use pulp::Simd;

use super::{Field, Lanes, Mask};

/// The most stages of any pair here.
const MOST_STAGES: usize = 7;

/// Arrays of an attempted step, kept from step to step because moving them costs as much as computing them.
#[repr(C, align(64))]
pub(super) struct Work<S: Simd, const N: usize> {
    /// Slopes of the stages. The first is the slope at the start of the step.
    k: [[Lanes<S>; N]; MOST_STAGES],
    /// State at a stage; after an attempt, the state at the end of the step.
    pub state: [Lanes<S>; N],
    /// After an attempt, the estimated local error divided by the step.
    pub defect: [Lanes<S>; N],
}

impl<S: Simd, const N: usize> Work<S, N> {
    pub fn new(zero: Lanes<S>) -> Self {
        Work { k: [[zero; N]; MOST_STAGES], state: [zero; N], defect: [zero; N] }
    }

    /// Evaluates the slope at the start of a step.
    #[inline(always)]
    pub fn begin<F: Field<N, P>, const P: usize>(&mut self, y: &[Lanes<S>; N], rates: &[Lanes<S>; P]) {
        F::slope(y, rates, &mut self.k[0]);
    }

    /// Takes over the end of an attempted step as the start of the next, where `accepted`.
    #[inline(always)]
    pub fn advance<M: Pair>(&mut self, y: &mut [Lanes<S>; N], accepted: Mask<S>) {
        for i in 0..N {
            y[i] = accepted.choose(self.state[i], y[i]);
            self.k[0][i] = accepted.choose(self.k[M::LAST][i], self.k[0][i]);
        }
    }

    /// State `y + h Σ a k` from the slopes named in `from`.
    #[inline(always)]
    fn stage<const K: usize>(&mut self, y: &[Lanes<S>; N], h: Lanes<S>, from: [usize; K], a: [f64; K]) {
        let mut weight = [h; K];
        for j in 0..K {
            weight[j] = h * h.constant(a[j]);
        }
        for i in 0..N {
            let mut sum = weight[0] * self.k[from[0]][i];
            for j in 1..K {
                sum = sum + weight[j] * self.k[from[j]][i];
            }
            self.state[i] = y[i] + sum;
        }
    }

    /// Slope number `to`, at the present stage.
    #[inline(always)]
    fn slope<F: Field<N, P>, const P: usize>(&mut self, to: usize, rates: &[Lanes<S>; P]) {
        F::slope(&self.state, rates, &mut self.k[to]);
    }

    /// Defect `Σ e k` from the slopes named in `from`.
    #[inline(always)]
    fn compare<const K: usize>(&mut self, from: [usize; K], e: [f64; K]) {
        for i in 0..N {
            let first = self.k[from[0]][i];
            let mut sum = first.constant(e[0]) * first;
            for j in 1..K {
                sum = sum + first.constant(e[j]) * self.k[from[j]][i];
            }
            self.defect[i] = sum;
        }
    }
}

/// A pair of explicit formulae whose last stage is the first of the next step.
pub(super) trait Pair {
    /// Number of the last slope.
    const LAST: usize;
    /// Square roots that turn (previous error / error²) into a step factor: exponents of a PI controller.
    const ROOTS: usize;

    /// Attempts the step `h` from `y`, where the first slope is known.
    fn attempt<S: Simd, F: Field<N, P>, const N: usize, const P: usize>(
        work: &mut Work<S, N>,
        y: &[Lanes<S>; N],
        h: Lanes<S>,
        rates: &[Lanes<S>; P],
    );
}

/// Dormand and Prince 1980 (J Comput Appl Math 6:19), order 5 with an error estimate of order 4.
pub(super) struct DormandPrince;

impl Pair for DormandPrince {
    const LAST: usize = 6;
    const ROOTS: usize = 4;

    #[inline(always)]
    fn attempt<S: Simd, F: Field<N, P>, const N: usize, const P: usize>(
        work: &mut Work<S, N>,
        y: &[Lanes<S>; N],
        h: Lanes<S>,
        rates: &[Lanes<S>; P],
    ) {
        work.stage(y, h, [0], [1.0 / 5.0]);
        work.slope::<F, P>(1, rates);
        work.stage(y, h, [0, 1], [3.0 / 40.0, 9.0 / 40.0]);
        work.slope::<F, P>(2, rates);
        work.stage(y, h, [0, 1, 2], [44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0]);
        work.slope::<F, P>(3, rates);
        work.stage(y, h, [0, 1, 2, 3], [19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0]);
        work.slope::<F, P>(4, rates);
        let a6 = [9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0];
        work.stage(y, h, [0, 1, 2, 3, 4], a6);
        work.slope::<F, P>(5, rates);
        let b = [35.0 / 384.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0];
        work.stage(y, h, [0, 2, 3, 4, 5], b);
        work.slope::<F, P>(6, rates);
        let e = [71.0 / 57600.0, -71.0 / 16695.0, 71.0 / 1920.0, -17253.0 / 339200.0, 22.0 / 525.0, -1.0 / 40.0];
        work.compare([0, 2, 3, 4, 5, 6], e);
    }
}
