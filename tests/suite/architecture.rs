//! Which module may use which, and where each foreign crate lives. What a workspace would enforce, in one file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::{repository, text};

/// Modules by level; one may use those of lower levels, and itself.
const LEVELS: [&[&str]; 10] = [
    &["error", "rng", "spelling"],
    &["population", "exec", "integrate"],
    &["density", "trial"],
    &["model", "distance"],
    &["sampler", "store"],
    &["refine", "adjust", "predict", "validate"],
    &["job", "report"],
    &["verbs"],
    &["cli"],
    &["main", "lib"],
];

/// Foreign crates and the modules (or folders of one) that may name them; an empty list is any module.
const HOMES: [(&str, &[&str]); 26] = [
    ("argmin", &["refine"]),
    ("argmin_math", &["refine"]),
    ("clap", &["cli", "verbs"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("console", &["verbs"]),
    ("csv", &["trial"]),
    ("hdf5", &["store"]),
    ("hdf5_sys", &["store"]),
    ("indicatif", &["verbs"]),
    ("kuva", &["report"]),
    ("libm", &[]),
    // exec/mod names its module of that name.
    ("mpi", &["exec/mpi", "exec/mod"]),
    ("ndarray", &[]),
    ("pulp", &["density", "integrate", "model/cml"]),
    ("rand_xoshiro", &["rng"]),
    ("schemars", &["job"]),
    ("serde", &["job", "population", "report"]),
    ("serde_json", &["job", "report", "store", "verbs"]),
    ("sha2", &["store", "trial"]),
    ("signal_hook", &["verbs"]),
    ("strsim", &["spelling"]),
    ("thiserror", &["error", "refine"]),
    ("toml", &["job"]),
    ("tracing", &["exec", "store/journal", "verbs"]),
    ("tracing_subscriber", &["verbs"]),
];

/// Every file below `src/`, as (path below `src/` without ending, its lines of code outside tests with their numbers).
fn sources() -> Vec<(String, Vec<(usize, String)>)> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() { walk(&entry, into) } else { into.push(entry) }
        }
    }
    let root = repository("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    let named = |file: PathBuf| {
        let name = file.strip_prefix(&root).unwrap().with_extension("").display().to_string();
        (!name.ends_with("tests")).then(|| (name, code(&std::fs::read_to_string(&file).unwrap())))
    };
    files.into_iter().filter(|file| file.extension().is_some_and(|e| e == "rs")).filter_map(named).collect()
}

/// Lines without comments and without items under `#[cfg(test)]`.
fn code(text: &str) -> Vec<(usize, String)> {
    let mut lines = text.lines().enumerate().map(|(k, line)| (k + 1, line));
    let mut code = Vec::new();
    while let Some((number, line)) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let closing = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
            let _ = lines.find(|(_, line)| line.ends_with(';') && line.contains("mod ") || *line == closing);
        } else if !line.trim_start().starts_with("//") {
            code.push((number, line.to_string()));
        }
    }
    code
}

/// The paths that a line names: what stands before each `::`.
fn names(line: &str) -> impl Iterator<Item = &str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices("::").map(move |(at, _)| {
        let before = &line[..at];
        let word = &before[before.rfind(|c| !is_word(c)).map_or(0, |k| k + 1)..];
        // `a::b::` names b as a part of a, not the crate b.
        if before[..before.len() - word.len()].ends_with("::") { "" } else { word }
    })
}

fn level(module: &str) -> usize {
    let level = LEVELS.iter().position(|level| level.contains(&module));
    level.unwrap_or_else(|| panic!("src/{module}: a new module needs a level in tests/suite/architecture.rs"))
}

#[test]
fn modules_use_only_lower_ones() {
    let mut wrong = Vec::new();
    for (file, lines) in sources() {
        let own = file.split('/').next().unwrap().to_string();
        for (number, line) in lines {
            for (at, _) in line.match_indices("crate::") {
                let rest = &line[at + 7..];
                let used = &rest[..rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())];
                // `pub(crate)` and macros aside, what follows is a module.
                if !used.is_empty() && used != own && level(used) >= level(&own) {
                    wrong.push(format!("src/{file}.rs:{number}: {own} uses {used}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "data runs one way; these run back:\n{}", wrong.join("\n"));
}

#[test]
fn every_foreign_crate_has_one_home() {
    let manifest: toml::Table = text("Cargo.toml").parse().unwrap();
    let known: BTreeSet<String> = HOMES.iter().map(|(name, _)| (*name).to_string()).collect();
    let asked: BTreeSet<String> =
        manifest["dependencies"].as_table().unwrap().keys().map(|name| name.replace('-', "_")).collect();
    assert_eq!(asked, known, "dependencies of Cargo.toml, and those with a home in tests/suite/architecture.rs");
    let mut wrong = Vec::new();
    for (file, lines) in sources() {
        for (number, line) in lines {
            for name in names(&line) {
                if let Some((_, home)) = HOMES.iter().find(|(known, _)| *known == name)
                    && !home.is_empty()
                    && !home.iter().any(|home| file == *home || file.starts_with(&format!("{home}/")))
                {
                    wrong.push(format!("src/{file}.rs:{number}: {name} lives in {}", home.join(", ")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_tests_unwrap() {
    let calls = [".unwrap()", ".expect(", "panic!(", "unreachable!(", "todo!(", "unimplemented!("];
    let mut wrong = Vec::new();
    for (file, lines) in sources() {
        let found = lines.iter().filter(|(_, line)| calls.iter().any(|call| line.contains(call)));
        wrong.extend(found.map(|(number, line)| format!("src/{file}.rs:{number}: {}", line.trim())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The readers of the sources above, on lines where they could go wrong.
#[test]
fn the_reader_of_sources_sees_code_and_not_tests() {
    let text = "use toml::Table; // toml\n// hdf5::x\n#[cfg(test)]\nmod tests;\nlet x = a::csv::b(libm::exp(1.0));\n#[cfg(test)]\nmod more {\n    clap::x();\n}\nend";
    let lines = code(text);
    assert_eq!(lines.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 5, 10]);
    assert_eq!(names(&lines[0].1).collect::<Vec<_>>(), ["toml"]);
    assert_eq!(names(&lines[1].1).collect::<Vec<_>>(), ["a", "", "libm"]);
}
