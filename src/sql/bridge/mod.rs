//! DataFusion's functions as our kernels: what has no kernel of its own runs through here, a batch at a time.
//!
//! Place       `sql/compile` builds these; pipelines hold them behind the same traits as the engine's own functions.
//! Invariants  a result has the type the plan says, strings as views; integer arithmetic never wraps; floats compare
//!             as PostgreSQL compares them (NaN equals NaN and is the greatest, -0.0 equals 0.0).

pub mod aggregate; // an aggregate function's accumulators as our states
mod error; //         what DataFusion reports, in our words
mod exact; //         rewrites expressions so that their arithmetic and comparisons mean what ours mean
mod float; //         floats in the one form that compares as PostgreSQL does
pub mod function; //  our functions as functions DataFusion can plan
pub mod scalar; //    an expression as a kernel
pub mod window; //    a window function as a function of partitions

pub use error::foreign;
