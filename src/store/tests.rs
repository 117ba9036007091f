//! A file gives back what was put in, whatever happens while it is written.
//!
//! `NICHO_SAMPLE=run.h5 cargo test --lib store::tests::sample` writes a sample file for the readers in `tests/python`.
#![allow(clippy::unwrap_used)]

use std::process::Command;
use std::time::{Duration, Instant};

use ndarray::Array2;
use serde_json::json;

use super::*;
use crate::density::network::Network;
use crate::distance::{Foretold, Parts};
use crate::population::{Calibration, Draws, Learnt, Ranked, Regressed, Regressor, Reused, Shape, Surrogated};
use crate::rng::{Key, Purpose, Stream};

fn column(name: impl Into<String>, unit: &str) -> Column {
    let name = name.into();
    Column { long_name: format!("meaning of {name} (µ, ≥, 90 %)"), unit: unit.into(), name }
}

fn header(parameters: usize, summaries: usize) -> Header {
    let row = |i: usize| PredictedRow {
        id: format!("trial/row-{i:02}"),
        label: format!("MMR by month {}", 6 * i),
        role: if i < summaries { "fitted" } else { "validation" }.into(),
        unit: "-".into(),
        month: 6.0 * i as f64,
        value: 0.02 * i as f64,
        se: 0.01 + 0.001 * i as f64,
        n: 500 + i as u64,
        kind: if i == 0 { "ever".into() } else { String::new() },
        ..PredictedRow::default()
    };
    Header {
        job_name: "sample".into(),
        job_text: "# more than the 64 KiB that a compact attribute can hold\n".repeat(2000),
        job_canonical: r#"{"seed":1}"#.into(),
        observations_name: "imatinib.csv".into(),
        observations_text: "id,value\nrow-00,0\n".into(),
        observations_sha256: "00ff".into(),
        parameters: (0..parameters).map(|i| column(format!("k_{i}"), "1/day")).collect(),
        summaries: (0..summaries).map(|i| column(format!("row-{i:02}"), "-")).collect(),
        observed: (0..summaries).map(|i| 0.02 * i as f64).collect(),
        fixed: vec![(column("zeta", "1/day"), 0.1), (column("alpha", "-"), 1e-300)],
        rows: (0..summaries + 3).map(row).collect(),
    }
}

fn scenario(name: &str, draws: usize, particles: usize) -> Scenario {
    let mut rng = Key::root(draws as u64).stream(Purpose::Predict);
    let row = |month: f64| AskedRow {
        id: format!("mmr_ever_ccyr@12_{month}"),
        label: format!("MMR ever, by month {month}, in CCyR ≥ 12"),
        endpoint: "mmr".into(),
        kind: "ever".into(),
        given: "ccyr@12".into(),
        month,
    };
    let mut values = || {
        let mut values = ndarray::Array3::from_shape_simple_fn((draws, 2, 3), || rng.uniform());
        values[(0, 1, 2)] = f64::NAN;
        values
    };
    Scenario {
        name: name.into(),
        title: "Imatinib, and more of it".into(),
        text: "# Question: …\nname = \"doses\"\n".repeat(3000),
        patients: 553,
        arms: vec!["imatinib 400 mg/d".into(), "800 mg".into()],
        rows: [12.0, 24.0, 36.5].map(row).to_vec(),
        particle: (0..draws).map(|i| i % particles).collect(),
        posterior: values(),
        prior: values(),
        rules: (0..2).map(|arm| ActedRule { arm, name: "start".into(), posterior: 1.0, prior: 0.25 }).collect(),
    }
}

fn random(shape: (usize, usize), rng: &mut Stream) -> Array2<f64> {
    Array2::from_shape_simple_fn(shape, || rng.normal())
}

