//! Job files: every shipped one is sound, every key is used in one, and a minimal one is enough.

use std::collections::BTreeSet;

use nicho::job::Job;
use nicho::job::definition::Meant;
use nicho::job::reference::{self, Key, Table};

use crate::support::{folder, left_out, nicho, repository, say, shipped_jobs, succeed, text};

/// Keys that no shipped job needs, in a job that is sound all the same.
const MAXIMAL: &str = r#"
name = "maximal"
seed = 1

[model]
name = "cml"
patients = 20
few_cells = "fluid"
without = ["stroma"]
fixed = { hill = 2.0 }

[priors]
ic50 = { distribution = "loguniform", lower = 0.1, upper = 5.0, unit = "uM" }
uptake_stem = { distribution = "normal", mean = 0.5, sd = 0.1 }
bypass_fraction = { distribution = "beta", a = 3.0, b = 17.0 }
death_gain = { distribution = "lognormal", median = 2.0, sd = 0.5 }
marrow_odds = { distribution = "uniform", lower = 1.0, upper = 3.0 }

[observations]
file = "data/iris.csv"
exclude = ["chr_ever_30"]

[distance]
name = "trial"
weights = { response = 0.5, os_60 = 2.0 }

[sampler]
name = "smc"
population = 20
schedule = "list"
tolerances = [40.0, 30.0]
kernel = "nearest"
defensive = 0.05

[stop]
tolerance = 1.0
acceptance_rate = 0.001
simulations = 1000
generations = 2
failures = 0.9

[refine]
modes = 2
simulations = 10
replicates = 2
profile = 1

[output]
file = "elsewhere.h5"
draws = 10
"#;

/// Keys of a comparison that no shipped job needs.
const COMPARED: &str = r#"name = "compared"
seed = 1
model = { name = "coin" }
variant = [{ name = "fair", fixed = { p_heads = 0.5 } }, { name = "biased", model = "coin" }]
priors.p_heads = { distribution = "uniform", lower = 0, upper = 1 }
observations.values.heads = 3
"#;

/// What decides on acceptance is the noise: a value that was not detected, and a share.
const NOISY: &str = r#"
name = "noisy"
seed = 1
[model]
name = "gaussian_mixture"
[priors]
theta_0 = { distribution = "normal", mean = 0, sd = 1 }
theta_1 = { distribution = "uniform", lower = 0, upper = 1 }
[observations]
values = { x_0 = -1, x_1 = 0.7 }
[noise]
x_0 = { distribution = "normal", sd = 0.5, limit = -1 }
x_1 = { distribution = "binomial", n = 20 }
[sampler]
accept = "noise"
population = 60
[refine]
modes = 1
simulations = 60
"#;

const MINIMAL: &str = r#"name = "minimal"
seed = 1
model.name = "coin"
priors.p_heads = { distribution = "uniform", lower = 0, upper = 1 }
observations.values.heads = 3
"#;

/// What the distance of a general model can do, with one measurement that lies far from what the model gives.
const GENERAL: &str = r#"name = "general"
seed = 1
model.name = "gaussian_linear"
priors.mean_0 = { distribution = "uniform", lower = -1, upper = 1 }
observations.values = { x_0 = 0.3, x_1 = 9, x_2 = 0, x_3 = 0, x_4 = 0, x_5 = 0, x_6 = 0, x_7 = 0, x_8 = 0, x_9 = 0 }
distance = { name = "euclidean", scale = "mad", robust = true, p = 1, weights = { x_9 = 0 } }
sampler.population = 100
stop.generations = 3
refine.modes = 1
refine.simulations = 50
"#;

