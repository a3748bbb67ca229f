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

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::error::Result;
use crate::stream::decode::options::Options;
use crate::stream::format::Format;

/// Turns rows into bytes.
pub trait Encoder: Send {
    /// Appends these rows.
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<()>;

    /// Appends what has been held back so far.
    fn flush(&mut self, _out: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    /// Appends the end: footers and all. Nothing is encoded after it.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()>;
}

/// The encoder of a format, for rows of `schema`, which has `_op` in front where rows may be taken back.
///
/// `continues`: whether the rows are put behind others, so that no header is wanted.
pub fn encoder(format: Format, schema: &SchemaRef, options: &mut Options, continues: bool) -> Result<Box<dyn Encoder>> {
    Ok(match format {
        Format::Csv => Box::new(csv::CsvEncoder::from_options(schema, b',', options, continues)?),
        Format::Tsv => Box::new(csv::CsvEncoder::from_options(schema, b'\t', options, continues)?),
        Format::Json => Box::new(json::JsonEncoder::new(schema)),
        Format::Table => Box::new(table::TableEncoder::new(schema)),
        Format::Parquet => Box::new(parquet::ParquetEncoder::new(schema)?),
        Format::Arrow => Box::new(ipc::IpcFileEncoder::new(schema)?),
        Format::ArrowStream => Box::new(ipc::IpcStreamEncoder::new(schema)?),
        Format::Avro => Box::new(avro::AvroEncoder::new(schema)?),
    })
}
