//! The command line as people and programs meet it: a first job, one document for programs, what a package installs, colours, exit codes
//! and what is offered for a slip of the pen.

use std::path::Path;
use std::time::Duration;

use nicho::error::EXIT_CODES;
use nicho::exec::threads::Threads;
use nicho::exec::{Executor, Outcome, Sink};
use nicho::job::Job;
use serde_json::Value;

use crate::command_line::VERBS;
use crate::support::{Said, folder, left_out, nicho, repository, say, succeed, text};

/// Models of the catalogue that a first job can be written for: all but `program`, which has to be named.
fn models() -> Vec<&'static str> {
    nicho::model::CATALOGUE.iter().copied().filter(|model| *model != "program").collect()
}

#[test]
fn the_first_job_of_every_model_is_sound() {
    let folder = folder();
    for model in models() {
        let file = format!("{model}.toml");
        let said = succeed(folder.path(), &["init", "--model", model, "-o", &file]);
        for command in [format!("nicho check {file} --parameters"), format!("nicho run {file} -o {model}.h5")] {
            assert!(said.contains(&command), "{said}");
        }
        assert!(succeed(folder.path(), &["check", &file]).starts_with(&format!("{file}: sound\n")));
        // What it says of defaults is so: with all of them taken out of their comments it is the same job.
        let path = folder.path().join(&file);
        let written = std::fs::read_to_string(&path).unwrap();
        let before = Job::load(&path).unwrap().canonical();
        let settings = written.split_once("[distance]").unwrap();
        let given = settings.1.replace("\n#", "\n").lines().filter(|line| !line.starts_with(' ')).collect::<Vec<_>>().join("\n");
        assert!(given.lines().filter(|line| line.contains('=')).count() > 15, "{given}");
        // Scales and exponents are those of another distance than that of trials.
        let given = if model == "cml" { given.split_once("[sampler]").unwrap().1.replacen("", "[sampler]", 1) } else { given };
        let whole = if model == "cml" { given } else { format!("[distance]{given}") };
        std::fs::write(&path, format!("{}{whole}", settings.0)).unwrap();
        let job = Job::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let mut after: Value = serde_json::from_str(&job.canonical()).unwrap();
        let mut before: Value = serde_json::from_str(&before).unwrap();
        for key in ["scale", "robust", "p"] {
            for job in [&mut after, &mut before] {
                job["distance"].as_object_mut().unwrap().remove(key);
            }
        }
        assert_eq!(after, before);
    }
    // The figures of IRIS lie beside the job, with the sources in their head.
    assert_eq!(std::fs::read_to_string(folder.path().join("iris.csv")).unwrap(), text("jobs/data/iris.csv"));
}

#[test]
fn a_first_job_takes_a_table_and_overwrites_nothing() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("mine")).unwrap();
    for output in ["mine/a.toml", "a.toml"] {
        succeed(folder.path(), &["init", "--data", "jobs/data/iris.csv", "-o", output]);
        assert!(succeed(folder.path(), &["check", output]).contains(": sound"));
    }
    // Of several trials each has its table.
    succeed(folder.path(), &["init", "--data", "two-trials.csv", "-o", "two.toml"]);
    assert_eq!(std::fs::read_to_string(folder.path().join("two.toml")).unwrap().matches("[[trial]]").count(), 2);
    assert!(succeed(folder.path(), &["check", "two.toml"]).contains(": sound"));
    let before = std::fs::read(folder.path().join("a.toml")).unwrap();
    for (args, code, words) in [
        (&["init", "-o", "a.toml"][..], 4, "a.toml: there is such a file already"),
        (&["init", "-o", "none/b.toml"], 6, "none: cannot write a job into this folder"),
    ] {
        let said = say(folder.path(), args);
        assert!(said.code == code && said.err.contains(words), "{args:?}: {} {}", said.code, said.err);
    }
    assert_eq!(std::fs::read(folder.path().join("a.toml")).unwrap(), before);
    assert!(!folder.path().join("b.toml").exists() && !folder.path().join("iris.csv").exists());
}

/// The numbers of a document, those in names too.
fn numbers(of: &Value, into: &mut Vec<f64>) {
    match of {
        Value::Number(number) => into.extend(number.as_f64()),
        // A name may hold one, like that of an arm.
        Value::String(name) => into.extend(printed(name).iter().map(|(value, _)| *value)),
        Value::Array(list) => list.iter().for_each(|one| numbers(one, into)),
        Value::Object(table) => table.values().for_each(|one| numbers(one, into)),
        _ => {}
    }
}

