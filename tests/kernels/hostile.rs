//! Functions that panic, fail and sleep: the query ends with the function's name, and the engine lives.

use std::sync::{Arc, Condvar, Mutex};

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

/// Holds whoever passes until it is opened.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
    passing: Condvar,
    waiting: Mutex<bool>,
}

impl Gate {
    fn pass(&self) {
        *self.waiting.lock().unwrap() = true;
        self.passing.notify_all();
        let is_open = self.is_open.lock().unwrap();
        drop(self.opened.wait_while(is_open, |is_open| !*is_open).unwrap());
    }

    fn await_someone(&self) {
        let waiting = self.waiting.lock().unwrap();
        drop(self.passing.wait_while(waiting, |waiting| !*waiting).unwrap());
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

#[test]
fn a_sleeping_function_keeps_only_its_own_query_waiting() {
    let engine = engine_of(16, 1);
    let gate = Arc::new(Gate::default());
    let inside = gate.clone();
    engine
        .scalar("asleep", move |i: i64| {
            inside.pass();
            i
        })
        .unwrap();
    let values: Vec<String> = (0..3000).map(|i| format!("({i})")).collect();
    engine.execute(&format!("CREATE TABLE many AS SELECT * FROM (VALUES {}) AS t(i)", values.join(", "))).unwrap();
    let query = engine.sql("SELECT asleep(i) FROM many").unwrap();
    gate.await_someone();
    // It sleeps for as long as others like, and they run.
    assert_eq!(rows(&engine, "SELECT COUNT(*), SUM(i) FROM many"), ["3000 4498500"]);
    gate.open();
    // It ends between two batches, though nobody has read its rows.
    drop(query);
    assert_eq!(rows(&engine, "SELECT 1 + 1"), ["2"]);
}
