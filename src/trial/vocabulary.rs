//! The words of an observation table: an endpoint (what), a kind (how it was estimated), a condition (among whom).
//!
//! | endpoint | a patient shows it when |
//! |---|---|
//! | `chr`, `mcyr`, `ccyr`, `is10`, `is1`, `mmr`, `mr4`, `mr45`, `umrd` | the finding is made at a visit on treatment |
//! | `ccyr_loss` | a complete cytogenetic response, once reached, is lost on treatment |
//! | `efs`, `ffp` | on treatment: an event of event-free survival; accelerated phase or blast crisis |
//! | `os`, `os_cml` | death, followed after leaving treatment too: of any cause; related to CML |
//! | `relapse` | relapse after a planned stop of treatment, among those who stopped; its month counts from each patient's stop |
//! | `on_treatment` | still on study treatment; a planned stop is not leaving |
//! | `stopped` | treatment was stopped as planned |
//! | `left_adverse`, `left_unsatisfactory`, `left_transplant`, `left_death`, `left_other` | left study treatment for that reason |
//!
//! | kind | value |
//! |---|---|
//! | `km_incidence` | 1 minus Kaplan-Meier: share that shows it by the month, leavers censored |
//! | `km_survival` | Kaplan-Meier: share that does not show it by the month, leavers censored |
//! | `ever` | share that shows it at any time up to the month; leavers count as they stood (best observed) |
//! | `confirmed` | as `ever`, and again at the next assessment, at least four weeks later |
//! | `at` | share that shows it at the month: on treatment then, by the last assessment up to then |
//! | `product` | `km_incidence` of `ccyr` times `ever` among those who have reached `ccyr` |
//! | `annual` | life-table rate of the year that ends at the month |
//!
//! A condition is empty (all patients) or terms joined by ` & `: `ccyr` (reached by the row's month), `ccyr@12` (on
//! treatment at month 12 and in it at the last assessment), `not mmr@18` (on treatment, assessed, and not in it). A
//! curve with a condition at a month is a landmark analysis: it starts there, with those who are event-free. `relapse`,
//! `product` and `annual` take no condition.

use crate::trial::history::{Event, Findings, Leaving, Visits};

/// What is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// Complete haematological response.
    Chr,
    /// Major cytogenetic response.
    Mcyr,
    /// Complete cytogenetic response.
    Ccyr,
    /// BCR-ABL at most 10 % IS.
    Is10,
    /// At most 1 % IS.
    Is1,
    /// Major molecular response, at most 0.1 % IS.
    Mmr,
    /// At most 0.01 % IS.
    Mr4,
    /// At most 0.0032 % IS.
    Mr45,
    /// BCR-ABL undetectable.
    Umrd,
    /// Loss of complete cytogenetic response on treatment.
    CcyrLoss,
    /// Event of event-free survival on treatment.
    Efs,
    /// Accelerated phase or blast crisis on treatment.
    Ffp,
    /// Death of any cause.
    Os,
    /// Death related to CML.
    OsCml,
    /// Relapse after a planned stop of treatment.
    Relapse,
    /// On study treatment.
    OnTreatment,
    /// Stopped treatment as planned.
    Stopped,
    /// Left for an adverse event.
    LeftAdverse,
    /// Left for an unsatisfactory effect.
    LeftUnsatisfactory,
    /// Left for a transplant.
    LeftTransplant,
    /// Left by death.
    LeftDeath,
    /// Left for any other reason.
    LeftOther,
}

/// How it was estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 1 minus Kaplan-Meier.
    KmIncidence,
    /// Kaplan-Meier.
    KmSurvival,
    /// At any time up to the month.
    Ever,
    /// At two consecutive assessments.
    Confirmed,
    /// At the month.
    At,
    /// Kaplan-Meier incidence of CCyR times a rate among those who reached it.
    Product,
    /// Life-table rate of a year.
    Annual,
}

/// What a row is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Enters the distance.
    Fit,
    /// Predicted and scored, never fitted.
    HeldOut,
    /// Shown beside a prediction; neither fitted nor scored.
    Context,
}

