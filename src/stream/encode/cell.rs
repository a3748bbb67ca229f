//! A column whose values can be written as text, one at a time: plain, or as JSON.
//!
//! Place       under `csv`, `json` and `table`, which differ only in what stands around a value.
//! Invariants  numbers are exact: decimals keep their digits, floats read back as the same float. Nested values are
//!             JSON in all formats. NaN and the infinities are `null` in JSON, which has no words for them.

use std::io::Write;
use std::str::FromStr;

use arrow::array::timezone::Tz;
use arrow::array::*;
use arrow::compute::cast;
use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use chrono::{DateTime, Offset, TimeZone};

use super::names::unique_names;
use super::time;
use crate::error::{Error, Result};
use crate::time::ticks_per_second;

/// A column, its type decided once.
pub struct Cells {
    nulls: Option<arrow::buffer::NullBuffer>,
    values: Values,
}

enum Values {
    Null,
    Bool(BooleanArray),
    I8(Int8Array),
    I16(Int16Array),
    I32(Int32Array),
    I64(Int64Array),
    U8(UInt8Array),
    U16(UInt16Array),
    U32(UInt32Array),
    U64(UInt64Array),
    F32(Float32Array),
    F64(Float64Array),
    Decimal(Decimal128Array, i8),
    WideDecimal(Decimal256Array, i8),
    Text(StringViewArray),
    Bytes(BinaryViewArray),
    Date(Int64Array),
    Time(Int64Array, TimeUnit),
    Timestamp(Int64Array, TimeUnit, Zone),
    Duration(Int64Array, TimeUnit),
    Months(IntervalYearMonthArray),
    DayTime(IntervalDayTimeArray),
    MonthDayNano(IntervalMonthDayNanoArray),
    List(ListArray, Box<Cells>),
    FixedList(usize, Box<Cells>),
    /// Keys as JSON writes them, with quotes and colon.
    Struct(Vec<(Vec<u8>, Cells)>),
    Map(MapArray, Box<Cells>, Box<Cells>),
}

/// How a timestamp's zone is shown.
enum Zone {
    None,
    Fixed(Tz),
    /// A zone this build has no rules for: the same instant is shown in UTC.
    Utc,
}

impl Cells {
    /// Failure: a type that has no text, as a union.
    pub fn new(array: &ArrayRef) -> Result<Cells> {
        Ok(Cells { nulls: array.logical_nulls(), values: Values::new(array)? })
    }

    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Whether it is a column of numbers, which people like to see aligned to the right.
    pub fn is_number(data_type: &DataType) -> bool {
        data_type.is_numeric()
    }

