//! Two bodies: one for vectors that compress (AVX-512, and AVX2 for 4 and 8 bytes), and a plain one.
//!
//! Source      bench `filter`: on AVX2 vectors beat the plain body 2 times on `i64` and 6 times on `i32`; 1 and 2 bytes
//!             were not tried there.

use crate::bitmap::{count_ones, tail};
use crate::lanes::Lanes;
use fearless_simd::{Simd, prelude::*};

/// Up to this many selected rows of 64 are walked one by one; about where the two ways cost the same, not tuned.
const THIN: u32 = 12;

/// A full word is a copy, a thin one is walked bit by bit, any other is written without a branch, where the next row
/// overwrites an unselected one.
#[inline(always)]
pub fn compress<T: Copy + Default>(values: &[T], mask: &[u64], out: &mut Vec<T>) {
    out.clear();
    let mut kept = [T::default(); 64];
    for (block, &word) in values.chunks(64).zip(mask) {
        let mut word = word & tail(block.len());
        let count = word.count_ones();
        if count == 64 {
            out.extend_from_slice(block);
        } else if count <= THIN {
            while word != 0 {
                out.push(block[word.trailing_zeros() as usize]);
                word &= word - 1;
            }
        } else {
            let mut at = 0;
            for (i, &value) in block.iter().enumerate() {
                kept[at & 63] = value;
                at += (word >> i & 1) as usize;
            }
            out.extend_from_slice(&kept[..at]);
        }
    }
}

/// Any type with a vector of its own, where vectors compress: into a register, then a whole store; what lies past the
/// kept values is overwritten by the next store.
#[inline(always)]
pub fn lanes<S: Simd, T: Lanes>(s: S, values: &[T], mask: &[u64], out: &mut Vec<T>) {
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
pub const THIN_LANES: u32 = 2;

#[inline(always)]
fn keep<S: Simd, T: Lanes>(s: S, block: &[T; 64], word: u64, out: &mut [T], count: &mut usize) {
    let lanes = T::Vector::<S>::LEN;
    if word.count_ones() <= THIN_LANES {
        return keep_thin(block, word, out, count);
    }
    for at in (0..64).step_by(lanes) {
        let bits = word >> at & (u64::MAX >> (64 - lanes));
        let value = T::Vector::<S>::from_slice(s, &block[at..at + lanes]);
        let mask = <T::Vector<S> as SimdBase<S>>::Mask::from_bitmask(s, bits);
        value.compress_merge(mask, value).store_slice(&mut out[*count..*count + lanes]);
        *count += bits.count_ones() as usize;
    }
}

/// Moves the values under `word` one by one.
#[inline(always)]
pub fn keep_thin<T: Copy>(block: &[T], mut word: u64, out: &mut [T], count: &mut usize) {
    while word != 0 {
        out[*count] = block[word.trailing_zeros() as usize];
        *count += 1;
        word &= word - 1;
    }
}

/// Grows to `room` values but leaves those that are there: in a reused buffer little is left to write.
pub fn make_room<T: Copy + Default>(out: &mut Vec<T>, room: usize) {
    if out.len() < room {
        out.resize(room, T::default());
    }
}
