//! A table that the program around the engine pushes record batches into.
//!
//! Place       the embedder holds `PushHandle`s, the catalog holds the `PushTable`.
//! Owns        a bounded queue per handle; each handle is a source partition.
//! Invariants  a queue holds at most its bound, or one batch; one scan at a time; what was pushed before a scan
//!             starts waits for it. Dropping a handle closes it; when all are closed and read, the scan ends.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;

use super::fit::Fit;
use super::records::{ReadPlan, RecordReader, Records};
use crate::batch::{Batch, Change, Column, engine_schema};
use crate::error::{Error, Result};
use crate::pipeline::{
    Changelog, Morsel, Progress, Reader, RowPlace, Scan, ScanRequest, SystemColumn, Table, Take, same_partitions,
};

/// How much a queue holds before it is full.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    pub rows: usize,
    pub bytes: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Capacity { rows: 1 << 20, bytes: 64 << 20 }
    }
}

/// Why a batch was not taken.
#[derive(Debug)]
pub enum TryPush {
    /// The queue is full; here is the batch back.
    Full(RecordBatch),
    /// The query that read the table has ended, or the table is gone, or the handle was closed.
    Closed,
    /// The batch does not have the table's columns.
    Mismatch(Error),
}

/// Makes a table and the handle that pushes into it.
pub fn channel(schema: SchemaRef, capacity: Capacity) -> (PushHandle, PushTable) {
    let (mut handles, table) = channels(schema, 1, capacity);
    (handles.remove(0), table)
}

/// Makes a table and several handles, each a source partition with a watermark of its own.
pub fn channels(schema: SchemaRef, handles: usize, capacity: Capacity) -> (Vec<PushHandle>, PushTable) {
    changing(schema, handles, capacity, Changelog::Append)
}

/// The same, of a table whose rows come and go. Upserts want the rows of a key from one handle.
pub fn changing(
    schema: SchemaRef,
    handles: usize,
    capacity: Capacity,
    changelog: Changelog,
) -> (Vec<PushHandle>, PushTable) {
    with_system(schema, &[], handles, capacity, changelog)
}

/// The same, of a table that knows more of its rows: what is pushed has, behind the table's columns, one for each of
/// `system` in this order, of its type or one that can be cast to it. SQL reads them by their names.
pub fn with_system(
    schema: SchemaRef,
    system: &[SystemColumn],
    handles: usize,
    capacity: Capacity,
    changelog: Changelog,
) -> (Vec<PushHandle>, PushTable) {
    let queue = || Queue {
        batches: VecDeque::new(),
        position: 0,
        rows: 0,
        bytes: 0,
        closed: false,
        taken: 0,
        reading: false,
        ended: false,
    };
    let state = State { queues: (0..handles).map(|_| queue()).collect(), reader: Readership::Awaited };
    let shared = Shared {
        schema: engine_schema(&schema),
        system: system.to_vec(),
        has: OWN.iter().filter(|own| !system.contains(own)).chain(system).copied().collect(),
        changelog,
        capacity,
        state: Mutex::new(state),
        room: Condvar::new(),
        waker: Mutex::default(),
        worker_waker: Mutex::default(),
    };
    let shared = Arc::new(shared);
    let handle = |partition| PushHandle { shared: shared.clone(), partition };
    ((0..handles).map(handle).collect(), PushTable { shared: shared.clone() })
}

/// What every pushed row has: an offset counts the rows that were pushed into the handle.
const OWN: [SystemColumn; 2] = [SystemColumn::Partition, SystemColumn::Offset];

struct Shared {
    schema: SchemaRef,
    /// What is pushed behind the columns of the schema.
    system: Vec<SystemColumn>,
    /// All that is known of a row beside its columns.
    has: Vec<SystemColumn>,
    changelog: Changelog,
    capacity: Capacity,
    state: Mutex<State>,
    /// Signalled when a queue has room again, and when nobody reads any more.
    room: Condvar,
    waker: Mutex<Option<Arc<dyn Fn() + Send + Sync>>>,
    /// The same for the workers of the running query.
    worker_waker: Mutex<Option<Arc<dyn Fn() + Send + Sync>>>,
}

struct State {
    queues: Vec<Queue>,
    reader: Readership,
}

/// Who reads.
#[derive(Debug, PartialEq, Eq)]
enum Readership {
    /// Nobody yet: what is pushed waits.
    Awaited,
    Running,
    /// Nobody any more, until a scan starts anew.
    Gone,
}

