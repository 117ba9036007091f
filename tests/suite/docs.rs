//! The pages of `docs/` and the README: every command in them runs, what they show has the form of what is printed, links lead
//! somewhere, and what is written from the code is as the code is.
//!
//! A line that begins with `$ ` in a fenced block is a command. Those of a page run in their order in one folder, beside a copy
//! of `jobs/` in which every job and scenario is cut down until it takes a second. `sbatch … slurm/run.sbatch` and `mpirun -n N nicho` run
//! without the launcher here, and with it in `tests/slurm/run` and in `ranks.rs`.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use nicho::model::cml::parameters::TABLE;
use nicho::trial::vocabulary::{Endpoint, Kind, Role, words as words_of};

use crate::support::{folder, nicho, repository, shipped_jobs, shipped_scenarios, text};

/// What a command begins with that another test runs: itself, or what it names.
const ELSEWHERE: &[(&str, &str)] = &[
    ("./jobs/run", "jobs/run"),
    ("./tests/run", "tests/run"),
    ("./tests/accuracy", "tests/accuracy"),
    ("cargo run --release --example own_model", "examples/own_model.rs"),
];

/// Every page, by path below the root.
fn pages() -> Vec<String> {
    let files = std::fs::read_dir(repository("docs")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<String> = files.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")).collect();
    pages.push("README.md".into());
    pages.sort();
    pages
}

/// A command, and what a page shows of its output.
struct Shown {
    command: String,
    output: Vec<String>,
}

/// The commands of a page, in their order.
fn commands(page: &str) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    let (mut inside, mut open) = (false, false);
    for line in text(page).lines() {
        if line.starts_with("```") {
            (inside, open) = (!inside, false);
        } else if let (true, Some(command)) = (inside, line.strip_prefix("$ ")) {
            let command = command.split("   #").next().unwrap_or_default().trim();
            shown.push(Shown { command: command.into(), output: Vec::new() });
            open = true;
        } else if let (true, Some(last)) = (open, shown.last_mut()) {
            last.output.push(line.into());
        }
    }
    shown
}

/// Lowers a whole number of a table to at most this.
fn lower(table: &mut toml::Table, key: &str, most: i64) {
    if let Some(value) = table.get_mut(key).filter(|value| value.as_integer().is_some_and(|value| value > most)) {
        *value = toml::Value::Integer(most);
    }
}

/// A job of the same form that takes a second.
fn cut(job: &str) -> String {
    let mut job: toml::Table = job.parse().unwrap();
    let limits = [
        ("model", "patients", 100),
        ("sampler", "population", 60),
        ("stop", "generations", 2),
        ("refine", "simulations", 20),
        ("refine", "replicates", 1),
        ("output", "draws", 20),
    ];
    for (table, key, most) in limits {
        let table = job.entry(table).or_insert_with(|| toml::Table::new().into()).as_table_mut().unwrap();
        // What is not there is longer.
        if key != "patients" {
            table.entry(key).or_insert(most.into());
        }
        lower(table, key, most);
    }
    let failures = |stop: &mut toml::Value| stop.as_table_mut().unwrap().insert("failures".into(), 0.95.into());
    job.get_mut("stop").map(failures);
    job.to_string()
}

/// The words of a command that `nicho` is given here; `None` if the command runs elsewhere.
fn words(command: &str) -> Option<Vec<String>> {
    if let Some((_, path)) = ELSEWHERE.iter().find(|(begin, _)| command.starts_with(begin)) {
        assert!(repository(path).exists(), "{command}: there is no {path}");
        return None;
    }
    let mut words: Vec<&str> = command.split_whitespace().collect();
    match words[0] {
        "mpirun" => words.drain(..3).count(),
        "sbatch" => {
            let script = words.iter().position(|word| word.starts_with("slurm/")).unwrap();
            assert!(repository(words[script]).exists(), "{command}: there is no {}", words[script]);
            words.drain(..=script);
            words.splice(0..0, ["nicho", "run"]).count()
        }
        _ => 0,
    };
    assert_eq!(words[0], "nicho", "'{command}' is no command that this test knows");
    let mut words: Vec<String> = words[1..].iter().map(|word| word.trim_matches('\'').to_string()).collect();
    for flag in ["--draws", "--replicates", "--cohort", "--population"] {
        if let Some(k) = words.iter().position(|word| word == flag) {
            words[k + 1] = if words[0] == "predict" { "40" } else { "100" }.into();
        }
    }
    Some(words)
}

/// Lines above a rule of dashes: headers of tables, with single spaces.
fn headers(output: &[String]) -> Vec<String> {
    let ruled = |line: &str| line.len() > 8 && line.chars().all(|c| c == '-');
    let header = |pair: &[String]| ruled(&pair[1]).then(|| squeezed(&pair[0]));
    output.windows(2).filter_map(header).collect()
}

fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<&str>>().join(" ")
}

