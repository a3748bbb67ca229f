//! A join with a table that is asked by key: once for each batch, for the keys that are not known.
//!
//! Place       where its rows come by: each worker asks for itself, and keeps what it was told.
//! Owns        the answers of the keys asked for last, as many and for as long as the options say.
//! Invariants  rows leave in the order they came in; those of a NULL key have no match.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::{cast, interleave, take, take_record_batch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};

use crate::batch::{Batch, Column, ROWS_MAX, Selection};
use crate::error::{Error, Result};
use crate::expression::Evaluator;
use crate::function::KernelContext;
use crate::pipeline::{JoinKind, LookupSpec};
use crate::stream::operator::{Next, Operator};

/// A running join by key.
pub struct LookupJoin {
    spec: LookupSpec,
    keys: Evaluator,
    conditions: Vec<Evaluator>,
    converter: RowConverter,
    input: SchemaRef,
    /// The columns of the table, of the engine's types.
    table: SchemaRef,
    cache: Cache,
    asked: Asked,
}

/// What EXPLAIN ANALYZE tells.
#[derive(Default)]
struct Asked {
    calls: u64,
    keys: u64,
    known: u64,
}

/// The rows of each key of a batch.
type Answers = Vec<Arc<RecordBatch>>;

/// A row of the input, and where the row beside it is: a batch of answers and a row of it.
type Pair = (u16, Option<(usize, usize)>);

impl LookupJoin {
    /// `input` is what comes in.
    pub fn new(spec: &LookupSpec, input: SchemaRef, context: KernelContext) -> Result<LookupJoin> {
        let table = crate::batch::engine_schema(&spec.lookup.schema);
        let fields = spec.lookup.keys.iter().map(|&key| SortField::new(table.field(key).data_type().clone()));
        Ok(LookupJoin {
            keys: Evaluator::new(spec.keys.clone(), context),
            conditions: spec.conditions.iter().map(|condition| Evaluator::new(condition.clone(), context)).collect(),
            converter: RowConverter::new(fields.collect())?,
            input,
            table,
            cache: Cache::new(spec.lookup.options.cache_keys_max, spec.lookup.options.cache_ttl),
            asked: Asked::default(),
            spec: spec.clone(),
        })
    }

