//! The options of a table's definition: asked for by name, converted, and refused where nobody asked.
//!
//! Place       between `CREATE TABLE ... WITH (...)` and whoever opens tables and sinks.
//! Invariants  an option is known once somebody has asked for it; `finish` refuses all others.

use std::cell::RefCell;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::pipeline::TableDefinition;

/// The options of one definition.
pub struct Options<'a> {
    definition: &'a TableDefinition,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Options<'a> {
    pub fn new(definition: &'a TableDefinition) -> Self {
        Options { definition, asked: RefCell::default() }
    }

    /// An option as it stands.
    pub fn text(&self, key: &'static str) -> Option<&'a str> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        self.definition.options.get(key).map(String::as_str)
    }

    /// An option that must be there.
    pub fn needed(&self, key: &'static str) -> Result<&'a str> {
        self.text(key).ok_or_else(|| Error::user(format!("table '{}' lacks an option: '{key}'", self.definition.name)))
    }

    /// An option that is `true` or `false`.
    pub fn flag(&self, key: &'static str, default: bool) -> Result<bool> {
        match self.text(key) {
            None => Ok(default),
            Some(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "on" | "yes" | "1" => Ok(true),
                "false" | "off" | "no" | "0" => Ok(false),
                _ => Err(Error::user(format!("option '{key}' is neither true nor false: '{text}'"))),
            },
        }
    }

    /// An option that is a number.
    pub fn number<T: FromStr>(&self, key: &'static str) -> Result<Option<T>> {
        let parse =
            |text: &str| text.parse().map_err(|_| Error::user(format!("option '{key}' is not a number: '{text}'")));
        self.text(key).map(parse).transpose()
    }

    /// An option that is one byte; `\t` and `tab` mean a tab.
    pub fn byte(&self, key: &'static str) -> Result<Option<u8>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        match text.as_bytes() {
            b"\\t" | b"tab" => Ok(Some(b'\t')),
            [byte] if byte.is_ascii() => Ok(Some(*byte)),
            _ => Err(Error::user(format!("option '{key}' is not a single ASCII character: '{text}'"))),
        }
    }

    /// Refuses the options nobody has asked for.
    pub fn finish(&self) -> Result<()> {
        let asked = self.asked.borrow();
        let unknown: Vec<_> = self.definition.options.keys().filter(|key| !asked.contains(&key.as_str())).collect();
        let Some(first) = unknown.first() else { return Ok(()) };
        let mut known: Vec<_> = asked.iter().map(|key| format!("'{key}'")).collect();
        known.sort_unstable();
        let name = &self.definition.name;
        Err(Error::user(format!("unknown option of table '{name}': '{first}'; known here are {}", known.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_nobody_asked_for() {
        let options = [("path", "a.csv"), ("hedaer", "true")].map(|(k, v)| (k.to_string(), v.to_string()));
        let definition = TableDefinition { name: "t".into(), schema: None, options: options.into() };
        let options = Options::new(&definition);
        assert_eq!(options.needed("path").unwrap(), "a.csv");
        assert!(options.flag("header", true).unwrap());
        let message = options.finish().unwrap_err().to_string();
        assert_eq!(message, "unknown option of table 't': 'hedaer'; known here are 'header', 'path'");
    }
}
