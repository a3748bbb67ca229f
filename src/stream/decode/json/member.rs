//! One member of a row: its value goes into its column, or is stepped over.

use millstream_kernels::view::ViewBuilder;

use super::cursor::{Cursor, Expected, Quoted};
use super::escape::unescape;
use crate::batch::{Fixed, Values};
use crate::stream::decode::column::{ColumnBuilder, Data, Reading};
use crate::stream::decode::fault::Reason;
use crate::stream::decode::value::{decimal, integer, word};

/// Why a row is bad, before it is known which column it is.
pub struct Bad {
    pub reason: Reason,
    pub start: usize,
    pub end: usize,
}

/// The grammar is broken here.
#[cold]
pub fn broken(cursor: &Cursor<'_>, expected: Expected) -> Bad {
    let rest = cursor.bytes.get(cursor.at..).unwrap_or_default();
    let line = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    Bad { reason: Reason::Syntax(expected), start: cursor.at, end: cursor.at + line.min(40) }
}

/// Steps over a value of any kind.
#[inline]
pub fn skip(cursor: &mut Cursor<'_>, copy: &mut Vec<u8>) -> Result<(), Expected> {
    if cursor.skip_simple()? {
        return Ok(());
    }
    let bytes = cursor.bytes;
    cursor.skip(&mut |string: Quoted| {
        copy.clear();
        unescape(&bytes[string.start..string.end], copy)
    })
}

/// Reads the value here into row `row` and says whether there is one: null is none.
#[inline(always)]
pub fn read(builder: &mut ColumnBuilder, cursor: &mut Cursor<'_>, row: usize, copy: &mut Vec<u8>) -> Result<bool, Bad> {
    match (&builder.reading, &mut builder.data) {
        (Reading::I64 | Reading::Timestamp { .. }, Data::Fixed(Values::I64(values))) => {
            if let Some(value) = short_integer(cursor) {
                values[row] = value;
                return Ok(true);
            }
        }
        (Reading::Text, Data::Views(views)) if cursor.byte() == b'"' => {
            let string = cursor.string().map_err(|expected| broken(cursor, expected))?;
            if !string.has_escapes && views.set_range(row, string.start, string.end) {
                return Ok(true);
            }
            let inner = &cursor.bytes[string.start..string.end];
            return copied_text(views, row, inner, copy).map_err(|reason| Bad {
                reason,
                start: string.start,
                end: string.end,
            });
        }
        _ => {}
    }
    read_any(builder, cursor, row, copy)
}

/// An integer of at most 15 digits that ends where its member ends, if that is what is here.
#[inline(always)]
fn short_integer(cursor: &mut Cursor<'_>) -> Option<i64> {
    let negative = cursor.byte() == b'-';
    let start = cursor.at + negative as usize;
    let text: &[u8; 16] = cursor.bytes.get(start..)?.first_chunk()?;
    let ahead = u128::from_le_bytes(*text);
    let (low, high) = (ahead as u64, (ahead >> 64) as u64);
    let mut length = word::leading_digits(low);
    let value = if length < 8 {
        word::digits(low, length.max(1))?
    } else {
        let more = word::leading_digits(high);
        length += more;
        let tail = if more == 0 { 0 } else { word::digits(high, more)? };
        word::digits(low, 8)? * POWERS[more] + tail
    };
    if length > 15 || !matches!(text[length], b',' | b'}' | b' ' | b'\r') || text[0] == b'0' && length > 1 {
        return None;
    }
    cursor.at = start + length;
    Some(if negative { -(value as i64) } else { value as i64 })
}

