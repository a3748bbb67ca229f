//! Queries as their owners hold them: cancelled, dropped, failing beside others, fed by hand, out of memory.
//!
//! Nothing here waits for a certain time: a query that does not come to its end hangs the test.
#![allow(clippy::unwrap_used, clippy::err_expect, reason = "a failed unwrap in a test is a failed test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use millstream::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMillisecondArray};
use millstream::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use millstream::batch::Batch;
use millstream::config::Config;
use millstream::engine::Engine;
use millstream::pipeline::{Morsel, Progress, Reader, Scan, ScanRequest, Table, Take};
use millstream::query::Query;
use millstream::stream::source::push::{Capacity, PushHandle, TryPush, channel, channels};
use millstream::{Kind, Result};

fn engine(partitions: usize) -> Engine {
    Engine::new(Config { batch_rows: 100, partitions, ..Config::default() })
}

/// An endless table: a row per millisecond of event time, as fast as they can be had.
fn endless(engine: &Engine) {
    engine
        .execute(
            "CREATE TABLE g (id BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) \
             WITH ('connector' = 'datagen', 'rate' = '1000', 'fields.id.kind' = 'sequence')",
        )
        .unwrap();
}

const PER_SECOND: &str = "SELECT window_start, count(*) AS n FROM TUMBLE(TABLE g, DESCRIPTOR(ts), INTERVAL '1' SECOND) \
                          GROUP BY window_start, window_end";

fn integers(batch: &RecordBatch, column: usize) -> Vec<i64> {
    batch.column(column).as_primitive::<Int64Type>().values().to_vec()
}

/// Integers of a column of all that still comes.
fn rest(query: &mut Query, column: usize) -> Vec<i64> {
    let mut all = Vec::new();
    while let Some(rows) = query.next_rows().unwrap() {
        all.extend(integers(&rows.batch, column));
    }
    all
}

#[test]
fn a_cancelled_query_flushes_what_is_complete_and_nothing_else() {
    for partitions in [1, 2, 5] {
        let engine = engine(partitions);
        endless(&engine);
        let mut query = engine.sql(PER_SECOND).unwrap();
        let first = query.next_rows().unwrap().expect("an endless query gives rows");
        query.cancel();
        query.cancel();
        let mut counts = integers(&first.batch, 1);
        counts.extend(rest(&mut query, 1));
        // A window that was cut off by the end would have fewer rows.
        assert!(counts.iter().all(|count| *count == 1000), "{partitions} partitions: {counts:?}");
        assert!(query.next_rows().unwrap().is_none(), "the end stays the end");
        let metrics = query.metrics();
        assert!(metrics.rows_in >= counts.len() as u64 * 1000 && metrics.late_rows == 0);
        assert_eq!(metrics.rows_out, counts.len() as u64);
        query.cancel();
    }
}

#[test]
fn cancelling_before_the_first_row_or_after_the_last_is_fine() {
    let engine = engine(2);
    endless(&engine);
    for sql in [PER_SECOND, "SELECT count(*) FROM g EMIT CHANGES", "SELECT id FROM g", "SELECT id FROM g ORDER BY id"] {
        let Ok(query) = engine.sql(sql) else { continue };
        query.cancel();
        query.drain().unwrap();
    }
    let query = engine.sql("SELECT 1 AS one").unwrap();
    query.drain().unwrap();
}

#[test]
fn dropping_a_query_ends_it() {
    for partitions in [1, 2] {
        let engine = engine(partitions);
        endless(&engine);
        drop(engine.sql(PER_SECOND).unwrap());
        let mut query = engine.sql("SELECT id FROM g WHERE id % 7 = 3").unwrap();
        query.next_rows().unwrap().expect("a row");
        drop(query);
        // Full channels hold nobody up either.
        let query = engine.sql("SELECT id FROM g").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        drop(query);
    }
}

#[test]
fn one_failing_query_leaves_the_others_alone() {
    let engine = engine(2);
    endless(&engine);
    let mut going = engine.sql("SELECT id FROM g").unwrap();
    going.next_rows().unwrap().expect("rows");
    let error = engine.sql("SELECT 1 / (id - 5000) AS q FROM g").unwrap().drain().err().expect("a division by zero");
    assert_eq!(error.kind(), Kind::User, "{error}");
    assert!(error.to_string().contains("division by zero"), "{error}");
    for _ in 0..50 {
        going.next_rows().unwrap().expect("the other query goes on");
    }
    going.cancel();
    going.drain().unwrap();
}

