//! A query at work, as its owner holds it: rows to pull, a switch, counters.
//!
//! Invariants  dropping a query stops it and waits for its threads; an error comes out once, in place of rows.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::batch::Change;
use crate::error::{Error, Result};
use crate::pipeline::Sink;
use crate::runtime::{Metrics, PATIENCE, Running, Snapshot};
use crate::stream::sink::channel::{Results, channel};
use crate::stream::sink::fold::Fold;
use crate::stream::sink::memory::MemorySink;

/// Batches that may wait between a query and its owner.
pub(crate) const BATCHES_WAITING: usize = 4;

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
    rows: Results,
    /// Rows that came while a snapshot was taken.
    waiting: VecDeque<Rows>,
    running: Option<Box<Running>>,
    metrics: Metrics,
}

impl Query {
    pub(crate) fn new(schema: SchemaRef, updating: bool, rows: Results, running: Running) -> Self {
        Query {
            schema,
            updating,
            rows,
            waiting: VecDeque::new(),
            running: Some(Box::new(running)),
            metrics: Metrics::default(),
        }
    }

    /// A query whose answer is there already.
    pub(crate) fn of_rows(batch: RecordBatch) -> Self {
        let (mut sink, rows) = channel(1);
        sink.write(&batch, None).expect("the channel has room for one batch, and its receiver is at hand");
        Query {
            schema: batch.schema(),
            updating: false,
            rows,
            waiting: VecDeque::new(),
            running: None,
            metrics: Metrics::default(),
        }
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
        self.running.as_ref().map_or_else(|| self.metrics.clone(), |running| running.metrics())
    }

    /// What it holds now, for [`Engine::resume`](crate::engine::Engine::resume) to go on from. The rows that left before
    /// come from this query, all others from the one that goes on.
    ///
    /// Failure: a query that has come to its end, that failed, or a source that cannot say where it stands.
    pub fn snapshot(&mut self) -> Result<Snapshot> {
        let ended = || Error::user("the query has come to its end; there is nothing to go on from");
        let running = self.running.as_ref().ok_or_else(ended)?;
        running.begin_cut(true);
        let mut begun = Instant::now();
        loop {
            while let Some((batch, changes)) = self.rows.try_next() {
                self.waiting.push_back(Rows { batch, changes });
            }
            if let Some(snapshot) = running.try_snapshot(Duration::from_millis(1))? {
                while let Some((batch, changes)) = self.rows.try_next() {
                    self.waiting.push_back(Rows { batch, changes });
                }
                running.end_cut();
                return Ok(snapshot);
            }
            if begun.elapsed() > PATIENCE {
                running.postpone_cut();
                running.begin_cut(true);
                begun = Instant::now();
            }
        }
    }

    /// The rows that have left and were not pulled yet when the last snapshot was taken: all of them are from before it.
    pub fn take_waiting(&mut self) -> Vec<Rows> {
        self.waiting.drain(..).collect()
    }

    /// The next rows, if some wait; never blocks.
    pub fn try_next_rows(&mut self) -> Option<Rows> {
        let waiting = self.waiting.pop_front();
        waiting.or_else(|| self.rows.try_next().map(|(batch, changes)| Rows { batch, changes }))
    }

    /// The next rows, `None` at the end. Blocks until there are some.
    pub fn next_rows(&mut self) -> Result<Option<Rows>> {
        if let Some(rows) = self.waiting.pop_front() {
            return Ok(Some(rows));
        }
        match self.rows.next() {
            Some((batch, changes)) => Ok(Some(Rows { batch, changes })),
            None => {
                if let Some(mut running) = self.running.take() {
                    self.metrics = running.wait()?;
                }
                Ok(None)
            }
        }
    }

    /// Runs it to its end; the answer, with everything taken back left out.
    pub fn collect(mut self) -> Result<Vec<RecordBatch>> {
        let (sink, collected) = MemorySink::new();
        let mut sink: Box<dyn Sink> = Box::new(sink);
        if self.updating {
            sink = Box::new(Fold::new(sink, self.schema.clone())?);
        }
        while let Some(rows) = self.next_rows()? {
            sink.write(&rows.batch, rows.changes.as_deref())?;
        }
        sink.finish()?;
        Ok(collected.take_batches())
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
