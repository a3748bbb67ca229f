//! Statements that look: SHOW TABLES, SHOW FUNCTIONS, DESCRIBE.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};

use super::reference;
use crate::error::Result;
use crate::sql::catalog::{Catalog, CatalogTable, Relation, TableKind};

/// A row per relation: name, kind, where from.
pub(super) fn tables(catalog: &Catalog) -> Result<RecordBatch> {
    let rows = catalog.relations().map(|(name, relation)| match relation {
        Relation::View(_) => [name.to_string(), "view".to_string(), String::new()],
        Relation::Table(entry) => {
            let source = ["connector", "path"]
                .iter()
                .filter_map(|key| entry.options.get(*key))
                .cloned()
                .collect::<Vec<_>>()
                .join(" ");
            let source = if entry.is_unbound() { "no source yet".to_string() } else { source };
            let kind = if entry.kind == TableKind::MaterializedView { "materialized view" } else { "table" };
            [name.to_string(), kind.to_string(), source]
        }
    });
    text_rows(["table_name", "table_type", "source"], rows.collect())
}

/// A row per function: name, kind, how it is called, what it does.
pub(super) fn functions(catalog: &Catalog) -> Result<RecordBatch> {
    let rows = reference::functions(catalog).into_iter().map(|info| {
        let description = match &info.alias_of {
            Some(real) if info.description.is_empty() => format!("The same as {real}."),
            _ => info.description,
        };
        [info.name, info.kind, info.signature, description]
    });
    text_rows(["function_name", "function_type", "signature", "description"], rows.collect())
}

/// A row per column of a table: name, type, whether it may be null, what else is known.
pub(super) fn columns(schema: &Schema, table: Option<&CatalogTable>) -> Result<RecordBatch> {
    let rows = schema.fields().iter().map(|field| {
        let mut notes = Vec::new();
        if let Some(table) = table {
            if table.primary_key.contains(field.name()) {
                notes.push("primary key".to_string());
            }
            if let Some(computed) = table.computed.iter().find(|computed| computed.name == *field.name()) {
                notes.push(format!("computed {}", computed.text));
            }
            if let Some(watermark) = table.watermark.as_ref().filter(|watermark| &watermark.column == field.name()) {
                notes.push(format!("watermark {}", watermark.text));
            }
        }
        let nullable = if field.is_nullable() { "YES" } else { "NO" };
        [field.name().clone(), field.data_type().to_string(), nullable.to_string(), notes.join(", ")]
    });
    text_rows(["column_name", "data_type", "is_nullable", "note"], rows.collect())
}

fn text_rows<const N: usize>(names: [&str; N], rows: Vec<[String; N]>) -> Result<RecordBatch> {
    let schema = Schema::new(names.map(|name| Field::new(name, DataType::Utf8View, false)).to_vec());
    let column =
        |at: usize| Arc::new(rows.iter().map(|row| Some(row[at].as_str())).collect::<StringViewArray>()) as ArrayRef;
    Ok(RecordBatch::try_new(Arc::new(schema), (0..N).map(column).collect())?)
}
