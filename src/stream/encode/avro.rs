//! Avro object container files: a block per batch.
//!
//! Invariants  types that Avro has no word for are refused when the sink is opened.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_avro::errors::AvroError;
use arrow_avro::writer::AvroWriter;

use super::Encoder;
use super::ipc::{portable_rows, portable_schema};
use crate::error::{Error, Result};

/// Writes an Avro file.
pub struct AvroEncoder {
    schema: SchemaRef,
    writer: AvroWriter<Shared>,
    bytes: Shared,
}

/// Bytes that the writer fills and the encoder empties: the writer does not lend its own.
#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn drain(&self, out: &mut Vec<u8>) {
        out.append(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl AvroEncoder {
    pub fn new(schema: &SchemaRef) -> Result<Self> {
        let schema = portable_schema(schema);
        let bytes = Shared::default();
        let writer = AvroWriter::new(bytes.clone(), Schema::clone(&schema)).map_err(failed)?;
        Ok(AvroEncoder { schema, writer, bytes })
    }
}

impl Encoder for AvroEncoder {
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        if rows.num_rows() > 0 {
            self.writer.write(&portable_rows(rows, &self.schema)?).map_err(failed)?;
        }
        self.bytes.drain(out);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.writer.finish().map_err(failed)?;
        self.bytes.drain(out);
        Ok(())
    }
}

fn failed(error: AvroError) -> Error {
    Error::user(format!("rows cannot be written as avro: {error}")).caused_by(error)
}
