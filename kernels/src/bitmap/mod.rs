//! One bit per row: masks, validity, and the step from a mask to row numbers.
//!
//! Invariants  bit `i` is bit `i % 64` of word `i / 64`; bits past the last row are written as zero, ignored on reading.

mod avx512;
pub mod scalar;
mod simd;

use fearless_simd::{Level, dispatch};

/// Returns how many words hold `rows` bits.
#[inline]
pub const fn words(rows: usize) -> usize {
    rows.div_ceil(64)
}

/// Returns the mask of the bits in use in the last word of `rows` bits (all ones when the word is full).
#[inline]
pub const fn tail(rows: usize) -> u64 {
    if rows.is_multiple_of(64) { u64::MAX } else { (1 << (rows % 64)) - 1 }
}

/// Writes `a AND b`, word by word. Panics on unequal lengths.
pub fn and(level: Level, a: &[u64], b: &[u64], out: &mut [u64]) {
    dispatch!(level, _s => simd::combine(a, b, out, |a, b| a & b))
}

/// Writes `a OR b`, word by word. Panics on unequal lengths.
pub fn or(level: Level, a: &[u64], b: &[u64], out: &mut [u64]) {
    dispatch!(level, _s => simd::combine(a, b, out, |a, b| a | b))
}

/// Writes `a AND NOT b`, word by word. Panics on unequal lengths.
pub fn and_not(level: Level, a: &[u64], b: &[u64], out: &mut [u64]) {
    dispatch!(level, _s => simd::combine(a, b, out, |a, b| a & !b))
}

/// Writes `NOT a` for the first `rows` bits and zero behind them. Panics when a slice is not `words(rows)` long.
pub fn not(level: Level, a: &[u64], rows: usize, out: &mut [u64]) {
    assert_eq!(a.len(), words(rows), "the bitmap covers the rows");
    dispatch!(level, _s => simd::combine(a, a, out, |a, _| !a));
    trim(out, rows);
}

/// Keeps in `acc` only the bits that `b` has too. Panics on unequal lengths.
pub fn and_with(level: Level, acc: &mut [u64], b: &[u64]) {
    dispatch!(level, _s => simd::combine_with(acc, b, |a, b| a & b))
}

/// Sets in `acc` also the bits of `b`. Panics on unequal lengths.
pub fn or_with(level: Level, acc: &mut [u64], b: &[u64]) {
    dispatch!(level, _s => simd::combine_with(acc, b, |a, b| a | b))
}

/// Clears the bits past the last row.
#[inline]
pub fn trim(words: &mut [u64], rows: usize) {
    if let (false, Some(last)) = (rows.is_multiple_of(64), words.last_mut()) {
        *last &= tail(rows);
    }
}

/// Counts the set bits among the first `rows`.
pub fn count_ones(words: &[u64], rows: usize) -> usize {
    let full = rows / 64;
    let whole: usize = words[..full].iter().map(|w| w.count_ones() as usize).sum();
    if rows.is_multiple_of(64) { whole } else { whole + (words[full] & tail(rows)).count_ones() as usize }
}

/// Returns whether each of the first `rows` bits is set (true for no rows).
pub fn all_set(words: &[u64], rows: usize) -> bool {
    let full = rows / 64;
    words[..full].iter().all(|&w| w == u64::MAX) && (rows.is_multiple_of(64) || words[full] & tail(rows) == tail(rows))
}

/// Returns whether none of the first `rows` bits is set (true for no rows).
pub fn none_set(words: &[u64], rows: usize) -> bool {
    let full = rows / 64;
    words[..full].iter().all(|&w| w == 0) && (rows.is_multiple_of(64) || words[full] & tail(rows) == 0)
}

/// Returns bit `i`.
#[inline]
pub fn get(words: &[u64], i: usize) -> bool {
    (words[i / 64] >> (i % 64)) & 1 != 0
}

/// Sets bit `i`.
#[inline]
pub fn set(words: &mut [u64], i: usize) {
    words[i / 64] |= 1 << (i % 64);
}

/// Clears bit `i`.
#[inline]
pub fn clear(words: &mut [u64], i: usize) {
    words[i / 64] &= !(1 << (i % 64));
}

/// Makes `out` a bitmap of `rows` equal bits.
pub fn fill(out: &mut Vec<u64>, rows: usize, bit: bool) {
    out.clear();
    out.resize(words(rows), if bit { u64::MAX } else { 0 });
    trim(out, rows);
}

