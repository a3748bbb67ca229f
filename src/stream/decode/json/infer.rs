//! Names and types of NDJSON, from a sample of it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema};
use millstream_kernels::{level, scan};

use super::cursor::{Cursor, Expected};
use super::escape::unescape;
use crate::error::{Error, Result};
use crate::stream::decode::Block;
use crate::stream::decode::infer::Narrowest;

/// Rows looked at.
const ROWS_MAX: usize = 10_000;
/// Values within one another that get types; what lies deeper is kept as text.
const DEPTH_MAX: usize = 32;

/// What the values seen so far have in common.
#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Scalar(Narrowest),
    List(Box<Shape>),
    /// Members in the order in which they were first seen.
    Object(Vec<(String, Shape)>),
    /// Values that have no type in common, or say nothing about one: kept as their JSON text.
    Any,
}

const NOTHING: Shape = Shape::Scalar(Narrowest::Nothing);
const TEXT: Shape = Shape::Scalar(Narrowest::Text);

/// Finds out the columns from the first bytes of a file, which may end anywhere. Lines that are no object are passed by.
///
/// Failure: no line is an object.
pub fn infer(sample: &[u8]) -> Result<Schema> {
    let sample = sample.strip_prefix(b"\xef\xbb\xbf").unwrap_or(sample);
    let whole = memchr::memrchr(b'\n', sample).map_or(sample, |end| &sample[..=end]);
    let block = Block::of(whole);
    let mut bits = Vec::new();
    scan::json_special(level::detect(), block.padded(), &mut bits);
    let mut cursor = Cursor::new(block.padded(), &bits, 0);
    let mut all = NOTHING;
    let mut rows = 0;
    let length = block.text().len();
    while cursor.at < length && rows < ROWS_MAX {
        let start = cursor.at;
        let end = memchr::memchr(b'\n', &block.text()[start..]).map_or(length, |end| start + end);
        cursor.skip_blanks();
        if cursor.byte() == b'{'
            && let Ok(row) = shape(&mut cursor, 0)
        {
            cursor.skip_blanks();
            if cursor.at == end {
                all = merge(all, row);
                rows += 1;
            }
        }
        cursor.at = end + 1;
    }
    match all {
        Shape::Object(members) if !members.is_empty() => Ok(Schema::new(fields(members))),
        _ => Err(Error::user(
            "columns cannot be found out: no line begins with a JSON object that has members; declare them",
        )),
    }
}

/// The shape of the value here, which is stepped over.
fn shape(cursor: &mut Cursor<'_>, depth: usize) -> Result<Shape, Expected> {
    let start = cursor.at;
    match cursor.byte() {
        b'{' | b'[' if depth == DEPTH_MAX => {
            cursor.skip(&mut |_| Ok(()))?;
            Ok(Shape::Any)
        }
        b'{' => object(cursor, depth),
        b'[' => list(cursor, depth),
        b'"' => {
            let string = cursor.string()?;
            let text = &cursor.bytes[string.start..string.end];
            Ok(if string.has_escapes { TEXT } else { Shape::Scalar(Narrowest::of_string(text)) })
        }
        _ => {
            cursor.skip(&mut |_| Ok(()))?;
            Ok(Shape::Scalar(match &cursor.bytes[start..cursor.at] {
                b"null" => Narrowest::Nothing,
                number => match Narrowest::of(number) {
                    // Numbers are numbers, however long.
                    Narrowest::Text => Narrowest::Float,
                    narrowest => narrowest,
                },
            }))
        }
    }
}

fn list(cursor: &mut Cursor<'_>, depth: usize) -> Result<Shape, Expected> {
    let mut item = NOTHING;
    cursor.at += 1;
    cursor.skip_blanks();
    if cursor.accept(b']') {
        return Ok(Shape::List(Box::new(item)));
    }
    loop {
        item = merge(item, shape(cursor, depth + 1)?);
        cursor.skip_blanks();
        if cursor.accept(b']') {
            return Ok(Shape::List(Box::new(item)));
        }
        if !cursor.accept(b',') {
            return Err("',' or ']'");
        }
        cursor.skip_blanks();
    }
}

