//! The traits of tables and sinks: what a pipeline names, and what connectors implement.
//!
//! Place       `stream/source` and `stream/sink` implement them, users may; the catalog and the runtime see only these.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;

use crate::batch::{Batch, Change, Column};
use crate::error::{Error, Result};
use crate::expression::Program;
use crate::function::KernelContext;

use super::{Cutoff, FileFormat, KeyFilter, Keys, Lookup, SystemColumn};

/// Something rows can be read from, again and again.
pub trait Table: Debug + Send + Sync {
    /// All columns, whatever a scan reads of them.
    fn schema(&self) -> SchemaRef;

    /// Whether its rows end.
    fn is_bounded(&self) -> bool;

    /// What it is, in a few words, for EXPLAIN: connector, format, path.
    fn describe(&self) -> String;

    /// Rows it holds, where that is known without reading it.
    fn row_count(&self) -> Option<u64> {
        None
    }

    /// What its rows are to one another: batches of tables that are not [`Changelog::Append`] carry changes.
    fn changelog(&self) -> Changelog {
        Changelog::Append
    }

    /// The least and the greatest value of a column of numbers or times, in the ticks of its type, where that is known
    /// without reading it. The values may lie closer together.
    fn column_range(&self, column: usize) -> Option<(i64, i64)> {
        let _ = column;
        None
    }

    /// About how many values a column has, where that can be guessed without reading it.
    fn distinct_count(&self, column: usize) -> Option<u64> {
        let _ = column;
        None
    }

    /// Whether it is read by one query at a time, for what was read is gone.
    fn is_read_once(&self) -> bool {
        false
    }

    /// How many source partitions a table that is read once has; others tell by their scans.
    fn source_partitions(&self) -> usize {
        1
    }

    /// Whether a source partition of a table that is read once has ended, and all of its rows have been taken.
    fn has_ended(&self, partition: usize) -> bool {
        let _ = partition;
        false
    }

    /// The name of what the engine keeps in memory, for tables that are read at one point with others.
    fn relation(&self) -> Option<&str> {
        None
    }

    /// Whether its scans leave rows out by their keys and behind the first ones ([`Pushed::keys`], [`Pushed::first`]).
    fn takes_keys(&self) -> bool {
        false
    }

    /// What it is asked by, where it has no rows that could be read.
    fn lookup(&self) -> Option<&Arc<Lookup>> {
        None
    }

    /// What it knows of each row beside its columns. Readers are asked for those of [`ScanRequest::system`].
    fn system_columns(&self) -> &[SystemColumn] {
        &[]
    }

    /// Starts reading. Failure: a missing file, a header that does not fit the schema.
    fn open(&self, request: &ScanRequest) -> Result<Arc<dyn Scan>>;
}

/// What the rows of a table are to one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Changelog {
    /// Each row stands for itself and stays.
    #[default]
    Append,
    /// Each row says whether it is given or taken back; a row taken back equals one given before.
    Retract,
    /// The last row of each primary key counts. A row that is taken back is a tombstone: of it only the key is looked at.
    Upsert,
}

impl Changelog {
    /// Its name in the option 'changelog'.
    pub fn word(self) -> &'static str {
        match self {
            Changelog::Append => "append",
            Changelog::Retract => "retract",
            Changelog::Upsert => "upsert",
        }
    }

    /// The one that a word of the option 'changelog' stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Changelog::Append, Changelog::Retract, Changelog::Upsert];
        all.into_iter().find(|known| known.word().eq_ignore_ascii_case(word))
    }
}

/// What a scan is asked for.
#[derive(Debug, Clone)]
pub struct ScanRequest {
    /// Columns to read, in this order.
    pub projection: Vec<usize>,
    /// What is wanted beside them: [`Reader::system`] is asked for each after each batch. Where the offset is among them,
    /// no row may be left out.
    pub system: Vec<SystemColumn>,
    /// Conditions that may be used to skip data, on columns of the table (not of the projection).
    pub predicates: Vec<Predicate>,
    /// Rows per batch at most.
    pub batch_rows: usize,
    /// How many workers will take morsels.
    pub partitions: usize,
    /// Whether each source partition's morsels must be taken in order, as watermarks need.
    pub ordered: bool,
    /// The projected column that is the event time, where the watermark after a morsel follows from the latest event time
    /// in it: [`Reader::latest`] is asked for that.
    pub event_time: Option<usize>,
    /// Rows the query needs at most, where it needs no more.
    pub fetch: Option<usize>,
    /// Whether strings may come as dictionaries: all that stands behind the scan, up to a GROUP BY, knows them.
    pub dictionaries: bool,
    /// Whether a position may be asked for, or the scan goes on from one: rows are counted then, and of a piece that is read
    /// none may be left out.
    pub counts_rows: bool,
    pub pushed: Pushed,
}

