//! `CASE` whose branches may fail or cost much: each is computed for the rows that take it, and for no others.
//!
//! ```text
//! rows      0 1 2 3 4 5 6 7        all of them see the first condition
//! WHEN a    x   x       x          taken: its result is computed over 0 2 6
//! WHEN b      x     x              the second condition is computed over 1 3 4 5 7, its result over 1 4
//! ELSE            x   x   x        over 3 5 7
//! ```
//! Conditions and results are programs of their own, over the columns that the kernel gets as arguments; what is a column or
//! a constant needs none.
//!
//! Owns        evaluators, a set for each call that runs at a time. A call takes one that is free, or makes one: it never
//!             waits.

use std::fmt;
use std::sync::{Arc, Mutex};

use arrow::datatypes::DataType;
use millstream_kernels::{bitmap, level};
use smallvec::SmallVec;

use super::{Evaluator, Operand, Program};
use crate::batch::{Argument, Batch, Column, Selection, true_rows};
use crate::error::Result;
use crate::function::scalar::{Bits, Chooser, can_choose};
use crate::function::{KernelContext, ScalarKernel};

/// A program of one output, whose inputs are the arguments of the kernel.
pub type Part = Arc<Program>;

/// One `WHEN condition THEN result`.
#[derive(Debug, Clone)]
pub struct Branch {
    pub condition: Part,
    pub result: Part,
}

/// The kernel of a `CASE`.
pub struct Branches {
    branches: Vec<Branch>,
    otherwise: Option<Part>,
    result_type: DataType,
    free: Mutex<Vec<Memory>>,
}

/// What one call runs in.
struct Memory {
    level: &'static str,
    /// The arguments as columns.
    batch: Batch,
    conditions: Vec<Evaluator>,
    results: Vec<Evaluator>,
    mask: Vec<u64>,
    places: Vec<u16>,
    taken: Vec<u16>,
    open: Vec<u16>,
}

impl Branches {
    /// `None` where results are of a type that columns are not chosen of.
    pub fn new(branches: Vec<Branch>, otherwise: Option<Part>, result_type: DataType) -> Option<Self> {
        can_choose(&result_type).then(|| Branches { branches, otherwise, result_type, free: Mutex::default() })
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        let branches = self.branches.iter().flat_map(|branch| [&branch.condition, &branch.result]);
        branches.chain(&self.otherwise)
    }

    fn steps_all(&self, test: impl Fn(&dyn ScalarKernel) -> bool) -> bool {
        self.parts().flat_map(|part| &part.steps).all(|step| test(step.kernel.as_ref()))
    }

    fn memory(&self, context: &KernelContext) -> Memory {
        let name = level::name(context.level);
        let known = self.free.try_lock().ok().and_then(|mut free| free.pop());
        if let Some(memory) = known.filter(|memory| memory.level == name) {
            return memory;
        }
        let evaluator = |part: &Part| Evaluator::new(part.clone(), *context);
        let results = self.branches.iter().map(|branch| &branch.result).chain(&self.otherwise);
        Memory {
            level: name,
            batch: Batch::default(),
            conditions: self.branches.iter().map(|branch| evaluator(&branch.condition)).collect(),
            results: results.map(evaluator).collect(),
            mask: Vec::new(),
            places: Vec::new(),
            taken: Vec::new(),
            open: Vec::new(),
        }
    }
}

impl ScalarKernel for Branches {
    fn name(&self) -> &str {
        "CASE"
    }

    fn result_type(&self) -> DataType {
        self.result_type.clone()
    }

    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        let mut memory = self.memory(context);
        memory.load(args, rows, context);
        let chosen = memory.run(self, context, args, Chooser::new(context.level, &self.result_type, rows, out));
        memory.release();
        if let Ok(mut free) = self.free.try_lock() {
            free.push(memory);
        }
        chosen
    }

    fn is_deterministic(&self) -> bool {
        self.steps_all(|kernel| kernel.is_deterministic())
    }

    fn can_fail(&self) -> bool {
        !self.steps_all(|kernel| !kernel.can_fail())
    }

    fn cost(&self) -> f64 {
        self.parts().flat_map(|part| &part.steps).map(|step| step.kernel.cost()).sum()
    }

    fn is_native(&self) -> bool {
        self.steps_all(|kernel| kernel.is_native())
    }

    fn show(&self, args: &[String]) -> String {
        let show = |part: &Part| part.show(part.outputs[0], args);
        let mut shown = "CASE".to_string();
        for branch in &self.branches {
            shown += &format!(" WHEN {} THEN {}", show(&branch.condition), show(&branch.result));
        }
        if let Some(otherwise) = &self.otherwise {
            shown += &format!(" ELSE {}", show(otherwise));
        }
        shown + " END"
    }
}

