//! Windows and joins by event time, rows in and rows out: `{sources: [{name, kind, columns, rows: [{ts, tombstone, row}]}],
//! sql, window, expect: {emitted, final}}`. Streams are pushed row by row, tables with the last row of a key; a window
//! takes rows until the largest time seen reaches its end and the grace.

use std::collections::BTreeMap;
use std::rc::Rc;

use millstream::batch::Change;
use millstream::config::Config;
use millstream::engine::Engine;
use millstream::pipeline::Changelog;
use serde_json::{Value, json};

use super::define::{answer, rows_of_json, schema};
use super::row::{cells, compare, same_cell};
use super::tally::{Outcome, Tally, lines, told};

const DAY_MS: i64 = 86_400_000;

#[test]
fn windows_and_joins_by_event_time() {
    let mut tally = Tally::new("windows and joins");
    for case in lines("windows-and-joins.jsonl") {
        let (id, sql) = (case["id"].as_str().unwrap(), case["sql"].as_str().unwrap());
        tally.run(id, true, sql, || run(&case, sql).unwrap_or_else(Outcome::Refused));
    }
    tally.finish();
}

fn run(case: &Value, sql: &str) -> Result<Outcome, String> {
    let is_final = case["features"].as_array().unwrap().iter().any(|feature| feature == "emit-final");
    // What is asked for when windows close: those that are not closed never come.
    let engine = Engine::new(Config { partitions: 2, keep_open: is_final, ..Config::default() });
    let mut pushes = Vec::new();
    for source in case["sources"].as_array().unwrap() {
        let handle = Rc::new(declare(&engine, source, grace_ms(&case["window"]))?);
        let rows = source["rows"].as_array().unwrap().iter();
        pushes.extend(rows.map(|row| (row["seq"].as_i64().unwrap(), Rc::clone(&handle), source, row)));
    }
    pushes.sort_by_key(|(seq, ..)| *seq);
    let query = engine.sql(&format!("{sql} EMIT {}", if is_final { "FINAL" } else { "CHANGES" })).map_err(told)?;
    let columns = query.schema();
    for (_, handle, source, row) in &pushes {
        if row["tombstone"] == true && source["kind"] == "stream" {
            continue; // a stream has no row to take back
        }
        let mut values = row["row"].as_object().cloned().unwrap_or_default();
        values.insert("rowtime".to_string(), row["ts"].clone());
        let columns = schema(&engine, &format!("\"{}_columns\"", source["name"].as_str().unwrap()))?;
        let Some(batch) = rows_of_json(columns, &[Value::Object(values)])? else { continue };
        let change = if row["tombstone"] == true { Change::DELETE } else { Change::INSERT };
        handle.push_changes(batch, &[change]).map_err(|e| format!("{e:?}"))?;
    }
    pushes.iter().for_each(|(_, handle, ..)| handle.close());
    let names: Vec<String> = columns.fields().iter().map(|field| field.name().clone()).collect();
    let found = cells(&query.collect().map_err(told)?)?;
    let expected: Vec<Vec<Value>> = expected(case, &names);
    let found: Vec<Vec<Value>> =
        found.into_iter().map(|row| row.into_iter().map(|cell| json!(cell)).collect()).collect();
    // Kafka has no windows before 1970.
    let is_before =
        |row: &Vec<Value>| row.iter().any(|cell| cell.as_str().is_some_and(|text| text.starts_with("1969-12-31T")));
    let found: Vec<Vec<Value>> = found.into_iter().filter(|row| !is_before(row)).collect();
    // Of some cases not all rows are told.
    let is_part = case["duckdb"] == "agree-subset";
    let found = if is_part {
        found.into_iter().filter(|row| expected.iter().any(|other| is_same(row, other))).collect()
    } else {
        found
    };
    Ok(compare(found, expected, false, |found, expected| is_same(found, expected)))
}

/// A window's grace; where none is given, what makes a day of its size and grace.
fn grace_ms(window: &Value) -> i64 {
    let size = window["size_ms"].as_i64().or(window["gap_ms"].as_i64()).unwrap_or(0);
    window["grace_ms"].as_i64().unwrap_or((DAY_MS - size).max(0))
}

