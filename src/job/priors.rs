//! The `[priors]` table: definitions to densities, with every mistake placed.

use super::definition::{PriorDef, Source};
use super::spanned::Spanned;
use crate::density::Marginal;
use crate::error::Result;
use crate::model::Parameter;
use crate::model::cml::trials::OF;

/// What each distribution takes, in the order of its constructor.
const TAKES: [(&str, [&str; 2]); 6] = [
    ("uniform", ["lower", "upper"]),
    ("loguniform", ["lower", "upper"]),
    ("normal", ["mean", "sd"]),
    ("lognormal", ["median", "sd"]),
    ("beta", ["a", "b"]),
    ("integer", ["lower", "upper"]),
];

/// Names of the distributions.
pub(super) fn distributions() -> [&'static str; TAKES.len()] {
    TAKES.map(|(name, _)| name)
}

/// Builds the prior of one parameter.
///
/// # Errors
/// [`Error::Input`](crate::error::Error::Input) for an unknown distribution, keys that it does not take, shapes without
/// width, a wrong unit, or a support outside the parameter's legal range.
pub fn marginal(source: &Source, parameter: &Parameter, def: &Spanned<PriorDef>) -> Result<Marginal> {
    let key = format!("priors.{}", parameter.name);
    let inner = def.get_ref();
    let name = inner.distribution.get_ref().as_str();
    let Some((_, takes)) = TAKES.iter().find(|(known, _)| *known == name) else {
        return Err(source.unknown(&inner.distribution, &key, "distribution", &distributions()));
    };
    let given = [
        ("median", &inner.median),
        ("mean", &inner.mean),
        ("sd", &inner.sd),
        ("lower", &inner.lower),
        ("upper", &inner.upper),
        ("a", &inner.a),
        ("b", &inner.b),
    ];
    // TOML wants quotes about the name of a trial's own.
    let key_in_file = if parameter.name.contains(OF) { format!("{:?}", parameter.name) } else { parameter.name.into() };
    let example = format!("{key_in_file} = {{ distribution = \"{name}\", {} = …, {} = … }}", takes[0], takes[1]);
    for (other, value) in given {
        if let (Some(value), false) = (value, takes.contains(&other)) {
            let problem = format!("the prior '{name}' does not take '{other}'");
            return Err(source.error(value.span(), &key, &problem, &format!("write {example}")));
        }
    }
    let mut values = [0.0; 2];
    for (slot, wanted) in values.iter_mut().zip(takes) {
        match given.iter().find(|(n, _)| n == wanted).and_then(|(_, v)| v.as_ref()) {
            Some(value) if value.get_ref().is_finite() => *slot = *value.get_ref(),
            Some(value) => return Err(source.error(value.span(), &key, &format!("'{wanted}' is not finite"), "give a number")),
            None => {
                let problem = format!("the prior '{name}' needs '{wanted}'");
                return Err(source.error(def.span(), &key, &problem, &format!("write {example}")));
            }
        }
    }
    check_unit(source, parameter, def, &key)?;
    check_shape(name, values, parameter).map_err(|(problem, fix)| source.error(def.span(), &key, &problem, &fix))
}

fn check_unit(source: &Source, parameter: &Parameter, def: &Spanned<PriorDef>, key: &str) -> Result<()> {
    let fix = format!("write unit = \"{}\" and give the numbers in it", parameter.unit);
    match &def.get_ref().unit {
        Some(unit) if unit.get_ref() != parameter.unit => {
            let problem = format!("the unit is '{}', but {} is in '{}'", unit.get_ref(), parameter.name, parameter.unit);
            Err(source.error(unit.span(), key, &problem, &fix))
        }
        None if parameter.unit != "-" => Err(source.error(def.span(), key, "the unit is missing", &fix)),
        _ => Ok(()),
    }
}

/// A problem and its fix.
type Complaint = (String, String);

fn check_shape(name: &str, [x, y]: [f64; 2], parameter: &Parameter) -> Result<Marginal, Complaint> {
    let (low, high) = parameter.range;
    let complain = |problem: String, fix: &str| Err((problem, fix.to_string()));
    let inside = |value: f64, what: &str| {
        if (low..=high).contains(&value) {
            return Ok(());
        }
        let (name, unit) = (parameter.name, parameter.unit_after());
        let problem = format!("{what} {value} is outside the legal range of {name} [{low}, {high}]{unit}");
        Err((problem, "move it into the range".to_string()))
    };
    match name {
        "uniform" | "loguniform" | "integer" => {
            if x > y {
                return complain(format!("the bounds are swapped: lower = {x}, upper = {y}"), "swap them");
            }
            if x == y {
                let fix = "widen the bounds, or name the parameter under [model.fixed] instead";
                return complain(format!("the prior has zero width: lower = upper = {x}"), fix);
            }
            inside(x, "lower bound")?;
            inside(y, "upper bound")?;
            if name == "integer" {
                if x.fract() != 0.0 || y.fract() != 0.0 {
                    return complain(format!("lower = {x}, upper = {y}: these must be whole numbers"), "round them");
                }
                return Ok(Marginal::Integer { lower: x, upper: y });
            }
            if name == "uniform" {
                return Ok(Marginal::Uniform { lower: x, upper: y });
            }
            if x <= 0.0 {
                return complain(format!("lower = {x} has no logarithm"), "give a lower bound above 0, or use uniform");
            }
            Ok(Marginal::LogUniform { lower: x, upper: y })
        }
        "beta" if x <= 0.0 || y <= 0.0 => complain(format!("a = {x}, b = {y}: shapes must be above 0"), "give positive shapes"),
        "beta" if x < 0.2 || y < 0.2 => {
            let fix = "give shapes of 0.2 or more, or a uniform prior";
            complain(format!("a = {x}, b = {y}: draws would round to 0 and 1"), fix)
        }
        "beta" => inside(x / (x + y), "mean").map(|()| Marginal::Beta { a: x, b: y }),
        _ if y <= 0.0 => {
            let fix = "give an sd above 0, or name the parameter under [model.fixed] instead";
            complain(format!("the prior has zero width: sd = {y} must be above 0"), fix)
        }
        "lognormal" if x <= 0.0 => complain(format!("median = {x} must be above 0"), "give a positive median, or use normal"),
        "lognormal" => inside(x, "median").map(|()| Marginal::LogNormal { median: x, sd: y }),
        _ => inside(x, "mean").map(|()| Marginal::Normal { mean: x, sd: y }),
    }
}