#[test]
fn an_error_comes_out_once_behind_the_rows_before_it() {
    let engine = Engine::new(Config { batch_rows: 10, partitions: 1, ..Config::default() });
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
    engine.register_batches("t", vec![RecordBatch::try_from_iter([("n", numbers)]).unwrap()]).unwrap();
    let mut query = engine.sql("SELECT 10 / (n - 50) AS q FROM t").unwrap();
    let mut rows = 0;
    let error = loop {
        match query.next_rows() {
            Ok(Some(given)) => rows += given.batch.num_rows(),
            Ok(None) => panic!("a division by zero ends in an error"),
            Err(error) => break error,
        }
    };
    assert_eq!((rows, error.kind()), (50, Kind::User));
    assert!(query.next_rows().unwrap().is_none());
}

/// A table whose reader panics when it has given some batches.
#[derive(Debug)]
struct Trap {
    batches: usize,
    /// Where: in a reader, or when work is handed out.
    in_take: bool,
}

struct TrapScan {
    left: AtomicUsize,
    in_take: bool,
    progress: Progress,
}

struct TrapReader(usize);

impl Table for Trap {
    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]))
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        "trap".to_string()
    }

    fn open(&self, _request: &ScanRequest) -> Result<Arc<dyn Scan>> {
        Ok(Arc::new(TrapScan {
            left: AtomicUsize::new(self.batches),
            in_take: self.in_take,
            progress: Progress::default(),
        }))
    }
}

impl Scan for TrapScan {
    fn take(&self) -> Result<Take> {
        let left = self.left.swap(0, Ordering::Relaxed);
        assert!(left > 0 || !self.in_take, "the trap snaps");
        let reader = Box::new(TrapReader(left));
        Ok(if left == 0 {
            Take::End
        } else {
            Take::Morsel(Morsel { partition: 0, sequence: 0, is_last: true, reader })
        })
    }

    fn source_partitions(&self) -> usize {
        1
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }
}

impl Reader for TrapReader {
    fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        assert!(self.0 > 0, "the trap snaps");
        self.0 -= 1;
        *batch = Batch::from_arrays(vec![Arc::new(Int64Array::from(vec![1, 2, 3]))], 3);
        Ok(true)
    }
}

#[test]
fn a_panicking_table_fails_its_query_only() {
    std::panic::set_hook(Box::new(|_| {}));
    for partitions in [1, 2, 5] {
        for in_take in [false, true] {
            let engine = engine(partitions);
            endless(&engine);
            engine.register_table("trap", Arc::new(Trap { batches: 3, in_take })).unwrap();
            let mut going = engine.sql("SELECT id FROM g").unwrap();
            for sql in [
                "SELECT n FROM trap",
                "SELECT n, count(*) FROM trap GROUP BY n",
                "SELECT sum(n) FROM trap EMIT CHANGES",
            ] {
                let error = engine.sql(sql).and_then(Query::drain).err().expect("the table panics");
                assert_eq!(error.kind(), Kind::Bug, "{sql}: {error}");
                assert!(in_take || error.to_string().contains("the trap snaps"), "{sql}: {error}");
                going.next_rows().unwrap().expect("the other query goes on");
            }
        }
    }
    let _ = std::panic::take_hook();
}

#[test]
fn engines_share_nothing() {
    let small = Engine::new(Config { memory_bytes: Some(100_000), partitions: 1, ..Config::default() });
    let large = engine(2);
    for (engine, rows) in [(&small, 10i64), (&large, 100_000)] {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        engine.register_batches("t", vec![RecordBatch::try_from_iter([("n", numbers)]).unwrap()]).unwrap();
    }
    let groups = |engine: &Engine| {
        let mut query = engine.sql("SELECT n, count(*) FROM t GROUP BY n").unwrap();
        rest(&mut query, 0).len()
    };
    let other = std::thread::spawn(move || groups(&large));
    assert_eq!(groups(&small), 10);
    assert_eq!(other.join().unwrap(), 100_000);
    assert!(small.sql("SELECT id FROM g").is_err());
}

