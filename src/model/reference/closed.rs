//! Conjugate pairs of one parameter.

use super::{parameter, summaries};
use crate::model::{Model, Parameter, Stages, Summary, Unsimulable};
use crate::rng::{Key, Purpose};

/// Tosses of a coin. With a Beta(a, b) prior and `h` heads of `n`, the posterior is Beta(a + h, b + n − h).
pub struct Coin {
    parameters: [Parameter; 2],
    summaries: [Summary; 1],
}

/// A normal sample of known standard deviation, summarised by its mean. With a normal prior the posterior is normal, with
/// the precisions added.
pub struct Normal {
    parameters: [Parameter; 3],
    summaries: [Summary; 1],
}

const CLOSED: &str = "reference model; closed-form posterior";

impl Default for Coin {
    fn default() -> Self {
        Coin {
            parameters: [
                parameter("p_heads", "probability of heads", 0.5, (0.0, 1.0), CLOSED),
                parameter("tosses", "number of tosses", 20.0, (1.0, 1e6), CLOSED),
            ],
            summaries: summaries(["heads"]),
        }
    }
}

impl Default for Normal {
    fn default() -> Self {
        Normal {
            parameters: [
                parameter("mean", "mean of the distribution", 0.0, (-1e9, 1e9), CLOSED),
                parameter("sd", "standard deviation of the distribution, known", 1.0, (1e-9, 1e9), CLOSED),
                parameter("sample", "size of the sample", 10.0, (1.0, 1e6), CLOSED),
            ],
            summaries: summaries(["sample_mean"]),
        }
    }
}

impl Model for Coin {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn summaries(&self) -> &[Summary] {
        &self.summaries
    }

    fn simulate(&self, theta: &[f64], key: Key, out: &mut dyn Stages) -> Result<(), Unsimulable> {
        let mut rng = key.stream(Purpose::Simulate);
        let tosses = theta[1] as u64;
        let mut heads = 0.0;
        for toss in 1..=tosses {
            heads += f64::from(u8::from(rng.uniform() < theta[0]));
            // What is still to come can only add heads.
            if out.stage(toss as f64 / tosses as f64, &[heads], &[heads + (tosses - toss) as f64]).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Model for Normal {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn summaries(&self) -> &[Summary] {
        &self.summaries
    }

    fn simulate(&self, theta: &[f64], key: Key, out: &mut dyn Stages) -> Result<(), Unsimulable> {
        let mut rng = key.stream(Purpose::Simulate);
        let sample = theta[2] as u64;
        let sum: f64 = (0..sample).map(|_| theta[0] + theta[1] * rng.normal()).sum();
        let mean = [sum / sample as f64];
        let _ = out.stage(1.0, &mean, &mean);
        Ok(())
    }
}
