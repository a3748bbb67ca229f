//! What changed for the keys that a batch touched: rows taken back and rows given, one beside the other.

use std::collections::HashMap;

use arrow::array::ArrayRef;

use super::table::Ranked;
use crate::batch::{Batch, Change, ROWS_MAX};
use crate::error::Result;
use crate::stream::operator::Next;

/// The changes of one batch.
pub(super) struct Changed {
    shows_rank: bool,
    /// Groups touched, and what they showed before; in the order of being touched.
    before: Vec<(u32, Vec<Ranked>)>,
    touched: HashMap<u32, ()>,
    /// The rows to push, and what each does.
    pub rows: Vec<Ranked>,
    changes: Vec<Change>,
}

impl Changed {
    pub fn new(shows_rank: bool) -> Self {
        Changed { shows_rank, before: Vec::new(), touched: HashMap::new(), rows: Vec::new(), changes: Vec::new() }
    }

    pub fn begin(&mut self, _group_count: usize) {
        self.before.clear();
        self.touched.clear();
        self.rows.clear();
        self.changes.clear();
    }

    /// Notes what a group shows, before it changes for the first time in the batch.
    pub fn touch(&mut self, group: u32, ranked: &dyn Fn() -> Vec<Ranked>) {
        if self.touched.insert(group, ()).is_none() {
            self.before.push((group, ranked()));
        }
    }

    /// Compares with what the groups show now.
    pub fn compare(&mut self, now: impl Fn(u32) -> Vec<Ranked>) {
        for (group, before) in std::mem::take(&mut self.before) {
            let after = now(group);
            let (mut gone, mut new) = (Vec::new(), Vec::new());
            let shows_rank = self.shows_rank;
            let order = |a: &Ranked, b: &Ranked| match shows_rank {
                true => a.cmp(b),
                false => a.entry.cmp(&b.entry),
            };
            let (mut old, mut fresh) = (before.into_iter().peekable(), after.into_iter().peekable());
            loop {
                let ordering = match (old.peek(), fresh.peek()) {
                    (None, None) => break,
                    (Some(_), None) => std::cmp::Ordering::Less,
                    (None, Some(_)) => std::cmp::Ordering::Greater,
                    (Some(old), Some(fresh)) => order(old, fresh),
                };
                match ordering {
                    std::cmp::Ordering::Less => gone.extend(old.next()),
                    std::cmp::Ordering::Greater => new.extend(fresh.next()),
                    std::cmp::Ordering::Equal => {
                        old.next();
                        fresh.next();
                    }
                }
            }
            let pairs = gone.len().min(new.len());
            let (mut gone, mut new) = (gone.into_iter(), new.into_iter());
            for _ in 0..pairs {
                self.rows.extend(gone.next());
                self.rows.extend(new.next());
                self.changes.extend([Change::UPDATE_BEFORE, Change::UPDATE_AFTER]);
            }
            for row in gone {
                self.rows.push(row);
                self.changes.push(Change::DELETE);
            }
            for row in new {
                self.rows.push(row);
                self.changes.push(Change::INSERT);
            }
        }
    }

    /// Pushes the changes on; `columns` are those of `rows`. An old row is never parted from its new one.
    pub fn push(&self, columns: &[ArrayRef], batch_rows: usize, next: &mut Next<'_>) -> Result<()> {
        push_changes(columns, &self.changes, batch_rows, next)
    }
}

/// Pushes rows on with what each does, in batches that never part an old row from the new one behind it.
pub(in crate::stream::operator) fn push_changes(
    columns: &[ArrayRef],
    changes: &[Change],
    batch_rows: usize,
    next: &mut Next<'_>,
) -> Result<()> {
    let all_inserts = changes.iter().all(|change| *change == Change::INSERT);
    let mut from = 0;
    while from < changes.len() {
        let mut to = (from + batch_rows.clamp(2, ROWS_MAX)).min(changes.len());
        if to < changes.len() && changes[to - 1] == Change::UPDATE_BEFORE {
            to -= 1;
        }
        let slices = columns.iter().map(|column| column.slice(from, to - from)).collect();
        let mut batch = Batch::from_arrays(slices, to - from);
        batch.changes = (!all_inserts).then(|| changes[from..to].to_vec());
        next.push(&mut batch)?;
        from = to;
    }
    Ok(())
}
