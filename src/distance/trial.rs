//! Distance of a simulated trial from a published one: d² = Σ over groups g of r′ C_g⁻¹ r.
//!
//! r is simulated minus published, C_g the covariance of the published estimates of group g
//! ([`covariance`](crate::trial::covariance)), so that rows that share patients do not count twice. With weights w,
//! √wᵢ rᵢ stands in place of rᵢ; a row of weight 0 is left out.
//!
//! A simulated trial has a sampling error of the same size as the published one. Two replicate trials at one parameter
//! differ by 2 C, so E d² = tr(C⁻¹ 2 C) = 2 m for m rows (2 Σ w if the weight is constant within groups): at the true
//! parameter d is about √(2 m), and no tolerance much below that can be asked. In units of [`Distance::scale`], √m, it is
//! about √2.

use std::collections::BTreeMap;

use crate::density::{cholesky, colour, forward};
use crate::distance::{Distance, in_ball};
use crate::error::{Error, Result};
use crate::rng::Stream;
use crate::spelling::nearest;
use crate::trial::covariance::covariance;
use crate::trial::estimate::Estimator;
use crate::trial::table::Row;

/// Mahalanobis distance to a table of observations.
#[derive(Clone, Debug)]
pub struct Trial {
    groups: Vec<Group>,
    observed: Vec<f64>,
    weight: f64,
}

#[derive(Clone, Debug)]
struct Group {
    members: Vec<Member>,
    /// Lower Cholesky factor of the covariance, row by row.
    factor: Vec<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    at: usize,
    root_weight: f64,
    variance: f64,
}

impl Trial {
    /// From the rows, in the order of the summaries, and weights by row id or group name (default 1; a row's own weight
    /// times that of its group).
    ///
    /// # Errors
    /// A weight names no row and no group, or is not in [0, infinity), or all are 0; a row has no standard error; the
    /// covariance of a group is not positive definite.
    pub fn new(rows: &[&Row], weights: &BTreeMap<String, f64>) -> Result<Trial> {
        for (name, weight) in weights {
            if !rows.iter().any(|row| row.id == *name || row.group == *name) {
                let known = rows.iter().flat_map(|row| [row.id.as_str(), row.group.as_str()]);
                let fix = format!("did you mean \"{}\"? use the id or the group of a fitted row", nearest(name, known));
                return Err(Error::Usage { problem: format!("weight of \"{name}\": no such row or group"), fix });
            }
            if !(weight.is_finite() && *weight >= 0.0) {
                let problem = format!("weight of \"{name}\": {weight} is outside [0, infinity)");
                return Err(Error::Usage { problem, fix: "1 is neutral, 0 leaves the row out".into() });
            }
        }
        let weight = |row: &Row| {
            let group = if row.group == row.id { None } else { weights.get(&row.group) };
            weights.get(&row.id).unwrap_or(&1.0) * group.unwrap_or(&1.0)
        };
        let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, row) in rows.iter().enumerate().filter(|(_, row)| weight(row) > 0.0) {
            members.entry(row.group.as_str()).or_default().push(at);
        }
        if members.is_empty() {
            let fix = "give at least one row a weight above 0".to_string();
            return Err(Error::Usage { problem: "no row is left to measure a distance by".into(), fix });
        }
        let mut groups = Vec::new();
        for at in members.values_mut() {
            // In the order in which a simulation comes to know them, see `lower_bound`.
            at.sort_by(|a, b| Estimator::settled(rows[*a]).total_cmp(&Estimator::settled(rows[*b])));
            let own: Vec<&Row> = at.iter().map(|at| rows[*at]).collect();
            if let Some(row) = own.iter().find(|row| row.se.is_none()) {
                let problem = format!("row {} has no standard error", row.id);
                return Err(row.error("se", problem, "give se or n, or do not fit the row".into()));
            }
            let matrix = covariance(&own);
            let factor = cholesky(own.len(), &matrix).ok_or_else(|| {
                let problem = format!("the covariance of group {} is not positive definite", own[0].group);
                let problem = own[0].of_trial(&problem);
                let fix = "one fact stands in it twice: make one of the rows context, or give it its own group".into();
                own[0].error("group", problem, fix)
            })?;
            let members = at.iter().enumerate().map(|(i, at)| Member {
                at: *at,
                root_weight: weight(rows[*at]).sqrt(),
                variance: matrix[i * own.len() + i],
            });
            groups.push(Group { members: members.collect(), factor });
        }
        let weight = rows.iter().map(|row| weight(row)).sum();
        Ok(Trial { groups, observed: rows.iter().map(|row| row.value).collect(), weight })
    }
}

