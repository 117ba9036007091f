//! The result file as Python sees it, through the packages that its users have.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

use crate::support::{folder, left_out, repository, succeed, text};

/// The Python that `NICHO_PYTHON` names: one that has the packages of `tests/python/requirements.txt`.
fn python(test: &str) -> Option<OsString> {
    let python = std::env::var_os("NICHO_PYTHON").filter(|path| !path.is_empty());
    if python.is_none() {
        left_out(
            test,
            "NICHO_PYTHON is not set; it names a Python with the packages of tests/python/requirements.txt (the test command \
             of the README makes one and sets it)",
        );
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI leaves nothing out: set NICHO_PYTHON");
    }
    python
}

/// What a script of `tests/python` says of a file, which must be good.
fn good(python: &OsStr, folder: &Path, script: &str, file: &str) {
    let script = repository("tests/python").join(script);
    // The notebook reads NICHO_RUN, and draws without a display.
    let output =
        Command::new(python).arg(script).arg(file).current_dir(folder).env("NICHO_RUN", "iris-smoke.h5").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{file}\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(": good"), "{said}");
}

/// Runs `tests/python/open_file.py` on a trial's result and on one without a trial.
#[test]
fn python_readers_open_the_file() {
    let Some(python) = python("python_readers_open_the_file") else { return };
    let folder = folder();
    for job in ["iris-smoke", "coin"] {
        succeed(folder.path(), &["run", &format!("jobs/{job}.toml")]);
        good(&python, folder.path(), "open_file.py", &format!("{job}.h5"));
    }
}

/// Runs the Python of `docs/results.md` on the smoke job. Seen to fail: a group of another name.
#[test]
fn the_python_of_the_docs_runs() {
    let Some(python) = python("the_python_of_the_docs_runs") else { return };
    let folder = folder();
    succeed(folder.path(), &["run", "jobs/iris-smoke.toml", "-o", "iris.h5"]);
    succeed(folder.path(), &["export", "iris.h5", "iris-tables"]);
    let page = text("docs/results.md");
    let blocks = page.split("```python\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut said = String::new();
    for code in blocks {
        let output = Command::new(&python).args(["-c", code]).current_dir(folder.path()).output().unwrap();
        said += &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(said.contains("os_120") && said.contains("uM"), "{said}");
}

/// Executes `docs/iris.ipynb` on the smoke job. Seen to fail: a variable of another name.
#[test]
fn the_notebook_of_the_docs_runs() {
    let Some(python) = python("the_notebook_of_the_docs_runs") else { return };
    let folder = folder();
    succeed(folder.path(), &["run", "jobs/iris-smoke.toml"]);
    good(&python, folder.path(), "notebook.py", repository("docs/iris.ipynb").to_str().unwrap());
}
