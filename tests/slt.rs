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
use millstream::config::Config;
use millstream::engine::{Engine, Outcome};
use script::{Expected, Record, Script};

const BATCH_ROWS: [usize; 4] = [1, 7, 8192, 65_536];
const PARTITIONS: [usize; 3] = [1, 2, 5];

#[test]
fn answers_are_the_expected_ones() {
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
                    let failed = check_file(file);
                    failures.lock().unwrap().extend(failed);
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} files failed:\n\n{}", failures.len(), files.len(), failures.join("\n\n"));
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
            for failure in check_script(&script, config) {
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

/// Runs a script from its beginning; what failed.
fn check_script(script: &Script, config: Config) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder for the files of the script");
    let place = |text: &str| text.replace("$DIR", &folder.path().to_string_lossy());
    for (name, content) in &script.files {
        std::fs::write(folder.path().join(name), content).expect("a file of the script");
    }
    let engine = Engine::new(config);
    let failed = |record: &Record| {
        let failure = check_record(&engine, record, &place(&record.sql), &place).err()?;
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
        (Expected::Rows { types, is_sorted, rows }, Ok(mut answer)) => {
            if answer.types != *types {
                return Err(format!("other types: {}; expected: {types}", answer.types));
            }
            let mut expected: Vec<_> = rows.iter().map(|row| place(row)).collect();
            if *is_sorted {
                answer.rows.sort();
                expected.sort();
            }
            match answer.rows == expected {
                true => Ok(()),
                false => {
                    Err(format!("another answer:\n{}\nexpected:\n{}", answer.rows.join("\n"), expected.join("\n")))
                }
            }
        }
    }
}

/// An answer as text: a letter per column, a line per row.
#[derive(Default)]
struct Answer {
    types: String,
    rows: Vec<String>,
}

fn run(engine: &Engine, sql: &str) -> Result<Answer, String> {
    match engine.execute(sql).map_err(|e| e.to_string())? {
        Outcome::Done(_) => Ok(Answer::default()),
        Outcome::Text(text) => {
            Ok(Answer { types: "T".to_string(), rows: text.lines().map(|line| line.trim_end().to_string()).collect() })
        }
        Outcome::Query(query) => {
            let types = letters(&query.schema());
            let batches = query.collect().map_err(|e| e.to_string())?;
            Ok(Answer { types, rows: batches.iter().flat_map(lines).collect() })
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
