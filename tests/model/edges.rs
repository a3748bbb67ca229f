//! Known answers at the edges of types: units of time, marks and times that are null, keys that are equal in two forms.

use std::sync::Arc;

use millstream::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
};
use millstream::arrow::compute::cast;
use millstream::arrow::datatypes::{DataType, TimeUnit};
use millstream::config::Config;
use millstream::engine::Engine;

use super::cell::{Cell, Line};
use super::run::run;

const CONFIGS: [(usize, usize); 5] = [(1, 2), (7, 5), (64, 1), (8192, 2), (65_536, 1)];

fn engine(batch_rows: usize, partitions: usize) -> Engine {
    Engine::new(Config { batch_rows, partitions, ..Config::default() })
}

/// Rows `(v, ts)` under a watermark of its own.
fn timed(engine: &Engine, watermark: &str, rows: &[(i64, Option<i64>)]) {
    engine.execute(&format!("CREATE TABLE t (v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS {watermark})")).unwrap();
    let v: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
    let ts: ArrayRef = Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.1)));
    let ts = cast(&ts, &DataType::Timestamp(TimeUnit::Millisecond, None)).unwrap();
    engine.register_batches("t", vec![RecordBatch::try_from_iter([("v", v), ("ts", ts)]).unwrap()]).unwrap();
}

const PER_SECOND: &str = "SELECT window_start, count(*) FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND) \
                          GROUP BY window_start, window_end";

#[test]
fn windows_of_every_unit() {
    for (precision, unit, per_second) in [
        (0, TimeUnit::Second, 1),
        (3, TimeUnit::Millisecond, 1_000),
        (6, TimeUnit::Microsecond, 1_000_000),
        (9, TimeUnit::Nanosecond, 1_000_000_000i64),
    ] {
        for (batch_rows, partitions) in CONFIGS {
            let engine = engine(batch_rows, partitions);
            let watermark = "WATERMARK FOR ts AS ts - INTERVAL '1' SECOND";
            engine.execute(&format!("CREATE TABLE t (ts TIMESTAMP({precision}), {watermark})")).unwrap();
            let last = per_second - 1;
            // The first and last ticks of seconds -1, 0 and 5, then one of second 0 again: late.
            let ticks = [-per_second, -1, 0, last, 5 * per_second, 5 * per_second + last, 1.min(last)];
            let ts = cast(&(Arc::new(Int64Array::from(ticks.to_vec())) as ArrayRef), &DataType::Timestamp(unit, None))
                .unwrap();
            engine.register_batches("t", vec![RecordBatch::try_from_iter([("ts", ts)]).unwrap()]).unwrap();
            let sql = "SELECT CAST(extract(epoch FROM window_start) AS BIGINT), count(*) FROM \
                       TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND) GROUP BY window_start, window_end";
            let given = run(&engine, sql, 1).unwrap();
            let expected: Vec<Line> = [-1, 0, 5].map(|second| vec![Cell::Int(second), Cell::Int(2)]).to_vec();
            assert_eq!((given.lines, given.metrics.late_rows), (expected, 1), "{unit:?}");
        }
    }
}

#[test]
fn rows_without_a_mark_may_be_late() {
    for (batch_rows, partitions) in CONFIGS {
        let engine = engine(batch_rows, partitions);
        timed(
            &engine,
            "CASE WHEN v > 0 THEN ts END",
            &[(1, Some(10_000)), (0, Some(0)), (0, Some(50_000)), (0, Some(10_000))],
        );
        let given = run(&engine, PER_SECOND, 1).unwrap();
        let expected = [(10_000, 2), (50_000, 1)].map(|(start, count)| vec![Cell::Time(start), Cell::Int(count)]);
        assert_eq!((given.lines, given.metrics.late_rows), (expected.to_vec(), 1));
    }
}

#[test]
fn rows_without_a_time_may_move_the_watermark() {
    for (batch_rows, partitions) in CONFIGS {
        let engine = engine(batch_rows, partitions);
        timed(&engine, "coalesce(ts, TIMESTAMP '1970-01-01 00:00:10')", &[(1, None), (1, Some(0)), (1, Some(10_000))]);
        let given = run(&engine, PER_SECOND, 1).unwrap();
        assert_eq!((given.lines, given.metrics.late_rows), (vec![vec![Cell::Time(10_000), Cell::Int(1)]], 1));
    }
}

