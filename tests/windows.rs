//! Windows of the user's own: a rule registered by name works like the engine's own kinds.
#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

use std::sync::Arc;

use millstream::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use millstream::arrow::compute::cast;
use millstream::arrow::datatypes::{DataType, Int64Type, TimeUnit};
use millstream::config::Config;
use millstream::engine::Engine;
use millstream::pipeline::{Bounds, WindowArgument, WindowAssigner, WindowFunction, ticks_per_second};
use millstream::{Error, Result};

/// Days of work: from an hour in the morning to midnight; the night before belongs to none.
#[derive(Debug)]
struct TradingDay;

#[derive(Debug)]
struct FromHour {
    day: i64,
    from: i64,
}

impl WindowFunction for TradingDay {
    fn bind(&self, unit: TimeUnit, args: &[WindowArgument]) -> Result<Arc<dyn WindowAssigner>> {
        let day = 86_400 * ticks_per_second(unit);
        match args {
            [WindowArgument::Ticks(from)] if (0..day).contains(from) => Ok(Arc::new(FromHour { day, from: *from })),
            _ => Err(Error::user("trading_day takes an interval of less than a day")),
        }
    }
}

impl WindowAssigner for FromHour {
    fn describe(&self) -> String {
        format!("trading_day({})", self.from)
    }

    fn assign(&self, tick: i64, windows: &mut Vec<Bounds>) {
        let midnight = tick - tick.rem_euclid(self.day);
        if tick - midnight >= self.from {
            windows.push(Bounds { start: midnight + self.from, end: midnight + self.day });
        }
    }
}

fn engine(batch_rows: usize, partitions: usize) -> Engine {
    let engine = Engine::new(Config { batch_rows, partitions, ..Config::default() });
    engine.register_window("Trading_Day", Arc::new(TradingDay)).unwrap();
    engine.execute("CREATE TABLE t (v BIGINT, ts TIMESTAMP(0), WATERMARK FOR ts AS ts - INTERVAL '1' HOUR)").unwrap();
    // Hours 8, 9 and 23 of the first day, 3 and 10 of the second, then 22 of the first again: late.
    let hours = [8, 9, 23, 27, 34, 22];
    let v: ArrayRef = Arc::new(Int64Array::from_iter_values(0..6));
    let ts: ArrayRef = Arc::new(Int64Array::from_iter_values(hours.map(|hour| hour * 3_600)));
    let ts = cast(&ts, &DataType::Timestamp(TimeUnit::Second, None)).unwrap();
    engine.register_batches("t", vec![RecordBatch::try_from_iter([("v", v), ("ts", ts)]).unwrap()]).unwrap();
    engine
}

fn pairs(engine: &Engine, sql: &str) -> (Vec<(i64, i64)>, [u64; 2]) {
    let mut query = engine.sql(sql).unwrap();
    let mut found = Vec::new();
    while let Some(rows) = query.next_rows().unwrap() {
        let column = |at: usize| rows.batch.column(at).as_primitive::<Int64Type>().values().to_vec();
        found.extend(column(0).into_iter().zip(column(1)));
    }
    found.sort_unstable();
    let metrics = query.metrics();
    (found, [metrics.late_rows, metrics.unplaced_rows])
}

#[test]
fn windows_of_the_users_own() {
    for (batch_rows, partitions) in [(1, 1), (2, 2), (8192, 1), (8192, 3)] {
        let engine = engine(batch_rows, partitions);
        let hour = "CAST(extract(epoch FROM window_start) / 3600 AS BIGINT)";
        let expected = (vec![(9, 2), (33, 1)], [1, 2]);
        for sql in [
            format!(
                "SELECT {hour}, count(*) FROM trading_day(TABLE t, DESCRIPTOR(ts), INTERVAL '9' HOUR) \
                 GROUP BY window_start, window_end"
            ),
            format!("SELECT {hour}, count(*) FROM t GROUP BY trading_day(ts, INTERVAL '9' HOUR)"),
        ] {
            assert_eq!(pairs(&engine, &sql), expected, "{sql}");
        }
        let rows = format!("SELECT {hour}, v FROM TRADING_DAY(TABLE t, DESCRIPTOR(ts), 9h)");
        assert_eq!(pairs(&engine, &rows), (vec![(9, 1), (9, 2), (33, 4)], [1, 2]));
    }
}

#[test]
fn refuses_what_the_rule_refuses() {
    let engine = engine(8192, 1);
    let refused = |sql: &str| engine.sql(sql).err().unwrap().to_string();
    let error = refused("SELECT count(*) FROM trading_day(TABLE t, DESCRIPTOR(ts), 30h) GROUP BY window_start");
    assert!(error.contains("trading_day takes an interval of less than a day"), "{error}");
    assert!(engine.register_window("tumble", Arc::new(TradingDay)).is_err());
}
