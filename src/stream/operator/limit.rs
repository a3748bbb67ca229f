//! Skips rows, then lets some pass.

use super::{Next, Operator};
use crate::batch::Batch;
use crate::error::Result;
use crate::pipeline::LimitSpec;

/// A running OFFSET and LIMIT.
pub struct Limit {
    skip: usize,
    fetch: usize,
    kept: Vec<u16>,
}

impl Limit {
    pub fn new(spec: &LimitSpec) -> Self {
        Limit { skip: spec.skip, fetch: spec.fetch.unwrap_or(usize::MAX), kept: Vec::new() }
    }
}

impl Operator for Limit {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        let rows = batch.selected_rows();
        let from = self.skip.min(rows);
        let to = from + self.fetch.min(rows - from);
        self.skip -= from;
        if self.fetch != usize::MAX {
            self.fetch -= to - from;
        }
        if to - from < rows {
            self.kept.clear();
            self.kept.extend((from..to).map(|row| row as u16));
            batch.selection.narrow(&self.kept);
        }
        next.push(batch)
    }

    fn is_satisfied(&self) -> bool {
        self.fetch == 0
    }
}
