//! Table functions and operators of the users' own, as plans know them: what they give, and where their rows must be.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;

use super::Table;
use crate::error::Result;

/// A function in FROM that is a source of rows: `FROM series(1, 10)`.
pub trait TableFunction: Debug + Send + Sync {
    /// The table that a call stands for. `args` are constants, arrays of length 1.
    ///
    /// Failure: a user's error about the arguments.
    fn table(&self, args: &[ArrayRef]) -> Result<Arc<dyn Table>>;
}

/// A function in FROM that is an operator over another table's rows: `FROM f(TABLE t, 10)`.
pub trait OperatorFunction: Debug + Send + Sync {
    /// What a call gives for rows of `input`. `args` are constants, arrays of length 1.
    ///
    /// Failure: a user's error about the columns or the arguments.
    fn bind(&self, input: &SchemaRef, args: &[ArrayRef]) -> Result<BoundOperator>;
}

/// An operator function with its arguments: what a plan must know of it.
#[derive(Debug, Clone)]
pub struct BoundOperator {
    /// Columns that it puts out.
    pub schema: SchemaRef,
    /// The column that still carries the event time of the input; `None`: watermarks go no further.
    pub event_time: Option<usize>,
    /// Where its rows must be.
    pub placement: Placement,
    /// Whether it takes changes, and gives what follows from them; else an input whose rows may be taken back is refused.
    pub takes_changes: bool,
    /// What makes the running operator, as the data's way knows it.
    pub maker: Arc<dyn Any + Send + Sync>,
}

/// Where the rows of an operator must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// Anywhere: each worker has an instance for the rows it has.
    Anywhere,
    /// Rows of equal values in these columns of the input in one place, in an instance per worker.
    ByKey(Vec<usize>),
    /// All in one place, in one instance.
    Together,
}

/// Runs an operator of a user's.
#[derive(Debug, Clone)]
pub struct CustomSpec {
    /// The function's name.
    pub name: String,
    pub operator: BoundOperator,
}
