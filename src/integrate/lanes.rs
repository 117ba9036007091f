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
                let mut touched = a;
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