fn generation(index: u64, particles: usize, header: &Header) -> Generation {
    let mut rng = Key::root(index).stream(Purpose::Simulate);
    Generation {
        tolerance: if index == 0 { f64::INFINITY } else { 1.0 / index as f64 },
        theta: random((particles, header.parameters.len()), &mut rng),
        distance: (0..particles).map(|_| rng.uniform() / (index + 1) as f64).collect(),
        ln_weight: (0..particles).map(|i| if i == 1 { f64::NEG_INFINITY } else { rng.normal() }).collect(),
        trial: (0..particles as u64).map(|i| 3 * i + index).collect(),
        summaries: random((particles, header.summaries.len()), &mut rng),
        simulated: 3 * particles as u64,
        failed: index,
    }
}

fn predictive(count: usize, header: &Header, particle: Vec<usize>) -> Predictive {
    let mut rng = Key::root(99).stream(Purpose::Predict);
    let mut values = random((count, header.rows.len()), &mut rng);
    values.row_mut(0).fill(f64::NAN);
    Predictive { draws: Draws { theta: random((count, header.parameters.len()), &mut rng), particle }, values }
}

fn posterior(count: usize, store: &Store, header: &Header) -> Predictive {
    let last = store.run().last().unwrap();
    let picked = last.weights().resample(count, &mut Key::root(3).stream(Purpose::Resample));
    let mut posterior = predictive(count, header, picked);
    for (mut to, from) in posterior.draws.theta.rows_mut().into_iter().zip(&posterior.draws.particle) {
        to.assign(&last.theta.row(*from));
    }
    posterior
}

fn modes(header: &Header) -> Vec<Mode> {
    let width = header.parameters.len();
    let one = |i: usize| Mode {
        theta: vec![0.5 * i as f64; width],
        objective: -1.5,
        distance: 0.25,
        start: 3.0,
        weight: 0.5,
        evaluations: 1000 + i as u64,
        converged: i == 0,
        curvature_sd: vec![if i == 0 { 0.1 } else { f64::NAN }; width],
    };
    vec![one(0), one(1)]
}

fn profile(header: &Header) -> Profile {
    let values = |offset: f64| Array2::from_shape_fn((header.parameters.len(), 5), |(k, i)| offset + (10 * k + i) as f64);
    let mut objective = values(0.5);
    objective[(0, 0)] = f64::NAN;
    Profile { value: values(0.0), objective, misfit: values(0.25), evaluations: 77 }
}

fn adjusted(header: &Header) -> Adjusted {
    let theta = random((6, header.parameters.len()), &mut Key::root(6).stream(Purpose::Resample));
    let shape = Shape { first: 1, cells: 4, quadratic: true, scaled: false, local: true, bandwidth: 0.35 };
    Adjusted { theta, learnt: Learnt::Surrogate(Surrogated { shape, score: -1.5, score_error: 0.25 }), fitted: 99 }
}

