//! A short list per key, of rows in order.
//!
//! ```text
//! one row per key     key ─▶ (prefix, row)
//! several             key ─▶ start, length ─▶ (prefix, row) (prefix, row) ...     runs of 2, 4, 8, ... in one vector
//! ```
//! Owns        the lists; runs that became too short are used again.
//! Invariants  a list's last prefix, once it is full, lies beside the keys: most rows are ruled out by it.

use crate::batch::{held_bytes, make_room};

/// No row.
pub(super) const NONE: u32 = u32::MAX;

/// A row, and the number that its place in the order begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub prefix: u64,
    pub row: u32,
}

const EMPTY: Entry = Entry { prefix: u64::MAX, row: NONE };

#[derive(Debug)]
pub(super) enum Lists {
    One(Vec<Entry>),
    Many(Many),
}

#[derive(Debug, Default)]
pub(super) struct Many {
    runs: Vec<Run>,
    /// Rows with a greater prefix are behind the list.
    bounds: Vec<u64>,
    entries: Vec<Entry>,
    /// Starts of runs that nobody uses, by the logarithm of their length.
    free: Vec<Vec<usize>>,
}

/// Where a list lies; room for two to the power of `power`, none while it is empty.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    start: usize,
    len: u32,
    power: u8,
}

impl Lists {
    /// Lists of at most one row, or of several.
    pub fn new(single: bool) -> Self {
        if single { Lists::One(Vec::new()) } else { Lists::Many(Many::default()) }
    }

    /// Makes lists for `count` keys in all.
    pub fn grow(&mut self, count: usize) {
        match self {
            Lists::One(entries) if entries.len() < count => {
                make_room(entries, count);
                entries.resize(count, EMPTY);
            }
            Lists::Many(many) if many.runs.len() < count => {
                make_room(&mut many.runs, count);
                make_room(&mut many.bounds, count);
                many.runs.resize(count, Run::default());
                many.bounds.resize(count, u64::MAX);
            }
            _ => {}
        }
    }

    pub fn key_count(&self) -> usize {
        match self {
            Lists::One(entries) => entries.len(),
            Lists::Many(many) => many.runs.len(),
        }
    }

    /// A row with a greater prefix is not among the first of its key.
    #[inline]
    pub fn bound(&self, group: u32) -> u64 {
        match self {
            Lists::One(entries) => entries[group as usize].prefix,
            Lists::Many(many) => many.bounds[group as usize],
        }
    }

    /// Says that the list of a key is full, or is not.
    pub fn set_full(&mut self, group: u32, is_full: bool) {
        if let Lists::Many(many) = self {
            let last = many.get(group).last().filter(|_| is_full);
            many.bounds[group as usize] = last.map_or(u64::MAX, |entry| entry.prefix);
        }
    }

    #[inline]
    pub fn get(&self, group: u32) -> &[Entry] {
        match self {
            Lists::One(entries) => {
                let entry = &entries[group as usize..=group as usize];
                if entry[0].row == NONE { &[] } else { entry }
            }
            Lists::Many(many) => many.get(group),
        }
    }

    #[inline]
    pub fn get_mut(&mut self, group: u32) -> &mut [Entry] {
        match self {
            Lists::One(entries) => {
                let entry = &mut entries[group as usize..=group as usize];
                if entry[0].row == NONE { &mut [] } else { entry }
            }
            Lists::Many(many) => {
                let run = many.runs[group as usize];
                &mut many.entries[run.start..run.start + run.len as usize]
            }
        }
    }

    /// The row of each key, of lists of at most one.
    pub fn single_mut(&mut self) -> &mut [Entry] {
        match self {
            Lists::One(entries) => entries,
            Lists::Many(_) => &mut [],
        }
    }

    /// Puts a row before the one at `at`. A list of one row has none then.
    pub fn insert(&mut self, group: u32, at: usize, entry: Entry) {
        match self {
            Lists::One(entries) => entries[group as usize] = entry,
            Lists::Many(many) => many.insert(group, at, entry),
        }
    }

    /// Takes the last row off, which is there.
    pub fn pop(&mut self, group: u32) -> Entry {
        match self {
            Lists::One(entries) => std::mem::replace(&mut entries[group as usize], EMPTY),
            Lists::Many(many) => {
                let run = &mut many.runs[group as usize];
                run.len -= 1;
                many.entries[run.start + run.len as usize]
            }
        }
    }

    pub fn size_bytes(&self) -> usize {
        match self {
            Lists::One(entries) => held_bytes(entries),
            Lists::Many(many) => {
                let free: usize = many.free.iter().map(held_bytes).sum();
                held_bytes(&many.runs) + held_bytes(&many.bounds) + held_bytes(&many.entries) + free
            }
        }
    }
}

impl Many {
    fn get(&self, group: u32) -> &[Entry] {
        let run = self.runs[group as usize];
        &self.entries[run.start..run.start + run.len as usize]
    }

    fn insert(&mut self, group: u32, at: usize, entry: Entry) {
        let run = self.runs[group as usize];
        let run = if run.power == 0 || run.len == 1 << run.power { self.lengthen(group) } else { run };
        let (start, end) = (run.start, run.start + run.len as usize);
        self.entries.copy_within(start + at..end, start + at + 1);
        self.entries[start + at] = entry;
        self.runs[group as usize].len += 1;
    }

    /// Moves a list to a run of twice the length.
    fn lengthen(&mut self, group: u32) -> Run {
        let old = self.runs[group as usize];
        let power = old.power + 1;
        self.free.resize_with(self.free.len().max(power as usize + 1), Vec::new);
        let start = self.free[power as usize].pop().unwrap_or_else(|| {
            let start = self.entries.len();
            make_room(&mut self.entries, start + (1 << power));
            self.entries.resize(start + (1 << power), EMPTY);
            start
        });
        self.entries.copy_within(old.start..old.start + old.len as usize, start);
        if old.power > 0 {
            self.free[old.power as usize].push(old.start);
        }
        self.runs[group as usize] = Run { start, len: old.len, power };
        self.runs[group as usize]
    }
}
