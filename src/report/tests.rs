//! Numbers against hand computation, and a page that a browser takes, for a trial and for a coin.
//!
//! `NICHO_REPORT_DIR=folder cargo test --lib report::` leaves the pages there for a person to look at.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use ndarray::Array2;
use serde_json::json;

use super::*;
use crate::population::{Draws, Generation, Mode, Predictive, Profile, Stop};
use crate::rng::{Key, Purpose};
use crate::store::{Column, Header, PredictedRow};
use crate::trial::vocabulary::Role;

const IRIS: &str = include_str!("../../jobs/data/iris.csv");
/// The held-out row whose prediction is planted outside its band.
const ASTRAY: &str = "efs_84_no_mmr_18";

fn priors() -> Vec<Marginal> {
    vec![
        Marginal::LogNormal { median: 0.02, sd: 1.0 },
        Marginal::LogUniform { lower: 1e-12, upper: 1e-7 },
        Marginal::Beta { a: 2.0, b: 3.0 },
        Marginal::Uniform { lower: 0.0, upper: 10.0 },
        Marginal::LogNormal { median: 4.0, sd: 0.3 },
    ]
}

fn column(name: &str, unit: &str, long_name: &str) -> Column {
    Column { name: name.into(), unit: unit.into(), long_name: long_name.into() }
}

fn header(table: &Table) -> Header {
    let rows = table.rows().iter().map(|r| PredictedRow {
        id: r.id.clone(),
        label: r.definition.split(';').next().unwrap_or("").chars().take(60).collect(),
        // As a run writes it: what is not fitted is held out, context included.
        role: if r.role == Role::Fit { "fit" } else { "held_out" }.into(),
        unit: "-".into(),
        month: r.month,
        value: r.value,
        se: r.se.unwrap_or(f64::NAN),
        n: r.n.map_or(0, |n| n as u64),
        ..PredictedRow::default()
    });
    let fitted = table.fitted();
    Header {
        job_name: "IRIS <imatinib> & niche".into(),
        job_text: "name = \"iris\"\n# a < b & c\nseed = 7\n".into(),
        job_canonical: r#"{"seed":7,"model":{"name":"cml","patients":553},"sampler":{"name":"smc"},"distance":{"name":"trial"}}"#
            .into(),
        observations_name: "iris.csv".into(),
        observations_text: table.text().into(),
        observations_sha256: table.sha256(),
        parameters: vec![
            column("kill_rate", "1/day", "death rate of cycling leukaemic progenitors under imatinib"),
            column("mutation", "1/division", "probability of a resistance mutation"),
            column("adherence", "-", "share of doses that are taken"),
            column("niche_affinity", "-", "affinity for the niche, leukaemic over healthy"),
            column("turnover", "month", "mean residence time of a mature cell"),
        ],
        summaries: fitted.iter().map(|r| column(&r.id, "-", &r.definition)).collect(),
        observed: fitted.iter().map(|r| r.value).collect(),
        fixed: vec![(column("marrow_sites", "-", ""), 1e6)],
        rows: rows.collect(),
    }
}

/// Generation `g` of 4: a blob on the coordinates that shrinks towards 40 % of the prior, the last parameter left alone.
fn generation(g: u64, particles: usize, header: &Header) -> Generation {
    let mut rng = Key::root(g).stream(Purpose::Simulate);
    let shrink = 1.0 - 0.2 * g as f64;
    let mut theta = Array2::zeros((particles, 5));
    for mut row in theta.rows_mut() {
        let z = rng.normal();
        for (k, prior) in priors().iter().enumerate() {
            let u = prior.coordinate(prior.draw(&mut rng));
            let centre = [0.0f64.ln_1p() - 3.9, -22.0, 0.3, 6.0, 1.386][k];
            let drawn =
                if k == 4 || g == 0 { u } else { centre + shrink * (0.6 * (u - centre) + 0.3 * z * prior.coordinate_sd()) };
            let (low, high) = density::prior_range(prior);
            row[k] = prior.natural(drawn.clamp(low, high));
        }
    }
    Generation {
        tolerance: if g == 0 { f64::INFINITY } else { 9.0 * libm::exp(-0.7 * g as f64) },
        theta,
        distance: (0..particles).map(|_| rng.uniform()).collect(),
        ln_weight: (0..particles).map(|_| 0.5 * rng.normal()).collect(),
        trial: (0..particles as u64).map(|i| 3 * i).collect(),
        summaries: Array2::from_shape_simple_fn((particles, header.summaries.len()), || rng.uniform()),
        simulated: 1000 + 3000 * g * g * g,
        failed: 4 * g,
    }
}

