//! Newline-delimited JSON: an object per line, its members straight into the projected columns.
//!
//! Invariants  the grammar is strict (RFC 8259) in all of a line, whether a member is read or skipped; of a key that
//!             occurs twice the last one counts; a key that is missing, or null, is NULL; keys are compared as they are,
//!             and upper and lower case alike where no column has the very name; empty lines are skipped.
//!             Numbers may stand in quotes; timestamps and dates may be integers, in the column's own unit since 1970;
//!             a string column takes any value, other than strings as their JSON text; bytes are hexadecimal.

mod cursor; //  the grammar: strings, numbers, skipping
mod escape; //  strings with escapes
mod keys; //    keys in the order of the last row
mod member; //  one value → one row of a column
mod lines; //   where lines and their special bytes are
mod shape; //   what lines have in common
mod fill; //    one value of many lines → one column
mod shapes; //  lines of some shapes → columns
mod decoder; // blocks → batches
mod nested; //  lists, structs and maps
mod infer; //   names and types from a sample

#[cfg(test)]
mod tests;

pub use decoder::JsonDecoder;
pub use infer::infer;

use crate::error::Result;
use crate::pipeline::options::Options;

/// How a JSON file is written: nothing to choose so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonOptions {}

impl JsonOptions {
    /// Takes its options, of which there are none.
    pub fn take(_options: &mut Options) -> Result<Self> {
        Ok(JsonOptions {})
    }
}
