//! `nicho completions` and `nicho man`: what a package installs beside the program. Both are made of the parser itself.

use std::path::Path;

use serde_json::json;

use super::say::document;
use crate::error::{Error, Result};

/// Prints what a shell reads to complete verbs and flags.
pub fn print_completions(script: &str) {
    text!("{script}");
    document(|| json!({ "script": script }));
}

/// Writes manual pages into a folder, which is made if it is missing, and names them.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be written.
pub fn write_manual(folder: &Path, pages: &[(String, String)]) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(Error::io(folder, "make the folder"))?;
    let mut files = Vec::new();
    for (name, text) in pages {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(Error::io(&path, "write the page"))?;
        line!("{}", path.display());
        files.push(path);
    }
    document(|| json!({ "files": files }));
    Ok(())
}
