//! What the right side holds when a left row comes, where left rows may be taken back: a row goes with what it had met.
//!
//! ```text
//! +I a    meets what right holds now: out, and noted with the row       right: r1 ──▶ r2 meanwhile
//! -D a    takes back what it had met, r1, whatever right holds by now
//! ```
//! Owns        the right rows that are there, by key; for each left row that is there, the right rows it has met.
//! Invariants  what has left, folded up, is each left row that is there beside what it met when it came. Of equal left rows
//!             the one given last is taken back first. A batch never gives a row and takes the same one back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, UInt32Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::{Int64Type, SchemaRef};
use arrow::row::RowConverter;
use millstream_kernels::bitmap;

use super::bytes::{number, parsed, section_by_key};
use super::roles::Alone;
use super::side::{Side, arguments};
use super::writer::{Source, Writer};
use crate::batch::{Batch, Change, Column, true_rows};
use crate::error::{Error, Result};
use crate::expression::Evaluator;
use crate::function::KernelContext;
use crate::pipeline::{JoinKind, JoinSide, JoinSpec, SymmetricSpec};
use crate::state::{BytesHash, Section, row_converter};
use crate::stream::operator::expiry::KeyExpiry;
use crate::stream::operator::rank::push_changes;
use crate::stream::operator::{Ending, Next, Operator};

const LEFT: &str = "recall left 1";
const RIGHT: &str = "recall right 1";
/// What an entry of a table takes beside its bytes.
const ENTRY_BYTES: usize = size_of::<[usize; 6]>();

type Bytes = Box<[u8]>;
/// A right row, shared by all that have met it.
type RightRow = Arc<[u8]>;
/// The right rows that a left row has met, each as often as it was there.
type Met = Vec<(RightRow, i64)>;

/// A running join with what the right side holds.
pub struct RecallJoin {
    /// Whether left rows that meet nothing leave too.
    outer: bool,
    /// Whether the right side is read to its end first.
    right_first: bool,
    right_ended: bool,
    /// Whether the right side was cut off before it had been read: what would leave could be wrong.
    held: bool,
    sides: [Side; 2],
    keys: Option<RowConverter>,
    rows: [RowConverter; 2],
    residual: Option<Evaluator>,
    /// The sources of left ++ right that the residual reads: column, and where it is kept.
    read: Vec<(usize, JoinSide, usize)>,
    outputs: Vec<(JoinSide, usize)>,
    right: HashMap<Bytes, BTreeMap<RightRow, i64>, BytesHash>,
    met: HashMap<Bytes, Vec<Met>, BytesHash>,
    /// Set where rows of the side are forgotten.
    expiry: [Option<KeyExpiry>; 2],
    bytes: usize,
    context: KernelContext,
    batch_rows: usize,
}

/// The columns that are kept of a batch's rows, and the rows as bytes.
struct Rows {
    columns: Vec<ArrayRef>,
    bytes: arrow::row::Rows,
    /// The key of each; `None` where a part of it is NULL: it meets nothing.
    keys: Vec<Option<Bytes>>,
}

/// What leaves: a left row of the batch, a right row beside it, and how often.
struct Leaving {
    left: u32,
    right: Option<RightRow>,
    count: i64,
    change: Change,
}

impl RecallJoin {
    /// A join of inputs with these columns; `right_first`: whether the right side ends and is read first.
    ///
    /// Failure: a column whose values cannot be compared.
    pub fn new(
        spec: &JoinSpec,
        symmetric: &SymmetricSpec,
        schemas: [&SchemaRef; 2],
        right_first: bool,
        seed: u64,
        context: KernelContext,
        batch_rows: usize,
    ) -> Result<Self> {
        let writer = Writer::new(spec, schemas);
        let column = |column: usize| match Source::of(column, schemas) {
            Source::Column(side, at) => Some((column, side, at)),
            Source::Mark => None,
        };
        let residual: Vec<_> = spec.residual.iter().flat_map(|program| program.inputs()).filter_map(column).collect();
        let side = |side: JoinSide| {
            let mut needed = writer.columns(side);
            needed.extend(residual.iter().filter(|(_, of, _)| *of == side).map(|(.., at)| *at));
            let symmetric = SymmetricSpec { updating: [false; 2], ..symmetric.clone() };
            Side::new(spec, &symmetric, side, schemas[number(side)], (needed, Alone::Nothing), seed, context)
        };
        let sides = [side(JoinSide::Left)?, side(JoinSide::Right)?];
        let place = |side: JoinSide, at: usize| sides[number(side)].places[at].expect("what is read is kept");
        let outputs = spec.outputs.iter().filter_map(|&output| column(output));
        let key_types = sides[0].key_types().to_vec();
        Ok(RecallJoin {
            outer: spec.kind == JoinKind::Left,
            right_first,
            right_ended: false,
            held: false,
            outputs: outputs.map(|(_, side, at)| (side, place(side, at))).collect(),
            read: residual.iter().map(|&(column, side, at)| (column, side, place(side, at))).collect(),
            residual: spec.residual.as_ref().map(|program| Evaluator::new(program.clone(), context)),
            keys: (!key_types.is_empty()).then(|| row_converter(&key_types)).transpose()?,
            rows: [row_converter(&sides[0].map.shape().types)?, row_converter(&sides[1].map.shape().types)?],
            sides,
            right: HashMap::default(),
            met: HashMap::default(),
            expiry: symmetric.ttl.map(|ttl| ttl.map(KeyExpiry::new)),
            bytes: 0,
            context,
            batch_rows,
        })
    }

