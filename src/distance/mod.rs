//! Distances between the summaries of a simulation and those observed.

pub mod euclidean;
pub mod trial;

/// A distance to the observations, which it holds.
pub trait Distance: Send + Sync {
    /// Distance of simulated summaries from the observed ones; finite and >= 0 for finite summaries.
    fn distance(&self, summaries: &[f64]) -> f64;

    /// The least distance that any summaries between `lower` and `upper` can have, or a number below it; 0 is always
    /// allowed. Early rejection stops a simulation whose bound exceeds the tolerance.
    fn lower_bound(&self, _lower: &[f64], _upper: &[f64]) -> f64 {
        0.0
    }

    /// Divide a distance by this and it is in units of the observations' own standard error, as a root mean square over
    /// the rows; `None` where no standard error is known.
    fn scale(&self) -> Option<f64> {
        None
    }
}

/// The distances a job can name, each with what it is.
pub const CATALOGUE: [(&str, &str); 2] = [
    ("trial", "Mahalanobis in the covariance of the published estimates, group by group"),
    ("euclidean", "weighted L_p with one scale per summary"),
];
