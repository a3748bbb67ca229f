//! Every spelling of the words that streams need, and what is refused with its place.

use super::*;
use crate::pipeline::EmitMode;

fn one(sql: &str) -> Parsed {
    let mut all = parse(sql).unwrap_or_else(|e| panic!("{sql}\n{}", e.in_text(sql)));
    assert_eq!(all.len(), 1, "{sql}");
    all.remove(0)
}

/// The query of a statement as sqlparser prints it, and its EMIT.
fn query(sql: &str) -> (String, Option<EmitMode>) {
    let statement = one(sql).statement;
    let query = match statement {
        Statement::Query(query) => query,
        Statement::Insert(insert) => insert.query,
        Statement::CreateTableAs(table) => table.query,
        other => panic!("{sql}: {other:?}"),
    };
    (query.query.to_string(), query.emit.and_then(|emit| emit.mode))
}

/// Checks the message and what the caret stands under.
fn refused(sql: &str, message: &str, under: &str) {
    let error = parse(sql).map(|_| ()).expect_err(sql);
    assert_eq!(error.message(), message, "{sql}");
    assert_eq!(under_caret(sql, error.place()), under, "{sql}");
    assert_eq!(error.kind(), crate::error::Kind::User);
}

fn under_caret(sql: &str, place: Option<Place>) -> String {
    let Some(place) = place else { return String::new() };
    let line = sql.lines().nth(place.line as usize - 1).unwrap_or_default();
    line.chars().skip(place.column as usize - 1).take(place.width as usize).collect()
}

#[test]
fn cuts_a_text_into_statements() {
    let text = "-- first\nSELECT 1;;\n  SELECT 'ä;' /* ; */ FROM t ;\nSHOW TABLES";
    let all = parse(text).unwrap();
    let texts: Vec<&str> = all.iter().map(|parsed| parsed.text.as_str()).collect();
    assert_eq!(texts, ["SELECT 1", "SELECT 'ä;' /* ; */ FROM t", "SHOW TABLES"]);
    assert!(all.iter().all(|parsed| text[parsed.range.clone()] == parsed.text));
    assert_eq!(all[1].place, Place { line: 3, column: 3, width: 26 });
    assert!(parse(" ; -- nothing\n").unwrap().is_empty());
}

#[test]
fn reads_emit_at_the_end() {
    use EmitMode::{Changes, Final};
    for (clause, mode) in [
        ("EMIT FINAL", Final),
        ("emit on window close", Final),
        ("EMIT AFTER WATERMARK", Final),
        ("EMIT CHANGES", Changes),
        ("Emit\n  Changes", Changes),
    ] {
        for sql in [
            "SELECT a FROM bids",
            "SELECT a FROM bids b WHERE a > 1 GROUP BY a ORDER BY a LIMIT 3",
            "WITH w AS (SELECT a FROM b) SELECT * FROM w",
            "SELECT a FROM b UNION ALL SELECT a FROM c",
            "VALUES (1), (2)",
            "SELECT a FROM \"emit\"",
        ] {
            assert_eq!(query(&format!("{sql} {clause}")), (sql.to_string(), Some(mode)), "{sql} {clause}");
            assert_eq!(query(&format!("INSERT INTO x {sql} {clause}")).1, Some(mode));
            assert_eq!(query(&format!("CREATE TABLE x AS {sql} {clause}")).1, Some(mode));
        }
    }
    assert_eq!(query("SELECT a FROM b EMIT CHANGES LIMIT 5"), ("SELECT a FROM b LIMIT 5".to_string(), Some(Changes)));
}