/// A word of the vocabulary, as it stands in a table.
pub trait Word: Copy + PartialEq + 'static {
    /// All words with their spelling.
    const ALL: &'static [(&'static str, Self)];

    /// The word of that spelling.
    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, word)| *word)
    }

    /// The spelling.
    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, word)| *word == self).map_or("", |(name, _)| name)
    }
}

/// The spellings of all words of a kind.
pub fn words<W: Word>() -> Vec<&'static str> {
    W::ALL.iter().map(|(name, _)| *name).collect()
}

impl Word for Endpoint {
    const ALL: &'static [(&'static str, Self)] = &[
        ("chr", Endpoint::Chr),
        ("mcyr", Endpoint::Mcyr),
        ("ccyr", Endpoint::Ccyr),
        ("is10", Endpoint::Is10),
        ("is1", Endpoint::Is1),
        ("mmr", Endpoint::Mmr),
        ("mr4", Endpoint::Mr4),
        ("mr45", Endpoint::Mr45),
        ("umrd", Endpoint::Umrd),
        ("ccyr_loss", Endpoint::CcyrLoss),
        ("efs", Endpoint::Efs),
        ("ffp", Endpoint::Ffp),
        ("os", Endpoint::Os),
        ("os_cml", Endpoint::OsCml),
        ("relapse", Endpoint::Relapse),
        ("on_treatment", Endpoint::OnTreatment),
        ("stopped", Endpoint::Stopped),
        ("left_adverse", Endpoint::LeftAdverse),
        ("left_unsatisfactory", Endpoint::LeftUnsatisfactory),
        ("left_transplant", Endpoint::LeftTransplant),
        ("left_death", Endpoint::LeftDeath),
        ("left_other", Endpoint::LeftOther),
    ];
}

impl Word for Leaving {
    const ALL: &'static [(&'static str, Self)] = &[
        ("stayed", Leaving::Stayed),
        ("adverse", Leaving::Adverse),
        ("other", Leaving::Other),
        ("unsatisfactory", Leaving::Unsatisfactory),
        ("transplant", Leaving::Transplant),
        ("death", Leaving::Death),
    ];
}

impl Word for Event {
    const ALL: &'static [(&'static str, Self)] = &[
        ("none", Event::None),
        ("death", Event::Death),
        ("progression", Event::Progression),
        ("loss of chr", Event::LostChr),
        ("loss of mcyr", Event::LostMcyr),
        ("rising count", Event::RisingCount),
    ];
}

impl Word for Kind {
    const ALL: &'static [(&'static str, Self)] = &[
        ("km_incidence", Kind::KmIncidence),
        ("km_survival", Kind::KmSurvival),
        ("ever", Kind::Ever),
        ("confirmed", Kind::Confirmed),
        ("at", Kind::At),
        ("product", Kind::Product),
        ("annual", Kind::Annual),
    ];
}

impl Word for Role {
    const ALL: &'static [(&'static str, Self)] = &[("fit", Role::Fit), ("held_out", Role::HeldOut), ("context", Role::Context)];
}

impl Endpoint {
    /// The visits at which the finding is made; `None` for what is not a finding.
    pub fn found(self, findings: &Findings) -> Option<Visits> {
        Some(match self {
            Endpoint::Chr => findings.chr,
            Endpoint::Mcyr => findings.mcyr,
            Endpoint::Ccyr => findings.ccyr,
            Endpoint::Is10 => findings.is10,
            Endpoint::Is1 => findings.is1,
            Endpoint::Mmr => findings.mmr,
            Endpoint::Mr4 => findings.mr4,
            Endpoint::Mr45 => findings.mr45,
            Endpoint::Umrd => findings.umrd,
            _ => return None,
        })
    }

    /// Whether it is a finding at visits.
    pub fn is_response(self) -> bool {
        self <= Endpoint::Umrd
    }

    /// Whether it is read from marrow metaphases.
    pub fn is_cytogenetic(self) -> bool {
        matches!(self, Endpoint::Mcyr | Endpoint::Ccyr)
    }

    /// Whether it is something that happens once, at a time.
    pub fn is_event(self) -> bool {
        (Endpoint::CcyrLoss..=Endpoint::Relapse).contains(&self)
    }

