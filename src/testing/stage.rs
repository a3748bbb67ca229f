//! Tables and sinks that a script moves: what it pushes is what they read, what they are given is written down.
//!
//! Owns        a log of events per source partition; every scan reads it from its beginning.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::batch::{Batch, Change, Column, engine_schema};
use crate::error::{Error, Result};
use crate::pipeline::{
    Changelog, Connectors, Morsel, Progress, Reader, RowPlace, Scan, ScanRequest, Sink, SystemColumn, Table,
    TableDefinition, Take, same_partitions,
};

/// How a scripted table is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Source partitions, each with an order and a watermark of its own.
    pub partitions: usize,
    /// Whether the planner takes it for input that ends.
    pub bounded: bool,
    /// Whether rows may be taken back: each that is equals one given before.
    pub retracts: bool,
}

impl Default for Source {
    fn default() -> Self {
        Source { partitions: 1, bounded: false, retracts: false }
    }
}

/// Something that a source partition goes through.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// What each row does; `None`: all are added.
    Rows(RecordBatch, Option<Vec<Change>>),
    /// The source says that no row before it will come, in ticks.
    Watermark(i64),
    End,
}

/// What a query has put out at once.
#[derive(Debug, Clone)]
pub(super) struct Emission {
    /// The sink's name; `None`: the query's own rows.
    pub(super) sink: Option<String>,
    pub(super) rows: RecordBatch,
    pub(super) changes: Option<Vec<Change>>,
}

/// All that scripted tables and sinks share.
#[derive(Debug, Default)]
pub(super) struct Stage {
    sources: Mutex<BTreeMap<String, Arc<ScriptedTable>>>,
    emitted: Mutex<Vec<Emission>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stage {
    /// The table that a definition has opened.
    pub(super) fn table(&self, name: &str) -> Result<Arc<ScriptedTable>> {
        let known = lock(&self.sources);
        known.get(name).cloned().ok_or_else(|| {
            Error::user(format!("no query reads a scripted table of this name: {name}; declare it as a source"))
        })
    }

    /// Takes what was put out since it was last asked.
    pub(super) fn take_emitted(&self) -> Vec<Emission> {
        std::mem::take(&mut *lock(&self.emitted))
    }

    /// A sink that writes down what it is given.
    pub(super) fn recorder(self: &Arc<Self>, sink: Option<String>) -> Box<dyn Sink> {
        Box::new(Recorder { stage: self.clone(), sink })
    }
}

/// Opens scripted tables and sinks by the options that the driver binds them with.
pub(super) struct ScriptConnector(pub(super) Arc<Stage>);

impl Connectors for ScriptConnector {
    fn table(&self, definition: &TableDefinition) -> Result<Arc<dyn Table>> {
        let name = definition.name.clone();
        // A fresh engine goes on with the table of the one before.
        if let Some(known) = lock(&self.0.sources).get(&name) {
            return Ok(Arc::new(Shared(known.clone())));
        }
        let schema = definition.schema.as_ref().ok_or_else(|| {
            Error::user(format!("a scripted table must say its columns: {name}; use CREATE TABLE {name} (...)"))
        })?;
        let number = |key: &str| definition.options.get(key).and_then(|text| text.parse().ok());
        let partitions: usize = number("partitions").unwrap_or(1);
        let bounded = definition.options.get("bounded").is_some_and(|text| text == "true");
        let logs = (0..partitions.max(1)).map(|_| Vec::new()).collect();
        let retracts = definition.options.get("retracts").is_some_and(|text| text == "true");
        let changelog = match (retracts, definition.primary_key.is_empty()) {
            (true, true) => Changelog::Retract,
            (true, false) => {
                let message = "a scripted table has rows that are taken back, or a PRIMARY KEY whose last row counts";
                return Err(Error::user(format!("{message}: {name}")));
            }
            (false, true) => Changelog::Append,
            (false, false) => Changelog::Upsert,
        };
        let schema = engine_schema(schema);
        let table = Arc::new(ScriptedTable { schema, bounded, changelog, logs: Mutex::new(logs) });
        lock(&self.0.sources).insert(name, table.clone());
        Ok(Arc::new(Shared(table)))
    }

    fn sink(&self, definition: &TableDefinition, _: SchemaRef, _: bool) -> Result<Box<dyn Sink>> {
        Ok(self.0.recorder(Some(definition.name.clone())))
    }
}

/// A table that reads what a script pushes.
pub(super) struct ScriptedTable {
    schema: SchemaRef,
    bounded: bool,
    changelog: Changelog,
    logs: Mutex<Vec<Vec<Event>>>,
}

impl fmt::Debug for ScriptedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedTable").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl ScriptedTable {
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Whether rows may go.
    pub(super) fn changes(&self) -> bool {
        self.changelog != Changelog::Append
    }

    pub(super) fn partitions(&self) -> usize {
        lock(&self.logs).len()
    }

    /// Failure: a partition the table does not have, or one that has ended; rows that go from a table whose rows stay.
    pub(super) fn add(&self, partition: usize, event: Event) -> Result<()> {
        if let Event::Rows(_, Some(_)) = &event
            && self.changelog == Changelog::Append
        {
            return Err(Error::user("rows of this table stay; with a PRIMARY KEY they come and go"));
        }
        let mut logs = lock(&self.logs);
        let count = logs.len();
        let log = logs.get_mut(partition).ok_or_else(|| {
            Error::user(format!("the table has no such source partition: {partition}; it has {count}, from 0"))
        })?;
        match (log.last(), event) {
            (Some(Event::End), Event::End) => Ok(()),
            (Some(Event::End), _) => Err(Error::user(format!("the source partition has ended: {partition}"))),
            (_, event) => {
                log.push(event);
                Ok(())
            }
        }
    }
}

