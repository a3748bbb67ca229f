//! Closures: what they may take and return, and every place of SQL that calls them.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use millstream::arrow::array::{ArrayRef, AsArray};
use millstream::arrow::datatypes::Int64Type;
use millstream::engine::Outcome;
use millstream::function::custom::{
    Date, Decimal, Interval, Scalar, StringWriter, Time, Timestamp, TimestampMillis, TimestampNanos, TimestampSeconds,
};

use super::{engine, engine_of, error, rows};

const T: &str = "(VALUES (1, 2.5, 'one'), (2, NULL, 'two'), (NULL, 0.5, NULL)) AS t(i, f, s)";

#[test]
fn numbers_texts_and_nulls_go_in_and_out() {
    let engine = engine();
    engine.scalar("fma", |a: f64, b: f64, c: f64| a * b + c).unwrap();
    engine.scalar("letters", |text: &str| text.len() as i64).unwrap();
    engine.scalar("or_zero", |value: Option<f64>| value.unwrap_or(0.0)).unwrap();
    engine.scalar("half", |value: i64| (value % 2 == 0).then_some(value / 2)).unwrap();
    engine.scalar("is_short", |text: &str| text.len() < 4).unwrap();
    engine.scalar("flip", |bit: bool| !bit).unwrap();
    engine.scalar("shout", |text: &str, out: &mut StringWriter| out.push_str(&text.to_uppercase())).unwrap();
    engine.scalar("label", |i: i32, f: Option<f64>, out: &mut StringWriter| write!(out, "{i}:{f:?}")).unwrap();
    engine.scalar("kind", |text: &str| if text == "one" { "first" } else { "a later one, and long" }).unwrap();
    engine.scalar("bytes", |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<u8>>()).unwrap();
    let answer = |call: &str| rows(&engine, &format!("SELECT {call} FROM {T}")).join(", ");
    assert_eq!(answer("fma(f, 2, 1)"), "6.0, NULL, 2.0");
    assert_eq!(answer("fma(2, f, i)"), "6.0, NULL, NULL");
    assert_eq!(answer("letters(s)"), "3, 3, NULL");
    assert_eq!(answer("or_zero(f)"), "2.5, 0.0, 0.5");
    assert_eq!(answer("half(i)"), "NULL, 1, NULL");
    assert_eq!(answer("is_short(s)"), "true, true, NULL");
    assert_eq!(answer("flip(is_short(s))"), "false, false, NULL");
    assert_eq!(answer("shout(s)"), "ONE, TWO, NULL");
    assert_eq!(answer("label(i, f)"), "1:Some(2.5), 2:None, NULL");
    assert_eq!(answer("kind(s)"), "first, a later one, and long, NULL");
    assert_eq!(answer("encode(bytes(CAST(s AS BYTEA)), 'hex')"), "656e6f, 6f7774, NULL");
    assert_eq!(answer("letters('constant')"), "8, 8, 8");
    assert_eq!(answer("letters(NULL)"), "NULL, NULL, NULL");
}

#[test]
fn times_and_decimals_are_types_of_their_own() {
    let engine = engine();
    engine.scalar("micros", |at: Timestamp| at.0).unwrap();
    engine.scalar("later", |at: Timestamp, by: Interval| Timestamp(at.0 + by.nanoseconds / 1000)).unwrap();
    engine.scalar("days", |date: Date| date.0).unwrap();
    engine.scalar("nanos", |time: Time| time.0).unwrap();
    engine.scalar("doubled", |value: Decimal<12, 2>| Decimal::<12, 2>(value.0 * 2)).unwrap();
    engine.scalar("months", |months: i32| Interval { months, ..Interval::default() }).unwrap();
    let answer = |call: &str| rows(&engine, &format!("SELECT {call}")).join(", ");
    assert_eq!(answer("micros(TIMESTAMP '1970-01-01 00:00:01.5')"), "1500000");
    assert_eq!(answer("micros(CAST('1970-01-01 00:00:01.5' AS TIMESTAMP(3)))"), "1500000");
    assert_eq!(answer("later(TIMESTAMP '2020-01-01 00:00:00', INTERVAL '5' SECOND)"), "2020-01-01T00:00:05");
    assert_eq!(answer("days(DATE '1970-01-11')"), "10");
    assert_eq!(answer("nanos(TIME '00:00:01')"), "1000000000");
    assert_eq!(answer("doubled(CAST(1.25 AS DECIMAL(10, 2)))"), "2.50");
    assert_eq!(answer("DATE '2020-01-31' + months(1)"), "2020-02-29");
}

