//! Covariance of the published estimates of one group, where patients are shared.
//!
//! By the delta method a row is a sum of *atoms*, each with a coefficient: a cumulative incidence F among all patients, or
//! a share p among some of them; a product is F·p, so p·F + F·p to first order. With S = 1 − F:
//!
//! | pair | covariance |
//! |---|---|
//! | one curve at s < t | Var(F(s)) S(t)/S(s): Kaplan-Meier has independent increments |
//! | curves of nested endpoints, a within b, at s ≤ t | F_a(s) S_b(t) / n, scaled to both standard errors |
//! | the same, a at s later than b at t | as at t, times S_a(s)/S_a(t), with the curve of a interpolated in the group |
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
    let free = interpolated(group, inner, outer.month);
    if free > 0.0 { (1.0 - free) * (1.0 - outer.p) * (1.0 - inner.p) / free } else { 0.0 }
}

/// Share of the atom's curve still free at a month: log-linear between the points that the group has, 1 at month 0.
fn interpolated(group: &[Atom], of: &Atom, month: f64) -> f64 {
    let mut points = vec![(0.0, 1.0)];
    points.extend(
        group.iter().filter(|x| x.whole && x.of == of.of && x.row.given == of.row.given).map(|x| (x.month, 1.0 - x.p)),
    );
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
    let nested = |inner: &Atom, outer: &Atom| inner.p.min(outer.p) * (1.0 - inner.p.max(outer.p));
    match (class(a), class(b)) {
        (Class::Ever, Class::Ever) => {
            if early.of.within(late.of) {
                nested(early, late)
            } else if early.month == late.month && late.of.within(early.of) {
                nested(late, early)
            } else if late.of.within(early.of) {
                let bridge = group.iter().find(|x| {
                    !x.whole && x.of == early.of && x.month == late.month && class(x) == Class::Ever && x.p > 0.0
                });
                bridge.map_or(0.0, |r| early.p * late.p * (1.0 - r.p) / r.p)
            } else {
                0.0
            }
        }
        (Class::Year, Class::Year) if a.month == b.month => {
            if a.of.within(b.of) || b.of.within(a.of) {
                nested(a, b)
            } else {
                0.0
            }
        }
        (Class::Status, Class::Status) if a.row.given == b.row.given => {
            let leaving = |x: &Atom| x.of.reason().is_some();
            if a.of == b.of {
                nested(a, b)
            } else if a.month != b.month {
                0.0
            } else if leaving(a) && (leaving(b) || b.of == Endpoint::OnTreatment)
                || leaving(b) && a.of == Endpoint::OnTreatment
            {
                -a.p * b.p
            } else if a.of.within(b.of) || b.of.within(a.of) {
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
