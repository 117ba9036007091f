//! What each table of an export holds.

use ndarray::{Array2, ArrayView1};

use super::{Table, number, plain};
use crate::density::Marginal;
use crate::population::{Generation, Ranked};
use crate::report::tables::quoted;
use crate::report::{Input, models};
use crate::store::{Column, Scenario};

/// All tables of a run that hold anything.
pub(super) fn all(input: &Input<'_>, sources: &[(String, String)]) -> Vec<Table> {
    let store = input.store;
    let own = &parameter_columns(input);
    let draws = |file, about, theta: &Array2<f64>| {
        let mut table = Table::new(file, about, &[("draw", "number of the draw, from 0")]).with(own);
        let cells = |(i, theta): (usize, ArrayView1<'_, f64>)| {
            table.line([i.to_string()].into_iter().chain(parameter_cells(input, theta)))
        };
        theta.rows().into_iter().enumerate().for_each(cells);
        table
    };
    let mut all = vec![parameters(input, sources), generations(input), particles(input), summaries(input), observed(input)];
    all.extend(posterior(input));
    let prior = "draws of the prior";
    all.extend(store.prior().map(|prior_of| draws("prior.csv", prior, &prior_of.draws.theta)));
    let adjusted = "draws of equal weight of the adjusted posterior";
    all.extend(store.adjusted().map(|of| draws("adjusted.csv", adjusted, &of.theta)));
    all.extend([predictions(input), modes(input), profiles(input), compared(input), noise_floor(input), calibration(input)]);
    all.extend(scenarios(store.scenarios()));
    all.retain(|table| !table.lines.is_empty());
    all
}

/// The parameters of a particle: whole numbers as such, and the name of its variant in place of the number.
fn parameter_cells(input: &Input<'_>, theta: ArrayView1<'_, f64>) -> Vec<String> {
    let variant = input.models.len().min(1) * theta.len();
    let acts = variant.checked_sub(1).map(|last| &input.models[theta[last] as usize].1);
    let cell = |(k, x): (usize, &f64)| match input.priors.get(k) {
        _ if k + 1 == variant => quoted(&input.models[*x as usize].0),
        // Where it does not act it is a draw of the prior that nothing was asked about.
        _ if acts.is_some_and(|acts| !acts.contains(&k)) => String::new(),
        Some(Marginal::Integer { .. }) => format!("{x:.0}"),
        _ => number(*x),
    };
    theta.iter().enumerate().map(cell).collect()
}

fn numbers(values: ArrayView1<'_, f64>) -> impl Iterator<Item = String> {
    values.into_iter().map(|x| number(*x))
}

/// The columns of [`parameter_cells`].
fn parameter_columns(input: &Input<'_>) -> Vec<Column> {
    let mut columns = input.store.header().parameters.clone();
    let everywhere = |k: usize| input.models.iter().all(|(_, acts)| acts.contains(&k));
    for (_, column) in columns.iter_mut().enumerate().filter(|(k, _)| !everywhere(*k)) {
        column.long_name += "; empty where it does not act in the model";
    }
    if let (Some(last), false) = (columns.last_mut(), input.models.is_empty()) {
        last.long_name = "name of the model that is meant".into();
    }
    columns
}

fn parameters(input: &Input<'_>, sources: &[(String, String)]) -> Table {
    let header = input.store.header();
    let columns = [
        ("parameter", "name, as in the headers of the other tables"),
        ("use", "inferred, or fixed by the job"),
        ("unit", "unit; empty for a pure number"),
        ("prior", "prior, in natural units"),
        ("value", "value of what is fixed"),
        ("meaning", "what it is"),
        ("source", "where its default and its prior come from"),
    ];
    let mut table = Table::new("parameters.csv", "the parameters of the model", &columns);
    let mut add = |column: &Column, kind: &str, prior: String, value: String| {
        let source = sources.iter().find(|(name, _)| *name == column.name).map_or("", |(_, source)| source);
        table.line([&column.name, kind, plain(&column.unit), &prior, &value, &column.long_name, source].map(quoted));
    };
    let own = parameter_columns(input);
    own.iter().zip(input.priors).for_each(|(column, prior)| add(column, "inferred", prior.to_string(), String::new()));
    header.fixed.iter().for_each(|(column, value)| add(column, "fixed", String::new(), number(*value)));
    table
}

