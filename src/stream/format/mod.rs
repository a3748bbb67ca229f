//! The file formats there are: the words that name them, the endings and the first bytes that give them away.
//!
//! Place       asked by `source/file.rs` for reading and by `sink/file.rs` for writing. Users' formats are looked up in the
//!             same list, behind those of the engine, and by the same trait.

mod columns; // Parquet, Arrow, Avro
mod text; //    CSV, JSON, and the table for people

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use crate::error::{Error, Result};
use crate::pipeline::options::Options;
pub use crate::pipeline::{Compression, FileFormat, Format};

/// The formats of the engine, in the order they are told in.
fn built_in() -> Vec<Format> {
    vec![
        Format::new("csv", Arc::new(text::Csv)),
        Format::new("tsv", Arc::new(text::Tsv)),
        Format::new("json", Arc::new(text::Json)),
        Format::new("parquet", Arc::new(columns::Parquet)),
        Format::new("arrow", Arc::new(columns::ArrowFile)),
        Format::new("arrow_stream", Arc::new(columns::ArrowStream)),
        Format::new("avro", Arc::new(columns::Avro)),
        Format::new("table", Arc::new(text::People)),
    ]
}

/// The formats of an engine.
#[derive(Debug)]
pub struct Formats(RwLock<Vec<Format>>);

impl Default for Formats {
    fn default() -> Self {
        Formats(RwLock::new(built_in()))
    }
}

impl Clone for Formats {
    fn clone(&self) -> Self {
        Formats(RwLock::new(self.all()))
    }
}

impl Formats {
    /// All formats, those of the engine first.
    pub fn all(&self) -> Vec<Format> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds a format of the user's own.
    ///
    /// Failure: a word or an ending that another format has.
    pub fn register(&self, name: &str, format: Arc<dyn FileFormat>) -> Result<()> {
        let new = Format::new(&name.to_lowercase(), format);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        for old in known.iter() {
            if let Some(word) = new.words().find(|word| old.words().any(|known| same(known, word))) {
                return Err(Error::user(format!("format exists already: '{word}'; choose another name")));
            }
            if let Some(ending) =
                new.endings().iter().find(|ending| old.endings().iter().any(|known| same(known, ending)))
            {
                let owner = old.word();
                return Err(Error::user(format!("files ending in .{ending} are of the format '{owner}' already")));
            }
        }
        known.push(new);
        Ok(())
    }

    /// The format of a word, as the option 'format' has it.
    pub fn from_word(&self, word: &str) -> Result<Format> {
        let known = self.all();
        let found = known.iter().find(|format| format.words().any(|known| known.eq_ignore_ascii_case(word)));
        found.cloned().ok_or_else(|| {
            let known: Vec<_> = known.iter().flat_map(Format::words).collect();
            Error::user(format!("unknown format: '{word}'; known are {}", known.join(", ")))
        })
    }

    /// The option 'format', if it is given.
    pub fn from_options(&self, options: &mut Options) -> Result<Option<Format>> {
        options.take("format").map(|word| self.from_word(&word)).transpose()
    }

    /// The format that the ending of a file name gives away; a `.gz` or `.zst` behind it does not count.
    pub fn from_path(&self, path: &Path) -> Option<Format> {
        self.all().into_iter().find(|format| format.is_of(path))
    }

    /// The format that the first bytes of a file give away.
    pub fn from_magic(&self, head: &[u8]) -> Option<Format> {
        self.all().into_iter().find(|format| format.has_magic(head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_give_the_format_away() {
        let formats = Formats::default();
        let check = |name: &str, expected: Option<&str>| {
            let found = formats.from_path(Path::new(name));
            assert_eq!(found.as_ref().map(Format::word), expected, "{name}");
        };
        check("a/b.csv", Some("csv"));
        check("b.CSV.gz", Some("csv"));
        check("b.ndjson.zst", Some("json"));
        check("b.tar.gz", None);
        check("b.gz", None);
        check("parquet", None);
        check("b.arrows", Some("arrow_stream"));
        check("x.parquet.tmp-1", None);
    }

    #[test]
    fn magic_gives_the_format_away() {
        let formats = Formats::default();
        let check = |head: &[u8], expected: Option<&str>| {
            assert_eq!(formats.from_magic(head).as_ref().map(Format::word), expected);
        };
        check(b"PAR1....", Some("parquet"));
        check(b"Obj\x01", Some("avro"));
        check(b"Obj", None);
        check(b"{\"a\":1}", None);
    }

    #[test]
    fn unknown_words_are_refused_with_the_known_ones() {
        let message = Formats::default().from_word("xlsx").unwrap_err().to_string();
        assert!(message.starts_with("unknown format: 'xlsx'; known are csv, tsv"), "{message}");
    }

    struct Own(&'static [&'static str]);

    impl FileFormat for Own {
        fn endings(&self) -> &[&str] {
            self.0
        }
    }

    #[test]
    fn names_and_endings_are_given_once() {
        let formats = Formats::default();
        let refused = |name: &str, endings| formats.register(name, Arc::new(Own(endings))).unwrap_err().to_string();
        assert_eq!(refused("NDJSON", &[]), "format exists already: 'ndjson'; choose another name");
        assert_eq!(refused("own", &["Csv"]), "files ending in .Csv are of the format 'csv' already");
        formats.register("own", Arc::new(Own(&["own"]))).unwrap();
        assert_eq!(refused("other", &["own"]), "files ending in .own are of the format 'own' already");
        assert_eq!(formats.from_path(Path::new("a.own.gz")).unwrap().word(), "own");
        assert!(Formats::default().from_word("own").is_err());
    }
}
