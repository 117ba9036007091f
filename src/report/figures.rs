//! The figures of the page: what each shows, and what to see in it.

use crate::report::chart::{Axis, Chart, Ink, Mark, Ticks};
use crate::report::density::{Sample, is_log, prior_range};
use crate::report::figure::{Figure, Glyph, KeyItem, own};
use crate::report::format::{number, with_unit};
use crate::report::summary::{GenerationLine, Summary};
use crate::report::tables::{column, csv, plain};
use crate::report::verdict::UNINFORMED;
use crate::report::{Input, arm_figures, curves, informed, pace, pairs, profiles, ranks, timeline};
use crate::store::slug;

/// The figures, section by section.
pub(super) struct Sections {
    /// Marginals against priors, a figure per parameter.
    pub marginals: Vec<Figure>,
    /// Pair plot, if there is more than one parameter.
    pub pairs: Option<Figure>,
    /// Directions of parameter space, if there is more than one parameter.
    pub directions: Option<Figure>,
    /// Profiles of the objective, a figure per parameter, if there are any.
    pub profiles: Vec<Figure>,
    /// Tolerance, acceptance and effective size by generation.
    pub generations: Vec<Figure>,
    /// Probabilities of the models by generation, if models are compared.
    pub models: Vec<Figure>,
    /// What each stage took, if that was recorded.
    pub timeline: Vec<Figure>,
    /// Ranks and recovery of each parameter, if the file has a calibration.
    pub calibration: Vec<Figure>,
    /// Endpoints over months.
    pub curves: Vec<Figure>,
    /// Rows that are not curves.
    pub forests: Vec<Figure>,
    /// Of each scenario, in the order of the run.
    pub scenarios: Vec<Vec<Figure>>,
}

impl Sections {
    /// All figures.
    pub(super) fn figures(&self) -> impl Iterator<Item = &Figure> {
        let marginals = self.marginals.iter().chain(&self.pairs).chain(&self.directions).chain(&self.profiles);
        let rows = self.curves.iter().chain(&self.forests);
        marginals
            .chain(&self.models)
            .chain(&self.generations)
            .chain(&self.timeline)
            .chain(&self.calibration)
            .chain(rows)
            .chain(self.scenarios.iter().flatten())
    }
}

/// Signs of the marginals.
pub(super) const DENSITY_KEY: &[KeyItem] = &[
    (Glyph::Patch(Ink::Prior, 30), "prior"),
    (Glyph::Patch(Ink::Posterior, 40), "posterior"),
    (Glyph::Line(Ink::Posterior, false), "its 5-95 % range"),
    (Glyph::Line(Ink::Text, true), "mode"),
];
const GENERATION_KEY: &[KeyItem] = &[(Glyph::Line(Ink::Posterior, false), "run"), (Glyph::Line(Ink::Data, true), "noise floor")];

/// Size of a small figure.
const SMALL: (f64, f64) = (330.0, 220.0);
/// Points of a density curve.
const GRID: usize = 160;

/// Draws all figures.
pub(super) fn all(input: &Input<'_>, summary: &Summary) -> Sections {
    let (curves, forests) = curves::figures(summary);
    Sections {
        marginals: marginals(input, summary),
        pairs: pairs::figure(input, summary),
        directions: informed::figure(summary),
        profiles: profiles::figures(summary),
        generations: generations(summary),
        models: models(summary),
        timeline: timeline::figure(input).into_iter().chain(pace::figure(input)).collect(),
        calibration: input.store.calibration().map_or(Vec::new(), ranks::figures),
        curves,
        forests,
        scenarios: input.store.scenarios().iter().map(arm_figures::figures).collect(),
    }
}

fn marginals(input: &Input<'_>, s: &Summary) -> Vec<Figure> {
    (0..s.parameters.len()).map(|k| marginal(input, s, k)).collect()
}