    /// The answers for the selected rows of a batch, and which of them is each row's; `None`: a key is NULL.
    fn answers(&mut self, batch: &Batch) -> Result<(Answers, Vec<Option<usize>>)> {
        self.keys.run(batch)?;
        let rows = batch.selected_rows();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.spec.lookup.keys.len());
        for (output, &key) in self.spec.lookup.keys.iter().enumerate() {
            columns.push(self.keys.output(batch, output).to_array(self.table.field(key).data_type())?);
        }
        let encoded = self.converter.convert_columns(&columns)?;
        let (mut answers, mut of_row, mut missing) = (Vec::new(), Vec::with_capacity(rows), Vec::new());
        let mut numbers: HashMap<Box<[u8]>, usize> = HashMap::new();
        for row in 0..rows {
            if columns.iter().any(|column| column.is_null(row)) {
                of_row.push(None);
                continue;
            }
            let key = encoded.row(row);
            let key: &[u8] = key.as_ref();
            if let Some(&number) = numbers.get(key) {
                of_row.push(Some(number));
                continue;
            }
            let number = answers.len();
            numbers.insert(key.into(), number);
            of_row.push(Some(number));
            match self.cache.get(key, batch.now) {
                Some(known) => {
                    self.asked.known += 1;
                    answers.push(Some(known));
                }
                None => {
                    missing.push(row);
                    answers.push(None);
                }
            }
        }
        if !missing.is_empty() {
            let at = UInt32Array::from_iter_values(missing.iter().map(|&row| row as u32));
            let asked = columns.iter().map(|column| take(column, &at, None)).collect::<Result<Vec<_>, _>>()?;
            let told = self.ask(&self.key_batch(&asked)?)?;
            self.take_in(&told, &numbers, &mut answers, batch.now)?;
        }
        let nothing = Arc::new(RecordBatch::new_empty(self.table.clone()));
        Ok((answers.into_iter().map(|answer| answer.unwrap_or_else(|| nothing.clone())).collect(), of_row))
    }

    /// Keys under the names and in the types that the table has declared.
    fn key_batch(&self, columns: &[ArrayRef]) -> Result<RecordBatch> {
        let declared = self.spec.lookup.keys.iter().map(|&key| self.spec.lookup.schema.field(key).clone());
        let fields: Vec<Field> = declared.collect();
        let columns = columns.iter().zip(&fields).map(|(column, field)| Ok(cast(column, field.data_type())?));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }

    /// What the table says, in the engine's types and the schema's order.
    fn ask(&mut self, keys: &RecordBatch) -> Result<RecordBatch> {
        self.asked.calls += 1;
        self.asked.keys += keys.num_rows() as u64;
        let doing = || format!("in the lookup table {}", self.spec.name);
        let told = self.spec.lookup.table.lookup(keys).map_err(|e| e.context(doing()))?;
        let mut columns = Vec::with_capacity(self.table.fields().len());
        for field in self.table.fields() {
            let Some(column) = told.column_by_name(field.name()) else {
                return Err(Error::user(format!("an answer lacks the column {}", field.name())).context(doing()));
            };
            let cast = cast(column, field.data_type());
            columns.push(cast.map_err(|e| Error::from(e).context(doing()))?);
        }
        Ok(RecordBatch::try_new(self.table.clone(), columns)?)
    }

    /// Gives each key its rows of an answer, and remembers them.
    fn take_in(
        &mut self,
        told: &RecordBatch,
        numbers: &HashMap<Box<[u8]>, usize>,
        answers: &mut [Option<Arc<RecordBatch>>],
        now: i64,
    ) -> Result<()> {
        let columns: Vec<ArrayRef> = self.spec.lookup.keys.iter().map(|&key| told.column(key).clone()).collect();
        let encoded = self.converter.convert_columns(&columns)?;
        let mut rows: Vec<Vec<u32>> = vec![Vec::new(); answers.len()];
        for row in 0..told.num_rows() {
            if let Some(&number) = numbers.get(encoded.row(row).as_ref()) {
                rows[number].push(row as u32);
            }
        }
        for (key, &number) in numbers {
            if answers[number].is_none() {
                let of_key = UInt32Array::from(std::mem::take(&mut rows[number]));
                let answer = Arc::new(take_record_batch(told, &of_key)?);
                self.cache.put(key, answer.clone(), now);
                answers[number] = Some(answer);
            }
        }
        Ok(())
    }

    /// The pairs that meet all conditions; of LEFT, rows without one too.
    fn pairs(&mut self, batch: &Batch, answers: &[Arc<RecordBatch>], of_row: &[Option<usize>]) -> Result<Vec<Pair>> {
        let physical = |at: usize| batch.selection.as_slice().map_or(at as u16, |rows| rows[at]);
        let mut pairs: Vec<Pair> = Vec::new();
        for (at, answer) in of_row.iter().enumerate() {
            let Some(answer) = answer else { continue };
            pairs.extend((0..answers[*answer].num_rows()).map(|row| (physical(at), Some((*answer, row)))));
        }
        if !self.conditions.is_empty() {
            pairs = self.meeting(batch, answers, pairs)?;
        }
        if self.spec.kind == JoinKind::Inner {
            return Ok(pairs);
        }
        let mut all = Vec::with_capacity(pairs.len());
        let mut next = pairs.into_iter().peekable();
        for at in 0..of_row.len() {
            let row = physical(at);
            if next.peek().is_none_or(|(left, _)| *left != row) {
                all.push((row, None));
            }
            while let Some(pair) = next.next_if(|(left, _)| *left == row) {
                all.push(pair);
            }
        }
        Ok(all)
    }

    /// The pairs for which all conditions are true.
    fn meeting(&mut self, batch: &Batch, answers: &[Arc<RecordBatch>], pairs: Vec<Pair>) -> Result<Vec<Pair>> {
        let width = self.input.fields().len();
        let all: Vec<usize> = (0..width + self.table.fields().len()).collect();
        let mut kept = Vec::with_capacity(pairs.len());
        for piece in pairs.chunks(ROWS_MAX) {
            let mut both = Batch { rows: piece.len(), now: batch.now, ..Batch::default() };
            for &column in &all {
                both.columns.push(self.column(batch, answers, piece, column)?);
            }
            let mut keep = vec![true; piece.len()];
            for condition in &mut self.conditions {
                condition.run(&both)?;
                let holds = condition.output(&both, 0).to_array(&arrow::datatypes::DataType::Boolean)?;
                let holds = holds.as_any().downcast_ref::<BooleanArray>().expect("a condition is true, false or NULL");
                for (row, keep) in keep.iter_mut().enumerate() {
                    *keep &= holds.is_valid(row) && holds.value(row);
                }
            }
            kept.extend(piece.iter().zip(keep).filter(|(_, keep)| *keep).map(|(pair, _)| *pair));
        }
        Ok(kept)
    }

    /// A column of pairs, by its number among those of both sides.
    fn column(&self, batch: &Batch, answers: &[Arc<RecordBatch>], pairs: &[Pair], column: usize) -> Result<Column> {
        let width = self.input.fields().len();
        if column < width {
            let rows: Vec<u16> = pairs.iter().map(|(row, _)| *row).collect();
            let mut into = Column::default();
            batch.columns[column].gather_into(&rows, &mut into)?;
            return Ok(into);
        }
        let column = column - width;
        let nothing = new_null_array(self.table.field(column).data_type(), 1);
        let arrays: Vec<&dyn Array> = std::iter::once(nothing.as_ref())
            .chain(answers.iter().map(|answer| answer.column(column).as_ref()))
            .collect();
        let places: Vec<(usize, usize)> =
            pairs.iter().map(|(_, beside)| beside.map_or((0, 0), |(answer, row)| (answer + 1, row))).collect();
        Ok(Column::Array(interleave(&arrays, &places)?))
    }
}

