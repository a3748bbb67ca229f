//! Numbers of a few bits each, one after the other, to words: the codes of Parquet's dictionary pages.
//!
//! Invariants  bits are counted from the lowest one of the first byte; a number's lowest bit comes first.
//! Source      Parquet's encodings, "RLE / bit-packing hybrid".

pub mod scalar;

use fearless_simd::{Level, dispatch};

/// Numbers that are unpacked together: they end at a byte whatever their width.
const BLOCK: usize = 32;

/// Writes the numbers from the `first`th on to `out`, each of `bits` bits.
///
/// Shapes: `bytes` hold all of them. Panics otherwise, or when `bits` is above 32.
pub fn unpack(level: Level, bytes: &[u8], bits: u32, first: usize, out: &mut [u32]) {
    assert!(bits <= 32, "a number fits a word");
    assert!(bytes.len() * 8 >= (first + out.len()) * bits as usize, "the bytes hold the numbers");
    // One by one up to where a byte begins, then in blocks, then one by one.
    let before = first.next_multiple_of(8).saturating_sub(first).min(out.len());
    let (single, rest) = out.split_at_mut(before);
    one_by_one(bytes, bits, first, single);
    let from = &bytes[((first + before) * bits as usize / 8).min(bytes.len())..];
    let (blocks, tail) = rest.as_chunks_mut::<BLOCK>();
    let done = blocks.len() * BLOCK;
    macro_rules! by_width {
        ($($width:literal),*) => {
            match bits {
                0 => blocks.iter_mut().for_each(|block| block.fill(0)),
                $($width => dispatch!(level, _s => whole::<$width, { $width * 4 }>(from, blocks)),)*
                _ => one_by_one(from, bits, 0, blocks.as_flattened_mut()),
            }
        };
    }
    by_width!(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20);
    one_by_one(from, bits, done, tail);
}

/// Blocks of a width that is known here: all shifts are constants.
#[inline(always)]
fn whole<const WIDTH: usize, const BYTES: usize>(bytes: &[u8], out: &mut [[u32; BLOCK]]) {
    let mask = (1u32 << WIDTH) - 1;
    for (block, out) in bytes.as_chunks::<BYTES>().0.iter().zip(out) {
        let words = block.as_chunks::<4>().0;
        for (at, out) in out.iter_mut().enumerate() {
            let (word, shift) = (at * WIDTH / 32, at * WIDTH % 32);
            let low = u32::from_le_bytes(words[word]) >> shift;
            let high = if shift + WIDTH > 32 { u32::from_le_bytes(words[word + 1]) << (32 - shift) } else { 0 };
            *out = (low | high) & mask;
        }
    }
}

fn one_by_one(bytes: &[u8], bits: u32, first: usize, out: &mut [u32]) {
    let mask = (1u64 << bits) - 1;
    for (at, out) in out.iter_mut().enumerate() {
        let start = (first + at) * bits as usize;
        let ahead = &bytes[(start / 8).min(bytes.len())..];
        let word = match ahead.first_chunk::<8>() {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => ahead.iter().rev().fold(0, |word, &byte| word << 8 | byte as u64),
        };
        *out = (word >> (start % 8) & mask) as u32;
    }
}
