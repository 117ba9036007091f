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

/// Two means, measured once with standard deviation 1 or, as often, 0.1.
pub struct GaussianMixture {
    parameters: [Parameter; 2],
    summaries: [Summary; 2],
}

/// A simple likelihood and a complex posterior: four points of a normal in the plane, whose means are two of the parameters,
/// whose standard deviations are the squares of two, and whose correlation is the hyperbolic tangent of the fifth.
pub struct Slcp {
    parameters: [Parameter; 5],
    summaries: [Summary; 8],
}

impl Default for GaussianMixture {
    fn default() -> Self {
        GaussianMixture {
            parameters: ["theta_0", "theta_1"].map(|name| parameter(name, "mean of a measurement", 0.0, (-1e9, 1e9), SOURCE)),
            summaries: summaries(["x_0", "x_1"]),
        }
    }
}

impl Default for Slcp {
    fn default() -> Self {
        let names = ["theta_0", "theta_1", "theta_2", "theta_3", "theta_4"];
        Slcp {
            parameters: names.map(|name| parameter(name, "mean, root of a deviation or correlation", 1.0, (-1e3, 1e3), SOURCE)),
            summaries: summaries(["x_0", "x_1", "x_2", "x_3", "x_4", "x_5", "x_6", "x_7"]),
        }
    }
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
        let _ = out.stage(1.0, &x, &x);
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
        let _ = out.stage(1.0, &x, &x);
        Ok(())
    }
}

impl Model for GaussianMixture {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn summaries(&self) -> &[Summary] {
        &self.summaries
    }

    fn simulate(&self, theta: &[f64], key: Key, out: &mut dyn Stages) -> Result<(), Unsimulable> {
        let mut rng = key.stream(Purpose::Simulate);
        // One deviation for both: a component of the mixture is a normal of the plane.
        let sd = if rng.uniform() < 0.5 { 1.0 } else { 0.1 };
        let x = [theta[0] + sd * rng.normal(), theta[1] + sd * rng.normal()];
        let _ = out.stage(1.0, &x, &x);
        Ok(())
    }
}

impl Model for Slcp {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn summaries(&self) -> &[Summary] {
        &self.summaries
    }

    fn simulate(&self, theta: &[f64], key: Key, out: &mut dyn Stages) -> Result<(), Unsimulable> {
        let mut rng = key.stream(Purpose::Simulate);
        let (first, second, correlation) = (theta[2] * theta[2], theta[3] * theta[3], libm::tanh(theta[4]));
        let rest = (1.0 - correlation * correlation).sqrt();
        let mut x = [0.0; 8];
        for point in x.chunks_exact_mut(2) {
            let (a, b) = (rng.normal(), rng.normal());
            point[0] = theta[0] + first * a;
            point[1] = theta[1] + second * (correlation * a + rest * b);
        }
        let _ = out.stage(1.0, &x, &x);
        Ok(())
    }
}
