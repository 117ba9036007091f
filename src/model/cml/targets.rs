//! What a drug acts on beside the kinase: nodes of signaling, contacts of the niche, processes. Each can be blocked in part
//! or whole, by a drug or as a knock-out, or driven up.

use crate::trial::vocabulary::Word;

/// Writes [`Target`] and its words from one list.
macro_rules! targets {
    ($($variant:ident = $name:literal, $doc:literal;)*) => {
        /// Something that can be blocked.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Target { $(#[doc = $doc] $variant,)* }

        impl Word for Target {
            const ALL: &'static [(&'static str, Self)] = &[$(($name, Target::$variant),)*];
        }
    };
}

targets! {
    Grb2 = "grb2", "GRB2-SOS at phosphorylated Y177, a way from BCR-ABL to RAS";
    Crkl = "crkl", "CRKL, a second way to RAS";
    Shc = "shc", "SHC, a third way to RAS";
    Ras = "ras", "RAS";
    Raf = "raf", "RAF";
    Mek = "mek", "MEK1/2: proliferation";
    Pi3k = "pi3k", "PI3K-AKT: survival, by the kinase or by niche contact (ILK)";
    Fak = "fak", "CRK-FAK-PYK2, by which BCR-ABL lowers adhesion";
    Jak2 = "jak2", "JAK2 below the GM-CSF receptor; BCR-ABL itself needs none for STAT5";
    Bcl2 = "bcl2", "BCL-2 family: protection from apoptosis";
    Wnt = "wnt", "beta-catenin: self-renewal of stem cells and of transformed progenitors";
    GmCsf = "gm_csf", "GM-CSF, made by the cells themselves or by resistant neighbours";
    Cxcr4 = "cxcr4", "CXCR4-CXCL12: retention in both niches";
    Vla4 = "vla4", "VLA-4-fibronectin: retention, beside CXCR4";
    Cd44 = "cd44", "CD44: homing, of leukaemic stem cells more than of normal ones";
    NCadherin = "n_cadherin", "N-cadherin contact: quiescence, beta-catenin, protection from kinase inhibitors";
    Tie2 = "tie2", "Tie2-Ang-1: quiescence";
    Abcg2 = "abcg2", "ABCG2: efflux of inhibitors from stem cells";
    Effector = "effector", "Stimulation of T and NK cells";
    Awakening = "awakening", "Awakening of quiescent stem cells";
    Proliferation = "proliferation", "Proliferation of progenitors of every clone";
}

/// Number of targets.
pub const COUNT: usize = Target::ALL.len();

/// How much of each target is blocked, averaged over the day: 0 nothing, 1 all of it; below 0 it is driven up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blocks([f64; COUNT]);

impl Default for Blocks {
    fn default() -> Self {
        Blocks([0.0; COUNT])
    }
}

impl Blocks {
    /// What is left of a target.
    pub fn left(&self, target: Target) -> f64 {
        1.0 - self.0[target as usize]
    }

    /// Blocks a share of what is left of a target; two drugs on one target act independently.
    pub fn add(&mut self, target: Target, share: f64) {
        self.0[target as usize] = 1.0 - self.left(target) * (1.0 - share);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_blocks_of_a_half_leave_a_quarter_and_a_drive_adds() {
        let mut blocks = Blocks::default();
        blocks.add(Target::Jak2, 0.5);
        blocks.add(Target::Jak2, 0.5);
        blocks.add(Target::Effector, -1.0);
        assert_eq!((blocks.left(Target::Jak2), blocks.left(Target::Effector), blocks.left(Target::Mek)), (0.25, 2.0, 1.0));
    }
}
