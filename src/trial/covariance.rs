//! Covariance of the published estimates of one group, where patients are shared.
//!
//! By the delta method a row is a sum of *atoms*, each with a coefficient: a cumulative incidence F among all patients, or
//! a share p among some of them; a product is F·p, so p·F + F·p to first order. With S = 1 − F:
//!
//! | pair | covariance |
//! |---|---|
//! | one curve at s < t | Var(F(s)) S(t)/S(s): Kaplan-Meier has independent increments |
//! | curves of nested endpoints, a within b, at s ≤ t | F_a(s) S_b(t) / n, scaled to both standard errors |
//! | the same, a at s later than b at t | (P − F_a(s) F_b(t)) / n, P = F_a(t) + (F_a(s) − F_a(t)) (F_b(t) − F_a(t)) / (F_b(s) − F_a(t)): who is in a between t and s comes in proportion from those who were in b by t and those who are by s; curves interpolated in the group |
//! | shares of the same patients, one event within the other | p_small (1 − p_large) / n |
//! | shares at two months, e early and f (within e) late | p_e p_f (1 − r)/r / n, with r the share of e late: independent given r |
//! | exclusive shares (reasons for leaving, staying) | − p q / n |
//! | anything else | 0 |
//!
//! Of two denominators n is the larger: the smaller sample is taken to lie within the larger. The diagonal carries the
//! rounding of the printed figure, step² / 12, which keeps two equal levels of one curve from being a singular pair.

use crate::trial::table::Row;
use crate::trial::vocabulary::{Endpoint, Kind};

#[derive(Clone, Copy, Debug)]
struct Atom<'a> {
    row: &'a Row,
    whole: bool,
    of: Endpoint,
    month: f64,
    /// Incidence or share.
    p: f64,
    se: f64,
}

/// Covariance matrix, row by row, of the errors of these rows; rows of different groups are independent.
pub fn covariance(rows: &[&Row]) -> Vec<f64> {
    let atoms: Vec<Vec<(f64, Atom)>> = rows.iter().map(|row| atoms(row)).collect();
    let m = rows.len();
    let mut matrix = vec![0.0; m * m];
    for i in 0..m {
        matrix[i * m + i] = rows[i].variance().unwrap_or(f64::INFINITY);
        for j in 0..i {
            if rows[i].group != rows[j].group {
                continue;
            }
            let group = |atom: &Atom| atom.row.group == rows[i].group;
            let all: Vec<Atom> = atoms.iter().flatten().map(|(_, atom)| *atom).filter(group).collect();
            let mut sum = 0.0;
            for (c, a) in &atoms[i] {
                for (d, b) in &atoms[j] {
                    sum += c * d * between(a, b, &all);
                }
            }
            matrix[i * m + j] = sum;
            matrix[j * m + i] = sum;
        }
    }
    matrix
}

fn atoms(row: &Row) -> Vec<(f64, Atom<'_>)> {
    let se = row.se.unwrap_or(0.0);
    let atom = |whole, of, p, se| Atom { row, whole, of, month: row.month, p, se };
    match (row.kind, row.level) {
        (Kind::Product, Some((level, level_se))) if level > 0.0 => {
            let p = row.value / level;
            let rest = (se * se - p * p * level_se * level_se).max(0.0).sqrt() / level;
            vec![(p, atom(true, Endpoint::Ccyr, level, level_se)), (level, atom(false, row.endpoint, p, rest))]
        }
        (Kind::KmSurvival, _) => vec![(-1.0, atom(true, row.endpoint, 1.0 - row.value, se))],
        (Kind::KmIncidence, _) => vec![(1.0, atom(true, row.endpoint, row.value, se))],
        (Kind::Ever | Kind::Confirmed, _) if row.given.is_empty() => {
            vec![(1.0, atom(true, row.endpoint, row.value, se))]
        }
        _ => vec![(1.0, atom(false, row.endpoint, row.value, se))],
    }
}

/// Covariance of two atoms: that of one patient's indicators, as a correlation, times both standard errors.
fn between(a: &Atom, b: &Atom, group: &[Atom]) -> f64 {
    if a.whole != b.whole || (a.whole && a.row.given != b.row.given) {
        return 0.0;
    }
    if a.whole && a.of == b.of {
        let (early, late) = if a.month <= b.month { (a, b) } else { (b, a) };
        return if early.p < 1.0 { early.se * early.se * (1.0 - late.p) / (1.0 - early.p) } else { 0.0 };
    }
    let spread = (a.p * (1.0 - a.p) * b.p * (1.0 - b.p)).sqrt();
    if spread <= 0.0 {
        return 0.0;
    }
    let overlap = if a.whole { 1.0 } else { (size(a).min(size(b)) / size(a).max(size(b))).sqrt() };
    let joint = if a.whole { curves(a, b, group) } else { shares(a, b, group) };
    joint / spread * overlap * a.se * b.se
}