#[test]
fn a_query_over_its_memory_fails_and_the_engine_lives_on() {
    for partitions in [1, 2] {
        let engine = Engine::new(Config { memory_bytes: Some(400_000), partitions, ..Config::default() });
        endless(&engine);
        for sql in [
            "SELECT id, count(*) FROM g GROUP BY id EMIT CHANGES",
            "SELECT id, window_start, count(*) FROM TUMBLE(TABLE g, DESCRIPTOR(ts), INTERVAL '1' DAY) \
             GROUP BY id, window_start, window_end",
            "SELECT count(DISTINCT id) FROM g EMIT CHANGES",
        ] {
            let error = engine.sql(sql).and_then(Query::drain).err().expect("the state grows without end");
            assert_eq!(error.kind(), Kind::User, "{sql}: {error}");
            let text = error.to_string();
            assert!(text.contains("aggregate holds") && text.contains("of 400000"), "{sql}: {text}");
            // What the failed query held has been given back.
            let mut query = engine
                .sql("SELECT id % 10 AS k, count(*) FROM (SELECT id FROM g LIMIT 1000) AS few GROUP BY id % 10")
                .unwrap();
            assert_eq!(rest(&mut query, 1), [100; 10]);
        }
    }
}

#[test]
fn a_recursion_over_its_memory_fails() {
    let engine = Engine::new(Config { memory_bytes: Some(400_000), partitions: 1, ..Config::default() });
    for union in ["UNION ALL", "UNION"] {
        let sql = |most: i64| {
            format!(
                "WITH RECURSIVE r AS (SELECT 1 AS n, 'twice as long' AS s {union} SELECT n + 1, s || s FROM r WHERE n < {most}) \
                 SELECT count(*) AS n FROM r WHERE length(s) > 0"
            )
        };
        let error = engine.sql(&sql(30)).and_then(Query::drain).err().expect("each row is twice as long");
        assert_eq!(error.kind(), Kind::User, "{union}: {error}");
        let text = error.to_string();
        assert!(text.contains("WITH RECURSIVE r holds") && text.contains("of 400000"), "{union}: {text}");
        // What it held has been given back.
        let mut query = engine.sql(&sql(8)).unwrap();
        assert_eq!(rest(&mut query, 0), [8]);
    }
}

fn pushed_schema() -> SchemaRef {
    let timestamp = DataType::Timestamp(TimeUnit::Millisecond, None);
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true), Field::new("ts", timestamp, true)]))
}

fn pushed(seconds: impl IntoIterator<Item = i64> + Clone) -> RecordBatch {
    let numbers = Arc::new(Int64Array::from_iter_values(seconds.clone()));
    let times = Arc::new(TimestampMillisecondArray::from_iter_values(seconds.into_iter().map(|second| second * 1000)));
    RecordBatch::try_new(pushed_schema(), vec![numbers, times]).unwrap()
}

fn push_table(engine: &Engine, rows: usize) -> PushHandle {
    engine.execute("CREATE TABLE p (n BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)").unwrap();
    let (handle, table) = channel(pushed_schema(), Capacity { rows, bytes: usize::MAX });
    engine.register_table("p", Arc::new(table)).unwrap();
    handle
}

const PER_MINUTE: &str = "SELECT count(*) AS n FROM TUMBLE(TABLE p, DESCRIPTOR(ts), INTERVAL '1' MINUTE) \
                          GROUP BY window_start, window_end";

#[test]
fn pushed_rows_come_out_when_their_window_closes() {
    for partitions in [1, 2, 5] {
        let engine = engine(partitions);
        let handle = push_table(&engine, 1000);
        let mut query = engine.sql(PER_MINUTE).unwrap();
        handle.push(pushed(0..30)).unwrap();
        handle.push(pushed(30..61)).unwrap();
        // The window is closed by the row after it, while the table is still open.
        let rows = query.next_rows().unwrap().expect("a window");
        assert_eq!(integers(&rows.batch, 0), [60], "{partitions} partitions");
        handle.push(pushed(61..70)).unwrap();
        handle.close();
        assert!(matches!(handle.try_push(pushed(0..1)), Err(TryPush::Closed)));
        assert_eq!(rest(&mut query, 0), [10], "{partitions} partitions");
    }
}

#[test]
fn dropping_the_handle_closes_the_table() {
    let engine = engine(2);
    let handle = push_table(&engine, 1000);
    handle.push(pushed(0..10)).unwrap();
    drop(handle);
    assert_eq!(rest(&mut engine.sql(PER_MINUTE).unwrap(), 0), [10]);
}

