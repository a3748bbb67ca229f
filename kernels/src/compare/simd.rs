//! One body for every width: a block of 64 rows becomes one word.
//!
//! Source      bench `compare`: vectors and their bit masks beat the plain loop (2 to 10 times on narrow types) or
//!             equal it; only `i64` on SSE2, which cannot compare 64 bits, is slower: 0.6 against 0.3 ns a row.

use crate::lanes::Lanes;
use crate::number::Number;
use fearless_simd::{Simd, prelude::*};

/// `a = b`
pub const SAME: usize = 0;
/// `a < b`
pub const LESS: usize = 1;
/// `a > b`
pub const GREATER: usize = 2;

/// Writes the words of `TEST` on each pair of rows, flipped by `flip`.
#[inline(always)]
pub fn columns<S: Simd, T: Lanes, const TEST: usize>(s: S, a: &[T], b: &[T], flip: u64, out: &mut [u64]) {
    let ((whole, rest), (b_whole, b_rest)) = (a.as_chunks::<64>(), b.as_chunks::<64>());
    for ((out, a), b) in out.iter_mut().zip(whole).zip(b_whole) {
        *out = flip ^ pairs::<S, T, TEST>(s, a, b);
    }
    if !rest.is_empty() {
        out[whole.len()] = flip ^ pairs::<S, T, TEST>(s, &padded(rest), &padded(b_rest));
    }
}

/// Writes the words of `TEST` on each row and `c`, flipped by `flip`.
#[inline(always)]
pub fn constant<S: Simd, T: Lanes, const TEST: usize>(s: S, a: &[T], c: T, flip: u64, out: &mut [u64]) {
    let c = T::Vector::<S>::splat(s, c);
    let (whole, rest) = a.as_chunks::<64>();
    for (out, a) in out.iter_mut().zip(whole) {
        *out = flip ^ against::<S, T, TEST>(s, a, c);
    }
    if !rest.is_empty() {
        out[whole.len()] = flip ^ against::<S, T, TEST>(s, &padded(rest), c);
    }
}

/// The word of `TEST` on the pairs of a block.
#[inline(always)]
pub fn pairs<S: Simd, T: Lanes, const TEST: usize>(s: S, a: &[T; 64], b: &[T; 64]) -> u64 {
    let mut bits = 0;
    for at in (0..64).step_by(T::Vector::<S>::LEN) {
        bits |= test::<S, T, TEST>(load(s, a, at), load(s, b, at)) << at;
    }
    bits
}

/// The word of `TEST` on the rows of a block and `c`.
#[inline(always)]
pub fn against<S: Simd, T: Lanes, const TEST: usize>(s: S, a: &[T; 64], c: T::Vector<S>) -> u64 {
    let mut bits = 0;
    for at in (0..64).step_by(T::Vector::<S>::LEN) {
        bits |= test::<S, T, TEST>(load(s, a, at), c) << at;
    }
    bits
}

/// One bit per lane.
#[inline(always)]
pub fn test<S: Simd, T: Lanes, const TEST: usize>(a: T::Vector<S>, b: T::Vector<S>) -> u64 {
    match TEST {
        SAME => T::same_lanes::<S>(a, b).to_bitmask(),
        LESS => T::less_lanes::<S>(a, b).to_bitmask(),
        _ => T::less_lanes::<S>(b, a).to_bitmask(),
    }
}

#[inline(always)]
fn load<S: Simd, T: Lanes>(s: S, block: &[T; 64], at: usize) -> T::Vector<S> {
    T::Vector::<S>::from_slice(s, &block[at..at + T::Vector::<S>::LEN])
}

#[inline(always)]
fn padded<T: Copy + Default>(rest: &[T]) -> [T; 64] {
    let mut block = [T::default(); 64];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// Types without vectors: the same words from a plain loop.
pub mod plain {
    use super::{GREATER, LESS, Number, SAME};

    /// See [`super::columns`].
    #[inline(always)]
    pub fn columns<S, T: Number, const TEST: usize>(_: S, a: &[T], b: &[T], flip: u64, out: &mut [u64]) {
        for ((out, a), b) in out.iter_mut().zip(a.chunks(64)).zip(b.chunks(64)) {
            *out = flip ^ a.iter().zip(b).rev().fold(0, |bits, (&a, &b)| bits << 1 | u64::from(test::<T, TEST>(a, b)));
        }
    }

    /// See [`super::constant`].
    #[inline(always)]
    pub fn constant<S, T: Number, const TEST: usize>(_: S, a: &[T], c: T, flip: u64, out: &mut [u64]) {
        for (out, a) in out.iter_mut().zip(a.chunks(64)) {
            *out = flip ^ a.iter().rev().fold(0, |bits, &a| bits << 1 | u64::from(test::<T, TEST>(a, c)));
        }
    }

    #[inline(always)]
    fn test<T: Number, const TEST: usize>(a: T, b: T) -> bool {
        match TEST {
            SAME => a.same(b),
            LESS => a.less(b),
            GREATER => b.less(a),
            _ => unreachable!("three tests"),
        }
    }
}
