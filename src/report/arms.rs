//! The arms of a scenario against each other: tables of the terminal and of the page, and the same as JSON.
//!
//! Arms are compared draw by draw, since draw *i* follows the same virtual patients in every arm. Beside what the posterior
//! says stands what the prior said: where the two are alike, the data did not inform the prediction.

use serde_json::{Value, json};

use crate::report::curves;
use crate::report::format::{NONE, escape, percent};
use crate::report::page::{folded, line, table};
use crate::report::rows::Band;
use crate::report::text;
use crate::store::{ActedRule, AskedRow, Scenario};
use crate::trial::table::Row;
use crate::trial::vocabulary::{Endpoint, Kind, Term, Word};

/// Widest name of an arm in the terminal.
const NAME: usize = 26;
/// Widest rule.
const RULE: usize = 62;

/// One arm at one row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Arm {
    /// Posterior predictive, over the draws that have an estimate.
    pub posterior: Option<Band>,
    /// Prior predictive.
    pub prior: Option<Band>,
    /// Shares of the posterior's and of the prior's draws that have an estimate.
    pub estimated: [f64; 2],
    /// Arm less reference, draw by draw of the posterior; `None` in the reference.
    pub difference: Option<Band>,
    /// Probability that the arm is better than the reference, ties half.
    pub better: Option<f64>,
}

/// A row with all arms.
pub(super) struct Line<'a> {
    /// What was asked.
    pub asked: &'a AskedRow,
    /// The same in the form of an observation table; `None` if this version does not know the words.
    pub row: Option<Row>,
    /// Whether more is better.
    pub more: Option<bool>,
    /// The arms, in the order of the scenario.
    pub arms: Vec<Arm>,
}

impl Line<'_> {
    /// The curve that the row belongs to.
    pub(super) fn family(&self) -> String {
        self.row.as_ref().map_or_else(|| self.asked.id.clone(), curves::curve_name)
    }

    fn title(&self) -> String {
        let better = self.more.map_or("", |more| if more { " (more is better)" } else { " (less is better)" });
        format!("{}{better}", self.asked.label)
    }
}

/// All rows of a scenario.
pub(super) fn lines(scenario: &Scenario) -> Vec<Line<'_>> {
    scenario.rows.iter().enumerate().map(|(k, asked)| compared(scenario, k, asked)).collect()
}

fn compared<'a>(scenario: &'a Scenario, k: usize, asked: &'a AskedRow) -> Line<'a> {
    let words = Endpoint::parse(&asked.endpoint).zip(Kind::parse(&asked.kind));
    let given = Term::parse_all(&asked.given).ok();
    let row = words.zip(given).and_then(|((of, kind), given)| Row::asked(of, kind, given, asked.month).ok());
    let more = words.map(|(of, kind)| of.more_is_better(kind));
    let arms = (0..scenario.arms.len()).map(|arm| self::arm(scenario, k, arm, more)).collect();
    Line { asked, row, more, arms }
}

fn arm(scenario: &Scenario, row: usize, arm: usize, more: Option<bool>) -> Arm {
    let of = |values: &ndarray::Array3<f64>, arm: usize| -> Vec<f64> {
        (0..values.dim().0).map(|draw| values[(draw, arm, row)]).collect()
    };
    let (here, reference) = (of(&scenario.posterior, arm), of(&scenario.posterior, 0));
    let pairs: Vec<f64> = here.iter().zip(&reference).map(|(x, y)| x - y).filter(|d| d.is_finite()).collect();
    let before = of(&scenario.prior, arm);
    let share = |of: &[f64]| of.iter().filter(|x| x.is_finite()).count() as f64 / of.len().max(1) as f64;
    Arm {
        posterior: Band::of(here.iter().copied()),
        prior: Band::of(before.iter().copied()),
        estimated: [share(&here), share(&before)],
        difference: if arm == 0 { None } else { Band::of(pairs.iter().copied()) },
        better: more.filter(|_| arm > 0).and_then(|more| better(&pairs, more)),
    }
}

/// Probability that a difference is for the better, ties half; `None` without any.
fn better(differences: &[f64], more: bool) -> Option<f64> {
    let score = |d: &f64| match *d {
        0.0 => 0.5,
        d if (d > 0.0) == more => 1.0,
        _ => 0.0,
    };
    let sum: f64 = differences.iter().map(score).sum();
    (!differences.is_empty()).then(|| sum / differences.len() as f64)
}

