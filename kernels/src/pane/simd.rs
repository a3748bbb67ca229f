//! One body for every width, and what needs none.

use super::{Run, scalar::into_pane};

/// How to divide the distances of a batch by multiplication.
///
/// Both the distance `d` and the pane's size lose the zeros at the end of the size, which changes no quotient. With
/// `d < 2^32` and `m = floor(2^32 / size)`, `d / size - d * m / 2^32` is at least 0 and less than 1: the product finds
/// the pane or the one before it.
#[derive(Clone, Copy)]
pub struct Near {
    first: i64,
    size: u64,
    shift: u32,
    reciprocal: u64,
}

impl Near {
    /// For timestamps from `first`, where a pane starts, to `greatest`; none when they lie too far apart.
    pub fn new(first: i64, greatest: i64, size: i64) -> Option<Near> {
        let shift = size.trailing_zeros();
        let near = greatest.wrapping_sub(first) as u64 >> shift <= u64::from(u32::MAX);
        near.then(|| Near { first, size: size as u64, shift, reciprocal: (1 << 32) / (size as u64 >> shift) })
    }
}

/// Batches that span less than 2^32 units after the shift: years of seconds, weeks of milliseconds, and an hour of
/// nanoseconds when the size is a whole number of seconds.
#[inline(always)]
pub fn bucket_near(ts: &[i64], near: Near, out: &mut [i64]) {
    for (out, &ts) in out.iter_mut().zip(ts) {
        let distance = ts.wrapping_sub(near.first) as u64;
        let pane = (((distance >> near.shift) & 0xFFFF_FFFF) * near.reciprocal) >> 32;
        let into = distance.wrapping_sub(pane.wrapping_mul(near.size));
        *out = ts.wrapping_sub(if into >= near.size { into - near.size } else { into } as i64);
    }
}

/// Any batch: a division where the pane changes.
pub fn bucket_far(ts: &[i64], size: i64, offset: i64, out: &mut [i64]) {
    let mut pane = Pane { first: 0, last: -1 };
    for (out, &ts) in out.iter_mut().zip(ts) {
        if !pane.holds(ts) {
            pane = Pane::of(ts, size, offset);
        }
        *out = pane.first;
    }
}

/// The first and the last timestamp that a pane holds, cut off where the numbers end.
#[derive(Clone, Copy)]
struct Pane {
    first: i64,
    last: i64,
}

impl Pane {
    #[inline(always)]
    fn of(ts: i64, size: i64, offset: i64) -> Pane {
        let into = into_pane(ts, size, offset);
        Pane { first: ts.saturating_sub(into), last: ts.saturating_add(size - 1 - into) }
    }

    #[inline(always)]
    fn holds(self, ts: i64) -> bool {
        (ts >= self.first) & (ts <= self.last)
    }
}

/// Walks 64 timestamps at a time while they stay in the pane.
#[inline(always)]
pub fn runs(ts: &[i64], size: i64, offset: i64, out: &mut Vec<Run>) {
    let mut row = 0;
    while row < ts.len() {
        let pane = Pane::of(ts[row], size, offset);
        let rows = stay(&ts[row..], pane);
        out.push(Run { start: pane.first, row, rows });
        row += rows;
    }
}

/// How many of the first timestamps lie in the pane.
#[inline(always)]
fn stay(ts: &[i64], pane: Pane) -> usize {
    let mut rows = 0;
    for block in ts.as_chunks::<64>().0 {
        if block.iter().fold(false, |outside, &ts| outside | !pane.holds(ts)) {
            break;
        }
        rows += 64;
    }
    rows + ts[rows..].iter().take_while(|&&ts| pane.holds(ts)).count()
}

/// Keeps the panes sorted, and the places of the latest in a small table: a batch has few panes, in any order.
pub fn split(starts: &[i64], panes: &mut Vec<i64>, selections: &mut Vec<Vec<u16>>) {
    panes.clear();
    let mut spare = std::mem::take(selections);
    let mut places = [(0, usize::MAX); PLACES];
    for (row, &pane) in starts.iter().enumerate() {
        let slot = place_slot(pane);
        if places[slot].1 == usize::MAX || places[slot].0 != pane {
            let place = panes.binary_search(&pane).unwrap_or_else(|place| {
                let mut rows = spare.pop().unwrap_or_default();
                rows.clear();
                panes.insert(place, pane);
                selections.insert(place, rows);
                // The places behind have moved.
                places.fill((0, usize::MAX));
                place
            });
            places[slot] = (pane, place);
        }
        selections[places[slot].1].push(row as u16);
    }
}

const PLACES: usize = 64;

#[inline(always)]
fn place_slot(pane: i64) -> usize {
    (pane as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) as usize >> (usize::BITS - PLACES.trailing_zeros())
}
