//! The parameter table: every number of the population and of the trial, once.
//!
//! A row gives name, default, unit, legal range, meaning, source and the prior proposed for inference. The table also
//! declares [`Population`], whose fields are the rows in their order, so that a name exists in one place only.
//!
//! A parameter called like a trait of [`Patient`](super::patient::Patient) is the median over patients; `<name>_sd` is
//! the between-patient standard deviation of its natural logarithm.
//!
//! **What a source may be.** Letters: P read in a publication, C read in published code, m from memory, a assumption.
//! The posterior is to predict what IRIS reported after month 60 and what trials of treatment stop found, so no default
//! and no prior rests on those rows, nor on a value that was tuned to them: where nothing else was at hand the row says
//! "assumption", the value is round and the prior wide. Three reservations. Whoever wrote the table had seen the tuned
//! values and the late rows. `effector_decay` is a constant of Haehnel 2020, a model of 21 patients who stopped treatment;
//! no share of relapses entered. IRIS itself up to month 60 gives three numbers: the pharmacokinetics of day 29; the first
//! year of 68 Adelaide patients (Michor 2005 and its re-analysis; they respond better than IRIS at large, so slopes and
//! noise are taken from them, levels not); and the share still on imatinib at month 30, which scales the hazards of leaving.
//! A job that also fits that share should know that it counts, weakly, twice.

use crate::model::{Parameter, Proposed, Unsimulable};

const fn lognormal(median: f64, sd: f64) -> Proposed {
    Proposed::LogNormal { median, sd }
}

const fn beta(a: f64, b: f64) -> Proposed {
    Proposed::Beta { a, b }
}

const FIXED: Proposed = Proposed::Fixed;

/// Writes [`Population`] and [`TABLE`] from one list of rows.
macro_rules! table {
    ($($name:ident = $default:literal, $unit:literal, $low:literal ..= $high:literal, $prior:expr,
       $meaning:literal, $source:literal;)*) => {
        /// A full `theta` by name: the parameters of a population of patients and of the trial that observes them.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct Population {
            $(#[doc = $meaning] pub $name: f64,)*
            #[doc = "Offset of BCR-ABL as the assay of this trial reads it: see [`ASSAY_OFFSET`]"]
            pub assay_offset: f64,
        }

        /// The parameter table, in the order of every full `theta`.
        pub const TABLE: &[Parameter] = &[$(Parameter {
            name: stringify!($name),
            unit: $unit,
            meaning: $meaning,
            default: $default,
            range: ($low, $high),
            source: $source,
            prior: $prior,
        },)*];

        impl Population {
            fn from_table_order(theta: &[f64; TABLE.len()]) -> Self {
                let [$($name),*] = *theta;
                Population { $($name,)* assay_offset: ASSAY_OFFSET.default }
            }
        }
    };
}

