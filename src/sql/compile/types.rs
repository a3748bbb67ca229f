//! Types and schemas as the engine holds them: the plan's, with strings and bytes as views, and values without codes.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::{DFSchema, ScalarValue};

use crate::error::Result;
use crate::sql::bridge::{foreign, scalar::to_type};

/// The type a column has inside the engine where the plan says `data_type`.
pub fn engine_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::Dictionary(_, values) => engine_type(values),
        DataType::RunEndEncoded(_, values) => engine_type(values.data_type()),
        other => other.clone(),
    }
}

/// A plan node's schema with the engine's types.
pub fn engine_schema(schema: &DFSchema) -> SchemaRef {
    let fields = schema
        .fields()
        .iter()
        .map(|field| Field::new(field.name(), engine_type(field.data_type()), field.is_nullable()));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// A literal as an array of length 1, of the engine's type.
pub fn engine_value(value: &ScalarValue) -> Result<ArrayRef> {
    let array = value.to_array().map_err(foreign)?;
    to_type(&array, &engine_type(&value.data_type()))
}
