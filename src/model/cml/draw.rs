//! Drawing a patient from a population.
//!
//! A trait is `median · exp(sd · z)` with `z` standard normal, clipped where the model asks for it; mixtures (bypass, mutant
//! clone, which mutation) toss for membership. A patient always takes the same 26 numbers from its stream, in the
//! order of `Population::patient_from`, members of a mixture or not: moving one parameter moves its own trait only, and two
//! populations under the same key are compared on common random numbers.

use super::mutants;
use super::parameters::Population;
use super::patient::Patient;
use crate::rng::{Key, Purpose};

/// Largest effector stimulation, 1/d: above it the activity is at its ceiling within days and the equations turn stiff.
pub const STIMULUS_MAX: f64 = 0.8;
/// Range of adhesion at full kinase activity.
pub const ADHESION: (f64, f64) = (0.02, 0.9);
/// Largest drive of the bypass: the rest stays with the kinase.
pub const BYPASS_MAX: f64 = 0.9;
/// Range of the leukaemic share of the vascular niche at diagnosis.
pub const OCCUPANCY: (f64, f64) = (0.05, 0.6);

impl Population {
    /// The patient at an address.
    pub fn patient(&self, key: Key) -> Patient {
        let rng = &std::cell::RefCell::new(key.stream(Purpose::Patient));
        self.patient_from(&mut || rng.borrow_mut().normal(), &mut || rng.borrow_mut().uniform())
    }

