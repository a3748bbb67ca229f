//! Exact changes of a view, step by step: `{sql, steps: [{do, delta: {changes: [[row, weight]]}}]}`. The last view of the
//! SQL is looked at before and after each step.

use std::collections::BTreeMap;

use millstream::engine::Engine;
use serde_json::Value;

use crate::define::{Defined, answer, engine, statements};
use crate::row::{compare, lines as rows, same_line};
use crate::tally::{Outcome, Tally, lines};

#[test]
fn changes_of_views_step_by_step() {
    let mut tally = Tally::new("feldera steps");
    for case in lines("feldera.jsonl") {
        if let (Some(id), Some(sql), Some(steps)) =
            (case["id"].as_str(), case["sql"].as_str(), case["steps"].as_array())
        {
            tally.run(id, false, sql, || steps_of(sql, steps).unwrap_or_else(Outcome::Refused));
        }
    }
    tally.finish();
}

fn steps_of(sql: &str, steps: &[Value]) -> Result<Outcome, String> {
    let (engine, mut defined) = (engine(), Defined::default());
    statements(sql).iter().try_for_each(|statement| defined.run(&engine, statement))?;
    let view = defined.view.clone();
    for (number, step) in steps.iter().enumerate() {
        let before = counts(&engine, &view)?;
        let todo = statements(step["do"].as_str().unwrap_or_default());
        todo.iter().try_for_each(|statement| defined.run(&engine, statement))?;
        let mut found = counts(&engine, &view)?;
        before.into_iter().for_each(|(row, count)| *found.entry(row).or_default() -= count);
        let found = found.into_iter().filter(|(_, count)| *count != 0);
        let found = found.map(|(row, count)| format!("{count} {row}")).collect();
        let changes = step["delta"]["changes"].as_array().into_iter().flatten();
        let expected = changes.map(expected_line).collect();
        if let Outcome::Different(text) = compare(found, expected, false, |a: &String, b| same_line(a, b)) {
            return Ok(Outcome::Different(format!("step {number}: {text}")));
        }
    }
    Ok(Outcome::Passed)
}

fn expected_line(change: &Value) -> String {
    let cells = change[0].as_array().into_iter().flatten();
    let cells = cells.map(|cell| match cell.as_str() {
        Some("") => "NULL".to_string(),
        Some(text) => text.trim().to_string(),
        None if cell.is_null() => "NULL".to_string(),
        None => cell.to_string(),
    });
    format!("{} {}", change[1], cells.collect::<Vec<_>>().join(" "))
}

fn counts(engine: &Engine, view: &str) -> Result<BTreeMap<String, i64>, String> {
    let mut counts = BTreeMap::new();
    for row in rows(&answer(engine, &format!("SELECT * FROM {view}"))?)? {
        *counts.entry(row.replace("(empty)", "NULL")).or_default() += 1;
    }
    Ok(counts)
}
