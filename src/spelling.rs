//! Names that were misspelt, and the known ones that are nearest: of keys, parameters, rows, files.

use std::io;
use std::path::{Path, PathBuf};

/// The nearest known name, if it is one with few slips of the pen.
pub fn similar<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = nearest(name, known);
    (strsim::normalized_damerau_levenshtein(&name.to_lowercase(), &near.to_lowercase()) >= 0.5).then_some(near)
}

/// The known name nearest to a misspelt one: the fewest slips of the pen, then the most alike.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> &'a str {
    let name = name.to_lowercase();
    let mut best = ("", f64::NEG_INFINITY);
    for candidate in known {
        let slips = strsim::damerau_levenshtein(&name, &candidate.to_lowercase()) as f64;
        // Likeness lies in [0, 1] and decides between equal counts; a word that only goes on is a slip or two.
        let goes_on = if candidate.starts_with(name.as_str()) { 2.0 } else { f64::INFINITY };
        let likeness = strsim::jaro_winkler(&name, candidate) - slips.min(goes_on);
        if likeness > best.1 {
            best = (candidate, likeness);
        }
    }
    best.0
}

/// The file beside a missing one whose name is like it, of those with this ending or that of the missing one.
pub fn similar_file(missing: &Path, ending: &str) -> Option<PathBuf> {
    let folder = missing.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let endings = [Some(ending), missing.extension().and_then(|own| own.to_str())];
    let of_kind =
        |path: &PathBuf| path.is_file() && endings.contains(&path.extension().and_then(|own| own.to_str()).or(Some("")));
    let mut beside: Vec<PathBuf> = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).filter(of_kind).collect();
    beside.sort();
    let stem = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let stems: Vec<String> = beside.iter().map(|path| stem(path)).collect();
    let near = similar(&stem(missing), stems.iter().map(String::as_str))?;
    let at = stems.iter().position(|stem| stem == near)?;
    Some(missing.with_file_name(beside[at].file_name()?))
}

/// An error about a file that is not there, with the name of that which [`similar_file`] finds.
pub fn misspelt(file: &Path, ending: &str, error: io::Error) -> io::Error {
    match similar_file(file, ending).filter(|_| error.kind() == io::ErrorKind::NotFound) {
        Some(near) => io::Error::new(error.kind(), format!("{error}; did you mean {}?", near.display())),
        None => error,
    }
}
