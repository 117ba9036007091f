//! Predictive checks: whether the model, as the prior or the posterior has it, makes data like those observed.
//!
//! A replicate is a trial that the model itself simulates, a fresh virtual cohort, at one draw of the prior or of the posterior.
//! The p-value of a discrepancy T is the share of replicates with T at least as large as of the data, the data counted in
//! (Gelman, Meng and Stern 1996, Stat Sin 6:733; Phipson and Smyth 2010, Stat Appl Genet Mol Biol 9:39). T is
//! * of a row its distance from the mean of the others, in their standard deviations;
//! * of a group, and of all rows, the squared Mahalanobis distance of that residual in the covariance of the published figures, the
//!   one that the job's distance has; without a table of them, in that of the replicates.
//!
//! Data and replicates are treated alike: each is compared with the mean of all others, itself left out. Were the data one more
//! replicate, every p-value of the prior would be uniform, exactly, for any number of draws and any distribution. Those of the
//! posterior are drawn to the middle, since it has seen the data (Meng 1994, Ann Stat 22:1142): a small one weighs more.
//! Of many rows some are small by chance. So a row is called a misfit by its *family-wise* p: the share of replicates of which
//! *some* row is as far out (Westfall and Young 1993, Resampling-Based Multiple Testing).

use ndarray::Array2;
use serde::Serialize;

use crate::density::{cholesky, forward};
use crate::population::Predictive;
use crate::report::Input;
use crate::report::format::{NONE, escape, percent};
use crate::report::page;
use crate::report::rows::Use;
use crate::report::summary::Summary;
use crate::report::tables::{plain, quoted};
use crate::report::text;
use crate::trial::covariance::covariance;
use crate::trial::table::Row;

/// Fewest replicates of a check: with fewer no p is below 5 %.
const FEWEST: usize = 19;
/// A p-value below this is marked.
pub(super) const MARKED: f64 = 0.05;

/// Where the data lie among replicates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Tail {
    /// p-value of the discrepancy.
    pub p: f64,
    /// p-value among all of its kind: of a row that some row is as far out, of a group `p` times the number of groups.
    pub family: f64,
    /// Of a row: data less the mean of the replicates, in their standard deviations; else NaN.
    pub residual: f64,
    /// Of a row: share of replicates below the data, ties half, its rank; else NaN.
    pub below: f64,
}

/// What is checked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// Name of the row or group.
    pub name: String,
    /// Fitted rows in it.
    pub rows: usize,
    /// Whether it is a single row.
    pub row: bool,
    /// Against the prior predictive; `None` without enough replicates.
    pub prior: Option<Tail>,
    /// Against the posterior predictive.
    pub posterior: Option<Tail>,
}

/// Where all data together lie among the draws of the prior, in their own covariance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Reach {
    /// Mahalanobis distance of the data from the prior predictive draws.
    pub distance: f64,
    /// Median distance of a draw from all the others.
    pub usual: f64,
    /// p-value.
    pub p: f64,
}

/// The checks of a run: all rows, groups of several rows, rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Checks {
    /// In that order.
    pub checks: Vec<Check>,
    /// Whether the data as a whole are within reach of the prior.
    pub reach: Option<Reach>,
    /// Replicates of the prior and of the posterior in which every fitted row is known.
    pub replicates: [usize; 2],
}

/// Rows that share patients, and the Cholesky factor of the covariance of their published figures.
struct Group {
    name: String,
    at: Vec<usize>,
    factor: Vec<f64>,
}

/// Residuals of replicates and, last, of the data, each from the mean of all others, (replicate, row).
struct Residuals {
    of: Array2<f64>,
    /// Standard deviation of each row over replicates and data.
    sd: Vec<f64>,
    /// Share of replicates below the data, of each row.
    below: Vec<f64>,
}

