//! What sinks write, when it can be seen, and how they end.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};

use super::channel::channel;
use super::{blackhole, callback, file, memory};
use crate::batch::Change;
use crate::error::{Error, Kind, Result};
use crate::pipeline::{Connectors, Sink, TableDefinition};
use crate::stream::connect::DefaultConnectors;
use crate::stream::format::Formats;
use crate::stream::source;
use crate::stream::source::testing::{read_all, whole};

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("k", DataType::Utf8View, true), Field::new("n", DataType::Int64, true)]))
}

fn rows(keys: &[&str], numbers: &[i64]) -> RecordBatch {
    let keys = Arc::new(StringViewArray::from(keys.to_vec())) as ArrayRef;
    RecordBatch::try_new(schema(), vec![keys, Arc::new(Int64Array::from(numbers.to_vec()))]).unwrap()
}

fn definition(options: &[(&str, &str)]) -> TableDefinition {
    let options = options.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    TableDefinition { name: "t".to_string(), schema: None, options, primary_key: Vec::new() }
}

fn open(path: &Path, updating: bool) -> Box<dyn Sink> {
    file::open(&definition(&[("path", path.to_str().unwrap())]), schema(), updating, &Formats::default()).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const CHANGES: [Change; 4] = [Change::INSERT, Change::UPDATE_BEFORE, Change::UPDATE_AFTER, Change::UPDATE_BEFORE];

#[test]
fn text_can_be_seen_after_each_flush() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let mut sink = open(&path, false);
    sink.write(&rows(&["a"], &[1]), None).unwrap();
    sink.flush().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "k,n\na,1\n");
    sink.write(&rows(&["b"], &[2]), Some(&[Change::INSERT])).unwrap();
    sink.finish().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "k,n\na,1\nb,2\n");
}

#[test]
fn streams_can_be_read_while_they_grow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.arrows");
    let mut sink = open(&path, false);
    sink.write(&rows(&["a"], &[1]), None).unwrap();
    sink.flush().unwrap();
    let table = source::file::open(&definition(&[("path", path.to_str().unwrap())]), &Formats::default()).unwrap();
    assert_eq!(read_all(&*table, &whole(&*table))[0].num_rows(), 1);
}

#[test]
fn files_with_a_footer_appear_when_they_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    for ending in ["parquet", "arrow", "avro"] {
        let path = folder.path().join(format!("a.{ending}"));
        fs::write(&path, "old").unwrap();
        let mut sink = open(&path, false);
        sink.write(&rows(&["a"], &[1]), None).unwrap();
        sink.flush().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        sink.finish().unwrap();
        assert_ne!(fs::read(&path).unwrap(), b"old");
        let mut dropped = open(&path, false);
        dropped.write(&rows(&["a"], &[1]), None).unwrap();
        drop(dropped);
    }
    assert_eq!(names(folder.path()), ["a.arrow", "a.avro", "a.parquet"], "nothing is left over");
}

#[test]
fn updates_are_told_by_their_first_column() {
    let folder = tempfile::tempdir().unwrap();
    let given = rows(&["a", "a", "a", "b"], &[1, 1, 2, 3]);
    let path = folder.path().join("a.csv");
    let mut sink = open(&path, true);
    sink.write(&given, Some(&CHANGES)).unwrap();
    sink.write(&rows(&["c"], &[4]), None).unwrap();
    sink.finish().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "_op,k,n\n+I,a,1\n-U,a,1\n+U,a,2\n-D,b,3\n+I,c,4\n");
    for ending in ["parquet", "arrow", "arrows", "avro"] {
        let path = folder.path().join(format!("a.{ending}"));
        let mut sink = open(&path, true);
        sink.write(&given, Some(&CHANGES)).unwrap();
        sink.finish().unwrap();
        let table = source::file::open(&definition(&[("path", path.to_str().unwrap())]), &Formats::default()).unwrap();
        let read = read_all(&*table, &whole(&*table)).remove(0);
        assert_eq!(read.schema().field(0).name(), "_op");
        let words: Vec<_> = read.column(0).as_string_view().iter().flatten().collect();
        assert_eq!(words, ["+I", "-U", "+U", "-D"], "{ending}");
    }
}

#[test]
fn retractions_in_an_append_only_result_are_a_bug() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = open(&folder.path().join("a.json"), false);
    let error = sink.write(&rows(&["a"], &[1]), Some(&[Change::DELETE])).unwrap_err();
    assert_eq!(error.kind(), Kind::Bug);
}

#[test]
fn appending_keeps_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    for (ending, expected) in [("csv", "k,n\na,1\na,1\n"), ("json", "{\"k\":\"a\",\"n\":1}\n{\"k\":\"a\",\"n\":1}\n")] {
        let path = folder.path().join(format!("a.{ending}"));
        let definition = definition(&[("path", path.to_str().unwrap()), ("append", "true")]);
        for _ in 0..2 {
            let mut sink = file::open(&definition, schema(), false, &Formats::default()).unwrap();
            sink.write(&rows(&["a"], &[1]), None).unwrap();
            sink.finish().unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    }
    let path = folder.path().join("a.parquet");
    let definition = definition(&[("path", path.to_str().unwrap()), ("append", "true")]);
    let message = file::open(&definition, schema(), false, &Formats::default()).err().expect("refused").to_string();
    assert_eq!(message, "format cannot be appended to: parquet; write to another file");
}

