//! Results as lines for a terminal, as JSON, and as a page that needs nothing beside it.

use std::time::Duration;

use serde_json::{Value, json};

use super::digest::Digest;
use super::machine::Machine;
use super::machine::cpu_figure;
use super::measure::{Answer, Measured};
use super::peers::PeerResult;
use super::plot::{self, Bars, Group};
use super::suite::Suite;
use super::{Origin, Results};
use crate::command::show;

/// What is about to run, on what, and the heads of the columns.
pub fn heading(suite: &Suite, machine: &Machine) -> String {
    let what = format!("{} at {} {}", suite.name, scale(&suite.scale_text()), scale_word(suite.name));
    let origin = origin_word(suite.origin);
    let machine = format!(
        "{}, {} threads, {}, {}/s read by one thread",
        machine.processor,
        machine.cores,
        show::bytes(machine.memory_bytes),
        show::bytes(machine.bandwidth as u64)
    );
    let heads = format!(
        "{:<6} {:>4} {:>12} {:>9} {:>9} {:>11} {:>11} {:>9}  {}",
        "query", "part", "rows out", "wall s", "cpu s", "rate/s", "per core", "memory", "answer"
    );
    format!("{what}, rows from {origin}\n{machine}\n\n{heads}")
}

/// A measured query as a line.
pub fn line(suite: &Suite, measured: &Measured) -> String {
    let (name, partitions) = (&measured.name, measured.partitions);
    if let Answer::Failed(why) = &measured.answer {
        return format!("{name:<6} {partitions:>4} {:>12} {why}", "failed:");
    }
    let rows = input(suite.name, suite.scale, measured);
    let per_core = cpu_figure(measured.cpu_seconds).map_or_else(|| "-".to_string(), |cpu| show::count(rows / cpu));
    format!(
        "{name:<6} {partitions:>4} {:>12} {:>9.3} {:>9} {:>11} {per_core:>11} {:>9}  {}",
        show::grouped(measured.rows_out),
        measured.wall_seconds,
        cpu_text(measured.cpu_seconds),
        show::count(rows / measured.wall_seconds),
        show::bytes(measured.peak_bytes),
        answer_text(&measured.answer)
    )
}

/// CPU seconds, or a dash where they are too few to be told.
fn cpu_text(seconds: f64) -> String {
    cpu_figure(seconds).map_or_else(|| "-".to_string(), |seconds| format!("{seconds:.2}"))
}

/// What another engine came to, as a line.
pub fn peer_line(peer: &PeerResult) -> String {
    let head = format!("{:<6} {:>4} {:>12}", peer.name, peer.threads, peer.engine);
    match &peer.error {
        Some(error) => format!("{head} failed: {error}"),
        None => format!("{head} {:>9.3} {:>9.2}", peer.wall_seconds, peer.cpu_seconds),
    }
}

/// What all queries have come to together.
pub fn summary(results: &Results) -> String {
    let mut text = String::new();
    for partitions in partition_counts(results) {
        let good: Vec<&Measured> = results
            .measured
            .iter()
            .filter(|measured| measured.partitions == partitions && !matches!(measured.answer, Answer::Failed(_)))
            .collect();
        let wall: f64 = good.iter().map(|measured| measured.wall_seconds).sum();
        let all = results.measured.iter().filter(|measured| measured.partitions == partitions).count();
        let count =
            if good.len() == all { format!("{all} queries") } else { format!("{} of {all} queries", good.len()) };
        let total = show::duration(Duration::from_secs_f64(wall));
        text += &format!("\n{count} on {partitions} {} in {total}", threads(partitions));
        for (engine, ratio, shared) in ratios(results, partitions) {
            text += &format!("; {ratio:.2} times as fast as {engine} (geometric mean of {shared})");
        }
    }
    for note in &results.notes {
        text += &format!("\nnote: {note}");
    }
    text.trim_start().to_string()
}

/// The results as JSON.
pub fn json(results: &Results) -> Value {
    let machine = &results.machine;
    let measured = results.measured.iter().map(|measured| {
        let rows = input(results.suite, results.scale, measured);
        let failed = matches!(measured.answer, Answer::Failed(_));
        let cpu_seconds = cpu_figure(measured.cpu_seconds).filter(|_| !failed);
        json!({
            "query": measured.name,
            "partitions": measured.partitions,
            "rows_in": measured.rows_in,
            "rows_out": measured.rows_out,
            "wall_seconds": (!failed).then_some(measured.wall_seconds),
            "cpu_seconds": cpu_seconds,
            "rate_per_second": (!failed).then_some(rows / measured.wall_seconds),
            "rate_per_cpu_second": cpu_seconds.map(|seconds| rows / seconds),
            "bandwidth_share": bandwidth_share(results, measured),
            "peak_bytes": measured.peak_bytes,
            "state_bytes": measured.state_bytes,
            "answer": answer_text(&measured.answer),
            "digest": measured.digest.as_ref().map(Digest::text),
        })
    });
    let peers = results.peers.iter().map(|peer| {
        json!({
            "engine": peer.engine, "version": peer.version, "query": peer.name, "threads": peer.threads,
            "wall_seconds": peer.error.is_none().then_some(peer.wall_seconds),
            "cpu_seconds": peer.error.is_none().then_some(peer.cpu_seconds),
            "peak_bytes": peer.peak_bytes, "error": peer.error,
        })
    });
    json!({
        "suite": results.suite,
        "scale": results.scale,
        "rows_from": origin_word(results.origin),
        "version": env!("CARGO_PKG_VERSION"),
        "machine": {
            "processor": machine.processor, "threads": machine.cores, "memory_bytes": machine.memory_bytes,
            "bandwidth_bytes_per_second": machine.bandwidth,
        },
        "millstream": measured.collect::<Vec<_>>(),
        "peers": peers.collect::<Vec<_>>(),
        "notes": results.notes,
    })
}

