//! Rows that a batch gives and takes back at once, left out.
//!
//! Place       before changes leave the engine. What a projection leaves equal was an update once: `-U a +U a` says nothing,
//!             and neither does `-U a +U b -U b +U a`.

use std::collections::HashMap;

use arrow::array::{BooleanArray, RecordBatch, make_comparator};
use arrow::compute::{SortOptions, filter_record_batch};

use crate::batch::Change;
use crate::error::Result;
use crate::state::{BytesHash, row_converter};

/// The rows and changes, those left out that cancel out. Of rows that can only be compared side by side, halves of an
/// update to itself are.
pub(super) fn consolidated(rows: RecordBatch, changes: Vec<Change>) -> Result<(RecordBatch, Vec<Change>)> {
    let takes = changes.iter().any(|change| change.is_retraction());
    let gives = changes.iter().any(|change| !change.is_retraction());
    if !takes || !gives || rows.num_columns() == 0 {
        return Ok((rows, changes));
    }
    let types: Vec<_> = rows.columns().iter().map(|column| column.data_type().clone()).collect();
    let kept = match row_converter(&types) {
        Ok(converter) => {
            let converted = converter.convert_columns(rows.columns())?;
            cancelled(&changes, |row| converted.row(row).data())
        }
        Err(_) => without_idle(&rows, &changes)?,
    };
    if kept.iter().all(|kept| *kept) {
        return Ok((rows, changes));
    }
    let left = changes.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(change, _)| *change).collect();
    Ok((filter_record_batch(&rows, &BooleanArray::from(kept))?, left))
}

/// Which rows stay when each row taken back and an equal one given cancel out.
fn cancelled<'a>(changes: &[Change], row_bytes: impl Fn(usize) -> &'a [u8]) -> Vec<bool> {
    let mut kept = vec![true; changes.len()];
    // For each row, the places of changes of one sign that nothing has met yet.
    let mut open: HashMap<&[u8], Vec<usize>, BytesHash> = HashMap::default();
    for (row, change) in changes.iter().enumerate() {
        let places = open.entry(row_bytes(row)).or_default();
        match places.last() {
            Some(&other) if changes[other].is_retraction() != change.is_retraction() => {
                places.pop();
                kept[other] = false;
                kept[row] = false;
            }
            _ => places.push(row),
        }
    }
    kept
}

/// Which rows stay when updates of a row to itself are left out.
fn without_idle(rows: &RecordBatch, changes: &[Change]) -> Result<Vec<bool>> {
    let mut kept = vec![true; changes.len()];
    let is_pair = |pair: &[Change]| pair == [Change::UPDATE_BEFORE, Change::UPDATE_AFTER];
    let mut pairs: Vec<usize> = (0..changes.len() - 1).filter(|&row| is_pair(&changes[row..row + 2])).collect();
    for column in rows.columns() {
        let compare = make_comparator(column, column, SortOptions::default())?;
        pairs.retain(|&row| compare(row, row + 1).is_eq());
    }
    pairs.iter().for_each(|&row| kept[row..row + 2].fill(false));
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array};
    use std::sync::Arc;

    #[test]
    fn what_is_given_and_taken_back_says_nothing() {
        let check = |given: &[(&str, i64)], expected: &[(&str, i64)]| {
            let change = |word: &str| Change::from_word(word).expect("a word of the test");
            let column = Arc::new(Int64Array::from_iter_values(given.iter().map(|(_, value)| *value))) as ArrayRef;
            let rows = RecordBatch::try_from_iter([("n", column)]).expect("one column");
            let changes = given.iter().map(|(word, _)| change(word)).collect();
            let (rows, changes) = consolidated(rows, changes).expect("numbers can be compared");
            let left: &Int64Array = arrow::array::AsArray::as_primitive(rows.column(0));
            let left: Vec<_> = changes.iter().map(|change| change.word()).zip(left.values().iter().copied()).collect();
            assert_eq!(left, expected);
        };
        check(&[("-U", 1), ("+U", 1), ("+I", 2)], &[("+I", 2)]);
        check(&[("-U", 1), ("+U", 2), ("-U", 2), ("+U", 1)], &[]);
        check(&[("-U", 1), ("+U", 2), ("-U", 2), ("+U", 3)], &[("-U", 1), ("+U", 3)]);
        check(&[("+I", 1), ("+I", 1), ("-D", 1)], &[("+I", 1)]);
        check(&[("+I", 1), ("+I", 1)], &[("+I", 1), ("+I", 1)]);
    }
}
