//! Several models as one: what a comparison simulates. The last parameter says which of them is meant.

use super::{Model, Parameter, Proposed, Stages, Summary, Unsimulable};
use crate::rng::Key;

/// Name of the parameter that says which model is meant, by its number from 0.
pub const VARIANT: &str = "variant";

/// One of the models.
pub struct Member {
    /// The simulator.
    pub model: Box<dyn Model>,
    /// Values of parameters that this model fixes, by name.
    pub fixed: Vec<(String, f64)>,
}

/// Models with the same summaries. Parameters of one name are one parameter; the table is that of the first model, then what others
/// add, then [`VARIANT`].
pub struct Variants {
    parameters: Vec<Parameter>,
    summaries: Vec<Summary>,
    members: Vec<(Box<dyn Model>, Vec<From>)>,
}

/// Where a model's parameter comes from.
#[derive(Clone, Copy)]
enum From {
    /// The common table.
    Table(usize),
    /// The model's own definition.
    Fixed(f64),
}

impl Variants {
    /// From at least one model; `None` if their summaries differ.
    pub fn new(members: Vec<Member>) -> Option<Self> {
        let mut parameters: Vec<Parameter> = Vec::new();
        for parameter in members.iter().flat_map(|member| member.model.parameters()) {
            if !parameters.iter().any(|known| known.name == parameter.name) {
                parameters.push(parameter.clone());
            }
        }
        let summaries = members.first()?.model.summaries().to_vec();
        if members.iter().any(|member| member.model.summaries() != summaries) {
            return None;
        }
        let from = |member: &Member, name: &str| match member.fixed.iter().find(|(fixed, _)| fixed == name) {
            Some((_, value)) => From::Fixed(*value),
            None => From::Table(parameters.iter().position(|known| known.name == name).unwrap_or_default()),
        };
        let sources: Vec<Vec<From>> =
            members.iter().map(|member| member.model.parameters().iter().map(|p| from(member, p.name)).collect()).collect();
        let most = members.len() as f64 - 1.0;
        parameters.push(Parameter {
            name: VARIANT,
            unit: "-",
            meaning: "number of the model that is meant, in the order of the job's [[variant]], from 0",
            default: 0.0,
            range: (0.0, most),
            source: "the job",
            prior: Proposed::Fixed,
        });
        let members = members.into_iter().map(|member| member.model).zip(sources).collect();
        Some(Variants { parameters, summaries, members })
    }
}

impl Model for Variants {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn summaries(&self) -> &[Summary] {
        &self.summaries
    }

    fn simulate(&self, theta: &[f64], key: Key, out: &mut dyn Stages) -> Result<(), Unsimulable> {
        let number = theta[theta.len() - 1] as usize;
        let (model, sources) = &self.members[number.min(self.members.len() - 1)];
        let value = |from: &From| match *from {
            From::Table(index) => theta[index],
            From::Fixed(value) => value,
        };
        let own: Vec<f64> = sources.iter().map(value).collect();
        model.simulate(&own, key, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reference::Coin;
    use std::ops::ControlFlow;

    /// The last that a simulation says.
    struct Last(f64);

    impl Stages for Last {
        fn stage(&mut self, _: f64, lower: &[f64], _: &[f64]) -> ControlFlow<()> {
            self.0 = lower[0];
            ControlFlow::Continue(())
        }
    }

    fn simulate(model: &dyn Model, theta: &[f64]) -> f64 {
        let mut last = Last(f64::NAN);
        model.simulate(theta, Key::root(1), &mut last).unwrap();
        last.0
    }

    #[test]
    fn a_variant_is_its_own_model() {
        let member = |fixed: &[(&str, f64)]| Member {
            model: Box::new(Coin::default()),
            fixed: fixed.iter().map(|(name, value)| ((*name).to_string(), *value)).collect(),
        };
        let both = Variants::new(vec![member(&[]), member(&[("p_heads", 1.0)])]).unwrap();
        let names: Vec<&str> = both.parameters().iter().map(|p| p.name).collect();
        assert_eq!(names, ["p_heads", "tosses", VARIANT]);
        assert_eq!(simulate(&both, &[0.0, 20.0, 0.0]), 0.0);
        assert_eq!(simulate(&both, &[0.0, 20.0, 1.0]), 20.0);
    }
}