#[test]
fn what_cannot_be_written_is_refused_when_the_sink_opens() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let refusal = |options: &[(&str, &str)]| {
        file::open(&definition(options), schema(), false, &Formats::default()).err().expect("refused").to_string()
    };
    let path = at("no/a.csv");
    assert_eq!(refusal(&[("path", &path)]), format!("file cannot be written: {path}: no such file or directory"));
    assert!(refusal(&[("path", &at("a.txt"))]).starts_with("format is not known: "));
    assert!(refusal(&[("path", &at("a.json")), ("header", "true")]).starts_with("unknown option: 'header'"));
    assert!(names(folder.path()).is_empty(), "nothing is made");
}

#[cfg(unix)]
#[test]
fn a_reader_that_went_away_cancels_the_query() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let reader = std::thread::spawn({
        let path = path.clone();
        move || drop(fs::File::open(path).unwrap())
    });
    let options = definition(&[("path", path.to_str().unwrap()), ("format", "csv")]);
    let mut sink = file::open(&options, schema(), false, &Formats::default()).unwrap();
    reader.join().unwrap();
    sink.write(&rows(&["a"], &[1]), None).unwrap();
    assert_eq!(sink.flush().unwrap_err().kind(), Kind::Cancelled);
}

#[test]
fn channels_hand_batches_over_and_end() {
    let (mut sink, results) = channel(1);
    let query = std::thread::spawn(move || -> Result<()> {
        for n in 0..3 {
            sink.write(&rows(&["a"], &[n]), None)?;
        }
        sink.write(&rows(&["a", "a"], &[1, 2]), Some(&CHANGES[2..]))?;
        sink.finish()
    });
    let taken: Vec<_> = results.collect();
    query.join().unwrap().unwrap();
    let numbers: Vec<_> = taken.iter().map(|(rows, _)| rows.column(1).as_primitive::<Int64Type>().value(0)).collect();
    assert_eq!(numbers, [0, 1, 2, 1]);
    assert_eq!(taken[3].1, Some(vec![Change::INSERT, Change::DELETE]), "halves without their other half are settled");
}

#[test]
fn a_dropped_receiver_cancels_the_query() {
    let (mut sink, results) = channel(1);
    drop(results);
    assert_eq!(sink.write(&rows(&["a"], &[1]), None).unwrap_err().kind(), Kind::Cancelled);
}

#[test]
fn the_program_around_gets_its_rows() {
    let (mut sink, collected) = memory::MemorySink::new();
    sink.write(&rows(&["a"], &[1]), None).unwrap();
    assert_eq!(collected.take().len(), 1);
    assert!(collected.take().is_empty());

    let mut sink = blackhole::Blackhole::default();
    let count = sink.rows();
    sink.write(&rows(&["a", "b"], &[1, 2]), None).unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 2);

    let mut left = 1;
    let mut sink = callback::CallbackSink::new(Box::new(move |_, _| {
        left -= 1;
        if left < 0 { Err(Error::user("enough")) } else { Ok(()) }
    }));
    sink.write(&rows(&["a"], &[1]), None).unwrap();
    assert_eq!(sink.write(&rows(&["a"], &[1]), None).unwrap_err().message(), "enough");
}

#[test]
fn connectors_are_known_by_name() {
    let connectors = DefaultConnectors::new();
    let refusal = |options: &[(&str, &str)]| connectors.table(&definition(options)).expect_err("refused").to_string();
    assert!(refusal(&[("connector", "kafka")]).starts_with("unknown connector: 'kafka'; known are blackhole, "));
    assert!(refusal(&[]).starts_with("table 't' says neither where it is nor what makes it"));
    assert_eq!(refusal(&[("connector", "print")]), "connector can only be written to: 'print'");
    let sink = |options: &[(&str, &str)]| connectors.sink(&definition(options), schema(), false);
    assert!(sink(&[("connector", "BlackHole")]).is_ok());
    let message = sink(&[("connector", "blackhole"), ("path", "x")]).err().expect("refused").to_string();
    assert!(message.starts_with("unknown option: 'path'"), "{message}");
}

/// A connector of somebody's own.
struct Own;

impl Connectors for Own {
    fn table(&self, _: &TableDefinition) -> Result<Arc<dyn crate::pipeline::Table>> {
        Ok(Arc::new(source::memory::MemoryTable::new(schema(), vec![rows(&["own"], &[1])])?))
    }

    fn sink(&self, _: &TableDefinition, _: SchemaRef, _: bool) -> Result<Box<dyn Sink>> {
        Err(Error::user("own tables are read only"))
    }
}

#[test]
fn own_connectors_are_used_by_their_name() {
    let mut connectors = DefaultConnectors::new();
    connectors.register("Own", Arc::new(Own)).unwrap();
    assert!(connectors.register("own", Arc::new(Own)).is_err());
    assert!(connectors.register("file", Arc::new(Own)).is_err());
    assert_eq!(connectors.table(&definition(&[("connector", "own")])).unwrap().row_count(), Some(1));
    let error = connectors.sink(&definition(&[("connector", "own")]), schema(), false).err().expect("refused");
    assert_eq!(error.message(), "own tables are read only");
}
