//! A table of files, whatever their format.
//!
//! Place       from `connect.rs`; picks the format by option, ending or first bytes, then hands over.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::avro::AvroFile;
use super::columnar::FileTable;
use super::ipc::IpcFile;
use super::listing::{is_stdin, list, reason};
use super::parquet::ParquetFile;
use crate::error::{Error, Result};
use crate::pipeline::{Table, TableDefinition};
use crate::stream::format::Format;
use crate::stream::option::Options;

/// Opens the files of the option 'path' as a table.
///
/// Failure: nothing there, an unknown format, a header that cannot be read, columns that do not fit the declared ones.
pub fn open(definition: &TableDefinition) -> Result<Arc<dyn Table>> {
    let options = Options::new(definition);
    options.text("connector");
    let path = options.needed("path")?;
    let format = match Format::from_options(&options)? {
        Some(format) => format,
        None => detect(path)?,
    };
    if format.is_text() {
        return Err(Error::user(format!("format cannot be read: {}", format.word())));
    }
    options.finish()?;
    if is_stdin(path) {
        return Err(Error::user(format!("format cannot be read from standard input: {}; use a file", format.word())));
    }
    let declared = definition.schema.clone();
    Ok(match format {
        Format::Parquet => Arc::new(FileTable::<ParquetFile>::new(path, format, declared)?),
        Format::Arrow | Format::ArrowStream => Arc::new(FileTable::<IpcFile>::new(path, format, declared)?),
        Format::Avro => Arc::new(FileTable::<AvroFile>::new(path, format, declared)?),
        Format::Csv | Format::Tsv | Format::Json | Format::Table => unreachable!("text is handled above"),
    })
}

/// The format of the files at a path: one for all of them.
pub fn detect(path: &str) -> Result<Format> {
    let unknown = |path: &str| Error::user(format!("format is not known: {path}; say it with the option 'format'"));
    if is_stdin(path) {
        return Err(unknown(path));
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
