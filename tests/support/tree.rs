//! The source files of this repository, as the tests of its shape look at them.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file.
pub struct Source {
    /// Its path from the root of the repository, with `/` between folders.
    pub path: String,
    pub text: String,
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files under a folder of the root, in the order of their paths; none when there is no such folder.
pub fn rust_files(folder: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root().join(folder), &mut paths);
    paths.sort();
    let source = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{} cannot be read: {e}", path.display()));
        let path = path.strip_prefix(root()).expect("found below the root");
        let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
        Source { path: parts.join("/"), text }
    };
    paths.into_iter().map(source).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a folder can be listed to its end").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

impl Source {
    /// The room it belongs to: the first folder or file under `src`.
    pub fn room(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let first = inside.split('/').next().expect("a path has parts");
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Whether all of it is tests.
    pub fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// The lines that users run, with their numbers from 1: no comments, no texts in quotes, nothing after the line
    /// that opens the tests.
    pub fn code(&self) -> Vec<(usize, String)> {
        let mut lines = Vec::new();
        let mut text = Quote::default();
        let all: Vec<&str> = self.text.lines().collect();
        for (number, line) in (1..).zip(&all) {
            let opens_tests = line.trim() == "#[cfg(test)]"
                && all.get(number).is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
            if opens_tests || self.is_test() {
                break;
            }
            lines.push((number, text.strip(line)));
        }
        lines
    }
}

/// Whether a text in quotes goes on from one line to the next.
#[derive(Default)]
struct Quote {
    /// What ends it: a quote and so many hashes; `None` outside.
    open: Option<usize>,
}

impl Quote {
    /// The line without comments and without what stands in quotes.
    fn strip(&mut self, line: &str) -> String {
        let characters: Vec<char> = line.chars().collect();
        let hashes_at = |at: usize| characters[at..].iter().take_while(|&&c| c == '#').count();
        let (mut code, mut at) = (String::new(), 0);
        while at < characters.len() {
            let c = characters[at];
            match self.open {
                Some(0) if c == '\\' => at += 1,
                Some(hashes) if c == '"' && hashes_at(at + 1) >= hashes => {
                    self.open = None;
                    at += hashes;
                }
                Some(_) => {}
                None if c == '/' && characters.get(at + 1) == Some(&'/') => break,
                // A quote or backslash as a character, so that it opens nothing.
                None if c == '\'' && characters.get(at + 1) == Some(&'\\') => at += 3,
                None if c == '\'' && characters.get(at + 2) == Some(&'\'') => at += 2,
                None if c == 'r' && is_raw(&characters, at) => {
                    let hashes = hashes_at(at + 1);
                    self.open = Some(hashes);
                    at += hashes + 1;
                }
                None if c == '"' => self.open = Some(0),
                None => code.push(c),
            }
            at += 1;
        }
        code
    }
}

/// Whether a raw text opens here: `r"` or `r#"`, and not the end of a name.
fn is_raw(characters: &[char], at: usize) -> bool {
    let part_of_name = at > 0 && (characters[at - 1].is_alphanumeric() || characters[at - 1] == '_');
    let after = characters[at + 1..].iter().find(|&&c| c != '#');
    !(part_of_name && characters[at - 1] != 'b') && after == Some(&'"')
}

#[test]
fn code_is_what_runs() {
    let text = "//! docs\nlet a = \"unsafe // no\"; // todo!()\nlet b = r#\"x \" dbg!(\n\"# + '\"' + c;\n#[cfg(test)]\nmod tests {\n";
    let source = Source { path: "src/a/b.rs".to_string(), text: text.to_string() };
    let code: Vec<String> = source.code().into_iter().map(|(_, line)| line.trim().to_string()).collect();
    assert_eq!(code, ["", "let a = ;", "let b =", "+  + c;"]);
    assert_eq!(source.room(), "a");
    let front = Source { path: "src/error.rs".to_string(), text: String::new() };
    assert_eq!(front.room(), "error");
}