    /// The reason of leaving that it counts.
    pub fn reason(self) -> Option<Leaving> {
        Some(match self {
            Endpoint::LeftAdverse => Leaving::Adverse,
            Endpoint::LeftUnsatisfactory => Leaving::Unsatisfactory,
            Endpoint::LeftTransplant => Leaving::Transplant,
            Endpoint::LeftDeath => Leaving::Death,
            Endpoint::LeftOther => Leaving::Other,
            _ => return None,
        })
    }

    /// Whether whoever shows `self` shows `other` too, at the same time and by definition: `mr4` within `mmr`, `ccyr`
    /// within `mcyr` within `chr`, progression within events of event-free survival. `umrd` is within none: an insensitive
    /// assay leaves more than 0.0032 % undetected.
    pub fn within(self, other: Endpoint) -> bool {
        let molecular = Endpoint::Is10..=Endpoint::Mr45;
        let marrow = Endpoint::Chr..=Endpoint::Ccyr;
        self == other
            || (self > other && molecular.contains(&self) && molecular.contains(&other))
            || (self > other && marrow.contains(&self) && marrow.contains(&other))
            || (self == Endpoint::Ffp && other == Endpoint::Efs)
            || (self == Endpoint::OsCml && other == Endpoint::Os)
    }

    /// Whether rows of this kind can be formed for this endpoint.
    pub fn allows(self, kind: Kind) -> bool {
        match kind {
            Kind::KmIncidence => self.is_response() || self.is_event(),
            Kind::Ever => self.is_response() || self.is_event() || self == Endpoint::Stopped,
            Kind::KmSurvival => self.is_event(),
            Kind::Confirmed => self.is_response(),
            Kind::At => !self.is_event(),
            Kind::Product => self.is_response() && !self.is_cytogenetic() && self != Endpoint::Chr,
            Kind::Annual => self.is_event() && self != Endpoint::CcyrLoss && self != Endpoint::Relapse,
        }
    }

    /// Whether more of it is better for the patients: of responses, of survival and treatment-free remission, of those who
    /// are still on treatment or could stop it as planned. Of events, relapse and leaving less is better.
    pub fn more_is_better(self, kind: Kind) -> bool {
        match self {
            Endpoint::OnTreatment | Endpoint::Stopped => true,
            _ if self.is_event() => kind == Kind::KmSurvival,
            _ => self.is_response(),
        }
    }

    /// Refuses a kind that cannot be formed, with the problem and what to do.
    pub(super) fn check_kind(self, kind: Kind) -> Result<(), (String, String)> {
        if self.allows(kind) {
            return Ok(());
        }
        let able: Vec<&str> = Kind::ALL.iter().filter(|(_, k)| self.allows(*k)).map(|(name, _)| *name).collect();
        let problem = format!("{} cannot be estimated as {}", self.name(), kind.name());
        Err((problem, format!("{} allows: {}", self.name(), able.join(", "))))
    }

    /// Refuses conditions where none can be taken, with the problem and what to do.
    pub(super) fn check_given(self, kind: Kind, given: &[Term], month: f64) -> Result<(), (String, String)> {
        let why = match (self, kind) {
            _ if given.is_empty() => return Ok(()),
            (Endpoint::Relapse, _) => "relapse is already among those who stopped, and its month counts from the stop",
            (_, Kind::Product) => "a product is already among those who reached ccyr",
            (_, Kind::Annual) => "an annual rate is among all patients",
            _ => {
                let Some(term) = given.iter().find(|term| term.month.is_some_and(|asked| asked > month)) else { return Ok(()) };
                let problem = format!("'{}' is not yet known at month {month}", term.text());
                return Err((problem, "ask for a condition at the row's month or before".into()));
            }
        };
        Err((format!("{} as {} takes no condition: {why}", self.name(), kind.name()), "leave given empty".into()))
    }
}

/// One term of a condition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// The response.
    pub response: Endpoint,
    /// In it at this month; `None`: reached by the row's month.
    pub month: Option<f64>,
    /// The contrary.
    pub not: bool,
}

