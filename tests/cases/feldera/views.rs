//! Views that follow tables: `{tables: [{sql, rows}], views: [{sql, rows}], errors: [{sql}]}`. A view stands before its rows
//! come, over tables and views of all files.

use serde_json::Value;

use crate::define::{Defined, answer, bytes, engine, is_binary, rows_of_json, schema, statements};
use crate::row::{cells, compare, same_cell};
use crate::tally::{Outcome, Tally, lines, told};

#[test]
fn views_follow_their_tables() {
    let mut tally = Tally::new("feldera views");
    let files: Vec<Value> = lines("feldera.jsonl").into_iter().filter(|file| file["views"].is_array()).collect();
    let all = |kind: &str| -> Vec<&Value> { files.iter().flat_map(|file| file[kind].as_array().unwrap()).collect() };
    let world = World { tables: all("tables"), views: all("views") };
    for view in &world.views {
        let (id, sql) = (view["class"].as_str().unwrap(), view["sql"].as_str().unwrap());
        let is_local = sql.to_uppercase().starts_with("CREATE LOCAL");
        if !is_local && view["rows"].is_array() {
            tally.run(id, false, sql, || world.answer(sql, &view["rows"]).unwrap_or_else(Outcome::Refused));
        }
    }
    for view in all("errors") {
        let (id, sql) = (view["class"].as_str().unwrap(), view["sql"].as_str().unwrap());
        if sql.is_empty() {
            continue;
        }
        tally.run(id, false, sql, || match world.answer(sql, &Value::Null) {
            Ok(outcome) => Outcome::Answered(format!("{outcome:?}")),
            Err(reason) if reason.starts_with("bug") => Outcome::Refused(reason),
            Err(_) => Outcome::Passed,
        });
    }
    tally.finish();
}

struct World<'a> {
    tables: Vec<&'a Value>,
    views: Vec<&'a Value>,
}

impl World<'_> {
    /// Makes what a view stands on, the view, and then feeds the tables.
    fn answer(&self, sql: &str, rows: &Value) -> Result<Outcome, String> {
        let (engine, mut defined) = (engine(), Defined::default());
        let mut fed = Vec::new();
        self.define(sql, &mut Vec::new(), &mut |statement, table| {
            fed.extend(table);
            defined.run(&engine, statement)
        })?;
        for table in fed {
            let name = name_of(table["sql"].as_str().unwrap());
            let values: Vec<Value> = table["rows"].as_array().unwrap().iter().map(lowercase).collect();
            let Some(batch) = rows_of_json(schema(&engine, &name)?, &values)? else { continue };
            engine.writer(&name).and_then(|writer| writer.write(&batch, None)).map_err(told)?;
        }
        let name = name_of(sql);
        let columns = schema(&engine, &name)?;
        let found = cells(&answer(&engine, &format!("SELECT * FROM {name}"))?)?;
        let Some(rows) = rows.as_array() else { return Ok(Outcome::Different(format!("{found:?}"))) };
        let names: Vec<(String, bool)> = (columns.fields().iter())
            .map(|field| (field.name().to_lowercase(), is_binary(field.data_type())))
            .collect();
        let row = |row: &Value| -> Vec<String> {
            let row = lowercase(row);
            let cell = |(name, is_binary): &(String, bool)| {
                let cell = row.get(name).unwrap_or(&Value::Null);
                if *is_binary { text(&bytes(cell)) } else { text(cell) }
            };
            names.iter().map(cell).collect()
        };
        let expected: Vec<Vec<String>> = rows.iter().map(row).collect();
        let same = |a: &Vec<String>, b: &Vec<String>| a.iter().zip(b).all(|(a, b)| same_cell(a, b));
        Ok(compare(found, expected, false, same))
    }

    /// What a view names is made before it.
    fn define<'a>(
        &'a self,
        sql: &str,
        made: &mut Vec<String>,
        run: &mut impl FnMut(&str, Option<&'a Value>) -> Result<(), String>,
    ) -> Result<(), String> {
        let own = name_of(sql);
        let is_named = |other: &&&'a Value| {
            let name = name_of(other["sql"].as_str().unwrap());
            name != own && sql.to_lowercase().split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
        };
        made.push(own.clone());
        for (kind, is_table) in [(&self.tables, true), (&self.views, false)] {
            for other in kind.iter().filter(is_named) {
                let text = other["sql"].as_str().unwrap();
                if made.contains(&name_of(text)) {
                    continue;
                }
                if is_table {
                    made.push(name_of(text));
                    for statement in statements(text) {
                        let is_table = statement.to_uppercase().starts_with("CREATE TABLE");
                        run(&statement, is_table.then_some(*other))?;
                    }
                } else {
                    self.define(text, made, run)?;
                }
            }
        }
        statements(sql).iter().try_for_each(|statement| run(statement, None))
    }
}

/// The name that the last statement of a text defines, in lower case.
fn name_of(sql: &str) -> String {
    let last = statements(sql).pop().unwrap_or_default().to_lowercase();
    let mut words = last.split(|c: char| c.is_whitespace() || c == '(').filter(|word| !word.is_empty());
    words.find(|word| matches!(*word, "view" | "table"));
    words.next().unwrap_or_default().to_string()
}

fn lowercase(row: &Value) -> Value {
    let members = row.as_object().into_iter().flatten();
    Value::Object(members.map(|(name, value)| (name.to_lowercase(), value.clone())).collect())
}

fn text(cell: &Value) -> String {
    match cell {
        Value::Null => "NULL".to_string(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
