//! File formats of the users' own: read and written, by option and by ending, packed, in folders, and refused.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use millstream::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchIterator, StringArray};
use millstream::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use millstream::arrow::error::ArrowError;
use millstream::engine::Engine;
use millstream::error::{Error, Result};
use millstream::pipeline::options::Options;
use millstream::pipeline::{Encoder, FileFormat, Opening};
use millstream::stream::source::of_records;

use super::{engine, engine_of, error, rows};

/// Lines of `key=number`, with another separator where the option 'separator' says so.
struct Pairs;

fn pairs_schema() -> SchemaRef {
    let key = Field::new("key", DataType::Utf8, false);
    Arc::new(Schema::new(vec![key, Field::new("number", DataType::Int64, true)]))
}

fn separator(options: &mut Options) -> Result<char> {
    let given = options.parse("separator", |text| text.parse().ok(), "a character")?;
    Ok(given.unwrap_or('='))
}

/// Batches of three rows, so that the engine's batches are others.
fn parse(text: Box<dyn Read + Send>, separator: char) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send {
    let mut lines = BufReader::new(text).lines().enumerate();
    std::iter::from_fn(move || {
        let (mut keys, mut numbers) = (Vec::new(), Vec::new());
        for (index, line) in lines.by_ref().take(3) {
            let Ok(line) = line else { return Some(Err(ArrowError::IoError("cut off".into(), line.unwrap_err()))) };
            let Some((key, number)) = line.split_once(separator) else {
                let error = Error::user(format!("line {} is no pair: {line}", index + 1));
                return Some(Err(ArrowError::ExternalError(Box::new(error))));
            };
            keys.push(key.to_string());
            numbers.push(number.parse::<i64>().ok());
        }
        let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(keys)), Arc::new(Int64Array::from(numbers))];
        (!columns[0].is_empty()).then(|| RecordBatch::try_new(pairs_schema(), columns))
    })
}

impl FileFormat for Pairs {
    fn aliases(&self) -> &[&str] {
        &["kv"]
    }

    fn endings(&self) -> &[&str] {
        &["pairs"]
    }

    fn magic(&self) -> &[&[u8]] {
        &[b"#pairs"]
    }

    fn is_text(&self) -> bool {
        true
    }

    fn reader(&self, options: &mut Options) -> Result<Opening> {
        let separator = separator(options)?;
        Ok(of_records(move |bytes, _| Ok(RecordBatchIterator::new(parse(bytes, separator), pairs_schema()))))
    }

    fn encoder(&self, schema: &SchemaRef, options: &mut Options, _: bool) -> Result<Box<dyn Encoder>> {
        if schema.fields().len() != 2 {
            return Err(Error::user(format!("a pair has two columns, not {}", schema.fields().len())));
        }
        Ok(Box::new(PairEncoder(separator(options)?)))
    }
}

struct PairEncoder(char);

impl Encoder for PairEncoder {
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let (keys, numbers) =
            (rows.column(0).as_string_view(), rows.column(1).as_primitive::<millstream::arrow::datatypes::Int64Type>());
        for (key, number) in keys.iter().zip(numbers) {
            out.extend_from_slice(format!("{}{}", key.unwrap_or(""), self.0).as_bytes());
            out.extend(number.map(|number| number.to_string()).unwrap_or_default().into_bytes());
            out.push(b'\n');
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
}

fn pairs(engine: &Engine) {
    engine.format("pairs", Pairs).unwrap();
}

fn at(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_string()
}

#[test]
fn files_are_read_by_ending_option_and_first_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name| at(folder.path(), name);
    fs::write(path("a.pairs"), "x=1\ny=2\nz=\nx=4\n").unwrap();
    fs::write(path("b.txt"), "x:10\n").unwrap();
    fs::write(path("c"), "#pairs=7\n").unwrap();
    for (batch_rows, partitions) in [(1, 1), (2, 3), (64, 2)] {
        let engine = engine_of(batch_rows, partitions);
        pairs(&engine);
        let sum = |from: &str| {
            rows(&engine, &format!("SELECT key, sum(number), count(*) FROM {from} GROUP BY key ORDER BY key"))
        };
        let a = path("a.pairs");
        assert_eq!(sum(&format!("'{a}'")), ["x 5 2", "y 2 1", "z NULL 1"]);
        assert_eq!(rows(&engine, &format!("SELECT count(*) FROM '{a}'")), ["4"], "no column is asked for");
        assert_eq!(rows(&engine, &format!("SELECT number FROM '{a}' WHERE key = 'y'")), ["2"]);
        assert_eq!(sum(&format!("'{}'", path("c"))), ["#pairs 7 1"]);
        engine
            .execute(&format!("CREATE TABLE b WITH (path = '{}', format = 'KV', separator = ':')", path("b.txt")))
            .unwrap();
        assert_eq!(sum("b"), ["x 10 1"]);
        // Columns that are declared: another order, another type, one left out.
        engine.execute(&format!("CREATE TABLE d (number DOUBLE) WITH (path = '{a}')")).unwrap();
        assert_eq!(rows(&engine, "SELECT sum(number) FROM d"), ["7.0"]);
    }
}