/// What was pushed at a time.
struct Pushed {
    rows: RecordBatch,
    /// What is known of them beside their columns.
    system: Vec<ArrayRef>,
    /// What each row does; `None`: all are given.
    changes: Option<Vec<Change>>,
}

struct Queue {
    batches: VecDeque<Pushed>,
    /// Rows that were handed out, those before a snapshot counted in.
    position: u64,
    rows: usize,
    bytes: usize,
    closed: bool,
    /// Morsels handed out to the running scan.
    taken: u64,
    /// Whether a morsel is being read: the next one waits for it, to keep the order.
    reading: bool,
    /// Whether the last morsel was handed out.
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows of the table, and what is known of them beside.
    fn split(&self, batch: &RecordBatch) -> Result<(RecordBatch, Vec<ArrayRef>)> {
        if self.system.is_empty() {
            return Ok((batch.clone(), Vec::new()));
        }
        let own = self.schema.fields().len();
        if batch.num_columns() != own + self.system.len() {
            let names: Vec<&str> = self.system.iter().map(|column| column.name()).collect();
            let message = "columns are wanted behind the table's own";
            return Err(Error::user(format!(
                "{} {message}, in all {}: a batch has {}",
                names.join(", "),
                own + names.len(),
                batch.num_columns()
            )));
        }
        let known = self.system.iter().zip(&batch.columns()[own..]).map(|(column, array)| {
            cast(array, &column.data_type()).map_err(|e| Error::user(format!("{} cannot be read: {e}", column.name())))
        });
        Ok((batch.project(&(0..own).collect::<Vec<_>>())?, known.collect::<Result<_>>()?))
    }

    fn wake_reader(&self) {
        for waker in [&self.waker, &self.worker_waker] {
            let waker = waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(waker) = waker {
                waker();
            }
        }
    }
}

impl Queue {
    fn is_full(&self, capacity: Capacity) -> bool {
        !self.batches.is_empty() && (self.rows >= capacity.rows || self.bytes >= capacity.bytes)
    }
}

/// Pushes record batches into a [`PushTable`].
pub struct PushHandle {
    shared: Arc<Shared>,
    partition: usize,
}

impl PushHandle {
    /// Pushes a batch, unless the queue is full.
    pub fn try_push(&self, batch: RecordBatch) -> Result<(), TryPush> {
        self.put(batch, None, false)
    }

    /// Pushes a batch of changes, unless the queue is full. Shapes: `changes` has one for each row.
    pub fn try_push_changes(&self, batch: RecordBatch, changes: &[Change]) -> Result<(), TryPush> {
        self.put(batch, Some(changes), false)
    }

    /// Pushes a batch of changes, and waits while the queue is full. Shapes: `changes` has one for each row.
    pub fn push_changes(&self, batch: RecordBatch, changes: &[Change]) -> Result<(), TryPush> {
        self.put(batch, Some(changes), true)
    }

    /// Pushes a batch, and waits while the queue is full.
    pub fn push(&self, batch: RecordBatch) -> Result<(), TryPush> {
        self.put(batch, None, true)
    }

