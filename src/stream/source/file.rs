//! A table of files, whatever their format.
//!
//! Place       from `connect.rs`; picks the format by option, ending or first bytes, then hands over.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::avro::AvroFile;
use super::columnar::FileTable;
use super::ipc::IpcFile;
use super::listing::{is_stdin, list, reason};
use super::parquet::ParquetFile;
use super::text::TextFormat;
use super::text_files::TextFiles;
use crate::error::{Error, Result};
use crate::pipeline::{Table, TableDefinition};
use crate::stream::decode::OnError;
use crate::stream::decode::csv::CsvOptions;
use crate::stream::decode::json::JsonOptions;
use crate::stream::decode::options::Options;
use crate::stream::format::Format;

/// Opens the files of the option 'path' as a table.
///
/// Failure: nothing there, an unknown format, a header that cannot be read, columns that do not fit the declared ones.
pub fn open(definition: &TableDefinition) -> Result<Arc<dyn Table>> {
    let mut options = Options::new(&definition.options);
    options.take("connector");
    // For writing only: a table may be read and written.
    options.take("append");
    let path = options.take("path").ok_or_else(|| Error::user("a file needs the option 'path'"))?;
    let format = match Format::from_options(&mut options)? {
        Some(format) => format,
        None => detect(&path)?,
    };
    let declared = definition.schema.clone();
    match format {
        Format::Csv | Format::Tsv => {
            let mut csv = CsvOptions::take(&mut options)?;
            if format == Format::Tsv {
                csv.delimiter = csv.delimiter.or(Some(b'\t'));
            }
            text(&path, format, TextFormat::Csv(csv), declared, options)
        }
        Format::Json => {
            let json = JsonOptions::take(&mut options)?;
            text(&path, format, TextFormat::Json(json), declared, options)
        }
        Format::Parquet => columns(&path, format, options, || FileTable::<ParquetFile>::new(&path, format, declared)),
        Format::Arrow | Format::ArrowStream => {
            columns(&path, format, options, || FileTable::<IpcFile>::new(&path, format, declared))
        }
        Format::Avro => columns(&path, format, options, || FileTable::<AvroFile>::new(&path, format, declared)),
        Format::Table => Err(Error::user("format can only be written: table")),
    }
}

fn text(
    path: &str,
    format: Format,
    text: TextFormat,
    declared: Option<SchemaRef>,
    mut options: Options,
) -> Result<Arc<dyn Table>> {
    let on_error = options.take("on_error").map(|word| word.parse::<OnError>()).transpose()?.unwrap_or_default();
    options.finish()?;
    Ok(Arc::new(TextFiles::new(path, format, text, declared, on_error)?))
}

fn columns<T: Table + 'static>(
    path: &str,
    format: Format,
    options: Options,
    open: impl FnOnce() -> Result<T>,
) -> Result<Arc<dyn Table>> {
    options.finish()?;
    if is_stdin(path) {
        return Err(Error::user(format!("format cannot be read from standard input: {}; use a file", format.word())));
    }
    Ok(Arc::new(open()?))
}

/// The format of the files at a path: one for all of them.
pub fn detect(path: &str) -> Result<Format> {
    let unknown = |path: &str| Error::user(format!("format is not known: {path}; say it with the option 'format'"));
    if is_stdin(path) {
        return Err(unknown("standard input"));
    }
    let mut found: Option<(Format, &Path)> = None;
    let files = list(path, None)?;
    for file in &files {
        let format = match Format::from_path(file) {
            Some(format) => format,
            None => Format::from_magic(&head(file)?).ok_or_else(|| unknown(&file.to_string_lossy()))?,
        };
        match found {
            Some((other, first)) if !other.reads_like(format) => {
                let (first, second) = (first.display(), file.display());
                let message = format!("files are of different formats: {first} and {second}");
                return Err(Error::user(format!("{message}; say which with the option 'format'")));
            }
            Some(_) => {}
            None => found = Some((format, file)),
        }
    }
    Ok(found.expect("a listing is never empty").0)
}

/// The first bytes of a regular file; of anything else, none: what was read from a pipe would be lost.
fn head(path: &Path) -> Result<Vec<u8>> {
    let failed = |e| Error::outside(format!("file cannot be opened: {}: {}", path.display(), reason(&e)));
    let mut head = Vec::new();
    if path.is_file() {
        File::open(path).and_then(|file| file.take(8).read_to_end(&mut head)).map_err(failed)?;
    }
    Ok(head)
}
