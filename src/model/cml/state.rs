//! The state of one patient: names of the components of the state vector.
//!
//! Stem cells are numbers; progenitors and maturing cells are relative to diagnosis (1 = diagnosis).

/// Quiescent leukaemic stem cells in the osteoblastic niche.
pub const QL: usize = 0;
/// Cycling leukaemic stem cells in the vascular niche.
pub const CL: usize = 1;
/// Leukaemic progenitors.
pub const PL: usize = 2;
/// Maturing and blood leukaemic cells.
pub const DL: usize = 3;
/// Quiescent normal stem cells.
pub const QH: usize = 4;
/// Cycling normal stem cells.
pub const CH: usize = 5;
/// Quiescent stem cells of the resistant mutant clone.
pub const QR: usize = 6;
/// Cycling stem cells of the resistant mutant clone.
pub const CR: usize = 7;
/// Progenitors of the resistant mutant clone.
pub const PR: usize = 8;
/// Maturing and blood cells of the resistant mutant clone.
pub const DR: usize = 9;
/// Anti-leukaemic effector activity (1 at rest).
pub const E: usize = 10;
/// Stromal remodelling (0 healthy, 1 CML-like).
pub const M: usize = 11;
/// Leukaemia-induced immune exhaustion (0 none, 1 full).
pub const X: usize = 12;
/// Time integral of the driven progenitor mass `PL·drive + PR·drive_R`, in years: the cumulative hazard of transformation per
/// unit of `hazard_transformation`.
pub const H: usize = 13;
/// Number of components.
pub const COUNT: usize = 14;

/// Days in a month (365.25 / 12).
pub const DAYS_PER_MONTH: f64 = 30.4375;

/// Short names of the components, in their order.
pub const NAMES: [&str; COUNT] = ["QL", "CL", "PL", "DL", "QH", "CH", "QR", "CR", "PR", "DR", "E", "M", "X", "H"];

/// Units of the components, in their order.
pub const UNITS: [&str; COUNT] = [
    "cells",
    "cells",
    "of diagnosis",
    "of diagnosis",
    "cells",
    "cells",
    "cells",
    "cells",
    "of diagnosis",
    "of diagnosis",
    "of rest",
    "-",
    "-",
    "y",
];
