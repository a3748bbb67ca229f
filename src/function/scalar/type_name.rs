//! `pg_typeof`: the type of a value by the name that PostgreSQL has for it.

use std::sync::Arc;

use arrow::array::StringViewArray;
use arrow::datatypes::DataType;

use crate::batch::{Argument, Column};
use crate::error::Result;
use crate::function::{KernelContext, ScalarKernel};

/// The kernel for values of a type.
pub fn type_name(data_type: &DataType) -> Arc<dyn ScalarKernel> {
    Arc::new(TypeName(name_of(data_type)))
}

#[derive(Debug)]
struct TypeName(String);

impl ScalarKernel for TypeName {
    fn name(&self) -> &str {
        "pg_typeof"
    }

    fn result_type(&self) -> DataType {
        DataType::Utf8View
    }

    fn evaluate(&self, _: &KernelContext, _: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        let names = std::iter::repeat_n(Some(self.0.as_str()), rows);
        *out = Column::Array(Arc::new(names.collect::<StringViewArray>()));
        Ok(())
    }

    fn can_fail(&self) -> bool {
        false
    }
}

/// What PostgreSQL has no name for is called as it is here.
fn name_of(data_type: &DataType) -> String {
    let plain = match data_type {
        DataType::Null => "unknown",
        DataType::Boolean => "boolean",
        DataType::Int8 => "tinyint",
        DataType::Int16 => "smallint",
        DataType::Int32 => "integer",
        DataType::Int64 => "bigint",
        DataType::UInt8 => "tinyint unsigned",
        DataType::UInt16 => "smallint unsigned",
        DataType::UInt32 => "integer unsigned",
        DataType::UInt64 => "bigint unsigned",
        DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Decimal128(..) | DataType::Decimal256(..) => "numeric",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "character varying",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "bytea",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time without time zone",
        DataType::Timestamp(_, None) => "timestamp without time zone",
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone",
        DataType::Interval(_) | DataType::Duration(_) => "interval",
        DataType::Struct(_) => "record",
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            return format!("{}[]", name_of(element.data_type()));
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(fields) = entries.data_type() else { return data_type.to_string() };
            let names: Vec<String> = fields.iter().map(|field| name_of(field.data_type())).collect();
            return format!("map({})", names.join(","));
        }
        other => return other.to_string(),
    };
    plain.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_named_by_their_elements() {
        let list = |of: DataType| DataType::new_list(of, true);
        assert_eq!(name_of(&list(list(DataType::Int32))), "integer[][]");
        assert_eq!(name_of(&DataType::Decimal128(10, 2)), "numeric");
    }
}
