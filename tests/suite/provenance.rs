//! What a result says of where it comes from: enough for a referee, and outside every digest.

use nicho::store::Store;

use crate::support::{folder, nicho, succeed};

#[test]
fn a_session_records_where_and_with_what_it_ran() {
    let folder = folder();
    let mut slurm = nicho(folder.path(), &["run", "jobs/coin.toml", "-q", "--threads", "2"]);
    slurm.envs([("SLURM_JOB_ID", "4711"), ("SLURM_RESTART_COUNT", "2"), ("SLURM_JOB_NODELIST", "n[1-2]")]);
    assert!(slurm.output().unwrap().status.success());
    let sessions = Store::open(folder.path().join("coin.h5")).unwrap().sessions();
    assert_eq!(sessions.len(), 1);
    let session = &sessions[0];
    let text = |key: &str| session[key].as_str().unwrap_or_else(|| panic!("no text '{key}' in {session}"));
    let is_hex = |text: &str, length: usize| text.len() == length && text.chars().all(|c| c.is_ascii_hexdigit());
    // A tarball has no commit.
    let commit = text("commit");
    assert!(commit == "unknown" || is_hex(commit.trim_end_matches("-dirty"), 40), "{commit}");
    assert!(is_hex(text("lock_sha256"), 64));
    assert!(text("compiler").starts_with("rustc ") && text("compiler").contains("-linux"));
    assert_eq!(text("features").contains("mpi"), cfg!(feature = "mpi"));
    assert_eq!(session["mpi_compiler"].is_string(), cfg!(feature = "mpi"), "{session}");
    assert_eq!((&session["ranks"], &session["threads"]), (&1.into(), &2.into()));
    assert!(session["mpi"].is_null(), "no MPI ran: {session}");
    for key in ["verb", "version", "hosts", "cpu", "simd", "system"] {
        assert!(!text(key).is_empty(), "{key}");
    }
    assert_eq!((text("slurm_job"), text("slurm_restarts"), text("slurm_nodelist")), ("4711", "2", "n[1-2]"));
    assert!(text("job_file").starts_with('/') && text("job_file").ends_with("/jobs/coin.toml"), "{session}");
    for key in ["started_unix", "seconds"] {
        assert!(session[key].is_number(), "{key}");
    }
    for key in ["slurm_partition", "slurm_nodes", "slurm_tasks"] {
        assert!(session.get(key).is_some(), "{key}");
    }
    // It stands outside the digests.
    succeed(folder.path(), &["run", "jobs/coin.toml", "-q", "-o", "other.h5", "--threads", "1"]);
    assert_eq!(succeed(folder.path(), &["digest", "coin.h5"]), succeed(folder.path(), &["digest", "other.h5"]));
}
