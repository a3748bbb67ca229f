//! Tables whose rows follow from their numbers: ranges of row numbers handed out as morsels, filled on any thread.
//!
//! Place       under `datagen` and `nexmark`, which only say what a range of rows looks like.
//! Owns        per scan, the next row number. One source partition.
//! Invariants  every row number is handed out once, in order; a row does not depend on the batch it lies in.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::{StringViewArray, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::compute::take;
use arrow::datatypes::SchemaRef;

use super::options::Pace;
use crate::batch::{Batch, Column, Flat, Kind, Values};
use crate::error::{Error, Result};
use crate::pipeline::{
    Morsel, Progress, Reader, RowPlace, Scan, ScanRequest, SystemColumn, Table, Take, same_partitions,
};
use crate::time::START;

/// Batches per morsel of a bounded table, at most; of an unbounded one, always fewer.
const MORSEL_BATCHES_BOUNDED: u64 = 16;
const MORSEL_BATCHES_UNBOUNDED: u64 = 4;
/// A bounded table is cut into at least this many morsels per worker, if it has the rows.
const MORSELS_PER_WORKER: u64 = 4;

/// What rows look like, given their numbers.
pub trait RowSource: Debug + Send + Sync + 'static {
    fn schema(&self) -> SchemaRef;

    /// How many rows there are; `None` when they do not end.
    fn rows(&self) -> Option<u64>;

    /// How many rows have come up when `elapsed` of event time has passed.
    fn rows_due(&self, elapsed: Duration) -> u64;

    /// A few words for EXPLAIN.
    fn describe(&self) -> String;

    /// Whether a column never falls from one row to the next.
    fn is_ascending(&self, column: usize) -> bool {
        let _ = column;
        false
    }

    /// Fills one column of the table with `rows`.
    ///
    /// Shapes: `out` holds a column of an earlier batch whose memory may be reused, and afterwards one of `rows`.
    fn fill(&self, column: usize, rows: Range<u64>, scratch: &mut Scratch, out: &mut Column) -> Result<()>;
}

/// A table of generated rows.
#[derive(Debug)]
pub struct RowTable<S> {
    source: Arc<S>,
    pace: Pace,
}

impl<S: RowSource> RowTable<S> {
    pub fn new(source: S, pace: Pace) -> Self {
        RowTable { source: Arc::new(source), pace }
    }
}

impl<S: RowSource> Table for RowTable<S> {
    fn schema(&self) -> SchemaRef {
        self.source.schema()
    }

    fn is_bounded(&self) -> bool {
        self.source.rows().is_some()
    }

    fn describe(&self) -> String {
        self.source.describe()
    }

    fn system_columns(&self) -> &[SystemColumn] {
        &[SystemColumn::Partition, SystemColumn::Offset]
    }

    fn row_count(&self) -> Option<u64> {
        self.source.rows()
    }

    fn open(&self, request: &ScanRequest) -> Result<Arc<dyn Scan>> {
        let fetch = request.fetch.map(|rows| rows as u64);
        let rows = match (self.source.rows(), fetch) {
            (Some(rows), Some(fetch)) => Some(rows.min(fetch)),
            (rows, fetch) => rows.or(fetch),
        };
        let event_time = request.event_time.map(|column| request.projection[column]);
        Ok(Arc::new(RowScan {
            source: self.source.clone(),
            rows,
            projection: request.projection.clone().into(),
            event_time: event_time.filter(|&column| self.source.is_ascending(column)),
            batch_rows: request.batch_rows as u64,
            morsel_rows: morsel_rows(rows, request),
            started: (self.pace == Pace::Realtime).then(Instant::now),
            cursor: Mutex::default(),
            progress: Arc::default(),
        }))
    }
}

/// Rows per morsel: whole batches, and for a bounded table enough morsels to keep every worker busy.
fn morsel_rows(rows: Option<u64>, request: &ScanRequest) -> u64 {
    let batch_rows = request.batch_rows as u64;
    let Some(rows) = rows else { return batch_rows * MORSEL_BATCHES_UNBOUNDED };
    let morsels = request.partitions.max(1) as u64 * MORSELS_PER_WORKER;
    batch_rows * rows.div_ceil(morsels).div_ceil(batch_rows).clamp(1, MORSEL_BATCHES_BOUNDED)
}

struct RowScan<S> {
    source: Arc<S>,
    rows: Option<u64>,
    projection: Arc<[usize]>,
    /// The event time, if it ascends.
    event_time: Option<usize>,
    batch_rows: u64,
    morsel_rows: u64,
    /// When the first row was due, at a realtime pace.
    started: Option<Instant>,
    cursor: Mutex<Cursor>,
    progress: Arc<Progress>,
}

/// What has been handed out.
#[derive(Default)]
struct Cursor {
    row: u64,
    /// The row it began with, which was due then.
    base: u64,
    sequence: u64,
    ended: bool,
}

