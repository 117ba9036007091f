//! C1 to C11: what the clinic sees.

use super::arm::{IMATINIB, UNTREATED};
use super::observable::{
    ABOVE_10, CCYR_12, EVENT_60, IS_3, MMR_12, MR45_60, ON_DRUG_96, PROGRESSED_60, PROGRESSED_240, STEM_60, STEM_96,
};
use super::{Arm, Between, Claim, Expect, Row, Test};
use crate::model::cml::cohort::Part;

/// A trial that loses patients, of eight years.
const LOSING: Arm = Arm { leave: true, months: 96.0, ..IMATINIB };
/// Twenty years without treatment.
const NEVER: Arm = Arm { months: 240.0, ..UNTREATED };

pub(super) static ROWS: &[Row] = &[
    Row {
        id: "C1",
        statement: "A disease of the fifth and sixth decade; 1 to 2 new patients a year in 100 000, every fifth to \
            seventh leukaemia of adults",
        source: "INT",
        claim: Claim::Context(
            "age at diagnosis is drawn (age, age_sd) and sets death of other causes (hazard_other_death, \
                mortality_slope); incidence is outside the model",
        ),
    },
    Row {
        id: "C2",
        statement: "Chronic phase ends in accelerated phase and blast crisis in everybody who is not treated",
        source: "INT",
        claim: Claim::Tested(&[
            Test {
                changed: "imatinib -> no treatment",
                between: Between::Arms(IMATINIB, Arm { months: 60.0, ..UNTREATED }),
                of: PROGRESSED_60,
                expect: Expect::Up(0.3),
            },
            Test {
                changed: "(no treatment for 20 years)",
                between: Between::Nothing(NEVER),
                of: PROGRESSED_240,
                expect: Expect::Up(0.98),
            },
        ]),
    },
    Row {
        id: "C3",
        statement: "IRIS at 8 years: 81 % event-free (the review says progression-free; that is 92 %)",
        source: "INT, ref 4; 8-year report of IRIS",
        claim: Claim::Context(
            "rows of jobs/data/iris.csv to calibrate and to predict, not a mechanism; the test \
                the_nominal_cohort_behaves_as_published compares",
        ),
    },
    Row {
        id: "C4",
        statement: "Imatinib works in the elderly as well as in others",
        source: "INT, ref 5",
        claim: Claim::Tested(&[Test {
            changed: "age 60 or below -> above 60",
            between: Between::Groups(IMATINIB, |p| p.age, Some(60.0)),
            of: MMR_12,
            expect: Expect::Within(0.05),
        }]),
    },
    Row {
        id: "C5",
        statement: "Of IRIS 45 % leave within 8 years, a third of them for an unsatisfactory result",
        source: "INT; 8-year report of IRIS",
        claim: Claim::Tested(&[Test {
            changed: "nobody leaves for an unsatisfactory response",
            between: Between::Arms(LOSING, Arm { set: &[("hazard_unsatisfactory", 0.0)], ..LOSING }),
            of: ON_DRUG_96,
            expect: Expect::Up(0.05),
        }]),
    },
    Row {
        id: "C6",
        statement: "Point mutations of the kinase domain make resistant",
        source: "INT; Khorashad 2007",
        claim: Claim::Tested(&[
            Test {
                changed: "no mutants -> twice the nominal share of patients with one",
                between: Between::Arms(
                    Arm { set: &[("mutant_fraction", 0.0)], ..IMATINIB },
                    Arm { set: &[("mutant_fraction", 0.16)], ..IMATINIB },
                ),
                of: EVENT_60,
                expect: Expect::Up(0.03),
            },
            Test {
                changed: "mutants of any fold -> T315I in all patients with a mutant",
                between: Between::Arms(
                    Arm { set: &[("gatekeeper_share", 0.0)], ..IMATINIB },
                    Arm { set: &[("gatekeeper_share", 1.0)], ..IMATINIB },
                ),
                of: EVENT_60,
                expect: Expect::Up(0.01),
            },
        ]),
    },
    Row {
        id: "C7",
        statement: "More BCR-ABL makes resistant",
        source: "INT",
        claim: Claim::Tested(&[
            Test {
                changed: "expression of BCR-ABL x2",
                between: Between::Arms(IMATINIB, Arm { alter: |p| p.expression *= 2.0, ..IMATINIB }),
                of: IS_3,
                expect: Expect::Up(0.2),
            },
            Test {
                changed: "expression of BCR-ABL x2",
                between: Between::Arms(IMATINIB, Arm { alter: |p| p.expression *= 2.0, ..IMATINIB }),
                of: MMR_12,
                expect: Expect::Down(0.1),
            },
        ]),
    },
    Row {
        id: "C8",
        statement: "Clonal evolution takes the disease out of the drug's hands and to its end",
        source: "INT; SPIRIT2",
        claim: Claim::Tested(&[
            Test {
                changed: "births of transformed clones x2",
                between: Between::Arms(IMATINIB, Arm { set: &[("hazard_transformation", 0.26)], ..IMATINIB }),
                of: PROGRESSED_60,
                expect: Expect::Up(0.02),
            },
            Test {
                changed: "transformed clones as sensitive as the others",
                between: Between::Arms(IMATINIB, Arm { set: &[("transformed_sensitivity", 1.0)], ..IMATINIB }),
                of: PROGRESSED_60,
                expect: Expect::Down(0.01),
            },
        ]),
    },
    Row {
        id: "C9",
        statement: "Leukaemic stem cells persist under treatment",
        source: "INT, CON",
        claim: Claim::Tested(&[
            Test {
                changed: "no quiescence",
                between: Between::Arms(
                    Arm { months: 96.0, ..IMATINIB },
                    Arm { without: &[Part::Quiescence], months: 96.0, ..IMATINIB },
                ),
                of: STEM_96,
                expect: Expect::Down(0.3),
            },
            Test {
                changed: "release from quiescence x2",
                between: Between::Arms(IMATINIB, Arm { alter: |p| p.release *= 2.0, ..IMATINIB }),
                of: STEM_60,
                expect: Expect::Down(0.1),
            },
        ]),
    },
    Row {
        id: "C10",
        statement: "Less drug in the blood, less response",
        source: "INT; trough levels of IRIS",
        claim: Claim::Tested(&[
            Test {
                changed: "clearance of imatinib x2",
                between: Between::Arms(IMATINIB, Arm { alter: |p| p.clearance *= 2.0, ..IMATINIB }),
                of: MMR_12,
                expect: Expect::Down(0.1),
            },
            Test {
                changed: "clearance of imatinib x2",
                between: Between::Arms(IMATINIB, Arm { alter: |p| p.clearance *= 2.0, ..IMATINIB }),
                of: CCYR_12,
                expect: Expect::Down(0.05),
            },
            Test {
                changed: "clearance below -> above the median",
                between: Between::Groups(IMATINIB, |p| p.clearance, None),
                of: MMR_12,
                expect: Expect::Down(0.05),
            },
        ]),
    },
    Row {
        id: "C11",
        statement: "The micro-environment keeps the clone alive",
        source: "INT, CON",
        claim: Claim::Tested(&[
            Test {
                changed: "no protection by niche contact",
                between: Between::Arms(IMATINIB, Arm { without: &[Part::NicheProtection], ..IMATINIB }),
                of: STEM_60,
                expect: Expect::Down(0.1),
            },
            Test {
                changed: "no protection by niche contact",
                between: Between::Arms(IMATINIB, Arm { without: &[Part::NicheProtection], ..IMATINIB }),
                of: MR45_60,
                expect: Expect::Up(0.02),
            },
            Test {
                changed: "no GM-CSF",
                between: Between::Arms(IMATINIB, super::signaling::NO_GM_CSF),
                of: ABOVE_10,
                expect: Expect::Down(0.03),
            },
        ]),
    },
];
