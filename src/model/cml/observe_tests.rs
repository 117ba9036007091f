//! Tests of the observer: hand-made trajectories with a known outcome, closed forms, invariants.

use super::super::parameters::defaults;
use super::super::state::H;
use super::*;

const MONTHS: [f64; 10] = [3.0, 6.0, 9.0, 12.0, 15.0, 18.0, 24.0, 30.0, 36.0, 48.0];

/// Leukaemic per normal blood cells at diagnosis.
const RATIO: f64 = 6.0;

fn plan() -> Plan {
    Plan { months: MONTHS.to_vec(), marrow: 0b11_1111_1111, horizon: 60.0 }
}

/// The default population without events, leaving or PCR noise; whose clones transform after diagnosis and show at once, and
/// whose age does not matter.
fn quiet() -> Population {
    let mut p = Population::new(&defaults()).unwrap();
    (p.hazard_transformation, p.hazard_other_death, p.hazard_adverse) = (0.0, 0.0, 0.0);
    (p.hazard_other_leaving, p.hazard_unsatisfactory, p.pcr_sd) = (0.0, 0.0, 0.0);
    (p.growth_before, p.latency, p.latency_sd, p.mortality_slope) = (1e12, 0.0, 0.0, 0.0);
    p
}

fn patient(population: &Population) -> Patient {
    Patient { leukaemic_ratio: RATIO, ..population.patient(key(0)) }
}

fn key(j: u64) -> Key {
    Key::root(3).child(j)
}

/// States with these leukaemic per normal blood cells and a load that grows by `rate` a year.
fn states(plan: &Plan, ratios: &[f64], rate: f64) -> Vec<[f64; COUNT]> {
    let months = std::iter::once(&0.0).chain(&plan.months);
    months
        .zip(ratios)
        .map(|(month, x)| {
            let mut state = [0.0; COUNT];
            (state[DL], state[DR], state[H]) = (0.75 * x / RATIO, 0.25 * x / RATIO, rate * month / 12.0);
            state
        })
        .collect()
}

fn history(population: &Population, plan: &Plan, ratios: &[f64], rate: f64, key: Key) -> History {
    let observer = Observer::new(plan, population).unwrap();
    let (states, patient) = (states(plan, ratios, rate), patient(population));
    let mut seen = observer.begin(&patient, key);
    for (k, state) in states.iter().skip(1).enumerate() {
        observer.visit(&mut seen, k, state, &patient);
    }
    let how = Treatment { growth: &[(0.0, 1.0)], stopped: f64::INFINITY, relapsed: f64::INFINITY, stays: &[] };
    let loads: Vec<f64> = states.iter().map(|state| state[H]).collect();
    observer.history(&seen, &loads, &patient, &how, key)
}

/// Ratio at which the International Scale reads this many per cent.
fn ratio(is: f64) -> f64 {
    2.0 * is / (100.0 - is)
}

const RESPONDER: [f64; 11] = [6.0, 0.5, 0.05, 0.01, 1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5, 1e-5];

#[test]
fn a_responder_stays_and_reaches_each_level_when_he_should() {
    let h = history(&quiet(), &plan(), &RESPONDER, 0.0, key(1));
    assert_eq!((h.left, h.reason, h.event, h.event_kind), (f64::INFINITY, Leaving::Stayed, f64::INFINITY, Event::None));
    assert_eq!((h.died, h.progressed, h.attended), (f64::INFINITY, f64::INFINITY, 0x3ff));
    // IS % at the visits: 20, 2.4, 0.5, 0.05, 0.05, 0.005, 0.005, then at the detection limit of 0.001.
    assert_eq!((h.found.is10, h.found.is1, h.found.mmr), (0x3fe, 0x3fc, 0x3f8));
    assert_eq!((h.found.mr4, h.found.mr45, h.found.umrd, h.found.chr), (0x3e0, 0x380, 0x380, 0x3ff));
}

#[test]
fn a_level_at_the_threshold_is_reached_and_one_below_the_assay_is_not_seen() {
    let mut p = quiet();
    let found = |p: &Population, is: f64| history(p, &plan(), &[ratio(is); 11], 0.0, key(1)).found;
    for (is, below) in [(0.0032, true), (0.00321, false)] {
        assert_eq!(found(&p, is).mr45 != 0, below);
    }
    p.detection_limit = 0.01;
    assert_eq!((found(&p, 0.0).mr4, found(&p, 0.0).mr45, found(&p, 0.0).umrd), (0x3ff, 0, 0x3ff));
    assert_eq!((found(&p, 0.0099).umrd, found(&p, 0.0101).umrd), (0x3ff, 0));
    p.detection_limit = 0.0032;
    assert_eq!(found(&p, 0.0).mr45, 0x3ff);
}

