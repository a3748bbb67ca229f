//! Functions of the rows of a partition in their order, which OVER calls and which are not the engine's own.

use std::fmt::Debug;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use crate::error::Result;

/// The rows of one partition, sorted.
pub struct Partition<'a> {
    pub rows: usize,
    /// The function's arguments, a value per row.
    pub args: &'a [ArrayRef],
    /// The columns of ORDER BY, a value per row.
    pub order: &'a [ArrayRef],
    /// The first row of each group of peers, then `rows`. Rows are peers when ORDER BY leaves them equal.
    pub peers: &'a [usize],
    /// Where the frame of each row begins, and the row behind its last one; empty without frames.
    pub frames: &'a [(usize, usize)],
}

/// A function bound to its argument types: a partition in, a column out.
pub trait PartitionFunction: Send + Sync + Debug {
    /// Its name, as EXPLAIN shows it.
    fn name(&self) -> &str;

    /// The type of the column it makes.
    fn result_type(&self) -> DataType;

    /// Whether it looks at the frame of each row: then a partition comes with frames.
    fn has_frame(&self) -> bool;

    /// Computes a value per row.
    ///
    /// Failure: an error with a reason the user understands, and the function's name.
    fn evaluate(&self, partition: &Partition<'_>) -> Result<ArrayRef>;
}
