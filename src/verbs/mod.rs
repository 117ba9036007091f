//! One function per verb of the command line. Each takes its flags and returns when the verb is done.

/// Prints a text to standard output.
macro_rules! text {
    ($($argument:tt)*) => { $crate::verbs::put(format_args!($($argument)*)) };
}

/// Prints a line to standard output.
macro_rules! line {
    () => { $crate::verbs::put(format_args!("\n")) };
    ($($argument:tt)*) => { $crate::verbs::put(format_args!("{}\n", format_args!($($argument)*))) };
}

mod calibrate;
mod check;
mod compare;
mod describe;
mod export;
mod heartbeat;
mod predict;
mod progress;
mod run;
mod screen;
mod session;
mod shared;
mod simulate;
mod stored;
mod validate;
mod watch;

pub use calibrate::{CalibrationFlags, validate_calibration};
pub use check::check;
pub use compare::compare;
pub use export::export;
pub use predict::{Keep, PredictFlags, predict};
pub use progress::{LogFlags, LogFormat, init_logs};
pub use run::{RunFlags, run};
pub use screen::{ScreenFlags, validate_screen};
pub use simulate::{Draw, Followed, Point, simulate, simulate_patient};
pub use stored::{digest, refine, report_of, reproduce};
pub use validate::{MechanismFlags, validate_mechanisms};
pub use watch::{WatchFlags, watch};

/// Writes to standard output, on rank 0. A reader that has gone (`nicho digest FILE | head -1`) ends the process quietly: whatever a
/// verb prints, it has stored before.
fn put(text: std::fmt::Arguments<'_>) {
    use std::io::Write;
    if crate::exec::rank() > 0 {
        return;
    }
    if std::io::stdout().write_fmt(text).is_err() {
        std::process::exit(0);
    }
}
