//! State is dropped when it may be: keys that never come back, hour after hour, and what operators hold does not grow.
//!
//! Each hour brings keys of its own. What is held after some hours is what was held before; once a lone row has moved the
//! watermark, or the clock has, on and on, next to nothing is.
#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

use std::sync::Arc;
use std::time::Duration;

use millstream::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray, TimestampMillisecondArray};
use millstream::batch::Change;
use millstream::config::Config;
use millstream::testing::{Driver, Source};

const HOUR: i64 = 3_600_000;
/// Keys of an hour. Joins keep a block of rows until all of it may go, so there are more.
const KEYS: i64 = 5_000;
const KEYS_OF_JOINS: i64 = 20_000;
const HOURS: i64 = 10;

/// `rows` rows of `hour`, each with a key of its own, within its first minute.
fn rows(hour: i64, rows: i64) -> RecordBatch {
    let keys = (0..rows).map(|key| format!("a key that nobody has seen before: {hour} {key}"));
    let times = (0..rows).map(|row| hour * HOUR + row * 60_000 / rows);
    let columns: [(&str, ArrayRef); 3] = [
        ("k", Arc::new(StringViewArray::from_iter_values(keys))),
        ("n", Arc::new(Int64Array::from_iter_values(0..rows))),
        ("at", Arc::new(TimestampMillisecondArray::from_iter_values(times))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

fn held(driver: &Driver) -> u64 {
    driver.metrics().operators.iter().map(|operator| operator.state_bytes).sum()
}

/// Runs a query over tables `t` and `u`, hour after hour; with `clock`, hours pass by the clock as well.
fn check(sql: &str, clock: bool) {
    let keys = if sql.contains("JOIN") || sql.contains("EXISTS") { KEYS_OF_JOINS } else { KEYS };
    for partitions in [1, 3] {
        let mut driver = Driver::new(Config { partitions, ..Config::default() }).unwrap();
        for table in ["t", "u"] {
            driver.source(table, Source::default());
            let columns = "(k TEXT, n BIGINT, at TIMESTAMP(3), WATERMARK FOR at AS at - INTERVAL '5' SECOND)";
            driver.execute(&format!("CREATE TABLE {table} {columns}")).unwrap();
        }
        driver.source("t_by_key", Source::default());
        driver.execute("CREATE TABLE t_by_key (k TEXT, n BIGINT, at TIMESTAMP(3), PRIMARY KEY (k))").unwrap();
        driver.query(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let tables: Vec<&str> =
            ["t", "u", "t_by_key"].into_iter().filter(|table| sql.contains(&format!(" {table} "))).collect();
        let push = |driver: &mut Driver, hour: i64, count: i64| {
            for table in &tables {
                driver.push(table, 0, rows(hour, count)).unwrap();
            }
            let came = driver.settle().unwrap_or_else(|e| panic!("{sql}: {e}")).len();
            if clock {
                driver.advance(Duration::from_millis(HOUR as u64));
                driver.settle().unwrap();
            }
            (held(driver), came)
        };
        let hours: Vec<(u64, usize)> = (0..HOURS).map(|hour| push(&mut driver, hour, keys)).collect();
        let bytes: Vec<u64> = hours.iter().map(|(bytes, _)| *bytes).collect();
        assert!(hours.iter().any(|(_, came)| *came > 0), "{sql}: something comes out");
        let most = |hours: std::ops::Range<usize>| bytes[hours].iter().copied().max().unwrap();
        let (early, late) = (most(0..5), most(5..10));
        assert!(late <= early + early / 4, "{sql}\n{partitions} workers: what is held grows: {bytes:?}");
        let mut after = 0;
        for hour in HOURS..HOURS + 60 {
            after = push(&mut driver, hour, 1).0;
        }
        let most = early.max(late);
        assert!(clock || most > 20_000, "{sql}\n{partitions} workers: something is held meanwhile: {bytes:?}");
        let share = if keys == KEYS { 4 } else { 2 };
        assert!(after < most.max(200_000) / share, "{sql}\n{partitions} workers: {after} bytes are left of {bytes:?}");
    }
}

#[test]
fn tumbling_windows() {
    check("SELECT k, window_start, COUNT(*) AS c, MIN(n) AS m FROM t GROUP BY k WINDOW TUMBLING(10m)", false);
    check(
        "SELECT k, window_start, COUNT(DISTINCT n) AS c, MEDIAN(n) AS m FROM t GROUP BY k WINDOW TUMBLING(10m)",
        false,
    );
    check("SELECT k, window_start, COUNT(*) AS c FROM t GROUP BY k WINDOW TUMBLING(10m) EMIT CHANGES", false);
    check("SELECT k, window_start, COUNT(*) AS c FROM t GROUP BY k WINDOW TUMBLING(10m) ALLOW LATENESS 5m", false);
    check("SELECT DISTINCT k, window_end FROM TUMBLE(TABLE t , DESCRIPTOR(at), INTERVAL '10' MINUTE)", false);
}

#[test]
fn hopping_windows() {
    check("SELECT k, window_start, SUM(n) AS s, MAX(n) AS m FROM t GROUP BY k WINDOW HOPPING(30m, 10m)", false);
    check("SELECT k, window_start, SUM(n) AS s FROM t GROUP BY k WINDOW HOPPING(30m, 10m) EMIT CHANGES", false);
}

#[test]
fn cumulating_windows() {
    check("SELECT k, window_end, SUM(n) AS s, MAX(n) AS m FROM t GROUP BY k WINDOW CUMULATING(30m, 10m)", false);
    check("SELECT k, window_end, SUM(n) AS s FROM t GROUP BY k WINDOW CUMULATING(30m, 10m) EMIT CHANGES", false);
}

#[test]
fn sessions() {
    check("SELECT k, window_end, SUM(n) AS s, MAX(n) AS m FROM t GROUP BY k WINDOW SESSION(10m)", false);
    check("SELECT k, window_end, SUM(n) AS s FROM t GROUP BY k WINDOW SESSION(10m) EMIT CHANGES", false);
    check("SELECT k, n, window_end FROM SESSION(TABLE t PARTITION BY k, DESCRIPTOR(at), INTERVAL '10' MINUTE)", false);
}

#[test]
fn frames() {
    let range = "RANGE BETWEEN INTERVAL '10' MINUTE PRECEDING AND CURRENT ROW";
    check(&format!("SELECT k, SUM(n) OVER (PARTITION BY k ORDER BY at {range}) AS s FROM t "), false);
    check(&format!("SELECT k, MAX(n) OVER (ORDER BY at {range}) AS s FROM t "), false);
    check(&format!("SELECT k, MAX(n) OVER (PARTITION BY k ORDER BY at {range}) AS s FROM t "), false);
    check("SELECT k, SUM(n) OVER (ORDER BY at ROWS 5 PRECEDING) AS s FROM t ", false);
    check(
        "SELECT k, n, RANK() OVER (PARTITION BY window_start ORDER BY n) AS r \
         FROM TUMBLE(TABLE t , DESCRIPTOR(at), INTERVAL '10' MINUTE)",
        false,
    );
}

#[test]
fn first_rows_of_windows() {
    let windows = "TUMBLE(TABLE t , DESCRIPTOR(at), INTERVAL '10' MINUTE)";
    let first = "QUALIFY ROW_NUMBER() OVER (PARTITION BY window_start, window_end, k ORDER BY n DESC)";
    check(&format!("SELECT k, n, window_end FROM {windows} {first} <= 2"), false);
    check(&format!("SELECT k, n, window_end FROM {windows} {first} = 1"), false);
    let first = "QUALIFY ROW_NUMBER() OVER (PARTITION BY window_start, window_end, k ORDER BY at)";
    check(&format!("SELECT k, n, window_end FROM {windows} {first} = 1"), false);
}

#[test]
fn joins_in_time() {
    let within = "t.k = u.k AND u.at BETWEEN t.at AND t.at + INTERVAL '10' MINUTE";
    for kind in ["JOIN", "LEFT JOIN", "FULL JOIN"] {
        check(&format!("SELECT t.k, t.n, u.n AS m FROM t {kind} u ON {within}"), false);
    }
    check(&format!("SELECT t.k, t.n FROM t WHERE EXISTS (SELECT 1 FROM u WHERE {within})"), false);
    let side = |table: &str| format!("TUMBLE(TABLE {table} , DESCRIPTOR(at), INTERVAL '10' MINUTE)");
    let (t, u) = (side("t"), side("u"));
    check(
        &format!("SELECT a.k, a.n, b.n AS m FROM {t} AS a JOIN {u} AS b ON a.k = b.k AND a.window_end = b.window_end"),
        false,
    );
}

#[test]
fn what_the_clock_has_forgotten() {
    let hint = "/*+ STATE_TTL('30m') */";
    check(&format!("SELECT {hint} k, COUNT(*) AS c FROM t GROUP BY k"), true);
    check(&format!("SELECT {hint} DISTINCT k FROM t "), true);
    check(&format!("SELECT {hint} t.k, u.n FROM t JOIN u ON t.k = u.k"), true);
    check(&format!("SELECT {hint} t.k, u.n FROM t FULL JOIN u ON t.k = u.k"), true);
    check(&format!("SELECT {hint} k, n FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY k ORDER BY n) = 1"), true);
    check(&format!("SELECT {hint} k, SUM(n) OVER (PARTITION BY k ORDER BY at) AS s FROM t "), true);
    check(&format!("SELECT {hint} k, LAG(n) OVER (PARTITION BY k ORDER BY at) AS s FROM t "), true);
    let groups = "(SELECT k, MAX(n) AS n FROM t GROUP BY k) AS g";
    check(&format!("SELECT {hint} k, RANK() OVER (PARTITION BY k ORDER BY n) AS r FROM {groups}"), true);
    check(&format!("SELECT {hint} k, n FROM {groups} QUALIFY ROW_NUMBER() OVER (PARTITION BY k ORDER BY n) = 1"), true);
    let table = "(SELECT * FROM t_by_key )";
    check(&format!("SELECT {hint} k, n FROM {table} AS x"), true);
    check(&format!("SELECT {hint} k, SUM(n) OVER (PARTITION BY k) AS s FROM {table} AS x"), true);
}

/// Runs a query over a table whose rows of an hour are taken back in the next.
fn check_taken_back(sql: &str) {
    for partitions in [1, 3] {
        let mut driver = Driver::new(Config { partitions, ..Config::default() }).unwrap();
        driver.source("t", Source::default());
        driver.execute("CREATE TABLE t (k TEXT, n BIGINT, at TIMESTAMP(3), PRIMARY KEY (k))").unwrap();
        driver.query(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let mut hour = |hour: i64| {
            driver.push("t", 0, rows(hour, KEYS)).unwrap();
            let gone = vec![Change::DELETE; KEYS as usize];
            driver.push_changes("t", 0, rows(hour - 1, KEYS), &gone).unwrap();
            driver.settle().unwrap_or_else(|e| panic!("{sql}: {e}"));
            held(&driver)
        };
        let bytes: Vec<u64> = (0..HOURS).map(&mut hour).collect();
        let most = |hours: std::ops::Range<usize>| bytes[hours].iter().copied().max().unwrap();
        let (early, late) = (most(0..5), most(5..10));
        assert!(late <= early + early / 4, "{sql}\n{partitions} workers: what is held grows: {bytes:?}");
    }
}

#[test]
fn what_has_been_taken_back() {
    check_taken_back("SELECT k, COUNT(*) AS c, MAX(n) AS m, COUNT(DISTINCT n) AS d FROM t GROUP BY k");
    check_taken_back("SELECT DISTINCT k FROM t");
    check_taken_back("SELECT k, SUM(n) OVER (PARTITION BY k) AS s FROM t");
    check_taken_back("SELECT k, n FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY k ORDER BY n) = 1");
    check_taken_back("SELECT k, n FROM t EXCEPT SELECT k, n + 1 FROM t");
    check_taken_back("SELECT a.k, b.n FROM t AS a LEFT JOIN t AS b ON a.k = b.k");
    check_taken_back("SELECT a.k, b.n FROM t AS a ASOF LEFT JOIN t AS b ON a.k = b.k AND a.n >= b.n");
}
