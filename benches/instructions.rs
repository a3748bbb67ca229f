//! Work whose instructions are counted: `benches/instructions.sh` runs each case under callgrind and compares.
//!
//! Question    does a change make a hot path dearer? Instructions tell it on a busy machine, where seconds do not.
//! Data        seeded here; one partition, SSE 4.2 whatever the CPU has, so that counts agree between machines.
//! Sizes       a case is run for some batches and for more of them: the difference is the cost of a batch.
//!
//! `instructions CASE BATCHES`; without arguments, as `cargo test` runs it, every case once.

use std::sync::Arc;

use millstream::arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringViewArray, TimestampMillisecondArray,
};
use millstream::config::Config;
use millstream::engine::Engine;
use millstream_kernels::level;

const ROWS: usize = 8192;

/// What a case is: its name, and a query over `t` or over a file of its columns as text.
const CASES: [(&str, &str); 12] = [
    ("filter-sum", "SELECT count(*), sum(price * 2.0) FROM t WHERE price > 500.0 AND id < 900"),
    ("group-dense", "SELECT id, count(*), sum(amount) FROM t GROUP BY id"),
    ("group-packed-1k", "SELECT id * 1000003, count(*), sum(amount) FROM t GROUP BY id * 1000003"),
    ("group-packed-many", "SELECT amount * 1000003, count(*) FROM t GROUP BY amount * 1000003"),
    ("group-two-keys", "SELECT id, id % 7, count(*), max(amount) FROM t GROUP BY id, id % 7"),
    ("group-string", "SELECT name, count(*), avg(price) FROM t GROUP BY name"),
    ("group-strings", "SELECT name, city, min(price), max(price) FROM t GROUP BY name, city"),
    ("count-distinct", "SELECT count(DISTINCT id), count(DISTINCT amount) FROM t"),
    (
        "tumble",
        "SELECT id, window_end, count(*) FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND) GROUP BY id, window_start, window_end",
    ),
    (
        "hop",
        "SELECT id, window_end, sum(amount) FROM HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND) GROUP BY id, window_start, window_end",
    ),
    ("csv", "SELECT sum(amount), max(price), max(name), max(ts) FROM csv"),
    ("json", "SELECT sum(amount), max(price), max(name), max(ts) FROM json"),
];

fn main() {
    let lowest = level::available().into_iter().rfind(|level| ["sse2", "sse4.2"].contains(&level::name(*level)));
    if let Some(level) = lowest {
        assert!(level::fix(level), "nobody has asked for the level before");
    }
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    match &arguments[..] {
        [list] if list == "list" => CASES.iter().for_each(|(case, _)| println!("{case}")),
        [case, batches] => run(case, batches.parse().expect("a number of batches")),
        _ => CASES.iter().for_each(|(case, _)| run(case, 1)),
    }
}

fn run(case: &str, batches: usize) {
    let (_, query) = CASES.iter().find(|(name, _)| *name == case).expect("a case of that name");
    let config = Config { partitions: 1, batch_rows: ROWS, level: Some(level::detect()), ..Config::default() };
    let engine = Engine::new(config);
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Made once and taken again and again, so that making it does not count.
    let first = record();
    let columns = "id BIGINT, amount BIGINT, price DOUBLE, name VARCHAR, city VARCHAR, ts TIMESTAMP(3)";
    if case == "csv" || case == "json" {
        let path = folder.path().join(if case == "csv" { "t.csv" } else { "t.ndjson" });
        let text = if case == "csv" { csv(&first) } else { json(&first) };
        std::fs::write(&path, text.repeat(batches)).expect("a file");
        let with = format!("'connector' = 'file', 'path' = '{}', 'header' = 'false'", path.display());
        let with = if case == "csv" { with } else { with.replace(", 'header' = 'false'", "") };
        engine.execute(&format!("CREATE TABLE {case} ({columns}) WITH ({with})")).expect("a table");
    } else {
        engine.execute(&format!("CREATE TABLE t ({columns}, WATERMARK FOR ts AS ts)")).expect("a table");
        engine.register_batches("t", (0..batches).map(|number| at(&first, number)).collect()).expect("its rows");
    }
    let rows: usize = engine.sql(query).expect("a query").map(|rows| rows.expect("rows").batch.num_rows()).sum();
    assert!(rows > 0, "{case} gives rows");
}

/// A batch with the times of batch `number`.
fn at(first: &RecordBatch, number: usize) -> RecordBatch {
    let from = (number * ROWS * 5) as i64;
    let times = TimestampMillisecondArray::from_iter_values((0..ROWS as i64).map(|row| from + row * 5));
    let mut columns = first.columns().to_vec();
    columns[5] = Arc::new(times);
    RecordBatch::try_new(first.schema(), columns).expect("the same columns")
}

/// A batch.
fn record() -> RecordBatch {
    let mut state = 1u64;
    let mut random = |range: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % range
    };
    let mut ids = Vec::new();
    let (mut amounts, mut prices, mut names, mut cities, mut times) = (vec![], vec![], vec![], vec![], vec![]);
    for row in 0..ROWS {
        let id = random(1000) as i64;
        ids.push(id);
        amounts.push(random(20_000) as i64);
        prices.push(random(100_000) as f64 / 100.0);
        names.push(format!("name{}", id % 200));
        cities.push(["Berlin", "a city with a long name", "Oslo"][random(3) as usize]);
        times.push(row as i64 * 5);
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(ids))),
        ("amount", Arc::new(Int64Array::from(amounts))),
        ("price", Arc::new(Float64Array::from(prices))),
        ("name", Arc::new(StringViewArray::from(names.iter().map(String::as_str).collect::<Vec<_>>()))),
        ("city", Arc::new(StringViewArray::from(cities))),
        ("ts", Arc::new(TimestampMillisecondArray::from(times))),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

fn csv(record: &RecordBatch) -> Vec<u8> {
    let mut writer = millstream::arrow::csv::WriterBuilder::new().with_header(false).build(Vec::new());
    writer.write(&plain(record)).expect("rows are written");
    writer.into_inner()
}

fn json(record: &RecordBatch) -> Vec<u8> {
    let mut writer = millstream::arrow::json::LineDelimitedWriter::new(Vec::new());
    writer.write(&plain(record)).expect("rows are written");
    writer.finish().expect("an end");
    writer.into_inner()
}

/// With strings as Arrow's writers take them.
fn plain(record: &RecordBatch) -> RecordBatch {
    use millstream::arrow::compute::cast;
    use millstream::arrow::datatypes::DataType;
    let column = |(index, field): (usize, &Arc<millstream::arrow::datatypes::Field>)| {
        let array = record.column(index);
        let is_text = field.data_type() == &DataType::Utf8View;
        let array = if is_text { cast(array, &DataType::Utf8).expect("strings") } else { array.clone() };
        (field.name().clone(), array)
    };
    RecordBatch::try_from_iter(record.schema().fields().iter().enumerate().map(column)).expect("the same columns")
}
