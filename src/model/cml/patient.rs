//! One virtual patient: the traits that do not change over time.

use super::drugs::INHIBITORS;
use super::parameters::Population;

/// The traits of one patient. Names, units and meaning follow the parameter table of the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patient {
    /// Age at diagnosis, years. It enters death unrelated to CML only.
    pub age: f64,
    /// Apparent clearance CL/F of imatinib at steady state, L/h.
    pub clearance: f64,
    /// Exposure to the other inhibitors at a dose, 1 = median.
    pub exposure_others: f64,
    /// Share of the prescribed doses that is taken.
    pub adherence: f64,
    /// Expression of BCR-ABL, 1 = median: so much more inhibitor is needed.
    pub expression: f64,
    /// Hill exponent of kinase inhibition.
    pub hill: f64,
    /// Drug uptake of progenitors and mature cells (OCT-1), 1 = median.
    pub uptake_mature: f64,
    /// Drug uptake of CD34+ stem cells, independent of the former.
    pub uptake_stem: f64,
    /// Relative rise of the uptake of stem cells when ABCG2 is blocked.
    pub efflux: f64,
    /// Weights of GRB2, CRKL and SHC as ways to RAS.
    pub ras_grb2: f64,
    /// See [`Patient::ras_grb2`].
    pub ras_crkl: f64,
    /// See [`Patient::ras_grb2`].
    pub ras_shc: f64,
    /// Share of MEK in the drive of progenitors; the rest is STAT5.
    pub mek_share: f64,
    /// Share of beta-catenin in the gain of self-renewal; the rest is MEK.
    pub wnt_share: f64,
    /// Weight of the kinase in beta-catenin; the rest is N-cadherin contact.
    pub wnt_kinase: f64,
    /// Kinase-independent progenitor drive by the GM-CSF–JAK2–STAT5 bypass, 0 to 0.9.
    pub bypass: f64,
    /// Gain of stem-cell self-renewal by BCR-ABL.
    pub renewal_gain: f64,
    /// Gain of stem-cell death when survival signals are lost.
    pub death_gain: f64,
    /// Survival bypass by niche contact per unit adhesion.
    pub niche_bypass: f64,
    /// Adhesion at full kinase activity relative to normal.
    pub adhesion_min: f64,
    /// Share of VLA-4 in adhesion.
    pub adhesion_vla4: f64,
    /// Share of CD44 in the adhesion of leukaemic stem cells; the rest is CXCR4.
    pub adhesion_cd44: f64,
    /// Gain of release when N-cadherin or Tie2 contact is lost.
    pub quiescence_gain: f64,
    /// Gain of detachment when adhesion is lost.
    pub detachment_gain: f64,
    /// Attachment to the osteoblastic niche, 1/d.
    pub attach: f64,
    /// Release from the osteoblastic niche at full adhesion, 1/d.
    pub release: f64,
    /// Self-renewal of normal stem cells in an empty niche, 1/d.
    pub renewal: f64,
    /// Death and differentiation of cycling stem cells, 1/d.
    pub stem_loss: f64,
    /// Loss of cycling stem cells that nothing holds in the niche, on their way through the blood, 1/d.
    pub roaming_loss: f64,
    /// Loss of normal renewal on remodelled stroma.
    pub stroma_defect: f64,
    /// Capacity of the osteoblastic niche, cells.
    pub capacity_osteoblastic: f64,
    /// Capacity of the vascular niche, cells.
    pub capacity_vascular: f64,
    /// Progenitor re-amplification at full kinase activity, 1/d.
    pub progenitor_growth: f64,
    /// Progenitor loss at no kinase activity, 1/d.
    pub progenitor_loss: f64,
    /// Progenitors at diagnosis per progenitors fed by stem cells alone.
    pub amplification: f64,
    /// Turnover of the maturing and blood pool, 1/d.
    pub maturing_turnover: f64,
    /// Effector decay, 1/d.
    pub effector_decay: f64,
    /// Maximal effector stimulation, 1/d.
    pub effector_stimulus: f64,
    /// Burden of maximal stimulus, 1 = diagnosis.
    pub effector_window: f64,
    /// Kill per unit of effector activity above rest, 1/d.
    pub effector_kill: f64,
    /// Ceiling of effector activity.
    pub effector_max: f64,
    /// T-cell block by healthy stroma.
    pub stroma_block: f64,
    /// Time constant of immune exhaustion, d.
    pub exhaustion_time: f64,
    /// Burden of half-maximal exhaustion, 1 = diagnosis.
    pub exhaustion_half: f64,
    /// Time constant of stromal remodelling, d.
    pub stroma_time: f64,
    /// Name of the mutation of the mutant clone.
    pub mutant: &'static str,
    /// IC50 of the mutant clone for each kinase inhibitor, relative to the unmutated one.
    pub mutant_folds: [f64; INHIBITORS],
    /// Stem cells of the mutant clone at diagnosis (0 = none).
    pub mutant_cells: f64,
    /// Births of mutant clones, 1/d, of as many stem cells as at diagnosis that renew themselves as normal ones in an empty niche.
    pub mutation: f64,
    /// Cycling leukaemic stem cells at diagnosis, cells.
    pub stem_cells: f64,
    /// Quiescent per cycling leukaemic stem cells at diagnosis.
    pub quiescent_ratio: f64,
    /// Years from the birth of a transformed clone to accelerated phase or blast crisis, untreated.
    pub latency: f64,
    /// Leukaemic per normal blood cells at diagnosis.
    pub leukaemic_ratio: f64,
    /// Odds of Ph+ metaphases in marrow per odds in blood.
    pub marrow_odds: f64,
}

impl Patient {
    /// The median patient of a population: every trait at its median, without a mutant clone and without a bypass.
    pub fn median(population: &Population) -> Self {
        population.patient_from(&mut || 0.0, &mut || 1.0)
    }
}
