//! X1 to X16: the niche of the leukaemia, and drugs against it.

use super::arm::{IMATINIB, STOPPED, UNTREATED};
use super::observable::{
    ADHESION, CATENIN, CCYR_12, CD44_GAP, EFFECTORS_24, EFFECTORS_60, EVENT_96, IS_60, LOOSE_LEUKAEMIC, LOOSE_NORMAL, MR45_60,
    NORMAL_CYCLING_12, QUIESCENT_12, QUIESCENT_SHARE_12, STEM_24, STEM_60, SURVIVAL, TREATMENT_FREE,
};
use super::{Arm, Between, Claim, Expect, Row, Test};
use crate::model::cml::cohort::Part;
use crate::model::cml::drugs::Drug;
use crate::model::cml::targets::Target;

const YEAR: Arm = Arm { months: 12.0, ..UNTREATED };
const PLERIXAFOR: Arm = Arm { drugs: &[(Drug::Imatinib, 1.0), (Drug::Plerixafor, 1.0)], ..IMATINIB };
const NATALIZUMAB: Arm = Arm { drugs: &[(Drug::Imatinib, 1.0), (Drug::Natalizumab, 1.0)], ..IMATINIB };
const NILOTINIB: Arm = Arm { drugs: &[(Drug::Nilotinib, 1.0)], ..IMATINIB };
/// Imatinib that cannot bring adhesion back: what it restores is taken away again.
const NOT_RESTORED: Arm = Arm { blocks: &[(Target::Cxcr4, 0.7), (Target::Vla4, 0.7), (Target::Cd44, 0.7)], ..IMATINIB };
const NO_CADHERIN: Arm = Arm { blocks: &[(Target::NCadherin, 1.0)], ..IMATINIB };
const NO_CD44: Arm = Arm { blocks: &[(Target::Cd44, 1.0)], ..IMATINIB };
/// Both ways to hold a cell are blocked beside imatinib.
const BOTH: Arm = Arm { drugs: &[(Drug::Imatinib, 1.0), (Drug::Plerixafor, 1.0), (Drug::Natalizumab, 1.0)], ..IMATINIB };

