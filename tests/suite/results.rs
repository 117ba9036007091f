//! What people do with results: lay runs over each other, watch one, take the numbers elsewhere.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nicho::job::Job;
use nicho::report::{Compared, Comparison, Input};
use nicho::store::Store;

use crate::bad_input::snapshot;
use crate::exact_posteriors::smc;
use crate::support::{Said, folder, left_out, nicho, repository, run, say, succeed};

/// A column of a table, as text.
fn column(folder: &Path, file: &str, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_path(folder.join(file)).unwrap();
    let at = reader.headers().unwrap().iter().position(|header| header == name).unwrap_or_else(|| panic!("{file}: no {name}"));
    reader.records().map(|record| record.unwrap()[at].to_string()).collect()
}

/// The same as numbers.
fn numbers(folder: &Path, file: &str, name: &str) -> Vec<f64> {
    column(folder, file, name).iter().map(|text| if text.is_empty() { f64::NAN } else { text.parse().unwrap() }).collect()
}

fn bits(values: impl IntoIterator<Item = f64>) -> Vec<u64> {
    values.into_iter().map(f64::to_bits).collect()
}

/// The very bits of the file come back from its tables. Planted: nine digits in place of the fewest that read back: `posterior.csv`.
#[test]
fn tables_read_back_to_the_bits_of_the_file() {
    let folder = folder();
    succeed(folder.path(), &["run", "jobs/coin.toml", "-q"]);
    let written = succeed(folder.path(), &["export", "coin.h5", "tables"]);
    let tables = folder.path().join("tables");
    let (store, there) = (Store::open(folder.path().join("coin.h5")).unwrap(), |name: &str| tables.join(name).exists());
    assert!(written.lines().all(|path| folder.path().join(path).is_file()), "{written}");
    for (draws, file) in [(store.posterior(), "posterior.csv"), (store.prior(), "prior.csv")] {
        let theta = draws.unwrap().draws.theta.column(0).to_vec();
        assert_eq!(bits(numbers(&tables, file, "p_heads")), bits(theta), "{file}");
    }
    let generations = &store.run().generations;
    let all = |of: fn(&nicho::population::Generation) -> Vec<f64>| bits(generations.iter().flat_map(of));
    assert_eq!(bits(numbers(&tables, "particles.csv", "p_heads")), all(|g| g.theta.column(0).to_vec()));
    assert_eq!(bits(numbers(&tables, "particles.csv", "weight")), all(|g| g.weights().as_slice().to_vec()));
    assert_eq!(bits(numbers(&tables, "particles.csv", "ln_weight")), all(|g| g.ln_weight.clone()));
    assert_eq!(bits(numbers(&tables, "summaries.csv", "heads")), all(|g| g.summaries.column(0).to_vec()));
    assert_eq!(bits(numbers(&tables, "generations.csv", "tolerance")), all(|g| vec![g.tolerance]));
    assert_eq!(bits(numbers(&tables, "generations.csv", "ess")), all(|g| vec![g.weights().ess()]));
    let predicted = [store.prior(), store.posterior()].map(|of| of.unwrap().values.column(0).to_vec()).concat();
    assert_eq!(bits(numbers(&tables, "predictions.csv", "value")), bits(predicted));
    assert_eq!(bits(numbers(&tables, "modes.csv", "p_heads")), bits(store.modes().unwrap().iter().map(|m| m.theta[0])));
    assert_eq!(bits(numbers(&tables, "noise_floor.csv", "distance")), bits(store.noise_floor().unwrap().iter().copied()));
    assert_eq!(column(&tables, "parameters.csv", "prior")[0], "uniform(lower = 0, upper = 1)");
    assert!(!there("adjusted.csv") && !there("models.csv") && !there("scenarios.csv"), "tables of what the run does not have");
}

