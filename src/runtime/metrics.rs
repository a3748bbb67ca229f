//! Counters of a running query, written by their owners, added up when asked.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::pipeline::{NodeId, Scan};
use crate::stream::operator::{Budget, Counters};

/// Where the counters of a query are.
pub(super) struct Registry {
    pub(super) operators: Vec<Registered>,
    pub(super) scans: Vec<RegisteredScan>,
    pub(super) budget: Arc<Budget>,
}

/// A scan: its node, the table's name, and the watermarks of its source partitions.
pub(super) type RegisteredScan = (NodeId, String, Arc<dyn Scan>, Arc<super::event_time::PartitionWatermarks>);

pub(super) struct Registered {
    pub(super) name: String,
    pub(super) node: Option<usize>,
    /// Whether it takes rows of the tables away, before any of them is grouped.
    pub(super) takes_away: bool,
    pub(super) counters: Arc<Counters>,
}

/// What a query has done so far.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Rows read from all tables.
    pub rows_in: u64,
    /// Rows given to the sink.
    pub rows_out: u64,
    /// Rows that came too late for their windows.
    pub late_rows: u64,
    /// Rows that belong to no window: without a time, or in a gap between windows.
    pub unplaced_rows: u64,
    /// Rows that could not be read and were skipped.
    pub bad_rows: u64,
    /// Rows whose event time was too far ahead; what became of them is for their table to say.
    pub future_rows: u64,
    /// Rows of the tables that filters took away; groups that HAVING took away are not among them.
    pub filtered_rows: u64,
    pub bytes_in: u64,
    /// 0 when unknown.
    pub bytes_total: u64,
    /// The most bytes of operator state held at once.
    pub peak_bytes: u64,
    /// The smallest watermark over all tables with an event time, in ticks.
    pub watermark: Option<i64>,
    pub operators: Vec<OperatorMetrics>,
    pub sources: Vec<SourceMetrics>,
}

/// One operator, all its partitions together.
#[derive(Debug, Clone, Default)]
pub struct OperatorMetrics {
    pub name: String,
    /// The pipeline node it runs.
    pub node: Option<usize>,
    pub rows_in: u64,
    pub rows_out: u64,
    pub batches_in: u64,
    pub late_rows: u64,
    pub state_bytes: u64,
    /// In the operator and everything it pushes to, over all partitions; 0 unless timed.
    pub nanoseconds: u64,
    /// What its partitions had to say when they ended.
    pub remarks: Vec<String>,
}

/// One table.
#[derive(Debug, Clone, Default)]
pub struct SourceMetrics {
    pub name: String,
    pub rows: u64,
    pub bytes: u64,
    pub bytes_total: u64,
    pub bad_rows: u64,
    /// The pipeline node that scans it.
    pub node: usize,
    /// Rows that were left out, for a join's table has not their keys.
    pub strange_rows: u64,
    /// Rows that were left out, for they come behind the first ones of an ORDER BY.
    pub rows_behind: u64,
}

impl Registry {
    pub(super) fn read(&self) -> Metrics {
        let mut metrics = Metrics { peak_bytes: self.budget.peak_bytes(), ..Metrics::default() };
        for (node, name, scan, watermarks) in &self.scans {
            let progress = scan.progress();
            let source = SourceMetrics {
                name: name.clone(),
                rows: progress.rows.load(Relaxed),
                bytes: progress.bytes.load(Relaxed),
                bytes_total: progress.bytes_total.load(Relaxed),
                bad_rows: progress.bad_rows.load(Relaxed),
                node: *node,
                strange_rows: progress.strange_rows.load(Relaxed),
                rows_behind: progress.rows_behind.load(Relaxed),
            };
            metrics.rows_in += source.rows;
            metrics.bytes_in += source.bytes;
            metrics.bytes_total += source.bytes_total;
            metrics.bad_rows += source.bad_rows;
            metrics.future_rows += watermarks.future_rows();
            if let Some(watermark) = watermarks.shown() {
                metrics.watermark = Some(metrics.watermark.map_or(watermark, |known: i64| known.min(watermark)));
            }
            metrics.sources.push(source);
        }
        for registered in &self.operators {
            metrics.add(registered);
        }
        metrics.late_rows = metrics.operators.iter().map(|operator| operator.late_rows).sum();
        metrics.unplaced_rows = self.operators.iter().map(|o| o.counters.unplaced_rows.load(Relaxed)).sum();
        let filters = self.operators.iter().filter(|operator| operator.takes_away).map(|filter| &filter.counters);
        // A running filter may have counted rows as in that it has not put out yet.
        metrics.filtered_rows = filters.map(|f| f.rows_in.load(Relaxed).saturating_sub(f.rows_out.load(Relaxed))).sum();
        metrics.rows_out = metrics.operators.iter().filter(|o| o.name == "output").map(|o| o.rows_out).sum();
        metrics
    }
}

impl Metrics {
    fn add(&mut self, registered: &Registered) {
        let same = |known: &&mut OperatorMetrics| known.name == registered.name && known.node == registered.node;
        let known = match self.operators.iter_mut().find(same) {
            Some(known) => known,
            None => {
                let new =
                    OperatorMetrics { name: registered.name.clone(), node: registered.node, ..Default::default() };
                self.operators.push(new);
                self.operators.last_mut().expect("pushed above")
            }
        };
        let counters = &registered.counters;
        known.rows_in += counters.rows_in.load(Relaxed);
        known.rows_out += counters.rows_out.load(Relaxed);
        known.batches_in += counters.batches_in.load(Relaxed);
        known.late_rows += counters.late_rows.load(Relaxed);
        known.state_bytes += counters.state_bytes.load(Relaxed);
        known.nanoseconds += counters.nanoseconds.load(Relaxed);
        known.remarks.extend(counters.remarks.get().filter(|remarks| !remarks.is_empty()).cloned());
    }
}
