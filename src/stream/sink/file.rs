//! Files and standard output: an encoder, and the output its bytes go to.
//!
//! Invariants  text grows in place and is visible after each `flush`; files with a footer appear when they are whole.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::form::Form;
use super::output::Output;
use crate::batch::Change;
use crate::error::{Error, Result};
use crate::pipeline::options::{Options, boolean};
use crate::pipeline::{Compression, Encoder, Format, Sink, TableDefinition};
use crate::stream::encode::changes::{
    OP, envelope_schema, envelopes, only_inserts, rows_with_op, schema_with_op, upserts_with_op,
};
use crate::stream::format::Formats;

/// Bytes that wait before they are written.
const BUFFER_BYTES: usize = 256 << 10;

/// Opens the option 'path' for rows of `schema`.
///
/// The file is written anew, unless 'append' says that rows go behind those that are there.
pub fn open(
    definition: &TableDefinition,
    schema: SchemaRef,
    updating: bool,
    formats: &Formats,
) -> Result<Box<dyn Sink>> {
    let (form, mut options) = options_of(definition, updating)?;
    let schema = written(definition, &schema, form)?;
    let path = options.take("path").ok_or_else(|| Error::user("a file needs the option 'path'"))?;
    if matches!(path.as_str(), "-" | "/dev/stdout") {
        return stdout_as(definition, schema, updating, formats, "csv");
    }
    let path = Path::new(&path);
    let unknown = || Error::user(format!("format is not known: {}; say it with the option 'format'", path.display()));
    let format = match formats.from_options(&mut options)? {
        Some(format) => format,
        None => formats.from_path(path).ok_or_else(unknown)?,
    };
    let append = options.parse("append", boolean, "true or false")?.unwrap_or(false);
    if append && !format.is_text() {
        return Err(Error::user(format!("format cannot be appended to: {}; write to another file", format.word())));
    }
    let continues = append && path.metadata().is_ok_and(|about| about.len() > 0);
    let is_regular = path.metadata().map_or(true, |about| about.is_file());
    let whole_only = is_regular && !format.grows();
    let open = || match whole_only {
        true => Output::aside(path),
        false => Output::in_place(path, Compression::from_path(path), append),
    };
    build(options, &format, schema, form, continues, open)
}

/// Opens standard output, in the format of a word unless the options say another.
pub fn stdout(
    definition: &TableDefinition,
    schema: SchemaRef,
    updating: bool,
    formats: &Formats,
    word: &str,
) -> Result<Box<dyn Sink>> {
    let (form, _) = options_of(definition, updating)?;
    let schema = written(definition, &schema, form)?;
    stdout_as(definition, schema, updating, formats, word)
}

/// The same, of rows as they are written.
fn stdout_as(
    definition: &TableDefinition,
    schema: SchemaRef,
    updating: bool,
    formats: &Formats,
    word: &str,
) -> Result<Box<dyn Sink>> {
    let (form, mut options) = options_of(definition, updating)?;
    options.take("path");
    let format = match formats.from_options(&mut options)? {
        Some(format) => format,
        None => formats.from_word(word)?,
    };
    build(options, &format, schema, form, false, Output::stdout)
}

/// The options, those taken off that concern reading only: a table may be read and written.
fn options_of(definition: &TableDefinition, updating: bool) -> Result<(Form, Options)> {
    let (form, options) = Form::of(definition, updating)?;
    let mut options = Options::new(&options);
    options.take("connector");
    options.take("on_error");
    Ok((form, options))
}

/// The schema of rows as a form writes them.
fn written(definition: &TableDefinition, schema: &SchemaRef, form: Form) -> Result<SchemaRef> {
    Ok(match form {
        Form::Rows => schema.clone(),
        Form::Changes | Form::Upserts => {
            schema_with_op(schema, definition.options.get("op_column").map_or(OP, String::as_str))?
        }
        Form::Envelopes => envelope_schema(schema),
    })
}

fn build(
    mut options: Options,
    format: &Format,
    schema: SchemaRef,
    form: Form,
    continues: bool,
    open: impl FnOnce() -> Result<Output>,
) -> Result<Box<dyn Sink>> {
    let encoder = format.encoder(&schema, &mut options, continues)?;
    options.finish()?;
    Ok(Box::new(EncodedSink::new(encoder, open()?, schema, form)))
}

/// Encodes rows and writes the bytes.
pub struct EncodedSink {
    encoder: Box<dyn Encoder>,
    output: Output,
    /// Of the rows as they are written.
    schema: SchemaRef,
    form: Form,
    buffer: Vec<u8>,
}

impl EncodedSink {
    /// `schema` is that of the rows as `form` writes them.
    pub fn new(encoder: Box<dyn Encoder>, output: Output, schema: SchemaRef, form: Form) -> Self {
        EncodedSink { encoder, output, schema, form, buffer: Vec::new() }
    }

    fn write_out(&mut self) -> Result<()> {
        self.output.write(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl Sink for EncodedSink {
    fn write(&mut self, rows: &RecordBatch, changes: Option<&[Change]>) -> Result<()> {
        let shaped = match self.form {
            Form::Rows => {
                only_inserts(changes)?;
                rows.clone()
            }
            Form::Changes => rows_with_op(rows, changes, &self.schema)?,
            Form::Upserts => upserts_with_op(rows, changes, &self.schema)?,
            Form::Envelopes => envelopes(rows, changes, &self.schema)?,
        };
        self.encoder.encode(&shaped, &mut self.buffer)?;
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