#[rustfmt::skip]
table! {
    // Drug and its way to the kinase.
    clearance = 10.0, "L/h", 0.5..=100.0, lognormal(10.0, 0.1),
        "Apparent clearance CL/F at steady state",
        "P Schmidli 2005: 14 on day 1 less 4 by day 29; n = 371 of IRIS, day 29 at the latest";
    clearance_sd = 0.31, "-", 0.0..=2.0, lognormal(0.31, 0.1),
        "Between-patient spread of the clearance",
        "P Schmidli 2005: CV 32 %";
    clearance_first = 1.2, "-", 1.0..=2.0, FIXED,
        "Clearance in the first month relative to later",
        "P Schmidli 2005: 14 L/h on day 1, 10 on day 29; the mean of a linear fall";
    volume = 252.0, "L", 20.0..=2000.0, FIXED,
        "Apparent volume of distribution V/F; sets the trough, not the course",
        "P Schmidli 2005: 252 L, between-patient CV 31 %";
    missed_doses = 0.08, "-", 0.0..=0.8, beta(2.0, 23.0),
        "Share of the doses that a patient misses, mean of an exponential distribution (of the logarithm of what is taken)",
        "P Marin 2010 JCO 28:2381: 26 % of patients take at most 90 %";
    exposure_sd = 0.0, "-", 0.0..=1.0, FIXED,
        "Spread of the exposure of one patient from one visit to the next",
        "0: averages out in the rows; P, CV of clearance between occasions 19 to 21 % in other tumours";
    exposure_others_sd = 0.38, "-", 0.0..=1.5, lognormal(0.38, 0.3),
        "Between-patient spread of the exposure to nilotinib or dasatinib at a dose, independent of imatinib",
        "C Larson 2012 EJCP 68:723: clearance of nilotinib 0.38, on the logarithm; dasatinib as much (assumption)";
    nilotinib_potency = 3.5, "-", 0.1..=100.0, lognormal(3.5, 0.35),
        "Kinase inhibition by nilotinib 600 mg/d, as a multiple of imatinib 400 mg/d",
        "C plasma concentration over cellular IC50 in public model code: 8.3 against 2.4; 2.5 to 7.5";
    dasatinib_potency = 2.0, "-", 0.1..=100.0, lognormal(2.0, 0.6),
        "Kinase inhibition by dasatinib 100 mg/d, as a multiple of imatinib 400 mg/d",
        "C as for nilotinib: 4.6 against 2.4; 0.5 to 8, since it is in the blood for hours only";
    ic50 = 0.6, "uM", 1e-3..=1e3, lognormal(0.6, 0.5),
        "Total plasma concentration that halves kinase activity at uptake 1",
        "P White 2005 Blood 106:2520: p-CrkL in pre-therapy blood of 62 patients, median 0.6 (0.375 to 1.8); culture medium is not plasma, hence wide";
    hill = 1.5, "-", 0.5..=4.0, lognormal(1.5, 0.25),
        "Hill exponent of kinase inhibition",
        "a: 1 to 2; only the product with ln(exposure/IC50) is identifiable";
    uptake_mature_sd = 0.5, "-", 0.0..=2.5, lognormal(0.5, 0.4),
        "Between-patient spread of the OCT-1 uptake of progenitors and mature cells",
        "P White 2006/07: OCT-1 activity of mononuclear cells about 0.5";
    expression_sd = 0.34, "-", 0.0..=1.5, lognormal(0.34, 0.4),
        "Between-patient spread of BCR-ABL expression and so of the IC50, in all cells",
        "P White 2005: IC50 range of 62 patients about 0.34; assumption that it is expression";
    uptake_stem = 0.5, "-", 0.01..=10.0, lognormal(0.5, 0.5),
        "Drug uptake of CD34+ stem cells relative to mature cells (low OCT-1, ABCG2 efflux)",
        "a: 0.3 to 1; direction P Brendel 2007, Engler 2010";
    uptake_stem_sd = 0.5, "-", 0.0..=2.5, lognormal(0.5, 0.5),
        "Between-patient spread of the uptake of stem cells, independent of mature cells",
        "a: as the OCT-1 activity of mononuclear cells; independence P Engler 2010";
    efflux = 0.5, "-", 0.0..=5.0, FIXED,
        "Rise of the uptake of stem cells without ABCG2",
        "a: ABCG2 takes a half to none of the uptake; direction P Brendel 2007";

    // Signaling.
    ras_grb2 = 0.7, "-", 0.0..=0.99, FIXED,
        "Weight of GRB2-SOS as a way from BCR-ABL to RAS",
        "a: 0.6 to 0.8 of the input";
    ras_crkl = 0.3, "-", 0.0..=0.99, FIXED,
        "Weight of CRKL as a way to RAS",
        "a: 0.2 to 0.4";
    ras_shc = 0.3, "-", 0.0..=0.99, FIXED,
        "Weight of SHC as a way to RAS",
        "a: 0.2 to 0.4";
    mek_share = 0.3, "-", 0.0..=1.0, beta(3.0, 7.0),
        "Share of RAS-MEK in the drive of progenitors; the rest is STAT5",
        "assumption; no fitted row tells them apart";
    wnt_share = 0.33, "-", 0.0..=1.0, beta(3.0, 6.0),
        "Share of beta-catenin in the gain of stem-cell renewal; the rest is RAS-MEK",
        "a: half as much as MEK";
    wnt_kinase = 0.8, "-", 0.0..=1.0, beta(8.0, 2.0),
        "Share of the kinase in beta-catenin; the rest is N-cadherin contact",
        "assumption; direction P Zhang 2013";
    bypass_fraction = 0.15, "-", 0.0..=1.0, beta(3.0, 17.0),
        "Share of patients with a GM-CSF-JAK2-STAT5 bypass",
        "a: 10 to 25 %; mechanism P Wang 2007";
    bypass = 0.6, "-", 0.0..=0.9, lognormal(0.6, 0.4),
        "Median kinase-independent progenitor drive of those patients",
        "assumption, wide: above the 0.46 (loss over growth and loss) at which progenitors no longer decline, below full drive";
    bypass_sd = 0.4, "-", 0.0..=2.5, lognormal(0.4, 0.3),
        "Spread of that drive",
        "assumption";
    renewal_gain = 1.0, "-", 0.0..=10.0, lognormal(1.0, 0.4),
        "Gain of stem-cell self-renewal by BCR-ABL (MEK and beta-catenin)",
        "C Michor 2005: untreated stem cells grow by 0.005/d net, to the order of magnitude";
    renewal_gain_sd = 0.15, "-", 0.0..=1.5, lognormal(0.15, 0.5),
        "Between-patient spread of that gain",
        "assumption";
    death_gain = 2.0, "-", 0.0..=50.0, lognormal(2.0, 0.5),
        "Gain of stem-cell death when survival signals are lost",
        "a: 1 to 4, BCL-2 family";
    death_gain_sd = 0.5, "-", 0.0..=2.5, lognormal(0.5, 0.4),
        "Between-patient spread of that gain",
        "assumption; the second slope of the Michor re-analysis spreads by 0.35 after shrinkage";
    niche_bypass = 0.4, "-", 0.0..=1.0, beta(2.0, 3.0),
        "Survival bypass by niche contact (PI3K, ILK, N-cadherin) per unit adhesion",
        "a: 0.2 to 0.7; mechanism P Zhang 2013";
    adhesion_min = 0.3, "-", 0.0..=1.0, beta(3.0, 7.0),
        "CXCR4 adhesion at full kinase activity relative to normal",
        "a: 0.1 to 0.5; direction P Jin 2008";
    adhesion_min_sd = 0.25, "-", 0.0..=1.5, lognormal(0.25, 0.5),
        "Between-patient spread of that adhesion",
        "assumption";
    adhesion_vla4 = 0.25, "-", 0.0..=0.6, beta(4.0, 12.0),
        "Share of VLA-4 in adhesion",
        "a: 0.2 to 0.5";
    adhesion_cd44 = 0.2, "-", 0.0..=0.4, beta(3.0, 12.0),
        "Share of CD44 in the adhesion of leukaemic stem cells, half of it in normal ones; the rest is CXCR4",
        "a: 0 to 0.3; direction P Krause 2006";
    quiescence_gain = 1.0, "-", 0.0..=10.0, lognormal(1.0, 0.5),
        "Gain of release when N-cadherin or Tie2-Ang-1 contact is lost",
        "a: 1.5 to 3 times the release";
    detachment_gain = 1.5, "-", 0.0..=20.0, lognormal(1.5, 0.5),
        "Gain of detachment when adhesion is lost",
        "a: 1 to 3";

    // Niche.
    attach = 0.05, "1/d", 1e-4..=1.0, lognormal(0.05, 0.5),
        "Attachment of a cycling stem cell to an empty osteoblastic niche at full adhesion",
        "a: with a tenth of the niche free, the 0.001 to 0.01/d of published models";
    release = 0.0016, "1/d", 1e-5..=0.1, lognormal(0.0016, 0.6),
        "Release from the osteoblastic niche at full adhesion",
        "C geometric mean of Fassoni 2018 0.0016, Clapp 2015 0.0027, Foo 2009 0.0009";
    release_sd = 0.6, "-", 0.0..=2.5, lognormal(0.6, 0.4),
        "Between-patient spread of the release",
        "assumption, wide; patient-wise fits of Haehnel 2020 spread more";
    renewal = 0.02, "1/d", 1e-3..=0.5, lognormal(0.02, 0.3),
        "Self-renewal of normal stem cells in an empty vascular niche",
        "assumption; sets the time scale together with stem_loss";
    stem_loss = 0.01, "1/d", 1e-4..=0.25, lognormal(0.01, 0.3),
        "Death and differentiation of cycling stem cells",
        "assumption; must stay below renewal";
    roaming_loss = 0.001, "1/d", 0.0..=0.1, lognormal(0.001, 0.7),
        "Loss of cycling stem cells that nothing holds in the vascular niche, on their way through the blood",
        "assumption: a tenth of stem_loss; of cells in the blood most are back in the marrow within minutes, P Wright 2001 Science 294:1933";
    stroma_defect = 0.3, "-", 0.0..=0.9, beta(3.0, 6.0),
        "Loss of normal renewal on stroma remodelled by CML",
        "a: 0.2 to 0.6";
    stroma_time = 180.0, "d", 5.0..=5000.0, lognormal(180.0, 0.5),
        "Time constant of stromal remodelling",
        "a: 90 to 365 d";
    capacity_osteoblastic = 1e5, "cells", 1e3..=1e7, FIXED,
        "Capacity of the osteoblastic niche",
        "m human haematopoietic stem cells 5e4 to 2e5; scales out of every observable but extinction";
    capacity_vascular = 1e5, "cells", 1e3..=1e7, FIXED,
        "Capacity of the vascular niche",
        "m as above";
    stem_occupancy = 0.35, "-", 0.05..=0.6, FIXED,
        "Share of the vascular niche that leukaemic stem cells fill at diagnosis",
        "assumption: about three times the normal cells, as most metaphases are Ph+";
    stem_occupancy_sd = 0.35, "-", 0.0..=1.5, lognormal(0.35, 0.4),
        "Between-patient spread of that share",
        "assumption";
    quiescent_ratio = 0.3, "-", 0.01..=1.5, lognormal(0.3, 0.5),
        "Quiescent per cycling leukaemic stem cells at diagnosis",
        "assumption, wide: low adhesion before treatment keeps most of them cycling";
    quiescent_ratio_sd = 0.5, "-", 0.0..=1.5, lognormal(0.5, 0.4),
        "Between-patient spread of that ratio",
        "assumption";

    // Progenitors and blood.
    progenitor_growth = 0.077, "1/d", 0.005..=1.0, lognormal(0.077, 0.15),
        "Progenitor re-amplification at full kinase activity",
        "P Branford 2012: BCR-ABL doubles in 9 d on interruption and in blast crisis";
    progenitor_growth_sd = 0.25, "-", 0.0..=1.5, lognormal(0.25, 0.3),
        "Between-patient spread of re-amplification",
        "P Branford 2012: range 4.2 to 17.6 d of 12 patients, part of it measurement";
    progenitor_loss = 0.065, "1/d", 0.005..=1.0, lognormal(0.065, 0.25),
        "Progenitor loss at no kinase activity",
        "P first slope -0.05 (Michor 2005), -0.052 (Tang 2011), with about a tenth of the activity left";
    progenitor_loss_sd = 0.3, "-", 0.0..=1.5, lognormal(0.3, 0.25),
        "Between-patient spread of the loss",
        "P first slope: SD 0.018 of 0.052 (Tang 2011); 0.30 in the Michor re-analysis";
    amplification = 400.0, "-", 2.0..=1e5, lognormal(400.0, 0.6),
        "Progenitors at diagnosis per progenitors fed by stem cells alone",
        "P slow to fast amplitude 10^-2.6 in the Michor re-analysis, good responders, hence wide";
    amplification_sd = 0.8, "-", 0.0..=2.5, lognormal(0.8, 0.3),
        "Between-patient spread of the amplification",
        "assumption, wide";
    maturing_turnover = 0.14, "1/d", 0.02..=2.0, lognormal(0.14, 0.35),
        "Turnover of the maturing and blood pool",
        "C Stein 2011: late progenitors 0.14/d; a week of maturation";
    leukaemic_ratio = 6.0, "-", 0.1..=100.0, lognormal(6.0, 0.5),
        "Leukaemic per normal blood cells at diagnosis",
        "m white cells at entry of IRIS, after hydroxyurea: 6 is a count of 16e9/L, see observe; wide";
    leukaemic_ratio_sd = 0.8, "-", 0.0..=2.5, lognormal(0.8, 0.3),
        "Between-patient spread of that ratio",
        "m white cells at entry between 10e9 and 100e9/L";
    marrow_odds = 1.75, "-", 0.2..=20.0, lognormal(1.75, 0.4),
        "Odds of Ph+ metaphases in marrow per odds in blood",
        "a: 1 % IS is where half of the patients show no Ph+ metaphase, the usual equivalence";

    // Immune control.
    effector_decay = 0.066, "1/d", 0.005..=1.0, lognormal(0.066, 0.4),
        "Decay of effector activity",
        "C Haehnel 2020: 2 per month";
    effector_stimulus = 0.1, "1/d", 0.0..=0.8, lognormal(0.1, 0.8),
        "Median of maximal effector stimulation",
        "assumption, wide: the order of the decay, so that some patients mount a response and some do not";
    effector_stimulus_sd = 1.5, "-", 0.0..=4.0, lognormal(1.5, 0.35),
        "Between-patient spread of the stimulation",
        "assumption, wide: Haehnel 2020 finds classes with, without and with conditional control";
    effector_window = 1e-4, "-", 1e-7..=1.0, lognormal(1e-4, 1.2),
        "Burden of maximal stimulus, 1 = diagnosis",
        "C Clapp 2015: immune window from 2e-6 to 6e-3; its geometric middle";
    effector_window_sd = 0.5, "-", 0.0..=3.0, lognormal(0.5, 0.4),
        "Between-patient spread of that burden",
        "assumption";
    effector_kill = 0.002, "1/d", 0.0..=0.5, lognormal(0.002, 0.8),
        "Kill per unit of effector activity above rest",
        "assumption, wide: at the ceiling it may balance re-amplification (0.077/d over 49)";
    effector_max = 50.0, "-", 1.5..=1e4, FIXED,
        "Ceiling of effector activity, 1 = rest",
        "assumption; enters with effector_kill as a product";
    stroma_block = 0.25, "-", 0.0..=1.0, beta(2.0, 6.0),
        "Block of T cells by healthy stroma",
        "a: 0.1 to 0.4";
    exhaustion_time = 600.0, "d", 10.0..=1e4, lognormal(600.0, 0.5),
        "Time constant of immune exhaustion",
        "a: 1 to 3 years";
    exhaustion_half = 0.01, "-", 1e-6..=1.0, lognormal(0.01, 0.8),
        "Burden of half-maximal exhaustion, 1 = diagnosis",
        "assumption, wide";

    // Resistant clone.
    mutant_fraction = 0.15, "-", 0.0..=1.0, beta(3.0, 17.0),
        "Share of patients with a kinase-domain mutant at diagnosis",
        "P Khorashad 2007: mutations in 16 % by month 27; a 10 to 25 %";
    mutant_cells = 10.0, "cells", 0.1..=1e4, lognormal(10.0, 0.8),
        "Median stem cells of the mutant clone of those patients",
        "C Michor 2005: about 10 at diagnosis";
    mutant_cells_sd = 1.5, "-", 0.0..=3.0, lognormal(1.5, 0.3),
        "Spread of that number",
        "assumption: the law of Luria and Delbrueck has a heavy tail";
    resistance = 1.0, "-", 0.1..=100.0, lognormal(1.0, 0.3),
        "Folds of the IC50 of mutants, relative to those in Ba/F3 cells",
        "P Redaelli 2009, C Hauser 2018, Leighow 2020: the table of mutations; series differ by a factor of 2 to 3, a third of it common to all of one series (assumption)";
    resistance_sd = 0.4, "-", 0.0..=3.0, lognormal(0.4, 0.3),
        "Spread of that ratio",
        "as above";
    gatekeeper_share = 0.15, "-", 0.0..=1.0, beta(3.0, 17.0),
        "Share of T315I, which no drug of the model binds, among the mutants",
        "C mutation tables of imatinib resistance: 15 and 16 % of 249 and 1322 patients";

    // Measurement.
    pcr_sd = 0.2, "log10", 0.0..=1.0, lognormal(0.2, 0.15),
        "Noise of BCR-ABL on the International Scale, log10",
        "C radivot/myelo: proportional residual 0.48 of the Michor series";
    detection_limit = 0.001, "% IS", 1e-6..=1.0, FIXED,
        "Least level that the assay can report",
        "P 0.001 % when optimised (Hematology 2012:111)";
    metaphases = 20.0, "-", 1.0..=200.0, FIXED,
        "Metaphases counted per marrow examination; a whole number",
        "P O'Brien 2003: at least 20";

    // Events and leaving.
    hazard_transformation = 0.15, "1/y", 0.0..=5.0, lognormal(0.15, 0.7),
        "Rate at which clones that end in accelerated phase or blast crisis are born, per unit of driven progenitor mass, 1 = at diagnosis",
        "m untreated median of 4 to 6 years at a mass of 1 to 2, less the latency";
    latency = 1.2, "y", 0.1..=20.0, lognormal(1.2, 0.4),
        "Median time from the birth of such a clone to accelerated phase or blast crisis, untreated",
        "P Branford 2012: doubling 9 d (6 to 18) in blast crisis, 37 doublings from one cell to 1e11 take 0.9 y (0.6 to 1.8); slower at first (assumption)";
    latency_sd = 0.5, "-", 0.0..=2.0, lognormal(0.5, 0.3),
        "Spread of that time",
        "P Branford 2012: 6 to 18 d";
    transformed_sensitivity = 0.3, "-", 0.0..=1.0, beta(3.0, 7.0),
        "Slowing of the growth of such a clone by full inhibition of the kinase",
        "assumption, low: Jamieson 2004 (self-renewal by beta-catenin, resistant)";
    growth_before = 0.006, "1/d", 5e-4..=0.05, lognormal(0.006, 0.4),
        "Growth of the progenitor mass in the time before diagnosis",
        "C Michor 2005: untreated stem cells grow by 0.005/d net, faster while the niche is empty";
    age = 50.0, "y", 1.0..=100.0, FIXED,
        "Mean age at diagnosis",
        "m IRIS: median 50";
    age_sd = 12.0, "y", 0.0..=30.0, FIXED,
        "Spread of the age, normal",
        "a: adults of 18 to 70";
    hazard_other_death = 0.0043, "1/y", 0.0..=0.2, lognormal(0.0043, 0.4),
        "Hazard of death unrelated to CML at age 50",
        "C life tables: 0.0054 in men, 0.0033 in women";
    mortality_slope = 0.085, "1/y", 0.0..=0.3, FIXED,
        "Rise of the logarithm of that hazard with age (Gompertz)",
        "C life tables: 0.083 in men, 0.087 in women";
    hazard_cml_death = 0.6, "1/y", 0.0..=20.0, lognormal(0.6, 0.6),
        "Hazard of death after progression",
        "P between accelerated phase on imatinib (74 % alive at 1 y, Talpaz 2002; 53 % at 4 y, Kantarjian; both in PMC6823861) and blast crisis (median 7 months, Kantarjian 2012)";
    hazard_adverse = 0.008, "1/y", 0.0..=1.0, lognormal(0.008, 0.7),
        "Hazard of leaving for an adverse event after the first year",
        "assumption, wide: with the first year about a seventh of the 21 % who left by month 30 (P Guilhot 2004)";
    adverse_first_year = 3.0, "-", 1.0..=50.0, lognormal(3.0, 0.4),
        "Ratio of that hazard in the first year to later",
        "assumption: toxicity shows early";
    hazard_other_leaving = 0.02, "1/y", 0.0..=1.0, lognormal(0.02, 0.7),
        "Hazard of leaving for reasons that do not depend on the response (consent, lost, cross-over)",
        "assumption, wide: about a fifth of the 21 % who left by month 30 (P Guilhot 2004)";
    hazard_unsatisfactory = 0.5, "1/y", 0.0..=20.0, lognormal(0.5, 0.7),
        "Hazard of leaving while the response is unsatisfactory",
        "assumption, wide: rounded so that at the defaults about 79 % are still on at month 30 (P Guilhot 2004)";
    transplant_share = 0.2, "-", 0.0..=1.0, beta(2.0, 8.0),
        "Share of transplants among those who leave for an unsatisfactory response or progression",
        "assumption, wide";
}

