//! State on its way out of an operator and back: columns with a name, cut by key where it has one.

use arrow::array::RecordBatch;

use crate::error::{Error, Result};

/// A piece of an operator's state: what a snapshot is made of.
///
/// An operator may leave as many as it likes, and several of one name. They come back to fresh instances of the same
/// operator, from all old instances together, and perhaps for another number of partitions.
#[derive(Debug, Clone)]
pub struct Section {
    /// What the columns are, as the operator calls them; with a version where the layout may change.
    pub name: String,
    pub rows: RecordBatch,
    /// Who gets the rows back.
    pub route: SectionRoute,
}

/// Which instances a section goes back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionRoute {
    /// Each row to the owner of its key: the first `key_count` columns, hashed as the exchange before the operator does.
    Key { key_count: usize },
    /// All rows to the first instance: for operators that run in one place.
    First,
    /// All rows to every instance: what is the same for all, and read by taking the least or the most.
    All,
}

impl Section {
    /// Fails where the section is none of this name.
    pub fn expect(&self, name: &str) -> Result<()> {
        match self.name == name {
            true => Ok(()),
            false => Err(Error::user(format!(
                "the snapshot was written by another version: it has '{}' where '{name}' is wanted",
                self.name
            ))),
        }
    }
}
