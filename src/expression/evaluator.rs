//! Runs a program over the selected rows of a batch, into registers that are reused.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use smallvec::SmallVec;

use super::fused::{FusedSteps, fused_steps};
use super::per_value::PerValue;
use super::{Operand, Program, Step};
use crate::batch::{Argument, Batch, Column, KernelColumn, Kind, Selection, gather_array, gather_flat, load_bits};
use crate::error::Result;
use crate::function::KernelContext;

/// A program with the memory it runs in. One owner, one thread.
#[derive(Debug)]
pub struct Evaluator {
    program: Arc<Program>,
    context: KernelContext,
    inputs: Vec<Loaded>,
    constants: Vec<Column>,
    registers: Vec<KernelColumn>,
    per_value: PerValue,
    /// Steps that are done together, by the first of them.
    fused: Vec<FusedSteps>,
    rows: usize,
}

/// A column of the batch, made ready for kernels: its selected rows.
#[derive(Debug, Default)]
struct Loaded {
    input: usize,
    /// Whether the batch's own column serves as it is, and only the validity is held here.
    direct: bool,
    own: KernelColumn,
}

impl Evaluator {
    pub fn new(program: Arc<Program>, context: KernelContext) -> Self {
        let inputs = program.inputs().into_iter().map(|input| Loaded { input, ..Loaded::default() }).collect();
        let constants: Vec<Column> =
            program.constants.iter().map(|constant| Column::Constant(constant.0.clone())).collect();
        let registers = program.steps.iter().map(|_| KernelColumn::default()).collect();
        let per_value = PerValue::new(&program, &program.inputs(), &constants, 0);
        let fused = fused_steps(&program);
        Evaluator { program, context, inputs, constants, registers, per_value, fused, rows: 0 }
    }

    /// Says that the first `outputs` outputs may be dictionaries: whoever reads them knows how.
    pub fn with_dictionaries(mut self, outputs: usize) -> Self {
        self.per_value = PerValue::new(&self.program, &self.program.inputs(), &self.constants, outputs);
        self
    }

    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// Rows of the last run: the selected rows of its batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Evaluates the program over the selected rows of `batch`; outputs then cover `rows()`.
    ///
    /// Failure: what a kernel reports, an overflow or a division by zero among them.
    pub fn run(&mut self, batch: &Batch) -> Result<()> {
        self.rows = batch.selected_rows();
        (self.context.now, self.context.watermark) = (batch.now, batch.watermark);
        let program = self.program.clone();
        self.load(batch)?;
        if !self.per_value.run(&program, &self.context) {
            self.load(batch)?;
        }
        let mut next = 0;
        while let Some(step) = program.steps.get(next) {
            let fused = self.fused.iter().position(|fused| fused.steps.start == next && !fused.is_refused);
            if let Some(fused) = fused
                && self.run_fused(fused, batch)?
            {
                next = self.fused[fused].steps.end;
                continue;
            }
            self.run_step(step, &program, batch)?;
            next += 1;
        }
        Ok(())
    }

