//! Folds changes up: rows given and not taken back are written when the input ends.
//!
//! Owns        every row that is still there, once, with how often.
//! Invariants  rows leave in the order in which they were first given; a row taken back equals one given before.

use std::collections::HashMap;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use arrow::row::{OwnedRow, RowConverter, SortField};

use crate::batch::Change;
use crate::error::{Error, Result};
use crate::pipeline::Sink;

/// Rows written at once.
const ROWS_PER_WRITE: usize = 8192;

/// A sink that hands the final table to another one.
pub struct Fold {
    inner: Box<dyn Sink>,
    schema: SchemaRef,
    converter: RowConverter,
    /// Place in `rows` of each row that is or was there.
    places: HashMap<OwnedRow, usize>,
    counts: Vec<i64>,
    rows: Vec<OwnedRow>,
}

impl Fold {
    /// Folds rows of `schema` up for `inner`.
    ///
    /// Failure: a column type that rows cannot be compared by.
    pub fn new(inner: Box<dyn Sink>, schema: SchemaRef) -> Result<Self> {
        let fields = schema.fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
        let converter = RowConverter::new(fields).map_err(|e| {
            Error::user("changes of these columns cannot be folded up; write them as they come").caused_by(e)
        })?;
        Ok(Fold { inner, schema, converter, places: HashMap::new(), counts: Vec::new(), rows: Vec::new() })
    }

    fn write_folded(&mut self) -> Result<()> {
        let mut left = Vec::new();
        for (row, &count) in self.rows.iter().zip(&self.counts) {
            if count < 0 {
                return Err(Error::bug("more rows were taken back than given"));
            }
            left.extend(std::iter::repeat_n(row, count as usize));
        }
        for rows in left.chunks(ROWS_PER_WRITE) {
            let columns = self.converter.convert_rows(rows.iter().map(|row| row.row()))?;
            let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
            let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
            self.inner.write(&batch, None)?;
        }
        Ok(())
    }
}

impl Sink for Fold {
    fn write(&mut self, rows: &RecordBatch, changes: Option<&[Change]>) -> Result<()> {
        let converted = self.converter.convert_columns(rows.columns())?;
        for (at, row) in converted.iter().enumerate() {
            let weight = changes.map_or(1, |changes| changes[at].weight());
            let next = self.rows.len();
            let place = *self.places.entry(row.owned()).or_insert(next);
            if place == next {
                self.rows.push(row.owned());
                self.counts.push(0);
            }
            self.counts[place] += weight;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.write_folded()?;
        self.inner.finish()
    }
}
