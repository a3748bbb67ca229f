//! The nearest right row for each left row, where rows of either side come and go: what a batch changes leaves as changes.
//!
//! ```text
//! right rows of a key    3      7         12            a change at 7 concerns the left rows from 7 on to 12 (for >=):
//! left rows                 4     8  9          15      what they met before is taken back, what they meet now is given
//! ```
//! Owns        all rows of both sides by key, in their order, with how often each is there.
//! Invariants  what has left, folded up, is the join of what has come, after every batch; of right rows with one order the
//!             same counts as in [`super::AsOfJoin`]. A batch never gives a row and takes the same one back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, UInt32Array, new_null_array};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};
use smallvec::SmallVec;

use super::as_of::{orders, row_ties};
use super::bytes::{number, parsed, section_by_key};
use super::side::{Side, arguments};
use super::writer::Writer;
use crate::batch::{Argument, Batch, Change, Column, KernelColumn};
use crate::error::{Error, Result};
use crate::function::KernelContext;
use crate::pipeline::{AsOfSpec, JoinKind, JoinSide, JoinSpec, Nearest};
use crate::state::{BytesHash, Section, row_converter};
use crate::stream::operator::rank::push_changes;
use crate::stream::operator::{Next, Operator};

const LEFT: &str = "as of changes left 1";
const RIGHT: &str = "as of changes right 1";
/// What a row takes beside its bytes.
const ROW_BYTES: usize = size_of::<[usize; 8]>();

type Bytes = Box<[u8]>;
/// Order, and the row.
type LeftRow = (i64, Bytes);
/// Order, what decides between equal ones, and the row.
type RightRow = (i64, Tie, Bytes);
/// Of several right rows with one order the one with the greatest counts.
type Tie = SmallVec<[u8; 16]>;

/// The rows of a key, and how often each is there.
#[derive(Default)]
struct Key {
    left: BTreeMap<LeftRow, i64>,
    right: BTreeMap<RightRow, i64>,
}

/// What leaves: a left row, the right one beside it, and how often it is given.
struct Leaving {
    left: Bytes,
    right: Option<Bytes>,
    weight: i64,
}

/// Where an output column comes from: the side, and its place among the columns kept.
type Source = (JoinSide, usize);

/// A running join by the nearest of rows that come and go.
pub struct AsOfChanges {
    nearest: Nearest,
    /// Whether left rows without a right one leave too.
    outer: bool,
    sides: [Side; 2],
    order_types: [DataType; 2],
    keys: Option<RowConverter>,
    rows: [RowConverter; 2],
    /// The primary key of the right side, the least last, and where its columns are kept.
    ties: Option<(RowConverter, Vec<usize>)>,
    outputs: Vec<Source>,
    output: RowConverter,
    state: HashMap<Bytes, Key, BytesHash>,
    row_bytes: usize,
    context: KernelContext,
    batch_rows: usize,
}

/// The rows of a batch, or of a snapshot.
struct Read {
    /// `None` where a key or the order is NULL: such a row meets nothing.
    places: Vec<Option<(Bytes, i64)>>,
    ties: Vec<Tie>,
    rows: Rows,
}

