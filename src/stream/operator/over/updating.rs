//! Rows whose input takes rows back, or never ends and has no order that does: partitions that a batch touches are computed
//! anew, and what differs is put out as changes.
//!
//! Owns        all rows of every partition as bytes, with how often each is there, and what was put out for them.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int64Type};
use arrow::row::{Row, RowConverter, SortField};

use super::OverShape;
use super::evaluate::{Before, evaluate, look_up};
use crate::batch::{Batch, Change};
use crate::error::{Error, Result};
use crate::expression::Evaluator;
use crate::state::{GroupIndex, Section, SectionRoute};
use crate::stream::operator::aggregate::moved;
use crate::stream::operator::expiry::{Expiry, Sweep};
use crate::stream::operator::held::{columns, concatenated};
use crate::stream::operator::rank::push_changes;
use crate::stream::operator::{Next, Operator};

/// Rows that are computed at a time.
const PIECE_ROWS: usize = 8192;
/// What a snapshot calls the rows.
const SECTION: &str = "rows of partitions";

/// Rows as bytes, and how often each is there.
type Bag = BTreeMap<Box<[u8]>, i64>;

/// Rows as bytes, and what each does.
struct Renewed {
    rows: Vec<Box<[u8]>>,
    changes: Vec<Change>,
}

/// A running OVER over partitions that change.
pub struct UpdatingOver {
    shape: OverShape,
    evaluator: Evaluator,
    index: GroupIndex,
    /// The rows of each partition.
    rows: Vec<Bag>,
    /// What was put out of each partition.
    shown: Vec<Bag>,
    input: RowConverter,
    output: RowConverter,
    bytes: usize,
    /// Set where partitions are forgotten.
    expiry: Option<Expiry>,
    sweep: Sweep,
}

impl UpdatingOver {
    /// Failure: columns of types that cannot be written as bytes.
    pub fn new(shape: OverShape) -> Result<Self> {
        let key_types = shape.types[..shape.spec.key_count].to_vec();
        let output: Vec<DataType> = shape.output.fields().iter().map(|field| field.data_type().clone()).collect();
        Ok(UpdatingOver {
            evaluator: Evaluator::new(shape.spec.program.clone(), shape.context),
            index: GroupIndex::new(key_types, shape.seed, shape.context.level),
            rows: Vec::new(),
            shown: Vec::new(),
            input: converter(&shape.types[shape.computed()..])?,
            output: converter(&output)?,
            bytes: 0,
            expiry: shape.spec.ttl.map(Expiry::new),
            sweep: Sweep::default(),
            shape,
        })
    }

    /// Takes rows in; the partitions that changed.
    fn take(&mut self, wide: &[ArrayRef], rows: usize, weight: impl Fn(usize) -> i64) -> Result<Vec<u32>> {
        let groups = match self.shape.spec.key_count {
            0 => vec![0; rows],
            count => look_up(&mut self.index, &wide[..count], rows)?,
        };
        let group_count = groups.iter().max().map_or(0, |&last| last as usize + 1).max(self.rows.len());
        self.rows.resize_with(group_count, Bag::new);
        self.shown.resize_with(group_count, Bag::new);
        let written = self.input.convert_columns(self.shape.own(wide))?;
        let mut touched = groups.clone();
        for (row, &group) in groups.iter().enumerate() {
            let (bag, bytes, weight) = (&mut self.rows[group as usize], written.row(row), weight(row));
            // What was forgotten is taken back by nobody.
            if self.expiry.is_none() || weight > 0 || bag.contains_key(bytes.data()) {
                self.bytes = self.bytes.wrapping_add_signed(change(bag, bytes.data(), weight));
            }
        }
        touched.sort_unstable();
        touched.dedup();
        Ok(touched)
    }

    /// What the partitions show now, as bytes.
    fn compute(&mut self, touched: &[u32]) -> Result<Vec<Bag>> {
        let mut bags = vec![Bag::new(); touched.len()];
        let mut of_rows: Vec<u32> = Vec::new();
        // Those that have rows left are the partitions that are put in order.
        let mut filled: Vec<usize> = Vec::new();
        let own = {
            let parser = self.input.parser();
            let mut rows: Vec<Row<'_>> = Vec::new();
            for (at, &group) in touched.iter().enumerate() {
                let before = rows.len();
                for (bytes, &count) in &self.rows[group as usize] {
                    (0..count).for_each(|_| rows.push(parser.parse(bytes)));
                }
                if rows.len() > before {
                    of_rows.resize(rows.len(), filled.len() as u32);
                    filled.push(at);
                }
            }
            self.input.convert_rows(rows)?
        };
        if of_rows.is_empty() {
            return Ok(bags);
        }
        let wide = self.widen(&own, of_rows.len())?;
        let evaluated = evaluate(&self.shape, &wide, &of_rows, filled.len(), &Before::default())?;
        let order = UInt32Array::from(evaluated.rows);
        let columns =
            own.iter().map(|column| Ok(take(column, &order, None)?)).chain(evaluated.results.into_iter().map(Ok));
        let written = self.output.convert_columns(&columns.collect::<Result<Vec<_>>>()?)?;
        evaluated.sorted.each_partition(|at, start, end| {
            for row in start..end {
                *bags[filled[at]].entry(written.row(row).data().into()).or_insert(0) += 1;
            }
        });
        Ok(bags)
    }

