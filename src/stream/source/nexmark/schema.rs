//! The columns of a Nexmark table: those of one kind of event, or the combined form with a struct per kind.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field as ArrowField, Fields, Schema, SchemaRef, TimeUnit};

use super::event::Entity;
use super::field::TIME;
use crate::error::{Error, Result};

/// What one column of the table holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// A field of the table's only entity.
    Field { entity: Entity, field: usize },
    /// Which entity an event tells of, as its number.
    EventType,
    /// The fields of one entity, null where the event tells of another.
    Struct(Entity),
    /// The event time of any event.
    Time,
}

/// A column and what the table calls it.
#[derive(Debug, Clone)]
pub struct TableColumn {
    pub column: Column,
    pub name: String,
    pub data_type: DataType,
    pub nullable: bool,
}

impl TableColumn {
    fn new(column: Column, name: &str, data_type: DataType) -> Self {
        let nullable = matches!(column, Column::Struct(_));
        TableColumn { column, name: name.to_string(), data_type, nullable }
    }

    /// What to multiply milliseconds by; 1 for columns that are no time.
    pub fn ticks_per_ms(&self) -> i64 {
        match self.data_type {
            DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
            DataType::Timestamp(TimeUnit::Nanosecond, _) => 1_000_000,
            _ => 1,
        }
    }
}

/// All columns of a table of `entity`, or of all events.
pub fn columns(entity: Option<Entity>) -> Vec<TableColumn> {
    let Some(entity) = entity else {
        let time = DataType::Timestamp(TimeUnit::Millisecond, None);
        let mut columns = vec![TableColumn::new(Column::EventType, "event_type", DataType::Int32)];
        columns.extend(Entity::ALL.map(|entity| {
            TableColumn::new(Column::Struct(entity), entity.name(), DataType::Struct(struct_fields(entity)))
        }));
        columns.push(TableColumn::new(Column::Time, TIME, time));
        return columns;
    };
    let column = |(number, field): (usize, &super::field::Field)| {
        TableColumn::new(Column::Field { entity, field: number }, field.name, field.data_type())
    };
    entity.fields().iter().enumerate().map(column).collect()
}

/// The children of a struct column. They are nullable: where the struct is null, so are they.
pub fn struct_fields(entity: Entity) -> Fields {
    entity.fields().iter().map(|field| ArrowField::new(field.name, field.data_type(), true)).collect()
}

pub fn schema(columns: &[TableColumn]) -> SchemaRef {
    let field = |column: &TableColumn| ArrowField::new(&column.name, column.data_type.clone(), column.nullable);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// The columns that a definition declares, found by name, whatever the case of its letters.
pub fn declared(schema: &Schema, entity: Option<Entity>) -> Result<Vec<TableColumn>> {
    let known = columns(entity);
    let mut declared = Vec::new();
    for field in schema.fields() {
        let Some(column) = known.iter().find(|column| column.name.eq_ignore_ascii_case(field.name())) else {
            let names: Vec<&str> = known.iter().map(|column| column.name.as_str()).collect();
            let names = names.join(", ");
            return Err(Error::user(format!("no such column in nexmark: {}; there are {names}", field.name())));
        };
        if !fits(field.data_type(), &column.data_type) {
            let (name, asked, is) = (field.name(), field.data_type(), &column.data_type);
            return Err(Error::user(format!("nexmark column of another type: {name} is {is}, declared {asked}")));
        }
        let is_time = matches!(column.data_type, DataType::Timestamp(..));
        let data_type = if is_time { field.data_type().clone() } else { column.data_type.clone() };
        declared.push(TableColumn { name: field.name().clone(), data_type, ..column.clone() });
    }
    Ok(declared)
}

/// Whether a declared type can hold ours. Times may be finer, strings are strings.
fn fits(declared: &DataType, ours: &DataType) -> bool {
    match (declared, ours) {
        (DataType::Utf8 | DataType::LargeUtf8, DataType::Utf8View) => true,
        (DataType::Timestamp(unit, _), DataType::Timestamp(..)) => *unit != TimeUnit::Second,
        (DataType::Struct(declared), DataType::Struct(ours)) => {
            declared.len() == ours.len()
                && declared.iter().zip(ours).all(|(declared, ours)| {
                    let time = matches!(ours.data_type(), DataType::Timestamp(..));
                    let same = !time || declared.data_type() == ours.data_type();
                    declared.name() == ours.name() && same && fits(declared.data_type(), ours.data_type())
                })
        }
        (declared, ours) => declared == ours,
    }
}
