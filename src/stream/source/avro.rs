//! Avro object container files: a file is one piece, decoded by arrow-avro.
//!
//! Place       under `columnar.rs`, which makes views of the strings: arrow-avro's own views lose nulls.
//! Invariants  a file that does not end in its sync marker was cut off, and is refused.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow_avro::reader::ReaderBuilder;

use super::columnar::ColumnarFile;
use super::listing::reason;
use super::pieces::Piece;
use super::records::{ReadPlan, RecordReader, Records};
use crate::error::{Error, Result};
use crate::pipeline::ScanRequest;

type AvroReader = arrow_avro::reader::Reader<BufReader<File>>;

/// An Avro file, its header read.
#[derive(Debug)]
pub struct AvroFile {
    path: PathBuf,
    schema: SchemaRef,
    bytes: u64,
}

impl ColumnarFile for AvroFile {
    fn open(path: &Path) -> Result<Self> {
        let file = open(path)?;
        let bytes = file.metadata().map_or(0, |about| about.len());
        let reader = build(path, file, ReaderBuilder::new())?;
        let mut tail = [0; 16];
        let mut file = open(path)?;
        file.seek(SeekFrom::End(-16)).and_then(|_| file.read_exact(&mut tail)).map_err(|e| failed(path, e.into()))?;
        if tail != reader.avro_header().sync() {
            let why = "its last block is not whole: it was cut off, or is still being written";
            return Err(Error::outside(format!("avro file cannot be read: {}: {why}", path.display())));
        }
        Ok(AvroFile { path: path.to_path_buf(), schema: reader.schema(), bytes })
    }

    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn row_count(&self) -> Option<u64> {
        None
    }

    fn pieces(self: &Arc<Self>, _: &ScanRequest, plan: &ReadPlan) -> Result<Vec<Piece>> {
        plan.progress.bytes_total.fetch_add(self.bytes, Ordering::Relaxed);
        let (file, plan) = (self.clone(), plan.clone());
        let open = move || -> Result<Box<dyn crate::pipeline::Reader>> {
            let records = AvroRecords::new(file.clone(), plan.clone())?;
            Ok(Box::new(RecordReader::new(records, plan.clone())))
        };
        Ok(vec![Piece { rows: None, turn: 0, open: Box::new(open) }])
    }
}

struct AvroRecords {
    file: Arc<AvroFile>,
    plan: ReadPlan,
    /// `None` after the end.
    reader: Option<AvroReader>,
}

impl AvroRecords {
    fn new(file: Arc<AvroFile>, plan: ReadPlan) -> Result<Self> {
        let mut builder = ReaderBuilder::new().with_batch_size(plan.batch_rows);
        // Rows without columns cannot be asked for: the first column is read to count them.
        let columns = &plan.picked.file_columns;
        builder = builder.with_projection(if columns.is_empty() { vec![0] } else { columns.clone() });
        let reader = Some(build(&file.path, open(&file.path)?, builder)?);
        Ok(AvroRecords { file, plan, reader })
    }
}

impl Records for AvroRecords {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        let record = reader.next().transpose().map_err(|e| failed(&self.file.path, e))?;
        if record.is_none() {
            self.plan.progress.add_bytes(self.file.bytes as usize);
            self.reader = None;
        }
        Ok(record)
    }
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|e| Error::outside(format!("file cannot be opened: {}: {}", path.display(), reason(&e))))
}

fn build(path: &Path, file: File, builder: ReaderBuilder) -> Result<AvroReader> {
    builder.build(BufReader::with_capacity(1 << 17, file)).map_err(|e| failed(path, e))
}

fn failed(path: &Path, error: ArrowError) -> Error {
    Error::outside(format!("avro file cannot be read: {}: {error}", path.display())).caused_by(error)
}