    fn run_step(&mut self, step: &Step, program: &Program, batch: &Batch) -> Result<()> {
        if let Some(result) = self.per_value.result(step.register, program)? {
            if let Some(column) = result {
                self.registers[step.register].column = column;
                self.registers[step.register].settle();
            }
            return Ok(());
        }
        let mut out = std::mem::take(&mut self.registers[step.register]);
        let args: SmallVec<[Argument<'_>; 4]> = step.args.iter().map(|arg| self.argument(batch, *arg)).collect();
        let evaluated = step.kernel.evaluate(&self.context, &args, self.rows, &mut out.column);
        evaluated.map_err(|e| {
            let shown = program.show(Operand::Register(step.register), &program.names);
            e.context(format!("in {shown}")).at(step.place)
        })?;
        out.settle();
        drop(args);
        self.registers[step.register] = out;
        Ok(())
    }

    /// Does fused steps `index` in one pass; `false`: they are to be run one by one.
    fn run_fused(&mut self, index: usize, batch: &Batch) -> Result<bool> {
        let fused = &self.fused[index];
        if self.per_value.has_any(fused.steps.clone()) {
            return Ok(false);
        }
        let last = fused.steps.end - 1;
        let mut out = std::mem::take(&mut self.registers[last]);
        let args: SmallVec<[Argument<'_>; 4]> = fused.args.iter().map(|arg| self.argument(batch, *arg)).collect();
        let done = fused.kernel.evaluate(&self.context, &args, self.rows, &mut out.column)?;
        out.settle();
        drop(args);
        self.registers[last] = out;
        self.fused[index].is_refused = !done;
        Ok(done)
    }

    fn load(&mut self, batch: &Batch) -> Result<()> {
        for (at, loaded) in self.inputs.iter_mut().enumerate() {
            let column = &batch.columns[loaded.input];
            if let Column::Dictionary(dictionary) = column {
                loaded.direct = false;
                loaded.own.column = self.per_value.take(at, dictionary.select(&batch.selection)?)?;
                loaded.own.settle();
            } else {
                self.per_value.leave(at);
                loaded.load(column, batch.rows, &batch.selection)?;
            }
        }
        Ok(())
    }

    /// Output `index` of the last run over `batch`.
    pub fn output<'a>(&'a self, batch: &'a Batch, index: usize) -> Argument<'a> {
        self.argument(batch, self.program.outputs[index])
    }

    /// Moves output `index` into `out`: registers and input columns are swapped where nobody needs them again, so that
    /// memory goes round instead of being allocated.
    pub fn take_output(&mut self, batch: &mut Batch, index: usize, out: &mut Column) {
        match self.program.outputs[index] {
            Operand::Input(input) if self.input(input).direct => {
                move_column(&mut batch.columns[input], self.is_needed_after(index), out);
            }
            _ => self.copy_output(batch, index, out),
        }
    }

    /// Puts output `index` into `out` without touching the batch: what is the batch's own is copied.
    pub fn copy_output(&mut self, batch: &Batch, index: usize, out: &mut Column) {
        let again = self.is_needed_after(index);
        match self.program.outputs[index] {
            Operand::Register(register) => move_column(&mut self.registers[register].column, again, out),
            Operand::Constant(constant) => out.copy_from(&self.constants[constant]),
            Operand::Input(input) if self.input(input).direct => out.copy_from(&batch.columns[input]),
            Operand::Input(input) => {
                let loaded = self.inputs.iter_mut().find(|loaded| loaded.input == input).expect("an input is loaded");
                move_column(&mut loaded.own.column, again, out);
            }
        }
    }

    /// Output `index` of a program without steps, without a run: a column of the batch, or a constant.
    pub fn pick<'a>(&'a self, batch: &'a Batch, index: usize) -> &'a Column {
        match self.program.outputs[index] {
            Operand::Input(input) => &batch.columns[input],
            Operand::Constant(constant) => &self.constants[constant],
            Operand::Register(_) => unreachable!("a program without steps has no registers"),
        }
    }

    fn is_needed_after(&self, index: usize) -> bool {
        self.program.outputs[index + 1..].contains(&self.program.outputs[index])
    }

    fn input(&self, input: usize) -> &Loaded {
        self.inputs.iter().find(|loaded| loaded.input == input).expect("an input is loaded")
    }

    fn argument<'a>(&'a self, batch: &'a Batch, operand: Operand) -> Argument<'a> {
        match operand {
            Operand::Input(input) => self.input(input).argument(&batch.columns[input], self.rows),
            Operand::Constant(constant) => Argument::new(&self.constants[constant], None, self.rows),
            Operand::Register(register) => self.registers[register].argument(self.rows),
        }
    }
}

/// Flat buffers are swapped, unless they are needed again; Arrow memory is shared.
fn move_column(from: &mut Column, again: bool, out: &mut Column) {
    match from {
        Column::Flat(_) if !again => std::mem::swap(from, out),
        shared => out.copy_from(shared),
    }
}

impl Loaded {
    fn load(&mut self, column: &Column, rows: usize, selection: &Selection) -> Result<()> {
        self.own.set_validity(None);
        self.direct = false;
        match column {
            Column::Constant(_) | Column::Dictionary(_) => self.direct = true,
            Column::Flat(flat) => match selection.as_slice() {
                None => self.direct = true,
                Some(rows) => gather_flat(flat, rows, &mut self.own.column),
            },
            Column::Array(array) => self.load_array(array, rows, selection)?,
        }
        Ok(())
    }

    fn argument<'a>(&'a self, column: &'a Column, rows: usize) -> Argument<'a> {
        if self.direct { self.own.argument_of(column, rows) } else { self.own.argument(rows) }
    }

    fn load_array(&mut self, array: &ArrayRef, rows: usize, selection: &Selection) -> Result<()> {
        debug_assert_eq!(array.len(), rows, "a column covers its batch");
        let kind = Kind::of(array.data_type());
        match selection.as_slice() {
            _ if kind == Kind::Bool => load_bits(&crate::batch::select(array, selection)?, &mut self.own.column),
            None => {
                self.own.set_validity(Some(array));
                self.direct = true;
            }
            Some(rows) if gather_array(array, kind, rows, &mut self.own.column) => {
                self.own.set_validity(Some(array));
                self.own.gather_validity(rows);
            }
            Some(_) => {
                self.own.column = Column::Array(crate::batch::select(array, selection)?);
                self.own.settle();
            }
        }
        Ok(())
    }
}
