//! Drawing a patient from a population.
//!
//! A trait is `median · exp(sd · z)` with `z` standard normal, clipped where the model asks for it; two mixtures (bypass,
//! mutant clone) first toss for membership. A patient always takes the same twenty numbers from its stream, in the order
//! of [`Population::patient`], members of a mixture or not: moving one parameter moves its own trait only, and two
//! populations under the same key are compared on common random numbers.

use super::parameters::Population;
use super::patient::Patient;
use crate::rng::{Key, Purpose, Stream};

/// Largest effector stimulation, 1/d: above it the activity is at its ceiling within days and the equations turn stiff.
pub const STIMULUS_MAX: f64 = 0.8;
/// Range of adhesion at full kinase activity.
pub const ADHESION: (f64, f64) = (0.02, 0.9);
/// Largest drive of the bypass: the rest stays with the kinase.
pub const BYPASS_MAX: f64 = 0.9;
/// Range of the leukaemic share of the vascular niche at diagnosis.
pub const OCCUPANCY: (f64, f64) = (0.05, 0.6);
/// Range of the relative IC50 of a mutant clone.
pub const FOLD: (f64, f64) = (2.0, 1e4);

/// `median · exp(sd · z)`; always one number from the stream.
fn spread(median: f64, sd: f64, rng: &mut Stream) -> f64 {
    median * libm::exp(sd * rng.normal())
}

impl Population {
    /// Mean steady-state plasma concentration at a clearance in L/h, µM.
    pub fn concentration(&self, clearance: f64) -> f64 {
        const HOURS_PER_DAY: f64 = 24.0;
        const MICROMOL_PER_MMOL: f64 = 1e3;
        self.dose / (clearance * HOURS_PER_DAY) / self.molar_mass * MICROMOL_PER_MMOL
    }

    /// The patient at an address.
    pub fn patient(&self, key: Key) -> Patient {
        let rng = &mut key.stream(Purpose::Patient);
        let clearance = spread(self.clearance, self.clearance_sd, rng);
        let uptake_mature = spread(1.0, self.uptake_mature_sd, rng);
        let uptake_stem = spread(self.uptake_stem, self.uptake_stem_sd, rng);
        let progenitor_loss = spread(self.progenitor_loss, self.progenitor_loss_sd, rng);
        let progenitor_growth = spread(self.progenitor_growth, self.progenitor_growth_sd, rng);
        let amplification = spread(self.amplification, self.amplification_sd, rng);
        let death_gain = spread(self.death_gain, self.death_gain_sd, rng);
        let release = spread(self.release, self.release_sd, rng);
        let renewal_gain = spread(self.renewal_gain, self.renewal_gain_sd, rng);
        let leukaemic_ratio = spread(self.leukaemic_ratio, self.leukaemic_ratio_sd, rng);
        let effector_stimulus = spread(self.effector_stimulus, self.effector_stimulus_sd, rng).min(STIMULUS_MAX);
        let effector_window = spread(self.effector_window, self.effector_window_sd, rng);
        let adhesion_min = spread(self.adhesion_min, self.adhesion_min_sd, rng).clamp(ADHESION.0, ADHESION.1);
        let quiescent_ratio = spread(self.quiescent_ratio, self.quiescent_ratio_sd, rng);
        let occupancy = spread(self.stem_occupancy, self.stem_occupancy_sd, rng).clamp(OCCUPANCY.0, OCCUPANCY.1);
        let bypassed = rng.uniform() < self.bypass_fraction;
        let bypass = spread(self.bypass, self.bypass_sd, rng).min(BYPASS_MAX);
        let mutated = rng.uniform() < self.mutant_fraction;
        let mutant_cells = spread(self.mutant_cells, self.mutant_cells_sd, rng);
        let mutant_fold = spread(self.mutant_fold, self.mutant_fold_sd, rng).clamp(FOLD.0, FOLD.1);
        Patient {
            concentration: self.concentration(clearance),
            ic50: self.ic50 / self.potency,
            hill: self.hill,
            uptake_mature,
            uptake_stem,
            bypass: if bypassed { bypass } else { 0.0 },
            renewal_gain,
            death_gain,
            niche_bypass: self.niche_bypass,
            adhesion_min,
            detachment_gain: self.detachment_gain,
            attach: self.attach,
            release,
            renewal: self.renewal,
            stem_loss: self.stem_loss,
            stroma_defect: self.stroma_defect,
            capacity_osteoblastic: self.capacity_osteoblastic,
            capacity_vascular: self.capacity_vascular,
            progenitor_growth,
            progenitor_loss,
            amplification,
            maturing_turnover: self.maturing_turnover,
            effector_decay: self.effector_decay,
            effector_stimulus,
            effector_window,
            effector_kill: self.effector_kill,
            effector_max: self.effector_max,
            stroma_block: self.stroma_block,
            exhaustion_time: self.exhaustion_time,
            exhaustion_half: self.exhaustion_half,
            stroma_time: self.stroma_time,
            cxcr4_block: self.cxcr4_block,
            mutant_fold,
            mutant_cells: if mutated { mutant_cells } else { 0.0 },
            stem_cells: occupancy * self.capacity_vascular,
            quiescent_ratio,
            leukaemic_ratio,
            marrow_odds: self.marrow_odds,
        }
    }
}
