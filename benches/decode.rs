//! How fast does text become columns, next to Arrow's readers? One core, from a file in the page cache.
//!
//! Question    nanoseconds a line, without the time that the thread waited for a CPU that others had, the least of some
//!             runs in turn with Arrow's, which reads from memory.
//! Data        seeded here: 1BRC lines (`station;temperature`) and Nexmark bids, as CSV and as NDJSON; bids with blanks,
//!             with escapes, with fields in another order and in quotes.
//! Sizes       an argument gives the number of 1BRC lines (default a million); a fourth as many bids.
//! Answers     the sum of a column is that of Arrow's.
//!
//! With `--json`, a line of JSON for each case instead.

mod support;

use std::path::Path;
use std::sync::Arc;

use millstream::arrow;
use millstream::batch::{Batch, Column, Values};
use millstream::pipeline::{ScanRequest, Table, Take};
use millstream::stream::decode::OnError;
use millstream::stream::decode::csv::{CsvOptions, Header};
use millstream::stream::decode::json::JsonOptions;
use millstream::stream::source::block::Input;
use millstream::stream::source::text::{TextFormat, TextTable};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, TimeUnit};
use serde_json::json;
use support::own_nanoseconds;

const SEED: u64 = 42;
const ROUNDS: usize = 15;
const BATCH_ROWS: usize = 8192;

fn main() {
    let rows = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    if !as_json() {
        println!("seed {SEED}, {rows} lines of 1brc, a fourth of bids, best of {ROUNDS}, ns/row");
    }
    let folder = tempfile::tempdir().expect("a folder for the files");
    let mut random = Random(SEED);

    let text: String = (0..rows).map(|_| measurement(&mut random)).collect();
    let schema = Schema::new(vec![field("station", DataType::Utf8View), field("temperature", DataType::Float64)]);
    let csv = CsvOptions { delimiter: Some(b';'), header: Header::No, ..CsvOptions::default() };
    compare("1brc/csv", folder.path(), &text, &schema, TextFormat::Csv(csv), rows, 1);

    let bids: Vec<[String; 7]> = (0..rows / 4).map(|row| bid(&mut random, row)).collect();
    let timestamp = DataType::Timestamp(TimeUnit::Millisecond, None);
    let schema = Schema::new(vec![
        field("auction", DataType::Int64),
        field("bidder", DataType::Int64),
        field("price", DataType::Int64),
        field("channel", DataType::Utf8View),
        field("url", DataType::Utf8View),
        field("dateTime", timestamp),
        field("extra", DataType::Utf8View),
    ]);
    let json = |line: &Line| -> String { bids.iter().enumerate().map(|(row, bid)| line(row, bid) + "\n").collect() };
    let cases: [(&str, &Line); 4] = [
        ("bid/json", &|_, bid| object(bid, NAMES, ":", ",")),
        ("bid/json, blanks", &|_, bid| object(bid, NAMES, ": ", ", ")),
        ("bid/json, escape in 1 of 3", &|row, bid| {
            let line = object(bid, NAMES, ":", ",");
            if row % 3 == 0 { line.replace("/item", "\\/item") } else { line }
        }),
        ("bid/json, order of 1 in 5", &|row, bid| {
            let [auction, bidder, price, channel, url, time, extra] = bid.clone();
            let turned = [extra, bidder, auction, channel, price, time, url];
            let names = ["extra", "bidder", "auction", "channel", "price", "dateTime", "url"];
            if row % 5 == 0 { object(&turned, names, ":", ",") } else { object(bid, NAMES, ":", ",") }
        }),
    ];
    for (name, line) in cases {
        compare(name, folder.path(), &json(line), &schema, TextFormat::Json(JsonOptions::default()), bids.len(), 2);
    }
    let options = || CsvOptions { header: Header::No, ..CsvOptions::default() };
    let csv: String = bids.iter().map(|fields| fields.join(",") + "\n").collect();
    compare("bid/csv", folder.path(), &csv, &schema, TextFormat::Csv(options()), bids.len(), 2);
    let csv: String = bids.iter().map(|fields| fields.join(",").replacen("https", "\"https", 1) + "\n").collect();
    let csv = csv.replace("query=1,", "query=1\",");
    compare("bid/csv, one in quotes", folder.path(), &csv, &schema, TextFormat::Csv(options()), bids.len(), 2);
}

/// A bid as a line, by its number.
type Line = dyn Fn(usize, &[String; 7]) -> String;

fn as_json() -> bool {
    std::env::args().any(|argument| argument == "--json")
}

const NAMES: [&str; 7] = ["auction", "bidder", "price", "channel", "url", "dateTime", "extra"];

/// A line of JSON: numbers as they are, the rest in quotes.
fn object(values: &[String; 7], names: [&str; 7], colon: &str, comma: &str) -> String {
    let field = |(value, name): (&String, &str)| match name {
        "auction" | "bidder" | "price" => format!("\"{name}\"{colon}{value}"),
        _ => format!("\"{name}\"{colon}\"{value}\""),
    };
    format!("{{{}}}", values.iter().zip(names).map(field).collect::<Vec<_>>().join(comma))
}

