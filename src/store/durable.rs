//! Replacing a file so that a kill, a full disk or a power cut at any instant leaves the old file or the new one, whole:
//! write beside, sync, rename over, sync the folder.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Makes sure, before work whose result goes there, that files can be written into a folder; it may still have to be made.
///
/// # Errors
/// `Io` if it cannot be made or written into.
pub fn check_folder(folder: &Path) -> Result<()> {
    let whole = std::path::absolute(folder).map_err(Error::io(folder, "find this folder"))?;
    let there = whole.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let probe = there.join(format!(".nicho-{}", std::process::id()));
    let written = File::create_new(&probe).and_then(|_| fs::remove_file(&probe));
    written.map_err(Error::io(folder, "write into this folder"))
}

/// Makes sure, before work whose result goes there, that a file can be replaced. One that is marked as read-only is not, though the
/// system would let it be.
///
/// # Errors
/// `Output` if it is read-only; `Io` if its folder cannot be written into.
pub fn check_file(path: &Path) -> Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if target.metadata().is_ok_and(|file| file.permissions().readonly()) {
        let fix = format!("make it writable (chmod u+w {}), or work on a copy of it", path.display());
        return Err(Error::Output { path: path.into(), problem: "is read-only, and this would change it".into(), fix });
    }
    match target.parent() {
        Some(folder) if folder != Path::new("") => check_folder(folder),
        _ => check_folder(Path::new(".")),
    }
}

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
