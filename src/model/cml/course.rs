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

/// Whoever looks after the patients of a cohort on their course.
pub trait Bedside {
    /// The state from which patient `j` starts, at diagnosis unless an experiment asks for another.
    fn begin(&mut self, _j: usize, patient: &Patient) -> [f64; COUNT] {
        diagnosis(patient)
    }

    /// Patient `j` enters in this state: what acts on it from the start.
    fn admit(&mut self, j: usize, state: &[f64; COUNT]) -> Exposure;

    /// The state of patient `j` at visit `visit` (index into the months); what acts on it from now on, if that changes.
    fn visit(&mut self, j: usize, visit: usize, state: &[f64; COUNT]) -> Option<Exposure>;

    /// What acts on patient `j` from a pause on, if that changes.
    fn pause(&mut self, _j: usize, _month: f64) -> Option<Exposure> {
        None
    }

    /// Patient `j` cannot be followed further. Time is in days, the component one of [`state`](super::state).
    fn lose(&mut self, j: usize, failure: Failure);
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
    /// Follows the patients from diagnosis through all visits.
    pub fn follow(&self, bedside: &mut dyn Bedside) {
        Ward::admit(*self, bedside).until(self.months.len(), bedside);
    }
}

/// A cohort on its way. Followed in several goes or in one, its patients take the same course to the bit.
pub struct Ward<'a> {
    cohort: Cohort<'a>,
    beds: Vec<Bed>,
}

/// A patient on the way.
struct Bed {
    task: Task<COUNT, { rate::COUNT }>,
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

impl<'a> Ward<'a> {
    /// Takes in the patients of a cohort.
    pub fn admit(cohort: Cohort<'a>, bedside: &mut dyn Bedside) -> Self {
        let bed = |(id, (patient, key)): (usize, (&Patient, &Key))| {
            let state = bedside.begin(id, patient);
            let rates = rates(patient, &bedside.admit(id, &state));
            let mut mutations = (patient.mutation > 0.0).then(|| key.stream(Purpose::Mutation));
            let unborn = mutations.as_mut().map_or(f64::INFINITY, Stream::exponential);
            let task = Task::new(id, 0.0, FIRST_STEP, state, rates);
            let mut bed =
                Bed { task, visits: 0, pauses: 0, day: 0.0, counted: [false; 2], unborn, births: 0.0, mutations, rng: None };
            let few = cohort.few_cells == FewCells::Counted && bed.count(*key);
            bed.set_out(&cohort, few);
            bed
        };
        let beds = cohort.patients.iter().zip(cohort.keys).enumerate().map(bed).collect();
        Ward { cohort, beds }
    }

    /// Follows the patients through their first `visits` visits, from where they are.
    pub fn until(&mut self, visits: usize, bedside: &mut dyn Bedside) {
        let mut round = Round { cohort: &self.cohort, beds: &mut self.beds, visits, waiting: 0, bedside };
        integrate::run::<Course, COUNT, { rate::COUNT }>(&mut round, self.cohort.tolerance, self.cohort.width);
    }
}

/// Quiescent and cycling stem cells of the two leukaemic clones, and where their rates begin.
const CLONES: [(usize, usize, usize); 2] = [(QL, CL, rate::LEUKAEMIC), (QR, CR, rate::MUTANT)];

impl Bed {
    /// Takes the counted clones out of the equations, and the others in.
    fn fluid(&mut self) {
        for (counted, (_, _, first)) in self.counted.iter().zip(CLONES) {
            self.task.rates[first + rate::FLUID] = if *counted { 0.0 } else { 1.0 };
        }
    }

    /// Births of mutant clones per day: as many as stem cells divide.
    fn births(&self, patient: &Patient) -> f64 {
        let Task { state, rates, .. } = &self.task;
        let renewal = rates[rate::LEUKAEMIC + rate::RENEWAL] * Surroundings::of(&self.task).crowding;
        patient.mutation * renewal / patient.renewal * state[CL] / patient.stem_cells
    }

    /// Lets mutant clones be born since the last time, and grow or die until now; true if one lives. While one lives no other
    /// is followed.
    fn mutate(&mut self, patient: &Patient, key: Key, few_cells: FewCells) -> bool {
        let births = 0.5 * (self.births + self.births(patient));
        let moves = Surroundings::of(&self.task).moves(&self.task.rates, rate::MUTANT);
        let Some(mutations) = &mut self.mutations else { return false };
        let (y, time) = (&mut self.task.state, self.task.time);
        let mut now = self.day;
        while y[QR] + y[CR] == 0.0 {
            let wait = self.unborn / births;
            if now + wait >= time {
                self.unborn -= births * (time - now);
                return false;
            }
            now += wait;
            self.unborn = mutations.exponential();
            y[CR] = 1.0;
            if few_cells == FewCells::Counted {
                let rng = self.rng.get_or_insert_with(|| key.stream(Purpose::StemCells));
                [y[QR], y[CR]] = two_places(rng, [0, 1], &moves, time - now).map(|cells| cells as f64);
            }
        }
        now > self.day
    }

