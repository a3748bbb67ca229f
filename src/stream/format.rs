//! The file formats: the words that name them, the endings and the first bytes that give them away.
//!
//! Place       asked by `source/file.rs` for reading and by `sink/file.rs` for writing.

use std::path::Path;

use super::decode::options::Options;
use crate::error::{Error, Result};

/// The formats of files and pipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv,
    Tsv,
    /// One JSON object per line.
    Json,
    Parquet,
    /// Arrow IPC, file or stream; reading tells them apart, writing makes a file.
    Arrow,
    /// Arrow IPC as a stream, which can be read while it grows.
    ArrowStream,
    Avro,
    /// An aligned table for people; can only be written.
    Table,
}

/// Words in the option 'format'.
const WORDS: [(&str, Format); 12] = [
    ("csv", Format::Csv),
    ("tsv", Format::Tsv),
    ("json", Format::Json),
    ("ndjson", Format::Json),
    ("jsonl", Format::Json),
    ("parquet", Format::Parquet),
    ("arrow", Format::Arrow),
    ("ipc", Format::Arrow),
    ("feather", Format::Arrow),
    ("arrow_stream", Format::ArrowStream),
    ("avro", Format::Avro),
    ("table", Format::Table),
];

/// Endings of file names, without compression.
const ENDINGS: [(&str, Format); 11] = [
    ("csv", Format::Csv),
    ("tsv", Format::Tsv),
    ("json", Format::Json),
    ("ndjson", Format::Json),
    ("jsonl", Format::Json),
    ("parquet", Format::Parquet),
    ("arrow", Format::Arrow),
    ("ipc", Format::Arrow),
    ("feather", Format::Arrow),
    ("arrows", Format::ArrowStream),
    ("avro", Format::Avro),
];

/// First bytes of files.
const MAGIC: [(&[u8], Format); 4] = [
    (b"PAR1", Format::Parquet),
    (b"ARROW1", Format::Arrow),
    (b"\xff\xff\xff\xff", Format::ArrowStream),
    (b"Obj\x01", Format::Avro),
];

impl Format {
    /// The format of a word, as the option 'format' has it.
    pub fn from_word(word: &str) -> Result<Format> {
        let found = WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
        found.map(|(_, format)| *format).ok_or_else(|| {
            let known: Vec<_> = WORDS.iter().map(|(known, _)| *known).collect();
            Error::user(format!("unknown format: '{word}'; known are {}", known.join(", ")))
        })
    }

    /// The option 'format', if it is given.
    pub fn from_options(options: &mut Options) -> Result<Option<Format>> {
        options.take("format").map(|word| Format::from_word(&word)).transpose()
    }

    /// The format that the ending of a file name gives away; a `.gz` or `.zst` behind it does not count.
    pub fn from_path(path: &Path) -> Option<Format> {
        let name = path.file_name()?.to_str()?;
        let name = Compression::from_path(path).map_or(name, |_| name.rsplit_once('.').map_or(name, |(stem, _)| stem));
        let ending = name.rsplit_once('.')?.1;
        ENDINGS.iter().find(|(known, _)| known.eq_ignore_ascii_case(ending)).map(|(_, format)| *format)
    }

    /// The format that the first bytes of a file give away.
    pub fn from_magic(head: &[u8]) -> Option<Format> {
        MAGIC.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, format)| *format)
    }

    /// Whether it is text, which may be compressed as a whole.
    pub fn is_text(self) -> bool {
        matches!(self, Format::Csv | Format::Tsv | Format::Json | Format::Table)
    }

    /// Whether files of both formats are read by the same reader.
    pub fn reads_like(self, other: Format) -> bool {
        let arrow = |format| matches!(format, Format::Arrow | Format::ArrowStream);
        self == other || (arrow(self) && arrow(other))
    }

    /// Its name in messages and in EXPLAIN.
    pub fn word(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Tsv => "tsv",
            Format::Json => "json",
            Format::Parquet => "parquet",
            Format::Arrow => "arrow",
            Format::ArrowStream => "arrow_stream",
            Format::Avro => "avro",
            Format::Table => "table",
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_give_the_format_away() {
        let check = |name: &str, expected| assert_eq!(Format::from_path(Path::new(name)), expected, "{name}");
        check("a/b.csv", Some(Format::Csv));
        check("b.CSV.gz", Some(Format::Csv));
        check("b.ndjson.zst", Some(Format::Json));
        check("b.tar.gz", None);
        check("b.gz", None);
        check("parquet", None);
        check("b.arrows", Some(Format::ArrowStream));
        check("x.parquet.tmp-1", None);
    }

    #[test]
    fn magic_gives_the_format_away() {
        assert_eq!(Format::from_magic(b"PAR1...."), Some(Format::Parquet));
        assert_eq!(Format::from_magic(b"Obj\x01"), Some(Format::Avro));
        assert_eq!(Format::from_magic(b"Obj"), None);
        assert_eq!(Format::from_magic(b"{\"a\":1}"), None);
    }

    #[test]
    fn unknown_words_are_refused_with_the_known_ones() {
        let message = Format::from_word("xlsx").unwrap_err().to_string();
        assert!(message.starts_with("unknown format: 'xlsx'; known are csv, tsv"), "{message}");
    }
}
