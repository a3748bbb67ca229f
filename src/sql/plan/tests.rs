use std::collections::BTreeMap;
use std::sync::Mutex;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::*;
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
fn plan_all(catalog: &mut Catalog, text: &str) -> Result<Planned> {
    let mut last = Planned::Done("nothing".to_string());
    for parsed in parse::parse(text)? {
        last = plan(catalog, &Fake::default(), &parsed)?;
    }
    Ok(last)
}

fn catalog() -> Catalog {
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

#[test]
fn smoke() {
    for sql in [
        "SELECT * FROM bids",
        "SELECT bidder, sum(price) FROM bids WHERE price > 10 GROUP BY bidder ORDER BY 2 DESC LIMIT 3",
        "SELECT bidder, window_start, count(*) FROM TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '10' SECOND) GROUP BY bidder, window_start",
        "SELECT bidder, tumble_end(ts, INTERVAL '10' SECOND), count(*) FROM bids GROUP BY bidder, tumble(ts, INTERVAL '10' SECOND) EMIT CHANGES",
        "SELECT bidder, count(*) FROM bids GROUP BY bidder WINDOW TUMBLING(10s)",
        "SELECT datetime FROM 'x.parquet'",
    ] {
        println!("{sql}\n{}\n", query(sql).plan.display_indent());
    }
}
