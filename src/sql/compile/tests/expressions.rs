//! Values of expressions, against what SQL says they are.

use super::answer;
use super::run::{answer_in, failure};
use super::world::catalog;

/// One expression over the rows of `t` with `j` beside, in the order of `j`.
fn check(expr: &str, expected: &[&str]) {
    let shown = answer(&format!("SELECT {expr} AS x FROM t ORDER BY ts"));
    assert_eq!(shown.lines().collect::<Vec<_>>(), expected, "{expr}");
}

#[test]
fn arithmetic_is_exact() {
    check("j + 1", &["11", "1", "-2", "8", "1", "6"]);
    check("j * 2 - 1", &["19", "-1", "-7", "13", "-1", "9"]);
    check("-j", &["-10", "0", "3", "-7", "0", "-5"]);
    assert!(failure("SELECT i + 1 FROM t").contains("overflow"));
    assert!(failure("SELECT i * j FROM t").contains("overflow"));
    assert!(failure("SELECT 100 / j FROM t").contains("zero"));
    assert!(failure("SELECT CASE WHEN j = 5 THEN i + 1 ELSE 0 END FROM t").contains("overflow"));
}

#[test]
fn branches_not_taken_cannot_fail() {
    check("CASE WHEN j <> 0 THEN 100 / j ELSE -1 END", &["10", "-1", "-33", "14", "-1", "20"]);
    check("j <> 0 AND 100 / j > 0", &["true", "false", "false", "true", "false", "true"]);
    check("j = 0 OR 100 / j > 12", &["false", "true", "false", "true", "true", "true"]);
}

#[test]
fn floats_compare_as_in_postgresql() {
    // NaN is the greatest and equals itself; -0.0 equals 0.0.
    check("f > 2", &["false", "true", "false", "true", "NULL", "false"]);
    check("f = 0.0", &["false", "false", "true", "false", "NULL", "true"]);
}

#[test]
fn strings() {
    check("upper(k)", &["A", "B", "A", "NULL", "B", "A LONG KEY OF B"]);
    check("k = 'a'", &["true", "false", "true", "NULL", "false", "false"]);
    check("upper(k) || '!' = 'B!'", &["false", "true", "false", "NULL", "true", "false"]);
    check("k LIKE 'a%'", &["true", "false", "true", "NULL", "false", "true"]);
    check("k IN ('b', 'c', 'd', 'e', 'f')", &["false", "true", "false", "NULL", "true", "false"]);
    check("CASE k WHEN 'a' THEN 'one' WHEN 'b' THEN 'two' END", &["one", "two", "one", "NULL", "two", "NULL"]);
    check("CAST(j AS VARCHAR)", &["10", "0", "-3", "7", "0", "5"]);
    check("TRY_CAST(k AS INT) IS NULL", &["true"; 6]);
}

#[test]
fn logic_has_three_values() {
    check("b AND j > 0", &["true", "false", "false", "true", "false", "NULL"]);
    check("b OR j > 0", &["true", "false", "NULL", "true", "false", "true"]);
    check("NOT b", &["false", "true", "NULL", "false", "true", "NULL"]);
    check("b IS TRUE", &["true", "false", "false", "true", "false", "false"]);
    check("b IS NOT TRUE", &["false", "true", "true", "false", "true", "true"]);
    check("b IS UNKNOWN", &["false", "false", "true", "false", "false", "true"]);
    check("i IS NULL", &["false", "false", "false", "false", "true", "false"]);
    check("j BETWEEN 0 AND 7", &["false", "true", "false", "true", "true", "true"]);
    check("j NOT BETWEEN 0 AND 7", &["true", "false", "true", "false", "false", "false"]);
    check("i IS DISTINCT FROM NULL", &["true", "true", "true", "true", "false", "true"]);
}

#[test]
fn decimals_and_times() {
    check("d * 2", &["2.00", "5.00", "6.66", "-1.00", "0.00", "0.02"]);
    check("d > 1.5", &["false", "true", "true", "false", "false", "false"]);
    check(
        "ts + INTERVAL '1' SECOND > TIMESTAMP '1970-01-01 00:00:10'",
        &["false", "false", "true", "true", "true", "true"],
    );
    check("extract(second FROM ts)", &["0", "1", "9", "10", "15", "31"]);
    check("date_trunc('minute', ts)", &["1970-01-01T00:00:00"; 6]);
}