    /// Rows made wide again.
    fn widen(&mut self, own: &[ArrayRef], rows: usize) -> Result<Vec<ArrayRef>> {
        let types = self.shape.spec.program.output_types.clone();
        let mut pieces = Vec::new();
        for from in (0..rows).step_by(PIECE_ROWS) {
            let count = PIECE_ROWS.min(rows - from);
            let slices = own.iter().map(|column| column.slice(from, count)).collect();
            let batch = Batch::from_arrays(slices, count);
            self.evaluator.run(&batch)?;
            let outputs = types.iter().enumerate();
            let outputs = outputs.map(|(at, data_type)| self.evaluator.output(&batch, at).to_array(data_type));
            pieces.push(outputs.collect::<Result<Vec<_>>>()?);
        }
        let mut wide = concatenated(&types, &pieces)?;
        wide.extend(own.iter().cloned());
        Ok(wide)
    }

    /// Computes partitions anew; the rows that differ, and what each does.
    fn renew(&mut self, touched: &[u32]) -> Result<Renewed> {
        let (mut rows, mut changes) = (Vec::new(), Vec::new());
        for (now, &group) in self.compute(touched)?.into_iter().zip(touched) {
            let before = std::mem::replace(&mut self.shown[group as usize], now);
            let now = &self.shown[group as usize];
            let (mut gone, mut new) = (Vec::new(), Vec::new());
            differences(&before, now, &mut gone, &mut new);
            let pairs = gone.len().min(new.len());
            for (old, fresh) in gone.drain(..pairs).zip(new.drain(..pairs)) {
                rows.extend([old, fresh]);
                changes.extend([Change::UPDATE_BEFORE, Change::UPDATE_AFTER]);
            }
            changes.resize(changes.len() + gone.len(), Change::DELETE);
            rows.extend(gone);
            changes.resize(changes.len() + new.len(), Change::INSERT);
            rows.extend(new);
        }
        Ok(Renewed { rows, changes })
    }

    /// Lets go of partitions whose rows have all been taken back.
    fn sweep(&mut self) -> Result<()> {
        let rows = &self.rows;
        let Some(left) = self.sweep.left(rows.len(), |group| !rows[group as usize].is_empty()) else { return Ok(()) };
        if let Some(expiry) = &mut self.expiry {
            expiry.keep(&left);
        }
        self.retain(&left)
    }

    /// Keeps these partitions only, ascending, which are numbered anew in this order.
    fn retain(&mut self, left: &[u32]) -> Result<()> {
        let shape = &self.shape;
        let types = &shape.types[..shape.spec.key_count];
        self.index = moved(&self.index, (types, shape.seed, shape.context.level), left)?;
        let keep = |bags: &mut Vec<Bag>| left.iter().map(|&at| std::mem::take(&mut bags[at as usize])).collect();
        (self.rows, self.shown) = (keep(&mut self.rows), keep(&mut self.shown));
        self.bytes = self.rows.iter().flat_map(Bag::keys).map(|bytes| size_in_bag(bytes)).sum();
        Ok(())
    }
}

fn converter(types: &[DataType]) -> Result<RowConverter> {
    let fields: Vec<SortField> = types.iter().map(|data_type| SortField::new(data_type.clone())).collect();
    match RowConverter::supports_fields(&fields) {
        true => Ok(RowConverter::new(fields)?),
        false => Err(Error::user("OVER on rows that change cannot keep rows with a column of type MAP")),
    }
}

/// What a row takes in a bag.
fn size_in_bag(bytes: &[u8]) -> usize {
    bytes.len() + 4 * size_of::<usize>()
}

