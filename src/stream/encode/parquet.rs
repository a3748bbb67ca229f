//! Parquet files: snappy, row groups of about a million rows.

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::add_encoded_arrow_schema_to_metadata;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::Encoder;
use super::ipc::portable_type;
use super::names::unique_schema;
use crate::error::{Error, Result};

const ROW_GROUP_ROWS: usize = 1 << 20;

/// Writes a Parquet file.
pub struct ParquetEncoder {
    schema: SchemaRef,
    writer: ArrowWriter<Vec<u8>>,
}

impl ParquetEncoder {
    /// Failure: a type that Parquet does not have.
    pub fn new(schema: &SchemaRef) -> Result<Self> {
        let schema = unique_schema(schema);
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        // Views are this engine's way to hold strings; other readers are told of plain ones.
        add_encoded_arrow_schema_to_metadata(&portable_schema(&schema), &mut properties);
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), schema.clone(), options).map_err(failed)?;
        Ok(ParquetEncoder { schema, writer })
    }
}

impl Encoder for ParquetEncoder {
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let rows = rows.clone().with_schema(self.schema.clone())?;
        self.writer.write(&rows).map_err(failed)?;
        out.append(self.writer.inner_mut());
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.writer.finish().map_err(failed)?;
        out.append(self.writer.inner_mut());
        Ok(())
    }
}

fn portable_schema(schema: &Schema) -> Schema {
    let fields = schema.fields().iter();
    let fields = fields.map(|field| field.as_ref().clone().with_data_type(portable_type(field.data_type())));
    Schema::new(fields.collect::<Vec<_>>())
}

fn failed(error: ParquetError) -> Error {
    let message = format!("rows cannot be written as parquet: {error}");
    match error {
        ParquetError::NYI(_) | ParquetError::ArrowError(_) => Error::user(message).caused_by(error),
        _ => Error::outside(message).caused_by(error),
    }
}
