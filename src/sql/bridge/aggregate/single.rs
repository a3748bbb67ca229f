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
    /// What is known of the bytes of each.
    sizes: Vec<Size>,
    /// Rows of a batch in the order of their groups.
    rows: Vec<u32>,
    /// What the accumulators hold.
    size_bytes: usize,
}

/// Bytes of an accumulator. Many go through all that they hold to tell how much it is: so they are asked after ever more
/// changes, and between these they are taken to grow as they did.
#[derive(Default)]
struct Size {
    bytes: usize,
    changes: usize,
    /// After how many changes it is asked again.
    asked_at: usize,
}

impl Size {
    /// Notes that an accumulator has changed.
    fn change(&mut self, accumulator: &dyn Accumulator) {
        self.changes += 1;
        if self.changes >= self.asked_at {
            self.bytes = accumulator.size();
            self.asked_at = self.changes + 1 + self.changes / 8;
        } else {
            self.bytes += self.bytes / self.changes;
        }
    }
}

impl SingleStates {
    pub fn new(function: Arc<Inner>) -> Self {
        SingleStates { function, accumulators: Vec::new(), sizes: Vec::new(), rows: Vec::new(), size_bytes: 0 }
    }

    fn grow(&mut self, group_count: usize) -> Result<()> {
        while self.accumulators.len() < group_count {
            let accumulator = self.function.accumulator()?;
            let size = Size { bytes: accumulator.size(), ..Size::default() };
            self.size_bytes += size.bytes;
            self.sizes.push(size);
            self.accumulators.push(accumulator);
        }
        Ok(())
    }

    /// Applies `change` to one group's accumulator and keeps count of the bytes.
    fn change(&mut self, group: usize, change: impl FnOnce(&mut dyn Accumulator) -> Result<()>) -> Result<()> {
        let (accumulator, size) = (&mut self.accumulators[group], &mut self.sizes[group]);
        self.size_bytes -= size.bytes.min(self.size_bytes);
        let changed = change(accumulator.as_mut());
        size.change(accumulator.as_ref());
        self.size_bytes += size.bytes;
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
        self.sizes.clear();
        self.size_bytes = 0;
    }

    fn size_bytes(&self) -> usize {
        self.size_bytes + self.rows.capacity() * size_of::<u32>()
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Holds a byte more with each change, and counts how often it is asked.
    #[derive(Debug, Default)]
    struct Grows {
        bytes: usize,
        asked: AtomicUsize,
    }

    impl Accumulator for Grows {
        fn update_batch(&mut self, _: &[ArrayRef]) -> datafusion_common::Result<()> {
            self.bytes += 1;
            Ok(())
        }

        fn merge_batch(&mut self, _: &[ArrayRef]) -> datafusion_common::Result<()> {
            Ok(())
        }

        fn evaluate(&mut self) -> datafusion_common::Result<ScalarValue> {
            Ok(ScalarValue::Null)
        }

        fn state(&mut self) -> datafusion_common::Result<Vec<ScalarValue>> {
            Ok(Vec::new())
        }

        fn size(&self) -> usize {
            self.asked.fetch_add(1, Ordering::Relaxed);
            self.bytes
        }
    }

    #[test]
    fn what_holds_much_is_asked_rarely_and_known_well() {
        let (mut grows, mut size) = (Grows::default(), Size::default());
        for changes in 1..100_000 {
            grows.update_batch(&[]).expect("it grows");
            size.change(&grows);
            assert!(size.bytes.abs_diff(changes) <= changes / 5, "{} after {changes}", size.bytes);
        }
        let asked = grows.asked.load(Ordering::Relaxed);
        assert!(asked < 120, "{asked}");
    }
}
