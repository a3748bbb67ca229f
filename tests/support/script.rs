//! Reads text cases.
//!
//! ```text
//! # a comment
//! file NAME                    the lines up to a blank one become a file; SQL finds it as $DIR/NAME
//!
//! statement ok                 SQL up to a blank line
//!
//! statement error TEXT         the error, place and all, contains TEXT
//!
//! query TYPES [rowsort]        SQL up to ----, then a line per row up to a blank one; cells apart by a blank
//! ```
//! TYPES has a letter per column: B boolean, D date, time or span, I integer, P timestamp, R float or decimal, T text,
//! ? other. NULL is a null, (empty) an empty text. `rowsort` compares without regard to order.

use std::path::Path;

/// A file of cases.
pub struct Script {
    pub files: Vec<(String, String)>,
    pub records: Vec<Record>,
}

/// One case.
pub struct Record {
    pub line: usize,
    pub sql: String,
    pub expected: Expected,
}

pub enum Expected {
    Ok,
    Error(String),
    Rows { types: String, is_sorted: bool, rows: Vec<String> },
}

impl Script {
    /// Reads a file of cases; a mistake comes with its line.
    pub fn read(path: &Path) -> Result<Script, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("0: {e}"))?;
        let mut script = Script { files: Vec::new(), records: Vec::new() };
        let mut lines = text.lines().enumerate();
        while let Some((at, line)) = lines.next() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let block: Vec<_> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| !line.trim().is_empty()).collect();
            script.add(at + 1, line, &block).map_err(|mistake| format!("{}: {mistake}: {line}", at + 1))?;
        }
        Ok(script)
    }

    fn add(&mut self, line: usize, head: &str, block: &[&str]) -> Result<(), String> {
        let (word, rest) = head.split_once(' ').ok_or("not a case")?;
        if word == "file" {
            self.files.push((rest.trim().to_string(), block.join("\n") + "\n"));
            return Ok(());
        }
        let split = block.iter().position(|line| *line == "----").unwrap_or(block.len());
        let expected = match (word, rest.split_once(' ').unwrap_or((rest, ""))) {
            ("statement", ("ok", "")) => Expected::Ok,
            ("statement", ("error", part)) if !part.is_empty() => Expected::Error(part.to_string()),
            ("query", (types, order @ ("" | "rowsort"))) => {
                let rows = block.get(split + 1..).ok_or("no ----")?;
                let rows = rows.iter().map(|row| row.trim_end().to_string()).collect();
                Expected::Rows { types: types.to_string(), is_sorted: order == "rowsort", rows }
            }
            _ => return Err("not a case".to_string()),
        };
        let sql = block[..split].join("\n");
        if sql.trim().is_empty() {
            return Err("no SQL".to_string());
        }
        self.records.push(Record { line, sql, expected });
        Ok(())
    }
}
