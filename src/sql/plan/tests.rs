//! Statements and the plans they become; what is refused, in which words and where.

use std::collections::BTreeMap;
use std::sync::Mutex;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::*;
use crate::pipeline::WindowKind;
use crate::pipeline::{Scan, ScanRequest, Sink, Table};
use crate::sql::parse;

/// A table that is only a schema.
#[derive(Debug)]
struct Columns(SchemaRef);

impl Table for Columns {
    fn schema(&self) -> SchemaRef {
        self.0.clone()
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        "columns".to_string()
    }

    fn open(&self, _: &ScanRequest) -> Result<Arc<dyn Scan>> {
        Err(Error::user("cannot be read"))
    }
}

/// Connectors that remember what they were asked for; paths have the columns of `path_schema`.
#[derive(Default)]
struct Fake {
    asked: Mutex<Vec<BTreeMap<String, String>>>,
}

fn path_schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Millisecond, None);
    Arc::new(Schema::new(vec![
        Field::new("auction", DataType::Int64, true),
        Field::new("channel", DataType::Utf8, true),
        Field::new("dateTime", time, true),
    ]))
}

impl Connectors for Fake {
    fn table(&self, definition: &TableDefinition) -> Result<Arc<dyn Table>> {
        self.asked.lock().unwrap().push(definition.options.clone());
        if definition.options.get("path").is_some_and(|path| path.contains("missing")) {
            return Err(Error::outside(format!("no such file: {}", definition.options["path"])));
        }
        Ok(Arc::new(Columns(definition.schema.clone().unwrap_or_else(path_schema))))
    }

    fn sink(&self, _: &TableDefinition, _: SchemaRef, _: bool) -> Result<Box<dyn Sink>> {
        Err(Error::user("no sinks here"))
    }
}

const TABLES: &str = "
    CREATE TABLE bids (auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, ts TIMESTAMP(3),
        WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector' = 'file', 'path' = 'bids.parquet');
    CREATE TABLE auctions (id BIGINT, seller BIGINT, category INT, expires TIMESTAMP(3), PRIMARY KEY (id))
        WITH (connector = file, path = 'auctions.parquet');
    CREATE VIEW cheap AS SELECT auction, price, ts FROM bids WHERE price < 10;
    CREATE TABLE out (bidder BIGINT, total BIGINT NOT NULL);
";

/// Plans every statement in turn and hands out what the last one asks for.
pub(super) fn plan_all(catalog: &mut Catalog, text: &str) -> Result<Planned> {
    let mut last = Planned::Done("nothing".to_string());
    for parsed in parse::parse(text)? {
        last = plan(catalog, &Fake::default(), &parsed)?;
    }
    Ok(last)
}

pub(super) fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    plan_all(&mut catalog, TABLES).unwrap();
    catalog
}

fn query(sql: &str) -> LogicalQuery {
    match plan_all(&mut catalog(), sql) {
        Ok(Planned::Query(query)) => query,
        other => panic!("{sql}\n{}", other.map_or_else(|e| e.in_text(sql).to_string(), |other| format!("{other:?}"))),
    }
}

fn check(sql: &str, expected: &str) {
    let plan = query(sql).plan.display_indent().to_string();
    let lines = |text: &str| text.trim().lines().map(|line| line.trim_end().to_string()).collect::<Vec<_>>();
    let indent =
        expected.lines().find(|line| !line.trim().is_empty()).map_or(0, |line| line.len() - line.trim_start().len());
    let expected: Vec<String> = expected.lines().map(|line| line.get(indent..).unwrap_or("").to_string()).collect();
    assert_eq!(lines(&plan), lines(&expected.join("\n")), "{sql}\n{plan}");
}

/// Checks the message and what the caret stands under.
fn refused(sql: &str, message: &str, under: &str) {
    let error = plan_all(&mut catalog(), sql).map(|_| ()).expect_err(sql);
    let shown = error.to_string();
    let shown = shown.rsplit_once(" (line").map_or(shown.as_str(), |(message, _)| message);
    let caret = error.place().map_or_else(String::new, |place| {
        let line = sql.lines().nth(place.line as usize - 1).unwrap_or_default();
        line.chars().skip(place.column as usize - 1).take(place.width as usize).collect()
    });
    assert_eq!((shown, caret.as_str()), (message, under), "{sql}");
}

/// The windows in a plan.
fn windows(plan: &LogicalPlan) -> Vec<WindowNode> {
    let mut found = Vec::new();
    if let LogicalPlan::Extension(extension) = plan {
        found.extend(extension.node.as_any().downcast_ref::<WindowNode>().cloned());
    }
    plan.inputs().into_iter().for_each(|input| found.extend(windows(input)));
    found
}

fn rows(planned: Planned) -> Vec<Vec<String>> {
    let Planned::Rows(batch) = planned else { panic!("{planned:?}") };
    let text =
        |column: usize, row: usize| arrow::util::display::array_value_to_string(batch.column(column), row).unwrap();
    (0..batch.num_rows()).map(|row| (0..batch.num_columns()).map(|column| text(column, row)).collect()).collect()
}

