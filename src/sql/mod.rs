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
pub mod plan; //     2  syntax tree to logical plan
mod optimize; //     3  logical plan to better logical plan
pub mod compile; //  4  logical plan to pipeline
pub mod bridge; //      DataFusion's functions as our kernels
mod error; //           DataFusion's errors in our words
mod stack; //           room for recursion

pub use catalog::{Catalog, Kept};
pub use compile::compile;
pub use parse::{ExplainKind, Parsed, parse};
pub use plan::{Explain, LogicalQuery, Planned, plan};
pub use stack::with_deep_stack;
