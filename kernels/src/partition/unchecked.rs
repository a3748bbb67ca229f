//! The same for few partitions: every list has room for all rows, so that no row asks for room.

use std::mem::MaybeUninit;

use super::of;

/// Lists of so many partitions stay in the CPU's own cache.
pub(super) const PARTITIONS_MAX: usize = 16;

/// Makes each list of `out` the rows of its partition.
pub(super) fn by_hash(hashes: &[u64], out: &mut [Vec<u16>]) {
    let partitions = out.len();
    assert!(partitions <= PARTITIONS_MAX, "few partitions");
    let mut ends: [&mut [MaybeUninit<u16>]; PARTITIONS_MAX] = std::array::from_fn(|_| Default::default());
    for (end, rows) in ends.iter_mut().zip(out.iter_mut()) {
        rows.clear();
        rows.reserve(hashes.len());
        *end = rows.spare_capacity_mut();
    }
    let mut counts = [0usize; PARTITIONS_MAX];
    for (row, &hash) in hashes.iter().enumerate() {
        let partition = of(hash, partitions);
        // SAFETY: the high bits of a hash times `partitions` are below it, and so below `PARTITIONS_MAX`; a list has got
        // at most the rows before this one, and has room for all.
        unsafe {
            let count = counts.get_unchecked_mut(partition);
            ends.get_unchecked_mut(partition).get_unchecked_mut(*count).write(row as u16);
            *count += 1;
        }
    }
    for (rows, &count) in out.iter_mut().zip(&counts) {
        // SAFETY: so many rows have been written, one after the other from the first place on.
        unsafe { rows.set_len(count) };
    }
}
