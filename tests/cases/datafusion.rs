//! Queries over small files and the answers that DataFusion has recorded:
//! `{id, sql, types, ordered, rows_text, tables: {name: {file}}, df}`, or `{.., error}` where the query must fail.

use super::define::{answer, engine};
use super::row::{compare, lines as rows, same_word};
use super::tally::{Outcome, Tally, folder, lines};

#[test]
fn answers_that_datafusion_recorded() {
    let mut tally = Tally::new("datafusion");
    for case in lines("datafusion.jsonl") {
        let (id, sql) = (case["id"].as_str().unwrap(), case["sql"].as_str().unwrap());
        let must_fail = case.get("error").is_some();
        tally.run(id, case["df"] == "agree", sql, || {
            let (engine, tables) = (engine(), folder().unwrap().join("data/df-tables"));
            // A statement may write into its tables: it gets copies, so that the folder stays what it is.
            let copies = tempfile::tempdir().unwrap();
            for (name, table) in case["tables"].as_object().unwrap() {
                let file = table["file"].as_str().unwrap();
                std::fs::write(copies.path().join(file), std::fs::read(tables.join(file)).unwrap()).unwrap();
                engine.register_file(name, copies.path().join(file)).unwrap();
            }
            match answer(&engine, sql).and_then(|batches| rows(&batches)) {
                Err(_) if must_fail => Outcome::Passed,
                Ok(found) if must_fail => Outcome::Answered(format!("{found:?}")),
                Err(message) => Outcome::Refused(message),
                Ok(found) => {
                    let expected = case["rows_text"].as_array().unwrap().iter();
                    let expected: Vec<String> = expected.map(|row| row.as_str().unwrap().to_string()).collect();
                    // A rule below the names of columns has been recorded as a row, a row of nothing but blanks not at all.
                    let expected: Vec<String> = expected.into_iter().filter(|row| row != "----").collect();
                    let is_blank = |row: &String| row.replace("(empty)", "").trim().is_empty();
                    let has_blank = expected.iter().any(is_blank);
                    let found = found.into_iter().filter(|row| has_blank || !is_blank(row)).collect();
                    compare(found, expected, case["ordered"] == true && orders(sql), |a, b| same_row(a, b))
                }
            }
        });
    }
    tally.finish();
}

/// Whether a query orders its rows: ORDER BY outside of all parentheses.
fn orders(sql: &str) -> bool {
    let (sql, mut depth) = (sql.to_lowercase(), 0i32);
    sql.char_indices().any(|(at, c)| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0 && sql[at..].starts_with("order by")
    })
}

/// The same words; the recorded answers have blanks put together, and floats in twelve places behind the point.
fn same_row(a: &str, b: &str) -> bool {
    let is_separator = |c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']' | '{' | '}' | ':');
    let words = |text: &str| -> Vec<String> {
        let text = text.replace('\0', "\\0");
        text.split(is_separator).filter(|word| !word.is_empty()).map(str::to_string).collect()
    };
    let is_rounded = |a: &str, b: &str| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => (a - b).abs() <= 5e-13,
        _ => false,
    };
    let (a, b) = (words(a), words(b));
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| same_word(a, b) || is_rounded(a, b))
}
