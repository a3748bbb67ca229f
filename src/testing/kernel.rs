//! Does a kernel do what its scalar form does, whatever columns it meets?
//!
//! It is called with no rows, one, one vector more or less, and many; with nulls nowhere, somewhere and everywhere, and
//! values under them; with slices of longer columns, constants, null constants, few distinct values, the least and
//! greatest numbers, infinities and what is no number; at each level of this CPU; and with the memory of the call before.
//! The truth is the scalar form, called for a row alone.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::util::display::array_value_to_string;
use millstream_kernels::level;

use super::columns::{Nulls, Random, Spread, column, sliced};
use crate::batch::{Argument, Batch, Column, KernelColumn, Selection};
use crate::error::Result;
use crate::function::custom::{Body, Function, Scalar, ScalarFn};
use crate::function::{KernelContext, ScalarKernel};

/// Compares a kernel with its scalar form in all these cases.
///
/// Failure: the first difference, with what the kernel was given. The message names a seed; it is always the same one.
pub fn check_kernel<M: 'static>(kernel: impl Into<Function>, truth: impl ScalarFn<M>) -> Result<(), String> {
    let truth = Scalar::new("truth", truth);
    let function: Function = kernel.into();
    let Body::Scalar { kernel, .. } = &function.body else {
        return Err("an aggregate is not checked against a scalar form".to_string());
    };
    if function.args != truth.signature().args {
        return Err(format!("the kernel takes {:?}, its scalar form {:?}", function.args, truth.signature().args));
    }
    if kernel.result_type() != truth.signature().result {
        return Err(format!("the kernel gives {}, its scalar form {}", kernel.result_type(), truth.signature().result));
    }
    let strict = truth.signature().takes_nulls.iter().map(|takes_nulls| !takes_nulls).collect();
    let mut check = Check { kernel: kernel.as_ref(), truth: truth.kernel(false), strict, out: Column::default() };
    check.run(&function.args)
}

struct Check<'k> {
    kernel: &'k dyn ScalarKernel,
    truth: Arc<dyn ScalarKernel>,
    strict: Vec<bool>,
    /// What the call before left.
    out: Column,
}

/// A column as a kernel is given it.
#[derive(Clone)]
enum Given {
    Column(ArrayRef),
    Constant(ArrayRef),
}

const SEED: u64 = 42;

