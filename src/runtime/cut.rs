//! A cut through a running query: sources stop at a boundary, what is on its way arrives, then each worker says what its
//! operators hold.
//!
//! ```text
//! asked ──▶ every worker's scans rest ──▶ each worker tells the watermark they have come to together
//!       ──▶ nothing is in flight ──▶ each worker adds its part ──▶ lifted, all go on
//! ```
//! Invariants  once all have told it and no message is on its way, none can come up: what workers then say belongs to the
//!             same prefix of every source, with all that this prefix closes. Nothing of it disturbs the operators.

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
    workers: Vec<Member>,
    cuts: u64,
    error: Option<Error>,
}

/// A worker's way through a cut, and its part once it has added it.
#[derive(Debug, Default)]
struct Member {
    phase: Phase,
    part: Parts,
}

/// How far a worker is in a cut.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Its scans are on the way to a boundary.
    #[default]
    Running,
    /// Its scans rest.
    Resting,
    /// It has told its operators, since all rest, how far event time is; what followed was posted.
    Told,
    /// It has added its part.
    Added,
    /// It has come to its end; its part is that of every later cut.
    Ended,
}

/// What workers said.
#[derive(Debug, Default, Clone)]
pub(super) struct Parts {
    pub(super) operators: Vec<OperatorPart>,
    /// Nodes of constant rows that were pushed.
    pub(super) values: Vec<usize>,
}

impl Parts {
    pub(super) fn extend(&mut self, more: Parts) {
        self.operators.extend(more.operators);
        self.values.extend(more.values);
    }
}

impl State {
    /// Whether all workers are at least that far.
    fn all(&self, phase: Phase) -> bool {
        self.workers.iter().all(|worker| worker.phase >= phase)
    }
}

impl Cut {
    pub(super) fn in_flight(&self) -> Arc<AtomicI64> {
        self.in_flight.clone()
    }

    pub(super) fn set_workers(&self, workers: usize) {
        self.lock().workers.resize_with(workers, Member::default);
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

    /// A worker says how far it is in a cut, which another may have replaced by now.
    pub(super) fn reach(&self, worker: usize, cut: u64, phase: Phase) {
        let mut state = self.lock();
        if state.cuts == cut {
            state.workers[worker].phase = phase;
        }
    }

    /// Whether the scans of all workers rest.
    pub(super) fn all_rest(&self) -> bool {
        self.lock().all(Phase::Resting)
    }

    /// Whether all workers have told their operators how far event time is, and nothing is on its way between them.
    pub(super) fn is_quiet(&self) -> bool {
        self.lock().all(Phase::Told) && self.in_flight.load(Ordering::SeqCst) == 0
    }

    /// A worker adds what its operators hold.
    pub(super) fn add(&self, worker: usize, cut: u64, part: Result<Parts>) {
        let mut state = self.lock();
        if state.cuts != cut {
            return;
        }
        state.workers[worker].phase = Phase::Added;
        match part {
            Ok(part) => state.workers[worker].part = part,
            Err(error) => state.error = Some(error),
        }
        drop(state);
        self.changed.notify_all();
    }

    /// A worker has come to its end.
    pub(super) fn end(&self, worker: usize, part: Parts) {
        self.lock().workers[worker] = Member { phase: Phase::Ended, part };
        self.changed.notify_all();
    }

    /// Asks for a cut; `wake` wakes the workers.
    pub(super) fn ask(&self, wants_state: bool, wake: impl Fn()) {
        let mut state = self.lock();
        state.cuts += 1;
        state.error = None;
        for worker in state.workers.iter_mut().filter(|worker| worker.phase != Phase::Ended) {
            *worker = Member::default();
        }
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
        let waiting = |state: &mut State| !state.all(Phase::Added);
        let (mut state, _) =
            self.changed.wait_timeout_while(state, patience, waiting).unwrap_or_else(PoisonError::into_inner);
        if is_aborted() {
            return Err(Error::cancelled());
        }
        if state.all(Phase::Ended) {
            return Err(Error::user("the query has come to its end; there is nothing to go on from"));
        }
        if !state.all(Phase::Added) {
            return Ok(None);
        }
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        let mut parts = Parts::default();
        for worker in &mut state.workers {
            let ended = worker.phase == Phase::Ended;
            parts.extend(if ended { worker.part.clone() } else { std::mem::take(&mut worker.part) });
        }
        Ok(Some(parts))
    }

    /// Lets the workers go on.
    pub(super) fn lift(&self, wake: impl Fn()) {
        self.asked.store(0, Ordering::SeqCst);
        wake();
    }
}