    /// Appends a value that is not null, as it reads outside of JSON.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        match &self.values {
            Values::Null => {}
            Values::Text(values) => out.extend_from_slice(values.value(row).as_bytes()),
            Values::F32(values) => float(values.value(row), out),
            Values::F64(values) => float(values.value(row), out),
            _ => match self.quoted() {
                true => self.bare(row, out),
                false => self.write_json(row, out),
            },
        }
    }

    /// Appends a value as JSON.
    pub fn write_json(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            return out.extend_from_slice(b"null");
        }
        match &self.values {
            Values::Text(values) => json_text(values.value(row), out),
            Values::F32(values) if !values.value(row).is_finite() => out.extend_from_slice(b"null"),
            Values::F64(values) if !values.value(row).is_finite() => out.extend_from_slice(b"null"),
            _ if self.quoted() => {
                out.push(b'"');
                self.bare(row, out);
                out.push(b'"');
            }
            _ => self.bare(row, out),
        }
    }

    /// Whether JSON wants quotes around it.
    fn quoted(&self) -> bool {
        matches!(
            self.values,
            Values::Bytes(_)
                | Values::Date(_)
                | Values::Time(..)
                | Values::Timestamp(..)
                | Values::Duration(..)
                | Values::Months(_)
                | Values::DayTime(_)
                | Values::MonthDayNano(_)
        )
    }

    /// Appends a value without quotes of its own.
    fn bare(&self, row: usize, out: &mut Vec<u8>) {
        match &self.values {
            Values::Null => out.extend_from_slice(b"null"),
            Values::Bool(values) => out.extend_from_slice(if values.value(row) { b"true" } else { b"false" }),
            Values::I8(values) => integer(values.value(row).into(), out),
            Values::I16(values) => integer(values.value(row).into(), out),
            Values::I32(values) => integer(values.value(row).into(), out),
            Values::I64(values) => integer(values.value(row), out),
            Values::U8(values) => unsigned(values.value(row).into(), out),
            Values::U16(values) => unsigned(values.value(row).into(), out),
            Values::U32(values) => unsigned(values.value(row).into(), out),
            Values::U64(values) => unsigned(values.value(row), out),
            Values::F32(values) => float(values.value(row), out),
            Values::F64(values) => float(values.value(row), out),
            Values::Decimal(values, scale) => {
                let value = values.value(row);
                decimal(value < 0, &value.unsigned_abs().to_string(), *scale, out);
            }
            Values::WideDecimal(values, scale) => {
                let text = values.value(row).to_string();
                decimal(text.starts_with('-'), text.trim_start_matches('-'), *scale, out);
            }
            Values::Text(values) => out.extend_from_slice(values.value(row).as_bytes()),
            Values::Bytes(values) => values.value(row).iter().for_each(|byte| hex(*byte, out)),
            Values::Date(values) => time::date(values.value(row), out),
            Values::Time(values, unit) => time::time(values.value(row), *unit, out),
            Values::Timestamp(values, unit, zone) => {
                let ticks = values.value(row);
                time::timestamp(ticks, *unit, zone.offset_seconds(ticks, *unit), out);
            }
            Values::Duration(values, unit) => time::duration(values.value(row), *unit, out),
            Values::Months(values) => time::interval_months(values.value(row), out),
            Values::DayTime(values) => time::interval_day_time(values.value(row), out),
            Values::MonthDayNano(values) => time::interval_month_day_nano(values.value(row), out),
            Values::List(list, items) => {
                let offsets = list.value_offsets();
                items.write_list(offsets[row] as usize..offsets[row + 1] as usize, out);
            }
            Values::FixedList(length, items) => items.write_list(row * length..(row + 1) * length, out),
            Values::Struct(fields) => {
                write_object(fields.iter().map(|(key, cells)| (Key::Ready(key), cells, row)), out)
            }
            Values::Map(map, keys, values) => {
                let offsets = map.value_offsets();
                let entries = offsets[row] as usize..offsets[row + 1] as usize;
                write_object(entries.map(|entry| (Key::Value(keys, entry), &**values, entry)), out);
            }
        }
    }

    fn write_list(&self, rows: std::ops::Range<usize>, out: &mut Vec<u8>) {
        out.push(b'[');
        let first = rows.start;
        for row in rows {
            if row > first {
                out.push(b',');
            }
            self.write_json(row, out);
        }
        out.push(b']');
    }
}

/// The key of a member of a JSON object.
enum Key<'a> {
    Ready(&'a [u8]),
    Value(&'a Cells, usize),
}

fn write_object<'a>(members: impl Iterator<Item = (Key<'a>, &'a Cells, usize)>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, (key, cells, row)) in members.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match key {
            Key::Ready(key) => out.extend_from_slice(key),
            Key::Value(keys, entry) => {
                let mut text = Vec::new();
                keys.write(entry, &mut text);
                json_text(&String::from_utf8_lossy(&text), out);
                out.push(b':');
            }
        }
        cells.write_json(row, out);
    }
    out.push(b'}');
}

