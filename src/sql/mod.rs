//! The query's way: text becomes a pipeline. The only room that knows DataFusion and sqlparser.
//!
//! ```text
//! text --parse--> statements --plan--> logical plan --optimize--> logical plan --compile--> pipeline
//!                                 ^
//!                              catalog
//! ```
//!
//! Place       under the engine, above `pipeline`; knows nothing of threads, operators and files.
//! Invariants  every error a user can cause has a place in their text where one can be known.

pub mod parse; //    1  text to syntax trees
pub mod catalog; //     names to schemas, functions, connectors
mod users; //           the users' own functions
mod registry; //        where packages of functions register themselves
pub mod plan; //     2  syntax tree to logical plan
mod optimize; //     3  logical plan to better logical plan
pub mod compile; //  4  logical plan to pipeline
pub mod bridge; //      DataFusion's functions as our kernels
mod tree; //            pieces of syntax trees made by hand
mod logical; //         small looks at logical plans
mod shown; //           expressions as texts
mod error; //           DataFusion's errors in our words
mod stack; //           room for recursion

pub(crate) use bridge::function::type_name;
pub use catalog::{Catalog, Kept};
pub use compile::compile;
pub use datafusion_expr::{AggregateUDF, ScalarUDF, WindowUDF};
pub(crate) use parse::nanoseconds;
pub use parse::{ExplainKind, Parsed, Setting, parse};
pub use plan::{Explain, FunctionDefinition, FunctionInfo, LogicalQuery, Planned, known_functions, plan};
pub use registry::Registry;
pub use stack::with_deep_stack;
pub use users::UserFunctions;