/// A parameter that one of several trials has of its own or not at all, behind those of the table: another trial, whose readings are
/// those of the International Scale, is what it is measured against.
pub static ASSAY_OFFSET: Parameter = Parameter {
    name: "assay_offset",
    unit: "log10",
    meaning: "Offset of BCR-ABL as the assay of a trial reads it, added to the logarithm of each reading",
    default: 0.0,
    range: (-2.0, 2.0),
    source: "m Branford 2008, Blood 112:3330: laboratories differ by up to tenfold before they convert to the International Scale",
    prior: FIXED,
};

/// Parameters of drugs that no trial of imatinib can inform.
pub const OF_OTHER_DRUGS: [&str; 2] = ["nilotinib_potency", "dasatinib_potency"];

/// The defaults, in the order of [`TABLE`].
pub fn defaults() -> Vec<f64> {
    TABLE.iter().map(|p| p.default).collect()
}

/// The nominal point: values that were tuned by hand until a cohort met the published figures of IRIS (those after month 60
/// too) and of other trials, so that mechanisms are tested on a disease that behaves. It shows that the structure *can* meet
/// the data; no prior rests on it, and no prediction is made from it.
pub fn nominal() -> Vec<f64> {
    let mut theta = defaults();
    for (name, value) in NOMINAL {
        if let Some(index) = index(name) {
            theta[index] = *value;
        }
    }
    theta
}

