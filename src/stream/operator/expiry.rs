//! Groups, keys and partitions that no row has touched for long are forgotten, and those whose rows have all been taken back.
//!
//! Invariants  by the clock that comes with batches and ticks; a forgotten group says nothing, and starts anew when a row
//!             of it comes.
//! Source      state time-to-live as Flink SQL has it.

use std::collections::HashMap;

use crate::state::BytesHash;

/// Looks at the clock so many times in the life of a group.
const LOOKS: i64 = 4;

/// Fewer groups than this are not looked through for those without rows.
const SWEPT_MIN: usize = 1024;

/// When each group was touched last.
pub(super) struct Expiry {
    ttl: i64,
    touched: Vec<i64>,
    due: Option<i64>,
}

impl Expiry {
    /// `ttl` in microseconds.
    pub(super) fn new(ttl: i64) -> Self {
        Expiry { ttl, touched: Vec::new(), due: None }
    }

    /// Notes that rows of these groups have come.
    pub(super) fn touch(&mut self, groups: &[u32], group_count: usize, now: i64) {
        self.touched.resize(group_count.max(self.touched.len()), now);
        groups.iter().for_each(|&group| self.touched[group as usize] = now);
    }

    pub(super) fn next_tick(&self) -> i64 {
        self.due.unwrap_or(i64::MIN)
    }

    /// Of `count` groups those that are left at a tick, in order; `None`: all of them. Groups that stand are kept anyhow.
    pub(super) fn left(&mut self, now: i64, count: usize, stands: impl Fn(u32) -> bool) -> Option<Vec<u32>> {
        self.due = Some(now.saturating_add((self.ttl / LOOKS).max(1)));
        self.touched.resize(count, now);
        let ttl = self.ttl;
        let is_old = |touched: i64| now.saturating_sub(touched) >= ttl;
        if !self.touched.iter().any(|&touched| is_old(touched)) {
            return None;
        }
        let stays = |group: &u32| stands(*group) || !is_old(self.touched[*group as usize]);
        let left: Vec<u32> = (0..count as u32).filter(stays).collect();
        self.touched = left.iter().map(|&group| self.touched[group as usize]).collect();
        Some(left)
    }

    /// Only these groups, ascending, are left.
    pub(super) fn keep(&mut self, left: &[u32]) {
        self.touched = left.iter().filter_map(|&group| self.touched.get(group as usize).copied()).collect();
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.touched.capacity() * size_of::<i64>()
    }
}

/// When a table whose rows may be taken back is looked through for groups that have none any more.
///
/// A look costs a step per group and comes after as many new groups as were left by the one before: one step per row.
pub(super) struct Sweep {
    due_at: usize,
}

impl Default for Sweep {
    fn default() -> Self {
        Sweep { due_at: SWEPT_MIN }
    }
}

impl Sweep {
    /// Of `count` groups those that have rows, in order, if it is time to look and others are worth being let go of.
    pub(super) fn left(&mut self, count: usize, has_rows: impl Fn(u32) -> bool) -> Option<Vec<u32>> {
        if count < self.due_at {
            return None;
        }
        let left: Vec<u32> = (0..count as u32).filter(|&group| has_rows(group)).collect();
        let is_worth_it = left.len() <= count / 4 * 3;
        self.due_at = 2 * if is_worth_it { left.len() } else { count } + SWEPT_MIN;
        is_worth_it.then_some(left)
    }
}

/// The same of keys that are bytes.
pub(super) struct KeyExpiry {
    ttl: i64,
    /// When each was touched last; `None`: before a snapshot, and the clock has not been seen since.
    touched: HashMap<Box<[u8]>, Option<i64>, BytesHash>,
    key_bytes: usize,
    due: Option<i64>,
}

impl KeyExpiry {
    /// `ttl` in microseconds.
    pub(super) fn new(ttl: i64) -> Self {
        KeyExpiry { ttl, touched: HashMap::default(), key_bytes: 0, due: None }
    }

    /// Notes that a row of a key has come.
    pub(super) fn touch(&mut self, key: &[u8], now: i64) {
        self.note(key, Some(now));
    }

    /// Notes a key of a snapshot.
    pub(super) fn restore(&mut self, key: &[u8]) {
        self.note(key, None);
    }

    /// Notes that a row of a key has come, or a key of a snapshot.
    pub(super) fn note(&mut self, key: &[u8], at: Option<i64>) {
        match self.touched.get_mut(key) {
            Some(touched) => *touched = at,
            None => {
                self.key_bytes += key.len();
                self.touched.insert(key.into(), at);
            }
        }
    }

    pub(super) fn next_tick(&self) -> i64 {
        self.due.unwrap_or(i64::MIN)
    }

    /// Forgets the keys that are too old, each of which `forgotten` is told.
    pub(super) fn forget(&mut self, now: i64, mut forgotten: impl FnMut(&[u8])) {
        self.due = Some(now.saturating_add((self.ttl / LOOKS).max(1)));
        let (ttl, key_bytes) = (self.ttl, &mut self.key_bytes);
        self.touched.retain(|key, touched| {
            let is_old = now.saturating_sub(*touched.get_or_insert(now)) >= ttl;
            if is_old {
                *key_bytes -= key.len();
                forgotten(key);
            }
            !is_old
        });
        if self.touched.capacity() > 4 * self.touched.len().max(64) {
            self.touched.shrink_to(2 * self.touched.len());
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.key_bytes + self.touched.capacity() * (size_of::<Box<[u8]>>() + size_of::<Option<i64>>() + 1)
    }
}
