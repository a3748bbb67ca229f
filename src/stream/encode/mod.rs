//! Batches become bytes: text, one line per row, or files of columns.
//!
//! Place       before `sink`, which owns the file or pipe. What happens to `_op` is settled before, in `changes`.
//! Invariants  encoders append to the bytes they are given and keep none of their own that a `flush` should show.

pub mod avro;
mod cell; //       one value as text
pub mod changes; // what each row does to the answer, as sinks see it
pub mod csv;
pub mod ipc; //     Arrow files and streams
pub mod json;
mod names; //      column names, told apart
pub mod parquet;
pub mod table; //   an aligned table for people
mod time; //       dates and times as text

pub use crate::pipeline::Encoder;