    fn read(&mut self, side: JoinSide, batch: &Batch) -> Result<Rows> {
        let of = &mut self.sides[number(side)];
        of.evaluator.run(batch)?;
        let of = &self.sides[number(side)];
        let types = &of.evaluator.program().output_types;
        let outputs = arguments(&of.evaluator, batch);
        let columns = of.kept.iter().map(|&output| outputs[output].to_array(&types[output]));
        self.rows_of(side, columns.collect::<Result<Vec<_>>>()?)
    }

    fn rows_of(&self, side: JoinSide, columns: Vec<ArrayRef>) -> Result<Rows> {
        let of = &self.sides[number(side)];
        let count = columns.first().map_or(0, |column| column.len());
        let keys: Vec<ArrayRef> = of.key_places.iter().map(|&place| columns[place].clone()).collect();
        let written = self.keys.as_ref().map(|converter| converter.convert_columns(&keys)).transpose()?;
        let key = |row: usize| match &written {
            None => Some(Bytes::default()),
            Some(_) if keys.iter().any(|key| key.is_null(row)) => None,
            Some(written) => Some(Bytes::from(written.row(row).data())),
        };
        Ok(Rows {
            bytes: self.rows[number(side)].convert_columns(&columns)?,
            keys: (0..count).map(key).collect(),
            columns,
        })
    }

    fn take_right(&mut self, rows: &Rows, weight: impl Fn(usize) -> i64, now: Option<i64>) {
        for (row, key) in rows.keys.iter().enumerate() {
            let (Some(key), weight) = (key, weight(row)) else { continue };
            let bytes = rows.bytes.row(row).data();
            if let Some(expiry) = &mut self.expiry[1] {
                // What was forgotten is taken back by nobody.
                if weight < 0 && !self.right.get(key).is_some_and(|held| held.contains_key(bytes)) {
                    continue;
                }
                let name = joined(key, bytes);
                expiry.note(&name, now);
            }
            let held = match self.right.get_mut(key) {
                Some(held) => held,
                None => {
                    self.bytes += key.len() + ENTRY_BYTES;
                    self.right.entry(key.clone()).or_default()
                }
            };
            match held.get_mut(bytes) {
                Some(count) => {
                    *count += weight;
                    if *count == 0 {
                        held.remove(bytes);
                        self.bytes -= bytes.len() + ENTRY_BYTES;
                    }
                }
                None if weight == 0 => {}
                None => {
                    held.insert(bytes.into(), weight);
                    self.bytes += bytes.len() + ENTRY_BYTES;
                }
            }
            if held.is_empty() {
                self.right.remove(key);
                self.bytes -= key.len() + ENTRY_BYTES;
            }
        }
    }

    fn take_left(&mut self, rows: &Rows, batch: &Batch) -> Result<Vec<Leaving>> {
        let weights = net(&rows.bytes, batch.selected_changes().as_deref());
        let mut leaving = Vec::new();
        for (row, _) in weights.iter().enumerate().filter(|(_, weight)| **weight < 0) {
            let Some(met) = self.forget(rows.bytes.row(row).data())? else { continue };
            self.leave(row, &met, Change::DELETE, &mut leaving);
        }
        let given: Vec<usize> = (0..weights.len()).filter(|&row| weights[row] > 0).collect();
        for (row, met) in given.iter().zip(self.meet(rows, &given)?) {
            self.leave(*row, &met, Change::INSERT, &mut leaving);
            self.note(rows.bytes.row(*row).data(), met, Some(batch.now));
        }
        Ok(leaving)
    }

