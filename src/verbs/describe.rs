//! Runs and jobs in words.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::population::Run;

/// A run in a few words.
pub fn describe(run: &Run) -> String {
    let generations = match run.generations.len() {
        0 => return "no generation yet".into(),
        1 => "1 generation".into(),
        n => format!("{n} generations"),
    };
    match run.stopped {
        None => format!("{generations}, {} simulations so far", run.simulated()),
        Some(stop) => {
            let reason = serde_json::to_string(&stop).unwrap_or_default().replace(['"', '_'], " ");
            format!("{generations}, {} simulations, stopped by {}", run.simulated(), reason.trim())
        }
    }
}

/// What differs between two jobs in canonical form, a line each.
pub fn differences(there: &str, here: &str) -> Vec<String> {
    let line = |(key, values): (String, Vec<Value>)| format!("    {key}: {} there, {} here", values[0], values[1]);
    differing(&[there, here]).into_iter().map(line).collect()
}

/// The keys of jobs in canonical form that are not the same in all, with the value in each; null where it is not set.
pub fn differing(jobs: &[&str]) -> Vec<(String, Vec<Value>)> {
    let parsed: Vec<Value> = jobs.iter().map(|text| serde_json::from_str(text).unwrap_or_default()).collect();
    let mut keys = Vec::new();
    compare("", &parsed.iter().collect::<Vec<&Value>>(), &mut keys);
    keys
}

fn compare(key: &str, values: &[&Value], keys: &mut Vec<(String, Vec<Value>)>) {
    if let Some(tables) = values.iter().map(|value| members(value)).collect::<Option<Vec<_>>>() {
        let names: BTreeSet<&str> = tables.iter().flat_map(|table| table.keys().copied()).collect();
        for name in names {
            let dotted = if key.is_empty() { name.to_string() } else { format!("{key}.{name}") };
            compare(
                &dotted,
                &tables.iter().map(|table| *table.get(name).unwrap_or(&&Value::Null)).collect::<Vec<&Value>>(),
                keys,
            );
        }
    } else if values.iter().any(|value| value != &values[0]) {
        keys.push((key.into(), values.iter().map(|value| (*value).clone()).collect()));
    }
}

/// What a table holds by its keys, or a list of tables that have names, as `[[variant]]`, by these.
fn members(value: &Value) -> Option<BTreeMap<&str, &Value>> {
    match value {
        Value::Object(table) => Some(table.iter().map(|(key, value)| (key.as_str(), value)).collect()),
        Value::Array(list) if !list.is_empty() => list.iter().map(|one| Some((one["name"].as_str()?, one))).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Planted: a list as one value: `variant` with both lists.
    #[test]
    fn named_tables_differ_by_their_keys() {
        let of = |of: &str| format!(r#"{{"seed":1,"list":[1,2],"variant":[{{"name":"fair"}},{{"name":"bent","fixed":{of}}}]}}"#);
        let keys = |a: &str, b: &str| differing(&[&of(a), &of(b)]).into_iter().map(|(key, _)| key).collect::<Vec<String>>();
        assert_eq!(keys(r#"{"mean":0}"#, r#"{"mean":1}"#), ["variant.bent.fixed.mean"]);
        let other = of("{}").replace("fair", "even").replace("[1,2]", "[1,3]");
        let found = differing(&[&of("{}"), &other]);
        assert_eq!(found.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["list", "variant.even", "variant.fair"]);
        assert_eq!(found[1].1[0], Value::Null);
    }
}
