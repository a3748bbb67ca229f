//! Our functions as functions that DataFusion can plan: how users' own enter a query.
//!
//! Place       the catalog registers what this makes; `sql/compile` takes the kernel out again and runs it itself.

mod aggregate;
mod scalar;

pub use aggregate::{AggregateBinder, aggregate_function, aggregate_udf};
pub use scalar::{ScalarBinder, scalar_kernel, scalar_udf};
