//! Mutations of the kinase domain: which there are, how often each is found, and what each costs every inhibitor.
//!
//! Folds are IC50 over that of unmutated BCR-ABL in Ba/F3 cells, centres of series that differ by a factor of 2 to 3 (of 9 in
//! M244V): Redaelli 2009 (J Clin Oncol 27:469), Hauser 2018 (Commun Biol 1:70), Leighow 2020 (Cell Rep 30:3951) and, from memory,
//! O'Hare 2005 (Cancer Res 65:4500). Shares are those of 249 patients with resistance to imatinib in the tables of Leighow 2020.
//! That the mutants of a patient at diagnosis have the shares of those found at resistance is an assumption.

use super::drugs::INHIBITORS;

/// A mutation.
#[derive(Clone, Copy, Debug)]
pub struct Mutation {
    /// Its name.
    pub name: &'static str,
    /// Patients per 100 with a mutation in whom it is found.
    pub share: f64,
    /// IC50 of imatinib, nilotinib and dasatinib relative to unmutated cells.
    pub folds: [f64; INHIBITORS],
}

const fn mutation(name: &'static str, share: f64, folds: [f64; INHIBITORS]) -> Mutation {
    Mutation { name, share, folds }
}

/// The gatekeeper mutation: none of the three inhibitors binds. Its share is a parameter of the population.
pub const T315I: Mutation = mutation("T315I", 15.3, [1e4; INHIBITORS]);

/// All others that are common, from the least resistant to imatinib to the most.
pub const SPECTRUM: [Mutation; 10] = [
    mutation("M244V", 6.8, [1.7, 1.5, 1.5]),
    mutation("M351T", 9.2, [2.4, 0.9, 1.2]),
    mutation("F317L", 4.8, [3.0, 2.5, 5.9]),
    mutation("F359V", 4.4, [3.1, 6.0, 1.6]),
    mutation("H396R", 2.4, [3.2, 2.9, 1.9]),
    mutation("G250E", 13.3, [6.6, 4.4, 2.9]),
    mutation("Y253F", 2.4, [9.0, 6.0, 1.3]),
    mutation("E255K", 8.8, [9.7, 8.5, 4.5]),
    mutation("Y253H", 7.2, [25.0, 40.0, 2.0]),
    mutation("E255V", 4.4, [28.0, 28.0, 5.5]),
];

/// The mutation that a number from 0 to 1 tosses: [`T315I`] below its share, else one of the [`SPECTRUM`].
pub fn toss(uniform: f64, gatekeeper_share: f64) -> &'static Mutation {
    if uniform < gatekeeper_share {
        return &T315I;
    }
    let total: f64 = SPECTRUM.iter().map(|mutation| mutation.share).sum();
    let mut left = (uniform - gatekeeper_share) / (1.0 - gatekeeper_share) * total;
    for mutation in &SPECTRUM {
        left -= mutation.share;
        if left < 0.0 {
            return mutation;
        }
    }
    &SPECTRUM[SPECTRUM.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutation_is_tossed_as_often_as_its_share_says() {
        let tosses = 100_000;
        let mut found = std::collections::HashMap::new();
        for i in 0..tosses {
            *found.entry(toss((f64::from(i) + 0.5) / f64::from(tosses), 0.2).name).or_insert(0) += 1;
        }
        let total: f64 = SPECTRUM.iter().map(|m| m.share).sum();
        for m in &SPECTRUM {
            assert!((f64::from(found[m.name]) / f64::from(tosses) - 0.8 * m.share / total).abs() < 2e-5, "{}", m.name);
        }
        assert_eq!(found[T315I.name], 20_000);
        assert_eq!((toss(1.0, 0.2).name, toss(0.5, 1.0).name), ("E255V", "T315I"));
    }

    #[test]
    fn the_second_generation_has_gaps_of_its_own() {
        let folds = |name| SPECTRUM.iter().find(|m| m.name == name).unwrap().folds;
        // What clinicians choose by: dasatinib for Y253H and F359V, nilotinib for F317L.
        assert!(folds("Y253H")[1] > 10.0 * folds("Y253H")[2] && folds("F359V")[1] > 3.0 * folds("F359V")[2]);
        assert!(folds("F317L")[2] > 2.0 * folds("F317L")[1]);
        assert!(SPECTRUM.windows(2).all(|pair| pair[0].folds[0] <= pair[1].folds[0]));
    }
}
