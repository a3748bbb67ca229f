//! People: one of each 50 events.

use arrow::array::StringViewArray;

use super::event::{Events, FIRST_ID, Segments};
use super::field::{Field, Shape};
use super::pool;
use crate::stream::source::datagen::hash::{high, low};

pub const FIELDS: [Field; 8] = [
    Field::new("id", Shape::Integer),
    Field::new("name", Shape::Text),
    Field::new("emailAddress", Shape::Text),
    Field::new("creditCard", Shape::Text),
    Field::new("city", Shape::Text),
    Field::new("state", Shape::Text),
    Field::new("dateTime", Shape::Time),
    Field::new("extra", Shape::Text),
];

/// Writes the integer field.
pub fn integers(events: &Events, field: usize, segments: Segments, out: &mut [i64]) {
    match FIELDS[field].name {
        "id" => events.write(segments, out, |epoch, _| FIRST_ID + epoch.number as i64),
        other => unreachable!("{other} of a person is no integer"),
    }
}

/// The pool of a text field.
pub fn pool(field: usize) -> &'static StringViewArray {
    match FIELDS[field].name {
        "name" => &pool::NAME,
        "emailAddress" => &pool::EMAIL,
        "creditCard" => &pool::CREDIT_CARD,
        "city" => &pool::CITY,
        "state" => &pool::STATE,
        "extra" => &pool::PERSON_EXTRA,
        other => unreachable!("{other} of a person is no text"),
    }
}

/// Writes which entries of its pool a text field takes.
pub fn picks(events: &Events, field: usize, segments: Segments, out: &mut [u32]) {
    let hash = events.hash;
    match FIELDS[field].name {
        "name" => events.write(segments, out, |_, event| low(hash.bits(event, 21), 99) as u32),
        "emailAddress" => events.write(segments, out, |_, event| high(hash.bits(event, 21), 65536) as u32),
        "creditCard" => events.write(segments, out, |_, event| low(hash.bits(event, 22), 65536) as u32),
        "city" => events.write(segments, out, |_, event| high(hash.bits(event, 22), 10) as u32),
        "state" => events.write(segments, out, |_, event| low(hash.bits(event, 23), 6) as u32),
        "extra" => events.write(segments, out, |_, event| high(hash.bits(event, 23), 8192) as u32),
        other => unreachable!("{other} of a person is no text"),
    }
}
