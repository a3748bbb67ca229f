//! A table of files, whatever their format.
//!
//! Place       from `connect.rs`; picks the format by option, ending or first bytes, then hands over.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::listing::{Wanted, is_stdin, list, reason};
use crate::error::{Error, Result};
use crate::pipeline::options::Options;
use crate::pipeline::{Files, Format, Table, TableDefinition};
use crate::stream::format::Formats;

/// Opens the files of the option 'path' as a table.
///
/// Failure: nothing there, an unknown format, a header that cannot be read, columns that do not fit the declared ones.
pub fn open(definition: &TableDefinition, formats: &Formats) -> Result<Arc<dyn Table>> {
    let mut options = Options::new(&definition.options);
    options.take("connector");
    // For writing only: a table may be read and written.
    options.take("append");
    let path = options.take("path").ok_or_else(|| Error::user("a file needs the option 'path'"))?;
    let format = match formats.from_options(&mut options)? {
        Some(format) => format,
        None => detect(&path, formats)?,
    };
    let opening = format.reader(&mut options)?;
    options.finish()?;
    opening(Files { path, format, declared: definition.schema.clone() })
}

/// The format of the files at a path: one for all of them.
pub fn detect(path: &str, formats: &Formats) -> Result<Format> {
    let unknown = |path: &str| Error::user(format!("format is not known: {path}; say it with the option 'format'"));
    if is_stdin(path) {
        return Err(unknown("standard input"));
    }
    let mut found: Option<(Format, &Path)> = None;
    let files = list(path, Wanted::Known(formats))?;
    for file in &files {
        let format = match formats.from_path(file) {
            Some(format) => format,
            None => formats.from_magic(&head(file)?).ok_or_else(|| unknown(&file.to_string_lossy()))?,
        };
        match &found {
            Some((other, first)) if !other.reads_like(&format) => {
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
