//! Groups and the states of their aggregates: columns indexed by group number, kept when the table is used again.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{take, take_record_batch};
use arrow::datatypes::{Field, Int64Type, Schema};
use smallvec::SmallVec;

use super::TableShape;
use super::moved;
use super::states::States;
use crate::batch::{Argument, Batch, Change, Column, Form, KernelColumn, ROWS_MAX, Selection};
use crate::error::{Error, Result};
use crate::expression::Evaluator;
use crate::state::GroupIndex;
use crate::stream::operator::Next;

/// One table of groups.
pub(super) struct Table {
    shape: TableShape,
    pub(super) index: GroupIndex,
    pub(super) states: States,
    /// Rows in each group, retractions taken off: a group without rows is gone. Only kept for inputs that take back.
    weights: Option<Vec<i64>>,
    /// How many of the first groups are there even when no row is.
    standing_groups: u32,
    /// Where its groups are in the table that it was merged into and will be taken out of again.
    places: Vec<u32>,
    /// The most groups it had before it was cleared.
    groups_most: usize,
}

/// Memory for one batch on its way into a table; shared by all tables of an operator.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) groups: Vec<u32>,
    mask: Vec<u64>,
}

impl Table {
    /// An empty table; `takes_back`: whether its input may retract rows.
    pub(super) fn new(shape: TableShape, takes_back: bool) -> Self {
        let index = GroupIndex::new(shape.key_types.clone(), shape.seed, shape.level());
        let states = States::new(&shape, takes_back);
        let weights = takes_back.then(Vec::new);
        Table { index, states, weights, standing_groups: 0, places: Vec::new(), groups_most: 0, shape }
    }

