//! Values as numbers of 64 bits that order as they do: what the first key of an ORDER BY is compared by.
//!
//! Invariants  a greater number means a greater value, an equal one nothing: strings give their first bytes, decimals end
//!             where `i64` does. `-0.0` is `0.0`, NaN greater than all else. Numbers under nulls mean nothing.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::Buffer;
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use millstream_kernels::bitmap;

use super::{Column, Fixed, Kind, Strings, Values};
use crate::error::Result;

/// Whether values of this type have numbers.
pub(crate) fn has_numbers(data_type: &DataType) -> bool {
    Kind::of(data_type) != Kind::Other
}

/// The strings of a column, where it has some.
pub(crate) enum Texts<'a> {
    None,
    Rows(Strings<'a>),
    Coded(Strings<'a>, &'a [u32]),
    Constant(Strings<'a>),
}

impl<'a> Texts<'a> {
    pub(crate) fn of(column: &'a Column) -> Self {
        match column {
            Column::Array(array) => Strings::of(array).map_or(Texts::None, Texts::Rows),
            Column::Constant(value) => Strings::of(value).map_or(Texts::None, Texts::Constant),
            Column::Dictionary(dictionary) => match Strings::of(&dictionary.values().0) {
                Ok(strings) => Texts::Coded(strings, dictionary.codes()),
                Err(_) => Texts::None,
            },
            Column::Flat(_) => Texts::None,
        }
    }

    /// The bytes of a row; anything under a null.
    #[inline]
    pub(crate) fn bytes(&self, row: usize) -> Option<&'a [u8]> {
        match self {
            Texts::None => None,
            Texts::Rows(strings) => Some(strings.bytes(row)),
            Texts::Coded(strings, codes) => Some(strings.bytes(codes[row] as usize)),
            Texts::Constant(strings) => Some(strings.bytes(0)),
        }
    }
}

/// Adds the number of each value of an array, whatever stands under nulls; whether its type has numbers.
pub(crate) fn numbers(array: &ArrayRef, out: &mut Vec<u64>) -> Result<bool> {
    macro_rules! integers {
        ($native:ty, $add:ident) => {
            $add(<$native>::of_array(array.as_ref()).unwrap_or_default(), out)
        };
    }
    match Kind::of(array.data_type()) {
        Kind::Bool => out.extend(array.as_boolean().values().iter().map(u64::from)),
        Kind::I8 => integers!(i8, signed),
        Kind::I16 => integers!(i16, signed),
        Kind::I32 => integers!(i32, signed),
        Kind::I64 => integers!(i64, signed),
        Kind::U8 => integers!(u8, unsigned),
        Kind::U16 => integers!(u16, unsigned),
        Kind::U32 => integers!(u32, unsigned),
        Kind::U64 => integers!(u64, unsigned),
        Kind::F32 => out.extend(array.as_primitive::<Float32Type>().values().iter().map(|&value| float(value.into()))),
        Kind::F64 => out.extend(array.as_primitive::<Float64Type>().values().iter().map(|&value| float(value))),
        Kind::I128 => integers!(i128, wide),
        Kind::View => {
            let strings = Strings::of(array)?;
            out.extend(strings.views.iter().map(|view| text(view, strings.buffers)));
        }
        Kind::Other => return Ok(false),
    }
    Ok(true)
}

