//! The trait of file formats: how bytes become tables and rows become bytes.
//!
//! Place       `stream/format` implements it for the formats of the engine, users may; connectors look formats up by name.
//! Invariants  options are read before a file is touched, so that a misspelt one is refused first.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::Table;
use super::options::Options;
use crate::error::{Error, Result};

/// A format of files: what its names are, and how it is read and written.
///
/// One that can only be read or only be written leaves the other half as it is.
pub trait FileFormat: Send + Sync + 'static {
    /// Other words for it in the option 'format'.
    fn aliases(&self) -> &[&str] {
        &[]
    }

    /// Endings of file names that give it away, without the dot and without compression.
    fn endings(&self) -> &[&str] {
        &[]
    }

    /// Endings of files that it reads too, although they belong to another format.
    fn also_reads(&self) -> &[&str] {
        &[]
    }

    /// First bytes of files that give it away, where the name does not.
    fn magic(&self) -> &[&[u8]] {
        &[]
    }

    /// Whether a file is the same bytes whatever stands before and behind: then it may be compressed as a whole, appended
    /// to, and looked at while it is written.
    fn is_text(&self) -> bool {
        false
    }

    /// Whether a file can be read while it is written. Others appear when they are whole.
    fn grows(&self) -> bool {
        self.is_text()
    }

    /// Takes the options of reading, and gives what then opens the files: for most formats
    /// [`of_records`](crate::stream::source::of_records).
    ///
    /// Failure: an option that cannot be; a format that is only written.
    fn reader(&self, options: &mut Options) -> Result<Opening> {
        let _ = options;
        Err(Error::user("format can only be written"))
    }

    /// Takes the options of writing, and gives what encodes rows of `schema`, which has `_op` in front where rows may be
    /// taken back. `continues`: whether the rows are put behind others, so that no header is wanted.
    ///
    /// Failure: an option that cannot be; a type it has no form for; a format that is only read.
    fn encoder(&self, schema: &SchemaRef, options: &mut Options, continues: bool) -> Result<Box<dyn Encoder>> {
        let _ = (schema, options, continues);
        Err(Error::user("format can only be read"))
    }
}

/// Opens files as a table.
pub type Opening = Box<dyn FnOnce(Files) -> Result<Arc<dyn Table>>>;

/// Files of one format, as a definition names them.
#[derive(Debug, Clone)]
pub struct Files {
    /// A file, a folder, a pattern, or `-`.
    pub path: String,
    pub format: Format,
    /// Columns, where they were declared.
    pub declared: Option<SchemaRef>,
}

/// Turns rows into bytes.
pub trait Encoder: Send {
    /// Appends these rows.
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<()>;

    /// Appends what has been held back so far.
    fn flush(&mut self, _out: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    /// Appends the end: footers and all. Nothing is encoded after it.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()>;
}

/// A format under its name.
#[derive(Clone)]
pub struct Format {
    word: Arc<str>,
    inner: Arc<dyn FileFormat>,
}

impl Format {
    /// `word` is what the option 'format' and EXPLAIN call it.
    pub fn new(word: &str, inner: Arc<dyn FileFormat>) -> Self {
        Format { word: word.into(), inner }
    }

    /// Its name in messages and in EXPLAIN.
    pub fn word(&self) -> &str {
        &self.word
    }

    /// Its name and the other words for it.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        [self.word()].into_iter().chain(self.inner.aliases().iter().copied())
    }

    /// Endings of file names that give it away.
    pub fn endings(&self) -> &[&str] {
        self.inner.endings()
    }

    /// Whether the first bytes of a file give it away.
    pub fn has_magic(&self, head: &[u8]) -> bool {
        self.inner.magic().iter().any(|magic| head.starts_with(magic))
    }

    /// As [`FileFormat::is_text`].
    pub fn is_text(&self) -> bool {
        self.inner.is_text()
    }

    /// As [`FileFormat::grows`].
    pub fn grows(&self) -> bool {
        self.inner.grows()
    }

    /// Whether the ending of a file name gives it away; a `.gz` or `.zst` behind it does not count.
    pub fn is_of(&self, path: &Path) -> bool {
        ending(path).is_some_and(|ending| has(self.endings(), ending))
    }

    /// Whether it reads the files of such a name.
    pub fn reads(&self, path: &Path) -> bool {
        self.is_of(path) || ending(path).is_some_and(|ending| has(self.inner.also_reads(), ending))
    }

    /// Whether files of both formats are read by the same reader.
    pub fn reads_like(&self, other: &Format) -> bool {
        self == other || other.endings().iter().any(|ending| has(self.inner.also_reads(), ending))
    }

    /// As [`FileFormat::reader`]; errors name the format.
    pub fn reader(&self, options: &mut Options) -> Result<Opening> {
        self.inner.reader(options).map_err(|e| self.named(e))
    }

    /// As [`FileFormat::encoder`]; errors name the format.
    pub fn encoder(&self, schema: &SchemaRef, options: &mut Options, continues: bool) -> Result<Box<dyn Encoder>> {
        self.inner.encoder(schema, options, continues).map_err(|e| self.named(e))
    }

    /// The one half that a format lacks is told with its name.
    fn named(&self, error: Error) -> Error {
        match error.message() {
            "format can only be written" | "format can only be read" => {
                Error::user(format!("{}: {}", error.message(), self.word))
            }
            _ => error,
        }
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.word == other.word
    }
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word)
    }
}

fn has(endings: &[&str], ending: &str) -> bool {
    endings.iter().any(|known| known.eq_ignore_ascii_case(ending))
}

/// The ending of a file name, without compression.
fn ending(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    let name = Compression::from_path(path).map_or(name, |_| name.rsplit_once('.').map_or(name, |(stem, _)| stem));
    Some(name.rsplit_once('.')?.1)
}

/// How a text file is packed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    /// The compression that the ending of a file name gives away.
    pub fn from_path(path: &Path) -> Option<Compression> {
        let ending = path.extension()?.to_str()?;
        match ending.to_ascii_lowercase().as_str() {
            "gz" => Some(Compression::Gzip),
            "zst" => Some(Compression::Zstd),
            _ => None,
        }
    }
}
