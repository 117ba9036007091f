//! One SIMD register of 64-bit numbers with arithmetic operators, so that a right-hand side reads like its formula.
//!
//! Every operation is one IEEE 754 operation per lane and none crosses lanes, therefore the bits of a lane do not depend
//! on the width of the register. There is no fused multiply-add, on purpose: it would round differently from `a * b + c`.

use std::ops::{Add, Div, Mul, Sub};
use std::slice::{from_mut, from_ref};

use pulp::Simd;
use pulp::bytemuck::{cast_slice, cast_slice_mut};

/// The largest number of lanes that any instruction set offers.
pub const MOST_LANES: usize = 8;

/// `S::F64_LANES` numbers, one for each of that many independent problems.
#[derive(Clone, Copy, Debug)]
pub struct Lanes<S: Simd> {
    simd: S,
    value: S::f64s,
}

/// Coefficients of [`Lanes::exp`], as `libm` has them.
#[allow(clippy::excessive_precision)] // digits as published
const EXP: [f64; 5] = [
    1.666_666_666_666_660_190_37e-1,
    -2.777_777_777_701_559_338_42e-3,
    6.613_756_321_437_934_361_17e-5,
    -1.653_390_220_546_525_153_90e-6,
    4.138_136_797_057_238_460_39e-8,
];
/// The first 32 binary digits of ln 2.
#[allow(clippy::excessive_precision)] // digits as published
const LN_2_HIGH: f64 = 6.931_471_803_691_238_164_90e-1;
/// The rest of ln 2.
#[allow(clippy::excessive_precision)] // digits as published
const LN_2_LOW: f64 = 1.908_214_929_270_587_700_02e-10;

/// One truth value per lane.
#[derive(Clone, Copy, Debug)]
pub struct Mask<S: Simd> {
    simd: S,
    value: S::m64s,
}

impl<S: Simd> Lanes<S> {
    /// Whether the largest and smallest of two numbers are the vector instructions of x86, which give the second operand
    /// where a comparison fails. Those of other CPUs and of the standard library treat NaN and -0 differently.
    const HAS_X86_EXTREMA: bool = cfg!(target_arch = "x86_64") && !S::IS_SCALAR;

    /// The same number in every lane.
    #[inline(always)]
    pub fn splat(simd: S, x: f64) -> Self {
        Lanes { simd, value: simd.splat_f64s(x) }
    }

    /// The same number in every lane, at the width of `self`.
    #[inline(always)]
    pub fn constant(self, x: f64) -> Self {
        Self::splat(self.simd, x)
    }

    /// The first numbers of a slice, one for each lane. Panics if there are fewer.
    #[inline(always)]
    pub fn load(simd: S, numbers: &[f64]) -> Self {
        Lanes { simd, value: S::as_simd_f64s(numbers).0[0] }
    }

    /// Writes its numbers to the beginning of a slice. Panics if that is shorter.
    #[inline(always)]
    pub fn store(self, numbers: &mut [f64]) {
        S::as_mut_simd_f64s(numbers).0[0] = self.value;
    }

    /// The larger of the two; `other` where either is not a number or both are zero.
    #[inline(always)]
    pub fn at_least(self, other: Self) -> Self {
        if Self::HAS_X86_EXTREMA {
            Lanes { value: self.simd.max_f64s(self.value, other.value), ..self }
        } else {
            self.greater(other).choose(self, other)
        }
    }

    /// The smaller of the two; `other` where either is not a number or both are zero.
    #[inline(always)]
    pub fn at_most(self, other: Self) -> Self {
        if Self::HAS_X86_EXTREMA {
            Lanes { value: self.simd.min_f64s(self.value, other.value), ..self }
        } else {
            other.greater(self).choose(self, other)
        }
    }

    /// The absolute value.
    #[inline(always)]
    pub fn abs(self) -> Self {
        Lanes { value: self.simd.abs_f64s(self.value), ..self }
    }