const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// Reads any value into any column.
fn read_any(builder: &mut ColumnBuilder, cursor: &mut Cursor<'_>, row: usize, copy: &mut Vec<u8>) -> Result<bool, Bad> {
    let start = cursor.at;
    let first = cursor.byte();
    if first == b'n' {
        return cursor.word("null").map(|()| false).map_err(|expected| broken(cursor, expected));
    }
    if first != b'"' || matches!(builder.reading, Reading::Nested) {
        skip(cursor, copy).map_err(|expected| broken(cursor, expected))?;
        let bad = Bad { reason: Reason::Value, start, end: cursor.at };
        return if set_other(builder, row, cursor.bytes, start, cursor.at) { Ok(true) } else { Err(bad) };
    }
    let string = cursor.string().map_err(|expected| broken(cursor, expected))?;
    let mut inner = &cursor.bytes[string.start..string.end];
    let bad = |reason| Bad { reason, start: string.start, end: string.end };
    if string.has_escapes {
        copy.clear();
        unescape(inner, copy).map_err(|expected| bad(Reason::Syntax(expected)))?;
        inner = copy;
    }
    let is_set = match &mut builder.data {
        Data::Views(views) => unhex(inner).is_some_and(|bytes| views.set_copy_bytes(row, &bytes)),
        _ => builder.set_parsed(row, inner),
    };
    if is_set { Ok(true) } else { Err(bad(Reason::Value)) }
}

/// Copies a string that cannot stay where it is: it has escapes, or the block is no text.
#[cold]
fn copied_text(views: &mut ViewBuilder, row: usize, inner: &[u8], copy: &mut Vec<u8>) -> Result<bool, Reason> {
    copy.clear();
    unescape(inner, copy).map_err(Reason::Syntax)?;
    let text = std::str::from_utf8(copy).map_err(|_| Reason::Utf8)?;
    if views.set_copy(row, text) { Ok(true) } else { Err(Reason::Value) }
}

/// Reads a value that is no string and no null: `bytes[start..end]`, whose grammar is right.
fn set_other(builder: &mut ColumnBuilder, row: usize, bytes: &[u8], start: usize, end: usize) -> bool {
    let text = &bytes[start..end];
    match &mut builder.data {
        Data::Ranges(ranges) => {
            ranges[row] = (start as u32, end as u32);
            return true;
        }
        Data::Views(views) => {
            return matches!(builder.reading, Reading::Text)
                && (views.set_range(row, start, end)
                    || std::str::from_utf8(text).is_ok_and(|text| views.set_copy(row, text)));
        }
        Data::Fixed(_) => {}
    }
    let is_number = matches!(text[0], b'-' | b'0'..=b'9');
    match builder.reading {
        Reading::Bool => matches!(text, b"true" | b"false") && builder.set_parsed(row, text),
        _ if !is_number => false,
        Reading::F32 | Reading::F64 | Reading::Decimal { .. } => builder.set_parsed(row, text),
        Reading::Date32 | Reading::Date64 | Reading::Time32(_) | Reading::Time64(_) | Reading::Timestamp { .. } => {
            set_ticks(builder, row, text)
        }
        _ => builder.set_parsed(row, text) || set_integral(builder, row, text),
    }
}

/// Reads an integer as the ticks a column of times holds.
fn set_ticks(builder: &mut ColumnBuilder, row: usize, text: &[u8]) -> bool {
    let ticks = integer::signed(text).or_else(|| i64::try_from(decimal::integral(text)?).ok());
    match (ticks, &mut builder.data) {
        (Some(ticks), Data::Fixed(Values::I64(values))) => values[row] = ticks,
        (Some(ticks), Data::Fixed(Values::I32(values))) => match i32::try_from(ticks) {
            Ok(ticks) => values[row] = ticks,
            Err(_) => return false,
        },
        _ => return false,
    }
    true
}

/// Reads `1e3` and `2.0` as integers.
fn set_integral(builder: &mut ColumnBuilder, row: usize, text: &[u8]) -> bool {
    let Some(value) = decimal::integral(text) else { return false };
    let Data::Fixed(values) = &mut builder.data else { return false };
    fn set<T: Fixed + TryFrom<i128>>(values: &mut Values, row: usize, value: i128) -> bool {
        match (T::of_values_mut(values), T::try_from(value)) {
            (Some(values), Ok(value)) => values[row] = value,
            _ => return false,
        }
        true
    }
    match values {
        Values::I8(_) => set::<i8>(values, row, value),
        Values::I16(_) => set::<i16>(values, row, value),
        Values::I32(_) => set::<i32>(values, row, value),
        Values::I64(_) => set::<i64>(values, row, value),
        Values::U8(_) => set::<u8>(values, row, value),
        Values::U16(_) => set::<u16>(values, row, value),
        Values::U32(_) => set::<u32>(values, row, value),
        Values::U64(_) => set::<u64>(values, row, value),
        _ => false,
    }
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = text.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect())?
}
