//! Envelopes as Debezium writes them: the row `before`, the row `after`, and `op`: c, u, d or r.
//!
//! Invariants  an update gives its row before and its row after, side by side. With a primary key the row before may be
//!             missing; without one it must be there, for it is what is taken back.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::compute::{cast, interleave};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};

use super::{Asked, BadRows, Form, first_null, members, position};
use crate::batch::{Batch, Change, Column, Selection, engine_type};
use crate::error::{Error, Result};
use crate::pipeline::{Changelog, Table, TableDefinition};

const PAYLOAD: &str = "payload";

/// How the envelopes of a table lie.
#[derive(Debug)]
pub(super) struct Envelope {
    /// The columns read inside: 'payload', or 'before', 'after' and 'op'.
    inner: Vec<usize>,
    inner_types: Vec<DataType>,
    fields: Vec<FieldRef>,
    is_upsert: bool,
}

pub(super) fn table(asked: Asked, open: &dyn Fn(&TableDefinition) -> Result<Arc<dyn Table>>) -> Result<Arc<dyn Table>> {
    let found = || open(&TableDefinition { schema: None, ..asked.inner.clone() });
    let fields = match &asked.inner.schema {
        Some(declared) => declared.fields().clone(),
        None => rows_inside(&found()?.schema(), asked.has_payload)?,
    };
    // A decoder of text must be told what stands in the envelope; a file of columns says it itself, and may say more.
    let inner = match asked.envelope {
        Some(super::Inside::Json) => open(&TableDefinition {
            schema: Some(Arc::new(envelope(&fields, asked.has_payload))),
            ..asked.inner.clone()
        })?,
        _ => found()?,
    };
    let schema = inner.schema();
    let names: &[&str] = if asked.has_payload { &[PAYLOAD] } else { &["before", "after", "op"] };
    let inner_columns = names.iter().map(|name| position(&schema, name)).collect::<Result<Vec<_>>>()?;
    let form = Envelope {
        inner_types: inner_columns.iter().map(|&column| schema.field(column).data_type().clone()).collect(),
        inner: inner_columns,
        fields: fields.iter().cloned().collect(),
        is_upsert: asked.changelog == Changelog::Upsert,
    };
    super::table(inner, &Schema::new(fields), &asked, form)
}

/// The columns of the rows in the envelopes of a file.
fn rows_inside(schema: &Schema, has_payload: bool) -> Result<Fields> {
    let inside = |fields: &Fields, name: &str| {
        let found = fields.iter().find(|field| field.name() == name);
        match found.map(|field| field.data_type()) {
            Some(DataType::Struct(fields)) => Some(fields.clone()),
            _ => None,
        }
    };
    let envelope = if has_payload { inside(schema.fields(), PAYLOAD) } else { Some(schema.fields().clone()) };
    let rows = envelope.and_then(|fields| inside(&fields, "after").or_else(|| inside(&fields, "before")));
    let rows = rows.ok_or_else(|| {
        let hint = if has_payload { "" } else { ", or say 'schema_include' = 'true' where they stand in 'payload'" };
        Error::user(format!("no envelope with a row 'after' was found; declare the columns{hint}"))
    })?;
    Ok(rows.iter().map(|field| Field::new(field.name(), engine_type(field.data_type()), true)).collect())
}

fn envelope(fields: &Fields, has_payload: bool) -> Schema {
    let row = DataType::Struct(members(fields));
    let envelope = vec![
        Field::new("before", row.clone(), true),
        Field::new("after", row, true),
        Field::new("op", if has_payload { DataType::Utf8 } else { DataType::Utf8View }, has_payload),
    ];
    if has_payload {
        Schema::new(vec![Field::new(PAYLOAD, DataType::Struct(envelope.into()), true)])
    } else {
        Schema::new(envelope)
    }
}

