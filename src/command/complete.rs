//! What could follow in the shell: keywords, tables, columns, functions, paths, dot commands.

use millstream::arrow::array::{Array, RecordBatch};
use millstream::arrow::util::display::array_value_to_string;
use millstream::engine::Engine;
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};

use super::shell::DOT_COMMANDS;

const KEYWORDS: &[&str] = &[
    "ALL",
    "ALLOW",
    "AND",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "CHANGES",
    "CREATE",
    "CUBE",
    "DESC",
    "DESCRIBE",
    "DESCRIPTOR",
    "DISTINCT",
    "DROP",
    "ELSE",
    "EMIT",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "EXTERNAL",
    "FALSE",
    "FILTER",
    "FINAL",
    "FIRST",
    "FROM",
    "FUNCTIONS",
    "GROUP",
    "GROUPING",
    "HAVING",
    "HOP",
    "IF",
    "IN",
    "INSERT",
    "INTERVAL",
    "INTO",
    "IS",
    "LAST",
    "LIKE",
    "LIMIT",
    "LOGICAL",
    "NOT",
    "NULL",
    "NULLS",
    "OFFSET",
    "ON",
    "OPTIMIZED",
    "OR",
    "ORDER",
    "PARTITION",
    "PIPELINE",
    "PRIMARY KEY",
    "REPLACE",
    "ROLLUP",
    "SELECT",
    "SETS",
    "SHOW",
    "STREAM",
    "SYNTAX",
    "TABLE",
    "TABLES",
    "THEN",
    "TIMESTAMP",
    "TRUE",
    "TUMBLE",
    "UNION",
    "VALUES",
    "VIEW",
    "WATERMARK FOR",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
];

/// Rustyline's helper: completes, and knows when a statement has ended.
pub struct Complete {
    engine: Engine,
    files: FilenameCompleter,
}

impl Complete {
    pub fn new(engine: Engine) -> Complete {
        Complete { engine, files: FilenameCompleter::new() }
    }

    /// All tables and views.
    pub fn tables(&self) -> Vec<String> {
        self.names("SHOW TABLES")
    }

    /// The first column of a statement's rows; nothing if it fails.
    fn names(&self, statement: &str) -> Vec<String> {
        let rows = self.engine.sql(statement).and_then(|query| query.collect());
        rows.map(|batches| batches.iter().flat_map(first_column).collect()).unwrap_or_default()
    }

    /// Words that go on from `start`; columns are those of the tables named anywhere in the text.
    fn words(&self, text: &str, start: &str) -> Vec<Pair> {
        let tables = self.tables();
        let mut words = tables.clone();
        for table in &tables {
            let is_named = text.split(|letter: char| !is_word(letter)).any(|word| word.eq_ignore_ascii_case(table));
            if is_named {
                words.extend(self.names(&format!("DESCRIBE \"{}\"", table.replace('"', "\"\""))));
            }
        }
        words.sort();
        words.dedup();
        if !start.is_empty() {
            let is_upper = start.chars().all(|letter| !letter.is_lowercase());
            let keyword = |word: &&str| if is_upper { word.to_string() } else { word.to_lowercase() };
            words.extend(KEYWORDS.iter().map(keyword));
            words.extend(self.names("SHOW FUNCTIONS"));
        }
        let fits = |word: &String| word.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
        let mut pairs: Vec<Pair> = Vec::new();
        for word in words.into_iter().filter(fits) {
            if !pairs.iter().any(|pair| pair.display.eq_ignore_ascii_case(&word)) {
                pairs.push(Pair { display: word.clone(), replacement: word });
            }
        }
        pairs
    }
}

impl Completer for Complete {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, context: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = &line[..at];
        if before.starts_with(".read ") || end_of(before) == End::Quote('\'') {
            return self.files.complete(line, at, context);
        }
        if before.starts_with('.') {
            let commands = DOT_COMMANDS.iter().map(|(command, _)| command.split(' ').next().unwrap_or(command));
            let fitting = commands.filter(|command| command.starts_with(before));
            let pair = |command: &str| Pair { display: command.to_string(), replacement: command.to_string() };
            return Ok((0, fitting.map(pair).collect()));
        }
        let start = before
            .rfind(|letter: char| !is_word(letter))
            .map_or(0, |end| end + before[end..].chars().next().map_or(1, char::len_utf8));
        Ok((start, self.words(line, &before[start..])))
    }
}

impl Validator for Complete {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        Ok(match is_complete(context.input()) {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}

impl Hinter for Complete {
    type Hint = String;
}

impl Highlighter for Complete {}

impl Helper for Complete {}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn first_column(batch: &RecordBatch) -> Vec<String> {
    let Some(column) = batch.columns().first() else { return Vec::new() };
    (0..column.len()).filter_map(|row| array_value_to_string(column, row).ok()).collect()
}

/// Whether the text can be run: a dot command, nothing at all, or statements up to a semicolon.
fn is_complete(text: &str) -> bool {
    let trimmed = text.trim();
    trimmed.is_empty() || trimmed.starts_with('.') || end_of(text) == End::Statement
}

/// In what a text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// After a semicolon, with nothing but comments and blanks behind it.
    Statement,
    Middle,
    /// Inside quotes of this kind.
    Quote(char),
    Comment,
}

fn end_of(text: &str) -> End {
    let mut end = End::Middle;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied();
        match (letter, next) {
            ('\'' | '"', _) => {
                if !letters.any(|other| other == letter) {
                    return End::Quote(letter);
                }
                end = End::Middle;
            }
            ('-', Some('-')) => {
                letters.by_ref().find(|&other| other == '\n');
            }
            ('/', Some('*')) => {
                letters.next();
                let mut before = ' ';
                let closes = |other: char| std::mem::replace(&mut before, other) == '*' && other == '/';
                if !letters.any(closes) {
                    return End::Comment;
                }
            }
            (';', _) => end = End::Statement,
            (letter, _) if letter.is_whitespace() => {}
            _ => end = End::Middle,
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_with_a_semicolon() {
        for text in
            ["SELECT 1;", "SELECT ';';", "SELECT 1; -- done", "SELECT 1; /* ; */ ", "", ".tables", "SELECT 'it''s';"]
        {
            assert!(is_complete(text), "{text}");
        }
        for text in ["SELECT 1", "SELECT ';", "SELECT 1 -- ;", "SELECT 1 /* ;", "SELECT 1; SELECT", "SELECT \"a;"] {
            assert!(!is_complete(text), "{text}");
        }
    }
}
