//! Aggregates of the users' own wherever SQL lets an aggregate stand say what the engine's own say of the same rows: in
//! every window, merged and taken out, over frames, with FILTER and DISTINCT, over tables and over pushed rows.

use std::sync::Arc;

use millstream::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use millstream::engine::{Engine, Outcome};

use super::squares::{INVERTIBLE, KEPT, MERGED, register};
use super::{engine_of, rows};

const ROWS: i64 = 600;

fn batches(rows_per_batch: i64) -> Vec<RecordBatch> {
    let mix = |row: i64| (row.wrapping_mul(2_654_435_761) >> 5).rem_euclid(1_000);
    let batch = |rows: std::ops::Range<i64>| {
        let at = TimestampMillisecondArray::from_iter_values(rows.clone().map(|row| (row / 2) * 400 + mix(row) % 900));
        let key: StringArray =
            rows.clone().map(|row| (mix(row) % 6 != 0).then(|| format!("key {}", mix(row) % 3))).collect();
        let x: Int64Array = rows.clone().map(|row| (mix(row + 3) % 7 != 0).then_some(mix(row) % 30 - 9)).collect();
        let columns: [(&str, ArrayRef, bool); 4] = [
            ("at", Arc::new(at), true),
            ("k", Arc::new(key), true),
            ("x", Arc::new(x), true),
            ("id", Arc::new(Int64Array::from_iter_values(rows)), true),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    };
    (0..ROWS).step_by(rows_per_batch as usize).map(|from| batch(from..(from + rows_per_batch).min(ROWS))).collect()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

fn of_table(sql: &str, batch_rows: usize, partitions: usize) -> Vec<String> {
    let engine = engine_of(batch_rows, partitions);
    register(&engine);
    engine.register_batches("t", batches(ROWS)).unwrap();
    sorted(rows(&engine, sql))
}

const PUSHED: &str =
    "CREATE TABLE t (at TIMESTAMP(3), k TEXT, x BIGINT, id BIGINT, WATERMARK FOR at AS at - INTERVAL '1' SECOND)";

fn of_stream(sql: &str, partitions: usize, rows_per_batch: i64) -> Vec<String> {
    let engine = engine_of(50, partitions);
    register(&engine);
    engine.execute(PUSHED).unwrap();
    let batches = batches(rows_per_batch);
    let handle = engine.register_push("t", batches[0].schema()).unwrap();
    let pushing = std::thread::spawn(move || {
        batches.into_iter().for_each(|batch| handle.push(batch).expect("the query reads"));
        handle.close();
    });
    let answer = rows(&engine, sql);
    pushing.join().unwrap();
    sorted(answer)
}

/// Queries with `#(x)` for the aggregate.
const GROUPED: &[&str] = &[
    "SELECT #(x), #(x + 1) FROM t",
    "SELECT k, #(x) FROM t GROUP BY k",
    "SELECT k, #(x) FILTER (WHERE id % 3 = 0), #(DISTINCT x), #(DISTINCT x) FILTER (WHERE id > 300) FROM t GROUP BY k",
    "SELECT k, id % 200, #(x) FROM t GROUP BY k, id % 200",
    "SELECT k, id % 5, GROUPING(k), #(x) FROM t GROUP BY ROLLUP (k, id % 5)",
    "SELECT k, #(x) FROM t GROUP BY k HAVING #(x) > 9000",
    "SELECT c, #(s) FROM (SELECT id % 9 AS c, SUM(x) AS s FROM t GROUP BY id % 9, k) AS q GROUP BY c",
];

const WINDOWED: &[&str] = &[
    "SELECT k, window_start, #(x) FROM t GROUP BY k WINDOW TUMBLING(at, 10s) EMIT FINAL",
    "SELECT window_start, #(x), #(DISTINCT x) FROM t WINDOW TUMBLING(at, 10s) EMIT FINAL",
    "SELECT k, window_start, #(x) FROM t GROUP BY k WINDOW HOPPING(at, 30s, 10s) EMIT FINAL",
    "SELECT k, window_start, #(x), COUNT(*) FROM t GROUP BY k WINDOW HOPPING(at, 40s, 2s) EMIT FINAL",
    "SELECT window_start, #(x) FILTER (WHERE x > 3) FROM t WINDOW HOPPING(at, 7s, 3s) EMIT FINAL",
    "SELECT k, window_start, window_end, #(x) FROM t GROUP BY k WINDOW CUMULATE(at, 30s, 5s) EMIT FINAL",
    "SELECT k, window_start, window_end, #(x), COUNT(*) FROM t GROUP BY k WINDOW SESSION(at, 2s) EMIT FINAL",
    "SELECT k, window_start, window_end, #(DISTINCT x) FROM t GROUP BY k WINDOW SESSION(at, 1s) EMIT FINAL",
];

const OVER: &[&str] = &[
    "SELECT id, #(x) OVER (PARTITION BY k ORDER BY at, id) FROM t",
    "SELECT id, #(x) OVER (PARTITION BY k) FROM t",
    "SELECT id, #(x) OVER (PARTITION BY k ORDER BY at, id ROWS BETWEEN 7 PRECEDING AND 2 FOLLOWING) FROM t",
    "SELECT id, #(x) OVER (ORDER BY at, id ROWS BETWEEN 90 PRECEDING AND 40 PRECEDING) FROM t",
    "SELECT id, #(x) OVER (PARTITION BY k ORDER BY at RANGE BETWEEN INTERVAL '3' SECOND PRECEDING AND CURRENT ROW) FROM t",
    "SELECT id, #(x) FILTER (WHERE x > 0) OVER (PARTITION BY k ORDER BY at, id ROWS 20 PRECEDING) FROM t",
];

const ALL: [&str; 3] = [MERGED, INVERTIBLE, KEPT];

/// The query with an aggregate of ours, and with `SUM` of the squares.
fn both(template: &str, name: &str) -> (String, String) {
    let mut own = template.to_string();
    for argument in ["DISTINCT x", "x + 1", "x", "s"] {
        // The square of a distinct value is not a distinct square.
        let square = match argument {
            "DISTINCT x" => "SUM(x * x)".to_string(),
            other => format!("SUM(({other}) * ({other}))"),
        };
        own = own.replace(&format!("#({argument})"), &square);
    }
    (template.replace('#', name), own)
}

fn first_difference(found: &[String], wanted: &[String]) -> Option<(String, String)> {
    found.iter().zip(wanted).find(|(a, b)| a != b).map(|(a, b)| (a.clone(), b.clone()))
}

fn check(found: Vec<String>, wanted: &[String], what: &str) {
    assert!(
        found == wanted,
        "{what}: {} rows for {}, first difference {:?}",
        found.len(),
        wanted.len(),
        first_difference(&found, wanted)
    );
}

/// What the engine's own say. DISTINCT has no square that is as distinct, so there it is a sum of squares of `MERGED` over
/// rows made distinct beforehand; such queries are compared among the three instead.
fn wanted(template: &str) -> Vec<String> {
    if template.contains("DISTINCT") {
        return of_table(&template.replace('#', MERGED), 8192, 1);
    }
    let (_, own) = both(template, MERGED);
    of_table(&own, 8192, 1)
}

#[test]
fn over_tables_they_say_what_sum_says() {
    for template in GROUPED.iter().chain(WINDOWED).chain(OVER) {
        let wanted = wanted(template);
        assert!(!wanted.is_empty(), "{template}");
        for name in ALL {
            let sql = template.replace('#', name);
            for (batch_rows, partitions) in [(1, 1), (16, 3), (8192, 2)] {
                check(of_table(&sql, batch_rows, partitions), &wanted, &format!("{sql} by {batch_rows}, {partitions}"));
            }
        }
    }
}

#[test]
fn over_pushed_rows_they_say_what_sum_says_of_the_table() {
    for template in WINDOWED.iter().chain(&OVER[2..]) {
        let wanted = wanted(template);
        for name in ALL {
            let sql = template.replace('#', name);
            for (partitions, rows_per_batch) in [(1, 50), (3, 7)] {
                check(
                    of_stream(&sql, partitions, rows_per_batch),
                    &wanted,
                    &format!("{sql} by {partitions}, {rows_per_batch}"),
                );
            }
        }
    }
}

#[test]
fn distinct_values_are_squared_once() {
    let wanted = of_table("SELECT k, SUM(x * x) FROM (SELECT DISTINCT k, x FROM t) AS q GROUP BY k", 8192, 1);
    for name in ALL {
        check(of_table(&format!("SELECT k, {name}(DISTINCT x) FROM t GROUP BY k"), 16, 2), &wanted, name);
    }
}

/// How a query is run, as EXPLAIN tells it.
fn explained(engine: &Engine, sql: &str) -> String {
    match engine.execute(&format!("EXPLAIN {sql}")).unwrap() {
        Outcome::Text(text) => text,
        _ => String::new(),
    }
}

/// Which calls a hop makes of an aggregate that can take states out again.
#[test]
fn a_hop_takes_old_panes_out_where_that_is_offered() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static UNMERGED: AtomicUsize = AtomicUsize::new(0);
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let engine = engine_of(8192, 1);
    let sum = millstream::function::custom::Fold::new(
        || 0_i64,
        |sum: &mut i64, x: i64| *sum += x,
        |sum, other| *sum += other,
        |sum| *sum,
    )
    .unmerge(|sum: &mut i64, other: &i64| {
        UNMERGED.fetch_add(1, Ordering::Relaxed);
        *sum -= other;
    })
    .run(|sum: &mut i64, (values,): (&[i64],)| {
        RUNS.fetch_add(1, Ordering::Relaxed);
        *sum += values.iter().sum::<i64>();
    });
    engine.aggregate("counted", sum).unwrap();
    engine.register_batches("t", batches(ROWS)).unwrap();
    let hop = |name: &str| {
        sorted(rows(
            &engine,
            &format!("SELECT k, window_start, {name}(id) FROM t GROUP BY k WINDOW HOPPING(at, 60s, 2s) EMIT FINAL"),
        ))
    };
    assert_eq!(hop("counted"), hop("SUM"));
    assert!(UNMERGED.load(Ordering::Relaxed) > 0, "panes are taken out");
    assert_eq!(rows(&engine, "SELECT counted(id) FROM t"), [(ROWS * (ROWS - 1) / 2).to_string()]);
    assert!(RUNS.load(Ordering::Relaxed) > 0, "runs are taken in");
}

/// Time cut by a function of the user's own: days that begin at 17 past, by a counter that is no time.
fn days(engine: &Engine) {
    use millstream::function::custom::{Scalar, Timestamp};
    let day = |at: Timestamp, seconds: i64| (at.0 - 17_000_000).div_euclid(seconds * 1_000_000);
    engine.register(Scalar::new("shift_day", day).monotonic()).unwrap();
    engine.register(Scalar::new("plain_day", day)).unwrap();
}

#[test]
fn groups_by_a_monotonic_function_of_event_time_close_with_the_watermark() {
    let sql = |name: &str| format!("SELECT {name}(at, 24), k, COUNT(*), SUM(x) FROM t GROUP BY {name}(at, 24), k");
    let wanted = {
        let engine = engine_of(8192, 1);
        days(&engine);
        engine.register_batches("t", batches(ROWS)).unwrap();
        sorted(rows(&engine, &sql("plain_day")))
    };
    assert!(wanted.len() > 15, "{wanted:?}");
    for (batch_rows, partitions, rows_per_batch) in [(1, 1, 1), (50, 1, 50), (16, 3, 7), (8192, 2, ROWS)] {
        let engine = engine_of(batch_rows, partitions);
        days(&engine);
        engine.execute(PUSHED).unwrap();
        let batches = batches(rows_per_batch);
        let handle = engine.register_push("t", batches[0].schema()).unwrap();
        let shown = explained(&engine, &sql("shift_day"));
        assert!(shown.contains("in stretches of shift_day(") && shown.contains("when the window closes"), "{shown}");
        assert!(!explained(&engine, &sql("plain_day")).contains("stretches"), "no promise, no windows");
        let query = engine.sql(&sql("shift_day")).unwrap();
        assert!(!query.is_updating(), "groups leave once");
        let pushing = std::thread::spawn(move || {
            batches.into_iter().for_each(|batch| handle.push(batch).expect("the query reads"));
            handle.close();
        });
        let mut found = Vec::new();
        for part in query {
            let part = part.unwrap();
            let options = millstream::arrow::util::display::FormatOptions::default().with_null("NULL");
            let columns: Vec<_> = part
                .batch
                .columns()
                .iter()
                .map(|column| millstream::arrow::util::display::ArrayFormatter::try_new(column, &options).unwrap())
                .collect();
            found.extend(
                (0..part.batch.num_rows()).map(|row| {
                    columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" ")
                }),
            );
        }
        pushing.join().unwrap();
        check(sorted(found), &wanted, &format!("{batch_rows} {partitions} {rows_per_batch}"));
    }
}

