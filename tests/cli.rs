//! The command line as its users meet it: words in, text and exit codes out.
#![allow(clippy::unwrap_used, clippy::err_expect, reason = "a failed unwrap in a test is a failed test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn millstream(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millstream"));
    command.current_dir(folder).stdin(Stdio::null()).env("RUST_BACKTRACE", "0");
    command
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Ran { code: output.status.code().expect("not killed"), out: text(output.stdout), err: text(output.stderr) }
    }
}

fn run(folder: &Path, arguments: &[&str]) -> Ran {
    millstream(folder).args(arguments).output().expect("the binary runs").into()
}

/// A folder with some bids in it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let bids = "ts,auction,price\n2024-01-01 00:00:01,1,10\n2024-01-01 00:00:05,2,20\n2024-01-01 00:00:12,1,5\n";
    std::fs::write(folder.path().join("bids.csv"), bids).expect("a folder of our own");
    folder
}

#[test]
fn shows_a_table() {
    let folder = folder();
    let ran =
        run(folder.path(), &["-c", "SELECT auction, SUM(price) AS total FROM 'bids.csv' GROUP BY auction ORDER BY 1"]);
    assert_eq!(ran.out, " auction | total\n---------+-------\n       1 |    15\n       2 |    20\n(2 rows)\n");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}

#[test]
fn run_reads_files_of_sql_and_binds_tables() {
    let folder = folder();
    let sql = "CREATE TABLE Bids (ts TIMESTAMP(3), auction BIGINT, price BIGINT, WATERMARK FOR ts AS ts);\n\
               SELECT window_start, COUNT(*) AS n FROM TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '10' SECOND)\n\
               GROUP BY window_start, window_end ORDER BY 1;\n";
    std::fs::write(folder.path().join("q.sql"), sql).unwrap();
    let expected = "window_start,n\n2024-01-01T00:00:00,2\n2024-01-01T00:00:10,1\n";
    let ran = run(folder.path(), &["run", "--sql", "q.sql", "--source", "Bids=bids.csv", "--format", "csv"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, expected, ""));
    // Without a definition the columns are read off the file.
    let ran =
        run(folder.path(), &["-c", "SELECT MAX(price) AS m FROM b", "--source", "b=bids.csv", "--format", "ndjson"]);
    assert_eq!(ran.out, "{\"m\":20}\n");
}

