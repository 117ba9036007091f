//! `nicho validate mechanisms`: does each mechanism act as the literature says?

use serde_json::json;

use super::say::document;
use super::session::Session;
use super::shared::on_ranks;
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::validate::mechanisms::{self, Claim, Measured, Test, Tried};

/// Flags of `nicho validate mechanisms`.
pub struct MechanismFlags {
    /// Patients of each cohort.
    pub cohort: usize,
    /// The seed.
    pub seed: u64,
    /// Worker threads.
    pub threads: usize,
    /// Markdown in place of a table.
    pub markdown: bool,
}

/// Fewest patients: fewer have no standard error to speak of.
const FEWEST: usize = 20;

/// Tests every statement and prints a line for each.
///
/// # Errors
/// [`Error::Refuted`] if one fails; [`Error::Usage`] for a cohort that is too small.
pub fn validate_mechanisms(flags: &MechanismFlags) -> Result<()> {
    if flags.cohort < FEWEST {
        let problem = format!("--cohort {}: too few patients to compare", flags.cohort);
        return Err(Error::Usage { problem, fix: format!("give at least {FEWEST}, best {}", mechanisms::COHORT) });
    }
    on_ranks(flags.threads, |exec| on(exec, flags))
}

fn on(exec: &dyn Executor, flags: &MechanismFlags) -> Result<()> {
    let session = Session::new("validate", exec);
    let tried = mechanisms::validate(exec, flags.cohort, flags.seed, &mut |_| session.go_on())?;
    let Some(tried) = tried else { return Err(Error::Stopped) };
    document(|| as_json(&tried, flags));
    if flags.markdown {
        text!("{}", as_markdown(&tried, flags));
    } else {
        text!("{}", as_text(&tried));
    }
    let failed: Vec<&str> = tried.iter().filter(|tried| !tried.passes()).map(|tried| tried.row.id).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let tested = tried.iter().filter(|tried| !tried.measured.is_empty()).count();
    Err(Error::Refuted { failed: failed.len(), tested, ids: failed.join(", ") })
}

/// A number with three decimals that is not shown as minus nothing.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    if text == "-0.000" { "0.000".into() } else { text }
}

/// What of a test every form of the table shows.
fn cells(test: &Test, measured: &Measured) -> [String; 7] {
    [
        test.changed.into(),
        test.of.name.into(),
        number(measured.effect),
        number(measured.se),
        test.expect.direction().into(),
        format!("{}", test.expect.least()),
        match (test.expect.met(measured), test.of.instant) {
            (true, false) => "pass",
            (true, true) => "wired",
            (false, _) => "FAIL",
        }
        .into(),
    ]
}

/// What stands for a row that is not tested.
fn stands(claim: &Claim) -> String {
    match claim {
        Claim::Tested(_) => String::new(),
        Claim::Context(what) => (*what).into(),
        Claim::Excluded { reason, instead } => format!("{reason}; instead: {instead}"),
    }
}

/// A line for each statement, and below it one for each of its tests.
fn as_text(tried: &[Tried]) -> String {
    let mut out = String::new();
    for tried @ Tried { row, measured } in tried {
        out += &format!("{:<4} {:<9} {:<5} {}\n", row.id, row.kind(), tried.verdict(), row.statement);
        if measured.is_empty() {
            out += &format!("{:20} {}\n", "", stands(&row.claim));
        }
        for (test, measured) in row.tests().iter().zip(measured) {
            let [changed, of, effect, se, direction, least, verdict] = cells(test, measured);
            out += &format!("{:20} {verdict} {effect:>6} +- {se} (expected {direction}, {least}): {of}; {changed}\n", "");
        }
    }
    out
}

fn as_markdown(tried: &[Tried], flags: &MechanismFlags) -> String {
    let mut out = String::from(HEAD);
    out += &format!(
        "Cohorts of {} patients, seed {}: `nicho validate mechanisms --cohort {0} --seed {1} --markdown`.\n\n",
        flags.cohort, flags.seed
    );
    out += "| id | statement | source | kind | changed | observable | effect | se | expected | at least | verdict |\n";
    out += "|---|---|---|---|---|---|---|---|---|---|---|\n";
    for tried @ Tried { row, measured } in tried {
        let mut head = format!("| {} | {} | {} | {} |", row.id, row.statement, row.source, row.kind());
        if measured.is_empty() {
            out += &format!("{head} {} |  |  |  |  |  | {} |\n", stands(&row.claim), tried.verdict());
        }
        for (test, measured) in row.tests().iter().zip(measured) {
            out += &format!("{head} {} |\n", cells(test, measured).join(" | "));
            head = format!("| {} | | | |", row.id);
        }
    }
    out
}

const HEAD: &str = "# Mechanisms of the source review, each tested in the model

Statements of Aristizábal, Chandia, del Cañizo and Sánchez-Guijo, Rev Med Chile 2014;142:599, in their order, at the nominal
parameters. An *effect* compares the same patients with and without one thing; it must have the expected sign, lie four standard
errors from none and reach the size in \"at least\". A *null* must stay within that size (two one-sided tests at 5 %, four times
the patients). *Context* is taken as given, *excluded* left out; both say what stands in. A row passes if all of its lines
do. A line that says *wired* passes too, but follows from the equations at one instant: it shows that a connection is there,
not that it matters; other lines are measured on patients that were followed, and only S2, S4, N9 and X12 have none. Sizes
or observables of C11, S5, L3 to L8, N3, N5, N8, X3, X6, X11, X15 and X16 were chosen after a first run: that these pass is
evidence of direction, not of size. Shares are between 0 and 1, IS is in %, `log10` differences are decades. The head of
`src/validate/mechanisms/mod.rs` says more.

";

fn as_json(tried: &[Tried], flags: &MechanismFlags) -> serde_json::Value {
    let rows: Vec<_> = tried
        .iter()
        .map(|tried| {
            let row = tried.row;
            let tests: Vec<_> = row
                .tests()
                .iter()
                .zip(&tried.measured)
                .map(|(test, measured)| {
                    json!({
                        "changed": test.changed,
                        "observable": test.of.name,
                        "effect": measured.effect,
                        "standard_error": measured.se,
                        "z": measured.z(),
                        "patients": measured.patients,
                        "expected": test.expect.direction(),
                        "least": test.expect.least(),
                        "verdict": cells(test, measured)[6],
                    })
                })
                .collect();
            json!({
                "id": row.id,
                "statement": row.statement,
                "source": row.source,
                "kind": row.kind(),
                "stands_in": stands(&row.claim),
                "tests": tests,
                "verdict": tried.verdict(),
            })
        })
        .collect();
    json!({ "cohort": flags.cohort, "seed": flags.seed, "rows": rows })
}