pub(super) static ROWS: &[Row] = &[
    Row {
        id: "X1",
        statement: "Leukaemic stem cells home by CD44 and VLA-4, by CD44 more than normal ones",
        source: "CAR, ref 26 (Krause 2006)",
        claim: Claim::Tested(&[
            Test {
                changed: "no CD44, imatinib",
                between: Between::Arms(IMATINIB, NO_CD44),
                of: QUIESCENT_12,
                expect: Expect::Down(0.02),
            },
            Test {
                changed: "no CD44, imatinib",
                between: Between::Arms(IMATINIB, NO_CD44),
                of: CD44_GAP,
                expect: Expect::Up(0.02),
            },
            Test {
                changed: "no VLA-4 (natalizumab), imatinib",
                between: Between::Arms(IMATINIB, NATALIZUMAB),
                of: ADHESION,
                expect: Expect::Down(0.1),
            },
        ]),
    },
    Row {
        id: "X2",
        statement: "N-cadherin contact raises beta-catenin and saves stem cells from inhibitors",
        source: "CAR, ref 27 (Zhang 2013)",
        claim: Claim::Tested(&[
            Test {
                changed: "no N-cadherin, imatinib",
                between: Between::Arms(IMATINIB, NO_CADHERIN),
                of: STEM_60,
                expect: Expect::Down(0.1),
            },
            Test {
                changed: "no N-cadherin, imatinib",
                between: Between::Arms(IMATINIB, NO_CADHERIN),
                of: CATENIN,
                expect: Expect::Down(0.05),
            },
            Test {
                changed: "no N-cadherin, imatinib",
                between: Between::Arms(IMATINIB, NO_CADHERIN),
                of: SURVIVAL,
                expect: Expect::Down(0.02),
            },
        ]),
    },
    Row {
        id: "X3",
        statement: "Stroma of the leukaemia slows normal stem cells and not leukaemic ones",
        source: "CAR, ref 28",
        claim: Claim::Tested(&[
            Test {
                changed: "no remodelling of the stroma, untreated",
                between: Between::Arms(YEAR, Arm { without: &[Part::Stroma], ..YEAR }),
                of: NORMAL_CYCLING_12,
                expect: Expect::Up(0.05),
            },
            Test {
                changed: "no remodelling of the stroma, imatinib",
                between: Between::Arms(IMATINIB, Arm { without: &[Part::Stroma], ..IMATINIB }),
                of: NORMAL_CYCLING_12,
                expect: Expect::Up(0.02),
            },
            Test {
                changed: "no remodelling of the stroma, untreated",
                between: Between::Arms(UNTREATED, Arm { without: &[Part::Stroma], ..UNTREATED }),
                of: STEM_24,
                expect: Expect::Within(0.1),
            },
        ]),
    },
    Row {
        id: "X4",
        statement: "Taken together the niche of the leukaemia supports less normal cells, protects, keeps quiescent \
            and makes resistant",
        source: "CAR, table 1",
        claim: Claim::Tested(&[Test {
            changed: "neither niche protection, quiescence, remodelling nor GM-CSF, imatinib",
            between: Between::Arms(
                IMATINIB,
                Arm { without: &[Part::NicheProtection, Part::Quiescence, Part::Stroma], ..super::signaling::NO_GM_CSF },
            ),
            of: MR45_60,
            expect: Expect::Up(0.1),
        }]),
    },
    Row {
        id: "X5",
        statement: "Normal stroma holds T cells back",
        source: "end of the lost section",
        claim: Claim::Tested(&[Test {
            changed: "T cells are not held back, imatinib",
            between: Between::Arms(IMATINIB, Arm { set: &[("stroma_block", 0.0)], ..IMATINIB }),
            of: EFFECTORS_60,
            expect: Expect::Up(0.02),
        }]),
    },
    Row {
        id: "X6",
        statement: "Stroma of the leukaemia holds them back less",
        source: "CAR, ref 42",
        claim: Claim::Tested(&[Test {
            changed: "stroma that recovers within days -> hardly at all, imatinib",
            between: Between::Arms(
                Arm { set: &[("stroma_time", 5.0)], ..IMATINIB },
                Arm { set: &[("stroma_time", 5000.0)], ..IMATINIB },
            ),
            of: EFFECTORS_60,
            expect: Expect::Up(0.02),
        }]),
    },
    Row {
        id: "X7",
        statement: "Leukaemia exhausts effector cells, which are slow to recover (not in the review, needed)",
        source: "Hughes 2017",
        claim: Claim::Tested(&[
            Test {
                changed: "recovery from exhaustion in half of the time, imatinib",
                between: Between::Arms(IMATINIB, Arm { set: &[("exhaustion_time", 475.0)], ..IMATINIB }),
                of: EFFECTORS_24,
                expect: Expect::Up(0.05),
            },
            Test {
                changed: "no immune control, stop after 2 years in MR4",
                between: Between::Arms(STOPPED, Arm { without: &[Part::ImmuneControl], ..STOPPED }),
                of: TREATMENT_FREE,
                expect: Expect::Down(0.1),
            },
        ]),
    },
    Row {
        id: "X8",
        statement: "The kinase of BCR-ABL lowers adhesion and lets cells roam",
        source: "CAR",
        claim: Claim::Tested(&[
            Test {
                changed: "no FAK, untreated",
                between: Between::Arms(YEAR, Arm { blocks: &[(Target::Fak, 1.0)], ..YEAR }),
                of: LOOSE_LEUKAEMIC,
                expect: Expect::Down(0.1),
            },
            Test {
                changed: "of those that roam none is lost, untreated",
                between: Between::Arms(UNTREATED, Arm { set: &[("roaming_loss", 0.0)], ..UNTREATED }),
                of: STEM_24,
                expect: Expect::Up(0.01),
            },
        ]),
    },
    Row {
        id: "X9",
        statement: "It does so by little CXCR4",
        source: "CAR",
        claim: Claim::Tested(&[
            Test {
                changed: "adhesion at full kinase activity / 2, untreated",
                between: Between::Arms(YEAR, Arm { alter: |p| p.adhesion_min *= 0.5, ..YEAR }),
                of: ADHESION,
                expect: Expect::Down(0.1),
            },
            Test {
                changed: "adhesion at full kinase activity / 2, untreated",
                between: Between::Arms(YEAR, Arm { alter: |p| p.adhesion_min *= 0.5, ..YEAR }),
                of: QUIESCENT_SHARE_12,
                expect: Expect::Down(0.01),
            },
        ]),
    },
    Row {
        id: "X10",
        statement: "Imatinib brings CXCR4 back: cells go into the niche, fall quiescent and resist",
        source: "CAR, ref 43; Jin 2008",
        claim: Claim::Tested(&[
            Test {
                changed: "no treatment -> imatinib",
                between: Between::Arms(UNTREATED, IMATINIB),
                of: ADHESION,
                expect: Expect::Up(0.2),
            },
            Test {
                changed: "no treatment -> imatinib",
                between: Between::Arms(UNTREATED, IMATINIB),
                of: QUIESCENT_SHARE_12,
                expect: Expect::Up(0.1),
            },
            Test {
                changed: "adhesion is not restored, imatinib",
                between: Between::Arms(IMATINIB, NOT_RESTORED),
                of: STEM_60,
                expect: Expect::Down(0.3),
            },
        ]),
    },
    Row {
        id: "X11",
        statement: "Antagonists of CXCR4 or of integrins undo that",
        source: "CAR",
        claim: Claim::Tested(&[
            Test {
                changed: "plerixafor beside imatinib",
                between: Between::Arms(IMATINIB, PLERIXAFOR),
                of: ADHESION,
                expect: Expect::Down(0.1),
            },
            Test {
                changed: "plerixafor beside imatinib",
                between: Between::Arms(IMATINIB, PLERIXAFOR),
                of: QUIESCENT_12,
                expect: Expect::Down(0.05),
            },
            Test {
                changed: "natalizumab beside imatinib",
                between: Between::Arms(IMATINIB, NATALIZUMAB),
                of: QUIESCENT_12,
                expect: Expect::Down(0.05),
            },
        ]),
    },
    Row {
        id: "X12",
        statement: "Plerixafor loosens cells and mobilises them",
        source: "CAR, ref 44 (in vitro it lowered migration)",
        claim: Claim::Tested(&[
            Test {
                changed: "plerixafor beside imatinib",
                between: Between::Arms(IMATINIB, PLERIXAFOR),
                of: LOOSE_NORMAL,
                expect: Expect::Up(0.02),
            },
            Test {
                changed: "plerixafor beside imatinib",
                between: Between::Arms(IMATINIB, PLERIXAFOR),
                of: LOOSE_LEUKAEMIC,
                expect: Expect::Up(0.02),
            },
        ]),
    },
    Row {
        id: "X13",
        statement: "Plerixafor gives nilotinib its killing back among stromal cells",
        source: "CAR, ref 44; none in mice, Agarwal 2012",
        claim: Claim::Tested(&[
            Test {
                changed: "plerixafor beside nilotinib",
                between: Between::Arms(NILOTINIB, Arm { drugs: &[(Drug::Nilotinib, 1.0), (Drug::Plerixafor, 1.0)], ..NILOTINIB }),
                of: SURVIVAL,
                expect: Expect::Down(0.05),
            },
            Test {
                changed: "plerixafor beside nilotinib",
                between: Between::Arms(NILOTINIB, Arm { drugs: &[(Drug::Nilotinib, 1.0), (Drug::Plerixafor, 1.0)], ..NILOTINIB }),
                of: STEM_60,
                expect: Expect::Down(0.2),
            },
        ]),
    },
    Row {
        id: "X14",
        statement: "With a blocker of the niche an inhibitor might clear what is left",
        source: "CAR",
        claim: Claim::Tested(&[
            Test {
                changed: "plerixafor beside imatinib",
                between: Between::Arms(IMATINIB, PLERIXAFOR),
                of: MR45_60,
                expect: Expect::Up(0.02),
            },
            Test {
                changed: "plerixafor and natalizumab beside imatinib",
                between: Between::Arms(IMATINIB, BOTH),
                of: MR45_60,
                expect: Expect::Up(0.03),
            },
            Test {
                changed: "both beside imatinib, all stopped after 2 years in MR4",
                between: Between::Arms(STOPPED, Arm { drugs: BOTH.drugs, ..STOPPED }),
                of: TREATMENT_FREE,
                expect: Expect::Up(0.02),
            },
        ]),
    },
    Row {
        id: "X15",
        statement: "Contact of stem cells and stroma is behind poor first responses and late relapses",
        source: "CAR",
        claim: Claim::Tested(&[
            Test {
                changed: "no protection by niche contact -> twice the nominal, imatinib",
                between: Between::Arms(
                    Arm { without: &[Part::NicheProtection], ..IMATINIB },
                    Arm { set: &[("niche_bypass", 0.72)], ..IMATINIB },
                ),
                of: CCYR_12,
                expect: Expect::Down(0.02),
            },
            Test {
                changed: "no protection by niche contact -> twice the nominal, stop after 2 years in MR4",
                between: Between::Arms(
                    Arm { without: &[Part::NicheProtection], ..STOPPED },
                    Arm { set: &[("niche_bypass", 0.72)], ..STOPPED },
                ),
                of: TREATMENT_FREE,
                expect: Expect::Down(0.05),
            },
            Test {
                changed: "no protection by niche contact -> twice the nominal, imatinib",
                between: Between::Arms(
                    Arm { without: &[Part::NicheProtection], months: 96.0, ..IMATINIB },
                    Arm { set: &[("niche_bypass", 0.72)], months: 96.0, ..IMATINIB },
                ),
                of: EVENT_96,
                expect: Expect::Up(0.02),
            },
        ]),
    },
    Row {
        id: "X16",
        statement: "Strike the stem cell and its micro-environment",
        source: "CON",
        claim: Claim::Tested(&[
            Test {
                changed: "plerixafor, ruxolitinib and venetoclax beside imatinib",
                between: Between::Arms(
                    IMATINIB,
                    Arm {
                        drugs: &[
                            (Drug::Imatinib, 1.0),
                            (Drug::Plerixafor, 1.0),
                            (Drug::Ruxolitinib, 1.0),
                            (Drug::Venetoclax, 1.0),
                        ],
                        ..IMATINIB
                    },
                ),
                of: MR45_60,
                expect: Expect::Up(0.1),
            },
            Test {
                changed: "a block of beta-catenin beside imatinib",
                between: Between::Arms(IMATINIB, Arm { blocks: &[(Target::Wnt, 0.8)], ..IMATINIB }),
                of: STEM_60,
                expect: Expect::Down(0.05),
            },
            Test {
                changed: "ruxolitinib beside imatinib",
                between: Between::Arms(IMATINIB, Arm { drugs: &[(Drug::Imatinib, 1.0), (Drug::Ruxolitinib, 1.0)], ..IMATINIB }),
                of: IS_60,
                expect: Expect::Down(0.05),
            },
            Test {
                changed: "imatinib -> nilotinib",
                between: Between::Arms(IMATINIB, NILOTINIB),
                of: MR45_60,
                expect: Expect::Up(0.05),
            },
        ]),
    },
];