/// Scales of a pilot are shown, stored and the same on one thread, on three, and when the job is run again from the file alone.
#[test]
fn a_pilot_scales_the_distance() {
    let folder = folder();
    std::fs::write(folder.path().join("general.toml"), GENERAL).unwrap();
    let said = succeed(folder.path(), &["check", "general.toml"]);
    assert!(said.contains("scales by median absolute deviation, from 100 draws of the prior"), "{said}");
    let line = |name: &str| said.lines().find(|line| line.trim().starts_with(name)).unwrap().to_string();
    assert!(line("x_1 ").ends_with("weight 1  observed far outside the pilot: counted for less"), "{said}");
    assert!(line("x_2 ").ends_with("weight 1") && line("x_9 ").ends_with("weight 0"), "{said}");
    let digests = |threads: &str| {
        let said = say(folder.path(), &["run", "general.toml", "--threads", threads, "--overwrite"]);
        assert!(said.code == 0 && said.err.contains("counted for less: x_1\n"), "{}", said.err);
        succeed(folder.path(), &["digest", "general.h5"])
    };
    let one = digests("1");
    assert!(one.lines().any(|line| line.starts_with("distance ")), "{one}");
    assert_eq!(digests("3"), one);
    assert!(succeed(folder.path(), &["reproduce", "general.h5"]).lines().all(|line| line.ends_with(" reproduced")));
    succeed(folder.path(), &["refine", "general.h5"]);
    assert_eq!(succeed(folder.path(), &["digest", "general.h5"]), one);
}

/// Learned summaries and samples: shown, stored, and the same on one thread, on three, and from the file alone.
#[test]
fn a_distance_is_learned_or_one_of_samples() {
    let folder = folder();
    let general = r#"{ name = "euclidean", scale = "mad", robust = true, p = 1, weights = { x_9 = 0 } }"#;
    let network = "learned\", regression = \"network";
    for (name, shown) in [("learned", "mean_0"), (network, "mean_0"), ("energy", "distance       energy")] {
        let job = GENERAL.replace(general, &format!("{{ name = \"{name}\" }}"));
        std::fs::write(folder.path().join("general.toml"), job.replace("x_1 = 9", "x_1 = 0.5")).unwrap();
        let said = succeed(folder.path(), &["check", "general.toml"]);
        let line = said.lines().find(|line| line.trim().starts_with(shown)).unwrap();
        assert!(name == "energy" || line.ends_with(" % of its variance is foretold"), "{said}");
        let digests = |threads: &str| {
            succeed(folder.path(), &["run", "general.toml", "--threads", threads, "--overwrite", "-q"]);
            succeed(folder.path(), &["digest", "general.h5"])
        };
        let one = digests("1");
        assert_eq!(one.lines().any(|line| line.starts_with("distance ")), name != "energy", "{one}");
        assert_eq!(digests("3"), one);
        assert!(succeed(folder.path(), &["reproduce", "general.h5"]).lines().all(|line| line.ends_with(" reproduced")));
    }
}

#[test]
fn every_shipped_job_is_sound() {
    let folder = folder();
    let jobs = shipped_jobs();
    assert!(jobs.len() >= 5, "{jobs:?}");
    for path in jobs {
        let job = Job::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let header = job.header().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(!header.parameters.is_empty() && header.observed.len() == header.summaries.len());
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(*job.definition.name.get_ref(), path.file_stem().unwrap().to_str().unwrap(), "{name}");
        // The opening comment states question, data and cost.
        for word in ["# Question:", "# Data:", "# Cost:"] {
            assert!(job.source.text.contains(word), "{name} lacks the comment '{word}'");
        }
        let said = succeed(folder.path(), &["check", &format!("jobs/{name}")]);
        assert!(said.starts_with(&format!("jobs/{name}: sound\n")) && said.contains("core time"), "{said}");
        // The file alone builds the same job: that is what reproduction stands on.
        let again = Job::embedded(&path, header.job_text.clone(), header.observations_text.clone()).unwrap();
        assert_eq!(again.canonical(), header.job_canonical, "{name}");
    }
}

/// Every key that a job may have, with `*` for names and places in a list; those of rules stand in scenarios.
fn known_keys() -> BTreeSet<String> {
    let tables = reference::tables(Meant::Job);
    let dotted = |table: &Table, key: &Key| format!("{}.{}", table.path, key.name).trim_start_matches('.').to_string();
    let keys = tables.iter().flat_map(|table| table.keys.iter().map(move |key| dotted(table, key)));
    keys.filter(|key| !key.starts_with("trial.*.rule.")).collect()
}

