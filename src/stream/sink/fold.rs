//! Folds changes up: rows given and not taken back are written when the input ends.
//!
//! Owns        every row that is still there, once, with how often.
//! Invariants  rows leave in the order in which they came to be there; a row taken back equals one given before.

use arrow::array::{RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;

use crate::batch::Change;
use crate::error::Result;
use crate::pipeline::Sink;
use crate::state::Multiset;

/// Rows written at once.
const ROWS_PER_WRITE: usize = 8192;

/// A sink that hands the final table to another one.
pub struct Fold {
    inner: Box<dyn Sink>,
    schema: SchemaRef,
    rows: Multiset,
}

impl Fold {
    /// Folds rows of `schema` up for `inner`.
    ///
    /// Failure: a column type that rows cannot be compared by.
    pub fn new(inner: Box<dyn Sink>, schema: SchemaRef) -> Result<Self> {
        let types: Vec<_> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let rows = Multiset::new(&types)
            .map_err(|e| e.context("changes of these columns cannot be folded up; write them as they come"))?;
        Ok(Fold { inner, schema, rows })
    }

    fn write_folded(&mut self) -> Result<()> {
        let (columns, counts) = self.rows.rows()?;
        let picks = counts.iter().enumerate();
        let picks: Vec<u32> = picks.flat_map(|(row, &count)| std::iter::repeat_n(row as u32, count as usize)).collect();
        for picks in picks.chunks(ROWS_PER_WRITE) {
            let picks = UInt32Array::from(picks.to_vec());
            let columns = columns.iter().map(|column| Ok(take(column, &picks, None)?)).collect::<Result<_>>()?;
            let options = RecordBatchOptions::new().with_row_count(Some(picks.values().len()));
            self.inner.write(&RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?, None)?;
        }
        Ok(())
    }
}

impl Sink for Fold {
    fn write(&mut self, rows: &RecordBatch, changes: Option<&[Change]>) -> Result<()> {
        let weight = |row: usize| changes.map_or(1, |changes| changes[row].weight());
        self.rows.add(rows.columns(), rows.num_rows(), weight)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.write_folded()?;
        self.inner.finish()
    }
}
