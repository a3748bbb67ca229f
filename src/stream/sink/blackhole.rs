//! Rows go nowhere and are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;

use crate::batch::Change;
use crate::error::Result;
use crate::pipeline::Sink;

/// Counts rows and forgets them.
#[derive(Debug, Default)]
pub struct Blackhole {
    rows: Arc<AtomicU64>,
}

impl Blackhole {
    /// The count, for others to read.
    pub fn rows(&self) -> Arc<AtomicU64> {
        self.rows.clone()
    }
}

impl Sink for Blackhole {
    fn write(&mut self, rows: &RecordBatch, _: Option<&[Change]>) -> Result<()> {
        self.rows.fetch_add(rows.num_rows() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
