//! An engine with the tables of a case, and rows into them.

use std::collections::BTreeMap;

use millstream::arrow::array::RecordBatch;
use millstream::arrow::datatypes::{DataType, SchemaRef};
use millstream::arrow::json::ReaderBuilder;
use millstream::batch::Change;
use millstream::config::Config;
use millstream::engine::{Engine, Outcome};
use serde_json::Value;

use super::tally::told;

pub fn engine() -> Engine {
    Engine::new(Config { partitions: 2, ..Config::default() })
}

/// The rows of a statement; those of several statements are those of the last.
pub fn answer(engine: &Engine, sql: &str) -> Result<Vec<RecordBatch>, String> {
    match engine.execute(sql).map_err(told)? {
        Outcome::Query(query) => query.collect().map_err(told),
        Outcome::Done(_) | Outcome::Text(_) => Ok(Vec::new()),
    }
}

/// JSON objects as a batch of a table's columns.
pub fn rows_of_json(schema: SchemaRef, rows: &[Value]) -> Result<Option<RecordBatch>, String> {
    let mut rows = rows.to_vec();
    for field in schema.fields().iter().filter(|field| is_binary(field.data_type())) {
        rows.iter_mut().filter_map(|row| row.get_mut(field.name())).for_each(|cell| *cell = bytes(cell));
    }
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let reader = ReaderBuilder::new(schema).with_coerce_primitive(true).build(text.as_bytes());
    let batches: Vec<RecordBatch> = reader.and_then(Iterator::collect).map_err(|e| format!("rows of the case: {e}"))?;
    Ok(batches.into_iter().next())
}

pub fn is_binary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::BinaryView | DataType::Binary | DataType::LargeBinary)
}

/// Bytes that a case tells as a list of numbers, in hexadecimal digits.
pub fn bytes(cell: &Value) -> Value {
    match cell {
        Value::Array(bytes) => {
            Value::String(bytes.iter().map(|byte| format!("{:02x}", byte.as_u64().unwrap_or(0))).collect())
        }
        other => other.clone(),
    }
}

/// The columns of a table or view.
pub fn schema(engine: &Engine, name: &str) -> Result<SchemaRef, String> {
    engine.sql(&format!("SELECT * FROM {name} LIMIT 0")).map(|query| query.schema()).map_err(told)
}

/// SQL text as its statements, without comments.
pub fn statements(text: &str) -> Vec<String> {
    let (mut statements, mut current) = (Vec::new(), String::new());
    let (mut in_text, mut chars) = (false, text.chars().peekable());
    while let Some(c) = chars.next() {
        in_text ^= c == '\'';
        match c {
            '-' if !in_text && chars.peek() == Some(&'-') => {
                chars.by_ref().find(|c| *c == '\n');
                current.push('\n');
            }
            ';' if !in_text => statements.push(std::mem::take(&mut current)),
            c => current.push(c),
        }
    }
    statements.push(current);
    statements.iter().map(|part| part.trim().to_string()).filter(|part| !part.is_empty()).collect()
}

/// What has been defined for a case: tables in memory with their columns as SQL, and views that follow them.
#[derive(Default)]
pub struct Defined {
    pub tables: BTreeMap<String, String>,
    /// The last view made.
    pub view: String,
}

impl Defined {
    /// Runs a statement of a suite: its tables are tables in memory here, its views are kept up to date.
    pub fn run(&mut self, engine: &Engine, statement: &str) -> Result<(), String> {
        let upper = statement.to_uppercase();
        let word = |at: usize| statement.split_whitespace().nth(at).unwrap_or_default().to_string();
        let execute = |sql: &str| engine.execute(sql).map(|_| ()).map_err(told);
        if upper.starts_with("CREATE TABLE") {
            let end = upper.rfind(" WITH (").or(upper.rfind(" WITH(")).unwrap_or(statement.len());
            let columns = &statement[..end];
            let columns = &columns[columns.find('(').ok_or("no columns")?..];
            let name = word(2).split('(').next().unwrap_or_default().to_string();
            execute(&format!("CREATE TABLE {name} {columns} WITH ('connector' = 'memory')"))?;
            self.tables.insert(name.to_lowercase(), columns.to_string());
        } else if let Some(at) = upper.find("VIEW ").filter(|_| upper.starts_with("CREATE")) {
            self.view = statement[at + 5..].split_whitespace().next().unwrap_or_default().to_string();
            execute(&format!("CREATE MATERIALIZED VIEW {}", &statement[at + 5..]))?;
        } else if let Some(rest) = statement.strip_prefix("REMOVE FROM ") {
            self.remove(engine, rest)?;
        } else {
            execute(statement)?;
        }
        Ok(())
    }

    /// Takes back the rows of `NAME VALUES ...`.
    fn remove(&self, engine: &Engine, rest: &str) -> Result<(), String> {
        let (name, values) = rest.split_once(char::is_whitespace).ok_or("REMOVE without values")?;
        let columns = self.tables.get(&name.to_lowercase()).ok_or("REMOVE from a table that is not there")?;
        answer(engine, &format!("CREATE OR REPLACE TABLE removed {columns} WITH ('connector' = 'memory')"))?;
        answer(engine, &format!("INSERT INTO removed {values}"))?;
        let writer = engine.writer(&name.to_lowercase()).map_err(told)?;
        for rows in answer(engine, "SELECT * FROM removed")? {
            writer.write(&rows, Some(&vec![Change::DELETE; rows.num_rows()])).map_err(told)?;
        }
        Ok(())
    }
}
