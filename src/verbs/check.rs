//! `nicho check`: validate a job and say what it will cost; infer nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::progress::clock;
use super::say::document;
use super::shared::{agree, agree_on, on_ranks};
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::job::Job;
use crate::job::definition::{Meant, Source};
use crate::job::scenario::Scenario;
use crate::job::trials::JobTrial;
use crate::model::cml::cohort::{Cml, Trial};
use crate::model::cml::drugs::{Drug, Profile};
use crate::model::cml::protocol::reading::block_words;
use crate::model::{Model, Parameter, Summary};
use crate::predict::prior_draws;
use crate::refine::Refine;
use crate::rng::Key;
use crate::sampler::Problem;
use crate::sampler::accept::Accept;
use crate::sampler::smc::{Keep, Schedule, Smc};
use crate::sampler::{simulate, trial_key};
use crate::trial::table::Row;
use crate::trial::vocabulary::Word;

/// Longest time that is spent on timing simulations.
const TIMING: Duration = Duration::from_secs(2);

/// Sizes of a cluster that a job is priced for, in simulation threads of all ranks.
const CLUSTER: [usize; 3] = [64, 512, 4096];
/// What a process needs before it has done anything, in bytes, with an MPI library.
const BINARY: u64 = 50_000_000;

/// Patients of an arm whose scenario leaves that to the job: what an arm of that size costs scales to any other.
const USUAL_PATIENTS: usize = 500;

/// Validates the job or scenario, prints what it asks for, times a few simulations at draws of the prior and prices it.
///
/// # Errors
/// Whatever is wrong with the job or the scenario.
pub fn check(file: &Path, threads: usize, parameters: bool) -> Result<()> {
    on_ranks(threads, |exec| check_on(exec, file, parameters))
}

/// Prints what a scenario does with its patients, and what an arm costs.
fn check_scenario(exec: &dyn Executor, file: &Path) -> Result<()> {
    let read = Scenario::load(file, USUAL_PATIENTS);
    let scenario = agree_on(exec, read, |scenario| scenario.source.text.clone())?;
    line!("{}: sound", file.display());
    line!("  scenario       {}: {}", scenario.name, if scenario.title.is_empty() { "no title" } else { &scenario.title });
    match scenario.patients {
        Some(patients) => line!("  patients       {patients} in each arm"),
        None => line!("  patients       in each arm as many as the job's cohort has"),
    }
    let mut said = json!({ "file": file, "kind": "scenario", "sound": true, "name": scenario.name, "title": scenario.title });
    let Some(Trial { plan, patients, .. }) = scenario.trials.first() else { return Ok(()) };
    let (visits, marrow) = (plan.months.len(), plan.marrow.count_ones());
    line!("  follow-up      {} months, {visits} visits, {marrow} of them with marrow", plan.horizon);
    said["patients"] = json!(scenario.patients);
    said["follow_up"] = json!({ "months": plan.horizon, "visits": visits, "marrow": marrow });
    let mut arms: Vec<Value> = Vec::new();
    for (k, (name, trial)) in scenario.arms.iter().zip(&scenario.trials).enumerate() {
        line!("  arm            {name}{}", if k == 0 { " (the reference)" } else { "" });
        let mut arm = print_rules(trial);
        (arm["arm"], arm["reference"]) = (json!(name), json!(k == 0));
        arms.push(arm);
    }
    said["arms"] = json!(arms);
    said["drugs"] = print_drugs(&scenario);
    let mut asked_for: Vec<Value> = Vec::new();
    let rows: Vec<&Row> = scenario.rows.iter().collect();
    for asked in rows.chunk_by(|a, b| (a.endpoint, a.kind, &a.given) == (b.endpoint, b.kind, &b.given)) {
        let months: Vec<String> = asked.iter().map(|row| row.month.to_string()).collect();
        let given = asked[0].given_text();
        let given = if given.is_empty() { given } else { format!(", given {given}") };
        let (of, kind) = (asked[0].endpoint.name(), asked[0].kind.name());
        line!("  predicts       {of} as {kind}{given}: month {}", months.join(", "));
        let months = asked.iter().map(|row| row.month).collect::<Vec<_>>();
        asked_for.push(json!({ "endpoint": of, "kind": kind, "given": asked[0].given_text(), "months": months }));
    }
    let (mut seconds, mut out) = (0.0, vec![0.0; rows.len()]);
    for trial in &scenario.trials {
        let model = Cml::new(trial.clone(), &rows)?;
        let centre: Vec<f64> = model.parameters().iter().map(|parameter| parameter.default).collect();
        let begun = Instant::now();
        let _ = simulate(&model, &centre, Key::root(0), &mut out);
        seconds += begun.elapsed().as_secs_f64();
    }
    line!(
        "  cost           about {} of core time for 100 draws of posterior and prior ({patients} patients an arm, timed at the \
         centre of the parameter table)",
        clock(200.0 * seconds)
    );
    said["predicts"] = json!(asked_for);
    said["cost"] = json!({ "core_seconds": 200.0 * seconds, "draws": 200, "patients": patients });
    document(|| said);
    Ok(())
}