#[test]
fn a_state_that_is_not_a_number_is_no_response() {
    let found = history(&quiet(), &plan(), &[f64::NAN; 11], 0.0, key(1)).found;
    assert_eq!(found, Findings::default());
}

#[test]
fn each_kind_of_event_is_found_at_its_visit() {
    let p = quiet();
    let at = |ratios: &[f64]| {
        let h = history(&p, &plan(), ratios, 0.0, key(1));
        (h.event, h.event_kind)
    };
    // Normal counts at month 6, above 20e9/L at month 12; never a major cytogenetic response.
    assert_eq!(at(&[6.0, 5.0, 1.5, 4.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0]), (12.0, Event::LostChr));
    // Ph+ in marrow 15 % at month 6, 47 % at month 24; blood counts stay normal.
    assert_eq!(at(&[6.0, 0.5, 0.1, 0.1, 0.1, 0.1, 0.1, 0.5, 0.5, 0.5, 0.5]), (24.0, Event::LostMcyr));
    // Never normal; twice the least count at month 12.
    assert_eq!(at(&[6.0, 4.0, 3.0, 5.0, 14.0, 15.0, 15.0, 15.0, 15.0, 15.0, 15.0]), (12.0, Event::RisingCount));
    // High and rising, but not to twice as much.
    assert_eq!(at(&[6.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 11.0, 11.0, 11.0, 11.0]).1, Event::None);
    // High but falling is no event.
    assert_eq!(at(&[17.0, 16.0, 15.0, 14.0, 13.0, 12.0, 11.0, 10.0, 9.0, 8.0, 7.0]).1, Event::None);
}

#[test]
fn counts_at_the_thresholds_are_those_of_leukaemic_cells_that_displace_normal_ones() {
    for (threshold, count) in [(CHR_RATIO, 10.0), (HIGH_COUNT_RATIO, 20.0)] {
        assert!((7.0 * white_cells(threshold) / count - 1.0).abs() < 1e-3, "{threshold}");
        let leukaemic = f64::sqrt(0.25 + threshold) - 0.5;
        assert!((leukaemic * (1.0 + leukaemic) / threshold - 1.0).abs() < 1e-12);
    }
}

#[test]
fn progression_ends_treatment_where_the_load_crosses_the_draw() {
    let mut p = quiet();
    (p.hazard_transformation, p.hazard_cml_death, p.transplant_share) = (2.0, 3.0, 0.0);
    for j in 0..200 {
        let rng = &mut key(j).stream(Purpose::Event);
        let [progression, _, cml] = [rng.exponential(), rng.exponential(), rng.exponential()];
        let expected = 12.0 * progression / 2.0 / 0.5;
        let h = history(&p, &plan(), &RESPONDER, 0.5, key(j));
        if expected <= 60.0 {
            assert!((h.progressed - expected).abs() < 1e-9);
            assert_eq!((h.left, h.event), (h.progressed, h.progressed));
            assert_eq!((h.reason, h.event_kind), (Leaving::Unsatisfactory, Event::Progression));
            assert_eq!(h.attended, MONTHS.iter().filter(|&&m| m < expected).fold(0, |set, _| set << 1 | 1));
            let death = expected + 12.0 * cml / 3.0;
            assert_eq!((h.died_of_cml, h.died.is_finite()), (death <= 60.0, death <= 60.0));
        } else {
            assert_eq!((h.progressed, h.left, h.event), (f64::INFINITY, f64::INFINITY, f64::INFINITY));
        }
    }
}

#[test]
fn other_death_ends_treatment_and_precludes_progression() {
    let mut p = quiet();
    (p.hazard_other_death, p.hazard_transformation) = (0.2, 0.05);
    let mut deaths = 0;
    for j in 0..20_000 {
        let h = history(&p, &plan(), &RESPONDER, 1.0, key(j));
        if h.event_kind == Event::Death {
            deaths += 1;
            assert_eq!((h.left, h.event, h.reason), (h.died, h.died, Leaving::Death));
            assert!(h.progressed.is_infinite() && !h.died_of_cml);
        }
    }
    // Null: death precedes progression and month 60 with probability 0.2/0.25 (1 - exp(-1.25)) = 0.5708; n = 20 000,
    // 5 SE: false-alarm rate 6e-7.
    assert!((f64::from(deaths) / 2e4 - 0.5708).abs() < 5.0 * (0.5708f64 * 0.4292 / 2e4).sqrt(), "{deaths}");
}