#[test]
fn every_type_of_a_column_is_a_type_of_an_argument() {
    let engine = engine();
    let answer = |call: &str| rows(&engine, &format!("SELECT {call} FROM {T}")).join(", ");
    macro_rules! numbers {
        ($($number:ty: $sql:literal),+) => {$(
            let name = concat!("next_", stringify!($number));
            engine.scalar(name, |x: $number| x + 1 as $number).unwrap();
            engine.scalar(concat!("or_", stringify!($number)), |x: Option<$number>| x.map(|x| x + 2 as $number)).unwrap();
            let is_float = stringify!($number).starts_with('f');
            let shown = |x: i64| if is_float { format!("{x}.0") } else { x.to_string() };
            let call = format!("{name}(CAST(i AS {}))", $sql);
            assert_eq!(answer(&call), format!("{}, {}, NULL", shown(2), shown(3)), "{call}");
            assert_eq!(answer(&format!("arrow_typeof({call}) = arrow_typeof(CAST(1 AS {}))", $sql)), "true, true, true");
            let call = format!("or_{}(CAST(i AS {}))", stringify!($number), $sql);
            assert_eq!(answer(&call), format!("{}, {}, NULL", shown(3), shown(4)), "{call}");
        )+};
    }
    numbers!(
        i8: "TINYINT", i16: "SMALLINT", i32: "INT", i64: "BIGINT", u8: "TINYINT UNSIGNED", u16: "SMALLINT UNSIGNED",
        u32: "INT UNSIGNED", u64: "BIGINT UNSIGNED", f32: "REAL", f64: "DOUBLE"
    );
    engine.scalar("nano", |at: TimestampNanos| TimestampNanos(at.0 + 1)).unwrap();
    engine.scalar("milli", |at: TimestampMillis| TimestampMillis(at.0 + 1)).unwrap();
    engine.scalar("whole", |at: TimestampSeconds| TimestampSeconds(at.0 + 1)).unwrap();
    let at = |unit: u8| format!("CAST(TIMESTAMP '2026-01-01 00:00:00' AS TIMESTAMP({unit}))");
    assert_eq!(rows(&engine, &format!("SELECT nano({})", at(9))), ["2026-01-01T00:00:00.000000001"]);
    assert_eq!(rows(&engine, &format!("SELECT milli({})", at(3))), ["2026-01-01T00:00:00.001"]);
    assert_eq!(rows(&engine, &format!("SELECT whole({})", at(0))), ["2026-01-01T00:00:01"]);
}

#[test]
fn up_to_eight_arguments_are_taken() {
    let engine = engine();
    engine.scalar("of1", |a: i64| a).unwrap();
    engine.scalar("of2", |a: i64, b: &str| a + b.len() as i64).unwrap();
    engine.scalar("of3", |a: i64, b: &str, c: f64| a + b.len() as i64 + c as i64).unwrap();
    engine.scalar("of4", |a: i64, b: &str, c: f64, d: bool| a + b.len() as i64 + c as i64 + i64::from(d)).unwrap();
    engine.scalar("of5", |a: i64, b: i64, c: i64, d: i64, e: i64| a + b + c + d + e).unwrap();
    engine
        .scalar("of6", |a: i64, b: i64, c: i64, d: i64, e: i64, f: Option<i64>| f.map(|f| a + b + c + d + e + f))
        .unwrap();
    engine
        .scalar("of7", |a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, g: &[u8]| {
            a + b + c + d + e + f + g.len() as i64
        })
        .unwrap();
    engine
        .scalar(
            "of8",
            |a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, g: i64, h: &str| {
                if h.is_empty() { Err("nothing") } else { Ok(a + b + c + d + e + f + g + h.len() as i64) }
            },
        )
        .unwrap();
    let table = "(VALUES (1, 'x'), (2, 'yy'), (NULL, 'z')) AS t(i, s)";
    let answer = |call: &str| rows(&engine, &format!("SELECT {call} FROM {table}")).join(" ");
    assert_eq!(answer("of1(i)"), "1 2 NULL");
    assert_eq!(answer("of2(i, s)"), "2 4 NULL");
    assert_eq!(answer("of3(i, s, i)"), "3 6 NULL");
    assert_eq!(answer("of4(i, s, i, i > 1)"), "3 7 NULL");
    assert_eq!(answer("of5(i, 1, i, 1, 1)"), "5 7 NULL");
    assert_eq!(answer("of6(1, 1, 1, 1, 1, i)"), "6 7 NULL");
    assert_eq!(answer("of7(i, 1, 1, 1, 1, 1, CAST(s AS BYTEA))"), "7 9 NULL");
    assert_eq!(answer("of8(i, 1, 1, 1, 1, 1, 1, s)"), "8 10 NULL");
    let message = error(&engine, &format!("SELECT of8(1, 2, 3, 4, 5, 6, 7, substr(s, 2)) FROM {table}"));
    assert!(message.contains("nothing; of8(1, 2, 3, 4, 5, 6, 7, ''), row 0 of its batch"), "{message}");
}

