//! The pages for users tell the truth: every SQL block of `README.md` and `docs/sql.md` runs, in order and in one engine
//! per page, and gives what the page says.
//!
//! ```text
//! ```sql             runs; a ```text block right behind it holds the last statement's rows
//! ```sql refused     fails; the ```text block right behind it holds the message
//! ```
//! `UPDATE=1 cargo test --test docs` writes what comes out into the pages; the diff is to be looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use millstream::arrow::array::AsArray;
use millstream::config::Config;
use millstream::engine::{Engine, FunctionInfo, Statement};
use millstream::error::Result;
use millstream::pipeline::{Connectors, Sink, TableDefinition};
use millstream::stream::connect::DefaultConnectors;

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A fenced block of a page.
struct Block {
    /// Number of its first line inside the fences, from 0.
    line: usize,
    /// What stands behind the opening fence.
    kind: String,
    lines: Vec<String>,
    /// Whether nothing but blank lines stands between it and the block before.
    follows: bool,
}

#[test]
fn examples_run_and_give_what_the_pages_say() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut offences = Vec::new();
    for name in ["README.md", "docs/sql.md"] {
        let path = root().join(name);
        let text = fs::read_to_string(&path).expect("the page is there to be read");
        let folder = tempfile::tempdir().expect("a folder for the page's files");
        // Pages name files as users do, by relative paths. This is the only test here that looks at the folder.
        std::env::set_current_dir(folder.path()).expect("the folder was just made");
        let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
        let differing = check_page(name, &blocks(&text));
        // From the end, so that places further up stay where they are.
        for (place, told) in differing.into_iter().rev() {
            match (update, place) {
                (true, Place::Text { from, to }) => drop(lines.splice(from..to, told.lines().map(str::to_string))),
                (_, place) => offences.push(format!("{name}:{}: {told}", place.line() + 1)),
            }
        }
        if update {
            fs::write(&path, lines.join("\n") + "\n").expect("the page can be written");
        }
        std::env::set_current_dir(root()).expect("the root is there");
    }
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n\n"));
}

/// Where a page differs from what is so.
enum Place {
    /// The lines of a text block, which may be replaced.
    Text { from: usize, to: usize },
    /// A statement that does not do what its block says.
    Sql(usize),
}

impl Place {
    fn line(&self) -> usize {
        match self {
            Place::Text { from, .. } => *from,
            Place::Sql(line) => *line,
        }
    }
}

/// Runs the blocks of a page; places that differ, and what is so there.
fn check_page(name: &str, blocks: &[Block]) -> Vec<(Place, String)> {
    let engine = Engine::new(Config { partitions: 1, ..Config::default() });
    let mut differing = Vec::new();
    let mut runs = 0;
    for (at, block) in blocks.iter().enumerate() {
        let must_fail = match block.kind.as_str() {
            "sql" => false,
            "sql refused" => true,
            _ => continue,
        };
        runs += 1;
        let told = match (run(&engine, &block.lines.join("\n")), must_fail) {
            (Ok(told), false) => told,
            (Err(message), true) => message,
            (Ok(_), true) => {
                differing.push((Place::Sql(block.line), "runs, although the page says it is refused".to_string()));
                continue;
            }
            (Err(message), false) => {
                differing.push((Place::Sql(block.line), message));
                continue;
            }
        };
        let text = blocks.get(at + 1).filter(|next| next.kind == "text" && next.follows);
        match text {
            Some(text) if text.lines.join("\n") != told.trim_end() => {
                let place = Place::Text { from: text.line, to: text.line + text.lines.len() };
                differing.push((place, told.trim_end().to_string()));
            }
            None if must_fail => {
                differing.push((Place::Sql(block.line), "a text block with the message must follow".to_string()));
            }
            _ => {}
        }
    }
    assert!(runs > 0, "{name} has SQL blocks");
    differing
}

/// Runs a text; what its last statement puts out, as a table, or the message of the error.
fn run(engine: &Engine, text: &str) -> Result<String, String> {
    let message = |error: millstream::Error| {
        let shown = error.to_string();
        let line = shown.lines().next().unwrap_or_default().to_string();
        line.rfind(" (line ").map_or(line.clone(), |place| line[..place].to_string())
    };
    let mut told = String::new();
    for parsed in engine.parse(text).map_err(message)? {
        told = engine.prepare(&parsed).and_then(|statement| finish(engine, statement)).map_err(message)?;
    }
    Ok(told)
}