impl AsOfChanges {
    /// A join of inputs with these columns.
    ///
    /// Failure: a column whose values cannot be compared.
    pub fn new(
        spec: &JoinSpec,
        as_of: &AsOfSpec,
        schemas: [&SchemaRef; 2],
        seed: u64,
        context: KernelContext,
        batch_rows: usize,
    ) -> Result<Self> {
        let writer = Writer::new(spec, schemas);
        let side = |side: JoinSide, order: usize| {
            let mut needed = writer.columns(side);
            needed.push(order);
            needed.extend(as_of.ties.iter().filter(|_| side == JoinSide::Right));
            Side::of_rows(spec, side, schemas[usize::from(side == JoinSide::Right)], needed, order, seed, context)
        };
        let sides = [side(JoinSide::Left, as_of.left)?, side(JoinSide::Right, as_of.right)?];
        let key_types = sides[0].key_types().to_vec();
        let widths = schemas.map(|schema| schema.fields().len());
        let source = |&column: &usize| {
            let (side, column) =
                if column < widths[0] { (JoinSide::Left, column) } else { (JoinSide::Right, column - widths[0]) };
            (side, sides[number(side)].places[column].expect("what is read is kept"))
        };
        let outputs: Vec<Source> = spec.outputs.iter().map(source).collect();
        let output_types: Vec<DataType> =
            outputs.iter().map(|&(side, place)| sides[number(side)].map.shape().types[place].clone()).collect();
        let ties: Vec<usize> =
            as_of.ties.iter().map(|&column| sides[1].places[column].expect("what is read is kept")).collect();
        let order_type = |side: usize, column: usize| schemas[side].field(column).data_type().clone();
        Ok(AsOfChanges {
            nearest: as_of.nearest,
            outer: spec.kind == JoinKind::Left,
            order_types: [order_type(0, as_of.left), order_type(1, as_of.right)],
            keys: (!key_types.is_empty()).then(|| row_converter(&key_types)).transpose()?,
            rows: [row_converter(&sides[0].map.shape().types)?, row_converter(&sides[1].map.shape().types)?],
            ties: (!ties.is_empty()).then(|| Ok::<_, Error>((least_last(&sides[1], &ties)?, ties))).transpose()?,
            sides,
            outputs,
            output: row_converter(&output_types)?,
            state: HashMap::default(),
            row_bytes: 0,
            context,
            batch_rows,
        })
    }

