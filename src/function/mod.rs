//! SQL functions: what a scalar or an aggregate must offer, and the engine's own ones, written as kernels.
//!
//! Place       expressions call scalars, aggregate operators own the states that aggregates make.
//! Invariants  a kernel writes one value per row; values under nulls never make it fail; it keeps no state between
//!             batches. Users' kernels enter through the same traits as the engine's own.

mod kernel; //    the traits
mod partition; // that of functions of sorted rows

pub mod custom; //    the users' own: closures and traits as kernels
pub mod native; //    kernels of shared libraries
pub mod dialect; //   functions that other engines have, written as closures
pub mod aggregate; // count, sum, min, max and their kin, a family per file
pub mod scalar; //    arithmetic, comparison, boolean logic, casts, windows, a family per file

pub use kernel::{AggregateFunction, AggregateStates, KernelContext, ScalarKernel, Update};
pub use partition::{Partition, PartitionFunction};
