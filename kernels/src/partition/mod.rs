//! Hashes to a selection per partition.
//!
//! Invariants  each row is in exactly one list, and each list ascends. The partition is taken from the high bits of the
//!             hash, so that a table within a partition still has the low bits to itself.
//! Source      multiply-shift instead of a division: Lemire 2016.

pub mod scalar;
mod unchecked;

/// Returns the partition of a hash.
#[inline(always)]
pub const fn of(hash: u64, partitions: usize) -> usize {
    (((hash >> 32) * partitions as u64) >> 32) as usize
}

/// Makes `out[p]` the rows that belong to partition `p`.
///
/// Shapes: at most 65,536 hashes; `out` becomes `partitions` lists and keeps the buffers of those it had. Panics for
/// no partitions, more than 65,536, or too many rows.
pub fn by_hash(hashes: &[u64], partitions: usize, out: &mut Vec<Vec<u16>>) {
    assert!(hashes.len() <= 1 << 16, "a selection numbers at most 65,536 rows");
    assert!((1..=1 << 16).contains(&partitions), "from 1 to 65,536 partitions");
    out.resize_with(partitions, Vec::new);
    if let [all] = &mut out[..] {
        all.clear();
        all.extend((0..hashes.len()).map(|row| row as u16));
        return;
    }
    if partitions <= unchecked::PARTITIONS_MAX {
        return unchecked::by_hash(hashes, out);
    }
    for rows in out.iter_mut() {
        rows.clear();
        // A quarter more than an even share, so that growing is rare.
        rows.reserve(hashes.len() / partitions * 5 / 4);
    }
    for (row, &hash) in hashes.iter().enumerate() {
        out[of(hash, partitions)].push(row as u16);
    }
}
