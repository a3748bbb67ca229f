//! Keys to the number that decides their partition: equal keys give equal numbers, whatever form their column has.

use std::sync::Arc;

use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use millstream_kernels::level::Level;
use millstream_kernels::{bitmap, hash};

use crate::batch::{Argument, Dictionary, DictionaryValues, Kind, Strings};
use crate::error::Result;

/// Any number does, as long as all workers of a query use the same.
const SEED: u64 = 0x2545_F491_4F6C_DD1D;

/// Hashes the keys of batches; what was worked out for a dictionary is kept while its codes come.
#[derive(Debug, Default)]
pub(super) struct KeyHasher {
    hashes: Vec<u64>,
    of_column: Vec<u64>,
    /// Per key column.
    dictionaries: Vec<Option<ValueHashes>>,
}

/// The hash of each value of a dictionary.
#[derive(Debug)]
struct ValueHashes {
    values: Arc<DictionaryValues>,
    hashes: Vec<u64>,
}

impl KeyHasher {
    /// The hash of each row.
    pub(super) fn run(
        &mut self,
        level: Level,
        columns: &[Argument<'_>],
        types: &[DataType],
        rows: usize,
    ) -> Result<&[u64]> {
        let KeyHasher { hashes, of_column, dictionaries } = self;
        hashes.clear();
        hashes.resize(if columns.is_empty() { rows } else { 0 }, SEED);
        dictionaries.resize_with(columns.len(), || None);
        for (at, ((column, data_type), known)) in columns.iter().zip(types).zip(dictionaries).enumerate() {
            let out = if at == 0 { &mut *hashes } else { &mut *of_column };
            match column.dictionary() {
                Some(dictionary) => hash_codes(dictionary, known, out)?,
                None => hash_column(level, column, data_type, rows, out)?,
            }
            if let Some(validity) = column.validity() {
                hash::nulls(out, validity);
            }
            if at > 0 {
                hash::combine(level, hashes, of_column);
            }
        }
        Ok(hashes)
    }
}

/// A dictionary's values are hashed once, however many batches of its codes come.
fn hash_codes(dictionary: &Dictionary, known: &mut Option<ValueHashes>, out: &mut Vec<u64>) -> Result<()> {
    let values = dictionary.values();
    if known.as_ref().is_none_or(|known| !Arc::ptr_eq(&known.values, values)) {
        let mut hashes = known.take().map_or_else(Vec::new, |known| known.hashes);
        let strings = Strings::of(&values.0)?;
        hashes.clear();
        hashes.extend((0..strings.views.len()).map(|code| hash::bytes(SEED, strings.bytes(code))));
        *known = Some(ValueHashes { values: values.clone(), hashes });
    }
    let of_values = known.as_ref().map_or(&[][..], |known| &known.hashes);
    out.clear();
    // Under a null stands any code.
    out.extend(dictionary.codes().iter().map(|&code| of_values.get(code as usize).copied().unwrap_or(hash::NULL)));
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
    if column.constant_is_null() {
        out.clear();
        out.resize(rows, hash::NULL);
        return Ok(());
    }
    fixed!(I8: i8, I16: i16, I32: i32, I64: i64, U8: u8, U16: u16, U32: u32, U64: u64, F32: f32, F64: f64);
    if column.is_constant() && out.len() == 1 {
        out.resize(rows, out[0]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, StringViewArray, UInt32Array};

    use super::*;
    use crate::batch::{Column, KernelColumn};

    /// Whichever dictionary codes are of, and whichever came before, a row's hash is that of its string.
    #[test]
    fn codes_hash_like_their_strings() {
        let level = millstream_kernels::level::detect();
        let types = [DataType::Utf8View];
        let strings = |values: &[Option<&str>]| -> ArrayRef { Arc::new(values.iter().collect::<StringViewArray>()) };
        let one = Arc::new(DictionaryValues(strings(&[Some("a"), Some("a string that is not inline"), Some("")])));
        let other = Arc::new(DictionaryValues(strings(&[Some("b"), Some("a")])));
        let mut hasher = KeyHasher::default();
        for (values, codes) in [
            (&one, vec![Some(1), None, Some(0), Some(2)]),
            (&other, vec![Some(1), Some(0), None]),
            (&one, vec![Some(2), Some(1)]),
        ] {
            let dictionary = Dictionary::new(UInt32Array::from(codes), values.clone());
            let rows = dictionary.rows();
            let plain = KernelColumn::new(Column::Array(dictionary.flatten().expect("strings")));
            let mut fresh = KeyHasher::default();
            let expected = fresh.run(level, &[plain.argument(rows)], &types, rows).expect("hashes").to_vec();
            let column = KernelColumn::new(Column::Dictionary(dictionary));
            let hashes = hasher.run(level, &[column.argument(rows)], &types, rows).expect("hashes");
            assert_eq!(hashes, expected);
        }
    }
}
