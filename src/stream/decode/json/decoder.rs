//! Members become columns: a row at a time, as its keys come.

use arrow::datatypes::FieldRef;
use millstream_kernels::level::{self, Level};
use millstream_kernels::view::Text;

use super::cursor::{self, Cursor, Expected, Quoted};
use super::escape::unescape;
use super::keys::Keys;
use super::nested;
use crate::batch::{Batch, Column, Fixed, Values};
use crate::error::Result;
use crate::stream::decode::column::{ColumnBuilder, Data, Reading, set_bit};
use crate::stream::decode::fault::{Fault, Reason};
use crate::stream::decode::value::{decimal, integer, word};
use crate::stream::decode::{Block, OnError};

/// Decodes blocks of NDJSON.
#[derive(Debug)]
pub struct JsonDecoder {
    level: Level,
    on_error: OnError,
    keys: Keys,
    builders: Vec<ColumnBuilder>,
    block: Block,
    text: Option<Text>,
    special: Vec<u64>,
    /// The byte the next row begins with.
    next: usize,
    /// Rows there are still at most.
    lines_left: usize,
    scratch: Scratch,
}

/// What reading a row needs beside its columns.
#[derive(Debug, Default)]
struct Scratch {
    seen: Seen,
    copy: Vec<u8>,
}

/// A bit per projected column: whether the row has a value for it. The first 64 are apart: most tables have no more, and
/// emptying a vector is a call.
#[derive(Debug, Default)]
struct Seen {
    first: u64,
    more: Vec<u64>,
}

impl Seen {
    #[inline(always)]
    fn clear(&mut self) {
        self.first = 0;
        if !self.more.is_empty() {
            self.more.fill(0);
        }
    }

    #[inline(always)]
    fn set(&mut self, column: usize, is_value: bool) {
        if column < 64 {
            self.first = self.first & !(1 << column) | (is_value as u64) << column;
        } else {
            set_bit(&mut self.more, column - 64, is_value);
        }
    }

    fn word(&self, index: usize) -> u64 {
        if index == 0 { self.first } else { self.more[index - 1] }
    }
}

/// Why a row is bad, before it is known which column it is.
struct Bad {
    reason: Reason,
    start: usize,
    end: usize,
}

impl JsonDecoder {
    /// A decoder of the projected columns `fields`. Failure: a type that JSON cannot hold.
    pub fn new(fields: &[FieldRef], on_error: OnError) -> Result<Self> {
        let builders =
            fields.iter().map(|field| ColumnBuilder::new(field.clone(), "json")).collect::<Result<Vec<_>>>()?;
        Ok(JsonDecoder {
            level: level::detect(),
            on_error,
            keys: Keys::new(fields),
            scratch: Scratch {
                seen: Seen { first: 0, more: vec![0; builders.len().saturating_sub(64).div_ceil(64)] },
                copy: Vec::new(),
            },
            builders,
            block: Block::empty(),
            text: None,
            special: Vec::new(),
            next: 0,
            lines_left: 0,
        })
    }

    /// Starts with a block.
    pub fn begin(&mut self, block: Block) {
        self.text = block.checked();
        cursor::special(self.level, block.padded(), &mut self.special);
        self.next = 0;
        self.lines_left = block.lines();
        self.block = block;
    }

    /// The block in work.
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// Gives the block back.
    pub fn end(&mut self) -> Block {
        self.text = None;
        std::mem::replace(&mut self.block, Block::empty())
    }

    /// Decodes the next rows, `rows_max` at most, and says how many they are and how many bad ones were left out.
    /// Failure: the first bad row, when none may be left out.
    pub fn read(&mut self, batch: &mut Batch, rows_max: usize) -> Result<(usize, usize), Fault> {
        if self.next >= self.block.text().len() {
            return Ok((0, 0));
        }
        let rows_max = rows_max.min(self.lines_left);
        batch.columns.resize_with(self.builders.len(), Column::default);
        let start = self.next;
        let mut refused = Vec::new(); // rows whose nested values turned out to be bad, ascending
        loop {
            for (builder, column) in self.builders.iter_mut().zip(&mut batch.columns) {
                builder.begin(column, &self.block, self.text.as_ref(), rows_max);
            }
            self.next = start;
            let (rows, left_out) = self.rows(rows_max, &refused)?;
            match self.finish(batch, rows) {
                Ok(()) => {
                    self.lines_left -= rows;
                    batch.rows = rows;
                    return Ok((rows, left_out));
                }
                Err(fault) if self.on_error == OnError::Fail => return Err(fault),
                Err(fault) => {
                    refused.push(fault.row);
                    refused.sort_unstable();
                }
            }
        }
    }