fn done(planned: Planned) -> String {
    match planned {
        Planned::Done(message) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn keeps_filters_and_hands_them_to_the_scan() {
    check(
        "SELECT bidder, sum(price) FROM bids WHERE price > 10 AND channel = 'x' GROUP BY bidder ORDER BY 2 DESC LIMIT 3",
        r#"
        Sort: sum(price) DESC NULLS FIRST, fetch=3
          Projection: bids.bidder, sum(bids.price) AS sum(price)
            Aggregate: groupBy=[[bids.bidder]], aggr=[[sum(bids.price)]]
              Projection: bids.bidder, bids.price
                Filter: bids.price > Int64(10) AND bids.channel = Utf8View("x")
                  TableScan: bids projection=[bidder, price, channel], partial_filters=[bids.price > Int64(10), bids.channel = Utf8View("x")]
        "#,
    );
    check(
        "SELECT * FROM bids LIMIT 2",
        "
        Limit: skip=0, fetch=2
          TableScan: bids projection=[auction, bidder, price, channel, ts], fetch=2
        ",
    );
}

#[test]
fn all_spellings_of_a_tumble_are_one_plan() {
    let expected = "
        Projection: bids.bidder, window_start, window_end, count(Int64(1)) AS count(*) AS n
          Aggregate: groupBy=[[bids.bidder, window_start, window_end]], aggr=[[count(Int64(1))]]
            Projection: bids.bidder, window_start, window_end
              Window: tumble(bids.ts, size 10s)
                Filter: bids.price > Int64(5)
                  TableScan: bids projection=[bidder, price, ts], partial_filters=[bids.price > Int64(5)]
        ";
    let columns = "SELECT bidder, window_start, window_end, count(*) AS n";
    for sql in [
        format!("{columns} FROM TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '10' SECOND) WHERE price > 5 GROUP BY bidder, window_start, window_end"),
        format!("{columns} FROM TABLE(TUMBLE(bids, DESCRIPTOR(bids.ts), 10s)) WHERE price > 5 GROUP BY bidder, window_start, window_end"),
        format!("{columns} FROM tumble(SIZE => 10s, DATA => TABLE bids, TIMECOL => DESCRIPTOR(ts)) WHERE price > 5 GROUP BY 1, 2, 3"),
        format!("{columns} FROM bids WHERE price > 5 GROUP BY bidder, tumble(ts, INTERVAL '10' SECOND)"),
        format!("{columns} FROM bids WHERE price > 5 GROUP BY TUMBLE(ts, INTERVAL '10 seconds'), bidder"),
        format!("{columns} FROM bids WHERE price > 5 GROUP BY bidder WINDOW TUMBLING(10s)"),
        format!("{columns} FROM bids WHERE price > 5 GROUP BY bidder WINDOW TUMBLING(INTERVAL '10' SECOND)"),
        format!("{columns} FROM bids WHERE price > 5 GROUP BY bidder WINDOW TUMBLING(ts, INTERVAL '10' SECOND)"),
        format!("{columns} FROM bids WINDOW TUMBLING (SIZE 10 SECONDS) WHERE price > 5 GROUP BY bidder"),
        "SELECT bidder, tumble_start(ts, 10s), tumble_end(ts, 10s), count(*) n FROM bids WHERE price > 5 GROUP BY bidder, tumble(ts, 10s)".to_string(),
        "SELECT bidder, tumble(ts, 10s), tumble_end(), count(*) n FROM bids WHERE price > 5 GROUP BY 1, 2 WINDOW TUMBLING(10s)".to_string(),
    ] {
        check(&sql, expected);
    }
}

#[test]
fn all_spellings_of_a_hop_are_one_plan() {
    let expected = "
        Projection: max(bids.price) AS max(price)
          Aggregate: groupBy=[[window_start]], aggr=[[max(bids.price)]]
            Projection: bids.price, window_start
              Window: hop(bids.ts, size 5m, slide 1m)
                TableScan: bids projection=[price, ts]
        ";
    for sql in [
        "SELECT max(price) FROM HOP(TABLE bids, DESCRIPTOR(ts), INTERVAL '1' MINUTE, INTERVAL '5' MINUTE) GROUP BY window_start",
        "SELECT max(price) FROM HOP(DATA => TABLE bids, TIMECOL => DESCRIPTOR(ts), SIZE => 5m, SLIDE => 1m) GROUP BY window_start",
        "SELECT max(price) FROM bids GROUP BY hop(ts, INTERVAL '1' MINUTE, INTERVAL '5' MINUTE)",
        "SELECT max(price) FROM bids WINDOW SLIDING(5m, 1m)",
        "SELECT max(price) FROM bids WINDOW HOPPING(ts, SIZE 5 MINUTES, ADVANCE BY 1 MINUTE)",
    ] {
        check(sql, expected);
    }
}

#[test]
fn windows_are_in_ticks_of_their_column() {
    for (data_type, tick) in
        [("TIMESTAMP(0)", 1), ("TIMESTAMP(3)", 1_000), ("TIMESTAMP", 1_000_000), ("TIMESTAMP_LTZ(9)", 1_000_000_000)]
    {
        let sql = format!(
            "CREATE TABLE t (x {data_type}); SELECT count(*) FROM t GROUP BY hop(x, 1m, INTERVAL '1' HOUR, -10s)"
        );
        let windows = windows(&query(&sql).plan);
        assert_eq!(
            windows[0].kind,
            WindowKind::Hop { size: 3_600 * tick, slide: 60 * tick, offset: 50 * tick },
            "{sql}"
        );
        assert_eq!(windows[0].time_type(), windows[0].input.schema().field(0).data_type());
    }
    let sql = "SELECT * FROM TUMBLE(TABLE bids, DESCRIPTOR(ts), 1d, INTERVAL '25' HOUR)";
    let window = windows(&query(sql).plan).remove(0);
    assert_eq!(window.kind, WindowKind::Tumble { size: 86_400_000, offset: 3_600_000 });
    let names: Vec<&str> = window.schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["auction", "bidder", "price", "channel", "ts", "window_start", "window_end", "window_time"]);
}

#[test]
fn windows_stand_over_joins_and_in_subqueries() {
    check(
        "SELECT a.category, tumble_end(ts, 1h) e FROM bids b, auctions a WHERE a.id = b.auction AND b.price > 5 GROUP BY a.category, tumble(b.ts, 1h)",
        "
        Projection: a.category, window_end AS e
          Aggregate: groupBy=[[a.category, window_start, window_end]], aggr=[[]]
            Projection: a.category, window_start, window_end
              Window: tumble(b.ts, size 1h)
                Projection: b.ts, a.category
                  Inner Join: a.id = b.auction
                    SubqueryAlias: a
                      Filter: auctions.id IS NOT NULL
                        TableScan: auctions projection=[id, category], partial_filters=[auctions.id IS NOT NULL]
                    SubqueryAlias: b
                      Projection: bids.auction, bids.ts
                        Filter: bids.price > Int64(5) AND bids.auction IS NOT NULL
                          TableScan: bids projection=[auction, price, ts], partial_filters=[bids.price > Int64(5), bids.auction IS NOT NULL]
        ",
    );
    check(
        "SELECT e, max(s) FROM (SELECT window_time e, sum(price) s FROM bids GROUP BY bidder, hop(ts, 1m, 5m)) w GROUP BY tumble(e, 1h), e",
        "
        Projection: w.e, max(w.s) AS max(s)
          Aggregate: groupBy=[[w.e, window_start]], aggr=[[max(w.s)]]
            Projection: w.e, w.s, window_start
              Window: tumble(w.e, size 1h)
                SubqueryAlias: w
                  Projection: window_time AS e, sum(bids.price) AS s
                    Aggregate: groupBy=[[bids.bidder, window_start, window_time]], aggr=[[sum(bids.price)]]
                      Projection: bids.bidder, bids.price, window_start, window_time
                        Window: hop(bids.ts, size 5m, slide 1m)
                          TableScan: bids projection=[bidder, price, ts]
        ",
    );
    assert_eq!(
        windows(
            &query(
                "SELECT count(*) FROM bids WINDOW TUMBLING(1m) UNION ALL SELECT count(*) FROM cheap WINDOW TUMBLING(2m)"
            )
            .plan
        )
        .len(),
        2
    );
}

#[test]
fn conditions_on_the_window_stay_above_it() {
    check(
        "SELECT * FROM TUMBLE(TABLE bids, DESCRIPTOR(ts), 10s) w WHERE w.price > 3 AND w.window_end > TIMESTAMP '2020-01-01 00:00:00'",
        "
        SubqueryAlias: w
          Filter: window_end > TimestampMillisecond(1577836800000, None)
            Window: tumble(bids.ts, size 10s)
              Filter: bids.price > Int64(3)
                TableScan: bids projection=[auction, bidder, price, channel, ts], partial_filters=[bids.price > Int64(3)]
        ",
    );
}

#[test]
fn windows_find_their_time_column() {
    for (sql, time) in [
        ("SELECT count(*) FROM bids WINDOW TUMBLING(1m)", "bids.ts"),
        ("SELECT count(*) FROM cheap c WINDOW TUMBLING(1m)", "c.ts"),
        ("SELECT count(*) FROM (SELECT ts AS t, price FROM bids WHERE price > 1) x WINDOW TUMBLING(1m)", "x.t"),
        ("SELECT count(*) FROM 'x.csv' WINDOW TUMBLING(1m)", "x.csv.dateTime"),
        ("SELECT count(*) FROM bids JOIN auctions ON auction = id WINDOW TUMBLING(1m)", "bids.ts"),
        ("SELECT count(*) FROM bids JOIN auctions ON auction = id WINDOW TUMBLING(expires, 1m)", "auctions.expires"),
    ] {
        assert_eq!(windows(&query(sql).plan)[0].time.as_ref().expect("a time").to_string(), time, "{sql}");
    }
    refused(
        "SELECT count(*) FROM 'a.csv' a JOIN 'b.csv' b ON a.auction = b.auction WINDOW TUMBLING(1m)",
        "the window must name its time column: its input has no watermark and several: dateTime, dateTime",
        "WINDOW TUMBLING(1m)",
    );
    refused(
        "SELECT count(*) FROM out WINDOW TUMBLING(1m)",
        "a window needs a TIMESTAMP column, and its input has none",
        "WINDOW TUMBLING(1m)",
    );
}

#[test]
fn names_in_another_case_get_a_second_try() {
    for sql in [
        "SELECT dateTime FROM 'x.csv'",
        "SELECT DATETIME FROM \"x.csv\" b WHERE b.dateTime IS NOT NULL AND datetime < now() GROUP BY datetime ORDER BY datetime",
        "SELECT s.datetime FROM (SELECT datetime FROM 'x.csv') s",
        "SELECT a.datetime FROM 'x.csv' a JOIN 'y.csv' b USING (datetime)",
        "SELECT a.datetime FROM 'x.csv' a JOIN 'y.csv' b ON a.datetime = b.datetime",
        "SELECT datetime FROM 'x.csv' WINDOW TUMBLING(datetime, 1m) GROUP BY datetime",
        "SELECT datetime FROM TUMBLE(TABLE 'x.csv', DESCRIPTOR(datetime), 1m) WHERE datetime IS NOT NULL",
        "SELECT datetime AS datetime FROM 'x.csv' ORDER BY datetime",
        "CREATE VIEW v AS SELECT datetime FROM 'x.csv'; SELECT datetime FROM v",
        "WITH w AS (SELECT datetime FROM 'x.csv') SELECT max(datetime) FROM w",
        "CREATE TABLE t (WATERMARK FOR datetime AS datetime - INTERVAL '1' SECOND) WITH (path = 'x'); SELECT datetime FROM t WINDOW TUMBLING(1m) GROUP BY datetime",
    ] {
        query(sql);
    }
    assert_eq!(query("SELECT dateTime FROM 'x.csv'").plan.schema().field(0).name(), "dateTime");
    // An exact name wins, and a quoted name is meant as it stands.
    assert_eq!(
        query("SELECT datetime FROM (SELECT \"dateTime\", auction AS datetime FROM 'x.csv') s")
            .plan
            .schema()
            .field(0)
            .data_type(),
        &DataType::Int64
    );
    refused("SELECT \"datetime\" FROM 'x.csv'", "column not found: datetime; did you mean `dateTime`?", "\"datetime\"");
}

#[test]
fn opens_paths_and_readers() {
    let asked = |sql: &str| {
        let (fake, mut catalog) = (Fake::default(), catalog());
        for parsed in parse::parse(sql).unwrap() {
            plan(&mut catalog, &fake, &parsed).unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
        let asked = fake.asked.lock().unwrap();
        asked
            .iter()
            .map(|options| options.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        asked("SELECT auction FROM 'data/*.parquet' a JOIN 'data/*.parquet' b USING (auction)"),
        ["connector=file path=data/*.parquet"]
    );
    assert_eq!(asked("SELECT * FROM \"x.csv.gz\""), ["connector=file path=x.csv.gz"]);
    assert_eq!(
        asked("SELECT * FROM read_csv('data/x', delimiter => '|', header => false)"),
        ["connector=file delimiter=| format=csv header=false path=data/x"]
    );
    assert_eq!(
        asked("SELECT count(*) FROM TUMBLE(read_parquet('d'), DESCRIPTOR(datetime), 1m) GROUP BY window_end")
            .last()
            .unwrap(),
        "connector=file format=parquet path=d"
    );
    assert_eq!(
        asked("CREATE TABLE t (a INT) WITH (path = 't.csv'); SELECT * FROM t; SELECT * FROM t b JOIN t c ON b.a = c.a"),
        ["path=t.csv"]
    );
    refused("SELECT * FROM 'missing.csv'", "no such file: missing.csv", "'missing.csv'");
    refused("SELECT * FROM read_csv(3 + 4)", "expected a constant, found: 3 + 4", "read_csv");
}

#[test]
fn converts_types() {
    let described = rows(
        plan_all(
            &mut catalog(),
            "CREATE TABLE t (a STRING, b VARCHAR(5), c TIMESTAMP, d TIMESTAMP(0), e TIMESTAMP(9), f TIMESTAMP(3) WITH TIME ZONE,
                g TIMESTAMP_LTZ(3), h DECIMAL(10, 2), i ARRAY<STRING>, j MAP<STRING, ARRAY<BIGINT>>, k STRUCT<x INT, y STRING>, l DOUBLE,
                m BYTES, n DATE NOT NULL, o DATETIME, p FLOAT, q REAL, r SMALLINT, s BIGINT UNSIGNED, u TIME(3), v BOOLEAN, w INT[]);
            DESCRIBE t",
        )
        .unwrap(),
    );
    let types: Vec<(&str, &str)> = described.iter().map(|row| (row[0].as_str(), row[1].as_str())).collect();
    let expected = [
        ("a", "Utf8View"),
        ("b", "Utf8View"),
        ("c", "Timestamp(µs)"),
        ("d", "Timestamp(s)"),
        ("e", "Timestamp(ns)"),
        ("f", "Timestamp(ms, \"+00:00\")"),
        ("g", "Timestamp(ms, \"+00:00\")"),
        ("h", "Decimal128(10, 2)"),
        ("i", "List(Utf8View)"),
        ("j", "Map(\"entries\": non-null Struct(\"key\": non-null Utf8View, \"value\": List(Int64)), unsorted)"),
        ("k", "Struct(\"x\": Int32, \"y\": Utf8View)"),
        ("l", "Float64"),
        ("m", "BinaryView"),
        ("n", "Date32"),
        ("o", "Timestamp(µs)"),
        ("p", "Float32"),
        ("q", "Float32"),
        ("r", "Int16"),
        ("s", "UInt64"),
        ("u", "Time32(ms)"),
        ("v", "Boolean"),
        ("w", "List(Int32)"),
    ];
    assert_eq!(types, expected);
    assert_eq!(described[13][2], "NO");
    refused("CREATE TABLE t (a INT, b TIMESTAMP(4))", "precision not supported: TIMESTAMP(4); use 0, 3, 6 or 9", "b");
    refused("CREATE TABLE t (a FOO)", "unsupported SQL type FOO", "a");
}

#[test]
fn defines_and_drops() {
    let mut catalog = catalog();
    let mut run = |sql: &str| plan_all(&mut catalog, sql);
    assert_eq!(done(run("CREATE TABLE t (a INT)").unwrap()), "table t created");
    assert_eq!(
        run("CREATE TABLE t (a INT)").unwrap_err().message(),
        "table exists already: t; use CREATE OR REPLACE TABLE, or DROP TABLE first"
    );
    assert_eq!(done(run("CREATE TABLE IF NOT EXISTS t (b INT)").unwrap()), "table t exists already");
    assert_eq!(done(run("CREATE OR REPLACE TABLE t (b INT)").unwrap()), "table t created");
    assert_eq!(rows(run("DESCRIBE t").unwrap()), [["b", "Int32", "YES", ""]]);
    assert_eq!(done(run("CREATE VIEW v (x) AS SELECT b FROM t").unwrap()), "view v created");
    assert_eq!(rows(run("DESCRIBE v").unwrap()), [["x", "Int32", "YES", ""]]);
    assert_eq!(run("DROP TABLE v").unwrap_err().message(), "not a table but a view: v; use DROP VIEW");
    assert_eq!(done(run("DROP VIEW v").unwrap()), "view v dropped");
    assert_eq!(done(run("DROP TABLE IF EXISTS t, nope").unwrap()), "table t dropped");
    assert_eq!(
        run("SELECT * FROM t").unwrap_err().message(),
        "table not found: t; there are: auctions, bids, cheap, out"
    );
    assert_eq!(rows(run("SHOW TABLES").unwrap())[1], ["bids", "table", "file bids.parquet"]);
    assert_eq!(
        rows(run("DESCRIBE bids").unwrap())[4],
        ["ts", "Timestamp(ms)", "YES", "watermark ts - INTERVAL '5' SECOND"]
    );
    assert_eq!(rows(run("DESCRIBE auctions").unwrap())[0], ["id", "Int64", "YES", "primary key"]);
    let functions = rows(run("SHOW FUNCTIONS").unwrap());
    for known in [
        ["tumble", "group"],
        ["abs", "scalar"],
        ["sum", "aggregate"],
        ["row_number", "window"],
        ["array_length", "scalar"],
    ] {
        assert!(functions.iter().any(|row| row[..2] == known), "{known:?}");
    }
}

#[test]
fn binds_tables_before_and_after_their_definition() {
    let options =
        || BTreeMap::from([("connector".to_string(), "file".to_string()), ("path".to_string(), "x.csv".to_string())]);
    let definition = "CREATE TABLE t (a BIGINT, b TIMESTAMP(3), WATERMARK FOR b)";
    let columns = |catalog: &mut Catalog| match plan_all(catalog, "SELECT * FROM t").unwrap() {
        Planned::Query(query) => {
            query.plan.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    let watermark = |catalog: &mut Catalog| rows(plan_all(catalog, "DESCRIBE t").unwrap()).last().unwrap()[3].clone();

    let mut catalog = Catalog::default();
    catalog.bind("t", options());
    assert_eq!(columns(&mut catalog), ["auction", "channel", "dateTime"]);
    plan_all(&mut catalog, definition).unwrap();
    assert_eq!(columns(&mut catalog), ["a", "b"]);
    assert_eq!(watermark(&mut catalog), "watermark b");
    let Some(Relation::Table(entry)) = catalog.get("t") else { panic!("it is a table") };
    assert_eq!(entry.options, options());

    let mut catalog = Catalog::default();
    plan_all(&mut catalog, definition).unwrap();
    assert_eq!(columns(&mut catalog), ["a", "b"]);
    catalog.bind("t", options());
    assert_eq!(
        (columns(&mut catalog), watermark(&mut catalog)),
        (vec!["a".to_string(), "b".to_string()], "watermark b".to_string())
    );

    let mut catalog = Catalog::default();
    plan_all(&mut catalog, definition).unwrap();
    let error = catalog.register("t", Arc::new(Columns(path_schema()))).unwrap_err();
    assert_eq!(
        error.message(),
        "declared columns are not those of its source: t; declared: a Int64, b Timestamp(ms); source: auction Int64, channel Utf8, dateTime Timestamp(ms)"
    );
    let time = DataType::Timestamp(TimeUnit::Millisecond, None);
    let fitting = Schema::new(vec![Field::new("a", DataType::Int64, false), Field::new("b", time, false)]);
    catalog.register("t", Arc::new(Columns(Arc::new(fitting)))).unwrap();
    assert_eq!(watermark(&mut catalog), "watermark b");
}

#[test]
fn unbounded_tables_do_not_end() {
    let bounded = |unbounded: &str| {
        let sql = format!("CREATE {unbounded} EXTERNAL TABLE e STORED AS CSV LOCATION 'x.csv'; SELECT * FROM e");
        let LogicalPlan::TableScan(scan) = query(&sql).plan else { panic!("it is a scan") };
        scan.source.downcast_ref::<crate::sql::catalog::CatalogTable>().unwrap().table.is_bounded()
    };
    assert_eq!((bounded(""), bounded("UNBOUNDED")), (true, false));
}

#[test]
fn a_clone_of_the_catalog_is_apart() {
    let mut first = catalog();
    let second = first.clone();
    plan_all(&mut first, "DROP TABLE bids").unwrap();
    assert!(first.get("bids").is_none() && second.get("bids").is_some());
}

#[test]
fn a_failed_definition_changes_nothing() {
    let mut catalog = catalog();
    for sql in [
        "CREATE OR REPLACE VIEW cheap AS SELECT nope FROM bids",
        "CREATE OR REPLACE TABLE bids (a FOO)",
        "DROP TABLE out, nope",
    ] {
        plan_all(&mut catalog, sql).unwrap_err();
    }
    plan_all(&mut catalog, "SELECT auction FROM cheap; SELECT ts FROM bids; SELECT * FROM out").unwrap();
}

#[test]
fn watermarks_have_the_type_of_their_column() {
    let mut catalog = catalog();
    plan_all(&mut catalog, "CREATE TABLE t (x TIMESTAMP_LTZ(3), y BIGINT, WATERMARK FOR x AS to_timestamp_seconds(y) - INTERVAL '1' MINUTE)").unwrap();
    let Ok(Planned::Query(query)) = plan_all(&mut catalog, "SELECT * FROM t") else { panic!("a query") };
    let LogicalPlan::TableScan(scan) = &query.plan else { panic!("{}", query.plan) };
    let table = scan.source.downcast_ref::<crate::sql::catalog::CatalogTable>().unwrap();
    let watermark = table.watermark.as_ref().unwrap();
    assert_eq!(watermark.column, "x");
    assert!(watermark.expr.to_string().starts_with("CAST(to_timestamp_seconds(y) - "), "{}", watermark.expr);
    refused("CREATE TABLE t (a INT, WATERMARK FOR a)", "a watermark needs a TIMESTAMP column: a is Int32", "a");
    refused(
        "CREATE TABLE t (a TIMESTAMP, WATERMARK FOR a AS 5)",
        "a watermark must be a TIMESTAMP: Int64(5) is Int64",
        "a",
    );
    refused(
        "CREATE TABLE t (a TIMESTAMP, WATERMARK FOR b AS a)",
        "the watermark's column is not in the table: b; there are: a",
        "b",
    );
    refused("CREATE TABLE t (a TIMESTAMP, WATERMARK FOR a AS nope)", "column not found: nope; there are: a", "nope");
}

#[test]
fn inserts_fit_their_sink() {
    let insert = |sql: &str| match plan_all(&mut catalog(), sql) {
        Ok(Planned::Insert { sink, query }) => {
            (sink.name, query.plan.display_indent().to_string().lines().next().unwrap().to_string(), query.emit)
        }
        other => panic!("{sql}: {other:?}"),
    };
    let all = |plan: &str, emit| ("out".to_string(), plan.to_string(), emit);
    assert_eq!(
        insert("INSERT INTO out SELECT bidder, price FROM bids"),
        all("Projection: bids.bidder AS bidder, bids.price AS total", None)
    );
    assert_eq!(
        insert("INSERT INTO out (total, bidder) SELECT category, id FROM auctions EMIT CHANGES"),
        all("Projection: auctions.id AS bidder, CAST(auctions.category AS Int64) AS total", Some(EmitMode::Changes))
    );
    assert_eq!(
        insert("INSERT INTO out (total) SELECT price FROM bids").1,
        "Projection: Int64(NULL) AS bidder, bids.price AS total"
    );
    let (name, plan, emit) = insert("INSERT INTO 'o/x.csv' SELECT bidder FROM bids EMIT FINAL");
    assert_eq!(
        (name.as_str(), plan.as_str(), emit),
        ("o/x.csv", "TableScan: bids projection=[bidder]", Some(EmitMode::Final))
    );
    refused("INSERT INTO out (bidder) SELECT 1", "column needs a value, for it is NOT NULL: total", "");
    refused(
        "INSERT INTO out (total, bider) SELECT 1, 2",
        "column not found in out: bider; did you mean `bidder`?",
        "bider",
    );
    refused("INSERT INTO out SELECT 1", "the query's columns do not fit out: given 1, wanted 2: bidder, total", "");
    refused("INSERT INTO cheap SELECT 1", "rows cannot be put into a view: cheap", "cheap");
    refused(
        "INSERT INTO nowhere SELECT 1",
        "table not found: nowhere; there are: auctions, bids, cheap, out",
        "nowhere",
    );
}

#[test]
fn creates_tables_from_queries() {
    let create = |sql: &str| match plan_all(&mut catalog(), sql) {
        Ok(Planned::CreateTableAs { name, sink, query }) => (name, sink, query.emit),
        other => panic!("{sql}: {other:?}"),
    };
    let (name, sink, emit) = create("CREATE TABLE x AS SELECT bidder FROM bids EMIT CHANGES");
    assert_eq!((name.as_str(), sink.is_none(), emit), ("x", true, Some(EmitMode::Changes)));
    let (_, sink, _) =
        create("CREATE STREAM x WITH (path = 'o.csv') AS SELECT bidder, count(*) n FROM bids GROUP BY bidder");
    let sink = sink.unwrap();
    assert_eq!(sink.options, BTreeMap::from([("path".to_string(), "o.csv".to_string())]));
    assert_eq!(
        sink.schema.unwrap().fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(),
        ["bidder", "n"]
    );
    let exists = plan_all(&mut catalog(), "CREATE TABLE IF NOT EXISTS bids AS SELECT 1").unwrap();
    assert_eq!(done(exists), "table bids exists already");
}

#[test]
fn explains_every_step() {
    let sql = "EXPLAIN LOGICAL SELECT bidder, count(*) AS n FROM bids WHERE price > 1 GROUP BY bidder WINDOW TUMBLING(10s) EMIT CHANGES";
    let Ok(Planned::Explain(explain)) = plan_all(&mut catalog(), sql) else { panic!("it explains") };
    assert_eq!(explain.kind, ExplainKind::Logical);
    let one_line = explain.syntax.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        one_line,
        "SELECT bidder, count(*) AS n FROM bids WHERE price > 1 GROUP BY tumble(INTERVAL '10 second'), bidder EMIT CHANGES"
    );
    assert!(
        explain.logical.contains("    Filter: bids.price > Int64(1)\n      Window: tumble(bids.ts, size 10s)\n"),
        "{}",
        explain.logical
    );
    assert!(
        explain.optimized.contains("      Window: tumble(bids.ts, size 10s)\n        Filter: bids.price > Int64(1)\n"),
        "{}",
        explain.optimized
    );
    assert!(matches!(plan_all(&mut catalog(), "EXPLAIN ANALYZE SELECT 1"), Ok(Planned::Analyze(_))));
}

#[test]
fn views_are_read_in_place() {
    check(
        "SELECT auction, count(*) FROM cheap WHERE auction = 3 GROUP BY auction",
        "
        Projection: cheap.auction, count(Int64(1)) AS count(*) AS count(*)
          Aggregate: groupBy=[[cheap.auction]], aggr=[[count(Int64(1))]]
            SubqueryAlias: cheap
              Projection: bids.auction
                Filter: bids.price < Int64(10) AND bids.auction = Int64(3)
                  TableScan: bids projection=[auction, price], partial_filters=[bids.price < Int64(10), bids.auction = Int64(3)]
        ",
    );
    refused(
        "DROP TABLE bids; SELECT * FROM cheap",
        "view cheap: table not found: bids; there are: auctions, cheap, out",
        "cheap",
    );
    refused("CREATE VIEW v (a) AS SELECT 1, 2", "the view names 1 columns, but its query has 2", "a");
}

#[test]
fn functions_of_every_package_plan() {
    for expr in [
        "abs(price), round(price / 2.0, 1), power(price, 2)",
        "extract(hour FROM ts), date_trunc('minute', ts), date_bin(INTERVAL '1 minute', ts), to_timestamp_millis(price)",
        "substring(channel FROM 2 FOR 3), substring(channel, 1, 2), position('a' IN channel), upper(channel), channel || 'x', trim(channel)",
        "channel LIKE 'a%', channel ~ 'b+', regexp_replace(channel, 'a', 'b'), split_part(channel, '/', 3)",
        "[1, 2, 3][1], make_array(price, 2), {'a': price}['a'], array_length([1])",
        "md5(channel), encode('x', 'hex'), coalesce(price, 1), nullif(price, 1), CASE WHEN price > 1 THEN 1 END",
        "sum(price) OVER (PARTITION BY bidder ORDER BY ts), row_number() OVER (ORDER BY ts), lag(price) OVER (ORDER BY ts)",
        "now(), current_date, random()",
        "price::DOUBLE, CAST(price AS STRING), INTERVAL '1' DAY, DATE '2020-01-01', TIMESTAMP '2020-01-01 00:00:00'",
    ] {
        query(&format!("SELECT {expr} FROM bids"));
    }
    query(
        "SELECT count(DISTINCT bidder), approx_distinct(bidder), first_value(price ORDER BY ts), median(price), stddev(price), string_agg(channel, ','), count(*) FILTER (WHERE price > 3) FROM bids",
    );
    let now = query("SELECT now() AS a, now() AS b FROM bids WHERE ts < now()").plan.display_indent().to_string();
    assert!(!now.contains("now()"), "the time is fixed when the query is planned: {now}");
    let distinct = query("SELECT count(DISTINCT bidder) FROM bids GROUP BY auction").plan.display_indent().to_string();
    assert!(distinct.contains("count(DISTINCT bids.bidder)"), "{distinct}");
}

#[test]
fn columns_that_look_alike_get_names() {
    let names =
        |sql: &str| query(sql).plan.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    assert_eq!(names("SELECT price, Price, price FROM bids"), ["price", "Price", "price_1"]);
    assert_eq!(names("SELECT price::DOUBLE, CAST(price AS STRING) FROM bids"), ["price", "CAST(price AS STRING)"]);
    assert_eq!(names("SELECT sum(price), sum(price) s, sum(price) FROM bids")[1..], ["s", "sum(price)_1"]);
    assert_eq!(names("SELECT a.price, b.price FROM bids a JOIN bids b ON a.ts = b.ts"), ["price", "price"]);
    assert_eq!(names("SELECT bidder, bidder, count(*) FROM bids GROUP BY bidder")[..2], ["bidder", "bidder_1"]);
}

#[test]
fn refuses_with_message_and_place() {
    refused(
        "SELECT nothing FROM bids",
        "column not found: nothing; there are: auction, bidder, price, channel, ts",
        "nothing",
    );
    refused("SELECT 1;\nSELECT prce,\n bider FROM bids", "column not found: prce; did you mean `price`?", "prce");
    refused("SELECT b.pric FROM bids b", "column not found: b.pric; did you mean `b.price`?", "b.pric");
    refused("SELECT * FROM bid", "table not found: bid; did you mean `bids`?", "bid");
    refused(
        "SELECT * FROM main.bids",
        "table not found: main.bids; there are: auctions, bids, cheap, out",
        "main.bids",
    );
    refused("SELECT foor(price) FROM bids", "function not found: foor; did you mean `floor`?", "foor");
    refused("SELECT sum(channel) FROM bids", "function does not take arguments of type String: sum; cast them", "sum");
    refused(
        "SELECT abs(channel) FROM bids",
        "function does not take arguments of these types: abs(Utf8View); cast them",
        "abs",
    );
    refused(
        "SELECT price + channel FROM bids",
        "cannot coerce arithmetic expression Int64 + Utf8View to valid types",
        "price + channel",
    );
    refused(
        "SELECT price, count(*) FROM bids GROUP BY bidder",
        "a column in SELECT must be in GROUP BY or inside an aggregate function: bids.price",
        "price",
    );
    refused(
        "SELECT id FROM auctions a JOIN auctions b ON a.id = b.id",
        "column is ambiguous: id; put the name of its table before it",
        "id",
    );
    refused(
        "SELECT * FROM bids WHERE price",
        "cannot create filter with non-boolean predicate 'bids.price' returning Int64",
        "price",
    );
    refused("SELECT * FROM bids TABLESAMPLE BERNOULLI(10)", "not supported: TABLESAMPLE", "bids");
    refused("SELECT * FROM bids FOR UPDATE", "not supported: FOR UPDATE and FOR SHARE", "SELECT * FROM bids");
    refused(
        "SELECT bidder, count(*) FROM bids GROUP BY bidder WITH ROLLUP",
        "not supported: GROUP BY ... WITH (use ROLLUP(...), CUBE(...) or GROUPING SETS)",
        "SELECT",
    );
    refused("SELECT $1", "not supported: a parameter", "$1");
}

#[test]
fn refuses_windows_with_message_and_place() {
    let of = |window: &str| format!("SELECT count(*) FROM bids GROUP BY {window}");
    refused(
        &of("tumble(ts, 1m), tumble(ts, 2m)"),
        "a query block has one window; use a subquery for the second one",
        "tumble",
    );
    refused(
        &of("cumulate(ts, 1d, INTERVAL '1' MONTH)"),
        "the size of a window must not be in months or years here, which differ in length: 1 mons; use days or less",
        "cumulate",
    );
    refused(
        &of("hop(ts, INTERVAL '1' MICROSECOND, 1m)"),
        "the slide of a window must be a whole number of its time column's ticks: 0.000001000 secs in a column of Milliseconds",
        "hop",
    );
    refused(&of("tumble(ts, INTERVAL '0' SECOND)"), "the size of a window must be longer than nothing", "tumble");
    refused(&of("tumble(ts, -5s)"), "the size of a window must be longer than nothing", "tumble");
    refused(
        &of("tumble(price, 1m)"),
        "the time of a window must be a TIMESTAMP column: bids.price is Int64; cast it in a subquery",
        "tumble",
    );
    refused(&of("tumble(tss, 1m)"), "column not found: tss; did you mean `ts`?", "tss");
    refused(
        &of("tumble(ts, 5)"),
        "the size of a window must be an interval: 5 is Int64; write INTERVAL '1' MINUTE",
        "tumble",
    );
    refused(
        &of("tumble(ts)"),
        "tumble takes (ts, size [, offset] [, time zone]), such as tumble(ts, INTERVAL '1' MINUTE)",
        "tumble",
    );
    refused(
        "SELECT 1 FROM SESSION(TABLE bids, DESCRIPTOR(ts), 1m, 2m)",
        "too many arguments: 4; there are 3 at most",
        "SESSION",
    );
    refused(
        &of("cumulate(ts, 7m, 1h)"),
        "the size of a cumulating window must be a whole number of its steps",
        "cumulate",
    );
    refused(
        &of("tumble(ts, 1d, 'Middle/Earth')"),
        "unknown time zone: Middle/Earth; write a name such as 'Europe/Berlin'",
        "tumble",
    );
    refused(
        &of("tumble(ts, 1h, 'Europe/Berlin')"),
        "the size of a window in a time zone must be a whole number of days, weeks, months or years: 1 hours",
        "tumble",
    );
    refused(
        "SELECT 1 FROM TUMBLE(bids, 1m)",
        "TUMBLE takes (TABLE t, DESCRIPTOR(ts), size [, offset] [, time zone])",
        "TUMBLE",
    );
    refused(
        "SELECT 1 FROM TUMBLE(TABLE bids, DESCRIPTOR(tss), 1m)",
        "column not found: tss; did you mean `ts`?",
        "tss",
    );
    refused(
        "SELECT 1 FROM TUMBLE(TABLE bidz, DESCRIPTOR(ts), 1m)",
        "table not found: bidz; did you mean `bids`?",
        "bidz",
    );
    refused(
        "SELECT 1 FROM TUMBLE(TABLE bids, DESCRIPTOR(ts), SZE => 1m)",
        "no such argument: sze; there are: data, timecol, size, offset, zone",
        "TUMBLE",
    );
    refused(
        "SELECT tumble_end() FROM bids",
        "tumble_start and tumble_end need a window in GROUP BY to refer to",
        "tumble_end",
    );
    refused(
        "SELECT 1 FROM SESSION(TABLE TUMBLE(TABLE bids, DESCRIPTOR(ts), 1m), DESCRIPTOR(window_time), DESCRIPTOR(window_start), 1h)",
        "a key of a window is hidden by its own columns: window_start; give it another name in a subquery",
        "SESSION",
    );
    refused(
        "SELECT bidder, tumble_end(ts, 1m), count(*) FROM bids GROUP BY bidder",
        "a column in SELECT must be in GROUP BY or inside an aggregate function: window_end",
        "tumble_end",
    );
}

/// Checks what the columns of a query are called.
fn named(sql: &str, expected: &[&str]) {
    let plan = query(sql).plan;
    let names: Vec<&str> = plan.schema().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, expected, "{sql}");
}

#[test]
fn columns_are_called_by_their_text() {
    named("SELECT price + 1, 'x', NULL, -price FROM bids", &["price + 1", "'x'", "NULL", "-price"]);
    named("SELECT COUNT( * ), Sum(DISTINCT price) FROM bids", &["count(*)", "sum(DISTINCT price)"]);
    named(
        "SELECT floor(price),  substr(channel, 1,2), TRIM(channel) FROM bids",
        &["floor(price)", "substr(channel, 1, 2)", "trim(channel)"],
    );
    named("SELECT (price), b.auction, price::DOUBLE AS p FROM bids AS b", &["price", "auction", "p"]);
    named("SELECT b.price::DOUBLE, CAST(auction AS INT) FROM bids AS b", &["price", "auction"]);
    named("SELECT (price * 2), 1 + 1 FROM bids", &["price * 2", "1 + 1"]);
    named("SELECT dateTime + INTERVAL '1' SECOND FROM 'x.parquet'", &["dateTime + INTERVAL '1' SECOND"]);
    named("FROM cheap", &["auction", "price", "ts"]);
}

#[test]
fn like_columns_get_names_of_their_own() {
    named("SELECT price + 1, price + 1, price + 1 FROM bids", &["price + 1", "price + 1_1", "price + 1_2"]);
    named("SELECT price, price, bids.price FROM bids", &["price", "price_1", "price_2"]);
    named("SELECT bids.price, price FROM bids", &["price", "price_1"]);
    named("SELECT bids.price, bids.price FROM bids", &["price", "price_1"]);
    named("SELECT price, price::DOUBLE FROM bids", &["price", "price::DOUBLE"]);
    named("SELECT a.price, b.price FROM bids AS a CROSS JOIN bids AS b", &["price", "price"]);
}

#[test]
fn constants_of_definitions_do_not_wrap() {
    let catalog = &mut catalog();
    let sql = "CREATE TABLE w (ts TIMESTAMP(3), WATERMARK FOR ts AS to_timestamp_millis(9223372036854775807 + 1));
        SELECT * FROM w";
    let Planned::Query(query) = plan_all(catalog, sql).unwrap() else { panic!("{sql}") };
    let LogicalPlan::TableScan(scan) = &query.plan else { panic!("{}", query.plan) };
    let table = scan.source.downcast_ref::<crate::sql::catalog::CatalogTable>().unwrap();
    let watermark = table.watermark.as_ref().unwrap().expr.to_string();
    assert!(watermark.contains("Int64(9223372036854775807) + Int64(1)"), "{watermark}");
}
