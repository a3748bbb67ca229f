//! An accumulator per group: for results after each batch, and for functions that have nothing faster.
//!
//! `evaluate` leaves an accumulator as it is; `state` does not, so who asks for it gives the accumulator its state back.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use datafusion_common::ScalarValue;
use datafusion_expr::Accumulator;
use millstream_kernels::bitmap;

use super::{Inner, foreign, refuse_retractions, same, to_type};
use crate::batch::Column;
use crate::error::Result;
use crate::function::{AggregateStates, KernelContext, Update};

pub struct SingleStates {
    function: Arc<Inner>,
    accumulators: Vec<Box<dyn Accumulator>>,
    /// Rows of a batch in the order of their groups.
    rows: Vec<u32>,
    /// What the accumulators hold, as they last said when they changed.
    size_bytes: usize,
}

impl SingleStates {
    pub fn new(function: Arc<Inner>) -> Self {
        SingleStates { function, accumulators: Vec::new(), rows: Vec::new(), size_bytes: 0 }
    }

    fn grow(&mut self, group_count: usize) -> Result<()> {
        while self.accumulators.len() < group_count {
            let accumulator = self.function.accumulator()?;
            self.size_bytes += accumulator.size();
            self.accumulators.push(accumulator);
        }
        Ok(())
    }

    /// Applies `change` to one group's accumulator and keeps count of the bytes.
    fn change(&mut self, group: usize, change: impl FnOnce(&mut dyn Accumulator) -> Result<()>) -> Result<()> {
        let accumulator = &mut self.accumulators[group];
        self.size_bytes -= accumulator.size().min(self.size_bytes);
        let changed = change(accumulator.as_mut());
        self.size_bytes += accumulator.size();
        changed
    }

    /// Gives the rows of `update` to their groups' accumulators, group by group.
    fn apply(&mut self, update: &Update<'_>, arrays: &[ArrayRef]) -> Result<()> {
        let counts = |row: &usize| update.filter.is_none_or(|words| bitmap::get(words, *row));
        let mut rows = std::mem::take(&mut self.rows);
        rows.clear();
        rows.extend((0..update.groups.len()).filter(counts).map(|row| row as u32));
        rows.sort_by_key(|&row| update.groups[row as usize]); // stable: rows keep their order within a group
        let indices = UInt32Array::from(rows.clone());
        let sorted = arrays.iter().map(|array| Ok(take(array, &indices, None)?)).collect::<Result<Vec<_>>>()?;
        let mut from = 0;
        for run in rows.chunk_by(|&left, &right| update.groups[left as usize] == update.groups[right as usize]) {
            let part: Vec<ArrayRef> = sorted.iter().map(|array| array.slice(from, run.len())).collect();
            let group = update.groups[run[0] as usize] as usize;
            self.change(group, |accumulator| accumulator.update_batch(&part).map_err(foreign))?;
            from += run.len();
        }
        self.rows = rows;
        Ok(())
    }

    /// The state of one group, left undisturbed.
    fn state(&mut self, group: usize) -> Result<Vec<ScalarValue>> {
        let state = self.accumulators[group].state().map_err(foreign)?;
        let mut again = self.function.accumulator()?;
        let arrays = state.iter().map(|value| value.to_array().map_err(foreign)).collect::<Result<Vec<_>>>()?;
        again.merge_batch(&arrays).map_err(foreign)?;
        self.accumulators[group] = again;
        Ok(state)
    }
}

impl AggregateStates for SingleStates {
    fn update(&mut self, _: &KernelContext, update: &Update<'_>) -> Result<()> {
        refuse_retractions(&self.function.name, update)?;
        self.grow(update.group_count)?;
        if update.groups.is_empty() {
            return Ok(());
        }
        let arrays = self.function.arrays(update.args)?;
        self.apply(update, &arrays)
    }

    fn merge(&mut self, groups: &[u32], group_count: usize, other: &mut dyn AggregateStates) -> Result<()> {
        let other = same::<SingleStates>(other)?;
        let columns = other.save(groups.len())?;
        self.merge_saved(groups, group_count, &columns)
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        let last = groups.iter().max().map_or(0, |&last| last as usize + 1);
        self.grow(last)?;
        let values = groups
            .iter()
            .map(|&group| self.accumulators[group as usize].evaluate().map_err(foreign))
            .collect::<Result<Vec<_>>>()?;
        let array = match values.is_empty() {
            true => arrow::array::new_empty_array(&self.function.result),
            false => ScalarValue::iter_to_array(values).map_err(foreign)?,
        };
        *out = Column::Array(to_type(&array, &self.function.result)?);
        Ok(())
    }

    fn save(&mut self, group_count: usize) -> Result<Vec<ArrayRef>> {
        self.grow(group_count)?;
        let types = &self.function.state_types.clone();
        let mut columns: Vec<Vec<ScalarValue>> = types.iter().map(|_| Vec::with_capacity(group_count)).collect();
        for group in 0..group_count {
            for (column, value) in columns.iter_mut().zip(self.state(group)?) {
                column.push(value);
            }
        }
        let arrays = columns.into_iter().zip(types).map(|(values, data_type)| match values.is_empty() {
            true => Ok(arrow::array::new_empty_array(data_type)),
            false => ScalarValue::iter_to_array(values).map_err(foreign),
        });
        arrays.collect()
    }

    fn merge_saved(&mut self, groups: &[u32], group_count: usize, columns: &[ArrayRef]) -> Result<()> {
        self.grow(group_count)?;
        for (row, &group) in groups.iter().enumerate() {
            let part: Vec<ArrayRef> = columns.iter().map(|column| column.slice(row, 1)).collect();
            self.change(group as usize, |accumulator| accumulator.merge_batch(&part).map_err(foreign))?;
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.accumulators.clear();
        self.size_bytes = 0;
    }

    fn size_bytes(&self) -> usize {
        self.size_bytes + self.rows.capacity() * size_of::<u32>()
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