/// What differs from the defaults at the [`nominal`] point.
const NOMINAL: &[(&str, f64)] = &[
    ("clearance_first", 1.0),
    ("ic50", 0.61),
    ("hill", 1.43),
    ("uptake_mature_sd", 0.84),
    ("uptake_stem", 0.46),
    ("uptake_stem_sd", 0.21),
    ("bypass_fraction", 0.12),
    ("bypass", 0.7),
    ("bypass_sd", 0.3),
    ("renewal_gain", 0.9),
    ("death_gain", 2.5),
    ("death_gain_sd", 0.67),
    ("niche_bypass", 0.36),
    ("release", 0.001),
    ("release_sd", 0.65),
    ("progenitor_growth", 0.082),
    ("progenitor_growth_sd", 0.19),
    ("progenitor_loss", 0.085),
    ("progenitor_loss_sd", 0.32),
    ("amplification", 330.0),
    ("amplification_sd", 0.92),
    ("maturing_turnover", 0.15),
    ("leukaemic_ratio", 5.6),
    ("leukaemic_ratio_sd", 0.63),
    ("marrow_odds", 2.4),
    ("effector_decay", 0.05),
    ("effector_stimulus", 0.14),
    ("effector_stimulus_sd", 2.0),
    ("effector_window", 2.1e-4),
    ("effector_window_sd", 0.45),
    ("effector_kill", 0.0027),
    ("stroma_block", 0.2),
    ("exhaustion_time", 950.0),
    ("mutant_fraction", 0.08),
    ("mutant_cells", 6.0),
    ("hazard_transformation", 0.13),
    ("latency", 1.5),
];

