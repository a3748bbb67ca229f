//! A cut through a running query: sources stop at a boundary, what is on its way arrives, then each worker says what its
//! operators hold.
//!
//! ```text
//! asked ──▶ every worker's scans rest ──▶ nothing is in flight ──▶ each worker adds its part ──▶ lifted, all go on
//! ```
//! Invariants  once all scans rest and no message is on its way, none can come up: what workers then say belongs to the
//!             same prefix of every source. Nothing of it disturbs the operators.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::snapshot::OperatorPart;
use crate::error::{Error, Result};

/// Where the workers of a query and whoever asks for a cut meet.
#[derive(Debug, Default)]
pub struct Cut {
    /// The number of the cut that is asked for; 0 for none.
    asked: AtomicU64,
    /// Whether operators are to say what they hold, or only to come to rest.
    wants_state: AtomicBool,
    /// Messages between workers that have been posted and not been worked off.
    in_flight: Arc<AtomicI64>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Workers there are, those that have come to their end, and those whose scans rest.
    workers: usize,
    ended: usize,
    resting: usize,
    /// Workers that have added their part.
    added: usize,
    parts: Vec<OperatorPart>,
    /// What workers said that have come to their end.
    ended_parts: Vec<OperatorPart>,
    ended_values: Vec<usize>,
    /// Nodes of constant rows that were pushed.
    values: Vec<usize>,
    cuts: u64,
    error: Option<Error>,
}

/// What the workers said.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) operators: Vec<OperatorPart>,
    pub(super) values: Vec<usize>,
}

impl Cut {
    pub(super) fn in_flight(&self) -> Arc<AtomicI64> {
        self.in_flight.clone()
    }

    pub(super) fn set_workers(&self, workers: usize) {
        self.lock().workers = workers;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the cut that is asked for, if one is.
    pub(super) fn asked(&self) -> Option<u64> {
        let asked = self.asked.load(Ordering::Relaxed);
        (asked != 0).then_some(asked)
    }

    pub(super) fn wants_state(&self) -> bool {
        self.wants_state.load(Ordering::SeqCst)
    }

    /// A worker says that its scans rest.
    pub(super) fn rest(&self) {
        self.lock().resting += 1;
        self.changed.notify_all();
    }

    /// Whether all workers rest and nothing is on its way between them.
    pub(super) fn is_quiet(&self) -> bool {
        let state = self.lock();
        state.resting + state.ended == state.workers && self.in_flight.load(Ordering::SeqCst) == 0
    }

    /// A worker adds what its operators hold.
    pub(super) fn add(&self, part: Result<(Vec<OperatorPart>, Vec<usize>)>) {
        let mut state = self.lock();
        state.added += 1;
        match part {
            Ok((operators, values)) => {
                state.parts.extend(operators);
                state.values.extend(values);
            }
            Err(error) => state.error = Some(error),
        }
        drop(state);
        self.changed.notify_all();
    }

    /// A worker has come to its end; its part is that of every later cut.
    pub(super) fn end(&self, (operators, values): (Vec<OperatorPart>, Vec<usize>)) {
        let mut state = self.lock();
        state.ended += 1;
        state.ended_parts.extend(operators);
        state.ended_values.extend(values);
        drop(state);
        self.changed.notify_all();
    }

    /// Asks for a cut; `wake` wakes the workers.
    pub(super) fn ask(&self, wants_state: bool, wake: impl Fn()) {
        let mut state = self.lock();
        state.cuts += 1;
        (state.resting, state.added, state.error) = (0, 0, None);
        state.parts.clear();
        state.values.clear();
        self.wants_state.store(wants_state, Ordering::SeqCst);
        self.asked.store(state.cuts, Ordering::SeqCst);
        drop(state);
        wake();
    }

    /// Waits for the workers' parts, `patience` at most; `None` when they are not there yet.
    ///
    /// Failure: an operator's; a query that has come to its end, or that failed.
    pub(super) fn wait(&self, patience: Duration, is_aborted: impl Fn() -> bool) -> Result<Option<Parts>> {
        let state = self.lock();
        let waiting = |state: &mut State| state.added + state.ended < state.workers;
        let (mut state, _) =
            self.changed.wait_timeout_while(state, patience, waiting).unwrap_or_else(PoisonError::into_inner);
        if is_aborted() {
            return Err(Error::cancelled());
        }
        if state.ended == state.workers {
            return Err(Error::user("the query has come to its end; there is nothing to go on from"));
        }
        if state.added + state.ended < state.workers {
            return Ok(None);
        }
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        let mut parts =
            Parts { operators: std::mem::take(&mut state.parts), values: std::mem::take(&mut state.values) };
        parts.operators.extend(state.ended_parts.iter().cloned());
        parts.values.extend(state.ended_values.iter().copied());
        Ok(Some(parts))
    }

    /// Lets the workers go on.
    pub(super) fn lift(&self, wake: impl Fn()) {
        self.asked.store(0, Ordering::SeqCst);
        wake();
    }
}
