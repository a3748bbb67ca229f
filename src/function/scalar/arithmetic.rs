//! `+ - * / %`, negation and distance from zero, for numbers of one type.
//!
//! Invariants  integers that overflow or divide by zero are errors that name the row's values; rows under nulls never
//!             fail. Floats follow IEEE 754. Timestamps and intervals go to the function library.

use std::fmt::Display;
use std::sync::Arc;

use arrow::datatypes::DataType;
use millstream_kernels::arithmetic::{self, Arithmetic, Fault, FaultKind, Op};

use super::write::{self, Side};
use super::{BinaryOp, for_kind, show_infix};
use crate::batch::{Argument, Column, Fixed, Kind};
use crate::error::{Error, Result};
use crate::function::{KernelContext, ScalarKernel};

/// The kernel of an arithmetic operator, `None` where there is no native one.
pub(super) fn binary(op: BinaryOp, left: &DataType, right: &DataType) -> Option<Arc<dyn ScalarKernel>> {
    if left != right || !(left.is_integer() || left.is_floating()) {
        return None;
    }
    let op = match op {
        BinaryOp::Add => Op::Add,
        BinaryOp::Sub => Op::Sub,
        BinaryOp::Mul => Op::Mul,
        BinaryOp::Div => Op::Div,
        BinaryOp::Rem => Op::Rem,
        _ => return None,
    };
    let run = for_kind!(Kind::of(left), run_binary as RunBinary: I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64,
        F32 f32, F64 f64)?;
    Some(Arc::new(Binary { op, data_type: left.clone(), run }))
}

/// `-a`, `None` for types that have no native kernel. Unsigned numbers are among these: SQL makes them signed first.
pub fn negate(data_type: &DataType) -> Option<Arc<dyn ScalarKernel>> {
    let run =
        for_kind!(number(data_type)?, run_negate as RunUnary: I8 i8, I16 i16, I32 i32, I64 i64, F32 f32, F64 f64)?;
    Some(Arc::new(Unary { name: "-", data_type: data_type.clone(), run }))
}

/// The distance from zero, `None` for types that have no native kernel.
pub fn abs(data_type: &DataType) -> Option<Arc<dyn ScalarKernel>> {
    let run = for_kind!(number(data_type)?, run_abs as RunUnary: I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64,
        F32 f32, F64 f64)?;
    Some(Arc::new(Unary { name: "abs", data_type: data_type.clone(), run }))
}

fn number(data_type: &DataType) -> Option<Kind> {
    (data_type.is_integer() || data_type.is_floating()).then(|| Kind::of(data_type))
}

