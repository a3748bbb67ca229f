//! The outside becomes batches, or bytes where a decoder stands between.
//!
//! Place       first step of the data's way; implements `pipeline::Table`.

pub mod listing; //      a path becomes files
pub mod file; //         a file table, whatever its format
pub mod block; //        bytes, cut into blocks of whole records
pub mod text; //         tables over CSV and NDJSON
pub mod text_files; //   the same, of files as CREATE TABLE names them
pub mod columnar; //     files that hold columns already: what they share
pub mod parquet;
mod late; // the columns of a filter first, then the others for the rows that pass
mod prune; //            row groups that statistics rule out
pub mod ipc; //          Arrow files and streams
pub mod avro;
pub mod file_records; // files that a reader of record batches opens: formats of users' own
pub mod changelog; //    rows that come and go
pub mod live; //         tables kept in memory while they change
pub mod memory; //       record batches in memory
pub mod push; //         record batches pushed by the program around us
mod pieces; //           scans whose pieces are known when they start
mod records; //          record batches become morsels' batches
mod fit; //              a file's columns become a table's
pub mod datagen; //      rows of any schema, made up
pub mod nexmark; //      the auction site of streaming benchmarks
pub mod tpch; //         the tables of TPC-H
pub mod measurements; // a billion temperatures, with their answer
pub mod scenario; //     small inputs whose answers are known by arithmetic

pub use file_records::of_records;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
