//! The drugs: how a dose becomes an inhibition of the kinase or a block of other targets.
//!
//! Inhibitors of the kinase act through `C / IC50`, the mean plasma concentration over the day as a multiple of the one that
//! halves activity. With a half-life of 18 h imatinib is at steady state within a week, cells change over weeks, and so the
//! course within a day is averaged. Imatinib has its pharmacokinetics; for the others the table gives a potency relative to
//! imatinib 400 mg, at a standard dose.

use super::parameters::Population;
use super::patient::Patient;
use super::targets::{Blocks, Target};
use crate::trial::vocabulary::Word;

/// Molar mass of imatinib, g/mol.
pub const IMATINIB_MASS: f64 = 493.6;
/// Standard daily dose of imatinib, mg.
const IMATINIB_DOSE: f64 = 400.0;
/// Hours in a day.
const HOURS: f64 = 24.0;

/// Number of kinase inhibitors.
pub const INHIBITORS: usize = 3;

/// Folds of the IC50 in unmutated cells.
pub const UNMUTATED: [f64; INHIBITORS] = [1.0; INHIBITORS];

/// A drug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drug {
    /// Imatinib.
    Imatinib,
    /// Nilotinib.
    Nilotinib,
    /// Dasatinib.
    Dasatinib,
    /// Plerixafor, an antagonist of CXCR4.
    Plerixafor,
    /// Interferon alpha.
    Interferon,
    /// Ruxolitinib, an inhibitor of JAK2.
    Ruxolitinib,
    /// Natalizumab, an antibody against VLA-4.
    Natalizumab,
    /// Venetoclax, an inhibitor of BCL-2.
    Venetoclax,
}

impl Word for Drug {
    const ALL: &'static [(&'static str, Self)] = &[
        ("imatinib", Drug::Imatinib),
        ("nilotinib", Drug::Nilotinib),
        ("dasatinib", Drug::Dasatinib),
        ("plerixafor", Drug::Plerixafor),
        ("interferon", Drug::Interferon),
        ("ruxolitinib", Drug::Ruxolitinib),
        ("natalizumab", Drug::Natalizumab),
        ("venetoclax", Drug::Venetoclax),
    ];
}

/// What is known of a drug.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Unit of the daily dose.
    pub unit: &'static str,
    /// Standard daily dose; one of four times as much is refused as a slip of the pen.
    pub standard: f64,
    /// Whether patients take it by themselves, and so may miss it.
    pub oral: bool,
    /// What the standard dose blocks beside the kinase: mean share over the day.
    pub blocks: &'static [(Target, f64)],
    /// Where the numbers come from.
    pub source: &'static str,
}

impl Drug {
    /// Position among the kinase inhibitors.
    pub fn inhibitor(self) -> Option<usize> {
        ((self as usize) < INHIBITORS).then_some(self as usize)
    }

    /// Its profile.
    pub fn profile(self) -> Profile {
        let profile = |unit, standard, blocks, source| Profile { unit, standard, oral: unit == "mg/d", blocks, source };
        match self {
            Drug::Imatinib => profile("mg/d", IMATINIB_DOSE, &[], "P O'Brien 2003 NEJM 348:994"),
            Drug::Nilotinib => profile("mg/d", 600.0, &[], "label: 300 mg twice a day"),
            Drug::Dasatinib => profile("mg/d", 100.0, &[], "label: 100 mg once a day"),
            Drug::Plerixafor => profile(
                "mg/kg/d",
                0.24,
                &[(Target::Cxcr4, 0.6)],
                "label: 0.24 mg/kg, half-life 3 to 5 h, CD34+ cells raised from hour 4 to 18; assumption: 0.6 occupied over the day (0.4 to 0.75)",
            ),
            Drug::Interferon => profile(
                "MU/m2/d",
                5.0,
                &[(Target::Awakening, -2.0), (Target::Effector, -0.5), (Target::Proliferation, 0.45)],
                "directions: Essers 2009 Nature 458:904 (dormant stem cells awake), Burchert 2010 JCO 28:1429 (T cells); sizes are assumptions (release x3, stimulus x1.5); proliferation: half of the patients have normal counts in the control arm of IRIS, O'Brien 2003",
            ),
            Drug::Ruxolitinib => {
                profile("mg/d", 30.0, &[(Target::Jak2, 0.7)], "direction: Gallipoli 2014 Blood 124:1492; size an assumption")
            }
            Drug::Natalizumab => profile(
                "mg/4 weeks",
                300.0,
                &[(Target::Vla4, 0.8)],
                "label: 300 mg in 4 weeks keep most receptors occupied; size an assumption",
            ),
            Drug::Venetoclax => profile(
                "mg/d",
                400.0,
                &[(Target::Bcl2, 0.6)],
                "direction: Carter 2016 Sci Transl Med 8:355ra117; size an assumption",
            ),
        }
    }
}

/// What acts on the cells of a patient, from one visit to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Exposure {
    /// `C / IC50` of each kinase inhibitor in unmutated cells with uptake 1.
    pub inhibitors: [f64; INHIBITORS],
    /// What is blocked beside the kinase.
    pub blocks: Blocks,
}

impl Population {
    /// Mean steady-state plasma concentration of imatinib, µM, at a daily dose in mg and a clearance CL/F in L/h.
    pub fn concentration(&self, dose: f64, clearance: f64) -> f64 {
        const MICROMOL_PER_MMOL: f64 = 1e3;
        dose / (clearance * HOURS) / IMATINIB_MASS * MICROMOL_PER_MMOL
    }

    /// Trough over mean concentration of imatinib, taken once a day: `k τ / (exp(k τ) - 1)` of a one-compartment model after
    /// absorption, with `k = CL / V`.
    pub fn trough_ratio(&self, clearance: f64) -> f64 {
        let decay = clearance / self.volume * HOURS;
        decay / libm::expm1(decay)
    }

    /// `C / IC50` of a kinase inhibitor in a patient who takes this dose a day.
    fn inhibition(&self, drug: Drug, dose: f64, patient: &Patient) -> f64 {
        let alike = |potency: f64| {
            let dose = dose / drug.profile().standard * IMATINIB_DOSE;
            potency * patient.exposure_others * self.concentration(dose, self.clearance)
        };
        let concentration = match drug {
            Drug::Nilotinib => alike(self.nilotinib_potency),
            Drug::Dasatinib => alike(self.dasatinib_potency),
            _ => self.concentration(dose, patient.clearance),
        };
        concentration / self.ic50
    }

    /// Adds a drug to an exposure, of which the patient gets `factor` times the usual of an inhibitor of the kinase.
    pub fn expose(&self, exposure: &mut Exposure, drug: Drug, dose: f64, patient: &Patient, factor: f64) {
        let dose = if drug.profile().oral { dose * patient.adherence } else { dose };
        match drug.inhibitor() {
            Some(index) => exposure.inhibitors[index] += self.inhibition(drug, dose * factor, patient),
            None => {
                let Profile { standard, blocks, .. } = drug.profile();
                for &(target, share) in blocks {
                    // Of a block what is left falls by the same factor with each standard dose; a drive grows in proportion.
                    let doses = dose / standard;
                    let share = if share > 0.0 { 1.0 - libm::pow(1.0 - share, doses) } else { share * doses };
                    exposure.blocks.add(target, share);
                }
            }
        }
    }
}
