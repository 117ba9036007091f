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
        assert!(page.contains(&format!("<section id=\"{}\" ", name.replace(' ', "-"))), "{name}");
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
        "stop all\n                   now nothing\n",
        "drug           imatinib, at 400 mg/d: inhibits BCR-ABL\n                 P O'Brien 2003",
    ] {
        assert!(said.contains(line), "no '{line}' in\n{said}");
    }
    // What another rule may have changed meanwhile is said, and what it cannot change is not.
    assert!(!said.contains("unless"), "{said}");
    std::fs::write(folder.path().join("side.toml"), SIDES).unwrap();
    let said = succeed(folder.path(), &["check", "side.toml"]);
    for line in [
        "- at the start: in 50 % of the patients (0 to 50 % of lot 'side'), give imatinib 400 mg/d",
        "- at month 12: in 30 % of the patients, give nilotinib 600 mg/d, block 80 % of wnt",
        "now nilotinib 600 mg/d + 80 % of wnt blocked, unless another rule has changed it before",
        "drug           plerixafor, at 0.24 mg/kg/d: 60 % of cxcr4 blocked",
    ] {
        assert!(said.contains(line), "no '{line}' in\n{said}");
    }
}

/// One arm in which patients are randomised one to one, and a rule for some.
const SIDES: &str = r#"
name = "sides"
months = 24
[[arm]]
name = "randomised"
[[arm.rule]]
lot = "side"
share = [0, 0.5]
give = { imatinib = 400 }
[[arm.rule]]
lot = "side"
share = [0.5, 1]
give = { imatinib = 800, plerixafor = 0.24 }
[[arm.rule]]
at = 12
share = 0.3
give = { nilotinib = 600 }
block = { wnt = 0.8 }
[[endpoint]]
of = "mmr"
kind = "at"
months = [24]
"#;