fn generations(input: &Input<'_>) -> Table {
    let columns = [
        ("generation", "number, from 0: a sample of the prior"),
        (
            "tolerance",
            "largest accepted distance; inf in a sample of the prior; a temperature where the noise of the data decides",
        ),
        ("simulated", "simulations up to the last accepted one"),
        ("failed", "simulations that failed, of those that were asked"),
        ("asked", "simulations that were asked whether they failed"),
        ("particles", "particles that were accepted"),
        ("acceptance_rate", "particles per simulation"),
        ("ess", "effective sample size (Kish)"),
    ];
    let mut table = Table::new("generations.csv", "the generations of the inference", &columns);
    for (k, g) in input.store.run().generations.iter().enumerate() {
        let counts = [g.simulated, g.failed, g.asked(), g.accepted().count() as u64].map(|n| n.to_string());
        let shares = [g.acceptance_rate(), g.weights().ess()].map(number);
        table.line([k.to_string(), number(g.tolerance)].into_iter().chain(counts).chain(shares));
    }
    table
}

/// A line for each particle of each generation, which begins with both numbers.
fn each_particle(input: &Input<'_>, mut line: impl FnMut(&Generation, &[f64], usize, [String; 2])) {
    for (k, generation) in input.store.run().generations.iter().enumerate() {
        let weights = generation.weights();
        (0..generation.len()).for_each(|i| line(generation, weights.as_slice(), i, [k.to_string(), i.to_string()]));
    }
}

const PARTICLE: [(&str, &str); 2] =
    [("generation", "number of the generation, from 0"), ("particle", "number within the generation, from 0")];

fn particles(input: &Input<'_>) -> Table {
    let columns = [
        ("trial", "number of the simulation in its generation"),
        ("weight", "weight; they sum to 1 in a generation"),
        ("ln_weight", "natural logarithm of the weight, not normalised"),
        ("distance", "distance of its summaries from the data; the root of a deviance where the noise of the data decides"),
    ];
    let columns = [&PARTICLE[..], &columns].concat();
    let mut table = Table::new("particles.csv", "weighted particles of every generation; the last is the posterior", &columns)
        .with(&parameter_columns(input));
    each_particle(input, |g, weights, i, head| {
        let own = [g.trial[i].to_string(), number(weights[i]), number(g.ln_weight[i]), number(g.distance[i])];
        table.line(head.into_iter().chain(own).chain(parameter_cells(input, g.theta.row(i))));
    });
    table
}

fn summaries(input: &Input<'_>) -> Table {
    let about = "simulated summaries of the same particles, in their order";
    let mut table = Table::new("summaries.csv", about, &PARTICLE).with(&input.store.header().summaries);
    each_particle(input, |g, _, i, head| table.line(head.into_iter().chain(numbers(g.summaries.row(i)))));
    table
}

fn posterior(input: &Input<'_>) -> Option<Table> {
    let (draws, last) = (&input.store.posterior()?.draws, input.store.run().last()?);
    let columns = [
        ("draw", "number of the draw, from 0"),
        ("particle", "the particle of the last generation that it repeats"),
        ("distance", "its distance from the data"),
    ];
    let about = "draws of equal weight of the posterior";
    let mut table = Table::new("posterior.csv", about, &columns).with(&parameter_columns(input));
    for (i, (theta, particle)) in draws.theta.rows().into_iter().zip(&draws.particle).enumerate() {
        let head = [i.to_string(), particle.to_string(), number(last.distance[*particle])];
        table.line(head.into_iter().chain(parameter_cells(input, theta)));
    }
    Some(table)
}

/// The rows of the data; of a run without predicted rows its summaries.
fn observed(input: &Input<'_>) -> Table {
    let columns = [
        ("row", "unique name"),
        ("label", "text for figures"),
        ("trial", "the trial that it is of, in a run of several"),
        ("role", "fit, held_out or context"),
        ("unit", "unit of value and se; empty for a share or a pure number"),
    ];
    let mut table = Table::new("observed.csv", "the data, fitted and held out", &columns);
    table.column("month", "months", "months since the start of treatment; of a relapse since the stop");
    table.column("value", "", "observed value, in the unit of its line");
    table.column("se", "", "its standard error, in the same");
    table.column("n", "patients", "patients behind it");
    for (name, meaning) in [("endpoint", "what is counted"), ("kind", "how it was estimated"), ("given", "among whom")] {
        table.column(name, "", meaning);
    }
    let header = input.store.header();
    for row in &header.rows {
        let head = [&row.id, &row.label, &row.trial, &row.role, plain(&row.unit)].map(quoted);
        let n = if row.n == 0 { String::new() } else { row.n.to_string() };
        let values = [number(row.month), number(row.value), number(row.se), n];
        let words = [&row.endpoint, &row.kind, &row.given].map(|word| quoted(word));
        table.line(head.into_iter().chain(values).chain(words));
    }
    if header.rows.is_empty() {
        for (column, value) in header.summaries.iter().zip(&header.observed) {
            let head = [&column.name, &column.long_name, "", "fit", plain(&column.unit)].map(quoted);
            let values = [String::new(), number(*value), String::new(), String::new()];
            table.line(head.into_iter().chain(values).chain([const { String::new() }; 3]));
        }
    }
    table
}