    fn put(&self, batch: RecordBatch, changes: Option<&[Change]>, wait: bool) -> Result<(), TryPush> {
        self.check(&batch, changes).map_err(TryPush::Mismatch)?;
        let (rows, system) = self.shared.split(&batch).map_err(TryPush::Mismatch)?;
        Fit::by_position(&self.shared.schema, rows.schema_ref()).map_err(TryPush::Mismatch)?;
        let mut state = self.shared.lock();
        loop {
            if state.reader == Readership::Gone || state.queues[self.partition].closed {
                return Err(TryPush::Closed);
            }
            if !state.queues[self.partition].is_full(self.shared.capacity) {
                break;
            }
            if !wait {
                return Err(TryPush::Full(batch));
            }
            state = self.shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        // Rows that stay are all given: nobody behind them counts with changes.
        let changes = changes.filter(|_| self.shared.changelog != Changelog::Append);
        let queue = &mut state.queues[self.partition];
        queue.rows += batch.num_rows();
        queue.bytes += batch.get_array_memory_size();
        queue.batches.push_back(Pushed { rows, system, changes: changes.map(<[Change]>::to_vec) });
        drop(state);
        self.shared.wake_reader();
        Ok(())
    }

    /// How many of the pushed rows the query has taken; of a query that goes on from a snapshot, from its very beginning.
    /// Rows pushed behind this are not in a snapshot taken now, and have to be pushed again to whoever goes on from it.
    pub fn position(&self) -> u64 {
        self.shared.lock().queues[self.partition].position
    }

    fn check(&self, batch: &RecordBatch, changes: Option<&[Change]>) -> Result<()> {
        let Some(changes) = changes else { return Ok(()) };
        if changes.len() != batch.num_rows() {
            let message = "a change is wanted for each row";
            return Err(Error::user(format!("{message}: {} changes, {} rows", changes.len(), batch.num_rows())));
        }
        if self.shared.changelog == Changelog::Append && changes.iter().any(|change| change.is_retraction()) {
            return Err(Error::user("rows of this table stay; register it as one that changes, to take rows back"));
        }
        Ok(())
    }

    /// Says that nothing more comes. What was pushed is still read.
    pub fn close(&self) {
        self.shared.lock().queues[self.partition].closed = true;
        self.shared.room.notify_all();
        self.shared.wake_reader();
    }
}

impl Drop for PushHandle {
    fn drop(&mut self) {
        self.close();
    }
}

/// The table that handles push into. Unbounded; read by one query at a time.
pub struct PushTable {
    shared: Arc<Shared>,
}

impl PushTable {
    /// Has `waker` called after each push and close, so that a reader need not look around.
    pub fn set_waker(&self, waker: Arc<dyn Fn() + Send + Sync>) {
        *self.shared.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
    }
}

impl fmt::Debug for PushTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushTable").field("schema", &self.shared.schema).finish_non_exhaustive()
    }
}

impl Drop for PushTable {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if state.reader == Readership::Awaited {
            state.reader = Readership::Gone;
            self.shared.room.notify_all();
        }
    }
}

impl Table for PushTable {
    fn schema(&self) -> SchemaRef {
        self.shared.schema.clone()
    }

    fn is_bounded(&self) -> bool {
        false
    }

    fn describe(&self) -> String {
        match self.shared.changelog {
            Changelog::Append => "push".to_string(),
            changing => format!("push, {}", changing.word()),
        }
    }

    fn changelog(&self) -> Changelog {
        self.shared.changelog
    }

    fn system_columns(&self) -> &[SystemColumn] {
        &self.shared.has
    }

    fn is_read_once(&self) -> bool {
        true
    }

    fn source_partitions(&self) -> usize {
        self.shared.lock().queues.len()
    }

    fn has_ended(&self, partition: usize) -> bool {
        self.shared.lock().queues.get(partition).is_some_and(|queue| queue.ended && !queue.reading)
    }

    fn open(&self, request: &ScanRequest) -> Result<Arc<dyn Scan>> {
        let mut state = self.shared.lock();
        if state.reader == Readership::Running {
            return Err(Error::user("a pushed table is read by one query at a time; end the other query first"));
        }
        state.reader = Readership::Running;
        for queue in &mut state.queues {
            (queue.taken, queue.reading, queue.ended) = (0, false, false);
        }
        let partitions = state.queues.len();
        drop(state);
        let progress = Arc::new(Progress::default());
        Ok(Arc::new(PushScan { shared: self.shared.clone(), request: request.clone(), partitions, progress }))
    }
}

struct PushScan {
    shared: Arc<Shared>,
    request: ScanRequest,
    partitions: usize,
    progress: Arc<Progress>,
}

impl Scan for PushScan {
    fn take(&self) -> Result<Take> {
        self.take_of(&|_| true)
    }

    fn take_of(&self, may: &dyn Fn(usize) -> bool) -> Result<Take> {
        let mut state = self.shared.lock();
        let has_work = |queue: &Queue| !queue.ended && !queue.reading && (queue.closed || !queue.batches.is_empty());
        let found = state.queues.iter().enumerate().position(|(partition, queue)| has_work(queue) && may(partition));
        let Some(partition) = found else {
            let ended = state.queues.iter().all(|queue| queue.ended);
            return Ok(if ended { Take::End } else { Take::Pending });
        };
        let queue = &mut state.queues[partition];
        let batches = std::mem::take(&mut queue.batches);
        let place = RowPlace { next: queue.position, rows: 0, time: None };
        queue.position += queue.rows as u64;
        (queue.rows, queue.bytes) = (0, 0);
        (queue.reading, queue.ended) = (true, queue.closed);
        let (sequence, is_last) = (queue.taken, queue.closed);
        queue.taken += 1;
        drop(state);
        self.shared.room.notify_all();
        let (shared, scan) = (self.shared.clone(), self.reading());
        let reader = PushReader { shared, partition, current: None, batches, scan, place };
        Ok(Take::Morsel(Morsel { partition, sequence, is_last, reader: Box::new(reader) }))
    }

