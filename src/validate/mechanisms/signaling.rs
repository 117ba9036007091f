//! S1 to S10: signals below BCR-ABL.

use super::arm::{IMATINIB, UNTREATED, onset};
use super::observable::{
    ADHESION, GROWTH_24, IS_3, IS_12, MATURING_24, MEK, PROGENITORS_6, PROGENITORS_12, QUIESCENT_SHARE_12, RAS, SELF_RENEWAL,
    STAT5, STEM_24, STEM_60, SURVIVAL,
};
use super::{Arm, Between, Claim, Expect, Row, Test};
use crate::model::cml::cohort::Part;
use crate::model::cml::drugs::Drug;
use crate::model::cml::targets::Target;

/// Imatinib, without GM-CSF.
pub(super) const NO_GM_CSF: Arm = Arm { blocks: &[(Target::GmCsf, 1.0)], ..IMATINIB };
/// Two years of imatinib.
const TWO_YEARS: Arm = Arm { months: 24.0, ..IMATINIB };
/// Untreated, with nothing between BCR-ABL and RAS.
const NO_ADAPTORS: Arm = Arm { blocks: &[(Target::Grb2, 1.0), (Target::Crkl, 1.0), (Target::Shc, 1.0)], ..UNTREATED };
const NO_GRB2: Arm = Arm { blocks: &[(Target::Grb2, 1.0)], ..UNTREATED };
const NO_CRKL: Arm = Arm { blocks: &[(Target::Crkl, 1.0)], ..UNTREATED };
const NO_SHC: Arm = Arm { blocks: &[(Target::Shc, 1.0)], ..UNTREATED };
/// A clone from its onset on, out of reach of the immune system, as it must have been to become a disease.
pub(super) const ONSET: Arm = Arm { begin: onset, without: &[Part::ImmuneControl], ..UNTREATED };

