//! Rows leave the engine: to a file or pipe, to the program around it, or nowhere.
//!
//! Place       last step of the data's way; implements `pipeline::Sink`.
//! Invariants  each sink settles changes by `encode::changes`; a reader that went away ends the query quietly.

pub mod form; //      how rows that come and go are written
pub mod file; //      files and standard output, in any format
mod output; //        where bytes go: a file, renamed when it is whole, or a pipe
pub mod memory; //    a list the caller holds
pub mod channel; //   an iterator the caller pulls
pub mod callback; //  a function the caller gave
pub mod blackhole; // nowhere, counted
pub mod fold; //      the final table, when the input ends

use arrow::array::RecordBatch;

use crate::batch::Change;

/// Rows and what each does to the answer; `None` means all are inserts.
pub type Rows = (RecordBatch, Option<Vec<Change>>);

#[cfg(test)]
mod tests;
