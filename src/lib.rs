//! `nicho` calibrates a mechanistic disease model to clinical-trial data by approximate Bayesian computation: the
//! bone-marrow niche plus BCR-ABL signaling model of chronic myeloid leukaemia, and the figures that IRIS published.
//!
//! # The pipeline
//! A [job](job::Job) file names a [model](model::Model), priors, observations and a sampler. The [sampler] proposes
//! parameters and has an [executor](exec::Executor) simulate virtual trials; those whose summaries come near enough to the
//! published figures, by the job's [distance](distance::Distance), form a [generation](population::Generation), and the
//! generations walk towards the posterior. Each is put into the [store], one HDF5 file that is result, checkpoint and
//! record at once. From the last generation come equal-weight draws, [predictions](predict) of every fitted and held-out
//! row, polished [modes](refine) and a [report]. A [scenario](job::scenario) asks the same of trials that were not fitted.
//!
//! Data runs left to right and nothing runs back. *What* is inferred stands in the job file; *where* it runs is flags, and
//! cannot change the answer: the result is a function of (job, seed) alone. Why that holds is said in [sampler].
//!
//! # Example
//! The posterior of a coin's bias after 14 heads in 20 tosses is Beta(15, 7), with mean 0.682:
//!
//! ```
//! use std::ops::ControlFlow;
//! use nicho::{exec, job::Job, population::Run, sampler::{self, Progress, Watch}};
//!
//! struct Quiet;
//! impl Watch for Quiet {
//!     fn progress(&mut self, _: &Progress) -> ControlFlow<()> { ControlFlow::Continue(()) }
//!     fn generation(&mut self, _: &Run) {}
//! }
//!
//! let job = Job::load("jobs/coin.toml".as_ref())?;
//! let (problem, executor) = (job.problem()?, exec::open(2)?);
//! let mut run = Run::default();
//! sampler::infer(&job.sampler(), &problem, &mut run, executor.as_ref(), &mut Quiet, &mut |_| Ok(()))?;
//!
//! let last = run.last().expect("a coin can be simulated");
//! let mean = last.weights().mean(last.theta.column(0).iter().copied());
//! assert!((mean - 15.0 / 22.0).abs() < 0.01);
//! # Ok::<(), nicho::error::Error>(())
//! ```

pub mod adjust;
pub mod cli;
pub mod density;
pub mod distance;
pub mod error;
pub mod exec;
pub mod integrate;
pub mod job;
pub mod model;
pub mod population;
pub mod predict;
pub mod refine;
pub mod report;
pub mod rng;
pub mod sampler;
pub mod spelling;
pub mod store;
pub mod trial;
pub mod validate;
pub mod verbs;
