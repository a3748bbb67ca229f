//! Several sets of keys over the same rows: ROLLUP and its kin.
//!
//! Rows go into tables of the sets that are part of no other. When the input ends, each other set is made of the groups of
//! the smallest table that has its keys, the largest sets first:
//!
//! ```text
//! rows ──▶ (a, b, c) ──end──▶ (a, b) ──▶ (a) ──▶ ()
//! ```
//! Invariants  a set's states are those that its rows would have given, for merging is in any order.

use arrow::array::{ArrayRef, new_null_array};

use super::TableShape;
use super::table::{Scratch, Table};
use crate::batch::{Batch, Column, Form, KernelColumn, ROWS_MAX};
use crate::error::{Error, Result};
use crate::expression::Evaluator;
use crate::function::KernelContext;
use crate::pipeline::SetsSpec;
use crate::state::Section;
use crate::stream::operator::{Ending, Next, Operator};

/// A running GROUP BY of several sets.
pub struct GroupingSets {
    evaluator: Evaluator,
    /// Those with more keys first.
    sets: Vec<Set>,
    /// A NULL for each key, where a set does not have it.
    nulls: Vec<ArrayRef>,
    /// Whether groups are sent on to be put together with those of others, instead of results.
    sends_groups: bool,
    batch_rows: usize,
    scratch: Scratch,
    merge_keys: Vec<KernelColumn>,
    out: Batch,
}

struct Set {
    keys: Vec<usize>,
    id: ArrayRef,
    table: Table,
    /// Whether it is part of no other, and takes rows.
    takes_rows: bool,
}

impl Set {
    fn has_all(&self, keys: &[usize]) -> bool {
        keys.iter().all(|key| self.keys.contains(key))
    }
}

impl GroupingSets {
    /// `sends_groups`: an aggregate behind it puts groups together, [`SetsSpec::merged`].
    pub fn new(spec: &SetsSpec, seed: u64, context: KernelContext, sends_groups: bool, batch_rows: usize) -> Self {
        let shape = TableShape::new(&spec.aggregate, seed, context);
        let nulls = shape.key_types.iter().map(|data_type| new_null_array(data_type, 1)).collect();
        let mut sets: Vec<Set> = Vec::with_capacity(spec.sets.len());
        let mut by_size: Vec<_> = spec.sets.iter().collect();
        by_size.sort_by_key(|set| std::cmp::Reverse(set.keys.len()));
        for set in by_size {
            let takes_rows = !sets.iter().any(|larger| larger.has_all(&set.keys));
            let table = Table::new(shape.of_keys(&set.keys), false);
            sets.push(Set { keys: set.keys.clone(), id: set.id.clone(), table, takes_rows });
        }
        let program = spec.aggregate.program.clone();
        GroupingSets {
            evaluator: Evaluator::new(program, context).with_dictionaries(spec.aggregate.key_count),
            sets,
            nulls,
            sends_groups,
            batch_rows: batch_rows.min(ROWS_MAX),
            scratch: Scratch::default(),
            merge_keys: Vec::new(),
            out: Batch::default(),
        }
    }

    /// Makes the groups of the sets that take no rows.
    fn complete(&mut self) -> Result<()> {
        for at in 0..self.sets.len() {
            let (larger, rest) = self.sets.split_at_mut(at);
            let set = &mut rest[0];
            if set.takes_rows {
                continue;
            }
            let from = larger.iter_mut().filter(|larger| larger.has_all(&set.keys));
            let from =
                from.min_by_key(|larger| larger.table.len()).expect("a set that takes no rows is part of another");
            let place = |key: &usize| from.keys.iter().position(|known| known == key).expect("it has all keys");
            let positions: Vec<usize> = set.keys.iter().map(place).collect();
            set.table.merge_finer(&mut from.table, &positions, &mut self.scratch, &mut self.merge_keys)?;
        }
        Ok(())
    }

