//! Whether to trust a run, in sentences that say what was counted and no more.

use serde::Serialize;

use crate::population::Stop;
use crate::report::checks::{Check, MARKED, Tail};
use crate::report::format::{count, number, percent, plural};
use crate::report::informed::INFORMED;
use crate::report::ranks;
use crate::report::rows::{Skill, Totals};
use crate::report::summary::Summary;

/// Share of the data that a 90 % band is meant to hold.
const NOMINAL: f64 = 0.9;
/// Effective sample size below which 5 % and 95 % quantiles rest on a handful of particles.
const FEW: f64 = 200.0;
/// The same where a regression has them.
const FEW_REGRESSED: f64 = 100.0;
/// A tolerance this many times the median noise floor is still far above it.
const FAR: f64 = 1.5;
/// Contraction below which a parameter counts as not informed by the data: its posterior is less than 10 % narrower.
pub(super) const UNINFORMED: f64 = 1.0 - INFORMED * INFORMED;

/// How a finding bears on trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Good,
    /// To be kept in mind.
    Note,
    /// Speaks against relying on the result.
    Warning,
}

/// One sentence about the run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// How it bears on trust.
    pub level: Level,
    /// What it is about, in a word or two.
    pub about: &'static str,
    /// The sentence.
    pub text: String,
}

/// What there is to say about a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verdict {
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Judges a run.
    pub fn of(s: &Summary) -> Verdict {
        let mut findings = Vec::new();
        if s.predictive {
            findings.extend(coverage(&s.held_out, "held-out", true));
            findings.extend(skill(&s.held_out));
            findings.extend(width(&s.held_out, "held-out"));
            findings.extend(coverage(&s.fitted, "fitted", false));
            findings.extend([reach(s), misfit(s)].into_iter().flatten());
        }
        findings.extend([tolerance(s), sample(s), informed(s)]);
        findings.extend(adjusted(s));
        findings.extend(calibrated(s));
        findings.extend(modes(s));
        findings.extend([failures(s), ended(s)]);
        Verdict { findings }
    }

    /// How many findings have a level.
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|f| f.level == level).count()
    }
}

/// What a regression could not do.
fn adjusted(s: &Summary) -> Option<Finding> {
    let adjusted = s.adjusted.as_ref()?;
    let ess = adjusted.regression.as_ref()?.ess;
    let left = adjusted.left(&s.parameters);
    let (level, text) = if !adjusted.beyond.is_empty() {
        let names = adjusted.beyond.join(", ");
        (
            Level::Warning,
            format!("The regression extrapolates: no accepted particle comes as far as the observed value of {names}."),
        )
    } else if ess < FEW_REGRESSED {
        let worth = format!("Weighed by their distance too, the particles are worth {ess:.0} independent ones");
        (Level::Warning, format!("{worth}: slopes and limits of the regression rest on a handful of them."))
    } else if left.is_empty() {
        (Level::Good, "The regression explains every parameter in part.".into())
    } else {
        let names = left.join(", ");
        (Level::Note, format!("Among the accepted particles the summaries say next to nothing of {names}: left as ABC found it."))
    };
    Some(Finding { level, about: "Adjustment", text })
}

/// Whether the job found what it should in data of its own.
fn calibrated(s: &Summary) -> Option<Finding> {
    let c = s.calibration.as_ref()?;
    let ended = s.generations.last().map_or(f64::NAN, |g| g.tolerance);
    let elsewhere = if c.tolerance == ended { String::new() } else { format!("; this run ended at {}", number(ended)) };
    let on = format!(
        "On {} data sets of its own (tolerance {}, {} particles{elsewhere})",
        c.replicates,
        number(c.tolerance),
        c.population
    );
    let (level, text) = match ranks::off(&c.parameters) {
        off if off.is_empty() => {
            let adjusted = match c.adjusted.as_deref().map(ranks::off) {
                Some(off) if !off.is_empty() => {
                    (Level::Note, format!(" Of the adjusted posterior that does not hold for: {}.", off.join(", ")))
                }
                Some(_) => (Level::Good, " So does the adjusted posterior.".into()),
                None => (Level::Good, String::new()),
            };
            let good = "the posterior ranks true values evenly, and its intervals hold them as often as they say.";
            (adjusted.0, format!("{on} {good}{}", adjusted.1))
        }
        off => {
            let bad = "true values rank unevenly, or intervals hold them more or less often than they say, of:";
            (Level::Warning, format!("{on} {bad} {}.", off.join(", ")))
        }
    };
    Some(Finding { level, about: "Calibration", text })
}

