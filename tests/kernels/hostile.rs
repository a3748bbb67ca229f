//! Functions that panic, fail and sleep: the query ends with the function's name, and the engine lives.

use std::time::{Duration, Instant};

use millstream::engine::Engine;
use millstream::function::custom::Fold;

use super::{engine, engine_of, error, rows};

const T: &str = "(VALUES (1), (2), (3)) AS t(i)";

#[test]
fn a_panic_ends_its_query_alone() {
    let engine = engine_of(2, 2);
    engine.scalar("picky", |i: i64| if i == 3 { panic!("three is too many") } else { i }).unwrap();
    let bad = Fold::new(|| 0, |n: &mut i64, i: i64| *n = [0, 0, 0, 1][i as usize] / *n, |n, o| *n += o, |n: &i64| *n);
    engine.aggregate("bad", bad).unwrap();
    let late = Fold::new(|| 0, |n: &mut i64, i: i64| *n += i, |n, o| *n += o, |n: &i64| 1 / (n - 6));
    engine.aggregate("late", late).unwrap();
    let message = error(&engine, &format!("SELECT picky(i) FROM {T}"));
    assert!(message.contains("the function picky panicked: three is too many"), "{message}");
    let message = error(&engine, &format!("SELECT bad(i) FROM {T}"));
    assert!(message.contains("the function bad panicked"), "{message}");
    let message = error(&engine, &format!("SELECT late(i) FROM {T}"));
    assert!(message.contains("the function late panicked"), "{message}");
    assert_eq!(rows(&engine, &format!("SELECT picky(i) FROM {T} WHERE i < 3")), ["1", "2"]);
    // A constant is computed while the query is planned.
    let message = error(&engine, "SELECT picky(3)");
    assert!(message.contains("picky panicked"), "{message}");
}

#[test]
fn what_stands_under_nulls_is_not_given_to_integers() {
    let engine = engine();
    engine.scalar("inverse", |i: i64| 100 / i).unwrap();
    let table = "(VALUES (1), (NULL), (4)) AS t(i)";
    assert_eq!(rows(&engine, &format!("SELECT inverse(NULLIF(i, 4)) FROM {table}")), ["100", "NULL", "NULL"]);
}

fn slow() -> Engine {
    let engine = engine_of(16, 1);
    engine
        .scalar("slow", |i: i64| {
            std::thread::sleep(Duration::from_millis(2));
            i
        })
        .unwrap();
    engine
}

#[test]
fn a_sleeping_function_keeps_only_its_own_query_waiting() {
    let engine = slow();
    let values: Vec<String> = (0..3000).map(|i| format!("({i})")).collect();
    engine.execute(&format!("CREATE TABLE many AS SELECT * FROM (VALUES {}) AS t(i)", values.join(", "))).unwrap();
    let query = engine.sql("SELECT slow(i) FROM many").unwrap();
    let started = Instant::now();
    assert_eq!(rows(&engine, "SELECT 1 + 1"), ["2"]);
    drop(query);
    assert!(started.elapsed() < Duration::from_secs(4), "it ends between two batches: {:?}", started.elapsed());
}
