//! Replacing a file so that a kill, a full disk or a power cut at any instant leaves the old file or the new one, whole:
//! write beside, sync, rename over, sync the folder.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Replaces (or creates) the file at `path`. A symbolic link stays one: the file that it names is replaced.
///
/// # Errors
/// `Io` if the folder is missing or not writable, or the disk is full; the old file stays and the new one is removed.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let mut beside = OsString::from(&target);
    beside.push(".tmp");
    let beside = PathBuf::from(beside);
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut file = File::create(&beside).map_err(Error::io(folder, "write a result file into this folder"))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&beside, &target));
    if written.is_err() {
        // Best effort: the first failure is the one to report.
        let _ = fs::remove_file(&beside);
    }
    written.map_err(Error::io(path, "write (what was there before, if anything, is untouched)"))?;
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // Some network file systems know no sync of a folder.
        Err(e) if e.kind() != std::io::ErrorKind::InvalidInput => Err(Error::io(folder, "sync the folder")(e)),
        _ => Ok(()),
    }
}