    fn leave(&self, row: usize, met: &Met, change: Change, leaving: &mut Vec<Leaving>) {
        let left = row as u32;
        if met.is_empty() && self.outer {
            leaving.push(Leaving { left, right: None, count: 1, change });
        }
        leaving.extend(met.iter().map(|(right, count)| Leaving {
            left,
            right: Some(right.clone()),
            count: *count,
            change,
        }));
    }

    /// What each of these left rows meets now.
    fn meet(&mut self, rows: &Rows, given: &[usize]) -> Result<Vec<Met>> {
        let (mut asked, mut held): (Vec<u32>, Vec<(RightRow, i64)>) = Default::default();
        for (at, &row) in given.iter().enumerate() {
            let found = rows.keys[row].as_ref().and_then(|key| self.right.get(key));
            for (right, &count) in found.into_iter().flatten().filter(|(_, count)| **count > 0) {
                asked.push(at as u32);
                held.push((right.clone(), count));
            }
        }
        let mut met = vec![Met::new(); given.len()];
        let mut from = 0;
        while from < asked.len() {
            let to = (from + self.batch_rows).min(asked.len());
            let passed = self.passed(rows, given, &asked[from..to], &held[from..to])?;
            passed.into_iter().for_each(|at| met[asked[from + at] as usize].push(held[from + at].clone()));
            from = to;
        }
        Ok(met)
    }

    /// The pairs for which the other conditions are true.
    fn passed(&mut self, rows: &Rows, given: &[usize], asked: &[u32], held: &[(RightRow, i64)]) -> Result<Vec<usize>> {
        let Some(residual) = &mut self.residual else { return Ok((0..asked.len()).collect()) };
        let held: Vec<&[u8]> = held.iter().map(|(right, _)| &right[..]).collect();
        let right = columns(&self.rows, &self.sides, JoinSide::Right, &held)?;
        let picks: UInt32Array = asked.iter().map(|&at| Some(given[at as usize] as u32)).collect();
        let mut batch = Batch::default();
        let width = self.read.iter().map(|(column, ..)| column + 1).max().unwrap_or(0);
        batch.columns.resize_with(width, Column::default);
        for &(column, side, place) in &self.read {
            let values = match side {
                JoinSide::Left => take(&rows.columns[place], &picks, None)?,
                JoinSide::Right => right[place].clone(),
            };
            batch.columns[column] = Column::Array(values);
        }
        batch.rows = asked.len();
        residual.run(&batch)?;
        let (mut mask, mut kept) = (Vec::new(), Vec::new());
        let count = residual.rows();
        let passed = true_rows(self.context.level, &residual.output(&batch, 0), count, &mut mask)?;
        bitmap::to_selection(self.context.level, &mask, count, &mut kept);
        Ok(kept.into_iter().take(passed).map(usize::from).collect())
    }

    /// Notes what a left row has met.
    fn note(&mut self, left: &[u8], met: Met, now: Option<i64>) {
        if let Some(expiry) = &mut self.expiry[0] {
            expiry.note(left, now);
        }
        self.bytes += size_of_met(&met);
        match self.met.get_mut(left) {
            Some(rows) => rows.push(met),
            None => {
                self.bytes += left.len() + ENTRY_BYTES;
                self.met.insert(left.into(), vec![met]);
            }
        }
    }

    /// What the last of these equal left rows had met, which is not there any more; `None`: it was forgotten by its age.
    fn forget(&mut self, left: &[u8]) -> Result<Option<Met>> {
        let Some(rows) = self.met.get_mut(left) else {
            return match self.expiry[0] {
                Some(_) => Ok(None),
                None => Err(Error::user("a join was told to take back a row that it was not given")),
            };
        };
        let met = rows.pop().unwrap_or_default();
        self.bytes -= size_of_met(&met);
        if rows.is_empty() {
            self.met.remove(left);
            self.bytes -= left.len() + ENTRY_BYTES;
        }
        Ok(Some(met))
    }