impl Values {
    fn new(array: &ArrayRef) -> Result<Values> {
        let as_i64 = |array: &ArrayRef| Ok::<_, Error>(cast(array, &DataType::Int64)?.as_primitive().clone());
        Ok(match array.data_type() {
            DataType::Null => Values::Null,
            DataType::Boolean => Values::Bool(array.as_boolean().clone()),
            DataType::Int8 => Values::I8(array.as_primitive().clone()),
            DataType::Int16 => Values::I16(array.as_primitive().clone()),
            DataType::Int32 => Values::I32(array.as_primitive().clone()),
            DataType::Int64 => Values::I64(array.as_primitive().clone()),
            DataType::UInt8 => Values::U8(array.as_primitive().clone()),
            DataType::UInt16 => Values::U16(array.as_primitive().clone()),
            DataType::UInt32 => Values::U32(array.as_primitive().clone()),
            DataType::UInt64 => Values::U64(array.as_primitive().clone()),
            DataType::Float16 => Values::F32(cast(array, &DataType::Float32)?.as_primitive().clone()),
            DataType::Float32 => Values::F32(array.as_primitive().clone()),
            DataType::Float64 => Values::F64(array.as_primitive().clone()),
            DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) => {
                Values::Decimal(cast(array, &DataType::Decimal128(38, *scale))?.as_primitive().clone(), *scale)
            }
            DataType::Decimal128(_, scale) => Values::Decimal(array.as_primitive().clone(), *scale),
            DataType::Decimal256(_, scale) => Values::WideDecimal(array.as_primitive().clone(), *scale),
            DataType::Utf8View => Values::Text(array.as_string_view().clone()),
            DataType::BinaryView => Values::Bytes(array.as_binary_view().clone()),
            DataType::Date32 => Values::Date(as_i64(&cast(array, &DataType::Int32)?)?),
            DataType::Date64 => Values::Timestamp(as_i64(array)?, TimeUnit::Millisecond, Zone::None),
            DataType::Time32(unit) => Values::Time(as_i64(&cast(array, &DataType::Int32)?)?, *unit),
            DataType::Time64(unit) => Values::Time(as_i64(array)?, *unit),
            DataType::Timestamp(unit, zone) => Values::Timestamp(as_i64(array)?, *unit, Zone::new(zone.as_deref())),
            DataType::Duration(unit) => Values::Duration(as_i64(array)?, *unit),
            DataType::Interval(IntervalUnit::YearMonth) => Values::Months(array.as_primitive().clone()),
            DataType::Interval(IntervalUnit::DayTime) => Values::DayTime(array.as_primitive().clone()),
            DataType::Interval(IntervalUnit::MonthDayNano) => Values::MonthDayNano(array.as_primitive().clone()),
            DataType::List(_) => {
                let list = array.as_list::<i32>().clone();
                let items = Box::new(Cells::new(list.values())?);
                Values::List(list, items)
            }
            DataType::FixedSizeList(_, length) => {
                // The values of a sliced list are sliced with it.
                let items = Box::new(Cells::new(array.as_fixed_size_list().values())?);
                Values::FixedList(*length as usize, items)
            }
            DataType::Struct(fields) => {
                let names = unique_names(&arrow::datatypes::Schema::new(fields.clone()));
                let cells = array.as_struct().columns().iter().map(Cells::new);
                let member = |(name, cells): (String, Result<Cells>)| Ok((json_key(&name), cells?));
                Values::Struct(names.into_iter().zip(cells).map(member).collect::<Result<_>>()?)
            }
            DataType::Map(..) => {
                let map = array.as_map().clone();
                let (keys, values) = (Cells::new(map.keys())?, Cells::new(map.values())?);
                Values::Map(map, Box::new(keys), Box::new(values))
            }
            DataType::Union(..) => return Err(Error::user("a union cannot be written as text; pick a member first")),
            DataType::FixedSizeBinary(_) => Values::Bytes(cast(array, &DataType::BinaryView)?.as_binary_view().clone()),
            other => match crate::batch::engine_type(other) {
                own if own == *other => {
                    return Err(Error::user(format!("{other} cannot be written as text; CAST it first")));
                }
                own => Values::new(&cast(array, &own)?)?,
            },
        })
    }
}

