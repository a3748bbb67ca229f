//! The plain truth, a timestamp at a time.

use super::Run;

/// Returns how far `ts` lies in its pane, for an `offset` from 0 to `size`.
#[inline(always)]
pub const fn into_pane(ts: i64, size: i64, offset: i64) -> i64 {
    let into = ts.rem_euclid(size) - offset;
    if into < 0 { into + size } else { into }
}

/// See [`super::bucket`].
pub fn bucket(ts: &[i64], size: i64, offset: i64, out: &mut Vec<i64>) {
    let (size, offset) = (i128::from(size), i128::from(offset));
    let start = |ts: i64| (i128::from(ts) - offset).div_euclid(size) * size + offset;
    *out = ts.iter().map(|&ts| start(ts).max(i128::from(i64::MIN)) as i64).collect();
}

/// See [`super::runs`].
pub fn runs(ts: &[i64], size: i64, offset: i64, out: &mut Vec<Run>) {
    let mut starts = Vec::new();
    bucket(ts, size, offset, &mut starts);
    out.clear();
    for (row, &start) in starts.iter().enumerate() {
        match out.last_mut() {
            Some(run) if run.start == start => run.rows += 1,
            _ => out.push(Run { start, row, rows: 1 }),
        }
    }
}

/// See [`super::split`].
pub fn split(starts: &[i64], panes: &mut Vec<i64>, selections: &mut Vec<Vec<u16>>) {
    *panes = starts.to_vec();
    panes.sort_unstable();
    panes.dedup();
    let rows = |pane| (0..starts.len()).filter(|&row| starts[row] == pane).map(|row| row as u16).collect();
    *selections = panes.iter().map(|&pane| rows(pane)).collect();
}
