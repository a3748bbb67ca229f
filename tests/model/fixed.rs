//! Known answers: what the random tables are too small or too tame for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::Arc;

use millstream::arrow::array::{
    ArrayRef, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use millstream::batch::Change;
use millstream::config::Config;
use millstream::engine::Engine;
use millstream::runtime::Metrics;
use millstream::stream::source::scenario;
use millstream::{Error, Kind};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::cell::{Cell, Line};
use super::run::{Given, grid, run};

const CONFIGS: [(usize, usize); 5] = [(1, 2), (7, 5), (64, 1), (8192, 2), (65_536, 1)];

fn engine(batch_rows: usize, partitions: usize) -> Engine {
    Engine::new(Config { batch_rows, partitions, ..Config::default() })
}

/// A table `t (v BIGINT, ts TIMESTAMP(3))` of these times in one source partition, numbered from 0.
fn times(engine: &Engine, delay_ms: i64, times: &[Option<i64>]) {
    let watermark = format!("WATERMARK FOR ts AS ts - INTERVAL '{delay_ms} milliseconds'");
    engine.execute(&format!("CREATE TABLE t (v BIGINT, ts TIMESTAMP(3), {watermark})")).unwrap();
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..times.len() as i64));
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from_iter(times.iter().copied()));
    engine.register_batches("t", vec![RecordBatch::try_from_iter([("v", numbers), ("ts", times)]).unwrap()]).unwrap();
}

const PER_MINUTE: &str = "SELECT window_start, window_end, count(*) FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE) \
                          GROUP BY window_start, window_end";

fn minute(start: i64, count: i64) -> Line {
    vec![Cell::Time(start), Cell::Time(start + 60_000), Cell::Int(count)]
}

fn error_of(engine: &Engine, sql: &str) -> Error {
    match engine.sql(sql).and_then(|query| query.collect()) {
        Ok(batches) => panic!("no error: {sql}: {batches:?}"),
        Err(error) => error,
    }
}

fn column(batch_rows: usize, partitions: usize, column: ArrayRef) -> Engine {
    let engine = engine(batch_rows, partitions);
    engine.register_batches("t", vec![RecordBatch::try_from_iter([("v", column)]).unwrap()]).unwrap();
    engine
}

fn integers(batch_rows: usize, partitions: usize, values: &[Option<i64>]) -> Engine {
    column(batch_rows, partitions, Arc::new(Int64Array::from_iter(values.iter().copied())))
}

fn only_line(engine: &Engine, sql: &str) -> Line {
    let mut lines = run(engine, sql, 0).unwrap_or_else(|e| panic!("{sql}: {e}")).lines;
    assert_eq!(lines.len(), 1, "{sql}");
    lines.remove(0)
}

const ROWS: i64 = 1_000_000;
const STEP_MS: i64 = 10;

/// A file of two partitions of a topic, the rows of the second behind all of the first's, both of the same span of time.
fn partition_batched(path: &std::path::Path) {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(100_000)).build();
    let half = ROWS / 2;
    let batch = |from: i64| {
        let ts: ArrayRef =
            Arc::new(TimestampMillisecondArray::from_iter_values((from..from + 50_000).map(|i| i % half * STEP_MS)));
        let p: ArrayRef = Arc::new(Int64Array::from_iter_values((from..from + 50_000).map(|i| i / half)));
        RecordBatch::try_from_iter([("p", p), ("ts", ts)]).unwrap()
    };
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch(0).schema(), Some(properties)).unwrap();
    (0..ROWS / 50_000).for_each(|number| writer.write(&batch(number * 50_000)).unwrap());
    writer.close().unwrap();
}

fn windows_of_file(path: &std::path::Path, delay_ms: i64, partitions: usize) -> Given {
    let engine = engine(8192, partitions);
    let watermark = format!("WATERMARK FOR ts AS ts - INTERVAL '{delay_ms} milliseconds'");
    let with = format!("WITH ('connector' = 'file', 'path' = '{}', 'format' = 'parquet')", path.display());
    engine.execute(&format!("CREATE TABLE t (p BIGINT, ts TIMESTAMP(3), {watermark}) {with}")).unwrap();
    run(&engine, PER_MINUTE, 2).unwrap()
}