fn marginal(input: &Input<'_>, s: &Summary, k: usize) -> Figure {
    let (parameter, prior) = (&s.parameters[k], &input.priors[k]);
    let title = with_unit(&parameter.name, &parameter.unit);
    let (x, scale) = axis(input, k);
    let x = Axis { label: title.clone(), ..x };
    let x_is_log = x.log;
    let Some(last) = input.store.run().last() else { return empty(&title) };
    let weights = input.weights_of(last, k);
    let sample = Sample::of(last, &weights, k, prior);
    let (from, to) = (scale.to(x.range.0), scale.to(x.range.1));
    let grid: Vec<f64> = (0..=GRID).map(|i| from + (to - from) * i as f64 / GRID as f64).collect();
    // Densities per unit of the drawn axis: on a logarithmic axis that of the logarithm.
    let curve = |density: &dyn Fn(f64) -> f64| -> Vec<(f64, f64, f64)> {
        let points = grid.iter().map(|v| {
            let natural = scale.from(*v);
            let u = prior.coordinate(natural);
            (natural, 0.0, density(u) * scale.jacobian(prior, natural))
        });
        points.map(|p| (p.0, p.1, if p.2.is_finite() { p.2 } else { 0.0 })).collect()
    };
    let before = curve(&|u| libm::exp(prior.ln_density_at(u)));
    let after = curve(&|u| sample.density(u));
    let peak = |c: &[(f64, f64, f64)]| c.iter().map(|p| p.2).fold(0.0, f64::max);
    let top = 1.12 * peak(&after).max(peak(&before).min(1.5 * peak(&after)));
    let y = density_axis(&parameter.unit, x_is_log, (-0.1 * top, top));
    let mut chart = Chart::new(x, y, SMALL).bare().margins(DENSITY_MARGINS);
    chart.band(&before, Ink::Prior, 0.3);
    chart.line(&before.iter().map(|p| (p.0, p.2)).collect::<Vec<_>>(), Ink::Prior, 1.2, false);
    chart.band(&after, Ink::Posterior, 0.4);
    chart.line(&after.iter().map(|p| (p.0, p.2)).collect::<Vec<_>>(), Ink::Posterior, 2.0, false);
    chart.bar((parameter.q05, -0.05 * top), (parameter.q95, -0.05 * top), Ink::Posterior, 4.0);
    if parameter.mode.is_finite() {
        chart.line(&[(parameter.mode, 0.0), (parameter.mode, 0.97 * top)], Ink::Text, 1.4, true);
    }
    let taught = match parameter.contraction {
        c if !c.is_finite() => String::new(),
        c if c < UNINFORMED => {
            format!(" The data say next to nothing of it: the two curves are nearly one (contraction {c:.2}).")
        }
        c if c < 0.5 => format!(" The data narrow it somewhat (contraction {c:.2})."),
        c => format!(" The data narrow it clearly (contraction {c:.2})."),
    };
    let meaning = if parameter.meaning.is_empty() { String::new() } else { format!("{}. ", sentence(&parameter.meaning)) };
    let [mean, q05, q95] = [parameter.mean, parameter.q05, parameter.q95].map(number);
    let caption = format!("{meaning}Mean {mean}, 5 to 95 %: {q05} to {q95}.{taught}");
    let id = format!("marginal-{}", slug(&parameter.name));
    let svg = chart.draw(&id, &format!("Prior and posterior of {title}"), &caption);
    let [prior_column, posterior_column] = density_columns(&parameter.unit, x_is_log);
    let head = [column(&parameter.name, &parameter.unit), prior_column, posterior_column];
    let lines = before.iter().zip(&after).map(|(b, a)| [b.0, b.2, a.2].map(plain).into());
    Figure { id, title, caption, svg, size: SMALL, key: own(DENSITY_KEY), data: csv(&head, lines) }
}

/// Margins of a figure of densities.
pub(super) const DENSITY_MARGINS: [f64; 4] = [58.0, 16.0, 10.0, 46.0];

/// The unit of a density over a unit; empty of a pure number.
fn per(unit: &str) -> String {
    match unit {
        "-" | "" => String::new(),
        unit => match unit.strip_prefix("1/") {
            Some(of) => of.into(),
            None if unit.contains(['/', ' ']) => format!("1/({unit})"),
            None => format!("1/{unit}"),
        },
    }
}

/// The axis of a density over a parameter of that unit; on a logarithmic axis it is that of the natural logarithm. Below 0, where bars
/// of ranges stand, it has no numbers.
pub(super) fn density_axis(unit: &str, log: bool, range: (f64, f64)) -> Axis {
    let label = match (log, per(unit)) {
        (true, _) => "Density, per unit of ln".into(),
        (false, unit) if unit.is_empty() => "Density".into(),
        (false, unit) => format!("Density, {unit}"),
    };
    Axis { ticks: Ticks::Positive, ..Axis::linear(label, range) }
}

