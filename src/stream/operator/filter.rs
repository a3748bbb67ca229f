//! Keeps the rows for which every conjunct is true; the rest stay in the batch, unselected.
//!
//! Invariants  a conjunct is evaluated on the rows that the ones before it left, so it cannot fail on the others; of those
//!             before the first that can fail, the one that takes most rows away for its cost goes first: the rows behind
//!             them are the same in any order;
//!             a batch of which its scan says that it meets them passes as it is;
//!             half an update whose other half was taken away becomes a delete or an insert.

use arrow::datatypes::DataType;
use millstream_kernels::bitmap;

use super::{Next, Operator};
use crate::batch::{Batch, Change, Column, true_rows};
use crate::error::Result;
use crate::expression::{Evaluator, Operand, Program, Step};
use crate::function::KernelContext;
use crate::pipeline::FilterSpec;

/// After how many batches the order of conjuncts is looked at again, and for the first time.
const BATCHES_PER_ORDER: u32 = 32;
const BATCHES_TO_FIRST_ORDER: u32 = 2;
/// Nanoseconds per row of a column that a step reads, and of a call of a function that is not ours.
const NUMBER_COST: f64 = 0.2;
const STRING_COST: f64 = 3.0;
const FOREIGN_COST: f64 = 30.0;

/// A running filter.
pub struct Filter {
    conjuncts: Vec<Conjunct>,
    /// How many of them, from the first on, may change places.
    movable: usize,
    /// Batches until their order is looked at again.
    batches_left: u32,
    context: KernelContext,
    mask: Vec<u64>,
    kept: Vec<u16>,
}

impl Filter {
    pub fn new(spec: &FilterSpec, context: KernelContext) -> Self {
        let conjunct = |(at, program): (usize, &std::sync::Arc<Program>)| Conjunct {
            evaluator: Evaluator::new(program.clone(), context),
            number: at + 1,
            cost: 0.0,
            rows: 0,
            passed: 0,
            total: (0, 0),
        };
        let stays = |program: &std::sync::Arc<Program>| {
            program.steps.iter().any(|step| step.kernel.can_fail() || !step.kernel.is_deterministic())
        };
        let movable = spec.conjuncts.iter().position(stays).unwrap_or(spec.conjuncts.len());
        Filter {
            conjuncts: spec.conjuncts.iter().enumerate().map(conjunct).collect(),
            movable: if movable > 1 { movable } else { 0 },
            batches_left: 0,
            context,
            mask: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// Puts the conjuncts that may change places in order; `batch` tells what they read.
    fn reorder(&mut self, batch: &Batch) {
        // The first look comes soon: the order they are written in knows nothing about the rows.
        let is_first = self.conjuncts.iter().all(|conjunct| conjunct.rows == 0);
        self.batches_left = if is_first { BATCHES_TO_FIRST_ORDER } else { BATCHES_PER_ORDER };
        let movable = &mut self.conjuncts[..self.movable];
        for conjunct in &mut *movable {
            conjunct.cost = cost(conjunct.evaluator.program(), batch);
        }
        if is_first {
            return;
        }
        movable.sort_by(|a, b| a.rank().total_cmp(&b.rank()));
        for conjunct in movable {
            // What was long ago counts less.
            (conjunct.rows, conjunct.passed) = (conjunct.rows / 2, conjunct.passed / 2);
        }
    }
}

/// About how many nanoseconds a row costs in a program. Operators read no clock: these are what the benches of kernels
/// say, by what the steps read.
fn cost(program: &Program, batch: &Batch) -> f64 {
    let of_operand = |operand: &Operand| match operand {
        Operand::Input(input) => match &batch.columns[*input] {
            Column::Array(array) if is_text(array.data_type()) => STRING_COST,
            _ => NUMBER_COST,
        },
        Operand::Constant(_) => 0.0,
        Operand::Register(register) if is_text(&program.steps[*register].kernel.result_type()) => STRING_COST,
        Operand::Register(_) => NUMBER_COST,
    };
    let of_step = |step: &Step| {
        let foreign = if step.kernel.is_native() { 0.0 } else { FOREIGN_COST };
        step.kernel.cost() + foreign + step.args.iter().map(of_operand).sum::<f64>()
    };
    NUMBER_COST + program.steps.iter().map(of_step).sum::<f64>()
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8View | DataType::Utf8 | DataType::LargeUtf8 | DataType::BinaryView)
}

/// One condition, and what it has done so far.
struct Conjunct {
    evaluator: Evaluator,
    /// Which it is in the order of EXPLAIN, from 1.
    number: usize,
    /// Of a row, in nanoseconds.
    cost: f64,
    /// Rows it has seen of late, and those it has let pass.
    rows: u64,
    passed: u64,
    /// The same from the beginning on.
    total: (u64, u64),
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
        if self.movable > 0 {
            if self.batches_left == 0 {
                self.reorder(batch);
            }
            self.batches_left -= 1;
        }
        for conjunct in &mut self.conjuncts {
            conjunct.evaluator.run(batch)?;
            let rows = conjunct.evaluator.rows();
            let passed = true_rows(self.context.level, &conjunct.evaluator.output(batch, 0), rows, &mut self.mask)?;
            conjunct.rows += rows as u64;
            conjunct.passed += passed as u64;
            conjunct.total = (conjunct.total.0 + rows as u64, conjunct.total.1 + passed as u64);
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

    /// The conditions, by their numbers in EXPLAIN, in the order they have come to, and how many of the rows that each has seen it let pass.
    fn remarks(&self) -> String {
        if self.conjuncts.len() < 2 {
            return String::new();
        }
        let shown = |conjunct: &Conjunct| {
            let (rows, passed) = conjunct.total;
            format!("condition {} passed {passed} of {rows}", conjunct.number)
        };
        self.conjuncts.iter().map(shown).collect::<Vec<_>>().join(", then ")
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
