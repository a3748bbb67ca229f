//! Where one instruction does it: VPCOMPRESSW for positions, PEXT (from AVX2 on) for packing bits.
//!
//! Source      bench `bitmap/to-selection`, `bitmap/compress`.

#![cfg(target_arch = "x86_64")]

use super::tail;
use fearless_simd::{kernel, mask16x32, prelude::*, u16x32};
use std::arch::x86_64::_pext_u64;

kernel! {
    /// See [`super::to_selection`].
    pub fn to_selection(token: Avx512, words: &[u64], rows: usize, out: &mut Vec<u16>) {
        const LANES: usize = 32;
        let positions = u16x32::from_fn(token, |i| i as u16);
        // Room for every row and one vector of slack: each store writes a whole vector, then moves on by what counted.
        out.resize(super::count_ones(words, rows) + LANES, 0);
        let mut count = 0;
        for (w, &word) in words.iter().enumerate() {
            let word = if w + 1 == words.len() { word & tail(rows) } else { word };
            for half in 0..2u32 {
                let bits = (word >> (32 * half)) as u32;
                let mask = mask16x32::from_bitmask(token, u64::from(bits));
                let rows_here = positions + (w as u32 * 64 + half * 32) as u16;
                rows_here.compress_merge(mask, rows_here).store_slice(&mut out[count..count + LANES]);
                count += bits.count_ones() as usize;
            }
        }
        out.truncate(count);
    }
}

kernel! {
    /// See [`super::compress`].
    pub fn compress(token: Avx2, words: &[u64], mask: &[u64], rows: usize, out: &mut Vec<u64>) -> usize {
        let _ = token;
        super::simd::compress(words, mask, rows, out, #[inline(always)] |bits, mask| _pext_u64(bits, mask))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn extract_without_pext_agrees() {
        let Some(token) = crate::level::detect().as_avx2() else { return };
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for round in 0..1000 {
            let words: Vec<u64> = (0..4).map(|_| next()).collect();
            let mask: Vec<u64> = (0..4).map(|_| next() | if round % 3 == 0 { next() } else { 0 }).collect();
            let (mut a, mut b) = (Vec::new(), Vec::new());
            let counts = (
                super::compress(token, &words, &mask, 200, &mut a),
                crate::bitmap::simd::compress(&words, &mask, 200, &mut b, crate::bitmap::simd::extract),
            );
            assert_eq!((counts.0, a), (counts.1, b), "round {round}");
        }
    }
}
