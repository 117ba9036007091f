//! `nicho init`: a job file to begin with.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::say::document;
use crate::error::{Error, Result};
use crate::job::template::{IRIS_TABLE, template};
use crate::trial::table::Table;

/// Flags of `nicho init`.
pub struct InitFlags {
    /// Name of the model.
    pub model: String,
    /// The observation table; the figures of IRIS for the model `cml` if absent.
    pub data: Option<PathBuf>,
    /// The job file.
    pub output: PathBuf,
}

/// Writes a commented job file, and beside it the figures of IRIS if the model needs a table and none is named; says what to do next.
///
/// # Errors
/// [`Error::Output`] if a file is there already; [`Error::Usage`] for a model that there is not, or that takes no table;
/// [`Error::Input`] for a table that makes no sense; [`Error::Io`] if nothing can be read or written.
pub fn init(flags: &InitFlags) -> Result<()> {
    let InitFlags { model, data, output } = flags;
    let folder = output.parent().unwrap_or(Path::new(""));
    let bundled = folder.join("iris.csv");
    let table = match data {
        Some(data) => Some((from(folder, data)?, Table::load(data)?)),
        None if model == "cml" => Some(("iris.csv".into(), Table::parse(IRIS_TABLE, &bundled)?)),
        None => None,
    };
    if folder != Path::new("") {
        std::fs::read_dir(folder).map_err(Error::io(folder, "write a job into this folder"))?;
    }
    refuse_to_replace(output)?;
    let name = output.file_stem().unwrap_or_default().to_string_lossy();
    let text = template(&name, model, table.as_ref().map(|(file, table)| (file.as_str(), table)))?;
    let copied = data.is_none() && table.is_some() && std::fs::read_to_string(&bundled).ok().as_deref() != Some(IRIS_TABLE);
    if copied {
        refuse_another_table(&bundled, output)?;
        // First: a job without its data is worth nothing.
        create(&bundled, IRIS_TABLE)?;
    }
    create(output, &text)?;
    let job = output.display().to_string();
    let word = for_a_shell(&job);
    let mut next = vec![
        (format!("nicho check {word} --parameters"), "is it sound, what will it cost, what do its parameters mean?"),
        (format!("nicho run {word} -o {}", for_a_shell(&format!("{name}.h5"))), "infer, predict, refine, report"),
    ];
    if table.is_some() {
        next.insert(1, (format!("nicho validate screen {word}"), "which parameters move which of the fitted rows?"));
    }
    line!("{job}: written, with the model '{model}'");
    if copied {
        line!("{}: written, the figures of IRIS with their sources", bundled.display());
    }
    line!("\nEdit it, then:");
    let width = next.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    next.iter().for_each(|(command, what)| line!("  {command:width$}  {what}"));
    let commands: Vec<&String> = next.iter().map(|(command, _)| command).collect();
    let data = table.as_ref().map(|(file, _)| folder.join(file).display().to_string());
    document(|| json!({ "job": job, "model": model, "data": data, "next": commands }));
    Ok(())
}

/// A file as one in `folder` names it.
fn from(folder: &Path, file: &Path) -> Result<String> {
    let whole = |path: &Path| std::path::absolute(path).map_err(Error::io(path, "find this path"));
    let path = if file.is_absolute() || folder == Path::new("") {
        file.to_path_buf()
    } else {
        let (file, folder) = (whole(file)?, whole(folder)?);
        file.strip_prefix(&folder).map_or(file.clone(), Path::to_path_buf)
    };
    Ok(path.display().to_string())
}

/// A word that a shell takes as it is.
fn for_a_shell(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./+,:@%".contains(c);
    if word.chars().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

fn refuse_to_replace(path: &Path) -> Result<()> {
    let refuse = |problem: &str, fix: String| Err(Error::Output { path: path.into(), problem: problem.into(), fix });
    if path.is_dir() {
        return refuse(
            "is a folder",
            format!("name a file in it, as in -o {}", for_a_shell(&path.join("job.toml").display().to_string())),
        );
    }
    if path.exists() {
        return refuse("there is such a file already", "name another file with -o, or remove this one".into());
    }
    Ok(())
}

/// Refuses to put the figures of IRIS in place of what is called like them, and says how to come to a job all the same.
fn refuse_another_table(path: &Path, output: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let problem = "there is such a file already, and it does not hold the figures of IRIS that this job would be written with";
    let [table, job] = [path, output].map(|path| for_a_shell(&path.display().to_string()));
    let elsewhere = "move it away, or name a job in another folder with -o";
    let fix = match Table::load(path) {
        Ok(_) => format!("if it is your table: nicho init --data {table} -o {job}; else {elsewhere}"),
        Err(_) => elsewhere.into(),
    };
    Err(Error::Output { path: path.into(), problem: problem.into(), fix })
}

fn create(path: &Path, text: &str) -> Result<()> {
    refuse_to_replace(path)?;
    let mut file = File::create_new(path).map_err(Error::io(path, "write the file"))?;
    file.write_all(text.as_bytes()).map_err(Error::io(path, "write the file"))
}