    /// Sends what leaves.
    fn push_on(&self, rows: &Rows, leaving: &[Leaving], next: &mut Next<'_>) -> Result<()> {
        let met: Vec<&[u8]> = leaving.iter().filter_map(|row| row.right.as_deref()).collect();
        let right = columns(&self.rows, &self.sides, JoinSide::Right, &met)?;
        let mut met = 0;
        let (mut lefts, mut rights, mut changes): (Vec<u32>, Vec<Option<u32>>, Vec<Change>) = Default::default();
        for row in leaving {
            let place = row.right.as_ref().map(|_| met);
            met += u32::from(place.is_some());
            for _ in 0..row.count {
                lefts.push(row.left);
                rights.push(place);
                changes.push(row.change);
            }
        }
        let (lefts, rights) = (UInt32Array::from(lefts), UInt32Array::from(rights));
        let column = |&(side, place): &(JoinSide, usize)| match side {
            JoinSide::Left => Ok(take(&rows.columns[place], &lefts, None)?),
            JoinSide::Right if met == 0 => Ok(new_null_array(&self.sides[1].map.shape().types[place], changes.len())),
            JoinSide::Right => Ok(take(&right[place], &rights, None)?),
        };
        let columns = self.outputs.iter().map(column).collect::<Result<Vec<_>>>()?;
        push_changes(&columns, &changes, self.batch_rows, next)
    }

    /// A section's keys, made of rows as bytes of a side.
    fn section(&self, name: &str, side: JoinSide, rows: &[&[u8]], others: Vec<ArrayRef>) -> Result<Section> {
        let kept = columns(&self.rows, &self.sides, side, rows)?;
        let key_places = &self.sides[number(side)].key_places;
        let mut columns: Vec<ArrayRef> = key_places.iter().map(|&place| kept[place].clone()).collect();
        let key_count = columns.len();
        columns.push(Arc::new(BinaryArray::from_iter_values(rows)));
        columns.extend(others);
        section_by_key(name, key_count, columns)
    }

    fn restore_right(&mut self, rows: &BinaryArray, counts: &Int64Array) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let rows: Vec<&[u8]> = rows.iter().flatten().collect();
        let columns = columns(&self.rows, &self.sides, JoinSide::Right, &rows)?;
        let rows = self.rows_of(JoinSide::Right, columns)?;
        self.take_right(&rows, |row| counts.value(row), None);
        Ok(())
    }

    fn restore_left(&mut self, rows: &BinaryArray, times: &Int64Array, met: &BinaryArray, counts: &Int64Array) {
        let mut shared: HashMap<&[u8], RightRow> = HashMap::new();
        let mut row = 0;
        while row < rows.len() {
            let (left, time) = (rows.value(row), times.value(row));
            let mut of_row = Met::new();
            while row < rows.len() && rows.value(row) == left && times.value(row) == time {
                if met.is_valid(row) {
                    let right = shared.entry(met.value(row)).or_insert_with(|| met.value(row).into());
                    of_row.push((right.clone(), counts.value(row)));
                }
                row += 1;
            }
            self.note(left, of_row, None);
        }
    }
}

/// The columns that are kept of a side's rows.
fn columns(converters: &[RowConverter; 2], sides: &[Side; 2], side: JoinSide, rows: &[&[u8]]) -> Result<Vec<ArrayRef>> {
    parsed(&converters[number(side)], rows, &sides[number(side)].map.shape().types)
}

fn size_of_met(met: &Met) -> usize {
    size_of::<Met>() + met.len() * size_of::<(RightRow, i64)>()
}

/// A key and a row as one name.
fn joined(key: &[u8], row: &[u8]) -> Vec<u8> {
    let mut name = (key.len() as u32).to_le_bytes().to_vec();
    name.extend_from_slice(key);
    name.extend_from_slice(row);
    name
}

/// The key and the row of a name.
fn parted(name: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = name.split_at(size_of::<u32>());
    let length = u32::from_le_bytes(length.try_into().expect("four bytes stand in front"));
    rest.split_at(length as usize)
}

/// What each row of a batch does, once what it gives and takes back at once is left out: 1, -1 or 0.
fn net(rows: &arrow::row::Rows, changes: Option<&[Change]>) -> Vec<i64> {
    let mut weights: Vec<i64> = match changes {
        None => return vec![1; rows.num_rows()],
        Some(changes) => changes.iter().map(|change| change.weight()).collect(),
    };
    let mut sums: HashMap<&[u8], i64> = HashMap::new();
    for (row, weight) in weights.iter().enumerate() {
        *sums.entry(rows.row(row).data()).or_default() += weight;
    }
    for (row, weight) in weights.iter_mut().enumerate() {
        let left = sums.get_mut(rows.row(row).data()).expect("added up above");
        if left.signum() == *weight {
            *left -= *weight;
        } else {
            *weight = 0;
        }
    }
    weights
}

