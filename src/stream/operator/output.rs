//! Hands rows to a sink: the end of a pipeline.

use arrow::datatypes::SchemaRef;

use super::{Ending, Next, Operator};
use crate::batch::Batch;
use crate::error::Result;
use crate::pipeline::Sink;

/// The last operator of a query.
pub struct Output {
    sink: Box<dyn Sink>,
    schema: SchemaRef,
}

impl Output {
    pub fn new(sink: Box<dyn Sink>, schema: SchemaRef) -> Self {
        Output { sink, schema }
    }
}

impl Operator for Output {
    fn push(&mut self, _port: usize, batch: &mut Batch, _next: &mut Next<'_>) -> Result<()> {
        let changes = batch.selected_changes();
        let rows = batch.to_record(&self.schema)?;
        self.sink.write(&rows, changes.as_deref())
    }

    fn watermark(&mut self, _watermark: i64, _next: &mut Next<'_>) -> Result<()> {
        self.sink.flush()
    }

    fn finish(&mut self, _ending: Ending, _next: &mut Next<'_>) -> Result<()> {
        self.sink.finish()
    }
}
