//! Pearson's test of a sample of whole numbers, for unit tests.

/// Panics unless `draws` numbers have the distribution `p(0), p(1), …`, which must come to 1 but for 10⁻⁹ before `most`.
///
/// Neighbouring numbers share a bin in which at least 25 are expected, and everything above the last is one bin. The limit
/// is 5 standard normal deviations by Wilson and Hilferty's cube root (1931): false-alarm rate below 10⁻⁶.
pub(crate) fn fits(name: &str, draws: u64, most: u64, mut draw: impl FnMut() -> u64, p: impl Fn(u64) -> f64) {
    let p: Vec<f64> = (0..=most).map(p).collect();
    let total: f64 = p.iter().sum();
    assert!((total - 1.0).abs() < 1e-7, "{name}: the probabilities of the test come to {total}");
    let mut counts = vec![0u64; p.len() + 1];
    for _ in 0..draws {
        counts[(draw() as usize).min(p.len())] += 1;
    }
    // (observed, expected), by bin.
    let mut bins = vec![(0.0, 0.0)];
    for (k, count) in counts.iter().enumerate() {
        if bins[bins.len() - 1].1 >= 25.0 {
            bins.push((0.0, 0.0));
        }
        let last = bins.len() - 1;
        bins[last].0 += *count as f64;
        bins[last].1 += draws as f64 * p.get(k).copied().unwrap_or(0.0);
    }
    if let Some((observed, expected)) = bins.pop() {
        let last = bins.len() - 1;
        bins[last].0 += observed;
        bins[last].1 += expected;
    }
    let chi: f64 = bins.iter().map(|(observed, expected)| (observed - expected) * (observed - expected) / expected).sum();
    let free = (bins.len() - 1) as f64;
    assert!(free >= 1.0, "{name}: one bin");
    let spread = 2.0 / (9.0 * free);
    let limit = free * (1.0 - spread + 5.0 * spread.sqrt()).powi(3);
    assert!(chi < limit, "{name}: chi-square {chi:.1} at {free} degrees of freedom, limit {limit:.1}");
}
