//! Each value once per group: `count(DISTINCT x)` and its kin.
//!
//! A table of (group, arguments) pairs stands before the function's own states: the first row of a pair is taken in,
//! with changes the last retraction of one is taken out. Rows with a null argument are left out, unless the function
//! takes nulls for values: then all of them are one value.

use std::any::Any;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StructArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Fields, Int64Type};
use millstream_kernels::bitmap;
use smallvec::SmallVec;
use std::sync::Arc;

use super::TableShape;
use crate::batch::{Argument, Change, Column, Flat, KernelColumn, Selection, Values};
use crate::error::{Error, Result};
use crate::function::{AggregateStates, KernelContext, Update};
use crate::pipeline::AggregateCall;
use crate::state::GroupIndex;

/// States that see each pair of group and arguments once.
pub(super) struct Distinct {
    pairs: GroupIndex,
    /// How often each pair is there; only kept for inputs that take back.
    counts: Option<Vec<i64>>,
    /// Whether group 0 is all there is: then values alone are the keys.
    one_group: bool,
    /// Whether it sees pairs that no other instance sees: then the states behind the pairs are all that must travel.
    has_own_pairs: bool,
    /// Memory for a batch.
    found: Vec<u32>,
    arg_types: Vec<DataType>,
    skips_nulls: bool,
    inner: Box<dyn AggregateStates>,
    context: KernelContext,
    group_count: usize,
}

impl Distinct {
    pub(super) fn new(
        shape: &TableShape,
        call: &AggregateCall,
        inner: Box<dyn AggregateStates>,
        takes_back: bool,
    ) -> Self {
        let one_group = shape.one_group && !call.arg_types.is_empty();
        let group = (!one_group).then_some(DataType::UInt32);
        let types = group.into_iter().chain(call.arg_types.iter().cloned()).collect();
        Distinct {
            pairs: GroupIndex::new(types, shape.seed, shape.level()),
            counts: takes_back.then(Vec::new),
            one_group,
            has_own_pairs: false,
            found: Vec::new(),
            arg_types: call.arg_types.clone(),
            skips_nulls: call.function.skips_nulls(),
            inner,
            context: shape.context,
            group_count: 0,
        }
    }

    /// Says that no other instance sees the same pairs: saved states are those of the function without DISTINCT.
    pub(super) fn own_pairs(&mut self) {
        self.has_own_pairs = true;
    }

