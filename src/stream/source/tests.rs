//! Files of every format, written by the sinks and read back; and what happens to files that are not as they should be.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::*;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, IntervalMonthDayNano, Schema, TimeUnit};
use arrow::util::display::array_value_to_string;

use super::block::Input;
use super::file;
use super::testing::{morsels, read_all, request, try_read_all, whole};
use crate::error::Result;
use crate::pipeline::{Comparison, Connectors, Predicate, ScanRequest, Table, TableDefinition};
use crate::stream::connect::DefaultConnectors;
use crate::stream::format::Formats;

const COLUMNAR: [&str; 4] = ["parquet", "arrow", "arrows", "avro"];

fn definition(path: &Path, options: &[(&str, &str)]) -> TableDefinition {
    let path = ("path", path.to_str().unwrap());
    let options = options.iter().chain([&path]).map(|(key, value)| (key.to_string(), value.to_string())).collect();
    TableDefinition { name: "t".to_string(), schema: None, options, primary_key: Vec::new() }
}

fn open(path: &Path) -> Result<Arc<dyn Table>> {
    file::open(&definition(path, &[]), &Formats::default())
}

fn refusal(path: &Path) -> String {
    open(path).expect_err("refused").to_string()
}

fn write(path: &Path, batches: &[RecordBatch]) {
    let mut sink = DefaultConnectors::new().sink(&definition(path, &[]), batches[0].schema(), false).unwrap();
    for batch in batches {
        sink.write(batch, None).unwrap();
    }
    sink.finish().unwrap();
}

fn one(records: Vec<RecordBatch>) -> RecordBatch {
    concat_batches(&records[0].schema(), &records).unwrap()
}

/// A small generator of numbers, the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn text(&mut self) -> String {
        (0..self.next() % 20).map(|_| ['a', 'é', '日', ',', '"', '\n', ' '][(self.next() % 7) as usize]).collect()
    }

    /// Values, some of them null.
    fn column<T>(&mut self, rows: usize, mut value: impl FnMut(&mut Random) -> T) -> Vec<Option<T>> {
        (0..rows).map(|_| (!self.next().is_multiple_of(5)).then(|| value(self))).collect()
    }
}

/// Columns of the types that every format holds.
fn common_columns(random: &mut Random, rows: usize) -> Vec<(&'static str, ArrayRef)> {
    let day_us = 86_400_000_000;
    let decimals = random.column(rows, |r| i128::from(r.next() as i32));
    vec![
        ("bool", Arc::new(BooleanArray::from(random.column(rows, |r| r.next().is_multiple_of(2))))),
        ("i32", Arc::new(Int32Array::from(random.column(rows, |r| r.next() as i32)))),
        ("i64", Arc::new(Int64Array::from(random.column(rows, |r| r.next() as i64)))),
        ("f32", Arc::new(Float32Array::from(random.column(rows, |r| r.next() as i32 as f32 / 7.0)))),
        ("f64", Arc::new(Float64Array::from(random.column(rows, |r| r.next() as f64 / 3.0)))),
        ("decimal", Arc::new(Decimal128Array::from(decimals).with_precision_and_scale(20, 3).unwrap())),
        ("text", Arc::new(StringArray::from(random.column(rows, Random::text)))),
        ("bytes", Arc::new(BinaryArray::from_iter(random.column(rows, |r| r.next().to_le_bytes())))),
        ("date", Arc::new(Date32Array::from(random.column(rows, |r| (r.next() % 40_000) as i32)))),
        ("time", Arc::new(Time64MicrosecondArray::from(random.column(rows, |r| (r.next() % day_us) as i64)))),
        ("ts_ms", Arc::new(TimestampMillisecondArray::from(random.column(rows, |r| r.next() as i64 >> 20)))),
        ("ts_us", Arc::new(TimestampMicrosecondArray::from(random.column(rows, |r| r.next() as i64 >> 10)))),
        ("ts_ns", Arc::new(TimestampNanosecondArray::from(random.column(rows, |r| r.next() as i64)))),
        ("ts_utc", {
            let ticks = random.column(rows, |r| r.next() as i64 >> 10);
            Arc::new(TimestampMicrosecondArray::from(ticks).with_timezone("+00:00"))
        }),
    ]
}