fn finish(engine: &Engine, statement: Statement) -> Result<String> {
    const ANSWER: &str = ".answer";
    let answer = |schema, updating| -> Result<Box<dyn Sink>> {
        let options = [("connector", "file"), ("path", ANSWER), ("format", "table")];
        let options: BTreeMap<String, String> = options.map(|(key, value)| (key.into(), value.into())).into();
        let definition = TableDefinition { name: ANSWER.to_string(), schema: None, options, primary_key: Vec::new() };
        DefaultConnectors::default().sink(&definition, schema, updating)
    };
    match statement {
        Statement::Done(message) => return Ok(message),
        Statement::Text(text) => return Ok(text),
        Statement::Rows(rows) => {
            let mut sink = answer(rows.schema(), false)?;
            sink.write(&rows, None)?;
            sink.finish()?;
        }
        Statement::Query(prepared) if prepared.has_sink() => {
            return Ok(format!("{} rows written", engine.run(prepared)?.wait()?.rows_out));
        }
        Statement::Query(prepared) => {
            let sink = answer(prepared.schema(), prepared.is_updating())?;
            engine.start_into(&prepared, sink)?.wait()?;
        }
    }
    let table = fs::read_to_string(ANSWER).expect("the answer was just written");
    Ok(table.lines().map(str::trim_end).collect::<Vec<_>>().join("\n"))
}

/// The fenced blocks of a page.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    let mut only_blanks = false;
    for (number, line) in text.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if open => (open, only_blanks) = (false, true),
            Some(kind) => {
                let (kind, follows) = (kind.trim().to_string(), only_blanks);
                blocks.push(Block { line: number + 1, kind, lines: Vec::new(), follows });
                open = true;
            }
            None if open => blocks.last_mut().expect("a block is open").lines.push(line.to_string()),
            None => only_blanks &= line.trim().is_empty(),
        }
    }
    blocks
}

#[test]
fn functions_are_listed_in_full() {
    let page = fs::read_to_string(root().join("docs/sql.md")).expect("the page is there to be read");
    let listed = page.split("<!-- functions -->").nth(1).expect("the page has its list between two marks");
    let mut listed: BTreeSet<&str> = listed.split('`').skip(1).step_by(2).collect();
    let rows = Engine::default().sql("SHOW FUNCTIONS").and_then(|query| query.collect()).expect("functions are shown");
    let known: BTreeSet<String> = rows
        .iter()
        .flat_map(|rows| rows.column(0).as_string_view().iter().flatten().map(str::to_string).collect::<Vec<_>>())
        .collect();
    // `array_x` stands for `list_x` as well.
    let is_twin =
        |name: &str| name.strip_prefix("list_").is_some_and(|rest| listed.contains(&*format!("array_{rest}")));
    let missing: Vec<&String> = known.iter().filter(|name| !listed.contains(name.as_str()) && !is_twin(name)).collect();
    assert!(missing.is_empty(), "docs/sql.md does not list: {missing:?}");
    listed.retain(|name| !known.contains(*name));
    assert!(listed.is_empty(), "docs/sql.md lists what is not there: {listed:?}");
}

