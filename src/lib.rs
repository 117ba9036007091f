//! `nicho`: approximate Bayesian computation of the bone-marrow niche and BCR-ABL signaling model of CML.

pub mod distance;
pub mod error;
pub mod model;
pub mod rng;
pub mod trial;
