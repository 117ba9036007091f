//! The marrow niches: exchange of stem cells between the osteoblastic (quiescent, Q) and the vascular niche (cycling, C),
//! self-renewal and loss, the progenitors that they feed, and the remodelling of the stroma.
//!
//! ```text
//! room  = max(0, 1 - ΣQ / Ko),  crowding = 1 - ΣC / Kv          normal and leukaemic clones share both niches
//! Q' =  attach room C - release Q
//! C' = -attach room C + release Q + (renewal crowding - loss - kill) C
//! P' = inflow C + P (growth (1 - P / (χ C)) - loss_P (1 - survival proliferation) - kill)
//! D' = turnover (P - D) - kill D
//! M' = (y / (y + 0.1) - M) / τ_M                                y = D + D_R, the burden
//! ```
//!
//! Adhesion holds stem cells in both niches: it multiplies attachment and slows release from the osteoblastic one, and what it
//! does not hold in the vascular one roams in the blood, from where most, not all, come home. In the osteoblastic niche
//! N-cadherin and Tie2-Ang-1 keep them dormant besides. A progenitor that is kept from dividing matures and is lost as one without
//! survival signals is:
//!
//! ```text
//! attach = attach0 adhesion
//! release = release0 (1 + detachment_gain (1 - adhesion)) (1 + quiescence_gain (1 - N-cadherin · Tie2)) awakening
//! loss = loss0 (1 + death_gain (1 - survival)) + roaming_loss (1 - adhesion)
//! growth = growth0 drive proliferation
//! ```
//!
//! χ C is the number of progenitors that C stem cells can feed by finite amplification. Stem cells are numbers, P and D
//! are relative to diagnosis, time is in days. Two niches with exchange: Roeder et al. 2006 (Nat Med 12:1181); the cascade:
//! Michor et al. 2005 (Nature 435:1267); regrowth of progenitors: Branford et al. 2012 (Blood 119:4264); normal stem
//! cells on leukaemic stroma: Schepers et al. 2013 (Cell Stem Cell 13:285).

use pulp::Simd;

use super::patient::Patient;
use super::signaling::Signals;
use super::targets::{Blocks, Target};
use crate::integrate::Lanes;

/// Progenitors per χ added to those that stem cells can feed, so that an extinct clone does not divide by zero; relative
/// to diagnosis, far below any measurable burden (assumption).
const LEAST_FEED: f64 = 1e-9;
/// Burden of half-maximal stromal remodelling, 1 = diagnosis (assumption).
const REMODELLING_HALF: f64 = 0.1;

/// Rates of one clone at one dose, 1/d except where said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CloneRates<T> {
    /// Attachment to an empty osteoblastic niche.
    pub attach: T,
    /// Release from the osteoblastic niche.
    pub release: T,
    /// Self-renewal in an empty vascular niche.
    pub renewal: T,
    /// Death and differentiation of cycling stem cells.
    pub loss: T,
    /// Re-amplification of progenitors.
    pub growth: T,
    /// Re-amplification less loss of progenitors that are not crowded.
    pub net_growth: T,
    /// Proliferative drive of progenitors, a pure number.
    pub drive: T,
    /// 1 where the stem cells of the clone follow the equations, 0 where they are counted one by one instead.
    pub fluid: T,
}

impl CloneRates<f64> {
    /// The rates of a clone with these signals.
    pub fn of(patient: &Patient, signals: &Signals, blocks: &Blocks) -> Self {
        let proliferation = blocks.left(Target::Proliferation);
        let growth = patient.progenitor_growth * signals.drive * proliferation;
        CloneRates {
            attach: patient.attach * signals.adhesion,
            release: release(patient, signals.adhesion, blocks),
            renewal: patient.renewal * signals.self_renewal,
            loss: patient.stem_loss * (1.0 + patient.death_gain * (1.0 - signals.survival)) + roaming(patient, signals.adhesion),
            growth,
            net_growth: growth - patient.progenitor_loss * (1.0 - signals.survival_mature * proliferation),
            drive: signals.drive,
            fluid: 1.0,
        }
    }
}

