//! Simulators: what a model is, and the catalogue of those that a job file can name.
//!
//! A [`Model`] is immutable, so that one value serves every thread, and a simulation is a function of its parameters and
//! of its [`Key`] alone. To add one to the catalogue: a new file here with one `impl`, and its line there. To have one in a
//! crate of one's own: [`Own`].

use std::fmt;
use std::ops::ControlFlow;
use std::sync::OnceLock;

use crate::density::Marginal;
use crate::rng::Key;

pub mod cml;
pub mod program;
pub mod reference;
pub mod variants;

/// One parameter of a model: a row of the model's parameter table.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Name in job files and results.
    pub name: &'static str,
    /// Unit; `-` for a pure number.
    pub unit: &'static str,
    /// What it is, in words.
    pub meaning: &'static str,
    /// Value where a job neither fixes it nor gives it a prior.
    pub default: f64,
    /// Legal range, both ends included.
    pub range: (f64, f64),
    /// Where the default and the prior come from.
    pub source: &'static str,
    /// The prior proposed to a job that infers it.
    pub prior: Proposed,
}

impl Parameter {
    /// The unit as it stands after a number, with the space before it; empty for a pure number.
    pub fn unit_after(&self) -> String {
        if self.unit == "-" { String::new() } else { format!(" {}", self.unit) }
    }
}

/// A prior that a model proposes for one of its parameters; `Display` writes it in the syntax of a job file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Proposed {
    /// Not meant to be inferred: known, conventional, or without effect on the data.
    Fixed,
    /// Log-normal with this median and standard deviation of the natural logarithm.
    LogNormal {
        /// Median.
        median: f64,
        /// Standard deviation of the natural logarithm.
        sd: f64,
    },
    /// Beta on (0, 1).
    Beta {
        /// First shape.
        a: f64,
        /// Second shape.
        b: f64,
    },
}

impl Proposed {
    /// The prior as a density; `None` if nothing is proposed.
    pub fn marginal(self) -> Option<Marginal> {
        match self {
            Proposed::Fixed => None,
            Proposed::LogNormal { median, sd } => Some(Marginal::LogNormal { median, sd }),
            Proposed::Beta { a, b } => Some(Marginal::Beta { a, b }),
        }
    }
}

impl fmt::Display for Proposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proposed::Fixed => write!(f, "fixed"),
            Proposed::LogNormal { median, sd } => {
                write!(f, r#"{{ distribution = "lognormal", median = {median}, sd = {sd} }}"#)
            }
            Proposed::Beta { a, b } => write!(f, r#"{{ distribution = "beta", a = {a}, b = {b} }}"#),
        }
    }
}

/// Names of the models that a job can ask for.
pub const CATALOGUE: &[&str] = &["cml", "coin", "gaussian_linear", "gaussian_mixture", "normal", "program", "slcp", "two_moons"];

/// A model that a program brings along: jobs name it like those of the catalogue. [`cli::main`](crate::cli::main) takes such.
pub struct Own {
    /// Its name in job files; none of the catalogue.
    pub name: &'static str,
    /// Makes one.
    pub make: fn() -> Box<dyn Model>,
}

static BROUGHT: OnceLock<Vec<Own>> = OnceLock::new();

/// Makes models of one's own known to jobs, once in a process and before the first job is read.
///
/// # Panics
/// If models were brought before, or a name is empty, doubled, or one of the catalogue.
pub fn bring(own: Vec<Own>) {
    for (k, Own { name, .. }) in own.iter().enumerate() {
        let taken = CATALOGUE.contains(name) || own[..k].iter().any(|other| other.name == *name);
        assert!(!name.is_empty() && !taken, "the name '{name}' of a model is empty or taken: give it another");
    }
    assert!(BROUGHT.set(own).is_ok(), "models of one's own are brought once");
}

/// A model that takes no more than its name: one of the catalogue but `cml`, which takes trial data, and `program`, or one that was
/// brought.
pub fn plain(name: &str) -> Option<Box<dyn Model>> {
    Some(match name {
        "coin" => Box::new(reference::Coin::default()),
        "gaussian_linear" => Box::new(reference::GaussianLinear::default()),
        "gaussian_mixture" => Box::new(reference::GaussianMixture::default()),
        "slcp" => Box::new(reference::Slcp::default()),
        "normal" => Box::new(reference::Normal::default()),
        "two_moons" => Box::new(reference::TwoMoons::default()),
        name => return BROUGHT.get()?.iter().find(|own| own.name == name).map(|own| (own.make)()),
    })
}

/// Every name that a job can ask for: those of the catalogue, then those brought.
pub fn names() -> Vec<&'static str> {
    CATALOGUE.iter().copied().chain(BROUGHT.get().into_iter().flatten().map(|own| own.name)).collect()
}

/// One summary statistic that a model returns.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Name in results.
    pub name: String,
    /// Unit; `-` for a proportion or count.
    pub unit: String,
}

/// This point of parameter space cannot be simulated. Data, not an error: it is counted and reported.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsimulable(pub String);

/// Where a simulator reports to while it works, and where early rejection lives.
pub trait Stages {
    /// Says that a share `done` (0 to 1) of the work is done, and that every summary now lies between `lower` and `upper` (both
    /// as long as [`Model::summaries`]); at the end of a simulation the two are equal. `Break` means that nobody needs the rest.
    fn stage(&mut self, done: f64, lower: &[f64], upper: &[f64]) -> ControlFlow<()>;

    /// Whether a stage before the last can break: where none can, bounds on the way are not worth their price.
    fn looks(&self) -> bool {
        false
    }
}

/// A simulator with its settings.
pub trait Model: Send + Sync {
    /// The parameter table, in the order of every full `theta`.
    fn parameters(&self) -> &[Parameter];

    /// Names and units of the summaries, in the order of every row of summaries.
    fn summaries(&self) -> &[Summary];

    /// Simulates at `theta` (as long as [`Model::parameters`]) with the randomness of `key`.
    ///
    /// # Errors
    /// [`Unsimulable`] with the reason if this point cannot be simulated.
    fn simulate(&self, theta: &[f64], key: Key, out: &mut dyn Stages) -> Result<(), Unsimulable>;
}