#[test]
fn reads_firings_lateness_and_late_data_in_any_order() {
    let read = |clauses: &str| {
        let sql = format!("SELECT a FROM b {clauses}");
        let Statement::Query(statement) = one(&sql).statement else { panic!("{sql}") };
        assert_eq!(statement.query.to_string(), "SELECT a FROM b", "{sql}");
        let emit = statement.emit.unwrap();
        let show = |expr: &Option<sqlparser::ast::Expr>| expr.as_ref().map_or("-".to_string(), |expr| expr.to_string());
        let lateness = emit.lateness.map_or("-".to_string(), |(expr, _)| expr.to_string());
        let sink = emit.late_sink.map_or("-".to_string(), |(name, _)| name.to_string());
        let mode = emit.mode.map_or("-".to_string(), |mode| format!("{mode:?}"));
        let (every, late) = (show(&emit.every), show(&emit.late_every));
        format!("{mode} {every} {} {late} {lateness} {sink}", emit.on_close)
    };
    assert_eq!(read("EMIT EVERY 5s"), "Changes INTERVAL '5 second' false - - -");
    assert_eq!(read("EMIT PERIODIC INTERVAL '1' MINUTE"), "Changes INTERVAL '1' MINUTE false - - -");
    assert_eq!(read("EMIT EARLY EVERY 1m 30s THEN FINAL"), "Changes INTERVAL '1 minute 30 second' true - - -");
    assert_eq!(
        read("LATE DATA TO l EMIT FINAL THEN LATE EVERY 1s ALLOW LATENESS '2 hours'"),
        "Final - false INTERVAL '1 second' INTERVAL '2 hours' l"
    );
    assert_eq!(read("ALLOW LATENESS 1d"), "- - false - INTERVAL '1 day' -");
    assert_eq!(read("LATE DATA TO 'late.csv'"), "- - false - - 'late.csv'");
}

#[test]
fn leaves_emit_as_a_name_elsewhere() {
    for (sql, shown) in [
        ("SELECT emit FROM t", "SELECT emit FROM t"),
        ("SELECT emit changes FROM t", "SELECT emit AS changes FROM t"),
        ("SELECT a, emit final FROM t", "SELECT a, emit AS final FROM t"),
        ("SELECT t.emit changes FROM t", "SELECT t.emit AS changes FROM t"),
        ("SELECT * FROM emit", "SELECT * FROM emit"),
        ("SELECT * FROM bids emit", "SELECT * FROM bids emit"),
        ("SELECT * FROM a JOIN b emit ON emit.x = a.x", "SELECT * FROM a JOIN b emit ON emit.x = a.x"),
        ("SELECT a AS emit FROM t", "SELECT a AS emit FROM t"),
        ("SELECT emit + 1 FROM t ORDER BY emit", "SELECT emit + 1 FROM t ORDER BY emit"),
    ] {
        assert_eq!(query(sql), (shown.to_string(), None), "{sql}");
    }
}

#[test]
fn refuses_what_emit_cannot_do() {
    refused("SELECT 1 FROM t EMIT EVERY", "EMIT EVERY needs a duration, such as 5s or INTERVAL '1' MINUTE", "EVERY");
    refused(
        "SELECT 1 FROM t EMIT EARLY EVERY 5s",
        "EMIT EARLY EVERY needs an end: EMIT EARLY EVERY 1s THEN FINAL",
        "EMIT EARLY EVERY",
    );
    refused(
        "SELECT 1 FROM t EMIT FINAL THEN LATE LATER",
        "THEN is followed by LATE CHANGES or LATE EVERY and a duration",
        "THEN",
    );
    refused("SELECT 1 FROM t LATE DATA TO 5", "LATE DATA TO needs the name of a table", "LATE DATA TO");
    refused(
        "SELECT 1 FROM t ALLOW LATENESS 1s EMIT FINAL ALLOW LATENESS 2s",
        "ALLOW LATENESS after ALLOW LATENESS: one of them is enough",
        "ALLOW LATENESS",
    );
    refused(
        "SELECT * FROM (SELECT 1 FROM t EMIT CHANGES) x",
        "EMIT CHANGES stands inside parentheses; say it once, at the end of the statement",
        "EMIT CHANGES",
    );
    refused(
        "SELECT 1 FROM t EMIT CHANGES EMIT FINAL",
        "EMIT FINAL after EMIT CHANGES: one of them is enough",
        "EMIT FINAL",
    );
    refused("SELECT 1 FROM t EMIT CHANGES WHERE a", "EMIT CHANGES must end the statement; unexpected: WHERE", "WHERE");
    refused(
        "CREATE VIEW v AS SELECT 1 EMIT FINAL",
        "EMIT does not go with a definition; say it in the query that reads it",
        "EMIT FINAL",
    );
}

