//! Sorted rows and where their partitions and peers begin.

use arrow::array::{Array, ArrayRef};
use arrow::compute::kernels::cmp::distinct;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};

use crate::error::Result;

/// Rows in the order of partition, then ORDER BY.
pub(super) struct Sorted {
    pub rows: usize,
    /// The first row of each partition, then `rows`.
    pub partitions: Vec<u32>,
    /// The first row of each group of peers, then `rows`. Rows are peers when ORDER BY leaves them equal.
    pub peers: Vec<u32>,
    /// The columns of ORDER BY, sorted, floats canonical.
    pub order: Vec<ArrayRef>,
    /// For each partition, how many of its rows came before these and are gone; empty: none.
    pub passed: Vec<Passed>,
}

/// How much of a partition came before the rows at hand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Passed {
    pub rows: u64,
    /// Groups of peers.
    pub peers: u64,
}

impl Sorted {
    /// Finds the peers of sorted rows.
    pub fn new(rows: usize, partitions: Vec<u32>, order: Vec<ArrayRef>) -> Result<Self> {
        debug_assert_eq!(partitions.last().map(|&end| end as usize), Some(rows), "partitions end with the rows");
        let mut begins = vec![false; rows];
        for &start in &partitions[..partitions.len() - 1] {
            begins[start as usize] = true;
        }
        for column in &order {
            mark_changes(column, &mut begins)?;
        }
        let mut peers: Vec<u32> = (0..rows as u32).filter(|&row| begins[row as usize]).collect();
        peers.push(rows as u32);
        Ok(Sorted { rows, partitions, peers, order, passed: Vec::new() })
    }

    /// Calls `each` with the number, first row and end of every partition.
    pub fn each_partition(&self, mut each: impl FnMut(usize, usize, usize)) {
        for (partition, bounds) in self.partitions.windows(2).enumerate() {
            each(partition, bounds[0] as usize, bounds[1] as usize);
        }
    }

    /// Calls `each` with the partition, first row and end of every group of peers, in order.
    pub fn each_peers(&self, mut each: impl FnMut(usize, usize, usize)) {
        let mut partition = 0;
        for bounds in self.peers.windows(2) {
            while self.partitions[partition + 1] <= bounds[0] {
                partition += 1;
            }
            each(partition, bounds[0] as usize, bounds[1] as usize);
        }
    }

    pub fn passed(&self, partition: usize) -> Passed {
        self.passed.get(partition).copied().unwrap_or_default()
    }
}

/// Marks the rows whose value is not that of the row before.
fn mark_changes(column: &ArrayRef, begins: &mut [bool]) -> Result<()> {
    let rows = column.len();
    if rows < 2 {
        return Ok(());
    }
    if column.data_type().is_nested() || matches!(column.data_type(), DataType::Interval(_) | DataType::Null) {
        let converter = RowConverter::new(vec![SortField::new(column.data_type().clone())])?;
        let bytes = converter.convert_columns(std::slice::from_ref(column))?;
        (1..rows).for_each(|row| begins[row] |= bytes.row(row) != bytes.row(row - 1));
        return Ok(());
    }
    let changes = distinct(&column.slice(0, rows - 1), &column.slice(1, rows - 1))?;
    changes.values().set_indices().for_each(|row| begins[row + 1] = true);
    Ok(())
}