fn ended(s: &Summary) -> Finding {
    let (level, why) = match s.stopped {
        None => (Level::Warning, "The run has not ended; this is its last finished generation"),
        Some(Stop::Tolerance) if s.tempered => (Level::Good, "The run ended because it reached the temperature asked for"),
        Some(Stop::Tolerance) => (Level::Good, "The run ended because it reached the tolerance asked for"),
        Some(Stop::AcceptanceRate) => (Level::Note, "The run ended because the acceptance rate fell below its limit"),
        Some(Stop::Simulations) => (Level::Note, "The run ended because its budget of simulations was spent"),
        Some(Stop::Generations) => (Level::Note, "The run ended because it reached the number of generations asked for"),
        Some(Stop::Stalled) if s.tempered => (Level::Note, "The run ended because the temperature no longer fell"),
        Some(Stop::Stalled) => (Level::Note, "The run ended because the tolerance no longer fell"),
    };
    let text = format!("{why}, after {} and {} simulations.", plural(s.generations.len(), "generation"), count(s.simulated));
    Finding { level, about: "End", text }
}

fn sample(s: &Summary) -> Finding {
    let ess = s.generations.last().map_or(0.0, |g| g.ess);
    let level = if ess < FEW { Level::Warning } else { Level::Good };
    let few = if ess < FEW { " That is few: the 5 % and 95 % limits rest on a handful of particles." } else { "" };
    let text = format!("{} particles, worth {ess:.0} independent ones.{few}", count(s.particles as u64));
    Finding { level, about: "Sample size", text }
}

/// p-value below which a check warns; below [`MARKED`] it is a note.
const UNLIKELY: f64 = 0.01;

/// What checks of predictions say: their level, and which rows and groups are misfits. `more` is the p-value of one more check.
/// Rows, groups, all rows and the one more are kinds of check, and whichever is least has had so many chances (Bonferroni). `None`
/// without a check, or if so few replicates could call nothing a misfit.
fn check(s: &Summary, tail: fn(&Check) -> Option<Tail>, more: Option<f64>, replicates: usize) -> Option<(Level, Vec<&str>)> {
    let kind = |check: &Check| if check.row { 0 } else { 1 + usize::from(check.name.starts_with("group ")) };
    let kinds = (0..3).filter(|of| s.checks.checks.iter().any(|check| kind(check) == *of && tail(check).is_some())).count();
    let chances = (kinds + usize::from(more.is_some())) as f64;
    if chances / (replicates + 1) as f64 >= MARKED {
        return None;
    }
    let all = |check: &Check| tail(check).map(|tail| chances * tail.family);
    let least = s.checks.checks.iter().filter_map(all).chain(more.map(|p| chances * p)).min_by(f64::total_cmp)?;
    let level = match least {
        p if p < UNLIKELY => Level::Warning,
        p if p < MARKED => Level::Note,
        _ => Level::Good,
    };
    let mut misfits: Vec<&str> =
        s.checks.checks.iter().filter(|check| all(check).is_some_and(|p| p < MARKED)).map(|check| check.name.as_str()).collect();
    misfits.extend(more.filter(|p| chances * p < MARKED).map(|_| "the pattern of all rows together"));
    Some((level, misfits))
}

/// Where there are checks, and too few replicates for them.
fn too_few(s: &Summary, about: &'static str, replicates: usize) -> Option<Finding> {
    let text = format!("{replicates} simulated trials are too few to call an observed row a misfit: raise output.draws.");
    (!s.checks.checks.is_empty()).then_some(Finding { level: Level::Note, about, text })
}

/// Whether the prior can make such data at all.
fn reach(s: &Summary) -> Option<Finding> {
    let p = s.checks.reach.map(|reach| reach.p);
    let replicates = s.checks.replicates[0];
    let Some((level, far)) = check(s, |check| check.prior, p, replicates) else { return too_few(s, "Prior", replicates) };
    let text = if far.is_empty() {
        format!("The observed rows lie among those that the model simulates at {} draws of the prior.", s.checks.replicates[0])
    } else {
        format!(
            "Hardly any trial that the model simulates at draws of the prior is as far out as the observed one in: {}. Such data are \
             at the edge of what the model can make under this prior, or beyond: the model or the prior is off there.",
            far.join(", ")
        )
    };
    Some(Finding { level, about: "Prior", text })
}

