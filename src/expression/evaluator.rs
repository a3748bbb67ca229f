//! Runs a program over the selected rows of a batch, into registers that are reused.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use millstream_kernels::{bitmap, gather};
use smallvec::SmallVec;

use super::{Operand, Program};
use crate::batch::{Argument, Batch, Column, Fixed, Flat, Kind, Selection, Values};
use crate::error::Result;
use crate::function::KernelContext;

/// A program with the memory it runs in. One owner, one thread.
#[derive(Debug)]
pub struct Evaluator {
    program: Arc<Program>,
    context: KernelContext,
    inputs: Vec<Loaded>,
    constants: Vec<Column>,
    registers: Vec<Register>,
    rows: usize,
}

/// A column of the batch, made ready for kernels: selected, booleans as bits, validity as words.
#[derive(Debug, Default)]
struct Loaded {
    input: usize,
    /// Whether the batch's own column serves as it is, and `column` is unused.
    direct: bool,
    column: Column,
    validity: Vec<u64>,
    nullable: bool,
}

#[derive(Debug, Default)]
struct Register {
    column: Column,
    validity: Vec<u64>,
    nullable: bool,
}

impl Evaluator {
    pub fn new(program: Arc<Program>, context: KernelContext) -> Self {
        let inputs = program.inputs().into_iter().map(|input| Loaded { input, ..Loaded::default() }).collect();
        let constants = program.constants.iter().map(|constant| Column::Constant(constant.0.clone())).collect();
        let registers = program.steps.iter().map(|_| Register::default()).collect();
        Evaluator { program, context, inputs, constants, registers, rows: 0 }
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
        for loaded in &mut self.inputs {
            loaded.load(&batch.columns[loaded.input], batch.rows, &batch.selection)?;
        }
        let program = self.program.clone();
        for step in &program.steps {
            let mut out = std::mem::take(&mut self.registers[step.register]);
            let args: SmallVec<[Argument<'_>; 4]> = step.args.iter().map(|arg| self.argument(batch, *arg)).collect();
            let evaluated = step.kernel.evaluate(&self.context, &args, self.rows, &mut out.column);
            evaluated.map_err(|e| {
                e.context(format!("in {}", program.show(Operand::Register(step.register), &program.names)))
            })?;
            out.settle();
            drop(args);
            self.registers[step.register] = out;
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
        let operand = self.program.outputs[index];
        let again = self.program.outputs[index + 1..].contains(&operand);
        let from = match operand {
            Operand::Register(register) => &mut self.registers[register].column,
            Operand::Constant(constant) => return out.clone_from(&self.constants[constant]),
            Operand::Input(input) => {
                let loaded = self.inputs.iter_mut().find(|loaded| loaded.input == input).expect("an input is loaded");
                if loaded.direct { &mut batch.columns[input] } else { &mut loaded.column }
            }
        };
        match from {
            Column::Flat(_) if !again => std::mem::swap(from, out),
            Column::Flat(flat) => copy_flat(flat, out),
            shared => out.clone_from(shared),
        }
    }

    fn argument<'a>(&'a self, batch: &'a Batch, operand: Operand) -> Argument<'a> {
        match operand {
            Operand::Input(input) => {
                let loaded = self.inputs.iter().find(|loaded| loaded.input == input).expect("an input is loaded");
                loaded.argument(&batch.columns[input], self.rows)
            }
            Operand::Constant(constant) => Argument::new(&self.constants[constant], None, self.rows),
            Operand::Register(register) => {
                let register = &self.registers[register];
                Argument::new(&register.column, register.validity(), self.rows)
            }
        }
    }
}

/// Copies flat buffers into `out`, reusing its memory where the types agree.
fn copy_flat(from: &Flat, out: &mut Column) {
    match out {
        Column::Flat(to) if std::mem::discriminant(&to.values) == std::mem::discriminant(&from.values) => {
            to.clone_from(from);
        }
        _ => *out = Column::Flat(from.clone()),
    }
}

impl Register {
    /// Brings what a kernel wrote into the form that kernels read: booleans flat, validity of arrays as words.
    fn settle(&mut self) {
        self.nullable = false;
        let Column::Array(array) = &self.column else { return };
        if array.data_type() == &arrow::datatypes::DataType::Boolean {
            let array = array.clone();
            load_bits(&array, &mut self.column);
        } else if let Some(nulls) = array.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
            bitmap::from_bytes(nulls.validity(), nulls.offset(), nulls.len(), &mut self.validity);
            self.nullable = true;
        }
    }

    fn validity(&self) -> Option<&[u64]> {
        match &self.column {
            Column::Flat(flat) => flat.validity(),
            _ => self.nullable.then_some(&self.validity[..]),
        }
    }
}

impl Loaded {
    fn load(&mut self, column: &Column, rows: usize, selection: &Selection) -> Result<()> {
        self.nullable = false;
        self.direct = false;
        match column {
            Column::Constant(_) => self.direct = true,
            Column::Flat(flat) => match selection.as_slice() {
                None => self.direct = true,
                Some(rows) => gather_flat(flat, rows, &mut self.column),
            },
            Column::Array(array) => self.load_array(array, rows, selection)?,
        }
        Ok(())
    }