#[test]
fn an_unsatisfactory_response_drives_away_while_it_lasts() {
    let mut p = quiet();
    // Marrow odds at which normal blood counts go with hardly a normal metaphase.
    (p.hazard_unsatisfactory, p.transplant_share, p.marrow_odds) = (2.0, 0.5, 20.0);
    let mut transplants = 0;
    for j in 0..400 {
        let rng = &mut key(j).stream(Purpose::Dropout);
        let draw = [rng.exponential(), rng.exponential(), rng.exponential()][2];
        let waited = 12.0 * draw / 2.0;
        // No normal counts at month 6, normal and free of Ph+ from month 9 on.
        let late = [6.0, 6.0, 5.0, 1e-6, 1e-6, 1e-6, 1e-6, 1e-6, 1e-6, 1e-6, 1e-6];
        let h = history(&p, &plan(), &late, 0.0, key(j));
        if waited < 3.0 {
            assert!((h.left - 6.0 - waited).abs() < 1e-9 && h.attended == 0b11);
            transplants += u32::from(h.reason == Leaving::Transplant);
        } else {
            assert_eq!((h.left, h.reason), (f64::INFINITY, Leaving::Stayed));
        }
        // Normal counts but all Ph+: unsatisfactory from month 12 on.
        let h = history(&p, &plan(), &[0.7; 11], 0.0, key(j));
        let expected = if waited <= 48.0 { 12.0 + waited } else { f64::INFINITY };
        assert!(h.left == expected || (h.left - expected).abs() < 1e-9, "{h:?} {expected}");
        // A good response, lost at month 24 and regained at month 30.
        let relapse = [6.0, 0.5, 1e-6, 1e-6, 1e-6, 1e-6, 1e-6, 0.6, 1e-6, 1e-6, 1e-6];
        let h = history(&p, &plan(), &relapse, 0.0, key(j));
        let expected = if waited < 6.0 { 24.0 + waited } else { f64::INFINITY };
        assert!(h.left == expected || (h.left - expected).abs() < 1e-9);
    }
    assert!(transplants > 20);
}

#[test]
fn leaving_that_is_blind_to_response_follows_its_hazards() {
    let mut p = quiet();
    (p.hazard_adverse, p.adverse_first_year, p.hazard_other_leaving) = (0.05, 3.0, 0.02);
    let n = 20_000;
    let left: Vec<History> = (0..n).map(|j| history(&p, &plan(), &RESPONDER, 0.0, key(j))).collect();
    // Null: survival exp(-(0.05 (3 min(t, 1) + max(t - 1, 0)) + 0.02 t)); n = 20 000, 5 SE at two times and one share:
    // false-alarm rate 2e-6.
    for years in [0.5f64, 2.5] {
        let expected = (-(0.05 * (3.0 * years.min(1.0) + (years - 1.0).max(0.0)) + 0.02 * years)).exp();
        let stayed = left.iter().filter(|h| h.left > 12.0 * years).count() as f64 / n as f64;
        assert!((stayed - expected).abs() < 5.0 * (expected * (1.0 - expected) / n as f64).sqrt(), "{stayed} {expected}");
    }
    let early: Vec<_> = left.iter().filter(|h| h.left <= 12.0).collect();
    let adverse = early.iter().filter(|h| h.reason == Leaving::Adverse).count() as f64 / early.len() as f64;
    let expected: f64 = 0.15 / 0.17;
    assert!((adverse - expected).abs() < 5.0 * (expected * (1.0 - expected) / early.len() as f64).sqrt(), "{adverse}");
}