impl Term {
    /// Reads a condition; the error names what is wrong and the word it is about.
    pub fn parse_all(text: &str) -> Result<Vec<Term>, (String, String)> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        text.split('&')
            .map(|term| {
                let term = term.trim();
                let (not, rest) = term.strip_prefix("not ").map_or((false, term), |rest| (true, rest.trim()));
                let (name, month) = match rest.split_once('@') {
                    None => (rest, None),
                    Some((name, month)) => match month.trim().parse::<f64>() {
                        Ok(number) if number.is_finite() && number > 0.0 => (name.trim(), Some(number)),
                        _ => return Err((format!("\"{month}\" is not a month"), String::new())),
                    },
                };
                match Endpoint::parse(name).filter(|e| e.is_response()) {
                    Some(response) => Ok(Term { response, month, not }),
                    None => Err((format!("\"{name}\" is not a response"), name.to_string())),
                }
            })
            .collect()
    }

    /// The term as it stands in a table.
    pub fn text(&self) -> String {
        let not = if self.not { "not " } else { "" };
        let month = self.month.map_or(String::new(), |m| format!("@{m}"));
        format!("{not}{}{month}", self.response.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for (name, word) in Endpoint::ALL {
            assert_eq!((Endpoint::parse(name), word.name()), (Some(*word), *name));
            assert_eq!(word.found(&Findings::default()).is_some(), word.is_response());
            assert!(Kind::ALL.iter().any(|(_, kind)| word.allows(*kind)), "{name} can be estimated in some way");
        }
        assert_eq!(Endpoint::Umrd.found(&Findings { umrd: 5, ..Findings::default() }), Some(5));
        let umrd = Term { response: Endpoint::Umrd, month: Some(24.0), not: true };
        assert_eq!(Term::parse_all("not umrd@24"), Ok(vec![umrd]));
        assert!(Term::parse_all("relapse").is_err() && Term::parse_all("stopped@12").is_err());
    }

    #[test]
    fn what_is_better_is_known_of_each_endpoint() {
        let better = |of: Endpoint, kind| of.more_is_better(kind);
        assert!(
            better(Endpoint::Mmr, Kind::KmIncidence) && better(Endpoint::Umrd, Kind::At) && better(Endpoint::Mr4, Kind::Product)
        );
        assert!(better(Endpoint::Efs, Kind::KmSurvival) && !better(Endpoint::Efs, Kind::KmIncidence));
        assert!(better(Endpoint::Relapse, Kind::KmSurvival) && !better(Endpoint::Relapse, Kind::Ever));
        assert!(!better(Endpoint::Os, Kind::Annual) && !better(Endpoint::CcyrLoss, Kind::Ever));
        assert!(better(Endpoint::OnTreatment, Kind::At) && better(Endpoint::Stopped, Kind::Ever));
        assert!(Endpoint::ALL.iter().all(|(_, of)| of.reason().is_none() || !better(*of, Kind::At)));
    }

    #[test]
    fn each_endpoint_has_its_kinds() {
        let kinds = |of: Endpoint| {
            let able = Kind::ALL.iter().filter(|(_, kind)| of.allows(*kind)).map(|(name, _)| *name);
            able.collect::<Vec<_>>().join(" ")
        };
        for (of, expected) in [
            (Endpoint::Ccyr, "km_incidence ever confirmed at"),
            (Endpoint::Mr45, "km_incidence ever confirmed at product"),
            (Endpoint::Umrd, "km_incidence ever confirmed at product"),
            (Endpoint::CcyrLoss, "km_incidence km_survival ever"),
            (Endpoint::OsCml, "km_incidence km_survival ever annual"),
            (Endpoint::Relapse, "km_incidence km_survival ever"),
            (Endpoint::OnTreatment, "at"),
            (Endpoint::Stopped, "ever at"),
            (Endpoint::LeftOther, "at"),
        ] {
            assert_eq!(kinds(of), expected, "{}", of.name());
        }
    }

    #[test]
    fn undetectable_is_within_no_level_and_no_level_within_it() {
        for (name, other) in Endpoint::ALL {
            let alone = *other != Endpoint::Umrd;
            assert_eq!((Endpoint::Umrd.within(*other), other.within(Endpoint::Umrd)), (!alone, !alone), "{name}");
        }
        assert!(Endpoint::Mr45.within(Endpoint::Is10) && !Endpoint::Relapse.within(Endpoint::Os));
    }
}
