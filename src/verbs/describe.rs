//! Runs and jobs in words.

use crate::population::Run;

/// A run in a few words.
pub fn describe(run: &Run) -> String {
    let generations = run.generations.len();
    match (run.stopped, generations) {
        (_, 0) => "no generation yet".into(),
        (None, n) => format!("{n} generations, {} simulations so far", run.simulated()),
        (Some(stop), n) => {
            let reason = serde_json::to_string(&stop).unwrap_or_default().replace(['"', '_'], " ");
            format!("{n} generations, {} simulations, stopped by {}", run.simulated(), reason.trim())
        }
    }
}

/// What differs between two jobs in canonical form, a line each.
pub fn differences(there: &str, here: &str) -> Vec<String> {
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
    let mut lines = Vec::new();
    compare("", &parse(there), &parse(here), &mut lines);
    lines
}

fn compare(key: &str, a: &serde_json::Value, b: &serde_json::Value, lines: &mut Vec<String>) {
    if let (Some(x), Some(y)) = (a.as_object(), b.as_object()) {
        let keys: std::collections::BTreeSet<&String> = x.keys().chain(y.keys()).collect();
        for name in keys {
            let dotted = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            compare(&dotted, &a[name], &b[name], lines);
        }
    } else if a != b {
        lines.push(format!("    {key}: {a} there, {b} here"));
    }
}
