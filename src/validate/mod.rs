//! What checks a job, a stored run, or the model itself; nothing here runs an inference.

pub mod mechanisms;
mod screening;

pub use screening::screen;
