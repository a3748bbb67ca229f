//! Input that is not as it should be: a clear error naming file and row, or left out and counted where asked.
#![allow(clippy::unwrap_used, clippy::err_expect, reason = "a failed unwrap in a test is a failed test")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use millstream::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use millstream::arrow::datatypes::Int64Type;
use millstream::config::Config;
use millstream::engine::Engine;
use millstream::{Error, Kind};
use parquet::arrow::ArrowWriter;

const CONFIGS: [(usize, usize); 4] = [(1, 1), (8192, 1), (3, 2), (8192, 5)];

fn engine(batch_rows: usize, partitions: usize) -> Engine {
    Engine::new(Config { batch_rows, partitions, ..Config::default() })
}

/// A file in a folder of its own.
fn file(name: &str, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}

fn create(engine: &Engine, columns: &str, path: &std::path::Path, on_error: &str) {
    let with = format!("WITH ('connector' = 'file', 'path' = '{}', 'on_error' = '{on_error}')", path.display());
    engine.execute(&format!("CREATE TABLE t ({columns}) {with}")).unwrap();
}

/// All values of `n`, sorted, and how many rows were skipped.
fn numbers(engine: &Engine) -> Result<(Vec<i64>, u64), Error> {
    let mut query = engine.sql("SELECT * FROM t")?;
    let mut all = Vec::new();
    while let Some(rows) = query.next_rows()? {
        all.extend(rows.batch.column(0).as_primitive::<Int64Type>().values());
    }
    all.sort_unstable();
    Ok((all, query.metrics().bad_rows))
}

/// A text file whose line `line` is bad: an error that names it and says `why`, or skipped.
fn check(name: &str, columns: &str, content: &[u8], line: usize, why: &[&str], kept: &[i64]) {
    let (_folder, path) = file(name, content);
    for (batch_rows, partitions) in CONFIGS {
        let failing = engine(batch_rows, partitions);
        create(&failing, columns, &path, "fail");
        let error = numbers(&failing).expect_err("the row is bad");
        let text = error.to_string();
        assert_eq!(error.kind(), Kind::User, "{text}");
        assert!(text.contains(&format!("line {line} of")) && text.contains(name), "names file and row: {text}");
        assert!(why.iter().all(|part| text.contains(part)), "says why, {why:?}: {text}");
        assert!(numbers(&failing).is_err(), "and again");

        let skipping = engine(batch_rows, partitions);
        create(&skipping, columns, &path, "skip");
        assert_eq!(
            numbers(&skipping).unwrap(),
            (kept.to_vec(), 1),
            "{name}, {batch_rows} rows, {partitions} partitions"
        );
    }
}

const COLUMNS: &str = "n BIGINT, s VARCHAR, x DOUBLE";

#[test]
fn csv_with_a_short_row() {
    check("short.csv", COLUMNS, b"n,s,x\n1,a,0.5\n2,b\n3,c,1.5\n4,d,2.5\n", 3, &["expected 3", "found 2"], &[1, 3, 4]);
}

#[test]
fn csv_with_a_word_for_a_number() {
    check("word.csv", COLUMNS, b"n,s,x\n1,a,0.5\nzwei,b,1\n3,c,1.5\n", 3, &["column n", "Int64", "zwei"], &[1, 3]);
}

#[test]
fn csv_with_a_number_too_large() {
    let text = b"n,s,x\n1,a,0.5\n9223372036854775808,b,1\n9223372036854775807,c,1.5\n";
    check("large.csv", COLUMNS, text, 3, &["column n", "9223372036854775808"], &[1, i64::MAX]);
}

#[test]
fn csv_that_is_not_utf8() {
    check("bytes.csv", "n BIGINT, s VARCHAR", b"n,s\n1,a\n2,\xff\xfe\n3,c\n", 3, &["UTF-8"], &[1, 3]);
}

#[test]
fn csv_with_a_quoted_line_break_counts_lines_as_editors_do() {
    let text = b"n,s,x\n1,\"two\nlines\",0.5\nx,b,1\n3,c,1.5\n";
    check("quoted.csv", COLUMNS, text, 4, &["column n"], &[1, 3]);
}

#[test]
fn json_of_a_wrong_type() {
    let text = b"{\"n\": 1}\n{\"n\": \"two\"}\n{\"n\": 3}\n";
    check("type.json", "n BIGINT", text, 2, &["column n", "two"], &[1, 3]);
}

#[test]
fn json_that_breaks_off() {
    let text = b"{\"n\": 1}\n{\"n\": 2\n{\"n\": 3}\n";
    check("broken.json", "n BIGINT", text, 2, &[], &[1, 3]);
}