#[test]
fn rows_batched_by_partition_count_as_if_sorted_or_as_late() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("batched.parquet");
    partition_batched(&path);
    let span = ROWS / 2 * STEP_MS;
    let sorted: Vec<Line> =
        (0..span).step_by(60_000).map(|start| minute(start, (span - start).min(60_000) / STEP_MS * 2)).collect();
    for partitions in [1, 2] {
        let given = windows_of_file(&path, span, partitions);
        assert_eq!((given.lines, given.metrics.late_rows), (sorted.clone(), 0), "{partitions} partitions");

        let delay = 5_000;
        let given = windows_of_file(&path, delay, partitions);
        // After the first half the watermark stands at the last time less the delay: earlier windows are closed.
        let watermark = span - STEP_MS - delay;
        let late: i64 = (0..ROWS / 2).filter(|i| i * STEP_MS / 60_000 * 60_000 + 60_000 <= watermark).count() as i64;
        let counted: i64 = given.lines.iter().map(|line| if let Cell::Int(count) = line[2] { count } else { 0 }).sum();
        assert_eq!(
            (given.metrics.rows_in as i64, given.metrics.late_rows as i64),
            (ROWS, late),
            "{partitions} partitions"
        );
        assert_eq!(counted + late, ROWS);
        assert_eq!(given.lines.len(), sorted.len());
    }
}

#[test]
fn boundaries_are_half_open_and_gaps_give_no_windows() {
    for (batch_rows, partitions) in CONFIGS {
        let engine = engine(batch_rows, partitions);
        let at = [-60_001, -60_000, -1, 0, 59_999, 60_000, 3_600_000, 3_659_999];
        times(&engine, 0, &at.map(Some));
        let given = run(&engine, PER_MINUTE, 2).unwrap();
        let expected = [minute(-120_000, 1), minute(-60_000, 2), minute(0, 2), minute(60_000, 1), minute(3_600_000, 2)];
        assert_eq!(given.lines, expected);
        assert_eq!(given.emitted.len(), expected.len(), "each result leaves once");
        assert_eq!(given.metrics.late_rows, 0);
    }
}

#[test]
fn times_at_the_ends_of_the_scale_are_counted() {
    const FAR: i64 = 253_402_300_799_999; // the last of the year 9999
    for (batch_rows, partitions) in CONFIGS {
        for hop in [
            PER_MINUTE,
            "SELECT window_start, window_end, count(*) FROM HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '20' SECOND, \
                                INTERVAL '1' MINUTE) GROUP BY window_start, window_end",
        ] {
            let engine = engine(batch_rows, partitions);
            let at = [
                Some(0),
                None,
                Some(FAR),
                Some(1),
                Some(60_000),
                Some(i64::MIN + 1_000_000),
                Some(i64::MAX - 1_000_000),
            ];
            times(&engine, 0, &at);
            let Metrics { rows_in, late_rows, .. } = run(&engine, hop, 2).unwrap().metrics;
            // One has no time, one opens the first window, two are far ahead; all behind those are late.
            assert_eq!((rows_in, late_rows), (7, 3), "{batch_rows} {partitions}");
        }
    }
}

#[test]
fn the_very_first_and_last_ticks_do_no_harm() {
    for (batch_rows, partitions) in CONFIGS {
        let engine = engine(batch_rows, partitions);
        engine.execute("CREATE TABLE t (v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)").unwrap();
        let at: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![i64::MIN, 0, i64::MAX - 1, i64::MAX]));
        let v: ArrayRef = Arc::new(Int64Array::from_iter_values(0..4));
        engine.register_batches("t", vec![RecordBatch::try_from_iter([("v", v), ("ts", at)]).unwrap()]).unwrap();
        for sql in [PER_MINUTE.to_string(), format!("{PER_MINUTE} EMIT CHANGES")] {
            let given = run(&engine, &sql, 2).unwrap();
            // The first and the last two have no windows that could be told, and count as late.
            assert_eq!((given.lines, given.metrics.late_rows), (vec![minute(0, 1)], 3));
        }
    }
}