#[test]
fn volatile_calls_are_made_for_each_row() {
    let distinct = answer("SELECT count(DISTINCT r) FROM (SELECT random() AS r FROM t)");
    assert_eq!(distinct, "6");
    assert_eq!(answer("SELECT count(*) FROM (SELECT random() AS x, random() AS y FROM t) WHERE x = y"), "0");
}

#[test]
fn arrays_run_by_the_bridge() {
    check("array_length(make_array(j, 1))", &["2"; 6]);
}

#[test]
fn functions_of_the_library() {
    // Over one row: k = 'a long key of b', j = 5, f = 0.0, d = 0.01, ts = 31 seconds after the epoch.
    let cases = [
        ("lower(upper(k))", "a long key of b"),
        ("concat(k, '-', j)", "a long key of b-5"),
        ("concat_ws(',', k, NULL, 'x')", "a long key of b,x"),
        ("substr(k, 3, 4)", "long"),
        ("split_part(k, ' ', 3)", "key"),
        ("replace(k, 'key', 'door')", "a long door of b"),
        ("regexp_replace(k, '[aeiou]', '_', 'g')", "_ l_ng k_y _f b"),
        ("regexp_like(k, '^a.*b$')", "true"),
        ("k ~ 'ke+y'", "true"),
        ("k ILIKE 'A LONG%'", "true"),
        ("starts_with(k, 'a ')", "true"),
        ("strpos(k, 'key')", "8"),
        ("length(k)", "15"),
        ("lpad(k, 3, 'x')", "a l"),
        ("md5(k)", "ea724a989eebeac99323167ccc69cc82"),
        ("trim(both 'ab' from k)", " long key of "),
        ("abs(j - 8)", "3"),
        ("round(d * 100)", "1"),
        ("power(j, 2)", "25.0"),
        ("sqrt(j * j)", "5.0"),
        ("floor(f + 1.5)", "1.0"),
        ("greatest(j, 3, 9)", "9"),
        ("nullif(j, 5)", "NULL"),
        ("coalesce(b, true)", "true"),
        ("date_trunc('minute', ts)", "1970-01-01T00:00:00"),
        ("date_bin(INTERVAL '10' SECOND, ts)", "1970-01-01T00:00:30"),
        ("date_bin(INTERVAL '10' SECOND, ts, TIMESTAMP '1970-01-01 00:00:03')", "1970-01-01T00:00:23"),
        ("extract(year FROM ts)", "1970"),
        ("extract(epoch FROM ts)", "31.0"),
        ("to_char(ts, '%Y-%m-%d')", "1970-01-01"),
        ("CAST(ts AS DATE)", "1970-01-01"),
        ("ts - at", "PT26S"),
        ("ts + INTERVAL '1' MONTH", "1970-02-01T00:00:31"),
        ("arrow_typeof(k)", "Utf8View"),
        ("CAST(j AS VARCHAR) || k", "5a long key of b"),
        ("CAST(k AS BYTEA) = CAST('x' AS BYTEA)", "false"),
        ("j::DOUBLE / 2", "2.5"),
        ("d::INT", "0"),
        ("CASE WHEN k LIKE '%key%' THEN upper(k) WHEN 1 / (j - 5) > 0 THEN 'never' ELSE k END", "A LONG KEY OF B"),
        ("j IN (1, 2, 3, 4, 5)", "true"),
        ("j NOT IN (1, 2, NULL)", "NULL"),
        ("array_to_string(make_array(j, 6), '+')", "5+6"),
        ("make_array(k, 'x')[1]", "a long key of b"),
        ("struct(j, k)['c0']", "5"),
        ("k || NULL", "NULL"),
        ("bit_length(k) % 7", "1"),
        ("j & 4 | 2", "6"),
        ("j << 2", "20"),
        ("TRY_CAST(k AS DOUBLE)", "NULL"),
        ("f IS NOT DISTINCT FROM -0.0", "true"),
        ("encode(CAST(k AS BYTEA), 'hex')", "61206c6f6e67206b6579206f662062"),
    ];
    let mut wrong = Vec::new();
    for (expr, expected) in cases {
        let shown = answer_in(catalog(), &format!("SELECT {expr} AS x FROM t WHERE j = 5"));
        let shown = shown.unwrap_or_else(|e| e.to_string());
        if shown != expected {
            wrong.push(format!("{expr}: {shown} instead of {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
