//! Each value once per group: `count(DISTINCT x)` and its kin.
//!
//! A table of (group, arguments) pairs stands before the function's own states: the first row of a pair is taken in,
//! with changes the last retraction of one is taken out. Rows with a null argument are left out, unless the function
//! takes nulls for values: then all of them are one value.

mod follower; // calls with a filter beside one without
mod pairs; //    groups and arguments, numbered

use std::any::Any;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StructArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Fields, Int64Type};
use millstream_kernels::bitmap;
use smallvec::SmallVec;

pub(super) use follower::Follower;
use pairs::Pairs;

use super::TableShape;
use crate::batch::{Argument, Change, Column, KernelColumn};
use crate::error::{Error, Result};
use crate::function::{AggregateStates, KernelContext, Update};
use crate::pipeline::AggregateCall;

/// States that see each pair of group and arguments once.
pub(super) struct Distinct {
    /// Lent to a follower while that one is asked.
    pairs: Option<Box<Pairs>>,
    /// How often each pair is there; only kept for inputs that take back.
    counts: Option<Vec<i64>>,
    /// Whether it sees pairs that no other instance sees: then the states behind the pairs are all that must travel.
    has_own_pairs: bool,
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
        Distinct {
            pairs: Some(Box::new(Pairs::new(shape, &call.arg_types))),
            counts: takes_back.then(Vec::new),
            has_own_pairs: false,
            skips_nulls: call.function.skips_nulls(),
            inner,
            context: shape.context,
            group_count: 0,
        }
    }

    /// Does something with the pairs.
    fn with_pairs<R>(&mut self, call: impl FnOnce(&mut Self, &mut Pairs) -> Result<R>) -> Result<R> {
        let mut pairs = self.pairs.take().ok_or_else(lent)?;
        let result = call(self, &mut pairs);
        self.pairs = Some(pairs);
        result
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
        pairs: &mut Pairs,
        groups: &[u32],
        args: &[Argument<'_>],
        weight: impl Fn(usize) -> i64,
        takes_back: bool,
    ) -> Result<()> {
        let known = pairs.len();
        pairs.find(groups, args)?;
        if self.counts.is_none() && takes_back && (0..groups.len()).any(|row| weight(row) < 0) {
            return Err(Error::bug("rows were taken back from an input that takes none back"));
        }
        let (mut rows, mut changes) = (Vec::new(), Vec::new());
        match &mut self.counts {
            // New pairs are numbered in the order in which they appear.
            None => {
                let (mut next, end) = (known as u32, pairs.len() as u32);
                let mut left = pairs.found.iter().enumerate();
                while next < end
                    && let Some((row, _)) = left.find(|(_, pair)| **pair == next)
                {
                    rows.push(row as u32);
                    next += 1;
                }
            }
            Some(counts) => {
                counts.resize(pairs.len(), 0);
                for (row, &pair) in pairs.found.iter().enumerate() {
                    let count = &mut counts[pair as usize];
                    let before = *count > 0;
                    *count += weight(row);
                    let after = *count > 0;
                    if before != after {
                        rows.push(row as u32);
                        changes.push(if after { Change::INSERT } else { Change::DELETE });
                    }
                }
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        let groups: Vec<u32> = rows.iter().map(|&row| groups[row as usize]).collect();
        let columns = select(args, &pairs.arg_types, &rows)?;
        let changes = takes_back.then_some(&changes[..]);
        feed(self.inner.as_mut(), &self.context, &groups, self.group_count, &columns, changes)
    }

    /// Takes those rows of a batch in that count.
    fn take_rows(&mut self, pairs: &mut Pairs, update: &Update<'_>) -> Result<()> {
        pairs.rows = counting_rows(update, self.skips_nulls);
        let Some(rows) = pairs.rows.take() else {
            let weight = |row: usize| update.changes.map_or(1, |changes| changes[row].weight());
            return self.take(pairs, update.groups, update.args, weight, update.changes.is_some());
        };
        let columns = select(update.args, &pairs.arg_types, &rows)?;
        let groups: Vec<u32> = rows.iter().map(|&row| update.groups[row as usize]).collect();
        let changes: Option<Vec<Change>> =
            update.changes.map(|changes| rows.iter().map(|&row| changes[row as usize]).collect());
        let columns: Vec<KernelColumn> = columns.into_iter().map(kernel_column).collect();
        let args: SmallVec<[Argument<'_>; 4]> = columns.iter().map(|column| column.argument(groups.len())).collect();
        let weight = |row: usize| changes.as_ref().map_or(1, |changes| changes[row].weight());
        self.take(pairs, &groups, &args, weight, changes.is_some())?;
        pairs.rows = Some(rows);
        Ok(())
    }

    /// All pairs that mean something: groups, argument columns, and how often each is there.
    fn all_pairs(&self) -> Result<(Vec<u32>, Vec<ArrayRef>, Vec<i64>)> {
        let count = |pair: u32| self.counts.as_ref().map_or(1, |counts| counts[pair as usize]);
        let pairs = self.pairs.as_ref().ok_or_else(lent)?;
        let there: Vec<u32> = (0..pairs.len() as u32).filter(|&pair| count(pair) != 0).collect();
        let counts: Vec<i64> = there.iter().map(|&pair| count(pair)).collect();
        let (groups, columns) = pairs.columns(&there)?;
        Ok((groups, columns, counts))
    }

    fn take_arrays(&mut self, groups: &[u32], columns: Vec<ArrayRef>, counts: &[i64], takes_back: bool) -> Result<()> {
        let columns: Vec<KernelColumn> = columns.into_iter().map(kernel_column).collect();
        let args: SmallVec<[Argument<'_>; 4]> = columns.iter().map(|column| column.argument(groups.len())).collect();
        self.with_pairs(|states, pairs| states.take(pairs, groups, &args, |row| counts[row], takes_back))
    }
}

/// Asks the states of number `number`: a follower has the pairs of its owner meanwhile.
pub(super) fn ask<R>(
    states: &mut [Box<dyn AggregateStates>],
    number: usize,
    owner: Option<usize>,
    call: impl FnOnce(&mut dyn AggregateStates) -> Result<R>,
) -> Result<R> {
    let lend = |states: &mut [Box<dyn AggregateStates>], from: usize, to: usize| {
        let pairs = pairs_of(states[from].as_mut()).and_then(Option::take);
        if let Some(place) = pairs_of(states[to].as_mut()) {
            *place = pairs;
        }
    };
    let Some(owner) = owner.filter(|_| states[number].as_any_mut().is::<Follower>()) else {
        return call(states[number].as_mut());
    };
    lend(states, owner, number);
    let result = call(states[number].as_mut());
    lend(states, number, owner);
    result
}

/// Where states of this kind have their pairs.
fn pairs_of(states: &mut dyn AggregateStates) -> Option<&mut Option<Box<Pairs>>> {
    let states = states.as_any_mut();
    if states.is::<Distinct>() {
        return states.downcast_mut::<Distinct>().map(|states| &mut states.pairs);
    }
    states.downcast_mut::<Follower>().map(|states| &mut states.pairs)
}

fn lent() -> Error {
    Error::bug("the pairs of a DISTINCT call are with another one")
}

/// Some rows of a batch's arguments, as columns of their own.
fn select(args: &[Argument<'_>], types: &[DataType], rows: &[u32]) -> Result<Vec<ArrayRef>> {
    let rows = UInt32Array::from(rows.to_vec());
    let pick = |(arg, data_type): (&Argument<'_>, &DataType)| Ok(take(&arg.to_array(data_type)?, &rows, None)?);
    args.iter().zip(types).map(pick).collect()
}

fn feed(
    inner: &mut dyn AggregateStates,
    context: &KernelContext,
    groups: &[u32],
    group_count: usize,
    columns: &[ArrayRef],
    changes: Option<&[Change]>,
) -> Result<()> {
    let columns: Vec<KernelColumn> = columns.iter().cloned().map(kernel_column).collect();
    let args: SmallVec<[Argument<'_>; 4]> = columns.iter().map(|column| column.argument(groups.len())).collect();
    inner.update(context, &Update { groups, group_count, args: &args, filter: None, changes })
}

fn kernel_column(array: ArrayRef) -> KernelColumn {
    KernelColumn::new(Column::Array(array))
}

/// One list per group, of its argument rows as structs, each with how often it is there.
fn lists(
    arg_types: &[DataType],
    groups: &[u32],
    mut columns: Vec<ArrayRef>,
    counts: Vec<i64>,
    group_count: usize,
) -> Result<Vec<ArrayRef>> {
    columns.push(Arc::new(Int64Array::from(counts)));
    let mut order: Vec<u32> = (0..groups.len() as u32).collect();
    order.sort_by_key(|&pair| groups[pair as usize]);
    let mut lengths = vec![0usize; group_count];
    groups.iter().for_each(|&group| lengths[group as usize] += 1);
    let order = UInt32Array::from(order);
    let sorted = columns.iter().map(|column| Ok(take(column, &order, None)?)).collect::<Result<Vec<ArrayRef>>>()?;
    let fields: Fields = arg_types
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

/// What [`lists`] has made, row by row.
struct SavedRows {
    groups: Vec<u32>,
    columns: Vec<ArrayRef>,
    counts: Int64Array,
}

fn saved_rows(groups: &[u32], lists: &ArrayRef) -> SavedRows {
    let list = lists.as_list::<i32>();
    let mut mine = Vec::new();
    for (row, &group) in groups.iter().enumerate() {
        mine.extend(std::iter::repeat_n(group, list.value_length(row) as usize));
    }
    let (from, to) = (list.value_offsets()[0] as usize, list.value_offsets()[list.len()] as usize);
    let rows = list.values().slice(from, to - from);
    let (counts, columns) = rows.as_struct().columns().split_last().expect("counts stand behind the arguments");
    SavedRows { groups: mine, columns: columns.to_vec(), counts: counts.as_primitive::<Int64Type>().clone() }
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
        self.with_pairs(|states, pairs| states.take_rows(pairs, update))?;
        // Groups whose rows all fell out still have their empty state.
        let grow = Update { groups: &[], group_count: update.group_count, args: &[], filter: None, changes: None };
        self.inner.update(context, &grow)
    }

    fn merge(&mut self, groups: &[u32], group_count: usize, other: &mut dyn AggregateStates) -> Result<()> {
        let other = other.as_any_mut().downcast_mut::<Distinct>();
        let other = other.ok_or_else(|| Error::bug("a distinct aggregate was merged with another function"))?;
        self.group_count = group_count;
        let (theirs, columns, counts) = other.all_pairs()?;
        let mine: Vec<u32> = theirs.iter().map(|&group| groups[group as usize]).collect();
        let takes_back = counts.iter().any(|count| *count < 0);
        self.take_arrays(&mine, columns, &counts, takes_back)?;
        let grow = Update { groups: &[], group_count, args: &[], filter: None, changes: None };
        self.inner.update(&self.context.clone(), &grow)
    }

    fn unmerge(&mut self, groups: &[u32], other: &mut dyn AggregateStates) -> Result<()> {
        let other = other.as_any_mut().downcast_mut::<Distinct>();
        let other = other.ok_or_else(|| Error::bug("a distinct aggregate was taken out of another function"))?;
        let (theirs, columns, counts) = other.all_pairs()?;
        let mine: Vec<u32> = theirs.iter().map(|&group| groups[group as usize]).collect();
        let counts: Vec<i64> = counts.into_iter().map(|count| -count).collect();
        self.take_arrays(&mine, columns, &counts, true)
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        self.inner.finish(groups, out)
    }

    fn save(&mut self, group_count: usize) -> Result<Vec<ArrayRef>> {
        if self.has_own_pairs {
            return self.inner.save(group_count);
        }
        let (groups, columns, counts) = self.all_pairs()?;
        let arg_types = &self.pairs.as_ref().ok_or_else(lent)?.arg_types;
        lists(arg_types, &groups, columns, counts, group_count)
    }

    fn merge_saved(&mut self, groups: &[u32], group_count: usize, columns: &[ArrayRef]) -> Result<()> {
        self.group_count = group_count;
        let saved = saved_rows(groups, &columns[0]);
        let takes_back = saved.counts.values().iter().any(|count| *count < 0);
        self.take_arrays(&saved.groups, saved.columns, saved.counts.values(), takes_back)?;
        let grow = Update { groups: &[], group_count, args: &[], filter: None, changes: None };
        self.inner.update(&self.context.clone(), &grow)
    }

    fn clear(&mut self) {
        if let Some(pairs) = &mut self.pairs {
            pairs.clear();
        }
        if let Some(counts) = &mut self.counts {
            counts.clear();
        }
        self.inner.clear();
        self.group_count = 0;
    }

    fn size_bytes(&self) -> usize {
        self.pairs.as_ref().map_or(0, |pairs| pairs.size_bytes())
            + self.counts.as_ref().map_or(0, |counts| counts.capacity() * 8)
            + self.inner.size_bytes()
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
