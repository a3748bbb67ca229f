//! A source and a sink of the user's own, by the traits the engine's have, under a connector's name.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use millstream::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMillisecondArray};
use millstream::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use millstream::batch::{Batch, Change};
use millstream::config::Config;
use millstream::engine::Engine;
use millstream::error::{Error, Result};
use millstream::pipeline::{
    Connectors, Morsel, Progress, Reader, Scan, ScanRequest, Sink, Table, TableDefinition, Take,
};
use millstream::stream::connect::DefaultConnectors;

use super::{error, rows};

/// The numbers from 0 on, each with a time: a second apart.
#[derive(Debug)]
struct Numbers(u64);

struct NumbersScan {
    rows: u64,
    piece: u64,
    taken: AtomicU64,
    projection: Vec<usize>,
    progress: Progress,
}

struct NumbersReader {
    numbers: Option<std::ops::Range<i64>>,
    projection: Vec<usize>,
}

impl Table for Numbers {
    fn schema(&self) -> SchemaRef {
        let time = DataType::Timestamp(TimeUnit::Millisecond, None);
        Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false), Field::new("at", time, false)]))
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        format!("numbers up to {}", self.0)
    }

    fn open(&self, request: &ScanRequest) -> Result<Arc<dyn Scan>> {
        Ok(Arc::new(NumbersScan {
            rows: self.0,
            piece: request.batch_rows as u64,
            taken: AtomicU64::new(0),
            projection: request.projection.clone(),
            progress: Progress::default(),
        }))
    }
}

impl Scan for NumbersScan {
    fn take(&self) -> Result<Take> {
        let sequence = self.taken.fetch_add(1, Ordering::Relaxed);
        let (from, pieces) = (sequence * self.piece, self.rows.div_ceil(self.piece));
        if sequence >= pieces {
            return Ok(Take::End);
        }
        let numbers = from as i64..self.rows.min(from + self.piece) as i64;
        self.progress.rows.fetch_add((numbers.end - numbers.start) as u64, Ordering::Relaxed);
        let reader = NumbersReader { numbers: Some(numbers), projection: self.projection.clone() };
        Ok(Take::Morsel(Morsel { partition: 0, sequence, is_last: sequence + 1 == pieces, reader: Box::new(reader) }))
    }

    fn source_partitions(&self) -> usize {
        1
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }
}

impl Reader for NumbersReader {
    fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        let Some(numbers) = self.numbers.take() else { return Ok(false) };
        let rows = (numbers.end - numbers.start) as usize;
        let column = |column: &usize| -> ArrayRef {
            match column {
                0 => Arc::new(Int64Array::from_iter_values(numbers.clone())),
                _ => Arc::new(TimestampMillisecondArray::from_iter_values(numbers.clone().map(|n| n * 1000))),
            }
        };
        *batch = Batch::from_arrays(self.projection.iter().map(column).collect(), rows);
        Ok(true)
    }
}

/// What sinks of the name were given: the numbers of the first column, and whether they are finished.
type Written = Arc<Mutex<HashMap<String, (Vec<i64>, bool)>>>;

struct Collected {
    name: String,
    written: Written,
}

impl Sink for Collected {
    fn write(&mut self, rows: &RecordBatch, _: Option<&[Change]>) -> Result<()> {
        let numbers = rows.column(0).as_primitive::<Int64Type>().values().to_vec();
        self.written.lock().unwrap().entry(self.name.clone()).or_default().0.extend(numbers);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.written.lock().unwrap().entry(self.name.clone()).or_default().1 = true;
        Ok(())
    }
}

/// Opens both.
struct Here(Written);

impl Connectors for Here {
    fn table(&self, definition: &TableDefinition) -> Result<Arc<dyn Table>> {
        let rows = definition.options.get("rows").and_then(|rows| rows.parse().ok());
        Ok(Arc::new(Numbers(rows.ok_or_else(|| Error::user("option 'rows' must be a number"))?)))
    }

    fn sink(&self, definition: &TableDefinition, schema: SchemaRef, updating: bool) -> Result<Box<dyn Sink>> {
        if updating || schema.field(0).data_type() != &DataType::Int64 {
            return Err(Error::user("it takes numbers that stay"));
        }
        Ok(Box::new(Collected { name: definition.name.clone(), written: self.0.clone() }))
    }
}

fn engine(batch_rows: usize, partitions: usize) -> (Engine, Written) {
    let written = Written::default();
    let mut connectors = DefaultConnectors::default();
    connectors.register("here", Arc::new(Here(written.clone()))).unwrap();
    let taken = connectors.register("file", Arc::new(Here(written.clone()))).unwrap_err().to_string();
    assert!(taken.contains("connector exists already: 'file'"), "{taken}");
    let config = Config { batch_rows, partitions, ..Config::default() };
    (Engine::with_connectors(config, Arc::new(connectors)), written)
}

#[test]
fn a_connector_of_the_users_own_reads_and_writes() {
    for (batch_rows, partitions) in [(1, 1), (7, 3), (8192, 2)] {
        let (engine, written) = engine(batch_rows, partitions);
        engine
            .execute("CREATE TABLE numbers (n BIGINT, at TIMESTAMP(3), WATERMARK FOR at AS at) WITH (connector = 'here', rows = 100)")
            .unwrap();
        assert_eq!(rows(&engine, "SELECT COUNT(*), SUM(n), MAX(at) FROM numbers"), ["100 4950 1970-01-01T00:01:39"]);
        let windows = "SELECT COUNT(*) FROM numbers WHERE n < 70 GROUP BY window_start WINDOW TUMBLING(30s)";
        let mut counts = rows(&engine, windows);
        counts.sort();
        assert_eq!(counts, ["10", "30", "30"]);
        engine.execute("CREATE TABLE kept (n BIGINT) WITH (connector = 'here', rows = 0)").unwrap();
        engine.execute("INSERT INTO kept SELECT n FROM numbers WHERE n % 9 = 0").unwrap();
        let (mut found, is_finished) = written.lock().unwrap().remove("kept").unwrap();
        found.sort_unstable();
        assert!(is_finished && found == (0..100).step_by(9).collect::<Vec<i64>>(), "{found:?}");
        let refused = engine.execute("INSERT INTO kept SELECT COUNT(*) FROM numbers EMIT CHANGES").err().unwrap();
        assert!(refused.to_string().contains("numbers that stay"), "{refused}");
        engine.execute("CREATE TABLE bad (n BIGINT) WITH (connector = 'here', rows = 'many')").unwrap();
        let message = error(&engine, "SELECT * FROM bad");
        assert!(message.contains("option 'rows' must be a number"), "{message}");
    }
}