fn predictions(input: &Input<'_>) -> Table {
    let columns = [
        ("sample", "prior or posterior"),
        ("draw", "the draw in prior.csv or posterior.csv at which was simulated"),
        ("row", "the row in observed.csv"),
    ];
    let mut table = Table::new("predictions.csv", "simulated rows at the draws of prior and posterior", &columns);
    table.column("value", "", "simulated value, in the unit of its line; empty where it could not be estimated");
    table.column("unit", "", "unit of value; empty for a share or a pure number");
    let rows: Vec<[String; 2]> = input.store.header().rows.iter().map(|row| [&row.id, plain(&row.unit)].map(quoted)).collect();
    for (sample, of) in [("prior", input.store.prior()), ("posterior", input.store.posterior())] {
        for (draw, values) in of.iter().flat_map(|of| of.values.rows()).enumerate() {
            let cells = |([id, unit], value): (&[String; 2], &f64)| {
                table.line([sample.into(), draw.to_string(), id.clone(), number(*value), unit.clone()]);
            };
            rows.iter().zip(values).for_each(cells);
        }
    }
    table
}

fn modes(input: &Input<'_>) -> Table {
    let columns = [
        ("mode", "number, from 0, in the order of the file"),
        ("objective", "half the squared scaled distance of the mean summaries, less the log prior density"),
        ("distance", "distance of the mean summaries"),
        ("start", "objective where the search began"),
        ("weight", "share of the posterior weight about its start"),
        ("evaluations", "simulations used"),
        ("converged", "true or false"),
    ];
    let own = &input.store.header().parameters;
    let mut table = Table::new("modes.csv", "polished modes of the posterior", &columns).with(own);
    for column in own {
        let meaning =
            format!("standard deviation of {} that the curvature of the mode implies; empty where it is flat", column.name);
        table.column(&format!("curvature_sd {}", column.name), &column.unit, &meaning);
    }
    for (k, mode) in input.store.modes().unwrap_or_default().iter().enumerate() {
        let figures = [mode.objective, mode.distance, mode.start, mode.weight].map(number);
        let counts = [mode.evaluations.to_string(), mode.converged.to_string()];
        let sds = mode.curvature_sd.iter().map(|x| number(*x));
        let theta = parameter_cells(input, ArrayView1::from(&mode.theta));
        table.line([k.to_string()].into_iter().chain(figures).chain(counts).chain(theta).chain(sds));
    }
    table
}

fn profiles(input: &Input<'_>) -> Table {
    let columns = [("parameter", "the parameter that is held"), ("point", "number of the point, from 0")];
    let mut table = Table::new("profiles.csv", "profiles of the objective about the best mode", &columns);
    table.column("value", "", "where it is held, in the unit of its line");
    table.column("unit", "", "unit of value; empty for a pure number");
    table.column("objective", "-", "least objective over all other parameters");
    table.column("misfit", "-", "the part of the data in it");
    let Some(profile) = input.store.profile() else { return table };
    for (k, column) in input.store.header().parameters.iter().enumerate() {
        for point in 0..profile.value.ncols() {
            let [value, objective, misfit] =
                [&profile.value, &profile.objective, &profile.misfit].map(|of| number(of[(k, point)]));
            table.line([quoted(&column.name), point.to_string(), value, quoted(plain(&column.unit)), objective, misfit]);
        }
    }
    table
}

