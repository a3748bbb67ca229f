//! Answers of whole queries, and what is refused.

use super::{answer, compiled, compiled_with, refused};
use crate::pipeline::{ChangeMode, EmitMode, Spec};

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
        "SELECT k, count(*), window_start FROM t_tumbled GROUP BY window_start, k",
        "NULL | 1 | 1970-01-01T00:00:10
         a long key of b | 1 | 1970-01-01T00:00:30
         a | 2 | 1970-01-01T00:00:00
         b | 1 | 1970-01-01T00:00:00
         b | 1 | 1970-01-01T00:00:10",
    );
    check(
        "SELECT window_end, sum(j) FROM t_hopped WHERE j <> 10 AND window_start >= TIMESTAMP '1970-01-01 00:00:00' GROUP BY window_end",
        "1970-01-01T00:00:20 | 4
         1970-01-01T00:00:30 | 7
         1970-01-01T00:00:40 | 5
         1970-01-01T00:00:50 | 5",
    );
    let pipeline = compiled(
        "SELECT window_start, upper(k) AS u, count(*) FROM t_tumbled WHERE j > 0 GROUP BY window_start, upper(k)",
    );
    assert!(!pipeline.nodes.iter().any(|node| matches!(node.spec, Spec::Window(_))));
}

#[test]
fn when_results_leave() {
    let emit = |sql: &str, emit: Option<EmitMode>| {
        let pipeline = compiled_with(sql, emit).unwrap();
        let modes = pipeline.nodes.iter().filter_map(|node| match &node.spec {
            Spec::Aggregate(aggregate) => Some(aggregate.emit),
            _ => None,
        });
        (modes.collect::<Vec<_>>(), pipeline.output().changes)
    };
    let group = "SELECT k, count(*) FROM s GROUP BY k";
    let window = "SELECT window_start, count(*) FROM s_tumbled GROUP BY window_start";
    let file = "SELECT k, count(*) FROM t GROUP BY k";
    use ChangeMode::{Append, Updating};
    use EmitMode::{Changes, Final};
    assert_eq!(emit(group, None), (vec![Changes], Updating));
    assert_eq!(emit(group, Some(Final)), (vec![Final], Append));
    assert_eq!(emit(window, None), (vec![Final], Append));
    assert_eq!(emit(window, Some(Changes)), (vec![Changes], Updating));
    assert_eq!(emit(file, None), (vec![Final], Append));
    assert_eq!(emit(file, Some(Changes)), (vec![Changes], Updating));
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
        ("SELECT * FROM t JOIN s ON t.j = s.j", None, "joins are not supported yet"),
        ("SELECT k FROM s ORDER BY k", None, "ORDER BY needs all rows, and this input does not end"),
        ("SELECT k, count(*) FROM s GROUP BY k LIMIT 3", None, "LIMIT cannot stand above rows that may be taken back"),
        (
            "SELECT k, count(*) AS n FROM t GROUP BY k ORDER BY n",
            Some(EmitMode::Changes),
            "ORDER BY cannot stand above rows",
        ),
    ];
    for (sql, emit, reason) in cases {
        let message = refused(sql, emit);
        assert!(message.contains(reason), "{sql}: {message}");
    }
}
