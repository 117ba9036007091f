//! Schedules: which visits a trial plans, and which of them have a marrow examination.

use crate::trial::history::{Plan, Visits};

/// The least distance of two visits in months: a day.
pub const DAY: f64 = 0.03;

/// Visits every so many months up to a month.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    /// Distance of two visits in months; the first visit is this long after the end of the segment before.
    pub every: f64,
    /// End in months since the start of treatment; a visit may fall on it. Infinity: to the horizon.
    pub until: f64,
}

/// When something is examined.
#[derive(Clone, Debug, PartialEq)]
pub enum Times {
    /// At regular times, one segment after the other; the first starts at month 0, where there is no visit.
    Segments(Vec<Segment>),
    /// At these months.
    Months(Vec<f64>),
}

/// What a trial plans: visits with blood counts and PCR, and marrow examinations.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Visits.
    pub molecular: Times,
    /// Marrow examinations; one at a month without a visit makes a visit.
    pub marrow: Times,
}

/// Why a schedule makes no plan, for a caller that knows where the schedule stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// What it is about: `molecular`, `marrow`, or `horizon` for the whole.
    pub key: &'static str,
    /// Which segment or month of that list, from 0.
    pub index: Option<usize>,
    /// What is wrong, with the legal range.
    pub problem: String,
    /// What to do.
    pub fix: String,
}

impl Plan {
    /// The visits of a schedule up to `horizon` months.
    ///
    /// # Errors
    /// A segment or month that is not later than the one before, an `every` below [`DAY`], no visit at all or more than
    /// [`Plan::MOST`], a horizon that is not a number above 0.
    pub fn of(schedule: &Schedule, horizon: f64) -> Result<Plan, Refusal> {
        if !(horizon.is_finite() && horizon > 0.0) {
            let problem = format!("the horizon {horizon} is outside (0, infinity)");
            return Err(Refusal { key: "horizon", index: None, problem, fix: "give it in months, as in 60".into() });
        }
        let plan =
            Plan::joined(&schedule.molecular.months("molecular", horizon)?, &schedule.marrow.months("marrow", horizon)?, horizon);
        let whole = |problem, fix: &str| Err(Refusal { key: "horizon", index: None, problem, fix: fix.into() });
        match plan {
            None => {
                let problem = format!("the schedule has more than {} visits by the horizon {horizon}", Plan::MOST);
                whole(problem, "let visits be less frequent in the later years, or lower the horizon")
            }
            Some(plan) if plan.months.is_empty() => {
                whole(format!("the schedule has no visit by the horizon {horizon}"), "add a visit, or raise the horizon")
            }
            Some(plan) => Ok(plan),
        }
    }

    /// The visits of IRIS: months 1, 2, 3, then every 3 months; marrow at 3, 6, 9, 12 and then every 6 months.
    ///
    /// Haematology was seen more often in the first months and PCR every 3 months from CCyR on. The marrow schedule is an
    /// *assumption*: the published rates at 3, 6, 12 and 18 months demand marrow then, and the later interval is the one
    /// usual in trials of that time. A plan holds 128 visits, here 378 months; later ones are left out.
    pub fn iris(horizon: f64) -> Plan {
        let spread = |first: f64, until: f64, then: f64| {
            let segments = [Segment { every: first, until }, Segment { every: then, until: f64::INFINITY }];
            spread(&segments, horizon, Plan::MOST)
        };
        let months = spread(1.0, 3.0, 3.0);
        let marrow = spread(3.0, 12.0, 6.0);
        // Without marrow beyond the last visit, the two never join to more visits than a plan holds.
        let kept: Vec<f64> = marrow.into_iter().filter(|month| months.contains(month)).collect();
        let none = Plan { months: Vec::new(), marrow: 0, horizon };
        Plan::joined(&months, &kept, horizon).unwrap_or(none)
    }

