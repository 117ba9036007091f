//! One function per verb of the command line. Each takes its flags and returns when the verb is done.

mod check;
mod progress;
mod run;
mod session;
mod simulate;
mod stored;

pub use check::check;
pub use progress::{LogFormat, init_logs};
pub use run::{RunFlags, run};
pub use simulate::simulate;
pub use stored::{digest, refine, report_of, reproduce};