/// Prints how the patients of a trial are treated, and for what they do not leave; the same for programs.
fn print_rules(trial: &Trial) -> Value {
    let (words, chances) = (trial.protocol.words(), trial.protocol.chances(&trial.plan));
    for (index, rule) in words.iter().enumerate() {
        line!("                 - {rule}");
        if words.len() > 1 {
            line!("                   now {}", trial.protocol.regimen(index, &chances));
        }
    }
    if words.is_empty() {
        line!("                 - gives nothing");
    }
    let stays = trial.protocol.stays.iter().map(|reason| reason.name()).collect::<Vec<_>>();
    if !stays.is_empty() {
        line!("                 - nobody leaves for: {}", stays.join(", "));
    }
    json!({ "rules": words, "nobody_leaves_for": stays })
}

/// Prints the trials of a job that has several, and what is a trial's own; the same for programs.
fn print_trials(job: &Job, problem: &Problem) -> Result<Value> {
    let table = problem.model.parameters();
    let inferred = |name: &str| problem.free.iter().any(|index| table[*index].name == name);
    let mut all: Vec<Value> = Vec::new();
    for JobTrial { name, trial, rows: (fitted, held), own } in job.several()? {
        let (patients, months) = (trial.patients, trial.plan.horizon);
        line!("  trial          {name}: {patients} patients, {months} months, {fitted} rows fitted, {held} held out");
        let mut said = print_rules(&trial);
        for name in &own {
            line!("                 - of its own: {name}, {}", if inferred(name) { "inferred" } else { "fixed" });
        }
        let own = own.iter().map(|name| json!({ "parameter": name, "inferred": inferred(name) })).collect::<Vec<_>>();
        (said["trial"], said["patients"], said["months"]) = (json!(name), json!(patients), json!(months));
        (said["rows"], said["own"]) = (json!({ "fitted": fitted, "held_out": held }), json!(own));
        all.push(said);
    }
    Ok(json!(all))
}

/// Prints what the drugs of a scenario do in the model, and where that comes from; the same for programs.
fn print_drugs(scenario: &Scenario) -> Value {
    let mut all: Vec<Value> = Vec::new();
    let rules = || scenario.trials.iter().flat_map(|trial| &trial.protocol.rules);
    let given = |drug: &Drug| rules().any(|rule| rule.then.give.iter().any(|(other, _)| other == drug));
    for (name, drug) in Drug::ALL.iter().filter(|(_, drug)| given(drug)) {
        let Profile { unit, standard, blocks, source, .. } = drug.profile();
        let does = drug.inhibitor().map(|_| "inhibits BCR-ABL".to_string());
        let blocks = blocks.iter().map(|&(target, share)| block_words(target, share));
        let does: Vec<String> = does.into_iter().chain(blocks).collect();
        line!("  drug           {name}, at {standard} {unit}: {}", does.join(", "));
        line!("                 {source}");
        all.push(json!({ "drug": name, "standard": standard, "unit": unit, "does": does, "source": source }));
    }
    json!(all)
}

