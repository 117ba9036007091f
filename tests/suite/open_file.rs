//! The result file as Python sees it, through the packages that its users have.

use std::process::Command;

use crate::support::{folder, left_out, repository, succeed};

/// Runs `tests/python/open_file.py` on a trial's result and on one without a trial, with the Python that `NICHO_PYTHON`
/// names: one that has the packages of `tests/python/requirements.txt`.
#[test]
fn python_readers_open_the_file() {
    let Some(python) = std::env::var_os("NICHO_PYTHON").filter(|path| !path.is_empty()) else {
        left_out(
            "python_readers_open_the_file",
            "NICHO_PYTHON is not set; it names a Python with the packages of tests/python/requirements.txt (the test command \
             of the README makes one and sets it)",
        );
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI leaves nothing out: set NICHO_PYTHON");
        return;
    };
    let folder = folder();
    for job in ["iris-smoke", "coin"] {
        succeed(folder.path(), &["run", &format!("jobs/{job}.toml")]);
        let script = repository("tests/python/open_file.py");
        let output = Command::new(&python).arg(script).arg(format!("{job}.h5")).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{job}\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains(": good"), "{said}");
    }
}
