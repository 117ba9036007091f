//! Bakes into the binary what it was built from and with; a run writes it into `/provenance` (`src/verbs/session.rs`).
//!
//! What cannot be found out is "unknown", as the commit is in a tarball: no build fails for want of it.

use std::fs;
use std::path::Path;
use std::process::{Command, exit};

use sha2::{Digest, Sha256};

/// What a binary is made of. Other files cannot make it dirty, nor have it built again.
const SOURCES: [&str; 4] = ["src", "Cargo.toml", "Cargo.lock", "build.rs"];

fn main() {
    for source in SOURCES.iter().filter(|source| Path::new(source).exists()) {
        println!("cargo:rerun-if-changed={source}");
    }
    println!("cargo:rerun-if-env-changed=MPICC");
    let rustc = std::env::var("RUSTC").unwrap_or_default();
    let features = std::env::var("CARGO_CFG_FEATURE").unwrap_or_default();
    let features: Vec<&str> = features.split(',').filter(|feature| *feature != "default").collect();
    bake("COMMIT", commit());
    bake("LOCK_SHA256", fs::read("Cargo.lock").ok().map(|lock| format!("{:x}", Sha256::digest(lock))));
    bake("COMPILER", said(&rustc, &["--version"]).zip(std::env::var("TARGET").ok()).map(|(rustc, on)| format!("{rustc}, {on}")));
    bake("FEATURES", Some(features.join(",")));
    bake("MPI_COMPILER", if features.contains(&"mpi") { mpi_compiler() } else { Some(String::new()) });
}

fn bake(name: &str, value: Option<String>) {
    println!("cargo:rustc-env=NICHO_{name}={}", value.unwrap_or_else(|| "unknown".into()));
}

/// The first line that a program prints, if it ends well.
fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let line = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().trim().to_string();
    output.status.success().then_some(line)
}

/// The commit, with `-dirty` behind it if the sources differ from it.
fn commit() -> Option<String> {
    // A tarball may lie in the folder of another repository, which does not know this file.
    said("git", &["ls-files", "--error-unmatch", "build.rs"])?;
    let commit = said("git", &["rev-parse", "HEAD"])?;
    let changed = said("git", &[&["status", "--porcelain", "--"], &SOURCES[..]].concat())?;
    if changed.is_empty() {
        // Whatever is committed beside the sources, this stays a commit that they were built from.
        return Some(commit);
    }
    // A release build does not stay dirty once its sources are committed. Builds for tests do: they need not be built again.
    let moves = said("git", &["rev-parse", "--git-path", "logs/HEAD"])?;
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") && Path::new(&moves).exists() {
        println!("cargo:rerun-if-changed={moves}");
    }
    Some(format!("{commit}-dirty"))
}

/// What the compiler wrapper of MPI says it is, with a version. The crate `mpi-sys` looks in more places, and says less
/// if it finds none.
fn mpi_compiler() -> Option<String> {
    let asked = |name: &str| std::env::var(name).ok();
    let mpicc = asked("MPICC").unwrap_or_else(|| "mpicc".into());
    // Open MPI knows --showme:version; MPICH and its kin hand whatever they do not know to the C compiler, but -v.
    let version = said(&mpicc, &["--showme:version"]).or_else(|| said(&mpicc, &["-v"]));
    let elsewhere = ["MPI_PKG_CONFIG", "CRAY_MPICH_DIR"].iter().any(|name| asked(name).is_some());
    let packaged = |name| said("pkg-config", &["--exists", name]).is_some();
    if version.is_none() && said(&mpicc, &["-show"]).is_none() && !elsewhere && !packaged("mpich") && !packaged("ompi") {
        eprintln!("feature mpi: there is no MPI here: no compiler wrapper {mpicc}, and pkg-config knows neither mpich nor ompi");
        eprintln!(
            "  fix: load the MPI module of the cluster; or on Debian, apt-get install openmpi-bin libopenmpi-dev libclang-dev;"
        );
        eprintln!(
            "       or set MPICC to the wrapper; or build without the feature: nicho then runs on the threads of one machine"
        );
        exit(1);
    }
    version
}