/// The words of a text that are numbers, each with half of its last digit.
fn printed(text: &str) -> Vec<(f64, f64)> {
    let number = |word: &str| {
        let value: f64 = word.parse().ok().filter(|value: &f64| value.is_finite())?;
        let (digits, power) = word.split_once('e').unwrap_or((word, "0"));
        let after = digits.split_once('.').map_or(0, |(_, after)| after.len() as i32);
        Some((value, 0.5001 * 10f64.powi(power.parse::<i32>().unwrap() - after)))
    };
    text.split([' ', '\n', ',', '|']).filter_map(number).collect()
}

/// Every number of these lines is in the document, as it is or in per cent, to the digits that are printed.
#[track_caller]
fn agrees(lines: &str, document: &Value) {
    let mut known = Vec::new();
    numbers(document, &mut known);
    let all = printed(lines);
    assert!(all.len() > 3, "{lines}");
    for (value, half) in all {
        let near = |x: &f64| (x - value).abs() <= half || (100.0 * x - value).abs() <= half;
        assert!(known.iter().any(near), "{value} is not in the document\n{lines}\n{document:#}");
    }
}

/// Lines from the one with these words to the next empty one.
fn from<'a>(text: &'a str, words: &str) -> &'a str {
    let rest = &text[text.find(words).unwrap_or_else(|| panic!("no '{words}' in\n{text}"))..];
    rest.split("\n\n").next().unwrap()
}