type RunBinary = fn(&KernelContext, Op, &[Argument<'_>], usize, &mut Column) -> Result<()>;
type RunUnary = fn(&KernelContext, &[Argument<'_>], usize, &mut Column) -> Result<()>;

#[derive(Debug)]
struct Binary {
    op: Op,
    data_type: DataType,
    run: RunBinary,
}

impl ScalarKernel for Binary {
    fn name(&self) -> &str {
        symbol(self.op)
    }

    fn result_type(&self) -> DataType {
        self.data_type.clone()
    }

    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        (self.run)(context, self.op, args, rows, out)
    }

    fn operator(&self) -> Option<BinaryOp> {
        Some(match self.op {
            Op::Add => BinaryOp::Add,
            Op::Sub => BinaryOp::Sub,
            Op::Mul => BinaryOp::Mul,
            Op::Div => BinaryOp::Div,
            Op::Rem => BinaryOp::Rem,
        })
    }

    fn can_fail(&self) -> bool {
        self.data_type.is_integer()
    }

    fn show(&self, args: &[String]) -> String {
        show_infix(self.name(), args)
    }
}

#[derive(Debug)]
struct Unary {
    name: &'static str,
    data_type: DataType,
    run: RunUnary,
}

impl ScalarKernel for Unary {
    fn name(&self) -> &str {
        self.name
    }

    fn result_type(&self) -> DataType {
        self.data_type.clone()
    }

    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        (self.run)(context, args, rows, out)
    }

    fn can_fail(&self) -> bool {
        self.data_type.is_signed_integer()
    }

    fn show(&self, args: &[String]) -> String {
        if self.name == "-" {
            format!("(- {})", args.join(", "))
        } else {
            format!("{}({})", self.name, args.join(", "))
        }
    }
}

fn symbol(op: Op) -> &'static str {
    match op {
        Op::Add => "+",
        Op::Sub => "-",
        Op::Mul => "*",
        Op::Div => "/",
        Op::Rem => "%",
    }
}

fn run_binary<T: Fixed + Arithmetic + Display>(
    context: &KernelContext,
    op: Op,
    args: &[Argument<'_>],
    rows: usize,
    out: &mut Column,
) -> Result<()> {
    let level = context.level;
    let (a, b) = (write::side::<T>(&args[0], rows)?, write::side::<T>(&args[1], rows)?);
    write::values::<T>(level, args, rows, out, |out, validity| {
        let done = match (a, b) {
            (Side::Column(a), Side::Column(b)) => arithmetic::columns(level, op, a, b, validity, out),
            (Side::Column(a), Side::Constant(b)) => arithmetic::column_constant(level, op, a, b, validity, out),
            (Side::Constant(a), Side::Column(b)) => arithmetic::constant_column(level, op, a, b, validity, out),
            (Side::Constant(a), Side::Constant(b)) => fill(T::checked(op, a, b), validity, out),
        };
        done.map_err(|fault| binary_error(op, at(a, fault.row), at(b, fault.row), fault.kind))
    })
}

fn run_negate<T: Fixed + Arithmetic + Display>(
    context: &KernelContext,
    args: &[Argument<'_>],
    rows: usize,
    out: &mut Column,
) -> Result<()> {
    let a = write::side::<T>(&args[0], rows)?;
    write::values::<T>(context.level, args, rows, out, |out, validity| {
        let done = match a {
            Side::Column(a) => arithmetic::negate(context.level, a, validity, out),
            Side::Constant(a) => fill(T::checked_negate(a), validity, out),
        };
        done.map_err(|fault| unary_error("-a", at(a, fault.row)))
    })
}

fn run_abs<T: Fixed + Arithmetic + Display>(
    context: &KernelContext,
    args: &[Argument<'_>],
    rows: usize,
    out: &mut Column,
) -> Result<()> {
    let a = write::side::<T>(&args[0], rows)?;
    write::values::<T>(context.level, args, rows, out, |out, validity| {
        let done = match a {
            Side::Column(a) => arithmetic::abs(context.level, a, validity, out),
            Side::Constant(a) => fill(T::checked_abs(a), validity, out),
        };
        done.map_err(|fault| unary_error("abs(a)", at(a, fault.row)))
    })
}

/// One result for all rows; a fault counts only when some row is there and valid.
fn fill<T: Copy>(result: Result<T, FaultKind>, validity: Option<&[u64]>, out: &mut [T]) -> Result<(), Fault> {
    match result {
        Ok(value) => out.fill(value),
        Err(kind) if !out.is_empty() && validity.is_none() => return Err(Fault { row: 0, kind }),
        Err(_) => {}
    }
    Ok(())
}

fn at<T: Copy>(side: Side<'_, T>, row: usize) -> T {
    match side {
        Side::Column(values) => values[row],
        Side::Constant(value) => value,
    }
}

fn binary_error<T: Display>(op: Op, a: T, b: T, kind: FaultKind) -> Error {
    let symbol = symbol(op);
    match kind {
        FaultKind::Overflow => Error::user(format!("integer overflow in a {symbol} b: {a} {symbol} {b}; {WIDER}")),
        FaultKind::DivideByZero => Error::user(format!(
            "division by zero in a {symbol} b: {a} {symbol} {b}; test the divisor first, or use nullif(b, 0)"
        )),
    }
}

fn unary_error<T: Display>(what: &str, a: T) -> Error {
    Error::user(format!("integer overflow in {what}: a = {a}; {WIDER}"))
}

const WIDER: &str = "cast to a wider type first, BIGINT or DECIMAL(38, 0)";
