//! `nicho`: approximate Bayesian computation of the bone-marrow niche and BCR-ABL signaling model of CML.

pub mod error;
pub mod integrate;
pub mod model;
pub mod rng;
pub mod trial;
