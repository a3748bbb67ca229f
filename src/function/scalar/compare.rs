//! `= <> < <= > >=` and `IS [NOT] DISTINCT FROM` between values of one type.
//!
//! Invariants  floats are ordered as in PostgreSQL: NaN equals NaN and is greater than everything, -0.0 equals 0.0;
//!             strings by their bytes. DISTINCT is never null: two nulls are not distinct.

use std::sync::Arc;

use arrow::datatypes::DataType;
use millstream_kernels::bitmap;
use millstream_kernels::compare::{self, Compare, Op};
use millstream_kernels::level::Level;

use super::write::{self, Side};
use super::{BinaryOp, for_kind, show_infix, text};
use crate::batch::{Argument, Column, Fixed, Kind};
use crate::error::Result;
use crate::function::{KernelContext, ScalarKernel};

/// Writes `a op b` of every row, nulls or not, as bits.
type Bits = fn(Level, Op, &[Argument<'_>], usize, &mut [u64]) -> Result<()>;

/// The kernel of a comparison, `None` where there is no native one.
pub(super) fn binary(op: BinaryOp, left: &DataType, right: &DataType) -> Option<Arc<dyn ScalarKernel>> {
    let run = bits(left, right)?;
    let (compared, nulls) = match op {
        BinaryOp::Eq => (Op::Eq, Nulls::Unknown),
        BinaryOp::NotEq => (Op::Ne, Nulls::Unknown),
        BinaryOp::Lt => (Op::Lt, Nulls::Unknown),
        BinaryOp::LtEq => (Op::Le, Nulls::Unknown),
        BinaryOp::Gt => (Op::Gt, Nulls::Unknown),
        BinaryOp::GtEq => (Op::Ge, Nulls::Unknown),
        BinaryOp::IsDistinctFrom => (Op::Ne, Nulls::Distinct),
        BinaryOp::IsNotDistinctFrom => (Op::Ne, Nulls::NotDistinct),
        _ => return None,
    };
    Some(Arc::new(Comparison { operator: op, op: compared, nulls, run }))
}

/// What a null on one side or both means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nulls {
    /// The result is null.
    Unknown,
    /// A null differs from every value and from no null.
    Distinct,
    /// The opposite.
    NotDistinct,
}

fn bits(left: &DataType, right: &DataType) -> Option<Bits> {
    let same = match (left, right) {
        (DataType::Decimal128(_, a), DataType::Decimal128(_, b)) => a == b,
        _ => left == right,
    };
    match Kind::of(left) {
        _ if !same => None,
        Kind::Bool => Some(boolean_bits),
        Kind::View => Some(text::bits),
        kind => for_kind!(kind, fixed_bits as Bits: I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64,
            F32 f32, F64 f64, I128 i128),
    }
}

#[derive(Debug)]
struct Comparison {
    operator: BinaryOp,
    op: Op,
    nulls: Nulls,
    run: Bits,
}

impl ScalarKernel for Comparison {
    fn name(&self) -> &str {
        self.operator.symbol()
    }

    fn result_type(&self) -> DataType {
        DataType::Boolean
    }

    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        let level = context.level;
        if self.nulls == Nulls::Unknown {
            return write::booleans(level, args, rows, out, |out| (self.run)(level, self.op, args, rows, out));
        }
        let flat = write::boolean_column(rows, out);
        flat.set_all_valid();
        let out = write::words(flat);
        (self.run)(level, self.op, args, rows, out)?;
        let (a, b) = (write::validity(&args[0], rows), write::validity(&args[1], rows));
        let flip = if self.nulls == Nulls::Distinct { 0 } else { u64::MAX };
        for (index, word) in out.iter_mut().enumerate() {
            let (a, b) = (a.word(index), b.word(index));
            *word = ((a ^ b) | (a & b & *word)) ^ flip;
        }
        bitmap::trim(out, rows);
        Ok(())
    }

    fn operator(&self) -> Option<BinaryOp> {
        Some(self.operator)
    }

    fn can_fail(&self) -> bool {
        false
    }

    fn show(&self, args: &[String]) -> String {
        show_infix(self.operator.symbol(), args)
    }
}

fn fixed_bits<T: Fixed + Compare>(
    level: Level,
    op: Op,
    args: &[Argument<'_>],
    rows: usize,
    out: &mut [u64],
) -> Result<()> {
    match (write::side::<T>(&args[0], rows)?, write::side::<T>(&args[1], rows)?) {
        (Side::Column(a), Side::Column(b)) => compare::columns(level, op, a, b, out),
        (Side::Column(a), Side::Constant(b)) => compare::constant(level, op, a, b, out),
        (Side::Constant(a), Side::Column(b)) => compare::constant(level, op.swapped(), b, a, out),
        (Side::Constant(a), Side::Constant(b)) => {
            let mut word = [0];
            compare::constant(level, op, &[a], b, &mut word);
            write::fill_bits(rows, out, word[0] != 0);
        }
    }
    Ok(())
}

fn boolean_bits(_: Level, op: Op, args: &[Argument<'_>], rows: usize, out: &mut [u64]) -> Result<()> {
    let (a, b) = (write::bits(&args[0], rows)?, write::bits(&args[1], rows)?);
    let combine: fn(u64, u64) -> u64 = match op {
        Op::Eq => |a, b| !(a ^ b),
        Op::Ne => |a, b| a ^ b,
        Op::Lt => |a, b| !a & b,
        Op::Le => |a, b| !a | b,
        Op::Gt => |a, b| a & !b,
        Op::Ge => |a, b| a | !b,
    };
    for (index, word) in out.iter_mut().enumerate() {
        *word = combine(a.word(index), b.word(index));
    }
    bitmap::trim(out, rows);
    Ok(())
}
