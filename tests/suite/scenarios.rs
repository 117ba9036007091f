//! Scenarios: every shipped one is sound and predicts; a prediction is a function of run and scenario alone.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::support::{folder, nicho, say, shipped_scenarios, succeed, text};

const DOSES: &str = "jobs/scenarios/imatinib-doses.toml";

/// A folder with a run of the smallest job that has a posterior.
fn finished() -> tempfile::TempDir {
    let folder = folder();
    let job = text("jobs/iris-smoke.toml")
        .replace("patients = 100", "patients = 30")
        .replace("population = 60", "population = 12")
        .replace("generations = 4", "generations = 2\nfailures = 0.99")
        .replace("modes = 1", "modes = 0")
        .replace("draws = 20", "draws = 10");
    std::fs::write(folder.path().join("jobs/tiny.toml"), job).unwrap();
    succeed(folder.path(), &["run", "jobs/tiny.toml", "-o", "tiny.h5", "-q", "--threads", "2"]);
    folder
}

fn digests(folder: &Path) -> Vec<(String, String)> {
    let said = succeed(folder, &["digest", "tiny.h5"]);
    said.lines().map(|line| line.rsplit_once(' ').unwrap()).map(|(name, hex)| (name.into(), hex.into())).collect()
}

#[test]
fn every_shipped_scenario_is_sound_and_predicts() {
    let folder = finished();
    let before = digests(folder.path());
    let scenarios = shipped_scenarios();
    assert!(scenarios.len() >= 10, "{scenarios:?}");
    for path in &scenarios {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let name = format!("jobs/scenarios/{stem}.toml");
        // The opening comment states question, design and what is assumed.
        for word in ["# Question:", "# Design:", "# Assumed:", &format!("\nname = \"{stem}\"\n")] {
            assert!(text(&name).contains(word), "{name} lacks '{word}'");
        }
        let said = succeed(folder.path(), &["check", &name]);
        assert!(said.starts_with(&format!("{name}: sound\n")) && said.contains("core time"), "{said}");
        assert!(
            text(&name).lines().filter(|line| line.trim() == "[[arm]]").count() == said.matches("\n  arm  ").count(),
            "{said}"
        );
        let said = succeed(folder.path(), &["predict", "tiny.h5", &name, "--draws", "2", "--threads", "2", "-q"]);
        assert!(said.contains("2 draws of the posterior") && said.contains(&format!("/scenarios/{stem};")), "{said}");
        assert!(said.lines().all(|line| line.chars().count() <= 110), "{said}");
    }
    let after = digests(folder.path());
    assert_eq!(after[..before.len()], before);
    assert_eq!(after.len(), before.len() + scenarios.len());
    // The report has a section for each, and every figure of it as a file.
    let said = succeed(folder.path(), &["report", "tiny.h5"]);
    assert!(said.matches("/scenario-").count() > 2 * scenarios.len(), "{said}");
    let page = std::fs::read_to_string(folder.path().join("tiny.report/report.html")).unwrap();
    for (name, _) in &after[before.len()..] {
        assert!(page.contains(&format!("<section id=\"{}\">", name.replace(' ', "-"))), "{name}");
    }
    // The file alone predicts them again.
    std::fs::remove_dir_all(folder.path().join("jobs")).unwrap();
    let said = succeed(folder.path(), &["reproduce", "tiny.h5", "--threads", "1"]);
    assert_eq!(said.matches(" reproduced\n").count(), after.len(), "{said}");
}

#[test]
fn rules_are_said_in_words() {
    let folder = folder();
    let said = succeed(folder.path(), &["check", "jobs/scenarios/stim1.toml"]);
    for line in [
        "- at the start: give imatinib 400 mg/d",
        "- at month 60: if mr45 for 24 months, stop all",
        "- after 'stop', at every visit: if not mmr, give imatinib 400 mg/d, count it as a relapse",
        "relapse as km_survival: month 6, 12, 24, 60",
        "126 months, 52 visits, 8 of them with marrow",
    ] {
        assert!(said.contains(line), "no '{line}' in\n{said}");
    }
}

/// Planted: another branch of keys for the third arm. Seen: its numbers are not those of the reference, which is treated alike.
#[test]
fn a_prediction_depends_on_run_and_scenario_alone() {
    let folder = finished();
    let predict = |threads: &str| {
        succeed(folder.path(), &["predict", "tiny.h5", DOSES, "--draws", "6", "--threads", threads, "--json", "-q"])
    };
    let one = predict("1");
    let before = digests(folder.path());
    for threads in ["2", "5"] {
        assert_eq!(predict(threads), one, "{threads} threads");
        assert_eq!(digests(folder.path()), before, "{threads} threads");
    }
    // The dose of the reference as the third arm: the same patients, so the same numbers, and every comparison a tie.
    let doses = text(DOSES).replace("imatinib = 800", "imatinib = 400");
    std::fs::write(folder.path().join("same.toml"), doses.replace("imatinib-doses", "same doses")).unwrap();
    let said = succeed(folder.path(), &["predict", "tiny.h5", "same.toml", "--draws", "6", "--json", "-q"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    for row in said["rows"].as_array().unwrap() {
        let arms = row["arms"].as_array().unwrap();
        assert_eq!((&arms[0]["posterior"], &arms[0]["prior"]), (&arms[2]["posterior"], &arms[2]["prior"]));
        assert_eq!(arms[2]["better"], 0.5, "{row}");
    }
    let names: Vec<String> = digests(folder.path()).into_iter().map(|d| d.0).collect();
    assert_eq!(names[names.len() - 2..], ["scenario imatinib-doses", "scenario same-doses"]);
    let default = succeed(folder.path(), &["predict", "tiny.h5", DOSES, "-q"]);
    assert!(default.contains("10 draws of the posterior"), "those of the job: {default}");
    assert_eq!(say(folder.path(), &["predict", "tiny.h5", DOSES, "--draws", "0"]).code, 2);
}

#[test]
fn a_prediction_that_is_asked_to_end_leaves_the_file_as_it_was() {
    let folder = finished();
    let before = std::fs::read(folder.path().join("tiny.h5")).unwrap();
    let mut child = nicho(folder.path(), &["predict", "tiny.h5", DOSES, "--draws", "50000", "--threads", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(child.try_wait().unwrap().is_none(), "it is through already");
    let kill = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let said: crate::support::Said = child.wait_with_output().unwrap().into();
    assert_eq!((said.code, said.out.as_str()), (75, ""), "{}", said.err);
    assert!(said.err.contains("tiny.h5 is as it was"), "{}", said.err);
    assert!(std::fs::read(folder.path().join("tiny.h5")).unwrap() == before);
}
