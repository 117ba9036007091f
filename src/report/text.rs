//! Tables of the terminal: aligned, plain ASCII, at most 110 columns.

use crate::report::checks;
use crate::report::format::{number, signed, value};
use crate::report::informed;
use crate::report::models::ModelLine;
use crate::report::profiles;
use crate::report::rows::{RowLine, Skill, Totals, Use};
use crate::report::summary::{GenerationLine, Summary};
use crate::report::verdict::Level;

/// Widest line.
const WIDTH: usize = 110;
/// Models whose probabilities by generation stand side by side, at most.
const MODELS: usize = 6;
/// Widest name of a row or parameter; longer ones end in `~`.
const NAME: usize = 24;

/// Verdict, models, posterior, adjusted posterior, directions, rows and modes, one under the other.
pub fn all(s: &Summary) -> String {
    let adjusted = s.adjusted.as_ref().map_or_else(String::new, |adjusted| adjusted.text(&s.parameters));
    let mut parts = vec![verdict(s), models(s), parameters(s), adjusted, informed::text(s), rows(s)];
    if s.predictive {
        parts.push(totals(s));
        parts.push(checks::text(s));
    }
    if !s.modes.is_empty() {
        parts.push(modes(s));
        parts.push(profiles::text(s));
    }
    parts.retain(|p| !p.is_empty());
    parts.join("\n")
}

/// The findings, one to a paragraph; `!` marks a warning, `-` a note.
pub fn verdict(s: &Summary) -> String {
    let mut out = format!("{}\n", ascii(&s.name));
    for finding in &s.verdict.findings {
        let mark = match finding.level {
            Level::Good => ' ',
            Level::Note => '-',
            Level::Warning => '!',
        };
        out.push_str(&wrap(&ascii(&finding.text), &format!("{mark} {:<14}", finding.about)));
    }
    out
}

/// The models that were compared, a line for each.
pub fn models(s: &Summary) -> String {
    if s.models.is_empty() {
        return String::new();
    }
    let head = ["model", "probability", "+/-", "ln Bayes factor", "+/-", "particles"];
    let cells = |m: &ModelLine| {
        let mut cells = m.cells().to_vec();
        cells[0] = cut(&m.name, NAME);
        cells.iter().map(|cell| ascii(cell)).collect()
    };
    let mut out = format!(
        "Models (+/-: Monte-Carlo standard error; Bayes factor over the likeliest; even odds before the data)\n{}",
        table(&head, s.models.iter().map(cells).collect(), 1)
    );
    // How much of it is the tolerance: as many models as a line holds.
    if s.models.len() <= MODELS {
        let names: Vec<String> = distinct(&s.models.iter().map(|m| m.name.clone()).collect::<Vec<_>>(), 14);
        let fallen = if s.tempered { "temperature" } else { "tolerance" };
        let head: Vec<&str> = ["generation", fallen].into_iter().chain(names.iter().map(String::as_str)).collect();
        let line = |g: &GenerationLine| {
            let head = [g.number.to_string(), if g.tolerance.is_finite() { number(g.tolerance) } else { "inf".into() }];
            head.into_iter().chain(s.models.iter().map(|m| format!("{:.3}", m.course[g.number]))).collect()
        };
        out += &format!("\n{}", table(&head, s.generations.iter().map(line).collect(), 0));
    }
    out
}

/// The posterior, a line per parameter.
pub fn parameters(s: &Summary) -> String {
    let mode = if s.refined { "refined mode" } else { "densest" };
    let head = ["parameter", "unit", "mean", "sd", "5 %", "95 %", mode, "contraction"];
    let lines = s.parameters.iter().map(|p| {
        let numbers = [p.mean, p.sd, p.q05, p.q95, p.mode].map(number);
        let mut line = vec![cut(&p.name, NAME), cut(&p.unit, 12)];
        line.extend(numbers);
        line.push(if p.contraction.is_finite() { format!("{:.2}", p.contraction) } else { "-".into() });
        line
    });
    format!("Posterior (contraction: 1 - posterior variance / prior variance)\n{}", table(&head, lines.collect(), 2))
}

/// Observed against predicted, a line per row.
pub fn rows(s: &Summary) -> String {
    if s.rows.is_empty() {
        return String::new();
    }
    if !s.predictive {
        let head = ["summary", "observed", "median", "5 %", "95 %", "inside"];
        let line = |r: &RowLine| {
            let band = r.posterior.map_or([f64::NAN; 3], |b| [b.median, b.q05, b.q95]);
            let mut line = vec![cut(&r.id, NAME), number(r.observed)];
            line.extend(band.map(number));
            line.push(inside(r).into());
            line
        };
        let lines = s.rows.iter().map(line).collect();
        return format!("Summaries of the accepted particles\n{}", table(&head, lines, 1));
    }
    let mut head = vec!["row", "use", "month", "obs", "se", "median", "90 % band", "in", "v.last", "v.haz", "v.pri", "width"];
    let shares = s.rows.iter().any(|r| r.share);
    let mut lines: Vec<Vec<String>> = s.rows.iter().map(row).collect();
    let several = s.rows.iter().any(|row| !row.trial.is_empty());
    if several {
        head.insert(1, "trial");
        lines.iter_mut().zip(&s.rows).for_each(|(line, row)| line.insert(1, cut(&row.trial, NAME)));
    }
    let unit = if shares { " (obs, se, median and band in %)" } else { "" };
    format!(
        "Observed against posterior predictive{unit}\n\
         v.last, v.haz, v.pri: skill, 1 - CRPS / CRPS of the last value carried forward, a constant hazard, the prior\n\
         width: of the band, over the width that the sampling error of the row alone would give it\n{}",
        table(&head, lines, if several { 3 } else { 2 })
    )
}

