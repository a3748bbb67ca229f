//! VPCOMPRESS into a register, then a whole store: what lies past the kept values is overwritten by the next store.
//!
//! Source      bench `filter`.

use crate::bitmap::{count_ones, tail};
use crate::lanes::Lanes;
use fearless_simd::x86::Avx512;
use fearless_simd::{Simd, mask64x8, prelude::*, u64x8};

/// Any type with a vector of its own.
pub fn lanes<T: Lanes>(token: Avx512, values: &[T], mask: &[u64], out: &mut Vec<T>) {
    token.vectorize(
        #[inline(always)]
        || lanes_loop(token, values, mask, out),
    );
}

#[inline(always)]
fn lanes_loop<S: Simd, T: Lanes>(s: S, values: &[T], mask: &[u64], out: &mut Vec<T>) {
    let lanes = T::Vector::<S>::LEN;
    make_room(out, count_ones(mask, values.len()) + lanes);
    let mut count = 0;
    let (whole, rest) = values.as_chunks::<64>();
    for (block, &word) in whole.iter().zip(mask) {
        if word != 0 {
            keep::<S, T>(s, block, word, out, &mut count);
        }
    }
    if !rest.is_empty() {
        let mut block = [T::default(); 64];
        block[..rest.len()].copy_from_slice(rest);
        keep::<S, T>(s, &block, mask[whole.len()] & tail(rest.len()), out, &mut count);
    }
    out.truncate(count);
}

#[inline(always)]
fn keep<S: Simd, T: Lanes>(s: S, block: &[T; 64], word: u64, out: &mut [T], count: &mut usize) {
    let lanes = T::Vector::<S>::LEN;
    for at in (0..64).step_by(lanes) {
        let bits = word >> at & (u64::MAX >> (64 - lanes));
        let value = T::Vector::<S>::from_slice(s, &block[at..at + lanes]);
        let mask = <T::Vector<S> as SimdBase<S>>::Mask::from_bitmask(s, bits);
        value.compress_merge(mask, value).store_slice(&mut out[*count..*count + lanes]);
        *count += bits.count_ones() as usize;
    }
}

/// Grows to `room` values but leaves those that are there: in a reused buffer little is left to write.
fn make_room<T: Copy + Default>(out: &mut Vec<T>, room: usize) {
    if out.len() < room {
        out.resize(room, T::default());
    }
}

/// A 128-bit value, for the kernel two lanes of 64 bits.
pub trait Pair: Copy + Default {
    fn halves(self) -> [u64; 2];
    fn from_halves(halves: [u64; 2]) -> Self;
}

impl Pair for u128 {
    #[inline(always)]
    fn halves(self) -> [u64; 2] {
        [self as u64, (self >> 64) as u64]
    }
    #[inline(always)]
    fn from_halves([low, high]: [u64; 2]) -> Self {
        u128::from(high) << 64 | u128::from(low)
    }
}

impl Pair for i128 {
    #[inline(always)]
    fn halves(self) -> [u64; 2] {
        (self as u128).halves()
    }
    #[inline(always)]
    fn from_halves(halves: [u64; 2]) -> Self {
        u128::from_halves(halves) as i128
    }
}

/// The 128-bit types: four rows are eight lanes, and each mask bit counts for two.
pub fn pairs<T: Pair>(token: Avx512, values: &[T], mask: &[u64], out: &mut Vec<T>) {
    token.vectorize(
        #[inline(always)]
        || pairs_loop(token, values, mask, out),
    );
}

#[inline(always)]
fn pairs_loop<S: Simd, T: Pair>(s: S, values: &[T], mask: &[u64], out: &mut Vec<T>) {
    const ROWS: usize = 4;
    // Four mask bits to eight, each of them twice.
    const TWICE: [u8; 16] = {
        let mut table = [0; 16];
        let mut bits = 0;
        while bits < 16 {
            table[bits] = ((bits & 1) * 3 | (bits >> 1 & 1) * 12 | (bits >> 2 & 1) * 48 | (bits >> 3) * 192) as u8;
            bits += 1;
        }
        table
    };
    make_room(out, count_ones(mask, values.len()) + ROWS);
    let mut count = 0;
    for (block, rows) in values.chunks(ROWS).enumerate() {
        let first = block * ROWS;
        let bits = (mask[first / 64] >> (first % 64) & 0xF & tail(rows.len())) as usize;
        if bits == 0 {
            continue;
        }
        let mut four = [T::default(); ROWS];
        four[..rows.len()].copy_from_slice(rows);
        let [a, b, c, d] = four.map(T::halves);
        let value = u64x8::simd_from(s, [a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1]]);
        let kept = value.compress_merge(mask64x8::from_bitmask(s, u64::from(TWICE[bits])), value).to_array();
        let halves = kept.as_chunks::<2>().0;
        for (out, half) in out[count..count + ROWS].iter_mut().zip(halves) {
            *out = T::from_halves(*half);
        }
        count += bits.count_ones() as usize;
    }
    out.truncate(count);
}
