//! The sink of late rows, shared by the workers of a query: late rows are few, and may wait for one another.
//!
//! Invariants  the sink ends once, when the last of those who opened it has.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;

use crate::error::Result;
use crate::pipeline::Sink;

/// A sink beside the query's own. Cloning shares it.
#[derive(Clone)]
pub struct SideSink {
    inner: Arc<Mutex<Side>>,
}

struct Side {
    sink: Box<dyn Sink>,
    /// How many of those who opened it have not come to their end.
    open: usize,
}

impl fmt::Debug for SideSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SideSink").finish_non_exhaustive()
    }
}

impl SideSink {
    pub fn new(sink: Box<dyn Sink>) -> Self {
        SideSink { inner: Arc::new(Mutex::new(Side { sink, open: 0 })) }
    }

    fn lock(&self) -> MutexGuard<'_, Side> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that one more will write; each ends with [`SideSink::finish`].
    pub fn open(&self) {
        self.lock().open += 1;
    }

    pub fn write(&self, rows: &RecordBatch) -> Result<()> {
        self.lock().sink.write(rows, None)
    }

    pub fn flush(&self) -> Result<()> {
        self.lock().sink.flush()
    }

    pub fn finish(&self) -> Result<()> {
        let mut side = self.lock();
        side.open -= 1;
        if side.open == 0 { side.sink.finish() } else { side.sink.flush() }
    }
}