/// The other method of adjustment, and what a pilot learnt.
#[test]
fn a_regression_and_a_distance_are_read_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let mut store = full(&path, 20, 4);
    let m = store.header().summaries.len();
    let parts =
        Parts { scale: vec![0.5; m], weight: vec![0.0; m], outlying: (0..m).map(|k| k % 2 == 0).collect(), foretold: None };
    store.put_distance(&parts).unwrap();
    assert_eq!(Store::open(&path).unwrap().distance(), Some(&parts));
    let d = store.header().parameters.len();
    let slope = Array2::from_shape_fn((d, m), |(k, j)| k as f64 - 0.5 * j as f64);
    let parts = Parts { foretold: Some(Foretold { slope, network: None, explained: vec![0.25; d] }), ..parts };
    let network = Network {
        centre: vec![0.5; m],
        bias: vec![1.0, 2.0, 3.0],
        hidden: Array2::from_shape_fn((m, 3), |(j, h)| j as f64 + 0.1 * h as f64),
        offset: vec![-1.0; d],
        output: Array2::from_shape_fn((3, d), |(h, k)| h as f64 - 0.1 * k as f64),
    };
    let foretold = Foretold { network: Some(network), ..parts.foretold.clone().unwrap() };
    let by_network = Parts { foretold: Some(foretold), ..parts.clone() };
    let reused = Reused { earlier: 7, before: 10.5, after: 14.25 };
    let linear =
        Regressed { by: Regressor::Linear, reused: None, ess: 12.5, explained: (0..d).map(|k| 0.1 * k as f64).collect() };
    let with = Regressed { reused: Some(reused), ..linear.clone() };
    let network = Regressed { by: Regressor::Network, ..with.clone() };
    let mut digests = vec![store.digests()];
    let all = [Learnt::Regression(linear), Learnt::Regression(with), Learnt::Regression(network), Learnt::Reuse(reused)];
    for (learnt, parts) in all.into_iter().zip([&parts, &parts, &by_network, &by_network]) {
        store.put_distance(parts).unwrap();
        let adjusted = Adjusted { learnt, ..adjusted(store.header()) };
        store.put_adjusted(&adjusted).unwrap();
        assert!(!digests.contains(&store.digests()));
        digests.push(store.digests());
        let again = Store::open(&path).unwrap();
        assert_eq!((again.adjusted(), again.distance(), again.digests()), (Some(&adjusted), Some(parts), store.digests()));
    }
    let mut parts = store.distance().cloned().unwrap();
    parts.foretold.iter_mut().flat_map(|f| &mut f.network).for_each(|network| network.bias.truncate(2));
    assert!(store.put_distance(&parts).is_err());
}

/// A calibration of the job stays when the run goes on, and one of other parameters is refused.
///
/// Planted: `inside` read for the ranks. Seen: an error of shapes; ranks left out of the digest: the next assertion.
#[test]
fn a_calibration_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let mut store = full(&path, 20, 4);
    let mut rng = Key::root(4).stream(Purpose::Pilot);
    let mut lines = || -> Vec<Ranked> {
        let line = |(k, column): (usize, &Column)| Ranked {
            name: column.name.clone(),
            ranks: (0..7).map(|_| rng.below(100)).collect(),
            inside: [k, 6],
            whole: k == 1,
            recovery: (0..7).map(|_| (rng.normal(), rng.normal())).collect(),
        };
        store.header().parameters.iter().enumerate().map(line).collect()
    };
    let calibration = Calibration { tolerance: 1.5, population: 60, lines: lines(), adjusted: None };
    let with = Calibration { adjusted: Some(lines()), ..calibration.clone() };
    let mut other = calibration.clone();
    other.lines[2].ranks[3] = (other.lines[2].ranks[3] + 1) % 100;
    let mut digests = vec![store.digests()];
    for calibration in [&calibration, &with, &other] {
        store.put_calibration(calibration).unwrap();
        let again = Store::open(&path).unwrap();
        assert_eq!((again.calibration(), again.digests()), (Some(calibration), store.digests()));
        assert!(!digests.contains(&store.digests()));
        digests.push(store.digests());
    }
    let before = std::fs::read(&path).unwrap();
    for wrong in [
        Calibration { lines: calibration.lines[1..].to_vec(), ..calibration.clone() },
        Calibration { lines: Vec::new(), ..calibration.clone() },
        Calibration { adjusted: Some(Vec::new()), ..calibration.clone() },
    ] {
        assert!(store.put_calibration(&wrong).is_err());
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let header = store.header().clone();
    store.append(generation(3, 20, &header)).unwrap();
    assert_eq!((store.calibration(), store.adjusted()), (Some(&other), None));
}

fn full(path: &Path, particles: usize, draws: usize) -> Store {
    let header = header(4, 5);
    let mut store = Store::create(path, &header).unwrap();
    store.record(&json!({"threads": 2, "started": "now"}));
    store.write().unwrap();
    for index in 0..3 {
        store.append(generation(index, particles, &header)).unwrap();
    }
    store.finish(Stop::AcceptanceRate, 17).unwrap();
    store.put_prior(&predictive(draws, &header, Vec::new())).unwrap();
    store.put_posterior(&posterior(draws, &store, &header)).unwrap();
    store.put_modes(&modes(&header), Some(&profile(&header))).unwrap();
    store.put_adjusted(&adjusted(&header)).unwrap();
    store.record(&json!({"threads": 2, "started": "now", "wall_seconds": 1.5}));
    store.write().unwrap();
    store
}

