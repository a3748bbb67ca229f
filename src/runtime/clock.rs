//! The clock of a query: the machine's, or one that a test sets.
//!
//! Place       read by workers, once per turn; operators are told the time and never ask for it.
//! Invariants  microseconds since 1970-01-01 UTC.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// Where a query has its processing time from.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The clock of the machine.
    #[default]
    System,
    /// One that stands still until it is set.
    Virtual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `micros` until it is advanced. Clones are the same clock.
    pub fn virtual_at(micros: i64) -> Clock {
        Clock::Virtual(Arc::new(AtomicI64::new(micros)))
    }

    /// Microseconds since 1970-01-01 UTC.
    pub fn now(&self) -> i64 {
        match self {
            Clock::System => {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                since.map_or(0, |since| since.as_micros() as i64)
            }
            Clock::Virtual(now) => now.load(Ordering::SeqCst),
        }
    }

    /// Moves a virtual clock on. The machine's clock is not ours to move: then this does nothing.
    pub fn advance(&self, by: Duration) {
        if let Clock::Virtual(now) = self {
            now.fetch_add(by.as_micros() as i64, Ordering::SeqCst);
        }
    }
}
