//! OVER, ranks and first rows on input that does not end say in the end what they say of the same rows in a table.
#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

use std::sync::Arc;

use millstream::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use millstream::arrow::util::display::{ArrayFormatter, FormatOptions};
use millstream::config::Config;
use millstream::engine::Engine;

const ROWS: i64 = 700;

/// Rows out of order by less than two seconds, with ties in time and in values.
fn batches(rows_per_batch: i64) -> Vec<RecordBatch> {
    let mix = |row: i64| (row.wrapping_mul(2_654_435_761) >> 3).rem_euclid(1_000);
    let batch = |rows: std::ops::Range<i64>| {
        let time = rows.clone().map(|row| (row / 3) * 300 + mix(row) % 7 * 250);
        let key: StringArray =
            rows.clone().map(|row| (mix(row) % 5 != 0).then(|| format!("key {}", mix(row) % 4))).collect();
        let n: Int64Array = rows.clone().map(|row| (mix(row + 7) % 9 != 0).then_some(mix(row) % 40)).collect();
        let columns: [(&str, ArrayRef, bool); 4] = [
            ("ts", Arc::new(TimestampMillisecondArray::from_iter_values(time)), true),
            ("k", Arc::new(key), true),
            ("n", Arc::new(n), true),
            ("id", Arc::new(Int64Array::from_iter_values(rows)), true),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    };
    (0..ROWS).step_by(rows_per_batch as usize).map(|from| batch(from..(from + rows_per_batch).min(ROWS))).collect()
}

fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::new().with_null("NULL");
    let mut lines = Vec::new();
    for batch in batches {
        let cells: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        lines.extend(
            (0..batch.num_rows())
                .map(|row| cells.iter().map(|cell| cell.value(row).to_string()).collect::<Vec<_>>().join(" ")),
        );
    }
    lines.sort();
    lines
}

/// The answer over a table of the same rows.
fn of_table(sql: &str) -> Vec<String> {
    let engine = Engine::new(Config { partitions: 1, ..Config::default() });
    engine.register_batches("t", batches(ROWS)).unwrap();
    lines(&engine.sql(sql).unwrap_or_else(|e| panic!("{e}\n{sql}")).collect().unwrap())
}

/// The folded answer over pushed rows; whether rows were taken back.
fn of_stream(sql: &str, partitions: usize, rows_per_batch: i64) -> (Vec<String>, bool) {
    let engine = Engine::new(Config { partitions, batch_rows: 100, ..Config::default() });
    engine
        .execute("CREATE TABLE t (ts TIMESTAMP(3), k TEXT, n BIGINT, id BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2' SECOND)")
        .unwrap();
    let batches = batches(rows_per_batch);
    let handle = engine.register_push("t", batches[0].schema()).unwrap();
    let query = engine.sql(sql).unwrap_or_else(|e| panic!("{e}\n{sql}"));
    let is_updating = query.is_updating();
    let pushing = std::thread::spawn(move || {
        for batch in batches {
            handle.push(batch).expect("the query reads");
        }
        handle.close();
    });
    let answer = query.collect().unwrap_or_else(|e| panic!("{e}\n{sql}"));
    pushing.join().unwrap();
    (lines(&answer), is_updating)
}

/// The stream's answer is the table's; `appends`: nothing may be taken back on the way.
fn check(sql: &str, appends: bool) {
    let expected = of_table(sql);
    for (partitions, rows_per_batch) in [(1, 1), (1, 50), (2, 7), (3, ROWS)] {
        let (answer, is_updating) = of_stream(sql, partitions, rows_per_batch);
        assert_eq!(is_updating, !appends, "whether rows are taken back: {sql}");
        let place = answer.iter().zip(&expected).position(|(a, b)| a != b);
        let shown = place.map(|at| (&answer[at], &expected[at]));
        assert!(
            answer == expected,
            "{} rows instead of {}, first difference {shown:?} ({partitions} partitions, {rows_per_batch} rows each)\n{sql}",
            answer.len(),
            expected.len()
        );
    }
}