/// A scale as people write it.
fn scale(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_string(), show::grouped)
}

/// The results as a page.
pub fn page(results: &Results) -> String {
    let title = format!("{} at {} {}", results.suite, scale(&results.scale_text), scale_word(results.suite));
    let mut body = format!("<h1>{}</h1>\n<p class=\"machine\">{}</p>\n", escape(&title), escape(&about(results)));
    body += &format!("<p>{}</p>\n", escape(&summary(results)).replace('\n', "<br>"));
    for partitions in partition_counts(results) {
        let heading = format!("Queries per second of wall time, {partitions} {}", threads(partitions));
        body += &format!("<h2>{heading}</h2>\n{}\n", plot::bars(&bars(results, partitions)));
    }
    if partition_counts(results).len() > 1 {
        body += &format!(
            "<h2>Speed by number of threads</h2>\n{}\n",
            plot::scaling(&scaling(results), &partition_counts(results))
        );
    }
    body += &format!("<h2>All figures</h2>\n{}", table(results));
    document(&title, &body)
}

/// A page of these contents, which needs nothing beside it.
pub fn document(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>{STYLE}</style></head>\n<body>\n{body}</body></html>\n"
    )
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1c2733}\
    h1{margin-bottom:.2rem}h2{margin-top:2.2rem;font-size:1.1rem}.machine{color:#5b6b7a;margin-top:0}\
    table{border-collapse:collapse;font-variant-numeric:tabular-nums;width:100%}td,th{padding:.2rem .6rem;text-align:right}\
    th{border-bottom:1px solid #b8c4ce;font-weight:600}td:first-child,th:first-child,td.text,th.text{text-align:left}\
    tr:nth-child(even) td{background:#f4f7f9}.bad{color:#b3261e}svg{width:100%;height:auto}";

fn about(results: &Results) -> String {
    let machine = &results.machine;
    let mut engines = vec![format!("Millstream {}", env!("CARGO_PKG_VERSION"))];
    for peer in &results.peers {
        let name = format!("{} {}", peer.engine, peer.version);
        if !engines.contains(&name) {
            engines.push(name);
        }
    }
    format!(
        "{} threads of {}, {}, {}/s read by one thread; rows from {}; {}",
        machine.cores,
        machine.processor,
        show::bytes(machine.memory_bytes),
        show::bytes(machine.bandwidth as u64),
        origin_word(results.origin),
        engines.join(", ")
    )
}

/// A group of bars per query, a bar per engine; as many queries a second, so that longer is better.
fn bars(results: &Results, partitions: usize) -> Bars {
    let mut engines = vec!["millstream".to_string()];
    for peer in results.peers.iter().filter(|peer| peer.threads == partitions) {
        if !engines.contains(&peer.engine) {
            engines.push(peer.engine.clone());
        }
    }
    let groups = results.measured.iter().filter(|measured| measured.partitions == partitions).map(|measured| {
        let ours = (!matches!(measured.answer, Answer::Failed(_))).then_some(1.0 / measured.wall_seconds);
        let theirs = engines[1..].iter().map(|engine| {
            let peer = peer(results, engine, &measured.name, partitions)?;
            peer.error.is_none().then_some(1.0 / peer.wall_seconds)
        });
        Group { name: measured.name.clone(), values: std::iter::once(ours).chain(theirs).collect() }
    });
    let groups = groups.collect();
    Bars { engines, groups }
}

/// For each query, how many times as fast each partition count is as the first.
fn scaling(results: &Results) -> Vec<(String, Vec<(f64, f64)>)> {
    let counts = partition_counts(results);
    let mut lines: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    for measured in &results.measured {
        let at = |count: usize| {
            let same = |other: &&Measured| other.name == measured.name && other.partitions == count;
            results.measured.iter().find(same).map(|found| found.wall_seconds).filter(|wall| *wall < f64::MAX)
        };
        if measured.partitions == counts[0]
            && let Some(first) = at(counts[0])
        {
            let points = counts.iter().filter_map(|&count| Some((count as f64, first / at(count)?))).collect();
            lines.push((measured.name.clone(), points));
        }
    }
    lines
}

fn table(results: &Results) -> String {
    let mut rows = String::from(
        "<table><tr><th>query</th><th class=\"text\">asks for</th><th>threads</th><th>engine</th><th>wall s</th>\
         <th>CPU s</th><th>rate/s</th><th>memory</th><th class=\"text\">answer</th></tr>\n",
    );
    for measured in &results.measured {
        let rate = input(results.suite, results.scale, measured) / measured.wall_seconds;
        rows += &match &measured.answer {
            Answer::Failed(why) => format!(
                "<tr><td>{}</td><td class=\"text\">{}</td><td>{}</td><td>millstream</td><td colspan=\"5\" class=\"text bad\">{}</td></tr>\n",
                escape(&measured.name),
                escape(&measured.what),
                measured.partitions,
                escape(why)
            ),
            answer => format!(
                "<tr><td>{}</td><td class=\"text\">{}</td><td>{}</td><td>millstream</td><td>{:.3}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"text{}\">{}</td></tr>\n",
                escape(&measured.name),
                escape(&measured.what),
                measured.partitions,
                measured.wall_seconds,
                cpu_text(measured.cpu_seconds),
                show::count(rate),
                show::bytes(measured.peak_bytes),
                if measured.is_bad() { " bad" } else { "" },
                escape(&answer_text(answer))
            ),
        };
        let same = |peer: &&PeerResult| peer.name == measured.name && peer.threads == measured.partitions;
        for peer in results.peers.iter().filter(same) {
            rows += &match &peer.error {
                Some(error) => format!(
                    "<tr><td></td><td></td><td>{}</td><td>{}</td><td colspan=\"5\" class=\"text\">{}</td></tr>\n",
                    peer.threads,
                    escape(&peer.engine),
                    escape(error)
                ),
                None => format!(
                    "<tr><td></td><td></td><td>{}</td><td>{}</td><td>{:.3}</td><td>{:.2}</td><td></td><td></td><td></td></tr>\n",
                    peer.threads,
                    escape(&peer.engine),
                    peer.wall_seconds,
                    peer.cpu_seconds
                ),
            };
        }
    }
    rows + "</table>\n"
}

/// For each engine: how many times as fast we are, as a geometric mean over the queries that both can.
fn ratios(results: &Results, partitions: usize) -> Vec<(String, f64, usize)> {
    let mut engines: Vec<&str> = results.peers.iter().map(|peer| peer.engine.as_str()).collect();
    engines.sort_unstable();
    engines.dedup();
    let ratio = |engine: &str| {
        let both =
            results.measured.iter().filter(|measured| measured.partitions == partitions).filter_map(|measured| {
                let peer = peer(results, engine, &measured.name, partitions).filter(|peer| peer.error.is_none())?;
                (!matches!(measured.answer, Answer::Failed(_)))
                    .then_some((peer.wall_seconds / measured.wall_seconds).ln())
            });
        let logs: Vec<f64> = both.collect();
        (!logs.is_empty()).then(|| ((logs.iter().sum::<f64>() / logs.len() as f64).exp(), logs.len()))
    };
    engines
        .into_iter()
        .filter_map(|engine| ratio(engine).map(|(ratio, count)| (engine.to_string(), ratio, count)))
        .collect()
}

fn peer<'a>(results: &'a Results, engine: &str, name: &str, threads: usize) -> Option<&'a PeerResult> {
    results.peers.iter().find(|peer| peer.engine == engine && peer.name == name && peer.threads == threads)
}

fn partition_counts(results: &Results) -> Vec<usize> {
    let mut counts: Vec<usize> = results.measured.iter().map(|measured| measured.partitions).collect();
    counts.sort_unstable();
    counts.dedup();
    counts
}

/// The rows or events that a rate speaks of: of Nexmark all events, whatever kinds a query reads.
fn input(suite: &str, scale: f64, measured: &Measured) -> f64 {
    if suite == "nexmark" { scale } else { measured.rows_in as f64 }
}

/// Which part of what one thread can read from memory the query has read, where its bytes are counted.
fn bandwidth_share(results: &Results, measured: &Measured) -> Option<f64> {
    (measured.bytes_in > 0 && measured.wall_seconds < f64::MAX)
        .then(|| measured.bytes_in as f64 / measured.wall_seconds / results.machine.bandwidth)
}

fn answer_text(answer: &Answer) -> String {
    match answer {
        Answer::Same(engine) => format!("as {engine}"),
        Answer::Different(how) => format!("DIFFERENT: {how}"),
        Answer::Unchecked => "not checked".to_string(),
        Answer::Failed(why) => format!("failed: {why}"),
    }
}

fn origin_word(origin: Origin) -> &'static str {
    match origin {
        Origin::Memory => "memory",
        Origin::Parquet => "Parquet files",
    }
}

fn scale_word(suite: &str) -> &'static str {
    match suite {
        "nexmark" | "core" | "windows" => "events",
        "tpch" => "scale",
        _ => "rows",
    }
}

fn threads(count: usize) -> &'static str {
    if count == 1 { "thread" } else { "threads" }
}

/// Text as HTML has it.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
