//! The report of a run: tables for the terminal, and one page with its figures for people who read a trial, not a log.
//!
//! A reader of a [`Store`]: it never simulates, and the same stored run gives the same bytes. The numbers are formed
//! once, in [`Summary`]; the terminal, the page and the CSV tables only print them.
//!
//! ```text
//! Input ─▶ Summary ─┬▶ text      tables of the terminal
//!                   ├▶ figures ─▶ chart (the plotting library)
//!                   ├▶ html      report.html, all figures inline
//!                   ├▶ tables    parameters.csv, rows.csv, models.csv
//!                   └▶ informed, profiles, checks  each of these for what the data say, and predictive checks
//! Input ─▶ export             everything as tidy tables
//! Input ─▶ dashboard, pace    a run at a glance
//! several Inputs ─▶ compare   runs against each other
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use crate::density::Marginal;
use crate::error::{Error, Result};
use crate::population::{Generation, Weights};
use crate::store::{Scenario, Store};
use crate::trial::table::{Row, Table};

mod adjusted;
mod arm_figures;
mod arms;
mod asked;
mod chart;
mod checks;
mod compare;
mod curves;
mod dashboard;
mod density;
mod export;
mod figure;
mod figures;
mod format;
mod heat;
mod html;
mod informed;
mod models;
mod pace;
mod page;
mod pairs;
mod patient;
mod profiles;
mod ranks;
mod rows;
mod screen;
mod sections;
mod summary;
mod tables;
mod text;
mod timeline;
mod verdict;

#[cfg(test)]
mod tests;

pub use adjusted::Adjustment;
pub use checks::{Check, Checks, Reach, Tail};
pub use compare::{
    Agreement, Apart, Compared, Comparison, Measured, Of, On, ParameterOfAll, RowOfAll, comparison_page, comparison_tables,
};
pub use dashboard::{Glance, dashboard, glance};
pub use export::export;
pub use informed::{Direction, Informed};
pub use models::ModelLine;
pub use pace::{ByRank, Work};
pub use page::PAGE_BEGINS;
pub use patient::{patient_events, write_patient};
pub use profiles::ProfileLine;
pub use ranks::{Calibrated, RankedLine, write_ranks};
pub use rows::{Band, RowLine, Skill, Totals, Use};
pub use screen::Screened;
pub use summary::{GenerationLine, ParameterLine, Summary, generations};
pub use verdict::{Finding, Level, Verdict};

/// What a report is made of.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The run.
    pub store: &'a Store,
    /// The prior of every inferred parameter, in the order of the run.
    pub priors: &'a [Marginal],
    /// Distances between pairs of replicate cohorts at one parameter; empty if not measured.
    pub noise_floor: &'a [f64],
    /// Name of each model that is compared, in the order of their numbers, and the coordinates that act in it; empty if there is one
    /// model.
    pub models: &'a [(String, Vec<usize>)],
    /// The observations, if they are those of a trial: endpoints, kinds, and what the baselines are made from.
    pub table: Option<&'a Table>,
}

impl Input<'_> {
    /// Weights of the particles of a generation as far as they tell of coordinate `k`: of models that are compared, those in which it
    /// acts.
    fn weights_of(&self, generation: &Generation, k: usize) -> Weights {
        if self.models.iter().all(|(_, acts)| acts.contains(&k)) {
            return generation.weights();
        }
        let number = generation.theta.ncols() - 1;
        let tells = |i: usize| self.models[generation.theta[(i, number)] as usize].1.contains(&k);
        let ln = |(i, w): (usize, &f64)| if tells(i) { *w } else { f64::NEG_INFINITY };
        Weights::from_ln(&generation.ln_weight.iter().enumerate().map(ln).collect::<Vec<f64>>())
    }
}

/// Writes `report.html`, `parameters.csv`, `rows.csv`, `directions.csv`, `checks.csv`, where models are compared `models.csv`, of a
/// run with profiles `profiles.csv`, and `figures/*.svg` into `folder`, which is created if it is
/// missing; each file is written beside and renamed. Returns what was written, the page first.
///
/// # Errors
/// `Usage` if there are not as many priors as parameters, or no generation is finished; `Io` if a file cannot be written.
pub fn write(input: &Input<'_>, folder: &Path) -> Result<Vec<PathBuf>> {
    let summary = Summary::of(input)?;
    let sections = figures::all(input, &summary);
    let mut files = vec![
        ("report.html".to_string(), html::page(input, &summary, &sections)),
        ("parameters.csv".to_string(), tables::parameters(&summary)),
        ("rows.csv".to_string(), tables::rows(summary.rows.iter())),
        ("directions.csv".to_string(), informed::csv(&summary)),
        ("checks.csv".to_string(), checks::csv(&summary)),
    ];
    if !summary.models.is_empty() {
        files.push(("models.csv".to_string(), tables::models(&summary)));
    }
    if !summary.profiles.is_empty() {
        files.push(("profiles.csv".to_string(), profiles::csv(&summary)));
    }
    files.extend(sections.figures().map(|figure| (format!("figures/{}.svg", figure.id), figure.standalone())));
    put_all(folder, files)
}

/// Writes files into a folder, which is made if it is missing; their paths.
fn put_all(folder: &Path, files: Vec<(String, String)>) -> Result<Vec<PathBuf>> {
    let place = |(name, text): (String, String)| {
        let path = folder.join(name);
        let home = path.parent().unwrap_or(folder);
        fs::create_dir_all(home).map_err(Error::io(home, "create this folder"))?;
        put(&path, &text)?;
        Ok(path)
    };
    files.into_iter().map(place).collect()
}

/// Writes a file beside, and renames it.
///
/// # Errors
/// `Io`.
pub fn put(path: &Path, text: &str) -> Result<()> {
    let beside = path.with_extension("tmp");
    fs::write(&beside, text).and_then(|()| fs::rename(&beside, path)).map_err(Error::io(path, "write"))
}

/// The tables of the terminal, at most 110 columns wide: verdict, posterior, adjusted posterior, rows, modes.
pub fn tables(summary: &Summary) -> String {
    text::all(summary)
}

/// The arms of a scenario against each other, a table for each row, at most 110 columns wide.
pub fn scenario_tables(scenario: &Scenario) -> String {
    arms::tables(scenario)
}

/// The same as one JSON document, with seed and digest of the inference: shares in [0, 1], `null` where no draw has an estimate.
pub fn scenario_json(scenario: &Scenario, seed: u64, inference: &str) -> serde_json::Value {
    arms::json(scenario, seed, inference)
}

/// A row in words, with its month, as figures name it.
pub fn row_words(row: &Row) -> String {
    curves::row_words(row)
}
