//! The 128-bit types, which have no vectors of their own: VPCOMPRESSQ on pairs of 64-bit lanes.
//!
//! Source      bench `filter/u128`.

use super::simd::{THIN_LANES, keep_thin, make_room};
use crate::bitmap::{count_ones, tail};
use crate::number::Number;
use fearless_simd::{Simd, mask64x8, prelude::*, u64x8};

/// A type of 128 bits, for this kernel two lanes of 64 bits.
pub trait Pair: Number {}
impl Pair for i128 {}
impl Pair for u128 {}

const _: () = assert!(align_of::<u128>() >= align_of::<u64>() && align_of::<i128>() >= align_of::<u64>());

/// Four rows are eight lanes, and each mask bit counts for two.
#[inline(always)]
pub fn pairs<S: Simd, T: Pair>(s: S, values: &[T], mask: &[u64], out: &mut Vec<T>) {
    const ROWS: usize = 4;
    make_room(out, count_ones(mask, values.len()) + ROWS);
    // SAFETY: `Pair` is 16 bytes without padding, aligned at least like `u64`, and any bits are valid for both.
    let halves = unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u64>(), values.len() * 2) };
    // SAFETY: as above; `out` is not used while this borrow of it lives.
    let kept = unsafe { std::slice::from_raw_parts_mut(out.as_mut_ptr().cast::<u64>(), out.len() * 2) };
    let mut count = 0;
    for ((rows, halves), &word) in values.chunks(64).zip(halves.chunks(128)).zip(mask) {
        let word = word & tail(rows.len());
        if word.count_ones() <= THIN_LANES || rows.len() < 64 {
            keep_thin(halves.as_chunks::<2>().0, word, kept.as_chunks_mut::<2>().0, &mut count);
            continue;
        }
        for (at, eight) in halves.as_chunks::<{ ROWS * 2 }>().0.iter().enumerate() {
            let bits = (word >> (at * ROWS) & 0xF) as usize;
            let value = u64x8::from_slice(s, eight);
            let mask = mask64x8::from_bitmask(s, u64::from(TWICE[bits]));
            value.compress_merge(mask, value).store_slice(&mut kept[count * 2..(count + ROWS) * 2]);
            count += bits.count_ones() as usize;
        }
    }
    out.truncate(count);
}

/// Four mask bits to eight, each of them twice.
const TWICE: [u8; 16] = {
    let mut table = [0; 16];
    let mut bits = 0;
    while bits < 16 {
        let mut bit = 0;
        while bit < 4 {
            table[bits] |= ((bits >> bit) as u8 & 1) * (3 << (2 * bit));
            bit += 1;
        }
        bits += 1;
    }
    table
};
