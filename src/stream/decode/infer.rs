//! Types from samples of text: the narrowest type that holds every value seen.

use arrow::datatypes::{DataType, TimeUnit};

use super::value::{float, integer, time};

/// The narrowest type of the values seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Narrowest {
    /// Nulls only.
    #[default]
    Nothing,
    Bool,
    Int,
    Float,
    Date,
    Timestamp,
    Text,
}

impl Narrowest {
    /// The narrowest type of one value that is not null.
    pub fn of(text: &[u8]) -> Self {
        if integer::signed(text).is_some() {
            Narrowest::Int
        } else if text.eq_ignore_ascii_case(b"true") || text.eq_ignore_ascii_case(b"false") {
            Narrowest::Bool
        } else if is_float(text) {
            Narrowest::Float
        } else {
            Self::of_string(text)
        }
    }

    /// The same for a value that is known to be no number and no boolean.
    pub fn of_string(text: &[u8]) -> Self {
        const SHORTEST: usize = "1970-01-01T00:00:00".len();
        if time::date(text).is_some() {
            Narrowest::Date
        } else if text.len() >= SHORTEST && time::timestamp(text).is_some() {
            Narrowest::Timestamp
        } else {
            Narrowest::Text
        }
    }

    /// The narrowest type that holds the values of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Narrowest::Nothing, other) | (other, Narrowest::Nothing) => other,
            (Narrowest::Int, Narrowest::Float) | (Narrowest::Float, Narrowest::Int) => Narrowest::Float,
            (Narrowest::Date, Narrowest::Timestamp) | (Narrowest::Timestamp, Narrowest::Date) => Narrowest::Timestamp,
            _ => Narrowest::Text,
        }
    }

    /// The type of a column.
    pub fn data_type(self) -> DataType {
        match self {
            Narrowest::Bool => DataType::Boolean,
            Narrowest::Int => DataType::Int64,
            Narrowest::Float => DataType::Float64,
            Narrowest::Date => DataType::Date32,
            Narrowest::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Narrowest::Nothing | Narrowest::Text => DataType::Utf8View,
        }
    }
}

/// Whether a text is a number that a float holds well. Integers too long for 64 bits are none: as text they lose nothing.
fn is_float(text: &[u8]) -> bool {
    let is_long_integer = text.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+'));
    !is_long_integer && float::double(text).is_some()
}
