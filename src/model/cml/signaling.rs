//! BCR-ABL signaling of one clone under a constant drug concentration: residual kinase activity and the arms below it.
//!
//! Phosphorylation settles within hours and cells change over weeks, so the network is in quasi-steady state and is
//! algebra: it is evaluated once per clone and dose. With plasma concentration C, uptake u and the clone's own IC50,
//!
//! ```text
//! K = 1 / (1 + (u C / (IC50 fold))^hill)          residual kinase activity, 1 = untreated
//! RAS-MEK = K                                     GRB2-SOS at Y177, CRKL and SHC lumped
//! adhesion = (min + (1 - min)(1 - K)) (1 - block) CXCR4 and integrins; BCR-ABL lowers it, a CXCR4 antagonist blocks it
//! AKT = K + (1 - K) bypass_niche adhesion         survival by PI3K, or by niche contact in its place
//! renewal = 1 + gain K                            MEK and beta-catenin
//! drive = K + (1 - K) bypass_GM-CSF               JAK2-STAT5 keeps progenitors going without the kinase
//! ```
//!
//! Sources: the mechanisms are those reviewed by Aristizábal et al. 2014 (Rev Med Chile 142:599); imatinib restores CXCR4
//! (Jin et al. 2008, Mol Cancer Ther 7:48), N-cadherin contact protects stem cells (Zhang et al. 2013, Blood 121:1824),
//! GM-CSF rescues progenitors (Wang et al. 2007, Blood 109:2147).

use super::patient::Patient;

/// Nodes of the network in one clone, each a pure number. 1 is the untreated clone unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signals {
    /// Residual kinase activity in progenitors and maturing cells.
    pub kinase_mature: f64,
    /// Residual kinase activity in stem cells.
    pub kinase_stem: f64,
    /// RAS-MEK activity in stem cells.
    pub mek: f64,
    /// AKT activity in stem cells: the survival signal.
    pub akt: f64,
    /// Adhesion of stem cells to the niche; 1 is that of normal stem cells.
    pub adhesion: f64,
    /// Self-renewal of stem cells; 1 is that of normal stem cells.
    pub self_renewal: f64,
    /// Proliferative drive of progenitors.
    pub drive: f64,
}

/// Residual kinase activity (0 to 1) at `potency` = uptake · concentration / IC50 of the clone, at least 0. Not a number
/// where the potency is none, so that a broken patient is noticed.
pub fn kinase(potency: f64, hill: f64) -> f64 {
    1.0 / (1.0 + libm::pow(potency, hill))
}

impl Signals {
    /// The signals of a clone whose IC50 is `fold` times that of unmutated BCR-ABL.
    pub fn of(patient: &Patient, fold: f64) -> Self {
        let exposure = patient.concentration / patient.ic50 / fold;
        let kinase_mature = kinase(patient.uptake_mature * exposure, patient.hill);
        let kinase_stem = kinase(patient.uptake_stem * exposure, patient.hill);
        let mek = kinase_stem;
        let restored = patient.adhesion_min + (1.0 - patient.adhesion_min) * (1.0 - kinase_stem);
        let adhesion = restored * (1.0 - patient.cxcr4_block);
        Signals {
            kinase_mature,
            kinase_stem,
            mek,
            akt: kinase_stem + (1.0 - kinase_stem) * patient.niche_bypass * adhesion,
            adhesion,
            self_renewal: 1.0 + patient.renewal_gain * mek,
            drive: kinase_mature + (1.0 - kinase_mature) * patient.bypass,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_drug_every_arm_is_fully_on() {
        let signals = Signals::of(&Patient { concentration: 0.0, ..Patient::median() }, 1.0);
        assert_eq!((signals.kinase_mature, signals.kinase_stem, signals.akt, signals.drive), (1.0, 1.0, 1.0, 1.0));
        assert_eq!((signals.adhesion, signals.self_renewal), (0.3, 1.9));
    }

    #[test]
    fn kinase_activity_is_half_at_the_ic50_and_a_mutation_shifts_the_curve() {
        assert_eq!(kinase(1.0, 1.43), 0.5);
        let patient = Patient::median();
        let shifted = Patient { concentration: patient.concentration / 30.0, ..patient };
        let (mutant, weak) = (Signals::of(&patient, 30.0), Signals::of(&shifted, 1.0));
        assert!((mutant.kinase_mature - weak.kinase_mature).abs() < 1e-14);
        assert!(mutant.kinase_mature > Signals::of(&patient, 1.0).kinase_mature);
    }

    #[test]
    fn the_drug_restores_adhesion_and_an_antagonist_takes_it_away() {
        let patient = Patient { concentration: 1e12, ..Patient::median() };
        assert!((Signals::of(&patient, 1.0).adhesion - 1.0).abs() < 1e-9);
        let blocked = Signals::of(&Patient { cxcr4_block: 1.0, ..patient }, 1.0);
        assert_eq!(blocked.adhesion, 0.0);
        assert!(blocked.akt < 1e-9);
    }
}
