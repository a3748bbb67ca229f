//! What is wrong with a row, and what to do about it.

use std::str::FromStr;

use arrow::datatypes::Field;

use super::Block;
use crate::error::{Error, Result};

/// What to do with a row that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// The query fails.
    #[default]
    Fail,
    /// The row is left out and counted.
    Skip,
}

impl FromStr for OnError {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.to_ascii_lowercase().as_str() {
            "fail" => Ok(OnError::Fail),
            "skip" => Ok(OnError::Skip),
            _ => Err(Error::user(format!("option 'on_error' must be 'fail' or 'skip', not '{text}'"))),
        }
    }
}

/// Why a row cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The value's text is none of its column's type, or is out of range.
    Value,
    /// A null in a column declared NOT NULL.
    Null,
    /// The value is not UTF-8.
    Utf8,
    /// The row has another number of fields.
    FieldCount { found: usize, wanted: usize },
    /// A quote that is never closed.
    OpenQuote,
    /// Something follows a closing quote.
    AfterQuote,
    /// The grammar of the format.
    Syntax(&'static str),
}

/// A row that cannot be read: the first thing wrong with it. Places are bytes of its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Where its row begins.
    pub row: usize,
    /// The text at fault.
    pub start: usize,
    pub end: usize,
    /// Which of the projected columns is concerned.
    pub column: Option<usize>,
    pub reason: Reason,
}

impl Fault {
    /// The error the user sees. `source` is the file's name; `fields` are the projected columns.
    pub fn into_error<'a>(self, block: &Block, source: &str, fields: impl IntoIterator<Item = &'a Field>) -> Error {
        let line = block.line_of(self.row);
        let shown = shorten(block.text().get(self.start..self.end).unwrap_or_default());
        let field = self.column.and_then(|column| fields.into_iter().nth(column));
        let (column, data_type) = match field {
            Some(field) => (format!(", column {}", field.name()), shorten(field.data_type().to_string().as_bytes())),
            None => (String::new(), String::new()),
        };
        let place = format!("line {line} of {source}{column}");
        let what = match self.reason {
            Reason::Value => format!("value does not fit its column: {place}, expected {data_type}, found '{shown}'"),
            Reason::Null => format!("null in a column declared NOT NULL: {place}"),
            Reason::Utf8 => format!("text is not UTF-8: {place}, found '{shown}'"),
            Reason::FieldCount { found, wanted } => {
                format!("row has another number of fields than the table: {place}, expected {wanted}, found {found}")
            }
            Reason::OpenQuote => format!("quote is never closed: {place}, it opens at '{shown}'"),
            Reason::AfterQuote => format!("text follows a closing quote: {place}, found '{shown}'"),
            Reason::Syntax(expected) => format!("line is no JSON object: {place}, expected {expected} at '{shown}'"),
        };
        Error::user(format!("{what}; mend the line, or leave such lines out with 'on_error' = 'skip'"))
    }
}

/// The text as an error shows it: printable, and not long.
fn shorten(text: &[u8]) -> String {
    const SHOWN_MAX: usize = 60;
    let text = String::from_utf8_lossy(&text[..text.len().min(4 * SHOWN_MAX)]);
    let mut shown = String::new();
    for character in text.chars().take(SHOWN_MAX) {
        if character.is_control() { shown.extend(character.escape_default()) } else { shown.push(character) }
    }
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push_str("...");
    }
    shown
}
