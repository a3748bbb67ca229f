//! A column in the form that kernels read: booleans as bits, the validity of Arrow memory as words.

use arrow::array::Array;
use arrow::datatypes::DataType;
use millstream_kernels::bitmap;

use super::{Argument, Column, load_bits};

/// A column with its validity as words; both keep their memory when another column is put in their place.
#[derive(Debug, Default)]
pub struct KernelColumn {
    /// Whoever writes it calls [`settle`](Self::settle) before it is read.
    pub column: Column,
    validity: Vec<u64>,
    nullable: bool,
}

impl KernelColumn {
    /// A column as kernels read it.
    pub fn new(column: Column) -> Self {
        let mut ready = KernelColumn { column, ..KernelColumn::default() };
        ready.settle();
        ready
    }

    /// Brings what was written into `column` into the form that kernels read.
    pub fn settle(&mut self) {
        self.nullable = false;
        let array = match &self.column {
            Column::Array(array) => array.clone(),
            Column::Dictionary(dictionary) => {
                let codes = dictionary.code_array().clone();
                return self.set_validity(Some(&codes));
            }
            Column::Flat(_) | Column::Constant(_) => return,
        };
        if array.data_type() == &DataType::Boolean {
            load_bits(&array, &mut self.column);
        } else {
            self.set_validity(Some(&array));
        }
    }

    /// Takes over which rows of `array` are null; `None`: no row is.
    pub fn set_validity(&mut self, array: Option<&dyn Array>) {
        let nulls = array.filter(|array| array.logical_null_count() > 0).and_then(|array| array.logical_nulls());
        self.nullable = nulls.is_some();
        if let Some(nulls) = nulls {
            bitmap::from_bytes(nulls.validity(), nulls.offset(), nulls.len(), &mut self.validity);
        }
    }

    /// Gives a flat column, of these rows of an array, their part of the validity that was taken over.
    pub fn gather_validity(&mut self, rows: &[u16]) {
        if let (true, Column::Flat(flat)) = (self.nullable, &mut self.column) {
            bitmap::gather(&self.validity, rows, flat.validity_mut(rows.len()));
        }
    }

    /// The column as an argument of `rows` rows.
    pub fn argument(&self, rows: usize) -> Argument<'_> {
        self.argument_of(&self.column, rows)
    }

    /// Another column as an argument, which has the validity that was taken over unless it brings its own.
    pub fn argument_of<'a>(&'a self, column: &'a Column, rows: usize) -> Argument<'a> {
        let validity = match column {
            Column::Flat(flat) => flat.validity(),
            _ => self.nullable.then_some(&self.validity[..]),
        };
        Argument::new(column, validity, rows)
    }
}
