//! Hands rows to a sink: the end of a pipeline.
//!
//! Invariants  no batch gives a row and takes the same row back: what told them apart has been projected away.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::consolidate::consolidated;
use super::{Ending, Next, Operator};
use crate::batch::{Batch, Change};
use crate::error::Result;
use crate::pipeline::Sink;

/// The last operator of a query.
pub struct Output {
    sink: Box<dyn Sink>,
    schema: SchemaRef,
    consolidates: bool,
}

impl Output {
    /// `consolidates`: whether rows that a batch gives and takes back are left out.
    pub fn new(sink: Box<dyn Sink>, schema: SchemaRef, consolidates: bool) -> Self {
        Output { sink, schema, consolidates }
    }

    fn write(&mut self, rows: &RecordBatch, changes: Option<&[Change]>, next: &Next<'_>) -> Result<()> {
        next.count_out(rows.num_rows());
        if rows.num_rows() == 0 { Ok(()) } else { self.sink.write(rows, changes) }
    }
}

impl Operator for Output {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        let changes = batch.selected_changes();
        let rows = batch.to_record(&self.schema)?;
        match changes {
            None => self.write(&rows, None, next),
            Some(changes) if !self.consolidates => self.write(&rows, Some(&changes), next),
            Some(changes) => {
                let (rows, changes) = consolidated(rows, changes)?;
                self.write(&rows, Some(&changes), next)
            }
        }
    }

    fn watermark(&mut self, watermark: i64, _next: &mut Next<'_>) -> Result<()> {
        self.sink.watermark(watermark)?;
        self.sink.flush()
    }

    fn rest(&mut self) -> Result<()> {
        self.sink.flush()
    }

    fn finish(&mut self, _ending: Ending, _next: &mut Next<'_>) -> Result<()> {
        self.sink.finish()
    }
}
