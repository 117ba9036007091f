//! The course of a cohort under treatment: patients are integrated side by side from visit to visit.
//!
//! At a visit the [`Bedside`] may change what acts on the patient. Clones of few stem cells leave the equations for a step that
//! counts them one by one ([`FewCells`]); mutant clones are born at random, as often as stem cells divide.
//!
//! Bits depend on the patient, its key, its treatment and the months only: see [`integrate`].

use super::drugs::Exposure;
use super::equations::{Course, Rates, diagnosis, rate, rates};
use super::patient::Patient;
use super::state::{CH, CL, COUNT, CR, DAYS_PER_MONTH, E, QH, QL, QR};
use crate::integrate::birth_death::{Rates as Moves, two_places};
use crate::integrate::{self, Failure, Next, Problems, Task, Tolerance, Width};
use crate::rng::{Key, Purpose, Stream};
use crate::trial::vocabulary::Word;

/// A clone with fewer stem cells than this at a visit is extinct, cells.
const EXTINCT: f64 = 1.0;
/// Stem cells below which a clone is counted cell by cell; from twice as many on it follows the equations again. At 200 the
/// standard deviation of what chance does to a clone in one generation of its cells is 7 %.
pub const COUNTED: f64 = 200.0;
/// Days after which counted stem cells are looked at anew: each has an event in it with a probability of some 0.3.
const LEAP: f64 = 10.0;
/// First step, days.
const FIRST_STEP: f64 = 1.0;

/// Removes clones that have died out; true if there was one.
fn extinguish(y: &mut [f64; COUNT]) -> bool {
    let mut removed = false;
    for (q, c) in [(QL, CL), (QR, CR)] {
        if y[q] + y[c] < EXTINCT && (y[q] != 0.0 || y[c] != 0.0) {
            y[q] = 0.0;
            y[c] = 0.0;
            removed = true;
        }
    }
    removed
}

/// How stem cells of a clone are followed when few are left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FewCells {
    /// By the equations; below one cell at a visit the clone is gone.
    Fluid,
    /// One by one: below [`COUNTED`] they divide, die and move at random, so that extinction is an event with a probability.
    #[default]
    Counted,
}

impl Word for FewCells {
    const ALL: &'static [(&'static str, Self)] = &[("fluid", FewCells::Fluid), ("counted", FewCells::Counted)];
}

/// Whoever looks after the patients of a cohort on their course. Calls of one lane belong to one patient after the other.
pub trait Bedside {
    /// Patient `j` enters lane `lane`: what acts on it from the start.
    fn admit(&mut self, lane: usize, j: usize) -> Exposure;

    /// The state from which patient `j` starts, at diagnosis unless an experiment asks for another.
    fn begin(&mut self, _j: usize, patient: &Patient) -> [f64; COUNT] {
        diagnosis(patient)
    }

    /// The state of patient `j` at visit `visit` (index into the months); what acts on it from now on, if that changes.
    fn visit(&mut self, lane: usize, j: usize, visit: usize, state: &[f64; COUNT]) -> Option<Exposure>;

    /// What acts on patient `j` from a pause on, if that changes.
    fn pause(&mut self, _lane: usize, _j: usize, _month: f64) -> Option<Exposure> {
        None
    }

    /// The states at diagnosis and at every visit (one row more than there are months), or why there are none.
    fn discharge(&mut self, lane: usize, j: usize, states: Result<&[[f64; COUNT]], Failure>);
}

/// The patients of a cohort, and how they are followed.
#[derive(Clone, Copy)]
pub struct Cohort<'a> {
    /// The patients.
    pub patients: &'a [Patient],
    /// The address of each patient's randomness.
    pub keys: &'a [Key],
    /// Months of the visits, ascending and above 0.
    pub months: &'a [f64],
    /// Months, ascending and none of them a visit's, at which what acts on a patient may change unseen.
    pub pauses: &'a [f64],
    /// How few stem cells are followed.
    pub few_cells: FewCells,
    /// Error control.
    pub tolerance: &'a Tolerance<COUNT>,
    /// Instruction set; no result depends on it.
    pub width: Width,
}

impl Cohort<'_> {
    /// Follows the patients from diagnosis through all visits. Patients are discharged in the order in which they finish. The
    /// time of a [`Failure`] is in days and its component is one of [`state`](super::state).
    pub fn follow(&self, bedside: &mut dyn Bedside) {
        if self.months.is_empty() {
            for (j, patient) in self.patients.iter().enumerate() {
                bedside.admit(0, j);
                let state = bedside.begin(j, patient);
                bedside.discharge(0, j, Ok(&[state]));
            }
            return;
        }
        let rows = vec![[0.0; COUNT]; (self.months.len() + 1) * integrate::MOST_LANES];
        let lanes = std::array::from_fn(|_| Lane::default());
        let mut ward = Ward { cohort: self, waiting: 0, lanes, rows, bedside };
        integrate::run::<Course, COUNT, { rate::COUNT }>(&mut ward, self.tolerance, self.width);
    }
}