#[test]
fn sql_comes_from_a_pipe() {
    let folder = folder();
    for arguments in [&[][..], &["run"], &["run", "--sql", "-"]] {
        let mut child = spawn(millstream(folder.path()).args(arguments).stdin(Stdio::piped()));
        child.stdin.take().unwrap().write_all(b"SELECT 1 AS a;\nSELECT 2 AS b;").unwrap();
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.out, " a\n---\n 1\n(1 row)\n b\n---\n 2\n(1 row)\n", "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn exit_codes_say_whose_turn_it_is() {
    let folder = folder();
    let check = |arguments: &[&str], code: i32, part: &str| {
        let ran = run(folder.path(), arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(part), "{arguments:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{arguments:?}");
    };
    check(&["-c", "SELECT pirce FROM 'bids.csv'"], 1, "1 | SELECT pirce FROM 'bids.csv'\n  |        ^^^^^\n");
    check(&["-c", "SELECT 1 / (price - 5) FROM 'bids.csv'"], 1, "division by zero");
    check(&["-c", "SELECT * FROM 'missing.csv'"], 2, "error: file cannot be opened: missing.csv");
    check(&["run", "--sql", "missing.sql"], 2, "error: cannot read SQL: missing.sql");
    check(&["-c", "SELECT 1", "--sink", "no/such/folder.csv"], 2, "no/such/folder.csv");
    check(&["-c", "SELECT 1", "--sink", "x.unknown"], 1, "x.unknown");
    check(&["-c", "CREATE VIEW v AS SELECT 1", "--sink", "x.csv"], 1, "no statement gives rows for the sink");
    check(&["-c", "SELECT 1", "--batch-rows", "0"], 1, "--batch-rows");
    check(&["-c", "SELECT 1", "--memory", "lots"], 1, "must be a size such as 512MiB");
    check(&["-c", "SELECT 1", "--source", "bids"], 1, "must be NAME=PATH");
    check(&["--nonsense"], 1, "--nonsense");
    check(&["-c", ""], 0, "");
    let version = run(folder.path(), &["--version"]);
    assert_eq!((version.code, version.out), (0, format!("millstream {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn the_last_querys_rows_go_to_the_sink() {
    let folder = folder();
    let sql = "SELECT 1 AS first; SELECT price AS p, auction, price AS p FROM 'bids.csv' ORDER BY ts;";
    let check = |sink: &str, more: &[&str], expected: &str| {
        let ran = run(folder.path(), &[&["-c", sql, "--sink", sink], more].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        let text = std::fs::read_to_string(folder.path().join(sink)).unwrap();
        assert_eq!(text, expected, "{sink}");
    };
    check("x.csv", &[], "p,auction,p_1\n10,1,10\n20,2,20\n5,1,5\n");
    let lines =
        "{\"p\":10,\"auction\":1,\"p_1\":10}\n{\"p\":20,\"auction\":2,\"p_1\":20}\n{\"p\":5,\"auction\":1,\"p_1\":5}\n";
    check("x.ndjson", &[], lines);
    check("x.txt", &["--format", "ndjson"], lines);
    for sink in ["x.parquet", "x.arrow"] {
        assert_eq!(run(folder.path(), &["-c", sql, "--sink", sink]).code, 0);
        let ran = run(folder.path(), &["-c", &format!("SELECT * FROM '{sink}'"), "--format", "csv"]);
        assert_eq!(ran.out, "p,auction,p_1\n10,1,10\n20,2,20\n5,1,5\n", "{sink}: {}", ran.err);
    }
}

#[test]
fn changes_show_what_they_do_unless_folded() {
    let folder = folder();
    let sql = "SELECT auction, COUNT(*) AS n FROM 'bids.csv' GROUP BY auction EMIT CHANGES";
    let lines = |more: &[&str]| {
        let arguments = ["-c", sql, "--format", "csv", "--batch-rows", "1", "--partitions", "1"];
        let ran = run(folder.path(), &[&arguments[..], more].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.out.lines().map(str::to_string).collect::<Vec<_>>()
    };
    assert_eq!(lines(&[]), ["_op,auction,n", "+I,1,1", "+I,2,1", "-U,1,1", "+U,1,2"]);
    let mut folded = lines(&["--final"]);
    folded.sort();
    assert_eq!(folded, ["1,2", "2,1", "auction,n"]);
}

#[test]
fn stats_add_up() {
    let folder = folder();
    let sql = "CREATE TABLE b (ts TIMESTAMP(3), auction BIGINT, price BIGINT, WATERMARK FOR ts AS ts) WITH ('path' = 'late.csv');
        SELECT window_start, COUNT(*) FROM TUMBLE(TABLE b, DESCRIPTOR(ts), INTERVAL '10' SECOND)
        WHERE price > 5 GROUP BY window_start, window_end";
    let rows = "ts,auction,price\n2024-01-01 00:00:01,1,10\n2024-01-01 00:00:15,2,20\n2024-01-01 00:00:02,1,6\n\
                2024-01-01 00:00:16,3,1\n2024-01-01 00:00:17,3,9\n";
    std::fs::write(folder.path().join("late.csv"), rows).unwrap();
    let ran = run(folder.path(), &["-c", sql, "--stats", "json", "--partitions", "1"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let stats: serde_json::Value = serde_json::from_str(ran.err.trim()).expect("one JSON object");
    for (key, expected) in [("rows_in", 5), ("filtered_rows", 1), ("late_rows", 1), ("rows_out", 2), ("bad_rows", 0)] {
        assert_eq!(stats[key], expected, "{key}: {stats}");
    }
    assert_eq!(stats["bytes_in"], rows.len());
    assert_eq!(stats["sources"][0]["rows"], 5);
    assert!(stats["peak_bytes"].as_u64().unwrap() > 0 && stats["seconds"].as_f64().unwrap() > 0.0, "{stats}");
    assert!(
        stats["operators"].as_array().unwrap().iter().any(|o| o["name"] == "filter" && o["rows_in"] == 5),
        "{stats}"
    );
}

#[test]
fn explain_shows_each_step_and_runs_nothing() {
    let folder = folder();
    let sql = "CREATE TABLE b AS SELECT 1 AS n; SELECT price + 1 FROM 'bids.csv' WHERE price > 7";
    let explain = |step: &str| {
        let ran = run(folder.path(), &["explain", "-c", sql.split("; ").nth(1).unwrap(), "--step", step]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{step}");
        ran.out
    };
    assert!(explain("syntax").contains("price"));
    assert!(explain("logical").contains("Filter"));
    assert!(explain("optimized").contains("TableScan"));
    assert!(explain("pipeline").contains("Scan: bids.csv"));
    let ran = run(folder.path(), &["explain", "-c", "SELECT * FROM b WHERE a > 1", "--source", "b=missing.csv"]);
    assert_eq!(ran.code, 2);
    let ran = run(folder.path(), &["explain", "-c", "CREATE VIEW v AS SELECT 1"]);
    assert!(ran.code == 1 && ran.err.contains("no statement to explain"), "{}", ran.err);
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let folder = folder();
    let sql = "CREATE TABLE e WITH ('connector' = 'nexmark', 'type' = 'bid', 'events' = '50000000'); SELECT auction, price FROM e";
    let mut child = spawn(millstream(folder.path()).args(["-c", sql, "--format", "csv"]));
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "auction,price\n");
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}

#[cfg(unix)]
#[test]
fn a_signal_ends_an_endless_query_well_and_a_bounded_one_early() {
    let folder = folder();
    let sql = |events: &str| {
        format!(
            "CREATE TABLE e WITH ('connector' = 'nexmark', 'type' = 'bid'{events}); SELECT COUNT(*) AS n, SUM(price) FROM e EMIT FINAL"
        )
    };
    for (events, signal, code) in [
        ("", "INT", 0),
        ("", "TERM", 0),
        (", 'events' = '900000000000'", "INT", 130),
        (", 'events' = '900000000000'", "TERM", 143),
    ] {
        let child = spawn(millstream(folder.path()).args(["-c", &sql(events), "--format", "csv"]));
        std::thread::sleep(std::time::Duration::from_millis(400));
        kill(&child, signal);
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.err.as_str()), (code, ""), "{events} {signal}");
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_query_that_waits_for_its_input() {
    let folder = folder();
    let sql = "CREATE TABLE s (n BIGINT) WITH ('connector' = 'stdin', 'format' = 'csv'); SELECT n FROM s";
    let mut child = spawn(millstream(folder.path()).args(["-c", sql, "--format", "csv"]).stdin(Stdio::piped()));
    let mut input = child.stdin.take().expect("piped");
    input.write_all(b"n\n1\n2\n").expect("the query reads");
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut shown = String::new();
    for _ in 0..3 {
        lines.read_line(&mut shown).expect("text");
    }
    assert_eq!(shown, "n\n1\n2\n", "rows leave while the input is open");
    kill(&child, "TERM");
    let ran = Ran::from(child.wait_with_output().expect("it ends"));
    assert_eq!((ran.code, ran.err.as_str()), (143, ""));
    drop(input);
}

#[cfg(unix)]
#[test]
fn keep_open_leaves_windows_open_and_waits() {
    let folder = folder();
    let sql = "CREATE TABLE b (ts TIMESTAMP(3), auction BIGINT, price BIGINT, WATERMARK FOR ts AS ts) WITH ('path' = 'bids.csv');
        SELECT window_start, COUNT(*) AS n FROM TUMBLE(TABLE b, DESCRIPTOR(ts), INTERVAL '10' SECOND) GROUP BY window_start, window_end";
    for partitions in ["1", "2"] {
        let mut child = spawn(millstream(folder.path()).args([
            "-c",
            sql,
            "--format",
            "csv",
            "--keep-open",
            "--partitions",
            partitions,
        ]));
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut shown = String::new();
        lines.read_line(&mut shown).unwrap();
        lines.read_line(&mut shown).unwrap();
        assert_eq!(shown, "window_start,n\n2024-01-01T00:00:00,2\n");
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert!(child.try_wait().unwrap().is_none(), "it waits");
        kill(&child, "TERM");
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!((ran.code, rest.as_str(), ran.err.as_str()), (0, "", ""));
    }
}

#[test]
fn generates_measurements_with_their_answer() {
    let folder = folder();
    let ran = run(folder.path(), &["generate", "1brc", "m.csv", "--rows", "20k", "--seed", "7"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let sql = "CREATE TABLE m (station TEXT, temperature DECIMAL(3, 1)) WITH ('path' = 'm.csv', 'delimiter' = ';');
        SELECT station, MIN(temperature) AS min_temp, AVG(CAST(temperature AS DECIMAL(20, 6))) AS avg_temp, MAX(temperature) AS max_temp
        FROM m GROUP BY station ORDER BY station";
    let ran = run(folder.path(), &["-c", sql, "--format", "csv"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let expected = std::fs::read_to_string(folder.path().join("m.csv.expected.csv")).unwrap();
    assert_eq!(ran.out.lines().count(), expected.lines().count());
    for (ours, theirs) in ran.out.lines().zip(expected.lines()).skip(1) {
        let cells = |line: &str| line.rsplitn(4, ',').map(str::to_string).collect::<Vec<_>>();
        let (ours, theirs) = (cells(ours), cells(theirs));
        assert_eq!((&ours[0], &ours[2], &ours[3]), (&theirs[0], &theirs[2], &theirs[3]));
        let mean = |text: &String| text.parse::<f64>().unwrap();
        assert!((mean(&ours[1]) - mean(&theirs[1])).abs() < 2e-6, "{ours:?} {theirs:?}");
    }
}

#[test]
fn generates_nexmark_files() {
    let folder = folder();
    for (file, entity, count) in [("b.parquet", "bid", 920), ("a.csv", "auction", 60), ("p.ndjson", "person", 20)] {
        let ran = run(folder.path(), &["generate", "nexmark", file, "--type", entity, "--events", "1000"]);
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""), "{file}");
        let ran = run(folder.path(), &["-c", &format!("SELECT COUNT(*) AS n FROM '{file}'"), "--format", "csv"]);
        assert_eq!(ran.out, format!("n\n{count}\n"), "{file}: {}", ran.err);
    }
}

#[test]
fn the_demo_shows_its_query_and_its_rate() {
    let ran = run(folder().path(), &["demo", "--events", "100k"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.starts_with("CREATE TABLE bid (") && ran.out.ends_with("(10 rows)\n"), "{}", ran.out);
    assert!(ran.err.contains("92,000 rows read") && ran.err.contains("rows/s"), "{}", ran.err);
}

/// Compiles the example of kernels in C into `folder`; says so and gives false where there is no compiler.
fn compile_kernels(folder: &Path) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-shared", "-fPIC", "-o", "libkernels.so", "-I"]).arg(root.join("include"));
    match cc.arg(root.join("examples/plugin-c/kernels.c")).arg("-lm").current_dir(folder).status() {
        Ok(status) => assert!(status.success(), "the example in C compiles"),
        Err(error) => {
            eprintln!("skipped: there is no C compiler to build a library of kernels with: {error}");
            return false;
        }
    }
    true
}

#[test]
fn native_kernels_are_loaded_by_the_owner_alone() {
    let folder = folder();
    if !compile_kernels(folder.path()) {
        return;
    }
    let answer = "SELECT hypotenuse(price, 24) AS h FROM 'bids.csv' WHERE auction = 1 ORDER BY ts LIMIT 1";
    let create =
        "CREATE FUNCTION side(DOUBLE, DOUBLE) RETURNS DOUBLE LANGUAGE NATIVE AS './libkernels.so', 'hypotenuse_kernel';
        SELECT side(7, 24) AS h";
    let check = |arguments: &[&str], code: i32, out: &str, part: &str| {
        let ran = run(folder.path(), &[arguments, &["--format", "csv"]].concat());
        assert_eq!((ran.code, ran.out.as_str()), (code, out), "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(part), "{arguments:?}: {}", ran.err);
    };
    check(&["--load", "./libkernels.so", "-c", answer], 0, "h\n26.0\n", "");
    check(&["run", "-c", answer, "--load", "libkernels.so"], 0, "h\n26.0\n", "");
    check(&["-c", answer], 1, "", "hypotenuse");
    // What the owner loads lets SQL load nothing.
    for owner in [&[][..], &["--load", "libkernels.so"]] {
        let place = "1 | CREATE FUNCTION side(";
        check(&[owner, &["-c", create]].concat(), 1, "", place);
        check(&[owner, &["-c", create]].concat(), 1, "", "native code is not allowed here");
    }
    check(&["--allow-native", "-c", create], 0, "h\n25.0\n", "");
    let squares = "SELECT squares(price) AS s FROM 'bids.csv'";
    check(&["--load", "libkernels.so", "-c", squares, "--partitions", "2"], 0, "s\n525.0\n", "");
    check(&["--load", "missing.so", "-c", answer], 2, "", "missing.so");
    check(&["--load", "bids.csv", "-c", answer], 2, "", "bids.csv");
    let unknown = create.replace("hypotenuse_kernel", "no_such_kernel");
    check(&["--allow-native", "-c", &unknown], 1, "", "no_such_kernel");
}

/// What `millstream kernel new` lays out is built and tested as its reader would, and its library is loaded.
#[test]
fn a_new_crate_of_kernels_builds_tests_and_loads() {
    let folder = folder();
    let root = env!("CARGO_MANIFEST_DIR");
    let ran = run(folder.path(), &["kernel", "new", "side-length", "--sdk", root]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("cargo test"), "{}", ran.out);
    let again = run(folder.path(), &["kernel", "new", "side-length"]);
    assert!(again.code == 1 && again.err.contains("it is there already"), "{}", again.err);
    let crates = folder.path().join("side-length");
    for arguments in [&["test", "--offline", "--quiet"][..], &["build", "--offline", "--quiet"]] {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(arguments).current_dir(&crates).env("CARGO_TARGET_DIR", crates.join("target"));
        let built = command.output().expect("cargo runs");
        assert!(built.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&built.stderr));
    }
    let library =
        format!("side-length/target/debug/{}side_length{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let sql = "SELECT side_length(3, 4) AS a, side_length_of_all(price) AS b FROM 'bids.csv' WHERE auction = 2";
    let ran = run(folder.path(), &["--load", &library, "-c", sql, "--format", "csv"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "a,b\n5.0,20.0\n"), "{}", ran.err);
}

fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
}

#[cfg(unix)]
fn kill(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
}

#[test]
fn bench_refuses_before_it_runs() {
    let folder = folder();
    let cases: &[(&[&str], &str)] = &[
        (&["nexmark", "--scale", "1.5"], "--scale of nexmark is a whole number"),
        (&["nexmark", "--query", "q0,"], "--query names no query at item 2 of 'q0,'"),
        (&["nexmark", "--json", "missing/r.json"], "there is no folder for the results: missing"),
        (&["latency", "--report", "missing/r.html"], "there is no folder for the results: missing"),
        (&["latency", "--against", "duckdb"], "bench latency does not take --against"),
        (&["latency", "--scale", "10"], "bench latency does not take --scale"),
        (&["latency", "--queries", "."], "bench latency does not take --queries"),
        (&["latency", "--query", "filter,nothing"], "unknown query of latency: nothing"),
    ];
    for (arguments, expected) in cases {
        let ran = run(folder.path(), &[&["bench"], *arguments].concat());
        assert!(
            ran.code != 0 && ran.err.contains(expected) && ran.out.is_empty(),
            "{arguments:?}: {} {}",
            ran.out,
            ran.err
        );
    }
}
