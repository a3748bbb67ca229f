//! `WITH RECURSIVE`: a table whose reader runs the query's terms, again and again, on its own thread.
//!
//! ```text
//! initial term ─▶ rows ─┬─▶ out
//!                       └─▶ work table ─▶ recursive term ─▶ rows, the new ones ─┬─▶ out
//!                                ▲──────────────────────────────────────────────┘  until none is new
//! ```

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, SchemaRef};

use super::Options;
use crate::batch::{Argument, Batch, Column, KernelColumn};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::function::KernelContext;
use crate::pipeline::{
    Morsel, Pipeline, Progress, Reader, RecursionSpec, Scan, ScanRequest, ScanSpec, Spec, Table, Take, Tuning,
};
use crate::state::GroupIndex;
use crate::stream::operator::Budget;
use crate::stream::sink::memory::MemorySink;
use crate::stream::source::memory::MemoryTable;

/// How long a reader sleeps when a term waits for the outside.
const WAIT: Duration = Duration::from_millis(1);

/// The rows of a recursive query.
pub(super) struct RecursiveTable {
    pub(super) spec: RecursionSpec,
    pub(super) schema: SchemaRef,
    pub(super) config: Config,
    pub(super) budget: Arc<Budget>,
    pub(super) options: Options,
    pub(super) seed: u64,
}

impl std::fmt::Debug for RecursiveTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecursiveTable").field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl Table for RecursiveTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        format!("recursion {}", self.spec.name)
    }

    fn open(&self, _request: &ScanRequest) -> Result<Arc<dyn Scan>> {
        let progress = Arc::new(Progress::default());
        let terms = Terms {
            spec: self.spec.clone(),
            schema: self.schema.clone(),
            config: Config { partitions: 1, snapshots: false, ..self.config.clone() },
            budget: self.budget.clone(),
            options: self.options.clone(),
            seen: self.spec.distinct.then(|| Seen::new(&self.schema, self.seed)),
            work: None,
            out: VecDeque::new(),
            held_bytes: 0,
            progress: progress.clone(),
        };
        Ok(Arc::new(RecursiveScan { terms: Mutex::new(Some(terms)), taken: AtomicBool::new(false), progress }))
    }
}

/// One morsel: the rows follow from one another.
struct RecursiveScan {
    terms: Mutex<Option<Terms>>,
    taken: AtomicBool,
    progress: Arc<Progress>,
}

impl Scan for RecursiveScan {
    fn take(&self) -> Result<Take> {
        if self.taken.swap(true, Ordering::Relaxed) {
            return Ok(Take::End);
        }
        let terms = self.terms.lock().unwrap_or_else(PoisonError::into_inner).take();
        let reader = Box::new(terms.expect("taken once"));
        Ok(Take::Morsel(Morsel { partition: 0, sequence: 0, is_last: true, reader }))
    }

    fn source_partitions(&self) -> usize {
        1
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }
}

/// The terms at work.
struct Terms {
    spec: RecursionSpec,
    schema: SchemaRef,
    config: Config,
    budget: Arc<Budget>,
    options: Options,
    /// With `UNION`: the rows there have been.
    seen: Option<Seen>,
    /// The rows the last term gave; `None` before the first.
    work: Option<Vec<RecordBatch>>,
    /// Rows that have not left yet.
    out: VecDeque<RecordBatch>,
    /// What the budget was told last.
    held_bytes: u64,
    progress: Arc<Progress>,
}

impl Reader for Terms {
    fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        loop {
            if let Some(rows) = self.out.pop_front() {
                self.progress.add_rows(rows.num_rows());
                batch.rows = rows.num_rows();
                batch.columns.clear();
                batch.columns.extend(rows.columns().iter().cloned().map(Column::Array));
                return Ok(true);
            }
            let is_stopped = self.progress.stopped.load(Ordering::Relaxed);
            let is_done = self.work.as_ref().is_some_and(Vec::is_empty);
            if is_stopped || is_done {
                return Ok(false);
            }
            let before = self.work.as_deref().map_or(0, bytes_of);
            let pipeline = match self.work.take() {
                None => self.spec.initial.as_ref().clone(),
                Some(rows) => self.over(rows)?,
            };
            let rows = self.run(&pipeline)?;
            self.hold(before + bytes_of(&rows))?;
            let rows = match &mut self.seen {
                Some(seen) => seen.only_new(rows)?,
                None => rows,
            };
            drop(pipeline);
            self.hold(bytes_of(&rows))?;
            self.out.extend(rows.iter().cloned());
            self.work = Some(rows);
        }
    }
}

