//! Closed forms, observed order, independence of width and batch, failures.

use super::*;

/// Logistic growth `y' = r y (1 - c y)`; rates `[r, c]`. `c = 0` is exponential.
struct Logistic;

impl Field<1, 2> for Logistic {
    #[inline(always)]
    fn slope<S: Simd>(y: &[Lanes<S>; 1], r: &[Lanes<S>; 2], slope: &mut [Lanes<S>; 1]) {
        slope[0] = r[0] * y[0] * (y[0].constant(1.0) - r[1] * y[0]);
    }
}

fn logistic(start: f64, r: f64, c: f64, t: f64) -> f64 {
    let grown = start * (r * t).exp();
    grown / (1.0 + c * (grown - start))
}

/// Problem `i` of a list, observed at the given times.
struct List<'a> {
    /// Start, r, c.
    problems: &'a [[f64; 3]],
    times: &'a [f64],
    step: f64,
    /// Multiplies r at the first visit.
    change: f64,
    waiting: usize,
    seen: Vec<Vec<f64>>,
    failures: Vec<Option<Failure>>,
    starts: Vec<usize>,
}

impl Problems<1, 2> for List<'_> {
    fn start(&mut self, _lane: usize) -> Option<Task<1, 2>> {
        let id = self.waiting;
        let &[start, r, c] = self.problems.get(id)?;
        self.waiting += 1;
        self.starts.push(id);
        Some(Task::new(id, self.times[0], self.step, [start], [r, c]))
    }

    fn visit(&mut self, _lane: usize, task: &mut Task<1, 2>) -> Next {
        let seen = &mut self.seen[task.id];
        assert_eq!(task.time, self.times[seen.len()], "lands exactly on the visit");
        seen.push(task.state[0]);
        // Problems differ in length: the id says how many visits are skipped.
        if seen.len() + task.id % 3 >= self.times.len() {
            return Next::Finished;
        }
        task.until = self.times[seen.len()];
        if seen.len() == 1 && self.change != 1.0 {
            task.rates[0] *= self.change;
            task.step = self.step;
            return Next::Altered;
        }
        Next::Onward
    }

    fn fail(&mut self, _lane: usize, id: usize, failure: Failure) {
        self.failures[id] = Some(failure);
    }
}

fn solve<'a>(
    problems: &'a [[f64; 3]],
    times: &'a [f64],
    step: f64,
    change: f64,
    tolerance: &Tolerance<1>,
    width: Width,
) -> List<'a> {
    let n = problems.len();
    let (seen, failures, starts) = (vec![Vec::new(); n], vec![None; n], Vec::new());
    let mut list = List { problems, times, step, change, waiting: 0, seen, failures, starts };
    run::<Logistic, 1, 2>(&mut list, tolerance, width);
    list
}

fn tolerance(relative: f64) -> Tolerance<1> {
    Tolerance { relative, floor: [1e-6], smallest_step: 1e-9, largest_step: 10.0, attempts: 1e5 }
}

/// A hundred problems: decays and growths, some with a ceiling.
fn hundred() -> Vec<[f64; 3]> {
    (0..100).map(|i| f64::from(i) / 100.0).map(|x| [0.1 + x, 2.0 * x - 0.7, if x > 0.3 { x } else { 0.0 }]).collect()
}

#[test]
fn the_global_error_falls_with_the_fifth_power_of_the_step() {
    for problem in [[1.0, -1.0, 0.0], [0.1, 2.0, 1.0]] {
        let [start, r, c] = problem;
        let exact = logistic(start, r, c, 4.0);
        let errors: Vec<f64> = [8.0, 16.0, 32.0]
            .iter()
            .map(|n| {
                let fixed = Tolerance { largest_step: 1.0 / n, ..tolerance(1e12) };
                (solve(&[problem], &[4.0], 1.0 / n, 1.0, &fixed, Width::Best).seen[0][0] - exact).abs()
            })
            .collect();
        for pair in errors.windows(2) {
            let order = (pair[0] / pair[1]).log2();
            assert!((4.8..5.25).contains(&order), "observed order {order} of {problem:?}");
        }
    }
}

#[test]
fn every_problem_is_solved_once_and_its_error_follows_the_tolerance() {
    let problems = hundred();
    let times = [0.3, 1.0, 2.5, 7.0];
    for relative in [1e-3, 1e-6, 1e-9] {
        let list = solve(&problems, &times, 0.1, 1.0, &tolerance(relative), Width::Best);
        assert_eq!(list.starts, (0..100).collect::<Vec<_>>());
        for (id, (&[start, r, c], seen)) in problems.iter().zip(&list.seen).enumerate() {
            assert_eq!(seen.len(), times.len() - id % 3);
            for (y, t) in seen.iter().zip(times) {
                let exact = logistic(start, r, c, t);
                assert!((y / exact - 1.0).abs() < 30.0 * relative, "{id} at {t}: {y} for {exact}, tolerance {relative}");
            }
        }
    }
}

#[test]
fn a_visit_may_change_the_rates() {
    let problems = [[1.0, -0.5, 0.0], [1.0, 0.4, 0.0], [2.0, 0.0, 0.0]];
    let list = solve(&problems, &[1.0, 3.0], 0.1, -2.0, &tolerance(1e-9), Width::Best);
    let exact = (-0.5f64 + 2.0).exp();
    assert!((list.seen[0][1] / exact - 1.0).abs() < 1e-7);
    assert_eq!(list.seen[2], [2.0], "finished early");
}

#[test]
fn bits_depend_neither_on_the_width_nor_on_the_neighbours() {
    let mut problems = hundred();
    let times = [0.3, 1.0, 2.5, 7.0];
    for change in [1.0, -0.5] {
        let alone: Vec<u64> = problems
            .iter()
            .map(|&p| solve(&[p], &times, 0.1, change, &tolerance(1e-5), Width::Scalar).seen[0][1].to_bits())
            .collect();
        // A broken neighbour disturbs nobody.
        problems[40][1] = f64::NAN;
        for width in Width::available() {
            let list = solve(&problems, &times, 0.1, change, &tolerance(1e-5), width);
            for id in (0..100).filter(|&id| id != 40) {
                assert_eq!(list.seen[id][1].to_bits(), alone[id], "{id} at {width:?}");
            }
            assert!(list.failures[40].is_some());
        }
        problems[40] = hundred()[40];
    }
}

#[test]
fn a_problem_that_cannot_be_solved_is_reported_with_time_component_and_cause() {
    // y' = y + y² from 1 is infinite at ln 2; the second has no slope; the third needs 1e8 steps; the last is sound.
    let problems = [[1.0, 1.0, -1.0], [1.0, f64::INFINITY, 0.0], [1.0, -1e8, 0.0], [1.0, -1.0, 0.0]];
    for width in Width::available() {
        let list = solve(&problems, &[4.0], 0.1, 1.0, &tolerance(1e-4), width);
        let failed: Vec<Failure> = list.failures.iter().flatten().copied().collect();
        assert_eq!(failed.len(), 3, "{width:?}: {failed:?}");
        assert!((failed[0].time - std::f64::consts::LN_2).abs() < 1e-3, "{:?}", failed[0]);
        assert_eq!((failed[1].time, failed[1].cause, failed[1].component), (0.0, Cause::NotFinite, 0));
        assert_eq!(failed[2].cause, Cause::TooManySteps, "{width:?}");
        assert!((list.seen[3][0] / (-4.0f64).exp() - 1.0).abs() < 1e-2);
    }
}
