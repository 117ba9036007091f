//! The signaling network below BCR-ABL in one clone: residual kinase activity and the nodes that it drives.
//!
//! Phosphorylation settles within hours and cells change over weeks, so the network is in quasi-steady state and is
//! algebra: it is evaluated once per clone and exposure. With `C / IC50` of each inhibitor, uptake u and the clone's own fold,
//!
//! ```text
//! K       = 1 / (1 + (Σ u C / (IC50 fold))^hill)          residual kinase activity, autophosphorylation of Y177
//! RAS     = 1 - (1 - w_GRB2 I)(1 - w_CRKL I)(1 - w_SHC I) three redundant ways, scaled to 1 at I = 1
//! MEK     = RAS -> RAF -> MEK                              proliferation
//! I       = K + (1 - K) bypass                             in progenitors GM-CSF signals through its receptor to RAS and JAK2
//! STAT5   = I                                              by BCR-ABL directly, by JAK2 from GM-CSF
//! FAK     = K                                              CRK-FAK-PYK2
//! adhesion = (min + (1 - min)(1 - FAK)) Σ_j share_j        CXCR4, VLA-4, CD44: BCR-ABL lowers them, an inhibitor restores them
//! AKT     = K + (1 - K) niche_bypass contact               survival by PI3K, or by niche contact in its place
//! Wnt     = (w_K K + (1 - w_K) contact) / the same untreated    beta-catenin, from BCR-ABL and from N-cadherin
//! renewal = 1 + gain ((1 - wnt_share) MEK + wnt_share Wnt)
//! drive   = (1 - mek_share) STAT5 + mek_share MEK          of progenitors
//! survival of progenitors = (STAT5 + AKT_P) / 2 · BCL-2
//! ```
//! Every node is 1 in the untreated cell; each can be blocked ([`Blocks`]).
//!
//! Sources: the mechanisms are those reviewed by Aristizábal et al. 2014 (Rev Med Chile 142:599); imatinib restores CXCR4
//! (Jin et al. 2008, Mol Cancer Ther 7:48), N-cadherin contact protects stem cells and raises beta-catenin (Zhang et al. 2013,
//! Blood 121:1824), GM-CSF rescues progenitors (Wang et al. 2007, Blood 109:2147).

use super::drugs::{Exposure, INHIBITORS, UNMUTATED};
use super::patient::Patient;
use super::targets::{Blocks, Target};

/// Share of the niche's protection that N-cadherin contact gives; the rest comes with adhesion (assumption).
const CADHERIN_SHARE: f64 = 0.5;
/// Part of the survival of progenitors that runs through PI3K-AKT; the rest through STAT5 (assumption).
const AKT_SHARE: f64 = 0.5;
/// Dependence of normal stem cells on CD44 relative to leukaemic ones (direction: Krause 2006, Nat Med 12:1175).
const NORMAL_CD44: f64 = 0.5;

/// Nodes of the network in one clone, each a pure number. 1 is the untreated clone unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signals {
    /// Residual kinase activity in progenitors and maturing cells.
    pub kinase_mature: f64,
    /// Residual kinase activity in stem cells.
    pub kinase_stem: f64,
    /// RAS in stem cells.
    pub ras: f64,
    /// MEK in stem cells.
    pub mek: f64,
    /// PI3K-AKT in stem cells.
    pub akt: f64,
    /// CRK-FAK-PYK2 in stem cells.
    pub fak: f64,
    /// Beta-catenin in stem cells.
    pub wnt: f64,
    /// Survival signal of stem cells behind the BCL-2 family.
    pub survival: f64,
    /// Adhesion of stem cells to the niche; 1 is that of normal stem cells.
    pub adhesion: f64,
    /// Self-renewal of stem cells; 1 is that of normal stem cells.
    pub self_renewal: f64,
    /// STAT5 in progenitors.
    pub stat5: f64,
    /// MEK in progenitors.
    pub mek_mature: f64,
    /// Proliferative drive of progenitors.
    pub drive: f64,
    /// Survival signal of progenitors behind the BCL-2 family.
    pub survival_mature: f64,
}

/// Names of the nodes in the order of [`Signals::values`].
pub const NAMES: [&str; 14] = [
    "kinase_mature",
    "kinase_stem",
    "ras",
    "mek",
    "akt",
    "fak",
    "wnt",
    "survival",
    "adhesion",
    "self_renewal",
    "stat5",
    "mek_mature",
    "drive",
    "survival_mature",
];

/// Residual kinase activity (0 to 1) at `potency` = Σ uptake · concentration / IC50 of the clone, at least 0. Not a number
/// where the potency is none, so that a broken patient is noticed.
pub fn kinase(potency: f64, hill: f64) -> f64 {
    // Twice as fast as `pow`, whose last digits nobody needs here.
    1.0 / (1.0 + libm::exp(hill * libm::log(potency)))
}