fn compared(input: &Input<'_>) -> Table {
    let columns = [
        ("model", "name of the variant"),
        ("number", "its number, from 0, in the order of the job"),
        ("probability", "posterior probability, with even odds before the data"),
        ("probability_error", "its Monte-Carlo standard error"),
        ("ln_bayes_factor", "natural logarithm of the Bayes factor over the likeliest"),
        ("ln_bayes_factor_error", "its Monte-Carlo standard error"),
        ("particles", "particles of the last generation"),
    ];
    let mut table = Table::new("models.csv", "the models that were compared", &columns);
    for (k, m) in models::lines(input.store.run(), input.models).iter().enumerate() {
        let figures = [m.probability, m.error, m.ln_bayes, m.ln_bayes_error].map(number);
        let head = [quoted(&m.name), k.to_string()];
        table.line(head.into_iter().chain(figures).chain([m.particles.to_string()]));
    }
    table
}

fn noise_floor(input: &Input<'_>) -> Table {
    let columns =
        [("pair", "number of the pair, from 0"), ("distance", "distance between two replicate data sets at one posterior draw")];
    let mut table = Table::new("noise_floor.csv", "what distance chance alone makes", &columns);
    input.noise_floor.iter().enumerate().for_each(|(pair, distance)| table.line([pair.to_string(), number(*distance)]));
    table
}

fn calibration(input: &Input<'_>) -> Table {
    let rank = format!("rank of the true value among {} posterior draws, from 0", Ranked::DRAWS);
    let columns = [
        ("posterior", "sampler or adjusted"),
        ("parameter", "name of the parameter"),
        ("replicate", "number of the data set, from 0"),
        ("rank", rank.as_str()),
        (
            "true_value",
            "true value, on the coordinate of the prior: the logarithm of a positive parameter, the logit of a proportion",
        ),
        ("posterior_mean", "mean of the posterior, on the same"),
    ];
    let mut table = Table::new("calibration.csv", "ranks and recovered values of a calibration of the job", &columns);
    let mut add = |of: &str, lines: &[Ranked]| {
        for line in lines {
            for (i, (rank, (truth, found))) in line.ranks.iter().zip(&line.recovery).enumerate() {
                let head = [of.into(), quoted(&line.name), i.to_string(), rank.to_string()];
                table.line(head.into_iter().chain([*truth, *found].map(number)));
            }
        }
    };
    if let Some(calibration) = input.store.calibration() {
        add("sampler", &calibration.lines);
        calibration.adjusted.iter().for_each(|lines| add("adjusted", lines));
    }
    table
}

fn scenarios(scenarios: &[Scenario]) -> [Table; 3] {
    let name = ("scenario", "name of the scenario");
    let columns = [
        name,
        ("arm", "name of the arm"),
        ("sample", "prior or posterior"),
        ("draw", "number of the draw; one draw has the same virtual patients in every arm"),
        ("row", "the row in scenario_rows.csv"),
        ("value", "share of patients; empty where it could not be estimated"),
    ];
    let mut values = Table::new("scenarios.csv", "other arms, simulated at draws of prior and posterior", &columns);
    let columns = [
        name,
        ("row", "unique name within the scenario"),
        ("label", "text for figures"),
        ("endpoint", "what is counted"),
        ("kind", "how it is estimated"),
        ("given", "among whom"),
    ];
    let mut rows = Table::new("scenario_rows.csv", "what the scenarios ask for", &columns);
    rows.column("month", "months", "months since the start of treatment; of a relapse since the stop");
    let columns = [
        name,
        ("arm", "name of the arm"),
        ("rule", "the rule"),
        ("posterior", "share of the patients on whom it acted, median over the draws of the posterior"),
        ("prior", "the same over those of the prior"),
    ];
    let mut rules = Table::new("scenario_rules.csv", "on how many patients the rules of the arms acted", &columns);
    for s in scenarios {
        for (sample, of) in [("prior", &s.prior), ("posterior", &s.posterior)] {
            for ((draw, arm, row), value) in of.indexed_iter() {
                let head = [&s.name, &s.arms[arm], sample].map(quoted);
                values.line(head.into_iter().chain([draw.to_string(), quoted(&s.rows[row].id), number(*value)]));
            }
        }
        for row in &s.rows {
            let cells = [&s.name, &row.id, &row.label, &row.endpoint, &row.kind, &row.given].map(|text| quoted(text));
            rows.line(cells.into_iter().chain([number(row.month)]));
        }
        for rule in &s.rules {
            let head = [&s.name, &s.arms[rule.arm], &rule.name].map(|text| quoted(text));
            rules.line(head.into_iter().chain([rule.posterior, rule.prior].map(number)));
        }
    }
    [values, rows, rules]
}
