//! The same rows in files: a file is a source partition, cut into row groups and blocks that workers share.

use std::fmt::Write;
use std::fs::File;
use std::path::Path;

use chrono::DateTime;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use rand::SeedableRng;
use rand::rngs::StdRng;

use millstream::engine::Engine;

use super::cell::difference;
use super::run::{self, Setting};
use super::spec::Spec;
use super::world::{Event, World, record, schema};
use super::{cases, naive};

/// Writes a file per source partition.
pub fn write(world: &World, folder: &Path, format: &str) {
    for (number, events) in world.partitions.iter().enumerate() {
        let path = folder.join(format!("part-{number}.{format}"));
        match format {
            "parquet" => write_parquet(&path, events),
            "csv" => std::fs::write(path, csv(events)).expect("a file"),
            _ => std::fs::write(path, json(events)).expect("a file"),
        }
    }
}

fn write_parquet(path: &Path, events: &[Event]) {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(50)).build();
    let mut writer =
        ArrowWriter::try_new(File::create(path).expect("a file"), schema(), Some(properties)).expect("a writer");
    writer.write(&record(events)).expect("rows are written");
    writer.close().expect("a footer is written");
}

fn time(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).expect("a time of our era").format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// Hundredths as a decimal.
fn decimal(digits: i128) -> String {
    let sign = if digits < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", digits.abs() / 100, digits.abs() % 100)
}

fn csv(events: &[Event]) -> String {
    let mut text = "k,s,v,x,d,ts\n".to_string();
    for event in events {
        let number = |value: Option<i64>| value.map_or(String::new(), |value| value.to_string());
        let s = event.s.map_or(String::new(), |s| format!("\"{s}\""));
        let x = event.x.map_or(String::new(), |x| x.to_string());
        let (d, ts) = (event.d.map_or(String::new(), decimal), event.ts.map_or(String::new(), time));
        writeln!(text, "{},{s},{},{x},{d},{ts}", number(event.k), number(event.v)).expect("text grows");
    }
    text
}

fn json(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        let mut fields = Vec::new();
        fields.extend(event.v.map(|v| format!("\"v\": {v}")));
        fields.extend(event.s.map(|s| format!("\"s\":\"{s}\"")));
        fields.extend(event.x.map(|x| format!("\"x\":{x}")));
        fields.push(event.k.map_or("\"k\":null".to_string(), |k| format!("\"k\":{k}")));
        fields.extend(event.d.map(|d| format!("\"d\":{}", decimal(d))));
        fields.extend(event.ts.map(|ts| format!("\"ts\":\"{}\"", time(ts))));
        writeln!(text, "{{{}}}", fields.join(",")).expect("text grows");
    }
    text
}

fn check(seed: u64, settings: &[Setting], format: &str) -> Result<(), String> {
    let world = World::random(seed);
    let spec = Spec::random(&mut StdRng::seed_from_u64(!seed), true, world.partitions.len() == 1);
    let folder = tempfile::tempdir().expect("a folder");
    write(&world, folder.path(), format);
    let expected = naive::answer(&[&world], &spec, false);
    for setting in settings {
        let engine = Engine::new(setting.config());
        let path = folder.path().display();
        let with = format!("WITH ('connector' = 'file', 'path' = '{path}/*.{format}', 'format' = '{format}')");
        engine.execute(&format!("CREATE TABLE t ({}) {with}", world.columns())).map_err(|e| e.to_string())?;
        let compared = run::run(&engine, &spec.sql(), spec.group_columns()).and_then(|given| {
            let late = (given.metrics.rows_in, given.metrics.late_rows);
            match difference(&given.lines, &expected.lines) {
                Some(difference) => Err(difference),
                None if late != (world.rows() as u64, expected.late) => {
                    Err(format!("rows in, late: {late:?}, not {}", expected.late))
                }
                None => Ok(()),
            }
        });
        compared.map_err(|failure| {
            format!("{format}, {}, delay {}\n{}\n{failure}", setting.show(), world.delay, spec.sql())
        })?;
    }
    Ok(())
}

#[test]
fn windows_over_files_are_as_defined() {
    cases(30, 0xf1, |seed, settings| {
        let format = ["parquet", "csv", "json"][seed as usize % 3];
        check(seed, &settings[..2], format)
    });
}