/// Residual kinase activity in progenitors and maturing cells of the unmutated clone.
pub fn kinase_mature(patient: &Patient, exposure: &Exposure) -> f64 {
    let [imatinib, others] = potencies(patient, exposure, &UNMUTATED);
    kinase(patient.uptake_mature * imatinib + others, patient.hill)
}

/// `C / IC50` in cells of uptake 1: of imatinib, and of the inhibitors that need no OCT-1 (White 2006, Blood 108:697).
fn potencies(patient: &Patient, exposure: &Exposure, folds: &[f64; INHIBITORS]) -> [f64; 2] {
    let [imatinib, nilotinib, dasatinib] = exposure.inhibitors;
    [imatinib / folds[0], nilotinib / folds[1] + dasatinib / folds[2]].map(|x| x / patient.expression)
}

/// RAS at an input, by three adaptors, relative to RAS at input 1 with none blocked.
fn ras(patient: &Patient, input: f64, blocks: &Blocks) -> f64 {
    let left = |target| blocks.left(target);
    let sum = |input: f64, grb2: f64, crkl: f64, shc: f64| {
        1.0 - (1.0 - patient.ras_grb2 * input * grb2)
            * (1.0 - patient.ras_crkl * input * crkl)
            * (1.0 - patient.ras_shc * input * shc)
    };
    let adaptors = sum(input, left(Target::Grb2), left(Target::Crkl), left(Target::Shc)) / sum(1.0, 1.0, 1.0, 1.0);
    adaptors * left(Target::Ras)
}

/// Share of adhesion that is left, of cells that hold by CXCR4, VLA-4 and, to the share `cd44`, by CD44.
fn hold(patient: &Patient, cd44: f64, blocks: &Blocks) -> f64 {
    let vla4 = patient.adhesion_vla4;
    (1.0 - vla4 - cd44) * blocks.left(Target::Cxcr4) + vla4 * blocks.left(Target::Vla4) + cd44 * blocks.left(Target::Cd44)
}

/// Adhesion of normal stem cells; 1 if nothing is blocked.
pub fn normal_adhesion(patient: &Patient, blocks: &Blocks) -> f64 {
    hold(patient, NORMAL_CD44 * patient.adhesion_cd44, blocks)
}

impl Signals {
    /// The signals of a clone whose IC50 for each inhibitor is `folds` times that of unmutated BCR-ABL.
    pub fn of(patient: &Patient, exposure: &Exposure, folds: &[f64; INHIBITORS]) -> Self {
        let blocks = &exposure.blocks;
        let left = |target| blocks.left(target);
        // OCT-1 brings imatinib into the cell; the others do not need it.
        let [imatinib, others] = potencies(patient, exposure, folds);
        let retained = 1.0 + patient.efflux * (1.0 - left(Target::Abcg2));
        let kinase_mature = kinase(patient.uptake_mature * imatinib + others, patient.hill);
        let kinase_stem = kinase(patient.uptake_stem * retained * (imatinib + others), patient.hill);

        let mek_of = |ras: f64| ras * left(Target::Raf) * left(Target::Mek);
        let ras_stem = ras(patient, kinase_stem, blocks);
        let mek = mek_of(ras_stem);

        let restored = |fak: f64| patient.adhesion_min + (1.0 - patient.adhesion_min) * (1.0 - fak);
        let fak = kinase_stem * left(Target::Fak);
        let adhesion = restored(fak) * hold(patient, patient.adhesion_cd44, blocks);

        let cadherin = left(Target::NCadherin);
        let contact = adhesion * (1.0 - CADHERIN_SHARE + CADHERIN_SHARE * cadherin);
        let akt = (kinase_stem + (1.0 - kinase_stem) * patient.niche_bypass * contact) * left(Target::Pi3k);
        let catenin = |kinase: f64, contact: f64| patient.wnt_kinase * kinase + (1.0 - patient.wnt_kinase) * contact;
        let wnt = catenin(kinase_stem, adhesion * cadherin) / catenin(1.0, restored(1.0)) * left(Target::Wnt);
        let renewing = (1.0 - patient.wnt_share) * mek + patient.wnt_share * wnt;

        let cytokine = patient.bypass * left(Target::GmCsf);
        let by_jak2 = cytokine * left(Target::Jak2);
        let stat5 = kinase_mature + (1.0 - kinase_mature) * by_jak2;
        let mek_mature = mek_of(ras(patient, kinase_mature + (1.0 - kinase_mature) * by_jak2, blocks));
        let bcl2 = left(Target::Bcl2);
        Signals {
            kinase_mature,
            kinase_stem,
            ras: ras_stem,
            mek,
            akt,
            fak,
            wnt,
            survival: akt * bcl2,
            adhesion,
            self_renewal: 1.0 + patient.renewal_gain * renewing,
            stat5,
            mek_mature,
            drive: (1.0 - patient.mek_share) * stat5 + patient.mek_share * mek_mature,
            survival_mature: stat5 * (1.0 - AKT_SHARE + AKT_SHARE * left(Target::Pi3k)) * bcl2,
        }
    }

