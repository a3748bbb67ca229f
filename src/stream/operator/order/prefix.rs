//! Keys to numbers that order as they do, as far as 64 bits tell.
//!
//! Each column takes as many bits as its values need in this set of rows: integers less their least, strings their first
//! bytes behind what all of them begin with. Columns are put side by side until the bits are used up.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;

use super::Key;
use crate::batch::{Fixed, Kind, numbers};

/// A number per row.
pub(in crate::stream::operator) struct Prefix {
    pub numbers: Vec<u64>,
    /// Whether equal numbers mean equal keys.
    pub is_exact: bool,
}

/// What one column gives: a code per row, and how many bits of it may be set.
struct Codes {
    codes: Vec<u64>,
    width: u32,
    is_exact: bool,
}

/// The numbers of `rows` rows. Floats must be canonical.
pub(in crate::stream::operator) fn prefix(keys: &[Key], rows: usize) -> Prefix {
    let mut numbers: Vec<u64> = Vec::new();
    let mut room = 64;
    for (array, options) in keys {
        let Some(codes) = codes(array, *options) else {
            return Prefix { numbers: full(numbers, rows), is_exact: false };
        };
        let taken = codes.width.min(room);
        let cut = codes.width - taken;
        match numbers.is_empty() {
            true => numbers = codes.codes,
            false => numbers.iter_mut().zip(&codes.codes).for_each(|(number, code)| {
                *number = number.checked_shl(taken).unwrap_or(0) | code.checked_shr(cut).unwrap_or(0);
            }),
        }
        room -= taken;
        if cut > 0 || !codes.is_exact {
            return Prefix { numbers: full(numbers, rows), is_exact: false };
        }
    }
    Prefix { numbers: full(numbers, rows), is_exact: true }
}

fn full(mut numbers: Vec<u64>, rows: usize) -> Vec<u64> {
    numbers.resize(rows, 0);
    numbers
}

/// A column's values as unsigned numbers in their order.
enum Ordered {
    Narrow(Vec<u64>),
    Wide(Vec<u128>),
    Text,
}

fn values(array: &ArrayRef) -> Option<Ordered> {
    match Kind::of(array.data_type()) {
        Kind::I128 => {
            let values = i128::of_array(array.as_ref())?.iter();
            Some(Ordered::Wide(values.map(|&value| (value as u128) ^ (1 << 127)).collect()))
        }
        Kind::View => Some(Ordered::Text),
        _ => {
            let mut values = Vec::new();
            numbers(array, &mut values).ok()?.then_some(Ordered::Narrow(values))
        }
    }
}

fn codes(array: &ArrayRef, options: SortOptions) -> Option<Codes> {
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    match values(array)? {
        Ordered::Narrow(values) => Some(squeezed(values, nulls, options)),
        Ordered::Wide(values) => {
            let valid = |&(row, _): &(usize, &u128)| nulls.is_none_or(|nulls| nulls.is_valid(row));
            let there = || values.iter().enumerate().filter(valid).map(|(_, value)| *value);
            let (least, most) = (there().min().unwrap_or(0), there().max().unwrap_or(0));
            if most - least <= u128::from(u64::MAX) {
                let narrow = values.iter().map(|value| value.wrapping_sub(least) as u64).collect();
                return Some(squeezed(narrow, nulls, options));
            }
            let narrow = values.iter().map(|value| (value >> 64) as u64).collect();
            Some(Codes { is_exact: false, ..squeezed(narrow, nulls, options) })
        }
        Ordered::Text => {
            let shared = shared_bytes(array, nulls);
            let mut codes = text(array, shared, if nulls.is_some() { 63 } else { 64 });
            let most = if nulls.is_some() { u64::MAX >> 1 } else { u64::MAX };
            if options.descending {
                codes.iter_mut().for_each(|code| *code = most - *code);
            }
            place_nulls(&mut codes, nulls, options, most);
            Some(Codes { codes, width: 64, is_exact: false })
        }
    }
}

/// Codes from 0 to the distance of the greatest value from the least, with a place for nulls.
fn squeezed(mut values: Vec<u64>, nulls: Option<&NullBuffer>, options: SortOptions) -> Codes {
    let valid = |row: usize| nulls.is_none_or(|nulls| nulls.is_valid(row));
    let (mut least, mut most) = (u64::MAX, 0);
    match nulls {
        None => values.iter().for_each(|&value| (least, most) = (least.min(value), most.max(value))),
        Some(_) => values.iter().enumerate().filter(|(row, _)| valid(*row)).for_each(|(_, &value)| {
            (least, most) = (least.min(value), most.max(value));
        }),
    }
    if least > most {
        (least, most) = (0, 0);
    }
    let mut range = most - least;
    match options.descending {
        true => values.iter_mut().for_each(|value| *value = most.wrapping_sub(*value)),
        false => values.iter_mut().for_each(|value| *value = value.wrapping_sub(least)),
    }
    let mut is_exact = true;
    if nulls.is_some() {
        if range == u64::MAX {
            values.iter_mut().for_each(|value| *value >>= 1);
            (range, is_exact) = (range >> 1, false);
        }
        place_nulls(&mut values, nulls, options, range);
        range += 1;
    }
    Codes { codes: values, width: u64::BITS - range.leading_zeros(), is_exact }
}

/// Gives nulls the place before or behind the codes from 0 to `most`.
fn place_nulls(codes: &mut [u64], nulls: Option<&NullBuffer>, options: SortOptions, most: u64) {
    let Some(nulls) = nulls else { return };
    for (code, valid) in codes.iter_mut().zip(nulls.iter()) {
        *code = match (valid, options.nulls_first) {
            (true, true) => *code + 1,
            (true, false) => *code,
            (false, true) => 0,
            (false, false) => most + 1,
        };
    }
}

/// The bytes of row `row` of a column of views.
fn bytes(array: &ArrayRef, row: usize) -> &[u8] {
    match array.data_type() {
        DataType::Utf8View => array.as_string_view().value(row).as_bytes(),
        _ => array.as_binary_view().value(row),
    }
}

/// How many bytes all strings begin with.
fn shared_bytes(array: &ArrayRef, nulls: Option<&NullBuffer>) -> usize {
    let mut rows = (0..array.len()).filter(|&row| nulls.is_none_or(|nulls| nulls.is_valid(row)));
    let Some(first) = rows.next() else { return 0 };
    let first = bytes(array, first);
    let mut shared = first.len();
    for row in rows {
        if shared == 0 {
            break;
        }
        let other = bytes(array, row);
        shared = first[..shared].iter().zip(other).take_while(|(a, b)| a == b).count();
    }
    shared
}

/// The first `bits` bits of each string behind its first `skip` bytes, as a number; `bits` is 63 or 64.
fn text(array: &ArrayRef, skip: usize, bits: u32) -> Vec<u64> {
    let code = |row: usize| {
        let bytes = bytes(array, row).get(skip..).unwrap_or_default();
        let mut first = [0; 8];
        let count = bytes.len().min(8);
        first[..count].copy_from_slice(&bytes[..count]);
        u64::from_be_bytes(first) >> (64 - bits)
    };
    (0..array.len()).map(code).collect()
}
