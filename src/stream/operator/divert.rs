//! Rows that are late for all their windows leave sideways, with all their columns.
//!
//! Place       below a windowed aggregate, before anything takes columns away.
//! Invariants  a row goes one of the two ways, never both; what goes sideways is counted as late here and nowhere else.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};

use super::assign::{Assigner, Placed};
use super::{Ending, Next, Operator};
use crate::batch::Batch;
use crate::error::Result;
use crate::expression::{Evaluator, Program};
use crate::function::KernelContext;
use crate::pipeline::DivertSpec;
use crate::stream::sink::side::SideSink;
use crate::time::{Bounds, START};

/// A running side exit.
pub struct Divert {
    assigner: Assigner,
    found: Vec<Bounds>,
    times: Evaluator,
    schema: SchemaRef,
    sink: Option<SideSink>,
    late: Vec<u16>,
    kept: Vec<u16>,
    late_rows: u64,
}

impl Divert {
    /// Without a sink, late rows are counted and go nowhere.
    pub fn new(spec: &DivertSpec, schema: SchemaRef, sink: Option<SideSink>, context: KernelContext) -> Result<Self> {
        let time_type: DataType = schema.field(spec.column).data_type().clone();
        let assigner = Assigner::new(&spec.kind, &time_type)?;
        let times = Program::columns(&[(spec.column, time_type)]);
        if let Some(sink) = &sink {
            sink.open();
        }
        Ok(Divert {
            assigner,
            found: Vec::new(),
            times: Evaluator::new(Arc::new(times), context),
            schema,
            sink,
            late: Vec::new(),
            kept: Vec::new(),
            late_rows: 0,
        })
    }

    /// Lists the selected rows that are late for all their windows, and the others.
    fn part(&mut self, batch: &Batch) -> Result<()> {
        self.late.clear();
        self.kept.clear();
        let Some(watermarks) = batch.selected_watermarks() else { return Ok(()) };
        self.times.run(batch)?;
        let times = self.times.output(batch, 0);
        let values = times.values::<i64>()?;
        for (row, &watermark) in watermarks.iter().enumerate() {
            let time = if times.is_constant() { values[0] } else { values[row] };
            let is_late = watermark != START
                && !times.is_null(row)
                && self.assigner.windows(time, watermark, &mut self.found) == Placed::Late;
            self.found.clear();
            if is_late { &mut self.late } else { &mut self.kept }.push(row as u16);
        }
        Ok(())
    }
}

impl Operator for Divert {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        self.part(batch)?;
        if self.late.is_empty() {
            return next.push(batch);
        }
        self.late_rows += self.late.len() as u64;
        if let Some(sink) = &self.sink {
            let mut late = Batch { rows: batch.rows, ..Batch::default() };
            late.selection.clone_from(&batch.selection);
            late.selection.narrow(&self.late);
            let physical: Vec<u16> = late.selection.as_slice().map_or_else(Vec::new, <[u16]>::to_vec);
            late.selection.clear();
            late.columns.resize_with(batch.columns.len(), Default::default);
            for (from, into) in batch.columns.iter().zip(&mut late.columns) {
                from.gather_into(&physical, into)?;
            }
            late.rows = physical.len();
            let rows = late.to_record(&self.schema)?;
            sink.write(&rows)?;
        }
        batch.selection.narrow(&self.kept);
        next.push(batch)
    }

    fn rest(&mut self) -> Result<()> {
        self.sink.as_ref().map_or(Ok(()), SideSink::flush)
    }

    fn finish(&mut self, _ending: Ending, _next: &mut Next<'_>) -> Result<()> {
        self.sink.as_ref().map_or(Ok(()), SideSink::finish)
    }

    fn late_rows(&self) -> u64 {
        self.late_rows
    }
}