/// Bits, so that NaN equals NaN and -0 does not equal 0.
fn bits(store: &Store) -> String {
    let c = &store.contents;
    let numbers = |a: &Array2<f64>| a.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let predictive =
        |p: &Option<Predictive>| p.as_ref().map(|p| (numbers(&p.draws.theta), p.draws.particle.clone(), numbers(&p.values)));
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        c.header,
        c.run,
        predictive(&c.prior),
        predictive(&c.posterior),
        c.modes,
        c.profile,
        c.adjusted,
        c.sessions
    )
}

#[test]
fn sample() {
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::var_os("NICHO_SAMPLE").map_or(folder.path().join("run.h5"), PathBuf::from);
    let store = full(&path, 500, 200);
    let again = Store::open(&path).unwrap();
    assert_eq!(bits(&again), bits(&store));
    assert_eq!(again.digests(), store.digests());
    let names: Vec<String> = store.digests().into_iter().map(|d| d.0).collect();
    assert_eq!(names, ["inference", "prior_predictive", "posterior_predictive", "modes", "profile", "adjusted"]);
    assert_eq!(again.sessions(), [json!({"threads": 2, "started": "now", "wall_seconds": 1.5})]);
    if std::env::var_os("NICHO_SAMPLE").is_some() {
        // A run that has only begun must open as well.
        Store::create(path.with_extension("begun.h5"), store.header()).unwrap();
    }
}

#[test]
fn a_run_that_has_only_begun_and_one_without_rows_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let header = Header { rows: vec![], summaries: vec![], observed: vec![], fixed: vec![], ..header(2, 0) };
    let mut store = Store::create(&path, &header).unwrap();
    assert_eq!(bits(&Store::open(&path).unwrap()), bits(&store));
    store.append(generation(0, 7, &header)).unwrap();
    store.put_posterior(&Predictive { values: Array2::zeros((5, 0)), ..posterior_without_rows(&store, &header) }).unwrap();
    store.put_modes(&[], None).unwrap();
    assert_eq!(bits(&Store::open(&path).unwrap()), bits(&store));
}

fn posterior_without_rows(store: &Store, header: &Header) -> Predictive {
    let mut rng = Key::root(4).stream(Purpose::Predict);
    let theta = random((5, header.parameters.len()), &mut rng);
    Predictive {
        draws: Draws { theta, particle: vec![0, 1, 2, 3, store.run().last().unwrap().len() - 1] },
        values: Array2::zeros((5, 0)),
    }
}

#[test]
fn the_digest_is_of_the_inference_and_of_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (a, header) = (folder.path().join("a.h5"), header(3, 4));
    let mut one = Store::create(&a, &header).unwrap();
    one.append(generation(0, 50, &header)).unwrap();
    let before = one.digests();

    let renamed =
        Header { job_name: "other".into(), job_text: "other".into(), observations_text: String::new(), ..header.clone() };
    let mut two = Store::create(folder.path().join("b.h5"), &renamed).unwrap();
    two.record(&json!({"threads": 64}));
    two.write().unwrap();
    two.append(Generation { failed: 1000, ..generation(0, 50, &header) }).unwrap();
    two.finish(Stop::Generations, 5).unwrap();
    assert_eq!(two.digests(), before);

    let mut changed = generation(0, 50, &header);
    changed.summaries[[49, 3]] = f64::from_bits(changed.summaries[[49, 3]].to_bits() ^ 1);
    for (header, generation) in [
        (header.clone(), changed),
        (Header { job_canonical: "{}".into(), ..header.clone() }, generation(0, 50, &header)),
        (Header { observations_sha256: "".into(), ..header.clone() }, generation(0, 50, &header)),
    ] {
        let mut other = Store::create(folder.path().join("c.h5"), &header).unwrap();
        other.append(generation).unwrap();
        assert_ne!(other.digests(), before);
    }
}

