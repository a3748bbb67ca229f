//! Scalar functions as kernels: a family per file, each with its list of what there is.
//!
//! Place       `sql/compile` asks here first; what answers `None` goes to the function library a batch at a time.
//! Invariants  both sides of an operator have one type (the planner coerces); results go into buffers that are reused,
//!             so after warm-up no call allocates; validity is the AND of the arguments' but where a file says otherwise.

mod arithmetic; // + - * / % negate abs, checked for integers
mod shift; //      timestamps moved by a constant interval
mod calendar; //   date_part: year, month, day and their kin
mod cast; //       numbers to wider numbers, dates and timestamps
mod decimal; //    the same of decimals, as far as 38 digits go
mod json; //       any value as JSON text
mod list; //       lists with a value put in
mod nested; //     lists, structs and maps as texts
mod type_name; // names of types
mod clock; //      proctime() and current_watermark(ts)
mod compare; //    = <> < <= > >= of fixed-width values and strings, IS [NOT] DISTINCT FROM
mod fused; //      arithmetic and a comparison over it in one pass
mod logic; //      AND OR NOT, IS [NOT] NULL
mod keys; //       values that the query gives, found in columns
mod choice; //     CASE by masks
mod lookup; //     CASE as a table
mod pattern; //    LIKE and IN with what the query gives
mod regexp; //     regular expressions that the query gives
mod letters; //    lower and upper
mod piece; //      split_index with what the query gives
mod pane; //       date_trunc, date_bin, window_start: fixed-size stretches of time
pub(in crate::function) mod text; // comparing strings by their views
pub(in crate::function) mod write; // what all share: typed arguments in, flat columns out

pub use arithmetic::{abs, negate};
pub use calendar::{date_part, month_start};
pub use cast::cast;
pub use choice::{Bits, Chooser, can_choose, choice};
pub use clock::{PROCESSING_TIME, current_watermark, proctime};
pub use fused::{Fused, FusedOperand};
pub use json::{JsonStyle, to_json};
pub use letters::{lower, upper};
pub use list::{array_insert, array_mode};
pub use logic::{is_not_null, is_null, not};
pub use lookup::lookup;
pub use nested::nested_text;
pub use pane::{date_bin, date_trunc, window_start};
pub use pattern::{in_list, like};
pub use piece::split_index;
pub use regexp::{regexp_extract, regexp_like, regexp_replace};
pub use shift::shift;
pub use type_name::type_name;

use std::sync::Arc;

use arrow::datatypes::DataType;

use super::ScalarKernel;

/// The operators between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
    And,
    Or,
    IsDistinctFrom,
    IsNotDistinctFrom,
}

impl BinaryOp {
    /// The operator as SQL writes it.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Rem => "%",
            BinaryOp::Eq => "=",
            BinaryOp::NotEq => "<>",
            BinaryOp::Lt => "<",
            BinaryOp::LtEq => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::GtEq => ">=",
            BinaryOp::And => "AND",
            BinaryOp::Or => "OR",
            BinaryOp::IsDistinctFrom => "IS DISTINCT FROM",
            BinaryOp::IsNotDistinctFrom => "IS NOT DISTINCT FROM",
        }
    }
}

/// The kernel of an operator between two types, `None` where there is no native one.
pub fn binary(op: BinaryOp, left: &DataType, right: &DataType) -> Option<Arc<dyn ScalarKernel>> {
    match op {
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem => {
            arithmetic::binary(op, left, right).or_else(|| decimal::binary(op, left, right))
        }
        BinaryOp::And | BinaryOp::Or => logic::binary(op, left, right),
        _ => compare::binary(op, left, right),
    }
}

/// `(a op b)`, as EXPLAIN shows operators.
fn show_infix(symbol: &str, args: &[String]) -> String {
    match args {
        [left, right] => format!("({left} {symbol} {right})"),
        _ => format!("{symbol}({})", args.join(", ")),
    }
}

/// `$function::<T>` for the machine type `T` of a kind, as a function pointer; `None` for kinds that are not listed.
macro_rules! for_kind {
    ($kind:expr, $function:ident as $pointer:ty: $($variant:ident $type:ty),+) => {
        match $kind {
            $(crate::batch::Kind::$variant => Some($function::<$type> as $pointer),)+
            _ => None,
        }
    };
}
use for_kind;

#[cfg(test)]
pub(in crate::function) mod testing;
#[cfg(test)]
mod tests;
