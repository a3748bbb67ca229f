//! Which of a function's signatures a call means, and what its arguments are cast to.
//!
//! Invariants  a call that fits a signature as it is means that one; else the one that costs the least: integers become
//!             wider, then floats, then narrower (which fails where a value does not fit, and never wraps); texts become
//!             times, not numbers.

use arrow::datatypes::DataType;
use datafusion_common::{Result as ForeignResult, plan_datafusion_err};

use crate::batch::engine_type;

/// The signature among `known` that `given` is cast to, as its index.
pub(super) fn choose(name: &str, known: &[&[DataType]], given: &[DataType]) -> ForeignResult<usize> {
    let cost = |args: &[DataType]| -> Option<u32> {
        if args.len() != given.len() {
            return None;
        }
        given.iter().zip(args).map(|(from, to)| conversion(from, to)).sum()
    };
    let costs = known.iter().enumerate().filter_map(|(index, args)| Some((cost(args)?, index)));
    costs.min().map(|(_, index)| index).ok_or_else(|| {
        if known.is_empty() {
            return plan_datafusion_err!("{name} does not take arguments of these types: {}", signature(name, given));
        }
        let signatures: Vec<String> = known.iter().map(|args| signature(name, args)).collect();
        plan_datafusion_err!("{} does not exist; there is: {}", signature(name, given), signatures.join(", "))
    })
}

/// `name(type, type)`.
pub(super) fn signature(name: &str, args: &[DataType]) -> String {
    let args: Vec<String> = args.iter().map(type_name).collect();
    format!("{name}({})", args.join(", "))
}

/// A type as SQL writes it, where it has a name there.
pub(crate) fn type_name(data_type: &DataType) -> String {
    use arrow::datatypes::TimeUnit;
    let name = match data_type {
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INT",
        DataType::Int64 => "BIGINT",
        DataType::UInt8 => "TINYINT UNSIGNED",
        DataType::UInt16 => "SMALLINT UNSIGNED",
        DataType::UInt32 => "INT UNSIGNED",
        DataType::UInt64 => "BIGINT UNSIGNED",
        DataType::Float32 => "REAL",
        DataType::Float64 => "DOUBLE",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BYTEA",
        DataType::Date32 => "DATE",
        DataType::Time64(_) | DataType::Time32(_) => "TIME",
        DataType::Timestamp(TimeUnit::Microsecond, None) => "TIMESTAMP",
        DataType::Timestamp(TimeUnit::Second, None) => "TIMESTAMP(0)",
        DataType::Timestamp(TimeUnit::Millisecond, None) => "TIMESTAMP(3)",
        DataType::Timestamp(TimeUnit::Nanosecond, None) => "TIMESTAMP(9)",
        DataType::Interval(_) => "INTERVAL",
        DataType::Decimal128(precision, scale) => return format!("DECIMAL({precision}, {scale})"),
        other => return other.to_string(),
    };
    name.to_string()
}

/// What it costs to cast one type to another, `None` where SQL does not do so by itself.
fn conversion(from: &DataType, to: &DataType) -> Option<u32> {
    use DataType::*;
    let (from, to) = (engine_type(from), engine_type(to));
    let is_text = |data_type: &DataType| matches!(data_type, Utf8View);
    Some(match (&from, &to) {
        _ if from == to => 0,
        (Null, _) => 0,
        _ if from.is_integer() && to.is_integer() => {
            let (narrow, wide) = (from.primitive_width()?, to.primitive_width()?);
            let keeps = from.is_signed_integer() == to.is_signed_integer() && narrow < wide
                || from.is_unsigned_integer() && to.is_signed_integer() && narrow < wide;
            if keeps { 1 + (wide - narrow) as u32 } else { 60 }
        }
        _ if from.is_integer() && to == Float64 => 20,
        _ if from.is_integer() && to == Float32 => 30,
        (Float16 | Float32, Float64) => 1,
        (Float64, Float32) => 60,
        (Decimal128(..) | Decimal256(..), Float64) => 20,
        (Decimal128(precision, scale), Decimal128(to_precision, to_scale)) => {
            let digits = |precision: u8, scale: i8| i32::from(precision) - i32::from(scale);
            let keeps = scale <= to_scale && digits(*precision, *scale) <= digits(*to_precision, *to_scale);
            if keeps { 1 } else { 60 }
        }
        (_, Decimal128(..)) if from.is_integer() => 40,
        (Float32 | Float64, Decimal128(..)) => 60,
        (Timestamp(from, _), Timestamp(to, _)) => 1 + (from != to) as u32 + (from > to) as u32,
        (Date32 | Date64, Timestamp(..)) => 10,
        (Time32(_) | Time64(_), Time32(_) | Time64(_)) => 1,
        (Interval(_) | Duration(_), Interval(_)) => 1,
        (_, Timestamp(..) | Date32 | Time64(_) | Interval(_)) if is_text(&from) => 50,
        (Utf8View, BinaryView) => 40,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_signature_is_meant() {
        use DataType::*;
        let known: [&[DataType]; 4] = [&[Float64], &[Int64], &[Utf8View], &[Int64, Int64]];
        let choose = |given: &[DataType]| choose("f", &known, given).ok();
        assert_eq!(choose(&[Int32]), Some(1));
        assert_eq!(choose(&[Float32]), Some(0));
        assert_eq!(choose(&[Decimal128(10, 2)]), Some(0));
        assert_eq!(choose(&[Utf8]), Some(2));
        assert_eq!(choose(&[Null, Int8]), Some(3));
        assert_eq!(choose(&[Boolean]), None);
        let error = super::choose("f", &known, &[Boolean]).expect_err("no such signature").to_string();
        assert!(error.contains("f(BOOLEAN) does not exist; there is: f(DOUBLE), f(BIGINT), f(VARCHAR)"), "{error}");
    }
}
