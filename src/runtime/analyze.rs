//! EXPLAIN ANALYZE: the pipeline with what each operator did.

use std::time::Duration;

use super::metrics::{Metrics, OperatorMetrics};
use crate::pipeline::{NodeId, Pipeline, explain_with};

/// The pipeline as text, each node with its rows and time, and a summary below.
pub fn analyzed(pipeline: &Pipeline, metrics: &Metrics, elapsed: Duration) -> String {
    let level = millstream_kernels::level::name(millstream_kernels::level::detect());
    let mut text = explain_with(pipeline, |node| note(pipeline, metrics, node));
    let seconds = elapsed.as_secs_f64().max(1e-9);
    text.push_str(&format!(
        "rows in {}, out {}, late {}, skipped {}; {:.3} s, {:.1} million rows/s; peak state {} bytes; SIMD level {level}\n",
        metrics.rows_in,
        metrics.rows_out,
        metrics.late_rows,
        metrics.bad_rows,
        seconds,
        metrics.rows_in as f64 / seconds / 1e6,
        metrics.peak_bytes,
    ));
    text
}

/// What the operators of a node did; scans are told by their tables.
fn note(pipeline: &Pipeline, metrics: &Metrics, node: NodeId) -> Option<String> {
    let mine: Vec<&OperatorMetrics> = metrics.operators.iter().filter(|operator| operator.node == Some(node)).collect();
    // An aggregate behind an exchange has a projection of its own before it.
    let Some(main) = mine.last() else {
        let scan = metrics.sources.iter().find(|source| source.node == node)?;
        let left_out = [("by their keys", scan.strange_rows), ("behind the first ones", scan.rows_behind)];
        let left_out = left_out.iter().filter(|(_, rows)| *rows > 0);
        let left_out: Vec<String> = left_out.map(|(why, rows)| format!("{why} {rows}")).collect();
        return (!left_out.is_empty()).then(|| format!("rows out {}, left out {}", scan.rows, left_out.join(", ")));
    };
    let inside: u64 = mine.iter().map(|operator| operator.nanoseconds).sum();
    let own = inside.saturating_sub(below(pipeline, metrics, node));
    let per_row = own as f64 / main.rows_in.max(1) as f64;
    let mut text =
        format!("rows in {}, out {}, batches {}, {per_row:.1} ns/row", main.rows_in, main.rows_out, main.batches_in);
    if main.state_bytes > 0 {
        text.push_str(&format!(", state {} bytes", main.state_bytes));
    }
    if main.late_rows > 0 {
        text.push_str(&format!(", late {}", main.late_rows));
    }
    if !main.remarks.is_empty() {
        text.push_str(&format!(", {}", main.remarks.join(" | ")));
    }
    Some(text)
}

/// Nanoseconds spent in what a node pushes to: pushes are calls, so a node's time holds its consumer's.
fn below(pipeline: &Pipeline, metrics: &Metrics, node: NodeId) -> u64 {
    let consumer = pipeline.nodes.iter().position(|other| other.inputs.contains(&node));
    let crossed = metrics.operators.iter().any(|operator| operator.name == "exchange");
    match consumer {
        Some(consumer) => {
            let of_consumer = metrics.operators.iter().filter(|operator| operator.node == Some(consumer));
            let mut times = of_consumer.map(|operator| (operator.name.as_str(), operator.nanoseconds));
            // Behind an exchange the consumer runs in calls of its own; only what stands before it counts.
            if crossed {
                times.find(|(name, _)| *name == "project").map_or(0, |(_, time)| time)
            } else {
                times.map(|t| t.1).sum()
            }
        }
        None => metrics.operators.iter().filter(|o| o.name == "output" && !crossed).map(|o| o.nanoseconds).sum(),
    }
}
