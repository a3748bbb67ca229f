//! A pipeline becomes threads: a worker per partition, each owning its operators and their state.
//!
//! Place       called by the engine; the only room that starts threads. Knows no SQL.
//! Owns        the workers of a running query, the switch that stops them, and the counters they write.
//! Invariants  a failing or panicking query stops alone; every thread is joined before the query is gone, but one that the outside holds.

mod analyze; //    EXPLAIN ANALYZE
mod assemble; //   pipeline → what each worker runs, and the rings between them
mod clock; //      what time it is, or what a test says
mod control; //    the switch: stop after what is done, or at once
mod cut; //        a moment at which nothing is on its way
mod event_time; // watermarks of source partitions, in order whoever reads them
mod guard; //      event times too far ahead
mod names; //      what the inputs of expressions are called, for errors
mod join; //       joins: which rows must meet, and where
mod metrics; //    counters, added up when asked
mod over; //       OVER, ranks, ORDER BY: rows brought to where they are put in order
mod parts; //      stages in the making, put together
mod sets; //       several sets of keys
mod recursion; //  WITH RECURSIVE: a table that runs queries
mod scan; //       a worker reading a table
mod snapshot; //   what a query holds at a cut
mod stepped; //    without threads, step by step
mod worker; //     the loop of an owner thread

pub use analyze::analyzed;
pub use clock::Clock;
pub use control::Control;
pub use metrics::{Metrics, OperatorMetrics, SourceMetrics};
pub use snapshot::Snapshot;
pub use stepped::Stepped;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::function::KernelContext;
use crate::pipeline::{Pipeline, Sink};
use crate::stream::exchange::Waker;

/// How long a cut is waited for before sources go on for a while.
pub(crate) const PATIENCE: Duration = Duration::from_millis(200);

/// How long a query that is dropped waits for its threads, and how often it looks.
const DROP_WAIT: Duration = Duration::from_secs(1);
const DROP_LOOK: Duration = Duration::from_micros(200);

/// A query at work.
pub struct Running {
    control: Arc<Control>,
    metrics: Arc<metrics::Registry>,
    threads: Vec<JoinHandle<()>>,
    wakers: Vec<Arc<Waker>>,
    fingerprint: String,
}

/// How a query is run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Measure the time in each operator, for EXPLAIN ANALYZE.
    pub timed: bool,
    /// The CPU level kernels are told; `None`: what the machine has.
    pub level: Option<millstream_kernels::level::Level>,
    /// Whether operators keep their state so that a snapshot of it can be gone on with by any number of workers.
    pub portable: bool,
    /// Where processing time comes from.
    pub clock: Clock,
    /// Where rows go that are late for all their windows, when the query says so.
    pub late: Option<crate::stream::sink::side::SideSink>,
}

/// Starts `pipeline` into `sink`, from its beginning or from a snapshot.
///
/// Failure: a table that cannot be opened, or that cannot go on from where it stood; a snapshot of another query. Later failures come out of [`Running::wait`].
pub fn start(
    pipeline: &Pipeline,
    sink: Box<dyn Sink>,
    config: &Config,
    budget: Arc<crate::stream::operator::Budget>,
    options: &Options,
    from: Option<&Snapshot>,
) -> Result<Running> {
    if let Some(snapshot) = from {
        snapshot.check(pipeline)?;
    }
    let options = &Options { portable: options.portable || config.snapshots || from.is_some(), ..options.clone() };
    let control = Arc::new(Control::default());
    let in_flight = control.cut().in_flight();
    let mut assembled = assemble::assemble(pipeline, sink, config, budget, options, in_flight)?;
    if let Some(snapshot) = from {
        snapshot.restore(&mut assembled, context(options))?;
    }
    control.cut().set_workers(assembled.workers.len());
    let wakers = assembled.wakers;
    let metrics = Arc::new(assembled.metrics);
    let mut threads = Vec::with_capacity(assembled.workers.len());
    for worker in assembled.workers {
        let (control, name) = (control.clone(), format!("millstream-{}", worker.number()));
        let builder = std::thread::Builder::new().name(name);
        let thread = builder.spawn(move || worker.run(&control));
        threads.push(thread.map_err(|e| Error::outside(format!("a worker thread cannot be started: {e}")))?);
    }
    Ok(Running { control, metrics, threads, wakers, fingerprint: snapshot::fingerprint(pipeline) })
}

/// What kernels are told.
fn context(options: &Options) -> KernelContext {
    options.level.map_or_else(KernelContext::default, |level| KernelContext { level, ..KernelContext::default() })
}

