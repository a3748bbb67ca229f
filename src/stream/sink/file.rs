//! Files and standard output: an encoder, and the output its bytes go to.
//!
//! Invariants  text grows in place and is visible after each `flush`; files with a footer appear when they are whole.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::output::Output;
use crate::batch::Change;
use crate::error::{Error, Result};
use crate::pipeline::{Sink, TableDefinition};
use crate::stream::encode::changes::{only_inserts, rows_with_op, schema_with_op};
use crate::stream::encode::{Encoder, encoder};
use crate::stream::format::{Compression, Format};
use crate::stream::option::Options;

/// Bytes that wait before they are written.
const BUFFER_BYTES: usize = 256 << 10;

/// Opens the option 'path' for rows of `schema`.
pub fn open(definition: &TableDefinition, schema: SchemaRef, updating: bool) -> Result<Box<dyn Sink>> {
    let options = Options::new(definition);
    options.text("connector");
    let path = options.needed("path")?;
    if matches!(path, "-" | "/dev/stdout") {
        return stdout(definition, schema, updating, Format::Csv);
    }
    let format = match Format::from_options(&options)? {
        Some(format) => format,
        None => Format::from_path(Path::new(path))
            .ok_or_else(|| Error::user(format!("format is not known: {path}; say it with the option 'format'")))?,
    };
    let append = options.flag("append", false)?;
    if append && !format.is_text() {
        return Err(Error::user(format!("format cannot be appended to: {}; write to another file", format.word())));
    }
    let path = Path::new(path);
    let has_header = append && path.metadata().is_ok_and(|about| about.len() > 0);
    if has_header && matches!(format, Format::Csv | Format::Tsv) {
        let mut definition = definition.clone();
        definition.options.insert("header".to_string(), "false".to_string());
        return build(&Options::new(&definition), format, schema, updating, || in_place(path, true));
    }
    let whole_only = !format.is_text() && format != Format::ArrowStream;
    build(&options, format, schema, updating, || if whole_only { Output::aside(path) } else { in_place(path, append) })
}

/// Opens standard output, in `format` unless the options say another.
pub fn stdout(
    definition: &TableDefinition,
    schema: SchemaRef,
    updating: bool,
    format: Format,
) -> Result<Box<dyn Sink>> {
    let options = Options::new(definition);
    options.text("connector");
    options.text("path");
    let format = Format::from_options(&options)?.unwrap_or(format);
    build(&options, format, schema, updating, Output::stdout)
}

fn in_place(path: &Path, append: bool) -> Result<Output> {
    Output::in_place(path, Compression::from_path(path), append)
}

fn build(
    options: &Options,
    format: Format,
    schema: SchemaRef,
    updating: bool,
    open: impl FnOnce() -> Result<Output>,
) -> Result<Box<dyn Sink>> {
    let schema = if updating { schema_with_op(&schema) } else { schema };
    let encoder = encoder(format, &schema, options)?;
    options.finish()?;
    Ok(Box::new(EncodedSink::new(encoder, open()?, schema, updating)))
}

/// Encodes rows and writes the bytes.
pub struct EncodedSink {
    encoder: Box<dyn Encoder>,
    output: Output,
    /// With `_op` in front where rows may be taken back.
    schema: SchemaRef,
    updating: bool,
    buffer: Vec<u8>,
}

impl EncodedSink {
    /// `schema` has `_op` in front when `updating` is true.
    pub fn new(encoder: Box<dyn Encoder>, output: Output, schema: SchemaRef, updating: bool) -> Self {
        EncodedSink { encoder, output, schema, updating, buffer: Vec::new() }
    }

    fn write_out(&mut self) -> Result<()> {
        self.output.write(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl Sink for EncodedSink {
    fn write(&mut self, rows: &RecordBatch, changes: Option<&[Change]>) -> Result<()> {
        match self.updating {
            true => {
                let rows = rows_with_op(rows, changes, &self.schema)?;
                self.encoder.encode(&rows, &mut self.buffer)?;
            }
            false => {
                only_inserts(changes)?;
                self.encoder.encode(rows, &mut self.buffer)?;
            }
        }
        if self.buffer.len() >= BUFFER_BYTES { self.write_out() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.encoder.flush(&mut self.buffer)?;
        if !self.buffer.is_empty() {
            self.write_out()?;
            self.output.flush()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.encoder.finish(&mut self.buffer)?;
        self.write_out()?;
        self.output.finish()
    }
}
