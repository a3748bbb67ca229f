//! The rows whose bit is set, moved together.
//!
//! Invariants  the order of the rows stays; values under nulls are moved too: filter the validity with the same mask
//!             ([`crate::bitmap::compress`]).

#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod scalar;
mod simd;

use crate::bitmap;
use crate::number::Number;
use fearless_simd::{Level, Simd, dispatch};

/// A value that filters: every number. Its method is compiled here, once. (A 16-byte string view is a `u128`.)
pub trait Compress: Number {
    #[doc(hidden)]
    fn compress(level: Level, values: &[Self], mask: &[u64], out: &mut Vec<Self>);
}

/// Makes `out` the values whose bit in `mask` is set, and returns how many.
///
/// Shapes: `mask` covers the values. Panics otherwise. Source: compress, Polychroniou et al. 2015; merge masking into
/// a register, because the memory form is slow on Zen 4.
pub fn compress<T: Compress>(level: Level, values: &[T], mask: &[u64], out: &mut Vec<T>) -> usize {
    let mask = &mask[..bitmap::words(values.len())];
    T::compress(level, values, mask, out);
    out.len()
}

macro_rules! compress {
    ($($t:ty: $($token:ident => $body:path),*;)*) => {$(
        impl Compress for $t {
            fn compress(level: Level, values: &[Self], mask: &[u64], out: &mut Vec<Self>) {
                $(
                    #[cfg(target_arch = "x86_64")]
                    if let Some(token) = level.$token() {
                        return token.vectorize(
                            #[inline(always)]
                            || $body(token, values, mask, out),
                        );
                    }
                )*
                dispatch!(level, _s => simd::compress(values, mask, out))
            }
        }
    )*};
    (bytes $($t:ty)*) => { compress!($($t: as_avx512 => simd::lanes;)*); };
    (words $($t:ty)*) => { compress!($($t: as_avx512 => simd::lanes, as_avx2 => simd::lanes;)*); };
    (pairs $($t:ty)*) => { compress!($($t: as_avx512 => avx512::pairs;)*); };
}
compress!(bytes i8 i16 u8 u16);
compress!(words i32 i64 u32 u64 f32 f64);
compress!(pairs i128 u128);
