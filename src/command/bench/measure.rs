//! One query: run some times, timed, and once more for its answer.

use std::time::Instant;

use millstream::config::Config;
use millstream::engine::{Engine, Metrics, Prepared, Statement};
use millstream::error::{Error, Result};
use millstream::pipeline::Sink;
use millstream::stream::sink::blackhole::Blackhole;

use super::EmitWord;
use super::data::Tables;
use super::digest::{Digest, DigestSink};
use super::machine;
use super::peers::PeerResult;
use super::suite::{Case, Suite};

/// What a query has come to at one number of partitions.
#[derive(Debug, Clone)]
pub struct Measured {
    pub name: String,
    pub what: String,
    pub partitions: usize,
    /// Rows of all tables it read.
    pub rows_in: u64,
    /// Rows of the answer.
    pub rows_out: u64,
    pub bytes_in: u64,
    /// The least of all runs.
    pub wall_seconds: f64,
    pub cpu_seconds: f64,
    /// What the process held at most beyond what it held before.
    pub peak_bytes: u64,
    /// What operators held at most.
    pub state_bytes: u64,
    pub answer: Answer,
    /// The answer in short.
    pub digest: Option<Digest>,
}

/// What is known of an answer.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Equal to that of another engine, or to the recorded one.
    Same(String),
    /// Not equal to it: both in short.
    Different(String),
    /// Nobody to compare with.
    Unchecked,
    /// There is none: why.
    Failed(String),
}

impl Measured {
    /// Whether somebody has to look at it.
    pub fn is_bad(&self) -> bool {
        matches!(self.answer, Answer::Different(_) | Answer::Failed(_))
    }
}

/// Runs a case.
pub fn run(
    suite: &Suite,
    case: &Case,
    tables: &Tables,
    partitions: usize,
    repeat: u32,
    peers: &[PeerResult],
) -> Measured {
    let mut measured = Measured {
        name: case.name.clone(),
        what: case.what.clone(),
        partitions,
        rows_in: 0,
        rows_out: 0,
        bytes_in: 0,
        wall_seconds: f64::MAX,
        cpu_seconds: f64::MAX,
        peak_bytes: 0,
        state_bytes: 0,
        answer: Answer::Unchecked,
        digest: None,
    };
    if let Err(error) = time(suite, case, tables, repeat, &mut measured) {
        let text = error.to_string();
        measured.answer = Answer::Failed(text.lines().next().unwrap_or_default().to_string());
        return measured;
    }
    measured.answer = match answer(suite, case, tables, partitions) {
        Ok(digest) => {
            let answer = compare(case, suite.scale, &digest, peers);
            measured.digest = Some(digest);
            answer
        }
        Err(error) => Answer::Failed(error.to_string().lines().next().unwrap_or_default().to_string()),
    };
    measured
}

fn time(suite: &Suite, case: &Case, tables: &Tables, repeat: u32, measured: &mut Measured) -> Result<()> {
    for _ in 0..repeat {
        let (engine, prepared) = prepare(suite, case, tables, measured.partitions)?;
        machine::forget_peak();
        let (before, _) = machine::memory_bytes();
        let (started, cpu) = (Instant::now(), machine::cpu_seconds());
        let metrics = drive(&engine, &prepared, Box::new(Blackhole::default()))?;
        measured.wall_seconds = measured.wall_seconds.min(started.elapsed().as_secs_f64());
        measured.cpu_seconds = measured.cpu_seconds.min(machine::cpu_seconds() - cpu);
        let (_, peak) = machine::memory_bytes();
        measured.peak_bytes = measured.peak_bytes.max(peak.saturating_sub(before));
        measured.state_bytes = measured.state_bytes.max(metrics.peak_bytes);
        measured.rows_in = metrics.rows_in;
        measured.rows_out = metrics.rows_out;
        measured.bytes_in = metrics.bytes_in;
    }
    Ok(())
}

fn answer(suite: &Suite, case: &Case, tables: &Tables, partitions: usize) -> Result<Digest> {
    let (engine, prepared) = prepare(suite, case, tables, partitions)?;
    let (sink, digest) = DigestSink::new();
    drive(&engine, &prepared, Box::new(sink))?;
    let digest = digest.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    Ok(digest)
}

/// A fresh engine with the suite's tables, and the case's last statement ready to run.
fn prepare(suite: &Suite, case: &Case, tables: &Tables, partitions: usize) -> Result<(Engine, Prepared)> {
    let engine = Engine::new(Config { partitions, ..Config::default() });
    tables.register(&engine)?;
    let emit = match suite.emit {
        None => "",
        Some(EmitWord::Final) => " EMIT FINAL",
        Some(EmitWord::Changes) => " EMIT CHANGES",
    };
    let text = format!("{}{emit}", case.sql.trim().trim_end_matches(';'));
    let mut last = None;
    for parsed in engine.parse(&text)? {
        match engine.prepare(&parsed).map_err(|e| e.in_text(&text))? {
            Statement::Query(prepared) => last = Some(prepared),
            Statement::Done(_) | Statement::Text(_) | Statement::Rows(_) => {}
        }
    }
    let prepared = last.ok_or_else(|| Error::user("no statement of the file is a query"))?;
    Ok((engine, prepared))
}

/// Runs it into a sink of ours, wherever its statement says its rows should go.
fn drive(engine: &Engine, prepared: &Prepared, sink: Box<dyn Sink>) -> Result<Metrics> {
    engine.start_into(prepared, sink)?.wait()
}

/// Compares an answer with those of peers, else with the one that is recorded.
fn compare(case: &Case, scale: f64, digest: &Digest, peers: &[PeerResult]) -> Answer {
    let of_peer = |peer: &'_ PeerResult| Some((peer.engine.clone(), peer.digest.clone()?));
    let mut known: Vec<(String, Digest)> =
        peers.iter().filter(|peer| peer.name == case.name).filter_map(of_peer).collect();
    if known.is_empty() {
        known.extend(case.answer_at(scale).map(|answer| ("recorded".to_string(), answer.clone())));
    }
    // An engine that ran on several counts of threads is told once.
    known.dedup_by(|a, b| a.0 == b.0 && a.1.agrees(&b.1));
    // DuckDB's answer counts before those of others, whose words for the same question may mean another.
    known.sort_by_key(|(engine, _)| engine != "duckdb");
    let Some((engine, theirs)) = known.first() else { return Answer::Unchecked };
    if digest.agrees(theirs) {
        let told = known.iter().map(|(engine, answer)| match digest.agrees(answer) {
            true => engine.clone(),
            false => format!("not {engine}"),
        });
        return Answer::Same(told.collect::<Vec<_>>().join(", "));
    }
    let show = |digest: &Digest| format!("{} rows, hash {:016x}, sums {:?}", digest.rows, digest.hash, digest.sums);
    Answer::Different(format!("here {}; {engine} {}", show(digest), show(theirs)))
}