/// Makes a query of `pipeline` into `sink` that works when its owner says so, on the owner's thread.
///
/// Failure: a table that cannot be opened. Later failures come out of [`Stepped::settle`].
pub fn stepped(
    pipeline: &Pipeline,
    sink: Box<dyn Sink>,
    config: &Config,
    budget: Arc<crate::stream::operator::Budget>,
    options: &Options,
    from: Option<&Snapshot>,
) -> Result<Stepped> {
    if let Some(snapshot) = from {
        snapshot.check(pipeline)?;
    }
    let options = &Options { portable: options.portable || config.snapshots || from.is_some(), ..options.clone() };
    let control = Arc::new(Control::default());
    let in_flight = control.cut().in_flight();
    let mut assembled = assemble::assemble(pipeline, sink, config, budget, options, in_flight)?;
    if let Some(snapshot) = from {
        snapshot.restore(&mut assembled, context(options))?;
    }
    Ok(Stepped::new(assembled.workers, control, assembled.metrics, snapshot::fingerprint(pipeline)))
}

impl Running {
    /// Stops taking input; what was complete leaves, sinks end cleanly.
    pub fn cancel(&self) {
        self.control.stop();
        self.wake();
    }

    /// The switch, for whoever must stop the query from elsewhere.
    pub fn control(&self) -> Arc<Control> {
        self.control.clone()
    }

    /// Whether all workers have come to their end.
    pub fn is_finished(&self) -> bool {
        self.threads.iter().all(|thread| thread.is_finished())
    }

    /// What it holds now, for another run to go on from, here or elsewhere; it goes on itself.
    ///
    /// Sources stop at a boundary for as long as it takes, so the sink must not wait for the caller meanwhile.
    /// Failure: a query that has come to its end, that failed, or a source that cannot say where it stands.
    pub fn snapshot(&self) -> Result<Snapshot> {
        loop {
            self.begin_cut(true);
            if let Some(snapshot) = self.try_snapshot(PATIENCE)? {
                self.end_cut();
                return Ok(snapshot);
            }
            self.postpone_cut();
        }
    }

    /// Lifts a cut that was not reached for a while. Operators may hold inputs back until others have ended, as a join does
    /// while it builds its table: that has to go on first.
    pub(crate) fn postpone_cut(&self) {
        self.end_cut();
        std::thread::sleep(PATIENCE / 10);
    }

    /// Waits until the rows that are at hand in its sources have been taken, and tables that end have been read.
    pub(crate) fn await_offered(&self) {
        let offered: Vec<Option<u64>> = self.metrics.scans.iter().map(|(_, _, scan, _)| scan.offered()).collect();
        let lags = |((_, _, scan, _), offered): (&metrics::RegisteredScan, &Option<u64>)| {
            if scan.progress().unfinished.load(Ordering::SeqCst) > 0 {
                return true;
            }
            let Some(offered) = offered else { return false };
            scan.position().is_ok_and(|position| position.iter().sum::<u64>() < *offered)
        };
        while self.metrics.scans.iter().zip(&offered).any(lags) && !self.control.is_stopping() && !self.is_finished() {
            self.wake();
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    /// Whether the cut that was begun has been reached; waits for it, `patience` at most.
    ///
    /// Failure: a query that has come to its end, or that failed.
    pub(crate) fn is_at_rest(&self, patience: Duration) -> Result<bool> {
        Ok(self.control.cut().wait(patience, || self.control.is_aborted())?.is_some())
    }

    /// Has sources stop and what is on its way arrive.
    pub(crate) fn begin_cut(&self, wants_state: bool) {
        self.control.cut().ask(wants_state, || self.wake());
    }

    /// Lets sources go on.
    pub(crate) fn end_cut(&self) {
        self.control.cut().lift(|| self.wake());
    }

    /// The snapshot of the cut that was begun, once all workers are there; the cut lasts until it is ended, or has failed.
    pub(crate) fn try_snapshot(&self, patience: Duration) -> Result<Option<Snapshot>> {
        let parts = match self.control.cut().wait(patience, || self.control.is_aborted()) {
            Ok(None) => return Ok(None),
            Ok(Some(parts)) => parts,
            Err(error) => {
                self.end_cut();
                return Err(error);
            }
        };
        let sources = snapshot::sources(&self.metrics.scans).inspect_err(|_| self.end_cut())?;
        let fingerprint = self.fingerprint.clone();
        Ok(Some(Snapshot { fingerprint, operators: parts.operators, sources, values: parts.values }))
    }

    fn wake(&self) {
        self.wakers.iter().for_each(|waker| waker.nudge());
    }

    /// The counters as they stand.
    pub fn metrics(&self) -> Metrics {
        self.metrics.read()
    }

    /// Waits for the end and says how it went.
    pub fn wait(&mut self) -> Result<Metrics> {
        for thread in self.threads.drain(..) {
            // Workers catch their panics; a join fails only if that itself failed.
            thread.join().map_err(|_| Error::bug("a worker thread died"))?;
        }
        match self.control.take_error() {
            Some(error) => Err(error),
            None => Ok(self.metrics.read()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.control.abort();
        self.wake();
        let until = Instant::now() + DROP_WAIT;
        for thread in self.threads.drain(..) {
            while !thread.is_finished() && Instant::now() < until {
                std::thread::sleep(DROP_LOOK);
            }
            // One that waits for the outside ends by itself as soon as that lets it.
            if thread.is_finished() {
                drop(thread.join());
            }
        }
    }
}
