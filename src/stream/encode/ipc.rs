//! Arrow IPC: files with a footer, and streams that can be read while they grow.
//!
//! Invariants  strings are written as plain ones, which every reader knows, and whose bytes are only those of the
//!             rows: views would drag along every buffer they point into.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::{FileWriter, StreamWriter};

use super::Encoder;
use super::names::unique_schema;
use crate::error::{Error, Result};

/// Writes an Arrow file.
pub struct IpcFileEncoder {
    schema: SchemaRef,
    writer: FileWriter<Vec<u8>>,
}

/// Writes an Arrow stream.
pub struct IpcStreamEncoder {
    schema: SchemaRef,
    writer: StreamWriter<Vec<u8>>,
}

impl IpcFileEncoder {
    pub fn new(schema: &SchemaRef) -> Result<Self> {
        let schema = portable_schema(schema);
        let writer = FileWriter::try_new(Vec::new(), &schema).map_err(failed)?;
        Ok(IpcFileEncoder { schema, writer })
    }
}

impl IpcStreamEncoder {
    pub fn new(schema: &SchemaRef) -> Result<Self> {
        let schema = portable_schema(schema);
        let writer = StreamWriter::try_new(Vec::new(), &schema).map_err(failed)?;
        Ok(IpcStreamEncoder { schema, writer })
    }
}

impl Encoder for IpcFileEncoder {
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        self.writer.write(&portable_rows(rows, &self.schema)?).map_err(failed)?;
        out.append(self.writer.get_mut());
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.writer.finish().map_err(failed)?;
        out.append(self.writer.get_mut());
        Ok(())
    }
}

impl Encoder for IpcStreamEncoder {
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        self.writer.write(&portable_rows(rows, &self.schema)?).map_err(failed)?;
        out.append(self.writer.get_mut());
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.writer.finish().map_err(failed)?;
        out.append(self.writer.get_mut());
        Ok(())
    }
}

fn failed(error: ArrowError) -> Error {
    Error::user(format!("rows cannot be written as arrow: {error}")).caused_by(error)
}

/// The schema that files get: names told apart, plain strings.
pub fn portable_schema(schema: &SchemaRef) -> SchemaRef {
    let unique = unique_schema(schema);
    let fields = unique.fields().iter().map(portable_field).collect::<Vec<_>>();
    Arc::new(Schema::new(fields))
}

fn portable_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::clone(field).with_data_type(portable_type(field.data_type())))
}

/// The type that files get for a type of the engine.
pub fn portable_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        // A file has one dictionary per column, rows come with many.
        DataType::Dictionary(_, values) => portable_type(values),
        DataType::RunEndEncoded(_, values) => portable_type(values.data_type()),
        DataType::List(field) => DataType::List(portable_field(field)),
        DataType::FixedSizeList(field, length) => DataType::FixedSizeList(portable_field(field), *length),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(portable_field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(portable_field(entries), *sorted),
        other => other.clone(),
    }
}

/// The rows in the types that files get.
pub fn portable_rows(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = rows.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type())).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}
