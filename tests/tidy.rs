//! The shape of the tree: who names whom, where unsafe code lives, that every file says what it is.
//!
//! Each test prints all offences at once. A rule that stands in the way is changed here, in a commit that says why.

mod support;

use std::collections::BTreeSet;
use std::fs;

use support::tree::{Source, root, rust_files};

/// Each room and the rooms it may name. What is not in a row is absent on purpose; see `docs/style.md`.
const LAYERS: [(&str, &[&str]); 16] = [
    ("error", &[]),
    ("time", &["error"]),
    ("config", &["error"]),
    ("batch", &["error"]),
    ("function", &["batch", "time", "error"]),
    ("expression", &["function", "batch", "time", "error"]),
    ("pipeline", &["expression", "function", "batch", "time", "error"]),
    ("state", &["batch", "time", "error"]),
    ("stream", &["state", "pipeline", "expression", "function", "batch", "time", "config", "error"]),
    ("runtime", &["stream", "state", "pipeline", "expression", "function", "batch", "time", "config", "error"]),
    ("sql", &["pipeline", "expression", "function", "batch", "time", "config", "error"]),
    ("query", &["runtime", "stream", "pipeline", "batch", "config", "error"]),
    (
        "engine",
        &[
            "query",
            "sql",
            "runtime",
            "stream",
            "state",
            "pipeline",
            "expression",
            "function",
            "batch",
            "time",
            "config",
            "error",
        ],
    ),
    ("testing", &["engine", "stream", "pipeline", "function", "batch", "config", "error"]),
    // The command line sees the front door and what it makes data with.
    ("main", &["testing", "engine", "query", "config", "error", "stream", "pipeline", "batch"]),
    ("command", &["testing", "engine", "query", "config", "error", "stream", "pipeline", "batch"]),
];

/// The sources of the other crates.
const CRATES: [&str; 4] = ["kernels/src", "native/src", "plugin/src", "macros/src"];

/// Lines a file may have. Longer ones are listed with what they have now; the numbers only go down.
const LINES_MAX: usize = 900;
const LONG_FILES: [(&str, usize); 0] = [];

/// Who may touch files and the network.
const WORLD: &[&str] = &["src/stream/source/", "src/stream/sink/", "src/engine", "src/command/", "src/main.rs"];
/// Who may start threads. Planning borrows a deep stack for as long as a call.
const THREADS: &[&str] =
    &["src/runtime/", "src/stream/source/", "src/stream/sink/", "src/command/", "src/main.rs", "src/sql/stack.rs"];
/// Who of the operators may read a clock: the graph takes their time for EXPLAIN ANALYZE.
const CLOCKS: &[&str] = &["src/stream/operator/graph.rs"];

/// Fails with all offences, if there are any.
fn none(offences: Vec<String>) {
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}

/// The sources whose paths begin with none of `inside`.
fn outside<'a>(sources: &'a [Source], inside: &[&str]) -> Vec<&'a Source> {
    sources.iter().filter(|source| !inside.iter().any(|path| source.path.starts_with(path))).collect()
}

/// The lines of code outside tests that hold one of `words`, as `path:line: word`.
fn holding(sources: &[impl std::borrow::Borrow<Source>], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let source: &Source = source.borrow();
        for (number, line) in source.code() {
            found.extend(
                words.iter().filter(|word| holds(&line, word)).map(|word| format!("{}:{number}: {word}", source.path)),
            );
        }
    }
    found
}

/// Whether `line` holds `word` as such, not as a part of a longer name.
fn holds(line: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let ends_in_name = word.ends_with(is_name);
        !(before.is_some_and(is_name) || ends_in_name && after.is_some_and(is_name))
    })
}

/// The lines of code, with the lines of a `use` joined.
fn statements(source: &Source) -> Vec<(usize, String)> {
    let mut statements: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (number, line) in source.code() {
        match statements.last_mut() {
            Some((_, statement)) if open => statement.push_str(line.trim()),
            _ => statements.push((number, line.clone())),
        }
        let begins = ["use ", "pub use ", "pub(crate) use "].iter().any(|word| line.trim_start().starts_with(word));
        open = (open || begins) && !line.contains(';');
    }
    statements
}

