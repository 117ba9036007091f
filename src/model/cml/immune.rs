//! The immune brake: effector activity E (1 at rest) and leukaemia-induced exhaustion X (0 to 1).
//!
//! ```text
//! kill = μ (E - 1)
//! E' = d_E (1 - E) + p_E (1 - χ_T (1 - M)) (1 - X) φ(y) E (1 - E / E_max),   φ(y) = 2 κ y / (κ² + y²)
//! X' = (y / (y + x0) - X) / τ_X
//! ```
//!
//! The bell shape of φ (most stimulus at a burden y = κ, none at high burden) follows Clapp et al. 2015 (Cancer Res
//! 75:4053) and Hähnel et al. 2020 (Cancer Res 80:2394); healthy stroma (M near 0) blocks T cells by the share χ_T; X keeps
//! the response from rising before the burden has been low for long (assumption). Time is in days.

use pulp::Simd;

use crate::integrate::Lanes;

/// Constants of one patient's immune response.
pub(super) struct Response<S: Simd> {
    /// Effector decay, 1/d.
    pub decay: Lanes<S>,
    /// `2 κ p_E`, 1/d.
    pub stimulus: Lanes<S>,
    /// `1 - χ_T`.
    pub unblocked: Lanes<S>,
    /// `χ_T`.
    pub block: Lanes<S>,
    /// `1 / E_max`.
    pub per_max: Lanes<S>,
}

/// Kill of leukaemic cells, 1/d.
#[inline(always)]
pub(super) fn kill<S: Simd>(e: Lanes<S>, per_effector: Lanes<S>) -> Lanes<S> {
    per_effector * (e - e.constant(1.0))
}

/// Denominator of φ.
#[inline(always)]
pub(super) fn bell<S: Simd>(burden: Lanes<S>, window_squared: Lanes<S>) -> Lanes<S> {
    window_squared + burden * burden
}

/// Slope of the effectors; `per_bell` is 1 / [`bell`].
#[inline(always)]
pub(super) fn effector_slope<S: Simd>(
    [e, m, x]: [Lanes<S>; 3],
    burden: Lanes<S>,
    per_bell: Lanes<S>,
    response: &Response<S>,
) -> Lanes<S> {
    let one = e.constant(1.0);
    let readiness = (response.unblocked + response.block * m) * (one - x);
    let stimulus = response.stimulus * (burden * per_bell);
    response.decay * (one - e) + (readiness * stimulus) * (e * (one - e * response.per_max))
}

/// Slope of exhaustion; `per_half` is 1 / (y + x0), `per_time` is 1 / τ_X.
#[inline(always)]
pub(super) fn exhaustion_slope<S: Simd>(x: Lanes<S>, burden: Lanes<S>, per_half: Lanes<S>, per_time: Lanes<S>) -> Lanes<S> {
    (burden * per_half - x) * per_time
}