#[test]
fn moves_window_clauses_into_group_by() {
    for (sql, shown) in [
        ("SELECT count(*) FROM t WINDOW TUMBLING(1m)", "SELECT count(*) FROM t GROUP BY tumble(INTERVAL '1 minute')"),
        (
            "SELECT k FROM t GROUP BY k WINDOW TUMBLING (SIZE 1 MINUTE) HAVING x ORDER BY k",
            "SELECT k FROM t GROUP BY tumble(INTERVAL '1 minute'), k HAVING x ORDER BY k",
        ),
        (
            "SELECT k FROM t WINDOW TUMBLING (ts, INTERVAL '1' MINUTE) WHERE a GROUP BY k, l",
            "SELECT k FROM t WHERE a GROUP BY tumble(ts, INTERVAL '1' MINUTE), k, l",
        ),
        (
            "SELECT k FROM t WINDOW TUMBLING(500ms) WHERE a LIMIT 3",
            "SELECT k FROM t WHERE a GROUP BY tumble(INTERVAL '500 millisecond') LIMIT 3",
        ),
        (
            "SELECT k FROM t GROUP BY k WINDOW SLIDING(5m, 1m)",
            "SELECT k FROM t GROUP BY hop(INTERVAL '1 minute', INTERVAL '5 minute'), k",
        ),
        (
            "SELECT k FROM t GROUP BY k WINDOW HOPPING(t.ts, SIZE 5 MINUTES, ADVANCE BY 1 MINUTE)",
            "SELECT k FROM t GROUP BY hop(t.ts, INTERVAL '1 minute', INTERVAL '5 minute'), k",
        ),
        (
            "SELECT (SELECT k FROM t GROUP BY k WINDOW TUMBLING(1h 30m)) FROM u GROUP BY z WINDOW TUMBLING(1d)",
            "SELECT (SELECT k FROM t GROUP BY tumble(INTERVAL '1 hour 30 minute'), k) FROM u GROUP BY tumble(INTERVAL '1 day'), z",
        ),
        (
            "SELECT a FROM t WINDOW TUMBLING(1s) UNION ALL SELECT a FROM u GROUP BY a",
            "SELECT a FROM t GROUP BY tumble(INTERVAL '1 second') UNION ALL SELECT a FROM u GROUP BY a",
        ),
        (
            "SELECT sum(a) OVER w FROM t WINDOW w AS (PARTITION BY b)",
            "SELECT sum(a) OVER w FROM t WINDOW w AS (PARTITION BY b)",
        ),
    ] {
        assert_eq!(query(sql).0, shown, "{sql}");
    }
}

#[test]
fn makes_window_calls_readable() {
    for (sql, shown) in [
        (
            "SELECT * FROM TUMBLE(TABLE t, DESCRIPTOR(ts), 10s)",
            "SELECT * FROM TUMBLE(t, DESCRIPTOR(ts), INTERVAL '10 second')",
        ),
        (
            "SELECT * FROM TABLE(HOP(DATA => TABLE t, TIMECOL => DESCRIPTOR(ts), SIZE => 10s, SLIDE => 2s))",
            "SELECT * FROM TABLE(HOP(\"data\" => t, \"timecol\" => DESCRIPTOR(ts), \"size\" => INTERVAL '10 second', \"slide\" => INTERVAL '2 second'))",
        ),
        ("SELECT tumble_end(ts, 1m) FROM t", "SELECT tumble_end(ts, INTERVAL '1 minute') FROM t"),
        (
            "SELECT * FROM TUMBLE(TABLE (SELECT a FROM b), DESCRIPTOR(ts), INTERVAL '1' DAY)",
            "SELECT * FROM TUMBLE((SELECT a FROM b), DESCRIPTOR(ts), INTERVAL '1' DAY)",
        ),
    ] {
        assert_eq!(query(sql).0, shown, "{sql}");
    }
}