fn used_keys(path: &str, value: &toml::Value, known: &BTreeSet<String>, used: &mut BTreeSet<String>) {
    match value {
        _ if known.contains(path) => drop(used.insert(path.into())),
        toml::Value::Array(list) => list.iter().for_each(|one| used_keys(&format!("{path}.*"), one, known, used)),
        toml::Value::Table(table) => {
            let named = known.iter().any(|key| key.starts_with(&format!("{path}.*.")));
            let name = |key: &str| format!("{path}.{}", if named { "*" } else { key }).trim_start_matches('.').to_string();
            table.iter().for_each(|(key, value)| used_keys(&name(key), value, known, used));
        }
        _ => {}
    }
}

#[test]
fn every_key_is_used_somewhere() {
    let known = known_keys();
    assert!(known.len() > 60, "{known:?}");
    let mut used = BTreeSet::new();
    let own = [MAXIMAL, COMPARED, NOISY, GENERAL].map(String::from).into_iter();
    let (from, to) = (GENERAL.find("{ name = \"euclidean\"").unwrap(), GENERAL.find("\nsampler").unwrap());
    let learned = GENERAL.replace(&GENERAL[from..to], "{ name = \"learned\", regression = \"network\" }");
    let own = own.chain([text("tests/suite/two-trials.toml"), learned]);
    for job in own.chain(shipped_jobs().iter().map(|job| std::fs::read_to_string(job).unwrap())) {
        used_keys("", &toml::Value::Table(job.parse().unwrap()), &known, &mut used);
    }
    let missing: Vec<&String> = known.difference(&used).collect();
    assert!(missing.is_empty(), "no job shows these keys: {missing:?}");
}

#[test]
fn a_job_with_every_key_and_one_with_none_to_spare_run_to_their_end() {
    let folder = folder();
    let jobs = [
        ("maximal", MAXIMAL, "elsewhere.h5"),
        ("compared", COMPARED, "compared.h5"),
        ("minimal", MINIMAL, "minimal.h5"),
        ("noisy", NOISY, "noisy.h5"),
    ];
    for (name, job, output) in jobs {
        std::fs::write(folder.path().join(format!("jobs/{name}.toml")), job).unwrap();
        let said = succeed(folder.path(), &["run", &format!("jobs/{name}.toml")]);
        assert!(said.contains(output), "{said}");
        assert!(folder.path().join(output).is_file());
        assert!(succeed(folder.path(), &["digest", output]).starts_with("inference "));
    }
    // A job says what is inferred, not where it stands: the same one from another folder has the same digest.
    let moved = folder.path().join("moved");
    std::fs::create_dir(&moved).unwrap();
    std::fs::copy(folder.path().join("jobs/minimal.toml"), moved.join("renamed.toml")).unwrap();
    assert!(nicho(&moved, &["run", "renamed.toml", "-o", "x.h5"]).output().unwrap().status.success());
    assert_eq!(succeed(&moved, &["digest", "x.h5"]), succeed(folder.path(), &["digest", "minimal.h5"]));
}

/// What a methods developer does first: the example's program takes its own model through every verb, on any number of threads.
#[test]
fn a_program_brings_a_model_of_its_own() {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_nicho")).with_file_name("examples").join("own_model");
    if !program.exists() {
        return left_out(
            "a_program_brings_a_model_of_its_own",
            "cargo test --test suite does not build examples/; cargo test does",
        );
    }
    let folder = folder();
    let job = repository("examples/own_model.toml");
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(&program).current_dir(folder.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let job = job.to_str().unwrap();
    assert!(run(&["check", job, "--parameters"]).contains("rate at which the ill recover"));
    for threads in ["1", "3"] {
        run(&["run", job, "-o", &format!("{threads}.h5"), "--threads", threads]);
    }
    let [one, three] = ["1.h5", "3.h5"].map(|file| run(&["digest", file]));
    assert_eq!(one, three);
    assert!(run(&["simulate", job, "--set", "infection=0.4"]).contains("peak_day"));
    // Without its model a program says so, and what it has.
    let said = say(folder.path(), &["check", job]);
    assert!(said.code == 3 && said.err.contains("unknown model 'epidemic'"), "{}", said.err);
}
