//! Runs `tests/stream/**/*.test`: scripted arrivals in, exactly these rows out, under several cuts and workers.
//!
//! `STREAM=text cargo test --test stream` runs only files whose path contains the text; `UPDATE=1` writes into them what
//! really comes out. The format is in `docs/testing.md`.
#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

use std::path::{Path, PathBuf};

use millstream::testing;

#[test]
fn what_comes_out_is_what_was_expected() {
    let only = std::env::var("STREAM").unwrap_or_default();
    let mut files = Vec::new();
    find(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stream"), &mut files);
    files.retain(|file| file.to_string_lossy().contains(&only));
    files.sort();
    assert!(!files.is_empty(), "no file matches: {only}");
    let mut failures = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        if std::env::var_os("UPDATE").is_some() {
            match testing::rewrite(&text) {
                Ok(rewritten) if rewritten != text => std::fs::write(file, rewritten).unwrap(),
                Ok(_) => {}
                Err(error) => failures.push(format!("{}: {error}", file.display())),
            }
            continue;
        }
        match testing::check(&text) {
            Ok(failed) => failures.extend(failed.iter().map(|failure| format!("{}:{failure}", file.display()))),
            Err(error) => failures.push(format!("{}: {error}", file.display())),
        }
    }
    assert!(failures.is_empty(), "{} failures:\n\n{}", failures.len(), failures.join("\n\n"));
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder of scripts is there") {
        let path = entry.unwrap().path();
        match path.extension() {
            _ if path.is_dir() => find(&path, files),
            Some(extension) if extension == "test" => files.push(path),
            _ => {}
        }
    }
}
