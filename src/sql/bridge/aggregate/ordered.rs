//! Rows kept until they are sorted: for ORDER BY inside the call.
//!
//! Rows arrive in any order and from several partitions, so all of them are kept; a result sorts its group's rows and
//! gives them to a fresh accumulator.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt32Array, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{SortOptions, concat, take};
use arrow::datatypes::{DataType, Field};
use arrow::row::{RowConverter, SortField};
use datafusion_common::ScalarValue;
use millstream_kernels::bitmap;

use super::{Inner, Kept, foreign, refuse_retractions, same, to_type};
use crate::batch::Column;
use crate::error::Result;
use crate::function::{AggregateStates, KernelContext, Update};

pub struct OrderedStates {
    function: Arc<Inner>,
    kept: Kept,
    /// The kept rows: one column per argument and order key, in pieces as they came.
    pieces: Vec<Vec<ArrayRef>>,
    /// Bytes of the pieces: of many, adding them up after each batch is more work than the rows are.
    piece_bytes: usize,
    /// The group of each kept row.
    groups: Vec<u32>,
    /// The same rows in one piece, ordered by group and within it, once somebody asked.
    sorted: Option<Sorted>,
}

/// Kept rows in order; the rows of group `g` are `starts[g]..starts[g + 1]`.
struct Sorted {
    columns: Vec<ArrayRef>,
    starts: Vec<usize>,
}

/// One list per argument and order key.
pub fn state_types(arg_types: &[DataType]) -> Vec<DataType> {
    arg_types.iter().map(|data_type| DataType::List(list_field(data_type))).collect()
}

pub fn list_field(data_type: &DataType) -> Arc<Field> {
    Arc::new(Field::new("item", data_type.clone(), true))
}

impl OrderedStates {
    pub fn new(function: Arc<Inner>, kept: Kept) -> Self {
        OrderedStates { function, kept, pieces: Vec::new(), piece_bytes: 0, groups: Vec::new(), sorted: None }
    }

    fn keep(&mut self, columns: Vec<ArrayRef>, groups: impl IntoIterator<Item = u32>) {
        self.sorted = None;
        self.piece_bytes += columns.iter().map(|array| array.get_array_memory_size()).sum::<usize>();
        self.pieces.push(columns);
        self.groups.extend(groups);
    }

    /// All kept rows, ordered by group and within it.
    fn sorted(&mut self, group_count: usize) -> Result<&Sorted> {
        if self.sorted.as_ref().is_none_or(|sorted| sorted.starts.len() <= group_count) {
            self.sorted = Some(self.sort(group_count)?);
        }
        Ok(self.sorted.as_ref().expect("sorted above"))
    }

    fn sort(&self, group_count: usize) -> Result<Sorted> {
        let columns = self.columns()?;
        let ranks = self.sort_keys(&columns)?;
        let mut order: Vec<u32> = (0..self.groups.len() as u32).collect();
        order.sort_by(|&left, &right| {
            let (left, right) = (left as usize, right as usize);
            self.groups[left].cmp(&self.groups[right]).then_with(|| ranks.row(left).cmp(&ranks.row(right)))
        });
        let group_count = self.groups.iter().max().map_or(0, |&last| last as usize + 1).max(group_count);
        let mut starts = vec![0; group_count + 1];
        for &group in &self.groups {
            starts[group as usize + 1] += 1;
        }
        for group in 0..group_count {
            starts[group + 1] += starts[group];
        }
        let order = UInt32Array::from(order);
        let columns = columns.iter().map(|column| Ok(take(column, &order, None)?)).collect::<Result<_>>()?;
        Ok(Sorted { columns, starts })
    }

    /// Each column of the kept rows in one piece.
    fn columns(&self) -> Result<Vec<ArrayRef>> {
        let column = |index: usize, data_type: &DataType| -> Result<ArrayRef> {
            let parts: Vec<&dyn Array> = self.pieces.iter().map(|piece| piece[index].as_ref()).collect();
            if parts.is_empty() { Ok(new_empty_array(data_type)) } else { Ok(concat(&parts)?) }
        };
        self.function.arg_types.iter().enumerate().map(|(index, data_type)| column(index, data_type)).collect()
    }

    /// Rows that compare as ORDER BY wants them, ties broken by the arguments.
    fn sort_keys(&self, columns: &[ArrayRef]) -> Result<arrow::row::Rows> {
        let keys: Vec<(usize, SortOptions)> = self.kept.columns().collect();
        let field = |(index, options): &(usize, SortOptions)| {
            SortField::new_with_options(self.function.arg_types[*index].clone(), *options)
        };
        let converter = RowConverter::new(keys.iter().map(field).collect())?;
        let keys: Vec<ArrayRef> = keys.iter().map(|(index, _)| columns[*index].clone()).collect();
        Ok(converter.convert_columns(&keys)?)
    }
}

