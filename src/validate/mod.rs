//! What checks a job, a stored run, or the model itself; only calibration runs inferences, of data that it makes itself.

pub mod calibration;
pub mod mechanisms;
mod screening;

pub use screening::Screen;