/// Makes `out` the numbers of a column's rows as the first key of an ORDER BY with these options: a greater number comes
/// later, an equal one perhaps. Returns whether its type has numbers.
///
/// Shapes: `rows` is how many rows the column covers.
pub(crate) fn first_keys(column: &Column, rows: usize, options: SortOptions, out: &mut Vec<u64>) -> Result<bool> {
    out.clear();
    let found = match column {
        Column::Array(array) => first_keys_of(array, options, out)?,
        Column::Constant(value) => {
            let found = first_keys_of(value, options, out)?;
            out.resize(rows, out.first().copied().unwrap_or_default());
            found
        }
        Column::Dictionary(dictionary) => {
            let mut values = Vec::new();
            let found = first_keys_of(&dictionary.values().0, options, &mut values)?;
            first_keys_by_code(dictionary, &values, options, out);
            found
        }
        Column::Flat(flat) => {
            match &flat.values {
                Values::Bool(words) => out.extend((0..rows).map(|row| u64::from(bitmap::get(words, row)))),
                Values::I8(values) => signed(values, out),
                Values::I16(values) => signed(values, out),
                Values::I32(values) => signed(values, out),
                Values::I64(values) => signed(values, out),
                Values::U8(values) => unsigned(values, out),
                Values::U16(values) => unsigned(values, out),
                Values::U32(values) => unsigned(values, out),
                Values::U64(values) => unsigned(values, out),
                Values::F32(values) => out.extend(values.iter().map(|&value| float(value.into()))),
                Values::F64(values) => out.extend(values.iter().map(|&value| float(value))),
                Values::I128(values) => wide(values, out),
            }
            turn(options, out);
            if let Some(words) = flat.validity() {
                put_nulls(out, |row| !bitmap::get(words, row), options);
            }
            true
        }
    };
    debug_assert!(!found || out.len() == rows, "a number per row");
    Ok(found)
}

/// The same of an array, put behind what is in `out`, which must be empty.
pub(crate) fn first_keys_of(array: &ArrayRef, options: SortOptions, out: &mut Vec<u64>) -> Result<bool> {
    let found = numbers(array, out)?;
    turn(options, out);
    if let Some(nulls) = array.nulls() {
        put_nulls(out, |row| nulls.is_null(row), options);
    }
    Ok(found)
}

/// Makes `out` what each row's code has in `values`; nulls where they belong.
pub(crate) fn first_keys_by_code(
    dictionary: &super::Dictionary,
    values: &[u64],
    options: SortOptions,
    out: &mut Vec<u64>,
) {
    out.clear();
    let of = |code: &u32| values.get(*code as usize).copied().unwrap_or_default();
    out.extend(dictionary.codes().iter().map(of));
    if let Some(nulls) = dictionary.code_array().nulls() {
        put_nulls(out, |row| nulls.is_null(row), options);
    }
}

/// Whether the number of a value says what it is, but for two: the number of nulls may be a value's, and a float may be one
/// of those that are equal to others.
pub(crate) fn tells_values(data_type: &DataType) -> bool {
    !matches!(Kind::of(data_type), Kind::I128 | Kind::View | Kind::Other)
}

/// The number that nulls have as the first key of an ORDER BY.
pub(crate) fn null_number(options: SortOptions) -> u64 {
    if options.nulls_first { 0 } else { u64::MAX }
}

/// Makes `out` the values whose [`first_keys`] are `numbers`, nulls where `has_nulls` and a number is theirs. Of floats that
/// are equal it is the canonical one.
///
/// Panics: on a type whose numbers do not [tell values](tells_values).
pub(crate) fn of_first_keys(
    data_type: &DataType,
    options: SortOptions,
    numbers: &[u64],
    has_nulls: bool,
    out: &mut Column,
) {
    let turned = if options.descending { u64::MAX } else { 0 };
    macro_rules! values {
        ($($kind:ident: $value:expr),+) => {
            match Kind::of(data_type) {
                $(Kind::$kind => {
                    let flat = out.flat_mut(|v| matches!(v, Values::$kind(_)), || Values::$kind(Vec::new()));
                    if let Values::$kind(values) = &mut flat.values {
                        values.clear();
                        values.extend(numbers.iter().map(|&number| $value(number ^ turned)));
                    }
                    flat
                })+
                Kind::Bool => {
                    let flat = out.flat_mut(|v| matches!(v, Values::Bool(_)), || Values::Bool(Vec::new()));
                    if let Values::Bool(words) = &mut flat.values {
                        words.clear();
                        let word = |bits: &[u64]| {
                            bits.iter().rev().fold(0, |word, &number| word << 1 | ((number ^ turned) & 1))
                        };
                        words.extend(numbers.chunks(64).map(word));
                    }
                    flat
                }
                Kind::I128 | Kind::View | Kind::Other => unreachable!("asked of types whose numbers tell values"),
            }
        };
    }
    const SIGN: u64 = 1 << 63;
    let float = |number: u64| f64::from_bits(if number & SIGN == 0 { !number } else { number ^ SIGN });
    let flat = values!(
        I8: |number| (number ^ SIGN) as i8,
        I16: |number| (number ^ SIGN) as i16,
        I32: |number| (number ^ SIGN) as i32,
        I64: |number| (number ^ SIGN) as i64,
        U8: |number| number as u8,
        U16: |number| number as u16,
        U32: |number| number as u32,
        U64: |number| number,
        F32: |number| float(number) as f32,
        F64: float
    );
    flat.rows = numbers.len();
    flat.set_all_valid();
    let null = null_number(options);
    if has_nulls && numbers.contains(&null) {
        let words = flat.validity_mut(numbers.len());
        words.clear();
        let word = |bits: &[u64]| bits.iter().rev().fold(0, |word, &number| word << 1 | u64::from(number != null));
        words.extend(numbers.chunks(64).map(word));
    }
}

