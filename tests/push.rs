//! Rows that are pushed in come once: whatever a query does with them, it reads its source once.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream::arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, Int64Array, MapBuilder, MapFieldNames, RecordBatch, StringArray,
    StringBuilder, TimestampMillisecondArray,
};
use millstream::arrow::compute::cast;
use millstream::arrow::datatypes::{DataType, Int64Type};
use millstream::arrow::util::display::array_value_to_string;
use millstream::batch::Change;
use millstream::config::Config;
use millstream::engine::Engine;
use millstream::pipeline::SystemColumn;
use millstream::stream::source::push::TryPush;

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

/// Rows as a broker has them: a number each, and beside it when it came, its key and its headers.
fn message(numbers: &[i64], keys: &[Option<&str>], at: i64) -> RecordBatch {
    let mut headers = MapBuilder::new(Some(MapFieldNames::default()), StringBuilder::new(), BinaryBuilder::new());
    for number in numbers {
        if number % 2 == 0 {
            headers.keys().append_value("trace");
            headers.values().append_value(number.to_string());
        }
        headers.append(true).expect("as many keys as values");
    }
    let times = TimestampMillisecondArray::from_iter_values(numbers.iter().map(|number| at + number));
    let columns: [(&str, ArrayRef); 4] = [
        ("n", Arc::new(Int64Array::from(numbers.to_vec()))),
        ("time", Arc::new(times)),
        ("key", Arc::new(StringArray::from(keys.to_vec()))),
        ("headers", Arc::new(headers.finish())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).expect("columns fit")
}

#[test]
fn what_is_pushed_beside_a_row_is_read_by_name() {
    let engine = Engine::new(Config { partitions: 2, batch_rows: 2, ..Config::default() });
    engine
        .execute("CREATE TABLE t (n BIGINT, at AS _timestamp, WATERMARK FOR at AS at - INTERVAL '1' SECOND)")
        .expect("a table");
    let schema = message(&[0], &[None], 0).project(&[0]).expect("a column").schema();
    let system = [SystemColumn::Timestamp, SystemColumn::Key, SystemColumn::Headers];
    let handle = engine.register_push_with("t", schema, &system).expect("a table to push into");
    let sql =
        "SELECT n, CAST(_key AS TEXT) AS k, CAST(_headers['trace'] AS TEXT) AS trace, CAST(at AS TEXT), _offset FROM t";
    let query = engine.sql(sql).expect("a query");
    handle.push(message(&[1, 2, 3], &[Some("a"), None, Some("b")], 5000)).expect("the query reads");
    handle.push(message(&[4], &[Some("a")], 6000)).expect("the query reads");
    let refused = handle.push(message(&[5], &[None], 0).project(&[0, 1]).expect("columns")).expect_err("refused");
    let TryPush::Mismatch(error) = refused else { panic!("{refused:?}") };
    let message = "_timestamp, _key, _headers columns are wanted behind the table's own, in all 4: a batch has 2";
    assert_eq!(error.to_string(), message);
    drop(handle);
    let mut rows: Vec<String> = Vec::new();
    for part in query {
        let part = part.expect("rows").batch;
        let cells = |row: usize| {
            let text = |column: &ArrayRef| {
                array_value_to_string(&cast(column, &DataType::Utf8).expect("as text"), row).expect("as text")
            };
            part.columns().iter().map(text).collect::<Vec<_>>().join(" ")
        };
        rows.extend((0..part.num_rows()).map(cells));
    }
    rows.sort();
    let expected = [
        "1 a  1970-01-01T00:00:05.001 0",
        "2  2 1970-01-01T00:00:05.002 1",
        "3 b  1970-01-01T00:00:05.003 2",
        "4 a 4 1970-01-01T00:00:06.004 3",
    ];
    assert_eq!(rows, expected);
}

#[test]
fn what_is_not_pushed_beside_a_row_is_refused() {
    let engine = Engine::default();
    drop(engine.register_push("t", batch(0).schema()).expect("a table to push into"));
    let error = engine.sql("SELECT n, _key FROM t").err().expect("refused").to_string();
    assert!(error.contains("the source has no _key: t (push) has _partition, _offset"), "{error}");
}
