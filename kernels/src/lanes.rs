//! The number types as vectors of the CPU's own width: order, and choice by mask.

use crate::number::Number;
use fearless_simd::{Simd, prelude::*};

/// A number that has a vector type (all but the 128-bit integers).
pub(crate) trait Lanes: Number {
    /// The vector of this type at the width of level `S`.
    type Vector<S: Simd>: SimdBase<S, Element = Self>;

    fn same_lanes<S: Simd>(a: Self::Vector<S>, b: Self::Vector<S>) -> <Self::Vector<S> as SimdBase<S>>::Mask;
    fn less_lanes<S: Simd>(a: Self::Vector<S>, b: Self::Vector<S>) -> <Self::Vector<S> as SimdBase<S>>::Mask;
}

macro_rules! integers {
    ($($t:ty, $v:ident;)*) => {$(
        impl Lanes for $t {
            type Vector<S: Simd> = S::$v;
            #[inline(always)]
            fn same_lanes<S: Simd>(a: S::$v, b: S::$v) -> <S::$v as SimdBase<S>>::Mask {
                a.simd_eq(b)
            }
            #[inline(always)]
            fn less_lanes<S: Simd>(a: S::$v, b: S::$v) -> <S::$v as SimdBase<S>>::Mask {
                a.simd_lt(b)
            }
        }
    )*};
}
integers!(i8, i8s; i16, i16s; i32, i32s; i64, i64s; u8, u8s; u16, u16s; u32, u32s; u64, u64s;);

macro_rules! floats {
    ($($t:ty, $v:ident;)*) => {$(
        impl Lanes for $t {
            type Vector<S: Simd> = S::$v;
            #[inline(always)]
            fn same_lanes<S: Simd>(a: S::$v, b: S::$v) -> <S::$v as SimdBase<S>>::Mask {
                let (a_number, b_number) = (a.simd_eq(a), b.simd_eq(b));
                a.simd_eq(b) | !(a_number | b_number)
            }
            #[inline(always)]
            fn less_lanes<S: Simd>(a: S::$v, b: S::$v) -> <S::$v as SimdBase<S>>::Mask {
                // A comparison with NaN is false, so "not (a >= b)" holds for every b when a is a number and b is NaN.
                a.simd_eq(a) & !a.simd_ge(b)
            }
        }
    )*};
}
floats!(f32, f32s; f64, f64s;);
