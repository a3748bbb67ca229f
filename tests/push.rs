//! Rows that are pushed in come once: whatever a query does with them, it reads its source once.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMillisecondArray};
use millstream::arrow::datatypes::Int64Type;
use millstream::batch::Change;
use millstream::config::Config;
use millstream::engine::Engine;

const BATCHES: i64 = 20;
const ROWS: i64 = 500;

fn batch(number: i64) -> RecordBatch {
    let rows = number * ROWS..(number + 1) * ROWS;
    let time = TimestampMillisecondArray::from_iter_values(rows.clone().map(|row| row * 10));
    let a: Int64Array = rows.clone().map(|row| (row % 11 != 0).then_some(row % 7)).collect();
    let b = Int64Array::from_iter_values(rows.clone().map(|row| row % 3));
    let n = Int64Array::from_iter_values(rows);
    let columns: [(&str, ArrayRef); 4] =
        [("at", Arc::new(time)), ("a", Arc::new(a)), ("b", Arc::new(b)), ("n", Arc::new(n))];
    RecordBatch::try_from_iter(columns).expect("the columns fit")
}

/// The rows of a query over pushed batches, as numbers, each with how often it came.
fn answer(sql: &str, partitions: usize) -> BTreeMap<Vec<Option<i64>>, usize> {
    let engine = Engine::new(Config { partitions, batch_rows: 300, ..Config::default() });
    engine
        .execute("CREATE TABLE t (at TIMESTAMP(3), a BIGINT, b BIGINT, n BIGINT, WATERMARK FOR at AS at)")
        .expect("a table");
    let handle = engine.register_push("t", batch(0).schema()).expect("a table to push into");
    let query = engine.sql(sql).expect("a query");
    let pushing = std::thread::spawn(move || {
        for number in 0..BATCHES {
            handle.push(batch(number)).expect("the query reads");
        }
        handle.close();
    });
    let mut rows = BTreeMap::new();
    for part in query {
        let part = part.expect("rows").batch;
        let columns: Vec<_> = part.columns().iter().map(|column| column.as_primitive::<Int64Type>()).collect();
        for row in 0..part.num_rows() {
            let cells = columns.iter().map(|column| column.is_valid(row).then(|| column.value(row))).collect();
            *rows.entry(cells).or_default() += 1;
        }
    }
    pushing.join().expect("all batches were pushed");
    rows
}

/// Window, grouping id, and the keys of a group.
type Set = (i64, i64, Option<i64>, Option<i64>);

/// Per window of five seconds, and per set: `sets` says which of (a, b) a set has, and the id that goes with it.
fn expected(window_ms: i64, sets: &[(bool, bool, i64)]) -> BTreeMap<Vec<Option<i64>>, usize> {
    let mut sums: BTreeMap<Set, (i64, i64)> = BTreeMap::new();
    for row in 0..BATCHES * ROWS {
        for &(has_a, has_b, id) in sets {
            let a = (row % 11 != 0).then_some(row % 7).filter(|_| has_a);
            let key = (row * 10 / window_ms, id, a, has_b.then_some(row % 3));
            let sum = sums.entry(key).or_default();
            *sum = (sum.0 + 1, sum.1 + row);
        }
    }
    let line = |((_, id, a, b), (count, sum))| (vec![a, b, Some(id), Some(count), Some(sum)], 1);
    sums.into_iter().map(line).collect()
}

#[test]
fn grouping_sets_read_their_source_once() {
    let cube = [(true, true, 0), (true, false, 1), (false, true, 2), (false, false, 3)];
    let windowed = [(true, true, 0), (false, false, 3)];
    for partitions in [1, 2, 5] {
        let sql =
            "SELECT a, b, CAST(GROUPING(a, b) AS BIGINT), COUNT(*), SUM(n) FROM t GROUP BY CUBE (a, b) EMIT FINAL";
        assert_eq!(answer(sql, partitions), expected(i64::MAX, &cube), "{partitions} partitions");
        let sql = "SELECT a, b, CAST(GROUPING(a, b) AS BIGINT), COUNT(*), SUM(n) \
                   FROM TUMBLE(TABLE t, DESCRIPTOR(at), INTERVAL '5' SECOND) \
                   GROUP BY GROUPING SETS ((window_start, a, b), (window_start))";
        assert_eq!(answer(sql, partitions), expected(5_000, &windowed), "{partitions} partitions");
    }
}

#[test]
fn rows_that_stay_may_be_pushed_as_changes() {
    let engine = Engine::new(Config { partitions: 2, ..Config::default() });
    let handle = engine.register_push("t", batch(0).schema()).expect("a table to push into");
    let query = engine.sql("SELECT n FROM t WHERE n < 3").expect("a query");
    assert!(handle.push_changes(batch(0), &vec![Change::DELETE; ROWS as usize]).is_err(), "rows of it stay");
    handle.push_changes(batch(0), &vec![Change::INSERT; ROWS as usize]).expect("the query reads");
    handle.close();
    let rows: usize = query.collect().expect("rows").iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 3);
}
