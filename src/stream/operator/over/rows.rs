//! Rows kept by reference: batches of columns, and numbers that say where in them a row is.

use arrow::array::{Array, ArrayRef};
use arrow::compute::interleave;

use crate::batch::without_waste;
use crate::error::Result;
use crate::stream::operator::held::size_bytes;

/// Dead rows beyond this many, and more than the living ones, are worth a copy without them.
const DEAD_MIN: usize = 1 << 12;

/// Where a row is: its batch and its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowRef {
    batch: u32,
    row: u32,
}

/// Rows of the same columns; whoever holds their references says which are still wanted.
#[derive(Default)]
pub(super) struct Rows {
    batches: Vec<Vec<ArrayRef>>,
    total: usize,
    live: usize,
    bytes: usize,
}

impl Rows {
    /// Keeps rows; the reference of row `i` is `refs(i)`.
    pub fn add(&mut self, columns: Vec<ArrayRef>, rows: usize) -> impl Fn(usize) -> RowRef + use<> {
        let batch = self.batches.len() as u32;
        if rows > 0 {
            self.bytes += columns.iter().map(size_bytes).sum::<usize>();
            self.total += rows;
            self.live += rows;
            self.batches.push(columns);
        }
        move |row| RowRef { batch, row: row as u32 }
    }

    /// Notes that so many references are gone.
    pub fn drop_rows(&mut self, count: usize) {
        self.live -= count;
        if self.live == 0 {
            (self.total, self.bytes) = (0, 0);
            self.batches.clear();
        }
    }

    /// The rows that are referred to, in a column each.
    pub fn pick(&self, refs: &[RowRef]) -> Result<Vec<ArrayRef>> {
        let Some(first) = self.batches.first() else { return Ok(Vec::new()) };
        let places: Vec<(usize, usize)> = refs.iter().map(|at| (at.batch as usize, at.row as usize)).collect();
        let column = |column: usize| {
            let arrays: Vec<&dyn Array> = self.batches.iter().map(|batch| batch[column].as_ref()).collect();
            Ok(interleave(&arrays, &places)?)
        };
        (0..first.len()).map(column).collect()
    }

    /// Whether so many rows are dead that a copy of the living ones is worth it.
    pub fn is_wasteful(&self) -> bool {
        (self.total - self.live > DEAD_MIN.max(self.live))
            || self.batches.len() > 1024 && self.batches.len() * 8 > self.live
    }

    /// Copies the rows of `refs`, all that are wanted, into one batch and renews the references.
    pub fn compact<'a>(&mut self, refs: impl Iterator<Item = &'a mut RowRef>) -> Result<()> {
        let refs: Vec<&mut RowRef> = refs.collect();
        let old: Vec<RowRef> = refs.iter().map(|at| **at).collect();
        // What is picked points into the memory of all that was there.
        let columns = self.pick(&old)?.into_iter().map(without_waste).collect();
        *self = Rows::default();
        let new = self.add(columns, old.len());
        refs.into_iter().enumerate().for_each(|(row, at)| *at = new(row));
        Ok(())
    }

    pub fn size_bytes(&self) -> usize {
        self.bytes
    }
}
