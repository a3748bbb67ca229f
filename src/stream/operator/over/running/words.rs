//! Numbers, dates and times as 64 bits, and back.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, UInt64Array};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::{can_cast_types, cast};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, UInt64Type};

use crate::batch::float;
use crate::error::Result;

/// What 64 bits mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    Signed,
    Unsigned,
    Float,
    /// Decimals of this precision and scale.
    Decimal(u8, i8),
}

/// Digits that 64 bits have room for.
const DIGITS_MAX: u8 = 18;

impl Words {
    /// How values of a type are held; `None` for types that are no number, date or time, or wider.
    pub fn of(data_type: &DataType) -> Option<Self> {
        use DataType::*;
        let words = match data_type {
            Int8 | Int16 | Int32 | Int64 | Timestamp(..) | Date32 | Date64 | Time32(_) | Time64(_) | Duration(_) => {
                Words::Signed
            }
            UInt8 | UInt16 | UInt32 | UInt64 => Words::Unsigned,
            Float32 | Float64 => Words::Float,
            Decimal128(precision, scale) if *precision <= DIGITS_MAX => Words::Decimal(*precision, *scale),
            _ => return None,
        };
        let wide = words.data_type();
        (can_cast_types(data_type, &wide) && can_cast_types(&wide, data_type)).then_some(words)
    }

    fn data_type(self) -> DataType {
        match self {
            Words::Signed => DataType::Int64,
            Words::Unsigned => DataType::UInt64,
            Words::Float => DataType::Float64,
            Words::Decimal(precision, scale) => DataType::Decimal128(precision, scale),
        }
    }

    /// The values of an array; those under nulls mean nothing.
    pub fn read(self, array: &ArrayRef) -> Result<ScalarBuffer<u64>> {
        let array = cast(array, &self.data_type())?;
        let buffer = match self {
            Words::Signed => array.as_primitive::<Int64Type>().values().inner().clone(),
            Words::Unsigned => array.as_primitive::<UInt64Type>().values().inner().clone(),
            Words::Float => array.as_primitive::<Float64Type>().values().inner().clone(),
            Words::Decimal(..) => {
                let values = array.as_primitive::<Decimal128Type>().values().iter();
                return Ok(values.map(|&value| value as u64).collect());
            }
        };
        Ok(buffer.into())
    }

    /// An array of these values, of the widest type that they may be of.
    pub fn array(self, words: Vec<u64>, nulls: Option<NullBuffer>) -> ArrayRef {
        let values = |words: Vec<u64>| ScalarBuffer::<u64>::from(words).into_inner();
        match self {
            Words::Signed => Arc::new(Int64Array::new(values(words).into(), nulls)),
            Words::Unsigned => Arc::new(UInt64Array::new(values(words).into(), nulls)),
            Words::Float => Arc::new(Float64Array::new(values(words).into(), nulls)),
            Words::Decimal(..) => {
                let values = words.into_iter().map(|word| i128::from(word as i64)).collect();
                Arc::new(Decimal128Array::new(values, nulls).with_data_type(self.data_type()))
            }
        }
    }

    /// A number whose order is that of the values; NaN is the greatest.
    pub fn rank(self, word: u64) -> i64 {
        match self {
            Words::Signed | Words::Decimal(..) => word as i64,
            Words::Unsigned => (word ^ 1 << 63) as i64,
            Words::Float => (float(f64::from_bits(word)) ^ 1 << 63) as i64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_have_the_order_of_values() {
        let floats = [f64::NEG_INFINITY, -1.5, -1e-300, 0.0, 1e-300, 2.0, f64::INFINITY, f64::NAN];
        let ranks: Vec<i64> = floats.iter().map(|value| Words::Float.rank(value.to_bits())).collect();
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
        assert_eq!(Words::Float.rank((-0.0f64).to_bits()), Words::Float.rank(0));
        assert_eq!(Words::Float.rank((-f64::NAN).to_bits()), Words::Float.rank(f64::NAN.to_bits()));
        assert!(Words::Unsigned.rank(u64::MAX) > Words::Unsigned.rank(1));
        assert!(Words::Signed.rank(-1i64 as u64) < Words::Signed.rank(1));
    }

    #[test]
    fn values_come_back() {
        let array: ArrayRef = std::sync::Arc::new(Int64Array::from(vec![Some(1), None, Some(-3)]));
        let decimal = DataType::Decimal128(18, 4);
        for data_type in [DataType::Int8, DataType::Date32, DataType::Float32, DataType::Int64, decimal] {
            let array = cast(&array, &data_type).expect("a cast");
            let words = Words::of(&data_type).expect("a number");
            let sliced = array.slice(1, 2);
            let read = words.read(&sliced).expect("words").to_vec();
            let back = cast(&words.array(read, sliced.nulls().cloned()), &data_type).expect("a cast");
            assert_eq!(&back, &sliced, "{data_type}");
        }
        for wider in [DataType::Utf8View, DataType::Decimal128(19, 0)] {
            assert_eq!(Words::of(&wider), None);
        }
    }
}
