//! Legal ranges of numbers. What a parser refuses and what the reference prints are made of the same constant.

use std::fmt;

use schemars::Schema;
use serde_json::{Value, json};

/// From the least to the most legal number, each of them legal itself or not.
#[derive(Clone, Copy, Debug)]
pub struct Legal {
    least: (f64, bool),
    most: (f64, bool),
}

/// Particles or draws: fewer have no quantiles, more are a slip of the pen.
pub const MANY: Legal = Legal { least: (10.0, true), most: (1e7, true) };
/// Patients of a cohort.
pub const PATIENTS: Legal = Legal { least: (10.0, true), most: (1e5, true) };
/// Length of follow-up, months.
pub const MONTHS: Legal = Legal { least: (0.0, false), most: (360.0, true) };
/// Time limit of a simulation, seconds.
pub const SECONDS: Legal = Legal { least: (0.0, false), most: (1e7, true) };
/// What is made a few times: modes, points of a profile.
pub const FEW: Legal = Legal { least: (0.0, true), most: (100.0, true) };
/// Simulations that are averaged.
pub const REPLICATES: Legal = Legal { least: (1.0, true), most: (1000.0, true) };
/// A share that may be all.
pub const SHARE: Legal = Legal { least: (0.0, true), most: (1.0, true) };
/// A share of patients who are some.
pub const SOME: Legal = Legal { least: (0.0, false), most: (1.0, true) };
/// A share or rate that may be none, and never all.
pub const PART: Legal = Legal { least: (0.0, true), most: (1.0, false) };
/// A share that is neither none nor all.
pub const WITHIN: Legal = Legal { least: (0.0, false), most: (1.0, false) };
/// Share of a target that is blocked; below 0 it is driven up, to three times as much of it.
pub const BLOCK: Legal = Legal { least: (-2.0, true), most: (1.0, true) };
/// Any number that is not negative.
pub const NOT_NEGATIVE: Legal = Legal { least: (0.0, true), most: (f64::INFINITY, true) };
/// Any positive number.
pub const POSITIVE: Legal = Legal { least: (0.0, false), most: (f64::INFINITY, false) };
/// A count that is not none, or an exponent that makes a metric.
pub const FROM_ONE: Legal = Legal { least: (1.0, true), most: (f64::INFINITY, true) };
/// Shape of a beta distribution: below, draws would round to 0 and 1.
pub const SHAPE: Legal = Legal { least: (0.2, true), most: (f64::INFINITY, false) };

impl Legal {
    /// Whether a number is legal.
    pub fn holds(self, x: f64) -> bool {
        let ((least, least_too), (most, most_too)) = (self.least, self.most);
        (x > least || (least_too && x == least)) && (x < most || (most_too && x == most))
    }

    /// Puts the range into the schema of a number, or of the numbers in a list or table.
    pub fn schema(self) -> impl FnMut(&mut Schema) {
        move |schema| {
            schema.insert("x-legal".into(), self.to_string().into());
            let inner = ["items", "additionalProperties"].into_iter().find(|key| schema.get(*key).is_some_and(Value::is_object));
            let numbers = match inner {
                Some(key) => schema.get_mut(key).and_then(Value::as_object_mut),
                None => schema.as_object_mut(),
            };
            let Some(numbers) = numbers else { return };
            // That of a type without a sign.
            numbers.remove("minimum");
            let low = if self.least.1 { "minimum" } else { "exclusiveMinimum" };
            let high = if self.most.1 { "maximum" } else { "exclusiveMaximum" };
            for (key, bound) in [(low, self.least.0), (high, self.most.0)] {
                if bound.is_finite() {
                    numbers.insert(key.into(), whole(bound));
                }
            }
        }
    }
}

impl fmt::Display for Legal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((least, least_too), (most, most_too)) = (self.least, self.most);
        let above = if least_too { "" } else { "above " };
        match (most.is_finite(), most_too) {
            (false, _) if least_too => write!(f, "{least} or more"),
            (false, _) => write!(f, "above {least}"),
            (true, true) => write!(f, "{above}{least} to {most}"),
            (true, false) => write!(f, "{above}{least} {} below {most}", if least_too { "to" } else { "and" }),
        }
    }
}

/// Puts legal words into the schema of a text, of the texts in a list, or of the names in a table.
pub fn one_of<'a>(words: impl AsRef<[&'a str]>) -> impl FnMut(&mut Schema) {
    let words = json!(words.as_ref());
    move |schema| {
        let named = schema.get("additionalProperties").is_some_and(Value::is_object);
        match schema.get_mut("items").and_then(Value::as_object_mut) {
            Some(items) => drop(items.insert("enum".into(), words.clone())),
            None if named => drop(schema.insert("propertyNames".into(), json!({ "enum": words }))),
            None => drop(schema.insert("enum".into(), words.clone())),
        }
    }
}

/// A number of JSON, without a point if it is whole.
fn whole(x: f64) -> Value {
    if x.fract() == 0.0 { (x as i64).into() } else { x.into() }
}