/// An export takes the place of an earlier one, whole, and of nothing else.
#[test]
fn an_export_replaces_only_an_export() {
    let folder = folder();
    succeed(folder.path(), &["run", "jobs/coin.toml", "-q"]);
    succeed(folder.path(), &["export", "coin.h5", "tables"]);
    snapshot("export_over_an_export", &say(folder.path(), &["export", "coin.h5", "tables"]));
    // What the new one does not have goes.
    std::fs::write(folder.path().join("tables/adjusted.csv"), "draw\n").unwrap();
    succeed(folder.path(), &["export", "coin.h5", "tables", "--overwrite"]);
    assert!(!folder.path().join("tables/adjusted.csv").exists());
    std::fs::write(folder.path().join("tables/mine.txt"), "mine").unwrap();
    snapshot("export_over_other_files", &say(folder.path(), &["export", "coin.h5", "tables", "--overwrite"]));
    snapshot("export_over_a_file", &say(folder.path(), &["export", "coin.h5", "coin.h5", "--overwrite"]));
    snapshot("export_into_no_folder", &say(folder.path(), &["export", "coin.h5", "no/such"]));
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    succeed(folder.path(), &["export", "coin.h5", "empty"]);
    let mut left = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().display().to_string());
    assert!(!left.any(|name| name.starts_with('.')), "something is left beside");
}

