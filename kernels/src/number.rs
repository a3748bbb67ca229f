//! The types that kernels know, and the order that they have in SQL.
//!
//! Invariants  the order is total: NaN equals NaN and is greater than everything, -0.0 equals 0.0 (as in PostgreSQL
//!             and DuckDB).

use crate::{
    aggregate::Extreme, arithmetic::Arithmetic, choose::Choose, compare::Compare, filter::Compress, hash::Hash,
};
use std::fmt::Debug;

mod sealed {
    pub trait Sealed {}
}

/// A fixed-width number: `i8` to `i128`, `u8` to `u128`, `f32`, `f64`.
pub trait Number: Copy + Default + Debug + PartialEq + Send + Sync + 'static + sealed::Sealed {
    /// The first value in order: `MIN`, or minus infinity.
    const LEAST: Self;
    /// The last value in order: `MAX`, or NaN.
    const GREATEST: Self;

    /// Returns whether both stand at the same place in the order.
    fn same(self, other: Self) -> bool;
    /// Returns whether `self` stands before `other`.
    fn less(self, other: Self) -> bool;
}

/// A [`Number`] without a fraction.
pub trait Integer: Number + Ord {}

macro_rules! integers {
    ($($t:ty)*) => {$(
        impl sealed::Sealed for $t {}
        impl Integer for $t {}
        impl Number for $t {
            const LEAST: Self = <$t>::MIN;
            const GREATEST: Self = <$t>::MAX;
            #[inline(always)]
            fn same(self, other: Self) -> bool {
                self == other
            }
            #[inline(always)]
            fn less(self, other: Self) -> bool {
                self < other
            }
        }
    )*};
}
integers!(i8 i16 i32 i64 i128 u8 u16 u32 u64 u128);

macro_rules! floats {
    ($($t:ty)*) => {$(
        impl sealed::Sealed for $t {}
        impl Number for $t {
            const LEAST: Self = <$t>::NEG_INFINITY;
            const GREATEST: Self = <$t>::NAN;
            #[inline(always)]
            fn same(self, other: Self) -> bool {
                (self == other) | (self.is_nan() & other.is_nan())
            }
            #[inline(always)]
            fn less(self, other: Self) -> bool {
                (self < other) | (!self.is_nan() & other.is_nan())
            }
        }
    )*};
}
floats!(f32 f64);

/// A number that every kernel takes: one bound for code that calls several of them.
pub trait Native: Compare + Arithmetic + Choose + Extreme + Compress + Hash {}

impl<T: Compare + Arithmetic + Choose + Extreme + Compress + Hash> Native for T {}
