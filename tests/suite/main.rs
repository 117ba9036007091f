//! The tests of `nicho` by kind, in one binary, so that HDF5 links once. Unit tests stand beside what they test, in `src/`.

// Tests may panic; a failed assertion is how they speak.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod adjusted;
mod architecture;
mod bad_input;
mod browser;
mod command_line;
mod comparison;
mod distances;
mod docs;
mod durable;
mod exact_posteriors;
mod interface;
mod jobs;
mod mechanisms;
mod networks;
mod noise;
mod open_file;
mod provenance;
mod ranks;
mod reference;
mod reproducible;
mod results;
mod reuse;
mod scenarios;
mod simulators_of_the_literature;
mod support;
mod traps;
mod trials;
mod truths;
