//! What joins share that hold their rows as bytes.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_empty_array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::row::RowConverter;

use crate::error::Result;
use crate::pipeline::JoinSide;
use crate::state::{Section, SectionRoute};

/// The place of a side among both.
pub(super) fn number(side: JoinSide) -> usize {
    usize::from(side == JoinSide::Right)
}

/// Rows written as bytes as columns again.
pub(super) fn parsed(converter: &RowConverter, rows: &[&[u8]], types: &[DataType]) -> Result<Vec<ArrayRef>> {
    if rows.is_empty() {
        return Ok(types.iter().map(new_empty_array).collect());
    }
    let parser = converter.parser();
    Ok(converter.convert_rows(rows.iter().map(|row| parser.parse(row)))?)
}

/// A section of columns, of which the first are keys; without a key all of it is the first worker's.
pub(super) fn section_by_key(name: &str, key_count: usize, columns: Vec<ArrayRef>) -> Result<Section> {
    let field = |(at, column): (usize, &ArrayRef)| Field::new(format!("c{at}"), column.data_type().clone(), true);
    let schema = Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>());
    let rows = RecordBatch::try_new(Arc::new(schema), columns)?;
    let route = if key_count == 0 { SectionRoute::First } else { SectionRoute::Key { key_count } };
    Ok(Section { name: name.to_string(), rows, route })
}
