//! Late materialization: the columns of a filter first, then the others for the rows that pass.
//!
//! Place       under `parquet.rs`, per row group. The filter stands behind the scan all the same.
//! Invariants  a row is left out only when a predicate is not true for it; it is done where few rows of a sample pass,
//!             for skipping within pages costs more than reading them when many do.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch, Scalar};
use arrow::compute::kernels::cmp;
use arrow::compute::{and_kleene, cast};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, ArrowReaderMetadata, ParquetRecordBatchReader, RowFilter};
use parquet::errors::Result;

use super::fit::Fit;
use super::prune::is_comparable;
use crate::pipeline::{Comparison, Predicate};

/// Rows that are looked at first.
pub const SAMPLE_ROWS: usize = 8192;
/// At most this share of a sample may pass, in parts of 256.
const SHARE_MAX: usize = 24;

/// The predicates that a file can be filtered by while it is read.
#[derive(Debug, Clone)]
pub struct LateFilter {
    predicates: Arc<Vec<Predicate>>,
    /// The columns that they read, and for each predicate its place among them.
    mask: ProjectionMask,
    places: Arc<Vec<usize>>,
}

impl LateFilter {
    /// The filter of a scan that reads `columns` of the file; `None` where nothing would be gained.
    pub fn new(file: &ArrowReaderMetadata, fit: &Fit, predicates: &[Predicate], columns: &[usize]) -> Option<Self> {
        let usable = predicates.iter().filter(|predicate| is_comparable(file, fit, predicate));
        let predicates: Vec<Predicate> = usable.cloned().collect();
        let mut read: Vec<usize> = predicates.iter().map(|predicate| fit.file_column(predicate.column)).collect();
        let places = read.clone();
        read.sort_unstable();
        read.dedup();
        let others = columns.iter().any(|column| !read.contains(column));
        if predicates.is_empty() || !others {
            return None;
        }
        let place = |column: &usize| read.binary_search(column).expect("collected from the same list");
        let places = places.iter().map(place).collect();
        let mask = ProjectionMask::roots(file.parquet_schema(), read);
        Some(LateFilter { predicates: Arc::new(predicates), mask, places: Arc::new(places) })
    }

    /// The columns it reads.
    pub fn mask(&self) -> ProjectionMask {
        self.mask.clone()
    }

    /// Whether so few rows of a sample pass that the others' columns should wait.
    pub fn pays(&self, mut sample: ParquetRecordBatchReader) -> Result<bool> {
        let Some(record) = sample.next() else { return Ok(false) };
        let record = record?;
        let passed = passes(&self.predicates, &self.places, &record)?;
        Ok(passed.true_count() * 256 <= record.num_rows() * SHARE_MAX)
    }

    /// The filter as the reader of a row group takes it.
    pub fn row_filter(&self) -> RowFilter {
        let (predicates, places) = (self.predicates.clone(), self.places.clone());
        let test = move |record: RecordBatch| passes(&predicates, &places, &record);
        RowFilter::new(vec![Box::new(ArrowPredicateFn::new(self.mask.clone(), test))])
    }
}

/// Which rows pass all predicates; null where one is null and none is false.
fn passes(predicates: &[Predicate], places: &[usize], record: &RecordBatch) -> Result<BooleanArray, ArrowError> {
    let mut all: Option<BooleanArray> = None;
    for (predicate, &place) in predicates.iter().zip(places) {
        // Strings may come as codes.
        let column = &cast(record.column(place), predicate.value.data_type())?;
        let value = Scalar::new(predicate.value.clone());
        let one = match predicate.op {
            Comparison::Eq => cmp::eq(column, &value),
            Comparison::NotEq => cmp::neq(column, &value),
            Comparison::Lt => cmp::lt(column, &value),
            Comparison::LtEq => cmp::lt_eq(column, &value),
            Comparison::Gt => cmp::gt(column, &value),
            Comparison::GtEq => cmp::gt_eq(column, &value),
        }?;
        all = Some(match all {
            None => one,
            Some(all) => and_kleene(&all, &one)?,
        });
    }
    Ok(all.expect("there is a predicate"))
}
