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
