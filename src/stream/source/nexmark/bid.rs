//! Bids: 46 of each 50 events.

use arrow::array::StringViewArray;

use super::event::{Events, FIRST_ID, Segments};
use super::field::{Field, Shape};
use super::pool;
use crate::stream::source::datagen::hash::{high, low, select};

pub const FIELDS: [Field; 7] = [
    Field::new("auction", Shape::Integer),
    Field::new("bidder", Shape::Integer),
    Field::new("price", Shape::Integer),
    Field::new("channel", Shape::Text),
    Field::new("url", Shape::Text),
    Field::new("dateTime", Shape::Time),
    Field::new("extra", Shape::Text),
];

/// Auctions that are bid on at any time, and numbers ahead of the newest.
const ACTIVE_AUCTIONS: u64 = 100;
const AUCTION_LEAD: u64 = 11;

/// Writes one of the integer fields.
pub fn integers(events: &Events, field: usize, segments: Segments, out: &mut [i64]) {
    let hash = events.hash;
    match FIELDS[field].name {
        // Every other bid is on the hot auction, the newest multiple of 100.
        "auction" => events.write(segments, out, |epoch, event| {
            let bits = hash.bits(event, 1);
            let last = epoch.newest_auction();
            let first = last.saturating_sub(ACTIVE_AUCTIONS);
            let active = first + high(bits, last - first + AUCTION_LEAD);
            FIRST_ID + select(low(bits, 2) > 0, last / 100 * 100, active) as i64
        }),
        // Three bids of four are the hot bidder's.
        "bidder" => events.write(segments, out, |epoch, event| {
            let bits = hash.bits(event, 2);
            let hot = epoch.number / 100 * 100 + 1;
            FIRST_ID + select(low(bits, 4) > 0, hot, epoch.active_person(bits)) as i64
        }),
        "price" => events.write(segments, out, |_, event| events.prices.of(hash.bits(event, 3))),
        other => unreachable!("{other} of a bid is no integer"),
    }
}

/// The pool of a text field.
pub fn pool(field: usize) -> &'static StringViewArray {
    match FIELDS[field].name {
        "channel" => &pool::CHANNEL,
        "url" => &pool::URL,
        "extra" => &pool::BID_EXTRA,
        other => unreachable!("{other} of a bid is no text"),
    }
}

/// Writes which entries of its pool a text field takes; a channel and its url have the same number.
pub fn picks(events: &Events, field: usize, segments: Segments, out: &mut [u32]) {
    let hash = events.hash;
    match FIELDS[field].name {
        "channel" | "url" => events.write(segments, out, |_, event| {
            let bits = hash.bits(event, 4);
            let rare = pool::CHANNELS_HOT + high(bits, pool::CHANNELS_RARE);
            select(low(bits, 2) > 0, high(bits, pool::CHANNELS_HOT), rare) as u32
        }),
        "extra" => events.write(segments, out, |_, event| low(hash.bits(event, 5), 65536) as u32),
        other => unreachable!("{other} of a bid is no text"),
    }
}
