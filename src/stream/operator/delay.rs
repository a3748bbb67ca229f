//! Holds the watermark back: windows behind it take rows for longer.
//!
//! ```text
//! watermark 30 ─▶ Delay 5 ─▶ watermark 25 ─▶ aggregate: a window that ends at 30 stays, and takes late rows until 35
//! ```
//! Source      allowed lateness as Flink and Beam have it; when results leave is the matter of `firing`.

use super::{Next, Operator};
use crate::batch::Batch;
use crate::error::Result;
use crate::pipeline::DelaySpec;
use crate::time::START;

/// A running delay.
pub struct Delay {
    ticks: i64,
}

impl Delay {
    pub fn new(spec: &DelaySpec) -> Self {
        Delay { ticks: spec.ticks }
    }
}

impl Operator for Delay {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        if let Some(watermarks) = batch.watermarks.as_mut_slice() {
            watermarks.iter_mut().for_each(|watermark| *watermark = watermark.saturating_sub(self.ticks));
        }
        next.push(batch)
    }

    fn watermark(&mut self, watermark: i64, next: &mut Next<'_>) -> Result<()> {
        match watermark.saturating_sub(self.ticks) {
            START => Ok(()),
            watermark => next.watermark(watermark),
        }
    }
}
