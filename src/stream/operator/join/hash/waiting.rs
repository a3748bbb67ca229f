//! Rows of the side that passes by which come before the table is complete.
//!
//! Whoever feeds a join holds them back while nobody asks for a snapshot. What is on its way between workers then must
//! arrive, and waits here.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};

use crate::batch::{Batch, ROWS_MAX};
use crate::error::Result;
use crate::expression::Evaluator;
use crate::state::{Section, SectionRoute};
use crate::stream::operator::held::{Held, columns};
use crate::stream::operator::join::build::arguments;
use crate::stream::operator::saved::{check, integers, section};
use crate::time::START;

/// Rows: their keys, all their columns, and the watermark before each.
pub(super) const WAITING: &str = "waiting rows 1";
/// The watermark that waits with them.
pub(super) const WATERMARK: &str = "waiting watermark 1";

/// Batches that wait, and the watermark behind them.
pub(super) struct Waiting {
    types: Vec<DataType>,
    /// The batches' columns, and last the watermark before each row.
    rows: Held,
    watermark: Option<i64>,
}

impl Waiting {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        let types: Vec<DataType> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let all = types.iter().cloned().chain([DataType::Int64]).collect();
        Waiting { types, rows: Held::new(all), watermark: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.rows() == 0
    }

    /// Lets the rows of a batch wait.
    pub(super) fn push(&mut self, batch: &mut Batch) -> Result<()> {
        let rows = batch.selected_rows();
        let marks = batch.selected_watermarks().unwrap_or_else(|| vec![START; rows]);
        let mut arrays = columns(batch, &self.types)?;
        arrays.push(Arc::new(Int64Array::from(marks)));
        self.rows.push(arrays, rows);
        Ok(())
    }

    /// Lets a watermark wait behind the rows.
    pub(super) fn advance(&mut self, watermark: i64) {
        self.watermark = self.watermark.max(Some(watermark));
    }

    /// The batches that have waited, and the watermark behind them.
    pub(super) fn take(&mut self) -> Result<(Vec<Batch>, Option<i64>)> {
        let batch = |(arrays, rows): (&[ArrayRef], usize)| {
            let (marks, columns) = arrays.split_last().expect("a column of watermarks");
            let marks = marks.as_primitive::<Int64Type>().values();
            let mut batch = Batch::from_arrays(columns.to_vec(), rows);
            if marks.iter().any(|mark| *mark != START) {
                batch.watermarks.set(marks);
            }
            batch
        };
        let batches = self.rows.batches().map(batch).collect();
        self.rows.take()?;
        Ok((batches, self.watermark.take()))
    }

    /// What waits, each batch with its keys in front.
    pub(super) fn sections(&self, keys: &mut Evaluator, key_count: usize) -> Result<Vec<Section>> {
        let mut sections = Vec::new();
        for (arrays, rows) in self.rows.batches() {
            let batch = Batch::from_arrays(arrays.to_vec(), rows);
            keys.run(&batch)?;
            let key_types = keys.program().output_types.clone();
            let mut all: Vec<ArrayRef> = Vec::with_capacity(key_count + arrays.len());
            for (key, data_type) in arguments(keys, &batch, key_count).iter().zip(&key_types) {
                all.push(key.to_array(data_type)?);
            }
            all.extend_from_slice(arrays);
            sections.push(section(WAITING, all, rows, key_count)?);
        }
        if let Some(watermark) = self.watermark {
            let mut own = section(WATERMARK, vec![Arc::new(Int64Array::from(vec![watermark]))], 1, 0)?;
            own.route = SectionRoute::All;
            sections.push(own);
        }
        Ok(sections)
    }

    /// Takes over rows that waited elsewhere.
    pub(super) fn restore_rows(&mut self, section: &Section, key_count: usize) -> Result<()> {
        check(section, WAITING, key_count + self.types.len() + 1)?;
        for from in (0..section.rows.num_rows()).step_by(ROWS_MAX) {
            let rows = section.rows.slice(from, ROWS_MAX.min(section.rows.num_rows() - from));
            self.rows.push(rows.columns()[key_count..].to_vec(), rows.num_rows());
        }
        Ok(())
    }

    /// Takes over a watermark that waited elsewhere: of several the least.
    pub(super) fn restore_watermark(&mut self, section: &Section) -> Result<()> {
        check(section, WATERMARK, 1)?;
        let watermark = integers(section, 0)?.value(0);
        self.watermark = Some(self.watermark.map_or(watermark, |known| known.min(watermark)));
        Ok(())
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.rows.size_bytes()
    }
}
