//! Change streams, views and answers of other projects, from a folder outside this repository: `MILLSTREAM_CASES` names
//! it. Without the variable nothing runs.
//!
//! Each case feeds rows that come and go into tables in memory, a few at a time, with views over them from the beginning,
//! and asks. What passes is counted, what is refused is listed with its reason; a bug fails the test. The form of the
//! lines: `{streams: {key: {columns, primary_key, changes: [[seq, "+"|"-", row]]}}, views: {key: {sql}},
//! cases: [{id, upto, tables: {name: key}, views: {name: key}, sql, expect: {rows_text, ordered}}]}`.
#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use millstream::arrow::array::{ArrayRef, RecordBatch};
use millstream::arrow::json::ReaderBuilder;
use millstream::arrow::util::display::{ArrayFormatter, FormatOptions};
use millstream::batch::Change;
use millstream::config::Config;
use millstream::engine::Engine;
use serde_json::{Value, json};

/// Rows fed at once.
const ROWS_PER_WRITE: usize = 3;

/// Before the message of an error that is the engine's own.
const BUG: &str = "bug: ";

#[derive(Debug, PartialEq)]
enum Outcome {
    Passed,
    /// Refused by the planner, or failed with a user's error.
    Refused(String),
    Different {
        found: Vec<String>,
        expected: Vec<String>,
    },
}

#[test]
fn answers_of_views_over_change_streams() {
    let Some(folder) = std::env::var_os("MILLSTREAM_CASES").map(PathBuf::from) else { return };
    let text = std::fs::read_to_string(folder.join("cases/risingwave.jsonl")).expect("the file of cases");
    let only = std::env::var("CASE").unwrap_or_default();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut bugs = Vec::new();
    for line in text.lines() {
        let file: Value = serde_json::from_str(line).unwrap();
        for case in file["cases"].as_array().unwrap() {
            let id = case["id"].as_str().unwrap();
            if !id.contains(&only) {
                continue;
            }
            let outcome = run(&file, case);
            let agreed = case["duckdb"] == "agree";
            let word = match &outcome {
                Outcome::Passed => "passed",
                Outcome::Refused(reason) => {
                    if reason.starts_with(BUG) {
                        bugs.push(format!("{id}: {reason}"));
                    }
                    let short: String = reason.lines().next().unwrap_or("").chars().take(70).collect();
                    *reasons.entry(short).or_default() += 1;
                    if agreed { "refused, DuckDB agrees with the answer" } else { "refused" }
                }
                Outcome::Different { found, expected } => {
                    println!("{id}: {}\n  found    {found:?}\n  expected {expected:?}", case["sql"]);
                    if agreed { "different, DuckDB agrees with the answer" } else { "different" }
                }
            };
            *counts.entry(word).or_default() += 1;
        }
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (reason, count) in &reasons {
        println!("{count:4} refused: {reason}");
    }
    println!("{counts:?}");
    assert!(bugs.is_empty(), "{}", bugs.join("\n"));
}

fn run(file: &Value, case: &Value) -> Outcome {
    match answer(file, case) {
        Err(reason) => Outcome::Refused(reason),
        Ok(mut found) => {
            let expected = case["expect"]["rows_text"].as_array().unwrap().iter();
            let mut expected: Vec<String> = expected.map(|row| row.as_str().unwrap().to_string()).collect();
            if case["expect"]["ordered"] != true {
                found.sort();
                expected.sort();
            }
            let same = found.len() == expected.len() && found.iter().zip(&expected).all(|(a, b)| same_row(a, b));
            if same { Outcome::Passed } else { Outcome::Different { found, expected } }
        }
    }
}

/// Rows are the same when their words are, numbers by value.
fn same_row(found: &str, expected: &str) -> bool {
    let same = |a: &str, b: &str| {
        a == b
            || matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if (a - b).abs() <= 1e-9 * a.abs().max(1.0))
    };
    let (found, expected) = (normal(found), normal(expected));
    let (found, expected): (Vec<_>, Vec<_>) = (found.split(' ').collect(), expected.split(' ').collect());
    found.len() == expected.len() && found.iter().zip(&expected).all(|(a, b)| same(a, b))
}