fn declare(
    engine: &Engine,
    source: &Value,
    grace_ms: i64,
) -> Result<millstream::stream::source::push::PushHandle, String> {
    let name = source["name"].as_str().unwrap();
    let listed = source["columns"].as_array().unwrap();
    let mut parts: Vec<String> =
        listed.iter().map(|c| format!("\"{}\" {}", c["name"].as_str().unwrap(), c["type"].as_str().unwrap())).collect();
    parts.push("rowtime TIMESTAMP(3)".to_string());
    // A table in memory tells the types of the columns.
    answer(engine, &format!("CREATE TABLE \"{name}_columns\" ({}) WITH ('connector' = 'memory')", parts.join(", ")))?;
    let columns = schema(engine, &format!("\"{name}_columns\""))?;
    let is_table = source["kind"] == "table";
    if is_table {
        let keys = listed.iter().filter(|column| column["key"] == true);
        let keys: Vec<String> = keys.map(|column| format!("\"{}\"", column["name"].as_str().unwrap())).collect();
        parts.push(format!("PRIMARY KEY ({})", keys.join(", ")));
    } else {
        parts.push(format!("WATERMARK FOR rowtime AS rowtime - INTERVAL '{}' SECOND", grace_ms as f64 / 1e3));
    }
    let name = name.to_lowercase();
    answer(engine, &format!("CREATE TABLE {name} ({})", parts.join(", ")))?;
    let changelog = if is_table { Changelog::Upsert } else { Changelog::Append };
    engine.register_push_changes(&name, columns, changelog).map_err(told)
}

/// The rows of a stream, or what is left of a table; `*` stands for a cell that the case does not tell.
fn expected(case: &Value, names: &[String]) -> Vec<Vec<Value>> {
    let kind = if case["sink_kind"] == "table" { "final" } else { "emitted" };
    let texts = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_string()).collect()
    };
    let keys = texts(&case["key_columns"]);
    let row = |told: &Value| -> Vec<Value> {
        let mut values: BTreeMap<String, Value> = BTreeMap::new();
        let key = &told["key"];
        for (at, name) in keys.iter().enumerate() {
            let cell = key.get(name).or_else(|| key.get(at)).unwrap_or(key);
            values.insert(name.clone(), cell.clone());
        }
        match &told["value"] {
            Value::Object(members) => values.extend(members.iter().map(|(name, value)| (name.clone(), value.clone()))),
            Value::String(text) => {
                let free = names.iter().filter(|name| !keys.contains(name) && !name.starts_with("window_"));
                let free: Vec<&String> = free.collect();
                let cells: Vec<&str> = text.split(',').collect();
                // Without its key a line is shorter than the columns.
                let skipped = free.len().saturating_sub(cells.len());
                let of_cells = free.into_iter().skip(skipped).zip(cells);
                values.extend(of_cells.map(|(name, cell)| (name.clone(), json!(cell))));
            }
            _ => {}
        }
        if let Some(window) = told["window"].as_array() {
            values.insert("window_start".to_string(), window[0].clone());
            // A session ends with its gap here, with its last row there.
            let gap = case["window"]["gap_ms"].as_i64().unwrap_or(0);
            values.insert("window_end".to_string(), json!(window[1].as_i64().unwrap() + gap));
        }
        names.iter().map(|name| values.get(name).cloned().unwrap_or_else(|| json!("*"))).collect()
    };
    case["expect"][kind].as_array().unwrap().iter().map(row).collect()
}

fn is_same(found: &[Value], expected: &[Value]) -> bool {
    found.len() == expected.len() && found.iter().zip(expected).all(|(found, expected)| same(found, expected))
}

/// Times are told in milliseconds.
fn same(found: &Value, expected: &Value) -> bool {
    let found = found.as_str().unwrap();
    if *expected == json!("*") {
        return true;
    }
    let expected = match expected {
        Value::Null => "NULL".to_string(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let Ok(ms) = expected.parse::<i64>() else { return same_cell(found, &expected) };
    let time = millstream::arrow::temporal_conversions::timestamp_ms_to_datetime(ms);
    let time = time.map(|time| time.format("%Y-%m-%dT%H:%M:%S%.f").to_string()).unwrap_or_default();
    same_cell(found, &expected) || same_cell(found, &time)
}