    /// Reads keys, orders and kept columns.
    fn read(&self, side: JoinSide, keys: &[ArrayRef], kept: &[ArrayRef], count: usize) -> Result<Read> {
        let at = number(side);
        let of = &self.sides[at];
        let order = of.kept.iter().position(|&output| Some(output) == of.time).expect("the order is kept");
        let columns: Vec<KernelColumn> =
            kept.iter().map(|column| KernelColumn::new(Column::Array(column.clone()))).collect();
        let arguments: SmallVec<[Argument<'_>; 8]> = columns.iter().map(|column| column.argument(count)).collect();
        let orders = orders(&arguments[order], &self.order_types[at])?;
        let ties = match side {
            JoinSide::Left => Vec::new(),
            JoinSide::Right => self.ties(kept, &arguments, count)?,
        };
        let written = self.keys.as_ref().map(|converter| converter.convert_columns(keys)).transpose()?;
        let place = |row: usize| {
            let is_null = |column: &ArrayRef| column.is_null(row);
            let known = !is_null(&kept[order]) && !keys.iter().any(is_null);
            let key = written.as_ref().map_or(&[][..], |written| written.row(row).data());
            known.then(|| (Bytes::from(key), orders[row]))
        };
        let places = (0..count).map(place).collect();
        Ok(Read { places, ties, rows: self.rows[at].convert_columns(kept)? })
    }

    /// What decides between right rows of one order: the primary key, else the rows themselves, so that arrival does not.
    fn ties(&self, kept: &[ArrayRef], arguments: &[Argument<'_>], count: usize) -> Result<Vec<Tie>> {
        let Some((converter, places)) = &self.ties else {
            let hashes = row_ties(arguments, &self.sides[1].map, count, self.context)?;
            return Ok(hashes.into_iter().map(|hash| Tie::from_slice(&hash.to_be_bytes())).collect());
        };
        let keys: Vec<ArrayRef> = places.iter().map(|&place| kept[place].clone()).collect();
        Ok(converter.convert_columns(&keys)?.iter().map(|row| Tie::from_slice(row.data())).collect())
    }

    /// Takes left rows in; what leaves of them.
    fn take_left(&mut self, read: &Read, weight: impl Fn(usize) -> i64) -> Vec<Leaving> {
        let mut leaving = Vec::new();
        for (row, place) in read.places.iter().enumerate() {
            let (left, weight) = (Bytes::from(read.rows.row(row).data()), weight(row));
            let mut right = None;
            if let Some((name, order)) = place {
                self.begin(name);
                let key = self.state.get_mut(name).expect("the key has just been begun");
                right = key.nearest(*order, self.nearest).cloned();
                let grown = change(&mut key.left, (*order, left.clone()), weight, ROW_BYTES + left.len());
                self.row_bytes = self.row_bytes.wrapping_add_signed(grown);
                self.drop_empty(name);
            }
            if right.is_some() || self.outer {
                leaving.push(Leaving { left, right, weight });
            }
        }
        leaving
    }

    /// Takes right rows in; what leaves of the left ones that they concern.
    fn take_right(&mut self, read: &Read, weight: impl Fn(usize) -> i64) -> Vec<Leaving> {
        let mut changed: BTreeMap<&Bytes, BTreeMap<RightRow, i64>> = BTreeMap::new();
        for (row, place) in read.places.iter().enumerate() {
            let Some((name, order)) = place else { continue };
            let right = (*order, read.ties[row].clone(), Bytes::from(read.rows.row(row).data()));
            *changed.entry(name).or_default().entry(right).or_insert(0) += weight(row);
        }
        let mut leaving = Vec::new();
        for (name, rows) in changed {
            self.begin(name);
            let key = self.state.get_mut(name).expect("the key has just been begun");
            let orders: BTreeSet<i64> =
                rows.iter().filter(|(_, weight)| **weight != 0).map(|((order, ..), _)| *order).collect();
            let concerned = key.concerned(&orders, self.nearest);
            let before: Vec<Option<Bytes>> =
                concerned.iter().map(|(order, ..)| key.nearest(*order, self.nearest).cloned()).collect();
            for (row, weight) in rows {
                let size = ROW_BYTES + row.2.len();
                self.row_bytes = self.row_bytes.wrapping_add_signed(change(&mut key.right, row, weight, size));
            }
            for ((order, left, count), before) in concerned.into_iter().zip(before) {
                let now = key.nearest(order, self.nearest).cloned();
                if before == now {
                    continue;
                }
                for (right, weight) in [(before, -count), (now, count)] {
                    if right.is_some() || self.outer {
                        leaving.push(Leaving { left: left.clone(), right, weight });
                    }
                }
            }
            self.drop_empty(name);
        }
        leaving
    }

    fn begin(&mut self, name: &Bytes) {
        if !self.state.contains_key(name) {
            self.state.insert(name.clone(), Key::default());
            self.row_bytes += name.len();
        }
    }

    fn drop_empty(&mut self, name: &Bytes) {
        if self.state.get(name).is_some_and(|key| key.left.is_empty() && key.right.is_empty()) {
            self.state.remove(name);
            self.row_bytes -= name.len();
        }
    }

    /// Sends what leaves, once and net.
    fn leave(&self, leaving: &[Leaving], next: &mut Next<'_>) -> Result<()> {
        let columns = self.columns(leaving)?;
        let written = match columns.is_empty() {
            true => None,
            false => Some(self.output.convert_columns(&columns)?),
        };
        // The first place of each different row, and how often it is given in all.
        let mut places: HashMap<&[u8], usize> = HashMap::new();
        let mut net: Vec<(u32, i64)> = Vec::new();
        for (row, Leaving { weight, .. }) in leaving.iter().enumerate() {
            let bytes = written.as_ref().map_or(&[][..], |written| written.row(row).data());
            let place = *places.entry(bytes).or_insert(net.len());
            match net.get_mut(place) {
                Some((_, sum)) => *sum += weight,
                None => net.push((row as u32, *weight)),
            }
        }
        let (mut picks, mut changes) = (Vec::new(), Vec::new());
        for change in [Change::DELETE, Change::INSERT] {
            for &(row, weight) in net.iter().filter(|(_, weight)| (*weight < 0) == change.is_retraction()) {
                let count = weight.unsigned_abs() as usize;
                picks.extend(std::iter::repeat_n(row, count));
                changes.extend(std::iter::repeat_n(change, count));
            }
        }
        let picks = UInt32Array::from(picks);
        let columns = columns.iter().map(|column| Ok(take(column, &picks, None)?)).collect::<Result<Vec<_>>>()?;
        push_changes(&columns, &changes, self.batch_rows, next)
    }

    /// The output columns of what leaves.
    fn columns(&self, leaving: &[Leaving]) -> Result<Vec<ArrayRef>> {
        let left = self.rows[0].parser();
        let left = self.rows[0].convert_rows(leaving.iter().map(|row| left.parse(&row.left)))?;
        let met: Vec<&Bytes> = leaving.iter().filter_map(|row| row.right.as_ref()).collect();
        let mut next = 0;
        let place = |row: &Leaving| {
            next += u32::from(row.right.is_some());
            row.right.is_some().then(|| next - 1)
        };
        let places: UInt32Array = leaving.iter().map(place).collect();
        let right = match met.is_empty() {
            true => Vec::new(),
            false => {
                let parser = self.rows[1].parser();
                self.rows[1].convert_rows(met.iter().map(|bytes| parser.parse(bytes)))?
            }
        };
        let column = |&(side, at): &Source| match side {
            JoinSide::Left => Ok(left[at].clone()),
            JoinSide::Right if right.is_empty() => {
                Ok(new_null_array(&self.sides[1].map.shape().types[at], leaving.len()))
            }
            JoinSide::Right => Ok(take(&right[at], &places, None)?),
        };
        self.outputs.iter().map(column).collect()
    }

    /// The rows of a side: keys, the columns kept, how often each is there.
    fn section(&self, side: JoinSide, name: &str) -> Result<Section> {
        let (mut keys, mut rows, mut counts): (Vec<&[u8]>, Vec<&[u8]>, Vec<i64>) = Default::default();
        for (key, held) in &self.state {
            match side {
                JoinSide::Left => held.left.iter().for_each(|((_, row), &count)| {
                    rows.push(row);
                    counts.push(count);
                }),
                JoinSide::Right => held.right.iter().for_each(|((.., row), &count)| {
                    rows.push(row);
                    counts.push(count);
                }),
            }
            keys.resize(rows.len(), key);
        }
        let mut columns = match &self.keys {
            Some(converter) => parsed(converter, &keys, self.sides[0].key_types())?,
            None => Vec::new(),
        };
        let key_count = columns.len();
        columns.extend(parsed(&self.rows[number(side)], &rows, &self.sides[number(side)].map.shape().types)?);
        columns.push(Arc::new(Int64Array::from(counts)));
        section_by_key(name, key_count, columns)
    }
}

/// Writes columns that are kept of a side so that the least comes last.
pub(super) fn least_last(side: &Side, places: &[usize]) -> Result<RowConverter> {
    let options = SortOptions { descending: true, nulls_first: false };
    let field = |&place: &usize| SortField::new_with_options(side.map.shape().types[place].clone(), options);
    Ok(RowConverter::new(places.iter().map(field).collect())?)
}

/// Adds a row so often, or takes it out; by how many bytes there are more.
fn change<K: Ord>(rows: &mut BTreeMap<K, i64>, row: K, weight: i64, size: usize) -> isize {
    use std::collections::btree_map::Entry;
    match rows.entry(row) {
        Entry::Vacant(_) if weight == 0 => 0,
        Entry::Vacant(place) => {
            place.insert(weight);
            size as isize
        }
        Entry::Occupied(mut place) => {
            *place.get_mut() += weight;
            if *place.get() != 0 {
                return 0;
            }
            place.remove();
            -(size as isize)
        }
    }
}

impl Key {
    /// The right row that a left one of this order meets; of several with one order the last.
    fn nearest(&self, order: i64, nearest: Nearest) -> Option<&Bytes> {
        let at = |order: i64| (order, Tie::new(), Bytes::default());
        let from = |order: i64| self.right.range(at(order)..);
        let before = |end: Bound<RightRow>| self.right.range((Bound::Unbounded, end)).next_back();
        let behind = |order: i64| order.checked_add(1).map_or(Bound::Unbounded, |next| Bound::Excluded(at(next)));
        let found = match nearest {
            Nearest::AtOrBefore => before(behind(order)),
            Nearest::Before => before(Bound::Excluded(at(order))),
            Nearest::AtOrAfter | Nearest::After => {
                let start = if nearest == Nearest::After { order.checked_add(1)? } else { order };
                let ((first, ..), _) = from(start).next()?;
                before(behind(*first))
            }
        };
        found.map(|((.., row), _)| row)
    }

    /// The left rows, and how often each is there, that may meet another right row once those of these orders have changed.
    fn concerned(&self, changed: &BTreeSet<i64>, nearest: Nearest) -> Vec<(i64, Bytes, i64)> {
        let is_same = |order: &i64| !changed.contains(order);
        let orders = |range: (Bound<RightRow>, Bound<RightRow>)| self.right.range(range).map(|((order, ..), _)| *order);
        let at = |order: i64| (order, Tie::new(), Bytes::default());
        let mut rows = Vec::new();
        // The ranges of two orders are the same or do not overlap but at their ends.
        let mut done: Option<(i64, i64)> = None;
        for &order in changed {
            let (low, high) = match nearest {
                Nearest::AtOrBefore | Nearest::Before => {
                    let next = orders((Bound::Included(at(order)), Bound::Unbounded)).find(is_same);
                    (order, next.unwrap_or(i64::MAX))
                }
                Nearest::AtOrAfter | Nearest::After => {
                    let last = orders((Bound::Unbounded, Bound::Excluded(at(order)))).rev().find(is_same);
                    (last.unwrap_or(i64::MIN), order)
                }
            };
            let low = match done {
                Some((_, end)) if end >= high => continue,
                Some((_, end)) if end >= low => end.saturating_add(1),
                _ => low,
            };
            done = Some((low, high));
            let left = self.left.range((low, Bytes::default())..).take_while(|((order, _), _)| *order <= high);
            rows.extend(left.map(|((order, row), &count)| (*order, row.clone(), count)));
        }
        rows
    }
}

impl Operator for AsOfChanges {
    fn push(&mut self, port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        let side = if port == 0 { JoinSide::Left } else { JoinSide::Right };
        let changes = batch.selected_changes();
        let weight = |row: usize| changes.as_ref().map_or(1, |changes| changes[row].weight());
        let of = &mut self.sides[port];
        of.evaluator.run(batch)?;
        let count = of.evaluator.rows();
        let types = &of.evaluator.program().output_types;
        let outputs = arguments(&of.evaluator, batch);
        let array = |output: usize| outputs[output].to_array(&types[output]);
        let keys = (0..of.key_count).map(array).collect::<Result<Vec<_>>>()?;
        let kept = of.kept.iter().map(|&output| array(output)).collect::<Result<Vec<_>>>()?;
        drop(outputs);
        let read = self.read(side, &keys, &kept, count)?;
        let leaving = match side {
            JoinSide::Left => self.take_left(&read, weight),
            JoinSide::Right => self.take_right(&read, weight),
        };
        if leaving.is_empty() { Ok(()) } else { self.leave(&leaving, next) }
    }

    fn snapshot(&mut self) -> Result<Vec<Section>> {
        Ok(vec![self.section(JoinSide::Right, RIGHT)?, self.section(JoinSide::Left, LEFT)?])
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        for section in sections {
            let side = match section.name.as_str() {
                LEFT => JoinSide::Left,
                RIGHT => JoinSide::Right,
                other => return Err(Error::bug(format!("a join does not take this part of a snapshot: {other}"))),
            };
            let of = &self.sides[number(side)];
            let (keys, kept) = (of.key_count, of.kept.len());
            let columns = section.rows.columns();
            if columns.len() != keys + kept + 1 {
                return Err(Error::bug(format!("a snapshot's rows of a join have {} columns", columns.len())));
            }
            let counts = columns[keys + kept].as_primitive::<Int64Type>().clone();
            let read = self.read(side, &columns[..keys], &columns[keys..keys + kept], section.rows.num_rows())?;
            // What leaves of them has left before.
            match side {
                JoinSide::Left => self.take_left(&read, |row| counts.value(row)),
                JoinSide::Right => self.take_right(&read, |row| counts.value(row)),
            };
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.row_bytes + self.state.capacity() * (size_of::<Bytes>() + size_of::<Key>() + 1)
    }

    fn remarks(&self) -> String {
        format!("keys {}", self.state.len())
    }
}
