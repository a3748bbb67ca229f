//! Rows that a number leaves equal, by their whole keys as bytes.

use std::ops::Range;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};

use super::{Key, equal_runs};
use crate::error::Result;

/// Whether a column of this type can be written as bytes that order as its values do.
pub(super) fn is_supported(data_type: &DataType) -> bool {
    RowConverter::supports_fields(&[SortField::new(data_type.clone())])
}

/// Orders the rows of each run by `keys`; the runs of equal ones that are left. Only these rows are written as bytes.
pub(super) fn by_bytes(rows: &mut [u32], runs: Vec<Range<usize>>, keys: &[Key]) -> Result<Vec<Range<usize>>> {
    let mut left = Vec::new();
    if runs.is_empty() {
        return Ok(left);
    }
    let picked = UInt32Array::from_iter_values(runs.iter().flat_map(|run| rows[run.clone()].iter().copied()));
    let columns = keys.iter().map(|(array, _)| Ok(take(array, &picked, None)?)).collect::<Result<Vec<ArrayRef>>>()?;
    let fields = keys.iter().map(|(array, options)| SortField::new_with_options(array.data_type().clone(), *options));
    let bytes = RowConverter::new(fields.collect())?.convert_columns(&columns)?;
    let mut first = 0;
    let mut places: Vec<u32> = Vec::new();
    for run in runs {
        places.clear();
        places.extend(first as u32..(first + run.len()) as u32);
        places.sort_by(|&a, &b| bytes.row(a as usize).cmp(&bytes.row(b as usize)));
        for (row, &place) in rows[run.clone()].iter_mut().zip(&places) {
            *row = picked.value(place as usize);
        }
        let same = |at: usize| bytes.row(places[at] as usize) == bytes.row(places[at - 1] as usize);
        equal_runs(run.start, run.len(), same, &mut left);
        first += run.len();
    }
    Ok(left)
}