fn row(r: &RowLine) -> Vec<String> {
    let role = match r.role {
        Use::Fitted => "fit",
        Use::HeldOut => "held",
        Use::Context => "ctx",
    };
    let show = |x: f64| value(x, r.share);
    vec![
        cut(&r.id, NAME),
        role.into(),
        if r.month.is_finite() { format!("{:.0}", r.month) } else { "-".into() },
        show(r.observed),
        show(r.se),
        r.posterior.map_or("-".into(), |b| show(b.median)),
        r.posterior.map_or("-".into(), |b| format!("{} {}", show(b.q05), show(b.q95))),
        inside(r).into(),
        signed(r.skill_last()),
        signed(r.skill_hazard()),
        signed(r.skill_prior()),
        r.width_ratio.map_or("-".into(), |w| format!("{w:.1}")),
    ]
}

/// Coverage and skill by role.
pub fn totals(s: &Summary) -> String {
    let head = ["rows", "in 90 % band", "skill v. last", "v. hazard", "v. prior", "mean width"];
    let line = |name: &str, t: &Totals| {
        let skill = |s: Option<Skill>| s.map_or("-".into(), |s| format!("{:+.2} ({} rows)", s.skill, s.rows));
        vec![
            name.to_string(),
            format!("{} of {}", t.inside, t.rows),
            skill(t.last),
            skill(t.hazard),
            skill(t.prior),
            number(t.width_ratio),
        ]
    };
    let mut lines = vec![line("fitted", &s.fitted), line("held out", &s.held_out)];
    lines.retain(|l| !l[1].ends_with("of 0"));
    if lines.is_empty() { String::new() } else { format!("Totals\n{}", table(&head, lines, 1)) }
}

/// The refined modes, a line per mode.
pub fn modes(s: &Summary) -> String {
    let head = ["mode", "objective", "distance", "weight %", "simulations", "converged"];
    let line = |(k, m): (usize, &crate::population::Mode)| {
        vec![
            (k + 1).to_string(),
            number(m.objective),
            number(m.distance),
            format!("{:.1}", 100.0 * m.weight),
            m.evaluations.to_string(),
            if m.converged { "yes" } else { "no" }.into(),
        ]
    };
    format!("Modes\n{}", table(&head, s.modes.iter().enumerate().map(line).collect(), 1))
}

pub(super) fn inside(r: &RowLine) -> &'static str {
    match r.inside {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "-",
    }
}

/// Columns two blanks apart; the first `left` ones flush left, the others flush right.
pub(super) fn table(head: &[&str], lines: Vec<Vec<String>>, left: usize) -> String {
    let width = |k: usize| lines.iter().map(|l| l[k].chars().count()).chain([head[k].len()]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let render = |cells: &[String]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(k, (cell, width))| if k < left { format!("{cell:<width$}") } else { format!("{cell:>width$}") })
            .collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let mut out = render(&head.iter().map(|h| h.to_string()).collect::<Vec<_>>());
    out.push_str(&format!("{}\n", "-".repeat(out.trim_end().len().max(widths.iter().sum::<usize>() + 2 * (head.len() - 1)))));
    lines.iter().for_each(|line| out.push_str(&render(line)));
    out
}

pub(super) fn cut(text: &str, width: usize) -> String {
    let text = ascii(text);
    if text.len() <= width { text } else { format!("{}~", &text[..width - 1]) }
}

/// Names no wider than that, and still different: where cut ones are alike, each ends in its number.
pub(super) fn distinct(names: &[String], width: usize) -> Vec<String> {
    let short: Vec<String> = names.iter().map(|name| cut(name, width)).collect();
    let name = |(k, name): (usize, &String)| {
        let alike = short.iter().filter(|other| *other == name).count() > 1;
        let number = format!("~{}", k + 1);
        if alike { format!("{}{number}", &name[..name.len().min(width - number.len())]) } else { name.clone() }
    };
    short.iter().enumerate().map(name).collect()
}

pub(super) fn ascii(text: &str) -> String {
    let spelt = text
        .replace('±', "+/-")
        .replace(['–', '−'], "-")
        .replace('≤', "<=")
        .replace('≥', ">=")
        .replace('µ', "u")
        .replace('↑', "up")
        .replace('↓', "down");
    spelt.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

/// Breaks a text at blanks; the first line begins with `lead`, the others are indented as far.
pub(super) fn wrap(text: &str, lead: &str) -> String {
    let mut out = String::new();
    let mut line = lead.to_string();
    let indent = " ".repeat(lead.len());
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH && line.trim().len() > lead.trim().len() {
            out.push_str(line.trim_end());
            out.push('\n');
            line.clone_from(&indent);
        }
        line.push(' ');
        line.push_str(word);
    }
    format!("{out}{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_cut_stay_different() {
        let names = ["imatinib 400 mg and much else", "imatinib 400 mg and more", "été", "åtå"].map(String::from);
        assert_eq!(distinct(&names, 20), ["imatinib 400 mg an~1", "imatinib 400 mg an~2", "?t?~3", "?t?~4"]);
        assert_eq!(distinct(&names, 30), ["imatinib 400 mg and much else", "imatinib 400 mg and more", "?t?~3", "?t?~4"]);
    }
}
