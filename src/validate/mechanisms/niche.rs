//! N1 to N9: the normal niche.

use super::arm::{IMATINIB, UNTREATED, healthy};
use super::observable::{
    ADHESION, CYCLING_24, CYCLING_60, LOOSE_NORMAL, NORMAL_CYCLING_12, NORMAL_QUIESCENT_12, NORMAL_STEM_12, QUIESCENT_12,
    QUIESCENT_OVER_CYCLING, QUIESCENT_SHARE_12, STEM_60,
};
use super::{Arm, Between, Claim, Expect, Row, Test};
use crate::model::cml::targets::Target;

/// A year of a marrow without leukaemia.
const HEALTHY: Arm = Arm { begin: healthy, months: 12.0, ..UNTREATED };

pub(super) static ROWS: &[Row] = &[
    Row {
        id: "N1",
        statement: "Stroma makes the matrix, cytokines and growth factors that stem cells live on",
        source: "MIC",
        claim: Claim::Tested(&[Test {
            changed: "half of both niches, healthy marrow",
            between: Between::Arms(
                HEALTHY,
                Arm {
                    alter: |p| {
                        p.capacity_vascular *= 0.5;
                        p.capacity_osteoblastic *= 0.5;
                    },
                    ..HEALTHY
                },
            ),
            of: NORMAL_CYCLING_12,
            expect: Expect::Down(0.1),
        }]),
    },
    Row {
        id: "N2",
        statement: "Stem cells near the endosteum are sheltered, those near sinusoids feed the blood",
        source: "MIC",
        claim: Claim::Tested(&[Test {
            changed: "(quiescent against cycling stem cells, imatinib)",
            between: Between::Nothing(IMATINIB),
            of: QUIESCENT_OVER_CYCLING,
            expect: Expect::Up(0.1),
        }]),
    },
    Row {
        id: "N3",
        statement: "The osteoblastic niche means quiescence, and with it escape from drugs that strike cycling cells",
        source: "MIC",
        claim: Claim::Tested(&[
            Test {
                changed: "awakening x3, imatinib",
                between: Between::Arms(IMATINIB, Arm { blocks: &[(Target::Awakening, -2.0)], ..IMATINIB }),
                of: STEM_60,
                expect: Expect::Down(0.2),
            },
            Test {
                changed: "awakening x3, imatinib",
                between: Between::Arms(IMATINIB, Arm { blocks: &[(Target::Awakening, -2.0)], ..IMATINIB }),
                of: QUIESCENT_SHARE_12,
                expect: Expect::Down(0.03),
            },
        ]),
    },
    Row {
        id: "N4",
        statement: "The vascular niche means proliferation, as far as it has room",
        source: "MIC",
        claim: Claim::Tested(&[Test {
            changed: "vascular niche x2, untreated",
            between: Between::Arms(UNTREATED, Arm { alter: |p| p.capacity_vascular *= 2.0, ..UNTREATED }),
            of: CYCLING_24,
            expect: Expect::Up(0.1),
        }]),
    },
    Row {
        id: "N5",
        statement: "Both niches work as one: cells go to and fro",
        source: "MIC",
        claim: Claim::Tested(&[
            Test {
                changed: "attachment x2, imatinib",
                between: Between::Arms(IMATINIB, Arm { alter: |p| p.attach *= 2.0, ..IMATINIB }),
                of: QUIESCENT_12,
                expect: Expect::Up(0.05),
            },
            Test {
                changed: "release / 10, imatinib",
                between: Between::Arms(IMATINIB, Arm { alter: |p| p.release *= 0.1, ..IMATINIB }),
                of: CYCLING_60,
                expect: Expect::Down(0.1),
            },
        ]),
    },
    Row {
        id: "N6",
        statement: "CXCR4 on stem cells and CXCL12 of the stroma hold them in both niches",
        source: "MIC",
        claim: Claim::Tested(&[
            Test {
                changed: "no CXCR4, healthy marrow",
                between: Between::Arms(HEALTHY, Arm { blocks: &[(Target::Cxcr4, 1.0)], ..HEALTHY }),
                of: NORMAL_QUIESCENT_12,
                expect: Expect::Down(0.05),
            },
            Test {
                changed: "no CXCR4, healthy marrow",
                between: Between::Arms(HEALTHY, Arm { blocks: &[(Target::Cxcr4, 1.0)], ..HEALTHY }),
                of: NORMAL_STEM_12,
                expect: Expect::Down(0.02),
            },
            Test {
                changed: "no CXCR4, healthy marrow",
                between: Between::Arms(HEALTHY, Arm { blocks: &[(Target::Cxcr4, 1.0)], ..HEALTHY }),
                of: LOOSE_NORMAL,
                expect: Expect::Up(0.05),
            },
        ]),
    },
    Row {
        id: "N7",
        statement: "So do VLA-4 and fibronectin, beside it",
        source: "MIC, ref 25 (in acute myeloid leukaemia)",
        claim: Claim::Tested(&[
            Test {
                changed: "no VLA-4, healthy marrow",
                between: Between::Arms(HEALTHY, Arm { blocks: &[(Target::Vla4, 1.0)], ..HEALTHY }),
                of: NORMAL_STEM_12,
                expect: Expect::Down(0.01),
            },
            Test {
                changed: "no VLA-4, healthy marrow",
                between: Between::Arms(HEALTHY, Arm { blocks: &[(Target::Vla4, 1.0)], ..HEALTHY }),
                of: LOOSE_NORMAL,
                expect: Expect::Up(0.05),
            },
            Test {
                changed: "no CXCR4 -> no VLA-4 either, healthy marrow",
                between: Between::Arms(
                    Arm { blocks: &[(Target::Cxcr4, 1.0)], ..HEALTHY },
                    Arm { blocks: &[(Target::Cxcr4, 1.0), (Target::Vla4, 1.0)], ..HEALTHY },
                ),
                of: LOOSE_NORMAL,
                expect: Expect::Up(0.05),
            },
        ]),
    },
    Row {
        id: "N8",
        statement: "N-cadherin and Tie2 with Ang-1 hold stem cells dormant; without them they mature",
        source: "MIC",
        claim: Claim::Tested(&[
            Test {
                changed: "no N-cadherin, healthy marrow",
                between: Between::Arms(HEALTHY, Arm { blocks: &[(Target::NCadherin, 1.0)], ..HEALTHY }),
                of: NORMAL_QUIESCENT_12,
                expect: Expect::Down(0.01),
            },
            Test {
                changed: "no Tie2, imatinib",
                between: Between::Arms(IMATINIB, Arm { blocks: &[(Target::Tie2, 1.0)], ..IMATINIB }),
                of: QUIESCENT_12,
                expect: Expect::Down(0.05),
            },
        ]),
    },
    Row {
        id: "N9",
        statement: "In the vascular niche it is CXCR4 that holds them, not N-cadherin or Tie2",
        source: "MIC",
        claim: Claim::Tested(&[
            Test {
                changed: "no CXCR4, healthy marrow",
                between: Between::Arms(HEALTHY, Arm { blocks: &[(Target::Cxcr4, 1.0)], ..HEALTHY }),
                of: LOOSE_NORMAL,
                expect: Expect::Up(0.05),
            },
            Test {
                changed: "no N-cadherin and no Tie2, healthy marrow",
                between: Between::Arms(HEALTHY, Arm { blocks: &[(Target::NCadherin, 1.0), (Target::Tie2, 1.0)], ..HEALTHY }),
                of: LOOSE_NORMAL,
                expect: Expect::Within(0.01),
            },
            Test {
                changed: "no N-cadherin and no Tie2, imatinib",
                between: Between::Arms(IMATINIB, Arm { blocks: &[(Target::NCadherin, 1.0), (Target::Tie2, 1.0)], ..IMATINIB }),
                of: ADHESION,
                expect: Expect::Within(0.01),
            },
        ]),
    },
];