/// Whether the fitted model makes such data.
fn misfit(s: &Summary) -> Option<Finding> {
    let replicates = s.checks.replicates[1];
    let Some((level, far)) = check(s, |check| check.posterior, None, replicates) else { return too_few(s, "Misfit", replicates) };
    let text = if far.is_empty() {
        format!(
            "{} trials that the fitted model simulates are like the observed one in every fitted row and group.",
            s.checks.replicates[1]
        )
    } else {
        format!(
            "Hardly any trial that the fitted model simulates is as far out as the observed one in: {}. The model does not bend there, \
             or the fit is too coarse.",
            far.join(", ")
        )
    };
    Some(Finding { level, about: "Misfit", text })
}

fn tolerance(s: &Summary) -> Finding {
    let last = s.generations.last().map_or(f64::NAN, |g| g.tolerance);
    let about = if s.tempered { "Temperature" } else { "Tolerance" };
    if !last.is_finite() {
        let text = "The last generation is a sample of the prior: nothing has been fitted yet.".into();
        return Finding { level: Level::Warning, about, text };
    }
    if s.tempered {
        let (level, meaning) = if last <= 1.0 {
            (
                Level::Good,
                "simulations were accepted with the probability of the data under their noise, and no tolerance is left",
            )
        } else {
            (Level::Warning, "the likelihood enters flattened, and the posterior is wider than the data would allow")
        };
        let text = format!("The final temperature is {}: {meaning}.", number(last));
        return Finding { level, about, text };
    }
    let Some((low, floor, high)) = s.noise_floor else {
        let text = format!("The final tolerance is {}; the noise floor of the distance was not measured.", number(last));
        return Finding { level: Level::Note, about, text };
    };
    let ratio = last / floor;
    let (level, meaning) = if ratio > FAR {
        (Level::Warning, "The fit is coarser than chance alone: the posterior is wider than the data would allow")
    } else if ratio < 1.0 {
        (Level::Good, "Closer than chance alone brings two trials: that costs simulations, not accuracy")
    } else {
        (Level::Good, "The fit is about as close as chance allows")
    };
    let text = format!(
        "The final tolerance, {}, is {} times the noise floor (two replicate cohorts at one parameter differ by {}, \
         5-95 %: {} to {}). {meaning}.",
        number(last),
        number(ratio),
        number(floor),
        number(low),
        number(high)
    );
    Finding { level, about, text }
}

fn failures(s: &Summary) -> Finding {
    let (failed, all) = s.generations.iter().fold((0, 0), |sum, g| (sum.0 + g.failed, sum.1 + g.asked));
    let share = failed as f64 / all.max(1) as f64;
    let level = match share {
        x if x > 0.05 => Level::Warning,
        x if x > 0.005 => Level::Note,
        _ => Level::Good,
    };
    let text = match failed {
        0 => format!("None of the {} simulations that were asked failed.", count(all)),
        _ => format!(
            "{} of the {} simulations that were asked failed ({} %); where the model cannot be simulated the posterior has no mass.",
            count(failed),
            count(all),
            number(100.0 * share)
        ),
    };
    Finding { level, about: "Failures", text }
}

fn coverage(t: &Totals, which: &str, judged: bool) -> Option<Finding> {
    if t.rows == 0 {
        return None;
    }
    let n = t.rows as f64;
    let (expected, sd) = (NOMINAL * n, (n * NOMINAL * (1.0 - NOMINAL)).sqrt());
    let z = (t.inside as f64 - expected) / sd;
    let level = match (judged, z) {
        (true, z) if z < -2.0 => Level::Warning,
        (true, z) if z >= -1.0 => Level::Good,
        _ => Level::Note,
    };
    let tail = if judged {
        "The ± is that of independent rows; rows of one curve go together, so the true one is larger."
    } else {
        "These rows were fitted: that they are covered shows that the model can bend this way, not that it predicts."
    };
    let expected = format!("{expected:.1}");
    let text = format!(
        "{} of {} lie in their 90 % band; expected {} ± {sd:.1}. {tail}",
        t.inside,
        plural(t.rows, &format!("{which} row")),
        expected.trim_end_matches(".0")
    );
    let about = if judged { "Held-out rows" } else { "Fitted rows" };
    Some(Finding { level, about, text })
}