#[test]
fn five_thousand_trades_in_are_five_thousand_out() {
    for (batch_rows, partitions) in CONFIGS {
        let engine = engine(batch_rows, partitions);
        engine
            .execute(
                "CREATE TABLE trades (trader_id VARCHAR, symbol VARCHAR, price DOUBLE, quantity BIGINT, \
                 trade_time TIMESTAMP(3), WATERMARK FOR trade_time AS trade_time)",
            )
            .unwrap();
        engine.register_batches("trades", vec![scenario::trades(5_000).unwrap()]).unwrap();
        let sql = "SELECT trader_id, symbol, window_start, window_end, count(*), avg(price), sum(quantity), sum(price * quantity) \
                   FROM TUMBLE(TABLE trades, DESCRIPTOR(trade_time), INTERVAL '1' MINUTE) \
                   GROUP BY trader_id, symbol, window_start, window_end EMIT CHANGES";
        let given = run(&engine, sql, 4).unwrap();
        assert_eq!(given.emitted.len(), 5_000);
        assert!(given.emitted.iter().all(|(_, change, line)| *change == Change::INSERT && line[4] == Cell::Int(1)));
        let keys: BTreeSet<&[Cell]> = given.emitted.iter().map(|(_, _, line)| &line[..4]).collect();
        assert_eq!((keys.len(), given.metrics.rows_in, given.metrics.rows_out), (5_000, 5_000, 5_000));
    }
}

/// Updates of a window come once per batch that touches it, and end at the last value.
#[test]
fn changes_tell_each_step() {
    let engine = engine(1, 1);
    times(&engine, 0, &[0, 1, 2, 60_000].map(Some));
    let given = run(&engine, &format!("{PER_MINUTE} EMIT CHANGES"), 2).unwrap();
    let told: Vec<_> = given.emitted.iter().map(|(_, change, line)| (change.word(), line.clone())).collect();
    let step = |word, start, count| (word, minute(start, count));
    let expected = [
        step("+I", 0, 1),
        step("-U", 0, 1),
        step("+U", 0, 2),
        step("-U", 0, 2),
        step("+U", 0, 3),
        step("+I", 60_000, 1),
    ];
    assert_eq!(told, expected);
}

#[test]
fn decimals_are_exact() {
    let decimals = |digits: &[i128], precision: u8| -> ArrayRef {
        Arc::new(Decimal128Array::from(digits.to_vec()).with_precision_and_scale(precision, 2).unwrap())
    };
    for (batch_rows, partitions) in CONFIGS {
        let tenths: Vec<i128> = (0..1000).map(|_| 10).collect();
        let engine = column(batch_rows, partitions, decimals(&tenths, 10));
        assert_eq!(
            only_line(&engine, "SELECT sum(v), sum(v) = 100 FROM t"),
            [Cell::Decimal(10_000, 2), Cell::Bool(true)]
        );
        let large = 10i128.pow(37);
        let engine = column(batch_rows, partitions, decimals(&[large, large, -large, -large, 5], 38));
        assert_eq!(only_line(&engine, "SELECT sum(v) FROM t"), [Cell::Decimal(5, 2)]);
        let engine = column(batch_rows, partitions, decimals(&[9 * large, 9 * large], 38));
        let error = error_of(&engine, "SELECT sum(v) FROM t");
        assert!(error.kind() == Kind::User && error.to_string().contains("sum"), "{error}");
    }
}

#[test]
fn integer_sums_are_exact_or_errors_whatever_the_order() {
    for (batch_rows, partitions) in CONFIGS {
        for values in [[i64::MAX, 1, -1], [1, -1, i64::MAX], [1, i64::MAX, -1]] {
            let engine = integers(batch_rows, partitions, &values.map(Some));
            assert_eq!(only_line(&engine, "SELECT sum(v) FROM t"), [Cell::Int(i64::MAX)], "{values:?}");
        }
        let engine = integers(batch_rows, partitions, &[Some(i64::MAX), Some(1)]);
        let error = error_of(&engine, "SELECT sum(v) FROM t");
        assert!(error.kind() == Kind::User && error.to_string().contains("overflow"), "{error}");
        let error = error_of(&engine, "SELECT v + 1 FROM t");
        assert!(error.kind() == Kind::User && error.to_string().contains("overflow"), "{error}");
        assert!(error.to_string().contains("v + 1"), "the expression is named: {error}");
    }
}