#[test]
fn a_further_generation_drops_what_was_derived_from_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let mut store = full(&path, 20, 10);
    store.put_scenario(&scenario("doses", 5, 20)).unwrap();
    store.append(generation(3, 20, &header(4, 5))).unwrap();
    let again = Store::open(&path).unwrap();
    assert!(
        again.scenarios().is_empty()
            && again.posterior().is_none()
            && again.modes().is_none()
            && again.profile().is_none()
            && again.run().stopped.is_none()
    );
    assert!(again.prior().is_some());
}

#[test]
fn scenarios_come_back_and_are_no_part_of_the_inference() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let mut store = full(&path, 20, 10);
    let (before, bytes) = (store.digests(), fs::read(&path).unwrap());
    let values = |s: &Scenario| s.posterior.iter().chain(&s.prior).map(|x| x.to_bits()).collect::<Vec<_>>();
    let same = |a: &Scenario, b: &Scenario| {
        let bare = |s: &Scenario| Scenario { posterior: Default::default(), prior: Default::default(), ..s.clone() };
        bare(a) == bare(b) && a.posterior.dim() == b.posterior.dim() && values(a) == values(b)
    };
    let (doses, other) = (scenario("Doses, all of them!", 7, 20), scenario("other", 300, 20));
    store.put_scenario(&doses).unwrap();
    store.put_scenario(&other).unwrap();
    let again = Store::open(&path).unwrap();
    assert!(again.scenarios().len() == 2 && same(&again.scenarios()[0], &doses) && same(&again.scenarios()[1], &other));
    let digests = again.digests();
    assert_eq!(digests[..before.len()], before);
    let names: Vec<&str> = digests[before.len()..].iter().map(|d| d.0.as_str()).collect();
    assert_eq!(names, ["scenario doses-all-of-them", "scenario other"]);
    // Predicted again: in its old place, with another digest.
    let later = scenario("doses: all of them", 8, 20);
    store.put_scenario(&later).unwrap();
    let again = Store::open(&path).unwrap();
    assert!(again.scenarios().len() == 2 && same(&again.scenarios()[0], &later));
    assert_ne!(again.digests()[before.len()], digests[before.len()]);
    assert_eq!(again.digests()[before.len() + 1], digests[before.len() + 1]);
    // Without scenarios a file has the bytes that it had before there were any.
    store.change(|contents| contents.scenarios.clear()).unwrap();
    assert!(fs::read(&path).unwrap() == bytes);
}

#[test]
fn the_digest_of_a_scenario_is_of_all_that_is_predicted() {
    let base = scenario("doses", 5, 20);
    let digest = |change: &dyn Fn(&mut Scenario)| {
        let mut changed = base.clone();
        change(&mut changed);
        digest::scenario(&changed)
    };
    let before = digest(&|_| {});
    assert_eq!(digest(&|s| s.rows[0].label = "other words".into()), before);
    let changes: [&dyn Fn(&mut Scenario); 9] = [
        &|s| s.rules[1].posterior = 0.75,
        &|s| s.text.push('#'),
        &|s| s.patients += 1,
        &|s| s.arms.swap(0, 1),
        &|s| s.rows[1].kind = "at".into(),
        &|s| s.rows[1].month = 25.0,
        &|s| s.particle[0] = 19,
        &|s| s.prior[(4, 1, 0)] += 1e-16,
        &|s| s.posterior = Default::default(),
    ];
    changes.into_iter().enumerate().for_each(|(k, change)| assert_ne!(digest(change), before, "change {k}"));
}

