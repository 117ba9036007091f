//! `nicho`: approximate Bayesian computation of the bone-marrow niche and BCR-ABL signaling model of CML.

pub mod error;
pub mod model;
pub mod population;
pub mod rng;
pub mod store;
pub mod trial;
