//! The tables of a comparison for the terminal.

use super::{Apart, Comparison, Measured, RowOfAll, ScenarioOfAll};
use crate::report::format::{NONE, count, number, percent, signed, significant, value};
use crate::report::models::ModelLine;
use crate::report::text::{self, ascii, cut, distinct};

/// What the last column of predictions is.
const DIFFERENCE: &str = "difference of the means, to the first run, +/- Monte-Carlo error";
/// Widest name.
const NAME: usize = 24;
/// Widest value of a key.
const VALUE: usize = 60;

/// A standard error, which nobody needs to three digits.
pub(super) fn error(x: f64) -> String {
    significant(x, 2)
}

/// Scale, shift, spread and overlap as tables show them.
pub(super) fn cells(apart: Option<Apart>) -> [String; 4] {
    apart.map_or([NONE; 4].map(String::from), |Apart { on, shift, spread, overlap }| {
        let ratio = libm::exp(spread.value);
        [
            on.name().into(),
            format!("{} ± {}", signed(Some(shift.value)), error(shift.error)),
            format!("{ratio:.2} ± {}", error(ratio * spread.error)),
            format!("{:.0} %", 100.0 * overlap),
        ]
    })
}

/// Difference of two means as tables show it: of shares in points.
pub(super) fn difference(apart: Option<Measured>, share: bool) -> String {
    apart.map_or(NONE.into(), |apart| {
        let by = value(apart.value, share);
        let sign = if apart.value > 0.0 && by != value(0.0, share) { "+" } else { "" };
        format!("{sign}{by} ± {}", if share { percent(apart.error) } else { error(apart.error) })
    })
}

/// How each run has predicted a scenario, as in `patients in an arm: 553 (a, b); draws: 400 (a), 100 (b)`.
pub(super) fn ensembles(s: &ScenarioOfAll, names: &[String]) -> String {
    let have = || s.runs.iter().zip(names).filter_map(|(run, name)| Some((run.as_ref().ok()?, name.clone())));
    let names: Vec<String> = have().map(|(_, name)| name).collect();
    let (patients, draws): (Vec<String>, Vec<String>) =
        have().map(|(run, _)| (count(run.patients), count(run.draws as u64))).unzip();
    format!("patients in each arm: {}; draws: {}", grouped(&names, &patients), grouped(&names, &draws))
}

/// Runs of one value of a key, as in `1 (a, b), 2 (c)`.
pub(super) fn grouped(names: &[String], values: &[String]) -> String {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, value) in names.iter().zip(values) {
        match groups.iter_mut().find(|(other, _)| other == value) {
            Some((_, of)) => of.push(name),
            None => groups.push((value, vec![name])),
        }
    }
    groups.iter().map(|(value, of)| format!("{} ({})", cut(value, VALUE), of.join(", "))).collect::<Vec<_>>().join("; ")
}

/// Tables of the terminal.
pub fn comparison_tables(c: &Comparison) -> String {
    let names = distinct(&c.names, NAME);
    let mut out = String::new();
    let facts = |k: usize| {
        [vec![names[k].clone()], c.facts(k).to_vec(), vec![c.digests[k][..16.min(c.digests[k].len())].into()]].concat()
    };
    let fall = if c.summaries.iter().all(|s| s.tempered) { "temperature" } else { "tolerance" };
    let head = ["run", "job", "seed", "generations", fall, "ESS", "simulations", "digest"];
    out += &text::table(&head, (0..names.len()).map(|k| facts(k).iter().map(|cell| cut(cell, NAME)).collect()).collect(), 2);
    let keys: Vec<String> = c.keys.iter().map(|(key, values)| format!("  {key}: {}\n", grouped(&names, values))).collect();
    out += &if keys.is_empty() {
        "\nThe jobs do not differ in any key.\n".to_string()
    } else {
        format!("\nKeys of the job that differ\n{}", ascii(&keys.concat()))
    };
    out.push('\n');
    for agreement in c.agreement.iter().flatten() {
        out += &text::wrap(&ascii(&agreement.text), if agreement.agrees { " " } else { "!" });
    }
    out += &format!("\n{}", parameter_table(c, &names));
    let models = c.models();
    if !models.is_empty() {
        let mut head = vec!["model"];
        head.extend(names.iter().map(String::as_str));
        let line = |(name, lines): &(String, Vec<Option<&ModelLine>>)| {
            let cell = |m: &Option<&ModelLine>| m.map_or(NONE.into(), |m| format!("{} +/- {}", m.cells()[1], m.cells()[2]));
            [cut(name, NAME)].into_iter().chain(lines.iter().map(cell)).collect()
        };
        out += &format!("\nPosterior probability of each model\n{}", text::table(&head, models.iter().map(line).collect(), 1));
    }
    out += &row_table(c, &names);
    out.extend(c.scenarios.iter().filter(|s| s.is_shared()).map(|s| scenario_table(s, &names)));
    let missing: String = c.missing().iter().map(|line| text::wrap(&ascii(line), " ")).collect();
    if missing.is_empty() { out } else { format!("{out}\nNot in every run\n{missing}") }
}