/// Draws of which fewer than all have an estimate, somewhere.
fn lacking(lines: &[Line<'_>]) -> bool {
    lines.iter().flat_map(|line| &line.arms).any(|arm| arm.estimated != [1.0; 2])
}

fn head(scenario: &Scenario) -> String {
    let draws = scenario.particle.len();
    let title = if scenario.title.is_empty() { &scenario.name } else { &scenario.title };
    let mut head = format!(
        "{title}\n{} patients in each arm; {draws} draws of the posterior and as many of the prior. Shares in %; \
         band: 5 to 95 %.\n",
        scenario.patients
    );
    if let [reference, _, ..] = text::distinct(&scenario.arms, NAME).as_slice() {
        head.push_str(&format!("difference: to '{reference}' in the same patients; better: its probability, ties half.\n"));
    }
    head
}

fn three(band: Option<Band>, signed: bool) -> [String; 2] {
    let show = |x: f64| match percent(x) {
        text if signed && x > 0.0 && text != "0.0" => format!("+{text}"),
        text => text,
    };
    band.map_or([NONE.into(), NONE.into()], |b| [show(b.median), format!("{} {}", show(b.q05), show(b.q95))])
}

/// What stands in the columns after the name: `compared` if there is another arm, `lacking` if draws lack an estimate.
fn cells(arm: &Arm, compared: bool, lacking: bool) -> Vec<String> {
    let mut cells = [three(arm.posterior, false), three(arm.prior, false)].concat();
    if compared {
        cells.extend(three(arm.difference, true));
        cells.push(arm.better.map_or(NONE.into(), |p| format!("{p:.2}")));
    }
    if lacking {
        let [posterior, prior] = arm.estimated.map(|share| 100.0 * share);
        cells.push(format!("{posterior:.0} {prior:.0}"));
    }
    cells
}

/// The rules that did not act on everybody: arm, rule, and shares of posterior and prior.
fn rules(scenario: &Scenario) -> impl Iterator<Item = (usize, &str, [String; 2])> {
    let some = scenario.rules.iter().filter(|rule| (rule.posterior, rule.prior) != (1.0, 1.0));
    some.map(|rule| (rule.arm, rule.name.as_str(), [rule.posterior, rule.prior].map(percent)))
}

const RULES: &str = "Patients on whom each rule acted before they left, median of the draws; the others acted on all";

/// Tables of the terminal, one for each row.
pub(super) fn tables(scenario: &Scenario) -> String {
    let lines = lines(scenario);
    let (compared, lacking) = (scenario.arms.len() > 1, lacking(&lines));
    let mut head = vec!["arm", "posterior", "band", "prior", "band"];
    if compared {
        head.extend(["difference", "band", "better"]);
    }
    if lacking {
        head.push("draws");
    }
    let mut out = text::ascii(&self::head(scenario));
    if lacking {
        out.push_str("draws: those of posterior and prior that have an estimate, in %; a curve of nobody has none.\n");
    }
    let names = text::distinct(&scenario.arms, NAME);
    let acted = |(arm, rule, shares): (usize, &str, [String; 2])| {
        [vec![names[arm].clone(), text::cut(rule, RULE)], shares.to_vec()].concat()
    };
    let acted: Vec<Vec<String>> = rules(scenario).map(acted).collect();
    if !acted.is_empty() {
        out.push_str(&format!("\n{RULES}\n{}", text::table(&["arm", "rule", "posterior", "prior"], acted, 2)));
    }
    for line in &lines {
        let row = |(name, arm): (&String, &Arm)| {
            let mut row = vec![name.clone()];
            row.extend(cells(arm, compared, lacking));
            row
        };
        let rows = names.iter().zip(&line.arms).map(row).collect();
        out.push_str(&format!("\n{}\n{}", text::ascii(&line.title()), text::table(&head, rows, 1)));
    }
    out
}

/// The same as one JSON document; shares in [0, 1], `null` where there is no estimate.
pub(super) fn json(scenario: &Scenario, seed: u64, inference: &str) -> Value {
    let rule = |rule: &ActedRule| json!({ "arm": scenario.arms[rule.arm], "rule": rule.name, "acted": rule.posterior, "prior_acted": rule.prior });
    let band = |band: Option<Band>| band.map(|b| json!({ "median": b.median, "q05": b.q05, "q95": b.q95 }));
    let row = |line: Line<'_>| {
        let arm = |(name, arm): (&String, &Arm)| {
            json!({
                "arm": name,
                "posterior": band(arm.posterior),
                "prior": band(arm.prior),
                "difference": band(arm.difference),
                "better": arm.better,
                "estimated": arm.estimated[0],
                "prior_estimated": arm.estimated[1],
            })
        };
        let AskedRow { id, label, endpoint, kind, given, month } = line.asked;
        let arms: Vec<Value> = scenario.arms.iter().zip(&line.arms).map(arm).collect();
        json!({
            "id": id, "label": label, "endpoint": endpoint, "kind": kind, "given": given, "month": month,
            "more_is_better": line.more, "arms": arms,
        })
    };
    json!({
        "scenario": scenario.name,
        "title": scenario.title,
        "seed": seed,
        "inference": inference,
        "patients": scenario.patients,
        "draws": scenario.particle.len(),
        "reference": scenario.arms.first(),
        "arms": scenario.arms,
        "rules": scenario.rules.iter().map(rule).collect::<Vec<Value>>(),
        "rows": lines(scenario).into_iter().map(row).collect::<Vec<Value>>(),
    })
}