/// Of two curves of nested endpoints, per patient.
fn curves(a: &Atom, b: &Atom, group: &[Atom]) -> f64 {
    let (inner, outer) = match (a.of.within(b.of), b.of.within(a.of)) {
        (true, _) => (a, b),
        (_, true) => (b, a),
        _ => return 0.0,
    };
    if inner.month <= outer.month {
        return inner.p * (1.0 - outer.p);
    }
    let inner_then = 1.0 - interpolated(group, inner, outer.month);
    let outer_later = (1.0 - interpolated(group, outer, inner.month)).max(inner.p);
    // Who reached `inner` in between comes from those who had reached `outer` alone by then, or from those who reached
    // both in between, in proportion to their numbers.
    let pool = outer_later - inner_then;
    let early = if pool > 0.0 { ((outer.p - inner_then) / pool).clamp(0.0, 1.0) } else { 1.0 };
    inner_then + (inner.p - inner_then) * early - inner.p * outer.p
}

/// Share of the atom's curve still free at a month: log-linear between the points that the group has, 1 at month 0.
fn interpolated(group: &[Atom], of: &Atom, month: f64) -> f64 {
    let mut points = vec![(0.0, 1.0)];
    points.extend(group.iter().filter(|x| x.whole && x.of == of.of && x.row.given == of.row.given).map(|x| (x.month, 1.0 - x.p)));
    let before = points.iter().filter(|p| p.0 <= month).max_by(|x, y| x.0.total_cmp(&y.0));
    let after = points.iter().filter(|p| p.0 > month).min_by(|x, y| x.0.total_cmp(&y.0));
    match (before, after) {
        (Some(x), Some(y)) if x.1 > 0.0 && y.1 > 0.0 => x.1 * libm::pow(y.1 / x.1, (month - x.0) / (y.0 - x.0)),
        (Some(x), _) => x.1,
        _ => 1.0,
    }
}

