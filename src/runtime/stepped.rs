//! A query that runs on its caller's thread, step by step: until nothing is left to do for now.
//!
//! Place       under the test driver, and for embedders who want no threads.
//! Invariants  the same workers as in threads, in turn; with a virtual clock the same steps give the same rows.

use std::sync::Arc;

use super::cut::Parts;
use super::snapshot::{Snapshot, sources};
use super::worker::{Turn, Worker};
use super::{Control, Metrics, metrics};
use crate::error::{Error, Result};

/// A query whose workers have no threads of their own.
pub struct Stepped {
    workers: Vec<Worker>,
    control: Arc<Control>,
    metrics: Arc<metrics::Registry>,
    fingerprint: String,
    /// What workers said that have come to their end.
    ended: Parts,
}

impl Stepped {
    pub(super) fn new(
        workers: Vec<Worker>,
        control: Arc<Control>,
        metrics: metrics::Registry,
        fingerprint: String,
    ) -> Stepped {
        Stepped { workers, control, metrics: Arc::new(metrics), fingerprint, ended: Parts::default() }
    }

    /// What it holds now, for another query to go on from; it goes on itself. Taken between two calls of
    /// [`Stepped::settle`], when nothing is left to do for now.
    ///
    /// Failure: a query that has come to its end, or a source that cannot say where it stands.
    pub fn snapshot(&mut self) -> Result<Snapshot> {
        self.settle()?;
        if self.workers.is_empty() {
            return Err(Error::user("the query has come to its end; there is nothing to go on from"));
        }
        if self.workers.iter().any(Worker::holds_rows) {
            let message =
                "source partitions that are ahead of others wait with rows at hand, so no snapshot can be taken";
            return Err(Error::user(message));
        }
        self.control.cut().ask(true, || {});
        let snapshot = self.cut();
        self.control.cut().lift(|| {});
        snapshot
    }

    /// Lets what is on its way between workers arrive, then has each say what it holds.
    fn cut(&mut self) -> Result<Snapshot> {
        self.workers.iter_mut().try_for_each(Worker::settle)?;
        self.settle()?;
        let mut parts = self.ended.clone();
        for worker in &mut self.workers {
            parts.extend(worker.part(true)?);
        }
        let (fingerprint, sources) = (self.fingerprint.clone(), sources(&self.metrics.scans)?);
        Ok(Snapshot { fingerprint, operators: parts.operators, sources, values: parts.values })
    }

    /// Lets every worker work until none has anything to do; whether the query has come to its end.
    ///
    /// Failure: the query's own; it has ended then.
    pub fn settle(&mut self) -> Result<bool> {
        match self.settle_or_fail() {
            Err(error) => {
                self.workers.clear();
                Err(error)
            }
            ended => ended,
        }
    }

    fn settle_or_fail(&mut self) -> Result<bool> {
        loop {
            let mut worked = false;
            let mut at = 0;
            while let Some(worker) = self.workers.get_mut(at) {
                match worker.turn(&self.control)? {
                    Turn::Worked => worked = true,
                    Turn::Idle => {}
                    Turn::Ended => {
                        self.ended.extend(self.workers.remove(at).part(false)?);
                        worked = true;
                        continue;
                    }
                }
                at += 1;
            }
            if !worked {
                self.workers.iter_mut().try_for_each(Worker::rest)?;
                return Ok(self.workers.is_empty());
            }
        }
    }

    /// Takes no more input: what was complete leaves at the next [`Stepped::settle`].
    pub fn cancel(&self) {
        self.control.stop();
    }

    /// The counters as they stand.
    pub fn metrics(&self) -> Metrics {
        self.metrics.read()
    }
}