fn check_on(exec: &dyn Executor, file: &Path, parameters: bool) -> Result<()> {
    let meant = agree_on(exec, Source::read(file).and_then(|source| source.kind()), |meant| format!("{meant:?}"))?;
    if meant == Meant::Scenario {
        return check_scenario(exec, file);
    }
    let job = agree(exec, Job::load(file))?;
    let problem = job.problem_on(exec, &mut |_| std::ops::ControlFlow::Continue(()))?;
    let sampler = job.sampler();
    let lanes = exec.lanes();
    let table = problem.model.parameters();
    let model = job.definition.model.name.get_ref();
    let mut said = json!({ "file": file, "kind": "job", "sound": true });
    // The number of the model, where several are compared, is the last of both and no parameter of any.
    let number = usize::from(!problem.models.is_empty());
    let (count, inferred) = (table.len() - number, problem.free.len() - number);
    said["model"] = json!({ "name": model, "parameters": count, "inferred": inferred });
    line!("{}: sound", file.display());
    line!("  model          {model}, {count} parameters, {inferred} of them inferred");
    let mut compared: Vec<Value> = Vec::new();
    for (name, acts) in job.models().iter().zip(&problem.models) {
        let names = acts.iter().map(|k| table[problem.free[*k]].name).collect::<Vec<_>>();
        compared.push(json!({ "model": name, "acting": names }));
        let names = acts.iter().map(|k| table[problem.free[*k]].name);
        let names = if acts.len() == inferred { "all parameters".into() } else { names.collect::<Vec<_>>().join(", ") };
        line!("  compares       {name}: in it act {names}");
    }
    let rows = job.header()?.rows;
    let held = rows.iter().filter(|row| row.role != "fit").count();
    line!("  observations   {} rows fitted, {held} held out", rows.len() - held);
    said["compares"] = json!(compared);
    said["trials"] = print_trials(&job, &problem)?;
    said["rows"] = json!({ "fitted": rows.len() - held, "held_out": held });
    said["distance"] = print_distance(&job, &problem);
    let rejection = sampler.start.is_finite();
    said["sampler"] = json!({ "name": if rejection { "rejection" } else { "smc" }, "population": sampler.population });
    said["stop"] = json!({ sampler.accept.word(): sampler.tolerance, "simulations": sampler.simulations });
    if !rejection {
        said["stop"]["acceptance_rate"] = json!(sampler.acceptance_rate);
        said["stop"]["generations"] = json!(sampler.generations);
    }
    if rejection {
        line!("  sampler        rejection from the prior, {} particles", sampler.population);
        line!("  stops at       {} {}, {} simulations", sampler.accept.word(), sampler.tolerance, sampler.simulations);
    } else {
        line!("  sampler        ABC-SMC, {} particles a generation", sampler.population);
        line!(
            "  stops at       {} {}, acceptance rate {} %, {} simulations, {} generations",
            sampler.accept.word(),
            sampler.tolerance,
            100.0 * sampler.acceptance_rate,
            sampler.simulations,
            sampler.generations
        );
    }
    if parameters {
        line!("\n  {:<24} {:>12} {:<8} {:<10} meaning", "parameter", "value", "unit", "");
        for (index, parameter) in table[..count].iter().enumerate() {
            let free = problem.free.contains(&index);
            let (value, kind) = (problem.base[index], if free { "inferred" } else { "fixed" });
            line!("  {:<24} {value:>12} {:<8} {kind:<10} {}", parameter.name, parameter.unit, parameter.meaning);
        }
        line!();
        let of = |(index, parameter): (usize, &Parameter)| {
            let Parameter { name, unit, meaning, range, source, .. } = parameter;
            let inferred = problem.free.contains(&index);
            json!({
                "parameter": name, "value": problem.base[index], "unit": unit, "range": [range.0, range.1], "inferred": inferred,
                "meaning": meaning, "source": source,
            })
        };
        said["parameters"] = table[..count].iter().enumerate().map(of).collect();
    }
    let draws = prior_draws(&problem, 64);
    let mut out = vec![0.0; problem.model.summaries().len()];
    let (begun, mut timed, mut failed, mut why) = (Instant::now(), 0u32, 0u32, String::new());
    for (id, theta) in draws.theta.rows().into_iter().enumerate() {
        if let Err(error) = problem.simulate(&theta.to_vec(), trial_key(problem.key, 0, id as u64), &mut out) {
            failed += 1;
            why = error.0;
        }
        timed += 1;
        if begun.elapsed() > TIMING {
            break;
        }
    }
    if failed == timed {
        let budget = 100.0 * sampler.failures;
        let (failed, simulated) = (failed.into(), timed.into());
        return Err(Error::Failures { generation: 0, failed, simulated, budget, reason: why, place: String::new() });
    }
    let each = begun.elapsed().as_secs_f64() / f64::from(timed);
    line!("  simulation     {:.2} ms each on one core ({timed} timed at draws of the prior, {failed} failed)", 1e3 * each);
    let most = sampler.simulations as f64 * each;
    line!("  at most        {} of core time, {} on {lanes} threads", clock(most), clock(most / lanes as f64));
    let likely = likely(&sampler);
    if let Some([few, many]) = likely {
        let [least, most] = [few, many].map(|count| clock(count as f64 * each));
        if sampler.keep == Keep::All {
            line!("  likely         {few} simulations, {least} of core time: as many in each generation");
        } else {
            line!(
                "  likely         {few} to {many} simulations, {least} to {most} of core time: an estimate, if acceptance falls in each"
            );
            line!("                 generation by a factor between the root of sampler.quantile and the quantile itself");
        }
    }
    let cluster = CLUSTER.map(|lanes| format!("{} on {lanes}", clock(most / lanes as f64)));
    line!("  on a cluster   at most {} threads of all ranks, if its cores are as fast", cluster.join(", "));
    let (file_bytes, others) = memory(&sampler, problem.free.len(), problem.model.summaries().len());
    line!("  memory         about {} on rank 0, {} on each other", bytes(file_bytes), bytes(others));
    let predictive = job.definition.output.draws.get_ref();
    let Refine { modes, profile, .. } = job.refine();
    let profiles = if profile > 0 { format!(", {} points of profiles", 2 * profile * problem.free.len()) } else { String::new() };
    line!("  afterwards     {predictive} predictive simulations each of prior and posterior, {modes} modes{profiles}");
    if modes > 0 {
        let most = job.refine().most(problem.free.len());
        line!("                 modes and profiles take at most {most} simulations, {} of core time", clock(most as f64 * each));
        said["modes"] = json!({ "modes": modes, "simulations": most, "core_seconds": most as f64 * each });
    }
    said["simulation"] = json!({ "seconds": each, "timed": timed, "failed": failed });
    said["cost"] = json!({ "core_seconds": most, "threads": lanes, "seconds": most / lanes as f64 });
    if let Some(simulations) = likely {
        let seconds = simulations.map(|count| count as f64 * each);
        said["cost"]["likely"] = json!({ "simulations": simulations, "core_seconds": seconds });
    }
    said["memory"] = json!({ "rank_0": file_bytes, "others": others, "unit": "bytes" });
    said["predictive"] = json!({ "draws": predictive });
    document(|| said);
    Ok(())
}

