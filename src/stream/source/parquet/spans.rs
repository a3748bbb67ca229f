//! What workers take one after the other: row groups, and of the last ones parts, so that all come to the end together.
//!
//! Place       under `mod.rs`; a part is read as `direct.rs` reads any rows of a row group, the pages before it passed over.

use std::ops::Range;

/// Parts that the rows at the end are cut into, for each worker.
const PARTS_PER_WORKER: usize = 2;
/// A part has so many batches at least, and a page: the pages that it begins and ends within are unpacked twice.
const PART_BATCHES_MIN: usize = 8;
/// With so many row groups for each worker none waits long for another.
const GROUPS_PER_WORKER_MAX: usize = 16;

/// Rows of a row group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) group: usize,
    pub(super) rows: Range<usize>,
    /// Whether the row group ends with it.
    pub(super) is_last: bool,
}

/// Row groups, each with its number of rows, in the pieces that `workers` take. `page_rows`: about how many rows a page of a row
/// group has; `None` for one that must not be cut.
pub(super) fn spans(
    groups: &[(usize, usize)],
    workers: usize,
    batch_rows: usize,
    page_rows: impl Fn(usize) -> Option<usize>,
) -> Vec<Span> {
    let behind = match workers > 1 && groups.len() < workers * GROUPS_PER_WORKER_MAX {
        true => tail(groups, workers),
        false => groups.len(),
    };
    let rows: usize = groups[behind..].iter().map(|(_, rows)| rows).sum();
    let part_rows = rows.div_ceil(workers * PARTS_PER_WORKER).max(PART_BATCHES_MIN * batch_rows);
    let mut spans = Vec::new();
    for (at, &(group, rows)) in groups.iter().enumerate() {
        let parts = match page_rows(group).filter(|_| at >= behind) {
            Some(page_rows) => (rows / part_rows.max(page_rows)).max(1),
            None => 1,
        };
        let bound = |part: usize| rows * part / parts;
        spans.extend((0..parts).map(|part| Span {
            group,
            rows: bound(part)..bound(part + 1),
            is_last: part + 1 == parts,
        }));
    }
    spans
}

/// From which row group on they are parted: while one worker reads the largest, the others need as much to do.
fn tail(groups: &[(usize, usize)], workers: usize) -> usize {
    let largest = groups.iter().map(|(_, rows)| *rows).max().unwrap_or_default();
    let (mut from, mut rows) = (groups.len(), 0);
    while from > 0 && rows < largest * (workers - 1) {
        from -= 1;
        rows += groups[from].1;
    }
    from
}

#[cfg(test)]
mod tests {
    use super::*;

    const K: usize = 1 << 10;

    fn shown(groups: &[usize], workers: usize) -> Vec<(usize, Range<usize>, bool)> {
        let groups: Vec<(usize, usize)> = groups.iter().copied().enumerate().collect();
        spans(&groups, workers, 8 * K, |_| Some(K))
            .into_iter()
            .map(|span| (span.group, span.rows, span.is_last))
            .collect()
    }

    #[test]
    fn the_last_row_groups_are_cut_for_several_workers() {
        let whole = [(0, 0..400 * K, true), (1, 0..400 * K, true)];
        assert_eq!(shown(&[400 * K, 400 * K], 1), whole);
        let quarters = |group| (0..4).map(move |part| (group, part * 100 * K..(part + 1) * 100 * K, part == 3));
        assert_eq!(
            shown(&[400 * K, 400 * K], 2),
            [whole[0].clone()].into_iter().chain(quarters(1)).collect::<Vec<_>>()
        );
        assert_eq!(shown(&[400 * K], 2), quarters(0).collect::<Vec<_>>());
        // A short one at the end does not last for the time that the largest takes.
        let cut = shown(&[400 * K, 400 * K, 8 * K], 2);
        assert_eq!(cut.iter().map(|span| span.0).collect::<Vec<_>>(), [0, 1, 1, 1, 2]);
        assert_eq!(cut[3], (1, (400 * K * 2).div_ceil(3) - 1..400 * K, true));
    }

    #[test]
    fn small_and_many_row_groups_stay_whole() {
        assert_eq!(shown(&[100_000, 30_000], 2).len(), 2);
        assert_eq!(shown(&[1 << 20; 40], 2).len(), 40);
        assert_eq!(shown(&[], 2), []);
        assert!(spans(&[(7, 1 << 20)], 2, 8 * K, |_| None).iter().eq([&Span {
            group: 7,
            rows: 0..1 << 20,
            is_last: true
        }]));
    }

    #[test]
    fn no_part_is_less_than_a_page() {
        assert_eq!(spans(&[(0, 240 * K)], 2, 8 * K, |_| Some(128 * K)).len(), 1);
        assert_eq!(spans(&[(0, 400 * K)], 2, 8 * K, |_| Some(128 * K)).len(), 3);
    }
}