    /// Visits at all months of both lists; `None` if they are too many.
    fn joined(molecular: &[f64], marrow: &[f64], horizon: f64) -> Option<Plan> {
        let mut months = [molecular, marrow].concat();
        months.sort_by(f64::total_cmp);
        months.dedup();
        let set = |of: &[f64]| {
            let visits = months.iter().enumerate().filter(|(_, month)| of.contains(month));
            visits.fold(0, |set: Visits, (visit, _)| set | 1 << visit)
        };
        (months.len() <= Plan::MOST).then(|| Plan { marrow: set(marrow), months: months.clone(), horizon })
    }
}

impl Times {
    /// The months up to the horizon. One more than a plan can hold is enough to be refused.
    fn months(&self, key: &'static str, horizon: f64) -> Result<Vec<f64>, Refusal> {
        let refusal = |index, problem, fix: &str| Err(Refusal { key, index: Some(index), problem, fix: fix.into() });
        let mut before = 0.0;
        match self {
            Times::Segments(segments) => {
                for (index, &Segment { every, until }) in segments.iter().enumerate() {
                    if !(every.is_finite() && every >= DAY) {
                        let problem = format!("every = {every} is outside [{DAY}, infinity)");
                        return refusal(index, problem, "give the months between two visits, as in 3");
                    }
                    if until.is_nan() || until <= before {
                        let problem = format!("until = {until} is not after month {before}, where the segment starts");
                        return refusal(index, problem, "let each segment end later than the one before, and after month 0");
                    }
                    before = until;
                }
                Ok(spread(segments, horizon, Plan::MOST + 1))
            }
            Times::Months(months) => {
                for (index, &month) in months.iter().enumerate() {
                    if !(month.is_finite() && month > 0.0) {
                        let problem = format!("month {month} is outside (0, infinity)");
                        return refusal(index, problem, "visits come after the start of treatment, month 0");
                    }
                    if exact(month) < exact(before + DAY) {
                        let problem = format!("month {month} is not a day ({DAY} months) after {before}");
                        return refusal(index, problem, "list the months in ascending order, each once");
                    }
                    before = month;
                }
                Ok(months.iter().map(|month| exact(*month)).filter(|month| *month <= horizon).collect())
            }
        }
    }
}

/// The first `most` visits of the segments up to the horizon.
fn spread(segments: &[Segment], horizon: f64, most: usize) -> Vec<f64> {
    let mut months = Vec::new();
    let mut start = 0.0;
    for &Segment { every, until } in segments {
        // Products, not sums, so that a tenth of a month ten times is one.
        let visits = (1..).map(|k| exact(start + f64::from(k) * every));
        months.extend(visits.take_while(|month| *month <= until.min(horizon)).take(most - months.len()));
        start = until;
    }
    months
}

