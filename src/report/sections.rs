//! Tables and facts of the page.

use serde_json::Value;

use crate::population::Mode;
use crate::report::Input;
use crate::report::asked::scalar;
use crate::report::curves::words;
use crate::report::format::{count, escape, number, percent, plural, signed, value, with_unit};
use crate::report::page::{self, folded, line, table, verbatim};
use crate::report::rows::{RowLine, Skill, Totals, Use};
use crate::report::summary::Summary;

/// The posterior.
pub(super) fn parameters(s: &Summary) -> String {
    let mode = if s.refined { ("Mode", "refined") } else { ("Mode", "densest particle") };
    let head =
        [("Parameter", "unit"), ("Mean", ""), ("sd", ""), ("5 %", ""), ("95 %", ""), mode, ("Contraction", "0 none, 1 all")];
    let body: String = s
        .parameters
        .iter()
        .map(|p| {
            let meaning = if p.meaning.is_empty() { String::new() } else { format!("<small>{}</small>", escape(&p.meaning)) };
            let mut cells = vec![format!("{}{meaning}", escape(&with_unit(&p.name, &p.unit)))];
            cells.extend([p.mean, p.sd, p.q05, p.q95, p.mode].map(number));
            cells.push(if p.contraction.is_finite() { format!("{:.2}", p.contraction) } else { "-".into() });
            line("", &cells, 1)
        })
        .collect();
    format!(
        "<p>Weighted over the {} particles of the last generation. Contraction is 1 - posterior variance / prior variance, on \
         the scale on which the prior is set (the logarithm of a positive parameter): near 0 the data said nothing about it.</p>\n{}",
        count(s.particles as u64),
        table("Posterior", &head, 1, &body)
    )
}

/// Observed against predicted.
pub(super) fn rows(s: &Summary) -> String {
    if s.rows.is_empty() {
        return "<p>The run has no data rows.</p>\n".into();
    }
    if !s.predictive {
        return summaries(s);
    }
    let head = [
        ("Row", ""),
        ("Month", ""),
        ("Observed", "± se"),
        ("Predicted", "median"),
        ("90 % band", ""),
        ("In band", ""),
        ("Skill", "v. last value"),
        ("Skill", "v. hazard"),
        ("Skill", "v. prior"),
        ("Width", "/ sampling"),
    ];
    let of = |role: Use, caption: &str| -> String {
        let lines: String = s.rows.iter().filter(|r| r.role == role).map(row).collect();
        table(caption, &head, 1, &lines)
    };
    let mut body = totals(s);
    for (role, title) in [(Use::HeldOut, "Held out: real predictions"), (Use::Fitted, "Fitted")] {
        if s.count(role) > 0 {
            body.push_str(&of(role, title));
        }
    }
    if s.count(Use::Context) > 0 {
        let title = format!("Shown only, neither fitted nor scored: {}", plural(s.count(Use::Context), "row"));
        body.push_str(&folded(&title, &of(Use::Context, "Rows that are shown only")));
    }
    let unit = if s.rows.iter().any(|r| r.share) { "Shares are in per cent. " } else { "" };
    format!(
        "<p>{unit}A wide band always covers, and a curve that has flattened predicts itself. So each row also has a skill, 1 - CRPS \
         / CRPS of a simpler forecast: 1 is perfect, 0 no better than that forecast, negative worse. The forecasts are the last \
         fitted value carried forward, a constant hazard (both with sampling noise), and the prior; a dash means that there is \
         nothing to carry forward. Width compares the band with the one that the row's own sampling error would give: 1 is as \
         narrow as a trial of that size allows, and below 1 the prediction does not hold the sampling error of so small a \
         group. The skill of fitted rows is no forecast.</p>\n{body}"
    )
}