    /// Sends the groups of all sets on and forgets them.
    fn send(&mut self, next: &mut Next<'_>) -> Result<()> {
        self.complete()?;
        for set in &mut self.sets {
            let count = set.table.len();
            let states = set.table.states.save(count)?;
            // Keys alone are rows like any others.
            let form = if states.is_empty() { Form::Rows } else { Form::Groups };
            for from in (0..count).step_by(ROWS_MAX) {
                let groups: Vec<u32> = (from as u32..(from + ROWS_MAX).min(count) as u32).collect();
                self.out.clear();
                write_keys(set, &self.nulls, &groups, &mut self.out.columns)?;
                let states = states.iter().map(|column| Column::Array(column.slice(from, groups.len())));
                self.out.columns.extend(states);
                (self.out.rows, self.out.form) = (groups.len(), form);
                next.push(&mut self.out)?;
            }
            set.table.clear();
        }
        Ok(())
    }

    /// Puts the results of all sets out.
    fn emit(&mut self, next: &mut Next<'_>) -> Result<()> {
        self.complete()?;
        for set in &mut self.sets {
            if set.keys.is_empty() && set.table.len() == 0 {
                set.table.add_standing_group(&[], &mut self.scratch)?;
            }
            let count = set.table.len();
            for from in (0..count).step_by(self.batch_rows) {
                let groups: Vec<u32> = (from as u32..(from + self.batch_rows).min(count) as u32).collect();
                self.out.clear();
                write_keys(set, &self.nulls, &groups, &mut self.out.columns)?;
                let keys = self.out.columns.len();
                self.out.columns.resize_with(keys + set.table.result_count(), Column::default);
                set.table.states.finish(&groups, &mut self.out.columns[keys..])?;
                (self.out.rows, self.out.form) = (groups.len(), Form::Rows);
                next.push(&mut self.out)?;
            }
        }
        Ok(())
    }
}

/// All keys of some groups, NULL where the set does not have them, and the set's number.
fn write_keys(set: &Set, nulls: &[ArrayRef], groups: &[u32], columns: &mut Vec<Column>) -> Result<()> {
    columns.clear();
    for (key, null) in nulls.iter().enumerate() {
        let mut column = Column::Constant(null.clone());
        if let Some(place) = set.keys.iter().position(|known| *known == key) {
            column = Column::default();
            set.table.index.keys(place, groups, &mut column)?;
        }
        columns.push(column);
    }
    columns.push(Column::Constant(set.id.clone()));
    Ok(())
}

impl Operator for GroupingSets {
    fn push(&mut self, _port: usize, batch: &mut Batch, _next: &mut Next<'_>) -> Result<()> {
        self.evaluator.run(batch)?;
        for set in self.sets.iter_mut().filter(|set| set.takes_rows) {
            set.table.find_groups_by(&set.keys, &self.evaluator, batch, &mut self.scratch)?;
            set.table.update(&self.evaluator, batch, None, &mut self.scratch)?;
        }
        Ok(())
    }

    fn finish(&mut self, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        match (self.sends_groups, ending) {
            (true, _) => self.send(next),
            (false, Ending::Flush) => self.emit(next),
            (false, _) => Ok(()),
        }
    }

    fn settle(&mut self, next: &mut Next<'_>) -> Result<()> {
        if self.sends_groups { self.send(next) } else { Ok(()) }
    }

    fn snapshot(&mut self) -> Result<Vec<Section>> {
        if self.sends_groups {
            return Ok(Vec::new());
        }
        let message = "this query makes several sets of groups at its end, which no snapshot holds";
        Err(Error::user(format!("{message}; set Config::snapshots before it starts")))
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        match sections.is_empty() {
            true => Ok(()),
            false => Err(Error::bug("grouping sets that send their groups on have none to restore")),
        }
    }

    fn size_bytes(&self) -> usize {
        self.sets.iter().map(|set| set.table.size_bytes()).sum()
    }

    fn remarks(&self) -> String {
        let set = |set: &Set| format!("{} of {}", set.table.len(), set.table.index.describe());
        format!("groups {}", self.sets.iter().map(set).collect::<Vec<_>>().join(", "))
    }
}