/// The tables of the page: each endpoint in its last month, and behind a summary in every month.
pub(super) fn html(scenario: &Scenario) -> String {
    let lines = lines(scenario);
    let (compared, lacking) = (scenario.arms.len() > 1, lacking(&lines));
    let mut head = vec![("Arm", ""), ("Posterior", "median, %"), ("5 to 95 %", ""), ("Prior", "median, %"), ("5 to 95 %", "")];
    if compared {
        head.extend([("Difference", "median, %"), ("5 to 95 %", ""), ("Better", "probability")]);
    }
    if lacking {
        head.push(("Draws", "with an estimate, %"));
    }
    let group = |one: &Line<'_>| {
        let title = format!("<tr><th scope=\"rowgroup\" colspan=\"{}\">{}</th></tr>\n", head.len(), escape(&one.title()));
        let row = |(name, arm): (&String, &Arm)| line("", &[vec![escape(name)], cells(arm, compared, lacking)].concat(), 1);
        format!("</tbody><tbody>{title}{}", scenario.arms.iter().zip(&one.arms).map(row).collect::<String>())
    };
    let last = |one: &&Line<'_>| lines.iter().all(|other| other.family() != one.family() || other.asked.month <= one.asked.month);
    let ends: String = lines.iter().filter(last).map(group).collect();
    let acted: String = rules(scenario)
        .map(|(arm, rule, shares)| line("", &[vec![escape(&scenario.arms[arm]), escape(rule)], shares.to_vec()].concat(), 2))
        .collect();
    let head_of_rules = [("Arm", ""), ("Rule", ""), ("Posterior", "%"), ("Prior", "%")];
    let acted = if acted.is_empty() { acted } else { table(RULES, &head_of_rules, 2, &acted) };
    let ended = lines.iter().filter(last).count();
    let mut out = table("Arms in the last month of each endpoint", &head, 1, &ends) + &acted;
    if ended < lines.len() {
        let all: String = lines.iter().map(group).collect();
        out += &folded(&format!("Every month: {} rows in numbers", lines.len()), &table("Arms in every month", &head, 1, &all));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_half_and_less_can_be_better() {
        assert_eq!(better(&[0.1, -0.1, 0.0, -0.0], true), Some(0.5));
        assert_eq!(better(&[0.1, 0.1, 0.0, -0.2], true), Some(0.625));
        assert_eq!(better(&[0.1, 0.1, 0.0, -0.2], false), Some(0.375));
        assert_eq!(better(&[], true), None);
    }

    fn scenario() -> Scenario {
        let asked = |endpoint: &str, kind: &str, month: f64| AskedRow {
            id: format!("{endpoint}_{kind}_{month}"),
            label: format!("{endpoint} at {month}"),
            endpoint: endpoint.into(),
            kind: kind.into(),
            given: String::new(),
            month,
        };
        let rows = vec![asked("mmr", "ever", 12.0), asked("mmr", "ever", 24.0), asked("relapse", "km_incidence", 6.0)];
        let nan = f64::NAN;
        // Draws, then arms, then rows.
        let posterior = [
            [[0.4, 0.5, nan], [0.5, 0.5, 0.2]],
            [[0.4, 0.6, 0.4], [0.3, 0.7, 0.2]],
            [[0.4, 0.7, nan], [0.6, 0.8, nan]],
            [[0.4, 0.8, 0.4], [0.7, 0.9, 0.6]],
        ];
        let posterior = ndarray::Array3::from_shape_fn((4, 2, 3), |(i, a, k)| posterior[i][a][k]);
        Scenario {
            name: "test".into(),
            title: "A test".into(),
            text: "name = \"test\"".into(),
            patients: 100,
            arms: vec!["imatinib".into(), "more".into()],
            rows,
            particle: vec![0; 4],
            prior: posterior.mapv(|x| 0.5 * x),
            posterior,
            rules: Vec::new(),
        }
    }

    #[test]
    fn arms_are_compared_draw_by_draw() {
        let scenario = scenario();
        let lines = lines(&scenario);
        let [first, second] = lines[0].arms.as_slice() else { panic!("two arms") };
        assert_eq!((first.difference, first.better, second.better), (None, None, Some(0.75)));
        assert!((second.difference.unwrap().median - 0.15).abs() < 1e-12);
        assert!((second.prior.unwrap().median - 0.275).abs() < 1e-12);
        // Relapse: less is better; only two draws have both, one for each.
        let [first, second] = lines[2].arms.as_slice() else { panic!("two arms") };
        assert_eq!((first.estimated, second.estimated, second.better), ([0.5; 2], [0.75; 2], Some(0.5)));
    }

    #[test]
    fn what_has_no_estimate_is_a_dash_with_the_share_of_draws() {
        let mut scenario = scenario();
        scenario.posterior.mapv_inplace(|x| if x > 0.0 { f64::NAN } else { x });
        let said = tables(&scenario);
        let line = said.lines().find(|line| line.starts_with("more")).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words, ["more", "-", "-", "27.5", "16.5", "34.2", "-", "-", "-", "0", "100"], "{said}");
        let said = json(&scenario, 7, "abc");
        assert_eq!(said["rows"][0]["arms"][1]["posterior"], Value::Null);
        assert_eq!(said["rows"][0]["arms"][1]["estimated"], json!(0.0));
        assert!(said["rows"][0]["arms"][1]["prior"]["median"].is_number());
    }
}