/// Every verb with --json says one document and nothing else, with the names that programs rely on and the numbers of the text.
#[test]
fn every_verb_has_a_document_with_the_numbers_of_its_text() {
    let folder = folder();
    let small = |job: &str| {
        let text = text(job).replace("population = 60", "population = 12").replace("patients = 100", "patients = 30");
        let text = text.replace("generations = 4", "generations = 2\nfailures = 0.99").replace("draws = 20", "draws = 10");
        text.replace("population = 2000", "population = 200").replace("simulations = 20000", "simulations = 200")
    };
    for job in ["coin", "iris-smoke"] {
        std::fs::write(folder.path().join(format!("jobs/{job}.toml")), small(&format!("jobs/{job}.toml"))).unwrap();
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut both = |args: &[&str], again: &[&str], keys: &[&str]| {
        seen.insert(args[0].to_string());
        let text = say(folder.path(), args);
        // No job is overwritten.
        let _ = std::fs::remove_file(folder.path().join("first.toml"));
        let said: Said = say(folder.path(), &[args, again, &["--json"]].concat());
        assert!(text.code <= 1 && said.code == text.code, "{args:?} {} {}", text.err, said.err);
        let document: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{args:?}: {error}\n{}", said.out));
        for key in keys {
            assert!(!document.pointer(key).unwrap_or(&Value::Null).is_null(), "{args:?}: no {key} in {document:#}");
        }
        (text.out, document)
    };
    let (text, of) = both(&["run", "jobs/coin.toml", "-o", "coin.h5", "-q"], &["--overwrite"], &["/result", "/files/0"]);
    let names = ["parameter", "mean", "sd", "q05", "q95", "mode"];
    names[1..].iter().for_each(|name| assert!(of["summary"]["parameters"][0][name].is_f64(), "{of:#}"));
    assert_eq!(
        (&of["summary"]["parameters"][0]["name"], &of["summary"]["parameters"][0]["unit"]),
        (&"p_heads".into(), &"-".into())
    );
    agrees(from(&text, "p_heads "), &of["summary"]);
    agrees(from(&text, "Modes\n"), &of["summary"]["modes"]);
    let (text, of) = both(&["refine", "coin.h5", "-q"], &[], &["/summary/modes/0/objective"]);
    agrees(from(&text, "p_heads "), &of["summary"]);
    let (text, of) = both(&["digest", "coin.h5"], &[], &["/digests/4/sha256", "/reproducible"]);
    let lines: String = of["digests"].as_array().unwrap().iter().map(|d| format!("{} {}\n", d["group"], d["sha256"])).collect();
    assert_eq!(lines.replace('"', ""), text);
    let (text, of) = both(&["reproduce", "coin.h5", "-q"], &[], &["/digests/0/reproduced"]);
    assert!(
        of["digests"].as_array().unwrap().iter().all(|d| text.contains(d["sha256"].as_str().unwrap()) && d["reproduced"] == true)
    );
    let (text, of) = both(&["report", "coin.h5"], &[], &["/files/0"]);
    assert_eq!(of["files"].as_array().unwrap().len(), text.lines().count());
    let (text, of) =
        both(&["check", "jobs/iris-smoke.toml", "--parameters"], &[], &["/cost/core_seconds", "/memory/rank_0", "/kind"]);
    agrees(from(&text, "  stem_loss "), &of["parameters"]);
    assert_eq!(of["parameters"].as_array().unwrap().iter().filter(|p| p["inferred"] == true).count(), 4);
    let (text, of) = both(&["check", "jobs/scenarios/stim1.toml"], &[], &["/arms/0/rules/0", "/drugs/0/source", "/cost"]);
    let predicts: Vec<&str> = text.lines().filter(|line| line.starts_with("  predicts ")).collect();
    agrees(&predicts.join("\n"), &of["predicts"]);
    let (text, of) = both(&["simulate", "jobs/iris-smoke.toml"], &[], &["/rows/0/observed", "/rows/0/unit"]);
    assert_eq!(of["rows"].as_array().unwrap().len() + 1, text.lines().count());
    agrees(&text, &of);
    let follow = ["simulate", "jobs/iris-smoke.toml", "--patient", "3", "-o", "p"];
    let (text, of) = both(&follow, &[], &["/events/0/month", "/files/7"]);
    assert_eq!(of["events"].as_array().unwrap().len(), from(&text, "-----").lines().count() - 1, "{text}");
    succeed(folder.path(), &["run", "jobs/iris-smoke.toml", "-o", "iris.h5", "-q"]);
    let predict = ["predict", "iris.h5", "jobs/scenarios/imatinib-doses.toml", "--draws", "10", "--no-store", "-q"];
    let (text, of) = both(&predict, &[], &["/rows/0/arms/0/posterior/median", "/inference"]);
    let tables = text.split("\n\n").filter(|part| part.contains("----")).map(|part| part.split_once("---").unwrap().1);
    agrees(&tables.collect::<Vec<_>>().join("\n"), &of);
    let sbc = ["validate", "sbc", "jobs/coin.toml", "--replicates", "50", "--population", "50", "--tolerance", "5", "-q"];
    let (text, of) = both(&sbc, &[], &["/parameters/0/p_uniform"]);
    agrees(from(&text, "p_heads "), &of);
    let (text, of) = both(&["validate", "screen", "jobs/iris-smoke.toml", "--draws", "60", "-q"], &[], &["/parameters/0/mean"]);
    assert!(text.contains(of["parameters"][0]["parameter"].as_str().unwrap()));
    let (text, of) = both(&["validate", "mechanisms", "--cohort", "20", "-q"], &[], &["/rows/0/verdict"]);
    agrees(from(&text, "+- "), &of);
    let (text, of) = both(&["init", "--model", "coin", "-o", "first.toml"], &[], &["/next/0"]);
    assert!(of["next"].as_array().unwrap().iter().all(|command| text.contains(command.as_str().unwrap())));
    let (text, of) = both(&["completions", "bash"], &[], &["/script"]);
    assert_eq!(of["script"], *text);
    let (text, of) = both(&["man", "man"], &[], &["/files/12"]);
    assert_eq!(of["files"].as_array().unwrap().len(), text.lines().count());
    both(&["schema", "job"], &[], &["/properties/seed"]);
    let (text, of) = both(&["watch", "iris.h5"], &[], &["/job", "/generations/1/ess"]);
    assert!(text.contains("finished") && of["state"] == "finished" && of["heartbeat"].is_null(), "{of:#}");
    succeed(folder.path(), &["run", "jobs/iris-smoke.toml", "-o", "other.h5", "--seed", "8", "-q"]);
    let (text, of) =
        both(&["compare", "iris.h5", "other.h5"], &["--overwrite"], &["/comparison/parameters/0/runs/1/apart/shift/error"]);
    assert_eq!(of["page"], "compare.html");
    agrees(from(&text, "mcyr_km_18 "), &of["comparison"]["rows"]);
    let (text, of) = both(&["export", "iris.h5", "tables"], &["--overwrite"], &["/files/0"]);
    assert_eq!(of["files"].as_array().unwrap().len(), text.lines().count());
    assert_eq!(seen, VERBS.map(String::from).into());
}

/// What `clap` makes of the parser names every verb, and shells can read it.
#[test]
fn completions_and_manual_pages_name_every_verb() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish"] {
        let script = succeed(folder.path(), &["completions", shell]);
        VERBS.iter().for_each(|verb| assert!(script.contains(verb), "{shell}: {verb}"));
        for flag in ["no-early-rejection", "json", "resume"] {
            assert!(script.contains(flag), "{shell}: {flag}");
        }
        let file = folder.path().join(shell);
        std::fs::write(&file, script).unwrap();
        // Of the three only bash is everywhere.
        if shell == "bash" {
            let read = std::process::Command::new("bash").arg("-n").arg(&file).output().unwrap();
            assert!(read.status.success() && read.stderr.is_empty(), "{}", String::from_utf8_lossy(&read.stderr));
        }
    }
    succeed(folder.path(), &["man", "man1"]);
    let page = |name: &str| std::fs::read_to_string(folder.path().join("man1").join(name)).unwrap();
    for verb in VERBS {
        assert!(page("nicho.1").contains(&format!("nicho\\-{verb}(1)")), "{}", page("nicho.1"));
        let own = page(&format!("nicho-{verb}.1"));
        assert!(own.contains(".SH NAME") && own.contains("Example"), "{own}");
    }
    assert!(page("nicho-validate-sbc.1").contains("replicates") && page("nicho.1").contains("Exit codes"));
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let folder = folder();
    let raw = |args: &[&str], variables: &[(&str, &str)]| -> Said {
        let mut command = nicho(folder.path(), args);
        command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").env("TERM", "xterm").envs(variables.iter().copied());
        command.output().unwrap().into()
    };
    let commands = [
        &["--help"][..],
        &["rn"],
        &["run", "none.toml"],
        &["check", "jobs/coin.toml"],
        &["run", "jobs/coin.toml", "--overwrite", "-v"],
    ];
    for args in commands {
        for variables in [&[][..], &[("NO_COLOR", "1")], &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]] {
            let said = raw(args, variables);
            assert!(!(said.out + &said.err).contains('\x1b'), "{args:?} {variables:?}");
        }
    }
    let forced = [("CLICOLOR_FORCE", "1")];
    assert!(raw(&["run", "none.toml"], &forced).err.starts_with("\x1b[1;31merror:\x1b[0m none.toml"));
    let said = raw(&["run", "jobs/coin.toml", "--overwrite"], &forced);
    assert!(said.err.contains('\x1b') && !said.out.contains('\x1b'), "{}", said.err);
    // On a terminal, which `script` makes.
    let terminal = |no_color: &str| {
        let line = format!("{} run none.toml", env!("CARGO_BIN_EXE_nicho"));
        let mut script = std::process::Command::new("script");
        script.current_dir(folder.path()).args(["-qec", &line, "/dev/null"]).env("NO_COLOR", no_color).env("TERM", "xterm");
        script.env_remove("CLICOLOR_FORCE").output().map(|said| String::from_utf8_lossy(&said.stdout).into_owned())
    };
    match (terminal(""), terminal("1")) {
        (Ok(coloured), Ok(plain)) if plain.contains("error: none.toml") => {
            assert!(coloured.contains("\x1b[1;31merror:\x1b[0m none.toml") && !plain.contains('\x1b'), "{coloured}");
        }
        _ => left_out("colours_are_for_terminals_that_want_them, on a terminal", "there is no util-linux script"),
    }
    // Logs for programs and documents have none even then.
    let said = raw(&["run", "jobs/coin.toml", "--overwrite", "--json", "--log-format", "json"], &forced);
    assert!(!(said.out + &said.err).contains('\x1b'));
}