/// Adds rows to a bag, or takes some out; by how many bytes it has grown.
fn change(bag: &mut Bag, bytes: &[u8], weight: i64) -> isize {
    let size = size_in_bag(bytes) as isize;
    match bag.get_mut(bytes) {
        None if weight == 0 => 0,
        None => {
            bag.insert(bytes.into(), weight);
            size
        }
        Some(count) => {
            *count += weight;
            if *count != 0 {
                return 0;
            }
            bag.remove(bytes);
            -size
        }
    }
}

/// The rows that only `before` has, and those that only `now` has, each as often.
fn differences(before: &Bag, now: &Bag, gone: &mut Vec<Box<[u8]>>, new: &mut Vec<Box<[u8]>>) {
    let push = |into: &mut Vec<Box<[u8]>>, bytes: &[u8], count: i64| (0..count).for_each(|_| into.push(bytes.into()));
    let (mut old, mut fresh) = (before.iter().peekable(), now.iter().peekable());
    loop {
        let ordering = match (old.peek(), fresh.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((old, _)), Some((fresh, _))) => old.cmp(fresh),
        };
        let left = if ordering != Ordering::Greater { old.next() } else { None };
        let right = if ordering != Ordering::Less { fresh.next() } else { None };
        let count = |side: Option<(&Box<[u8]>, &i64)>| side.map_or(0, |(_, count)| *count);
        let difference = count(right) - count(left);
        if let Some((bytes, _)) = left.or(right) {
            push(gone, bytes, -difference);
            push(new, bytes, difference);
        }
    }
}

impl Operator for UpdatingOver {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        let changes = batch.selected_changes();
        let rows = batch.selected_rows();
        let wide = columns(batch, &self.shape.types)?;
        let touched = self.take(&wide, rows, |row| changes.as_ref().map_or(1, |changes| changes[row].weight()))?;
        if let Some(expiry) = &mut self.expiry {
            expiry.touch(&touched, self.rows.len(), batch.now);
        }
        let Renewed { rows, changes } = self.renew(&touched)?;
        self.sweep()?;
        if rows.is_empty() {
            return Ok(());
        }
        let parser = self.output.parser();
        let columns = self.output.convert_rows(rows.iter().map(|bytes| parser.parse(bytes)))?;
        push_changes(&columns, &changes, self.shape.batch_rows, next)
    }

    fn tick(&mut self, now: i64, _next: &mut Next<'_>) -> Result<()> {
        let Some(left) = self.expiry.as_mut().and_then(|expiry| expiry.left(now, self.rows.len(), |_| false)) else {
            return Ok(());
        };
        self.retain(&left)
    }

    fn next_tick(&self) -> Option<i64> {
        self.expiry.as_ref().filter(|_| !self.rows.is_empty()).map(Expiry::next_tick)
    }

    /// Per row: the keys, the row as bytes and how often it is there.
    fn snapshot(&mut self) -> Result<Vec<Section>> {
        let (mut groups, mut bytes, mut counts): (Vec<u32>, Vec<&[u8]>, Vec<i64>) = Default::default();
        for (group, bag) in self.rows.iter().enumerate() {
            for (row, count) in bag {
                groups.push(group as u32);
                bytes.push(row);
                counts.push(*count);
            }
        }
        let key_count = self.shape.spec.key_count;
        let mut columns = super::snapshot::keys(&self.index, &self.shape.types[..key_count], &groups)?;
        columns.push(Arc::new(BinaryArray::from_iter_values(bytes)));
        columns.push(Arc::new(Int64Array::from(counts)));
        let route = if key_count > 0 { SectionRoute::Key { key_count } } else { SectionRoute::First };
        Ok(vec![super::snapshot::section(SECTION, columns, route)?])
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        for section in sections {
            let key_count = self.shape.spec.key_count;
            let columns = section.rows.columns();
            if section.name != SECTION || columns.len() != key_count + 2 {
                return Err(Error::bug(format!("these are no rows of partitions: {}", section.name)));
            }
            let bytes = columns[key_count].as_binary::<i32>();
            let counts = columns[key_count + 1].as_primitive::<Int64Type>();
            let own = {
                let parser = self.input.parser();
                self.input.convert_rows((0..bytes.len()).map(|row| parser.parse(bytes.value(row))))?
            };
            let wide: Vec<ArrayRef> = self.widen(&own, bytes.len())?;
            let touched = self.take(&wide, bytes.len(), |row| counts.value(row))?;
            // What they show was put out before.
            self.renew(&touched)?;
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        // What is shown is as large as what is kept, and a little more.
        let expiry = self.expiry.as_ref().map_or(0, Expiry::size_bytes);
        2 * self.bytes + self.index.size_bytes() + expiry
    }

    fn remarks(&self) -> String {
        format!("partitions {}", self.rows.len())
    }
}