/// Makes `out` the bitmap of `rows` bits that start at bit `bit_offset` of `bytes` (Arrow's form, least bit first).
///
/// Panics when `bytes` is too short.
pub fn from_bytes(bytes: &[u8], bit_offset: usize, rows: usize, out: &mut Vec<u64>) {
    let shift = bit_offset % 8;
    let bytes = &bytes[bit_offset / 8..(bit_offset + rows).div_ceil(8)];
    let (whole, rest) = bytes.as_chunks::<8>();
    out.clear();
    out.reserve(words(rows) + 1);
    out.extend(whole.iter().map(|chunk| u64::from_le_bytes(*chunk)));
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        out.push(u64::from_le_bytes(last));
    }
    if shift > 0 {
        for i in 0..out.len() {
            let next = out.get(i + 1).copied().unwrap_or(0);
            out[i] = out[i] >> shift | next << (64 - shift);
        }
    }
    out.truncate(words(rows));
    trim(out, rows);
}

/// Makes `out` the row numbers of the set bits, ascending.
///
/// Shapes: `words` holds at least `words(rows)` words; `rows` is at most 65,536. Panics otherwise.
pub fn to_selection(level: Level, words: &[u64], rows: usize, out: &mut Vec<u16>) {
    assert!(rows <= 1 << 16, "a selection numbers at most 65,536 rows");
    let words = &words[..self::words(rows)];
    out.clear();
    #[cfg(target_arch = "x86_64")]
    if let Some(token) = level.as_avx512() {
        return avx512::to_selection(token, words, rows, out);
    }
    dispatch!(level, _s => simd::to_selection(words, rows, out))
}

/// Puts the places of the set bits of `words` behind what `out` holds, ascending: bit `i` as `base + i`.
///
/// Panics when places do not fit `u32`.
pub fn positions(level: Level, words: &[u64], base: u32, out: &mut Vec<u32>) {
    let bits = u32::try_from(words.len() * 64).expect("places fit 32 bits");
    assert!(base.checked_add(bits).is_some(), "places fit 32 bits");
    #[cfg(target_arch = "x86_64")]
    if let Some(token) = level.as_avx512() {
        return avx512::positions(token, words, base, out);
    }
    dispatch!(level, _s => simd::positions(words, base, out))
}

/// Puts behind what `out` holds, for each bit of `some`, how many bits of `words` come before it, and `base` more.
///
/// Panics on unequal lengths, or when ranks do not fit `u32`.
pub fn ranks(level: Level, words: &[u64], some: &[u64], base: u32, out: &mut Vec<u32>) {
    assert_eq!(words.len(), some.len(), "bitmaps of one length");
    let bits = u32::try_from(words.len() * 64).expect("ranks fit 32 bits");
    assert!(base.checked_add(bits).is_some(), "ranks fit 32 bits");
    dispatch!(level, _s => simd::ranks(words, some, base, out))
}

/// Makes `out` the bits at the listed rows, in the order of the list.
///
/// Panics when a row lies past the last word.
pub fn gather(words: &[u64], rows_idx: &[u16], out: &mut Vec<u64>) {
    out.clear();
    out.extend(rows_idx.chunks(64).map(|rows| {
        rows.iter().enumerate().fold(0, |word, (i, &row)| word | u64::from(get(words, usize::from(row))) << i)
    }));
}

/// Makes `out` the bits of `words` at the rows where `mask` is set, moved together, and returns how many there are.
///
/// Source: PEXT where the CPU has it, Hacker's Delight 7-4 elsewhere.
pub fn compress(words: &[u64], mask: &[u64], rows: usize, out: &mut Vec<u64>) -> usize {
    out.clear();
    #[cfg(target_arch = "x86_64")]
    if let Some(token) = crate::level::detect().as_avx2() {
        return avx512::compress(token, words, mask, rows, out);
    }
    simd::compress(words, mask, rows, out, simd::extract)
}

/// Adds `rows` bits of `words` behind the `out_rows` bits of `out`, and counts them in `out_rows`.
///
/// Panics when `out` is not `words(out_rows)` long.
pub fn append(out: &mut Vec<u64>, out_rows: &mut usize, words: &[u64], rows: usize) {
    assert_eq!(out.len(), self::words(*out_rows), "the bitmap covers its rows");
    let shift = *out_rows % 64;
    let source = &words[..self::words(rows)];
    if shift == 0 {
        out.extend_from_slice(source);
    } else {
        out.reserve(source.len());
        for &word in source {
            *out.last_mut().expect("a shift means a begun word") |= word << shift;
            out.push(word >> (64 - shift));
        }
    }
    *out_rows += rows;
    out.truncate(self::words(*out_rows));
    trim(out, *out_rows);
}
