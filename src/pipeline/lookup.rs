//! Tables that are asked by key: what a service, a cache or a database answers, joined row by row.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::{Scan, ScanRequest, Table};
use crate::error::{Error, Result};
use crate::expression::Program;
use crate::pipeline::JoinKind;

/// A table that cannot be read as a whole, but gives the rows of keys.
///
/// Any function from keys to rows is one. Its answers stand for now: they are kept as [`LookupOptions`] says, and asked
/// for again after that.
pub trait LookupTable: Send + Sync {
    /// The rows of some keys.
    ///
    /// Shapes: `keys` has the table's key columns, no NULL, each combination once, at most a batch of rows. The answer has
    /// the columns of the table's schema, by their names, in any order of rows: any number for a key, none for keys that
    /// are not there; rows of other keys are passed over. Called by several threads at a time, which wait for it.
    ///
    /// Failure: fails the query; the table's name is put before the message.
    fn lookup(&self, keys: &RecordBatch) -> Result<RecordBatch>;
}

impl<F: Fn(&RecordBatch) -> Result<RecordBatch> + Send + Sync> LookupTable for F {
    fn lookup(&self, keys: &RecordBatch) -> Result<RecordBatch> {
        self(keys)
    }
}

/// How long answers of a [`LookupTable`] are kept, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupOptions {
    /// Keys whose rows each worker keeps, also those that have none; the ones not asked for longest go first. 0: none is
    /// kept beyond its batch.
    pub cache_keys_max: usize,
    /// After what time a key is asked for again; `None`: never.
    pub cache_ttl: Option<Duration>,
}

impl Default for LookupOptions {
    fn default() -> Self {
        LookupOptions { cache_keys_max: 100_000, cache_ttl: None }
    }
}

/// A [`LookupTable`] with what the planner must know of it.
pub struct Lookup {
    pub schema: SchemaRef,
    /// Columns of the schema.
    pub keys: Vec<usize>,
    pub options: LookupOptions,
    pub table: Arc<dyn LookupTable>,
}

impl Lookup {
    /// Failure: a key that is no column, or none.
    pub fn try_new(
        schema: SchemaRef,
        keys: &[&str],
        options: LookupOptions,
        table: Arc<dyn LookupTable>,
    ) -> Result<Lookup> {
        if keys.is_empty() {
            return Err(Error::user("a lookup table is asked by at least one key"));
        }
        let column = |key: &&str| {
            schema
                .index_of(key)
                .map_err(|_| Error::user(format!("a key of a lookup table is one of its columns: {key}")))
        };
        let keys = keys.iter().map(column).collect::<Result<Vec<_>>>()?;
        Ok(Lookup { schema, keys, options, table })
    }

    /// The names of its keys.
    pub fn key_names(&self) -> String {
        let names: Vec<&str> = self.keys.iter().map(|&key| self.schema.field(key).name().as_str()).collect();
        names.join(", ")
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lookup by {}", self.key_names())
    }
}

/// A lookup table in the catalog: it has columns, and nothing else can be read of it than by key.
#[derive(Debug)]
pub struct LookupRelation {
    pub lookup: Arc<Lookup>,
}

impl Table for LookupRelation {
    fn schema(&self) -> SchemaRef {
        self.lookup.schema.clone()
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        format!("lookup by {}", self.lookup.key_names())
    }

    fn lookup(&self) -> Option<&Arc<Lookup>> {
        Some(&self.lookup)
    }

    fn open(&self, _request: &ScanRequest) -> Result<Arc<dyn Scan>> {
        Err(Error::bug("a table that is asked by key has no rows to read"))
    }
}

/// Puts the rows of a lookup table beside each row of the input.
#[derive(Debug, Clone)]
pub struct LookupSpec {
    pub name: String,
    pub lookup: Arc<Lookup>,
    /// Inner, or left: rows without a match stay.
    pub kind: JoinKind,
    /// Over the input's columns: a value for each of the table's keys, of its type.
    pub keys: Arc<Program>,
    /// Conditions over the input's columns ++ all of the table's.
    pub conditions: Vec<Arc<Program>>,
    /// What leaves, of the input's columns ++ all of the table's.
    pub outputs: Vec<usize>,
}