fn row(r: &RowLine) -> String {
    let show = |x: f64| value(x, r.share);
    let mark = match r.inside {
        Some(true) => "yes".to_string(),
        Some(false) => "<span class=\"no\">no</span>".into(),
        None => "-".into(),
    };
    let words = words(r);
    let label = if words == r.id { String::new() } else { format!("<small>{}</small>", escape(&r.id)) };
    let cells = [
        format!("{}{label}", escape(&words)),
        if r.month.is_finite() { format!("{:.0}", r.month) } else { "-".into() },
        if r.se.is_finite() { format!("{} ± {}", show(r.observed), show(r.se)) } else { show(r.observed) },
        r.posterior.map_or("-".into(), |b| show(b.median)),
        r.posterior.map_or("-".into(), |b| format!("{} to {}", show(b.q05), show(b.q95))),
        mark,
        signed(r.skill_last()),
        signed(r.skill_hazard()),
        signed(r.skill_prior()),
        r.width_ratio.map_or("-".into(), |w| format!("{w:.1}")),
    ];
    let class = match (r.role, r.inside) {
        (Use::Context, _) => "context",
        (_, Some(false)) => "outside",
        _ => "",
    };
    line(class, &cells, 1)
}

fn totals(s: &Summary) -> String {
    let head = [
        ("", ""),
        ("In 90 % band", ""),
        ("Skill", "v. last value"),
        ("Skill", "v. hazard"),
        ("Skill", "v. prior"),
        ("Width", "/ sampling"),
    ];
    let one = |name: &str, t: &Totals| {
        let skill = |s: Option<Skill>| {
            s.map_or("-".into(), |s| format!("{:+.2}<small> ({} of {} better)</small>", s.skill, s.better, s.rows))
        };
        let cells = [
            name.to_string(),
            format!("{} of {}", t.inside, t.rows),
            skill(t.last),
            skill(t.hazard),
            skill(t.prior),
            number(t.width_ratio),
        ];
        if t.rows == 0 { String::new() } else { line("", &cells, 1) }
    };
    table("All rows together", &head, 1, &(one("All held-out rows", &s.held_out) + &one("All fitted rows", &s.fitted)))
}

fn summaries(s: &Summary) -> String {
    let head = [("Summary", ""), ("Observed", ""), ("Accepted", "median"), ("5 %", ""), ("95 %", ""), ("In between", "")];
    let body: String = s
        .rows
        .iter()
        .map(|r| {
            let band = r.posterior.map_or([f64::NAN; 3], |b| [b.median, b.q05, b.q95]);
            let label = if r.label == r.id { String::new() } else { format!("<small>{}</small>", escape(&r.label)) };
            let mut cells = vec![format!("{}{label}", escape(&r.id)), number(r.observed)];
            cells.extend(band.map(number));
            cells.push(if r.inside == Some(true) { "yes".into() } else { "<span class=\"no\">no</span>".into() });
            line("", &cells, 1)
        })
        .collect();
    format!(
        "<p>Summaries of the accepted particles. They were accepted because they are near the observed values: this shows \
         that the run works, not that the model predicts.</p>\n{}",
        table("Observed and accepted summaries", &head, 1, &body)
    )
}

/// The models that were compared.
pub(super) fn models(s: &Summary) -> String {
    let head = [("Model", ""), ("Probability", ""), ("±", ""), ("ln Bayes factor", ""), ("±", ""), ("Particles", "")];
    let mut body = String::new();
    for m in &s.models {
        body.push_str(&line("", &m.cells().map(|cell| escape(&cell)), 1));
    }
    let names: Vec<&str> = s.models.iter().map(|m| m.name.as_str()).collect();
    let fallen = if s.tempered { "Temperature" } else { "Tolerance" };
    let course: Vec<(&str, &str)> =
        [("Generation", ""), (fallen, "")].into_iter().chain(names.iter().map(|name| (*name, ""))).collect();
    let mut by_generation = String::new();
    for g in &s.generations {
        let head = [g.number.to_string(), if g.tolerance.is_finite() { number(g.tolerance) } else { "∞".into() }];
        let cells: Vec<String> = head.into_iter().chain(s.models.iter().map(|m| format!("{:.3}", m.course[g.number]))).collect();
        by_generation.push_str(&line("", &cells, 1));
    }
    format!(
        "<p>Posterior probabilities, with even odds before the data; after ± the Monte-Carlo standard error. The Bayes factor is over the \
         likeliest model: e to the number given. They are those of the summaries within the tolerance, not of all data: models that \
         differ in what the summaries leave out are not told apart, and a finite tolerance favours none of them only as far as \
         it is small (Robert et al. 2011, PNAS 108:15112). A parameter below is that of the models in which it acts. By generation one sees how much the \
         tolerance has to say.</p>\n{}{}",
        table("Models", &head, 1, &body),
        table("Probability by generation", &course, 1, &by_generation)
    )
}

