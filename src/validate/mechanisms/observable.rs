//! What is measured of each patient, a number, or not a number in those who have none.

use crate::model::cml::experiment::Witness;
use crate::model::cml::signaling::Signals;
use crate::model::cml::state::{CH, CL, COUNT, DL, DR, E, PL, QH, QL};
use crate::trial::history::Visits;

/// Something measured of each patient. Its mean over patients is a rate where it is 0 or 1.
#[derive(Clone, Copy)]
pub struct Observable {
    /// What it is.
    pub name: &'static str,
    /// The measurement.
    pub of: fn(&Witness<'_>) -> f64,
    /// Whether it follows from the equations at one instant, so that a test of it shows that a wire is there, not that it matters.
    pub instant: bool,
}

const fn observable(name: &'static str, of: fn(&Witness<'_>) -> f64) -> Observable {
    Observable { name, of, instant: false }
}

/// Log10 of a number of cells, one cell below which is taken for one.
fn log_cells(cells: f64) -> f64 {
    libm::log10(cells.max(1.0))
}

fn state(witness: &Witness<'_>, month: f64, of: fn(&[f64; COUNT]) -> f64) -> f64 {
    witness.at(month).map_or(f64::NAN, of)
}

/// 1 if a finding was made by the month. A clinic that does not see the month cannot say.
fn by(witness: &Witness<'_>, set: Visits, month: f64) -> f64 {
    if witness.plan.horizon < month { f64::NAN } else { f64::from(u8::from(set & witness.plan.by(month) != 0)) }
}

fn happened(witness: &Witness<'_>, when: f64, month: f64) -> f64 {
    if witness.plan.horizon < month { f64::NAN } else { f64::from(u8::from(when <= month)) }
}

/// Log10 of what is left of cells since the start.
fn left(witness: &Witness<'_>, month: f64, of: fn(&[f64; COUNT]) -> f64) -> f64 {
    libm::log10(state(witness, month, of).max(1e-12) / state(witness, 0.0, of))
}

fn stem(y: &[f64; COUNT]) -> f64 {
    y[QL] + y[CL]
}

fn quiescent_share(y: &[f64; COUNT]) -> f64 {
    if stem(y) > 0.0 { y[QL] / stem(y) } else { f64::NAN }
}

pub(super) const IS_3: Observable = observable("log10 IS at month 3", |w| w.log_is(3.0).unwrap_or(f64::NAN));
pub(super) const IS_12: Observable = observable("log10 IS at month 12", |w| w.log_is(12.0).unwrap_or(f64::NAN));
pub(super) const IS_60: Observable = observable("log10 IS at month 60", |w| w.log_is(60.0).unwrap_or(f64::NAN));
pub(super) const ABOVE_10: Observable =
    observable("IS above 10 % at month 3, share", |w| w.log_is(3.0).map_or(f64::NAN, |level| f64::from(u8::from(level > 1.0))));
pub(super) const CCYR_12: Observable = observable("CCyR by month 12, share", |w| by(w, w.history.found.ccyr, 12.0));
pub(super) const MMR_12: Observable = observable("MMR by month 12, share", |w| by(w, w.history.found.mmr, 12.0));
pub(super) const MR45_60: Observable = observable("MR4.5 by month 60, share", |w| by(w, w.history.found.mr45, 60.0));
pub(super) const EVENT_60: Observable = observable("event of EFS by month 60, share", |w| happened(w, w.history.event, 60.0));
pub(super) const PROGRESSED_60: Observable = observable("AP/BC by month 60, share", |w| happened(w, w.history.progressed, 60.0));
pub(super) const PROGRESSED_240: Observable = observable("AP/BC by year 20, share of those who die of nothing else", |w| {
    let other = w.history.progressed > w.plan.horizon && w.history.died <= w.plan.horizon;
    if other { f64::NAN } else { happened(w, w.history.progressed, 240.0) }
});
pub(super) const ON_DRUG_96: Observable =
    observable("on study drug at month 96, share", |w| 1.0 - happened(w, w.history.left, 96.0));
pub(super) const EVENT_96: Observable = observable("event of EFS from month 12 to 96, share of those without one before", |w| {
    if w.history.event <= 12.0 { f64::NAN } else { happened(w, w.history.event, 96.0) }
});
pub(super) const TREATMENT_FREE: Observable = observable("off drug without relapse at month 96, share of all", |w| {
    let stopped = w.history.stopped < w.history.left;
    if stopped { 1.0 - happened(w, w.history.relapsed, 96.0) } else { 0.0 }
});
pub(super) const STEM_24: Observable = observable("log10 stem cells Q+C at month 24", |w| log_cells(state(w, 24.0, stem)));
pub(super) const STEM_60: Observable = observable("log10 stem cells Q+C at month 60", |w| log_cells(state(w, 60.0, stem)));
pub(super) const STEM_96: Observable = observable("log10 stem cells Q+C at month 96", |w| log_cells(state(w, 96.0, stem)));
pub(super) const QUIESCENT_12: Observable =
    observable("log10 quiescent stem cells at month 12", |w| log_cells(state(w, 12.0, |y| y[QL])));