/// Position of a parameter in every full `theta`.
pub fn index(name: &str) -> Option<usize> {
    TABLE.iter().position(|p| p.name == name)
}

/// A parameter that a trial can have of its own: one of the table, by its position, or behind these [`ASSAY_OFFSET`].
pub fn own(name: &str) -> Option<(usize, &'static Parameter)> {
    TABLE.iter().chain([&ASSAY_OFFSET]).enumerate().find(|(_, p)| p.name == name)
}

impl Population {
    /// The same, observed by an assay with this offset, log10.
    ///
    /// # Errors
    /// [`Unsimulable`] if it is outside its range.
    pub fn read_with(self, assay_offset: f64) -> Result<Self, Unsimulable> {
        let (low, high) = ASSAY_OFFSET.range;
        if (low..=high).contains(&assay_offset) {
            return Ok(Population { assay_offset, ..self });
        }
        Err(Unsimulable(format!("assay_offset = {assay_offset} is outside {low} to {high} {}", ASSAY_OFFSET.unit)))
    }

    /// Reads a full `theta`, in the order of [`TABLE`].
    ///
    /// # Errors
    /// [`Unsimulable`] if `theta` has another length, if a value is not a number or lies outside its range, or if normal
    /// stem cells could not sustain themselves (`stem_loss` not below `renewal`).
    pub fn new(theta: &[f64]) -> Result<Self, Unsimulable> {
        let full: &[f64; TABLE.len()] =
            theta.try_into().map_err(|_| Unsimulable(format!("{} values for {} parameters", theta.len(), TABLE.len())))?;
        for (value, p) in full.iter().zip(TABLE) {
            if !(p.range.0..=p.range.1).contains(value) {
                let (low, high) = p.range;
                return Err(Unsimulable(format!("{} = {value} is outside {low} to {high} {}", p.name, p.unit)));
            }
        }
        let population = Population::from_table_order(full);
        if population.stem_loss >= population.renewal {
            return Err(Unsimulable("stem_loss is not below renewal: normal stem cells would die out".to_string()));
        }
        Ok(population)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_legal_and_lie_at_the_centre_of_their_prior() {
        Population::new(&defaults()).unwrap();
        for p in TABLE {
            assert!(p.range.0 <= p.default && p.default <= p.range.1, "{}", p.name);
            assert!(!p.unit.is_empty() && !p.meaning.is_empty() && !p.source.is_empty(), "{}", p.name);
            match p.prior {
                Proposed::Fixed => {}
                Proposed::LogNormal { median, .. } => assert_eq!(median, p.default, "{}", p.name),
                Proposed::Beta { a, b } => assert!((a / (a + b) - p.default).abs() < 0.05, "{}", p.name),
            }
        }
    }

    #[test]
    fn names_are_unique_and_a_spread_belongs_to_a_median() {
        // Uptake, expression and exposure have median 1 by definition: the IC50 carries their scale.
        for (i, p) in TABLE.iter().enumerate() {
            assert_eq!(index(p.name), Some(i));
            let median = p
                .name
                .strip_suffix("_sd")
                .filter(|m| !["uptake_mature", "expression", "exposure", "exposure_others", "pcr"].contains(m));
            assert!(median.is_none_or(|m| index(m).is_some()), "{}", p.name);
        }
    }

    #[test]
    fn a_point_that_cannot_be_simulated_says_why() {
        let with = |name: &str, value: f64| {
            let mut theta = defaults();
            theta[index(name).unwrap()] = value;
            Population::new(&theta).map_err(|u| u.0)
        };
        assert_eq!(with("ic50", -1.0).unwrap_err(), "ic50 = -1 is outside 0.001 to 1000 uM");
        assert!(with("ic50", f64::NAN).unwrap_err().starts_with("ic50 = NaN is outside"));
        assert!(with("stem_loss", 0.02).unwrap_err().contains("not below renewal"));
        assert!(Population::new(&[1.0]).unwrap_err().0.starts_with("1 values for"));
    }

    #[test]
    fn proposed_priors_are_written_in_the_syntax_of_a_job_file() {
        for p in TABLE.iter().filter(|p| p.prior != Proposed::Fixed) {
            let row: toml::Table = format!("{} = {}", p.name, p.prior).parse().unwrap();
            assert!(row[p.name]["distribution"].is_str());
        }
    }
}
