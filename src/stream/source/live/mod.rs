//! Tables kept in memory while they change: whoever writes commits changes, whoever reads sees what is there, or follows.
//!
//! Place       the sink of a materialized view's query and of INSERT; the table that queries over it read.
//! Owns        the rows that are there, and for each follower the commits it has not taken yet.
//! Invariants  a commit is seen whole or not at all; a follower gets what was there when it came, then every commit after.
//!             While a table is frozen, followers get nothing that came later.

mod follow; // what followers get
mod sink; //   what writes
mod tables; // what reads

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{interleave, take, take_record_batch};
use arrow::datatypes::{DataType, Int32Type, Schema, SchemaRef};

pub use sink::LiveSink;

use self::follow::{Entry, Queue};
use self::tables::{AsItGoes, AsItIs};
use super::fit::Fit;
use crate::batch::{Change, engine_schema};
use crate::error::{Error, Result};
use crate::pipeline::{Changelog, SystemColumn, Table};
use crate::state::{KeyedRows, Multiset};

/// Rows that may wait for a follower before whoever writes waits for it.
const ROWS_WAITING_MAX: usize = 1 << 20;
/// Rows of a batch at most when all that is there is handed out.
const ROWS_PER_BATCH: usize = 8192;

/// Rows and what each does.
type Changes = (RecordBatch, Option<Vec<Change>>);

/// A table in memory that changes.
pub struct Live {
    name: String,
    schema: SchemaRef,
    /// Whether rows are ever taken back.
    changelog: Changelog,
    /// What passes by, where nothing is kept.
    passing: Option<Arc<dyn Table>>,
    state: Mutex<State>,
    /// Signalled when a follower has taken what waited, and when the table ends.
    moved: Condvar,
}

struct State {
    content: Content,
    /// Commits so far.
    commits: u64,
    /// While it is frozen, followers get no later commit.
    frozen_at: Option<u64>,
    followers: Vec<Weak<Mutex<Queue>>>,
    /// What passes by before anyone follows, for the first who does.
    unfollowed: Option<Arc<Mutex<Queue>>>,
    /// The source partitions of what passes by that have ended.
    ended: Vec<bool>,
    /// No row before it will be committed.
    watermark: Option<i64>,
    end: Option<Result<(), Error>>,
}

/// The rows that are there.
enum Content {
    /// None: rows pass by.
    Passing,
    Bag(Multiset),
    Keyed {
        rows: KeyedRows,
        key: Vec<usize>,
    },
}

impl Live {
    /// A table of rows that are there as often as they were given. `updating`: whether rows are ever taken back.
    ///
    /// Failure: a column whose values cannot be compared.
    pub fn bag(name: &str, schema: &SchemaRef, updating: bool) -> Result<Arc<Self>> {
        let changelog = if updating { Changelog::Retract } else { Changelog::Append };
        Ok(Self::new(name, schema, changelog, Content::Bag(Multiset::new(&types(schema))?)))
    }

    /// A table in which a row takes the place of the one of the same key.
    ///
    /// Failure: a column whose values cannot be compared; a key that is no column.
    pub fn keyed(name: &str, schema: &SchemaRef, key: &[String]) -> Result<Arc<Self>> {
        let schema = engine_schema(schema);
        let key = key.iter().map(|column| Ok(schema.index_of(column)?)).collect::<Result<Vec<usize>>>()?;
        let order = key_first(&key, schema.fields().len());
        let ordered: Vec<DataType> = order.iter().map(|&column| schema.field(column).data_type().clone()).collect();
        let rows = KeyedRows::new(&ordered, key.len())?;
        Ok(Self::new(name, &schema, Changelog::Retract, Content::Keyed { rows, key }))
    }

    /// A table that keeps nothing of what is read of another one: the first follower gets all that passes by, others from
    /// when they came. Its commits have the other's system columns behind its own; followers see its source partitions.
    pub fn passing(name: &str, table: Arc<dyn Table>) -> Arc<Self> {
        let live = Self::made(name, &table.schema(), table.changelog(), Content::Passing, Some(table));
        let queue = Arc::<Mutex<Queue>>::default();
        let mut state = live.lock();
        state.followers.push(Arc::downgrade(&queue));
        state.unfollowed = Some(queue);
        drop(state);
        live
    }

    /// Keeps nothing any more for a first follower, and has no writer wait for one.
    pub fn expect_no_follower(&self) {
        self.lock().unfollowed = None;
        self.moved.notify_all();
    }