impl Operator for LookupJoin {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let (answers, of_row) = self.answers(batch)?;
        let pairs = self.pairs(batch, &answers, &of_row)?;
        for piece in pairs.chunks(ROWS_MAX) {
            let mut out =
                Batch { rows: piece.len(), now: batch.now, selection: Selection::default(), ..Batch::default() };
            for &column in &self.spec.outputs {
                out.columns.push(self.column(batch, &answers, piece, column)?);
            }
            out.watermarks.take_rows(&batch.watermarks, piece.iter().map(|(row, _)| *row as usize));
            next.push(&mut out)?;
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.cache.bytes
    }

    fn remarks(&self) -> String {
        let Asked { calls, keys, known } = self.asked;
        format!("asked {calls} times for {keys} keys, {known} known, {} kept", self.cache.entries.len())
    }
}

/// The answers of the keys asked for last.
struct Cache {
    keys_max: usize,
    ttl_us: Option<i64>,
    entries: HashMap<Box<[u8]>, Entry>,
    /// When each was used last, by a count of uses.
    order: BTreeMap<u64, Box<[u8]>>,
    uses: u64,
    bytes: usize,
}

struct Entry {
    answer: Arc<RecordBatch>,
    used: u64,
    /// When it was told, in microseconds of the clock.
    since: i64,
}

impl Cache {
    fn new(keys_max: usize, ttl: Option<std::time::Duration>) -> Cache {
        let ttl_us = ttl.map(|ttl| i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX));
        Cache { keys_max, ttl_us, entries: HashMap::new(), order: BTreeMap::new(), uses: 0, bytes: 0 }
    }

    fn get(&mut self, key: &[u8], now: i64) -> Option<Arc<RecordBatch>> {
        let entry = self.entries.get_mut(key)?;
        if self.ttl_us.is_some_and(|ttl| now.saturating_sub(entry.since) >= ttl) {
            self.forget(key);
            return None;
        }
        self.uses += 1;
        let kept = self.order.remove(&entry.used).expect("every entry has its place");
        entry.used = self.uses;
        let answer = entry.answer.clone();
        self.order.insert(self.uses, kept);
        Some(answer)
    }

    fn put(&mut self, key: &[u8], answer: Arc<RecordBatch>, now: i64) {
        if self.keys_max == 0 {
            return;
        }
        self.forget(key);
        while self.entries.len() >= self.keys_max {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            if let Some(entry) = self.entries.remove(&oldest) {
                self.bytes -= size(&oldest, &entry);
            }
        }
        self.uses += 1;
        let entry = Entry { answer, used: self.uses, since: now };
        self.bytes += size(key, &entry);
        self.order.insert(self.uses, key.into());
        self.entries.insert(key.into(), entry);
    }

    fn forget(&mut self, key: &[u8]) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= size(key, &entry);
            self.order.remove(&entry.used);
        }
    }
}

fn size(key: &[u8], entry: &Entry) -> usize {
    2 * key.len() + size_of::<Entry>() + entry.answer.get_array_memory_size()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answer() -> Arc<RecordBatch> {
        Arc::new(RecordBatch::new_empty(Arc::new(Schema::empty())))
    }

    #[test]
    fn the_key_that_was_not_asked_for_longest_goes_first() {
        let mut cache = Cache::new(2, None);
        cache.put(b"a", answer(), 0);
        cache.put(b"b", answer(), 0);
        assert!(cache.get(b"a", 0).is_some());
        cache.put(b"c", answer(), 0);
        assert!(cache.get(b"b", 0).is_none());
        assert!(cache.get(b"a", 0).is_some() && cache.get(b"c", 0).is_some());
        assert_eq!((cache.entries.len(), cache.order.len()), (2, 2));
    }

    #[test]
    fn an_answer_is_forgotten_when_its_time_is_over_however_often_it_was_used() {
        let mut cache = Cache::new(2, Some(Duration::from_micros(10)));
        cache.put(b"a", answer(), 100);
        assert!(cache.get(b"a", 105).is_some() && cache.get(b"a", 109).is_some());
        assert!(cache.get(b"a", 110).is_none());
        assert_eq!((cache.bytes, cache.entries.len(), cache.order.len()), (0, 0, 0));
    }

    #[test]
    fn nothing_is_kept_where_nothing_may_be() {
        let mut cache = Cache::new(0, None);
        cache.put(b"a", answer(), 0);
        assert!(cache.get(b"a", 0).is_none());
    }
}
