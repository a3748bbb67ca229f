//! The counters of what has run, as one JSON object.

use std::time::Duration;

use millstream::engine::{Metrics, OperatorMetrics, SourceMetrics};
use serde_json::{Value, json};

/// The queries of a session, added up.
#[derive(Debug, Default)]
pub struct Stats {
    metrics: Metrics,
    duration: Duration,
    queries: u64,
}

impl Stats {
    /// Adds what a query has done.
    pub fn add(&mut self, metrics: &Metrics, duration: Duration) {
        let sum = &mut self.metrics;
        sum.rows_in += metrics.rows_in;
        sum.rows_out += metrics.rows_out;
        sum.late_rows += metrics.late_rows;
        sum.filtered_rows += metrics.filtered_rows;
        sum.unplaced_rows += metrics.unplaced_rows;
        sum.bad_rows += metrics.bad_rows;
        sum.bytes_in += metrics.bytes_in;
        sum.peak_bytes = sum.peak_bytes.max(metrics.peak_bytes);
        sum.operators.extend(metrics.operators.iter().cloned());
        sum.sources.extend(metrics.sources.iter().cloned());
        self.duration += duration;
        self.queries += 1;
    }

    /// All of it.
    pub fn to_json(&self) -> Value {
        let metrics = &self.metrics;
        json!({
            "queries": self.queries,
            "rows_in": metrics.rows_in,
            "rows_out": metrics.rows_out,
            "late_rows": metrics.late_rows,
            "filtered_rows": metrics.filtered_rows,
            "unplaced_rows": metrics.unplaced_rows,
            "bad_rows": metrics.bad_rows,
            "bytes_in": metrics.bytes_in,
            "peak_bytes": metrics.peak_bytes,
            "seconds": self.duration.as_secs_f64(),
            "operators": metrics.operators.iter().map(operator).collect::<Vec<_>>(),
            "sources": metrics.sources.iter().map(source).collect::<Vec<_>>(),
        })
    }
}

fn operator(operator: &OperatorMetrics) -> Value {
    json!({
        "name": operator.name,
        "node": operator.node,
        "rows_in": operator.rows_in,
        "rows_out": operator.rows_out,
        "batches_in": operator.batches_in,
        "late_rows": operator.late_rows,
        "state_bytes": operator.state_bytes,
        "remarks": operator.remarks,
    })
}

fn source(source: &SourceMetrics) -> Value {
    json!({ "name": source.name, "rows": source.rows, "bytes": source.bytes, "bad_rows": source.bad_rows })
}
