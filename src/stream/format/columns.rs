//! Formats that hold columns: Parquet, Arrow as a file and as a stream, Avro.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::error::{Error, Result};
use crate::pipeline::options::Options;
use crate::pipeline::{Encoder, FileFormat, Files, Opening};
use crate::stream::encode::avro::AvroEncoder;
use crate::stream::encode::ipc::{IpcFileEncoder, IpcStreamEncoder};
use crate::stream::encode::parquet::ParquetEncoder;
use crate::stream::source::avro::AvroFile;
use crate::stream::source::columnar::{ColumnarFile, FileTable};
use crate::stream::source::ipc::IpcFile;
use crate::stream::source::listing::is_stdin;
use crate::stream::source::parquet::ParquetFile;

pub(super) struct Parquet;
/// Reading tells files from streams; writing makes a file.
pub(super) struct ArrowFile;
/// It can be read while it grows.
pub(super) struct ArrowStream;
pub(super) struct Avro;

const FILE: &[&str] = &["arrow", "ipc", "feather"];
const STREAM: &[&str] = &["arrows"];

impl FileFormat for Parquet {
    fn endings(&self) -> &[&str] {
        &["parquet"]
    }

    fn magic(&self) -> &[&[u8]] {
        &[b"PAR1"]
    }

    fn reader(&self, _: &mut Options) -> Result<Opening> {
        Ok(opening::<ParquetFile>())
    }

    fn encoder(&self, schema: &SchemaRef, _: &mut Options, _: bool) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(ParquetEncoder::new(schema)?))
    }
}

impl FileFormat for ArrowFile {
    fn aliases(&self) -> &[&str] {
        &["ipc", "feather"]
    }

    fn endings(&self) -> &[&str] {
        FILE
    }

    fn also_reads(&self) -> &[&str] {
        STREAM
    }

    fn magic(&self) -> &[&[u8]] {
        &[b"ARROW1"]
    }

    fn reader(&self, _: &mut Options) -> Result<Opening> {
        Ok(opening::<IpcFile>())
    }

    fn encoder(&self, schema: &SchemaRef, _: &mut Options, _: bool) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(IpcFileEncoder::new(schema)?))
    }
}

impl FileFormat for ArrowStream {
    fn endings(&self) -> &[&str] {
        STREAM
    }

    fn also_reads(&self) -> &[&str] {
        FILE
    }

    fn magic(&self) -> &[&[u8]] {
        &[b"\xff\xff\xff\xff"]
    }

    fn grows(&self) -> bool {
        true
    }

    fn reader(&self, _: &mut Options) -> Result<Opening> {
        Ok(opening::<IpcFile>())
    }

    fn encoder(&self, schema: &SchemaRef, _: &mut Options, _: bool) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(IpcStreamEncoder::new(schema)?))
    }
}

impl FileFormat for Avro {
    fn endings(&self) -> &[&str] {
        &["avro"]
    }

    fn magic(&self) -> &[&[u8]] {
        &[b"Obj\x01"]
    }

    fn reader(&self, _: &mut Options) -> Result<Opening> {
        Ok(opening::<AvroFile>())
    }

    fn encoder(&self, schema: &SchemaRef, _: &mut Options, _: bool) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(AvroEncoder::new(schema)?))
    }
}

fn opening<F: ColumnarFile>() -> Opening {
    Box::new(|files: Files| {
        if is_stdin(&files.path) {
            let format = files.format.word();
            return Err(Error::user(format!("format cannot be read from standard input: {format}; use a file")));
        }
        Ok(Arc::new(FileTable::<F>::new(files)?))
    })
}
