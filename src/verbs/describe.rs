//! Runs and jobs in words.

use std::collections::BTreeSet;

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
    if let Some(tables) = values.iter().map(|value| value.as_object()).collect::<Option<Vec<_>>>() {
        let names: BTreeSet<&String> = tables.iter().flat_map(|table| table.keys()).collect();
        for name in names {
            let dotted = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            compare(&dotted, &values.iter().map(|value| &value[name]).collect::<Vec<&Value>>(), keys);
        }
    } else if values.iter().any(|value| value != &values[0]) {
        keys.push((key.into(), values.iter().map(|value| (*value).clone()).collect()));
    }
}
