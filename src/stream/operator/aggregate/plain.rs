//! One table of groups for all rows: results leave when the input ends, or as changes after each batch.

use super::TableShape;
use super::changes::Changed;
use super::table::{Scratch, Table};
use crate::batch::{Batch, Column, ROWS_MAX};
use crate::error::Result;
use crate::expression::Evaluator;
use crate::function::KernelContext;
use crate::pipeline::{AggregateSpec, EmitMode};
use crate::stream::operator::{Ending, Next, Operator};

/// A running GROUP BY without windows.
pub struct Aggregate {
    evaluator: Evaluator,
    table: Table,
    emit: EmitMode,
    has_keys: bool,
    /// Whether this partition answers for the one group of a query without keys.
    owns_single_group: bool,
    batch_rows: usize,
    scratch: Scratch,
    changed: Changed,
    out: Batch,
    started: bool,
}

impl Aggregate {
    /// `takes_back`: whether the input may retract rows. `owns_single_group`: whether an empty input still gives the
    /// one row of a query without keys here.
    pub fn new(
        spec: &AggregateSpec,
        seed: u64,
        context: KernelContext,
        takes_back: bool,
        owns_single_group: bool,
        batch_rows: usize,
    ) -> Self {
        let shape = TableShape::new(spec, seed, context);
        let mut out = Batch::default();
        out.columns.resize_with(spec.key_count + spec.aggregates.len(), Column::default);
        let changed = Changed::new(shape.output_types(&[]));
        Aggregate {
            evaluator: Evaluator::new(spec.program.clone(), context),
            table: Table::new(shape, takes_back),
            emit: spec.emit,
            has_keys: spec.key_count > 0,
            owns_single_group,
            batch_rows: batch_rows.min(ROWS_MAX),
            scratch: Scratch::default(),
            changed,
            out,
            started: false,
        }
    }

    fn emit_all(&mut self, next: &mut Next<'_>) -> Result<()> {
        if !self.has_keys {
            if !self.owns_single_group {
                return Ok(());
            }
            self.table.ensure_single_group(&mut self.scratch)?;
        }
        let alive: Vec<u32> = (0..self.table.len() as u32).filter(|group| self.table.is_alive(*group)).collect();
        for groups in alive.chunks(self.batch_rows) {
            self.table.write(groups, &mut self.out, |_, _| Ok(0))?;
            next.push(&mut self.out)?;
        }
        Ok(())
    }

    /// The one group of a query without keys shows its empty result before the first row.
    fn start(&mut self, next: &mut Next<'_>) -> Result<()> {
        self.started = true;
        if self.emit == EmitMode::Changes && !self.has_keys && self.owns_single_group {
            self.table.ensure_single_group(&mut self.scratch)?;
            self.table.write(&[0], &mut self.out, |_, _| Ok(0))?;
            next.push(&mut self.out)?;
        }
        Ok(())
    }
}

impl Operator for Aggregate {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        if !self.started {
            self.start(next)?;
        }
        self.evaluator.run(batch)?;
        let changes = batch.selected_changes();
        let known = self.table.len() as u32;
        self.table.find_groups(&self.evaluator, batch, &mut self.scratch)?;
        if self.emit == EmitMode::Changes {
            self.changed.before(&mut self.table, &self.scratch.groups, known, &mut self.out, |_, _| Ok(0))?;
        }
        self.table.update(&self.evaluator, batch, changes.as_deref(), &mut self.scratch)?;
        if self.emit == EmitMode::Changes {
            self.changed.after(&mut self.table, &mut self.out, |_, _| Ok(0))?;
            self.changed.push(self.batch_rows, next)?;
        }
        Ok(())
    }

    fn finish(&mut self, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        match self.emit {
            EmitMode::Final if ending == Ending::Flush => self.emit_all(next),
            EmitMode::Changes if !self.started => self.start(next),
            _ => Ok(()),
        }
    }

    fn size_bytes(&self) -> usize {
        self.table.size_bytes()
    }

    fn remarks(&self) -> String {
        format!("groups {}, keys {}", self.table.len(), self.table.index.mode())
    }
}
