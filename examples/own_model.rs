//! A model of one's own, in a program that is all of `nicho` beside it: an epidemic in a town, of which the data are the
//! number of people who were ever ill and the day on which most were.
//!
//! ```text
//! cargo run --release --example own_model -- run examples/own_model.toml
//! ```
//! In a crate of one's own, this file is `src/main.rs`, and `nicho` stands under `[dependencies]`.

use nicho::model::{Model, Own, Parameter, Proposed, Stages, Summary, Unsimulable};
use nicho::rng::{Key, Purpose};

struct Epidemic {
    parameters: [Parameter; 3],
    summaries: [Summary; 2],
}

/// Its tables: what can be inferred or fixed, and what comes out.
fn epidemic() -> Box<dyn Model> {
    let parameter = |name, unit, meaning, default, range| {
        let (source, prior) = ("Kermack and McKendrick 1927, Proc R Soc A 115:700", Proposed::Fixed);
        Parameter { name, unit, meaning, default, range, source, prior }
    };
    let summary = |name: &str, unit: &str| Summary { name: name.into(), unit: unit.into() };
    Box::new(Epidemic {
        parameters: [
            parameter("infection", "1/d", "rate at which an ill person infects others at first", 0.5, (0.0, 10.0)),
            parameter("recovery", "1/d", "rate at which the ill recover", 0.2, (0.01, 10.0)),
            parameter("people", "-", "size of the town", 1000.0, (10.0, 1e6)),
        ],
        summaries: [summary("ever_ill", "-"), summary("peak_day", "d")],
    })
}

impl Model for Epidemic {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn summaries(&self) -> &[Summary] {
        &self.summaries
    }

    /// Random numbers come from `key` and nowhere else: that alone makes runs reproducible on any number of threads and ranks.
    fn simulate(&self, theta: &[f64], key: Key, out: &mut dyn Stages) -> Result<(), Unsimulable> {
        let [infection, recovery, people] = [theta[0], theta[1], theta[2]];
        let mut rng = key.stream(Purpose::Simulate);
        let (mut healthy, mut ill, mut time) = (people - 1.0, 1.0, 0.0);
        let (mut most, mut peak) = (1.0, 0.0);
        while ill > 0.0 {
            let (infections, recoveries) = (infection * healthy * ill / people, recovery * ill);
            time += rng.exponential() / (infections + recoveries);
            let infected = rng.uniform() * (infections + recoveries) < infections;
            (healthy, ill) = if infected { (healthy - 1.0, ill + 1.0) } else { (healthy, ill - 1.0) };
            (most, peak) = if ill > most { (ill, time) } else { (most, peak) };
        }
        // What is known at the end; a model that takes long may report bounds on the way, and is ended early.
        let summaries = [people - healthy, peak];
        let _ = out.stage(1.0, &summaries, &summaries);
        Ok(())
    }
}

fn main() -> std::process::ExitCode {
    nicho::cli::main(vec![Own { name: "epidemic", make: epidemic }])
}
