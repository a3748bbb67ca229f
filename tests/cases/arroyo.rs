//! Arroyo's queries over files and what they put out: `{sources: {name: {file, columns, event_time}}, sql, expect: {golden}}`.
//! A golden is lines of JSON, or Debezium's envelopes, which fold up.

use std::collections::BTreeMap;

use serde_json::Value;

use super::define::{answer, engine};
use super::row::{cells, compare, same_cell};
use super::tally::{Outcome, Tally, folder, lines};

#[test]
fn goldens_of_arroyo() {
    let mut tally = Tally::new("arroyo");
    for case in lines("arroyo.jsonl") {
        let (id, sql) = (case["id"].as_str().unwrap(), case["sql"].as_str().unwrap());
        tally.run(id, case["duckdb"] == "agree", sql, || run(&case, sql).unwrap_or_else(Outcome::Refused));
    }
    tally.finish();
}

fn run(case: &Value, sql: &str) -> Result<Outcome, String> {
    let (engine, folder) = (engine(), folder().unwrap());
    for (name, source) in case["sources"].as_object().unwrap() {
        let column = |column: &Value| format!("\"{}\" {}", column[0].as_str().unwrap(), column[1].as_str().unwrap());
        let mut parts: Vec<String> = source["columns"].as_array().unwrap().iter().map(column).collect();
        let time = source["event_time"].as_str().unwrap();
        let delay = source["watermark_delay_ms"].as_i64().unwrap_or(0) as f64 / 1e3;
        parts.push(format!("WATERMARK FOR \"{time}\" AS \"{time}\" - INTERVAL '{delay}' SECOND"));
        let path = folder.join(source["file"].as_str().unwrap());
        let options = format!("'connector' = 'file', 'format' = 'json', 'path' = '{}'", path.display());
        answer(&engine, &format!("CREATE TABLE {name} ({}) WITH ({options})", parts.join(", ")))?;
    }
    let query = engine.sql(sql).map_err(super::tally::told)?;
    let names: Vec<String> = query.schema().fields().iter().map(|field| field.name().clone()).collect();
    let found = cells(&query.collect().map_err(super::tally::told)?)?;
    let golden = std::fs::read_to_string(folder.join(case["expect"]["golden"].as_str().unwrap())).unwrap();
    let mut expected: Vec<Vec<String>> = Vec::new();
    for (row, count) in fold(&golden) {
        let row: Value = serde_json::from_str(&row).unwrap();
        let cell = |name: &String| match &row[name] {
            Value::Null => "NULL".to_string(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        expected.extend(vec![names.iter().map(cell).collect(); count as usize]);
    }
    let same = |a: &Vec<String>, b: &Vec<String>| a.iter().zip(b).all(|(a, b)| same_cell(a, b));
    Ok(compare(found, expected, false, same))
}

/// The rows that are left, each with its count.
fn fold(golden: &str) -> BTreeMap<String, i64> {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for line in golden.lines() {
        let change: Value = serde_json::from_str(line).unwrap();
        if change.get("op").is_none() {
            *counts.entry(change.to_string()).or_default() += 1;
            continue;
        }
        for (side, weight) in [("before", -1), ("after", 1)] {
            if !change[side].is_null() {
                *counts.entry(change[side].to_string()).or_default() += weight;
            }
        }
    }
    counts.retain(|_, count| *count > 0);
    counts
}
