//! A table of record batches in memory.
//!
//! Owns        the batches, and their slices for the batch size that was asked for last.
//! Invariants  reading shares memory: a read clones the `Arc`s of its columns and allocates nothing.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::{cast, max};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};

use super::fit::Fit;
use super::pieces::{Piece, PieceScan};
use super::records::fill;
use crate::batch::{Batch, engine_schema};
use crate::error::{Error, Result};
use crate::pipeline::{Progress, Reader, Scan, ScanRequest, SystemColumn, Table};
use crate::time::START;

/// Pieces per worker, about: enough that none waits long for the last one.
const PIECES_PER_WORKER: usize = 8;
/// Batches of a piece at most whose event times are looked at before its rows: they are still in the cache then.
const TIMED_SLICES_MAX: usize = 16;

/// A table of record batches.
#[derive(Debug)]
pub struct MemoryTable {
    schema: SchemaRef,
    /// A list of batches for each source partition.
    partitions: Vec<Vec<RecordBatch>>,
    sliced: Mutex<Option<Arc<Sliced>>>,
}

/// The batches cut to a batch size, by source partition.
#[derive(Debug)]
struct Sliced {
    batch_rows: usize,
    partitions: Vec<Vec<Slice>>,
}

#[derive(Debug)]
struct Slice {
    columns: Vec<ArrayRef>,
    rows: usize,
}

impl MemoryTable {
    /// A table of one source partition.
    ///
    /// Strings become views, once, here. Failure: a batch that does not have the schema's columns.
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<Self> {
        Self::with_partitions(schema, vec![batches])
    }

    /// A table of several source partitions, each with its own order of rows.
    pub fn with_partitions(schema: SchemaRef, partitions: Vec<Vec<RecordBatch>>) -> Result<Self> {
        let normal = engine_schema(&schema);
        let all: Vec<_> = (0..normal.fields().len()).collect();
        let normalise = |batch: RecordBatch| {
            if batch.schema_ref() == &normal {
                return Ok(batch);
            }
            let fit = Fit::by_position(&normal, batch.schema_ref())?;
            let picked = fit.pick(&all);
            let columns = fit.apply(&picked, &batch.project(&picked.file_columns)?)?;
            let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            RecordBatch::try_new_with_options(normal.clone(), columns, &options).map_err(Error::from)
        };
        let list = |batches: Vec<RecordBatch>| batches.into_iter().map(normalise).collect::<Result<Vec<_>>>();
        let partitions = partitions.into_iter().map(list).collect::<Result<_>>()?;
        Ok(MemoryTable { schema: normal, partitions, sliced: Mutex::default() })
    }

    /// All batches cut to at most `batch_rows` rows, from memory if they were cut so before.
    fn sliced(&self, batch_rows: usize) -> Arc<Sliced> {
        let mut last = self.sliced.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(sliced) if sliced.batch_rows == batch_rows => sliced.clone(),
            _ => {
                let cut_all = |batches: &Vec<RecordBatch>| batches.iter().flat_map(|b| cut(b, batch_rows)).collect();
                let partitions = self.partitions.iter().map(cut_all).collect();
                last.insert(Arc::new(Sliced { batch_rows, partitions })).clone()
            }
        }
    }
}

fn cut(batch: &RecordBatch, batch_rows: usize) -> impl Iterator<Item = Slice> {
    let starts = (0..batch.num_rows()).step_by(batch_rows);
    starts.map(move |start| {
        let rows = batch_rows.min(batch.num_rows() - start);
        let whole = rows == batch.num_rows();
        let column = |array: &ArrayRef| if whole { array.clone() } else { array.slice(start, rows) };
        Slice { columns: batch.columns().iter().map(column).collect(), rows }
    })
}

impl Table for MemoryTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        "memory".to_string()
    }

    fn system_columns(&self) -> &[SystemColumn] {
        &[SystemColumn::Partition, SystemColumn::Offset]
    }

    fn row_count(&self) -> Option<u64> {
        Some(self.partitions.iter().flatten().map(|batch| batch.num_rows() as u64).sum())
    }

    fn open(&self, request: &ScanRequest) -> Result<Arc<dyn Scan>> {
        let sliced = self.sliced(request.batch_rows.max(1));
        let progress = Arc::new(Progress::default());
        let slices: usize = sliced.partitions.iter().map(Vec::len).sum();
        let shared = (slices / (request.partitions.max(1) * PIECES_PER_WORKER)).max(1);
        let run = match (request.ordered, request.event_time) {
            (true, None) => usize::MAX,
            (true, Some(_)) => shared.min(TIMED_SLICES_MAX),
            (false, _) => shared,
        };
        let event_time = request.event_time.map(|column| request.projection[column]);
        let projection: Arc<[usize]> = request.projection.as_slice().into();
        let pieces = |partition: usize| {
            let count = sliced.partitions[partition].len();
            let starts = (0..count).step_by(run);
            let piece = |start: usize| {
                let end = start.saturating_add(run).min(count);
                let rows = sliced.partitions[partition][start..end].iter().map(|slice| slice.rows).sum();
                let (sliced, projection, progress) = (sliced.clone(), projection.clone(), progress.clone());
                let reader = MemoryReader { sliced, partition, next: start, end, projection, event_time, progress };
                Piece { rows: Some(rows), turn: 0, open: Box::new(move || Ok(Box::new(reader.clone()))) }
            };
            starts.map(piece).collect()
        };
        let partitions = (0..sliced.partitions.len()).map(pieces).collect();
        let fetch = request.fetch.filter(|_| request.predicates.is_empty());
        Ok(Arc::new(PieceScan::new(partitions, fetch, progress.clone())))
    }
}

