//! The users' own functions: closures over values as kernels over columns, at the speed of the engine's own.
//!
//! Place       `engine` takes what is made here, and the catalog keeps it; a query meets it behind the same traits as the
//!             engine's own functions.
//! Invariants  a function that panics, fails or makes a column of another length or type ends its query with the
//!             function's name; the engine lives.

mod types; //    SQL values without a Rust type of their own
mod argument; // what closures may take
mod inputs; //   several of them as a tuple
mod value; //    what closures may return
mod closure; //  the loops
mod memo; //     equal texts are computed once
mod scalar; //   a closure as a scalar function
mod vector; //   kernels over whole columns
mod state; //    what an aggregate keeps
mod aggregate; // aggregates, as a trait and of closures
mod states; //   an aggregate's states as a table
mod lanes; //    the rows of one group

pub use aggregate::{Absent, Aggregate, Fold, Retract, RetractFn, Run, RunFn, Unmerge, UnmergeFn};
pub use argument::Arg;
pub use closure::{Call, Failure, ScalarFn, Signature};
pub use inputs::{Inputs, UpdateFn};
pub use scalar::{Attributes, Scalar};
pub use state::{Encode, State};
pub use states::AggregateDefinition;
pub use types::{Date, Decimal, Interval, Time, Timestamp, TimestampMillis, TimestampNanos, TimestampSeconds};
pub use value::{Done, Return, StringWriter, Value, Written};
pub use vector::{Vector, VectorCall, VectorKernel, with_scratch};

use std::sync::Arc;

use arrow::datatypes::DataType;

use super::{AggregateFunction, ScalarKernel};

/// A function to be registered with an engine: what a closure, a vector kernel or an aggregate becomes.
pub struct Function {
    pub name: String,
    /// What it does, in a sentence.
    pub doc: String,
    /// A call of it, as SQL.
    pub example: String,
    /// The types of its arguments, which the planner casts to.
    pub args: Vec<DataType>,
    pub body: Body,
}

/// What a [`Function`] runs.
pub enum Body {
    Scalar {
        kernel: Arc<dyn ScalarKernel>,
        /// The same with nulls for errors, where there can be any: `try_` and the name.
        trying: Option<Arc<dyn ScalarKernel>>,
    },
    Aggregate(Arc<dyn AggregateFunction>),
}

impl From<Scalar> for Function {
    fn from(scalar: Scalar) -> Function {
        let trying = scalar.signature.can_fail.then(|| scalar.kernel(true));
        let body = Body::Scalar { kernel: scalar.kernel(false), trying };
        let Scalar { name, doc, example, signature, .. } = scalar;
        Function { name, doc, example, args: signature.args, body }
    }
}

impl From<Vector> for Function {
    fn from(vector: Vector) -> Function {
        let body = Body::Scalar { kernel: vector.kernel(), trying: None };
        let Vector { name, doc, example, args, .. } = vector;
        Function { name, doc, example, args, body }
    }
}

impl From<AggregateDefinition> for Function {
    fn from(definition: AggregateDefinition) -> Function {
        let AggregateDefinition { name, doc, example, args, function } = definition;
        Function { name, doc, example, args, body: Body::Aggregate(function) }
    }
}
