//! A column to one value: sum, least, greatest, counts.
//!
//! Invariants  rows under nulls are left out, whatever they hold; no valid row means no least and no greatest value.
//!             Sums of integers are exact. Every level sums floats in the same order, so all give the same bits.

pub mod scalar;
mod simd;

use crate::bitmap::{count_ones, none_set, words};
use crate::number::{Integer, Number};
use fearless_simd::{Level, dispatch};

/// Returns the sum of the valid values of a type that adds up to at most 64 bits wide; see [`sum_int`].
pub fn sum_i64(level: Level, values: &[i64], validity: Option<&[u64]>) -> i128 {
    sum_int(level, values, validity)
}

/// An integer of at most 64 bits. Its method is compiled here, once.
pub trait Sum: Integer {
    #[doc(hidden)]
    fn sum(level: Level, values: &[Self], validity: Option<&[u64]>) -> i128;
}

/// Returns the exact sum of the valid values, 0 when there are none.
///
/// Shapes: `validity` covers the values. Panics otherwise. At most 2^31 rows.
pub fn sum_int<T: Sum>(level: Level, values: &[T], validity: Option<&[u64]>) -> i128 {
    check(values, validity);
    T::sum(level, values, validity)
}

/// Returns the sum of the valid values, or none when it does not fit 128 bits on the way.
pub fn sum_i128(values: &[i128], validity: Option<&[u64]>) -> Option<i128> {
    check(values, validity);
    scalar::valid(values, validity).try_fold(0i128, |sum, value| sum.checked_add(value))
}

/// Returns the sum of the valid values, 0.0 when there are none.
///
/// Shapes: `validity` covers the values. Panics otherwise. Error: blocks of 4,096 rows are summed in 32 lanes and
/// blocks are added in pairs, so the error is at most (133 + log2(rows / 4096)) * 2^-53 of the sum of the magnitudes.
/// Every level gives the same bits. NaN and infinities follow IEEE 754.
pub fn sum_f64(level: Level, values: &[f64], validity: Option<&[u64]>) -> f64 {
    check(values, validity);
    match validity {
        None => dispatch!(level, s => simd::sum_f64::<_, false>(s, values, &[])),
        Some(validity) => dispatch!(level, s => simd::sum_f64::<_, true>(s, values, validity)),
    }
}

/// A number with a least and a greatest: all of them. Its method is compiled here, once.
pub trait Extreme: Number {
    #[doc(hidden)]
    fn least_and_greatest(level: Level, values: &[Self], validity: Option<&[u64]>) -> (Self, Self);
    #[doc(hidden)]
    fn least(level: Level, values: &[Self], validity: Option<&[u64]>) -> Self;
    #[doc(hidden)]
    fn greatest(level: Level, values: &[Self], validity: Option<&[u64]>) -> Self;
}

/// Returns the least valid value (NaN only when there is nothing else; of zeros, either).
///
/// Shapes: `validity` covers the values. Panics otherwise.
pub fn min<T: Extreme>(level: Level, values: &[T], validity: Option<&[u64]>) -> Option<T> {
    check(values, validity);
    any(values, validity).then(|| T::least(level, values, validity))
}

/// Returns the greatest valid value (NaN when there is one; of zeros, either).
///
/// Shapes: `validity` covers the values. Panics otherwise.
pub fn max<T: Extreme>(level: Level, values: &[T], validity: Option<&[u64]>) -> Option<T> {
    check(values, validity);
    any(values, validity).then(|| T::greatest(level, values, validity))
}

/// Returns the least and the greatest valid value in one pass, see [`min`] and [`max`].
pub fn min_max<T: Extreme>(level: Level, values: &[T], validity: Option<&[u64]>) -> Option<(T, T)> {
    check(values, validity);
    any(values, validity).then(|| T::least_and_greatest(level, values, validity))
}

/// Returns how many of `rows` rows are valid.
pub fn count(validity: Option<&[u64]>, rows: usize) -> usize {
    validity.map_or(rows, |validity| count_ones(validity, rows))
}

