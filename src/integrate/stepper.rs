//! The lanes of a batch: step, accept, land on visits, refill.

use std::marker::PhantomData;

use pulp::{Simd, WithSimd};

use super::pair::{self, Pair, Work};
use super::{Cause, Failure, Field, Lanes, MOST_LANES, Mask, Next, Problems, Task, Tolerance};

/// The pair in use. A pair of lower order would need a tighter tolerance to keep every patient's error small.
type Method = pair::DormandPrince;

/// Fraction of the step that the error estimate would allow.
const SAFETY: f64 = 0.9;
/// Least and largest factor between a step and the next.
const FACTORS: (f64, f64) = (0.2, 5.0);
/// Range to which an error, as a share of the tolerance, is cut before the step factor is computed from it.
const SHARES: (f64, f64) = (1e-9, 1e9);
/// Errors below this share of the tolerance count as this share in the controller's memory.
const LEAST_MEMORY: f64 = 1e-3;
/// Beyond this sum of components a state counts as infinite.
const INFINITE: f64 = 1e300;

/// Everything that a run needs, before the width of the registers is known.
pub(super) struct Batch<'a, F, const N: usize, const P: usize> {
    pub problems: &'a mut dyn Problems<N, P>,
    pub tolerance: &'a Tolerance<N>,
    pub field: PhantomData<F>,
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
            tasks: [Task::new(0, 1.0, 1.0, [0.0; N], [0.0; P]); MOST_LANES],
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
            self.attempts.set(lane, task.attempts);
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
        self.memory.set(lane, task.memory);
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
        let share = error.at_most(one.constant(SHARES.1)).at_least(one.constant(SHARES.0));
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
                (task.step, task.memory, task.attempts) = (step, self.memory.get(lane), self.attempts.get(lane));
                problems.visit(lane, task)
            } else {
                problems.fail(lane, task.id, explain::<F, N, P>(task, &self.tolerance, failed));
                Next::Finished
            };
            match next {
                Next::Onward => self.until.set(lane, task.until),
                Next::Altered => {
                    task.memory = 1.0;
                    self.load(lane);
                }
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
