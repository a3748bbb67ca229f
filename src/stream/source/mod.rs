//! The outside becomes batches, or bytes where a decoder stands between.
//!
//! Place       first step of the data's way; implements `pipeline::Table`.

pub mod avro;
mod columnar; //     files that hold columns already: what they share
pub mod file; //     a file table, whatever its format
mod fit;
pub mod ipc; //      Arrow files and streams
pub mod listing; //  a path becomes files
pub mod memory; //   record batches in memory
pub mod parquet;
mod pieces; //       scans whose pieces are known when they start
mod prune; //        row groups that statistics rule out
pub mod push; //     record batches pushed by the program around us
mod records; //      record batches become morsels' batches //          a file's columns become a table's

pub use fit::normal_type;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
