//! Options as strings, from the `WITH` clause: known ones are taken, the rest is refused.

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::error::{Error, Result};

/// The options of a `WITH` clause while they are being read: what nobody takes is refused at the end.
#[derive(Debug)]
pub struct Options {
    given: BTreeMap<String, String>,
    known: Vec<&'static str>,
}

impl Options {
    /// Starts reading `options`, keys in lower case.
    pub fn new(options: &BTreeMap<String, String>) -> Self {
        Options { given: options.clone(), known: Vec::new() }
    }

    /// Takes the value of `key`, if it is given.
    pub fn take(&mut self, key: &'static str) -> Option<String> {
        self.known.push(key);
        self.given.remove(key)
    }

    /// Takes the value of `key`, parsed.
    pub fn parse<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
        wanted: impl Display,
    ) -> Result<Option<T>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match parse(&value) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(Error::user(format!("option '{key}' must be {wanted}, not '{value}'"))),
        }
    }

    /// Refuses what nobody took.
    pub fn finish(mut self) -> Result<()> {
        let Some((unknown, _)) = self.given.pop_first() else { return Ok(()) };
        self.known.sort_unstable();
        Err(Error::user(format!("unknown option: '{unknown}'; the options known here are {}", self.known.join(", "))))
    }
}

/// One ASCII character, or `\t`.
pub fn character(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Some(*byte),
        [b'\\', b't'] => Some(b'\t'),
        _ => None,
    }
}

/// `true` or `false`, in any case.
pub fn boolean(text: &str) -> Option<bool> {
    text.to_ascii_lowercase().parse().ok()
}