/// Columns of the numbers behind it, prior and posterior.
pub(super) fn density_columns(unit: &str, log: bool) -> [String; 2] {
    let of = if log { "_of_ln" } else { "" };
    let unit = if log { String::new() } else { per(unit) };
    ["prior", "posterior"].map(|name| column(&format!("{name}_density{of}"), &unit))
}

/// With a capital.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or(String::new(), |first| first.to_uppercase().chain(characters).collect())
}

fn empty(title: &str) -> Figure {
    Figure {
        id: slug(title),
        title: title.into(),
        caption: String::new(),
        svg: String::new(),
        size: SMALL,
        key: Vec::new(),
        data: String::new(),
    }
}

/// How an axis of a parameter is drawn: natural values along a linear or a logarithmic axis.
#[derive(Clone, Copy)]
pub(super) enum Scale {
    /// Linear.
    Linear,
    /// Logarithmic.
    Log,
}

impl Scale {
    /// Natural to drawn.
    pub(super) fn to(self, x: f64) -> f64 {
        if matches!(self, Scale::Log) { libm::log(x) } else { x }
    }

    /// Drawn to natural.
    pub(super) fn from(self, v: f64) -> f64 {
        if matches!(self, Scale::Log) { libm::exp(v) } else { v }
    }

    /// d coordinate / d drawn.
    pub(super) fn jacobian(self, prior: &crate::density::Marginal, x: f64) -> f64 {
        match (self, is_log(prior), prior) {
            (Scale::Log, true, _) => 1.0,
            (Scale::Linear, true, _) => 1.0 / x,
            (_, _, crate::density::Marginal::Beta { .. }) => 1.0 / (x * (1.0 - x)),
            _ => 1.0,
        }
    }
}

/// The axis of parameter `k`: it holds the posterior whole and the prior's bulk; logarithmic where the coordinate is and
/// the range is more than a factor of 8.
pub(super) fn axis(input: &Input<'_>, k: usize) -> (Axis, Scale) {
    let prior = &input.priors[k];
    let (mut low, mut high) = prior_range(prior);
    if let Some(last) = input.store.run().last() {
        let weights = input.weights_of(last, k);
        let sample = Sample::of(last, &weights, k, prior);
        let (a, b) = (sample.quantile(&weights, 0.001), sample.quantile(&weights, 0.999));
        let pad = 0.15 * (b - a);
        if crate::report::density::bounds(prior).is_none() {
            (low, high) = (low.min(a - pad), high.max(b + pad));
        }
    }
    let (low, high) = if matches!(prior, crate::density::Marginal::Beta { .. }) {
        (prior.natural(low).max(1e-4), prior.natural(high).min(1.0 - 1e-4))
    } else {
        (prior.natural(low), prior.natural(high))
    };
    let log = is_log(prior) && high / low > 8.0;
    let axis = Axis { log, ..Axis::linear("", (low, high)) };
    (axis, if log { Scale::Log } else { Scale::Linear })
}

fn generations(s: &Summary) -> Vec<Figure> {
    let finite: Vec<(f64, f64)> =
        s.generations.iter().filter(|g| g.tolerance.is_finite()).map(|g| (g.number as f64, g.tolerance)).collect();
    let floor = s.noise_floor.map(|f| f.1);
    let mut figures = Vec::new();
    if !finite.is_empty() {
        let caption = match floor {
            _ if s.tempered => {
                "The likelihood enters to the power of 1 over the temperature; at 1 the posterior is exact.".into()
            }
            Some(floor) => format!("It should come down to the noise floor, {}, and not far below.", number(floor)),
            None => "Largest accepted distance; it should level off. The noise floor was not measured.".into(),
        };
        let title = if s.tempered { "Temperature" } else { "Tolerance (distance)" };
        figures.push(series(
            if s.tempered { "temperature" } else { "tolerance" },
            title,
            if s.tempered { "1" } else { "distance" },
            &finite,
            floor,
            &caption,
            s,
        ));
    }
    let each =
        |f: fn(&GenerationLine) -> f64| -> Vec<(f64, f64)> { s.generations.iter().map(|g| (g.number as f64, f(g))).collect() };
    let caption = "Accepted per simulated. A fall below about 1 % means that most of the work is in vain.";
    figures.push(series("acceptance", "Acceptance rate, %", "%", &each(|g| 100.0 * g.acceptance), None, caption, s));
    let caption = format!("Independent particles that the {} weighted ones are worth.", s.particles);
    figures.push(series("ess", "Effective sample size", "particles", &each(|g| g.ess), None, &caption, s));
    figures
}

