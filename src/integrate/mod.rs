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

use std::marker::PhantomData;

use pulp::{Arch, Simd, WithSimd};

mod lanes;
mod pair;

pub use lanes::{Lanes, MOST_LANES, Mask};
use pair::{Pair, Work};

/// The pair in use: the cheapest at the accuracy that the models here ask for.
type Method = pair::BogackiShampine;

/// Fraction of the step that the error estimate would allow.
const SAFETY: f64 = 0.9;
/// Least and largest factor between a step and the next.
const FACTORS: (f64, f64) = (0.2, 5.0);
/// Errors below this share of the tolerance count as this share in the controller's memory.
const LEAST_MEMORY: f64 = 1e-3;
/// Beyond this sum of components a state counts as infinite.
const INFINITE: f64 = 1e300;

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
    /// Step to try after a start, or after a visit that altered something; above 0.
    pub step: f64,
    /// State at `time`.
    pub state: [f64; N],
    /// Rates from `time` on.
    pub rates: [f64; P],
}

/// What a visit says about the future of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on to the new `until`; state, rates and step were not touched.
    Onward,
    /// Go on to the new `until` with the state, rates and step of the task, which were altered.
    Altered,
    /// The problem is finished.
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
    fn run<Op: WithSimd>(self, operation: Op) -> Op::Output {
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

struct Batch<'a, F, const N: usize, const P: usize> {
    problems: &'a mut dyn Problems<N, P>,
    tolerance: &'a Tolerance<N>,
    field: PhantomData<F>,
}

impl<F: Field<N, P>, const N: usize, const P: usize> WithSimd for Batch<'_, F, N, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut stepper = Stepper::<S, F, N, P>::new(simd, self.tolerance);
        let mut running = 0;
        for lane in 0..S::F64_LANES {
            running += usize::from(stepper.start(lane, self.problems));
        }
        stepper.refresh();
        while running > 0 {
            let events = stepper.step();
            if events.any() {
                running -= stepper.settle(self.problems);
            }
        }
    }
}

/// The lanes of a batch. Aligned so that no register straddles two cache lines.
#[repr(C, align(64))]
struct Stepper<S: Simd, F, const N: usize, const P: usize> {
    work: Work<S, N>,
    state: [Lanes<S>; N],
    rates: [Lanes<S>; P],
    time: Lanes<S>,
    until: Lanes<S>,
    step: Lanes<S>,
    /// Error of the last accepted step, relative to the tolerance.
    memory: Lanes<S>,
    attempts: Lanes<S>,
    /// 1 where a problem is being solved, 0 where the lane is idle.
    busy: Lanes<S>,
    tasks: [Task<N, P>; MOST_LANES],
    tolerance: Tolerance<N>,
    field: PhantomData<F>,
}

impl<S: Simd, F: Field<N, P>, const N: usize, const P: usize> Stepper<S, F, N, P> {
    #[inline(always)]
    fn new(simd: S, tolerance: &Tolerance<N>) -> Self {
        let zero = Lanes::splat(simd, 0.0);
        let one = Lanes::splat(simd, 1.0);
        Stepper {
            state: [zero; N],
            work: Work::new(zero),
            rates: [zero; P],
            time: zero,
            until: one,
            step: one,
            memory: one,
            attempts: zero,
            busy: zero,
            tasks: [Task { id: 0, time: 0.0, until: 1.0, step: 1.0, state: [0.0; N], rates: [0.0; P] }; MOST_LANES],
            tolerance: *tolerance,
            field: PhantomData,
        }
    }

    /// Gives a lane its next problem; false if there is none left.
    #[inline(always)]
    fn start(&mut self, lane: usize, problems: &mut dyn Problems<N, P>) -> bool {
        let task = problems.start(lane);
        self.busy.set(lane, if task.is_some() { 1.0 } else { 0.0 });
        if let Some(task) = task {
            self.tasks[lane] = task;
            self.attempts.set(lane, 0.0);
            self.load(lane);
        }
        task.is_some()
    }

    /// Copies a lane's task into the registers.
    #[inline(always)]
    fn load(&mut self, lane: usize) {
        let task = &self.tasks[lane];
        for (register, x) in self.state.iter_mut().zip(task.state) {
            register.set(lane, x);
        }
        for (register, x) in self.rates.iter_mut().zip(task.rates) {
            register.set(lane, x);
        }
        self.time.set(lane, task.time);
        self.until.set(lane, task.until);
        self.step.set(lane, task.step);
        self.memory.set(lane, 1.0);
    }

    /// Evaluates the slopes anew; where the state has not changed this gives the same bits.
    #[inline(always)]
    fn refresh(&mut self) {
        self.work.begin::<F, P>(&self.state, &self.rates);
    }