/// The reference of functions, as it follows from what they tell of themselves.
fn reference() -> String {
    let mut page = String::from(
        "# Functions\n\nAll functions of a new engine, as `SHOW FUNCTIONS` tells them: written by the tests from what each \
         function tells of\nitself. [kernels.md](kernels.md) says how to add one.\n",
    );
    let functions = Engine::default().functions();
    for (kind, title) in
        [("group", "Windows in GROUP BY"), ("scalar", "Of values"), ("aggregate", "Of groups"), ("window", "Of frames")]
    {
        page += &format!("\n## {title}\n\n| function | does | example |\n|---|---|---|\n");
        let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
        for function in functions.iter().filter(|function| function.kind.split(", ").any(|known| known == kind)) {
            let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{}`", cell(text)) };
            let does = match &function.alias_of {
                Some(real) => format!("the same as `{real}`"),
                None => cell(&function.description),
            };
            page += &format!("| {} | {does} | {} |\n", code(&function.signature), code(&function.example));
        }
    }
    page
}

#[test]
fn the_reference_of_functions_is_up_to_date() {
    let path = root().join("docs/functions.md");
    let wanted = reference();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &wanted).expect("the page can be written");
    }
    let page = fs::read_to_string(&path).unwrap_or_default();
    assert!(page == wanted, "docs/functions.md is not what functions tell; UPDATE=1 cargo test --test docs writes it");
    assert!(Engine::default().functions().iter().all(|function| !function.signature.is_empty()), "all have a form");
}

/// What shows how to call a function runs as it stands.
#[test]
fn examples_of_functions_run() {
    let engine = Engine::default();
    // A watermark belongs to a column of a table.
    let bid = "CREATE TABLE bid (dateTime TIMESTAMP(3), WATERMARK FOR dateTime AS dateTime) \
               WITH ('connector' = 'nexmark', 'type' = 'bid', 'events' = '100')";
    engine.execute(bid).expect("the table is made");
    let mut wrong = Vec::new();
    for FunctionInfo { name, example, .. } in engine.functions() {
        if example.is_empty() {
            // Values of union types come from Arrow alone: no SQL makes one.
            assert!(name.starts_with("union_"), "there is an example of each function: {name}");
            continue;
        }
        let is_query = example.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("select"));
        let sql = if is_query { example } else { format!("SELECT {example}") };
        match engine.sql(&sql).and_then(|query| query.collect()) {
            Ok(batches) if batches.iter().any(|batch| batch.num_rows() > 0) => {}
            Ok(_) => wrong.push(format!("{name}: {sql}: no rows")),
            Err(e) => wrong.push(format!("{name}: {sql}: {e}")),
        }
    }
    assert!(wrong.is_empty(), "{} examples do not run:\n{}", wrong.len(), wrong.join("\n"));
}

/// Lines of code as the page counts them: neither empty nor only a comment.
fn lines_of_code(files: &[&str]) -> usize {
    let is_code = |line: &&str| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with("//") && !line.starts_with("# ")
    };
    let of = |file: &&str| {
        let text = fs::read_to_string(root().join("compare/kernels").join(file)).expect("a listing is there");
        text.lines().filter(is_code).count()
    };
    files.iter().map(of).sum()
}

#[test]
fn lines_of_code_are_as_the_page_counts_them() {
    let page = fs::read_to_string(root().join("docs/kernels.md")).expect("the page is there to be read");
    let rows: [(&str, [&[&str]; 4]); 3] = [
        (
            "haversine, a function of values",
            [
                &["millstream/haversine.rs"],
                &["datafusion/haversine.rs"],
                &["polars/haversine.rs", "polars/haversine.py"],
                &["duckdb/haversine.c"],
            ],
        ),
        (
            "weighted average over time, an aggregate",
            [
                &["millstream/ewma.rs"],
                &["datafusion/ewma.rs"],
                &["polars/ewma.rs", "polars/ewma.py"],
                &["duckdb/ewma.c"],
            ],
        ),
        (
            "haversine as a shared library",
            [
                &["millstream/plugin.rs", "millstream/plugin.toml"],
                &["datafusion/plugin.rs", "datafusion/plugin.toml"],
                &["polars/haversine.rs", "polars/haversine.py", "polars/plugin.toml"],
                &["duckdb/haversine.c", "duckdb/plugin.c"],
            ],
        ),
    ];
    for (what, engines) in rows {
        let counts = engines.map(|files| lines_of_code(files).to_string());
        let row = format!("| {what} | {} |", counts.join(" | "));
        assert!(page.contains(&row), "docs/kernels.md counts otherwise than the listings do: {row}");
        let least = counts.iter().filter_map(|count| count.parse::<usize>().ok()).min();
        assert_eq!(least.map(|least| least.to_string()).as_ref(), Some(&counts[0]), "{what} takes fewest lines here");
    }
}

#[test]
fn the_readme_embeds_as_the_example_does() {
    let page = fs::read_to_string(root().join("README.md")).expect("the page is there to be read");
    let example = fs::read_to_string(root().join("examples/embed.rs")).expect("the example is there to be read");
    let known: BTreeSet<&str> = example.lines().map(str::trim).collect();
    let rust: Vec<Block> = blocks(&page).into_iter().filter(|block| block.kind == "rust").collect();
    assert!(!rust.is_empty(), "README.md shows how to embed");
    for line in rust.iter().flat_map(|block| &block.lines) {
        assert!(known.contains(line.trim()), "not in examples/embed.rs: {line}");
    }
}

#[test]
fn links_lead_somewhere() {
    let mut pages = vec![PathBuf::from("README.md")];
    for folder in ["docs", "docs/internals", "docs/decisions"] {
        let entries = fs::read_dir(root().join(folder)).expect("the folder of pages is there");
        let names = entries.map(|entry| PathBuf::from(folder).join(entry.expect("a folder can be listed").file_name()));
        pages.extend(names.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    let mut dead = Vec::new();
    for page in pages {
        let text = fs::read_to_string(root().join(&page)).expect("the page is there to be read");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            let is_elsewhere = path.contains("://") || path.is_empty();
            let folder = root().join(page.parent().expect("a page lies in a folder"));
            if !is_elsewhere && !folder.join(path).exists() {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "\n{}\n", dead.join("\n"));
}

#[test]
fn blocks_are_told_apart() {
    let text = "a\n```sql refused\nx\n```\n\n```text\ny\nz\n```\nb\n```text\n```\n";
    let seen: Vec<_> = blocks(text).iter().map(|b| (b.line, b.kind.clone(), b.lines.len(), b.follows)).collect();
    let block = |line, kind: &str, lines, follows| (line, kind.to_string(), lines, follows);
    assert_eq!(seen, [block(2, "sql refused", 1, false), block(6, "text", 2, true), block(11, "text", 0, false)]);
}