#[test]
fn stretches_without_an_end_and_functions_that_fail_far_away() {
    use millstream::function::custom::{Scalar, Timestamp};
    let near = |at: Timestamp| match at.0 {
        -1_000_000_000..1_000_000_000 => Ok(at.0.div_euclid(60_000_000)),
        _ => Err("too far away"),
    };
    for (name, minutes) in [("everything", 1_000_000_000), ("near", 60)] {
        let engine = engine_of(16, 2);
        engine.register(Scalar::new("everything", |_: Timestamp| 1_i64).monotonic()).unwrap();
        engine.register(Scalar::new("near", near).monotonic()).unwrap();
        engine.execute(PUSHED).unwrap();
        let batches = batches(40);
        let handle = engine.register_push("t", batches[0].schema()).unwrap();
        let pushing = std::thread::spawn(move || {
            batches.into_iter().for_each(|batch| handle.push(batch).expect("the query reads"));
            handle.close();
        });
        let found = sorted(rows(&engine, &format!("SELECT COUNT(*) FROM t GROUP BY {name}(at)")));
        pushing.join().unwrap();
        let table = engine_of(16, 1);
        table.register_batches("t", self::batches(ROWS)).unwrap();
        let by_hand = "SELECT COUNT(*) FROM t GROUP BY CAST(EXTRACT(EPOCH FROM at) AS BIGINT) / ";
        assert_eq!(found, sorted(rows(&table, &format!("{by_hand}{minutes}"))), "{name}");
    }
}