#[test]
fn frames_by_event_time() {
    let calls = [
        "COUNT(*) OVER (PARTITION BY k ORDER BY ts), SUM(n) OVER (PARTITION BY k ORDER BY ts)",
        "SUM(n) OVER (PARTITION BY k ORDER BY ts RANGE BETWEEN INTERVAL '3' SECOND PRECEDING AND CURRENT ROW)",
        "MIN(n) OVER (PARTITION BY k ORDER BY ts RANGE BETWEEN INTERVAL '20' SECOND PRECEDING AND INTERVAL '1' SECOND PRECEDING)",
        "MAX(n) OVER (PARTITION BY k ORDER BY ts RANGE BETWEEN CURRENT ROW AND INTERVAL '4' SECOND FOLLOWING)",
        "AVG(n) OVER (ORDER BY ts RANGE BETWEEN INTERVAL '1' SECOND PRECEDING AND INTERVAL '1' SECOND FOLLOWING)",
        "COUNT(n) OVER (PARTITION BY k ORDER BY ts RANGE UNBOUNDED PRECEDING), RANK() OVER (PARTITION BY k ORDER BY ts), \
         DENSE_RANK() OVER (PARTITION BY k ORDER BY ts)",
        "SUM(n) OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN 4 PRECEDING AND CURRENT ROW), \
         MIN(n) OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN 60 PRECEDING AND 20 PRECEDING)",
        "SUM(n) OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN 2 FOLLOWING AND 5 FOLLOWING)",
        "SUM(n) OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND 3 PRECEDING), \
         ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts)",
        "COUNT(*) OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND 2 FOLLOWING)",
        "SUM(n) OVER (PARTITION BY k ORDER BY ts GROUPS BETWEEN 2 PRECEDING AND 1 PRECEDING), \
         DENSE_RANK() OVER (PARTITION BY k ORDER BY ts), COUNT(*) OVER (PARTITION BY k ORDER BY ts ROWS 1 PRECEDING)",
        "COUNT(*) OVER (ORDER BY ts GROUPS BETWEEN CURRENT ROW AND 2 FOLLOWING)",
        "LAG(n) OVER (PARTITION BY k ORDER BY ts), LEAD(n, 3, -1) OVER (PARTITION BY k ORDER BY ts), LAG(id, 2) OVER (ORDER BY ts)",
        "FIRST_VALUE(n) OVER (PARTITION BY k ORDER BY ts), LAST_VALUE(n) OVER (PARTITION BY k ORDER BY ts ROWS 3 PRECEDING), \
         NTH_VALUE(n, 2) OVER (PARTITION BY k ORDER BY ts ROWS 3 PRECEDING)",
        "COUNT(*) FILTER (WHERE n > 10) OVER (PARTITION BY k ORDER BY ts), COUNT(DISTINCT n) OVER (PARTITION BY k ORDER BY ts)",
        "STRING_AGG(k, ',') OVER (PARTITION BY n ORDER BY ts, id ROWS 5 PRECEDING)",
        "MEDIAN(n) OVER (PARTITION BY k ORDER BY ts ROWS 9 PRECEDING), SUM(n) OVER (PARTITION BY k ORDER BY ts, n)",
    ];
    for calls in calls {
        check(&format!("SELECT id, {calls} FROM t"), true);
    }
}

#[test]
fn the_first_by_time_is_given_once() {
    check(
        "SELECT id, k FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts) AS r FROM t) AS q WHERE r = 1",
        true,
    );
    check(
        "SELECT id, k, r FROM (SELECT *, RANK() OVER (PARTITION BY n ORDER BY ts) AS r FROM t) AS q WHERE r <= 3",
        true,
    );
}

#[test]
fn rows_as_they_come() {
    for (partitions, rows_per_batch) in [(1, 1), (2, 50)] {
        let sql = "SELECT id, COUNT(*) OVER (PARTITION BY k ROWS 3 PRECEDING), SUM(n) OVER (ROWS UNBOUNDED PRECEDING), \
                   LAG(id) OVER (ROWS 1 PRECEDING) FROM t";
        assert!(of_stream(sql, partitions, rows_per_batch) == (of_table(sql), false), "{sql}");
    }
}

#[test]
fn ranks_of_rows_that_are_only_added() {
    let ranks = [
        "SELECT id, n, r FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY n DESC) AS r FROM t) AS q WHERE r <= 3",
        "SELECT id, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY n DESC) AS r FROM t) AS q WHERE r <= 3",
        "SELECT id, k FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) AS r FROM t) AS q WHERE r = 1",
        "SELECT id, k, r FROM (SELECT *, RANK() OVER (PARTITION BY k ORDER BY n) AS r FROM t) AS q WHERE r < 4 AND id % 2 = 0",
        "SELECT id, k FROM (SELECT *, RANK() OVER (ORDER BY n) AS r FROM t) AS q WHERE r <= 20",
        "SELECT id, r FROM (SELECT *, DENSE_RANK() OVER (PARTITION BY k ORDER BY n NULLS FIRST) AS r FROM t) AS q WHERE r <= 2",
        "SELECT id, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY n) AS r FROM t) AS q WHERE r BETWEEN 2 AND 4",
        "SELECT id FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY k ORDER BY n DESC, id) = 2",
        "SELECT id, n FROM t ORDER BY n DESC NULLS LAST, id LIMIT 10",
        "SELECT id, n FROM t ORDER BY n, id LIMIT 5 OFFSET 3",
        "SELECT k, COUNT(*) FROM (SELECT *, RANK() OVER (PARTITION BY k ORDER BY n DESC) AS r FROM t) AS q WHERE r <= 3 GROUP BY k",
    ];
    for sql in ranks {
        check(sql, false);
    }
}

