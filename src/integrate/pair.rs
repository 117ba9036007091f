//! Embedded Runge-Kutta pairs: one attempted step over a register of lanes.

use pulp::Simd;

use super::{Field, Lanes, Mask};

/// The most stages of any pair here.
const MOST_STAGES: usize = 4;

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

/// Bogacki and Shampine 1989 (Appl Math Lett 2:321), order 3 with an error estimate of order 2.
pub(super) struct BogackiShampine;

impl Pair for BogackiShampine {
    const LAST: usize = 3;
    const ROOTS: usize = 3;

    #[inline(always)]
    fn attempt<S: Simd, F: Field<N, P>, const N: usize, const P: usize>(
        work: &mut Work<S, N>,
        y: &[Lanes<S>; N],
        h: Lanes<S>,
        rates: &[Lanes<S>; P],
    ) {
        work.stage(y, h, [0], [0.5]);
        work.slope::<F, P>(1, rates);
        work.stage(y, h, [1], [0.75]);
        work.slope::<F, P>(2, rates);
        work.stage(y, h, [0, 1, 2], [2.0 / 9.0, 1.0 / 3.0, 4.0 / 9.0]);
        work.slope::<F, P>(3, rates);
        work.compare([0, 1, 2, 3], [-5.0 / 72.0, 1.0 / 12.0, 1.0 / 9.0, -1.0 / 8.0]);
    }
}