#[test]
fn a_scenario_that_is_not_whole_is_refused_and_a_changed_one_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let mut store = full(&path, 20, 10);
    for (change, problem) in [
        ((|s: &mut Scenario| s.name = "…".into()) as fn(&mut Scenario), "a name of letters"),
        (|s| s.arms.push("third".into()), "values must be those of"),
        (|s| s.particle[0] = 20, "none of the 20 particles"),
        (|s| s.rules[0].arm = 2, "none of the 2 arms"),
        (|s| s.arms = vec!["same".into(); 2], "two of the arm names"),
        (|s| s.rows[1] = s.rows[0].clone(), "two of the row names"),
    ] {
        let mut bad = scenario("doses", 5, 20);
        change(&mut bad);
        let refused = store.put_scenario(&bad).unwrap_err().to_string();
        assert!(refused.contains(problem), "{refused}");
    }
    store.put_scenario(&scenario("doses", 5, 20)).unwrap();
    let needle: Vec<u8> = store.contents.scenarios[0].prior.iter().take(3).flat_map(|x| x.to_le_bytes()).collect();
    let mut bytes = write::bytes(&store.contents).unwrap();
    let at = bytes.windows(needle.len()).position(|w| w == needle).unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let problem = Store::open(&path).unwrap_err().to_string();
    assert!(problem.contains("the digest `scenario doses` does not fit"), "{problem}");
}

#[test]
fn equal_contents_are_equal_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.h5"), folder.path().join("b.h5"));
    full(&a, 300, 50);
    full(&b, 300, 50);
    assert!(fs::read(a).unwrap() == fs::read(b).unwrap());
}

#[test]
fn what_is_not_a_result_is_refused_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let problem = || Store::open(&path).unwrap_err().to_string();
    assert!(problem().contains("cannot read: No such file"), "{}", problem());
    fs::write(&path, "").unwrap();
    assert!(problem().contains("not an HDF5 file"), "{}", problem());
    fs::write(&path, netcdf::encode(|root| root.text_attribute("title", "another")).unwrap()).unwrap();
    assert!(problem().contains("not a result of nicho"), "{}", problem());
    fs::write(&path, netcdf::encode(|root| root.text_attribute("format", "nicho-run/2")).unwrap()).unwrap();
    assert!(problem().contains("its format is \"nicho-run/2\""), "{}", problem());
    full(&path, 100, 10);
    let whole = fs::read(&path).unwrap();
    for length in [9, 100, whole.len() / 2, whole.len() - 100] {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(problem().contains("truncated"), "{length}: {}", problem());
    }
}

#[test]
fn a_changed_number_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let header = header(2, 3);
    let mut store = Store::create(&path, &header).unwrap();
    let small = generation(1, 20, &header); // 20 × 2 numbers are stored as they are, not compressed
    store.append(small.clone()).unwrap();
    let mut bytes = write::bytes(&store.contents).unwrap(); // as another program would leave it, without the seal
    let needle: Vec<u8> = small.theta.iter().take(4).flat_map(|x| x.to_le_bytes()).collect();
    let at = bytes.windows(needle.len()).position(|w| w == needle).unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let problem = Store::open(&path).unwrap_err().to_string();
    assert!(problem.contains("the digest `inference` does not fit"), "{problem}");
}

#[test]
fn a_change_that_cannot_be_written_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    let path = inner.join("run.h5");
    let header = header(2, 3);
    let missing = Store::create(&path, &header).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }), "{missing}");
    assert!(missing.to_string().contains("inner: cannot write a result file into this folder: No such file"), "{missing}");

    fs::create_dir(&inner).unwrap();
    let mut store = Store::create(&path, &header).unwrap();
    let before = fs::read(&path).unwrap();
    fs::create_dir(inner.join("run.h5.tmp")).unwrap(); // works for root too, whom no permission stops
    assert!(matches!(store.append(generation(0, 5, &header)), Err(Error::Io { .. })));
    assert!(store.run().generations.is_empty());
    assert!(before == fs::read(&path).unwrap());

    fs::remove_dir(inner.join("run.h5.tmp")).unwrap();
    let misfit = store.append(generation(0, 5, &self::header(3, 3))).unwrap_err();
    assert!(misfit.to_string().contains("must hold 2 parameters and 3 summaries"), "{misfit}");
    let reserved = Header { parameters: vec![column("draw", "-")], ..header };
    assert!(Store::create(&path, &reserved).unwrap_err().to_string().contains("`draw`"));
    assert!(before == fs::read(&path).unwrap());
    assert_eq!(fs::read_dir(&inner).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_stays_one() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("file.h5"), folder.path().join("link.h5"));
    let header = header(2, 3);
    Store::create(&file, &header).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    Store::open(&link).unwrap().append(generation(0, 5, &header)).unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(Store::open(&file).unwrap().run().generations.len(), 1);
}

