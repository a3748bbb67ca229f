//! Bytes of interest in text: structural bitmaps for the decoders, as in simdjson.
//!
//! Invariants  bit `i` stands for byte `i`; bits past the text are zero.
//! Source      Langdale and Lemire 2019; bench `scan`.

pub mod scalar;
mod simd;

use fearless_simd::{Level, dispatch};

/// Makes `out` the bitmap of the bytes equal to `a` or `b`, and leaves `words(bytes.len())` words in it.
pub fn structural2(level: Level, bytes: &[u8], a: u8, b: u8, out: &mut Vec<u64>) {
    dispatch!(level, s => simd::bitmap(s, bytes, [a, b], out))
}

/// Makes `out` the bitmap of the bytes equal to `a`, `b` or `c`; see [`structural2`].
pub fn structural3(level: Level, bytes: &[u8], a: u8, b: u8, c: u8, out: &mut Vec<u64>) {
    dispatch!(level, s => simd::bitmap(s, bytes, [a, b, c], out))
}

/// Makes `out[k]` the bitmap of the bytes equal to `needles[k]`, in one pass; see [`structural2`].
pub fn each<const N: usize>(level: Level, bytes: &[u8], needles: [u8; N], out: &mut [Vec<u64>; N]) {
    dispatch!(level, s => simd::each(s, bytes, needles, out))
}

/// Returns the index of the first byte equal to any needle.
pub fn find_any<const N: usize>(level: Level, bytes: &[u8], needles: [u8; N]) -> Option<usize> {
    dispatch!(level, s => simd::find_any(s, bytes, needles))
}

/// Counts the bytes equal to `needle`.
pub fn count_byte(level: Level, bytes: &[u8], needle: u8) -> usize {
    dispatch!(level, s => simd::count_byte(s, bytes, needle))
}