#[test]
fn one_per_cent_is_about_where_ph_positive_cells_disappear() {
    // Null: P(0 of 20) = (1 + odds)^-20 with odds 2.4 times the ratio: 0.39, 0.62, 0.91 at 1, 0.5, 0.1 %; and a
    // major response below 35 %. n = 10 000 patients, one visit each, 5 SE: false-alarm rate 2e-6.
    let plan = Plan { months: vec![12.0], marrow: 1, horizon: 12.0 };
    let mut p = quiet();
    p.marrow_odds = 2.4;
    let share = |p: &Population, x: f64, of: fn(&Findings) -> Visits| {
        (0..10_000).filter(|&j| of(&history(p, &plan, &[x, x], 0.0, key(j)).found) == 1).count() as f64 / 1e4
    };
    for (is, published) in [(1.0, 0.39), (0.5, 0.62), (0.1, 0.91)] {
        let expected = (1.0 + 2.4 * ratio(is)).powi(-20);
        assert!((expected - published).abs() < 0.006, "{expected}");
        let found = share(&p, ratio(is), |f| f.ccyr);
        assert!((found - expected).abs() < 5.0 * (expected * (1.0 - expected) / 1e4f64).sqrt(), "{is}: {found}");
    }
    // Binomial(20, 0.3) up to 7: 0.7723.
    let found = share(&p, 0.3 / 0.7 / 2.4, |f| f.mcyr);
    assert!((found - 0.7723).abs() < 5.0 * (0.7723f64 * 0.2277 / 1e4).sqrt(), "{found}");
    // Noise: one SD above 1 % reads at most 1 % with probability 0.1587.
    p.pcr_sd = 0.2;
    let found = share(&p, ratio(10f64.powf(0.2)), |f| f.is1);
    assert!((found - 0.1587).abs() < 5.0 * (0.1587f64 * 0.8413 / 1e4).sqrt(), "{found}");
}

#[test]
fn counting_noise_makes_no_false_loss() {
    // Steady 30 % Ph+ over 128 marrow visits: every fourth count is above 35 %, none is an event.
    let plan = Plan { months: (1..=128).map(f64::from).collect(), marrow: Visits::MAX, horizon: 128.0 };
    let p = quiet();
    for j in 0..50 {
        let h = history(&p, &plan, &[0.3 / 0.7 / p.marrow_odds; 129], 0.0, key(j));
        assert!(h.found.mcyr != Visits::MAX && h.event_kind == Event::None);
        assert_eq!(h.attended, Visits::MAX);
    }
}

/// Random trajectories under the full default population.
fn random(j: u64, visits: usize) -> Vec<f64> {
    let rng = &mut key(j).stream(Purpose::Simulate);
    let mut x: f64 = 6.0;
    (0..=visits)
        .map(|_| {
            x *= (1.5 * rng.normal() - 0.4).exp();
            x
        })
        .collect()
}

#[test]
fn histories_keep_their_order() {
    let plan = Plan { marrow: 0b01_0111_1010, ..plan() };
    let mut p = Population::new(&defaults()).unwrap();
    (p.hazard_other_death, p.hazard_unsatisfactory, p.hazard_transformation) = (0.05, 1.0, 0.3);
    let within = |a: Visits, b: Visits| a & !b == 0;
    let mut kinds = [0; 6];
    for j in 0..5000 {
        let h = history(&p, &plan, &random(j, 10), 0.2, key(j));
        let f = h.found;
        assert!(within(f.mr45, f.mr4) && within(f.mr4, f.mmr) && within(f.mmr, f.is1) && within(f.is1, f.is10));
        assert!(within(f.ccyr, f.mcyr) && within(f.mcyr, plan.marrow));
        assert!(h.left <= h.died || h.died.is_infinite());
        assert!(h.left <= h.progressed || h.progressed.is_infinite());
        assert!(h.event <= h.left || h.event.is_infinite());
        assert_eq!(h.event_kind == Event::None, h.event.is_infinite());
        assert!((h.reason == Leaving::Stayed) == h.left.is_infinite());
        assert!(!h.died_of_cml || h.progressed <= h.died && h.died.is_finite());
        assert!(h.progressed <= h.died || h.died.is_infinite() || h.progressed.is_infinite());
        for month in [h.left, h.event, h.progressed, h.died] {
            assert!(month > 0.0 && (month <= plan.horizon || month.is_infinite()));
        }
        for (k, &month) in plan.months.iter().enumerate() {
            assert_eq!(h.attended >> k & 1 == 1, month < h.left);
        }
        kinds[h.event_kind as usize] += 1;
    }
    assert!(kinds.iter().all(|&n| n > 0), "every kind of event occurs: {kinds:?}");
}

