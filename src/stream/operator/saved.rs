//! Columns as sections of a snapshot, and back.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Int64Type, Schema};
use smallvec::SmallVec;

use crate::batch::{Argument, Column, KernelColumn, ROWS_MAX, Selection};
use crate::error::{Error, Result};
use crate::state::{GroupIndex, Section, SectionRoute};

use arrow::datatypes::DataType;

/// A section of columns that cover `rows`, the first `key_count` of them the keys that say whose they are.
pub(super) fn section(name: &str, columns: Vec<ArrayRef>, rows: usize, key_count: usize) -> Result<Section> {
    let field = |(at, column): (usize, &ArrayRef)| Field::new(format!("c{at}"), column.data_type().clone(), true);
    let schema = Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>());
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let rows = RecordBatch::try_new_with_options(Arc::new(schema), columns, &options)?;
    let route = if key_count == 0 { SectionRoute::First } else { SectionRoute::Key { key_count } };
    Ok(Section { name: name.to_string(), rows, route })
}

/// Fails unless a section has this name and so many columns.
pub(super) fn check(section: &Section, name: &str, columns: usize) -> Result<()> {
    if section.name == name && section.rows.num_columns() == columns {
        return Ok(());
    }
    Err(Error::bug(format!(
        "this part of a snapshot is of another operator: {} with {} columns, not {name} with {columns}",
        section.name,
        section.rows.num_columns()
    )))
}

/// A saved column of integers.
pub(super) fn integers(section: &Section, column: usize) -> Result<&Int64Array> {
    let column = section.rows.column(column).as_primitive_opt::<Int64Type>();
    column.ok_or_else(|| Error::bug(format!("a saved number is of another type: {}", section.name)))
}

/// The keys of `groups`, a column per key.
pub(super) fn keys_of(index: &GroupIndex, types: &[DataType], groups: &[u32]) -> Result<Vec<ArrayRef>> {
    let mut columns = Vec::with_capacity(types.len());
    for (key, data_type) in types.iter().enumerate() {
        let mut column = Column::default();
        index.keys(key, groups, &mut column)?;
        columns.push(column.to_array(data_type, groups.len(), &Selection::default())?);
    }
    Ok(columns)
}

/// Finds or makes the groups of saved keys: the first columns of `columns`, which cover `rows`.
pub(super) fn find_keys(index: &mut GroupIndex, columns: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
    let mut all = Vec::with_capacity(rows);
    let mut groups = Vec::new();
    let mut from = 0;
    while from < rows {
        let count = (rows - from).min(ROWS_MAX);
        let pieces: SmallVec<[KernelColumn; 4]> =
            columns.iter().map(|column| KernelColumn::new(Column::Array(column.slice(from, count)))).collect();
        let arguments: SmallVec<[Argument<'_>; 4]> = pieces.iter().map(|piece| piece.argument(count)).collect();
        index.lookup(&arguments, count, &mut groups)?;
        all.extend_from_slice(&groups);
        from += count;
    }
    Ok(all)
}
