//! `millstream test FILE...`: scripts of arrivals and what must come out.

use std::path::{Path, PathBuf};

use millstream::error::{Error, Result};
use millstream::testing;

use super::Stop;
use super::arguments::TestArguments;

/// Runs scripts, or writes into them what really comes out.
pub fn run(arguments: &TestArguments) -> Result<(), Stop> {
    let mut files = Vec::new();
    for path in &arguments.files {
        find(path, &mut files)?;
    }
    if files.is_empty() {
        let folders: Vec<_> = arguments.files.iter().map(|path| path.display().to_string()).collect();
        let message = format!("no scripts: there is no file *.test below {}", folders.join(", "));
        return Err(Error::user(message).into());
    }
    let mut failed = 0;
    for file in &files {
        let text = read(file)?;
        let in_file = |error: Error| error.context(file.display().to_string());
        if arguments.update {
            let rewritten = testing::rewrite(&text).map_err(in_file)?;
            if rewritten != text {
                std::fs::write(file, rewritten).map_err(|e| cannot("write", file, e))?;
                eprintln!("{}: rewritten", file.display());
            }
            continue;
        }
        let failures = testing::check(&text).map_err(in_file)?;
        failed += usize::from(!failures.is_empty());
        for failure in failures {
            eprintln!("{}:{failure}\n", file.display());
        }
    }
    match failed {
        0 => {
            eprintln!("{} passed", count(files.len()));
            Ok(())
        }
        failed => Err(Error::user(format!("{failed} of {} failed", count(files.len()))).into()),
    }
}

fn count(files: usize) -> String {
    if files == 1 { "1 script".to_string() } else { format!("{files} scripts") }
}

/// The scripts of a folder, or the file itself.
fn find(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    let entries = std::fs::read_dir(path).map_err(|e| cannot("read", path, e))?;
    let mut entries: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    entries.retain(|entry| entry.is_dir() || entry.extension().is_some_and(|extension| extension == "test"));
    entries.iter().try_for_each(|entry| find(entry, files))
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|e| cannot("read", file, e))
}

fn cannot(what: &str, path: &Path, cause: std::io::Error) -> Error {
    Error::outside(format!("cannot {what} a script: {}", path.display())).caused_by(cause)
}
