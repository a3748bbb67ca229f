//! A column of words: `+I -U +U -D`, as our own sinks write it.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};

use super::{Asked, BadRows, DEFAULT_OP, Form, first_null, position};
use crate::batch::{Batch, Change, Column, Selection};
use crate::error::Result;
use crate::pipeline::{Changelog, Table, TableDefinition};

/// Where the words stand.
#[derive(Debug)]
pub(super) struct Words {
    name: String,
    /// Its position inside; `None`: there is no such column, every row is given.
    op: Option<usize>,
    /// Where each column of the table stands inside.
    columns: Vec<usize>,
    fields: Vec<FieldRef>,
    /// Whether a row that is taken back has nothing but a key.
    has_tombstones: bool,
}

pub(super) fn table(asked: Asked, open: &dyn Fn(&TableDefinition) -> Result<Arc<dyn Table>>) -> Result<Arc<dyn Table>> {
    let name = asked.op_column.clone().unwrap_or_else(|| DEFAULT_OP.to_string());
    let is_needed = asked.op_column.is_some() || asked.changelog == Changelog::Retract;
    let inferred = || open(&TableDefinition { schema: None, ..asked.inner.clone() });
    let has_op =
        is_needed || (!asked.is_stream() && inferred().is_ok_and(|table| table.schema().index_of(&name).is_ok()));
    let (inner, schema) = match &asked.inner.schema {
        Some(declared) => {
            let op = has_op.then(|| Arc::new(Field::new(&name, DataType::Utf8View, false)));
            let fields = op.into_iter().chain(declared.fields().iter().map(|field| asked.read_field(field)));
            let read = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            (open(&TableDefinition { schema: Some(read), ..asked.inner.clone() })?, declared.as_ref().clone())
        }
        None => {
            let inner = inferred()?;
            let own = inner
                .schema()
                .fields()
                .iter()
                .filter(|field| !has_op || *field.name() != name)
                .cloned()
                .collect::<Vec<_>>();
            (inner, Schema::new(own))
        }
    };
    let op = if has_op { Some(position(&inner.schema(), &name)?) } else { None };
    let columns = schema.fields().iter().map(|field| position(&inner.schema(), field.name()));
    let form = Words {
        name,
        op,
        columns: columns.collect::<Result<_>>()?,
        fields: schema.fields().iter().cloned().collect(),
        has_tombstones: asked.changelog == Changelog::Upsert,
    };
    super::table(inner, &schema, &asked, form)
}

impl Form for Words {
    fn inner_projection(&self, projection: &[usize]) -> Vec<usize> {
        projection.iter().map(|&column| self.columns[column]).chain(self.op).collect()
    }

    fn inner_rows(&self, batch_rows: usize) -> usize {
        batch_rows
    }

    fn convert(&self, read: &mut Batch, batch: &mut Batch, projection: &[usize], bad: &mut BadRows<'_>) -> Result<()> {
        std::mem::swap(read, batch);
        if self.op.is_none() {
            return Ok(());
        }
        let rows = batch.rows;
        let mut op = batch.columns.pop().expect("the words were read behind the columns");
        let words = op.to_array(&DataType::Utf8View, rows, &Selection::default())?;
        let words = words.as_string_view();
        let must: Vec<usize> = match self.has_tombstones {
            true => (0..projection.len()).filter(|&slot| !self.fields[projection[slot]].is_nullable()).collect(),
            false => Vec::new(),
        };
        let fields: Vec<FieldRef> = must.iter().map(|&slot| self.fields[projection[slot]].clone()).collect();
        let checked = must
            .iter()
            .map(|&slot| shared(&mut batch.columns[slot], fields_type(&self.fields, projection[slot]), rows));
        let checked: Vec<ArrayRef> = checked.collect::<Result<_>>()?;
        let mut changes = Vec::with_capacity(rows);
        let mut good = Vec::new();
        for row in 0..rows {
            let Some(change) = Change::from_word(words.value(row)) else {
                let what = format!("found '{}', expected +I, -U, +U or -D", words.value(row));
                bad.refuse(row, &self.name, &what)?;
                changes.push(Change::INSERT);
                continue;
            };
            changes.push(change);
            match first_null(&checked, &fields, row).filter(|_| !change.is_retraction()) {
                Some(column) => bad.refuse(row, fields[column].name(), "null in a column declared NOT NULL")?,
                None => good.push(row as u16),
            }
        }
        batch.changes = Some(changes);
        if good.len() < rows {
            batch.selection.narrow(&good);
        }
        Ok(())
    }
}

fn fields_type(fields: &[FieldRef], column: usize) -> DataType {
    crate::batch::engine_type(fields[column].data_type())
}

/// The column as an Arrow array, which the batch keeps as well.
fn shared(column: &mut Column, data_type: DataType, rows: usize) -> Result<ArrayRef> {
    let array = column.to_array(&data_type, rows, &Selection::default())?;
    *column = Column::Array(array.clone());
    Ok(array)
}