    fn source_partitions(&self) -> usize {
        self.partitions
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn set_waker(&self, waker: Arc<dyn Fn() + Send + Sync>) {
        *self.shared.worker_waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
    }

    fn position(&self) -> Result<Vec<u64>> {
        Ok(self.shared.lock().queues.iter().map(|queue| queue.position).collect())
    }

    fn offered(&self) -> Option<u64> {
        Some(self.shared.lock().queues.iter().map(|queue| queue.position + queue.rows as u64).sum())
    }

    /// What was pushed before the snapshot is not there any more: whoever pushes goes on behind it.
    fn seek(&self, position: &[u64]) -> Result<()> {
        let mut state = self.shared.lock();
        same_partitions(position, state.queues.len())?;
        state.queues.iter_mut().zip(position).for_each(|(queue, position)| queue.position = *position);
        Ok(())
    }
}

impl PushScan {
    fn reading(&self) -> Reading {
        Reading {
            projection: self.request.projection.clone(),
            batch_rows: self.request.batch_rows,
            progress: self.progress.clone(),
        }
    }
}

impl Drop for PushScan {
    fn drop(&mut self) {
        self.shared.lock().reader = Readership::Gone;
        *self.shared.worker_waker.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.shared.room.notify_all();
    }
}

/// What readers know of their scan.
struct Reading {
    projection: Vec<usize>,
    batch_rows: usize,
    progress: Arc<Progress>,
}

struct PushReader {
    shared: Arc<Shared>,
    partition: usize,
    batches: VecDeque<Pushed>,
    current: Option<Current>,
    scan: Reading,
    place: RowPlace,
}

/// A batch being read.
struct Current {
    reader: RecordReader<One>,
    changes: Option<Vec<Change>>,
    system: Vec<ArrayRef>,
    done: usize,
    /// Rows of the last batch, which end at `done`.
    rows: usize,
}

impl Current {
    fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        let found = self.reader.read(batch)?;
        let from = self.done;
        self.done += batch.rows;
        self.rows = batch.rows;
        batch.changes = self.changes.as_ref().filter(|_| found).map(|changes| changes[from..self.done].to_vec());
        Ok(found)
    }
}

/// A single record.
struct One(Option<RecordBatch>);

impl Records for One {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        Ok(self.0.take())
    }
}

impl PushReader {
    fn begin(&self, Pushed { rows, system, changes }: Pushed) -> Result<Current> {
        let fit = Fit::by_position(&self.shared.schema, rows.schema_ref())?;
        let picked = fit.pick(&self.scan.projection);
        let record = rows.project(&picked.file_columns)?;
        let (batch_rows, progress) = (self.scan.batch_rows, self.scan.progress.clone());
        let (fit, picked, source) = (Arc::new(fit), Arc::new(picked), "pushed rows".into());
        let plan = ReadPlan { fit, picked, batch_rows, progress, source };
        Ok(Current { reader: RecordReader::new(One(Some(record)), plan), changes, system, done: 0, rows: 0 })
    }
}

impl Reader for PushReader {
    fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        loop {
            if let Some(current) = &mut self.current
                && current.read(batch)?
            {
                self.place.pass(batch.rows);
                return Ok(true);
            }
            let Some(next) = self.batches.pop_front() else { return Ok(false) };
            self.current = Some(self.begin(next)?);
        }
    }

    fn system(&self, column: SystemColumn) -> Option<Column> {
        let (Some(at), Some(current)) = (self.shared.system.iter().position(|known| *known == column), &self.current)
        else {
            return self.place.column(column);
        };
        Some(Column::Array(current.system[at].slice(current.done - current.rows, current.rows)))
    }
}

