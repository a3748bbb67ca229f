//! Joins with a table that ends: stopped while the table comes in, and while rows pass by it.

use super::*;

/// Joins of `t`, which may not end, and `d`, which does.
const JOINS: &[&str] = &[
    "SELECT t.k, t.n, d.label FROM t JOIN d ON t.k = d.k",
    "SELECT t.k, t.n, d.label FROM t JOIN d ON t.n = d.n",
    "SELECT t.k, t.n, d.label FROM t JOIN d ON t.n * 1000000000 = d.n * 1000000000",
    "SELECT t.k, t.n, d.label FROM t LEFT JOIN d ON t.k = d.k AND t.n < d.n",
    "SELECT t.k, t.n, d.k, d.label FROM t LEFT JOIN d ON t.k = d.k AND t.n = d.n",
    "SELECT t.k, t.n, d.k, d.label FROM t JOIN d ON (t.k IS NOT DISTINCT FROM d.k)",
    "SELECT k, n FROM t WHERE n IN (SELECT n FROM d)",
    "SELECT k, n FROM t WHERE n NOT IN (SELECT n FROM d)",
    "SELECT k, n FROM t WHERE n NOT IN (SELECT n FROM d WHERE n IS NOT NULL)",
    "SELECT k, n FROM t WHERE NOT EXISTS (SELECT 1 FROM d WHERE d.k = t.k AND d.n > t.n)",
    "SELECT k, n FROM t WHERE n > 10 OR k IN (SELECT k FROM d WHERE n > 3)",
    "SELECT t.k, t.n, d.label FROM t, d WHERE t.n < d.n - 15",
    "SELECT k, n - (SELECT MAX(n) FROM d) AS below FROM t",
    "SELECT d.label, COUNT(*), SUM(t.n) FROM t JOIN d ON t.k = d.k GROUP BY d.label EMIT CHANGES",
    "SELECT window_start, label, COUNT(*) \
     FROM (SELECT at, label FROM t JOIN d ON t.k = d.k) AS j GROUP BY label WINDOW TUMBLING(at, 5s) EMIT FINAL",
];

/// Joins of two tables that end, whose rows are noted when they have matched.
const BOUNDED: &[&str] = &[
    "SELECT t.k, t.n, d.k, d.label FROM t RIGHT JOIN d ON t.k = d.k AND t.n < d.n",
    "SELECT t.k, t.n, d.k, d.label FROM t FULL JOIN d ON t.n = d.n",
    "SELECT t.k, t.n, d.k, d.label FROM d FULL JOIN t ON t.k = d.k AND t.n = d.n",
    "SELECT d.label FROM d WHERE EXISTS (SELECT 1 FROM t WHERE t.k = d.k AND t.n > d.n)",
    "SELECT d.label FROM d WHERE d.n NOT IN (SELECT n FROM t WHERE n > 3)",
    "SELECT k, n FROM t INTERSECT ALL SELECT k, n FROM d",
    "SELECT n FROM t EXCEPT ALL SELECT n FROM d",
    "SELECT k, n FROM t INTERSECT SELECT k, n FROM d",
];

/// Some rows, keys and numbers several times, with NULL in both.
fn table() -> RecordBatch {
    let mut random = StdRng::seed_from_u64(99);
    let rows = batch(&mut random, 40, &mut 0);
    let labels = StringArray::from_iter_values((0..40).map(|row| format!("the label of row {row}")));
    let columns: [(&str, ArrayRef); 3] =
        [("k", rows.column(0).clone()), ("n", rows.column(1).clone()), ("label", Arc::new(labels))];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

#[test]
fn joins_of_pushed_rows_go_on_from_every_step() {
    let table = table();
    let define = |engine: &Engine| {
        engine.register_batches("d", vec![table.slice(0, 25), table.slice(25, 15)]).unwrap();
    };
    for (number, sql) in JOINS.iter().enumerate() {
        let whole = stop_pushed(&define, sql, number, 4);
        // Of NOT IN a table with a NULL nothing is true.
        assert!(!whole.is_empty() || sql.contains("NOT IN (SELECT n FROM d)"), "{sql}");
    }
}

#[test]
fn joins_of_tables_go_on_from_every_step() {
    let (rows, table) = (rows(900), table());
    let define = |engine: &Engine| {
        engine.register_batches("t", vec![rows.slice(0, 300), rows.slice(300, 600)]).unwrap();
        engine.register_batches("d", vec![table.slice(0, 25), table.slice(25, 15)]).unwrap();
    };
    let mut stops = 0;
    for sql in BOUNDED.iter().chain(JOINS.iter().filter(|sql| !sql.contains("WINDOW"))) {
        stops += stop_everywhere(&define, sql, &[0, 1, 9, 33, 60]);
    }
    assert!(stops > 20, "queries were stopped: {stops}");
}