    /// Takes rows in that all count; feeds the inner states with the pairs that appear or disappear.
    ///
    /// `weight`: how often each row is added. `takes_back`: whether pairs may disappear.
    fn take(
        &mut self,
        groups: &[u32],
        args: &[Argument<'_>],
        weight: impl Fn(usize) -> i64,
        takes_back: bool,
    ) -> Result<()> {
        let mut pairs = std::mem::take(&mut self.found);
        let known = self.pairs.len();
        if self.one_group {
            self.pairs.lookup(args, groups.len(), &mut pairs)?;
        } else {
            let group_column = group_column(groups);
            let mut keys: SmallVec<[Argument<'_>; 4]> = SmallVec::new();
            keys.push(Argument::new(&group_column, None, groups.len()));
            keys.extend(args.iter().copied());
            self.pairs.lookup(&keys, groups.len(), &mut pairs)?;
        }
        if self.counts.is_none() && takes_back && (0..groups.len()).any(|row| weight(row) < 0) {
            return Err(Error::bug("rows were taken back from an input that takes none back"));
        }
        let (mut rows, mut feed) = (Vec::new(), Vec::new());
        match &mut self.counts {
            // New pairs are numbered in the order in which they appear.
            None => {
                let (mut next, end) = (known as u32, self.pairs.len() as u32);
                let mut left = pairs.iter().enumerate();
                while next < end
                    && let Some((row, _)) = left.find(|(_, pair)| **pair == next)
                {
                    rows.push(row as u32);
                    next += 1;
                }
            }
            Some(counts) => {
                counts.resize(self.pairs.len(), 0);
                for (row, &pair) in pairs.iter().enumerate() {
                    let count = &mut counts[pair as usize];
                    let before = *count > 0;
                    *count += weight(row);
                    let after = *count > 0;
                    if before != after {
                        rows.push(row as u32);
                        feed.push(if after { Change::INSERT } else { Change::DELETE });
                    }
                }
            }
        }
        self.found = pairs;
        if rows.is_empty() {
            return Ok(());
        }
        let feed_groups: Vec<u32> = rows.iter().map(|&row| groups[row as usize]).collect();
        let columns = self.select(args, &rows)?;
        self.feed(&feed_groups, &columns, takes_back.then_some(&feed[..]))
    }

    /// The arguments of some rows, as columns of their own.
    fn select(&self, args: &[Argument<'_>], rows: &[u32]) -> Result<Vec<ArrayRef>> {
        let rows = UInt32Array::from(rows.to_vec());
        let pick = |(arg, data_type): (&Argument<'_>, &DataType)| Ok(take(&arg.to_array(data_type)?, &rows, None)?);
        args.iter().zip(&self.arg_types).map(pick).collect()
    }

    fn feed(&mut self, groups: &[u32], columns: &[ArrayRef], changes: Option<&[Change]>) -> Result<()> {
        let columns: Vec<KernelColumn> = columns.iter().cloned().map(kernel_column).collect();
        let args: SmallVec<[Argument<'_>; 4]> = columns.iter().map(|column| column.argument(groups.len())).collect();
        let update = Update { groups, group_count: self.group_count, args: &args, filter: None, changes };
        self.inner.update(&self.context, &update)
    }

    /// All pairs that mean something: groups, argument columns, and how often each is there.
    fn pairs(&self) -> Result<(Vec<u32>, Vec<ArrayRef>, Vec<i64>)> {
        let count = |pair: u32| self.counts.as_ref().map_or(1, |counts| counts[pair as usize]);
        let pairs: Vec<u32> = (0..self.pairs.len() as u32).filter(|&pair| count(pair) != 0).collect();
        let column = |key: usize, data_type: &DataType| {
            let mut column = Column::default();
            self.pairs.keys(key, &pairs, &mut column)?;
            column.to_array(data_type, pairs.len(), &Selection::default())
        };
        let counts: Vec<i64> = pairs.iter().map(|&pair| count(pair)).collect();
        if self.one_group {
            let args = self.arg_types.iter().enumerate().map(|(arg, data_type)| column(arg, data_type));
            return Ok((vec![0; pairs.len()], args.collect::<Result<_>>()?, counts));
        }
        let groups = column(0, &DataType::UInt32)?;
        let groups = groups.as_primitive::<arrow::datatypes::UInt32Type>().values().to_vec();
        let args = self.arg_types.iter().enumerate().map(|(arg, data_type)| column(arg + 1, data_type));
        Ok((groups, args.collect::<Result<_>>()?, counts))
    }

    fn take_arrays(&mut self, groups: &[u32], columns: Vec<ArrayRef>, counts: &[i64]) -> Result<()> {
        let columns: Vec<KernelColumn> = columns.into_iter().map(kernel_column).collect();
        let args: SmallVec<[Argument<'_>; 4]> = columns.iter().map(|column| column.argument(groups.len())).collect();
        let takes_back = counts.iter().any(|count| *count < 0);
        self.take(groups, &args, |row| counts[row], takes_back)
    }
}

fn group_column(groups: &[u32]) -> Column {
    let mut flat = Flat::new(Values::U32(groups.to_vec()));
    flat.rows = groups.len();
    Column::Flat(flat)
}

fn kernel_column(array: ArrayRef) -> KernelColumn {
    KernelColumn::new(Column::Array(array))
}

/// Rows that count: the filter's, without null arguments where these are skipped; `None` when all do.
fn counting_rows(update: &Update<'_>, skips_nulls: bool) -> Option<Vec<u32>> {
    let skips_nulls = skips_nulls && update.args.iter().any(|arg| arg.validity().is_some() || arg.constant_is_null());
    if update.filter.is_none() && !skips_nulls {
        return None;
    }
    let passes = |row: usize| update.filter.is_none_or(|words| bitmap::get(words, row));
    let is_skipped = |row: usize| skips_nulls && update.args.iter().any(|arg| arg.is_null(row));
    let counts = |row: &u32| passes(*row as usize) && !is_skipped(*row as usize);
    Some((0..update.groups.len() as u32).filter(counts).collect())
}

impl AggregateStates for Distinct {
    fn update(&mut self, context: &KernelContext, update: &Update<'_>) -> Result<()> {
        self.context = *context;
        self.group_count = update.group_count;
        if update.groups.is_empty() {
            return self.inner.update(context, update);
        }
        match counting_rows(update, self.skips_nulls) {
            None => {
                let weight = |row: usize| update.changes.map_or(1, |changes| changes[row].weight());
                self.take(update.groups, update.args, weight, update.changes.is_some())?;
            }
            Some(rows) => {
                let columns = self.select(update.args, &rows)?;
                let groups: Vec<u32> = rows.iter().map(|&row| update.groups[row as usize]).collect();
                let changes: Option<Vec<Change>> =
                    update.changes.map(|changes| rows.iter().map(|&row| changes[row as usize]).collect());
                let columns: Vec<KernelColumn> = columns.into_iter().map(kernel_column).collect();
                let args: SmallVec<[Argument<'_>; 4]> =
                    columns.iter().map(|column| column.argument(groups.len())).collect();
                let weight = |row: usize| changes.as_ref().map_or(1, |changes| changes[row].weight());
                self.take(&groups, &args, weight, changes.is_some())?;
            }
        }
        // Groups whose rows all fell out still have their empty state.
        let grow = Update { groups: &[], group_count: update.group_count, args: &[], filter: None, changes: None };
        self.inner.update(context, &grow)
    }

    fn merge(&mut self, groups: &[u32], group_count: usize, other: &mut dyn AggregateStates) -> Result<()> {
        let other = other.as_any_mut().downcast_mut::<Distinct>();
        let other = other.ok_or_else(|| Error::bug("a distinct aggregate was merged with another function"))?;
        self.group_count = group_count;
        let (theirs, columns, counts) = other.pairs()?;
        let mine: Vec<u32> = theirs.iter().map(|&group| groups[group as usize]).collect();
        self.take_arrays(&mine, columns, &counts)?;
        let grow = Update { groups: &[], group_count, args: &[], filter: None, changes: None };
        self.inner.update(&self.context.clone(), &grow)
    }

    fn unmerge(&mut self, groups: &[u32], other: &mut dyn AggregateStates) -> Result<()> {
        let other = other.as_any_mut().downcast_mut::<Distinct>();
        let other = other.ok_or_else(|| Error::bug("a distinct aggregate was taken out of another function"))?;
        let (theirs, columns, counts) = other.pairs()?;
        let mine: Vec<u32> = theirs.iter().map(|&group| groups[group as usize]).collect();
        let columns: Vec<KernelColumn> = columns.into_iter().map(kernel_column).collect();
        let args: SmallVec<[Argument<'_>; 4]> = columns.iter().map(|column| column.argument(mine.len())).collect();
        self.take(&mine, &args, |row| -counts[row], true)
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        self.inner.finish(groups, out)
    }

    /// One list per group, of its argument rows as structs, each with how often it is there.
    fn save(&mut self, group_count: usize) -> Result<Vec<ArrayRef>> {
        if self.has_own_pairs {
            return self.inner.save(group_count);
        }
        let (groups, mut columns, counts) = self.pairs()?;
        columns.push(Arc::new(Int64Array::from(counts)));
        let mut order: Vec<u32> = (0..groups.len() as u32).collect();
        order.sort_by_key(|&pair| groups[pair as usize]);
        let mut lengths = vec![0usize; group_count];
        groups.iter().for_each(|&group| lengths[group as usize] += 1);
        let order = UInt32Array::from(order);
        let sorted = columns.iter().map(|column| Ok(take(column, &order, None)?)).collect::<Result<Vec<ArrayRef>>>()?;
        let fields: Fields = self
            .arg_types
            .iter()
            .enumerate()
            .map(|(arg, data_type)| Field::new(format!("arg{arg}"), data_type.clone(), true))
            .chain([Field::new("count", DataType::Int64, true)])
            .collect();
        let rows = StructArray::try_new(fields.clone(), sorted, None)?;
        let item = Arc::new(Field::new_struct("item", fields, false));
        let list = ListArray::try_new(item, OffsetBuffer::from_lengths(lengths), Arc::new(rows), None)?;
        Ok(vec![Arc::new(list)])
    }

    fn merge_saved(&mut self, groups: &[u32], group_count: usize, columns: &[ArrayRef]) -> Result<()> {
        self.group_count = group_count;
        let list = columns[0].as_list::<i32>();
        let mut mine = Vec::new();
        for (row, &group) in groups.iter().enumerate() {
            mine.extend(std::iter::repeat_n(group, list.value_length(row) as usize));
        }
        let (from, to) = (list.value_offsets()[0] as usize, list.value_offsets()[list.len()] as usize);
        let rows = list.values().slice(from, to - from);
        let (counts, columns) = rows.as_struct().columns().split_last().expect("counts stand behind the arguments");
        let counts = counts.as_primitive::<Int64Type>().values();
        self.take_arrays(&mine, columns.to_vec(), counts)?;
        let grow = Update { groups: &[], group_count, args: &[], filter: None, changes: None };
        self.inner.update(&self.context.clone(), &grow)
    }

    fn clear(&mut self) {
        self.pairs.clear();
        if let Some(counts) = &mut self.counts {
            counts.clear();
        }
        self.inner.clear();
        self.group_count = 0;
    }

    fn size_bytes(&self) -> usize {
        self.pairs.size_bytes()
            + self.counts.as_ref().map_or(0, |counts| counts.capacity() * 8)
            + self.inner.size_bytes()
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
