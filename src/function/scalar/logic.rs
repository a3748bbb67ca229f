//! AND, OR and NOT in SQL's three-valued logic, and the tests for null.
//!
//! Invariants  a null decides nothing: `false AND null` is false, `true OR null` is true, else null. IS [NOT] NULL is
//!             never null.

use std::sync::Arc;

use arrow::datatypes::DataType;
use millstream_kernels::{bitmap, logic};

use super::write::{self, Side};
use super::{BinaryOp, show_infix};
use crate::batch::{Argument, Column};
use crate::error::Result;
use crate::function::{KernelContext, ScalarKernel};

/// AND or OR of booleans, `None` for other types.
pub(super) fn binary(op: BinaryOp, left: &DataType, right: &DataType) -> Option<Arc<dyn ScalarKernel>> {
    let booleans = *left == DataType::Boolean && *right == DataType::Boolean;
    booleans.then(|| Arc::new(Connective { is_and: op == BinaryOp::And }) as Arc<dyn ScalarKernel>)
}

/// `NOT a` of a boolean.
pub fn not() -> Arc<dyn ScalarKernel> {
    Arc::new(Not)
}

/// `a IS NULL`, for an argument of any type.
pub fn is_null() -> Arc<dyn ScalarKernel> {
    Arc::new(NullTest { wanted: true })
}

/// `a IS NOT NULL`, for an argument of any type.
pub fn is_not_null() -> Arc<dyn ScalarKernel> {
    Arc::new(NullTest { wanted: false })
}

#[derive(Debug)]
struct Connective {
    is_and: bool,
}

impl ScalarKernel for Connective {
    fn name(&self) -> &str {
        if self.is_and { "AND" } else { "OR" }
    }

    fn result_type(&self) -> DataType {
        DataType::Boolean
    }

    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        let level = context.level;
        let (a, b) = (write::bits(&args[0], rows)?, write::bits(&args[1], rows)?);
        let (a_valid, b_valid) = (write::validity(&args[0], rows), write::validity(&args[1], rows));
        let flat = write::boolean_column(rows, out);
        let (Side::Column(a), Side::Column(b)) = (a, b) else {
            return self.with_constant((a, a_valid), (b, b_valid), rows, out);
        };
        let (a_valid, b_valid) = (words(a_valid), words(b_valid));
        if a_valid.is_none() && b_valid.is_none() {
            flat.set_all_valid();
            let combine = if self.is_and { bitmap::and } else { bitmap::or };
            combine(level, a, b, write::words(flat));
            return Ok(());
        }
        let mut validity = std::mem::take(flat.validity_mut(rows));
        let combine = if self.is_and { logic::and } else { logic::or };
        combine(level, (a, a_valid), (b, b_valid), rows, write::words(flat), &mut validity);
        *flat.validity_mut(0) = validity;
        Ok(())
    }

    fn can_fail(&self) -> bool {
        false
    }

    fn show(&self, args: &[String]) -> String {
        show_infix(self.name(), args)
    }
}

/// Values and validity of one side.
type Nullable<'a> = (Side<'a, u64>, Side<'a, u64>);

impl Connective {
    /// A word at a time: the rare case, folded away by most planners.
    fn with_constant(&self, a: Nullable<'_>, b: Nullable<'_>, rows: usize, out: &mut Column) -> Result<()> {
        // OR is AND of the opposites, negated.
        let flip = if self.is_and { 0 } else { u64::MAX };
        let flat = write::boolean_column(rows, out);
        let mut validity = std::mem::take(flat.validity_mut(rows));
        for (index, (value, valid)) in write::words(flat).iter_mut().zip(&mut validity).enumerate() {
            let (a_valid, b_valid) = (a.1.word(index), b.1.word(index));
            let (a_false, b_false) = (!(a.0.word(index) ^ flip) & a_valid, !(b.0.word(index) ^ flip) & b_valid);
            let decided = a_false | b_false;
            *valid = decided | (a_valid & b_valid);
            *value = (!decided ^ flip) & *valid;
        }
        bitmap::trim(write::words(flat), rows);
        bitmap::trim(&mut validity, rows);
        *flat.validity_mut(0) = validity;
        Ok(())
    }
}

fn words(side: Side<'_, u64>) -> Option<&[u64]> {
    match side {
        Side::Column(words) => Some(words),
        Side::Constant(_) => None,
    }
}

#[derive(Debug)]
struct Not;

impl ScalarKernel for Not {
    fn name(&self) -> &str {
        "NOT"
    }

    fn result_type(&self) -> DataType {
        DataType::Boolean
    }

    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        let a = write::bits(&args[0], rows)?;
        write::booleans(context.level, args, rows, out, |out| {
            match a {
                Side::Column(words) => bitmap::not(context.level, words, rows, out),
                Side::Constant(word) => write::fill_bits(rows, out, word == 0),
            }
            Ok(())
        })
    }

    fn can_fail(&self) -> bool {
        false
    }

    fn show(&self, args: &[String]) -> String {
        format!("(NOT {})", args.join(", "))
    }
}

#[derive(Debug)]
struct NullTest {
    /// Whether a null gives true.
    wanted: bool,
}

impl ScalarKernel for NullTest {
    fn name(&self) -> &str {
        if self.wanted { "IS NULL" } else { "IS NOT NULL" }
    }

    fn result_type(&self) -> DataType {
        DataType::Boolean
    }

    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        let validity = write::validity(&args[0], rows);
        let flat = write::boolean_column(rows, out);
        flat.set_all_valid();
        let out = write::words(flat);
        match validity {
            Side::Constant(word) => write::fill_bits(rows, out, (word == 0) == self.wanted),
            Side::Column(words) if self.wanted => bitmap::not(context.level, words, rows, out),
            Side::Column(words) => {
                out.copy_from_slice(words);
                bitmap::trim(out, rows);
            }
        }
        Ok(())
    }

    fn can_fail(&self) -> bool {
        false
    }

    fn show(&self, args: &[String]) -> String {
        format!("({} {})", args.join(", "), self.name())
    }
}