/// Columns of types that only some formats hold.
fn rare_columns(random: &mut Random, rows: usize) -> Vec<(&'static str, ArrayRef)> {
    let words = random.column(rows, |r| ["x", "y", ""][(r.next() % 3) as usize]);
    vec![
        ("i8", Arc::new(Int8Array::from(random.column(rows, |r| r.next() as i8)))),
        ("i16", Arc::new(Int16Array::from(random.column(rows, |r| r.next() as i16)))),
        ("u8", Arc::new(UInt8Array::from(random.column(rows, |r| r.next() as u8)))),
        ("u16", Arc::new(UInt16Array::from(random.column(rows, |r| r.next() as u16)))),
        ("u32", Arc::new(UInt32Array::from(random.column(rows, |r| r.next() as u32)))),
        ("u64", Arc::new(UInt64Array::from(random.column(rows, Random::next)))),
        ("large", Arc::new(LargeStringArray::from(random.column(rows, Random::text)))),
        ("dictionary", Arc::new(words.into_iter().collect::<DictionaryArray<Int32Type>>())),
        ("time_s", Arc::new(Time32SecondArray::from(random.column(rows, |r| (r.next() % 86_400) as i32)))),
        ("ts_s", Arc::new(TimestampSecondArray::from(random.column(rows, |r| r.next() as i64 >> 30)))),
        ("ts_zone", {
            let ticks = random.column(rows, |r| r.next() as i64 >> 10);
            Arc::new(TimestampNanosecondArray::from(ticks).with_timezone("+02:00"))
        }),
        ("fixed", {
            let values = random.column(rows, |r| r.next().to_le_bytes());
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values.into_iter(), 8).unwrap())
        }),
    ]
}

/// Intervals, which Parquet holds to the millisecond and without mixing, and Arrow in full.
fn interval_column(random: &mut Random, rows: usize) -> ArrayRef {
    let value = |r: &mut Random| IntervalMonthDayNano::new(r.next() as i32, r.next() as i32, r.next() as i64);
    Arc::new(IntervalMonthDayNanoArray::from(random.column(rows, value)))
}

/// Lists, structs and maps.
fn nested_columns(random: &mut Random, rows: usize) -> Vec<(&'static str, ArrayRef)> {
    let mut lists = ListBuilder::new(StringBuilder::new());
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for _ in 0..rows {
        for _ in 0..random.next() % 4 {
            lists.values().append_option((!random.next().is_multiple_of(4)).then(|| random.text()));
        }
        lists.append(!random.next().is_multiple_of(4));
        maps.keys().append_value(random.text());
        maps.values().append_option((!random.next().is_multiple_of(3)).then(|| random.next() as i64));
        maps.append(true).unwrap();
    }
    let numbers = Arc::new(Int64Array::from(random.column(rows, |r| r.next() as i64))) as ArrayRef;
    let words = Arc::new(StringArray::from(random.column(rows, Random::text))) as ArrayRef;
    let members =
        vec![Arc::new(Field::new("n", DataType::Int64, true)), Arc::new(Field::new("w", DataType::Utf8, true))];
    let structs = StructArray::new(members.into(), vec![numbers, words], None);
    vec![("list", Arc::new(lists.finish())), ("map", Arc::new(maps.finish())), ("struct", Arc::new(structs))]
}

/// Values as text, independent of how their type lays them out.
fn texts(array: &dyn Array) -> Vec<Option<String>> {
    (0..array.len()).map(|row| array.is_valid(row).then(|| array_value_to_string(array, row).unwrap())).collect()
}

