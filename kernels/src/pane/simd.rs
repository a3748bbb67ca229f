//! One body for every width, and what needs none.

use super::{Run, scalar::into_pane};

/// Batches that span less than 2^32 units: a multiplication by the reciprocal finds the pane or the one before it.
///
/// With `d < 2^32` and `m = floor(2^32 / size)`, `d / size - d * m / 2^32` is at least 0 and less than 1.
#[inline(always)]
pub fn bucket_near(ts: &[i64], first: i64, size: u64, out: &mut [i64]) {
    let reciprocal = (1u64 << 32) / size;
    for (out, &ts) in out.iter_mut().zip(ts) {
        let distance = ts.wrapping_sub(first) as u64 & 0xFFFF_FFFF;
        let pane = distance * reciprocal >> 32;
        let into = distance - (pane & 0xFFFF_FFFF) * size;
        *out = ts.wrapping_sub(if into >= size { into - size } else { into } as i64);
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

/// Keeps the panes sorted; most rows share the pane of the row before.
pub fn split(starts: &[i64], panes: &mut Vec<i64>, selections: &mut Vec<Vec<u16>>) {
    panes.clear();
    let mut spare = std::mem::take(selections);
    let mut at = 0;
    for (row, &pane) in starts.iter().enumerate() {
        if panes.get(at) != Some(&pane) {
            at = panes.binary_search(&pane).unwrap_or_else(|place| {
                let mut rows = spare.pop().unwrap_or_default();
                rows.clear();
                panes.insert(place, pane);
                selections.insert(place, rows);
                place
            });
        }
        selections[at].push(row as u16);
    }
}
