//! A pipeline becomes threads: a worker per partition, each owning its operators and their state.
//!
//! Place       called by the engine; the only room that starts threads. Knows no SQL.
//! Owns        the workers of a running query, the switch that stops them, and the counters they write.
//! Invariants  a failing or panicking query stops alone; every thread is joined before the query is gone.

mod analyze; //    EXPLAIN ANALYZE
mod assemble; //   pipeline → what each worker runs, and the rings between them
mod clock; //      what time it is, or what a test says
mod control; //    the switch: stop after what is done, or at once
mod event_time; // watermarks of source partitions, in order whoever reads them
mod names; //      what the inputs of expressions are called, for errors
mod join; //       joins: which rows must meet, and where
mod metrics; //    counters, added up when asked
mod over; //       OVER, ranks, ORDER BY: rows brought to where they are put in order
mod parts; //      stages in the making, put together
mod scan; //       a worker reading a table
mod stepped; //    without threads, step by step
mod worker; //     the loop of an owner thread

pub use analyze::analyzed;
pub use clock::Clock;
pub use control::Control;
pub use metrics::{Metrics, OperatorMetrics, SourceMetrics};
pub use stepped::Stepped;

use std::sync::Arc;
use std::thread::JoinHandle;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::pipeline::{Pipeline, Sink};

/// A query at work.
pub struct Running {
    control: Arc<Control>,
    metrics: Arc<metrics::Registry>,
    threads: Vec<JoinHandle<()>>,
}

/// How a query is run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Measure the time in each operator, for EXPLAIN ANALYZE.
    pub timed: bool,
    /// The CPU level kernels are told; `None`: what the machine has.
    pub level: Option<millstream_kernels::level::Level>,
    /// Where processing time comes from.
    pub clock: Clock,
}

/// Starts `pipeline` into `sink`.
///
/// Failure: a table that cannot be opened. Later failures come out of [`Running::wait`].
pub fn start(
    pipeline: &Pipeline,
    sink: Box<dyn Sink>,
    config: &Config,
    budget: Arc<crate::stream::operator::Budget>,
    options: &Options,
) -> Result<Running> {
    let control = Arc::new(Control::default());
    let assembled = assemble::assemble(pipeline, sink, config, budget, options)?;
    let metrics = Arc::new(assembled.metrics);
    let mut threads = Vec::with_capacity(assembled.workers.len());
    for worker in assembled.workers {
        let (control, name) = (control.clone(), format!("millstream-{}", worker.number()));
        let builder = std::thread::Builder::new().name(name);
        let thread = builder.spawn(move || worker.run(&control));
        threads.push(thread.map_err(|e| Error::outside(format!("a worker thread cannot be started: {e}")))?);
    }
    Ok(Running { control, metrics, threads })
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
) -> Result<Stepped> {
    let assembled = assemble::assemble(pipeline, sink, config, budget, options)?;
    Ok(Stepped::new(assembled.workers, assembled.metrics))
}

impl Running {
    /// Stops taking input; what was complete leaves, sinks end cleanly.
    pub fn cancel(&self) {
        self.control.stop();
    }

    /// The switch, for whoever must stop the query from elsewhere.
    pub fn control(&self) -> Arc<Control> {
        self.control.clone()
    }

    /// Whether all workers have come to their end.
    pub fn is_finished(&self) -> bool {
        self.threads.iter().all(|thread| thread.is_finished())
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
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}
