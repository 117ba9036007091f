//! Randomness by address: a [`Key`] names a place in the tree seed → generation → trial → patient, a [`Purpose`] names
//! what the numbers are for, and the two together give a [`Stream`].
//!
//! The same address gives the same numbers on any rank, thread, SIMD lane or restart. One purpose never shifts another's
//! draws, and patient *j* never depends on the patients before it. That is the ground on which "the result is a function
//! of (job, seed) alone" stands.
//!
//! A key is 128 bits wide, so that among the 10⁹ addresses of a long run a collision has probability below 10⁻²⁰; the
//! map from a child's word to its key is injective. Streams are xoshiro256++ (Blackman and Vigna 2021). Distributions
//! are written here, on `libm`, so that their bits are the same on every CPU and do not change with a dependency.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

#[cfg(test)]
pub(crate) mod chi_square;
mod discrete;

/// Name and version of the scheme; stored with every result, so that a future change of bits is visible.
pub const SCHEME: &str = "nicho-keyed-xoshiro256++/1";

/// What the numbers of a stream are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Ancestor and perturbation of a proposal.
    Propose = 1,
    /// A simulator that is not made of patients.
    Simulate = 2,
    /// The traits of a virtual patient.
    Patient = 3,
    /// Measurements at a visit (PCR noise, metaphases).
    Visit = 4,
    /// Progression and death.
    Event = 5,
    /// Leaving treatment or study.
    Dropout = 6,
    /// Pilot simulations that set a scale.
    Pilot = 7,
    /// Equal-weight draws from a weighted population.
    Resample = 8,
    /// Optimiser of the posterior modes.
    Refine = 9,
    /// Predictive simulations.
    Predict = 10,
    /// Births of resistant clones.
    Mutation = 11,
    /// Division, death and movement of counted stem cells.
    StemCells = 12,
    /// Exposure that changes from visit to visit; who takes part in what a rule does to a share of the patients.
    Exposure = 13,
    /// Acceptance of a simulation with a probability.
    Accept = 14,
    /// Where the fit of a network starts.
    Fit = 15,
}

/// An address in the tree of randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    high: u64,
    low: u64,
}

/// Stafford's variant 13 of the 64-bit finaliser, a bijection in which each input bit moves half of the output bits.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What is done with a job's key beside the inference, whose generations count up from 0 and never reach these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Branch {
    /// Polishing of modes.
    Refine = u64::MAX - 1,
    /// Predictive simulations.
    Predict = u64::MAX - 2,
    /// Single simulations that a user asks for.
    Simulate = u64::MAX - 3,
    /// The adjusted posterior.
    Adjust = u64::MAX - 4,
    /// Data sets of a calibration.
    Calibrate = u64::MAX - 5,
    /// Simulations at draws of the prior that scale a distance.
    Pilot = u64::MAX - 6,
}

impl Key {
    /// The address of a branch of a job's key.
    pub fn branch(self, branch: Branch) -> Self {
        self.child(branch as u64)
    }

    /// The root of all addresses of a run.
    pub fn root(seed: u64) -> Self {
        Key { high: 0x6e69_6368_6f2d_6b65, low: 0x792d_726f_6f74_2d31 }.child(seed)
    }

    /// The address one level down. Different words give different keys.
    pub fn child(self, word: u64) -> Self {
        let high = mix(self.high ^ word.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let low = mix(self.low.wrapping_add(high) ^ word.rotate_left(32).wrapping_mul(0xd1b5_4a32_d192_ed03));
        Key { high: high ^ low.rotate_left(17), low }
    }

    /// The address of a name below this one, by the name's FNV-1a hash.
    pub fn named(self, name: &str) -> Self {
        let hash = |h: u64, byte: u8| (h ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        self.child(name.bytes().fold(0xcbf2_9ce4_8422_2325, hash))
    }

    /// The stream of numbers for one purpose at this address.
    pub fn stream(self, purpose: Purpose) -> Stream {
        let key = self.child(0xa076_1d64_78bd_642f ^ purpose as u64);
        let mut seed = [0u8; 32];
        let words = [key.high, key.low, mix(key.high.wrapping_add(key.low)), mix(key.low ^ 0x2545_f491_4f6c_dd1d)];
        for (bytes, word) in seed.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&mix(word.wrapping_add(0x9e37_79b9_7f4a_7c15)).to_le_bytes());
        }
        Stream(Xoshiro256PlusPlus::from_seed(seed))
    }
}

