//! The column being filled: values are set by row number, in any order, and handed over as a batch's column.
//!
//! Owns        its buffers between `begin` and `finish`; outside of that the batch has them.
//! Invariants  a row not set holds anything (an empty string in string columns); nulls are marked apart.

use std::str::FromStr;

use arrow::array::timezone::Tz;
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::{DataType, FieldRef};
use chrono::{DateTime, Offset, TimeZone};
use millstream_kernels::view::{Text, ViewBuilder};

use super::Block;
use super::value::{boolean::boolean, decimal::decimal, float, integer, time};
use crate::batch::{Column, Flat, Kind, Values};
use crate::error::{Error, Result};
use crate::time::ticks_per_second;

/// How the text of a value is read.
#[derive(Debug, Clone)]
pub enum Reading {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
    Decimal {
        precision: u8,
        scale: i8,
    },
    Date32,
    Date64,
    /// Ticks per second.
    Time32(i64),
    Time64(i64),
    Timestamp {
        per_second: i64,
        zone: Zone,
    },
    Text,
    Bytes,
    /// Lists, structs and maps: JSON only.
    Nested,
}

/// What a text without offset means in a timestamp column.
#[derive(Debug, Clone, Copy)]
pub enum Zone {
    /// The clock of UTC, as in columns without zone.
    Utc,
    /// The clock of the column's zone.
    Of(Tz),
}

impl Reading {
    /// How values of `data_type` are read; `None` when text formats cannot hold it.
    pub fn of(data_type: &DataType) -> Result<Option<Reading>> {
        Ok(Some(match data_type {
            DataType::Boolean => Reading::Bool,
            DataType::Int8 => Reading::I8,
            DataType::Int16 => Reading::I16,
            DataType::Int32 => Reading::I32,
            DataType::Int64 => Reading::I64,
            DataType::UInt8 => Reading::U8,
            DataType::UInt16 => Reading::U16,
            DataType::UInt32 => Reading::U32,
            DataType::UInt64 => Reading::U64,
            DataType::Float32 => Reading::F32,
            DataType::Float64 => Reading::F64,
            DataType::Decimal128(precision, scale) => Reading::Decimal { precision: *precision, scale: *scale },
            DataType::Date32 => Reading::Date32,
            DataType::Date64 => Reading::Date64,
            DataType::Time32(unit) => Reading::Time32(ticks_per_second(*unit)),
            DataType::Time64(unit) => Reading::Time64(ticks_per_second(*unit)),
            DataType::Timestamp(unit, zone) => {
                let zone = match zone.as_deref() {
                    None | Some("UTC" | "utc" | "Z" | "+00:00") => Zone::Utc,
                    Some(name) => Zone::Of(Tz::from_str(name).map_err(|cause| {
                        Error::user(format!("unknown time zone: '{name}'; use an offset like '+02:00'"))
                            .caused_by(cause)
                    })?),
                };
                Reading::Timestamp { per_second: ticks_per_second(*unit), zone }
            }
            DataType::Utf8View => Reading::Text,
            DataType::BinaryView => Reading::Bytes,
            DataType::List(_) | DataType::LargeList(_) | DataType::Struct(_) | DataType::Map(..) => Reading::Nested,
            DataType::FixedSizeList(..) => Reading::Nested,
            _ => return Ok(None),
        }))
    }
}

/// The values of a column being filled.
#[derive(Debug)]
pub enum Data {
    Fixed(Values),
    Views(ViewBuilder),
    /// Where the text of each nested value lies; empty for null.
    Ranges(Vec<(u32, u32)>),
}

/// A column being filled.
#[derive(Debug)]
pub struct ColumnBuilder {
    pub field: FieldRef,
    pub reading: Reading,
    pub data: Data,
    validity: Vec<u64>,
    has_nulls: bool,
}

impl ColumnBuilder {
    /// A builder for `field`. Failure: a type that `format` cannot hold.
    pub fn new(field: FieldRef, format: &str) -> Result<Self> {
        let reading = Reading::of(field.data_type())?;
        let data = match reading {
            Some(Reading::Text) => Data::Views(ViewBuilder::text()),
            Some(Reading::Bytes) => Data::Views(ViewBuilder::bytes()),
            Some(Reading::Nested) if format == "json" => Data::Ranges(Vec::new()),
            _ => match Kind::of(field.data_type()).values().filter(|_| reading.is_some()) {
                Some(values) => Data::Fixed(values),
                None => {
                    let (name, data_type) = (field.name(), field.data_type());
                    return Err(Error::user(format!(
                        "{format} cannot hold the type of a column: {name}, {data_type}; declare it as text and cast"
                    )));
                }
            },
        };
        let reading = reading.expect("a type without reading was refused above");
        Ok(ColumnBuilder { field, reading, data, validity: Vec::new(), has_nulls: false })
    }

