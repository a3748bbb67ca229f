//! All groups in one `GroupsAccumulator`: for results that leave once.
//!
//! Asking a `GroupsAccumulator` for its state or its results empties it. So the state is parked as arrays when somebody
//! asks, results come from a copy made of these, and the next update starts by merging them back.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use datafusion_expr::{EmitTo, GroupsAccumulator};

use super::{Inner, filter_array, foreign, refuse_retractions, same, to_type};
use crate::batch::Column;
use crate::error::Result;
use crate::function::{AggregateStates, KernelContext, Update};

pub struct GroupedStates {
    function: Arc<Inner>,
    /// Empty while the states are parked.
    accumulator: Option<Box<dyn GroupsAccumulator>>,
    parked: Option<Vec<ArrayRef>>,
    /// The results of the parked states, once somebody asked for some.
    results: Option<ArrayRef>,
    group_count: usize,
    groups: Vec<usize>,
}

impl GroupedStates {
    pub fn new(function: Arc<Inner>) -> Self {
        GroupedStates { function, accumulator: None, parked: None, results: None, group_count: 0, groups: Vec::new() }
    }

    /// The accumulator with all states in it, ready to be updated.
    fn accumulator(&mut self) -> Result<&mut Box<dyn GroupsAccumulator>> {
        self.results = None;
        if let Some(states) = self.parked.take() {
            self.accumulator = Some(self.rebuilt(&states)?);
        }
        match &mut self.accumulator {
            Some(accumulator) => Ok(accumulator),
            none => Ok(none.insert(self.function.groups_accumulator()?)),
        }
    }

    /// A new accumulator that holds `states`, the state of group `i` in row `i`. Groups that came since have no row.
    fn rebuilt(&self, states: &[ArrayRef]) -> Result<Box<dyn GroupsAccumulator>> {
        let mut accumulator = self.function.groups_accumulator()?;
        let groups: Vec<usize> = (0..states.first().map_or(0, |state| state.len())).collect();
        accumulator.merge_batch(states, &groups, self.group_count).map_err(foreign)?;
        Ok(accumulator)
    }

    /// The states of all groups as arrays, `group_count` of them at least.
    fn park(&mut self, group_count: usize) -> Result<&[ArrayRef]> {
        if self.parked.is_none() || group_count > self.group_count {
            self.grow(group_count)?;
            let states = self.accumulator()?.state(EmitTo::All).map_err(foreign)?;
            self.accumulator = None;
            self.parked = Some(states);
        }
        Ok(self.parked.as_deref().expect("parked above"))
    }

    /// Makes the accumulator know groups that no row of it has.
    fn grow(&mut self, group_count: usize) -> Result<()> {
        self.group_count = self.group_count.max(group_count);
        let (count, function) = (self.group_count, self.function.clone());
        function.grow(self.accumulator()?.as_mut(), count)
    }

    fn results(&mut self, group_count: usize) -> Result<ArrayRef> {
        if self.results.is_none() || group_count > self.group_count {
            let states = self.park(group_count)?.to_vec();
            let results = self.rebuilt(&states)?.evaluate(EmitTo::All).map_err(foreign)?;
            self.results = Some(to_type(&results, &self.function.result)?);
        }
        Ok(self.results.clone().expect("made above"))
    }

    fn merge_arrays(&mut self, groups: &[u32], group_count: usize, states: &[ArrayRef]) -> Result<()> {
        self.group_count = self.group_count.max(group_count);
        let count = self.group_count;
        let groups: Vec<usize> = groups.iter().map(|&group| group as usize).collect();
        self.accumulator()?.merge_batch(states, &groups, count).map_err(foreign)
    }
}

impl AggregateStates for GroupedStates {
    fn update(&mut self, _: &KernelContext, update: &Update<'_>) -> Result<()> {
        refuse_retractions(&self.function.name, update)?;
        if update.groups.is_empty() {
            return self.grow(update.group_count);
        }
        let arrays = self.function.arrays(update.args)?;
        let filter = update.filter.map(|words| filter_array(words, update.groups.len()));
        let mut groups = std::mem::take(&mut self.groups);
        groups.clear();
        groups.extend(update.groups.iter().map(|&group| group as usize));
        self.group_count = self.group_count.max(update.group_count);
        let count = self.group_count;
        self.accumulator()?.update_batch(&arrays, &groups, filter.as_ref(), count).map_err(foreign)?;
        self.groups = groups;
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], group_count: usize, other: &mut dyn AggregateStates) -> Result<()> {
        let states = same::<GroupedStates>(other)?.park(groups.len())?;
        let states: Vec<ArrayRef> = states.iter().map(|state| state.slice(0, groups.len())).collect();
        self.merge_arrays(groups, group_count, &states)
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        let group_count = groups.iter().max().map_or(0, |&last| last as usize + 1);
        let results = self.results(group_count)?;
        let rows = UInt32Array::from(groups.to_vec());
        *out = Column::Array(take(&results, &rows, None)?);
        Ok(())
    }

    fn save(&mut self, group_count: usize) -> Result<Vec<ArrayRef>> {
        Ok(self.park(group_count)?.iter().map(|state| state.slice(0, group_count)).collect())
    }

    fn merge_saved(&mut self, groups: &[u32], group_count: usize, columns: &[ArrayRef]) -> Result<()> {
        self.merge_arrays(groups, group_count, columns)
    }

    fn clear(&mut self) {
        self.accumulator = None;
        self.parked = None;
        self.results = None;
        self.group_count = 0;
    }

    fn size_bytes(&self) -> usize {
        let parked = self.parked.iter().flatten().chain(&self.results).map(|array| array.get_array_memory_size());
        self.accumulator.as_ref().map_or(0, |accumulator| accumulator.size())
            + parked.sum::<usize>()
            + self.groups.capacity() * size_of::<usize>()
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
