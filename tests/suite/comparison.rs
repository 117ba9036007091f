//! Models compared and whole numbers inferred, against exact posteriors; statistics and false alarms as in `exact_posteriors`.

use nicho::job::Job;
use nicho::rng::Key;
use nicho::sampler::Problem;

use crate::exact_posteriors::{Expectation, judge, phi, replicates, smc};
use crate::support::{folder, say, succeed};

fn job(text: &str) -> Job {
    Job::embedded("test.toml".as_ref(), text.into(), String::new()).unwrap()
}

/// Probability of one value of the last parameter.
fn share(name: &str, of: usize, value: f64, exact: f64) -> Expectation {
    Expectation { name: name.into(), of: Box::new(move |theta: &[f64]| f64::from(theta[of] == value)), exact }
}

const COIN: &str = r#"
name = "fair"
seed = 1
model = { name = "coin", fixed = { tosses = 20 } }
variant = [{ name = "fair", fixed = { p_heads = 0.5 } }, { name = "biased" }]
priors.p_heads = { distribution = "uniform", lower = 0, upper = 1 }
observations.values.heads = 14
"#;

/// Is the coin fair, if it fell on heads 14 times of 20? Marginal likelihoods: C(20, 14) / 2^20 = 0.0370, and 1/21: odds 1.29. R = 12
/// runs of N = 1500, by falling tolerances to 0; given bias, the posterior is Beta(15, 7).
///
/// Planted: a kernel's constant left out between models: the probability of bias is 0.79, z = 72.
#[test]
fn a_coin_is_fair_or_biased_with_its_exact_odds() {
    let job = job(COIN);
    let runs = replicates(12, &smc(1500, 0.0), |seed| Problem { key: Key::root(seed), ..job.problem().unwrap() });
    let (fair, biased) = (38_760.0 / 1_048_576.0, 1.0 / 21.0);
    let odds = biased / (fair + biased);
    let mean = |theta: &[f64]| if theta[1] == 1.0 { theta[0] - 15.0 / 22.0 } else { 0.0 };
    // The bias that a fair coin does not have follows its prior.
    let unused = |theta: &[f64]| if theta[1] == 0.0 { theta[0] - 0.5 } else { 0.0 };
    judge(
        &runs,
        &[
            share("biased", 1, 1.0, odds),
            Expectation { name: "mean bias".into(), of: Box::new(mean), exact: 0.0 },
            Expectation { name: "unused bias".into(), of: Box::new(unused), exact: 0.0 },
        ],
    );
}

