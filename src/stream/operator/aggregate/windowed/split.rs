//! The rows of a batch by table: a list per pane or window, kept for the next batch.

use std::collections::HashMap;

use crate::time::{Bounds, START};

/// Which table rows go to.
///
/// Where tables are panes: the pane's start, and the end of the first window that its rows count for (`START`: all of
/// them), in steps of the grid. Where they are whole windows: the window's end, then its start, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PaneKey {
    first: i64,
    second: i64,
}

impl PaneKey {
    pub(super) fn pane(start: i64, first_end: i64) -> Self {
        PaneKey { first: start, second: first_end }
    }

    pub(super) fn window(bounds: Bounds) -> Self {
        PaneKey { first: bounds.end, second: bounds.start }
    }

    /// The start of a pane.
    pub(super) fn start(self) -> i64 {
        self.first
    }

    /// The end of the first window that a pane's rows count for.
    pub(super) fn first_end(self) -> i64 {
        self.second
    }

    /// The window that a table holds.
    pub(super) fn bounds(self) -> Bounds {
        Bounds { start: self.second, end: self.first }
    }
}

impl Default for PaneKey {
    fn default() -> Self {
        PaneKey::pane(START, START)
    }
}

/// Lists looked through before the map is asked.
const RECENT_LISTS: usize = 8;

/// The rows of a batch by pane.
#[derive(Default)]
pub(super) struct Split {
    lists: Vec<(PaneKey, Vec<u16>)>,
    used: usize,
    /// Where the list of each pane is.
    places: HashMap<PaneKey, usize>,
}

impl Split {
    pub(super) fn clear(&mut self) {
        self.used = 0;
        self.places.clear();
    }

    /// The lists of this batch.
    pub(super) fn lists(&self) -> &[(PaneKey, Vec<u16>)] {
        &self.lists[..self.used]
    }

    /// The list of `key`, looked for from the last one used backwards: rows come nearly in order.
    pub(super) fn list(&mut self, key: PaneKey) -> &mut Vec<u16> {
        let recent = self.used.saturating_sub(RECENT_LISTS);
        let found = self.lists[recent..self.used].iter().rposition(|(known, _)| *known == key);
        let at = match found {
            Some(at) => recent + at,
            None => *self.places.entry(key).or_insert_with(|| {
                if self.used == self.lists.len() {
                    self.lists.push((key, Vec::new()));
                }
                self.lists[self.used].0 = key;
                self.lists[self.used].1.clear();
                self.used += 1;
                self.used - 1
            }),
        };
        &mut self.lists[at].1
    }
}