impl Residuals {
    /// Replicates with a row that is not known are left out; `None` if too few are left.
    fn of(values: &Array2<f64>, columns: &[usize], observed: &[f64]) -> Option<Residuals> {
        let whole = values.rows().into_iter().filter(|row| columns.iter().all(|k| row[*k].is_finite()));
        let mut rows: Vec<Vec<f64>> = whole.map(|row| columns.iter().map(|k| row[*k]).collect()).collect();
        if rows.len() < FEWEST || columns.is_empty() {
            return None;
        }
        let below = |k: usize| {
            let side = |row: &Vec<f64>| {
                if row[k] < observed[k] {
                    1.0
                } else if row[k] == observed[k] {
                    0.5
                } else {
                    0.0
                }
            };
            rows.iter().map(side).sum::<f64>() / rows.len() as f64
        };
        let below = (0..columns.len()).map(below).collect();
        rows.push(observed.to_vec());
        let n = rows.len() as f64;
        let mean: Vec<f64> = (0..columns.len()).map(|k| rows.iter().map(|row| row[k]).sum::<f64>() / n).collect();
        let sd = |k: usize| (rows.iter().map(|row| (row[k] - mean[k]) * (row[k] - mean[k])).sum::<f64>() / (n - 1.0)).sqrt();
        // From the mean of the others: n / (n − 1) times that from the mean of all.
        let of = Array2::from_shape_fn((rows.len(), columns.len()), |(i, k)| (rows[i][k] - mean[k]) * n / (n - 1.0));
        Some(Residuals { sd: (0..columns.len()).map(sd).collect(), of, below })
    }

    /// Distance of a row of replicate `i` in standard deviations of all; 0 where all are alike.
    fn standard(&self, i: usize, k: usize) -> f64 {
        if self.sd[k] > 0.0 { (self.of[(i, k)] / self.sd[k]).abs() } else { 0.0 }
    }

    /// Share of replicates and data whose discrepancy is at least that of the data, to rounding.
    fn p(&self, discrepancy: impl Fn(usize) -> f64) -> f64 {
        let n = self.of.nrows();
        let limit = discrepancy(n - 1) * (1.0 - 1e-12);
        (0..n).filter(|i| discrepancy(*i) >= limit).count() as f64 / n as f64
    }

    /// A check of each row.
    fn rows(&self) -> Vec<Tail> {
        let (n, m) = self.of.dim();
        let farthest: Vec<f64> = (0..n).map(|i| (0..m).map(|k| self.standard(i, k)).fold(0.0, f64::max)).collect();
        let tail = |k: usize| {
            let own = self.standard(n - 1, k);
            let family = farthest.iter().filter(|far| **far >= own * (1.0 - 1e-12)).count() as f64 / n as f64;
            let residual = if self.sd[k] > 0.0 { self.of[(n - 1, k)] / self.sd[k] } else { 0.0 };
            Tail { p: self.p(|i| self.standard(i, k)), family, residual, below: self.below[k] }
        };
        (0..m).map(tail).collect()
    }

    /// p-value of groups together, by the sum of their squared distances, since they are independent.
    fn groups(&self, groups: &[Group]) -> f64 {
        let squared = |i: usize, group: &Group| {
            let mut residual: Vec<f64> = group.at.iter().map(|k| self.of[(i, *k)]).collect();
            forward(&group.factor, residual.len(), &mut residual);
            residual.iter().map(|y| y * y).sum::<f64>()
        };
        let all: Vec<f64> = (0..self.of.nrows()).map(|i| groups.iter().map(|group| squared(i, group)).sum()).collect();
        self.p(|i| all[i])
    }

    /// All rows in the covariance of replicates and data: squared Mahalanobis distance of each from the others, in the covariance of
    /// the others. `None` where they are too few for a covariance, or it is singular.
    fn distances(&self) -> Option<Vec<f64>> {
        let moving: Vec<usize> = (0..self.sd.len()).filter(|k| self.sd[*k] > 0.0).collect();
        let (n, m) = (self.of.nrows(), moving.len());
        if m == 0 || n < 3 * m + 2 {
            return None;
        }
        // The scatter of all, of residuals from the mean of all, in standard deviations.
        let shrunk = (n - 1) as f64 / n as f64;
        let z: Vec<Vec<f64>> = (0..n).map(|i| moving.iter().map(|k| self.of[(i, *k)] * shrunk / self.sd[*k]).collect()).collect();
        let scatter: Vec<f64> = (0..m * m).map(|at| z.iter().map(|z| z[at / m] * z[at % m]).sum()).collect();
        let factor = cholesky(m, &scatter)?;
        let n = n as f64;
        // Leaving a point out changes mean and scatter by one term (Sherman and Morrison 1950, Ann Math Stat 21:124).
        let left_out = |z: Vec<f64>| {
            let mut z = z;
            forward(&factor, m, &mut z);
            let q: f64 = z.iter().map(|y| y * y).sum();
            (n / (n - 1.0)) * (n / (n - 1.0)) * (n - 2.0) * q / (1.0 - n * q / (n - 1.0)).max(1e-12)
        };
        Some(z.into_iter().map(left_out).collect())
    }
}

/// The tail of what is no single row but one of so many groups.
fn whole(p: f64, groups: usize) -> Tail {
    Tail { p, family: (p * groups as f64).min(1.0), residual: f64::NAN, below: f64::NAN }
}