impl Drop for Terms {
    fn drop(&mut self) {
        // Giving bytes back cannot exceed a limit.
        let _ = self.budget.change(&self.spec.name, self.held_bytes, 0);
    }
}

/// The bytes of these rows, and not of what their buffers hold beside.
fn bytes_of(rows: &[RecordBatch]) -> u64 {
    let of_texts = |column: &ArrayRef| match column.data_type() {
        DataType::Utf8View => column.as_string_view().total_buffer_bytes_used(),
        DataType::BinaryView => column.as_binary_view().total_buffer_bytes_used(),
        _ => 0,
    };
    let of_column = |column: &ArrayRef| {
        let fixed = column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size());
        (fixed + of_texts(column)) as u64
    };
    rows.iter().flat_map(|batch| batch.columns()).map(of_column).sum()
}

impl Terms {
    /// Tells the budget of the rows there have been and of `row_bytes` beside.
    fn hold(&mut self, row_bytes: u64) -> Result<()> {
        let bytes = row_bytes + self.seen.as_ref().map_or(0, |seen| seen.index.size_bytes() as u64);
        let old = std::mem::replace(&mut self.held_bytes, bytes);
        self.budget.change(&format!("WITH RECURSIVE {}", self.spec.name), old, bytes)
    }

    /// The recursive term over these rows.
    fn over(&self, rows: Vec<RecordBatch>) -> Result<Pipeline> {
        let table: Arc<dyn Table> = Arc::new(MemoryTable::new(self.schema.clone(), rows)?);
        let mut pipeline = self.spec.body.as_ref().clone();
        for node in &mut pipeline.nodes {
            if let Spec::WorkTable = node.spec {
                node.spec = Spec::Scan(ScanSpec {
                    name: self.spec.name.clone(),
                    table: table.clone(),
                    projection: (0..self.schema.fields().len()).collect(),
                    predicates: Vec::new(),
                    system: Vec::new(),
                    compute: None,
                    watermark: None,
                    tuning: Tuning::default(),
                    fetch: None,
                });
            }
        }
        Ok(pipeline)
    }

    /// Runs a term to its end; its rows.
    fn run(&self, pipeline: &Pipeline) -> Result<Vec<RecordBatch>> {
        let (sink, collected) = MemorySink::new();
        let options = Options { timed: false, ..self.options.clone() };
        let mut query = super::stepped(pipeline, Box::new(sink), &self.config, self.budget.clone(), &options, None)?;
        while !query.settle()? {
            if self.progress.stopped.load(Ordering::Relaxed) {
                return Err(Error::cancelled());
            }
            std::thread::sleep(WAIT);
        }
        let batches = collected.take_batches().into_iter().filter(|batch| batch.num_rows() > 0);
        batches.map(|batch| Ok(RecordBatch::try_new(self.schema.clone(), batch.columns().to_vec())?)).collect()
    }
}

/// Rows there have been, by all their columns.
struct Seen {
    index: GroupIndex,
    groups: Vec<u32>,
}

impl Seen {
    fn new(schema: &SchemaRef, seed: u64) -> Self {
        let types = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let level = KernelContext::default().level;
        Seen { index: GroupIndex::new(types, seed, level), groups: Vec::new() }
    }

    /// The rows that have not been before, each once.
    fn only_new(&mut self, batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
        let mut new = Vec::new();
        for batch in batches {
            let mut next = self.index.len() as u32;
            let columns = batch.columns().iter().cloned().map(|column| KernelColumn::new(Column::Array(column)));
            let columns: Vec<KernelColumn> = columns.collect();
            let rows = batch.num_rows();
            let arguments: Vec<Argument<'_>> = columns.iter().map(|column| column.argument(rows)).collect();
            self.index.lookup(&arguments, rows, &mut self.groups)?;
            let is_new = |group: &u32| {
                let is_new = *group == next;
                next += is_new as u32;
                is_new
            };
            let mask: BooleanArray = self.groups.iter().map(is_new).map(Some).collect();
            let rows = filter_record_batch(&batch, &mask)?;
            if rows.num_rows() > 0 {
                new.push(rows);
            }
        }
        Ok(new)
    }
}
