//! Pages of every kind that are read here, against the parquet crate's own reader; conditions against rows in memory.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};

use crate::batch::engine_schema;
use crate::config::Config;
use crate::engine::{Engine, Outcome};
use crate::stream::source::memory::MemoryTable;

const ROWS: usize = 5_000;

/// A number that looks random, the same each time.
fn mixed(row: usize, salt: usize) -> usize {
    let mut mixed = (row * 31 + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^= mixed >> 29;
    mixed = mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 32
}

/// Columns with few and many values, in runs and without, with and without nulls.
fn rows() -> RecordBatch {
    let every = |salt: usize, of: usize, row: usize| !mixed(row, salt).is_multiple_of(of);
    let long = "ein längerer Text, der in keinen View mehr paßt, ".repeat(4);
    let words = |row: usize| match mixed(row, 3) % 7 {
        0 => String::new(),
        1 => "short".to_string(),
        2 => format!("日本 {}", mixed(row, 4) % 1000),
        3 => format!("{long}{row}"),
        _ => format!("word number {}", mixed(row, 5) % 50),
    };
    let key: Int64Array = (0..ROWS as i64).map(Some).collect();
    let few: Int32Array = (0..ROWS).map(|row| Some((mixed(row, 1) % 13) as i32)).collect();
    let runs: Int32Array = (0..ROWS).map(|row| every(2, 9, row / 400).then_some((row / 300) as i32)).collect();
    let holes: Int64Array = (0..ROWS).map(|row| every(6, 3, row).then_some(mixed(row, 7) as i64 >> 20)).collect();
    let price =
        Decimal128Array::from_iter((0..ROWS).map(|row| every(8, 50, row).then_some(mixed(row, 9) as i128 % 100_000)));
    let rate = Decimal128Array::from_iter((0..ROWS).map(|row| Some(mixed(row, 10) as i128 % 11)));
    let half: Float64Array = (0..ROWS).map(|row| every(11, 7, row).then_some(mixed(row, 12) as f64 / 2.0)).collect();
    let day = Date32Array::from_iter((0..ROWS).map(|row| Some((mixed(row, 13) % 2500) as i32)));
    let byte: UInt8Array = (0..ROWS).map(|row| Some(mixed(row, 14) as u8)).collect();
    let word: StringArray = (0..ROWS).map(|row| Some(words(row))).collect();
    let flag: StringArray =
        (0..ROWS).map(|row| every(15, 4, row).then(|| ["A", "N", "R"][mixed(row, 16) % 3])).collect();
    let raw: BinaryArray =
        (0..ROWS).map(|row| every(17, 5, row).then_some([0xff, row as u8, (row >> 8) as u8])).collect();
    let none = new_null_array(&DataType::Int32, ROWS);
    let columns: [(&str, ArrayRef, bool); 13] = [
        ("key", Arc::new(key), false),
        ("few", Arc::new(few), false),
        ("runs", Arc::new(runs), true),
        ("holes", Arc::new(holes), true),
        ("price", Arc::new(price.with_precision_and_scale(15, 2).unwrap()), true),
        ("rate", Arc::new(rate.with_precision_and_scale(9, 2).unwrap()), false),
        ("half", Arc::new(half), true),
        ("day", Arc::new(day), true),
        ("byte", Arc::new(byte), false),
        ("word", Arc::new(word), true),
        ("flag", Arc::new(flag), true),
        ("raw", Arc::new(raw), true),
        ("none", none, true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// The ways to write a file, as names and properties.
fn ways() -> Vec<(&'static str, WriterProperties)> {
    let small = || {
        let small = WriterProperties::builder().set_data_page_row_count_limit(700).set_write_batch_size(100);
        small.set_max_row_group_row_count(Some(2_100)).set_statistics_enabled(EnabledStatistics::Chunk)
    };
    let snappy = Compression::SNAPPY;
    vec![
        ("as it comes", WriterProperties::builder().build()),
        ("small pages", small().set_compression(snappy).build()),
        ("no dictionary", small().set_dictionary_enabled(false).build()),
        ("a dictionary that overflows", small().set_dictionary_page_size_limit(300).build()),
        ("version 2", small().set_writer_version(WriterVersion::PARQUET_2_0).set_compression(snappy).build()),
        ("of the crate's codecs", small().set_compression(Compression::LZ4_RAW).build()),
    ]
}

fn write(path: &Path, rows: &RecordBatch, properties: WriterProperties) {
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

fn engine(batch_rows: usize) -> Engine {
    shared(batch_rows, 1)
}

/// Several workers take row groups, and parts of the last ones.
fn shared(batch_rows: usize, partitions: usize) -> Engine {
    Engine::new(Config { partitions, batch_rows, ..Config::default() })
}

fn asked(engine: &Engine, sql: &str) -> RecordBatch {
    let query = engine.sql(sql).unwrap();
    let schema = query.schema().clone();
    concat_batches(&schema, &query.collect().unwrap()).unwrap()
}

#[test]
fn pages_hold_what_the_crates_own_reader_finds() {
    let folder = tempfile::tempdir().unwrap();
    let rows = rows();
    for (name, properties) in ways() {
        let path = folder.path().join("t.parquet");
        write(&path, &rows, properties);
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap().build().unwrap();
        let records: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        let whole = concat_batches(&records[0].schema(), &records).unwrap();
        for (batch_rows, partitions) in [(7, 1), (7, 3), (100, 2), (1_000, 1), (8_192, 1)] {
            let engine = shared(batch_rows, partitions);
            engine.register_file("t", &path).unwrap();
            let read = asked(&engine, if partitions > 1 { "SELECT * FROM t ORDER BY key" } else { "SELECT * FROM t" });
            for (at, field) in whole.schema().fields().iter().enumerate() {
                let wanted = cast(whole.column(at), read.column(at).data_type()).unwrap();
                assert_eq!(read.column(at), &wanted, "{name}, {} in batches of {batch_rows}", field.name());
            }
        }
    }
}

/// Ways that nobody thought of: codec, version, pages, dictionaries and row groups by chance.
#[test]
fn pages_of_any_kind_hold_what_the_crates_own_reader_finds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let rows = rows();
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::ZSTD(ZstdLevel::try_new(1).unwrap()),
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4_RAW,
    ];
    for seed in 0..18 {
        let pick = |salt: usize, of: usize| mixed(seed, 40 + salt) % of;
        let version = [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0][pick(0, 2)];
        let properties = WriterProperties::builder()
            .set_writer_version(version)
            .set_compression(codecs[seed % codecs.len()])
            .set_data_page_row_count_limit([50, 333, 2_000, 20_000][pick(1, 4)])
            .set_write_batch_size([1, 10, 100, 1_000][pick(2, 4)])
            .set_dictionary_enabled(pick(3, 4) > 0)
            .set_dictionary_page_size_limit([100, 2_000, 1 << 20][pick(4, 3)])
            .set_max_row_group_row_count(Some([900, 2_500, 1 << 20][pick(5, 3)]));
        write(&path, &rows, properties.build());
        let engine = shared([10, 1_000, 8_192][pick(6, 3)], 1 + pick(7, 3));
        engine.register_file("t", &path).unwrap();
        let sorted = |filter: &str| asked(&engine, &format!("SELECT * FROM t {filter} ORDER BY key"));
        let (read, few) = (sorted(""), sorted("WHERE few = 3"));
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap().build().unwrap();
        let records: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        let whole = concat_batches(&records[0].schema(), &records).unwrap();
        let is_three = whole.column(1).as_primitive::<Int32Type>().iter().map(|few| Some(few == Some(3))).collect();
        let threes = arrow::compute::filter_record_batch(&whole, &is_three).unwrap();
        for (read, whole) in [(read, whole), (few, threes)] {
            for (at, field) in whole.schema().fields().iter().enumerate() {
                let wanted = cast(whole.column(at), read.column(at).data_type()).unwrap();
                assert_eq!(read.column(at), &wanted, "seed {seed}, {}", field.name());
            }
        }
    }
}

#[test]
fn pages_larger_than_what_is_read_at_once_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let numbers: Int64Array = (0..150_000).map(|row| Some(mixed(row, 50) as i64 >> (row % 50))).collect();
    let words: StringArray = (0..150_000).map(|row| Some(format!("{:x}", mixed(row, 51)))).collect();
    let columns: [(&str, ArrayRef, bool); 2] = [("n", Arc::new(numbers), true), ("w", Arc::new(words), true)];
    let rows = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    for codec in [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default())] {
        for dictionary in [true, false] {
            let large = WriterProperties::builder().set_compression(codec).set_dictionary_enabled(dictionary);
            let large = large.set_data_page_row_count_limit(70_000).set_data_page_size_limit(64 << 20);
            write(&path, &rows, large.set_dictionary_page_size_limit(3 << 20).build());
            let engine = engine(8_192);
            engine.register_file("t", &path).unwrap();
            let read = asked(&engine, "SELECT n, w FROM t");
            for at in 0..2 {
                let wanted = cast(rows.column(at), read.column(at).data_type()).unwrap();
                assert_eq!(read.column(at), &wanted, "{codec:?}, with a dictionary: {dictionary}");
            }
        }
    }
}

#[test]
fn conditions_leave_the_rows_that_they_leave_of_memory() {
    let folder = tempfile::tempdir().unwrap();
    let rows = rows();
    let schema = engine_schema(&rows.schema());
    let columns =
        rows.columns().iter().zip(schema.fields()).map(|(column, field)| cast(column, field.data_type()).unwrap());
    let in_memory = RecordBatch::try_new(schema.clone(), columns.collect()).unwrap();
    let conditions = [
        "few = 3",
        "few < 2 AND day >= DATE '1972-01-01'",
        "runs IS NULL",
        "holes > 0 AND price < 300",
        "price BETWEEN 100 AND 110 AND rate IN (0.05, 0.06) AND few <> 7",
        "word LIKE '%number 1%' OR flag = 'R'",
        "flag = 'A' AND word > 'w'",
        "flag IS NULL AND half < 1000000000",
        "key < 40",
        "key >= 4990",
        "key > 2090 AND key < 2110",
        "byte % 5 = 1 AND 10 / (byte % 5) > 3",
        "none = 1",
        "day < DATE '1970-06-01' AND raw IS NOT NULL",
    ];
    for (name, properties) in ways() {
        let path = folder.path().join("t.parquet");
        write(&path, &rows, properties);
        for (batch_rows, partitions) in [(7, 1), (40, 3), (1_000, 1), (8_192, 1)] {
            let engine = shared(batch_rows, partitions);
            let order = if partitions > 1 { " ORDER BY key" } else { "" };
            engine.register_file("t", &path).unwrap();
            engine
                .register_table("m", Arc::new(MemoryTable::new(schema.clone(), vec![in_memory.clone()]).unwrap()))
                .unwrap();
            for condition in conditions {
                for columns in ["*", "key", "word, key, price", "raw, flag, none"] {
                    let [of_file, of_memory] = ["t", "m"].map(|table| {
                        asked(&engine, &format!("SELECT {columns} FROM {table} WHERE {condition}{order}"))
                    });
                    for (at, field) in of_memory.schema().fields().iter().enumerate() {
                        let (of_file, of_memory) = (of_file.column(at), of_memory.column(at));
                        let name = format!("{name}, {} of {columns} where {condition}", field.name());
                        assert_eq!(of_file, of_memory, "{name} in batches of {batch_rows}");
                    }
                }
            }
            let groups = "SELECT flag, count(*), sum(price) FROM {} WHERE few < 6 GROUP BY flag ORDER BY flag";
            let [of_file, of_memory] = ["t", "m"].map(|table| asked(&engine, &groups.replace("{}", table)));
            assert_eq!(of_file, of_memory, "{name}");
        }
    }
}

/// Tables of a star: facts, things they are about, and places; keys with gaps and nulls, some without a partner.
fn star() -> Vec<(&'static str, RecordBatch)> {
    let fact = |row: usize| (!mixed(row, 21).is_multiple_of(11)).then_some((mixed(row, 22) % 900) as i64 * 3 - 500);
    let thing: Int64Array = (0..ROWS).map(fact).collect();
    let place = Int32Array::from_iter_values((0..ROWS).map(|row| (mixed(row, 23) % 70) as i32));
    let number = Int64Array::from_iter_values(0..ROWS as i64);
    let amount = Decimal128Array::from_iter_values((0..ROWS).map(|row| mixed(row, 24) as i128 % 10_000));
    let facts: [(&str, ArrayRef, bool); 4] = [
        ("number", Arc::new(number), true),
        ("thing", Arc::new(thing), true),
        ("place", Arc::new(place), true),
        ("amount", Arc::new(amount.with_precision_and_scale(15, 2).unwrap()), true),
    ];
    let ids = || (0..700).filter(|id| id % 7 != 3);
    let id = Int64Array::from_iter_values(ids().map(|id| id * 3 - 200));
    let kind = StringArray::from_iter_values(ids().map(|id| ["red", "green", "blue", "grey"][id as usize % 4]));
    let far = Int64Array::from_iter_values(ids().map(|id| id * 1_000_003_000_007));
    let things: [(&str, ArrayRef, bool); 3] =
        [("id", Arc::new(id), true), ("kind", Arc::new(kind), true), ("far", Arc::new(far), true)];
    let at = Int32Array::from_iter_values((0..50).rev());
    let name = StringArray::from_iter_values((0..50).rev().map(|at| format!("place {}", at % 9)));
    let places: [(&str, ArrayRef, bool); 2] = [("at", Arc::new(at), true), ("name", Arc::new(name), true)];
    let of = |columns: Vec<(&'static str, ArrayRef, bool)>| RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    vec![("facts", of(facts.to_vec())), ("things", of(things.to_vec())), ("places", of(places.to_vec()))]
}

const JOINS: [&str; 16] = [
    "SELECT number, kind FROM facts JOIN things ON thing = id WHERE kind = 'red'",
    "SELECT number, kind, name FROM facts JOIN things ON thing = id JOIN places ON place = at WHERE kind = 'blue' AND name = 'place 3'",
    "SELECT number, kind FROM facts LEFT JOIN things ON thing = id AND kind = 'red'",
    "SELECT number, id FROM facts RIGHT JOIN things ON thing = id WHERE kind = 'green'",
    "SELECT number, id FROM facts FULL JOIN things ON thing = id",
    "SELECT number FROM facts WHERE thing IN (SELECT id FROM things WHERE kind = 'grey')",
    "SELECT number FROM facts WHERE thing NOT IN (SELECT id FROM things WHERE kind = 'grey')",
    "SELECT number FROM facts WHERE NOT EXISTS (SELECT 1 FROM things WHERE id = thing AND kind = 'grey')",
    "SELECT id FROM things WHERE EXISTS (SELECT 1 FROM facts WHERE id = thing AND amount > 90) AND kind = 'red'",
    "SELECT id FROM things WHERE NOT EXISTS (SELECT 1 FROM facts WHERE id = thing AND amount > 20) AND kind = 'red'",
    "SELECT kind, count(*), sum(amount) FROM facts JOIN things ON thing = id WHERE id < 100 GROUP BY kind",
    "SELECT number, amount FROM facts JOIN things ON id = thing WHERE kind = 'red' AND amount < (SELECT 0.5 * avg(amount) FROM facts AS other WHERE other.thing = id)",
    "SELECT a.number, b.number FROM facts AS a JOIN facts AS b ON a.thing = b.thing AND a.place = b.place WHERE a.number < 40",
    "SELECT a.id, b.id FROM things AS a JOIN things AS b ON a.far = b.far WHERE a.kind = 'red' AND a.id < 500",
    "SELECT number, thing FROM (SELECT number, thing FROM facts UNION ALL SELECT number + 10000, thing FROM facts) AS both JOIN things ON thing = id WHERE kind = 'blue'",
    "SELECT id, n FROM things LEFT JOIN (SELECT thing, count(*) AS n FROM facts GROUP BY thing) AS counted ON thing = id WHERE kind = 'red'",
];

#[test]
fn joins_whose_scans_ask_for_keys_give_what_those_of_memory_give() {
    let folder = tempfile::tempdir().unwrap();
    let lines = |engine: &Engine, sql: &str| {
        let read = asked(engine, sql);
        let text = arrow::util::pretty::pretty_format_batches(&[read]).unwrap().to_string();
        let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
        lines.sort();
        lines
    };
    for (name, rows) in star() {
        let small = WriterProperties::builder().set_data_page_row_count_limit(300).set_write_batch_size(50);
        write(&folder.path().join(name), &rows, small.set_max_row_group_row_count(Some(900)).build());
    }
    for partitions in [1, 2, 3] {
        for batch_rows in [64, 8_192] {
            let engine = |of_files: bool| {
                let engine = Engine::new(Config { partitions, batch_rows, ..Config::default() });
                for (name, rows) in star() {
                    if of_files {
                        let path = folder.path().join(name);
                        let sql =
                            format!("CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{}'", path.display());
                        engine.execute(&sql).unwrap();
                        continue;
                    }
                    let schema = engine_schema(&rows.schema());
                    let columns = rows.columns().iter().zip(schema.fields());
                    let columns = columns.map(|(column, field)| cast(column, field.data_type()).unwrap()).collect();
                    let rows = RecordBatch::try_new(schema.clone(), columns).unwrap();
                    engine.register_table(name, Arc::new(MemoryTable::new(schema, vec![rows]).unwrap())).unwrap();
                }
                engine
            };
            let (files, memory) = (engine(true), engine(false));
            for sql in JOINS {
                assert_eq!(
                    lines(&files, sql),
                    lines(&memory, sql),
                    "{sql}, {partitions} partitions, {batch_rows} rows"
                );
            }
        }
    }
}

#[test]
fn headers_tell_how_many_rows_a_condition_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(8_192);
    for (name, rows) in star() {
        write(&folder.path().join(name), &rows, WriterProperties::default());
        let path = folder.path().join(name);
        engine
            .execute(&format!("CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{}'", path.display()))
            .unwrap();
    }
    let plan = |sql: &str| {
        let Outcome::Text(text) = engine.execute(&format!("EXPLAIN PIPELINE {sql}")).unwrap() else { panic!("{sql}") };
        text
    };
    let narrow = plan("SELECT kind FROM facts JOIN things ON thing = id WHERE number >= 100 AND number < 150");
    assert!(narrow.contains("id is a key thing of a join"), "50 of 5000 facts are fewer than 600 things: {narrow}");
    let wide = plan("SELECT kind FROM facts JOIN things ON thing = id WHERE number >= 100 AND number < 4150");
    assert!(wide.contains("thing is a key id of a join"), "4050 facts are more: {wide}");
    let table = super::super::file::open(
        &crate::pipeline::TableDefinition {
            name: "things".to_string(),
            schema: None,
            options: [("path", folder.path().join("things").to_str().unwrap()), ("format", "parquet")]
                .map(|(key, value)| (key.to_string(), value.to_string()))
                .into(),
            primary_key: Vec::new(),
        },
        &crate::stream::format::Formats::default(),
    );
    let count = table.unwrap().distinct_count(1).expect("strings in a dictionary");
    assert!((3..=6).contains(&count), "four kinds, about: {count}");
}

#[test]
fn a_condition_fails_for_the_rows_that_those_before_it_left_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    write(&path, &rows(), WriterProperties::default());
    let engine = engine(1_000);
    engine.register_file("t", &path).unwrap();
    let quotient = asked(&engine, "SELECT count(*) FROM t WHERE few <> 0 AND 12 / few = 4");
    let plain = asked(&engine, "SELECT count(*) FROM t WHERE few = 3");
    assert_eq!(quotient.column(0).as_primitive::<Int64Type>(), plain.column(0).as_primitive::<Int64Type>());
    let error = engine.sql("SELECT key FROM t WHERE 12 / few = 4").unwrap().collect().unwrap_err();
    assert!(error.to_string().contains("division by zero"), "{error}");
    let none = asked(&engine, "SELECT few FROM t WHERE key < 0");
    assert_eq!(none.column(0).as_primitive::<Int32Type>().len(), 0);
}