    /// Attempts one step in every lane and says where scalar code has to look.
    #[inline(always)]
    fn step(&mut self) -> Mask<S> {
        let one = self.time.constant(1.0);
        // Land on the visit, or go half the way if two steps lead there.
        let left = self.until - self.time;
        let landing = self.step.reaches(left);
        let near = (self.step + self.step).greater(left);
        let h = landing.choose(left, near.choose(left * one.constant(0.5), self.step));

        Method::attempt::<S, F, N, P>(&mut self.work, &self.state, h, &self.rates);
        let error = self.relative_error() * h;
        let mut sum = self.work.state[0];
        for i in 1..N {
            sum = sum + self.work.state[i];
        }
        let accepted = one.reaches(error).and(one.constant(INFINITE).greater(sum.abs()));

        // Step factor SAFETY * (memory / error²)^(1 / 2^ROOTS), cut to FACTORS.
        let share = error.at_most(one.constant(1e9)).at_least(one.constant(1e-9));
        let mut factor = self.memory / (share * share);
        for _ in 0..Method::ROOTS {
            factor = factor.sqrt();
        }
        let factor = (factor * one.constant(SAFETY)).at_least(one.constant(FACTORS.0)).at_most(one.constant(FACTORS.1));
        let next = h * factor;
        // A step cut short by a visit says nothing against the step before it.
        let longer = self.step.greater(h).choose(next.at_least(self.step), next);
        let shorter = h * factor.at_most(one.constant(SAFETY));
        let step = accepted.choose(longer.at_most(one.constant(self.tolerance.largest_step)), shorter);

        self.work.advance::<Method>(&mut self.state, accepted);
        self.time = accepted.choose(landing.choose(self.until, self.time + h), self.time);
        self.memory = accepted.choose(share.at_least(one.constant(LEAST_MEMORY)), self.memory);
        self.step = step;
        self.attempts = self.attempts + one;

        let arrived = accepted.and(landing);
        let collapsed = one.constant(self.tolerance.smallest_step).greater(step);
        let endless = self.attempts.greater(one.constant(self.tolerance.attempts));
        arrived.or(collapsed).or(endless).and(self.busy.greater(one.constant(0.0)))
    }

    /// Largest ratio of `|defect|` to what the tolerance allows, with a single division: `max(a/b, c/d)` is
    /// `max(a d, c b) / (b d)`.
    #[inline(always)]
    fn relative_error(&self) -> Lanes<S> {
        let one = self.time.constant(1.0);
        const CHAINS: usize = 4;
        let mut above = [one.constant(0.0); CHAINS];
        let mut below = [one; CHAINS];
        for i in 0..N {
            let allowed = self.state[i].abs() + one.constant(self.tolerance.floor[i]);
            let (a, b) = (above[i % CHAINS], below[i % CHAINS]);
            above[i % CHAINS] = (a * allowed).at_least(self.work.defect[i].abs() * b);
            below[i % CHAINS] = b * allowed;
        }
        let (a, b) = ((above[0] * below[1]).at_least(above[1] * below[0]), below[0] * below[1]);
        let (c, d) = ((above[2] * below[3]).at_least(above[3] * below[2]), below[2] * below[3]);
        (a * d).at_least(c * b) / (b * d * one.constant(self.tolerance.relative))
    }

    /// Visits, failures and new starts; returns how many lanes fell idle.
    #[inline(always)]
    fn settle(&mut self, problems: &mut dyn Problems<N, P>) -> usize {
        let mut idle = 0;
        let mut altered = false;
        for lane in 0..S::F64_LANES {
            if self.busy.get(lane) == 0.0 {
                continue;
            }
            let (time, step) = (self.time.get(lane), self.step.get(lane));
            let arrived = time == self.tasks[lane].until;
            let failed = step < self.tolerance.smallest_step;
            let endless = self.attempts.get(lane) > self.tolerance.attempts;
            if !(arrived || failed || endless) {
                continue;
            }
            let task = &mut self.tasks[lane];
            task.time = time;
            for (x, register) in task.state.iter_mut().zip(&self.state) {
                *x = register.get(lane);
            }
            let next = if arrived {
                task.step = step;
                problems.visit(lane, task)
            } else {
                problems.fail(lane, task.id, explain::<F, N, P>(task, &self.tolerance, failed));
                Next::Finished
            };
            match next {
                Next::Onward => self.until.set(lane, task.until),
                Next::Altered => self.load(lane),
                Next::Finished => idle += usize::from(!self.start(lane, problems)),
            }
            altered |= next != Next::Onward;
        }
        if altered {
            self.refresh();
        }
        idle
    }
}

/// Finds out why a task cannot go on.
#[cold]
fn explain<F: Field<N, P>, const N: usize, const P: usize>(
    task: &Task<N, P>,
    tolerance: &Tolerance<N>,
    collapsed: bool,
) -> Failure {
    let simd = pulp::Scalar::new();
    let mut slope = [Lanes::splat(simd, 0.0); N];
    F::slope(&task.state.map(|x| Lanes::splat(simd, x)), &task.rates.map(|x| Lanes::splat(simd, x)), &mut slope);
    let urgency = |i: usize| {
        let speed = slope[i].get(0).abs() / (task.state[i].abs() + tolerance.floor[i]);
        if speed.is_finite() { speed } else { f64::INFINITY }
    };
    let mut component = 0;
    for i in 1..N {
        if urgency(i) > urgency(component) {
            component = i;
        }
    }
    let cause = match (urgency(component).is_finite(), collapsed) {
        (false, _) => Cause::NotFinite,
        (true, true) => Cause::StepTooSmall,
        (true, false) => Cause::TooManySteps,
    };
    Failure { time: task.time, component, cause }
}
