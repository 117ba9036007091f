//! The numbers as CSV, in natural units and full precision, with units in the headers; where they differ from line to line, in a column
//! `unit`, which is then that of every column of numbers without one.

use crate::report::rows::{Band, RowLine};
use crate::report::summary::Summary;

/// A line per parameter.
pub(super) fn parameters(s: &Summary) -> String {
    let mode = if s.refined { "refined_mode" } else { "densest_particle" };
    let mut out = format!("parameter,unit,mean,sd,q05,q95,{mode},contraction [1]\n");
    for p in &s.parameters {
        let mut fields = vec![quoted(&p.name), quoted(own_unit(&p.unit))];
        fields.extend([p.mean, p.sd, p.q05, p.q95, p.mode, p.contraction].map(plain));
        out.push_str(&format!("{}\n", fields.join(",")));
    }
    out
}

/// A line per model that was compared.
pub(super) fn models(s: &Summary) -> String {
    let mut out =
        String::from("model,probability [1],probability_error [1],ln_bayes_factor [1],ln_bayes_factor_error [1],particles [1]\n");
    for m in &s.models {
        let mut fields = vec![quoted(&m.name)];
        fields.extend([m.probability, m.error, m.ln_bayes, m.ln_bayes_error].map(plain));
        fields.push(m.particles.to_string());
        out.push_str(&format!("{}\n", fields.join(",")));
    }
    out
}

/// A line per row of the data. Shares are in [0, 1].
pub(super) fn rows<'a>(rows: impl Iterator<Item = &'a RowLine> + Clone) -> String {
    let mut out = String::from(
        "id,label,role,month [months],unit,observed,se,n [patients],prior_q05,prior_median,prior_q95,posterior_q05,\
         posterior_median,posterior_q95,inside,crps,crps_last,crps_hazard,crps_prior,skill_last [1],skill_hazard [1],skill_prior \
         [1],width_ratio [1]",
    );
    let several = rows.clone().any(|row| !row.trial.is_empty());
    out.push_str(if several { ",trial\n" } else { "\n" });
    for r in rows {
        out.push_str(&row(r));
        out.push_str(&if several { format!(",{}\n", quoted(&r.trial)) } else { "\n".into() });
    }
    out
}

fn row(r: &RowLine) -> String {
    let three = |b: Option<Band>| b.map_or([f64::NAN; 3], |b| [b.q05, b.median, b.q95]).map(plain);
    let optional = |x: Option<f64>| plain(x.unwrap_or(f64::NAN));
    let mut fields = vec![quoted(&r.id), quoted(&r.label), r.role.name().to_string()];
    fields.extend([plain(r.month), quoted(if r.share { "share" } else { own_unit(&r.unit) })]);
    fields.extend([r.observed, r.se].map(plain));
    fields.push(if r.n == 0 { String::new() } else { r.n.to_string() });
    fields.extend(three(r.prior));
    fields.extend(three(r.posterior));
    fields.push(match r.inside {
        Some(true) => "yes".into(),
        Some(false) => "no".into(),
        None => String::new(),
    });
    fields.extend([r.crps, r.crps_last, r.crps_hazard, r.crps_prior].map(optional));
    fields.extend([r.skill_last(), r.skill_hazard(), r.skill_prior(), r.width_ratio].map(optional));
    fields.join(",")
}

/// A head of names with their units, and lines of as many fields.
pub(super) fn csv<S: AsRef<str>>(head: &[S], lines: impl IntoIterator<Item = Vec<String>>) -> String {
    let joined = |fields: &mut dyn Iterator<Item = String>| fields.collect::<Vec<String>>().join(",") + "\n";
    let head = joined(&mut head.iter().map(|name| quoted(name.as_ref())));
    lines.into_iter().fold(head, |text, fields| text + &joined(&mut fields.iter().map(|field| quoted(field))))
}

/// Name of a column with its unit; that of a pure number is 1.
pub(super) fn column(name: &str, unit: &str) -> String {
    format!("{name} [{}]", own_unit(unit))
}

/// A unit; 1 of a pure number.
pub(super) fn own_unit(unit: &str) -> &str {
    if unit == "-" || unit.is_empty() { "1" } else { unit }
}

/// A number, or an empty field.
pub(super) fn plain(x: f64) -> String {
    if x.is_finite() { format!("{x:?}") } else { String::new() }
}

pub(super) fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.into() }
}