/// Counts per key, sorted.
fn counts(key: ArrayRef, emit: &str, (batch_rows, partitions): (usize, usize)) -> Vec<i64> {
    let engine = engine(batch_rows, partitions);
    engine.register_batches("t", vec![RecordBatch::try_from_iter([("x", key)]).unwrap()]).unwrap();
    // The key stands in the rows: without it, one group's row could be another's before.
    let given = run(&engine, &format!("SELECT count(*), x FROM t GROUP BY x EMIT {emit}"), 0).unwrap();
    let distinct = run(&engine, "SELECT count(*) FROM (SELECT DISTINCT x FROM t) AS d", 0).unwrap();
    assert_eq!(distinct.lines, [[Cell::Int(given.lines.len() as i64)]], "DISTINCT has the same groups");
    given
        .lines
        .iter()
        .map(|line| if let Cell::Int(count) = line[0] { count } else { panic!("counts are integers") })
        .collect()
}

#[test]
fn keys_of_every_type_are_one_group_each() {
    let some = |rows: usize| (0..rows).map(|row| (row % 5 != 0).then_some(row % 3));
    let expected: Vec<i64> = {
        let of = |wanted: Option<usize>| some(600).filter(|key| *key == wanted).count() as i64;
        let mut all = vec![of(None), of(Some(0)), of(Some(1)), of(Some(2))];
        all.sort();
        all
    };
    let texts = ["", "short", "one of more than twelve bytes"];
    let keys: [ArrayRef; 5] = [
        Arc::new(Int64Array::from_iter(some(600).map(|key| key.map(|k| k as i64 - 1)))),
        Arc::new(Date32Array::from_iter(some(600).map(|key| key.map(|k| k as i32 * 1000 - 1000)))),
        Arc::new(Decimal128Array::from_iter(some(600).map(|key| key.map(|k| k as i128 - 1)))),
        Arc::new(Float64Array::from_iter(some(600).map(|key| key.map(|k| k as f64 / 3.0)))),
        Arc::new(StringArray::from_iter(some(600).map(|key| key.map(|k| texts[k])))),
    ];
    for config in CONFIGS {
        for emit in ["FINAL", "CHANGES"] {
            for key in &keys {
                assert_eq!(counts(key.clone(), emit, config), expected, "{} {emit} {config:?}", key.data_type());
            }
            let bools: ArrayRef = Arc::new(BooleanArray::from_iter(some(600).map(|key| key.map(|k| k > 0))));
            assert_eq!(counts(bools, emit, config).len(), 3, "{emit} {config:?}");
        }
    }
}

/// Zero has two forms and NaN many; each is one key.
#[test]
fn zeros_and_nans_are_one_group_each() {
    let nan = f64::from_bits(0xfff8_0000_0000_0001);
    let values = [0.0, -0.0, 0.0, f64::NAN, nan, -f64::NAN, 1.0, -0.0];
    for config in CONFIGS {
        for emit in ["FINAL", "CHANGES"] {
            let key: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
            assert_eq!(counts(key, emit, config), [1, 3, 4], "{emit} {config:?}");
        }
    }
}

#[test]
fn two_keys_in_the_same_bytes_are_two_groups() {
    for (batch_rows, partitions) in CONFIGS {
        let engine = engine(batch_rows, partitions);
        let first: ArrayRef = Arc::new(StringArray::from(vec![Some("ab"), Some("a"), Some(""), None, Some(""), None]));
        let second: ArrayRef = Arc::new(StringArray::from(vec![Some("c"), Some("bc"), None, Some(""), Some(""), None]));
        engine.register_batches("t", vec![RecordBatch::try_from_iter([("a", first), ("b", second)]).unwrap()]).unwrap();
        let given = run(&engine, "SELECT a, b, count(*) FROM t GROUP BY a, b", 2).unwrap();
        assert_eq!(given.lines.len(), 6, "{:?}", given.lines);
    }
}

/// The first row is the one that came first, not the one of the earliest time.
#[test]
fn first_and_last_go_by_arrival_in_every_window() {
    for (batch_rows, partitions) in CONFIGS {
        let engine = engine(batch_rows, partitions);
        timed(
            &engine,
            "ts - INTERVAL '10' SECOND",
            &[(1, Some(1_500)), (2, Some(500)), (3, Some(1_700)), (4, Some(900))],
        );
        let sql = "SELECT window_end, first_value(v), last_value(v) FROM \
                   HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '2' SECOND) GROUP BY window_start, window_end";
        let given = run(&engine, sql, 1).unwrap();
        let line = |end, first, last| vec![Cell::Time(end), Cell::Int(first), Cell::Int(last)];
        assert_eq!(given.lines, [line(1_000, 2, 4), line(2_000, 1, 4), line(3_000, 1, 3)]);
    }
}
