//! A calibration: what it came to, ranks as a table and as histograms, true values against what was found.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::Result;
use crate::population::{Calibration, Ranked};
use crate::report::chart::{Axis, Chart, Ink, Mark, Ticks};
use crate::report::figure::{Figure, Glyph};
use crate::report::put_all;
use crate::report::tables::{csv, plain};
use crate::validate::calibration::{BINS, binomial_band};

const SIZE: (f64, f64) = (360.0, 240.0);
/// Share of counts that the band of a histogram holds, of one bin.
const BAND: f64 = 0.99;

/// What a calibration came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibrated {
    /// Data sets.
    pub replicates: usize,
    /// Tolerance at which every run ended.
    pub tolerance: f64,
    /// Particles in a generation.
    pub population: usize,
    /// By parameter.
    pub parameters: Vec<RankedLine>,
    /// The same of the adjusted posterior, if there is one.
    pub adjusted: Option<Vec<RankedLine>>,
}

/// What a calibration came to for one parameter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RankedLine {
    /// Its name.
    pub parameter: String,
    /// Probability of ranks as uneven, if they are uniform.
    pub p_uniform: f64,
    /// Data sets whose central 50 % and 90 % intervals hold the true value; `None` of a whole number, which is judged by ranks alone.
    pub inside: Option<[usize; 2]>,
    /// Probabilities of as many or as few, if coverage is right.
    pub p_coverage: [f64; 2],
    /// Share of the variance of true values that posterior means account for.
    pub recovered: f64,
    /// Whether no test says otherwise.
    pub calibrated: bool,
}

impl Calibrated {
    /// Judges a calibration.
    pub fn of(calibration: &Calibration) -> Calibrated {
        let judge = |lines: &Vec<Ranked>| {
            let line = |line: &Ranked| RankedLine {
                parameter: line.name.clone(),
                p_uniform: line.p_uniform(),
                inside: (!line.whole).then_some(line.inside),
                p_coverage: [line.p_coverage(0), line.p_coverage(1)],
                recovered: line.recovered(),
                calibrated: line.calibrated(lines.len()),
            };
            lines.iter().map(line).collect()
        };
        Calibrated {
            replicates: calibration.lines.first().map_or(0, |line| line.ranks.len()),
            tolerance: calibration.tolerance,
            population: calibration.population,
            parameters: judge(&calibration.lines),
            adjusted: calibration.adjusted.as_ref().map(judge),
        }
    }
}

/// Names of the parameters that are not calibrated.
pub(super) fn off(lines: &[RankedLine]) -> Vec<&str> {
    lines.iter().filter(|line| !line.calibrated).map(|line| line.parameter.as_str()).collect()
}

/// Histograms of ranks and plots of recovery, of each parameter one after the other.
pub(super) fn figures(calibration: &Calibration) -> Vec<Figure> {
    calibration.lines.iter().flat_map(|line| [histogram(line), recovered(line)]).collect()
}

/// Writes `ranks.csv`, `recovery.csv`, a histogram and a plot of true against found values of each parameter into `folder`; what was written.
///
/// # Errors
/// `Io` if the folder cannot be written.
pub fn write_ranks(lines: &[Ranked], folder: &Path) -> Result<Vec<PathBuf>> {
    let names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
    let mut table = format!("replicate,{}\n", names.join(","));
    for i in 0..lines.first().map_or(0, |line| line.ranks.len()) {
        let ranks: Vec<String> = lines.iter().map(|line| line.ranks[i].to_string()).collect();
        table += &format!("{i},{}\n", ranks.join(","));
    }
    let mut recovery = String::from("replicate,parameter,true [coordinate of the prior],posterior_mean [same]\n");
    for line in lines {
        for (i, (truth, found)) in line.recovery.iter().enumerate() {
            recovery += &format!("{i},{},{truth:?},{found:?}\n", line.name);
        }
    }
    let mut files = vec![("ranks.csv".to_string(), table), ("recovery.csv".to_string(), recovery)];
    files.extend(lines.iter().map(|line| (format!("recovery-{}.svg", line.name), recovered(line).standalone())));
    files.extend(lines.iter().map(|line| (format!("ranks-{}.svg", line.name), histogram(line).standalone())));
    put_all(folder, files)
}

