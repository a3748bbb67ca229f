//! Keeps the rows for which every conjunct is true; the rest stay in the batch, unselected.
//!
//! Invariants  a conjunct is evaluated on the rows that the ones before it left, so it cannot fail on the others;
//!             half an update whose other half was taken away becomes a delete or an insert.

use millstream_kernels::bitmap;

use super::{Next, Operator};
use crate::batch::{Argument, Batch, Change};
use crate::error::Result;
use crate::expression::Evaluator;
use crate::function::KernelContext;
use crate::pipeline::FilterSpec;

/// A running filter.
pub struct Filter {
    conjuncts: Vec<Evaluator>,
    context: KernelContext,
    mask: Vec<u64>,
    kept: Vec<u16>,
}

impl Filter {
    pub fn new(spec: &FilterSpec, context: KernelContext) -> Self {
        let conjuncts = spec.conjuncts.iter().map(|program| Evaluator::new(program.clone(), context)).collect();
        Filter { conjuncts, context, mask: Vec::new(), kept: Vec::new() }
    }
}

impl Operator for Filter {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        for conjunct in &mut self.conjuncts {
            conjunct.run(batch)?;
            let rows = conjunct.rows();
            let passed = true_rows(self.context, &conjunct.output(batch, 0), rows, &mut self.mask)?;
            if passed == 0 {
                return Ok(());
            }
            if passed < rows {
                bitmap::to_selection(self.context.level, &self.mask, rows, &mut self.kept);
                batch.selection.narrow(&self.kept);
            }
        }
        if let (Some(selected), Some(changes)) = (batch.selection.as_slice(), &mut batch.changes) {
            part_updates(selected, changes);
        }
        next.push(batch)
    }
}

/// Makes lone halves of updates what they are now; the halves of an update stand side by side.
fn part_updates(selected: &[u16], changes: &mut [Change]) {
    for (at, &row) in selected.iter().enumerate() {
        let row = row as usize;
        let follows = |other: usize| selected.get(other).is_some_and(|&next| next as usize == row + 1);
        let comes_before = at > 0 && selected[at - 1] as usize + 1 == row;
        changes[row] = match changes[row] {
            Change::UPDATE_BEFORE if !follows(at + 1) => Change::DELETE,
            Change::UPDATE_AFTER if !comes_before => Change::INSERT,
            change => change,
        };
    }
}

/// Writes into `mask` which rows are true (not false, not null) and returns how many.
pub(super) fn true_rows(
    context: KernelContext,
    condition: &Argument<'_>,
    rows: usize,
    mask: &mut Vec<u64>,
) -> Result<usize> {
    if condition.is_constant() {
        let passes = condition.constant_bool() == Some(true);
        bitmap::fill(mask, rows, passes);
        return Ok(if passes { rows } else { 0 });
    }
    mask.clear();
    mask.extend_from_slice(condition.bits()?);
    if let Some(validity) = condition.validity() {
        bitmap::and_with(context.level, mask, validity);
    }
    Ok(bitmap::count_ones(mask, rows))
}
