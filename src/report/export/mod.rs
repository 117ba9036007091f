//! A run as tidy tables: comma-separated values for whatever program comes next, a file for each kind of thing, a line for each thing
//! of that kind (Wickham 2014, J Stat Softw 59(10)).
//!
//! Units stand in the headers, as in `ic50 [uM]`; where they differ from line to line, in a column `unit`. Whole numbers are written as
//! such, and what has a name by its name. Numbers have the fewest digits that read back to the same bits; `inf` is infinite, and
//! an empty field is no number. `columns.csv` says of every column of every file what it is.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::report::Input;
use crate::report::format::with_unit;
use crate::report::tables::quoted;
use crate::store::Column;

mod tables;

/// Every file that an export can have.
const FILES: [&str; 19] = [
    "README.txt",
    "columns.csv",
    "parameters.csv",
    "posterior.csv",
    "prior.csv",
    "adjusted.csv",
    "particles.csv",
    "summaries.csv",
    "generations.csv",
    "observed.csv",
    "predictions.csv",
    "modes.csv",
    "profiles.csv",
    "models.csv",
    "noise_floor.csv",
    "calibration.csv",
    "scenarios.csv",
    "scenario_rows.csv",
    "scenario_rules.csv",
];

/// A table in the making.
struct Table {
    file: &'static str,
    about: &'static str,
    /// Header and unit of each column, and what it is.
    columns: Vec<(String, String, String)>,
    lines: String,
}

impl Table {
    /// An empty one; columns without a unit.
    fn new(file: &'static str, about: &'static str, columns: &[(&str, &str)]) -> Table {
        let mut table = Table { file, about, columns: Vec::new(), lines: String::new() };
        columns.iter().for_each(|(name, meaning)| table.column(name, "", meaning));
        table
    }

    fn column(&mut self, name: &str, unit: &str, meaning: &str) {
        self.columns.push((with_unit(name, unit), plain(unit).into(), meaning.into()));
    }

    /// The same with a column for each of these.
    fn with(mut self, columns: &[Column]) -> Table {
        columns.iter().for_each(|column| self.column(&column.name, &column.unit, &column.long_name));
        self
    }

    fn line(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        debug_assert_eq!(cells.len(), self.columns.len(), "{}", self.file);
        self.lines.push_str(&cells.join(","));
        self.lines.push('\n');
    }

    fn text(&self) -> String {
        let head: Vec<String> = self.columns.iter().map(|(header, ..)| quoted(header)).collect();
        format!("{}\n{}", head.join(","), self.lines)
    }
}

/// A unit; empty for a pure number.
fn plain(unit: &str) -> &str {
    if unit == "-" { "" } else { unit }
}

/// A number that reads back to the same bits; empty if it is none.
fn number(x: f64) -> String {
    if x.is_nan() { String::new() } else { format!("{x:?}") }
}

/// Writes the tables of a run, `columns.csv` and `README.txt` into `folder`, and returns their paths. `sources` says of each parameter
/// where its prior or its value comes from. All are written into a folder beside, which then takes its name: an export is whole or
/// is not there. With `overwrite` it takes the place of an earlier export.
///
/// # Errors
/// `Output` if the folder is not empty and may not be overwritten, or holds what no export has made; `Io` if it cannot be written.
pub fn export(input: &Input<'_>, sources: &[(String, String)], folder: &Path, overwrite: bool) -> Result<Vec<PathBuf>> {
    let target = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
    let earlier = may_write(&target, folder, overwrite)?;
    let tables = tables::all(input, sources);
    let mut files = vec![("README.txt", readme(input, &tables)), ("columns.csv", columns(&tables))];
    files.extend(tables.iter().map(|table| (table.file, table.text())));
    let name = target.file_name().unwrap_or_default().display().to_string();
    let beside = |what: &str| target.with_file_name(format!(".{name}.{what}-{}", std::process::id()));
    let (fresh, old) = (beside("new"), beside("old"));
    let write = || -> std::io::Result<()> {
        fs::create_dir(&fresh)?;
        files.iter().try_for_each(|(name, text)| fs::write(fresh.join(name), text))?;
        if earlier {
            fs::rename(&target, &old)?;
        }
        fs::rename(&fresh, &target)
    };
    let written = write();
    if written.is_err() {
        // Best effort: the first failure is the one to report.
        let _ = fs::remove_dir_all(&fresh);
        if earlier && !target.exists() {
            let _ = fs::rename(&old, &target);
        }
    }
    written.map_err(Error::io(folder, "write this folder"))?;
    if earlier {
        fs::remove_dir_all(&old).map_err(Error::io(&old, "remove the export before this one"))?;
    }
    Ok(files.iter().map(|(name, _)| folder.join(name)).collect())
}

/// Whether there is an export to be replaced.
fn may_write(target: &Path, folder: &Path, overwrite: bool) -> Result<bool> {
    let refuse = |problem: String, fix: &str| Err(Error::Output { path: folder.into(), problem, fix: fix.into() });
    if !target.exists() {
        return Ok(false);
    }
    if !target.is_dir() {
        return refuse("is a file, and tables go into a folder".into(), "name a folder");
    }
    let entries = fs::read_dir(target).map_err(Error::io(folder, "read this folder"))?;
    let names: Vec<String> = entries.flatten().map(|entry| entry.file_name().display().to_string()).collect();
    let mut strangers: Vec<&str> = names.iter().map(String::as_str).filter(|name| !FILES.contains(name)).collect();
    strangers.sort_unstable();
    match strangers.first() {
        Some(first) => {
            let more = if strangers.len() > 1 { format!(" and {} more", strangers.len() - 1) } else { String::new() };
            refuse(format!("holds what is of no export: {first}{more}"), "name a folder for the tables alone, new or empty")
        }
        None if !names.is_empty() && !overwrite => {
            refuse("holds an export already".into(), "add --overwrite to replace it, or name another folder")
        }
        None => Ok(!names.is_empty()),
    }
}

fn columns(tables: &[Table]) -> String {
    let mut out = String::from("file,column,unit,meaning\n");
    for table in tables {
        for (header, unit, meaning) in &table.columns {
            out += &format!("{}\n", [table.file, header, unit, meaning].map(quoted).join(","));
        }
    }
    out
}

fn readme(input: &Input<'_>, tables: &[Table]) -> String {
    let header = input.store.header();
    let mut out = format!(
        "{}: a run of nicho as tables, from {}\n\n",
        header.job_name,
        input.store.path().file_name().unwrap_or_default().display()
    );
    for table in tables {
        out += &format!("{:<20} {}\n", table.file, table.about);
    }
    out += &format!("{:<20} what every column of every table is\n", "columns.csv");
    out += "\nComma-separated values in UTF-8 (RFC 4180). Units stand in the headers, in brackets, or in a column unit. Numbers read back\n\
            to the same bits; inf is infinite, an empty field is no number. Counts and numbers of draws and particles begin at 0.\n\n\
            Digests of the run and of what was derived from it:\n";
    for (name, hex) in input.store.digests() {
        out += &format!("  {name} {hex}\n");
    }
    out
}