impl<S: RowSource> Scan for RowScan<S> {
    fn take(&self) -> Result<Take> {
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        if cursor.ended || self.progress.stopped.load(Ordering::Relaxed) {
            return Ok(Take::End);
        }
        let mut end = cursor.row.saturating_add(self.morsel_rows).min(self.rows.unwrap_or(u64::MAX));
        if let Some(started) = self.started {
            let due = cursor.base.saturating_add(self.source.rows_due(started.elapsed()));
            end = end.min(due);
            if end <= cursor.row && self.rows != Some(cursor.row) {
                return Ok(Take::Pending);
            }
        }
        let rows = cursor.row..end;
        let sequence = cursor.sequence;
        cursor.row = end;
        cursor.sequence += 1;
        cursor.ended = self.rows == Some(end);
        let is_last = cursor.ended;
        drop(cursor);
        let reader = RowReader {
            source: self.source.clone(),
            rows,
            batch_rows: self.batch_rows,
            projection: self.projection.clone(),
            event_time: self.event_time,
            scratch: Scratch::default(),
            place: RowPlace { next: 0, rows: 0, time: None },
            progress: self.progress.clone(),
        };
        Ok(Take::Morsel(Morsel { partition: 0, sequence, is_last, reader: Box::new(reader) }))
    }

    fn source_partitions(&self) -> usize {
        1
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn position(&self) -> Result<Vec<u64>> {
        Ok(vec![self.cursor.lock().unwrap_or_else(PoisonError::into_inner).row])
    }

    fn seek(&self, position: &[u64]) -> Result<()> {
        same_partitions(position, 1)?;
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        if self.rows.is_some_and(|rows| rows < position[0]) {
            return Err(Error::user("the source has fewer rows now than were read when the snapshot was taken"));
        }
        (cursor.row, cursor.base) = (position[0], position[0]);
        Ok(())
    }
}

struct RowReader<S> {
    source: Arc<S>,
    rows: Range<u64>,
    batch_rows: u64,
    projection: Arc<[usize]>,
    event_time: Option<usize>,
    scratch: Scratch,
    place: RowPlace,
    progress: Arc<Progress>,
}

impl<S: RowSource> Reader for RowReader<S> {
    fn system(&self, column: SystemColumn) -> Option<Column> {
        self.place.column(column)
    }

    fn latest(&self) -> Result<Option<i64>> {
        let Some(column) = self.event_time else { return Ok(None) };
        let mut last = Column::default();
        let row = self.rows.end.saturating_sub(1).max(self.rows.start);
        self.source.fill(column, row..self.rows.end, &mut Scratch::default(), &mut last)?;
        Ok(Some(flat_i64(&mut last, (self.rows.end - row) as usize).first().copied().unwrap_or(START)))
    }

    fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        if self.rows.is_empty() || self.progress.stopped.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let end = self.rows.end.min(self.rows.start + self.batch_rows);
        let rows = self.rows.start..end;
        batch.columns.resize_with(self.projection.len(), Column::default);
        for (out, &column) in batch.columns.iter_mut().zip(self.projection.iter()) {
            self.source.fill(column, rows.clone(), &mut self.scratch, out)?;
        }
        batch.rows = (rows.end - rows.start) as usize;
        self.rows.start = end;
        self.place = RowPlace { next: end, rows: batch.rows, time: None };
        self.progress.add_rows(batch.rows);
        Ok(true)
    }
}

/// Memory a reader keeps between batches.
#[derive(Debug, Default)]
pub struct Scratch {
    picks: Vec<u32>,
}

impl Scratch {
    /// Makes a string column by picking from a pool: `write` says which entry each row takes.
    ///
    /// The strings themselves are not copied: a row costs its 16-byte view, long ones point into the pool.
    pub fn pick(
        &mut self,
        pool: &StringViewArray,
        rows: usize,
        nulls: Option<NullBuffer>,
        out: &mut Column,
        write: impl FnOnce(&mut [u32]),
    ) -> Result<()> {
        let mut picks = std::mem::take(&mut self.picks);
        picks.resize(rows, 0);
        write(&mut picks);
        let picks = UInt32Array::new(picks.into(), nulls);
        *out = Column::Array(take(pool, &picks, None)?);
        let (_, memory, _) = picks.into_parts();
        self.picks = memory.into_inner().into_vec().unwrap_or_default();
        Ok(())
    }
}

/// Lends the flat values of `out`, of machine form `kind`, to be written for `rows` rows without nulls.
///
/// Panics: when `kind` has no flat form.
pub fn flat(out: &mut Column, kind: Kind, rows: usize) -> &mut Flat {
    let fresh = || kind.values().expect("asked for flat kinds only");
    let flat = out.flat_mut(|values| values.kind() == kind, fresh);
    flat.rows = rows;
    flat.set_all_valid();
    flat
}

/// Lends the values of `out` as `i64`, to be written for `rows` rows without nulls.
pub fn flat_i64(out: &mut Column, rows: usize) -> &mut [i64] {
    match &mut flat(out, Kind::I64, rows).values {
        Values::I64(values) => {
            values.resize(rows, 0);
            values
        }
        _ => unreachable!("made so above"),
    }
}
