//! The plain truth, a bit at a time.

use super::{get, set, words};

/// Writes `op` of each pair of bits, see [`super::and`].
pub fn combine(a: &[u64], b: &[u64], rows: usize, out: &mut [u64], op: impl Fn(bool, bool) -> bool) {
    out.fill(0);
    (0..rows).filter(|&i| op(get(a, i), get(b, i))).for_each(|i| set(out, i));
}

/// See [`super::count_ones`].
pub fn count_ones(words: &[u64], rows: usize) -> usize {
    (0..rows).filter(|&i| get(words, i)).count()
}

/// See [`super::from_bytes`].
pub fn from_bytes(bytes: &[u8], bit_offset: usize, rows: usize, out: &mut Vec<u64>) {
    let bit = |i: usize| bytes[i / 8] >> (i % 8) & 1 != 0;
    *out = vec![0; words(rows)];
    (0..rows).filter(|i| bit(bit_offset + i)).for_each(|i| set(out, i));
}

/// See [`super::to_selection`].
pub fn to_selection(words: &[u64], rows: usize, out: &mut Vec<u16>) {
    *out = (0..rows).filter(|&i| get(words, i)).map(|i| i as u16).collect();
}

/// See [`super::positions`].
pub fn positions(words: &[u64], base: u32, out: &mut Vec<u32>) {
    out.extend((0..words.len() * 64).filter(|&i| get(words, i)).map(|i| base + i as u32));
}

/// See [`super::ranks`].
pub fn ranks(words: &[u64], some: &[u64], base: u32, out: &mut Vec<u32>) {
    let before = |i: usize| (0..i).filter(|&i| get(words, i)).count() as u32;
    out.extend((0..words.len() * 64).filter(|&i| get(some, i)).map(|i| base + before(i)));
}

/// See [`super::gather`].
pub fn gather(words: &[u64], rows_idx: &[u16], out: &mut Vec<u64>) {
    *out = vec![0; self::words(rows_idx.len())];
    (0..rows_idx.len()).filter(|&i| get(words, rows_idx[i].into())).for_each(|i| set(out, i));
}

/// See [`super::compress`].
pub fn compress(words: &[u64], mask: &[u64], rows: usize, out: &mut Vec<u64>) -> usize {
    let kept: Vec<bool> = (0..rows).filter(|&i| get(mask, i)).map(|i| get(words, i)).collect();
    *out = vec![0; self::words(kept.len())];
    (0..kept.len()).filter(|&i| kept[i]).for_each(|i| set(out, i));
    kept.len()
}