#[test]
fn ranks_and_frames_of_rows_that_change() {
    let counts = "(SELECT n, COUNT(*) AS c, SUM(id) AS s FROM t GROUP BY n)";
    for sql in [
        format!(
            "SELECT n, c, r FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY c % 3 ORDER BY s DESC) AS r FROM {counts} AS q) AS p WHERE r <= 2"
        ),
        format!("SELECT n, c FROM (SELECT *, RANK() OVER (ORDER BY c DESC) AS r FROM {counts} AS q) AS p WHERE r <= 5"),
        format!("SELECT n, c, SUM(c) OVER (ORDER BY n), LAG(c) OVER (ORDER BY n) FROM {counts} AS q"),
        format!("SELECT n, NTILE(3) OVER (PARTITION BY c % 2 ORDER BY s), COUNT(*) OVER () FROM {counts} AS q"),
        format!("SELECT n, s FROM {counts} AS q ORDER BY s DESC LIMIT 4"),
        "SELECT id, PERCENT_RANK() OVER (PARTITION BY k ORDER BY n) FROM t WHERE id < 100 EMIT CHANGES".to_string(),
    ] {
        let expected = of_table(&sql);
        let (answer, is_updating) = of_stream(&sql, 2, 90);
        assert!(is_updating, "{sql}");
        assert!(answer == expected, "{} rows instead of {}: {sql}", answer.len(), expected.len());
    }
}

#[test]
fn partitions_that_are_windows() {
    let windowed = "TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND)";
    let counts = format!(
        "(SELECT window_start, window_end, k, COUNT(*) AS c FROM {windowed} GROUP BY window_start, window_end, k)"
    );
    for sql in [
        format!(
            "SELECT id, r FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY n DESC) AS r FROM {windowed}) AS q WHERE r <= 2"
        ),
        format!(
            "SELECT id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, k ORDER BY ts DESC) AS r FROM {windowed}) AS q WHERE r = 1"
        ),
        format!(
            "SELECT k, c, r FROM (SELECT *, RANK() OVER (PARTITION BY window_start ORDER BY c DESC) AS r FROM {counts} AS p) AS q WHERE r <= 2"
        ),
        format!(
            "SELECT id, n, SUM(n) OVER (PARTITION BY window_end, k), CUME_DIST() OVER (PARTITION BY window_end, k ORDER BY n) FROM {windowed}"
        ),
        format!("SELECT k, c, SUM(c) OVER (PARTITION BY window_end) FROM {counts} AS p"),
        "SELECT id, r FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, k ORDER BY n, id) AS r FROM \
         HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '2' SECOND, INTERVAL '6' SECOND)) AS q WHERE r <= 1"
            .to_string(),
    ] {
        check(&sql, true);
    }
}

#[test]
fn what_never_ends_is_refused() {
    let engine = Engine::new(Config::default());
    engine.execute("CREATE TABLE t (ts TIMESTAMP(3), k TEXT, n BIGINT, id BIGINT, WATERMARK FOR ts AS ts)").unwrap();
    let _handle = engine.register_push("t", batches(1)[0].schema()).unwrap();
    for (call, why) in [
        ("SUM(n) OVER (PARTITION BY k ORDER BY n)", "ordered by the column with the watermark"),
        ("SUM(n) OVER (PARTITION BY k ORDER BY ts DESC)", "ordered by the column with the watermark"),
        ("NTILE(4) OVER (ORDER BY ts)", "ntile needs whole partitions"),
        (
            "SUM(n) OVER (ORDER BY ts ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)",
            "UNBOUNDED FOLLOWING needs whole",
        ),
        ("LAG(n) IGNORE NULLS OVER (ORDER BY ts)", "IGNORE NULLS needs whole"),
    ] {
        let error = engine.sql(&format!("SELECT {call} FROM t")).err().expect(call).to_string();
        assert!(error.contains(why), "{call}: {error}");
    }
}
