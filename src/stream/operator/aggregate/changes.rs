//! Old and new results of the groups that a batch touched, as retractions and updates.
//!
//! Invariants  a group whose result did not change says nothing; an old result leaves right before its new one; every
//!             row taken back equals one given before.

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};

use super::table::Table;
use crate::batch::{Batch, Change, Column, Selection};
use crate::error::Result;
use crate::stream::operator::Next;

/// The changes of one batch.
pub(super) struct Changed {
    /// The types of the operator's output.
    types: Vec<DataType>,
    /// Groups touched, each once, in order of first appearance.
    touched: Vec<u32>,
    /// For each group, the number of the batch that last touched it.
    marks: Vec<u64>,
    batch: u64,
    /// Those of them that had a result before, and their results.
    old_groups: Vec<u32>,
    old: Vec<ArrayRef>,
    /// The rows to push.
    columns: Vec<ArrayRef>,
    changes: Vec<Change>,
}

impl Changed {
    pub(super) fn new(types: Vec<DataType>) -> Self {
        Changed {
            types,
            touched: Vec::new(),
            marks: Vec::new(),
            batch: 0,
            old_groups: Vec::new(),
            old: Vec::new(),
            columns: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Notes the groups that a batch touches and, for those below `known` that are alive, their results so far.
    pub(super) fn before(
        &mut self,
        table: &mut Table,
        groups: &[u32],
        known: u32,
        out: &mut Batch,
        between: impl FnOnce(usize, &mut [Column]) -> Result<usize>,
    ) -> Result<()> {
        self.batch += 1;
        self.touched.clear();
        self.marks.resize(self.marks.len().max(table.len()), 0);
        for &group in groups {
            let mark = &mut self.marks[group as usize];
            if *mark != self.batch {
                *mark = self.batch;
                self.touched.push(group);
            }
        }
        self.old_groups.clear();
        self.old_groups.extend(self.touched.iter().filter(|&&group| group < known && table.is_alive(group)));
        table.write(&self.old_groups, out, between)?;
        self.old = arrays(out, self.old_groups.len(), &self.types)?;
        Ok(())
    }

    /// Compares with the results now.
    pub(super) fn after(
        &mut self,
        table: &mut Table,
        out: &mut Batch,
        between: impl FnOnce(usize, &mut [Column]) -> Result<usize>,
    ) -> Result<()> {
        let alive: Vec<u32> = self.touched.iter().copied().filter(|&group| table.is_alive(group)).collect();
        table.write(&alive, out, between)?;
        let new = arrays(out, alive.len(), &self.types)?;
        self.pair(&alive, &new)
    }

    /// Lines old and new rows up: `-U +U` where a result changed, `+I` for new groups, `-D` for groups that are gone.
    fn pair(&mut self, alive: &[u32], new: &[ArrayRef]) -> Result<()> {
        let (old_rows, new_rows) = (rows(&self.old)?, rows(new)?);
        let old_count = self.old_groups.len() as u32;
        let mut picks = Vec::new();
        self.changes.clear();
        let (mut old_at, mut new_at) = (0, 0);
        for &group in &self.touched {
            let old = (self.old_groups.get(old_at) == Some(&group)).then_some(old_at);
            let now = (alive.get(new_at) == Some(&group)).then_some(new_at);
            old_at += old.is_some() as usize;
            new_at += now.is_some() as usize;
            let (before, after) = match (old, now) {
                (Some(old), Some(now)) if old_rows.row(old) == new_rows.row(now) => continue,
                (Some(_), Some(_)) => (Change::UPDATE_BEFORE, Change::UPDATE_AFTER),
                _ => (Change::DELETE, Change::INSERT),
            };
            if let Some(old) = old {
                picks.push(old as u32);
                self.changes.push(before);
            }
            if let Some(now) = now {
                picks.push(old_count + now as u32);
                self.changes.push(after);
            }
        }
        let picks = UInt32Array::from(picks);
        self.columns.clear();
        for (old, new) in self.old.iter().zip(new) {
            let both = concat(&[old.as_ref(), new.as_ref()])?;
            self.columns.push(take(&both, &picks, None)?);
        }
        Ok(())
    }

    /// Pushes the changes on.
    pub(super) fn push(&mut self, batch_rows: usize, next: &mut Next<'_>) -> Result<()> {
        push_changes(&self.columns, &self.changes, batch_rows, next)
    }
}

/// Pushes changes on, in batches that never part an old result from its new one.
pub(super) fn push_changes(
    columns: &[ArrayRef],
    changes: &[Change],
    batch_rows: usize,
    next: &mut Next<'_>,
) -> Result<()> {
    let all_inserts = changes.iter().all(|change| *change == Change::INSERT);
    let mut from = 0;
    while from < changes.len() {
        let mut to = (from + batch_rows.max(2)).min(changes.len());
        if to < changes.len() && changes[to - 1] == Change::UPDATE_BEFORE {
            to -= 1;
        }
        let slice = |column: &ArrayRef| column.slice(from, to - from);
        let mut batch = Batch::from_arrays(columns.iter().map(slice).collect(), to - from);
        batch.changes = (!all_inserts).then(|| changes[from..to].to_vec());
        next.push(&mut batch)?;
        from = to;
    }
    Ok(())
}

/// The columns of `out` as Arrow arrays.
pub(super) fn arrays(out: &mut Batch, rows: usize, types: &[DataType]) -> Result<Vec<ArrayRef>> {
    let all = Selection::default();
    out.columns.iter_mut().zip(types).map(|(column, data_type)| column.to_array(data_type, rows, &all)).collect()
}

/// Rows to compare: equal bytes mean equal rows.
pub(super) fn rows(columns: &[ArrayRef]) -> Result<arrow::row::Rows> {
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    Ok(RowConverter::new(fields)?.convert_columns(columns)?)
}
