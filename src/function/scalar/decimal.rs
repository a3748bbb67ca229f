//! `+ - *` of decimals, and casts from integers and to floats.
//!
//! Invariants  result types are Arrow's (Hive's rules): sums get one digit more, products the digits of both. A result
//!             that does not fit 38 digits is an error; rows under nulls never fail. `/` and `%` go to the function
//!             library.

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL128_MAX_SCALE, DataType, Decimal128Type, DecimalType};
use millstream_kernels::bitmap;

use super::write::{self, Side};
use super::{BinaryOp, show_infix};
use crate::batch::{Argument, Column};
use crate::error::{Error, Result};
use crate::function::{KernelContext, ScalarKernel};

/// The kernel of an operator between decimals of any precision and scale, `None` where there is no native one.
pub(super) fn binary(op: BinaryOp, left: &DataType, right: &DataType) -> Option<Arc<dyn ScalarKernel>> {
    let (DataType::Decimal128(left_precision, left_scale), DataType::Decimal128(right_precision, right_scale)) =
        (left, right)
    else {
        return None;
    };
    if *left_scale < 0 || *right_scale < 0 {
        return None;
    }
    let (precision, scale) = match op {
        BinaryOp::Add | BinaryOp::Sub => {
            let scale = *left_scale.max(right_scale);
            let whole = (*left_precision as i8 - left_scale).max(*right_precision as i8 - right_scale);
            (scale as u8 + whole as u8 + 1, scale)
        }
        BinaryOp::Mul => (left_precision + right_precision + 1, left_scale + right_scale),
        _ => return None,
    };
    if scale > DECIMAL128_MAX_SCALE {
        return None;
    }
    let factor = |own: i8| if op == BinaryOp::Mul { 1 } else { 10i128.pow((scale - own) as u32) };
    Some(Arc::new(Binary {
        op,
        left: Operand { scale: *left_scale, factor: factor(*left_scale) },
        right: Operand { scale: *right_scale, factor: factor(*right_scale) },
        precision: precision.min(DECIMAL128_MAX_PRECISION),
        scale,
    }))
}

/// How the numbers of one side come to the scale of the result.
#[derive(Debug, Clone, Copy)]
struct Operand {
    scale: i8,
    factor: i128,
}

#[derive(Debug)]
struct Binary {
    op: BinaryOp,
    left: Operand,
    right: Operand,
    precision: u8,
    scale: i8,
}

impl ScalarKernel for Binary {
    fn name(&self) -> &str {
        self.op.symbol()
    }

    fn result_type(&self) -> DataType {
        DataType::Decimal128(self.precision, self.scale)
    }

    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        let (a, b) = (write::side::<i128>(&args[0], rows)?, write::side::<i128>(&args[1], rows)?);
        write::values::<i128>(context.level, args, rows, out, |out, validity| {
            let wrong = match (a, b) {
                (Side::Column(a), Side::Column(b)) => self.run(out, |row| a[row], |row| b[row]),
                (Side::Column(a), Side::Constant(b)) => self.run(out, |row| a[row], |_| b),
                (Side::Constant(a), Side::Column(b)) => self.run(out, |_| a, |row| b[row]),
                (Side::Constant(a), Side::Constant(b)) => self.run(out, |_| a, |_| b),
            };
            if wrong { self.find_fault(a, b, validity, rows) } else { Ok(()) }
        })
    }

    fn show(&self, args: &[String]) -> String {
        show_infix(self.name(), args)
    }
}