impl Memory {
    fn load(&mut self, args: &[Argument<'_>], rows: usize, context: &KernelContext) {
        self.batch.rows = rows;
        (self.batch.now, self.batch.watermark) = (context.now, context.watermark);
        self.batch.selection.clear();
        self.batch.columns.resize_with(args.len(), Column::default);
        for (column, arg) in self.batch.columns.iter_mut().zip(args) {
            column.copy_from(arg.column());
        }
    }

    /// Lets go of what is shared, so that whoever made it may use its memory again.
    fn release(&mut self) {
        let shared = self.batch.columns.iter_mut().filter(|column| !matches!(column, Column::Flat(_)));
        shared.for_each(|column| *column = Column::default());
    }

    fn run(
        &mut self,
        kernel: &Branches,
        context: &KernelContext,
        args: &[Argument<'_>],
        mut chooser: Chooser<'_>,
    ) -> Result<()> {
        let rows = self.batch.rows;
        for index in 0..kernel.branches.len() {
            if self.batch.is_empty() {
                break;
            }
            let condition = &mut self.conditions[index];
            condition.run(&self.batch)?;
            let seen = condition.rows();
            let passed = true_rows(context.level, &condition.output(&self.batch, 0), seen, &mut self.mask)?;
            if passed == 0 {
                continue;
            }
            self.part(context, seen, passed);
            self.take(index, args, rows, &mut chooser)?;
            std::mem::swap(self.batch.selection.begin(), &mut self.open);
        }
        if kernel.otherwise.is_some() && !self.batch.is_empty() {
            self.take(kernel.branches.len(), args, rows, &mut chooser)?;
        }
        chooser.finish();
        Ok(())
    }

    /// Narrows the batch to the rows of the mask, and keeps the others as open.
    fn part(&mut self, context: &KernelContext, seen: usize, passed: usize) {
        let selection = &mut self.batch.selection;
        self.open.clear();
        if passed == seen {
            return;
        }
        self.mask.iter_mut().for_each(|word| *word = !*word);
        bitmap::trim(&mut self.mask, seen);
        bitmap::to_selection(context.level, &self.mask, seen, &mut self.places);
        match selection.as_slice() {
            None => self.open.extend_from_slice(&self.places),
            Some(rows) => self.open.extend(self.places.iter().map(|&place| rows[place as usize])),
        }
        self.mask.iter_mut().for_each(|word| *word = !*word);
        bitmap::trim(&mut self.mask, seen);
        bitmap::to_selection(context.level, &self.mask, seen, &mut self.taken);
        selection.narrow(&self.taken);
    }

    /// Gives the selected rows the result of branch `index`.
    fn take(&mut self, index: usize, args: &[Argument<'_>], rows: usize, chooser: &mut Chooser<'_>) -> Result<()> {
        let result = &mut self.results[index];
        if let Operand::Input(input) = result.program().outputs[0] {
            return chooser.take(&mask(&self.batch.selection, rows), &args[input]);
        }
        result.run(&self.batch)?;
        let computed = result.output(&self.batch, 0);
        match self.batch.selection.as_slice() {
            Some(at) => chooser.scatter(at, &computed),
            None => chooser.take(&mask(&self.batch.selection, rows), &computed),
        }
    }
}

/// The selected rows as bits.
fn mask(selection: &Selection, rows: usize) -> Bits {
    match selection.as_slice() {
        None => {
            let mut mask = SmallVec::from_elem(u64::MAX, bitmap::words(rows));
            bitmap::trim(&mut mask, rows);
            mask
        }
        Some(selected) => {
            let mut mask = SmallVec::from_elem(0, bitmap::words(rows));
            selected.iter().for_each(|&row| bitmap::set(&mut mask, row as usize));
            mask
        }
    }
}

impl fmt::Debug for Branches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let args: Vec<String> = (0..16).map(|index| format!("#{index}")).collect();
        write!(f, "Branches({}: {})", self.show(&args), self.result_type)
    }
}