#[test]
fn a_longer_horizon_changes_nothing_that_came_before() {
    let long = plan();
    let short = Plan { months: MONTHS[..6].to_vec(), marrow: 0b11_1111, horizon: 18.0 };
    let mut p = Population::new(&defaults()).unwrap();
    (p.hazard_other_death, p.hazard_unsatisfactory, p.hazard_transformation) = (0.1, 1.0, 0.5);
    for j in 0..2000 {
        let ratios = random(j, 10);
        let [a, b] = [&short, &long].map(|plan| history(&p, plan, &ratios, 0.4, key(j)));
        let early = |set: Visits| set & 0b11_1111;
        let cut = |month: f64| if month <= 18.0 { month } else { f64::INFINITY };
        assert_eq!(a.found.mmr, early(b.found.mmr));
        assert_eq!((a.found.ccyr, a.found.mcyr), (early(b.found.ccyr), early(b.found.mcyr)));
        assert_eq!(a.attended, early(b.attended));
        assert_eq!([a.left, a.event, a.progressed, a.died], [b.left, b.event, b.progressed, b.died].map(cut));
        assert!(a.left.is_infinite() || a.reason == b.reason);
        assert!(a.event.is_infinite() || a.event_kind == b.event_kind);
    }
}

#[test]
fn levels_are_the_logarithms_of_their_percentages() {
    for (ln, percent) in LN_LEVELS.iter().zip([10.0, 1.0, 0.1, 0.01, 0.0032f64]) {
        assert!((ln - (percent / 100.0).ln()).abs() < 1e-13);
    }
}

/// Without any load under treatment, those progress whose clone was there at diagnosis. Null: a share
/// `1 - exp(-h B)` has one, B the years of exposure before, born at a time before diagnosis with the density of the load,
/// `exp(t / B)`; those whose clone is older than the latency L were not enrolled, so that at L years after diagnosis all
/// others have progressed: `1 - exp(-h B)` less `1 - exp(-h B exp(-L / B))`, by the time of birth. n = 40 000, within 4.5
/// standard errors: false-alarm rate 7e-6 for each of two. Seen to fail with the age in days, and without the latency.
#[test]
fn clones_from_before_diagnosis_show_within_their_latency() {
    let mut p = quiet();
    (p.hazard_transformation, p.growth_before, p.latency) = (0.4, 0.003, 1.5);
    let before = 1.0 / (0.003 * 365.25);
    let n = 40_000u64;
    let months: Vec<f64> = (0..n).map(|j| history(&p, &plan(), &RESPONDER, 0.0, key(j)).progressed).collect();
    let share = |from: f64| 1.0 - (-0.4 * before * (-from / before).exp()).exp();
    for by in [0.5, 1.5] {
        // Born between L and L - by years before diagnosis.
        let expected = share(1.5 - by) - share(1.5);
        let found = months.iter().filter(|&&month| month <= 12.0 * by).count() as f64 / n as f64;
        let se = (expected * (1.0 - expected) / n as f64).sqrt();
        assert!((found - expected).abs() < 4.5 * se, "by {by} y: {found} for {expected}");
    }
}

/// Null: hazard 0.004 at 50, rising by 0.085 a year of age, survival `exp(-h (exp(s t) - 1) / s)` at 5 years for a
/// patient of 62. n = 20 000, within 4.5 standard errors.
#[test]
fn death_of_other_causes_follows_gompertz() {
    let mut p = quiet();
    (p.hazard_other_death, p.mortality_slope) = (0.02, 0.085);
    (p.age, p.age_sd) = (62.0, 0.0);
    let n = 20_000u64;
    let died = (0..n).filter(|&j| history(&p, &plan(), &RESPONDER, 0.0, key(j)).died <= 60.0).count() as f64 / n as f64;
    let now = 0.02 * (0.085f64 * 12.0).exp();
    let expected = 1.0 - (-now * ((0.085f64 * 5.0).exp() - 1.0) / 0.085).exp();
    assert!((died - expected).abs() < 4.5 * (expected * (1.0 - expected) / n as f64).sqrt(), "{died} for {expected}");
}

#[test]
fn a_clone_waits_out_its_latency_at_the_speed_that_treatment_leaves_it() {
    assert_eq!(overt(&[(0.0, 1.0)], 3.0, 5.0), 8.0);
    // Half the speed from month 4 on, none from month 10 to 20.
    let growth = [(0.0, 1.0), (4.0, 0.5), (10.0, 0.0), (20.0, 1.0)];
    assert_eq!(overt(&growth, 3.0, 5.0), 21.0);
    assert_eq!(overt(&growth, 12.0, 1.0), 21.0);
    assert_eq!(overt(&growth[..3], 12.0, 1.0), f64::INFINITY);
    assert_eq!(overt(&growth, f64::INFINITY, 1.0), f64::INFINITY);
}
