//! What runs predict: rows of their data, and arms of scenarios that two or more of them were asked for.
//!
//! Means are compared with their Monte-Carlo errors. Draws that repeat one particle are not independent: of n draws with mean m the
//! variance is Σ (Σ (y − m))² / n², the inner sum over the draws of a particle (Liang and Zeger 1986, Biometrika 73:13, of clusters).
//! With many draws that is the variance of a weighted mean, with few that of a sample.

use std::collections::BTreeMap;

use super::posteriors::moments;
use super::{ArmOfAll, Compared, Ensemble, Foreseen, Measured, RowOfAll, ScenarioOfAll};
use crate::report::Input;
use crate::report::arms;
use crate::report::rows::Band;
use crate::report::summary::Summary;
use crate::store::Scenario;

/// Mean of draws, each with its particle; `None` if fewer than two particles have an estimate.
fn mean(draws: impl Iterator<Item = (usize, f64)>) -> Option<Measured> {
    let draws: Vec<(usize, f64)> = draws.filter(|(_, y)| y.is_finite()).collect();
    let n = draws.len() as f64;
    let mean = draws.iter().map(|(_, y)| y).sum::<f64>() / n;
    let mut of_particle: BTreeMap<usize, f64> = BTreeMap::new();
    draws.iter().for_each(|(particle, y)| *of_particle.entry(*particle).or_default() += y - mean);
    let error = of_particle.values().map(|sum| sum * sum).sum::<f64>().sqrt() / n;
    (of_particle.len() > 1).then_some(Measured { value: mean, error })
}

/// Each mean less the first one; `None` of the first and of what has none.
fn apart(means: &[Option<Measured>]) -> Vec<Option<Measured>> {
    let first = means.iter().position(Option::is_some);
    let against = |(k, here): (usize, &Option<Measured>)| {
        let (here, first) = ((*here)?, means[first.filter(|first| *first < k)?]?);
        let error = (here.error * here.error + first.error * first.error).sqrt();
        Some(Measured { value: here.value - first.value, error })
    };
    means.iter().enumerate().map(against).collect()
}