/// The table as queries hold it.
#[derive(Debug)]
struct Shared(Arc<ScriptedTable>);

impl Table for Shared {
    fn schema(&self) -> SchemaRef {
        self.0.schema.clone()
    }

    fn is_bounded(&self) -> bool {
        self.0.bounded
    }

    fn describe(&self) -> String {
        "script".to_string()
    }

    fn changelog(&self) -> Changelog {
        self.0.changelog
    }

    fn system_columns(&self) -> &[SystemColumn] {
        &[SystemColumn::Partition, SystemColumn::Offset]
    }

    fn open(&self, request: &ScanRequest) -> Result<Arc<dyn Scan>> {
        let cursors = vec![Cursor::default(); self.0.partitions()];
        let (table, projection) = (self.0.clone(), request.projection.clone());
        let (progress, batch_rows) = (Arc::new(Progress::default()), request.batch_rows.max(1));
        Ok(Arc::new(ScriptedScan { table, projection, batch_rows, cursors: Arc::new(Mutex::new(cursors)), progress }))
    }
}

/// How far a scan has come in a partition.
#[derive(Debug, Clone, Default)]
struct Cursor {
    next: usize,
    /// Where the scan began: morsels are numbered from there.
    first: usize,
    /// Whether a morsel is being read: the next one waits for it, to keep the order.
    reading: bool,
    ended: bool,
}

struct ScriptedScan {
    table: Arc<ScriptedTable>,
    projection: Vec<usize>,
    batch_rows: usize,
    cursors: Arc<Mutex<Vec<Cursor>>>,
    progress: Arc<Progress>,
}

impl Scan for ScriptedScan {
    fn take(&self) -> Result<Take> {
        self.take_of(&|_| true)
    }

    fn take_of(&self, may: &dyn Fn(usize) -> bool) -> Result<Take> {
        let logs = lock(&self.table.logs);
        let mut cursors = lock(&self.cursors);
        for (partition, (cursor, log)) in cursors.iter_mut().zip(logs.iter()).enumerate() {
            let Some(event) = log.get(cursor.next).filter(|_| !cursor.reading && may(partition)) else { continue };
            let sequence = (cursor.next - cursor.first) as u64;
            cursor.next += 1;
            cursor.reading = true;
            let is_last = matches!(event, Event::End);
            cursor.ended = is_last;
            let (rows, watermark) = match event {
                Event::Rows(rows, changes) => (Some((rows.project(&self.projection)?, changes.clone())), None),
                Event::Watermark(watermark) => (None, Some(*watermark)),
                Event::End => (None, None),
            };
            let before = log[..cursor.next - 1].iter().map(|event| match event {
                Event::Rows(rows, _) => rows.num_rows() as u64,
                _ => 0,
            });
            let place = RowPlace { next: before.sum(), rows: 0, time: None };
            let (cursors, progress) = (self.cursors.clone(), self.progress.clone());
            let reader =
                ScriptedReader { rows, watermark, batch_rows: self.batch_rows, partition, place, cursors, progress };
            return Ok(Take::Morsel(Morsel { partition, sequence, is_last, reader: Box::new(reader) }));
        }
        Ok(if cursors.iter().all(|cursor| cursor.ended) { Take::End } else { Take::Pending })
    }

    fn source_partitions(&self) -> usize {
        self.table.partitions()
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn position(&self) -> Result<Vec<u64>> {
        Ok(lock(&self.cursors).iter().map(|cursor| cursor.next as u64).collect())
    }

    fn seek(&self, position: &[u64]) -> Result<()> {
        let logs = lock(&self.table.logs);
        same_partitions(position, logs.len())?;
        for ((cursor, log), &next) in lock(&self.cursors).iter_mut().zip(logs.iter()).zip(position) {
            let next = next as usize;
            // The end of a partition is told again.
            let ended = next > 0 && matches!(log.get(next - 1), Some(Event::End));
            cursor.next = next - usize::from(ended);
            cursor.first = cursor.next;
        }
        Ok(())
    }
}

struct ScriptedReader {
    rows: Option<(RecordBatch, Option<Vec<Change>>)>,
    watermark: Option<i64>,
    batch_rows: usize,
    partition: usize,
    place: RowPlace,
    cursors: Arc<Mutex<Vec<Cursor>>>,
    progress: Arc<Progress>,
}

impl Reader for ScriptedReader {
    fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        let Some((rows, changes)) = self.rows.take().filter(|(rows, _)| rows.num_rows() > 0) else { return Ok(false) };
        let count = rows.num_rows().min(self.batch_rows);
        *batch = Batch::from_record(&rows.slice(0, count));
        batch.changes = changes.as_ref().map(|changes| changes[..count].to_vec());
        let left = changes.map(|changes| changes[count..].to_vec());
        self.rows = Some((rows.slice(count, rows.num_rows() - count), left));
        self.progress.add_rows(count);
        self.place.pass(count);
        Ok(true)
    }

    fn system(&self, column: SystemColumn) -> Option<Column> {
        self.place.column(column)
    }

    fn watermark(&self) -> Option<i64> {
        self.watermark
    }
}

impl Drop for ScriptedReader {
    fn drop(&mut self) {
        lock(&self.cursors)[self.partition].reading = false;
    }
}

/// Writes down what it is given.
struct Recorder {
    stage: Arc<Stage>,
    sink: Option<String>,
}

impl Sink for Recorder {
    fn write(&mut self, rows: &RecordBatch, changes: Option<&[Change]>) -> Result<()> {
        let (sink, rows, changes) = (self.sink.clone(), rows.clone(), changes.map(<[Change]>::to_vec));
        lock(&self.stage.emitted).push(Emission { sink, rows, changes });
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
