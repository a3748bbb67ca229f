//! The arithmetic of events: which event a row is, what time it has, and which people and auctions exist by then.
//!
//! Invariants  of each 50 events, an epoch, the first is a person, the next 3 are auctions, the other 46 bids; event
//!             `n` is a pure function of `n`, the rate and the seed.

use std::ops::Range;

use fearless_simd::dispatch;
use millstream_kernels::level::{self, Level};

use crate::stream::source::datagen::hash::{Hash, high};

use super::price::Prices;

/// Event time of the first event, in milliseconds since 1970.
pub const BASE_MS: i64 = 1_700_000_000_000;
/// Events per epoch.
pub const EPOCH: u64 = 50;
/// The number of the first person and of the first auction.
pub const FIRST_ID: i64 = 1000;
/// People that bid and sell at any time.
const ACTIVE_PEOPLE: u64 = 1000;
/// Numbers that may be picked ahead of the newest.
const LEAD: u64 = 10;

/// What an event tells of; the numbers are those of `event_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entity {
    Person = 0,
    Auction = 1,
    Bid = 2,
}

impl Entity {
    pub const ALL: [Entity; 3] = [Entity::Person, Entity::Auction, Entity::Bid];

    /// Where in an epoch its events lie.
    pub fn offsets(self) -> Range<u64> {
        match self {
            Entity::Person => 0..1,
            Entity::Auction => 1..4,
            Entity::Bid => 4..EPOCH,
        }
    }

    /// What the event at `offset` of an epoch tells of.
    pub fn at(offset: u64) -> Entity {
        match offset {
            0 => Entity::Person,
            1..4 => Entity::Auction,
            _ => Entity::Bid,
        }
    }

    /// How many of the first `events` events are of this kind.
    pub fn count(self, events: u64) -> u64 {
        let offsets = self.offsets();
        let per_epoch = offsets.end - offsets.start;
        events / EPOCH * per_epoch + (events % EPOCH).saturating_sub(offsets.start).min(per_epoch)
    }

    /// The event that row `row` of a table of this entity alone is.
    pub fn event(self, row: u64) -> u64 {
        let offsets = self.offsets();
        let per_epoch = offsets.end - offsets.start;
        row / per_epoch * EPOCH + offsets.start + row % per_epoch
    }

    pub fn name(self) -> &'static str {
        match self {
            Entity::Person => "person",
            Entity::Auction => "auction",
            Entity::Bid => "bid",
        }
    }
}

/// Which rows to write for a range of row numbers, epoch by epoch.
#[derive(Debug, Clone)]
pub struct Segments {
    /// Where in its epoch each row's event may lie.
    offsets: Range<u64>,
    /// Events per epoch that the row numbers count.
    stride: u64,
    /// The row numbers that are left.
    rows: Range<u64>,
    /// The row number that slot 0 of the output stands for.
    first: u64,
}

/// Neighbouring events of one epoch and the slots they are written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub epoch: u64,
    pub event: u64,
    pub slots: Range<usize>,
}

impl Segments {
    /// For a table of `entity` alone: row `j` is its `j`-th event.
    pub fn of_entity(entity: Entity, rows: Range<u64>) -> Self {
        let offsets = entity.offsets();
        Segments { stride: offsets.end - offsets.start, offsets, first: rows.start, rows }
    }

    /// For a table of all events: row `n` is event `n`; only those of `entity` are written.
    pub fn among_all(entity: Entity, rows: Range<u64>) -> Self {
        Segments { offsets: entity.offsets(), stride: EPOCH, first: rows.start, rows }
    }
}

impl Iterator for Segments {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        while !self.rows.is_empty() {
            let epoch = self.rows.start / self.stride;
            // Where the counted events of an epoch begin: its first one, or its first of the entity.
            let lead = if self.stride == EPOCH { self.offsets.start } else { 0 };
            let begin = epoch * self.stride + lead;
            let wanted = begin..begin + (self.offsets.end - self.offsets.start);
            let start = wanted.start.max(self.rows.start);
            let end = wanted.end.min(self.rows.end);
            self.rows.start = self.rows.end.min((epoch + 1) * self.stride);
            if start < end {
                let event = epoch * EPOCH + self.offsets.start + (start - begin);
                let slots = (start - self.first) as usize..(end - self.first) as usize;
                return Some(Segment { epoch, event, slots });
            }
        }
        None
    }
}