/// What a scan may do of the work behind it. It need not: where it does, it says so of each batch.
#[derive(Debug, Clone, Default)]
pub struct Pushed {
    /// The conditions of the filter that takes the scan's rows and nobody else does, over the projected columns.
    pub conditions: Vec<Arc<Program>>,
    /// Sets of keys, each with the projected column whose value must be among them. They are complete before a morsel is
    /// taken.
    pub keys: Vec<KeyCheck>,
    /// An ORDER BY with LIMIT that wants no rows behind its first ones.
    pub first: Option<FirstCheck>,
    /// What kernels are told.
    pub context: KernelContext,
}

impl Pushed {
    /// Whether rows may be left out.
    pub fn is_some(&self) -> bool {
        !self.conditions.is_empty() || !self.keys.is_empty() || self.first.is_some()
    }
}

/// The first key of an ORDER BY, and how far its first rows reach so far.
#[derive(Debug, Clone)]
pub struct FirstCheck {
    /// Among the projected columns.
    pub column: usize,
    pub options: SortOptions,
    pub cutoff: Arc<Cutoff>,
    /// How many rows are wanted, where all that meet [`Pushed::conditions`] are rows of the ORDER BY: a scan that has seen
    /// as many may lower the cutoff itself.
    pub wanted: Option<usize>,
    /// Whether a condition may fail: then each row has to meet the conditions before it may be left out.
    pub may_fail: bool,
}

/// A column whose value must be among the keys of a join's table.
#[derive(Debug, Clone)]
pub struct KeyCheck {
    /// Among the projected columns.
    pub column: usize,
    pub filter: Arc<KeyFilter>,
    /// The least and the greatest value of the column in the table, where they are known.
    pub range: Option<(i64, i64)>,
}

impl KeyCheck {
    /// The keys, where few enough of the column's values are among them that asking pays. Which rows are left out follows
    /// from the tables alone, so that a query fails for the same rows however it is run.
    pub fn worthwhile(&self) -> Option<&Keys> {
        self.filter.keys().filter(|keys| !self.range.is_some_and(|range| keys.cover(range)))
    }
}

/// `column op value`, a conjunct a source may use to skip data.
#[derive(Debug, Clone)]
pub struct Predicate {
    /// Column of the table.
    pub column: usize,
    pub op: Comparison,
    /// An array of length 1, of the column's type.
    pub value: ArrayRef,
}

/// The comparisons of a [`Predicate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
}

/// A running scan, shared by the workers: each takes a morsel, reads it to its end, takes the next.
pub trait Scan: Send + Sync {
    /// The next piece of work. Never blocks for long: what waits for the outside says `Pending`.
    fn take(&self) -> Result<Take>;

    /// The same of those source partitions alone that `may` be read now, where others wait for them; a source that cannot
    /// choose is refused once it hands out another. `Pending` where there is more of others alone.
    fn take_of(&self, may: &dyn Fn(usize) -> bool) -> Result<Take> {
        let _ = may;
        self.take()
    }

    /// How many source partitions there are (files, broker partitions): the units of watermarks.
    fn source_partitions(&self) -> usize;

    /// What has been read so far.
    fn progress(&self) -> &Progress;

    /// Has `waker` called whenever there may be something to take after a `Pending`, so that nobody need look around.
    /// Sources that do not know leave it: workers then look after `Config::idle_sleep`.
    fn set_waker(&self, waker: Arc<dyn Fn() + Send + Sync>) {
        let _ = waker;
    }

    /// Where each source partition stands, for a later scan to go on from there: rows or bytes, as the source counts.
    /// Called while no morsel is being read, or where [`Scan::stops_within`], between two batches.
    ///
    /// Failure: a source that cannot be gone on with.
    fn position(&self) -> Result<Vec<u64>> {
        Err(Error::user("this source cannot say where it stands, so no snapshot of its query can be taken"))
    }

    /// Goes on from a position of another scan of the same table; comes before any morsel is taken.
    ///
    /// Failure: a source that cannot; one that has other partitions now.
    fn seek(&self, position: &[u64]) -> Result<()> {
        let _ = position;
        Err(Error::user("this source cannot go on from a snapshot"))
    }

    /// How far the rows reach that are at hand now, as the sum of [`Scan::position`]; `None` for sources that do not know.
    fn offered(&self) -> Option<u64> {
        None
    }

    /// Whether positions are right in the middle of a morsel, between two batches; else a morsel is read to its end first.
    fn stops_within(&self) -> bool {
        false
    }
}

/// Refuses a position of another number of source partitions.
pub fn same_partitions(position: &[u64], partitions: usize) -> Result<()> {
    match position.len() == partitions {
        true => Ok(()),
        false => Err(Error::user(format!(
            "the source has {partitions} partitions now and had {} when the snapshot was taken",
            position.len()
        ))),
    }
}

/// The answer to [`Scan::take`].
pub enum Take {
    Morsel(Morsel),
    /// Nothing yet: the worker asks again when it is woken, after `Config::idle_sleep` at the latest.
    Pending,
    /// All morsels have been taken.
    End,
}