/// Simulations that a job is likely to take, if its tolerance falls by quantiles: an estimate, from below and from above, within its
/// budget. Draws of the last posterior itself would be accepted at the rate of the quantile q, and from those of the prior this makes
/// q^t in generation t: that is the worst. Proposals follow the posterior, and where they follow well the rate falls with about the
/// root of q.
fn likely(sampler: &Smc) -> Option<[u64; 2]> {
    let q = match sampler.schedule {
        Schedule::Quantile(q) | Schedule::Ess(q) if sampler.start.is_infinite() && sampler.accept == Accept::Tolerance => q,
        _ => return None,
    };
    let population = sampler.population as f64;
    let total = |falls: f64| {
        let (mut spent, mut rate, least) = (0.0, 1.0, sampler.acceptance_rate);
        for _ in 0..sampler.generations {
            spent += population / f64::max(rate, least);
            if rate < least || spent >= sampler.simulations as f64 {
                break;
            }
            rate *= falls;
        }
        (spent as u64).min(sampler.simulations)
    };
    if sampler.keep == Keep::All {
        return Some([total(1.0); 2]);
    }
    // Where the floor of the rate ends the run, the slower fall takes more.
    let mut both = [total(q.sqrt()), total(q)];
    both.sort_unstable();
    Some(both)
}

