//! L1 to L12: the leukaemic stem cell.

use super::arm::{IMATINIB, few_stem_cells};
use super::observable::{
    ABOVE_10, CCYR_12, CYCLING_12, GROWTH_24, IS_12, KINASE_STEM, LEUKAEMIC_OVER_NORMAL, MATURING_24, MMR_12,
    PROGENITORS_OVER_MATURING, PROGRESSED_60, QUIESCENT_OVER_CYCLING, STEM_60, STEM_OVER_PROGENITORS,
};
use super::signaling::{NO_GM_CSF, ONSET};
use super::{Arm, Between, Claim, Expect, Row, Test};
use crate::model::cml::patient::Patient;
use crate::model::cml::targets::Target;

/// Stem cells that take up more, as if they had the OCT-1 of others.
const MORE_UPTAKE: Between = Between::Arms(IMATINIB, Arm { alter: |p| p.uptake_stem *= 2.0, ..IMATINIB });
const NO_ABCG2: Between = Between::Arms(IMATINIB, Arm { blocks: &[(Target::Abcg2, 1.0)], ..IMATINIB });

/// A clone whose gain of renewal comes by beta-catenin alone, with and without it.
const BY_WNT: Arm = Arm { set: &[("wnt_share", 1.0)], ..ONSET };
const BY_NOTHING: Arm = Arm { blocks: &[(Target::Wnt, 1.0)], ..BY_WNT };

/// BCR-ABL without any of its gifts to stem cells.
fn mere_translocation(patient: &mut Patient) {
    (patient.renewal_gain, patient.adhesion_min, patient.stroma_defect, patient.effector_kill) = (0.0, 1.0, 0.0, 0.0);
}

