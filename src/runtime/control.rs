//! The switch of a running query: stop after what is done, or at once, and why.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};

use super::cut::Cut;
use crate::error::{Error, Kind};

const RUN: u8 = 0;
const STOP: u8 = 1;
const ABORT: u8 = 2;

/// Shared by the workers of a query and its owner.
#[derive(Debug, Default)]
pub struct Control {
    state: AtomicU8,
    error: Mutex<Option<Error>>,
    /// Where workers meet for a snapshot.
    cut: Cut,
}

impl Control {
    /// No more input is taken; what was complete leaves and sinks end.
    pub fn stop(&self) {
        let _ = self.state.compare_exchange(RUN, STOP, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Workers come to their end without another row.
    pub fn abort(&self) {
        self.state.store(ABORT, Ordering::SeqCst);
    }

    /// The query failed: the first error counts, the rest follow from it.
    pub fn fail(&self, error: Error) {
        let mut first = self.error.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let worse = first.as_ref().is_none_or(|known| known.kind() == Kind::Cancelled);
        if worse {
            *first = Some(error);
        }
        drop(first);
        self.abort();
    }

    pub fn is_stopping(&self) -> bool {
        self.state.load(Ordering::Relaxed) >= STOP
    }

    pub fn is_aborted(&self) -> bool {
        self.state.load(Ordering::Relaxed) == ABORT
    }

    pub(super) fn cut(&self) -> &Cut {
        &self.cut
    }

    pub(super) fn take_error(&self) -> Option<Error> {
        self.error.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()
    }
}