/// What a column is declared as, where it is.
#[derive(Clone, Copy, PartialEq)]
enum Columns {
    Declared,
    Inferred,
}

fn check_round_trip(
    ending: &str,
    declare: Columns,
    columns: impl Fn(&mut Random, usize) -> Vec<(&'static str, ArrayRef)>,
) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("data.{ending}"));
    let mut random = Random(1);
    let batches = [1500, 0, 1, 700].map(|rows| {
        let columns = columns(&mut random, rows);
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
    });
    write(&path, &batches);
    let schema = (declare == Columns::Declared).then(|| batches[0].schema());
    let table = file::open(&TableDefinition { schema, ..definition(&path, &[]) }, &Formats::default()).unwrap();
    let written = concat_batches(&batches[0].schema(), &batches).unwrap();
    let read = one(read_all(&*table, &whole(&*table)));
    assert_eq!(read.num_rows(), written.num_rows(), "{ending}");
    for (column, field) in written.schema().fields().iter().enumerate() {
        let name = field.name();
        let read_type = read.schema().field(column).data_type().clone();
        assert_eq!(read_type, crate::batch::engine_type(&read_type), "{ending} {name}: types are the engine's");
        if !field.data_type().is_nested() {
            assert_eq!(read_type, crate::batch::engine_type(field.data_type()), "{ending} {name}");
        }
        let values = texts(read.column(column)).into_iter().zip(texts(written.column(column)));
        for (row, (read, written)) in values.enumerate() {
            assert_eq!(read, written, "{ending} {name} row {row}");
        }
    }
}

#[test]
fn every_format_keeps_what_it_is_given() {
    for ending in COLUMNAR {
        check_round_trip(ending, Columns::Inferred, common_columns);
        check_round_trip(ending, Columns::Declared, common_columns);
        check_round_trip(ending, Columns::Inferred, nested_columns);
    }
    for ending in ["parquet", "arrow", "arrows"] {
        check_round_trip(ending, Columns::Inferred, rare_columns);
    }
    for ending in ["arrow", "arrows"] {
        let intervals = |random: &mut Random, rows| vec![("interval", interval_column(random, rows))];
        check_round_trip(ending, Columns::Inferred, intervals);
    }
}

#[test]
fn text_formats_keep_what_they_are_given() {
    for ending in ["json", "ndjson.zst"] {
        check_round_trip(ending, Columns::Declared, common_columns);
    }
    for ending in ["csv", "tsv", "csv.gz"] {
        // Bytes are written as hexadecimal digits and read as they stand.
        let without_bytes = |random: &mut Random, rows| {
            common_columns(random, rows).into_iter().filter(|(name, _)| *name != "bytes").collect()
        };
        check_round_trip(ending, Columns::Declared, without_bytes);
    }
    for ending in ["json", "jsonl.gz"] {
        check_round_trip(ending, Columns::Declared, nested_columns);
    }
}

#[test]
fn text_columns_are_found_out() {
    let folder = tempfile::tempdir().unwrap();
    for ending in ["csv", "tsv.zst", "json"] {
        let path = folder.path().join(format!("t.{ending}"));
        write(&path, &[numbered(0, 100)]);
        let table = open(&path).unwrap();
        let types: Vec<_> = table.schema().fields().iter().map(|field| field.data_type().clone()).collect();
        assert_eq!(types, [DataType::Int64, DataType::Utf8View, DataType::Float64], "{ending}");
        let read = one(read_all(&*table, &request(vec![1, 0], 7)));
        assert_eq!(numbers(&read, 1), (0..100).collect::<Vec<_>>(), "{ending}");
    }
    let path = folder.path().join("*.csv");
    let table = open(&path).unwrap();
    write(&folder.path().join("u.csv"), &[numbered(100, 5)]);
    let read = one(read_all(&*table, &request(vec![0], 1000)));
    assert_eq!(numbers(&read, 0), (0..105).collect::<Vec<_>>(), "a new file belongs to the table");
}