#[derive(Clone)]
struct MemoryReader {
    sliced: Arc<Sliced>,
    partition: usize,
    next: usize,
    end: usize,
    projection: Arc<[usize]>,
    event_time: Option<usize>,
    progress: Arc<Progress>,
}

impl Reader for MemoryReader {
    fn latest(&self) -> Result<Option<i64>> {
        let Some(column) = self.event_time else { return Ok(None) };
        let slices = &self.sliced.partitions[self.partition][self.next..self.end];
        let mut latest = START;
        for slice in slices {
            let ticks = cast(&slice.columns[column], &DataType::Int64)?;
            latest = latest.max(max(ticks.as_primitive::<Int64Type>()).unwrap_or(START));
        }
        Ok(Some(latest))
    }

    fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        if self.next == self.end || self.progress.stopped.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let slice = &self.sliced.partitions[self.partition][self.next];
        self.next += 1;
        fill(batch, self.projection.iter().map(|&column| slice.columns[column].clone()), slice.rows);
        self.progress.add_rows(slice.rows);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::source::testing::{read_all, request};
    use arrow::array::{Int64Array, StringArray};

    fn batch(from: i64, rows: i64) -> RecordBatch {
        let numbers = Int64Array::from_iter_values(from..from + rows);
        let words = StringArray::from_iter_values((from..from + rows).map(|n| format!("word number {n}")));
        RecordBatch::try_from_iter([("n", Arc::new(numbers) as ArrayRef), ("w", Arc::new(words))]).unwrap()
    }

    fn table() -> MemoryTable {
        let batches = vec![batch(0, 25), batch(25, 0), batch(25, 10), batch(35, 1)];
        MemoryTable::new(batches[0].schema(), batches).unwrap()
    }

    #[test]
    fn reads_in_slices_that_share_memory() {
        let table = table();
        assert_eq!(table.row_count(), Some(36));
        assert_eq!(table.schema().field(1).data_type(), &DataType::Utf8View);
        let read = read_all(&table, &request(vec![0], 10));
        let sizes: Vec<_> = read.iter().map(|record| record.num_rows()).collect();
        assert_eq!(sizes, [10, 10, 5, 10, 1]);
        let numbers = read.iter().flat_map(|r| r.column(0).as_primitive::<Int64Type>().values().to_vec());
        assert!(numbers.eq(0..36));
        let first = read[1].column(0).as_primitive::<Int64Type>().values().as_ptr();
        assert_eq!(first, table.partitions[0][0].column(0).as_primitive::<Int64Type>().values()[10..].as_ptr());
    }

    #[test]
    fn ordered_scans_are_one_morsel_per_partition() {
        let scan = |ordered| {
            let request = ScanRequest { ordered, partitions: 2, ..request(vec![0], 2) };
            crate::stream::source::testing::morsels(&*table().open(&request).unwrap())
        };
        assert_eq!(scan(true).len(), 1);
        let pieces = scan(false);
        assert!(pieces.len() > 8, "{}", pieces.len());
        assert!(pieces.iter().enumerate().all(|(i, m)| m.sequence == i as u64 && m.is_last == (i + 1 == pieces.len())));
    }

    #[test]
    fn fetch_leaves_pieces_out_and_empty_tables_end_at_once() {
        let request = ScanRequest { fetch: Some(3), ..request(vec![1], 2) };
        let rows: usize = read_all(&table(), &request).iter().map(RecordBatch::num_rows).sum();
        assert!((3..36).contains(&rows), "{rows}");
        let empty = MemoryTable::new(batch(0, 0).schema(), vec![]).unwrap();
        assert_eq!(empty.open(&request).unwrap().source_partitions(), 0);
        assert!(read_all(&empty, &request).is_empty());
    }

    #[test]
    fn rows_without_columns_are_counted() {
        let read = read_all(&table(), &request(vec![], 100));
        assert_eq!(read.iter().map(RecordBatch::num_rows).sum::<usize>(), 36);
    }
}
