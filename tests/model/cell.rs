//! Values as the model has them, and the engine's rows as such values.

use millstream::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use millstream::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMillisecondType,
    UInt64Type,
};

/// One value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    /// The bits of a float, zero in one form.
    Float(u64),
    /// The digits of a decimal, and how many of them stand behind the point.
    Decimal(i128, i8),
    Text(String),
    /// Milliseconds since 1970.
    Time(i64),
}

/// One row.
pub type Line = Vec<Cell>;

pub fn float(value: f64) -> Cell {
    Cell::Float(if value == 0.0 { 0 } else { value.to_bits() })
}

pub fn optional<T>(value: Option<T>, cell: impl FnOnce(T) -> Cell) -> Cell {
    value.map_or(Cell::Null, cell)
}

/// The rows of a batch.
pub fn lines(batch: &RecordBatch) -> Vec<Line> {
    (0..batch.num_rows()).map(|row| batch.columns().iter().map(|column| cell(column, row)).collect()).collect()
}

fn cell(column: &ArrayRef, row: usize) -> Cell {
    if column.is_null(row) {
        return Cell::Null;
    }
    match column.data_type() {
        DataType::Null => Cell::Null,
        DataType::Boolean => Cell::Bool(column.as_boolean().value(row)),
        DataType::Date32 => Cell::Int(column.as_primitive::<Date32Type>().value(row).into()),
        DataType::Int32 => Cell::Int(column.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Cell::Int(column.as_primitive::<Int64Type>().value(row)),
        DataType::UInt64 => {
            Cell::Int(column.as_primitive::<UInt64Type>().value(row).try_into().expect("small numbers"))
        }
        DataType::Float64 => float(column.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => Cell::Decimal(column.as_primitive::<Decimal128Type>().value(row), *scale),
        DataType::Utf8View => Cell::Text(column.as_string_view().value(row).to_string()),
        DataType::Timestamp(TimeUnit::Millisecond, None) => {
            Cell::Time(column.as_primitive::<TimestampMillisecondType>().value(row))
        }
        other => panic!("the model has no such type: {other}"),
    }
}

/// A row as text.
pub fn show(line: &Line) -> String {
    let cell = |cell: &Cell| match cell {
        Cell::Null => "NULL".to_string(),
        Cell::Bool(value) => value.to_string(),
        Cell::Int(value) => value.to_string(),
        Cell::Float(bits) => format!("{:?}", f64::from_bits(*bits)),
        Cell::Decimal(digits, scale) => format!("{digits}e-{scale}"),
        Cell::Text(text) => format!("'{text}'"),
        Cell::Time(time) => format!("@{time}"),
    };
    line.iter().map(cell).collect::<Vec<_>>().join(" ")
}

/// What is in one of two sorted lists and not in the other, as text; `None` when they are equal.
pub fn difference(answer: &[Line], expected: &[Line]) -> Option<String> {
    if answer == expected {
        return None;
    }
    let (mut text, mut shown) = (format!("{} rows, expected {}", answer.len(), expected.len()), 0);
    let (mut at, mut other) = (0, 0);
    while (at < answer.len() || other < expected.len()) && shown < 12 {
        match (answer.get(at), expected.get(other)) {
            (Some(mine), Some(theirs)) if mine == theirs => (at, other) = (at + 1, other + 1),
            (Some(mine), theirs) if theirs.is_none_or(|theirs| mine < theirs) => {
                text += &format!("\n  got      {}", show(mine));
                (at, shown) = (at + 1, shown + 1);
            }
            (_, Some(theirs)) => {
                text += &format!("\n  expected {}", show(theirs));
                (other, shown) = (other + 1, shown + 1);
            }
            (_, None) => unreachable!("the first arm takes these"),
        }
    }
    Some(text)
}