fn object(cursor: &mut Cursor<'_>, depth: usize) -> Result<Shape, Expected> {
    let mut members: Vec<(String, Shape)> = Vec::new();
    cursor.at += 1;
    cursor.skip_blanks();
    if cursor.accept(b'}') {
        return Ok(Shape::Object(members));
    }
    loop {
        let key = cursor.string()?;
        let mut name = Vec::new();
        unescape(&cursor.bytes[key.start..key.end], &mut name)?;
        cursor.colon()?;
        let value = shape(cursor, depth + 1)?;
        put(&mut members, String::from_utf8_lossy(&name).into_owned(), value);
        cursor.skip_blanks();
        if cursor.accept(b'}') {
            return Ok(Shape::Object(members));
        }
        if !cursor.accept(b',') {
            return Err("',' or '}'");
        }
        cursor.skip_blanks();
    }
}

fn put(members: &mut Vec<(String, Shape)>, name: String, value: Shape) {
    match members.iter_mut().find(|(known, _)| *known == name) {
        Some((_, shape)) => *shape = merge(std::mem::replace(shape, NOTHING), value),
        None => members.push((name, value)),
    }
}

fn merge(a: Shape, b: Shape) -> Shape {
    match (a, b) {
        (Shape::Scalar(Narrowest::Nothing), other) | (other, Shape::Scalar(Narrowest::Nothing)) => other,
        (Shape::Scalar(a), Shape::Scalar(b)) => Shape::Scalar(a.and(b)),
        (Shape::List(a), Shape::List(b)) => Shape::List(Box::new(merge(*a, *b))),
        (Shape::Object(mut members), Shape::Object(others)) => {
            others.into_iter().for_each(|(name, value)| put(&mut members, name, value));
            Shape::Object(members)
        }
        _ => Shape::Any,
    }
}

/// The columns of the rows' members. A column whose values have no type in common, at whatever depth, is text.
fn fields(members: Vec<(String, Shape)>) -> Fields {
    let field = |(name, shape)| Field::new(name, data_type(shape).unwrap_or(DataType::Utf8View), true);
    members.into_iter().map(field).collect()
}

fn data_type(shape: Shape) -> Option<DataType> {
    Some(match shape {
        Shape::Scalar(narrowest) => narrowest.data_type(),
        Shape::List(item) => DataType::List(Arc::new(Field::new("item", data_type(*item)?, true))),
        Shape::Object(members) if members.is_empty() => return None,
        Shape::Object(members) => {
            let field = |(name, shape)| Some(Field::new(name, data_type(shape)?, true));
            DataType::Struct(members.into_iter().map(field).collect::<Option<Fields>>()?)
        }
        Shape::Any => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_hold_all_values_in_order_of_first_sight() {
        let sample = r#"{"b":1,"a":[1,2.5],"s":{"x":null,"y":"2024-01-01T00:00:00Z"},"mixed":1,"e":{},"big":99999999999999999999,"deep":[{"x":[1]}]}

            {"s":{"x":true,"z":[]},"b":null,"mixed":"x","deep":[{"x":{}}],"d":"2024-01-01","c":-1e3}
            not json
            {"b":"half"#;
        let schema = infer(sample.as_bytes()).unwrap();
        let found: Vec<_> =
            schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
        let wanted = [
            "b Int64",
            "a List(Float64)",
            "s Struct(\"x\": Boolean, \"y\": Timestamp(µs), \"z\": List(Utf8View))",
            "mixed Utf8View",
            "e Utf8View",
            "big Float64",
            "deep Utf8View",
            "d Date32",
            "c Float64",
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_sample_without_objects_is_refused() {
        for sample in ["", "[1]", "1\n2", "{}", "{\"a\":}"] {
            assert!(infer(sample.as_bytes()).is_err(), "{sample}");
        }
    }
}
