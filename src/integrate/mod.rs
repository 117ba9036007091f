//! Initial-value problems side by side: one problem per SIMD lane, each with its own time, step and accept mask.
//!
//! Solves `y' = f(y; rates)` from one visit time to the next with an embedded Runge-Kutta pair. The step of a lane is set
//! by the error of that lane alone (a proportional-integral controller, Gustafsson 1991, ACM TOMS 17:533) and clipped so
//! that the lane lands exactly on its next visit, where scalar code sees the state and may change it. When a problem is
//! finished its lane takes up the next one.
//!
//! Guarantees: the bits of a solution depend neither on the width of the registers nor on the other problems of a batch;
//! nothing is allocated per step; a problem whose step collapses is reported with time and component, and never loops for
//! ever.
//!
//! Small clones, for which cells are whole and chance counts, are in [`birth_death`].

use std::marker::PhantomData;

use pulp::{Arch, Simd, WithSimd};

pub mod birth_death;
mod lanes;
mod pair;
mod stepper;
#[cfg(test)]
mod tests;

pub use lanes::{Lanes, MOST_LANES, Mask};
use stepper::Batch;

/// A right-hand side with `N` components and `P` rates that stay constant between visits.
pub trait Field<const N: usize, const P: usize> {
    /// Writes the slope at state `y`, lane by lane. Must use nothing but the operations of [`Lanes`], or bits may depend on
    /// width; must be `#[inline(always)]` and free of closures, or it is not compiled for the wide instruction sets.
    fn slope<S: Simd>(y: &[Lanes<S>; N], rates: &[Lanes<S>; P], slope: &mut [Lanes<S>; N]);
}

/// One problem on its way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Task<const N: usize, const P: usize> {
    /// Number of the problem.
    pub id: usize,
    /// Present time.
    pub time: f64,
    /// Time of the next visit, after `time`.
    pub until: f64,
    /// Step to try next; above 0.
    pub step: f64,
    /// Error of the last accepted step as a share of the tolerance; 1 at the start, and after a visit that altered something.
    pub memory: f64,
    /// Steps attempted so far.
    pub attempts: f64,
    /// State at `time`.
    pub state: [f64; N],
    /// Rates from `time` on.
    pub rates: [f64; P],
}

impl<const N: usize, const P: usize> Task<N, P> {
    /// A problem that starts at time 0.
    pub fn new(id: usize, until: f64, step: f64, state: [f64; N], rates: [f64; P]) -> Self {
        Task { id, time: 0.0, until, step, memory: 1.0, attempts: 0.0, state, rates }
    }
}

/// What a visit says about the future of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on to the new `until`; state, rates and step were not touched.
    Onward,
    /// Go on to the new `until` with the state, rates and step of the task, which were altered.
    Altered,
    /// The problem is finished, or left for later: a copy of the task, unaltered but for `until`, may be started again, and
    /// goes on as if nothing had been.
    Finished,
}

/// Why a problem could not be solved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Failure {
    /// Time reached.
    pub time: f64,
    /// Component of the state that stood in the way.
    pub component: usize,
    /// What happened.
    pub cause: Cause,
}

/// What stopped a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// State or slope is infinite or not a number.
    NotFinite,
    /// The step that the tolerance asks for is below the smallest.
    StepTooSmall,
    /// The steps exceed [`Tolerance::attempts`].
    TooManySteps,
}

/// Where problems come from and where their solutions go.
pub trait Problems<const N: usize, const P: usize> {
    /// The next problem, which lane `lane` will solve; `None` if there is none left.
    fn start(&mut self, lane: usize) -> Option<Task<N, P>>;

    /// The task in lane `lane` has arrived at its visit: `time == until`. Sets `until` to a later time or finishes.
    fn visit(&mut self, lane: usize, task: &mut Task<N, P>) -> Next;

    /// The problem `id` in lane `lane` cannot be solved; the lane is free.
    fn fail(&mut self, lane: usize, id: usize, failure: Failure);
}

/// Error control. A step is accepted if in every component the estimated local error is at most
/// `relative * (|y| + floor)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance<const N: usize> {
    /// Relative tolerance, above 0.
    pub relative: f64,
    /// Size of each component, in its unit, below which the tolerance is absolute; above 0.
    pub floor: [f64; N],
    /// A step below this is a failure, in units of time; above 0.
    pub smallest_step: f64,
    /// The largest step, in units of time.
    pub largest_step: f64,
    /// Attempted steps per problem beyond which it fails.
    pub attempts: f64,
}

/// The instruction set to use. The choice changes speed, never a bit of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Width {
    /// The widest that this CPU has.
    #[default]
    Best,
    /// One lane.
    Scalar,
    /// Four lanes (x86-64-v3); [`Width::Scalar`] where the CPU lacks them.
    Avx2,
    /// Eight lanes (x86-64-v4); [`Width::Scalar`] where the CPU lacks them.
    Avx512,
}

impl Width {
    /// The widths that this CPU has, narrow to wide, without [`Width::Best`].
    pub fn available() -> Vec<Width> {
        #[allow(unused_mut)]
        let mut all = vec![Width::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(pulp::x86::V3::try_new().map(|_| Width::Avx2));
            all.extend(pulp::x86::V4::try_new().map(|_| Width::Avx512));
        }
        all
    }

    /// Runs an operation with this instruction set.
    #[inline]
    pub fn run<Op: WithSimd>(self, operation: Op) -> Op::Output {
        match self {
            Width::Best => Arch::new().dispatch(operation),
            #[cfg(target_arch = "x86_64")]
            Width::Avx2 => match pulp::x86::V3::try_new() {
                Some(simd) => Simd::vectorize(simd, operation),
                None => operation.with_simd(pulp::Scalar::new()),
            },
            #[cfg(target_arch = "x86_64")]
            Width::Avx512 => match pulp::x86::V4::try_new() {
                Some(simd) => Simd::vectorize(simd, operation),
                None => operation.with_simd(pulp::Scalar::new()),
            },
            _ => operation.with_simd(pulp::Scalar::new()),
        }
    }
}

/// Solves all problems that `problems` hands out.
pub fn run<F: Field<N, P>, const N: usize, const P: usize>(
    problems: &mut dyn Problems<N, P>,
    tolerance: &Tolerance<N>,
    width: Width,
) {
    width.run(Batch { problems, tolerance, field: PhantomData::<F> });
}