/// A sequence of random numbers that belongs to one address.
#[derive(Clone, Debug)]
pub struct Stream(Xoshiro256PlusPlus);

impl Stream {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform on the open interval (0, 1): never 0, never 1.
    pub fn uniform(&mut self) -> f64 {
        ((self.bits() >> 12) as f64 + 0.5) * (1.0 / 4_503_599_627_370_496.0)
    }

    /// A whole number below `count`, which is above 0.
    pub fn below(&mut self, count: usize) -> usize {
        ((self.uniform() * count as f64) as usize).min(count - 1)
    }

    /// Puts items into random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }

    /// Standard normal, by inversion of its distribution function.
    pub fn normal(&mut self) -> f64 {
        normal_quantile(self.uniform())
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -libm::log(self.uniform())
    }

    /// Gamma with the given shape and scale 1 (Marsaglia and Tsang 2000, ACM TOMS 26:363).
    pub fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let boost = libm::pow(self.uniform(), 1.0 / shape);
            return self.gamma(shape + 1.0) * boost;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / libm::sqrt(9.0 * d);
        loop {
            let x = self.normal();
            let v = 1.0 + c * x;
            if v > 0.0 {
                let v = v * v * v;
                if libm::log(self.uniform()) < 0.5 * x * x + d * (1.0 - v + libm::log(v)) {
                    return d * v;
                }
            }
        }
    }
}

/// Quantile of the standard normal distribution, relative error below 10⁻¹⁵ (Wichura 1988, AS 241, PPND16).
pub fn normal_quantile(p: f64) -> f64 {
    fn ratio(r: f64, a: &[f64; 8], b: &[f64; 7]) -> f64 {
        let above = a.iter().rev().fold(0.0, |s, c| s * r + c);
        let below = b.iter().rev().fold(0.0, |s, c| s * r + c) * r + 1.0;
        above / below
    }
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        return q * ratio(0.180_625 - q * q, &CENTRE.0, &CENTRE.1);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    let r = libm::sqrt(-libm::log(tail));
    let x = if r <= 5.0 { ratio(r - 1.6, &NEAR.0, &NEAR.1) } else { ratio(r - 5.0, &FAR.0, &FAR.1) };
    if q < 0.0 { -x } else { x }
}

type Rational = ([f64; 8], [f64; 7]);

