//! One SIMD register of 64-bit numbers with arithmetic operators, so that a right-hand side reads like its formula.
//!
//! Every operation is one IEEE 754 operation per lane and none crosses lanes, therefore the bits of a lane do not depend
//! on the width of the register. There is no fused multiply-add, on purpose: it would round differently from `a * b + c`.

use std::ops::{Add, Div, Mul, Sub};

use pulp::Simd;

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

    /// The larger of the two; `other` where either is not a number.
    #[inline(always)]
    pub fn at_least(self, other: Self) -> Self {
        self.greater(other).choose(self, other)
    }

    /// The smaller of the two; `other` where either is not a number.
    #[inline(always)]
    pub fn at_most(self, other: Self) -> Self {
        other.greater(self).choose(self, other)
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
    pub fn get(self, lane: usize) -> f64 {
        let mut buffer = [0.0; MOST_LANES];
        S::as_mut_simd_f64s(&mut buffer).0[0] = self.value;
        buffer[lane]
    }

    /// Replaces the number in one lane. Panics if `lane` is not below the number of lanes.
    #[inline(always)]
    pub fn set(&mut self, lane: usize, x: f64) {
        let mut buffer = [0.0; MOST_LANES];
        S::as_mut_simd_f64s(&mut buffer).0[0] = self.value;
        buffer[lane] = x;
        self.value = S::as_simd_f64s(&buffer).0[0];
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