#[test]
fn refuses_windows_it_does_not_know() {
    refused(
        "SELECT 1 FROM t WINDOW SESSION(ts)",
        "WINDOW SESSION needs a gap, such as 1m or INTERVAL '1' MINUTE",
        "WINDOW SESSION(ts)",
    );
    refused(
        "SELECT 1 FROM t WINDOW TUMBLING(SIZE 1 MINUTE, GRACE PERIOD 1 DAY)",
        "GRACE PERIOD and RETENTION are not supported; give the watermark a larger delay instead",
        "GRACE PERIOD 1 DAY",
    );
    refused("SELECT 1 FROM t WINDOW TUMBLING(1x)", "unknown unit of time: x; use ms, s, m, h or d", "x");
    refused(
        "SELECT 1 FROM t WINDOW TUMBLING()",
        "WINDOW TUMBLING needs a size, such as 1m or INTERVAL '1' MINUTE",
        "WINDOW TUMBLING()",
    );
    refused(
        "SELECT 1 FROM t WINDOW TUMBLING(5m, 1m)",
        "WINDOW TUMBLING takes one size; use WINDOW HOPPING for an advance",
        "WINDOW TUMBLING(5m, 1m)",
    );
    refused("SELECT 1 FROM t WINDOW TUMBLING(5m", "a window clause is not closed; a ) is missing", "WINDOW TUMBLING(");
    refused(
        "SELECT a FROM t GROUP BY ALL WINDOW TUMBLING(5m)",
        "a window clause does not go with GROUP BY ALL; name the keys",
        "WINDOW TUMBLING(5m)",
    );
}

fn table(sql: &str) -> CreateTable {
    match one(sql).statement {
        Statement::CreateTable(table) => *table,
        other => panic!("{sql}: {other:?}"),
    }
}

#[test]
fn reads_watermarks_wherever_they_stand() {
    for columns in [
        "a INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND, PRIMARY KEY (a)",
        "WATERMARK FOR ts AS ts - INTERVAL '5' SECOND, a INT PRIMARY KEY, ts TIMESTAMP(3)",
        "a INT, watermark for ts as ts - INTERVAL '5' SECOND, ts TIMESTAMP(3), PRIMARY KEY (a) NOT ENFORCED",
    ] {
        for create in ["CREATE TABLE", "CREATE STREAM", "CREATE OR REPLACE TABLE", "create stream if not exists"] {
            let table = table(&format!("{create} t ({columns}) WITH ('connector' = 'file')"));
            let watermark = table.watermark.expect("it has a watermark");
            assert_eq!(watermark.column.value, "ts");
            assert_eq!(watermark.expr.to_string(), "ts - INTERVAL '5' SECOND");
            assert_eq!(table.columns.iter().map(|column| column.name.value.as_str()).collect::<Vec<_>>(), ["a", "ts"]);
            assert_eq!(table.primary_key.iter().map(|ident| ident.value.as_str()).collect::<Vec<_>>(), ["a"]);
        }
    }
    let alone = table("CREATE TABLE t (WATERMARK FOR ts) WITH (path = 'x')");
    assert!(alone.columns.is_empty());
    assert_eq!(alone.watermark.unwrap().expr.to_string(), "ts");
    assert_eq!(table("CREATE TABLE t (watermark BIGINT, ts INT)").columns.len(), 2);
    let usage = "expected WATERMARK FOR column AS expression, such as WATERMARK FOR ts AS ts - INTERVAL '5' SECOND";
    refused("CREATE TABLE t (a INT, WATERMARK FOR 5 AS ts)", usage, "WATERMARK FOR 5 AS ts");
    refused("CREATE TABLE t (a INT, WATERMARK a AS ts)", usage, "WATERMARK a AS ts");
    refused(
        "CREATE TABLE t (a INT, WATERMARK FOR a, WATERMARK FOR a)",
        "a table has one watermark at most",
        "WATERMARK FOR a",
    );
}