#[test]
fn headers_of_pages_that_lie_are_errors_and_no_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    // Many small pages of few columns, so that most bytes are headers.
    let rows = rows().project(&[2, 3, 10]).unwrap().slice(0, 300);
    for (version, codec) in [
        (WriterVersion::PARQUET_1_0, Compression::UNCOMPRESSED),
        (WriterVersion::PARQUET_2_0, Compression::UNCOMPRESSED),
        (WriterVersion::PARQUET_1_0, Compression::SNAPPY),
        (WriterVersion::PARQUET_2_0, Compression::ZSTD(ZstdLevel::default())),
        (WriterVersion::PARQUET_1_0, Compression::LZ4_RAW),
    ] {
        let small = WriterProperties::builder().set_writer_version(version).set_data_page_row_count_limit(10);
        let small = small.set_compression(codec);
        let small = small.set_write_batch_size(10).set_statistics_enabled(EnabledStatistics::None);
        write(&path, &rows, small.set_offset_index_disabled(true).build());
        let whole = std::fs::read(&path).unwrap();
        let footer = u32::from_le_bytes(whole[whole.len() - 8..whole.len() - 4].try_into().unwrap()) as usize;
        let step = if codec == Compression::UNCOMPRESSED { 1 } else { 7 };
        for at in (4..whole.len() - 8 - footer).step_by(step) {
            let mut changed = whole.clone();
            changed[at] ^= 0x06;
            std::fs::write(&path, &changed).unwrap();
            let engine = engine(1_000);
            if engine.register_file("t", &path).is_err() {
                continue;
            }
            if let Err(error) = engine.sql("SELECT * FROM t").and_then(|query| query.collect()) {
                assert!(!error.to_string().contains("panicked"), "byte {at}: {error}");
            }
        }
    }
}