fn width(t: &Totals, which: &str) -> Option<Finding> {
    t.width_ratio.is_finite().then(|| {
        let wide = t.width_ratio > 3.0;
        let mut tail = if wide { " Bands this wide cover easily; look at the skill.".to_string() } else { String::new() };
        if t.narrow > 0 {
            tail.push_str(&format!(
                " {} less than that, as where the group behind the figure is smaller than the virtual cohort: such a row can \
                 lie outside by chance alone.",
                if t.narrow == 1 { "1 row has".into() } else { format!("{} rows have", t.narrow) }
            ));
        }
        let text = format!(
            "The bands of {which} rows are on average {} times as wide as the sampling error of the row alone.{tail}",
            number(t.width_ratio)
        );
        Finding { level: if wide || t.narrow > 0 { Level::Note } else { Level::Good }, about: "Band width", text }
    })
}

fn skill(t: &Totals) -> Option<Finding> {
    let baselines = [("the last value carried forward", t.last), ("a constant hazard", t.hazard), ("the prior", t.prior)];
    let known: Vec<(&str, Skill)> = baselines.into_iter().filter_map(|(name, s)| Some((name, s?))).collect();
    if known.is_empty() {
        return None;
    }
    let phrases: Vec<String> = known
        .iter()
        .map(|(name, s)| {
            let (amount, word) = (percent(s.skill.abs()), if s.skill >= 0.0 { "lower" } else { "HIGHER" });
            format!(
                "{amount} % {word} than with {name} (better on {} of {}, median skill {:+.2})",
                s.better,
                plural(s.rows, "row"),
                s.median
            )
        })
        .collect();
    // A sum can be carried by a few rows: a forecast that is better only there is no good one.
    let level = if known.iter().any(|(_, s)| s.skill < 0.0) {
        Level::Warning
    } else if known.iter().any(|(_, s)| s.median < 0.0) {
        Level::Note
    } else {
        Level::Good
    };
    let text = format!("Summed over held-out rows the error (CRPS) is {}.", phrases.join("; "));
    Some(Finding { level, about: "Skill", text })
}

fn informed(s: &Summary) -> Finding {
    let few: Vec<&str> = s.parameters.iter().filter(|p| p.contraction < UNINFORMED).map(|p| p.name.as_str()).collect();
    let (level, text) = if few.is_empty() {
        (Level::Good, "Every posterior is at least 10 % narrower than its prior.".into())
    } else {
        let text = format!(
            "Less than 10 % narrower than in the prior, {} of {}: {}. What is said of these is the prior's, not the data's.",
            few.len(),
            plural(s.parameters.len(), "parameter"),
            few.join(", ")
        );
        (Level::Note, text)
    };
    Finding { level, about: "Information", text: text + &directions(s) }
}

/// Of how many combinations the data speak, and of which most clearly.
fn directions(s: &Summary) -> String {
    let all = s.informed.directions.len();
    let (Some(best), true) = (s.informed.directions.first(), all > 1) else { return String::new() };
    let known = format!("{}, known to {} % of its prior sd", best.name(s), percent(best.sd));
    match s.informed.count() {
        0 => " Beyond chance the data inform no combination of parameters.".into(),
        n => format!(" Beyond chance the data inform {n} of {all} independent combinations of parameters, best {known}."),
    }
}

fn modes(s: &Summary) -> Option<Finding> {
    let converged = s.modes.iter().filter(|m| m.converged).count();
    let best = s.modes.first()?;
    let open = if converged < s.modes.len() { "; the others stopped at their budget" } else { "" };
    let text = format!(
        "{} of the posterior refined, {converged} converged{open}. The best holds {} % of the posterior weight.",
        plural(s.modes.len(), "mode"),
        percent(best.weight)
    );
    let elsewhere: Vec<&str> =
        s.parameters.iter().zip(&s.profiles).filter(|(_, p)| p.lower_elsewhere).map(|(p, _)| p.name.as_str()).collect();
    let lower = if elsewhere.is_empty() {
        String::new()
    } else {
        format!(
            " Profiles along {} find a lower objective than the best mode: refine with more simulations.",
            elsewhere.join(", ")
        )
    };
    let level = if converged == 0 || !elsewhere.is_empty() { Level::Note } else { Level::Good };
    Some(Finding { level, about: "Modes", text: text + &lower })
}