#[test]
fn a_name_has_as_many_signatures_as_are_registered() {
    let engine = engine();
    engine.scalar("kind_of", |_: i64| "integer").unwrap();
    engine.scalar("kind_of", |_: f64| "float").unwrap();
    engine.scalar("kind_of", |_: &str| "text").unwrap();
    engine.scalar("Kind_Of", |_: i64, _: i64| "two").unwrap();
    let answer = |call: &str| rows(&engine, &format!("SELECT {call}")).join(", ");
    assert_eq!(answer("kind_of(1), kind_of(1.5), kind_of('x'), KIND_OF(1, 2)"), "integer float text two");
    assert_eq!(answer("kind_of(CAST(1 AS SMALLINT)), kind_of(CAST(1 AS REAL))"), "integer float");
    let message = error(&engine, "SELECT kind_of(true)");
    assert!(message.contains("kind_of(BOOLEAN)") && message.contains("kind_of(BIGINT, BIGINT)"), "{message}");
    engine.scalar("kind_of", |_: i64| "whole").unwrap();
    assert_eq!(answer("kind_of(1)"), "whole");
    assert!(engine.scalar("no name", |a: f64| a).unwrap_err().to_string().contains("letters, digits"));
}

#[test]
fn failures_tell_function_row_and_place_and_are_nulls_when_tried() {
    let engine = engine();
    engine.scalar("root", |x: f64| if x < 0.0 { Err("no root of a negative number") } else { Ok(x.sqrt()) }).unwrap();
    engine.scalar("parse", |text: &str| text.parse::<i64>()).unwrap();
    let table = "(VALUES (4.0, '7'), (-1.0, 'x'), (NULL, NULL)) AS t(f, s)";
    let message = error(&engine, &format!("SELECT root(f) FROM {table}"));
    for part in ["no root of a negative number", "root(-1.0)", "row 1", "line 1, column 13"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let message = error(&engine, &format!("SELECT parse(s) FROM {table}"));
    assert!(message.contains("invalid digit found in string; parse('x'), row 1"), "{message}");
    assert_eq!(
        rows(&engine, &format!("SELECT try_root(f), try_parse(s) FROM {table}")),
        ["2.0 7", "NULL NULL", "NULL NULL"]
    );
    assert_eq!(rows(&engine, &format!("SELECT TRY(root(f)) FROM {table}")), ["2.0", "NULL", "NULL"]);
    assert!(error(&engine, "SELECT TRY(1 + 1)").contains("TRY takes one call"));
    assert_eq!(rows(&engine, &format!("SELECT root(f) FROM {table} WHERE f > 0")), ["2.0"]);
    assert_eq!(rows(&engine, &format!("SELECT f > 0 AND root(f) > 1 FROM {table}")), ["true", "false", "NULL"]);
    assert_eq!(
        rows(&engine, &format!("SELECT CASE WHEN f > 0 THEN root(f) END FROM {table}")),
        ["2.0", "NULL", "NULL"]
    );
}

#[test]
fn they_stand_wherever_sql_takes_an_expression() {
    for (batch_rows, partitions) in [(1, 1), (3, 2), (8192, 2)] {
        let engine = engine_of(batch_rows, partitions);
        engine.scalar("bucket", |value: i64| value / 10).unwrap();
        engine.scalar("behind", |at: Timestamp| Timestamp(at.0 - 5_000_000)).unwrap();
        engine.scalar("minute", |at: Timestamp| Timestamp(at.0.div_euclid(60_000_000) * 60_000_000)).unwrap();
        let values: Vec<String> =
            (0..100).map(|i| format!("({i}, TIMESTAMP '2020-01-01 00:00:00' + INTERVAL '{i}' SECOND)")).collect();
        let query = format!("CREATE TABLE data AS SELECT * FROM (VALUES {}) AS t(i, at)", values.join(", "));
        engine.execute(&query).unwrap();
        let sorted = |sql: &str| {
            let mut rows = rows(&engine, sql);
            rows.sort();
            rows
        };
        assert_eq!(
            sorted("SELECT bucket(i) AS b, COUNT(*) FROM data WHERE bucket(i) < 2 GROUP BY bucket(i)"),
            ["0 10", "1 10"]
        );
        assert_eq!(sorted("SELECT SUM(bucket(i)) FROM data"), ["450"]);
        assert_eq!(sorted("SELECT COUNT(*) FROM data GROUP BY minute(at)"), ["40", "60"]);
        assert_eq!(sorted("SELECT i FROM data ORDER BY bucket(i) DESC, i LIMIT 1"), ["90"]);
        assert_eq!(
            sorted(
                "SELECT bucket(i) AS b, COUNT(*) FROM data GROUP BY bucket(i) HAVING bucket(i) = 9 OR COUNT(*) < 10"
            ),
            ["9 10"]
        );
    }
    let engine = engine();
    engine.scalar("behind", |at: Timestamp| Timestamp(at.0 - 5_000_000)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.csv");
    let times = ["00:00:00", "00:00:04", "00:00:20", "00:00:02"];
    let lines: Vec<String> = times.iter().map(|time| format!("2020-01-01T{time}\n")).collect();
    std::fs::write(&path, format!("at\n{}", lines.concat())).unwrap();
    engine
        .execute(&format!(
            "CREATE TABLE events (at TIMESTAMP, WATERMARK FOR at AS behind(at))
             WITH ('connector' = 'file', 'path' = '{}', 'format' = 'csv')",
            path.display()
        ))
        .unwrap();
    let sql = "SELECT window_end, COUNT(*) FROM events GROUP BY window_end WINDOW TUMBLING(10s)";
    // The last row is behind the watermark of the one before: late.
    assert_eq!(rows(&engine, sql), ["2020-01-01T00:00:10 2", "2020-01-01T00:00:30 1"]);
}

#[test]
fn a_text_met_before_is_not_computed_again() {
    let engine = engine_of(8192, 1);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    engine
        .scalar("measured", move |text: &str, out: &mut StringWriter| {
            counted.fetch_add(1, Ordering::Relaxed);
            out.push_str(text);
            out.push('!');
        })
        .unwrap();
    let pushed = calls.clone();
    engine
        .register(
            Scalar::new("each", move |text: &str| {
                pushed.fetch_add(1, Ordering::Relaxed);
                text.len() as i64
            })
            .volatile(),
        )
        .unwrap();
    let rows_of = |distinct: usize| {
        let texts = (0..4096).map(|row| format!("('a text of some length {}')", row % distinct));
        engine
            .execute(&format!(
                "CREATE OR REPLACE TABLE texts AS SELECT * FROM (VALUES {}) AS t(s)",
                texts.collect::<Vec<_>>().join(", ")
            ))
            .unwrap();
    };
    rows_of(5);
    let answer = rows(&engine, "SELECT measured(s) FROM texts");
    assert_eq!(answer.len(), 4096);
    assert!(answer.iter().enumerate().all(|(row, text)| *text == format!("a text of some length {}!", row % 5)));
    assert!(calls.swap(0, Ordering::Relaxed) < 100, "five texts, five calls and a few more");
    rows(&engine, "SELECT each(s) FROM texts");
    assert_eq!(calls.swap(0, Ordering::Relaxed), 4096, "a volatile function is called for each row");
    rows_of(4096);
    assert_eq!(rows(&engine, "SELECT COUNT(DISTINCT measured(s)) FROM texts"), ["4096"]);
}

#[test]
fn attributes_say_what_types_cannot() {
    let engine = engine();
    let strict = Scalar::new("known", |value: Option<i64>| value.is_some()).strict();
    engine.register(strict).unwrap();
    engine.register(Scalar::new("divide", |a: i64, b: i64| a / b).infallible()).unwrap();
    assert_eq!(rows(&engine, "SELECT known(i) FROM (VALUES (1), (NULL)) AS t(i)"), ["true", "NULL"]);
    // The promise is broken by what stands under the null, and kept where it counts.
    assert_eq!(rows(&engine, "SELECT divide(6, i) FROM (VALUES (3), (NULL)) AS t(i)"), ["2", "NULL"]);
}

#[test]
fn calls_with_constants_have_a_kernel_of_their_own() {
    let engine = engine();
    let is_ten = |given: &ArrayRef| given.as_primitive::<Int64Type>().value(0) == 10;
    let scaled = Scalar::new("scaled", |x: i64, by: i64| x * by).for_constants(move |given| match given {
        [None, Some(by)] if is_ten(by) => Some(Scalar::new("tenfold", |x: i64| x * 10).kernel(false)),
        _ => None,
    });
    engine.register(scaled).unwrap();
    let answer = |call: &str| rows(&engine, &format!("SELECT {call} FROM {T}")).join(", ");
    let explained = |call: &str| match engine.execute(&format!("EXPLAIN SELECT {call} AS y FROM {T}")).unwrap() {
        Outcome::Text(text) => text,
        _ => panic!("EXPLAIN gives text"),
    };
    for (call, wanted, kernel) in [
        ("scaled(i, 10)", "10, 20, NULL", "tenfold("),
        ("scaled(i, 3)", "3, 6, NULL", "scaled("),
        ("scaled(10, i)", "10, 20, NULL", "scaled("),
        ("scaled(i, i)", "1, 4, NULL", "scaled("),
    ] {
        assert_eq!(answer(call), wanted, "{call}");
        let plan = explained(call);
        assert!(plan.lines().any(|line| line.contains("AS y") && line.contains(kernel)), "{call}: {plan}");
    }
}
