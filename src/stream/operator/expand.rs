//! Puts every row out once per program: for grouping sets, once per set.
//!
//! Invariants  what a batch gives leaves before the next one is taken, a batch per program, in the programs' order; each
//!             has the changes, watermarks and rows of its input.

use std::sync::Arc;

use super::{Next, Operator};
use crate::batch::{Batch, Column};
use crate::error::Result;
use crate::expression::{Evaluator, Program};
use crate::function::KernelContext;
use crate::pipeline::ExpandSpec;

/// A running expansion.
pub struct Expand {
    branches: Vec<Branch>,
}

/// A program with the batch it fills, so that its columns keep their form and their memory.
struct Branch {
    evaluator: Evaluator,
    /// Nothing is computed: the columns are the input's own and constants, and so is the selection.
    picks: bool,
    out: Batch,
}

impl Expand {
    pub fn new(spec: &ExpandSpec, context: KernelContext) -> Self {
        Expand { branches: spec.programs.iter().map(|program| Branch::new(program, context)).collect() }
    }
}

impl Branch {
    fn new(program: &Arc<Program>, context: KernelContext) -> Self {
        let mut out = Batch::default();
        out.columns.resize_with(program.outputs.len(), Column::default);
        Branch { evaluator: Evaluator::new(program.clone(), context), picks: program.steps.is_empty(), out }
    }

    /// Fills `out` and leaves the batch as it is.
    fn fill(&mut self, batch: &Batch) -> Result<()> {
        let out = &mut self.out;
        if self.picks {
            for (output, column) in out.columns.iter_mut().enumerate() {
                column.copy_from(self.evaluator.pick(batch, output));
            }
            out.rows = batch.rows;
            out.selection.clone_from(&batch.selection);
            out.changes.clone_from(&batch.changes);
            out.watermarks.clone_from(&batch.watermarks);
            return Ok(());
        }
        self.evaluator.run(batch)?;
        for (output, column) in out.columns.iter_mut().enumerate() {
            self.evaluator.copy_output(batch, output, column);
        }
        out.rows = self.evaluator.rows();
        out.selection.clear();
        out.changes = batch.selected_changes();
        batch.select_watermarks(&mut out.watermarks);
        Ok(())
    }
}

impl Operator for Expand {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        for branch in &mut self.branches {
            branch.fill(batch)?;
            next.push(&mut branch.out)?;
        }
        Ok(())
    }
}