/// The settings that events depend on.
#[derive(Debug, Clone)]
pub struct Events {
    pub hash: Hash,
    pub prices: &'static Prices,
    level: Level,
    rate: u64,
    /// 2^63 / rate, rounded up: division by the rate as a multiplication.
    reciprocal: u64,
}

/// What all events of an epoch have in common.
#[derive(Debug, Clone, Copy)]
pub struct Epoch {
    pub number: u64,
    /// Its first event.
    event: u64,
    /// Time of its first event, and what the division by the rate left over, in milliseconds times rate.
    time_ms: i64,
    time_left: u64,
}

impl Events {
    /// The highest rate: a numerator of `time_ms` then stays far below 2^63 / rate, where the reciprocal is exact.
    pub const RATE_MAX: u64 = 1_000_000_000;

    pub fn new(rate: u64, seed: u64) -> Self {
        assert!((1..=Self::RATE_MAX).contains(&rate), "rate is checked where options are read");
        let reciprocal = (1 << 63) / rate + 1;
        Events { hash: Hash::new(seed), prices: Prices::get(), level: level::detect(), rate, reciprocal }
    }

    /// The same events, computed with the instructions of another level.
    #[cfg(test)]
    pub fn at_level(&self, level: Level) -> Self {
        Events { level, ..self.clone() }
    }

    pub fn rate(&self) -> u64 {
        self.rate
    }

    /// Calls `value` for the event of each slot and writes what it returns; slots of other entities stay as they are.
    ///
    /// `value` is inlined into a loop per CPU level: keep it small and without branches.
    #[inline(always)]
    pub fn write<T>(&self, segments: Segments, out: &mut [T], value: impl Fn(&Epoch, u64) -> T) {
        dispatch!(self.level, _simd => self.write_plain(segments, out, value))
    }

    #[inline(always)]
    fn write_plain<T>(&self, segments: Segments, out: &mut [T], value: impl Fn(&Epoch, u64) -> T) {
        for segment in segments {
            let epoch = self.epoch(segment.epoch);
            for (event, slot) in (segment.event..).zip(&mut out[segment.slots]) {
                *slot = value(&epoch, event);
            }
        }
    }

    fn epoch(&self, number: u64) -> Epoch {
        let event = number * EPOCH;
        let time = event * 1000;
        Epoch { number, event, time_ms: BASE_MS + (time / self.rate) as i64, time_left: time % self.rate }
    }

    /// Event time in milliseconds since 1970.
    #[inline(always)]
    pub fn time_ms(&self, epoch: &Epoch, event: u64) -> i64 {
        let numerator = epoch.time_left + (event - epoch.event) * 1000;
        epoch.time_ms + ((numerator as u128 * self.reciprocal as u128) >> 63) as i64
    }

    /// Event time of any event, in milliseconds since 1970.
    pub fn time_ms_of(&self, event: u64) -> i64 {
        self.time_ms(&self.epoch(event / EPOCH), event)
    }
}

impl Epoch {
    /// Someone who is active now, or will come soon, as a number from 0.
    #[inline(always)]
    pub fn active_person(&self, bits: u64) -> u64 {
        let people = self.number + 1;
        let active = people.min(ACTIVE_PEOPLE);
        people - active + high(bits, active + LEAD)
    }

    /// The auction that `event` tells of, from 0.
    #[inline(always)]
    pub fn auction(&self, event: u64) -> u64 {
        self.number * 3 + (event - self.event) - 1
    }

    /// The newest auction once all of this epoch have come, from 0.
    #[inline(always)]
    pub fn newest_auction(&self) -> u64 {
        self.number * 3 + 2
    }
}