impl Checks {
    /// From the predictive draws of a run.
    pub(super) fn of(input: &Input<'_>) -> Checks {
        let rows = &input.store.header().rows;
        let fitted: Vec<usize> =
            (0..rows.len()).filter(|k| Use::of(&rows[*k].role) == Use::Fitted && rows[*k].value.is_finite()).collect();
        let observed: Vec<f64> = fitted.iter().map(|k| rows[*k].value).collect();
        let residuals = |p: Option<&Predictive>| p.and_then(|p| Residuals::of(&p.values, &fitted, &observed));
        let (prior, posterior) = (residuals(input.store.prior()), residuals(input.store.posterior()));
        let names: Vec<&str> = fitted.iter().map(|k| rows[*k].id.as_str()).collect();
        let groups = groups(input, &names);
        let mut checks = Vec::new();
        let mut add = |name: &str, rows: usize, check: &dyn Fn(&Residuals) -> Option<Tail>| {
            let [prior, posterior] = [&prior, &posterior].map(|of| of.as_ref().and_then(check));
            checks.push(Check { name: name.into(), rows, row: false, prior, posterior });
        };
        if names.len() > 1 {
            add("all rows", names.len(), &|of| match groups.as_slice() {
                [] => of.distances().map(|all| whole(of.p(|i| all[i]), 1)),
                groups => Some(whole(of.groups(groups), 1)),
            });
            let several: Vec<&Group> = groups.iter().filter(|group| group.at.len() > 1 && groups.len() > 1).collect();
            for group in &several {
                let one = std::slice::from_ref(*group);
                add(&group.name, group.at.len(), &|of| Some(whole(of.groups(one), several.len())));
            }
        }
        let [of_prior, of_posterior] = [&prior, &posterior].map(|of| of.as_ref().map(Residuals::rows));
        checks.extend(names.iter().enumerate().map(|(k, name)| Check {
            name: name.to_string(),
            rows: 1,
            row: true,
            prior: of_prior.as_ref().map(|tails| tails[k]),
            posterior: of_posterior.as_ref().map(|tails| tails[k]),
        }));
        checks.retain(|check| check.prior.is_some() || check.posterior.is_some());
        let replicates = [&prior, &posterior].map(|of| of.as_ref().map_or(0, |of| of.of.nrows() - 1));
        Checks { checks, reach: prior.as_ref().and_then(reach), replicates }
    }
}

fn reach(prior: &Residuals) -> Option<Reach> {
    let squared = prior.distances()?;
    let (data, mut draws) = (squared[squared.len() - 1], squared[..squared.len() - 1].to_vec());
    draws.sort_by(f64::total_cmp);
    Some(Reach { distance: data.sqrt(), usual: draws[draws.len() / 2].sqrt(), p: prior.p(|i| squared[i]) })
}

/// The groups of the table that the named rows belong to; none without a table, or where their covariance is not known.
fn groups(input: &Input<'_>, names: &[&str]) -> Vec<Group> {
    let Some(table) = input.table else { return Vec::new() };
    let rows: Vec<Option<&Row>> = names.iter().map(|name| table.rows().iter().find(|row| row.id == *name)).collect();
    let mut groups: Vec<(&str, Vec<usize>)> = Vec::new();
    for (k, row) in rows.iter().enumerate() {
        let Some(row) = row.filter(|row| row.variance().is_some()) else { return Vec::new() };
        match groups.iter_mut().find(|(name, _)| *name == row.group) {
            Some((_, at)) => at.push(k),
            None => groups.push((&row.group, vec![k])),
        }
    }
    let group = |(name, at): (&str, Vec<usize>)| {
        let own: Vec<&Row> = at.iter().filter_map(|k| rows[*k]).collect();
        Some(Group { name: own.first()?.of_trial(&format!("group {name}")), factor: cholesky(own.len(), &covariance(&own))?, at })
    };
    groups.into_iter().map(group).collect::<Option<_>>().unwrap_or_default()
}

/// A p-value; `*` marks a small one.
fn p(value: f64) -> String {
    if value.is_finite() { format!("{value:.3}{}", if value < MARKED { "*" } else { " " }) } else { NONE.into() }
}

/// Of a check: for prior and posterior, where the data lie, p, and p among all of its kind.
fn cells(check: &Check) -> Vec<String> {
    let of = |tail: Option<Tail>| {
        let number = |x: f64| if x.is_finite() { format!("{x:+.1}") } else { NONE.into() };
        let of = |tail: Tail| [number(tail.residual), percent(tail.below), p(tail.p), p(tail.family)];
        tail.map_or(std::array::from_fn(|_| NONE.into()), of)
    };
    [of(check.prior), of(check.posterior)].concat()
}

