//! Views over pushed rows, from the program around the engine: shared scans, subscriptions, one point for all.
#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use millstream::arrow::array::{
    ArrayRef, AsArray, BinaryViewArray, Int64Array, RecordBatch, TimestampMillisecondArray,
};
use millstream::arrow::datatypes::Int64Type;
use millstream::batch::Change;
use millstream::config::Config;
use millstream::engine::Engine;
use millstream::pipeline::SystemColumn;
use millstream::stream::source::push::{Capacity, channels};

fn engine(partitions: usize) -> Engine {
    Engine::new(Config { partitions, batch_rows: 64, ..Config::default() })
}

fn batch(from: i64, rows: i64) -> RecordBatch {
    let keys = Int64Array::from_iter_values((from..from + rows).map(|row| row % 10));
    let values = Int64Array::from_iter_values(from..from + rows);
    let columns: [(&str, ArrayRef); 2] = [("k", Arc::new(keys)), ("v", Arc::new(values))];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn numbers(engine: &Engine, sql: &str) -> Vec<Vec<i64>> {
    let batches = engine.sql(sql).unwrap().collect().unwrap();
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch.columns().iter().map(|column| column.as_primitive::<Int64Type>()).collect();
        rows.extend(
            (0..batch.num_rows()).map(|row| columns.iter().map(|column| column.value(row)).collect::<Vec<_>>()),
        );
    }
    rows.sort();
    rows
}

#[test]
fn views_share_the_scan_of_a_pushed_table_and_are_read_at_one_point() {
    for partitions in [1, 2, 5] {
        let engine = engine(partitions);
        let handle = engine.register_push("t", batch(0, 0).schema()).unwrap();
        engine
            .execute("CREATE MATERIALIZED VIEW by_key AS SELECT k, COUNT(*) AS c, SUM(v) AS s FROM t GROUP BY k")
            .unwrap();
        engine.execute("CREATE MATERIALIZED VIEW whole AS SELECT COUNT(*) AS c, SUM(v) AS s FROM t").unwrap();
        engine.execute("CREATE MATERIALIZED VIEW above AS SELECT COUNT(*) AS keys, SUM(c) AS c FROM by_key").unwrap();
        for step in 0..20 {
            handle.push(batch(step * 100, 100)).unwrap();
            let rows = (step + 1) * 100;
            assert_eq!(numbers(&engine, "SELECT c, s FROM whole"), [[rows, rows * (rows - 1) / 2]]);
            assert_eq!(numbers(&engine, "SELECT keys, c FROM above"), [[10, rows]]);
            assert_eq!(numbers(&engine, "SELECT SUM(c) AS c FROM by_key"), [[rows]]);
        }
        // Whatever is read together adds up, while rows come in.
        let stop = Arc::new(AtomicBool::new(false));
        let pushing = {
            let stop = stop.clone();
            std::thread::spawn(move || {
                let mut step = 20;
                while !stop.load(Ordering::Relaxed) {
                    handle.push(batch(step * 100, 100)).unwrap();
                    step += 1;
                    std::thread::sleep(Duration::from_millis(1));
                }
                step * 100
            })
        };
        let sql = "SELECT SUM(c) AS c, SUM(s) AS s FROM \
                   (SELECT c, s FROM by_key UNION ALL SELECT -c, -s FROM whole) AS u";
        for _ in 0..20 {
            assert_eq!(numbers(&engine, sql), [[0, 0]], "{partitions} partitions");
        }
        stop.store(true, Ordering::Relaxed);
        let rows = pushing.join().unwrap();
        assert_eq!(numbers(&engine, "SELECT c FROM whole"), [[rows]]);
        assert!(engine.execute("DROP MATERIALIZED VIEW by_key").is_err());
        engine.execute("DROP MATERIALIZED VIEW by_key CASCADE").unwrap();
        engine.execute("DROP MATERIALIZED VIEW whole").unwrap();
    }
}

#[test]
fn input_that_ends_has_been_read_when_a_view_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("names.csv");
    let lines: String = (0..100_000).map(|row| format!("{},{}\n", row % 10, row)).collect();
    std::fs::write(&path, format!("k,n\n{lines}")).unwrap();
    for partitions in [1, 2, 5] {
        let engine = engine(partitions);
        let handle = engine.register_push("t", batch(0, 0).schema()).unwrap();
        handle.push(batch(0, 10)).unwrap();
        let file = path.display();
        for (name, sql) in [
            ("whole", format!("SELECT COUNT(*) AS c, SUM(n) AS s FROM '{file}'")),
            ("pairs", format!("SELECT COUNT(*) AS c, SUM(n) AS s FROM t JOIN '{file}' AS f ON t.k = f.k")),
        ] {
            engine.execute(&format!("CREATE MATERIALIZED VIEW {name} AS {sql}")).unwrap();
            assert_eq!(
                numbers(&engine, &format!("SELECT c, s FROM {name}")),
                [[100_000, 4_999_950_000]],
                "{name}, {partitions} partitions"
            );
        }
    }
}

