//! The states of all aggregates of a table, side by side: a group has the same number in each.
//!
//! An aggregate whose result the states of another one tell has none: `AVG(x)` is read from those of `SUM(x)`.

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use smallvec::SmallVec;

use super::TableShape;
use super::distinct::{Distinct, Follower, ask};
use crate::batch::{Argument, Batch, Change, Column, true_rows};
use crate::error::Result;
use crate::expression::Evaluator;
use crate::function::{AggregateStates, Update};

/// One column of states per aggregate that has its own.
pub(super) struct States {
    shape: TableShape,
    takes_back: bool,
    /// How many groups there are.
    count: usize,
    states: Vec<Box<dyn AggregateStates>>,
}

impl States {
    /// States of no group.
    pub(super) fn new(shape: &TableShape, takes_back: bool) -> Self {
        States { shape: shape.clone(), takes_back, count: 0, states: empty(shape, takes_back) }
    }

    /// Says that no other states see the same pairs of group and DISTINCT arguments.
    pub(super) fn own_pairs(&mut self) {
        for states in &mut self.states {
            if let Some(distinct) = states.as_any_mut().downcast_mut::<Distinct>() {
                distinct.own_pairs();
            } else if let Some(follower) = states.as_any_mut().downcast_mut::<Follower>() {
                follower.own_pairs();
            }
        }
    }

    /// Takes the evaluated rows in, whose groups are these; `mask` is memory.
    pub(super) fn update(
        &mut self,
        evaluator: &Evaluator,
        batch: &Batch,
        groups: &[u32],
        group_count: usize,
        changes: Option<&[Change]>,
        mask: &mut Vec<u64>,
    ) -> Result<()> {
        self.count = self.count.max(group_count);
        let mut output = self.shape.first_argument;
        for (number, call) in self.shape.own_calls().enumerate() {
            let args: SmallVec<[Argument<'_>; 4]> =
                (output..output + call.arg_count).map(|arg| evaluator.output(batch, arg)).collect();
            output += call.arg_count;
            if call.filtered {
                let condition = evaluator.output(batch, output);
                output += 1;
                true_rows(self.shape.context.level, &condition, evaluator.rows(), mask)?;
            }
            let filter = call.filtered.then_some(&mask[..]);
            let update = Update { groups, group_count, args: &args, filter, changes };
            let context = &self.shape.context;
            ask(&mut self.states, number, self.shape.owner(number), |states| states.update(context, &update))?;
        }
        Ok(())
    }

    /// Brings every state to this number of groups, for groups that no row has updated.
    pub(super) fn grow(&mut self, group_count: usize) -> Result<()> {
        self.count = self.count.max(group_count);
        for states in &mut self.states {
            let update = Update { groups: &[], group_count, args: &[], filter: None, changes: None };
            states.update(&self.shape.context, &update)?;
        }
        Ok(())
    }

    /// Merges group `i` of `other` into `groups[i]`.
    pub(super) fn merge(&mut self, groups: &[u32], group_count: usize, other: &mut States) -> Result<()> {
        self.count = self.count.max(group_count);
        for (number, theirs) in other.states.iter_mut().enumerate() {
            let merge = |mine: &mut dyn AggregateStates| mine.merge(groups, group_count, theirs.as_mut());
            ask(&mut self.states, number, self.shape.owner(number), merge)?;
        }
        Ok(())
    }

    /// Takes group `i` of `other`, merged in before, out of `groups[i]`.
    pub(super) fn unmerge(&mut self, groups: &[u32], other: &mut States) -> Result<()> {
        let pairs = self.states.iter_mut().zip(&mut other.states);
        pairs.into_iter().try_for_each(|(mine, theirs)| mine.unmerge(groups, theirs.as_mut()))
    }

    /// The states of some groups, as those of groups 0, 1, 2 ...
    pub(super) fn pick(&mut self, groups: &[u32]) -> Result<States> {
        let mut picked = empty(&self.shape, self.takes_back);
        let positions: Vec<u32> = (0..groups.len() as u32).collect();
        let indices = UInt32Array::from(groups.to_vec());
        for number in 0..self.states.len() {
            if let Some(found) = self.states[number].pick(groups)? {
                picked[number] = found;
                continue;
            }
            let owner = self.shape.owner(number);
            let saved = ask(&mut self.states, number, owner, |states| states.save(self.count))?;
            let saved =
                saved.iter().map(|column| Ok(take(column, &indices, None)?)).collect::<Result<Vec<ArrayRef>>>()?;
            let count = groups.len();
            ask(&mut picked, number, owner, |picked| picked.merge_saved(&positions, count, &saved))?;
        }
        let count = groups.len();
        Ok(States { shape: self.shape.clone(), takes_back: self.takes_back, count, states: picked })
    }

    /// Writes the results of `groups`, a column per aggregate.
    pub(super) fn finish(&mut self, groups: &[u32], columns: &mut [Column]) -> Result<()> {
        let mut own = 0;
        for (call, column) in self.shape.calls.iter().zip(&mut *columns) {
            if call.of.is_none() {
                self.states[own].finish(groups, column)?;
                own += 1;
            }
        }
        for (call, column) in self.shape.calls.iter().zip(columns) {
            let Some(of) = call.of else { continue };
            let own = self.shape.calls[..of].iter().filter(|call| call.of.is_none()).count();
            self.states[own].finish_as(call.function.as_ref(), groups, column)?;
        }
        Ok(())
    }

    /// The states of the first `group_count` groups as columns, those of one aggregate after those of another.
    pub(super) fn save(&mut self, group_count: usize) -> Result<Vec<ArrayRef>> {
        let mut columns = Vec::new();
        for number in 0..self.states.len() {
            let owner = self.shape.owner(number);
            columns.extend(ask(&mut self.states, number, owner, |states| states.save(group_count))?);
        }
        Ok(columns)
    }

    /// Merges saved states: row `i` of `columns` into `groups[i]`.
    pub(super) fn load(&mut self, groups: &[u32], group_count: usize, columns: &[ArrayRef]) -> Result<()> {
        self.count = self.count.max(group_count);
        let mut from = 0;
        for (number, call) in self.shape.own_calls().enumerate() {
            let count = if call.distinct { 1 } else { call.function.state_types().len() };
            let columns = &columns[from..from + count];
            let load = |states: &mut dyn AggregateStates| states.merge_saved(groups, group_count, columns);
            ask(&mut self.states, number, self.shape.owner(number), load)?;
            from += count;
        }
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.states.iter_mut().for_each(|states| states.clear());
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.states.iter().map(|states| states.size_bytes()).sum()
    }
}

/// Empty states of each call; those that share pairs do so from the first row on.
fn empty(shape: &TableShape, takes_back: bool) -> Vec<Box<dyn AggregateStates>> {
    let takes_back = takes_back || shape.unmerges;
    let states = shape.own_calls().enumerate().map(|(number, call)| -> Box<dyn AggregateStates> {
        let states = call.function.states();
        match shape.owner(number) {
            Some(_) if !takes_back => Box::new(Follower::new(states, shape.context)),
            _ if call.distinct => Box::new(Distinct::new(shape, call, states, takes_back)),
            _ => states,
        }
    });
    states.collect()
}
