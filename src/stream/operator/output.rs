//! Hands rows to a sink: the end of a pipeline.
//!
//! Invariants  an update of a row to itself goes nowhere: what told old from new has been projected away.

use arrow::array::{BooleanArray, RecordBatch, make_comparator};
use arrow::compute::{SortOptions, filter_record_batch};
use arrow::datatypes::SchemaRef;

use super::{Ending, Next, Operator};
use crate::batch::{Batch, Change};
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

    fn write(&mut self, rows: &RecordBatch, changes: Option<&[Change]>, next: &Next<'_>) -> Result<()> {
        next.count_out(rows.num_rows());
        if rows.num_rows() == 0 { Ok(()) } else { self.sink.write(rows, changes) }
    }
}

/// The rows and changes without updates of a row to itself.
fn without_idle(rows: RecordBatch, changes: Vec<Change>) -> Result<(RecordBatch, Vec<Change>)> {
    let idle = idle_updates(&rows, &changes)?;
    if idle.is_empty() {
        return Ok((rows, changes));
    }
    let mut kept = vec![true; changes.len()];
    idle.iter().for_each(|&row| kept[row..row + 2].fill(false));
    let left = changes.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(change, _)| *change).collect();
    Ok((filter_record_batch(&rows, &BooleanArray::from(kept))?, left))
}

/// The first halves of updates whose second halves are the same rows.
fn idle_updates(rows: &RecordBatch, changes: &[Change]) -> Result<Vec<usize>> {
    let is_pair = |pair: &[Change]| pair == [Change::UPDATE_BEFORE, Change::UPDATE_AFTER];
    let mut pairs: Vec<usize> =
        (0..changes.len().saturating_sub(1)).filter(|&row| is_pair(&changes[row..row + 2])).collect();
    // Results stand behind keys, and it is results that differ.
    for column in rows.columns().iter().rev() {
        if pairs.is_empty() {
            break;
        }
        let compare = make_comparator(column, column, SortOptions::default())?;
        pairs.retain(|&row| compare(row, row + 1).is_eq());
    }
    Ok(pairs)
}

impl Operator for Output {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        let changes = batch.selected_changes();
        let rows = batch.to_record(&self.schema)?;
        match changes {
            None => self.write(&rows, None, next),
            Some(changes) => {
                let (rows, changes) = without_idle(rows, changes)?;
                self.write(&rows, Some(&changes), next)
            }
        }
    }

    fn watermark(&mut self, _watermark: i64, _next: &mut Next<'_>) -> Result<()> {
        self.sink.flush()
    }

    fn rest(&mut self) -> Result<()> {
        self.sink.flush()
    }

    fn finish(&mut self, _ending: Ending, _next: &mut Next<'_>) -> Result<()> {
        self.sink.finish()
    }
}
