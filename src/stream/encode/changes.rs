//! What each row does to the answer, as sinks see it: `+I -U +U -D`.
//!
//! Invariants  a `-U` directly before a `+U` stays a pair; alone, they are shown as what they are then:
//!             a delete and an insert. All sinks settle changes here and nowhere else.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringViewArray};
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

/// The schema with `_op` in front.
pub fn schema_with_op(schema: &SchemaRef) -> SchemaRef {
    let op = Arc::new(Field::new(OP, DataType::Utf8View, false));
    Arc::new(Schema::new(std::iter::once(op).chain(schema.fields().iter().cloned()).collect::<Vec<_>>()))
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