#[cfg(unix)]
#[test]
fn named_pipes_are_read_once_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let writer = std::thread::spawn({
        let path = path.clone();
        move || fs::write(path, "n,w\n1,a\n2,b\n").unwrap()
    });
    let table = file::open(&definition(&path, &[("format", "csv")]), &Formats::default()).unwrap();
    let read = one(read_all(&*table, &whole(&*table)));
    writer.join().unwrap();
    assert_eq!(numbers(&read, 0), [1, 2]);
    assert!(table.open(&whole(&*table)).and_then(|scan| scan.take()).is_err(), "a pipe cannot be read again");
}

#[test]
fn columns_of_a_slow_stream_are_found_out_of_its_first_row() {
    struct Slow(Vec<&'static [u8]>);
    impl std::io::Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            std::thread::sleep(std::time::Duration::from_millis(5));
            let Some(piece) = self.0.pop() else { return Ok(0) };
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }
    let input = Input::stream("slow", || Ok(Box::new(Slow(vec![b"3,c\n", b"2,b\n", b"1,", b"n,w\n"]))));
    let sample = input.sample(1 << 20, 2).unwrap();
    assert!(sample.starts_with(b"n,w\n1,") && sample.ends_with(b"\n"), "{sample:?}");
}

/// Numbers from `from`, and a word made of each.
fn numbered(from: i64, rows: i64) -> RecordBatch {
    let numbers = Int64Array::from_iter_values(from..from + rows);
    let words = StringArray::from_iter_values((from..from + rows).map(|n| format!("word {n}")));
    let halves = Float64Array::from_iter_values((from..from + rows).map(|n| n as f64 / 2.0));
    let columns = [("n", Arc::new(numbers) as ArrayRef), ("w", Arc::new(words)), ("h", Arc::new(halves))];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

fn numbers(record: &RecordBatch, column: usize) -> Vec<i64> {
    record.column(column).as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn projections_come_in_the_order_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for ending in COLUMNAR {
        let path = folder.path().join(format!("p.{ending}"));
        write(&path, &[numbered(0, 250), numbered(250, 50)]);
        let table = open(&path).unwrap();
        let read = one(read_all(&*table, &request(vec![2, 0, 2], 64)));
        assert_eq!(read.schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), ["h", "n", "h"]);
        assert_eq!(numbers(&read, 1), (0..300).collect::<Vec<_>>(), "{ending}");
        assert_eq!(texts(read.column(0)), texts(read.column(2)));
        let counted: usize = read_all(&*table, &request(vec![], 64)).iter().map(RecordBatch::num_rows).sum();
        assert_eq!(counted, 300, "{ending}");
    }
}

