//! A path option becomes files: one file, a glob, a directory, or standard input.
//!
//! Invariants  files come sorted by name, each once; nothing found is an error that names the pattern.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use glob::MatchOptions;

use crate::error::{Error, Result};
use crate::pipeline::{Format, SystemColumn};
use crate::stream::format::Formats;

/// What is known of a file's rows beside its columns: which file, which row of it, and when the file was changed last.
pub const FILE_COLUMNS: &[SystemColumn] = &[SystemColumn::Partition, SystemColumn::Offset, SystemColumn::Timestamp];

/// When a file was changed last, in milliseconds since 1970, where the system knows.
pub fn modified_ms(path: &Path) -> Option<i64> {
    let since = fs::metadata(path).ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

/// Whether a path means standard input.
pub fn is_stdin(path: &str) -> bool {
    matches!(path, "-" | "/dev/stdin")
}

/// Which files of a directory count.
#[derive(Clone, Copy)]
pub enum Wanted<'a> {
    /// Those of one format.
    Of(&'a Format),
    /// Those of any format there is.
    Known(&'a Formats),
}

impl Wanted<'_> {
    fn is_met(self, path: &Path) -> bool {
        match self {
            Wanted::Of(format) => format.reads(path),
            Wanted::Known(formats) => formats.from_path(path).is_some(),
        }
    }

    fn what(self) -> String {
        match self {
            Wanted::Of(format) => format!(" of format {}", format.word()),
            Wanted::Known(_) => " of known formats".to_string(),
        }
    }
}

/// The files a path stands for.
pub fn list(path: &str, wanted: Wanted<'_>) -> Result<Vec<PathBuf>> {
    let (mut files, what) = match fs::metadata(path) {
        Ok(about) if about.is_dir() => {
            let mut files = Vec::new();
            walk(Path::new(path), wanted, &mut files)?;
            (files, wanted.what())
        }
        Ok(_) => return Ok(vec![PathBuf::from(path)]),
        Err(_) if is_pattern(path) => (matches(path)?, String::new()),
        Err(e) => return Err(Error::outside(format!("file cannot be opened: {path}: {}", reason(&e))).caused_by(e)),
    };
    if files.is_empty() {
        return Err(Error::outside(format!("no files{what} found: {path}")));
    }
    files.sort_unstable();
    files.dedup();
    Ok(files)
}

/// What the system says, without its number.
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The files of a glob. `**` at the end means everything below.
fn matches(pattern: &str) -> Result<Vec<PathBuf>> {
    let options =
        MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
    let whole = if pattern.ends_with("**") { format!("{pattern}/*") } else { pattern.to_string() };
    let paths = glob::glob_with(&whole, options)
        .map_err(|e| Error::user(format!("path is not a valid pattern: {pattern}: {}", e.msg)))?;
    let mut files = Vec::new();
    for path in paths {
        let path = path.map_err(|e| {
            Error::outside(format!("folder cannot be read: {}: {}", e.path().display(), reason(e.error())))
        })?;
        if !path.is_dir() {
            files.push(path);
        }
    }
    Ok(files)
}

/// Collects the files of a directory and those below it, hidden ones left out.
fn walk(folder: &Path, wanted: Wanted<'_>, files: &mut Vec<PathBuf>) -> Result<()> {
    let failed =
        |e: std::io::Error| Error::outside(format!("folder cannot be read: {}: {}", folder.display(), reason(&e)));
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(['.', '_']) {
            continue;
        }
        let about = fs::metadata(&path).map_err(failed)?;
        if about.is_dir() {
            walk(&path, wanted, files)?;
        } else if wanted.is_met(&path) {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(folder: &Path, pattern: &str, format: Option<&str>, expected: &[&str]) {
        let pattern = folder.join(pattern);
        let found = find(pattern.to_str().unwrap(), format).unwrap();
        let found: Vec<_> = found.iter().map(|path| path.strip_prefix(folder).unwrap().to_str().unwrap()).collect();
        assert_eq!(found, expected, "{}", pattern.display());
    }

    fn find(path: &str, format: Option<&str>) -> Result<Vec<PathBuf>> {
        let formats = Formats::default();
        match format.map(|word| formats.from_word(word).unwrap()) {
            Some(format) => list(path, Wanted::Of(&format)),
            None => list(path, Wanted::Known(&formats)),
        }
    }

    #[test]
    fn finds_files_patterns_and_folders() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for name in [
            "b.csv",
            "a.csv",
            "c.parquet",
            ".hidden.csv",
            "readme.md",
            "year=1/d.csv.gz",
            "year=1/_x/e.csv",
            "we[i]rd.csv",
        ] {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        check(folder, "a.csv", None, &["a.csv"]);
        check(folder, "readme.md", None, &["readme.md"]);
        check(folder, "we[i]rd.csv", None, &["we[i]rd.csv"]);
        check(folder, "[ab].csv", None, &["a.csv", "b.csv"]);
        check(folder, "*.parquet", None, &["c.parquet"]);
        check(
            folder,
            "**/*.csv*",
            Some("csv"),
            &["a.csv", "b.csv", "we[i]rd.csv", "year=1/_x/e.csv", "year=1/d.csv.gz"],
        );
        check(folder, "year=*/**", None, &["year=1/_x/e.csv", "year=1/d.csv.gz"]);
        check(folder, "", None, &["a.csv", "b.csv", "c.parquet", "we[i]rd.csv", "year=1/d.csv.gz"]);
        check(folder, "", Some("parquet"), &["c.parquet"]);
    }

    #[test]
    fn nothing_found_names_the_pattern() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
        let message = |name: &str, format| find(&at(name), format).unwrap_err().to_string();
        assert_eq!(
            message("no.csv", None),
            format!("file cannot be opened: {}: no such file or directory", at("no.csv"))
        );
        assert_eq!(message("*.csv", None), format!("no files found: {}", at("*.csv")));
        assert_eq!(message("", Some("avro")), format!("no files of format avro found: {}", at("")));
    }

    #[test]
    fn stdin_has_two_names() {
        assert!(is_stdin("-") && is_stdin("/dev/stdin") && !is_stdin("a-b"));
    }
}
