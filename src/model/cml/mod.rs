//! The niche-plus-signaling model of chronic myeloid leukaemia: a [`Patient`](patient::Patient) is drawn from population
//! parameters, [`course`] integrates it side by side with others in SIMD lanes, and what a trial would see of it becomes a
//! [`History`](crate::trial::history::History).

pub mod cohort;
pub mod course;
pub mod draw;
mod immune;
pub mod niche;
pub mod observe;
pub mod parameters;
pub mod patient;
pub mod signaling;
pub mod state;
