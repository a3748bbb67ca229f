//! Queries over the tables of a setup: `{setup: [sql], queries: [{sql, rows}]}`.

use serde_json::Value;

use crate::define::{Defined, answer, engine, statements};
use crate::row::{cells, compare, same_cell};
use crate::tally::{Outcome, Tally, lines};

#[test]
fn answers_of_blocks() {
    let mut tally = Tally::new("feldera blocks");
    for file in lines("feldera.jsonl") {
        let (Some(id), Some(queries)) = (file["id"].as_str(), file["queries"].as_array()) else { continue };
        let (engine, mut defined, mut failed) = (engine(), Defined::default(), None);
        for setup in file["setup"].as_array().unwrap() {
            for statement in statements(setup.as_str().unwrap()) {
                if let Err(reason) = defined.run(&engine, &statement) {
                    failed.get_or_insert(format!("setup: {reason}"));
                }
            }
        }
        for (number, query) in queries.iter().enumerate() {
            let sql = query["sql"].as_str().unwrap();
            tally.run(&format!("{id}:{number}"), false, sql, || {
                match answer(&engine, sql).and_then(|batches| cells(&batches)) {
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

fn texts(row: &Value) -> Vec<String> {
    let text = |cell: &Value| cell.as_str().map_or_else(|| cell.to_string(), str::to_string);
    row.as_array().unwrap().iter().map(text).collect()
}
