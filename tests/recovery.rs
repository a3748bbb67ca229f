//! Queries are stopped at every step, go on from a snapshot in a fresh engine with other partitions, and give the same.
//!
//! What left before the snapshot and what leaves after it, folded up together, is what an undisturbed run gives.
#![allow(clippy::unwrap_used, clippy::err_expect, reason = "a failed unwrap in a test is a failed test")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use millstream::arrow::datatypes::SchemaRef;
use millstream::batch::Change;
use millstream::config::Config;
use millstream::engine::{Engine, Snapshot};
use millstream::pipeline::Changelog;
use millstream::query::Query;
use millstream::stream::source::push::PushHandle;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

#[path = "recovery/join.rs"]
mod join; //    with tables that end
#[path = "support/answer.rs"]
mod answer; //  rows as text, folded up
#[path = "support/squares.rs"]
mod squares; // aggregates of users' own

use answer::{Answer, fold};

fn engine(partitions: usize, batch_rows: usize) -> Engine {
    let engine = Engine::new(Config { partitions, batch_rows, ..Config::default() });
    squares::register(&engine);
    engine
}

fn finish(query: Query, answer: &mut Answer) {
    for rows in query {
        fold(answer, &rows.unwrap());
    }
}

fn batch(random: &mut StdRng, rows: usize, at: &mut i64) -> RecordBatch {
    let keys = StringArray::from_iter((0..rows).map(|_| match random.random_range(0..9) {
        0 => None,
        key => Some(format!("key number {key}")),
    }));
    let numbers: Int64Array =
        (0..rows).map(|_| random.random_bool(0.9).then(|| random.random_range(-20..20))).collect();
    let times = TimestampMillisecondArray::from_iter_values((0..rows).map(|_| {
        *at += random.random_range(0..700);
        *at
    }));
    let columns: [(&str, ArrayRef); 3] = [("k", Arc::new(keys)), ("n", Arc::new(numbers)), ("at", Arc::new(times))];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

const QUERIES: &[&str] = &[
    "SELECT k, n * 2, at FROM t WHERE n % 3 <> 0",
    "SELECT k, COUNT(*), SUM(n), MIN(n), MAX(n), AVG(n), STDDEV(n) FROM t GROUP BY k EMIT CHANGES",
    "SELECT k, COUNT(*), SUM(n), FIRST_VALUE(n ORDER BY at), MAX(k) FROM t GROUP BY k EMIT FINAL",
    "SELECT COUNT(*), COUNT(DISTINCT k), SUM(DISTINCT n), MEDIAN(n) FROM t EMIT CHANGES",
    "SELECT k, COUNT(DISTINCT n), COUNT(DISTINCT n) FILTER (WHERE n > 3) FROM t GROUP BY k EMIT CHANGES",
    "SELECT window_start, COUNT(DISTINCT n), SUM(DISTINCT n) FILTER (WHERE n > 3), COUNT(DISTINCT n) FILTER (WHERE k = 'a') \
     FROM t WINDOW HOPPING(at, 9s, 3s) EMIT FINAL",
    "SELECT COUNT(*), SUM(n) FROM t EMIT FINAL",
    "SELECT DISTINCT k, n % 4 FROM t EMIT CHANGES",
    "SELECT c, COUNT(*), MAX(s) FROM (SELECT k, COUNT(*) AS c, SUM(n) AS s FROM t GROUP BY k) AS q GROUP BY c EMIT CHANGES",
    "SELECT k, GROUPING(k), COUNT(*), SUM(n) FROM t GROUP BY ROLLUP (k) EMIT CHANGES",
    "SELECT k, STRING_AGG(k, ',' ORDER BY n), ARRAY_AGG(n ORDER BY n, at) FROM t WHERE n > 15 GROUP BY k EMIT CHANGES",
    "SELECT k, n FROM t WHERE n > 5 UNION ALL SELECT k, -n FROM t WHERE n < 0 UNION ALL SELECT * FROM (VALUES ('v', 1)) AS v",
    "SELECT k, SUM(n) FROM (SELECT k, n FROM t UNION ALL SELECT * FROM (VALUES ('v', 1)) AS v) AS u GROUP BY k EMIT CHANGES",
    "SELECT window_start, k, COUNT(*), SUM(n), MAX(n) FROM TUMBLE(TABLE t, DESCRIPTOR(at), INTERVAL '5' SECOND) \
     GROUP BY window_start, window_end, k",
    "SELECT window_end, COUNT(*), COUNT(DISTINCT k) \
     FROM HOP(TABLE t, DESCRIPTOR(at), INTERVAL '2' SECOND, INTERVAL '6' SECOND) GROUP BY window_start, window_end",
    "SELECT APPROX_DISTINCT(n), BOOL_AND(n > 0), BIT_XOR(n) FROM t EMIT CHANGES",
    "SELECT k, window_start, COUNT(*), SUM(n), COUNT(DISTINCT n) FROM t GROUP BY k WINDOW TUMBLING(at, 5s) EMIT FINAL",
    "SELECT k, window_start, COUNT(*), SUM(n), COUNT(DISTINCT n) FROM t GROUP BY k WINDOW HOPPING(at, 9s, 3s) EMIT FINAL",
    "SELECT k, window_end, MIN(n), AVG(n * 0.5) FROM t GROUP BY k WINDOW HOPPING(at, 24s, 4s) EMIT FINAL",
    "SELECT k, window_end, SUM(n) FROM t GROUP BY k WINDOW HOPPING(at, 9s, 2s) EMIT CHANGES",
    "SELECT k, window_end, SUM(n), MAX(n) FROM t GROUP BY k WINDOW CUMULATE(at, 12s, 3s) EMIT FINAL",
    "SELECT k, window_start, window_end, COUNT(*), SUM(n), MIN(n) FROM t GROUP BY k WINDOW SESSION(at, 2s) EMIT FINAL",
    "SELECT k, window_start, window_end, COUNT(*), STDDEV(n) FROM t GROUP BY k WINDOW SESSION(at, 2s) EMIT CHANGES",
    "SELECT k, squares_invertible(n), squares_kept(n), squares_kept(DISTINCT n) FROM t GROUP BY k EMIT CHANGES",
    "SELECT squares_merged(n), squares_invertible(n), squares_kept(n) FROM t EMIT FINAL",
    "SELECT k, window_end, squares_merged(n), squares_kept(n) FROM t GROUP BY k WINDOW HOPPING(at, 9s, 3s) EMIT FINAL",
    "SELECT k, window_end, squares_invertible(n) FROM t GROUP BY k WINDOW HOPPING(at, 24s, 4s) EMIT FINAL",
    "SELECT k, window_end, squares_merged(n), squares_kept(n) FROM t GROUP BY k WINDOW CUMULATE(at, 12s, 3s) EMIT FINAL",
    "SELECT k, window_start, squares_merged(n), squares_kept(n) FROM t GROUP BY k WINDOW SESSION(at, 2s) EMIT FINAL",
    "SELECT k, n, squares_invertible(n) OVER (PARTITION BY k ORDER BY at ROWS 5 PRECEDING), \
     squares_kept(n) OVER (PARTITION BY k ORDER BY at RANGE BETWEEN INTERVAL '3' SECOND PRECEDING AND CURRENT ROW) FROM t",
    "SELECT k, n, window_end FROM SESSION(TABLE t PARTITION BY k, DESCRIPTOR(at), 2s)",
];

const DEFINITION: &str =
    "CREATE TABLE t (k TEXT, n BIGINT, at TIMESTAMP(3), WATERMARK FOR at AS at - INTERVAL '1' SECOND)";

/// Waits until the query has taken all rows pushed. Its rows are pulled meanwhile: a full channel would hold it back.
fn settle(handle: &PushHandle, rows: usize, query: &mut Query, answer: &mut Answer, what: &str) {
    let started = Instant::now();
    while handle.position() < rows as u64 {
        assert!(started.elapsed() < Duration::from_secs(60), "the query takes what is pushed: {what}");
        while let Some(rows) = query.try_next_rows() {
            fold(answer, &rows);
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn check(found: &Answer, expected: &Answer, what: &str) {
    let different = |a: &Answer, b: &Answer| {
        a.iter()
            .filter(|(row, count)| b.get(*row) != Some(count))
            .take(5)
            .map(|(row, count)| format!("{count} x {row}"))
            .collect::<Vec<_>>()
    };
    assert!(
        found == expected,
        "{what}\nfound {:?}\nexpected {:?}",
        different(found, expected),
        different(expected, found)
    );
}

/// Stops a query over pushed rows after each of their batches, and goes on elsewhere; `define`: what else it reads. Gives the
/// answer, which is that of a run in one go.
fn stop_pushed(define: &dyn Fn(&Engine), sql: &str, number: usize, batch_count: usize) -> Answer {
    let mut random = StdRng::seed_from_u64(number as u64);
    let mut at = 0;
    let batches: Vec<RecordBatch> = (0..batch_count).map(|_| batch(&mut random, 40, &mut at)).collect();
    let pushed = |engine: &Engine| {
        define(engine);
        engine.execute(DEFINITION).unwrap();
        engine.register_push("t", batches[0].schema()).unwrap()
    };
    let whole = {
        let engine = engine(2, 16);
        let handle = pushed(&engine);
        let query = engine.sql(sql).unwrap();
        batches.iter().for_each(|batch| handle.push(batch.clone()).unwrap());
        drop(handle);
        let mut answer = Answer::new();
        finish(query, &mut answer);
        answer
    };
    for stop in 0..=batches.len() {
        let (before, after) = [(1, 2), (2, 1), (2, 5), (5, 2), (1, 1)][(stop + number) % 5];
        let what = format!("{sql}\nstopped after {stop} batches, {before} -> {after} partitions");
        let first = engine(before, 16);
        let handle = pushed(&first);
        let mut query = first.sql(sql).unwrap();
        batches[..stop].iter().for_each(|batch| handle.push(batch.clone()).unwrap());
        let mut answer = Answer::new();
        settle(&handle, stop * 40, &mut query, &mut answer, &what);
        let snapshot = query.snapshot().unwrap_or_else(|e| panic!("{what}: {e}"));
        query.take_waiting().iter().for_each(|rows| fold(&mut answer, rows));
        drop(query);
        let snapshot = Snapshot::from_bytes(&snapshot.to_bytes().unwrap()).unwrap();
        let position = snapshot.positions().into_iter().find(|(table, _)| table == "t");
        assert_eq!(position, Some(("t".to_string(), vec![(stop * 40) as u64])), "{what}");

        let second = engine(after, 7);
        let handle = pushed(&second);
        let mut query = second.resume(sql, &snapshot).unwrap_or_else(|e| panic!("{what}: {e}"));
        batches[stop..].iter().for_each(|batch| handle.push(batch.clone()).unwrap());
        settle(&handle, batches.len() * 40, &mut query, &mut answer, &what);
        drop(handle);
        finish(query, &mut answer);
        check(&answer, &whole, &what);
    }
    whole
}

#[test]
fn pushed_rows_go_on_from_every_step() {
    // A pushed table is read once.
    let queries = QUERIES.iter().filter(|sql| sql.matches("FROM t ").count() < 2);
    for (number, sql) in queries.enumerate() {
        stop_pushed(&|_| (), sql, number, 5);
    }
}

/// Stops a query over a bounded table after each of its batches; how often there was something to stop.
fn stop_everywhere(define: &dyn Fn(&Engine), sql: &str, steps: &[usize]) -> usize {
    let mut whole = Answer::new();
    let undisturbed = engine(2, 16);
    define(&undisturbed);
    finish(undisturbed.sql(sql).unwrap(), &mut whole);
    let mut stops = 0;
    for (number, &step) in steps.iter().enumerate() {
        let (before, after) = [(1, 2), (2, 1), (2, 5), (5, 2), (1, 1)][number % 5];
        let what = format!("{sql}\nstopped after {step} pulls, {before} -> {after} partitions");
        let first = engine(before, 16);
        define(&first);
        let mut query = first.sql(sql).unwrap();
        let mut answer = Answer::new();
        for _ in 0..step {
            if let Some(rows) = query.next_rows().unwrap() {
                fold(&mut answer, &rows);
            }
        }
        let snapshot = match query.snapshot() {
            Ok(snapshot) => snapshot,
            Err(error) => {
                assert!(error.to_string().contains("has come to its end"), "{what}: {error}");
                continue;
            }
        };
        stops += 1;
        query.take_waiting().iter().for_each(|rows| fold(&mut answer, rows));
        drop(query);
        let second = engine(after, 16);
        define(&second);
        let query = second.resume(sql, &snapshot).unwrap_or_else(|e| panic!("{what}: {e}"));
        finish(query, &mut answer);
        check(&answer, &whole, &what);
    }
    stops
}

fn rows(count: usize) -> RecordBatch {
    batch(&mut StdRng::seed_from_u64(7), count, &mut 0)
}

#[test]
fn tables_in_memory_go_on_from_every_step() {
    let rows = rows(3000);
    let define =
        |engine: &Engine| engine.register_batches("t", vec![rows.slice(0, 1000), rows.slice(1000, 2000)]).unwrap();
    let mut stops = 0;
    for sql in QUERIES.iter().filter(|sql| !sql.contains("STRING_AGG")) {
        stops += stop_everywhere(&define, sql, &[0, 1, 9, 33, 90]);
    }
    assert!(stops > 10, "queries were stopped: {stops}");
    for sql in ["SELECT k, n FROM t ORDER BY k, n LIMIT 30", "SELECT k FROM t LIMIT 700", "SELECT k FROM t OFFSET 2500"]
    {
        stop_everywhere(&define, sql, &[0, 1, 9, 33, 90]);
    }
}

#[test]
fn files_go_on_where_they_stood() {
    let folder = tempfile::tempdir().unwrap();
    let rows = rows(20_000);
    let path = |name: &str| folder.path().join(name).display().to_string();
    for name in ["a.csv", "a.ndjson", "a.parquet", "a.arrow", "a.avro", "a.csv.gz"] {
        let writer = engine(1, 1000);
        writer.register_batches("rows", vec![rows.clone()]).unwrap();
        writer.execute(&format!("INSERT INTO '{}' SELECT * FROM rows", path(name))).unwrap();
    }
    for name in ["a.csv", "a.ndjson", "a.parquet", "a.arrow", "a.avro", "a.csv.gz"] {
        let define = |engine: &Engine| {
            let definition = format!(
                "CREATE TABLE t (k TEXT, n BIGINT, at TIMESTAMP(3), WATERMARK FOR at AS at) WITH ('path' = '{}')",
                path(name)
            );
            drop(engine.execute(&definition).unwrap());
        };
        for sql in [QUERIES[0], QUERIES[1]] {
            let stops = stop_everywhere(&define, sql, &[0, 100, 800]);
            assert!(stops > 0, "{name}: {sql}: nothing was stopped");
        }
    }
}

/// A reader of row groups may leave rows out by itself: where a snapshot is taken they are all counted.
#[test]
fn row_groups_of_which_few_rows_pass_go_on_where_they_stood() {
    const SQL: &str = "SELECT k, n, at FROM t WHERE n = 5";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let rows = rows(24_000);
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(4000)).build();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    let engine = |partitions: usize, snapshots: bool| {
        let engine = Engine::new(Config { partitions, batch_rows: 16, snapshots, ..Config::default() });
        engine.execute(&format!("CREATE TABLE t WITH ('path' = '{}')", path.display())).unwrap();
        engine
    };
    let mut whole = Answer::new();
    finish(engine(2, false).sql(SQL).unwrap(), &mut whole);
    let mut stops = 0;
    for (step, before, after) in [(1, 1, 2), (40, 1, 1), (80, 2, 1), (150, 1, 3), (200, 2, 2)] {
        let mut query = engine(before, true).sql(SQL).unwrap();
        let mut answer = Answer::new();
        for _ in 0..step {
            if let Some(rows) = query.next_rows().unwrap() {
                fold(&mut answer, &rows);
            }
        }
        let Ok(snapshot) = query.snapshot() else { continue };
        query.take_waiting().iter().for_each(|rows| fold(&mut answer, rows));
        drop(query);
        finish(engine(after, false).resume(SQL, &snapshot).unwrap(), &mut answer);
        check(&answer, &whole, &format!("stopped after {step} pulls, {before} -> {after} partitions"));
        stops += 1;
    }
    assert!(stops > 2, "queries were stopped: {stops}");
    let error = engine(1, false).sql(SQL).unwrap().snapshot().unwrap_err().to_string();
    assert!(error.contains("Config::snapshots"), "{error}");
}

/// A partition whose values are all NULL has passed rows and keeps none of them.
#[test]
fn partitions_without_values_are_swept_after_a_restart() {
    let rows = |rows: &[(&str, Option<i64>, i64)]| {
        let keys: StringArray = rows.iter().map(|(key, _, _)| Some(*key)).collect();
        let numbers: Int64Array = rows.iter().map(|(_, number, _)| *number).collect();
        let times = TimestampMillisecondArray::from_iter_values(rows.iter().map(|(_, _, at)| *at));
        let columns: [(&str, ArrayRef); 3] = [("k", Arc::new(keys)), ("n", Arc::new(numbers)), ("at", Arc::new(times))];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    };
    let before = rows(&[("a", Some(1), 100_000), ("b", None, 101_000), ("c", None, 101_500), ("a", Some(2), 104_000)]);
    // The first watermark after the restart lets no row go.
    let after = rows(&[("a", Some(3), 104_500), ("c", Some(4), 105_000), ("b", Some(5), 130_000)]);
    let window = "PARTITION BY k ORDER BY at RANGE BETWEEN INTERVAL '10' SECOND PRECEDING AND CURRENT ROW";
    let sql = format!("SELECT k, n, SUM(n) OVER w, MIN(n) OVER w FROM t WINDOW w AS ({window})");
    let started = |engine: &Engine| {
        engine.execute(DEFINITION).unwrap();
        engine.register_push("t", before.schema()).unwrap()
    };
    let first = engine(1, 16);
    let handle = started(&first);
    let (mut query, mut answer) = (first.sql(&sql).unwrap(), Answer::new());
    handle.push(before.clone()).unwrap();
    settle(&handle, 4, &mut query, &mut answer, &sql);
    let snapshot = query.snapshot().unwrap();
    query.take_waiting().iter().for_each(|rows| fold(&mut answer, rows));
    drop(query);
    let second = engine(1, 16);
    let handle = started(&second);
    let mut query = second.resume(&sql, &snapshot).unwrap();
    for row in 0..3 {
        handle.push(after.slice(row, 1)).unwrap();
        settle(&handle, 5 + row, &mut query, &mut answer, &sql);
    }
    drop(handle);
    finish(query, &mut answer);
    let mut found: Vec<String> = answer.into_keys().collect();
    found.sort_unstable();
    let expected = ["a 1 1 1", "a 2 3 1", "a 3 6 1", "b 5 5 5", "b NULL NULL NULL", "c 4 4 4", "c NULL NULL NULL"];
    assert_eq!(found, expected);
}

/// Batches pulled before a generated table's query is stopped.
const STEPS: &[usize] = &[0, 3, 40, 300];

#[test]
fn generators_go_on_where_they_stood() {
    let nexmark = |engine: &Engine| {
        drop(
            engine
                .execute("CREATE TABLE bids WITH ('connector' = 'nexmark', 'type' = 'bid', 'events' = '20000')")
                .unwrap(),
        );
    };
    assert!(
        stop_everywhere(
            &nexmark,
            "SELECT auction, COUNT(*), SUM(price) FROM bids GROUP BY auction EMIT CHANGES",
            STEPS
        ) > 0
    );
    let datagen = |engine: &Engine| {
        let definition = "CREATE TABLE g (id BIGINT, v INT) WITH ('connector' = 'datagen', 'rows' = '20000', \
                          'fields.id.kind' = 'sequence', 'fields.v.min' = '1', 'fields.v.max' = '9')";
        drop(engine.execute(definition).unwrap());
    };
    assert!(stop_everywhere(&datagen, "SELECT id, v FROM g WHERE v > 3", STEPS) > 0);
}

/// Rows of keys 0 to 9, given and taken back.
fn changes(random: &mut StdRng, rows: usize) -> (RecordBatch, Vec<Change>) {
    let keys = Int64Array::from_iter_values((0..rows).map(|_| random.random_range(0..10)));
    let values = Int64Array::from_iter_values((0..rows).map(|_| random.random_range(0..5)));
    let change = |_| if random.random_bool(0.2) { Change::DELETE } else { Change::INSERT };
    let changes = (0..rows).map(change).collect();
    let columns: [(&str, ArrayRef); 2] = [("id", Arc::new(keys)), ("v", Arc::new(values))];
    (RecordBatch::try_from_iter(columns).unwrap(), changes)
}

#[test]
fn upserts_go_on_from_every_step() {
    let queries = [
        "SELECT * FROM u EMIT CHANGES",
        "SELECT v, COUNT(*), MIN(id), MAX(id), ARRAY_AGG(id) FROM u GROUP BY v EMIT CHANGES",
        "SELECT COUNT(*), SUM(v), COUNT(DISTINCT v) FROM u EMIT CHANGES",
    ];
    let pushed = |engine: &Engine, schema: SchemaRef| {
        engine.execute("CREATE TABLE u (id BIGINT NOT NULL, v BIGINT NOT NULL, PRIMARY KEY (id))").unwrap();
        engine.register_push_changes("u", schema, Changelog::Upsert).unwrap()
    };
    for sql in queries {
        let mut random = StdRng::seed_from_u64(3);
        let batches: Vec<_> = (0..6).map(|_| changes(&mut random, 30)).collect();
        let whole = {
            let engine = engine(2, 16);
            let handle = pushed(&engine, batches[0].0.schema());
            let query = engine.sql(sql).unwrap();
            batches.iter().for_each(|(rows, changes)| handle.push_changes(rows.clone(), changes).unwrap());
            drop(handle);
            let mut answer = Answer::new();
            finish(query, &mut answer);
            answer
        };
        for stop in 0..=batches.len() {
            let (before, after) = [(1, 2), (2, 1), (2, 5), (5, 2), (1, 1)][stop % 5];
            let what = format!("{sql}\nstopped after {stop} batches, {before} -> {after} partitions");
            let first = engine(before, 16);
            let handle = pushed(&first, batches[0].0.schema());
            let mut query = first.sql(sql).unwrap();
            batches[..stop].iter().for_each(|(rows, changes)| handle.push_changes(rows.clone(), changes).unwrap());
            let mut answer = Answer::new();
            settle(&handle, stop * 30, &mut query, &mut answer, &what);
            let snapshot = query.snapshot().unwrap();
            query.take_waiting().iter().for_each(|rows| fold(&mut answer, rows));
            drop(query);
            let second = engine(after, 16);
            let handle = pushed(&second, batches[0].0.schema());
            let query = second.resume(sql, &snapshot).unwrap();
            batches[stop..].iter().for_each(|(rows, changes)| handle.push_changes(rows.clone(), changes).unwrap());
            drop(handle);
            finish(query, &mut answer);
            check(&answer, &whole, &what);
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let rows = rows(4000);
    let define = |engine: &Engine| engine.register_batches("t", vec![rows.clone()]).unwrap();
    let first = engine(2, 16);
    define(&first);
    let mut query = first.sql("SELECT k, n FROM t WHERE n > 0").unwrap();
    let snapshot = query.snapshot().unwrap();
    let refused = |sql: &str| {
        let other = engine(2, 16);
        define(&other);
        other.resume(sql, &snapshot).err().expect("refused").to_string()
    };
    let message = refused("SELECT k, n FROM t WHERE n > 1");
    assert!(message.starts_with("the snapshot was taken of another query: there it has 'Filter: (n > 0)"), "{message}");
    let message = refused("CREATE VIEW v AS SELECT 1");
    assert!(message.starts_with("the last statement gives no rows"), "{message}");
    let mut bytes = snapshot.to_bytes().unwrap();
    bytes[8] = 77;
    let message = Snapshot::from_bytes(&bytes).err().expect("refused").to_string();
    assert!(message.starts_with("the snapshot was written in version 77 of its format"), "{message}");
    let fewer = engine(1, 16);
    fewer.register_batches("t", vec![rows.slice(0, 1)]).unwrap();
    if snapshot.positions()[0].1[0] > 1 {
        let message = fewer.resume("SELECT k, n FROM t WHERE n > 0", &snapshot).err().expect("refused").to_string();
        assert!(message.contains("the source has fewer rows now"), "{message}");
    }
}