/// Two normals with different parameters fixed and inferred, at a coarse tolerance whose window is in the exact marginal likelihoods:
/// mean N(0, 2) with sd 1, or mean 0 with sd loguniform on (0.5, 5) — models of which no parameter is common. R = 12 runs of N = 1000.
///
/// Planted: the share of proposals that a model gets left out of their density: 0.27 in place of 0.36, z = -18; a kernel's constant: z = 34.
#[test]
fn models_without_a_common_parameter_have_their_exact_odds() {
    let job = job(r#"
name = "normals"
seed = 1
model = { name = "normal", fixed = { sample = 1 } }
variant = [{ name = "shifted", fixed = { sd = 1.0 } }, { name = "wide", fixed = { mean = 0.0 } }]
priors.mean = { distribution = "normal", mean = 0, sd = 2 }
priors.sd = { distribution = "loguniform", lower = 0.5, upper = 5 }
observations.values.sample_mean = 2.5
"#);
    const TOLERANCE: f64 = 0.25;
    let runs = replicates(12, &smc(1000, TOLERANCE), |seed| Problem { key: Key::root(seed), ..job.problem().unwrap() });
    let window = |sd: f64| phi((2.5 + TOLERANCE) / sd) - phi((2.5 - TOLERANCE) / sd);
    let shifted = window(5.0f64.sqrt());
    let n = 10_000;
    let sd = |k: i32| 0.5 * libm::pow(10.0, (f64::from(k) + 0.5) / f64::from(n));
    let wide = (0..n).map(|k| window(sd(k))).sum::<f64>() / f64::from(n);
    judge(&runs, &[share("wide", 2, 1.0, wide / (shifted + wide))]);
}

/// How often was a coin tossed, if it fell on heads six (ten) times, and shows them three times of ten (99 of 100)? The posterior of the
/// number of tosses n is proportional to C(n, heads) (1 - p)^n between the bounds: broad, and nearly all on the least. R = 12 runs of N = 1500
/// each, to tolerance 0.
///
/// Planted: the cells of the bounds half as wide as the others: the least has a probability of 0.81 in place of 0.90, z = -28.
#[test]
fn a_whole_number_has_its_exact_posterior() {
    for (p, heads, lower, upper, middle) in [(0.3, 6, 6, 60, 15), (0.99, 10, 10, 14, 10)] {
        let job = job(&format!(
            r#"
name = "tosses"
seed = 1
model = {{ name = "coin", fixed = {{ p_heads = {p} }} }}
priors.tosses = {{ distribution = "integer", lower = {lower}, upper = {upper} }}
observations.values.heads = {heads}
"#
        ));
        let runs = replicates(12, &smc(1500, 0.0), |seed| Problem { key: Key::root(seed), ..job.problem().unwrap() });
        let weight = |n: i32| {
            let ways = libm::lgamma(f64::from(n) + 1.0) - libm::lgamma(f64::from(n - heads) + 1.0);
            if n < heads { 0.0 } else { libm::exp(ways + f64::from(n) * libm::log(1.0 - p)) }
        };
        let sum: f64 = (lower..=upper).map(weight).sum();
        let mean = (lower..=upper).map(|n| weight(n) / sum * f64::from(n)).sum();
        let below = (lower..=middle).map(weight).sum::<f64>() / sum;
        let of = move |theta: &[f64]| f64::from(theta[0] <= f64::from(middle));
        judge(
            &runs,
            &[
                Expectation { name: "mean".into(), of: Box::new(|theta: &[f64]| theta[0]), exact: mean },
                Expectation { name: format!("n <= {middle}"), of: Box::new(of), exact: below },
            ],
        );
    }
}

/// What a user sees of a comparison: probabilities with their errors, and a digest that is the same on any number of threads.
#[test]
fn a_comparison_is_run_reported_and_reproduced() {
    let folder = folder();
    std::fs::write(folder.path().join("fair.toml"), COIN).unwrap();
    for threads in ["1", "3"] {
        let out = format!("{threads}.h5");
        let said = succeed(folder.path(), &["run", "fair.toml", "-o", &out, "--threads", threads]);
        assert!(said.contains("Models") && said.contains("biased"), "{said}");
    }
    let [one, three] = ["1.h5", "3.h5"].map(|file| succeed(folder.path(), &["digest", file]));
    assert_eq!(one, three);
    let models = std::fs::read_to_string(folder.path().join("1.report/models.csv")).unwrap();
    let biased = models.lines().find(|line| line.starts_with("biased,")).unwrap();
    let probability: f64 = biased.split(',').nth(1).unwrap().parse().unwrap();
    assert!((probability - 0.563).abs() < 0.1, "{models}");
}

/// A parameter is judged by the models in which it acts; what cannot be asked of a comparison is refused; a patient is one of a model.
#[test]
fn a_comparison_speaks_of_each_model_by_itself() {
    let folder = folder();
    std::fs::write(folder.path().join("fair.toml"), COIN).unwrap();
    succeed(folder.path(), &["run", "fair.toml", "-o", "fair.h5"]);
    // Beta(15, 7), not its mixture with the prior that a fair coin leaves: mean 0.682, of the mixture 0.602.
    let parameters = std::fs::read_to_string(folder.path().join("fair.report/parameters.csv")).unwrap();
    let mean: f64 = parameters.lines().nth(1).unwrap().split(',').nth(2).unwrap().parse().unwrap();
    assert!(parameters.lines().count() == 2 && (mean - 15.0 / 22.0).abs() < 0.02, "{parameters}");
    let refused = |arguments: &[&str], words: &str| {
        let said = say(folder.path(), arguments);
        assert!(said.code == 2 && said.err.contains(words), "{} {}", said.code, said.err);
    };
    refused(&["refine", "fair.h5"], "compares several");
    refused(&["simulate", "fair.toml", "--set", "variant=0.7"], "the number of a model");
    let said = say(folder.path(), &["simulate", "fair.toml", "--fit", "fair.h5"]);
    assert!(said.err.contains("several models have no mean"), "{}", said.err);
    let check = succeed(folder.path(), &["check", "fair.toml"]);
    assert!(check.contains("compares       fair: in it act ") && check.contains("biased: in it act all parameters"), "{check}");
    // The number of the model is no parameter.
    let document: serde_json::Value =
        serde_json::from_str(&succeed(folder.path(), &["check", "fair.toml", "--json", "--parameters"])).unwrap();
    let names: Vec<&str> = document["parameters"].as_array().unwrap().iter().filter_map(|of| of["parameter"].as_str()).collect();
    assert_eq!((&document["model"]["inferred"], &document["model"]["parameters"]), (&1.into(), &2.into()), "{document}");
    assert!(check.contains("2 parameters, 1 of them inferred") && names == ["p_heads", "tosses"], "{check} {names:?}");
    let job = "jobs/niche-variants.toml";
    let patient = ["simulate", job, "--set", "variant=2", "--patient", "3", "-o", "patient"];
    assert!(succeed(folder.path(), &patient).contains("patient 3"));
}

/// Runs that compare models, against each other: probabilities are part of whether they agree, and what one lacks is said. Planted:
/// parameters alone: two seeds have two differences, and the probabilities are none of them.
#[test]
fn comparisons_are_compared() {
    let folder = folder();
    let path = folder.path();
    let jobs = [
        ("one", COIN.to_string()),
        ("two", COIN.replace("seed = 1", "seed = 2")),
        ("ten", COIN.replace("heads = 14", "heads = 10").replace("lower = 0, upper = 1", "lower = 0.4, upper = 0.6")),
        ("bent", COIN.replace("\"biased\"", "\"bent\"")),
    ];
    for (name, job) in &jobs {
        std::fs::write(path.join(format!("{name}.toml")), job).unwrap();
        succeed(path, &["run", &format!("{name}.toml"), "-q", "-o", &format!("{name}.h5")]);
    }
    let compare = |files: &[&str]| succeed(path, &[&["compare", "one.h5"], files, &["-o", "page.html", "--overwrite"]].concat());
    let said = compare(&["two.h5"]);
    assert!(said.contains("two agrees with one in its posterior within Monte-Carlo error: of 3 differences"), "{said}");
    // Biased without having anywhere to go: nearly the odds of the prior, and a shorter posterior.
    let said = compare(&["ten.h5"]);
    assert!(said.contains("ten differs from one") && said.contains("probability of fair by +0."), "{said}");
    let said = compare(&["bent.h5"]);
    assert!(said.contains("\n  variant.bent: not set (one); {\"name\":\"bent\"} (bent)\n"), "{said}");
    assert!(said.contains("  Model biased: absent in bent.\n") && said.contains("  Model bent: absent in one.\n"), "{said}");
    let page = std::fs::read_to_string(path.join("page.html")).unwrap();
    assert!(page.contains("id=\"models\"") && page.contains("Model biased: absent in bent."));
}

/// Tables have names of models, and whole numbers as such. Planted: numbers of models: "0" and "1".
#[test]
fn tables_name_the_model_and_write_whole_numbers_as_such() {
    let folder = folder();
    let path = folder.path();
    let job = COIN.replace("fixed = { tosses = 20 } ", "").replace("fixed = { tosses = 20 }", "fixed = {}");
    let job = job.replace("observations", "priors.tosses = { distribution = \"integer\", lower = 14, upper = 30 }\nobservations");
    std::fs::write(path.join("tosses.toml"), job).unwrap();
    succeed(path, &["run", "tosses.toml", "-q", "-o", "tosses.h5"]);
    succeed(path, &["export", "tosses.h5", "tables"]);
    for file in ["posterior.csv", "prior.csv", "particles.csv"] {
        let table = std::fs::read_to_string(path.join("tables").join(file)).unwrap();
        let mut lines = table.lines().map(|line| line.split(',').collect::<Vec<&str>>());
        let head = lines.next().unwrap();
        let place = |name: &str| head.iter().position(|column| *column == name).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for line in lines {
            assert!((14..=30).contains(&line[place("tosses")].parse::<u32>().unwrap()), "{line:?}");
            // Where it is fixed there is nothing to say of it.
            assert_eq!(line[place("p_heads")].is_empty(), line[place("variant")] == "fair", "{line:?}");
            seen.insert(line[place("variant")].to_string());
        }
        assert_eq!(seen, ["biased", "fair"].map(String::from).into(), "{file}");
    }
    let columns = std::fs::read_to_string(path.join("tables/columns.csv")).unwrap();
    assert!(columns.contains("\nposterior.csv,variant,,name of the model that is meant\n"), "{columns}");
}
