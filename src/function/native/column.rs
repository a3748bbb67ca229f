//! Columns across the boundary: arguments lent as they are where that can be, results taken over.

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, StringArray, UInt32Array};
use arrow::compute::{cast, nullif, take};
use arrow::datatypes::DataType;
use millstream_kernels::bitmap;
use millstream_native::{Arg, Output, Text, Word};

use crate::batch::{Argument, Column, Fixed, Flat, Kind, Values};
use crate::error::{Error, Result};

/// An argument that has been made ready: what is not lent as it is lies here.
pub(super) struct Ready<'a> {
    data: Data<'a>,
    validity: Option<&'a [u64]>,
    /// The validity of a constant null.
    none: Vec<u64>,
}

enum Data<'a> {
    I8(Lent<'a, i8>),
    I16(Lent<'a, i16>),
    I32(Lent<'a, i32>),
    I64(Lent<'a, i64>),
    U8(Lent<'a, u8>),
    U16(Lent<'a, u16>),
    U32(Lent<'a, u32>),
    U64(Lent<'a, u64>),
    F32(Lent<'a, f32>),
    F64(Lent<'a, f64>),
    Bits(Lent<'a, u64>, usize),
    Text(StringArray),
    Bytes(BinaryArray),
}

enum Lent<'a, T> {
    Column(&'a [T]),
    Written(Vec<T>),
}

impl<T> Lent<'_, T> {
    fn values(&self) -> &[T] {
        match self {
            Lent::Column(values) => values,
            Lent::Written(values) => values,
        }
    }
}

fn fixed<'a, T: Fixed>(arg: &Argument<'a>, rows: usize) -> Result<Lent<'a, T>> {
    let values = arg.values::<T>()?;
    Ok(if arg.is_constant() { Lent::Written(vec![values[0]; rows]) } else { Lent::Column(&values[..rows]) })
}

impl<'a> Ready<'a> {
    /// Makes an argument of type `data_type` ready; constants are written out.
    pub(super) fn new(arg: &Argument<'a>, data_type: &DataType, rows: usize) -> Result<Ready<'a>> {
        let data = match Kind::of(data_type) {
            Kind::I8 => Data::I8(fixed(arg, rows)?),
            Kind::I16 => Data::I16(fixed(arg, rows)?),
            Kind::I32 => Data::I32(fixed(arg, rows)?),
            Kind::I64 => Data::I64(fixed(arg, rows)?),
            Kind::U8 => Data::U8(fixed(arg, rows)?),
            Kind::U16 => Data::U16(fixed(arg, rows)?),
            Kind::U32 => Data::U32(fixed(arg, rows)?),
            Kind::U64 => Data::U64(fixed(arg, rows)?),
            Kind::F32 => Data::F32(fixed(arg, rows)?),
            Kind::F64 => Data::F64(fixed(arg, rows)?),
            Kind::Bool if arg.is_constant() => {
                let mut words = Vec::new();
                bitmap::fill(&mut words, rows, arg.constant_bool() == Some(true));
                Data::Bits(Lent::Written(words), rows)
            }
            Kind::Bool => Data::Bits(Lent::Column(arg.bits()?), rows),
            Kind::View => {
                let array = arg.to_array(data_type)?;
                let array = match array.len() == rows {
                    true => array,
                    false => take(&array, &UInt32Array::from_value(0, rows), None)?,
                };
                match data_type {
                    DataType::Utf8View => Data::Text(cast(&array, &DataType::Utf8)?.as_string::<i32>().clone()),
                    _ => Data::Bytes(cast(&array, &DataType::Binary)?.as_binary::<i32>().clone()),
                }
            }
            other => return Err(Error::bug(format!("native kernels do not take {other:?}"))),
        };
        let mut none = Vec::new();
        if arg.constant_is_null() {
            bitmap::fill(&mut none, rows, false);
        }
        let validity = if arg.is_constant() { None } else { arg.validity() };
        Ok(Ready { data, validity, none })
    }

    /// The argument as kernels are given it.
    pub(super) fn arg(&self) -> Arg<'_> {
        let validity = if self.none.is_empty() { self.validity } else { Some(&self.none[..]) };
        match &self.data {
            Data::I8(values) => Arg::fixed(values.values(), validity),
            Data::I16(values) => Arg::fixed(values.values(), validity),
            Data::I32(values) => Arg::fixed(values.values(), validity),
            Data::I64(values) => Arg::fixed(values.values(), validity),
            Data::U8(values) => Arg::fixed(values.values(), validity),
            Data::U16(values) => Arg::fixed(values.values(), validity),
            Data::U32(values) => Arg::fixed(values.values(), validity),
            Data::U64(values) => Arg::fixed(values.values(), validity),
            Data::F32(values) => Arg::fixed(values.values(), validity),
            Data::F64(values) => Arg::fixed(values.values(), validity),
            Data::Bits(words, rows) => Arg::bits(words.values(), *rows, validity),
            Data::Text(texts) => Arg::text(texts.value_offsets(), texts.value_data(), validity),
            Data::Bytes(bytes) => Arg::text(bytes.value_offsets(), bytes.value_data(), validity),
        }
    }
}

/// What runs a kernel into an output of some type.
pub(super) trait Run {
    fn fixed<T: Word>(&self, is_bits: bool, out: Output<'_, T>) -> std::result::Result<(), String>;
    fn text(&self, out: &Text) -> std::result::Result<ArrayRef, String>;
}

/// Makes `out` the result of type `data_type`, null where the kernel says so or `there` is not set.
pub(super) fn result(
    run: &impl Run,
    data_type: &DataType,
    rows: usize,
    there: Option<&[u64]>,
    out: &mut Column,
) -> std::result::Result<(), String> {
    macro_rules! fixed {
        ($($kind:ident),+) => {
            match Kind::of(data_type) {
                $(Kind::$kind => {
                    let new = || Values::$kind(Vec::new());
                    let flat = out.flat_mut(|values| matches!(values, Values::$kind(_)), new);
                    let mut validity = std::mem::take(flat.validity_mut(0));
                    let ran = match &mut flat.values {
                        Values::$kind(values) => {
                            run.fixed(Kind::$kind == Kind::Bool, Output { values, validity: &mut validity })
                        }
                        _ => Err("an output of another type was made".to_string()),
                    };
                    flat.rows = rows;
                    settle(flat, validity, rows, there);
                    ran
                })+
                Kind::View => texts(run, data_type, there, out),
                other => Err(format!("native kernels do not give {other:?}")),
            }
        };
    }
    fixed!(Bool, I8, I16, I32, I64, U8, U16, U32, U64, F32, F64, I128)
}

fn settle(flat: &mut Flat, mut validity: Vec<u64>, rows: usize, there: Option<&[u64]>) {
    if let Some(there) = there {
        validity.iter_mut().zip(there).for_each(|(word, there)| *word &= there);
    }
    bitmap::trim(&mut validity, rows);
    if let Values::Bool(words) = &mut flat.values {
        bitmap::trim(words, rows);
    }
    let complete = bitmap::all_set(&validity, rows);
    *flat.validity_mut(0) = validity;
    if complete {
        flat.set_all_valid();
    }
}

fn texts(
    run: &impl Run,
    data_type: &DataType,
    there: Option<&[u64]>,
    out: &mut Column,
) -> std::result::Result<(), String> {
    let plain = if *data_type == DataType::Utf8View { DataType::Utf8 } else { DataType::Binary };
    let array = run.text(&Text { data_type: plain })?;
    let array = match there {
        None => array,
        Some(words) => {
            let keep = (0..array.len()).map(|row| (!bitmap::get(words, row)).then_some(true));
            let gone: BooleanArray = keep.collect();
            nullif(&array, &gone).map_err(|e| e.to_string())?
        }
    };
    *out = Column::Array(cast(&array, data_type).map_err(|e| e.to_string())?);
    Ok(())
}