    /// Says that no other table sees the same pairs of group and DISTINCT arguments.
    pub(super) fn own_pairs(&mut self) {
        self.states.own_pairs();
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// How many columns its results are.
    pub(super) fn result_count(&self) -> usize {
        self.shape.calls.len()
    }

    /// The most groups it had before it was cleared.
    pub(super) fn groups_most(&self) -> usize {
        self.groups_most
    }

    /// Adds the group of this key, which is there even when no row is. Standing groups come before all others.
    pub(super) fn add_standing_group(&mut self, key: &[ArrayRef], scratch: &mut Scratch) -> Result<()> {
        let key: Vec<Column> = key.iter().cloned().map(Column::Constant).collect();
        let key: SmallVec<[Argument<'_>; 4]> = key.iter().map(|value| Argument::new(value, None, 1)).collect();
        self.index.lookup(&key, 1, &mut scratch.groups)?;
        self.standing_groups = self.index.len() as u32;
        self.grow()
    }

    /// Finds the groups of the evaluated rows and leaves them in `scratch.groups`.
    pub(super) fn find_groups(&mut self, evaluator: &Evaluator, batch: &Batch, scratch: &mut Scratch) -> Result<()> {
        let keys: SmallVec<[Argument<'_>; 4]> =
            (0..self.shape.key_types.len()).map(|key| evaluator.output(batch, key)).collect();
        self.index.lookup(&keys, evaluator.rows(), &mut scratch.groups)
    }

    /// The same where the table's keys are these of the program.
    pub(super) fn find_groups_by(
        &mut self,
        keys: &[usize],
        evaluator: &Evaluator,
        batch: &Batch,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let keys: SmallVec<[Argument<'_>; 4]> = keys.iter().map(|&key| evaluator.output(batch, key)).collect();
        self.index.lookup(&keys, evaluator.rows(), &mut scratch.groups)
    }

    /// Takes the evaluated rows in, whose groups are in `scratch.groups`.
    pub(super) fn update(
        &mut self,
        evaluator: &Evaluator,
        batch: &Batch,
        changes: Option<&[Change]>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let group_count = self.index.len();
        if let Some(weights) = &mut self.weights {
            weights.resize(group_count, 0);
            for (row, &group) in scratch.groups.iter().enumerate() {
                weights[group as usize] += changes.map_or(1, |changes| changes[row].weight());
            }
        }
        self.states.update(evaluator, batch, &scratch.groups, group_count, changes, &mut scratch.mask)
    }

    /// Merges all groups of `other` in; leaves in `scratch.groups` where they are here.
    pub(super) fn merge(
        &mut self,
        other: &mut Table,
        scratch: &mut Scratch,
        keys: &mut Vec<KernelColumn>,
    ) -> Result<()> {
        scratch.groups.clear();
        if other.len() == 0 {
            return Ok(());
        }
        self.find_groups_of(other, None, scratch, keys)?;
        let group_count = self.index.len();
        self.states.merge(&scratch.groups, group_count, &mut other.states)?;
        if let (Some(mine), Some(theirs)) = (&mut self.weights, &other.weights) {
            mine.resize(group_count, 0);
            for (from, &to) in scratch.groups.iter().enumerate() {
                mine[to as usize] += theirs.get(from).copied().unwrap_or(0);
            }
        }
        if self.shape.unmerges {
            other.places.clone_from(&scratch.groups);
        }
        Ok(())
    }

    /// Merges all groups of `other`, which has more keys, in: the keys here are its `positions`.
    pub(super) fn merge_finer(
        &mut self,
        other: &mut Table,
        positions: &[usize],
        scratch: &mut Scratch,
        keys: &mut Vec<KernelColumn>,
    ) -> Result<()> {
        if other.len() == 0 {
            return Ok(());
        }
        self.find_groups_of(other, Some(positions), scratch, keys)?;
        self.states.merge(&scratch.groups, self.index.len(), &mut other.states)
    }

    /// Takes all groups of `other`, which is as it was when it was merged in last, out again; leaves in `scratch.groups`
    /// where they are here.
    pub(super) fn unmerge(&mut self, other: &mut Table, scratch: &mut Scratch) -> Result<()> {
        assert_eq!(other.places.len(), other.len(), "a table that is taken out was merged in");
        std::mem::swap(&mut scratch.groups, &mut other.places);
        if let (Some(mine), Some(theirs)) = (&mut self.weights, &other.weights) {
            for (from, &to) in scratch.groups.iter().enumerate() {
                mine[to as usize] -= theirs.get(from).copied().unwrap_or(0);
            }
        }
        self.states.unmerge(&scratch.groups, &mut other.states)
    }

    /// Finds the groups of `other` here, new ones made, and leaves them in `scratch.groups`; `positions`: which of its keys
    /// are those here, where they are not all.
    fn find_groups_of(
        &mut self,
        other: &Table,
        positions: Option<&[usize]>,
        scratch: &mut Scratch,
        keys: &mut Vec<KernelColumn>,
    ) -> Result<()> {
        let rows = other.len();
        let mut all = std::mem::take(&mut scratch.groups);
        all.clear();
        all.extend(0..rows as u32);
        keys.resize_with(self.shape.key_types.len(), KernelColumn::default);
        for (key, column) in keys.iter_mut().enumerate() {
            let key = positions.map_or(key, |positions| positions[key]);
            other.index.keys(key, &all, &mut column.column)?;
            column.settle();
        }
        let arguments: SmallVec<[Argument<'_>; 4]> = keys.iter().map(|column| column.argument(rows)).collect();
        self.index.lookup(&arguments, rows, &mut all)?;
        scratch.groups = all;
        Ok(())
    }

    /// Pushes all groups on as keys, `between` (a value each) and states, and forgets them.
    pub(super) fn send(&mut self, between: &[ArrayRef], out: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        let (count, key_count) = (self.len(), self.shape.key_types.len());
        if count == 0 {
            return Ok(());
        }
        let states = self.states.save(count)?;
        // Keys alone are rows like any others.
        let form = if states.is_empty() && between.is_empty() { Form::Rows } else { Form::Groups };
        let mut groups = Vec::new();
        for from in (0..count).step_by(ROWS_MAX) {
            let rows = (count - from).min(ROWS_MAX);
            groups.clear();
            groups.extend(from as u32..(from + rows) as u32);
            out.clear();
            out.columns.resize_with(key_count + between.len() + states.len(), Column::default);
            for key in 0..key_count {
                self.index.keys(key, &groups, &mut out.columns[key])?;
            }
            let between = between.iter().cloned().map(Column::Constant);
            let states = states.iter().map(|column| Column::Array(column.slice(from, rows)));
            for (column, value) in out.columns[key_count..].iter_mut().zip(between.chain(states)) {
                *column = value;
            }
            (out.rows, out.form) = (rows, form);
            next.push(out)?;
        }
        self.clear();
        Ok(())
    }

    /// Merges groups that another table has sent, `between` columns behind their keys.
    pub(super) fn take_groups(
        &mut self,
        batch: &mut Batch,
        between: usize,
        scratch: &mut Scratch,
        keys: &mut Vec<KernelColumn>,
    ) -> Result<()> {
        let (rows, key_count) = (batch.rows, self.shape.key_types.len());
        keys.resize_with(key_count, KernelColumn::default);
        for (key, column) in keys.iter_mut().zip(&mut batch.columns) {
            std::mem::swap(&mut key.column, column);
            key.settle();
        }
        let arguments: SmallVec<[Argument<'_>; 4]> = keys.iter().map(|column| column.argument(rows)).collect();
        self.index.lookup(&arguments, rows, &mut scratch.groups)?;
        let group_count = self.index.len();
        let types = self.shape.own_calls().flat_map(|call| call.function.state_types());
        let saved = types
            .zip(&mut batch.columns[key_count + between..])
            .map(|(data_type, column)| column.to_array(&data_type, rows, &Selection::default()));
        self.states.load(&scratch.groups, group_count, &saved.collect::<Result<Vec<_>>>()?)
    }

    /// Brings every state to the number of groups, for groups that no row has updated.
    fn grow(&mut self) -> Result<()> {
        self.states.grow(self.index.len())
    }

    /// Whether every group has rows.
    pub(super) fn all_alive(&self) -> bool {
        self.weights.is_none()
    }

    /// The rows without those that are taken back of groups that hold none, since they were forgotten; `None`: all count.
    pub(super) fn without_forgotten(&self, scratch: &Scratch, changes: &[Change]) -> Option<Vec<u16>> {
        let weights = self.weights.as_ref()?;
        let mut left: HashMap<u32, i64> = HashMap::new();
        let counts = |(&group, change): (&u32, &Change)| {
            let left = left.entry(group).or_insert_with(|| weights.get(group as usize).copied().unwrap_or(0));
            let is_known = !change.is_retraction() || *left > 0;
            *left += if is_known { change.weight() } else { 0 };
            is_known
        };
        let known: Vec<bool> = scratch.groups.iter().zip(changes).map(counts).collect();
        let rows = (0..known.len()).filter(|&row| known[row]).map(|row| row as u16).collect();
        known.contains(&false).then_some(rows)
    }

    /// Whether `group` has rows, or needs none.
    pub(super) fn is_alive(&self, group: u32) -> bool {
        let has_rows = |weights: &Vec<i64>| weights.get(group as usize).is_some_and(|weight| *weight > 0);
        group < self.standing_groups || self.weights.as_ref().is_none_or(has_rows)
    }

    /// Writes keys, then `between`, then results of `groups` into `out`'s columns.
    pub(super) fn write(
        &mut self,
        groups: &[u32],
        out: &mut Batch,
        between: impl FnOnce(usize, &mut [Column]) -> Result<usize>,
    ) -> Result<()> {
        let key_count = self.shape.key_types.len();
        for key in 0..key_count {
            self.index.keys(key, groups, &mut out.columns[key])?;
        }
        let middle = between(groups.len(), &mut out.columns[key_count..])?;
        let results = &mut out.columns[key_count + middle..];
        self.states.finish(groups, results)?;
        out.rows = groups.len();
        out.selection.clear();
        out.form = Form::Rows;
        out.changes = None;
        out.watermarks.clear();
        Ok(())
    }

    /// Whether a group must be kept: it stands, or has rows, or was taken back from more often than it was given to.
    pub(super) fn has_rows(&self, group: u32) -> bool {
        let has_rows = |weights: &Vec<i64>| weights.get(group as usize).is_some_and(|weight| *weight != 0);
        self.stands(group) || self.weights.as_ref().is_none_or(has_rows)
    }

    /// Whether a group is there even when no row is.
    pub(super) fn stands(&self, group: u32) -> bool {
        group < self.standing_groups
    }

    /// Keeps these groups only, ascending, and numbers them anew; memory of the others is given back.
    pub(super) fn retain(&mut self, kept: &[u32], scratch: &mut Scratch) -> Result<()> {
        let count = self.len();
        let rows = UInt32Array::from(kept.to_vec());
        let mut fresh = Table::new(self.shape.clone(), self.weights.is_some());
        let shape = (&self.shape.key_types[..], self.shape.seed, self.shape.level());
        fresh.index = moved(&self.index, shape, kept)?;
        scratch.groups.clear();
        scratch.groups.extend(0..kept.len() as u32);
        let group_count = fresh.index.len();
        let saved = self.states.save(count)?;
        let saved = saved.iter().map(|column| Ok(take(column, &rows, None)?)).collect::<Result<Vec<ArrayRef>>>()?;
        fresh.states.load(&scratch.groups, group_count, &saved)?;
        if let Some(weights) = &mut self.weights {
            weights.resize(count, 0);
            fresh.weights = Some(kept.iter().map(|&group| weights[group as usize]).collect());
        }
        fresh.standing_groups = self.standing_groups;
        *self = fresh;
        Ok(())
    }

    /// All groups that mean something, as columns: the keys, the states of each aggregate, how many rows there are, and
    /// whether the group is there without any.
    pub(super) fn save(&mut self) -> Result<RecordBatch> {
        let count = self.len();
        let all: Vec<u32> = (0..count as u32).collect();
        let mut columns = Vec::new();
        for (key, data_type) in self.shape.key_types.iter().enumerate() {
            let mut column = Column::default();
            self.index.keys(key, &all, &mut column)?;
            columns.push(column.to_array(data_type, count, &Selection::default())?);
        }
        columns.extend(self.states.save(count)?);
        let weight = |group: u32| match &self.weights {
            Some(weights) => weights.get(group as usize).copied().unwrap_or(0),
            None => 1,
        };
        let kept: Vec<u32> =
            all.into_iter().filter(|&group| weight(group) != 0 || group < self.standing_groups).collect();
        columns.push(Arc::new(Int64Array::from_iter_values((0..count as u32).map(weight))));
        let standing = (0..count as u32).map(|group| Some(group < self.standing_groups));
        columns.push(Arc::new(standing.collect::<BooleanArray>()));
        let fields = columns.iter().enumerate();
        let fields = fields.map(|(at, column)| Field::new(format!("c{at}"), column.data_type().clone(), true));
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns)?;
        Ok(take_record_batch(&rows, &UInt32Array::from(kept))?)
    }

    /// Merges saved groups in; whether one of them is there without rows.
    pub(super) fn load(&mut self, rows: &RecordBatch, scratch: &mut Scratch) -> Result<bool> {
        let key_count = self.shape.key_types.len();
        let (columns, last) = rows.columns().split_at(rows.num_columns() - 2);
        let (weights, standing) = (last[0].as_primitive::<Int64Type>(), last[1].as_boolean());
        let keys: Vec<KernelColumn> =
            columns[..key_count].iter().map(|key| KernelColumn::new(Column::Array(key.clone()))).collect();
        let keys: SmallVec<[Argument<'_>; 4]> = keys.iter().map(|column| column.argument(rows.num_rows())).collect();
        self.index.lookup(&keys, rows.num_rows(), &mut scratch.groups)?;
        let group_count = self.index.len();
        if columns.len() != key_count + self.shape.state_columns() {
            return Err(Error::user("the snapshot was written by another version: its groups have other states"));
        }
        self.states.load(&scratch.groups, group_count, &columns[key_count..])?;
        if let Some(known) = &mut self.weights {
            known.resize(group_count, 0);
            for (row, &group) in scratch.groups.iter().enumerate() {
                known[group as usize] += weights.value(row);
            }
        }
        Ok(standing.true_count() > 0)
    }

    /// Forgets all groups and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.groups_most = self.groups_most.max(self.len());
        self.index.clear();
        self.standing_groups = 0;
        self.places.clear();
        self.states.clear();
        if let Some(weights) = &mut self.weights {
            weights.clear();
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        let weights = self.weights.as_ref().map_or(0, |weights| weights.capacity() * 8);
        self.index.size_bytes() + self.states.size_bytes() + weights + self.places.capacity() * 4
    }
}
