//! `nicho validate mechanisms` as its user sees it, and the table that is made of it.

use crate::support::{folder, nicho, say, succeed, text};

/// The committed table is what the program prints today, byte for byte: what a change does to any row is seen in the commit.
/// To renew it: `nicho validate mechanisms --markdown > jobs/mechanisms.md`.
#[test]
fn the_committed_table_is_a_fresh_one() {
    let folder = folder();
    let fresh = succeed(folder.path(), &["validate", "mechanisms", "--markdown"]);
    let committed = text("jobs/mechanisms.md");
    for (line, (a, b)) in committed.lines().zip(fresh.lines()).enumerate() {
        assert_eq!(a, b, "line {} of jobs/mechanisms.md", line + 1);
    }
    assert_eq!(committed.len(), fresh.len());
    assert!(!fresh.contains("FAIL"), "{fresh}");
}

/// Neither threads nor the form of the table change a number, and a row that fails says so with exit code 1. Of 20 patients
/// nobody can tell much: rows must fail.
#[test]
fn threads_change_nothing_and_a_failing_row_is_exit_code_1() {
    let folder = folder();
    let json = |threads: &str| say(folder.path(), &["validate", "mechanisms", "--cohort", "20", "--json", "--threads", threads]);
    let (one, two) = (json("1"), json("2"));
    assert_eq!((one.code, &one.out), (1, &two.out), "{}", one.err);
    assert!(one.err.contains("statements fail"), "{}", one.err);
    let table: serde_json::Value = serde_json::from_str(&one.out).unwrap();
    let rows = table["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 58);
    let failing: Vec<&str> = rows.iter().filter(|row| row["verdict"] == "FAIL").map(|row| row["id"].as_str().unwrap()).collect();
    assert!(one.err.contains(&failing.join(", ")), "{failing:?} {}", one.err);
    let other = say(folder.path(), &["validate", "mechanisms", "--cohort", "20", "--seed", "1", "--json"]);
    assert_ne!(one.out, other.out);
}

#[test]
fn a_cohort_too_small_to_compare_is_refused() {
    let folder = folder();
    let said = say(folder.path(), &["validate", "mechanisms", "--cohort", "1"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("give at least 20"), "{}", said.err);
    assert_eq!(nicho(folder.path(), &["validate"]).output().unwrap().status.code(), Some(2));
}
