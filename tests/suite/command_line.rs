//! Every verb as its user types it: output, exit codes, what it says about files that are there already.

use std::path::Path;

use crate::support::{folder, nicho, say, succeed};

pub const VERBS: [&str; 16] = [
    "run",
    "check",
    "simulate",
    "refine",
    "predict",
    "report",
    "watch",
    "compare",
    "export",
    "digest",
    "reproduce",
    "validate",
    "init",
    "completions",
    "man",
    "schema",
];

/// A folder with the finished coin run in `coin.h5`.
fn finished() -> tempfile::TempDir {
    let folder = folder();
    succeed(folder.path(), &["run", "jobs/coin.toml", "--threads", "2"]);
    folder
}

fn replace(folder: &Path, job: &str, from: &str, to: &str) {
    let path = folder.join(job);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{job} has no '{from}'");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn every_verb_has_help_with_an_example() {
    let folder = folder();
    let help = succeed(folder.path(), &["--help"]);
    assert!(help.contains("Exit codes:"), "{help}");
    for verb in VERBS {
        assert!(help.contains(&format!("\n  {verb}")), "{help}");
        let help = succeed(folder.path(), &[verb, "--help"]);
        assert!(help.contains("Example") && help.contains(&format!("nicho {verb} ")), "{help}");
        // The example of a verb is one that the verb takes.
        let example = help.lines().find(|line| line.trim().starts_with("nicho ")).unwrap();
        let flags = example.split_whitespace().filter(|word| word.starts_with("--"));
        flags.for_each(|flag| assert!(help.contains(&format!("{flag} ")) || help.contains(&format!("{flag}\n")), "{flag}"));
    }
    assert!(succeed(folder.path(), &["--version"]).starts_with("nicho "));
}

#[test]
fn flags_that_make_no_sense_give_exit_code_2() {
    let folder = folder();
    for args in [
        &["run"][..],
        &["calibrate", "jobs/coin.toml"],
        &["run", "jobs/coin.toml", "--resume", "--overwrite"],
        &["run", "jobs/coin.toml", "--threads", "many"],
        &["-q", "-v", "check", "jobs/coin.toml"],
        &["simulate", "jobs/coin.toml", "--set", "p_heads"],
    ] {
        let said = say(folder.path(), args);
        assert_eq!(said.code, 2, "{args:?} {}{}", said.out, said.err);
        assert!(!said.err.is_empty() && said.out.is_empty(), "{args:?}");
    }
}

#[test]
fn run_names_the_file_and_leaves_a_file_that_digest_reads() {
    let folder = finished();
    let digest = succeed(folder.path(), &["digest", "coin.h5"]);
    for (line, name) in digest.lines().zip(["inference", "prior_predictive", "posterior_predictive", "noise_floor", "modes"]) {
        let (first, hex) = line.split_once(' ').unwrap();
        assert_eq!(first, name);
        assert!(hex.len() == 64 && hex.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)), "{line}");
    }
    assert_eq!(digest.lines().count(), 5);
    let files: Vec<String> =
        std::fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!files.iter().any(|name| name.ends_with(".tmp")), "{files:?}");
}

#[test]
fn check_prices_a_job_and_lists_its_parameters() {
    let folder = folder();
    let said = succeed(folder.path(), &["check", "jobs/iris-smoke.toml", "--parameters"]);
    for word in ["sound", "4 of them inferred", "28 rows fitted", "core time", "stem_loss", "1/d", "inferred"] {
        assert!(said.contains(word), "no '{word}' in\n{said}");
    }
}

#[test]
fn a_screen_ranks_parameters_in_every_form() {
    let folder = folder();
    let screen = |more: &[&str]| {
        succeed(folder.path(), &[&["validate", "screen", "jobs/iris-smoke.toml", "--draws", "200"], more].concat())
    };
    let said = screen(&["-o", "screen"]);
    let ranked: Vec<&str> = said.split("any shape\n").nth(1).unwrap().lines().skip(1).take(5).collect();
    assert!(ranked[0].starts_with("marrow_odds ") || ranked[0].starts_with("ic50 "), "{said}");
    assert!(ranked[3].contains(" %") && ranked[4].is_empty(), "{said}");
    let csv = screen(&["--csv", "--threads", "1"]);
    assert_eq!(csv, std::fs::read_to_string(folder.path().join("screen/screen.csv")).unwrap());
    assert_eq!(csv.lines().count(), 1 + 4 * 28);
    let json: serde_json::Value = serde_json::from_str(&screen(&["--json"])).unwrap();
    let (first, rows) = (&json["parameters"][0], json["rows"].as_array().unwrap());
    let line = csv.lines().nth(1).unwrap();
    let cells = [&first["parameter"], &rows[0], &first["monotone"][0], &first["any_shape"][0]];
    assert_eq!(line, cells.map(|cell| cell.to_string().replace('"', "")).join(","));
    let figure = std::fs::read_to_string(folder.path().join("screen/screen.svg")).unwrap();
    assert!(figure.contains("ccyr_km_18") && !figure.contains("var("), "{figure}");
}

