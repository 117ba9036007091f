//! Embedded Runge-Kutta pairs: one attempted step over a register of lanes.

use pulp::Simd;

use super::{Field, Lanes};

/// What one attempt of a step gives, in every lane.
pub(super) struct Attempt<S: Simd, const N: usize> {
    /// State at the end of the step.
    pub state: [Lanes<S>; N],
    /// Slope there: the first slope of the next step.
    pub slope: [Lanes<S>; N],
    /// Estimated local error divided by the step.
    pub defect: [Lanes<S>; N],
}

/// A pair of explicit formulae whose last stage is the first of the next step.
pub(super) trait Pair {
    /// Square roots that turn (previous error / error²) into a step factor: exponents of a PI controller.
    const ROOTS: usize;

    /// Attempts the step `h` from `y`, where the slope is `k1`.
    fn attempt<S: Simd, F: Field<N, P>, const N: usize, const P: usize>(
        y: &[Lanes<S>; N],
        k1: &[Lanes<S>; N],
        h: Lanes<S>,
        rates: &[Lanes<S>; P],
    ) -> Attempt<S, N>;
}

/// `y + h Σ aⱼ kⱼ`.
#[inline(always)]
fn stage<S: Simd, const N: usize, const K: usize>(
    y: &[Lanes<S>; N],
    h: Lanes<S>,
    a: [f64; K],
    k: [&[Lanes<S>; N]; K],
) -> [Lanes<S>; N] {
    let mut weight = [h; K];
    for j in 0..K {
        weight[j] = h * h.constant(a[j]);
    }
    let mut end = *y;
    for i in 0..N {
        let mut sum = weight[0] * k[0][i];
        for j in 1..K {
            sum = sum + weight[j] * k[j][i];
        }
        end[i] = y[i] + sum;
    }
    end
}

/// `Σ eⱼ kⱼ`.
#[inline(always)]
fn combine<S: Simd, const N: usize, const K: usize>(e: [f64; K], k: [&[Lanes<S>; N]; K]) -> [Lanes<S>; N] {
    let mut total = *k[0];
    for i in 0..N {
        let mut sum = k[0][i].constant(e[0]) * k[0][i];
        for j in 1..K {
            sum = sum + sum.constant(e[j]) * k[j][i];
        }
        total[i] = sum;
    }
    total
}

/// Bogacki and Shampine 1989 (Appl Math Lett 2:321), order 3 with an error estimate of order 2.
pub(super) struct BogackiShampine;

impl Pair for BogackiShampine {
    const ROOTS: usize = 3;

    #[inline(always)]
    fn attempt<S: Simd, F: Field<N, P>, const N: usize, const P: usize>(
        y: &[Lanes<S>; N],
        k1: &[Lanes<S>; N],
        h: Lanes<S>,
        rates: &[Lanes<S>; P],
    ) -> Attempt<S, N> {
        let k2 = F::slope(&stage(y, h, [0.5], [k1]), rates);
        let k3 = F::slope(&stage(y, h, [0.75], [&k2]), rates);
        let state = stage(y, h, [2.0 / 9.0, 1.0 / 3.0, 4.0 / 9.0], [k1, &k2, &k3]);
        let slope = F::slope(&state, rates);
        let defect = combine([-5.0 / 72.0, 1.0 / 12.0, 1.0 / 9.0, -1.0 / 8.0], [k1, &k2, &k3, &slope]);
        Attempt { state, slope, defect }
    }
}

/// Dormand and Prince 1980 (J Comput Appl Math 6:19), order 5 with an error estimate of order 4.
pub(super) struct DormandPrince;

impl Pair for DormandPrince {
    const ROOTS: usize = 4;

    #[inline(always)]
    fn attempt<S: Simd, F: Field<N, P>, const N: usize, const P: usize>(
        y: &[Lanes<S>; N],
        k1: &[Lanes<S>; N],
        h: Lanes<S>,
        rates: &[Lanes<S>; P],
    ) -> Attempt<S, N> {
        let k2 = F::slope(&stage(y, h, [1.0 / 5.0], [k1]), rates);
        let k3 = F::slope(&stage(y, h, [3.0 / 40.0, 9.0 / 40.0], [k1, &k2]), rates);
        let k4 = F::slope(&stage(y, h, [44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0], [k1, &k2, &k3]), rates);
        let a5 = [19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0];
        let k5 = F::slope(&stage(y, h, a5, [k1, &k2, &k3, &k4]), rates);
        let a6 = [9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0];
        let k6 = F::slope(&stage(y, h, a6, [k1, &k2, &k3, &k4, &k5]), rates);
        let b = [35.0 / 384.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0];
        let state = stage(y, h, b, [k1, &k3, &k4, &k5, &k6]);
        let slope = F::slope(&state, rates);
        let e = [71.0 / 57600.0, -71.0 / 16695.0, 71.0 / 1920.0, -17253.0 / 339200.0, 22.0 / 525.0, -1.0 / 40.0];
        let defect = combine(e, [k1, &k3, &k4, &k5, &k6, &slope]);
        Attempt { state, slope, defect }
    }
}
