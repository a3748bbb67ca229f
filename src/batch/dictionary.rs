//! A column as codes into a few values: what Parquet's dictionary pages are, kept as long as nobody needs the values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::take;
use millstream_kernels::{aggregate, level};

use super::Selection;
use crate::error::Result;

/// The values that codes stand for: none of them null, each at its code.
///
/// Columns of one source share it, so that what is worked out per value is worked out once: ask with `Arc::ptr_eq`.
#[derive(Debug)]
pub struct DictionaryValues(pub ArrayRef);

/// A dictionary column.
#[derive(Debug, Clone)]
pub struct Dictionary {
    codes: UInt32Array,
    values: Arc<DictionaryValues>,
}

impl Dictionary {
    /// A column of these codes. Panics when a code that is not null has no value.
    pub fn new(codes: UInt32Array, values: Arc<DictionaryValues>) -> Self {
        let count = values.0.len() as u32;
        let range = aggregate::min_max(level::detect(), &codes.values()[..], None);
        let in_range = range.is_none_or(|(_, greatest)| greatest < count);
        let in_range = in_range || codes.iter().flatten().all(|code| code < count);
        assert!(in_range, "each code has a value");
        Dictionary { codes, values }
    }

    pub fn rows(&self) -> usize {
        self.codes.len()
    }

    /// The code of each row; anything under a null.
    pub fn codes(&self) -> &[u32] {
        self.codes.values()
    }

    /// The codes with the rows' nulls.
    pub fn code_array(&self) -> &UInt32Array {
        &self.codes
    }

    pub fn values(&self) -> &Arc<DictionaryValues> {
        &self.values
    }

    /// The selected rows.
    pub fn select(&self, selection: &Selection) -> Result<Dictionary> {
        match selection.as_slice() {
            None => Ok(self.clone()),
            Some(rows) => self.gather(rows),
        }
    }

    /// The rows `rows`.
    pub fn gather(&self, rows: &[u16]) -> Result<Dictionary> {
        let codes = if self.codes.null_count() == 0 {
            let mut codes = Vec::with_capacity(rows.len());
            millstream_kernels::gather::take(self.codes(), rows, &mut codes);
            UInt32Array::new(codes.into(), None)
        } else {
            let rows = UInt32Array::from_iter_values(rows.iter().map(|&row| row as u32));
            take(&self.codes, &rows, None)?.as_primitive().clone()
        };
        Ok(Dictionary { codes, values: self.values.clone() })
    }

    /// The values of all rows, one by one.
    pub fn flatten(&self) -> Result<ArrayRef> {
        Ok(take(&self.values.0, &self.codes, None)?)
    }

    /// What was worked out for each value, `of_values`, for each row.
    pub fn spread(&self, of_values: &ArrayRef) -> Result<ArrayRef> {
        Ok(take(of_values, &self.codes, None)?)
    }
}
