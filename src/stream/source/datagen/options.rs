//! The `WITH` options of generated tables: read by name, refused by name.

use std::fmt::Display;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::pipeline::TableDefinition;

/// How fast generated rows may be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As fast as they can be made.
    Max,
    /// Each when its event time has come, counted from the first read.
    Realtime,
}

/// Looks at the options of a definition.
pub struct Options<'a> {
    definition: &'a TableDefinition,
}

impl<'a> Options<'a> {
    pub fn new(definition: &'a TableDefinition) -> Self {
        Options { definition }
    }

    /// Refuses what is neither in `known` nor accepted by `also`.
    pub fn refuse_unknown(&self, connector: &str, known: &[&str], also: impl Fn(&str) -> bool) -> Result<()> {
        for key in self.definition.options.keys() {
            if !known.contains(&key.as_str()) && !also(key) {
                return Err(Error::user(format!(
                    "unknown option of connector '{connector}': '{key}'; known are {}",
                    known.join(", ")
                )));
            }
        }
        Ok(())
    }

    /// The names of all options given.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.definition.options.keys().map(String::as_str)
    }

    /// The text of an option.
    pub fn text(&self, key: &str) -> Option<&'a str> {
        self.definition.options.get(key).map(|value| value.trim())
    }

    /// A number between `min` and `max`; underscores may group its digits.
    pub fn number<T: FromStr + PartialOrd + Display>(&self, key: &str, min: T, max: T) -> Result<Option<T>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        match text.replace('_', "").parse::<T>() {
            Ok(number) if number >= min && number <= max => Ok(Some(number)),
            _ => Err(Error::user(format!("option '{key}' must be a number from {min} to {max}: '{text}'"))),
        }
    }

    /// The option `pace`, `max` unless given.
    pub fn pace(&self) -> Result<Pace> {
        match self.text("pace").unwrap_or("max").to_ascii_lowercase().as_str() {
            "max" => Ok(Pace::Max),
            "realtime" => Ok(Pace::Realtime),
            other => Err(Error::user(format!("option 'pace' must be 'max' or 'realtime': '{other}'"))),
        }
    }
}
