//! A row group that the parquet crate decodes: one with columns that are not read from pages here.

use std::fs::File;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;

use super::reader::Shape;
use super::{failed, is_dictionary_alone, open};
use crate::error::{Error, Result};
use crate::stream::source::late::{LateFilter, SAMPLE_ROWS};
use crate::stream::source::records::Records;

/// The rows of a row group.
pub(super) struct RowGroup {
    source: Source,
    rows: ParquetRecordBatchReader,
}

/// What is read.
struct Source {
    shape: Shape,
    group: usize,
}

impl RowGroup {
    pub(super) fn open(shape: Shape, group: usize) -> Result<Self> {
        let source = Source { shape, group };
        let shape = &source.shape;
        let builder = source.builder(source.metadata())?.with_projection(shape.mask.clone());
        let builder = match &shape.late {
            Some(late) if late.pays(source.sample(late)?).map_err(|e| source.failed(e))? => {
                builder.with_row_filter(late.row_filter())
            }
            _ => builder,
        };
        let rows = builder.with_batch_size(shape.plan.batch_rows).build().map_err(|e| source.failed(e))?;
        Ok(RowGroup { source, rows })
    }
}

impl Records for RowGroup {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        let failed = |e| self.source.failed(ParquetError::External(Box::new(e)));
        self.rows.next().transpose().map_err(failed)
    }
}

impl Source {
    fn failed(&self, error: ParquetError) -> Error {
        failed(&self.shape.file.path, Some(self.group), error)
    }

    /// The first rows, of the columns that a filter reads.
    fn sample(&self, late: &LateFilter) -> Result<ParquetRecordBatchReader> {
        let builder = self.builder(self.shape.file.metadata.clone())?.with_projection(late.mask());
        let builder = builder.with_batch_size(SAMPLE_ROWS).with_limit(SAMPLE_ROWS);
        builder.build().map_err(|e| self.failed(e))
    }

    fn builder(&self, metadata: ArrowReaderMetadata) -> Result<ParquetRecordBatchReaderBuilder<File>> {
        let file = open(&self.shape.file.path)?;
        Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata).with_row_groups(vec![self.group]))
    }

    /// The file's metadata, with those string columns as dictionaries that are nothing else in this row group.
    fn metadata(&self) -> ArrowReaderMetadata {
        let plain = &self.shape.file.metadata;
        let columns = self.shape.file.row_group(self.group).columns();
        let schema = plain.parquet_schema();
        let mut found = false;
        let mut fields: Vec<FieldRef> = plain.schema().fields().iter().cloned().collect();
        for (leaf, column) in columns.iter().enumerate() {
            let root = schema.get_column_root_idx(leaf);
            let is_text = fields[root].data_type() == &DataType::Utf8View;
            let read = self.shape.mask.leaf_included(leaf) && self.shape.plan.fit.keeps_file_column(root);
            if self.shape.dictionaries && is_text && read && is_dictionary_alone(column) {
                let data_type = DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8));
                fields[root] = Arc::new(Field::clone(&fields[root]).with_data_type(data_type));
                found = true;
            }
        }
        if !found {
            return plain.clone();
        }
        let schema = Arc::new(Schema::new_with_metadata(fields, plain.schema().metadata().clone()));
        let options = ArrowReaderOptions::new().with_schema(schema);
        ArrowReaderMetadata::try_new(plain.metadata().clone(), options).unwrap_or_else(|_| plain.clone())
    }
}
