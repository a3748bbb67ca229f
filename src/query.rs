//! A query at work, as its owner holds it: rows to pull, a switch, counters.
//!
//! Invariants  dropping a query stops it and waits for its threads; an error comes out once, in place of rows.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::{Arc, Mutex, PoisonError};

use crate::batch::Change;
use crate::error::{Error, Result};
use crate::pipeline::Sink;
use crate::runtime::{Metrics, Running};
use crate::stream::sink::fold::Fold;

/// Batches between a query and its owner.
const BATCHES_WAITING: usize = 4;

/// Some rows of a query's answer.
#[derive(Debug, Clone)]
pub struct Rows {
    pub batch: RecordBatch,
    /// What each row does to the answer; `None`: all are given.
    pub changes: Option<Vec<Change>>,
}

/// A running query. Iterating pulls its rows.
pub struct Query {
    schema: SchemaRef,
    updating: bool,
    rows: Receiver<Rows>,
    running: Option<Running>,
    metrics: Metrics,
}

impl Query {
    pub(crate) fn new(schema: SchemaRef, updating: bool, rows: Receiver<Rows>, running: Running) -> Self {
        Query { schema, updating, rows, running: Some(running), metrics: Metrics::default() }
    }

    /// A query whose answer is there already.
    pub(crate) fn of_rows(batch: RecordBatch) -> Self {
        let (sender, rows) = bounded(1);
        let schema = batch.schema();
        // The receiver is at hand, and the channel has room for one.
        let _ = sender.send(Rows { batch, changes: None });
        Query { schema, updating: false, rows, running: None, metrics: Metrics::default() }
    }

    /// Columns of its rows.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Whether rows may be taken back: then look at [`Rows::changes`], or use [`Query::collect`], which folds them up.
    pub fn is_updating(&self) -> bool {
        self.updating
    }

    /// Stops taking input; rows that are complete still come.
    pub fn cancel(&self) {
        if let Some(running) = &self.running {
            running.cancel();
        }
    }

    /// What it has done so far.
    pub fn metrics(&self) -> Metrics {
        self.running.as_ref().map_or_else(|| self.metrics.clone(), Running::metrics)
    }

    /// The next rows, `None` at the end. Blocks until there are some.
    pub fn next_rows(&mut self) -> Result<Option<Rows>> {
        match self.rows.recv() {
            Ok(rows) => Ok(Some(rows)),
            Err(_) => {
                if let Some(mut running) = self.running.take() {
                    self.metrics = running.wait()?;
                }
                Ok(None)
            }
        }
    }

    /// Runs it to its end; the answer, with everything taken back left out.
    pub fn collect(mut self) -> Result<Vec<RecordBatch>> {
        let collected = Arc::new(Mutex::new(Vec::new()));
        let mut sink: Box<dyn Sink> = Box::new(Collect(collected.clone()));
        if self.updating {
            sink = Box::new(Fold::new(sink, self.schema.clone())?);
        }
        while let Some(rows) = self.next_rows()? {
            sink.write(&rows.batch, rows.changes.as_deref())?;
        }
        sink.finish()?;
        drop(sink);
        let batches = std::mem::take(&mut *collected.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(batches)
    }

    /// Runs it to its end and drops its rows.
    pub fn drain(mut self) -> Result<Metrics> {
        while self.next_rows()?.is_some() {}
        Ok(std::mem::take(&mut self.metrics))
    }
}

impl Iterator for Query {
    type Item = Result<Rows>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_rows().transpose()
    }
}

struct Collect(Arc<Mutex<Vec<RecordBatch>>>);

impl Sink for Collect {
    fn write(&mut self, rows: &RecordBatch, _changes: Option<&[Change]>) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(rows.clone());
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The sink that hands rows to the query's owner.
pub(crate) struct ChannelSink(Sender<Rows>);

/// A sink and the end that its rows come out of.
pub(crate) fn channel() -> (ChannelSink, Receiver<Rows>) {
    let (sender, receiver) = bounded(BATCHES_WAITING);
    (ChannelSink(sender), receiver)
}

impl Sink for ChannelSink {
    fn write(&mut self, rows: &RecordBatch, changes: Option<&[Change]>) -> Result<()> {
        let rows = Rows { batch: rows.clone(), changes: changes.map(<[Change]>::to_vec) };
        // The owner has dropped the query: nobody wants the rest.
        self.0.send(rows).map_err(|_| Error::cancelled())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
