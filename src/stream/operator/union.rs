//! Several inputs as one: batches pass as they come, the watermark is the minimum over the inputs (kept by the slot).

use super::{Next, Operator};
use crate::batch::Batch;
use crate::error::Result;

/// A running UNION ALL.
pub struct Union;

impl Operator for Union {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        next.push(batch)
    }
}