#[test]
fn dividing_by_zero_is_an_error_that_says_where() {
    for (batch_rows, partitions) in CONFIGS {
        let engine = integers(batch_rows, partitions, &[Some(1), None, Some(0), Some(2)]);
        for sql in [
            "SELECT 10 / v AS q FROM t",
            "SELECT 10 % v AS q FROM t",
            "SELECT sum(10 / v) FROM t",
            "SELECT v FROM t WHERE 10 / v > 1",
        ] {
            let error = error_of(&engine, sql);
            let text = error.to_string();
            assert!(error.kind() == Kind::User && text.contains("division by zero"), "{sql}: {text}");
            assert!(text.contains("10 / v") || text.contains("10 % v"), "the expression is named: {sql}: {text}");
        }
        let safe = run(&engine, "SELECT 10 / v AS q FROM t WHERE v <> 0", 0).unwrap();
        assert_eq!(safe.lines, [[Cell::Int(5)], [Cell::Int(10)]]);
    }
    let floats = column(64, 1, Arc::new(Float64Array::from(vec![0.0])));
    assert_eq!(only_line(&floats, "SELECT 1 / v FROM t"), [Cell::Float(f64::INFINITY.to_bits())]);
}

#[test]
fn null_never_passes() {
    for (batch_rows, partitions) in CONFIGS {
        let engine = integers(batch_rows, partitions, &[Some(1), None, Some(0), None]);
        for (condition, count) in [
            ("v = 1", 1),
            ("NOT (v = 1)", 1),
            ("v = v", 2),
            ("v = NULL", 0),
            ("v <> 1 OR v = 1", 2),
            ("v IS NULL", 2),
            ("v IN (1, NULL)", 1),
            ("v NOT IN (1, NULL)", 0),
            ("CASE WHEN v > 0 THEN false ELSE true END", 3),
            ("v IS DISTINCT FROM 1", 3),
        ] {
            let counted = only_line(&engine, &format!("SELECT count(*) FROM t WHERE {condition}"));
            assert_eq!(counted, [Cell::Int(count)], "{condition}");
        }
        assert_eq!(only_line(&engine, "SELECT count(*) FROM t HAVING sum(v) > 0"), [Cell::Int(4)]);
    }
}

/// Every point of the grid gives the same rows.
#[test]
fn the_whole_grid_agrees() {
    let names = ["a", "b", "a name of more than twelve bytes"];
    let (mut texts, mut numbers, mut expected) = (Vec::new(), Vec::new(), BTreeMap::<&str, (i64, i64)>::new());
    for i in 0..300i64 {
        let name = names[(i * i % 7 % 3) as usize];
        texts.push(name);
        numbers.push(i * 37 % 101);
        let group = expected.entry(name).or_default();
        *group = (group.0 + 1, group.1 + i * 37 % 101);
    }
    let batch = RecordBatch::try_from_iter([
        ("s", Arc::new(StringArray::from(texts)) as ArrayRef),
        ("v", Arc::new(Int64Array::from(numbers))),
    ])
    .unwrap();
    let expected: Vec<Line> = expected
        .iter()
        .map(|(name, (n, sum))| vec![Cell::Text(name.to_string()), Cell::Int(*n), Cell::Int(*sum)])
        .collect();
    for setting in grid() {
        let engine = Engine::new(setting.config());
        engine.register_batches("t", vec![batch.clone()]).unwrap();
        let given = run(&engine, "SELECT s, count(*), sum(v) FROM t GROUP BY s", 1).unwrap();
        assert_eq!(given.lines, expected, "{}", setting.show());
    }
}

/// A long delay holds many windows open; closing them costs no more than each of them once.
#[test]
fn many_open_windows_close_in_one_go() {
    const WINDOWS: i64 = 20_000;
    let engine = engine(8192, 1);
    let at: Vec<Option<i64>> = (0..WINDOWS).map(|window| Some((window * 7919 % WINDOWS) * 1_000)).collect();
    times(&engine, WINDOWS * 1_000, &at);
    for (window, rows) in [
        ("TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND)", WINDOWS),
        ("HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '2' SECOND)", WINDOWS + 1),
    ] {
        let sql = format!("SELECT window_start, count(*) FROM {window} GROUP BY window_start, window_end");
        let given = run(&engine, &sql, 1).unwrap();
        assert_eq!((given.lines.len() as i64, given.metrics.late_rows), (rows, 0));
        assert!(super::run::is_rising(&given.emitted, 0), "windows leave in order");
    }
}
