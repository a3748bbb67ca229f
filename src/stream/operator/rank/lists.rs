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

/// What lists are of.
pub(super) trait Listed: Copy {
    /// Stands where no row is.
    const EMPTY: Self;

    fn prefix(self) -> u64;

    /// Whether it is a row.
    fn is_row(self) -> bool;
}

impl Listed for Entry {
    const EMPTY: Self = Entry { prefix: u64::MAX, row: NONE };

    #[inline(always)]
    fn prefix(self) -> u64 {
        self.prefix
    }

    #[inline(always)]
    fn is_row(self) -> bool {
        self.row != NONE
    }
}

/// A row that its prefix says all of. A list of at most one has it from the first row on: nobody asks before.
impl Listed for u64 {
    const EMPTY: Self = u64::MAX;

    #[inline(always)]
    fn prefix(self) -> u64 {
        self
    }

    #[inline(always)]
    fn is_row(self) -> bool {
        true
    }
}

#[derive(Debug)]
pub(super) enum Lists<T> {
    One(Vec<T>),
    Many(Many<T>),
}

#[derive(Debug)]
pub(super) struct Many<T> {
    runs: Vec<Run>,
    /// Rows with a greater prefix are behind the list.
    bounds: Vec<u64>,
    entries: Vec<T>,
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

impl<T: Listed> Lists<T> {
    /// Lists of at most one row, or of several.
    pub fn new(single: bool) -> Self {
        if single {
            return Lists::One(Vec::new());
        }
        Lists::Many(Many { runs: Vec::new(), bounds: Vec::new(), entries: Vec::new(), free: Vec::new() })
    }

    /// Makes lists for `count` keys in all.
    pub fn grow(&mut self, count: usize) {
        match self {
            Lists::One(entries) if entries.len() < count => {
                make_room(entries, count);
                entries.resize(count, T::EMPTY);
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
            Lists::One(entries) => entries[group as usize].prefix(),
            Lists::Many(many) => many.bounds[group as usize],
        }
    }

    /// Says that the list of a key is full, or is not.
    pub fn set_full(&mut self, group: u32, is_full: bool) {
        if let Lists::Many(many) = self {
            let last = many.get(group).last().filter(|_| is_full);
            many.bounds[group as usize] = last.map_or(u64::MAX, |entry| entry.prefix());
        }
    }

    #[inline]
    pub fn get(&self, group: u32) -> &[T] {
        match self {
            Lists::One(entries) => {
                let entry = &entries[group as usize..=group as usize];
                if entry[0].is_row() { entry } else { &[] }
            }
            Lists::Many(many) => many.get(group),
        }
    }

    #[inline]
    pub fn get_mut(&mut self, group: u32) -> &mut [T] {
        match self {
            Lists::One(entries) => {
                let entry = &mut entries[group as usize..=group as usize];
                if entry[0].is_row() { entry } else { &mut [] }
            }
            Lists::Many(many) => {
                let run = many.runs[group as usize];
                &mut many.entries[run.start..run.start + run.len as usize]
            }
        }
    }

    /// The row of each key, of lists of at most one.
    pub fn single_mut(&mut self) -> &mut [T] {
        match self {
            Lists::One(entries) => entries,
            Lists::Many(_) => &mut [],
        }
    }

    /// Puts a row before the one at `at`. A list of one row has none then.
    pub fn insert(&mut self, group: u32, at: usize, entry: T) {
        match self {
            Lists::One(entries) => entries[group as usize] = entry,
            Lists::Many(many) => many.insert(group, at, entry),
        }
    }

    /// Takes the last row off, which is there.
    pub fn pop(&mut self, group: u32) -> T {
        match self {
            Lists::One(entries) => std::mem::replace(&mut entries[group as usize], T::EMPTY),
            Lists::Many(many) => {
                let run = &mut many.runs[group as usize];
                run.len -= 1;
                many.entries[run.start + run.len as usize]
            }
        }
    }

    /// Bytes held.
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

impl Lists<u64> {
    /// Adds rows that are among the first `most` of their keys. Of equal rows the first one stays.
    pub fn add(&mut self, groups: &[u32], prefixes: &[u64], most: usize) {
        match self {
            Lists::One(entries) => {
                for (&group, &prefix) in groups.iter().zip(prefixes) {
                    let known = &mut entries[group as usize];
                    *known = prefix.min(*known);
                }
            }
            Lists::Many(many) => {
                for (&group, &prefix) in groups.iter().zip(prefixes) {
                    if prefix <= many.bounds[group as usize] {
                        many.add(group, prefix, most);
                    }
                }
            }
        }
    }
}

impl Many<u64> {
    /// Adds a row that is not behind the list.
    fn add(&mut self, group: u32, prefix: u64, most: usize) {
        let mut run = self.runs[group as usize];
        let len = run.len as usize;
        let mut at = len;
        if len == most {
            at -= 1;
            if self.entries[run.start + at] <= prefix {
                return;
            }
        } else {
            if run.power == 0 || len == 1 << run.power {
                run = self.lengthen(group);
            }
            self.runs[group as usize].len += 1;
        }
        let list = &mut self.entries[run.start..=run.start + at];
        while at > 0 && list[at - 1] > prefix {
            list[at] = list[at - 1];
            at -= 1;
        }
        list[at] = prefix;
        if list.len() == most {
            self.bounds[group as usize] = list[most - 1];
        }
    }
}

impl<T: Listed> Many<T> {
    fn get(&self, group: u32) -> &[T] {
        let run = self.runs[group as usize];
        &self.entries[run.start..run.start + run.len as usize]
    }

    fn insert(&mut self, group: u32, at: usize, entry: T) {
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
            self.entries.resize(start + (1 << power), T::EMPTY);
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