/// What is known of the patient in a lane.
#[derive(Default)]
struct Lane {
    /// Visits and pauses made.
    visits: usize,
    pauses: usize,
    /// Day up to which stem cells were counted, or mutants looked for.
    day: f64,
    /// Whether the unmutated and the mutant clone are counted one by one.
    counted: [bool; 2],
    /// Births of mutant clones that are still expected before one comes.
    unborn: f64,
    /// Births per day, since the last time.
    births: f64,
    /// The randomness of births, where there are any.
    mutations: Option<Stream>,
    /// The patient's randomness, once it is needed.
    rng: Option<Stream>,
}

impl Lane {
    /// Takes the counted clones out of the equations, and the others in.
    fn fluid(&self, r: &mut Rates) {
        for (counted, (_, _, first)) in self.counted.iter().zip(CLONES) {
            r[first + rate::FLUID] = if *counted { 0.0 } else { 1.0 };
        }
    }
}

/// The cohort on its way.
struct Ward<'a> {
    cohort: &'a Cohort<'a>,
    /// Index of the next patient to start.
    waiting: usize,
    lanes: [Lane; integrate::MOST_LANES],
    /// Rows of the patients on their way, lane after lane.
    rows: Vec<[f64; COUNT]>,
    bedside: &'a mut dyn Bedside,
}

/// Quiescent and cycling stem cells of the two leukaemic clones, and where their rates begin.
const CLONES: [(usize, usize, usize); 2] = [(QL, CL, rate::LEUKAEMIC), (QR, CR, rate::MUTANT)];

impl Ward<'_> {
    fn rows(&mut self, lane: usize) -> &mut [[f64; COUNT]] {
        let length = self.cohort.months.len() + 1;
        &mut self.rows[lane * length..(lane + 1) * length]
    }

    /// Births of mutant clones per day: as many as stem cells divide.
    fn births(&self, task: &Task<COUNT, { rate::COUNT }>) -> f64 {
        let patient = &self.cohort.patients[task.id];
        let renewal = task.rates[rate::LEUKAEMIC + rate::RENEWAL] * Surroundings::of(task).crowding;
        patient.mutation * renewal / patient.renewal * task.state[CL] / patient.stem_cells
    }

    /// Lets mutant clones be born since the last time, and grow or die until now; true if one lives. While one lives no other
    /// is followed.
    fn mutate(&mut self, lane: usize, task: &mut Task<COUNT, { rate::COUNT }>) -> bool {
        let births = 0.5 * (self.lanes[lane].births + self.births(task));
        let moves = Surroundings::of(task).moves(&task.rates, rate::MUTANT);
        let at = &mut self.lanes[lane];
        let y = &mut task.state;
        let Some(mutations) = &mut at.mutations else { return false };
        let mut now = at.day;
        while y[QR] + y[CR] == 0.0 {
            let wait = at.unborn / births;
            if now + wait >= task.time {
                at.unborn -= births * (task.time - now);
                return false;
            }
            now += wait;
            at.unborn = mutations.exponential();
            y[CR] = 1.0;
            if self.cohort.few_cells == FewCells::Counted {
                let rng = at.rng.get_or_insert_with(|| self.cohort.keys[task.id].stream(Purpose::StemCells));
                [y[QR], y[CR]] = two_places(rng, [0, 1], &moves, task.time - now).map(|cells| cells as f64);
            }
        }
        now > at.day
    }

    /// Moves, divides and kills the counted stem cells since the last time, at the rates of now; true if any are counted.
    fn count(&mut self, lane: usize, task: &mut Task<COUNT, { rate::COUNT }>) -> bool {
        let at = &mut self.lanes[lane];
        let surroundings = Surroundings::of(task);
        let (y, r) = (&mut task.state, &mut task.rates);
        let key = self.cohort.keys[task.id];
        for (counted, (q, c, first)) in at.counted.iter_mut().zip(CLONES) {
            let cells = y[q] + y[c];
            if *counted {
                let rng = at.rng.get_or_insert_with(|| key.stream(Purpose::StemCells));
                let moves = surroundings.moves(r, first);
                let [quiescent, cycling] = two_places(rng, [y[q] as u64, y[c] as u64], &moves, task.time - at.day);
                (y[q], y[c]) = (quiescent as f64, cycling as f64);
                *counted = y[q] + y[c] < 2.0 * COUNTED;
            } else if cells > 0.0 && cells < COUNTED {
                let rng = at.rng.get_or_insert_with(|| key.stream(Purpose::StemCells));
                for place in [q, c] {
                    y[place] = y[place].floor() + f64::from(u8::from(rng.uniform() < y[place].fract()));
                }
                *counted = true;
            }
        }
        at.fluid(r);
        at.counted.contains(&true)
    }

    /// The day of the next visit or pause; `None` after the last visit.
    fn next(&self, lane: usize) -> Option<f64> {
        let Lane { visits, pauses, .. } = &self.lanes[lane];
        let visit = self.cohort.months.get(*visits)?;
        let pause = self.cohort.pauses.get(*pauses).copied().unwrap_or(f64::INFINITY);
        Some(visit.min(pause) * DAYS_PER_MONTH)
    }

    /// What the bedside makes of a visit or pause that is due; `None` if nothing is or nothing changes.
    fn attend(&mut self, lane: usize, task: &Task<COUNT, { rate::COUNT }>) -> Option<Exposure> {
        if task.time < self.next(lane)? {
            return None;
        }
        let Lane { visits, pauses, .. } = self.lanes[lane];
        let month = self.cohort.months[visits];
        match self.cohort.pauses.get(pauses) {
            Some(&pause) if pause < month => {
                self.lanes[lane].pauses += 1;
                self.bedside.pause(lane, task.id, pause)
            }
            _ => {
                self.lanes[lane].visits += 1;
                self.rows(lane)[visits + 1] = task.state;
                self.bedside.visit(lane, task.id, visits, &task.state)
            }
        }
    }
}

