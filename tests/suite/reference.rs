//! The reference of the keys: what is committed is what the code makes, and it says what the parser does.

use std::path::Path;

use jsonschema::Validator;
use nicho::job::Job;
use nicho::job::definition::{Meant, Source};
use nicho::job::reference::{self, Table, page, schema, tables};
use nicho::job::scenario::Scenario;
use serde_json::{Value, json};

use crate::support::{folder, repository, shipped_jobs, shipped_scenarios, succeed, text};

const PAGES: [(Meant, &str, &str); 2] =
    [(Meant::Job, "job", "docs/job-keys.md"), (Meant::Scenario, "scenario", "docs/scenario-keys.md")];

fn validator(meant: Meant) -> Validator {
    jsonschema::validator_for(&schema(meant)).unwrap()
}

/// A file in the form in which a schema sees it.
fn parsed(text: &str) -> Value {
    serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap()
}

#[test]
fn the_committed_pages_are_what_the_code_makes() {
    for (meant, word, file) in PAGES {
        let made = page(meant);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(repository(file), &made).unwrap();
        }
        let differs = text(file) != made;
        assert!(!differs, "{file} is not what the code says; to write it: UPDATE=1 cargo test --test suite reference");
        let folder = folder();
        assert_eq!(succeed(folder.path(), &["schema", word, "--markdown"]), made);
        assert_eq!(serde_json::from_str::<Value>(&succeed(folder.path(), &["schema", word])).unwrap(), schema(meant));
    }
}

#[test]
fn the_schema_takes_every_shipped_file_and_no_misspelt_key() {
    let folder = [(Meant::Job, shipped_jobs()), (Meant::Scenario, shipped_scenarios())];
    for (meant, mut files) in folder {
        let validator = validator(meant);
        if meant == Meant::Job {
            files.extend(["tests/suite/two-trials.toml", "examples/own_model.toml"].map(repository));
        }
        for file in files {
            let mut value = parsed(&std::fs::read_to_string(&file).unwrap());
            // A model of one's own is in the schema of its own program.
            if value["model"]["name"] == "epidemic" {
                value["model"]["name"] = json!("coin");
            }
            let wrong: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(wrong.is_empty(), "{}: {wrong:?}", file.display());
            let mut seen = 0;
            misspell(&value, "", &tables(meant), &mut |key, change| {
                let mut other = value.clone();
                change(&mut other);
                assert!(!validator.is_valid(&other), "{}: {key} can be misspelt", file.display());
                seen += 1;
            });
            assert!(seen > 5, "{}", file.display());
        }
    }
}

/// What is done with a change of a job: its key, and the change.
type Try<'a> = dyn FnMut(&str, &dyn Fn(&mut Value)) + 'a;

/// Calls `try_it` with each key of a file, and with what misspells it.
fn misspell(value: &Value, at: &str, tables: &[Table], try_it: &mut Try<'_>) {
    // Places in a list and names of one's own are `*`; below a name of one's own there may be a key again.
    let own: Vec<&str> = at.split('/').skip(1).collect();
    let is_own = |table: &Table| {
        let its: Vec<&str> = table.path.split('.').filter(|part| !part.is_empty()).collect();
        own.len() == its.len() && own.iter().zip(&its).all(|(a, b)| a == b || *b == "*")
    };
    let of_keys = tables.iter().any(is_own);
    let inner: Vec<(String, &Value)> = match value {
        Value::Array(list) => list.iter().enumerate().map(|(k, one)| (k.to_string(), one)).collect(),
        Value::Object(of) => of.iter().map(|(key, one)| (key.clone(), one)).collect(),
        _ => return,
    };
    for (key, one) in inner {
        if of_keys {
            try_it(&format!("{at}/{key}"), &|other| {
                let table = other.pointer_mut(at).and_then(Value::as_object_mut).unwrap();
                let taken = table.remove(&key).unwrap();
                table.insert(format!("{key}x"), taken);
            });
        }
        misspell(one, &format!("{at}/{key}"), tables, try_it);
    }
}

#[test]
fn every_key_has_a_meaning_and_examples_that_are_legal() {
    for (meant, ..) in PAGES {
        for table in tables(meant) {
            for key in &table.keys {
                let name = format!("{}.{}", table.path, key.name);
                assert!(key.meaning().len() > 4 && key.meaning().ends_with('.'), "{name}: {}", key.meaning());
                assert!(!key.kind().is_empty() && !key.examples().is_empty(), "{name}");
                let of_key = jsonschema::validator_for(&key.schema).unwrap();
                for example in key.examples() {
                    let value = parsed(&example);
                    assert!(of_key.is_valid(&value[&key.name]), "{example}");
                }
                if let Some(default) = key.default() {
                    assert!(of_key.is_valid(&parsed(&format!("x = {default}"))["x"]), "{name} = {default}");
                }
            }
        }
    }
}

