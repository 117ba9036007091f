//! The niche-plus-signaling model of chronic myeloid leukaemia: a [`Patient`](patient::Patient) is drawn from population
//! parameters and treated by a [`Protocol`](protocol::Protocol), [`course`] integrates it side by side with others in SIMD
//! lanes, and what a trial would see of it becomes a [`History`](crate::trial::history::History).
//!
//! ```text
//! parameters ─▶ draw ─▶ patient ┐                          ┌─▶ observe ─▶ history ─▶ (trial::estimate)
//!                               ├─▶ course ◀──▶ clinic ◀───┤   findings at a visit
//! drugs, targets, mutants       │                          │
//!        └───▶ signaling ───────┘   (niche, immune)        └─▶ protocol: rules, doses
//! ```

mod clinic;
pub mod cohort;
pub mod course;
pub mod draw;
pub mod drugs;
pub mod equations;
pub mod experiment;
mod immune;
pub mod mutants;
pub mod niche;
pub mod observe;
pub mod parameters;
pub mod patient;
pub mod protocol;
pub mod signaling;
pub mod state;
pub mod targets;
pub mod trajectory;
pub mod trials;