#[test]
fn reads_options_in_every_spelling() {
    let table = table(
        "CREATE TABLE t (a INT) WITH (connector = 'file', 'path' = 'a/b', \"Format\" = csv, csv.delimiter = ';', 'x.y' = -3, header = true)",
    );
    let options: Vec<(&str, &str)> = table.options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let expected = [
        ("connector", "file"),
        ("csv.delimiter", ";"),
        ("format", "csv"),
        ("header", "true"),
        ("path", "a/b"),
        ("x.y", "-3"),
    ];
    assert_eq!(options, expected);
    refused("CREATE TABLE t (a INT) WITH (path = 'x', \"path\" = 'y')", "option given twice: path", "\"path\"");
    refused("CREATE TABLE t (a INT) WITH (path = f(1))", "option path takes a constant, found: f(1)", "path");
}

#[test]
fn reads_external_tables() {
    let table = table(
        "CREATE UNBOUNDED EXTERNAL TABLE e (a INT, WATERMARK FOR ts) STORED AS CSV LOCATION 'x/*.csv' OPTIONS ('format.delimiter' '|')",
    );
    let options: Vec<(&str, &str)> = table.options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let expected = [("connector", "file"), ("delimiter", "|"), ("format", "csv"), ("path", "x/*.csv")];
    assert_eq!(options, expected);
    assert!(table.watermark.is_some() && table.is_unbounded);
}

#[test]
fn reads_the_other_statements() {
    let kind = |sql: &str| match one(sql).statement {
        Statement::Explain(kind, inner) => format!("explain {kind:?} {}", matches!(*inner, Statement::Query(_))),
        Statement::Analyze(_) => "analyze".to_string(),
        Statement::ShowTables => "show tables".to_string(),
        Statement::ShowFunctions => "show functions".to_string(),
        Statement::Describe(name) => format!("describe {name}"),
        Statement::DescribeQuery(_) => "describe query".to_string(),
        Statement::CreateFunction(function) => {
            format!("function {} {:?} {} {}", function.name, function.args, function.library, function.symbol)
        }
        Statement::DropFunction { names, if_exists } => format!("drop function {} {if_exists}", names[0]),
        Statement::Drop(drop) => format!("drop {:?} {:?} {}", drop.names[0].to_string(), drop.what, drop.if_exists),
        Statement::CreateView(view) => format!("view {} {:?}", view.name, view.columns.len()),
        Statement::CreateTableAs(table) => format!("table {} {:?}", table.name, table.options),
        Statement::Insert(insert) => format!("insert {} {:?}", insert.sink, insert.columns.len()),
        other => format!("{other:?}"),
    };
    for (sql, expected) in [
        ("EXPLAIN SELECT 1", "explain Pipeline true"),
        ("explain syntax SELECT 1 EMIT FINAL", "explain Syntax true"),
        ("EXPLAIN LOGICAL SELECT 1", "explain Logical true"),
        ("EXPLAIN OPTIMIZED INSERT INTO t SELECT 1", "explain Optimized false"),
        ("EXPLAIN ANALYZE SELECT 1", "analyze"),
        ("SHOW TABLES", "show tables"),
        ("SHOW FUNCTIONS", "show functions"),
        ("DESCRIBE t", "describe t"),
        ("DESC 'x.csv'", "describe 'x.csv'"),
        ("DESCRIBE SELECT 1", "describe query"),
        ("DROP TABLE IF EXISTS t", "drop \"t\" Table true"),
        ("DROP VIEW v", "drop \"v\" View false"),
        ("DROP MATERIALIZED VIEW v CASCADE", "drop \"v\" MaterializedView false"),
        ("CREATE OR REPLACE VIEW v (a, b) AS SELECT 1, 2", "view v 2"),
        ("CREATE STREAM s AS SELECT 1", "table s {}"),
        ("CREATE TABLE s WITH ('path' = 'x') AS SELECT 1", "table s {\"path\": \"x\"}"),
        ("INSERT INTO t (a, b) SELECT 1, 2", "insert t 2"),
    ] {
        assert_eq!(kind(sql), expected, "{sql}");
    }
}

