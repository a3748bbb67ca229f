//! Tables that are asked by key: their joins equal those with the same rows in a table, and they are asked as told.
#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use millstream::Error;
use millstream::arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use millstream::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use millstream::arrow::util::display::{ArrayFormatter, FormatOptions};
use millstream::config::Config;
use millstream::engine::{Engine, LookupOptions, Outcome};

/// The rows behind the table: none for some keys, several for others, a NULL.
const ROWS: &[(i64, Option<&str>, i64)] =
    &[(1, Some("one"), 10), (2, Some("two"), 20), (2, Some("zwei"), 21), (4, None, 40), (5, Some("five"), 50)];

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Int64, false),
        Field::new("name", DataType::Utf8, true),
        Field::new("n", DataType::Int64, true),
    ]))
}

fn batch(rows: &[(i64, Option<&str>, i64)]) -> RecordBatch {
    let keys: Int64Array = rows.iter().map(|row| row.0).collect::<Vec<_>>().into();
    let names: StringArray = rows.iter().map(|row| row.1).collect();
    let numbers: Int64Array = rows.iter().map(|row| row.2).collect::<Vec<_>>().into();
    RecordBatch::try_new(schema(), vec![Arc::new(keys), Arc::new(names), Arc::new(numbers)]).unwrap()
}

/// An engine with `asked`, a lookup table, and `stored`, the same rows to be read; and the keys of each call.
fn engine(batch_rows: usize, partitions: usize, options: LookupOptions) -> (Engine, Arc<Mutex<Vec<Vec<i64>>>>) {
    let engine = Engine::new(Config { batch_rows, partitions, ..Config::default() });
    let calls = Arc::new(Mutex::new(Vec::new()));
    let log = calls.clone();
    let table = move |keys: &RecordBatch| {
        let keys: Vec<i64> = keys.column(0).as_primitive::<Int64Type>().values().to_vec();
        log.lock().unwrap().push(keys.clone());
        // Rows of other keys are passed over.
        let told: Vec<_> = ROWS.iter().filter(|row| keys.contains(&row.0) || row.0 == 5).copied().collect();
        Ok(batch(&told))
    };
    engine.lookup_table("asked", schema(), &["k"], options, table).unwrap();
    engine.register_batches("stored", vec![batch(ROWS)]).unwrap();
    run(
        &engine,
        "CREATE TABLE t AS SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (3, 'c'), (NULL, 'd'), (4, 'e'), (2, 'f'), (1, 'g')) v(id, s)",
    );
    (engine, calls)
}