/// The number nearest to the month's first nine decimals: 3 · 0.1 is then the month 0.3 of another list.
fn exact(month: f64) -> f64 {
    (month * 1e9).round() / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(list: &[(f64, f64)]) -> Times {
        Times::Segments(list.iter().map(|&(every, until)| Segment { every, until }).collect())
    }

    fn of(molecular: Times, marrow: Times, horizon: f64) -> Result<Plan, Refusal> {
        Plan::of(&Schedule { molecular, marrow }, horizon)
    }

    fn marrow(plan: &Plan) -> Vec<f64> {
        let visits = plan.months.iter().enumerate().filter(|(visit, _)| plan.marrow >> visit & 1 == 1);
        visits.map(|(_, month)| *month).collect()
    }

    /// The plan of IRIS as it was first written: what every stored result was made with.
    fn first_iris(horizon: f64) -> Plan {
        let mut months: Vec<f64> = [1.0, 2.0].into_iter().filter(|m| *m <= horizon).collect();
        let mut marrow = 0;
        let mut month = 3.0;
        while month <= horizon && months.len() < 64 {
            if month <= 12.0 || month % 6.0 == 0.0 {
                marrow |= 1 << months.len();
            }
            months.push(month);
            month += 3.0;
        }
        Plan { months, marrow, horizon }
    }

    #[test]
    fn the_plan_of_iris_has_marrow_where_rates_are_published() {
        let plan = Plan::iris(96.0);
        assert_eq!(&plan.months[..6], &[1.0, 2.0, 3.0, 6.0, 9.0, 12.0]);
        for month in [3.0, 6.0, 9.0, 12.0, 18.0, 24.0, 96.0] {
            assert_eq!(plan.marrow >> plan.visit(month).unwrap() & 1, 1);
        }
        for month in [1.0, 2.0, 15.0, 21.0, 93.0] {
            assert_eq!(plan.marrow >> plan.visit(month).unwrap() & 1, 0);
        }
        assert_eq!((plan.months.len(), plan.marrow.count_ones()), (34, 18));
    }

    #[test]
    fn the_plan_of_iris_is_the_one_of_stored_results_and_goes_on_after_it() {
        for half_months in 0..=2 * 188 {
            let horizon = f64::from(half_months) / 2.0;
            assert_eq!(Plan::iris(horizon), first_iris(horizon));
        }
        // 2 + 126 visits, the last at 3 · 126.
        for horizon in [378.0, 379.0, 1200.0] {
            let plan = Plan::iris(horizon);
            assert_eq!((plan.months.len(), plan.months.last(), plan.horizon), (128, Some(&378.0), horizon));
            assert_eq!(plan.marrow >> 127, 1);
        }
        let schedule = (segments(&[(1.0, 3.0), (3.0, f64::INFINITY)]), segments(&[(3.0, 12.0), (6.0, f64::INFINITY)]));
        assert_eq!(of(schedule.0, schedule.1, 132.0), Ok(Plan::iris(132.0)));
    }

    #[test]
    fn segments_start_where_the_one_before_ends() {
        let plan = of(segments(&[(1.0, 3.0), (3.0, 120.0)]), segments(&[]), 120.0).unwrap();
        assert_eq!((plan.months.len(), plan.marrow, plan.horizon), (42, 0, 120.0));
        assert_eq!((&plan.months[..5], plan.months[41]), ([1.0, 2.0, 3.0, 6.0, 9.0].as_slice(), 120.0));
        // The first has no visit at its end, 12; the second counts from there; the horizon cuts the third.
        let plan = of(segments(&[(5.0, 12.0), (3.0, 18.0), (12.0, 120.0)]), segments(&[]), 41.0).unwrap();
        assert_eq!((plan.months, plan.horizon), (vec![5.0, 10.0, 15.0, 18.0, 30.0], 41.0));
        // Tenths of months meet whole months and the end.
        let plan = of(segments(&[(0.1, 0.3), (0.7, 7.3)]), Times::Months(vec![0.3, 1.7, 7.3]), 7.3).unwrap();
        assert_eq!((plan.months.len(), plan.months[2], plan.months[12]), (13, 0.3, 7.3));
        assert_eq!(marrow(&plan), [0.3, 1.7, 7.3]);
    }

    #[test]
    fn a_marrow_without_a_visit_makes_one() {
        let plan = of(segments(&[(6.0, 24.0)]), Times::Months(vec![3.0, 6.0, 20.0, 30.0]), 24.0).unwrap();
        assert_eq!(plan.months, [3.0, 6.0, 12.0, 18.0, 20.0, 24.0]);
        assert_eq!(marrow(&plan), [3.0, 6.0, 20.0]);
        let plan = of(Times::Months(vec![]), segments(&[(12.0, 36.0)]), 36.0).unwrap();
        assert_eq!((plan.months, plan.marrow), (vec![12.0, 24.0, 36.0], 0b111));
        let plan = of(Times::Months(vec![3.0, 12.0]), Times::Months(vec![]), 24.0).unwrap();
        assert_eq!((plan.months, plan.marrow, plan.horizon), (vec![3.0, 12.0], 0, 24.0));
    }

    #[test]
    fn a_plan_holds_as_many_visits_as_a_set_has_bits() {
        let plan = of(segments(&[(1.0, 128.0)]), segments(&[(1.0, 128.0)]), 200.0).unwrap();
        assert_eq!((plan.months.len(), plan.marrow), (128, Visits::MAX));
        assert_eq!((plan.by(128.0), plan.before(128.0).count_ones(), plan.by(0.5)), (Visits::MAX, 127, 0));
        // A marrow between two visits is one too many, but not after the horizon.
        for (horizon, refused) in [(127.0, false), (128.0, true)] {
            let plan = of(segments(&[(1.0, 128.0)]), Times::Months(vec![12.5]), horizon);
            assert_eq!(plan.is_err(), refused, "{horizon}");
        }
        let refusal = of(segments(&[(0.03, f64::INFINITY)]), segments(&[]), 1e9).unwrap_err();
        assert_eq!((refusal.key, refusal.index), ("horizon", None));
        assert!(refusal.problem.contains("more than 128 visits by the horizon"), "{refusal:?}");
    }

    #[test]
    fn a_schedule_that_cannot_be_meant_is_refused_where_it_is_wrong() {
        let none = || segments(&[]);
        let months = |list: &[f64]| Times::Months(list.to_vec());
        let cases = [
            (segments(&[(1.0, 3.0), (0.0, 12.0)]), none(), "molecular", Some(1), "every = 0 is outside [0.03"),
            (segments(&[(-1.0, 3.0)]), none(), "molecular", Some(0), "every = -1 is outside"),
            (segments(&[(f64::NAN, 3.0)]), none(), "molecular", Some(0), "every = NaN is outside"),
            (segments(&[(3.0, 12.0), (6.0, 12.0)]), none(), "molecular", Some(1), "until = 12 is not after month 12"),
            (segments(&[(3.0, f64::INFINITY), (6.0, 24.0)]), none(), "molecular", Some(1), "not after month inf"),
            (segments(&[(3.0, 0.0)]), none(), "molecular", Some(0), "until = 0 is not after month 0"),
            (segments(&[(3.0, f64::NAN)]), none(), "molecular", Some(0), "until = NaN is not after"),
            (
                segments(&[(3.0, 12.0)]),
                months(&[3.0, 12.0, 6.0]),
                "marrow",
                Some(2),
                "month 6 is not a day (0.03 months) after 12",
            ),
            (segments(&[(3.0, 12.0)]), months(&[3.0, 3.0]), "marrow", Some(1), "month 3 is not a day"),
            (segments(&[(3.0, 12.0)]), months(&[0.0]), "marrow", Some(0), "month 0 is outside (0, infinity)"),
            (none(), none(), "horizon", None, "no visit by the horizon 24"),
            (segments(&[(30.0, 60.0)]), none(), "horizon", None, "no visit by the horizon 24"),
        ];
        for (molecular, marrow, key, index, problem) in cases {
            let refusal = of(molecular, marrow, 24.0).unwrap_err();
            assert_eq!((refusal.key, refusal.index), (key, index), "{refusal:?}");
            assert!(refusal.problem.contains(problem) && !refusal.fix.is_empty(), "{refusal:?}");
        }
        for horizon in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(of(segments(&[(3.0, 12.0)]), none(), horizon).unwrap_err().problem.contains("outside (0, infinity)"));
        }
    }

    #[test]
    fn the_visit_nearest_to_a_month_is_meant() {
        let plan = of(Times::Months(vec![3.0, 3.2, 3.5, 12.0]), segments(&[]), 24.0).unwrap();
        let nearest = [2.0, 2.6, 3.0, 3.2, 3.3, 3.6, 4.1, 12.5].map(|month| plan.visit(month));
        assert_eq!(nearest, [None, Some(0), Some(0), Some(1), Some(1), Some(2), None, Some(3)]);
        // Of two at one distance the earlier.
        assert_eq!(Plan::iris(12.0).visit(1.5), Some(0));
    }
}
