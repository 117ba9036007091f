//! stand-in until the trial branch lands
/// Distance.
pub trait Distance: Send + Sync {
    /// Distance between two rows of summaries.
    fn between(&self, a: &[f64], b: &[f64]) -> f64;
    /// Observed values.
    fn observed(&self) -> &[f64];
    /// Distance of simulated summaries from the observed ones.
    fn distance(&self, summaries: &[f64]) -> f64 {
        self.between(summaries, self.observed())
    }
    /// Lower bound.
    fn lower_bound(&self, _lower: &[f64], _upper: &[f64]) -> f64 {
        0.0
    }
    /// Scale.
    fn scale(&self) -> Option<f64> {
        None
    }
}

/// Euclid.
pub struct Euclidean(Vec<f64>, Vec<f64>);
impl Euclidean {
    /// New.
    ///
    /// # Errors
    /// Names.
    pub fn new(names: &[String], observed: &[f64], weights: &std::collections::BTreeMap<String, f64>) -> Result<Self, String> {
        Ok(Euclidean(observed.to_vec(), names.iter().map(|n| weights.get(n).copied().unwrap_or(1.0)).collect()))
    }
}
impl Distance for Euclidean {
    fn between(&self, a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).zip(&self.1).map(|((a, b), w)| w * (a - b) * (a - b)).sum::<f64>().sqrt()
    }
    fn observed(&self) -> &[f64] {
        &self.0
    }
}
/// Trial.
pub mod trial {
    use super::Distance;
    /// T
    pub struct Trial(Vec<f64>, Vec<f64>);
    impl Trial {
        /// New.
        ///
        /// # Errors
        /// Names.
        pub fn new(rows: &[&crate::trial::table::Row], _w: &std::collections::BTreeMap<String, f64>) -> Result<Self, String> {
            Ok(Trial(rows.iter().map(|r| r.value).collect(), rows.iter().map(|r| 1.0 / r.variance().unwrap_or(1.0)).collect()))
        }
    }
    impl Distance for Trial {
        fn between(&self, a: &[f64], b: &[f64]) -> f64 {
            a.iter().zip(b).zip(&self.1).map(|((a, b), w)| w * (a - b) * (a - b)).sum::<f64>().sqrt()
        }
        fn observed(&self) -> &[f64] {
            &self.0
        }
        fn scale(&self) -> Option<f64> {
            Some(1.0)
        }
    }
}