    fn new(name: &str, schema: &SchemaRef, changelog: Changelog, content: Content) -> Arc<Self> {
        Self::made(name, schema, changelog, content, None)
    }

    fn made(
        name: &str,
        schema: &SchemaRef,
        changelog: Changelog,
        content: Content,
        passing: Option<Arc<dyn Table>>,
    ) -> Arc<Self> {
        let state = State {
            content,
            commits: 0,
            frozen_at: None,
            followers: Vec::new(),
            unfollowed: None,
            ended: vec![false; passing.as_ref().map_or(1, |table| table.source_partitions())],
            watermark: None,
            end: None,
        };
        let (name, schema) = (name.to_string(), engine_schema(schema));
        Arc::new(Live { name, schema, changelog, passing, state: Mutex::new(state), moved: Condvar::new() })
    }

    /// What is known of each row beside its columns.
    fn system(&self) -> &[SystemColumn] {
        self.passing.as_ref().map_or(&[], |table| table.system_columns())
    }

    fn source_partitions(&self) -> usize {
        self.passing.as_ref().map_or(1, |table| table.source_partitions())
    }

    /// Looks which source partitions of what passes by have ended: all that was taken of them has been committed.
    fn note_ended(&self) {
        let Some(table) = &self.passing else { return };
        let mut state = self.lock();
        state.ended.iter_mut().enumerate().for_each(|(partition, ended)| *ended |= table.has_ended(partition));
    }