/// Booleans, timestamps and empty texts as one of their spellings.
fn normal(row: &str) -> String {
    let row = row.replace(", ", ",").replace('[', "{").replace(']', "}");
    let words = row.split(' ').map(|word| match word {
        "t" => "true",
        "f" => "false",
        "(empty)" => "",
        word => word,
    });
    let row = words.collect::<Vec<_>>().join(" ");
    let is_time = |at: usize| row[..at].ends_with(|c: char| c.is_ascii_digit()) && at >= 10;
    let mut normal = row.clone();
    for (at, _) in row.match_indices('T') {
        if is_time(at) {
            normal.replace_range(at..=at, " ");
        }
    }
    normal
}

fn answer(file: &Value, case: &Value) -> Result<Vec<String>, String> {
    let told =
        |e: millstream::Error| if e.kind() == millstream::Kind::Bug { format!("{BUG}{e}") } else { e.to_string() };
    let engine = Engine::new(Config { partitions: 2, ..Config::default() });
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
            match engine.execute(&format!("CREATE MATERIALIZED VIEW {name} AS {sql}")) {
                Ok(_) => false,
                Err(error) => {
                    failed = Some(error.to_string());
                    true
                }
            }
        });
        if views.len() == before {
            return Err(failed.unwrap_or_default());
        }
    }
    feed(&engine, &tables, case["upto"].as_i64().unwrap_or(i64::MAX))?;
    let sql = case["sql"].as_str().unwrap();
    let batches = engine.sql(sql).and_then(|query| query.collect()).map_err(told)?;
    batches.iter().map(text).collect::<Result<Vec<_>, _>>().map(|rows| rows.concat())
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
    if !key.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
    }
    format!("CREATE TABLE {name} ({}) WITH ('connector' = 'memory')", parts.join(", "))
}

/// Feeds all changes up to a number in their order.
fn feed(engine: &Engine, tables: &BTreeMap<String, &Value>, upto: i64) -> Result<(), String> {
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
        from += same;
    }
    Ok(())
}

fn write(engine: &Engine, name: &str, stream: &Value, changes: &[(i64, &str, &Value)]) -> Result<(), String> {
    let describe = format!("SELECT * FROM {name} LIMIT 0");
    let schema = engine.sql(&describe).map_err(|e| e.to_string())?.schema();
    let columns = stream["columns"].as_array().unwrap();
    let mut text = String::new();
    for (_, _, change) in changes {
        let row = change[2].as_array().unwrap();
        let member = |(column, value): (&Value, &Value)| (column[0].as_str().unwrap().to_string(), value.clone());
        let object: serde_json::Map<String, Value> = columns.iter().zip(row).map(member).collect();
        text.push_str(&json!(object).to_string());
        text.push('\n');
    }
    let reader = ReaderBuilder::new(schema).with_coerce_primitive(true).build(text.as_bytes());
    let rows: Vec<RecordBatch> = reader.and_then(Iterator::collect).map_err(|e| format!("rows of the case: {e}"))?;
    let words = changes.iter().map(|(_, _, change)| if change[1] == "+" { Change::INSERT } else { Change::DELETE });
    let writer = engine.writer(name).map_err(|e| e.to_string())?;
    writer.write(&rows[0], Some(&words.collect::<Vec<_>>())).map_err(|e| e.to_string())
}

fn text(batch: &RecordBatch) -> Result<Vec<String>, String> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<ArrayRef> = batch.columns().iter().map(Arc::clone).collect();
    let columns: Vec<_> = columns
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options))
        .collect::<Result<_, _>>()
        .map_err(|e| e.to_string())?;
    let cell = |text: String| if text.is_empty() { "(empty)".to_string() } else { text };
    let row =
        |row: usize| columns.iter().map(|column| cell(column.value(row).to_string())).collect::<Vec<_>>().join(" ");
    Ok((0..batch.num_rows()).map(row).collect())
}

/// Exact changes of a view, step by step: `{sql, steps: [{do, delta: {changes: [[row, weight]]}}]}`. The last view of the
/// SQL is looked at before and after each step.
#[test]
fn changes_of_views_step_by_step() {
    let Some(folder) = std::env::var_os("MILLSTREAM_CASES").map(PathBuf::from) else { return };
    let text = std::fs::read_to_string(folder.join("cases/feldera.jsonl")).expect("the file of cases");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let (Some(id), Some(sql), Some(steps)) = (case["id"].as_str(), case["sql"].as_str(), case["steps"].as_array())
        else {
            continue;
        };
        let word = match steps_of(sql, steps) {
            Ok(()) => "passed",
            Err(reason) if reason.starts_with(BUG) => panic!("{id}: {reason}"),
            Err(reason) => {
                println!("{id}: {}", reason.lines().next().unwrap_or_default());
                if reason.starts_with("step") { "different" } else { "refused" }
            }
        };
        *counts.entry(word).or_default() += 1;
    }
    println!("{counts:?}");
}

