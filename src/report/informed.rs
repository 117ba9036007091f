//! What the data say about the parameters: along which directions of parameter space the posterior is narrower than the prior.
//!
//! On the coordinates of the prior, in units of its standard deviations, the prior has covariance 1 and the posterior S. The
//! eigenvectors of S are combinations of parameters of which the data speak independently, the roots of its eigenvalues their
//! posterior standard deviations as shares of the prior's: near 0 the data fix a combination, near 1 they say nothing of it
//! (Cui, Martin, Marzouk, Solonen and Spantini 2014, Inverse Problems 30:114015). Two parameters that trade off have each a wide
//! posterior, and one combination of them a narrow one.

use serde::Serialize;

use crate::density::eigen;
use crate::population::Weights;
use crate::report::Input;
use crate::report::figure::Figure;
use crate::report::format::{escape, percent};
use crate::report::heat::Heat;
use crate::report::page;
use crate::report::summary::Summary;
use crate::report::tables::{plain, quoted};
use crate::report::text;

/// A direction counts as informed if its posterior sd is below this share of the prior's, and below what chance gives.
pub(super) const INFORMED: f64 = 0.9;
/// A parameter is named in a combination from this loading on; its square is its share of the direction.
const NAMED: f64 = 0.3;
/// Most names of a combination.
const NAMES: usize = 4;
/// Most directions in a table or figure, and most parameters of a figure.
const MOST: usize = 12;
const MOST_PARAMETERS: usize = 24;

/// A direction of parameter space.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Direction {
    /// Posterior standard deviation along it, over that of the prior.
    pub sd: f64,
    /// Its components in prior standard deviations of each parameter, in the order of the run; of length 1, the largest positive.
    pub loadings: Vec<f64>,
    /// Whether the data inform it.
    pub informed: bool,
}

/// The directions of a posterior.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Informed {
    /// The best informed first.
    pub directions: Vec<Direction>,
    /// The least that the posterior sd over the prior's would be by chance in a sample of this effective size of which the
    /// data say nothing: 1 − √(parameters / ESS), the edge of Marchenko and Pastur (1967, Math USSR Sb 1:457).
    pub chance: f64,
}

impl Informed {
    /// From the particles of the last generation.
    pub(super) fn of(input: &Input<'_>) -> Informed {
        let Some(last) = input.store.run().last() else { return Informed::default() };
        let weights = last.weights();
        let scaled = |(k, prior): (usize, &crate::density::Marginal)| -> Vec<f64> {
            last.theta.column(k).iter().map(|x| prior.coordinate(*x) / prior.coordinate_sd()).collect()
        };
        // Of several models a parameter acts in some and follows its prior in others: a mixture has no directions.
        if input.models.iter().any(|(_, acts)| acts.len() + 1 < input.priors.len()) {
            return Informed::default();
        }
        // The number of a model is no direction.
        let count = input.priors.len() - usize::from(!input.models.is_empty());
        Informed::from(&input.priors.iter().take(count).enumerate().map(scaled).collect::<Vec<_>>(), &weights)
    }

    /// From coordinates in prior standard deviations, a vector for each parameter.
    fn from(z: &[Vec<f64>], weights: &Weights) -> Informed {
        let d = z.len();
        let means: Vec<f64> = z.iter().map(|z| weights.mean(z.iter().copied())).collect();
        let covariance = |i: usize, j: usize| weights.mean(z[i].iter().zip(&z[j]).map(|(x, y)| (x - means[i]) * (y - means[j])));
        let matrix: Vec<f64> = (0..d * d).map(|k| covariance(k / d, k % d)).collect();
        let chance = (1.0 - (d as f64 / weights.ess().max(1.0)).sqrt()).max(0.0);
        let direction = |(value, vector): (f64, Vec<f64>)| {
            let largest = vector.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(1.0);
            let sd = value.max(0.0).sqrt();
            let loadings = vector.into_iter().map(|x| x * largest.signum()).collect();
            Direction { sd, loadings, informed: sd < INFORMED.min(chance) }
        };
        Informed { directions: eigen(d, &matrix).into_iter().map(direction).collect(), chance }
    }

