//! The rows of a key in the order of their times: which of them is the nearest.

use smallvec::SmallVec;

use crate::pipeline::Nearest;

/// The number of a version that says the key has no row from its time on.
pub(super) const DELETED: u32 = u32::MAX;

/// A row of the right side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    pub(super) order: i64,
    /// Of several with one order, the last counts.
    pub(super) tie: u64,
    /// The first time it counts for: later than its order when it came late.
    pub(super) from: i64,
    pub(super) id: u32,
}

/// All rows of a key that may still be asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Versions {
    list: SmallVec<[Version; 1]>,
    is_unsorted: bool,
}

impl Versions {
    /// Adds a row; rows mostly come in order.
    pub(super) fn push(&mut self, version: Version) {
        self.is_unsorted |= self.list.last().is_some_and(|last| *last > version);
        self.list.push(version);
    }

    /// The order of the last row.
    pub(super) fn last_order(&self) -> Option<i64> {
        self.list.iter().map(|version| version.order).max()
    }

    fn sort(&mut self) {
        if std::mem::take(&mut self.is_unsorted) {
            self.list.sort_unstable();
        }
    }

    /// Takes the rows out that no time from `watermark` on can ask for: those before the last one that counts by then.
    pub(super) fn prune(&mut self, watermark: i64, gone: &mut Vec<u32>) {
        if self.list.len() < 2 {
            return;
        }
        self.sort();
        let counts = |version: &Version| version.order < watermark && version.from <= watermark;
        if let Some(last) = self.list.iter().rposition(counts) {
            gone.extend(self.list.drain(..last).map(|version| version.id).filter(|id| *id != DELETED));
        }
    }

    /// The nearest row to `order`; of equal ones the last.
    pub(super) fn nearest(&mut self, order: i64, nearest: Nearest) -> Option<u32> {
        self.sort();
        let list = &self.list;
        let found = match nearest {
            Nearest::AtOrBefore | Nearest::Before => {
                let strict = nearest == Nearest::Before;
                let end = list.partition_point(|known| known.order < order || (!strict && known.order == order));
                list[..end].iter().rev().find(|version| version.from <= order)
            }
            Nearest::AtOrAfter | Nearest::After => {
                let strict = nearest == Nearest::After;
                let start = list.partition_point(|known| known.order < order || (strict && known.order == order));
                let first = list.get(start)?.order;
                let end = start + list[start..].partition_point(|known| known.order == first);
                list[start..end].last()
            }
        };
        found.map(|version| version.id).filter(|id| *id != DELETED)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Version> {
        self.list.iter()
    }

    /// Versions to be changed: they are put in order anew before one is asked for.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Version> {
        self.is_unsorted = true;
        self.list.iter_mut()
    }

    /// Bytes beside its own.
    pub(super) fn more_bytes(&self) -> usize {
        if self.list.spilled() { self.list.capacity() * size_of::<Version>() } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(orders: &[(i64, i64)]) -> Versions {
        let mut versions = Versions::default();
        for (id, &(order, from)) in orders.iter().enumerate() {
            versions.push(Version { order, tie: id as u64, from, id: id as u32 });
        }
        versions
    }

    #[test]
    fn the_nearest_is_found_whatever_the_order_of_arrival() {
        let mut known = versions(&[(30, 30), (10, 10), (20, 20), (20, 20)]);
        let mut at = |order, nearest| known.nearest(order, nearest);
        assert_eq!(at(9, Nearest::AtOrBefore), None);
        assert_eq!(at(10, Nearest::AtOrBefore), Some(1));
        assert_eq!(at(10, Nearest::Before), None);
        assert_eq!(at(25, Nearest::AtOrBefore), Some(3), "of equal ones the last");
        assert_eq!(at(20, Nearest::AtOrAfter), Some(3));
        assert_eq!(at(20, Nearest::After), Some(0));
        assert_eq!(at(30, Nearest::After), None);
    }

    #[test]
    fn a_late_version_counts_from_the_watermark_on_unless_a_newer_one_does() {
        let mut known = versions(&[(10, 10), (30, 30), (20, 25)]);
        assert_eq!(known.nearest(24, Nearest::AtOrBefore), Some(0));
        assert_eq!(known.nearest(25, Nearest::AtOrBefore), Some(2));
        assert_eq!(known.nearest(35, Nearest::AtOrBefore), Some(1));
    }

    #[test]
    fn versions_that_nobody_can_ask_for_go() {
        let mut known = versions(&[(10, 10), (20, 20), (30, 30), (40, 40)]);
        let mut gone = Vec::new();
        known.prune(20, &mut gone);
        assert!(gone.is_empty(), "at 20 the one before may be asked for, when the nearest must be before");
        known.prune(35, &mut gone);
        assert_eq!(gone, [0, 1]);
        assert_eq!(known.nearest(35, Nearest::AtOrBefore), Some(2));
    }
}
