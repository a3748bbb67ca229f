//! Rows are collected in a list that the caller holds.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;

use super::Rows;
use crate::batch::Change;
use crate::error::Result;
use crate::pipeline::Sink;
use crate::stream::encode::changes::settle;

/// What a [`MemorySink`] has collected so far.
#[derive(Debug, Clone, Default)]
pub struct Collected(Arc<Mutex<Vec<Rows>>>);

impl Collected {
    /// Takes what there is; the list is empty afterwards.
    pub fn take(&self) -> Vec<Rows> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Collects rows.
#[derive(Debug, Default)]
pub struct MemorySink {
    collected: Collected,
}

impl Collected {
    /// Takes the batches of rows that are all given.
    ///
    /// Invariants: whoever wrote them has folded changes up before.
    pub fn take_batches(&self) -> Vec<RecordBatch> {
        let batch = |(batch, changes): Rows| {
            debug_assert!(changes.is_none(), "changes are folded up before");
            batch
        };
        self.take().into_iter().map(batch).collect()
    }
}

impl MemorySink {
    /// A sink and the list it fills.
    pub fn new() -> (MemorySink, Collected) {
        let sink = MemorySink::default();
        let collected = sink.collected.clone();
        (sink, collected)
    }
}

impl Sink for MemorySink {
    fn write(&mut self, rows: &RecordBatch, changes: Option<&[Change]>) -> Result<()> {
        let rows = (rows.clone(), changes.map(settle));
        self.collected.0.lock().unwrap_or_else(PoisonError::into_inner).push(rows);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
