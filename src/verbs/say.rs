//! What a verb says on standard output: text for people, or, with `--json`, one document for programs and nothing else. A verb says
//! both, of the same values; which of them is heard is decided here, once for all verbs.

use std::fmt::Arguments;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::exec;

/// Whether a program listens.
static JSON: AtomicBool = AtomicBool::new(false);

/// Documents instead of text from now on.
pub fn speak_json() {
    JSON.store(true, Ordering::Relaxed);
}

/// Whether a program listens.
pub(super) fn to_program() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// Says a text to people.
pub(super) fn put(text: Arguments<'_>) {
    if !to_program() {
        write(text);
    }
}

/// Says a document to a program: names that stay, numbers in full, `null` where there is none. A verb has one.
pub(super) fn document(of: impl FnOnce() -> Value) {
    if to_program() {
        write(format_args!("{:#}\n", of()));
    }
}

/// Writes to standard output, on rank 0. A reader that has gone (`nicho digest FILE | head -1`) ends the process quietly: whatever a
/// verb prints, it has stored before.
fn write(text: Arguments<'_>) {
    if exec::rank() == 0 && std::io::stdout().write_fmt(text).is_err() {
        std::process::exit(0);
    }
}
