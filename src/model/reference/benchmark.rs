//! Tasks of the benchmark of simulation-based inference (Lueckmann, Boelts, Greenberg, Gonçalves and Macke 2021, AISTATS,
//! PMLR 130:343, appendix T), on which methods are compared by how well a classifier tells their posterior from the exact one.

use std::f64::consts::{PI, SQRT_2};

use super::{parameter, summaries};
use crate::model::{Model, Parameter, Stages, Summary, Unsimulable};
use crate::rng::{Key, Purpose};

const SOURCE: &str = "benchmark of simulation-based inference";

/// Ten means, each measured once with variance 0.1. Under normal priors N(0, 0.1) the posterior at x is N(x / 2, 0.05) in each
/// coordinate; under a uniform prior it is N(x, 0.1) cut at the bounds.
pub struct GaussianLinear {
    parameters: [Parameter; 10],
    summaries: [Summary; 10],
}

/// Two parameters whose posterior is two crescents: a noisy half circle, moved by the parameters, one combination of which
/// enters by its absolute value.
pub struct TwoMoons {
    parameters: [Parameter; 2],
    summaries: [Summary; 2],
}

impl Default for GaussianLinear {
    fn default() -> Self {
        let names = ["mean_0", "mean_1", "mean_2", "mean_3", "mean_4", "mean_5", "mean_6", "mean_7", "mean_8", "mean_9"];
        GaussianLinear {
            parameters: names.map(|name| parameter(name, "mean of a measurement", 0.0, (-1e9, 1e9), SOURCE)),
            summaries: summaries(["x_0", "x_1", "x_2", "x_3", "x_4", "x_5", "x_6", "x_7", "x_8", "x_9"]),
        }
    }
}

impl Default for TwoMoons {
    fn default() -> Self {
        TwoMoons {
            parameters: ["theta_0", "theta_1"].map(|name| parameter(name, "place of the crescents", 0.0, (-1e9, 1e9), SOURCE)),
            summaries: summaries(["x_0", "x_1"]),
        }
    }
}

impl Model for GaussianLinear {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn summaries(&self) -> &[Summary] {
        &self.summaries
    }

    fn simulate(&self, theta: &[f64], key: Key, out: &mut dyn Stages) -> Result<(), Unsimulable> {
        let mut rng = key.stream(Purpose::Simulate);
        let sd = 0.1f64.sqrt();
        let x: Vec<f64> = theta.iter().map(|mean| mean + sd * rng.normal()).collect();
        let _ = out.stage(&x, &x);
        Ok(())
    }
}

impl Model for TwoMoons {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn summaries(&self) -> &[Summary] {
        &self.summaries
    }

    fn simulate(&self, theta: &[f64], key: Key, out: &mut dyn Stages) -> Result<(), Unsimulable> {
        let mut rng = key.stream(Purpose::Simulate);
        let angle = PI * (rng.uniform() - 0.5);
        let radius = 0.1 + 0.01 * rng.normal();
        let x = [
            radius * libm::cos(angle) + 0.25 - (theta[0] + theta[1]).abs() / SQRT_2,
            radius * libm::sin(angle) + (theta[1] - theta[0]) / SQRT_2,
        ];
        let _ = out.stage(&x, &x);
        Ok(())
    }
}
