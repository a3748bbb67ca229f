//! Views over change streams, from RisingWave's end-to-end tests:
//! `{streams: {key: {columns, primary_key, watermark, changes: [[seq, "+"|"-", row]]}}, views: {key: {sql, emit_on_window_close}},
//! cases: [{id, upto, tables: {name: key}, views: {name: key}, sql, expect: {rows_text, ordered}}]}`.
//!
//! Each case feeds rows that come and go into tables in memory, a few at a time, with views over them from the beginning,
//! and asks.

use std::collections::BTreeMap;

use millstream::batch::Change;
use millstream::engine::Engine;
use serde_json::Value;

use super::define::{self, engine, rows_of_json, schema};
use super::row::{compare, lines as rows, same_line};
use super::tally::{Outcome, Tally, lines, told};

/// Rows fed at once.
const ROWS_PER_WRITE: usize = 3;

#[test]
fn answers_of_views_over_change_streams() {
    let mut tally = Tally::new("risingwave");
    for file in lines("risingwave.jsonl") {
        for case in file["cases"].as_array().unwrap() {
            let (id, sql) = (case["id"].as_str().unwrap(), case["sql"].as_str().unwrap());
            let views: Vec<String> = case["views"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, key)| {
                    format!("{name} AS {}", file["views"][key.as_str().unwrap()]["sql"].as_str().unwrap())
                })
                .collect();
            tally.run(id, case["duckdb"] == "agree", &format!("{} | {sql}", views.join(" | ")), || {
                match answer(&file, case) {
                    Err(reason) => Outcome::Refused(reason),
                    Ok(found) => {
                        let expected = case["expect"]["rows_text"].as_array().unwrap().iter();
                        let expected: Vec<String> = expected.map(|row| row.as_str().unwrap().to_string()).collect();
                        compare(found, expected, case["expect"]["ordered"] == true, |a, b| same_line(a, b))
                    }
                }
            });
        }
    }
    tally.finish();
}

fn answer(file: &Value, case: &Value) -> Result<Vec<String>, String> {
    let engine = engine();
    let mut tables: BTreeMap<String, &Value> = BTreeMap::new();
    for (name, key) in case["tables"].as_object().unwrap() {
        tables.insert(name.clone(), &file["streams"][key.as_str().unwrap()]);
    }
    for (name, stream) in &tables {
        engine.execute(&definition(name, stream)).map_err(told)?;
    }
    // Views may stand over views: what cannot be made yet waits for what it needs.
    let mut views: Vec<(&String, &Value)> = case["views"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, key)| (name, &file["views"][key.as_str().unwrap()]))
        .collect();
    while !views.is_empty() {
        let before = views.len();
        let mut failed = None;
        views.retain(|(name, view)| {
            let sql = view["sql"].as_str().unwrap();
            let emit = if view["emit_on_window_close"] == true { " EMIT ON WINDOW CLOSE" } else { "" };
            match engine.execute(&format!("CREATE MATERIALIZED VIEW {name} AS {sql}{emit}")) {
                Ok(_) => false,
                Err(error) => {
                    failed = Some(told(error));
                    true
                }
            }
        });
        if views.len() == before {
            return Err(failed.unwrap_or_default());
        }
    }
    // What a table held when a row came depends on which of them came first.
    let views = case["views"].as_object().unwrap().iter();
    let as_of_now =
        views.filter(|(_, key)| file["views"][key.as_str().unwrap()]["sql"].as_str().unwrap().contains("SYSTEM_TIME"));
    let watched: Vec<&String> = as_of_now.map(|(name, _)| name).collect();
    feed(&engine, &tables, case["upto"].as_i64().unwrap_or(i64::MAX), &watched)?;
    rows(&define::answer(&engine, case["sql"].as_str().unwrap())?)
}

fn definition(name: &str, stream: &Value) -> String {
    let columns = stream["columns"].as_array().unwrap().iter();
    let mut parts: Vec<String> =
        columns.map(|column| format!("\"{}\" {}", column[0].as_str().unwrap(), column[1].as_str().unwrap())).collect();
    let key: Vec<String> = stream["primary_key"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| format!("\"{}\"", column.as_str().unwrap()))
        .collect();
    if let Some(column) = stream["watermark"]["column"].as_str() {
        parts.push(format!("WATERMARK FOR \"{column}\" AS {}", stream["watermark"]["expr"].as_str().unwrap()));
    }
    if !key.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
    }
    // Rows that stay, where the case says so and there is no key by which one takes the place of another.
    let stays = if stream["append_only"] == true && key.is_empty() { ", 'changelog' = 'append'" } else { "" };
    format!("CREATE TABLE {name} ({}) WITH ('connector' = 'memory'{stays})", parts.join(", "))
}

/// Feeds all changes up to a number in their order; the `watched` views take each write in before the next.
fn feed(engine: &Engine, tables: &BTreeMap<String, &Value>, upto: i64, watched: &[&String]) -> Result<(), String> {
    let mut changes: Vec<(i64, &str, &Value)> = Vec::new();
    for (name, stream) in tables {
        let of_table = stream["changes"].as_array().unwrap().iter();
        changes.extend(of_table.map(|change| (change[0].as_i64().unwrap(), name.as_str(), change)));
    }
    changes.retain(|(number, ..)| *number <= upto);
    changes.sort_by_key(|(number, ..)| *number);
    let mut from = 0;
    while from < changes.len() {
        let name = changes[from].1;
        let same = changes[from..].iter().take(ROWS_PER_WRITE).take_while(|(_, table, _)| *table == name).count();
        write(engine, name, tables[name], &changes[from..from + same])?;
        for view in watched {
            define::answer(engine, &format!("SELECT COUNT(*) FROM {view}"))?;
        }
        from += same;
    }
    Ok(())
}

fn write(engine: &Engine, name: &str, stream: &Value, changes: &[(i64, &str, &Value)]) -> Result<(), String> {
    let columns = stream["columns"].as_array().unwrap();
    let object = |(_, _, change): &(i64, &str, &Value)| {
        let row = change[2].as_array().unwrap();
        let member = |(column, value): (&Value, &Value)| (column[0].as_str().unwrap().to_string(), value.clone());
        Value::Object(columns.iter().zip(row).map(member).collect())
    };
    let Some(rows) = rows_of_json(schema(engine, name)?, &changes.iter().map(object).collect::<Vec<_>>())? else {
        return Ok(());
    };
    let words = changes.iter().map(|(_, _, change)| if change[1] == "+" { Change::INSERT } else { Change::DELETE });
    let writer = engine.writer(name).map_err(told)?;
    writer.write(&rows, Some(&words.collect::<Vec<_>>())).map_err(told)
}