#[test]
fn pages_that_are_cut_off_or_changed_are_errors_and_no_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let codecs = [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default())];
    for (dictionary, codec) in [true, false].into_iter().flat_map(|dictionary| codecs.map(|codec| (dictionary, codec)))
    {
        let properties = WriterProperties::builder().set_dictionary_enabled(dictionary).set_compression(codec);
        write(&path, &rows(), properties.build());
        let whole = std::fs::read(&path).unwrap();
        for at in (4..whole.len() - 4_000).step_by(whole.len() / 100) {
            let mut changed = whole.clone();
            changed[at] ^= 0x55;
            changed[at + 1] ^= 0x0f;
            std::fs::write(&path, &changed).unwrap();
            let engine = engine(1_000);
            if engine.register_file("t", &path).is_err() {
                continue;
            }
            if let Err(error) = engine.sql("SELECT * FROM t").and_then(|query| query.collect()) {
                assert!(!error.to_string().contains("panicked"), "{error}");
            }
        }
    }
}

/// Floats with two zeros, signed NaN and infinities, beside all other columns.
fn rows_with_odd_floats() -> RecordBatch {
    let odd = |row: usize| match mixed(row, 60) % 40 {
        0 => f64::NAN,
        1 => -f64::NAN,
        2 => f64::INFINITY,
        3 => f64::NEG_INFINITY,
        4 => -0.0,
        5 => 0.0,
        other => other as f64 - 20.0,
    };
    let odd: Float64Array = (0..ROWS).map(|row| (!mixed(row, 61).is_multiple_of(9)).then(|| odd(row))).collect();
    let rows = rows();
    let names = rows.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    let columns = names.iter().map(String::as_str).zip(rows.columns().iter().cloned());
    let columns = columns.chain([("odd", Arc::new(odd) as ArrayRef)]).map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// A query of the first rows by chance, of a table `t`.
fn first_rows_by_chance(seed: usize) -> String {
    let pick = |salt: usize, of: usize| mixed(seed, 80 + salt) % of;
    let keys =
        ["key", "few", "runs", "holes", "price", "rate", "half", "day", "byte", "word", "flag", "raw", "none", "odd"];
    let order = |salt: usize| {
        let way = ["", " DESC", " ASC NULLS FIRST", " DESC NULLS LAST", " NULLS LAST", " DESC NULLS FIRST"];
        keys[pick(salt, keys.len())].to_string() + way[pick(salt + 1, way.len())]
    };
    let order =
        [order(0), format!("{}, {}", order(0), order(2)), "few + 1, key".to_string(), format!("{}, -key", order(4))]
            [[0, 0, 1, 1, 2, 3][pick(6, 6)]]
        .clone();
    let columns =
        ["*", "key, word", "word", "odd, flag, key", "key, few + 1 AS more, raw", "key, 100 / (few + 1) AS part"];
    let conditions = [
        "",
        "WHERE few = 3",
        "WHERE word LIKE '%number 1%'",
        "WHERE holes > 0 AND flag IS NOT NULL",
        "WHERE few <> 0 AND 12 / few = 4",
        "WHERE key > 4000",
        "WHERE half < 1e18 OR flag = 'R'",
    ];
    let limits = ["1", "1", "3", "10", "1 OFFSET 2", "100 OFFSET 30", "2500", "6000", "0"];
    let (columns, condition) = (columns[pick(7, columns.len())], conditions[pick(8, conditions.len())]);
    let limit = limits[pick(9, limits.len())];
    match pick(10, 6) {
        0 => {
            let rank = ["row_number", "rank", "dense_rank"][pick(11, 3)];
            // Which of equal rows is numbered first is not said: they are equal in all that is shown.
            let shown =
                if rank == "row_number" { order.split([' ', ',']).next().unwrap_or("key") } else { "key, word" };
            let shown = if shown == "few" && order.starts_with("few +") { "key" } else { shown };
            format!(
                "SELECT {shown}, n FROM (SELECT *, {rank}() OVER (ORDER BY {order}) AS n FROM t {condition}) AS ranked WHERE n <= {}",
                [1, 2, 5, 40][pick(12, 4)]
            )
        }
        1 => format!(
            "SELECT {columns} FROM (SELECT * FROM t {condition} UNION ALL SELECT * FROM t WHERE few = 5) AS t ORDER BY {order} LIMIT {limit}"
        ),
        _ => format!("SELECT {columns} FROM t {condition} ORDER BY {order} LIMIT {limit}"),
    }
}

#[test]
fn first_rows_are_those_of_a_table_that_reads_all() {
    let folder = tempfile::tempdir().unwrap();
    let rows = rows_with_odd_floats();
    let schema = engine_schema(&rows.schema());
    let columns =
        rows.columns().iter().zip(schema.fields()).map(|(column, field)| cast(column, field.data_type()).unwrap());
    let in_memory = RecordBatch::try_new(schema.clone(), columns.collect()).unwrap();
    let shown = |engine: &Engine, sql: &str| {
        let text = match engine.sql(sql).and_then(|query| query.collect()) {
            Ok(batches) => arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string(),
            Err(error) => format!("{error}").split(" (").next().unwrap_or_default().to_string(),
        };
        let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
        // A rank has no order of its own.
        if sql.contains("OVER") {
            lines.sort();
        }
        lines
    };
    for (way, (name, properties)) in ways().into_iter().enumerate() {
        let path = folder.path().join("t.parquet");
        write(&path, &rows, properties);
        for partitions in [1, 3] {
            let engine = Engine::new(Config { partitions, batch_rows: [100, 1_000][way % 2], ..Config::default() });
            engine.register_file("t", &path).unwrap();
            let memory = Engine::new(Config { partitions: 1, ..Config::default() });
            memory
                .register_table("t", Arc::new(MemoryTable::new(schema.clone(), vec![in_memory.clone()]).unwrap()))
                .unwrap();
            for case in 0..80 {
                let sql = first_rows_by_chance(case + 1000 * way + 100 * partitions);
                assert_eq!(shown(&engine, &sql), shown(&memory, &sql), "{name}, {partitions} partitions: {sql}");
            }
        }
    }
}

#[test]
fn first_rows_of_joins_are_those_of_tables_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    for (name, rows) in star() {
        let small = WriterProperties::builder().set_data_page_row_count_limit(300).set_write_batch_size(50);
        write(&folder.path().join(name), &rows, small.set_max_row_group_row_count(Some(900)).build());
    }
    let joins = [
        "SELECT number, kind FROM facts JOIN things ON thing = id ORDER BY number DESC LIMIT 7",
        "SELECT number, kind FROM facts LEFT JOIN things ON thing = id AND kind = 'red' ORDER BY number LIMIT 5",
        "SELECT number, id FROM things RIGHT JOIN facts ON thing = id ORDER BY amount, number DESC LIMIT 9",
        "SELECT number, id FROM facts FULL JOIN things ON thing = id ORDER BY number NULLS FIRST, id LIMIT 9",
        "SELECT number FROM facts WHERE thing IN (SELECT id FROM things WHERE kind = 'grey') ORDER BY number LIMIT 3",
        "SELECT number FROM facts WHERE thing NOT IN (SELECT id FROM things WHERE kind = 'grey') ORDER BY place DESC, number LIMIT 4",
        "SELECT number, place, amount FROM facts, (SELECT avg(amount) AS usual FROM facts) AS a WHERE amount > usual ORDER BY amount LIMIT 4",
        "SELECT number, thing FROM (SELECT * FROM facts ORDER BY amount LIMIT 50) AS f ORDER BY number LIMIT 6",
        "SELECT place, n FROM (SELECT place, count(*) AS n FROM facts GROUP BY place) AS g ORDER BY n DESC, place LIMIT 6",
    ];
    for partitions in [1, 3] {
        let engines = [true, false].map(|of_files| {
            let engine = Engine::new(Config { partitions, batch_rows: 128, ..Config::default() });
            for (name, rows) in star() {
                if of_files {
                    let path = folder.path().join(name);
                    let sql = format!("CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{}'", path.display());
                    engine.execute(&sql).unwrap();
                    continue;
                }
                let schema = engine_schema(&rows.schema());
                let columns = rows.columns().iter().zip(schema.fields());
                let columns = columns.map(|(column, field)| cast(column, field.data_type()).unwrap()).collect();
                let rows = RecordBatch::try_new(schema.clone(), columns).unwrap();
                engine.register_table(name, Arc::new(MemoryTable::new(schema, vec![rows]).unwrap())).unwrap();
            }
            engine
        });
        for sql in joins {
            let [of_files, of_memory] = engines.each_ref().map(|engine| asked(engine, sql));
            let shown = |rows| arrow::util::pretty::pretty_format_batches(&[rows]).unwrap().to_string();
            assert_eq!(shown(of_files), shown(of_memory), "{partitions} partitions: {sql}");
        }
    }
}