/// Prints what the distance is made of, where the observations do not say that; the same for programs.
fn print_distance(job: &Job, problem: &Problem) -> Value {
    let def = &job.definition.distance;
    let p = def.p.as_ref().map_or(2.0, |p| *p.get_ref());
    let draws = job.pilot().unwrap_or(0);
    let named = |word: &str| def.name.as_ref().is_some_and(|name| name.get_ref() == word);
    if let Some(foretold) = problem.distance.learnt().and_then(|parts| parts.foretold.as_ref()) {
        let by = if foretold.network.is_some() { "regression and a network" } else { "regression" };
        line!("  distance       learned: parameters as the summaries foretell them, by {by} on {draws} draws of the prior");
        for (&index, share) in problem.free.iter().zip(&foretold.explained) {
            let name = problem.model.parameters()[index].name;
            let none = if *share == 0.0 { "  no part in the distance" } else { "" };
            line!("                 {name:<24} {:>5.1} % of its variance is foretold{none}", 100.0 * share);
        }
        let names = problem.free.iter().map(|index| problem.model.parameters()[*index].name);
        let foretold = names.zip(&foretold.explained).map(|(name, share)| json!({ "parameter": name, "foretold": share }));
        json!({ "name": "learned", "pilot": draws, "parameters": foretold.collect::<Vec<_>>() })
    } else if named("energy") {
        line!(
            "  distance       energy: between samples, whatever the order of the {} summaries",
            problem.model.summaries().len()
        );
        json!({ "name": "energy" })
    } else if let Some(parts) = problem.distance.learnt() {
        line!("  distance       euclidean, p = {p}; scales by median absolute deviation, from {draws} draws of the prior:");
        for (k, summary) in problem.model.summaries().iter().enumerate() {
            let out = if parts.outlying[k] { "  observed far outside the pilot: counted for less" } else { "" };
            let unit = if summary.unit == "-" { String::new() } else { format!(" {}", summary.unit) };
            line!("                 {:<24} {:>12.4e}{unit}, weight {}{out}", summary.name, parts.scale[k], parts.weight[k]);
        }
        let of = |(k, Summary { name, unit }): (usize, &Summary)| {
            let (scale, weight, outlying) = (parts.scale[k], parts.weight[k], parts.outlying[k]);
            json!({ "summary": name, "unit": unit, "scale": scale, "weight": weight, "outlying": outlying })
        };
        let scales = problem.model.summaries().iter().enumerate().map(of).collect::<Vec<_>>();
        json!({ "name": "euclidean", "p": p, "pilot": draws, "summaries": scales })
    } else if job.accept() == Accept::Noise {
        line!("  distance       none: a simulation is accepted with the probability of the data under their noise");
        json!({ "name": "noise" })
    } else if job.table.is_none() {
        line!("  distance       euclidean, p = {p}; summaries as they are, without scales");
        json!({ "name": "euclidean", "p": p })
    } else {
        line!("  distance       trial: of the published figures, in their covariance");
        json!({ "name": "trial" })
    }
}

/// Bytes that rank 0 and each other rank need at most: every generation, twice, and once more as the bytes of the file; the
/// last one and its kernel.
pub fn memory(sampler: &Smc, parameters: usize, summaries: usize) -> (u64, u64) {
    let particle = 8 * (parameters + 3) as u64;
    let (particles, generations) = (sampler.population as u64, sampler.generations as u64);
    let kernel = 4 * particles * particle;
    let file = particles * (particle + 8 * summaries as u64);
    (BINARY + kernel + 3 * generations * file, BINARY + kernel)
}

/// A number of bytes as a person says it.
pub fn bytes(count: u64) -> String {
    if count < 2_000_000_000 { format!("{} MB", count / 1_000_000) } else { format!("{:.1} GB", count as f64 / 1e9) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Closed forms: geometric series, cut by the budget and by the floor of the rate.
    #[test]
    fn what_is_likely_is_summed_over_the_schedule() {
        let four = Smc { generations: 4, schedule: Schedule::Quantile(0.25), ..Smc::default() };
        assert_eq!(likely(&four), Some([15_000, 85_000]));
        assert_eq!(likely(&Smc { simulations: 20_000, ..four.clone() }), Some([15_000, 20_000]));
        // Below 10 % a generation is cut at 10 000 simulations, and is the last.
        assert_eq!(likely(&Smc { acceptance_rate: 0.1, ..four.clone() }), Some([15_000, 15_000]));
        let long = Smc { acceptance_rate: 0.2, generations: 30, ..four.clone() };
        assert_eq!(likely(&long), Some([10_000, 12_000]), "1, 4 and 5, or 1, 2, 4 and 5 thousand");
        assert_eq!(likely(&Smc { keep: Keep::All, ..four.clone() }), Some([4000, 4000]));
        assert_eq!(likely(&Smc { start: 1.0, ..four.clone() }), None, "rejection");
        assert_eq!(likely(&Smc { accept: Accept::Noise, ..four.clone() }), None);
        assert_eq!(likely(&Smc { schedule: Schedule::List(vec![2.0, 1.0]), ..four }), None);
    }
}
