//! One body for every width: 64 bytes become one word.

use crate::bitmap::tail;
use fearless_simd::{Simd, mask8x64, prelude::*, u8x64};

#[inline(always)]
pub fn bitmap<S: Simd, const N: usize>(s: S, bytes: &[u8], needles: [u8; N], out: &mut Vec<u64>) {
    let needles = needles.map(
        #[inline(always)]
        |needle| u8x64::splat(s, needle),
    );
    let (whole, rest) = bytes.as_chunks::<64>();
    out.resize(bytes.len().div_ceil(64), 0);
    for (out, block) in out.iter_mut().zip(whole) {
        *out = matches(s, block, needles).to_bitmask();
    }
    if !rest.is_empty() {
        out[whole.len()] = matches(s, &padded(rest), needles).to_bitmask() & tail(rest.len());
    }
}

#[inline(always)]
pub fn each<S: Simd, const N: usize>(s: S, bytes: &[u8], needles: [u8; N], out: &mut [Vec<u64>; N]) {
    let (whole, rest) = bytes.as_chunks::<64>();
    for out in out.iter_mut() {
        out.resize(bytes.len().div_ceil(64), 0);
    }
    for (index, block) in whole.iter().enumerate() {
        let block = u8x64::from_slice(s, block);
        for k in 0..N {
            out[k][index] = block.simd_eq(needles[k]).to_bitmask();
        }
    }
    if !rest.is_empty() {
        let block = u8x64::from_slice(s, &padded(rest));
        for k in 0..N {
            out[k][whole.len()] = block.simd_eq(needles[k]).to_bitmask() & tail(rest.len());
        }
    }
}

#[inline(always)]
pub fn json_special<S: Simd>(s: S, bytes: &[u8], out: &mut Vec<u64>) {
    let (whole, rest) = bytes.as_chunks::<64>();
    out.resize(bytes.len().div_ceil(64), 0);
    for (out, block) in out.iter_mut().zip(whole) {
        *out = special(s, block);
    }
    if !rest.is_empty() {
        out[whole.len()] = special(s, &padded(rest)) & tail(rest.len());
    }
}

#[inline(always)]
fn special<S: Simd>(s: S, block: &[u8; 64]) -> u64 {
    let block = u8x64::from_slice(s, block);
    (block.simd_eq(b'"') | block.simd_eq(b'\\') | block.simd_lt(0x20)).to_bitmask()
}

#[inline(always)]
pub fn find_any<S: Simd, const N: usize>(s: S, bytes: &[u8], needles: [u8; N]) -> Option<usize> {
    let vectors = needles.map(
        #[inline(always)]
        |needle| u8x64::splat(s, needle),
    );
    let (whole, rest) = bytes.as_chunks::<64>();
    for (index, block) in whole.iter().enumerate() {
        let word = matches(s, block, vectors).to_bitmask();
        if word != 0 {
            return Some(index * 64 + word.trailing_zeros() as usize);
        }
    }
    rest.iter().position(|byte| needles.contains(byte)).map(|at| whole.len() * 64 + at)
}

#[inline(always)]
pub fn count_byte<S: Simd>(s: S, bytes: &[u8], needle: u8) -> usize {
    let (whole, rest) = bytes.as_chunks::<64>();
    let vector = [u8x64::splat(s, needle)];
    let mut count = rest.iter().filter(|&&byte| byte == needle).count();
    for block in whole {
        count += matches(s, block, vector).to_bitmask().count_ones() as usize;
    }
    count
}

#[inline(always)]
fn matches<S: Simd, const N: usize>(s: S, block: &[u8; 64], needles: [u8x64<S>; N]) -> mask8x64<S> {
    let block = u8x64::from_slice(s, block);
    let mut found = block.simd_eq(needles[0]);
    for needle in &needles[1..] {
        found |= block.simd_eq(*needle);
    }
    found
}

#[inline(always)]
fn padded(rest: &[u8]) -> [u8; 64] {
    let mut block = [0; 64];
    block[..rest.len()].copy_from_slice(rest);
    block
}