impl AggregateStates for OrderedStates {
    fn update(&mut self, _: &KernelContext, update: &Update<'_>) -> Result<()> {
        refuse_retractions(&self.function.name, update)?;
        if update.groups.is_empty() {
            return Ok(());
        }
        let arrays = self.function.arrays(update.args)?;
        match update.filter {
            None => self.keep(arrays, update.groups.iter().copied()),
            Some(words) => {
                let counts = |row: &usize| bitmap::get(words, *row);
                let rows: Vec<usize> = (0..update.groups.len()).filter(counts).collect();
                let indices = UInt32Array::from_iter_values(rows.iter().map(|&row| row as u32));
                let kept = arrays.iter().map(|array| Ok(take(array, &indices, None)?)).collect::<Result<_>>()?;
                self.keep(kept, rows.iter().map(|&row| update.groups[row]));
            }
        }
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], _: usize, other: &mut dyn AggregateStates) -> Result<()> {
        let other = same::<OrderedStates>(other)?;
        let columns = other.columns()?;
        // Groups beyond those asked for stay behind.
        let rows = other.groups.iter().enumerate().filter(|(_, group)| (**group as usize) < groups.len());
        let indices = UInt32Array::from_iter_values(rows.clone().map(|(row, _)| row as u32));
        let kept = columns.iter().map(|column| Ok(take(column, &indices, None)?)).collect::<Result<_>>()?;
        self.keep(kept, rows.map(|(_, &group)| groups[group as usize]));
        Ok(())
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        let function = self.function.clone();
        let arg_count = self.kept.arg_count;
        let group_count = groups.iter().max().map_or(0, |&last| last as usize + 1);
        let sorted = self.sorted(group_count)?;
        let mut values = Vec::with_capacity(groups.len());
        for &group in groups {
            let (start, end) = (sorted.starts[group as usize], sorted.starts[group as usize + 1]);
            let args: Vec<ArrayRef> = sorted.columns[..arg_count].iter().map(|c| c.slice(start, end - start)).collect();
            let mut accumulator = function.accumulator()?;
            if end > start {
                accumulator.update_batch(&args).map_err(foreign)?;
            }
            values.push(accumulator.evaluate().map_err(foreign)?);
        }
        let array = match values.is_empty() {
            true => new_empty_array(&function.result),
            false => ScalarValue::iter_to_array(values).map_err(foreign)?,
        };
        *out = Column::Array(to_type(&array, &function.result)?);
        Ok(())
    }

    fn save(&mut self, group_count: usize) -> Result<Vec<ArrayRef>> {
        let types = self.function.arg_types.clone();
        let sorted = self.sorted(group_count)?;
        let starts = &sorted.starts[..group_count + 1];
        let lists = sorted.columns.iter().zip(&types).map(|(column, data_type)| {
            let offsets = OffsetBuffer::from_lengths(starts.windows(2).map(|pair| pair[1] - pair[0]));
            let values = column.slice(0, starts[group_count]);
            Arc::new(ListArray::new(list_field(data_type), offsets, values, None)) as ArrayRef
        });
        Ok(lists.collect())
    }

    fn merge_saved(&mut self, groups: &[u32], _: usize, columns: &[ArrayRef]) -> Result<()> {
        let Some(first) = columns.first() else { return Ok(()) };
        let lists = first.as_list::<i32>();
        let from = lists.value_offsets()[0] as usize;
        let rows = lists.value_offsets()[groups.len()] as usize - from;
        let kept = columns.iter().map(|column| column.as_list::<i32>().values().slice(from, rows)).collect();
        let lengths = groups.iter().enumerate().map(|(row, &group)| (group, lists.value_length(row) as usize));
        self.keep(kept, lengths.flat_map(|(group, length)| std::iter::repeat_n(group, length)));
        Ok(())
    }

    fn clear(&mut self) {
        self.pieces.clear();
        self.piece_bytes = 0;
        self.groups.clear();
        self.sorted = None;
    }

    fn size_bytes(&self) -> usize {
        let sorted = self.sorted.iter().flat_map(|sorted| &sorted.columns);
        let sorted = sorted.map(|array| array.get_array_memory_size()).sum::<usize>();
        self.piece_bytes + sorted + self.groups.capacity() * size_of::<u32>()
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