impl Operator for RecallJoin {
    fn wants(&self, port: usize) -> bool {
        port == 1 || !self.right_first || self.right_ended || self.held
    }

    fn push(&mut self, port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        if port == 1 {
            let rows = self.read(JoinSide::Right, batch)?;
            let changes = batch.selected_changes();
            self.take_right(&rows, |row| changes.as_ref().map_or(1, |changes| changes[row].weight()), Some(batch.now));
            return Ok(());
        }
        if self.held {
            return Ok(());
        }
        let rows = self.read(JoinSide::Left, batch)?;
        let leaving = self.take_left(&rows, batch)?;
        if leaving.is_empty() { Ok(()) } else { self.push_on(&rows, &leaving, next) }
    }

    fn end_input(&mut self, port: usize, ending: Ending, _next: &mut Next<'_>) -> Result<()> {
        match ending {
            Ending::Hold => self.held |= port == 1 && self.right_first,
            Ending::Flush => self.right_ended |= port == 1,
        }
        Ok(())
    }

    fn tick(&mut self, now: i64, _next: &mut Next<'_>) -> Result<()> {
        let [left, right] = &mut self.expiry;
        if let Some(expiry) = left {
            expiry.forget(now, |row| {
                if let Some(met) = self.met.remove(row) {
                    self.bytes -= row.len() + ENTRY_BYTES + met.iter().map(size_of_met).sum::<usize>();
                }
            });
        }
        if let Some(expiry) = right {
            expiry.forget(now, |name| {
                let (key, row) = parted(name);
                let Some(held) = self.right.get_mut(key) else { return };
                if held.remove(row).is_some() {
                    self.bytes -= row.len() + ENTRY_BYTES;
                }
                if held.is_empty() {
                    self.right.remove(key);
                    self.bytes -= key.len() + ENTRY_BYTES;
                }
            });
        }
        Ok(())
    }

    fn next_tick(&self) -> Option<i64> {
        let is_empty = [self.met.is_empty(), self.right.is_empty()];
        let ticks = self.expiry.iter().zip(is_empty).filter(|(_, is_empty)| !is_empty);
        ticks.filter_map(|(expiry, _)| expiry.as_ref().map(KeyExpiry::next_tick)).min()
    }

    fn snapshot(&mut self) -> Result<Vec<Section>> {
        let (mut rows, mut counts): (Vec<&[u8]>, Vec<i64>) = Default::default();
        for (row, &count) in self.right.values().flatten() {
            rows.push(row);
            counts.push(count);
        }
        let right = self.section(RIGHT, JoinSide::Right, &rows, vec![Arc::new(Int64Array::from(counts))])?;
        let (mut rows, mut times): (Vec<&[u8]>, Vec<i64>) = Default::default();
        let (mut met, mut counts): (Vec<Option<&[u8]>>, Vec<i64>) = Default::default();
        for (left, of_row) in &self.met {
            for (time, of_row) in of_row.iter().enumerate() {
                let before = rows.len();
                met.extend(of_row.iter().map(|(right, _)| Some(&right[..])));
                counts.extend(of_row.iter().map(|(_, count)| *count));
                if of_row.is_empty() {
                    met.push(None);
                    counts.push(0);
                }
                rows.resize(met.len(), left);
                times.resize(before + of_row.len().max(1), time as i64);
            }
        }
        let others: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(times)),
            Arc::new(BinaryArray::from(met)),
            Arc::new(Int64Array::from(counts)),
        ];
        let left = self.section(LEFT, JoinSide::Left, &rows, others)?;
        Ok(vec![right, left])
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        for section in sections {
            let columns = section.rows.columns();
            let others = &columns[self.sides[0].key_count.min(columns.len())..];
            let integers = |at: usize| others[at].as_primitive::<Int64Type>();
            match (section.name.as_str(), others.len()) {
                (RIGHT, 2) => self.restore_right(others[0].as_binary(), integers(1))?,
                (LEFT, 4) => {
                    self.restore_left(others[0].as_binary(), integers(1), others[2].as_binary(), integers(3));
                }
                (other, _) => {
                    return Err(Error::bug(format!("a join does not take this part of a snapshot: {other}")));
                }
            }
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.bytes + self.expiry.iter().flatten().map(KeyExpiry::size_bytes).sum::<usize>()
    }

    fn remarks(&self) -> String {
        let right: usize = self.right.values().map(BTreeMap::len).sum();
        format!("{right} rows of right, what {} of left have met", self.met.len())
    }
}
