//! Answers of whole queries, and what is refused.

use super::{answer, compiled, refused};
use crate::pipeline::{ChangeMode, EmitMode, Spec, WindowKind};

fn check(sql: &str, expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(answer(sql).lines().collect::<Vec<_>>(), expected, "{sql}");
}

#[test]
fn filters_and_projections() {
    check("SELECT k, j FROM t WHERE j > 0 AND k = 'a'", "a | 10");
    check("SELECT j + 1 AS x, k FROM t WHERE i < 3 ORDER BY x DESC", "11 | a\n1 | b");
    check("SELECT j FROM t WHERE 100 / j > 5 AND j <> 0 ORDER BY j", "5\n7\n10");
    check("SELECT 1 + 1, 'x'", "2 | x");
    check("SELECT * FROM (VALUES (1, 'a'), (2, NULL)) AS v(n, s) WHERE n > 1", "2 | NULL");
    check("SELECT j FROM t WHERE false", "");
    check("SELECT j FROM t ORDER BY j LIMIT 2 OFFSET 1", "0\n0");
    check("SELECT j FROM t WHERE j > 6 UNION ALL SELECT i FROM t WHERE i < 3", "1\n10\n2\n7");
    check("SELECT k FROM t UNION SELECT 'a'", "NULL\na\na long key of b\nb");
}

#[test]
fn groups() {
    check(
        "SELECT k, count(*), sum(j) FROM t GROUP BY k",
        "NULL | 1 | 7\na long key of b | 1 | 5\na | 2 | 7\nb | 2 | 0",
    );
    check("SELECT count(*), count(i), min(k), max(j), avg(j) FROM t", "6 | 5 | a | 10 | 3.1666666666666665");
    check("SELECT sum(j) FROM t WHERE false", "NULL");
    check("SELECT count(DISTINCT k) FROM t", "3");
    check("SELECT count(*) FILTER (WHERE j > 0) FROM t", "3");
    check("SELECT DISTINCT j > 0 FROM t", "false\ntrue");
    check(
        "SELECT sum(j) + 1 AS x, upper(k) AS u FROM t GROUP BY upper(k) HAVING count(*) > 1 ORDER BY u",
        "8 | A\n1 | B",
    );
    check("SELECT j > 0 AS p, sum(d) FROM t GROUP BY j > 0 ORDER BY p", "false | 5.83\ntrue | 0.51");
}

#[test]
fn aggregates_of_the_library() {
    check("SELECT median(j), approx_distinct(k), bit_or(j), corr(j, j) FROM t", "2.5 | 3 | -1 | 1.0");
    check("SELECT string_agg(k, '+' ORDER BY k DESC) FROM t", "b+b+a long key of b+a+a");
    check("SELECT array_agg(j ORDER BY j) FROM t", "[-3, 0, 0, 5, 7, 10]");
    check("SELECT array_agg(DISTINCT j ORDER BY j DESC) FROM t", "[10, 7, 5, 0, -3]");
    check("SELECT first_value(j ORDER BY ts DESC), last_value(k ORDER BY j) FROM t", "5 | a");
    check("SELECT nth_value(j, 2 ORDER BY ts) FROM t", "0");
    check("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY j) FROM t", "2.5");
    check("SELECT k, stddev(j) FROM t WHERE k = 'a' GROUP BY k", "a | 9.192388155425117");
}

#[test]
fn grouping_sets() {
    check(
        "SELECT j > 0 AS p, b, count(*), grouping(j > 0), grouping(b) FROM t GROUP BY ROLLUP (j > 0, b)",
        "NULL | NULL | 6 | 1 | 1
         false | NULL | 1 | 0 | 0
         false | NULL | 3 | 0 | 1
         false | false | 2 | 0 | 0
         true | NULL | 1 | 0 | 0
         true | NULL | 3 | 0 | 1
         true | true | 2 | 0 | 0",
    );
    check(
        "SELECT b, k, count(*) FROM t WHERE k = 'b' GROUP BY GROUPING SETS ((b), (k), (b))",
        "NULL | b | 2\nfalse | NULL | 2\nfalse | NULL | 2",
    );
}

#[test]
fn windows_by_panes() {
    check(
        "SELECT k, count(*), window_start FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND) GROUP BY window_start, k",
        "NULL | 1 | 1970-01-01T00:00:10
         a long key of b | 1 | 1970-01-01T00:00:30
         a | 2 | 1970-01-01T00:00:00
         b | 1 | 1970-01-01T00:00:00
         b | 1 | 1970-01-01T00:00:10",
    );
    check(
        "SELECT window_end, sum(j) FROM HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND) WHERE j <> 10 AND window_start >= TIMESTAMP '1970-01-01 00:00:00' GROUP BY window_end",
        "1970-01-01T00:00:20 | 4
         1970-01-01T00:00:30 | 7
         1970-01-01T00:00:40 | 5
         1970-01-01T00:00:50 | 5",
    );
    let pipeline = compiled(
        "SELECT window_start, upper(k) AS u, count(*) FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND) WHERE j > 0 GROUP BY window_start, upper(k)",
    );
    assert!(!pipeline.nodes.iter().any(|node| matches!(node.spec, Spec::Window(_))));
}

