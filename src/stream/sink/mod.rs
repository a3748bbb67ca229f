//! Rows leave the engine: to a file or pipe, to the program around it, or nowhere.
//!
//! Place       last step of the data's way; implements `pipeline::Sink`.
//! Invariants  each sink settles changes by `encode::changes`; a reader that went away ends the query quietly.

pub mod blackhole; // nowhere, counted
pub mod callback; //  a function the caller gave
pub mod channel;
pub mod file; //      files and standard output, in any format
pub mod memory; //    a list the caller holds
mod output; //        where bytes go: a file, renamed when it is whole, or a pipe //   an iterator the caller pulls

use arrow::array::RecordBatch;

use crate::batch::Change;

/// Rows and what each does to the answer; `None` means all are inserts.
pub type Rows = (RecordBatch, Option<Vec<Change>>);

#[cfg(test)]
mod tests;
