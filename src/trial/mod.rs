//! Trials: what a trial observes of a patient, and what a publication reports of a trial.

pub mod covariance;
pub mod estimate;
pub mod history;
mod read;
pub mod schedule;
pub mod skill;
pub mod table;
pub(crate) mod visits;
pub mod vocabulary;