impl Group {
    /// r′ C⁻¹ r = |L⁻¹ r|² of the first `count` rows, with r = a − b.
    fn squared(&self, a: &[f64], b: &[f64], count: usize) -> f64 {
        let mut residual: Vec<f64> = self.members[..count].iter().map(|m| (a[m.at] - b[m.at]) * m.root_weight).collect();
        forward(&self.factor, self.members.len(), &mut residual);
        residual.iter().map(|y| y * y).sum()
    }
}

impl Distance for Trial {
    fn between(&self, a: &[f64], b: &[f64]) -> f64 {
        self.groups.iter().map(|group| group.squared(a, b, group.members.len())).sum::<f64>().sqrt()
    }

    fn observed(&self) -> &[f64] {
        &self.observed
    }

    fn with_observed(&self, observed: Vec<f64>) -> Box<dyn Distance> {
        Box::new(Trial { observed, ..self.clone() })
    }

    fn near(&self, summaries: &[f64], radius: f64, rng: &mut Stream) -> Option<Vec<f64>> {
        let mut point = summaries.to_vec();
        let mut ball = in_ball(self.groups.iter().map(|group| group.members.len()).sum(), 2.0, rng);
        let mut rest = &mut ball[..];
        for group in &self.groups {
            let (step, more) = rest.split_at_mut(group.members.len());
            rest = more;
            colour(&group.factor, step);
            group.members.iter().zip(step).for_each(|(m, step)| point[m.at] += radius * *step / m.root_weight);
        }
        Some(point)
    }

    /// r′ C⁻¹ r = |L⁻¹ r|² with a lower triangular L: the first k terms need the first k rows only, and what follows can but
    /// add to them. Nor is it ever below rᵢ² / Cᵢᵢ, for any row i. Per group, the greater of the two.
    fn lower_bound(&self, lower: &[f64], upper: &[f64]) -> f64 {
        let one = |member: &Member| {
            let gap = gap(self.observed[member.at], lower[member.at], upper[member.at]) * member.root_weight;
            gap * gap / member.variance
        };
        let of = |group: &Group| {
            let known = group.members.iter().take_while(|m| lower[m.at] == upper[m.at]).count();
            group.members[known..].iter().map(one).fold(group.squared(lower, &self.observed, known), f64::max)
        };
        let squared: f64 = self.groups.iter().map(of).sum();
        // A bound may be too low, never too high: leave room for rounding.
        squared.sqrt() * (1.0 - 1e-12)
    }

    fn scale(&self) -> Option<f64> {
        Some(self.weight.sqrt())
    }

    fn noisy(&self, summaries: &[f64], rng: &mut Stream) -> Option<Vec<f64>> {
        let mut point = summaries.to_vec();
        for group in &self.groups {
            let mut step: Vec<f64> = group.members.iter().map(|_| rng.normal()).collect();
            colour(&group.factor, &mut step);
            group.members.iter().zip(step).for_each(|(m, step)| point[m.at] += step / m.root_weight);
        }
        Some(point)
    }
}

