//! Timestamps to panes: the gapless stretches of `size` units, one of which starts at `offset`, that windows are made of.
//!
//! Units       `ts`, `size` and `offset` share one unit; the kernel does not care which.
//! Invariants  a pane holds `start <= ts < start + size`, also before the epoch (floor, not truncation). A pane that
//!             would start before `i64::MIN` starts there. `size` is positive.
//! Source      bench `pane`: a batch mostly lies in one pane, so its least and greatest timestamp come first.

pub mod scalar;
mod simd;

use crate::aggregate;
use fearless_simd::{Level, dispatch};

/// Returns the least and greatest valid timestamp.
pub fn min_max(level: Level, ts: &[i64], validity: Option<&[u64]>) -> Option<(i64, i64)> {
    aggregate::min_max(level, ts, validity)
}

/// Returns the start of the pane that holds `ts`. Panics when `size` is not positive.
#[inline]
pub fn start(ts: i64, size: i64, offset: i64) -> i64 {
    assert!(size > 0, "a pane has a positive size");
    ts.saturating_sub(scalar::into_pane(ts, size, offset.rem_euclid(size)))
}

/// Makes `out` the start of the pane that holds each timestamp. Panics when `size` is not positive.
pub fn bucket(level: Level, ts: &[i64], size: i64, offset: i64, out: &mut Vec<i64>) {
    assert!(size > 0, "a pane has a positive size");
    let Some((least, greatest)) = min_max(level, ts, None) else { return out.clear() };
    let first = start(least, size, offset);
    out.resize(ts.len(), 0);
    if start(greatest, size, offset) == first {
        out.fill(first);
    } else if let (Some(near), true) = (simd::Near::new(first, greatest, size), first > i64::MIN) {
        dispatch!(level, _s => simd::bucket_near(ts, near, out));
    } else {
        simd::bucket_far(ts, size, offset.rem_euclid(size), out);
    }
}

/// Consecutive rows of one pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The start of the pane.
    pub start: i64,
    /// The first row.
    pub row: usize,
    /// How many rows.
    pub rows: usize,
}

/// Makes `out` the longest stretches of consecutive rows that share a pane: for batches in nearly ascending order.
///
/// Panics when `size` is not positive.
pub fn runs(level: Level, ts: &[i64], size: i64, offset: i64, out: &mut Vec<Run>) {
    assert!(size > 0, "a pane has a positive size");
    out.clear();
    dispatch!(level, _s => simd::runs(ts, size, offset.rem_euclid(size), out))
}

/// Makes `panes` the distinct values of `starts`, ascending, and `selections[k]` the rows of `panes[k]`: for batches in
/// any order.
///
/// Shapes: at most 65,536 rows. Panics otherwise. `selections` keeps the buffers it had.
pub fn split(starts: &[i64], panes: &mut Vec<i64>, selections: &mut Vec<Vec<u16>>) {
    assert!(starts.len() <= 1 << 16, "a selection numbers at most 65,536 rows");
    simd::split(starts, panes, selections);
}
