//! Rows of one column into another, memory reused where the forms agree.

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::take;
use millstream_kernels::{bitmap, gather};

use super::{Column, Fixed, Flat, Kind, Values};
use crate::error::Result;

impl Column {
    /// Writes the rows `rows` of this column into `into`. A row may be named several times; strings keep the bytes they
    /// point to.
    pub fn gather_into(&self, rows: &[u16], into: &mut Column) -> Result<()> {
        match self {
            Column::Flat(flat) => gather_flat(flat, rows, into),
            Column::Constant(_) => into.clone_from(self),
            Column::Dictionary(dictionary) => *into = Column::Dictionary(dictionary.gather(rows)?),
            Column::Array(array)
                if array.null_count() == 0 && gather_array(array, Kind::of(array.data_type()), rows, into) => {}
            Column::Array(array) => {
                let indices = UInt32Array::from_iter_values(rows.iter().map(|&row| row as u32));
                *into = Column::Array(take(array, &indices, None)?);
            }
        }
        Ok(())
    }
}

/// Turns an Arrow boolean array into a flat column of bits.
pub(crate) fn load_bits(array: &ArrayRef, out: &mut Column) {
    let array = array.as_boolean();
    let flat = out.flat_mut(|values| matches!(values, Values::Bool(_)), || Values::Bool(Vec::new()));
    flat.rows = array.len();
    if let Values::Bool(words) = &mut flat.values {
        let values = array.values();
        bitmap::from_bytes(values.values(), values.offset(), values.len(), words);
    }
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => flat.set_all_valid(),
        Some(nulls) => {
            let words = flat.validity_mut(nulls.len());
            bitmap::from_bytes(nulls.validity(), nulls.offset(), nulls.len(), words);
        }
    }
}

/// Gathers a fixed-width array into flat buffers; `false` when the type has no flat form.
pub(crate) fn gather_array(array: &ArrayRef, kind: Kind, rows: &[u16], out: &mut Column) -> bool {
    fn typed<T: Fixed>(array: &ArrayRef, rows: &[u16], out: &mut Column) -> bool {
        let Some(values) = T::of_array(array.as_ref()) else { return false };
        let flat = out.flat_mut(|v| T::of_values(v).is_some(), || T::into_values(Vec::new()));
        let to = T::of_values_mut(&mut flat.values).expect("made of this type above");
        gather::take(values, rows, to);
        flat.rows = rows.len();
        flat.set_all_valid();
        true
    }
    match kind {
        Kind::I8 => typed::<i8>(array, rows, out),
        Kind::I16 => typed::<i16>(array, rows, out),
        Kind::I32 => typed::<i32>(array, rows, out),
        Kind::I64 => typed::<i64>(array, rows, out),
        Kind::U8 => typed::<u8>(array, rows, out),
        Kind::U16 => typed::<u16>(array, rows, out),
        Kind::U32 => typed::<u32>(array, rows, out),
        Kind::U64 => typed::<u64>(array, rows, out),
        Kind::F32 => typed::<f32>(array, rows, out),
        Kind::F64 => typed::<f64>(array, rows, out),
        Kind::I128 => typed::<i128>(array, rows, out),
        Kind::Bool | Kind::View | Kind::Other => false,
    }
}

/// Gathers flat buffers into `out`, reusing its memory.
pub(crate) fn gather_flat(from: &Flat, rows: &[u16], out: &mut Column) {
    macro_rules! gather {
        ($($kind:ident),+) => {
            match &from.values {
                Values::Bool(words) => {
                    let to = out.flat_mut(|v| matches!(v, Values::Bool(_)), || Values::Bool(Vec::new()));
                    if let Values::Bool(out_words) = &mut to.values {
                        bitmap::gather(words, rows, out_words);
                    }
                    to
                }
                $(Values::$kind(values) => {
                    let to = out.flat_mut(|v| matches!(v, Values::$kind(_)), || Values::$kind(Vec::new()));
                    if let Values::$kind(out_values) = &mut to.values {
                        gather::take(values, rows, out_values);
                    }
                    to
                })+
            }
        };
    }
    let to = gather!(I8, I16, I32, I64, U8, U16, U32, U64, F32, F64, I128);
    to.rows = rows.len();
    match from.validity() {
        None => to.set_all_valid(),
        Some(words) => bitmap::gather(words, rows, to.validity_mut(rows.len())),
    }
}
