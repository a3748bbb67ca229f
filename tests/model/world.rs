//! Random tables: rows in several source partitions, in and out of order, with gaps, negative times and nulls.

use std::sync::Arc;

use millstream::arrow::array::{
    Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use millstream::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// One row. Floats are quarters, so that sums of them are exact in any order.
#[derive(Debug, Clone, Default)]
pub struct Event {
    pub k: Option<i64>,
    pub s: Option<&'static str>,
    pub v: Option<i64>,
    pub x: Option<f64>,
    /// Hundredths.
    pub d: Option<i128>,
    pub ts: Option<i64>,
}

/// A table: source partitions, each with an order of its own.
#[derive(Debug, Clone)]
pub struct World {
    pub partitions: Vec<Vec<Event>>,
    /// How far the watermark stays behind, in milliseconds.
    pub delay: i64,
    seed: u64,
}

const NAMES: [&str; 7] = ["a", "b", "", "exactly12byt", "thirteen byte", "a name longer than a view holds", "ä"];

/// How the columns of a table are made up.
struct Habit {
    key_range: i64,
    name_count: usize,
    null_rate: f64,
    step: i64,
    disorder: i64,
    gap_rate: f64,
    /// Times are multiples of it: then they often fall on the bounds of windows.
    grain: i64,
}

impl World {
    pub fn random(seed: u64) -> World {
        let mut random = StdRng::seed_from_u64(seed);
        let habit = Habit {
            key_range: *[1, 4, 60, 1 << 40].choose(&mut random).unwrap(),
            name_count: random.random_range(1..=NAMES.len()),
            null_rate: *[0.0, 0.0, 0.1, 0.5].choose(&mut random).unwrap(),
            step: *[0, 7, 100, 900].choose(&mut random).unwrap(),
            disorder: *[0, 0, 50, 3_000].choose(&mut random).unwrap(),
            gap_rate: *[0.0, 0.02].choose(&mut random).unwrap(),
            grain: *[1, 50, 100].choose(&mut random).unwrap(),
        };
        let start = *[0, -20_000, 1_700_000_000_000, -62_000_000_000_123].choose(&mut random).unwrap();
        let delay = *[0, 1, 500, 2_000, 1_000_000].choose(&mut random).unwrap();
        let count = *[1, 1, 2, 3, 4].choose(&mut random).unwrap();
        let partitions = (0..count).map(|_| events(&mut random, &habit, start)).collect();
        World { partitions, delay, seed }
    }

    /// A table without rows, in two source partitions.
    pub fn empty() -> World {
        World { partitions: vec![Vec::new(), Vec::new()], delay: 0, seed: 0 }
    }

    /// The same rows in another order of arrival, in which none is behind the watermark.
    pub fn arriving(&self, random: &mut StdRng) -> World {
        let mut world = self.clone();
        for events in &mut world.partitions {
            let jitter = self.delay.min(1_000_000);
            let mut keyed: Vec<(Option<i64>, Event)> = events
                .drain(..)
                .map(|event| (event.ts.map(|ts| ts + random.random_range(0..=jitter)), event))
                .collect();
            keyed.sort_by_key(|(key, _)| *key);
            events.extend(keyed.into_iter().map(|(_, event)| event));
        }
        world.seed = random.random();
        world
    }

    pub fn rows(&self) -> usize {
        self.partitions.iter().map(Vec::len).sum()
    }

    /// The columns, as `CREATE TABLE` has them.
    pub fn columns(&self) -> String {
        format!(
            "k BIGINT, s VARCHAR, v BIGINT, x DOUBLE, d DECIMAL(12, 2), ts TIMESTAMP(3), \
             WATERMARK FOR ts AS ts - INTERVAL '{} milliseconds'",
            self.delay
        )
    }

    /// The rows of each partition, cut into batches of random sizes.
    pub fn batches(&self) -> Vec<Vec<RecordBatch>> {
        let mut random = StdRng::seed_from_u64(self.seed ^ 1);
        let mut cut = |mut events: &[Event]| {
            let mut batches = Vec::new();
            while !events.is_empty() {
                let (first, rest) = events.split_at(random.random_range(0..=200).min(events.len()));
                batches.push(record(first));
                events = rest;
            }
            batches
        };
        self.partitions.iter().map(|events| cut(events)).collect()
    }
}

fn events(random: &mut StdRng, habit: &Habit, start: i64) -> Vec<Event> {
    let count = *[0, 1, 30, 200, 400].choose(random).unwrap();
    let mut now = start + random.random_range(-3_000..3_000);
    let event = |_| {
        now += random.random_range(0..=habit.step);
        if random.random_bool(habit.gap_rate) {
            now += random.random_range(0..200_000);
        }
        let mut there = |rate: f64| !random.random_bool(rate);
        let (k, s, v, x, d, ts) = (
            there(habit.null_rate),
            there(habit.null_rate),
            there(habit.null_rate),
            there(habit.null_rate),
            there(habit.null_rate),
            there(habit.null_rate / 4.0),
        );
        Event {
            k: k.then(|| random.random_range(-habit.key_range..=habit.key_range)),
            s: s.then(|| NAMES[random.random_range(0..habit.name_count)]),
            v: v.then(|| random.random_range(-50..=50)),
            x: x.then(|| random.random_range(-400..=400) as f64 / 4.0),
            d: d.then(|| random.random_range(-999_999_999..=999_999_999)),
            ts: ts.then(|| (now - random.random_range(0..=habit.disorder)) / habit.grain * habit.grain),
        }
    };
    (0..count).map(event).collect()
}

pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Int64, true),
        Field::new("s", DataType::Utf8, true),
        Field::new("v", DataType::Int64, true),
        Field::new("x", DataType::Float64, true),
        Field::new("d", DataType::Decimal128(12, 2), true),
        Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, None), true),
    ]))
}

pub fn record(events: &[Event]) -> RecordBatch {
    let decimals = Decimal128Array::from_iter(events.iter().map(|event| event.d)).with_precision_and_scale(12, 2);
    RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(Int64Array::from_iter(events.iter().map(|event| event.k))),
            Arc::new(StringArray::from_iter(events.iter().map(|event| event.s))),
            Arc::new(Int64Array::from_iter(events.iter().map(|event| event.v))),
            Arc::new(Float64Array::from_iter(events.iter().map(|event| event.x))),
            Arc::new(decimals.expect("the digits fit")),
            Arc::new(TimestampMillisecondArray::from_iter(events.iter().map(|event| event.ts))),
        ],
    )
    .expect("the columns fit the schema")
}
