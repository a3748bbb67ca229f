//! One body for every width: a word at a time, which the compiler widens.

use super::{tail, words};

#[inline(always)]
pub fn combine(a: &[u64], b: &[u64], out: &mut [u64], op: impl Fn(u64, u64) -> u64) {
    assert!(a.len() == out.len() && b.len() == out.len(), "bitmaps of one length");
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = op(*a, *b);
    }
}

#[inline(always)]
pub fn combine_with(acc: &mut [u64], b: &[u64], op: impl Fn(u64, u64) -> u64) {
    assert_eq!(acc.len(), b.len(), "bitmaps of one length");
    for (acc, b) in acc.iter_mut().zip(b) {
        *acc = op(*acc, *b);
    }
}

/// Positions of set bits, 64 candidates at a time: a full word is a run, a thin one is walked bit by bit, and any
/// other is written without a branch, where the next row overwrites an unselected one.
#[inline(always)]
pub fn to_selection(words: &[u64], rows: usize, out: &mut Vec<u16>) {
    let mut block = [0u16; 64];
    for (w, &word) in words.iter().enumerate() {
        let base = (w * 64) as u16;
        let word = if w + 1 == words.len() { word & tail(rows) } else { word };
        match word.count_ones() {
            0 => {}
            64 => out.extend((0..64).map(|i| base + i)),
            1..12 => push_thin(word, base, out),
            _ => {
                let mut count = 0;
                for i in 0..64 {
                    block[count & 63] = base + i;
                    count += (word >> i & 1) as usize;
                }
                out.extend_from_slice(&block[..count]);
            }
        }
    }
}

/// Places of set bits, eight at a time: how many a word has is guessed wrong less often so.
#[inline(always)]
pub fn positions(words: &[u64], base: u32, out: &mut Vec<u32>) {
    const ROUND: usize = 8;
    let start = out.len();
    let count: usize = words.iter().map(|word| word.count_ones() as usize).sum();
    out.resize(start + count + ROUND, 0);
    let mut at = start;
    for (index, &word) in words.iter().enumerate() {
        let (mut word, base) = (word, base + index as u32 * 64);
        let next = at + word.count_ones() as usize;
        while at < next {
            for place in &mut out[at..at + ROUND] {
                *place = base + word.trailing_zeros();
                word &= word.wrapping_sub(1);
            }
            at += ROUND;
        }
        at = next;
    }
    out.truncate(start + count);
}

/// Ranks of bits of which most words have one or none. Which of the two it is cannot be predicted: a rank is written
/// anyway, and counts if there is one.
#[inline(always)]
pub fn ranks(words: &[u64], some: &[u64], base: u32, out: &mut Vec<u32>) {
    let mut at = out.len();
    let mut before = base;
    let count: usize = some.iter().map(|word| word.count_ones() as usize).sum();
    out.resize(at + count + 1, 0);
    for (&word, &some) in words.iter().zip(some) {
        let mut some = some;
        let rank = |some: u64| before + (word & (some & some.wrapping_neg()).wrapping_sub(1)).count_ones();
        out[at] = rank(some);
        at += (some != 0) as usize;
        some &= some.wrapping_sub(1);
        while some != 0 {
            out[at] = rank(some);
            at += 1;
            some &= some - 1;
        }
        before += word.count_ones();
    }
    out.truncate(at);
}

#[inline(always)]
fn push_thin(mut word: u64, base: u16, out: &mut Vec<u16>) {
    while word != 0 {
        out.push(base + word.trailing_zeros() as u16);
        word &= word - 1;
    }
}

/// Compresses a word at a time with `extract`, which moves the bits of its first argument under the second together.
#[inline(always)]
pub fn compress(
    source: &[u64],
    mask: &[u64],
    rows: usize,
    out: &mut Vec<u64>,
    extract: impl Fn(u64, u64) -> u64,
) -> usize {
    let count = words(rows);
    let (source, mask) = (&source[..count], &mask[..count]);
    out.reserve(count);
    let (mut open, mut total) = (0u64, 0usize);
    for (w, (&bits, &mask)) in source.iter().zip(mask).enumerate() {
        let mask = if w + 1 == count { mask & tail(rows) } else { mask };
        let (kept, kept_rows, filled) = (extract(bits, mask), mask.count_ones() as usize, total % 64);
        open |= kept << filled;
        if filled + kept_rows >= 64 {
            out.push(open);
            // Two shifts, because shifting by 64 at once is not defined.
            open = kept >> 1 >> (63 - filled);
        }
        total += kept_rows;
    }
    if !total.is_multiple_of(64) {
        out.push(open);
    }
    total
}

/// Moves the bits of `bits` under `mask` together, in six halving steps.
#[inline(always)]
pub fn extract(bits: u64, mask: u64) -> u64 {
    if mask == u64::MAX {
        return bits;
    }
    let (mut bits, mut mask) = (bits & mask, mask);
    let mut gaps = !mask << 1;
    for step in 0..6 {
        // Prefix parity: which bits have an odd number of gaps below.
        let mut odd = gaps;
        for shift in [1, 2, 4, 8, 16, 32] {
            odd ^= odd << shift;
        }
        let moving = odd & mask;
        mask = mask ^ moving | moving >> (1 << step);
        let moved = bits & moving;
        bits = bits ^ moved | moved >> (1 << step);
        gaps &= !odd;
    }
    bits
}