/// The rows of the last statement as text, in order; of EXPLAIN its text.
fn run(engine: &Engine, sql: &str) -> Vec<String> {
    try_run(engine, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn try_run(engine: &Engine, sql: &str) -> Result<Vec<String>, Error> {
    let mut rows = Vec::new();
    match engine.execute(sql)? {
        Outcome::Query(query) => {
            for part in query {
                let batch = part?.batch;
                let options = FormatOptions::default().with_null("NULL");
                let columns: Vec<_> =
                    batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
                let line =
                    |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" ");
                rows.extend((0..batch.num_rows()).map(line));
            }
        }
        Outcome::Text(text) => rows.extend(text.lines().map(str::to_string)),
        Outcome::Done(_) => {}
    }
    rows.sort();
    Ok(rows)
}

#[test]
fn joins_are_those_with_the_same_rows_in_a_table() {
    let queries = [
        "SELECT id, s, name, n FROM t JOIN {} r ON t.id = r.k",
        "SELECT id, s, name, n FROM t LEFT JOIN {} r ON t.id = r.k",
        "SELECT id, s, name, n FROM t LEFT JOIN {} r ON t.id = r.k AND r.n > 20 AND t.s <> 'f'",
        "SELECT id, s, name FROM t JOIN {} r ON t.id = r.k WHERE r.n > 10 AND r.name IS NOT NULL",
        "SELECT id, s, name, k FROM {} r JOIN t ON t.id = r.k",
        "SELECT id, s, r.* FROM {} r RIGHT JOIN t ON t.id = r.k",
        "SELECT id, s, name FROM t, {} r WHERE t.id + 1 = r.k",
        "SELECT id, s, r.m FROM t JOIN (SELECT k AS key, n AS m FROM {} WHERE n < 30) r ON t.id = r.key AND r.m = 21",
        "SELECT a.name, b.name, s FROM t JOIN {} a ON t.id = a.k LEFT JOIN {} b ON a.n / 5 = b.k",
        "SELECT name, COUNT(*) AS c FROM t JOIN {} r ON t.id = r.k GROUP BY name",
    ];
    for (batch_rows, partitions) in [(8192, 1), (1, 1), (2, 2), (3, 5)] {
        for cache_keys_max in [0, 1, 100] {
            let options = LookupOptions { cache_keys_max, ..LookupOptions::default() };
            let (engine, _) = engine(batch_rows, partitions, options);
            for query in queries {
                let (asked, stored) = (query.replace("{}", "asked"), query.replace("{}", "stored"));
                assert_eq!(
                    run(&engine, &asked),
                    run(&engine, &stored),
                    "{asked}, {batch_rows} x {partitions}, {options:?}"
                );
            }
        }
    }
}

#[test]
fn as_of_now_is_a_join_by_key() {
    let (engine, _) = engine(3, 1, LookupOptions::default());
    let sql = "SELECT id, s, name FROM t LEFT JOIN asked FOR SYSTEM_TIME AS OF PROCTIME() AS r ON t.id = r.k";
    let plain = "SELECT id, s, name FROM t LEFT JOIN stored r ON t.id = r.k";
    assert_eq!(run(&engine, sql), run(&engine, plain));
}

#[test]
fn each_key_is_asked_for_once_while_it_is_kept() {
    let (kept, calls) = engine(2, 1, LookupOptions::default());
    run(&kept, "SELECT s, name FROM t JOIN asked r ON t.id = r.k");
    let calls = std::mem::take(&mut *calls.lock().unwrap());
    let asked: Vec<i64> = calls.iter().flatten().copied().collect();
    assert_eq!(asked.iter().collect::<BTreeSet<_>>().len(), asked.len(), "{calls:?}");
    assert!(calls.iter().all(|keys| keys.len() <= 2), "a batch of two rows asks for two keys at most: {calls:?}");
    let text = run(&kept, "EXPLAIN ANALYZE SELECT s, name FROM t JOIN asked r ON t.id = r.k").join("\n");
    assert!(text.contains("Lookup: inner with asked by k = id, 100000 keys kept"), "{text}");
    assert!(text.contains("for 4 keys, "), "{text}");

    let (forgetful, calls) = engine(1, 1, LookupOptions { cache_keys_max: 1, ..LookupOptions::default() });
    run(&forgetful, "SELECT s, name FROM t JOIN asked r ON t.id = r.k");
    let asked = calls.lock().unwrap().concat();
    assert_eq!(asked, [1, 2, 3, 4, 2, 1], "only the last key is kept");
}

#[test]
fn what_cannot_be_asked_is_refused_with_words() {
    let (engine, _) = engine(8192, 1, LookupOptions::default());
    let check = |sql: &str, expected: &str| {
        let error = try_run(&engine, sql).expect_err(sql).to_string();
        assert!(error.contains(expected), "{sql}: {error}");
    };
    check("SELECT * FROM asked", "the table asked is asked by key and cannot be read as a whole");
    check("SELECT * FROM t JOIN asked r ON t.s = r.name", "the join must say what k equals");
    check("SELECT * FROM t FULL JOIN asked r ON t.id = r.k", "can be joined by JOIN and LEFT JOIN alone");
    check("SELECT * FROM t JOIN asked r ON CAST(t.id AS DOUBLE) = r.k", "cast it");
    let refuses =
        engine.lookup_table("bad", schema(), &["q"], LookupOptions::default(), |_: &RecordBatch| Ok(batch(&[])));
    assert!(refuses.unwrap_err().to_string().contains("a key of a lookup table is one of its columns: q"));
    let fails = |_: &RecordBatch| Err(Error::outside("no answer from the service"));
    engine.lookup_table("silent", schema(), &["k"], LookupOptions::default(), fails).unwrap();
    check("SELECT s, n FROM t JOIN silent ON id = k", "in the lookup table silent: no answer from the service");
    let lacks = |_: &RecordBatch| Ok(batch(&[]).project(&[0, 1]).unwrap());
    engine.lookup_table("short", schema(), &["k"], LookupOptions::default(), lacks).unwrap();
    check("SELECT s, n FROM t JOIN short ON id = k", "in the lookup table short: an answer lacks the column n");
}