fn statements(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split("--").next().unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join("\n");
    text.split(';').map(str::trim).filter(|part| !part.is_empty()).map(str::to_string).collect()
}

fn steps_of(sql: &str, steps: &[Value]) -> Result<(), String> {
    let engine = Engine::new(Config { partitions: 2, ..Config::default() });
    let run = |sql: &str| match engine.execute(sql) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == millstream::Kind::Bug => Err(format!("{BUG}{e}")),
        Err(e) => Err(e.to_string()),
    };
    let mut tables: BTreeMap<String, String> = BTreeMap::new();
    let mut view = String::new();
    for statement in statements(sql) {
        let upper = statement.to_uppercase();
        let word = |at: usize| statement.split_whitespace().nth(at).unwrap_or_default().to_string();
        if upper.starts_with("CREATE TABLE") {
            let columns =
                upper.rfind(" WITH (").or(upper.rfind(" WITH(")).map_or(&statement[..], |at| &statement[..at]);
            let columns = &columns[columns.find('(').ok_or("no columns")?..];
            let name = word(2).split('(').next().unwrap_or_default().to_string();
            run(&format!("CREATE TABLE {name} {columns} WITH ('connector' = 'memory')"))?;
            tables.insert(name.to_lowercase(), columns.to_string());
        } else if let Some(at) = upper.find("VIEW ").filter(|_| upper.starts_with("CREATE")) {
            view = statement[at + 5..].split_whitespace().next().unwrap_or_default().to_string();
            run(&format!("CREATE MATERIALIZED VIEW {}", &statement[at + 5..]))?;
        } else {
            run(&statement)?;
        }
    }
    for (number, step) in steps.iter().enumerate() {
        let before = rows_of(&engine, &view)?;
        for statement in statements(step["do"].as_str().unwrap_or_default()) {
            let Some(rest) = statement.strip_prefix("REMOVE FROM ") else {
                run(&statement)?;
                continue;
            };
            let (name, values) = rest.split_once(char::is_whitespace).ok_or("REMOVE without values")?;
            let columns = tables.get(&name.to_lowercase()).ok_or("REMOVE from a table that is not there")?;
            run(&format!("CREATE OR REPLACE TABLE removed {columns} WITH ('connector' = 'memory')"))?;
            run(&format!("INSERT INTO removed {values}"))?;
            let writer = engine.writer(&name.to_lowercase()).map_err(|e| e.to_string())?;
            for rows in
                engine.sql("SELECT * FROM removed").and_then(|query| query.collect()).map_err(|e| e.to_string())?
            {
                writer.write(&rows, Some(&vec![Change::DELETE; rows.num_rows()])).map_err(|e| e.to_string())?;
            }
        }
        let mut found = rows_of(&engine, &view)?;
        before.into_iter().for_each(|(row, count)| *found.entry(row).or_default() -= count);
        let mut found: Vec<String> =
            found.into_iter().filter(|(_, count)| *count != 0).map(|(row, count)| format!("{count} {row}")).collect();
        let changes = step["delta"]["changes"].as_array().into_iter().flatten();
        let mut expected: Vec<String> = changes
            .map(|change| {
                let cells = change[0].as_array().into_iter().flatten();
                let cells = cells.map(|cell| match cell.as_str() {
                    Some("") => "NULL".to_string(),
                    Some(text) => text.trim().to_string(),
                    None if cell.is_null() => "NULL".to_string(),
                    None => cell.to_string(),
                });
                format!("{} {}", change[1], cells.collect::<Vec<_>>().join(" "))
            })
            .collect();
        found.sort();
        expected.sort();
        if found.len() != expected.len() || !found.iter().zip(&expected).all(|(a, b)| same_row(a, b)) {
            return Err(format!("step {number}: found {found:?}, expected {expected:?}"));
        }
    }
    Ok(())
}

fn rows_of(engine: &Engine, view: &str) -> Result<BTreeMap<String, i64>, String> {
    let batches =
        engine.sql(&format!("SELECT * FROM {view}")).and_then(|query| query.collect()).map_err(|e| e.to_string())?;
    let mut counts = BTreeMap::new();
    for row in batches.iter().map(text).collect::<Result<Vec<_>, _>>()?.concat() {
        *counts.entry(row.replace("(empty)", "NULL")).or_default() += 1;
    }
    Ok(counts)
}