#[test]
fn a_prediction_says_on_whom_each_rule_acted() {
    let folder = finished();
    std::fs::write(folder.path().join("side.toml"), SIDES).unwrap();
    let said = succeed(folder.path(), &["predict", "tiny.h5", "side.toml", "--draws", "5", "--json", "-q"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let seed = format!("\nseed = {}", said["seed"]);
    assert!(text("jobs/iris-smoke.toml").contains(&seed), "{seed}");
    assert_eq!((&said["patients"], &said["draws"]), (&30.into(), &5.into()));
    assert_eq!(said["inference"].as_str().unwrap(), digests(folder.path())[0].1);
    let share = |k: usize, of: &str| said["rules"][k][of].as_f64().unwrap();
    for of in ["acted", "prior_acted"] {
        assert!((share(0, of) + share(1, of) - 1.0).abs() < 1e-9, "{said}");
        assert!(share(2, of) > 0.0 && share(2, of) < 0.7, "{said}");
    }
    assert_eq!(said["rules"][2]["rule"], "at month 12: give nilotinib 600 mg/d, block 80 % of wnt");
    // It is stored, and printed as a table.
    let printed = succeed(folder.path(), &["predict", "tiny.h5", "side.toml", "--draws", "5", "-q"]);
    assert!(printed.contains("Patients on whom each rule acted"), "{printed}");
    let stored = nicho::store::Store::open(folder.path().join("tiny.h5")).unwrap();
    assert_eq!(stored.scenarios()[0].rules[1].posterior, share(1, "acted"));
    assert_eq!(stored.scenarios()[0].rules[1].prior, share(1, "prior_acted"));
}

#[test]
fn a_stored_prediction_is_not_lost_unasked() {
    let folder = finished();
    let predict = |file: &str, more: &[&str]| say(folder.path(), &[&["predict", "tiny.h5", file, "-q"], more].concat());
    assert_eq!(predict(DOSES, &["--draws", "4"]).code, 0);
    let before = std::fs::read(folder.path().join("tiny.h5")).unwrap();
    let is_as_before = || std::fs::read(folder.path().join("tiny.h5")).unwrap() == before;
    std::fs::write(folder.path().join("other.toml"), text(DOSES).replace("imatinib = 800", "imatinib = 700")).unwrap();
    for (name, file, draws) in [("prediction_with_fewer_draws", DOSES, "3"), ("prediction_of_another_file", "other.toml", "4")] {
        let said = predict(file, &["--draws", draws]);
        assert_eq!(said.code, 4, "{name}: {}{}", said.out, said.err);
        crate::bad_input::snapshot(name, &said);
        assert!(is_as_before());
        let said = predict(file, &["--draws", draws, "--no-store"]);
        assert!(said.code == 0 && !said.out.contains("Stored") && is_as_before(), "{}{}", said.out, said.err);
    }
    assert_eq!(predict("other.toml", &["--draws", "3", "--replace", "--no-store"]).code, 2);
    assert!(predict("other.toml", &["--draws", "3", "--replace"]).out.contains("Stored in tiny.h5"));
    let stored = nicho::store::Store::open(folder.path().join("tiny.h5")).unwrap();
    assert_eq!((stored.scenarios().len(), stored.scenarios()[0].particle.len()), (1, 3));
    // The same file with as many draws or more is no loss.
    assert_eq!(predict("other.toml", &["--draws", "3"]).code, 0);
    assert_eq!(predict("other.toml", &["--draws", "5"]).code, 0);
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

/// What is said of one patient, in files and on the terminal; and by which parameters.
#[test]
fn one_patient_is_told_with_all_that_happened() {
    let folder = finished();
    let read = |file: &str| std::fs::read_to_string(folder.path().join("p").join(file)).unwrap();
    let simulate = |more: &[&str]| {
        let stim1 = "jobs/scenarios/stim1.toml";
        let words = ["simulate", "jobs/tiny.toml", "--patient", "3", "--scenario", stim1, "-o", "p"];
        say(folder.path(), &[&words[..], more].concat())
    };
    let said = simulate(&["--arm", " imatinib, stopped "]);
    assert_eq!(said.code, 0, "{}", said.err);
    let events = read("events.csv");
    assert!(events.starts_with("month [month],event,what\n0.0,rule,start\n"), "{events}");
    // As many events on the terminal as in the file, between its two blank lines.
    let table = said.out.split("\n\n").nth(1).unwrap();
    let start = table.lines().nth(2).unwrap().split_whitespace().collect::<Vec<_>>();
    assert!(start == ["0", "rule", "start"] && table.lines().count() == events.lines().count() + 1, "{}", said.out);
    let patient = read("patient.csv");
    assert!(patient.starts_with("trait,value,unit,meaning\n"), "{patient}");
    for word in ["\nmutant,", "\nimatinib_trough,", ",ng/mL,", "\nclearance,"] {
        assert!(patient.contains(word), "{word} in {patient}");
    }
    let trajectory = read("trajectory.csv");
    for column in ["dose.imatinib [mg/d]", "attended [0/1]", "found.mr45 [0/1]", "unmutated.mek [-]"] {
        assert!(trajectory.lines().next().unwrap().split(',').any(|name| name == column), "{column}");
    }
    let figure = read("bcr-abl.svg");
    assert!(figure.contains(">imatinib</text>") && figure.contains("patient 3, imatinib, stopped"), "{figure}");
    // Other parameters, another patient; the same draw, the same patient.
    let mut seen = vec![trajectory];
    for draw in ["mean", "0", "1"] {
        assert_eq!(simulate(&["--fit", "tiny.h5", "--draw", draw]).code, 0);
        let one = read("trajectory.csv");
        assert_eq!(simulate(&["--fit", "tiny.h5", "--draw", draw]).code, 0);
        assert!(read("trajectory.csv") == one && !seen.contains(&one), "{draw}");
        seen.push(one);
    }
    for (name, code, draw) in [("draw_beyond_those_of_the_job", 2, "10"), ("draw_of_no_mode", 4, "mode")] {
        let said = simulate(&["--fit", "tiny.h5", "--draw", draw]);
        assert_eq!(said.code, code, "{name}: {}", said.err);
        crate::bad_input::snapshot(name, &said);
    }
    let said = say(folder.path(), &["simulate", "jobs/iris.toml", "--fit", "tiny.h5"]);
    assert_eq!(said.code, 4);
    crate::bad_input::snapshot("fit_of_another_job", &said);
    // Its table of rows takes a draw too.
    let rows = |more: &[&str]| succeed(folder.path(), &[&["simulate", "jobs/tiny.toml"], more].concat());
    assert!(rows(&[]) != rows(&["--fit", "tiny.h5"]));
}

/// Runs that were asked one file are compared arm by arm; another file under its name is none of it. Planted: arms in reverse order in
/// the means: each mean is then that of another arm, and its difference not that of the file.
#[test]
fn runs_are_compared_by_scenario() {
    let folder = finished();
    let path = folder.path();
    succeed(path, &["run", "jobs/tiny.toml", "-o", "other.h5", "-q", "--seed", "9"]);
    std::fs::copy(path.join("other.h5"), path.join("third.h5")).unwrap();
    std::fs::write(path.join("namesake.toml"), text(DOSES).replace("imatinib = 800", "imatinib = 700")).unwrap();
    for (run, file, draws) in [("tiny", DOSES, "6"), ("other", DOSES, "4"), ("third", "namesake.toml", "4")] {
        succeed(path, &["predict", &format!("{run}.h5"), file, "--draws", draws, "-q"]);
    }
    let compare = |more: &[&str]| succeed(path, &[&["compare", "tiny.h5", "other.h5", "third.h5", "--overwrite"], more].concat());
    let said: serde_json::Value = serde_json::from_str(&compare(&["--json", "-q"])).unwrap();
    let of = &said["comparison"]["scenarios"][0];
    assert_eq!((&of["runs"][0]["draws"], &of["runs"][1]["draws"]), (&6.into(), &4.into()));
    assert_eq!(of["runs"][2]["absent"], "another file under this name");
    let stored = ["tiny.h5", "other.h5"].map(|file| nicho::store::Store::open(path.join(file)).unwrap());
    let arms = stored[0].scenarios()[0].arms.len();
    let rows = of["rows"].as_array().unwrap();
    assert_eq!(rows.len(), arms * stored[0].scenarios()[0].rows.len());
    let mut compared = 0;
    for (k, row) in rows.iter().enumerate() {
        let [first, second] = [0, 1].map(|run| {
            let values = &stored[run].scenarios()[0].posterior;
            let draws: Vec<f64> =
                (0..values.dim().0).map(|i| values[(i, k % arms, k / arms)]).filter(|y| y.is_finite()).collect();
            draws.iter().sum::<f64>() / draws.len() as f64
        });
        assert!(row["runs"][2].is_null() && row["runs"][0]["apart"].is_null(), "{row}");
        if let Some(apart) = row["runs"][1]["apart"]["value"].as_f64() {
            assert!((apart - (second - first)).abs() < 1e-12 && row["runs"][1]["apart"]["error"].as_f64() >= Some(0.0), "{row}");
            compared += 1;
        }
    }
    assert!(2 * compared > rows.len(), "{compared} of {}", rows.len());
    let said = compare(&[]);
    assert!(said.contains("\nScenario imatinib-doses: ") && said.contains("draws: 6 (tiny); 4 (other)\n"), "{said}");
    assert!(said.contains("  Scenario imatinib-doses: another file under this name in third.\n"), "{said}");
    assert!(said.lines().all(|line| line.len() <= 120), "{said}");
    let page = std::fs::read_to_string(path.join("compare.html")).unwrap();
    assert!(page.contains("<section id=\"scenario-1\"") && page.matches("<figure id=\"scenario-1-").count() >= arms, "{arms}");
}
