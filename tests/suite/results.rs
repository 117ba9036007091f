//! What people do with results: lay runs over each other, watch one, take the numbers elsewhere.

use std::path::Path;
use std::process::Command;

use nicho::job::Job;
use nicho::report::{Compared, Comparison, Input};
use nicho::store::Store;

use crate::bad_input::snapshot;
use crate::exact_posteriors::smc;
use crate::support::{folder, left_out, repository, run, say, succeed};

/// A column of a table, as text.
fn column(folder: &Path, file: &str, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_path(folder.join(file)).unwrap();
    let at = reader.headers().unwrap().iter().position(|header| header == name).unwrap_or_else(|| panic!("{file}: no {name}"));
    reader.records().map(|record| record.unwrap()[at].to_string()).collect()
}

/// The same as numbers.
fn numbers(folder: &Path, file: &str, name: &str) -> Vec<f64> {
    column(folder, file, name).iter().map(|text| if text.is_empty() { f64::NAN } else { text.parse().unwrap() }).collect()
}

fn bits(values: impl IntoIterator<Item = f64>) -> Vec<u64> {
    values.into_iter().map(f64::to_bits).collect()
}

/// The very bits of the file come back from its tables. Planted: `{x}` with nine digits in place of the shortest that reads back.
#[test]
fn tables_read_back_to_the_bits_of_the_file() {
    let folder = folder();
    succeed(folder.path(), &["run", "jobs/coin.toml", "-q"]);
    let written = succeed(folder.path(), &["export", "coin.h5", "tables"]);
    let tables = folder.path().join("tables");
    let (store, there) = (Store::open(folder.path().join("coin.h5")).unwrap(), |name: &str| tables.join(name).exists());
    assert!(written.lines().all(|path| folder.path().join(path).is_file()), "{written}");
    for (draws, file) in [(store.posterior(), "posterior.csv"), (store.prior(), "prior.csv")] {
        let theta = draws.unwrap().draws.theta.column(0).to_vec();
        assert_eq!(bits(numbers(&tables, file, "p_heads")), bits(theta), "{file}");
    }
    let generations = &store.run().generations;
    let all = |of: fn(&nicho::population::Generation) -> Vec<f64>| bits(generations.iter().flat_map(of));
    assert_eq!(bits(numbers(&tables, "particles.csv", "p_heads")), all(|g| g.theta.column(0).to_vec()));
    assert_eq!(bits(numbers(&tables, "particles.csv", "weight")), all(|g| g.weights().as_slice().to_vec()));
    assert_eq!(bits(numbers(&tables, "particles.csv", "ln_weight")), all(|g| g.ln_weight.clone()));
    assert_eq!(bits(numbers(&tables, "summaries.csv", "heads")), all(|g| g.summaries.column(0).to_vec()));
    assert_eq!(bits(numbers(&tables, "generations.csv", "tolerance")), all(|g| vec![g.tolerance]));
    assert_eq!(bits(numbers(&tables, "generations.csv", "ess")), all(|g| vec![g.weights().ess()]));
    let predicted = [store.prior(), store.posterior()].map(|of| of.unwrap().values.column(0).to_vec()).concat();
    assert_eq!(bits(numbers(&tables, "predictions.csv", "value [unit]")), bits(predicted));
    assert_eq!(bits(numbers(&tables, "modes.csv", "p_heads")), bits(store.modes().unwrap().iter().map(|m| m.theta[0])));
    assert_eq!(bits(numbers(&tables, "noise_floor.csv", "distance")), bits(store.noise_floor().unwrap().iter().copied()));
    assert_eq!(column(&tables, "parameters.csv", "prior")[0], "uniform(lower = 0, upper = 1)");
    assert!(!there("adjusted.csv") && !there("models.csv") && !there("scenarios.csv"), "tables of what the run does not have");
}

/// An export takes the place of an earlier one, whole, and of nothing else.
#[test]
fn an_export_replaces_only_an_export() {
    let folder = folder();
    succeed(folder.path(), &["run", "jobs/coin.toml", "-q"]);
    succeed(folder.path(), &["export", "coin.h5", "tables"]);
    snapshot("export_over_an_export", &say(folder.path(), &["export", "coin.h5", "tables"]));
    // What the new one does not have goes.
    std::fs::write(folder.path().join("tables/adjusted.csv"), "draw\n").unwrap();
    succeed(folder.path(), &["export", "coin.h5", "tables", "--overwrite"]);
    assert!(!folder.path().join("tables/adjusted.csv").exists());
    std::fs::write(folder.path().join("tables/mine.txt"), "mine").unwrap();
    snapshot("export_over_other_files", &say(folder.path(), &["export", "coin.h5", "tables", "--overwrite"]));
    snapshot("export_over_a_file", &say(folder.path(), &["export", "coin.h5", "coin.h5", "--overwrite"]));
    snapshot("export_into_no_folder", &say(folder.path(), &["export", "coin.h5", "no/such"]));
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    succeed(folder.path(), &["export", "coin.h5", "empty"]);
    let hidden = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().display().to_string());
    assert!(hidden.filter(|name| name.starts_with('.')).next().is_none(), "something is left beside");
}