/// Of two shares among the same patients, per patient.
fn shares(a: &Atom, b: &Atom, group: &[Atom]) -> f64 {
    let (early, late) = if a.month <= b.month { (a, b) } else { (b, a) };
    let related = |a: &Atom, b: &Atom| a.of.within(b.of) || b.of.within(a.of);
    let nested = |inner: &Atom, outer: &Atom| inner.p.min(outer.p) * (1.0 - inner.p.max(outer.p));
    match (class(a), class(b)) {
        (Class::Ever, Class::Ever) => {
            if early.of.within(late.of) {
                nested(early, late)
            } else if early.month == late.month && late.of.within(early.of) {
                nested(late, early)
            } else if late.of.within(early.of) {
                let bridge = group
                    .iter()
                    .find(|x| !x.whole && x.of == early.of && x.month == late.month && class(x) == Class::Ever && x.p > 0.0);
                bridge.map_or(0.0, |r| early.p * late.p * (1.0 - r.p) / r.p)
            } else {
                0.0
            }
        }
        (Class::Year, Class::Year) if a.month == b.month && related(a, b) => nested(a, b),
        (Class::Status, Class::Status) if a.row.given == b.row.given => {
            let leaving = |x: &Atom| x.of.reason().is_some();
            if a.of == b.of {
                nested(a, b)
            } else if a.month != b.month {
                0.0
            } else if leaving(a) && (leaving(b) || b.of == Endpoint::OnTreatment) || leaving(b) && a.of == Endpoint::OnTreatment {
                -a.p * b.p
            } else if related(a, b) {
                nested(a, b)
            } else {
                0.0
            }
        }
        _ => 0.0,
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Class {
    Ever,
    Year,
    Status,
}

/// Which shares can have patients in common: those who ever reached CCyR, those at risk in a year, those at a month.
fn class(atom: &Atom) -> Class {
    match atom.row.kind {
        Kind::Annual => Class::Year,
        Kind::At => Class::Status,
        _ => Class::Ever,
    }
}

fn size(atom: &Atom) -> f64 {
    atom.row.n.unwrap_or_else(|| atom.p * (1.0 - atom.p) / (atom.se * atom.se).max(1e-12))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Purpose, Stream};
    use crate::trial::estimate::Estimator;
    use crate::trial::history::{History, Plan};
    use crate::trial::table::Table;
    use std::path::Path;

    /// Responses one after the other, each later by an exponential time, some never; nobody leaves.
    fn patient(plan: &Plan, rng: &mut Stream) -> History {
        let mut time = 0.0;
        let mut next = |mean: f64, share: f64| {
            time += if rng.uniform() < share { mean * rng.exponential() } else { f64::INFINITY };
            plan.by(plan.horizon) & !plan.by(time)
        };
        let mut history = History { attended: plan.by(plan.horizon), ..History::default() };
        history.found.chr = next(1.0, 0.97);
        history.found.mcyr = next(5.0, 0.94) & plan.marrow;
        history.found.ccyr = next(4.0, 0.95) & plan.marrow;
        history.found.mmr = next(8.0, 0.9);
        history.found.mr4 = next(15.0, 0.8);
        history.event = if rng.uniform() < 0.2 { 60.0 * rng.uniform() } else { f64::INFINITY };
        history.progressed = if rng.uniform() < 0.4 { history.event } else { f64::INFINITY };
        history
    }

    #[test]
    fn replicate_trials_scatter_as_the_covariance_says() {
        // Null: replicate trials of 553 patients have this covariance C; R = 1500 replicates. A sample correlation has
        // standard error (1 − ρ²)/√R < .026, so that .12 is above 4 of them (false-alarm rate below 56 pairs · 6e-5 = .4 %,
        // and the seed is fixed) and leaves room for the approximations; .2 for a product, whose two factors are not quite
        // independent here (an early responder has had more time for a deeper response). E (r′ C⁻¹ r) = m.
        let plan = Plan::iris(60.0);
        let wanted = "chr,ever,,24\nmcyr,km_incidence,,12\nmcyr,km_incidence,,24\nccyr,km_incidence,,12\nccyr,km_incidence,,18\nccyr,km_incidence,,60\nmmr,product,,12\nmmr,product,,24\nmmr,ever,ccyr,45\nmr4,ever,ccyr,45\nefs,annual,,24\nffp,annual,,24\nefs,km_survival,,12\nefs,km_incidence,,36";
        let parse = |values: &[f64], sizes: &[f64], level: &[f64]| {
            let mut text = String::from(
                "id,fit_role,group,endpoint,kind,given,month,value,n,se,level,level_se,se_basis,definition,reason,source\n",
            );
            for (i, row) in wanted.lines().enumerate() {
                let level = if row.contains("product") {
                    let f = level[i - 6];
                    format!("{f},{}", (f * (1.0 - f) / 553.0).sqrt())
                } else {
                    ",".into()
                };
                // Survival and annual rates of one endpoint are one fact twice: two groups.
                let group = if row.contains("efs,km") { "s" } else { "g" };
                text += &format!("r{i},fit,{group},{row},{:.9},{},,{level},b,d,,s\n", values[i], sizes[i]);
            }
            Table::parse(&text, Path::new("t.csv")).unwrap()
        };
        let m = wanted.lines().count();
        let dummy = parse(&vec![0.5; m], &vec![553.0; m], &[0.9, 0.9]);
        let estimator = Estimator::new(&dummy.fitted(), &plan).unwrap();
        let root = Key::root(12);
        let cohort = |size: u64, key: Key| -> Vec<History> {
            let mut rng = key.stream(Purpose::Simulate);
            (0..size).map(|_| patient(&plan, &mut rng)).collect()
        };
        let big = cohort(100_000, root.child(0));
        let mut truth = vec![0.0; m];
        estimator.estimate(&big, &mut truth);
        let marrow_24 = big.iter().filter(|h| h.found.ccyr & plan.by(24.0) != 0).count() as f64 / 1e5;
        let sizes: Vec<f64> = (0..m)
            .map(|i| match i {
                6 => 553.0 * truth[3],
                7 => 553.0 * marrow_24,
                8 | 9 => 553.0 * truth[5],
                10 | 11 => 553.0 * truth[12],
                _ => 553.0,
            })
            .collect();
        let table = parse(&truth, &sizes, &[truth[3], marrow_24]);
        let rows = table.fitted();
        let expected = covariance(&rows);
        let replicates = 1500;
        let mut scatter = vec![0.0; m * m];
        let distance = crate::distance::trial::Trial::new(&rows, &Default::default()).unwrap();
        let mut squared = 0.0;
        for replicate in 1..=replicates {
            let mut out = vec![0.0; m];
            estimator.estimate(&cohort(553, root.child(replicate)), &mut out);
            let d = crate::distance::Distance::distance(&distance, &out);
            squared += d * d / replicates as f64;
            for i in 0..m {
                for j in 0..m {
                    scatter[i * m + j] += (out[i] - truth[i]) * (out[j] - truth[j]) / replicates as f64;
                }
            }
        }
        let correlation = |c: &[f64], i: usize, j: usize| c[i * m + j] / (c[i * m + i] * c[j * m + j]).sqrt();
        for i in 0..m {
            let ratio = (scatter[i * m + i] / expected[i * m + i]).sqrt();
            assert!((ratio - 1.0).abs() < 0.1, "standard error of row {i}: {ratio}");
            for j in (0..i).filter(|j| rows[i].group == rows[*j].group) {
                let (found, said) = (correlation(&scatter, i, j), correlation(&expected, i, j));
                let allowed = if (6..10).contains(&i) { 0.2 } else { 0.12 };
                assert!((found - said).abs() < allowed, "rows {i} and {j}: {found} instead of {said}");
            }
        }
        // SE of the mean of 1500 squared distances of 14 degrees of freedom: .14.
        assert!((squared / m as f64 - 1.0).abs() < 0.08, "{squared} instead of {m}");
    }
}