/// In the terminal: all rows, groups, and those single rows of which some p is small.
pub(super) fn text(s: &Summary) -> String {
    let small = |check: &Check| [check.prior, check.posterior].into_iter().flatten().any(|tail| tail.p < MARKED);
    let shown: Vec<&Check> =
        s.checks.checks.iter().filter(|check| !check.row || s.checks.checks.len() < 8 || small(check)).collect();
    if s.checks.checks.is_empty() {
        return String::new();
    }
    let line = |check: &&Check| {
        let name = if check.row { check.name.clone() } else { format!("{} ({})", check.name, check.rows) };
        [vec![text::cut(&name, 30)], cells(check)].concat()
    };
    let left = s.checks.checks.len() - shown.len();
    let rest = if left > 0 { format!("{left} more rows, of which no p is below 5 %: checks.csv\n") } else { String::new() };
    format!(
        "Predictive checks (replicates: trials that the model simulates, one a draw; p: share at least as far out)\n\
         prior, posterior: data less mean, in sd of replicates; rank: % of replicates below; all: p among all rows\n{}{rest}{}",
        text::table(
            &["row or group (rows)", "prior", "rank", "p ", "all ", "posterior", "rank", "p ", "all "],
            shown.iter().map(line).collect(),
            1
        ),
        s.checks.reach.map_or(String::new(), |reach| format!("{}\n", text::ascii(&reach.words())))
    )
}

impl Reach {
    /// In words.
    fn words(&self) -> String {
        format!(
            "All rows lie {:.1} from the draws of the prior (Mahalanobis), a draw from the others {:.1} (median); p = {:.3}.",
            self.distance, self.usual, self.p
        )
    }
}

/// On the page.
pub(super) fn html(s: &Summary) -> String {
    let line = |check: &Check| {
        let name = if check.row { escape(&check.name) } else { format!("<b>{}</b> ({} rows)", escape(&check.name), check.rows) };
        let mark = |cell: String| if cell.ends_with('*') { format!("<span class=\"no\">{cell}</span>") } else { cell };
        page::line("", &[vec![name], cells(check).into_iter().map(mark).collect()].concat(), 1)
    };
    let body: String = s.checks.checks.iter().map(line).collect();
    let side = |of: &'static str| [("Residual", "sd of replicates"), ("Rank", "% below"), ("p", of), ("p of all", of)];
    let head = [vec![("Fitted", "")], side("prior").into(), side("posterior").into()].concat();
    format!(
        "<p>Does the model make data like these? A replicate is a trial that the model itself simulates, a fresh virtual cohort at \
         one draw of the prior or of the posterior. p is the share of replicates that are at least as far from the others as the \
         data are: of a row by its distance from the mean, of groups by the squared distance in the covariance of the published \
         figures. <i>p of all</i> is the share of replicates of which some row is as far out: of many rows a few have a small p by \
         chance, and few sets of rows a small p of all. If the prior is off, no fit can help; if the posterior is, the model cannot \
         bend there, or the tolerance is coarse. Posterior p-values have seen the data and are drawn to the middle: a small one \
         weighs more.</p>\n{}<p>{}</p>\n",
        page::table("Data against simulated trials", &head, 1, &body),
        s.checks.reach.map_or(String::new(), |reach| escape(&reach.words()))
    )
}

