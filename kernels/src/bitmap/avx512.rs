//! Where one instruction does it: VPCOMPRESSW and VPCOMPRESSB for positions, PEXT (from AVX2 on) for packing bits.
//!
//! Source      bench `bitmap/to-selection`, `bitmap/positions`, `bitmap/compress`.

#![cfg(target_arch = "x86_64")]

use super::tail;
use fearless_simd::{kernel, mask16x32, prelude::*, u8x64, u16x32, u32x16};
use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_castsi512_si128, _mm512_cvtepu8_epi32, _mm512_extracti32x4_epi32,
    _mm512_maskz_compress_epi8, _mm512_set1_epi32, _pext_u64,
};

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
    /// See [`super::positions`]: a word's places are bytes that one instruction moves together, sixteen of them are widened
    /// at a time.
    pub fn positions(token: Avx512, words: &[u64], base: u32, out: &mut Vec<u32>) {
        const LANES: usize = 16;
        let bytes: __m512i = u8x64::from_fn(token, |i| i as u8).into();
        let start = out.len();
        let count: usize = words.iter().map(|word| word.count_ones() as usize).sum();
        // Slack for two vectors: each store writes a whole one, then moves on by what counted.
        out.resize(start + count + 2 * LANES, 0);
        let mut at = start;
        for (index, &word) in words.iter().enumerate() {
            let places = _mm512_maskz_compress_epi8(word, bytes);
            let base = _mm512_set1_epi32((base + index as u32 * 64) as i32);
            let bits = word.count_ones() as usize;
            let mut store = |step: usize, quarter| {
                let wide: u32x16<_> = _mm512_add_epi32(_mm512_cvtepu8_epi32(quarter), base).simd_into(token);
                wide.store_slice(&mut out[at + step..at + step + LANES]);
            };
            // Few words have more than 16, and a word with none costs less than asking whether it has.
            store(0, _mm512_castsi512_si128(places));
            if bits > LANES {
                store(LANES, _mm512_extracti32x4_epi32::<1>(places));
                if bits > 2 * LANES {
                    store(2 * LANES, _mm512_extracti32x4_epi32::<2>(places));
                    store(3 * LANES, _mm512_extracti32x4_epi32::<3>(places));
                }
            }
            at += bits;
        }
        out.truncate(start + count);
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
