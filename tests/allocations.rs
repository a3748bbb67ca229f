//! Steady state allocates nothing: twice the batches through the same windows make not one heap allocation more.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use arrow::array::{Float64Array, Int64Array, RecordBatch, StringViewArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use millstream::arrow;
use millstream::config::Config;
use millstream::engine::Engine;

/// Counts what the whole process allocates.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator with the arguments it came with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROWS: usize = 8192;
const WINDOWS: usize = 20;

/// `per_window` batches for each of the windows, keys and values the same in all of them.
fn batches(per_window: usize) -> Vec<RecordBatch> {
    let timestamp = DataType::Timestamp(TimeUnit::Millisecond, None);
    let fields =
        [("ts", timestamp), ("id", DataType::Int64), ("price", DataType::Float64), ("name", DataType::Utf8View)];
    let schema = Arc::new(Schema::new(fields.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec()));
    let batch = |(window, number): (usize, usize)| {
        let tick = |i: usize| window * 10_000 + (number * ROWS + i) * 10_000 / (per_window * ROWS);
        let ts = TimestampMillisecondArray::from_iter_values((0..ROWS).map(|i| tick(i) as i64));
        let key = Int64Array::from_iter_values((0..ROWS).map(|i| (i * 7 % 1000) as i64));
        let price: Float64Array = (0..ROWS).map(|i| (i % 50 != 0).then_some(i as f64)).collect();
        let name: StringViewArray =
            (0..ROWS).map(|i| Some(["short", "a name of more than twelve bytes"][i % 2])).collect();
        RecordBatch::try_new(schema.clone(), vec![Arc::new(ts), Arc::new(key), Arc::new(price), Arc::new(name)])
            .expect("the columns fit")
    };
    (0..WINDOWS).flat_map(|window| (0..per_window).map(move |number| (window, number))).map(batch).collect()
}

/// Heap allocations of a whole query, the second time over its table: the first time cuts the batches to size.
fn allocations(watermark: &str, sql: &str, per_window: usize) -> usize {
    let engine = Engine::new(Config { partitions: 1, ..Config::default() });
    engine
        .execute(&format!(
            "CREATE TABLE t (ts TIMESTAMP(3), id BIGINT, price DOUBLE, name VARCHAR, WATERMARK FOR ts AS {watermark})"
        ))
        .expect("a table");
    engine.register_batches("t", batches(per_window)).expect("its rows");
    let run = || {
        let before = ALLOCATIONS.load(Relaxed);
        let rows: usize = engine.sql(sql).expect("a query").map(|rows| rows.expect("rows").batch.num_rows()).sum();
        assert!(rows > 0, "the query gives rows");
        ALLOCATIONS.load(Relaxed) - before
    };
    run();
    run()
}

fn check(sql: &str) {
    check_with("ts", sql);
}

fn check_with(watermark: &str, sql: &str) {
    let (once, twice) = (allocations(watermark, sql, 10), allocations(watermark, sql, 20));
    let per_batch = (twice as f64 - once as f64) / (10 * WINDOWS) as f64;
    assert!(per_batch.abs() < 0.05, "{per_batch} allocations per batch: {once} for 10 a window, {twice} for 20\n{sql}");
}

// One test, so that nothing else allocates meanwhile.
#[test]
fn a_batch_allocates_nothing() {
    check(
        "SELECT id, window_start, count(*), sum(total) FROM TUMBLE(TABLE (SELECT ts, id, price * 2.0 + 1.0 AS total \
         FROM t WHERE price > 100.0), DESCRIPTOR(ts), INTERVAL '10' SECOND) GROUP BY id, window_start, window_end",
    );
    check("SELECT id, count(*), sum(price) FROM t WHERE price > 100.0 GROUP BY GROUPING SETS ((id), ())");
    check("SELECT name, count(*), min(price), max(price), avg(price) FROM t GROUP BY name");
    check(
        "SELECT id, window_end, count(*) FROM HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND) \
           GROUP BY id, window_start, window_end",
    );
    // Rows are marked in every batch, and late at the end of each window.
    let late = "ts + INTERVAL '1' SECOND";
    check_with(
        late,
        "SELECT id, window_start, count(*), sum(total) FROM TUMBLE(TABLE (SELECT ts, id, price * 2.0 + 1.0 AS total \
         FROM t WHERE price > 100.0), DESCRIPTOR(ts), INTERVAL '10' SECOND) GROUP BY id, window_start, window_end",
    );
    check_with(
        late,
        "SELECT id, window_end, count(*) FROM HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND) \
           GROUP BY id, window_start, window_end",
    );
}