fn run_page(page: &str) {
    let folder = folder();
    for job in shipped_jobs() {
        let path = folder.path().join("jobs").join(job.file_name().unwrap());
        std::fs::write(path, cut(&std::fs::read_to_string(job).unwrap())).unwrap();
    }
    for scenario in shipped_scenarios() {
        let path = folder.path().join("jobs/scenarios").join(scenario.file_name().unwrap());
        let mut scenario: toml::Table = std::fs::read_to_string(scenario).unwrap().parse().unwrap();
        lower(&mut scenario, "patients", 1000);
        std::fs::write(path, scenario.to_string()).unwrap();
    }
    std::fs::copy(repository("docs/my.csv"), folder.path().join("my.csv")).unwrap();
    // Results that other pages make.
    let made = |name: &str, job: &str| {
        let command = ["--quiet", "run", job, "-o", name];
        let said = nicho(folder.path(), &command).output().unwrap();
        assert!(said.status.success(), "{page}: {job}\n{}", String::from_utf8_lossy(&said.stderr));
    };
    let shown = commands(page);
    for (name, job) in [("iris.h5", "jobs/iris.toml"), ("smoke.h5", "jobs/iris-smoke.toml")] {
        let first = shown.iter().find(|shown| shown.command.contains(name));
        if first.is_some_and(|shown| !shown.command.contains(&format!("-o {name}"))) {
            made(name, job);
        }
    }
    for Shown { command, output } in shown {
        let Some(words) = words(&command) else { continue };
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        let into = words.iter().position(|word| *word == ">").map(|k| words.split_off(k)[1].to_string());
        if words[0] == "run" {
            // One that a command before has made.
            let job = folder.path().join(words[1]);
            std::fs::write(&job, cut(&std::fs::read_to_string(&job).unwrap())).unwrap();
        }
        let said = nicho(folder.path(), &words).output().unwrap();
        let out = String::from_utf8_lossy(&said.stdout).into_owned();
        if let Some(file) = into {
            std::fs::write(folder.path().join(file), &out).unwrap();
        }
        // Cut down, a test of the engine may be too short to pass; that it runs and says so is enough.
        let code = said.status.code().unwrap_or(-1);
        let good = code == 0 || (code == 1 && words[0] == "validate");
        assert!(good, "{page}: $ {command}\nexit code {code}\n{out}{}", String::from_utf8_lossy(&said.stderr));
        let printed: BTreeSet<String> = out.lines().map(squeezed).collect();
        for header in headers(&output) {
            assert!(printed.contains(&header), "{page}: $ {command}\nno line '{header}' in\n{out}");
        }
    }
}

/// Seen to fail: a flag that is not there (exit code 2), a page whose table had another column ("no line …").
#[test]
fn every_command_of_the_pages_runs() {
    for page in pages() {
        run_page(&page);
    }
}

/// The anchor of a heading, as on the usual hosts of code.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
    kept.replace(' ', "-")
}

/// Seen to fail: a link to a heading that had been renamed.
#[test]
fn links_lead_somewhere() {
    for page in pages() {
        let text_of = text(&page);
        let folder = Path::new(&page).parent().unwrap();
        for link in text_of.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") {
                continue;
            }
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target: PathBuf = if path.is_empty() { page.clone().into() } else { folder.join(path) };
            let full = repository(target.to_str().unwrap());
            assert!(full.exists(), "{page}: {link} leads nowhere");
            if !heading.is_empty() {
                let there = std::fs::read_to_string(&full).unwrap();
                let found = there
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .any(|line| anchor(line.trim_start_matches('#')) == heading);
                assert!(found, "{page}: {link}: no such heading");
            }
        }
    }
}

/// Seen to fail: a word left out of the table.
#[test]
fn every_word_of_a_table_of_observations_is_explained() {
    let page = text("docs/trials.md");
    for word in words_of::<Endpoint>().into_iter().chain(words_of::<Kind>()).chain(words_of::<Role>()) {
        assert!(page.contains(&format!("`{word}`")), "docs/trials.md does not explain '{word}'");
    }
}

/// The table of parameters as a page.
fn parameters() -> String {
    let mut page = String::from(
        "# The parameters of the model\n\nWritten from `src/model/cml/parameters.rs`, where they stand; `nicho check JOB --parameters` prints \
         them with the values of a job. [The model](science.md) has the equations. *Prior* is what is proposed to a job that infers the \
         parameter, in the words of a job file.\n\nSources: P read in a publication, C read in published code, m from memory, \
         a (or in words) assumption.\n\n| name | default | unit | range | meaning | source | prior |\n|---|---|---|---|---|---|---|\n",
    );
    for p in TABLE {
        let (low, high) = p.range;
        let cell = |text: &str| text.replace('|', "\\|");
        writeln!(
            page,
            "| `{}` | {} | {} | {low} to {high} | {} | {} | {} |",
            p.name,
            p.default,
            p.unit,
            cell(p.meaning),
            cell(p.source),
            p.prior
        )
        .unwrap();
    }
    page
}

#[test]
fn the_page_of_parameters_is_as_the_table_is() {
    let path = repository("docs/parameters.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, parameters()).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(page == parameters(), "docs/parameters.md is not as the code is: UPDATE=1 cargo test --test suite docs");
}