pub(super) const CYCLING_12: Observable =
    observable("log10 cycling stem cells at month 12", |w| log_cells(state(w, 12.0, |y| y[CL])));
pub(super) const CYCLING_24: Observable =
    observable("log10 cycling stem cells at month 24", |w| log_cells(state(w, 24.0, |y| y[CL])));
pub(super) const CYCLING_60: Observable =
    observable("log10 cycling stem cells at month 60", |w| log_cells(state(w, 60.0, |y| y[CL])));
pub(super) const QUIESCENT_SHARE_12: Observable =
    observable("quiescent share of stem cells at month 12", |w| state(w, 12.0, quiescent_share));
pub(super) const PROGENITORS_6: Observable =
    observable("log10 progenitors at month 6", |w| libm::log10(state(w, 6.0, |y| y[PL]).max(1e-12)));
pub(super) const PROGENITORS_12: Observable =
    observable("log10 progenitors at month 12", |w| libm::log10(state(w, 12.0, |y| y[PL]).max(1e-12)));
pub(super) const MATURING_24: Observable =
    observable("log10 maturing cells at month 24", |w| libm::log10(state(w, 24.0, |y| y[DL] + y[DR]).max(1e-12)));
pub(super) const NORMAL_CYCLING_12: Observable =
    observable("log10 normal cycling stem cells at month 12", |w| log_cells(state(w, 12.0, |y| y[CH])));
pub(super) const NORMAL_QUIESCENT_12: Observable =
    observable("log10 normal quiescent stem cells at month 12", |w| log_cells(state(w, 12.0, |y| y[QH])));
pub(super) const NORMAL_STEM_12: Observable =
    observable("log10 normal stem cells Q+C at month 12", |w| log_cells(state(w, 12.0, |y| y[QH] + y[CH])));
pub(super) const EFFECTORS_24: Observable =
    observable("log10 effector activity at month 24", |w| libm::log10(state(w, 24.0, |y| y[E]).max(1e-3)));
pub(super) const EFFECTORS_60: Observable =
    observable("log10 effector activity at month 60", |w| libm::log10(state(w, 60.0, |y| y[E]).max(1e-3)));
pub(super) const GROWTH_24: Observable = observable("log10 growth of stem cells from onset to month 24", |w| left(w, 24.0, stem));
pub(super) const LEUKAEMIC_OVER_NORMAL: Observable =
    observable("log10 growth of leukaemic over normal stem cells, onset to month 24", |w| {
        left(w, 24.0, stem) - left(w, 24.0, |y| y[QH] + y[CH])
    });
pub(super) const STEM_OVER_PROGENITORS: Observable =
    observable("log10 (stem cells left / progenitors left) at month 12", |w| left(w, 12.0, stem) - left(w, 12.0, |y| y[PL]));
pub(super) const PROGENITORS_OVER_MATURING: Observable =
    observable("log10 (progenitors left / maturing cells left) at month 12", |w| {
        left(w, 12.0, |y| y[PL]) - left(w, 12.0, |y| y[DL])
    });
pub(super) const QUIESCENT_OVER_CYCLING: Observable =
    observable("log10 (quiescent left / cycling stem cells left) at month 12", |w| {
        left(w, 12.0, |y| y[QL]) - left(w, 12.0, |y| y[CL])
    });

const fn node(name: &'static str, of: fn(&Witness<'_>) -> f64) -> Observable {
    Observable { name, of, instant: true }
}

fn signal(witness: &Witness<'_>, of: fn(&Signals) -> f64) -> f64 {
    of(&witness.signals())
}

pub(super) const KINASE_STEM: Observable = node("kinase activity left in stem cells", |w| signal(w, |s| s.kinase_stem));
pub(super) const RAS: Observable = node("RAS in stem cells", |w| signal(w, |s| s.ras));
pub(super) const MEK: Observable = node("MEK in stem cells", |w| signal(w, |s| s.mek));
pub(super) const SURVIVAL: Observable = node("survival signal of stem cells", |w| signal(w, |s| s.survival));
pub(super) const CATENIN: Observable = node("beta-catenin in stem cells", |w| signal(w, |s| s.wnt));
pub(super) const STAT5: Observable = node("STAT5 in progenitors", |w| signal(w, |s| s.stat5));
pub(super) const SELF_RENEWAL: Observable = node("self-renewal of stem cells", |w| signal(w, |s| s.self_renewal));
pub(super) const ADHESION: Observable = node("adhesion of leukaemic stem cells", |w| signal(w, |s| s.adhesion));
pub(super) const CD44_GAP: Observable =
    node("adhesion of normal less that of leukaemic stem cells", |w| w.normal_adhesion() - w.signals().adhesion);
pub(super) const LOOSE_NORMAL: Observable =
    node("normal cycling stem cells that nothing holds at month 3, share of the niche", |w| {
        state(w, 3.0, |y| y[CH]) * (1.0 - w.normal_adhesion()) / w.patient.capacity_vascular
    });
pub(super) const LOOSE_LEUKAEMIC: Observable =
    node("leukaemic cycling stem cells that nothing holds at month 3, share of the niche", |w| {
        state(w, 3.0, |y| y[CL]) * (1.0 - w.signals().adhesion) / w.patient.capacity_vascular
    });