fn parameter_table(c: &Comparison, names: &[String]) -> String {
    let head = ["parameter", "run", "mean", "sd", "5 %", "95 %", "scale", "shift", "spread", "overlap"];
    let mut lines = Vec::new();
    for p in c.parameters.iter().filter(|p| p.runs.iter().flatten().count() > 1) {
        for (k, of) in p.runs.iter().enumerate().filter_map(|(k, run)| Some((k, run.as_ref().ok()?))) {
            let first = p.runs[..k].iter().all(|run| run.is_err());
            let mut line = vec![if first { cut(&p.title, NAME) } else { String::new() }, names[k].clone()];
            line.extend([of.line.mean, of.line.sd, of.line.q05, of.line.q95].map(number));
            line.extend(cells(of.apart).map(|cell| ascii(&cell)));
            lines.push(line);
        }
    }
    if lines.is_empty() {
        return "No two runs infer the same parameter.\n".into();
    }
    format!(
        "Posteriors: mean, sd and quantiles in the unit of the parameter; against the first run, +/- Monte-Carlo error,\n\
         on the scale of the prior, which is named: shift of the mean in sd, and spread as the ratio of the sd\n{}",
        text::table(&head, lines, 2)
    )
}

fn row_table(c: &Comparison, names: &[String]) -> String {
    let mut lines = Vec::new();
    for row in c.rows.iter().filter(|r| r.runs.iter().flatten().count() > 1) {
        for (k, line) in row.runs.iter().enumerate().filter_map(|(k, line)| Some((k, line.as_ref()?))) {
            let first = row.runs[..k].iter().all(Option::is_none);
            let show = |x: f64| value(x, line.share);
            let band = line.posterior.map_or([NONE; 3].map(String::from), |b| [b.median, b.q05, b.q95].map(show));
            let mut cells =
                vec![if first { cut(&row.id, NAME) } else { String::new() }, names[k].clone(), line.role.name().into()];
            cells.push(show(line.observed));
            cells.extend(band);
            cells.push(text::inside(line).into());
            cells.push(ascii(&difference(row.apart[k], line.share)));
            lines.push(cells);
        }
    }
    let shares = c.rows.iter().filter_map(RowOfAll::first).any(|row| row.share);
    let unit = if shares { "in %; " } else { "" };
    let head = ["row", "run", "use", "observed", "median", "5 %", "95 %", "in", "difference"];
    if lines.is_empty() { String::new() } else { format!("\nPredictions ({unit}{DIFFERENCE})\n{}", text::table(&head, lines, 3)) }
}

fn scenario_table(s: &ScenarioOfAll, names: &[String]) -> String {
    let mut lines = Vec::new();
    let mut above = "";
    for row in &s.rows {
        let mut head = [if row.id == above { String::new() } else { cut(&row.id, NAME) }, cut(&row.arm, NAME)];
        above = &row.id;
        for (k, of) in row.runs.iter().enumerate().filter_map(|(k, of)| Some((k, of.as_ref()?))) {
            let band = of.band.map_or([NONE; 3].map(String::from), |b| [b.median, b.q05, b.q95].map(|x| value(x, true)));
            let told = [names[k].clone()].into_iter().chain(band).chain([ascii(&difference(of.apart, true))]);
            lines.push(head.into_iter().chain(told).collect());
            head = Default::default();
        }
    }
    let head = ["row", "arm", "run", "median", "5 %", "95 %", "difference"];
    let title = if s.title.is_empty() { String::new() } else { format!(": {}", s.title) };
    let about = format!("Scenario {}{title}\n{}", s.name, ensembles(s, names));
    format!("\n{}\nIn %; {DIFFERENCE}\n{}", ascii(&about), text::table(&head, lines, 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_value_stand_together() {
        let texts = |of: &[&str]| of.iter().map(|text| text.to_string()).collect::<Vec<String>>();
        assert_eq!(grouped(&texts(&["a", "b", "c"]), &texts(&["1", "2", "1"])), "1 (a, c); 2 (b)");
    }
}
