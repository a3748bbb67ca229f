//! Reads a morsel from something that yields record batches: fits each to the table and cuts it to size.
//!
//! Place       under Parquet, Arrow, Avro and push sources, which decode to record batches by themselves.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{Array, ArrayData, ArrayRef, AsArray, DictionaryArray, RecordBatch};
use arrow::compute::{cast, take};
use arrow::datatypes::UInt32Type;

use super::fit::{Fit, Picked};
use crate::batch::{Batch, Column, Dictionary, DictionaryValues, engine_type};
use crate::error::Result;
use crate::pipeline::{Progress, Reader};

/// Yields the picked columns of a file, record by record.
pub trait Records: Send {
    /// The next record batch, of any number of rows.
    fn next(&mut self) -> Result<Option<RecordBatch>>;
}

/// What every reader of a scan is given.
#[derive(Debug, Clone)]
pub struct ReadPlan {
    pub fit: Arc<Fit>,
    pub picked: Arc<Picked>,
    pub batch_rows: usize,
    pub progress: Arc<Progress>,
    /// What is read, for errors.
    pub source: Arc<str>,
}

/// Reads what `R` yields, in batches.
pub struct RecordReader<R> {
    records: R,
    plan: ReadPlan,
    /// The projected columns of the record being handed out.
    columns: Vec<ArrayRef>,
    /// For each column, the dictionary it came with last.
    dictionaries: Vec<Option<KnownValues>>,
    rows: usize,
    done: usize,
    /// Rows handed out before the last batch, and in it.
    before: usize,
    last: usize,
}

/// Values as the source has them, and as the engine has them.
type KnownValues = (ArrayData, Arc<DictionaryValues>);

impl<R: Records> RecordReader<R> {
    pub fn new(records: R, plan: ReadPlan) -> Self {
        let (columns, dictionaries) = (Vec::new(), Vec::new());
        RecordReader { records, plan, columns, dictionaries, rows: 0, done: 0, before: 0, last: 0 }
    }
}

impl<R: Records> Reader for RecordReader<R> {
    fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        if self.plan.progress.stopped.load(Ordering::Relaxed) {
            return Ok(false);
        }
        while self.done == self.rows {
            let Some(record) = self.records.next()? else { return Ok(false) };
            self.columns = self.plan.fit.apply(&self.plan.picked, &record)?;
            (self.rows, self.done) = (record.num_rows(), 0);
        }
        let rows = (self.rows - self.done).min(self.plan.batch_rows);
        let whole = rows == self.rows;
        let cut = |array: &ArrayRef| if whole { array.clone() } else { array.slice(self.done, rows) };
        fill(batch, self.columns.iter().map(cut), rows);
        self.dictionaries.resize_with(batch.columns.len(), || None);
        for (column, known) in batch.columns.iter_mut().zip(&mut self.dictionaries) {
            if let Column::Array(array) = column
                && let Some(dictionary) = array.as_dictionary_opt::<UInt32Type>()
            {
                *column = dictionary_column(dictionary, known)?;
            }
        }
        self.done += rows;
        self.plan.progress.add_rows(rows);
        self.before += self.last;
        self.last = rows;
        Ok(true)
    }

    /// Counts the morsel's rows, so it is right where a file is one morsel.
    fn place(&self, row: usize) -> Option<String> {
        Some(format!("row {} of {}", self.before + row + 1, self.plan.source))
    }
}

/// Codes of a source as a column; batches with the same values share them.
fn dictionary_column(array: &DictionaryArray<UInt32Type>, known: &mut Option<KnownValues>) -> Result<Column> {
    let data = array.values().to_data();
    let values = match known {
        Some((seen, values)) if seen.ptr_eq(&data) => values.clone(),
        _ => {
            let values = cast(array.values(), &engine_type(array.values().data_type()))?;
            if values.null_count() > 0 {
                return Ok(Column::Array(take(&values, array.keys(), None)?));
            }
            let values = Arc::new(DictionaryValues(values));
            *known = Some((data, values.clone()));
            values
        }
    };
    Ok(Column::Dictionary(Dictionary::new(array.keys().clone(), values)))
}

/// Makes these arrays the columns of a cleared batch, in the memory of its column list.
pub fn fill(batch: &mut Batch, columns: impl ExactSizeIterator<Item = ArrayRef>, rows: usize) {
    batch.columns.resize_with(columns.len(), Column::default);
    for (slot, array) in batch.columns.iter_mut().zip(columns) {
        debug_assert_eq!(array.len(), rows, "a column covers its batch");
        *slot = Column::Array(array);
    }
    batch.rows = rows;
}
