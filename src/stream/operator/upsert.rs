//! The last row per key: rows that replace one another become changes.
//!
//! Place       right behind the scan of an upsert table, and behind an exchange by its key.
//! Owns        the last row of each key, whose columns come first.
//! Invariants  what a batch does to a key leaves once, as `+I`, `-U +U` or `-D`; a row equal to the one before says
//!             nothing, and neither does a tombstone of a key that is not there. A key that was forgotten is not there.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::interleave;
use arrow::datatypes::{Schema, SchemaRef};

use super::expiry::KeyExpiry;
use super::{Next, Operator};
use crate::batch::{Batch, Change, Column};
use crate::error::Result;
use crate::pipeline::UpsertSpec;
use crate::state::{KeyedRows, Section, SectionRoute};

const SECTION: &str = "upsert 1";

/// A running upsert.
pub struct Upsert {
    schema: SchemaRef,
    key_count: usize,
    state: KeyedRows,
    /// Set where keys are forgotten.
    expiry: Option<KeyExpiry>,
}

/// What a batch did to a key.
struct Touched {
    before: Option<Box<[u8]>>,
    /// The row that last spoke of the key.
    row: usize,
}

impl Upsert {
    /// Failure: a column whose values cannot be compared.
    pub fn new(spec: &UpsertSpec, schema: SchemaRef) -> Result<Self> {
        let types: Vec<_> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let state = KeyedRows::new(&types, spec.key_count)?;
        // Of a tombstone nothing but the key is there.
        let free = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let schema = Arc::new(Schema::new(free.collect::<Vec<_>>()));
        Ok(Upsert { schema, key_count: spec.key_count, state, expiry: spec.ttl.map(KeyExpiry::new) })
    }
}

impl Operator for Upsert {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        let changes = batch.selected_changes();
        let watermarks = batch.selected_watermarks();
        let rows = batch.to_record(&self.schema)?;
        let (keys, values) = self.state.convert(rows.columns(), self.key_count)?;
        let mut touched: Vec<Touched> = Vec::new();
        let mut places: HashMap<&[u8], usize> = HashMap::new();
        let change = |row: usize| changes.as_ref().map_or(Change::INSERT, |changes| changes[row]);
        for row in 0..rows.num_rows() {
            let key = keys.row(row).data();
            let follows =
                row + 1 < rows.num_rows() && !change(row + 1).is_retraction() && keys.row(row + 1).data() == key;
            if let Some(expiry) = &mut self.expiry {
                expiry.touch(key, batch.now);
            }
            let before = match change(row) {
                // The old half of an update says nothing that is not known.
                Change::UPDATE_BEFORE if follows => continue,
                gone if gone.is_retraction() => self.state.remove(key),
                _ => self.state.insert(key, values.row(row).data()),
            };
            match places.get(key) {
                Some(&place) => touched[place].row = row,
                None => {
                    places.insert(key, touched.len());
                    touched.push(Touched { before, row });
                }
            }
        }
        let old = self.state.columns(touched.iter().filter_map(|touched| touched.before.as_deref()))?;
        let (mut picks, mut out, mut marks) = (Vec::new(), Vec::new(), Vec::new());
        let mut old_at = 0;
        for Touched { before, row } in &touched {
            let now = self.state.get(keys.row(*row).data());
            let old_row = old_at;
            old_at += before.is_some() as usize;
            let (minus, plus) = match (before.as_deref(), now) {
                (Some(before), Some(now)) if before == now => continue,
                (Some(_), Some(_)) => (Change::UPDATE_BEFORE, Change::UPDATE_AFTER),
                _ => (Change::DELETE, Change::INSERT),
            };
            let both = [(before.is_some(), (0, old_row), minus), (now.is_some(), (1, *row), plus)];
            for (_, pick, change) in both.into_iter().filter(|(is_there, ..)| *is_there) {
                picks.push(pick);
                out.push(change);
                marks.extend(watermarks.as_ref().map(|watermarks| watermarks[*row]));
            }
        }
        if picks.is_empty() {
            return Ok(());
        }
        let column =
            |(column, new)| Ok(Column::Array(interleave(&[&old[column] as &dyn arrow::array::Array, new], &picks)?));
        let new = rows.columns().iter().map(|column| column.as_ref()).enumerate();
        let mut pushed =
            Batch { columns: new.map(column).collect::<Result<_>>()?, rows: picks.len(), ..Batch::default() };
        pushed.changes = Some(out);
        if watermarks.is_some() {
            pushed.watermarks.set(&marks);
        }
        next.push(&mut pushed)
    }

    fn tick(&mut self, now: i64, _next: &mut Next<'_>) -> Result<()> {
        if let Some(expiry) = &mut self.expiry {
            expiry.forget(now, |key| drop(self.state.remove(key)));
            self.state.shrink();
        }
        Ok(())
    }

    fn next_tick(&self) -> Option<i64> {
        self.expiry.as_ref().filter(|_| !self.state.is_empty()).map(KeyExpiry::next_tick)
    }

    fn snapshot(&mut self) -> Result<Vec<Section>> {
        let rows = RecordBatch::try_new(self.schema.clone(), self.state.all()?)?;
        let route = SectionRoute::Key { key_count: self.key_count };
        Ok(vec![Section { name: SECTION.to_string(), rows, route }])
    }

    /// Keys live from the first look at the clock on, as long as if a row of theirs had come then.
    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        for section in sections {
            section.expect(SECTION)?;
            let (keys, values) = self.state.convert(section.rows.columns(), self.key_count)?;
            for row in 0..section.rows.num_rows() {
                if let Some(expiry) = &mut self.expiry {
                    expiry.restore(keys.row(row).data());
                }
                self.state.insert(keys.row(row).data(), values.row(row).data());
            }
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.state.size_bytes() + self.expiry.as_ref().map_or(0, KeyExpiry::size_bytes)
    }

    fn remarks(&self) -> String {
        format!("keys {}", self.state.len())
    }
}
