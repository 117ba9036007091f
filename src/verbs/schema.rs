//! `nicho schema`: what a job or scenario file may say.

use super::say::document;
use crate::job::definition::Meant;
use crate::job::reference;

/// Files that have a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SchemaOf {
    /// Job files.
    Job,
    /// Scenario files.
    Scenario,
}

/// Prints the JSON Schema of such files, or their keys as a page in Markdown.
pub fn schema(of: SchemaOf, markdown: bool) {
    let meant = match of {
        SchemaOf::Job => Meant::Job,
        SchemaOf::Scenario => Meant::Scenario,
    };
    match markdown {
        true => text!("{}", reference::page(meant)),
        false => line!("{:#}", reference::schema(meant)),
    }
    document(|| reference::schema(meant));
}