    /// The square root, correctly rounded as IEEE 754 demands.
    #[inline(always)]
    pub fn sqrt(self) -> Self {
        Lanes { value: self.simd.sqrt_f64s(self.value), ..self }
    }

    /// The exponential function for −708 ≤ x ≤ 709, with an error below 1 ulp; elsewhere the result means nothing.
    ///
    /// By `libm`'s algorithm (FreeBSD's e_exp.c), without its branches: with x = k ln 2 + r and |r| ≤ ½ ln 2,
    /// eˣ = 2ᵏ (1 + r + r c / (2 − c)), where c(r) is a polynomial.
    #[inline(always)]
    pub fn exp(self) -> Self {
        // Adding this leaves no place for a fraction: the sum is rounded to a whole number.
        let whole = self.constant(6_755_399_441_055_744.0);
        let k = (self * self.constant(std::f64::consts::LOG2_E) + whole) - whole;
        // The first part of ln 2 has so few digits that its multiples are exact.
        let (high, low) = (self - k * self.constant(LN_2_HIGH), k * self.constant(LN_2_LOW));
        let r = high - low;
        let square = r * r;
        let mut c = self.constant(EXP[4]);
        for coefficient in [EXP[3], EXP[2], EXP[1], EXP[0]] {
            c = self.constant(coefficient) + square * c;
        }
        let c = r - square * c;
        (self.constant(1.0) + (r * c / (self.constant(2.0) - c) - low + high)) * k.power_of_2()
    }

    /// 2ᵏ for a whole number −1022 ≤ k ≤ 1023: shifts the digits of k + 1023 to where a number has its exponent.
    #[inline(always)]
    fn power_of_2(self) -> Self {
        // Between 2^11 and 2^12, so that the whole numbers are the first eleven digits after the leading one.
        let number = self + self.constant(1023.0 + 2048.0);
        let mut bits = self.simd.transmute_u64s_f64s(number.value);
        // There is no shift of 64-bit lanes in `pulp`; the compiler makes this one.
        for _ in 0..11 {
            bits = self.simd.add_u64s(bits, bits);
        }
        Lanes { value: self.simd.transmute_f64s_u64s(bits), ..self }
    }

    /// Where `self > other`.
    #[inline(always)]
    pub fn greater(self, other: Self) -> Mask<S> {
        Mask { simd: self.simd, value: self.simd.greater_than_f64s(self.value, other.value) }
    }

    /// Where `self >= other`.
    #[inline(always)]
    pub fn reaches(self, other: Self) -> Mask<S> {
        Mask { simd: self.simd, value: self.simd.greater_than_or_equal_f64s(self.value, other.value) }
    }

    /// The number in one lane. Panics if `lane` is not below the number of lanes.
    #[inline(always)]
    pub fn get(&self, lane: usize) -> f64 {
        cast_slice::<S::f64s, f64>(from_ref(&self.value))[lane]
    }

    /// Replaces the number in one lane. Panics if `lane` is not below the number of lanes.
    #[inline(always)]
    pub fn set(&mut self, lane: usize, x: f64) {
        cast_slice_mut::<S::f64s, f64>(from_mut(&mut self.value))[lane] = x;
    }
}

impl<S: Simd> Mask<S> {
    /// `yes` where true, `no` elsewhere.
    #[inline(always)]
    pub fn choose(self, yes: Lanes<S>, no: Lanes<S>) -> Lanes<S> {
        Lanes { simd: self.simd, value: self.simd.select_f64s(self.value, yes.value, no.value) }
    }

    /// Where both are true.
    #[inline(always)]
    pub fn and(self, other: Self) -> Self {
        Mask { value: self.simd.and_m64s(self.value, other.value), ..self }
    }

    /// Where one or both are true.
    #[inline(always)]
    pub fn or(self, other: Self) -> Self {
        Mask { value: self.simd.or_m64s(self.value, other.value), ..self }
    }

