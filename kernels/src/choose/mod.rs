//! The values of one column where a bit is set, and what was there before where it is not.
//!
//! Invariants  rows past the last one are not touched; what a bitmap says past the last row is ignored.

pub mod scalar;
mod simd;

use crate::bitmap::words;
use crate::number::Number;
use fearless_simd::{Level, dispatch};

/// A number whose columns are chosen from: all of them. Its methods are compiled here, once.
pub trait Choose: Number {
    #[doc(hidden)]
    fn column(level: Level, mask: &[u64], values: &[Self], out: &mut [Self]);
    #[doc(hidden)]
    fn constant(level: Level, mask: &[u64], value: Self, out: &mut [Self]);
}

/// Writes `values[i]` to `out[i]` where bit `i` of `mask` is set.
///
/// Shapes: `values` and `out` of one length; `mask` holds `words(out.len())` words. Panics otherwise.
pub fn column<T: Choose>(level: Level, mask: &[u64], values: &[T], out: &mut [T]) {
    assert_eq!(values.len(), out.len(), "columns of one length");
    assert_eq!(mask.len(), words(out.len()), "the bitmap covers the rows");
    T::column(level, mask, values, out);
}

/// Writes `value` to `out[i]` where bit `i` of `mask` is set.
///
/// Shapes: `mask` holds `words(out.len())` words. Panics otherwise.
pub fn constant<T: Choose>(level: Level, mask: &[u64], value: T, out: &mut [T]) {
    assert_eq!(mask.len(), words(out.len()), "the bitmap covers the rows");
    T::constant(level, mask, value, out);
}

macro_rules! choose {
    ($($t:ty)*) => {$(
        impl Choose for $t {
            fn column(level: Level, mask: &[u64], values: &[Self], out: &mut [Self]) {
                dispatch!(level, _s => simd::column(mask, values, out))
            }
            fn constant(level: Level, mask: &[u64], value: Self, out: &mut [Self]) {
                dispatch!(level, _s => simd::constant(mask, value, out))
            }
        }
    )*};
}
choose!(i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64);