/// A Parquet file of 10 row groups of 100 rows: n is 0..1000, w and h follow it; row group 3 has no n.
fn grouped_parquet(path: &Path) {
    use parquet::arrow::ArrowWriter;
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), numbered(0, 0).schema(), None).unwrap();
    for group in 0..10 {
        let mut rows = numbered(group * 100, 100);
        if group == 3 {
            let nulls = new_null_array(&DataType::Int64, 100);
            let others = rows.columns()[1..].iter().cloned();
            rows = RecordBatch::try_new(rows.schema(), [nulls].into_iter().chain(others).collect()).unwrap();
        }
        writer.write(&rows).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn row_groups_that_cannot_match_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.parquet");
    grouped_parquet(&path);
    let table = open(&path).unwrap();
    assert_eq!(table.row_count(), Some(1000));
    let rows_read = |projection: Vec<usize>, predicates: Vec<Predicate>| {
        let request = ScanRequest { predicates, ..request(projection, 1000) };
        read_all(&*table, &request).iter().map(RecordBatch::num_rows).sum::<usize>()
    };
    let groups_read =
        |predicates: Vec<Predicate>| rows_read(vec![predicates[..].first().map_or(0, |p| p.column)], predicates) / 100;
    let n = |op, value| Predicate { column: 0, op, value: Arc::new(Int64Array::from(vec![value])) };
    assert_eq!(groups_read(vec![]), 10);
    assert_eq!(groups_read(vec![n(Comparison::Eq, 550)]), 1);
    assert_eq!(groups_read(vec![n(Comparison::Eq, 5000)]), 0);
    assert_eq!(groups_read(vec![n(Comparison::Lt, 100)]), 1);
    assert_eq!(groups_read(vec![n(Comparison::LtEq, 100)]), 2);
    assert_eq!(groups_read(vec![n(Comparison::Gt, 899)]), 1);
    assert_eq!(groups_read(vec![n(Comparison::GtEq, 899)]), 2);
    assert_eq!(groups_read(vec![n(Comparison::NotEq, 7)]), 9, "nulls never pass");
    assert_eq!(groups_read(vec![n(Comparison::Gt, 150), n(Comparison::Lt, 250)]), 2);
    let word = |op, value| Predicate { column: 1, op, value: Arc::new(StringViewArray::from(vec![value])) };
    assert_eq!(groups_read(vec![word(Comparison::Eq, "word 950")]), 1 + 1, "word 95 sorts near it in group 0");
    let half = |op, value| Predicate { column: 2, op, value: Arc::new(Float64Array::from(vec![value])) };
    assert_eq!(groups_read(vec![half(Comparison::Lt, 60.0)]), 2);
    assert_eq!(groups_read(vec![half(Comparison::Gt, 490.0)]), 10, "NaN would be greater and is not in statistics");
    assert_eq!(
        groups_read(vec![Predicate { column: 0, op: Comparison::Eq, value: new_null_array(&DataType::Int64, 1) }]),
        10
    );
    // With other columns to read, a row group of which little passes is filtered on the way.
    assert_eq!(rows_read(vec![0, 1], vec![n(Comparison::Eq, 550)]), 1);
    assert_eq!(rows_read(vec![1, 2], vec![n(Comparison::GtEq, 895)]), 5 + 100);
    assert_eq!(rows_read(vec![0, 2], vec![word(Comparison::Eq, "word 950"), n(Comparison::Gt, 5)]), 1);
    assert_eq!(rows_read(vec![1], vec![n(Comparison::NotEq, 7)]), 900, "most of it passes");
}

#[test]
fn pieces_follow_the_order_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.parquet");
    grouped_parquet(&path);
    let table = open(&path).unwrap();
    let scan = |request: &ScanRequest| {
        let scan = table.open(request).unwrap();
        morsels(&*scan).len()
    };
    assert_eq!(scan(&request(vec![0], 10)), 10);
    assert_eq!(scan(&ScanRequest { ordered: true, ..request(vec![0], 10) }), 1);
    assert_eq!(scan(&ScanRequest { fetch: Some(150), ..request(vec![0], 10) }), 2);
    let ordered = ScanRequest { ordered: true, ..request(vec![1], 30) };
    let words = one(read_all(&*table, &ordered));
    let expected: Vec<_> = (0..1000).map(|n| Some(format!("word {n}"))).collect();
    assert_eq!(texts(words.column(0)), expected);
}

#[test]
fn progress_ends_at_its_total() {
    let folder = tempfile::tempdir().unwrap();
    for ending in COLUMNAR {
        let path = folder.path().join(format!("p.{ending}"));
        write(&path, &[numbered(0, 1000)]);
        let table = open(&path).unwrap();
        let scan = table.open(&request(vec![1], 100)).unwrap();
        let mut batch = crate::batch::Batch::default();
        for mut morsel in morsels(&*scan) {
            while morsel.reader.read(&mut batch).unwrap() {}
        }
        let (bytes, total) = (&scan.progress().bytes, &scan.progress().bytes_total);
        assert!(total.load(Ordering::Relaxed) > 0);
        // An Arrow file's header and footer are not read again.
        let missing = total.load(Ordering::Relaxed) - bytes.load(Ordering::Relaxed);
        assert!(missing == 0 || ending == "arrow" && missing < 1000, "{ending}: {missing} bytes are missing");
    }
}