#[rustfmt::skip]
#[allow(clippy::excessive_precision)] // digits as published
const CENTRE: Rational = (
    [3.387_132_872_796_366_608, 1.331_416_678_917_843_774_5e2, 1.971_590_950_306_551_442_7e3, 1.373_169_376_550_946_112_5e4,
     4.592_195_393_154_987_145_7e4, 6.726_577_092_700_870_085_3e4, 3.343_057_558_358_812_810_5e4, 2.509_080_928_730_122_672_7e3],
    [4.231_333_070_160_091_125_2e1, 6.871_870_074_920_579_083e2, 5.394_196_021_424_751_107_7e3, 2.121_379_430_158_659_586_7e4,
     3.930_789_580_009_271_061e4, 2.872_908_573_572_194_267_4e4, 5.226_495_278_852_854_561e3],
);
#[rustfmt::skip]
#[allow(clippy::excessive_precision)] // digits as published
const NEAR: Rational = (
    [1.423_437_110_749_683_577_34, 4.630_337_846_156_545_295_9, 5.769_497_221_460_691_405_5, 3.647_848_324_763_204_605_04,
     1.270_458_252_452_368_382_58, 2.417_807_251_774_506_117_7e-1, 2.272_384_498_926_918_458_33e-2, 7.745_450_142_783_414_076_4e-4],
    [2.053_191_626_637_758_821_87, 1.676_384_830_183_803_849_4, 6.897_673_349_851_000_045_5e-1, 1.481_039_764_274_800_745_9e-1,
     1.519_866_656_361_645_719_66e-2, 5.475_938_084_995_344_946e-4, 1.050_750_071_644_416_843_24e-9],
);
#[rustfmt::skip]
#[allow(clippy::excessive_precision)] // digits as published
const FAR: Rational = (
    [6.657_904_643_501_103_777_2, 5.463_784_911_164_114_369_9, 1.784_826_539_917_291_335_8, 2.965_605_718_285_048_912_3e-1,
     2.653_218_952_657_612_309_3e-2, 1.242_660_947_388_078_438_6e-3, 2.711_555_568_743_487_578_15e-5, 2.010_334_399_292_288_132_65e-7],
    [5.998_322_065_558_879_376_9e-1, 1.369_298_809_227_358_053_1e-1, 1.487_536_129_085_061_485_25e-2, 7.868_691_311_456_132_591e-4,
     1.846_318_317_510_054_681_8e-5, 1.421_511_758_316_445_888_7e-7, 2.044_263_103_389_939_785_64e-15],
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_quantiles_have_their_published_values() {
        for (p, x) in
            [(0.5, 0.0), (0.975, 1.959_963_984_540_054), (0.001, -3.090_232_306_167_813_5), (1e-20, -9.262_340_089_798_408)]
        {
            assert!((normal_quantile(p) - x).abs() < 1e-14 * (1.0 + x.abs()), "{p}: {}", normal_quantile(p));
        }
    }

    #[test]
    fn an_address_gives_the_same_numbers_and_another_purpose_others() {
        let key = Key::root(7).child(3).child(11);
        assert_eq!(key.stream(Purpose::Patient).bits(), key.stream(Purpose::Patient).bits());
        assert_ne!(key.stream(Purpose::Patient).bits(), key.stream(Purpose::Visit).bits());
        assert_ne!(Key::root(7).child(3).child(11), Key::root(7).child(11).child(3));
        // The published hash of "foobar".
        assert_eq!(key.named("foobar"), key.child(0x8594_4171_f739_67e8));
    }

    #[test]
    fn a_million_neighbouring_addresses_start_with_different_and_uniform_numbers() {
        // Null: first draws of neighbouring streams are independent uniforms; n = 10^6. Mean, variance and lag-1
        // correlation each within 5 standard errors: false-alarm rate below 2e-6 (and the seed is fixed).
        let n = 1_000_000u64;
        let root = Key::root(1).child(0);
        let first: Vec<f64> = (0..n).map(|i| root.child(i).stream(Purpose::Propose).uniform()).collect();
        let mean = first.iter().sum::<f64>() / n as f64;
        let variance = first.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n as f64;
        let lag = first.windows(2).map(|w| (w[0] - mean) * (w[1] - mean)).sum::<f64>() / n as f64 / variance;
        assert!((mean - 0.5).abs() < 5.0 * (1.0f64 / 12.0 / n as f64).sqrt());
        assert!((variance - 1.0 / 12.0).abs() < 5.0 * (1.0f64 / 180.0 / n as f64).sqrt());
        assert!(lag.abs() < 5.0 / (n as f64).sqrt());
        let mut bits: Vec<u64> = first.iter().map(|x| x.to_bits()).collect();
        bits.sort_unstable();
        bits.dedup();
        // 52-bit values: about 1e-4 collisions expected among 1e6 draws.
        assert!(bits.len() as u64 >= n - 2);
    }

    #[test]
    fn binomial_and_gamma_have_their_moments() {
        // Null: exact distributions; n = 2e5 draws; means within 5 standard errors (false-alarm rate 6e-7 each).
        let mut rng = Key::root(5).stream(Purpose::Simulate);
        let n = 200_000;
        let mean = |draw: &mut dyn FnMut() -> f64| (0..n).map(|_| draw()).sum::<f64>() / f64::from(n);
        let binomial = mean(&mut || rng.binomial(20, 0.3) as f64);
        assert!((binomial - 6.0).abs() < 5.0 * (4.2 / f64::from(n)).sqrt());
        let large = mean(&mut || rng.binomial(3000, 0.5) as f64);
        assert!((large - 1500.0).abs() < 5.0 * (750.0 / f64::from(n)).sqrt(), "{large}");
        for shape in [0.4, 3.0] {
            let gamma = mean(&mut || rng.gamma(shape));
            assert!((gamma - shape).abs() < 5.0 * (shape / f64::from(n)).sqrt(), "{shape}: {gamma}");
        }
    }
}