/// Loss of cycling stem cells on the way through the blood at the given adhesion, 1/d.
pub fn roaming(patient: &Patient, adhesion: f64) -> f64 {
    patient.roaming_loss * (1.0 - adhesion)
}

/// Release from the osteoblastic niche at the given adhesion, 1/d.
pub fn release(patient: &Patient, adhesion: f64, blocks: &Blocks) -> f64 {
    let contact = blocks.left(Target::NCadherin) * blocks.left(Target::Tie2);
    patient.release
        * (1.0 + patient.detachment_gain * (1.0 - adhesion))
        * (1.0 + patient.quiescence_gain * (1.0 - contact))
        * blocks.left(Target::Awakening)
}

/// What the clones of a marrow have in common at one moment.
pub(super) struct Marrow<S: Simd> {
    /// Free share of the osteoblastic niche.
    pub room: Lanes<S>,
    /// Free share of the vascular niche; negative when it is overfull.
    pub crowding: Lanes<S>,
    /// Immune kill, 1/d.
    pub kill: Lanes<S>,
    /// Progenitors that one stem cell makes per day.
    pub inflow: Lanes<S>,
    /// Turnover of maturing cells, 1/d.
    pub turnover: Lanes<S>,
}

/// What remains free of a niche with the given reciprocal capacity.
#[inline(always)]
pub(super) fn free<S: Simd>(leukaemic: Lanes<S>, mutant: Lanes<S>, normal: Lanes<S>, per_cell: Lanes<S>) -> Lanes<S> {
    per_cell.constant(1.0) - (leukaemic + mutant + normal) * per_cell
}

/// Net flow of stem cells into the osteoblastic niche, cells per day.
#[inline(always)]
pub(super) fn exchange<S: Simd>(q: Lanes<S>, c: Lanes<S>, attach: Lanes<S>, release: Lanes<S>, room: Lanes<S>) -> Lanes<S> {
    attach * room * c - release * q
}

/// Progenitors that `c` cycling stem cells can feed, relative to diagnosis; never 0.
#[inline(always)]
pub(super) fn fed<S: Simd>(c: Lanes<S>, feed: Lanes<S>) -> Lanes<S> {
    feed * c + c.constant(LEAST_FEED)
}

/// Slopes of the quiescent, cycling, progenitor and maturing cells of one leukaemic clone; `per_fed` is 1 / [`fed`].
#[inline(always)]
pub(super) fn clone_slope<S: Simd>(
    [q, c, p, d]: [Lanes<S>; 4],
    rates: &CloneRates<Lanes<S>>,
    marrow: &Marrow<S>,
    per_fed: Lanes<S>,
) -> [Lanes<S>; 4] {
    let moved = exchange(q, c, rates.attach, rates.release, marrow.room) * rates.fluid;
    let stem = (rates.renewal * marrow.crowding - (rates.loss + marrow.kill)) * c * rates.fluid - moved;
    let regrowth = rates.net_growth - marrow.kill - rates.growth * (p * per_fed);
    [moved, stem, marrow.inflow * c + p * regrowth, marrow.turnover * (p - d) - marrow.kill * d]
}

/// Denominator of [`stroma_slope`].
#[inline(always)]
pub(super) fn stroma_half<S: Simd>(burden: Lanes<S>) -> Lanes<S> {
    burden + burden.constant(REMODELLING_HALF)
}

/// Slope of stromal remodelling; `per_half` is 1 / [`stroma_half`], `per_time` is 1 / τ_M.
#[inline(always)]
pub(super) fn stroma_slope<S: Simd>(m: Lanes<S>, burden: Lanes<S>, per_half: Lanes<S>, per_time: Lanes<S>) -> Lanes<S> {
    (burden * per_half - m) * per_time
}
