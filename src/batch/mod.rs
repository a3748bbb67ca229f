//! Rows in columns: what flows between operators, and where Arrow meets the kernels.
//!
//! Place       under everything but the kernels; sources make batches, operators pass them on, sinks take them.
//! Owns        its columns. Arrow arrays are shared, flat columns are this batch's own and are reused.
//! Invariants  every column covers `rows`; `selection`, when active, lists rows in ascending order, each once;
//!             `changes` and `watermarks`, when there, cover `rows` as well (not the selected ones only).

mod buffers; //    what arrays of strings point into
mod change; //     what a row means to the answer: +I -U +U -D
mod column; //     a column: Arrow array, flat buffers, a dictionary, or one value for all rows
mod dictionary; // codes into a few values
mod flat; //       flat buffers of fixed-width values, reused from batch to batch
mod gather; //     rows of one column into another
mod kernel; //     a column in the form that kernels read
mod number; //     values as numbers that order as they do
mod room; //       vectors of state that grow large
mod selection; //  which rows of a batch still count
mod slice; //      typed, borrowed looks at a column, as kernels want them
mod types; //      the types in which the engine carries values
mod watermarks; // the watermark before each row

pub(crate) use buffers::{with_few_buffers, without_waste};
pub use change::Change;
pub use column::{Column, select};
pub use dictionary::{Dictionary, DictionaryValues};
pub use flat::{Flat, Values};
pub(crate) use gather::{gather_array, gather_flat, load_bits};
pub use kernel::KernelColumn;
pub(crate) use number::{
    Texts, first_keys, first_keys_by_code, first_keys_of, float, has_numbers, null_number, numbers, of_first_keys,
    tells_values,
};
pub use room::{held_bytes, held_of, make_room, room_for};
pub use selection::Selection;
pub(crate) use slice::true_rows;
pub use slice::{Argument, Fixed, Kind, Strings};
pub use types::{engine_schema, engine_type};
pub use watermarks::Watermarks;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;

use crate::error::{Error, Result};

/// The most rows a batch may hold, so that a row number fits `u16`.
pub const ROWS_MAX: usize = 1 << 16;

/// What the rows of a batch are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// Rows of the schema.
    #[default]
    Rows,
    /// Groups that a local aggregate made of rows, on their way to the owner of their key: keys, the pane where there
    /// are windows, then states. Only exchanges and aggregates meet them.
    Groups,
}

/// Some rows, in columns, with what streams need beside them.
#[derive(Debug, Default)]
pub struct Batch {
    /// The columns, in schema order; each covers `rows`.
    pub columns: Vec<Column>,
    /// Physical rows, selected or not.
    pub rows: usize,
    /// Which rows still count; inactive means all of them.
    pub selection: Selection,
    /// What each row does to the answer; `None` means every row is an insert.
    pub changes: Option<Vec<Change>>,
    /// For each row, the watermark its own source partition had reached before it, in ticks of the time column.
    /// Without any, no row of this batch can be late.
    pub watermarks: Watermarks,
    pub form: Form,
    /// Whether its selected rows meet the conditions of the filter behind the scan that they come from: it handed them to the
    /// scan, and takes this away.
    pub meets_conditions: bool,
    /// The clock when it set out, in microseconds since 1970: the same for all of its rows.
    pub now: i64,
    /// The watermark that had come to the operator at work before it, in ticks of its event time; `None`: none yet.
    pub watermark: Option<i64>,
}

impl Batch {
    /// A batch of whole Arrow columns, all inserts.
    pub fn from_arrays(columns: Vec<ArrayRef>, rows: usize) -> Self {
        Batch { columns: columns.into_iter().map(Column::Array).collect(), rows, ..Batch::default() }
    }

    /// A batch of an Arrow record batch, all inserts.
    pub fn from_record(record: &RecordBatch) -> Self {
        Self::from_arrays(record.columns().to_vec(), record.num_rows())
    }

    /// How many rows still count.
    pub fn selected_rows(&self) -> usize {
        self.selection.rows(self.rows)
    }

    /// Whether no row still counts.
    pub fn is_empty(&self) -> bool {
        self.selected_rows() == 0
    }

    /// Forgets the rows and keeps the memory.
    pub fn clear(&mut self) {
        self.rows = 0;
        self.selection.clear();
        self.changes = None;
        self.watermarks.clear();
        self.form = Form::Rows;
        self.meets_conditions = false;
    }

    /// The selected rows as Arrow columns of `schema`'s types.
    ///
    /// Shapes: `schema` has a field per column. Flat columns hand their buffers over and start anew.
    pub fn to_record(&mut self, schema: &SchemaRef) -> Result<RecordBatch> {
        assert_eq!(schema.fields().len(), self.columns.len(), "a field per column");
        let rows = self.selected_rows();
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (column, field) in self.columns.iter_mut().zip(schema.fields()) {
            arrays.push(column.to_array(field.data_type(), self.rows, &self.selection)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(schema.clone(), arrays, &options)
            .map_err(|e| Error::bug(format!("a batch does not fit its schema: {e}")))
    }

    /// The changes of the selected rows, in order.
    pub fn selected_changes(&self) -> Option<Vec<Change>> {
        let changes = self.changes.as_ref()?;
        Some(match self.selection.as_slice() {
            None => changes.clone(),
            Some(rows) => rows.iter().map(|&row| changes[row as usize]).collect(),
        })
    }

    /// The watermarks before the selected rows, in order.
    pub fn selected_watermarks(&self) -> Option<Vec<i64>> {
        let watermarks = self.watermarks.as_slice()?;
        Some(match self.selection.as_slice() {
            None => watermarks.to_vec(),
            Some(rows) => rows.iter().map(|&row| watermarks[row as usize]).collect(),
        })
    }

    /// Makes `out` the watermarks before the selected rows: into memory that is used again.
    pub fn select_watermarks(&self, out: &mut Watermarks) {
        match self.selection.as_slice() {
            None => out.clone_from(&self.watermarks),
            Some(rows) => out.take_rows(&self.watermarks, rows.iter().map(|&row| row as usize)),
        }
    }
}
