//! What each row does to the answer, as sinks see it: `+I -U +U -D`.
//!
//! Invariants  a `-U` directly before a `+U` stays a pair; alone, they are shown as what they are then:
//!             a delete and an insert. All sinks settle changes here and nowhere else.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, StringViewArray, StructArray, UInt32Array,
};
use arrow::compute::{filter_record_batch, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::batch::Change;
use crate::error::{Error, Result};

/// The column in front that says what a row does.
pub const OP: &str = "_op";

/// The changes with lone halves of updates turned into deletes and inserts.
pub fn settle(changes: &[Change]) -> Vec<Change> {
    let is = |row: Option<usize>, change| row.is_some_and(|row| changes.get(row) == Some(&change));
    let settled = |(row, change): (usize, &Change)| match *change {
        Change::UPDATE_BEFORE if !is(Some(row + 1), Change::UPDATE_AFTER) => Change::DELETE,
        Change::UPDATE_AFTER if !is(row.checked_sub(1), Change::UPDATE_BEFORE) => Change::INSERT,
        other => other,
    };
    changes.iter().enumerate().map(settled).collect()
}

/// The schema with a column in front that says what each row does.
///
/// Failure: the rows have a column of that name.
pub fn schema_with_op(schema: &SchemaRef, name: &str) -> Result<SchemaRef> {
    if schema.fields().iter().any(|field| field.name() == name) {
        let message = "the rows have a column called as the one that says what each of them does";
        return Err(Error::user(format!(
            "{message}: {name}; give one of them another name, that one with 'op_column'"
        )));
    }
    let op = Arc::new(Field::new(name, DataType::Utf8View, false));
    Ok(Arc::new(Schema::new(std::iter::once(op).chain(schema.fields().iter().cloned()).collect::<Vec<_>>())))
}

/// The rows with `_op` in front; `schema` has it already.
pub fn rows_with_op(rows: &RecordBatch, changes: Option<&[Change]>, schema: &SchemaRef) -> Result<RecordBatch> {
    let op: StringViewArray = match changes {
        Some(changes) => settle(changes).iter().map(|change| Some(change.word())).collect(),
        None => std::iter::repeat_n(Some(Change::INSERT.word()), rows.num_rows()).collect(),
    };
    let columns = std::iter::once(Arc::new(op) as ArrayRef).chain(rows.columns().iter().cloned()).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|e| Error::bug(format!("rows do not fit their sink: {e}")))
}

/// The rows with `_op` in front, as a sink that writes by key wants them: old halves of updates are left out.
pub fn upserts_with_op(rows: &RecordBatch, changes: Option<&[Change]>, schema: &SchemaRef) -> Result<RecordBatch> {
    let Some(changes) = changes else { return rows_with_op(rows, None, schema) };
    let kept: BooleanArray = changes.iter().map(|change| Some(*change != Change::UPDATE_BEFORE)).collect();
    let words = changes.iter().filter(|change| **change != Change::UPDATE_BEFORE).map(|change| Some(change.word()));
    let op: StringViewArray = words.collect();
    let rows = filter_record_batch(rows, &kept)?;
    let columns = std::iter::once(Arc::new(op) as ArrayRef).chain(rows.columns().iter().cloned()).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|e| Error::bug(format!("rows do not fit their sink: {e}")))
}

/// The schema of envelopes: the row before, the row after, and what was done: c, u or d.
pub fn envelope_schema(schema: &SchemaRef) -> SchemaRef {
    let row = DataType::Struct(schema.fields().clone());
    Arc::new(Schema::new(vec![
        Field::new("before", row.clone(), true),
        Field::new("after", row, true),
        Field::new("op", DataType::Utf8View, false),
    ]))
}

/// The changes as envelopes of `schema`: an update is one.
pub fn envelopes(rows: &RecordBatch, changes: Option<&[Change]>, schema: &SchemaRef) -> Result<RecordBatch> {
    let changes = changes.map_or_else(|| vec![Change::INSERT; rows.num_rows()], settle);
    let (mut before, mut after, mut op) = (Vec::new(), Vec::new(), Vec::new());
    for (row, change) in changes.iter().enumerate() {
        let row = row as u32;
        match *change {
            // Its other half says both.
            Change::UPDATE_BEFORE => continue,
            Change::UPDATE_AFTER => (before.push(Some(row - 1)), after.push(Some(row)), op.push("u")),
            Change::DELETE => (before.push(Some(row)), after.push(None), op.push("d")),
            _ => (before.push(None), after.push(Some(row)), op.push("c")),
        };
    }
    let side = |picks: Vec<Option<u32>>| -> Result<ArrayRef> {
        let nulls = arrow::buffer::NullBuffer::from_iter(picks.iter().map(Option::is_some));
        let all: UInt32Array = picks.iter().map(|row| Some(row.unwrap_or(0))).collect();
        let columns = rows.columns().iter().map(|column| Ok(take(column, &all, None)?)).collect::<Result<Vec<_>>>()?;
        let fields = rows.schema().fields().clone();
        Ok(Arc::new(StructArray::try_new_with_length(fields, columns, Some(nulls), picks.len())?))
    };
    let columns = vec![side(before)?, side(after)?, Arc::new(StringViewArray::from(op)) as ArrayRef];
    RecordBatch::try_new(schema.clone(), columns).map_err(|e| Error::bug(format!("rows do not fit their sink: {e}")))
}

/// Checks that rows are inserts only, for sinks that do not show changes.
pub fn only_inserts(changes: Option<&[Change]>) -> Result<()> {
    match changes.is_some_and(|changes| changes.iter().any(|change| change.is_retraction())) {
        true => Err(Error::bug("rows are taken back in a result that was said to be append-only")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_stay_and_lone_halves_do_not() {
        let check = |given: &str, expected: &str| {
            let changes: Vec<_> = given.split(' ').map(|word| Change::from_word(word).unwrap()).collect();
            let settled: Vec<_> = settle(&changes).iter().map(|change| change.word()).collect();
            assert_eq!(settled.join(" "), expected, "{given}");
        };
        check("+I -U +U -D", "+I -U +U -D");
        check("-U", "-D");
        check("+U", "+I");
        check("-U -U +U +U", "-D -U +U +I");
        check("+U -U", "+I -D");
        check("-U +I +U", "-D +I +I");
        check("-U +U -U +U", "-U +U -U +U");
    }
}
