//! sqlite's random queries: `{tables: {name: {columns, rows}}, queries: [{sql, types, sort, expect}]}`; an answer is its
//! values, or their hash.

use md5::{Digest, Md5};
use millstream::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use millstream::arrow::compute::cast;
use millstream::arrow::datatypes::{DataType, Float64Type};
use millstream::arrow::util::display::{ArrayFormatter, FormatOptions};
use millstream::engine::Engine;
use serde_json::Value;

use super::define::{answer, engine};
use super::tally::{Outcome, Tally, lines};

#[test]
fn answers_that_sqlite_recorded() {
    let mut tally = Tally::new("sqlite");
    for file in lines("sqlite.jsonl") {
        let engine = engine();
        for (name, table) in file["tables"].as_object().unwrap() {
            create(&engine, name, table);
        }
        for query in file["queries"].as_array().unwrap() {
            let id = format!("{}:{}", file["id"].as_str().unwrap(), query["line"]);
            let sql = query["sql"].as_str().unwrap();
            tally.run(&id, true, sql, || match answer(&engine, sql) {
                Err(message) => Outcome::Refused(message),
                Ok(batches) => {
                    let found = values(&batches, query["types"].as_str().unwrap(), query["sort"].as_str().unwrap());
                    match is_expected(&found, &query["expect"]) {
                        true => Outcome::Passed,
                        false => Outcome::Different(format!("found    {found:?}\n  expected {}", query["expect"])),
                    }
                }
            });
        }
    }
    tally.finish();
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