    /// How many directions the data inform.
    pub fn count(&self) -> usize {
        self.directions.iter().filter(|direction| direction.informed).count()
    }
}

impl Direction {
    /// The combination in words: its parameters, those that weigh most first, and whether they rise (↑) or fall (↓) along it.
    pub(super) fn name(&self, s: &Summary) -> String {
        let mut order: Vec<usize> = (0..self.loadings.len()).collect();
        order.sort_by(|a, b| self.loadings[*b].abs().total_cmp(&self.loadings[*a].abs()).then(a.cmp(b)));
        let named = order.iter().enumerate().filter(|(place, k)| *place == 0 || self.loadings[**k].abs() >= NAMED);
        let word = |k: usize| format!("{} {}", s.parameters[k].name, if self.loadings[k] < 0.0 { '↓' } else { '↑' });
        let words: Vec<String> = named.take(NAMES).map(|(_, k)| word(*k)).collect();
        match words.as_slice() {
            [alone] => alone.trim_end_matches([' ', '↑']).into(),
            [first, rest @ ..] => format!("{first} with {}", rest.join(", ")),
            [] => String::new(),
        }
    }
}

/// In the terminal, a line per direction.
pub(super) fn text(s: &Summary) -> String {
    if s.informed.directions.len() < 2 {
        return String::new();
    }
    let line = |direction: &Direction| {
        vec![text::cut(&direction.name(s), 80), percent(direction.sd), if direction.informed { "yes" } else { "no" }.into()]
    };
    let lines = s.informed.directions.iter().take(MOST).map(line).collect();
    format!(
        "Directions of parameter space (sd: posterior over prior, in %; the prior alone would give {} or more)\n{}{}",
        percent(s.informed.chance),
        text::table(&["combination", "sd", "informed"], lines, 1),
        more(s)
    )
}

/// What of long lists is not shown.
fn more(s: &Summary) -> String {
    let (shown, all) = (s.informed.directions.len().min(MOST), s.informed.directions.len());
    let informed = s.informed.directions.iter().skip(MOST).filter(|direction| direction.informed).count();
    if shown == all { String::new() } else { format!("{} more, {informed} of them informed: directions.csv\n", all - shown) }
}

/// On the page.
pub(super) fn html(s: &Summary) -> String {
    let line = |direction: &Direction| {
        let mark = if direction.informed { "yes" } else { "no" };
        let cells = [escape(&direction.name(s)), percent(direction.sd), mark.to_string()];
        page::line("", &cells, 1)
    };
    let body: String = s.informed.directions.iter().take(MOST).map(line).collect();
    let head = [("Combination of parameters", "up or down along it"), ("sd", "% of the prior's"), ("Informed", "")];
    format!(
        "<p>A posterior can be narrow along a combination of parameters of which each alone stays wide. Here are the principal \
         directions of the posterior against the prior, both on the scale on which the prior is set and in its standard \
         deviations. A line reads: if these parameters go up and down together as named, the data notice, and fix how far to \
         that share of the prior sd. Along a direction that is not informed the parameters can be traded for one another, or \
         moved, and the fit stays; what is said of them is the prior's. A sample of this size that knew nothing would show {} % \
         or more in every direction.</p>\n{}<p>{}</p>\n",
        percent(s.informed.chance),
        page::table("Directions, the best informed first", &head, 1, &body),
        more(s)
    )
}

/// All directions with all components.
pub(super) fn csv(s: &Summary) -> String {
    let names: Vec<String> = s.parameters.iter().map(|p| quoted(&format!("{} [prior sd]", p.name))).collect();
    let mut out = format!("direction,combination,sd_ratio [1],informed,{}\n", names.join(","));
    for (k, direction) in s.informed.directions.iter().enumerate() {
        let loadings: Vec<String> = direction.loadings.iter().map(|x| plain(*x)).collect();
        let informed = if direction.informed { "yes" } else { "no" };
        let name = quoted(&direction.name(s));
        out += &format!("{},{name},{},{informed},{}\n", k + 1, plain(direction.sd), loadings.join(","));
    }
    out
}

