//! Whole queries, from a table to a blackhole: rows per second, per core, with the answer checked.
//!
//! Question    how fast is a query of this shape, one partition and two, and is its answer right?
//! Data        `query/*.bench`: set-up, the query, and the answer it must give; tables of `scenario` are there by name.
//! Sizes       `MILLSTREAM_BENCH_ROWS` (default ten million); 20,000 when run by `cargo test`.
//!
//! `cargo bench --bench query [-- NAME...]`; a line per case and partition count: wall and CPU seconds, the least of
//! three runs.

use std::path::Path;
use std::time::Instant;

use millstream::arrow::util::pretty::pretty_format_batches;
use millstream::config::Config;
use millstream::engine::{Engine, Outcome};
use millstream::stream::source::{measurements, scenario};

/// One `.bench` file.
struct Case {
    name: String,
    setup: String,
    query: String,
    /// A query over the answer, `answer`, and what it gives: lines of cells, `{rows}` standing for the rows read.
    check: String,
    expect: Vec<String>,
    /// Rows that each row read makes, changes counted, where that is known.
    changes: Option<u64>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Cargo says `--bench` when it benches; when it tests, every case runs small so that none rots.
    let tiny = !arguments.iter().any(|argument| argument == "--bench");
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let rows = std::env::var("MILLSTREAM_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok());
    let rows: u64 = rows.unwrap_or(if tiny { 20_000 } else { 10_000_000 });
    let folder = tempfile::tempdir().expect("a temporary folder");
    println!(
        "{:<28} {:>4} {:>12} {:>9} {:>9} {:>14} {:>10}",
        "case", "part", "rows", "wall s", "cpu s", "M rows/s/core", "ns/row"
    );
    for case in cases() {
        if wanted.is_empty() || wanted.iter().any(|name| case.name.contains(name.as_str())) {
            run(&case, rows, if tiny { 1 } else { 3 }, folder.path());
        }
    }
}

fn run(case: &Case, rows: u64, repeats: usize, folder: &Path) {
    for partitions in [1, 2] {
        let engine = Engine::new(Config { partitions, ..Config::default() });
        prepare(&engine, case, rows, folder);
        let mut best = (f64::MAX, f64::MAX);
        let mut rows_in = 0;
        for _ in 0..repeats {
            let (started, cpu) = (Instant::now(), cpu_seconds());
            let metrics = engine.sql(&case.query).and_then(|query| query.drain()).expect("the query runs");
            rows_in = metrics.rows_in;
            assert!(
                case.changes.is_none_or(|changes| changes * rows_in == metrics.rows_out),
                "{}: {metrics:?}",
                case.name
            );
            best = (best.0.min(started.elapsed().as_secs_f64()), best.1.min(cpu_seconds() - cpu));
        }
        check(&engine, case, rows_in);
        let per_core = rows_in as f64 / best.1.max(1e-9) / 1e6;
        let nanoseconds = best.1 * 1e9 / rows_in as f64;
        println!(
            "{:<28} {partitions:>4} {rows_in:>12} {:>9.3} {:>9.3} {per_core:>14.1} {nanoseconds:>10.1}",
            case.name, best.0, best.1
        );
    }
}

/// Makes the tables a case names: those of `scenario`, the measurements file, and what its set-up creates.
fn prepare(engine: &Engine, case: &Case, rows: u64, folder: &Path) {
    let count = usize::try_from(rows).expect("fits memory");
    let uses = |table: &str| case.query.contains(table);
    if uses("orders") {
        engine.register_batches("orders", vec![scenario::orders(count).expect("orders")]).expect("orders");
    }
    if uses("market_data") {
        engine.register_batches("market_data", vec![scenario::market_data(count).expect("data")]).expect("market data");
    }
    let setup = case.setup.replace("{events}", &rows.to_string());
    if !setup.trim().is_empty() {
        engine.execute(&setup).expect("the set-up runs");
    }
    if uses("trades") {
        engine.register_batches("trades", vec![scenario::trades(count).expect("trades")]).expect("trades");
    }
    if uses("measurements") {
        let path = folder.join(format!("measurements-{rows}.csv"));
        let expected = folder.join(format!("expected-{rows}.csv"));
        if !path.exists() {
            let stations = measurements::write(&path, rows, 1).expect("a file");
            measurements::write_expected(&expected, &stations).expect("its answer");
        }
        let options = |path: &Path| [("connector", "file".to_string()), ("path", path.display().to_string())];
        let delimiter = ("delimiter", ";".to_string());
        engine.register_with("measurements", options(&path).into_iter().chain([delimiter])).expect("a binding");
        engine.register_with("expected", options(&expected)).expect("a binding");
    }
}

fn check(engine: &Engine, case: &Case, rows_in: u64) {
    // A view says nothing about emission: the changes of a query folded up are its answer.
    let query = case.query.split(" EMIT ").next().unwrap_or_default();
    let outcome = engine.execute(&format!("CREATE VIEW answer AS {query}")).expect("a view of the answer");
    assert!(matches!(outcome, Outcome::Done(_)));
    let answer = engine.sql(&case.check).and_then(|query| query.collect()).expect("the check runs");
    let table = pretty_format_batches(&answer).expect("printable").to_string();
    let found: Vec<String> = table.lines().skip(3).filter(|line| !line.starts_with('+')).map(cells).collect();
    let expect: Vec<String> = case.expect.iter().map(|line| line.replace("{rows}", &rows_in.to_string())).collect();
    assert_eq!(found, expect, "{}: the answer is wrong", case.name);
}

/// `| a | b |` as `a b`.
fn cells(line: &str) -> String {
    line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join(" ")
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/query");
    let entries = std::fs::read_dir(folder).expect("the folder of cases");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "bench"))
        .map(|path| read(path))
        .collect()
}

fn read(path: &Path) -> Case {
    let text = std::fs::read_to_string(path).expect("a readable case");
    let section = |title: &str| {
        let from = text.find(&format!("-- {title}\n")).map(|at| at + title.len() + 4);
        let body = from.map_or("", |from| &text[from..]);
        body.split("\n-- ").next().unwrap_or_default().trim().trim_end_matches(';').to_string()
    };
    Case {
        name: path.file_stem().expect("a name").to_string_lossy().into_owned(),
        setup: section("setup"),
        query: section("query"),
        check: section("check"),
        expect: section("expect").lines().map(str::to_string).collect(),
        changes: section("changes").parse().ok(),
    }
}

/// CPU seconds of this process so far, all threads.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
