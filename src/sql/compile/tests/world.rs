//! Tables in memory, and the way from text to a compiled pipeline.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch};
use arrow::array::{StringViewArray, TimestampMillisecondArray};
use arrow::datatypes::SchemaRef;

use crate::error::{Error, Result};
use crate::pipeline::{Connectors, Pipeline, Scan, ScanRequest, Sink, Table, TableDefinition, explain};
use crate::sql::{Catalog, Planned, compile, parse, plan};

/// A table that the naive runner reads and nobody opens.
#[derive(Debug)]
struct Memory {
    bounded: bool,
}

impl Table for Memory {
    fn schema(&self) -> SchemaRef {
        rows().schema()
    }

    fn is_bounded(&self) -> bool {
        self.bounded
    }

    fn describe(&self) -> String {
        "memory".to_string()
    }

    fn open(&self, _: &ScanRequest) -> Result<Arc<dyn Scan>> {
        Err(Error::bug("the naive runner reads the rows itself"))
    }
}

struct NoConnectors;

impl Connectors for NoConnectors {
    fn table(&self, definition: &TableDefinition) -> Result<Arc<dyn Table>> {
        Err(Error::user(format!("no such table: {}", definition.name)))
    }

    fn sink(&self, definition: &TableDefinition, _: SchemaRef, _: bool) -> Result<Box<dyn Sink>> {
        Err(Error::user(format!("no such sink: {}", definition.name)))
    }
}

/// The rows of every table here: `t` is a file, `s` an endless stream with a watermark on `ts`, `w` a file with one.
pub fn rows() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "k",
            Arc::new(StringViewArray::from(vec![
                Some("a"),
                Some("b"),
                Some("a"),
                None,
                Some("b"),
                Some("a long key of b"),
            ])),
        ),
        ("i", Arc::new(Int64Array::from(vec![Some(1), Some(2), Some(3), Some(4), None, Some(i64::MAX)]))),
        ("j", Arc::new(Int32Array::from(vec![Some(10), Some(0), Some(-3), Some(7), Some(0), Some(5)]))),
        ("f", Arc::new(Float64Array::from(vec![Some(1.5), Some(f64::NAN), Some(-0.0), Some(2.5), None, Some(0.0)]))),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true), Some(false), None]))),
        ("d", Arc::new(Decimal128Array::from(vec![100, 250, 333, -50, 0, 1]).with_precision_and_scale(10, 2).unwrap())),
        ("ts", Arc::new(TimestampMillisecondArray::from(vec![0, 1_000, 9_999, 10_000, 15_000, 31_000]))),
        ("at", Arc::new(TimestampMillisecondArray::from(vec![5_000; 6]))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// The catalog with all of them.
pub fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    catalog.register("t", Arc::new(Memory { bounded: true })).unwrap();
    for (name, bounded) in [("s", false), ("w", true)] {
        let columns =
            "k VARCHAR, i BIGINT, j INT, f DOUBLE, b BOOLEAN, d DECIMAL(10, 2), ts TIMESTAMP(3), at TIMESTAMP(3)";
        let definition = format!("CREATE TABLE {name} ({columns}, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)");
        let parsed = parse(&definition).unwrap().remove(0);
        plan(&mut catalog, &NoConnectors, &parsed).unwrap();
        catalog.register(name, Arc::new(Memory { bounded })).unwrap();
    }
    catalog
}

/// Compiles a query over a catalog.
pub fn compiled_in(mut catalog: Catalog, sql: &str) -> Result<Pipeline> {
    let parsed = parse(sql)?.remove(0);
    match plan(&mut catalog, &NoConnectors, &parsed)? {
        Planned::Query(query) => compile(&query),
        other => panic!("not a query: {other:?}"),
    }
}

/// Compiles a query.
pub fn compiled(sql: &str) -> Pipeline {
    compiled_in(catalog(), sql).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// Why a query is refused.
pub fn refused(sql: &str) -> Error {
    compiled_in(catalog(), sql).map(|pipeline| explain(&pipeline)).expect_err("refused")
}