    /// Starts a column of up to `rows` rows whose long strings may lie in `block`; takes the memory of `column`.
    pub fn begin(&mut self, column: &mut Column, block: &Block, text: Option<&Text>, rows: usize) {
        self.has_nulls = false;
        match &mut self.data {
            Data::Fixed(values) => {
                if let Column::Flat(flat) = column
                    && std::mem::discriminant(&flat.values) == std::mem::discriminant(values)
                {
                    std::mem::swap(values, &mut flat.values);
                }
                resize(values, rows);
            }
            Data::Views(views) => {
                if let Column::Array(array) = column {
                    views.recycle(array);
                }
                match self.reading {
                    Reading::Text => views.begin_text(text.cloned(), rows),
                    _ => views.begin_bytes(block.buffer().clone(), rows),
                }
            }
            Data::Ranges(ranges) => {
                ranges.clear();
                ranges.resize(rows, (0, 0));
            }
        }
    }

    /// Lends the values; [`ColumnBuilder::return_data`] brings them back.
    pub fn lend_data(&mut self) -> Data {
        std::mem::replace(&mut self.data, Data::Ranges(Vec::new()))
    }

    pub fn return_data(&mut self, data: Data) {
        self.data = data;
    }

    /// Marks row `row` of the `rows` begun as null; its value is anything, and should be empty in a string column.
    pub fn mark_null(&mut self, row: usize, rows: usize) {
        if !self.has_nulls {
            self.has_nulls = true;
            self.validity.clear();
            self.validity.resize(rows.div_ceil(64), !0);
        }
        self.validity[row / 64] &= !(1 << (row % 64));
    }

    /// Makes row `row` of the `rows` begun null.
    pub fn set_null(&mut self, row: usize, rows: usize) {
        self.mark_null(row, rows);
        match &mut self.data {
            Data::Views(views) => views.set_empty(row),
            Data::Ranges(ranges) => ranges[row] = (0, 0),
            Data::Fixed(_) => {}
        }
    }

    /// Marks row `row` as not null.
    pub fn mark_valid(&mut self, row: usize) {
        if self.has_nulls {
            self.validity[row / 64] |= 1 << (row % 64);
        }
    }

    /// Forgets the nulls from row `row` on.
    pub fn rewind(&mut self, row: usize) {
        if self.has_nulls {
            let word = row / 64;
            self.validity[word] |= !0 << (row % 64);
            self.validity[word + 1..].fill(!0);
        }
    }

    /// The nulls of the first `rows` rows, if there are any.
    pub fn nulls(&self, rows: usize) -> Option<NullBuffer> {
        self.has_nulls.then(|| {
            let words = self.validity[..rows.div_ceil(64)].to_vec();
            NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(words), 0, rows))
        })
    }

    /// Hands the first `rows` rows over. Nested columns are built by their decoder instead.
    pub fn finish(&mut self, column: &mut Column, rows: usize) {
        match &mut self.data {
            Data::Fixed(values) => {
                resize(values, rows);
                let flat = column.flat_mut(
                    |old| std::mem::discriminant(old) == std::mem::discriminant(values),
                    || Kind::of(self.field.data_type()).values().expect("fixed columns have flat values"),
                );
                std::mem::swap(values, &mut flat.values);
                flat.rows = rows;
                finish_nulls(flat, self.has_nulls.then_some(&self.validity), rows);
            }
            Data::Views(_) => {
                let nulls = self.nulls(rows);
                if let Data::Views(views) = &mut self.data {
                    *column = Column::Array(views.finish(rows, nulls));
                }
            }
            Data::Ranges(_) => unreachable!("nested columns are built by their decoder"),
        }
    }

    /// Reads `text` as a value of row `row`, and says whether it is one. Not for strings and nested values.
    pub fn set_parsed(&mut self, row: usize, text: &[u8]) -> bool {
        let Data::Fixed(values) = &mut self.data else { return false };
        macro_rules! set {
            ($values:expr, $parsed:expr) => {
                $parsed.map(|value| $values[row] = value).is_some()
            };
        }
        match (&self.reading, values) {
            (Reading::Bool, Values::Bool(words)) => boolean(text).map(|value| set_bit(words, row, value)).is_some(),
            (Reading::I8, Values::I8(v)) => set!(v, integer::signed(text).and_then(|value| value.try_into().ok())),
            (Reading::I16, Values::I16(v)) => set!(v, integer::signed(text).and_then(|value| value.try_into().ok())),
            (Reading::I32, Values::I32(v)) => set!(v, integer::signed(text).and_then(|value| value.try_into().ok())),
            (Reading::I64, Values::I64(v)) => set!(v, integer::signed(text)),
            (Reading::U8, Values::U8(v)) => set!(v, integer::positive(text).and_then(|value| value.try_into().ok())),
            (Reading::U16, Values::U16(v)) => set!(v, integer::positive(text).and_then(|value| value.try_into().ok())),
            (Reading::U32, Values::U32(v)) => set!(v, integer::positive(text).and_then(|value| value.try_into().ok())),
            (Reading::U64, Values::U64(v)) => set!(v, integer::positive(text)),
            (Reading::F32, Values::F32(v)) => set!(v, float::single(text)),
            (Reading::F64, Values::F64(v)) => set!(v, float::double(text)),
            (Reading::Decimal { precision, scale }, Values::I128(v)) => set!(v, decimal(text, *precision, *scale)),
            (Reading::Date32, Values::I32(v)) => set!(v, time::date_of(text)),
            (Reading::Date64, Values::I64(v)) => set!(v, date64(text)),
            (Reading::Time32(ticks), Values::I32(v)) => set!(v, time_of_day(text, *ticks).map(|value| value as i32)),
            (Reading::Time64(ticks), Values::I64(v)) => set!(v, time_of_day(text, *ticks)),
            (Reading::Timestamp { per_second, zone }, Values::I64(v)) => set!(v, timestamp(text, *per_second, *zone)),
            _ => false,
        }
    }
}