impl Envelope {
    /// Before, after and op of the records read.
    fn parts(&self, read: &mut Batch) -> Result<[ArrayRef; 3]> {
        let rows = read.rows;
        let columns = read.columns.iter_mut().zip(&self.inner_types);
        let mut columns = columns
            .map(|(column, data_type)| column.to_array(data_type, rows, &Selection::default()))
            .collect::<Result<Vec<_>>>()?;
        if let [payload] = columns.as_slice() {
            let payload = payload.as_struct().clone();
            let part = |name: &str| {
                let missing = || Error::user(format!("the envelope's payload has no '{name}'"));
                payload.column_by_name(name).cloned().ok_or_else(missing)
            };
            columns = vec![part("before")?, part("after")?, part("op")?];
        }
        let op = cast(&columns[2], &DataType::Utf8View)?;
        Ok([columns[0].clone(), columns[1].clone(), op])
    }

    /// The projected columns of rows in an envelope, of the table's types.
    fn columns(&self, rows: &ArrayRef, projection: &[usize]) -> Result<Vec<ArrayRef>> {
        let members: Option<&StructArray> = rows.as_struct_opt();
        let column = |&column: &usize| {
            let field = &self.fields[column];
            let data_type = engine_type(field.data_type());
            match members.and_then(|members| members.column_by_name(field.name())) {
                Some(values) => cast(values, &data_type).map_err(|e| {
                    Error::user(format!("column '{}' does not fit {data_type}: {}", field.name(), Error::from(e)))
                }),
                None => Ok(arrow::array::new_null_array(&data_type, rows.len())),
            }
        };
        projection.iter().map(column).collect()
    }
}

impl Form for Envelope {
    fn inner_projection(&self, _projection: &[usize]) -> Vec<usize> {
        self.inner.clone()
    }

    fn inner_rows(&self, batch_rows: usize) -> usize {
        (batch_rows / 2).max(1)
    }

    fn convert(&self, read: &mut Batch, batch: &mut Batch, projection: &[usize], bad: &mut BadRows<'_>) -> Result<()> {
        let [before, after, op] = self.parts(read)?;
        let words = op.as_string_view();
        let (old, new) = (self.columns(&before, projection)?, self.columns(&after, projection)?);
        let fields: Vec<FieldRef> = projection.iter().map(|&column| self.fields[column].clone()).collect();
        let (mut picks, mut changes) = (Vec::new(), Vec::new());
        for row in 0..read.rows {
            let word = if op.is_null(row) { "" } else { words.value(row) };
            let (gives, takes) = match word {
                "c" | "r" => (true, false),
                "u" => (true, !self.is_upsert || before.is_valid(row)),
                "d" => (false, true),
                _ => {
                    bad.refuse(row, "op", &format!("found '{word}', expected c, u, d or r"))?;
                    continue;
                }
            };
            if takes && before.is_null(row) {
                let what = "there is no row to take back; declare PRIMARY KEY if the last row per key counts";
                bad.refuse(row, "before", what)?;
                continue;
            }
            if gives && after.is_null(row) {
                bad.refuse(row, "after", "there is no row to give")?;
                continue;
            }
            if let Some(column) = first_null(&new, &fields, row).filter(|_| gives) {
                bad.refuse(row, &format!("after.{}", fields[column].name()), "null in a column declared NOT NULL")?;
                continue;
            }
            let is_update = takes && gives;
            if takes {
                picks.push((0, row));
                changes.push(if is_update { Change::UPDATE_BEFORE } else { Change::DELETE });
            }
            if gives {
                picks.push((1, row));
                changes.push(if is_update { Change::UPDATE_AFTER } else { Change::INSERT });
            }
        }
        let pick =
            |(old, new): (&ArrayRef, &ArrayRef)| Ok(Column::Array(interleave(&[old.as_ref(), new.as_ref()], &picks)?));
        batch.columns = old.iter().zip(&new).map(pick).collect::<Result<_>>()?;
        batch.rows = picks.len();
        batch.changes = Some(changes);
        Ok(())
    }
}
