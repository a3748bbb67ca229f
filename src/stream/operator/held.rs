//! Rows kept until they are needed: whole columns, batch by batch.

use arrow::array::{Array, ArrayRef, AsArray, new_empty_array};
use arrow::compute::concat;
use arrow::datatypes::DataType;

use super::Next;
use crate::batch::{Batch, ROWS_MAX, with_few_buffers};
use crate::error::Result;

/// Rows of columns of these types.
pub(super) struct Held {
    types: Vec<DataType>,
    /// Columns, and how many rows they have.
    batches: Vec<(Vec<ArrayRef>, usize)>,
    rows: usize,
    bytes: usize,
}

impl Held {
    pub fn new(types: Vec<DataType>) -> Self {
        Held { types, batches: Vec::new(), rows: 0, bytes: 0 }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Keeps the rows of these columns.
    pub fn push(&mut self, columns: Vec<ArrayRef>, rows: usize) {
        if rows > 0 {
            self.rows += rows;
            self.bytes += columns.iter().map(size_bytes).sum::<usize>();
            self.batches.push((columns, rows));
        }
    }

    /// Puts the rows of another behind these.
    pub fn append(&mut self, mut other: Held) {
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.batches.append(&mut other.batches);
    }

    /// The rows as they were pushed: columns, and how many rows they have.
    pub fn batches(&self) -> impl Iterator<Item = (&[ArrayRef], usize)> {
        self.batches.iter().map(|(columns, rows)| (&columns[..], *rows))
    }

    /// All rows in a column each, no longer held.
    pub fn take(&mut self) -> Result<Vec<ArrayRef>> {
        (self.rows, self.bytes) = (0, 0);
        let batches: Vec<Vec<ArrayRef>> =
            std::mem::take(&mut self.batches).into_iter().map(|(batch, _)| batch).collect();
        concatenated(&self.types, &batches)
    }

    pub fn size_bytes(&self) -> usize {
        self.bytes
    }
}

/// The selected rows of a batch as arrays of these types.
pub(super) fn columns(batch: &mut Batch, types: &[DataType]) -> Result<Vec<ArrayRef>> {
    assert_eq!(types.len(), batch.columns.len(), "a type per column");
    let pairs = batch.columns.iter_mut().zip(types);
    pairs.map(|(column, data_type)| column.to_array(data_type, batch.rows, &batch.selection)).collect()
}

/// Batches one behind the other, in a column each. Strings of many batches are copied into buffers of their own, for who
/// slices the column takes all of its buffers along.
pub(super) fn concatenated(types: &[DataType], batches: &[Vec<ArrayRef>]) -> Result<Vec<ArrayRef>> {
    let column = |(at, data_type): (usize, &DataType)| match batches {
        [] => Ok(new_empty_array(data_type)),
        [one] => Ok(one[at].clone()),
        many => Ok(with_few_buffers(concat(&many.iter().map(|batch| batch[at].as_ref()).collect::<Vec<_>>())?)),
    };
    types.iter().enumerate().map(column).collect()
}

/// Pushes rows on in batches of at most `batch_rows`.
pub(super) fn push_in_batches(columns: &[ArrayRef], rows: usize, batch_rows: usize, next: &mut Next<'_>) -> Result<()> {
    let step = batch_rows.clamp(1, ROWS_MAX);
    for from in (0..rows).step_by(step) {
        let count = step.min(rows - from);
        let slices = columns.iter().map(|column| column.slice(from, count)).collect();
        next.push(&mut Batch::from_arrays(slices, count))?;
    }
    Ok(())
}

/// Bytes that the rows of an array take, without what other rows of the same buffers do.
pub(super) fn size_bytes(array: &ArrayRef) -> usize {
    let views = |views: &[u128]| {
        let long = views.iter().map(|view| *view as u32 as usize).filter(|length| *length > 12);
        size_of_val(views) + long.sum::<usize>()
    };
    match array.data_type() {
        DataType::Utf8View => views(array.as_string_view().views()),
        DataType::BinaryView => views(array.as_binary_view().views()),
        other => match other.primitive_width() {
            Some(width) => width * array.len(),
            None => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()),
        },
    }
}
