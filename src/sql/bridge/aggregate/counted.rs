//! Rows kept with how often each is there: for rows that may be taken back.
//!
//! DataFusion's accumulators take rows back only in the order they came, as sliding frames do. A changelog takes back
//! any row, so the rows themselves are the state, in the order of ORDER BY where the call has one: MIN and MAX are the
//! ends of that order, other functions are computed anew from what is left.

use std::any::Any;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, UInt32Array, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Int64Type};
use arrow::row::{RowConverter, SortField};
use datafusion_common::ScalarValue;
use millstream_kernels::bitmap;

use super::ordered::list_field;
use super::{Inner, Kept, foreign, same, to_type};
use crate::batch::{Change, Column};
use crate::error::{Error, Result};
use crate::function::{AggregateStates, KernelContext, Update};

pub struct CountedStates {
    function: Arc<Inner>,
    kept: Kept,
    converter: RowConverter,
    /// For each group its rows, encoded so that their bytes compare as the rows do.
    groups: Vec<Rows>,
    key_bytes: usize,
}

type Rows = BTreeMap<Box<[u8]>, i64>;

/// One list per column kept, and one of counts.
pub fn state_types(kept: &Kept, arg_types: &[DataType]) -> Vec<DataType> {
    let columns = kept.columns().map(|(column, _)| arg_types[column].clone()).chain([DataType::Int64]);
    columns.map(|data_type| DataType::List(list_field(&data_type))).collect()
}

impl CountedStates {
    pub fn new(function: Arc<Inner>, kept: Kept) -> Self {
        let converter = converter(&kept, &function.arg_types).expect("checked when the function was bound");
        CountedStates { function, kept, converter, groups: Vec::new(), key_bytes: 0 }
    }

    fn grow(&mut self, group_count: usize) {
        if self.groups.len() < group_count {
            self.groups.resize_with(group_count, Rows::new);
        }
    }

    /// Counts rows: `columns` are those of `kept`, `changes` gives the group and the weight of each.
    fn count(&mut self, columns: &[ArrayRef], changes: impl Iterator<Item = (usize, u32, i64)>) -> Result<()> {
        let rows = self.converter.convert_columns(columns)?;
        for (row, group, weight) in changes {
            self.add(rows.row(row).as_ref().into(), group, weight);
        }
        Ok(())
    }

    fn add(&mut self, key: Box<[u8]>, group: u32, weight: i64) {
        let size = key.len() + ENTRY_BYTES;
        match self.groups[group as usize].entry(key) {
            Entry::Vacant(place) => {
                place.insert(weight);
                self.key_bytes += size;
            }
            // Rows of two partitions may meet in any order: a count may be below zero for a while.
            Entry::Occupied(mut count) if *count.get() + weight != 0 => *count.get_mut() += weight,
            Entry::Occupied(count) => {
                count.remove();
                self.key_bytes -= size;
            }
        }
    }

    /// The rows of one group as columns, each as often as it is there, in order.
    fn columns(&self, group: usize) -> Result<Vec<ArrayRef>> {
        let rows = self.groups[group].iter().filter(|(_, count)| **count > 0);
        let parser = self.converter.parser();
        let columns = self.converter.convert_rows(rows.clone().map(|(key, _)| parser.parse(key)))?;
        let counts = rows.enumerate().flat_map(|(row, (_, &count))| std::iter::repeat_n(row as u32, count as usize));
        let indices = UInt32Array::from_iter_values(counts);
        columns.iter().map(|column| Ok(take(column, &indices, None)?)).collect()
    }

    fn result(&self, group: usize) -> Result<ScalarValue> {
        if let (Some(first), 1) = (self.function.extreme(), self.function.arg_types.len()) {
            return self.extreme(group, first);
        }
        let columns = self.columns(group)?;
        let args = &columns[self.kept.order_by.len()..];
        let mut accumulator = self.function.accumulator()?;
        if args.first().is_some_and(|arg| !arg.is_empty()) {
            let order = if self.function.takes_order { &columns[..self.kept.order_by.len()] } else { &[] };
            let values: Vec<ArrayRef> = args.iter().chain(order).cloned().collect();
            accumulator.update_batch(&values).map_err(foreign)?;
        }
        accumulator.evaluate().map_err(foreign)
    }