fn histogram(line: &Ranked) -> Figure {
    let n = line.ranks.len();
    let (low, high) = binomial_band(n, 1.0 / BINS as f64, BAND);
    let counts = line.histogram();
    let top = 1.2 * counts.iter().copied().chain([high]).max().unwrap_or(1) as f64;
    let x =
        Axis { step: Some(20.0), ..Axis::linear(format!("Rank of the true value among {} draws", Ranked::DRAWS), (0.0, 100.0)) };
    let y = Axis { ticks: Ticks::Few, ..Axis::linear("Data sets", (0.0, top)) };
    let mut chart = Chart::new(x, y, SIZE);
    chart.band(&[(0.0, low as f64, high as f64), (100.0, low as f64, high as f64)], Ink::Prior, 0.3);
    let wide = 100.0 / BINS as f64;
    let steps: Vec<(f64, f64)> = counts
        .iter()
        .enumerate()
        .flat_map(|(k, count)| [(k as f64 * wide, *count as f64), ((k + 1) as f64 * wide, *count as f64)])
        .collect();
    chart.line(&steps, Ink::Posterior, 2.0, false);
    let id = format!("ranks-{}", line.name);
    let about =
        format!("Histogram of {n} ranks in {BINS} bins; the band holds {} % of counts if ranks are uniform.", 100.0 * BAND);
    let svg = chart.draw(&id, &line.name, &about);
    let key = vec![
        (Glyph::Line(Ink::Posterior, false), "data sets".to_string()),
        (Glyph::Patch(Ink::Prior, 30), format!("{} % of counts, if uniform", 100.0 * BAND)),
    ];
    let bin = |(k, count): (usize, &usize)| [plain(k as f64 * wide), plain((k + 1) as f64 * wide), count.to_string()].into();
    let data = csv(&["from [rank]", "to [rank]", "count [data sets]"], counts.iter().enumerate().map(bin));
    Figure { id, title: format!("Ranks of {}", line.name), caption: about, svg, size: SIZE, key, data }
}

/// Posterior means against true values.
fn recovered(line: &Ranked) -> Figure {
    let all = || line.recovery.iter().flat_map(|(truth, found)| [*truth, *found]);
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let pad = 0.05 * (high - low).max(1e-9);
    let range = (low - pad, high + pad);
    let x = Axis { ticks: Ticks::Few, ..Axis::linear("True value", range) };
    let mut chart = Chart::new(x, Axis { ticks: Ticks::Few, ..Axis::linear("Posterior mean", range) }, SIZE);
    chart.line(&[(range.0, range.0), (range.1, range.1)], Ink::Prior, 1.5, true);
    chart.points(&line.recovery, Mark::Dot, 2.5, Ink::Posterior);
    let id = format!("recovery-{}", line.name);
    let about = format!(
        "{} data sets, on the coordinate of the prior (the logarithm of a positive parameter, the logit of a proportion); posterior \
         means account for {} of the variance of true values.",
        line.recovery.len(),
        if line.recovered() > 0.0 { format!("{:.0} %", 100.0 * line.recovered()) } else { "nothing".into() }
    );
    let svg = chart.draw(&id, &line.name, &about);
    let key = vec![
        (Glyph::Point(Ink::Posterior, Mark::Dot), "data sets".to_string()),
        (Glyph::Line(Ink::Prior, true), "found as it was".to_string()),
    ];
    let pair = |(truth, found): &(f64, f64)| [*truth, *found].map(plain).into();
    let data = csv(&["true [coordinate of the prior]", "posterior_mean [same]"], line.recovery.iter().map(pair));
    Figure { id, title: format!("Recovery of {}", line.name), caption: about, svg, size: SIZE, key, data }
}