/// A line for each check.
pub(super) fn csv(s: &Summary) -> String {
    let side = |of: &str| format!("{of}_residual [sd],{of}_rank [1],{of}_p [1],{of}_p_all_rows [1]");
    let mut out = format!("check,rows,{},{}\n", side("prior"), side("posterior"));
    for check in &s.checks.checks {
        let of = |tail: Option<Tail>| tail.map_or([f64::NAN; 4], |t| [t.residual, t.below, t.p, t.family]).map(plain).join(",");
        out += &format!("{},{},{},{}\n", quoted(&check.name), check.rows, of(check.prior), of(check.posterior));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Purpose, Stream};

    const ROWS: usize = 4;

    /// Replicates and data of a normal model, a mean with a normal prior shared by all rows, each row with noise of its own.
    fn data(rng: &mut Stream, draws: usize) -> (Array2<f64>, Vec<f64>) {
        let mut one = |_| {
            let mean = 2.0 * rng.normal();
            (0..ROWS).map(|k| mean + (1.0 + k as f64) * rng.normal()).collect::<Vec<f64>>()
        };
        let all: Vec<Vec<f64>> = (0..=draws).map(&mut one).collect();
        (Array2::from_shape_fn((draws, ROWS), |(i, k)| all[i][k]), all[draws].clone())
    }

    fn group() -> Group {
        let factor = (0..ROWS * ROWS).map(|k| if k / ROWS == k % ROWS { 1.0 + (k % ROWS) as f64 } else { 0.0 }).collect();
        Group { name: "g".into(), at: (0..ROWS).collect(), factor }
    }

    /// Null: the data are one more replicate, so that with 19 replicates p is uniform on 1/20 … 20/20. Of 4000 data sets the share
    /// with p at most 1/20 is 0.05 with sd 0.0034, that with p at most 1/2 is 0.5 with sd 0.0079; within four sd, for four p-values
    /// each, a false alarm in 2000. Planted: replicates that stay in the mean and covariance that they are compared with, and data
    /// that do not; the distance then had 0.22 and 0.64.
    #[test]
    fn p_values_of_the_prior_are_uniform_under_the_truth() {
        let (sets, mut rng) = (4000, Key::root(11).stream(Purpose::Pilot));
        let mut counts = [[0usize; 2]; 4];
        for _ in 0..sets {
            let (values, observed) = data(&mut rng, 19);
            let of = Residuals::of(&values, &[0, 1, 2, 3], &observed).unwrap();
            let distances = of.distances().unwrap();
            let rows = of.rows();
            let family = rows.iter().map(|tail| tail.family).fold(1.0, f64::min);
            for (count, p) in counts.iter_mut().zip([rows[1].p, family, of.groups(&[group()]), of.p(|i| distances[i])]) {
                count[0] += usize::from(p < 0.051);
                count[1] += usize::from(p < 0.501);
            }
        }
        for count in counts {
            let [low, half] = count.map(|count| count as f64 / sets as f64);
            assert!((low - 0.05).abs() < 4.0 * 0.0034 && (half - 0.5).abs() < 4.0 * 0.0079, "{counts:?}");
        }
    }

    /// The closed form of leaving a point out, against leaving it out.
    #[test]
    fn a_distance_is_that_from_the_others_in_their_own_covariance() {
        let (values, observed) = data(&mut Key::root(12).stream(Purpose::Pilot), 40);
        let squared = *Residuals::of(&values, &[0, 1, 2, 3], &observed).unwrap().distances().unwrap().last().unwrap();
        let mean: Vec<f64> = values.columns().into_iter().map(|column| column.sum() / 40.0).collect();
        let covariance: Vec<f64> = (0..ROWS * ROWS)
            .map(|at| {
                let (i, j) = (at / ROWS, at % ROWS);
                values.rows().into_iter().map(|row| (row[i] - mean[i]) * (row[j] - mean[j])).sum::<f64>() / 39.0
            })
            .collect();
        let mut residual: Vec<f64> = observed.iter().zip(&mean).map(|(x, mean)| x - mean).collect();
        forward(&cholesky(ROWS, &covariance).unwrap(), ROWS, &mut residual);
        let directly: f64 = residual.iter().map(|y| y * y).sum();
        assert!((squared / directly - 1.0).abs() < 1e-10, "{squared} {directly}");
    }

    /// A row that is moved by six of its standard deviations is found, and it alone; a shift that breaks the correlation of rows is
    /// seen by the distance and by no row.
    #[test]
    fn a_planted_misfit_is_found_by_name() {
        let mut rng = Key::root(13).stream(Purpose::Pilot);
        let (values, _) = data(&mut rng, 400);
        let observed = [0.5, -1.0, 0.8 + 6.0 * 13f64.sqrt(), 2.0];
        let of = Residuals::of(&values, &[0, 1, 2, 3], &observed).unwrap();
        let far: Vec<bool> = of.rows().iter().map(|tail| tail.family < MARKED).collect();
        assert_eq!(far, [false, false, true, false]);
        assert!(of.groups(&[group()]) < MARKED && of.rows()[2].below == 1.0 && of.rows()[2].residual > 4.0);
        let values = Array2::from_shape_fn((400, 2), |(i, k)| values[(i, 0)] + if k == 1 { 0.1 * values[(i, 3)] } else { 0.0 });
        let of = Residuals::of(&values, &[0, 1], &[2.5, -1.5]).unwrap();
        let reach = reach(&of).unwrap();
        assert!(reach.p < 0.01 && reach.distance > 3.0 * reach.usual, "{reach:?}");
        assert!(of.rows().iter().all(|tail| tail.family > MARKED));
    }
}