/// With the Python that `NICHO_PYTHON` names, see `open_file`: a trial's rows, units and gaps too.
#[test]
fn pandas_reads_what_h5py_reads() {
    let Some(python) = std::env::var_os("NICHO_PYTHON").filter(|path| !path.is_empty()) else {
        left_out("pandas_reads_what_h5py_reads", "NICHO_PYTHON is not set, see python_readers_open_the_file");
        return;
    };
    let folder = folder();
    succeed(folder.path(), &["run", "jobs/iris-smoke.toml", "-q"]);
    succeed(folder.path(), &["export", "iris-smoke.h5", "tables"]);
    let script = repository("tests/python/tables.py");
    let output = Command::new(&python).arg(script).args(["iris-smoke.h5", "tables"]).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains(": good"), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs of the coin with seeds 1..=2R, in pairs. Null: shift and spread of a pair, over their errors, are standard normal, so that
/// the R = 80 squares sum to χ² with 80 degrees of freedom, for shift and spread each; N = 500 particles, false alarms 1e-4 each. The
/// error of a spread is known to be a tenth too small where tails have few particles of much weight: over 400 other pairs the squares
/// came to 383 and 465. So much is let pass. Here they come to 89 and 116.
///
/// Planted: the error of the first run left out of that of the difference: 179 and 277.
#[test]
fn seeds_differ_by_their_monte_carlo_error() {
    const PAIRS: u64 = 80;
    let scratch = tempfile::tempdir().unwrap();
    let job = |seed: u64| Job::load(&repository("jobs/coin.toml")).unwrap().with_seed(seed).unwrap();
    let stored = |seed: u64| {
        let job = job(seed);
        let run = run(&smc(500, 0.0), &job.problem().unwrap(), &nicho::exec::threads::Threads::new(2));
        let mut store = Store::create(scratch.path().join(format!("{seed}.h5")), &job.header().unwrap()).unwrap();
        store.append(run.last().unwrap().clone()).unwrap();
        store
    };
    let priors = job(1).priors();
    let mut sums = [0.0; 2];
    for pair in 0..PAIRS {
        let stores = [2 * pair + 1, 2 * pair + 2].map(stored);
        let input = |store| Input { store, priors: &priors, noise_floor: &[], models: &[], table: None };
        let runs: Vec<Compared> =
            stores.iter().enumerate().map(|(k, store)| Compared { name: k.to_string(), input: input(store) }).collect();
        let comparison = Comparison::of(&runs, Vec::new()).unwrap();
        let apart = comparison.parameters[0].runs[1].as_ref().unwrap().apart.unwrap();
        for (sum, measured) in sums.iter_mut().zip([apart.shift, apart.spread]) {
            *sum += (measured.value / measured.error).powi(2);
        }
        assert!(apart.overlap > 0.8, "{}", apart.overlap);
    }
    assert!((39.9..138.9).contains(&sums[0]) && (39.9..1.21 * 138.9).contains(&sums[1]), "{sums:?}");
}

#[test]
fn runs_are_laid_over_each_other() {
    let folder = folder();
    let path = folder.path();
    for seed in ["1", "2"] {
        succeed(path, &["run", "jobs/coin.toml", "-q", "--seed", seed, "-o", &format!("coin-{seed}.h5")]);
    }
    let said = succeed(path, &["compare", "coin-1.h5", "coin-2.h5"]);
    assert!(said.contains("\n  seed: 1 (coin-1); 2 (coin-2)\n"), "{said}");
    assert!(said.contains("coin-2 agrees with coin-1 in its posterior within Monte-Carlo error: of 2 differences"), "{said}");
    // Flat between its bounds: means and spreads are compared as they are, and the table says so.
    let scale = |line: &&str| line.trim_start().starts_with("coin-2 ") && line.contains(" natural ");
    assert!(said.lines().any(|line| scale(&line)), "{said}");
    assert!(said.ends_with("Page    compare.html\n") && said.lines().all(|line| line.len() <= 120), "{said}");
    let page = std::fs::read_to_string(path.join("compare.html")).unwrap();
    let digest = succeed(path, &["digest", "coin-1.h5"]);
    let digest = digest.split_whitespace().nth(1).unwrap();
    assert!(page.contains(digest) && page.contains("id=\"marginal-p_heads\"") && page.contains("id=\"rows-rows\""));
    for outside in ["<script", "http://www.w3.org/1999/xlink", "src=", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(
        page.matches("http:").count() + page.matches("https:").count() == page.matches("http://www.w3.org/2000/svg").count(),
        "the page needs a network"
    );
    // Nothing but an earlier page is replaced, least of all a run. Planted: whatever is there; the run is then a page.
    let bytes = std::fs::read(path.join("coin-1.h5")).unwrap();
    for there in ["coin-1.h5", "jobs/coin.toml"] {
        let said = say(path, &["compare", "coin-1.h5", "coin-2.h5", "-o", there, "--overwrite"]);
        assert!(said.code == 4 && said.err.contains("no page of nicho"), "{}", said.err);
    }
    assert_eq!(bytes, std::fs::read(path.join("coin-1.h5")).unwrap());
    // The same runs give the same bytes.
    succeed(path, &["compare", "coin-1.h5", "coin-2.h5", "-o", "again.html"]);
    assert_eq!(page, std::fs::read_to_string(path.join("again.html")).unwrap());
    // Another job: the data are others, and a parameter that one run holds fixed.
    let normal = std::fs::read_to_string(path.join("jobs/coin.toml")).unwrap();
    std::fs::write(path.join("other.toml"), normal.replace("heads = 14", "heads = 6")).unwrap();
    succeed(path, &["run", "other.toml", "-q", "-o", "other.h5"]);
    let said = succeed(path, &["compare", "coin-1.h5", "other.h5", "coin-2.h5", "-o", "three.html"]);
    assert!(
        said.contains("! other differs from coin-1 in its posterior by more than Monte-Carlo error: mean of p_heads by -"),
        "{said}"
    );
    assert!(said.contains("observations.values.heads: 14.0 (coin-1, coin-2); 6.0 (other)"), "{said}");
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let folder = folder();
    let path = folder.path();
    for job in ["coin", "normal"] {
        succeed(path, &["run", &format!("jobs/{job}.toml"), "-q"]);
    }
    std::fs::copy(path.join("coin.h5"), path.join("copy.h5")).unwrap();
    let refused = |name: &str, files: &[&str]| snapshot(name, &say(path, &[&["compare"], files].concat()));
    refused("compare_one", &["coin.h5"]);
    refused("compare_one_twice", &["coin.h5", "./coin.h5"]);
    refused("compare_no_result", &["coin.h5", "jobs/coin.toml"]);
    refused("compare_nothing_in_common", &["coin.h5", "normal.h5"]);
    refused("compare_missing", &["coin.h5", "none.h5"]);
    succeed(path, &["compare", "coin.h5", "copy.h5"]);
    refused("compare_over_a_page", &["coin.h5", "copy.h5"]);
    let said = succeed(path, &["compare", "coin.h5", "copy.h5", "--overwrite"]);
    assert!(said.contains("copy is the same inference as coin: their digests are equal."), "{said}");
}

/// What a calibration found is kept with the result: at the tolerance where its run ended, in verdict, page and digests; a repetition
/// does not ask for it again.
#[test]
fn a_calibration_is_kept_with_its_result() {
    let folder = folder();
    let path = folder.path();
    let job = std::fs::read_to_string(path.join("jobs/normal.toml")).unwrap().replace("tolerance = 0.02", "tolerance = 0.5");
    std::fs::write(path.join("jobs/wide.toml"), job.replace("population = 2000", "population = 200")).unwrap();
    succeed(path, &["run", "jobs/wide.toml", "-o", "wide.h5", "-q"]);
    let digests = succeed(path, &["digest", "wide.h5"]);
    let sbc = ["validate", "sbc", "wide.h5", "--replicates", "50", "-q"];
    let of_result = succeed(path, &sbc);
    assert!(of_result.contains("within the tolerance, 0.5,") && of_result.contains("\nstored in wide.h5;"), "{of_result}");
    let of_job = succeed(path, &["validate", "sbc", "jobs/wide.toml", "--replicates", "50", "-q"]);
    assert_eq!(of_result.split("\nstored in").next(), Some(of_job.trim_end()));
    let after = succeed(path, &["digest", "wide.h5"]);
    let added: Vec<&str> = after.lines().filter(|line| !digests.contains(line)).collect();
    assert!(digests.lines().all(|line| after.contains(line)) && added.len() == 1, "{after}");
    assert!(added[0].starts_with("calibration "), "{after}");
    succeed(path, &["report", "wide.h5"]);
    let page = std::fs::read_to_string(path.join("wide.report/report.html")).unwrap();
    assert!(page.contains("On 50 data sets of its own (tolerance 0.500, 200 particles) the posterior ranks true values evenly"));
    assert!(page.contains("id=\"calibration\"") && page.contains("Ranks of mean") && page.contains("Recovery of mean"));
    assert!(!page.contains("validate sbc"), "what was asked is no other question");
    succeed(path, &["export", "wide.h5", "tables"]);
    let table = std::fs::read_to_string(path.join("tables/calibration.csv")).unwrap();
    assert_eq!((table.lines().count(), table.lines().nth(1).map(|line| line.starts_with("sampler,mean,0,"))), (51, Some(true)));
    let said = succeed(path, &["reproduce", "wide.h5", "-q"]);
    assert!(said.contains("inference ") && said.contains(" not repeated: nicho validate sbc does it"), "{said}");
    // At another tolerance, which the verdict names.
    succeed(path, &[&sbc[..], &["--tolerance", "1"]].concat());
    succeed(path, &["report", "wide.h5"]);
    let page = std::fs::read_to_string(path.join("wide.report/report.html")).unwrap();
    assert!(page.contains("(tolerance 1.00, 200 particles; this run ended at 0.500)"));
    // Of ranks that are all the same it warns.
    let mut store = nicho::store::Store::open(path.join("wide.h5")).unwrap();
    let mut off = store.calibration().unwrap().clone();
    off.lines[0].ranks.fill(3);
    store.put_calibration(&off).unwrap();
    let said = succeed(path, &["report", "wide.h5", "--json"]);
    assert!(said.contains("report.html"));
    let page = std::fs::read_to_string(path.join("wide.report/report.html")).unwrap();
    assert!(page.contains("true values rank unevenly, or intervals hold them more or less often than they say, of: mean."));
}

/// The smoke job, so long that nobody sees its end.
fn endless(folder: &Path) -> std::process::Child {
    let job = std::fs::read_to_string(folder.join("jobs/iris-smoke.toml")).unwrap();
    std::fs::write(folder.join("jobs/endless.toml"), job.replace("population = 60", "population = 50000")).unwrap();
    let run = nicho(folder, &["run", "jobs/endless.toml", "-o", "out.h5", "--threads", "1", "--resume"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !lines(folder).last().is_some_and(|line| line.contains("Z running generation=0 accepted=")) {
        std::thread::sleep(Duration::from_millis(50));
    }
    run
}

fn lines(folder: &Path) -> Vec<String> {
    std::fs::read_to_string(folder.join("out.h5.progress")).unwrap_or_default().lines().map(String::from).collect()
}

/// A heartbeat tells a run that goes on, one that a signal ended and one that was killed from each other; a finished one leaves none.
#[test]
fn a_run_is_watched_while_it_goes_on_and_after() {
    let folder = folder();
    let path = folder.path();
    let watch = |file: &str| succeed(path, &["watch", file]);
    let mut run = endless(path);
    let line = lines(path).pop().unwrap();
    for word in [
        " accepted=",
        "/50000 trials=",
        " acceptance=100.00% tolerance=inf ",
        " ranks=1 threads=1 host=",
        " job=jobs/endless.toml",
    ] {
        assert!(line.contains(word), "no '{word}' in {line}");
    }
    let said = watch("out.h5");
    assert!(said.starts_with("out.h5: iris-smoke, no generation yet\ngeneration 0 ["), "{said}");
    assert!(said.contains(" of 50000 accepted, acceptance 100.00 %") && said.contains("; last sign of life "), "{said}");
    // Ctrl-C: the last line says so.
    assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap().success());
    assert_eq!(run.wait().unwrap().code(), Some(75));
    assert!(lines(path).last().unwrap().contains("Z interrupted ranks=1 "), "{:?}", lines(path));
    let said = watch("out.h5");
    assert!(
        said.contains("\ninterrupted ") && said.contains("resume with  nicho run jobs/endless.toml -o out.h5 --resume"),
        "{said}"
    );
    // SIGKILL: nothing says so, but the age of the file.
    let mut run = endless(path);
    assert!(!lines(path).iter().any(|line| line.contains("interrupted")), "a session begins the file anew");
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(lines(path).last().unwrap().contains("Z running "));
    let file = std::fs::File::options().append(true).open(path.join("out.h5.progress")).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(720)).unwrap();
    let said = watch("out.h5");
    assert!(said.contains("! killed: its process is gone, no sign of life for 12 min"), "{said}");
    assert!(said.contains("last known:\ngeneration 0 [") && said.contains("resume with  nicho run jobs/endless.toml"), "{said}");
    // On another host one knows only that it is silent.
    let line = lines(path).pop().unwrap();
    let host = line.split(" host=").nth(1).unwrap().split(' ').next().unwrap();
    std::fs::write(path.join("out.h5.progress"), format!("{}\n", line.replace(&format!(" host={host}"), " host=n0815"))).unwrap();
    let file = std::fs::File::options().append(true).open(path.join("out.h5.progress")).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(720)).unwrap();
    assert!(watch("out.h5").contains("! no sign of life for 12 min (host n0815, "));
    std::fs::remove_file(path.join("out.h5.progress")).unwrap();
    assert!(watch("out.h5").contains("nothing runs; resume with  nicho run JOB -o out.h5 --resume"));
}

#[test]
fn a_finished_run_is_watched_without_a_heartbeat() {
    let folder = folder();
    let path = folder.path();
    succeed(path, &["run", "jobs/coin.toml", "-q"]);
    assert!(!path.join("coin.h5.progress").exists());
    let said: Said = nicho(path, &["watch", "coin.h5"]).env("LC_ALL", "C").output().unwrap().into();
    let said = said.out;
    assert!(said.starts_with("coin.h5: coin, 6 generations, ") && said.contains("\nfinished\n"), "{said}");
    let marginal = said.lines().find(|line| line.starts_with("p_heads")).unwrap();
    // The prior is flat.
    assert!(marginal.contains("######") && marginal.is_ascii(), "{marginal}");
    let mut blocks = nicho(path, &["watch", "coin.h5", "--once"]);
    let blocks = String::from_utf8(blocks.env("LC_ALL", "C.UTF-8").output().unwrap().stdout).unwrap();
    assert!(blocks.contains("██████") && !blocks.contains('\x1b'), "{blocks}");
    // What a session that was killed after its end has left is not believed, and goes with the next.
    std::fs::write(path.join("coin.h5.progress"), "T running host=x pid=1 job=jobs/coin.toml\n").unwrap();
    assert!(succeed(path, &["watch", "coin.h5"]).contains("\nfinished\n"));
    succeed(path, &["run", "jobs/coin.toml", "-q", "--resume"]);
    assert!(!path.join("coin.h5.progress").exists());
    snapshot("watch_missing", &say(path, &["watch", "none.h5"]));
    snapshot("watch_no_result", &say(path, &["watch", "jobs/coin.toml"]));
}

/// A heartbeat that cannot be written is said once, and changes nothing.
#[test]
fn a_run_without_a_heartbeat_is_the_same_run() {
    let folder = folder();
    let path = folder.path();
    succeed(path, &["run", "jobs/coin.toml", "-q", "-o", "other.h5"]);
    std::fs::create_dir(path.join("coin.h5.progress")).unwrap();
    let said = say(path, &["run", "jobs/coin.toml", "-q"]);
    assert_eq!((said.code, said.err.matches("no heartbeat from here on").count()), (0, 1), "{}", said.err);
    assert_eq!(succeed(path, &["digest", "coin.h5"]), succeed(path, &["digest", "other.h5"]));
}

/// On a terminal of 24 lines: the other screen is entered and left, on Ctrl-C too, the cursor comes back, and no line is wider or lower
/// than the terminal. `script` makes the terminal.
#[test]
fn a_terminal_is_left_as_it_was() {
    let folder = folder();
    let path = folder.path();
    succeed(path, &["run", "jobs/coin.toml", "-q"]);
    let on_a_terminal = |command: &str| {
        let command = format!("stty rows 24 cols 60; {command}");
        let mut script = Command::new("script");
        script.args(["-qec", &command, "/dev/null"]).current_dir(path).env("TERM", "xterm").stdin(Stdio::null());
        script.output().ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let nicho = env!("CARGO_BIN_EXE_nicho");
    let Some(said) = on_a_terminal(&format!("{nicho} watch coin.h5")) else {
        left_out("a_terminal_is_left_as_it_was", "there is no script(1), of util-linux");
        return;
    };
    let (screen, after) = said.split_once("\x1b[?25h\x1b[?1049l").expect("the screen is left");
    assert!(screen.contains("\x1b[?1049h\x1b[?25l") && after.contains("finished"), "{said:?}");
    assert!(
        screen.rsplit("\x1b[H").next().unwrap().split("\x1b[K").all(|line| line.trim_start().chars().count() <= 60),
        "{screen:?}"
    );
    assert!(screen.matches('\n').count() < 24, "{screen:?}");
    // A file that is not there yet is waited for, until Ctrl-C.
    let said = on_a_terminal(&format!("{nicho} watch none.h5 & sleep 1; kill -INT $!; wait $!")).unwrap();
    assert!(said.contains("none.h5 is not there yet") && said.contains("\x1b[?25h\x1b[?1049l"), "{said:?}");
}

/// The files of an external program are looked for where the job file was, beside the result and in the current folder. Seen to fail:
/// a result in another folder than its job, whose program was looked for beside the result alone.
#[test]
fn an_external_program_is_found_again() {
    let folder = folder();
    let path = folder.path();
    let job = std::fs::read_to_string(path.join("jobs/program.toml")).unwrap();
    let edits = [("\"python3\", \"program.py\"", "\"sh\", \"sim.sh\""), ("draws = 100", "draws = 10")];
    let job = edits.iter().fold(job, |job, (from, to)| job.replace(from, to)).replace("generations = 6", "generations = 2");
    std::fs::write(path.join("jobs/shell.toml"), job).unwrap();
    std::fs::write(path.join("jobs/sim.sh"), "while read -r seed beta gamma; do echo ${beta%%.*}5 ${gamma%%.*}7; done\n")
        .unwrap();
    std::fs::create_dir(path.join("results")).unwrap();
    succeed(path, &["run", "jobs/shell.toml", "-q", "-o", "results/shell.h5"]);
    let again = |place: &Path| say(place, &["reproduce", path.join("results/shell.h5").to_str().unwrap(), "-q"]);
    let reproduced = |said: &Said| said.code == 0 && said.out.lines().all(|line| line.ends_with(" reproduced"));
    let said = again(Path::new("/"));
    assert!(reproduced(&said), "where the job was: {}", said.err);
    // The folder of the job is gone, or has no program any more.
    for place in ["results", "."] {
        std::fs::rename(path.join("jobs/sim.sh"), path.join(place).join("sim.sh")).unwrap();
        let said = again(path);
        assert!(reproduced(&said), "{place}: {}", said.err);
        std::fs::rename(path.join(place).join("sim.sh"), path.join("jobs/sim.sh")).unwrap();
    }
    std::fs::rename(path.join("jobs"), path.join("elsewhere")).unwrap();
    let said = again(path);
    let here = path.canonicalize().unwrap();
    let [jobs, results, here] = ["jobs", "results", ""].map(|place| here.join(place).display().to_string());
    let tried = format!("; looked for sim.sh in {jobs}, {results}, {}: it is not there\n", here.trim_end_matches('/'));
    assert!(said.code == 5 && said.err.contains(&tried), "{}", said.err);
    assert!(said.err.contains("fix: mend what that reason names"), "{}", said.err);
}