    /// The patient made of these standard normal and uniform numbers.
    pub(super) fn patient_from(&self, normal: &mut impl FnMut() -> f64, uniform: &mut impl FnMut() -> f64) -> Patient {
        let mut spread = |median: f64, sd: f64| median * libm::exp(sd * normal());
        let clearance = spread(self.clearance, self.clearance_sd);
        let uptake_mature = spread(1.0, self.uptake_mature_sd);
        let uptake_stem = spread(self.uptake_stem, self.uptake_stem_sd);
        let expression = spread(1.0, self.expression_sd);
        let progenitor_loss = spread(self.progenitor_loss, self.progenitor_loss_sd);
        let progenitor_growth = spread(self.progenitor_growth, self.progenitor_growth_sd);
        let amplification = spread(self.amplification, self.amplification_sd);
        let death_gain = spread(self.death_gain, self.death_gain_sd);
        let release = spread(self.release, self.release_sd);
        let renewal_gain = spread(self.renewal_gain, self.renewal_gain_sd);
        let leukaemic_ratio = spread(self.leukaemic_ratio, self.leukaemic_ratio_sd);
        let effector_stimulus = spread(self.effector_stimulus, self.effector_stimulus_sd).min(STIMULUS_MAX);
        let effector_window = spread(self.effector_window, self.effector_window_sd);
        let adhesion_min = spread(self.adhesion_min, self.adhesion_min_sd).clamp(ADHESION.0, ADHESION.1);
        let quiescent_ratio = spread(self.quiescent_ratio, self.quiescent_ratio_sd);
        let occupancy = spread(self.stem_occupancy, self.stem_occupancy_sd).clamp(OCCUPANCY.0, OCCUPANCY.1);
        let latency = spread(self.latency, self.latency_sd);
        let bypass = spread(self.bypass, self.bypass_sd).min(BYPASS_MAX);
        let mutant_cells = spread(self.mutant_cells, self.mutant_cells_sd);
        let resistance = spread(self.resistance, self.resistance_sd);
        let exposure_others = spread(1.0, self.exposure_others_sd);
        let age = self.age + self.age_sd * normal();
        let bypassed = uniform() < self.bypass_fraction;
        let mutated = uniform() < self.mutant_fraction;
        let mutation = mutants::toss(uniform(), self.gatekeeper_share);
        // Mutations strike at division. Before diagnosis N cells at growth g divided N renewal (1 + gain) / g times, and so many
        // mutants are expected that the share without any is 1 - mutant_fraction.
        let expected = -libm::log1p(-self.mutant_fraction);
        let births = expected * self.growth_before / (1.0 + renewal_gain);
        // The mean of what is missed; nobody takes less than nothing.
        let adherence = libm::exp(self.missed_doses * libm::log(uniform()));
        Patient {
            age,
            clearance,
            exposure_others,
            adherence,
            expression,
            hill: self.hill,
            uptake_mature,
            uptake_stem,
            efflux: self.efflux,
            ras_grb2: self.ras_grb2,
            ras_crkl: self.ras_crkl,
            ras_shc: self.ras_shc,
            mek_share: self.mek_share,
            wnt_share: self.wnt_share,
            wnt_kinase: self.wnt_kinase,
            bypass: if bypassed { bypass } else { 0.0 },
            renewal_gain,
            death_gain,
            niche_bypass: self.niche_bypass,
            adhesion_min,
            adhesion_vla4: self.adhesion_vla4,
            adhesion_cd44: self.adhesion_cd44,
            quiescence_gain: self.quiescence_gain,
            detachment_gain: self.detachment_gain,
            attach: self.attach,
            release,
            renewal: self.renewal,
            stem_loss: self.stem_loss,
            roaming_loss: self.roaming_loss,
            stroma_defect: self.stroma_defect,
            capacity_osteoblastic: self.capacity_osteoblastic,
            capacity_vascular: self.capacity_vascular,
            progenitor_growth,
            progenitor_loss,
            amplification,
            maturing_turnover: self.maturing_turnover,
            effector_decay: self.effector_decay,
            effector_stimulus,
            effector_window,
            effector_kill: self.effector_kill,
            effector_max: self.effector_max,
            stroma_block: self.stroma_block,
            exhaustion_time: self.exhaustion_time,
            exhaustion_half: self.exhaustion_half,
            stroma_time: self.stroma_time,
            mutant: mutation.name,
            mutant_folds: mutation.folds.map(|fold| fold * resistance),
            mutant_cells: if mutated { mutant_cells } else { 0.0 },
            mutation: births,
            stem_cells: occupancy * self.capacity_vascular,
            quiescent_ratio,
            latency,
            leukaemic_ratio,
            marrow_odds: self.marrow_odds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parameters::{TABLE, defaults, index};
    use super::*;

    fn patients(population: &Population, n: u64) -> Vec<Patient> {
        (0..n).map(|j| population.patient(Key::root(11).child(j))).collect()
    }

    /// Null: `ln value` is normal with this mean and SD. Mean and variance within 5 standard errors each.
    fn assert_lognormal(name: &str, values: impl Iterator<Item = f64>, median: f64, sd: f64) {
        let ln: Vec<f64> = values.map(f64::ln).collect();
        let n = ln.len() as f64;
        let mean = ln.iter().sum::<f64>() / n;
        let variance = ln.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0);
        assert!((mean - median.ln()).abs() < 5.0 * sd / n.sqrt(), "{name}: median {}", mean.exp());
        assert!((variance - sd * sd).abs() < 5.0 * sd * sd * (2.0 / n).sqrt(), "{name}: sd {}", variance.sqrt());
    }

    #[test]
    fn traits_have_the_medians_and_spreads_of_the_table() {
        // n = 20 000 patients, fixed seed; 27 comparisons at 5 standard errors: false-alarm rate 2e-5.
        let mut p = Population::new(&defaults()).unwrap();
        // Spreads at which clipping is out of reach.
        (p.effector_stimulus_sd, p.stem_occupancy, p.stem_occupancy_sd) = (0.3, 0.2, 0.2);
        (p.bypass_sd, p.adhesion_min_sd) = (0.1, 0.2);
        let drawn = patients(&p, 20_000);
        macro_rules! check {
            ($($name:ident, $median:expr, $sd:expr;)*) => {
                $(assert_lognormal(stringify!($name), drawn.iter().map(|q| q.$name), $median, $sd);)*
            };
        }
        check! {
            clearance, p.clearance, p.clearance_sd;
            expression, 1.0, p.expression_sd;
            exposure_others, 1.0, p.exposure_others_sd;
            latency, p.latency, p.latency_sd;
            uptake_mature, 1.0, p.uptake_mature_sd;
            uptake_stem, p.uptake_stem, p.uptake_stem_sd;
            progenitor_loss, p.progenitor_loss, p.progenitor_loss_sd;
            progenitor_growth, p.progenitor_growth, p.progenitor_growth_sd;
            amplification, p.amplification, p.amplification_sd;
            death_gain, p.death_gain, p.death_gain_sd;
            release, p.release, p.release_sd;
            renewal_gain, p.renewal_gain, p.renewal_gain_sd;
            leukaemic_ratio, p.leukaemic_ratio, p.leukaemic_ratio_sd;
            effector_stimulus, p.effector_stimulus, p.effector_stimulus_sd;
            effector_window, p.effector_window, p.effector_window_sd;
            adhesion_min, p.adhesion_min, p.adhesion_min_sd;
            quiescent_ratio, p.quiescent_ratio, p.quiescent_ratio_sd;
            stem_cells, p.stem_occupancy * p.capacity_vascular, p.stem_occupancy_sd;
        }
        let own = |q: &Patient| mutants::SPECTRUM.iter().chain([&mutants::T315I]).find(|m| m.name == q.mutant).unwrap().folds[1];
        assert_lognormal("fold", drawn.iter().map(|q| q.mutant_folds[1] / own(q)), p.resistance, p.resistance_sd);
        assert!((p.concentration(400.0, 10.0) - 3.38).abs() < 0.01, "imatinib 400 mg/d: 3.4 uM on average");
        let trough = p.concentration(400.0, 10.0) * p.trough_ratio(10.0) * 493.6;
        assert!((trough / 979.0 - 1.0).abs() < 0.1, "{trough} ng/mL; published 979");
        for (name, share, median, sd, of) in [
            ("bypass", p.bypass_fraction, p.bypass, p.bypass_sd, (|q| q.bypass) as fn(&Patient) -> f64),
            ("mutant_cells", p.mutant_fraction, p.mutant_cells, p.mutant_cells_sd, |q| q.mutant_cells),
        ] {
            let members: Vec<f64> = drawn.iter().map(of).filter(|&v| v > 0.0).collect();
            let (n, found) = (drawn.len() as f64, members.len() as f64 / drawn.len() as f64);
            assert!((found - share).abs() < 5.0 * (share * (1.0 - share) / n).sqrt(), "{name}: {found}");
            assert_lognormal(name, members.into_iter(), median, sd);
        }
    }

    #[test]
    fn traits_are_clipped() {
        let mut p = Population::new(&defaults()).unwrap();
        (p.effector_stimulus_sd, p.stem_occupancy_sd, p.adhesion_min_sd) = (4.0, 1.5, 1.5);
        (p.bypass_sd, p.bypass_fraction) = (2.5, 1.0);
        let drawn = patients(&p, 5000);
        let range = |of: fn(&Patient) -> f64| {
            drawn.iter().map(of).fold((f64::INFINITY, 0.0f64), |(low, high), v| (low.min(v), high.max(v)))
        };
        assert_eq!(range(|q| q.adhesion_min), ADHESION);
        assert_eq!(range(|q| q.stem_cells / 1e5), OCCUPANCY);
        assert_eq!(range(|q| q.effector_stimulus).1, STIMULUS_MAX);
        assert_eq!(range(|q| q.bypass).1, BYPASS_MAX);
    }

    #[test]
    fn moving_one_parameter_moves_its_own_trait_only() {
        // `Debug` writes a float so that it reads back to the same bits.
        let fields = |p: &Patient| -> Vec<String> { format!("{p:?}").split(", ").map(str::to_string).collect() };
        for (i, parameter) in TABLE.iter().enumerate() {
            let mut theta = defaults();
            let before = Population::new(&theta).unwrap();
            theta[i] += 0.01 * (parameter.range.1 - theta[i]);
            match parameter.name {
                "stem_loss" => theta[i] = 0.011,
                // So many that somebody changes sides.
                "mutant_fraction" | "gatekeeper_share" | "bypass_fraction" => theta[i] = 0.5,
                _ => {}
            }
            let after = Population::new(&theta).unwrap();
            let mut most = 0;
            for (a, b) in patients(&before, 300).iter().zip(&patients(&after, 300)) {
                most = most.max(fields(a).iter().zip(&fields(b)).filter(|(x, y)| x != y).count());
            }
            // What belongs to drugs, measurement and hazards moves no trait. Mutants are born as often as stem cells divide.
            let elsewhere = index("pcr_sd").unwrap()..TABLE.len();
            let expected = match parameter.name {
                "latency" | "latency_sd" | "age" | "age_sd" | "growth_before" => 1,
                "capacity_vascular" | "renewal_gain" | "renewal_gain_sd" | "mutant_fraction" => 2,
                "resistance" | "resistance_sd" => 3,
                "gatekeeper_share" => 4,
                "clearance_first" | "volume" | "exposure_sd" | "nilotinib_potency" | "dasatinib_potency" | "ic50" => 0,
                _ => usize::from(!elsewhere.contains(&i)),
            };
            assert_eq!(most, expected, "{}", parameter.name);
        }
    }
}