#[test]
fn a_full_table_holds_its_producer_back_and_loses_nothing() {
    for partitions in [1, 2] {
        let engine = engine(partitions);
        let handle = push_table(&engine, 50);
        handle.try_push(pushed(0..60)).unwrap();
        let Err(TryPush::Full(back)) = handle.try_push(pushed(60..120)) else { panic!("the table is full") };
        let mut query = engine.sql("SELECT n FROM p").unwrap();
        let producer = std::thread::spawn(move || {
            handle.push(back).unwrap();
            (2..100).for_each(|minute| handle.push(pushed(minute * 60..minute * 60 + 60)).unwrap());
        });
        let mut numbers = rest(&mut query, 0);
        producer.join().unwrap();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..6000), "{partitions} partitions");
    }
}

#[test]
fn a_producer_learns_that_its_query_is_gone() {
    let engine = engine(1);
    let handle = push_table(&engine, 10);
    let query = engine.sql("SELECT n FROM p").unwrap();
    drop(query);
    assert!(matches!(handle.push(pushed(0..1)), Err(TryPush::Closed)));
}

/// Two handles are two source partitions: the slower one holds windows open, and closing it lets them go.
#[test]
fn the_slowest_handle_holds_windows_open() {
    for partitions in [1, 2, 5] {
        let engine = engine(partitions);
        engine.execute("CREATE TABLE p (n BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)").unwrap();
        let (mut handles, table) = channels(pushed_schema(), 2, Capacity::default());
        engine.register_table("p", Arc::new(table)).unwrap();
        let mut query = engine.sql(PER_MINUTE).unwrap();
        handles[0].push(pushed(0..200)).unwrap();
        handles[1].push(pushed(0..30)).unwrap();
        handles[1].push(pushed(30..60)).unwrap();
        // These are in time in their own partition, whatever the other has come to.
        drop(handles.pop());
        let rows = query.next_rows().unwrap().expect("a window");
        assert_eq!(integers(&rows.batch, 0)[0], 120, "{partitions} partitions");
        drop(handles);
        let metrics = {
            query.cancel();
            query.drain().unwrap()
        };
        assert_eq!(metrics.late_rows, 0);
    }
}

#[test]
fn pushed_rows_wake_whoever_waits_for_them() {
    for partitions in [1, 2] {
        // Whoever looked around by himself would do so in an hour.
        let idle_sleep = std::time::Duration::from_secs(3600);
        let engine = Engine::new(Config { partitions, idle_sleep, ..Config::default() });
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let handle = engine.register_push("t", batch.schema()).unwrap();
        let mut query = engine.sql("SELECT n FROM t").unwrap();
        for _ in 0..50 {
            handle.push(batch.clone()).unwrap();
            assert_eq!(query.next_rows().unwrap().expect("rows").batch.num_rows(), 10);
        }
        handle.close();
        assert!(query.next_rows().unwrap().is_none());
    }
}

/// A table whose reader waits for the outside until it is let go.
#[derive(Debug)]
struct Stuck(Arc<std::sync::Mutex<()>>);

impl Table for Stuck {
    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]))
    }

    fn is_bounded(&self) -> bool {
        false
    }

    fn describe(&self) -> String {
        "stuck".to_string()
    }

    fn open(&self, _: &ScanRequest) -> Result<Arc<dyn Scan>> {
        Ok(Arc::new(StuckScan(self.0.clone(), Progress::default())))
    }
}

struct StuckScan(Arc<std::sync::Mutex<()>>, Progress);

impl Scan for StuckScan {
    fn take(&self) -> Result<Take> {
        drop(self.0.lock().unwrap());
        Ok(Take::End)
    }

    fn source_partitions(&self) -> usize {
        1
    }

    fn progress(&self) -> &Progress {
        &self.1
    }
}

#[test]
fn a_dropped_query_is_not_held_by_a_reader_that_the_outside_holds() {
    let outside = Arc::new(std::sync::Mutex::new(()));
    let held = outside.lock().unwrap();
    let engine = engine(1);
    engine.register_table("t", Arc::new(Stuck(outside.clone()))).unwrap();
    let query = engine.sql("SELECT n FROM t").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    drop(query);
    drop(held);
}