/// A piece of one source partition that one worker reads to its end.
pub struct Morsel {
    /// The source partition it belongs to.
    pub partition: usize,
    /// Its number within the partition, from 0, without gaps.
    pub sequence: u64,
    /// Whether it is the partition's last one.
    pub is_last: bool,
    pub reader: Box<dyn Reader>,
}

/// Reads the rows of a morsel.
pub trait Reader: Send {
    /// Fills `batch` with the next rows, in the projected columns, and says whether there were any.
    ///
    /// Shapes: at most `batch_rows` rows. The batch comes cleared; its columns' memory may be reused.
    /// Failure: a bad row under the `fail` policy, naming file, row, column and value.
    fn read(&mut self, batch: &mut Batch) -> Result<bool>;

    /// Where row `row` of the last batch stands, for errors: file and line. Readers that do not know say nothing.
    fn place(&self, row: usize) -> Option<String> {
        let _ = row;
        None
    }

    /// What the source knows of the rows of the last batch: a column of as many rows. `None`: of the source partition,
    /// that it is the morsel's; of anything else, nothing.
    fn system(&self, column: SystemColumn) -> Option<Column> {
        let _ = column;
        None
    }

    /// The latest event time among all rows of the morsel, in ticks of [`ScanRequest::event_time`], asked before the first
    /// row is read: workers then read a source partition side by side, where they would have to read ahead to find it out.
    /// `i64::MIN` where no row has one; `None` where that is not known.
    fn latest(&self) -> Result<Option<i64>> {
        Ok(None)
    }

    /// The watermark that the source itself tells after all rows of the morsel, in ticks of the event time column: for
    /// sources that know more than their rows say. Asked once the rows have been read.
    fn watermark(&self) -> Option<i64> {
        None
    }
}

/// What a scan has done so far; written by readers, read by anyone.
#[derive(Debug, Default)]
pub struct Progress {
    pub rows: AtomicU64,
    pub bytes: AtomicU64,
    /// Bytes there are in all, 0 when unknown.
    pub bytes_total: AtomicU64,
    /// Rows that could not be read and were skipped under `'on_error' = 'skip'`.
    pub bad_rows: AtomicU64,
    /// Rows that were left out by their keys.
    pub strange_rows: AtomicU64,
    /// Rows that were left out behind the first ones of an ORDER BY.
    pub rows_behind: AtomicU64,
    /// Workers that have not come to the end of a table that ends.
    pub unfinished: AtomicUsize,
    /// Set by the runtime: readers should come to an end.
    pub stopped: AtomicBool,
}

impl Progress {
    /// One worker has passed the end of the table on.
    pub fn finish_one(&self) {
        let less = |unfinished: usize| unfinished.checked_sub(1);
        let _ = self.unfinished.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
    }

    pub fn add_rows(&self, rows: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub fn add_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn add_bad_rows(&self, rows: usize) {
        self.bad_rows.fetch_add(rows as u64, Ordering::Relaxed);
    }
}

/// Where rows go. One owner: the worker that runs the end of the pipeline.
pub trait Sink: Send {
    /// Takes rows; `changes` says what each does, `None` means all inserts.
    fn write(&mut self, rows: &RecordBatch, changes: Option<&[Change]>) -> Result<()>;

    /// No row whose event time lies before it will be written any more; in ticks of the column that has the event time.
    fn watermark(&mut self, watermark: i64) -> Result<()> {
        let _ = watermark;
        Ok(())
    }

    /// Makes what was written visible. Called when nothing more is at hand and at the end.
    fn flush(&mut self) -> Result<()>;

    /// Ends the output, with footers and all.
    fn finish(&mut self) -> Result<()>;
}

/// A definition from `CREATE TABLE`: what connectors are made from.
#[derive(Debug, Clone)]
pub struct TableDefinition {
    pub name: String,
    /// Declared columns; `None`: infer them.
    pub schema: Option<SchemaRef>,
    /// The `WITH` options, keys in lower case.
    pub options: BTreeMap<String, String>,
    /// The columns of the PRIMARY KEY, none without one.
    pub primary_key: Vec<String>,
}

/// Makes tables and sinks from definitions; the engine hands it to the catalog.
pub trait Connectors: Send + Sync {
    /// Opens a table to read from.
    fn table(&self, definition: &TableDefinition) -> Result<Arc<dyn Table>>;

    /// The table for views to read where several may read one: a table that is read once is read by one scan for all.
    fn shared(&self, name: &str, table: Arc<dyn Table>) -> Result<Arc<dyn Table>> {
        let _ = name;
        Ok(table)
    }

    /// Opens a sink to write rows of `schema` to. `updating`: whether rows may be taken back.
    fn sink(&self, definition: &TableDefinition, schema: SchemaRef, updating: bool) -> Result<Box<dyn Sink>>;

    /// Adds a file format under a name.
    ///
    /// Failure: connectors that open no files; a name, an alias or an ending that is taken.
    fn register_format(&self, name: &str, format: Arc<dyn FileFormat>) -> Result<()> {
        let _ = format;
        Err(Error::user(format!("the engine's connectors take no formats: '{name}'; open its files in a connector")))
    }
}
