//! What a trial observes of one patient: the visits, what was found at each, and when and why it ended.
//!
//! Findings are bit sets over the visits of a [`Plan`] (bit *k* is visit *k*), so that a cohort of 553 patients is a few
//! kilobytes and an estimator is a handful of bit operations. A finding is recorded as it *would be* measured at every
//! planned visit up to the horizon; `attended` says which visits took place on study treatment, so that each published
//! denominator (all patients, on treatment, sampled) can be formed from the same history.

/// A set of visits: bit *k* is visit *k* of the plan.
pub type Visits = u128;

/// The visits of a trial. At most [`Plan::MOST`].
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Months since the start of treatment, ascending.
    pub months: Vec<f64>,
    /// Bit set of the visits with a marrow examination (metaphases).
    pub marrow: Visits,
    /// End of observation in months; the last visit is not later.
    pub horizon: f64,
}

/// Findings at visits, as bit sets over the plan.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Findings {
    /// Complete haematological response.
    pub chr: Visits,
    /// Major cytogenetic response: at most 35 % Ph+ metaphases (marrow visits only).
    pub mcyr: Visits,
    /// Complete cytogenetic response: no Ph+ among the metaphases (marrow visits only).
    pub ccyr: Visits,
    /// BCR-ABL at most 10 % on the International Scale (IS).
    pub is10: Visits,
    /// At most 1 % IS.
    pub is1: Visits,
    /// Major molecular response: at most 0.1 % IS.
    pub mmr: Visits,
    /// At most 0.01 % IS.
    pub mr4: Visits,
    /// At most 0.0032 % IS.
    pub mr45: Visits,
    /// Undetectable: below the detection limit of the assay, whatever that is.
    pub umrd: Visits,
}

/// Why study treatment ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leaving {
    /// Still on it at the horizon.
    #[default]
    Stayed,
    /// Adverse event.
    Adverse,
    /// Consent withdrawn, lost, or other reasons that do not depend on the response.
    Other,
    /// Unsatisfactory effect: no response, a lost response, progression.
    Unsatisfactory,
    /// Stem-cell transplant.
    Transplant,
    /// Death on treatment.
    Death,
}

impl Leaving {
    /// Reasons that a trial can be without, so that patients stay; death is none of them.
    pub const AVOIDABLE: [Self; 4] = [Leaving::Adverse, Leaving::Other, Leaving::Unsatisfactory, Leaving::Transplant];
}

/// The first event of event-free survival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Event {
    /// None on treatment.
    #[default]
    None,
    /// Death of any cause.
    Death,
    /// Accelerated phase or blast crisis.
    Progression,
    /// Loss of complete haematological response.
    LostChr,
    /// Loss of major cytogenetic response.
    LostMcyr,
    /// Rising white-cell count without response.
    RisingCount,
}

/// One patient of a (virtual) trial. Times are months since the start of treatment; `f64::INFINITY` is "not by the
/// horizon".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct History {
    /// Findings at every planned visit.
    pub found: Findings,
    /// Visits that took place on study treatment: month < `left`.
    pub attended: Visits,
    /// End of study treatment, whatever the reason; a planned stop is none.
    pub left: f64,
    /// The reason.
    pub reason: Leaving,
    /// First event of event-free survival *on treatment*.
    pub event: f64,
    /// Its kind.
    pub event_kind: Event,
    /// Accelerated phase or blast crisis, on treatment or after it.
    pub progressed: f64,
    /// Death, on treatment or after it (overall survival is followed after leaving).
    pub died: f64,
    /// Whether the death was related to CML.
    pub died_of_cml: bool,
    /// Planned stop of treatment, which is not leaving: the patient stays in the trial, and visits go on.
    pub stopped: f64,
    /// Relapse after that stop.
    pub relapsed: f64,
}

impl Default for History {
    fn default() -> Self {
        History {
            found: Findings::default(),
            attended: 0,
            left: f64::INFINITY,
            reason: Leaving::Stayed,
            event: f64::INFINITY,
            event_kind: Event::None,
            progressed: f64::INFINITY,
            died: f64::INFINITY,
            died_of_cml: false,
            stopped: f64::INFINITY,
            relapsed: f64::INFINITY,
        }
    }
}

impl History {
    /// Whether treatment was stopped as planned by `month`, before the patient left for another reason.
    pub fn stopped_by(&self, month: f64) -> bool {
        self.stopped < self.left && self.stopped <= month
    }
}

impl Plan {
    /// The most visits that a plan can hold: the bits of a set.
    pub const MOST: usize = Visits::BITS as usize;

    /// The visits at or before `month`.
    pub fn by(&self, month: f64) -> Visits {
        low(self.months.partition_point(|&m| m <= month))
    }

    /// The visits before `month`.
    pub fn before(&self, month: f64) -> Visits {
        low(self.months.partition_point(|&m| m < month))
    }

    /// The visit nearest to `month`, if there is a visit within half a month of it.
    pub fn visit(&self, month: f64) -> Option<usize> {
        let near = self.months.iter().map(|m| (m - month).abs()).enumerate().filter(|(_, distance)| *distance <= 0.5);
        near.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(visit, _)| visit)
    }

    /// Month of the first visit in the set, or infinity.
    pub fn first(&self, set: Visits) -> f64 {
        if set == 0 { f64::INFINITY } else { self.months[set.trailing_zeros() as usize] }
    }
}

/// The lowest `count` bits.
pub(super) fn low(count: usize) -> Visits {
    1u128.checked_shl(count as u32).map_or(Visits::MAX, |bit| bit - 1)
}
