//! `nicho`: approximate Bayesian computation of the bone-marrow niche and BCR-ABL signaling model of CML.

pub mod density;
pub mod distance;
pub mod error;
pub mod exec;
pub mod integrate;
pub mod job;
pub mod model;
pub mod population;
pub mod predict;
pub mod refine;
pub mod report;
pub mod rng;
pub mod sampler;
pub mod store;
pub mod trial;