#[test]
fn simulate_prints_a_table_or_csv() {
    let folder = folder();
    let table = succeed(folder.path(), &["simulate", "jobs/iris-smoke.toml"]);
    assert!(table.starts_with("row ") && table.contains("os_96"), "{table}");
    let csv = succeed(folder.path(), &["simulate", "jobs/iris-smoke.toml", "--csv"]);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    assert_eq!(reader.headers().unwrap(), vec!["row", "role", "month", "simulated", "observed", "se"]);
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len() + 1, table.lines().count());
    for row in &rows {
        let simulated: f64 = row[3].parse().unwrap();
        assert!((0.0..=1.0).contains(&simulated), "{row:?}");
        assert!(["fit", "held_out"].contains(&&row[1]));
    }
    // The same call gives the same numbers; another replicate others; a drug without effect fewer responses.
    let csv_of = |more: &[&str]| succeed(folder.path(), &[&["simulate", "jobs/iris-smoke.toml", "--csv"], more].concat());
    assert_eq!(csv, csv_of(&[]));
    assert_ne!(csv, csv_of(&["--replicate", "1"]));
    let weak = csv_of(&["--set", "ic50=3"]);
    let ccyr = |csv: &str| -> f64 {
        csv.lines().find(|line| line.starts_with("ccyr_km_18,")).unwrap().split(',').nth(3).unwrap().parse().unwrap()
    };
    assert!(ccyr(&weak) < ccyr(&csv) - 0.2, "{} {}", ccyr(&weak), ccyr(&csv));
}

#[test]
fn refine_again_gives_the_same_modes() {
    let folder = finished();
    let before = succeed(folder.path(), &["digest", "coin.h5"]);
    succeed(folder.path(), &["refine", "coin.h5", "--threads", "1"]);
    assert_eq!(succeed(folder.path(), &["digest", "coin.h5"]), before);
}

