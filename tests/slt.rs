//! Runs `tests/sql/**/*.slt`: text cases of SQL, errors included, in the manner of sqllogictest.
//!
//! Each file runs in a fresh engine under several batch sizes and partition counts: the answers must be the same.
//! `SLT=text cargo test --test slt` runs only files whose path contains the text. The format is in `support/script.rs`.
#![allow(clippy::unwrap_used, clippy::err_expect, reason = "a failed unwrap in a test is a failed test")]

#[path = "support/script.rs"]
mod script;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use millstream::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use millstream::arrow::datatypes::{DataType, Schema};
use millstream::arrow::util::display::{ArrayFormatter, FormatOptions};
use millstream::batch::Change;
use millstream::config::Config;
use millstream::engine::{Engine, Outcome};
use script::{Expected, Record, Script};

const BATCH_ROWS: [usize; 4] = [1, 7, 8192, 65_536];
const PARTITIONS: [usize; 3] = [1, 2, 5];

#[test]
fn answers_are_the_expected_ones() {
    let failures = each_file(check_file);
    assert!(failures.is_empty(), "{} files failed:\n\n{}", failures.len(), failures.join("\n\n"));
}

/// What a query puts out with `EMIT CHANGES`, folded up, is its answer.
#[test]
fn changes_fold_to_the_expected_answers() {
    let (folded, refused) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let failures = each_file(|path| {
        let script = Script::read(path).ok()?;
        let failed: Vec<String> = [(1, 1), (3, 2), (65_536, 5)]
            .into_iter()
            .flat_map(|(batch_rows, partitions)| {
                let config = Config { batch_rows, partitions, ..Config::default() };
                check_script(&script, config, &|engine, record, sql, place| {
                    if !is_plain_query(record, sql) {
                        return check_record(engine, record, sql, place);
                    }
                    match run(engine, &format!("{sql}\nEMIT CHANGES")) {
                        Ok(answer) => {
                            folded.fetch_add(1, Ordering::Relaxed);
                            compare(record, answer, true, place)
                        }
                        Err(error) if error.contains("bug") => Err(error),
                        Err(error) => {
                            refused.lock().unwrap().push(error);
                            Ok(())
                        }
                    }
                })
            })
            .collect();
        (!failed.is_empty()).then(|| failed.iter().map(|failure| format!("{}:{failure}\n", path.display())).collect())
    });
    assert!(failures.is_empty(), "{} files failed:\n\n{}", failures.len(), failures.join("\n\n"));
    let (folded, refused) = (folded.into_inner(), refused.into_inner().unwrap());
    println!("{folded} answers folded, {} queries refused", refused.len());
    refused.iter().for_each(|error| println!("{error}"));
    assert!(std::env::var("SLT").is_ok() || folded > 20 * refused.len(), "{} queries were refused", refused.len());
}

/// Whether `EMIT CHANGES` may be put behind it.
fn is_plain_query(record: &Record, sql: &str) -> bool {
    let upper = sql.to_uppercase();
    let begins = ["SELECT", "WITH", "VALUES", "("].iter().any(|word| upper.trim_start().starts_with(word));
    matches!(record.expected, Expected::Rows { .. }) && begins && !upper.contains("EMIT")
}

/// What `check` says of the files, each looked at once.
fn each_file(check: impl Fn(&Path) -> Option<String> + Sync) -> Vec<String> {
    let only = std::env::var("SLT").unwrap_or_default();
    let mut files = Vec::new();
    find(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql"), &mut files);
    files.retain(|file| file.to_string_lossy().contains(&only));
    files.sort();
    assert!(!files.is_empty(), "no file matches: {only}");
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let failed = check(file);
                    failures.lock().unwrap().extend(failed);
                }
            });
        }
    });
    failures.into_inner().unwrap()
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder of cases is there") {
        let path = entry.unwrap().path();
        match path.extension() {
            _ if path.is_dir() => find(&path, files),
            Some(extension) if extension == "slt" => files.push(path),
            _ => {}
        }
    }
}

/// Runs a file under all configurations; what failed, and where.
fn check_file(path: &Path) -> Option<String> {
    let script = match Script::read(path) {
        Ok(script) => script,
        Err(mistake) => return Some(format!("{}:{mistake}", path.display())),
    };
    let mut failures: Vec<(String, Vec<String>)> = Vec::new();
    for batch_rows in BATCH_ROWS {
        for partitions in PARTITIONS {
            // With five partitions groups leave early and often, and rows pass by.
            let local_groups_max = if partitions == 5 { 2 } else { 16_384 };
            let config = Config { batch_rows, partitions, local_groups_max, ..Config::default() };
            for failure in check_script(&script, config, &check_record) {
                let name = format!("{batch_rows} x {partitions}");
                match failures.iter_mut().find(|(known, _)| *known == failure) {
                    Some((_, configs)) => configs.push(name),
                    None => failures.push((failure, vec![name])),
                }
            }
        }
    }
    let all = BATCH_ROWS.len() * PARTITIONS.len();
    let show = |(failure, configs): &(String, Vec<String>)| match configs.len() {
        count if count == all => failure.clone(),
        _ => format!("{failure}\n(with batch rows x partitions: {})", configs.join(", ")),
    };
    let shown: Vec<_> = failures.iter().map(show).collect();
    (!shown.is_empty()).then(|| shown.iter().map(|failure| format!("{}:{failure}\n", path.display())).collect())
}

