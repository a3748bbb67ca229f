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
        *out = special(u8x64::from_slice(s, block));
    }
    if !rest.is_empty() {
        out[whole.len()] = special(u8x64::from_slice(s, &padded(rest))) & tail(rest.len());
    }
}

#[inline(always)]
pub fn json_marks<S: Simd>(s: S, bytes: &[u8], specials: &mut Vec<u64>, lines: &mut Vec<u64>) {
    let (whole, rest) = bytes.as_chunks::<64>();
    specials.resize(bytes.len().div_ceil(64), 0);
    lines.resize(bytes.len().div_ceil(64), 0);
    for ((specials, lines), block) in specials.iter_mut().zip(lines.iter_mut()).zip(whole) {
        let block = u8x64::from_slice(s, block);
        (*specials, *lines) = (special(block), block.simd_eq(b'\n').to_bitmask());
    }
    if !rest.is_empty() {
        let block = u8x64::from_slice(s, &padded(rest));
        specials[whole.len()] = special(block) & tail(rest.len());
        lines[whole.len()] = block.simd_eq(b'\n').to_bitmask() & tail(rest.len());
    }
}

#[inline(always)]
pub fn csv_marks<S: Simd>(s: S, bytes: &[u8], marks: [u8; 2], ends: &mut Vec<u64>, lines: &mut Vec<u64>) -> bool {
    let (whole, rest) = bytes.as_chunks::<64>();
    let [delimiter, quote] = marks;
    ends.resize(bytes.len().div_ceil(64), 0);
    lines.resize(bytes.len().div_ceil(64), 0);
    let mut quotes = 0;
    for ((ends, lines), block) in ends.iter_mut().zip(lines.iter_mut()).zip(whole) {
        let block = u8x64::from_slice(s, block);
        let newlines = block.simd_eq(b'\n').to_bitmask();
        (*ends, *lines) = (block.simd_eq(delimiter).to_bitmask() | newlines, newlines);
        quotes |= block.simd_eq(quote).to_bitmask();
    }
    if !rest.is_empty() {
        let block = u8x64::from_slice(s, &padded(rest));
        let newlines = block.simd_eq(b'\n').to_bitmask() & tail(rest.len());
        ends[whole.len()] = block.simd_eq(delimiter).to_bitmask() & tail(rest.len()) | newlines;
        lines[whole.len()] = newlines;
        quotes |= block.simd_eq(quote).to_bitmask() & tail(rest.len());
    }
    quotes != 0
}

/// Blocks of ASCII are passed by; others are looked at by the standard library, each from where the one before ended.
#[inline(always)]
pub fn is_utf8<S: Simd>(s: S, bytes: &[u8]) -> bool {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some(block) = rest.first_chunk::<64>()
            && u8x64::from_slice(s, block).simd_ge(0x80).to_bitmask() == 0
        {
            at += 64;
            continue;
        }
        let length = rest.len().min(64);
        match std::str::from_utf8(&rest[..length]) {
            Ok(_) => at += length,
            // A character that goes on behind the block is looked at again with what follows it.
            Err(error) if error.error_len().is_none() && length < rest.len() => at += error.valid_up_to(),
            Err(_) => return false,
        }
    }
    true
}

#[inline(always)]
fn special<S: Simd>(block: u8x64<S>) -> u64 {
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
