//! `nicho export`: a result file as tidy tables.

use std::path::Path;

use serde_json::json;

use super::say::document;
use super::stored::{embedded, with_input};
use crate::error::Result;
use crate::report;
use crate::store::Store;

/// Writes the tables of a result file into a folder and names it; `overwrite` replaces an earlier export.
///
/// # Errors
/// Those of the store and of [`report::export`].
pub fn export(file: &Path, folder: &Path, overwrite: bool) -> Result<()> {
    let store = Store::open(file)?;
    let job = embedded(&store)?;
    let model = job.fit_model()?;
    let sources: Vec<(String, String)> = model.parameters().iter().map(|p| (p.name.into(), p.source.into())).collect();
    let written = with_input(&store, &job, |input| report::export(input, &sources, folder, overwrite))?;
    document(|| json!({ "files": written }));
    written.iter().for_each(|path| line!("{}", path.display()));
    Ok(())
}