#[test]
fn a_scan_below_first_rows_says_so_and_reads_less() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let small = WriterProperties::builder().set_max_row_group_row_count(Some(500));
    write(&path, &rows(), small.build());
    let engine = engine(100);
    engine.register_file("t", &path).unwrap();
    let text = |sql: &str| {
        let Outcome::Text(text) = engine.execute(sql).unwrap() else { panic!("{sql}") };
        text
    };
    let analyzed = text("EXPLAIN ANALYZE SELECT * FROM t WHERE few > 2 ORDER BY key DESC LIMIT 3");
    assert!(analyzed.contains("may skip rows behind the first 3 by key DESC"), "{analyzed}");
    // Of the last row group, which is read first, the first hundred rows at most are read for nothing.
    let behind = analyzed.split("behind the first ones ").nth(1).and_then(|rest| rest.split('\n').next());
    let behind: usize = behind.and_then(|rows| rows.parse().ok()).unwrap_or_default();
    assert!(behind >= 4_500, "{analyzed}");
    for (sql, why) in [
        ("SELECT key FROM t ORDER BY key + 1 LIMIT 3", "what is computed has no statistics and no page"),
        ("SELECT key FROM t WHERE 100 / few > 3 ORDER BY 100 / few LIMIT 3", "a key may fail"),
        ("SELECT key, 100 / (few - 50) AS part FROM t ORDER BY key LIMIT 3", "a column may fail"),
        ("SELECT few, count(*) FROM t GROUP BY few ORDER BY few LIMIT 3", "groups come when all rows have"),
        ("SELECT key FROM t ORDER BY key", "all rows are wanted"),
    ] {
        let plan = text(&format!("EXPLAIN PIPELINE {sql}"));
        assert!(!plan.contains("behind the first"), "{why}: {plan}");
    }
}