#[test]
fn refuses_with_a_place() {
    refused("SELECT * FRM bids", "expected end of statement, found: FRM", "FRM");
    refused("SELECT 1;\nSELECT count(* FROM t", "expected ), found: FROM", "FROM");
    refused("SELECT 1 +", "expected an expression, found: the end of the statement", "");
    refused("SELECT 'abc", "unterminated string literal", "'");
    refused("UPDATE t SET a = 1", "statement not supported: UPDATE t", "UPDATE");
    refused("COPY t TO 'x'", "COPY is not supported; use INSERT INTO 'path' SELECT ...", "COPY");
    refused(
        "CREATE SINK s AS SELECT 1",
        "CREATE SINK is not known; use CREATE TABLE ... WITH (...), which serves as both",
        "SINK",
    );
    refused(
        "CREATE TABLE t (a INT) PARTITIONED BY (b INT)",
        "CREATE TABLE does not take PARTITIONED BY: files are not laid out in folders by the values of columns; leave it out, \
         workers share the rows by themselves",
        "PARTITIONED BY",
    );
    refused(
        "SELECT a FROM t EMIT SOMETIMES",
        "EMIT SOMETIMES is not known; there are EMIT FINAL, EMIT CHANGES, EMIT EVERY 1s and EMIT EARLY EVERY 1s THEN FINAL",
        "EMIT SOMETIMES",
    );
    refused("CREATE TABLE t LIKE u", "CREATE TABLE does not take LIKE (list the columns)", "CREATE");
    refused("INSERT OVERWRITE t SELECT 1", "INSERT does not take OVERWRITE", "INSERT");
    refused("INSERT INTO t SELECT 1 RETURNING a", "INSERT does not take RETURNING", "INSERT");
    refused("SHOW ALL", "SHOW takes TABLES or FUNCTIONS", "ALL");
    refused("EXPLAIN", "EXPLAIN needs a statement to explain", "EXPLAIN");
    refused("EXPLAIN VERBOSE SELECT 1", "EXPLAIN takes SYNTAX, LOGICAL, OPTIMIZED, PIPELINE or ANALYZE", "VERBOSE");
    refused(
        "EXPLAIN DROP TABLE t",
        "EXPLAIN takes a query, an INSERT, a CREATE TABLE ... AS or a CREATE MATERIALIZED VIEW",
        "DROP",
    );
    refused(
        "CREATE TABLE t (a INT) AS SELECT 1",
        "CREATE TABLE ... AS takes its columns from the query; leave the column list out",
        "CREATE",
    );
}

#[test]
fn refuses_what_is_too_deep() {
    let chain = format!("SELECT {} FROM t", vec!["a"; 50_000].join(" + "));
    refused(&chain, "an expression is nested deeper than 1000 levels; use IN (...) or a join with a table", "SELECT");
    let nested = format!("SELECT {}1{}", "(".repeat(500), ")".repeat(500));
    refused(&nested, "the statement is nested too deep", "SELECT");
    let unions = vec!["SELECT 1"; 501].join(" UNION ALL ");
    refused(&unions, "a statement has more than 500 SELECTs", "SELECT");
}
