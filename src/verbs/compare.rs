//! `nicho compare`: several runs over each other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::describe::differing;
use super::say::document;
use super::stored::{Basis, embedded};
use crate::error::{Error, Result};
use crate::report::{self, Compared, Comparison, comparison_page, comparison_tables};
use crate::store::Store;

/// Prints the tables of a comparison, and writes its page.
///
/// # Errors
/// `Usage` for fewer than two files, a file that is named twice, and those of [`Comparison::of`]; `Output` if the page is there
/// already and may not be replaced; those of the store.
pub fn compare(files: &[PathBuf], page: &Path, overwrite: bool) -> Result<()> {
    let whole: BTreeSet<PathBuf> =
        files.iter().map(|file| std::fs::canonicalize(file).unwrap_or_else(|_| file.clone())).collect();
    if whole.len() < 2 || whole.len() < files.len() {
        let problem = if files.len() < 2 { "one run cannot be compared" } else { "a file is named twice" };
        return Err(Error::Usage { problem: problem.into(), fix: "name two result files or more, each once".into() });
    }
    if page.is_dir() || (page.exists() && !overwrite) {
        let (problem, fix) = match page.is_dir() {
            true => ("is a folder", "name a file, as in -o compare.html"),
            false => ("is there already", "add --overwrite to replace it, or -o to write elsewhere"),
        };
        return Err(Error::Output { path: page.into(), problem: problem.into(), fix: fix.into() });
    }
    let stores = files.iter().map(Store::open).collect::<Result<Vec<Store>>>()?;
    let jobs = stores.iter().map(embedded).collect::<Result<Vec<_>>>()?;
    let bases = jobs.iter().map(Basis::of).collect::<Result<Vec<Basis>>>()?;
    let mut runs = Vec::new();
    for (((store, job), basis), name) in stores.iter().zip(&jobs).zip(&bases).zip(names(files)) {
        runs.push(Compared { name, input: basis.input(store, job) });
    }
    let canonical: Vec<&str> = stores.iter().map(|store| store.header().job_canonical.as_str()).collect();
    let text = |value: &Value| match value {
        Value::Null => "not set".into(),
        Value::Object(table) => Value::from_iter(table.clone().into_iter().filter(|(_, value)| !value.is_null())).to_string(),
        other => other.to_string(),
    };
    let mut keys: Vec<(String, Vec<String>)> =
        differing(&canonical).into_iter().map(|(key, values)| (key, values.iter().map(text).collect())).collect();
    let tables: Vec<&str> = stores.iter().map(|store| store.header().observations_sha256.as_str()).collect();
    if tables.iter().any(|sha256| *sha256 != tables[0]) {
        let short = |sha256: &&str| {
            if sha256.is_empty() { "none".into() } else { format!("SHA-256 {}", &sha256[..16.min(sha256.len())]) }
        };
        keys.push(("observations, content".into(), tables.iter().map(short).collect()));
    }
    let comparison = Comparison::of(&runs, keys)?;
    // Before anything is printed: a reader that has gone ends the process.
    report::put(page, &comparison_page(&comparison))?;
    document(|| json!({ "comparison": comparison, "page": page }));
    text!("{}", comparison_tables(&comparison));
    line!("\nPage    {}", page.display());
    Ok(())
}

/// What the runs are called: the names of their files without ending, with as many folders before them as tell them apart.
fn names(files: &[PathBuf]) -> Vec<String> {
    let name = |file: &PathBuf, depth: usize| {
        let whole = file.with_extension("");
        let parts: Vec<String> = whole.iter().map(|part| part.display().to_string()).collect();
        parts[parts.len().saturating_sub(depth)..].join("/")
    };
    let deepest = files.iter().map(|file| file.iter().count()).max().unwrap_or(1);
    for depth in 1..=deepest {
        let named: Vec<String> = files.iter().map(|file| name(file, depth)).collect();
        if named.iter().collect::<BTreeSet<_>>().len() == files.len() {
            return named;
        }
    }
    files.iter().map(|file| file.display().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_called_by_what_tells_them_apart() {
        let of = |files: &[&str]| names(&files.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(of(&["a/iris-1.h5", "b/iris-2.h5"]), ["iris-1", "iris-2"]);
        assert_eq!(of(&["x/a/iris.h5", "x/b/iris.h5"]), ["a/iris", "b/iris"]);
        assert_eq!(of(&["iris.h5", "iris.hdf5"]), ["iris.h5", "iris.hdf5"]);
    }
}
