//! Keys and rows to 32 bits: what a chain is found by.

use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use millstream_kernels::level::Level;
use millstream_kernels::{bitmap, hash};

use crate::batch::{Argument, Column, Kind};
use crate::error::Result;

/// Hashes columns together, one number per row: equal values hash alike, and nulls as one.
pub(super) fn columns<'a>(
    level: Level,
    seed: u64,
    columns: impl Iterator<Item = (&'a Argument<'a>, &'a DataType)>,
    rows: usize,
    scratch: &mut Vec<u64>,
    out: &mut Vec<u64>,
) -> Result<()> {
    out.clear();
    out.resize(rows, seed);
    for (column, data_type) in columns {
        one(level, seed, column, data_type, rows, scratch)?;
        if let Some(validity) = column.validity() {
            hash::nulls(scratch, validity);
        }
        hash::combine(level, out, scratch);
    }
    Ok(())
}

fn one(
    level: Level,
    seed: u64,
    column: &Argument<'_>,
    data_type: &DataType,
    rows: usize,
    out: &mut Vec<u64>,
) -> Result<()> {
    if column.constant_is_null() {
        out.clear();
        out.resize(rows, hash::NULL);
        return Ok(());
    }
    macro_rules! fixed {
        ($($kind:ident: $native:ty),+) => {
            match Kind::of(data_type) {
                $(Kind::$kind => hash::fixed(level, seed, column.values::<$native>()?, out),)+
                Kind::Bool => {
                    let constant = column.constant_bool().unwrap_or(false);
                    let bits = if column.is_constant() { None } else { Some(column.bits()?) };
                    let value = |row: usize| bits.map_or(constant, |bits| bitmap::get(bits, row));
                    out.clear();
                    out.extend((0..rows).map(|row| hash::scalar::one(seed, value(row) as u64)));
                }
                Kind::View => {
                    let strings = column.strings()?;
                    out.clear();
                    out.extend((0..strings.views.len()).map(|row| {
                        // Views under nulls may point anywhere.
                        if column.is_null(row) { hash::NULL } else { hash::bytes(seed, strings.bytes(row)) }
                    }));
                }
                Kind::Other => {
                    let converter = RowConverter::new(vec![SortField::new(data_type.clone())])?;
                    let array = match column.column() {
                        Column::Constant(value) => value.clone(),
                        _ => column.to_array(data_type)?,
                    };
                    let encoded = converter.convert_columns(&[array])?;
                    out.clear();
                    out.extend(encoded.iter().map(|row| hash::bytes(seed, row.as_ref())));
                }
            }
        };
    }
    fixed!(I8: i8, I16: i16, I32: i32, I64: i64, U8: u8, U16: u16, U32: u32, U64: u64, F32: f32, F64: f64, I128: i128);
    if column.is_constant() && out.len() == 1 {
        out.resize(rows, out[0]);
    }
    Ok(())
}
