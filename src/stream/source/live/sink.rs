//! What the query of a materialized view, and INSERT, write to.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::Live;
use crate::batch::Change;
use crate::error::{Error, Result};
use crate::pipeline::Sink;

/// Writes what a query makes into a table in memory.
pub struct LiveSink {
    live: Arc<Live>,
    /// Whether the table is complete when the query is.
    ends: bool,
    /// Whether the table has an event time.
    tells_time: bool,
    has_finished: bool,
}

impl LiveSink {
    pub fn new(live: Arc<Live>, ends: bool) -> Self {
        LiveSink { live, ends, tells_time: false, has_finished: false }
    }

    /// Whether followers are told the watermark.
    pub fn telling_time(mut self, tells_time: bool) -> Self {
        self.tells_time = tells_time;
        self
    }
}

impl Sink for LiveSink {
    fn write(&mut self, rows: &RecordBatch, changes: Option<&[Change]>) -> Result<()> {
        self.live.commit(rows, changes)
    }

    fn watermark(&mut self, watermark: i64) -> Result<()> {
        if self.tells_time {
            self.live.tell_time(watermark);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.live.note_ended();
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.has_finished = true;
        if self.ends {
            self.live.complete();
        }
        Ok(())
    }
}

impl Drop for LiveSink {
    fn drop(&mut self) {
        if self.ends && !self.has_finished {
            self.live.fail(Error::cancelled());
        }
    }
}