/// A job and a scenario with every key that has a range.
const RANGES: &str = r#"
name = "ranges"
seed = 1
model = { name = "cml", patients = 20 }
priors.ic50 = { distribution = "lognormal", median = 0.6, sd = 0.5, unit = "uM" }
priors.bypass_fraction = { distribution = "beta", a = 3, b = 17 }
observations.file = "iris.csv"
distance.weights = { response = 1 }
sampler = { population = 100, quantile = 0.5, defensive = 0 }
stop = { tolerance = 0, acceptance_rate = 0.01, simulations = 1000, generations = 3, failures = 0.5 }
refine = { modes = 1, simulations = 100, replicates = 2, profile = 0 }
adjust = { method = "none", draws = 100 }
output = { draws = 100 }
"#;
const LIST: &str = r#"
name = "list"
seed = 1
model.name = "coin"
priors.p_heads = { distribution = "uniform", lower = 0, upper = 1 }
observations.values.heads = 3
distance.p = 2
sampler = { schedule = "list", tolerances = [0] }
"#;
const NOISE: &str = r#"
name = "noise"
seed = 1
model.name = "gaussian_mixture"
priors.theta_0 = { distribution = "normal", mean = 0, sd = 1 }
observations.values = { x_0 = 0, x_1 = 0 }
noise.x_0 = { distribution = "normal", sd = 1 }
noise.x_1 = { distribution = "binomial", n = 20 }
sampler.accept = "noise"
"#;
const PROGRAM: &str = r#"
name = "program"
seed = 1
priors.beta = { distribution = "normal", mean = 1, sd = 1 }
observations.values.peak = 3
[model]
name = "program"
program = { command = ["true"], summaries = ["peak"], seconds = 1, parameters = { beta = { default = 1 } } }
"#;
const SCENARIO: &str = r#"
name = "ranges"
patients = 100
months = 24
[[arm]]
name = "one"
[[arm.rule]]
give = { imatinib = 400 }
[[arm.rule]]
at = 12
share = 0.5
block = { wnt = 0.8 }
[[arm.rule]]
from = 12
until = 24
share = [0.5, 1]
block = { wnt = 0.5 }
[[endpoint]]
of = "mmr"
kind = "at"
months = [12]
"#;

/// The numbers in a schema that are just beyond a bound of it.
fn beyond(bounds: &Value) -> Vec<Value> {
    let whole = bounds["type"] == "integer";
    let step = |bound: f64, by: f64| if whole { json!((bound + by) as i64) } else { json!(bound + by) };
    let of = |key: &str| bounds[key].as_f64();
    let least = of("minimum").map(|bound| step(bound, if whole { -1.0 } else { -0.001 }));
    let most = of("maximum").map(|bound| step(bound, if whole { 1.0 } else { 0.001 }));
    let open = ["exclusiveMinimum", "exclusiveMaximum"].into_iter().filter_map(|key| Some(step(of(key)?, 0.0)));
    open.chain(least).chain(most).collect()
}

/// Numbers beyond the bounds of a schema are refused by the parser, so that the page promises what is done.
#[test]
fn what_the_schema_refuses_the_parser_refuses() {
    let (mut tried, iris) = (std::collections::BTreeSet::new(), text("jobs/data/iris.csv"));
    let files =
        [(Meant::Job, RANGES), (Meant::Job, LIST), (Meant::Job, NOISE), (Meant::Job, PROGRAM), (Meant::Scenario, SCENARIO)];
    for (meant, file) in files {
        let take = |value: &Value| {
            let text = toml::to_string(&value).unwrap();
            match meant {
                Meant::Job => Job::embedded(Path::new("job.toml"), text, iris.clone()).map(drop),
                Meant::Scenario => Scenario::build(Source { file: "scenario.toml".into(), text }, 100).map(drop),
            }
        };
        let (whole, validator) = (parsed(file), validator(meant));
        take(&whole).unwrap_or_else(|error| panic!("{error}"));
        assert!(validator.is_valid(&whole));
        walk(&schema(meant), &whole, "", &mut |at, bounds| {
            for number in beyond(bounds) {
                let mut other = whole.clone();
                *other.pointer_mut(at).unwrap() = number.clone();
                assert!(!validator.is_valid(&other), "the schema takes {at} = {number}");
                let Err(error) = take(&other) else { panic!("the parser takes {at} = {number}") };
                let last = at.split('/').rfind(|part| part.parse::<u32>().is_err()).unwrap();
                assert!(error.to_string().contains(last), "{at} = {number}: {error}");
                tried.insert(format!("{meant:?} {}", at.replace(char::is_numeric, "")));
            }
        });
    }
    // Keys that bound numbers; those of a trial are bounded where those of a scenario are.
    let bounds = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];
    let bounded = |of: &Value| bounds.iter().any(|bound| of[*bound].is_number());
    let is = |key: &&reference::Key| {
        bounded(&key.schema) || bounded(&key.schema["items"]) || bounded(&key.schema["additionalProperties"])
    };
    let count = |table: &Table| table.keys.iter().filter(is).count();
    let all: usize = tables(Meant::Job).iter().filter(|table| !table.path.starts_with("trial")).map(count).sum();
    let keys: std::collections::BTreeSet<&str> =
        tried.iter().filter(|key| key.starts_with("Job")).map(|key| key.as_str()).collect();
    assert!(keys.len() >= all, "{all} keys are bounded: {keys:#?}");
    assert!(tried.contains("Scenario /arm//rule//block/wnt") && tried.contains("Scenario /months"), "{tried:#?}");
}

/// Every number of a file with its schema.
fn walk(schema: &Value, value: &Value, at: &str, see: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Object(of) => {
            for (key, inner) in of {
                let known = &schema["properties"][key];
                let its = if known.is_null() { &schema["additionalProperties"] } else { known };
                walk(its, inner, &format!("{at}/{key}"), see);
            }
        }
        Value::Array(list) => {
            for (k, one) in list.iter().enumerate() {
                let its = schema["anyOf"].as_array().into_iter().flatten().find(|one| one["type"] == "array").unwrap_or(schema);
                walk(&its["items"], one, &format!("{at}/{k}"), see);
            }
        }
        Value::Number(_) => {
            let either = schema["anyOf"].as_array().into_iter().flatten().find(|one| one["type"] == "number");
            see(at, either.unwrap_or(schema));
        }
        _ => {}
    }
}
