//! An external program as it is written in a job file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::definition::Source;
use super::legal;
use super::spanned::Spanned;
use crate::error::Result;
use crate::model::program::{Policy, Program};
use crate::model::{Parameter, Proposed, Summary};
use crate::trial::vocabulary::Word;

/// `[model.program]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProgramDef {
    /// The program and its arguments; started in the folder of the job file, once for each thread.
    #[schemars(example = ["python3", "program.py"])]
    pub command: Spanned<Vec<String>>,
    /// Names of what it answers, in their order: letters, digits and underscores.
    #[schemars(example = ["peak", "ever_ill"])]
    pub summaries: Spanned<Vec<String>>,
    /// What it is asked about, in the order of their names: letters, digits and underscores.
    pub parameters: BTreeMap<Spanned<String>, Spanned<ParameterDef>>,
    /// Time limit of a simulation.
    #[serde(default = "ten_minutes")]
    #[schemars(transform = legal::SECONDS.schema(), extend("x-unit" = "s"), example = 30.0)]
    pub seconds: Spanned<f64>,
    /// What becomes of a simulation that exceeds it: `retry` (then abort), `abort` or `reject`.
    #[serde(default = "retry")]
    #[schemars(transform = legal::one_of(ON_TIMEOUT.map(Word::name)), example = &"abort")]
    pub on_timeout: Spanned<String>,
    /// What becomes of one that fails: `reject` or `abort`.
    #[serde(default = "reject")]
    #[schemars(transform = legal::one_of(ON_FAILURE.map(Word::name)), example = &"abort")]
    pub on_failure: Spanned<String>,
}

/// One line of `[model.program.parameters]`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParameterDef {
    /// Value where the job neither fixes it nor gives it a prior.
    #[schemars(extend("x-unit" = "of the parameter"), example = 1.5)]
    pub default: Spanned<f64>,
    /// Least legal value; without it there is none.
    #[serde(default)]
    #[schemars(extend("x-unit" = "of the parameter"), example = 0.0)]
    pub lower: Option<f64>,
    /// Most legal value; without it there is none.
    #[serde(default)]
    #[schemars(extend("x-unit" = "of the parameter"), example = 10.0)]
    pub upper: Option<f64>,
    /// Unit; without it the parameter is a pure number.
    #[serde(default)]
    #[schemars(example = &"1/d")]
    pub unit: Option<String>,
    /// What it is, in words.
    #[serde(default)]
    #[schemars(example = &"contacts that infect")]
    pub meaning: Option<String>,
}

/// What can become of a simulation that exceeds its time limit.
const ON_TIMEOUT: [Policy; 3] = [Policy::Retry, Policy::Abort, Policy::Reject];
/// What can become of one that fails.
const ON_FAILURE: [Policy; 2] = [Policy::Reject, Policy::Abort];

fn ten_minutes() -> Spanned<f64> {
    Spanned::new(0..0, 600.0)
}

fn retry() -> Spanned<String> {
    Spanned::new(0..0, "retry".into())
}

fn reject() -> Spanned<String> {
    Spanned::new(0..0, "reject".into())
}

/// Names stand in a list with blanks between them, and in names of files.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

impl ProgramDef {
    /// Whether the clock can decide an outcome.
    pub fn is_reproducible(&self) -> bool {
        self.on_timeout.get_ref() != "reject"
    }

    /// The program, ready to be started in one of these folders.
    ///
    /// # Errors
    /// [`Error::Input`](crate::error::Error::Input) for what cannot be meant.
    pub fn build(&self, source: &Source, folders: &[PathBuf]) -> Result<Program> {
        let refuse =
            |span, key: &str, problem: &str, fix: &str| Err(source.error(span, &format!("model.program.{key}"), problem, fix));
        if self.command.get_ref().first().is_none_or(String::is_empty) {
            return refuse(
                self.command.span(),
                "command",
                "no program is named",
                "for example command = [\"python3\", \"sir.py\"]",
            );
        }
        let names = self.summaries.get_ref();
        let twice = (1..names.len()).any(|i| names[..i].contains(&names[i]));
        if names.is_empty() || twice || !names.iter().all(|name| is_name(name)) {
            let fix = "for example summaries = [\"peak\", \"final_size\"]";
            return refuse(
                self.summaries.span(),
                "summaries",
                "names must be there, once each, of letters, digits and underscores",
                fix,
            );
        }
        let seconds = *self.seconds.get_ref();
        if !legal::SECONDS.holds(seconds) {
            let problem = format!("{seconds} is outside the legal range: {} s", legal::SECONDS);
            return refuse(self.seconds.span(), "seconds", &problem, "give a value in the range");
        }
        let policy = |name: &Spanned<String>, key: &str, known: &[Policy]| match Policy::parse(name.get_ref()) {
            Some(policy) if known.contains(&policy) => Ok(policy),
            _ => {
                let words: Vec<&str> = known.iter().map(|policy| policy.name()).collect();
                Err(source.unknown(name, &format!("model.program.{key}"), "choice", &words))
            }
        };
        let on_timeout = policy(&self.on_timeout, "on_timeout", &ON_TIMEOUT)?;
        let on_failure = policy(&self.on_failure, "on_failure", &ON_FAILURE)?;
        let mut parameters = Vec::new();
        for (name, def) in &self.parameters {
            if !is_name(name.get_ref()) {
                let problem = format!("'{}' is no name", name.get_ref());
                return refuse(name.span(), "parameters", &problem, "use letters, digits and underscores");
            }
            let ParameterDef { default, lower, upper, unit, meaning } = def.get_ref();
            let range = (lower.unwrap_or(f64::MIN), upper.unwrap_or(f64::MAX));
            if !(range.0 <= *default.get_ref() && *default.get_ref() <= range.1) {
                let problem = format!("{} is outside the range {} to {}", default.get_ref(), range.0, range.1);
                return refuse(
                    default.span(),
                    &format!("parameters.{}", name.get_ref()),
                    &problem,
                    "mend the default or its range",
                );
            }
            // A job's names live as long as the process, which reads one job.
            let lasting = |text: &str| -> &'static str { Box::leak(text.to_string().into_boxed_str()) };
            parameters.push(Parameter {
                name: lasting(name.get_ref()),
                unit: lasting(unit.as_deref().unwrap_or("-")),
                meaning: lasting(meaning.as_deref().unwrap_or("a parameter of the program")),
                default: *default.get_ref(),
                range,
                source: "the job file",
                prior: Proposed::Fixed,
            });
        }
        if parameters.is_empty() {
            let fix = "for example [model.program.parameters] and, on the next line, beta = { default = 0.3 }";
            return refuse(self.command.span(), "parameters", "the program has no parameters", fix);
        }
        let summaries = names.iter().map(|name| Summary { name: name.clone(), unit: "-".into() }).collect();
        let program = Program::new(parameters, summaries, self.command.get_ref().clone(), folders);
        Ok(program.with_limits(Duration::from_secs_f64(seconds), on_timeout, on_failure))
    }
}