/// Counts the valid values that satisfy `predicate`, which is compiled into the loop for every level.
///
/// Shapes: `validity` covers the values. Panics otherwise. Values under nulls are shown to the predicate too.
pub fn count_where<T: Copy>(
    level: Level,
    values: &[T],
    validity: Option<&[u64]>,
    predicate: impl Fn(T) -> bool + Copy,
) -> usize {
    check(values, validity);
    dispatch!(level, _s => simd::count_where(values.len(), validity, |block, count| {
        let block = &values[block..block + count];
        move |i: usize| predicate(block[i])
    }))
}

/// Counts the rows, valid by `validity`, whose two values satisfy `predicate`; see [`count_where`].
pub fn count_where_2<A: Copy, B: Copy>(
    level: Level,
    a: &[A],
    b: &[B],
    validity: Option<&[u64]>,
    predicate: impl Fn(A, B) -> bool + Copy,
) -> usize {
    assert_eq!(a.len(), b.len(), "columns of one length");
    check(a, validity);
    dispatch!(level, _s => simd::count_where(a.len(), validity, |block, count| {
        let (a, b) = (&a[block..block + count], &b[block..block + count]);
        move |i: usize| predicate(a[i], b[i])
    }))
}

fn check<T>(values: &[T], validity: Option<&[u64]>) {
    assert!(validity.is_none_or(|v| v.len() >= words(values.len())), "the validity covers the values");
}

fn any<T>(values: &[T], validity: Option<&[u64]>) -> bool {
    validity.map_or(!values.is_empty(), |validity| !none_set(validity, values.len()))
}

macro_rules! sums {
    ($body:ident: $($t:ty)*) => {$(
        impl Sum for $t {
            fn sum(level: Level, values: &[Self], validity: Option<&[u64]>) -> i128 {
                match validity {
                    None => dispatch!(level, s => simd::$body::<_, _, false>(s, values, &[])),
                    Some(validity) => dispatch!(level, s => simd::$body::<_, _, true>(s, values, validity)),
                }
            }
        }
    )*};
}
sums!(sum_narrow: i8 i16 i32 u8 u16 u32);
sums!(sum_wide: i64 u64);

macro_rules! extremes {
    (lanes: $($t:ty)*) => {$(
        impl Extreme for $t {
            fn least_and_greatest(level: Level, values: &[Self], validity: Option<&[u64]>) -> (Self, Self) {
                match validity {
                    None => dispatch!(level, s => simd::min_max::<_, _, false>(s, values, &[])),
                    Some(validity) => dispatch!(level, s => simd::min_max::<_, _, true>(s, values, validity)),
                }
            }
            fn least(level: Level, values: &[Self], validity: Option<&[u64]>) -> Self {
                match validity {
                    None => dispatch!(level, s => simd::min::<_, _, false>(s, values, &[])),
                    Some(validity) => dispatch!(level, s => simd::min::<_, _, true>(s, values, validity)),
                }
            }
            fn greatest(level: Level, values: &[Self], validity: Option<&[u64]>) -> Self {
                match validity {
                    None => dispatch!(level, s => simd::max::<_, _, false>(s, values, &[])),
                    Some(validity) => dispatch!(level, s => simd::max::<_, _, true>(s, values, validity)),
                }
            }
        }
    )*};
    (plain: $($t:ty)*) => {$(
        impl Extreme for $t {
            fn least_and_greatest(level: Level, values: &[Self], validity: Option<&[u64]>) -> (Self, Self) {
                (Self::least(level, values, validity), Self::greatest(level, values, validity))
            }
            fn least(_: Level, values: &[Self], validity: Option<&[u64]>) -> Self {
                scalar::min(values, validity).expect("a valid value")
            }
            fn greatest(_: Level, values: &[Self], validity: Option<&[u64]>) -> Self {
                scalar::max(values, validity).expect("a valid value")
            }
        }
    )*};
}
extremes!(lanes: i8 i16 i32 i64 u8 u16 u32 u64 f32 f64);
extremes!(plain: i128 u128);
