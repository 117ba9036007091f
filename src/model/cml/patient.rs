//! One virtual patient: the traits that do not change over time.

/// The traits of one patient. Names, units and meaning follow the parameter table of the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patient {
    /// Mean steady-state plasma concentration of the drug, µM.
    pub concentration: f64,
    /// Total-plasma concentration that halves kinase activity at uptake 1, µM.
    pub ic50: f64,
    /// Hill exponent of kinase inhibition.
    pub hill: f64,
    /// Drug uptake of progenitors and mature cells (OCT-1), 1 = median.
    pub uptake_mature: f64,
    /// Drug uptake of CD34+ stem cells, independent of the former.
    pub uptake_stem: f64,
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
    /// Occupancy of CXCR4 by an antagonist, 0 to 1.
    pub cxcr4_block: f64,
    /// IC50 of the mutant clone relative to the unmutated one.
    pub mutant_fold: f64,
    /// Stem cells of the mutant clone at diagnosis (0 = none).
    pub mutant_cells: f64,
    /// Cycling leukaemic stem cells at diagnosis, cells.
    pub stem_cells: f64,
    /// Quiescent per cycling leukaemic stem cells at diagnosis.
    pub quiescent_ratio: f64,
    /// Leukaemic per normal blood cells at diagnosis.
    pub leukaemic_ratio: f64,
    /// Odds of Ph+ metaphases in marrow per odds in blood.
    pub marrow_odds: f64,
}

impl Patient {
    /// The proposal's median patient: every trait at the median of its population, on imatinib 400 mg per day (clearance
    /// 10 L/h: Schmidli et al. 2005, Br J Clin Pharmacol 60:35; molar mass 493.6 g/mol), without a mutant clone.
    pub fn median() -> Self {
        Patient {
            concentration: 400.0 / (10.0 * 24.0) / 493.6 * 1e3,
            ic50: 0.66,
            hill: 1.43,
            uptake_mature: 1.0,
            uptake_stem: 0.46,
            bypass: 0.0,
            renewal_gain: 0.9,
            death_gain: 2.5,
            niche_bypass: 0.36,
            adhesion_min: 0.3,
            detachment_gain: 1.5,
            attach: 0.05,
            release: 0.001,
            renewal: 0.02,
            stem_loss: 0.01,
            stroma_defect: 0.3,
            capacity_osteoblastic: 1e5,
            capacity_vascular: 1e5,
            progenitor_growth: 0.082,
            progenitor_loss: 0.085,
            amplification: 330.0,
            maturing_turnover: 0.15,
            effector_decay: 0.05,
            effector_stimulus: 0.14,
            effector_window: 2.1e-4,
            effector_kill: 0.0027,
            effector_max: 50.0,
            stroma_block: 0.2,
            exhaustion_time: 950.0,
            exhaustion_half: 0.01,
            stroma_time: 180.0,
            cxcr4_block: 0.0,
            mutant_fold: 30.0,
            mutant_cells: 0.0,
            stem_cells: 0.35e5,
            quiescent_ratio: 0.3,
            leukaemic_ratio: 5.6,
            marrow_odds: 2.4,
        }
    }
}
