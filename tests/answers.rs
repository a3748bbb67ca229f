//! Queries over small tables and the answers that other projects have recorded, from a folder outside this repository:
//! `MILLSTREAM_CASES` names it. Without the variable nothing runs; with `CASE=text` only cases whose name contains it.
//!
//! What passes is counted, what is refused is listed with its reason; a bug fails the test, as does an answer that the
//! folder knows to be agreed on and that is not ours.
#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};
use millstream::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use millstream::arrow::compute::cast;
use millstream::arrow::datatypes::{DataType, Float64Type};
use millstream::arrow::util::display::{ArrayFormatter, FormatOptions};
use millstream::config::Config;
use millstream::engine::{Engine, Outcome};
use serde_json::Value;

/// What came of the cases of a file.
#[derive(Default)]
struct Tally {
    counts: BTreeMap<String, usize>,
    refusals: BTreeMap<String, usize>,
    bugs: Vec<String>,
}

impl Tally {
    fn count(&mut self, word: &str) {
        *self.counts.entry(word.to_string()).or_default() += 1;
    }

    fn refuse(&mut self, id: &str, message: &str, word: &str) {
        if message.contains("panicked") || message.starts_with("bug") {
            self.bugs.push(format!("{id}: {message}"));
        }
        let short: String = message.lines().next().unwrap_or_default().chars().take(90).collect();
        *self.refusals.entry(short).or_default() += 1;
        self.count(word);
    }

    fn finish(self) {
        let mut refusals: Vec<_> = self.refusals.into_iter().collect();
        refusals.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        refusals.iter().for_each(|(reason, count)| println!("{count:4} refused: {reason}"));
        println!("{:?}", self.counts);
        assert!(self.bugs.is_empty(), "{}", self.bugs.join("\n"));
    }
}

fn folder() -> Option<PathBuf> {
    std::env::var_os("MILLSTREAM_CASES").map(PathBuf::from)
}

fn lines(folder: &Path, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("cases").join(name)).expect("the file of cases");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn is_wanted(id: &str) -> bool {
    id.contains(&std::env::var("CASE").unwrap_or_default())
}

/// `{id, sql, types, ordered, rows_text, tables: {name: {file}}, df}`, or `{.., error}` where the query must fail.
#[test]
fn answers_that_datafusion_recorded() {
    let Some(folder) = folder() else { return };
    let mut tally = Tally::default();
    for case in lines(&folder, "datafusion.jsonl") {
        let id = case["id"].as_str().unwrap();
        if !is_wanted(id) {
            continue;
        }
        let engine = Engine::new(Config { partitions: 2, ..Config::default() });
        for (name, table) in case["tables"].as_object().unwrap() {
            engine.register_file(name, folder.join("data/df-tables").join(table["file"].as_str().unwrap())).unwrap();
        }
        let agreed = if case["df"] == "agree" { ", agreed on" } else { "" };
        let must_fail = case.get("error").is_some();
        match answer(&engine, case["sql"].as_str().unwrap()) {
            Err(_) if must_fail => tally.count("refused as they should be"),
            Ok(_) if must_fail => {
                println!("{id}: should fail: {}", case["sql"]);
                tally.count("answered and should not be");
            }
            Err(message) => tally.refuse(id, &message, &format!("refused{agreed}")),
            Ok(batches) => {
                let text = |row: &Value| row.as_str().unwrap_or_default().trim_end().to_string();
                let mut expected: Vec<String> = case["rows_text"].as_array().unwrap().iter().map(text).collect();
                let mut found = rows(&batches);
                if case["ordered"] != true {
                    expected.sort();
                    found.sort();
                }
                let same = found.len() == expected.len() && found.iter().zip(&expected).all(|(a, b)| same_row(a, b));
                if !same {
                    println!("{id}: {}\n  found    {found:?}\n  expected {expected:?}", case["sql"]);
                }
                tally.count(&format!("{}{agreed}", if same { "passed" } else { "different" }));
            }
        }
    }
    tally.finish();
}

/// `{tables: {name: {columns, rows}}, queries: [{sql, types, sort, expect}]}`; an answer is its values, or their hash.
#[test]
fn answers_that_sqlite_recorded() {
    let Some(folder) = folder() else { return };
    let mut tally = Tally::default();
    for file in lines(&folder, "sqlite.jsonl") {
        let engine = Engine::new(Config { partitions: 2, ..Config::default() });
        for (name, table) in file["tables"].as_object().unwrap() {
            create(&engine, name, table);
        }
        for query in file["queries"].as_array().unwrap() {
            let id = format!("{}:{}", file["id"].as_str().unwrap(), query["line"]);
            if !is_wanted(&id) {
                continue;
            }
            match answer(&engine, query["sql"].as_str().unwrap()) {
                Err(message) => tally.refuse(&id, &message, "refused"),
                Ok(batches) => {
                    let found = values(&batches, query["types"].as_str().unwrap(), query["sort"].as_str().unwrap());
                    let same = is_expected(&found, &query["expect"]);
                    if !same {
                        println!("{id}: {}\n  found    {found:?}\n  expected {}", query["sql"], query["expect"]);
                    }
                    tally.count(if same { "passed" } else { "different" });
                }
            }
        }
    }
    tally.finish();
}

