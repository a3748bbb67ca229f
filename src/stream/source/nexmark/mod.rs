//! Nexmark: the people, auctions and bids of an imagined auction site, the usual test stream.
//!
//! Place       a source without bytes: events are computed, only the columns that are asked for.
//! Owns        nothing per row; pools of strings and tables of prices are made once per process.
//! Invariants  event `n` is a pure function of `n`, the rate and the seed, the same on any machine and in any batch;
//!             seed 0 is the plain one. Strings are views into the pools, never copied.
//! Source      Tucker et al., "NEXMark: a benchmark for queries over data streams" (draft, 2002), in the proportions
//!             of its later generators: people, auctions and bids as 1 : 3 : 46.

mod auction;
mod bid;
mod combined; // all events in one table, a struct per kind
mod event; //    event numbers, event time, who and what exists by then
mod field; //    the fields of events, and how one becomes a column
mod person;
mod pool; //     the strings
mod price; //    prices, evenly over the logarithm
mod schema; //   the columns of a table

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;

use super::datagen::options::Options;
use super::datagen::rows::{RowSource, RowTable, Scratch, flat, flat_i64};
use crate::batch::{self, Kind, Values};
use crate::error::{Error, Result};
use crate::pipeline::{Table, TableDefinition};
use event::{Entity, Events, Segments};
use field::{Shape, TIME};
use schema::{Column, TableColumn};

const OPTIONS: [&str; 6] = ["connector", "type", "events", "rate", "seed", "pace"];
/// Events per second of event time, unless given.
const RATE_DEFAULT: u64 = 10_000;
/// Events at most: their times in milliseconds then fit at any rate.
const EVENTS_MAX: u64 = 1_000_000_000_000_000;

/// Opens a Nexmark table.
///
/// Failure: an unknown option or value; a declared column that Nexmark does not have, or of another type.
pub fn table(definition: &TableDefinition) -> Result<Arc<dyn Table>> {
    let options = Options::new(definition);
    options.refuse_unknown("nexmark", &OPTIONS, |_| false)?;
    let entity = match options.text("type").unwrap_or("all").to_ascii_lowercase().as_str() {
        "person" => Some(Entity::Person),
        "auction" => Some(Entity::Auction),
        "bid" => Some(Entity::Bid),
        "all" => None,
        other => {
            let message = format!("option 'type' must be 'bid', 'auction', 'person' or 'all': '{other}'");
            return Err(Error::user(message));
        }
    };
    let columns = match &definition.schema {
        Some(declared) => schema::declared(declared, entity)?,
        None => schema::columns(entity),
    };
    let rate = options.number("rate", 1, Events::RATE_MAX)?.unwrap_or(RATE_DEFAULT);
    let source = Nexmark {
        events: Events::new(rate, options.number("seed", 0, u64::MAX)?.unwrap_or(0)),
        entity,
        event_count: options.number("events", 0, EVENTS_MAX)?,
        schema: schema::schema(&columns),
        columns,
    };
    Ok(Arc::new(RowTable::new(source, options.pace()?)))
}

/// The events of one kind, or all of them, as rows.
#[derive(Debug)]
struct Nexmark {
    events: Events,
    /// `None`: all of them.
    entity: Option<Entity>,
    event_count: Option<u64>,
    columns: Vec<TableColumn>,
    schema: SchemaRef,
}

impl Nexmark {
    fn rows_among(&self, events: u64) -> u64 {
        self.entity.map_or(events, |entity| entity.count(events))
    }

    fn event(&self, row: u64) -> u64 {
        self.entity.map_or(row, |entity| entity.event(row))
    }

    /// Turns milliseconds into the ticks that a table declares.
    fn scale(&self, column: &TableColumn, rows: &Range<u64>, values: &mut [i64]) -> Result<()> {
        let ticks = column.ticks_per_ms();
        if ticks == 1 || values.is_empty() {
            return Ok(());
        }
        // Twice as far from 1970 as the last event: `expires` lies ahead of it by less than that.
        if self.events.time_ms_of(self.event(rows.end)).checked_mul(ticks * 2).is_none() {
            let (name, data_type) = (&column.name, &column.data_type);
            return Err(Error::user(format!("event time beyond its type: {name} {data_type}; declare milliseconds")));
        }
        values.iter_mut().for_each(|value| *value *= ticks);
        Ok(())
    }
}

impl RowSource for Nexmark {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn rows(&self) -> Option<u64> {
        self.event_count.map(|events| self.rows_among(events))
    }

    fn rows_due(&self, elapsed: Duration) -> u64 {
        let events = elapsed.as_nanos() * self.events.rate() as u128 / 1_000_000_000;
        self.rows_among(u64::try_from(events).unwrap_or(EVENTS_MAX).saturating_add(1))
    }

    fn describe(&self) -> String {
        let what = self.entity.map_or("all", Entity::name);
        let count = self.event_count.map_or(String::new(), |events| format!(" events={events}"));
        format!("nexmark {what}{count} rate={}", self.events.rate())
    }

    fn is_ascending(&self, column: usize) -> bool {
        match self.columns[column].column {
            Column::Field { entity, field } => entity.fields()[field].name == TIME,
            Column::Time => true,
            Column::EventType | Column::Struct(_) => false,
        }
    }

    fn fill(&self, column: usize, rows: Range<u64>, scratch: &mut Scratch, out: &mut batch::Column) -> Result<()> {
        let column = &self.columns[column];
        let row_count = (rows.end - rows.start) as usize;
        match column.column {
            Column::Field { entity, field } => {
                let segments = Segments::of_entity(entity, rows.clone());
                if entity.fields()[field].shape == Shape::Text {
                    let pool = field::pool(entity, field);
                    return scratch.pick(pool, row_count, None, out, |picks| {
                        field::picks(&self.events, entity, field, segments, picks)
                    });
                }
                let values = flat_i64(out, row_count);
                field::integers(&self.events, entity, field, segments, values);
                self.scale(column, &rows, values)
            }
            Column::EventType => {
                if let Values::I32(values) = &mut flat(out, Kind::I32, row_count).values {
                    values.clear();
                    values.extend(rows.map(|event| Entity::at(event % event::EPOCH) as i32));
                }
                Ok(())
            }
            Column::Struct(entity) => combined::structs(&self.events, entity, rows, scratch, out),
            Column::Time => {
                let values = flat_i64(out, row_count);
                for entity in Entity::ALL {
                    let segments = Segments::among_all(entity, rows.clone());
                    self.events.write(segments, values, |epoch, event| self.events.time_ms(epoch, event));
                }
                self.scale(column, &rows, values)
            }
        }
    }
}