/// Takes nothing.
struct Deaf;

impl Sink for Deaf {
    fn next(&mut self, _: u64, _: Outcome, _: &[f64]) -> std::ops::ControlFlow<()> {
        std::ops::ControlFlow::Continue(())
    }
}

#[test]
fn every_exit_code_is_documented_and_produced() {
    let folder = folder();
    let help = succeed(folder.path(), &["--help"]);
    let pages = text("docs/command-line.md");
    for (code, meaning) in EXIT_CODES {
        assert!(help.contains(&format!("\n  {code:<3} {meaning}\n")) || help.ends_with(&format!("{meaning}\n")), "{help}");
        assert!(pages.contains(&format!("| {code} | {meaning} |\n")), "{code} in docs/command-line.md");
    }
    let fails = text("jobs/program.toml").replace(r#"["python3", "program.py"]"#, r#"["false"]"#);
    std::fs::write(folder.path().join("fails.toml"), fails).unwrap();
    let never = text("jobs/program.toml")
        .replace(r#"["python3", "program.py"]"#, r#"["sh", "-c", "while read -r line; do echo failed never; done"]"#);
    std::fs::write(folder.path().join("never.toml"), never).unwrap();
    let long = text("jobs/coin.toml").replace("population = 2000", "population = 5_000_000");
    std::fs::write(folder.path().join("long.toml"), long.replace("[stop]", "[stop]\nsimulations = 100_000_000")).unwrap();
    succeed(folder.path(), &["run", "jobs/coin.toml"]);
    let mut produced: Vec<u8> = vec![0];
    for (args, code) in [
        (&["validate", "mechanisms", "--cohort", "20"][..], 1),
        (&["run", "--threads", "many", "jobs/coin.toml"], 2),
        (&["check", "jobs/data/iris.csv"], 3),
        (&["run", "jobs/coin.toml"], 4),
        (&["run", "fails.toml"], 5),
        (&["check", "never.toml"], 5),
        (&["digest", "none.h5"], 6),
    ] {
        let said = say(folder.path(), args);
        assert_eq!(said.code, code, "{args:?} {}", said.err);
        assert!(said.err.starts_with("error:") || said.err.contains("\nerror:"), "{}", said.err);
        produced.push(code as u8);
    }
    let task = |id: u64, _: &mut [f64]| -> Outcome { if id == 3 { panic!("planted") } else { Outcome::Rejected } };
    let error = Threads::new(1).stream(0, 1, &task, &mut Deaf).unwrap_err();
    produced.push(error.exit_code());
    assert!(error.to_string().contains("defect of nicho"), "{error}");
    let child =
        nicho(folder.path(), &["run", "long.toml", "-o", "long.h5"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    let said: Said = child.wait_with_output().unwrap().into();
    assert_eq!(said.code, 75, "{}", said.err);
    produced.push(75);
    produced.dedup();
    assert_eq!(produced, EXIT_CODES.map(|(code, _)| code));
}

#[test]
fn a_slip_of_the_pen_gets_the_nearest_name() {
    let folder = folder();
    let renamed = |from: &str, to: &str| {
        let job = text("jobs/iris-smoke.toml").replacen(from, to, 1).replace("data/iris.csv", "jobs/data/iris.csv");
        std::fs::write(folder.path().join("slip.toml"), job).unwrap();
        say(folder.path(), &["check", "slip.toml"])
    };
    for (from, to, near) in [
        ("name = \"cml\"", "name = \"clm\"", "did you mean 'cml'?"),
        ("death_gain", "deth_gain", "did you mean 'death_gain'?"),
        ("population =", "populaton =", "did you mean 'population'?"),
        ("[sampler]", "[samler]", "did you mean 'sampler'?"),
        ("\"lognormal\"", "\"lognorml\"", "did you mean 'lognormal'?"),
    ] {
        let said = renamed(from, to);
        assert!(said.code == 3 && said.err.contains(near), "{to}: {}", said.err);
    }
    let stim = "jobs/scenarios/stim1.toml";
    let patient = ["simulate", "jobs/iris-smoke.toml", "--patient", "1", "-o", "p", "--scenario"];
    succeed(folder.path(), &["run", "jobs/coin.toml", "-q"]);
    let none = "did you mean coin.h5?";
    for (args, code, near) in [
        (vec!["digst", "x.h5"], 2, "'digest'"),
        (vec!["run", "jobs/coin.toml", "--overwite"], 2, "'--overwrite'"),
        (vec!["validate", "scren", "jobs/coin.toml"], 2, "'screen'"),
        (vec!["completions", "bsh"], 2, "'bash'"),
        (vec!["simulate", "jobs/iris-smoke.toml", "--set", "ic5=1"], 2, "did you mean 'ic50'?"),
        (vec!["init", "--model", "gausian_linear", "-o", "x.toml"], 2, "did you mean 'gaussian_linear'?"),
        (vec!["check", "jobs/iris-smok.toml"], 6, "did you mean jobs/iris-smoke.toml?"),
        (vec!["run", "jobs/iris-smoke.tml"], 6, "did you mean jobs/iris-smoke.toml?"),
        (vec!["run", "jobs/coin"], 6, "did you mean jobs/coin.toml?"),
        (vec!["digest", "con.h5"], 6, none),
        (vec!["digest", "coin"], 6, none),
        (vec!["report", "coin.hdf5"], 6, none),
        (vec!["refine", "coni.h5"], 6, none),
        (vec!["reproduce", "con.h5"], 6, none),
        (vec!["export", "con.h5", "tables"], 6, none),
        (vec!["compare", "coin.h5", "con.h5"], 6, none),
        (vec!["predict", "con.h5", stim], 6, none),
        (vec!["simulate", "jobs/coin.toml", "--fit", "con.h5"], 6, none),
        (vec!["check", "jobs/scenarios/stim.toml"], 6, "did you mean jobs/scenarios/stim1.toml?"),
        ([&patient[..], &[stim, "--arm", "imatinib, stoped"]].concat(), 2, "did you mean 'imatinib, stopped'?"),
    ] {
        let said = say(folder.path(), &args);
        assert!(said.code == code && said.err.contains(near), "{args:?}: {} {}", said.code, said.err);
    }
    assert!(Path::new(&repository(stim)).exists());
}
