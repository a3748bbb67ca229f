//! Expressions over columns, compiled into a list of kernel calls and run a batch at a time.
//!
//! Place       made by `sql/compile`, held in pipeline specs, run by operators.
//! Owns        the registers that intermediate columns are written into, reused from batch to batch.
//! Invariants  a step reads inputs, constants and registers of earlier steps only; only selected rows are evaluated,
//!             so an expression cannot fail on a row that a filter has taken away.

mod branches; //  CASE whose branches are computed for the rows that take them
mod evaluator; // runs a program over a batch
mod fused; //     arithmetic and a comparison in one pass
mod per_value; // once per value of a dictionary instead of once per row
mod program; //   the program as plain data

pub use branches::{Branch, Branches, Part};
pub use evaluator::Evaluator;
pub use program::{Builder, Constant, Operand, Program, Step};
