//! Auctions: 3 of each 50 events.

use arrow::array::StringViewArray;

use super::event::{EPOCH, Events, FIRST_ID, Segments};
use super::field::{Field, Shape};
use super::pool;
use crate::stream::source::datagen::hash::{high, low, select};

pub const FIELDS: [Field; 10] = [
    Field::new("id", Shape::Integer),
    Field::new("itemName", Shape::Text),
    Field::new("description", Shape::Text),
    Field::new("initialBid", Shape::Integer),
    Field::new("reserve", Shape::Integer),
    Field::new("dateTime", Shape::Time),
    Field::new("expires", Shape::Time),
    Field::new("seller", Shape::Integer),
    Field::new("category", Shape::Integer),
    Field::new("extra", Shape::Text),
];

/// Writes one of the integer fields, or `expires` in milliseconds.
pub fn integers(events: &Events, field: usize, segments: Segments, out: &mut [i64]) {
    let (hash, prices) = (events.hash, events.prices);
    match FIELDS[field].name {
        "id" => events.write(segments, out, |epoch, event| FIRST_ID + epoch.auction(event) as i64),
        "initialBid" => events.write(segments, out, |_, event| prices.of(hash.bits(event, 13))),
        "reserve" => {
            events.write(segments, out, |_, event| prices.of(hash.bits(event, 13)) + prices.of(hash.bits(event, 14)))
        }
        "expires" => {
            let open_ms = open_ms_bound(events.rate());
            events.write(segments, out, |epoch, event| {
                events.time_ms(epoch, event) + 1 + high(hash.bits(event, 12), open_ms) as i64
            })
        }
        // Three auctions of four are the hot seller's.
        "seller" => events.write(segments, out, |epoch, event| {
            let bits = hash.bits(event, 11);
            let hot = epoch.number / 100 * 100;
            FIRST_ID + select(low(bits, 4) > 0, hot, epoch.active_person(bits)) as i64
        }),
        "category" => events.write(segments, out, |_, event| 10 + low(hash.bits(event, 12), 5) as i64),
        other => unreachable!("{other} of an auction is no integer"),
    }
}

/// Auctions stay open for less than this: twice the time in which 100 auctions come.
fn open_ms_bound(rate: u64) -> u64 {
    (2 * (100 * EPOCH / 3 * 1000 / rate)).max(1)
}

/// The pool of a text field.
pub fn pool(field: usize) -> &'static StringViewArray {
    match FIELDS[field].name {
        "itemName" => &pool::ITEM,
        "description" => &pool::DESCRIPTION,
        "extra" => &pool::AUCTION_EXTRA,
        other => unreachable!("{other} of an auction is no text"),
    }
}

/// Writes which entries of its pool a text field takes.
pub fn picks(events: &Events, field: usize, segments: Segments, out: &mut [u32]) {
    let hash = events.hash;
    match FIELDS[field].name {
        "itemName" => events.write(segments, out, |_, event| low(hash.bits(event, 15), 4096) as u32),
        "description" => events.write(segments, out, |_, event| high(hash.bits(event, 15), 4096) as u32),
        "extra" => events.write(segments, out, |_, event| low(hash.bits(event, 16), 8192) as u32),
        other => unreachable!("{other} of an auction is no text"),
    }
}