    /// The nodes in the order of [`NAMES`].
    pub fn values(&self) -> [f64; NAMES.len()] {
        [
            self.kinase_mature,
            self.kinase_stem,
            self.ras,
            self.mek,
            self.akt,
            self.fak,
            self.wnt,
            self.survival,
            self.adhesion,
            self.self_renewal,
            self.stat5,
            self.mek_mature,
            self.drive,
            self.survival_mature,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::parameters::{Population, nominal};
    use super::*;
    use crate::trial::vocabulary::Word;

    fn median() -> Patient {
        Patient::median(&Population::new(&nominal()).unwrap())
    }

    fn under(potency: f64, blocks: &[(Target, f64)]) -> Signals {
        let mut exposure = Exposure { inhibitors: [potency, 0.0, 0.0], ..Exposure::default() };
        for &(target, share) in blocks {
            exposure.blocks.add(target, share);
        }
        Signals::of(&median(), &exposure, &UNMUTATED)
    }

    #[test]
    fn without_drug_every_node_is_one() {
        let untreated = under(0.0, &[]);
        for (name, value) in NAMES.iter().zip(untreated.values()) {
            let expected = match *name {
                "adhesion" => 0.3,
                "self_renewal" => 1.9,
                _ => 1.0,
            };
            assert!((value - expected).abs() < 1e-15, "{name} = {value}");
        }
    }

    #[test]
    fn kinase_activity_is_half_at_the_ic50_and_a_mutation_shifts_the_curve() {
        assert_eq!(kinase(1.0, 1.43), 0.5);
        let exposure = Exposure { inhibitors: [3.0, 0.0, 0.0], ..Exposure::default() };
        let weak = Exposure { inhibitors: [0.1, 0.0, 0.0], ..Exposure::default() };
        let mutant = Signals::of(&median(), &exposure, &[30.0; 3]);
        assert!((mutant.kinase_mature - Signals::of(&median(), &weak, &UNMUTATED).kinase_mature).abs() < 1e-14);
        assert!(mutant.kinase_mature > Signals::of(&median(), &exposure, &UNMUTATED).kinase_mature);
    }

    #[test]
    fn the_drug_restores_adhesion_and_antagonists_take_it_away_by_their_shares() {
        assert!((under(1e12, &[]).adhesion - 1.0).abs() < 1e-9);
        let left = |target| under(1e12, &[(target, 1.0)]).adhesion;
        assert!((left(Target::Cxcr4) - 0.45).abs() < 1e-9);
        assert!((left(Target::Vla4) - 0.75).abs() < 1e-9);
        assert!((left(Target::Cd44) - 0.8).abs() < 1e-9);
        assert!(under(0.0, &[(Target::Fak, 1.0)]).adhesion > 0.99);
    }

    #[test]
    fn adaptors_are_redundant_and_what_lies_below_them_is_not() {
        let mek = |target| under(0.0, &[(target, 1.0)]).mek;
        for adaptor in [Target::Grb2, Target::Crkl, Target::Shc] {
            assert!((0.5..0.95).contains(&mek(adaptor)), "{adaptor:?}: {}", mek(adaptor));
        }
        for single in [Target::Ras, Target::Raf, Target::Mek] {
            assert_eq!(mek(single), 0.0);
        }
    }

    /// A block in part lies between none and all of it, and each block moves something.
    #[test]
    fn every_target_of_the_network_moves_a_node() {
        // These act on rates, not on signals.
        let beyond = [Target::Tie2, Target::Effector, Target::Awakening, Target::Proliferation];
        // Cytokines speak in patients with a bypass only.
        let patient = Patient { bypass: 0.4, ..median() };
        let values = |target, share| {
            let mut exposure = Exposure { inhibitors: [2.0, 0.0, 0.0], ..Exposure::default() };
            exposure.blocks.add(target, share);
            Signals::of(&patient, &exposure, &UNMUTATED).values()
        };
        for &(name, target) in Target::ALL.iter().filter(|(_, target)| !beyond.contains(target)) {
            let [none, half, all] = [0.0, 0.5, 1.0].map(|share| values(target, share));
            assert!(none.iter().zip(&all).any(|(a, b)| (a - b).abs() > 1e-3), "{name}");
            for ((a, b), c) in none.iter().zip(&half).zip(&all) {
                assert!(a.min(*c) - 1e-12 <= *b && *b <= a.max(*c) + 1e-12, "{name}");
            }
        }
    }
}