#[test]
fn subscribers_get_what_is_there_and_every_change() {
    let engine = engine(2);
    engine.execute("CREATE TABLE t (k BIGINT, v BIGINT) WITH ('connector' = 'memory')").unwrap();
    engine.execute("CREATE MATERIALIZED VIEW sums AS SELECT k, SUM(v) AS s FROM t GROUP BY k").unwrap();
    let writer = engine.writer("t").unwrap();
    writer.write(&batch(0, 50), None).unwrap();
    let seen: Arc<Mutex<BTreeMap<(i64, i64), i64>>> = Arc::default();
    let running = {
        let seen = seen.clone();
        engine
            .subscribe(
                "sums",
                Box::new(move |rows, changes| {
                    let (keys, sums) =
                        (rows.column(0).as_primitive::<Int64Type>(), rows.column(1).as_primitive::<Int64Type>());
                    let mut seen = seen.lock().unwrap();
                    for row in 0..rows.num_rows() {
                        let weight = changes.as_ref().map_or(1, |changes| changes[row].weight());
                        let count = seen.entry((keys.value(row), sums.value(row))).or_default();
                        *count += weight;
                        if *count == 0 {
                            seen.remove(&(keys.value(row), sums.value(row)));
                        }
                    }
                    Ok(())
                }),
            )
            .unwrap()
    };
    writer.write(&batch(50, 50), None).unwrap();
    writer.write(&batch(0, 30), Some(&[Change::DELETE; 30])).unwrap();
    let expected: Vec<Vec<i64>> = numbers(&engine, "SELECT k, s FROM sums");
    let started = Instant::now();
    loop {
        let seen: Vec<Vec<i64>> = seen.lock().unwrap().keys().map(|(key, sum)| vec![*key, *sum]).collect();
        if seen == expected {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{seen:?} {expected:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(running);
    // The same by SQL, pulled.
    let mut query = engine.sql("SUBSCRIBE sums").unwrap();
    assert!(query.is_updating());
    let mut rows = 0;
    while rows < 10 {
        rows += query.next_rows().unwrap().unwrap().batch.num_rows();
    }
    query.cancel();
}

/// Seconds as times, each with a value.
fn timed(rows: &[(i64, i64)]) -> RecordBatch {
    let at = TimestampMillisecondArray::from_iter_values(rows.iter().map(|(second, _)| second * 1000));
    let values = Int64Array::from_iter_values(rows.iter().map(|(_, value)| *value));
    let columns: [(&str, ArrayRef); 2] = [("at", Arc::new(at)), ("v", Arc::new(values))];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

/// Handles are source partitions of a view too: each has its own watermark, and one that is closed holds none up.
#[test]
fn views_keep_the_watermarks_of_source_partitions_apart() {
    for workers in [1, 3] {
        let engine = engine(workers);
        let (mut handles, table) = channels(timed(&[]).schema(), 2, Capacity::default());
        engine.execute("CREATE TABLE t (at TIMESTAMP(3), v BIGINT, WATERMARK FOR at AS at)").unwrap();
        engine.register_table("t", Arc::new(table)).unwrap();
        let sql = "SELECT CAST(date_part('second', window_start) AS BIGINT) AS s, SUM(v) AS v FROM t WINDOW TUMBLING(10s) EMIT FINAL";
        engine.execute(&format!("CREATE MATERIALIZED VIEW w AS {sql}")).unwrap();
        engine
            .execute("CREATE MATERIALIZED VIEW p AS SELECT _partition, COUNT(*) AS c FROM t GROUP BY _partition")
            .unwrap();
        let (first, second) = (handles.remove(0), handles.remove(0));
        first.push(timed(&[(1, 1), (25, 2)])).unwrap();
        assert_eq!(numbers(&engine, "SELECT s, v FROM w"), Vec::<Vec<i64>>::new());
        // Far behind the first, and not late.
        second.push(timed(&[(2, 4), (11, 8), (12, 16)])).unwrap();
        assert_eq!(numbers(&engine, "SELECT s, v FROM w"), [[0, 5]], "{workers} workers");
        drop(second);
        let until = Instant::now() + Duration::from_secs(20);
        while numbers(&engine, "SELECT s, v FROM w").len() < 2 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(numbers(&engine, "SELECT s, v FROM w"), [[0, 5], [10, 24]], "{workers} workers");
        assert_eq!(numbers(&engine, "SELECT CAST(_partition AS BIGINT) AS p, c FROM p"), [[0, 2], [1, 3]]);
        drop(first);
    }
}

#[test]
fn views_read_what_was_pushed_beside_the_rows() {
    let engine = engine(2);
    let handle = engine.register_push_with("t", batch(0, 0).schema(), &[SystemColumn::Key]).unwrap();
    engine.execute("CREATE MATERIALIZED VIEW plain AS SELECT COUNT(*) AS c FROM t").unwrap();
    engine
        .execute("CREATE MATERIALIZED VIEW keys AS SELECT CAST(CAST(_key AS TEXT) AS BIGINT) AS key, _offset, v FROM t WHERE v > 1")
        .unwrap();
    let push = |from: i64, rows: i64| {
        let rows = batch(from, rows);
        let keys =
            BinaryViewArray::from_iter_values((0..rows.num_rows()).map(|row| (from + 100 + row as i64).to_string()));
        let columns = rows.columns().iter().cloned().chain([Arc::new(keys) as ArrayRef]);
        let named = ["k", "v", "key"].into_iter().zip(columns);
        handle.push(RecordBatch::try_from_iter(named).unwrap()).unwrap();
    };
    push(0, 3);
    push(3, 2);
    assert_eq!(numbers(&engine, "SELECT c FROM plain"), [[5]]);
    let expected = [[102, 2, 2], [103, 3, 3], [104, 4, 4]];
    assert_eq!(numbers(&engine, "SELECT key, _offset, v FROM keys"), expected);
    engine
        .execute("CREATE MATERIALIZED VIEW later AS SELECT CAST(CAST(_key AS TEXT) AS BIGINT) AS key, _offset FROM t")
        .unwrap();
    push(5, 1);
    assert_eq!(numbers(&engine, "SELECT key, _offset FROM later"), [[105, 5]]);
}