#[test]
fn windows_of_a_column_without_the_watermark() {
    let windows = |table: &str, time: &str| {
        format!(
            "SELECT window_start, count(*) FROM TUMBLE(TABLE {table}, DESCRIPTOR({time}), INTERVAL '1' MINUTE) GROUP BY window_start"
        )
    };
    let watermark = |sql: &str| {
        compiled(sql).nodes.iter().any(|node| matches!(&node.spec, Spec::Scan(scan) if scan.watermark.is_some()))
    };
    assert!(watermark(&windows("w", "ts")));
    // Its windows close at the end, whatever the other column's watermark says.
    assert!(!watermark(&windows("w", "at")));
    check(&windows("w", "at"), "1970-01-01T00:00:00 | 6");
    assert!(refused(&windows("s", "at")).message().contains("needs a column with a watermark"));
}

#[test]
fn aggregates_of_closed_windows_close_with_them() {
    let inner = "SELECT window_start, window_end, k, count(*) AS n \
                 FROM HOP(TABLE s, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '20' SECOND) \
                 GROUP BY window_start, window_end, k";
    for (keys, shown) in [("window_start", "window_start"), ("window_end", "window_end"), ("window_end, n", "both")] {
        let pipeline = compiled(&format!("SELECT {keys}, max(n) FROM ({inner}) GROUP BY {keys}"));
        let output = pipeline.output();
        assert_eq!(output.changes, ChangeMode::Append, "{shown}");
        let window = pipeline.nodes.iter().rev().find_map(|node| match &node.spec {
            Spec::Aggregate(aggregate) => aggregate.window.clone(),
            _ => None,
        });
        assert_eq!(window.expect("in panes").kind, WindowKind::Tumble { size: 10_000, offset: 0 }, "{shown}");
    }
    let pipeline = compiled(&format!("SELECT k, max(n) FROM ({inner}) GROUP BY k"));
    assert_eq!(pipeline.output().changes, ChangeMode::Updating);
    // The pane of a window's last tick, 20 seconds after its start, closes when the window does.
    check(
        &format!("SELECT window_start, max(n) FROM ({inner}) GROUP BY window_start"),
        "1969-12-31T23:59:50 | 2
         1970-01-01T00:00:00 | 2
         1970-01-01T00:00:10 | 1
         1970-01-01T00:00:20 | 1
         1970-01-01T00:00:30 | 1",
    );
}

#[test]
fn when_results_leave() {
    use ChangeMode::{Append, Updating};
    use EmitMode::{Changes, Final};
    let group = "SELECT k, count(*) FROM s GROUP BY k";
    let window = "SELECT window_start, count(*) FROM TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '10' SECOND) \
                  GROUP BY window_start";
    let file = "SELECT k, count(*) FROM t GROUP BY k";
    let cases = [
        (group, "", Changes, Updating),
        (group, "EMIT FINAL", Final, Append),
        (window, "", Final, Append),
        (window, "EMIT CHANGES", Changes, Updating),
        (file, "", Final, Append),
        (file, "EMIT CHANGES", Changes, Updating),
    ];
    for (sql, clause, emit, changes) in cases {
        let pipeline = compiled(&format!("{sql} {clause}"));
        let modes = pipeline.nodes.iter().filter_map(|node| match &node.spec {
            Spec::Aggregate(aggregate) => Some(aggregate.emit),
            _ => None,
        });
        assert_eq!((modes.collect::<Vec<_>>(), pipeline.output().changes), (vec![emit], changes), "{sql} {clause}");
    }
}

#[test]
fn what_needs_the_order_of_the_input() {
    for (sql, expected) in [
        ("SELECT j FROM t LIMIT 1", true),
        ("SELECT j FROM t ORDER BY j LIMIT 1", false),
        ("SELECT count(*) FROM t LIMIT 1", false),
        ("SELECT first_value(j) FROM t", true),
        ("SELECT first_value(j ORDER BY j) FROM t", false),
        ("SELECT array_agg(j) FROM t", true),
        ("SELECT sum(j) FROM t", false),
    ] {
        assert_eq!(compiled(sql).needs_input_order, expected, "{sql}");
    }
}

#[test]
fn refuses_with_the_reason() {
    let cases = [
        ("SELECT k FROM s ORDER BY k", "ORDER BY needs all rows, and this input does not end"),
        ("SELECT k, count(*) FROM s GROUP BY k LIMIT 3", "LIMIT cannot stand above rows that may be taken back"),
        ("SELECT max(k) OVER (ORDER BY k) FROM s", "OVER on input that does not end must be ordered by the column"),
    ];
    for (sql, reason) in cases {
        let message = refused(sql).to_string();
        assert!(message.contains(reason), "{sql}: {message}");
    }
}
