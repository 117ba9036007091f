//! How good a prediction is: its score, and the baselines that it has to beat.
//!
//! The continuous ranked probability score of an ensemble x₁…x_M against an observation y, in the unit of y, 0 for a
//! certain and right forecast; the *fair* estimator (Ferro 2014, QJRMS 140:1917), unbiased for any M:
//! ```text
//! CRPS = 1/M Σ |xᵢ − y| − 1/(2 M (M − 1)) Σᵢ Σⱼ |xᵢ − xⱼ|
//! ```
//! Both baselines know only fitted rows of the same curve of the same trial, and are ensembles like a prediction: a draw takes the fitted
//! figures with their sampling error (normal, cut to [0, 1]), moves the last one on to the month of the held-out row, and
//! adds the sampling error of that row, binomial of its n.
//! * carried forward: the last fitted value stays;
//! * constant hazard: with S the share still free (1 − value of an incidence), S(T) = S₂ (S₂/S₁)^((T − t₂)/(t₂ − t₁)), the
//!   hazard of the last fitted interval (from S = 1 at month 0 if there is but one row).
//!
//! The curve of a survival on treatment that was fitted as annual rates h is S(t) = ∏ (1 − h).

use crate::rng::Stream;
use crate::trial::table::Row;
use crate::trial::vocabulary::{Endpoint, Kind};

/// Fair CRPS of an ensemble; for one member the absolute error; `None` for an empty ensemble.
pub fn crps(ensemble: &[f64], observed: f64) -> Option<f64> {
    if ensemble.is_empty() {
        return None;
    }
    let m = ensemble.len() as f64;
    let error = ensemble.iter().map(|x| (x - observed).abs()).sum::<f64>() / m;
    if ensemble.len() == 1 {
        return Some(error);
    }
    let mut sorted = ensemble.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    // Σᵢ Σⱼ |xᵢ − xⱼ| = 2 Σ (2 i − M − 1) x₍ᵢ₎, i from 1.
    let spread: f64 = sorted.iter().enumerate().map(|(i, x)| (2.0 * i as f64 + 1.0 - m) * x).sum();
    Some(error - spread / (m * (m - 1.0)))
}

/// The last fitted value of the row's curve carried forward, `draws` times; `None` if nothing fitted precedes the row on
/// its curve, or its n is unknown.
pub fn carried_forward(fitted: &[&Row], row: &Row, draws: usize, rng: &mut Stream) -> Option<Vec<f64>> {
    baseline(fitted, row, draws, rng, |points, _| points.last().map_or(1.0, |last| last.1))
}

/// The hazard of the last fitted interval of the row's curve kept constant, `draws` times; `None` as for
/// [`carried_forward`], and for a status that is no curve.
pub fn constant_hazard(fitted: &[&Row], row: &Row, draws: usize, rng: &mut Stream) -> Option<Vec<f64>> {
    let curve = row.kind != Kind::At || row.endpoint == Endpoint::OnTreatment || row.endpoint.reason().is_some();
    let extrapolate = |points: &[(f64, f64)], month: f64| match points {
        [.., (t1, s1), (t2, s2)] if *s1 > 0.0 => s2 * libm::pow(s2 / s1, (month - t2) / (t2 - t1)),
        _ => 0.0,
    };
    if curve { baseline(fitted, row, draws, rng, extrapolate) } else { None }
}

fn baseline(
    fitted: &[&Row],
    row: &Row,
    draws: usize,
    rng: &mut Stream,
    forward: impl Fn(&[(f64, f64)], f64) -> f64,
) -> Option<Vec<f64>> {
    let n = row.n.filter(|n| *n >= 1.0)?.round() as u32;
    let alike = |other: &&&Row| {
        let annual = row.kind == Kind::KmSurvival && other.kind == Kind::Annual;
        other.trial == row.trial
            && other.endpoint == row.endpoint
            && (other.kind == row.kind || annual)
            && other.given == row.given
            && other.month < row.month
    };
    let mut before: Vec<&Row> = fitted.iter().filter(alike).copied().collect();
    before.sort_by(|a, b| a.month.total_cmp(&b.month));
    // Levels where there are any, annual rates (without a gap) otherwise.
    if before.iter().any(|r| r.kind == row.kind) {
        before.retain(|r| r.kind == row.kind);
    } else if before.iter().enumerate().any(|(i, r)| r.month != 12.0 * (i as f64 + 1.0)) {
        return None;
    }
    if before.is_empty() || before.windows(2).any(|pair| pair[0].month == pair[1].month) {
        return None;
    }
    let incidence = !(row.kind == Kind::KmSurvival || row.endpoint == Endpoint::OnTreatment);
    let ensemble = (0..draws).map(|_| {
        let points = drawn_curve(&before, incidence, rng);
        let free = forward(&points, row.month).clamp(0.0, 1.0);
        let p = if incidence { 1.0 - free } else { free };
        rng.binomial(u64::from(n), p) as f64 / f64::from(n)
    });
    Some(ensemble.collect())
}