/// Probability of each model by generation.
fn models(s: &Summary) -> Vec<Figure> {
    if s.models.is_empty() {
        return Vec::new();
    }
    let last = s.generations.len() as f64 - 1.0;
    let (left, right) = if last > 0.0 { (-0.2, last + 0.2) } else { (-1.0, 1.0) };
    let x = Axis { step: Some(libm::ceil(last / 8.0).max(1.0)), ..Axis::linear("Generation", (left, right)) };
    let y = Axis { ticks: Ticks::Percent, ..Axis::linear("Probability, %", (0.0, 1.0)) };
    let mut chart = Chart::new(x, y, SMALL);
    let mut key = Vec::new();
    for (k, model) in s.models.iter().enumerate() {
        let ink = Ink::Arm((k % Ink::ARMS) as u8);
        let points: Vec<(f64, f64)> = model.course.iter().enumerate().map(|(g, p)| (g as f64, *p)).collect();
        chart.line(&points, ink, 2.0, false);
        chart.points(&points, Mark::Dot, 3.5, ink);
        key.push((Glyph::Line(ink, false), model.name.clone()));
    }
    let title = "Posterior probability of each model".to_string();
    let caption = "By generation: where a curve still moves at the end, the tolerance has more to say than the table shows.";
    let svg = chart.draw("models-course", &title, caption);
    let head: Vec<String> =
        std::iter::once("generation [1]".into()).chain(s.models.iter().map(|m| column(&m.name, "1"))).collect();
    let line = |g: &GenerationLine| {
        std::iter::once(g.number.to_string()).chain(s.models.iter().map(|m| plain(m.course[g.number]))).collect()
    };
    let data = csv(&head, s.generations.iter().map(line));
    vec![Figure { id: "models-course".into(), title, caption: caption.into(), svg, size: SMALL, key, data }]
}

fn series(id: &str, title: &str, unit: &str, points: &[(f64, f64)], level: Option<f64>, caption: &str, s: &Summary) -> Figure {
    let last = s.generations.len() as f64 - 1.0;
    let (left, right) = if last > 0.0 { (-0.2, last + 0.2) } else { (-1.0, 1.0) };
    let values = points.iter().map(|p| p.1).chain(level);
    let (low, high) = values.fold((f64::INFINITY, 0.0f64), |r, v| (r.0.min(v), r.1.max(v)));
    // Three decades of tolerance or acceptance do not fit a linear axis.
    let log = low > 0.0 && high / low > 30.0;
    let range = if log { (low / 1.5, high * 1.5) } else { (0.0, if high > 0.0 { 1.1 * high } else { 1.0 }) };
    let step = libm::ceil(last / 8.0).max(1.0);
    let x = Axis { step: Some(step), ..Axis::linear("Generation", (left, right)) };
    let y = Axis { log, ..Axis::linear(title, range) };
    let mut chart = Chart::new(x, y, SMALL);
    if let Some(level) = level {
        chart.line(&[(left, level), (right, level)], Ink::Data, 1.6, true);
    }
    chart.line(points, Ink::Posterior, 2.0, false);
    chart.points(points, Mark::Dot, 3.5, Ink::Posterior);
    let name = id;
    let id = format!("generations-{id}");
    let svg = chart.draw(&id, title, caption);
    let key = if level.is_some() { own(GENERATION_KEY) } else { Vec::new() };
    let lines = points.iter().map(|p| [p.0, p.1].map(plain).into());
    let data = csv(&["generation [1]".to_string(), column(name, unit)], lines);
    Figure { id, title: title.into(), caption: caption.into(), svg, size: SMALL, key, data }
}

#[cfg(test)]
mod tests {
    /// Planted: the unit of a rate left upside down: 1/y.
    #[test]
    fn a_density_has_the_unit_of_one_over_its_parameter() {
        let of = [("uM", "1/uM"), ("1/y", "y"), ("mg/d", "1/(mg/d)"), ("-", "")];
        of.into_iter().for_each(|(unit, density)| assert_eq!(super::per(unit), density));
    }
}
