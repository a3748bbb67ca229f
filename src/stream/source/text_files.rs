//! Tables of text files as `CREATE TABLE` names them: the path is looked up anew for each scan, columns are found out.
//!
//! Place       between `file.rs` and `text.rs`, which reads a fixed list of inputs.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::block::Input;
use super::listing::{FILE_COLUMNS, Wanted, is_stdin, list};
use super::text::{TextFormat, TextTable};
use crate::batch::engine_schema;
use crate::error::Result;
use crate::pipeline::{Files, Format, Scan, ScanRequest, SystemColumn, Table};
use crate::stream::decode::{OnError, csv, json};

/// Bytes that columns are found out from.
const SAMPLE_BYTES: usize = 1 << 20;

/// A table of text files, or of a stream.
#[derive(Debug)]
pub struct TextFiles {
    path: String,
    format: Format,
    text: TextFormat,
    on_error: OnError,
    schema: SchemaRef,
    /// A stream, which can be read once; `None`: files, looked up for each scan.
    stream: Option<Input>,
}

impl TextFiles {
    /// Makes a table of these files; columns that are not declared are found out from the first one.
    pub fn new(files: Files, mut text: TextFormat, on_error: OnError) -> Result<Self> {
        let Files { path, format, declared } = files;
        let first = match is_stdin(&path) {
            true => Input::stdin(),
            false => input(list(&path, Wanted::Of(&format))?.swap_remove(0)),
        };
        let lines = text.sample_lines();
        let schema = match (declared, &mut text) {
            (Some(declared), TextFormat::Csv(options)) if !needs_sample(options) => declared,
            (Some(declared), TextFormat::Json(_)) => declared,
            (declared, TextFormat::Csv(options)) => {
                let inferred = named(&first, lines, |sample| csv::infer(sample, options))?;
                *options = inferred.options;
                declared.unwrap_or_else(|| Arc::new(inferred.schema))
            }
            (None, TextFormat::Json(_)) => Arc::new(named(&first, lines, json::infer)?),
        };
        let stream = matches!(first, Input::Stream(_)).then_some(first);
        let schema = engine_schema(&schema);
        let table = TextFiles { path, format, text, on_error, schema, stream };
        // Types that the format cannot hold are the text table's to refuse.
        let schema = table.table(Vec::new())?.schema();
        Ok(TextFiles { schema, ..table })
    }

    fn table(&self, inputs: Vec<Input>) -> Result<TextTable> {
        TextTable::new(inputs, self.text.clone(), &self.schema, self.on_error)
    }

    fn inputs(&self) -> Result<Vec<Input>> {
        match &self.stream {
            Some(stream) => Ok(vec![stream.clone()]),
            None => Ok(list(&self.path, Wanted::Of(&self.format))?.into_iter().map(input).collect()),
        }
    }
}

impl Table for TextFiles {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        match is_stdin(&self.path) {
            true => format!("stdin {}", self.format.word()),
            false => format!("file {} {}", self.format.word(), self.path),
        }
    }

    fn system_columns(&self) -> &[SystemColumn] {
        match self.stream {
            None => FILE_COLUMNS,
            Some(_) => &[SystemColumn::Partition, SystemColumn::Offset],
        }
    }

    fn open(&self, request: &ScanRequest) -> Result<Arc<dyn Scan>> {
        self.table(self.inputs()?)?.open(request)
    }
}

/// Whether something has to be found out of a CSV file although its columns are declared.
fn needs_sample(options: &csv::CsvOptions) -> bool {
    options.header == csv::Header::Auto
}

fn named<T>(input: &Input, lines: usize, infer: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
    infer(&input.sample(SAMPLE_BYTES, lines)?).map_err(|e| e.context(format!("file '{}'", input.name())))
}

/// A file; a named pipe is a stream, so that what a sample reads of it is not lost.
fn input(path: PathBuf) -> Input {
    if path.is_file() || !Path::new(&path).exists() {
        return Input::File(path);
    }
    let name = path.display().to_string();
    Input::stream(&name, move || Ok(Box::new(File::open(path)?)))
}
