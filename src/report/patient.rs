//! One virtual patient as a table and figures.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::model::cml::signaling::Signals;
use crate::model::cml::state::{CH, CL, CR, E, M, QH, QL, QR, X};
use crate::model::cml::trajectory::Trajectory;
use crate::report::chart::{Axis, Chart, Ink, Ticks};
use crate::report::figures::{Figure, Glyph};

const SIZE: (f64, f64) = (520.0, 300.0);

/// Writes `trajectory.csv` and the figures of a patient into `folder`; what was written.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be written.
pub fn write_patient(of: &Trajectory, name: &str, folder: &Path) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder).map_err(Error::io(folder, "create the folder"))?;
    let mut files = vec![("trajectory.csv".to_string(), table(of))];
    files.extend(figures(of, name).iter().map(|figure| (format!("{}.svg", figure.id), figure.standalone())));
    files
        .into_iter()
        .map(|(file, text)| {
            let path = folder.join(file);
            std::fs::write(&path, text).map_err(Error::io(&path, "write"))?;
            Ok(path)
        })
        .collect()
}

/// Comma-separated values, each column with its unit.
fn table(of: &Trajectory) -> String {
    let names: Vec<String> = Trajectory::columns().iter().map(|(name, unit)| format!("{name} [{unit}]")).collect();
    let mut text = names.join(",") + "\n";
    for i in 0..of.months.len() {
        let row: Vec<String> = of.row(i).iter().map(f64::to_string).collect();
        text += &(row.join(",") + "\n");
    }
    text
}

type Curve<'a> = (&'a str, Box<dyn Fn(usize) -> f64 + 'a>);

fn figures(of: &Trajectory, name: &str) -> Vec<Figure> {
    let y = &of.states;
    let sum = |a: usize, b: usize| move |i: usize| y[i][a] + y[i][b];
    let node = |node: fn(&Signals) -> f64| move |i: usize| node(&of.signals[i][0]);
    let quiescent = move |i: usize| y[i][QL] + y[i][QR];
    vec![
        figure(
            of,
            ["bcr-abl", "BCR-ABL", "% IS", name],
            Some((1e-4, 200.0)),
            vec![("underlying level, without the noise of the assay", Box::new(|i| of.is[i]))],
        ),
        figure(
            of,
            ["stem-cells", "Stem cells", "Cells", name],
            Some((1.0, 2e5)),
            vec![
                ("leukaemic, unmutated", Box::new(sum(QL, CL))),
                ("mutant", Box::new(sum(QR, CR))),
                ("leukaemic, quiescent", Box::new(quiescent)),
                ("normal", Box::new(sum(QH, CH))),
            ],
        ),
        figure(
            of,
            ["niche", "Niche and immunity", "Share of full", name],
            None,
            vec![
                ("stromal remodelling", Box::new(|i| y[i][M])),
                ("immune exhaustion", Box::new(|i| y[i][X])),
                ("effectors / 50", Box::new(|i| y[i][E] / 50.0)),
                ("adhesion", Box::new(node(|s| s.adhesion))),
            ],
        ),
        figure(
            of,
            ["signaling", "Signaling of the unmutated clone", "Activity, 1 = untreated", name],
            None,
            vec![
                ("kinase, progenitors", Box::new(node(|s| s.kinase_mature))),
                ("kinase, stem cells", Box::new(node(|s| s.kinase_stem))),
                ("MEK", Box::new(node(|s| s.mek))),
                ("AKT", Box::new(node(|s| s.akt))),
                ("beta-catenin", Box::new(node(|s| s.wnt))),
                ("STAT5, progenitors", Box::new(node(|s| s.stat5))),
            ],
        ),
    ]
}

/// Curves over months; a logarithmic axis has its range given.
fn figure(of: &Trajectory, [id, title, label, name]: [&str; 4], log: Option<(f64, f64)>, curves: Vec<Curve<'_>>) -> Figure {
    let end = of.months.last().copied().unwrap_or(1.0);
    let step = [3.0, 6.0, 12.0, 24.0].into_iter().find(|step| end / step <= 8.0).unwrap_or(48.0);
    let x = Axis { step: Some(step), ..Axis::linear("Months since start of treatment", (0.0, end)) };
    let y = match log {
        Some(range) => Axis { log: true, ticks: Ticks::Few, ..Axis::linear(label, range) },
        None => Axis::linear(label, (0.0, 1.1)),
    };
    let low = log.map_or(0.0, |range| range.0);
    let mut chart = Chart::new(x, y, SIZE);
    let mut key = Vec::new();
    for (k, (what, value)) in curves.into_iter().enumerate() {
        let ink = Ink::Arm((k % Ink::ARMS) as u8);
        // What is extinct has no logarithm: the line ends at the bottom.
        let points: Vec<(f64, f64)> = of.months.iter().enumerate().map(|(i, month)| (*month, value(i).max(low))).collect();
        chart.line(&points, ink, 2.0, false);
        key.push((Glyph::Line(ink, false), what.to_string()));
    }
    let title = format!("{title}: {name}");
    let svg = chart.draw(id, &title, "One virtual patient at its visits.");
    Figure { id: id.into(), title, caption: String::new(), svg, size: SIZE, key }
}
