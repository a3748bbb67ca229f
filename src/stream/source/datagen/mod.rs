//! Rows made up as declared, for any schema; and what all generated tables share.
//!
//! ```text
//! CREATE TABLE t (id BIGINT, name VARCHAR, ts TIMESTAMP(3)) WITH (
//!   'connector' = 'datagen', 'rows' = '1000000', 'seed' = '1', 'rate' = '10000',
//!   'fields.id.kind' = 'random', 'fields.id.min' = '1', 'fields.id.max' = '100', 'fields.name.values' = 'a,b,c')
//! ```
//!
//! Place       a source without bytes: only the columns that are asked for are made.
//! Invariants  a value is a pure function of seed, row and column: the same rows whatever the batches and workers.
//!
//! | kind | options | makes |
//! |---|---|---|
//! | `sequence` | `start` `end` `step` | start, start + step, ... end, and again; as text for strings |
//! | `random` | `min` `max`, or `length`, or `values` | evenly from min to max; letters, bytes or items; one of the values |
//! | `cycle` | `values` | the values in turn |
//! | `constant` | `values` | the one value |
//!
//! All take `null_rate`, 0 to 1. Without a kind, the options tell it; without any, timestamps are a sequence by `rate`
//! from 2024-01-01, everything else is random: whole numbers from 0 to 999,999 or the most their type holds, floats
//! from 0 to 1, decimals from 0 to below 1,000, dates in 2024, strings of 10 letters, lists of 3 items.

mod column; //  a column's options become a rule
pub mod hash; //    random bits from row numbers
mod make; //    a rule becomes a column
pub mod options; // the options of generated tables
pub mod rows; //    ranges of row numbers as morsels

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{Field, Schema, SchemaRef};

use crate::batch::Column;
use crate::error::{Error, Result};
use crate::pipeline::{Table, TableDefinition};
use column::Rule;
use hash::Hash;
use options::Options;
use rows::{RowSource, RowTable, Scratch};

const OPTIONS: [&str; 5] = ["connector", "rows", "rate", "seed", "pace"];
const RATE_DEFAULT: u64 = 10_000;
const RATE_MAX: u64 = 1_000_000_000;
/// Rows at most: products of row numbers and column numbers then stay apart.
const ROWS_MAX: u64 = 1_000_000_000_000_000;

/// Opens a table of made-up rows.
///
/// Failure: no declared columns; an unknown option or one that does not go with its column; a type without values.
pub fn table(definition: &TableDefinition) -> Result<Arc<dyn Table>> {
    let options = Options::new(definition);
    let Some(schema) = &definition.schema else {
        return Err(Error::user(format!("datagen needs declared columns: {}", definition.name)));
    };
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    options.refuse_unknown("datagen", &[&OPTIONS[..], &["fields.<column>.<option>"]].concat(), |key| {
        key.starts_with("fields.")
    })?;
    column::refuse_unknown(&options, &names)?;
    let rate = options.number("rate", 1, RATE_MAX)?.unwrap_or(RATE_DEFAULT);
    let rule = |field: &Arc<Field>| column::rule(&options, field, rate);
    let rules = schema.fields().iter().map(rule).collect::<Result<Vec<_>>>()?;
    let fields = schema.fields().iter().zip(&rules);
    let fields = fields.map(|(field, rule)| {
        let nullable = field.is_nullable() || rule.has_nulls();
        field.as_ref().clone().with_data_type(rule.data_type.clone()).with_nullable(nullable)
    });
    let source = Datagen {
        schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        rules,
        hash: Hash::new(options.number("seed", 0, u64::MAX)?.unwrap_or(0)),
        rows: options.number("rows", 0, ROWS_MAX)?,
        rate,
    };
    Ok(Arc::new(RowTable::new(source, options.pace()?)))
}

/// The rules of a table's columns.
#[derive(Debug)]
struct Datagen {
    schema: SchemaRef,
    rules: Vec<Rule>,
    hash: Hash,
    rows: Option<u64>,
    rate: u64,
}

impl RowSource for Datagen {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn rows(&self) -> Option<u64> {
        self.rows
    }

    fn rows_due(&self, elapsed: Duration) -> u64 {
        let rows = elapsed.as_nanos() * self.rate as u128 / 1_000_000_000;
        u64::try_from(rows).unwrap_or(ROWS_MAX).saturating_add(1)
    }

    fn describe(&self) -> String {
        let rows = self.rows.map_or(String::new(), |rows| format!(" rows={rows}"));
        format!("datagen{rows} rate={}", self.rate)
    }

    fn fill(&self, column: usize, rows: Range<u64>, scratch: &mut Scratch, out: &mut Column) -> Result<()> {
        self.rules[column].make(self.hash, column as u64 + 1, rows, scratch, out)
    }
}
