//! Numbers to wider numbers: casts that cannot fail.
//!
//! Invariants  exact, but for 32-bit integers to `f32` and 64- and 128-bit integers to floats, which round to nearest.

use crate::number::Number;
use fearless_simd::{Level, dispatch};

/// A number that always becomes a `B`. Its method is compiled here, once.
pub trait Widen<B: Number>: Number {
    /// Returns the same number as a `B`, rounded to nearest where `B` is a float without room for it.
    fn widen(self) -> B;
    #[doc(hidden)]
    fn widen_all(level: Level, values: &[Self], out: &mut [B]);
}

/// Writes each value as a `B`. Panics on unequal lengths.
pub fn widen<A: Widen<B>, B: Number>(level: Level, values: &[A], out: &mut [B]) {
    assert_eq!(values.len(), out.len(), "columns of one length");
    A::widen_all(level, values, out);
}

macro_rules! widen {
    ($($from:ty => $($to:ty)*;)*) => {$($(
        impl Widen<$to> for $from {
            #[inline(always)]
            fn widen(self) -> $to {
                self as $to
            }
            fn widen_all(level: Level, values: &[Self], out: &mut [$to]) {
                dispatch!(level, _s => each(values, out))
            }
        }
    )*)*};
}
widen!(
    i8 => i16 i32 i64 i128 f32 f64;
    i16 => i32 i64 i128 f32 f64;
    i32 => i64 i128 f32 f64;
    i64 => i128 f32 f64;
    i128 => f32 f64;
    u8 => u16 u32 u64 u128 i16 i32 i64 i128 f32 f64;
    u16 => u32 u64 u128 i32 i64 i128 f32 f64;
    u32 => u64 u128 i64 i128 f32 f64;
    u64 => u128 i128 f32 f64;
    u128 => f32 f64;
    f32 => f64;
);

#[inline(always)]
fn each<A: Widen<B>, B: Number>(values: &[A], out: &mut [B]) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = value.widen();
    }
}