fn answer(engine: &Engine, sql: &str) -> Result<Vec<RecordBatch>, String> {
    match engine.execute(sql).map_err(|e| e.to_string())? {
        Outcome::Query(query) => query.collect().map_err(|e| e.to_string()),
        Outcome::Done(_) | Outcome::Text(_) => Ok(Vec::new()),
    }
}

/// A line per row, cells apart by a blank.
fn rows(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::new().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        let cells: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let text = |cell: &ArrayFormatter<'_>| match cell.value(row).to_string() {
                empty if empty.is_empty() => "(empty)".to_string(),
                text => text,
            };
            rows.push(cells.iter().map(text).collect::<Vec<_>>().join(" ").trim_end().to_string());
        }
    }
    rows
}

/// Equal texts, or the same words where numbers are nearly the same.
fn same_row(a: &str, b: &str) -> bool {
    let same_word = |(a, b): (&str, &str)| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()) || (a.is_nan() && b.is_nan()),
        _ => a == b,
    };
    let separators = [' ', ',', '[', ']', '{', '}', ':'];
    // The recorded answers have blanks put together.
    let words = |text: &str| {
        let words = text.split(separators).map(str::trim).filter(|word| !word.is_empty());
        words.map(str::to_string).collect::<Vec<_>>()
    };
    let (a, b) = (words(a), words(b));
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| same_word((a, b)))
}

fn create(engine: &Engine, name: &str, table: &Value) {
    let columns: Vec<String> = table["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| format!("{} {}", column[0].as_str().unwrap(), column[1].as_str().unwrap()))
        .collect();
    let literal = |cell: &Value| match cell {
        Value::Null => "NULL".to_string(),
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        other => other.to_string(),
    };
    let row = |row: &Value| row.as_array().unwrap().iter().map(literal).collect::<Vec<_>>().join(", ");
    let rows: Vec<String> = table["rows"].as_array().unwrap().iter().map(|cells| format!("({})", row(cells))).collect();
    let names: Vec<&str> = columns.iter().map(|column| column.split(' ').next().unwrap()).collect();
    let casts: Vec<String> = columns
        .iter()
        .map(|column| {
            let (name, data_type) = column.split_once(' ').unwrap();
            format!("CAST({name} AS {data_type}) AS {name}")
        })
        .collect();
    engine
        .execute(&format!(
            "CREATE TABLE {name} AS SELECT {} FROM (VALUES {}) AS v({})",
            casts.join(", "),
            rows.join(", "),
            names.join(", ")
        ))
        .unwrap();
}

/// The cells as sqllogictest writes them, in its order.
fn values(batches: &[RecordBatch], types: &str, sort: &str) -> Vec<String> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for batch in batches {
        let columns: Vec<Vec<String>> =
            batch.columns().iter().zip(types.chars()).map(|(column, letter)| cells(column, letter)).collect();
        rows.extend((0..batch.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()));
    }
    if sort == "rowsort" {
        rows.sort();
    }
    let mut values: Vec<String> = rows.into_iter().flatten().collect();
    if sort == "valuesort" {
        values.sort();
    }
    values
}

fn cells(column: &ArrayRef, letter: char) -> Vec<String> {
    let options = FormatOptions::new();
    let text = ArrayFormatter::try_new(column, &options).unwrap();
    let numbers = matches!(letter, 'I' | 'R').then(|| cast(column, &DataType::Float64).ok()).flatten();
    (0..column.len())
        .map(|row| match (&numbers, letter) {
            _ if column.is_null(row) => "NULL".to_string(),
            (Some(numbers), 'R') => format!("{:.3}", numbers.as_primitive::<Float64Type>().value(row)),
            (Some(numbers), 'I') if column.data_type().is_floating() => {
                format!("{}", numbers.as_primitive::<Float64Type>().value(row) as i64)
            }
            _ => match text.value(row).to_string() {
                empty if empty.is_empty() => "(empty)".to_string(),
                text => text,
            },
        })
        .collect()
}

fn is_expected(found: &[String], expected: &Value) -> bool {
    let values: Vec<&str> = match expected.as_array() {
        Some(values) => values.iter().filter_map(Value::as_str).collect(),
        None => expected.as_str().into_iter().collect(),
    };
    let &[text] = &values[..] else { return found == values };
    if !text.contains(" values hashing to ") {
        return found == values;
    }
    let mut hash = Md5::new();
    found.iter().for_each(|value| hash.update(format!("{value}\n")));
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    text == format!("{} values hashing to {hash}", found.len())
}