/// What the stem cells of every clone meet.
struct Surroundings {
    /// Free share of the osteoblastic niche.
    room: f64,
    /// Free share of the vascular niche.
    crowding: f64,
    /// Immune kill, 1/d.
    kill: f64,
}

impl Surroundings {
    fn of(task: &Task<COUNT, { rate::COUNT }>) -> Self {
        let (y, r) = (&task.state, &task.rates);
        Surroundings {
            room: (1.0 - (y[QL] + y[QR] + y[QH]) * r[rate::PER_OSTEOBLASTIC]).max(0.0),
            crowding: (1.0 - (y[CL] + y[CR] + y[CH]) * r[rate::PER_VASCULAR]).max(0.0),
            kill: (r[rate::KILL] * (y[E] - 1.0)).max(0.0),
        }
    }

    /// Rates of a counted clone whose rates begin at `first`.
    fn moves(&self, r: &Rates, first: usize) -> Moves {
        Moves {
            attach: r[first + rate::ATTACH] * self.room,
            release: r[first + rate::RELEASE],
            birth: r[first + rate::RENEWAL] * self.crowding,
            death: r[first + rate::LOSS] + self.kill,
        }
    }
}

impl Problems<COUNT, { rate::COUNT }> for Ward<'_> {
    fn start(&mut self, lane: usize) -> Option<Task<COUNT, { rate::COUNT }>> {
        let id = self.waiting;
        let patient = self.cohort.patients.get(id)?;
        self.waiting += 1;
        let state = self.bedside.begin(id, patient);
        let rates = rates(patient, &self.bedside.admit(lane, id));
        self.rows(lane)[0] = state;
        let mut mutations = (patient.mutation > 0.0).then(|| self.cohort.keys[id].stream(Purpose::Mutation));
        let unborn = mutations.as_mut().map_or(f64::INFINITY, Stream::exponential);
        self.lanes[lane] = Lane { unborn, mutations, ..Lane::default() };
        let mut task = Task { id, time: 0.0, until: self.next(lane)?, step: FIRST_STEP, state, rates };
        if self.cohort.few_cells == FewCells::Counted && self.count(lane, &mut task) {
            task.until = task.until.min(LEAP);
        }
        self.lanes[lane].births = self.births(&task);
        Some(task)
    }

    fn visit(&mut self, lane: usize, task: &mut Task<COUNT, { rate::COUNT }>) -> Next {
        let mut altered = self.mutate(lane, task);
        let mut few = false;
        match self.cohort.few_cells {
            FewCells::Fluid => altered |= extinguish(&mut task.state),
            FewCells::Counted => {
                let before = self.lanes[lane].counted;
                few = self.count(lane, task);
                altered |= few || before != self.lanes[lane].counted;
            }
        }
        self.lanes[lane].day = task.time;
        if let Some(exposure) = self.attend(lane, task) {
            task.rates = rates(&self.cohort.patients[task.id], &exposure);
            self.lanes[lane].fluid(&mut task.rates);
            altered = true;
        }
        let Some(next) = self.next(lane) else {
            let length = self.cohort.months.len() + 1;
            self.bedside.discharge(lane, task.id, Ok(&self.rows[lane * length..(lane + 1) * length]));
            return Next::Finished;
        };
        self.lanes[lane].births = self.births(task);
        task.until = if few { next.min(task.time + LEAP) } else { next };
        if altered { Next::Altered } else { Next::Onward }
    }

    fn fail(&mut self, lane: usize, id: usize, failure: Failure) {
        self.bedside.discharge(lane, id, Err(failure));
    }
}

#[cfg(test)]
#[path = "course_tests.rs"]
mod tests;