/// One draw of the fitted curve: (month, share still free), 1 at month 0. The later point of a curve is drawn given the
/// earlier one, so that its error is that of the increment.
fn drawn_curve(rows: &[&Row], incidence: bool, rng: &mut Stream) -> Vec<(f64, f64)> {
    let mut points = vec![(0.0, 1.0)];
    let (mut published, mut relative) = (1.0, 0.0);
    let mut free = 1.0;
    for row in rows {
        let se = row.se.unwrap_or(0.0);
        let step = if row.kind == Kind::Annual {
            (1.0 - row.value) + se * rng.normal()
        } else {
            let level = if incidence { 1.0 - row.value } else { row.value };
            // Var(S)/S² grows along the curve by the variance of ln of the conditional rate.
            let (conditional, total) =
                if published > 0.0 && level > 0.0 { (level / published, se * se / (level * level)) } else { (0.0, relative) };
            published = level;
            let own: f64 = total - relative;
            relative = total.max(relative);
            conditional * (1.0 + own.max(0.0).sqrt() * rng.normal())
        };
        free *= step.clamp(0.0, 1.0);
        points.push((row.month, free));
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Purpose};
    use crate::trial::table::Table;
    use crate::trial::vocabulary::Role;
    use std::path::Path;

    fn iris() -> Table {
        Table::parse(include_str!("../../jobs/data/iris.csv"), Path::new("iris.csv")).unwrap()
    }

    fn mean(x: &[f64]) -> f64 {
        x.iter().sum::<f64>() / x.len() as f64
    }

    fn sd(x: &[f64]) -> f64 {
        let m = mean(x);
        (x.iter().map(|x| (x - m) * (x - m)).sum::<f64>() / (x.len() - 1) as f64).sqrt()
    }

    #[test]
    fn crps_of_a_normal_ensemble_has_its_closed_form() {
        // Null: N(0, 1) against y: y (2 Φ(y) − 1) + 2 φ(y) − 1/√π; at y = 1, Φ = .841344746. Mean over 20 000 ensembles of 10
        // members: unbiased only because fair (the usual estimator is .0564 too high). Standard error about .003.
        let mut rng = Key::root(2).stream(Purpose::Predict);
        let y: f64 = 1.0;
        let phi = (-0.5 * y * y).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let exact = y * (2.0 * 0.841_344_746_068_543 - 1.0) + 2.0 * phi - 1.0 / std::f64::consts::PI.sqrt();
        let scores: Vec<f64> =
            (0..20_000).map(|_| crps(&(0..10).map(|_| rng.normal()).collect::<Vec<_>>(), y).unwrap()).collect();
        let se = sd(&scores) / (scores.len() as f64).sqrt();
        assert!((mean(&scores) - exact).abs() < 5.0 * se && se < 0.004, "{} {exact} {se}", mean(&scores));
    }

    #[test]
    fn crps_by_hand() {
        // Members 0, 1, 3 against 1: errors 1, 0, 2, mean 1; differences 1, 3, 2, twice over 2·3·2 = 12: 1.
        assert!((crps(&[3.0, 0.0, 1.0], 1.0).unwrap() - 0.0).abs() < 1e-15);
        assert_eq!(crps(&[0.25], 1.0), Some(0.75));
        assert_eq!(crps(&[], 1.0), None);
    }

    #[test]
    fn baselines_have_their_mean_and_both_sampling_errors() {
        // Null: means by hand; 20 000 draws, 5 standard errors.
        let table = iris();
        let row = |id: &str| table.rows().iter().find(|row| row.id == id).unwrap();
        let fitted = table.fitted();
        let mut rng = Key::root(4).stream(Purpose::Predict);
        let n = 20_000;
        let near = |x: &[f64], m: f64| (mean(x) - m).abs() < 5.0 * sd(x) / (n as f64).sqrt() + 1e-3;

        let os = carried_forward(&fitted, row("os_96"), n, &mut rng).unwrap();
        assert!(near(&os, 0.89), "{}", mean(&os));
        let expected = (0.0153f64.powi(2) + 0.89 * 0.11 / 553.0).sqrt();
        assert!((sd(&os) / expected - 1.0).abs() < 0.03, "{} {expected}", sd(&os));

        let os = constant_hazard(&fitted, row("os_96"), n, &mut rng).unwrap();
        assert!(near(&os, 0.89 * (0.89f64 / 0.95).powf(36.0 / 30.0)), "{}", mean(&os));

        let level = 0.967 * 0.925 * 0.952 * 0.983 * 0.992;
        let efs = carried_forward(&fitted, row("efs_96"), n, &mut rng).unwrap();
        assert!(near(&efs, level), "{} {level}", mean(&efs));
        let efs = constant_hazard(&fitted, row("efs_96"), n, &mut rng).unwrap();
        assert!(near(&efs, level * 0.992f64.powi(3)), "{}", mean(&efs));

        let on = constant_hazard(&fitted, row("on_treatment_72"), n, &mut rng).unwrap();
        assert!(near(&on, 0.79f64.powf(72.0 / 30.0)), "{}", mean(&on));
        let chr = carried_forward(&fitted, row("chr_ever_72"), n, &mut rng).unwrap();
        assert!(near(&chr, 0.95), "{}", mean(&chr));
    }

    #[test]
    fn a_row_without_fitted_predecessor_has_no_baseline() {
        let table = iris();
        let mut rng = Key::root(4).stream(Purpose::Predict);
        let have: Vec<&str> = table
            .with_role(Role::HeldOut)
            .into_iter()
            .filter(|row| carried_forward(&table.fitted(), row, 3, &mut rng).is_some())
            .map(|row| row.id.as_str())
            .collect();
        let expected = ["chr_ever_72", "efs_72", "efs_84", "efs_96", "ffp_72", "ffp_84", "ffp_96", "ffp_120"];
        let more = ["os_72", "os_84", "os_96", "os_120", "on_treatment_72", "on_treatment_84", "on_treatment_96"];
        assert_eq!(have, [&expected[..], &more[..]].concat());
    }
}
