//! One body for every width: a block of 64 rows becomes one word.
//!
//! Source      bench `compare`: vectors and their bit masks beat the plain loop on every type and level but `i64` on
//!             AVX2, where both wait for memory.

use crate::lanes::Lanes;
use fearless_simd::{Simd, prelude::*};

#[inline(always)]
pub fn same<S: Simd, T: Lanes>(s: S, a: &[T], b: &[T], flip: u64, out: &mut [u64]) {
    pairs(a, b, out, |a, b| flip ^ word::<S, T>(|at| T::same_lanes(load(s, a, at), load(s, b, at))));
}

#[inline(always)]
pub fn less<S: Simd, T: Lanes>(s: S, a: &[T], b: &[T], flip: u64, out: &mut [u64]) {
    pairs(a, b, out, |a, b| flip ^ word::<S, T>(|at| T::less_lanes(load(s, a, at), load(s, b, at))));
}

#[inline(always)]
pub fn same_as<S: Simd, T: Lanes>(s: S, a: &[T], c: T, flip: u64, out: &mut [u64]) {
    let c = T::Vector::<S>::splat(s, c);
    blocks(a, out, |a| flip ^ word::<S, T>(|at| T::same_lanes(load(s, a, at), c)));
}

#[inline(always)]
pub fn less_than<S: Simd, T: Lanes>(s: S, a: &[T], c: T, flip: u64, out: &mut [u64]) {
    let c = T::Vector::<S>::splat(s, c);
    blocks(a, out, |a| flip ^ word::<S, T>(|at| T::less_lanes(load(s, a, at), c)));
}

#[inline(always)]
pub fn greater_than<S: Simd, T: Lanes>(s: S, a: &[T], c: T, flip: u64, out: &mut [u64]) {
    let c = T::Vector::<S>::splat(s, c);
    blocks(a, out, |a| flip ^ word::<S, T>(|at| T::less_lanes(c, load(s, a, at))));
}

#[inline(always)]
fn load<S: Simd, T: Lanes>(s: S, block: &[T; 64], at: usize) -> T::Vector<S> {
    T::Vector::<S>::from_slice(s, &block[at..at + T::Vector::<S>::LEN])
}

/// The bits of 64 rows, a vector at a time.
#[inline(always)]
fn word<S: Simd, T: Lanes>(mask: impl Fn(usize) -> <T::Vector<S> as SimdBase<S>>::Mask) -> u64 {
    let mut bits = 0;
    for at in (0..64).step_by(T::Vector::<S>::LEN) {
        bits |= mask(at).to_bitmask() << at;
    }
    bits
}

#[inline(always)]
fn blocks<T: Copy + Default>(a: &[T], out: &mut [u64], word: impl Fn(&[T; 64]) -> u64) {
    let (whole, rest) = a.as_chunks::<64>();
    for (out, a) in out.iter_mut().zip(whole) {
        *out = word(a);
    }
    if !rest.is_empty() {
        out[whole.len()] = word(&padded(rest));
    }
}

#[inline(always)]
fn pairs<T: Copy + Default>(a: &[T], b: &[T], out: &mut [u64], word: impl Fn(&[T; 64], &[T; 64]) -> u64) {
    let ((whole, rest), (b_whole, b_rest)) = (a.as_chunks::<64>(), b.as_chunks::<64>());
    for ((out, a), b) in out.iter_mut().zip(whole).zip(b_whole) {
        *out = word(a, b);
    }
    if !rest.is_empty() {
        out[whole.len()] = word(&padded(rest), &padded(b_rest));
    }
}

#[inline(always)]
fn padded<T: Copy + Default>(rest: &[T]) -> [T; 64] {
    let mut block = [T::default(); 64];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// Types without vectors: the same words from a plain loop.
pub mod plain {
    use super::{blocks, pairs};
    use crate::number::Number;

    #[inline(always)]
    pub fn same<S, T: Number>(_: S, a: &[T], b: &[T], flip: u64, out: &mut [u64]) {
        pairs(a, b, out, |a, b| flip ^ word(|i| a[i].same(b[i])));
    }

    #[inline(always)]
    pub fn less<S, T: Number>(_: S, a: &[T], b: &[T], flip: u64, out: &mut [u64]) {
        pairs(a, b, out, |a, b| flip ^ word(|i| a[i].less(b[i])));
    }

    #[inline(always)]
    pub fn same_as<S, T: Number>(_: S, a: &[T], c: T, flip: u64, out: &mut [u64]) {
        blocks(a, out, |a| flip ^ word(|i| a[i].same(c)));
    }

    #[inline(always)]
    pub fn less_than<S, T: Number>(_: S, a: &[T], c: T, flip: u64, out: &mut [u64]) {
        blocks(a, out, |a| flip ^ word(|i| a[i].less(c)));
    }

    #[inline(always)]
    pub fn greater_than<S, T: Number>(_: S, a: &[T], c: T, flip: u64, out: &mut [u64]) {
        blocks(a, out, |a| flip ^ word(|i| c.less(a[i])));
    }

    #[inline(always)]
    fn word(holds: impl Fn(usize) -> bool) -> u64 {
        (0..64).fold(0, |bits, i| bits | u64::from(holds(i)) << i)
    }
}
