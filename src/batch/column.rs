//! A column of a batch: an Arrow array, flat buffers of its own, a dictionary, or one value for all rows.

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;

use super::{Dictionary, Flat, Selection, Values};
use crate::error::Result;

/// One column of a batch.
#[derive(Debug, Clone)]
pub enum Column {
    /// Arrow memory, shared with whoever else holds it.
    Array(ArrayRef),
    /// Buffers of this batch alone, reused for the next one.
    Flat(Flat),
    /// One value for every row: an Arrow array of length 1.
    Constant(ArrayRef),
    /// Codes into a few values. Only scans that were asked for it make some.
    Dictionary(Dictionary),
}

impl Default for Column {
    fn default() -> Self {
        Column::Flat(Flat::new(Values::I64(Vec::new())))
    }
}

impl Column {
    /// The flat buffers to write `values` into: the column's own if they already hold that type, else new ones.
    pub fn flat_mut(&mut self, fits: impl Fn(&Values) -> bool, new: impl FnOnce() -> Values) -> &mut Flat {
        let reusable = matches!(self, Column::Flat(flat) if fits(&flat.values));
        if !reusable {
            *self = Column::Flat(Flat::new(new()));
        }
        match self {
            Column::Flat(flat) => flat,
            _ => unreachable!("made flat above"),
        }
    }

    /// Makes this column equal to `from`: flat buffers are copied into its own where they have the same type.
    pub fn copy_from(&mut self, from: &Column) {
        match (self, from) {
            (Column::Flat(to), Column::Flat(from)) => to.clone_from(from),
            (to, from) => *to = from.clone(),
        }
    }

    /// The selected rows as an Arrow array of type `data_type`. A flat column without selection hands its buffers over.
    pub fn to_array(&mut self, data_type: &DataType, rows: usize, selection: &Selection) -> Result<ArrayRef> {
        let whole = match self {
            Column::Array(array) => array.clone(),
            Column::Flat(flat) => flat.take_array(data_type)?,
            Column::Dictionary(dictionary) => return dictionary.select(selection)?.flatten(),
            Column::Constant(value) => {
                let rows = selection.rows(rows);
                return Ok(take(value, &UInt32Array::from_value(0, rows), None)?);
            }
        };
        debug_assert_eq!(whole.len(), rows, "a column covers its batch");
        select(&whole, selection)
    }
}

/// The selected rows of an array; the array itself when all rows count.
pub fn select(array: &ArrayRef, selection: &Selection) -> Result<ArrayRef> {
    match selection.as_slice() {
        None => Ok(array.clone()),
        Some(rows) => {
            let indices = UInt32Array::from_iter_values(rows.iter().map(|&row| row as u32));
            Ok(take(array, &indices, None)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_reuses_the_memory_of_the_column_it_replaces() {
        let flat = |values: Vec<i64>, validity: Option<&[u64]>| {
            let rows = values.len();
            let mut flat = Flat::new(Values::I64(values));
            flat.rows = rows;
            flat.set_validity(validity);
            Column::Flat(flat)
        };
        let address = |column: &Column| match column {
            Column::Flat(Flat { values: Values::I64(values), .. }) => values.as_ptr(),
            _ => panic!("a flat column of i64"),
        };
        let mut to = flat(vec![0; 100], None);
        let before = address(&to);
        to.copy_from(&flat(vec![1, 2, 3], Some(&[0b101])));
        assert_eq!(address(&to), before);
        let array = to.to_array(&DataType::Int64, 3, &Selection::default()).expect("flat as Arrow");
        assert_eq!(array.as_ref(), &arrow::array::Int64Array::from(vec![Some(1), None, Some(3)]));
        let mut other = Column::Flat(Flat::new(Values::Bool(Vec::new())));
        other.copy_from(&flat(vec![7], None));
        let array = other.to_array(&DataType::Int64, 1, &Selection::default()).expect("flat as Arrow");
        assert_eq!(array.as_ref(), &arrow::array::Int64Array::from(vec![7]));
    }
}
