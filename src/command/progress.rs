//! The line on a terminal that shows work being done, and the summary after it.
//!
//! Owns        one line of stderr, while nobody else writes to the terminal.
//! Invariants  shown only on a terminal, and only for work longer than a second; cleared before anything else appears.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use millstream::arrow::array::RecordBatch;
use millstream::arrow::datatypes::TimeUnit;
use millstream::batch::Change;
use millstream::engine::{Metrics, Prepared};
use millstream::error::Result;
use millstream::pipeline::{Sink, Spec};

use super::show;

/// Work shorter than this is not worth a line.
const PATIENCE: Duration = Duration::from_secs(1);
const REFRESH: Duration = Duration::from_millis(100);
/// Of fewer rows a rate says nothing but how long a query takes to start.
const ROWS_FOR_A_RATE: u64 = 10_000;
/// A narrow terminal: a longer line would wrap and could not be cleared.
const WIDTH_MAX: usize = 79;

/// The progress of one query.
pub struct Progress {
    started: Instant,
    drawn: Option<Instant>,
    rows_total: Option<u64>,
    unit: Option<TimeUnit>,
    line: Arc<Line>,
}

/// The line itself, shared with whoever writes to the same terminal.
struct Line {
    is_enabled: bool,
    state: Mutex<Shown>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    No,
    Yes,
    /// Results have come to the same terminal: they show progress enough.
    Never,
}

impl Progress {
    /// Of a query that is about to start.
    pub fn new(prepared: &Prepared, is_quiet: bool) -> Progress {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let line =
            Line { is_enabled: !is_quiet && !is_dumb && std::io::stderr().is_terminal(), state: Mutex::new(Shown::No) };
        let nodes = prepared.pipeline().nodes.iter();
        let times = nodes.filter(|node| matches!(node.spec, Spec::Scan(_))).filter_map(|node| node.time.as_ref());
        Progress {
            started: Instant::now(),
            drawn: None,
            rows_total: prepared.pipeline().tables().iter().map(|table| table.row_count()).sum(),
            unit: times.map(|time| time.unit).next(),
            line: Arc::new(line),
        }
    }

    /// A sink that clears the line before rows appear on the same terminal.
    pub fn beside(&self, sink: Box<dyn Sink>) -> Box<dyn Sink> {
        match self.line.is_enabled && std::io::stdout().is_terminal() {
            true => Box::new(Beside { sink, line: self.line.clone() }),
            false => sink,
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Draws the line anew when it is time to.
    pub fn show(&mut self, metrics: impl FnOnce() -> Metrics) {
        let elapsed = self.elapsed();
        if !self.line.is_enabled || elapsed < PATIENCE || self.drawn.is_some_and(|drawn| drawn.elapsed() < REFRESH) {
            return;
        }
        self.drawn = Some(Instant::now());
        self.line.draw(&self.text(&metrics(), elapsed));
    }

    /// Clears the line.
    pub fn clear(&self) {
        self.line.clear(Shown::No);
    }

    fn text(&self, metrics: &Metrics, elapsed: Duration) -> String {
        let rate = metrics.rows_in as f64 / elapsed.as_secs_f64().max(1e-9);
        let share = match (metrics.bytes_total, self.rows_total) {
            (0, Some(total)) if total > 0 => Some(metrics.rows_in as f64 / total as f64),
            (0, _) => None,
            (total, _) => Some(metrics.bytes_in as f64 / total as f64),
        };
        let mut parts =
            vec![format!("{} rows", show::count(metrics.rows_in as f64)), format!("{} rows/s", show::count(rate))];
        if metrics.bytes_in > 0 {
            parts.push(show::bytes(metrics.bytes_in));
        }
        if let Some(share) = share {
            parts.push(format!("{:.0} %", share.min(1.0) * 100.0));
        }
        if let Some(at) = metrics.watermark.zip(self.unit).and_then(|(watermark, unit)| show::time(watermark, unit)) {
            parts.push(format!("at {at}"));
        }
        parts.push(show::duration(elapsed));
        parts.join(" · ").chars().take(WIDTH_MAX).collect()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Line {
    fn draw(&self, text: &str) {
        let mut shown = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *shown != Shown::Never {
            *shown = Shown::Yes;
            // A line that cannot be shown is not missed.
            let _ = write!(std::io::stderr(), "\r\x1b[2K{text}");
        }
    }

    fn clear(&self, then: Shown) {
        let mut shown = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *shown == Shown::Yes {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
        if *shown != Shown::Never {
            *shown = then;
        }
    }
}

/// `1.23 s, 10.0M rows read, 8.13M rows/s`.
pub fn summary(metrics: &Metrics, elapsed: Duration) -> String {
    let mut text = show::duration(elapsed);
    let rows = metrics.rows_in as f64;
    if metrics.rows_in > 0 {
        text.push_str(&format!(", {} rows read", show::count(rows)));
    }
    if metrics.rows_in >= ROWS_FOR_A_RATE {
        text.push_str(&format!(", {} rows/s", show::count(rows / elapsed.as_secs_f64().max(1e-9))));
    }
    for (count, what) in [(metrics.late_rows, "late"), (metrics.bad_rows, "skipped as unreadable")] {
        if count > 0 {
            text.push_str(&format!(", {} rows {what}", show::grouped(count)));
        }
    }
    text
}

/// A sink on the terminal that the progress line is on.
struct Beside {
    sink: Box<dyn Sink>,
    line: Arc<Line>,
}

impl Sink for Beside {
    fn write(&mut self, rows: &RecordBatch, changes: Option<&[Change]>) -> Result<()> {
        self.line.clear(Shown::Never);
        self.sink.write(rows, changes)
    }

    fn flush(&mut self) -> Result<()> {
        self.sink.flush()
    }

    fn finish(&mut self) -> Result<()> {
        self.line.clear(Shown::Never);
        self.sink.finish()
    }
}
