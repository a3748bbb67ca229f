//! The library as a program around it meets it.
#![allow(clippy::unwrap_used, clippy::err_expect, reason = "a failed unwrap in a test is a failed test")]

use std::path::Path;
use std::sync::Arc;

use millstream::arrow::array::AsArray;
use millstream::arrow::datatypes::{Int64Type, SchemaRef};
use millstream::config::Config;
use millstream::engine::{Engine, Outcome};
use millstream::error::{Kind, Result};
use millstream::pipeline::{Connectors, Sink, Table, TableDefinition};

/// The sum of column `n` of table `t`.
fn total(engine: &Engine) -> Result<i64> {
    let batches = engine.sql("SELECT CAST(SUM(n) AS BIGINT) FROM t")?.collect()?;
    Ok(batches[0].column(0).as_primitive::<Int64Type>().value(0))
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file of the test");
}

#[test]
fn binds_names_to_files_whatever_they_are_called() {
    let folder = tempfile::tempdir().expect("a folder for the files of the test");
    // The names say nothing of the format, so that it is the binding that does.
    let [csv, json, parquet] = ["a", "b", "c"].map(|name| folder.path().join(name));
    write(&csv, "n,s\n1,x\n2,y\n");
    write(&json, "{\"n\": 10}\n{\"n\": 20}\n");
    let engine = Engine::default();
    engine.register_csv("t", &csv).unwrap();
    assert_eq!(total(&engine).unwrap(), 3);
    engine.register_json("t", &json).unwrap();
    assert_eq!(total(&engine).unwrap(), 30);
    let options = [("path", parquet.display().to_string()), ("connector", "file".into()), ("format", "parquet".into())];
    engine.register_with("out", options).unwrap();
    engine.execute("INSERT INTO out SELECT n * 100 AS n FROM t").unwrap();
    engine.register_parquet("t", &parquet).unwrap();
    assert_eq!(total(&engine).unwrap(), 3000);
    engine.register_parquet("t", &csv).unwrap();
    assert!(total(&engine).is_err(), "a CSV file is not Parquet");
}

#[test]
fn a_name_that_is_bound_is_not_taken_by_a_query() {
    let folder = tempfile::tempdir().expect("a folder for the files of the test");
    let path = folder.path().join("a.csv");
    write(&path, "n\n7\n");
    let engine = Engine::default();
    engine.register_csv("t", &path).unwrap();
    let error = engine.execute("CREATE TABLE t AS SELECT 1 AS n").map(|_| ()).unwrap_err();
    assert!(error.to_string().starts_with("table exists already: t"), "{error}");
    assert_eq!(total(&engine).unwrap(), 7);
}

/// Connectors with a bug.
struct Broken;

impl Connectors for Broken {
    fn table(&self, definition: &TableDefinition) -> Result<Arc<dyn Table>> {
        panic!("no way to open {}", definition.name)
    }

    fn sink(&self, definition: &TableDefinition, _: SchemaRef, _: bool) -> Result<Box<dyn Sink>> {
        panic!("no way to open {}", definition.name)
    }
}

#[test]
fn a_panic_while_planning_is_an_error_and_no_more() {
    let engine = Engine::with_connectors(Config::default(), Arc::new(Broken));
    let error = engine.execute("SELECT * FROM 'x.csv'").map(|_| ()).unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::Bug, "the planner panicked: no way to open x.csv"));
    engine.execute("CREATE TABLE t AS SELECT 5 AS n").unwrap();
    assert_eq!(total(&engine).unwrap(), 5);
}

#[test]
fn a_thread_of_little_stack_can_plan() {
    let run = || {
        let sum = vec!["n"; 900].join(" + ");
        let engine = Engine::default();
        engine.execute(&format!("CREATE TABLE t AS SELECT {sum} AS n FROM (VALUES (2)) AS v(n)")).unwrap();
        total(&engine).unwrap()
    };
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(run).unwrap();
    assert_eq!(thread.join().unwrap(), 1800);
}

/// Conditions change places by what they take away, those before the first that can fail; the answer is the same.
#[test]
fn conditions_are_tried_in_the_order_that_pays() {
    let engine = Engine::new(Config { partitions: 1, batch_rows: 100, ..Config::default() });
    let rows = "CREATE TABLE t AS SELECT n, n % 10 AS a, n % 1000 AS b, CAST(n AS VARCHAR) AS s FROM \
                (SELECT UNNEST(generate_series(0, 19999)) AS n)";
    engine.execute(rows).unwrap();
    let explain = |query: &str| match engine.execute(&format!("EXPLAIN ANALYZE {query}")).unwrap() {
        Outcome::Text(text) => text,
        Outcome::Query(_) | Outcome::Done(_) => panic!("EXPLAIN gives a text"),
    };
    let order = |condition: &str| {
        let text = explain(&format!("SELECT n FROM t WHERE {condition}"));
        let at = text.find("condition ").unwrap_or_else(|| panic!("{text}"));
        text[at..].split([',', ' ']).filter_map(|word| word.parse::<u32>().ok()).step_by(3).take(2).collect::<Vec<_>>()
    };
    // The second takes nearly all rows away, the first hardly any: it goes first once that is known.
    assert_eq!(order("a <> 3 AND b = 7"), [2, 1]);
    assert_eq!(order("b = 7 AND a <> 3"), [1, 2]);
    // A condition that can fail sees only what the one before it left.
    assert_eq!(order("b <> 0 AND 1000 / b > 900"), [1, 2]);
    let batches = engine
        .sql("SELECT count(*), CAST(sum(n) AS BIGINT) FROM t WHERE a <> 3 AND b = 7 AND s <> '7'")
        .unwrap()
        .collect()
        .unwrap();
    let values = [0, 1].map(|column| batches[0].column(column).as_primitive::<Int64Type>().value(0));
    assert_eq!(values, [19, (1..20).map(|thousand| thousand * 1000 + 7).sum()]);
}