    /// Moves, divides and kills the counted stem cells since the last time, at the rates of now; true if any are counted.
    fn count(&mut self, key: Key) -> bool {
        let surroundings = Surroundings::of(&self.task);
        let Task { state: y, rates: r, time, .. } = &mut self.task;
        for (counted, (q, c, first)) in self.counted.iter_mut().zip(CLONES) {
            let cells = y[q] + y[c];
            if *counted {
                let rng = self.rng.get_or_insert_with(|| key.stream(Purpose::StemCells));
                let moves = surroundings.moves(r, first);
                let [quiescent, cycling] = two_places(rng, [y[q] as u64, y[c] as u64], &moves, *time - self.day);
                (y[q], y[c]) = (quiescent as f64, cycling as f64);
                *counted = y[q] + y[c] < 2.0 * COUNTED;
            } else if cells > 0.0 && cells < COUNTED {
                let rng = self.rng.get_or_insert_with(|| key.stream(Purpose::StemCells));
                for place in [q, c] {
                    y[place] = y[place].floor() + f64::from(u8::from(rng.uniform() < y[place].fract()));
                }
                *counted = true;
            }
        }
        self.fluid();
        self.counted.contains(&true)
    }

    /// The day of the next visit or pause; `None` after the last visit.
    fn next(&self, cohort: &Cohort<'_>) -> Option<f64> {
        let visit = cohort.months.get(self.visits)?;
        let pause = cohort.pauses.get(self.pauses).copied().unwrap_or(f64::INFINITY);
        Some(visit.min(pause) * DAYS_PER_MONTH)
    }

    /// What the bedside makes of a visit or pause that is due; `None` if nothing is or nothing changes.
    fn attend(&mut self, cohort: &Cohort<'_>, bedside: &mut dyn Bedside) -> Option<Exposure> {
        let id = self.task.id;
        if self.task.time < self.next(cohort)? {
            return None;
        }
        match cohort.pauses.get(self.pauses) {
            Some(&pause) if pause < cohort.months[self.visits] => {
                self.pauses += 1;
                bedside.pause(id, pause)
            }
            _ => {
                self.visits += 1;
                bedside.visit(id, self.visits - 1, &self.task.state)
            }
        }
    }

    /// Sets out for the next visit or pause, or for a look at few cells before it.
    fn set_out(&mut self, cohort: &Cohort<'_>, few: bool) {
        self.births = self.births(&cohort.patients[self.task.id]);
        if let Some(next) = self.next(cohort) {
            self.task.until = if few { next.min(self.task.time + LEAP) } else { next };
        }
    }

    /// At the time of the task: what chance does to few cells, then a visit. Whether the course goes on otherwise than before.
    fn arrive(&mut self, cohort: &Cohort<'_>, bedside: &mut dyn Bedside) -> bool {
        let (patient, key) = (&cohort.patients[self.task.id], cohort.keys[self.task.id]);
        let mut altered = self.mutate(patient, key, cohort.few_cells);
        let mut few = false;
        match cohort.few_cells {
            FewCells::Fluid => altered |= extinguish(&mut self.task.state),
            FewCells::Counted => {
                let before = self.counted;
                few = self.count(key);
                altered |= few || before != self.counted;
            }
        }
        self.day = self.task.time;
        if let Some(exposure) = self.attend(cohort, bedside) {
            self.task.rates = rates(patient, &exposure);
            self.fluid();
            altered = true;
        }
        self.set_out(cohort, few);
        altered
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

/// One go of a ward.
struct Round<'a> {
    cohort: &'a Cohort<'a>,
    beds: &'a mut [Bed],
    /// Visits to be made.
    visits: usize,
    /// Index of the next patient to set out.
    waiting: usize,
    bedside: &'a mut dyn Bedside,
}

impl Problems<COUNT, { rate::COUNT }> for Round<'_> {
    fn start(&mut self, _lane: usize) -> Option<Task<COUNT, { rate::COUNT }>> {
        let left = self.beds[self.waiting..].iter().position(|bed| bed.visits < self.visits)?;
        self.waiting += left + 1;
        Some(self.beds[self.waiting - 1].task)
    }

    fn visit(&mut self, _lane: usize, task: &mut Task<COUNT, { rate::COUNT }>) -> Next {
        let bed = &mut self.beds[task.id];
        bed.task = *task;
        let altered = bed.arrive(self.cohort, self.bedside);
        if altered {
            bed.task.memory = 1.0;
        }
        *task = bed.task;
        match (bed.visits == self.visits, altered) {
            (true, _) => Next::Finished,
            (false, true) => Next::Altered,
            (false, false) => Next::Onward,
        }
    }

    fn fail(&mut self, _lane: usize, id: usize, failure: Failure) {
        // Nobody waits for this one any more.
        self.beds[id].visits = usize::MAX;
        self.bedside.lose(id, failure);
    }
}

#[cfg(test)]
#[path = "course_tests.rs"]
mod tests;