const VICTIM: &str = "NICHO_TEST_VICTIM";

/// Not a test of its own: what the child of the next test does.
#[test]
fn victim() {
    let Some(path) = std::env::var_os(VICTIM) else { return };
    let header = header(6, 8);
    let mut store = Store::create(path, &header).unwrap();
    for index in 0.. {
        store.append(generation(index, 400, &header)).unwrap();
    }
}

#[test]
fn a_kill_at_any_instant_leaves_complete_generations() {
    let folder = tempfile::tempdir().unwrap();
    let header = header(6, 8);
    let mut rng = Key::root(20).stream(Purpose::Simulate);
    let mut torn = 0;
    for round in 0..20 {
        let path = folder.path().join(format!("run-{round}.h5"));
        let beside = folder.path().join(format!("run-{round}.h5.tmp"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::victim"])
            .env(VICTIM, &path)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while !path.exists() && started.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros((rng.uniform() * 3e5) as u64));
        // Most of the time goes into encoding; every other kill waits for the file beside, to hit a write.
        let deadline = Instant::now() + Duration::from_secs(1);
        while round % 2 == 1 && !beside.exists() && Instant::now() < deadline {}
        child.kill().unwrap();
        child.wait().unwrap();
        torn += usize::from(beside.exists());
        let mut store = Store::open(&path).unwrap();
        let count = store.run().generations.len();
        for (index, found) in store.run().generations.iter().enumerate() {
            assert_eq!(*found, generation(index as u64, 400, &header));
        }
        // It goes on from there, over what the kill left beside.
        store.append(generation(count as u64, 400, &header)).unwrap();
        assert_eq!(Store::open(&path).unwrap().run().generations.len(), count + 1);
        assert!(!beside.exists());
    }
    println!("{torn} of 20 kills hit the middle of a write");
}

#[test]
fn a_flipped_bit_anywhere_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    full(&path, 20, 10);
    let whole = fs::read(&path).unwrap();
    let mut rng = Key::root(21).stream(Purpose::Simulate);
    for _ in 0..200 {
        let mut bytes = whole.clone();
        let at = (rng.uniform() * (bytes.len() - 100) as f64) as usize;
        bytes[at] ^= 1 << (rng.bits() % 8);
        fs::write(&path, bytes).unwrap();
        assert!(matches!(Store::open(&path), Err(Error::Store { .. })), "bit in byte {at}");
    }
}

/// `cargo test --release --lib store::tests::speed -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, not a test"]
fn speed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let header = header(10, 31);
    let mut store = Store::create(&path, &header).unwrap();
    for index in 0..60 {
        let next = generation(index, 1000, &header);
        let started = Instant::now();
        store.append(next).unwrap();
        if index % 10 == 0 || index == 59 {
            println!("generation {index}: {:?}, {} bytes", started.elapsed(), fs::metadata(&path).unwrap().len());
        }
    }
    let time = |what: &str, action: &dyn Fn()| {
        let started = Instant::now();
        action();
        println!("{what}: {:?}", started.elapsed());
    };
    time("open", &|| drop(Store::open(&path).unwrap()));
    time("encode", &|| drop(write::bytes(&store.contents).unwrap()));
    time("digest", &|| drop(store.digests()));
    time("clone", &|| drop(store.contents.clone()));
}
