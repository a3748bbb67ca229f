//! The types of a native kernel, as it writes them.

use arrow::datatypes::{DataType, TimeUnit};

/// The types of arguments and result of `(BIGINT, DOUBLE) -> DOUBLE`.
pub(super) fn parse(text: &str) -> Result<(Vec<DataType>, DataType), String> {
    let wrong = || format!("its signature is not like (BIGINT, DOUBLE) -> DOUBLE: {text}");
    let (args, result) = text.split_once("->").ok_or_else(wrong)?;
    let args = args.trim().strip_prefix('(').and_then(|args| args.strip_suffix(')')).ok_or_else(wrong)?;
    let args = args.split(',').map(str::trim).filter(|arg| !arg.is_empty());
    let args = args.map(data_type).collect::<Result<Vec<_>, _>>()?;
    if args.is_empty() {
        return Err("it takes no argument, and a kernel takes one at least".to_string());
    }
    Ok((args, data_type(result.trim())?))
}

fn data_type(name: &str) -> Result<DataType, String> {
    let name = name.to_uppercase();
    Ok(match name.split_whitespace().collect::<Vec<_>>().join(" ").as_str() {
        "BOOLEAN" | "BOOL" => DataType::Boolean,
        "TINYINT" => DataType::Int8,
        "SMALLINT" => DataType::Int16,
        "INT" | "INTEGER" => DataType::Int32,
        "BIGINT" => DataType::Int64,
        "TINYINT UNSIGNED" => DataType::UInt8,
        "SMALLINT UNSIGNED" => DataType::UInt16,
        "INT UNSIGNED" => DataType::UInt32,
        "BIGINT UNSIGNED" => DataType::UInt64,
        "REAL" | "FLOAT" => DataType::Float32,
        "DOUBLE" | "DOUBLE PRECISION" => DataType::Float64,
        "DATE" => DataType::Date32,
        "TIMESTAMP" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "VARCHAR" | "TEXT" | "STRING" => DataType::Utf8View,
        "BYTEA" | "BLOB" => DataType::BinaryView,
        other => return Err(format!("its signature has a type that kernels do not take: {other}")),
    })
}

#[cfg(test)]
mod tests {
    use super::parse;
    use arrow::datatypes::DataType::*;

    #[test]
    fn reads_types_and_refuses_others() {
        assert_eq!(parse("(BIGINT, double precision)->VARCHAR"), Ok((vec![Int64, Float64], Utf8View)));
        for wrong in ["", "BIGINT -> BIGINT", "() -> BIGINT", "(BIGINT) -> MAP", "(BIGINT)"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