/// Sets or clears bit `row`.
#[inline]
pub fn set_bit(words: &mut [u64], row: usize, value: bool) {
    let bit = 1 << (row % 64);
    if value { words[row / 64] |= bit } else { words[row / 64] &= !bit }
}

/// Milliseconds since 1970 of a date.
pub fn date64(text: &[u8]) -> Option<i64> {
    Some(time::date_of(text)? as i64 * 86_400_000)
}

/// A time of day in ticks.
pub fn time_of_day(text: &[u8], per_second: i64) -> Option<i64> {
    Some(time::time_of_day(text)? / (1_000_000_000 / per_second))
}

/// A timestamp in ticks; finer digits are cut.
#[inline(always)]
pub fn timestamp(text: &[u8], per_second: i64, zone: Zone) -> Option<i64> {
    let instant = time::timestamp(text)?;
    let seconds = match (instant.offset, zone) {
        (Some(offset), _) => instant.seconds - offset as i64,
        (None, Zone::Utc) => instant.seconds,
        (None, Zone::Of(zone)) => local(instant.seconds, zone)?,
    };
    // Divisors that are known are multiplications.
    let ticks = match per_second {
        1 => 0,
        1_000 => instant.nanos / 1_000_000,
        1_000_000 => instant.nanos / 1_000,
        _ => instant.nanos / (1_000_000_000 / per_second) as u32,
    };
    seconds.checked_mul(per_second)?.checked_add(ticks as i64)
}

/// Seconds since 1970 at which clocks of `zone` show `seconds`.
#[inline(never)]
fn local(seconds: i64, zone: Tz) -> Option<i64> {
    let clock = DateTime::from_timestamp(seconds, 0)?.naive_utc();
    // A clock time that occurs twice means the earlier one; one that does not occur is refused.
    let offset = zone.offset_from_local_datetime(&clock).earliest()?;
    Some(seconds - offset.fix().local_minus_utc() as i64)
}

fn finish_nulls(flat: &mut Flat, validity: Option<&Vec<u64>>, rows: usize) {
    match validity {
        None => flat.set_all_valid(),
        Some(words) => {
            let count = rows.div_ceil(64);
            flat.validity_mut(rows)[..count].copy_from_slice(&words[..count]);
        }
    }
}

fn resize(values: &mut Values, rows: usize) {
    match values {
        Values::Bool(words) => words.resize(rows.div_ceil(64), 0),
        Values::I8(v) => v.resize(rows, 0),
        Values::I16(v) => v.resize(rows, 0),
        Values::I32(v) => v.resize(rows, 0),
        Values::I64(v) => v.resize(rows, 0),
        Values::U8(v) => v.resize(rows, 0),
        Values::U16(v) => v.resize(rows, 0),
        Values::U32(v) => v.resize(rows, 0),
        Values::U64(v) => v.resize(rows, 0),
        Values::F32(v) => v.resize(rows, 0.0),
        Values::F64(v) => v.resize(rows, 0.0),
        Values::I128(v) => v.resize(rows, 0),
    }
}
