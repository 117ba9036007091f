//! Small models whose posteriors are known in closed form. They prove the engine, and a methods developer can start from
//! them: each is a struct, a table and twenty lines.

use super::{Parameter, Proposed, Summary};

mod benchmark;
mod closed;

pub use benchmark::{GaussianLinear, GaussianMixture, Slcp, TwoMoons};
pub use closed::{Coin, Normal};

/// A parameter of a reference model: a pure number without a proposed prior.
fn parameter(name: &'static str, meaning: &'static str, default: f64, range: (f64, f64), source: &'static str) -> Parameter {
    Parameter { name, unit: "-", meaning, default, range, source, prior: Proposed::Fixed }
}

/// Summaries that are pure numbers.
fn summaries<const M: usize>(names: [&str; M]) -> [Summary; M] {
    names.map(|name| Summary { name: name.into(), unit: "-".into() })
}