/// Profiles are those of any number of threads, stored with a digest of their own, and change no other; the report shows them.
#[test]
fn profiles_are_an_addition_to_a_run() {
    let folder = folder();
    let run = |output: &str, threads: &str| {
        succeed(folder.path(), &["run", "jobs/iris-smoke.toml", "-o", output, "--threads", threads])
    };
    run("plain.h5", "2");
    replace(folder.path(), "jobs/iris-smoke.toml", "modes = 1", "modes = 1\nprofile = 2");
    let said = run("one.h5", "1");
    for words in [
        "by profile",
        "Directions of parameter space",
        "Predictive checks",
        "- Misfit         20 simulated trials are too few",
        "mmr_product_24",
    ] {
        assert!(said.contains(words), "no '{words}' in\n{said}");
    }
    run("two.h5", "2");
    let digests = ["plain.h5", "one.h5", "two.h5"].map(|file| succeed(folder.path(), &["digest", file]));
    assert_eq!(digests[1], digests[2]);
    let of = |k: usize| digests[k].lines().skip(1).filter(|line| !line.starts_with("profile ")).collect::<Vec<_>>();
    assert_eq!(of(0), of(1));
    assert_eq!(digests[1].lines().count(), digests[0].lines().count() + 1);
    let table = std::fs::read_to_string(folder.path().join("one.report/profiles.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 4 * 5, "{table}");
}

#[test]
fn report_names_files_that_are_there() {
    let folder = finished();
    let said = succeed(folder.path(), &["report", "coin.h5", "-o", "pictures"]);
    for line in said.lines() {
        assert!(folder.path().join(line).is_file(), "{line}");
    }
    let pages: Vec<&str> = said.lines().filter(|line| line.ends_with(".html")).collect();
    assert_eq!(pages.len(), 1, "{said}");
    let page = std::fs::read_to_string(folder.path().join(pages[0])).unwrap();
    // One file that needs nothing else: a reader without a network sees all of it.
    for outside in ["src=\"http", "href=\"http", "<link", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("p_heads") && page.contains("<svg"));
}

#[test]
fn reproduce_says_so_line_by_line() {
    let folder = finished();
    let digest = succeed(folder.path(), &["digest", "coin.h5"]);
    let said = succeed(folder.path(), &["reproduce", "coin.h5"]);
    let expected: String = digest.lines().map(|line| format!("{line} reproduced\n")).collect();
    assert_eq!(said, expected);
}

#[test]
fn a_finished_file_is_neither_repeated_nor_replaced_in_silence() {
    let folder = finished();
    let before = std::fs::read(folder.path().join("coin.h5")).unwrap();
    let same = || assert!(std::fs::read(folder.path().join("coin.h5")).unwrap() == before, "the file was touched");
    let said = say(folder.path(), &["run", "jobs/coin.toml"]);
    assert_eq!(said.code, 4);
    for word in ["coin.h5", "a finished run of this job", "--resume", "--overwrite", "-o"] {
        assert!(said.err.contains(word), "no '{word}' in {}", said.err);
    }
    same();
    let said = say(folder.path(), &["run", "jobs/coin.toml", "--resume"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("coin.h5 is finished already") && said.out.contains("nothing to do"), "{}", said.out);
    same();
    let digest = succeed(folder.path(), &["digest", "coin.h5"]);
    succeed(folder.path(), &["run", "jobs/coin.toml", "--overwrite"]);
    assert_eq!(succeed(folder.path(), &["digest", "coin.h5"]), digest);
}

#[test]
fn resuming_nothing_starts_afresh_and_says_so() {
    let folder = folder();
    let said = say(folder.path(), &["run", "jobs/coin.toml", "--resume"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("nothing to resume at coin.h5; starting afresh"), "{}", said.err);
    succeed(folder.path(), &["digest", "coin.h5"]);
}

#[test]
fn another_job_at_the_same_path_is_refused_with_what_changed() {
    let folder = finished();
    replace(folder.path(), "jobs/coin.toml", "seed = 1", "seed = 2");
    replace(folder.path(), "jobs/coin.toml", "population = 2000", "population = 500");
    for args in [&["run", "jobs/coin.toml"][..], &["run", "jobs/coin.toml", "--resume"]] {
        let said = say(folder.path(), args);
        assert_eq!(said.code, 4);
        for word in ["another job", "seed: 1 there, 2 here", "sampler.population: 2000 there, 500 here", "--overwrite"] {
            assert!(said.err.contains(word), "no '{word}' in {}", said.err);
        }
    }
    succeed(folder.path(), &["run", "jobs/coin.toml", "--overwrite"]);
    // What does not shape the answer is no other job: a comment, a shorter spelling of the same.
    replace(folder.path(), "jobs/coin.toml", "seed = 2", "seed = 0x2 # two");
    assert!(succeed(folder.path(), &["run", "jobs/coin.toml", "--resume"]).contains("is finished already"));
}

#[test]
fn json_logs_are_json_line_by_line() {
    let folder = folder();
    let said = say(folder.path(), &["run", "jobs/coin.toml", "--log-format", "json", "-v"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let records: Vec<serde_json::Value> =
        said.err.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect();
    let done: Vec<_> = records.iter().filter(|r| r["fields"]["message"] == "generation done").collect();
    assert!(done.len() > 2, "{}", said.err);
    for (k, record) in done.iter().enumerate() {
        assert_eq!(record["fields"]["generation"], k as u64);
        assert!(record["timestamp"].is_string() && record["level"] == "INFO" && record["fields"]["tolerance"].is_string());
    }
}

#[test]
fn quiet_is_quiet_and_rust_log_comes_first() {
    let folder = folder();
    let said = say(folder.path(), &["run", "jobs/coin.toml", "-q"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let said = nicho(folder.path(), &["run", "jobs/coin.toml", "--overwrite", "-q"]).env("RUST_LOG", "info").output().unwrap();
    assert!(String::from_utf8(said.stderr).unwrap().contains("generation done"));
}

#[test]
fn a_file_that_is_missing_is_named() {
    let folder = folder();
    for args in [&["digest", "none.h5"][..], &["refine", "none.h5"], &["report", "none.h5"], &["reproduce", "none.h5"]] {
        let said = say(folder.path(), args);
        assert_eq!(said.code, 6, "{args:?} {}", said.err);
        assert!(said.err.contains("none.h5") && said.err.contains("No such file"), "{}", said.err);
    }
}

#[test]
fn one_patient_is_written_as_a_table_and_figures() {
    let folder = folder();
    let job = crate::support::repository("jobs/iris-smoke.toml");
    let scenario = crate::support::repository("jobs/scenarios/early-switch.toml");
    let (job, scenario) = (job.to_str().unwrap(), scenario.to_str().unwrap());
    let told = succeed(folder.path(), &["simulate", job, "--patient", "3", "--scenario", scenario, "-o", "patient"]);
    assert_eq!(told.lines().filter(|line| line.starts_with("patient/")).count(), 8, "{told}");
    let table = std::fs::read_to_string(folder.path().join("patient/trajectory.csv")).unwrap();
    assert!(table.starts_with("month [month],bcr_abl [% IS],dose.imatinib [mg/d],"), "{table}");
    let columns = table.lines().next().unwrap().split(',').count();
    assert!(table.lines().all(|line| line.split(',').count() == columns));
    let beyond = say(folder.path(), &["simulate", job, "--patient", "100", "-o", "patient"]);
    assert_eq!(beyond.code, 2);
    assert!(beyond.err.contains("from 0 to 99"), "{}", beyond.err);
}