pub(super) static ROWS: &[Row] = &[
    Row {
        id: "S1",
        statement: "BCR-ABL drives proliferation, survival and adhesion at once: one kinase inhibitor moves them all",
        source: "FIS",
        claim: Claim::Tested(&[
            Test {
                changed: "no treatment -> imatinib",
                between: Between::Arms(UNTREATED, TWO_YEARS),
                of: IS_3,
                expect: Expect::Down(0.5),
            },
            Test {
                changed: "no treatment -> imatinib",
                between: Between::Arms(UNTREATED, TWO_YEARS),
                of: MEK,
                expect: Expect::Down(0.2),
            },
            Test {
                changed: "no treatment -> imatinib",
                between: Between::Arms(UNTREATED, TWO_YEARS),
                of: SURVIVAL,
                expect: Expect::Down(0.2),
            },
            Test {
                changed: "no treatment -> imatinib",
                between: Between::Arms(UNTREATED, TWO_YEARS),
                of: ADHESION,
                expect: Expect::Up(0.2),
            },
        ]),
    },
    Row {
        id: "S2",
        statement: "The kinase phosphorylates its own tyrosine 177, where adaptors dock",
        source: "FIS",
        claim: Claim::Tested(&[Test {
            changed: "no treatment -> imatinib",
            between: Between::Arms(UNTREATED, TWO_YEARS),
            of: RAS,
            expect: Expect::Down(0.2),
        }]),
    },
    Row {
        id: "S3",
        statement: "GRB2 binds there and with SOS turns RAS on",
        source: "FIS",
        claim: Claim::Tested(&[
            Test {
                changed: "no GRB2, untreated",
                between: Between::Arms(UNTREATED, NO_GRB2),
                of: RAS,
                expect: Expect::Down(0.1),
            },
            Test {
                changed: "no GRB2, untreated",
                between: Between::Arms(UNTREATED, NO_GRB2),
                of: STEM_24,
                expect: Expect::Down(0.02),
            },
            Test {
                changed: "no GRB2 -> no CRKL and SHC either",
                between: Between::Arms(NO_GRB2, NO_ADAPTORS),
                of: MEK,
                expect: Expect::Down(0.2),
            },
        ]),
    },
    Row {
        id: "S4",
        statement: "CRKL and SHC are further ways to RAS: without one of the three some signal is left, without all none",
        source: "FIS",
        claim: Claim::Tested(&[
            Test {
                changed: "no CRKL, untreated",
                between: Between::Arms(UNTREATED, NO_CRKL),
                of: MEK,
                expect: Expect::Down(0.05),
            },
            Test { changed: "no SHC, untreated", between: Between::Arms(UNTREATED, NO_SHC), of: MEK, expect: Expect::Down(0.05) },
            Test {
                changed: "no CRKL -> none of the three",
                between: Between::Arms(NO_CRKL, NO_ADAPTORS),
                of: MEK,
                expect: Expect::Down(0.5),
            },
            Test {
                changed: "(none of the three, untreated)",
                between: Between::Nothing(NO_ADAPTORS),
                of: MEK,
                expect: Expect::Within(0.001),
            },
        ]),
    },
    Row {
        id: "S5",
        statement: "RAS, RAF and MEK1/2 let the clone grow without growth factors",
        source: "FIS; Michor 2005",
        claim: Claim::Tested(&[
            Test {
                changed: "no MEK, from onset",
                between: Between::Arms(ONSET, Arm { blocks: &[(Target::Mek, 1.0)], ..ONSET }),
                of: GROWTH_24,
                expect: Expect::Down(0.5),
            },
            Test {
                changed: "no RAF, imatinib",
                between: Between::Arms(TWO_YEARS, Arm { blocks: &[(Target::Raf, 1.0)], ..TWO_YEARS }),
                of: IS_12,
                expect: Expect::Down(0.1),
            },
        ]),
    },
    Row {
        id: "S6",
        statement: "PI3K holds death off",
        source: "FIS",
        claim: Claim::Tested(&[
            Test {
                changed: "no PI3K, imatinib",
                between: Between::Arms(IMATINIB, Arm { blocks: &[(Target::Pi3k, 1.0)], ..IMATINIB }),
                of: STEM_60,
                expect: Expect::Down(0.3),
            },
            Test {
                changed: "no PI3K, untreated",
                between: Between::Arms(UNTREATED, Arm { blocks: &[(Target::Pi3k, 1.0)], ..UNTREATED }),
                of: STEM_24,
                expect: Expect::Down(0.1),
            },
        ]),
    },
    Row {
        id: "S7",
        statement: "CRK, FAK and PYK2 loosen the cell from its niche",
        source: "FIS",
        claim: Claim::Tested(&[
            Test {
                changed: "no FAK, untreated",
                between: Between::Arms(UNTREATED, Arm { blocks: &[(Target::Fak, 1.0)], ..UNTREATED }),
                of: ADHESION,
                expect: Expect::Up(0.3),
            },
            Test {
                changed: "no FAK, untreated",
                between: Between::Arms(UNTREATED, Arm { blocks: &[(Target::Fak, 1.0)], ..UNTREATED }),
                of: QUIESCENT_SHARE_12,
                expect: Expect::Up(0.05),
            },
        ]),
    },
    Row {
        id: "S8",
        statement: "JAK-STAT signals growth and survival; a way through JAK2 does without BCR-ABL",
        source: "FIS; Wang 2007",
        claim: Claim::Tested(&[
            Test {
                changed: "no JAK2, imatinib",
                between: Between::Arms(IMATINIB, Arm { blocks: &[(Target::Jak2, 1.0)], ..IMATINIB }),
                of: IS_12,
                expect: Expect::Down(0.1),
            },
            Test {
                changed: "ruxolitinib beside imatinib",
                between: Between::Arms(IMATINIB, Arm { drugs: &[(Drug::Imatinib, 1.0), (Drug::Ruxolitinib, 1.0)], ..IMATINIB }),
                of: STAT5,
                expect: Expect::Down(0.02),
            },
        ]),
    },
    Row {
        id: "S9",
        statement: "The BCL-2 family keeps cells from apoptosis",
        source: "FIS",
        claim: Claim::Tested(&[
            Test {
                changed: "no BCL-2, imatinib",
                between: Between::Arms(TWO_YEARS, Arm { blocks: &[(Target::Bcl2, 1.0)], ..TWO_YEARS }),
                of: IS_3,
                expect: Expect::Down(0.1),
            },
            Test {
                changed: "venetoclax beside imatinib",
                between: Between::Arms(IMATINIB, Arm { drugs: &[(Drug::Imatinib, 1.0), (Drug::Venetoclax, 1.0)], ..IMATINIB }),
                of: STEM_60,
                expect: Expect::Down(0.1),
            },
        ]),
    },
    Row {
        id: "S10",
        statement: "Without these signals fewer cells are made and more die: the steep first fall",
        source: "FIS; Michor 2005",
        claim: Claim::Tested(&[
            Test {
                changed: "no treatment -> imatinib",
                between: Between::Arms(UNTREATED, TWO_YEARS),
                of: PROGENITORS_6,
                expect: Expect::Down(1.5),
            },
            Test {
                changed: "progenitors by amplification x2",
                between: Between::Arms(TWO_YEARS, Arm { alter: |p| p.amplification *= 2.0, ..TWO_YEARS }),
                of: PROGENITORS_12,
                expect: Expect::Down(0.1),
            },
            Test {
                changed: "no treatment -> imatinib",
                between: Between::Arms(UNTREATED, TWO_YEARS),
                of: MATURING_24,
                expect: Expect::Down(2.0),
            },
            Test {
                changed: "no treatment -> imatinib",
                between: Between::Arms(UNTREATED, TWO_YEARS),
                of: SELF_RENEWAL,
                expect: Expect::Down(0.2),
            },
        ]),
    },
];
