//! One body for every width: a full word is a copy, a thin one is walked bit by bit, any other is written without a
//! branch, where the next row overwrites an unselected one.

use crate::bitmap::tail;

/// Up to this many selected rows of 64 are walked one by one (bench `filter`).
const THIN: u32 = 12;

#[inline(always)]
pub fn compress<T: Copy + Default>(values: &[T], mask: &[u64], out: &mut Vec<T>) {
    out.clear();
    let mut kept = [T::default(); 64];
    for (block, &word) in values.chunks(64).zip(mask) {
        let mut word = word & tail(block.len());
        let count = word.count_ones();
        if count == 64 {
            out.extend_from_slice(block);
        } else if count <= THIN {
            while word != 0 {
                out.push(block[word.trailing_zeros() as usize]);
                word &= word - 1;
            }
        } else {
            let mut at = 0;
            for (i, &value) in block.iter().enumerate() {
                kept[at & 63] = value;
                at += (word >> i & 1) as usize;
            }
            out.extend_from_slice(&kept[..at]);
        }
    }
}
