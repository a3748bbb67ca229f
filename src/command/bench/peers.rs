//! The same queries in other engines, through `compare/peers.py` and `compare/flink.py`; an engine that is not installed is
//! passed over with a note.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use clap::ValueEnum;
use millstream::error::{Error, Result};
use serde_json::{Value, json};

use super::digest::Digest;
use super::suite::{Case, Suite};
use super::{BenchArguments, Origin, data};

/// The scripts that run them; they go with the program.
const SCRIPTS: &[(&str, &str)] = &[
    ("peers.py", include_str!("../../../compare/peers.py")),
    ("flink.py", include_str!("../../../compare/flink.py")),
    ("flink/Peer.java", include_str!("../../../compare/flink/Peer.java")),
    ("flink/Replay.java", include_str!("../../../compare/flink/Replay.java")),
    ("flink/Digest.java", include_str!("../../../compare/flink/Digest.java")),
];

/// The engines there are scripts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    Duckdb,
    Polars,
    Datafusion,
    Chdb,
    /// Over streams; Nexmark alone.
    Flink,
}

impl Peer {
    fn name(self) -> &'static str {
        match self {
            Peer::Duckdb => "duckdb",
            Peer::Polars => "polars",
            Peer::Datafusion => "datafusion",
            Peer::Chdb => "chdb",
            Peer::Flink => "flink",
        }
    }

    fn script(self) -> &'static str {
        if self == Peer::Flink { "flink.py" } else { "peers.py" }
    }
}

/// What a query has come to in another engine.
#[derive(Debug, Clone)]
pub struct PeerResult {
    pub engine: String,
    pub version: String,
    pub name: String,
    pub threads: usize,
    pub wall_seconds: f64,
    pub cpu_seconds: f64,
    pub peak_bytes: u64,
    pub digest: Option<Digest>,
    /// Why there is no time.
    pub error: Option<String>,
}

/// Runs the suite in the engines that were asked for, and says what was passed over.
pub fn run(arguments: &BenchArguments, suite: &Suite, folder: &Path) -> Result<(Vec<PeerResult>, Vec<String>)> {
    let (mut results, mut notes) = (Vec::new(), Vec::new());
    if arguments.against.is_empty() {
        return Ok((results, notes));
    }
    let queries = folder.join("queries.json");
    for (name, text) in SCRIPTS {
        put(&folder.join(name), text)?;
    }
    put(&queries, &describe(suite, folder).to_string())?;
    for peer in &arguments.against {
        if *peer == Peer::Flink && !matches!(suite.name, "nexmark" | "windows") {
            notes.push("flink was passed over: it runs the suites nexmark and windows alone".to_string());
            continue;
        }
        let script = folder.join(peer.script());
        for threads in &arguments.partitions {
            let given = [peer.name(), &threads.to_string(), &arguments.repeat.to_string()].map(str::to_string);
            match run_one(&script, &queries, &given) {
                Ok(found) => results.extend(found),
                Err(why) => {
                    notes.push(format!("{} was passed over: {why}", peer.name()));
                    break;
                }
            }
        }
    }
    Ok((results, notes))
}

fn put(path: &Path, text: &str) -> Result<()> {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(path, text))
        .map_err(|e| Error::outside(format!("cannot write for other engines: {}", path.display())).caused_by(e))
}

/// The tables and the queries, as the script reads them.
fn describe(suite: &Suite, folder: &Path) -> Value {
    let tables: Vec<Value> = data::names(suite)
        .into_iter()
        .map(|name| json!({ "name": name, "path": data::file(folder, name).display().to_string() }))
        .collect();
    let query = |case: &Case| json!({ "name": case.name, "sql": case.sql, "duckdb": case.duckdb, "flink": case.flink });
    let queries: Vec<Value> = suite.cases.iter().map(query).collect();
    json!({ "tables": tables, "queries": queries, "in_memory": suite.origin == Origin::Memory })
}

/// Runs one engine; a line of JSON per query on its output. Failure, in words: Python or the engine is not there.
fn run_one(script: &Path, queries: &Path, given: &[String; 3]) -> std::result::Result<Vec<PeerResult>, String> {
    let [engine, threads, repeat] = given;
    let mut command = Command::new("python3");
    command.arg(script).arg(queries).args(["--engine", engine, "--threads", threads, "--repeat", repeat]);
    let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = started.map_err(|_| "python3 is not there".to_string())?;
    let output = child.stdout.take().ok_or("its output cannot be read")?;
    let mut results = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|e| e.to_string())?;
        let Ok(value) = serde_json::from_str::<Value>(&line) else { continue };
        if let Some(missing) = value["missing"].as_str() {
            let _ = child.wait();
            return Err(missing.to_string());
        }
        let result = read(&value);
        let _ = writeln!(std::io::stdout(), "{}", super::report::peer_line(&result));
        results.push(result);
    }
    let ended = child.wait_with_output().map_err(|e| e.to_string())?;
    match ended.status.success() {
        true => Ok(results),
        false => {
            let text = String::from_utf8_lossy(&ended.stderr);
            Err(text.lines().last().unwrap_or("it stopped without a word").to_string())
        }
    }
}

fn read(value: &Value) -> PeerResult {
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_string();
    let digest = value.get("digest").filter(|digest| digest.is_object()).map(|digest| Digest {
        rows: digest["rows"].as_i64().unwrap_or_default(),
        hash: digest["hash"].as_str().and_then(|hash| hash.parse().ok()).unwrap_or_default(),
        sums: digest["sums"].as_array().into_iter().flatten().map(|sum| sum.as_f64().unwrap_or_default()).collect(),
    });
    PeerResult {
        engine: text("engine"),
        version: text("version"),
        name: text("query"),
        threads: value["threads"].as_u64().unwrap_or(1) as usize,
        wall_seconds: value["wall"].as_f64().unwrap_or(f64::NAN),
        cpu_seconds: value["cpu"].as_f64().unwrap_or(f64::NAN),
        peak_bytes: value["peak_bytes"].as_u64().unwrap_or_default(),
        digest,
        error: value["error"].as_str().map(str::to_string),
    }
}