impl Check<'_> {
    fn run(&mut self, types: &[DataType]) -> Result<(), String> {
        let mut random = Random(SEED);
        let internal = |error: crate::error::Error| error.to_string();
        for rows in [1000, 0, 1, 7, 63, 64, 65, 255, 256, 257] {
            for spread in [Spread::Small, Spread::Edges, Spread::Few] {
                for nulls in [Nulls::Some, Nulls::None, Nulls::All] {
                    let columns = types.iter().map(|data_type| column(&mut random, data_type, rows, nulls, spread));
                    let columns = columns.collect::<Result<Vec<ArrayRef>>>().map_err(internal)?;
                    let given: Vec<Given> = columns.iter().cloned().map(Given::Column).collect();
                    let what = format!("{rows} rows, {spread:?} values, nulls: {nulls:?}");
                    self.compare(&given, rows, &what)?;
                    let slices = columns.iter().map(sliced).collect::<Result<Vec<ArrayRef>>>().map_err(internal)?;
                    let slices: Vec<Given> = slices.into_iter().map(Given::Column).collect();
                    self.compare(&slices, rows, &format!("{what}, sliced"))?;
                    // All arguments constant, all but one, and one alone.
                    for at in 0..types.len() {
                        let one = column(&mut random, &types[at], 1, Nulls::None, spread).map_err(internal)?;
                        let none = column(&mut random, &types[at], 1, Nulls::All, spread).map_err(internal)?;
                        for constant in [one, none] {
                            let mut mixed = given.clone();
                            mixed[at] = Given::Constant(constant);
                            self.compare(&mixed, rows, &format!("{what}, argument {at} constant"))?;
                        }
                        let mut others = Vec::new();
                        for (index, data_type) in types.iter().enumerate() {
                            let value = column(&mut random, data_type, 1, Nulls::None, spread).map_err(internal)?;
                            others.push(if index == at { given[at].clone() } else { Given::Constant(value) });
                        }
                        self.compare(&others, rows, &format!("{what}, all but argument {at} constant"))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn compare(&mut self, given: &[Given], rows: usize, what: &str) -> Result<(), String> {
        let wanted = self.wanted(given, rows);
        let columns: Vec<KernelColumn> = given.iter().map(Given::ready).collect();
        let args: Vec<Argument<'_>> = columns.iter().map(|column| column.argument(rows)).collect();
        for level in level::available() {
            let name = level::name(level);
            let context = KernelContext { level, ..KernelContext::default() };
            let mut out = std::mem::take(&mut self.out);
            let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                self.kernel.evaluate(&context, &args, rows, &mut out).map(|()| out)
            }));
            let ran = match ran {
                Ok(ran) => ran.map_err(|error| error.to_string()),
                Err(_) => Err("it panicked".to_string()),
            };
            let told = |row: usize, found: &str, wanted: &str| {
                let args: Vec<String> = given.iter().map(|given| given.shown(row)).collect();
                format!(
                    "{}({}) is {found} instead of {wanted} at row {row} ({what}; {name}, seed {SEED})",
                    self.kernel.name(),
                    args.join(", ")
                )
            };
            match (&wanted, ran) {
                (Err(_), Err(_)) => self.out = Column::default(),
                (Err((row, why)), Ok(_)) => return Err(told(*row, "a value", &format!("an error: {why}"))),
                (Ok(_), Err(why)) => {
                    return Err(format!("{}: {why} ({what}; {name}, seed {SEED})", self.kernel.name()));
                }
                (Ok(wanted), Ok(out)) => {
                    let found = result(&out, &self.kernel.result_type(), rows)
                        .map_err(|e| format!("{}: {e} ({what}; {name}, seed {SEED})", self.kernel.name()))?;
                    for (row, wanted) in wanted.iter().enumerate() {
                        let value = shown(&found, row);
                        if value != *wanted {
                            return Err(told(row, &value, wanted));
                        }
                    }
                    self.out = out;
                }
            }
        }
        Ok(())
    }

    /// The scalar form's answer, each row alone; the first row that fails.
    fn wanted(&self, given: &[Given], rows: usize) -> Result<Vec<String>, (usize, String)> {
        let kernel = &self.truth;
        let mut wanted = Vec::with_capacity(rows);
        for row in 0..rows {
            let values: Vec<ArrayRef> = given.iter().map(|given| given.value(row)).collect();
            if values.iter().zip(&self.strict).any(|(value, strict)| *strict && value.is_null(0)) {
                wanted.push("NULL".to_string());
                continue;
            }
            let columns: Vec<KernelColumn> =
                values.into_iter().map(|value| KernelColumn::new(Column::Array(value))).collect();
            let args: Vec<Argument<'_>> = columns.iter().map(|column| column.argument(1)).collect();
            let context = KernelContext { level: level::available()[0], ..KernelContext::default() };
            let mut out = Column::default();
            kernel.evaluate(&context, &args, 1, &mut out).map_err(|error| (row, error.message().to_string()))?;
            let found = result(&out, &kernel.result_type(), 1).map_err(|why| (row, why))?;
            wanted.push(shown(&found, 0));
        }
        Ok(wanted)
    }
}

impl Given {
    fn ready(&self) -> KernelColumn {
        KernelColumn::new(match self {
            Given::Column(array) => Column::Array(array.clone()),
            Given::Constant(array) => Column::Constant(array.clone()),
        })
    }

    fn value(&self, row: usize) -> ArrayRef {
        match self {
            Given::Column(array) => array.slice(row, 1),
            Given::Constant(array) => array.clone(),
        }
    }

    fn shown(&self, row: usize) -> String {
        shown(&self.value(row), 0)
    }
}

/// A kernel's output as an array.
fn result(out: &Column, data_type: &DataType, rows: usize) -> Result<ArrayRef, String> {
    let made = match out {
        Column::Array(array) => array.len(),
        Column::Flat(flat) => flat.rows,
        Column::Dictionary(dictionary) => dictionary.rows(),
        Column::Constant(_) => rows,
    };
    if made != rows {
        return Err(format!("it made {made} rows of {rows}"));
    }
    let mut batch = Batch { columns: vec![out.clone()], rows, ..Batch::default() };
    let array = batch.columns[0].to_array(data_type, rows, &Selection::default()).map_err(|e| e.to_string())?;
    if array.data_type() != data_type {
        return Err(format!("it made a column of type {} instead of {data_type}", array.data_type()));
    }
    Ok(array)
}

/// A value as text; equal texts are equal values, and what is no number is equal to itself.
fn shown(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "NULL".to_string();
    }
    if let Some(floats) = array.as_primitive_opt::<Float64Type>() {
        return format!("{:?}", floats.value(row));
    }
    if let Some(floats) = array.as_primitive_opt::<Float32Type>() {
        return format!("{:?}", floats.value(row));
    }
    if let Some(texts) = array.as_string_view_opt() {
        return format!("{:?}", texts.value(row));
    }
    array_value_to_string(array, row).unwrap_or_else(|_| "a value that cannot be shown".to_string())
}
