//! Work done once per value of a dictionary instead of once per row.
//!
//! A step whose arguments come from one input alone is evaluated over the values of that input's dictionary; what rows
//! need of it is spread out by their codes. The results are kept while the dictionary stays the same.
//!
//! Invariants  a value that no row holds must not fail a query: where a step fails over the values, rows are evaluated
//!             one by one as if there were no dictionary. So they are where rows are null.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use smallvec::SmallVec;

use super::{Operand, Program};
use crate::batch::{Argument, Column, Dictionary, DictionaryValues, KernelColumn, Kind};
use crate::error::Result;
use crate::function::KernelContext;

/// How a program may work per value, and what it has worked out.
#[derive(Debug)]
pub(super) struct PerValue {
    steps: Vec<StepUse>,
    inputs: Vec<InputUse>,
    constants: Vec<Column>,
}

/// A step that reads one input alone.
#[derive(Debug, Default)]
struct StepUse {
    /// The input, as the evaluator numbers them.
    over: Option<usize>,
    /// Whether its result is needed per row, or may stay a dictionary where it is an output.
    spread: bool,
    is_output: bool,
    /// The result per value.
    result: KernelColumn,
    values: Option<Arc<DictionaryValues>>,
}

#[derive(Debug, Default)]
struct InputUse {
    /// Whether a step reads it beside other inputs, or somebody wants its values.
    needs_rows: bool,
    /// The dictionary whose results are at hand.
    known: Option<Arc<DictionaryValues>>,
    /// The dictionary over which a step has failed.
    refused: Option<Arc<DictionaryValues>>,
    column: KernelColumn,
    /// The dictionary of the batch at hand.
    current: Option<Dictionary>,
}

impl PerValue {
    /// `inputs`: the columns that the program reads; the first `accepted` outputs may stay dictionaries.
    pub(super) fn new(program: &Program, inputs: &[usize], constants: &[Column], accepted: usize) -> Self {
        let place = |input: &usize| inputs.iter().position(|known| known == input).expect("collected from the program");
        let mut steps: Vec<StepUse> = Vec::with_capacity(program.steps.len());
        let mut uses: Vec<InputUse> = inputs.iter().map(|_| InputUse::default()).collect();
        for step in &program.steps {
            let of_arg = |arg: &Operand| match arg {
                Operand::Input(input) => Some(Some(place(input))),
                Operand::Register(register) => Some(steps[*register].over),
                Operand::Constant(_) => None,
            };
            let mut sources = step.args.iter().filter_map(of_arg);
            let first = sources.next().flatten();
            let over = first.filter(|first| step.kernel.is_deterministic() && sources.all(|s| s == Some(*first)));
            if over.is_none() {
                for arg in &step.args {
                    match arg {
                        Operand::Input(input) => uses[place(input)].needs_rows = true,
                        Operand::Register(register) => steps[*register].spread = true,
                        Operand::Constant(_) => {}
                    }
                }
            }
            steps.push(StepUse { over, ..StepUse::default() });
        }
        for (output, operand) in program.outputs.iter().enumerate() {
            match operand {
                Operand::Input(input) => uses[place(input)].needs_rows |= output >= accepted,
                Operand::Register(register) => {
                    steps[*register].spread |= output >= accepted;
                    steps[*register].is_output = true;
                }
                Operand::Constant(_) => {}
            }
        }
        PerValue { steps, inputs: uses, constants: constants.to_vec() }
    }

    /// Takes the dictionary of input `input` for the batch at hand; the column that rows get of it.
    pub(super) fn take(&mut self, input: usize, dictionary: Dictionary) -> Result<Column> {
        let at = &mut self.inputs[input];
        let is_refused = at.refused.as_ref().is_some_and(|refused| Arc::ptr_eq(refused, dictionary.values()));
        // What a step makes of a null is not among the values.
        let has_steps = self.steps.iter().any(|step| step.over == Some(input));
        let is_refused = is_refused || has_steps && dictionary.code_array().null_count() > 0;
        let flat = at.needs_rows || is_refused;
        let column = if flat { Column::Array(dictionary.flatten()?) } else { Column::Dictionary(dictionary.clone()) };
        at.current = (!is_refused).then_some(dictionary);
        Ok(column)
    }

    /// Says that input `input` of the batch at hand is no dictionary.
    pub(super) fn leave(&mut self, input: usize) {
        self.inputs[input].current = None;
    }

    /// Works the steps out over all dictionaries at hand; `false` where one failed: then its input must be taken again.
    pub(super) fn run(&mut self, program: &Program, context: &KernelContext) -> bool {
        let mut all = true;
        for input in 0..self.inputs.len() {
            let at = &mut self.inputs[input];
            let Some(current) = at.current.as_ref().map(|dictionary| dictionary.values().clone()) else { continue };
            if at.known.as_ref().is_some_and(|known| Arc::ptr_eq(known, &current)) {
                continue;
            }
            if self.steps.iter().any(|step| step.over == Some(input)) {
                self.inputs[input].column = KernelColumn::new(Column::Array(current.0.clone()));
                if self.run_over(input, current.0.len(), program, context).is_err() {
                    (self.inputs[input].refused, self.inputs[input].known) = (Some(current), None);
                    all = false;
                    continue;
                }
            }
            self.inputs[input].known = Some(current);
        }
        all
    }

    fn run_over(&mut self, input: usize, count: usize, program: &Program, context: &KernelContext) -> Result<()> {
        for step in &program.steps {
            if self.steps[step.register].over != Some(input) {
                continue;
            }
            let mut out = std::mem::take(&mut self.steps[step.register].result);
            let argument = |arg: &Operand| match arg {
                Operand::Input(_) => self.inputs[input].column.argument(count),
                Operand::Register(register) => self.steps[*register].result.argument(count),
                Operand::Constant(constant) => Argument::new(&self.constants[*constant], None, count),
            };
            let args: SmallVec<[Argument<'_>; 4]> = step.args.iter().map(argument).collect();
            step.kernel.evaluate(context, &args, count, &mut out.column)?;
            drop(args);
            out.settle();
            let result_type = step.kernel.result_type();
            let plain = Kind::of(&result_type) == Kind::View && !self.steps[step.register].spread;
            let array = out.argument(count).to_array(&result_type)?;
            let at = &mut self.steps[step.register];
            at.values = (plain && array.null_count() == 0).then(|| Arc::new(DictionaryValues(array)));
            at.result = out;
        }
        Ok(())
    }

    /// Whether one of these steps was worked out per value.
    pub(super) fn has_any(&self, mut steps: Range<usize>) -> bool {
        steps.any(|step| self.steps[step].over.is_some_and(|input| self.inputs[input].current.is_some()))
    }

    /// Whether the step was worked out per value, and for rows then what they need of it.
    pub(super) fn result(&self, register: usize, program: &Program) -> Result<Option<Option<Column>>> {
        let step = &self.steps[register];
        let Some(current) = step.over.and_then(|input| self.inputs[input].current.as_ref()) else { return Ok(None) };
        if !step.spread && !step.is_output {
            return Ok(Some(None));
        }
        if let Some(values) = &step.values {
            return Ok(Some(Some(Column::Dictionary(Dictionary::new(current.code_array().clone(), values.clone())))));
        }
        let count = current.values().0.len();
        let mut column = step.result.column.clone();
        let of_values: ArrayRef = match &mut column {
            Column::Constant(_) => return Ok(Some(Some(column))),
            _ => step.result.argument(count).to_array(&program.steps[register].kernel.result_type())?,
        };
        Ok(Some(Some(Column::Array(current.spread(&of_values)?))))
    }
}