/// Reads the text with our reader and with Arrow's, and asserts that the column `summed` has the same sum.
fn compare(name: &str, folder: &Path, text: &str, schema: &Schema, format: TextFormat, rows: usize, summed: usize) {
    let path = folder.join(name.replace('/', "."));
    std::fs::write(&path, text).expect("the folder takes files");
    let table = TextTable::new(vec![Input::file(path)], format.clone(), schema, OnError::Fail).expect("types of text");
    let (mut ours, mut theirs) = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        let (mut own, mut other) = ((0, 0.0), (0, 0.0));
        ours = ours.min(own_nanoseconds(|| own = read(&table, summed)) / rows as f64);
        theirs = theirs.min(own_nanoseconds(|| other = read_with_arrow(text, schema, &format, summed)) / rows as f64);
        assert_eq!((own.0, other.0), (rows, rows), "{name}: all rows are read");
        assert!((own.1 - other.1).abs() <= other.1.abs() * 1e-9, "{name}: sums {} and {}", own.1, other.1);
    }
    if as_json() {
        println!("{}", json!({ "work": name, "here": ours, "there": theirs }));
    } else {
        println!("{name:28} {ours:7.1}   arrow {theirs:7.1}   {:4.1} times", theirs / ours);
    }
}

fn read(table: &TextTable, summed: usize) -> (usize, f64) {
    let request = ScanRequest {
        system: Vec::new(),
        projection: (0..table.schema().fields().len()).collect(),
        predicates: Vec::new(),
        batch_rows: BATCH_ROWS,
        partitions: 1,
        ordered: false,
        event_time: None,
        fetch: None,
        dictionaries: false,
        counts_rows: false,
        pushed: Default::default(),
    };
    let scan = table.open(&request).expect("the file is there");
    let (mut batch, mut rows, mut sum) = (Batch::default(), 0, 0.0);
    while let Take::Morsel(mut morsel) = scan.take().expect("the file can be read") {
        batch.clear();
        while morsel.reader.read(&mut batch).expect("rows are good") {
            rows += batch.rows;
            let Column::Flat(flat) = &batch.columns[summed] else { panic!("numbers are flat") };
            sum += match &flat.values {
                Values::F64(values) => values.iter().sum::<f64>(),
                Values::I64(values) => values.iter().sum::<i64>() as f64,
                _ => panic!("the summed column is of 64-bit numbers"),
            };
            batch.clear();
        }
    }
    (rows, sum)
}

fn read_with_arrow(text: &str, schema: &Schema, format: &TextFormat, summed: usize) -> (usize, f64) {
    let schema = Arc::new(schema.clone());
    let bytes = text.as_bytes();
    let total = |records: &mut dyn Iterator<Item = Result<RecordBatch, arrow::error::ArrowError>>| {
        records.fold((0, 0.0), |(rows, sum), record| {
            let record = record.expect("rows are good");
            let column = record.column(summed);
            let more = match column.data_type() {
                DataType::Float64 => column.as_primitive::<Float64Type>().values().iter().sum::<f64>(),
                _ => column.as_primitive::<Int64Type>().values().iter().sum::<i64>() as f64,
            };
            (rows + record.num_rows(), sum + more)
        })
    };
    match format {
        TextFormat::Csv(options) => {
            let builder = arrow::csv::ReaderBuilder::new(schema).with_delimiter(options.delimiter());
            total(&mut builder.with_batch_size(BATCH_ROWS).build(bytes).expect("types of text"))
        }
        TextFormat::Json(_) => {
            let builder = arrow::json::ReaderBuilder::new(schema).with_batch_size(BATCH_ROWS);
            total(&mut builder.build(bytes).expect("types of text"))
        }
    }
}

fn field(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit
    }

    fn word(&mut self, length: usize) -> String {
        (0..length).map(|_| (b'a' + self.below(26) as u8) as char).collect()
    }
}

fn measurement(random: &mut Random) -> String {
    let station = random.below(413);
    let name = &"abcdefghijklmnopqrstuvwxyz"[(station % 7) as usize..][..3 + (station % 15) as usize];
    let tenths = random.below(1999) as i64 - 999;
    format!("{name}{station};{}{}.{}\n", if tenths < 0 { "-" } else { "" }, tenths.abs() / 10, tenths.abs() % 10)
}

fn bid(random: &mut Random, row: usize) -> [String; 7] {
    let channel = ["Google", "Facebook", "Baidu", "Apple"][random.below(4) as usize];
    [
        (1000 + random.below(100_000)).to_string(),
        (1000 + random.below(100_000)).to_string(),
        (100 + random.below(10_000_000)).to_string(),
        channel.to_string(),
        format!("https://www.nexmark.com/{}/item.htm?query=1", random.word(12)),
        format!("2023-11-14 {:02}:{:02}:{:02}.{:03}", row / 3600 % 24, row / 60 % 60, row % 60, row % 1000),
        random.word(40),
    ]
}
