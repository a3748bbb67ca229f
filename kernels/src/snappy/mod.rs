//! Blocks that Snappy compressed: literals, and copies of what was written before.
//!
//! Invariants  a block that is damaged, or stands for another number of bytes than its reader was told, gives `false`
//!             and nothing to rely on; no length that a block names is believed before it is checked.
//! Source      Snappy's `format_description.txt`; bench `snappy`; beside the `snap` crate on columns of Parquet in
//!             `benches/record/epyc-9004-2vcpu/2026-11-26-decode.md`.

pub mod scalar;
mod unchecked;

/// Bytes that the shortest element of a block can stand for: 64, copied by three.
const GROWTH_MAX: usize = 22;

/// Adds the `size` bytes that a block stands for to `out`; whether it stands for so many.
pub fn append(block: &[u8], size: usize, out: &mut Vec<u8>) -> bool {
    let Some((told, at)) = told_size(block) else { return false };
    // What is asked for is checked before memory is taken for it.
    if told != size as u64 || size > block.len().saturating_mul(GROWTH_MAX) {
        return false;
    }
    let start = out.len();
    match unchecked::append(&block[at..], size, out) {
        Some(done) => scalar::append(&block[at + done..], start, start + size, out),
        None => false,
    }
}

/// The number of bytes that a block says it stands for, and where its elements begin.
fn told_size(block: &[u8]) -> Option<(u64, usize)> {
    let mut size = 0;
    for (at, &byte) in block.iter().take(5).enumerate() {
        size |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((size, at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests;
