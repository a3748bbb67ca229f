//! Queries over the tables of a setup: `{setup: [sql], queries: [{sql, rows}]}`.

use std::collections::BTreeMap;

use millstream::engine::Engine;
use serde_json::Value;

use crate::define::{Defined, answer, engine, statements};
use crate::row::{cells, compare, same_cell};
use crate::tally::{Outcome, Tally, lines};

#[test]
fn answers_of_blocks() {
    let mut tally = Tally::new("feldera blocks");
    let files = lines("feldera.jsonl");
    let shared = most_shared(&files);
    for file in &files {
        let (Some(id), Some(queries)) = (file["id"].as_str(), file["queries"].as_array()) else { continue };
        let own = setup_of(file);
        let (defined, failed) = define(&own);
        for (number, query) in queries.iter().enumerate() {
            let sql = query["sql"].as_str().unwrap();
            tally.run(&format!("{id}:{number}"), false, sql, || {
                let mut found = answer(&defined, sql).and_then(|batches| cells(&batches));
                // Tables that are inherited are not among those of the file.
                if found.as_ref().is_err_and(|reason| reason.contains("table not found")) {
                    let (inherited, _) = define(&[shared.as_slice(), own.as_slice()].concat());
                    found = answer(&inherited, sql).and_then(|batches| cells(&batches)).or(found);
                }
                match found {
                    // What is missing is missing because of the setup.
                    Err(reason) if reason.contains("not found") => Outcome::Refused(failed.clone().unwrap_or(reason)),
                    Err(reason) => Outcome::Refused(reason),
                    Ok(found) => {
                        let expected = query["rows"].as_array().unwrap().iter().map(texts).collect();
                        let same = |a: &Vec<String>, b: &Vec<String>| {
                            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_cell(a, b))
                        };
                        compare(found, expected, false, same)
                    }
                }
            });
        }
    }
    tally.finish();
}

fn setup_of(file: &Value) -> Vec<String> {
    let texts = file["setup"].as_array().into_iter().flatten();
    texts.flat_map(|text| statements(text.as_str().unwrap())).collect()
}

/// The setup that most files have.
fn most_shared(files: &[Value]) -> Vec<String> {
    let mut counts: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for setup in files.iter().map(setup_of).filter(|setup| !setup.is_empty()) {
        *counts.entry(setup).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(setup, _)| setup).unwrap_or_default()
}

/// An engine with what a setup defines, and the first that failed of it.
fn define(setup: &[String]) -> (Engine, Option<String>) {
    let (engine, mut defined, mut failed) = (engine(), Defined::default(), None);
    for statement in setup {
        if let Err(reason) = defined.run(&engine, statement) {
            failed.get_or_insert(format!("setup: {reason}"));
        }
    }
    (engine, failed)
}

/// The cells of a row; an empty text is written as `\\s` among others.
fn texts(row: &Value) -> Vec<String> {
    let text = |cell: &Value| match cell.as_str() {
        Some("\\s") => String::new(),
        Some(text) => text.to_string(),
        None => cell.to_string(),
    };
    row.as_array().unwrap().iter().map(text).collect()
}