fn turn(options: SortOptions, out: &mut [u64]) {
    if options.descending {
        out.iter_mut().for_each(|number| *number = !*number);
    }
}

fn put_nulls(out: &mut [u64], is_null: impl Fn(usize) -> bool, options: SortOptions) {
    let null = null_number(options);
    out.iter_mut().enumerate().filter(|(row, _)| is_null(*row)).for_each(|(_, number)| *number = null);
}

fn signed<T: Copy + Into<i64>>(values: &[T], out: &mut Vec<u64>) {
    out.extend(values.iter().map(|&value| (value.into() as u64) ^ (1 << 63)));
}

fn unsigned<T: Copy + Into<u64>>(values: &[T], out: &mut Vec<u64>) {
    out.extend(values.iter().map(|&value| value.into()));
}

fn wide(values: &[i128], out: &mut Vec<u64>) {
    let narrow = |value: i128| value.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
    out.extend(values.iter().map(|&value| (narrow(value) as u64) ^ (1 << 63)));
}

/// The bits of a float in an order that integers have: one zero, and one NaN behind all else.
pub(crate) fn float(value: f64) -> u64 {
    let bits = if value.is_nan() { f64::NAN.to_bits() } else { (value + 0.0).to_bits() };
    if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }
}

/// The first eight bytes of a string.
fn text(view: &u128, buffers: &[Buffer]) -> u64 {
    if *view as u32 <= 12 {
        return ((*view >> 32) as u64).swap_bytes();
    }
    let bytes = super::slice::view_bytes(view, buffers);
    bytes.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::*;
    use arrow::compute::cast;

    use super::*;
    use crate::batch::{Dictionary, DictionaryValues};

    fn all() -> Vec<ArrayRef> {
        let numbers = vec![Some(3), None, Some(-7), Some(0), Some(i64::MAX), Some(i64::MIN), Some(200), None, Some(-1)];
        let integers: ArrayRef = Arc::new(Int64Array::from(numbers.clone()));
        let text = [
            "",
            "a",
            "a\0",
            "abcdefgh",
            "abcdefghi",
            "abcdefghijklmnop",
            "abcdefgz",
            "\u{ff}\u{ff}long enough to be out of line",
        ];
        let text: ArrayRef = Arc::new(StringViewArray::from_iter(text.iter().map(Some).chain([None])));
        let floats = [0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e-310, -3.5];
        let floats: ArrayRef = Arc::new(Float64Array::from_iter(floats.into_iter().map(Some).chain([None])));
        let wide = numbers.iter().map(|number| number.map(|number| i128::from(number) * 1000));
        let wide = Decimal128Array::from_iter(wide).with_precision_and_scale(38, 2).expect("a decimal");
        let narrow = [DataType::Int8, DataType::Int16, DataType::Int32, DataType::UInt8, DataType::UInt64];
        let narrow = narrow.iter().map(|to| cast(&integers, to).expect("cast"));
        let truth: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]));
        let mut all: Vec<ArrayRef> = narrow.collect();
        all.extend([integers, text, cast(&floats, &DataType::Float32).expect("cast"), floats, Arc::new(wide), truth]);
        all
    }

    /// The same with one zero and one NaN.
    fn canonical(array: &ArrayRef) -> ArrayRef {
        match array.data_type() {
            DataType::Float32 => Arc::new(
                array
                    .as_primitive::<Float32Type>()
                    .unary::<_, Float32Type>(|value| if value.is_nan() { f32::NAN } else { value + 0.0 }),
            ),
            DataType::Float64 => Arc::new(
                array
                    .as_primitive::<Float64Type>()
                    .unary::<_, Float64Type>(|value| if value.is_nan() { f64::NAN } else { value + 0.0 }),
            ),
            _ => array.clone(),
        }
    }

    /// What Arrow says of two rows, in an order that knows one zero and one NaN.
    fn truth(array: &ArrayRef, options: SortOptions) -> arrow::array::DynComparator {
        let canonical = canonical(array);
        make_comparator(&canonical, &canonical, options).expect("comparable")
    }

    #[test]
    fn numbers_never_contradict_the_order() {
        for array in all() {
            for (descending, nulls_first) in [(false, false), (false, true), (true, false), (true, true)] {
                let options = SortOptions { descending, nulls_first };
                let compare = truth(&array, options);
                let mut numbers = Vec::new();
                assert!(
                    first_keys(&Column::Array(array.clone()), array.len(), options, &mut numbers).expect("numbers")
                );
                for a in 0..array.len() {
                    for b in 0..array.len() {
                        if numbers[a] < numbers[b] {
                            assert!(compare(a, b).is_lt(), "{array:?} {a} {b} {options:?}");
                        }
                    }
                }
            }
        }
    }

    /// Whatever the numbers of a column are made of comes back, where no null has the number of a value.
    #[test]
    fn numbers_tell_values() {
        for array in all().iter().filter(|array| tells_values(array.data_type())) {
            let canonical = canonical(array);
            for (descending, nulls_first) in [(false, false), (false, true), (true, false), (true, true)] {
                let options = SortOptions { descending, nulls_first };
                let (mut numbers, mut back) = (Vec::new(), Column::default());
                first_keys_of(array, options, &mut numbers).expect("numbers");
                of_first_keys(array.data_type(), options, &numbers, true, &mut back);
                let back = back.to_array(array.data_type(), numbers.len(), &Default::default()).expect("an array");
                let null = null_number(options);
                for (row, number) in numbers.iter().enumerate() {
                    if *number != null || array.is_null(row) {
                        let (back, value) = (back.slice(row, 1), canonical.slice(row, 1));
                        assert!(back.as_ref() == value.as_ref(), "{back:?} for {value:?}, {options:?}");
                    }
                }
                of_first_keys(array.data_type(), options, &numbers, false, &mut Column::default());
            }
        }
    }

    #[test]
    fn each_form_of_a_column_has_the_same_numbers() {
        let options = SortOptions { descending: true, nulls_first: false };
        for array in all() {
            let rows = array.len();
            let (mut of_array, mut other) = (Vec::new(), Vec::new());
            first_keys(&Column::Array(array.clone()), rows, options, &mut of_array).expect("numbers");
            let mut flat = Column::default();
            let order: Vec<u16> = (0..rows as u16).collect();
            Column::Array(array.clone()).gather_into(&order, &mut flat).expect("gathered");
            first_keys(&flat, rows, options, &mut other).expect("numbers");
            assert_eq!(of_array, other, "{array:?}");
            let codes = UInt32Array::from_iter((0..rows).map(|row| array.is_valid(row).then_some(row as u32)));
            let values = Arc::new(DictionaryValues(array.clone()));
            let coded = Column::Dictionary(Dictionary::new(codes, values));
            first_keys(&coded, rows, options, &mut other).expect("numbers");
            assert_eq!(of_array, other, "{array:?}");
            let constant = Column::Constant(array.slice(2, 1));
            first_keys(&constant, rows, options, &mut other).expect("numbers");
            assert_eq!(vec![of_array[2]; rows], other, "{array:?}");
        }
    }
}