pub(super) static ROWS: &[Row] = &[
    Row {
        id: "L1",
        statement: "The disease hangs on stem cells, as in transplanted mice: other cells alone do not keep it",
        source: "CSL",
        claim: Claim::Tested(&[Test {
            changed: "of leukaemic stem cells 99 % are gone at diagnosis, imatinib",
            between: Between::Arms(IMATINIB, Arm { begin: few_stem_cells, ..IMATINIB }),
            of: MATURING_24,
            expect: Expect::Down(1.0),
        }]),
    },
    Row {
        id: "L2",
        statement: "BCR-ABL is found in lymphoid cells too, so that it arose in a stem cell of all lineages",
        source: "CSL",
        claim: Claim::Excluded {
            reason: "no lymphoid compartment: long-lived B cells could keep transcripts in the blood, yet nothing \
                here measures how many",
            instead: "all lineages of the clone are maturing cells; a plateau comes from quiescent stem cells",
        },
    },
    Row {
        id: "L3",
        statement: "A leukaemic stem cell is a normal one with a translocation: without what BCR-ABL adds it fares alike",
        source: "CSL",
        claim: Claim::Tested(&[
            Test {
                changed: "(no gain of renewal, normal adhesion, healthy stroma, no immune kill; untreated from onset)",
                between: Between::Nothing(Arm { alter: mere_translocation, ..ONSET }),
                of: LEUKAEMIC_OVER_NORMAL,
                expect: Expect::Within(0.02),
            },
            Test {
                changed: "BCR-ABL without its gifts -> with them",
                between: Between::Arms(Arm { alter: mere_translocation, ..ONSET }, ONSET),
                of: LEUKAEMIC_OVER_NORMAL,
                expect: Expect::Up(1.0),
            },
        ]),
    },
    Row {
        id: "L4",
        statement: "Leukaemic stem cells have less OCT-1 and take up less imatinib",
        source: "CSL, ref 15",
        claim: Claim::Tested(&[
            Test { changed: "uptake of stem cells x2", between: MORE_UPTAKE, of: KINASE_STEM, expect: Expect::Down(0.05) },
            Test { changed: "uptake of stem cells x2", between: MORE_UPTAKE, of: CYCLING_12, expect: Expect::Down(0.1) },
            Test { changed: "uptake of stem cells x2", between: MORE_UPTAKE, of: STEM_60, expect: Expect::Down(0.05) },
        ]),
    },
    Row {
        id: "L5",
        statement: "OCT-1 of stem cells does not tell MMR at 12 months; that of mononuclear cells does",
        source: "CSL, ref 16 (Engler 2010); White 2007",
        claim: Claim::Tested(&[
            Test {
                changed: "uptake of stem cells below -> above the median",
                between: Between::Groups(IMATINIB, |p| p.uptake_stem, None),
                of: MMR_12,
                expect: Expect::Within(0.1),
            },
            Test {
                changed: "uptake of mature cells below -> above the median",
                between: Between::Groups(IMATINIB, |p| p.uptake_mature, None),
                of: MMR_12,
                expect: Expect::Up(0.05),
            },
        ]),
    },
    Row {
        id: "L6",
        statement: "ABCG2 pumps imatinib and nilotinib out of primitive cells",
        source: "CSL, ref 14 (Brendel 2007)",
        claim: Claim::Tested(&[
            Test { changed: "no ABCG2, imatinib", between: NO_ABCG2, of: KINASE_STEM, expect: Expect::Down(0.05) },
            Test { changed: "no ABCG2, imatinib", between: NO_ABCG2, of: CYCLING_12, expect: Expect::Down(0.05) },
        ]),
    },
    Row {
        id: "L7",
        statement: "Wnt and beta-catenin, turned on by BCR-ABL, keep stem cells renewing themselves",
        source: "CSL",
        claim: Claim::Tested(&[
            Test {
                changed: "no beta-catenin, from onset",
                between: Between::Arms(ONSET, Arm { blocks: &[(Target::Wnt, 1.0)], ..ONSET }),
                of: GROWTH_24,
                expect: Expect::Down(0.1),
            },
            Test {
                changed: "no beta-catenin, imatinib",
                between: Between::Arms(IMATINIB, Arm { blocks: &[(Target::Wnt, 1.0)], ..IMATINIB }),
                of: STEM_60,
                expect: Expect::Down(0.05),
            },
        ]),
    },
    Row {
        id: "L8",
        statement: "Mice without that path do not get the disease",
        source: "CSL; Zhao 2007 (fewer get it). At the nominal third that beta-catenin has in the gain of renewal the \
            clone is slowed, not stopped",
        claim: Claim::Tested(&[
            Test {
                changed: "no beta-catenin, from onset, all gain of renewal comes by it",
                between: Between::Arms(BY_WNT, BY_NOTHING),
                of: GROWTH_24,
                expect: Expect::Down(0.5),
            },
            Test {
                changed: "(no beta-catenin, from onset, all gain of renewal comes by it)",
                between: Between::Nothing(BY_NOTHING),
                of: GROWTH_24,
                expect: Expect::Within(0.1),
            },
            Test {
                changed: "no beta-catenin, from onset",
                between: Between::Arms(ONSET, Arm { blocks: &[(Target::Wnt, 1.0)], ..ONSET }),
                of: GROWTH_24,
                expect: Expect::Down(0.1),
            },
        ]),
    },
    Row {
        id: "L9",
        statement: "Under treatment BCR-ABL goes from progenitors within a year and stays in stem cells",
        source: "CSL; Abe 2008",
        claim: Claim::Tested(&[
            Test {
                changed: "(stem cells against progenitors, imatinib)",
                between: Between::Nothing(IMATINIB),
                of: STEM_OVER_PROGENITORS,
                expect: Expect::Up(1.0),
            },
            Test {
                changed: "(quiescent against cycling stem cells, imatinib)",
                between: Between::Nothing(IMATINIB),
                of: QUIESCENT_OVER_CYCLING,
                expect: Expect::Up(0.1),
            },
            Test {
                changed: "(progenitors against the maturing cells that they turn into, imatinib)",
                between: Between::Nothing(IMATINIB),
                of: PROGENITORS_OVER_MATURING,
                expect: Expect::Within(0.1),
            },
        ]),
    },
    Row {
        id: "L10",
        statement: "GM-CSF, made by resistant cells, guards others through JAK2 and STAT5 against imatinib",
        source: "CSL; Wang 2007",
        claim: Claim::Tested(&[
            Test {
                changed: "no GM-CSF, imatinib",
                between: Between::Arms(IMATINIB, NO_GM_CSF),
                of: ABOVE_10,
                expect: Expect::Down(0.03),
            },
            Test {
                changed: "no GM-CSF, imatinib",
                between: Between::Arms(IMATINIB, NO_GM_CSF),
                of: CCYR_12,
                expect: Expect::Up(0.03),
            },
            Test {
                changed: "such a bypass in twice as many patients",
                between: Between::Arms(IMATINIB, Arm { set: &[("bypass_fraction", 0.32)], ..IMATINIB }),
                of: IS_12,
                expect: Expect::Up(0.1),
            },
        ]),
    },
    Row {
        id: "L11",
        statement: "Blast crisis may be myeloid, B, T or of several lineages",
        source: "CSL",
        claim: Claim::Excluded {
            reason: "no endpoint of a trial in chronic phase tells lineages apart, and no treatment in the model depends on them",
            instead: "one hazard of death after progression (hazard_cml_death)",
        },
    },
    Row {
        id: "L12",
        statement: "In blast crisis progenitors renew themselves through beta-catenin and heed inhibitors less",
        source: "CSL; Jamieson 2004",
        claim: Claim::Tested(&[
            Test {
                changed: "no beta-catenin, imatinib",
                between: Between::Arms(IMATINIB, Arm { blocks: &[(Target::Wnt, 1.0)], ..IMATINIB }),
                of: PROGRESSED_60,
                expect: Expect::Down(0.02),
            },
            Test {
                changed: "transformed clones as sensitive as the others -> indifferent to imatinib",
                between: Between::Arms(
                    Arm { set: &[("transformed_sensitivity", 1.0)], ..IMATINIB },
                    Arm { set: &[("transformed_sensitivity", 0.0)], ..IMATINIB },
                ),
                of: PROGRESSED_60,
                expect: Expect::Up(0.02),
            },
        ]),
    },
];