    /// The rows of each source partition, in their order.
    fn parts(&self, committed: Changes) -> Result<Vec<(usize, Changes)>> {
        let place = self.system().iter().position(|column| *column == SystemColumn::Partition);
        let Some(place) = place.filter(|_| self.source_partitions() > 1) else { return Ok(vec![(0, committed)]) };
        let (rows, changes) = committed;
        let partitions = rows.column(self.schema.fields().len() + place).as_primitive::<Int32Type>().clone();
        let mut parts: BTreeMap<i32, Vec<u32>> = BTreeMap::new();
        for (row, partition) in partitions.values().iter().enumerate() {
            parts.entry(*partition).or_default().push(row as u32);
        }
        if let (Some((&partition, _)), 1) = (parts.first_key_value(), parts.len()) {
            return Ok(vec![(partition as usize, (rows, changes))]);
        }
        let part = |(partition, picks): (i32, Vec<u32>)| {
            let changes = changes.as_ref().map(|changes| picks.iter().map(|&row| changes[row as usize]).collect());
            Ok((partition as usize, (take_record_batch(&rows, &UInt32Array::from(picks))?, changes)))
        };
        parts.into_iter().map(part).collect()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Failure: a row that stays has NULL where the table says NOT NULL.
    fn refuse_nulls(&self, rows: &RecordBatch, changes: Option<&[Change]>) -> Result<()> {
        let stays = |row: usize| changes.is_none_or(|changes| !changes[row].is_retraction());
        for (field, column) in self.schema.fields().iter().zip(rows.columns()).filter(|(field, _)| !field.is_nullable())
        {
            let Some(nulls) = column.logical_nulls().filter(|nulls| nulls.null_count() > 0) else { continue };
            if (0..rows.num_rows()).any(|row| nulls.is_null(row) && stays(row)) {
                let (table, name) = (&self.name, field.name());
                return Err(Error::user(format!("column is declared NOT NULL and is given NULL: {table}.{name}")));
            }
        }
        Ok(())
    }

    /// Takes changes in, and hands them to all followers; waits for those that are far behind.
    ///
    /// Failure: a row taken back that was not there, or of a table whose rows stay; columns that are not the table's.
    pub fn commit(&self, rows: &RecordBatch, changes: Option<&[Change]>) -> Result<()> {
        if rows.num_columns() != self.schema.fields().len() + self.system().len() {
            return Err(Error::user(format!("the rows have other columns than {}", self.name)));
        }
        self.refuse_nulls(rows, changes)?;
        let mut state = self.lock();
        let committed = match &mut state.content {
            Content::Passing => (rows.clone(), changes.map(<[Change]>::to_vec)),
            Content::Bag(_)
                if self.changelog == Changelog::Append
                    && changes.is_some_and(|changes| changes.iter().any(|change| change.is_retraction())) =>
            {
                return Err(Error::user(format!("rows of this table stay, and none is taken back: {}", self.name)));
            }
            Content::Bag(bag) => {
                let weight = |row: usize| changes.map_or(1, |changes| changes[row].weight());
                bag.add(rows.columns(), rows.num_rows(), weight)?;
                (rows.clone(), changes.map(<[Change]>::to_vec))
            }
            Content::Keyed { rows: held, key } => replaced(held, key, rows, changes)?,
        };
        if committed.0.num_rows() == 0 {
            return Ok(());
        }
        state.commits += 1;
        let number = state.commits;
        let mut followers: Vec<_> = state.followers.iter().filter_map(Weak::upgrade).collect();
        let count = committed.0.num_rows();
        let entry = |(partition, changes)| Entry { number, partition, changes: Some(changes), watermark: None };
        let entries: Vec<Entry> = self.parts(committed)?.into_iter().map(entry).collect();
        for follower in &followers {
            let mut queue = follower.lock().unwrap_or_else(PoisonError::into_inner);
            queue.rows += count;
            queue.commits.extend(entries.iter().cloned());
        }
        let far_behind = |follower: &Arc<Mutex<Queue>>| {
            let queue = follower.lock().unwrap_or_else(PoisonError::into_inner);
            !queue.is_gone && queue.rows > ROWS_WAITING_MAX
        };
        followers.retain(far_behind);
        let followers: Vec<_> = followers.iter().map(Arc::downgrade).collect();
        while followers.iter().filter_map(Weak::upgrade).any(|follower| far_behind(&follower)) {
            let waited = self.moved.wait_timeout(state, std::time::Duration::from_millis(20));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// Tells followers that no row before a time, in ticks of the event time's column, will be committed any more.
    fn tell_time(&self, watermark: i64) {
        let mut state = self.lock();
        if state.watermark.is_some_and(|known| known >= watermark) {
            return;
        }
        let watermark = Some(watermark);
        state.watermark = watermark;
        state.commits += 1;
        let (number, is_frozen) = (state.commits, state.frozen_at.is_some());
        for follower in state.followers.iter().filter_map(Weak::upgrade) {
            let mut queue = follower.lock().unwrap_or_else(PoisonError::into_inner);
            match queue.commits.back_mut().filter(|_| !is_frozen) {
                Some(last) => last.watermark = watermark,
                None => queue.commits.push_back(Entry { number, partition: 0, changes: None, watermark }),
            }
        }
    }

    /// Takes rows of the program around the engine in: columns by their names, strings of any kind.
    pub fn write(&self, rows: &RecordBatch, changes: Option<&[Change]>) -> Result<()> {
        if changes.is_some_and(|changes| changes.len() != rows.num_rows()) {
            return Err(Error::user("a change is wanted for each row"));
        }
        let fit = Fit::by_position(&self.schema, rows.schema_ref())?;
        let picked = fit.pick(&(0..self.schema.fields().len()).collect::<Vec<_>>());
        let columns = fit.apply(&picked, &rows.project(&picked.file_columns)?)?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        self.commit(&RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?, changes)
    }

    /// Says that nothing more comes.
    pub fn complete(&self) {
        self.lock().end.get_or_insert(Ok(()));
        self.moved.notify_all();
    }

    /// Says why nothing more comes, before it was complete.
    pub fn fail(&self, error: Error) {
        self.lock().end = Some(Err(error));
        self.moved.notify_all();
    }

    /// Whether its rows are complete. Failure: what ended it before that.
    pub fn is_complete(&self) -> Result<bool> {
        match &self.lock().end {
            None => Ok(false),
            Some(Ok(())) => Ok(true),
            Some(Err(error)) => Err(error.again()),
        }
    }

    /// The rows that are there.
    pub fn rows(&self) -> Result<Vec<RecordBatch>> {
        self.lock().content.rows(&self.schema)
    }

    /// How many rows are there.
    pub fn len(&self) -> usize {
        match &self.lock().content {
            Content::Passing => 0,
            Content::Bag(bag) => bag.len(),
            Content::Keyed { rows, .. } => rows.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets followers see no later commit than those there are, until it is thawed.
    pub fn freeze(&self) {
        let mut state = self.lock();
        state.frozen_at = Some(state.commits);
    }

    pub fn thaw(&self) {
        self.lock().frozen_at = None;
    }

    /// The table as it is when a query over it starts.
    pub fn as_it_is(self: &Arc<Self>) -> Arc<dyn Table> {
        Arc::new(AsItIs(self.clone()))
    }

    /// The table and all that happens to it from when a query over it starts.
    pub fn as_it_goes(self: &Arc<Self>) -> Arc<dyn Table> {
        Arc::new(AsItGoes(self.clone()))
    }

    fn follow(&self) -> Result<Arc<Mutex<Queue>>> {
        let mut state = self.lock();
        if let Some(queue) = state.unfollowed.take() {
            return Ok(queue);
        }
        let mut queue = Queue::default();
        for rows in state.content.rows(&self.schema)? {
            queue.rows += rows.num_rows();
            let (number, changes) = (state.commits, Some((rows, None)));
            queue.commits.push_back(Entry { number, partition: 0, changes, watermark: None });
        }
        if state.watermark.is_some() {
            let (number, watermark) = (state.commits, state.watermark);
            queue.commits.push_back(Entry { number, partition: 0, changes: None, watermark });
        }
        let queue = Arc::new(Mutex::new(queue));
        state.followers.retain(|follower| follower.strong_count() > 0);
        state.followers.push(Arc::downgrade(&queue));
        Ok(queue)
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("name", &self.name).finish_non_exhaustive()
    }
}

fn types(schema: &SchemaRef) -> Vec<DataType> {
    engine_schema(schema).fields().iter().map(|field| field.data_type().clone()).collect()
}

/// The columns with those of the key first.
fn key_first(key: &[usize], columns: usize) -> Vec<usize> {
    key.iter().copied().chain((0..columns).filter(|column| !key.contains(column))).collect()
}

impl Content {
    fn rows(&self, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
        let (columns, picks) = match self {
            Content::Passing => return Ok(Vec::new()),
            Content::Bag(bag) => {
                let (columns, counts) = bag.rows()?;
                let counts = counts.iter().enumerate();
                let picks: Vec<u32> =
                    counts.flat_map(|(row, &count)| std::iter::repeat_n(row as u32, count as usize)).collect();
                (columns, picks)
            }
            Content::Keyed { rows, key } => {
                let ordered = rows.all()?;
                let order = key_first(key, schema.fields().len());
                let place =
                    |column: usize| order.iter().position(|&at| at == column).expect("every column has a place");
                let columns: Vec<ArrayRef> =
                    (0..schema.fields().len()).map(|column| ordered[place(column)].clone()).collect();
                (columns, (0..rows.len() as u32).collect())
            }
        };
        let mut batches = Vec::new();
        for picks in picks.chunks(ROWS_PER_BATCH) {
            let picks = UInt32Array::from(picks.to_vec());
            let columns = columns.iter().map(|column| Ok(take(column, &picks, None)?)).collect::<Result<_>>()?;
            let options = RecordBatchOptions::new().with_row_count(Some(picks.values().len()));
            batches.push(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?);
        }
        Ok(batches)
    }
}

/// Puts rows in the places of those of the same keys; what that changed, rows that are equal left out.
fn replaced(held: &mut KeyedRows, key: &[usize], rows: &RecordBatch, changes: Option<&[Change]>) -> Result<Changes> {
    let order = key_first(key, rows.num_columns());
    let columns: Vec<ArrayRef> = order.iter().map(|&column| rows.column(column).clone()).collect();
    let (keys, values) = held.convert(&columns, key.len())?;
    let mut old: Vec<Box<[u8]>> = Vec::new();
    let (mut picks, mut out) = (Vec::new(), Vec::new());
    for row in 0..rows.num_rows() {
        let (key, value) = (keys.row(row).data(), values.row(row).data());
        let change = changes.map_or(Change::INSERT, |changes| changes[row]);
        if change.is_retraction() {
            // A row that another one has replaced is gone already.
            if held.get(key).is_some_and(|now| now == value) {
                old.extend(held.remove(key));
                picks.push((0, old.len() - 1));
                out.push(Change::DELETE);
            }
            continue;
        }
        match held.insert(key, value) {
            Some(before) if &before[..] == value => continue,
            Some(before) => {
                old.push(before);
                picks.push((0, old.len() - 1));
                out.push(Change::UPDATE_BEFORE);
                out.push(Change::UPDATE_AFTER);
            }
            None => out.push(Change::INSERT),
        }
        picks.push((1, row));
    }
    let old = held.columns(old.iter().map(|row| &row[..]))?;
    let place = |column: usize| order.iter().position(|&at| at == column).expect("every column has a place");
    let column = |column: usize| -> Result<ArrayRef> {
        Ok(interleave(&[old[place(column)].as_ref(), rows.column(column).as_ref()], &picks)?)
    };
    let columns = (0..rows.num_columns()).map(column).collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(picks.len()));
    // Rows that were there before may have NULL where the new ones have none.
    let fields =
        rows.schema().fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>();
    let schema = Arc::new(Schema::new(fields));
    Ok((RecordBatch::try_new_with_options(schema, columns, &options)?, Some(out)))
}