    fn rows(&mut self, rows_max: usize, refused: &[usize]) -> Result<(usize, usize), Fault> {
        let block = self.block.clone();
        let length = block.text().len();
        let special = std::mem::take(&mut self.special);
        let mut cursor = Cursor::new(block.padded(), &special, self.next);
        let (mut rows, mut left_out) = (0, 0);
        let mut failed = None;
        while rows < rows_max {
            cursor.skip_blanks();
            if cursor.at >= length {
                break;
            }
            if cursor.accept(b'\n') {
                continue;
            }
            let start = cursor.at;
            let outcome = self.row(&mut cursor, rows, rows_max);
            if outcome.is_ok() && (refused.is_empty() || refused.binary_search(&start).is_err()) {
                rows += 1;
                continue;
            }
            left_out += 1;
            let end = memchr::memchr(b'\n', &block.text()[cursor.at.min(length)..]);
            cursor.at = if outcome.is_ok() { cursor.at } else { end.map_or(length, |end| cursor.at + end + 1) };
            if let (Err((bad, column)), OnError::Fail) = (outcome, self.on_error) {
                failed = Some(Fault { row: start, start: bad.start, end: bad.end, column, reason: bad.reason });
                break;
            }
        }
        self.next = cursor.at;
        self.special = special;
        match failed {
            Some(fault) => Err(fault),
            None => Ok((rows, left_out)),
        }
    }

    /// Reads one line into row `row`, and steps behind it when it is good.
    #[inline]
    fn row(&mut self, cursor: &mut Cursor<'_>, row: usize, rows_max: usize) -> Result<(), (Bad, Option<usize>)> {
        let start = cursor.at;
        self.scratch.seen.clear();
        self.members(cursor, row)?;
        cursor.skip_blanks();
        if cursor.byte() != b'\n' {
            return Err((broken(cursor, "the end of the line"), None));
        }
        if self.text.is_none() && std::str::from_utf8(&cursor.bytes[start..cursor.at]).is_err() {
            return Err((Bad { reason: Reason::Utf8, start, end: cursor.at }, None));
        }
        self.fill_missing(row, rows_max)
            .map_err(|column| (Bad { reason: Reason::Null, start, end: start }, Some(column)))?;
        cursor.at += 1;
        Ok(())
    }

    #[inline(always)]
    fn members(&mut self, cursor: &mut Cursor<'_>, row: usize) -> Result<(), (Bad, Option<usize>)> {
        let no_column = |bad| (bad, None);
        if !cursor.accept(b'{') {
            return Err(no_column(broken(cursor, "'{'")));
        }
        cursor.skip_blanks();
        if cursor.accept(b'}') {
            return Ok(());
        }
        let mut step = 0;
        loop {
            let column = match self.keys.expected(step, cursor.bytes, cursor.at) {
                Some((column, length)) => {
                    cursor.at += length;
                    cursor.skip_blanks();
                    step += 1;
                    column
                }
                None => {
                    let (column, next) =
                        self.unexpected(cursor, step).map_err(|expected| no_column(broken(cursor, expected)))?;
                    step = next;
                    column
                }
            };
            match column {
                Some(column) => {
                    let builder = &mut self.builders[column];
                    let is_value =
                        read(builder, cursor, row, &mut self.scratch.copy).map_err(|bad| (bad, Some(column)))?;
                    self.scratch.seen.set(column, is_value);
                }
                None => skip(cursor, &mut self.scratch.copy).map_err(|expected| no_column(broken(cursor, expected)))?,
            }
            cursor.skip_blanks();
            if !cursor.accept(b',') {
                if cursor.accept(b'}') {
                    return Ok(());
                }
                return Err(no_column(broken(cursor, "',' or '}'")));
            }
            cursor.skip_blanks();
        }
    }