#[test]
fn json_with_a_number_too_large() {
    let text = b"{\"n\": 1}\n{\"n\": 99999999999999999999}\n{\"n\": -9223372036854775808}\n";
    check("large.json", "n BIGINT", text, 2, &["column n", "99999999999999999999"], &[i64::MIN, 1]);
}

#[test]
fn json_that_is_not_utf8() {
    let text = b"{\"n\": 1, \"s\": \"a\"}\n{\"n\": 2, \"s\": \"\xff\"}\n{\"n\": 3, \"s\": \"c\"}\n";
    check("bytes.json", "n BIGINT, s VARCHAR", text, 2, &["UTF-8"], &[1, 3]);
}

/// A bad row far into a large file, behind many blocks and batches.
#[test]
fn the_line_is_right_deep_in_a_large_file() {
    let mut text = "n\n".to_string();
    (0..400_000).for_each(|n| text += &if n == 345_678 { "oops\n".to_string() } else { format!("{n}\n") });
    let (_folder, path) = file("deep.csv", text.as_bytes());
    for partitions in [1, 2] {
        let failing = engine(8192, partitions);
        create(&failing, "n BIGINT", &path, "fail");
        let error = numbers(&failing).expect_err("the row is bad").to_string();
        assert!(error.contains("line 345680 of"), "{error}");
        let skipping = engine(8192, partitions);
        create(&skipping, "n BIGINT", &path, "skip");
        let (kept, bad) = numbers(&skipping).unwrap();
        assert_eq!((kept.len(), bad), (399_999, 1));
    }
}

#[test]
fn a_missing_file_is_named() {
    for sql in [
        "CREATE TABLE t (n BIGINT) WITH ('connector' = 'file', 'path' = 'no/such/folder/x.csv'); SELECT n FROM t",
        "SELECT * FROM 'no/such/folder/x.parquet'",
        "SELECT * FROM 'no/such/folder/*.json'",
    ] {
        let error = engine(8192, 1).sql(sql).and_then(|query| query.drain()).err().expect("there is no such file");
        assert!(error.to_string().contains("no/such/folder"), "{sql}: {error}");
        assert!(matches!(error.kind(), Kind::User | Kind::Outside), "{sql}: {error}");
    }
    let engine = engine(8192, 1);
    engine.register_csv("t", "no/such/folder/x.csv").unwrap();
    let error = numbers(&engine).expect_err("there is no such file");
    assert!(error.to_string().contains("no/such/folder/x.csv"), "{error}");
}

fn parquet_bytes() -> Vec<u8> {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..50_000).map(|n| n * 7919 % 100_003)));
    let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn truncated_or_damaged_parquet_is_named() {
    let whole = parquet_bytes();
    let mut hollow = whole.clone();
    let middle = whole.len() / 4..whole.len() / 2;
    hollow[middle].fill(0xff);
    for (name, bytes) in [
        ("half.parquet", &whole[..whole.len() / 2]),
        ("tail.parquet", &whole[whole.len() / 2..]),
        ("tiny.parquet", &b"PAR1"[..]),
        ("empty.parquet", &b""[..]),
        ("text.parquet", &b"n\n1\n2\n3 this is no parquet\n"[..]),
        ("hollow.parquet", &hollow[..]),
    ] {
        let (_folder, path) = file(name, bytes);
        for (batch_rows, partitions) in CONFIGS {
            let engine = engine(batch_rows.max(1000), partitions);
            engine.register_parquet("t", &path).unwrap();
            match numbers(&engine) {
                Err(error) => {
                    assert!(error.to_string().contains(name), "names the file: {name}: {error}");
                    assert!(matches!(error.kind(), Kind::User | Kind::Outside), "{name}: {:?} {error}", error.kind());
                }
                // Values without a checksum may be read as others, but not fewer.
                Ok((numbers, _)) => assert!(name == "hollow.parquet" && numbers.len() == 50_000, "{name}"),
            }
        }
    }
}

#[test]
fn a_bad_file_among_good_ones_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..6 {
        fs::write(folder.path().join(format!("{number}.csv")), "n\n1\n2\n").unwrap();
    }
    fs::write(folder.path().join("3.csv"), "n\n1\nx\n2\n").unwrap();
    for (batch_rows, partitions) in CONFIGS {
        let engine = engine(batch_rows, partitions);
        create(&engine, "n BIGINT", &folder.path().join("*.csv"), "fail");
        let error = numbers(&engine).expect_err("a row is bad").to_string();
        assert!(error.contains("line 3 of") && error.contains("3.csv"), "{error}");
    }
}