/// The refined modes.
pub(super) fn modes(s: &Summary) -> String {
    let names: Vec<String> = (1..=s.modes.len()).map(|k| format!("Mode {k}")).collect();
    let mut head = vec![("", "")];
    head.extend(names.iter().map(|name| (name.as_str(), "")));
    type Fact = fn(&Mode) -> String;
    let facts: [(&str, Fact); 5] = [
        ("Objective", |m| number(m.objective)),
        ("Distance", |m| number(m.distance)),
        ("Posterior weight, %", |m| percent(m.weight)),
        ("Simulations", |m| count(m.evaluations)),
        ("Converged", |m| if m.converged { "yes".into() } else { "<span class=\"no\">no</span>".into() }),
    ];
    let mut body = String::new();
    for (name, fact) in facts {
        let cells: Vec<String> = std::iter::once(name.to_string()).chain(s.modes.iter().map(fact)).collect();
        body.push_str(&line("", &cells, 1));
    }
    for (k, p) in s.parameters.iter().enumerate() {
        let value = |m: &Mode| match m.curvature_sd[k] {
            sd if sd.is_finite() => format!("{} ± {}", number(m.theta[k]), number(sd)),
            _ => format!("{} (flat)", number(m.theta[k])),
        };
        let name = escape(&with_unit(&p.name, &p.unit));
        let cells: Vec<String> = std::iter::once(name).chain(s.modes.iter().map(value)).collect();
        body.push_str(&line("", &cells, 1));
    }
    format!(
        "<p>Peaks of the posterior, polished by an optimiser from the best particles, best first. The objective is half the \
         squared distance of the mean summaries less the log prior density: lower is better. After ± stands the standard deviation that the curvature \
         of the peak alone implies; where it is far below the posterior sd, the posterior is no single bell.</p>\n{}",
        table("Modes, the best first", &head, 1, &body)
    )
}

/// Version, digests, sessions and the job file.
pub(super) fn provenance(input: &Input<'_>) -> String {
    let header = input.store.header();
    let mut facts = vec![
        ("Report by".to_string(), format!("nicho {}", env!("CARGO_PKG_VERSION"))),
        ("Random numbers".into(), crate::rng::SCHEME.to_string()),
    ];
    facts.extend(input.store.digests().into_iter().map(|(name, digest)| (format!("Digest, {}", name.replace('_', " ")), digest)));
    if !header.observations_sha256.is_empty() {
        facts.push(("SHA-256 of the data".into(), header.observations_sha256.clone()));
    }
    let sessions = input.store.sessions();
    if let Some(Value::Object(last)) = sessions.last() {
        facts.push(("Sessions, of which the last".into(), sessions.len().to_string()));
        facts.extend(last.iter().filter_map(|(key, v)| Some((key.replace('_', " "), scalar(v)?))));
    }
    let shown = facts.into_iter().filter(|(_, text)| !text.is_empty());
    let shown: Vec<(String, String)> = shown.map(|(term, text)| (term, format!("<code>{}</code>", escape(&text)))).collect();
    format!(
        "<p>The same job and seed give the same digest on any number of threads or ranks.</p>\n{}{}",
        page::facts(&shown),
        folded("The job file", &verbatim("The job file", &header.job_text))
    )
}