#[test]
fn folders_packed_files_and_event_time_work_as_with_any_format() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine();
    pairs(&engine);
    for name in ["a.pairs", "b.pairs.gz", "c.csv"] {
        let path = at(folder.path(), name);
        engine
            .execute(&format!("INSERT INTO '{path}' SELECT * FROM (VALUES ('k', 1), ('l', 2)) AS t(key, number)"))
            .unwrap();
    }
    assert_eq!(fs::read(folder.path().join("a.pairs")).unwrap(), b"k=1\nl=2\n");
    assert_eq!(fs::read(folder.path().join("b.pairs.gz")).unwrap()[..2], [0x1f, 0x8b]);
    let all = folder.path().to_str().unwrap();
    engine.execute(&format!("CREATE TABLE t WITH (path = '{all}', format = 'pairs')")).unwrap();
    assert_eq!(rows(&engine, "SELECT key, count(*) FROM t GROUP BY key ORDER BY key"), ["k 2", "l 2"]);
    assert_eq!(
        error(&engine, &format!("SELECT * FROM '{all}'")).lines().next().unwrap_or_default().split(':').next(),
        Some("files are of different formats")
    );
    engine
        .execute(&format!(
            "CREATE TABLE w (key VARCHAR, number BIGINT, at AS to_timestamp(number), WATERMARK FOR at AS at)
             WITH (path = '{all}/*.pairs*', format = 'pairs')"
        ))
        .unwrap();
    let windows = "SELECT count(*), sum(number) FROM w GROUP BY TUMBLE(at, INTERVAL '1' SECOND) ORDER BY 2";
    assert_eq!(rows(&engine, windows), ["2 2", "2 4"]);
    // Appended, with changes in front refused by the encoder in its words.
    let path = at(folder.path(), "a.pairs");
    engine.execute(&format!("CREATE TABLE s WITH (path = '{path}', append = true)")).unwrap();
    engine.execute("INSERT INTO s SELECT 'm', 3").unwrap();
    assert_eq!(rows(&engine, &format!("SELECT count(*) FROM '{path}'")), ["3"]);
    assert!(error(&engine, "INSERT INTO s SELECT key, number, number FROM t").contains("pair has two columns, not 3"));
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine();
    pairs(&engine);
    let path = at(folder.path(), "a.pairs");
    fs::write(&path, "x=1\ny=2\nz=3\nno pair\n").unwrap();
    let told = error(&engine, &format!("SELECT * FROM '{path}'"));
    assert!(told.contains("line 4 is no pair: no pair") && told.contains("a.pairs"), "{told}");
    engine.execute(&format!("CREATE TABLE t WITH (path = '{path}', seperator = ':')")).unwrap();
    let told = error(&engine, "SELECT * FROM t");
    assert!(told.contains("unknown option: 'seperator'"), "{told}");
    let taken = engine.format("other", Pairs).unwrap_err().to_string();
    assert!(taken.contains("format exists already: 'kv'"), "{taken}");

    /// It has no half.
    struct Nothing;
    impl FileFormat for Nothing {}
    engine.format("nothing", Nothing).unwrap();
    engine.execute(&format!("CREATE TABLE n WITH (path = '{path}', format = 'nothing')")).unwrap();
    assert!(error(&engine, "SELECT * FROM n").contains("format can only be written: nothing"));
    let told = error(&engine, "INSERT INTO n SELECT 1 AS x");
    assert!(told.contains("format can only be read: nothing"), "{told}");
    // Another engine does not know it.
    let told = error(&super::engine(), &format!("SELECT * FROM '{path}'"));
    assert!(told.contains("format is not known"), "{told}");
}