    /// The least or the greatest value that is not null.
    fn extreme(&self, group: usize, first: bool) -> Result<ScalarValue> {
        let parser = self.converter.parser();
        let there = self.groups[group].iter().filter(|(_, count)| **count > 0).map(|(key, _)| parser.parse(key));
        // Nulls sort last, and one key stands for all of them.
        let ends = if first { there.take(1).collect::<Vec<_>>() } else { there.rev().take(2).collect() };
        for row in ends {
            let column = self.converter.convert_rows([row])?.remove(0);
            if column.is_valid(0) {
                return ScalarValue::try_from_array(&column, 0).map_err(foreign);
            }
        }
        ScalarValue::try_from(&self.function.arg_types[0]).map_err(foreign)
    }
}

/// What an entry of a map costs beside its key, roughly.
const ENTRY_BYTES: usize = 40;

/// Fails for arguments that have no order, as maps have none.
pub fn check(kept: &Kept, arg_types: &[DataType]) -> Result<()> {
    converter(kept, arg_types).map(|_| ())
}

fn converter(kept: &Kept, arg_types: &[DataType]) -> Result<RowConverter> {
    let field = |(column, options): (usize, _)| SortField::new_with_options(arg_types[column].clone(), options);
    RowConverter::new(kept.columns().map(field).collect())
        .map_err(|e| Error::user(format!("this aggregate cannot take rows back, for its arguments have no order: {e}")))
}

impl AggregateStates for CountedStates {
    fn update(&mut self, _: &KernelContext, update: &Update<'_>) -> Result<()> {
        self.grow(update.group_count);
        if update.groups.is_empty() {
            return Ok(());
        }
        let arrays = self.function.arrays(update.args)?;
        let columns: Vec<ArrayRef> = self.kept.columns().map(|(column, _)| arrays[column].clone()).collect();
        let counts = |row: &usize| update.filter.is_none_or(|words| bitmap::get(words, *row));
        let weight = |row: usize| update.changes.map_or(Change::INSERT, |changes| changes[row]).weight();
        let rows = (0..update.groups.len()).filter(counts);
        self.count(&columns, rows.map(|row| (row, update.groups[row], weight(row))))
    }

    fn merge(&mut self, groups: &[u32], group_count: usize, other: &mut dyn AggregateStates) -> Result<()> {
        self.grow(group_count);
        let other = same::<CountedStates>(other)?;
        for (from, &to) in other.groups.iter().zip(groups) {
            for (key, &count) in from {
                self.add(key.clone(), to, count);
            }
        }
        Ok(())
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        self.grow(groups.iter().max().map_or(0, |&last| last as usize + 1));
        let values = groups.iter().map(|&group| self.result(group as usize)).collect::<Result<Vec<_>>>()?;
        let array = match values.is_empty() {
            true => new_empty_array(&self.function.result),
            false => ScalarValue::iter_to_array(values).map_err(foreign)?,
        };
        *out = Column::Array(to_type(&array, &self.function.result)?);
        Ok(())
    }

    fn save(&mut self, group_count: usize) -> Result<Vec<ArrayRef>> {
        self.grow(group_count);
        let groups = &self.groups[..group_count];
        let offsets = OffsetBuffer::<i32>::from_lengths(groups.iter().map(BTreeMap::len));
        let parser = self.converter.parser();
        let keys = groups.iter().flat_map(BTreeMap::keys).map(|key| parser.parse(key));
        let mut columns = self.converter.convert_rows(keys)?;
        let counts = groups.iter().flat_map(BTreeMap::values).copied();
        columns.push(Arc::new(Int64Array::from_iter_values(counts)));
        let list = |column: ArrayRef| -> ArrayRef {
            Arc::new(ListArray::new(list_field(column.data_type()), offsets.clone(), column, None))
        };
        Ok(columns.into_iter().map(list).collect())
    }

    fn merge_saved(&mut self, groups: &[u32], group_count: usize, columns: &[ArrayRef]) -> Result<()> {
        self.grow(group_count);
        let Some((counts, columns)) = columns.split_last() else { return Ok(()) };
        let lists = counts.as_list::<i32>();
        let counts = lists.values().as_primitive::<Int64Type>();
        let values: Vec<ArrayRef> = columns.iter().map(|column| column.as_list::<i32>().values().clone()).collect();
        let offsets = lists.value_offsets();
        let rows = groups.iter().enumerate().flat_map(|(saved, &group)| {
            (offsets[saved] as usize..offsets[saved + 1] as usize).map(move |row| (row, group, counts.value(row)))
        });
        self.count(&values, rows)
    }

    fn clear(&mut self) {
        self.groups.clear();
        self.key_bytes = 0;
    }

    fn size_bytes(&self) -> usize {
        self.key_bytes + self.groups.capacity() * size_of::<Rows>() + self.converter.size()
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