impl Zone {
    fn new(zone: Option<&str>) -> Zone {
        zone.map_or(Zone::None, |zone| Tz::from_str(zone).map_or(Zone::Utc, Zone::Fixed))
    }

    fn offset_seconds(&self, ticks: i64, unit: TimeUnit) -> Option<i32> {
        let tz = match self {
            Zone::None => return None,
            Zone::Utc => return Some(0),
            Zone::Fixed(tz) => tz,
        };
        let seconds = ticks.div_euclid(ticks_per_second(unit));
        // A moment that the calendar library cannot hold is shown in UTC.
        let moment = DateTime::from_timestamp(seconds, 0);
        Some(moment.map_or(0, |moment| tz.offset_from_utc_datetime(&moment.naive_utc()).fix().local_minus_utc()))
    }
}

/// Appends a whole number.
fn integer(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    unsigned(value.unsigned_abs(), out);
}

fn unsigned(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

/// Appends the shortest text that reads back as the same float: `1.0`, `1e300`, `NaN`, `inf`.
fn float(value: impl std::fmt::Debug, out: &mut Vec<u8>) {
    write!(out, "{value:?}").expect("memory takes all");
}

/// Appends the digits with the point where `scale` says.
fn decimal(negative: bool, digits: &str, scale: i8, out: &mut Vec<u8>) {
    if negative {
        out.push(b'-');
    }
    let point = usize::try_from(scale).unwrap_or(0);
    if digits.len() > point {
        let (whole, fraction) = digits.split_at(digits.len() - point);
        out.extend_from_slice(whole.as_bytes());
        if scale < 0 && digits != "0" {
            out.resize(out.len() + usize::from(scale.unsigned_abs()), b'0');
        }
        if point > 0 {
            out.push(b'.');
            out.extend_from_slice(fraction.as_bytes());
        }
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + point - digits.len(), b'0');
        out.extend_from_slice(digits.as_bytes());
    }
}

fn hex(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(DIGITS[usize::from(byte >> 4)]);
    out.push(DIGITS[usize::from(byte & 15)]);
}

/// A key with quotes and colon.
pub fn json_key(name: &str) -> Vec<u8> {
    let mut key = Vec::new();
    json_text(name, &mut key);
    key.push(b':');
    key
}

