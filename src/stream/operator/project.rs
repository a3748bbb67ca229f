//! Computes columns. A projection that only picks columns keeps the selection and moves nothing.

use std::sync::Arc;

use super::{Next, Operator};
use crate::batch::{Batch, Column};
use crate::error::Result;
use crate::expression::{Evaluator, Operand, Program};
use crate::function::KernelContext;

/// A running projection.
pub struct Project {
    evaluator: Evaluator,
    /// The picked columns, when there is nothing to compute.
    picks: Option<Vec<usize>>,
    out: Batch,
}

impl Project {
    pub fn new(program: &Arc<Program>, context: KernelContext) -> Self {
        let picks = program.is_selection_of_inputs().then(|| {
            let input = |operand: &Operand| match operand {
                Operand::Input(column) => *column,
                _ => unreachable!("checked above"),
            };
            program.outputs.iter().map(input).collect()
        });
        let mut out = Batch::default();
        out.columns.resize_with(program.outputs.len(), Column::default);
        let evaluator = Evaluator::new(program.clone(), context).with_dictionaries(program.outputs.len());
        Project { evaluator, picks, out }
    }

    fn pick(&mut self, batch: &mut Batch) {
        let picks = self.picks.as_ref().expect("called for picks only");
        for (out, &column) in picks.iter().enumerate() {
            let again = picks[out + 1..].contains(&column);
            match &batch.columns[column] {
                Column::Flat(_) if !again => std::mem::swap(&mut self.out.columns[out], &mut batch.columns[column]),
                shared => self.out.columns[out].copy_from(shared),
            }
        }
        self.out.rows = batch.rows;
        std::mem::swap(&mut self.out.selection, &mut batch.selection);
        self.out.changes = batch.changes.take();
        std::mem::swap(&mut self.out.watermarks, &mut batch.watermarks);
        batch.watermarks.clear();
    }

    fn compute(&mut self, batch: &mut Batch) -> Result<()> {
        self.evaluator.run(batch)?;
        self.out.rows = self.evaluator.rows();
        self.out.changes = batch.selected_changes();
        batch.select_watermarks(&mut self.out.watermarks);
        for output in 0..self.out.columns.len() {
            self.evaluator.take_output(batch, output, &mut self.out.columns[output]);
        }
        self.out.selection.clear();
        Ok(())
    }
}

impl Operator for Project {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        if self.picks.is_some() {
            self.pick(batch);
        } else {
            self.compute(batch)?;
        }
        next.push(&mut self.out)
    }
}