/// How far a number is from an interval.
pub(crate) fn gap(observed: f64, lower: f64, upper: f64) -> f64 {
    (lower - observed).max(observed - upper).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::table::Table;
    use std::path::Path;

    const HEADER: &str =
        "id,fit_role,group,endpoint,kind,given,month,value,n,se,level,level_se,se_basis,definition,reason,source\n";

    fn table(rows: &str) -> Table {
        Table::parse(&format!("{HEADER}{rows}"), Path::new("t.csv")).unwrap()
    }

    fn trial(table: &Table) -> Trial {
        Trial::new(&table.fitted(), &BTreeMap::new()).unwrap()
    }

    #[test]
    fn a_curve_counts_as_its_increments() {
        // Printed to ten digits: no rounding. S(s) = .4, S(t) = .2; the conditional rate q = S(t)/S(s) is independent of
        // S(s), so d² = (ΔS(s)/se)² + (ΔS(t) − q ΔS(s))² / (Var S(t) − q² Var S(s)).
        let table = table(
            "a,fit,g,ccyr,km_incidence,,12,0.6000000000,,0.02,,,b,d,,s\nb,fit,g,ccyr,km_incidence,,24,0.8000000000,,0.018,,,b,d,,s\n",
        );
        let (x, y): (f64, f64) = (0.01, -0.03);
        let by_hand = (x / 0.02).powi(2) + (y - 0.5 * x).powi(2) / (0.018f64.powi(2) - 0.25 * 0.02f64.powi(2));
        let squared = trial(&table).distance(&[0.6 + x, 0.8 + y]).powi(2);
        assert!((squared - by_hand).abs() < 1e-9, "{squared} {by_hand}");
        let independent = (x / 0.02).powi(2) + (y / 0.018).powi(2);
        assert!((squared - independent).abs() > 0.1);
    }

    #[test]
    fn nested_shares_have_the_multinomial_covariance() {
        let table =
            table("a,fit,g,is1,at,ccyr@6,6,0.9000000000,100,,,,b,d,,s\nb,fit,g,mmr,at,ccyr@6,6,0.5000000000,100,,,,b,d,,s\n");
        let (v, w, c) = (0.9 * 0.1 / 100.0, 0.25 / 100.0, 0.5 * 0.1 / 100.0);
        let matrix = covariance(&table.fitted());
        assert!((matrix[1] - c).abs() < 1e-12 && (matrix[2] - c).abs() < 1e-12);
        let (x, y) = (0.02, 0.05);
        let by_hand = (w * x * x - 2.0 * c * x * y + v * y * y) / (v * w - c * c);
        assert!((trial(&table).distance(&[0.92, 0.55]).powi(2) - by_hand).abs() < 1e-8);
    }

    #[test]
    fn a_product_shares_the_error_of_its_factor() {
        let table = table(
            "a,fit,g,ccyr,km_incidence,,12,0.6900000000,553,0.02,,,b,d,,s\nb,fit,g,mmr,product,,12,0.3450000000,300,,0.69,0.02,b,d,,s\n",
        );
        let matrix = covariance(&table.fitted());
        assert!((matrix[1] - 0.5 * 0.0004).abs() < 1e-12);
        assert!((matrix[3] - (0.25 * 0.0004 + 0.69 * 0.69 * 0.25 / 300.0)).abs() < 1e-9);
    }

    #[test]
    fn groups_weights_and_scale() {
        let table =
            table("a,fit,g,chr,ever,,12,0.5000000000,100,,,,b,d,,s\nb,fit,h,on_treatment,at,,12,0.5000000000,100,,,,b,d,,s\n");
        let rows = table.fitted();
        let weighted = |name: &str, w: f64| Trial::new(&rows, &BTreeMap::from([(name.to_string(), w)]));
        let both = [0.55, 0.60];
        assert!((trial(&table).distance(&both).powi(2) - 5.0).abs() < 1e-6);
        assert!((weighted("a", 4.0).unwrap().distance(&both).powi(2) - 8.0).abs() < 1e-6);
        assert!((weighted("h", 0.0).unwrap().distance(&both).powi(2) - 1.0).abs() < 1e-6);
        assert_eq!(weighted("h", 0.0).unwrap().scale(), Some(1.0));
        assert!(weighted("aa", 1.0).unwrap_err().to_string().contains("\"aa\": no such row or group"));
        assert!(weighted("a", -1.0).is_err() && weighted("a", f64::NAN).is_err());
    }

    fn iris() -> Table {
        Table::parse(include_str!("../../jobs/data/iris.csv"), Path::new("iris.csv")).unwrap()
    }

    #[test]
    fn the_covariance_of_iris_is_positive_definite_for_fitted_and_for_held_out_rows() {
        let table = iris();
        for role in [crate::trial::vocabulary::Role::Fit, crate::trial::vocabulary::Role::HeldOut] {
            let rows = table.with_role(role);
            let trial = Trial::new(&rows, &BTreeMap::new()).unwrap();
            let observed: Vec<f64> = rows.iter().map(|row| row.value).collect();
            assert_eq!(trial.distance(&observed), 0.0);
        }
    }

    /// Null: the distance of a uniform point in a ball of dimension m and radius 5 is 5 U^(1/m): mean 5 m / (m + 1), sd of the mean of
    /// 2000 below 0.004; five of them.
    #[test]
    fn a_point_near_by_is_uniform_in_the_ball() {
        let table = iris();
        let rows = table.fitted();
        let trial = Trial::new(&rows, &BTreeMap::from([("response".to_string(), 0.25)])).unwrap();
        let observed: Vec<f64> = rows.iter().map(|row| row.value).collect();
        let mut rng = crate::rng::Key::root(3).stream(crate::rng::Purpose::Pilot);
        let distances: Vec<f64> = (0..2000).map(|_| trial.distance(&trial.near(&observed, 5.0, &mut rng).unwrap())).collect();
        let m = rows.len() as f64;
        let mean = distances.iter().sum::<f64>() / 2000.0;
        assert!(distances.iter().all(|d| *d <= 5.0 + 1e-9) && (mean - 5.0 * m / (m + 1.0)).abs() < 0.02, "{mean}");
        let moved = trial.near(&observed, 5.0, &mut rng).unwrap();
        assert!((trial.with_observed(moved.clone()).distance(&observed) - trial.distance(&moved)).abs() < 1e-12);
    }

    #[test]
    fn the_bound_is_never_above_the_distance() {
        let table = iris();
        let rows = table.fitted();
        let trial = Trial::new(&rows, &BTreeMap::new()).unwrap();
        let mut rng = crate::rng::Key::root(3).stream(crate::rng::Purpose::Pilot);
        let (mut positive, mut tight) = (0, 0);
        for _ in 0..2000 {
            let point: Vec<f64> = rows.iter().map(|r| r.value + 0.1 * rng.normal()).collect();
            let lower: Vec<f64> = point.iter().map(|x| x - 0.1 * rng.uniform()).collect();
            let upper: Vec<f64> = point.iter().map(|x| x + 0.1 * rng.uniform()).collect();
            let bound = trial.lower_bound(&lower, &upper);
            assert!(bound <= trial.distance(&point));
            positive += u32::from(bound > 1.0);
            // What is known of the rows after a while, and nothing of the others.
            let month = 60.0 * rng.uniform();
            let known = |i: usize| Estimator::settled(rows[i]) <= month;
            let of = |unknown: f64| (0..rows.len()).map(|i| if known(i) { point[i] } else { unknown }).collect::<Vec<_>>();
            let bound = trial.lower_bound(&of(0.0), &of(1.0));
            assert!(bound <= trial.distance(&point));
            tight += u32::from(bound > 0.5 * trial.distance(&point));
            assert!(trial.lower_bound(&point, &point) <= trial.distance(&point));
        }
        assert!(tight > 500, "{tight}");
        assert!(positive > 1000);
    }

    /// Null: the squared distance of data with the noise of m rows is χ² with m degrees of freedom; mean and variance of 4000 within 5
    /// standard errors (the fourth moment about the mean is 12 m (m + 4)). Planted: independent rows of the published standard
    /// errors. Seen: mean 71 of 31.
    #[test]
    fn noise_has_the_published_covariance() {
        let table = iris();
        let rows = table.fitted();
        let trial = Trial::new(&rows, &BTreeMap::new()).unwrap();
        let truth: Vec<f64> = rows.iter().map(|row| row.value).collect();
        let mut rng = crate::rng::Key::root(3).stream(crate::rng::Purpose::Pilot);
        let squares: Vec<f64> = (0..4000).map(|_| trial.distance(&trial.noisy(&truth, &mut rng).unwrap()).powi(2)).collect();
        let (m, n) = (rows.len() as f64, squares.len() as f64);
        let mean = squares.iter().sum::<f64>() / n;
        let variance = squares.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        assert!((mean - m).abs() < 5.0 * (2.0 * m / n).sqrt(), "{mean} of {m}");
        assert!(
            (variance - 2.0 * m).abs() < 5.0 * ((12.0 * m * (m + 4.0) - 4.0 * m * m) / n).sqrt(),
            "{variance} of {}",
            2.0 * m
        );
    }

    #[test]
    fn one_fact_twice_is_refused() {
        let table = table(
            "a,fit,g,ccyr,km_incidence,,12,0.6000000000,,0.02,,,b,d,,s\nb,fit,g,ccyr,km_incidence,,12,0.6000000000,,0.02,,,b,d,,s\n",
        );
        let message = Trial::new(&table.fitted(), &BTreeMap::new()).unwrap_err().to_string();
        assert!(message.contains("group g is not positive definite"), "{message}");
    }
}