/// With the Python that `NICHO_PYTHON` names, see `open_file`: a trial's rows, units and gaps too.
#[test]
fn pandas_reads_what_h5py_reads() {
    let Some(python) = std::env::var_os("NICHO_PYTHON").filter(|path| !path.is_empty()) else {
        left_out("pandas_reads_what_h5py_reads", "NICHO_PYTHON is not set, see python_readers_open_the_file");
        return;
    };
    let folder = folder();
    succeed(folder.path(), &["run", "jobs/iris-smoke.toml", "-q"]);
    succeed(folder.path(), &["export", "iris-smoke.h5", "tables"]);
    let script = repository("tests/python/tables.py");
    let output = Command::new(&python).arg(script).args(["iris-smoke.h5", "tables"]).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains(": good"), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs of the coin with seeds 1..=2R, in pairs. Null: shift and spread of a pair, over their errors, are standard normal, so that
/// the R = 80 squares sum to χ² with 80 degrees of freedom, for shift and spread each; N = 500 particles, false alarms 1e-4 each.
///
/// Planted: the error of the first run left out of that of the difference: 161 and 147.
#[test]
fn seeds_differ_by_their_monte_carlo_error() {
    const PAIRS: u64 = 80;
    let scratch = tempfile::tempdir().unwrap();
    let job = Job::load(&repository("jobs/coin.toml")).unwrap();
    let stored = |seed: u64| {
        let job = job.clone().with_seed(seed).unwrap();
        let run = run(&smc(500, 0.0), &job.problem().unwrap(), &nicho::exec::threads::Threads::new(2));
        let mut store = Store::create(scratch.path().join(format!("{seed}.h5")), &job.header().unwrap()).unwrap();
        store.append(run.last().unwrap().clone()).unwrap();
        store
    };
    let priors = job.priors();
    let mut sums = [0.0; 2];
    for pair in 0..PAIRS {
        let stores = [2 * pair + 1, 2 * pair + 2].map(stored);
        let input = |store| Input { store, priors: &priors, noise_floor: &[], models: &[], table: None };
        let runs: Vec<Compared> =
            stores.iter().enumerate().map(|(k, store)| Compared { name: k.to_string(), input: input(store) }).collect();
        let comparison = Comparison::of(&runs, Vec::new()).unwrap();
        let apart = comparison.parameters[0].runs[1].as_ref().unwrap().apart.unwrap();
        for (sum, measured) in sums.iter_mut().zip([apart.shift, apart.spread]) {
            *sum += (measured.value / measured.error).powi(2);
        }
        assert!(apart.overlap > 0.8, "{}", apart.overlap);
    }
    assert!(sums.iter().all(|sum| (39.9..138.9).contains(sum)), "{sums:?}");
}

#[test]
fn runs_are_laid_over_each_other() {
    let folder = folder();
    let path = folder.path();
    for seed in ["1", "2"] {
        succeed(path, &["run", "jobs/coin.toml", "-q", "--seed", seed, "-o", &format!("coin-{seed}.h5")]);
    }
    let said = succeed(path, &["compare", "coin-1.h5", "coin-2.h5"]);
    assert!(said.contains("\n  seed: 1 (coin-1); 2 (coin-2)\n"), "{said}");
    assert!(said.contains("coin-2 agrees with coin-1 within Monte-Carlo error: of 2 differences"), "{said}");
    assert!(said.ends_with("Page    compare.html\n") && said.lines().all(|line| line.len() <= 120), "{said}");
    let page = std::fs::read_to_string(path.join("compare.html")).unwrap();
    let digest = succeed(path, &["digest", "coin-1.h5"]);
    let digest = digest.split_whitespace().nth(1).unwrap();
    assert!(page.contains(digest) && page.contains("id=\"marginal-p_heads\"") && page.contains("id=\"rows-rows\""));
    for outside in ["<script", "http://www.w3.org/1999/xlink", "src=", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.matches("http").count() == page.matches("http://www.w3.org/2000/svg").count(), "the page needs a network");
    // The same runs give the same bytes.
    succeed(path, &["compare", "coin-1.h5", "coin-2.h5", "-o", "again.html"]);
    assert_eq!(page, std::fs::read_to_string(path.join("again.html")).unwrap());
    // Another job: the data are others, and a parameter that one run holds fixed.
    let normal = std::fs::read_to_string(path.join("jobs/coin.toml")).unwrap();
    std::fs::write(path.join("other.toml"), normal.replace("heads = 14", "heads = 6")).unwrap();
    succeed(path, &["run", "other.toml", "-q", "-o", "other.h5"]);
    let said = succeed(path, &["compare", "coin-1.h5", "other.h5", "coin-2.h5", "-o", "three.html"]);
    assert!(said.contains("! other differs from coin-1 by more than Monte-Carlo error: mean of p_heads by -"), "{said}");
    assert!(said.contains("observations.values.heads: 14.0 (coin-1, coin-2); 6.0 (other)"), "{said}");
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let folder = folder();
    let path = folder.path();
    for job in ["coin", "normal"] {
        succeed(path, &["run", &format!("jobs/{job}.toml"), "-q"]);
    }
    std::fs::copy(path.join("coin.h5"), path.join("copy.h5")).unwrap();
    let refused = |name: &str, files: &[&str]| snapshot(name, &say(path, &[&["compare"], files].concat()));
    refused("compare_one", &["coin.h5"]);
    refused("compare_one_twice", &["coin.h5", "./coin.h5"]);
    refused("compare_no_result", &["coin.h5", "jobs/coin.toml"]);
    refused("compare_nothing_in_common", &["coin.h5", "normal.h5"]);
    refused("compare_missing", &["coin.h5", "none.h5"]);
    succeed(path, &["compare", "coin.h5", "copy.h5"]);
    refused("compare_over_a_page", &["coin.h5", "copy.h5"]);
    let said = succeed(path, &["compare", "coin.h5", "copy.h5", "--overwrite"]);
    assert!(said.contains("copy is the same inference as coin: their digests are equal."), "{said}");
}