fn predictive(header: &Header, count: usize, spread: f64, particle: Vec<usize>) -> Predictive {
    let mut rng = Key::root(5).stream(Purpose::Predict);
    let values = Array2::from_shape_fn((count, header.rows.len()), |(i, k)| {
        let row = &header.rows[k];
        let astray = if row.id == ASTRAY && spread < 0.1 { -0.2 } else { 0.0 };
        let z = rng.normal();
        if i == 3 { f64::NAN } else { (row.value + astray + (spread + 0.01) * (z + 0.4)).clamp(0.0, 1.0) }
    });
    Predictive { draws: Draws { theta: Array2::zeros((count, 5)), particle }, values }
}

/// Parabolas about the best mode, half as wide as the posterior; the last parameter is flat in the data and open above.
fn profile() -> Profile {
    let mode = [0.021, 1e-10, 0.57, 6.1, 4.1];
    let u = |k: usize, i: usize| priors()[k].coordinate(mode[k]) + 0.5 * (i as f64 - 4.0) * 0.5 * priors()[k].coordinate_sd();
    let rise = |k: usize, i: usize| if k == 4 && i > 4 { 0.2 } else { 0.5 * (i as f64 - 4.0).powi(2) };
    let value = Array2::from_shape_fn((5, 9), |(k, i)| priors()[k].natural(u(k, i)));
    let objective = Array2::from_shape_fn((5, 9), |(k, i)| if k == 3 && i == 8 { f64::NAN } else { 30.0 + rise(k, i) });
    let misfit = Array2::from_shape_fn((5, 9), |(k, i)| 25.0 + if k == 4 { 0.0 } else { 0.8 * rise(k, i) });
    Profile { value, objective, misfit, evaluations: 999 }
}

fn trial_store(folder: &Path, table: &Table) -> Store {
    let header = header(table);
    let mut store = Store::create(folder.join("run.h5"), &header).unwrap();
    (0..4).for_each(|g| store.append(generation(g, 600, &header)).unwrap());
    store.finish(Stop::AcceptanceRate, 10).unwrap();
    store.put_prior(&predictive(&header, 200, 0.25, Vec::new())).unwrap();
    store.put_posterior(&predictive(&header, 200, 0.012, vec![0; 200])).unwrap();
    let mode = |objective: f64, converged: bool| Mode {
        theta: vec![0.021, 1e-10, 0.57, 6.1, 4.1],
        objective,
        distance: 0.9,
        start: 8.0,
        weight: 0.5,
        evaluations: 12345,
        converged,
        curvature_sd: vec![0.004, 2e-11, 0.1, 0.5, f64::NAN],
    };
    store.put_modes(&[mode(3.0, false), mode(2.0, true)], Some(&profile())).unwrap();
    store.record(&json!({"version": "0.1.0", "threads": 2, "wall_seconds": 61.5}));
    store.write().unwrap();
    store
}

fn coin_store(folder: &Path, predicted: bool) -> Store {
    let header = Header {
        job_name: "coin".into(),
        job_text: String::new(),
        job_canonical: "{}".into(),
        observations_name: "values".into(),
        observations_text: String::new(),
        observations_sha256: String::new(),
        parameters: vec![column("heads", "-", "probability of heads")],
        summaries: vec![column("count", "-", "heads among 20")],
        observed: vec![14.0],
        fixed: Vec::new(),
        rows: Vec::from_iter(predicted.then(|| PredictedRow {
            id: "count".into(),
            label: "count".into(),
            role: "fit".into(),
            unit: "-".into(),
            month: f64::NAN,
            value: 14.0,
            se: f64::NAN,
            ..PredictedRow::default()
        })),
    };
    let mut store = Store::create(folder.join("coin.h5"), &header).unwrap();
    let n = 200;
    let theta = Array2::from_shape_fn((n, 1), |(i, _)| 0.5 + 0.35 * (i as f64 + 0.5) / n as f64);
    let summaries = Array2::from_shape_fn((n, 1), |(i, _)| 13.0 + (i % 3) as f64);
    let generation = Generation {
        tolerance: 1.0,
        theta,
        distance: vec![0.5; n],
        ln_weight: vec![0.0; n],
        trial: (0..n as u64).collect(),
        summaries,
        simulated: 900,
        failed: 0,
    };
    store.append(generation).unwrap();
    store.finish(Stop::Tolerance, 0).unwrap();
    if predicted {
        let values = Array2::from_shape_fn((n, 1), |(i, _)| 4.0 + (i % 17) as f64);
        store.put_posterior(&Predictive { draws: Draws { theta: Array2::zeros((n, 1)), particle: vec![0; n] }, values }).unwrap();
    }
    store
}