#[test]
fn files_without_rows_are_tables_without_rows() {
    let folder = tempfile::tempdir().unwrap();
    for ending in COLUMNAR {
        let path = folder.path().join(format!("none.{ending}"));
        write(&path, &[numbered(0, 0)]);
        let table = open(&path).unwrap();
        assert_eq!(table.schema().fields().len(), 3, "{ending}");
        assert!(read_all(&*table, &whole(&*table)).iter().all(|record| record.num_rows() == 0), "{ending}");
    }
}

#[test]
fn damaged_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for ending in COLUMNAR {
        let path = folder.path().join(format!("d.{ending}"));
        write(&path, &[numbered(0, 5000)]);
        let bytes = fs::read(&path).unwrap();
        for length in [bytes.len() - 5, bytes.len() / 2, 20, 3] {
            fs::write(&path, &bytes[..length]).unwrap();
            let result = open(&path).and_then(|table| {
                let read = try_read_all(&*table, &whole(&*table))?;
                Ok(read.iter().map(RecordBatch::num_rows).sum::<usize>())
            });
            match result {
                // Streams may end anywhere between batches, and need no end.
                Ok(rows) => assert!(ending == "arrows" && rows == 5000, "{ending} cut to {length} gave {rows} rows"),
                Err(e) => {
                    assert!(e.to_string().contains(&format!("d.{ending}")), "{ending} cut to {length}: {e}");
                }
            }
        }
        fs::write(&path, b"").unwrap();
        assert!(refusal(&path).contains(&format!("d.{ending}")));
    }
}

#[test]
fn damage_inside_names_the_row_group() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.parquet");
    grouped_parquet(&path);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at - 4000..at].fill(0xff);
    fs::write(&path, &bytes).unwrap();
    let table = open(&path).unwrap();
    let message = try_read_all(&*table, &whole(&*table)).unwrap_err().to_string();
    assert!(message.contains("g.parquet, row group "), "{message}");
}

#[test]
fn files_that_change_are_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("*.parquet");
    write(&folder.path().join("a.parquet"), &[numbered(0, 10)]);
    let table = open(&path).unwrap();
    write(&folder.path().join("a.parquet"), &[numbered(100, 3)]);
    write(&folder.path().join("b.parquet"), &[numbered(200, 1)]);
    assert_eq!(numbers(&one(read_all(&*table, &whole(&*table))), 0), [100, 101, 102, 200]);
    assert_eq!(table.row_count(), Some(4));
    fs::remove_file(folder.path().join("a.parquet")).unwrap();
    assert_eq!(numbers(&one(read_all(&*table, &whole(&*table))), 0), [200]);
}

#[test]
fn files_of_a_table_must_agree() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    write(&file("a.parquet"), &[numbered(0, 2)]);
    write(&file("b.parquet"), &[numbered(2, 2).project(&[2, 1, 0]).unwrap()]);
    let table = open(folder.path()).unwrap();
    assert_eq!(numbers(&one(read_all(&*table, &request(vec![0], 10))), 0), [0, 1, 2, 3], "order does not matter");

    write(&file("c.parquet"), &[numbered(4, 2).project(&[0, 1]).unwrap()]);
    let message = refusal(folder.path());
    let expected =
        format!("file '{}': column is not in the file: 'h'; the file has 'n', 'w'", file("c.parquet").display());
    assert_eq!(message, expected);

    let more = RecordBatch::try_from_iter([("x", new_null_array(&DataType::Int64, 1))]).unwrap();
    let columns = numbered(0, 1).columns().iter().chain(more.columns()).cloned().collect();
    let fields: Vec<_> = numbered(0, 1).schema().fields().iter().chain(more.schema().fields()).cloned().collect();
    write(&file("c.parquet"), &[RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()]);
    assert!(
        refusal(folder.path()).ends_with("column is not in the first file: 'x'; declare the columns in CREATE TABLE")
    );

    write(&file("c.arrow"), &[numbered(0, 1)]);
    assert!(refusal(folder.path()).starts_with("files are of different formats: "));
}

