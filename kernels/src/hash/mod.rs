//! Keys to 64 bits: for tables (low bits), partitions (high bits) and sketches.
//!
//! Invariants  equal keys hash alike: -0.0 as 0.0, every NaN as one, an integer as the same integer of any other width
//!             up to 64 bits, an `f32` as the same `f64`. Every level gives the same bits, and so does every run: a
//!             hash may be stored beside its seed, but it is no shield against chosen keys.
//! Source      fmix64 of MurmurHash3 (Appleby); for strings the folded multiply of wyhash and foldhash.

mod bytes;
pub mod scalar;
mod simd;

use crate::bitmap::words;
use crate::number::Number;
pub use bytes::bytes;
use fearless_simd::{Level, dispatch};
pub use scalar::{mix, mix_exactly};

/// What a null hashes to, whatever its type and value.
pub const NULL: u64 = 0x6E75_6C6C_9E37_79B9;

/// A key that hashes: all numbers. Its methods are compiled here, once.
pub trait Hash: Number {
    /// Returns the bits that equal keys share: the low word, and the high one for 128-bit keys.
    fn bits(self) -> (u64, u64);
    #[doc(hidden)]
    const WIDE: bool;
    #[doc(hidden)]
    fn fixed(level: Level, seed: u64, values: &[Self], out: &mut Vec<u64>);
    #[doc(hidden)]
    fn combine(level: Level, hashes: &mut [u64], values: &[Self]);
}

/// Makes `out` the hash of each value. Values under nulls are hashed too: [`nulls`] corrects them.
pub fn fixed<T: Hash>(level: Level, seed: u64, values: &[T], out: &mut Vec<u64>) {
    T::fixed(level, seed, values, out);
}

/// Mixes each value into the hash of its row, for keys of several columns. Panics on unequal lengths.
///
/// For a column that may hold nulls, or holds strings: hash it by itself, correct it with [`nulls`], and combine those
/// hashes as `u64` values.
pub fn combine<T: Hash>(level: Level, hashes: &mut [u64], values: &[T]) {
    assert_eq!(hashes.len(), values.len(), "columns of one length");
    T::combine(level, hashes, values);
}

/// Makes the high half of `out` another number for each value below 2^32, so that a table need not keep such keys to tell
/// them apart. The low half is zero, and so are the high bits of values looked at.
pub fn exact(level: Level, seed: u64, values: &[u64], out: &mut Vec<u64>) {
    dispatch!(level, _s => simd::exact(seed, values, out));
}

/// Makes `out` the hash of each 16-byte value; see [`fixed`].
pub fn u128s(level: Level, seed: u64, values: &[u128], out: &mut Vec<u64>) {
    fixed(level, seed, values, out);
}

/// Replaces the hash of each row under a null by [`NULL`]. Panics when `validity` does not cover the rows.
pub fn nulls(hashes: &mut [u64], validity: &[u64]) {
    assert!(validity.len() >= words(hashes.len()), "the validity covers the rows");
    for (block, &word) in hashes.chunks_mut(64).zip(validity) {
        if word != u64::MAX {
            for (i, hash) in block.iter_mut().enumerate() {
                *hash = if word >> i & 1 != 0 { *hash } else { NULL };
            }
        }
    }
}

macro_rules! hash {
    ($($t:ty, $wide:literal, $bits:expr;)*) => {$(
        impl Hash for $t {
            const WIDE: bool = $wide;
            #[inline(always)]
            fn bits(self) -> (u64, u64) {
                $bits(self)
            }
            fn fixed(level: Level, seed: u64, values: &[Self], out: &mut Vec<u64>) {
                dispatch!(level, _s => simd::fixed(seed, values, out))
            }
            fn combine(level: Level, hashes: &mut [u64], values: &[Self]) {
                dispatch!(level, _s => simd::combine(hashes, values))
            }
        }
    )*};
}
hash!(
    i8, false, |v| (v as i64 as u64, 0);
    i16, false, |v| (v as i64 as u64, 0);
    i32, false, |v| (v as i64 as u64, 0);
    i64, false, |v| (v as u64, 0);
    u8, false, |v| (u64::from(v), 0);
    u16, false, |v| (u64::from(v), 0);
    u32, false, |v| (u64::from(v), 0);
    u64, false, |v| (v, 0);
    i128, true, |v| (v as u64, (v >> 64) as u64);
    u128, true, |v| (v as u64, (v >> 64) as u64);
    f32, false, |v| (float_bits(f64::from(v)), 0);
    f64, false, |v| (float_bits(v), 0);
);

#[inline(always)]
fn float_bits(value: f64) -> u64 {
    // Adding 0.0 turns -0.0 into 0.0 and nothing else.
    if value.is_nan() { f64::NAN.to_bits() } else { (value + 0.0).to_bits() }
}
