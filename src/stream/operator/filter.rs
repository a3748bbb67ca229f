//! Keeps the rows for which every conjunct is true; the rest stay in the batch, unselected.
//!
//! Invariants  a conjunct is evaluated on the rows that the ones before it left, so it cannot fail on the others; where
//!             none can fail, the one that takes most rows away for its cost goes first, and the answer is the same;
//!             a batch of which its scan says that it meets them passes as it is;
//!             half an update whose other half was taken away becomes a delete or an insert.

use millstream_kernels::bitmap;

use super::{Next, Operator};
use crate::batch::{Batch, Change, true_rows};
use crate::error::Result;
use crate::expression::{Evaluator, Program};
use crate::function::KernelContext;
use crate::pipeline::FilterSpec;

/// After how many batches the order of conjuncts is looked at again.
const BATCHES_PER_ORDER: u32 = 32;

/// A running filter.
pub struct Filter {
    conjuncts: Vec<Conjunct>,
    /// Whether conjuncts may change places.
    may_reorder: bool,
    batches: u32,
    context: KernelContext,
    mask: Vec<u64>,
    kept: Vec<u16>,
}

impl Filter {
    pub fn new(spec: &FilterSpec, context: KernelContext) -> Self {
        let conjunct = |program: &std::sync::Arc<Program>| Conjunct {
            evaluator: Evaluator::new(program.clone(), context),
            cost: program.steps.iter().map(|step| if step.kernel.is_native() { 1.0 } else { 20.0 }).sum(),
            rows: 0,
            passed: 0,
        };
        let stays = |program: &std::sync::Arc<Program>| {
            program.steps.iter().any(|step| step.kernel.can_fail() || !step.kernel.is_deterministic())
        };
        Filter {
            conjuncts: spec.conjuncts.iter().map(conjunct).collect(),
            may_reorder: spec.conjuncts.len() > 1 && !spec.conjuncts.iter().any(stays),
            batches: 0,
            context,
            mask: Vec::new(),
            kept: Vec::new(),
        }
    }

    fn reorder(&mut self) {
        self.batches = 0;
        self.conjuncts.sort_by(|a, b| a.rank().total_cmp(&b.rank()));
        for conjunct in &mut self.conjuncts {
            // What was long ago counts less.
            (conjunct.rows, conjunct.passed) = (conjunct.rows / 2, conjunct.passed / 2);
        }
    }
}

/// One condition, and what it has done so far.
struct Conjunct {
    evaluator: Evaluator,
    /// Of a row, in steps of our own.
    cost: f64,
    rows: u64,
    passed: u64,
}

impl Conjunct {
    /// What it costs to take a row away.
    fn rank(&self) -> f64 {
        let taken = self.rows - self.passed;
        self.cost * (self.rows + 1) as f64 / (taken as f64 + 0.01)
    }
}

impl Operator for Filter {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        if std::mem::take(&mut batch.meets_conditions) {
            return next.push(batch);
        }
        self.batches += 1;
        if self.may_reorder && self.batches >= BATCHES_PER_ORDER {
            self.reorder();
        }
        for conjunct in &mut self.conjuncts {
            conjunct.evaluator.run(batch)?;
            let rows = conjunct.evaluator.rows();
            let passed = true_rows(self.context.level, &conjunct.evaluator.output(batch, 0), rows, &mut self.mask)?;
            conjunct.rows += rows as u64;
            conjunct.passed += passed as u64;
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
