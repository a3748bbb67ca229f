//! Comma-separated values (RFC 4180 and its relatives), straight into the projected columns.
//!
//! Invariants  a quote opens a field only at the field's start, elsewhere it is a character like others; a doubled quote
//!             within quotes is one quote; lines end with `\n` or `\r\n`; empty lines are skipped unless rows have one
//!             field. An empty field without quotes is NULL, `""` is the empty string; in columns that are no strings
//!             both are NULL. One empty field more than the table has, at the end of a line, is not counted.

mod options; //   delimiter, quote, header, null strings
mod quotes; //    which bytes are quoted
mod structure; // where fields and rows end
mod field; //     one field that is not plain
mod header; //    which field is which column
mod fill; //      the fields of a column
mod decoder; //   blocks → batches
mod infer; //     names and types from a sample

pub use decoder::CsvDecoder;
pub use header::Layout;
pub use infer::{Inferred, infer, sniff};
pub use options::{CsvOptions, Header};
pub use quotes::Cutter;