/// Rows that two runs or more have, then others.
pub(super) fn rows(runs: &[Compared<'_>], summaries: &[Summary]) -> Vec<RowOfAll> {
    let mut ids: Vec<&str> = Vec::new();
    let mut known = std::collections::BTreeSet::new();
    ids.extend(summaries.iter().flat_map(|s| &s.rows).map(|r| r.id.as_str()).filter(|id| known.insert(*id)));
    let of = |id: &str| {
        let means: Vec<Option<Measured>> = runs.iter().map(|run| predicted(&run.input, id)).collect();
        RowOfAll {
            id: id.into(),
            runs: summaries.iter().map(|s| s.rows.iter().find(|r| r.id == id).cloned()).collect(),
            apart: apart(&means),
        }
    };
    let mut all: Vec<RowOfAll> = ids.into_iter().map(of).collect();
    all.sort_by_key(|r| r.runs.iter().flatten().count() < 2);
    all
}

/// Mean of a row by the predictive simulations; in a run without them by the weighted summaries of the last generation.
fn predicted(input: &Input<'_>, id: &str) -> Option<Measured> {
    let (header, last) = (input.store.header(), input.store.run().last()?);
    if let Some(of) = input.store.posterior() {
        let row = header.rows.iter().position(|row| row.id == id)?;
        return mean(of.draws.particle.iter().copied().zip(of.values.column(row).iter().copied()));
    }
    let column = header.summaries.iter().position(|column| column.name == id)?;
    Some(moments(&last.summaries.column(column).to_vec(), &last.weights())[0])
}

/// Whether two runs were asked the same.
fn same(a: &Scenario, b: &Scenario) -> bool {
    let ids = |of: &Scenario| of.rows.iter().map(|row| row.id.clone()).collect::<Vec<String>>();
    a.name == b.name && a.text == b.text && a.arms == b.arms && ids(a) == ids(b)
}

/// Scenarios in the order in which the runs have them.
pub(super) fn scenarios(runs: &[Compared<'_>]) -> Vec<ScenarioOfAll> {
    let mut known: Vec<&Scenario> = Vec::new();
    for scenario in runs.iter().flat_map(|run| run.input.store.scenarios()) {
        if !known.iter().any(|other| same(other, scenario)) {
            known.push(scenario);
        }
    }
    known.into_iter().map(|scenario| of_all(scenario, runs)).collect()
}

fn of_all(asked: &Scenario, runs: &[Compared<'_>]) -> ScenarioOfAll {
    let all: Vec<&[Scenario]> = runs.iter().map(|run| run.input.store.scenarios()).collect();
    let have: Vec<Option<&Scenario>> = all.iter().map(|of| of.iter().find(|other| same(other, asked))).collect();
    let ensemble = |(all, have): (&&[Scenario], &Option<&Scenario>)| match have {
        Some(of) => Ok(Ensemble { patients: of.patients, draws: of.particle.len() }),
        None if all.iter().any(|other| other.name == asked.name) => Err("another file under this name".to_string()),
        None => Err("not predicted".to_string()),
    };
    let foreseen = |arm: usize, row: usize| {
        let draws =
            |of: &'_ Scenario| -> Vec<f64> { (0..of.particle.len()).map(|draw| of.posterior[(draw, arm, row)]).collect() };
        let draws: Vec<Option<(&Scenario, Vec<f64>)>> = have.iter().map(|of| of.map(|of| (of, draws(of)))).collect();
        let means: Vec<Option<Measured>> = draws
            .iter()
            .map(|of| of.as_ref().and_then(|(of, values)| mean(of.particle.iter().copied().zip(values.iter().copied()))))
            .collect();
        let of = |(draws, apart): (Option<(&Scenario, Vec<f64>)>, Option<Measured>)| {
            draws.map(|(_, values)| Foreseen { band: Band::of(values.into_iter()), apart })
        };
        draws.into_iter().zip(apart(&means)).map(of).collect()
    };
    let lines = arms::lines(asked);
    let rows = lines.iter().enumerate().flat_map(|(row, line)| {
        let arm = move |(arm, name): (usize, &String)| (arm, name.clone(), row, line);
        asked.arms.iter().enumerate().map(arm)
    });
    let rows = rows.map(|(arm, name, row, line)| ArmOfAll {
        id: line.asked.id.clone(),
        label: line.asked.label.clone(),
        month: line.asked.month,
        arm: name,
        family: line.family(),
        runs: foreseen(arm, row),
    });
    let rows = rows.collect();
    ScenarioOfAll {
        name: asked.name.clone(),
        title: asked.title.clone(),
        runs: all.iter().zip(&have).map(ensemble).collect(),
        rows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws of particles of their own have the error of a plain sample, s / √n; the same drawn thrice have no more to say. Planted:
    /// every draw on its own: the second error is 0.0075 in place of 0.0129.
    #[test]
    fn the_error_of_a_mean_is_that_of_its_particles() {
        let n = 500;
        let values: Vec<f64> = (0..n).map(|i| f64::from(i) / f64::from(n)).collect();
        let m = values.iter().sum::<f64>() / f64::from(n);
        let s = (values.iter().map(|y| (y - m) * (y - m)).sum::<f64>() / f64::from(n)).sqrt();
        let own = || values.iter().copied().enumerate();
        for draws in [own().collect::<Vec<_>>(), own().chain(own()).chain(own()).collect()] {
            let mean = mean(draws.into_iter()).unwrap();
            assert!((mean.value - m).abs() < 1e-12 && (mean.error - s / f64::from(n).sqrt()).abs() < 1e-12, "{mean:?}");
        }
        // What has no estimate is no draw, and one particle no sample.
        assert_eq!(mean([(0, 0.2), (1, 0.4), (2, f64::NAN)].into_iter()), mean([(0, 0.2), (1, 0.4)].into_iter()));
        assert_eq!(mean([(3, 0.2), (3, 0.4)].into_iter()), None);
    }

    /// Planted: the first against itself: 0.0 ± 0.042 in place of none.
    #[test]
    fn differences_are_to_the_first_that_has_the_row() {
        let of = |value, error| Some(Measured { value, error });
        let found = apart(&[None, of(0.5, 0.03), None, of(0.75, 0.04)]);
        assert_eq!(found[..3], [None; 3]);
        let last = found[3].unwrap();
        assert!((last.value - 0.25).abs() < 1e-12 && (last.error - 0.05).abs() < 1e-12, "{last:?}");
    }
}