/// Directions against parameters; `None` for a single parameter.
pub(super) fn figure(s: &Summary) -> Option<Figure> {
    let directions: Vec<&Direction> = s.informed.directions.iter().take(MOST).collect();
    let d = s.parameters.len();
    if d < 2 {
        return None;
    }
    // Parameters in the order of the direction in which they weigh most, so that what belongs together stands together.
    let strongest = |k: usize| {
        let best = directions.iter().enumerate().max_by(|a, b| a.1.loadings[k].abs().total_cmp(&b.1.loadings[k].abs()));
        best.map_or((0, 0.0), |(place, direction)| (place, direction.loadings[k].abs()))
    };
    let mut columns: Vec<usize> = (0..d).collect();
    columns.sort_by(|a, b| strongest(*b).1.total_cmp(&strongest(*a).1).then(a.cmp(b)));
    columns.truncate(MOST_PARAMETERS);
    columns.sort_by(|a, b| strongest(*a).0.cmp(&strongest(*b).0).then(strongest(*b).1.total_cmp(&strongest(*a).1)));
    let cut = |shown: usize, all: usize, what: &str| {
        if shown < all { format!(" {shown} of {all} {what} are shown.") } else { String::new() }
    };
    let label = |(k, direction): (usize, &&Direction)| {
        let informed = if direction.informed { "" } else { " (not informed)" };
        format!("{}{informed}: sd {} %", k + 1, percent(direction.sd))
    };
    let heat = Heat {
        id: "directions",
        title: "Combinations of parameters that the data inform, best first".into(),
        caption: format!(
            "A row is a combination: how far each parameter goes up (blue) or down (orange) along it, in prior sd, of a total length \
             of 1. sd: of the posterior along it, in % of the prior's.{}{}",
            cut(directions.len(), d, "directions"),
            cut(columns.len(), d, "parameters")
        ),
        rows: directions.iter().enumerate().map(label).collect(),
        columns: columns.iter().map(|k| s.parameters[*k].name.clone()).collect(),
        beside: Vec::new(),
        beside_title: "",
        values: directions.iter().flat_map(|direction| columns.iter().map(|k| direction.loadings[*k])).collect(),
        unit: "prior sd",
        text: |x| if x.abs() < 0.095 { String::new() } else { format!("{x:+.1}") },
        key: vec![(1.0, "up".into()), (-1.0, "down".into())],
    };
    Some(heat.figure())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Purpose};

    /// Prior N(0, 1) in three dimensions, data on x + y with error 0.1: along (1, 1, 0) / √2 the posterior variance is
    /// 1 / (1 + 2 / 0.01), else 1. A sd of 4000 draws is within 6 / √8000 = 7 % of the true one. The planted bug, eigenvectors
    /// read across, gave another first direction.
    #[test]
    fn a_sum_that_is_known_is_found_and_named() {
        let mut rng = Key::root(5).stream(Purpose::Pilot);
        let known = (1.0f64 / 201.0).sqrt();
        let mut z = vec![Vec::new(); 3];
        for _ in 0..4000 {
            let (sum, difference) = (known * rng.normal(), rng.normal());
            z[0].push((sum + difference) / 2f64.sqrt());
            z[1].push((sum - difference) / 2f64.sqrt());
            z[2].push(rng.normal());
        }
        let informed = Informed::from(&z, &Weights::from_ln(&vec![0.0; 4000]));
        let first = &informed.directions[0];
        assert!((first.sd / known - 1.0).abs() < 0.07 && informed.count() == 1, "{informed:?}");
        let root = 0.5f64.sqrt();
        assert!((first.loadings[0] - root).abs() < 0.02 && (first.loadings[1] - root).abs() < 0.02);
        // Null: nothing is informed; of 200 draws the smallest of ten sds is near its edge, and far below 1.
        let idle: Vec<Vec<f64>> = (0..10).map(|_| (0..200).map(|_| rng.normal()).collect()).collect();
        let none = Informed::from(&idle, &Weights::from_ln(&[0.0; 200]));
        assert!(none.directions[0].sd < 0.87 && none.count() == 0, "{none:?}");
    }
}
