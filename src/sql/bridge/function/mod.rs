//! Our functions as functions that DataFusion can plan: how users' own enter a query.
//!
//! Place       the catalog registers what this makes; `sql/compile` takes the kernel out again and runs it itself.

mod aggregate;
mod beside; // the library's for texts, ours for bytes
mod times; // before 1970, and far away
mod coerce; // which of several signatures is meant
mod scalar;

pub use aggregate::{AggregateBinder, AggregateOverload, aggregate_function, aggregate_overloads, aggregate_udf};
pub use beside::beside;
pub(crate) use coerce::type_name;
pub use scalar::{ScalarBinder, ScalarOverload, scalar_kernel, scalar_overloads, scalar_udf};
pub use times::mend_times;
