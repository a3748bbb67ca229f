//! The types in which the engine carries values, whatever type a source has them in.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

/// The type in which the engine carries values of a type: one for all strings, one for all lists, whose
/// elements have one name, no dictionaries.
pub fn engine_type(data_type: &DataType) -> DataType {
    let inner =
        |field: &FieldRef| Arc::new(Field::new(field.name(), engine_type(field.data_type()), field.is_nullable()));
    // Files call the elements of a list as they like, and functions see lists of one kind alone.
    let element = |field: &FieldRef| Arc::new(Field::new_list_field(engine_type(field.data_type()), true));
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::Dictionary(_, values) => engine_type(values),
        DataType::RunEndEncoded(_, values) => engine_type(values.data_type()),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field) => DataType::List(element(field)),
        DataType::FixedSizeList(field, length) => DataType::FixedSizeList(element(field), *length),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        other => other.clone(),
    }
}

/// A declared schema with the engine's types; what else it says stays.
pub fn engine_schema(declared: &Schema) -> SchemaRef {
    let field = |field: &FieldRef| Field::new(field.name(), engine_type(field.data_type()), field.is_nullable());
    Arc::new(Schema::new(declared.fields().iter().map(field).collect::<Vec<_>>()))
}