    fn argument<'a>(&'a self, column: &'a Column, rows: usize) -> Argument<'a> {
        let column = if self.direct { column } else { &self.column };
        let validity = match column {
            Column::Flat(flat) => flat.validity(),
            _ => self.nullable.then_some(&self.validity[..]),
        };
        Argument::new(column, validity, rows)
    }

    fn load_array(&mut self, array: &ArrayRef, rows: usize, selection: &Selection) -> Result<()> {
        debug_assert_eq!(array.len(), rows, "a column covers its batch");
        let kind = Kind::of(array.data_type());
        match selection.as_slice() {
            _ if kind == Kind::Bool => load_bits(&crate::batch::select(array, selection)?, &mut self.column),
            None => {
                self.load_validity(array);
                self.direct = true;
            }
            Some(rows) if gather_array(array, kind, rows, &mut self.column) => {
                self.load_validity(array);
                if let (true, Column::Flat(flat)) = (self.nullable, &mut self.column) {
                    bitmap::gather(&self.validity, rows, flat.validity_mut(rows.len()));
                }
            }
            Some(_) => {
                let selected = crate::batch::select(array, selection)?;
                self.load_validity(&selected);
                self.column = Column::Array(selected);
            }
        }
        Ok(())
    }

    fn load_validity(&mut self, array: &ArrayRef) {
        if array.logical_null_count() == 0 {
            return;
        }
        if let Some(nulls) = array.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
            bitmap::from_bytes(nulls.validity(), nulls.offset(), nulls.len(), &mut self.validity);
            self.nullable = true;
        }
    }
}

/// Turns an Arrow boolean array into a flat column of bits.
pub(crate) fn load_bits(array: &ArrayRef, out: &mut Column) {
    let array = array.as_boolean();
    let flat = out.flat_mut(|values| matches!(values, Values::Bool(_)), || Values::Bool(Vec::new()));
    flat.rows = array.len();
    if let Values::Bool(words) = &mut flat.values {
        let values = array.values();
        bitmap::from_bytes(values.values(), values.offset(), values.len(), words);
    }
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => flat.set_all_valid(),
        Some(nulls) => {
            let words = flat.validity_mut(nulls.len());
            bitmap::from_bytes(nulls.validity(), nulls.offset(), nulls.len(), words);
        }
    }
}

/// Gathers a fixed-width array into flat buffers; `false` when the type has no flat form.
fn gather_array(array: &ArrayRef, kind: Kind, rows: &[u16], out: &mut Column) -> bool {
    fn typed<T: Fixed>(array: &ArrayRef, rows: &[u16], out: &mut Column) -> bool {
        let Some(values) = T::of_array(array.as_ref()) else { return false };
        let flat = out.flat_mut(|v| T::of_values(v).is_some(), || T::into_values(Vec::new()));
        let to = T::of_values_mut(&mut flat.values).expect("made of this type above");
        gather::take(values, rows, to);
        flat.rows = rows.len();
        flat.set_all_valid();
        true
    }
    match kind {
        Kind::I8 => typed::<i8>(array, rows, out),
        Kind::I16 => typed::<i16>(array, rows, out),
        Kind::I32 => typed::<i32>(array, rows, out),
        Kind::I64 => typed::<i64>(array, rows, out),
        Kind::U8 => typed::<u8>(array, rows, out),
        Kind::U16 => typed::<u16>(array, rows, out),
        Kind::U32 => typed::<u32>(array, rows, out),
        Kind::U64 => typed::<u64>(array, rows, out),
        Kind::F32 => typed::<f32>(array, rows, out),
        Kind::F64 => typed::<f64>(array, rows, out),
        Kind::I128 => typed::<i128>(array, rows, out),
        Kind::Bool | Kind::View | Kind::Other => false,
    }
}

/// Gathers flat buffers into `out`, reusing its memory.
pub(crate) fn gather_flat(from: &Flat, rows: &[u16], out: &mut Column) {
    macro_rules! gather {
        ($($kind:ident),+) => {
            match &from.values {
                Values::Bool(words) => {
                    let to = out.flat_mut(|v| matches!(v, Values::Bool(_)), || Values::Bool(Vec::new()));
                    if let Values::Bool(out_words) = &mut to.values {
                        bitmap::gather(words, rows, out_words);
                    }
                    to
                }
                $(Values::$kind(values) => {
                    let to = out.flat_mut(|v| matches!(v, Values::$kind(_)), || Values::$kind(Vec::new()));
                    if let Values::$kind(out_values) = &mut to.values {
                        gather::take(values, rows, out_values);
                    }
                    to
                })+
            }
        };
    }
    let to = gather!(I8, I16, I32, I64, U8, U16, U32, U64, F32, F64, I128);
    to.rows = rows.len();
    match from.validity() {
        None => to.set_all_valid(),
        Some(words) => bitmap::gather(words, rows, to.validity_mut(rows.len())),
    }
}