impl Drop for PushReader {
    fn drop(&mut self) {
        self.shared.lock().queues[self.partition].reading = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::source::testing::{read_all, request};
    use arrow::array::{ArrayRef, AsArray, Int64Array};
    use arrow::datatypes::Int64Type;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    fn batch(from: i64, rows: i64) -> RecordBatch {
        let numbers = Arc::new(Int64Array::from_iter_values(from..from + rows)) as ArrayRef;
        RecordBatch::try_from_iter([("n", numbers)]).unwrap()
    }

    fn numbers(records: &[RecordBatch]) -> Vec<i64> {
        records.iter().flat_map(|r| r.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
    }

    #[test]
    fn what_is_pushed_is_read_in_order_until_all_handles_close() {
        let capacity = Capacity { rows: 10, bytes: usize::MAX };
        let (handle, table) = channel(batch(0, 0).schema(), capacity);
        let producer = std::thread::spawn(move || (0..50).for_each(|i| handle.push(batch(i * 7, 7)).unwrap()));
        let read = read_all(&table, &request(vec![0], 4));
        producer.join().unwrap();
        assert!(numbers(&read).into_iter().eq(0..350));
    }

    #[test]
    fn a_full_queue_gives_the_batch_back() {
        let (handle, table) = channel(batch(0, 0).schema(), Capacity { rows: 5, bytes: usize::MAX });
        handle.try_push(batch(0, 9)).unwrap();
        let Err(TryPush::Full(back)) = handle.try_push(batch(9, 2)) else { panic!("the queue is full") };
        assert_eq!(back.num_rows(), 2);
        handle.close();
        assert!(matches!(handle.try_push(back), Err(TryPush::Closed)));
        assert_eq!(numbers(&read_all(&table, &request(vec![0], 100))), (0..9).collect::<Vec<_>>());
    }

    #[test]
    fn one_query_at_a_time() {
        let (handle, table) = channel(batch(0, 0).schema(), Capacity::default());
        let scan = table.open(&request(vec![0], 10)).unwrap();
        assert!(matches!(scan.take().unwrap(), Take::Pending));
        let message = table.open(&request(vec![0], 10)).err().expect("refused").to_string();
        assert!(message.starts_with("a pushed table is read by one query at a time"), "{message}");
        drop(scan);
        assert!(matches!(handle.push(batch(0, 1)), Err(TryPush::Closed)));
        let scan = table.open(&request(vec![0], 10)).unwrap();
        handle.push(batch(0, 1)).unwrap();
        assert!(matches!(scan.take().unwrap(), Take::Morsel(_)));
    }

    #[test]
    fn a_waiting_producer_is_freed_when_the_query_ends() {
        let (handle, table) = channel(batch(0, 0).schema(), Capacity { rows: 1, bytes: 1 });
        let scan = table.open(&request(vec![0], 10)).unwrap();
        handle.push(batch(0, 1)).unwrap();
        let producer = std::thread::spawn(move || handle.push(batch(1, 1)));
        std::thread::sleep(Duration::from_millis(20));
        drop(scan);
        assert!(matches!(producer.join().unwrap(), Err(TryPush::Closed)));
    }

    #[test]
    fn the_next_morsel_of_a_partition_waits_for_the_one_before() {
        let (handles, table) = channels(batch(0, 0).schema(), 2, Capacity::default());
        let woken = Arc::new(AtomicUsize::new(0));
        let counter = woken.clone();
        table.set_waker(Arc::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        }));
        let scan = table.open(&request(vec![0], 10)).unwrap();
        handles[0].push(batch(0, 1)).unwrap();
        let Take::Morsel(first) = scan.take().unwrap() else { panic!("there is work") };
        handles[0].push(batch(1, 1)).unwrap();
        assert!(matches!(scan.take().unwrap(), Take::Pending));
        handles[1].push(batch(0, 1)).unwrap();
        let Take::Morsel(other) = scan.take().unwrap() else { panic!("the other partition has work") };
        assert_eq!((first.partition, other.partition), (0, 1));
        drop(first);
        let Take::Morsel(second) = scan.take().unwrap() else { panic!("the partition is free again") };
        assert_eq!((second.partition, second.sequence, second.is_last), (0, 1, false));
        assert_eq!(woken.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn other_columns_are_refused() {
        let (handle, _table) = channel(batch(0, 0).schema(), Capacity::default());
        let other = RecordBatch::try_from_iter([("m", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
        let Err(TryPush::Mismatch(error)) = handle.try_push(other) else { panic!("other columns") };
        assert_eq!(error.to_string(), "columns are not the table's: m; the table has n");
    }
}