/// The rooms that a line names: what follows `crate::` or `millstream::`, the parts of a list in braces included.
fn named(line: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for front in ["crate::", "millstream::"] {
        for (at, _) in line.match_indices(front) {
            let rest = &line[at + front.len()..];
            let parts: Vec<&str> = match rest.strip_prefix('{') {
                Some(list) => first_names(list),
                None => vec![rest],
            };
            let name = |part: &str| part.trim().chars().take_while(|&c| c.is_alphanumeric() || c == '_').collect();
            rooms.extend(parts.into_iter().map(name).filter(|name: &String| !name.is_empty()));
        }
    }
    rooms
}

/// The parts of a list in braces, without those of lists inside it.
fn first_names(list: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&list[start..at]);
                return parts;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts
}

#[test]
fn rooms_name_only_what_is_right_of_them() {
    let rooms: BTreeSet<&str> = LAYERS.iter().map(|(room, _)| *room).collect();
    let mut offences = Vec::new();
    for source in rust_files("src") {
        let room = source.room();
        if room == "lib" {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(known, _)| *known == room) else {
            offences.push(format!("{}: the room is not in the table of layers", source.path));
            continue;
        };
        for (number, statement) in statements(&source) {
            for other in named(&statement) {
                if other != room && rooms.contains(other.as_str()) && !allowed.contains(&other.as_str()) {
                    offences.push(format!("{}:{number}: {room} names {other}", source.path));
                }
            }
        }
    }
    none(offences);
}

#[test]
fn layers_have_no_circle() {
    for (at, (room, allowed)) in LAYERS.iter().enumerate() {
        for other in *allowed {
            let position = LAYERS.iter().position(|(known, _)| known == other);
            assert!(position.is_some_and(|position| position < at), "{room} names {other}, which comes later");
        }
    }
}

#[test]
fn only_sql_knows_the_parser_and_the_planner() {
    let sources: Vec<Source> = rust_files("src").into_iter().filter(|source| source.room() != "sql").collect();
    let found = holding(&sources, &["sqlparser"]);
    let planner = sources.iter().flat_map(|source| {
        let lines = source.code().into_iter().filter(|(_, line)| line.contains("datafusion_"));
        lines.map(|(number, _)| format!("{}:{number}: datafusion", source.path))
    });
    none(found.into_iter().chain(planner).collect());
}

#[test]
fn every_file_says_what_it_is() {
    let mut sources = rust_files("src");
    for crate_of_its_own in CRATES {
        sources.extend(rust_files(crate_of_its_own));
    }
    let silent = |source: &Source| !source.is_test() && !source.text.trim_start_matches('\u{feff}').starts_with("//! ");
    none(sources.into_iter().filter(silent).map(|source| format!("{}: opens without //!", source.path)).collect());
}

/// The crates with a right to unsafe code: `kernels` for vector instructions, `native` for calling what was loaded at run
/// time, `plugin` for being called so. All else is safe.
#[test]
fn only_kernels_and_the_boundary_are_unsafe() {
    let mut sources = rust_files("src");
    sources.extend(rust_files("macros/src"));
    none(holding(&sources, &["unsafe"]));
}

#[test]
fn nothing_is_left_to_do_in_silence() {
    let mut sources = rust_files("src");
    for crate_of_its_own in CRATES {
        sources.extend(rust_files(crate_of_its_own));
    }
    none(holding(&sources, &["todo!(", "unimplemented!(", "dbg!("]));
}

#[test]
fn only_the_edges_touch_the_world() {
    let sources = rust_files("src");
    let mut offences =
        holding(&outside(&sources, WORLD), &["std::fs", "std::net", "std::process", "File::open", "File::create"]);
    offences.extend(holding(&outside(&sources, THREADS), &["thread::spawn", "thread::scope", "thread::Builder"]));
    none(offences);
}