    /// Whether any lane is true.
    #[inline(always)]
    pub fn any(self) -> bool {
        self.simd.first_true_m64s(self.value) < S::F64_LANES
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $function:ident) => {
        impl<S: Simd> $trait for Lanes<S> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Lanes { simd: self.simd, value: self.simd.$function(self.value, other.value) }
            }
        }
    };
}
operator!(Add, add, add_f64s);
operator!(Sub, sub, sub_f64s);
operator!(Mul, mul, mul_f64s);
operator!(Div, div, div_f64s);

#[cfg(test)]
mod tests {
    use super::super::Width;
    use super::*;

    /// Every operation on awkward pairs of numbers; the lanes hold the same.
    struct Bits(Vec<(f64, f64)>);

    impl pulp::WithSimd for Bits {
        type Output = Vec<u64>;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Vec<u64> {
            let mut bits = Vec::new();
            for (x, y) in self.0 {
                let (a, b) = (Lanes::splat(simd, x), Lanes::splat(simd, y));
                let mut touched = Lanes::load(simd, &[x; MOST_LANES]);
                touched.set(S::F64_LANES - 1, y);
                for result in [a + b, a - b, a * b, a / b, a.at_least(b), a.at_most(b), a.abs(), b.sqrt()] {
                    // The sign and payload of a NaN are nobody's concern.
                    bits.push(if result.get(0).is_nan() { u64::MAX } else { result.get(0).to_bits() });
                    assert_eq!(result.get(0).is_nan(), result.get(S::F64_LANES - 1).is_nan());
                }
                bits.push(touched.get(S::F64_LANES - 1).to_bits());
                for mask in [a.greater(b), a.reaches(b), a.greater(b).and(b.greater(a)), a.greater(b).or(b.greater(a))] {
                    bits.push(u64::from(mask.any()));
                }
            }
            bits
        }
    }

    /// The exponential of each number.
    struct Exp(Vec<f64>);

    impl pulp::WithSimd for Exp {
        type Output = Vec<f64>;

        #[inline(always)]
        fn with_simd<S: Simd>(mut self, simd: S) -> Vec<f64> {
            for numbers in self.0.chunks_exact_mut(S::F64_LANES) {
                Lanes::load(simd, numbers).exp().store(numbers);
            }
            self.0
        }
    }

    #[test]
    fn the_exponential_is_that_of_libm_within_an_ulp_and_has_the_same_bits_at_every_width() {
        let spread = |from: f64, to: f64| (0..1 << 18).map(move |i| from + (to - from) * f64::from(i) / f64::from(1 << 18));
        let mut x: Vec<f64> = spread(-40.0, 0.0).chain(spread(-708.0, 709.0)).chain(spread(-1e-6, 1e-6)).collect();
        // Around the places where k changes, and where the result is no longer 1.
        for k in -512..512 {
            let edge = (f64::from(k) + 0.5) * std::f64::consts::LN_2;
            x.extend([edge.next_down(), edge, edge.next_up(), 1e-18 * f64::from(k)]);
        }
        let scalar = Width::Scalar.run(Exp(x.clone()));
        for width in Width::available() {
            let wide = width.run(Exp(x.clone()));
            assert!(wide.iter().zip(&scalar).all(|(a, b)| a.to_bits() == b.to_bits()), "{width:?}");
        }
        let mut other = 0;
        for (x, y) in x.iter().zip(&scalar) {
            let apart = y.to_bits().abs_diff(libm::exp(*x).to_bits());
            assert!(apart <= 1, "exp({x}) = {y}, libm has {}", libm::exp(*x));
            other += apart;
        }
        println!("{other} of {} differ from libm in the last bit", x.len());
    }

    #[test]
    fn operations_give_the_same_bits_at_every_width_even_for_nan_infinity_and_minus_zero() {
        let numbers = [0.0, -0.0, 1.0, -3.7, 1e-310, 1e308, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
        let pairs: Vec<_> = numbers.iter().flat_map(|&x| numbers.iter().map(move |&y| (x, y))).collect();
        let scalar = Width::Scalar.run(Bits(pairs.clone()));
        for width in Width::available() {
            assert_eq!(width.run(Bits(pairs.clone())), scalar, "{width:?}");
        }
    }
}
