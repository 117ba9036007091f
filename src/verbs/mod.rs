//! One function per verb of the command line. Each takes its flags and returns when the verb is done.

/// Prints a text to standard output.
macro_rules! text {
    ($($argument:tt)*) => { $crate::verbs::say::put(format_args!($($argument)*)) };
}

/// Prints a line to standard output.
macro_rules! line {
    () => { $crate::verbs::say::put(format_args!("\n")) };
    ($($argument:tt)*) => { $crate::verbs::say::put(format_args!("{}\n", format_args!($($argument)*))) };
}

mod calibrate;
mod check;
mod compare;
mod describe;
mod export;
mod heartbeat;
mod init;
mod install;
mod predict;
mod progress;
mod run;
mod say;
mod schema;
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
pub use init::{InitFlags, init};
pub use install::{print_completions, write_manual};
pub use predict::{Keep, PredictFlags, predict};
pub use progress::{LogFlags, LogFormat, init_logs};
pub use run::{RunFlags, run};
pub use say::speak_json;
pub use schema::{SchemaOf, schema};
pub use screen::{ScreenFlags, validate_screen};
pub use simulate::{Draw, Followed, Point, simulate, simulate_patient};
pub use stored::{digest, refine, report_of, reproduce};
pub use validate::{MechanismFlags, validate_mechanisms};
pub use watch::{WatchFlags, watch};