#[test]
fn operators_read_no_clock_and_take_no_lock() {
    let operators = rust_files("src/stream/operator");
    let mut offences = holding(&outside(&operators, CLOCKS), &["Instant::now", "SystemTime"]);
    offences.extend(holding(&operators, &["Mutex", "RwLock", "println!(", "eprintln!("]));
    none(offences);
}

#[test]
fn files_stay_short() {
    let mut sources = rust_files("src");
    for crate_of_its_own in CRATES {
        sources.extend(rust_files(crate_of_its_own));
    }
    let mut offences = Vec::new();
    for source in &sources {
        let lines = source.text.lines().count();
        let listed = LONG_FILES.iter().find(|(path, _)| *path == source.path);
        let bound = listed.map_or(LINES_MAX, |(_, lines)| *lines);
        if lines > bound {
            offences.push(format!("{}: {lines} lines, at most {bound}", source.path));
        }
        if listed.is_some() && lines <= LINES_MAX {
            offences.push(format!("{}: {lines} lines, no longer a long file: take it off the list", source.path));
        }
    }
    let gone = |path: &str| !sources.iter().any(|source| source.path == path);
    offences.extend(LONG_FILES.iter().filter(|(path, _)| gone(path)).map(|(path, _)| format!("{path}: listed, gone")));
    none(offences);
}

#[test]
fn the_map_names_every_room() {
    let map =
        fs::read_to_string(root().join("docs/architecture.md")).expect("docs/architecture.md is there to be read");
    let mut rooms = BTreeSet::new();
    for (folder, sources) in [("src", rust_files("src")), ("kernels/src", rust_files("kernels/src"))] {
        for source in sources {
            let inside = source.path.strip_prefix(folder).expect("found there").trim_start_matches('/');
            let parts: Vec<&str> = inside.split('/').collect();
            // Kernels are one room on the map; under stream, every step is a room of its own.
            match (folder, parts.as_slice()) {
                ("src", ["stream", _]) => continue,
                ("src", ["stream", step, _, ..]) => rooms.insert(format!("stream/{step}/")),
                ("src", [room, _, ..]) => rooms.insert(format!("{room}/")),
                _ => rooms.insert("kernels/".to_string()),
            };
        }
    }
    let missing = rooms.into_iter().filter(|room| !map.contains(&format!("`{room}`")));
    none(missing.map(|room| format!("docs/architecture.md does not name `{room}`")).collect());
}

#[test]
fn decisions_are_numbered_without_gaps() {
    let mut names: Vec<String> = fs::read_dir(root().join("docs/decisions"))
        .expect("docs/decisions is there to be read")
        .map(|entry| entry.expect("a folder can be listed").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let wrong = (1..).zip(&names).filter(|(number, name)| !name.starts_with(&format!("{number:04}-")));
    none(wrong.map(|(number, name)| format!("docs/decisions/{name}: number {number:04} expected")).collect());
}

#[test]
fn rules_see_what_they_should() {
    let text = "use crate::{\n    batch::Batch,\n    error::Error,\n};\nlet a = 1;\n".to_string();
    let source = Source { path: "src/sql/a.rs".to_string(), text };
    let joined = (1, "use crate::{batch::Batch,error::Error,};".to_string());
    assert_eq!(statements(&source), [joined, (5, "let a = 1;".to_string())]);
    let names = |line: &str| named(line).into_iter().collect::<Vec<_>>();
    assert_eq!(names("use crate::batch::{Batch, Column};"), ["batch"]);
    assert_eq!(names("use crate::{batch::{self, Column}, error::Error};"), ["batch", "error"]);
    assert_eq!(names("let x = crate::sql::plan(crate::config::new());"), ["config", "sql"]);
    assert!(holds("unsafe { }", "unsafe") && holds("a.unsafe", "unsafe"));
    assert!(!holds("forbid(unsafe_code)", "unsafe") && !holds("not_unsafe()", "unsafe"));
    assert!(holds("std::thread::spawn(f)", "thread::spawn") && !holds("my_todo!(", "todo!("));
}
