//! Rows that come and go, as a table with one row per key sees them: for sinks that write by key.
//!
//! Place       the last operator before the output, where the sink's key may be another than the query's.
//! Owns        the rows of each key that are there; the one given last is the key's.
//! Invariants  what a batch does to a key leaves once, as `+I`, `-U +U` or `-D`. When the key's row goes and others of the
//!             same key are there, the one before it comes back.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, RecordBatch, new_empty_array};
use arrow::compute::interleave;
use arrow::datatypes::SchemaRef;
use arrow::row::RowConverter;

use super::{Next, Operator};
use crate::batch::{Batch, Change, Column};
use crate::error::{Error, Result};
use crate::pipeline::ByKeySpec;
use crate::state::{KeyedLists, Section, SectionRoute, row_converter};

const SECTION: &str = "by key 1";

/// The rows of a query, per key.
pub struct ByKey {
    schema: SchemaRef,
    key: Vec<usize>,
    keys: RowConverter,
    rows: RowConverter,
    state: KeyedLists,
}

impl ByKey {
    /// Failure: a column whose values cannot be compared.
    pub fn new(spec: &ByKeySpec, schema: SchemaRef) -> Result<Self> {
        let types: Vec<_> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let key_types: Vec<_> = spec.key.iter().map(|&column| types[column].clone()).collect();
        let (keys, rows) = (row_converter(&key_types)?, row_converter(&types)?);
        Ok(ByKey { schema, key: spec.key.clone(), keys, rows, state: KeyedLists::new() })
    }

    fn keys_of(&self, rows: &RecordBatch) -> Result<arrow::row::Rows> {
        let keys: Vec<ArrayRef> = self.key.iter().map(|&column| rows.column(column).clone()).collect();
        Ok(self.keys.convert_columns(&keys)?)
    }

    fn columns<'a>(&self, rows: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
        let parser = self.rows.parser();
        let mut rows = rows.map(|row| parser.parse(row)).peekable();
        if rows.peek().is_none() {
            return Ok(self.schema.fields().iter().map(|field| new_empty_array(field.data_type())).collect());
        }
        Ok(self.rows.convert_rows(rows)?)
    }
}

impl Operator for ByKey {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        let changes = batch.selected_changes();
        let rows = batch.to_record(&self.schema)?;
        let (keys, values) = (self.keys_of(&rows)?, self.rows.convert_columns(rows.columns())?);
        let mut touched: Vec<(usize, Option<Box<[u8]>>)> = Vec::new();
        let mut places: HashMap<&[u8], usize> = HashMap::new();
        for row in 0..rows.num_rows() {
            let (key, value) = (keys.row(row).data(), values.row(row).data());
            if !places.contains_key(key) {
                places.insert(key, touched.len());
                touched.push((row, self.state.last(key).map(Box::from)));
            }
            let change = changes.as_ref().map_or(Change::INSERT, |changes| changes[row]);
            if !change.is_retraction() {
                self.state.push(key, value);
            } else if !self.state.take(key, value) {
                return Err(Error::bug("a row was taken back that had not been given"));
            }
        }
        let after = |row: usize| self.state.last(keys.row(row).data());
        let old = self.columns(touched.iter().filter_map(|(_, before)| before.as_deref()))?;
        let new = self.columns(touched.iter().filter_map(|(row, _)| after(*row)))?;
        let (mut picks, mut out) = (Vec::new(), Vec::new());
        let (mut old_at, mut new_at) = (0, 0);
        for (row, before) in &touched {
            let (before, after) = (before.as_deref(), after(*row));
            let places = (old_at, new_at);
            old_at += before.is_some() as usize;
            new_at += after.is_some() as usize;
            let (minus, plus) = match (before, after) {
                (before, after) if before == after => continue,
                (Some(_), Some(_)) => (Change::UPDATE_BEFORE, Change::UPDATE_AFTER),
                _ => (Change::DELETE, Change::INSERT),
            };
            let both = [(before.is_some(), (0, places.0), minus), (after.is_some(), (1, places.1), plus)];
            for (_, pick, change) in both.into_iter().filter(|(is_there, ..)| *is_there) {
                picks.push(pick);
                out.push(change);
            }
        }
        let column = |(old, new): (&ArrayRef, &ArrayRef)| {
            Ok(Column::Array(interleave(&[old.as_ref() as &dyn Array, new.as_ref()], &picks)?))
        };
        let columns = old.iter().zip(&new).map(column).collect::<Result<_>>()?;
        next.push(&mut Batch { columns, rows: picks.len(), changes: Some(out), ..Batch::default() })
    }

    fn snapshot(&mut self) -> Result<Vec<Section>> {
        let rows = RecordBatch::try_new(self.schema.clone(), self.columns(self.state.all().into_iter())?)?;
        Ok(vec![Section { name: SECTION.to_string(), rows, route: SectionRoute::First }])
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        for section in sections {
            section.expect(SECTION)?;
            let (keys, values) = (self.keys_of(&section.rows)?, self.rows.convert_columns(section.rows.columns())?);
            for row in 0..section.rows.num_rows() {
                self.state.push(keys.row(row).data(), values.row(row).data());
            }
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.state.size_bytes()
    }
}