impl Binary {
    /// Computes every row and returns whether one of them may have no result.
    #[inline(always)]
    fn run(&self, out: &mut [i128], a: impl Fn(usize) -> i128, b: impl Fn(usize) -> i128) -> bool {
        let Binary { left: Operand { factor: left, .. }, right: Operand { factor: right, .. }, .. } = *self;
        match self.op {
            BinaryOp::Mul => each(out, |row| fits(product(a(row), b(row)))),
            BinaryOp::Add if left == 1 && right == 1 => each(out, |row| fits(a(row).overflowing_add(b(row)))),
            BinaryOp::Sub if left == 1 && right == 1 => each(out, |row| fits(a(row).overflowing_sub(b(row)))),
            _ => each(out, |row| {
                let ((a, a_wrong), (b, b_wrong)) = (product(a(row), left), product(b(row), right));
                let (sum, wrong) =
                    fits(if self.op == BinaryOp::Add { a.overflowing_add(b) } else { a.overflowing_sub(b) });
                (sum, wrong | a_wrong | b_wrong)
            }),
        }
    }

    #[cold]
    fn find_fault(&self, a: Side<'_, i128>, b: Side<'_, i128>, validity: Option<&[u64]>, rows: usize) -> Result<()> {
        let at = |side: Side<'_, i128>, row: usize| match side {
            Side::Column(values) => values[row],
            Side::Constant(value) => value,
        };
        for row in (0..rows).filter(|&row| validity.is_none_or(|words| bitmap::get(words, row))) {
            let (a, b) = (at(a, row), at(b, row));
            if self.run(&mut [0], |_| a, |_| b) {
                let show =
                    |value, side: Operand| Decimal128Type::format_decimal(value, DECIMAL128_MAX_PRECISION, side.scale);
                let (symbol, a, b) = (self.op.symbol(), show(a, self.left), show(b, self.right));
                return Err(Error::user(format!(
                    "decimal overflow in a {symbol} b: {a} {symbol} {b}; cast to fewer digits, or to DOUBLE"
                )));
            }
        }
        Ok(())
    }
}

#[inline(always)]
fn each(out: &mut [i128], of: impl Fn(usize) -> (i128, bool)) -> bool {
    let mut wrong = false;
    for (row, out) in out.iter_mut().enumerate() {
        let (value, fault) = of(row);
        *out = value;
        wrong |= fault;
    }
    wrong
}

/// A product and whether it overflows; two numbers of 64 bits need one multiplication.
#[inline(always)]
fn product(a: i128, b: i128) -> (i128, bool) {
    let (low_a, low_b) = (a as i64, b as i64);
    if i128::from(low_a) == a && i128::from(low_b) == b {
        return (i128::from(low_a) * i128::from(low_b), false);
    }
    a.overflowing_mul(b)
}

/// Overflow is also what needs more than 38 digits.
#[inline(always)]
fn fits((value, wrong): (i128, bool)) -> (i128, bool) {
    (value, wrong | (value.unsigned_abs() >= LIMIT))
}

const LIMIT: u128 = 10u128.pow(DECIMAL128_MAX_PRECISION as u32);

/// Writes integers as decimals of this precision and factor, or returns the first valid one that does not fit.
pub(super) fn from_integers<T: Copy + Into<i128>>(
    from: Side<'_, T>,
    factor: i128,
    precision: u8,
    validity: Option<&[u64]>,
    out: &mut [i128],
) -> Result<(), i128> {
    let limit = 10u128.pow(precision.into());
    let cast = |value: T| {
        let (value, wrong) = product(value.into(), factor);
        (value, wrong | (value.unsigned_abs() >= limit))
    };
    let at = |row: usize| match from {
        Side::Column(values) => values[row],
        Side::Constant(value) => value,
    };
    if !each(out, |row| cast(at(row))) {
        return Ok(());
    }
    let valid = |row: &usize| validity.is_none_or(|words| bitmap::get(words, *row));
    let fault = (0..out.len()).filter(valid).find(|&row| cast(at(row)).1);
    fault.map_or(Ok(()), |row| Err(at(row).into()))
}

/// Writes decimals as floats.
pub(super) fn to_floats(from: Side<'_, i128>, scale: i8, out: &mut [f64]) {
    let divisor = 10f64.powi(scale.into());
    match from {
        Side::Column(from) => out.iter_mut().zip(from).for_each(|(out, &value)| *out = value as f64 / divisor),
        Side::Constant(value) => out.fill(value as f64 / divisor),
    }
}
