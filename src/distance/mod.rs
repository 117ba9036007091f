//! stand-in until the trial branch lands
/// Distance.
pub trait Distance: Send + Sync {
    /// Distance of simulated summaries from the observed ones.
    fn distance(&self, summaries: &[f64]) -> f64;
    /// Lower bound.
    fn lower_bound(&self, _lower: &[f64], _upper: &[f64]) -> f64 {
        0.0
    }
    /// Scale.
    fn scale(&self) -> Option<f64> {
        None
    }
}