#[test]
fn declared_columns_decide() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, &[numbered(0, 3)]);
    let open = |name: &str, data_type: DataType, nullable| {
        let schema = Some(Arc::new(Schema::new(vec![Field::new(name, data_type, nullable)])));
        let table = file::open(&TableDefinition { schema, ..definition(&path, &[]) }, &Formats::default())?;
        try_read_all(&*table, &whole(&*table)).map(one)
    };
    let read = open("N", DataType::Int16, false).unwrap();
    assert_eq!(read.column(0).as_ref(), &Int16Array::from(vec![0, 1, 2]) as &dyn Array);
    let microseconds = DataType::Timestamp(TimeUnit::Microsecond, None);
    assert_eq!(open("n", microseconds.clone(), true).unwrap().column(0).data_type(), &microseconds);
    let message = |name, data_type| open(name, data_type, true).unwrap_err().to_string();
    assert!(message("m", DataType::Int64).contains("column is not in the file: 'm'"));
    assert!(message("h", DataType::Int64).contains("column 'h' does not fit Int64 exactly: 0.5"));
    assert!(message("w", DataType::Int64).contains("column 'w' does not fit Int64"));
}

#[test]
fn formats_are_told_by_first_bytes_too() {
    let folder = tempfile::tempdir().unwrap();
    for ending in COLUMNAR {
        let path = folder.path().join(format!("a.{ending}"));
        let bare = folder.path().join(format!("bare_{ending}"));
        write(&path, &[numbered(0, 3)]);
        fs::copy(&path, &bare).unwrap();
        assert_eq!(read_all(&*open(&bare).unwrap(), &request(vec![0], 10))[0].num_rows(), 3, "{ending}");
    }
    let path = folder.path().join("bare");
    fs::write(&path, "what is this").unwrap();
    let message = format!("format is not known: {}; say it with the option 'format'", path.display());
    assert_eq!(refusal(&path), message);
}

#[test]
fn options_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, &[numbered(0, 3)]);
    let message = file::open(&definition(&path, &[("hedaer", "1")]), &Formats::default()).unwrap_err().to_string();
    assert!(message.starts_with("unknown option: 'hedaer'; "), "{message}");
    assert!(refusal(&folder.path().join("no.parquet")).contains("no such file"));
}

#[test]
fn arrow_files_with_dictionaries_and_packed_bodies_are_read() {
    use arrow::ipc::CompressionType;
    use arrow::ipc::writer::{FileWriter, IpcWriteOptions};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.arrow");
    let words: DictionaryArray<Int32Type> = (0..9000).map(|n| Some(["x", "yy", "zzz"][n % 3])).collect();
    let columns = [("w", Arc::new(words) as ArrayRef), ("n", numbered(0, 9000).column(0).clone())];
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    for compression in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        let options = IpcWriteOptions::default().try_with_compression(Some(compression)).unwrap();
        let mut writer =
            FileWriter::try_new_with_options(fs::File::create(&path).unwrap(), &rows.schema(), options).unwrap();
        writer.write(&rows).unwrap();
        writer.write(&rows.slice(5, 10)).unwrap();
        writer.finish().unwrap();
        let table = open(&path).unwrap();
        assert_eq!(table.schema().field(0).data_type(), &DataType::Utf8View);
        let read = one(read_all(&*table, &request(vec![1, 0], 4000)));
        assert_eq!(read.num_rows(), 9010);
        assert_eq!(numbers(&read, 0)[9000..], (5..15).collect::<Vec<_>>());
        assert_eq!(texts(read.column(1))[9000], Some("zzz".to_string()));
    }
}
