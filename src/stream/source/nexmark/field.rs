//! The fields of events: their names and types, and how one is written as a column.

use arrow::array::StringViewArray;
use arrow::datatypes::{DataType, TimeUnit};

use super::event::{Entity, Events, Segments};
use super::{auction, bid, person};

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Integer,
    Time,
    Text,
}

/// A field of an event.
#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    pub shape: Shape,
}

/// The event time of every kind of event.
pub const TIME: &str = "dateTime";

impl Field {
    pub const fn new(name: &'static str, shape: Shape) -> Self {
        Field { name, shape }
    }

    /// Its type, unless a table declares another unit of time.
    pub fn data_type(&self) -> DataType {
        match self.shape {
            Shape::Integer => DataType::Int64,
            Shape::Time => DataType::Timestamp(TimeUnit::Millisecond, None),
            Shape::Text => DataType::Utf8View,
        }
    }
}

impl Entity {
    pub fn fields(self) -> &'static [Field] {
        match self {
            Entity::Person => &person::FIELDS,
            Entity::Auction => &auction::FIELDS,
            Entity::Bid => &bid::FIELDS,
        }
    }
}

/// Writes an integer field, or a time in milliseconds.
pub fn integers(events: &Events, entity: Entity, field: usize, segments: Segments, out: &mut [i64]) {
    if entity.fields()[field].name == TIME {
        return events.write(segments, out, |epoch, event| events.time_ms(epoch, event));
    }
    match entity {
        Entity::Person => person::integers(events, field, segments, out),
        Entity::Auction => auction::integers(events, field, segments, out),
        Entity::Bid => bid::integers(events, field, segments, out),
    }
}

/// The pool of a text field.
pub fn pool(entity: Entity, field: usize) -> &'static StringViewArray {
    match entity {
        Entity::Person => person::pool(field),
        Entity::Auction => auction::pool(field),
        Entity::Bid => bid::pool(field),
    }
}

/// Writes which entries of its pool a text field takes.
pub fn picks(events: &Events, entity: Entity, field: usize, segments: Segments, out: &mut [u32]) {
    match entity {
        Entity::Person => person::picks(events, field, segments, out),
        Entity::Auction => auction::picks(events, field, segments, out),
        Entity::Bid => bid::picks(events, field, segments, out),
    }
}