/// Appends a JSON string.
fn json_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte => {
                out.extend_from_slice(b"\\u00");
                hex(byte, out);
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Int8Type;
    use std::sync::Arc;

    fn check(array: impl Array + 'static, plain: &[&str], json: &[&str]) {
        let rows = array.len();
        let cells = Cells::new(&(Arc::new(array) as ArrayRef)).unwrap();
        let text = |write: &dyn Fn(usize, &mut Vec<u8>), row| {
            let mut out = Vec::new();
            write(row, &mut out);
            String::from_utf8(out).unwrap()
        };
        let shown: Vec<_> = (0..rows).map(|row| text(&|row, out| cells.write(row, out), row)).collect();
        assert_eq!(shown, plain);
        let shown: Vec<_> = (0..rows).map(|row| text(&|row, out| cells.write_json(row, out), row)).collect();
        assert_eq!(shown, json);
    }

    #[test]
    fn numbers_are_exact() {
        check(
            Int64Array::from(vec![0, i64::MIN, i64::MAX]),
            &["0", "-9223372036854775808", "9223372036854775807"],
            &["0", "-9223372036854775808", "9223372036854775807"],
        );
        check(UInt64Array::from(vec![u64::MAX]), &["18446744073709551615"], &["18446744073709551615"]);
        check(
            Float64Array::from(vec![1.0, 0.1, 1e300, f64::NAN, f64::INFINITY]),
            &["1.0", "0.1", "1e300", "NaN", "inf"],
            &["1.0", "0.1", "1e300", "null", "null"],
        );
        check(Float32Array::from(vec![0.1]), &["0.1"], &["0.1"]);
        let decimals = |scale| Decimal128Array::from(vec![12345, -5, 0]).with_precision_and_scale(20, scale).unwrap();
        check(decimals(2), &["123.45", "-0.05", "0.00"], &["123.45", "-0.05", "0.00"]);
        check(decimals(0), &["12345", "-5", "0"], &["12345", "-5", "0"]);
        check(decimals(-2), &["1234500", "-500", "0"], &["1234500", "-500", "0"]);
        check(decimals(5), &["0.12345", "-0.00005", "0.00000"], &["0.12345", "-0.00005", "0.00000"]);
    }

    #[test]
    fn text_is_escaped_in_json_only() {
        check(StringViewArray::from(vec!["a\"b\\\n\u{1}é"]), &["a\"b\\\n\u{1}é"], &["\"a\\\"b\\\\\\n\\u0001é\""]);
        check(BinaryViewArray::from(vec![&b"\x00\xff"[..]]), &["00ff"], &["\"00ff\""]);
        let fixed = FixedSizeBinaryArray::try_from_iter([[0, 255], [1, 2]].iter()).expect("bytes of one length");
        check(fixed, &["00ff", "0102"], &["\"00ff\"", "\"0102\""]);
    }

    #[test]
    fn times_are_iso() {
        let timestamps = TimestampMillisecondArray::from(vec![1_700_000_000_123]);
        check(timestamps.clone(), &["2023-11-14T22:13:20.123"], &["\"2023-11-14T22:13:20.123\""]);
        check(
            timestamps.clone().with_timezone("+02:00"),
            &["2023-11-15T00:13:20.123+02:00"],
            &["\"2023-11-15T00:13:20.123+02:00\""],
        );
        check(timestamps.with_timezone("UTC"), &["2023-11-14T22:13:20.123Z"], &["\"2023-11-14T22:13:20.123Z\""]);
        check(Date32Array::from(vec![19_782]), &["2024-02-29"], &["\"2024-02-29\""]);
        check(
            Time64MicrosecondArray::from(vec![1_000_001, -1]),
            &["00:00:01.000001", "-1"],
            &["\"00:00:01.000001\"", "\"-1\""],
        );
    }

    #[test]
    fn nested_values_are_json() {
        let mut lists = ListBuilder::new(Int64Builder::new());
        lists.append_value([Some(1), None]);
        lists.append_null();
        lists.append_value([]);
        let lists = lists.finish();
        let cells = Cells::new(&(Arc::new(lists.slice(1, 2)) as ArrayRef)).unwrap();
        assert!(cells.is_null(0) && !cells.is_null(1));
        check(lists.slice(0, 1), &["[1,null]"], &["[1,null]"]);
        let fields = vec![
            ("a\"", Arc::new(Int64Array::from(vec![Some(1), None])) as ArrayRef),
            ("b", Arc::new(StringArray::from(vec!["x", "y"]))),
        ];
        let structs = StructArray::try_from(fields).unwrap();
        check(structs.slice(1, 1), &[r#"{"a\"":null,"b":"y"}"#], &[r#"{"a\"":null,"b":"y"}"#]);
        let mut map = MapBuilder::new(None, Int64Builder::new(), StringBuilder::new());
        map.keys().append_value(7);
        map.values().append_value("v");
        map.append(true).unwrap();
        check(map.finish(), &[r#"{"7":"v"}"#], &[r#"{"7":"v"}"#]);
    }

    #[test]
    fn dictionaries_are_their_values() {
        let words: DictionaryArray<Int8Type> = vec![Some("a"), None, Some("a")].into_iter().collect();
        let cells = Cells::new(&(Arc::new(words.clone()) as ArrayRef)).unwrap();
        assert!(cells.is_null(1));
        check(words.slice(2, 1), &["a"], &["\"a\""]);
    }
}
