//! VPCOMPRESS into a register, then a whole store: what lies past the kept values is overwritten by the next store.
//!
//! Source      bench `filter`.

use crate::bitmap::{count_ones, tail};
use crate::lanes::Lanes;
use crate::number::Number;
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

/// Up to this many selected rows of 64 are moved one by one (bench `filter/i64/1-in-64`).
const THIN: u32 = 2;

#[inline(always)]
fn keep<S: Simd, T: Lanes>(s: S, block: &[T; 64], word: u64, out: &mut [T], count: &mut usize) {
    let lanes = T::Vector::<S>::LEN;
    if word.count_ones() <= THIN {
        let mut word = word;
        while word != 0 {
            out[*count] = block[word.trailing_zeros() as usize];
            *count += 1;
            word &= word - 1;
        }
        return;
    }
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

/// A type of 128 bits, for this kernel two lanes of 64 bits.
pub trait Pair: Number {}
impl Pair for i128 {}
impl Pair for u128 {}

/// The 128-bit types: four rows are eight lanes, and each mask bit counts for two.
pub fn pairs<T: Pair>(token: Avx512, values: &[T], mask: &[u64], out: &mut Vec<T>) {
    token.vectorize(
        #[inline(always)]
        || pairs_loop(token, values, mask, out),
    );
}

const _: () = assert!(align_of::<u128>() >= align_of::<u64>() && align_of::<i128>() >= align_of::<u64>());

#[inline(always)]
fn pairs_loop<S: Simd, T: Pair>(s: S, values: &[T], mask: &[u64], out: &mut Vec<T>) {
    const ROWS: usize = 4;
    make_room(out, count_ones(mask, values.len()) + ROWS);
    // SAFETY: `Pair` is 16 bytes without padding, aligned at least like `u64`, and any bits are valid for both.
    let halves = unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u64>(), values.len() * 2) };
    // SAFETY: as above; `out` is not used while this borrow of it lives.
    let kept = unsafe { std::slice::from_raw_parts_mut(out.as_mut_ptr().cast::<u64>(), out.len() * 2) };
    let mut count = 0;
    for (block, eight) in halves.as_chunks::<{ ROWS * 2 }>().0.iter().enumerate() {
        let row = block * ROWS;
        let bits = (mask[row / 64] >> (row % 64) & 0xF) as usize;
        if bits != 0 {
            let value = u64x8::from_slice(s, eight);
            let mask = mask64x8::from_bitmask(s, u64::from(TWICE[bits]));
            value.compress_merge(mask, value).store_slice(&mut kept[count * 2..(count + ROWS) * 2]);
            count += bits.count_ones() as usize;
        }
    }
    for row in values.len() / ROWS * ROWS..values.len() {
        if mask[row / 64] >> (row % 64) & 1 != 0 {
            out[count] = values[row];
            count += 1;
        }
    }
    out.truncate(count);
}

/// Four mask bits to eight, each of them twice.
const TWICE: [u8; 16] = {
    let mut table = [0; 16];
    let mut bits = 0;
    while bits < 16 {
        table[bits] = ((bits & 1) * 3 | (bits >> 1 & 1) * 12 | (bits >> 2 & 1) * 48 | (bits >> 3) * 192) as u8;
        bits += 1;
    }
    table
};
