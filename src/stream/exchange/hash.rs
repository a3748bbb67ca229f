//! Keys to the number that decides their partition: equal keys give equal numbers, whatever form their column has.

use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use millstream_kernels::level::Level;
use millstream_kernels::{bitmap, hash};

use crate::batch::{Argument, Kind, Strings};
use crate::error::Result;

/// Any number does, as long as all workers of a query use the same.
const SEED: u64 = 0x2545_F491_4F6C_DD1D;
const NULL: u64 = 0x9E37_79B9_7F4A_7C15;

/// Hashes key columns, one number per row. `column_hashes` is scratch.
pub(super) fn keys(
    level: Level,
    columns: &[Argument<'_>],
    types: &[DataType],
    rows: usize,
    column_hashes: &mut Vec<u64>,
    out: &mut Vec<u64>,
) -> Result<()> {
    out.clear();
    out.resize(rows, SEED);
    for (column, data_type) in columns.iter().zip(types) {
        hash_column(level, column, data_type, rows, column_hashes)?;
        if let Some(validity) = column.validity() {
            for (row, hash) in column_hashes.iter_mut().enumerate() {
                if !bitmap::get(validity, row) {
                    *hash = NULL;
                }
            }
        }
        for (into, hash) in out.iter_mut().zip(column_hashes.iter()) {
            *into = (into.rotate_left(23) ^ hash).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        }
    }
    // The highest bits choose the partition: bring all others up into them.
    out.iter_mut().for_each(|hash| *hash = (*hash ^ *hash >> 32).wrapping_mul(0xC4CE_B9FE_1A85_EC53));
    Ok(())
}

fn hash_column(
    level: Level,
    column: &Argument<'_>,
    data_type: &DataType,
    rows: usize,
    out: &mut Vec<u64>,
) -> Result<()> {
    macro_rules! fixed {
        ($($kind:ident: $native:ty),+) => {
            match Kind::of(data_type) {
                $(Kind::$kind => hash::fixed(level, SEED, column.values::<$native>()?, out),)+
                Kind::I128 => {
                    out.clear();
                    out.extend(column.values::<i128>()?.iter().map(|value| hash::bytes(SEED, &value.to_le_bytes())));
                }
                Kind::Bool => {
                    let constant = column.constant_bool().unwrap_or(false);
                    let bits = if column.is_constant() { None } else { Some(column.bits()?) };
                    let value = |row: usize| bits.map_or(constant, |bits| bitmap::get(bits, row));
                    out.clear();
                    out.extend((0..rows).map(|row| hash::bytes(SEED, &[value(row) as u8])));
                }
                Kind::View => {
                    let strings = column.strings()?;
                    out.clear();
                    out.extend((0..strings.views.len()).map(|row| hash::bytes(SEED, strings.bytes(row))));
                }
                Kind::Other => {
                    let converter = RowConverter::new(vec![SortField::new(data_type.clone())])?;
                    let rows = converter.convert_columns(&[column.to_array(data_type)?])?;
                    out.clear();
                    out.extend(rows.iter().map(|row| hash::bytes(SEED, row.as_ref())));
                }
            }
        };
    }
    if let Some(dictionary) = column.dictionary() {
        let strings = Strings::of(&dictionary.values().0)?;
        let of_values: Vec<u64> = (0..strings.views.len()).map(|code| hash::bytes(SEED, strings.bytes(code))).collect();
        out.clear();
        out.extend(dictionary.codes().iter().map(|&code| of_values.get(code as usize).copied().unwrap_or(NULL)));
        return Ok(());
    }
    if column.constant_is_null() {
        out.clear();
        out.resize(rows, NULL);
        return Ok(());
    }
    fixed!(I8: i8, I16: i16, I32: i32, I64: i64, U8: u8, U16: u16, U32: u32, U64: u64, F32: f32, F64: f64);
    if column.is_constant() && out.len() == 1 {
        out.resize(rows, out[0]);
    }
    Ok(())
}
