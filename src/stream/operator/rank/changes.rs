//! What changed for the keys that a batch touched: rows taken back and rows given, one beside the other.

use arrow::array::ArrayRef;

use super::ranking::Ranked;
use crate::batch::{Batch, Change, ROWS_MAX};
use crate::error::Result;
use crate::stream::operator::Next;

/// The changes of one batch.
pub(super) struct Changed {
    shows_rank: bool,
    /// Groups touched, in the order of being touched, and where in `before` what they showed ends.
    groups: Vec<(u32, usize)>,
    before: Vec<Ranked>,
    /// For each group, the number of the batch that touched it last.
    touched: Vec<u32>,
    batch: u32,
    /// The rows to push, and what each does.
    pub rows: Vec<Ranked>,
    changes: Vec<Change>,
}

impl Changed {
    pub fn new(shows_rank: bool) -> Self {
        Changed {
            shows_rank,
            groups: Vec::new(),
            before: Vec::new(),
            touched: Vec::new(),
            batch: 0,
            rows: Vec::new(),
            changes: Vec::new(),
        }
    }

    pub fn begin(&mut self, group_count: usize) {
        if self.batch == u32::MAX {
            (self.batch, self.touched) = (0, Vec::new());
        }
        self.batch += 1;
        self.touched.resize(group_count, 0);
        self.groups.clear();
        self.before.clear();
        self.rows.clear();
        self.changes.clear();
    }

    /// Notes what a group shows, before it changes for the first time in the batch.
    pub fn touch(&mut self, group: u32, ranked: impl FnOnce(&mut Vec<Ranked>)) {
        if std::mem::replace(&mut self.touched[group as usize], self.batch) != self.batch {
            ranked(&mut self.before);
            self.groups.push((group, self.before.len()));
        }
    }

    /// Compares with what the groups show now. `order` is that of the rows.
    pub fn compare(
        &mut self,
        mut now: impl FnMut(u32, &mut Vec<Ranked>),
        order: impl Fn(&Ranked, &Ranked) -> std::cmp::Ordering,
    ) {
        let order = |a: &Ranked, b: &Ranked| match self.shows_rank {
            true => a.rank.cmp(&b.rank).then_with(|| order(a, b)),
            false => order(a, b),
        };
        let mut before = std::mem::take(&mut self.before).into_iter();
        let (mut after, mut gone, mut new, mut start) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for &(group, end) in &self.groups {
            now(group, &mut after);
            let (mut old, mut fresh) = (before.by_ref().take(end - start).peekable(), after.drain(..).peekable());
            start = end;
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
            drop((old, fresh));
            pair_up(gone.drain(..), new.drain(..), &mut self.rows, &mut self.changes);
        }
    }

    /// Pushes the changes on; `columns` are those of `rows`. An old row is never parted from its new one.
    pub fn push(&self, columns: &[ArrayRef], batch_rows: usize, next: &mut Next<'_>) -> Result<()> {
        push_changes(columns, &self.changes, batch_rows, next)
    }
}

/// An old row and a new one, as long as there are both; then those that are left.
fn pair_up(
    mut gone: impl ExactSizeIterator<Item = Ranked>,
    mut new: impl ExactSizeIterator<Item = Ranked>,
    rows: &mut Vec<Ranked>,
    changes: &mut Vec<Change>,
) {
    for _ in 0..gone.len().min(new.len()) {
        rows.extend(gone.next());
        rows.extend(new.next());
        changes.extend([Change::UPDATE_BEFORE, Change::UPDATE_AFTER]);
    }
    changes.extend(gone.by_ref().map(|row| {
        rows.push(row);
        Change::DELETE
    }));
    changes.extend(new.by_ref().map(|row| {
        rows.push(row);
        Change::INSERT
    }));
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