    /// Reads a key that is not the one expected.
    #[cold]
    fn unexpected(&mut self, cursor: &mut Cursor<'_>, step: usize) -> Result<(Option<usize>, usize), Expected> {
        let start = cursor.at;
        let key = cursor.string().map_err(|_| "a key in quotes")?;
        let is_plain = !key.has_escapes && cursor.byte() == b':';
        let text = is_plain.then(|| &cursor.bytes[start..=cursor.at]);
        cursor.colon()?;
        let mut name = &cursor.bytes[key.start..key.end];
        if key.has_escapes {
            self.scratch.copy.clear();
            unescape(name, &mut self.scratch.copy)?;
            name = &self.scratch.copy;
        }
        Ok(self.keys.look_up(step, text, name))
    }

    /// Marks the columns that the row has no value for as null. Failure: a column that may not be.
    #[inline(always)]
    fn fill_missing(&mut self, row: usize, rows_max: usize) -> Result<(), usize> {
        let count = self.builders.len();
        for index in 0..count.div_ceil(64) {
            let wanted = if count - index * 64 >= 64 { !0 } else { (1 << (count - index * 64)) - 1 };
            let missing = wanted & !self.scratch.seen.word(index);
            if missing != 0 {
                self.fill_missing_of(index, missing, row, rows_max)?;
            }
        }
        Ok(())
    }

    fn fill_missing_of(&mut self, index: usize, missing: u64, row: usize, rows_max: usize) -> Result<(), usize> {
        let columns = (0..64).filter(|bit| missing >> bit & 1 == 1).map(|bit| index * 64 + bit);
        if let Some(column) = columns.clone().find(|&column| !self.builders[column].field.is_nullable()) {
            return Err(column);
        }
        for column in columns {
            let builder = &mut self.builders[column];
            builder.mark_null(row, rows_max);
            match &mut builder.data {
                Data::Views(views) => views.set_empty(row),
                Data::Ranges(ranges) => ranges[row] = (0, 0),
                Data::Fixed(_) => {}
            }
        }
        Ok(())
    }

    /// Hands the columns over. Failure: the first row with a nested value that does not fit its column.
    fn finish(&mut self, batch: &mut Batch, rows: usize) -> Result<(), Fault> {
        for (index, builder) in self.builders.iter().enumerate() {
            if let Data::Ranges(ranges) = &builder.data {
                match nested::build(&builder.field, &self.block, &ranges[..rows]) {
                    Ok(array) => batch.columns[index] = Column::Array(array),
                    Err(row) => {
                        let (start, end) = (ranges[row].0 as usize, ranges[row].1 as usize);
                        let line = memchr::memrchr(b'\n', &self.block.text()[..start]).map_or(0, |at| at + 1);
                        let blanks =
                            self.block.text()[line..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                        return Err(Fault {
                            row: line + blanks,
                            start,
                            end,
                            column: Some(index),
                            reason: Reason::Value,
                        });
                    }
                }
            }
        }
        for (builder, column) in self.builders.iter_mut().zip(&mut batch.columns) {
            if !matches!(builder.data, Data::Ranges(_)) {
                builder.finish(column, rows);
            }
        }
        Ok(())
    }
}

#[cold]
fn broken(cursor: &Cursor<'_>, expected: Expected) -> Bad {
    let rest = cursor.bytes.get(cursor.at..).unwrap_or_default();
    let line = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    Bad { reason: Reason::Syntax(expected), start: cursor.at, end: cursor.at + line.min(40) }
}

/// Steps over a value of any kind.
#[inline]
fn skip(cursor: &mut Cursor<'_>, copy: &mut Vec<u8>) -> Result<(), Expected> {
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
fn read(builder: &mut ColumnBuilder, cursor: &mut Cursor<'_>, row: usize, copy: &mut Vec<u8>) -> Result<bool, Bad> {
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
fn copied_text(
    views: &mut millstream_kernels::view::ViewBuilder,
    row: usize,
    inner: &[u8],
    copy: &mut Vec<u8>,
) -> Result<bool, Reason> {
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