/// Tags are balanced, attributes quoted, ids unique; no `NaN`, no address outside, no script.
fn check_markup(page: &str) {
    let mut open: Vec<String> = Vec::new();
    let mut ids = HashSet::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        let end = at + rest[at..].find('>').unwrap();
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if tag.starts_with(['!', '?']) {
            continue;
        }
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap().to_string();
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if tag.starts_with('/') {
            assert_eq!(open.pop().as_deref(), Some(name.as_str()), "{tag} closes another element");
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        if let Some(id) = tag.split(" id=\"").nth(1) {
            assert!(ids.insert(id.split('"').next().unwrap().to_string()), "id twice: {tag}");
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert!(!page.contains("NaN") && !page.contains("inf\"") && !page.contains("<script"));
    let outside = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    assert!(!outside.contains("http://") && !outside.contains("https://"));
    for part in page.split("url(#").skip(1) {
        assert!(ids.contains(part.split(')').next().unwrap()), "a reference to nothing");
    }
}

fn folder(name: &str) -> (Option<tempfile::TempDir>, PathBuf) {
    match std::env::var_os("NICHO_REPORT_DIR") {
        Some(folder) => (None, PathBuf::from(folder).join(name)),
        None => {
            let temporary = tempfile::tempdir().unwrap();
            let path = temporary.path().join(name);
            (Some(temporary), path)
        }
    }
}

#[test]
fn a_trial_gives_a_page_that_stands_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let table = Table::parse(IRIS, Path::new("iris.csv")).unwrap();
    let (store, priors) = (trial_store(scratch.path(), &table), priors());
    let floor: Vec<f64> = (0..101).map(|i| 0.5 + 0.01 * f64::from(i)).collect();
    let input = Input { store: &store, priors: &priors, noise_floor: &floor, models: &[], table: Some(&table) };
    let (_keep, folder) = folder("trial");
    let files = write(&input, &folder).unwrap();
    let page = fs::read_to_string(&files[0]).unwrap();
    check_markup(&page);
    assert!(page.contains("IRIS &lt;imatinib&gt; &amp; niche"));
    assert!(
        page.matches("<svg ").count() > 30 && page.matches("data:image/svg+xml").count() == page.matches("data:text/csv").count()
    );
    let figures: Vec<&PathBuf> = files.iter().filter(|f| f.extension().is_some_and(|e| e == "svg")).collect();
    for figure in &figures {
        let svg = fs::read_to_string(figure).unwrap();
        check_markup(&svg);
        assert!(!svg.contains("var("), "{} needs a style sheet", figure.display());
        let id = figure.file_stem().unwrap().to_str().unwrap();
        assert!(page.contains(&format!("id=\"{id}\"")), "{id} is not on the page");
    }
    assert!(figures.len() > 15 && page.contains("Pairs of parameters"));
    // Densities have an axis, of the natural unit or of the logarithm, and pairs the units of both.
    // Planted: pairs without: none.
    let drawn = |id: &str| fs::read_to_string(folder.join(format!("figures/{id}.svg"))).unwrap();
    assert!(drawn("marginal-kill_rate").contains(">Density, per unit of ln<"));
    assert!(drawn("marginal-adherence").contains(">Density<") && drawn("pairs").matches(">[1/day]<").count() == 2);
    for file in ["parameters.csv", "rows.csv", "directions.csv", "profiles.csv", "checks.csv"] {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        assert!(!text.contains("NaN") && text.lines().count() > 5, "{text}");
    }
    assert_eq!(fs::read_to_string(&write(&input, &folder).unwrap()[0]).unwrap(), page, "the same run, another page");
    let text = tables(&Summary::of(&input).unwrap());
    assert!(text.is_ascii() && text.lines().all(|l| l.len() <= 110), "{text}");
    println!("{text}");
}

#[test]
fn the_numbers_are_those_computed_by_hand() {
    let scratch = tempfile::tempdir().unwrap();
    let table = Table::parse(IRIS, Path::new("iris.csv")).unwrap();
    let (store, priors) = (trial_store(scratch.path(), &table), priors());
    let input = Input { store: &store, priors: &priors, noise_floor: &[1.0, 0.4, 0.6], models: &[], table: Some(&table) };
    let s = Summary::of(&input).unwrap();
    assert_eq!(s.noise_floor.unwrap().1, 0.6);
    let last = store.run().last().unwrap();
    let (w, ln) = (last.weights(), |x: &f64| x.ln());
    // Kill rate is log-normal: contraction from the weighted spread of logarithms.
    let mean: f64 = last.theta.column(0).iter().zip(w.as_slice()).map(|(x, w)| w * ln(x)).sum();
    let variance: f64 = last.theta.column(0).iter().zip(w.as_slice()).map(|(x, w)| w * (ln(x) - mean).powi(2)).sum();
    assert!((s.parameters[0].contraction - (1.0 - variance)).abs() < 1e-12);
    assert!(s.parameters[0].contraction > 0.2 && s.parameters[4].contraction.abs() < 0.1);
    assert!(s.refined && s.modes[0].objective == 2.0 && s.parameters[3].mode == 6.1);
    let astray = s.rows.iter().find(|r| r.id == ASTRAY).unwrap();
    assert_eq!((astray.inside, astray.role), (Some(false), Use::HeldOut));
    // The band: order statistics of 199 finite draws; 0.05 * 198 = 9.9.
    let k = s.rows.iter().position(|r| r.id == "os_84").unwrap();
    let mut draws: Vec<f64> = store.posterior().unwrap().values.column(k).iter().copied().filter(|x| !x.is_nan()).collect();
    draws.sort_by(f64::total_cmp);
    let band = s.rows[k].posterior.unwrap();
    assert!((band.q05 - (0.1 * draws[9] + 0.9 * draws[10])).abs() < 1e-12 && (band.median - draws[99]).abs() < 1e-12);
    let se = s.rows[k].se;
    assert!((s.rows[k].width_ratio.unwrap() - (band.q95 - band.q05) / (2.0 * 1.644_853_626_951 * se)).abs() < 1e-9);
    let crps = draws.iter().map(|x| (x - 0.86).abs()).sum::<f64>() / 199.0
        - draws.iter().flat_map(|x| draws.iter().map(move |y| (x - y).abs())).sum::<f64>() / (2.0 * 199.0 * 198.0);
    assert!((s.rows[k].crps.unwrap() - crps).abs() < 1e-12);
    // The last fitted value, .89 at 60 months, with its error and that of 553 patients: normal with mean .89.
    let sd = (0.0153f64.powi(2) + 0.89 * 0.11 / 553.0).sqrt();
    let z = (0.86 - 0.89) / sd;
    let (pdf, cdf) = ((-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt(), 0.5 * libm::erfc(-z / 2f64.sqrt()));
    let expected = sd * (z * (2.0 * cdf - 1.0) + 2.0 * pdf - 1.0 / std::f64::consts::PI.sqrt());
    assert!((s.rows[k].crps_last.unwrap() / expected - 1.0).abs() < 0.05, "{:?} {expected}", s.rows[k].crps_last);
    let held = table.with_role(Role::HeldOut).len();
    assert_eq!((s.held_out.rows, s.count(Use::HeldOut), s.count(Use::Fitted)), (held, held, table.fitted().len()));
    let context = s.rows.iter().filter(|r| r.role == Use::Context);
    assert!(context.clone().count() > 10 && context.clone().all(|r| r.inside.is_none() && r.crps.is_none()));
    let sums = s.rows.iter().filter(|r| r.role == Use::HeldOut).filter_map(|r| Some((r.crps?, r.crps_prior?)));
    let (ours, theirs) = sums.fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
    assert!((s.held_out.prior.unwrap().skill - (1.0 - ours / theirs)).abs() < 1e-12);
}

/// A fitted row whose predictions miss it is a misfit by name, of the posterior alone; without it there is none.
#[test]
fn the_verdict_names_a_row_that_the_model_cannot_make() {
    let scratch = tempfile::tempdir().unwrap();
    let table = Table::parse(IRIS, Path::new("iris.csv")).unwrap();
    let (mut store, priors) = (trial_store(scratch.path(), &table), priors());
    let found = |store: &Store| {
        let s = Summary::of(&Input { store, priors: &priors, noise_floor: &[], models: &[], table: Some(&table) }).unwrap();
        let of = |about: &str| s.verdict.findings.iter().find(|finding| finding.about == about).cloned().unwrap();
        (of("Prior"), of("Misfit"))
    };
    let (prior, misfit) = found(&store);
    assert_eq!((prior.level, misfit.level), (Level::Good, Level::Good), "{} {}", prior.text, misfit.text);
    let row = store.header().rows.iter().position(|row| row.id == "mmr_product_12").unwrap();
    let mut posterior = store.posterior().unwrap().clone();
    posterior.values.column_mut(row).mapv_inplace(|x| x - 0.3);
    store.put_posterior(&posterior).unwrap();
    let (prior, misfit) = found(&store);
    assert_eq!((prior.level, misfit.level), (Level::Good, Level::Note));
    assert!(misfit.text.contains("mmr_product_12") && !misfit.text.contains("ccyr_km"), "{}", misfit.text);
}

#[test]
fn published_intervals_come_back() {
    // O'Brien 2003: CCyR at 18 months .762, 95 % interval .725-.799; a share of 1 has no upper arm.
    let row = |observed: f64, se: f64, n: u64| {
        let scratch = tempfile::tempdir().unwrap();
        let table = Table::parse(IRIS, Path::new("iris.csv")).unwrap();
        let (store, priors) = (trial_store(scratch.path(), &table), priors());
        let input = Input { store: &store, priors: &priors, noise_floor: &[], models: &[], table: Some(&table) };
        let first = Summary::of(&input).unwrap().rows.remove(0);
        RowLine { observed, se, n, ..first }.interval().unwrap()
    };
    let (low, high) = row(0.762, 0.0189, 553);
    assert!((low - 0.725).abs() < 0.003 && (high - 0.799).abs() < 0.003, "{low} {high}");
    let (low, high) = row(1.0, 0.005, 127);
    assert!((low - 127.0 / (127.0 + 3.8415)).abs() < 1e-3 && high == 1.0, "{low} {high}");
}

#[test]
fn a_coin_has_a_page_too() {
    let scratch = tempfile::tempdir().unwrap();
    let store = coin_store(scratch.path(), false);
    let input = Input {
        store: &store,
        priors: &[Marginal::Uniform { lower: 0.0, upper: 1.0 }],
        noise_floor: &[],
        models: &[],
        table: None,
    };
    let s = Summary::of(&input).unwrap();
    // Equally spaced on [.5, .85]: mean .675, variance .35²/12; the prior's is 1/12.
    assert!((s.parameters[0].mean - 0.675).abs() < 1e-12 && (s.parameters[0].contraction - (1.0 - 0.35 * 0.35)).abs() < 1e-4);
    assert_eq!(s.rows[0].posterior.unwrap().median, 14.0);
    assert!(!s.predictive && s.rows[0].inside == Some(true));
    let (_keep, folder) = folder("coin");
    let page = fs::read_to_string(&write(&input, &folder).unwrap()[0]).unwrap();
    check_markup(&page);
    let text = tables(&Summary::of(&input).unwrap());
    assert!(text.contains("heads") && text.contains("count") && text.is_ascii(), "{text}");
    println!("{text}");
    let store = coin_store(scratch.path(), true);
    let predicted = Input { store: &store, ..input };
    let page = fs::read_to_string(&write(&predicted, &folder.with_file_name("coin-predicted")).unwrap()[0]).unwrap();
    check_markup(&page);
    assert!(page.contains("forest-summaries") && page.contains("1 of 1 fitted row"), "no forest");
    let wrong = Input { priors: &[], ..input };
    assert!(matches!(Summary::of(&wrong), Err(Error::Usage { .. })));
}