/// Checks a record: the engine, its SQL, and what puts the folder of files into a text.
type CheckRecord<'a> = dyn Fn(&Engine, &Record, &str, &dyn Fn(&str) -> String) -> Result<(), String> + 'a;

/// Runs a script from its beginning; what failed.
fn check_script(script: &Script, config: Config, check: &CheckRecord<'_>) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder for the files of the script");
    let place = |text: &str| text.replace("$DIR", &folder.path().to_string_lossy());
    for (name, content) in &script.files {
        std::fs::write(folder.path().join(name), content).expect("a file of the script");
    }
    let engine = Engine::new(config);
    let failed = |record: &Record| {
        let failure = check(&engine, record, &place(&record.sql), &place).err()?;
        let failure = failure.replace(&*folder.path().to_string_lossy(), "$DIR");
        Some(format!("{}: {failure}\n  {}", record.line, record.sql.replace('\n', "\n  ")))
    };
    script.records.iter().filter_map(failed).collect()
}

fn check_record(engine: &Engine, record: &Record, sql: &str, place: &dyn Fn(&str) -> String) -> Result<(), String> {
    let outcome = run(engine, sql);
    match (&record.expected, outcome) {
        (Expected::Error(part), Err(error)) => match error.contains(&place(part)) {
            true => Ok(()),
            false => Err(format!("another error: {error}\nexpected: {part}")),
        },
        (Expected::Error(part), Ok(_)) => Err(format!("no error; expected: {part}")),
        (_, Err(error)) => Err(error),
        (Expected::Ok, Ok(_)) => Ok(()),
        (Expected::Rows { is_sorted, .. }, Ok(answer)) => compare(record, answer, *is_sorted, place),
    }
}

fn compare(
    record: &Record,
    mut answer: Answer,
    in_any_order: bool,
    place: &dyn Fn(&str) -> String,
) -> Result<(), String> {
    let Expected::Rows { types, rows, .. } = &record.expected else { return Ok(()) };
    if answer.types != *types {
        return Err(format!("other types: {}; expected: {types}", answer.types));
    }
    let mut expected: Vec<_> = rows.iter().map(|row| place(row)).collect();
    if in_any_order {
        answer.rows.sort();
        expected.sort();
    }
    match answer.rows == expected {
        true => Ok(()),
        false => Err(format!("another answer:\n{}\nexpected:\n{}", answer.rows.join("\n"), expected.join("\n"))),
    }
}

/// An answer as text: a letter per column, a line per row.
#[derive(Default)]
struct Answer {
    types: String,
    rows: Vec<String>,
}

impl Answer {
    /// Adds rows, and takes away those that are taken back.
    fn take(&mut self, lines: Vec<String>, changes: Option<&[Change]>) -> Result<(), String> {
        for (row, line) in lines.into_iter().enumerate() {
            let weight = changes.map_or(1, |changes| changes[row].weight());
            if weight > 0 {
                self.rows.push(line);
                continue;
            }
            let known = self.rows.iter().rposition(|known| *known == line);
            let known = known.ok_or_else(|| format!("a row was taken back that is not there: {line}"))?;
            self.rows.remove(known);
        }
        Ok(())
    }
}

fn run(engine: &Engine, sql: &str) -> Result<Answer, String> {
    match engine.execute(sql).map_err(|e| e.to_string())? {
        Outcome::Done(_) => Ok(Answer::default()),
        Outcome::Text(text) => {
            Ok(Answer { types: "T".to_string(), rows: text.lines().map(|line| line.trim_end().to_string()).collect() })
        }
        Outcome::Query(query) => {
            let types = letters(&query.schema());
            let mut answer = Answer { types, rows: Vec::new() };
            for rows in query {
                let rows = rows.map_err(|e| e.to_string())?;
                answer.take(lines(&rows.batch), rows.changes.as_deref())?;
            }
            Ok(answer)
        }
    }
}

fn letters(schema: &Schema) -> String {
    let letter = |data_type: &DataType| match data_type {
        DataType::Boolean => 'B',
        data_type if data_type.is_integer() => 'I',
        data_type if data_type.is_floating() => 'R',
        DataType::Decimal128(..) | DataType::Decimal256(..) | DataType::Decimal64(..) | DataType::Decimal32(..) => 'R',
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => 'T',
        DataType::Timestamp(..) => 'P',
        DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_) => 'D',
        DataType::Duration(_) | DataType::Interval(_) => 'D',
        _ => '?',
    };
    schema.fields().iter().map(|field| letter(field.data_type())).collect()
}

fn lines(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::new().with_null("NULL");
    let cells = |column: &ArrayRef| -> Vec<String> {
        let formatter = ArrayFormatter::try_new(column, &options).expect("every type can be shown");
        let text = column.as_string_view_opt();
        let is_empty = |row: usize| text.is_some_and(|text| text.is_valid(row) && text.value(row).is_empty());
        let cell = |row: usize| if is_empty(row) { "(empty)".to_string() } else { formatter.value(row).to_string() };
        (0..column.len()).map(cell).collect()
    };
    let columns: Vec<_> = batch.columns().iter().map(cells).collect();
    let line = |row: usize| columns.iter().map(|column| column[row].as_str()).collect::<Vec<_>>().join(" ");
    (0..batch.num_rows()).map(line).collect()
}
