//! What bad input gets: the exact message of each mistake, as its reader sees it, in `snapshots/`.
//!
//! A message names file, line, column and key, says what is wrong with the legal range or the nearest known word, and gives
//! a fix. To accept changed messages, read them, then `INSTA_UPDATE=always cargo test --test suite bad_input`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Said, folder, left_out, nicho, say, succeed};

/// Compares exit code and standard error with the snapshot.
pub fn snapshot(name: &str, said: &Said) {
    assert!(said.out.is_empty(), "{name} prints before it fails:\n{}", said.out);
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, format!("exit code {}\n{}", said.code, without_the_words_of_hdf5(&said.err))));
}

/// HDF5 words its errors anew from version to version; a snapshot must hold for the system's and the bundled one.
fn without_the_words_of_hdf5(text: &str) -> String {
    let line = |line: &str| match line.split_once("HDF5 cannot open it: ") {
        Some((before, _)) => format!("{before}HDF5 cannot open it: […])\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// Replaces one piece of a file in the folder.
pub fn edit(folder: &Path, file: &str, from: &str, to: &str) {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{file}: '{from}' stands there {} times", text.matches(from).count());
    std::fs::write(path, text.replace(from, to)).unwrap();
}

/// Edits a job, checks it, and takes the message: the job must be refused as input, with its place.
fn refuse_job(name: &str, job: &str, from: &str, to: &str) {
    let folder = folder();
    edit(folder.path(), job, from, to);
    let said = say(folder.path(), &["check", job]);
    refused_as_input(name, job, &said);
    // The other verbs that read a job say the same.
    assert_eq!(say(folder.path(), &["run", job, "-q"]).err, said.err, "{name}");
}

fn refused_as_input(name: &str, file: &str, said: &Said) {
    assert_eq!(said.code, 3, "{name}: {}{}", said.out, said.err);
    let place = said.err.strip_prefix(&format!("error: {file}:")).unwrap_or_else(|| panic!("{name}: {}", said.err));
    let numbers: Vec<Option<usize>> = place.split(':').take(2).map(|n| n.parse().ok()).collect();
    assert!(numbers.iter().all(|n| n.is_some_and(|n| n > 0)), "{name}: no line and column in {}", said.err);
    assert!(said.err.contains("\n  fix: "), "{name}: no fix in {}", said.err);
    snapshot(name, said);
}

const COIN: &str = "jobs/coin.toml";
const SMOKE: &str = "jobs/iris-smoke.toml";
const STOP: &str = "stop.toml";
const TABLE: &str = "jobs/data/iris.csv";
const P_HEADS: &str = r#"{ distribution = "uniform", lower = 0, upper = 1 }"#;
const IC50: &str = r#"{ distribution = "lognormal", median = 0.6, sd = 0.5, unit = "uM" }"#;

/// What cannot be compared, and proposals that cannot be made.
#[test]
fn comparisons_and_proposals() {
    const VARIANTS: &str = "jobs/niche-variants.toml";
    let stroma = "name = \"no stroma\"\nwithout = [\"stroma\"]";
    refuse_job("variant_twice", VARIANTS, "name = \"no stroma\"", "name = \"full\"");
    refuse_job("variant_unknown_part", VARIANTS, "without = [\"stroma\"]", "without = [\"stromal\"]");
    refuse_job("variant_fixed_out_of_range", VARIANTS, stroma, "name = \"steep\"\nfixed = { hill = -1.0 }");
    refuse_job("variant_fixed_unknown", VARIANTS, stroma, "name = \"steep\"\nfixed = { hil = 1.0 }");
    refuse_job("variant_other_summaries", VARIANTS, stroma, "name = \"coin\"\nmodel = \"coin\"");
    refuse_job("variant_with_modes", VARIANTS, "[output]", "[refine]\nmodes = 2\n\n[output]");
    refuse_job(
        "variant_with_a_prior",
        VARIANTS,
        "[priors]",
        "[priors]\nvariant = { distribution = \"integer\", lower = 0, upper = 4 }",
    );
    refuse_job("variant_with_a_profile", VARIANTS, "[output]", "[refine]\nprofile = 2\n\n[output]");
    refuse_job("variant_without_a_name", VARIANTS, "name = \"no stroma\"", "name = \"\"");
    refuse_job("schedule_with_a_spare_key", "jobs/coin.toml", "population = 2000", "population = 2000\ntolerances = [3, 2]");
    refuse_job("profile_without_errors", "jobs/coin.toml", "replicates = 200", "replicates = 200\nprofile = 4");
    refuse_job(
        "integer_with_a_fraction",
        "jobs/coin.toml",
        "\"uniform\", lower = 0, upper = 1",
        "\"integer\", lower = 0.5, upper = 1",
    );
    refuse_job("unknown_kernel", "jobs/coin.toml", "population = 2000", "population = 2000\nkernel = \"lokal\"");
    refuse_job("too_many_steps", "jobs/coin.toml", "population = 2000", "population = 50000\nkernel = \"nearest\"");
    refuse_job("defensive_share", "jobs/coin.toml", "population = 2000", "population = 2000\ndefensive = 1.0");
}

/// Trials that cannot be fitted together, and rows that are of none of them.
#[test]
fn trials() {
    const TRIALS: &str = "two-trials.toml";
    const ROWS: &str = "two-trials.csv";
    const OWN: &str = "own = [\"hazard_other_leaving\"]";
    let row = |name: &str, from: &str, to: &str| {
        let folder = folder();
        edit(folder.path(), ROWS, from, to);
        refused_as_input(name, ROWS, &say(folder.path(), &["check", TRIALS]));
    };
    refuse_job("trial_twice", TRIALS, "name = \"late\"", "name = \"early\"");
    refuse_job("trial_name", TRIALS, "name = \"early\"", "name = \"early@home\"");
    refuse_job("trial_without_rows", TRIALS, "[priors]", "[[trial]]\nname = \"third\"\n\n[priors]");
    refuse_job("trial_of_another_model", TRIALS, "name = \"cml\"", "name = \"coin\"");
    refuse_job("trial_and_patients_of_the_model", TRIALS, "name = \"cml\"", "name = \"cml\"\npatients = 100");
    refuse_job("trial_of_five_patients", TRIALS, "patients = 150\nmonths = 24", "patients = 5\nmonths = 24");
    refuse_job("trial_of_no_month", TRIALS, "months = 24", "months = 0");
    refuse_job("trial_visits", TRIALS, "molecular = [{ every = 6, until = 36 }]", "molecular = [{ every = 0, until = 36 }]");
    refuse_job("trial_dose", TRIALS, "give = { imatinib = 600 }", "give = { imatinib = 6000 }");
    refuse_job("trial_own_unknown", TRIALS, OWN, "own = [\"hazard_other_leavin\"]");
    refuse_job("trial_own_twice", TRIALS, OWN, "own = [\"hazard_other_leaving\", \"hazard_other_leaving\"]");
    refuse_job("trial_own_in_each", TRIALS, "months = 24", "months = 24\nown = [\"hazard_other_leaving\"]");
    refuse_job("trial_offset_without_a_prior", TRIALS, OWN, "own = [\"hazard_other_leaving\", \"assay_offset\"]");
    refuse_job("trial_offset_that_is_shared", TRIALS, "[priors]", &format!("[priors]\nassay_offset = {IC50}"));
    refuse_job("trial_own_without_a_prior", TRIALS, OWN, "own = [\"hazard_other_leaving\", \"marrow_odds\"]");
    refuse_job("trial_prior_of_no_own", TRIALS, "[priors]", &format!("[priors]\n\"ic50@late\" = {IC50}"));
    row("row_of_an_unknown_trial", "early_is10_6,early,", "early_is10_6,erly,");
    row("row_of_no_trial", "early_is10_6,early,", "early_is10_6,,");
    row("group_of_two_trials", "late_is10_6,late,fit,late_is10,", "late_is10_6,late,fit,early_is10,");
    let relapse = "late_mmr_36,late,held_out,late_held,relapse,km_survival,";
    let folder = folder();
    edit(folder.path(), ROWS, "late_mmr_36,late,held_out,late_held,mmr,ever,", relapse);
    refused_as_input("trial_months_with_a_relapse", TRIALS, &say(folder.path(), &["check", TRIALS]));
    let job = std::fs::read_to_string(folder.path().join(TRIALS)).unwrap();
    let (head, rest) = job.split_once("[[trial]]").unwrap();
    let (_, tail) = rest.split_once("[priors]").unwrap();
    std::fs::write(folder.path().join(TRIALS), format!("{head}[priors]{tail}")).unwrap();
    refused_as_input("rows_of_trials_that_no_job_names", ROWS, &say(folder.path(), &["check", TRIALS]));
}

/// An external program that is not there, hangs, crashes or answers what is no answer; and a job that does not say what it needs.
#[test]
fn programs() {
    const PROGRAM: &str = "jobs/program.toml";
    refuse_job("program_without_a_command", PROGRAM, r#"command = ["python3", "program.py"]"#, "command = []");
    refuse_job("program_summary_twice", PROGRAM, r#"summaries = ["peak", "ever_ill"]"#, r#"summaries = ["peak", "peak"]"#);
    refuse_job("program_unknown_policy", PROGRAM, r#"on_failure = "reject""#, r#"on_failure = "retry""#);
    refuse_job("program_time_limit", PROGRAM, "seconds = 30 ", "seconds = 0 ");
    refuse_job("program_default_out_of_range", PROGRAM, "default = 1.5, lower = 0", "default = -1.5, lower = 0");
    let run = |name: &str, edits: &[(&str, &str)], code: i32| {
        let folder = folder();
        edits.iter().for_each(|(from, to)| edit(folder.path(), PROGRAM, from, to));
        let said = say(folder.path(), &["run", PROGRAM, "-q", "--threads", "1", "-o", "program.h5"]);
        assert_eq!(said.code, code, "{name}: {}", said.err);
        snapshot(name, &said);
    };
    let command = r#"command = ["python3", "program.py"]"#;
    let shell = |script: &str| format!(r#"command = ["sh", "-c", "{script}"]"#);
    // Outside of a run it is the same error.
    let bare = folder();
    edit(bare.path(), PROGRAM, command, r#"command = ["no-such-program"]"#);
    let said = say(bare.path(), &["check", PROGRAM]);
    assert!(said.code == 5 && said.err.contains("cannot be started"), "{} {}", said.code, said.err);
    run("program_not_there", &[(command, r#"command = ["no-such-program"]"#)], 5);
    run("program_crashes", &[(command, &shell("read line; echo 'no such gene' >&2; exit 3"))], 5);
    run("program_answers_garbage", &[(command, &shell("while read line; do echo peak: 12; done"))], 5);
    run("program_hangs", &[(command, &shell("sleep 1000")), ("seconds = 30 ", "seconds = 0.1 ")], 5);
}

#[test]
fn keys_and_types() {
    refuse_job("unknown_key", COIN, "population = 2000", "populatoin = 2000");
    refuse_job("unknown_table", COIN, "[sampler]", "[smapler]");
    refuse_job("unknown_key_of_a_prior", COIN, "lower = 0", "low = 0");
    refuse_job("missing_key", COIN, "seed = 1\n", "");
    refuse_job("wrong_type", COIN, "population = 2000", "population = \"many\"");
    refuse_job("wrong_type_negative", COIN, "population = 2000", "population = -5");
    refuse_job("wrong_type_of_a_table", COIN, "[model]\nname = \"coin\"\nfixed = { tosses = 20 }", "model = \"coin\"");
    refuse_job("no_toml", COIN, "name = \"coin\"\nseed", "name = \"coin\nseed");
    refuse_job("outside_the_legal_range", COIN, "population = 2000", "population = 3");
    refuse_job("unknown_model", COIN, "[model]\nname = \"coin\"", "[model]\nname = \"coins\"");
    refuse_job("unknown_sampler", COIN, "population = 2000", "name = \"mcmc\"");
    refuse_job("unknown_schedule", COIN, "population = 2000", "schedule = \"linear\"");
    refuse_job("unknown_distance", SMOKE, "[sampler]", "[distance]\nname = \"manhattan\"\n[sampler]");
    refuse_job("tolerances_that_rise", COIN, "population = 2000", "schedule = \"list\"\ntolerances = [1.0, 2.0]");
    refuse_job("weight_of_nothing", SMOKE, "[sampler]", "[distance]\nweights = { respnse = 2.0 }\n[sampler]");
}

/// What the distance of general models takes, and what it can learn no scale from.
#[test]
fn distances() {
    let refuse =
        |name: &str, job: &str, keys: &str| refuse_job(name, job, "[sampler]", &format!("[distance]\n{keys}\n[sampler]"));
    refuse("distance_of_a_trial_with_an_exponent", SMOKE, "p = 1");
    refuse("distance_exponent", COIN, "p = 0.5");
    refuse("distance_unknown_scale", COIN, "scale = \"sd\"");
    refuse("distance_robust_without_a_pilot", COIN, "robust = true");
    refuse("distance_energy_of_one_number", COIN, "name = \"energy\"");
    refuse("distance_energy_with_weights", COIN, "name = \"energy\"\nweights = { heads = 2 }");
    refuse("distance_learned_with_a_scale", COIN, "name = \"learned\"\nscale = \"mad\"");
    refuse("distance_unknown_regression", COIN, "name = \"learned\"\nregression = \"forest\"");
    refuse("distance_regression_of_a_distance_without", COIN, "regression = \"network\"");
    let noise = "[distance]\nregression = \"network\"\n[sampler]\naccept = \"noise\"";
    refuse_job("distance_regression_where_noise_decides", COIN, "[sampler]", noise);
    // No toss is ever heads.
    let folder = folder();
    edit(folder.path(), COIN, "[sampler]", "[distance]\nscale = \"mad\"\n[sampler]");
    edit(folder.path(), COIN, P_HEADS, r#"{ distribution = "uniform", lower = 0, upper = 1e-9 }"#);
    snapshot("distance_constant_summary", &say(folder.path(), &["run", COIN, "-q"]));
    // Seen: a gain of slopes of 0 by rounding alone, which went for something foretold, and the job ran.
    edit(folder.path(), COIN, "scale = \"mad\"", "name = \"learned\"");
    snapshot("distance_learned_of_nothing", &say(folder.path(), &["run", COIN, "-q", "--overwrite"]));
    edit(folder.path(), COIN, "name = \"learned\"", "name = \"learned\"\nregression = \"network\"");
    snapshot("distance_learned_of_nothing_by_a_network", &say(folder.path(), &["run", COIN, "-q", "--overwrite"]));
    edit(folder.path(), COIN, "population = 2000", "population = 500");
    snapshot("distance_learned_of_nothing_from_few", &say(folder.path(), &["run", COIN, "-q", "--overwrite"]));
}

/// Rejection makes one generation: it needs its tolerance, and no key that says how to come there.
#[test]
fn rejection() {
    let refuse = |name: &str, sampler: &str, stop: &str| {
        let whole = "population = 2000\n\n[stop]\ntolerance = 0 # heads are a count: the posterior is exact";
        refuse_job(name, COIN, whole, &format!("name = \"rejection\"\n{sampler}\n\n[stop]\n{stop}"));
    };
    refuse("rejection_without_tolerance", "", "");
    refuse("rejection_at_tolerance_0", "", "tolerance = 0");
    refuse("rejection_with_a_schedule", "schedule = \"list\"\ntolerances = [2.0, 1.0]", "tolerance = 0.5");
    refuse("rejection_with_a_rate", "", "tolerance = 0.5\nacceptance_rate = 0.01");
}

/// A profile is about a mode.
#[test]
fn profiles() {
    refuse_job("profile_without_a_mode", SMOKE, "modes = 1", "modes = 0\nprofile = 4");
    refuse_job("profile_of_too_many_points", SMOKE, "modes = 1", "modes = 1\nprofile = 400");
}

/// A screen needs draws enough to tell an effect from noise.
#[test]
fn screens() {
    let folder = folder();
    let said = say(folder.path(), &["validate", "screen", COIN, "--draws", "5"]);
    assert_eq!(said.code, 2);
    snapshot("screen_of_few_draws", &said);
    // At some draws of so wide a prior nobody is left of whom a row asks.
    let said = say(folder.path(), &["validate", "screen", "jobs/iris-full.toml", "--draws", "40"]);
    assert_eq!(said.code, 2);
    snapshot("screen_of_what_cannot_be_simulated", &said);
}

/// A regression needs particles; a surrogate needs all simulations, and those a tolerance that follows them.
#[test]
fn adjusted() {
    let few = "population = 49\n\n[adjust]\nmethod = \"regression\"\n";
    refuse_job("adjust_few_particles", SMOKE, "population = 60\n", few);
    refuse_job("adjust_few_particles_for_a_network", SMOKE, "population = 60\n", &few.replace("regression", "network"));
    const MOONS: &str = "jobs/moons.toml";
    refuse_job("adjust_without_all", MOONS, "keep = \"all\"", "keep = \"accepted\"");
    refuse_job("adjust_unknown_method", MOONS, "method = \"surrogate\"", "method = \"surogate\"");
    refuse_job("keep_unknown", MOONS, "keep = \"all\"", "keep = \"al\"");
    refuse_job("keep_all_with_a_list", MOONS, "quantile = 0.1", "schedule = \"list\"\ntolerances = [2.0, 1.0]");
}

#[test]
fn priors() {
    refuse_job("prior_without_width", COIN, "lower = 0, upper = 1", "lower = 0.5, upper = 0.5");
    refuse_job("prior_without_sd", SMOKE, IC50, r#"{ distribution = "lognormal", median = 0.6, sd = 0, unit = "uM" }"#);
    refuse_job("bounds_swapped", COIN, "lower = 0, upper = 1", "lower = 1, upper = 0");
    refuse_job("prior_outside_the_legal_range", COIN, "lower = 0, upper = 1", "lower = 0, upper = 2");
    refuse_job("unknown_distribution", COIN, "\"uniform\"", "\"unifrom\"");
    refuse_job("shape_of_another_distribution", COIN, "lower = 0, upper = 1", "lower = 0, sd = 1");
    refuse_job("shape_missing", COIN, "lower = 0, upper = 1", "lower = 0");
    refuse_job("shape_not_finite", COIN, "lower = 0, upper = 1", "lower = 0, upper = inf");
    refuse_job("unit_wrong", SMOKE, "unit = \"uM\"", "unit = \"nM\"");
    refuse_job("unit_missing", SMOKE, ", unit = \"uM\"", "");
    refuse_job("not_a_parameter", SMOKE, "ic50 =", "ic5O =");
    refuse_job("fixed_not_a_parameter", COIN, "tosses = 20", "throws = 20");
    refuse_job("fixed_outside_the_legal_range", COIN, "tosses = 20", "tosses = 0");
    refuse_job("named_twice_in_priors_and_fixed", COIN, "tosses = 20", "tosses = 20, p_heads = 0.5");
    refuse_job("named_twice_in_priors", COIN, P_HEADS, &format!("{P_HEADS}\np_heads = {P_HEADS}"));
    refuse_job("no_priors", COIN, &format!("p_heads = {P_HEADS}"), "");
}

#[test]
fn observations() {
    refuse_job("observations_file_missing", SMOKE, "data/iris.csv\"", "data/irsi.csv\"");
    refuse_job("observations_none", SMOKE, "file = \"data/iris.csv\"\nexclude", "exclude");
    refuse_job("exclude_unknown_row", SMOKE, "\"mmr_given_ccyr_3\"", "\"mmr_given_ccyr_33\"");
    refuse_job("value_of_no_summary", COIN, "heads = 14", "heads = 14, tails = 6");
    refuse_job("value_missing", COIN, "{ heads = 14 }", "{}");
    let table = |name: &str, from: &str, to: &str| {
        let folder = folder();
        edit(folder.path(), TABLE, from, to);
        refused_as_input(name, TABLE, &say(folder.path(), &["check", SMOKE]));
    };
    table("table_bad_number", "chr_ever_30,fit,response,chr,ever,,30,0.95,", "chr_ever_30,fit,response,chr,ever,,30,0.9S,");
    table("table_value_above_1", "chr_ever_30,fit,response,chr,ever,,30,0.95,", "chr_ever_30,fit,response,chr,ever,,30,95,");
    table("table_value_below_0", "chr_ever_30,fit,response,chr,ever,,30,0.95,", "chr_ever_30,fit,response,chr,ever,,30,-0.95,");
    table("table_value_empty", "chr_ever_30,fit,response,chr,ever,,30,0.95,", "chr_ever_30,fit,response,chr,ever,,30,,");
    table("table_unknown_endpoint", "chr_ever_30,fit,response,chr,", "chr_ever_30,fit,response,crh,");
    table("table_unknown_kind", "chr_ever_30,fit,response,chr,ever,", "chr_ever_30,fit,response,chr,evr,");
    table("table_unknown_role", "chr_ever_30,fit,", "chr_ever_30,fitted,");
    table("table_unknown_column", "id,fit_role,group,endpoint", "id,fit_role,group,end_point");
    table("table_id_twice", "mcyr_km_30,fit", "mcyr_km_18,fit");
    table("table_too_few_fields", "mcyr_km_18,fit,response,mcyr,", "mcyr_km_18,fit,response,");
    table("table_month_not_visited", "is1,at,ccyr@6,6,", "is1,at,ccyr@7,7,");
}

/// Edits a scenario, checks it, and takes the message.
fn refuse_scenario(name: &str, edits: &[(&str, &str)]) {
    let folder = folder();
    edits.iter().for_each(|(from, to)| edit(folder.path(), STOP, from, to));
    refused_as_input(&format!("scenario_{name}"), STOP, &say(folder.path(), &["check", STOP]));
}

#[test]
fn scenarios() {
    let refuse = |name: &str, from: &str, to: &str| refuse_scenario(name, &[(from, to)]);
    const START: &str = "give = { imatinib = 400 }\n\n[[arm.rule]]\nname = \"stop\"\n";
    let start = |rule: &str| format!("{rule}\n\n[[arm.rule]]\nname = \"stop\"\n");
    refuse("unknown_drug", START, &start("give = { imatinip = 400 }"));
    refuse("unknown_target", START, &start("give = { imatinib = 400 }\nblock = { vla5 = 0.8 }"));
    refuse("block_of_more_than_all", START, &start("give = { imatinib = 400 }\nblock = { vla4 = 80 }"));
    refuse("dose_out_of_range", START, &start("give = { imatinib = 40000 }"));
    refuse("rules_that_contradict", START, &start("give = { imatinib = 400 }\n\n[[arm.rule]]\ngive = { imatinib = 800 }"));
    refuse("gives_and_stops", START, &start("give = { imatinib = 400 }\nstop = [\"imatinib\"]"));
    refuse("nothing_to_do", START, &start("share = 0.5"));
    refuse("stop_of_what_is_never_given", START, &start("block = { vla4 = 0.8 }"));
    refuse("stop_of_another_drug", "stop = [\"all\"]", "stop = [\"dasatinib\"]");
    refuse("condition_unreadable", "\"umrd for 24\"", "\"umrd during 24\"");
    refuse("condition_of_no_response", "\"umrd for 24\"", "\"urmd for 24\"");
    refuse("for_longer_than_the_window", "until = 60\nif = \"umrd for 24\"", "until = 60\nif = \"umrd for 72\"");
    refuse("for_from_before_the_first_visit", "from = 36\nuntil = 60", "at = 24");
    refuse("window_that_ends_before_it_begins", "until = 60\nif", "until = 30\nif");
    refuse("window_without_a_visit", "from = 36\nuntil = 60", "at = 36.5");
    refuse("month_and_window", "from = 36\nuntil = 60", "at = 36\nfrom = 30");
    refuse("month_after_a_rule", "after = \"stop\"\nif = \"not mmr\"", "after = \"stop\"\nat = 6");
    refuse("after_no_rule", "after = \"stop\"\nif = \"not mmr\"", "after = \"stopp\"\nif = \"not mmr\"");
    refuse("rule_named_twice", "name = \"stop\"\nfrom", "name = \"start\"\nfrom");
    refuse("unknown_key", "until = 60\nif", "untill = 60\nif");
    refuse("unknown_reason", "leave = []", "leave = [\"advers\"]");
    refuse("month_beyond_follow_up", "months = [36, 48, 60]", "months = [36, 48, 600]");
    refuse("endpoint_asked_twice", "months = [36, 48, 60]", "months = [36, 48, 48]");
    refuse("kind_that_cannot_be", "of = \"relapse\"\nkind = \"km_survival\"", "of = \"relapse\"\nkind = \"at\"");
    refuse("condition_where_none_can_be", "kind = \"km_survival\"", "kind = \"km_survival\"\ngiven = \"mmr@12\"");
    refuse("condition_without_a_visit", "of = \"umrd\"\nkind = \"at\"", "of = \"umrd\"\nkind = \"at\"\ngiven = \"ccyr@14\"");
    refuse("too_many_visits", "{ every = 1, until = 72 }", "{ every = 0.2, until = 72 }");
    refuse("segments_that_fall", "{ every = 1, until = 72 }", "{ every = 1, until = 30 }");
    refuse("visits_of_no_form", "marrow = [{ every = 3, until = 12 }, { every = 6, until = 36 }]", "marrow = \"yearly\"");
    refuse("months_out_of_range", "months = 126", "months = 500");
    refuse("months_missing", "months = 126\n", "");
    refuse("name_of_nothing", "name = \"stop\"\ntitle", "name = \"…\"\ntitle");
    refuse("patients_out_of_range", "patients = 2000", "patients = 3");
    // Conditions that nobody can meet, or that nobody knows yet.
    refuse("condition_and_its_contrary", "\"umrd for 24\"", "\"mmr & not mmr\"");
    refuse("condition_nested_in_its_contrary", "\"umrd for 24\"", "\"mr45 for 12 & not mr4\"");
    refuse("cytogenetic_contrary", "\"umrd for 24\"", "\"ccyr & not mcyr\"");
    refuse("condition_on_the_future", "of = \"umrd\"\nkind = \"at\"", "of = \"umrd\"\nkind = \"at\"\ngiven = \"not mmr@48\"");
    refuse("endpoint_without_months", "months = [36, 48, 60]", "months = []");
    // Rules that do nothing, or come too late.
    refuse("share_of_nobody", START, &start("give = { imatinib = 400 }\nshare = 0"));
    refuse("share_of_no_part", START, &start("give = { imatinib = 400 }\nshare = [0.5, 0.5]"));
    refuse("share_of_no_form", START, &start("give = { imatinib = 400 }\nshare = \"half\""));
    refuse("lot_without_a_share", START, &start("give = { imatinib = 400 }\nlot = \"side\""));
    refuse("block_of_nothing", START, &start("give = { imatinib = 400 }\nblock = { wnt = 0 }"));
    refuse("dose_of_0", START, &start("give = { imatinib = 0 }"));
    refuse("dose_in_grams", START, &start("give = { imatinib = 0.4 }"));
    refuse("all_named_twice", "stop = [\"all\"]", "stop = [\"all\", \"all\"]");
    refuse("after_nothing_similar", "after = \"stop\"\nif = \"not mmr\"", "after = \"typo\"\nif = \"not mmr\"");
    refuse("after_the_end", "after = \"stop\"\nif = \"not mmr\"", "after = \"stop\"\nfrom = 100\nif = \"not mmr\"");
    refuse("relapse_that_does_not_wait", "after = \"stop\"\nif = \"not mmr\"", "until = 24\nif = \"not mmr\"");
    let late = "[[arm.rule]]\nname = \"start\"\ngive = { imatinib = 400 }\n\n[[arm.rule]]\nat = 72\ngive = { nilotinib = 600 }";
    let whole = "[[arm.rule]]\nname = \"start\"\ngive = { imatinib = 400 }";
    refuse_scenario("stop_before_it_is_given", &[(whole, late), ("stop = [\"all\"]", "stop = [\"nilotinib\"]")]);
    let both = |rules: &str| format!("{whole}\n\n[[arm.rule]]\nat = 12\ngive = {{ imatinib = 800 }}\n\n{rules}");
    let lower = "[[arm.rule]]\nat = 12\nif = \"not mmr\"\ngive = { imatinib = 600 }";
    refuse("rules_of_which_one_implies_the_other", whole, &both(lower));
    // What patients stop by and no rule follows.
    refuse_scenario(
        "relapse_that_nobody_finds",
        &[
            ("after = \"stop\"\nif = \"not mmr\"\nrelapse = true\n", "after = \"stop\"\nif = \"not mmr\"\n"),
            ("if = \"not umrd for 1\"\nrelapse = true\n", "if = \"not umrd for 1\"\n"),
        ],
    );
    // Names.
    refuse("name_that_is_a_path", "name = \"stop\"\ntitle", "name = \"../../etc/x\"\ntitle");
    refuse("title_of_two_lines", "title = \"Stop of", "title = \"Stop\\nof");
    refuse("arm_with_a_control_character", "name = \"imatinib, stopped\"", "name = \"imatinib\\u0000\"");
    refuse("rule_with_a_control_character", "name = \"start\"", "name = \"start\\t1\"");
    refuse("rule_of_no_name", "name = \"start\"", "name = \" \"");
    refuse(
        "arm_named_twice",
        "[[endpoint]]\nof = \"stopped\"",
        "[[arm]]\nname = \" imatinib, stopped \"\n\n[[endpoint]]\nof = \"stopped\"",
    );
    let folder = folder();
    let path = folder.path().join(STOP);
    let text = std::fs::read_to_string(&path).unwrap();
    let never: String =
        text.split("[[arm.rule]]").filter(|part| !part.contains("name = \"stop\"")).collect::<Vec<_>>().join("[[arm.rule]]");
    let never = never.replace("after = \"stop\"\n", "");
    std::fs::write(&path, &never).unwrap();
    refused_as_input("scenario_relapse_rule_without_a_stop", STOP, &say(folder.path(), &["check", STOP]));
    let never = never.replace("relapse = true\n", "");
    std::fs::write(&path, never.replacen("of = \"stopped\"", "of = \"ccyr\"", 1)).unwrap();
    refused_as_input("scenario_relapse_without_a_stop", STOP, &say(folder.path(), &["check", STOP]));
    let (head, _) = text.split_once("[[endpoint]]").unwrap();
    std::fs::write(&path, head).unwrap();
    refused_as_input("scenario_without_endpoint", STOP, &say(folder.path(), &["check", STOP]));
    let said = say(folder.path(), &["predict", "none.h5", "none.toml"]);
    assert_eq!(said.code, 6);
    snapshot("scenario_of_no_run", &said);
}

/// Each verb says which it takes, and `check`, which takes either, does not guess.
#[test]
fn jobs_and_scenarios_in_each_others_place() {
    let folder = folder();
    for (name, args) in [
        ("run_of_a_scenario", &["run", STOP][..]),
        ("simulate_of_a_scenario", &["simulate", STOP]),
        ("patient_of_a_job", &["simulate", SMOKE, "--patient", "1", "--scenario", SMOKE, "-o", "p"]),
        ("check_of_nothing", &["check", "empty.toml"]),
        ("check_of_notes", &["check", "notes.toml"]),
        ("check_of_no_toml", &["check", "no.toml"]),
    ] {
        std::fs::write(folder.path().join("empty.toml"), "# nothing\n").unwrap();
        std::fs::write(folder.path().join("notes.toml"), "# not \n# [[arm]]\nname = \"notes\"\ntext = \"\"\"\n[[arm]]\n\"\"\"\n")
            .unwrap();
        std::fs::write(folder.path().join("no.toml"), "\n= 1\n").unwrap();
        let said = say(folder.path(), args);
        assert_eq!(said.code, 3, "{name}: {}{}", said.out, said.err);
        snapshot(name, &said);
    }
    succeed(folder.path(), &["run", COIN, "-q"]);
    for (name, args) in [
        ("check_of_a_result", &["check", "coin.h5"][..]),
        ("run_of_a_result", &["run", "coin.h5"]),
        ("patient_of_a_result", &["simulate", SMOKE, "--patient", "1", "--scenario", "coin.h5", "-o", "p"]),
    ] {
        let said = say(folder.path(), args);
        assert_eq!(said.code, 3, "{name}: {}{}", said.out, said.err);
        snapshot(name, &said);
    }
    std::fs::write(folder.path().join("binary"), b"\x89HDF\r\n").unwrap();
    for (name, file) in [("check_of_a_binary", "binary"), ("check_of_no_file", "none.toml")] {
        let said = say(folder.path(), &["check", file]);
        assert_eq!(said.code, 6, "{name}");
        snapshot(name, &said);
    }
}

/// What a scenario can be predicted from: a run of the model of CML that has a posterior.
#[test]
fn runs_without_arms() {
    let folder = folder();
    succeed(folder.path(), &["run", COIN, "-q"]);
    let said = say(folder.path(), &["predict", "coin.h5", STOP]);
    assert_eq!(said.code, 2);
    snapshot("scenario_of_a_coin", &said);
}

#[test]
fn settings_of_simulate() {
    let folder = folder();
    for (name, setting) in [
        ("set_unknown", "ic5O=1"),
        ("set_no_number", "ic50=much"),
        ("set_out_of_range", "ic50=-1"),
        ("set_no_equals", "ic5O"),
        ("set_of_nothing_like_it", "speed=1"),
        ("set_of_a_row", "mcyr_km_18=0.5"),
        ("set_with_a_unit", "ic50=0.5 uM"),
    ] {
        let said = say(folder.path(), &["simulate", SMOKE, "--set", setting]);
        assert_eq!(said.code, 2);
        snapshot(name, &said);
    }
}

/// What `nicho init` does not write, and a file whose name was misspelt.
#[test]
fn first_jobs() {
    let folder = folder();
    let init = |name: &str, more: &[&str]| {
        snapshot(name, &say(folder.path(), &[&["init", "-o", "new.toml"], more].concat()));
        assert!(!folder.path().join("new.toml").exists() && !folder.path().join("iris.csv").exists(), "{name}");
    };
    init("init_unknown_model", &["--model", "cmll"]);
    init("init_of_a_program", &["--model", "program"]);
    init("init_of_a_coin_with_a_table", &["--model", "coin", "--data", TABLE]);
    init("init_with_what_is_no_table", &["--data", COIN]);
    init("init_with_a_missing_table", &["--data", "jobs/data/irsi.csv"]);
    snapshot("init_over_a_folder", &say(folder.path(), &["init", "-o", "jobs"]));
    snapshot("init_in_a_missing_folder", &say(folder.path(), &["init", "-o", "job/new.toml"]));
    // What is called like the figures of IRIS and is something else, stays; the fix is one that works.
    std::fs::create_dir(folder.path().join("mine")).unwrap();
    std::fs::write(folder.path().join("mine/iris.csv"), "a,b\n1,2\n").unwrap();
    snapshot("init_beside_what_is_no_table", &say(folder.path(), &["init", "-o", "mine/new.toml"]));
    std::fs::copy(folder.path().join("two-trials.csv"), folder.path().join("mine/iris.csv")).unwrap();
    snapshot("init_beside_another_table", &say(folder.path(), &["init", "-o", "mine/new.toml"]));
    assert!(!folder.path().join("mine/new.toml").exists());
    succeed(folder.path(), &["init", "--data", "mine/iris.csv", "-o", "mine/new.toml"]);
    assert!(succeed(folder.path(), &["check", "mine/new.toml"]).contains(": sound"));
    snapshot("init_over_a_job", &say(folder.path(), &["init", "-o", COIN]));
    snapshot("job_misspelt", &say(folder.path(), &["run", "jobs/con.toml"]));
}

#[test]
fn job_files_that_cannot_be_read() {
    let folder = folder();
    let said = say(folder.path(), &["run", "jobs/none.toml"]);
    assert_eq!(said.code, 6);
    snapshot("job_missing", &said);
    std::fs::write(folder.path().join("latin.toml"), b"name = \"caf\xe9\"\n").unwrap();
    snapshot("job_not_utf8", &say(folder.path(), &["run", "latin.toml"]));
    std::fs::write(folder.path().join("empty.toml"), "").unwrap();
    refused_as_input("job_empty", "empty.toml", &say(folder.path(), &["run", "empty.toml"]));
}

/// Root may write anywhere, so what is not writable here is no folder, or none at all.
#[test]
fn outputs_that_cannot_be_written() {
    let folder = folder();
    for (name, output) in [
        ("output_below_a_file", "jobs/coin.toml/x.h5"),
        ("output_folder_missing", "nowhere/x.h5"),
        ("output_is_a_folder", "jobs"),
    ] {
        let said = say(folder.path(), &["run", COIN, "-q", "-o", output]);
        assert!([4, 6].contains(&said.code), "{name}: {}", said.code);
        snapshot(name, &said);
    }
}

/// What cannot be written is said before the work. The program says that it was asked; seen to fail: it was, and a read-only result was
/// changed.
#[test]
fn outputs_that_cannot_be_written_at_the_end() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let job = std::fs::read_to_string(path("jobs/program.toml")).unwrap().replace("modes = 0", "modes = 1");
    let asked = r#"["sh", "-c", "touch asked; while read -r l; do echo 1 2; done"]"#;
    let job = job.replace(r#"["python3", "program.py"]"#, asked).replace("generations = 6", "generations = 1");
    std::fs::write(path("jobs/asked.toml"), job.replace("[refine]", "[refine]\nsimulations = 50")).unwrap();
    let run = ["run", "jobs/asked.toml", "-q"];
    let before_the_work = |name: &str, args: &[&str]| {
        let _ = std::fs::remove_file(path("jobs/asked"));
        let said = say(folder.path(), args);
        assert!([4, 6].contains(&said.code), "{name}: {} {}", said.code, said.err);
        assert!(!path("jobs/asked").exists(), "{name}: asked before it said {}", said.err);
        snapshot(name, &said);
    };
    std::fs::write(path("program.report"), "").unwrap();
    before_the_work("report_of_a_run_in_the_way", &run);
    before_the_work("output_called_like_its_report", &["run", "jobs/asked.toml", "-q", "-o", "x.report"]);
    std::fs::remove_file(path("program.report")).unwrap();
    succeed(folder.path(), &[&run[..], &["--overwrite"]].concat());
    let screen = ["validate", "screen", "jobs/asked.toml", "-o", "jobs/coin.toml/x"];
    before_the_work("screen_into_a_file", &screen);
    let sbc = ["validate", "sbc", "jobs/asked.toml", "--tolerance", "1e6", "-o", "jobs/coin.toml/x"];
    before_the_work("calibration_into_a_file", &sbc);
    let locked = std::fs::Permissions::from_mode(0o444);
    std::fs::set_permissions(path("program.h5"), locked.clone()).unwrap();
    before_the_work("refine_what_is_read_only", &["refine", "program.h5"]);
    before_the_work("overwrite_what_is_read_only", &[&run[..], &["--overwrite"]].concat());
    // A prediction is of the model of CML.
    succeed(folder.path(), &["run", SMOKE, "-q", "-o", "smoke.h5"]);
    std::fs::set_permissions(path("smoke.h5"), locked).unwrap();
    before_the_work("predict_into_what_is_read_only", &["predict", "smoke.h5", STOP, "--draws", "2"]);
    succeed(folder.path(), &["predict", "smoke.h5", STOP, "--draws", "2", "--no-store"]);
    let patient = ["simulate", SMOKE, "--patient", "1", "-o", "jobs/coin.toml/x"];
    before_the_work("patient_into_a_file", &patient);
}

#[test]
fn outputs_that_are_in_the_way() {
    let folder = folder();
    succeed(folder.path(), &["run", COIN, "-q"]);
    let path = |name: &str| folder.path().join(name);
    edit(folder.path(), COIN, "seed = 1", "seed = 2");
    snapshot("output_of_another_job", &say(folder.path(), &["run", COIN]));
    std::fs::write(path("letter.h5"), "Dear reader,\n").unwrap();
    for flag in ["--resume", "--overwrite"] {
        let said = say(folder.path(), &["run", COIN, "-o", "letter.h5", flag]);
        assert_eq!(said.code, 4);
        snapshot("output_not_ours", &said);
    }
    assert_eq!(std::fs::read_to_string(path("letter.h5")).unwrap(), "Dear reader,\n");
    snapshot("digest_of_what_is_not_ours", &say(folder.path(), &["digest", "letter.h5"]));
    hdf5::File::create(path("foreign.h5")).unwrap().create_group("g").unwrap();
    snapshot("digest_of_foreign_hdf5", &say(folder.path(), &["digest", "foreign.h5"]));
    let bytes = std::fs::read(path("coin.h5")).unwrap();
    std::fs::write(path("short.h5"), &bytes[..20_000]).unwrap();
    let said = say(folder.path(), &["digest", "short.h5"]);
    assert_eq!(said.code, 6);
    snapshot("digest_of_a_truncated_file", &said);
}

/// Normal stem cells that are lost faster than they renew have no steady state: under this prior most points are such.
#[test]
fn a_model_that_fails_for_most_of_the_prior() {
    let folder = folder();
    edit(
        folder.path(),
        SMOKE,
        "[observations]",
        "stem_loss = { distribution = \"lognormal\", median = 0.03, sd = 0.5, unit = \"1/d\" } # renewal is 0.02\n\n[observations]",
    );
    edit(folder.path(), SMOKE, "population = 60", "population = 500");
    let said = say(folder.path(), &["run", SMOKE, "-q", "--threads", "2"]);
    assert_eq!(said.code, 5, "{}", said.err);
    assert!(said.err.contains("stem_loss"));
    snapshot("failure_budget", &said);
    // The place where it stops is cut at an id: another number of threads tells the same story.
    assert_eq!(
        say(folder.path(), &["run", SMOKE, "-q", "--threads", "5", "--overwrite"])
            .err
            .lines()
            .filter(|line| !line.contains(" WARN "))
            .collect::<Vec<_>>(),
        said.err.lines().collect::<Vec<_>>()
    );
}

/// A tiny file system of its own; unmounted when dropped.
pub struct Tiny(PathBuf);

impl Tiny {
    pub fn mount(at: PathBuf, kilobytes: u32) -> Option<Tiny> {
        std::fs::create_dir(&at).unwrap();
        let size = format!("size={kilobytes}k");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).output();
        mount.is_ok_and(|output| output.status.success()).then_some(Tiny(at))
    }

    pub fn grow(&self, kilobytes: u32) {
        let size = format!("remount,size={kilobytes}k");
        assert!(Command::new("mount").args(["-o", &size]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk() {
    let folder = folder();
    let Some(_tiny) = Tiny::mount(folder.path().join("full"), 240) else {
        left_out("a_full_disk", "no right to mount a small tmpfs (root has it); a_file_that_may_not_grow covers most of it");
        return;
    };
    let said = say(folder.path(), &["run", COIN, "-q", "-o", "full/coin.h5"]);
    assert_eq!(said.code, 6, "{}", said.err);
    // A result is written beside the journal of the next generation: either may be the first that finds no room.
    let journal = said.err.starts_with("error: full/coin.h5.journal: ");
    snapshot(if journal { "disk_full_for_the_journal" } else { "disk_full" }, &said);
    stands_and_resumes(folder.path(), "full/coin.h5");
}

/// The same without rights: the system refuses files above 192 kB.
#[test]
fn a_file_that_may_not_grow() {
    let folder = folder();
    let nicho = nicho(folder.path(), &[]);
    let program = nicho.get_program().to_str().unwrap();
    let script = format!("trap '' XFSZ; ulimit -f 384; exec {program} run {COIN} -q -o small.h5");
    let said: Said = Command::new("sh").args(["-c", &script]).current_dir(folder.path()).output().unwrap().into();
    assert_eq!(said.code, 6, "{}", said.err);
    snapshot("file_too_large", &said);
    stands_and_resumes(folder.path(), "small.h5");
}

/// What was finished before the disk was full stands, nothing else lies about, and with room the run goes on.
fn stands_and_resumes(folder: &Path, file: &str) {
    assert!(succeed(folder, &["digest", file]).starts_with("inference "));
    assert!(!folder.join(format!("{file}.tmp")).exists());
    std::fs::rename(folder.join(file), folder.join("roomy.h5"))
        .or_else(|_| std::fs::copy(folder.join(file), folder.join("roomy.h5")).map(|_| ()))
        .unwrap();
    succeed(folder, &["run", COIN, "-q", "-o", "roomy.h5", "--resume"]);
    succeed(folder, &["run", COIN, "-q", "-o", "whole.h5"]);
    assert_eq!(succeed(folder, &["digest", "roomy.h5"]), succeed(folder, &["digest", "whole.h5"]));
}

/// Noise that is not known, cannot give the data, or meets settings with which acceptance would not be exact.
#[test]
fn noise() {
    let job = |name: &str, noise: &str, more: &str| {
        let folder = folder();
        edit(folder.path(), COIN, "[sampler]\n", &format!("{noise}\n[sampler]\naccept = \"noise\"\n{more}"));
        // A temperature of 0 would be refused first.
        edit(folder.path(), COIN, "tolerance = 0 #", "#");
        let said = say(folder.path(), &["check", COIN]);
        refused_as_input(name, COIN, &said);
    };
    let heads = |noise: &str| format!("[noise]\nheads = {{ {noise} }}");
    let normal = heads(r#"distribution = "normal", sd = 1.5"#);
    refuse_job("unknown_acceptance", COIN, "[sampler]\n", "[sampler]\naccept = \"noises\"\n");
    refuse_job("noise_that_is_not_used", COIN, "[sampler]\n", &format!("{normal}\n[sampler]\n"));
    job("noise_is_missing", "", "");
    job("noise_of_no_summary", "[noise]\nhead = { distribution = \"poisson\" }", "");
    job("noise_unknown_distribution", &heads(r#"distribution = "gauss""#), "");
    job("noise_without_sd", &heads(r#"distribution = "normal""#), "");
    job("noise_with_a_foreign_key", &heads(r#"distribution = "poisson", sd = 2"#), "");
    job("noise_of_sd_0", &heads(r#"distribution = "normal", sd = 0"#), "");
    job("noise_of_nobody", &heads(r#"distribution = "binomial", n = 0"#), "");
    job("noise_limit_below_0", &heads(r#"distribution = "lognormal", sd = 1, limit = -1"#), "");
    job("noise_cannot_give_the_data", &heads(r#"distribution = "binomial", n = 20"#), "");
    job("noise_and_all_kept", &normal, "keep = \"all\"\n");
    job("noise_and_a_distance", &format!("[distance]\nname = \"euclidean\"\n{normal}"), "");
    job("noise_and_weights", &format!("[distance]\nweights = {{ heads = 2 }}\n{normal}"), "");
    refuse_job("noise_at_temperature_0", COIN, "[sampler]\n", &format!("{normal}\n[sampler]\naccept = \"noise\"\n"));
    job("noise_at_temperatures_below_1", &normal, "schedule = \"list\"\ntolerances = [8, 0.5]\n");
    refuse_job("noise_beside_a_table", SMOKE, "[sampler]\n", &format!("{normal}\n[sampler]\naccept = \"noise\"\n"));
}
